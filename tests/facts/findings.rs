//! The catalogue of security findings, held to its own rules; and every finding met by every fixture.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::common::{assert_committed, assert_none, fixtures, folders, items, root, text};
use reshake_core::diagnosis::security::{FINDINGS, FindingKind};
use serde_json::Value;

/// What a name must not end in to find its finding.
const NEAR_MISS: &str = "-near-miss";

/// What is wrong with the way a finding is written.
fn faults(kind: &FindingKind) -> Vec<String> {
    let mut faults = Vec::new();
    let mut check = |right: bool, fault: &str| {
        if !right {
            faults.push(format!("{}: {fault}", kind.name));
        }
    };
    let kebab = kind
        .name
        .split('-')
        .all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()));
    check(
        kebab && !kind.name.ends_with(NEAR_MISS),
        "its name is not in kebab case",
    );
    let length = kind.summary.chars().count();
    check(
        (1..=80).contains(&length),
        "its summary has no or more than 80 characters",
    );
    check(!kind.summary.ends_with('.'), "its summary ends with a full stop");
    check(
        !kind.advice.is_empty() && !kind.advice.ends_with('.'),
        "its advice is no clause",
    );
    check(kind.advice.contains('('), "its advice names no setting of a product");
    check(!kind.spec.is_empty(), "it cites nothing");
    for heading in ["## What it means", "## How we know"] {
        let mut lines = kind.text.lines().map(str::trim);
        let body = lines
            .find(|line| *line == heading)
            .and_then(|_| lines.find(|line| !line.is_empty()));
        check(
            body.is_some_and(|line| !line.starts_with('#')),
            &format!("nothing stands under {heading:?}"),
        );
    }
    faults
}

/// A finding of a report, in one line, without what changes when a fixture is made again.
fn told(finding: &Value) -> String {
    let part = |member| text(finding, member).expect("a string");
    let (severity, confidence) = (part("severity"), part("confidence"));
    format!("{severity} {confidence}, {} frames", items(finding, "evidence").len())
}

/// Every finding on every fixture: fixture, server and what was told.
fn matrix() -> BTreeMap<&'static str, BTreeMap<String, Vec<String>>> {
    let mut matrix: BTreeMap<&'static str, BTreeMap<String, Vec<String>>> =
        FINDINGS.iter().map(|kind| (kind.name, BTreeMap::new())).collect();
    for fixture in fixtures() {
        for service in items(&fixture.report(), "services") {
            for finding in items(service, "findings") {
                matrix
                    .get_mut(text(finding, "name").expect("a name"))
                    .expect("a finding of the catalogue")
                    .entry(fixture.name.clone())
                    .or_default()
                    .push(told(finding));
            }
        }
    }
    matrix
}

#[test]
fn every_finding_is_written_as_the_catalogue_wants_it() {
    let problems: Vec<String> = FINDINGS.iter().flat_map(|kind| faults(kind)).collect();
    assert_none("faults in the catalogue", &problems);
    let names: BTreeSet<&str> = FINDINGS.iter().map(|kind| kind.name).collect();
    assert_eq!(names.len(), FINDINGS.len());
    for kind in FINDINGS {
        assert!(FindingKind::by_name(kind.name).is_some_and(|found| std::ptr::eq(found, *kind)));
    }
}

#[test]
fn every_finding_has_a_fixture_and_a_near_miss_and_every_folder_a_finding() {
    let there: BTreeSet<String> = folders(&root().join("fixtures/findings")).into_iter().collect();
    let wanted: BTreeSet<String> = FINDINGS
        .iter()
        .flat_map(|kind| [kind.name.to_owned(), format!("{}{NEAR_MISS}", kind.name)])
        .collect();
    assert_eq!(there, wanted);
}

#[test]
fn a_finding_holds_in_its_fixture_and_not_in_its_near_miss() {
    let matrix = matrix();
    let mut problems = Vec::new();
    for kind in FINDINGS {
        let held = &matrix[kind.name];
        let fixture = format!("findings/{}", kind.name);
        if !held.contains_key(&fixture) {
            problems.push(format!("{}: not told in its fixture", kind.name));
        }
        if held.contains_key(&format!("{fixture}{NEAR_MISS}")) {
            problems.push(format!("{}: told in its near miss", kind.name));
        }
    }
    assert_none(
        "findings that are not told where they should, or told where they should not",
        &problems,
    );
}

/// A rule that fires where it should not shows in the review of this file.
#[test]
fn every_finding_on_every_fixture_is_as_committed() {
    let mut lines =
        String::from("# finding: fixture, for each service that it is told of: severity, confidence, frames\n");
    for (name, held) in matrix() {
        let _ = writeln!(lines, "\n{name}");
        for (fixture, services) in held {
            let _ = writeln!(lines, "  {fixture}: {}", services.join("; "));
        }
    }
    assert_committed("fixtures/findings.snap", &lines);
}

/// Severity and confidence are words of the contract, and every finding has frames.
#[test]
fn a_finding_is_told_as_the_contract_says() {
    let report = crate::common::fixture("findings/ticket-key-older-than-a-day").report();
    let findings: Vec<&Value> = items(&report, "services")
        .iter()
        .flat_map(|service| items(service, "findings"))
        .collect();
    let [finding] = findings.as_slice() else {
        panic!("{findings:?}")
    };
    assert_eq!(finding["name"], "ticket-key-older-than-a-day");
    assert_eq!(finding["severity"], "warning");
    assert_eq!(finding["confidence"], "observed");
    assert!(
        text(finding, "summary").is_some_and(|summary| summary.contains("30 hours")),
        "{finding}"
    );
    assert!(text(finding, "advice").is_some_and(|advice| advice.contains("ssl_session_ticket_key")));
    let frames: Vec<u64> = items(finding, "evidence")
        .iter()
        .filter_map(|seen| seen["frame"].as_u64())
        .collect();
    let first = frames.first().copied().expect("a frame");
    assert!(
        frames.len() == 2 && frames.iter().all(|frame| *frame >= first),
        "{finding}"
    );
}

/// In JSON lines each finding has a line of its own, which names its service.
#[test]
fn a_finding_is_a_line_of_its_own() {
    let fixture = crate::common::fixture("findings/stek-all-zero");
    let (engine, captures) = fixture.run(reshake_core::engine::Limits::default());
    let report = reshake::model::Report::of(&engine, captures);
    let mut out = Vec::new();
    reshake::render::json::write_lines(&report, &mut out).expect("written to memory");
    let lines: Vec<Value> = out
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).expect("JSON"))
        .collect();
    let of = |kind: &'static str| lines.iter().filter(move |line| line["type"] == kind);
    let service = of("service").next().expect("a service");
    let finding = of("finding").next().expect("a finding");
    assert_eq!(finding["name"], "stek-all-zero");
    assert_eq!(finding["service"], service["id"]);
    assert_eq!(of("finding").count(), items(service, "findings").len());
}
