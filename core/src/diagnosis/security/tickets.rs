//! Tickets that live too long, or that show who comes back.

use std::net::IpAddr;

use hashbrown::HashSet;

use super::ground::SecurityContext;
use super::{RuleFinding, Severity, Witnesses, finding};
use crate::diagnosis::Confidence;
use crate::net::FrameRef;
use crate::session::{Credential, CredentialId, Mechanism, OfferKind};

/// Seven days in seconds, the most that TLS 1.3 allows (RFC 8446 §4.6.1).
const MAX_LIFETIME: u32 = 604_800;

finding! {
    /// ## What it means
    /// The server tells clients to keep tickets for longer than seven days. TLS 1.3 forbids that; in TLS 1.2, where the
    /// lifetime is a hint, it means that a stolen ticket, or a stolen ticket key, opens sessions for that long.
    ///
    /// ## How we know
    /// The lifetime is in the NewSessionTicket message, in clear up to TLS 1.2. How long the server really honours the
    /// ticket is up to the server.
    pub(super) static TICKET_LIFETIME_OVER_7D = {
        name: "ticket-lifetime-over-7d", since: "0.1.0", severity: Warning,
        summary: "tickets are issued with a lifetime of more than seven days",
        spec: [(8446, "4.6.1"), (5077, "3.3"), (9325, "3.4")],
        advice: "shorten the lifetime to a day or less (nginx: ssl_session_timeout; HAProxy: tune.ssl.lifetime; Apache: SSLSessionCacheTimeout; Envoy: session_timeout; JSSE: SSLSessionContext.setSessionTimeout; OpenSSL: SSL_CTX_set_timeout)",
        rule: ticket_lifetime_over_7d,
    }
}

fn ticket_lifetime_over_7d(ground: &SecurityContext<'_>) -> Option<RuleFinding> {
    let mut shown = Witnesses::default();
    let mut longest = 0;
    for ticket in ground.tickets {
        let (Some(issue), Some(lifetime)) = (ticket.credential.issued, ticket.credential.lifetime) else {
            continue;
        };
        if lifetime > MAX_LIFETIME && issue.at.frame == ticket.frame {
            longest = longest.max(lifetime);
            shown.add(Some(ticket.frame), || {
                format!("NewSessionTicket with a lifetime of {lifetime} seconds")
            });
        }
    }
    let tickets = shown.counted("ticket was", "tickets were");
    RuleFinding::of(
        Confidence::Observed,
        format!(
            "{tickets} issued with a lifetime of more than seven days, up to {:.1} days",
            f64::from(longest) / 86_400.0
        ),
        shown.evidence,
    )
}

finding! {
    /// ## What it means
    /// A client offered the same TLS 1.3 ticket on several connections. The ticket is in clear in the ClientHello, so
    /// anyone on the path sees that they come from the same client; where the address changed in between, the client
    /// can be followed from network to network. TLS 1.3 tells clients to use a ticket only once.
    ///
    /// ## How we know
    /// The same identity is in several ClientHellos with different randoms. More severe where the clients' addresses
    /// differ.
    pub(super) static TICKET_REUSE_LINKABLE = {
        name: "ticket-reuse-linkable", since: "0.1.0", severity: Note,
        summary: "the same TLS 1.3 ticket was offered on several connections",
        spec: [(8446, "C.4")],
        advice: "make clients use each ticket once (OpenSSL: take a session out of the client's cache when it is used, and let the server issue several with SSL_CTX_set_num_tickets; BoringSSL: heed SSL_SESSION_should_be_single_use; rustls does so by itself)",
        rule: ticket_reuse_linkable,
    }
}

fn ticket_reuse_linkable(ground: &SecurityContext<'_>) -> Option<RuleFinding> {
    let mut met: HashSet<CredentialId> = HashSet::new();
    let mut shown = Witnesses::default();
    let mut moved = 0_u64;
    for (_, connection) in ground.connections() {
        let psks = connection
            .offers
            .iter()
            .filter(|offer| offer.kind == OfferKind::Resumption(Mechanism::Psk));
        for id in psks.map(|offer| offer.credential) {
            // Most tickets of TLS 1.3 are offered once.
            let often = ground.credential_store.get(id).filter(|it| it.offers.len() > 1);
            let Some(credential) = often.filter(|_| met.insert(id)) else {
                continue;
            };
            let offers = handshakes(ground, credential);
            if let [first, second, ..] = offers.as_slice() {
                let addresses: HashSet<IpAddr> = offers.iter().map(|offer| offer.client).collect();
                moved += u64::from(addresses.len() > 1);
                shown.add(Some(first.frame), || "ClientHello with a ticket".to_owned());
                let elsewhere = if second.client == first.client {
                    ""
                } else {
                    ", from another address"
                };
                shown.show(second.frame, || {
                    format!("the same ticket on another connection{elsewhere}")
                });
            }
        }
    }
    let tickets = shown.counted("ticket was", "tickets were");
    let from = if moved > 0 {
        format!(", {moved} of them from several addresses")
    } else {
        String::new()
    };
    let told = RuleFinding::of(
        Confidence::Observed,
        format!("{tickets} offered on more than one connection{from}"),
        shown.evidence,
    )?;
    Some(if moved > 0 { told.raised(Severity::High) } else { told })
}

/// An offer of a ticket.
struct TicketOffer {
    frame: FrameRef,
    client: IpAddr,
}

/// The distinct handshakes that offered a credential, in their order: one that was captured twice, on both legs of a
/// proxy, has one random.
fn handshakes(ground: &SecurityContext<'_>, credential: &Credential) -> Vec<TicketOffer> {
    let mut randoms: HashSet<[u8; 32]> = HashSet::new();
    let offers = credential
        .offers
        .iter()
        .filter_map(|id| ground.connection_store.get(*id));
    offers
        .filter_map(|connection| {
            let hello = connection.hello.yes().filter(|hello| randoms.insert(hello.random))?;
            Some(TicketOffer {
                frame: hello.at.frame,
                client: connection.client_address(),
            })
        })
        .collect()
}
