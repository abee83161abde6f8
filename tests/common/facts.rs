//! What a report states of each connection, set beside what another report states of it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Fixture, endpoint, items, text};

/// The facts that no loss may turn into others.
pub(crate) const HARD: [&str; 8] = [
    "tls_version",
    "server_name",
    "offered",
    "outcome",
    "resumed_by",
    "early_data",
    "credentials_offered",
    "credential_accepted",
];

/// A connection of a report, with what it is matched by.
#[derive(Debug, Clone)]
pub(crate) struct Stated<'a> {
    /// Both ends, in the order of their text.
    pub(crate) ends: [String; 2],
    pub(crate) started: &'a str,
    pub(crate) value: &'a Value,
}

/// The connections of a report.
pub(crate) fn stated(report: &Value) -> Vec<Stated<'_>> {
    items(report, "connections")
        .iter()
        .map(|value| {
            let mut ends = [endpoint(&value["client"]), endpoint(&value["server"])];
            ends.sort();
            Stated {
                ends,
                started: text(value, "started").expect("a time"),
                value,
            }
        })
        .collect()
}

/// The connection of the whole capture that `part` is what remains of: same ends, the last that began no later.
/// Times of one length and form sort as text.
pub(crate) fn origin<'a>(whole: &[Stated<'a>], part: &Stated<'_>) -> Option<Stated<'a>> {
    whole
        .iter()
        .filter(|stated| stated.ends == part.ends && stated.started <= part.started)
        .max_by_key(|stated| stated.started)
        .cloned()
}

/// Whether a connection says that it does not see this fact.
fn is_hidden(connection: &Value, fact: &str) -> bool {
    connection["not_visible"].get(fact).is_some()
}

/// Whether the end of a connection is visible.
fn has_ended(connection: &Value) -> bool {
    let sides = ["client", "server"].map(|side| &connection["close"][side]);
    let frames = sides.iter().flat_map(|side| [&side["fin_frame"], &side["rst_frame"]]);
    frames.into_iter().any(|frame| !frame.is_null())
}

/// What `part` states otherwise than `whole`, where it states anything.
pub(crate) fn contradictions(whole: &Value, part: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut differs = |what: &str, whole: &Value, part: &Value| found.push(format!("{what}: was {whole}, is {part}"));
    // Joined after its hellos, a connection has no proof of who is the client.
    let guessed = is_hidden(part, "offered") && part["tls_version"].is_null();
    for end in ["client", "server"] {
        if whole[end] != part[end] && !guessed {
            differs(end, &whole[end], &part[end]);
        }
    }
    let went_on = ["resumed", "not-offered", "external-psk"].contains(&text(part, "outcome").unwrap_or_default());
    let failed_later = whole["outcome"] == "failed" && went_on && !has_ended(part);
    // A refusal stays one where the handshake breaks after it; where the refusing flight is lost, only that it broke shows.
    let broken = whole["outcome"] == "declined"
        && part["outcome"] == "failed"
        && whole["close"]["class"] == part["close"]["class"];
    for fact in HARD {
        // What the server decided stands until the handshake is seen to fail.
        if broken && fact == "outcome" {
            continue;
        }
        if failed_later && ["outcome", "resumed_by"].contains(&fact) {
            continue;
        }
        if whole[fact] != part[fact] && !is_hidden(part, fact) && !is_hidden(whole, fact) {
            differs(fact, &whole[fact], &part[fact]);
        }
    }
    let issued = |value: &Value| -> Vec<String> {
        super::texts(value, "credentials_issued")
            .into_iter()
            .map(ToOwned::to_owned)
            .collect()
    };
    let all = issued(whole);
    if issued(part).iter().any(|credential| !all.contains(credential)) {
        differs(
            "credentials_issued",
            &whole["credentials_issued"],
            &part["credentials_issued"],
        );
    }
    found
}

/// What the report on a part of a capture states otherwise than the report on the whole.
pub(crate) fn told_otherwise(fixture: &Fixture, whole: &Value, part: &Value) -> Vec<String> {
    let whole = stated(whole);
    let mut found = Vec::new();
    let mut taken: BTreeMap<String, u32> = BTreeMap::new();
    for connection in stated(part) {
        let name = format!("{} {}", connection.ends.join(" "), connection.started);
        let Some(origin) = origin(&whole, &connection) else {
            // Two legs of one handshake, or the halves of one that has two addresses, are one connection only while
            // both show that they are.
            let in_parts = fixture
                .truth
                .connections
                .iter()
                .any(|truth| truth.answers_from.is_some());
            if !fixture.truth.lenient && !in_parts {
                found.push(format!("{name} is invented"));
            }
            continue;
        };
        found.extend(
            contradictions(origin.value, connection.value)
                .into_iter()
                .map(|line| format!("{name} {line}")),
        );
        let id = format!("{} {}", origin.ends.join(" "), origin.started);
        *taken.entry(id).or_default() += 1;
    }
    found.extend(
        taken
            .into_iter()
            .filter(|(_, times)| *times > 1)
            .map(|(id, times)| format!("{id} is {times} now")),
    );
    found
}

/// Everything that a report states and that does not depend on which frame of which file something stands in.
pub(crate) fn frameless(report: &Value) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    all.insert("summary".to_owned(), report["summary"].clone());
    for list in ["services", "connections", "credentials"] {
        for item in items(report, list) {
            let mut item = item.clone();
            strip(&mut item);
            let id = text(&item, "id").expect("an id").to_owned();
            // Two of the same id would hide one another.
            assert!(
                all.insert(format!("{list}/{id}"), item).is_none(),
                "{list}/{id} is there twice"
            );
        }
    }
    all
}

/// Takes out frame references, and the sentences and filters that name frames.
fn strip(value: &mut Value) {
    match value {
        Value::Object(object) => {
            if object.len() == 2 && object.contains_key("capture") && object.contains_key("frame") {
                *value = Value::from("a frame");
                return;
            }
            for name in ["capture", "frame", "wireshark", "text", "evidence"] {
                object.remove(name);
            }
            // The summary of a reason may name frames.
            if object.contains_key("confidence") {
                object.remove("summary");
            }
            object.values_mut().for_each(strip);
        }
        Value::Array(list) => list.iter_mut().for_each(strip),
        _ => {}
    }
}

/// What differs between two trees of facts, each as one line. `except` names members that may differ.
pub(crate) fn differences(
    before: &BTreeMap<String, Value>,
    after: &BTreeMap<String, Value>,
    except: &[&str],
) -> Vec<String> {
    let mut found = Vec::new();
    for (key, old) in before {
        match after.get(key) {
            Some(new) => compare(key, old, new, except, &mut found),
            None => found.push(format!("{key} is gone")),
        }
    }
    found.extend(
        after
            .keys()
            .filter(|key| !before.contains_key(*key))
            .map(|key| format!("{key} is new")),
    );
    found
}

fn compare(path: &str, old: &Value, new: &Value, except: &[&str], found: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
            names.sort();
            names.dedup();
            for name in names.into_iter().filter(|name| !except.contains(&name.as_str())) {
                let [a, b] = [old, new].map(|object| object.get(name).unwrap_or(&Value::Null));
                compare(&format!("{path}.{name}"), a, b, except, found);
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                compare(&format!("{path}[{index}]"), old, new, except, found);
            }
        }
        _ if old != new => found.push(format!("{path}: was {old}, is {new}")),
        _ => {}
    }
}
