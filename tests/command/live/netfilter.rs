//! Captures from netfilter's log groups and in user namespaces, where the tests may: as root on Linux, with nft and unshare.
#![cfg(all(feature = "live", target_os = "linux"))]
#![allow(clippy::print_stderr, reason = "what is left out is said")]

use std::process::{Command, Stdio};

use assert_cmd::cargo::cargo_bin;

use super::interface::{Server, certificate, free_port, may_capture, open_folder, visit};
use super::process::{Live, connection, is};

/// Whether a program is there and does this; where not, the test is left out and says so.
fn works(program: &str, arguments: &[&str]) -> bool {
    let done = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let works = done.is_ok_and(|status| status.success());
    if !works {
        eprintln!("LEFT OUT: '{program} {}' does not work here", arguments.join(" "));
    }
    works
}

/// A table of rules, taken away when it goes out of scope.
struct Table(String);

impl Table {
    fn log(port: u16, group: u16) -> Self {
        let name = format!("reshake-test-{group}");
        let log = format!("log group {group} queue-threshold 1");
        let rules = format!(
            "table inet {name} {{ chain out {{ type filter hook output priority 0; tcp dport {port} {log}; tcp sport {port} {log}; }}; }}"
        );
        let set = Command::new("nft").arg(rules).status().expect("nft runs");
        assert!(set.success());
        Self(name)
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        let _ = Command::new("nft").args(["delete", "table", "inet", &self.0]).status();
    }
}

#[test]
fn a_log_group_is_watched_until_it_is_told_to_stop() {
    if !may_capture() || !works("nft", &["list", "tables"]) {
        return;
    }
    let folder = open_folder();
    let path = folder.path();
    certificate(path);
    let (port, group) = (free_port(), 40_123);
    let _table = Table::log(port, group);
    let interface = format!("nflog:{group}");
    let mut live = Live::start(
        path,
        &["-i", &interface, "--format", "jsonl", "--full-report", "full.json"],
    );
    live.until("the capture", |value| is(value, "capture"));
    // Whoever comes second learns what is wrong: not that there is no such interface.
    let second = Command::new(cargo_bin("reshake"))
        .args(["live", "-i", &interface])
        .output()
        .expect("it runs");
    let errors = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(3), "{errors}");
    assert!(errors.contains("another program holds group 40123"), "{errors}");
    assert!(!errors.contains("no such interface"), "{errors}");

    let _server = Server::start(path, port);
    visit(path, port, &[]);
    live.until("a full handshake", |value| connection(value, "handshake"));
    live.signal("-TERM");
    let (_, status, errors) = live.end();
    assert!(status.success(), "{errors}");
    // Times are those of packets: within minutes of now, and not all in the same thousandth of a second.
    let full = std::fs::read(path.join("full.json")).expect("a report");
    let full: serde_json::Value = serde_json::from_slice(&full).expect("JSON");
    let time = |name: &str| -> jiff::Timestamp {
        let text = full["captures"][0][name].as_str().expect("a time");
        text.parse().expect("a time")
    };
    let (first, last) = (time("first_time"), time("last_time"));
    let age = jiff::Timestamp::now().duration_since(first);
    assert!(age.as_secs() < 600, "{first}");
    // The server takes longer than that to make its key exchange.
    assert!(last.duration_since(first).as_micros() > 200, "{first} to {last}");
}

#[test]
fn rights_are_given_up_in_a_user_namespace_too() {
    if !may_capture() || !works("unshare", &["--user", "--map-root-user", "--net", "true"]) {
        return;
    }
    let folder = open_folder();
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--net"])
        .arg(cargo_bin("reshake"));
    let mut live = Live::run(command, folder.path(), &["-i", "any", "--format", "jsonl"]);
    live.until("the capture", |value| is(value, "capture"));
    // unshare became reshake: the same process.
    let status = std::fs::read_to_string(format!("/proc/{}/status", live.id())).expect("it runs");
    for set in ["CapPrm", "CapEff", "CapInh", "CapAmb", "CapBnd"] {
        let line = status.lines().find(|line| line.starts_with(set)).expect("a field");
        let value = line.split('\t').nth(1).expect("a value");
        assert_eq!(value.trim_start_matches('0'), "", "{line}");
    }
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    live.signal("-TERM");
    let (_, status, errors) = live.end();
    assert!(status.success(), "{errors}");
}
