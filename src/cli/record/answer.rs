//! What is said of the connections of a command: the report, and what the rules of --check make of it.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::Path;

use super::super::args::ReportFormat;
use super::super::args::record::RecordArgs;
use super::super::{Status, Stop, analyze, complain, print};
use super::files::Files;
use crate::capture::name_of;
use crate::check::render::{self, Asked, CheckFormat};
use crate::check::{Baseline, Rules};
use crate::facts;
use crate::model::Report;
use crate::run::{self, Run, RunOptions};
use reshake_core::engine::{Engine, Shard};

/// The capture that the report is about where --write names none.
const UNNAMED: &str = "recorded.pcapng";

/// The rules of --check, read before rights are given up.
pub(super) struct Rulebook {
    rules: Rules,
    baseline: Option<Baseline>,
}

impl Rulebook {
    pub(super) fn read(path: &Path) -> Result<Self, Status> {
        let rules = super::super::check::rules(Some(path), std::iter::empty())?;
        if rules.is_bare() {
            complain(&format!("{}: there is no rule in it (docs/ci.md)", name_of(path)));
            return Err(Status::Usage);
        }
        let baseline = rules.baseline.as_ref().map(super::super::check::baseline).transpose()?;
        Ok(Self { rules, baseline })
    }
}

/// What came of --check.
pub(super) enum Judged {
    /// There were no rules.
    Not,
    Holds,
    Violated,
    /// Packets could not be read, or something not be written.
    Unreadable,
}

/// Reports on what was recorded.
pub(super) fn answer(
    arguments: &RecordArgs,
    coloured: bool,
    rules: Option<&Rulebook>,
    files: &mut Files,
) -> Result<Judged, Stop> {
    let mut run = read(arguments, files);
    // The file that was read goes with this process: the report names the one that stays.
    let kept = arguments.write.as_deref().unwrap_or(Path::new(UNNAMED));
    for capture in &mut run.captures {
        capture.path = name_of(kept);
    }
    let errors = std::mem::take(&mut run.errors);
    let report = Report::of(&run.engine, run.captures);
    let written = write(arguments, coloured, &run.engine, &report, files)?;
    let whole = errors.is_empty() && written;
    let asked = Asked {
        files: vec![kept.to_owned()],
        keylogs: arguments.keep_keys.iter().cloned().collect(),
        errors,
        parts: Vec::new(),
    };
    let to_output = arguments.format == ReportFormat::Text || files.report.is_some();
    let holds = rules
        .map(|book| check(&report, book, &asked, to_output, coloured))
        .transpose()?;
    Ok(match holds {
        _ if !whole => Judged::Unreadable,
        None => Judged::Not,
        Some(true) => Judged::Holds,
        Some(false) => Judged::Violated,
    })
}

/// Writes the report, or the facts that one is made of.
fn write(
    arguments: &RecordArgs,
    coloured: bool,
    engine: &Engine,
    report: &Report<'_>,
    files: &mut Files,
) -> Result<bool, Stop> {
    if arguments.format == ReportFormat::Facts {
        let shard = Shard::of(engine, report.captures.clone());
        return put(&mut files.report, |out| facts::write(&shard, out));
    }
    let coloured = coloured && files.report.is_none();
    put(&mut files.report, |out| {
        analyze::show(report, arguments.format, arguments.all, coloured, out)
    })
}

/// Holds the report against the rules, and prints what comes of it: where the report is no text, beside it.
fn check(report: &Report<'_>, book: &Rulebook, asked: &Asked, to_output: bool, coloured: bool) -> io::Result<bool> {
    let answer = render::Check::of(report, &book.rules, book.baseline.as_ref(), asked);
    if to_output {
        print(|out| answer.write(CheckFormat::Text { coloured }, out))?;
    } else {
        // When standard error cannot be written, the status still tells.
        let _ = answer.write(CheckFormat::Text { coloured: false }, &mut io::stderr().lock());
    }
    Ok(answer.holds())
}

fn read(arguments: &RecordArgs, files: &Files) -> Run {
    let keys = files.keys();
    let keylogs = if keys.exists() {
        vec![keys.to_owned()]
    } else {
        Vec::new()
    };
    let options = RunOptions {
        keylogs,
        joinable: arguments.format == ReportFormat::Facts,
        ..RunOptions::default()
    };
    let run = run::analyze(&[files.packets()], &options, &mut |_| ControlFlow::Continue(()));
    for line in run.errors.iter().chain(&run.warnings) {
        complain(line);
    }
    run
}

/// Writes the report to its file, or to standard output; whether it could be written.
fn put(file: &mut Option<(String, File)>, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<bool, Stop> {
    let Some((path, file)) = file else {
        print(write)?;
        return Ok(true);
    };
    let mut out = BufWriter::with_capacity(1 << 16, file);
    if let Err(error) = write(&mut out).and_then(|()| out.flush()) {
        complain(&format!("{path}: cannot be written: {error}"));
        return Ok(false);
    }
    Ok(true)
}
