//! The end of a live run: the report that an analysis of the same packets gives.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek, Write};
use std::path::Path;

use super::super::args::live::LiveFormat;
use super::super::{Done, Status, complain, print_form, terminal};
use crate::capture::name_of;
use crate::model::Report;
use crate::render::{json, text};
use crate::run::Run;

/// The file of `--full-report`: opened before the run, written at its end.
#[derive(Debug)]
pub(super) struct FullReport {
    path: String,
    file: File,
}

impl FullReport {
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        let path = name_of(path);
        match file {
            Ok(file) => Ok(Self { path, file }),
            Err(error) => Err(format!("{path}: cannot be written: {error}")),
        }
    }

    /// The same file, for another thread.
    pub(super) fn again(&self) -> io::Result<Self> {
        let file = self.file.try_clone()?;
        let path = self.path.clone();
        Ok(Self { path, file })
    }

    /// Puts a report in the place of what the file holds.
    pub(super) fn write(&mut self, report: &Report<'_>) -> Result<(), String> {
        let mut written = || {
            self.file.set_len(0)?;
            self.file.rewind()?;
            let mut out = BufWriter::with_capacity(1 << 16, &self.file);
            json::write_document(report, &mut out)?;
            out.flush()
        };
        written().map_err(|error: io::Error| format!("{}: cannot be written: {error}", self.path))
    }
}

/// Prints and writes the report of a run that is over; prints it where somebody still reads (`readable`).
pub(super) fn end(
    run: Run,
    format: LiveFormat,
    coloured: bool,
    readable: bool,
    full_report: Option<FullReport>,
) -> Done {
    for line in run.errors.iter().chain(&run.warnings) {
        complain(line);
    }
    let mut status = if run.errors.is_empty() {
        Status::Analysed
    } else {
        Status::Unreadable
    };
    let Run { engine, captures, .. } = run;
    let report = Report::of(&engine, captures);
    if let Some(mut file) = full_report
        && let Err(line) = file.write(&report)
    {
        complain(&line);
        status = Status::Unreadable;
    }
    if readable {
        print_form(format == LiveFormat::Text, |out| match format {
            LiveFormat::Text => {
                writeln!(out)?;
                text::write(&report, terminal::options(coloured, false), out)
            }
            LiveFormat::Jsonl => lines(&report, out),
        })?;
    }
    std::mem::forget(report);
    // The process ends here: giving back the memory of every connection one by one would only cost time.
    std::mem::forget(engine);
    Ok(status)
}

/// The account of the input as it ended, and what service analysis says.
fn lines(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    for capture in &report.captures {
        json::live::capture(capture, out)?;
    }
    json::live::end(report, out)
}
