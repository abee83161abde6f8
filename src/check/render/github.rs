//! The answer as annotations of GitHub's workflows: a line `::error …` for each violated rule, at its place in the rule
//! file where it has one.

use std::io::{self, Write};

use super::Check;
use super::words::{VerdictText, title};
use crate::check::Origin;
use crate::wording::counted;
use crate::wording::printable;

/// Writes the answer.
pub(super) fn write(check: &Check<'_, '_>, out: &mut dyn Write) -> io::Result<()> {
    for error in &check.asked.errors {
        writeln!(out, "::error title=reshake check::{}", message(error))?;
    }
    let told = VerdictText::all(check);
    for told in told.iter().filter(|told| !told.verdict.holds) {
        violated(told, out)?;
    }
    let held = told.iter().filter(|told| told.verdict.holds).count();
    let rules = counted(told.len() as u64, "rule", "rules");
    writeln!(out, "::notice title=reshake check::{held} of {rules} hold")
}

fn violated(told: &VerdictText<'_>, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "::error ")?;
    if let Origin::File { path, line, column } = &told.verdict.rule.origin {
        write!(out, "file={},line={line},col={column},", property(path))?;
    }
    let title = format!("reshake: {}", title(&told.verdict.rule));
    let mut lines = vec![message(&told.area)];
    lines.extend(told.lines().iter().map(|line| message(line)));
    writeln!(out, "title={}::{}", property(&title), lines.join("%0A"))
}

/// Data of a workflow command.
fn message(text: &str) -> String {
    printable(text, usize::MAX).replace('%', "%25")
}

/// The value of a property of a workflow command.
fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_begins_another_command() {
        assert_eq!(message("50 %\n::error::x\r"), "50 %25\\u{a}::error::x\\u{d}");
        assert_eq!(property("a:b,c%\n"), "a%3Ab%2Cc%25\\u{a}");
    }
}
