//! The catalogue of patterns: what service analysis can say about a service, with its explanation. `explain`,
//! `docs/reasons.md` and completions are functions over [`PATTERNS`]; nothing else lists patterns.

/// One entry of the catalogue.
#[derive(Debug)]
pub struct PatternKind {
    /// Public name in kebab case. A published name keeps its meaning.
    pub name: &'static str,
    /// Version that introduced it.
    pub since: &'static str,
    /// What it says in general, at most 80 characters, no full stop.
    pub summary: &'static str,
    /// What to do, with the setting's name.
    pub advice: &'static str,
    /// "What it means" and "How we know", in Markdown.
    pub text: &'static str,
}

impl PatternKind {
    /// The pattern with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        PATTERNS.iter().find(|kind| kind.name == name)
    }
}

/// Every pattern, causes of refusals first.
pub static PATTERNS: &[PatternKind] = &[
    PatternKind {
        name: "session-state-not-shared",
        since: "0.1.0",
        summary: "backends do not share session state",
        advice: "share the session cache or the ticket keys between the backends, and the session context with them, or keep a client on its backend (nginx: ssl_session_ticket_key with the same file on all; HAProxy: tls-ticket-keys; Apache: SSLSessionTicketKeyFile; OpenSSL: SSL_CTX_set_session_id_context)",
        text: "## What it means

Several servers answer behind one address, and each honours only what it issued itself. With N of them and clients
spread evenly, one offer in N is accepted. Such a service looks healthy: every connection works, but most handshakes are
full.

## How we know

The backends are told apart by marks on their packets; sessions that come back to the backend that has them resume, and
those that go to another one do not (the contrast shows the counts of sessions and their exact chance, after all
corrections). Without marks: sessions were refused and later accepted, again and again, which a single store that was
out of reach for a while would not show; or the refused tickets are under a key that another server is using. Where
nothing proves it, it is `possible`, and other causes come first. Of session IDs packets do not show whether the caches
are apart, or one cache holds sessions of different contexts (OpenSSL: session ID context).
",
    },
    PatternKind {
        name: "ticket-keys-not-shared",
        since: "0.1.0",
        summary: "servers or workers use ticket keys of their own side by side",
        advice: "give every backend the same ticket keys and rotate them together (nginx: ssl_session_ticket_key; HAProxy: tls-ticket-keys; Apache: SSLSessionTicketKeyFile; Envoy: session_ticket_keys)",
        text: "## What it means

A ticket can be opened only by a server that has its key. Here several keys are in use at the same time, each by some of
the servers, or by single worker processes of one host. A client that reaches another one does a full handshake.

## How we know

Tickets begin with the name of their key. Two names were at work, issuing or accepting, at the same time, and tickets
were refused although their key was in use. It is `inferred` where tickets are issued in clear under the keys in turn,
again and again, and each key opens its own tickets: a key that is rolled out and taken back comes back once, and during
a reload two keys issue only for a moment. A server that issues under the ticket's own key in the refusing handshake has
that key.
",
    },
    PatternKind {
        name: "ticket-key-changed",
        since: "0.1.0",
        summary: "the ticket key changed, and older tickets are refused",
        advice: "keep the old key for decryption while its tickets live, and do not reload without a key file (nginx: several ssl_session_ticket_key lines; HAProxy: three keys in tls-ticket-keys)",
        text: "## What it means

A new ticket key took the place of the old one: a rotation, a reload or a restart that made a new random key. Tickets
under the old key are worthless from then on, whatever lifetime was advertised with them.

## How we know

Tickets begin with the name of their key. The old name was last at work before the new one appeared, tickets under it
were refused afterwards, and the new one stays in use. It is only `possible` when the new key was seen once, or when the
address moved to another machine in the meantime, whose own key would look the same.
",
    },
    PatternKind {
        name: "sessions-lost-at-once",
        since: "0.2.0",
        summary: "everything from before some moment was lost",
        advice: "keep session cache, ticket keys and session context across restarts and reloads (nginx: ssl_session_ticket_key; HAProxy: tls-ticket-keys; Apache: SSLSessionTicketKeyFile; Envoy: session_ticket_keys)",
        text: "## What it means

At some moment everything that the server had made became worthless: a restart, a reload, an emptied cache, a new key,
another machine or another context. Clients that come back afterwards do one full handshake each, all at about the same
time.

## How we know

One moment lies between the issue and the refusal of these sessions, and between issue and acceptance of none. The count
compares the sessions from before it with those that span no such moment. It is only `possible` while age separates them
as well (all made together), or while one session of one client is all there is. What is known about the moment (a new
key, a takeover, another certificate) is reported as a pattern of its own, of which this one is a consequence.
",
    },
    PatternKind {
        name: "session-context-mismatch",
        since: "0.2.0",
        summary: "sessions are offered to a context other than the one they were made in",
        advice: "use the same certificate and context wherever the key or cache is shared (OpenSSL: SSL_CTX_set_session_id_context)",
        text: "## What it means

Servers compare the context of a session with their own: its certificate, the rules for client certificates, the
session ID context of OpenSSL. Where the key or the cache is shared and the context is not, every session is found and
refused.

## How we know

Refusing flights show a certificate other than the one under which the session was made, to the same client stack and
name: in turn, or from one moment on. Where the certificates are encrypted (TLS 1.3), the service has one ticket key and
shows several certificates in turn. What only refusals show cannot be counted: it is `possible`.
",
    },
    PatternKind {
        name: "declined-after-hello-retry",
        since: "0.2.0",
        summary: "sessions are refused where a HelloRetryRequest was sent",
        advice: "let clients send a key share of a group that the server takes in their first hello (OpenSSL: Groups; curl: --curves), so that no HelloRetryRequest is needed",
        text: "## What it means

The server asks for another key share with HelloRetryRequest, and accepts no PSK from the second ClientHello. The same
clients resume where their first key share fits.

## How we know

Offers after a HelloRetryRequest and offers without one are counted against each other; one PSK that was accepted
after a HelloRetryRequest refutes it.
",
    },
    PatternKind {
        name: "offers-break-handshakes",
        since: "0.2.0",
        summary: "offering a session breaks the handshake",
        advice: "switch resumption off until the server takes sessions again (OpenSSL servers that verify clients: SSL_CTX_set_session_id_context; with client certificates: drop sessions when the certificate is renewed)",
        text: "## What it means

Clients that offer a session get an alert or a closed connection, and the same clients get through without one. Many of
them retry without a session, so users see delays rather than errors.

## How we know

Broken handshakes with an offer and successful ones without, of the same client stack, are counted against each other.
An offer of the same kind that went through refutes it.
",
    },
    PatternKind {
        name: "no-ticket-on-resumption",
        since: "0.2.0",
        summary: "every second connection is full: no ticket is issued on resumption",
        advice: "issue tickets on resumption too, or two at a time (OpenSSL: SSL_CTX_set_num_tickets; Postfix: a release that issues on resumption; Java 24: jdk.tls.server.newSessionTicketCount)",
        text: "## What it means

The server gives one ticket with a full handshake and none with a resumption. TLS 1.3 clients use each ticket once (RFC
8446 C.4), so after every resumption they have nothing left, and every second connection is full.

## How we know

Clients offer a ticket after a full handshake and nothing after a resumed one, without exception. TLS 1.3 tickets are
encrypted: without keys it stays `possible`.
",
    },
    PatternKind {
        name: "failover",
        since: "0.1.0",
        summary: "another machine, or a restarted one, took over the address",
        advice: "synchronise ticket keys or the session cache to the standby, so that sessions survive a takeover (nginx: ssl_session_ticket_key; HAProxy: tls-ticket-keys; Apache: SSLSessionTicketKeyFile; Envoy: session_ticket_keys)",
        text: "## What it means

From some moment on, the address was answered by a host that did not know its open connections: a standby took over, or
the same host was restarted. Clients see a reset and connect again; without shared state all of them do full handshakes
at once.

## How we know

Working connections were reset without the ACK flag, as a host does that has no such connection (RFC 9293 §3.5.2), or
another MAC address announced the address. It is `inferred` when a MAC address or hop count shows another machine, and
`possible` otherwise: a restart of the same host looks the same.
",
    },
    PatternKind {
        name: "unclean-close-invalidates",
        since: "0.1.0",
        summary: "sessions are lost when the client side closes without close_notify",
        advice: "have the client or proxy send close_notify before it closes (HAProxy: plain TCP checks instead of check-ssl; drop option nolinger), or use tickets, which no close can harm",
        text: "## What it means

The server drops a session from its cache when one of its connections ends with a reset, or with a bare FIN, from the
client's side. Typical sources of such closes are proxy health checks, impatient clients and `SO_LINGER` with time 0.
TLS 1.0 requires it (RFC 2246 §7.2.1), TLS 1.1 no longer does, but some servers still do it.

## How we know

Session IDs that were offered after such a close were all refused, and after a clean close they resumed. A single
session that survived such a close rules this out. Without enough sessions of both kinds it stays `possible`. Tickets
are not counted: no close can affect them.
",
    },
    PatternKind {
        name: "server-close-invalidates",
        since: "0.1.0",
        summary: "sessions are lost when the server side closes without close_notify",
        advice: "have the server application send close_notify (OpenSSL: SSL_shutdown before SSL_free), or use tickets",
        text: "## What it means

The server application closes its connections without close_notify, and its TLS library then treats the session as
broken and drops it from the cache. The client cannot do anything about it.

## How we know

Session IDs whose connection the server had closed uncleanly were all refused, and after a clean close they resumed. A
single session that survived such a close rules this out. Without enough sessions of both kinds it stays `possible`.
",
    },
    PatternKind {
        name: "session-times-out",
        since: "0.1.0",
        summary: "sessions resume up to some age and are refused beyond it",
        advice: "raise the session timeout above the usual pause between connections (nginx: ssl_session_timeout; Apache: SSLSessionCacheTimeout; HAProxy: tune.ssl.lifetime; Java: setSessionTimeout)",
        text: "## What it means

The server keeps sessions for a limited time, or its cache is so small that they are pushed out after about that time.
Clients that pause longer do full handshakes.

## How we know

Every accepted offer was younger than every refused one, with at least three sessions on each side; refusals that a
ticket key or an unclean close explains are not counted. The true limit lies between the two ages given.
",
    },
    PatternKind {
        name: "cache-overflows",
        since: "0.1.0",
        summary: "sessions are refused once enough newer ones were made",
        advice: "increase the size of the session cache (nginx: the size in ssl_session_cache shared:SSL:10m; Apache: the size in SSLSessionCache shmcb:…; HAProxy: tune.ssl.cachesize; OpenSSL: SSL_CTX_sess_set_cache_size; Java: javax.net.ssl.sessionCacheSize), or use tickets, which need no cache",
        text: "## What it means

The server's session cache is too small for the sessions that it makes: each new one pushes the oldest out. The longer a
client waits on a busy server, the more likely it is that its session is gone, whatever the timeout says.

## How we know

For every session ID that was offered again, the sessions made by the service in the meantime were counted. Every one
that resumed had fewer newer ones than any that was refused, with at least three on each side. It is only `possible`
while age separates them as well, because a timeout would then look the same.
",
    },
    PatternKind {
        name: "ids-never-honoured",
        since: "0.1.0",
        summary: "the server issues session IDs and never accepts one",
        advice: "give the server a session cache (nginx: ssl_session_cache shared:SSL:10m; Apache: SSLSessionCache shmcb:…), or turn tickets on at both ends",
        text: "## What it means

The server puts a session ID into its ServerHello, so clients remember and offer it, but it has no cache to find it in,
or a separate one in every worker process. nginx does so with `ssl_session_cache none`.

## How we know

Session IDs were offered again within a minute, after a clean close, and not one was accepted. It is only `possible`
while several machines without a shared cache could look the same.
",
    },
    PatternKind {
        name: "nothing-issued",
        since: "0.1.0",
        summary: "the server issues neither session IDs nor tickets",
        advice: "turn on tickets or a session cache on the server (nginx: ssl_session_tickets on; Apache: SSLSessionTickets on; HAProxy: no no-tls-tickets)",
        text: "## What it means

Nothing that a client could resume with ever leaves the server. No client setting helps.

## How we know

In every full handshake of the service up to TLS 1.2 the ServerHello has an empty session ID and no ticket follows, both
of which are sent in clear. Where no client asks for a ticket it is not reported: the server may have some for others.
It is only `possible` where older connections are only counted, and not reported where one of these resumed.
",
    },
    PatternKind {
        name: "tickets-never-honoured",
        since: "0.1.0",
        summary: "the server issues tickets and never accepts one",
        advice: "give the processes that terminate TLS one ticket key that outlives them (nginx: ssl_session_ticket_key; Apache: SSLSessionTicketKeyFile; HAProxy: tls-ticket-keys; OpenSSL: SSL_CTX_set_tlsext_ticket_keys; Dovecot: service_count = 0 for the login processes), or turn tickets off",
        text: "## What it means

The server hands out tickets that nobody can open: each connection is served by a process with a ticket key of its own,
or by a server behind the address that shares its key with no other. Clients keep and offer the tickets in vain.

## How we know

At least three tickets that were issued in clear were offered again within their lifetime, not one was ever accepted,
and the names of their keys explain nothing. Why is not visible from outside: it stays `possible`.
",
    },
    PatternKind {
        name: "ticket-key-per-process",
        since: "0.1.0",
        summary: "several ticket keys, and only one machine to be seen",
        advice: "give all worker processes one ticket key (nginx: ssl_session_ticket_key, or a shared ssl_session_cache zone; Apache: SSLSessionTicketKeyFile; HAProxy: tls-ticket-keys; OpenSSL: SSL_CTX_set_tlsext_ticket_keys before the processes fork; Dovecot: service_count = 0 for the login processes)",
        text: "## What it means

Each process that terminates TLS on this machine has made a ticket key of its own, as programs started without a key
file do. A ticket is good only with the process that issued it, and the kernel hands connections to any of them.

## How we know

Tickets under several keys were at work at the same time, and some were refused although their key was in use; and all
answers come from one MAC address with a TTL that no router has lowered. That one machine answers does not prove that it
terminates TLS itself: a balancer that passes connections on looks the same, so it stays `possible`.
",
    },
    PatternKind {
        name: "session-ids-pin-nobody",
        since: "0.1.0",
        summary: "session IDs in hellos are random: no balancer can go by them",
        advice: "do not balance by session ID (HAProxy: no stick on payload_lv(43,1)); share the ticket keys, or pin clients by address (HAProxy: balance source; nginx: hash $remote_addr; Envoy: ring hash with source_ip)",
        text: "## What it means

A balancer that keeps clients on their server by the session ID of the ClientHello needs clients that send the ID they
were given. TLS 1.3 clients send a fresh random one each time, and older clients make one up to go with a ticket. Stick
tables fill with IDs that never come back, and clients end up on any server.

## How we know

Most ClientHellos with a session ID offer no session with it: they have TLS 1.3's compatibility ID (RFC 8446 D.4) or one
sent along with a ticket (RFC 5077 §3.4). It is reported only for services whose servers do not honour each other's
sessions, where it matters; whether a balancer goes by these IDs is not visible.
",
    },
    PatternKind {
        name: "client-never-offers",
        since: "0.1.0",
        summary: "clients offer nothing although the server issues credentials",
        advice: "turn on the client's session cache and share it between connections (curl: one process or --ssl-sessions; OpenSSL: SSL_set_session)",
        text: "## What it means

The server gives out session IDs or tickets, but the clients start every connection from scratch: the session cache is
off, is not shared between connections, or each connection is a process of its own.

## How we know

At least three connections offered nothing after their client (address and client stack) had been given something, and
no connection of the service offered anything. In TLS 1.3 tickets are encrypted; their presence is concluded from the
sizes of records. Where one connection in ten lacks packets of its handshake it is only `possible`.
",
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Names that the code gives to patterns: the first words between quotes after these.
    fn named(source: &str) -> BTreeSet<&str> {
        source
            .split("Pattern::plain(")
            .skip(1)
            .filter_map(|rest| rest.split('"').nth(1))
            .collect()
    }

    #[test]
    fn every_pattern_of_the_code_is_in_the_catalogue_and_the_other_way_round() {
        let source = concat!(include_str!("patterns.rs"), include_str!("facts.rs"));
        assert!(named(source).len() > 4);
        for name in named(source) {
            assert!(PatternKind::by_name(name).is_some(), "{name}");
        }
        let told = |name: &str| {
            let mut explained = crate::diagnosis::explanations::Kind::ALL.iter();
            explained.any(|kind| kind.pattern() == Some(name)) || named(source).contains(name)
        };
        for kind in PATTERNS {
            assert!(told(kind.name), "{} is never told", kind.name);
        }
    }

    #[test]
    fn every_pattern_is_written_as_reasons_are() {
        let names: BTreeSet<&str> = PATTERNS.iter().map(|kind| kind.name).collect();
        assert_eq!(names.len(), PATTERNS.len());
        for kind in PATTERNS {
            let name = kind.name;
            // Two are known by one name, of a connection and of a service: they say the same of both.
            let both = ["session-context-mismatch", "declined-after-hello-retry"].contains(&name);
            assert_eq!(
                crate::diagnosis::Reason::by_name(name).is_some(),
                both,
                "{name} is a reason too"
            );
            let kebab = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(name.chars().all(kebab) && !name.contains("--"), "{name}");
            assert!(
                kind.summary.chars().count() <= 80 && !kind.summary.ends_with('.'),
                "{name}"
            );
            assert!(!kind.advice.is_empty() && !kind.advice.ends_with('.'), "{name}");
            let (means, known) = kind
                .text
                .strip_prefix("## What it means\n\n")
                .and_then(|text| text.split_once("\n\n## How we know\n\n"))
                .unwrap_or_default();
            assert!(
                means.ends_with('.') && known.ends_with(".\n"),
                "{name}: its text is not whole"
            );
            assert!(kind.text.lines().all(|line| line.chars().count() <= 120), "{name}");
        }
    }

    #[test]
    fn a_pattern_is_found_by_its_name_alone() {
        for kind in PATTERNS {
            assert!(PatternKind::by_name(kind.name).is_some_and(|found| found.name == kind.name));
        }
        assert!(PatternKind::by_name("fail").is_none());
    }
}
