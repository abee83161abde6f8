//! The server dropped the session: by an unclean close, by age, by use, or because it never kept it.

use super::super::context::RuleContext;
use super::super::service::uses::ClosedBy;
use super::super::service::{ContingencyTable, ResumptionAttempt, ServiceAnalysis};
use super::super::{Confidence, Evidence, RuleResult};
use super::backend::{offer_evidence, offered, uses};
use super::reason;
use crate::net::FrameRef;
use crate::session::{Connection, Mechanism, ProtocolVersion, Side};

/// The use at hand if its session ended in one of these ways before.
fn closed_before<'a>(
    case: &RuleContext<'a>,
    kinds: &[ClosedBy],
) -> Option<(&'a ServiceAnalysis, &'a ResumptionAttempt, &'a Connection)> {
    let (insight, all) = uses(case)?;
    let used = all
        .into_iter()
        .find(|used| used.kept_here() && kinds.contains(&used.closed))?;
    Some((insight, used, case.kept.get(used.previous?)?))
}

/// The contrast that belongs to a kind of close.
const fn contrast_of(closed: ClosedBy) -> &'static str {
    match closed {
        ClosedBy::ClientReset => "client-reset",
        ClosedBy::ClientFin => "client-fin",
        ClosedBy::Server | ClosedBy::Cleanly | ClosedBy::Alert | ClosedBy::Unknown => "server-close",
    }
}

/// Whether a session of this service survived such a close: then the close is not what kills them.
fn survived(insight: &ServiceAnalysis, closed: ClosedBy) -> bool {
    insight
        .uses
        .iter()
        .any(|used| used.kept_here() && used.accepted && used.closed == closed)
}

fn significant(insight: &ServiceAnalysis, closed: ClosedBy) -> bool {
    insight
        .contrast(contrast_of(closed))
        .is_some_and(ContingencyTable::first_resumes_more)
}

fn close_frame(connection: &Connection, side: Side) -> Option<FrameRef> {
    connection.side(side).ended().map(|at| at.frame)
}

reason! {
    /// ## What it means
    /// By the letter of TLS 1.0 a session must not be resumed after one of its connections ended without close_notify.
    /// Few servers obey.
    ///
    /// ## How we know
    /// The close of the session's latest connection is in the capture. The reason is `possible`, `inferred` only where
    /// sessions resume after clean closes and not after such ones, and not named at all once this server resumed a
    /// session after an unclean close.
    pub(super) static UNCLEAN_CLOSE_TLS10 = {
        name: "unclean-close-tls10", since: "0.1.0", stage: Inferred,
        summary: "TLS 1.0 forbids resumption after an unclean close",
        spec: [(2246, "7.2.1")],
        actor: Either,
        advice: "send close_notify before closing (OpenSSL: SSL_shutdown before SSL_free; HAProxy: no option nolinger), or move to TLS 1.2 or later",
        rule: unclean_close_tls10,
    }
}

fn unclean_close_tls10(case: &RuleContext<'_>) -> RuleResult {
    const KINDS: [ClosedBy; 3] = [ClosedBy::ClientReset, ClosedBy::ClientFin, ClosedBy::Server];
    let Some((insight, used, previous)) = closed_before(case, &KINDS) else {
        return RuleResult::DoesNotHold;
    };
    if !case
        .connection
        .version()
        .is_some_and(ProtocolVersion::is_tls10_or_older)
        || KINDS.iter().any(|kind| survived(insight, *kind))
    {
        return RuleResult::DoesNotHold;
    }
    let confidence = if significant(insight, used.closed) {
        Confidence::Inferred
    } else {
        Confidence::Possible
    };
    let side = if used.closed == ClosedBy::Server {
        Side::Server
    } else {
        Side::Client
    };
    let (hello, mut more) = offer_evidence(
        case,
        case.ledger.get(used.credential),
        "ClientHello offers the session again",
    );
    let first = close_frame(previous, side).map_or_else(
        || hello.clone(),
        |frame| Evidence::new(frame, "the session's latest connection ends without close_notify"),
    );
    more.insert(0, hello);
    RuleResult::holds(
        confidence,
        "the session's latest connection ended without close_notify",
        first,
        more,
    )
    .settled_by(insight.pattern("unclean-close-invalidates").map(|pattern| pattern.name))
}

reason! {
    /// ## What it means
    /// The server closed the session's latest connection without sending close_notify. OpenSSL servers drop a cached
    /// session when the application frees a connection without having sent it.
    ///
    /// ## How we know
    /// The close is in the capture; the reason is `inferred` only where sessions resume after clean closes and not after
    /// such ones, and not named once one survived such a close.
    pub(super) static SERVER_DID_NOT_SEND_CLOSE_NOTIFY = {
        name: "server-did-not-send-close-notify", since: "0.1.0", stage: Inferred,
        summary: "the server closed without close_notify and lost the session with it",
        spec: [(4346, "7.2.1"), (5246, "7.2.1")],
        actor: Server,
        advice: "send close_notify from the server application (OpenSSL: SSL_shutdown before SSL_free), or use tickets",
        rule: server_close,
    }
}

fn server_close(case: &RuleContext<'_>) -> RuleResult {
    close_finding(
        case,
        &[ClosedBy::Server],
        Side::Server,
        "server-close-invalidates",
        "the server ended the session's latest connection without close_notify",
    )
}

reason! {
    /// ## What it means
    /// The client ended the session's latest connection without close_notify, by RST or FIN, and the server dropped the
    /// session for it. From TLS 1.1 on no rule asks for that; some implementations do it: Java before 16, and OpenSSL
    /// servers that free a connection they could not shut down. Health checks that reset are a common source.
    ///
    /// ## How we know
    /// The close is in the capture; the reason is `inferred` only where sessions resume after clean closes and not after
    /// such ones, and not named once a session survived such a close on this server.
    pub(super) static IMPL_INVALIDATES_ON_RST = {
        name: "impl-invalidates-on-rst", since: "0.1.0", stage: Inferred,
        summary: "the server drops sessions whose connection the client ended uncleanly",
        spec: [(4346, "7.2.1"), (5246, "7.2.1")],
        actor: Either,
        advice: "have the client or proxy send close_notify (HAProxy: plain TCP checks instead of check-ssl), upgrade the server (Java 17), or use tickets",
        rule: client_close,
    }
}

fn client_close(case: &RuleContext<'_>) -> RuleResult {
    close_finding(
        case,
        &[ClosedBy::ClientReset, ClosedBy::ClientFin],
        Side::Client,
        "unclean-close-invalidates",
        "the client ended the session's latest connection without close_notify",
    )
}

fn close_finding(case: &RuleContext<'_>, kinds: &[ClosedBy], side: Side, pattern: &str, summary: &str) -> RuleResult {
    let Some((insight, used, previous)) = closed_before(case, kinds) else {
        return RuleResult::DoesNotHold;
    };
    if survived(insight, used.closed) {
        return RuleResult::DoesNotHold;
    }
    let confidence = if significant(insight, used.closed) {
        Confidence::Inferred
    } else {
        Confidence::Possible
    };
    let (hello, mut more) = offer_evidence(
        case,
        case.ledger.get(used.credential),
        "ClientHello offers the session again",
    );
    let first = close_frame(previous, side).map_or_else(|| hello.clone(), |frame| Evidence::new(frame, summary));
    more.insert(0, hello);
    let settled = (confidence > Confidence::Possible)
        .then(|| insight.pattern(pattern))
        .flatten();
    RuleResult::holds(confidence, summary, first, more).settled_by(settled.map(|pattern| pattern.name))
}

reason! {
    /// ## What it means
    /// The server keeps sessions for a shorter time than this client waited.
    ///
    /// ## How we know
    /// On this service sessions were resumed up to a certain age and refused above it, several of each, with nothing in
    /// between.
    pub(super) static SERVER_CACHE_EXPIRED = {
        name: "server-cache-expired", since: "0.1.0", stage: Inferred,
        summary: "the session was older than the server keeps sessions",
        spec: [(5246, "7.4.1.3"), (5246, "F.1.4")],
        actor: Server,
        advice: "raise the session timeout (nginx: ssl_session_timeout; Apache: SSLSessionCacheTimeout; HAProxy: tune.ssl.lifetime; OpenSSL: SSL_CTX_set_timeout; Java: SSLSessionContext.setSessionTimeout)",
        rule: cache_expired,
    }
}

fn cache_expired(case: &RuleContext<'_>) -> RuleResult {
    const SECOND: i64 = 1_000_000_000;
    let Some((insight, all)) = uses(case) else {
        return RuleResult::CannotTell;
    };
    let Some(used) = all
        .into_iter()
        .find(|used| used.kept_here() && matches!(used.closed, ClosedBy::Cleanly | ClosedBy::Unknown))
    else {
        return RuleResult::DoesNotHold;
    };
    let Some(age) = used.age else {
        return RuleResult::CannotTell;
    };
    let accepted = insight
        .uses
        .iter()
        .filter(|other| other.accepted && other.kept_here())
        .filter_map(|other| other.age)
        .max();
    let Some(oldest) = accepted.filter(|oldest| *oldest < age && age >= SECOND) else {
        return RuleResult::DoesNotHold;
    };
    let pattern = insight.pattern("session-times-out");
    // A refusal shortly after an acceptance at nearly the same age is no matter of age.
    if pattern.is_none() && age < 2 * oldest {
        return RuleResult::DoesNotHold;
    }
    let confidence = if pattern.is_some() {
        Confidence::Inferred
    } else {
        Confidence::Possible
    };
    let (first, more) = offer_evidence(case, case.ledger.get(used.credential), "ClientHello offers the session");
    RuleResult::holds(
        confidence,
        format!(
            "the session was {} s old; sessions resumed here up to {}",
            age / SECOND,
            if oldest < SECOND {
                format!("{} ms", oldest / 1_000_000)
            } else {
                format!("{} s", oldest / SECOND)
            }
        ),
        first,
        more,
    )
    .settled_by(pattern.map(|pattern| pattern.name))
}

reason! {
    /// ## What it means
    /// The server's cache was full, and newer sessions pushed this one out. Raising the timeout does not help then.
    ///
    /// ## How we know
    /// The session was young and refused; on this service sessions resumed as long as few newer ones had been made, and
    /// were refused once there were more, without exception and several of each. It stays `possible`: the true size of
    /// the cache is not visible, and a capture shows only part of what fills it.
    pub(super) static SERVER_CACHE_EVICTED = {
        name: "server-cache-evicted", since: "0.1.0", stage: Inferred,
        summary: "newer sessions may have pushed this one out of the server's cache",
        spec: [(5246, "7.4.1.3")],
        actor: Server,
        advice: "raise the size of the session cache (nginx: the size in ssl_session_cache shared:SSL:10m; Apache: the size in SSLSessionCache shmcb:…; HAProxy: tune.ssl.cachesize; OpenSSL: SSL_CTX_sess_set_cache_size; Java: javax.net.ssl.sessionCacheSize), or use tickets",
        rule: cache_evicted,
    }
}

/// A session younger than the shortest timeout in common use (300 s: nginx, Apache, HAProxy) did not time out.
const YOUNG_NANOS: i64 = 300_000_000_000;

fn cache_evicted(case: &RuleContext<'_>) -> RuleResult {
    let Some((insight, all)) = uses(case) else {
        return RuleResult::CannotTell;
    };
    let young = |used: &&ResumptionAttempt| {
        used.kept_here()
            && matches!(used.closed, ClosedBy::Cleanly | ClosedBy::Unknown)
            && used.age.is_some_and(|age| age < YOUNG_NANOS)
            && !case.hindsight.other_backend(used)
    };
    let Some((used, (most, _))) = all.into_iter().find(young).zip(insight.crowding.separates()) else {
        return RuleResult::DoesNotHold;
    };
    let (first, more) = offer_evidence(case, case.ledger.get(used.credential), "ClientHello offers the session");
    RuleResult::holds(
        Confidence::Possible,
        format!(
            "{} newer sessions had been made; sessions resumed here after up to {most}",
            insight.crowding.before(used)
        ),
        first,
        more,
    )
    .settled_by(insight.pattern("cache-overflows").map(|pattern| pattern.name))
}

reason! {
    /// ## What it means
    /// The server hands out session IDs and keeps no session behind them, as nginx does by default
    /// (`ssl_session_cache none`). Every offer of one is in vain.
    ///
    /// ## How we know
    /// No session ID of this service (nor TLS 1.3 identity of that size) was ever accepted, although at least two were
    /// offered. That alone proves little: several machines without a shared cache look the same. It is `inferred` only with at
    /// least five such refusals while tickets under a single key are honoured.
    pub(super) static SERVER_NEVER_ACCEPTS_IDS = {
        name: "server-never-accepts-ids", since: "0.1.0", stage: Inferred,
        summary: "the server issues session IDs that it never honours",
        spec: [(5246, "7.4.1.3")],
        actor: Server,
        advice: "give the server a session cache (nginx: ssl_session_cache shared:SSL:10m; Apache: SSLSessionCache shmcb:…; OpenSSL: SSL_CTX_set_session_cache_mode and SSL_CTX_set_session_id_context), or turn tickets on at both ends",
        rule: never_accepts_ids,
    }
}

fn never_accepts_ids(case: &RuleContext<'_>) -> RuleResult {
    let Some((insight, all)) = uses(case) else {
        return RuleResult::CannotTell;
    };
    // Another machine than the one that made the session says nothing about what that one keeps.
    let here = |used: &&ResumptionAttempt| used.kept_here() && !case.hindsight.other_backend(used);
    let Some(used) = all.into_iter().find(here) else {
        return RuleResult::DoesNotHold;
    };
    let Some(offered) = offered(case, used) else {
        return RuleResult::CannotTell;
    };
    let stateful = || insight.uses.iter().filter(|other| other.kept_here());
    let from_here = offered.credential.issued.is_some() || offered.mechanism == Mechanism::Psk;
    if stateful().any(|other| other.accepted) || stateful().take(2).count() < 2 || !from_here {
        return RuleResult::DoesNotHold;
    }
    let pattern = insight.pattern("ids-never-honoured");
    let confidence = if pattern.is_some() {
        Confidence::Inferred
    } else {
        Confidence::Possible
    };
    let (first, more) = offer_evidence(
        case,
        Some(offered.credential),
        "ClientHello offers a session that the server would have to keep",
    );
    RuleResult::holds(
        confidence,
        "no session that this service would have to keep was ever accepted",
        first,
        more,
    )
    .settled_by(pattern.map(|pattern| pattern.name))
}

reason! {
    /// ## What it means
    /// This very ticket was accepted before and is refused now. Some servers honour a ticket once, to keep early data
    /// from being replayed.
    ///
    /// ## How we know
    /// Both offers are in the capture. It stays `possible`: a key change or another backend would explain it too.
    pub(super) static SINGLE_USE_SPENT = {
        name: "single-use-spent", since: "0.1.0", stage: Inferred,
        summary: "the same ticket was accepted before and may be good only once",
        spec: [(8446, "8.1"), (8446, "C.4")],
        actor: Client,
        advice: "use each TLS 1.3 ticket once, and have the server issue enough of them (OpenSSL: SSL_CTX_set_num_tickets; Java 24: jdk.tls.server.newSessionTicketCount)",
        rule: single_use,
    }
}

fn single_use(case: &RuleContext<'_>) -> RuleResult {
    let Some((_, uses)) = uses(case) else {
        return RuleResult::CannotTell;
    };
    for used in uses {
        let Some(offered) = offered(case, used).filter(|offered| offered.mechanism == Mechanism::Psk) else {
            continue;
        };
        // A self-contained ticket can be spent only where the server keeps a record of it; a stateful one often is.
        let Some(previous) = used.previous.and_then(|previous| case.kept.get(previous)) else {
            continue;
        };
        if previous.accepted != Some(used.credential) || !used.stateful {
            continue;
        }
        let (first, mut more) = offer_evidence(case, Some(offered.credential), "ClientHello offers the ticket again");
        more.extend(
            previous
                .answer
                .yes()
                .map(|answer| Evidence::new(answer.at.frame, "the same ticket is accepted here")),
        );
        return RuleResult::holds(
            Confidence::Possible,
            "the ticket was accepted before; the server may honour it once",
            first,
            more,
        );
    }
    RuleResult::DoesNotHold
}
