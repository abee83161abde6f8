//! The corpora of the fuzz targets, replayed in the plain test run.
//!
//! `UPDATE=1` writes the seeds anew, cut from fixtures; what the fuzzer adds stands beside them and is left alone.

#[allow(unreachable_pub, reason = "it is a crate of its own for the fuzzer")]
#[path = "../../fuzz/src/targets.rs"]
mod fuzz;

use std::fs;
use std::path::PathBuf;

use crate::common::packets::{self, RawPacket};
use crate::common::{Fixture, fixtures, root};
use reshake_core::net::{Decoded, FrameDecoder, FrameRef, LinkType, Timestamp};

/// All corpora together: what is committed must stay small.
const MAX_BYTES: u64 = 1 << 20;
/// Bytes of one seed at most.
const SEED: usize = 4096;
/// Bytes of the datagrams of one seed, or little more: a hello and its answer are among them.
const MAX_DATAGRAMS: usize = 6 * 1024;
/// Fixtures that give every target a seed.
const WHOLE: [&str; 4] = ["tls13-hello-retry", "ssl30", "port-reused", "dtls12"];
/// Fixtures that show what stands before TLS.
const BEFORE_TLS: [&str; 8] = [
    "http-connect",
    "mysql",
    "postgresql",
    "proxy-v1",
    "proxy-v2",
    "smtp-starttls",
    "socks5",
    "vendor-prefix",
];

fn corpus(target: &str) -> PathBuf {
    root().join("fuzz/corpus").join(target)
}

fn inputs(target: &str) -> Vec<PathBuf> {
    let Ok(folder) = fs::read_dir(corpus(target)) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = folder.map(|entry| entry.expect("a readable entry").path()).collect();
    files.sort();
    files
}

#[test]
fn every_corpus_passes() {
    write_seeds();
    let mut bytes = 0;
    for (target, run) in fuzz::TARGETS {
        let files = inputs(target);
        assert!(files.len() >= 3, "{target}: {} files in its corpus", files.len());
        for file in files {
            let data = fs::read(&file).expect("a readable file");
            bytes += data.len() as u64;
            let passed = std::panic::catch_unwind(|| run(&data));
            assert!(passed.is_ok(), "{}: see above", file.display());
        }
    }
    assert!(bytes < MAX_BYTES, "{bytes} bytes in all corpora");
}

#[test]
fn every_target_has_a_fuzzer_and_every_fuzzer_a_target() {
    let mut names: Vec<String> = fs::read_dir(root().join("fuzz/fuzz_targets"))
        .expect("the fuzz targets")
        .map(|entry| entry.expect("a readable entry").path())
        .map(|path| path.file_stem().expect("a name").to_str().expect("UTF-8").to_owned())
        .collect();
    names.sort();
    assert_eq!(names, fuzz::TARGETS.map(|(name, _)| name));
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).expect("a manifest");
    for name in names {
        assert!(
            manifest.contains(&format!("name = \"{name}\"")),
            "{name} is not in fuzz/Cargo.toml"
        );
    }
}

/// What the fuzzer does with more time: inputs at random, the same in every run. `ROUNDS=100000` looks further.
#[test]
fn random_conversations_and_histories_hold() {
    let rounds: u32 = std::env::var("ROUNDS").map_or(300, |rounds| rounds.parse().expect("a number"));
    let targets: [(&str, fuzz::Target, usize); 3] = [
        ("conversation", fuzz::conversation, 4),
        ("verdicts", fuzz::verdicts, 6),
        ("report", fuzz::report, 6),
    ];
    let mut problems = Vec::new();
    for (target, run, step) in targets {
        let mut random = crate::common::Random::seeded(target, 2);
        // A report in all its forms takes longer.
        for round in 0..if target == "report" { rounds / 10 } else { rounds } {
            let length = 1 + step * (1 + random.below(12));
            let input: Vec<u8> = (0..length).map(|_| random.number().to_be_bytes()[0]).collect();
            if std::panic::catch_unwind(|| run(&input)).is_err() {
                problems.push(format!("{target}, round {round}: {input:?}"));
            }
        }
    }
    crate::common::assert_none("inputs at random", &problems);
}

/// The targets must be able to fail.
#[test]
fn a_byte_out_of_place_is_noticed() {
    use reshake_core::tcp::Piece;
    let at = reshake_core::net::At {
        frame: FrameRef::new(0, 1),
        time: Timestamp::from_nanos(0),
    };
    let bytes: Vec<u8> = (5..9).map(fuzz::byte_at).collect();
    assert_eq!(fuzz::follow(5, &Piece::Data(bytes.as_slice().into(), at)), 9);
    let elsewhere = std::panic::catch_unwind(|| fuzz::follow(6, &Piece::Data(bytes.as_slice().into(), at)));
    assert!(elsewhere.is_err());
}

fn write_seeds() {
    if std::env::var_os("UPDATE").is_none() {
        return;
    }
    write_key_seeds();
    write_program_seeds();
    write_datagram_seeds();
    write_wrapping_seeds();
    write_document_seeds();
    let chosen = fixtures().into_iter().filter(|fixture| fixture.paths.len() == 1);
    for fixture in chosen {
        let folder = fixture.folder();
        let seeds = if WHOLE.contains(&folder) {
            let all = packets::read(fixture.path());
            seeds(&fixture, &all)
        } else if folder.starts_with("dtls") {
            vec![("dtls_datagrams", cut(datagrams(&packets::read(fixture.path()))))]
        } else if folder.starts_with("pcap") {
            vec![file_seed(fixture.bytes())]
        } else if folder.starts_with("wrapped-") || folder == "vxlan" {
            vec![("decode", cut(frames(&packets::read(fixture.path()))))]
        } else if BEFORE_TLS.contains(&folder) {
            let all = packets::read(fixture.path());
            let payloads = payloads(&all);
            vec![
                ("engine", cut(steps(&payloads))),
                ("hello", cut(sent_by_client(&payloads))),
            ]
        } else {
            continue;
        };
        for ((target, seed), number) in seeds.into_iter().zip(1..) {
            let path = corpus(target);
            fs::create_dir_all(&path).expect("a folder");
            fs::write(path.join(format!("seed-{folder}-{number}")), seed).expect("written");
        }
    }
}

/// Inputs of the targets that take them for a list of steps: any bytes will do.
fn write_program_seeds() {
    let mut random = crate::common::Random::seeded("steps", 1);
    let mut bytes = |count: usize| -> Vec<u8> { (0..count).map(|_| random.number().to_be_bytes()[0]).collect() };
    for (target, length) in [("verdicts", 48), ("report", 48)] {
        let folder = corpus(target);
        fs::create_dir_all(&folder).expect("a folder");
        for number in 0..8 {
            fs::write(folder.join(format!("seed-{number}")), bytes(length)).expect("written");
        }
    }
    let folder = corpus("conversation");
    fs::create_dir_all(&folder).expect("a folder");
    for index in 0..30 {
        fs::write(folder.join(format!("seed-{index}")), fuzz::conversation_seed(index)).expect("written");
    }
}

/// Each wrapping by itself and inside another; the first bytes of certificates.
fn write_wrapping_seeds() {
    let folder = corpus("wrappings");
    fs::create_dir_all(&folder).expect("a folder");
    for kind in 0..20_u8 {
        let step = |kind: u8| [kind, 0xff, 0x0f, kind, 4, 5, 6, 7, 8];
        let two = [&step(kind)[..], &step(kind.wrapping_add(7) % 20), &[0, 90]].concat();
        fs::write(folder.join(format!("seed-{kind}")), two).expect("written");
    }
    fs::write(folder.join("seed-log"), [0x80, 60]).expect("written");
    let folder = corpus("certificate");
    fs::create_dir_all(&folder).expect("a folder");
    for how in 0..4 {
        let seed = [27, 1, 28, 23, 59, 58, how, 0x31, 2, 5, 0, 0x30, 0];
        fs::write(folder.join(format!("seed-{how}")), seed).expect("written");
    }
}

/// Files to be copied, facts to be joined, rules, and a report to compare with.
fn write_document_seeds() {
    let write = |target: &str, name: &str, seed: &[u8]| {
        let folder = corpus(target);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(format!("seed-{name}")), seed).expect("written");
    };
    for (name, how) in [
        ("pcapng-simple", 0),
        ("pcapng-two-sections", 1),
        ("pcap-ns-be", 0),
        ("dtls12", 1),
    ] {
        let file = crate::common::fixture(&format!("captures/{name}")).bytes();
        write("copies", name, &cut([&[0x5b, how][..], &file].concat()));
    }
    for name in ["ssl30", "dtls12", "quic"] {
        let bytes = crate::common::fixture(&format!("captures/{name}")).bytes();
        let source = crate::common::source_of_bytes("seed", bytes, 0).expect("a capture");
        let facts = crate::common::joined::facts_of(vec![source]);
        let lines: Vec<&[u8]> = facts.split(|byte| *byte == b'\n').take(2).collect();
        write("joined", name, &lines.join(&b'\n'));
    }
    write("rules", "begin", &[b"\0", reshake::check::begin().as_bytes()].concat());
    let rules = "min-resumption-rate = 80%\nmust-resume = \"2+\"\nforbid-reason = [\"stek-changed\"]\n[each.service]\nmax-unclear = 0.5\n\
                 [[part]]\nwhere = \"sni = a.example\"\nmax-ticket-lifetime = \"1500ms\"\n";
    write("rules", "scopes", &[b"\0", rules.as_bytes()].concat());
    let report = crate::common::report_of_bytes(vec![crate::common::fixture("captures/dtls12").bytes()]).to_string();
    write("rules", "report", &[b"\x01", report.as_bytes()].concat());
}

/// The datagrams of whole connections: cut, no Initial would open.
fn write_datagram_seeds() {
    let folder = corpus("quic_datagrams");
    fs::create_dir_all(&folder).expect("a folder");
    for name in [
        "quic",
        "quic-retry",
        "quic-v2",
        "quic-version-refused",
        "quic-no-protocol",
    ] {
        let fixture = crate::common::fixture(&format!("captures/{name}"));
        let mut seed = Vec::new();
        let mut decoder = FrameDecoder::new();
        for (packet, number) in packets::read(fixture.path()).iter().zip(1..) {
            let found = decoder.decode(&packet.packet(number));
            let Decoded::Datagram(datagram) = found else { continue };
            let to_client = u8::from(datagram.source.port == 443);
            let length = u16::try_from(datagram.payload.len()).expect("a datagram");
            seed.push(to_client);
            seed.extend(length.to_be_bytes());
            seed.extend_from_slice(datagram.payload);
            if seed.len() > MAX_DATAGRAMS {
                break;
            }
        }
        fs::write(folder.join(format!("seed-{name}")), seed).expect("written");
    }
}

/// A key log with the streams of the first connection that it opens.
fn write_key_seeds() {
    for name in [
        "tls13-hello-retry",
        "renegotiation",
        "keys-mac-then-encrypt",
        "keys-key-update",
    ] {
        let fixture = crate::common::fixture(&format!("captures/{name}"));
        let log = fs::read_to_string(fixture.path().with_file_name("keylog.txt")).expect("a key log");
        let random = log.split(' ').nth(1).expect("a client random").to_owned();
        let lines: String = log
            .lines()
            .filter(|line| line.contains(&random))
            .flat_map(|line| [line, "\n"])
            .collect();
        let payloads = payloads(&packets::read(fixture.path()));
        // The second connection begins with the second SYN of a client.
        let second = payloads
            .iter()
            .skip(1)
            .position(|payload| payload.to_server && payload.flags & 2 != 0);
        let first = &payloads[..second.map_or(payloads.len(), |at| at + 1)];
        let stream = |to_server: bool| -> Vec<u8> {
            let own = first.iter().filter(|payload| payload.to_server == to_server);
            own.flat_map(|payload| payload.bytes.clone()).collect()
        };
        let (client, server) = (stream(true), stream(false));
        let length = |bytes: usize| u16::try_from(bytes).expect("short").to_be_bytes();
        let seed = [
            &[0xff][..],
            &length(lines.len()),
            &length(client.len()),
            lines.as_bytes(),
            &client,
            &server,
        ]
        .concat();
        let folder = corpus("keys");
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(format!("seed-{name}")), cut(seed)).expect("written");
    }
}

/// A file as it is, for the target that its first bytes speak of.
fn file_seed(bytes: Vec<u8>) -> (&'static str, Vec<u8>) {
    let target = match bytes.get(..4) {
        Some([0x0a, 0x0d, 0x0d, 0x0a]) => "pcapng",
        Some([0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd]) => "compressed",
        _ => "pcap",
    };
    (target, cut(bytes))
}

fn sent_by_client(payloads: &[Payload]) -> Vec<u8> {
    let to_server = payloads.iter().filter(|payload| payload.to_server);
    to_server.flat_map(|payload| payload.bytes.clone()).collect()
}

fn seeds(fixture: &Fixture, all: &[RawPacket]) -> Vec<(&'static str, Vec<u8>)> {
    let few = &all[..all.len().min(12)];
    let mut compressed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut compressed, &packets::write(few)).expect("written to memory");
    let mut seeds = vec![
        ("pcapng", cut(fixture.bytes())),
        ("pcap", cut(classic(few))),
        ("compressed", cut(compressed.finish().expect("written to memory"))),
        ("decode", cut(frames(few))),
    ];
    let payloads = payloads(all);
    let stream = sent_by_client(&payloads);
    let answers: Vec<u8> = payloads
        .iter()
        .filter(|p| !p.to_server)
        .flat_map(|p| p.bytes.clone())
        .collect();
    for (target, bytes) in [("record", &stream), ("record", &answers)] {
        let mut seed = vec![0, 6];
        seed.extend(bytes);
        seeds.push((target, cut(seed)));
    }
    seeds.push(("hello", cut(stream.get(5..).unwrap_or_default().to_vec())));
    seeds.push(("engine", cut(steps(&payloads))));
    let order = payloads.iter().zip(0_u8..).flat_map(|(payload, n)| {
        let length = u8::try_from(payload.bytes.len() % 256).unwrap_or(0);
        [3, n, n.wrapping_mul(37), length, 0]
    });
    seeds.push((
        "assembler",
        [0xff, 0xff, 0xff, 0x00].into_iter().chain(order).take(400).collect(),
    ));
    seeds
}

fn cut(mut seed: Vec<u8>) -> Vec<u8> {
    seed.truncate(SEED);
    seed
}

/// A classic pcap file, microseconds, little endian.
fn classic(all: &[RawPacket]) -> Vec<u8> {
    let mut out = vec![
        0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0,
    ];
    out.extend(all.first().map_or(1, |packet| u32::from(packet.link)).to_le_bytes());
    for packet in all {
        let seconds = u32::try_from(packet.time / 1_000_000_000).unwrap_or(0);
        let micros = u32::try_from(packet.time % 1_000_000_000 / 1_000).unwrap_or(0);
        let length = u32::try_from(packet.data.len()).expect("a small packet");
        for number in [seconds, micros, length, packet.original_len] {
            out.extend(number.to_le_bytes());
        }
        out.extend(&packet.data);
    }
    out
}

fn frames(all: &[RawPacket]) -> Vec<u8> {
    let link = LinkType(all.first().map_or(1, |packet| packet.link));
    let index = fuzz::LINKS.iter().position(|known| *known == link);
    let mut out = vec![index.map_or(link.0.to_be_bytes()[1], |index| u8::try_from(index).unwrap_or(0))];
    for packet in all {
        if out.len() + packet.data.len() > SEED {
            break;
        }
        out.extend(u16::try_from(packet.data.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend(&packet.data);
    }
    out
}

struct Payload {
    to_server: bool,
    flags: u8,
    bytes: Vec<u8>,
}

fn payloads(all: &[RawPacket]) -> Vec<Payload> {
    let mut decoder = FrameDecoder::new();
    let mut out = Vec::new();
    for (packet, frame) in all.iter().zip(1..) {
        let content = decoder.decode(&packet.packet(frame));
        if let Decoded::Segment(segment) = content {
            out.push(Payload {
                to_server: segment.destination.port < segment.source.port,
                flags: segment.flags.0,
                bytes: segment.payload.to_vec(),
            });
        }
    }
    out
}

/// The steps of the target that reads datagrams.
fn datagrams(all: &[RawPacket]) -> Vec<u8> {
    let mut decoder = FrameDecoder::new();
    let mut out = Vec::new();
    for (packet, frame) in all.iter().zip(1..) {
        let content = decoder.decode(&packet.packet(frame));
        if let Decoded::Datagram(datagram) = content {
            let from_server = datagram.source.port < datagram.destination.port;
            let length = u16::try_from(datagram.payload.len()).unwrap_or(u16::MAX);
            out.extend([u8::from(from_server), 0]);
            out.extend(length.to_be_bytes());
            out.extend(datagram.payload);
        }
    }
    out
}

/// The steps of the engine's target: one connection, sequence numbers from 1000 and 2000.
fn steps(payloads: &[Payload]) -> Vec<u8> {
    let mut next = [1000_u16, 2000];
    let mut out = Vec::new();
    for payload in payloads.iter().take(40) {
        // Lengths come in steps of four; what is longer becomes several.
        for piece in payload
            .bytes
            .chunks(1020)
            .chain(payload.bytes.is_empty().then_some(&[][..]))
        {
            let mut piece = piece.to_vec();
            piece.resize(piece.len().next_multiple_of(4), 0);
            let (from, to) = if payload.to_server { (0, 1) } else { (1, 0) };
            let ends = if payload.to_server { 0 } else { 4 };
            out.extend([ends, payload.flags]);
            out.extend(next[from].to_be_bytes());
            out.extend(next[to].to_be_bytes());
            out.extend([u8::try_from(piece.len() / 4).unwrap_or(255), 0]);
            next[from] += u16::try_from(piece.len()).unwrap_or(0) + u16::from(payload.flags & 3 != 0);
            out.extend(piece);
        }
    }
    out
}
