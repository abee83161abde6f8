//! Arguments of `record`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

use super::ReportFormat;

/// The end of the help of `record`.
const EXAMPLES: &str = "Examples:
  Does this client resume when it comes a second time?
    sudo reshake record --repeat 2 -- curl -sS https://www.example.test/
  A test suite, with rules in the exit status, and the packets for later:
    sudo reshake record --check rules.toml --write tests.pcapng -- python3 -m pytest tests/

Exit status:
  without --check that of COMMAND (of the first run that failed), 128 and the number of the signal that ended it,
  126 or 127 when it could not be started; with --check that of 'reshake check':
  0  every rule holds
  1  a rule is violated
  In both cases:
  2  wrong usage or rules, or packets cannot be recorded here
  3  packets could not be captured or read, or something could not be written";

/// Arguments of `record`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct RecordArgs {
    /// Run COMMAND this many times, one after another.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub repeat: u16,

    /// Keep the packets in FILE, as pcapng.
    #[arg(short = 'w', long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub write: Option<PathBuf>,

    /// Keep the key log in FILE: with it and the packets, what was encrypted can be read. Without it the key log is
    /// removed; one that SSLKEYLOGFILE names already is used and stays.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub keep_keys: Option<PathBuf>,

    /// Form of the report, as for 'analyze': 'text', 'json', 'jsonl', 'markdown', 'html', 'csv' or 'facts'.
    #[arg(long, value_enum, value_name = "FORM", default_value_t = ReportFormat::Text, hide_possible_values = true)]
    pub format: ReportFormat,

    /// Put the report in FILE. Without it, it follows COMMAND's output on standard output.
    #[arg(short = 'o', long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    /// Show every connection, not only those that matter most.
    #[arg(long)]
    pub all: bool,

    /// Check the connections against a file of rules (docs/ci.md); the exit status is then that of 'check', and its
    /// answer comes after the report, on standard error where the report is not text.
    #[arg(long, value_name = "RULES", value_hint = ValueHint::FilePath)]
    pub check: Option<PathBuf>,

    /// How COMMAND's packets are told from others': 'group' (a control group; root), 'namespace' (a network namespace
    /// behind pasta; no privileges) or 'auto', which takes the first of these that is possible. 'any' tells nothing
    /// apart: it captures what all interfaces see in the meantime, and needs only the right to capture; for containers
    /// in which nothing else runs.
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Way::Auto, hide_possible_values = true)]
    pub way: Way,

    /// Run COMMAND as a user other than root.
    #[arg(short = 'Z', long, value_name = "NAME")]
    pub user: Option<String>,

    /// Set where this is the run inside of a namespace: the file that takes its exit status.
    #[arg(long, value_name = "FILE", hide = true)]
    pub inside: Option<OsString>,

    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND", value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}

/// Ways to tell the packets of one command from others'.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Way {
    /// The first that is possible.
    Auto,
    /// A control group.
    Group,
    /// A network namespace.
    Namespace,
    /// Not at all.
    Any,
}
