//! One credential: where it was issued, who offered it, what became of it and why it ended.

use crate::model::session::{self, Life, NameMeaning};
use crate::model::{Report, credential_id};
use crate::wording::duration;
use reshake_core::diagnosis::{CredentialState, OfferOutcome, state_of};
use reshake_core::net::hex;
use reshake_core::net::span::SECOND;
use reshake_core::session::{ConnectionId, Credential, CredentialId, Mechanism, Side};

use super::{FrameLabel, FrameNames, clock, counted, micros, name_of, offset};

/// Kind of credential in words.
#[must_use]
pub const fn kind(mechanism: Mechanism) -> &'static str {
    match mechanism {
        Mechanism::SessionId => "session ID",
        Mechanism::Ticket => "ticket",
        Mechanism::Psk => "PSK",
    }
}

/// What became of the offers of a credential.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Uses {
    /// Accepted.
    pub accepted: u64,
    /// Declined.
    pub declined: u64,
    /// Neither, or not visible.
    pub other: u64,
}

impl Uses {
    /// Of a credential.
    #[must_use]
    pub fn of(report: &Report<'_>, id: CredentialId, credential: &Credential) -> Self {
        let mut uses = Self::default();
        let connection_store = report.engine.connection_store();
        for connection in credential
            .offers
            .iter()
            .filter_map(|offer| connection_store.get(*offer))
        {
            *match OfferOutcome::of(connection, id) {
                OfferOutcome::Accepted => &mut uses.accepted,
                OfferOutcome::Declined => &mut uses.declined,
                OfferOutcome::Failed | OfferOutcome::PassedOver | OfferOutcome::Unclear(_) => &mut uses.other,
            } += 1;
        }
        uses
    }
}

/// One event in its life.
#[derive(Debug, Clone)]
pub struct EventView {
    /// Its frame.
    pub frame: FrameLabel,
    /// Seconds from the first packet.
    pub time: String,
    /// Who sent it.
    pub from: Side,
    /// Who to whom, with the backend.
    pub ends: String,
    /// What.
    pub text: String,
    /// On which connection.
    pub connection: ConnectionId,
}

/// A credential for a screen of its own.
#[derive(Debug, Clone)]
pub struct CredentialView {
    /// Which.
    pub id: CredentialId,
    /// Its id in reports.
    pub name: String,
    /// What is known of it.
    pub facts: Vec<(&'static str, String)>,
    /// Its life; cut after [`MAX_EVENTS`].
    pub events: Vec<EventView>,
    /// Events that were cut off.
    pub more: usize,
}

/// Events that are shown of one life.
pub const MAX_EVENTS: usize = 10_000;
/// Connections that a life is told of: a key that is configured on both sides may be used by every one of a capture.
const MAX_USERS: usize = 20_000;
/// Digits of a ticket.
const DIGITS: usize = 32;

impl CredentialView {
    /// Of one credential.
    #[must_use]
    pub fn of(report: &Report<'_>, id: CredentialId) -> Option<Self> {
        let credential = report.engine.credential_store().get(id)?;
        let (events, more) = events(report, id, credential);
        Some(Self {
            id,
            name: credential_id(credential),
            facts: facts(report, id, credential),
            events,
            more,
        })
    }
}

fn events(report: &Report<'_>, id: CredentialId, credential: &Credential) -> (Vec<EventView>, usize) {
    if credential.offers.len() > MAX_USERS {
        return (Vec::new(), credential.offers.len());
    }
    let frames = FrameNames::of(report);
    let life = Life::of(report, NameMeaning::Credential(id));
    let shown = life.events.iter().take(MAX_EVENTS);
    let events = shown
        .filter_map(|event| {
            Some(EventView {
                frame: frames.label(event.at.frame),
                time: micros(offset(report, event.at.time)),
                from: event.side,
                ends: session::ends_of(report, event)?,
                text: session::words(report, event.what),
                connection: event.connection,
            })
        })
        .collect();
    (events, life.events.len().saturating_sub(MAX_EVENTS))
}

fn facts(report: &Report<'_>, id: CredentialId, credential: &Credential) -> Vec<(&'static str, String)> {
    let frames = FrameNames::of(report);
    let mut digits = hex(credential.name.head());
    if digits.len() > DIGITS {
        digits.truncate(DIGITS);
        digits.push('…');
    }
    let uses = Uses::of(report, id, credential);
    let (state, resumable) = state_of(id, credential, report.engine.connection_store(), report.last_time());
    let mut facts = vec![
        (
            "what",
            format!(
                "{} {digits}, {} bytes",
                kind(credential.mechanism),
                credential.name.length
            ),
        ),
        (
            "of",
            format!("{} ({})", name_of(credential.server_name.as_deref()), credential.server),
        ),
        ("issued", issued(report, credential, &frames)),
        (
            "offered",
            format!(
                "{}: {} accepted, {} declined, {} undecided",
                counted(uses.accepted + uses.declined + uses.other, "time", "times"),
                uses.accepted,
                uses.declined,
                uses.other
            ),
        ),
        ("state", format!("{}: {}", state.code(), why_ended(state))),
        ("resumable", resumable.code().to_owned()),
    ];
    if let Some(lifetime) = credential.lifetime {
        facts.push(("lifetime", duration(i64::from(lifetime) * SECOND)));
    }
    if let Some(key) = report.analyses.key_name(id) {
        facts.push(("ticket key", hex(key.bytes())));
    }
    facts
}

fn issued(report: &Report<'_>, credential: &Credential, frames: &FrameNames) -> String {
    match credential.issued {
        Some(issue) => {
            let backend = report.analyses.backend(issue.connection);
            let backend = backend.map_or_else(String::new, |backend| format!(" by backend-{backend}"));
            let frame = frames.label(issue.at.frame).text;
            format!("in frame {frame}{backend} at {} UTC", clock(issue.at.time))
        }
        None if credential.mechanism == Mechanism::Psk => "not visible (encrypted)".to_owned(),
        None => "not seen: before the capture, or on a connection that is not visible".to_owned(),
    }
}

/// What a state says about the end of a session.
#[must_use]
pub const fn why_ended(state: CredentialState) -> &'static str {
    match state {
        CredentialState::NeverOffered => "no client was seen to offer it",
        CredentialState::Resumed => "its latest decided offer was accepted",
        CredentialState::Rejected => "every offer was declined",
        CredentialState::AcceptedThenRejected => "it was accepted before and declined at last",
        CredentialState::MustNotBeResumed => "closed uncleanly; TLS 1.0 forbids resumption then, servers differ",
        CredentialState::NotResumable => "the handshake that issued it did not complete",
        CredentialState::Unknown => "the capture does not show it",
    }
}
