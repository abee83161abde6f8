//! What only service analysis shows: machines, cache domains, ticket keys, and patterns over many connections of a service.
//!
//! Built once over all kept connections when a report is made. Reasons may be settled by it; outcomes never change.

pub mod catalog;
pub mod contrast;
mod domains;
mod exchange;
mod facts;
mod folded;
pub mod keys;
mod machines;
pub mod patterns;
mod takeover;
mod timelines;

use std::borrow::Cow;
use std::ops::RangeInclusive;

use hashbrown::{HashMap, HashSet};

use crate::diagnosis::answer::Answer;
use crate::diagnosis::attempts::{Attempts, OfferedCredential, ServicePart, Shown, Sources};
use crate::diagnosis::contest::{self, Standing};
use crate::diagnosis::explanations::{Kind, ServiceContext};
use crate::diagnosis::numbered::Numbered;
use crate::diagnosis::parties::{Parties, Place};
use crate::net::{At, Neighbour};
use crate::session::{Connection, ConnectionId, CredentialId, Outcome, Service};
use crate::store::{ConnectionStore, CredentialStore};

pub use catalog::{PATTERNS, PatternKind};
pub use contrast::ContingencyTable;
pub use exchange::Exchange;
pub use folded::Folded;
pub use keys::{KeyName, KeyNames};
pub use patterns::Pattern;
pub use takeover::Takeover;
pub use timelines::KeyTimeline;

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

/// What service analysis says of one service.
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
    /// The address changed hands.
    pub takeovers: Vec<Takeover>,
    /// Its connections that were folded into counts: only their outcomes are known.
    pub folded: Folded,
    /// So much of the service is not visible that what was not seen may well have happened.
    pub lossy: bool,
    /// At this address sessions are resumed in connections whose ClientHello, and so whose server name, is not visible.
    pub resumes_unnamed: bool,
    /// And some of these issue a ticket: for which one is not visible.
    pub renews_unnamed: bool,
    /// Explanations of its refusals that stand, best first.
    pub standing: Vec<Standing>,
    /// Patterns.
    pub patterns: Vec<Pattern>,
    /// What there is to say about the service, in one sentence, and what to do.
    pub answer: Answer,
}

impl ServiceAnalysis {
    /// The contrast of an explanation that stands.
    #[must_use]
    pub fn contrast(&self, kind: Kind) -> Option<ContingencyTable> {
        ContingencyTable::of(self.standing(kind)?)
    }

    /// What stands of an explanation.
    #[must_use]
    pub fn standing(&self, kind: Kind) -> Option<&Standing> {
        self.standing.iter().find(|it| it.claim.kind == kind)
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

/// Everything service analysis shows.
#[derive(Debug, Default)]
pub struct ServiceAnalyses {
    services: HashMap<Service, ServiceAnalysis>,
    backend_of: Numbered<u16>,
    domain_of: Numbered<u16>,
    key_names: KeyNames,
    attempts: Attempts,
}

/// What is a matter of the address and not of the name.
#[derive(Debug, Default)]
pub struct Endpoints {
    /// The machine of each connection.
    backend_of: Numbered<u16>,
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

impl Endpoints {
    /// Over these connections; `neighbours` are ARP and neighbour-discovery facts.
    #[must_use]
    pub fn of(connection_store: &ConnectionStore, neighbours: &[(At, Neighbour)], parties: &Parties) -> Self {
        let mut found = Self {
            backend_of: Numbered::over(parties.order().iter().map(|id| id.0)),
            ..Self::default()
        };
        let mut claims: HashMap<std::net::IpAddr, Vec<(At, Neighbour)>> = HashMap::new();
        for (at, neighbour) in neighbours {
            if let Neighbour::Claims { ip, .. } = neighbour {
                claims.entry(*ip).or_default().push((*at, *neighbour));
            }
        }
        let of_places = parties.by_place();
        for (endpoint, ids) in parties.places().iter().copied().zip(of_places.iter()) {
            let members: Vec<_> = connection_store.in_turn(ids).collect();
            let announced = claims.get(&endpoint.0.ip).map(Vec::as_slice).unwrap_or_default();
            let told = machines::tell_apart(&members, &takeover::holders(&members, announced));
            for (number, machine) in (1..).zip(&told) {
                for id in &machine.connections {
                    found.backend_of.set(id.0, Some(number));
                }
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
            let takeovers = takeover::find(&members, announced);
            if !takeovers.is_empty() {
                found.takeovers.insert(endpoint, takeovers);
            }
        }
        found
    }
}

impl ServiceAnalyses {
    /// What tells of connections of one service, by some of what was kept as if there were no more: these connections, and
    /// the credentials that they issued and offered. No other service is looked at, and where no reason is asked for
    /// (`judged`), as of resumptions, only what tells machines and cache domains: a live run does this for every
    /// few lines. `parties` are those of all of `order` where a reason is asked for, and else not looked at.
    #[must_use]
    pub fn around(
        connection_store: &ConnectionStore,
        credential_store: &CredentialStore,
        neighbours: impl Iterator<Item = (At, Neighbour)>,
        order: &[ConnectionId],
        parties: &Parties,
        (service, judged): (Service, bool),
    ) -> Self {
        let here = |connection: &Connection| {
            connection.server == service.server && connection.transport.kind() == service.transport
        };
        let all = || connection_store.in_turn(order);
        let claims: Vec<(At, Neighbour)> = neighbours
            .filter(|(_, what)| matches!(what, Neighbour::Claims { ip, .. } if judged || *ip == service.server.ip))
            .collect();
        let mut endpoints = if judged {
            Endpoints::of(connection_store, &claims, parties)
        } else {
            let near = all().filter(|(_, connection)| here(connection)).map(|(id, _)| id);
            let near: Vec<ConnectionId> = near.collect();
            Endpoints::of(connection_store, &claims, &Parties::of(connection_store, &near))
        };
        let mut analyses = Self {
            backend_of: std::mem::take(&mut endpoints.backend_of),
            domain_of: Numbered::over(order.iter().map(|id| id.0)),
            ..Self::default()
        };
        let credentials: Vec<CredentialId> = all()
            .flat_map(|(_, connection)| {
                let offered = connection.offers.iter().map(|offer| offer.credential);
                connection.issued.iter().copied().chain(offered)
            })
            .collect();
        let known = credentials
            .iter()
            .filter_map(|id| Some((*id, credential_store.get(*id)?)));
        analyses.key_names = KeyNames::learn_some(known);
        let of_service =
            |connection: &Connection| here(connection) && connection.server_name() == service.name.as_ref();
        let members: Vec<_> = all().filter(|(_, connection)| of_service(connection)).collect();
        let analysis = if judged {
            let numbers = (
                numbers_of(&credentials),
                u32::try_from(credentials.len()).unwrap_or(u32::MAX),
            );
            let shown = Shown::of(connection_store, credential_store, parties.order());
            analyses.attempts = analyses.table(connection_store, parties, numbers, std::iter::once(shown));
            analyses.tell_machines();
            let number = parties.services().iter().position(|known| *known == service);
            let part = number.and_then(|number| analyses.attempts.part(u32::try_from(number).ok()?).cloned());
            let part = part.unwrap_or_default();
            analyses.analysis(
                &service,
                &members,
                &part,
                &endpoints,
                connection_store,
                credential_store,
            )
        } else {
            let mut analysis = analyses.marks(&service, &members, &endpoints, credential_store);
            analyses.tell_domains(&own_members(&service, &members, &endpoints), &mut analysis);
            analysis
        };
        analyses.services.insert(service, analysis);
        analyses
    }

    /// Over everything that was kept; `shown` is what it shows, in the order of the parties. The endpoints are asked for late:
    /// somebody else may look at them meanwhile.
    #[must_use]
    pub fn of(
        connection_store: &ConnectionStore,
        credential_store: &CredentialStore,
        parties: &Parties,
        key_names: KeyNames,
        shown: impl Iterator<Item = Shown>,
        endpoints: impl FnOnce() -> Endpoints,
    ) -> Self {
        let mut analyses = Self {
            key_names,
            domain_of: Numbered::over(parties.order().iter().map(|id| id.0)),
            ..Self::default()
        };
        analyses.attempts = analyses.table(connection_store, parties, credential_store.numbers(), shown);
        let mut endpoints = endpoints();
        analyses.backend_of = std::mem::take(&mut endpoints.backend_of);
        analyses.tell_machines();
        let of_services = parties.by_service();
        analyses.services.reserve(parties.services().len());
        for (number, (service, ids)) in (0..).zip(parties.services().iter().zip(of_services.iter())) {
            let members: Vec<_> = connection_store.in_turn(ids).collect();
            let part = analyses.attempts.part(number).cloned().unwrap_or_default();
            let mut analysis =
                analyses.analysis(service, &members, &part, &endpoints, connection_store, credential_store);
            analysis.answer = Answer::of(&members, &analysis, &analyses);
            analyses.services.insert(service.clone(), analysis);
        }
        analyses
    }

    /// Enters the machines into the attempt table.
    fn tell_machines(&mut self) {
        let backend_of = &self.backend_of;
        self.attempts.tell_machines(|id| backend_of.get(id.0));
    }

    /// The attempt table, once key names are known.
    fn table(
        &self,
        connection_store: &ConnectionStore,
        parties: &Parties,
        credentials: (RangeInclusive<u32>, u32),
        shown: impl Iterator<Item = Shown>,
    ) -> Attempts {
        let sources = Sources {
            keys: &self.key_names,
            credentials,
        };
        Attempts::of(connection_store, parties, &sources, shown)
    }

    /// What marks and keys show of one service.
    fn marks(
        &self,
        service: &Service,
        members: &[(ConnectionId, &Connection)],
        endpoints: &Endpoints,
        credential_store: &CredentialStore,
    ) -> ServiceAnalysis {
        // The port and the transport: who answers there by UDP is not who answers by TCP.
        let place = (service.server, service.transport);
        let machines = endpoints.machines.get(&place);
        ServiceAnalysis {
            members: members.iter().map(|(id, _)| *id).collect(),
            backends: self.labels_of(members, machines.map(Vec::as_slice).unwrap_or_default()),
            takeovers: endpoints.takeovers.get(&place).cloned().unwrap_or_default(),
            keys: timelines::of_service(members, &self.attempts, &self.key_names, credential_store),
            // Without its hello a connection has no server name: loss is a matter of the endpoint.
            lossy: endpoints.lossy.contains(&place),
            resumes_unnamed: endpoints.resuming_unnamed.contains(&place),
            renews_unnamed: endpoints.renewing_unnamed.contains(&place),
            ..ServiceAnalysis::default()
        }
    }

    /// What is to be said of one service, but for the answer: lines of single connections have none.
    fn analysis(
        &mut self,
        service: &Service,
        members: &[(ConnectionId, &Connection)],
        part: &ServicePart,
        endpoints: &Endpoints,
        connection_store: &ConnectionStore,
        credential_store: &CredentialStore,
    ) -> ServiceAnalysis {
        let mut analysis = self.marks(service, members, endpoints, credential_store);
        analysis.folded = Folded::of(connection_store, service);
        let mut ground = ServiceContext::of(&self.attempts, part, &analysis.takeovers);
        ground.folded = analysis.folded;
        analysis.standing = contest::hold(&ground);
        contest::mark(&mut self.attempts, &analysis.standing);
        let own = own_members(service, members, endpoints);
        self.tell_domains(&own, &mut analysis);
        analysis.exchanges = exchange::table(&analysis, self);
        analysis.patterns = patterns::find(&own, part, &analysis, self, connection_store);
        analysis
    }

    /// Cache domains, and which of them each connection belongs to.
    fn tell_domains(&mut self, members: &[(ConnectionId, &Connection)], analysis: &mut ServiceAnalysis) {
        let domains = domains::tell_apart(members, analysis, self);
        for (number, domain) in (1..).zip(&domains) {
            for id in &domain.connections {
                self.domain_of.set(id.0, Some(number));
            }
        }
        let label = |(number, domain): (u16, &domains::Domain)| Label {
            label: format!("domain-{number}"),
            connections: domain.connections.len() as u64,
            because: domain.because.clone(),
        };
        analysis.domains = (1..).zip(&domains).map(label).collect();
    }

    /// What is known of a service.
    #[must_use]
    pub fn service(&self, service: &Service) -> Option<&ServiceAnalysis> {
        self.services.get(service)
    }

    /// Answers that reasons of the connections said more to.
    pub(crate) fn take_answers(&mut self, answers: Vec<(Service, Answer)>) {
        for (service, answer) in answers {
            if let Some(analysis) = self.services.get_mut(&service) {
                analysis.answer = answer;
            }
        }
    }

    /// Every service with what is known of it.
    pub fn services(&self) -> impl Iterator<Item = (&Service, &ServiceAnalysis)> {
        self.services.iter()
    }

    /// Number of the machine that answered, from 1 within its endpoint.
    #[must_use]
    pub fn backend(&self, id: ConnectionId) -> Option<u16> {
        self.backend_of.get(id.0)
    }

    /// The attempt table.
    #[must_use]
    pub const fn attempts(&self) -> &Attempts {
        &self.attempts
    }

    /// The entries of a connection in the attempt table, with their numbers.
    pub fn entries(&self, id: ConnectionId) -> impl Iterator<Item = (u32, &OfferedCredential)> {
        let row = self.attempts.of_connection(id);
        row.into_iter().flat_map(|row| self.attempts.of_row(row))
    }

    /// Number of the cache domain that answered, from 1 within its service.
    #[must_use]
    pub fn domain(&self, id: ConnectionId) -> Option<u16> {
        self.domain_of.get(id.0)
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
        let mut labels: Vec<Label> = (1..)
            .zip(machines)
            .map(|(number, machine): (u16, _)| Label {
                label: format!("backend-{number}"),
                connections: 0,
                because: machine.because.clone(),
            })
            .collect();
        // Machines are those of the endpoint; counted are the connections of the service.
        for number in members.iter().filter_map(|(id, _)| self.backend(*id)) {
            if let Some(label) = labels.get_mut(usize::from(number).saturating_sub(1)) {
                label.connections += 1;
            }
        }
        labels
    }
}

/// Members of a service that are of no other: without its hello a connection may be of any of the names of its server, which
/// number their domains each by itself.
fn own_members<'m, 'c>(
    service: &Service,
    members: &'m [(ConnectionId, &'c Connection)],
    endpoints: &Endpoints,
) -> Cow<'m, [(ConnectionId, &'c Connection)]> {
    let has_hello = |(_, connection): &(ConnectionId, &Connection)| connection.hello.yes().is_some();
    let is_named = endpoints.named.contains(&(service.server, service.transport));
    if !is_named || members.iter().all(has_hello) {
        Cow::Borrowed(members)
    } else {
        Cow::Owned(members.iter().copied().filter(has_hello).collect())
    }
}

/// The first and the last number of some credentials.
fn numbers_of(credentials: &[CredentialId]) -> RangeInclusive<u32> {
    let number = |id: Option<&CredentialId>| id.map_or(0, |id| id.0);
    number(credentials.iter().min())..=number(credentials.iter().max())
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
