//! Facts on the command line: written, read, mixed, and wrong.

use std::path::Path;
use std::process::{Command, Output};

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;

const A: &str = "fixtures/captures/quickstart/capture.pcapng";
const B: &str = "fixtures/captures/ipv6/capture.pcapng";

fn reshake(arguments: &[&str]) -> Output {
    Command::new(cargo_bin("reshake"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("reshake runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// The facts of a capture, in a file.
fn facts(capture: &str, folder: &Path, name: &str) -> String {
    let output = reshake(&["analyze", "-q", "--format", "facts", capture]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
    let path = folder.join(name);
    std::fs::write(&path, &output.stdout).expect("a temporary file");
    path.to_str().expect("a UTF-8 path").to_owned()
}

fn ids(report: &str) -> Vec<String> {
    let report: Value = serde_json::from_str(report).expect("a report");
    let connections = report["connections"].as_array().expect("a list");
    connections
        .iter()
        .map(|connection| connection["id"].to_string())
        .collect()
}

#[test]
fn a_report_of_fact_files_is_that_of_their_captures() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [a, b] = [facts(A, folder.path(), "a"), facts(B, folder.path(), "b")];
    for form in ["text", "json", "jsonl"] {
        let captures = reshake(&["analyze", "-q", "--format", form, A]);
        let facts = reshake(&["analyze", "-q", "--format", form, &a]);
        assert_eq!(stdout(&captures), stdout(&facts), "{form}");
        assert_eq!(facts.status.code(), Some(0));
    }
    let captures = stdout(&reshake(&["analyze", "-q", "--format", "json", A, B]));
    for inputs in [[&*a, &*b], [A, &*b], [&*a, B]] {
        let joined = reshake(&[&["analyze", "-q", "--format", "json"], &inputs[..]].concat());
        assert_eq!(ids(&captures), ids(&stdout(&joined)), "{inputs:?}");
        assert_eq!(stderr(&joined), "");
    }
}

#[test]
fn files_of_facts_may_follow_each_other_and_one_that_comes_twice_counts_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [a, b] = [facts(A, folder.path(), "a"), facts(B, folder.path(), "b")];
    let both = folder.path().join("both");
    let read = |path: &str| std::fs::read(path).expect("a file");
    std::fs::write(&both, [read(&a), read(&b), read(&a)].concat()).expect("a temporary file");
    let both = both.to_str().expect("a UTF-8 path");
    let joined = stdout(&reshake(&["analyze", "-q", "--format", "json", &a, &b]));
    for inputs in [&[both][..], &[&a, &b, &a], &[both, &b]] {
        let again = reshake(&[&["analyze", "-q", "--format", "json"], inputs].concat());
        assert!(joined == stdout(&again), "{inputs:?}");
    }
}

#[test]
fn a_line_that_is_no_fact_is_named_and_the_others_are_used() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let a = facts(A, folder.path(), "a");
    let text = std::fs::read_to_string(&a).expect("a file");
    let lines: Vec<&str> = text.lines().collect();
    let mut spoiled: Vec<String> = lines.iter().map(ToString::to_string).collect();
    spoiled[3].truncate(100);
    spoiled[5] = "{\"type\":\"connection\"}".to_owned();
    let path = folder.path().join("spoiled");
    std::fs::write(&path, spoiled.join("\n")).expect("a temporary file");
    let output = reshake(&["analyze", "-q", "--format", "json", path.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(3));
    let error = stderr(&output);
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(
        error.contains("spoiled: line 4 is no fact: EOF while parsing"),
        "{error}"
    );
    assert!(error.contains("it and one more line were skipped"), "{error}");
    assert_eq!(ids(&stdout(&output)).len(), lines.len() - 1 - 2);
}

#[test]
fn what_is_no_facts_says_what_it_is() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cases = [
        ("{\"schema\":\"reshake-report/1\"}\n", "line 1 is of reshake-report/1"),
        (
            "{\"schema\":\"reshake-facts/2\",\"type\":\"header\"}\n",
            "line 1 is of reshake-facts/2",
        ),
        (
            "{\"schema\":\"reshake-facts/1\",\"type\":\"header\",\"generator\":{\"version\":\"0.1.0\"}}\n",
            "line 1 was written by reshake 0.1.0, whose facts this version does not read",
        ),
        ("{}\n", "line 1 is not a fact of reshake-facts/1"),
        ("{\"type\":\"connection\"}\n", "line 1 is no fact: missing field"),
        ("{ \"a\n", "line 1 is no fact: "),
    ];
    for (text, expected) in cases {
        let path = folder.path().join("x");
        std::fs::write(&path, text).expect("a temporary file");
        let output = reshake(&["analyze", "-q", path.to_str().expect("UTF-8")]);
        assert_eq!(
            (output.status.code(), stdout(&output)),
            (Some(3), String::new()),
            "{text}"
        );
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    }
}

#[test]
fn facts_are_neither_selected_nor_redacted_nor_made_of_facts() {
    for asked in [&["--where", "outcome:declined"][..], &["--redact"]] {
        let output = reshake(&[&["analyze", "--format", "facts", A], asked].concat());
        assert_eq!((output.status.code(), stdout(&output)), (Some(2), String::new()));
        assert!(stderr(&output).contains(asked[0]), "{}", stderr(&output));
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let a = facts(A, folder.path(), "a");
    let output = reshake(&["analyze", "-q", "--format", "facts", &a]);
    assert_eq!((output.status.code(), stdout(&output)), (Some(3), String::new()));
    assert!(
        stderr(&output).contains("is a file of facts already"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn facts_are_compared_and_need_packets_to_be_annotated() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let a = facts(A, folder.path(), "a");
    let output = reshake(&["diff", &a, A]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
    let copy = folder.path().join("copy.pcapng");
    let copy = copy.to_str().expect("a UTF-8 path");
    for command in [
        &["annotate", &*a, "-o", copy][..],
        &["extract", &a, "-o", copy, "--connection", "c1e99d8aa5b"],
    ] {
        let output = reshake(command);
        assert_eq!(output.status.code(), Some(3), "{command:?} {}", stderr(&output));
        assert!(stderr(&output).contains("is not a capture file"), "{}", stderr(&output));
    }
}

#[test]
fn tickets_are_digests_in_facts() {
    let capture = "fixtures/captures/keys-tls13-suites/capture.pcapng";
    let output = reshake(&["analyze", "-q", "--format", "facts", capture]);
    let longest = stdout(&output)
        .split('"')
        .filter(|text| text.len() > 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .map(str::len)
        .max();
    // 36 bytes of a ticket; digests and randoms have 32.
    assert!(longest.is_some_and(|longest| longest <= 72), "{longest:?}");
}
