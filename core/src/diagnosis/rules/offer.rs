//! Nothing was offered.

use super::super::confidence::BAR;
use super::super::context::{Gave, RuleContext, gave, order};
use super::super::{Confidence, Evidence, RuleResult};
use super::held::may_be_several_stores;
use super::reason;
use crate::net::{At, FrameRef};
use crate::session::{ClientHelloFacts, Completed, Connection, Outcome, TicketExtension, clocks_differ};

/// Earlier connections of a client that are looked at: what lies further back says nothing new.
const MAX_SEARCHED: usize = 256;

reason! {
    /// ## What it means
    /// The client opens with an SSLv2-format hello. A TLS session cannot be resumed with it, whatever the client holds.
    ///
    /// ## How we know
    /// The first bytes show the format.
    pub(super) static CLIENT_CANNOT_OFFER_V2_HELLO = {
        name: "client-cannot-offer-v2-hello", since: "0.1.0", stage: NothingOffered,
        summary: "the client uses an SSLv2-format hello, which cannot resume",
        spec: [(5246, "E.2")],
        actor: Client,
        advice: "turn off SSLv2-compatible hellos in the client",
        rule: v2_hello,
    }
}

fn v2_hello(case: &RuleContext<'_>) -> RuleResult {
    match case.connection.hello.yes() {
        Some(hello) if hello.v2_format => RuleResult::holds(
            Confidence::Observed,
            "the ClientHello has SSLv2 format",
            Evidence::new(hello.at.frame, "SSLv2-format ClientHello"),
            Vec::new(),
        ),
        Some(_) => RuleResult::DoesNotHold,
        None => RuleResult::CannotTell,
    }
}

reason! {
    /// ## What it means
    /// No earlier handshake of this client with this service completed in the capture, so the capture cannot show that
    /// it held anything to offer. Normal for the first connection.
    ///
    /// ## How we know
    /// Client means address and client stack (the make-up of its ClientHello); service means server endpoint and server
    /// name. Behind one address there may be several such clients: a hello that begins a new chain of sessions while
    /// every other chain from its address goes on is the first of another client; that is `inferred` up to TLS 1.2, where
    /// nothing from that address is silent otherwise. Where connections before it were folded away, or packets were lost
    /// while capturing, the client may have come before: `possible`.
    pub(in crate::diagnosis) static FIRST_IN_CAPTURE = {
        name: "first-in-capture", since: "0.1.0", stage: NothingOffered,
        summary: "first handshake of this client with this service in the capture",
        spec: [(8446, "2.2"), (5246, "7.3")],
        actor: Observer,
        advice: "normal for a first connection; a longer capture shows whether later ones resume",
        rule: first_in_capture,
    }
}

fn first_in_capture(case: &RuleContext<'_>) -> RuleResult {
    let Some(hello) = case.connection.hello.yes() else {
        return RuleResult::CannotTell;
    };
    // One whose ClientHello is lost may have come before.
    if case.history.may_hide_a_handshake(case.id, case.connection) {
        return RuleResult::CannotTell;
    }
    // One that failed gave nothing; one that is still under way, or that cannot be read, might have.
    let mut before = case.earlier().take(MAX_SEARCHED + 1);
    if before.any(|earlier| earlier.completed != Completed::No) {
        return another_client(case, hello.at.frame);
    }
    if case.earlier().nth(MAX_SEARCHED).is_some() {
        return RuleResult::CannotTell;
    }
    // So may one that was folded away, or whose packets were lost while capturing: of those nothing shows who came.
    if case.lacks_connections() {
        return RuleResult::holds(
            Confidence::Possible,
            "no earlier handshake of this client with this service is known; connections before it may be missing",
            Evidence::new(hello.at.frame, "ClientHello offers nothing"),
            Vec::new(),
        )
        .beside(
            vec![CLIENT_DID_NOT_OFFER.name],
            Some("a lossless capture of fewer connections, or one on the client"),
        );
    }
    RuleResult::holds(
        Confidence::Observed,
        "no earlier handshake of this client with this service completed in the capture",
        Evidence::new(
            hello.at.frame,
            "first ClientHello of this client to this service; it offers nothing",
        ),
        Vec::new(),
    )
}

/// Behind one address there may be many people with the same program: this hello begins a chain of credentials, while every
/// chain that began before it goes on, and older chains are used after newer ones, as one store of sessions would not do.
fn another_client(case: &RuleContext<'_>, hello: FrameRef) -> RuleResult {
    let row = case.analyses.attempts().of_connection(case.id);
    if !row.is_some_and(|row| row.newcomer) {
        return RuleResult::DoesNotHold;
    }
    RuleResult::holds(
        Confidence::Inferred,
        "first visit of another client behind this address, or of another session store there: everything given out before is still in use beside what begins here",
        Evidence::new(hello, "ClientHello offers nothing; every chain of sessions that began before it goes on"),
        Vec::new(),
    )
    .beside(vec![CLIENT_DID_NOT_OFFER.name], Some("a capture behind the balancer or translator, or on one client"))
}

reason! {
    /// ## What it means
    /// The server gave this client nothing to resume with: an empty session ID and no ticket.
    ///
    /// ## How we know
    /// Up to TLS 1.2 both would be visible. A client that does not ask for tickets is given none, whatever the server
    /// has for others; where this hello asks for them and none before did, or the other way round, it may come from
    /// another client, and the reason is `possible`. In TLS 1.3 tickets are encrypted; that none was sent is then
    /// concluded from the size of the server's first record after the handshake, and is only `possible`.
    pub(super) static SERVER_ISSUES_NOTHING = {
        name: "server-issues-nothing", since: "0.1.0", stage: NothingOffered,
        summary: "the server issues neither session IDs nor tickets",
        spec: [(5246, "7.4.1.3"), (5077, "3.3"), (8446, "4.6.1")],
        actor: Server,
        advice: "turn on tickets or a session cache (nginx: ssl_session_tickets on, ssl_session_cache shared:…; Apache: SSLSessionTickets on, SSLSessionCache; HAProxy: no no-tls-tickets)",
        rule: server_issues_nothing,
    }
}

fn server_issues_nothing(case: &RuleContext<'_>) -> RuleResult {
    let Some(hello) = case.connection.hello.yes() else {
        return RuleResult::CannotTell;
    };
    // A handshake that is not known may have given it something.
    let mut confidence = if case.lacks_connections() {
        Confidence::Possible
    } else {
        Confidence::Observed
    };
    let mut evidence = Vec::new();
    let mut refused_since = false;
    let (mut asked, mut alike) = (false, false);
    let asks = |hello: &ClientHelloFacts| hello.ticket != TicketExtension::Absent;
    let earlier = case.earlier().take(MAX_SEARCHED);
    for earlier in earlier.filter(|earlier| earlier.completed != Completed::No) {
        // Where one was resumed the server does issue, whatever came with the resumption.
        let gave = match gave(earlier) {
            Some((_, over)) if matches!(earlier.outcome, Outcome::Resumed(_)) => Some((Gave::Seen, over)),
            gave => gave,
        };
        match gave {
            Some((Gave::Nothing, _)) => {}
            Some((Gave::NothingInferred, _)) => confidence = Confidence::Possible,
            // What it was given before was refused since, with nothing in its place.
            Some((Gave::Seen | Gave::Inferred, _)) if refused_since => {
                confidence = Confidence::Possible;
                break;
            }
            Some((Gave::Seen | Gave::Inferred, _)) => return RuleResult::DoesNotHold,
            Some((Gave::Unclear, _)) | None => return RuleResult::CannotTell,
        }
        refused_since |= earlier.outcome == Outcome::Declined;
        // Tickets of TLS 1.3 need no asking.
        let before = earlier.hello.yes().filter(|_| !earlier.is_tls13());
        asked |= before.is_none_or(asks);
        alike |= before.is_none_or(|before| asks(before) == asks(hello));
        if let Some(answer) = earlier.answer.yes()
            && evidence.len() < 2
        {
            evidence.push(Evidence::new(
                answer.at.frame,
                "handshake of this client that issues neither a session ID nor a ticket",
            ));
        }
    }
    if evidence.is_empty() {
        return RuleResult::DoesNotHold;
    }
    let first = evidence.remove(0);
    evidence.push(Evidence::new(hello.at.frame, "ClientHello offers nothing"));
    RuleResult::holds(
        if alike { confidence } else { Confidence::Possible },
        if refused_since {
            "what this client had was refused, and the handshakes since gave it nothing to resume with"
        } else if asked {
            "earlier handshakes gave this client nothing to resume with"
        } else {
            "earlier handshakes gave this client no session ID, and it asks for no tickets"
        },
        first,
        evidence,
    )
}

reason! {
    /// ## What it means
    /// The client opened this connection before it could have received a credential from an earlier one: several
    /// connections at once, as browsers and connection pools open them. They all pay for a full handshake.
    ///
    /// ## How we know
    /// The ClientHello was sent before any earlier handshake of this client with this service was over. It is
    /// `inferred`, but only `possible` where that client may have made earlier handshakes that are not visible, or
    /// where the connections may come from different clients: where its address may stand for several session stores, as
    /// where sessions go on side by side, or where hellos without an offer come from there so often that more than 1 of 100
    /// of those that come at once would do so by chance.
    pub(super) static NO_CREDENTIAL_YET_PARALLEL = {
        name: "no-credential-yet-parallel", since: "0.1.0", stage: NothingOffered,
        summary: "opened in parallel, before a first credential could arrive",
        spec: [(8446, "4.6.1"), (5077, "3.3")],
        actor: Client,
        advice: "open one connection first and the others after it, or use one connection for all requests (HTTP/2)",
        rule: no_credential_yet,
    }
}

fn no_credential_yet(case: &RuleContext<'_>) -> RuleResult {
    let Some(hello) = case.connection.hello.yes() else {
        return RuleResult::CannotTell;
    };
    let mut under_way: Option<FrameRef> = None;
    let mut took: Vec<i64> = Vec::new();
    // Nothing visible can have given it that: it was here before, and may have used up what it had.
    let mut brought = false;
    let earlier = case.earlier().take(MAX_SEARCHED);
    for earlier in earlier.filter(|earlier| earlier.completed != Completed::No) {
        match over_at(earlier) {
            Some(over) if case.before_hello(over) => return RuleResult::DoesNotHold,
            Some(over) => {
                under_way = earlier.hello.yes().map(|hello| hello.at.frame).or(under_way);
                brought |= earlier.offered().next().is_some();
                took.push(over.time.since(earlier.hello_time()));
            }
            None => return RuleResult::CannotTell,
        }
    }
    match under_way {
        Some(frame) => {
            let doubtful = brought
                || may_be_several_stores(case)
                || case.lacks_the_past()
                || case.history.may_have_begun_before(case.id, case.connection)
                || took.iter().all(|takes| chance_of_meeting(case, *takes) > BAR);
            let (confidence, remaining) = if doubtful {
                (Confidence::Possible, vec![FIRST_IN_CAPTURE.name])
            } else {
                (Confidence::Inferred, Vec::new())
            };
            RuleResult::holds(
                confidence,
                "earlier handshakes of this client were still under way",
                Evidence::new(hello.at.frame, "ClientHello sent before an earlier handshake was over"),
                vec![Evidence::new(frame, "ClientHello of the earlier handshake")],
            )
            .beside(remaining, Some("a capture on the client, or one client alone"))
        }
        None => RuleResult::DoesNotHold,
    }
}

/// How likely one of the hellos that come at once has nothing to do with the others, as that of another client of the address has
/// not: by how often hellos come from there that offer nothing either, and how long the handshake takes that was under way. Of
/// many that come at once it is less likely this one. Where none comes at other times nothing speaks for several clients, unless
/// their sessions go on side by side.
fn chance_of_meeting(case: &RuleContext<'_>, takes: i64) -> f64 {
    let attempts = case.analyses.attempts();
    let Some(row) = attempts.of_connection(case.id) else {
        return 1.0;
    };
    if attempts.uses_chains_in_turn(row) {
        return 1.0;
    }
    let (rows, turn) = attempts.of_client(row);
    let near = rows.get(turn.saturating_sub(MAX_SEARCHED)..rows.len().min(turn + MAX_SEARCHED));
    let near = || attempts.rows_at(near.unwrap_or_default());
    let first = near().next().map_or(row.time, |first| first.time);
    let span = near().next_back().map_or(row.time, |last| last.time).since(first);
    // What comes at once counts once.
    let (mut groups, mut own, mut latest) = (0_u32, 0, None);
    for silent in near().filter(|row| row.silent) {
        let apart = latest.is_none_or(|latest| silent.time.since(latest) > takes);
        groups += u32::from(apart);
        latest = Some(silent.time);
        own += i32::from(silent.time.since(row.time).abs() <= takes);
    }
    if groups < 2 || span <= 0 {
        return 0.0;
    }
    let often = f64::from(groups - 1) / nanos(span);
    -(-often * nanos(takes)).exp_m1() / f64::from((own - 1).max(1))
}

/// Far below 2^53.
#[allow(clippy::cast_precision_loss)]
const fn nanos(span: i64) -> f64 {
    span as f64
}

/// When a handshake was over for its client. With bytes lost its end may have been earlier than it seems; by another clock than
/// that of the hellos it may have been at any time.
fn over_at(connection: &Connection) -> Option<At> {
    let [client, server] = [&connection.client_side, &connection.server_side];
    if client.handshake_loss.is_some() || server.handshake_loss.is_some() || clocks_differ(connection) {
        return None;
    }
    client.finished.into_iter().chain(server.finished).max_by_key(order)
}

reason! {
    /// ## What it means
    /// The client held a credential for this service and offered none. Why is not visible: no session cache, a new
    /// process for each connection, a cache keyed by something that changed, a policy. A cause that can be inferred
    /// replaces this bare fact; one that is only possible is listed after it.
    ///
    /// ## How we know
    /// An earlier handshake of the same client stack with the same service issued a credential in time. It is
    /// `observed` where the hello could not resume anything (TLS 1.3 without psk_key_exchange_modes), otherwise
    /// `possible`: one address and client stack may be several clients, each with a store of its own.
    pub(in crate::diagnosis) static CLIENT_DID_NOT_OFFER = {
        name: "client-did-not-offer", since: "0.1.0", stage: NothingOffered,
        summary: "the client had something to offer and did not offer it",
        spec: [(5246, "7.4.1.2"), (8446, "4.2.11")],
        actor: Client,
        advice: "turn on the client's session cache and share it between connections (curl: one process or --ssl-sessions; OpenSSL: SSL_set_session; Java: one SSLContext; nginx: proxy_ssl_session_reuse on; HAProxy: no no-ssl-reuse; Envoy: max_session_keys)",
        rule: did_not_offer,
    }
}

fn did_not_offer(case: &RuleContext<'_>) -> RuleResult {
    let Some(hello) = case.connection.hello.yes() else {
        return RuleResult::CannotTell;
    };
    let Some(issuance) = case.latest_gift() else {
        return nothing_visible_to_offer(case, hello.at.frame);
    };
    let earlier = issuance.from;
    let shown = earlier.answer.yes().map(|answer| answer.at.frame);
    let (gave, issues) = if issuance.is_sure() {
        ("gave", "earlier handshake of this client that issued a credential")
    } else {
        (
            "may have given",
            "earlier handshake of this client; whether it issued anything is not visible",
        )
    };
    let issued = shown.map(|frame| Evidence::new(frame, issues));
    let evidence = Evidence::new(hello.at.frame, "ClientHello offers nothing");
    // RFC 8446 §4.2.9: without the modes no PSK can be offered, whatever the client holds.
    if earlier.is_tls13() && hello.offers_tls13 && hello.psk_modes.is_none() {
        let more = if hello.ticket == TicketExtension::Absent {
            "the hello has neither psk_key_exchange_modes nor session_ticket: resumption is off in this client"
        } else {
            "the hello has no psk_key_exchange_modes: it cannot resume a session of TLS 1.3"
        };
        return RuleResult::holds(Confidence::Observed, more, evidence, issued.into_iter().collect());
    }
    let who = case.connection.client_address();
    RuleResult::holds(
        Confidence::Possible,
        format!("an earlier handshake {gave} a client at {who} a credential; this one offers none"),
        evidence,
        issued.into_iter().collect(),
    )
    .beside(
        vec![FIRST_IN_CAPTURE.name],
        Some("a capture on the client, or one client alone"),
    )
}

/// The client was here before, and whether it was given anything cannot be seen.
fn nothing_visible_to_offer(case: &RuleContext<'_>, hello: FrameRef) -> RuleResult {
    let unclear = |earlier: &Connection| match gave(earlier) {
        Some((Gave::Unclear | Gave::NothingInferred, from)) => case.before_hello(from),
        Some((Gave::Seen | Gave::Inferred | Gave::Nothing, _)) => false,
        // Of one that was seen in part it cannot be told; one that was still under way gave nothing yet.
        None => earlier.completed != Completed::No && over_at(earlier).is_none_or(|over| case.before_hello(over)),
    };
    if !case.earlier().take(MAX_SEARCHED).any(unclear) && !case.lacks_the_past() {
        return RuleResult::DoesNotHold;
    }
    RuleResult::holds(
        Confidence::Possible,
        "the client offers nothing; whether it held anything is not visible",
        Evidence::new(hello, "ClientHello offers nothing"),
        Vec::new(),
    )
}
