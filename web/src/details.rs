//! Rows of the table and one connection whole, as JSON for the page. Every text in it went through `wording::printable`.

use std::cmp::Ordering;

use reshake::model::Report;
use reshake::model::view::connection::ConnectionView;
use reshake::model::view::table::{Rows, Table};
use reshake::model::view::{ReasonView, Rung, Side, micros, outcome_place};
use serde_json::{Value, json};

/// Columns of the table of connections.
pub(crate) fn columns() -> Value {
    let columns = Table::Connections.columns().iter();
    columns
        .map(|column| json!({ "title": column.title, "right": column.right }))
        .collect()
}

/// Some rows: for each its place in the report, its outcome and its cells.
pub(crate) fn page(report: &Report<'_>, rows: &Rows, from: usize, count: usize) -> Value {
    let shown = (from..rows.len().min(from.saturating_add(count))).filter_map(|row| rows.get(row));
    let lines = shown.map(|item| {
        let cells = 0..Table::Connections.columns().len();
        let cells: Vec<String> = cells
            .map(|column| Table::Connections.cell(report, item, column))
            .collect();
        let outcome = report
            .at(item as usize)
            .map(|(_, _, connection)| outcome_place(connection.outcome));
        json!({ "place": item, "outcome": outcome, "cells": cells })
    });
    json!({ "total": rows.len(), "from": from, "rows": lines.collect::<Vec<_>>() })
}

/// The place of the connection with a number. Numbers grow with places.
pub(crate) fn place_of(report: &Report<'_>, number: usize) -> Option<usize> {
    let (mut low, mut high) = (0, report.len());
    while low < high {
        let middle = low.midpoint(high);
        match report.at(middle)?.0.cmp(&number) {
            Ordering::Less => low = middle + 1,
            Ordering::Equal => return Some(middle),
            Ordering::Greater => high = middle,
        }
    }
    None
}

/// One connection, by its place in the report.
pub(crate) fn connection(report: &Report<'_>, place: usize) -> Option<Value> {
    let view = ConnectionView::at(report, place)?;
    let place_of = |id| report.place_of(id);
    let (before, after) = view.neighbours;
    Some(json!({
        "place": place,
        "number": view.number,
        "id": view.name,
        "title": view.title,
        "outcome": outcome_place(view.outcome),
        "outcomeText": view.outcome_text,
        "facts": view.facts,
        "reasons": view.reasons.iter().map(reason).collect::<Vec<_>>(),
        "ladder": view.ladder.iter().map(rung).collect::<Vec<_>>(),
        "filters": view.filters,
        "issuer": view.issuer.and_then(place_of),
        "before": before.and_then(place_of),
        "after": after.and_then(place_of),
    }))
}

fn reason(view: &ReasonView) -> Value {
    let evidence = view
        .evidence
        .iter()
        .map(|(frame, text)| json!({ "frame": frame.text, "text": text }));
    json!({
        "name": view.name,
        "sure": view.sure,
        "summary": view.summary,
        "evidence": evidence.collect::<Vec<_>>(),
        "advice": view.advice,
        "spec": view.spec,
        "remaining": view.remaining,
    })
}

fn rung(rung: &Rung) -> Value {
    json!({
        "frame": rung.frame.text,
        "time": rung.offset.map(micros),
        "client": rung.from == Side::Client,
        "text": rung.text,
    })
}
