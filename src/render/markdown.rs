//! The report as Markdown, to be pasted into a ticket: the summary, then each service with what is wrong and what to
//! do, then one connection of each kind with its frames. As GitHub, GitLab and Jira's importer read it.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::item::markdown::{plain, reason};
use crate::model::document::{AlikeGroup, Bounds, ReportDocument, ServiceSummary};
use crate::model::view::service::PatternView;
use crate::model::view::{FrameLabel, OUTCOMES, counted, number};
use crate::model::{Outcomes, Report};

/// Reasons listed.
const MAX_REASONS: usize = 20;

/// Writes the report within bounds.
///
/// # Errors
/// Those of `out`.
pub fn write(report: &Report<'_>, bounds: Bounds, out: &mut dyn Write) -> io::Result<()> {
    let handout = ReportDocument::of(report, bounds);
    head(&handout, out)?;
    for service in &handout.services {
        self::service(service, out)?;
    }
    match handout.more_services {
        (0, _) => {}
        (more, connections) => writeln!(
            out,
            "_{} with {} left out: `{}` shows them._\n",
            counted(more as u64, "further service", "further services"),
            counted(connections, "connection is", "connections are"),
            handout.more
        )?,
    }
    if !handout.kinds.is_empty() {
        writeln!(out, "## Connections that stand for others\n")?;
    }
    for kind in &handout.kinds {
        self::kind(kind, out)?;
    }
    match handout.more_kinds {
        (0, _) => {}
        (more, connections) => writeln!(
            out,
            "_{} ({}) left out: `{}` shows them._\n",
            counted(more as u64, "further kind", "further kinds"),
            counted(connections, "connection", "connections"),
            handout.more
        )?,
    }
    tail(&handout, out)
}

fn head(handout: &ReportDocument<'_>, out: &mut dyn Write) -> io::Result<()> {
    let (rate, of) = handout.rate();
    writeln!(out, "# TLS resumption: {rate} ({of})\n")?;
    let names: Vec<String> = handout.captures.iter().map(|capture| code(&capture.name)).collect();
    let more = match handout.more_captures {
        0 => String::new(),
        more => format!(" and {} more", number(more as u64)),
    };
    writeln!(out, "{}{more}: {}.\n", names.join(", "), plain(&handout.scope))?;
    if let Some(selection) = &handout.selection {
        let selection = code(selection);
        writeln!(
            out,
            "Selected: {selection}. Counts are of these connections, patterns of all.\n"
        )?;
    }
    writeln!(out, "| outcome | connections |\n|---|---:|")?;
    for (name, count) in outcomes(&handout.counts.outcomes) {
        writeln!(out, "| {name} | {} |", number(count))?;
    }
    writeln!(out)?;
    for note in &handout.notes {
        writeln!(out, "- Note: {}", plain(note))?;
    }
    if !handout.notes.is_empty() {
        writeln!(out)?;
    }
    if !handout.reasons.is_empty() {
        writeln!(out, "| why | connections |\n|---|---:|")?;
    }
    for count in handout.reasons.iter().take(MAX_REASONS) {
        writeln!(out, "| {} | {} |", count.reason.name, number(count.connections()))?;
    }
    writeln!(out)
}

/// Every outcome with its count, in the order of [`OUTCOMES`].
fn outcomes(counts: &Outcomes) -> impl Iterator<Item = (&'static str, u64)> {
    OUTCOMES.into_iter().zip(counts.in_order())
}

fn service(part: &ServiceSummary, out: &mut dyn Write) -> io::Result<()> {
    let page = &part.page;
    writeln!(out, "## Service {}\n", code(&page.title))?;
    let told: Vec<String> = outcomes(&page.counts.outcomes)
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{} {name}", number(count)))
        .collect();
    let total = page.counts.outcomes.total();
    writeln!(
        out,
        "{}: {}.",
        counted(total, "connection", "connections"),
        told.join(", ")
    )?;
    if !part.cost.is_empty() {
        writeln!(out, "{}.", plain(&part.cost))?;
    }
    writeln!(out)?;
    if !page.answer.is_empty() {
        writeln!(out, "**{}**", plain(&page.answer))?;
    }
    if let Some(action) = &page.action {
        writeln!(out, "Do: {}.", plain(action))?;
    }
    writeln!(out)?;
    for pattern in &page.patterns {
        self::pattern(pattern, out)?;
    }
    for finding in &page.findings {
        writeln!(out, "### Security: {} ({})\n", finding.headline, finding.weight)?;
        writeln!(out, "{}\n", plain(&finding.summary))?;
        evidence(&finding.evidence, out)?;
        advice(finding.advice, finding.name, out)?;
    }
    if !page.backends.is_empty() || page.domains.len() > 1 {
        writeln!(out, "| backend or cache | connections | told by |\n|---|---:|---|")?;
        for group in page.backends.iter().chain(&page.domains) {
            let because = plain(&group.because);
            writeln!(out, "| {} | {} | {because} |", group.label, number(group.connections))?;
        }
        writeln!(out)?;
    }
    if !page.keys.is_empty() {
        writeln!(
            out,
            "| ticket key | issued | accepted | declined |\n|---|---:|---:|---:|"
        )?;
        for key in &page.keys {
            let counts = [key.issues, key.accepted, key.declined].map(number);
            writeln!(out, "| {} | {} |", code(&key.name), counts.join(" | "))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn pattern(pattern: &PatternView, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "### {} ({})\n", pattern.headline, pattern.sure)?;
    writeln!(out, "{}\n", plain(&pattern.summary))?;
    if !pattern.contrast.is_empty() {
        writeln!(out, "| | resumed | declined |\n|---|---:|---:|")?;
        for (row, counts) in &pattern.contrast {
            writeln!(out, "| {row} | {} |", counts.map(number).join(" | "))?;
        }
        writeln!(out)?;
    }
    evidence(&pattern.evidence, out)?;
    if let Some(cause) = pattern.follows_from {
        writeln!(out, "Follows from: {cause}.\n")?;
    }
    if !pattern.remaining.is_empty() {
        writeln!(out, "Or: {}.\n", pattern.remaining.join("; or "))?;
    }
    if let Some(settles) = pattern.would_settle {
        writeln!(out, "Would settle it: {}.\n", plain(settles))?;
    }
    advice(pattern.advice, pattern.name, out)
}

fn evidence(evidence: &[(String, Vec<FrameLabel>)], out: &mut dyn Write) -> io::Result<()> {
    for (text, frames) in evidence {
        let word = if frames.len() == 1 { "frame" } else { "frames" };
        let frames: Vec<String> = frames.iter().map(|frame| plain(&frame.text)).collect();
        writeln!(out, "- {word} {}: {}", frames.join(", "), plain(text))?;
    }
    if evidence.is_empty() { Ok(()) } else { writeln!(out) }
}

fn advice(advice: &str, name: &str, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "What to do: {advice} (`reshake explain {name}`).\n")
}

fn kind(kind: &AlikeGroup, out: &mut dyn Write) -> io::Result<()> {
    let view = &kind.example;
    writeln!(
        out,
        "### Connection {}: {}\n\n{}\n",
        view.number,
        plain(&view.outcome_text),
        code(&view.title)
    )?;
    for reason in &view.reasons {
        self::reason(reason, out)?;
    }
    for (capture, filter) in &view.filters {
        let place = capture
            .as_ref()
            .map_or_else(String::new, |name| format!(" in {}", code(name)));
        writeln!(out, "Wireshark{place}:\n\n```text\n{filter}\n```\n")?;
    }
    match kind.more {
        0 => Ok(()),
        more => writeln!(out, "_{} more ended alike._\n", number(more)),
    }
}

fn tail(handout: &ReportDocument<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut line = format!("_reshake {}", env!("CARGO_PKG_VERSION"));
    if handout.redacted {
        let _ = write!(line, "; addresses, names and credentials are replaced");
    }
    writeln!(out, "{line}_")
}

/// Text as code: nothing in it is markup, a link or a mention.
fn code(text: &str) -> String {
    let longest = text.split(|letter| letter != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    // A space keeps a mark at the end of the text from joining the fence; it is not shown.
    let space = if text.starts_with('`') || text.ends_with('`') {
        " "
    } else {
        ""
    };
    // In a table a bar ends the cell even in code.
    format!("{fence}{space}{}{space}{fence}", text.replace('|', "\\|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_ends_where_it_is_meant_to() {
        assert_eq!(code("www.example.test"), "`www.example.test`");
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("``"), "``` `` ```");
        assert_eq!(code("a|b"), "`a\\|b`");
    }
}
