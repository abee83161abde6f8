//! What a screen shows as Markdown, to be pasted into a ticket.

use std::io::{self, Write};

use crate::model::Report;
use crate::wording::{counted, number, percent};

use crate::model::view::connection::ConnectionView;
use crate::model::view::credential::CredentialView;
use crate::model::view::overview::{by_waste, service_title};
use crate::model::view::service::{ServicePage, contrast_line};
use crate::model::view::table::{Rows, Table};
use crate::model::view::{OUTCOMES, ReasonView, Side, micros};

/// Services and reasons listed in the overview.
const MAX_LISTED: usize = 50;

/// Text from a capture inside Markdown: nothing of it is markup.
pub(crate) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if "\\`*_{}[]<>#|!~&".contains(letter) {
            shown.push('\\');
        }
        shown.push(letter);
    }
    shown
}

fn connections(count: u64) -> String {
    counted(count, "connection", "connections")
}

/// The overview.
///
/// # Errors
/// Those of `out`.
pub fn overview(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let summary = &report.summary;
    let outcomes = &summary.counts.outcomes;
    writeln!(out, "# TLS resumption\n")?;
    let rate = summary.counts.resumption_rate();
    let rate = rate.map_or_else(|| "no offer was decided".to_owned(), percent);
    writeln!(out, "{}. Resumption rate: {rate}.\n", connections(outcomes.total()))?;
    writeln!(out, "| outcome | connections |\n|---|---:|")?;
    for (name, count) in OUTCOMES.iter().zip(outcomes.in_order()) {
        writeln!(out, "| {name} | {} |", number(count))?;
    }
    writeln!(out, "\n| reason | connections |\n|---|---:|")?;
    for count in summary.reasons.iter().take(MAX_LISTED) {
        writeln!(out, "| {} | {} |", count.reason.name, number(count.connections()))?;
    }
    writeln!(
        out,
        "\n| service | connections | resumed | declined | avoidable full handshakes |\n|---|---:|---:|---:|---:|"
    )?;
    for view in by_waste(report)
        .into_iter()
        .take(MAX_LISTED)
        .filter_map(|index| report.services.get(index))
    {
        let counts = &view.counts.outcomes;
        writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            plain(&service_title(view)),
            number(counts.total()),
            number(counts.resumed),
            number(counts.declined),
            number(view.avoidable.all.handshakes)
        )?;
    }
    Ok(())
}

/// A table as it is shown: its rows in their order, all columns.
///
/// # Errors
/// Those of `out`.
pub fn table(report: &Report<'_>, table: Table, rows: &Rows, out: &mut dyn Write) -> io::Result<()> {
    let columns = table.columns();
    for column in columns {
        write!(out, "| {} ", plain(column.title))?;
    }
    writeln!(out, "|")?;
    for column in columns {
        write!(out, "{}", if column.right { "|---:" } else { "|---" })?;
    }
    writeln!(out, "|")?;
    for item in (0..rows.len()).filter_map(|row| rows.get(row)) {
        for column in 0..columns.len() {
            write!(out, "| {} ", plain(&table.cell(report, item, column)))?;
        }
        writeln!(out, "|")?;
    }
    Ok(())
}

/// One connection.
///
/// # Errors
/// Those of `out`.
pub fn connection(view: &ConnectionView, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "# Connection {}: {}\n\n**{}**\n",
        view.number,
        plain(&view.title),
        view.outcome_text
    )?;
    facts(&view.facts, out)?;
    for reason in &view.reasons {
        self::reason(reason, out)?;
    }
    writeln!(out, "| frame | seconds | from | message |\n|---:|---:|---|---|")?;
    for rung in &view.ladder {
        let from = match rung.from {
            Side::Client => "client",
            Side::Server => "server",
        };
        let time = rung.offset.map_or_else(String::new, micros);
        writeln!(
            out,
            "| {} | {time} | {from} | {} |",
            plain(&rung.frame.text),
            plain(&rung.text)
        )?;
    }
    for (capture, filter) in &view.filters {
        let place = capture
            .as_ref()
            .map_or_else(String::new, |name| format!(" in {}", plain(name)));
        writeln!(out, "\nWireshark{place}:\n\n```text\n{filter}\n```")?;
    }
    Ok(())
}

pub(crate) fn reason(reason: &ReasonView, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "**{}** ({}): {}\n",
        reason.name,
        reason.sure,
        plain(&reason.summary)
    )?;
    for (frame, text) in &reason.evidence {
        writeln!(out, "- frame {}: {}", plain(&frame.text), plain(text))?;
    }
    writeln!(out, "\nWhat to do: {}.\n", reason.advice)?;
    if !reason.remaining.is_empty() {
        writeln!(out, "Also possible: {}.\n", reason.remaining)?;
    }
    Ok(())
}

fn facts(facts: &[(&'static str, String)], out: &mut dyn Write) -> io::Result<()> {
    for (name, text) in facts {
        writeln!(out, "- {name}: {}", plain(text))?;
    }
    writeln!(out)
}

/// One credential with its life.
///
/// # Errors
/// Those of `out`.
pub fn credential(view: &CredentialView, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "# Credential {}\n", view.name)?;
    facts(&view.facts, out)?;
    writeln!(out, "| frame | seconds | from → to | event |\n|---:|---:|---|---|")?;
    for event in &view.events {
        writeln!(
            out,
            "| {} | {} | {} | {} |",
            plain(&event.frame.text),
            event.time,
            event.ends,
            plain(&event.text)
        )?;
    }
    if view.more > 0 {
        writeln!(out, "\n… {} more", number(view.more as u64))?;
    }
    Ok(())
}

/// One service.
///
/// # Errors
/// Those of `out`.
pub fn service(page: &ServicePage, out: &mut dyn Write) -> io::Result<()> {
    let outcomes = &page.counts.outcomes;
    writeln!(out, "# Service {}\n", plain(&page.title))?;
    // What there is none of goes without saying, but for what everybody asks.
    let told = OUTCOMES.iter().zip(outcomes.in_order()).enumerate();
    let parts: Vec<String> = told
        .filter(|(place, (_, count))| *place < 3 || *count > 0)
        .map(|(_, (name, count))| format!("{} {name}", number(count)))
        .collect();
    writeln!(out, "{}: {}.\n", connections(outcomes.total()), parts.join(", "))?;
    if !page.answer.is_empty() {
        writeln!(out, "{}\n", plain(&page.answer))?;
    }
    if let Some(action) = &page.action {
        writeln!(out, "Do: {}.\n", plain(action))?;
    }
    for group in page.backends.iter().chain(&page.domains) {
        writeln!(
            out,
            "- {}: {} ({})",
            group.label,
            connections(group.connections),
            plain(&group.because)
        )?;
    }
    for pattern in &page.patterns {
        writeln!(
            out,
            "\n**{}** ({}, {}): {}\n",
            pattern.headline,
            pattern.name,
            pattern.sure,
            plain(&pattern.summary)
        )?;
        for (row, counts) in &pattern.contrast {
            writeln!(out, "- {}", contrast_line(row, *counts, pattern.columns))?;
        }
        for (text, frames) in &pattern.evidence {
            let frames: Vec<String> = frames.iter().map(|frame| plain(&frame.text)).collect();
            writeln!(out, "- frames {}: {}", frames.join(", "), plain(text))?;
        }
        if !pattern.remaining.is_empty() {
            writeln!(out, "\nOr: {}.", pattern.remaining.join("; or "))?;
        }
        writeln!(out, "\nWhat to do: {}.", pattern.advice)?;
    }
    for finding in &page.findings {
        writeln!(
            out,
            "\nSecurity: **{}** ({}, {}): {}\n\nWhat to do: {}.",
            finding.headline,
            finding.name,
            finding.weight,
            plain(&finding.summary),
            finding.advice
        )?;
    }
    if !page.keys.is_empty() {
        writeln!(
            out,
            "\n| ticket key | issued | accepted | declined |\n|---|---:|---:|---:|"
        )?;
        for key in &page.keys {
            writeln!(
                out,
                "| {} | {} | {} | {} |",
                key.name, key.issues, key.accepted, key.declined
            )?;
        }
    }
    Ok(())
}
