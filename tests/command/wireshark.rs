//! What reshake puts into Wireshark, as tshark sees it: the profile's column and colours, the script's fields, and as root
//! live captures by way of extcap. Without tshark this is left out, and said.
#![cfg(unix)]
#![allow(clippy::print_stderr, reason = "what is left out is said")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use assert_cmd::cargo::cargo_bin;

use crate::common::fixture;

fn has_tshark() -> bool {
    let ran = Command::new("tshark")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let has = ran.is_ok_and(|status| status.success());
    if !has {
        eprintln!("LEFT OUT: there is no tshark here (Debian: apt-get install tshark)");
    }
    has
}

/// Somebody's home with reshake in its Wireshark.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a temporary folder");
    let installed = reshake(&["wireshark", "--install", "--user", home.path().to_str().expect("UTF-8")]);
    assert!(installed.status.success(), "{installed:?}");
    home
}

fn reshake(arguments: &[&str]) -> Output {
    Command::new(cargo_bin("reshake"))
        .args(arguments)
        .output()
        .expect("it runs")
}

fn tshark(home: &Path) -> Command {
    let mut command = Command::new("tshark");
    command
        .env("HOME", home)
        .env_remove("XDG_CONFIG_HOME")
        .args(["-C", "reshake"]);
    command
}

fn rows(output: &Output) -> Vec<Vec<String>> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .map(|line| line.split('\t').map(str::to_owned).collect())
        .collect()
}

#[test]
fn an_annotated_capture_has_a_column_colours_and_fields() {
    if !has_tshark() {
        return;
    }
    let home = home();
    let told = home.path().join("told.pcapng");
    let told = told.to_str().expect("UTF-8");
    let quickstart = fixture("captures/quickstart");
    let capture = quickstart.path();
    let annotated = reshake(&["annotate", capture.to_str().expect("UTF-8"), "-o", told]);
    assert!(annotated.status.success(), "{annotated:?}");

    let fields = [
        "-T",
        "fields",
        "-e",
        "frame.number",
        "-e",
        "reshake.reason",
        "-e",
        "reshake.confidence",
    ];
    let declined = tshark(home.path())
        .args(["-r", told, "-Y", "reshake.outcome == \"declined\""])
        .args(fields)
        .output()
        .expect("tshark runs");
    let declined = rows(&declined);
    assert_eq!(declined.len(), 18, "{declined:?}");
    assert_eq!(declined[0][0], "36");
    assert!(
        declined
            .iter()
            .all(|row| row[1].starts_with("other-backend-cache") && row[2].starts_with("inferred"))
    );

    let coloured = tshark(home.path())
        .args(["--color", "-r", told, "-Y", "frame.number == 36 || frame.number == 37"])
        .args(["-T", "fields", "-e", "frame.coloring_rule.name"])
        .output()
        .expect("tshark runs");
    assert_eq!(rows(&coloured), [["reshake declined"], [""]]);

    let listed = tshark(home.path())
        .args(["-r", told, "-Y", "frame.number == 36"])
        .output()
        .expect("tshark runs");
    let line = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(
        line.contains("reshake: declined, other-backend-cache (inferred): connection 3"),
        "{line}"
    );

    let removed = reshake(&["wireshark", "--remove", "--user", home.path().to_str().expect("UTF-8")]);
    assert!(removed.status.success());
    let unknown = Command::new("tshark")
        .env("HOME", home.path())
        .args(["-r", told, "-Y", "reshake.outcome"])
        .output()
        .expect("tshark runs");
    assert!(!unknown.status.success(), "the fields are gone");
}

#[cfg(all(feature = "live", target_os = "linux"))]
mod live {
    use std::io::{BufRead, BufReader};
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::live::interface::{Server, certificate, free_port, may_capture, open_folder, visit};

    #[test]
    fn the_answers_are_those_that_wireshark_wants() {
        let of = |arguments: &[&str]| {
            let output = reshake(&[&["extcap"], arguments].concat());
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).expect("UTF-8")
        };
        let interfaces = of(&["--extcap-interfaces", "--extcap-version=4.0"]);
        assert!(interfaces.starts_with("extcap {version="), "{interfaces}");
        let types = of(&["--extcap-interface", "reshake-lo", "--extcap-dlts"]);
        assert_eq!(types, "dlt {number=1}{name=EN10MB}{display=Ethernet}\n");
        let options = of(&["--extcap-interface", "reshake-lo", "--extcap-config"]);
        assert!(
            options
                .lines()
                .all(|line| line.starts_with("arg {number=") && line.ends_with('}')),
            "{options}"
        );
        // By hand it says what it is for.
        assert_eq!(reshake(&["extcap"]).status.code(), Some(2));
    }

    #[test]
    fn tshark_captures_with_verdicts() {
        if !has_tshark() || !may_capture() {
            return;
        }
        let home = home();
        let listed = tshark(home.path()).arg("-D").output().expect("tshark runs");
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        assert!(
            listed.contains("reshake-lo (lo with verdicts on TLS sessions)"),
            "{listed}"
        );

        let folder = open_folder();
        certificate(folder.path());
        let port = free_port();
        let _server = Server::start(folder.path(), port);
        // Ends by itself when it has shown the second verdict: nothing waits for a time.
        let mut child = tshark(home.path())
            .args([
                "-i",
                "reshake-lo",
                "-f",
                &format!("tcp port {port}"),
                "-l",
                "-a",
                "duration:60",
            ])
            .args(["-Y", "reshake.outcome", "-T", "fields", "-e", "reshake.outcome"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("tshark runs");
        let mut errors = BufReader::new(child.stderr.take().expect("its errors")).lines();
        assert!(
            errors.any(|line| line.expect("UTF-8").contains("Capture started")),
            "it captures"
        );
        let shown = BufReader::new(child.stdout.take().expect("its output")).lines();
        let (send, come) = mpsc::channel();
        std::thread::spawn(move || shown.map_while(Result::ok).try_for_each(|line| send.send(line)));
        // dumpcap says that it has begun before extcap has: connections are made until one is seen.
        let first = (0..60).find_map(|_| {
            visit(folder.path(), port, &["-sess_out", "session.pem"]);
            come.recv_timeout(Duration::from_secs(1)).ok()
        });
        assert_eq!(first.as_deref(), Some("not-offered"));
        visit(folder.path(), port, &["-sess_in", "session.pem"]);
        let mut second = std::iter::from_fn(|| come.recv_timeout(Duration::from_secs(20)).ok());
        assert_eq!(second.find(|line| line != "not-offered").as_deref(), Some("resumed"));
        let _ = Command::new("kill").arg(child.id().to_string()).status();
        child.wait().expect("it ends");
    }
}
