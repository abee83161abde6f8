//! Security findings of a service: the grave ones with frames and advice, notes on one line.

use std::io;

use super::analyses::MAX_SENTENCE;
use super::{Page, paint};
use crate::wording::printable;
use anstyle::Style;

use reshake_core::diagnosis::security::{SecurityFinding, Severity};

impl Page<'_, '_> {
    /// What a security review would want to know of a service.
    pub(super) fn findings(&mut self, found: &[SecurityFinding], advised: &mut Vec<&'static str>) -> io::Result<()> {
        let (notes, grave): (Vec<&SecurityFinding>, Vec<&SecurityFinding>) = found
            .iter()
            .partition(|found| found.severity == Severity::Note && !self.all);
        for found in grave {
            self.finding(found, advised)?;
        }
        if notes.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = notes.iter().map(|found| found.kind.name).collect();
        let text = format!("{}   (in full: --all)", names.join("   "));
        self.paragraph(2, "to note    ", self.style.name, &text)
    }

    fn finding(&mut self, found: &SecurityFinding, advised: &mut Vec<&'static str>) -> io::Result<()> {
        let style = match found.severity {
            Severity::High => self.style.bad,
            Severity::Warning | Severity::Note => self.style.note,
        };
        let (severity, confidence) = (found.severity.code(), found.confidence.code());
        let label = paint(self.style.name, "security   ");
        let headline = paint(style, format_args!("{severity}: {}", found.kind.summary));
        writeln!(self.out, "  {label}{headline}   {confidence}")?;
        let summary = printable(&found.summary, MAX_SENTENCE);
        self.paragraph(6, "", Style::new(), &summary)?;
        self.frames(&found.evidence)?;
        if advised.contains(&found.kind.name) {
            return Ok(());
        }
        advised.push(found.kind.name);
        let text = format!(
            "{}   (reshake\u{a0}explain\u{a0}{})",
            found.kind.advice, found.kind.name
        );
        self.paragraph(6, "do: ", self.style.advice, &text)
    }
}
