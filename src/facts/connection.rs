//! One connection as a line of facts, and back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use reshake_core::net::{FrameRef, SeqNumber, hex};
use reshake_core::session::{
    Completed, Connection, HostFingerprint, Mechanism, MergeHints, Outcome, RareFacts, SideClose, Transport, preamble,
};
use reshake_core::store::{Interner, PartialConnection};
use reshake_core::tcp::Spans;

use super::datagram::{self, DtlsFact, QuicFact};
use super::handshake::{
    AnswerFact, CertificateFact, EarlyFact, HelloFact, IssueFact, NameFact, OfferFact, RetryFact, ShapeFact,
    TicketsFact, cause,
};
use super::side::{CloseFact, EdgeFact, SideFactsFact};
use super::value::{
    Base, EndFact, FrameFact, Hex, KeysFact, Moment, NotVisible, OuterFact, SynFact, TransportFact, Wrong, frame_back,
    get, mac_back, put,
};
use crate::model::{connection_id, service_id};

/// One connection. A member that is null was looked for and not there, unless `not_visible` names it and says why.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct ConnectionFact {
    #[serde(rename = "type")]
    kind: ConnectionKind,
    /// As in reports. Made of what follows; not read back.
    #[serde(default)]
    id: String,
    /// As in reports. Not read back.
    #[serde(default)]
    service: String,
    /// What happened as far as this run alone can tell; decided anew when facts are joined.
    #[serde(default)]
    outcome: String,
    /// Connections that share one of these can bear on each other's verdicts, and must be judged together.
    #[serde(default)]
    together: Vec<String>,
    /// Absent in facts of version 0.1, which are all of TCP.
    #[serde(default)]
    transport: TransportFact,
    client: EndFact,
    server: EndFact,
    started: Moment,
    ended: Moment,
    /// First and last frame in each capture, the one that saw it first in front.
    spans: Vec<SpanFact>,
    encapsulation: Vec<OuterFact>,
    preamble: Option<PreambleFact>,
    unreachable: bool,
    round_trip_nanos: Option<i64>,
    /// The client's initial sequence number.
    client_isn: Option<u32>,
    answered_from: Option<EndFact>,
    /// Null unless QUIC.
    #[serde(default)]
    quic: Option<QuicFact>,
    /// Null unless DTLS.
    #[serde(default)]
    dtls: Option<DtlsFact>,
    hello: Option<HelloFact>,
    retry: Option<RetryFact>,
    answer: Option<AnswerFact>,
    shape: Option<ShapeFact>,
    /// `shape` is concluded from the session ID of the last message of the capture.
    #[serde(default)]
    shape_concluded: bool,
    certificate: Option<CertificateFact>,
    certificate_request: Option<FrameFact>,
    ticket_withdrawn: Option<FrameFact>,
    keys: Option<KeysFact>,
    extensions_read: bool,
    tickets: TicketsFact,
    early_data: Option<EarlyFact>,
    offered: Vec<OfferFact>,
    /// Place in `offered`.
    accepted: Option<usize>,
    issued: Vec<IssueFact>,
    /// Credentials beyond those that are kept of a connection.
    #[serde(default)]
    not_kept: u32,
    renegotiations: u16,
    client_side: SideFactsFact,
    server_side: SideFactsFact,
    server_marks: MarksFact,
    /// Whether both Finished went through.
    completed: Option<bool>,
    close: CloseFact,
    /// SYN was seen.
    begun: bool,
    client_edge: EdgeFact,
    server_edge: EdgeFact,
    /// The session ID of the ClientHello, be it a credential or not.
    session_id: Option<NameFact>,
    not_visible: NotVisible,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum ConnectionKind {
    /// TLS was seen on it.
    Connection,
    /// No TLS was seen, but not all of it either: other facts may show that it is TLS.
    Other,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
struct SpanFact {
    capture: u16,
    first: u64,
    last: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct PreambleFact {
    kind: String,
    client: Option<EndFact>,
}

/// Marks of the machine that answers.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
struct MarksFact {
    mac: Option<Hex<6>>,
    ttl: Option<u8>,
    syn_options: Option<SynFact>,
    /// Hash of the options in the client's SYN.
    asked: Option<u32>,
}

impl ConnectionFact {
    pub(super) fn of(sighting: &PartialConnection, tls: bool) -> Self {
        let connection = &*sighting.connection;
        let transport = &connection.transport;
        let hidden = &mut NotVisible::new();
        let completed = match connection.completed {
            Completed::Yes => Some(true),
            Completed::No => Some(false),
            Completed::Blind(cause) => {
                hidden.insert("completed".into(), cause.into());
                None
            }
        };
        if let Some(cause) = connection.retry_hidden {
            hidden.insert("retry".into(), cause.into());
        }
        let nothing = SideClose::default();
        let edge = |side: usize| {
            let edges = connection.edges.as_deref();
            let end = edges.and_then(|edges| edges.ends.get(side)).unwrap_or(&nothing);
            let numbers = edges.and_then(|edges| *edges.numbers.get(side)?);
            let read = edges.and_then(|edges| edges.read.get(side)).copied();
            EdgeFact::of(numbers, read.unwrap_or(false), end)
        };
        Self {
            kind: if tls {
                ConnectionKind::Connection
            } else {
                ConnectionKind::Other
            },
            id: connection_id(connection),
            service: service_id(&crate::model::service_of(connection)),
            outcome: connection.outcome.code().to_owned(),
            together: together(sighting),
            transport: transport.kind().into(),
            client: connection.client.into(),
            server: connection.server.into(),
            started: Moment(transport.started),
            ended: Moment(transport.ended),
            spans: transport.spans.iter().map(SpanFact::of).collect(),
            encapsulation: transport.outer().iter().map(Into::into).collect(),
            preamble: transport.preamble().map(|preamble| PreambleFact {
                kind: preamble.kind.to_owned(),
                client: preamble.client.map(Into::into),
            }),
            unreachable: transport.unreachable(),
            round_trip_nanos: transport.round_trip,
            client_isn: transport.client_isn.map(|isn| isn.0),
            answered_from: transport.behind().map(Into::into),
            quic: transport.quic().map(Into::into),
            dtls: transport.dtls().map(Into::into),
            hello: put(&connection.hello, "hello", hidden, |hello| HelloFact::from(hello)),
            retry: connection.retry.as_deref().map(Into::into),
            answer: put(&connection.answer, "answer", hidden, |answer| AnswerFact::from(answer)),
            shape: put(&connection.shape, "shape", hidden, |shape| ShapeFact::from(shape)),
            shape_concluded: connection.shape_concluded,
            certificate: connection.certificate.map(|(sha256, frame)| CertificateFact {
                sha256: Hex(sha256),
                frame: frame.into(),
            }),
            certificate_request: connection.certificate_request.map(Into::into),
            ticket_withdrawn: connection.ticket_withdrawn.map(Into::into),
            keys: connection.keys.map(Into::into),
            extensions_read: connection.extensions_read,
            tickets: connection.tickets_inferred.into(),
            early_data: EarlyFact::of(connection.early_data, hidden),
            offered: sighting.offered.iter().map(Into::into).collect(),
            accepted: sighting.accepted,
            issued: sighting.issued.iter().map(Into::into).collect(),
            not_kept: connection.not_kept,
            renegotiations: connection.renegotiations,
            client_side: (&connection.client_side).into(),
            server_side: (&connection.server_side).into(),
            server_marks: (&connection.marks).into(),
            completed,
            close: CloseFact::of(&connection.close, hidden),
            begun: connection.edges.as_deref().is_some_and(|edges| edges.begun),
            client_edge: edge(0),
            server_edge: edge(1),
            session_id: connection
                .edges
                .as_deref()
                .and_then(|edges| edges.session_id.as_ref())
                .map(Into::into),
            not_visible: std::mem::take(hidden),
        }
    }

    /// Whether TLS was seen on it.
    pub(super) fn is_tls(&self) -> bool {
        self.kind == ConnectionKind::Connection
    }

    pub(super) fn back(&self, base: Base, interner: &mut Interner) -> Result<PartialConnection, Wrong> {
        let hidden = &self.not_visible;
        let hello = self
            .hello
            .as_ref()
            .map(|hello| hello.back(base, interner))
            .transpose()?;
        let answer = self.answer.as_ref().map(|answer| answer.back(base, interner));
        let shape = self.shape.map(|shape| shape.back(base)).transpose()?;
        let certificate = match self.certificate {
            Some(certificate) => Some((certificate.sha256.0, certificate.frame.back(base)?)),
            None => None,
        };
        let offered: Vec<_> = self.offered.iter().map(OfferFact::back).collect::<Result<_, _>>()?;
        let accepted = self.accepted;
        if accepted.is_some_and(|place| place >= offered.len()) {
            return Err(Wrong("accepted"));
        }
        let issued = self.issued.iter().map(|issued| issued.back(base, interner));
        Ok(PartialConnection {
            issued: issued.collect::<Result<_, _>>()?,
            offered,
            accepted,
            connection: Box::new(Connection {
                client: self.client.into(),
                server: self.server.into(),
                transport: self.transport(base, interner)?,
                hello: get(hello, "hello", hidden),
                retry: self.retry.map(|retry| retry.back(base)).transpose()?,
                retry_hidden: hidden.get("retry").map(|_| cause(hidden, "retry")).transpose()?,
                answer: get(answer.transpose()?, "answer", hidden),
                shape: get(shape, "shape", hidden),
                shape_concluded: self.shape_concluded,
                certificate,
                certificate_request: frame_back(self.certificate_request, base)?,
                ticket_withdrawn: frame_back(self.ticket_withdrawn, base)?,
                keys: self.keys.map(Into::into),
                extensions_read: self.extensions_read,
                tickets_inferred: self.tickets.into(),
                early_data: EarlyFact::back(self.early_data, hidden, base)?,
                offers: Vec::new(),
                accepted: None,
                issued: Vec::new(),
                not_kept: self.not_kept,
                renegotiations: self.renegotiations,
                client_side: self.client_side.back(base)?,
                server_side: self.server_side.back(base)?,
                marks: self.server_marks.into(),
                completed: match self.completed {
                    Some(true) => Completed::Yes,
                    Some(false) => Completed::No,
                    None => Completed::Blind(cause(hidden, "completed")?),
                },
                // Decided once all facts are together.
                outcome: Outcome::NotOffered,
                close: self.close.back(hidden, base)?,
                edges: Some(Box::new(self.edges(base)?)),
            }),
        })
    }

    fn transport(&self, base: Base, interner: &mut Interner) -> Result<Transport, Wrong> {
        let mut spans = self.spans.iter().map(|span| span.back(base));
        let main = spans.next().ok_or(Wrong("spans"))??;
        let more: Vec<_> = spans.collect::<Result<_, _>>()?;
        let outer: Vec<_> = self
            .encapsulation
            .iter()
            .map(OuterFact::back)
            .collect::<Result<_, _>>()?;
        if self.ended.0 < self.started.0 {
            return Err(Wrong("ended"));
        }
        let uncommon = RareFacts {
            outer: interner.outer(&outer),
            preamble: self.preamble.as_ref().map(|preamble| preamble::Preamble {
                kind: preamble::known(&preamble.kind),
                client: preamble.client.map(Into::into),
            }),
            unreachable: self.unreachable,
            behind: self.answered_from.map(Into::into),
            datagram: datagram::back(self.transport, self.quic.as_ref(), self.dtls.as_ref(), base)?,
        };
        Ok(Transport {
            spans: Spans {
                main,
                more: (!more.is_empty()).then(|| Box::new(more)),
            },
            started: self.started.0,
            ended: self.ended.0,
            round_trip: self.round_trip_nanos,
            client_isn: self.client_isn.map(SeqNumber),
            uncommon: uncommon.boxed(),
        })
    }

    fn edges(&self, base: Base) -> Result<MergeHints, Wrong> {
        let [client, server] = [self.client_edge, self.server_edge];
        Ok(MergeHints {
            begun: self.begun,
            numbers: [client.numbers(), server.numbers()],
            read: [client.read, server.read],
            ends: [client.end(base)?, server.end(base)?],
            session_id: self.session_id.as_ref().map(NameFact::back).transpose()?,
        })
    }
}

/// What ties a connection to others: its server's address, its credentials with the names of the keys that seal them, and
/// its handshake, which another leg of it shares.
fn together(sighting: &PartialConnection) -> Vec<String> {
    let connection = &sighting.connection;
    let mut ties = vec![format!("ip:{}", connection.server.ip)];
    match connection.hello.yes() {
        Some(hello) => ties.push(format!("hello:{}", hex(hello.random.get(..8).unwrap_or_default()))),
        // Without a hello it is guessed who is the server.
        None => ties.push(format!("ip:{}", connection.client.ip)),
    }
    let session_id = connection.edges.as_deref().and_then(|edges| edges.session_id.as_ref());
    let offered = sighting
        .offered
        .iter()
        .map(|offered| (offered.mechanism(), &offered.name));
    let issued = sighting.issued.iter().map(|issued| (issued.mechanism, &issued.name));
    let proposed = session_id.map(|name| (Mechanism::SessionId, name));
    for (mechanism, name) in offered.chain(issued).chain(proposed) {
        ties.push(format!("credential:{:032x}", name.key()));
        if mechanism != Mechanism::SessionId {
            ties.extend(name.head().first_chunk::<16>().map(|key| format!("key:{}", hex(key))));
        }
    }
    ties.sort_unstable();
    ties.dedup();
    ties
}

impl SpanFact {
    fn of((first, last): (FrameRef, FrameRef)) -> Self {
        Self {
            capture: first.capture(),
            first: first.frame(),
            last: last.frame(),
        }
    }

    fn back(self, base: Base) -> Result<(FrameRef, FrameRef), Wrong> {
        let frame = |frame| FrameFact::new(self.capture, frame).back(base);
        if self.last < self.first {
            return Err(Wrong("spans"));
        }
        Ok((frame(self.first)?, frame(self.last)?))
    }
}

impl From<&HostFingerprint> for MarksFact {
    fn from(marks: &HostFingerprint) -> Self {
        Self {
            mac: marks.mac.map(|mac| Hex(mac.0)),
            ttl: marks.ttl,
            syn_options: marks.syn_options.map(Into::into),
            asked: marks.asked,
        }
    }
}

impl From<MarksFact> for HostFingerprint {
    fn from(fact: MarksFact) -> Self {
        Self {
            mac: fact.mac.map(mac_back),
            ttl: fact.ttl,
            syn_options: fact.syn_options.map(Into::into),
            asked: fact.asked,
        }
    }
}
