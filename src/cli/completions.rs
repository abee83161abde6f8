//! `reshake completions`: a completion script for a shell.

use clap::CommandFactory;

use super::args::{Cli, Completions};
use super::{Done, Status, print};

pub(super) fn run(arguments: &Completions) -> Done {
    print(|out| {
        // clap_complete panics when it cannot write; a buffer always takes it.
        let mut script = Vec::new();
        clap_complete::generate(arguments.shell, &mut Cli::command(), "reshake", &mut script);
        out.write_all(&script)
    })?;
    Ok(Status::Analysed)
}
