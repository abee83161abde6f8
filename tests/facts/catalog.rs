//! The catalogue of reasons, held to its own rules; and every reason met by every fixture.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::common::{assert_committed, assert_none, fixtures, folders, root};
use reshake::model::Report;
use reshake_core::diagnosis::rules::Actor;
use reshake_core::diagnosis::{CATALOG, Confidence, Reason, RuleResult};
use reshake_core::engine::Limits;

/// What a name must not end in to find its reason.
const NEAR_MISS: &str = "-near-miss";

/// Everything that is wrong with the way a reason is written.
fn faults(reason: &Reason) -> Vec<String> {
    let mut faults = Vec::new();
    let mut check = |right: bool, fault: &str| {
        if !right {
            faults.push(format!("{}: {fault}", reason.name));
        }
    };
    check(is_kebab_case(reason.name), "its name is not in kebab case");
    check(!reason.name.ends_with(NEAR_MISS), "its name is that of a near miss");
    let summary = reason.summary;
    check(
        !summary.is_empty() && summary.chars().count() <= 80,
        "its summary has no or more than 80 characters",
    );
    check(!summary.ends_with('.'), "its summary ends with a full stop");
    check(begins_small(summary), "its summary begins with a capital");
    check(!reason.advice.is_empty(), "it gives no advice");
    check(!reason.advice.ends_with('.'), "its advice ends with a full stop");
    for heading in ["## What it means", "## How we know"] {
        let mut lines = reason.text.lines().map(str::trim);
        let body = lines
            .find(|line| *line == heading)
            .and_then(|_| lines.find(|line| !line.is_empty()));
        let is_there = body.is_some_and(|line| !line.starts_with('#'));
        check(is_there, &format!("nothing stands under {heading:?}"));
    }
    check(
        !reason.spec.is_empty() || reason.actor == Actor::Observer,
        "it cites nothing",
    );
    for citation in reason.spec {
        let section = citation.section;
        let is_number = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
        let mut parts = section.split('.');
        let first = parts.next().unwrap_or_default();
        let starts = is_number(first) || (first.len() == 1 && first.starts_with(|c: char| c.is_ascii_uppercase()));
        check(starts && parts.all(is_number), &format!("{section:?} is no section"));
        check(citation.rfc >= 1000, &format!("RFC {} is none of ours", citation.rfc));
    }
    let version: Vec<&str> = reason.since.split('.').collect();
    check(
        version.len() == 3 && version.iter().all(|part| part.parse::<u16>().is_ok()),
        "since is no version",
    );
    faults
}

/// A capital may only begin a name: TLS, SNI, ClientHello.
fn begins_small(text: &str) -> bool {
    let word = text.split([' ', '-']).next().unwrap_or_default();
    word.starts_with(|c: char| !c.is_uppercase()) || word.chars().skip(1).any(char::is_uppercase)
}

fn is_kebab_case(name: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.split('-').all(is_part)
}

/// The fixtures in which a reason holds: in how many connections, in how many of them as the first reason, and as
/// what at best.
#[derive(Default)]
struct Holds {
    connections: u32,
    primary: u32,
    best: Option<Confidence>,
    /// The connections, as in the truth.
    ends: BTreeSet<(String, String)>,
}

/// Every reason on every fixture.
fn matrix() -> BTreeMap<&'static str, BTreeMap<String, Holds>> {
    let mut matrix: BTreeMap<&'static str, BTreeMap<String, Holds>> =
        CATALOG.iter().map(|reason| (reason.name, BTreeMap::new())).collect();
    for fixture in fixtures() {
        let (engine, captures) = fixture.run(Limits::default());
        let report = Report::of(&engine, captures);
        for (_, id, connection) in report.connections() {
            for (index, judged) in report.reasons(id, connection).into_iter().enumerate() {
                let holds = matrix
                    .get_mut(judged.reason.name)
                    .expect("a reason of the catalogue")
                    .entry(fixture.name.clone())
                    .or_default();
                holds.connections += 1;
                holds.primary += u32::from(index == 0);
                holds.best = holds.best.max(Some(judged.confidence));
                holds
                    .ends
                    .insert((connection.client.to_string(), connection.server.to_string()));
            }
        }
    }
    matrix
}

#[test]
fn every_reason_is_written_as_the_catalogue_wants_it() {
    let problems: Vec<String> = CATALOG.iter().flat_map(|reason| faults(reason)).collect();
    assert_none("faults in the catalogue", &problems);
}

/// What a setting can belong to.
const SOFTWARE: [&str; 8] = [
    "nginx", "HAProxy", "Apache", "Envoy", "Java", "OpenSSL", "curl", "tcpdump",
];

/// Advice that no setting can carry out: what to look for, or what to change in a protocol.
const NO_SETTING: [&str; 14] = [
    "cipher-not-offered",
    "client-cannot-offer-v2-hello",
    "client-dropped-after-fatal-alert",
    "client-sni-changed",
    "ech-rejected-or-grease",
    "ems-mismatch",
    "fatal-alert-previous",
    "first-in-capture",
    "handshake-failed",
    "no-credential-yet-parallel",
    "offer-of-unknown-origin",
    "psk-mode-missing",
    "rejected-unexplained",
    "sni-mismatch",
];

#[test]
fn advice_names_the_setting() {
    use reshake_core::diagnosis::service::PATTERNS;
    let reasons = CATALOG.iter().map(|reason| (reason.name, reason.advice));
    let all = reasons.chain(PATTERNS.iter().map(|kind| (kind.name, kind.advice)));
    let problems: Vec<String> = all
        .filter(|(name, advice)| {
            let named = SOFTWARE.iter().any(|software| advice.contains(software));
            named == NO_SETTING.contains(name)
        })
        .map(|(name, advice)| format!("{name}: {advice}"))
        .collect();
    assert_none(
        "advice without a setting, or with one although it is on the list",
        &problems,
    );
}

#[test]
fn names_are_unique() {
    let names: BTreeSet<&str> = CATALOG.iter().map(|reason| reason.name).collect();
    assert_eq!(names.len(), CATALOG.len());
    let summaries: BTreeSet<&str> = CATALOG.iter().map(|reason| reason.summary).collect();
    assert_eq!(summaries.len(), CATALOG.len());
    for reason in CATALOG {
        assert!(Reason::by_name(reason.name).is_some_and(|found| std::ptr::eq(found, *reason)));
    }
}

#[test]
fn a_badly_written_reason_is_noticed() {
    let good = CATALOG.first().expect("a reason");
    assert!(faults(good).is_empty());
    let bad = Reason {
        name: "Bad_Name",
        since: "soon",
        summary: "A summary.",
        stage: good.stage,
        neutral: false,
        spec: &[],
        actor: Actor::Client,
        advice: "do it.",
        text: "## What it means\n\n## How we know\n",
        rule: |_| RuleResult::DoesNotHold,
    };
    assert_eq!(faults(&bad).len(), 8, "{:#?}", faults(&bad));
    assert!(begins_small("TLS 1.3 is too new") && begins_small("a ticket") && !begins_small("Ticket"));
}

#[test]
fn every_reason_has_a_fixture_and_a_near_miss() {
    let names = folders(&root().join("fixtures/reasons"));
    let missing: Vec<String> = CATALOG
        .iter()
        .flat_map(|reason| [reason.name.to_owned(), format!("{}{NEAR_MISS}", reason.name)])
        .filter(|name| !names.contains(name))
        .collect();
    assert_none("folders missing in fixtures/reasons", &missing);
}

#[test]
fn every_folder_belongs_to_a_reason() {
    let names: BTreeSet<String> = folders(&root().join("fixtures/reasons"))
        .into_iter()
        .map(|name| name.strip_suffix(NEAR_MISS).map_or(name.clone(), ToOwned::to_owned))
        .collect();
    let strange: Vec<String> = names
        .iter()
        .filter(|name| Reason::by_name(name).is_none())
        .cloned()
        .collect();
    assert_none("folders of no reason", &strange);
}

#[test]
fn a_reason_holds_in_its_fixture_and_not_in_its_near_miss() {
    let matrix = matrix();
    let mut problems = Vec::new();
    for reason in CATALOG {
        let held = &matrix[reason.name];
        let fixture = format!("reasons/{}", reason.name);
        let near_miss = format!("{fixture}{NEAR_MISS}");
        let truth = crate::common::fixture(&fixture).truth;
        let named =
            |connection: &&crate::common::TrueConnection| connection.reason.iter().any(|name| name == reason.name);
        let told = |connection: &crate::common::TrueConnection| {
            let ends = (connection.client.clone(), connection.server.clone());
            held.get(&fixture).is_some_and(|holds| holds.ends.contains(&ends))
        };
        if !truth.connections.iter().filter(named).any(told) {
            problems.push(format!(
                "{}: told of no connection of its fixture that has it",
                reason.name
            ));
        }
        if let Some(holds) = held.get(&near_miss) {
            problems.push(format!(
                "{}: told of {} in its near miss",
                reason.name, holds.connections
            ));
        }
    }
    assert_none(
        "reasons that do not hold where they should, or hold where they should not",
        &problems,
    );
}

/// A rule that fires where it should not shows in the review of this file.
#[test]
fn every_reason_on_every_fixture_is_as_committed() {
    let mut text = String::from("# reason: fixture, connections it is told of, of these as first reason, surest\n");
    for (reason, held) in matrix() {
        let _ = writeln!(text, "\n{reason}");
        for (fixture, holds) in held {
            let best = holds.best.map_or("", Confidence::code);
            let _ = writeln!(text, "  {fixture} {} {} {best}", holds.connections, holds.primary);
        }
    }
    assert_committed("fixtures/matrix.snap", &text);
}

#[test]
fn every_pattern_that_is_met_is_in_the_catalogue() {
    use reshake_core::diagnosis::service::PatternKind;
    let mut met = BTreeSet::new();
    for fixture in fixtures() {
        let (engine, captures) = fixture.run(Limits::default());
        let report = Report::of(&engine, captures);
        for view in &report.services {
            let analysis = report.analyses.service(&view.service());
            met.extend(
                analysis
                    .into_iter()
                    .flat_map(|analysis| &analysis.patterns)
                    .map(|pattern| pattern.name),
            );
        }
        for (_, id, connection) in report.connections() {
            met.extend(
                report
                    .reasons(id, connection)
                    .iter()
                    .filter_map(|judged| judged.settled_by),
            );
        }
    }
    assert!(met.contains("session-state-not-shared"), "{met:?}");
    let strange: Vec<String> = met
        .into_iter()
        .filter(|name| PatternKind::by_name(name).is_none())
        .map(ToOwned::to_owned)
        .collect();
    assert_none("patterns that nothing explains", &strange);
}

/// A pattern, a fixture that shows it, and one that is close to it and does not.
const PATTERNS_SHOWN: &[(&str, &str, &str)] = &[
    (
        "session-state-not-shared",
        "reasons/other-backend-cache",
        "reasons/other-backend-cache-near-miss",
    ),
    (
        "session-state-not-shared",
        "reasons/server-never-accepts-ids-near-miss",
        "captures/shared-tickets",
    ),
    (
        "ticket-keys-not-shared",
        "reasons/stek-not-shared",
        "reasons/stek-not-shared-near-miss",
    ),
    (
        "ticket-key-changed",
        "reasons/stek-changed",
        "reasons/stek-changed-near-miss",
    ),
    (
        "failover",
        "reasons/failover-no-shared-state",
        "captures/restart-same-host",
    ),
    (
        "sessions-lost-at-once",
        "reasons/server-lost-sessions",
        "reasons/server-lost-sessions-near-miss",
    ),
    (
        "session-context-mismatch",
        "reasons/session-context-mismatch",
        "reasons/session-context-mismatch-near-miss",
    ),
    (
        "declined-after-hello-retry",
        "reasons/declined-after-hello-retry",
        "reasons/declined-after-hello-retry-near-miss",
    ),
    (
        "offers-break-handshakes",
        "reasons/offer-breaks-handshake",
        "reasons/offer-breaks-handshake-near-miss",
    ),
    (
        "no-ticket-on-resumption",
        "captures/no-ticket-on-resumption",
        "captures/ticket-on-resumption",
    ),
    (
        "unclean-close-invalidates",
        "reasons/impl-invalidates-on-rst",
        "reasons/impl-invalidates-on-rst-near-miss",
    ),
    (
        "server-close-invalidates",
        "reasons/server-did-not-send-close-notify",
        "reasons/server-did-not-send-close-notify-near-miss",
    ),
    (
        "session-times-out",
        "reasons/server-cache-expired",
        "reasons/server-cache-expired-near-miss",
    ),
    (
        "session-times-out",
        "reasons/server-cache-expired",
        "reasons/server-cache-evicted",
    ),
    (
        "cache-overflows",
        "reasons/server-cache-evicted",
        "reasons/server-cache-evicted-near-miss",
    ),
    (
        "cache-overflows",
        "reasons/server-cache-evicted",
        "reasons/server-cache-expired",
    ),
    (
        "cache-overflows",
        "reasons/server-cache-evicted",
        "reasons/other-backend-cache",
    ),
    (
        "ids-never-honoured",
        "reasons/server-never-accepts-ids",
        "reasons/server-never-accepts-ids-near-miss",
    ),
    (
        "nothing-issued",
        "reasons/server-issues-nothing",
        "reasons/server-issues-nothing-near-miss",
    ),
    (
        "client-never-offers",
        "reasons/client-did-not-offer",
        "reasons/first-in-capture-near-miss",
    ),
    (
        "tickets-never-honoured",
        "captures/imap-process-per-login",
        "captures/imap-starttls",
    ),
    (
        "tickets-never-honoured",
        "captures/imap-process-per-login",
        "reasons/stek-not-shared",
    ),
    (
        "ticket-key-per-process",
        "captures/workers-with-own-keys",
        "reasons/stek-not-shared",
    ),
    (
        "ticket-key-per-process",
        "captures/workers-with-own-keys",
        "reasons/stek-changed",
    ),
    (
        "session-ids-pin-nobody",
        "captures/stek-not-shared-tls13",
        "captures/shared-tickets",
    ),
    (
        "session-ids-pin-nobody",
        "captures/stek-not-shared-tls13",
        "reasons/other-backend-cache",
    ),
];

#[test]
fn a_pattern_shows_in_its_fixture_and_not_in_its_near_miss() {
    use reshake_core::diagnosis::service::PATTERNS;
    let shown = |name: &str| -> BTreeSet<&'static str> {
        let (engine, captures) = crate::common::fixture(name).run(Limits::default());
        let report = Report::of(&engine, captures);
        let services = report.services.iter();
        services
            .filter_map(|view| report.analyses.service(&view.service()))
            .flat_map(|analysis| analysis.patterns.iter().map(|pattern| pattern.name))
            .collect()
    };
    let mut problems = Vec::new();
    for (pattern, fixture, near_miss) in PATTERNS_SHOWN {
        if !shown(fixture).contains(pattern) {
            problems.push(format!("{pattern} is not told of {fixture}"));
        }
        if shown(near_miss).contains(pattern) {
            problems.push(format!("{pattern} is told of {near_miss}"));
        }
    }
    let is_shown = |name: &str| PATTERNS_SHOWN.iter().any(|(pattern, ..)| *pattern == name);
    let never = PATTERNS.iter().filter(|kind| !is_shown(kind.name));
    problems.extend(never.map(|kind| format!("{} has no fixture", kind.name)));
    assert_none("patterns that are not where they should be", &problems);
}
