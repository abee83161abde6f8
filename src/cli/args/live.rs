//! Arguments of `live`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};

use super::KeyLogArgs;
use crate::wording::{DURATION, size, span};

/// The end of the help of `live`.
const EXAMPLES: &str = "Examples:
  Watch an interface for a minute:
    sudo reshake live -i eth0 --duration 60s
  Another host, without privileges here and without reshake there:
    ssh web1 'tcpdump -U -w - tcp' | reshake live -

Exit status:
  0  the capture was analysed, also when it was stopped by Ctrl-C, SIGTERM or a limit
  2  wrong usage, or a filter that cannot be compiled
  3  the device or standard input could not be read, or something could not be written";

/// Arguments of `live`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct LiveArgs {
    /// '-' reads a capture (pcap or pcapng) from standard input while it is being made: needs no privileges and no
    /// libpcap.
    // A requirement does not count where what is required would conflict, hence all of them.
    #[arg(value_name = "-", value_parser = standard_input, conflicts_with_all = [
        "interface", "filter", "snaplen", "no_promiscuous", "buffer_size", "immediate", "link_type", "reconnect", "user",
        "no_drop",
    ])]
    pub input: Option<String>,

    /// The interface to watch, as 'reshake interfaces' lists it; 'any' is all of them.
    #[arg(short = 'i', long, value_name = "NAME")]
    pub interface: Option<String>,

    /// Take in only packets that match EXPRESSION, in the language of tcpdump. Without it all are looked at: a filter like
    /// 'tcp port 443' misses packets with VLAN tags and in tunnels, and ARP.
    #[arg(short = 'f', long, value_name = "EXPRESSION", requires = "interface")]
    pub filter: Option<String>,

    /// List the interfaces and exit, as 'reshake interfaces' does.
    #[arg(short = 'D', long)]
    pub list_interfaces: bool,

    /// Stop after TIME, for example 90s, 10m or 2h.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub duration: Option<Duration>,

    /// Stop after COUNT packets.
    #[arg(short = 'c', long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub packets: Option<u64>,

    /// Form of what is printed: 'text' for people, 'jsonl' as one object per line.
    #[arg(long, value_enum, value_name = "FORM", default_value_t = LiveFormat::Text, hide_possible_values = true)]
    pub format: LiveFormat,

    /// Look at the run on screens instead of printing it.
    #[arg(long, conflicts_with_all = ["format", "metrics"])]
    pub tui: bool,

    /// Time between two summaries, or renewals of the screens.
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "10s")]
    pub interval: Duration,

    /// Write the report at the end to FILE, as one JSON document; on SIGUSR1 the report so far.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub full_report: Option<PathBuf>,

    /// Write the packets to FILE as pcapng, as they arrived.
    #[arg(short = 'w', long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub write: Option<PathBuf>,

    /// Start another file (FILE-2, FILE-3, …) before one grows beyond SIZE.
    #[arg(long, value_name = "SIZE", value_parser = size, requires = "write")]
    pub rotate_size: Option<usize>,

    /// Start another file when one spans TIME.
    #[arg(long, value_name = "TIME", value_parser = time, requires = "write")]
    pub rotate_time: Option<Duration>,

    /// Keep only the latest COUNT files.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..), requires = "write")]
    pub rotate_files: Option<u16>,

    /// Serve Prometheus metrics at http://ADDRESS/metrics: a port of this host, or ADDRESS:PORT.
    #[arg(long, value_name = "[ADDRESS:]PORT", value_parser = address)]
    pub metrics: Option<SocketAddr>,

    /// Memory for everything that is kept: connections, credentials, buffers. Beyond it the oldest are only counted.
    #[arg(long, value_name = "SIZE", value_parser = memory, default_value = "512M")]
    pub max_memory: usize,

    /// Time after which a connection that is over is only counted; no ticket lives longer than 7 days (RFC 8446 §4.6.1).
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "7d")]
    pub keep: Duration,

    /// Secrets that open what is encrypted; the files may grow.
    #[command(flatten)]
    pub keys: KeyLogArgs,

    /// Bytes to take of each packet. Less than whole packets costs facts.
    #[arg(short = 's', long, value_name = "BYTES", default_value_t = 262_144,
          value_parser = clap::value_parser!(u32).range(64..=262_144), requires = "interface")]
    pub snaplen: u32,

    /// Capture only what is for this host or from it: no promiscuous mode.
    #[arg(short = 'p', long, requires = "interface")]
    pub no_promiscuous: bool,

    /// Buffer of the kernel for packets that wait; an eighth of --max-memory without it.
    #[arg(short = 'B', long, value_name = "SIZE", value_parser = size, requires = "interface")]
    pub buffer_size: Option<usize>,

    /// Have every packet delivered at once instead of in batches: sooner, but at a higher cost.
    #[arg(long, requires = "interface")]
    pub immediate: bool,

    /// Link type to capture, by its name in libpcap or its number.
    #[arg(short = 'y', long, value_name = "TYPE", requires = "interface")]
    pub link_type: Option<String>,

    /// Wait for an interface that goes away, and capture from it again. Keeps the right to capture (CAP_NET_RAW) for
    /// that.
    #[arg(long, requires = "interface")]
    pub reconnect: bool,

    /// The user to become once the interface is open; without it the one that called sudo, or nobody.
    #[arg(
        short = 'Z',
        long,
        value_name = "NAME",
        requires = "interface",
        conflicts_with = "no_drop"
    )]
    pub user: Option<String>,

    /// Keep user and privileges after the interface is open. What parses the packets of strangers should not run as
    /// root.
    #[arg(long, requires = "interface")]
    pub no_drop: bool,
}

/// Forms of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LiveFormat {
    /// For people.
    Text,
    /// One object a line.
    Jsonl,
}

/// Files are read by `analyze`.
fn standard_input(text: &str) -> Result<String, String> {
    if text == "-" {
        return Ok(text.to_owned());
    }
    Err(
        "live reads '-' or an interface (-i NAME); a file is for 'reshake analyze', with --follow while it grows"
            .to_owned(),
    )
}

/// A length of time.
fn time(text: &str) -> Result<Duration, String> {
    let nanos = span(text).and_then(|nanos| u64::try_from(nanos).ok());
    nanos.map(Duration::from_nanos).ok_or_else(|| DURATION.to_owned())
}

/// An address to listen on; a port alone is one of this host that others do not reach.
fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok(([127, 0, 0, 1], port).into());
    }
    text.parse()
        .map_err(|_| "a port, or an address with one, for example 9600 or 192.0.2.1:9600".to_owned())
}

/// Least memory with which a run makes sense.
const LEAST_MEMORY: usize = 32 << 20;

fn memory(text: &str) -> Result<usize, String> {
    let bytes = size(text)?;
    if bytes < LEAST_MEMORY {
        return Err("at least 32M is needed".to_owned());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_not_reached_by_others() {
        assert_eq!(address("9600"), Ok(([127, 0, 0, 1], 9600).into()));
        assert_eq!(address("[::1]:80"), Ok(([0, 0, 0, 0, 0, 0, 0, 1], 80).into()));
        assert!(address("example.test:80").is_err());
        assert!(address("65536").is_err());
    }

    #[test]
    fn too_little_memory_is_refused() {
        assert_eq!(memory("64M"), Ok(64 << 20));
        assert!(memory("1M").is_err());
    }
}
