//! What another farm would do, held against farms that were there: one crowd of clients before each.

use std::path::PathBuf;

use crate::common::{analyse, assert_committed, assert_none, fixtures, folders, root, sources};
use reshake::model::{Report, Selection};
use reshake::what_if::render::{self, WhatIf};
use reshake::what_if::{Balance, Plan, Share};
use reshake_core::engine::{Engine, Limits};
use reshake_core::net::Capture;
use serde::Deserialize;
use serde_json::Value;

/// How far off a prediction may be.
const POINTS: f64 = 0.05;

/// What was measured before one farm, by the logs of clients and servers.
#[derive(Debug, Deserialize)]
struct Truth {
    file: Option<String>,
    arrangement: Arrangement,
    measured: Measured,
}

#[derive(Debug, Deserialize)]
struct Arrangement {
    balance: String,
    share: String,
    backends: u16,
}

#[derive(Debug, Deserialize)]
struct Measured {
    connections: u64,
    offers: u64,
    resumed: u64,
}

impl Measured {
    #[allow(clippy::cast_precision_loss)] // a thousand or so
    fn rate(&self) -> f64 {
        self.resumed as f64 / self.offers as f64
    }
}

fn folder(name: &str) -> PathBuf {
    root().join("fixtures/what-if").join(name)
}

fn truth(name: &str) -> Truth {
    let text = std::fs::read_to_string(folder(name).join("truth.json")).expect("a truth");
    serde_json::from_str(&text).expect("a truth of this form")
}

fn plan(arrangement: &Arrangement) -> Plan {
    let balance = Balance::ALL
        .into_iter()
        .find(|balance| balance.code() == arrangement.balance);
    let share = Share::ALL.into_iter().find(|share| share.code() == arrangement.share);
    Plan {
        backends: arrangement.backends,
        balance: balance.expect("a way to balance"),
        share: share.expect("something to share"),
        timeout: None,
        key_rotation: None,
        seed: 1,
    }
}

fn run(name: &str) -> (Engine, Vec<Capture>) {
    let file = truth(name).file.expect("a capture is kept");
    analyse(sources(&[folder(name).join(file)]), Limits::default())
}

fn ask((engine, captures): &(Engine, Vec<Capture>), plans: &[Plan], selection: Option<&str>) -> WhatIf {
    let selection = selection.map(|text| Selection::parse(text).expect("a selection"));
    WhatIf::of(&Report::of_selected(engine, captures.clone(), selection), plans)
}

/// Which farms are predicted from the capture of which: all that gave the same kind of session, or shared its state.
const PREDICTED: &[(&str, &[&str])] = &[
    (
        "source-hash",
        &[
            "round-robin-ids",
            "three-backends",
            "shared-tickets",
            "shared-cache",
            "least-connections",
            "session-id",
        ],
    ),
    (
        "round-robin-tickets",
        &[
            "source-hash",
            "round-robin-ids",
            "three-backends",
            "shared-tickets",
            "shared-cache",
            "least-connections",
            "session-id-tickets",
        ],
    ),
    ("tls13-source-hash", &["tls13-round-robin", "tls13-shared-tickets"]),
];

/// A farm predicted from another one.
struct Prediction {
    source: &'static str,
    farm: &'static str,
    expected: f64,
    measured: f64,
}

fn predictions() -> Vec<Prediction> {
    let mut all = Vec::new();
    for (source, farms) in PREDICTED {
        let captured = run(source);
        for farm in *farms {
            let Truth {
                arrangement, measured, ..
            } = truth(farm);
            assert!(measured.offers >= 1000, "{farm}: {measured:?}");
            let answer = ask(&captured, &[plan(&arrangement)], None);
            let expected = answer.expected[0].expectation.rate().expect("reconnects");
            all.push(Prediction {
                source,
                farm,
                expected,
                measured: measured.rate(),
            });
        }
    }
    all
}

#[test]
fn farms_are_predicted_within_five_points_from_the_capture_of_another() {
    let far = |prediction: &&Prediction| (prediction.expected - prediction.measured).abs() > POINTS;
    let wrong: Vec<String> = predictions()
        .iter()
        .filter(far)
        .map(|one| {
            let Prediction {
                source,
                farm,
                expected,
                measured,
            } = one;
            format!("{source} → {farm}: expected {expected:.3}, measured {measured:.3}")
        })
        .collect();
    assert_none("predictions off by more than 5 points", &wrong);
}

#[test]
fn the_page_shows_how_good_the_predictions_are() {
    let page = std::fs::read_to_string(root().join("docs/what-if.md")).expect("the page");
    let (before, rest) = page.split_once("|---|---|--:|--:|\n").expect("a table");
    let (_, after) = rest.split_once("\n\n").expect("text after it");
    let rows: Vec<String> = predictions()
        .iter()
        .map(|one| {
            let (expected, measured) = (one.expected * 100.0, one.measured * 100.0);
            format!("| {} | {} | {expected:.1} % | {measured:.1} % |", one.source, one.farm)
        })
        .collect();
    let made = format!("{before}|---|---|--:|--:|\n{}\n\n{after}", rows.join("\n"));
    assert_committed("docs/what-if.md", &made);
}

#[test]
fn every_farm_that_was_measured_is_predicted_or_predicts() {
    let named = |name: &str| {
        let of = |(source, farms): &(&str, &[&str])| *source == name || farms.contains(&name);
        PREDICTED.iter().any(of)
    };
    let names = folders(&root().join("fixtures/what-if"));
    assert!(names.len() >= 12, "{names:?}");
    let missing: Vec<String> = names.into_iter().filter(|name| !named(name)).collect();
    assert_none("farms that nothing is held against", &missing);
}

#[test]
fn the_reconnects_of_a_capture_are_those_that_the_logs_know() {
    for name in ["source-hash", "round-robin-tickets", "tls13-source-hash"] {
        let measured = truth(name).measured;
        let census = ask(&run(name), &[], None).crowd.census;
        let found = (census.connections, census.reconnects, census.resumed);
        assert_eq!(
            found,
            (measured.connections, measured.offers, measured.resumed),
            "{name}"
        );
        assert_eq!(
            census.newcomers + census.never_offer + census.reconnects,
            census.connections,
            "{name}"
        );
    }
}

#[test]
fn one_backend_resumes_all_that_a_capture_resumed_and_the_farm_refused() {
    let one = Plan {
        backends: 1,
        balance: Balance::RoundRobin,
        share: Share::Nothing,
        timeout: None,
        key_rotation: None,
        seed: 1,
    };
    let mut wrong = Vec::new();
    // The halves of its connections stand under two addresses, and what the one issued the other does not know.
    let halves = "captures/nat-point-both-addresses";
    for fixture in fixtures().into_iter().filter(|fixture| fixture.name != halves) {
        let answer = ask(&fixture.run(Limits::default()), &[one], None);
        let (census, expectation) = (&answer.crowd.census, &answer.expected[0].expectation);
        let sum: u64 = census.newcomers + census.never_offer + census.did_not_offer + census.given_nothing;
        let all = sum + census.unknown_origin + census.undecided + census.reconnects;
        if expectation.resumed < census.resumed
            || expectation.reconnects != census.reconnects
            || all != census.connections
        {
            wrong.push(format!("{}: {census:?} {expectation:?}", fixture.name));
        }
    }
    assert_none("what one backend would lose", &wrong);
}

#[test]
fn a_selection_is_counted_and_everything_is_replayed() {
    let captured = run("round-robin-tickets");
    let plan = plan(&truth("round-robin-tickets").arrangement);
    let all = ask(&captured, &[plan], None);
    let some = ask(&captured, &[plan], Some("client:10.0.0.110"));
    let others = ask(&captured, &[plan], Some("-client:10.0.0.110"));
    let resumed = |answer: &WhatIf| answer.expected[0].expectation.resumed;
    let reconnects = |answer: &WhatIf| answer.crowd.census.reconnects;
    assert!(reconnects(&some) > 20, "{:?}", some.crowd.census);
    assert_eq!(reconnects(&some) + reconnects(&others), reconnects(&all));
    assert_eq!(resumed(&some) + resumed(&others), resumed(&all));
}

#[test]
fn the_document_is_valid_and_its_schema_committed() {
    let schema = render::schema(false);
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
    text.push('\n');
    assert_committed("docs/what-if-v1.schema.json", &text);
    let validator = jsonschema::validator_for(&render::schema(true)).expect("a schema");
    let plans: Vec<Plan> = Balance::ALL
        .into_iter()
        .flat_map(|balance| {
            Share::ALL.map(|share| Plan {
                backends: 2,
                balance,
                share,
                timeout: Some(60),
                key_rotation: Some(60),
                seed: 7,
            })
        })
        .collect();
    for name in [
        "captures/quickstart",
        "captures/hello-as-content",
        "reasons/stek-not-shared",
    ] {
        let fixture = crate::common::fixture(name);
        let mut out = Vec::new();
        let answer = ask(&fixture.run(Limits::default()), &plans, None);
        render::write_json(&answer, None, &mut out).expect("written to memory");
        let document: Value = serde_json::from_slice(&out).expect("one document");
        let errors: Vec<String> = validator
            .iter_errors(&document)
            .map(|error| error.to_string())
            .collect();
        assert_none(&fixture.name, &errors);
        assert_eq!(document["expected"].as_array().map(Vec::len), Some(plans.len()));
    }
}
