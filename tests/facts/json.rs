//! The JSON report as a program reads it: valid against its schemas, whole, and true to its own contract.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::{assert_committed, assert_none, fixtures, items, report_of, text, texts};
use reshake::model::Report;
use reshake::render::json;
use reshake_core::engine::Limits;
use serde_json::{Map, Value};

/// The closed list of why something is not visible.
const CAUSES: [&str; 13] = [
    "capture-started-late",
    "client-hello-missing",
    "ech",
    "encrypted",
    "evicted",
    "gap",
    "idle-at-capture-end",
    "nothing-tells-apart",
    "one-direction",
    "open-at-capture-end",
    "server-hello-missing",
    "snaplen",
    "unsupported",
];

/// Members that a report has whatever was captured.
const MEMBERS: [&str; 7] = [
    "schema",
    "generator",
    "captures",
    "summary",
    "services",
    "connections",
    "credentials",
];

fn schema_text(strict: bool) -> String {
    let mut text = serde_json::to_string_pretty(&json::schema(strict)).expect("a schema is JSON");
    text.push('\n');
    text
}

#[test]
fn the_committed_schema_is_the_one_the_code_makes() {
    assert_committed("docs/report-v1.schema.json", &schema_text(false));
}

#[test]
fn every_report_is_valid() {
    let open = jsonschema::validator_for(&json::schema(false)).expect("a schema");
    let strict = jsonschema::validator_for(&json::schema(true)).expect("a schema");
    let mut problems = Vec::new();
    for fixture in fixtures() {
        let report = fixture.report();
        for (name, validator) in [("open", &open), ("strict", &strict)] {
            let errors = validator.iter_errors(&report).take(3);
            problems.extend(errors.map(|error| format!("{} {name} {}: {error}", fixture.name, error.instance_path())));
        }
    }
    assert_none("violations of the schema", &problems);
}

#[test]
fn the_strict_schema_refuses_what_it_does_not_name() {
    let [open, strict] =
        [false, true].map(|strict| jsonschema::validator_for(&json::schema(strict)).expect("a schema"));
    let report = crate::common::fixture("captures/tls10-closes").report();
    let places = [
        "",
        "/summary",
        "/connections/0",
        "/connections/0/close/client",
        "/credentials/0",
        "/captures/0",
    ];
    for place in places {
        let mut more = report.clone();
        let object = more
            .pointer_mut(place)
            .and_then(Value::as_object_mut)
            .expect("an object");
        object.insert("new_in_a_later_version".to_owned(), Value::from(1));
        assert!(open.is_valid(&more), "{place} must be open to additions");
        assert!(!strict.is_valid(&more), "{place} must be closed in the strict schema");
    }
    let mut less = report;
    less.as_object_mut().expect("an object").remove("summary");
    assert!(!open.is_valid(&less));
}

/// Collects what breaks the contract in one report.
struct Reader<'a> {
    report: &'a Value,
    problems: Vec<String>,
}

impl Reader<'_> {
    fn check(&mut self, holds: bool, problem: impl FnOnce() -> String) {
        if !holds {
            self.problems.push(problem());
        }
    }

    fn read(&mut self) {
        for member in MEMBERS {
            self.check(self.report.get(member).is_some(), || format!("{member} is missing"));
        }
        self.check(text(self.report, "schema") == Some("reshake-report/1"), || {
            "another schema".to_owned()
        });
        self.frames("", self.report);
        self.names("", self.report);
        self.ids();
        self.hidden();
        self.counts();
        self.connections();
    }

    /// Every frame reference names a frame of a capture that there is.
    fn frames(&mut self, path: &str, value: &Value) {
        match value {
            Value::Object(object) => {
                if let (Some(capture), Some(frame)) = (object.get("capture"), object.get("frame")) {
                    let index = capture.as_u64().and_then(|index| usize::try_from(index).ok());
                    let packets = index
                        .and_then(|index| items(self.report, "captures").get(index))
                        .and_then(|capture| capture["packets"].as_u64());
                    let inside = frame
                        .as_u64()
                        .zip(packets)
                        .is_some_and(|(frame, all)| (1..=all).contains(&frame));
                    self.check(inside, || {
                        format!("{path}: frame {frame} of capture {capture} is not there")
                    });
                }
                for (name, value) in object {
                    self.frames(&format!("{path}.{name}"), value);
                }
            }
            Value::Array(list) => {
                for (index, value) in list.iter().enumerate() {
                    self.frames(&format!("{path}[{index}]"), value);
                }
            }
            _ => {}
        }
    }

    /// Keys are in snake case (names in maps of counts in kebab case), strings never stand for something not seen.
    fn names(&mut self, path: &str, value: &Value) {
        match value {
            Value::Object(object) => {
                for (name, value) in object {
                    let plain = name
                        .chars()
                        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-.".contains(c));
                    self.check(plain, || format!("{path}.{name} is no key"));
                    self.names(&format!("{path}.{name}"), value);
                }
            }
            Value::Array(list) => list.iter().for_each(|value| self.names(path, value)),
            Value::String(word) => {
                let says_nothing = word.is_empty() || (word == "unknown" && !path.ends_with("resumable"));
                let state = path.rsplit('.').next() == Some("state");
                self.check(!says_nothing || state, || format!("{path} is {word:?}"));
                if [".started", ".first_time", ".last_time", ".time", ".start"]
                    .iter()
                    .any(|end| path.ends_with(end))
                {
                    self.check(is_time(word), || format!("{path}: {word} is no time"));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Ids have their form, are unique, and what refers to one finds it.
    fn ids(&mut self) {
        let mut known: BTreeMap<char, BTreeSet<String>> = BTreeMap::new();
        for (list, letter) in [("connections", 'c'), ("credentials", 'k'), ("services", 's')] {
            for item in items(self.report, list) {
                let id = text(item, "id").unwrap_or_default().to_owned();
                let hex = id
                    .strip_prefix(letter)
                    .is_some_and(|hex| hex.len() == 10 && is_hex(hex));
                self.check(hex, || format!("{list}: {id:?} is no id"));
                let fresh = known.entry(letter).or_default().insert(id.clone());
                self.check(fresh, || format!("{list}: {id} is there twice"));
            }
        }
        let report = self.report;
        let mut refer = |letter: char, from: &Value, id: &str| {
            let found = known.get(&letter).is_some_and(|ids| ids.contains(id));
            self.check(found, || format!("{}: {id} is nowhere", from["id"]));
        };
        for connection in items(report, "connections") {
            refer('s', connection, text(connection, "service").unwrap_or_default());
            let lists = ["credentials_offered", "credentials_issued"];
            let credentials = lists.into_iter().flat_map(|list| texts(connection, list));
            for id in credentials.chain(text(connection, "credential_accepted")) {
                refer('k', connection, id);
            }
        }
        for credential in items(report, "credentials") {
            let offers = items(credential, "offers")
                .iter()
                .filter_map(|offer| text(offer, "connection"));
            let issuer = credential["issued"].get("connection").and_then(Value::as_str);
            for id in offers.chain(issuer).chain(texts(credential, "issuer_candidates")) {
                refer('c', credential, id);
            }
        }
    }

    /// What `not_visible` names is null, empty or "unclear", for a cause of the list; what is inferred is there.
    fn hidden(&mut self) {
        let objects = ["connections", "credentials"]
            .into_iter()
            .flat_map(|list| items(self.report, list));
        for object in objects {
            let id = &object["id"];
            for (path, cause) in object["not_visible"].as_object().into_iter().flatten() {
                let cause = cause.as_str().unwrap_or_default();
                self.check(CAUSES.contains(&cause), || {
                    format!("{id}.{path}: {cause:?} is no cause")
                });
                let value = at_path(object, path);
                // A list may be seen in part: its rest is what is not visible.
                let unseen = value.is_some_and(|value| match value {
                    Value::Null | Value::Array(_) => true,
                    Value::String(word) => word == "unclear" || word == "unknown",
                    Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
                });
                self.check(unseen, || format!("{id}.{path} is not visible and yet {value:?}"));
            }
            for (path, why) in object["inferred"].as_object().into_iter().flatten() {
                self.check(why.as_str().is_some_and(|why| !why.is_empty()), || {
                    format!("{id}.{path}: no why")
                });
                let told = at_path(object, path).is_some_and(|value| !value.is_null());
                self.check(told, || format!("{id}.{path} is inferred and not there"));
            }
        }
        for connection in items(self.report, "connections") {
            let unclear = text(connection, "outcome") == Some("unclear");
            let hidden = connection["not_visible"].get("outcome").is_some();
            self.check(unclear == hidden, || {
                format!("{}: outcome unclear {unclear}, hidden {hidden}", connection["id"])
            });
            let told = text(&connection["close"], "class").is_some();
            let hidden = connection["not_visible"].get("close.class").is_some();
            self.check(told != hidden, || {
                format!("{}: close told {told}, hidden {hidden}", connection["id"])
            });
        }
    }

    /// Every count is that of the objects it counts.
    fn counts(&mut self) {
        let (report, summary) = (self.report, &self.report["summary"]);
        let connections = items(report, "connections");
        let total = connections.len() as u64;
        self.check(summary["connections"].as_u64() == Some(total), || {
            "summary.connections".to_owned()
        });
        let count = |member: &str, wanted: &str| connections.iter().filter(|c| text(c, member) == Some(wanted)).count();
        for (map, member) in [("outcomes", "outcome"), ("resumed_by", "resumed_by")] {
            for (name, number) in summary[map].as_object().into_iter().flatten() {
                let counted = count(member, name) as u64;
                self.check(number.as_u64() == Some(counted), || {
                    format!("{map}.{name}: {number}, there are {counted}")
                });
            }
        }
        let sum = |map: &Value| {
            map.as_object()
                .into_iter()
                .flatten()
                .filter_map(|(_, n)| n.as_u64())
                .sum::<u64>()
        };
        self.check(sum(&summary["outcomes"]) == total, || {
            "outcomes do not add up".to_owned()
        });
        self.check(sum(&summary["closes"]) == total, || "closes do not add up".to_owned());
        let offers = &summary["offers"];
        let made = offers["made"].as_u64().unwrap_or_default();
        // Those passed over are among those declined.
        let passed_over = offers["passed_over"].as_u64().unwrap_or_default();
        let all = sum(offers) - passed_over;
        self.check(
            all == 2 * made && offers["declined"].as_u64() >= Some(passed_over),
            || format!("offers do not add up: {offers}"),
        );
        for reason in items(summary, "reasons") {
            let name = text(reason, "name").unwrap_or_default();
            let first = |c: &&Value| items(c, "reasons").first().and_then(|r| text(r, "name")) == Some(name);
            let counted = connections.iter().filter(first).count() as u64;
            self.check(reason["connections"].as_u64() == Some(counted), || {
                format!("{name}: {reason}, {counted} have it")
            });
            self.check(sum(&reason["confidence"]) == counted, || {
                format!("{name}: confidences do not add up")
            });
        }
        for service in items(report, "services") {
            let members: Vec<&Value> = connections.iter().filter(|c| c["service"] == service["id"]).collect();
            let all = members.len() as u64;
            self.check(sum(&service["outcomes"]) == all, || {
                format!("service {}: {all} connections", service["id"])
            });
            let bars: u64 = items(service, "timeline").iter().map(|bar| sum(&bar["outcomes"])).sum();
            self.check(bars == all, || {
                format!("service {}: its timeline has {bars} of {all}", service["id"])
            });
        }
    }

    fn connections(&mut self) {
        let report = self.report;
        for (index, connection) in items(report, "connections").iter().enumerate() {
            let id = &connection["id"];
            self.check(connection["number"].as_u64() == Some(index as u64 + 1), || {
                format!("{id}: its number")
            });
            self.check(connection["offset_seconds"].as_f64() >= Some(0.0), || {
                format!("{id}: offset before the start")
            });
            let resumed = text(connection, "outcome") == Some("resumed");
            self.check(resumed || connection["resumed_by"].is_null(), || {
                format!("{id}: resumed_by without resumption")
            });
            let filters = items(connection, "wireshark");
            self.check(!filters.is_empty(), || format!("{id}: no filter"));
            for reason in items(connection, "reasons") {
                let name = text(reason, "name").unwrap_or_default();
                self.check(!items(reason, "evidence").is_empty(), || {
                    format!("{id}: {name} without evidence")
                });
                for sentence in ["summary", "advice"] {
                    let said = text(reason, sentence).unwrap_or_default();
                    self.check(!said.is_empty() && !said.ends_with('.'), || {
                        format!("{id}: {name}.{sentence} {said:?}")
                    });
                }
            }
            self.check(!resumed || items(connection, "reasons").is_empty(), || {
                format!("{id}: resumed, with reasons")
            });
        }
    }
}

fn is_hex(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c))
}

/// RFC 3339, UTC, nine fractional digits.
fn is_time(text: &str) -> bool {
    let form = "0000-00-00T00:00:00.000000000Z";
    let digits: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    digits == form
}

/// The value at a dotted path.
fn at_path<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(object, |value, name| value.get(name))
}

fn problems_of(report: &Value) -> Vec<String> {
    let mut reader = Reader {
        report,
        problems: Vec::new(),
    };
    reader.read();
    reader.problems
}

#[test]
fn every_report_keeps_its_contract() {
    let mut problems = Vec::new();
    for fixture in fixtures() {
        let found = problems_of(&fixture.report());
        problems.extend(found.into_iter().map(|problem| format!("{}: {problem}", fixture.name)));
    }
    assert_none("breaches of the contract", &problems);
}

#[test]
fn a_report_that_breaks_its_contract_is_noticed() {
    let report = crate::common::fixture("captures/tls10-closes").report();
    assert!(problems_of(&report).is_empty());
    let broken = |pointer: &str, value: Value| {
        let mut changed = report.clone();
        *changed.pointer_mut(pointer).expect("a value") = value;
        problems_of(&changed).len()
    };
    for (pointer, value) in [
        ("/schema", Value::from("reshake-report/2")),
        ("/connections/0/first/frame", Value::from(0)),
        ("/connections/0/first/frame", Value::from(1_000_000)),
        ("/connections/0/first/capture", Value::from(3)),
        ("/connections/0/started", Value::from("2026-11-20T12:00:00Z")),
        ("/connections/0/id", Value::from("c123")),
        ("/connections/0/service", Value::from("s0123456789")),
        ("/connections/0/number", Value::from(7)),
        ("/connections/0/server_name", Value::from("")),
        ("/connections/0/outcome", Value::from("unclear")),
        ("/connections/0/not_visible/backend", Value::from("mist")),
        ("/connections/1/not_visible", serde_json::json!({"outcome": "gap"})),
        ("/connections/1/not_visible", serde_json::json!({"no.such.path": "gap"})),
        ("/connections/0/reasons/0/evidence", Value::Array(Vec::new())),
        ("/summary/connections", Value::from(1)),
        ("/summary/outcomes/resumed", Value::from(9)),
        ("/summary/offers/made", Value::from(9)),
        ("/services/0/timeline", Value::Array(Vec::new())),
        ("/credentials/0/offers/0/connection", Value::from("c0123456789")),
    ] {
        assert!(broken(pointer, value.clone()) > 0, "{pointer} = {value} passes");
    }
}

#[test]
fn the_lines_are_the_document_in_pieces() {
    for fixture in fixtures() {
        let (engine, captures) = fixture.run(Limits::default());
        let mut out = Vec::new();
        json::write_lines(&Report::of(&engine, captures.clone()), &mut out).expect("written to memory");
        let document = report_of((engine, captures));
        let out = String::from_utf8(out).expect("UTF-8");
        assert!(out.ends_with('\n'));
        let lines: Vec<Map<String, Value>> = out
            .lines()
            .map(|line| serde_json::from_str(line).expect("an object a line"))
            .collect();
        let name = &fixture.name;
        for (index, line) in lines.iter().enumerate() {
            assert_eq!(line.contains_key("schema"), index == 0, "{name}: line {index}");
        }
        let end = lines.last().expect("a line");
        assert_eq!(end["type"], "summary", "{name}");
        let mut rebuilt: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for line in &lines {
            let mut object = line.clone();
            object.remove("schema");
            let kind = object.remove("type").expect("a type");
            let list = match kind.as_str().expect("a string") {
                "capture" => "captures",
                "connection" => "connections",
                "credential" => "credentials",
                "service" => "services",
                "pattern" => "patterns",
                "finding" => "findings",
                "summary" => "summary",
                other => panic!("{name}: a line of type {other}"),
            };
            rebuilt.entry(list).or_default().push(Value::Object(object));
        }
        for list in ["captures", "connections", "credentials", "services"] {
            let pieces = rebuilt.remove(list).unwrap_or_default();
            assert_eq!(Value::Array(pieces), document[list], "{name}: {list}");
        }
        assert_eq!(rebuilt["summary"], [document["summary"].clone()], "{name}");
        // What stands in the services has lines of its own as well, each with the id of its service.
        for list in ["patterns", "findings"] {
            let inside = items(&document, "services").iter().flat_map(|service| {
                items(service, list).iter().cloned().map(|mut value| {
                    value["service"] = service["id"].clone();
                    value
                })
            });
            let pieces = rebuilt.remove(list).unwrap_or_default();
            assert_eq!(pieces, inside.collect::<Vec<Value>>(), "{name}: {list}");
        }
    }
}

#[test]
fn every_member_of_every_schema_is_described() {
    fn walk(value: &Value, path: &str, missing: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                let members = object.get("properties").and_then(Value::as_object);
                for (name, member) in members.into_iter().flatten() {
                    // The mark that tells the kinds of one member apart is a constant.
                    if member.get("description").is_none() && member.get("const").is_none() {
                        missing.push(format!("{path}/{name}"));
                    }
                }
                for (name, inner) in object {
                    walk(inner, &format!("{path}/{name}"), missing);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, path, missing)),
            _ => {}
        }
    }
    let schemas = [
        json::schema(false),
        reshake::check::render::schema(false),
        reshake::diff::schema(false),
        reshake::what_if::render::schema(false),
    ];
    let mut missing = Vec::new();
    for schema in &schemas {
        walk(schema, text(schema, "title").unwrap_or_default(), &mut missing);
        let id = text(schema, "$id").unwrap_or_default();
        assert!(id.starts_with("https://") && id.ends_with(".schema.json"), "{id}");
        let about = text(schema, "description").unwrap_or_default();
        assert!(about.contains("Within this version"), "{about}");
    }
    assert_none("members without a description", &missing);
}

#[test]
fn a_summary_leaves_connections_out_and_says_the_same_of_everything_else() {
    let (engine, captures) = crate::common::fixture("captures/quickstart").run(Limits::default());
    let report = Report::of(&engine, captures);
    let written = |write: fn(&Report<'_>, &mut dyn std::io::Write) -> std::io::Result<()>| -> Map<String, Value> {
        let mut out = Vec::new();
        write(&report, &mut out).expect("written to memory");
        serde_json::from_slice(&out).expect("JSON")
    };
    let mut whole = written(json::write_document);
    let short = written(json::write_summary);
    assert!(whole.remove("connections").is_some() && whole.remove("credentials").is_some());
    assert_eq!(Value::Object(whole), Value::Object(short.clone()));
    let open = jsonschema::validator_for(&json::schema(true)).expect("a schema");
    assert!(open.is_valid(&Value::Object(short.clone())));
    // Lists hold what was counted, not what might have been.
    let reasons = short["summary"]["reasons"].as_array().expect("reasons");
    assert!(!reasons.is_empty() && reasons.iter().all(|reason| reason["connections"] != 0));
}
