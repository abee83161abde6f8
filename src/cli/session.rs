//! `reshake session`: the whole life of one session.

use std::io;

use super::args::{Session, SessionFormat};
use super::redact::Redaction;
use super::{Done, Status, complain, keylogs, print_form, read};
use crate::model::Report;
use crate::model::session::{Life, NameMeaning, Requested};
use crate::render::session;
use crate::run::RunOptions;

/// Meanings listed of a name that has several.
const MAX_CANDIDATES: usize = 20;

pub(super) fn run(arguments: &Session) -> Done {
    let options = RunOptions {
        keylogs: keylogs(&arguments.keys)?,
        ..RunOptions::within(arguments.memory.max_memory)
    };
    let mut redaction = Redaction::of(&arguments.redact)?;
    let mut run = read(&arguments.files, &options, arguments.quiet);
    if run.captures.is_empty() {
        return Ok(Status::Unreadable);
    }
    let unreadable = !run.errors.is_empty();
    // Whoever asks knows the session by what it is called in the packets.
    let report = Report::of(&run.engine, run.captures.clone());
    let Some(found) = find(&arguments.id, &report) else {
        // An input that could not be read outranks a name that was not found.
        return Ok(if unreadable { Status::Unreadable } else { Status::Usage });
    };
    if redaction.is_asked() {
        drop(report);
        redaction.apply(&mut run, None);
        write(arguments.format, &Report::of(&run.engine, run.captures), found)?;
    } else {
        write(arguments.format, &report, found)?;
    }
    Ok(if unreadable {
        Status::Unreadable
    } else {
        Status::Analysed
    })
}

fn write(format: SessionFormat, report: &Report<'_>, found: NameMeaning) -> io::Result<()> {
    let life = Life::of(report, found);
    print_form(format == SessionFormat::Text, |out| match format {
        SessionFormat::Text => session::text(report, &life, out),
        SessionFormat::Json => session::json(report, &life, out),
    })
}

/// The one session that is meant; what is wrong is said.
pub(super) fn find(id: &str, report: &Report<'_>) -> Option<NameMeaning> {
    let wanted = Requested::parse(id, report).map_err(|error| complain(&error)).ok()?;
    let found = wanted.find(report);
    match found.as_slice() {
        [] => complain(&session::unknown(report, id)),
        [one] => return Some(*one),
        several => {
            complain(&format!("'{id}' may mean {} sessions:", several.len()));
            for one in several.iter().take(MAX_CANDIDATES) {
                complain(&format!("  {}", session::candidate(report, *one)));
            }
            if several.len() > MAX_CANDIDATES {
                complain("  …");
            }
        }
    }
    None
}
