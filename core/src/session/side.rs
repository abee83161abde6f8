//! What one side of a connection did.

use std::num::NonZeroU32;

use crate::net::{At, FrameRef};
use crate::tcp::{FinCovers, Reset};
use crate::tls::AlertDescription;

use super::seen::Blindness;

#[cfg(feature = "serde")]
use {
    schemars::JsonSchema,
    serde::{Deserialize, Serialize},
};

/// Client or server of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Side {
    /// Who sent the ClientHello.
    Client,
    /// Who answers it.
    Server,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Client, Self::Server];

    /// The peer.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// What one side did on the connection.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct SideFacts {
    /// Whether any packet of it was captured.
    pub captured: bool,
    /// Bytes of the handshake that are missing.
    pub handshake_loss: Option<Blindness>,
    /// Bytes at the end of its stream that are missing.
    pub tail_loss: Option<Blindness>,
    /// Stream bytes up to the end of its Finished.
    pub handshake_bytes: Option<NonZeroU32>,
    /// The record that is, or must be, its Finished.
    pub finished: Option<At>,
    /// First protected application data after its Finished.
    pub application_data: Option<At>,
    /// Alert, in clear or read with keys: the first fatal one, else the first. Boxed because few connections have one.
    pub alert: Option<Box<PlainAlert>>,
    /// An alert-sized protected record before the handshake was over.
    pub handshake_alert: Option<FrameRef>,
    /// FIN.
    pub fin: Option<At>,
    /// What that FIN acknowledges of the other side, or a reset in place of one.
    pub fin_covers: FinCovers,
    /// Reset that the other side accepts.
    pub reset: Option<Reset>,
}

impl SideFacts {
    pub(crate) const fn new() -> Self {
        Self {
            captured: false,
            handshake_loss: None,
            tail_loss: None,
            handshake_bytes: None,
            finished: None,
            application_data: None,
            alert: None,
            handshake_alert: None,
            fin: None,
            fin_covers: FinCovers::Part,
            reset: None,
        }
    }

    /// Its fatal alert, as far as its content is known.
    #[must_use]
    pub fn fatal_alert(&self) -> Option<&PlainAlert> {
        self.alert.as_deref().filter(|alert| alert.fatal)
    }

    /// Whether it sent FIN, in the capture or not.
    #[must_use]
    pub const fn sent_fin(&self) -> bool {
        self.fin.is_some() || self.fin_is_lost()
    }

    /// Whether its FIN is not in the capture, and the other side acknowledged it.
    #[must_use]
    pub const fn fin_is_lost(&self) -> bool {
        self.fin.is_none() && matches!(self.fin_covers, FinCovers::Lost)
    }

    /// Whether it said that it would send nothing more: by FIN or by a reset.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.sent_fin() || self.reset.is_some()
    }

    /// When this side ended the connection, and where.
    #[must_use]
    pub fn ended(&self) -> Option<At> {
        match (self.fin, self.reset) {
            (Some(fin), _) => Some(fin),
            (None, reset) => reset.map(|reset| reset.at),
        }
    }
}

/// An alert whose content is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct PlainAlert {
    /// Where and when.
    pub at: At,
    /// Fatal by level, or by description in TLS 1.3.
    pub fatal: bool,
    /// Description.
    pub description: AlertDescription,
}
