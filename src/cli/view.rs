//! `reshake view`: captures in, screens out.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::sync::Arc;

use super::args::View;
use super::cut::cutter;
use super::progress::Meter;
use super::redact::Redaction;
use super::{Done, Status, complain, keylogs};
use crate::capture::is_standard_input;
use crate::model::Report;
use crate::run::{self, Run, RunOptions};
use crate::tui;
use crate::tui::event::Cutter;

pub(super) fn run(arguments: &View, coloured: bool) -> Done {
    if !is_terminal() {
        complain("view needs a terminal to show and take keys; 'reshake analyze' prints the same as a report");
        return Ok(Status::Usage);
    }
    if arguments.files.iter().filter(|file| is_standard_input(file)).count() > 1 {
        complain("standard input ('-') can be read only once");
        return Ok(Status::Usage);
    }
    let options = RunOptions {
        keylogs: keylogs(&arguments.keys)?,
        ..RunOptions::within(arguments.memory.max_memory)
    };
    let mut redaction = Redaction::of(&arguments.redact)?;
    let mut meter = Meter::new(true);
    let mut run = run::analyze(&arguments.files, &options, &mut |progress| meter.watch(progress));
    meter.clear();
    if run.captures.is_empty() {
        run.errors.iter().for_each(|error| complain(error));
        return Ok(Status::Unreadable);
    }
    let cutter = if redaction.is_asked() {
        Cutter::none(
            "packets hold the names that --redact replaces; 'reshake extract --redact' writes them under others",
        )
    } else {
        cutter(&arguments.files, &run.captures)
    };
    redaction.apply(&mut run, None);
    let Run {
        engine,
        captures,
        errors,
        warnings,
    } = run;
    let report = Arc::new(Report::of(Arc::new(engine), captures));
    let options = tui::TuiOptions { coloured, live: false };
    let shown = tui::run(Arc::clone(&report), options, cutter, |_| ());
    // The process ends here: giving back the memory of every connection one by one would only cost time.
    std::mem::forget(report);
    for line in errors.iter().chain(&warnings) {
        complain(line);
    }
    if let Err(error) = shown {
        complain(&format!("the terminal cannot be used: {error}"));
        return Ok(Status::Unreadable);
    }
    Ok(if errors.is_empty() {
        Status::Analysed
    } else {
        Status::Unreadable
    })
}

/// Whether there is something to draw on and something to type on. Keys come from the terminal device where standard
/// input is a capture.
pub(super) fn is_terminal() -> bool {
    io::stdout().is_terminal() && (io::stdin().is_terminal() || File::open("/dev/tty").is_ok())
}
