//! Could a balancer keep clients on their backends by the session ID? What the hellos of a capture say.

use hashbrown::HashMap;

use super::crowd::{Brought, Crowd};
use reshake_core::net::Timestamp;
use reshake_core::session::{Connection, CredentialId, Mechanism, OfferKind, TicketExtension};
use reshake_core::store::CredentialStore;

/// Hellos by what their session ID is, and how long clients keep one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Persistence {
    /// The ID of a session that a server was seen to give: a balancer can know it.
    pub given: u64,
    /// Offered as a session, but nobody was seen to give it.
    pub unknown: u64,
    /// Made up beside a ticket.
    pub beside_ticket: u64,
    /// Of those: by clients whose ID stays the same while the ticket does, so that a balancer may know it from its
    /// second use on.
    pub follows_ticket: u64,
    /// A random value for compatibility (RFC 8446 §D.4): never the same again.
    pub random: u64,
    /// No ID.
    pub none: u64,
    /// How long the IDs that were offered had been known to their clients at the last offer, in nanoseconds, shortest
    /// first.
    pub kept: Vec<i64>,
}

impl Persistence {
    /// Of the connections that are asked about; `connections` and the visits of the crowd are in the same order.
    pub fn of<'a>(
        crowd: &Crowd,
        connections: impl Iterator<Item = &'a Connection>,
        credential_store: &CredentialStore,
    ) -> Self {
        let mut found = Self::default();
        let mut last: HashMap<CredentialId, (Timestamp, Timestamp)> = HashMap::new();
        let pairs = crowd.visits.iter().zip(connections);
        for (visit, connection) in pairs.filter(|(visit, _)| visit.counted) {
            let Some(hello) = connection.hello.yes() else { continue };
            let by_id = connection
                .offers
                .iter()
                .find(|offer| offer.kind == OfferKind::Resumption(Mechanism::SessionId));
            *match (hello.session_id, by_id, hello.ticket) {
                (None, ..) => &mut found.none,
                (_, Some(_), _) if matches!(visit.brought, Brought::From(_)) => &mut found.given,
                (_, Some(_), _) => &mut found.unknown,
                (_, None, TicketExtension::Offered) => {
                    found.follows_ticket += u64::from(visit.id_follows_ticket);
                    &mut found.beside_ticket
                }
                (_, None, _) => &mut found.random,
            } += 1;
            let issued = by_id.and_then(|offer| {
                Some((
                    offer.credential,
                    credential_store.get(offer.credential)?.issued?.at.time,
                ))
            });
            if let Some((id, issued)) = issued {
                last.insert(id, (issued, visit.hello));
            }
        }
        found.kept = last.values().map(|(issued, offered)| offered.since(*issued)).collect();
        found.kept.sort_unstable();
        found
    }

    /// The middle one of the times that IDs were kept, and the longest, in nanoseconds.
    #[must_use]
    pub fn kept_for(&self) -> Option<(i64, i64)> {
        Some((*self.kept.get(self.kept.len() / 2)?, *self.kept.last()?))
    }
}
