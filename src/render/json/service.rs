//! One service: its counts, and what service analysis says of it.

use schemars::JsonSchema;
use serde::Serialize;

use super::connection::{EvidenceJson, seconds};
use super::cost::AvoidableByReasonJson;
use super::{End, OffersJson, OutcomesJson, Time};
use crate::model::{Counts, Report, ServiceView, TicketLedger, TransferCounts, service_id};
use reshake_core::diagnosis::security::SecurityFinding;
use reshake_core::diagnosis::service::{Exchange, KeyTimeline, Label, Pattern};
use reshake_core::net::hex;

#[derive(Serialize, JsonSchema)]
pub(super) struct ServiceJson<'a> {
    /// Id of the service.
    id: String,
    /// tcp, quic or dtls.
    transport: &'static str,
    /// The server.
    server: End,
    /// Server name that the client asked for (SNI).
    server_name: Option<&'a str>,
    /// What there is to say, in one sentence of at most 200 characters.
    answer: Option<String>,
    /// The one thing to do; null where nothing is wrong.
    action: Option<String>,
    /// Connections by outcome; every outcome is there, also with 0.
    outcomes: OutcomesJson,
    /// Offers by what became of them.
    offers: OffersJson,
    /// accepted / (accepted + declined + failed with an offer); null when none.
    resumption_rate: Option<f64>,
    /// resumed / (resumed + declined + not-offered); null when none.
    resumed_share: Option<f64>,
    /// resumed / decided handshakes of clients that came back; null when none.
    returning_share: Option<f64>,
    /// What the full handshakes of returning clients cost.
    avoidable: AvoidableByReasonJson,
    /// Outcomes over time; bars without a connection are left out.
    timeline: Vec<BarJson>,
    /// Machines behind the endpoint, by network marks; empty when nothing tells them apart.
    backends: Vec<LabelJson>,
    /// Who honours whose credentials.
    cache_domains: Vec<LabelJson>,
    /// By machine where these are told apart, else by cache domain.
    issued_and_offered: Vec<ExchangeJson>,
    /// Ticket keys by name.
    ticket_keys: Vec<TicketKeyJson>,
    /// What the handshakes of the service show together.
    patterns: Vec<PatternJson>,
    /// Security findings.
    findings: Vec<FindingJson>,
    /// What each client did with its TLS 1.3 tickets; only where keys let them be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket_ledgers: Option<Vec<TicketLedgerJson>>,
    /// Data connections of FTP control connections here, by what they resumed; only where there are some.
    #[serde(skip_serializing_if = "Option::is_none")]
    ftp_transfers: Option<FtpTransfersJson>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct FtpTransfersJson {
    /// Data connections that resumed the session of their control connection.
    control: u64,
    /// Those that resumed another one.
    other: u64,
    /// Those that resumed none.
    none: u64,
    /// Those of which that is not visible.
    not_visible: u64,
}

impl From<&TransferCounts> for FtpTransfersJson {
    fn from(counts: &TransferCounts) -> Self {
        Self {
            control: counts.control,
            other: counts.other,
            none: counts.none,
            not_visible: counts.not_visible,
        }
    }
}

#[derive(Serialize, JsonSchema)]
pub(super) struct BarJson {
    /// When it begins.
    start: Time,
    /// Length in seconds.
    seconds: i64,
    /// Connections by outcome; every outcome is there, also with 0.
    outcomes: OutcomesJson,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct TicketLedgerJson {
    /// The client.
    client: String,
    /// Where it was issued; null when that is not in the capture or not visible.
    issued: u64,
    /// Tickets offered at least once.
    spent: u64,
    /// Of those, tickets offered more than once.
    reused: u64,
    /// Tickets that a newer one replaced before they were offered.
    thrown_away: u64,
    /// Tickets that could still be offered.
    left: u64,
    /// Connections that came when none was left.
    exhausted: u64,
}

impl From<&TicketLedger> for TicketLedgerJson {
    fn from(credential_store: &TicketLedger) -> Self {
        Self {
            client: credential_store.client.to_string(),
            issued: credential_store.issued,
            spent: credential_store.spent,
            reused: credential_store.reused,
            thrown_away: credential_store.thrown_away,
            left: credential_store.left,
            exhausted: credential_store.exhausted,
        }
    }
}

/// A machine, or a session cache domain.
#[derive(Serialize, JsonSchema)]
pub(super) struct LabelJson {
    /// Its label.
    label: String,
    /// How many connections bear it.
    connections: u64,
    /// What tells it apart.
    because: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct TicketKeyJson {
    /// Name, as explain knows it.
    name: String,
    /// Length in bytes.
    length: u8,
    /// When it first issued a ticket.
    first_issued: Option<Time>,
    /// When it last issued one.
    last_issued: Option<Time>,
    /// Where it was issued; null when that is not in the capture or not visible.
    issued: u64,
    /// Accepted.
    accepted: u64,
    /// Declined.
    declined: u64,
    /// The longest lifetime that a ticket was issued with, in seconds.
    advertised_lifetime: Option<u32>,
    /// Seconds: the oldest ticket that was accepted.
    oldest_accepted: Option<f64>,
    /// Seconds: the youngest ticket that was declined.
    youngest_declined: Option<f64>,
}

/// Whose sessions were offered to whom, and what became of them.
#[derive(Serialize, JsonSchema)]
pub(super) struct ExchangeJson {
    /// Label of the machine or cache that issued the sessions.
    issuer: String,
    /// Label of the machine or cache that was offered them.
    acceptor: String,
    /// Resumed.
    resumed: u64,
    /// Declined.
    declined: u64,
}

impl From<&Exchange> for ExchangeJson {
    fn from(exchange: &Exchange) -> Self {
        Self {
            issuer: exchange.issuer.clone(),
            acceptor: exchange.acceptor.clone(),
            resumed: exchange.resumed,
            declined: exchange.declined,
        }
    }
}

#[derive(Serialize, JsonSchema)]
pub(super) struct PatternJson {
    /// Name, as explain knows it.
    name: &'static str,
    /// How sure: observed, inferred or possible.
    confidence: &'static str,
    /// One sentence about this service.
    summary: String,
    /// What to do.
    advice: &'static str,
    /// The cheapest step that would settle it.
    would_settle: Option<&'static str>,
    /// Frames that show it.
    evidence: Vec<EvidenceJson>,
    /// The counts that carry the claim; null where a proof does.
    contrast: Option<ContrastJson>,
    /// The pattern that this one follows from.
    follows_from: Option<&'static str>,
    /// Connections that it explains.
    explains: u64,
    /// Other patterns that would explain the same.
    remaining: Vec<&'static str>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct ContrastJson {
    /// Names of the rows.
    rows: Vec<&'static str>,
    /// Names of the columns.
    columns: Vec<&'static str>,
    /// Counts, by row and column.
    counts: Vec<Vec<u64>>,
    /// What is counted.
    unit: &'static str,
    /// The one-sided exact chance, after all corrections.
    p_value: f64,
    /// What the chance was multiplied by.
    tried: u64,
}

fn labels(labels: Option<&[Label]>) -> Vec<LabelJson> {
    let json = |label: &Label| LabelJson {
        label: label.label.clone(),
        connections: label.connections,
        because: label.because.clone(),
    };
    labels.unwrap_or_default().iter().map(json).collect()
}

fn ledgers(ledgers: &[TicketLedger]) -> Option<Vec<TicketLedgerJson>> {
    (!ledgers.is_empty()).then(|| ledgers.iter().map(Into::into).collect())
}

impl From<&KeyTimeline> for TicketKeyJson {
    fn from(timeline: &KeyTimeline) -> Self {
        let name = timeline.name.bytes();
        Self {
            name: hex(name),
            length: u8::try_from(name.len()).unwrap_or(u8::MAX),
            first_issued: timeline.issued.map(|(first, _)| Time(first)),
            last_issued: timeline.issued.map(|(_, last)| Time(last)),
            issued: timeline.issues,
            accepted: timeline.accepted,
            declined: timeline.declined,
            advertised_lifetime: timeline.advertised,
            oldest_accepted: timeline.oldest_accepted.map(seconds),
            youngest_declined: timeline.youngest_declined.map(seconds),
        }
    }
}

impl From<&Pattern> for PatternJson {
    fn from(pattern: &Pattern) -> Self {
        Self {
            name: pattern.name,
            confidence: pattern.confidence.code(),
            summary: pattern.summary.clone(),
            advice: pattern.advice,
            would_settle: pattern.would_settle,
            evidence: pattern.evidence.iter().cloned().map(Into::into).collect(),
            contrast: pattern.contrast.as_ref().map(|contrast| ContrastJson {
                rows: contrast.rows.to_vec(),
                columns: contrast.columns.to_vec(),
                counts: contrast.counts.iter().map(|row| row.to_vec()).collect(),
                unit: contrast.unit,
                p_value: contrast.p_value,
                tried: contrast.tried,
            }),
            follows_from: pattern.follows_from,
            explains: pattern.explains,
            remaining: pattern.remaining.clone(),
        }
    }
}

#[derive(Serialize, JsonSchema)]
pub(super) struct FindingJson {
    /// Name, as explain knows it.
    name: &'static str,
    /// high, warning or note.
    severity: &'static str,
    /// How sure: observed, inferred or possible.
    confidence: &'static str,
    /// One sentence about this service.
    summary: String,
    /// What to do.
    advice: &'static str,
    /// Frames that show it.
    evidence: Vec<EvidenceJson>,
}

impl From<&SecurityFinding> for FindingJson {
    fn from(found: &SecurityFinding) -> Self {
        Self {
            name: found.kind.name,
            severity: found.severity.code(),
            confidence: found.confidence.code(),
            summary: found.summary.clone(),
            advice: found.kind.advice,
            evidence: found.evidence.iter().cloned().map(Into::into).collect(),
        }
    }
}

/// A pattern or finding on a line of its own.
#[derive(Serialize)]
pub(super) struct ServiceLine<'s, T> {
    service: &'s str,
    #[serde(flatten)]
    value: &'s T,
}

impl<'a> ServiceJson<'a> {
    pub(super) fn patterns(&self) -> impl Iterator<Item = ServiceLine<'_, PatternJson>> {
        self.patterns.iter().map(|value| ServiceLine {
            service: &self.id,
            value,
        })
    }

    pub(super) fn findings(&self) -> impl Iterator<Item = ServiceLine<'_, FindingJson>> {
        self.findings.iter().map(|value| ServiceLine {
            service: &self.id,
            value,
        })
    }

    pub(super) fn of(report: &Report<'_>, view: &'a ServiceView) -> Self {
        let counts: &Counts = &view.counts;
        let seconds = report.bar_seconds;
        let service = view.service();
        let analysis = report.analyses.service(&service);
        let answer = report.answer(&service);
        Self {
            id: service_id(&service),
            transport: view.transport.code(),
            server: view.server.into(),
            server_name: view.server_name.as_deref(),
            answer: answer.as_ref().map(|answer| answer.sentence.clone()),
            action: answer.and_then(|answer| answer.action.clone()),
            outcomes: counts.outcomes.into(),
            offers: counts.offers.into(),
            resumption_rate: counts.resumption_rate(),
            resumed_share: counts.resumed_share(),
            returning_share: counts.returning_share(),
            avoidable: (&view.avoidable).into(),
            timeline: view
                .timeline
                .iter()
                .map(|(start, outcomes)| BarJson {
                    start: Time(*start),
                    seconds,
                    outcomes: (*outcomes).into(),
                })
                .collect(),
            backends: labels(analysis.map(|analysis| analysis.backends.as_slice())),
            cache_domains: labels(analysis.map(|analysis| analysis.domains.as_slice())),
            issued_and_offered: analysis
                .into_iter()
                .flat_map(|analysis| &analysis.exchanges)
                .map(ExchangeJson::from)
                .collect(),
            ticket_keys: analysis
                .into_iter()
                .flat_map(|analysis| &analysis.keys)
                .map(TicketKeyJson::from)
                .collect(),
            patterns: analysis
                .into_iter()
                .flat_map(|analysis| &analysis.patterns)
                .map(PatternJson::from)
                .collect(),
            findings: report
                .findings
                .service(&service)
                .iter()
                .map(FindingJson::from)
                .collect(),
            ticket_ledgers: ledgers(report.tickets(&service)),
            ftp_transfers: report.transfers(&service).map(Into::into),
        }
    }
}
