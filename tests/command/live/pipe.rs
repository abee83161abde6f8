//! Captures that are piped in while they are made.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;

use super::process::{Live, connection, feed, is};
use crate::common::fixture;

const QUICKSTART: &str = "captures/quickstart";

fn bytes() -> Vec<u8> {
    std::fs::read(fixture(QUICKSTART).path()).expect("the fixture is there")
}

#[test]
fn connections_are_told_while_the_capture_goes_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut live = Live::start(folder.path(), &["-", "--format", "jsonl"]);
    let mut input = live.input();
    let sure = fixture("captures/workers-with-own-keys");
    feed(&mut input, &std::fs::read(sure.path()).expect("the fixture is there"));
    // The pipe stays open: nothing of this comes because of an end.
    let first = live.until("the capture", |value| is(value, "capture"));
    assert_eq!(first["schema"], "reshake-events/1");
    let told = live.until("a handshake", |value| connection(value, "handshake"));
    assert_eq!(told["settled"], false);
    assert_eq!(told["outcome"], "not-offered");
    let declined = live.until("a refusal", |value| value["outcome"] == "declined");
    assert!(!declined["reasons"].as_array().expect("reasons").is_empty());
    drop(input);
    let (lines, status, errors) = live.end();
    assert!(status.success(), "{errors}");
    assert_eq!(lines.last().map(|line| line["type"].clone()), Some("summary".into()));
    let settled = lines.iter().filter(|line| is(line, "settled")).count();
    assert!(settled > 0, "hindsight settles what was told before");
}

#[test]
fn the_report_at_the_end_is_that_of_an_analysis() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut live = Live::start(
        folder.path(),
        &[
            "-",
            "--format",
            "jsonl",
            "--full-report",
            "full.json",
            "-w",
            "packets.pcapng",
        ],
    );
    let mut input = live.input();
    feed(&mut input, &bytes());
    drop(input);
    let (_, status, errors) = live.end();
    assert!(status.success(), "{errors}");
    let full: Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("full.json")).expect("a report")).expect("JSON");
    let analysed = analyse(folder.path().join("packets.pcapng").to_str().expect("UTF-8"));
    let direct = analyse(fixture(QUICKSTART).path().to_str().expect("UTF-8"));
    for part in ["summary", "services", "connections", "credentials"] {
        assert_eq!(full[part], direct[part], "{part}");
        assert_eq!(full[part], analysed[part], "{part} of what was written");
    }
}

/// The files that a run writes with these options, in the order in which it began them.
fn recorded(options: &[&str]) -> (tempfile::TempDir, Vec<String>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let arguments = [&["-", "--format", "jsonl", "-w", "ring.pcapng"], options].concat();
    let mut live = Live::start(folder.path(), &arguments);
    feed(&mut live.input(), &bytes());
    let (_, status, errors) = live.end();
    assert!(status.success(), "{errors}");
    let written = std::fs::read_dir(folder.path()).expect("the folder");
    let mut paths: Vec<String> = written
        .map(|entry| entry.expect("an entry").path().to_str().expect("UTF-8").to_owned())
        .collect();
    // ring, ring-2, …, ring-10: the shorter name is the earlier file.
    paths.sort_by_key(|path| (path.len(), path.clone()));
    (folder, paths)
}

#[test]
fn rotated_files_hold_every_packet_and_only_the_latest_stay_where_that_is_asked() {
    let direct = analyse(fixture(QUICKSTART).path().to_str().expect("UTF-8"));
    for rotation in [["--rotate-size", "8K"], ["--rotate-time", "5ms"]] {
        let (_folder, all) = recorded(&rotation);
        assert!(all.len() > 2, "{rotation:?} makes {all:?}");
        let analysed = analyse_all(&all);
        assert_eq!(analysed["summary"], direct["summary"], "{rotation:?}");
        let packets = |document: &Value| {
            let captures = document["captures"].as_array().expect("captures");
            captures.iter().filter_map(|it| it["packets"].as_u64()).sum::<u64>()
        };
        assert_eq!(packets(&analysed), packets(&direct), "{rotation:?}");

        let (_folder, connection_store) = recorded(&[&rotation[..], &["--rotate-files", "2"]].concat());
        let names = |paths: &[String]| -> Vec<String> {
            let name = |path: &String| path.rsplit('/').next().map(str::to_owned);
            paths.iter().filter_map(name).collect()
        };
        assert_eq!(names(&connection_store), names(&all[all.len() - 2..]), "{rotation:?}");
    }
}

pub(crate) fn analyse(path: &str) -> Value {
    analyse_all(&[path.to_owned()])
}

fn analyse_all(paths: &[String]) -> Value {
    let output = Command::new(cargo_bin("reshake"))
        .args(["analyze", "--format", "json"])
        .args(paths)
        .output()
        .expect("the program runs");
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn a_signal_asks_for_a_report_without_an_end() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut live = Live::start(folder.path(), &["-", "--format", "jsonl"]);
    let mut input = live.input();
    feed(&mut input, &bytes());
    live.until("a refusal", |value| value["outcome"] == "declined");
    live.signal("-USR1");
    let summary = live.until("a summary", |value| is(value, "summary"));
    assert_ne!(summary["connections"], 0);
    // It goes on, and ends when it is told to.
    live.signal("-TERM");
    let (lines, status, errors) = live.end();
    assert!(status.success(), "{errors}");
    let summaries = lines.iter().filter(|line| is(line, "summary")).count();
    assert_eq!(summaries, 2);
    let last = lines.iter().rev().find(|line| is(line, "capture")).expect("a capture");
    assert_eq!(last["ended"], "stopped");
    drop(input);
}

#[test]
fn text_has_a_line_for_each_handshake_and_the_report_at_the_end() {
    let mut child = Command::new(cargo_bin("reshake"))
        .args(["live", "-", "--color", "never"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    feed(&mut child.stdin.take().expect("its input"), &bytes());
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(
        text.starts_with("watching standard input; Ctrl-C ends with the report\n"),
        "{text}"
    );
    assert_eq!(
        text.lines()
            .filter(|line| line.contains("   resumed by session-id"))
            .count(),
        12,
        "{text}"
    );
    assert!(text.contains("declined   "), "{text}");
    assert!(
        text.contains("\nstandard input   "),
        "the report stands at the end: {text}"
    );
}

#[test]
fn what_only_an_interface_takes_is_refused_for_a_pipe_and_so_is_a_file() {
    let one = ["-f", "-s", "-B", "-y", "-Z"];
    let values = ["tcp port 443", "128", "8M", "EN10MB", "daemon"];
    let mut refused: Vec<Vec<&str>> = one
        .iter()
        .zip(values)
        .map(|(option, value)| vec!["-", option, value])
        .collect();
    for flag in ["-p", "--immediate", "--reconnect", "--no-drop"] {
        refused.push(vec!["-", flag]);
    }
    refused.push(vec!["capture.pcapng"]);
    refused.push(vec![]);
    for arguments in refused {
        let output = Command::new(cargo_bin("reshake"))
            .arg("live")
            .args(&arguments)
            .stdin(Stdio::null())
            .output()
            .expect("the program runs");
        let text = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(!text.is_empty(), "{arguments:?}");
    }
}

#[test]
fn nobody_to_read_is_no_failure() {
    let mut child = Command::new(cargo_bin("reshake"))
        .args(["live", "-", "--format", "jsonl"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let mut input = child.stdin.take().expect("its input");
    // It may leave before it has read everything.
    let _ = input.write_all(&bytes());
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn what_is_no_capture_gets_one_line_and_status_3() {
    let mut child = Command::new(cargo_bin("reshake"))
        .args(["live", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    feed(&mut child.stdin.take().expect("its input"), b"hello world");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.starts_with("reshake: -: is not a capture file"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn a_folder_that_cannot_be_written_to_is_said_before_anything_is_read() {
    let mut child = Command::new(cargo_bin("reshake"))
        .args(["live", "-", "-w", "/nonexistent/packets.pcapng"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let input = child.stdin.take();
    let output = child.wait_with_output().expect("it ends");
    drop(input);
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        text.starts_with("reshake: /nonexistent/packets.pcapng: cannot be written: "),
        "{text}"
    );
}

/// The dashboard and the alert rules name metrics; each of them must be one that is served.
fn what_is_packaged_asks_only_for_what_is_served(answer: &str) {
    let folder = crate::common::root().join("packaging/monitoring");
    let dashboard = std::fs::read_to_string(folder.join("grafana-dashboard.json")).expect("a dashboard");
    let parsed: serde_json::Value = serde_json::from_str(&dashboard).expect("JSON");
    assert!(crate::common::items(&parsed, "panels").len() > 5);
    let alerts = std::fs::read_to_string(folder.join("prometheus-alerts.yml")).expect("rules");
    let mut asked = 0;
    for text in [&dashboard, &alerts] {
        for word in text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_') {
            let is_name = word.starts_with("reshake_") || word.starts_with("process_");
            if !is_name {
                continue;
            }
            let name = word.strip_suffix("_bucket").unwrap_or(word);
            assert!(answer.contains(&format!("# TYPE {name} ")), "{name} is not served");
            asked += 1;
        }
    }
    assert!(asked > 10, "{asked}");
    // The rules as Prometheus reads them, where it is installed.
    if let Ok(output) = std::process::Command::new("promtool")
        .args(["check", "rules"])
        .arg(folder.join("prometheus-alerts.yml"))
        .output()
    {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn numbers_are_served_while_it_runs() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port")
        .port();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut live = Live::start(
        folder.path(),
        &["-", "--format", "jsonl", "--metrics", &port.to_string()],
    );
    let mut input = live.input();
    feed(&mut input, &bytes());
    live.until("a refusal", |value| value["outcome"] == "declined");
    live.until("an end", |value| connection(value, "closed"));
    let ask = |path: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    };
    let answer = ask("/metrics");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let declined = answer
        .lines()
        .find(|line| line.starts_with("reshake_handshakes_total{") && line.contains("outcome=\"declined\""));
    assert!(declined.is_some(), "{answer}");
    assert!(answer.contains("\nreshake_packets_dropped_total 0\n"), "{answer}");
    assert!(
        answer.contains("version=\"TLS 1.2\",mechanism=\"session-id\""),
        "{answer}"
    );
    what_is_packaged_asks_only_for_what_is_served(&answer);
    assert!(ask("/").starts_with("HTTP/1.1 404 "));
    live.signal("-TERM");
    let (_, status, errors) = live.end();
    assert!(status.success(), "{errors}");
}

/// What is told of a capture in which both legs of eight handshakes are.
fn told_of_both_legs(form: &str) -> String {
    let capture = std::fs::read(fixture("captures/balancer-both-legs").path()).expect("a fixture");
    let mut child = Command::new(cargo_bin("reshake"))
        .args(["live", "--format", form, "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("reshake runs");
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(&capture)
        .expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn both_legs_of_a_handshake_are_told_once() {
    let text = told_of_both_legs("text");
    let told = text
        .lines()
        .filter(|line| line.contains(" → ") && line.starts_with("13:27:00."));
    // The report at the end has eight connections, too.
    assert_eq!(told.count(), 8, "{text}");
    assert!(text.contains("8 TLS connections"), "{text}");
}

#[test]
fn the_second_leg_of_a_handshake_names_the_first_in_json_lines() {
    let text = told_of_both_legs("jsonl");
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let of_stage = |stage: &str| {
        let lines = lines.iter().filter(|line| line["stage"] == stage);
        lines.partition::<Vec<&Value>, _>(|line| line.get("other_leg_of").is_none())
    };
    // The report at the end has eight connections, too.
    let (firsts, others) = of_stage("handshake");
    assert_eq!((firsts.len(), others.len()), (8, 8), "{text}");
    for other in others {
        let first = firsts.iter().find(|first| first["id"] == other["other_leg_of"]);
        let first = first.expect("the first leg was told");
        assert_eq!(first["outcome"], other["outcome"]);
        assert_ne!(first["id"], other["id"]);
    }
    let (firsts, others) = of_stage("closed");
    assert_eq!(
        (firsts.len(), others.len()),
        (8, 0),
        "both legs are one by then: {text}"
    );
}
