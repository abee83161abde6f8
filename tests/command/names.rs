//! Files whose names are no UTF-8, as from an older system: every command takes them, and what it says stays text.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;

/// "café.pcapng" in Latin 1.
const NAME: &[u8] = b"caf\xe9.pcapng";
/// The same in texts.
const SHOWN: &str = "caf\\xe9.pcapng";

/// A folder with the file in it.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/captures/quickstart/capture.pcapng");
    fs::copy(fixture, folder.path().join(OsStr::from_bytes(NAME))).expect("a copy");
    folder
}

/// Runs a command in which NAME stands for the file.
fn run(folder: &Path, arguments: &[&str]) -> Output {
    let argument = |text: &&str| -> OsString {
        if *text == "NAME" {
            OsStr::from_bytes(NAME).to_owned()
        } else {
            text.into()
        }
    };
    Command::new(cargo_bin("reshake"))
        .args(arguments.iter().map(argument))
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs")
}

/// What a command prints: text, whatever the file is called.
fn told(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{arguments:?}: {errors}");
    assert!(!errors.contains("UTF-8"), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).expect("what is printed is UTF-8")
}

#[test]
fn every_command_that_reads_captures_takes_such_a_name() {
    let folder = folder();
    let told = |arguments: &[&str]| told(folder.path(), arguments);
    assert!(told(&["NAME"]).contains(SHOWN));
    for form in ["jsonl", "markdown", "html"] {
        assert!(told(&["analyze", "--format", form, "NAME"]).contains("caf\\"), "{form}");
    }
    for form in ["csv", "facts"] {
        assert!(!told(&["analyze", "--format", form, "NAME"]).is_empty(), "{form}");
    }
    let json: Value = serde_json::from_str(&told(&["analyze", "--format", "json", "NAME"])).expect("JSON");
    assert_eq!(json["captures"][0]["path"], SHOWN);
    assert!(told(&["session", "frame:4", "NAME"]).contains("frame"));
    assert!(told(&["what-if", "NAME"]).contains("backends"));
    assert!(told(&["diff", "NAME", "NAME"]).contains(SHOWN));
    assert!(told(&["."]).contains(SHOWN), "as the only capture of a folder");
}

#[test]
fn a_check_names_the_command_to_paste() {
    let folder = folder();
    let told = told(folder.path(), &["check", "--min-resumption-rate", "1", "NAME"]);
    assert!(told.contains(r"$'caf\xe9.pcapng'"), "{told}");
}

#[test]
fn copies_key_logs_and_keys_may_be_called_so_too() {
    let folder = folder();
    for command in [
        &["annotate", "NAME", "-o", "told.pcapng"][..],
        &["extract", "NAME", "-o", "one.pcapng", "--connection", "c", "--session"],
        &["analyze", "--keylog", "NAME", "told.pcapng"],
        &["analyze", "--redact-key", "NAME", "told.pcapng"],
        &["annotate", "told.pcapng", "-o", "NAME"],
    ] {
        let output = run(folder.path(), command);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!errors.contains("UTF-8"), "{command:?}: {errors}");
    }
    assert!(folder.path().join("told.pcapng").exists());
    let comments = fs::read(folder.path().join(OsStr::from_bytes(NAME))).expect("the second copy");
    assert!(
        comments.windows(9).any(|bytes| bytes == b"reshake: "),
        "it was written over"
    );
}

#[test]
fn such_a_file_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = run(folder.path(), &["NAME"]);
    let errors = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(
        errors.starts_with("reshake: caf\\xe9.pcapng: cannot be opened: "),
        "{errors}"
    );
    assert_eq!(output.status.code(), Some(3));
}
