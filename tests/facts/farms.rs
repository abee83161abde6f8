//! Hundreds of connections over three servers behind one address: every label against the servers' own logs. One
//! machine told as two, or two as one, is wrong; where nothing tells them apart there is no label.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::{endpoint, folders, items, report_of, root, text};
use reshake_core::engine::Limits;
use serde_json::Value;

/// Connections of each capture.
const CONNECTIONS: usize = 400;

/// The report, and for each client's endpoint the server that really answered.
fn farm(name: &str) -> (Value, BTreeMap<String, String>) {
    let folder = root().join("fixtures/farms").join(name);
    let truth = std::fs::read(folder.join("truth.json")).expect("a truth");
    let truth: Value = serde_json::from_slice(&truth).expect("JSON");
    let path = folder.join(text(&truth, "file").expect("a file"));
    let report = report_of(crate::common::analyse(
        crate::common::sources(&[path]),
        Limits::default(),
    ));
    let member = |connection: &Value, member| text(connection, member).expect("a string").to_owned();
    let backends = items(&truth, "connections")
        .iter()
        .map(|connection| (member(connection, "client"), member(connection, "backend")))
        .collect();
    (report, backends)
}

/// Which servers are behind each label, and how many connections have none.
fn labelled(
    report: &Value,
    truth: &BTreeMap<String, String>,
    label: &str,
) -> (BTreeMap<String, BTreeSet<String>>, usize) {
    let mut behind: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut without = 0;
    let connections = items(report, "connections");
    assert_eq!((connections.len(), truth.len()), (CONNECTIONS, CONNECTIONS));
    for connection in connections {
        let backend = truth
            .get(&endpoint(&connection["client"]))
            .expect("a connection of the truth");
        match text(connection, label) {
            Some(label) => {
                behind.entry(label.to_owned()).or_default().insert(backend.clone());
            }
            None => without += 1,
        }
    }
    (behind, without)
}

/// Three labels, each for one server alone, and none left over.
fn assert_one_to_one(behind: &BTreeMap<String, BTreeSet<String>>) {
    assert_eq!(behind.len(), 3, "{behind:?}");
    assert!(behind.values().all(|servers| servers.len() == 1), "{behind:?}");
    let servers: BTreeSet<&String> = behind.values().flatten().collect();
    assert_eq!(servers.len(), 3, "{behind:?}");
}

/// The labels of the service, with their counts.
fn counts(report: &Value, list: &str) -> Vec<u64> {
    let [service] = items(report, "services") else {
        panic!("one service")
    };
    let count = |label: &Value| label["connections"].as_u64().expect("a count");
    items(service, list).iter().map(count).collect()
}

#[test]
fn machines_marked_by_ttl_are_told_apart() {
    let (report, truth) = farm("three-backends-by-ttl");
    let (behind, without) = labelled(&report, &truth, "backend");
    assert_one_to_one(&behind);
    assert_eq!(without, 0);
    assert_eq!(counts(&report, "backends").iter().sum::<u64>(), CONNECTIONS as u64);
    let [service] = items(&report, "services") else {
        panic!("one service")
    };
    let marks: BTreeSet<&str> = items(service, "backends")
        .iter()
        .flat_map(|backend| crate::common::texts(backend, "because"))
        .filter(|mark| mark.starts_with("server TTL"))
        .collect();
    assert_eq!(marks.len(), 3, "{marks:?}");
}

/// Ticket keys tell who honours whose tickets. They are no mark of a machine: workers have keys of their own, too.
#[test]
fn servers_with_ticket_keys_of_their_own_are_cache_domains_and_no_machines() {
    let (report, truth) = farm("three-backends-by-ticket-keys");
    let (behind, without) = labelled(&report, &truth, "cache_domain");
    assert_one_to_one(&behind);
    assert_eq!(without, 0);
    assert_eq!(labelled(&report, &truth, "backend").1, CONNECTIONS);
    assert!(counts(&report, "backends").is_empty());
}

#[test]
fn where_nothing_tells_servers_apart_there_is_no_label() {
    let (report, truth) = farm("three-backends-unmarked");
    for label in ["backend", "cache_domain"] {
        assert_eq!(labelled(&report, &truth, label).1, CONNECTIONS, "{label}");
    }
    for list in ["backends", "cache_domains"] {
        assert!(counts(&report, list).is_empty(), "{list}");
    }
}

#[test]
fn every_farm_is_held_against_its_truth() {
    let known = [
        "three-backends-by-ticket-keys",
        "three-backends-by-ttl",
        "three-backends-unmarked",
    ];
    assert_eq!(folders(&root().join("fixtures/farms")), known);
}

#[test]
fn a_swapped_pair_of_connections_is_noticed() {
    let (report, mut truth) = farm("three-backends-by-ttl");
    let first = truth.values().next().expect("a connection").clone();
    let other = truth
        .values_mut()
        .find(|backend| **backend != first)
        .expect("another server");
    *other = first;
    let (behind, _) = labelled(&report, &truth, "backend");
    assert!(behind.values().any(|servers| servers.len() > 1));
}
