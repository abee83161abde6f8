//! The whole program on a pseudo-terminal: what a person would see and press.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::common::{fixture, root};

/// Nothing here takes as long; what does not come by then never comes.
const PATIENCE: Duration = Duration::from_secs(20);
const QUICKSTART: &str = "captures/quickstart";

/// A program on a terminal of 100 by 30.
struct Session {
    _terminal: Box<dyn MasterPty + Send>,
    child: Box<dyn Child + Send + Sync>,
    input: Box<dyn Write + Send>,
    output: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    raw: Vec<u8>,
}

impl Session {
    fn start(folder: &Path, program: &str, arguments: &[&str]) -> Self {
        let size = PtySize {
            rows: 30,
            cols: 100,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system().openpty(size).expect("a pseudo-terminal");
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.cwd(folder);
        command.env("TERM", "xterm-256color");
        command.env_remove("NO_COLOR");
        let child = pair.slave.spawn_command(command).expect("the program starts");
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().expect("its output");
        let input = pair.master.take_writer().expect("its input");
        let (send, output) = mpsc::channel();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = reader.read(&mut piece) {
                if send.send(piece[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            _terminal: pair.master,
            child,
            input,
            output,
            screen: vt100::Parser::new(30, 100, 0),
            raw: Vec::new(),
        }
    }

    fn view(folder: &Path) -> Self {
        Self::view_with(folder, &[])
    }

    fn view_with(folder: &Path, options: &[&str]) -> Self {
        let file = fixture(QUICKSTART).path().to_str().expect("UTF-8").to_owned();
        let program = cargo_bin("reshake");
        let arguments = [&["view", &file], options].concat();
        Self::start(folder, program.to_str().expect("UTF-8"), &arguments)
    }

    fn type_in(&mut self, keys: &str) {
        self.input.write_all(keys.as_bytes()).expect("keys are taken");
        self.input.flush().expect("keys are taken");
    }

    /// Waits until a text is on the screen.
    fn until(&mut self, text: &str) {
        self.wait(text, |session| session.screen.screen().contents().contains(text));
    }

    fn wait(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        // What is drawn for ever does not prolong it.
        let begun = Instant::now();
        while !done(self) {
            let Ok(piece) = self.output.recv_timeout(PATIENCE.saturating_sub(begun.elapsed())) else {
                panic!(
                    "'{what}' did not come; on the screen:\n{}",
                    self.screen.screen().contents()
                );
            };
            self.screen.process(&piece);
            self.raw.extend(piece);
        }
    }

    /// Takes in what comes within a time; says whether anything came.
    fn take(&mut self, time: Duration) -> bool {
        let piece = self.output.recv_timeout(time);
        piece.is_ok_and(|piece| {
            self.screen.process(&piece);
            self.raw.extend(piece);
            true
        })
    }

    /// Everything up to the end of the program, and its exit status.
    fn end(&mut self) -> u32 {
        while let Ok(piece) = self.output.recv_timeout(PATIENCE) {
            self.screen.process(&piece);
            self.raw.extend(piece);
        }
        self.child.wait().expect("the program ends").exit_code()
    }

    /// Whether the terminal was given back: main screen, cursor shown, no mouse.
    fn is_as_it_was(&self) -> bool {
        let screen = self.screen.screen();
        !screen.alternate_screen()
            && !screen.hide_cursor()
            && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
    }
}

#[test]
fn from_a_capture_to_the_connection_that_issued_the_session() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut session = Session::view(folder.path());
    session.until("Services by waste");
    session.type_in("2");
    session.until("1 / 32 connections");
    session.type_in("foutcome:declined client:10.0.0.12\r");
    session.until("9 of 32 connections");
    session.type_in("\r");
    session.until("› Connection 3");
    session.until("other-backend-cache  (inferred, settled by");
    session.type_in("i");
    session.until("› Connection 2");
    session.until("first-in-capture");
    session.type_in("y");
    session.wait("OSC 52", |session| {
        let marker = b"\x1b]52;c;";
        session.raw.windows(marker.len()).any(|window| window == marker)
    });
    session.type_in("em");
    session.until("written to reshake-c");
    session.type_in("q");
    assert_eq!(session.end(), 0);
    assert!(session.is_as_it_was());
    let written: Vec<String> = std::fs::read_dir(folder.path())
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    let [name] = written.as_slice() else {
        panic!("{written:?}")
    };
    let text = std::fs::read_to_string(folder.path().join(name)).expect("the file");
    assert!(
        text.starts_with("# Connection 2: 10.0.0.12:44078 → www.a.test"),
        "{text}"
    );
}

#[test]
fn redacted_screens_and_what_is_written_from_them_name_nobody() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut session = Session::view_with(folder.path(), &["--redact"]);
    session.until("Services by waste");
    session.until(".invalid");
    session.type_in("2");
    session.until("1 / 32 connections");
    session.type_in("foutcome:declined\r");
    session.until("18 of 32 connections");
    session.type_in("\r");
    session.until("other-backend-cache");
    session.type_in("em");
    session.until("written to reshake-c");
    session.type_in("q");
    assert_eq!(session.end(), 0);
    let written = std::fs::read_dir(folder.path()).expect("the folder");
    let mut shown = session.raw;
    for entry in written {
        shown.extend(std::fs::read(entry.expect("an entry").path()).expect("a file"));
    }
    let shown = String::from_utf8_lossy(&shown);
    for name in ["10.0.0.1", "a.test"] {
        assert!(!shown.contains(name), "{name} is shown");
    }
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut session = Session::view(folder.path());
    session.until("Services by waste");
    signal(&session, "TERM");
    assert_eq!(session.end(), 0);
    assert!(session.is_as_it_was());
}

#[test]
fn a_suspended_program_gives_the_terminal_back_and_takes_it_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut session = Session::view(folder.path());
    session.until("Services by waste");
    session.type_in("2\x1a");
    session.wait("the terminal given back", |session| {
        session.screen.screen().contents().is_empty() && session.is_as_it_was()
    });
    // What was given back comes a moment before the process stops: a signal to go on is repeated until it is heard.
    let heard = (0..200).any(|_| {
        signal(&session, "CONT");
        session.take(Duration::from_millis(100))
    });
    assert!(heard, "it goes on");
    session.until("1 / 32 connections");
    session.type_in("q");
    assert_eq!(session.end(), 0);
    assert!(session.is_as_it_was());
}

fn signal(session: &Session, name: &str) {
    let process = session.child.process_id().expect("a process").to_string();
    let status = Command::new("kill")
        .args(["-s", name, &process])
        .status()
        .expect("kill runs");
    assert!(status.success());
}

#[test]
fn a_capture_on_standard_input_leaves_the_keys_to_the_terminal() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = fixture(QUICKSTART).path().to_str().expect("UTF-8").to_owned();
    let program = cargo_bin("reshake").to_str().expect("UTF-8").to_owned();
    let line = format!("cat '{file}' | '{program}' view -");
    let mut session = Session::start(folder.path(), "sh", &["-c", &line]);
    session.until("standard input");
    session.type_in("2G");
    session.until("32 / 32 connections");
    session.type_in("q");
    assert_eq!(session.end(), 0);
}

#[test]
fn without_a_terminal_there_is_one_line_and_status_2() {
    let file = fixture(QUICKSTART).path().to_str().expect("UTF-8").to_owned();
    let output = Command::new(cargo_bin("reshake"))
        .args(["view", &file])
        .current_dir(root())
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let told = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.contains("terminal"), "{told}");
}

#[test]
fn a_capture_that_cannot_be_read_is_said_before_any_screen() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = cargo_bin("reshake").to_str().expect("UTF-8").to_owned();
    let mut session = Session::start(folder.path(), &program, &["view", "missing.pcap"]);
    assert_eq!(session.end(), 3);
    assert!(session.screen.screen().contents().contains("missing.pcap"));
}

/// A capture that goes on, through a pipe that stays open.
#[test]
fn a_live_capture_is_looked_at_while_it_goes_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pipe = folder.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs");
    assert!(made.success());
    let program = cargo_bin("reshake").to_str().expect("UTF-8").to_owned();
    let line = format!("exec '{program}' live - --tui --interval 100ms < pipe");
    let mut session = Session::start(folder.path(), "sh", &["-c", &line]);
    let mut input = std::fs::OpenOptions::new()
        .write(true)
        .open(&pipe)
        .expect("somebody reads");
    session.until("(0 services)");
    let bytes = std::fs::read(fixture(QUICKSTART).path()).expect("the fixture");
    input.write_all(&bytes).expect("it reads");
    input.flush().expect("it reads");
    session.until("www.a.test");
    session.type_in("2foutcome:declined\r");
    session.until("18 of 32 connections");
    session.type_in("\r");
    session.until("› Connection 3");
    drop(input);
    session.until("the capture is over");
    session.type_in("q");
    assert_eq!(session.end(), 0);
    assert!(session.is_as_it_was());
}

/// On the loopback interface, with a real server and a real client, where the tests may capture.
#[cfg(all(feature = "live", target_os = "linux"))]
#[test]
#[allow(clippy::print_stderr, reason = "what is left out is said")]
fn a_connection_on_loopback_appears_on_the_screens() {
    use std::io::{BufRead, BufReader};
    use std::os::unix::fs::MetadataExt;

    if std::fs::metadata("/proc/self").map(|meta| meta.uid()).ok() != Some(0) {
        eprintln!("left out: capturing from an interface needs root");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let openssl = |arguments: &str| {
        let mut command = Command::new("openssl");
        command.args(arguments.split(' ')).current_dir(folder.path());
        command.stdin(Stdio::null()).stderr(Stdio::null());
        command
    };
    let made = openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout key.pem -out cert.pem");
    assert!({ made }.status().expect("openssl is installed").success());
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("its address").port();
    drop(free);
    let program = cargo_bin("reshake").to_str().expect("UTF-8").to_owned();
    let filter = format!("tcp port {port}");
    let mut session = Session::start(folder.path(), &program, &["live", "-i", "lo", "--tui", "-f", &filter]);
    session.until("(0 services)");
    let mut server = openssl(&format!(
        "s_server -tls1_2 -www -key key.pem -cert cert.pem -accept {port}"
    ))
    .stdout(Stdio::piped())
    .spawn()
    .expect("openssl is installed");
    let mut lines = BufReader::new(server.stdout.take().expect("its output")).lines();
    assert!(
        lines.any(|line| line.is_ok_and(|line| line.starts_with("ACCEPT"))),
        "the server did not start"
    );
    let client = openssl(&format!("s_client -tls1_2 -connect 127.0.0.1:{port}"))
        .stdout(Stdio::null())
        .status();
    assert!(client.expect("openssl is installed").success());
    session.until("(1 service)");
    session.type_in("2");
    session.until("1 / 1 connection");
    session.type_in("\r");
    session.until("first-in-capture");
    // It goes on until it is left.
    session.type_in("q");
    assert_eq!(session.end(), 0);
    assert!(session.is_as_it_was());
    server.kill().expect("the server ends");
    server.wait().expect("the server ends");
}
