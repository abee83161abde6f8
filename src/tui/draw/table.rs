//! A table: only the rows that are seen are made.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use crate::model::view::connection::ConnectionView;
use crate::model::view::table::{Column, RowKey, Table};
use crate::model::view::{counted, number, outcome_place};
use crate::wording::printable;

use super::super::content::{self, mark, tone};
use super::super::layout::{ShownColumn, TABLE_HEAD, columns, table_parts};
use super::super::page::Tone;
use super::super::state::{ScreenState, TableState};
use super::{Theme, fit, mark_line, put};

pub(super) fn table(state: &ScreenState, table: Table, theme: Theme, buffer: &mut Buffer) {
    let (area, under) = table_parts(table, state.size);
    let shown = state.table(table);
    filter(shown, theme, buffer, area);
    let columns = columns(table, area.width, shown.sort);
    headings(shown, &columns, buffer, area);
    let lines = area.height.saturating_sub(TABLE_HEAD);
    for line in 0..lines {
        let row = shown.top + usize::from(line);
        let Some(item) = shown.rows.get(row) else { break };
        let y = TABLE_HEAD + line;
        for column in &columns {
            cell(shown, item, *column, (theme, y), buffer, area);
        }
        if row == shown.selected {
            mark_line(buffer, area, y);
        }
    }
    if shown.rows.is_empty() && shown.asked.is_none() {
        let text = if shown.selection.is_some() {
            "nothing fits the filter: Esc drops it"
        } else {
            "there is nothing of this kind in the capture"
        };
        put(buffer, area, 1, TABLE_HEAD, text, Theme::faint());
    }
    if let Some(under) = under {
        told(shown, theme, buffer, under);
    }
}

/// What there is to say of the chosen connection, as far as there is room.
fn told(shown: &TableState, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let row = shown.rows.get(shown.selected);
    let Some(view) = row.and_then(|row| ConnectionView::at(&shown.report, row as usize)) else {
        return;
    };
    put(buffer, area, 0, 0, &"─".repeat(usize::from(area.width)), Theme::faint());
    let area = Rect {
        y: area.y + 1,
        height: area.height - 1,
        ..area
    };
    let page = content::connection_in_columns(&view, area.width);
    super::page::columns(&page, [0, 0], theme, buffer, area);
}

/// What is shown of how much, and in which order.
fn filter(shown: &TableState, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let all = match shown.table {
        Table::Connections => shown.report.len() as u64,
        Table::Credentials => shown.rows.len() as u64,
    };
    let found = shown.rows.len() as u64;
    let row = if shown.rows.is_empty() { 0 } else { shown.selected + 1 };
    let mut text = match (shown.table, found == all) {
        (Table::Connections, true) => counted(all, "connection", "connections"),
        (Table::Connections, false) => format!("{} of {}", number(found), counted(all, "connection", "connections")),
        (Table::Credentials, _) => counted(found, "credential", "credentials"),
    };
    text = format!("{} / {text}", number(row as u64));
    if let Some(selection) = &shown.selection {
        text.push_str("   filter: ");
        text.push_str(&printable(selection.text(), usize::from(area.width)));
    }
    let x = put(buffer, area, 0, 0, &text, theme.tone(Tone::Plain));
    if shown.asked.is_some() || shown.searching.is_some() {
        put(buffer, area, x + 2, 0, "looking …", theme.tone(Tone::Note));
    }
}

fn headings(shown: &TableState, columns: &[ShownColumn], buffer: &mut Buffer, area: Rect) {
    for place in columns {
        let Some(column) = shown.table.columns().get(place.column) else {
            continue;
        };
        let arrow = match shown.sort {
            Some(sort) if sort.column == place.column && sort.descending => "▼",
            Some(sort) if sort.column == place.column => "▲",
            _ => "",
        };
        let text = format!("{}{arrow}", column.title);
        let part = part(area, *place);
        put(
            buffer,
            part,
            aligned(column, &text, place.width),
            1,
            &text,
            Theme::name(),
        );
    }
}

fn cell(shown: &TableState, item: u32, place: ShownColumn, (theme, y): (Theme, u16), buffer: &mut Buffer, area: Rect) {
    let Some(column) = shown.table.columns().get(place.column) else {
        return;
    };
    let mut text = shown.table.cell(&shown.report, item, place.column);
    let mut style = theme.tone(Tone::Plain);
    match (shown.table, column.title) {
        (Table::Connections, "outcome") => {
            if let Some(outcome) = outcome(shown, item) {
                text = format!("{} {text}", mark(outcome));
                if text.width() > usize::from(place.width) {
                    // The first word is as clear as two of which the second is cut.
                    text.truncate(text.rfind(' ').unwrap_or(text.len()));
                }
                style = theme.tone(tone(outcome_place(outcome)));
            }
        }
        (Table::Credentials, "state") => style = theme.tone(state_tone(&text)),
        (_, "close" | "handshake" | "bytes" | "TLS" | "#") => style = Theme::faint(),
        _ => {}
    }
    let part = part(area, place);
    let text = fit(&text, usize::from(place.width));
    put(buffer, part, aligned(column, &text, place.width), y, &text, style);
}

fn outcome(shown: &TableState, item: u32) -> Option<crate::model::view::Outcome> {
    match shown.table.key(&shown.report, item)? {
        RowKey::Connection(_) => shown
            .report
            .at(item as usize)
            .map(|(.., connection)| connection.outcome),
        RowKey::Credential(_) => None,
    }
}

fn state_tone(state: &str) -> Tone {
    match state {
        "resumed" => Tone::Good,
        "rejected" | "accepted-then-rejected" | "not-resumable" => Tone::Bad,
        "unknown" | "must-not-be-resumed" => Tone::Note,
        _ => Tone::Plain,
    }
}

/// The part of an area that a column has for itself.
fn part(area: Rect, place: ShownColumn) -> Rect {
    Rect {
        x: area.x + place.x,
        width: place.width,
        ..area
    }
}

/// Where a text begins within its column.
fn aligned(column: &Column, text: &str, width: u16) -> u16 {
    let used = u16::try_from(text.width()).unwrap_or(u16::MAX);
    if column.right { width.saturating_sub(used) } else { 0 }
}
