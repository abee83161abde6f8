//! Refused by another one than the one that has the session: backends, keys, failover.

use super::super::RuleResult;
use super::super::context::RuleContext;
use super::super::explanations::Kind;
use super::explained::explained;
use super::reason;

reason! {
    /// ## What it means
    /// Another machine took over the address, or the machine restarted, and it does not know the earlier sessions.
    /// Clients that come back with them get a full handshake, all at about the same time.
    ///
    /// ## How we know
    /// Open connections were reset by a host that does not know them (RST without ACK), or another MAC address claimed
    /// the address; sessions in use before are refused after, and none from before is honoured. It is `inferred` where
    /// MAC address or hop count show another machine, or where the count reaches the bar; otherwise `possible`: a
    /// restart looks the same.
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
    explained(case, "failover-no-shared-state", &[Kind::Takeover])
}

reason! {
    /// ## What it means
    /// The ticket is sealed under a key that the answering server does not have, while that key is in use elsewhere
    /// behind the same address. Every client that reaches a backend other than the one that issued its ticket pays for
    /// a full handshake.
    ///
    /// ## How we know
    /// Tickets show the name of their key. This key is at work after the refusal, or was in use side by side with the
    /// key of the server that refused. It is `inferred` where tickets are issued in clear under the keys in turn, again
    /// and again, and each key opens its own tickets; without that, a key that was rolled out and taken back, or the
    /// moment of a reload, would look the same. Where another store answers and no name tells the keys apart, it is
    /// `possible`. A server that issues under the ticket's own key has it: then this is not the cause.
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
    let kinds = [Kind::OtherKey, Kind::OtherMachine, Kind::OtherStore];
    explained(case, "stek-not-shared", &kinds)
}

reason! {
    /// ## What it means
    /// The key that seals the ticket is no longer in use: it was rotated away, or the server was restarted or reloaded
    /// without a key file. Tickets promised for longer became worthless with it.
    ///
    /// ## How we know
    /// Tickets show the name of their key. This key was at work before, was never seen at work again, and another one
    /// took its place. It is `inferred` by the count only (see `sessions-lost-at-once`), otherwise `possible`: another
    /// server answering looks the same.
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
    explained(case, "stek-changed", &[Kind::KeyChanged])
}

reason! {
    /// ## What it means
    /// The client took the session of one server to another, at a different address or port, which cannot know it. A
    /// proxy that is the TLS client of several servers does this when it keeps one list of sessions for all of them.
    ///
    /// ## How we know
    /// The credential was issued, or accepted before, by a server address or port other than the one that refuses it;
    /// in TLS 1.3 the key of its ticket is at work only there. Ruled out once a session of that other server was
    /// accepted here, because they then share their state.
    pub(super) static OFFERED_TO_WRONG_BACKEND = {
        name: "offered-to-wrong-backend", since: "0.1.0", stage: Inferred,
        summary: "the client offered one server's session to another server",
        spec: [(5246, "7.4.1.2"), (5077, "4"), (8446, "4.6.1")],
        actor: Either,
        advice: "let the servers share ticket keys, or have the proxy keep sessions by server (Envoy: max_session_keys 0, because a cluster has one list; HAProxy: no-ssl-reuse on a server line whose address changes; nginx: proxy_ssl_session_reuse off; Java: createSSLEngine with host and port)",
        rule: wrong_backend,
    }
}

fn wrong_backend(case: &RuleContext<'_>) -> RuleResult {
    explained(case, "offered-to-wrong-backend", &[Kind::OtherServer])
}

reason! {
    /// ## What it means
    /// The session is in the cache of a backend other than the one that answered. With N backends that share nothing, a
    /// client that may be sent to any of them resumes once in N times. So it does where the cache is shared and the session
    /// context is not (OpenSSL: the session ID context): each backend finds the sessions of the others, and refuses them.
    ///
    /// ## How we know
    /// Either network marks tell the machines apart, and sessions resume on their own machine and not on the other
    /// (`inferred` where the count reaches the bar); or such sessions were resumed again later, alternating with the
    /// refusals: the cache that refused them could not have learned them, and one that was merely out of reach for a
    /// while would not alternate. Without either it is `possible`, and only where nothing better is. Packets do not show
    /// whether a backend lacks the session or its context.
    pub(super) static OTHER_BACKEND_CACHE = {
        name: "other-backend-cache", since: "0.1.0", stage: Inferred,
        summary: "the session is in the cache, or the context, of another backend",
        spec: [(5246, "7.4.1.3")],
        actor: Server,
        advice: "share the session cache or use tickets with shared keys, in either case with one session context, or keep a client on its backend (nginx: ssl_session_ticket_key; HAProxy: tls-ticket-keys, or balance source; Apache: SSLSessionCache with memcache, or SSLSessionTicketKeyFile; Envoy: session_ticket_keys; OpenSSL: SSL_CTX_set_session_id_context)",
        rule: other_backend,
    }
}

fn other_backend(case: &RuleContext<'_>) -> RuleResult {
    explained(case, "other-backend-cache", &[Kind::OtherMachine, Kind::OtherStore])
}
