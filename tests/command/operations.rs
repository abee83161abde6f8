//! The unit and the rights that docs/operations.md asks for.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stderr, reason = "what is left out is said")]

use std::fs;
use std::process::Command;

use crate::common::root;

fn unit() -> String {
    fs::read_to_string(root().join("packaging/reshake@.service")).expect("the unit")
}

#[test]
fn the_unit_lets_rights_be_given_up() {
    let filters: Vec<String> = unit()
        .lines()
        .filter_map(|line| line.strip_prefix("SystemCallFilter=").map(str::to_owned))
        .collect();
    assert_eq!(
        filters,
        ["@system-service", "~@resources"],
        "capset and setresuid are in @privileged"
    );
    assert!(unit().contains("NoNewPrivileges=yes"));
    assert!(unit().lines().any(|line| line == "CapabilityBoundingSet=CAP_NET_RAW"));
}

#[test]
fn systemd_knows_every_key_of_the_unit_and_finds_little_to_expose() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("reshake@lo.service");
    // The program is not installed here, which is another matter.
    fs::write(&path, unit().replace("/usr/bin/reshake", "/bin/true")).expect("written");
    let analyse = |arguments: &[&str]| Command::new("systemd-analyze").args(arguments).arg(&path).output();
    let Ok(verified) = analyse(&["verify", "--man=no"]) else {
        eprintln!("LEFT OUT: there is no systemd-analyze here");
        return;
    };
    // Keys that it does not know are warnings with status 0.
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(!said.contains("reshake@lo.service"), "{said}");
    let exposed = analyse(&["security", "--offline=true", "--threshold=20", "--no-pager"]).expect("it ran before");
    let text = String::from_utf8_lossy(&exposed.stdout).into_owned();
    assert!(exposed.status.success(), "{text}");
}

#[cfg(feature = "live")]
#[test]
fn three_capabilities_are_enough_for_root_in_a_container() {
    use crate::live::interface::{may_capture, open_folder};
    use assert_cmd::cargo::cargo_bin;

    if !may_capture() {
        return;
    }
    let folder = open_folder();
    let run = |capabilities: &str| {
        let bounding = format!("--bounding-set=-all,{capabilities}");
        let inheritable = format!("--inh-caps=-all,{capabilities}");
        let output = Command::new("setpriv")
            .args([&bounding, &inheritable, "--no-new-privs"])
            .arg(cargo_bin("reshake"))
            .args(["live", "-i", "lo", "--duration", "100ms", "--format", "jsonl"])
            .current_dir(folder.path())
            .output();
        output.expect("setpriv is there (util-linux)")
    };
    let enough = run("+net_raw,+setuid,+setgid");
    assert!(enough.status.success(), "{enough:?}");
    // One that cannot leave root does not go on as root.
    let stuck = run("+net_raw");
    assert_eq!(stuck.status.code(), Some(3), "{stuck:?}");
    assert!(
        String::from_utf8_lossy(&stuck.stderr).contains("privileges cannot be given up"),
        "{stuck:?}"
    );
}
