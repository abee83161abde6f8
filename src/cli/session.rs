//! `reshake session`: the whole life of one session.

use std::io;

use super::args::{Session, SessionFormat};
use super::progress::Meter;
use super::{Status, complain, keylogs, print};
use crate::report::Report;
use crate::report::session::{Found, Life, Wanted, show};
use crate::run::{self, Options, Run};

/// Meanings listed of a name that has several.
const MAX_CANDIDATES: usize = 20;

pub(super) fn run(arguments: &Session) -> io::Result<Status> {
    let options = match keylogs(&arguments.keys) {
        Ok(keylogs) => Options {
            keylogs,
            ..Options::default()
        },
        Err(status) => return Ok(status),
    };
    let mut meter = Meter::new(!arguments.quiet);
    let run = run::analyze(&arguments.files, &options, &mut |progress| meter.watch(progress));
    meter.clear();
    run.errors.iter().chain(&run.warnings).for_each(|line| complain(line));
    if run.captures.is_empty() {
        return Ok(Status::Unreadable);
    }
    let unreadable = !run.errors.is_empty();
    let Run { engine, captures, .. } = run;
    let report = Report::of(&engine, captures);
    let Some(found) = find(arguments, &report) else {
        // An input that could not be read outranks a name that was not found.
        return Ok(if unreadable { Status::Unreadable } else { Status::Usage });
    };
    let life = Life::of(&report, found);
    print(|out| match arguments.format {
        SessionFormat::Text => show::text(&report, &life, out),
        SessionFormat::Json => show::json(&report, &life, out),
    })?;
    Ok(if unreadable {
        Status::Unreadable
    } else {
        Status::Analysed
    })
}

/// The one session that is meant; what is wrong is said.
fn find(arguments: &Session, report: &Report<'_>) -> Option<Found> {
    let wanted = Wanted::parse(&arguments.id, report)
        .map_err(|error| complain(&error))
        .ok()?;
    let found = wanted.find(report);
    match found.as_slice() {
        [] => complain(&format!("nothing in this capture is called '{}'", arguments.id)),
        [one] => return Some(*one),
        several => {
            complain(&format!("'{}' may mean {} sessions:", arguments.id, several.len()));
            for one in several.iter().take(MAX_CANDIDATES) {
                complain(&format!("  {}", show::candidate(report, *one)));
            }
            if several.len() > MAX_CANDIDATES {
                complain("  …");
            }
        }
    }
    None
}
