//! The command line: arguments in, exit status out. It picks inputs and output and prints; it decides nothing about TLS.

mod analyze;
pub mod args;
mod check;
mod complete;
mod completions;
mod copy;
mod cut;
mod diff;
mod explain;
mod extcap;
mod habits;
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
mod terminal;
mod view;
mod what_if;
mod wireshark;

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use args::{Color, Command};
use progress::Meter;
use terminal::print_form;

use crate::capture::name_of;
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
        Command::Complete(arguments) => complete::run(arguments),
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
fn read(files: &[impl AsRef<Path>], options: &RunOptions, quiet: bool) -> Run {
    read_until(files, options, quiet, &AtomicBool::new(false))
}

/// The same until `stop` is set: what was read by then is what there is.
fn read_until(files: &[impl AsRef<Path>], options: &RunOptions, quiet: bool, stop: &AtomicBool) -> Run {
    let mut meter = Meter::new(!quiet);
    let run = run::analyze(files, options, &mut |progress| {
        meter.watch(progress)?;
        if stop.load(Ordering::Relaxed) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    meter.clear();
    run.errors.iter().chain(&run.warnings).for_each(|line| complain(line));
    run
}

/// The key logs of a command; what is wrong with asking for them is said.
fn keylogs(keys: &args::KeyLogArgs) -> Result<Vec<PathBuf>, Status> {
    keys.logs(std::env::var_os("SSLKEYLOGFILE")).map_err(|error| {
        complain(&error);
        Status::Usage
    })
}

/// A file that is read as a whole, and must not be longer: a device as `/dev/zero` has no end.
fn read_whole(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other(format!("is longer than {} MiB", most >> 20)));
    }
    Ok(bytes)
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
            "'{}' is not UTF-8; only file names may contain other bytes",
            name_of(Path::new(&odd))
        ));
        return Status::Usage.into();
    }
    if let Some(hint) = habits::hint(error) {
        complain(&hint);
        return Status::Usage.into();
    }
    if let Some(hint) = habits::hint_for_pipe(std::env::args_os().count()) {
        complain(hint);
        return Status::Usage.into();
    }
    let printed = error.print();
    if error.use_stderr() {
        return Status::Usage.into();
    }
    // Help and version are what was asked for: whether they could be told counts.
    match printed.and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(&format!("standard output: cannot be written: {error}"));
            Status::Unreadable.into()
        }
        _ => Status::Analysed.into(),
    }
}

fn coloured(color: Color) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        // https://no-color.org: any value but an empty one.
        Color::Auto => std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && io::stdout().is_terminal(),
    }
}
