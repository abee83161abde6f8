//! `reshake analyze`: captures in, report out.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::args::{Analyze, ReportFormat, Time};
use super::redact::Redaction;
use super::{Done, Status, complain, damage, interrupt, keylogs, print, print_form, read_until, terminal};
use crate::capture::is_standard_input;
use crate::facts;
use crate::model::document::Bounds;
use crate::model::{Report, SelectError, Selection};
use crate::render::{html, json, markdown, text};
use crate::run::{Run, RunOptions};
use crate::wording::printable;
use reshake_core::engine::Shard;

pub(super) fn run(arguments: &Analyze, coloured: bool) -> Done {
    let inputs = arguments.inputs();
    if inputs.iter().filter(|input| is_standard_input(input)).count() > 1 {
        complain("standard input ('-') can be read only once");
        return Ok(Status::Usage);
    }
    if arguments.time.is_some() && arguments.format != ReportFormat::Text {
        complain(
            "--time: only the text report has a clock to choose; the other forms give times as their readers need them",
        );
        return Ok(Status::Usage);
    }
    let is_short = matches!(
        arguments.format,
        ReportFormat::Text | ReportFormat::Json | ReportFormat::Jsonl
    );
    if arguments.summary && !is_short {
        complain("--summary: is for text, json and jsonl");
        return Ok(Status::Usage);
    }
    let selection = selection(arguments.select.as_deref())?;
    let options = options(arguments)?;
    let mut redaction = Redaction::of(&arguments.redact)?;
    if arguments.format == ReportFormat::Facts && !may_be_facts(selection.as_ref(), &redaction) {
        return Ok(Status::Usage);
    }
    // Whoever followed a file has said already how that ends.
    let stop = match &options.follow {
        Some(_) => Arc::default(),
        // Where signals cannot be caught, one ends the process as it always did.
        None => interrupt::stop().unwrap_or_default(),
    };
    let mut run = read_until(&inputs, &options, arguments.quiet, &stop);
    // What is left takes no long: from here on a signal ends it at once.
    stop.store(true, Ordering::Relaxed);
    if let Some(name) = inputs
        .first()
        .and_then(|path| path.to_str())
        .filter(|name| is_misspelt_command(name))
    {
        complain(&format!(
            "neither a file nor a command is called '{name}'; 'reshake --help' lists the commands"
        ));
    }
    let status = status(arguments, &run);
    if run.captures.is_empty() {
        return Ok(status);
    }
    let selection = redaction.apply(&mut run, selection);
    let Run { engine, captures, .. } = run;
    if arguments.format == ReportFormat::Facts {
        let shard = Shard::of(&engine, captures);
        print(|out| facts::write(&shard, out))?;
        return Ok(status);
    }
    let report = Report::with_threads(&engine, captures, selection, arguments.threads.count());
    let text = text::TextOptions {
        times: times(arguments.time),
        summary: arguments.summary,
        ..terminal::options(coloured, arguments.all)
    };
    print_form(arguments.format == ReportFormat::Text, |out| match arguments.format {
        _ if arguments.wireshark => text::filters(&report, out),
        ReportFormat::Text => text::write(&report, text, out),
        ReportFormat::Json if arguments.summary => json::write_summary(&report, out),
        ReportFormat::Jsonl if arguments.summary => json::write_summary_lines(&report, out),
        format => show(&report, format, arguments.all, coloured, out),
    })?;
    std::mem::forget(report);
    // The process ends here: giving back the memory of every connection one by one would only cost time.
    std::mem::forget(engine);
    Ok(status)
}

const fn times(asked: Option<Time>) -> text::Times {
    match asked {
        None => text::Times::Usual,
        Some(Time::Utc) => text::Times::Utc,
        Some(Time::Local) => text::Times::Local,
        Some(Time::Relative) => text::Times::Relative,
    }
}

/// The report in the form that is asked for. Facts are no report.
pub(super) fn show(
    report: &Report<'_>,
    format: ReportFormat,
    all: bool,
    coloured: bool,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let bounds = if all { Bounds::WIDE } else { Bounds::USUAL };
    match format {
        ReportFormat::Text => text::write(report, terminal::options(coloured, all), out),
        ReportFormat::Json => json::write_document(report, out),
        ReportFormat::Jsonl => json::write_lines(report, out),
        ReportFormat::Facts => Ok(()),
        ReportFormat::Markdown => markdown::write(report, bounds, out),
        ReportFormat::Html => html::write(report, bounds, out),
        ReportFormat::Csv => json::write_csv(report, out),
    }
}

/// What is asked of a report and cannot be asked of facts.
fn may_be_facts(selection: Option<&Selection>, redaction: &Redaction) -> bool {
    if selection.is_some() {
        complain("--where: facts are not selected, because verdicts rest on all of them; select when they are judged");
    } else if redaction.is_asked() {
        complain("--redact: facts are joined by their addresses and credentials; give --redact when they are judged");
    } else {
        return true;
    }
    false
}

/// What is wrong with a selection, with a mark below the place.
fn point_out(text: &str, error: &SelectError) {
    let shown = |text: &str| printable(text, usize::MAX);
    let before: String = text.chars().take(error.at).collect();
    let marked: String = text.chars().skip(error.at).take(error.length).collect();
    let indent = shown(&before).chars().count();
    let marks = shown(&marked).chars().count().max(1);
    complain(&format!("--where: {error}"));
    if text.trim().is_empty() {
        return;
    }
    complain(&format!("  {}", shown(text)));
    complain(&format!("  {:indent$}{}", "", "^".repeat(marks)));
}

/// Whether a word that was taken for a file looks more like a command.
fn is_misspelt_command(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_lowercase()) && !Path::new(name).exists()
}

/// The selection; one that cannot be understood is pointed at.
pub(super) fn selection(text: Option<&str>) -> Result<Option<Selection>, Status> {
    let Some(text) = text else { return Ok(None) };
    Selection::parse(text).map(Some).map_err(|error| {
        point_out(text, &error);
        Status::Usage
    })
}

fn options(arguments: &Analyze) -> Result<RunOptions, Status> {
    let stop = arguments.follow.then(interrupt::stop).transpose();
    let follow = stop.map_err(|error| {
        complain(&format!("--follow: signals cannot be caught: {error}"));
        Status::Unreadable
    })?;
    Ok(RunOptions {
        packets: arguments.count,
        follow,
        keylogs: keylogs(&arguments.keys)?,
        joinable: arguments.format == ReportFormat::Facts,
        threads: arguments.threads,
        ..RunOptions::within(arguments.memory.max_memory)
    })
}

fn status(arguments: &Analyze, run: &Run) -> Status {
    let damaged = arguments.strict && !damage(run).is_empty();
    if damaged || !run.errors.is_empty() {
        Status::Unreadable
    } else {
        Status::Analysed
    }
}
