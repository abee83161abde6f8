//! What one can narrow a report by: outcomes, reasons and services with their counts, and the words of `--where`.

use reshake::model::select::KEYS;
use reshake::model::view::{OUTCOMES, overview};
use reshake::model::{Report, ServiceView};
use reshake::render::explain::CatalogueEntry;
use reshake::wording::{duration, printable};
use reshake_core::session::TransportKind;
use serde_json::{Value, json};

/// Values of `outcome:` in the order of [`OUTCOMES`].
const CODES: [&str; 6] = [
    "resumed",
    "declined",
    "not-offered",
    "failed",
    "unclear",
    "external-psk",
];
/// Services that are listed; the others are found by their names.
const MAX_SERVICES: usize = 200;

/// Counts of a report with the term that selects what was counted.
pub(crate) fn of(report: &Report<'_>) -> Value {
    let counts = report.summary.counts.outcomes.in_order();
    let outcomes = CODES
        .iter()
        .zip(OUTCOMES)
        .zip(counts)
        .map(|((code, label), count)| json!({ "label": label, "term": format!("outcome:{code}"), "count": count }));
    let reasons = report.summary.reasons.iter().map(|count| {
        json!({
            "label": count.reason.name,
            "term": format!("reason:{}", count.reason.name),
            "count": count.connections(),
            "summary": count.reason.summary,
        })
    });
    let services = overview::by_waste(report).into_iter().take(MAX_SERVICES);
    let services = services.filter_map(|index| report.services.get(index)).map(|view| {
        json!({
            "label": overview::service_title(view),
            "term": term(view),
            "count": view.counts.outcomes.total(),
        })
    });
    let span = match (report.first_time(), report.last_time()) {
        (Some(first), Some(last)) => duration(last.since(first)),
        _ => String::new(),
    };
    json!({
        "connections": report.len(),
        "span": span,
        "selection": report.selection(),
        "outcomes": outcomes.collect::<Vec<_>>(),
        "reasons": reasons.collect::<Vec<_>>(),
        "services": services.collect::<Vec<_>>(),
        "allServices": report.services.len(),
        "captures": report.captures.iter().map(|capture| printable(&capture.path, usize::MAX)).collect::<Vec<_>>(),
    })
}

/// Terms that select the connections of a service. A name that would not stand in a term is left out.
fn term(view: &ServiceView) -> String {
    let fits =
        |name: &str| !name.is_empty() && !name.contains(|letter: char| letter.is_whitespace() || ",*".contains(letter));
    let name = match view.server_name.as_deref() {
        Some(name) if fits(name) => format!(" name:{name}"),
        Some(_) => String::new(),
        None => " name:none".to_owned(),
    };
    let transport = match view.transport {
        TransportKind::Tcp => String::new(),
        other => format!(" transport:{}", other.code()),
    };
    format!("server:{}{name}{transport}", view.server)
}

/// Everything that can be explained, and the keys of selections.
pub(crate) fn catalogue() -> Value {
    let entries = CatalogueEntry::all().map(|entry| json!({ "name": entry.name(), "summary": entry.summary() }));
    let keys = KEYS.map(|(key, help)| json!({ "key": key, "help": help }));
    json!({ "entries": entries.collect::<Vec<_>>(), "keys": keys })
}
