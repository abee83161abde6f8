//! What only hindsight shows: machines, cache domains, ticket keys, and patterns over many connections of a service.
//!
//! Built once over all kept connections when a report is made. Reasons may be settled by it; outcomes never change.

pub mod catalog;
pub mod contrast;
mod contrasts;
mod crowding;
mod domains;
mod exchange;
pub mod key_verdict;
pub mod keys;
mod machines;
pub mod patterns;
mod persistence;
mod takeover;
mod timelines;
pub mod uses;

use std::hash::Hash;

use hashbrown::{HashMap, HashSet};

use crate::net::{At, Endpoint, Neighbour};
use crate::session::{Connection, ConnectionId, CredentialId, Mechanism, Outcome, Service, TransportKind};
use crate::store::{ConnectionStore, CredentialStore};

pub use catalog::{PATTERNS, PatternKind};
pub use contrast::ContingencyTable;
pub use crowding::CachePressure;
pub use exchange::Exchange;
pub use keys::{KeyName, KeyNames};
pub use patterns::Pattern;
pub use takeover::Takeover;
pub use timelines::KeyTimeline;
pub use uses::{ClosedBy, ResumptionAttempt};

/// A group of connections with what tells it from the others.
#[derive(Debug, Clone)]
pub struct Label {
    /// `backend-1`, `domain-2`.
    pub label: String,
    /// How many connections bear it.
    pub connections: u64,
    /// What tells it apart.
    pub because: Vec<String>,
}

/// What hindsight says of one service.
#[derive(Debug, Default)]
pub struct ServiceAnalysis {
    /// Its connections in the order of their hellos.
    pub members: Vec<ConnectionId>,
    /// Machines, by network marks.
    pub backends: Vec<Label>,
    /// Who honours whose credentials.
    pub domains: Vec<Label>,
    /// Whose sessions were offered to whom.
    pub exchanges: Vec<Exchange>,
    /// Ticket keys.
    pub keys: Vec<KeyTimeline>,
    /// Decided offers in the order of their hellos.
    pub uses: Vec<ResumptionAttempt>,
    /// The address changed hands.
    pub takeovers: Vec<Takeover>,
    /// How full the cache was at each use.
    pub crowding: CachePressure,
    /// Some offer was accepted.
    pub honours_any: bool,
    /// A credential of another server address was accepted: the servers share their state.
    pub honours_foreign: bool,
    /// A session of TLS 1.2 or older that was made under another server name was accepted under this one.
    pub honours_other_names: bool,
    /// So much of the service is not visible that what was not seen may well have happened.
    pub lossy: bool,
    /// At this address sessions are resumed in connections whose ClientHello, and so whose server name, is not visible.
    pub resumes_unnamed: bool,
    /// And some of these issue a ticket: for which one is not visible.
    pub renews_unnamed: bool,
    /// Ticket keys are at work side by side, and some servers lack some of them.
    pub keys_apart: bool,
    /// Patterns.
    pub patterns: Vec<Pattern>,
    contrasts: Vec<(&'static str, ContingencyTable)>,
    /// For each refused use the place of the one in which its credential is accepted later.
    accepted_later: HashMap<(ConnectionId, CredentialId), usize>,
}

impl ServiceAnalysis {
    /// A contrast that was tried on this service, corrected for the number of them.
    #[must_use]
    pub fn contrast(&self, name: &str) -> Option<&ContingencyTable> {
        self.contrasts
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, contrast)| contrast)
    }

    /// Where the stateful credential of a refused use is accepted later: another cache refused it.
    #[must_use]
    pub fn accepted_later(&self, refused: &ResumptionAttempt) -> Option<&ResumptionAttempt> {
        let place = self.accepted_later.get(&(refused.connection, refused.credential))?;
        self.uses.get(*place)
    }

    /// The timeline of a key.
    #[must_use]
    pub fn key(&self, name: KeyName) -> Option<&KeyTimeline> {
        self.keys.iter().find(|timeline| timeline.name == name)
    }

    /// Whether a pattern of this name holds with more than mere possibility.
    #[must_use]
    pub fn pattern(&self, name: &str) -> Option<&Pattern> {
        self.patterns
            .iter()
            .find(|pattern| pattern.name == name && pattern.confidence > super::Confidence::Possible)
    }
}

/// Everything hindsight shows.
#[derive(Debug, Default)]
pub struct ServiceAnalyses {
    services: HashMap<Service, ServiceAnalysis>,
    backend_of: HashMap<ConnectionId, u16>,
    domain_of: HashMap<ConnectionId, u16>,
    key_names: KeyNames,
}

/// An endpoint under one transport: TCP and QUIC of one address and port may end at different machines.
type Place = (Endpoint, TransportKind);

/// What is known of server addresses, whatever the names.
#[derive(Debug, Default)]
struct Endpoints {
    machines: HashMap<Place, Vec<machines::Machine>>,
    /// Those of which much is not visible.
    lossy: HashSet<Place>,
    /// Those that resume sessions offered in a ClientHello that is not visible.
    resuming_unnamed: HashSet<Place>,
    /// Those of them that issue a ticket with it.
    renewing_unnamed: HashSet<Place>,
    /// Those with a ClientHello in the capture.
    named: HashSet<Place>,
    /// Those that changed hands: with all their names at once.
    takeovers: HashMap<Place, Vec<Takeover>>,
}

impl ServiceAnalyses {
    /// Over some of what was kept, as if there were no more: these connections and the credentials that they issued and
    /// offered.
    #[must_use]
    pub fn of_some(
        kept: &ConnectionStore,
        ledger: &CredentialStore,
        neighbours: &[(At, Neighbour)],
        order: &[ConnectionId],
    ) -> Self {
        let named = |connection: &Connection| {
            let offered = connection.offers.iter().map(|offer| offer.credential);
            connection.issued.iter().copied().chain(offered).collect::<Vec<_>>()
        };
        let ids = order.iter().filter_map(|id| kept.get(*id)).flat_map(named);
        let credentials = ids.filter_map(|id| Some((id, ledger.get(id)?)));
        Self::of(kept, ledger, neighbours, order, || KeyNames::learn_some(credentials))
    }

    /// Over everything that was kept; `order` is that of the hellos, `neighbours` are ARP and neighbour-discovery facts.
    /// The names of the keys are asked for late: somebody else may learn them meanwhile.
    #[must_use]
    pub fn of(
        kept: &ConnectionStore,
        ledger: &CredentialStore,
        neighbours: &[(At, Neighbour)],
        order: &[ConnectionId],
        key_names: impl FnOnce() -> KeyNames,
    ) -> Self {
        let mut hindsight = Self::default();
        // In the order of their hellos, and so are the members of every group. One grouping after the other: both at
        // once would be the most memory that a run takes.
        let endpoints = hindsight.endpoints(kept, neighbours, order);
        let by_service = grouped(kept, order, Service::of);
        hindsight.key_names = key_names();
        for (service, members) in by_service {
            let place = (service.server, service.transport);
            let mut insight = ServiceAnalysis {
                members: members.iter().map(|(id, _)| *id).collect(),
                backends: hindsight.labels_of(
                    &members,
                    endpoints.machines.get(&place).map(Vec::as_slice).unwrap_or_default(),
                ),
                uses: members
                    .iter()
                    .flat_map(|(id, connection)| uses::of_connection(*id, connection, kept, ledger))
                    .collect(),
                takeovers: endpoints.takeovers.get(&place).cloned().unwrap_or_default(),
                ..ServiceAnalysis::default()
            };
            insight.accepted_later = uses::refused_then_accepted(&insight.uses, kept);
            insight.keys = timelines::of_service(&members, &insight.uses, &hindsight.key_names, ledger);
            insight.crowding = CachePressure::of(&members, &insight.uses);
            insight.honours_any = insight.uses.iter().any(|used| used.accepted);
            insight.honours_foreign = insight.uses.iter().any(|used| used.accepted && used.foreign);
            insight.honours_other_names = honours_other_names(&insight.uses, service.name.as_deref(), ledger);
            // Without its hello a connection has no server name: loss is a matter of the endpoint.
            insight.lossy = endpoints.lossy.contains(&place);
            insight.resumes_unnamed = endpoints.resuming_unnamed.contains(&place);
            insight.renews_unnamed = endpoints.renewing_unnamed.contains(&place);
            insight.keys_apart = key_verdict::keys_apart(&insight, &hindsight, kept);
            // Without its hello a connection may be of any of the names, which number their domains each by itself.
            let known = |connection: &Connection| connection.hello.yes().is_some() || !endpoints.named.contains(&place);
            let mut members = members;
            members.retain(|(_, connection)| known(connection));
            let domains = domains::tell_apart(&members, &insight, &hindsight);
            for (number, domain) in (1..).zip(&domains) {
                hindsight
                    .domain_of
                    .extend(domain.connections.iter().map(|id| (*id, number)));
            }
            insight.domains = (1..)
                .zip(&domains)
                .map(|(number, domain): (u16, _)| Label {
                    label: format!("domain-{number}"),
                    connections: domain.connections.len() as u64,
                    because: domain.because.clone(),
                })
                .collect();
            insight.exchanges = exchange::table(&insight, &hindsight, ledger);
            insight.contrasts = contrasts::of_service(&insight, &hindsight);
            insight.patterns = patterns::find(&members, &insight, &hindsight, kept, ledger);
            hindsight.services.insert(service, insight);
        }
        hindsight
    }

    /// What is a matter of the address and not of the name, with the machines of each connection.
    fn endpoints(
        &mut self,
        kept: &ConnectionStore,
        neighbours: &[(At, Neighbour)],
        order: &[ConnectionId],
    ) -> Endpoints {
        let mut found = Endpoints::default();
        for (endpoint, members) in grouped(kept, order, |connection| {
            (connection.server, connection.transport.kind())
        }) {
            let told = machines::tell_apart(&members);
            for (number, machine) in (1..).zip(&told) {
                self.backend_of
                    .extend(machine.connections.iter().map(|id| (*id, number)));
            }
            found.machines.insert(endpoint, told);
            if is_lossy(&members) {
                found.lossy.insert(endpoint);
            }
            for (_, connection) in members.iter().filter(|(_, connection)| resumes_unnamed(connection)) {
                found.resuming_unnamed.insert(endpoint);
                if !connection.issued.is_empty() {
                    found.renewing_unnamed.insert(endpoint);
                }
            }
            if members.iter().any(|(_, connection)| connection.hello.yes().is_some()) {
                found.named.insert(endpoint);
            }
            let takeovers = takeover::find(&members, neighbours);
            if !takeovers.is_empty() {
                found.takeovers.insert(endpoint, takeovers);
            }
        }
        found
    }

    /// What is known of a service.
    #[must_use]
    pub fn service(&self, service: &Service) -> Option<&ServiceAnalysis> {
        self.services.get(service)
    }

    /// Every service with what is known of it.
    pub fn services(&self) -> impl Iterator<Item = (&Service, &ServiceAnalysis)> {
        self.services.iter()
    }

    /// Number of the machine that answered, from 1 within its endpoint.
    #[must_use]
    pub fn backend(&self, id: ConnectionId) -> Option<u16> {
        self.backend_of.get(&id).copied()
    }

    /// Whether another machine of this service answered than the one that has the session, as far as they are told apart.
    #[must_use]
    pub fn other_backend(&self, used: &ResumptionAttempt) -> bool {
        self.both_backends(used)
            .is_some_and(|(answering, previous)| answering != previous)
    }

    /// Whether the machine that answered is the one that has the session, where machines are told apart.
    #[must_use]
    pub fn same_backend(&self, used: &ResumptionAttempt) -> bool {
        self.both_backends(used)
            .is_some_and(|(answering, previous)| answering == previous)
    }

    /// The machine that answered, and the one that has the session.
    fn both_backends(&self, used: &ResumptionAttempt) -> Option<(u16, u16)> {
        let previous = used.previous.filter(|_| !used.foreign)?;
        Some((self.backend(used.connection)?, self.backend(previous)?))
    }

    /// Number of the cache domain that answered, from 1 within its service.
    #[must_use]
    pub fn domain(&self, id: ConnectionId) -> Option<u16> {
        self.domain_of.get(&id).copied()
    }

    /// The key name of a ticket.
    #[must_use]
    pub fn key_name(&self, id: CredentialId) -> Option<KeyName> {
        self.key_names.of(id)
    }

    /// The name of the key under which a connection was given a ticket in clear.
    #[must_use]
    pub fn issued_under(&self, connection: &Connection) -> Option<KeyName> {
        connection.issued.iter().find_map(|id| self.key_name(*id))
    }

    fn labels_of(&self, members: &[(ConnectionId, &Connection)], machines: &[machines::Machine]) -> Vec<Label> {
        (1..)
            .zip(machines)
            .map(|(number, machine): (u16, _)| Label {
                label: format!("backend-{number}"),
                connections: members
                    .iter()
                    .filter(|(id, _)| self.backend(*id) == Some(number))
                    .count() as u64,
                because: machine.because.clone(),
            })
            .collect()
    }
}

/// Connections by a key, in the order given.
fn grouped<'a, K: Eq + Hash>(
    kept: &'a ConnectionStore,
    order: &[ConnectionId],
    key: impl Fn(&Connection) -> K,
) -> HashMap<K, Vec<(ConnectionId, &'a Connection)>> {
    let mut groups: HashMap<K, Vec<(ConnectionId, &Connection)>> = HashMap::new();
    for (id, connection) in kept.in_turn(order) {
        groups.entry(key(connection)).or_default().push((id, connection));
    }
    groups
}

/// Whether a session made under another server name was accepted under this one. In TLS 1.3 names bind the client alone.
fn honours_other_names(uses: &[ResumptionAttempt], name: Option<&str>, ledger: &CredentialStore) -> bool {
    let credentials = uses.iter().filter(|used| used.accepted);
    let made_as = credentials.filter_map(|used| ledger.get(used.credential));
    made_as
        .filter(|credential| credential.mechanism != Mechanism::Psk)
        .filter_map(|credential| credential.server_name.as_deref())
        .any(|session| name.is_none_or(|name| !name.eq_ignore_ascii_case(session)))
}

/// Whether a connection resumes what an invisible ClientHello offered.
fn resumes_unnamed(connection: &Connection) -> bool {
    connection.hello.yes().is_none() && matches!(connection.outcome, Outcome::Resumed(_))
}

/// Whether at least one connection in ten lacks packets of its handshake.
fn is_lossy(members: &[(ConnectionId, &Connection)]) -> bool {
    const ONE_IN: usize = 10;
    let lacks = |connection: &Connection| {
        let sides = [&connection.client_side, &connection.server_side];
        let lost = sides.iter().any(|side| side.handshake_loss.is_some());
        lost || connection.hello.yes().is_none() || connection.answer.blind().is_some()
    };
    ONE_IN * members.iter().filter(|(_, connection)| lacks(connection)).count() >= members.len().max(1)
}
