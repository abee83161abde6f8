//! What clients did with their TLS 1.3 tickets, where keys let them be read: a credential store per client, and the age of each
//! ticket as the client states it against the time that passed in the capture.

use std::net::IpAddr;

use hashbrown::HashMap;

use super::{Report, service_of};
use reshake_core::net::Timestamp;
use reshake_core::session::{Connection, ConnectionId, CredentialId, Mechanism, Outcome, Service, TicketsInferred};
use reshake_core::store::{ConnectionStore, CredentialStore};

/// Difference between stated and real age from which servers refuse early data: OpenSSL and others allow ten seconds.
const AGE_TOLERANCE_MS: i64 = 10_000;

/// Tickets of one client stack at one service, by what became of them. Only tickets that may be used are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TicketLedger {
    /// The client's address.
    pub client: IpAddr,
    /// Tickets issued to it.
    pub issued: u64,
    /// Of those, offered at least once.
    pub spent: u64,
    /// Of those, offered on more than one connection.
    pub reused: u64,
    /// Never offered, although the client came again.
    pub thrown_away: u64,
    /// Never offered, and the client did not come again.
    pub left: u64,
    /// Connections on which the client offered nothing, all its tickets being spent.
    pub exhausted: u64,
}

impl TicketLedger {
    const fn new(client: IpAddr) -> Self {
        Self {
            client,
            issued: 0,
            spent: 0,
            reused: 0,
            thrown_away: 0,
            left: 0,
            exhausted: 0,
        }
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: &Self) -> Self {
        Self {
            client: self.client,
            issued: self.issued + other.issued,
            spent: self.spent + other.spent,
            reused: self.reused + other.reused,
            thrown_away: self.thrown_away + other.thrown_away,
            left: self.left + other.left,
            exhausted: self.exhausted + other.exhausted,
        }
    }
}

/// The ledgers of each service, in the order in which its clients first came. Empty without keys.
pub(super) fn ledgers(
    connection_store: &ConnectionStore,
    credential_store: &CredentialStore,
    by_hello: &[ConnectionId],
) -> HashMap<Service, Vec<TicketLedger>> {
    let read = |connection: &Connection| matches!(connection.tickets_inferred, TicketsInferred::Read { .. });
    let mut all = HashMap::new();
    if !connection_store.iter().any(|(_, connection)| read(connection)) {
        return all;
    }
    let mut clients: Vec<(Service, Vec<&Connection>)> = Vec::new();
    let mut index: HashMap<(IpAddr, u64, Service), usize> = HashMap::new();
    let tls13 = connection_store
        .in_turn(by_hello)
        .filter(|(_, connection)| connection.is_tls13());
    for (_, connection) in tls13 {
        let Some(hello) = connection.hello.yes() else { continue };
        let service = service_of(connection);
        let key = (connection.client_address(), hello.stack.digest, service.clone());
        let next = clients.len();
        let place = *index.entry(key).or_insert(next);
        if place == next {
            clients.push((service, Vec::new()));
        }
        if let Some((_, members)) = clients.get_mut(place) {
            members.push(connection);
        }
    }
    for (service, connections) in clients {
        // What a client holds is known only where nothing that it was given is missing.
        let whole = connections.iter().all(|connection| read(connection));
        if let (true, Some(of)) = (whole, of_client(&connections, connection_store, credential_store)) {
            all.entry(service).or_insert_with(Vec::new).push(of);
        }
    }
    all
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum TicketEvent {
    Offered,
    CameWithoutOffer,
    Issued,
}

fn of_client(
    connections: &[&Connection],
    connection_store: &ConnectionStore,
    credential_store: &CredentialStore,
) -> Option<TicketLedger> {
    let mut sum = TicketLedger::new(connections.first()?.client_address());
    let last = connections.last()?.hello_time();
    let mut events: Vec<(Timestamp, TicketEvent)> = Vec::new();
    for connection in connections {
        if connection.outcome == Outcome::NotOffered {
            events.push((connection.hello_time(), TicketEvent::CameWithoutOffer));
        }
        for credential in connection.issued.iter().filter_map(|id| credential_store.get(*id)) {
            let usable = credential.mechanism == Mechanism::Psk && credential.lifetime != Some(0);
            let Some(issue) = credential.issued.filter(|_| usable) else {
                continue;
            };
            sum.issued += 1;
            events.push((issue.at.time, TicketEvent::Issued));
            sum.reused += u64::from(credential.offers.len() > 1);
            let mut offers = credential
                .offers
                .iter()
                .filter_map(|offer| connection_store.get(*offer));
            if let Some(first) = offers.next() {
                sum.spent += 1;
                events.push((first.hello_time(), TicketEvent::Offered));
            } else if issue.at.time < last {
                sum.thrown_away += 1;
            } else {
                sum.left += 1;
            }
        }
    }
    events.sort_unstable();
    let (mut issued, mut available) = (false, 0_i64);
    for (_, event) in events {
        match event {
            TicketEvent::Issued => (issued, available) = (true, available + 1),
            TicketEvent::Offered => available -= 1,
            TicketEvent::CameWithoutOffer => sum.exhausted += u64::from(issued && available <= 0),
        }
    }
    (sum.issued > 0).then_some(sum)
}

/// How old a ticket is in an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TicketAge {
    /// Which ticket.
    pub credential: CredentialId,
    /// As the client states it, in milliseconds.
    pub stated: u32,
    /// From the packet that issued it to the ClientHello, in milliseconds.
    pub real: i64,
}

impl TicketAge {
    /// Stated minus real, in milliseconds, on the circle of 2^32 that ages are stated on.
    #[must_use]
    pub fn difference(&self) -> i64 {
        let circle = 1_i64 << 32;
        let difference = (i64::from(self.stated) - self.real).rem_euclid(circle);
        if difference > circle / 2 {
            difference - circle
        } else {
            difference
        }
    }

    /// Whether a server would take the ticket for a replay, or for one that is held back.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.difference().abs() > AGE_TOLERANCE_MS
    }
}

/// The ages of the tickets that a connection offered and whose issue was read.
pub fn ages(connection: &Connection, credential_store: &CredentialStore) -> impl Iterator<Item = TicketAge> {
    let hello = connection.hello.yes().map(|hello| hello.at.time);
    connection.offers.iter().filter_map(move |offer| {
        let credential = credential_store.get(offer.credential)?;
        let (terms, issue) = (credential.psk?, credential.issued?);
        Some(TicketAge {
            credential: offer.credential,
            // RFC 8446 §4.2.11.1: age plus ticket_age_add, modulo 2^32.
            stated: offer.obfuscated_age.wrapping_sub(terms.age_add),
            real: hello?.since(issue.at.time) / 1_000_000,
        })
    })
}

/// Whether a TLS 1.3 connection may have issued a ticket that was not seen.
pub(super) const fn may_have_issued(tickets: TicketsInferred) -> bool {
    !matches!(
        tickets,
        TicketsInferred::None | TicketsInferred::Read { complete: true, .. }
    )
}

impl Report<'_> {
    /// What the clients of a service did with their TLS 1.3 tickets; empty where these were not read.
    #[must_use]
    pub fn tickets(&self, service: &Service) -> &[TicketLedger] {
        self.tickets.get(service).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_shows_as_a_small_negative_difference() {
        let age = |stated: u32, real: i64| TicketAge {
            credential: CredentialId(0),
            stated,
            real,
        };
        assert_eq!(age(1500, 1480).difference(), 20);
        assert_eq!(age(1500, 61_500).difference(), -60_000);
        // A clock that went back behind the issue: the age is negative, modulo 2^32.
        assert_eq!(age(5_000_u32.wrapping_neg(), 1000).difference(), -6000);
        assert!(!age(1500, 9_000).is_off());
        assert!(age(1500, 61_500).is_off());
    }
}
