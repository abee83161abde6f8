//! The answer as people read it: violated rules first in full, then the others on a line each.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::Check;
use super::words::{ToldProof, VerdictText};
use crate::render::text::paint;
use crate::wording::{counted, number};
use crate::wording::{printable, shown_path, wrap};

/// Longest line of prose.
const WIDTH: usize = 100;
/// Longest sentence.
const MAX_SENTENCE: usize = 300;

/// Writes the answer.
pub(super) fn write(check: &Check<'_, '_>, coloured: bool, out: &mut dyn Write) -> io::Result<()> {
    let style = |style: Style| if coloured { style } else { Style::new() };
    let (good, bad) = (
        style(AnsiColor::Green.on_default()),
        style(AnsiColor::Red.on_default().bold()),
    );
    head(check, if check.passed() { good } else { bad }, out)?;
    let told = VerdictText::all(check);
    let (held, violated): (Vec<&VerdictText<'_>>, Vec<&VerdictText<'_>>) =
        told.iter().partition(|told| told.verdict.holds);
    for told in violated {
        writeln!(
            out,
            "\n{} {}   {}",
            paint(bad, "violated"),
            printable(&told.title, MAX_SENTENCE),
            printable(&told.area, MAX_SENTENCE)
        )?;
        paragraph(4, "required  ", &told.required, out)?;
        paragraph(4, "found     ", &told.found, out)?;
        paragraph(4, "from      ", &told.origin, out)?;
        for told in &told.proofs {
            proof(told, out)?;
        }
        if told.more > 0 {
            writeln!(out, "    … {} more", number(told.more))?;
        }
        if let Some(command) = &told.reproduce {
            // One line however long: it is there to be copied.
            writeln!(out, "    reproduce: {}", printable(command, usize::MAX))?;
        }
    }
    if !held.is_empty() {
        writeln!(out)?;
    }
    for told in held {
        let line = format!("{}   {}: {}", told.title, told.area, told.found);
        writeln!(out, "{}     {}", paint(good, "holds"), printable(&line, MAX_SENTENCE))?;
    }
    Ok(())
}

/// What was read, and what came out.
fn head(check: &Check<'_, '_>, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let report = check.report;
    let name = match report.captures.as_slice() {
        [] => "no capture".to_owned(),
        [capture] => shown_path(capture),
        captures => counted(captures.len() as u64, "capture", "captures"),
    };
    let connections = report.summary.counts.outcomes.total();
    writeln!(
        out,
        "{name}   {}",
        counted(connections, "TLS connection", "TLS connections")
    )?;
    for error in &check.asked.errors {
        writeln!(out, "error: {}", printable(error, usize::MAX))?;
    }
    let rules = counted(check.verdicts.len() as u64, "rule", "rules");
    let line = match check.violated() {
        0 => format!("all of {rules} hold"),
        violated => format!("{violated} of {rules} violated"),
    };
    writeln!(out, "{}", paint(style, line))
}

fn proof(told: &ToldProof<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "    {}", printable(&told.title, MAX_SENTENCE))?;
    paragraph(6, "", &told.says, out)?;
    let width = told.frames.iter().map(|(frame, _)| frame.chars().count()).max();
    let width = width.unwrap_or(0);
    for (frame, text) in &told.frames {
        paragraph(8, &format!("frame {frame:width$}  "), text, out)?;
    }
    Ok(())
}

fn paragraph(indent: usize, label: &str, text: &str, out: &mut dyn Write) -> io::Result<()> {
    let text = printable(text, MAX_SENTENCE);
    let hang = indent + label.chars().count();
    for (index, line) in wrap(&text, WIDTH.saturating_sub(hang)).enumerate() {
        if index == 0 {
            writeln!(out, "{:indent$}{label}{line}", "")?;
        } else {
            writeln!(out, "{:hang$}{line}", "")?;
        }
    }
    Ok(())
}
