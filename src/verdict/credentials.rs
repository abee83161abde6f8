//! What became of a credential, at the end of the capture.

use crate::session::{
    CloseClass, Completed, Connection, Credential, CredentialId, Kept, Mechanism, Outcome, ProtocolVersion,
};

/// State of a credential; names as in the report contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Issued, and not offered by the end of the capture.
    NeverOffered,
    /// Accepted at its latest offer.
    Resumed,
    /// Offered, and a full handshake followed every time.
    Rejected,
    /// Accepted before, refused later.
    AcceptedThenRejected,
    /// By RFC 2246 §7.2.1 the session must not be resumed after an unclean close; servers differ.
    MustNotBeResumed,
    /// The handshake that issued it did not complete, or it was issued with lifetime 0 (TLS 1.3).
    NotResumable,
    /// Not visible.
    Unknown,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::NeverOffered,
        Self::Resumed,
        Self::Rejected,
        Self::AcceptedThenRejected,
        Self::MustNotBeResumed,
        Self::NotResumable,
        Self::Unknown,
    ];

    /// Name in reports.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NeverOffered => "never-offered",
            Self::Resumed => "resumed",
            Self::Rejected => "rejected",
            Self::AcceptedThenRejected => "accepted-then-rejected",
            Self::MustNotBeResumed => "must-not-be-resumed",
            Self::NotResumable => "not-resumable",
            Self::Unknown => "unknown",
        }
    }
}

/// Whether a credential could be used again after the capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resumable {
    /// Its latest offer was accepted.
    Yes,
    /// Nothing usable was issued.
    No,
    /// All else.
    Unknown,
}

impl Resumable {
    /// Name in reports.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Unknown => "unknown",
        }
    }
}

/// What one connection that offered a credential did with it.
#[must_use]
pub fn offer_outcome(connection: &Connection, credential: CredentialId) -> Outcome {
    match connection.outcome {
        // Another of the offered credentials was taken.
        Outcome::Resumed(_) | Outcome::ExternalPsk if connection.accepted.is_some_and(|id| id != credential) => {
            Outcome::Declined
        }
        outcome => outcome,
    }
}

/// State of a credential and whether it is resumable.
#[must_use]
pub fn state_of(id: CredentialId, credential: &Credential, kept: &Kept) -> (State, Resumable) {
    let offers = credential
        .offers
        .iter()
        .filter_map(|offer| kept.get(*offer))
        .map(|connection| offer_outcome(connection, id));
    let (mut accepted, mut declined, mut latest, mut any) = (false, false, None, false);
    for outcome in offers {
        any = true;
        match outcome {
            Outcome::Resumed(_) => (accepted, latest) = (true, Some(true)),
            Outcome::Declined => (declined, latest) = (true, Some(false)),
            Outcome::NotOffered | Outcome::Failed | Outcome::ExternalPsk | Outcome::Unclear(_) => {}
        }
    }
    match (latest, accepted) {
        (Some(true), _) => return (State::Resumed, Resumable::Yes),
        (Some(false), true) => return (State::AcceptedThenRejected, Resumable::Unknown),
        (Some(false), false) | (None, _) => {}
    }
    // RFC 8446 §4.6.1: such a ticket is to be discarded at once.
    if credential.mechanism == Mechanism::Psk && credential.lifetime == Some(0) {
        return (State::NotResumable, Resumable::No);
    }
    let issuer = credential.issued.and_then(|issue| kept.get(issue.connection));
    if issuer.is_some_and(|issuer| issuer.completed == Completed::No) {
        return (State::NotResumable, Resumable::No);
    }
    if declined {
        return (State::Rejected, Resumable::Unknown);
    }
    if issuer.is_some_and(|issuer| must_not_resume(credential, issuer)) {
        return (State::MustNotBeResumed, Resumable::Unknown);
    }
    let state = if any || credential.issued.is_none() {
        State::Unknown
    } else {
        State::NeverOffered
    };
    (state, Resumable::Unknown)
}

fn must_not_resume(credential: &Credential, issuer: &Connection) -> bool {
    credential.mechanism == Mechanism::SessionId
        && credential.version.is_some_and(ProtocolVersion::is_tls10_or_older)
        && issuer
            .close
            .class
            .yes()
            .is_some_and(|class| class.is_unclean() || *class == CloseClass::FatalAlert)
}
