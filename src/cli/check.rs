//! `reshake check`: captures against rules, in the exit status.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read as _, Write};
use std::path::Path;

use super::args::gate::{CheckArgs, CheckForm, Output};
use super::redact::Redaction;
use super::{Done, Status, complain, damage, keylogs, print, print_form, read, read_whole};
use crate::capture::{is_standard_input, name_of};
use crate::check::render::{self, Asked, CheckFormat};
use crate::check::{Baseline, Origin, Rules, begin, show};
use crate::diff::DiffSide;
use crate::model::{Report, Selection};
use crate::run::{Run, RunOptions};
use crate::wording::printable;

/// Bytes of a rule file at most.
const MAX_RULES: u64 = 1 << 20;
/// Bytes of an earlier report at most.
const MAX_REPORT: u64 = 4 << 30;

pub(super) fn run(arguments: &CheckArgs, coloured: bool) -> Done {
    if arguments.init {
        return begin_rules(arguments.rules.as_deref().unwrap_or(Path::new("reshake.toml")));
    }
    let mut rules = rules(arguments.rules.as_deref(), arguments.demands.given())?;
    if arguments.print_rules {
        let shown = show(&rules);
        print(|out| {
            shown
                .lines()
                .try_for_each(|line| writeln!(out, "{}", printable(line, usize::MAX)))
        })?;
        return Ok(Status::Analysed);
    }
    usable(arguments, &rules)?;
    let baseline = rules.baseline.as_ref().map(baseline).transpose()?;
    let options = options(arguments)?;
    let mut redaction = Redaction::of(&arguments.redact)?;
    let mut run = read(&arguments.files, &options, arguments.quiet);
    if arguments.strict {
        run.errors.extend(damage(&run));
    }
    let mut asked = Asked {
        files: arguments.files.clone(),
        keylogs: options.keylogs,
        errors: run.errors.clone(),
        parts: Vec::new(),
    };
    if redaction.is_asked() {
        redact(&mut redaction, &mut run, &mut rules, &mut asked);
    }
    let report = Report::of(&run.engine, run.captures);
    let answer = render::Check::of(&report, &rules, baseline.as_ref(), &asked);
    let written = write(arguments, &answer, coloured)?;
    Ok(if !asked.errors.is_empty() || !written {
        Status::Unreadable
    } else if answer.holds() {
        Status::Analysed
    } else {
        Status::Violated
    })
}

/// Writes the rule file to begin with, where none is.
fn begin_rules(file: &Path) -> Done {
    let path = name_of(file);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(file)
        .and_then(|mut file| file.write_all(begin().as_bytes()));
    match written {
        Ok(()) => {
            print(|out| writeln!(out, "wrote {path}; next: reshake check --rules {path} CAPTURE"))?;
            Ok(Status::Analysed)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            complain(&format!("--init: {path}: already exists; --rules NAME gives another"));
            Ok(Status::Usage)
        }
        Err(error) => {
            complain(&format!("--init: {path}: cannot be written: {error}"));
            Ok(Status::Unreadable)
        }
    }
}

/// Puts other names for hosts into everything that the answer is made of.
fn redact(redaction: &mut Redaction, run: &mut Run, rules: &mut Rules, asked: &mut Asked) {
    let report = Report::of(&run.engine, run.captures.clone());
    let parts: Vec<String> = rules.parts().into_iter().map(str::to_owned).collect();
    for (number, terms) in (1..).zip(&parts) {
        let Ok(selection) = Selection::parse(terms) else {
            continue;
        };
        let settled = selection.settled(&report);
        let name = format!("{} (part {number})", settled.text());
        rules.rename_part(terms, &name);
        asked.parts.push((name, settled));
    }
    drop(report);
    redaction.apply(run, None);
    // Lines about inputs name their paths.
    for error in &mut asked.errors {
        "an input could not be read as a whole".clone_into(error);
    }
}

fn options(arguments: &CheckArgs) -> Result<RunOptions, Status> {
    Ok(RunOptions {
        keylogs: keylogs(&arguments.keys)?,
        ..RunOptions::within(arguments.max_memory)
    })
}

/// The rules of the file, then those of the flags.
pub(super) fn rules<'a>(
    file: Option<&Path>,
    flags: impl Iterator<Item = (&'static str, &'a str)>,
) -> Result<Rules, Status> {
    let terms = |text: &str| {
        let wrong = |error: crate::model::SelectError| (error.at, error.message);
        Selection::parse(text).map(|_| ()).map_err(wrong)
    };
    let mut rules = Rules::default();
    let faults = (|| {
        if let Some(path) = file {
            let read = read_whole(path, MAX_RULES)
                .and_then(|bytes| String::from_utf8(bytes).map_err(|_| io::Error::other("is not UTF-8")));
            let text = match read {
                Ok(text) => text,
                Err(error) => {
                    complain(&format!("{}: rules cannot be read: {error}", name_of(path)));
                    return Err(Status::Usage);
                }
            };
            rules.add_file(&name_of(path), &text, &terms).map_err(fault)?;
        }
        for (name, text) in flags {
            rules.add_flag(name, text, &terms).map_err(fault)?;
        }
        Ok(())
    })();
    faults?;
    rules.finish().map_err(fault)
}

#[allow(clippy::needless_pass_by_value)] // as map_err hands it over
fn fault(fault: crate::check::RuleFault) -> Status {
    complain(&fault.to_string());
    Status::Usage
}

/// Whether there is something to check, and a place for every form of the answer.
fn usable(arguments: &CheckArgs, rules: &Rules) -> Result<(), Status> {
    let refuse = |line: &str| {
        complain(line);
        Err(Status::Usage)
    };
    if rules.is_bare() {
        return refuse("there is no rule to check; give one, such as --min-returning-share 0.9 (reshake check --help)");
    }
    if arguments.files.iter().filter(|input| is_standard_input(input)).count() > 1 {
        return refuse("standard input ('-') can be read only once");
    }
    if arguments.format.iter().filter(|output| output.file.is_none()).count() > 1 {
        return refuse("only one form can go to standard output; give the others as --format FORM=FILE");
    }
    let file = |place: usize| arguments.format.get(place).and_then(|output| output.file.as_ref());
    let twice = (0..arguments.format.len())
        .any(|place| file(place).is_some() && (0..place).any(|other| file(other) == file(place)));
    if twice {
        return refuse("two forms go to the same file");
    }
    Ok(())
}

/// The earlier report. A path in a rule file is relative to that file.
pub(super) fn baseline((path, origin): &(String, Origin)) -> Result<Baseline, Status> {
    let unreadable = |line: String| {
        complain(&line);
        Status::Unreadable
    };
    let file = match origin {
        Origin::File { path: rules, .. } => Path::new(rules).parent().unwrap_or(Path::new("")).join(path),
        Origin::Default | Origin::Flag(_) => Path::new(path).to_owned(),
    };
    let json = read_report(&file).map_err(|error| unreadable(format!("baseline {}: {error}", name_of(&file))))?;
    let side =
        DiffSide::parse(path, &json).map_err(|error| unreadable(format!("baseline {}: {error}", name_of(&file))))?;
    match side.selection {
        None => Ok(side.baseline()),
        Some(terms) => Err(unreadable(format!(
            "baseline {}: shows selected connections only ({terms}); make it without --where",
            name_of(&file)
        ))),
    }
}

/// A report in JSON. What does not begin as one is not read to its end, which a device as `/dev/zero` does not have.
pub(super) fn read_report(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut json = Vec::new();
    (&mut file).take(4096).read_to_end(&mut json)?;
    if json.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(io::Error::other("is not a JSON report: it does not begin with '{'"));
    }
    file.take(MAX_REPORT + 1 - json.len() as u64).read_to_end(&mut json)?;
    if json.len() as u64 > MAX_REPORT {
        return Err(io::Error::other(format!("is longer than {} GiB", MAX_REPORT >> 30)));
    }
    Ok(json)
}

/// Writes every form; whether each could be written.
fn write(arguments: &CheckArgs, answer: &render::Check<'_, '_>, coloured: bool) -> io::Result<bool> {
    let mut written = true;
    for Output { form, file } in &arguments.format {
        let Some(file) = file else { continue };
        if let Err(error) = to_file(file, answer, form_of(*form, false)) {
            complain(&format!("{file}: cannot be written: {error}"));
            written = false;
        }
    }
    let to_standard_output = arguments.format.iter().find(|output| output.file.is_none());
    let form = to_standard_output.map_or(CheckForm::Text, |output| output.form);
    print_form(form == CheckForm::Text, |out| {
        answer.write(form_of(form, coloured), out)
    })?;
    Ok(written)
}

fn to_file(path: &str, answer: &render::Check<'_, '_>, form: CheckFormat) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    answer.write(form, &mut out)?;
    out.flush()
}

const fn form_of(form: CheckForm, coloured: bool) -> CheckFormat {
    match form {
        CheckForm::Text => CheckFormat::Text { coloured },
        CheckForm::Json => CheckFormat::Json,
        CheckForm::Junit => CheckFormat::Junit,
        CheckForm::Sarif => CheckFormat::Sarif,
        CheckForm::Github => CheckFormat::Github,
        CheckForm::Gitlab => CheckFormat::Gitlab,
        CheckForm::Markdown => CheckFormat::Markdown,
    }
}
