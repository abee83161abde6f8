//! Facts become an outcome, and an outcome gets its reasons. Pure functions over what `session` kept.
//!
//! The outcome is decided once, in [`outcome`], when a connection is over; [`judge()`] explains it with the catalogue of
//! [`rules`]. A rule sees one [`RuleContext`]: the connection, the credentials, and what the same client did before.

pub mod answer;
pub mod attempts;
mod behaviour;
pub mod confidence;
pub mod contest;
mod context;
mod credentials;
pub mod explanations;
mod history;
pub mod judge;
mod numbered;
pub mod outcome;
mod parties;
pub mod rules;
pub mod security;
pub mod service;
#[cfg(test)]
pub(crate) mod tests;
pub mod transfers;

pub use attempts::Shown;
pub use behaviour::{ClientBehaviour, Returns, ReturnsByKind, Unclean};
pub use context::{Asked, Gave, OfferAtHand, RuleContext, gave};
pub use credentials::{CredentialState, OfferOutcome, Resumable, state_of};
pub use history::History;
pub use judge::{Judged, judge};
pub use parties::{Parties, Party, Place};
pub use rules::{CATALOG, Citation, Reason, failure};
pub use service::{Endpoints, KeyNames, ServiceAnalyses};
pub use transfers::{Transfer, TransferSession, Transfers};

use std::borrow::Cow;

use crate::net::FrameRef;

/// How sure a reason is. Observed: the protocol says so in this capture. Inferred: one explanation is left. Possible:
/// others remain, and they are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// Others remain.
    Possible,
    /// One explanation is left.
    Inferred,
    /// The packets say so.
    Observed,
}

impl Confidence {
    /// Name in reports.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Possible => "possible",
            Self::Inferred => "inferred",
            Self::Observed => "observed",
        }
    }
}

/// A frame and what it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The frame.
    pub frame: FrameRef,
    /// What it shows, without a full stop.
    pub text: Cow<'static, str>,
}

impl Evidence {
    /// `frame` shows `text`.
    #[must_use]
    pub fn new(frame: FrameRef, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            frame,
            text: text.into(),
        }
    }
}

/// One rule's answer for one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleResult {
    /// The reason holds.
    Holds {
        /// How sure.
        confidence: Confidence,
        /// What shows it; the first entry is the strongest.
        evidence: (Evidence, Vec<Evidence>),
        /// One sentence about this connection, without a full stop.
        summary: Cow<'static, str>,
        /// The pattern that settled it with service analysis.
        settled_by: Option<&'static str>,
        /// Its place among the explanations of the service, best first; `None` where no contest was held.
        place: Option<usize>,
        /// What else would explain it, by name.
        beside: Vec<&'static str>,
        /// What would settle it.
        would_settle: Option<&'static str>,
    },
    /// Looked at, and it is not the reason.
    DoesNotHold,
    /// What the rule needs was not visible.
    CannotTell,
}

impl RuleResult {
    /// A finding that holds, on one or more frames. The signature keeps evidence from being empty.
    #[must_use]
    pub fn holds(
        confidence: Confidence,
        summary: impl Into<Cow<'static, str>>,
        first: Evidence,
        more: Vec<Evidence>,
    ) -> Self {
        Self::Holds {
            confidence,
            evidence: (first, more),
            summary: summary.into(),
            settled_by: None,
            place: None,
            beside: Vec::new(),
            would_settle: None,
        }
    }

    /// The same, with what else would explain it and what would tell.
    #[must_use]
    pub fn beside(mut self, others: Vec<&'static str>, settle: Option<&'static str>) -> Self {
        if let Self::Holds {
            beside, would_settle, ..
        } = &mut self
        {
            (*beside, *would_settle) = (others, settle);
        }
        self
    }

    /// The same, at this place among the explanations of its service.
    #[must_use]
    pub fn placed(mut self, at: usize) -> Self {
        if let Self::Holds { place, .. } = &mut self {
            *place = Some(at);
        }
        self
    }

    /// The same, as settled by a pattern that service analysis shows.
    #[must_use]
    pub fn settled_by(mut self, pattern: Option<&'static str>) -> Self {
        if let Self::Holds { settled_by, .. } = &mut self {
            *settled_by = pattern;
        }
        self
    }
}
