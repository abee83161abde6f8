//! Recording without rights: the command, and the capture beside it, in a network namespace of their own. pasta (of passt)
//! makes the namespace and carries its connections out as an ordinary program.

use std::ffi::OsString;
use std::io;
use std::process::{Command, ExitStatus};

/// The program that does it.
pub const PROGRAM: &str = "pasta";

/// Runs this very program inside of a namespace, with these arguments, until it ends.
///
/// # Errors
/// When pasta cannot be started.
pub fn namespace(arguments: impl IntoIterator<Item = OsString>) -> io::Result<ExitStatus> {
    let this = std::env::current_exe()?;
    Command::new(PROGRAM)
        // Addresses and routes are configured by it, as there is nobody in there who would ask for them.
        .args(["--config-net", "--quiet", "--foreground", "--"])
        .arg(this)
        .args(arguments)
        .status()
}
