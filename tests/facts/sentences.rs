//! What a service is told in one sentence, held against what stands below it in the same report: people act on the one, and
//! the other is what it rests on.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answers::{remains, report_with_keys};
use crate::common::{assert_none, fixtures, items, single_files, text};

/// Reasons that name no cause.
const NO_CAUSE: [&str; 4] = [
    "first-in-capture",
    "capture-incomplete",
    "handshake-failed",
    "rejected-unexplained",
];

/// The numbers of a sentence, in their order.
fn numbers(sentence: &str) -> impl Iterator<Item = u64> {
    sentence.split(' ').filter_map(|word| word.parse().ok())
}

fn is_sure(claim: &Value) -> bool {
    text(claim, "confidence").is_some_and(|confidence| confidence != "possible")
}

/// Where the sentence says what the rest does not.
fn contradictions(service: &Value, connections: &[&Value]) -> Vec<&'static str> {
    let sentence = text(service, "answer").unwrap_or_default();
    // What is said of the connections that are kept does not speak of the others.
    let whole = !sentence.contains(" kept,") && !sentence.starts_with("Only the outcome");
    let outcome = |name: &str| service["outcomes"][name].as_u64().unwrap_or(0);
    let (declined, resumed, failed) = (outcome("declined"), outcome("resumed"), outcome("failed"));
    let primary = || {
        connections
            .iter()
            .filter_map(|connection| items(connection, "reasons").first())
    };
    let told = |names: &[&str]| {
        let all = primary().filter(|reason| text(reason, "name").is_some_and(|name| names.contains(&name)));
        all.count() as u64
    };
    let is_guess = ["perhaps because", "or because"]
        .iter()
        .any(|guess| sentence.contains(guess));
    let is_cause = |reason: &&Value| text(reason, "name").is_some_and(|name| !NO_CAUSE.contains(&name));
    let sure = primary().filter(is_cause).any(is_sure) || items(service, "patterns").iter().any(is_sure);
    let first_visits = if sentence.starts_with("None") {
        0
    } else {
        numbers(sentence).next().unwrap_or(1)
    };
    let newcomers = told(&[
        "first-in-capture",
        "no-credential-yet-parallel",
        "client-cannot-offer-v2-hello",
    ]);
    let refused = ["offer was refused", "offers were refused", "offers was refused"]
        .iter()
        .any(|refused| sentence.contains(refused));
    let problems = [
        (
            "works although something was refused or failed",
            sentence.contains("resumption works") && declined + failed > 0,
        ),
        (
            "first visits that the reasons do not show",
            sentence.contains("first visit") && first_visits > newcomers,
        ),
        (
            "more refusals than there are",
            refused && sentence.contains(" of ") && numbers(sentence).next() > Some(declined.max(resumed)),
        ),
        (
            "all refused beside resumptions",
            refused && (sentence.starts_with("All ") || sentence.starts_with("Both ")) && resumed > 0,
        ),
        (
            "because, and nothing is sure",
            sentence.contains(" because ") && !is_guess && !sure,
        ),
        (
            "the server issued nothing, and no reason says so",
            sentence.contains("had issued nothing") && told(&["server-issues-nothing"]) == 0,
        ),
        (
            "something was refused, and there is nothing to do",
            declined > 0 && service["action"].is_null(),
        ),
        ("cut short", sentence.ends_with('…')),
    ];
    let stated = problems.into_iter().filter(|(_, stated)| *stated);
    stated.map(|(problem, _)| problem).filter(|_| whole).collect()
}

fn of_report(name: &str, report: &Value) -> Vec<String> {
    let key = |value: &Value| ["server", "server_name", "transport"].map(|key| value[key].to_string());
    let mut members: BTreeMap<_, Vec<&Value>> = BTreeMap::new();
    for connection in items(report, "connections") {
        members.entry(key(connection)).or_default().push(connection);
    }
    let of_service = |service: &Value| {
        let own = members.get(&key(service)).map(Vec::as_slice).unwrap_or_default();
        let told = text(service, "answer").unwrap_or_default().to_owned();
        let problems = contradictions(service, own).into_iter();
        problems.map(move |problem| format!("{name}: {problem}: {told}"))
    };
    items(report, "services").iter().flat_map(of_service).collect()
}

#[test]
fn a_sentence_says_nothing_that_the_report_does_not() {
    let mut problems = Vec::new();
    for fixture in fixtures() {
        problems.extend(of_report(&fixture.name, &fixture.report()));
        if let Some(report) = report_with_keys(&fixture) {
            problems.extend(of_report(&format!("{} with keys", fixture.name), &report));
        }
    }
    for fixture in single_files() {
        for (change, report) in remains(&fixture) {
            problems.extend(of_report(&format!("{}, {change}", fixture.name), &report));
        }
    }
    assert_none("sentences that say more than what stands below them", &problems);
}

#[test]
fn every_contradiction_is_found() {
    let found = |answer: &str, outcomes: Value, reasons: &[Value], more: Value| {
        let mut service = json!({ "answer": answer, "outcomes": outcomes, "action": "look", "patterns": [] });
        let more = more.as_object().cloned().unwrap_or_default();
        service.as_object_mut().expect("an object").extend(more);
        let connections: Vec<Value> = reasons.iter().map(|reason| json!({ "reasons": [reason] })).collect();
        contradictions(&service, &connections.iter().collect::<Vec<_>>())
    };
    let reason = |name: &str, confidence: &str| json!({ "name": name, "confidence": confidence });
    let plain = |answer: &str, outcomes: Value| found(answer, outcomes, &[], Value::Null);
    let works = "All 3 returning connections resumed: resumption works.";
    assert_eq!(plain(works, json!({ "resumed": 3 })), [""; 0]);
    assert_eq!(plain(works, json!({ "resumed": 3, "declined": 1 })).len(), 1);
    assert_eq!(plain(works, json!({ "resumed": 3, "failed": 1 })).len(), 1);
    let visits = "2 of 3 connections are first visits in this capture; what became of 1 is not visible.";
    let first = reason("first-in-capture", "observed");
    assert_eq!(
        found(visits, json!({}), &[first.clone(), first.clone()], Value::Null),
        [""; 0]
    );
    assert_eq!(found(visits, json!({}), &[first], Value::Null).len(), 1);
    let refused = "3 of 4 offers were refused; it may be that the ticket key changed.";
    assert_eq!(plain(refused, json!({ "declined": 3, "resumed": 1 })), [""; 0]);
    assert_eq!(plain(refused, json!({ "declined": 2, "resumed": 2 })).len(), 1);
    let all = "All 3 offers were refused; it may be that the ticket key changed.";
    assert_eq!(plain(all, json!({ "declined": 3 })), [""; 0]);
    assert_eq!(plain(all, json!({ "declined": 3, "resumed": 1 })).len(), 1);
    let because = "3 of 4 offers were refused because the ticket key changed.";
    let outcomes = || json!({ "declined": 3, "resumed": 1 });
    let changed = |confidence| found(because, outcomes(), &[reason("stek-changed", confidence)], Value::Null);
    assert_eq!(changed("inferred"), [""; 0]);
    assert_eq!(changed("possible").len(), 1);
    let pattern = json!({ "patterns": [reason("ticket-key-changed", "inferred")] });
    assert_eq!(found(because, outcomes(), &[], pattern), [""; 0]);
    let unexplained = [reason("rejected-unexplained", "observed")];
    assert_eq!(found(because, outcomes(), &unexplained, Value::Null).len(), 1);
    let nothing = "2 of 3 connections had nothing to offer because the server had issued nothing to their clients.";
    let issues = |name| found(nothing, json!({}), &[reason(name, "observed")], Value::Null);
    assert_eq!(issues("server-issues-nothing"), [""; 0]);
    assert_eq!(issues("client-sni-changed").len(), 1);
    assert_eq!(found(refused, outcomes(), &[], json!({ "action": null })).len(), 1);
    assert_eq!(plain("Too long a sentence is…", json!({})).len(), 1);
}
