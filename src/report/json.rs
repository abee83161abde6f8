//! The JSON report, version 1: structs of its own, written out by hand, streamed one object at a time.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Serialize;

use crate::net::capture::{Compression, Ended, Format};
use crate::net::{At, Capture, Endpoint, FrameRef, Notice, Timestamp, hex};
use crate::session::{
    Close, CloseClass, CloseNotify, Connection, ConnectionId, Credential, CredentialId, EarlyData, Mechanism,
    OfferKind, Outcome, Seen, Side,
};
use crate::stream::ResetForm;
use crate::verdict::hindsight::{KeyTimeline, Label, Pattern};
use crate::verdict::{CATALOG, Confidence, Evidence, Judged, offer_outcome, state_of};

use super::{
    Counts, Outcomes, ReasonCount, Report, ServiceView, community_id, connection_id, credential_id, service_id,
    service_of,
};

/// Name of this document.
pub const SCHEMA: &str = "reshake-report/1";

/// Writes the report as one JSON document.
///
/// # Errors
/// Those of `out`.
pub fn write_document(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let context = Context::new(report);
    out.write_all(b"{\"schema\":")?;
    put(out, &SCHEMA)?;
    member(out, "generator", &Generator::THIS)?;
    if let Some(selection) = report.selection() {
        member(out, "selection", &selection)?;
    }
    out.write_all(b",\"captures\":")?;
    array(out, report.captures.iter().map(CaptureJson::of))?;
    member(out, "summary", &SummaryJson::of(report))?;
    out.write_all(b",\"services\":")?;
    array(out, report.services.iter().map(|view| ServiceJson::of(report, view)))?;
    out.write_all(b",\"connections\":")?;
    array(
        out,
        report
            .connections()
            .map(|(number, id, connection)| ConnectionJson::of(report, &context, number, id, connection)),
    )?;
    out.write_all(b",\"credentials\":")?;
    let credentials = report.credentials();
    array(
        out,
        credentials.map(|(id, credential)| CredentialJson::of(report, id, credential)),
    )?;
    out.write_all(b"}\n")
}

/// Writes the report as JSON lines: the same objects, each with its `type`.
///
/// # Errors
/// Those of `out`.
pub fn write_lines(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let context = Context::new(report);
    let mut schema = Some(SCHEMA);
    for capture in &report.captures {
        line(out, "capture", schema.take(), &CaptureJson::of(capture))?;
    }
    for (number, id, connection) in report.connections() {
        line(
            out,
            "connection",
            schema.take(),
            &ConnectionJson::of(report, &context, number, id, connection),
        )?;
    }
    for (id, credential) in report.credentials() {
        line(
            out,
            "credential",
            schema.take(),
            &CredentialJson::of(report, id, credential),
        )?;
    }
    for view in &report.services {
        line(out, "service", schema.take(), &ServiceJson::of(report, view))?;
    }
    let summary = SelectedSummary {
        selection: report.selection(),
        summary: SummaryJson::of(report),
    };
    line(out, "summary", schema.take(), &summary)
}

/// The JSON Schema of the document. Open to additions, or closed to anything it does not name.
#[must_use]
pub fn schema(strict: bool) -> serde_json::Value {
    let mut schema = schemars::schema_for!(DocumentJson<'static>).to_value();
    if strict {
        close_objects(&mut schema);
    }
    schema
}

fn close_objects(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(object) => {
            if object.contains_key("properties") && !object.contains_key("additionalProperties") {
                object.insert("additionalProperties".to_owned(), false.into());
            }
            object.values_mut().for_each(close_objects);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(close_objects),
        _ => {}
    }
}

fn put(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(out, value).map_err(io::Error::from)
}

fn member(out: &mut dyn Write, name: &str, value: &impl Serialize) -> io::Result<()> {
    write!(out, ",\"{name}\":")?;
    put(out, value)
}

fn array<T: Serialize>(out: &mut dyn Write, items: impl Iterator<Item = T>) -> io::Result<()> {
    out.write_all(b"[")?;
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.write_all(b",")?;
        }
        put(out, &item)?;
    }
    out.write_all(b"]")
}

#[derive(Serialize)]
struct Line<'a, T> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<&'a str>,
    #[serde(flatten)]
    value: &'a T,
}

fn line(out: &mut dyn Write, kind: &str, schema: Option<&str>, value: &impl Serialize) -> io::Result<()> {
    put(out, &Line { kind, schema, value })?;
    out.write_all(b"\n")
}

/// Whole document, for the schema alone: it is never built.
#[derive(Serialize, JsonSchema)]
#[allow(dead_code)]
struct DocumentJson<'a> {
    schema: &'a str,
    generator: Generator<'a>,
    /// The terms that selected what follows; absent when everything is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    selection: Option<&'a str>,
    captures: Vec<CaptureJson<'a>>,
    summary: SummaryJson,
    services: Vec<ServiceJson<'a>>,
    connections: Vec<ConnectionJson<'a>>,
    credentials: Vec<CredentialJson<'a>>,
}

#[derive(Serialize, JsonSchema)]
struct Generator<'a> {
    name: &'a str,
    version: &'a str,
}

impl Generator<'static> {
    const THIS: Self = Self {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
    };
}

/// A moment in RFC 3339, UTC, always nine fractional digits.
#[derive(Clone, Copy)]
struct Time(Timestamp);

impl Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:.9}", super::moment(self.0)))
    }
}

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^-?[0-9]{4,6}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{9}Z$"
        })
    }
}

#[derive(Clone, Copy, Serialize, JsonSchema)]
struct Frame {
    capture: u16,
    frame: u64,
}

impl From<FrameRef> for Frame {
    fn from(frame: FrameRef) -> Self {
        Self {
            capture: frame.capture(),
            frame: frame.frame(),
        }
    }
}

impl From<At> for Frame {
    fn from(at: At) -> Self {
        at.frame.into()
    }
}

#[derive(Serialize, JsonSchema)]
struct End {
    ip: String,
    port: u16,
}

impl From<Endpoint> for End {
    fn from(endpoint: Endpoint) -> Self {
        Self {
            ip: endpoint.ip.to_string(),
            port: endpoint.port,
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct CaptureJson<'a> {
    path: &'a str,
    format: &'a str,
    compression: Option<&'a str>,
    packets: u64,
    bytes: u64,
    first_time: Option<Time>,
    last_time: Option<Time>,
    dropped: Option<u64>,
    ended: &'a str,
    notices: Vec<NoticeJson<'a>>,
}

#[derive(Serialize, JsonSchema)]
struct NoticeJson<'a> {
    code: &'a str,
    count: u64,
    first: Option<Frame>,
}

impl<'a> CaptureJson<'a> {
    fn of(capture: &'a Capture) -> Self {
        Self {
            path: &capture.path,
            format: match capture.format {
                Format::Pcap => "pcap",
                Format::PcapNanoseconds => "pcap-ns",
                Format::Pcapng => "pcapng",
                Format::Live => "live",
            },
            compression: capture.compression.map(|compression| match compression {
                Compression::Gzip => "gzip",
                Compression::Zstd => "zstd",
            }),
            packets: capture.packets,
            bytes: capture.bytes,
            first_time: capture.first_time.map(Time),
            last_time: capture.last_time.map(Time),
            dropped: capture.dropped,
            ended: match capture.ended {
                Ended::EndOfFile => "end-of-file",
                Ended::Truncated => "truncated",
                Ended::Corrupt => "corrupt",
                Ended::Stopped => "stopped",
            },
            notices: capture
                .notices
                .iter()
                .map(|(notice, count, first)| NoticeJson {
                    code: Notice::code(notice),
                    count,
                    first: first.map(Into::into),
                })
                .collect(),
        }
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct OutcomesJson {
    resumed: u64,
    declined: u64,
    not_offered: u64,
    failed: u64,
    unclear: u64,
    external_psk: u64,
}

impl From<Outcomes> for OutcomesJson {
    fn from(counts: Outcomes) -> Self {
        Self {
            resumed: counts.resumed,
            declined: counts.declined,
            not_offered: counts.not_offered,
            failed: counts.failed,
            unclear: counts.unclear,
            external_psk: counts.external_psk,
        }
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct MechanismsJson {
    session_id: u64,
    ticket: u64,
    psk: u64,
}

#[derive(Serialize, JsonSchema)]
struct OffersJson {
    made: u64,
    accepted: u64,
    declined: u64,
    failed: u64,
    unclear: u64,
}

impl From<super::Offers> for OffersJson {
    fn from(offers: super::Offers) -> Self {
        Self {
            made: offers.made,
            accepted: offers.accepted,
            declined: offers.declined,
            failed: offers.failed,
            unclear: offers.unclear,
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct ConfidencesJson {
    observed: u64,
    inferred: u64,
    possible: u64,
}

#[derive(Serialize, JsonSchema)]
struct ReasonCountJson {
    name: &'static str,
    connections: u64,
    confidence: ConfidencesJson,
}

impl From<&ReasonCount> for ReasonCountJson {
    fn from(count: &ReasonCount) -> Self {
        let [observed, inferred, possible] = count.by_confidence;
        Self {
            name: count.reason.name,
            connections: count.connections(),
            confidence: ConfidencesJson {
                observed,
                inferred,
                possible,
            },
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct SummaryJson {
    connections: u64,
    other_connections: u64,
    connections_omitted: u64,
    outcomes: OutcomesJson,
    resumed_by: MechanismsJson,
    offers: OffersJson,
    resumption_rate: Option<f64>,
    resumed_share: Option<f64>,
    returning_share: Option<f64>,
    reasons: Vec<ReasonCountJson>,
    closes: BTreeMap<&'static str, u64>,
}

/// In JSON lines there is no document that could bear the selection.
#[derive(Serialize)]
struct SelectedSummary<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    selection: Option<&'a str>,
    #[serde(flatten)]
    summary: SummaryJson,
}

impl SummaryJson {
    fn of(report: &Report<'_>) -> Self {
        let summary = &report.summary;
        let [session_id, ticket, psk] = summary.resumed_by;
        let counted = |name: &'static str| summary.reasons.iter().find(|count| count.reason.name == name);
        let mut reasons: Vec<ReasonCountJson> = summary.reasons.iter().map(Into::into).collect();
        // Maps of counts hold every known name, zeros included.
        reasons.extend(
            CATALOG
                .iter()
                .filter(|reason| counted(reason.name).is_none())
                .map(|reason| ReasonCountJson {
                    name: reason.name,
                    connections: 0,
                    confidence: ConfidencesJson {
                        observed: 0,
                        inferred: 0,
                        possible: 0,
                    },
                }),
        );
        Self {
            connections: summary.counts.outcomes.total(),
            other_connections: report.engine.other_connections(),
            connections_omitted: report.engine.kept().omitted_total(),
            outcomes: summary.counts.outcomes.into(),
            resumed_by: MechanismsJson {
                session_id,
                ticket,
                psk,
            },
            offers: summary.counts.offers.into(),
            resumption_rate: summary.counts.resumption_rate(),
            resumed_share: summary.counts.resumed_share(),
            returning_share: summary.counts.returning_share(),
            reasons,
            closes: CloseClass::ALL
                .into_iter()
                .map(|class| (class.code(), summary.closes.get(&class).copied().unwrap_or(0)))
                .chain([("not-visible", summary.closes_not_visible)])
                .collect(),
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct ServiceJson<'a> {
    id: String,
    server: End,
    server_name: Option<&'a str>,
    outcomes: OutcomesJson,
    offers: OffersJson,
    resumption_rate: Option<f64>,
    resumed_share: Option<f64>,
    returning_share: Option<f64>,
    timeline: Vec<BarJson>,
    backends: Vec<LabelJson>,
    cache_domains: Vec<LabelJson>,
    ticket_keys: Vec<TicketKeyJson>,
    patterns: Vec<PatternJson>,
    findings: Vec<FindingJson>,
}

#[derive(Serialize, JsonSchema)]
struct BarJson {
    start: Time,
    seconds: i64,
    outcomes: OutcomesJson,
}

/// A machine, or a session cache domain.
#[derive(Serialize, JsonSchema)]
struct LabelJson {
    label: String,
    connections: u64,
    because: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct TicketKeyJson {
    name: String,
    length: u8,
    first_issued: Option<Time>,
    last_issued: Option<Time>,
    issued: u64,
    accepted: u64,
    declined: u64,
}

#[derive(Serialize, JsonSchema)]
struct PatternJson {
    name: &'static str,
    confidence: &'static str,
    summary: String,
    advice: &'static str,
    would_settle: Option<&'static str>,
    evidence: Vec<EvidenceJson>,
    contrast: Option<ContrastJson>,
}

#[derive(Serialize, JsonSchema)]
struct ContrastJson {
    rows: Vec<&'static str>,
    columns: Vec<&'static str>,
    counts: Vec<Vec<u64>>,
    p_value: f64,
}

fn labels(labels: Option<&[Label]>) -> Vec<LabelJson> {
    let json = |label: &Label| LabelJson {
        label: label.label.clone(),
        connections: label.connections,
        because: label.because.clone(),
    };
    labels.unwrap_or_default().iter().map(json).collect()
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
                columns: vec!["resumed", "declined"],
                counts: contrast.counts.iter().map(|row| row.to_vec()).collect(),
                p_value: contrast.p_value,
            }),
        }
    }
}

impl From<Evidence> for EvidenceJson {
    fn from(evidence: Evidence) -> Self {
        Self {
            capture: evidence.frame.capture(),
            frame: evidence.frame.frame(),
            text: evidence.text,
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct FindingJson {
    name: String,
    severity: &'static str,
    confidence: &'static str,
    summary: String,
    advice: String,
    evidence: Vec<EvidenceJson>,
}

impl<'a> ServiceJson<'a> {
    fn of(report: &Report<'_>, view: &'a ServiceView) -> Self {
        let counts: &Counts = &view.counts;
        let seconds = report.bar_seconds;
        let service = (view.server, view.server_name.clone());
        let insight = report.hindsight.service(&service);
        Self {
            id: service_id(&service),
            server: view.server.into(),
            server_name: view.server_name.as_deref(),
            outcomes: counts.outcomes.into(),
            offers: counts.offers.into(),
            resumption_rate: counts.resumption_rate(),
            resumed_share: counts.resumed_share(),
            returning_share: counts.returning_share(),
            timeline: view
                .timeline
                .iter()
                .map(|(start, outcomes)| BarJson {
                    start: Time(*start),
                    seconds,
                    outcomes: (*outcomes).into(),
                })
                .collect(),
            backends: labels(insight.map(|insight| insight.backends.as_slice())),
            cache_domains: labels(insight.map(|insight| insight.domains.as_slice())),
            ticket_keys: insight
                .into_iter()
                .flat_map(|insight| &insight.keys)
                .map(TicketKeyJson::from)
                .collect(),
            patterns: insight
                .into_iter()
                .flat_map(|insight| &insight.patterns)
                .map(PatternJson::from)
                .collect(),
            findings: Vec::new(),
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct EvidenceJson {
    capture: u16,
    frame: u64,
    text: String,
}

#[derive(Serialize, JsonSchema)]
struct ReasonJson {
    name: &'static str,
    confidence: &'static str,
    settled_by: Option<&'static str>,
    summary: String,
    advice: &'static str,
    spec: Vec<String>,
    evidence: Vec<EvidenceJson>,
    remaining: Vec<&'static str>,
}

impl From<Judged> for ReasonJson {
    fn from(judged: Judged) -> Self {
        Self {
            name: judged.reason.name,
            confidence: Confidence::code(judged.confidence),
            settled_by: judged.settled_by,
            summary: judged.summary,
            advice: judged.reason.advice,
            spec: judged.reason.spec.iter().map(ToString::to_string).collect(),
            evidence: judged.evidence.into_iter().map(Into::into).collect(),
            remaining: judged.remaining,
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct PreambleJson {
    kind: &'static str,
    client: Option<End>,
}

#[derive(Serialize, JsonSchema)]
struct FilterJson {
    capture: u16,
    filter: String,
}

#[derive(Serialize, JsonSchema)]
struct SideCloseJson {
    close_notify: Option<&'static str>,
    close_notify_frame: Option<Frame>,
    fin_frame: Option<Frame>,
    rst_frame: Option<Frame>,
    rst_form: Option<&'static str>,
}

#[derive(Serialize, JsonSchema)]
struct CloseJson {
    class: Option<&'static str>,
    first_closer: Option<&'static str>,
    client: SideCloseJson,
    server: SideCloseJson,
}

#[derive(Serialize, JsonSchema)]
struct HandshakeBytesJson {
    client: Option<NonZeroU32>,
    server: Option<NonZeroU32>,
}

#[derive(Serialize, JsonSchema)]
struct CostJson {
    rtt_ms: Option<f64>,
    handshake_ms: Option<f64>,
    extra_round_trips: Option<u8>,
    handshake_bytes: HandshakeBytesJson,
}

type Causes = BTreeMap<&'static str, &'static str>;

#[derive(Serialize, JsonSchema)]
struct ConnectionJson<'a> {
    id: String,
    number: usize,
    community_id: String,
    transport: &'static str,
    client: End,
    server: End,
    encapsulation: Vec<String>,
    preamble: Option<PreambleJson>,
    service: String,
    backend: Option<String>,
    cache_domain: Option<String>,
    started: Time,
    offset_seconds: f64,
    first: Frame,
    last: Frame,
    wireshark: Vec<FilterJson>,
    tls_version: Option<String>,
    server_name: Option<&'a str>,
    cipher_suite: Option<String>,
    alpn: Option<&'a str>,
    hello_retry_request: bool,
    offered: Vec<&'static str>,
    outcome: &'static str,
    resumed_by: Option<&'static str>,
    early_data: Option<&'static str>,
    credentials_offered: Vec<String>,
    credential_accepted: Option<String>,
    credentials_issued: Vec<String>,
    reasons: Vec<ReasonJson>,
    close: CloseJson,
    cost: CostJson,
    not_visible: Causes,
    inferred: Causes,
}

/// What all connections share.
struct Context {
    first: Option<Timestamp>,
}

impl Context {
    fn new(report: &Report<'_>) -> Self {
        Self {
            first: report.first_time(),
        }
    }
}

impl<'a> ConnectionJson<'a> {
    fn of(
        report: &'a Report<'_>,
        context: &Context,
        number: usize,
        id: ConnectionId,
        connection: &'a Connection,
    ) -> Self {
        let mut not_visible = Causes::new();
        let mut inferred = Causes::new();
        let answer = connection.answer.yes();
        let transport = &connection.transport;
        let backend = report.hindsight.backend(id);
        let cache_domain = report.hindsight.domain(id);
        for (field, missing) in [("backend", backend.is_none()), ("cache_domain", cache_domain.is_none())] {
            if missing {
                not_visible.insert(field, "nothing-tells-apart");
            } else {
                inferred.insert(field, "see `because` of the service");
            }
        }
        if let Some(cause) = connection.answer.blind() {
            for field in ["tls_version", "cipher_suite", "alpn"] {
                not_visible.insert(field, cause.code());
            }
        }
        if connection.is_tls13() {
            not_visible.insert("alpn", "encrypted");
            not_visible.insert("credentials_issued", "encrypted");
        }
        if let Some(cause) = connection.hello.blind() {
            for field in ["server_name", "offered", "credentials_offered"] {
                not_visible.insert(field, cause.code());
            }
        }
        let started = transport.started;
        Self {
            id: connection_id(connection),
            number,
            community_id: community_id(connection.client, connection.server),
            transport: "tcp",
            client: connection.client.into(),
            server: connection.server.into(),
            encapsulation: transport.outer.iter().map(ToString::to_string).collect(),
            preamble: transport.preamble.as_deref().map(|[client, server]| {
                let preamble = super::preamble::classify(client, server);
                PreambleJson {
                    kind: preamble.kind,
                    client: preamble.client.map(Into::into),
                }
            }),
            service: service_id(&service_of(connection)),
            backend: backend.map(|number| format!("backend-{number}")),
            cache_domain: cache_domain.map(|number| format!("domain-{number}")),
            started: Time(started),
            offset_seconds: context.first.map_or(0.0, |first| seconds(started.since(first))),
            first: transport.first().into(),
            last: transport.last().into(),
            wireshark: super::display_filter(connection)
                .map(|(capture, filter)| FilterJson { capture, filter })
                .collect(),
            tls_version: answer.map(|answer| answer.version.to_string()),
            server_name: connection.server_name().map(AsRef::as_ref),
            cipher_suite: answer.map(|answer| answer.suite.to_string()),
            alpn: answer.and_then(|answer| answer.alpn.as_deref()),
            hello_retry_request: connection.retry.is_some(),
            offered: offered(connection, &mut not_visible, &mut inferred),
            outcome: outcome(connection.outcome, &mut not_visible),
            resumed_by: resumed_by(connection, &mut not_visible),
            early_data: early_data(connection.early_data, &mut not_visible, &mut inferred),
            credentials_offered: credential_ids(report, connection.offers.iter().map(|offer| offer.credential)),
            credential_accepted: credential_ids(report, connection.accepted.into_iter()).pop(),
            credentials_issued: credential_ids(report, connection.issued.iter().copied()),
            reasons: report.reasons(id, connection).into_iter().map(Into::into).collect(),
            close: close(connection, &mut not_visible, &mut inferred),
            cost: cost(connection, &mut not_visible),
            not_visible,
            inferred,
        }
    }
}

#[allow(clippy::cast_precision_loss)] // spans of a capture fit a double to the nanosecond for a hundred days
fn seconds(nanos: i64) -> f64 {
    nanos as f64 / 1e9
}

fn milliseconds(nanos: i64) -> f64 {
    (seconds(nanos) * 1e6).round() / 1e3
}

fn credential_ids(report: &Report<'_>, ids: impl Iterator<Item = CredentialId>) -> Vec<String> {
    ids.filter_map(|id| report.engine.ledger().get(id))
        .map(credential_id)
        .collect()
}

/// Name of a mechanism in reports.
#[must_use]
pub const fn mechanism_code(mechanism: Mechanism) -> &'static str {
    match mechanism {
        Mechanism::SessionId => "session-id",
        Mechanism::Ticket => "ticket",
        Mechanism::Psk => "psk",
    }
}

/// Name of an outcome in reports.
#[must_use]
pub const fn outcome_code(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Resumed(_) => "resumed",
        Outcome::Declined => "declined",
        Outcome::NotOffered => "not-offered",
        Outcome::Failed => "failed",
        Outcome::ExternalPsk => "external-psk",
        Outcome::Unclear(_) => "unclear",
    }
}

fn offered(connection: &Connection, not_visible: &mut Causes, inferred: &mut Causes) -> Vec<&'static str> {
    let mut kinds = Vec::new();
    for offer in &connection.offers {
        let kind = match offer.kind {
            OfferKind::Resumption(mechanism) => mechanism_code(mechanism),
            OfferKind::ExternalPsk => {
                inferred.insert("offered", "ticket age 0 and the form of the identity: an external PSK");
                "external-psk"
            }
            OfferKind::UnclearPsk => {
                not_visible.insert("offered", "encrypted");
                continue;
            }
        };
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds
}

fn outcome(outcome: Outcome, not_visible: &mut Causes) -> &'static str {
    if let Outcome::Unclear(cause) = outcome {
        not_visible.insert("outcome", cause.code());
    }
    outcome_code(outcome)
}

fn resumed_by(connection: &Connection, not_visible: &mut Causes) -> Option<&'static str> {
    match connection.outcome {
        Outcome::Resumed(Some(mechanism)) => Some(mechanism_code(mechanism)),
        Outcome::Resumed(None) => {
            let cause = connection
                .hello
                .blind()
                .map_or("client-hello-missing", |cause| cause.code());
            not_visible.insert("resumed_by", cause);
            if connection.accepted.is_none() {
                not_visible.insert("credential_accepted", cause);
            }
            None
        }
        Outcome::Unclear(cause) => {
            not_visible.insert("resumed_by", cause.code());
            if connection.accepted.is_none() {
                not_visible.insert("credential_accepted", cause.code());
            }
            None
        }
        Outcome::Declined | Outcome::NotOffered | Outcome::Failed | Outcome::ExternalPsk => None,
    }
}

fn early_data(early_data: EarlyData, not_visible: &mut Causes, inferred: &mut Causes) -> Option<&'static str> {
    match early_data {
        EarlyData::NotOffered => None,
        EarlyData::Accepted(_) => {
            inferred.insert(
                "early_data",
                "record of the size of EndOfEarlyData before the client's Finished",
            );
            Some("accepted")
        }
        EarlyData::Rejected {
            inferred: by_lengths, ..
        } => {
            if by_lengths {
                inferred.insert(
                    "early_data",
                    "no record of the size of EndOfEarlyData before the client's Finished",
                );
            }
            Some("rejected")
        }
        EarlyData::Unclear(cause) => {
            not_visible.insert("early_data", cause.code());
            None
        }
    }
}

fn close(connection: &Connection, not_visible: &mut Causes, inferred: &mut Causes) -> CloseJson {
    let Close {
        class,
        first_closer,
        client,
        server,
    } = &connection.close;
    if let Seen::Blind(cause) = class {
        not_visible.insert("close.class", cause.code());
    }
    let [client, server] = [
        (Side::Client, client, "close.client.close_notify"),
        (Side::Server, server, "close.server.close_notify"),
    ]
    .map(|(side, notify, path)| {
        let facts = connection.side(side);
        let stated = match notify {
            CloseNotify::Observed(_) => Some("observed"),
            CloseNotify::Inferred(_) => {
                inferred.insert(
                    path,
                    "last record of this side, of the size of an alert, with the close right after it",
                );
                inferred.insert(
                    "close.class",
                    "from the close_notify of each side, as far as sizes tell",
                );
                Some("inferred")
            }
            CloseNotify::Absent => None,
            CloseNotify::AnswerToBareFin(_) => {
                not_visible.insert(path, "encrypted");
                None
            }
            CloseNotify::Blind(cause) => {
                not_visible.insert(path, cause.code());
                None
            }
        };
        SideCloseJson {
            close_notify: stated,
            close_notify_frame: notify.at().map(Into::into),
            fin_frame: facts.fin.map(Into::into),
            rst_frame: facts.reset.map(|reset| reset.at.into()),
            rst_form: facts.reset.map(|reset| match reset.form {
                ResetForm::Active => "active",
                ResetForm::NoSocket => "no-socket",
            }),
        }
    });
    CloseJson {
        class: class.yes().map(|class| class.code()),
        first_closer: first_closer.map(|side| match side {
            Side::Client => "client",
            Side::Server => "server",
        }),
        client,
        server,
    }
}

fn cost(connection: &Connection, not_visible: &mut Causes) -> CostJson {
    let cost = super::cost::of(connection);
    for (path, missing) in [
        ("cost.rtt_ms", cost.rtt.is_none()),
        ("cost.handshake_ms", cost.handshake.is_none()),
        ("cost.extra_round_trips", cost.extra_round_trips.is_none()),
    ] {
        if missing {
            not_visible.insert(path, cost.blind.code());
        }
    }
    CostJson {
        rtt_ms: cost.rtt.map(milliseconds),
        handshake_ms: cost.handshake.map(milliseconds),
        extra_round_trips: cost.extra_round_trips,
        handshake_bytes: HandshakeBytesJson {
            client: connection.client_side.handshake_bytes,
            server: connection.server_side.handshake_bytes,
        },
    }
}

#[derive(Serialize, JsonSchema)]
struct TicketJson {
    prefix: String,
    length: u32,
    sha256: String,
}

#[derive(Serialize, JsonSchema)]
struct IssuedJson {
    connection: Option<String>,
    capture: u16,
    frame: u64,
    time: Time,
}

#[derive(Serialize, JsonSchema)]
struct OfferJson {
    connection: String,
    outcome: &'static str,
}

#[derive(Serialize, JsonSchema)]
struct CredentialJson<'a> {
    id: String,
    mechanism: &'static str,
    session_id: Option<String>,
    ticket: Option<TicketJson>,
    issued: Option<IssuedJson>,
    issuer_candidates: Vec<String>,
    service: String,
    tls_version: Option<String>,
    server_name: Option<&'a str>,
    lifetime_seconds: Option<u32>,
    key_name: Option<String>,
    offers: Vec<OfferJson>,
    state: &'static str,
    resumable: &'static str,
    reasons: Vec<ReasonJson>,
    not_visible: Causes,
    inferred: Causes,
}

/// Bytes of a ticket that reports show.
const TICKET_PREFIX: usize = 16;

impl<'a> CredentialJson<'a> {
    fn of(report: &'a Report<'_>, id: CredentialId, credential: &'a Credential) -> Self {
        let kept = report.engine.kept();
        let mut not_visible = Causes::new();
        let tls13 = credential.mechanism == Mechanism::Psk;
        let first_offer = credential.offers.first().and_then(|offer| kept.get(*offer));
        if credential.issued.is_none() {
            not_visible.insert("issued", if tls13 { "encrypted" } else { "capture-started-late" });
            for field in ["tls_version", "server_name", "lifetime_seconds"] {
                not_visible.insert(field, if tls13 { "encrypted" } else { "capture-started-late" });
            }
        }
        let candidates = match (tls13 && credential.issued.is_none(), first_offer) {
            (true, Some(connection)) => report.issuer_candidates(connection),
            _ => Vec::new(),
        };
        let connection_ids = |ids: Vec<ConnectionId>| {
            ids.into_iter()
                .filter_map(|id| kept.get(id))
                .map(connection_id)
                .collect()
        };
        let (state, resumable) = state_of(id, credential, kept);
        if state == crate::verdict::State::Unknown {
            not_visible.insert("state", if tls13 { "encrypted" } else { "capture-started-late" });
        }
        let service_name = credential
            .server_name
            .clone()
            .or_else(|| first_offer.and_then(|offer| offer.server_name().cloned()));
        let is_session_id = credential.mechanism == Mechanism::SessionId;
        Self {
            id: credential_id(credential),
            mechanism: mechanism_code(credential.mechanism),
            session_id: is_session_id.then(|| hex(credential.name.head())),
            ticket: (!is_session_id).then(|| TicketJson {
                prefix: hex(credential
                    .name
                    .head()
                    .get(..TICKET_PREFIX)
                    .unwrap_or(credential.name.head())),
                length: credential.name.length,
                sha256: hex(&credential.name.sha256),
            }),
            issued: credential.issued.map(|issue| IssuedJson {
                connection: kept.get(issue.connection).map(connection_id),
                capture: issue.at.frame.capture(),
                frame: issue.at.frame.frame(),
                time: Time(issue.at.time),
            }),
            issuer_candidates: connection_ids(candidates),
            service: service_id(&(credential.server, service_name)),
            tls_version: credential.version.map(|version| version.to_string()),
            server_name: credential.server_name.as_deref(),
            lifetime_seconds: credential.lifetime,
            key_name: report.hindsight.key_name(id).map(|name| hex(name.bytes())),
            offers: credential
                .offers
                .iter()
                .filter_map(|offer| kept.get(*offer))
                .map(|connection| OfferJson {
                    connection: connection_id(connection),
                    outcome: outcome_code(offer_outcome(connection, id)),
                })
                .collect(),
            state: state.code(),
            resumable: resumable.code(),
            reasons: Vec::new(),
            not_visible,
            inferred: Causes::new(),
        }
    }
}
