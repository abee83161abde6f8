//! What a ClientHello offers to resume.

use super::credential::CredentialId;
use super::seen::Blindness;

#[cfg(feature = "serde")]
use {
    schemars::JsonSchema,
    serde::{Deserialize, Serialize},
};

/// How a session is named towards the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Mechanism {
    /// Session ID of TLS 1.2 and older (RFC 5246 §7.4.1.2).
    SessionId,
    /// Session ticket of TLS 1.2 and older (RFC 5077).
    Ticket,
    /// Resumption PSK of TLS 1.3 (RFC 8446 §2.2).
    Psk,
}

impl Mechanism {
    /// Name in reports.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::SessionId => "session-id",
            Self::Ticket => "ticket",
            Self::Psk => "psk",
        }
    }
}

/// What an offered credential is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum OfferKind {
    /// One that a server issued.
    Resumption(Mechanism),
    /// A PSK that was configured on both sides: inferred from its identity.
    ExternalPsk,
    /// A PSK that may be either.
    UnclearPsk,
    /// A session ID that nobody was seen to issue, in a hello of TLS 1.2 or older that was refused: a session from before
    /// the capture, or a random value that the client puts into every hello, as Go does.
    UnclearSessionId,
}

impl OfferKind {
    /// Why it cannot be told whether a session was offered, if it cannot.
    #[must_use]
    pub const fn doubt(self) -> Option<Blindness> {
        match self {
            Self::Resumption(_) | Self::ExternalPsk => None,
            Self::UnclearPsk => Some(Blindness::Encrypted),
            Self::UnclearSessionId => Some(Blindness::NothingTellsApart),
        }
    }

    /// What kind of credential it is.
    #[must_use]
    pub const fn mechanism(self) -> Mechanism {
        match self {
            Self::Resumption(mechanism) => mechanism,
            Self::ExternalPsk | Self::UnclearPsk => Mechanism::Psk,
            Self::UnclearSessionId => Mechanism::SessionId,
        }
    }
}

/// One credential in a ClientHello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// Which one.
    pub credential: CredentialId,
    /// What it is taken for.
    pub kind: OfferKind,
    /// Obfuscated ticket age in milliseconds (TLS 1.3), else 0.
    pub obfuscated_age: u32,
    /// Length of the binder in bytes (TLS 1.3), else 0.
    pub binder: u8,
}
