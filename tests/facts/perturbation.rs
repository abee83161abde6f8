//! Captures that were cut, damaged, mixed up or split: what is left of the facts may become invisible, never different.
//!
//! Everything is seeded by the name of the fixture, so a failure names all that is needed to see it again.

#[path = "perturbation/damage.rs"]
mod damage;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::common::changes::{duplicate, reorder, split_segments};
use crate::common::facts::{differences, frameless, origin, stated, told_otherwise};
use crate::common::packets::{self, RawPacket};
use crate::common::{Fixture, Random, analyse, assert_none, report_of, report_of_bytes, single_files, source_of_bytes};
use reshake_core::engine::Limits;
use serde_json::Value;

/// Captures of at most so many packets are cut at every packet, larger ones at so many places.
const EVERY_CUT: usize = 120;
/// Byte offsets at which every fixture is cut.
const BYTE_CUTS: u64 = 200;
/// Damaged copies of every fixture.
const DAMAGED: u64 = 40;
/// Mixed copies of every fixture, of each kind.
const MIXED: u64 = 3;

/// Cases that fail today: what is done, and the fixture. Each must still fail, so that the list cannot rot.
const KNOWN: &[(&str, &str)] = &[
    // Nothing acknowledges an alert of DTLS: that the last one of a side is missing shows nowhere.
    ("machines and closes", "captures/dtls-restarted"),
    ("machines and closes", "captures/dtls10"),
    ("machines and closes", "captures/dtls12"),
    // Of several associations on one pair of ports the hellos are lost that told them apart.
    ("many lost packets", "captures/dtls-one-port"),
    // What is left of the content is a whole hello, and nothing else.
    ("many lost packets", "captures/hello-as-content"),
    // Around the gap records begin elsewhere in the segments.
    ("another size", "reasons/capture-incomplete"),
    // The browser opens a connection in the moment in which the first one completes: the order of two packets decides
    // whether it could have known of a ticket.
    ("another order", "captures/keys-browser"),
];

/// Runs one kind of change over all fixtures, in two halves on two threads. A known failure must fail.
fn over_all(kind: &str, change: impl Fn(&Fixture) -> Vec<String> + Sync) {
    let all = single_files();
    let run = |fixture: &Fixture| {
        let found = change(fixture);
        match (KNOWN.contains(&(kind, fixture.name.as_str())), found.is_empty()) {
            (true, true) => vec![format!("{}: is right now: take it off the list", fixture.name)],
            (true, false) => Vec::new(),
            (false, _) => found
                .into_iter()
                .map(|line| format!("{}: {line}", fixture.name))
                .collect(),
        }
    };
    let (left, right) = all.split_at(all.len() / 2);
    let problems: Vec<String> = std::thread::scope(|scope| {
        let other = scope.spawn(|| right.iter().flat_map(run).collect::<Vec<_>>());
        let mut problems: Vec<String> = left.iter().flat_map(run).collect();
        problems.extend(other.join().expect("no panic in the other half"));
        problems
    });
    assert_none(kind, &problems);
}

/// Marks each line with the case it belongs to.
fn cases(case: &str, lines: Vec<String>) -> impl Iterator<Item = String> + use<> {
    let case = case.to_owned();
    lines.into_iter().map(move |line| format!("{case}: {line}"))
}

/// All numbers below `count`, or a seeded sample of them.
fn some_of(count: usize, random: &mut Random) -> Vec<usize> {
    if count <= EVERY_CUT {
        return (0..count).collect();
    }
    (0..EVERY_CUT).map(|_| random.below(count)).collect()
}

#[test]
fn a_capture_cut_at_a_packet_states_nothing_else() {
    over_all("cut at a packet", |fixture| {
        let all = packets::read(fixture.path());
        let whole = report_of_bytes(vec![packets::write(&all)]);
        let mut random = Random::seeded(&fixture.name, 1);
        some_of(all.len(), &mut random)
            .into_iter()
            .flat_map(|count| {
                let part = report_of_bytes(vec![packets::write(&all[..count])]);
                cases(
                    &format!("first {count} packets"),
                    told_otherwise(fixture, &whole, &part),
                )
            })
            .collect()
    });
}

#[test]
fn a_capture_that_begins_late_states_nothing_else() {
    over_all("begins late", |fixture| {
        let all = packets::read(fixture.path());
        let whole = report_of_bytes(vec![packets::write(&all)]);
        let mut random = Random::seeded(&fixture.name, 2);
        some_of(all.len(), &mut random)
            .into_iter()
            .flat_map(|count| {
                let part = report_of_bytes(vec![packets::write(&all[count..])]);
                cases(
                    &format!("without the first {count} packets"),
                    told_otherwise(fixture, &whole, &part),
                )
            })
            .collect()
    });
}

#[test]
fn a_file_cut_at_any_byte_states_nothing_else() {
    over_all("cut at a byte", |fixture| {
        let bytes = fixture.bytes();
        let whole = fixture.report();
        let mut random = Random::seeded(&fixture.name, 3);
        (0..BYTE_CUTS)
            .flat_map(|_| {
                let length = random.below(bytes.len());
                // Cut inside its header, a file is no capture at all.
                let Some(source) = source_of_bytes("cut", bytes[..length].to_vec(), 0) else {
                    return cases("", Vec::new());
                };
                let part = report_of(analyse(vec![source], Limits::default()));
                cases(&format!("first {length} bytes"), told_otherwise(fixture, &whole, &part))
            })
            .collect()
    });
}

#[test]
fn flipped_bytes_never_panic() {
    over_all("flipped bytes", |fixture| {
        let bytes = fixture.bytes();
        let mut random = Random::seeded(&fixture.name, 4);
        (0..DAMAGED)
            .filter_map(|round| {
                let mut damaged = bytes.clone();
                // From a single bit to a twentieth of the file, at random places or in one stretch.
                let most = 1 << random.below(10);
                let flips = 1 + random.below(most).min(bytes.len() / 20);
                let mut at = random.below(bytes.len());
                for _ in 0..flips {
                    damaged[at] ^= u8::try_from(1 + random.below(255)).expect("a byte");
                    at = if round % 4 == 0 {
                        (at + 1) % bytes.len()
                    } else {
                        random.below(bytes.len())
                    };
                }
                let run =
                    || source_of_bytes("damaged", damaged, 0).map(|s| report_of(analyse(vec![s], Limits::default())));
                catch_unwind(AssertUnwindSafe(run))
                    .err()
                    .map(|_| format!("round {round}: panic"))
            })
            .collect()
    });
}

/// As [`flipped_bytes_never_panic`], but inside the packets, so that the reader lets every change through to the
/// decoders behind it.
#[test]
fn flipped_bytes_in_packets_never_panic() {
    over_all("flipped bytes in packets", |fixture| {
        let all = packets::read(fixture.path());
        let mut random = Random::seeded(&fixture.name, 5);
        (0..DAMAGED)
            .filter_map(|round| {
                let mut damaged = all.clone();
                for _ in 0..=random.below(all.len()) {
                    let packet = random.below(all.len());
                    let data = &mut damaged[packet].data;
                    let at = random.below(data.len());
                    if let Some(byte) = data.get_mut(at) {
                        *byte ^= u8::try_from(1 + random.below(255)).expect("a byte");
                    }
                }
                let run = || report_of_bytes(vec![packets::write(&damaged)]);
                catch_unwind(AssertUnwindSafe(run))
                    .err()
                    .map(|_| format!("round {round}: panic"))
            })
            .collect()
    });
}

/// What timing and the number of packets make, and neither the order nor the form of segments is to change.
const TIMING: [&str; 10] = [
    "avoidable",
    "bytes",
    "cost",
    "first_issued",
    "last_issued",
    "offset_seconds",
    "oldest_accepted",
    "time",
    "timeline",
    "youngest_declined",
];

fn same_facts(
    fixture: &Fixture,
    number: u64,
    change: impl Fn(&[RawPacket], &mut Random) -> Vec<RawPacket>,
) -> Vec<String> {
    let all = packets::read(fixture.path());
    let before = frameless(&report_of_bytes(vec![packets::write(&all)]));
    let mut random = Random::seeded(&fixture.name, number);
    (0..MIXED)
        .flat_map(|round| {
            let changed = change(&all, &mut random);
            let after = frameless(&report_of_bytes(vec![packets::write(&changed)]));
            cases(&format!("round {round}"), differences(&before, &after, &TIMING))
        })
        .collect()
}

#[test]
fn segments_in_another_order_change_no_fact() {
    over_all("another order", |fixture| {
        // What it is told rests on how long answers took, and that changes with the place of a segment.
        if fixture.name == "captures/store-times-out" {
            return Vec::new();
        }
        same_facts(fixture, 6, reorder)
    });
}

#[test]
fn packets_seen_twice_change_no_fact() {
    over_all("seen twice", |fixture| same_facts(fixture, 7, duplicate));
}

/// What is told of each connection, whatever frame it stands in.
fn connections(report: &Value) -> Vec<String> {
    let told = |connection: &Value| {
        let facts = [
            "client",
            "server",
            "outcome",
            "offered",
            "resumed_by",
            "tls_version",
            "close",
        ];
        let close = &connection["close"]["class"];
        let facts = facts.map(|fact| if fact == "close" { close } else { &connection[fact] });
        format!("{facts:?}")
    };
    let mut all: Vec<String> = crate::common::items(report, "connections").iter().map(told).collect();
    all.sort();
    all
}

/// `mergecap -a x x`.
#[test]
fn a_capture_appended_to_itself_has_no_connection_twice() {
    over_all("appended to itself", |fixture| {
        let all = packets::read(fixture.path());
        let twice = [all.as_slice(), all.as_slice()].concat();
        let [before, after] = [all, twice].map(|all| connections(&report_of_bytes(vec![packets::write(&all)])));
        if before == after {
            return Vec::new();
        }
        vec![format!("{} connections, {} when appended", before.len(), after.len())]
    });
}

#[test]
fn segments_of_another_size_change_no_fact() {
    over_all("another size", |fixture| same_facts(fixture, 8, split_segments));
}

#[test]
fn a_capture_in_two_files_states_the_same() {
    over_all("two files", |fixture| {
        if fixture.truth.no_times {
            // Packets without times have no order but that of their file.
            return Vec::new();
        }
        let mut all = packets::read(fixture.path());
        // Files are merged by time; what stands out of order inside one file is another test.
        all.sort_by_key(|packet| packet.time);
        let before = frameless(&report_of_bytes(vec![packets::write(&all)]));
        let mut random = Random::seeded(&fixture.name, 9);
        let places = some_of(all.len().saturating_sub(1), &mut random);
        places
            .into_iter()
            .flat_map(|at| {
                let parts = [packets::write(&all[..=at]), packets::write(&all[at + 1..])];
                let names = ["a", "b"];
                let read = |order: [usize; 2]| {
                    let sources = order.into_iter().zip(0..).map(|(part, index)| {
                        source_of_bytes(names[part], parts[part].clone(), index).expect("a capture")
                    });
                    frameless(&report_of(analyse(sources.collect(), Limits::default())))
                };
                let mut found = differences(&before, &read([0, 1]), &[]);
                found.extend(
                    differences(&before, &read([1, 0]), &[])
                        .into_iter()
                        .map(|line| format!("turned: {line}")),
                );
                cases(&format!("split after packet {}", at + 1), found)
            })
            .collect()
    });
}

/// One capture of two interfaces, each of which has one direction.
#[test]
fn an_interface_for_each_direction_states_the_same() {
    let both = std::sync::atomic::AtomicUsize::new(0);
    over_all("an interface for each direction", |fixture| {
        let all = packets::read(fixture.path());
        let back = packets::sent_back(&all);
        if back.contains(&true) && back.contains(&false) {
            both.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        let before = frameless(&report_of_bytes(vec![packets::write(&all)]));
        let after = frameless(&report_of_bytes(vec![packets::write_two_interfaces(&all, &back)]));
        differences(&before, &after, &[])
    });
    assert!(both.into_inner() > 100, "hardly any fixture has two directions");
}

/// Two taps, one for each direction: the packets of both interleave.
#[test]
fn a_file_for_each_direction_states_the_same() {
    over_all("a file for each direction", |fixture| {
        let mut all = packets::read(fixture.path());
        all.sort_by_key(|packet| packet.time);
        let before = frameless(&report_of_bytes(vec![packets::write(&all)]));
        let (mut up, mut down) = (Vec::new(), Vec::new());
        for (packet, back) in all.iter().zip(packets::sent_back(&all)) {
            if back { &mut down } else { &mut up }.push(packet.clone());
        }
        if up.is_empty() || down.is_empty() || all.windows(2).any(|two| two[0].time == two[1].time) {
            // Two packets of one moment have no order once they stand in two files.
            return Vec::new();
        }
        let after = frameless(&report_of_bytes(vec![packets::write(&up), packets::write(&down)]));
        differences(&before, &after, &[])
    });
}

#[test]
fn a_lost_packet_changes_no_fact_into_another() {
    over_all("a lost packet", |fixture| {
        let all = packets::read(fixture.path());
        let whole = report_of_bytes(vec![packets::write(&all)]);
        let mut random = Random::seeded(&fixture.name, 10);
        some_of(all.len(), &mut random)
            .into_iter()
            .flat_map(|lost| {
                let mut rest = all.clone();
                rest.remove(lost);
                let part = report_of_bytes(vec![packets::write(&rest)]);
                cases(
                    &format!("without packet {}", lost + 1),
                    told_otherwise(fixture, &whole, &part),
                )
            })
            .collect()
    });
}

#[test]
fn many_lost_packets_change_no_fact_into_another() {
    over_all("many lost packets", |fixture| {
        let all = packets::read(fixture.path());
        let whole = report_of_bytes(vec![packets::write(&all)]);
        let mut random = Random::seeded(&fixture.name, 11);
        (0..30)
            .flat_map(|round| {
                let share = 2 + random.below(10);
                let rest: Vec<RawPacket> = all.iter().filter(|_| random.below(share) > 0).cloned().collect();
                let part = report_of_bytes(vec![packets::write(&rest)]);
                cases(&format!("round {round}"), told_otherwise(fixture, &whole, &part))
            })
            .collect()
    });
}

/// Reasons that say what the capture shows, not why it happened: loss makes them true.
const OF_THE_CAPTURE: [&str; 5] = [
    "capture-incomplete",
    "first-in-capture",
    "handshake-failed",
    "offer-of-unknown-origin",
    "rejected-unexplained",
];

/// Causes that the report on a part is sure of, and that neither the whole report names nor the truth.
fn invented(fixture: &Fixture, whole: &Value, part: &Value) -> Vec<String> {
    let whole = stated(whole);
    let mut found = Vec::new();
    for connection in stated(part) {
        let Some(origin) = origin(&whole, &connection) else {
            continue;
        };
        let ends = |truth: &&crate::common::TrueConnection| {
            let mut ends = [truth.client.clone(), truth.server.clone()];
            ends.sort();
            ends == connection.ends
        };
        let truth: Vec<&str> = fixture
            .truth
            .connections
            .iter()
            .filter(ends)
            .flat_map(|truth| truth.reason.iter().chain(&truth.reason_also))
            .map(String::as_str)
            .collect();
        let known = crate::common::items(origin.value, "reasons").iter().filter_map(name_of);
        let known: Vec<&str> = known.chain(truth).chain(OF_THE_CAPTURE).collect();
        for reason in crate::common::items(connection.value, "reasons") {
            let sure = reason["confidence"] != "possible";
            if let Some(name) = name_of(reason).filter(|name| sure && !known.contains(name)) {
                found.push(format!(
                    "{}: {name} ({})",
                    connection.ends.join(" "),
                    reason["confidence"]
                ));
            }
        }
    }
    found
}

fn name_of(reason: &Value) -> Option<&str> {
    crate::common::text(reason, "name")
}

#[test]
fn many_lost_packets_invent_no_cause() {
    over_all("causes after loss", |fixture| {
        let all = packets::read(fixture.path());
        let whole = report_of_bytes(vec![packets::write(&all)]);
        let mut random = Random::seeded(&fixture.name, 12);
        (0..30)
            .flat_map(|round| {
                let share = 3 + random.below(40);
                let rest: Vec<RawPacket> = all.iter().filter(|_| random.below(share) > 0).cloned().collect();
                let part = report_of_bytes(vec![packets::write(&rest)]);
                cases(&format!("round {round}"), invented(fixture, &whole, &part))
            })
            .collect()
    });
}

/// What the report on a part states of machines and of closes, and neither the whole report nor the truth does.
fn told_of_machines_and_closes(fixture: &Fixture, whole: &Value, part: &Value) -> Vec<String> {
    let whole = stated(whole);
    let mut found = Vec::new();
    let mut machines: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for connection in stated(part) {
        let Some(origin) = origin(&whole, &connection) else {
            continue;
        };
        let label = &connection.value["backend"];
        if !label.is_null() {
            let server = crate::common::endpoint(&connection.value["server"]);
            let told = machines.entry(server).or_default();
            told.entry(origin.value["backend"].to_string())
                .or_default()
                .insert(label.to_string());
        }
        let truths = fixture.truth.connections.iter();
        let mut truths = truths.filter(|truth| {
            let mut ends = [truth.client.as_str(), truth.server.as_str()];
            ends.sort_unstable();
            ends == connection.ends
        });
        let class = |value: &Value| value["close"]["class"].as_str().map(str::to_owned);
        let (before, now) = (class(origin.value), class(connection.value));
        if let (Some(truth), None, Some(class)) = (truths.next(), truths.next(), now.clone())
            && before != now
            && !truth.close.is_empty()
            && !truth
                .close
                .iter()
                .chain(&truth.close_keys)
                .any(|accepted| *accepted == class)
        {
            found.push(format!("{}: {class}", connection.ends.join(" ")));
        }
    }
    for (server, told) in machines {
        for (one, labels) in told.into_iter().filter(|(_, labels)| labels.len() > 1) {
            found.push(format!("{server}: what was {one} is {labels:?}"));
        }
    }
    found
}

#[test]
fn lost_and_cut_packets_invent_no_machine_and_no_close() {
    over_all("machines and closes", |fixture| {
        let all = packets::read(fixture.path());
        let whole = report_of_bytes(vec![packets::write(&all)]);
        let mut random = Random::seeded(&fixture.name, 14);
        let told = |case: String, rest: &[RawPacket]| {
            let part = report_of_bytes(vec![packets::write(rest)]);
            cases(&case, told_of_machines_and_closes(fixture, &whole, &part)).collect::<Vec<_>>()
        };
        let mut found = Vec::new();
        for round in 0..20 {
            let share = 7 + random.below(60);
            let rest: Vec<RawPacket> = all.iter().filter(|_| random.below(share) > 0).cloned().collect();
            found.extend(told(format!("round {round}"), &rest));
        }
        for length in [60, 96, 200, 400] {
            let mut cut = all.clone();
            for packet in &mut cut {
                packet.data.truncate(length);
            }
            found.extend(told(format!("cut to {length}"), &cut));
        }
        for end in some_of(all.len(), &mut random).into_iter().step_by(8) {
            found.extend(told(format!("up to packet {end}"), &all[..end]));
        }
        found
    });
}

#[test]
fn a_capture_written_back_is_the_same_capture() {
    for fixture in single_files() {
        let all = packets::read(fixture.path());
        let [before, after] = [fixture.report(), report_of_bytes(vec![packets::write(&all)])];
        let found = differences(&frameless(&before), &frameless(&after), &[]);
        assert_none(&fixture.name, &found);
    }
}

/// The comparison itself must be able to fail.
#[test]
fn a_changed_fact_is_noticed() {
    let fixture = &crate::common::fixture("captures/tls10-closes");
    let whole = fixture.report();
    let changed = |member: &str, value: Value| {
        let mut part = whole.clone();
        part["connections"][1][member] = value;
        told_otherwise(fixture, &whole, &part).len()
    };
    assert_eq!(changed("number", Value::from(9)), 0);
    assert_eq!(changed("outcome", Value::from("declined")), 1);
    assert_eq!(changed("tls_version", Value::Null), 1);
    assert_eq!(changed("credentials_issued", Value::from(vec!["k0"])), 1);
    assert_eq!(changed("credentials_issued", Value::from(Vec::<String>::new())), 0);
    assert_eq!(changed("started", Value::from("1970-01-01T00:00:00.000000000Z")), 1);
    let mut part = whole.clone();
    part["connections"][1]["outcome"] = Value::from("unclear");
    part["connections"][1]["not_visible"]["outcome"] = Value::from("gap");
    assert!(told_otherwise(fixture, &whole, &part).is_empty());
    let mut other = whole.clone();
    other["connections"][1]["close"]["class"] = Value::Null;
    assert_eq!(differences(&frameless(&whole), &frameless(&other), &[]).len(), 1);
}
