//! What people do out of habit: Ctrl-C in the middle, a folder for its files, a pipe without a name, another tool's options.

use std::io::{Read as _, Write as _};
use std::process::{Command, Output, Stdio};

use crate::common::root;
use assert_cmd::cargo::cargo_bin;

const QUICKSTART: &str = "fixtures/captures/quickstart/capture.pcapng";

fn reshake(arguments: &[&str]) -> Output {
    Command::new(cargo_bin("reshake"))
        .args(arguments)
        .current_dir(root())
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .output()
        .expect("reshake runs")
}

fn told(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

#[test]
fn an_analysis_that_is_interrupted_reports_what_it_has() {
    let mut child = Command::new(cargo_bin("reshake"))
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("reshake runs");
    let mut input = child.stdin.take().expect("a pipe");
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    input
        .write_all(&words(&[0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 1]))
        .expect("a header");
    // Packets of four bytes, as many as a look at the wish to stop takes and again.
    let packets = words(&[0, 0, 4, 4, 0]).repeat(8192);
    input.write_all(&packets).expect("it reads");
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .expect("kill runs")
            .success()
    );
    // It reads on until it sees the wish, and then no more.
    while input.write_all(&packets).is_ok() {}
    drop(input);
    let mut text = String::new();
    let mut out = child.stdout.take().expect("a pipe");
    out.read_to_string(&mut text).expect("UTF-8");
    assert!(text.contains("stopped there"), "{text}");
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn a_folder_is_read_as_the_captures_in_it() {
    let whole = reshake(&["-q", "--format", "csv", QUICKSTART]);
    let folder = reshake(&["-q", "--format", "csv", "fixtures/captures/quickstart"]);
    assert!(folder.status.success());
    assert_eq!(told(&whole), told(&folder));
}

#[test]
fn a_pipe_without_a_name_is_answered_with_one() {
    let output = Command::new(cargo_bin("reshake"))
        .stdin(Stdio::piped())
        .output()
        .expect("reshake runs");
    assert_eq!(output.status.code(), Some(2));
    let line = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(line.ends_with("say so with '-': … | reshake -\n"), "{line}");
}

#[test]
fn filters_are_all_that_is_printed_for_wireshark() {
    let output = reshake(&["-q", "--wireshark", "--where", "outcome:declined", QUICKSTART]);
    let text = told(&output);
    assert_eq!(text.lines().count(), 18);
    assert!(
        text.lines()
            .all(|line| line.starts_with("((ip.src == ") && line.contains("frame.number >= "))
    );
}

#[test]
fn a_bare_word_searches() {
    let of = |terms: &str| told(&reshake(&["-q", "--format", "csv", "--where", terms, QUICKSTART]));
    assert_eq!(of("declined"), of("outcome:declined"));
    assert_eq!(of("A.TEST -resumed"), of("-outcome:resumed"));
    assert_eq!(of("no-such-thing").lines().count(), 1);
}

#[test]
fn another_locale_gets_ascii_and_another_clock_its_times() {
    let run = |locale: &str, arguments: &[&str]| {
        let output = Command::new(cargo_bin("reshake"))
            .args(arguments)
            .arg(QUICKSTART)
            .current_dir(root())
            .env("LC_ALL", locale)
            .env("TZ", "Asia/Kolkata")
            .output()
            .expect("reshake runs");
        told(&output)
    };
    assert!(run("C.UTF-8", &["-q"]).contains('→'));
    let plain = run("C", &["-q"]);
    assert!(plain.is_ascii() && plain.contains(" -> "), "{plain}");
    // What programs read is UTF-8 everywhere.
    assert_eq!(
        run("C", &["-q", "--format", "markdown"]),
        run("C.UTF-8", &["-q", "--format", "markdown"])
    );
    assert!(run("C.UTF-8", &["-q", "--time", "utc"]).contains("at 2026-11-30 12:09:23."));
    assert!(run("C.UTF-8", &["-q", "--time", "local"]).contains(" +05:30"));
}

#[test]
fn output_that_cannot_be_written_is_status_3_also_of_help() {
    let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else {
        return;
    };
    for arguments in [&["--help"][..], &["--version"], &["explain"], &["-q", QUICKSTART]] {
        let status = Command::new(cargo_bin("reshake"))
            .args(arguments)
            .current_dir(root())
            .stdout(full.try_clone().expect("a device"))
            .stderr(Stdio::null())
            .status()
            .expect("reshake runs");
        assert_eq!(status.code(), Some(3), "{arguments:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_device_without_an_end_is_no_file_of_rules() {
    let output = reshake(&["check", "--rules", "/dev/zero", QUICKSTART]);
    assert_eq!(output.status.code(), Some(2));
    let line = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(line.contains("is longer than 1 MiB"), "{line}");
}

#[test]
fn failures_are_a_line_a_kind_by_alert_and_sender() {
    let capture = "fixtures/reasons/offer-breaks-handshake/capture.pcapng";
    let text = told(&reshake(&["-q", capture]));
    let line = "4 × the server sends a fatal alert: internal_error (first in frame 22)";
    assert!(text.contains(line), "{text}");
    for form in ["markdown", "html"] {
        let page = told(&reshake(&["-q", "--format", form, capture]));
        assert!(page.contains("fatal alert: internal"), "{form}: {page}");
    }
}

#[test]
fn many_services_are_a_table_with_the_most_trouble_first() {
    let folder = root().join("fixtures/captures");
    let mut captures: Vec<String> = std::fs::read_dir(folder)
        .expect("fixtures")
        .map(|entry| entry.expect("an entry").path().join("capture.pcapng"))
        .filter(|path| path.is_file())
        .map(|path| path.to_str().expect("UTF-8").to_owned())
        .collect();
    captures.sort();
    let mut arguments = vec!["-q", "--summary"];
    arguments.extend(captures.iter().map(String::as_str));
    let text = told(&reshake(&arguments));
    let heading = text
        .lines()
        .position(|line| line.trim_start().starts_with("rate  offers  problem"));
    let table: Vec<&str> = text.lines().skip(heading.expect("a table") + 1).take(20).collect();
    let offers = |line: &str| {
        let word = line.split_whitespace().find(|word| word.parse::<u64>().is_ok());
        word.and_then(|word| word.parse::<u64>().ok())
    };
    assert!(
        table.iter().all(|line| offers(line).is_some() || line.contains('–')),
        "{table:#?}"
    );
    assert!(text.contains(" more services (") && text.contains("--all"), "{text}");
    // The worst three are told in full below it.
    assert!(text.matches("\n  do: ").count() >= 3, "{text}");
}

#[cfg(unix)]
#[test]
fn a_device_without_an_end_is_no_capture_no_report_no_rules_and_no_key() {
    for (arguments, said) in [
        (&["/dev/zero"][..], "/dev/zero: is not a capture file"),
        (
            &["check", "--baseline", "/dev/zero", "--max-rate-drop", "0.1", QUICKSTART],
            "baseline /dev/zero: is not a JSON report",
        ),
        (
            &["check", "--rules", "/dev/zero", QUICKSTART],
            "/dev/zero: rules cannot be read: is longer than 1 MiB",
        ),
        (&["diff", "/dev/zero", QUICKSTART], "/dev/zero: is not a capture file"),
        (
            &["--redact-key", "/dev/zero", QUICKSTART],
            "is longer than 65536 bytes, which is no key",
        ),
    ] {
        let output = reshake(arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(errors.contains(said), "{arguments:?}: {errors}");
        assert!(matches!(output.status.code(), Some(2 | 3)), "{arguments:?}");
    }
}
