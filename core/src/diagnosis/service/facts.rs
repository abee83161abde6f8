//! Facts about a service that are no causes of refusals: what it issues, what its clients do, and what a balancer cannot
//! go by.

use std::collections::BTreeSet;

use hashbrown::HashMap;

use super::KeyName;
use super::machines::INITIAL_TTL;
use super::patterns::{EVIDENCE, Finder, Pattern};
use crate::diagnosis::attempts::{Decision, Row};
use crate::diagnosis::context::{Gave, gave, order};
use crate::diagnosis::{Confidence, Evidence};
use crate::net::{At, hex};
use crate::session::{Completed, Connection, ConnectionId, Mechanism, Outcome, TicketExtension, TicketsInferred};

/// Hellos that a claim needs.
const ENOUGH: usize = 3;
/// Patterns that say that servers do not honour each other's sessions.
const APART: [&str; 2] = ["session-state-not-shared", "ticket-keys-not-shared"];

/// Adds what is to be said beside the causes.
pub(super) fn add(finder: &Finder<'_>, found: &mut Vec<Pattern>) {
    found.extend(nothing_issued(finder));
    found.extend(none_on_resumption(finder));
    found.extend(client_never_offers(finder));
    let one_machine = keys_of_one_machine(finder, found);
    // Only where servers do not honour each other's sessions does it matter how clients are kept on theirs.
    let apart = found.iter().filter(|pattern| APART.contains(&pattern.name));
    if let Some(sure) = apart.map(|pattern| pattern.confidence).max() {
        found.extend(ids_pin_nobody(finder, sure));
    }
    found.extend(one_machine);
}

/// Clients that use each ticket of TLS 1.3 once offer after a full handshake, and have nothing to offer after a
/// resumption: the server issues none then.
fn none_on_resumption(finder: &Finder<'_>) -> Option<Pattern> {
    if issues_on_resumption(finder) {
        return None;
    }
    let attempts = finder.analyses.attempts();
    let (mut after_full, mut silent) = (0_usize, Vec::new());
    for row in attempts
        .rows_at(&finder.part.rows)
        .filter(|row| row.hello && row.turn > 0)
    {
        let (rows, turn) = attempts.of_client(row);
        let before = rows
            .get(turn.saturating_sub(1))
            .and_then(|number| attempts.rows().get(*number as usize));
        let Some(before) = before.filter(|before| before.completed) else {
            continue;
        };
        let offers = attempts.of_row(row).any(|(_, entry)| entry.mechanism == Mechanism::Psk);
        match (resumed(finder, before), offers, row.silent) {
            // One ticket more than was used: it issues some.
            (true, true, _) => return None,
            (true, false, true) => silent.push(row.connection),
            (false, true, _) => after_full += 1,
            _ => {}
        }
    }
    (silent.len() >= 2 && after_full >= 2).then(|| nothing_left(finder, after_full, &silent))
}

/// Whether what a resumption issued shows, or was offered somewhere, if only under another name.
fn issues_on_resumption(finder: &Finder<'_>) -> bool {
    let issues = |connection: &Connection| {
        matches!(
            connection.tickets_inferred,
            TicketsInferred::Like(_) | TicketsInferred::Read { usable: true, .. }
        )
    };
    let mut resumptions = finder
        .members
        .iter()
        .filter(|(_, it)| it.is_tls13() && it.accepted.is_some());
    let mut rows = finder.analyses.attempts().rows_at(&finder.part.rows);
    resumptions.any(|(_, connection)| issues(connection)) || rows.any(|row| row.spent && resumed(finder, row))
}

fn nothing_left(finder: &Finder<'_>, after_full: usize, silent: &[ConnectionId]) -> Pattern {
    let shown: BTreeSet<_> = silent.iter().take(EVIDENCE).collect();
    let hellos = finder.members.iter().filter(|(id, _)| shown.contains(id));
    let evidence = hellos
        .filter_map(|(_, connection)| connection.hello.yes())
        .map(|hello| {
            Evidence::new(
                hello.at.frame,
                "ClientHello offers nothing; the connection before it was resumed",
            )
        })
        .collect();
    Pattern {
        would_settle: Some("the client's key log, which shows the tickets"),
        explains: silent.len() as u64,
        remaining: vec!["client-never-offers"],
        ..Pattern::plain(
            "no-ticket-on-resumption",
            Confidence::Possible,
            format!(
                "after a full handshake clients offer a ticket ({after_full} times), after a resumption none ({} times)",
                silent.len()
            ),
            evidence,
        )
    }
}

/// Whether a row resumed a session of TLS 1.3.
fn resumed(finder: &Finder<'_>, row: &Row) -> bool {
    let mut entries = finder.analyses.attempts().of_row(row);
    entries.any(|(_, entry)| entry.decision == Decision::Accepted && entry.mechanism == Mechanism::Psk)
}

/// In every full handshake up to TLS 1.2 neither a session ID nor a ticket was issued, and a ticket was asked for.
fn nothing_issued(finder: &Finder<'_>) -> Option<Pattern> {
    // Where one resumed, of which nothing else is known any more, the server does issue.
    if finder.analysis.folded.outcomes.resumed > 0 {
        return None;
    }
    let full: Vec<_> = finder
        .members
        .iter()
        .filter(|(_, connection)| connection.completed == Completed::Yes)
        .collect();
    // In TLS 1.3 that is told by sizes alone.
    let gives_nothing = |connection: &Connection| {
        let nothing = matches!(gave(connection), Some((Gave::Nothing, _)));
        nothing && !connection.is_tls13() && connection.offers.is_empty()
    };
    // Who asks for no ticket gets none from a server that issues them (RFC 5077 §3.2).
    let asks = |connection: &Connection| {
        let hello = connection.hello.yes();
        let promised = connection.answer.yes().is_some_and(|answer| answer.ticket_promised);
        promised || hello.is_some_and(|hello| hello.ticket != TicketExtension::Absent)
    };
    let asked = full.iter().any(|(_, connection)| asks(connection));
    if full.len() < 2 || !asked || !full.iter().all(|(_, connection)| gives_nothing(connection)) {
        return None;
    }
    let evidence = full
        .iter()
        .filter_map(|(_, connection)| connection.answer.yes())
        .take(EVIDENCE)
        .map(|answer| {
            Evidence::new(
                answer.at.frame,
                "ServerHello with an empty session ID, and no ticket after it",
            )
        })
        .collect();
    let summary = format!(
        "in {} full handshakes the server issued neither a session ID nor a ticket",
        full.len()
    );
    // Those that are only counted may have been given something.
    let whole = finder.analysis.folded.is_none();
    let (confidence, would_settle) = if whole {
        (Confidence::Observed, None)
    } else {
        (
            Confidence::Possible,
            Some("one full handshake of a client that asks for a ticket"),
        )
    };
    Some(Pattern {
        would_settle,
        ..Pattern::plain("nothing-issued", confidence, summary, evidence)
    })
}

/// Clients that were given something, and nobody ever offers.
fn client_never_offers(finder: &Finder<'_>) -> Option<Pattern> {
    const ENOUGH: usize = 3;
    let offers = |connection: &Connection| {
        let decided = matches!(
            connection.outcome,
            Outcome::Resumed(_) | Outcome::Declined | Outcome::ExternalPsk
        );
        decided || !connection.offers.is_empty()
    };
    let forgot_offers = finder
        .analysis
        .folded
        .may_have(|it| it.resumed + it.declined + it.external_psk);
    if forgot_offers
        || finder.analysis.resumes_unnamed
        || finder.members.iter().any(|(_, connection)| offers(connection))
    {
        return None;
    }
    let mut evidence = Vec::new();
    // From when on each client held something: another one, or a connection opened before, had nothing to offer.
    let mut holds: HashMap<_, At> = HashMap::new();
    for (_, connection) in finder.members {
        let Some(hello) = connection.hello.yes() else { continue };
        let client = (connection.client_address(), hello.stack.digest);
        let held = holds.get(&client).is_some_and(|at| order(at) < order(&hello.at));
        if held && connection.outcome == Outcome::NotOffered {
            evidence.push(Evidence::new(
                hello.at.frame,
                "ClientHello offers nothing although this client was given something before",
            ));
        }
        if let Some((Gave::Seen | Gave::Inferred, over)) = gave(connection) {
            let first = holds.entry(client).or_insert(over);
            if order(&over) < order(first) {
                *first = over;
            }
        }
    }
    if evidence.len() < ENOUGH {
        return None;
    }
    let count = evidence.len();
    evidence.truncate(EVIDENCE);
    // Every connection may be another client's, and what was not seen may have been offers.
    Some(Pattern {
        would_settle: Some("a capture on a client, or one client alone"),
        explains: count as u64,
        ..Pattern::plain(
            "client-never-offers",
            Confidence::Possible,
            format!("{count} connections offer nothing although their clients were given something before"),
            evidence,
        )
    })
}

/// The first connection that issues or accepts a ticket under each key.
fn first_under<'a>(finder: &Finder<'a>) -> HashMap<KeyName, &'a Connection> {
    let mut first = HashMap::new();
    for (_, connection) in finder.members {
        let accepted = connection.accepted.and_then(|id| finder.analyses.key_name(id));
        let issued = finder.analyses.issued_under(connection);
        for name in [accepted, issued].into_iter().flatten() {
            first.entry(name).or_insert(*connection);
        }
    }
    first
}

/// Several ticket keys side by side, and nothing on the wire but one machine.
fn keys_of_one_machine(finder: &Finder<'_>, found: &[Pattern]) -> Option<Pattern> {
    let analysis = finder.analysis;
    let marks: BTreeSet<_> = finder
        .members
        .iter()
        .filter_map(|(_, connection)| Some((connection.marks.ttl?, connection.marks.mac)))
        .collect();
    // A packet that was routed bears the router's MAC address.
    let on_link = marks
        .iter()
        .all(|(ttl, mac)| INITIAL_TTL.contains(ttl) && mac.is_some());
    if !found.iter().any(|known| known.name == "ticket-keys-not-shared")
        || !analysis.backends.is_empty()
        || marks.len() != 1
        || !on_link
    {
        return None;
    }
    let first = first_under(finder);
    let evidence: Vec<Evidence> = analysis
        .keys
        .iter()
        .filter_map(|timeline| {
            let name = timeline.name;
            let connection = first.get(&name)?;
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
        would_settle: Some("knowing whether this machine terminates TLS itself or passes connections on to others"),
        ..Pattern::plain(
            "ticket-key-per-process",
            Confidence::Possible,
            format!(
                "{} ticket keys are in use, and TTL and MAC address of all answers are those of one machine",
                analysis.keys.len()
            ),
            evidence,
        )
    })
}

/// Session IDs in hellos that are no credential: a balancer that goes by them sends clients anywhere.
fn ids_pin_nobody(finder: &Finder<'_>, sure: Confidence) -> Option<Pattern> {
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
                "ClientHello with a session ID made up to go with a ticket"
            };
            Evidence::new(hello.at.frame, text)
        })
        .collect();
    Some(Pattern::plain(
        "session-ids-pin-nobody",
        sure,
        format!("{without_meaning} of {all} session IDs in hellos name no session: they are random or made up"),
        evidence,
    ))
}

/// Whether the session ID of a hello names no session: no offer of it was counted.
fn means_nothing(connection: &Connection) -> bool {
    connection.offered().all(|mechanism| mechanism != Mechanism::SessionId)
}
