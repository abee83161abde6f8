//! The report does not depend on the number of threads.

#[path = "../../benches/support/capture.rs"]
mod generated;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::common::fixtures;
use generated::Plan;
use reshake::model::Report;
use reshake::render::{json, text};
use reshake::run::{self, RunOptions, Threads};
use reshake_core::engine::Limits;
use reshake_core::net::Notice;

/// The report as JSON and as text, made by so many threads.
fn report(inputs: &[PathBuf], keylogs: &[PathBuf], limits: Limits, threads: Threads) -> (String, String) {
    let options = RunOptions {
        limits,
        keylogs: keylogs.to_vec(),
        threads,
        ..RunOptions::default()
    };
    let run = run::analyze(inputs, &options, &mut |_| ControlFlow::Continue(()));
    let report = Report::with_threads(&run.engine, run.captures, None, threads.count());
    let (mut document, mut told) = (run.warnings.join("\n").into_bytes(), Vec::new());
    json::write_document(&report, &mut document).expect("written to memory");
    let options = text::TextOptions {
        coloured: false,
        all: true,
        ..text::TextOptions::default()
    };
    text::write(&report, options, &mut told).expect("written to memory");
    let utf8 = |bytes| String::from_utf8(bytes).expect("a report is UTF-8");
    (utf8(document), utf8(told))
}

/// Compares the reports, and gives the one as text.
fn check(name: &str, inputs: &[PathBuf], keylogs: &[PathBuf], limits: Limits) -> String {
    let alone = report(inputs, keylogs, limits, Threads::default());
    for threads in ["2", "3", "auto"] {
        let shared = report(inputs, keylogs, limits, threads.parse().expect("a number of threads"));
        assert!(alone == shared, "{name}: {threads} threads report something else");
    }
    alone.1
}

#[test]
fn every_fixture_gives_the_same_report_whatever_the_number_of_threads() {
    let fixtures = fixtures();
    assert!(fixtures.len() > 100, "{} fixtures", fixtures.len());
    for fixture in &fixtures {
        let keylog = fixture.paths[0].with_file_name("keylog.txt");
        let keylogs = if keylog.exists() { vec![keylog] } else { Vec::new() };
        check(&fixture.name, &fixture.paths, &keylogs, Limits::default());
    }
}

#[test]
fn all_fixtures_in_one_run_give_the_same_report_whatever_the_number_of_threads() {
    let inputs: Vec<PathBuf> = fixtures().iter().flat_map(|fixture| fixture.paths.clone()).collect();
    check("all fixtures", &inputs, &[], Limits::default());
}

fn generate(folder: &Path, plan: &Plan) -> (PathBuf, generated::Truth) {
    let path = folder.join("generated.pcap");
    let mut file = std::fs::File::create(&path).expect("a temporary file");
    let mut bytes = Vec::new();
    let truth = generated::write(plan, &mut bytes).expect("written to memory");
    std::io::Write::write_all(&mut file, &bytes).expect("written");
    (path, truth)
}

#[test]
fn thousands_of_connections_give_the_same_report_whatever_the_number_of_threads() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = Plan {
        connections: 9_000,
        open: 200,
        bytes: 3_000,
        clients: 900,
        servers: 5,
        pace: 20_000,
        seed: 5,
    };
    let (path, _) = generate(folder.path(), &plan);
    check("generated", &[path], &[], Limits::default());
}

#[test]
fn where_one_thread_goes_on_alone_because_all_is_content_the_report_is_the_same() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = Plan {
        connections: 80,
        open: 10,
        bytes: 400_000,
        clients: 20,
        servers: 2,
        pace: 20_000,
        seed: 7,
    };
    let (path, truth) = generate(folder.path(), &plan);
    let bytes = std::fs::metadata(&path).expect("the capture").len();
    assert!(
        truth.packets > 16_384 && bytes / truth.packets > 950,
        "{} packets of {bytes} bytes",
        truth.packets
    );
    check("content", &[path], &[], Limits::default());
}

#[test]
fn generated_captures_are_what_their_truth_says() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = Plan {
        connections: 2_000,
        open: 50,
        bytes: 20_000,
        clients: 200,
        servers: 5,
        pace: 20_000,
        seed: 9,
    };
    let (path, truth) = generate(folder.path(), &plan);
    let run = run::analyze(&[&path], &RunOptions::default(), &mut |_| ControlFlow::Continue(()));
    assert_eq!(run.captures[0].packets, truth.packets);
    let outcomes = Report::of(&run.engine, run.captures).summary.counts.outcomes;
    assert_eq!(
        (outcomes.resumed, outcomes.declined, outcomes.not_offered),
        (truth.resumed, truth.declined, truth.not_offered)
    );
    assert!(
        truth.resumed > 100 && truth.declined > 100 && truth.not_offered > 100,
        "{truth:?}"
    );
    assert_eq!(outcomes.total(), truth.connections);
}

/// Connections that lack their first byte, so that everything else is held back: 480 KB each.
fn hoarders(connections: u8) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 1] {
        file.extend(word.to_le_bytes());
    }
    let payload = vec![0; 60_000];
    for step in 0..9_u32 {
        for host in 0..connections {
            let (flags, seq, payload) = match step {
                0 => (2_u8, 0, &[][..]),
                _ => (16, 2 + (step - 1) * 60_000, payload.as_slice()),
            };
            let length = u16::try_from(40 + payload.len()).expect("an IP packet");
            let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
            frame.extend(length.to_be_bytes());
            frame.extend([
                0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, host, 10, 1, 0, 1, 0xc3, 0x50, 1, 0xbb,
            ]);
            frame.extend(seq.to_be_bytes());
            frame.extend([0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
            frame.extend(payload);
            let captured = u32::try_from(frame.len()).expect("a frame");
            for word in [step, u32::from(host), captured, captured] {
                file.extend(word.to_le_bytes());
            }
            file.extend(frame);
        }
    }
    file
}

#[test]
fn where_connections_must_go_for_want_of_memory_the_same_ones_go_whatever_the_number_of_threads() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("hoarders.pcap");
    std::fs::write(&path, hoarders(200)).expect("a temporary file");
    let limits = Limits {
        buffered_bytes: 64 << 20,
        ..Limits::default()
    };
    let told = check("hoarders", &[path], &[], limits);
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    let evicted = Notice::FlowEvicted.text();
    assert!(told.contains(evicted), "none had to go: {told}");
}

/// Two hellos over UDP in versions that are not read: QUIC of draft 14, and DTLS as OpenSSL 0.9.8 spoke it.
fn old_datagrams() -> Vec<u8> {
    let quic = [&[0xff, 0xff, 0, 0, 14, 0x55][..], &[0; 1194]].concat();
    let dtls = [
        &[22, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 62, 1, 0, 0, 50][..],
        &[0; 6],
        &[0, 50],
        &[7; 50],
    ]
    .concat();
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 101] {
        file.extend(word.to_le_bytes());
    }
    for (second, payload) in (0_u32..).zip([quic, dtls]) {
        let length = u16::try_from(28 + payload.len()).expect("an IP packet");
        let mut packet = vec![0x45, 0];
        packet.extend(length.to_be_bytes());
        packet.extend([
            0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 1, 0, 1, 0xc3, 0x50, 1, 0xbb,
        ]);
        packet.extend((length - 20).to_be_bytes());
        packet.extend([0, 0]);
        packet.extend(payload);
        let captured = u32::try_from(packet.len()).expect("a packet");
        for word in [second, 0, captured, captured] {
            file.extend(word.to_le_bytes());
        }
        file.extend(packet);
    }
    file
}

#[test]
fn handshakes_over_udp_in_versions_that_are_not_read_are_named_whatever_the_number_of_threads() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("old.pcap");
    std::fs::write(&path, old_datagrams()).expect("a temporary file");
    let told = check("old datagrams", &[path], &[], Limits::default());
    for notice in [Notice::QuicVersionUnsupported, Notice::DtlsVersionUnsupported] {
        assert!(told.contains(notice.text()), "{}: {told}", notice.code());
    }
}
