//! What a decoder is told and what it tells: events, protected records, what is kept of them, what a gap costs.

use crate::tls::handshake::Message;
use crate::tls::names::{AlertDescription, ContentType, ProtocolVersion};

#[cfg(feature = "serde")]
use {
    schemars::JsonSchema,
    serde::{Deserialize, Serialize},
};

/// What the bytes of one direction turned out to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordEvent<'a> {
    /// A complete plaintext handshake message.
    Message(Message<'a>),
    /// A plaintext ChangeCipherSpec.
    ChangeCipherSpec,
    /// A plaintext alert.
    Alert {
        /// Level 2 (RFC 5246 §7.2); in TLS 1.3 the description decides.
        fatal: bool,
        /// Description.
        description: AlertDescription,
    },
    /// A complete protected record, or one whose content is not known.
    Protected(Sealed<'a>),
    /// Record boundaries are lost from here on until [`RecordEvent::Resynchronised`].
    Desynchronised,
    /// Record boundaries are known again.
    Resynchronised,
}

/// A protected record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed<'a> {
    /// Outer content type.
    pub content_type: ContentType,
    /// Version as it stands in the header.
    pub version: ProtocolVersion,
    /// Length of the body as the header states it.
    pub length: u16,
    /// What was kept of the body: its last bytes, or all of them (see [`Keep`]).
    pub body: &'a [u8],
}

impl Sealed<'_> {
    /// Whether the whole body is there.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.body.len() == self.length as usize
    }
}

/// What a protected record turned out to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Content {
    /// It was not opened.
    Closed,
    /// Application data.
    Data,
    /// An alert.
    Alert {
        /// Level 2 (RFC 5246 §7.2); in TLS 1.3 the description decides.
        fatal: bool,
        /// Description.
        description: AlertDescription,
    },
    /// Handshake messages, or parts of them.
    Handshake,
    /// Something else.
    Other,
}

/// What is kept of the bodies of protected records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Nothing.
    Nothing,
    /// All but application data.
    AllButData,
    /// The same, and the end of application data.
    EndsOfData,
    /// Bodies up to this length, and the end of longer ones.
    UpTo(u16),
}

/// Kept of the end of a body: the longest MAC and a block, or a tag and the byte before it.
const END: u16 = 64;

impl Keep {
    /// The offset in the body from which on it is kept, if it is.
    pub(super) fn from(self, content_type: ContentType, length: u16) -> Option<u16> {
        let data = content_type == ContentType::APPLICATION_DATA;
        match self {
            Self::Nothing => None,
            Self::AllButData => (!data).then_some(0),
            Self::EndsOfData if data => Some(length.saturating_sub(END)),
            Self::UpTo(longest) if length > longest => Some(length.saturating_sub(END)),
            Self::EndsOfData | Self::UpTo(_) => Some(0),
        }
    }
}

/// What a gap cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// Only bytes of a body that nobody reads.
    Nothing,
    /// Plaintext handshake bytes.
    Handshake,
    /// The record boundaries.
    Framing,
}

/// How the stream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With a record header.
    Record,
    /// With an SSLv2-format ClientHello (RFC 5246 E.2).
    V2Hello,
    /// Somewhere inside the stream.
    Middle,
}
