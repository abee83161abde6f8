//! `reshake completions`: a completion script for a shell.

use std::io::{self, Write};

use clap::CommandFactory;

use super::args::{Cli, Completions, Shell};
use super::{Done, Status, print};

pub(super) fn run(arguments: &Completions) -> Done {
    print(|out| match arguments.shell {
        Shell::Bash => out.write_all(include_bytes!("complete/reshake.bash")),
        Shell::Zsh => out.write_all(include_bytes!("complete/reshake.zsh")),
        Shell::Fish => out.write_all(include_bytes!("complete/reshake.fish")),
        Shell::Nushell => out.write_all(include_bytes!("complete/reshake.nu")),
        Shell::Elvish => generated(clap_complete::Shell::Elvish, out),
        Shell::PowerShell => generated(clap_complete::Shell::PowerShell, out),
    })?;
    Ok(Status::Analysed)
}

/// A script that knows commands and options, and asks nothing.
fn generated(shell: clap_complete::Shell, out: &mut dyn Write) -> io::Result<()> {
    // clap_complete panics when it cannot write; a buffer always takes it.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "reshake", &mut script);
    out.write_all(&script)
}
