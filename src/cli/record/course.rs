//! The course of a recording: everything that may fail is opened, COMMAND runs, rights are given up, and only then packets
//! are parsed.

use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus};

use nix::unistd::User;

use super::super::args::record::RecordArgs;
use super::super::{Done, Status, complain};
use super::answer::{Judged, Rulebook, answer};
use super::files::Files;
use super::signals::Signals;
use super::way::{Chosen, choose, outside};
use crate::capture::Source;
use crate::capture::device::Device;
use crate::record::{ControlGroup, MAX_PAIRS, Recording};

/// What `env` and shells say of a command that is not there, and of one that cannot be started.
const NOT_FOUND: u8 = 127;
const NOT_STARTED: u8 = 126;
/// Added to the number of the signal that ended a command.
const BY_SIGNAL: i32 = 128;

pub(in crate::cli) fn run(arguments: &RecordArgs, coloured: bool) -> Done {
    let rules = arguments.check.as_deref().map(Rulebook::read).transpose()?;
    let (group, device) = match choose(arguments) {
        Ok(Chosen::Group(group, device)) => (Some(group), device),
        Ok(Chosen::Everything(device)) => (None, device),
        Ok(Chosen::Namespace) => return Ok(outside()),
        Err(line) => {
            complain(&line);
            return Ok(Status::Usage);
        }
    };
    let files = Files::open(arguments).map_err(failed)?;
    record(arguments, coloured, rules.as_ref(), files, group, device)
}

/// Says what is wrong with this machine or its files.
#[allow(clippy::needless_pass_by_value)] // as map_err hands it over
fn failed(line: String) -> Status {
    complain(&line);
    Status::Unreadable
}

fn record(
    arguments: &RecordArgs,
    coloured: bool,
    rules: Option<&Rulebook>,
    mut files: Files,
    mut group: Option<ControlGroup>,
    device: Device,
) -> Done {
    if let Some(group) = &mut group {
        group.remove_at_the_end(files.folder());
    }
    let inside = arguments.inside.as_deref().map(Path::new);
    let signals = Signals::catch(files.folder(), inside).map_err(failed)?;
    let mut recording = Recording::new(Box::new(device), files.packets()).map_err(failed)?;
    let mut command = command(arguments, &files).map_err(|line| {
        complain(&line);
        Status::Usage
    })?;
    let ended = repeat(arguments, &mut command, group.as_ref(), &mut recording, &signals).map_err(failed)?;
    let broken = finish(recording, group.as_ref());
    files.keep(arguments).map_err(failed)?;
    files.give_rights_up().map_err(failed)?;
    let status = match answer(arguments, coloured, rules, &mut files)? {
        _ if broken => Status::Unreadable,
        Judged::Unreadable => Status::Unreadable,
        Judged::Holds => Status::Analysed,
        Judged::Violated => Status::Violated,
        Judged::Not => Status::Command(ended),
    };
    if let Some(mut told) = files.told() {
        let _ = write!(told, "{}", number(status));
    }
    Ok(status)
}

/// Takes in the last packets, and says what is missing; whether the capture broke off.
fn finish(recording: Recording, group: Option<&ControlGroup>) -> bool {
    let captured = recording.finish();
    let unnoted = group.and_then(ControlGroup::unnoted).unwrap_or(0);
    if unnoted > 0 {
        complain(&format!(
            "record: COMMAND used more than {MAX_PAIRS} pairs of addresses and ports; the connections beyond are not in the \
             report ({unnoted} packets sent on them, and what answered)"
        ));
    }
    let lost = captured.capture().dropped.unwrap_or(0);
    if lost > 0 {
        complain(&format!(
            "record: {lost} packets were lost; what they showed is missing"
        ));
    }
    captured.error().inspect(|error| complain(&error.to_string())).is_some()
}

const fn number(status: Status) -> u8 {
    match status {
        Status::Analysed => 0,
        Status::Violated => 1,
        Status::Usage => 2,
        Status::Unreadable => 3,
        Status::Command(code) => code,
    }
}

/// Runs COMMAND as often as it is asked for; the status of the first run that failed.
fn repeat(
    arguments: &RecordArgs,
    command: &mut Command,
    group: Option<&ControlGroup>,
    recording: &mut Recording,
    signals: &Signals,
) -> Result<u8, String> {
    let mut first = 0;
    for _ in 0..arguments.repeat {
        group.map_or(Ok(()), ControlGroup::enter)?;
        let started = command.spawn();
        group.map_or(Ok(()), ControlGroup::leave)?;
        let ended = started.and_then(|mut child| recording.watch(&mut child, &|| signals.ending()));
        let status = ended.map_or_else(|error| unstarted(arguments, &error), code);
        first = if first == 0 { status } else { first };
        if signals.stop() || status == NOT_FOUND || status == NOT_STARTED {
            break;
        }
    }
    Ok(first)
}

fn unstarted(arguments: &RecordArgs, error: &io::Error) -> u8 {
    let name = arguments.command.first().map(|name| name.to_string_lossy());
    complain(&format!("{}: cannot be started: {error}", name.unwrap_or_default()));
    if error.kind() == io::ErrorKind::NotFound {
        NOT_FOUND
    } else {
        NOT_STARTED
    }
}

fn code(status: ExitStatus) -> u8 {
    let by_signal = || BY_SIGNAL + status.signal().unwrap_or(0);
    u8::try_from(status.code().unwrap_or_else(by_signal)).unwrap_or(u8::MAX)
}

fn command(arguments: &RecordArgs, files: &Files) -> Result<Command, String> {
    let (program, rest) = arguments.command.split_first().ok_or("record: there is no command")?;
    let mut command = Command::new(program);
    command.args(rest).env("SSLKEYLOGFILE", files.keys());
    if let Some(name) = &arguments.user {
        let user = User::from_name(name).ok().flatten();
        let user = user.ok_or_else(|| format!("--user: there is no user '{name}'"))?;
        let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
        // The key log is written by that user.
        files.give_to(uid, gid).map_err(|error| format!("--user: {error}"))?;
        command
            .uid(uid)
            .gid(gid)
            .env("HOME", user.dir)
            .env("USER", name)
            .env("LOGNAME", name);
    }
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_what_a_shell_would_say() {
        assert_eq!(code(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(code(ExitStatus::from_raw(15)), 143);
    }
}
