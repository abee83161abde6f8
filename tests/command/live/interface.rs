//! Captures from real interfaces, where the tests may: as root on Linux, with libpcap in the build.
#![cfg(all(feature = "live", target_os = "linux"))]
#![allow(clippy::print_stderr, reason = "what is left out is said")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;

use super::pipe::analyse;
use super::process::{Live, PATIENCE, connection, is};

/// The user without rights.
const NOBODY: u32 = 65_534;

/// Whether these tests may capture; where not, they say so and are left out.
pub(crate) fn may_capture() -> bool {
    let root = fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
    if !root {
        eprintln!("left out: capturing from an interface needs root");
    }
    root
}

/// A folder that anybody may write to: captures are written after rights were given up.
pub(crate) fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("permissions");
    folder
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its address").port()
}

/// A real server, killed when it goes out of scope.
pub(crate) struct Server {
    child: Child,
}

impl Server {
    pub(crate) fn start(folder: &Path, port: u16) -> Self {
        let mut child = Command::new("openssl")
            .args([
                "s_server", "-tls1_2", "-www", "-key", "key.pem", "-cert", "cert.pem", "-accept",
            ])
            .arg(port.to_string())
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl is installed");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let ready = lines.any(|line| line.is_ok_and(|line| line.starts_with("ACCEPT")));
        assert!(ready, "the server did not start");
        // Nobody reads the rest; the server must not fill a pipe.
        thread::spawn(move || lines.for_each(drop));
        Self { child }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn certificate(folder: &Path) {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder)
        .output()
        .expect("openssl is installed");
    assert!(made.status.success());
}

/// One connection of a real client, which asks for a page.
pub(crate) fn visit(folder: &Path, port: u16, session: &[&str]) -> Output {
    let mut child = Command::new("openssl")
        .args([
            "s_client",
            "-tls1_2",
            "-connect",
            &format!("127.0.0.1:{port}"),
            "-ign_eof",
        ])
        .args(session)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl is installed");
    let mut input = child.stdin.take().expect("its input");
    // A client whose connection fails does not read this.
    let _ = input.write_all(b"GET / HTTP/1.0\r\n\r\n");
    drop(input);
    child.wait_with_output().expect("the client ends")
}

/// Passes one connection on to `port` until the client has asked something, then resets it with the answer unread.
fn resetting_proxy(port: u16) -> (u16, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let own = listener.local_addr().expect("its address").port();
    let pass = move || {
        let (client, _) = listener.accept().expect("a client");
        let server = TcpStream::connect(("127.0.0.1", port)).expect("the server");
        for stream in [&client, &server] {
            stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        }
        // From the server: whole records, until the handshake is over (its Finished is the record after its
        // ChangeCipherSpec). What it says then is left unread.
        let (mut from, mut to) = (
            server.try_clone().expect("a stream"),
            client.try_clone().expect("a stream"),
        );
        let back = thread::spawn(move || {
            let mut changed = false;
            loop {
                let record = record(&mut from);
                to.write_all(&record).expect("the client reads");
                if changed {
                    return;
                }
                changed = record[0] == 20;
            }
        });
        let (mut from, mut to) = (
            client.try_clone().expect("a stream"),
            server.try_clone().expect("a stream"),
        );
        while {
            let record = record(&mut from);
            to.write_all(&record).expect("the server reads");
            record[0] != 23
        } {}
        back.join().expect("the handshake");
        server.peek(&mut [0]).expect("an answer");
        // Closing with something unread resets the connection.
        drop((from, to, server, client));
    };
    (own, thread::spawn(pass))
}

/// One TLS record.
fn record(stream: &mut TcpStream) -> Vec<u8> {
    let mut record = vec![0; 5];
    stream.read_exact(&mut record).expect("a header");
    let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
    record.resize(5 + length, 0);
    stream.read_exact(&mut record[5..]).expect("a body");
    record
}

fn status_of(id: u32, field: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.expect("a field").trim_start_matches(':').trim().to_owned()
}

#[test]
fn full_resumed_refused_and_reset_connections_are_told_as_they_happen() {
    if !may_capture() {
        return;
    }
    let folder = open_folder();
    let path = folder.path();
    certificate(path);
    let port = free_port();
    let filter = format!("tcp port {port}");
    let arguments = [
        "-i",
        "lo",
        "-f",
        &filter,
        "--format",
        "jsonl",
        "-w",
        "packets.pcapng",
        "--full-report",
        "full.json",
    ];
    let mut live = Live::start(path, &arguments);
    live.until("the capture", |value| is(value, "capture"));
    // Whatever is parsed from here on is parsed without rights.
    assert_eq!(
        status_of(live.id(), "Uid").split_whitespace().last(),
        Some(NOBODY.to_string().as_str())
    );
    for set in ["CapPrm", "CapEff", "CapInh", "CapAmb", "CapBnd"] {
        assert_eq!(status_of(live.id(), set).trim_start_matches('0'), "", "{set}");
    }

    let server = Server::start(path, port);
    visit(path, port, &["-sess_out", "session.pem"]);
    let full = live.until("a full handshake", |value| connection(value, "handshake"));
    assert_eq!(
        (&full["outcome"], &full["settled"]),
        (&"not-offered".into(), &false.into())
    );
    visit(path, port, &["-sess_in", "session.pem"]);
    let resumed = live.until("a resumption", |value| connection(value, "handshake"));
    assert_eq!(
        (&resumed["outcome"], &resumed["resumed_by"]),
        (&"resumed".into(), &"ticket".into())
    );
    // Another process has other ticket keys.
    drop(server);
    let server = Server::start(path, port);
    visit(path, port, &["-sess_in", "session.pem"]);
    let refused = live.until("a refusal", |value| connection(value, "handshake"));
    assert_eq!(refused["outcome"], "declined");
    assert!(!refused["reasons"].as_array().expect("reasons").is_empty());
    let (proxy, passed) = resetting_proxy(port);
    visit(path, proxy, &[]);
    passed.join().expect("it was passed on");
    let reset = live.until("a reset connection", |value| connection(value, "handshake"));
    assert_eq!(reset["outcome"], "not-offered");
    let id = reset["id"].clone();
    let closed = live.until("its end", |value| connection(value, "closed") && value["id"] == id);
    let close = &closed["close"];
    assert!(
        close["client"]["rst_frame"].is_object() || close["server"]["rst_frame"].is_object(),
        "{close}"
    );

    live.signal("-TERM");
    let (lines, status, errors) = live.end();
    assert!(status.success(), "{errors}");
    for one in [&full, &resumed, &refused, &reset] {
        let closed = lines
            .iter()
            .filter(|line| connection(line, "closed") && line["id"] == one["id"])
            .collect::<Vec<_>>();
        assert_eq!(closed.len(), 1, "each end is told once");
        assert_eq!(closed[0]["outcome"], one["outcome"], "an outcome never changes");
    }
    let last = lines.last().expect("lines");
    assert!(is(last, "summary"));
    assert_eq!(last["connections"], 4);
    drop(server);
    equal_to_offline(path);
}

/// The report at the end is that of an analysis of the packets that were written.
fn equal_to_offline(folder: &Path) {
    let full: Value = serde_json::from_slice(&fs::read(folder.join("full.json")).expect("a report")).expect("JSON");
    let offline = analyse(folder.join("packets.pcapng").to_str().expect("UTF-8"));
    for part in ["summary", "services", "connections", "credentials"] {
        assert_eq!(full[part], offline[part], "{part}");
    }
    let capture = &full["captures"][0];
    assert_eq!(
        (&capture["format"], &capture["ended"]),
        (&"live".into(), &"stopped".into())
    );
    assert_eq!(capture["packets"], offline["captures"][0]["packets"]);
    assert_eq!(capture["dropped"], 0);
}

#[test]
fn an_idle_link_does_not_keep_it_from_stopping() {
    if !may_capture() {
        return;
    }
    let folder = open_folder();
    for signal in ["-INT", "-TERM"] {
        let filter = format!("tcp port {}", free_port());
        let mut live = Live::start(folder.path(), &["-i", "lo", "-f", &filter, "--format", "jsonl"]);
        live.until("the capture", |value| is(value, "capture"));
        live.signal(signal);
        let (lines, status, errors) = live.end();
        assert!(status.success(), "{errors}");
        assert_eq!(lines.last().map(|line| line["packets"].is_null()), Some(true));
    }
    let filter = format!("tcp port {}", free_port());
    let live = Live::start(
        folder.path(),
        &["-i", "lo", "-f", &filter, "--format", "jsonl", "--duration", "300ms"],
    );
    let (_, status, errors) = live.end();
    assert!(status.success(), "{errors}");
}

fn number_of(user: &str) -> String {
    let output = Command::new("id").args(["-u", user]).output().expect("id runs");
    String::from_utf8(output.stdout).expect("a number").trim().to_owned()
}

#[test]
fn the_run_goes_on_as_the_user_that_is_named() {
    if !may_capture() {
        return;
    }
    let folder = open_folder();
    let path = folder.path();
    let arguments = [
        "-i",
        "lo",
        "--immediate",
        "--user",
        "daemon",
        "-c",
        "1",
        "--format",
        "jsonl",
    ];
    let mut live = Live::start(path, &[&arguments[..], &["-w", "packets.pcapng"]].concat());
    live.until("the capture", |value| is(value, "capture"));
    let own = number_of("daemon");
    assert_eq!(
        status_of(live.id(), "Uid").split_whitespace().collect::<Vec<_>>(),
        [own.as_str(); 4]
    );
    // One packet is enough to end it.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection");
    let (_, status, errors) = live.end();
    assert!(status.success(), "{errors}");
    let written = fs::metadata(path.join("packets.pcapng")).expect("the packets");
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&written).to_string(), own);
}

#[test]
fn a_user_that_nobody_knows_or_that_has_every_right_is_refused() {
    if may_capture() {
        for (user, expected) in [
            ("nobody-of-this-name", "there is no user 'nobody-of-this-name'"),
            ("root", "root is the user to leave"),
        ] {
            let text = fails(program(), &["-i", "lo", "--user", user], 3);
            assert!(text.contains(expected), "{text}");
        }
    }
}

fn fails(mut command: Command, arguments: &[&str], expected: i32) -> String {
    let output = command
        .arg("live")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the program runs");
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(expected), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

fn program() -> Command {
    Command::new(cargo_bin("reshake"))
}

/// A copy of the program that anybody may run. Another process makes it: what a test beside this one starts meanwhile would
/// inherit a file that is being written here, and such a file cannot be run (`ETXTBSY`).
pub(crate) fn copy_program(to: &Path) {
    let copied = Command::new("cp").arg(cargo_bin("reshake")).arg(to).status();
    assert!(copied.expect("cp runs").success(), "a copy that anybody may run");
}

#[test]
fn without_rights_one_line_says_how_to_get_them() {
    let folder = open_folder();
    let copy: PathBuf = folder.path().join("reshake");
    copy_program(&copy);
    let mut command = Command::new(&copy);
    if may_capture() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let text = fails(command, &["-i", "lo"], 3);
    let remedy = format!("sudo setcap cap_net_raw,cap_net_admin=eip {}", copy.display());
    assert!(text.contains("run it with sudo") && text.contains(&remedy), "{text}");
}

#[test]
fn an_unknown_interface_is_named() {
    if may_capture() {
        let text = fails(program(), &["-i", "nowhere0"], 3);
        assert_eq!(
            text,
            "reshake: nowhere0: there is no such interface; 'reshake interfaces' lists those there are\n"
        );
    }
}

#[test]
fn a_wrong_filter_is_explained_in_the_words_of_libpcap() {
    if may_capture() {
        let text = fails(program(), &["-i", "lo", "-f", "tcp prot 443"], 2);
        assert!(text.starts_with("reshake: filter 'tcp prot 443': "), "{text}");
        assert!(text.contains("syntax error"), "{text}");
    }
}

/// A pair of interfaces of its own; gone with its end.
struct Pair(String);

impl Pair {
    /// `None` where this system makes no such interfaces.
    fn new(name: &str) -> Option<Self> {
        let name = format!("{name}{}", std::process::id() % 100_000);
        let made = ip(&[
            "link",
            "add",
            &name,
            "type",
            "veth",
            "peer",
            "name",
            &format!("{name}p"),
        ]);
        if !made {
            eprintln!("left out: no pair of interfaces can be made here");
            return None;
        }
        let pair = Self(name);
        assert!(ip(&["link", "set", &pair.0, "up"]) && ip(&["link", "set", &format!("{}p", pair.0), "up"]));
        Some(pair)
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        ip(&["link", "del", &self.0]);
    }
}

fn ip(arguments: &[&str]) -> bool {
    let run = Command::new("ip").args(arguments).stderr(Stdio::null()).status();
    run.is_ok_and(|status| status.success())
}

#[test]
fn an_interface_that_is_taken_down_ends_the_run_with_one_line() {
    let Some(pair) = may_capture().then(|| Pair::new("rsd")).flatten() else {
        return;
    };
    let folder = open_folder();
    let mut live = Live::start(folder.path(), &["-i", &pair.0, "--format", "jsonl"]);
    live.until("the capture", |value| is(value, "capture"));
    assert!(ip(&["link", "set", &pair.0, "down"]));
    let (lines, status, errors) = live.end();
    assert_eq!(status.code(), Some(3), "{errors}");
    assert_eq!(
        errors,
        format!(
            "reshake: {}: the interface went down; what came before was analysed\n",
            pair.0
        )
    );
    assert!(
        lines.last().is_some_and(|line| is(line, "summary")),
        "what came before is reported"
    );
    // It stays down: that is said at once.
    let text = fails(program(), &["-i", &pair.0], 3);
    assert!(
        text.contains("the interface is down; bring it up first: ip link set"),
        "{text}"
    );
}

#[test]
fn a_lost_interface_is_taken_up_again_where_that_is_wanted() {
    let Some(pair) = may_capture().then(|| Pair::new("rsr")).flatten() else {
        return;
    };
    let folder = open_folder();
    let arguments = ["-i", &pair.0, "--format", "jsonl", "--reconnect", "--interval", "100ms"];
    let mut live = Live::start(folder.path(), &arguments);
    live.until("the capture", |value| is(value, "capture"));
    // The one right that is needed for it stays.
    let kept = status_of(live.id(), "CapEff");
    assert_eq!(
        u64::from_str_radix(&kept, 16).ok(),
        Some(1 << 13),
        "CAP_NET_RAW alone: {kept}"
    );
    assert!(ip(&["link", "set", &pair.0, "down"]));
    let lost = |value: &Value| {
        let notices = value["notices"].as_array();
        notices.is_some_and(|notices| notices.iter().any(|notice| notice["code"] == "interface-lost"))
    };
    let gone = live.until("the loss", lost);
    assert!(ip(&["link", "set", &pair.0, "up"]));
    // Going up, the interface announces itself: packets come again.
    let packets = gone["packets"].as_u64();
    live.until("packets", |value| value["packets"].as_u64() > packets);
    live.signal("-TERM");
    let (_, status, errors) = live.end();
    assert!(status.success(), "{errors}");
    assert!(
        errors.contains(": the interface went down; waiting for it\n"),
        "{errors}"
    );
    assert!(errors.contains(": is back\n"), "{errors}");
}

#[test]
fn interfaces_are_listed_with_addresses_and_state() {
    let output = program().arg("interfaces").output().expect("the program runs");
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let loopback = text.lines().find(|line| line.starts_with("lo "));
    if may_capture() {
        let loopback = loopback.expect("there is a loopback interface");
        assert!(loopback.contains("up") && loopback.contains("127.0.0.1"), "{text}");
    }
}
