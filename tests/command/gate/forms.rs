//! Every form of the answer, read by a reader of that form: JSON and SARIF by their schemas, JUnit by its XSD,
//! annotations by the rules of workflow commands. Whatever the packets say.

use std::path::Path;
use std::process::{Command, Stdio};

use jsonschema::Validator;
use reshake::check::Rules;
use reshake::check::render::{self, Asked, Check, CheckFormat};
use reshake::model::Report;
use reshake_core::engine::Limits;
use serde_json::Value;

use super::{QUICKSTART, SHARED, UNPROVEN, err, out, run, run_in, schema_text};
use crate::common::{assert_committed, assert_none, fixtures, items, root, text};

const FORMS: [&str; 7] = ["text", "json", "junit", "sarif", "github", "gitlab", "markdown"];

/// Rules of every kind that need nothing but the capture.
const FLAGS: &[(&str, &str)] = &[
    ("min-connections", "2"),
    ("min-resumption-rate", "0.9"),
    ("min-resumption-rate", "service=0.9"),
    ("min-returning-share", "server-name=0.9"),
    ("min-returning-share", "mechanism=0.9"),
    ("must-resume", "2+"),
    ("must-resume", "outcome:declined=1"),
    ("forbid-reason", "*"),
    ("forbid-pattern", "*"),
    ("forbid-finding", "*"),
    ("require-reason", "stek-not-shared"),
    ("max-ticket-lifetime", "1h"),
    ("max-key-age", "1h"),
    ("early-data", "forbid"),
    ("allow-version", "TLS 1.3"),
];

fn sarif_schema() -> Validator {
    let text = std::fs::read_to_string(root().join("tests/command/gate/schemas/sarif.schema.json")).expect("a schema");
    jsonschema::validator_for(&serde_json::from_str(&text).expect("JSON")).expect("a schema")
}

/// Validates JUnit XML; `None` where no validator is installed.
fn junit_problem(xml: &[u8]) -> Option<String> {
    let mut child = Command::new("xmllint")
        .args([
            "--noout",
            "--nonet",
            "--schema",
            "tests/command/gate/schemas/junit.xsd",
            "-",
        ])
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let mut input = child.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut input, xml).expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    (!output.status.success()).then(|| err(&output))
}

#[allow(clippy::print_stderr)] // what a test leaves out is said
fn can_validate_xml() -> bool {
    let there = Command::new("xmllint")
        .arg("--version")
        .stderr(Stdio::null())
        .status()
        .is_ok();
    if !there {
        eprintln!("xmllint (libxml2-utils) is not installed: JUnit XML is not validated");
    }
    there
}

fn written(check: &Check<'_, '_>, form: CheckFormat) -> Vec<u8> {
    let mut out = Vec::new();
    check.write(form, &mut out).expect("written to memory");
    out
}

#[test]
fn every_answer_is_valid_in_every_form() {
    let json = jsonschema::validator_for(&render::schema(true)).expect("a schema");
    let open = jsonschema::validator_for(&render::schema(false)).expect("a schema");
    let sarif = sarif_schema();
    let xml = can_validate_xml();
    let mut problems = Vec::new();
    for (place, fixture) in fixtures().iter().enumerate() {
        let (engine, captures) = fixture.run(Limits::default());
        let report = Report::of(&engine, captures);
        let mut rules = Rules::default();
        for (flag, value) in FLAGS {
            rules.add_flag(flag, value, &|_| Ok(())).expect("a rule");
        }
        let rules = rules.finish().expect("rules");
        let asked = Asked {
            files: vec![fixture.name.clone().into()],
            ..Asked::default()
        };
        let answer = Check::of(&report, &rules, None, &asked);
        let mut told = |form: &str, validator: &Validator, bytes: &[u8]| {
            let document: Value = serde_json::from_slice(bytes).expect("JSON");
            let errors = validator.iter_errors(&document).take(3);
            problems.extend(errors.map(|error| format!("{} {form} {}: {error}", fixture.name, error.instance_path())));
        };
        let document = written(&answer, CheckFormat::Json);
        told("json, strict", &json, &document);
        told("json", &open, &document);
        told("sarif", &sarif, &written(&answer, CheckFormat::Sarif));
        // A process for each: some stand for all.
        if xml && place % 16 == 0 {
            let problem = junit_problem(&written(&answer, CheckFormat::Junit));
            problems.extend(problem.map(|problem| format!("{} junit: {problem}", fixture.name)));
        }
        for form in [CheckFormat::Text { coloured: false }, CheckFormat::Github] {
            let shown = String::from_utf8(written(&answer, form)).expect("UTF-8");
            if shown.chars().any(|letter| letter.is_control() && letter != '\n') {
                problems.push(format!("{}: a control character in {form:?}", fixture.name));
            }
        }
    }
    assert_none("answers that are not valid", &problems);
}

#[test]
fn the_schemas_refuse_what_is_wrong() {
    let answer = run(&["check", "-q", "--must-resume", "2", "--format", "sarif", QUICKSTART]);
    let sarif: Value = serde_json::from_slice(&answer.stdout).expect("JSON");
    let schema = sarif_schema();
    assert!(schema.is_valid(&sarif));
    for (pointer, value) in [
        ("/version", Value::from("2.0.0")),
        ("/runs/0/results/0/level", Value::from("grave")),
        ("/runs/0/results/0/ruleIndex", Value::from(-2)),
        ("/runs/0/results/0/message", Value::from("text")),
        ("/runs/0/artifacts/0/location/uri", Value::from("a b")),
        ("/runs/0/tool/driver", Value::from("reshake")),
    ] {
        let mut changed = sarif.clone();
        *changed.pointer_mut(pointer).expect("a value") = value;
        assert!(!schema.is_valid(&changed), "{pointer}");
    }
    if can_validate_xml() {
        let xml = run(&["check", "-q", "--must-resume", "2", "--format", "junit", QUICKSTART]).stdout;
        assert_eq!(junit_problem(&xml), None);
        let xml = String::from_utf8(xml).expect("UTF-8");
        for (good, bad) in [
            ("tests=", "test="),
            ("<failure type=\"violated\"", "<failure"),
            ("</testsuites>", ""),
        ] {
            assert!(junit_problem(xml.replace(good, bad).as_bytes()).is_some(), "{bad}");
        }
    }
}

#[test]
fn the_committed_schema_is_the_one_the_code_makes() {
    assert_committed("docs/check-v1.schema.json", &schema_text(&render::schema(false)));
    for (document, expected) in [
        ("report", reshake::render::json::schema(false)),
        ("check", render::schema(false)),
        ("diff", reshake::diff::schema(false)),
        ("what-if", reshake::what_if::render::schema(false)),
    ] {
        let output = run(&["schema", "--of", document]);
        assert_eq!(out(&output), schema_text(&expected), "{document}");
    }
    let strict = run(&["schema", "--of", "check", "--strict"]);
    assert_eq!(out(&strict), schema_text(&render::schema(true)));
}

#[test]
fn the_answer_for_people_shows_rules_frames_and_a_command() {
    let flags = [
        "check",
        "-q",
        "--min-returning-share",
        "0.9",
        "--forbid-pattern",
        "session-state-not-shared",
        QUICKSTART,
    ];
    let output = run(&flags);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!("gate_text", out(&output));
    let coloured = out(&run(&[&["--color", "always"], &flags[..]].concat()));
    assert!(coloured.contains("\u{1b}[") && !out(&output).contains('\u{1b}'));
}

#[test]
fn the_command_that_is_named_shows_the_connections() {
    let (document, _) = super::check(&["--min-returning-share", "0.9", QUICKSTART]);
    let rule = items(&document, "rules").last().expect("a rule");
    let words: Vec<&str> = text(rule, "reproduce").expect("a command").split(' ').skip(1).collect();
    let shown = out(&run(&words));
    for proof in items(rule, "proofs") {
        let id = text(&proof["connection"], "id").expect("an id");
        assert!(shown.contains(id), "{id}: {shown}");
    }
}

#[test]
fn annotations_stand_at_the_rules_in_their_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("a,b.toml"), "\n  min-returning-share = 0.9\n").expect("written");
    let capture = root().join(QUICKSTART);
    std::fs::copy(capture, folder.path().join("c.pcapng")).expect("a copy");
    let arguments = ["check", "-q", "--rules", "a,b.toml", "--format", "github", "c.pcapng"];
    let output = run_in(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(1));
    let shown = out(&output);
    let begins = "::error file=a%2Cb.toml,line=2,col=3,title=reshake%3A min-returning-share::all connections%0Arequired at least 90 %25 ";
    assert!(shown.starts_with(begins), "{shown}");
    assert_eq!(shown.lines().count(), 2, "{shown}");
    assert_eq!(
        shown.lines().last(),
        Some("::notice title=reshake check::2 of 3 rules hold")
    );
}

#[test]
fn a_result_for_code_scanning_stands_at_its_rule() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("r.toml"), "\nmust-resume = 2\n").expect("written");
    std::fs::copy(root().join(QUICKSTART), folder.path().join("c d.pcapng")).expect("a copy");
    let arguments = ["check", "-q", "--rules", "r.toml", "--format", "sarif", "c d.pcapng"];
    let sarif: Value = serde_json::from_slice(&run_in(folder.path(), &arguments).stdout).expect("JSON");
    let result = &sarif["runs"][0]["results"][0];
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "r.toml");
    assert_eq!(place["region"], serde_json::json!({"startLine": 2, "startColumn": 1}));
    let rules = items(&sarif["runs"][0]["tool"]["driver"], "rules");
    let index = usize::try_from(result["ruleIndex"].as_u64().expect("a place")).expect("small");
    assert_eq!(text(&rules[index], "id"), Some("must-resume"));
    let related: Vec<String> = items(result, "relatedLocations")
        .iter()
        .map(|location| {
            let uri = text(&location["physicalLocation"]["artifactLocation"], "uri");
            let name = location["logicalLocations"][0]["name"].as_str();
            format!("{} {}", uri.unwrap_or_default(), name.unwrap_or_default())
        })
        .collect();
    assert!(related.contains(&"c%20d.pcapng frame 34".to_owned()), "{related:?}");
}

#[test]
fn a_capture_that_is_given_twice_is_one_artifact() {
    let arguments = [
        "check",
        "-q",
        "--must-resume",
        "2",
        "--format",
        "sarif",
        SHARED,
        SHARED,
        QUICKSTART,
    ];
    let sarif: Value = serde_json::from_slice(&run(&arguments).stdout).expect("JSON");
    assert_eq!(items(&sarif["runs"][0], "artifacts").len(), 2);
    assert!(sarif_schema().is_valid(&sarif));
}

/// The capture with another server name of the same length in it.
fn renamed(folder: &Path, name: &[u8; 10]) -> String {
    let mut bytes = std::fs::read(root().join(QUICKSTART)).expect("the fixture");
    let known = b"www.a.test";
    for at in 0..bytes.len() - known.len() {
        if bytes[at..].starts_with(known) {
            bytes[at..at + known.len()].copy_from_slice(name);
        }
    }
    let path = folder.join("hostile.pcapng");
    std::fs::write(&path, bytes).expect("written");
    path.to_str().expect("a UTF-8 path").to_owned()
}

#[test]
fn a_hostile_server_name_breaks_out_of_no_form() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in [
        b"<a>&\"']]>x",
        b"x\r\n::error",
        b"\x1b[31m%0A,:",
        b"\xef\xbf\xbe\0\x7f\xe2\x80\xaexy",
    ] {
        let path = renamed(folder.path(), name);
        let told = |form: &str| {
            let rules = [
                "--min-returning-share",
                "server-name=0.9",
                "--forbid-pattern",
                "service=*",
            ];
            let arguments = [&["check", "-q"], &rules[..], &["--format", form, &path]].concat();
            let output = run(&arguments);
            assert_eq!(output.status.code(), Some(1), "{}", err(&output));
            output.stdout
        };
        if can_validate_xml() {
            assert_eq!(junit_problem(&told("junit")), None, "{name:?}");
        }
        let sarif: Value = serde_json::from_slice(&told("sarif")).expect("JSON");
        assert!(sarif_schema().is_valid(&sarif));
        let lines = String::from_utf8(told("github")).expect("UTF-8");
        assert!(
            lines
                .lines()
                .all(|line| line.starts_with("::error title=reshake%3A ") || line.starts_with("::notice "))
        );
        for form in FORMS {
            let shown = String::from_utf8(told(form)).expect("UTF-8");
            let control =
                |letter: char| letter.is_control() && letter != '\n' || letter == '\u{202e}' && form != "json";
            assert!(!shown.contains(control), "{form}: {shown}");
        }
    }
}

#[test]
fn several_forms_go_to_files_in_one_run() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("a UTF-8 path").to_owned();
    let mut arguments = vec![
        "check".to_owned(),
        "-q".to_owned(),
        "--must-resume".to_owned(),
        "2".to_owned(),
    ];
    for form in FORMS {
        arguments.extend(["--format".to_owned(), format!("{form}={}", path(form))]);
    }
    arguments.push(QUICKSTART.to_owned());
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = run(&words);
    assert_eq!(output.status.code(), Some(1));
    for form in FORMS {
        let alone = run(&["check", "-q", "--must-resume", "2", "--format", form, QUICKSTART]);
        let file = std::fs::read_to_string(path(form)).expect("written");
        assert_eq!(file, out(&alone), "{form}");
    }
    assert_eq!(
        out(&output),
        std::fs::read_to_string(path("text")).expect("written"),
        "text goes to standard output"
    );
    let nowhere = path("no/such/folder");
    let output = run(&[
        "check",
        "-q",
        "--must-resume",
        "2",
        "--format",
        &format!("json={nowhere}"),
        SHARED,
    ]);
    assert_eq!(
        output.status.code(),
        Some(3),
        "an answer that could not be written is no green"
    );
}

#[test]
fn what_cannot_be_read_is_an_error_in_every_form() {
    for form in FORMS {
        let output = run(&[
            "check",
            "-q",
            "--must-resume",
            "2",
            "--format",
            form,
            "missing.pcap",
            QUICKSTART,
        ]);
        assert_eq!(output.status.code(), Some(3), "3 beats 1");
        assert!(err(&output).starts_with("reshake: missing.pcap: "), "{}", err(&output));
        let shown = out(&output);
        let said = match form {
            "text" => "error: missing.pcap: ",
            "json" => "\"errors\":[\"missing.pcap: ",
            "junit" => "<error type=\"unreadable\" message=\"missing.pcap: ",
            "sarif" => "\"executionSuccessful\": false",
            "gitlab" => "\"description\": \"missing.pcap: ",
            "markdown" => "- Error: missing.pcap: ",
            _ => "::error title=reshake check::missing.pcap: ",
        };
        assert!(shown.contains(said), "{form}: {shown}");
        let alone = run(&["check", "-q", "--must-resume", "2", "--format", form, "missing.pcap"]);
        assert_eq!(alone.status.code(), Some(3));
        assert!(out(&alone).contains(said), "{form}: {}", out(&alone));
    }
}

#[test]
fn damage_is_an_error_only_when_strict() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let bytes = std::fs::read(root().join(SHARED)).expect("the fixture");
    let path = folder.path().join("cut.pcapng");
    std::fs::write(&path, &bytes[..bytes.len() - 9]).expect("written");
    let path = path.to_str().expect("a UTF-8 path");
    let lenient = run(&["check", "-q", "--min-connections", "5", path]);
    assert_eq!(lenient.status.code(), Some(0), "{}", out(&lenient));
    let strict = run(&["check", "-q", "--strict", "--min-connections", "5", path]);
    assert_eq!(strict.status.code(), Some(3));
    let line = format!("error: {path}: ends inside a packet, after frame");
    assert!(out(&strict).contains(&line), "{}", out(&strict));
}

#[test]
fn under_other_names_the_verdicts_stay_and_no_name_is_told() {
    let rules = [
        "--must-resume",
        "client:10.0.0.11=2",
        "--min-returning-share",
        "service=0.9",
        "--forbid-pattern",
        "*",
    ];
    let verdicts = |document: &Value| -> Vec<bool> {
        let rules = items(document, "rules").iter();
        rules.map(|rule| rule["holds"] == true).collect()
    };
    let document = |more: &[&str]| -> Value {
        let arguments = [&["check", "-q", "--format", "json"], &rules[..], more, &[QUICKSTART]].concat();
        serde_json::from_slice(&run(&arguments).stdout).expect("JSON")
    };
    assert_eq!(verdicts(&document(&["--redact"])), verdicts(&document(&[])));
    for form in FORMS {
        let arguments = [
            &["check", "-q", "--redact", "--format", form],
            &rules[..],
            &[QUICKSTART],
        ]
        .concat();
        let shown = out(&run(&arguments));
        for name in ["10.0.0.", "a.test", "quickstart"] {
            assert!(!shown.contains(name), "{form}: {name}: {shown}");
        }
    }
    let compared = run(&["diff", "-q", "--redact", QUICKSTART, SHARED]);
    assert_eq!(compared.status.code(), Some(0), "{}", err(&compared));
    assert!(
        !out(&compared).contains("a.test") && out(&compared).contains("host-"),
        "{}",
        out(&compared)
    );
}

#[test]
fn every_form_for_people_says_what_to_do() {
    for form in ["text", "markdown", "junit", "github", "sarif", "gitlab"] {
        let told = |capture| {
            let rule = ["check", "-q", "--min-returning-share", "0.9", "--format", form, capture];
            out(&run(&rule)).to_lowercase()
        };
        let [proven, unproven] = [told(QUICKSTART), told(UNPROVEN)];
        for told in [&proven, &unproven] {
            assert!(told.contains("share the session cache"), "{form}: {told}");
        }
        assert!(!proven.contains("make sure first"), "{form}: {proven}");
        assert!(unproven.contains("make sure first"), "{form}: {unproven}");
    }
    let none = out(&run(&["check", "-q", "--min-connections", "99", QUICKSTART]));
    assert!(none.contains("tcpdump -i any -s 0"), "{none}");
    let held = out(&run(&["check", "-q", "--min-connections", "1", QUICKSTART]));
    assert!(!held.contains("  do "), "{held}");
}

#[test]
fn gitlab_gets_an_issue_for_each_violated_rule_at_its_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let rules = folder.path().join("r.toml");
    std::fs::write(&rules, "min-connections = 1\nmin-returning-share = 0.9\n").expect("a file");
    let rules = rules.to_str().expect("UTF-8");
    let arguments = ["check", "-q", "--rules", rules, "--format", "gitlab", QUICKSTART];
    let issues: Value = serde_json::from_str(&out(&run(&arguments))).expect("JSON");
    let [issue] = issues.as_array().expect("an array").as_slice() else {
        panic!("{issues}");
    };
    assert_eq!(text(issue, "check_name"), Some("reshake/min-returning-share"));
    assert_eq!(issue["severity"], "major");
    assert_eq!(issue["location"]["lines"]["begin"], 2);
    assert_eq!(text(issue, "fingerprint").map(str::len), Some(32));
}

#[test]
fn a_rule_file_to_begin_with_is_written_once_and_can_be_used() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("new.toml");
    let name = path.to_str().expect("UTF-8");
    assert!(run(&["check", "--init", "--rules", name]).status.success());
    let again = run(&["check", "--init", "--rules", name]);
    assert_eq!(again.status.code(), Some(2));
    assert!(err(&again).contains("already exists"));
    let checked = run(&["check", "-q", "--rules", name, SHARED]);
    assert_eq!(checked.status.code(), Some(0), "{}", out(&checked));
}
