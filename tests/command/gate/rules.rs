//! Every rule, kept and broken; and no rule that holds where there is nothing it could hold of.

use reshake::check::render::{Asked, Check};
use reshake::check::{Area, Given, RULES, Rules};
use reshake::model::Report;
use reshake_core::diagnosis::CATALOG;
use reshake_core::diagnosis::security::FINDINGS;
use reshake_core::diagnosis::service::PATTERNS;
use reshake_core::engine::Limits;
use serde_json::Value;

use super::{QUICKSTART, SHARED, check, err, files, out, run};
use crate::common::{assert_none, fixture, fixtures, items, text};

/// A rule with a fixture that keeps it and one that breaks it.
struct Case {
    flag: &'static str,
    value: &'static str,
    kept_by: &'static str,
    broken_by: &'static str,
    /// What is found where it is broken.
    found: &'static str,
    /// Something proves it: a missing quantity has no proof.
    proven: bool,
}

const fn case(
    flag: &'static str,
    value: &'static str,
    kept_by: &'static str,
    broken_by: &'static str,
    found: &'static str,
) -> Case {
    Case {
        flag,
        value,
        kept_by,
        broken_by,
        found,
        proven: true,
    }
}

const fn missing(
    flag: &'static str,
    value: &'static str,
    kept_by: &'static str,
    broken_by: &'static str,
    found: &'static str,
) -> Case {
    Case {
        proven: false,
        ..case(flag, value, kept_by, broken_by, found)
    }
}

const GOOD: &str = "captures/shared-tickets";
const BAD: &str = "captures/quickstart";
/// Its cause is proven.
const SURE: &str = "captures/workers-with-own-keys";

const CASES: &[Case] = &[
    missing("min-connections", "32", BAD, GOOD, "6 connections"),
    case(
        "max-unclear",
        "0.1",
        GOOD,
        "captures/one-direction-client",
        "75 % (3 of 4)",
    ),
    case("min-resumption-rate", "0.9", GOOD, BAD, "40 % (12 of 30)"),
    missing(
        "min-resumption-rate",
        "0",
        BAD,
        "reasons/client-did-not-offer",
        "no session was offered, or no answer to an offer is visible",
    ),
    case("min-resumption-rate", "service=0.9", GOOD, BAD, "40 % (12 of 30)"),
    case("min-resumption-rate", "server-name=0.9", GOOD, BAD, "40 % (12 of 30)"),
    case("min-resumption-rate", "mechanism=0.9", GOOD, BAD, "40 % (12 of 30)"),
    case(
        "min-resumption-rate",
        "client:10.0.0.11=0.9",
        GOOD,
        BAD,
        "43.75 % (7 of 16)",
    ),
    case(
        "min-returning-share",
        "0.9",
        GOOD,
        "reasons/client-did-not-offer",
        "0 % (0 of 3)",
    ),
    case("must-resume", "2", GOOD, BAD, "2 of 2 connections without resumption"),
    case(
        "must-resume",
        "2+",
        GOOD,
        BAD,
        "18 of 30 connections without resumption",
    ),
    case("must-resume", "7", BAD, GOOD, "1 of 1 connection without resumption"),
    case(
        "forbid-reason",
        "other-backend-cache",
        GOOD,
        BAD,
        "18 of 32 connections",
    ),
    missing("require-reason", "stek-not-shared", SURE, GOOD, "0 of 6 connections"),
    case("forbid-pattern", "session-state-*", GOOD, BAD, "1 service"),
    missing("require-pattern", "session-state-not-shared", SURE, GOOD, "0 services"),
    case(
        "forbid-finding",
        "*",
        GOOD,
        "findings/stek-weak-known-key",
        "2 services",
    ),
    missing(
        "require-finding",
        "stek-weak-known-key",
        "findings/stek-weak-known-key",
        GOOD,
        "0 services",
    ),
    case(
        "max-ticket-lifetime",
        "7d",
        GOOD,
        "findings/ticket-lifetime-over-7d",
        "8 d",
    ),
    missing(
        "max-ticket-lifetime",
        "7d",
        GOOD,
        "captures/tls13-closes",
        "5 connections may have issued tickets that are not visible, or only with keys (--keylog)",
    ),
    missing("max-ticket-lifetime", "7d", GOOD, BAD, "no ticket was issued"),
    case(
        "max-key-age",
        "24h",
        "findings/ticket-key-older-than-a-day-near-miss",
        "findings/ticket-key-older-than-a-day",
        "30 h",
    ),
    missing(
        "max-key-age",
        "24h",
        "findings/ticket-key-older-than-a-day-near-miss",
        BAD,
        "no ticket key is visible",
    ),
    case(
        "early-data",
        "forbid",
        GOOD,
        "captures/tls13-early-data",
        "1 of 4 connections",
    ),
    case(
        "early-data",
        "forbid-offer",
        GOOD,
        "captures/tls13-early-data",
        "3 of 4 connections",
    ),
    missing(
        "early-data",
        "require",
        "captures/tls13-early-data",
        GOOD,
        "0 of 6 connections",
    ),
    case(
        "allow-version",
        "1.2,1.3",
        GOOD,
        "captures/tls11",
        "5 of 5 connections with another version",
    ),
];

/// Switches off the defaults: only what is asked for is judged.
const BARE: [&str; 4] = ["--min-connections", "0", "--max-unclear", "1"];

fn judged(case: &Case, fixture: &str) -> (Value, Option<i32>) {
    let flag = format!("--{}", case.flag);
    let files = files(fixture);
    let mut arguments: Vec<&str> = Vec::new();
    // A default that is asked about is not switched off.
    for pair in BARE.chunks(2).filter(|pair| pair.first() != Some(&flag.as_str())) {
        arguments.extend(pair);
    }
    arguments.extend([flag.as_str(), case.value]);
    arguments.extend(files.iter().map(String::as_str));
    check(&arguments)
}

#[test]
fn every_rule_is_kept_by_one_fixture_and_broken_by_another() {
    let mut problems = Vec::new();
    for case in CASES {
        let name = format!("--{} {}", case.flag, case.value);
        let (document, status) = judged(case, case.kept_by);
        if status != Some(0) || document["passed"] != true {
            problems.push(format!("{name}: not kept by {}: {}", case.kept_by, document["rules"]));
        }
        let (document, status) = judged(case, case.broken_by);
        let broken: Vec<&Value> = items(&document, "rules")
            .iter()
            .filter(|rule| rule["holds"] == false)
            .collect();
        let proven = |rule: &&Value| (rule["proof_count"].as_u64() > Some(0)) == case.proven;
        let as_told = broken
            .iter()
            .any(|rule| text(rule, "found") == Some(case.found) && proven(rule));
        if status != Some(1) || document["passed"] != false || !as_told {
            problems.push(format!("{name}: not broken by {} as told: {broken:?}", case.broken_by));
        }
        for rule in broken {
            let shown = items(rule, "proofs").iter().all(|proof| {
                let connection = proof["connection"].is_object();
                connection || !items(proof, "evidence").is_empty()
            });
            let reproduced =
                text(rule, "reproduce").is_some_and(|command| command.starts_with("reshake analyze --all"));
            if !shown || !reproduced {
                problems.push(format!("{name}: without proof or command: {rule}"));
            }
        }
    }
    assert_none("rules that do not judge as they should", &problems);
    let without: Vec<&str> = RULES
        .iter()
        .filter(|kind| kind.given == Given::Scoped)
        .map(|kind| kind.name)
        .filter(|name| !CASES.iter().any(|case| case.flag == *name))
        .collect();
    assert!(without.is_empty(), "no case for {without:?}");
}

#[test]
fn no_rule_holds_where_there_is_no_tls_connection() {
    for case in CASES {
        let (document, status) = judged(case, "captures/hello-as-content");
        assert_eq!(document["summary"]["connections"], 0);
        let all_broken = items(&document, "rules").iter().all(|rule| rule["holds"] == false);
        assert!(
            status == Some(1) && all_broken,
            "--{} {}: {document}",
            case.flag,
            case.value
        );
    }
}

#[test]
fn an_empty_or_unclear_capture_is_no_green_by_default() {
    let empty = files("captures/hello-as-content");
    let (document, status) = check(&["--forbid-reason", "stek-changed", &empty[0]]);
    assert_eq!(status, Some(1));
    let names: Vec<Option<&str>> = items(&document, "rules")
        .iter()
        .map(|rule| text(rule, "rule"))
        .collect();
    assert_eq!(
        names,
        [Some("min-connections"), Some("max-unclear"), Some("forbid-reason")]
    );
    let unclear = files("captures/one-direction-client");
    let (document, status) = check(&["--forbid-reason", "stek-changed", &unclear[0]]);
    assert_eq!((status, document["violated"].as_u64()), (Some(1), Some(1)));
}

#[test]
fn connections_that_were_only_counted_prove_nothing() {
    for case in CASES.iter().filter(|case| case.flag != "min-connections") {
        let flag = format!("--{}", case.flag);
        let (document, status) = check(&["--max-memory", "16K", &flag, case.value, QUICKSTART]);
        let rule = items(&document, "rules").last().expect("the rule").clone();
        assert_eq!(
            (status, &rule["holds"]),
            (Some(1), &Value::Bool(false)),
            "{flag}: {rule}"
        );
    }
    let (document, _) = check(&["--max-memory", "16K", "--min-connections", "32", QUICKSTART]);
    assert_eq!(document["rules"][0]["holds"], true, "but they were there");
}

#[test]
fn what_a_baseline_only_counted_may_have_had_any_reason() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let baseline = |memory: &str| {
        let path = folder.path().join(format!("{memory}.json"));
        let report = run(&["analyze", "--max-memory", memory, "--format", "json", QUICKSTART]);
        std::fs::write(&path, report.stdout).expect("a file");
        path.to_str().expect("a UTF-8 path").to_owned()
    };
    let other = &files("reasons/stek-not-shared")[0];
    let judged = |baseline: &str| {
        let (document, status) = check(&["--baseline", baseline, other]);
        let rules = items(&document, "rules");
        let rule = rules.iter().find(|rule| text(rule, "rule") == Some("no-new-reason"));
        (status, rule.expect("comes with a baseline").clone())
    };
    let (status, whole) = judged(&baseline("1G"));
    assert_eq!((status, &whole["holds"]), (Some(1), &Value::Bool(false)));
    assert!(!items(&whole, "proofs").is_empty(), "{whole}");
    let (status, part) = judged(&baseline("16K"));
    assert_eq!((status, &part["holds"]), (Some(1), &Value::Bool(false)), "{part}");
    assert!(
        part.to_string().contains("only counted") && items(&part, "proofs").is_empty(),
        "{part}"
    );
}

/// The verdicts of rules over a fixture.
fn verdicts(name: &str, flags: &[(&'static str, &str)], judge: impl FnOnce(&Check<'_, '_>, &Report<'_>)) {
    let (engine, captures) = fixture(name).run(Limits::default());
    let report = Report::of(&engine, captures);
    let mut rules = Rules::default();
    for (flag, value) in flags {
        rules.add_flag(flag, value, &|_| Ok(())).expect("a rule");
    }
    let rules = rules.finish().expect("rules");
    let asked = Asked::default();
    judge(&Check::of(&report, &rules, None, &asked), &report);
}

/// Whether the last rule holds.
fn holds(name: &str, flags: &[(&'static str, &str)]) -> bool {
    let mut held = false;
    verdicts(name, flags, |check, _| {
        held = check.verdicts().last().expect("a rule").holds;
    });
    held
}

#[test]
fn every_reason_and_finding_is_forbidden_and_required_by_its_name() {
    let reasons = CATALOG.iter().map(|reason| ("reasons", reason.name));
    let findings = FINDINGS.iter().map(|kind| ("findings", kind.name));
    let mut problems = Vec::new();
    for (family, name) in reasons.chain(findings) {
        let (forbid, require) = match family {
            "reasons" => ("forbid-reason", "require-reason"),
            _ => ("forbid-finding", "require-finding"),
        };
        for (near_miss, suffix) in [(false, ""), (true, "-near-miss")] {
            let folder = format!("{family}/{name}{suffix}");
            let possible = ("min-confidence", "possible");
            if holds(&folder, &[(forbid, name)]) != near_miss {
                problems.push(format!("{forbid} {name} on {folder}"));
            }
            if holds(&folder, &[possible, (require, name)]) == near_miss {
                problems.push(format!("{require} {name} on {folder}"));
            }
        }
    }
    assert_none("names that are not judged", &problems);
}

#[test]
fn what_is_only_possible_counts_against_a_rule_and_never_for_it() {
    let mut seen = 0;
    for reason in CATALOG {
        let folder = format!("reasons/{}", reason.name);
        let name = reason.name;
        if holds(&folder, &[("min-confidence", "inferred"), ("forbid-reason", name)]) {
            seen += 1;
            assert!(!holds(&folder, &[("forbid-reason", name)]), "{name}");
            assert!(!holds(&folder, &[("require-reason", name)]), "{name}");
        }
    }
    assert!(seen > 0, "no fixture with a reason that is only possible");
}

#[test]
fn rules_see_what_reports_show() {
    let mut problems = Vec::new();
    let mut patterns_seen: Vec<String> = Vec::new();
    for fixture in fixtures() {
        let document = fixture.report();
        let flags = [
            ("min-resumption-rate", "0"),
            ("min-resumption-rate", "service=0"),
            ("min-returning-share", "0"),
            ("forbid-pattern", "*"),
            ("forbid-finding", "*"),
        ];
        let shown = |list: &str| -> Vec<String> {
            let mut names: Vec<String> = items(&document, "services")
                .iter()
                .flat_map(|service| items(service, list))
                .filter_map(|entry| text(entry, "name").map(str::to_owned))
                .collect();
            names.sort();
            names.dedup();
            names
        };
        verdicts(&fixture.name, &flags, |check, report| {
            for list in ["patterns", "findings"] {
                let rule = if list == "patterns" {
                    "forbid-pattern"
                } else {
                    "forbid-finding"
                };
                let of_rule = check.verdicts().iter().filter(|one| one.rule.demand.name() == rule);
                let mut broken: Vec<String> = of_rule
                    .filter(|one| !one.holds && report.summary.counts.outcomes.total() > 0)
                    .filter_map(|one| one.rule.demand.of().map(str::to_owned))
                    .collect();
                broken.sort();
                if broken != shown(list) {
                    problems.push(format!(
                        "{}: {broken:?}, the report shows {:?}",
                        fixture.name,
                        shown(list)
                    ));
                }
            }
            for one in check.verdicts() {
                let counts = match &one.area {
                    Area::All => &document["summary"],
                    Area::Service(asked) => items(&document, "services")
                        .iter()
                        .find(|service| {
                            service["server"]["port"] == asked.server.port
                                && text(&service["server"], "ip") == Some(asked.server.ip.to_string().as_str())
                                && text(service, "server_name") == asked.name.as_deref()
                                && text(service, "transport") == Some(asked.transport.code())
                        })
                        .expect("its service"),
                    _ => continue,
                };
                let member = match one.rule.demand.name() {
                    "min-resumption-rate" => "resumption_rate",
                    "min-returning-share" => "returning_share",
                    _ => continue,
                };
                let rate = match &one.found {
                    reshake::check::Measured::Ratio(ratio) => ratio.value(),
                    _ => None,
                };
                let same = match (rate, counts[member].as_f64()) {
                    (Some(here), Some(there)) => (here - there).abs() < 6e-4,
                    (None, None) => true,
                    _ => false,
                };
                if !same || one.holds != rate.is_some() {
                    problems.push(format!(
                        "{} {member}: {rate:?}, the report says {}",
                        fixture.name, counts[member]
                    ));
                }
            }
        });
        patterns_seen.extend(shown("patterns"));
    }
    assert_none("rules that see something else", &problems);
    let seen = PATTERNS
        .iter()
        .filter(|kind| patterns_seen.iter().any(|seen| seen == kind.name));
    assert!(seen.count() >= 10, "{patterns_seen:?}");
}

#[test]
fn each_service_is_judged_by_itself() {
    let files = files("findings/stek-shared-across-sni");
    let (document, _) = check(&["--min-connections", "service=1", &files[0]]);
    let services = document["rules"].as_array().expect("rules").iter();
    let of_service: Vec<&str> = services
        .filter_map(|rule| text(&rule["area"], "text"))
        .skip(2)
        .collect();
    assert!(of_service.len() >= 2, "{document}");
    assert!(
        of_service.iter().all(|text| text.starts_with("service ")),
        "{of_service:?}"
    );
}

#[test]
fn a_baseline_is_kept_or_broken_by_rate_and_reasons() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("a UTF-8 path").to_owned();
    for (name, capture) in [("good.json", SHARED), ("bad.json", QUICKSTART)] {
        std::fs::write(path(name), run(&["analyze", "--format", "json", capture]).stdout).expect("written");
    }
    let (good, bad) = (path("good.json"), path("bad.json"));
    let (_, status) = check(&["--baseline", &bad, QUICKSTART]);
    assert_eq!(status, Some(0), "nothing changed");
    let (_, status) = check(&["--baseline", &bad, SHARED]);
    assert_eq!(status, Some(0), "better");
    let (document, status) = check(&["--baseline", &good, QUICKSTART]);
    assert_eq!(status, Some(1));
    let rules = items(&document, "rules");
    assert_eq!(rules[2]["found"], "40 % (12 of 30), before 100 % (5 of 5)");
    assert_eq!(
        rules[3]["measured"],
        serde_json::json!({"kind": "names", "names": ["other-backend-cache"]})
    );
    let allowed = [
        "--max-rate-drop",
        "0.61",
        "--allow-new-reason",
        "other-backend-cache",
        QUICKSTART,
    ];
    let (_, status) = check(&[&["--baseline", &good][..], &allowed].concat());
    assert_eq!(status, Some(0), "a fall that is allowed");
    // In a rule file the path is relative to that file.
    std::fs::write(path("rules.toml"), "baseline = \"good.json\"\n").expect("written");
    let (_, status) = check(&["--rules", &path("rules.toml"), SHARED]);
    assert_eq!(status, Some(0));
}

#[test]
fn a_baseline_that_cannot_serve_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("b.json");
    let name = path.to_str().expect("a UTF-8 path");
    let selected = run(&["analyze", "--format", "json", "--where", "outcome:resumed", QUICKSTART]).stdout;
    let summary = run(&["analyze", "--format", "json", "--summary", QUICKSTART]).stdout;
    for (content, expected) in [
        (&b"{}"[..], "is a document 'of another kind'"),
        (b"[1", "is not a JSON report: "),
        (b"{\"schema\":\"reshake-check/1\"}", "is a document 'reshake-check/1'"),
        (
            b"{\"schema\":\"reshake-report/1\",\"connections\":[]}",
            "is not a JSON report: missing field",
        ),
        (
            &summary,
            "is a report without its connections: make it without --summary",
        ),
        (&selected, "shows selected connections only (outcome:resumed)"),
    ] {
        std::fs::write(&path, content).expect("written");
        let output = run(&["check", "--baseline", name, QUICKSTART]);
        assert_eq!(
            (output.status.code(), out(&output).as_str()),
            (Some(3), ""),
            "{expected}"
        );
        assert!(
            err(&output).contains(expected) && err(&output).lines().count() == 1,
            "{}",
            err(&output)
        );
    }
    let output = run(&["check", "--baseline", "nowhere.json", QUICKSTART]);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        err(&output).starts_with("reshake: baseline nowhere.json: "),
        "{}",
        err(&output)
    );
}

#[test]
fn wrong_usage_is_told_in_one_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut told = Vec::new();
    std::fs::write(
        folder.path().join("rules.toml"),
        "min-resumption-rate = 0.9\nmin-conections = 3\n",
    )
    .expect("written");
    for arguments in [
        &["x.pcap"][..],
        &["--min-connections", "0", "x.pcap"],
        &["--early-data", "allow", "x.pcap"],
        &["--min-resumption-rate", "90", "x.pcap"],
        &["--forbid-reason", "stek-not-sharde", "x.pcap"],
        &["--forbid-reason", "client=stek-changed", "x.pcap"],
        &["--must-resume", "clint:10.0.0.1=2", "x.pcap"],
        &["--max-rate-drop", "0.1", "x.pcap"],
        &["--rules", "rules.toml", "x.pcap"],
        &["--rules", "nowhere.toml", "x.pcap"],
        &["--min-connections", "1", "--format", "xml", "x.pcap"],
        &[
            "--min-connections",
            "1",
            "--format",
            "json",
            "--format",
            "sarif",
            "x.pcap",
        ],
        &[
            "--min-connections",
            "1",
            "--format",
            "json=a",
            "--format",
            "sarif=a",
            "x.pcap",
        ],
        &["--min-connections", "1", "-", "-"],
    ] {
        let arguments = [&["check"], arguments].concat();
        let output = super::run_in(folder.path(), &arguments);
        assert_eq!(
            (output.status.code(), out(&output).as_str()),
            (Some(2), ""),
            "{arguments:?}"
        );
        told.push(format!("$ reshake {}\n{}\n", arguments.join(" "), err(&output)));
    }
    insta::assert_snapshot!("gate_errors", told.concat());
}

#[test]
fn the_rules_in_force_are_shown_with_where_they_come_from() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let rules = "min-returning-share = 0.9\nforbid-reason = [\"stek-changed\"]\n[[part]]\nwhere = \"name:a.test\"\nmust-resume = 2\n";
    std::fs::write(folder.path().join("rules.toml"), rules).expect("written");
    let flags = ["check", "--rules", "rules.toml", "--max-unclear", "0", "--print-rules"];
    let output = super::run_in(folder.path(), &flags);
    assert!(output.status.success(), "{}", err(&output));
    insta::assert_snapshot!("gate_print_rules", out(&output));
}

#[test]
fn what_to_do_about_silent_clients_is_what_the_report_advises() {
    for (fixture, advises) in [
        ("captures/client-dropped-after-unclean-close-tls12", "have both ends"),
        ("captures/client-dropped-or-ended", "make sure first"),
    ] {
        let paths = files(fixture);
        let capture = paths.first().expect("a capture");
        let (document, _) = check(&["--min-returning-share", "90%", capture]);
        let report = run(&["analyze", "--format", "json", capture]);
        let report: Value = serde_json::from_slice(&report.stdout).expect("a report");
        let mut actions = items(&report, "services").iter().filter_map(|it| text(it, "action"));
        let action = actions.find(|action| action.starts_with(advises));
        assert!(action.is_some(), "{fixture}: {report}");
        let rules = items(&document, "rules").iter();
        let advice: Vec<_> = rules.filter_map(|rule| rule["advice"][0].as_str()).collect();
        assert_eq!(advice, action.into_iter().collect::<Vec<_>>(), "{fixture}");
    }
}
