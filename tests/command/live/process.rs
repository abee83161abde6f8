//! A `reshake live` under test, and the lines that it prints. Nothing waits for a time: a line comes, or it is an error.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;

/// Nothing here takes as long; what does not come by then never comes.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A running `reshake live`. It is killed when the test is over, however that ends.
pub(crate) struct Live {
    child: Child,
    lines: Receiver<String>,
    errors: Option<thread::JoinHandle<String>>,
    started: Instant,
    /// Lines so far.
    pub(crate) seen: Vec<Value>,
}

impl Live {
    pub(crate) fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self::run(Command::new(cargo_bin("reshake")), folder, arguments)
    }

    pub(crate) fn run(mut command: Command, folder: &Path, arguments: &[&str]) -> Self {
        let mut child = command
            .arg("live")
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let out = child.stdout.take().expect("its output");
        let mut err = child.stderr.take().expect("its errors");
        let (send, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(out).lines() {
                if line.is_ok_and(|line| send.send(line).is_ok()) {
                    continue;
                }
                return;
            }
        });
        let errors = thread::spawn(move || {
            let mut text = String::new();
            err.read_to_string(&mut text).expect("UTF-8");
            text
        });
        Self {
            child,
            lines,
            errors: Some(errors),
            started: Instant::now(),
            seen: Vec::new(),
        }
    }

    pub(crate) fn input(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("its input")
    }

    #[cfg(all(feature = "live", target_os = "linux"))]
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line; `None` at the end.
    pub(crate) fn line(&self) -> Option<String> {
        // Lines that come for ever do not prolong it.
        let left = PATIENCE.saturating_sub(self.started.elapsed());
        match self.lines.recv_timeout(left) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("it did not end, or what was waited for did not come"),
        }
    }

    /// The next object for which `wanted` holds; those before it are kept in `seen`.
    pub(crate) fn until(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let Some(line) = self.line() else {
                panic!("'{what}' did not come; it said: {}", self.errors());
            };
            let value: Value = serde_json::from_str(&line).expect("one JSON object a line");
            self.seen.push(value.clone());
            if wanted(&value) {
                return value;
            }
        }
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().expect("kill runs");
        assert!(sent.success());
    }

    fn errors(&mut self) -> String {
        let errors = self.errors.take();
        errors.map_or_else(String::new, |errors| errors.join().expect("its errors are read"))
    }

    /// Everything up to the end: the rest of the objects, the exit status and what was said on standard error.
    pub(crate) fn end(mut self) -> (Vec<Value>, ExitStatus, String) {
        while let Some(line) = self.line() {
            self.seen
                .push(serde_json::from_str(&line).expect("one JSON object a line"));
        }
        let errors = self.errors();
        let status = self.child.wait().expect("it ends");
        (std::mem::take(&mut self.seen), status, errors)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // It may be over already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Feeds bytes to a program that may have left.
pub(crate) fn feed(input: &mut ChildStdin, bytes: &[u8]) {
    input.write_all(bytes).expect("it reads");
    input.flush().expect("it reads");
}

pub(crate) fn is(value: &Value, kind: &str) -> bool {
    value["type"] == kind
}

/// A connection line of this stage.
pub(crate) fn connection(value: &Value, stage: &str) -> bool {
    is(value, "connection") && value["stage"] == stage
}
