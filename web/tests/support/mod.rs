//! What the tests of the page need: what is built and installed, captures, and what is expected of them.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use reshake::capture::Stream;
use reshake::diff::{self, Diff};
use reshake::what_if::render::{WhatIf, write_text};
use reshake::what_if::{Balance, Plan, Share};
use reshake_core::engine::Limits;
use reshake_web::{Answers, Form};
use serde_json::{Value, json};

/// A capture with its key log.
pub(crate) struct Files {
    pub(crate) capture: PathBuf,
    pub(crate) keylog: Option<PathBuf>,
}

pub(crate) fn root() -> PathBuf {
    let web = Path::new(env!("CARGO_MANIFEST_DIR"));
    web.parent().expect("the workspace").to_owned()
}

/// Says loudly what is missing: one of `page`, `node`, `chromium` and `firefox`.
pub(crate) fn missing(which: &str, what: &str) {
    use std::io::Write;

    let required = std::env::var("RESHAKE_PAGE_TESTS").unwrap_or_default();
    assert!(!required.split_whitespace().any(|word| word == which), "{what}");
    // Past the test's own capture of the output: a test that did not run must be seen.
    let _ = writeln!(std::io::stderr().lock(), "SKIPPED: a test of the page: {what}");
}

/// A program by one of its names.
pub(crate) fn found(names: &[&str]) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let all = names
        .iter()
        .flat_map(|name| std::env::split_paths(&folders).map(move |folder| folder.join(name)));
    all.into_iter().find(|path| path.is_file())
}

/// The folder with the page, where it is built of the sources as they are and there is a program to run it.
pub(crate) fn built(program: &str) -> Option<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let folder = target.join("web");
    if found(&[program]).is_none() {
        missing(program, &format!("there is no {program}"));
        return None;
    }
    let Some(made) = changed(&folder.join("reshake.html")) else {
        missing("page", "the page is not built: cargo xtask web");
        return None;
    };
    let sources = ["src", "core/src", "web/src", "web/page", "xtask/src", "Cargo.lock"];
    if sources.iter().any(|source| newest(&root().join(source)) > Some(made)) {
        missing("page", "the page is older than the sources: cargo xtask web");
        return None;
    }
    Some(folder)
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

fn newest(path: &Path) -> Option<SystemTime> {
    if !path.is_dir() {
        return changed(path);
    }
    let entries = fs::read_dir(path).ok()?;
    entries.filter_map(|entry| newest(&entry.ok()?.path())).max()
}

/// Every capture below a folder, in the order of their paths.
pub(crate) fn captures(folder: &Path) -> Vec<Files> {
    let mut found = Vec::new();
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a folder of fixtures")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            found.extend(captures(&path));
        } else if is_capture(&path) {
            let keylog = path.with_file_name("keylog.txt");
            found.push(Files {
                capture: path,
                keylog: keylog.is_file().then_some(keylog),
            });
        }
    }
    found
}

fn is_capture(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let plain = name.trim_end_matches(".gz").trim_end_matches(".zst");
    [".pcap", ".pcapng"].iter().any(|end| plain.ends_with(end))
}

fn stream(path: &Path, name: &str) -> Stream {
    let bytes = fs::read(path).expect("a file");
    Stream {
        name: name.to_owned(),
        size: Some(bytes.len() as u64),
        reader: Box::new(Cursor::new(bytes)),
    }
}

/// What this code, not the page's, finds in captures, which are called as a browser would or by their paths.
pub(crate) struct Native(Answers);

pub(crate) fn analysed(captures: &[&Path], keylogs: &[&Path]) -> Native {
    named(captures, keylogs, |path| path.to_string_lossy().into_owned())
}

fn named(captures: &[&Path], keylogs: &[&Path], name: impl Fn(&Path) -> String) -> Native {
    use reshake::run::Reading;
    use std::ops::ControlFlow;

    let streams = |paths: &[&Path]| paths.iter().map(|path| stream(path, &name(path))).collect();
    let mut reading = Reading::of(streams(captures), streams(keylogs), Limits::default());
    while reading.read_on(&mut |_| ControlFlow::Continue(())) {}
    let run = reading.finish();
    Native(Answers::of(run))
}

/// A browser does not say in which folder a file lies.
fn by_name(captures: &[&Path], keylogs: &[&Path]) -> Native {
    named(captures, keylogs, |path| {
        path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    })
}

impl Native {
    pub(crate) fn json(&self) -> Vec<u8> {
        self.form(Form::Json)
    }

    fn form(&self, form: Form) -> Vec<u8> {
        let mut out = Vec::new();
        self.0.write(form, &mut out).expect("writing to memory");
        out
    }
}

/// Runs a script of `browser/` with its plan; what it says is shown where it fails.
pub(crate) fn node(script: &str, plan: &Value, folder: &Path) {
    let path = folder.join("plan.json");
    fs::write(&path, plan.to_string()).expect("a plan");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser").join(script);
    let output = Command::new("node").arg(script).arg(path).output().expect("node");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{said}");
}

/// Files of a scenario and what is expected of each.
pub(crate) fn plan(folder: &Path) -> Value {
    let fixture = |name: &str| root().join("fixtures").join(name);
    let capture = fixture("captures/quickstart/capture.pcapng");
    let other = fixture("captures/pcap-us-le/capture.pcap");
    let keyed = fixture("findings/stek-all-zero/capture.pcapng");
    let keylog = fixture("findings/stek-all-zero/keylog.txt");
    let terms = "outcome:declined -reason:first-in-capture";
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).expect("an expected file");
        path
    };
    let mut native = by_name(&[&capture], &[]);
    let expected = json!({
        "html": put("expected.html", &native.form(Form::Html)),
        "json": put("expected.json", &native.json()),
        "csv": put("expected.csv", &native.form(Form::Csv)),
        "markdown": put("expected.md", &native.form(Form::Markdown)),
        "whatIf": put("what-if.txt", &what_if(&native)),
        "diff": put("diff.txt", &compared(&native, &by_name(&[&other], &[]))),
        "several": put("several.json", &by_name(&[&capture, &other], &[]).json()),
        "keyed": put("keyed.json", &by_name(&[&keyed], &[&keylog]).json()),
        "packets": put("packets.pcapng", &last_packets(&native, &capture)),
        "packetsName": format!("connection-{}.pcapng", last_id(&native)),
        "selected": put("selected.json", &{
            native.0.select(terms).expect("a selection");
            native.json()
        }),
    });
    let bytes = fs::read(&capture).expect("a capture");
    let (long, long_packets) = long();
    json!({
        "folder": folder,
        "capture": capture,
        "other": other,
        "several": [capture, other],
        "keyed": keyed,
        "keylog": keylog,
        "terms": terms,
        "secret": "www.a.test",
        "connections": 32,
        "foreign": put("foreign.pcap", b"hello"),
        "cut": put("cut.pcapng", &bytes[..bytes.len() * 2 / 3 + 5]),
        "hostile": put("<img src=x onerror=alert(1)>.pcapng", &renamed(bytes)),
        "long": put("long.pcap", &long),
        "longPackets": long_packets,
        "expected": expected,
    })
}

fn what_if(native: &Native) -> Vec<u8> {
    let plans: Vec<Plan> = Balance::ALL
        .into_iter()
        .flat_map(|balance| Share::ALL.map(|share| (balance, share)))
        .map(|(balance, share)| Plan {
            backends: 4,
            balance,
            share,
            timeout: None,
            key_rotation: None,
            seed: 0,
        })
        .collect();
    let mut out = Vec::new();
    write_text(&WhatIf::of(native.0.report(), &plans), None, &mut out).expect("writing to memory");
    out
}

fn compared(before: &Native, after: &Native) -> Vec<u8> {
    let mut out = Vec::new();
    let (before, after) = (before.0.side(), after.0.side());
    diff::write_text(&Diff::between(&before, &after), &mut out).expect("writing to memory");
    out
}

/// The packets of the last connection.
fn last_packets(native: &Native, capture: &Path) -> Vec<u8> {
    let mut out = Vec::new();
    let place = native.0.report().len() - 1;
    let again = || Some(stream(capture, "capture"));
    native.0.extract(place, false, again, &mut out).expect("packets");
    out
}

fn last_id(native: &Native) -> String {
    let report = native.0.report();
    let (_, _, connection) = report.at(report.len() - 1).expect("a connection");
    reshake::model::connection_id(connection)
}

/// The server's name replaced by markup of the same length.
fn renamed(mut bytes: Vec<u8>) -> Vec<u8> {
    let (name, markup) = (b"www.a.test", b"<i>x</i>12");
    let places: Vec<usize> = (0..bytes.len() - name.len())
        .filter(|at| bytes[*at..].starts_with(name))
        .collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + name.len()].copy_from_slice(markup);
    }
    bytes
}

/// A capture of so many small packets that reading it takes longer than a step.
fn long() -> (Vec<u8>, u32) {
    const PACKETS: u32 = 6_000_000;
    let mut bytes = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        bytes.extend(word.to_le_bytes());
    }
    for packet in 0..PACKETS {
        for word in [packet / 1_000, packet % 1_000, 4, 4, 0] {
            bytes.extend(word.to_le_bytes());
        }
    }
    (bytes, PACKETS)
}
