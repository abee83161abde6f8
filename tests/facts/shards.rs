//! Facts of several runs, joined, against one run over everything.

use std::collections::BTreeMap;

use crate::common::facts::{contradictions, differences, frameless, origin, stated};
use crate::common::joined::{facts_of, joined, judged};
use crate::common::packets::{RawPacket, parse, read, write};
use crate::common::{Fixture, Random, assert_none, fixture, fixtures, items, report_of, single_files, text};
use reshake::facts::{self, FactsPlace, FactsReader};
use reshake_core::diagnosis::Reason;
use reshake_core::engine::{Joining, Limits};
use reshake_core::net::{Decoded, FrameDecoder};
use serde_json::Value;

fn whole(packets: &[RawPacket]) -> Value {
    crate::common::report_of_bytes(vec![write(packets)])
}

/// The order in which credentials were met, and that of who offered them, is that of packets, which no fact keeps.
fn in_one_order(mut report: Value) -> Value {
    let by = |list: &mut Value, member: &'static str| {
        let list = list.as_array_mut().expect("a list");
        list.sort_by_key(|item| text(item, member).map(str::to_owned));
    };
    for credential in report["credentials"].as_array_mut().expect("a list") {
        by(&mut credential["offers"], "connection");
    }
    by(&mut report["credentials"], "id");
    report
}

fn over<'a>(fixtures: &'a [Fixture], check: impl Fn(&'a Fixture) -> Vec<String>) -> Vec<String> {
    let named = |fixture: &'a Fixture| {
        let problems = check(fixture);
        problems
            .into_iter()
            .take(3)
            .map(move |problem| format!("{}: {problem}", fixture.name))
    };
    fixtures.iter().flat_map(named).collect()
}

fn tree(report: &Value) -> BTreeMap<String, Value> {
    frameless(&in_one_order(report.clone()))
}

#[test]
fn a_report_made_of_facts_is_the_report() {
    let fixtures = fixtures();
    let problems = over(&fixtures, |fixture| {
        let before = BTreeMap::from([("report".to_owned(), in_one_order(fixture.report()))]);
        let made = judged(&[facts_of(crate::common::sources(&fixture.paths))]);
        differences(
            &before,
            &BTreeMap::from([("report".to_owned(), in_one_order(made))]),
            &[],
        )
    });
    assert_none("reports that differ", &problems);
}

#[test]
fn every_line_of_facts_is_of_the_schema() {
    let schemas = [false, true].map(|strict| jsonschema::validator_for(&facts::schema(strict)).expect("a schema"));
    let fixtures = fixtures();
    let problems = over(&fixtures, |fixture| {
        let lines = facts_of(crate::common::sources(&fixture.paths));
        let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let values = lines.map(|line| serde_json::from_slice::<Value>(line).expect("JSON"));
        let wrong = |value: Value| {
            let first = |schema: &jsonschema::Validator| {
                let error = schema.iter_errors(&value).next()?;
                Some(format!(
                    "{} {}",
                    error.instance_path(),
                    error.to_string().get(..200).unwrap_or_default()
                ))
            };
            schemas.iter().find_map(first)
        };
        values.filter_map(wrong).collect()
    });
    assert_none("lines that break the schema", &problems);
}

/// Connections shared out between two sensors by their clients, whatever their servers: what one issued is offered on
/// the other. Linux gives out every second port.
fn by_flow(all: &[RawPacket]) -> [Vec<RawPacket>; 2] {
    let mut parts = [Vec::new(), Vec::new()];
    for (packet, parsed) in all.iter().zip(parse(all)) {
        let shard = parsed.map_or(0, |parsed| usize::from(parsed.client().port / 2 % 2));
        parts[shard].push(packet.clone());
    }
    parts
}

/// Fragments of a datagram cannot be told apart by their ports.
fn is_fragmented(fixture: &Fixture) -> bool {
    fixture.name.contains("fragment")
}

#[test]
fn two_shards_by_flow_are_judged_as_one_run() {
    let mut fixtures = single_files();
    // That nobody answered a close_notify over UDP shows in the packets of other flows alone: those that came later.
    fixtures.retain(|fixture| !["dtls-fragments", "dtls-gnutls"].contains(&fixture.folder()));
    fixtures.retain(|fixture| !fixture.truth.no_times && !is_fragmented(fixture));
    let shared = std::sync::atomic::AtomicUsize::new(0);
    let problems = over(&fixtures, |fixture| {
        let all = read(fixture.path());
        let parts = by_flow(&all);
        let both = parts.iter().all(|part| !part.is_empty());
        shared.fetch_add(usize::from(both), std::sync::atomic::Ordering::Relaxed);
        differences(&tree(&whole(&all)), &tree(&joined(&parts)), &[])
    });
    assert_none("verdicts that differ", &problems);
    assert!(shared.into_inner() > 100, "hardly any capture was shared out");
}

#[test]
fn what_two_sensors_saw_is_one_connection() {
    let fixtures = single_files();
    let problems = over(&fixtures, |fixture| {
        let all = read(fixture.path());
        let mut later = all.clone();
        for packet in &mut later {
            packet.time += 300_000;
        }
        // Of connections without TLS, those that were seen whole are only counted.
        differences(
            &tree(&whole(&all)),
            &tree(&joined(&[all, later])),
            &["other_connections"],
        )
    });
    assert_none("verdicts that differ", &problems);
}

/// The server answers from another address than the client called. Which two flows are one shows in the packets of
/// both, and no fact keeps those.
fn is_translated(fixture: &Fixture) -> bool {
    fixture
        .truth
        .connections
        .iter()
        .any(|connection| connection.answers_from.is_some())
        || fixture.name.contains("nat-point")
}

/// Reasons that are stated with confidence and say more than that there was no offer, or that its refusal has no
/// explanation.
fn confident(connection: &Value) -> Vec<&str> {
    let sure = |reason: &&Value| matches!(text(reason, "confidence"), Some("observed" | "inferred"));
    let reasons = items(connection, "reasons").iter().filter(sure);
    let says_something =
        |name: &&str| *name != "client-did-not-offer" && Reason::by_name(name).is_some_and(|reason| !reason.neutral);
    let names = reasons.filter_map(|reason| text(reason, "name"));
    names.filter(says_something).collect()
}

/// What the joined report states of connections that the whole one does not.
fn invented(before: &Value, after: &Value) -> Vec<String> {
    let known = stated(before);
    let mut problems = Vec::new();
    for part in stated(after) {
        let id = text(part.value, "id").expect("an id");
        let Some(of) = origin(&known, &part) else {
            problems.push(format!("{id} was not there"));
            continue;
        };
        problems.extend(
            contradictions(of.value, part.value)
                .into_iter()
                .map(|line| format!("{id} {line}")),
        );
        let [was, is] = [of.value, part.value].map(|connection| &connection["close"]["class"]);
        if !is.is_null() && is != was {
            problems.push(format!("{id} close was {was}, is {is}"));
        }
        if part.value["outcome"] == of.value["outcome"] {
            let reasons = confident(of.value);
            let new = confident(part.value)
                .into_iter()
                .filter(|reason| !reasons.contains(reason));
            problems.extend(new.map(|reason| format!("{id} reason {reason} is new, was {reasons:?}")));
        }
    }
    problems
}

/// Cut in two by time, at several places.
fn cuts(all: &[RawPacket], fixture: &Fixture) -> Vec<usize> {
    let mut random = Random::seeded(&fixture.name, 21);
    (0..6).map(|_| 1 + random.below(all.len().saturating_sub(2))).collect()
}

#[test]
fn a_connection_over_two_shards_is_joined_and_nothing_is_made_up() {
    let mut fixtures = single_files();
    fixtures.retain(|fixture| !fixture.truth.no_times && !is_translated(fixture));
    let count = [const { std::sync::atomic::AtomicUsize::new(0) }; 3];
    let add = |place: usize, by: usize| count[place].fetch_add(by, std::sync::atomic::Ordering::Relaxed);
    let problems = over(&fixtures, |fixture| {
        let mut all = read(fixture.path());
        all.sort_by_key(|packet| packet.time);
        let before = whole(&all);
        let told = stated(&before);
        let cut = |at: usize| {
            let (first, second) = all.split_at(at.min(all.len()));
            let after = joined(&[first.to_vec(), second.to_vec()]);
            for connection in &told {
                // Those that lie over the cut.
                let span = [&connection.value["first"], &connection.value["last"]].map(|frame| frame["frame"].as_u64());
                let over =
                    span[0].is_some_and(|frame| frame <= at as u64) && span[1].is_some_and(|frame| frame > at as u64);
                if over {
                    let id = text(connection.value, "id");
                    let same = items(&after, "connections")
                        .iter()
                        .find(|other| text(other, "id") == id);
                    let outcome = same.is_some_and(|other| other["outcome"] == connection.value["outcome"]);
                    let close = same.is_some_and(|other| other["close"]["class"] == connection.value["close"]["class"]);
                    add(0, 1);
                    add(1, usize::from(outcome));
                    add(2, usize::from(close));
                }
            }
            invented(&before, &after)
                .into_iter()
                .map(move |line| format!("cut after {at}: {line}"))
        };
        cuts(&all, fixture).into_iter().flat_map(cut).collect()
    });
    let [torn, outcomes, closes] = count.map(std::sync::atomic::AtomicUsize::into_inner);
    assert_none("statements without ground", &problems);
    assert!(
        torn > 100 && outcomes * 2 > torn && closes * 2 > torn,
        "{torn} {outcomes} {closes}"
    );
}

/// The answer to a SYN shows no SYN of the client's: its number alone tells that both are of one connection.
#[test]
fn a_connection_of_which_one_shard_has_the_syn_alone_begins_with_it() {
    let all = read(fixture("captures/quickstart").path());
    let before = whole(&all);
    let told = items(&before, "connections");
    assert!(told.len() > 10);
    for connection in told {
        let syn = connection["first"]["frame"].as_u64().expect("a frame");
        let (first, second) = all.split_at(usize::try_from(syn).expect("few"));
        let after = joined(&[first.to_vec(), second.to_vec()]);
        let others = |report: &Value| report["summary"]["other_connections"].clone();
        assert_eq!(others(&after), others(&before), "cut after {syn}");
        let same = items(&after, "connections")
            .iter()
            .find(|other| other["id"] == connection["id"]);
        let same = same.unwrap_or_else(|| panic!("cut after {syn}: it has another id"));
        for fact in ["/outcome", "/started", "/first", "/close/class"] {
            assert_eq!(same.pointer(fact), connection.pointer(fact), "cut after {syn}");
        }
    }
}

/// What goes from the lower end to the higher, and what goes back, over TCP or UDP.
fn directions(all: &[RawPacket]) -> (Vec<RawPacket>, Vec<RawPacket>) {
    let mut decoder = FrameDecoder::new();
    let mut goes_back = |packet: &&RawPacket| match decoder.decode(&packet.packet(1)) {
        Decoded::Segment(segment) => segment.source >= segment.destination,
        Decoded::Datagram(datagram) => datagram.source >= datagram.destination,
        _ => false,
    };
    let (down, up): (Vec<_>, Vec<_>) = all.iter().partition(&mut goes_back);
    let packets = |list: Vec<&RawPacket>| list.into_iter().cloned().collect();
    (packets(up), packets(down))
}

#[test]
fn halves_of_connections_are_joined_and_nothing_is_made_up() {
    let mut fixtures = single_files();
    fixtures.retain(|fixture| !fixture.truth.no_times && !is_translated(fixture));
    let problems = over(&fixtures, |fixture| {
        let all = read(fixture.path());
        let (up, down) = directions(&all);
        if up.is_empty() || down.is_empty() {
            return Vec::new();
        }
        invented(&whole(&all), &joined(&[up, down]))
    });
    assert_none("statements without ground", &problems);
}

fn over_udp() -> Vec<Fixture> {
    let mut fixtures = single_files();
    fixtures.retain(|fixture| {
        let name = fixture.name.strip_prefix("captures/").unwrap_or_default();
        name.starts_with("quic") && name != "quickstart" || name.starts_with("dtls")
    });
    assert!(fixtures.len() > 10, "{}", fixtures.len());
    fixtures
}

/// What is stated of a connection beside its outcome, and must not be denied.
const FACTS: [&str; 7] = [
    "/dtls/connection_id",
    "/dtls/cookie",
    "/quic/retry",
    "/quic/version",
    "/quic/version_negotiation",
    "/cost/handshake_bytes/client",
    "/cost/handshake_bytes/server",
];

#[test]
fn a_handshake_over_udp_that_lies_in_two_shards_is_one_connection() {
    let fixtures = over_udp();
    let problems = over(&fixtures, |fixture| {
        let mut all = read(fixture.path());
        all.sort_by_key(|packet| packet.time);
        let before = whole(&all);
        let known = items(&before, "connections");
        let cut = |at: usize| {
            let (first, second) = all.split_at(at);
            let after = joined(&[first.to_vec(), second.to_vec()]);
            let told = items(&after, "connections");
            let mut problems = Vec::new();
            for one in told {
                let ends = |it: &Value| [it["client"].clone(), it["server"].clone()];
                let count = |list: &[Value]| list.iter().filter(|it| ends(it) == ends(one)).count();
                if count(told) > count(known) {
                    problems.push(format!("cut after {at}: {} is told twice", one["client"]));
                }
                let Some(same) = known.iter().find(|it| it["id"] == one["id"]) else {
                    continue;
                };
                for path in FACTS {
                    let hidden = one["not_visible"].get(path[1..].replace('/', ".")).is_some();
                    let (was, is) = (same.pointer(path), one.pointer(path));
                    if was != is && !hidden {
                        problems.push(format!("cut after {at}: {path} was {was:?}, is {is:?}"));
                    }
                }
            }
            problems
        };
        (1..all.len()).flat_map(cut).collect()
    });
    assert_none("connections torn in two", &problems);
}

#[test]
fn directions_of_dtls_in_two_shards_are_one_connection() {
    let mut fixtures = over_udp();
    fixtures.retain(|fixture| fixture.name.contains("dtls"));
    let problems = over(&fixtures, |fixture| {
        let all = read(fixture.path());
        let (up, down) = directions(&all);
        if up.is_empty() || down.is_empty() {
            return Vec::new();
        }
        let outcomes = |report: &Value| report["summary"]["outcomes"].to_string();
        let (before, after) = (outcomes(&whole(&all)), outcomes(&joined(&[up, down])));
        let same = before == after;
        (!same)
            .then(|| format!("{before} became {after}"))
            .into_iter()
            .collect()
    });
    assert_none("connections torn in two", &problems);
}

#[test]
fn directions_that_do_not_come_in_turn_stay_two() {
    let fixture = crate::common::fixture("captures/dtls-one-port");
    let all = read(fixture.path());
    let (up, mut down) = directions(&all);
    // A clock that is ahead by more than an association lasts.
    let ahead = down
        .first()
        .zip(all.last())
        .map_or(0, |(first, last)| last.time - first.time);
    for packet in &mut down {
        packet.time += ahead;
    }
    let connections = joined(&[up, down])["summary"]["connections"].clone();
    assert_eq!(connections, 2 * fixture.truth.connections.len());
}

/// Numbers, letters and whole members of lines changed at random.
fn spoiled(line: &[u8], random: &mut Random) -> Vec<u8> {
    let mut line = line.to_vec();
    for _ in 0..=random.below(3) {
        let at = random.below(line.len());
        match random.below(4) {
            0 => line[at] = b"0123456789abcdefx-\"{}[],:"[random.below(25)],
            1 => drop(line.remove(at)),
            2 => line.insert(at, b"0123456789"[random.below(10)]),
            _ => {
                // A number becomes a large one.
                let digits = line.iter().skip(at).position(u8::is_ascii_digit).map(|more| at + more);
                if let Some(digit) = digits {
                    line.splice(digit..=digit, *b"4294967295");
                }
            }
        }
        if line.is_empty() {
            break;
        }
    }
    line
}

#[test]
fn spoiled_facts_are_faults_or_facts_and_never_a_crash() {
    let mut faults = 0;
    let mut taken = 0;
    for fixture in single_files().iter().step_by(5) {
        let lines = facts_of(crate::common::sources(&fixture.paths));
        let mut random = Random::seeded(&fixture.name, 33);
        for _ in 0..6 {
            let (mut reader, mut joining) = (FactsReader::default(), Joining::new(Limits::default()));
            for file in 0..2 {
                let mut at = FactsPlace::default();
                for (place, line) in lines.split(|byte| *byte == b'\n').enumerate() {
                    let spoil = random.below(3) == 0 && !line.is_empty() && (place > 0 || file > 0);
                    let line = if spoil {
                        spoiled(line, &mut random)
                    } else {
                        line.to_vec()
                    };
                    match reader.read(&mut at, &line) {
                        Ok(fact) => {
                            taken += 1;
                            if let Some(fact) = fact {
                                fact.enter(0, &mut joining);
                            }
                        }
                        Err(fault) => {
                            faults += 1;
                            assert_eq!(fault.line, place as u64 + 1);
                            assert!(!fault.problem.contains('\n') && !fault.problem.is_empty());
                        }
                    }
                }
            }
            report_of(joining.finish());
        }
    }
    assert!(faults > 100 && taken > 1000, "{faults} faults, {taken} lines taken");
}

#[test]
fn facts_that_contradict_themselves_are_faults() {
    let fixture = crate::common::fixture("captures/quickstart");
    let lines = facts_of(crate::common::sources(&fixture.paths));
    let text = String::from_utf8(lines).expect("UTF-8");
    let (header, connections) = text.split_once('\n').expect("a header");
    for (right, wrong, problem) in [
        ("\"accepted\":0", "\"accepted\":9", "accepted"),
        ("\"main\":[[0,1],", "\"main\":[[0,9999],", "spans"),
        ("\"main\":[[0,1],", "\"main\":[[1,1],", "no capture of its header"),
        ("\"main\":[[0,1],", "\"main\":[[0,0],", "no capture of its header"),
        ("\"started\":1796", "\"started\":1896", "ended"),
        // A session ID of 32 bytes, and something behind it.
        ("00000000\",\"seal\"", "00000001\",\"seal\"", "head"),
        ("\"clean-client\"", "\"clean-nobody\"", "unknown variant"),
    ] {
        let line = connections.lines().find(|line| line.contains(right)).expect(right);
        let (mut reader, mut place) = (FactsReader::default(), FactsPlace::default());
        let mut read = |line: &str| reader.read(&mut place, line.as_bytes());
        read(header).expect("a header");
        read(line).expect("as it was written");
        let fault = read(&line.replacen(right, wrong, 1)).expect_err(wrong);
        assert!(fault.problem.contains(problem), "{wrong}: {}", fault.problem);
    }
}
