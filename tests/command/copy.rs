//! Captures that come out of a capture: `annotate` and `extract`, read back block by block and by Wireshark's tools.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::common::{Fixture, assert_none, fixture, items, single_files, text};
use assert_cmd::cargo::cargo_bin;
use serde_json::Value;

fn reshake(arguments: &[&str]) -> Output {
    let mut command = Command::new(cargo_bin("reshake"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs")
}

fn copied(arguments: &[&str]) -> String {
    let output = reshake(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}");
    assert!(output.stdout.is_empty());
    said
}

/// Copies the packets of one connection.
fn extracted(fixture: &Fixture, id: &str, out: &Path) {
    let (input, out) = (path_of(fixture.path()), path_of(out));
    copied(&["extract", "-q", input, "-o", out, "--connection", id]);
}

fn path_of(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

/// What a tool of Wireshark prints; `None`, and a word about it, where it is not installed.
fn tool(name: &str, arguments: &[&str]) -> Option<String> {
    let Ok(output) = Command::new(name).args(arguments).stdin(Stdio::null()).output() else {
        // Past what the test runner keeps to itself: a skipped check must be seen.
        let _ = writeln!(std::io::stderr(), "skipped: no {name} on this machine");
        return None;
    };
    assert!(
        output.status.success(),
        "{name} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(String::from_utf8(output.stdout).expect("UTF-8"))
}

/// A block as the test reads it, by itself: its type, its body without options, and its options in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Block {
    kind: u32,
    body: Vec<u8>,
    options: Vec<(u16, Vec<u8>)>,
}

/// The blocks of a pcapng file.
fn blocks(bytes: &[u8]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut big_endian = false;
    let mut rest = bytes;
    while rest.len() >= 12 {
        if rest[..4] == [0x0a, 0x0d, 0x0d, 0x0a] {
            big_endian = rest[8..12] == [0x1a, 0x2b, 0x3c, 0x4d];
        }
        let number = |bytes: &[u8]| {
            let bytes: Vec<u8> = if big_endian {
                bytes.to_vec()
            } else {
                bytes.iter().rev().copied().collect()
            };
            bytes.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte))
        };
        let length = number(&rest[4..8]);
        if length > rest.len() {
            break;
        }
        assert_eq!(number(&rest[length - 4..length]), length, "both lengths of a block");
        let kind = u32::try_from(number(&rest[..4])).expect("32 bits");
        let body = &rest[8..length - 4];
        let fixed = match kind {
            2 | 6 => (20 + number(&body[12..16])).next_multiple_of(4),
            _ => body.len(),
        };
        let mut options = Vec::new();
        let mut at = fixed;
        while at < body.len() {
            let (code, size) = (number(&body[at..at + 2]), number(&body[at + 2..at + 4]));
            if code == 0 {
                break;
            }
            options.push((
                u16::try_from(code).expect("16 bits"),
                body[at + 4..at + 4 + size].to_vec(),
            ));
            at += 4 + size.next_multiple_of(4);
        }
        let mut body = body[..fixed].to_vec();
        if kind == 0x0a0d_0d0a {
            // The copy does not say how long its sections are.
            body[8..16].fill(0xff);
        }
        blocks.push(Block { kind, body, options });
        rest = &rest[length..];
    }
    blocks
}

fn plain(fixture: &Fixture) -> Vec<u8> {
    let bytes = fixture.bytes();
    match bytes[..4] {
        [0x1f, 0x8b, ..] => {
            let mut plain = Vec::new();
            std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(&bytes[..]), &mut plain).expect("gzip");
            plain
        }
        [0x28, 0xb5, 0x2f, 0xfd] => {
            let mut plain = Vec::new();
            let mut decoder = ruzstd::decoding::StreamingDecoder::new(&bytes[..]).expect("zstd");
            std::io::Read::read_to_end(&mut decoder, &mut plain).expect("zstd");
            plain
        }
        _ => bytes,
    }
}

const COMMENT: u16 = 1;

fn is_ours((code, value): &(u16, Vec<u8>)) -> bool {
    *code == COMMENT && value.starts_with(b"reshake: ")
}

/// Packets as the analysis reads them: time, link type, bytes and length.
fn packets(path: &Path) -> Vec<(i64, u16, Vec<u8>, u32)> {
    let mut source = reshake::capture::open(path_of(path), 0).expect("a capture");
    let mut packets = Vec::new();
    while let Some(packet) = source.next() {
        packets.push((
            packet.time.nanos(),
            packet.link.0,
            packet.data.to_vec(),
            packet.original_len,
        ));
    }
    packets
}

/// Frames that the report names as evidence for a connection.
fn evidence(report: &Value) -> BTreeSet<u64> {
    let of_reason = |reason: &Value| {
        items(reason, "evidence")
            .iter()
            .filter_map(|it| it["frame"].as_u64())
            .collect::<Vec<_>>()
    };
    let connections = items(report, "connections").iter();
    connections
        .flat_map(|connection| items(connection, "reasons"))
        .flat_map(of_reason)
        .collect()
}

#[test]
fn every_block_and_option_survives_and_every_evidence_frame_is_told_of() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("out.pcapng");
    let mut problems = Vec::new();
    let mut compared = 0;
    for fixture in single_files() {
        let name = &fixture.name;
        copied(&["annotate", "-q", path_of(fixture.path()), "-o", path_of(&out)]);
        if packets(fixture.path()) != packets(&out) {
            problems.push(format!("{name}: other packets"));
        }
        let after = blocks(&std::fs::read(&out).expect("the copy"));
        let before = plain(&fixture);
        if before.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) {
            compared += 1;
            let mut bare = after.clone();
            for block in &mut bare {
                block.options.retain(|option| !is_ours(option));
            }
            if bare != blocks(&before) {
                problems.push(format!("{name}: other blocks or options"));
            }
        }
        let frames = after
            .iter()
            .filter(|block| [2, 3, 6, 9, 0x0bad, 0x4000_0bad].contains(&block.kind));
        let told: BTreeSet<u64> = (1..)
            .zip(frames)
            .filter(|(_, block)| block.kind == 3 || block.options.iter().any(is_ours))
            .map(|(frame, _)| frame)
            .collect();
        let missing: Vec<u64> = evidence(&fixture.report()).difference(&told).copied().collect();
        if !missing.is_empty() {
            problems.push(format!("{name}: nothing is said of frames {missing:?}"));
        }
    }
    assert!(compared >= 50, "only {compared} pcapng files");
    assert_none("copies", &problems);
}

#[test]
fn own_comments_stay_and_ours_are_beside_them() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [once, twice] = ["once.pcapng", "twice.pcapng"].map(|name| folder.path().join(name));
    let original = fixture("captures/quickstart");
    copied(&["annotate", "-q", path_of(original.path()), "-o", path_of(&once)]);
    copied(&["annotate", "-q", path_of(&once), "-o", path_of(&twice)]);
    let count = |path: &Path| {
        let blocks = blocks(&std::fs::read(path).expect("a copy"));
        blocks
            .iter()
            .flat_map(|block| &block.options)
            .filter(|option| is_ours(option))
            .count()
    };
    assert!(count(&once) > 0);
    assert_eq!(count(&twice), 2 * count(&once));
}

#[test]
fn wireshark_shows_the_verdict_beside_the_packet() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("out.pcapng");
    for name in [
        "captures/quickstart",
        "captures/pcap-ns-le",
        "captures/pcapng-big-endian",
        "captures/pcapng-zstd",
    ] {
        let fixture = fixture(name);
        copied(&["annotate", "-q", path_of(fixture.path()), "-o", path_of(&out)]);
        let filter = "frame.comment contains \"reshake\"";
        let Some(shown) = tool(
            "tshark",
            &["-r", path_of(&out), "-Y", filter, "-T", "fields", "-e", "frame.number"],
        ) else {
            return;
        };
        let shown: BTreeSet<u64> = shown.lines().map(|line| line.parse().expect("a number")).collect();
        let evidence = evidence(&fixture.report());
        assert!(
            !evidence.is_empty() && evidence.is_subset(&shown),
            "{name}: {evidence:?} {shown:?}"
        );
        let times = |path: &Path| {
            tool(
                "tshark",
                &[
                    "-r",
                    path_of(path),
                    "-T",
                    "fields",
                    "-e",
                    "frame.time_epoch",
                    "-e",
                    "frame.len",
                ],
            )
        };
        assert_eq!(times(fixture.path()), times(&out), "{name}");
        let packets = tool("capinfos", &["-M", "-c", "-E", path_of(&out)]).unwrap_or_default();
        let expected = format!("Number of packets:   {}", packets_of(fixture.path()));
        assert!(packets.is_empty() || packets.contains(&expected), "{name}: {packets}");
    }
}

fn packets_of(path: &Path) -> usize {
    packets(path).len()
}

/// The connections of a report with their ids and frames.
fn report(path: &Path) -> Value {
    let output = reshake(&["analyze", "-q", "--format", "json", path_of(path)]);
    serde_json::from_slice(&output.stdout).expect("a report")
}

#[test]
fn an_extract_has_the_packets_that_the_report_s_wireshark_filter_selects() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("out.pcapng");
    for name in [
        "captures/quickstart",
        "captures/port-reused",
        "captures/pcap-us-be",
        "captures/nat-point",
        "captures/answers-rewritten",
    ] {
        let fixture = fixture(name);
        let whole = report(fixture.path());
        let connection = items(&whole, "connections").last().expect("a connection");
        let id = text(connection, "id").expect("an id");
        extracted(&fixture, &id[..8], &out);
        let part = report(&out);
        let [left] = items(&part, "connections") else {
            panic!("{name}: {} connections", items(&part, "connections").len())
        };
        assert_eq!(text(left, "id"), Some(id), "{name}");
        let filter = text(&items(connection, "wireshark")[0], "filter").expect("a filter");
        let Some(selected) = tool(
            "tshark",
            &[
                "-r",
                path_of(fixture.path()),
                "-Y",
                filter,
                "-T",
                "fields",
                "-e",
                "frame.number",
            ],
        ) else {
            continue;
        };
        let all = packets(fixture.path());
        let selected: Vec<_> = selected
            .lines()
            .map(|line| all[line.parse::<usize>().expect("a number") - 1].clone())
            .collect();
        assert_eq!(packets(&out), selected, "{name}");
    }
}

#[test]
fn every_connection_of_every_fixture_can_be_extracted_and_is_the_same_there() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("out.pcapng");
    let mut problems = Vec::new();
    for fixture in single_files() {
        let whole = report(fixture.path());
        // One of each fixture: the tests of the analysis see to the rest.
        let Some(connection) = items(&whole, "connections").first() else {
            continue;
        };
        let id = text(connection, "id").expect("an id");
        extracted(&fixture, id, &out);
        let part = report(&out);
        let same = |it: &&Value| text(it, "id") == Some(id) || it["client"] == connection["client"];
        let Some(left) = items(&part, "connections").iter().find(same) else {
            problems.push(format!("{}: {id} is not in its extract", fixture.name));
            continue;
        };
        for member in [
            "tls_version",
            "server_name",
            "cipher_suite",
            "offered",
            "client",
            "server",
        ] {
            // Whether an unknown session ID was an offer may be told by later connections only, which the extract lacks.
            let told_later = member == "offered" && !left["not_visible"]["offered"].is_null();
            if left[member] != connection[member] && !told_later {
                problems.push(format!(
                    "{}: {member}: {} became {}",
                    fixture.name, connection[member], left[member]
                ));
            }
        }
    }
    assert_none("extracts", &problems);
}

#[test]
fn a_copy_says_what_was_only_counted() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("out.pcapng");
    let original = fixture("captures/quickstart");
    let (input, output) = (path_of(original.path()), path_of(&out));
    let limit = ["--max-memory", "16K", input, "-o", output];
    let said = copied(&[&["annotate"], &limit[..]].concat());
    assert!(
        said.contains("only counted, at the memory limit (--max-memory), and have none"),
        "{said}"
    );
    let whole = report(original.path());
    let ids = || items(&whole, "connections").iter().filter_map(|it| text(it, "id"));
    let (first, last) = (ids().next().expect("one"), ids().next_back().expect("one"));
    let unknown = reshake(&[&["extract", "--connection", first], &limit[..]].concat());
    let said = String::from_utf8_lossy(&unknown.stderr);
    assert!(
        said.contains("no connection that was kept has an id") && said.contains("only counted"),
        "{said}"
    );
    let one = copied(&[&["extract", "--connection", last], &limit[..]].concat());
    assert!(!one.contains("only counted"), "{one}");
    let life = copied(&[&["extract", "--session", "--connection", last], &limit[..]].concat());
    assert!(life.contains("only counted"), "{life}");
}

#[test]
fn the_life_of_a_session_holds_where_it_was_issued_and_where_it_was_offered() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("out.pcapng");
    let original = fixture("captures/quickstart");
    let whole = report(original.path());
    let resumed = items(&whole, "connections")
        .iter()
        .find(|it| text(it, "outcome") == Some("resumed"))
        .expect("one");
    let id = text(resumed, "id").expect("an id");
    copied(&[
        "extract",
        "-q",
        path_of(original.path()),
        "-o",
        path_of(&out),
        "--connection",
        id,
        "--session",
    ]);
    let part = report(&out);
    let same = items(&part, "connections")
        .iter()
        .find(|it| text(it, "id") == Some(id))
        .expect("still there");
    for member in ["outcome", "resumed_by", "credential_accepted", "credentials_offered"] {
        assert_eq!(same[member], resumed[member]);
    }
    let credential = |report: &Value| {
        let accepted = text(resumed, "credential_accepted").expect("a credential");
        let found = items(report, "credentials")
            .iter()
            .find(|it| text(it, "id") == Some(accepted))
            .cloned();
        found.expect("the credential")
    };
    assert_eq!(
        credential(&part)["issued"]["connection"],
        credential(&whole)["issued"]["connection"]
    );
    assert_eq!(credential(&part)["offers"], credential(&whole)["offers"]);
}

#[test]
fn secrets_stay_in_a_copy_and_in_an_extract_only_those_of_its_connections() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("out.pcapng");
    let original = fixture("captures/keys-in-between");
    let logs = |bytes: &[u8]| {
        let blocks = blocks(bytes);
        let secrets = blocks.iter().filter(|block| block.kind == 10);
        let text: Vec<u8> = secrets.flat_map(|block| block.body[8..].to_vec()).collect();
        let text = String::from_utf8_lossy(&text).replace('\0', "");
        text.lines().map(ToOwned::to_owned).collect::<BTreeSet<String>>()
    };
    let all = logs(&original.bytes());
    assert!(all.len() > 2);
    copied(&["annotate", "-q", path_of(original.path()), "-o", path_of(&out)]);
    assert_eq!(logs(&std::fs::read(&out).expect("the copy")), all);
    let whole = report(original.path());
    let id = text(&items(&whole, "connections")[0], "id").expect("an id");
    let said = copied(&[
        "extract",
        path_of(original.path()),
        "-o",
        path_of(&out),
        "--connection",
        id,
    ]);
    assert!(said.contains("of 1 connection"), "{said}");
    let left = logs(&std::fs::read(&out).expect("the copy"));
    let randoms: BTreeSet<&str> = left.iter().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(randoms.len(), 1, "{left:?}");
    assert!(left.is_subset(&all) && left.len() < all.len());
}

#[test]
fn keys_go_into_a_copy_only_when_that_is_asked_for() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [bare, with] = ["bare.pcapng", "with.pcapng"].map(|name| folder.path().join(name));
    let original = fixture("captures/keys-tls13-suites");
    let log: PathBuf = original.path().with_file_name("keylog.txt");
    let common = [
        "annotate",
        "-q",
        path_of(original.path()),
        "--keylog",
        path_of(&log),
        "-o",
    ];
    copied(&[&common[..], &[path_of(&bare)]].concat());
    copied(&[&common[..], &[path_of(&with), "--embed-keys"]].concat());
    let kinds = |path: &Path| {
        blocks(&std::fs::read(path).expect("a copy"))
            .iter()
            .map(|block| block.kind)
            .collect::<Vec<_>>()
    };
    assert!(!kinds(&bare).contains(&10));
    let kinds = kinds(&with);
    let secrets = kinds.iter().position(|kind| *kind == 10).expect("a secrets block");
    assert!(secrets > kinds.iter().position(|kind| *kind == 1).expect("an interface"));
    assert!(secrets < kinds.iter().position(|kind| *kind == 6).expect("a packet"));
    let opened = report(&with);
    assert_ne!(
        opened["connections"],
        report(&bare)["connections"],
        "the keys open something"
    );
}

#[test]
fn the_input_is_never_overwritten_and_nothing_half_done_is_left() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = folder.path();
    let input = at.join("in.pcapng");
    let bytes = fixture("captures/quickstart").bytes();
    std::fs::write(&input, &bytes).expect("a temporary file");
    let link = at.join("link.pcapng");
    std::fs::hard_link(&input, &link).expect("a link");
    let out = at.join("out.pcapng");
    let (input, link, out) = (path_of(&input), path_of(&link), path_of(&out));
    for (arguments, status, line) in [
        (vec!["annotate", input, "-o", input], 2, "is the input"),
        (vec!["annotate", input, "-o", link], 2, "is the input"),
        (vec!["annotate", "-", "-o", out], 2, "cannot be read twice"),
        (
            vec!["annotate", input, "-o", "-"],
            2,
            "standard output is not supported",
        ),
        (
            vec!["annotate", "--embed-keys", input, "-o", out],
            2,
            "there is no key log",
        ),
        (vec!["annotate", "nowhere.pcap", "-o", out], 3, "cannot be opened"),
        (
            vec!["annotate", input, "-o", "/nonexistent/x.pcapng"],
            3,
            "cannot be written",
        ),
        (
            vec!["extract", input, "-o", out, "--connection", "cffffffffff"],
            2,
            "no connection of this capture",
        ),
        (
            vec!["extract", input, "-o", out, "--connection", "c"],
            2,
            "'c' may mean 32 connections",
        ),
    ] {
        let output = reshake(&arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
        assert!(said.contains(line), "{arguments:?}: {said}");
    }
    assert!(std::fs::read(input).expect("still there") == bytes);
    let mut left: Vec<_> = std::fs::read_dir(at)
        .expect("a folder")
        .map(|it| it.expect("an entry").file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["in.pcapng", "link.pcapng"]);
}

#[test]
fn a_capture_that_was_cut_is_copied_as_far_as_it_goes_and_a_damaged_one_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [input, out] = ["in.pcapng", "out.pcapng"].map(|name| folder.path().join(name));
    let bytes = fixture("captures/quickstart").bytes();
    std::fs::write(&input, &bytes[..bytes.len() - 30]).expect("a temporary file");
    copied(&["annotate", "-q", path_of(&input), "-o", path_of(&out)]);
    assert_eq!(packets(&input), packets(&out));
    let mut damaged = bytes;
    let middle = damaged.len() / 2;
    damaged[middle..middle + 400].fill(0xee);
    std::fs::write(&input, damaged).expect("a temporary file");
    std::fs::remove_file(&out).expect("the copy");
    let output = reshake(&["annotate", "-q", path_of(&input), "-o", path_of(&out)]);
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("is damaged at byte"), "{said}");
    assert!(!out.exists());
}
