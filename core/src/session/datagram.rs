//! What only connections over UDP have: facts of QUIC and of DTLS.

use crate::net::{At, Endpoint, FrameRef};

use super::side::Side;

#[cfg(feature = "serde")]
use {
    schemars::JsonSchema,
    serde::{Deserialize, Serialize},
};

/// Paths of one connection that are kept; nobody moves more often, and everybody could claim to.
pub const MAX_PATHS: usize = 16;

/// An address of the client from which packets of the connection came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct ClientPath {
    /// Address and port.
    pub client: Endpoint,
    /// The first packet from there.
    pub first: FrameRef,
}

/// What only one transport has.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum DatagramFacts {
    /// QUIC.
    Quic(QuicFacts),
    /// DTLS.
    Dtls(DtlsFacts),
}

/// What is told of a connection because it runs over QUIC (RFC 9000).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct QuicFacts {
    /// Version of the handshake that decided.
    pub version: u32,
    /// The server answered the first version with a Version Negotiation packet (RFC 9000 §6).
    pub version_negotiation: bool,
    /// The server sent a Retry that the client obeyed (RFC 9000 §8.1.2).
    pub retry: bool,
    /// A first Initial bore a token of an earlier connection (RFC 9000 §8.1.3).
    pub token: bool,
    /// That token may as well answer a Retry that was not seen: the Initial is not the client's first.
    pub token_or_retry: bool,
    /// Nothing shows that the server took the client's beginning: of its packets none was read, and the client was not seen to
    /// go on. It may have answered in another version, or with a Version Negotiation or Retry.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "std::ops::Not::not"))]
    pub unsettled: bool,
    /// The handshake goes on in another version than its hello was said in, and what changed it was not seen: the server's
    /// answer (RFC 9368 §2.3), or a Version Negotiation.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "std::ops::Not::not"))]
    pub version_changed_unseen: bool,
    /// The server's hello was not seen, and it may say that in another version than whatever else was seen of it (RFC 9368 §2.3).
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "std::ops::Not::not"))]
    pub version_open: bool,
    /// A Version Negotiation may have gone before what was seen: the client's first Initial was not.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "std::ops::Not::not"))]
    pub negotiation_unclear: bool,
    /// Packets with early data.
    pub zero_rtt_packets: u32,
    /// Addresses of the client: the first is where the connection began, others only where a connection ID links them.
    pub paths: Vec<ClientPath>,
    /// The server forgot the connection (RFC 9000 §10.3).
    pub stateless_reset: Option<StatelessReset>,
    /// The first CONNECTION_CLOSE that could be read; of an application its own, where that could be.
    pub close_frame: Option<CloseFrame>,
    /// The first packet of the server under the keys of the application: early data apart, that is when it can have sent
    /// tickets.
    pub server_application: Option<At>,
}

/// A datagram of the form that a server sends that knows nothing of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct StatelessReset {
    /// The datagram.
    pub at: At,
    /// How sure it is that it was one.
    pub certainty: ResetCertainty,
}

/// How a stateless reset was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum ResetCertainty {
    /// By size and order alone.
    Possible,
    /// Two of them end in the same 16 bytes.
    Repeated,
    /// Its token was promised, and read with keys.
    Token,
}

/// Number space of a packet (RFC 9000 §12.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum PacketSpace {
    /// Initial packets, which anyone can read.
    Initial,
    /// Handshake packets.
    Handshake,
    /// 1-RTT packets.
    OneRtt,
}

impl PacketSpace {
    /// Name in reports.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Handshake => "handshake",
            Self::OneRtt => "1-rtt",
        }
    }
}

/// A CONNECTION_CLOSE frame (RFC 9000 §19.19).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct CloseFrame {
    /// The packet.
    pub at: At,
    /// Who sent it.
    pub by: Side,
    /// Where.
    pub space: PacketSpace,
    /// Of the application (frame type 0x1d), else of QUIC itself.
    pub application: bool,
    /// Error code.
    pub code: u64,
}

impl CloseFrame {
    /// Codes of this range carry a TLS alert in their last byte (RFC 9001 §4.8).
    const CRYPTO_ERROR: u64 = 0x100;

    /// The TLS alert that it stands for.
    #[must_use]
    pub fn alert(&self) -> Option<u8> {
        let alert = self
            .code
            .checked_sub(Self::CRYPTO_ERROR)
            .filter(|_| !self.application)?;
        u8::try_from(alert).ok()
    }

    /// What an endpoint says of the close of its application before the handshake is confirmed: that, and nothing of why
    /// (RFC 9000 §10.2.3).
    const APPLICATION_ERROR: u64 = 0xc;

    /// Whether it stands for the frame of an application, which says more.
    #[must_use]
    pub fn stands_for_application(&self) -> bool {
        !self.application && self.code == Self::APPLICATION_ERROR && self.space != PacketSpace::OneRtt
    }

    /// Whether it is what an endpoint answers the close of the other with: NO_ERROR of QUIC (RFC 9000 §10.2.2). One that closes by
    /// itself may say that as well, though as a rule its application does, with a frame of its own.
    #[must_use]
    pub const fn may_answer(&self) -> bool {
        !self.application && self.code == 0
    }

    /// Whether it closes without naming an error: NO_ERROR of QUIC, or 0 or H3_NO_ERROR (RFC 9114 §8.1) of the
    /// application. Codes of an application mean what it likes; others than these are taken for its way to say why it
    /// is done, which is no failure of TLS either.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.application || self.code == 0 || self.stands_for_application()
    }
}

/// What is told of a connection because it runs over DTLS.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct DtlsFacts {
    /// How the server had the client prove its address.
    pub cookie: Option<Cookie>,
    /// Both sides agreed on connection IDs (RFC 9146).
    pub connection_id: bool,
    /// Datagrams that brought nothing but handshake messages that were there before.
    pub retransmissions: u32,
    /// Addresses of the client: the first is where the connection began, others only where a connection ID links them.
    pub paths: Vec<ClientPath>,
}

impl DtlsFacts {
    /// Whether a HelloVerifyRequest made the client say its hello again.
    pub(crate) fn is_verified(&self) -> bool {
        self.cookie == Some(Cookie::HelloVerify)
    }
}

/// Where a cookie came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Cookie {
    /// HelloVerifyRequest (RFC 6347 §4.2.1).
    HelloVerify,
    /// HelloRetryRequest (RFC 9147 §5.1).
    HelloRetry,
}

impl Cookie {
    /// Name in reports.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::HelloVerify => "hello-verify",
            Self::HelloRetry => "hello-retry",
        }
    }
}
