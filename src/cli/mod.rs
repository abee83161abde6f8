//! The command line: arguments in, exit status out. It picks inputs and output and prints; it decides nothing about TLS.

mod analyze;
pub mod args;
mod check;
mod completions;
mod copy;
mod diff;
mod explain;
mod extcap;
mod interfaces;
mod interrupt;
mod live;
mod man;
mod output;
mod page;
mod progress;
mod record;
mod redact;
mod schema;
mod session;
mod view;
mod what_if;
mod wireshark;

use std::io::{self, BufWriter, IsTerminal, Write};
use std::process::ExitCode;

use args::{Color, Command};
use progress::Meter;

use crate::run::{self, Run, RunOptions};
use crate::wording::printable;

/// Exit status; fixed by the report's contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    /// The input was analysed, whatever it shows.
    Analysed,
    /// A rule is violated.
    Violated,
    /// Wrong usage.
    Usage,
    /// An input could not be read, or the output not be written.
    Unreadable,
    /// That of a command which was run.
    #[cfg(all(feature = "live", target_os = "linux"))]
    Command(u8),
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        match status {
            Status::Analysed => Self::SUCCESS,
            Status::Violated => Self::from(1),
            Status::Usage => Self::from(2),
            Status::Unreadable => Self::from(3),
            #[cfg(all(feature = "live", target_os = "linux"))]
            Status::Command(code) => Self::from(code),
        }
    }
}

/// Why a command ends before it is done.
#[derive(Debug)]
enum Stop {
    /// What is wrong was said.
    With(Status),
    /// Standard output cannot be written.
    Output(io::Error),
}

impl From<Status> for Stop {
    fn from(status: Status) -> Self {
        Self::With(status)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// How a command ended.
type Done = Result<Status, Stop>;

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match args::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let done = match &cli.command {
        Command::Analyze(arguments) => analyze::run(arguments, coloured(cli.color)),
        Command::Live(arguments) => live::run(arguments, coloured(cli.color)),
        Command::Record(arguments) => record::run(arguments, coloured(cli.color)),
        Command::Interfaces => interfaces::run(),
        Command::View(arguments) => view::run(arguments, coloured(cli.color)),
        Command::Session(arguments) => session::run(arguments),
        Command::WhatIf(arguments) => what_if::run(arguments),
        Command::Annotate(arguments) => copy::annotate(arguments),
        Command::Extract(arguments) => copy::extract(arguments),
        Command::Check(arguments) => check::run(arguments, coloured(cli.color)),
        Command::Diff(arguments) => diff::run(arguments),
        Command::Wireshark(arguments) => wireshark::run(arguments),
        Command::Extcap(arguments) => extcap::run(arguments),
        Command::Explain(arguments) => explain::run(arguments),
        Command::Page(arguments) => page::run(arguments),
        Command::Schema(arguments) => schema::run(arguments),
        Command::Completions(arguments) => completions::run(arguments),
        Command::Man => man::run(),
    };
    match done {
        Ok(status) | Err(Stop::With(status)) => status.into(),
        Err(Stop::Output(error)) => {
            complain(&format!("standard output: cannot be written: {error}"));
            Status::Unreadable.into()
        }
    }
}

/// Hands a buffered standard output to `write`. A reader that goes away early, as `head` does, is no failure.
fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            // What is still buffered cannot be written either: it must not be tried again on drop.
            let _ = out.into_parts();
            Ok(())
        }
        written => written,
    }
}

/// Reads captures to their end, and shows how far it is; what is wrong with them is said.
fn read(files: &[String], options: &RunOptions, quiet: bool) -> Run {
    let mut meter = Meter::new(!quiet);
    let run = run::analyze(files, options, &mut |progress| meter.watch(progress));
    meter.clear();
    run.errors.iter().chain(&run.warnings).for_each(|line| complain(line));
    run
}

/// The key logs of a command; what is wrong with asking for them is said.
fn keylogs(keys: &args::KeyLogArgs) -> Result<Vec<String>, Status> {
    keys.logs(std::env::var_os("SSLKEYLOGFILE")).map_err(|error| {
        complain(&error);
        Status::Usage
    })
}

/// One line on standard error.
fn complain(line: &str) {
    // When standard error cannot be written there is nobody left to tell.
    let _ = writeln!(io::stderr().lock(), "reshake: {}", printable(line, usize::MAX));
}

/// What `--strict` takes for an error, each said.
fn damage(run: &Run) -> Vec<String> {
    let lines = run.damage().into_iter().map(|line| format!("{line} (--strict)"));
    lines.inspect(|line| complain(line)).collect()
}

/// Help and version go to standard output with success, everything else to standard error.
fn usage(error: &clap::Error) -> ExitCode {
    if error.kind() == clap::error::ErrorKind::InvalidUtf8 {
        let odd = std::env::args_os().find(|argument| argument.to_str().is_none());
        let odd = odd.unwrap_or_default();
        complain(&format!(
            "'{}' is not UTF-8; rename it, or give such a file on standard input: reshake analyze - < FILE",
            odd.to_string_lossy()
        ));
        return Status::Usage.into();
    }
    let _ = error.print();
    if error.use_stderr() {
        Status::Usage
    } else {
        Status::Analysed
    }
    .into()
}

fn coloured(color: Color) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        // https://no-color.org: any value but an empty one.
        Color::Auto => std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && io::stdout().is_terminal(),
    }
}
