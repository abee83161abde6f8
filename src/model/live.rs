//! What a live run says while it goes on: one connection at a time, judged by what came before it.
//!
//! To judge by everything for every connection would take longer the longer the run; so each is judged by the
//! connections that may have to do with it: others of its client, recent ones of its service, and those that
//! issued or offered the same credentials. The report at the end rests on everything.

use std::collections::VecDeque;
use std::net::IpAddr;

use hashbrown::HashMap;

use super::{Outcomes, Report, connection_id, service_of};
use reshake_core::diagnosis::judge::needs_reason;
use reshake_core::engine::Engine;
use reshake_core::net::span::SECOND;
use reshake_core::net::{Capture, Timestamp};
use reshake_core::session::{Connection, ConnectionId, Service};
use reshake_core::store::ConnectionStore;

/// Earlier connections of a client that are looked at.
const OF_CLIENT: usize = 32;
/// Recent connections of a service that are looked at.
const OF_SERVICE: usize = 48;
/// Uses of a credential that are looked at.
const OF_CREDENTIAL: usize = 8;
/// Entries below which nothing is cleared up.
const FEW: usize = 1024;

/// What a live run has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Handshakes by outcome.
    pub outcomes: Outcomes,
    /// Packets taken in.
    pub packets: u64,
    /// Packets lost.
    pub dropped: u64,
}

impl Tally {
    /// What came after `before`.
    #[must_use]
    pub const fn since(&self, before: &Self) -> Self {
        let (now, then) = (&self.outcomes, &before.outcomes);
        Self {
            outcomes: Outcomes {
                resumed: now.resumed.saturating_sub(then.resumed),
                declined: now.declined.saturating_sub(then.declined),
                not_offered: now.not_offered.saturating_sub(then.not_offered),
                failed: now.failed.saturating_sub(then.failed),
                unclear: now.unclear.saturating_sub(then.unclear),
                external_psk: now.external_psk.saturating_sub(then.external_psk),
            },
            packets: self.packets.saturating_sub(before.packets),
            dropped: self.dropped.saturating_sub(before.dropped),
        }
    }

    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.outcomes.total() == 0 && self.packets == 0 && self.dropped == 0
    }
}

/// Which connections may have to do with which: the latest of each client and of each service.
#[derive(Debug, Default)]
pub struct Related {
    by_client: HashMap<(IpAddr, IpAddr), VecDeque<ConnectionId>>,
    by_service: HashMap<Service, VecDeque<ConnectionId>>,
    /// Entries after the last clearing up.
    left: usize,
}

impl Related {
    /// Remembers a connection for those to come.
    pub fn note(&mut self, id: ConnectionId, connection: &Connection, connection_store: &ConnectionStore) {
        let client = (connection.client.ip, connection.server.ip);
        push(self.by_client.entry(client).or_default(), id, OF_CLIENT);
        push(
            self.by_service.entry(service_of(connection)).or_default(),
            id,
            OF_SERVICE,
        );
        let entries = self.by_client.len() + self.by_service.len();
        if entries > FEW.max(2 * self.left) {
            self.clear_up(connection_store);
        }
    }

    /// Forgets clients and services of which nothing is kept any more, so that this grows no larger than what is.
    fn clear_up(&mut self, connection_store: &ConnectionStore) {
        let known = |ids: &VecDeque<ConnectionId>| ids.iter().any(|id| connection_store.get(*id).is_some());
        self.by_client.retain(|_, ids| known(ids));
        self.by_service.retain(|_, ids| known(ids));
        self.left = self.by_client.len() + self.by_service.len();
    }

    /// The connections by which some are judged, themselves among them, in the order of their hellos.
    fn to(&self, ids: &[ConnectionId], engine: &Engine) -> Vec<ConnectionId> {
        let connection_store = engine.connection_store();
        let about = ids.iter().filter_map(|id| connection_store.get(*id));
        let of_clients = about.clone().filter_map(|connection| {
            let client = (connection.client.ip, connection.server.ip);
            self.by_client.get(&client)
        });
        let of_service = about
            .clone()
            .next()
            .and_then(|connection| self.by_service.get(&service_of(connection)));
        let offers = about.flat_map(|connection| &connection.offers);
        let credentials = offers.filter_map(|offer| engine.credential_store().get(offer.credential));
        let of_credentials = credentials.flat_map(|credential| {
            let issuer = credential.issued.map(|issue| issue.connection);
            credential
                .offers
                .iter()
                .rev()
                .take(OF_CREDENTIAL)
                .copied()
                .chain(issuer)
        });
        let mut all: Vec<ConnectionId> = of_clients
            .chain(of_service)
            .flatten()
            .copied()
            .chain(of_credentials)
            .chain(ids.iter().copied())
            .collect();
        // Most are there for each of several lines: they are looked at once.
        all.sort_unstable();
        all.dedup();
        let mut begun: Vec<_> = all
            .into_iter()
            .filter_map(|id| Some((connection_store.get(id)?.hello_time(), id)))
            .collect();
        begun.sort_unstable();
        begun.into_iter().map(|(_, id)| id).collect()
    }
}

/// Handshakes that were decided, so that one that a balancer passes on is counted once: both legs bear the same randoms.
#[derive(Debug, Default)]
pub struct Legs {
    seen: HashMap<Randoms, FirstLeg>,
    order: VecDeque<Randoms>,
}

/// The leg on which a handshake was decided first.
#[derive(Debug, Clone)]
pub struct FirstLeg {
    /// The connection; it may be gone by the time at which the other leg is told.
    pub connection: ConnectionId,
    /// What a report calls it.
    pub name: String,
    time: Timestamp,
}

/// What both sides drew, whichever leg it is seen on.
type Randoms = ([u8; 32], [u8; 8]);

impl Legs {
    /// Handshakes that are remembered.
    const MAX_SEEN: usize = 1 << 16;
    /// Nanoseconds within which a balancer passes a handshake on, as the report at the end has it.
    const PASSED_ON: i64 = 10 * SECOND;

    /// The connection that had this handshake before: this is then its other leg, or a copy of it.
    pub fn first_of(&mut self, id: ConnectionId, connection: &Connection) -> Option<&FirstLeg> {
        let (hello, answer) = (connection.hello.yes()?, connection.answer.yes()?);
        let randoms = (hello.random, answer.random);
        let time = connection.hello_time();
        if self.seen.contains_key(&randoms) {
            let first = self.seen.get(&randoms)?;
            let is_another = first.connection != id && time.since(first.time).abs() <= Self::PASSED_ON;
            return is_another.then_some(first);
        }
        if self.order.len() >= Self::MAX_SEEN
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        self.order.push_back(randoms);
        let first = FirstLeg {
            connection: id,
            name: connection_id(connection),
            time,
        };
        self.seen.insert(randoms, first);
        None
    }
}

fn push(ids: &mut VecDeque<ConnectionId>, id: ConnectionId, most: usize) {
    if ids.back() == Some(&id) {
        return;
    }
    if ids.len() >= most {
        ids.pop_front();
    }
    ids.push_back(id);
}

/// Reports of the connections that have to do with some: one for all of a service, which takes little longer than one for one.
#[derive(Debug)]
pub struct Surroundings<'a> {
    of: HashMap<Service, Report<'a>>,
}

impl<'a> Surroundings<'a> {
    /// Of these connections, each of which was [noted](Related::note).
    #[must_use]
    pub fn of(engine: &'a Engine, capture: Option<&Capture>, related: &Related, ids: &[ConnectionId]) -> Self {
        let connection_store = engine.connection_store();
        let mut by_service: HashMap<Service, Vec<ConnectionId>> = HashMap::new();
        for id in ids {
            if let Some(connection) = connection_store.get(*id) {
                by_service.entry(service_of(connection)).or_default().push(*id);
            }
        }
        let report = |(service, ids): (Service, Vec<ConnectionId>)| {
            let order = related.to(&ids, engine);
            let judged = ids.iter().filter_map(|id| connection_store.get(*id)).any(needs_reason);
            let captures = capture.cloned().into_iter().collect();
            let report = Report::around(engine, captures, &order, (service.clone(), judged));
            (service, report)
        };
        Self {
            of: by_service.into_iter().map(report).collect(),
        }
    }

    /// The report by which one of them is judged.
    #[must_use]
    pub fn about(&self, connection: &Connection) -> Option<&Report<'a>> {
        self.of.get(&service_of(connection))
    }
}
