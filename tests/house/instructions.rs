//! How many instructions a packet and a connection take, counted by callgrind: growth is noticed before a release, on any
//! machine, however busy it is. Counted is the binary of the tests, which is built the same way each time.
//!
//! Two captures of one kind and different size are counted and subtracted, so that what a run costs once does not
//! matter. `UPDATE=1` writes the counts anew. Skipped where valgrind is missing, or another compiler is at work.

#[path = "../../benches/support/capture.rs"]
mod generated;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use generated::Plan;

/// Counts may grow by this much: hash seeds, allocations and the processor's string functions differ from run to run.
const TOLERANCE_PERCENT: u64 = 10;

/// Instructions of one run of the command on a file.
fn count(file: &Path) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env!("CARGO_BIN_EXE_reshake"))
        .args(["analyze", "-q", "--threads", "1"])
        .arg(file)
        .output()
        .expect("valgrind starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let line = told.lines().find_map(|line| line.split("Collected :").nth(1));
    line.and_then(|count| count.trim().parse().ok())
        .unwrap_or_else(|| panic!("callgrind says how many: {told}"))
}

/// Instructions for each packet that the larger capture has more.
fn per_packet(folder: &Path, small: Plan, connections: u32) -> u64 {
    let large = Plan { connections, ..small };
    let [(less, few), (more, many)] = [small, large].map(|plan| {
        let path = folder.join("capture.pcap");
        let mut bytes = Vec::new();
        let truth = generated::write(&plan, &mut bytes).expect("written to memory");
        std::fs::write(&path, bytes).expect("a temporary file");
        (count(&path), truth.packets)
    });
    (more - less) / (many - few)
}

fn tool(name: &str) -> Option<String> {
    let output = Command::new(name).arg("--version").output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[test]
#[allow(clippy::print_stderr)]
fn a_packet_takes_no_more_instructions_than_it_did() {
    let (Some(compiler), Some(_)) = (tool("rustc"), tool("valgrind")) else {
        eprintln!("skipped: valgrind is not installed");
        return;
    };
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/house/instructions.txt"));
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    let update = std::env::var_os("UPDATE").is_some();
    if !update && known.lines().next() != Some(compiler.as_str()) {
        eprintln!("skipped: the counts were taken with another compiler than {compiler}");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = Plan {
        connections: 100,
        open: 20,
        bytes: 1_200,
        clients: 20,
        servers: 2,
        pace: 20_000,
        seed: 3,
    };
    let bulk = Plan {
        connections: 2,
        open: 2,
        bytes: 1_000_000,
        ..plan
    };
    let counts = BTreeMap::from([
        ("bulk", per_packet(folder.path(), bulk, 8)),
        ("handshakes", per_packet(folder.path(), plan, 500)),
    ]);
    if update {
        let mut text = format!("{compiler}\n");
        for (name, count) in counts {
            writeln!(text, "{name} {count}").expect("written to memory");
        }
        std::fs::write(path, text).expect("the file of counts");
        return;
    }
    for (name, count) in counts {
        let line = known.lines().find_map(|line| line.strip_prefix(name));
        let before: u64 = line.and_then(|count| count.trim().parse().ok()).expect("a count");
        assert!(
            count <= before + before * TOLERANCE_PERCENT / 100,
            "{name}: {count} instructions a packet, {before} before; if that is worth it, UPDATE=1 writes the counts anew"
        );
    }
}
