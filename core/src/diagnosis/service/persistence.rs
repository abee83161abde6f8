//! What keeps a session from being found again although each server does its part: caches that are too small, keys of
//! single processes, and balancers that look at an ID which means nothing.

use std::collections::BTreeSet;

use super::key_verdict::KeyVerdict;
use super::machines::INITIAL_TTL;
use super::patterns::{EVIDENCE, Finder, Pattern, advice};
use super::uses::ResumptionAttempt;
use crate::diagnosis::{Confidence, Evidence};
use crate::net::hex;
use crate::session::{Connection, Mechanism};

/// Hellos that a claim needs.
const ENOUGH: usize = 3;

/// Sessions are refused once many newer ones were made.
pub(super) fn cache_overflows(finder: &Finder<'_>) -> Option<Pattern> {
    let (most, fewest) = finder.insight.crowding.separates()?;
    let kept = finder.insight.uses.iter().filter(|used| used.kept_here());
    let ages = |accepted: bool| kept.clone().filter(move |used| used.accepted == accepted);
    let by_age = ages(true).filter_map(|used| used.age).max() < ages(false).filter_map(|used| used.age).min();
    Some(Pattern {
        name: "cache-overflows",
        confidence: if by_age {
            Confidence::Possible
        } else {
            Confidence::Inferred
        },
        summary: format!(
            "sessions resumed while the service made up to {most} newer ones, and were refused from {fewest} newer ones on"
        ),
        advice: advice("cache-overflows"),
        would_settle: by_age.then_some("sessions of the same age at a quieter time: age separates them as well"),
        evidence: finder.evidence(ages(false), "a session refused after so many newer ones"),
        contrast: None,
    })
}

/// Tickets are issued, and every one that comes back is refused.
pub(super) fn tickets_never_honoured(finder: &Finder<'_>) -> Option<Pattern> {
    const NANOS: i64 = 1_000_000_000;
    let tickets = || {
        finder
            .insight
            .uses
            .iter()
            .filter(|used| !used.stateful && !used.foreign)
    };
    if tickets().any(|used| used.accepted) || finder.verdicts().any(|(_, verdict)| verdict != KeyVerdict::Nothing) {
        return None;
    }
    let in_time = |used: &&ResumptionAttempt| {
        let credential = finder.ledger.get(used.credential);
        let lifetime = credential.and_then(|credential| credential.lifetime);
        let lifetime = lifetime
            .filter(|seconds| *seconds > 0)
            .map_or(i64::MAX, |seconds| i64::from(seconds) * NANOS);
        used.age.is_some_and(|age| age <= lifetime)
    };
    let refused: BTreeSet<_> = tickets().filter(in_time).map(|used| used.credential).collect();
    (refused.len() >= ENOUGH).then(|| Pattern {
        name: "tickets-never-honoured",
        confidence: Confidence::Possible,
        summary: format!(
            "the server issues tickets and refused all {} that were offered again in time",
            refused.len()
        ),
        advice: advice("tickets-never-honoured"),
        would_settle: Some(
            "the server's configuration: a key for each process, or several servers that share none, look the same",
        ),
        evidence: finder.evidence(tickets().filter(in_time), "a ticket of this server, refused"),
        contrast: None,
    })
}

/// Several ticket keys side by side, and nothing on the wire but one machine.
pub(super) fn keys_of_one_machine(finder: &Finder<'_>) -> Option<Pattern> {
    let insight = finder.insight;
    let marks: BTreeSet<_> = finder
        .members
        .iter()
        .filter_map(|(_, connection)| Some((connection.marks.ttl?, connection.marks.mac)))
        .collect();
    // A packet that was routed bears the router's MAC address.
    let on_link = marks
        .iter()
        .all(|(ttl, mac)| INITIAL_TTL.contains(ttl) && mac.is_some());
    if !insight.keys_apart || !insight.backends.is_empty() || marks.len() != 1 || !on_link {
        return None;
    }
    let evidence: Vec<Evidence> = insight
        .keys
        .iter()
        .filter_map(|timeline| {
            let name = timeline.name;
            let (_, connection) = finder
                .members
                .iter()
                .find(|(_, connection)| finder.issues_under(connection, name))?;
            let short = hex(name.bytes().get(..4).unwrap_or_default());
            let answer = connection.answer.yes()?;
            Some(Evidence::new(
                answer.at.frame,
                format!("a ticket is issued or accepted under key {short}…"),
            ))
        })
        .take(EVIDENCE)
        .collect();
    (evidence.len() >= 2).then(|| Pattern {
        name: "ticket-key-per-process",
        confidence: Confidence::Possible,
        summary: format!(
            "{} ticket keys are in use, and TTL and MAC address of all answers are those of one machine",
            insight.keys.len()
        ),
        advice: advice("ticket-key-per-process"),
        would_settle: Some("knowing whether this machine ends TLS itself or passes connections on to others"),
        evidence,
        contrast: None,
    })
}

/// Session IDs in hellos that are no credential: a balancer that goes by them sends clients anywhere.
pub(super) fn ids_pin_nobody(finder: &Finder<'_>) -> Option<Pattern> {
    let with_id = || {
        finder
            .members
            .iter()
            .map(|(_, connection)| *connection)
            .filter(|connection| connection.hello.yes().is_some_and(|hello| hello.session_id.is_some()))
    };
    let random = || with_id().filter(|connection| means_nothing(connection));
    let (all, without_meaning) = (with_id().count(), random().count());
    if without_meaning < ENOUGH || 2 * without_meaning <= all {
        return None;
    }
    let evidence = random()
        .filter_map(|connection| connection.hello.yes())
        .take(EVIDENCE)
        .map(|hello| {
            let text = if hello.offers_tls13 {
                "ClientHello with a session ID of TLS 1.3's compatibility mode"
            } else {
                "ClientHello with a session ID made up beside a ticket"
            };
            Evidence::new(hello.at.frame, text)
        })
        .collect();
    Some(Pattern {
        name: "session-ids-pin-nobody",
        confidence: Confidence::Inferred,
        summary: format!(
            "{without_meaning} of {all} session IDs in hellos name no session: they are random or made up"
        ),
        advice: advice("session-ids-pin-nobody"),
        would_settle: None,
        evidence,
        contrast: None,
    })
}

/// Whether the session ID of a hello names no session: no offer of it was counted.
fn means_nothing(connection: &Connection) -> bool {
    connection.offered().all(|mechanism| mechanism != Mechanism::SessionId)
}
