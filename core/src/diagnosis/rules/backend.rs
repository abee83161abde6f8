//! Refused by another one than the one that has the session: backends, keys, failover.

use super::super::context::{Offered, RuleContext};
use super::super::service::key_verdict::{KeyVerdict, judge_key};
use super::super::service::uses::{ClosedBy, is_stateful};
use super::super::service::{ContingencyTable, ResumptionAttempt, ServiceAnalysis, Takeover};
use super::super::{Confidence, Evidence, RuleResult};
use super::reason;
use crate::net::hex;
use crate::session::{Connection, Credential, Service};

/// The decided use of a credential on the connection at hand, with what is known of the service.
pub(super) fn uses<'a>(case: &RuleContext<'a>) -> Option<(&'a ServiceAnalysis, Vec<&'a ResumptionAttempt>)> {
    let insight = case.insight()?;
    let start = insight.uses.partition_point(|used| used.time < case.hello_time());
    let same_time = insight
        .uses
        .get(start..)?
        .iter()
        .take_while(|used| used.time == case.hello_time());
    Some((
        insight,
        same_time
            .filter(|used| used.connection == case.id && !used.accepted)
            .collect(),
    ))
}

/// The offered credential of a use.
pub(super) fn offered<'a>(case: &RuleContext<'a>, used: &ResumptionAttempt) -> Option<Offered<'a>> {
    case.offered()
        .find(|offered| offered.offer.credential == used.credential)
}

/// The ClientHello that offers it, and where it was issued.
pub(super) fn offer_evidence(
    case: &RuleContext<'_>,
    credential: Option<&Credential>,
    text: &str,
) -> (Evidence, Vec<Evidence>) {
    let hello = case
        .connection
        .hello
        .yes()
        .map_or(case.connection.transport.first(), |hello| hello.at.frame);
    let issued = credential.and_then(|credential| credential.issued);
    let issued = issued.map(|issue| Evidence::new(issue.at.frame, "the credential was issued here"));
    (Evidence::new(hello, text), issued.into_iter().collect())
}

reason! {
    /// ## What it means
    /// The address was taken over by another machine, or the machine restarted, and the sessions of before are unknown
    /// to it. Clients that come back with them get a full handshake, all at about the same time.
    ///
    /// ## How we know
    /// Open connections were reset by a host that does not know them (RST without ACK), or another MAC address claimed
    /// the address; this credential was in use before and is refused after. It is `inferred` where MAC address or hop
    /// count show another machine, else `possible`: a restart looks the same.
    pub(super) static FAILOVER_NO_SHARED_STATE = {
        name: "failover-no-shared-state", since: "0.1.0", stage: Inferred,
        summary: "another machine took over the address without the sessions",
        spec: [(9293, "3.5.2"), (5246, "7.4.1.3")],
        actor: Server,
        advice: "synchronise ticket keys or the session cache to the standby (nginx: ssl_session_ticket_key; HAProxy: tls-ticket-keys; Apache: SSLSessionTicketKeyFile; Envoy: session_ticket_keys)",
        rule: failover,
    }
}

fn failover(case: &RuleContext<'_>) -> RuleResult {
    let Some((insight, uses)) = uses(case) else {
        return RuleResult::CannotTell;
    };
    for used in uses {
        let Some(offered) = offered(case, used) else { continue };
        let since = used
            .previous
            .and_then(|previous| case.kept.get(previous))
            .map(Connection::hello_time);
        let since = since
            .or(offered.credential.issued.map(|issue| issue.at.time))
            .or_else(|| first_seen(case, offered.credential));
        let Some(since) = since else { continue };
        let between = |takeover: &&Takeover| takeover.time > since && takeover.time < used.time;
        let Some(takeover) = insight.takeovers.iter().find(between) else {
            continue;
        };
        let confidence = if takeover.other_machine {
            Confidence::Inferred
        } else {
            Confidence::Possible
        };
        let (first, mut more) = offer_evidence(
            case,
            Some(offered.credential),
            "ClientHello offers a session from before the takeover",
        );
        more.insert(0, Evidence::new(takeover.at.frame, "the takeover shows here"));
        return RuleResult::holds(
            confidence,
            "the session is from before the address changed hands",
            first,
            more,
        )
        .settled_by(insight.pattern("failover").map(|pattern| pattern.name));
    }
    RuleResult::DoesNotHold
}

/// When a credential whose issue was not seen was offered for the first time.
fn first_seen(case: &RuleContext<'_>, credential: &Credential) -> Option<crate::net::Timestamp> {
    let users = credential.offers.iter().filter(|user| **user != case.id);
    users
        .filter_map(|user| case.kept.get(*user))
        .map(Connection::hello_time)
        .min()
}

reason! {
    /// ## What it means
    /// The ticket is sealed under a key that the answering server does not have, while that key is in use elsewhere
    /// behind the same address. Every client that comes to another backend than the one that issued its ticket pays
    /// for a full handshake.
    ///
    /// ## How we know
    /// Tickets show the name of their key. This key was at work before and after the refusal, or side by side with the
    /// key of the server that refused.
    pub(super) static STEK_NOT_SHARED = {
        name: "stek-not-shared", since: "0.1.0", stage: Inferred,
        summary: "the answering server lacks the ticket key, which is in use elsewhere",
        spec: [(5077, "4"), (8446, "4.6.1")],
        actor: Server,
        advice: "give every backend the same ticket keys (nginx: ssl_session_ticket_key; HAProxy: tls-ticket-keys; Apache: SSLSessionTicketKeyFile; Envoy: session_ticket_keys; OpenSSL: SSL_CTX_set_tlsext_ticket_keys)",
        rule: stek_not_shared,
    }
}

fn stek_not_shared(case: &RuleContext<'_>) -> RuleResult {
    key_finding(case, |verdict| match verdict {
        KeyVerdict::NotShared(confidence) => Some((
            confidence,
            "ticket-keys-not-shared",
            "is in use elsewhere and was refused here",
        )),
        KeyVerdict::Changed(_) | KeyVerdict::Nothing => None,
    })
}

reason! {
    /// ## What it means
    /// The key that seals the ticket is no longer in use: it was rotated away, or the server was restarted or reloaded
    /// without a key file. Tickets promised for longer died with it.
    ///
    /// ## How we know
    /// Tickets show the name of their key. This key was at work before, was never seen at work again, and another key
    /// took its place. It is `inferred` when both were seen so often that two servers taking turns would hardly look so,
    /// and where keys are known not to be shared, only if the machine is known to be the same; else `possible`.
    pub(super) static STEK_CHANGED = {
        name: "stek-changed", since: "0.1.0", stage: Inferred,
        summary: "the key of the ticket is no longer in use",
        spec: [(5077, "4"), (8446, "4.6.1")],
        actor: Server,
        advice: "keep the old key for decryption while its tickets live, and use a key file across restarts (nginx: several ssl_session_ticket_key lines; HAProxy: three keys in tls-ticket-keys; Apache: SSLSessionTicketKeyFile; Envoy: several session_ticket_keys; Java: jdk.tls.server.statelessKeyTimeout)",
        rule: stek_changed,
    }
}

fn stek_changed(case: &RuleContext<'_>) -> RuleResult {
    let takeover = case
        .insight()
        .is_some_and(|insight| insight.takeovers.iter().any(|takeover| takeover.other_machine));
    key_finding(case, |verdict| match verdict {
        // Another machine with a key of its own looks the same.
        KeyVerdict::Changed(_) if takeover => {
            Some((Confidence::Possible, "ticket-key-changed", "was not seen at work again"))
        }
        KeyVerdict::Changed(confidence) => Some((confidence, "ticket-key-changed", "was not seen at work again")),
        KeyVerdict::NotShared(_) | KeyVerdict::Nothing => None,
    })
}

fn key_finding(
    case: &RuleContext<'_>,
    pick: impl Fn(KeyVerdict) -> Option<(Confidence, &'static str, &'static str)>,
) -> RuleResult {
    let Some((insight, uses)) = uses(case) else {
        return RuleResult::CannotTell;
    };
    for used in uses {
        let verdict = judge_key(used, insight, case.hindsight, case.kept);
        let (Some((confidence, pattern, what)), Some(name)) = (pick(verdict), case.hindsight.key_name(used.credential))
        else {
            continue;
        };
        let credential = case.ledger.get(used.credential);
        let short = hex(name.bytes().get(..4).unwrap_or_default());
        let (first, mut more) = offer_evidence(
            case,
            credential,
            &format!("ClientHello offers a ticket under key {short}…"),
        );
        if let (Some(own), Some(issue)) = (case.hindsight.issued_under(case.connection), issue_here(case)) {
            more.push(Evidence::new(
                issue,
                format!(
                    "the server issues a ticket under key {}…",
                    hex(own.bytes().get(..4).unwrap_or_default())
                ),
            ));
        }
        return RuleResult::holds(confidence, format!("ticket key {short}… {what}"), first, more)
            .settled_by(insight.pattern(pattern).map(|pattern| pattern.name));
    }
    RuleResult::DoesNotHold
}

fn issue_here(case: &RuleContext<'_>) -> Option<crate::net::FrameRef> {
    let issued = case.connection.issued.iter().filter_map(|id| case.ledger.get(*id));
    issued
        .filter_map(|credential| credential.issued)
        .find(|issue| issue.connection == case.id)
        .map(|issue| issue.at.frame)
}

/// One refusal among acceptances may be anything; several of sessions that were closed cleanly look like several caches.
fn many_refusals(insight: &ServiceAnalysis) -> bool {
    let refused = |used: &&ResumptionAttempt| {
        used.kept_here() && !used.accepted && matches!(used.closed, ClosedBy::Cleanly | ClosedBy::Unknown)
    };
    insight.uses.iter().filter(refused).take(2).count() >= 2
}

reason! {
    /// ## What it means
    /// The client took the session of one server to another one, at another address, which cannot know it. A proxy that
    /// is the TLS client of several servers does this when it keeps one list of sessions for all of them.
    ///
    /// ## How we know
    /// The credential was issued, or accepted before, by another server address than the one that refuses it. It is
    /// `inferred` if that server honours what it issues and this one never honoured anything of another address, else
    /// `possible`; not named at all once it did, for then the servers share their state.
    pub(super) static OFFERED_TO_WRONG_BACKEND = {
        name: "offered-to-wrong-backend", since: "0.1.0", stage: Inferred,
        summary: "the client offered one server's session to another server",
        spec: [(5246, "7.4.1.2"), (5077, "4"), (8446, "4.6.1")],
        actor: Either,
        advice: "let the servers share ticket keys, or the proxy keep sessions by server (Envoy: max_session_keys 0, for a cluster has one list; HAProxy: no-ssl-reuse on a server line whose address changes; nginx: proxy_ssl_session_reuse off; Java: createSSLEngine with host and port)",
        rule: wrong_backend,
    }
}

fn wrong_backend(case: &RuleContext<'_>) -> RuleResult {
    let Some((insight, uses)) = uses(case) else {
        return RuleResult::CannotTell;
    };
    if insight.honours_foreign {
        return RuleResult::DoesNotHold;
    }
    for used in uses.into_iter().filter(|used| used.foreign) {
        let Some(offered) = offered(case, used) else { continue };
        let issued = offered.credential.issued.map(|issue| issue.connection);
        let Some(origin) = issued.or(used.previous).and_then(|origin| case.kept.get(origin)) else {
            continue;
        };
        // Where the address is not that of the machine, it says nothing about the machine; nor where the session was
        // issued here as well, on another leg of the same connection.
        let behind = origin.transport.behind().is_some() || case.connection.transport.behind().is_some();
        if behind || issued_here_too(case, used) {
            return RuleResult::CannotTell;
        }
        let service = Service::of(origin);
        let honoured = case.hindsight.service(&service).is_some_and(|own| own.honours_any);
        let confidence = if honoured {
            Confidence::Inferred
        } else {
            Confidence::Possible
        };
        let (first, mut more) = offer_evidence(
            case,
            Some(offered.credential),
            &format!(
                "ClientHello offers the session of {} to {}",
                origin.server, case.connection.server
            ),
        );
        if more.is_empty() {
            let answer = origin.answer.yes().map(|answer| answer.at.frame);
            more.extend(
                answer.map(|frame| Evidence::new(frame, "the credential was accepted here, by another server")),
            );
        }
        return RuleResult::holds(
            confidence,
            format!(
                "the session is of {}, and {} refused it",
                origin.server, case.connection.server
            ),
            first,
            more,
        );
    }
    RuleResult::DoesNotHold
}

/// Whether an earlier connection between these two addresses issued the credential.
fn issued_here_too(case: &RuleContext<'_>, used: &ResumptionAttempt) -> bool {
    const MAX_SEARCHED: usize = 64;
    case.history
        .earlier_between(case.kept, case.connection, case.id)
        .take(MAX_SEARCHED)
        .any(|(_, earlier)| earlier.issued.contains(&used.credential))
}

reason! {
    /// ## What it means
    /// The session lives in the cache of another backend than the one that answered. With N backends that share
    /// nothing, a client that is sent anywhere resumes once in N times.
    ///
    /// ## How we know
    /// Network marks tell the machines apart and sessions resume on their own machine and not on the other; or the same
    /// session was resumed again later, which the cache that refused it could not have learned. Else it is `possible`.
    pub(super) static OTHER_BACKEND_CACHE = {
        name: "other-backend-cache", since: "0.1.0", stage: Inferred,
        summary: "the session is in the cache of another backend",
        spec: [(5246, "7.4.1.3")],
        actor: Server,
        advice: "share the session cache or use tickets with shared keys, or keep a client on its backend (nginx: ssl_session_ticket_key; HAProxy: tls-ticket-keys, or balance source; Apache: SSLSessionCache with memcache, or SSLSessionTicketKeyFile; Envoy: session_ticket_keys)",
        rule: other_backend,
    }
}

fn other_backend(case: &RuleContext<'_>) -> RuleResult {
    let Some((insight, uses)) = uses(case) else {
        return RuleResult::CannotTell;
    };
    for used in uses.into_iter().filter(|used| used.kept_here()) {
        let Some(offered) = offered(case, used) else { continue };
        let (answering, previous) = (
            case.hindsight.backend(case.id),
            used.previous.and_then(|previous| case.hindsight.backend(previous)),
        );
        let again = insight.accepted_later(used);
        let (confidence, summary) = match (answering, previous) {
            (Some(answering), Some(previous)) if answering != previous => {
                let contrast = insight
                    .contrast("backend")
                    .is_some_and(ContingencyTable::first_resumes_more);
                let confidence = if contrast {
                    Confidence::Inferred
                } else {
                    Confidence::Possible
                };
                (
                    confidence,
                    format!("backend-{answering} answers; the session is from backend-{previous}"),
                )
            }
            // The same machine: not this.
            (Some(_), Some(_)) if again.is_none() => continue,
            _ if again.is_some() => (
                Confidence::Inferred,
                "the session was resumed again later: another cache refused it".to_owned(),
            ),
            // Without marks it is a guess: only where refusals come in numbers and nothing about the close suggests itself.
            _ if !many_refusals(insight) => continue,
            _ if !matches!(used.closed, ClosedBy::Cleanly | ClosedBy::Unknown) || !is_stateful(offered.credential) => {
                continue;
            }
            _ => (
                Confidence::Possible,
                "several machines without a shared cache may answer for this address".to_owned(),
            ),
        };
        let (first, mut more) = offer_evidence(case, Some(offered.credential), "ClientHello offers the session");
        if let Some(later) = again
            && let Some(hello) = case.kept.get(later.connection).and_then(|later| later.hello.yes())
        {
            more.push(Evidence::new(
                hello.at.frame,
                "the same session is offered and resumed here, later",
            ));
        }
        let pattern = (confidence > Confidence::Possible)
            .then(|| insight.pattern("session-state-not-shared"))
            .flatten();
        return RuleResult::holds(confidence, summary, first, more).settled_by(pattern.map(|pattern| pattern.name));
    }
    RuleResult::DoesNotHold
}
