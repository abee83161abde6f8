//! What is kept of finished connections: at most one kilobyte each, and never more than the limit in all.

use crate::common::{Fixture, assert_none, fixtures, items, report_of, text};
use reshake::capture::Timeline;
use reshake_core::decrypt::KeyLogReader;
use reshake_core::engine::{Engine, Limits};
use reshake_core::net::Capture;
use reshake_core::session::{Connection, Credential};
use serde_json::Value;

/// A finished connection, with what it issued and offered.
const PER_CONNECTION: usize = 1024;

fn run(fixture: &Fixture, kept_bytes: usize) -> (Engine, Vec<Capture>) {
    fixture.run(Limits {
        kept_bytes,
        ..Limits::default()
    })
}

/// Bytes that the finished connections of a run hold, each credential counted once: what the allocator gives is
/// rounded up to 16 bytes and has a header of 8; an entry of the credential store's index takes 32 with its room to grow.
fn held(engine: &Engine) -> usize {
    let allocated = |bytes: usize| {
        if bytes == 0 {
            0
        } else {
            (bytes + 8).next_multiple_of(16)
        }
    };
    let connections = engine.connection_store().iter().map(|(_, connection)| {
        allocated(size_of::<Connection>())
            + allocated(size_of_val(connection.offers.as_slice()))
            + allocated(size_of_val(connection.issued.as_slice()))
            + size_of::<usize>()
    });
    let credentials = engine.credential_store().iter().map(|(_, credential)| {
        allocated(size_of::<Credential>()) + allocated(size_of_val(credential.offers.as_slice())) + 32
    });
    connections.chain(credentials).sum()
}

#[test]
fn a_finished_connection_takes_at_most_a_kilobyte() {
    let (mut measured, mut connections) = (0, 0);
    for fixture in fixtures() {
        let (engine, _) = run(&fixture, usize::MAX);
        let connection_store = engine.connection_store();
        assert!(
            connection_store.bytes() >= held(&engine) * 9 / 10,
            "{}: more is held than counted",
            fixture.name
        );
        measured += held(&engine);
        connections += connection_store.len();
    }
    let each = measured / connections;
    assert!(each <= PER_CONNECTION, "{each} bytes a connection over all fixtures");
    assert!(each > size_of::<Connection>(), "nothing was measured");
}

/// With keys every ticket of TLS 1.3 is kept, too, and servers issue two at once.
#[test]
fn finished_connections_read_with_keys_take_at_most_a_kilobyte() {
    let (mut measured, mut connections, mut tickets) = (0, 0, 0);
    for fixture in fixtures() {
        let log = std::fs::read(fixture.paths[0].with_file_name("keylog.txt")).unwrap_or_default();
        let mut timeline = Timeline::new(crate::common::sources(&fixture.paths));
        let mut engine = Engine::new(Limits::default());
        engine.read_keys(&mut KeyLogReader::default(), &log);
        while let Some(packet) = timeline.next() {
            engine.push(&packet);
        }
        engine.finish();
        measured += held(&engine);
        connections += engine.connection_store().len();
        let read = engine
            .credential_store()
            .iter()
            .filter(|(_, credential)| credential.psk.is_some());
        tickets += read.count();
    }
    let each = measured / connections;
    assert!(each <= PER_CONNECTION, "{each} bytes a connection, of {connections}");
    assert!(tickets > 100, "only {tickets} tickets were read");
}

fn outcomes(report: &Value) -> u64 {
    let outcomes = report["summary"]["outcomes"].as_object().expect("an object");
    outcomes.values().filter_map(Value::as_u64).sum()
}

/// Legs of one handshake that were folded away before they met count as two connections.
const TWICE: &[&str] = &["captures/balancer-both-legs"];

#[test]
fn at_the_limit_the_oldest_fold_into_counts_and_the_report_says_how_many() {
    let limit = 4 * PER_CONNECTION;
    let mut folded = 0;
    for fixture in fixtures() {
        let name = &fixture.name;
        let (all, _) = run(&fixture, usize::MAX);
        let (few, captures) = run(&fixture, limit);
        let connection_store = few.connection_store();
        assert!(
            connection_store.bytes() <= limit || connection_store.len() <= 1,
            "{name}: {} bytes",
            connection_store.bytes()
        );
        let evicted = connection_store.evicted_total();
        let total = u64::try_from(connection_store.len()).expect("a small number") + evicted;
        let same = total == all.connection_store().len() as u64;
        assert_eq!(
            same,
            !TWICE.contains(&name.as_str()),
            "{name}: {total} of {}",
            all.connection_store().len()
        );
        let by_service: u64 = connection_store.evicted().map(|(_, counts)| counts.total()).sum();
        assert_eq!(by_service, evicted, "{name}: counts by service");
        let report = report_of((few, captures));
        assert_eq!(report["summary"]["connections_omitted"], evicted, "{name}");
        let listed = items(&report, "connections").len() as u64;
        assert_eq!(outcomes(&report), listed + evicted, "{name}: the summary counts all");
        // What is said of a service names how much of it is known.
        for service in items(&report, "services") {
            let of_service = |connection: &&Value| {
                ["server", "server_name", "transport"]
                    .iter()
                    .all(|key| connection[key] == service[key])
            };
            let kept = items(&report, "connections").iter().filter(of_service).count() as u64;
            let total: u64 = service["outcomes"]
                .as_object()
                .expect("counts")
                .values()
                .filter_map(Value::as_u64)
                .sum();
            let answer = service["answer"].as_str().unwrap_or_default();
            let scope = match kept {
                0 => "Only the outcome",
                1 => "In the one of ",
                _ => "Among the ",
            };
            assert_eq!(
                answer.starts_with(scope) || answer.starts_with("Among those that were kept, "),
                kept < total,
                "{name}: {kept} of {total}: {answer}"
            );
        }
        // The newest stay.
        let whole = report_of(run(&fixture, usize::MAX));
        let ids = |report: &Value| {
            items(report, "connections")
                .iter()
                .map(|c| c["id"].clone())
                .collect::<Vec<_>>()
        };
        let known = ids(&report).iter().all(|id| ids(&whole).contains(id));
        assert!(known || TWICE.contains(&name.as_str()), "{name}: an id moved");
        folded += evicted;
    }
    assert!(folded > 100, "only {folded} connections were ever folded");
}

/// Reasons that say only what happened, or that nothing is known.
const BARE: [&str; 4] = [
    "capture-incomplete",
    "handshake-failed",
    "offer-of-unknown-origin",
    "rejected-unexplained",
];

/// Causes that are told with confidence, of each connection and each service.
fn sure(report: &Value) -> Vec<(String, String, u8)> {
    let level = |stated: &Value| match text(stated, "confidence") {
        Some("observed") => 2,
        Some("inferred") => 1,
        _ => 0,
    };
    let of = |holder: &Value, key: &str| {
        let id = text(holder, "id").unwrap_or_default().to_owned();
        let told = items(holder, key).iter().filter(|stated| level(stated) > 0);
        let told = told.filter_map(|stated| Some((id.clone(), text(stated, "name")?.to_owned(), level(stated))));
        told.filter(|(_, name, _)| !BARE.contains(&name.as_str()))
            .collect::<Vec<_>>()
    };
    let reasons = items(report, "connections").iter().flat_map(|it| of(it, "reasons"));
    let patterns = items(report, "services").iter().flat_map(|it| of(it, "patterns"));
    reasons.chain(patterns).collect()
}

#[test]
fn what_is_left_of_connections_makes_no_cause_surer() {
    let (mut problems, mut told) = (Vec::new(), 0);
    for fixture in fixtures() {
        let whole = sure(&report_of(run(&fixture, usize::MAX)));
        for kept in (1..=12).chain([16, 24, 32]) {
            let part = report_of(run(&fixture, kept * PER_CONNECTION));
            if part["summary"]["connections_omitted"] == 0 {
                continue;
            }
            for (id, name, level) in sure(&part) {
                told += 1;
                let known = |other: &&(String, String, u8)| other.0 == id && other.1 == name && other.2 >= level;
                if whole.iter().find(known).is_none() {
                    problems.push(format!("{}: {kept} kept: {id}: {name}", fixture.name));
                }
            }
        }
    }
    assert_none("causes that are surer with less", &problems);
    assert!(told > 100, "only {told} were told");
}

#[test]
fn folded_counts_are_those_of_the_connections() {
    let fixture = crate::common::fixture("captures/tls10-closes");
    let whole = report_of(run(&fixture, usize::MAX));
    let (engine, captures) = run(&fixture, 1);
    assert!(engine.connection_store().evicted_total() > 0);
    let report = report_of((engine, captures));
    let count = |report: &Value, outcome: &str| report["summary"]["outcomes"][outcome].as_u64().expect("a count");
    for outcome in ["resumed", "not-offered", "declined", "failed"] {
        assert_eq!(count(&report, outcome), count(&whole, outcome), "{outcome}");
    }
}
