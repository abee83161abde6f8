//! What lies below TLS: packets, addresses, marks, and what stood before it.

use std::sync::Arc;

use crate::net::{At, Endpoint, FrameRef, MacAddress, SeqNumber, Timestamp, Wrapping};
use crate::tcp::{Spans, SynOptions};

use super::close::SideClose;
use super::credential::CredentialFingerprint;
use super::datagram::{DatagramFacts, DtlsFacts, QuicFacts};
use super::preamble::Preamble;
use super::side::Side;

#[cfg(feature = "serde")]
use {
    schemars::JsonSchema,
    serde::{Deserialize, Serialize},
};

/// The protocol that carries TLS. Sessions of one are of no use in another: services and credentials are told apart by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum TransportKind {
    /// TLS over TCP.
    #[default]
    Tcp,
    /// QUIC.
    Quic,
    /// DTLS.
    Dtls,
}

impl TransportKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Quic, Self::Dtls];

    /// Name in reports.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Quic => "quic",
            Self::Dtls => "dtls",
        }
    }
}

/// What carried the connection, and what stood before TLS.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct Transport {
    /// Which frames of which captures hold it.
    pub spans: Spans,
    /// Time of its first packet.
    pub started: Timestamp,
    /// Time of its last packet.
    pub ended: Timestamp,
    /// From SYN to the client's acknowledgement of the SYN-ACK, in nanoseconds; `None` where one is not captured.
    pub round_trip: Option<i64>,
    /// The client's initial sequence number.
    pub client_isn: Option<SeqNumber>,
    /// What few connections have.
    pub uncommon: Option<Box<RareFacts>>,
}

impl Transport {
    /// Of one packet.
    #[must_use]
    pub fn at(at: At) -> Self {
        Self {
            spans: Spans::new(at),
            started: at.time,
            ended: at.time,
            round_trip: None,
            client_isn: None,
            uncommon: None,
        }
    }

    /// Its first frame.
    #[must_use]
    pub fn first(&self) -> FrameRef {
        self.spans.main.0
    }

    /// Outer headers, outermost first.
    #[must_use]
    pub fn outer(&self) -> &[Wrapping] {
        let outer = self.uncommon.as_deref().and_then(|uncommon| uncommon.outer.as_deref());
        outer.unwrap_or_default()
    }

    /// What stood before TLS.
    #[must_use]
    pub fn preamble(&self) -> Option<&Preamble> {
        self.uncommon.as_deref()?.preamble.as_ref()
    }

    /// Nanoseconds by which the clock of the server's packets was ahead of that of the client's, where there are two.
    #[must_use]
    pub fn server_clock_ahead(&self) -> Option<i64> {
        self.uncommon.as_deref()?.server_clock_ahead
    }

    /// Whether an ICMP unreachable was seen for it.
    #[must_use]
    pub fn unreachable(&self) -> bool {
        self.uncommon.as_deref().is_some_and(|uncommon| uncommon.unreachable)
    }

    /// The server behind the address: see [`RareFacts::behind`].
    #[must_use]
    pub fn behind(&self) -> Option<Endpoint> {
        self.uncommon.as_deref()?.behind
    }

    /// Which protocol it is: what only QUIC or DTLS has tells.
    #[must_use]
    pub fn kind(&self) -> TransportKind {
        let uncommon = self.uncommon.as_deref();
        match uncommon.and_then(|uncommon| uncommon.datagram.as_deref()) {
            None => TransportKind::Tcp,
            Some(DatagramFacts::Quic(_)) => TransportKind::Quic,
            Some(DatagramFacts::Dtls(_)) => TransportKind::Dtls,
        }
    }

    /// What only QUIC has.
    #[must_use]
    pub fn quic(&self) -> Option<&QuicFacts> {
        match self.uncommon.as_deref()?.datagram.as_deref()? {
            DatagramFacts::Quic(facts) => Some(facts),
            DatagramFacts::Dtls(_) => None,
        }
    }

    /// What only DTLS has.
    #[must_use]
    pub fn dtls(&self) -> Option<&DtlsFacts> {
        match self.uncommon.as_deref()?.datagram.as_deref()? {
            DatagramFacts::Dtls(facts) => Some(facts),
            DatagramFacts::Quic(_) => None,
        }
    }

    /// Its last frame, in the capture that was joined last.
    #[must_use]
    pub fn last(&self) -> FrameRef {
        self.spans.iter().last().map_or(self.spans.main.1, |(_, last)| last)
    }
}

/// What few connections have of what carries them.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct RareFacts {
    /// Outer headers of the first packet that has any, the client's end of every tunnel first.
    pub outer: Option<Arc<[Wrapping]>>,
    /// What stood before TLS.
    pub preamble: Option<Preamble>,
    /// An ICMP unreachable was seen for it.
    pub unreachable: bool,
    /// The server behind the address, where the capture shows it: the far end of the other leg of the same handshake,
    /// or where the answers come from.
    pub behind: Option<Endpoint>,
    /// What only QUIC or DTLS has.
    pub datagram: Option<Box<DatagramFacts>>,
    /// Nanoseconds by which the clock that stamped the server's packets was ahead of that of the client's, where the SYN
    /// exchange shows two clocks.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub server_clock_ahead: Option<i64>,
    /// The first hello of a side stands behind lost bytes: what was said before TLS may have been among them.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "std::ops::Not::not"))]
    pub beginning_lost: bool,
}

impl RareFacts {
    /// Nothing where there is nothing.
    #[must_use]
    pub fn boxed(self) -> Option<Box<Self>> {
        let any = self.outer.is_some() || self.preamble.is_some() || self.unreachable || self.behind.is_some();
        let any = any || self.datagram.is_some() || self.server_clock_ahead.is_some() || self.beginning_lost;
        any.then(|| Box::new(self))
    }
}

/// Marks of the machine that answers, read off its packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct HostFingerprint {
    /// Source MAC address.
    pub mac: Option<MacAddress>,
    /// TTL of its SYN-ACK, or of its first packet.
    pub ttl: Option<u8>,
    /// Options of its SYN-ACK.
    pub syn_options: Option<SynOptions>,
    /// Order of the options in the client's SYN, hashed: what the SYN-ACK answers.
    pub asked: Option<u32>,
}

/// What joins a connection with what others saw of it.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct MergeHints {
    /// SYN was seen.
    pub begun: bool,
    /// What each side sent, client first: its lowest sequence number, and the one behind its highest.
    pub numbers: [Option<(SeqNumber, SeqNumber)>; 2],
    /// Whether all that each side sent last was read as TLS.
    pub read: [bool; 2],
    /// What the end of each side looks like.
    pub ends: [SideClose; 2],
    /// The session ID of the ClientHello.
    pub session_id: Option<CredentialFingerprint>,
}

impl MergeHints {
    /// Sequence numbers of one side.
    #[must_use]
    pub const fn of(&self, side: Side) -> Option<(SeqNumber, SeqNumber)> {
        let [client, server] = self.numbers;
        match side {
            Side::Client => client,
            Side::Server => server,
        }
    }
}
