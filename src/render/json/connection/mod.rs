//! One connection: facts, outcome, reasons, close and cost.

mod close;
mod csv;
mod ftp;

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Serialize;

use super::datagram::{DtlsJson, QuicJson};
use super::{End, Frame, Time};
use crate::model::{
    Report, TicketAge, community_id, connection_id, credential_id, service_id, service_of, ticket_ages,
};
use reshake_core::diagnosis::{Confidence, Evidence, Judged};
use reshake_core::net::{Timestamp, Wrapping};
use reshake_core::session::{
    ClientHelloFacts, CloseNotify, Connection, ConnectionId, CredentialId, EarlyData, KeyOrigin, OfferKind, Outcome,
    Side, TicketExtension,
};
use reshake_core::tls::CertificateOperation;

pub use csv::write as write_csv;

#[derive(Serialize, JsonSchema)]
pub(crate) struct EvidenceJson {
    /// Index of the capture in captures.
    capture: u16,
    /// Number of the frame in its capture, as Wireshark counts.
    frame: u64,
    /// In words.
    text: String,
}

impl From<Evidence> for EvidenceJson {
    fn from(evidence: Evidence) -> Self {
        Self {
            capture: evidence.frame.capture(),
            frame: evidence.frame.frame(),
            text: evidence.text.into_owned(),
        }
    }
}

#[derive(Serialize, JsonSchema)]
pub(super) struct ReasonJson {
    /// Name, as explain knows it.
    name: &'static str,
    /// How sure: observed, inferred or possible.
    confidence: &'static str,
    /// The pattern that settled it.
    settled_by: Option<&'static str>,
    /// One sentence about this connection.
    summary: String,
    /// What to do.
    advice: &'static str,
    /// Sections of the specifications that it rests on.
    spec: Vec<String>,
    /// Frames that show it.
    evidence: Vec<EvidenceJson>,
    /// Names of what else would explain the same.
    remaining: Vec<&'static str>,
    /// The cheapest step that would tell more.
    would_settle: Option<&'static str>,
}

impl From<Judged> for ReasonJson {
    fn from(judged: Judged) -> Self {
        Self {
            name: judged.reason.name,
            confidence: Confidence::code(judged.confidence),
            settled_by: judged.settled_by,
            summary: judged.summary.into_owned(),
            advice: judged.advice,
            spec: judged.reason.spec.iter().map(ToString::to_string).collect(),
            evidence: judged.evidence.into_iter().map(Into::into).collect(),
            remaining: judged.remaining,
            would_settle: judged.would_settle,
        }
    }
}

#[derive(Serialize, JsonSchema)]
pub(super) struct PreambleJson {
    /// What kind.
    kind: &'static str,
    /// The client.
    client: Option<End>,
}

/// A tunnel around the connection: its header, and the outer addresses on the client's and on the server's side. Of one that
/// bears copies for whoever captures (a mirror port, TZSP) these are who sends and who gets them, as the client's packets show.
#[derive(Serialize, JsonSchema)]
pub(super) struct TunnelJson {
    /// The outer header.
    header: String,
    /// The client.
    client: String,
    /// The server.
    server: String,
}

impl TunnelJson {
    fn of(wrapping: &Wrapping) -> Option<Self> {
        let [client, server] = wrapping.between?;
        Some(Self {
            header: wrapping.header.to_string(),
            client: client.to_string(),
            server: server.to_string(),
        })
    }
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct FilterJson {
    /// Index of the capture in captures.
    capture: u16,
    /// Display filter.
    filter: String,
}

impl FilterJson {
    /// The filters that select a connection's packets, one for each capture that has some.
    pub(crate) fn all(report: &Report<'_>, connection: &Connection) -> Vec<Self> {
        report
            .display_filter(connection)
            .map(|(capture, filter)| Self { capture, filter })
            .collect()
    }
}

#[derive(Serialize, JsonSchema)]
pub(super) struct SideCloseJson {
    /// observed or inferred; null when it was not sent.
    close_notify: Option<&'static str>,
    /// Its frame.
    close_notify_frame: Option<Frame>,
    /// Frame of the FIN.
    fin_frame: Option<Frame>,
    /// Frame of the RST.
    rst_frame: Option<Frame>,
    /// active or no-socket: what the RST says.
    rst_form: Option<&'static str>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct CloseJson {
    /// How it was closed (close class); null while that is not visible.
    class: Option<&'static str>,
    /// Who closed first: client or server.
    first_closer: Option<&'static str>,
    /// The client.
    client: SideCloseJson,
    /// The server.
    server: SideCloseJson,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct HandshakeBytesJson {
    /// Sent by the client.
    client: Option<NonZeroU32>,
    /// Sent by the server.
    server: Option<NonZeroU32>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct CostJson {
    /// Round trip of the TCP handshake.
    rtt_ms: Option<f64>,
    /// From the ClientHello to the last Finished; null, and not in not_visible, where the handshake came to no end.
    handshake_ms: Option<f64>,
    /// Round trips that a resumption would have saved.
    extra_round_trips: Option<u8>,
    /// What the server computed with the key of its certificate.
    certificate_operation: Option<&'static str>,
    /// Bytes of handshake messages by side.
    handshake_bytes: HandshakeBytesJson,
}

/// The age of an offered ticket: as the client states it, and as the capture shows it.
#[derive(Serialize, JsonSchema)]
pub(super) struct TicketAgeJson {
    /// Id of the ticket.
    credential: Option<String>,
    /// Age that the client states, in milliseconds.
    stated_ms: u32,
    /// Age that the capture shows.
    real_ms: i64,
    /// The stated age less the real one.
    difference_ms: i64,
}

impl TicketAgeJson {
    fn all(report: &Report<'_>, connection: &Connection) -> Option<Vec<Self>> {
        let ages: Vec<Self> = ticket_ages(connection, report.engine.credential_store())
            .map(|age| Self::of(report, &age))
            .collect();
        (!ages.is_empty()).then_some(ages)
    }

    fn of(report: &Report<'_>, age: &TicketAge) -> Self {
        Self {
            credential: report.engine.credential_store().get(age.credential).map(credential_id),
            stated_ms: age.stated,
            real_ms: age.real,
            difference_ms: age.difference(),
        }
    }
}

pub(super) type Causes = BTreeMap<&'static str, &'static str>;

#[derive(Serialize, JsonSchema)]
pub(super) struct ConnectionJson<'a> {
    /// Id, made of content: it does not move with options or order.
    id: String,
    /// Number in the order of first packets, from 1.
    number: usize,
    /// Community ID v1, as Zeek, Suricata and Arkime print it.
    community_id: String,
    /// tcp, quic or dtls.
    transport: &'static str,
    /// The client.
    client: End,
    /// The server.
    server: End,
    /// Headers around the packets, from the outside in.
    encapsulation: Vec<String>,
    /// Ends of the tunnels around the packets.
    tunnels: Vec<TunnelJson>,
    /// What was spoken before TLS: PROXY header, STARTTLS, CONNECT.
    preamble: Option<PreambleJson>,
    /// Null unless it is a data connection of FTP.
    ftp: Option<ftp::TransferJson>,
    /// Id of its service.
    service: String,
    /// Label of the machine that answered; null where nothing tells machines apart.
    backend: Option<String>,
    /// Label of the cache that answered; null where nothing tells caches apart.
    cache_domain: Option<String>,
    /// Time of the first packet.
    started: Time,
    /// Seconds from the first packet of the input.
    offset_seconds: f64,
    /// By how much the clock of the server's packets was ahead of that of the client's, where the SYN exchange shows two.
    #[serde(skip_serializing_if = "Option::is_none")]
    server_clock_ahead_ms: Option<f64>,
    /// The first frame.
    first: Frame,
    /// The last frame.
    last: Frame,
    /// Display filters that select exactly its packets, one for each capture.
    wireshark: Vec<FilterJson>,
    /// Version as negotiated.
    tls_version: Option<String>,
    /// Server name that the client asked for (SNI).
    server_name: Option<&'a str>,
    /// Name of the cipher suite, as IANA has it.
    cipher_suite: Option<String>,
    /// Protocol that ALPN chose.
    alpn: Option<&'a str>,
    /// Whether the server sent a HelloRetryRequest.
    hello_retry_request: Option<bool>,
    /// Null where it is not visible whether anything was offered.
    offered: Option<Vec<&'static str>>,
    /// resumed, declined, not-offered, failed, unclear or external-psk.
    outcome: &'static str,
    /// session-id, ticket or psk; null unless it resumed.
    resumed_by: Option<&'static str>,
    /// accepted or rejected; null when none was offered.
    early_data: Option<&'static str>,
    /// Ids of credentials offered on it.
    credentials_offered: Vec<String>,
    /// Id of the credential that the server accepted.
    credential_accepted: Option<String>,
    /// Ids of credentials issued on this connection.
    credentials_issued: Vec<String>,
    /// Of the tickets offered whose issue was read with keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket_ages: Option<Vec<TicketAgeJson>>,
    /// Why it did not resume, the primary reason first; empty for a plain resumption.
    reasons: Vec<ReasonJson>,
    /// How the connection was closed.
    close: CloseJson,
    /// What the handshake cost.
    cost: CostJson,
    /// Null unless QUIC.
    quic: Option<QuicJson>,
    /// Null unless DTLS.
    dtls: Option<DtlsJson>,
    /// Paths of values that the packets do not show, each with why.
    not_visible: Causes,
    /// Paths of values that are concluded, not read, each with why.
    inferred: Causes,
}

/// What all connections share.
pub(super) struct DocumentContext {
    first: Option<Timestamp>,
}

impl DocumentContext {
    pub(super) fn new(report: &Report<'_>) -> Self {
        Self {
            first: report.first_time(),
        }
    }
}

impl<'a> ConnectionJson<'a> {
    pub(super) fn of(
        report: &'a Report<'_>,
        context: &DocumentContext,
        number: usize,
        id: ConnectionId,
        connection: &'a Connection,
    ) -> Self {
        let mut not_visible = Causes::new();
        let mut inferred = Causes::new();
        let answer = connection.answer.yes();
        let transport = &connection.transport;
        let backend = report.analyses.backend(id);
        let cache_domain = report.analyses.domain(id);
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
        if connection.is_tls13() && !connection.extensions_read {
            not_visible.insert("alpn", "encrypted");
        }
        if let Some(cause) = connection.issues_hidden() {
            not_visible.insert("credentials_issued", cause.code());
        }
        if let Some(cause) = connection.hello.blind() {
            not_visible.insert("server_name", cause.code());
        }
        if let Some(cause) = connection.offers_hidden() {
            for field in ["offered", "credentials_offered"] {
                not_visible.insert(field, cause.code());
            }
        }
        if let Some(cause) = connection.preamble_hidden() {
            not_visible.insert("preamble", cause.code());
        }
        let started = transport.started;
        let early_data = early_data(connection.early_data, &mut not_visible, &mut inferred);
        let close = close::told(connection, &mut not_visible, &mut inferred);
        if connection.keys == Some(KeyOrigin::Embedded) {
            read_with_embedded_keys(connection, &mut inferred);
        }
        Self {
            id: connection_id(connection),
            number,
            community_id: community_id(transport.kind(), connection.client, connection.server),
            transport: transport.kind().code(),
            client: connection.client.into(),
            server: connection.server.into(),
            encapsulation: transport.outer().iter().map(|one| one.header.to_string()).collect(),
            tunnels: transport.outer().iter().filter_map(TunnelJson::of).collect(),
            preamble: transport.preamble().map(|preamble| PreambleJson {
                kind: preamble.kind,
                client: preamble.client.map(Into::into),
            }),
            ftp: ftp::told(report, id, &mut not_visible, &mut inferred),
            service: service_id(&service_of(connection)),
            backend: backend.map(|number| format!("backend-{number}")),
            cache_domain: cache_domain.map(|number| format!("domain-{number}")),
            started: Time(started),
            offset_seconds: context.first.map_or(0.0, |first| seconds(started.since(first))),
            server_clock_ahead_ms: transport.server_clock_ahead().map(|ahead| {
                let how = "the SYN-ACK was sent between the SYN and what acknowledges it; the middle is taken";
                inferred.insert("server_clock_ahead_ms", how);
                milliseconds(ahead)
            }),
            first: transport.first().into(),
            last: transport.last().into(),
            wireshark: FilterJson::all(report, connection),
            tls_version: answer.map(|answer| answer.version.to_string()),
            server_name: connection.server_name().map(AsRef::as_ref),
            cipher_suite: answer.map(|answer| answer.suite.to_string()),
            alpn: answer.and_then(|answer| answer.alpn.as_deref()),
            hello_retry_request: retry(connection, &mut not_visible, &mut inferred),
            offered: offered(connection, &mut not_visible, &mut inferred),
            outcome: outcome(connection, &mut not_visible, &mut inferred),
            resumed_by: resumed_by(connection, &mut not_visible),
            early_data,
            credentials_offered: credential_ids(report, credentials_offered(connection)),
            credential_accepted: credential_ids(report, connection.accepted.into_iter()).pop(),
            credentials_issued: credential_ids(report, connection.issued.iter().copied()),
            ticket_ages: TicketAgeJson::all(report, connection),
            reasons: report.reasons(id, connection).into_iter().map(Into::into).collect(),
            close,
            cost: cost(connection, &mut not_visible),
            quic: QuicJson::of(connection, &mut not_visible, &mut inferred),
            dtls: DtlsJson::of(connection, &mut not_visible),
            not_visible,
            inferred,
        }
    }
}

#[allow(clippy::cast_precision_loss)] // spans of a capture fit a double to the nanosecond for a hundred days
pub(super) fn seconds(nanos: i64) -> f64 {
    nanos as f64 / 1e9
}

pub(super) fn milliseconds(nanos: i64) -> f64 {
    (seconds(nanos) * 1e6).round() / 1e3
}

fn credential_ids(report: &Report<'_>, ids: impl Iterator<Item = CredentialId>) -> Vec<String> {
    ids.filter_map(|id| report.engine.credential_store().get(id))
        .map(credential_id)
        .collect()
}

fn offered(connection: &Connection, not_visible: &mut Causes, inferred: &mut Causes) -> Option<Vec<&'static str>> {
    let mut kinds = Vec::new();
    for offer in &connection.offers {
        let kind = match offer.kind {
            OfferKind::Resumption(mechanism) => mechanism.code(),
            OfferKind::ExternalPsk => {
                inferred.insert("offered", "ticket age 0 and the form of the identity: an external PSK");
                "external-psk"
            }
            OfferKind::UnclearPsk | OfferKind::UnclearSessionId => {
                if let Some(cause) = offer.kind.doubt() {
                    not_visible.insert("offered", cause.code());
                }
                continue;
            }
        };
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    let ignored = |hello: &ClientHelloFacts| {
        let by_id = hello.session_id.is_some() && !hello.v2_format && hello.ticket != TicketExtension::Offered;
        by_id && !hello.offers_tls13
    };
    if connection.offers.is_empty() && connection.hello.yes().is_some_and(ignored) {
        // Whether that was declined or nothing was offered is concluded with it.
        for field in ["offered", "outcome"] {
            inferred.insert(
                field,
                "the client ignores the session IDs that it is given and brings others",
            );
        }
    }
    if let (true, Some(cause)) = (connection.offers.is_empty(), connection.first_hello_hidden()) {
        for field in ["offered", "credentials_offered"] {
            not_visible.insert(field, cause.code());
        }
    }
    let hidden = kinds.is_empty() && not_visible.contains_key("offered");
    (!hidden).then_some(kinds)
}

/// Without session IDs that may be random values.
fn credentials_offered(connection: &Connection) -> impl Iterator<Item = CredentialId> {
    let offers = connection.offers.iter();
    let told = offers.filter(|offer| offer.kind != OfferKind::UnclearSessionId);
    told.map(|offer| offer.credential)
}

/// Whether there was a HelloRetryRequest.
fn retry(connection: &Connection, not_visible: &mut Causes, inferred: &mut Causes) -> Option<bool> {
    if let Some(cause) = connection.retry_hidden {
        not_visible.insert("hello_retry_request", cause.code());
        return None;
    }
    if connection.retry_is_concluded() {
        inferred.insert("hello_retry_request", "the client says hello a second time");
    }
    Some(connection.retry.is_some())
}

fn outcome(connection: &Connection, not_visible: &mut Causes, inferred: &mut Causes) -> &'static str {
    match connection.outcome {
        Outcome::Unclear(cause) => drop(not_visible.insert("outcome", cause.code())),
        Outcome::Resumed(_) | Outcome::Declined if connection.shape_concluded => {
            inferred.insert(
                "outcome",
                "session ID of the ServerHello, behind which the capture ends",
            );
        }
        _ => {}
    }
    connection.outcome.code()
}

fn resumed_by(connection: &Connection, not_visible: &mut Causes) -> Option<&'static str> {
    match connection.outcome {
        Outcome::Resumed(Some(mechanism)) => Some(mechanism.code()),
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
        // A handshake that broke: whether the server had accepted an offer shows in hello and answer.
        Outcome::Failed if connection.accepted.is_none() => {
            let answer = || connection.answer.blind().or(connection.shape.blind());
            let answer = (!connection.offers.is_empty()).then(answer).flatten();
            if let Some(cause) = connection.offers_hidden().or(answer) {
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
        EarlyData::Accepted {
            inferred: by_lengths, ..
        } => {
            if by_lengths {
                inferred.insert(
                    "early_data",
                    "record of the size of EndOfEarlyData before the client's Finished",
                );
            }
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

/// Secrets inside a capture vouch for nothing but themselves: who wrote the file wrote them, too. What only they show
/// is called inferred.
fn read_with_embedded_keys(connection: &Connection, inferred: &mut Causes) {
    const WHY: &str = "read with the secrets that the capture itself brings";
    let close = &connection.close;
    let observed = |notify: &CloseNotify| matches!(notify, CloseNotify::Observed(_));
    let tickets = connection.is_tls13() && !connection.issued.is_empty();
    let early_data = matches!(connection.early_data, EarlyData::Accepted { inferred: false, .. });
    for (path, read) in [
        ("alpn", connection.extensions_read),
        ("credentials_issued", tickets),
        ("early_data", early_data),
        ("close.class", observed(&close.client) || observed(&close.server)),
        ("close.client.close_notify", observed(&close.client)),
        ("close.server.close_notify", observed(&close.server)),
    ] {
        if read {
            inferred.insert(path, WHY);
        }
    }
}

fn cost(connection: &Connection, not_visible: &mut Causes) -> CostJson {
    let cost = crate::model::cost::of(connection);
    let [client_bytes, server_bytes] = Side::BOTH.map(|side| crate::model::cost::side_bytes(connection, side));
    let has_no_end = crate::model::cost::has_no_end(connection);
    for (path, missing) in [
        ("cost.handshake_ms", cost.handshake.is_none()),
        ("cost.extra_round_trips", cost.extra_round_trips.is_none()),
        ("cost.handshake_bytes.client", client_bytes.is_none()),
        ("cost.handshake_bytes.server", server_bytes.is_none()),
        (
            "cost.certificate_operation",
            connection.shape.yes().is_none() || connection.answer.yes().is_none(),
        ),
    ] {
        if missing && !has_no_end {
            not_visible.insert(path, cost.blind.code());
        }
    }
    if cost.rtt.is_none() {
        not_visible.insert("cost.rtt_ms", cost.blind.code());
    }
    CostJson {
        rtt_ms: cost.rtt.map(milliseconds),
        handshake_ms: cost.handshake.map(milliseconds),
        extra_round_trips: cost.extra_round_trips,
        certificate_operation: cost.operation.map(CertificateOperation::code),
        handshake_bytes: HandshakeBytesJson {
            client: client_bytes,
            server: server_bytes,
        },
    }
}
