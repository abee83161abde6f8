//! A JSON report read back, as far as it is compared. Members that this version does not know are passed over, as the
//! report's contract wants it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use thiserror::Error;

use super::{DiffPart, DiffSide, ServiceKey, add_untold};
use crate::check::interval::Ratio;
use crate::model::alike;
use crate::render::json::SCHEMA;
use reshake_core::diagnosis::Reason;

/// Why something is no report.
#[derive(Debug, Error)]
pub enum ReadError {
    /// No JSON, or no document of this form.
    #[error("is not a JSON report: {0}")]
    Form(#[from] serde_json::Error),
    /// Another document.
    #[error("is a document '{0}'; a report of 'reshake analyze --format json' is needed ({SCHEMA})")]
    Schema(String),
    /// A report that was cut down to its summary.
    #[error("is a report without its connections: make it without --summary")]
    Summary,
}

#[derive(Deserialize)]
struct Schema {
    schema: Option<String>,
    connections: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct DocumentIn {
    selection: Option<String>,
    summary: SummaryIn,
    services: Vec<ServiceIn>,
    connections: Vec<ConnectionIn>,
}

#[derive(Deserialize)]
struct SummaryIn {
    outcomes: OutcomesIn,
    offers: OffersIn,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct OutcomesIn {
    resumed: u64,
    declined: u64,
    not_offered: u64,
    failed: u64,
    unclear: u64,
    external_psk: u64,
}

#[derive(Deserialize)]
struct OffersIn {
    accepted: u64,
    declined: u64,
    failed: u64,
}

#[derive(Deserialize)]
struct ServiceIn {
    id: String,
    server: EndIn,
    server_name: Option<String>,
    /// Reports of version 0.1 are all of TCP.
    #[serde(default = "tcp")]
    transport: String,
    outcomes: OutcomesIn,
    offers: OffersIn,
    patterns: Vec<StatedIn>,
    findings: Vec<StatedIn>,
}

#[derive(Deserialize)]
struct EndIn {
    ip: String,
    port: u16,
}

#[derive(Deserialize)]
struct StatedIn {
    name: String,
    confidence: String,
}

#[derive(Deserialize)]
struct ConnectionIn {
    service: String,
    outcome: String,
    offered: Option<Vec<String>>,
    reasons: Vec<NamedIn>,
}

impl ConnectionIn {
    /// As [`alike::is_no_return`].
    fn is_no_return(&self) -> bool {
        let known = self.reasons.first().and_then(|primary| Reason::by_name(&primary.name));
        let external = |offered: &Vec<String>| !offered.is_empty() && offered.iter().all(|kind| kind == "external-psk");
        known.is_some_and(alike::is_newcomer)
            || (self.outcome == "declined" && self.offered.as_ref().is_some_and(external))
    }
}

#[derive(Deserialize)]
struct NamedIn {
    name: String,
}

/// What only the connections of a report tell.
#[derive(Default)]
struct ReportTally {
    connections: u64,
    reasons: BTreeMap<String, u64>,
    newcomers: u64,
    not_offered: u64,
}

impl ReportTally {
    fn add(&mut self, connection: &ConnectionIn) {
        self.connections += 1;
        self.not_offered += u64::from(connection.outcome == "not-offered");
        if let Some(primary) = connection.reasons.first() {
            *self.reasons.entry(primary.name.clone()).or_default() += 1;
        }
        self.newcomers += u64::from(connection.is_no_return());
    }
}

/// One side of a comparison.
pub(super) fn side(path: &str, json: &[u8]) -> Result<DiffSide, ReadError> {
    let Schema { schema, connections } = serde_json::from_slice(json)?;
    match schema {
        Some(schema) if schema == SCHEMA => {}
        other => return Err(ReadError::Schema(other.unwrap_or_else(|| "of another kind".to_owned()))),
    }
    if connections.is_none() {
        return Err(ReadError::Summary);
    }
    let document: DocumentIn = serde_json::from_slice(json)?;
    let mut all = ReportTally::default();
    let mut by_service: BTreeMap<&str, ReportTally> = BTreeMap::new();
    for connection in &document.connections {
        all.add(connection);
        by_service.entry(&connection.service).or_default().add(connection);
    }
    let mut services: Vec<(ServiceKey, DiffPart)> = document
        .services
        .iter()
        .map(|service| {
            let tally = by_service.remove(service.id.as_str()).unwrap_or_default();
            let mut part = part(&service.outcomes, &service.offers, tally);
            part.patterns = stated(&service.patterns);
            part.findings = stated(&service.findings);
            let key = ServiceKey {
                ip: service.server.ip.clone(),
                port: service.server.port,
                name: service.server_name.clone(),
                transport: service.transport.clone(),
            };
            (key, part)
        })
        .collect();
    let summary = &document.summary;
    let all = part(&summary.outcomes, &summary.offers, all);
    add_untold(&all, &mut services);
    Ok(DiffSide {
        path: path.to_owned(),
        kind: "report",
        selection: document.selection,
        all: all.with_patterns(&services),
        services,
    })
}

fn stated(list: &[StatedIn]) -> BTreeMap<String, String> {
    let pair = |stated: &StatedIn| (stated.name.clone(), stated.confidence.clone());
    list.iter().map(pair).collect()
}

/// Counts are those of a document that anyone may have written: sums must not overflow.
fn part(outcomes: &OutcomesIn, offers: &OffersIn, tally: ReportTally) -> DiffPart {
    let sum = |counts: &[u64]| counts.iter().fold(0u64, |sum, count| sum.saturating_add(*count));
    // Connections that were only counted may all be first ones.
    let only_counted = outcomes.not_offered.saturating_sub(tally.not_offered);
    let newcomers = tally.newcomers.saturating_add(only_counted);
    let decided = sum(&[outcomes.resumed, outcomes.declined, outcomes.not_offered]);
    let ratio = |part: u64, whole: u64| Ratio {
        part: part.min(whole),
        whole,
    };
    let connections = sum(&[decided, outcomes.failed, outcomes.unclear, outcomes.external_psk]);
    DiffPart {
        connections,
        only_counted: connections.saturating_sub(tally.connections),
        resumption: ratio(offers.accepted, sum(&[offers.accepted, offers.declined, offers.failed])),
        returning: ratio(outcomes.resumed, decided.saturating_sub(newcomers)),
        reasons: tally.reasons,
        ..DiffPart::default()
    }
}

fn tcp() -> String {
    "tcp".to_owned()
}
