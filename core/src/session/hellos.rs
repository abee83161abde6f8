//! What ClientHello and ServerHello say.

use std::sync::Arc;

use crate::net::At;
use crate::tls::cipher::Protection;
use crate::tls::{CipherSuite, ProtocolVersion};

#[cfg(feature = "serde")]
use {
    schemars::JsonSchema,
    serde::{Deserialize, Serialize},
};

/// The session_ticket extension of a ClientHello (RFC 5077 §3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum TicketExtension {
    /// Not there: the client wants no tickets.
    Absent,
    /// Empty: the client would take one.
    Empty,
    /// With a ticket.
    Offered,
}

/// psk_key_exchange_modes (RFC 8446 §4.2.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct PskModes {
    /// psk_ke.
    pub ke: bool,
    /// psk_dhe_ke.
    pub dhe_ke: bool,
}

/// The ClientHello; the second one after a HelloRetryRequest.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct ClientHelloFacts {
    /// Where and when.
    pub at: At,
    /// Random.
    #[cfg_attr(
        feature = "serde",
        serde(with = "crate::net::document::hex_bytes"),
        schemars(with = "String")
    )]
    pub random: [u8; 32],
    /// legacy_version.
    pub version: ProtocolVersion,
    /// TLS 1.3 is among the supported versions.
    pub offers_tls13: bool,
    /// SSLv2 format.
    pub v2_format: bool,
    /// First bytes of the session ID where there is one, be it a credential or not: enough to see that it comes again.
    pub session_id: Option<[u8; 4]>,
    /// The session_ticket extension.
    pub ticket: TicketExtension,
    /// pre_shared_key is there.
    pub pre_shared_key: bool,
    /// psk_key_exchange_modes, where present.
    pub psk_modes: Option<PskModes>,
    /// early_data is there (in the first ClientHello).
    pub early_data: bool,
    /// extended_master_secret is there.
    pub extended_master_secret: bool,
    /// encrypted_client_hello is there.
    pub encrypted_client_hello: bool,
    /// Server name.
    pub server_name: Option<Arc<str>>,
    /// The program that sent it.
    pub stack: Arc<ClientStack>,
    /// Hash of the hello's exact make-up.
    pub shape: u64,
}

/// What a hello tells of the program that sent it. The connections of a program share one.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct ClientStack {
    /// Hash of what stays the same from hello to hello.
    pub digest: u64,
    /// Suites as offered.
    pub suites: Box<[CipherSuite]>,
    /// What else tells one library from another.
    #[cfg_attr(feature = "serde", serde(default))]
    pub extensions: StackExtensions,
}

/// Extensions that some libraries put into every hello, and others into none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct StackExtensions {
    /// encrypt_then_mac (RFC 7366).
    pub encrypt_then_mac: bool,
    /// signed_certificate_timestamp (RFC 6962 §3.3.1).
    pub certificate_timestamps: bool,
    /// supported_versions (RFC 8446 §4.2.1).
    pub supported_versions: bool,
}

impl StackExtensions {
    /// Whether hellos of TLS 1.2 and older with these have a random session ID, every one of them, which is no offer. Go's
    /// crypto/tls fills the field so, to see by its echo that a ticket was accepted, and resumes by tickets alone. No other
    /// library is known that lists versions without TLS 1.3 and asks for certificate timestamps, and never for
    /// encrypt_then_mac.
    #[must_use]
    pub const fn fill_session_id(self) -> bool {
        self.supported_versions && self.certificate_timestamps && !self.encrypt_then_mac
    }
}

/// The ServerHello.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct ServerHelloFacts {
    /// Where and when.
    pub at: At,
    /// First bytes of the random: enough to find the same handshake on another leg.
    #[cfg_attr(
        feature = "serde",
        serde(with = "crate::net::document::hex_bytes"),
        schemars(with = "String")
    )]
    pub random: [u8; 8],
    /// Negotiated version.
    pub version: ProtocolVersion,
    /// Chosen suite.
    pub suite: CipherSuite,
    /// Length of the session ID, 0 when empty.
    pub session_id_length: u8,
    /// The session ID equals the client's (always so in TLS 1.3).
    pub session_id_echoed: bool,
    /// A NewSessionTicket is promised.
    pub ticket_promised: bool,
    /// extended_master_secret.
    pub extended_master_secret: bool,
    /// encrypt_then_mac.
    pub encrypt_then_mac: bool,
    /// Index of the accepted PSK.
    pub selected_psk: Option<u16>,
    /// key_share: with a PSK, forward secrecy.
    pub key_share: bool,
    /// ALPN. In TLS 1.3 it takes keys.
    pub alpn: Option<Arc<str>>,
    /// Hash of the hello's make-up.
    pub shape: u64,
}

impl ServerHelloFacts {
    /// How records are protected after the handshake.
    #[must_use]
    pub const fn protection(&self) -> Protection {
        Protection {
            version: self.version,
            suite: self.suite,
            encrypt_then_mac: self.encrypt_then_mac,
        }
    }
}

/// A HelloRetryRequest (RFC 8446 §4.1.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct HelloRetry {
    /// The first ClientHello.
    pub first_hello: At,
    /// The request.
    pub request: At,
}
