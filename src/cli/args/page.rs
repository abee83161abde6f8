//! Arguments of `page`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// The end of the help of `page`.
const EXAMPLES: &str = "Examples:
  reshake page
  xdg-open reshake.html

Exit status:
  0  the page was written
  2  wrong usage
  3  this build carries no page, or it cannot be written";

/// Arguments of `page`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Page {
    /// The file to write; '-' is standard output.
    #[arg(short = 'o', long = "output", value_name = "FILE", value_hint = ValueHint::FilePath,
          default_value = "reshake.html")]
    pub output: PathBuf,
}
