//! Nothing was offered although something had been given: the credential ran out, or was dropped.

use super::super::attempts::closed_by;
use super::super::behaviour::{Unclean, gave_nothing_new};
use super::super::confidence::UNITS;
use super::super::context::{Issuance, RuleContext};
use super::super::credentials::MAX_AGE;
use super::super::{Confidence, Evidence, RuleResult};
use super::reason;
use crate::net::span::SECOND;
use crate::net::{FrameRef, Timestamp};
use crate::session::{CloseClass, Connection, ConnectionId, Side};

/// A cause of silence can be told from mere silence only where this client offers at other times.
fn at_best(case: &RuleContext<'_>, offers: bool) -> Confidence {
    // What was folded away at the memory limit, or lost while capturing, may show otherwise.
    if offers && !case.lacks_the_past() {
        Confidence::Inferred
    } else {
        Confidence::Possible
    }
}

/// The ClientHello that offers nothing.
pub(super) fn silent_hello(case: &RuleContext<'_>) -> Option<Evidence> {
    let hello = case.connection.hello.yes()?;
    Some(Evidence::new(hello.at.frame, "ClientHello offers nothing"))
}

reason! {
    /// ## What it means
    /// The client waited longer than its credential was good for, and threw it away. Clients do this silently: the next
    /// connection simply offers nothing.
    ///
    /// ## How we know
    /// The NewSessionTicket states the lifetime (TLS 1.2), and this client's newest ticket was older. In TLS 1.3 the
    /// lifetime is encrypted, so only the limit of seven days counts. It is `possible`: the next connection may be
    /// another client's.
    pub(super) static CREDENTIAL_EXPIRED_CLIENT_SIDE = {
        name: "credential-expired-client-side", since: "0.1.0", stage: NothingOffered,
        summary: "the client's credential had run out, and it offered none",
        spec: [(5077, "3.3"), (8446, "4.6.1")],
        actor: Server,
        advice: "raise the lifetime above the usual pause between connections (nginx: ssl_session_timeout; Apache: SSLSessionCacheTimeout; HAProxy: tune.ssl.lifetime; OpenSSL: SSL_CTX_set_timeout; Java: jdk.tls.server.sessionTicketTimeout)",
        rule: expired,
    }
}

fn expired(case: &RuleContext<'_>) -> RuleResult {
    let (Some(hello), Some(issuance)) = (silent_hello(case), case.latest_gift()) else {
        return RuleResult::CannotTell;
    };
    let Some((age, lifetime, frame)) = ran_out(case, &issuance) else {
        return RuleResult::DoesNotHold;
    };
    RuleResult::holds(
        Confidence::Possible,
        format!("the client's newest credential was {age} s old and good for {lifetime} s"),
        hello,
        vec![Evidence::new(
            frame,
            format!("the credential was issued here, for {lifetime} s"),
        )],
    )
}

/// Age, lifetime and issue of the credential of a client all of whose credentials have run out.
fn ran_out(case: &RuleContext<'_>, issuance: &Issuance<'_>) -> Option<(i64, i64, FrameRef)> {
    if issuance.from.is_tls13() {
        let age = case.hello_time().since(issuance.over.time) / SECOND;
        return (age > MAX_AGE).then_some((age, MAX_AGE, issuance.over.frame));
    }
    let mut youngest = None;
    for (_, credential) in case.left_with(issuance.from) {
        let issue = credential.issued?;
        // A lifetime of 0 is none (RFC 5077 §3.3).
        let lifetime = credential.lifetime.filter(|seconds| *seconds > 0).map(i64::from)?;
        let age = case.hello_time().since(issue.at.time) / SECOND;
        if age <= lifetime {
            return None;
        }
        youngest = Some((age, lifetime, issue.at.frame));
    }
    youngest
}

/// The latest of these connections before this one. Offers stand in the order of their hellos: a session that is offered a
/// million times is not walked through for each of its users.
fn latest_before<'a>(case: &RuleContext<'a>, offers: &[ConnectionId]) -> Option<&'a Connection> {
    let earlier_than = |time: Timestamp| {
        offers.partition_point(|id| {
            case.connection_store
                .get(*id)
                .is_none_or(|user| user.hello_time() < time)
        })
    };
    let before = offers.get(..earlier_than(case.hello_time()))?;
    before.iter().rev().find_map(|id| case.connection_store.get(*id))
}

/// The latest connection before this one that issued or offered what the client was left with.
fn last_use<'a>(case: &RuleContext<'a>, issuance: &Issuance<'a>) -> &'a Connection {
    let users = case.left_with(issuance.from);
    let later_users = users.filter_map(|(_, credential)| latest_before(case, &credential.offers));
    later_users.fold(issuance.from, |last, user| {
        if user.hello_time() > last.hello_time() {
            user
        } else {
            last
        }
    })
}

/// Whether what the client was left with is offered after this hello: then it was not dropped.
fn is_offered_later(case: &RuleContext<'_>, issuance: &Issuance<'_>) -> bool {
    let later = |id: &ConnectionId| {
        case.connection_store
            .get(*id)
            .is_some_and(|user| user.hello_time() > case.hello_time())
    };
    // In TLS 1.3 there are more tickets than the one that was dropped.
    let mut left = case.left_with(issuance.from).filter(|_| !issuance.from.is_tls13());
    left.any(|(_, credential)| credential.offers.last().is_some_and(later))
}

/// Behind this address and stack there are several stores of sessions, as far as can be told: what one of them offers after
/// other ends says nothing of another.
pub(super) fn may_be_several_stores(case: &RuleContext<'_>) -> bool {
    let attempts = case.analyses.attempts();
    attempts
        .of_connection(case.id)
        .is_some_and(|row| attempts.may_be_several_stores(row))
}

reason! {
    /// ## What it means
    /// The connection that last used the session ended with a fatal alert, and the client therefore forgot the session,
    /// as TLS up to 1.2 requires. The alert costs one more full handshake.
    ///
    /// ## How we know
    /// The alert was seen in clear, and the next connection of this client offers nothing. It is `inferred` where this
    /// client offers after clean ends and never after such an alert, three times each and with a chance of at most 1 in
    /// 100. It stays `possible` in TLS 1.3, where a client may hold more tickets, and where an address shows several
    /// session stores. It is not reported for a client that was never seen to offer after a clean end.
    pub(super) static CLIENT_DROPPED_AFTER_FATAL_ALERT = {
        name: "client-dropped-after-fatal-alert", since: "0.1.0", stage: NothingOffered,
        summary: "the client forgot the session when a fatal alert ended its connection",
        spec: [(5246, "7.2.2"), (8446, "6.2")],
        actor: Either,
        advice: "find out what the alert was about; it costs the session as well",
        rule: dropped_after_alert,
    }
}

fn dropped_after_alert(case: &RuleContext<'_>) -> RuleResult {
    let (Some(hello), Some(issuance)) = (silent_hello(case), case.latest_gift()) else {
        return RuleResult::CannotTell;
    };
    let last = if issuance.from.is_tls13() {
        case.earlier().next().unwrap_or(issuance.from)
    } else {
        last_use(case, &issuance)
    };
    let alert = Side::BOTH
        .into_iter()
        .find_map(|side| last.side(side).fatal_alert())
        .filter(|alert| case.before_hello(alert.at));
    let Some(alert) = alert.filter(|_| last.close.class.yes() == Some(&CloseClass::FatalAlert)) else {
        return RuleResult::DoesNotHold;
    };
    let behaviour = case.behaviour();
    // A client that offers after no clean end either drops nothing for an alert.
    let offers = behaviour.clean.all().offered > 0 && behaviour.alert.all().offered == 0;
    if !offers || is_offered_later(case, &issuance) {
        return RuleResult::DoesNotHold;
    }
    let contrast = behaviour.differs_after(behaviour.alert, gave_nothing_new(last)) && !issuance.from.is_tls13();
    RuleResult::holds(
        at_best(case, contrast && !may_be_several_stores(case)),
        "the connection that used the client's session last ended with a fatal alert",
        Evidence::new(alert.at.frame, format!("fatal alert: {}", alert.description)),
        vec![hello],
    )
    .placed(0)
}

reason! {
    /// ## What it means
    /// The connection that last used the session ended without close_notify, and the client therefore forgot the
    /// session. TLS 1.0 asks for that; later versions do not, but some clients still do it: a program on OpenSSL that
    /// frees a connection without SSL_shutdown, or one that treats a bare FIN as an error.
    ///
    /// ## How we know
    /// The close is in the capture. It is `inferred` where three things hold: this client offers its session after clean
    /// closes and never after such ones, significantly often, compared apart where the last connection used a session and
    /// gave nothing new; its address shows only one session store (which takes keys in TLS 1.3); and its program is seen
    /// to keep running, at least three times: another of its connections is open from before the close until after the
    /// hello that offers nothing. Otherwise it is `possible`, because a program that exits also closes uncleanly, and the
    /// next one has nothing to offer. One offer after such a close rules it out; so does never having seen this client
    /// offer after a clean close.
    pub(super) static CLIENT_DROPPED_AFTER_UNCLEAN_CLOSE = {
        name: "client-dropped-after-unclean-close", since: "0.1.0", stage: NothingOffered,
        summary: "the client forgot the session when its connection ended uncleanly",
        spec: [(2246, "7.2.1"), (4346, "7.2.1")],
        actor: Either,
        advice: "have both ends send close_notify before they close (OpenSSL: SSL_shutdown before SSL_free; HAProxy: no option nolinger; Apache: no ssl-unclean-shutdown)",
        rule: dropped_after_unclean_close,
    }
}

fn dropped_after_unclean_close(case: &RuleContext<'_>) -> RuleResult {
    let (Some(hello), Some(issuance)) = (silent_hello(case), case.latest_gift()) else {
        return RuleResult::CannotTell;
    };
    let last = last_use(case, &issuance);
    let Some(unclean) = Unclean::of(closed_by(last, case.hello_time())) else {
        return RuleResult::DoesNotHold;
    };
    let behaviour = case.behaviour();
    let after = behaviour.after(unclean);
    // As with alerts: the silence of a client that offers after no clean end says nothing of this one.
    let (clean, unclean_ends) = (behaviour.clean.all(), after.all());
    let offers = clean.offered > 0 && unclean_ends.offered == 0;
    if !offers || is_offered_later(case, &issuance) {
        return RuleResult::DoesNotHold;
    }
    let contrast = behaviour.differs_after(after, gave_nothing_new(last));
    // In TLS 1.3 nothing ties tickets to the close: only the contrast speaks.
    if issuance.from.is_tls13() && !contrast {
        return RuleResult::DoesNotHold;
    }
    let side = match unclean {
        Unclean::Client => Side::Client,
        Unclean::Server => Side::Server,
    };
    let end = last.side(side).ended().map(|at| at.frame);
    let mut evidence = vec![hello];
    evidence.extend(end.map(|frame| Evidence::new(frame, "the session's latest connection ends without close_notify")));
    let first = evidence
        .pop()
        .unwrap_or_else(|| Evidence::new(last.transport.last(), "last packet"));
    // A program that ends leaves its connections without close_notify, and its sessions end with it.
    let lives_on = u64::from(behaviour.alive_after(unclean)) >= UNITS;
    RuleResult::holds(
        at_best(case, contrast && lives_on && !may_be_several_stores(case)),
        format!(
            "this client offers after {} of {} clean closes and after none of {} closes like the last one (p = {:.3})",
            clean.offered,
            clean.offered + clean.silent,
            unclean_ends.silent,
            behaviour.chance_after(after),
        ),
        first,
        evidence,
    )
}
