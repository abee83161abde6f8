//! Security findings of a service: the grave ones with frames and advice, notes on one line.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{self, Write};

use super::analyses::MAX_SENTENCE;
use super::{Page, paint};
use crate::model::ServiceView;
use crate::wording::{counted, number, printable};
use anstyle::Style;

use reshake_core::diagnosis::security::{SecurityFinding, Severity};

impl Page<'_, '_> {
    /// What a security review would want to know of a service.
    pub(super) fn findings(&mut self, found: &[&SecurityFinding], advised: &mut Vec<&'static str>) -> io::Result<()> {
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

    /// Those at servers that the clients of a capture visit, on one line: nobody here can act on them.
    pub(super) fn findings_elsewhere(&mut self, services: &[&ServiceView]) -> io::Result<()> {
        let mut names: BTreeMap<(Reverse<Severity>, &str), u64> = BTreeMap::new();
        let mut servers = 0;
        for view in services {
            let found = self.report.findings.service(&view.service());
            let theirs = || found.iter().filter(|found| !found.kind.is_up_to_clients());
            servers += u64::from(theirs().next().is_some());
            for found in theirs() {
                *names.entry((Reverse(found.severity), found.kind.name)).or_insert(0) += 1;
            }
        }
        if servers == 0 {
            return Ok(());
        }
        let names = names.into_iter();
        let names: Vec<String> = names
            .map(|((_, name), count)| format!("{name} ({})", number(count)))
            .collect();
        let text = format!(
            "{} that these clients visit, for their operators: {}   (in full: --all)",
            counted(servers, "service", "services"),
            names.join(", ")
        );
        writeln!(self.out)?;
        self.paragraph(0, "security   ", self.style.name, &text)
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
