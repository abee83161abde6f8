//! Reads the crowd off a capture: for each connection what its client came with, and which earlier one gave it that.
//!
//! Up to TLS 1.2 the packets say it. In TLS 1.3 tickets are given under encryption; there the latest connection of the
//! same client before the hello is taken.

use std::net::IpAddr;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use super::crowd::{Brought, Crowd, Had, Refusal, Visit};
use reshake_core::diagnosis::rules::RuleStage;
use reshake_core::diagnosis::{Confidence, Gave, Judged, gave};
use reshake_core::net::span::SECOND;
use reshake_core::net::{Endpoint, Timestamp};
use reshake_core::session::{
    Connection, ConnectionId, CredentialId, Mechanism, Offer, OfferKind, Outcome, TicketExtension, TicketsInferred,
    TransportKind,
};
use reshake_core::store::CredentialStore;

/// A connection, and what was found about it.
#[derive(Debug)]
pub struct Observed<'a> {
    /// Its number.
    pub id: ConnectionId,
    /// The connection.
    pub connection: &'a Connection,
    /// Why it did not resume.
    pub primary: Option<Judged>,
    /// Whether it is asked about.
    pub counted: bool,
}

/// Earlier connections looked at for what a client holds: more than it has open at once, and a bound for hostile input.
pub(super) const MAX_STEPS: usize = 256;

/// A client program towards a service under one name.
type Client = (IpAddr, u64, u32, Option<Arc<str>>);

#[derive(Debug)]
struct Reader<'a> {
    credential_store: &'a CredentialStore,
    farms: Farms,
    behaviours: Habits,
    crowd: Crowd,
    /// When what a visit gave could be used.
    ready: Vec<Option<Timestamp>>,
    /// Who holds a credential: the visit that gave it, or the latest that used it.
    holder: HashMap<CredentialId, usize>,
    /// The latest visit of each client in TLS 1.3 that gave something, and the one before each.
    latest: HashMap<Client, usize>,
    before: Vec<Option<usize>>,
}

impl Crowd {
    /// Of everything that a capture shows, in any order.
    #[must_use]
    pub fn of(mut observed: Vec<Observed<'_>>, credential_store: &CredentialStore) -> Self {
        observed.sort_by_key(|one| (one.connection.hello_time(), one.id));
        let mut reader = Reader {
            credential_store,
            farms: Farms::of(&observed, credential_store),
            behaviours: Habits::of(&observed, credential_store),
            crowd: Self::default(),
            ready: Vec::with_capacity(observed.len()),
            holder: HashMap::new(),
            latest: HashMap::new(),
            before: Vec::with_capacity(observed.len()),
        };
        reader.crowd.renewed_on_use = reader.behaviours.renewed_on_use;
        for one in &observed {
            reader.read(one);
        }
        reader.give_tickets(&observed);
        reader.count(&observed);
        reader.crowd
    }
}

impl Reader<'_> {
    fn read(&mut self, one: &Observed<'_>) {
        let connection = one.connection;
        let index = self.crowd.visits.len();
        let farm = self.farms.number(place(connection));
        let offer = offer_of(connection);
        let brought = offer.map_or(Brought::Nothing, |offer| self.giver(offer, connection, farm));
        let hello = connection.hello.yes();
        let lifetime = connection
            .issued
            .iter()
            .copied()
            .chain(connection.accepted)
            .find_map(|id| self.credential_store.get(id)?.lifetime);
        self.crowd.visits.push(Visit {
            connection: one.id,
            farm,
            source: connection.client_address(),
            opened: connection.transport.started,
            hello: connection.hello_time(),
            closed: connection.transport.ended,
            brought,
            left_with: left_with(connection, self.credential_store),
            tls13: connection.is_tls13(),
            takes_tickets: hello.is_some_and(|hello| hello.ticket != TicketExtension::Absent),
            reuses: offer.is_some_and(|offer| {
                let credential = self.credential_store.get(offer.credential);
                credential.is_some_and(|credential| credential.offers.len() > 1)
            }),
            id_follows_ticket: hello.is_some_and(|hello| self.behaviours.id_follows_ticket(hello.stack.digest)),
            // A hint of 0 leaves it to the client (RFC 5077 §3.3).
            lifetime: lifetime.filter(|seconds| *seconds > 0 && !self.behaviours.hints_outlived),
            tickets: [1, 1],
            had: had(connection, one.primary.as_ref()),
            counted: one.counted,
        });
        self.note(index, connection, farm);
    }

    /// Which visit gave what is offered.
    fn giver(&mut self, offer: &Offer, connection: &Connection, farm: u32) -> Brought {
        let hello = connection.hello_time();
        let issued = self
            .credential_store
            .get(offer.credential)
            .is_some_and(|credential| credential.issued.is_some());
        if let Some(holder) = self.holder.get(&offer.credential).copied() {
            return Brought::From(self.ready_by(holder, hello));
        }
        if offer.kind != OfferKind::Resumption(Mechanism::Psk) || issued {
            return Brought::Unknown;
        }
        let latest = client_of(connection, farm).and_then(|client| self.latest.get(&client).copied());
        let mut givers = std::iter::successors(latest, |index| self.before.get(*index).copied().flatten());
        let giver = givers
            .by_ref()
            .take(MAX_STEPS)
            .find(|index| self.is_ready(*index, hello));
        let Some(giver) = giver else { return Brought::Unknown };
        // Offered again, it is still from there.
        self.holder.insert(offer.credential, giver);
        Brought::From(giver)
    }

    fn is_ready(&self, index: usize, hello: Timestamp) -> bool {
        let ready = self.ready.get(index).copied().flatten();
        ready.is_none_or(|ready| ready <= hello)
    }

    /// The latest holder that was through with its handshake: parallel connections hold what was there before them.
    fn ready_by(&self, holder: usize, hello: Timestamp) -> usize {
        let before = |index: &usize| match self.crowd.visits.get(*index)?.brought {
            Brought::From(before) => Some(before),
            Brought::Nothing | Brought::Unknown => None,
        };
        let holders = std::iter::successors(Some(holder), before).take(MAX_STEPS);
        let mut earliest = holder;
        for holder in holders {
            earliest = holder;
            if self.is_ready(holder, hello) {
                break;
            }
        }
        earliest
    }

    /// What later visits may come with.
    fn note(&mut self, index: usize, connection: &Connection, farm: u32) {
        let given = gave(connection);
        self.ready.push(given.map(|(_, at)| at.time));
        for id in &connection.issued {
            self.holder.insert(*id, index);
        }
        if let Some(accepted) = connection.accepted.filter(|_| !connection.is_tls13()) {
            self.holder.insert(accepted, index);
        }
        let tickets = given.is_some_and(|(gave, _)| matches!(gave, Gave::Seen | Gave::Inferred | Gave::Unclear));
        let client = client_of(connection, farm).filter(|_| tickets && connection.is_tls13());
        let before = client.and_then(|client| self.latest.insert(client, index));
        self.before.push(before);
    }

    /// How many tickets each visit would be left with in TLS 1.3: as its own records show, as is usual here, and in any
    /// case as many as were used of it.
    fn give_tickets(&mut self, observed: &[Observed<'_>]) {
        let mut used = vec![0_u8; self.crowd.visits.len()];
        for visit in self.crowd.visits.iter().filter(|visit| !visit.reuses) {
            if let Brought::From(giver) = visit.brought
                && let Some(count) = used.get_mut(giver)
            {
                *count = count.saturating_add(1);
            }
        }
        for ((visit, one), used) in self.crowd.visits.iter_mut().zip(observed).zip(used) {
            let [full, resumed] = self.behaviours.tickets;
            let own = match one.connection.tickets_inferred {
                TicketsInferred::Like(count) => count,
                TicketsInferred::Read { complete: true, .. } => {
                    u8::try_from(one.connection.issued.len()).unwrap_or(u8::MAX)
                }
                TicketsInferred::None | TicketsInferred::Read { complete: false, .. } | TicketsInferred::Unclear => 1,
            };
            let own = own.max(used);
            visit.tickets = if visit.had == Had::Resumed {
                [full, own]
            } else {
                [own, resumed]
            };
        }
    }

    fn count(&mut self, observed: &[Observed<'_>]) {
        let pairs = self.crowd.visits.iter().zip(observed);
        for (visit, one) in pairs.filter(|(visit, _)| visit.counted) {
            let census = &mut self.crowd.census;
            census.connections += 1;
            let reason = one.primary.as_ref().map(|judged| judged.reason.name);
            *match (visit.had, visit.brought) {
                (Had::Undecided | Had::External, _) => &mut census.undecided,
                (Had::Resumed | Had::Refused(_), Brought::From(_)) => &mut census.reconnects,
                (Had::Resumed | Had::Refused(_), _) => &mut census.unknown_origin,
                (Had::Full, _) => match reason {
                    Some("first-in-capture" | "no-credential-yet-parallel") => &mut census.newcomers,
                    Some("server-issues-nothing") => &mut census.given_nothing,
                    _ if self.behaviours.offers(one.connection) => &mut census.did_not_offer,
                    _ => &mut census.never_offer,
                },
            } += 1;
            if !visit.is_reconnect() {
                continue;
            }
            census.resumed += u64::from(visit.had == Had::Resumed);
            census.unexplained += u64::from(visit.had == Had::Refused(Refusal::Unexplained));
            census.tls13 += u64::from(visit.tls13);
            census.take_no_tickets += u64::from(!visit.tls13 && !visit.takes_tickets);
            let kind = offer_of(one.connection).map(|offer| offer.kind);
            census.by_ticket += u64::from(kind == Some(OfferKind::Resumption(Mechanism::Ticket)));
        }
    }
}

/// The offer that decided, or would have.
fn offer_of(connection: &Connection) -> Option<&Offer> {
    let accepted = |offer: &&Offer| connection.accepted == Some(offer.credential);
    let mut offers = connection
        .offers
        .iter()
        .filter(|offer| matches!(offer.kind, OfferKind::Resumption(_)));
    offers.clone().find(accepted).or_else(|| offers.next())
}

fn client_of(connection: &Connection, farm: u32) -> Option<Client> {
    let stack = connection.hello.yes()?.stack.digest;
    Some((
        connection.client_address(),
        stack,
        farm,
        connection.server_name().cloned(),
    ))
}

/// What a connection left its client with.
fn left_with(connection: &Connection, credential_store: &CredentialStore) -> Option<Mechanism> {
    let (gave, _) = gave(connection)?;
    if connection.is_tls13() {
        return (!matches!(gave, Gave::NothingInferred | Gave::Nothing)).then_some(Mechanism::Psk);
    }
    let issued = || {
        let issued = connection.issued.iter().filter_map(|id| credential_store.get(*id));
        issued.map(|credential| credential.mechanism)
    };
    // With a ticket, the client discards the ID (RFC 5077 §3.4).
    let ticket = issued().find(|mechanism| *mechanism == Mechanism::Ticket);
    let used = || {
        credential_store
            .get(connection.accepted?)
            .map(|credential| credential.mechanism)
    };
    ticket.or_else(|| issued().next()).or_else(used)
}

fn had(connection: &Connection, primary: Option<&Judged>) -> Had {
    match connection.outcome {
        Outcome::Resumed(_) => Had::Resumed,
        Outcome::Declined => Had::Refused(refusal(primary)),
        Outcome::NotOffered => Had::Full,
        Outcome::ExternalPsk => Had::External,
        Outcome::Failed | Outcome::Unclear(_) => Had::Undecided,
    }
}

/// What a cause means for another farm. One that is only possible is none.
fn refusal(primary: Option<&Judged>) -> Refusal {
    let Some(judged) = primary.filter(|judged| judged.confidence > Confidence::Possible) else {
        return Refusal::Unexplained;
    };
    match (judged.reason.name, judged.reason.stage) {
        (
            "other-backend-cache"
            | "offered-to-wrong-backend"
            | "stek-not-shared"
            | "stek-changed"
            | "failover-no-shared-state",
            _,
        ) => Refusal::ByFarm,
        ("server-cache-expired" | "credential-over-lifetime", _) => Refusal::ByAge,
        ("server-never-accepts-ids" | "server-cache-evicted", _) => Refusal::BySettings,
        (_, RuleStage::Protocol | RuleStage::Inferred) => Refusal::ByNature,
        _ => Refusal::Unexplained,
    }
}

/// Whether an accepted ticket was older than its hint said.
fn is_outlived(connection: &Connection, offer: &Offer, credential_store: &CredentialStore) -> bool {
    let said = credential_store
        .get(offer.credential)
        .and_then(|ticket| Some((ticket.issued?, ticket.lifetime?)));
    said.is_some_and(|(issue, seconds)| {
        seconds > 0 && connection.hello_time().since(issue.at.time) > i64::from(seconds) * SECOND
    })
}

/// Server addresses that are one service to clients: where one offers what another one gave.
#[derive(Debug, Default)]
struct Farms {
    parents: HashMap<Place, Place>,
    numbers: HashMap<Place, u32>,
}

impl Farms {
    fn of(observed: &[Observed<'_>], credential_store: &CredentialStore) -> Self {
        let mut farms = Self::default();
        for one in observed {
            for offer in &one.connection.offers {
                let giver = credential_store
                    .get(offer.credential)
                    .filter(|credential| credential.issued.is_some());
                let place = place(one.connection);
                if let Some(giver) = giver
                    .map(|giver| (giver.server, giver.transport))
                    .filter(|giver| *giver != place)
                {
                    let (a, b) = (farms.root(giver), farms.root(place));
                    if a != b {
                        farms.parents.insert(a.max(b), a.min(b));
                    }
                }
            }
        }
        farms
    }

    fn root(&mut self, server: Place) -> Place {
        let mut root = server;
        while let Some(parent) = self.parents.get(&root) {
            root = *parent;
        }
        // The way is short for whoever asks next.
        if root != server {
            self.parents.insert(server, root);
        }
        root
    }

    fn number(&mut self, server: Place) -> u32 {
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        let root = self.root(server);
        *self.numbers.entry(root).or_insert(next)
    }
}

/// A server endpoint under one transport: no session crosses from one to another.
type Place = (Endpoint, TransportKind);

fn place(connection: &Connection) -> Place {
    (connection.server, connection.transport.kind())
}

/// What clients and servers are seen to do.
#[derive(Debug, Default)]
struct Habits {
    /// Client stacks by what their ID beside one ticket does: stays the same, changes.
    ids: HashMap<u64, [u32; 2]>,
    /// Client programs that ever offered something.
    offering: HashSet<(IpAddr, u64)>,
    renewed_on_use: bool,
    /// Servers honoured tickets for longer than they had said.
    hints_outlived: bool,
    /// Usual number of tickets in TLS 1.3 after a full handshake and after a resumption.
    tickets: [u8; 2],
}

impl Habits {
    fn of(observed: &[Observed<'_>], credential_store: &CredentialStore) -> Self {
        let mut behaviours = Self::default();
        let mut id_beside: HashMap<CredentialId, [u8; 4]> = HashMap::new();
        let (mut renewed, mut used) = (0_u64, 0_u64);
        let mut tickets = [[0_u64; 256]; 2];
        for one in observed {
            let connection = one.connection;
            let resumed = matches!(connection.outcome, Outcome::Resumed(_));
            if let (TicketsInferred::Like(count), [full, after]) = (connection.tickets_inferred, &mut tickets) {
                let counts = if resumed { after } else { full };
                if let Some(seen) = counts.get_mut(usize::from(count)) {
                    *seen += 1;
                }
            }
            let (Some(offer), Some(hello)) = (offer_of(connection), connection.hello.yes()) else {
                continue;
            };
            behaviours
                .offering
                .insert((connection.client_address(), hello.stack.digest));
            if offer.kind != OfferKind::Resumption(Mechanism::Ticket) {
                continue;
            }
            if resumed {
                used += 1;
                let is_ticket = |id: &CredentialId| {
                    credential_store
                        .get(*id)
                        .is_some_and(|new| new.mechanism == Mechanism::Ticket)
                };
                renewed += u64::from(connection.issued.iter().any(is_ticket));
                behaviours.hints_outlived |= is_outlived(connection, offer, credential_store);
            }
            let beside = hello
                .session_id
                .map(|id| id_beside.insert(offer.credential, id).map(|before| before == id));
            if let Some(Some(same)) = beside
                && let [stays, changes] = behaviours.ids.entry(hello.stack.digest).or_default()
            {
                *(if same { stays } else { changes }) += 1;
            }
        }
        behaviours.renewed_on_use = renewed * 2 > used;
        let usual = |counts: &[u64; 256]| {
            let most = counts.iter().zip(0_u8..=255).max_by_key(|(seen, _)| **seen);
            most.filter(|(seen, _)| **seen > 0).map(|(_, count)| count)
        };
        let [full, resumed] = tickets.each_ref().map(usual);
        behaviours.tickets = [
            full.or(resumed).unwrap_or(1).max(1),
            resumed.or(full).unwrap_or(1).max(1),
        ];
        behaviours
    }

    /// Whether this stack makes the ID beside a ticket out of the ticket, as it did every time it could be seen.
    fn id_follows_ticket(&self, stack: u64) -> bool {
        matches!(self.ids.get(&stack), Some([stays, 0]) if *stays > 0)
    }

    fn offers(&self, connection: &Connection) -> bool {
        let stack = connection.hello.yes().map(|hello| hello.stack.digest);
        stack.is_some_and(|stack| self.offering.contains(&(connection.client_address(), stack)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_is_a_farm_for_each_transport() {
        let server = Endpoint {
            ip: [192, 0, 2, 1].into(),
            port: 443,
        };
        let mut farms = Farms::default();
        let number = |farms: &mut Farms, transport| farms.number((server, transport));
        let tcp = number(&mut farms, TransportKind::Tcp);
        assert_ne!(number(&mut farms, TransportKind::Quic), tcp);
        assert_eq!(number(&mut farms, TransportKind::Tcp), tcp);
    }
}
