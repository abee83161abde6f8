//! Lost with a restart, a reload or a renewed certificate; and clients that keep offering what a newer one replaced.

use super::super::context::RuleContext;
use super::super::explanations::Kind;
use super::super::{Confidence, Evidence, RuleResult};
use super::explained::explained;
use super::reason;

reason! {
    /// ## What it means
    /// Everything that the server had made before some moment became worthless at once: it was restarted or reloaded,
    /// its cache was emptied, its key or its session context was replaced, or another machine took over. Every client that
    /// comes back afterwards pays for one full handshake, whatever lifetime was promised.
    ///
    /// ## How we know
    /// One moment lies between the issue and the refusal of all these sessions, and between issue and acceptance of
    /// none. It is `inferred` where the count reaches the bar (three on each side, a chance of at most 1 in 100 after
    /// all corrections) and rows refute that age, another machine or another key explains as many; otherwise
    /// `possible`. Packets do not show whether the server lost the sessions or finds them in another context.
    pub(super) static SERVER_LOST_SESSIONS = {
        name: "server-lost-sessions", since: "0.2.0", stage: Inferred,
        summary: "everything from before some moment became worthless",
        spec: [(5246, "7.4.1.3"), (5077, "4")],
        actor: Server,
        advice: "keep the cache, the ticket keys and the session context across restarts and reloads (nginx: ssl_session_ticket_key with a file, and restart rarely; HAProxy: tls-ticket-keys, because its cache dies with the process; Apache: SSLSessionTicketKeyFile; Envoy: session_ticket_keys; OpenSSL: SSL_CTX_set_session_id_context)",
        rule: lost,
    }
}

fn lost(case: &RuleContext<'_>) -> RuleResult {
    explained(case, "server-lost-sessions", &[Kind::LostAtOnce])
}

reason! {
    /// ## What it means
    /// The server has the key or the cache of the session, but a different context: another certificate, other rules
    /// for client certificates, or no session ID context at all. Servers on OpenSSL compare the context (nginx puts the
    /// certificate into it) and refuse what was made in another one; those that verify clients but have no context end
    /// the handshake.
    ///
    /// ## How we know
    /// The refusing flight shows a certificate other than the one under which the session was made, under the same name
    /// and to the same client stack; where certificates are encrypted, the service has only one ticket key and shows
    /// several certificates in turn. Acceptances show no certificate, so nothing can be counted: it is `possible`.
    pub(super) static SESSION_CONTEXT_MISMATCH = {
        name: "session-context-mismatch", since: "0.2.0", stage: Inferred,
        summary: "the session was made in another context: certificate or client rules",
        spec: [(5246, "7.4.1.3"), (5077, "5.1")],
        actor: Server,
        advice: "use the same certificate and context wherever the key or cache is shared, and expect one full handshake per client after a renewal (OpenSSL: SSL_CTX_set_session_id_context; nginx and Apache derive it from certificate and settings)",
        rule: other_context,
    }
}

fn other_context(case: &RuleContext<'_>) -> RuleResult {
    explained(
        case,
        "session-context-mismatch",
        &[
            Kind::OtherContext,
            Kind::ContextRenewed,
            Kind::OtherMachine,
            Kind::OtherStore,
        ],
    )
}

reason! {
    /// ## What it means
    /// The client was given a newer ticket for this very session and still offers the old one. That by itself does not
    /// cause the refusal: the old ticket ran out, or its key was retired, while the newer one would have been honoured.
    ///
    /// ## How we know
    /// The connection that used or offered the old ticket issued the newer one, both in clear, and was through with it before
    /// this one began: what is opened in parallel takes the ticket that is at hand.
    pub(super) static CLIENT_KEEPS_OLD_TICKET = {
        name: "client-keeps-old-ticket", since: "0.2.0", stage: Inferred,
        summary: "the client offers a ticket although it was given a newer one",
        spec: [(5077, "3.3")],
        actor: Client,
        advice: "let the client's session store replace a ticket with each newer one that it is given (OpenSSL: SSL_CTX_sess_set_new_cb; Java: one SSLContext for all connections)",
        rule: keeps_old,
    }
}

fn keeps_old(case: &RuleContext<'_>) -> RuleResult {
    let Some(hello) = case.connection.hello.yes() else {
        return RuleResult::CannotTell;
    };
    let mut offers = case
        .analyses
        .entries(case.id)
        .filter(|(_, entry)| entry.failed())
        .peekable();
    if offers.peek().is_none() || !offers.all(|(_, entry)| entry.outdated) {
        return RuleResult::DoesNotHold;
    }
    let issue = case.offered().find_map(|offered| offered.credential.issued);
    RuleResult::holds(
        Confidence::Observed,
        "the client offers a ticket although it had been given a newer one",
        Evidence::new(hello.at.frame, "ClientHello offers the older ticket"),
        issue
            .map(|issue| Evidence::new(issue.at.frame, "the older ticket was issued here"))
            .into_iter()
            .collect(),
    )
}
