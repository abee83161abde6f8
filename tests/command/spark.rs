//! A distributed engine over facts, against one run: the script of `docs/scale.md` with Spark from its package.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::packets::{RawPacket, read, write};
use crate::common::{fixture, items, root, text};
use assert_cmd::cargo::cargo_bin;
use reshake_core::net::{Decoded, FrameDecoder};
use serde_json::Value;

/// Captures that are shared out: sessions that are not shared between backends, a failover, one service under two
/// names, tickets of TLS 1.3, both legs of a balancer, QUIC servers that were started anew, and DTLS beside TLS.
const FIXTURES: [&str; 8] = [
    "captures/quickstart",
    "reasons/failover-no-shared-state",
    "reasons/sni-mismatch",
    "captures/stek-not-shared-tls13",
    "captures/balancer-both-legs",
    "captures/quic-restart",
    "captures/quic-ngtcp2",
    "captures/dtls12",
];

/// The Python to use, where it can run Spark; why not, where it cannot.
fn python() -> Result<String, &'static str> {
    let runs = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        output.is_ok_and(|output| output.status.success())
    };
    let python = std::env::var("PYSPARK_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    if !runs("java", &["-version"]) {
        return Err("there is no Java");
    }
    if !runs(&python, &["-c", "import pyspark"]) {
        return Err("Python has no pyspark (pip install pyspark, and PYSPARK_PYTHON names that Python)");
    }
    Ok(python)
}

/// Every fixture as two captures, each with every second client, in a folder.
fn shared_out(folder: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for name in FIXTURES {
        let all = read(fixture(name).path());
        let mut parts = [Vec::<RawPacket>::new(), Vec::new()];
        for (packet, port) in all.iter().zip(client_ports(&all)) {
            let place = port.map_or(0, |port| usize::from(port / 2 % 2));
            parts[place].push(packet.clone());
        }
        for (part, number) in parts.iter().zip(0..) {
            assert!(!part.is_empty(), "{name}: one part has nothing");
            let path = folder.join(format!("{}-{number}.pcapng", name.replace('/', "-")));
            std::fs::write(&path, write(part)).expect("a temporary file");
            paths.push(path);
        }
    }
    paths
}

/// The port of the client in each packet of TCP or UDP: the higher one.
fn client_ports(all: &[RawPacket]) -> Vec<Option<u16>> {
    let mut decoder = FrameDecoder::new();
    let ports = all.iter().zip(1..).map(|(packet, frame)| {
        let decoded = decoder.decode(&packet.packet(frame));
        match decoded {
            Decoded::Segment(segment) => Some(segment.source.port.max(segment.destination.port)),
            Decoded::Datagram(datagram) => Some(datagram.source.port.max(datagram.destination.port)),
            _ => None,
        }
    });
    ports.collect()
}

/// What is stated of each connection, but for its number among those of one group.
fn verdicts(connections: impl IntoIterator<Item = Value>) -> BTreeMap<String, Value> {
    let stated = |mut connection: Value| {
        let object = connection.as_object_mut().expect("an object");
        // The clock of a group begins with all captures, and so does that of one run.
        for member in ["number", "type", "schema"] {
            object.remove(member);
        }
        (text(&connection, "id").expect("an id").to_owned(), connection)
    };
    connections.into_iter().map(stated).collect()
}

#[test]
fn spark_over_shared_out_captures_gives_the_verdicts_of_one_run() {
    let python = match python() {
        Ok(python) => python,
        Err(why) => {
            // Past what the test runner keeps to itself: a skipped test must be seen.
            let _ = writeln!(std::io::stderr(), "skipped: Spark is not run, because {why}");
            return;
        }
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let paths = shared_out(folder.path());
    let spark = Command::new(&python)
        .arg(root().join("fixtures/lab/spark.py"))
        .arg("--reshake")
        .arg(cargo_bin("reshake"))
        .args(&paths)
        .output()
        .expect("Python runs");
    assert!(spark.status.success(), "{}", String::from_utf8_lossy(&spark.stderr));
    let lines = String::from_utf8(spark.stdout).expect("UTF-8");
    let spread = verdicts(lines.lines().map(|line| serde_json::from_str(line).expect("JSON")));

    let local = Command::new(cargo_bin("reshake"))
        .args(["analyze", "-q", "--format", "json"])
        .args(&paths)
        .output()
        .expect("reshake runs");
    let local: Value = serde_json::from_slice(&local.stdout).expect("a report");
    let local = verdicts(items(&local, "connections").iter().cloned());
    assert!(local.len() > 50, "only {} connections", local.len());
    for transport in ["tcp", "quic", "dtls"] {
        assert!(
            local.values().any(|connection| connection["transport"] == transport),
            "{transport}"
        );
    }
    assert_eq!(spread.keys().collect::<Vec<_>>(), local.keys().collect::<Vec<_>>());
    for (id, connection) in &local {
        assert_eq!(&spread[id], connection, "{id}");
    }
}
