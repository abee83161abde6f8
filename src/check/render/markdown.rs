//! The answer as Markdown, for the summary of a job and for comments.

use std::io::{self, Write};

use super::Check;
use super::words::VerdictText;
use crate::render::item::markdown;
use crate::wording::{counted, printable};

/// Writes the answer.
pub(super) fn write(check: &Check<'_, '_>, out: &mut dyn Write) -> io::Result<()> {
    let told = VerdictText::all(check);
    let rules = counted(told.len() as u64, "rule", "rules");
    let head = match (check.violated(), check.passed()) {
        (0, true) => format!("✅ all of {rules} hold"),
        (0, false) => format!("❌ {rules} hold, but not everything could be read"),
        (violated, _) => format!("❌ {violated} of {rules} violated"),
    };
    writeln!(out, "## TLS resumption: {head}\n")?;
    for error in &check.asked.errors {
        writeln!(out, "- Error: {}", plain(error))?;
    }
    if !check.asked.errors.is_empty() {
        writeln!(out)?;
    }
    writeln!(out, "| | rule | of | required | found |\n|---|---|---|---|---|")?;
    for told in &told {
        let sign = if told.verdict.holds { "✅" } else { "❌" };
        let cells = [&told.title, &told.area, &told.required, &told.found].map(|text| plain(text));
        writeln!(out, "| {sign} | {} |", cells.join(" | "))?;
    }
    for told in told.iter().filter(|told| !told.verdict.holds) {
        violated(told, out)?;
    }
    Ok(())
}

fn violated(told: &VerdictText<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n### {}, {}\n", plain(&told.title), plain(&told.area))?;
    for advice in &told.advice {
        writeln!(out, "**Do:** {}\n", plain(advice))?;
    }
    for proof in &told.proofs {
        writeln!(out, "- {}  {}", plain(&proof.title), plain(&proof.says))?;
        for (frame, text) in &proof.frames {
            writeln!(out, "  - frame {}: {}", plain(frame), plain(text))?;
        }
    }
    if told.more > 0 {
        writeln!(out, "- … {} more", told.more)?;
    }
    match &told.reproduce {
        // A block of code, in which nothing is markup; a command is one line.
        Some(command) => writeln!(out, "\nReproduce:\n\n    {}", printable(command, usize::MAX)),
        None => Ok(()),
    }
}

/// Text that may hold names from the wire, on one line and without markup.
fn plain(text: &str) -> String {
    markdown::plain(&printable(text, usize::MAX))
}
