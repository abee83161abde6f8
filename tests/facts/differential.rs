//! Against another reader of the same packets: tshark, where it is installed. Hellos, versions, session IDs and tickets are
//! counted the same, or the difference is explained.
//!
//! Without tshark the test says so and passes; it is a large package, and continuous integration does not install it.

#![allow(clippy::print_stderr, reason = "what is not compared is said")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use crate::common::changes::{duplicate, reorder, split_segments};
use crate::common::packets::{self, RawPacket};
use crate::common::{Random, assert_none, single_files};
use reshake_core::engine::Limits;
use reshake_core::net::{Endpoint, hex};
use reshake_core::session::{Connection, Mechanism, TransportKind};
use sha2::{Digest, Sha256};

/// The random of a HelloRetryRequest (RFC 8446 §4.1.3).
const HELLO_RETRY_REQUEST: &str = "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c";

/// What is looked for in each packet.
const FIELDS: [&str; 13] = [
    "frame.protocols",
    "ip.src",
    "ipv6.src",
    "tcp.srcport",
    "ip.dst",
    "ipv6.dst",
    "tcp.dstport",
    "tls.handshake.type",
    "tls.handshake.version",
    "tls.handshake.extensions.supported_version",
    "tls.handshake.session_id",
    "tls.handshake.session_ticket",
    "tls.handshake.random",
];

/// Where the two differ, and why: fixture, kinds of facts, reason. Each must still differ.
const EXPLAINED: &[(&str, &[&str], &str)] = &[
    ("captures/answers-rewritten", ANSWER_AND_TICKETS, TRANSLATED),
    ("captures/nat-point", ANSWER, TRANSLATED),
    ("captures/nat-point-port", ANSWER, TRANSLATED),
    ("captures/nat-point-two-servers", ANSWER, TRANSLATED),
    (
        "captures/balancer-both-legs",
        BOTH_HELLOS,
        "two legs of one handshake are one connection here",
    ),
    (
        "captures/ftp-active",
        BOTH_HELLOS,
        "tshark takes port 20 for FTP data and looks for nothing else in it",
    ),
    (
        "captures/rdp",
        ALL,
        "tshark takes port 3389 for RDP and does not follow its change to TLS",
    ),
    (
        "captures/vendor-prefix",
        BOTH_HELLOS,
        "tshark finds TLS at the start of a segment, not behind bytes of another protocol in it",
    ),
    (
        "captures/wrapped-ip-in-ip",
        ALL,
        "the client's port, 57000, is one of IRC for tshark, and goes before the content",
    ),
    (
        "captures/wrapped-too-deep",
        BOTH_HELLOS,
        "more headers than are decoded here, which the report says",
    ),
    ("captures/keys-in-between", &["tickets"], SECRETS),
    ("captures/keys-in-front", &["tickets"], SECRETS),
    ("reasons/capture-incomplete", &["tickets"], BEHIND_A_GAP),
    (
        "reasons/client-cannot-offer-v2-hello",
        &["client hellos"],
        "a hello in SSLv2 format has no handshake header, and tshark gives it no handshake type",
    ),
];

const ANSWER: &[&str] = &["server hellos", "session ids", "versions"];
const ANSWER_AND_TICKETS: &[&str] = &["server hellos", "session ids", "tickets", "versions"];
const BOTH_HELLOS: &[&str] = &["client hellos", "server hellos", "session ids", "versions"];
const ALL: &[&str] = &["client hellos", "server hellos", "session ids", "tickets", "versions"];
const TRANSLATED: &str = "answers come from another address: one connection here, two halves for tshark";
const SECRETS: &str = "tshark opens records with the secrets in the file; they are not taken up here";
const BEHIND_A_GAP: &str = "the ServerHello is lost; records are found again behind the gap here, and not by tshark";

/// What is seen between two endpoints, on all connections between them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Facts {
    client_hellos: usize,
    server_hellos: usize,
    /// Of each ServerHello that is no HelloRetryRequest.
    versions: Vec<u16>,
    /// Bytes of the session ID of each of those.
    session_ids: Vec<usize>,
    /// Those IDs: here the ones that a server issued, there all of them.
    ids: BTreeSet<String>,
    /// SHA-256 of the tickets issued in clear.
    tickets: BTreeSet<String>,
}

type Seen = BTreeMap<[String; 2], Facts>;

fn pair(a: String, b: String) -> [String; 2] {
    let mut ends = [a, b];
    ends.sort();
    ends
}

fn ours(path: &Path) -> Seen {
    let (engine, _) = crate::common::analyse(crate::common::sources(&[path.to_owned()]), Limits::default());
    let mut seen = Seen::new();
    // tshark 4.0 takes one connection over QUIC for two where packets are out of order, and has other fields for it.
    let tcp = |connection: &Connection| connection.transport.kind() == TransportKind::Tcp;
    for (_, connection) in engine
        .connection_store()
        .iter()
        .filter(|(_, connection)| tcp(connection))
    {
        let ends = [connection.client, connection.server].map(|end: Endpoint| format!("{} {}", end.ip, end.port));
        let [a, b] = ends;
        let facts = seen.entry(pair(a, b)).or_default();
        add(facts, connection);
        for credential in connection
            .issued
            .iter()
            .filter_map(|id| engine.credential_store().get(*id))
        {
            match credential.mechanism {
                Mechanism::SessionId => facts.ids.insert(hex(credential.name.head())),
                Mechanism::Ticket => facts.tickets.insert(hex(&credential.name.sha256)),
                Mechanism::Psk => false,
            };
        }
    }
    sorted(seen)
}

fn add(facts: &mut Facts, connection: &Connection) {
    if let Some(hello) = connection.hello.yes() {
        facts.client_hellos += 1;
        let retry = connection.retry.as_deref();
        let first = retry.filter(|retry| retry.first_hello != retry.request && retry.first_hello != hello.at);
        facts.client_hellos += usize::from(first.is_some());
    }
    facts.server_hellos += usize::from(connection.retry.is_some());
    if let Some(answer) = connection.answer.yes() {
        facts.server_hellos += 1;
        facts.versions.push(answer.version.0);
        facts.session_ids.push(usize::from(answer.session_id_length));
    }
}

fn sorted(mut seen: Seen) -> Seen {
    for facts in seen.values_mut() {
        facts.versions.sort_unstable();
        facts.session_ids.sort_unstable();
    }
    seen.retain(|_, facts| *facts != Facts::default());
    seen
}

/// What tshark sees; `None` where it cannot be run.
fn theirs(path: &Path) -> Option<Seen> {
    let mut command = Command::new("tshark");
    command.args(["-n", "-Y", "tls.handshake", "-o", "tcp.reassemble_out_of_order:TRUE"]);
    command.args([
        "-T",
        "fields",
        "-E",
        "separator=|",
        "-E",
        "occurrence=a",
        "-E",
        "aggregator=,",
    ]);
    for field in FIELDS {
        command.args(["-e", field]);
    }
    let output = command.arg("-r").arg(path).output().ok()?;
    let text = String::from_utf8(output.stdout).expect("tshark writes UTF-8");
    let mut seen = Seen::new();
    for line in text.lines() {
        let cells: Vec<Vec<&str>> = line
            .split('|')
            .map(|cell| cell.split(',').filter(|part| !part.is_empty()).collect())
            .collect();
        let [protocols, v4_from, v6_from, from_port, v4_to, v6_to, to_port, rest @ ..] = cells.as_slice() else {
            panic!("another number of fields: {line}");
        };
        // QUIC is not read here.
        let (Some(_), Some(_)) = (from_port.last(), to_port.last()) else {
            continue;
        };
        // The innermost address stands last.
        let layers = protocols.first().map_or("", |layers| *layers);
        let is_v6 = layers.rsplit(':').find(|layer| ["ip", "ipv6"].contains(layer)) == Some("ipv6");
        let end = |v4: &[&str], v6: &[&str], port: &[&str]| {
            let ip = if is_v6 { v6.last() } else { v4.last() }.expect("an address");
            format!("{ip} {}", port.last().expect("a port"))
        };
        let ends = pair(end(v4_from, v6_from, from_port), end(v4_to, v6_to, to_port));
        note(seen.entry(ends).or_default(), rest);
    }
    Some(sorted(seen))
}

/// Adds what one packet shows. Several hellos of a packet have their fields in the same order.
fn note(facts: &mut Facts, cells: &[Vec<&str>]) {
    let [types, versions, supported, ids, tickets, randoms] = cells else {
        panic!("another number of fields: {cells:?}");
    };
    facts.client_hellos += types.iter().filter(|kind| **kind == "1").count();
    let answers = types.iter().filter(|kind| **kind == "2").count();
    facts.server_hellos += answers;
    let retry = randoms.contains(&HELLO_RETRY_REQUEST);
    if answers > 0 && !retry {
        let code = |text: &&str| {
            let digits = text.strip_prefix("0x").unwrap_or(text);
            u16::from_str_radix(digits, 16).unwrap_or_else(|e| panic!("version {text}: {e}"))
        };
        facts.versions.extend(supported.last().or(versions.last()).map(code));
        facts.session_ids.push(ids.last().map_or(0, |id| id.len() / 2));
        facts.ids.extend(ids.last().map(|id| (*id).to_owned()));
    }
    let tickets = tickets
        .iter()
        .filter(|ticket| ticket.bytes().all(|digit| digit.is_ascii_hexdigit()));
    for ticket in tickets.filter(|_| types.contains(&"4")) {
        let digits: Vec<u8> = (0..ticket.len() / 2)
            .map(|at| u8::from_str_radix(&ticket[2 * at..2 * at + 2], 16).expect("hex"))
            .collect();
        facts.tickets.insert(hex(&Sha256::digest(&digits)));
    }
}

/// Which kinds of facts differ, with both values.
fn differences(ours: &Seen, theirs: &Seen) -> BTreeMap<&'static str, String> {
    let mut found = BTreeMap::new();
    let ends: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    for ends in ends {
        let [a, b] = [ours, theirs].map(|seen| seen.get(ends).cloned().unwrap_or_default());
        let mut compare = |kind, same: bool, values: String| {
            if !same {
                found
                    .entry(kind)
                    .or_insert_with(|| format!("{}: {values}", ends.join(" - ")));
            }
        };
        let both = |a: &dyn std::fmt::Debug, b: &dyn std::fmt::Debug| format!("here {a:?}, tshark {b:?}");
        compare(
            "client hellos",
            a.client_hellos == b.client_hellos,
            both(&a.client_hellos, &b.client_hellos),
        );
        compare(
            "server hellos",
            a.server_hellos == b.server_hellos,
            both(&a.server_hellos, &b.server_hellos),
        );
        compare("versions", a.versions == b.versions, both(&a.versions, &b.versions));
        compare(
            "session ids",
            a.session_ids == b.session_ids && a.ids.is_subset(&b.ids),
            both(&a.session_ids, &b.session_ids),
        );
        compare(
            "tickets",
            a.tickets == b.tickets,
            both(&a.tickets.len(), &b.tickets.len()),
        );
    }
    found
}

fn is_installed() -> bool {
    let there = Command::new("tshark")
        .arg("-v")
        .output()
        .is_ok_and(|output| output.status.success());
    if !there {
        eprintln!("tshark is not installed: nothing is compared with it");
    }
    there
}

/// Compares captures, in two halves on two threads. A difference that is explained must be there.
fn compare(captures: &[(String, std::path::PathBuf)]) -> (usize, Vec<String>) {
    let run = |(name, path): &(String, std::path::PathBuf)| {
        let (ours, theirs) = (ours(path), theirs(path).expect("tshark runs"));
        let count: usize = ours
            .values()
            .map(|facts| facts.client_hellos + facts.server_hellos)
            .sum();
        let found = differences(&ours, &theirs);
        let explained: Vec<&str> = EXPLAINED
            .iter()
            .filter(|(fixture, ..)| fixture == name)
            .flat_map(|(_, kinds, _)| kinds.iter().copied())
            .collect();
        let mut problems: Vec<String> = found
            .iter()
            .filter(|(kind, _)| !explained.contains(kind))
            .map(|(kind, line)| format!("{name}: {kind}: {line}"))
            .collect();
        problems.extend(
            explained
                .iter()
                .filter(|kind| !found.contains_key(*kind))
                .map(|kind| format!("{name}: {kind} are the same now: take them off the list")),
        );
        (count, problems)
    };
    let (left, right) = captures.split_at(captures.len() / 2);
    let all: Vec<(usize, Vec<String>)> = std::thread::scope(|scope| {
        let other = scope.spawn(|| right.iter().map(run).collect::<Vec<_>>());
        let mut all: Vec<_> = left.iter().map(run).collect();
        all.extend(other.join().expect("no panic in the other half"));
        all
    });
    let hellos = all.iter().map(|(count, _)| count).sum();
    (hellos, all.into_iter().flat_map(|(_, problems)| problems).collect())
}

#[test]
fn tshark_sees_the_same_in_every_fixture() {
    if !is_installed() {
        return;
    }
    let captures: Vec<_> = single_files()
        .into_iter()
        .map(|fixture| (fixture.name.clone(), fixture.path().to_owned()))
        .collect();
    let (hellos, problems) = compare(&captures);
    assert!(hellos > 2_000, "only {hellos} hellos were compared");
    assert_none("differences from tshark", &problems);
}

/// Packets in another order, twice, and in other sizes, all at once.
#[test]
fn tshark_sees_the_same_in_messy_traffic() {
    if !is_installed() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut captures = Vec::new();
    for fixture in single_files()
        .iter()
        .filter(|fixture| fixture.name.starts_with("reasons/"))
        .step_by(3)
    {
        let all = packets::read(fixture.path());
        let mut random = Random::seeded(&fixture.name, 20);
        let messy = mess_up(&all, &mut random);
        let path = folder.path().join(format!("{}.pcapng", fixture.folder()));
        std::fs::write(&path, packets::write(&messy)).expect("written");
        captures.push((format!("messy/{}", fixture.folder()), path));
    }
    assert!(captures.len() > 20);
    let (hellos, problems) = compare(&captures);
    assert!(hellos > 100, "only {hellos} hellos were compared");
    assert_none("differences from tshark", &problems);
}

fn mess_up(all: &[RawPacket], random: &mut Random) -> Vec<RawPacket> {
    let split = split_segments(all, random);
    let moved = reorder(&split, random);
    duplicate(&moved, random)
}
