//! The table of rivals in `docs/diagnosis.md`: each pair of causes that look the same has a fixture and near misses, and they
//! are told what the page says.

use std::collections::BTreeSet;
use std::fs;

use crate::common::{Fixture, assert_none, fixture, fixtures, items, root, text};

/// Where the table stands.
const HEADING: &str = "## Rivals, pair by pair";
/// Pairs of rivals that there are.
const PAIRS: usize = 22;

/// A fixture with its reasons, as a cell of the table names them: `name` and `reason` with its confidence.
type Named = (String, BTreeSet<String>);

/// One pair: what it is called, its fixtures, its near misses.
struct Pair {
    name: String,
    fixtures: Vec<Named>,
    near_misses: Vec<Named>,
}

/// "`captures/x`: `reason` possible, `other` observed<br>`captures/y`: nothing".
fn named(cell: &str) -> Vec<Named> {
    let each = cell.split("<br>").filter_map(|part| part.split_once(':'));
    each.map(|(name, reasons)| {
        let reasons = reasons.trim().split(", ").filter(|reason| *reason != "nothing");
        (bare(name), reasons.map(bare).collect())
    })
    .collect()
}

fn bare(text: &str) -> String {
    text.trim().replace('`', "")
}

fn pairs() -> Vec<Pair> {
    let page = fs::read_to_string(root().join("docs/diagnosis.md")).expect("the page");
    let (_, section) = page.split_once(HEADING).expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    // Without the head of the table and the line below it.
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, fixtures, near_misses, _] = cells.as_slice() else {
            panic!("not four cells: {row}");
        };
        Pair {
            name: (*name).to_owned(),
            fixtures: named(fixtures),
            near_misses: named(near_misses),
        }
    })
    .collect()
}

/// What its connections are told first, plain first visits left out.
fn told(fixture: &Fixture) -> BTreeSet<String> {
    let report = fixture.report();
    let first = items(&report, "connections")
        .iter()
        .filter_map(|connection| items(connection, "reasons").first());
    let words = first.map(|reason| {
        let word = |name| text(reason, name).unwrap_or_default();
        format!("{} {}", word("name"), word("confidence"))
    });
    words.filter(|words| words != "first-in-capture observed").collect()
}

#[test]
fn every_pair_of_rivals_has_a_fixture_and_a_near_miss() {
    let pairs = pairs();
    assert!(pairs.len() >= PAIRS, "{} pairs", pairs.len());
    let there: BTreeSet<String> = fixtures().into_iter().map(|fixture| fixture.name).collect();
    let mut problems = Vec::new();
    for pair in &pairs {
        if pair.fixtures.is_empty() || pair.near_misses.is_empty() {
            problems.push(format!("{}: no fixture, or no near miss", pair.name));
        }
        let both = pair.fixtures.iter().chain(&pair.near_misses);
        let missing = both.filter(|(name, _)| !there.contains(name));
        problems.extend(missing.map(|(name, _)| format!("{}: there is no {name}", pair.name)));
    }
    assert_none("pairs without their fixtures", &problems);
}

#[test]
fn rivals_are_told_what_the_page_says_and_what_happened() {
    let mut problems = Vec::new();
    for pair in pairs() {
        for (name, said) in pair.fixtures.into_iter().chain(pair.near_misses) {
            let fixture = fixture(&name);
            let told = told(&fixture);
            if told != said {
                problems.push(format!("{name}: the page says {said:?}, told is {told:?}"));
            }
            let connections = fixture.truth.connections.iter();
            let truth: BTreeSet<&str> = connections
                .flat_map(|connection| connection.reason.iter().chain(&connection.reason_also))
                .map(String::as_str)
                .collect();
            for words in &said {
                let reason = words.split(' ').next().unwrap_or_default();
                if !truth.contains(reason) {
                    problems.push(format!("{name}: {reason} is not what happened"));
                }
            }
        }
    }
    assert_none("the table of rivals", &problems);
}
