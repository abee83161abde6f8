//! `reshake diff`: two captures or reports side by side.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::args::SessionFormat;
use super::args::gate::DiffArgs;
use super::check::read_report;
use super::redact::Redaction;
use super::{Done, Status, complain, keylogs, print_form, read};
use crate::capture::name_of;
use crate::diff::{self, DiffSide};
use crate::model::Report;
use crate::run::RunOptions;

pub(super) fn run(arguments: &DiffArgs) -> Done {
    let options = RunOptions {
        keylogs: keylogs(&arguments.keys)?,
        ..RunOptions::within(arguments.memory.max_memory)
    };
    let mut redaction = Redaction::of(&arguments.redact)?;
    let paths = [&arguments.before, &arguments.after];
    if redaction.is_asked()
        && let Some(path) = paths.into_iter().find(|path| is_json(path))
    {
        complain(&format!(
            "{}: a report keeps the names it was made with: make it with --redact-key, and compare without",
            name_of(path)
        ));
        return Ok(Status::Usage);
    }
    let [before, after] = paths.map(|path| side(path, &options, &mut redaction, arguments.quiet));
    let (Some((before, one)), Some((after, other))) = (before, after) else {
        return Ok(Status::Unreadable);
    };
    let comparison = diff::Diff::between(&before, &after);
    print_form(arguments.format == SessionFormat::Text, |out| match arguments.format {
        SessionFormat::Text => diff::write_text(&comparison, out),
        SessionFormat::Json => diff::write_json(&comparison, out),
    })?;
    Ok(if one && other {
        Status::Analysed
    } else {
        Status::Unreadable
    })
}

/// One side, and whether all of it could be read; what is wrong with it is said.
fn side(path: &Path, options: &RunOptions, redaction: &mut Redaction, quiet: bool) -> Option<(DiffSide, bool)> {
    if is_json(path) {
        let name = name_of(path);
        let json = read_report(path).map_err(|error| complain(&format!("{name}: cannot be read: {error}")));
        let side = DiffSide::parse(&name, &json.ok()?).map_err(|error| complain(&format!("{name}: {error}")));
        return Some((side.ok()?, true));
    }
    let mut run = read(&[path], options, quiet);
    let whole = run.errors.is_empty();
    redaction.apply(&mut run, None);
    let report = Report::of(&run.engine, run.captures);
    let path = report.captures.first()?.path.clone();
    Some((DiffSide::of(&report, &path), whole))
}

/// Whether a file begins as a JSON object does, which no capture does, and is no file of facts.
fn is_json(path: &Path) -> bool {
    const BLANKS: &[u8] = b" \t\r\n";
    const FACTS: &[u8] = b"\"reshake-facts/";
    let mut first = [0; 64];
    let read = File::open(path).and_then(|mut file| file.read(&mut first));
    let first = first.get(..read.unwrap_or(0)).unwrap_or_default();
    let facts = first.windows(FACTS.len()).any(|bytes| bytes == FACTS);
    !facts && first.iter().find(|byte| !BLANKS.contains(byte)) == Some(&b'{')
}
