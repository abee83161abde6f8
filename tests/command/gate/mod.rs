//! The gate: every rule with a capture that keeps it and one that breaks it, every form of the answer read by a reader
//! of that form, the comparison of two runs, and the guide's commands.

mod diff;
mod forms;
mod guide;
mod rules;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::common::root;
use assert_cmd::cargo::cargo_bin;
use serde_json::Value;

/// Two machines that do not share their sessions.
const QUICKSTART: &str = "fixtures/captures/quickstart/capture.pcapng";
/// The same with too few connections to prove it.
const UNPROVEN: &str = "fixtures/reasons/other-backend-cache/capture.pcapng";
/// Two machines with the same ticket keys: all that come back resume.
const SHARED: &str = "fixtures/captures/shared-tickets/capture.pcapng";

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(cargo_bin("reshake"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command.env_remove("NO_COLOR");
    command
}

fn run_in(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().expect("the binary runs")
}

fn run(arguments: &[&str]) -> Output {
    run_in(root(), arguments)
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// The answer of `check` as a document, and its exit status.
fn check(arguments: &[&str]) -> (Value, Option<i32>) {
    let arguments = [&["check", "-q", "--format", "json"], arguments].concat();
    let output = run(&arguments);
    let document = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", err(&output)));
    (document, output.status.code())
}

/// The capture files of a fixture, relative to the package.
fn files(fixture: &str) -> Vec<String> {
    let relative = |path: PathBuf| {
        let path = path.strip_prefix(root()).expect("in the package").to_owned();
        path.into_os_string().into_string().expect("a UTF-8 path")
    };
    crate::common::fixture(fixture)
        .paths
        .into_iter()
        .map(relative)
        .collect()
}

fn schema_text(schema: &Value) -> String {
    let mut text = serde_json::to_string_pretty(schema).expect("a schema is JSON");
    text.push('\n');
    text
}
