//! Arguments of `extcap` and `wireshark`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// Arguments of `extcap`, by the names that Wireshark gives them (its manual page extcap(4)).
#[derive(Debug, Args)]
pub struct ExtcapArgs {
    /// List the interfaces.
    #[arg(long)]
    pub extcap_interfaces: bool,

    /// The version of Wireshark.
    #[arg(long, value_name = "VERSION", num_args = 0..=1)]
    pub extcap_version: Option<Option<String>>,

    /// The interface to use.
    #[arg(long, value_name = "NAME")]
    pub extcap_interface: Option<String>,

    /// List the link types of the interface.
    #[arg(long, requires = "extcap_interface")]
    pub extcap_dlts: bool,

    /// List the options of the interface.
    #[arg(long, requires = "extcap_interface")]
    pub extcap_config: bool,

    /// Capture from the interface.
    #[arg(long, requires = "extcap_interface", requires = "fifo")]
    pub capture: bool,

    /// Where the packets go.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub fifo: Option<PathBuf>,

    /// Take in only packets that match, in the language of tcpdump.
    #[arg(long, value_name = "EXPRESSION")]
    pub extcap_capture_filter: Option<String>,

    /// A key log that opens tickets and alerts; it may grow.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub keylog: Option<PathBuf>,

    /// Milliseconds for which packets are held back: a comment on one can only be written while it waits.
    #[arg(long, value_name = "MS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(0..=60_000))]
    pub delay: u32,
}

/// The end of the help of `wireshark`.
const EXAMPLES: &str = "Examples:
  reshake wireshark --install
  wireshark -C reshake told.pcapng          (a copy that 'reshake annotate' made)
  reshake wireshark --remove

Exit status:
  0  done
  2  wrong usage
  3  something cannot be written or removed";

/// Arguments of `wireshark`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct WiresharkArgs {
    /// Install: interfaces that capture with verdicts, the profile 'reshake' (a column, colours, filter buttons), and a
    /// script that turns the verdicts into fields (reshake.outcome, reshake.reason, reshake.confidence).
    #[arg(long, required_unless_present = "remove", conflicts_with = "remove")]
    pub install: bool,

    /// Remove what --install put there.
    #[arg(long)]
    pub remove: bool,

    /// Home folder of the user whose Wireshark is meant; without it, your own.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub user: Option<PathBuf>,
}
