//! Every argument of every command. Help, the man page and shell completions derive from these types alone.
//!
//! `-i`, `-w` and `-D` mean what they mean to tcpdump.

pub mod live;

pub mod gate;
pub mod record;
pub mod tools;
pub mod wireshark;

pub mod page;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum, ValueHint};

use crate::run::Threads;
use crate::wording::size;
pub use tools::{Complete, Completions, Document, Explain, ExplainFormat, SchemaArgs, Shell};

/// Tells from packet captures why a TLS session did not resume.
#[derive(Debug, Parser)]
#[command(
    name = "reshake",
    version,
    long_version = LONG_VERSION,
    about,
    long_about = "Tells from packet captures why a TLS session did not resume.\n\n\
                  For every TLS connection in a capture: was a session offered, did the server accept it, and if not, why. \
                  Each answer names the frames that show it.\n\n\
                  A bare 'reshake FILE' is 'reshake analyze FILE'.",
    override_usage = "reshake [analyze] [OPTIONS] FILE...\n       reshake COMMAND [OPTIONS]",
    max_term_width = 100,
    arg_required_else_help = true,
    subcommand_required = true,
    after_long_help = EXIT_STATUS
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// When to use colour: 'always', 'never', or 'auto' for a terminal unless NO_COLOR is set.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Color::Auto, global = true,
          hide_possible_values = true)]
    pub color: Color,
}

/// What `--version` says; `-V` is the first line of it.
const LONG_VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\nfeatures: ",
    env!("RESHAKE_FEATURES"),
    "\nbuilt for: ",
    env!("RESHAKE_BUILT")
);

/// The part of the help that lists what the exit status says.
pub const EXIT_STATUS: &str = "Exit status:
  0  the input was analysed, whatever it shows
  2  wrong usage
  3  an input could not be read (the others are still reported),
     or with --strict: one is damaged or ends too early";

/// The end of the help of `what-if`.
const WHAT_IF_EXAMPLES: &str = "Examples:
  We leave sticky sessions for round robin: what do we lose?
    reshake what-if --backends 4 --balance round-robin --share none farm.pcapng
  What gives it back? Every usual arrangement of as many backends as the capture shows:
    reshake what-if farm.pcapng

Exit status:
  0  the input was analysed, whatever it shows
  2  wrong usage
  3  an input could not be read (the others are still reported)";

/// The end of the help of `annotate`.
const ANNOTATE_EXAMPLES: &str = "Examples:
  reshake annotate farm.pcapng -o told.pcapng
  wireshark -Y 'frame.comment contains \"reshake\"' told.pcapng
  To hand on, with nobody named in it:
    reshake annotate --redact farm.pcapng -o told.pcapng

Exit status:
  0  the copy was written
  2  wrong usage
  3  the capture could not be read, or the copy could not be written";

/// The end of the help of `extract`.
const EXTRACT_EXAMPLES: &str = "Examples:
  reshake extract farm.pcapng -o one.pcapng --connection c17af
  reshake extract farm.pcapng -o life.pcapng --connection c17af --session
  To hand on, with nobody named in it:
    reshake extract --redact farm.pcapng -o one.pcapng --connection c17af

Exit status:
  0  the copy was written
  2  wrong usage, or no connection of that name
  3  the capture could not be read, or the copy could not be written";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Analyse captures: what resumed, what did not, and why
    Analyze(Analyze),
    /// Watch a network interface, or a capture that is piped in, and report as it happens
    Live(Box<live::LiveArgs>),
    /// Run a command and report on its own connections: did it resume, and if not, why
    Record(Box<record::RecordArgs>),
    /// List the network interfaces that can be watched
    Interfaces,
    /// Look at captures on the terminal: services, connections, sessions, and the way from one to the other
    View(View),
    /// Show the whole life of one session: issued, offered, accepted or refused, closed
    Session(Session),
    /// Show what another farm of backends would make of the reconnects in captures
    WhatIf(WhatIfArgs),
    /// Check captures against rules, with an exit status for pipelines
    Check(Box<gate::CheckArgs>),
    /// Compare two captures or reports: the before and after of a change
    Diff(gate::DiffArgs),
    /// Copy a capture with the verdicts as packet comments, for Wireshark
    Annotate(Annotate),
    /// Copy only the packets of one connection, or of the whole life of its sessions
    Extract(Extract),
    /// Add live verdicts, a profile and fields to Wireshark, or remove them again
    Wireshark(wireshark::WiresharkArgs),
    /// What Wireshark calls to capture with verdicts (the extcap interface)
    Extcap(wireshark::ExtcapArgs),
    /// Explain a reason, pattern or security finding, or list them all
    Explain(Explain),
    /// Write the page that analyses captures in a browser and sends nothing
    Page(page::Page),
    /// Print the JSON Schema of the JSON report, or of another document
    Schema(SchemaArgs),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Print the manual page
    Man,
    /// Tell a completion script what may stand where the cursor is
    #[command(name = "__complete", hide = true)]
    Complete(Complete),
}

/// Arguments of `analyze`.
#[derive(Debug, Args)]
#[command(after_long_help = EXIT_STATUS)]
pub struct Analyze {
    /// Captures: pcap or pcapng, also compressed with gzip or zstd; '-' is standard input. Several files are one
    /// timeline: a session issued in one and offered in the next is followed. Facts ('--format facts') from other runs
    /// are read as the captures that they were made from.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath, required_unless_present = "read")]
    files: Vec<PathBuf>,

    /// A capture to read, as with tshark and tcpdump; may be repeated.
    #[arg(short = 'r', long = "read", value_name = "FILE", value_hint = ValueHint::FilePath)]
    read: Vec<PathBuf>,

    /// Form of the report: 'text' for people, 'json' as one document, 'jsonl' as one object per line, 'markdown' for a
    /// ticket, 'html' as one page to hand on, 'csv' with a row for each connection; 'facts' is what was found before it
    /// is judged, to be joined with the facts of other captures by giving them to a command together.
    #[arg(long, value_enum, value_name = "FORM", default_value_t = ReportFormat::Text, hide_possible_values = true)]
    pub format: ReportFormat,

    /// Show every connection and service in the text, Markdown and HTML report, not only those that matter most.
    #[arg(long)]
    pub all: bool,

    /// Show only connections for which TERMS hold, as 'outcome:declined client:10.0.0.0/8'; all terms must hold, a comma
    /// separates values of which one must, a leading '-' negates. Verdicts still rest on everything.
    #[arg(long = "where", value_name = "TERMS", allow_hyphen_values = true, long_help = where_help())]
    pub select: Option<String>,

    /// Leave out connections and credentials: only captures, services and counts, in text, JSON and JSON lines.
    #[arg(long, conflicts_with_all = ["all", "wireshark"])]
    pub summary: bool,

    /// Print only Wireshark display filters, one per line, each of which selects exactly one connection; with --where,
    /// those of the connections that it selects. With several captures, each is preceded by the file and a tab.
    #[arg(long, conflicts_with_all = ["format", "all", "time"])]
    pub wireshark: bool,

    /// Clock of the text report: 'utc' or 'local' time of day with the date, or 'relative' seconds from the first packet;
    /// without it, connections have seconds and ticket keys UTC.
    #[arg(long, value_enum, value_name = "CLOCK", hide_possible_values = true)]
    pub time: Option<Time>,

    /// Stop after COUNT packets.
    #[arg(short = 'c', long = "count", value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,

    /// What bounds the memory.
    #[command(flatten)]
    pub memory: Memory,

    /// Threads that work at once, 1 to 64, or 'auto' for as many as help; the report is the same whatever their number.
    /// Files that are still growing use one.
    #[arg(long, value_name = "N", value_parser = str::parse::<Threads>, default_value = "auto")]
    pub threads: Threads,

    /// Read files that are still growing, and report at Ctrl-C or SIGTERM as if they ended there; a second one ends at
    /// once. When a file is rotated (another takes its name, or it is cut back), the new one is read as a further
    /// capture.
    #[arg(long)]
    pub follow: bool,

    /// Secrets that open what is encrypted.
    #[command(flatten)]
    pub keys: KeyLogArgs,

    /// Whose names the output shows.
    #[command(flatten)]
    pub redact: Redact,

    /// Also exit with status 3 when an input is damaged or ends inside a packet.
    #[arg(long)]
    pub strict: bool,

    /// Show no progress.
    #[arg(short = 'q', long)]
    pub quiet: bool,
}

impl Analyze {
    /// The inputs in the order of options first, then the rest.
    #[must_use]
    pub fn inputs(&self) -> Vec<PathBuf> {
        self.read.iter().chain(&self.files).cloned().collect()
    }
}

/// What bounds the memory.
#[derive(Debug, Args)]
pub struct Memory {
    /// Memory for all that is kept, for example 512M or 4G, half of it for finished connections; beyond it the oldest are only
    /// counted. Without it 2G of finished connections are kept.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_memory: Option<usize>,
}

/// Where secrets come from.
#[derive(Debug, Args)]
pub struct KeyLogArgs {
    /// A key log in NSS format (what SSLKEYLOGFILE makes programs write) that opens tickets, alerts and certificates;
    /// may be repeated. Secrets inside a pcapng file are used without asking.
    #[arg(long = "keylog", value_name = "FILE", value_hint = ValueHint::FilePath)]
    keylog: Vec<PathBuf>,

    /// Read the key log that the environment variable SSLKEYLOGFILE names.
    #[arg(long)]
    keylog_env: bool,
}

impl KeyLogArgs {
    /// The key logs; `named` is the value of SSLKEYLOGFILE.
    ///
    /// # Errors
    /// One line when the variable is asked for and names no file.
    pub fn logs(&self, named: Option<OsString>) -> Result<Vec<PathBuf>, String> {
        let mut logs = self.keylog.clone();
        if self.keylog_env {
            let named = named.filter(|name| !name.is_empty());
            let named = named.ok_or("--keylog-env: SSLKEYLOGFILE is not set; give the file as --keylog FILE")?;
            logs.push(named.into());
        }
        Ok(logs)
    }
}

/// Whose names the output shows.
#[derive(Debug, Args)]
pub struct Redact {
    /// Replace addresses, server names and credentials in the output, each always with the same replacement:
    /// 2001:db8::… and host-….invalid stand for hosts. Verdicts stay the same.
    #[arg(long)]
    pub redact: bool,

    /// As --redact, with the key in FILE (32 bytes or more) instead of one for this run only, so that several reports
    /// use the same replacements.
    #[arg(long = "redact-key", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key: Option<PathBuf>,
}

/// Arguments of `view`.
#[derive(Debug, Args)]
#[command(after_long_help = EXIT_STATUS)]
pub struct View {
    /// Captures, as for 'analyze'; '-' is standard input, and keys then come from the terminal.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath, required = true)]
    pub files: Vec<PathBuf>,

    /// What bounds the memory.
    #[command(flatten)]
    pub memory: Memory,

    /// Secrets that open what is encrypted.
    #[command(flatten)]
    pub keys: KeyLogArgs,

    /// Whose names the screens show.
    #[command(flatten)]
    pub redact: Redact,
}

/// Arguments of `session`.
#[derive(Debug, Args)]
#[command(after_long_help = EXIT_STATUS)]
pub struct Session {
    /// Which session: the beginning of an id of a report (c…, k…), of a session ID, ticket or PSK identity in hex (4
    /// digits or more), or a frame: 'frame:123', and with several captures 'NAME:123' or 'frame:1:123', counted from 1.
    #[arg(value_name = "ID")]
    pub id: String,

    /// Captures, as for 'analyze'.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath, required = true)]
    pub files: Vec<PathBuf>,

    /// What bounds the memory.
    #[command(flatten)]
    pub memory: Memory,

    /// Secrets that open what is encrypted.
    #[command(flatten)]
    pub keys: KeyLogArgs,

    /// Whose names the output shows.
    #[command(flatten)]
    pub redact: Redact,

    /// Form of the table: 'text' for people, 'json' as one document.
    #[arg(long, value_enum, value_name = "FORM", default_value_t = SessionFormat::Text, hide_possible_values = true)]
    pub format: SessionFormat,

    /// Show no progress.
    #[arg(short = 'q', long)]
    pub quiet: bool,
}

/// Arguments of `what-if`.
#[derive(Debug, Args)]
#[command(after_long_help = WHAT_IF_EXAMPLES)]
pub struct WhatIfArgs {
    /// Captures, as for 'analyze'.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath, required = true)]
    pub files: Vec<PathBuf>,

    /// What bounds the memory.
    #[command(flatten)]
    pub memory: Memory,

    /// Secrets that open what is encrypted.
    #[command(flatten)]
    pub keys: KeyLogArgs,

    /// Whose names the output shows.
    #[command(flatten)]
    pub redact: Redact,

    /// Number of backends behind each service; without it, as many as the capture tells apart, and 2 where it tells none.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub backends: Option<u16>,

    /// How a backend is chosen: 'round-robin', 'least-connections', 'source-hash' (of the client's address) or
    /// 'session-id' (the balancer remembers who issued one). Without it, all of them are compared.
    #[arg(long, value_enum, value_name = "HOW", hide_possible_values = true)]
    pub balance: Option<BalanceArg>,

    /// What the backends share: 'none', 'cache' (of sessions) or 'tickets' (their keys). Without it, all of them are
    /// compared.
    #[arg(long, value_enum, value_name = "WHAT", hide_possible_values = true)]
    pub share: Option<ShareArg>,

    /// Seconds after which servers no longer honour a session; without it, tickets live as long as the capture shows
    /// was promised for them, and IDs forever.
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..))]
    pub timeout: Option<u32>,

    /// Seconds after which ticket keys change; the previous key is still accepted. Without it they never change.
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..))]
    pub key_rotation: Option<u32>,

    /// What decides where the plan leaves something open: the same seed gives the same answer.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// A table of every way to balance with everything that can be shared: what is made without --balance and --share.
    #[arg(long, conflicts_with_all = ["balance", "share"])]
    pub compare: bool,

    /// Count only connections for which TERMS hold, as for 'analyze'; every connection is replayed all the same.
    #[arg(long = "where", value_name = "TERMS", allow_hyphen_values = true, long_help = where_help())]
    pub select: Option<String>,

    /// Form of the answer: 'text' for people, 'json' as one document.
    #[arg(long, value_enum, value_name = "FORM", default_value_t = SessionFormat::Text, hide_possible_values = true)]
    pub format: SessionFormat,

    /// Show no progress.
    #[arg(short = 'q', long)]
    pub quiet: bool,
}

/// What is copied, and where to.
#[derive(Debug, Args)]
pub struct Copying {
    /// The capture: pcap or pcapng, also compressed with gzip or zstd. It is read more than once, and never changed.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,

    /// The copy, always pcapng. It appears when it is complete; a file of that name is replaced.
    #[arg(short = 'o', long = "output", value_name = "OUT.pcapng", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,

    /// What bounds the memory.
    #[command(flatten)]
    pub memory: Memory,

    /// Secrets that open what is encrypted.
    #[command(flatten)]
    pub keys: KeyLogArgs,

    /// Put the lines of the key logs that belong to connections in this capture into the copy, so that Wireshark can
    /// decrypt them. Anyone who gets the copy can then read what was encrypted.
    #[arg(long)]
    pub embed_keys: bool,

    /// Whose names the copy shows. In a redacted one every packet is built anew, as Ethernet and IPv6: ports, numbers,
    /// times and sizes stay, and from the content of TCP the headers of records and those parts of hellos that name
    /// nobody. Everything else is zeros.
    #[command(flatten)]
    pub redact: Redact,

    /// Show no progress.
    #[arg(short = 'q', long)]
    pub quiet: bool,
}

/// Arguments of `annotate`.
#[derive(Debug, Args)]
#[command(after_long_help = ANNOTATE_EXAMPLES)]
pub struct Annotate {
    /// What is copied, and where to.
    #[command(flatten)]
    pub copying: Copying,

    /// Write verdicts only for connections for which TERMS hold, as for 'analyze'; every packet is copied all the same.
    #[arg(long = "where", value_name = "TERMS", allow_hyphen_values = true, long_help = where_help())]
    pub select: Option<String>,
}

/// Arguments of `extract`.
#[derive(Debug, Args)]
#[command(after_long_help = EXTRACT_EXAMPLES)]
pub struct Extract {
    /// What is copied, and where to.
    #[command(flatten)]
    pub copying: Copying,

    /// Which connection: the beginning of its id in a report (c…). With --session also anything that names a session,
    /// as for 'session': k…, hex digits, frame:123.
    #[arg(long, value_name = "ID")]
    pub connection: String,

    /// Also the packets of every other connection of the same sessions: where they were issued, and where they were
    /// offered.
    #[arg(long)]
    pub session: bool,
}

/// Forms of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people.
    Text,
    /// One document.
    Json,
    /// One object a line.
    Jsonl,
    /// For a ticket.
    Markdown,
    /// One page.
    Html,
    /// Connections as rows.
    Csv,
    /// What was found, before it is judged.
    Facts,
}

/// Clocks of the text report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Time {
    /// UTC.
    Utc,
    /// The zone of this machine.
    Local,
    /// From the first packet.
    Relative,
}

/// Forms of the life of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SessionFormat {
    /// For people.
    Text,
    /// One document.
    Json,
}

/// Ways to choose a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BalanceArg {
    /// In turn.
    RoundRobin,
    /// The one with the fewest open connections.
    LeastConnections,
    /// By a hash of the client's address.
    SourceHash,
    /// By the session ID, where the balancer has seen it issued.
    SessionId,
}

/// What backends share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ShareArg {
    /// Nothing.
    None,
    /// The session cache.
    Cache,
    /// The ticket keys.
    Tickets,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Parses arguments. What does not begin with a command is an `analyze`; a command wins over a file of that name, which
/// `./NAME` still reaches.
///
/// # Errors
/// The usage error, or the help and version texts, as clap gives them.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    if let Some(place) = place_of_command(&arguments) {
        arguments.insert(place, "analyze".into());
    }
    Cli::try_parse_from(arguments)
}

/// Where `analyze` is to be put, if no command is there.
fn place_of_command(arguments: &[OsString]) -> Option<usize> {
    let mut rest = arguments.iter().enumerate().skip(1);
    while let Some((place, argument)) = rest.next() {
        let text = argument.to_str();
        match text {
            Some("--color") => drop(rest.next()),
            Some(text) if text.starts_with("--color=") => {}
            Some("-h" | "--help" | "-V" | "--version" | "help") => return None,
            Some(text) if Cli::command().find_subcommand(text).is_some() => return None,
            _ => return Some(place),
        }
    }
    None
}

/// The selection in full, made of its list of keys.
fn where_help() -> String {
    let mut text = String::from(
        "Show only connections for which TERMS hold, as 'reason:stek-not-shared client:10.0.0.0/8 after:14:00'. Terms \
         are separated by spaces, and all must hold; of values separated by commas one must; a leading '-' or '!' \
         negates a term. Verdicts, backends and patterns still rest on everything.\n\nKeys:",
    );
    for (key, values) in crate::model::select::KEYS {
        text.extend(["\n  ", key, ": ", values]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn analyze(arguments: &[&str]) -> Analyze {
        let arguments = std::iter::once("reshake")
            .chain(arguments.iter().copied())
            .map(OsString::from);
        match parse(arguments).expect("valid arguments").command {
            Command::Analyze(analyze) => analyze,
            other => panic!("another command: {other:?}"),
        }
    }

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_bare_file_is_analysed() {
        for arguments in [
            &["x.pcap"][..],
            &["analyze", "x.pcap"],
            &["-r", "x.pcap"],
            &["analyze", "-r", "x.pcap"],
            &["--color", "never", "x.pcap"],
            &["--color=never", "analyze", "x.pcap"],
            &["--format", "json", "x.pcap"],
            &["-q", "x.pcap"],
        ] {
            assert_eq!(analyze(arguments).inputs(), [PathBuf::from("x.pcap")], "{arguments:?}");
        }
        assert_eq!(analyze(&["./analyze"]).inputs(), [PathBuf::from("./analyze")]);
        assert_eq!(analyze(&["-"]).inputs(), [PathBuf::from("-")]);
        assert_eq!(
            analyze(&["-r", "a", "b", "-r", "c"]).inputs(),
            ["a", "c", "b"].map(PathBuf::from)
        );
    }

    #[test]
    fn a_command_wins_over_a_file_of_that_name() {
        let cli = parse(["reshake", "man"].map(OsString::from)).expect("valid arguments");
        assert!(matches!(cli.command, Command::Man));
    }

    #[test]
    fn sizes_have_suffixes() {
        assert_eq!(size("1000"), Ok(1000));
        assert_eq!(size("64k"), Ok(64 << 10));
        assert_eq!(size("512M"), Ok(512 << 20));
        assert_eq!(size("2GiB"), Ok(2 << 30));
        for wrong in ["", "M", "1T", "1.5G", "-1", "99999999999999999999", "99999999999G"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
