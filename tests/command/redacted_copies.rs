//! `annotate --redact` and `extract --redact`: in a copy nobody is named, and what is said of it is what the redacted report of the
//! original says.

use std::collections::{BTreeMap, BTreeSet};

use reshake::capture::copy::{Changes, anew};
use reshake::redact::{Aliases, KEY_LENGTH, PacketRedactor, RedactionKey};
use reshake_core::engine::Limits;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::common::{
    Fixture, assert_none, fixture, fixtures, items, report_of, report_of_bytes, root, source_of_bytes, sources, text,
};

fn aliases() -> Aliases {
    Aliases::new(&RedactionKey::new(Zeroizing::new(vec![7; KEY_LENGTH])).expect("long enough"))
}

struct Everything;
impl Changes for Everything {}

/// Fixtures of which a copy cannot tell as much, and why.
const LESS: [(&str, &str); 5] = [
    (
        "captures/proxy-v1",
        "the PROXY header names the client; what stood there may have been TLS",
    ),
    ("captures/proxy-v2", "the same"),
    ("captures/smtp-starttls", "the clear text behind TLS is gone"),
    ("captures/vendor-prefix", "so is what stands before each record"),
    (
        "reasons/client-cannot-offer-v2-hello",
        "a hello of SSL 2 is no record of TLS",
    ),
];

/// The redacted copy of a capture.
fn copy_of(fixture: &Fixture) -> Vec<u8> {
    copied(&|| sources(&fixture.paths).pop())
}

fn copied(open: &dyn Fn() -> Option<Box<dyn reshake::capture::Source>>) -> Vec<u8> {
    let open = || open().expect("one capture");
    let mut packets = PacketRedactor::new(&aliases());
    let mut source = open();
    while let Some(packet) = source.next() {
        packets.learn(&packet);
    }
    packets.learned();
    let mut out = Vec::new();
    let mut make = |packet: &reshake_core::net::Packet<'_>| {
        let frame = packets.frame(packet);
        (frame.bytes, frame.length)
    };
    anew(open().as_mut(), &Everything, &mut make, &mut out).expect("copied");
    out
}

/// What is said of a connection, as far as a copy without certificates can say it.
fn said(connection: &Value) -> Value {
    let reasons: Vec<Value> = items(connection, "reasons")
        .iter()
        .map(|reason| json!([reason["name"], reason["confidence"]]))
        .collect();
    json!({
        "outcome": connection["outcome"],
        "offered": connection["offered"],
        "resumed_by": connection["resumed_by"],
        "tls_version": connection["tls_version"],
        "cipher_suite": connection["cipher_suite"],
        "close": connection["close"]["class"],
        "first": connection["first"]["frame"],
        "last": connection["last"]["frame"],
        "backend": connection["backend"],
        "reasons": reasons,
    })
}

/// By id: addresses, ports, times and numbers make it.
fn by_id(report: &Value) -> BTreeMap<String, Value> {
    let tcp = items(report, "connections")
        .iter()
        .filter(|connection| connection["transport"] == "tcp");
    tcp.map(|connection| (text(connection, "id").expect("an id").to_owned(), said(connection)))
        .collect()
}

#[test]
fn a_copy_is_told_as_the_redacted_report_of_the_original() {
    let (mut problems, mut compared) = (Vec::new(), 0);
    let mut less = BTreeSet::new();
    for fixture in fixtures().into_iter().filter(|fixture| fixture.paths.len() == 1) {
        let (mut engine, mut captures) = fixture.run(Limits::default());
        aliases().apply(&mut engine, &mut captures);
        let original = by_id(&report_of((engine, captures)));
        let copy = by_id(&report_of_bytes(vec![copy_of(&fixture)]));
        let ids: BTreeSet<&String> = original.keys().chain(copy.keys()).collect();
        for id in ids {
            compared += 1;
            let (Some(one), Some(other)) = (original.get(id), copy.get(id)) else {
                problems.push(format!(
                    "{} {id}: {}",
                    fixture.name,
                    if copy.contains_key(id) {
                        "only in the copy"
                    } else {
                        "not in the copy"
                    }
                ));
                continue;
            };
            for (member, value) in one.as_object().expect("an object") {
                if *value != other[member] {
                    problems.push(format!("{} {id}: {member} {value} → {}", fixture.name, other[member]));
                }
            }
        }
    }
    problems.retain(|problem| {
        let known = LESS.iter().find(|(name, _)| problem.starts_with(&format!("{name} ")));
        known.is_none_or(|(name, _)| {
            less.insert(*name);
            false
        })
    });
    assert!(compared > 1000, "{compared}");
    assert_none("said otherwise of a copy", &problems);
    assert_eq!(less.len(), LESS.len(), "no exception is left over: {less:?}");
}

#[test]
fn nothing_of_the_original_is_in_a_copy() {
    let (mut problems, mut searched, mut there) = (Vec::new(), 0, 0);
    for fixture in fixtures().into_iter().filter(|fixture| fixture.paths.len() == 1) {
        let copy = copy_of(&fixture);
        let (engine, _) = fixture.run(Limits::default());
        // Names of the lab, in hellos, certificates and other protocols.
        let mut originals: BTreeSet<Vec<u8>> = ["a.test", "b.test", "reshake lab", "localhost"]
            .map(|name| name.as_bytes().to_vec())
            .into();
        for (_, connection) in engine.connection_store().iter() {
            originals.extend(connection.server_name().map(|name| name.as_bytes().to_vec()));
            originals.extend(connection.marks.mac.map(|mac| mac.0.to_vec()));
        }
        for (_, credential) in engine.credential_store().iter() {
            let head = &credential.name.head[..credential.name.head.len().min(credential.name.length as usize)];
            // Beside names of zeros; a length field may stay, and short ones stand anywhere by chance.
            let start = if head.iter().take(16).all(|byte| *byte == 0) {
                16
            } else {
                0
            };
            originals.extend(head.get(start..start + 8).map(<[u8]>::to_vec));
        }
        let bytes = fixture.bytes();
        for original in originals {
            searched += 1;
            // That the search finds what is there.
            there += usize::from(bytes.windows(original.len()).any(|window| window == original));
            if copy.windows(original.len()).any(|window| window == original) {
                problems.push(format!("{}: {}", fixture.name, String::from_utf8_lossy(&original)));
            }
        }
        let mut source = source_of_bytes("copy", copy, 0).expect("a capture");
        while let Some(packet) = source.next() {
            let network = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0];
            let plain = packet.data.get(12..14) == Some(&[0x88, 0xb5]) && packet.data.len() == 14;
            let aliased = packet.data.get(12..14) == Some(&[0x86, 0xdd])
                && packet.data.get(22..30) == Some(&network)
                && packet.data.get(38..46) == Some(&network);
            assert!(plain || aliased, "{} frame {}", fixture.name, packet.frame.frame());
        }
    }
    assert!(
        searched > 1000 && there > 800,
        "{there} of {searched} are in the originals"
    );
    assert_none("originals in a copy", &problems);
}

#[test]
fn damaged_captures_are_copied_packet_by_packet() {
    for name in [
        "captures/quickstart",
        "captures/tls13-hello-retry",
        "captures/ids-and-tickets-in-vain",
        "captures/quic",
        "captures/vxlan",
    ] {
        let bytes = fixture(name).bytes();
        // A generator that gives the same numbers every time.
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut draw = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for _ in 0..60 {
            let mut damaged = bytes.clone();
            for _ in 0..20 {
                let at = usize::try_from(draw() % damaged.len() as u64)
                    .expect("a place")
                    .max(200);
                if let Some(byte) = damaged.get_mut(at) {
                    *byte = draw().to_le_bytes()[0];
                }
            }
            let Some(mut original) = source_of_bytes("damaged", damaged.clone(), 0) else {
                continue;
            };
            let mut packets = 0;
            while original.next().is_some() {
                packets += 1;
            }
            if original.error().is_some() {
                continue;
            }
            let copy = copied(&|| source_of_bytes("damaged", damaged.clone(), 0));
            let mut copy = source_of_bytes("copy", copy, 0).expect("a capture");
            let mut there = 0;
            while copy.next().is_some() {
                there += 1;
            }
            assert!(there >= packets, "{name}: {there} of {packets}");
        }
    }
}

/// Runs the program.
fn reshake(folder: &std::path::Path, arguments: &[&str]) -> std::process::Output {
    std::process::Command::new(assert_cmd::cargo::cargo_bin("reshake"))
        .args(arguments)
        .current_dir(folder)
        .stdin(std::process::Stdio::null())
        .output()
        .expect("the binary runs")
}

#[test]
fn both_commands_write_copies_under_the_names_of_the_report() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = folder.path();
    let input = root().join("fixtures/captures/quickstart/capture.pcapng");
    let input = input.to_str().expect("UTF-8");
    std::fs::write(at.join("key"), [9; 40]).expect("a key");
    let succeeds = |arguments: &[&str]| {
        let output = reshake(at, arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    succeeds(&["annotate", "-q", "--redact-key", "key", input, "-o", "told.pcapng"]);
    succeeds(&[
        "extract",
        "-q",
        "--redact-key",
        "key",
        input,
        "-o",
        "one.pcapng",
        "--connection",
        "c1e99d8aa5b",
        "--session",
    ]);
    let report: Value =
        serde_json::from_str(&succeeds(&["--redact-key", "key", "--format", "json", input])).expect("JSON");
    let ids = |file: &str| -> BTreeSet<String> {
        let copy: Value = serde_json::from_str(&succeeds(&["--format", "json", file])).expect("JSON");
        let id = |connection: &Value| text(connection, "id").expect("an id").to_owned();
        items(&copy, "connections").iter().map(id).collect()
    };
    let all: BTreeSet<String> = items(&report, "connections")
        .iter()
        .map(|it| text(it, "id").expect("an id").to_owned())
        .collect();
    assert_eq!(ids("told.pcapng"), all);
    let one = ids("one.pcapng");
    assert!(one.len() > 1 && one.is_subset(&all), "{one:?}");
    // The comments name whom the report names.
    let told = std::fs::read(at.join("told.pcapng")).expect("the copy");
    let name = items(&report, "services")[0]["server_name"]
        .as_str()
        .expect("a name")
        .to_owned();
    assert!(told.windows(name.len()).any(|window| window == name.as_bytes()));
    assert!(!told.windows(6).any(|window| window == b"a.test"));
    let quic = root().join("fixtures/captures/quic/capture.pcapng");
    let output = reshake(
        at,
        &[
            "annotate",
            "--redact",
            quic.to_str().expect("UTF-8"),
            "-o",
            "quic.pcapng",
        ],
    );
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("of QUIC and DTLS a redacted copy has only addresses"),
        "{said}"
    );
    let refused = reshake(
        at,
        &[
            "annotate",
            "--redact",
            "--embed-keys",
            "--keylog",
            "key",
            input,
            "-o",
            "x.pcapng",
        ],
    );
    assert_eq!(refused.status.code(), Some(2));
    let line = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        line.contains("what keys would open is not in a copy that is redacted"),
        "{line}"
    );
    assert!(!at.join("x.pcapng").exists());
}
