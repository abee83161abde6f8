//! `reshake record -- COMMAND` with real clients, as root in a control group and as nobody in a network namespace.
//!
//! What this machine cannot do is left out, and said on standard error in capitals.
#![cfg(all(feature = "live", target_os = "linux"))]
#![allow(clippy::print_stderr, reason = "what is left out is said")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;

use crate::live::interface::{Server, certificate, copy_program, free_port, may_capture, open_folder};

/// A client of Python's that resumes its session when it comes again.
const TWICE: &str = "
import socket, ssl, sys
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
session = None
for _ in range(2):
    tcp = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
    tls = context.wrap_socket(tcp, server_hostname='www.a.test', session=session)
    tls.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')
    while tls.recv(4096):
        pass
    session = tls.session
    tls.close()
";

/// Whether a shell finds all of this to be so.
fn holds(condition: &str) -> bool {
    let done = Command::new("sh")
        .args(["-c", condition])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let holds = done.is_ok_and(|status| status.success());
    if !holds {
        eprintln!("LEFT OUT: this does not hold here: {condition}");
    }
    holds
}

fn may_group() -> bool {
    may_capture()
        && holds("nft list tables && grep -q cgroup2 /proc/self/mounts && curl --version && python3 --version")
}

/// A server, and a folder that anybody may write to.
struct Lab {
    folder: tempfile::TempDir,
    _server: Server,
    port: u16,
}

impl Lab {
    fn new() -> Self {
        let folder = open_folder();
        certificate(folder.path());
        fs::write(folder.path().join("twice.py"), TWICE).expect("a file");
        let port = free_port();
        let server = Server::start(folder.path(), port);
        Self {
            folder,
            _server: server,
            port,
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}/", self.port)
    }

    fn record(&self, arguments: &[&str]) -> Output {
        self.record_as(Command::new(cargo_bin("reshake")), arguments)
    }

    fn record_as(&self, mut command: Command, arguments: &[&str]) -> Output {
        command
            .arg("record")
            .args(arguments)
            .current_dir(self.path())
            .env("TMPDIR", self.path())
            .env_remove("SSLKEYLOGFILE")
            .output()
            .expect("it runs")
    }

    /// What is left in the folder for temporary files.
    fn left(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path()).expect("the folder");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths
            .filter(|path| path.display().to_string().contains("/reshake-"))
            .collect()
    }
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", errors(output)))
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn only_the_commands_own_connections_are_reported() {
    if !may_group() {
        return;
    }
    let lab = Lab::new();
    let (url, port) = (lab.url(), lab.port.to_string());
    // Somebody else visits the same server all the while.
    let mut other = Command::new("sh")
        .args(["-c", r#"while :; do curl -sk "$0" -o /dev/null; done"#, &url])
        .spawn()
        .expect("a shell");
    let curl = [
        "--repeat",
        "3",
        "--format",
        "json",
        "--",
        "curl",
        "-sk",
        &url,
        "-o",
        "/dev/null",
    ];
    let curl = lab.record(&curl);
    let python = ["--format", "json", "-w", "kept.pcapng", "--keep-keys", "keys.txt"];
    let python = lab.record(&[&python[..], &["--", "python3", "twice.py", &port]].concat());
    other.kill().expect("it runs");
    other.wait().expect("it ends");

    assert_eq!(curl.status.code(), Some(0), "{}", errors(&curl));
    assert_eq!(json(&curl)["summary"]["connections"], 3);
    assert_eq!(python.status.code(), Some(0), "{}", errors(&python));
    let report = json(&python);
    assert_eq!(report["summary"]["connections"], 2);
    assert_eq!(report["connections"][1]["outcome"], "resumed");
    // Its key log was read, kept because it was asked for, and for nobody else's eyes.
    let keys = lab.path().join("keys.txt");
    assert!(fs::read_to_string(&keys).expect("a key log").contains("CLIENT_RANDOM"));
    assert_eq!(
        fs::metadata(&keys).expect("its mode").permissions().mode() & 0o777,
        0o600
    );
    let again = Command::new(cargo_bin("reshake"))
        .args(["--format", "json", "--keylog", "keys.txt", "kept.pcapng"])
        .current_dir(lab.path())
        .output()
        .expect("it runs");
    assert_eq!(json(&again)["connections"], report["connections"]);
    assert!(
        lab.left().is_empty(),
        "packets and secrets are removed: {:?}",
        lab.left()
    );
    // Other tests may be at it; what has no process any more is left over.
    let stale = "for table in $(nft list tables | grep -oE 'reshake-[0-9]+'); do test -d /proc/${table#reshake-} || exit 1; done";
    assert!(holds(stale), "the rules are removed");
}

#[test]
fn the_status_is_the_commands_or_that_of_the_rules() {
    if !may_group() {
        return;
    }
    let lab = Lab::new();
    let (url, port) = (lab.url(), lab.port.to_string());
    let code = |arguments: &[&str]| lab.record(arguments).status.code();
    assert_eq!(code(&["--", "sh", "-c", "exit 5"]), Some(5));
    assert_eq!(code(&["--", "sh", "-c", "kill -9 $$"]), Some(137));
    assert_eq!(code(&["--", "./no-such-program"]), Some(127));
    assert_eq!(code(&["--", "./twice.py"]), Some(126), "it may not be executed");
    // The first failure of several runs, and no further run is left out for it.
    let again = "echo run; test -e been || { touch been; exit 4; }";
    let output = lab.record(&["-n", "2", "-o", "report.txt", "--", "sh", "-c", again]);
    assert_eq!((output.status.code(), output.stdout), (Some(4), b"run\nrun\n".to_vec()));
    assert!(
        fs::read_to_string(lab.path().join("report.txt"))
            .expect("a report")
            .contains("no TLS connection")
    );

    fs::write(lab.path().join("rules.toml"), "min-returning-share = 0.9\n").expect("rules");
    assert_eq!(
        code(&["--check", "rules.toml", "--", "python3", "twice.py", &port]),
        Some(0)
    );
    let curl = [
        "-n",
        "2",
        "--check",
        "rules.toml",
        "--",
        "curl",
        "-sk",
        &url,
        "-o",
        "/dev/null",
    ];
    assert_eq!(code(&curl), Some(1), "curl keeps no session between two runs");
    assert_eq!(code(&["--check", "nowhere.toml", "--", "true"]), Some(2));
    assert_eq!(
        code(&["-w", "no/such/folder.pcapng", "--", "touch", "was-run"]),
        Some(3)
    );
    assert!(
        !lab.path().join("was-run").exists(),
        "what cannot be written is known before"
    );
}

#[test]
fn nothing_is_left_behind_when_it_is_killed() {
    if !may_group() {
        return;
    }
    let lab = Lab::new();
    let killed = lab.record(&["--", "sh", "-c", "kill -9 $PPID; ls $(dirname $SSLKEYLOGFILE)"]);
    assert_eq!(killed.status.code(), None, "{killed:?}");
    // Its keeper has noticed and clears up; each look is a process of its own, hence no hurry.
    let gone = (0..2000).any(|_| {
        let quiet = Command::new("sh").args(["-c", "true"]).status();
        quiet.is_ok() && lab.left().is_empty()
    });
    assert!(gone, "{:?}", lab.left());
}

/// A command that has the process above it end, and would itself run on.
const ENDING: [&str; 3] = ["sh", "-c", "kill $PPID; exec sleep 600"];

#[test]
fn a_recording_that_is_ended_ends_its_command_and_reports_all_the_same() {
    if !may_group() {
        return;
    }
    let lab = Lab::new();
    let ended = lab.record(&[&["--repeat", "9", "--"][..], &ENDING].concat());
    assert_eq!(ended.status.code(), Some(143), "{}", errors(&ended));
    assert!(
        String::from_utf8_lossy(&ended.stdout).contains("no TLS connection"),
        "there is no report"
    );
    assert!(lab.left().is_empty(), "{:?}", lab.left());
}

#[test]
fn without_rights_and_without_pasta_one_line_says_what_to_do() {
    if !may_capture() || !holds("setpriv --version") {
        return;
    }
    let lab = Lab::new();
    let program = lab.path().join("reshake");
    copy_program(&program);
    let mut command = Command::new("sh");
    let bare = r#"exec setpriv --reuid=65534 --regid=65534 --clear-groups env PATH="$0" "$0/reshake" "$@""#;
    command.args(["-c", bare]).arg(lab.path());
    let output = lab.record_as(command, &["--", "true"]);
    assert_eq!(output.status.code(), Some(2));
    let line = errors(&output);
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.contains("sudo") && line.contains("pasta"), "{line}");
}

#[test]
fn with_the_right_to_capture_alone_it_says_what_that_takes_and_any_way_works() {
    if !may_capture() || !holds("setpriv --version && python3 --version") {
        return;
    }
    let lab = Lab::new();
    let port = lab.port.to_string();
    // As root of a container has it.
    let contained = || {
        let capabilities = "-all,+net_raw,+setuid,+setgid,+dac_override,+chown";
        let mut command = Command::new("setpriv");
        command
            .arg(format!("--bounding-set={capabilities}"))
            .arg(format!("--inh-caps={capabilities}"));
        command.arg(cargo_bin("reshake"));
        command
    };
    let refused = lab.record_as(contained(), &["--", "true"]);
    assert_eq!(refused.status.code(), Some(2));
    let line = errors(&refused);
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.contains("NET_ADMIN") && line.contains("--way any"), "{line}");
    let python = ["--way", "any", "--format", "json", "--", "python3", "twice.py", &port];
    let taken = lab.record_as(contained(), &python);
    assert_eq!(taken.status.code(), Some(0), "{}", errors(&taken));
    let report = json(&taken);
    let own = report["connections"].as_array().expect("connections").iter();
    let own = own
        .filter(|connection| connection["server"]["port"] == lab.port)
        .collect::<Vec<_>>();
    assert_eq!(own.len(), 2);
    assert!(
        errors(&taken).contains("what other programs send"),
        "{}",
        errors(&taken)
    );
}

/// As nobody, with a /dev/net/tun that anybody may open, as most machines have it.
const AS_NOBODY: &str = r#"
tun=$(mktemp -d) && mount -t tmpfs -o mode=755 tun "$tun" && mknod -m 666 "$tun/tun" c 10 200 &&
mount --bind "$tun/tun" /dev/net/tun && exec setpriv --reuid=65534 --regid=65534 --clear-groups "$0" "$@"
"#;

#[test]
fn without_rights_it_runs_in_a_namespace_and_says_what_that_hides() {
    if !may_capture() || !holds("pasta --version && unshare --version && test -e /dev/net/tun && python3 --version") {
        return;
    }
    let lab = Lab::new();
    let port = lab.port.to_string();
    let program = lab.path().join("reshake");
    copy_program(&program);
    let nobody = || {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", AS_NOBODY]).arg(&program);
        command
    };
    let trial = lab.record_as(nobody(), &["--", "true"]);
    if ["could not make a network namespace", "cannot be opened"]
        .iter()
        .any(|line| errors(&trial).contains(line))
    {
        eprintln!("LEFT OUT: pasta makes no namespace here: {}", errors(&trial));
        return;
    }
    let output = lab.record_as(nobody(), &["--format", "json", "--", "python3", "twice.py", &port]);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let report = json(&output);
    assert_eq!(report["summary"]["connections"], 2);
    assert_eq!(report["connections"][1]["outcome"], "resumed");
    assert!(
        errors(&output).contains("backends cannot be told apart"),
        "{}",
        errors(&output)
    );
    let failing = lab.record_as(nobody(), &["--", "sh", "-c", "exit 5"]);
    assert_eq!(failing.status.code(), Some(5), "{}", errors(&failing));
    let ended = lab.record_as(nobody(), &[&["--"][..], &ENDING].concat());
    assert_eq!(ended.status.code(), Some(143), "{}", errors(&ended));
    // A second signal ends it at once.
    lab.record_as(nobody(), &["--", "sh", "-c", "while kill -INT $PPID; do :; done"]);
    assert!(lab.left().is_empty(), "{:?}", lab.left());
}
