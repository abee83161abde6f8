//! The JSON report, version 1: structs of its own, written out by hand, streamed one object at a time.

mod connection;
mod cost;
mod credential;
mod datagram;
pub mod live;
mod schema;
mod service;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::ops::Range;

use schemars::JsonSchema;
use serde::Serialize;

use reshake_core::net::capture::{CaptureFormat, Compression, Ended};
use reshake_core::net::{At, Capture, Endpoint, FrameRef, Notice, Timestamp};
use reshake_core::session::{CloseClass, TransportKind};

use crate::model::{Outcomes, ReasonCount, Report, threads};
use connection::{ConnectionJson, DocumentContext};
use credential::CredentialJson;
use service::ServiceJson;

pub use connection::write_csv;
pub(crate) use connection::{EvidenceJson, FilterJson};
pub use schema::schema;
pub(crate) use schema::{close_objects, closed, identified};

/// Name of this document.
pub const SCHEMA: &str = "reshake-report/1";

/// Writes the report as one JSON document.
///
/// # Errors
/// Those of `out`.
pub fn write_document(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    document_head(report, out)?;
    out.write_all(b",\"connections\":")?;
    connections(report, &DocumentContext::new(report), out)?;
    out.write_all(b",\"credentials\":")?;
    let credentials = report.credentials();
    array(
        out,
        credentials.map(|(id, credential)| CredentialJson::of(report, id, credential)),
    )?;
    out.write_all(b"}\n")
}

/// Writes the report without its connections and credentials.
///
/// # Errors
/// Those of `out`.
pub fn write_summary(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    document_head(report, out)?;
    out.write_all(b"}\n")
}

/// The document up to its services; it is still open.
fn document_head(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"{\"schema\":")?;
    put(out, &SCHEMA)?;
    member(out, "generator", &Generator::THIS)?;
    if let Some(selection) = report.selection() {
        member(out, "selection", &selection)?;
    }
    if report.engine.is_redacted() {
        member(out, "redacted", &true)?;
    }
    out.write_all(b",\"captures\":")?;
    array(out, report.captures.iter().map(CaptureJson::of))?;
    member(out, "summary", &SummaryJson::of(report))?;
    out.write_all(b",\"services\":")?;
    array(out, report.services.iter().map(|view| ServiceJson::of(report, view)))
}

/// Writes the report as JSON lines: the same objects, each with its `type`.
///
/// # Errors
/// Those of `out`.
pub fn write_lines(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let context = DocumentContext::new(report);
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
    services_and_summary(report, schema, out)
}

/// Writes the lines of captures, services and the summary alone.
///
/// # Errors
/// Those of `out`.
pub fn write_summary_lines(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut schema = Some(SCHEMA);
    for capture in &report.captures {
        line(out, "capture", schema.take(), &CaptureJson::of(capture))?;
    }
    services_and_summary(report, schema, out)
}

/// What is said of services, and the summary at the end.
fn services_and_summary(report: &Report<'_>, mut schema: Option<&str>, out: &mut dyn Write) -> io::Result<()> {
    for view in &report.services {
        let service = ServiceJson::of(report, view);
        line(out, "service", schema.take(), &service)?;
        for pattern in service.patterns() {
            line(out, "pattern", None, &pattern)?;
        }
        for finding in service.findings() {
            line(out, "finding", None, &finding)?;
        }
    }
    let summary = SelectedSummary {
        selection: report.selection(),
        redacted: report.engine.is_redacted().then_some(true),
        summary: SummaryJson::of(report),
    };
    line(out, "summary", schema.take(), &summary)
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
    // One object at a time in memory: the serializer writes a few bytes at once, which a plain buffer takes best.
    let mut object = Vec::new();
    for (index, item) in items.enumerate() {
        object.clear();
        if index > 0 {
            object.push(b',');
        }
        serde_json::to_writer(&mut object, &item).map_err(io::Error::from)?;
        out.write_all(&object)?;
    }
    out.write_all(b"]")
}

/// Connections that one thread writes before it takes the next ones.
const PIECE: usize = 128;
/// Pieces for each thread that wait to be written, at most: what a report holds in memory.
const PIECES: usize = 8;

/// The connections as an array. By several threads they are made at once, and written in their order.
fn connections(report: &Report<'_>, context: &DocumentContext, out: &mut dyn Write) -> io::Result<()> {
    let of = |places: &Range<usize>| -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        for (number, id, connection) in places.clone().filter_map(|place| report.at(place)) {
            if places.start > 0 || !text.is_empty() {
                text.push(b',');
            }
            let object = ConnectionJson::of(report, context, number, id, connection);
            serde_json::to_writer(&mut text, &object).map_err(io::Error::from)?;
        }
        Ok(text)
    };
    out.write_all(b"[")?;
    for pieces in threads::cut(report.len(), PIECE).chunks(PIECES * report.threads().max(1)) {
        let (texts, ()) = threads::each_beside(report.threads(), pieces, of, || ());
        for text in texts {
            out.write_all(&text?)?;
        }
    }
    out.write_all(b"]")
}

#[derive(Serialize)]
struct DocumentLine<'a, T> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<&'a str>,
    #[serde(flatten)]
    value: &'a T,
}

fn line(out: &mut dyn Write, kind: &str, schema: Option<&str>, value: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(&DocumentLine { kind, schema, value }).map_err(io::Error::from)?;
    text.push(b'\n');
    out.write_all(&text)
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Generator<'a> {
    /// Name of the program.
    name: &'a str,
    /// Its version.
    version: &'a str,
}

impl Generator<'static> {
    pub(crate) const THIS: Self = Self {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
    };

    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) const fn version(&self) -> &'static str {
        self.version
    }
}

/// A moment in RFC 3339, UTC, always nine fractional digits.
#[derive(Clone, Copy)]
struct Time(Timestamp);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.9}", crate::model::moment(self.0))
    }
}

impl Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
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
pub(super) struct Frame {
    /// Index of the capture in captures.
    capture: u16,
    /// Number of the frame in its capture, as Wireshark counts.
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
pub(crate) struct End {
    /// Address.
    pub(crate) ip: String,
    /// Port.
    pub(crate) port: u16,
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
pub(crate) struct CaptureJson<'a> {
    /// Path as it was given; - is standard input.
    path: &'a str,
    /// pcap, pcap-ns, pcapng or live.
    format: &'a str,
    /// gzip or zstd; null when there is none.
    compression: Option<&'a str>,
    /// Packets read.
    packets: u64,
    /// Bytes of packets as captured.
    bytes: u64,
    /// Time of the first packet.
    first_time: Option<Time>,
    /// Time of the last packet.
    last_time: Option<Time>,
    /// Packets that the capturing machine lost; null when the file does not say.
    dropped: Option<u64>,
    /// end-of-file, truncated, corrupt or stopped.
    ended: &'a str,
    /// What was skipped or limits what can be said, counted by kind.
    notices: Vec<NoticeJson<'a>>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct NoticeJson<'a> {
    /// Name of the notice.
    code: &'a str,
    /// How often.
    count: u64,
    /// Its first frame.
    first: Option<Frame>,
    /// Link types, EtherTypes, protocols or ports that it is about, where it is about such.
    #[serde(skip_serializing_if = "Option::is_none")]
    numbers: Option<Vec<u16>>,
}

impl<'a> CaptureJson<'a> {
    pub(crate) fn of(capture: &'a Capture) -> Self {
        Self {
            path: &capture.path,
            format: match capture.format {
                CaptureFormat::Pcap => "pcap",
                CaptureFormat::PcapNanoseconds => "pcap-ns",
                CaptureFormat::Pcapng => "pcapng",
                CaptureFormat::Live => "live",
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
                    numbers: Some(capture.notices.numbers(notice).collect())
                        .filter(|numbers: &Vec<u16>| !numbers.is_empty()),
                })
                .collect(),
        }
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct OutcomesJson {
    /// The server accepted what was offered.
    resumed: u64,
    /// The server chose a full handshake.
    declined: u64,
    /// Nothing was offered.
    not_offered: u64,
    /// The handshake failed.
    failed: u64,
    /// The packets that decide are not visible.
    unclear: u64,
    /// A PSK was accepted that no ticket issued.
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
pub(super) struct MechanismsJson {
    /// Session ID.
    session_id: u64,
    /// Session ticket.
    ticket: u64,
    /// TLS 1.3 PSK.
    psk: u64,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct OffersJson {
    /// Made.
    made: u64,
    /// Accepted.
    accepted: u64,
    /// Declined.
    declined: u64,
    /// Failed.
    failed: u64,
    /// The answer is not visible.
    unclear: u64,
    /// Of those declined: the server took an external PSK of the same hello.
    passed_over: u64,
}

impl From<crate::model::Offers> for OffersJson {
    fn from(offers: crate::model::Offers) -> Self {
        Self {
            made: offers.made,
            accepted: offers.accepted,
            declined: offers.declined,
            failed: offers.failed,
            passed_over: offers.passed_over,
            unclear: offers.unclear,
        }
    }
}

#[derive(Serialize, JsonSchema)]
pub(super) struct ConfidencesJson {
    /// Read off the packets.
    observed: u64,
    /// Concluded from the packets.
    inferred: u64,
    /// Not excluded.
    possible: u64,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct ReasonCountJson {
    /// Name, as explain knows it.
    name: &'static str,
    /// Connections.
    connections: u64,
    /// How sure: observed, inferred or possible.
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
pub(crate) struct SummaryJson {
    /// TLS connections.
    connections: u64,
    /// TCP connections without TLS.
    other_connections: u64,
    /// Connections that were only counted, at the memory limit.
    connections_omitted: u64,
    /// Connections by outcome; every outcome is there, also with 0.
    outcomes: OutcomesJson,
    /// Resumed connections by mechanism.
    resumed_by: MechanismsJson,
    /// Offers by what became of them.
    offers: OffersJson,
    /// accepted / (accepted + declined + failed with an offer); null when none.
    resumption_rate: Option<f64>,
    /// resumed / (resumed + declined + not-offered); null when none.
    resumed_share: Option<f64>,
    /// resumed / decided handshakes of clients that came back; null when none.
    returning_share: Option<f64>,
    /// Primary reasons, most frequent first.
    reasons: Vec<ReasonCountJson>,
    /// Connections by close class.
    closes: BTreeMap<&'static str, u64>,
    /// Connections by what carries TLS.
    transports: BTreeMap<&'static str, u64>,
}

/// In JSON lines there is no document that could bear the selection, or that names are replaced.
#[derive(Serialize)]
struct SelectedSummary<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    selection: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redacted: Option<bool>,
    #[serde(flatten)]
    summary: SummaryJson,
}

impl SummaryJson {
    pub(crate) fn of(report: &Report<'_>) -> Self {
        let summary = &report.summary;
        let [session_id, ticket, psk] = summary.resumed_by;
        let reasons = summary.reasons.iter().map(Into::into).collect();
        Self {
            connections: summary.counts.outcomes.total(),
            other_connections: report.engine.other_connections(),
            connections_omitted: report.only_counted(),
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
            transports: TransportKind::ALL
                .into_iter()
                .map(|kind| (kind.code(), summary.transports.get(&kind).copied().unwrap_or(0)))
                .collect(),
        }
    }
}
