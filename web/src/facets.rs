//! What one can narrow a report by: outcomes, reasons and services with their counts, and the words of `--where`.

use reshake::model::select::KEYS;
use reshake::model::view::{OUTCOMES, overview};
use reshake::model::{Report, ServiceView};
use reshake::render::explain::CatalogueEntry;
use reshake::wording::{duration, printable};
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
    // QUIC and TCP of one name stand at the same address and port.
    format!("server:{}{name} transport:{}", view.server, view.transport.code())
}

/// Everything that can be explained, and the keys of selections.
pub(crate) fn catalogue() -> Value {
    let entries = CatalogueEntry::all().map(|entry| json!({ "name": entry.name(), "summary": entry.summary() }));
    let keys = KEYS.map(|(key, help)| json!({ "key": key, "help": help }));
    json!({ "entries": entries.collect::<Vec<_>>(), "keys": keys })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Cursor;
    use std::ops::ControlFlow;
    use std::path::Path;

    use reshake::capture::Stream;
    use reshake::run::Reading;
    use reshake_core::engine::Limits;

    use super::*;
    use crate::answers::Answers;

    /// Everything that stands in one capture of the fixtures.
    fn answers(folder: &Path) -> Option<Answers> {
        let path = folder.join("capture.pcapng");
        let bytes = fs::read(&path).ok()?;
        let stream = Stream {
            name: path.display().to_string(),
            size: Some(bytes.len() as u64),
            reader: Box::new(Cursor::new(bytes)),
        };
        let mut reading = Reading::of(vec![stream], Vec::new(), Limits::default());
        while reading.read_on(&mut |_| ControlFlow::Continue(())) {}
        Some(Answers::of(reading.finish()))
    }

    #[test]
    fn every_term_selects_as_many_as_it_counts() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/captures");
        let mut asked = 0;
        for entry in fs::read_dir(fixtures).expect("the fixtures") {
            let folder = entry.expect("an entry").path();
            let Some(mut answers) = answers(&folder) else { continue };
            let facets = of(answers.report());
            for facet in ["outcomes", "reasons", "services"].into_iter().flat_map(|kind| {
                let list = facets[kind].as_array().expect("a list");
                list.iter().filter(|facet| facet["count"] != 0)
            }) {
                let term = facet["term"].as_str().expect("a term");
                answers.select(term).expect("a selection");
                let found = answers.report().len();
                assert_eq!(json!(found), facet["count"], "{}: {term}", folder.display());
                asked += 1;
            }
        }
        assert!(asked > 500, "{asked} terms");
    }
}
