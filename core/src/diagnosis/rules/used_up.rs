//! Nothing was offered because every ticket of TLS 1.3 had been used.

use super::super::attempts::{Attempts, BURST, ClosedBy, Row, closed_by};
use super::super::confidence::{BAR, Stratum, UNITS, ln_chance};
use super::super::context::RuleContext;
use super::super::{Confidence, Evidence, RuleResult};
use super::held::{may_be_several_stores, silent_hello};
use super::reason;
use crate::session::{Completed, Connection, Mechanism};

/// Connections looked at where tickets are counted, before this one and after it: a burst is shorter.
const MAX_COUNTED: usize = 64;

reason! {
    /// ## What it means
    /// The client uses each TLS 1.3 ticket once, and has none left: it opened more connections at once than it had
    /// tickets for, or the server issues none on resumption, so that every second connection is full.
    ///
    /// ## How we know
    /// Earlier connections of this client offered tickets, and used up as many as had reached it by then. Without keys
    /// the tickets are counted by the sizes of encrypted records, and the reason stays `possible`. With keys they are
    /// read, and it is `inferred` where no unseen handshake may have given the client more, and where it offers
    /// whenever it holds one and never when it holds none, three times each and with a chance of at most 1 in 100.
    /// Otherwise another program at that address may have started afresh, or the client may have dropped what it could
    /// have used again.
    pub(super) static CLIENT_TICKETS_EXHAUSTED = {
        name: "client-tickets-exhausted", since: "0.1.0", stage: NothingOffered,
        summary: "the client had used up its tickets",
        spec: [(8446, "4.6.1"), (8446, "C.4")],
        actor: Either,
        advice: "issue tickets on resumption too, and enough of them with each handshake (OpenSSL: SSL_CTX_set_num_tickets; nginx: ssl_conf_command NumTickets; Apache: SSLOpenSSLConfCmd NumTickets; Java 24: jdk.tls.server.newSessionTicketCount), or carry requests over one connection (HTTP/2)",
        rule: exhausted,
    }
}

fn exhausted(case: &RuleContext<'_>) -> RuleResult {
    let Some((hello, facts)) = silent_hello(case).zip(case.connection.hello.yes()) else {
        return RuleResult::CannotTell;
    };
    let attempts = case.analyses.attempts();
    let Some(row) = attempts.of_connection(case.id) else {
        return RuleResult::CannotTell;
    };
    if !facts.offers_tls13 || !case.behaviour().offers() {
        return RuleResult::DoesNotHold;
    }
    let Some(latest) = case.earlier().take(MAX_COUNTED).find(|earlier| offers_psk(earlier)) else {
        return RuleResult::DoesNotHold;
    };
    // Tickets that other connections of a burst are about to offer are spoken for; and where none comes with a resumption
    // there is none after one, whatever could be counted.
    let spoken_for = row.held.is_some_and(|held| usize::from(held) <= soon(case, row));
    let after_resumption = latest.accepted.is_some() && issues_none_on_resumption(case);
    if !spoken_for && !after_resumption {
        return RuleResult::DoesNotHold;
    }
    // A handshake that is not known as this client's, or was not seen to its end, may have given it some.
    let cut_short = |earlier: &Connection| matches!(earlier.completed, Completed::Blind(_));
    let unseen = case.lacks_the_past()
        || case.history.may_hide_an_issue(case.id, case.connection)
        || case.history.may_hide_a_handshake(case.id, case.connection)
        || case.history.may_have_begun_before(case.id, case.connection)
        || case.earlier().take(MAX_COUNTED).any(cut_short);
    let counted = row.held_read && row.held == Some(0) && !unseen;
    let alone =
        counted && !may_be_several_stores(case) && !end_explains(case) && differs_by_what_it_holds(attempts, row);
    let confidence = if alone {
        Confidence::Inferred
    } else {
        Confidence::Possible
    };
    let (frame, text) = match latest.answer.yes().filter(|_| latest.accepted.is_some()) {
        Some(answer) if case.earlier().next().is_some_and(|before| std::ptr::eq(before, latest)) => (
            answer.at.frame,
            "the connection before this one was resumed, and no ticket came with it as far as sizes or keys tell",
        ),
        _ => (
            latest
                .hello
                .yes()
                .map_or(latest.transport.first(), |hello| hello.at.frame),
            "the latest ClientHello before that offers a ticket",
        ),
    };
    RuleResult::holds(
        confidence,
        "the client uses each ticket once, and all that were given to it by then are used or spoken for",
        hello,
        vec![Evidence::new(frame, text)],
    )
    .placed(0)
    .beside(
        vec!["client-did-not-offer", "first-in-capture"],
        Some("five connections one after another; the client's key log"),
    )
}

/// Whether this client offers as long as it holds a ticket and is silent when it holds none, too often for chance: one that
/// uses tickets again, or several programs with a store each, are silent at other times.
fn differs_by_what_it_holds(attempts: &Attempts, row: &Row) -> bool {
    let (rows, turn) = attempts.of_client(row);
    let around = turn.saturating_sub(MAX_COUNTED)..rows.len().min(turn.saturating_add(MAX_COUNTED));
    let mut all = Stratum::default();
    for row in attempts.rows_at(rows.get(around).unwrap_or_default()) {
        let Some(held) = row.held.filter(|_| row.held_read) else {
            continue;
        };
        let offers = attempts.of_row(row).next().is_some();
        let count = match (held > 0, offers) {
            (false, false) if row.silent => &mut all.named_refused,
            (false, true) => &mut all.named_accepted,
            (true, false) if row.silent => &mut all.other_refused,
            (true, true) => &mut all.other_accepted,
            _ => continue,
        };
        *count += 1;
    }
    let contradicted = all.named_accepted + all.other_refused > 0;
    let enough = all.named_refused >= UNITS && all.other_accepted >= UNITS;
    enough && !contradicted && ln_chance(&[all]) <= BAR.ln()
}

/// Whether the client may have dropped what it held for the end of its latest connection: nothing was ever offered after
/// such an end.
fn end_explains(case: &RuleContext<'_>) -> bool {
    let Some(last) = case.earlier().next() else {
        return false;
    };
    let behaviour = case.behaviour();
    match closed_by(last, case.hello_time()) {
        ClosedBy::Cleanly | ClosedBy::Unknown => false,
        ClosedBy::Alert => behaviour.alert.all().offered == 0,
        ClosedBy::ClientReset | ClosedBy::ClientFin => behaviour.client.all().offered == 0,
        ClosedBy::Server => behaviour.server.all().offered == 0,
    }
}

fn issues_none_on_resumption(case: &RuleContext<'_>) -> bool {
    let patterns = case.analysis().into_iter().flat_map(|analysis| &analysis.patterns);
    patterns
        .into_iter()
        .any(|pattern| pattern.name == "no-ticket-on-resumption")
}

fn offers_psk(connection: &Connection) -> bool {
    connection.offered().any(|mechanism| mechanism == Mechanism::Psk)
}

/// Later hellos of this client within the same burst that offer tickets.
fn soon(case: &RuleContext<'_>, row: &Row) -> usize {
    let attempts = case.analyses.attempts();
    let (rows, turn) = attempts.of_client(row);
    let after = attempts
        .rows_at(rows.get(turn + 1..).unwrap_or_default())
        .take(MAX_COUNTED);
    let burst = after.take_while(|later| later.time.since(row.time) <= BURST);
    burst.filter(|later| attempts.of_row(later).next().is_some()).count()
}
