//! Connections as CSV (RFC 4180): the facts of the JSON report, one row each, for a spreadsheet.
//!
//! Spreadsheets take a cell that begins with `=`, `+`, `-` or `@` for a formula, and some split at semicolons and tabs
//! as well. Server names and all else that whoever sent the packets chose are text, and stay it.

use std::fmt::Display;
use std::io::{self, Write};

use super::{Causes, ConnectionJson, DocumentContext};
use crate::model::Report;
use crate::wording::printable;

/// Longest text of a cell.
const MAX_CELL: usize = 1_000;

/// A column: its heading and what stands in it.
type Column = (&'static str, fn(&ConnectionJson<'_>) -> Cell);

/// What stands in a cell.
enum Cell {
    /// Nothing: it was not there, or the column `not_visible` says why it was not seen.
    Nothing,
    /// A number.
    Number(String),
    /// Text.
    Text(String),
}

impl Cell {
    fn number(value: Option<impl Display>) -> Self {
        value.map_or(Self::Nothing, |value| Self::Number(value.to_string()))
    }

    fn text(value: Option<impl Into<String>>) -> Self {
        value.map_or(Self::Nothing, |value| Self::Text(value.into()))
    }

    fn words<T: AsRef<str>>(words: &[T]) -> Self {
        let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
        Self::text((!words.is_empty()).then(|| words.join(" ")))
    }

    fn causes(causes: &Causes) -> Self {
        let causes: Vec<String> = causes.iter().map(|(path, cause)| format!("{path}: {cause}")).collect();
        Self::text((!causes.is_empty()).then(|| causes.join(", ")))
    }
}

const COLUMNS: [Column; 38] = [
    ("number", |it| Cell::number(Some(it.number))),
    ("id", |it| Cell::text(Some(it.id.as_str()))),
    ("community_id", |it| Cell::text(Some(it.community_id.as_str()))),
    ("started", |it| Cell::text(Some(it.started.to_string()))),
    ("offset_seconds", |it| Cell::number(Some(it.offset_seconds))),
    ("capture", |it| Cell::number(Some(it.first.capture))),
    ("first_frame", |it| Cell::number(Some(it.first.frame))),
    ("last_frame", |it| Cell::number(Some(it.last.frame))),
    ("client_ip", |it| Cell::text(Some(it.client.ip.as_str()))),
    ("client_port", |it| Cell::number(Some(it.client.port))),
    ("server_ip", |it| Cell::text(Some(it.server.ip.as_str()))),
    ("server_port", |it| Cell::number(Some(it.server.port))),
    ("server_name", |it| Cell::text(it.server_name)),
    ("before_tls", |it| {
        Cell::text(it.preamble.as_ref().map(|before| before.kind))
    }),
    ("proxied_client", |it| {
        let client = it.preamble.as_ref().and_then(|before| before.client.as_ref());
        Cell::text(client.map(|client| client.ip.as_str()))
    }),
    ("encapsulation", |it| Cell::words(&it.encapsulation)),
    ("service", |it| Cell::text(Some(it.service.as_str()))),
    ("tls_version", |it| Cell::text(it.tls_version.as_deref())),
    ("cipher_suite", |it| Cell::text(it.cipher_suite.as_deref())),
    ("alpn", |it| Cell::text(it.alpn)),
    ("offered", |it| Cell::words(it.offered.as_deref().unwrap_or_default())),
    ("outcome", |it| Cell::text(Some(it.outcome))),
    ("resumed_by", |it| Cell::text(it.resumed_by)),
    ("early_data", |it| Cell::text(it.early_data)),
    ("reason", |it| Cell::text(it.reasons.first().map(|reason| reason.name))),
    ("confidence", |it| {
        Cell::text(it.reasons.first().map(|reason| reason.confidence))
    }),
    ("settled_by", |it| {
        Cell::text(it.reasons.first().and_then(|reason| reason.settled_by))
    }),
    ("summary", |it| {
        Cell::text(it.reasons.first().map(|reason| reason.summary.as_str()))
    }),
    ("backend", |it| Cell::text(it.backend.as_deref())),
    ("cache_domain", |it| Cell::text(it.cache_domain.as_deref())),
    ("close", |it| Cell::text(it.close.class)),
    ("credentials_offered", |it| Cell::words(&it.credentials_offered)),
    ("credential_accepted", |it| {
        Cell::text(it.credential_accepted.as_deref())
    }),
    ("credentials_issued", |it| Cell::words(&it.credentials_issued)),
    ("rtt_ms", |it| Cell::number(it.cost.rtt_ms)),
    ("handshake_ms", |it| Cell::number(it.cost.handshake_ms)),
    ("not_visible", |it| Cell::causes(&it.not_visible)),
    ("inferred", |it| Cell::causes(&it.inferred)),
];

/// Writes a row of headings, and a row for each connection of the report.
///
/// # Errors
/// Those of `out`.
pub fn write(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let context = DocumentContext::new(report);
    row(
        out,
        COLUMNS.iter().map(|(heading, _)| Cell::Text((*heading).to_owned())),
    )?;
    for (number, id, connection) in report.connections() {
        let connection = ConnectionJson::of(report, &context, number, id, connection);
        row(out, COLUMNS.iter().map(|(_, cell)| cell(&connection)))?;
    }
    Ok(())
}

fn row(out: &mut dyn Write, cells: impl Iterator<Item = Cell>) -> io::Result<()> {
    let mut line = String::new();
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            line.push(',');
        }
        match cell {
            Cell::Nothing => {}
            Cell::Number(digits) => line.push_str(&digits),
            Cell::Text(text) => push(&mut line, &text),
        }
    }
    line.push_str("\r\n");
    out.write_all(line.as_bytes())
}

/// Text in a cell: shown as it is, never calculated, quoted where it must be.
fn push(line: &mut String, text: &str) {
    let text = harmless(&printable(text, MAX_CELL));
    if text.contains([',', '"', ';', '\'']) {
        line.push('"');
        line.push_str(&text.replace('"', "\"\""));
        line.push('"');
    } else {
        line.push_str(&text);
    }
}

/// Puts an apostrophe, with which spreadsheets mark text, before all that could begin a formula. What a spreadsheet
/// splits at another character than the comma begins a cell too.
fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len() + 1);
    let mut begins = true;
    for letter in text.chars() {
        // Also in full width, which some take for the same.
        if begins && matches!(letter, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠') {
            shown.push('\'');
        }
        begins = matches!(letter, ';' | ',' | '|' | '"') || begins && letter == ' ';
        shown.push(letter);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(text: &str) -> String {
        let mut line = String::new();
        push(&mut line, text);
        line
    }

    #[test]
    fn no_text_becomes_a_formula() {
        for (text, expected) in [
            ("www.example.test", "www.example.test"),
            ("=cmd|' /C calc'!A0", "\"'=cmd|' /C calc'!A0\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            (" =1", "\" '=1\""),
            ("a;=1", "\"a;'=1\""),
            ("a\",=1", "\"a\"\",'=1\""),
            ("\t=1", "\\u{9}=1"),
            ("＝1", "\"'＝1\""),
            ("a=1-2", "a=1-2"),
        ] {
            assert_eq!(cell(text), expected, "{text}");
        }
    }

    #[test]
    fn quotes_and_line_ends_stay_inside_their_cell() {
        assert_eq!(cell("a \"b\", c"), "\"a \"\"b\"\", c\"");
        assert_eq!(cell("a\r\nb"), "a\\u{d}\\u{a}b");
    }
}
