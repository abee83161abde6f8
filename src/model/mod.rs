//! Everything a person or a program reads.
//!
//! A [`Report`] is a view of a finished [`Engine`]: counts, services and the order of connections. Verdicts are asked for
//! one connection at a time while the report is written, so that it never stands in memory a second time.

pub mod alike;
mod answers;
pub mod cost;
mod counting;
mod counts;
pub mod document;
mod early;
pub mod failures;
mod ids;
pub mod live;
mod outward;
mod primary;
pub mod select;
pub mod session;
pub(crate) mod threads;
mod tickets;
mod transfers;
mod transports;
pub mod view;
mod wireshark;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, mpsc};

use hashbrown::{HashMap, HashSet};

use primary::Primaries;
use reshake_core::diagnosis::answer::Answer;
use reshake_core::diagnosis::security::Findings;
use reshake_core::diagnosis::{
    Endpoints, History, Judged, KeyNames, Parties, RuleContext, ServiceAnalyses, Shown, judge,
};
use reshake_core::engine::Engine;
use reshake_core::net::span::SECOND;
use reshake_core::net::{Capture, Endpoint, Notice, Timestamp};
pub(crate) use reshake_core::session::{
    CloseClass, Connection, ConnectionId, Credential, CredentialId, Mechanism, Outcome, Service, TransportKind,
};
use tickets::may_have_issued;
use transfers::FtpTransfers;
pub(crate) use transports::{connections_text, over, protocol_text, quic_version};

pub use alike::OutcomeGroup;
pub use counts::{Counts, Offers};
pub use early::{EarlyAnswer, WhyRefused};
pub use ids::{base64, community_id, connection_id, credential_id, service_id};
pub use primary::{Primary, ReasonCount};
pub use reshake_core::session::Outcomes;
pub use select::{SelectError, Selection};
pub use tickets::{TicketAge, TicketLedger, ages as ticket_ages};
pub use transfers::TransferCounts;

/// Bars of a service's timeline at most.
const TIMELINE_BARS: i64 = 60;
/// Widths that a bar may have, in seconds.
const BAR_SECONDS: [i64; 14] = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 10_800, 43_200, 86_400];

/// The run that a report is about: borrowed, or shared with others that keep it.
#[derive(Debug, Clone)]
pub enum RunRef<'a> {
    /// Borrowed.
    Borrowed(&'a Engine),
    /// Shared.
    Shared(Arc<Engine>),
}

impl Deref for RunRef<'_> {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        match self {
            Self::Borrowed(engine) => engine,
            Self::Shared(engine) => engine,
        }
    }
}

impl<'a> From<&'a Engine> for RunRef<'a> {
    fn from(engine: &'a Engine) -> Self {
        Self::Borrowed(engine)
    }
}

impl From<Arc<Engine>> for RunRef<'_> {
    fn from(engine: Arc<Engine>) -> Self {
        Self::Shared(engine)
    }
}

/// One server endpoint under one server name.
#[derive(Debug)]
pub struct ServiceView {
    /// What carries TLS.
    pub transport: TransportKind,
    /// Endpoint.
    pub server: Endpoint,
    /// Name.
    pub server_name: Option<Arc<str>>,
    /// Counts.
    pub counts: Counts,
    /// Primary reasons, most frequent first.
    pub reasons: Vec<ReasonCount>,
    /// Outcomes over time: start of the bar, and what ended in it.
    pub timeline: Vec<(Timestamp, Outcomes)>,
    /// Connections that were kept, by outcome and primary reason, in the order in which the kinds were first met.
    pub alike: Vec<OutcomeGroup>,
    /// What full handshakes of returning clients cost.
    pub avoidable: cost::AvoidableByReason,
    /// Resumed handshakes whose bytes are visible, and those bytes.
    pub resumed_bytes: (u64, u64),
}

/// The whole run, counted.
#[derive(Debug, Default)]
pub struct Summary {
    /// Counts.
    pub counts: Counts,
    /// Resumptions by session ID, ticket and PSK.
    pub resumed_by: [u64; 3],
    /// Primary reasons, most frequent first.
    pub reasons: Vec<ReasonCount>,
    /// Closes by class.
    pub closes: BTreeMap<CloseClass, u64>,
    /// Connections whose close is not visible.
    pub closes_not_visible: u64,
    /// Connections by what carries TLS; those that were folded into counts are among them.
    pub transports: BTreeMap<TransportKind, u64>,
}

/// A view of everything that was found.
#[derive(Debug)]
pub struct Report<'a> {
    /// The run.
    pub engine: RunRef<'a>,
    /// The inputs, with what was skipped in them.
    pub captures: Vec<Capture>,
    /// Counts of everything.
    pub summary: Summary,
    /// Services, the one with the most connections first.
    pub services: Vec<ServiceView>,
    /// Seconds a bar of the timelines covers.
    pub bar_seconds: i64,
    history: Arc<History>,
    /// What service analysis shows.
    pub analyses: Arc<ServiceAnalyses>,
    /// What a security review would want to know.
    pub findings: Arc<Findings>,
    tickets: Arc<HashMap<Service, Vec<TicketLedger>>>,
    transfers: Arc<FtpTransfers>,
    /// Answers that reasons of the connections say more to than the service as a whole.
    answers: Arc<HashMap<Service, Answer>>,
    /// What is shown, where that is not everything.
    selection: Option<Selection>,
    /// Connections that are shown, with their numbers among all.
    order: Vec<(usize, ConnectionId)>,
    /// Primary reasons of those, in their order.
    primaries: Primaries,
    /// Threads that work at once.
    threads: usize,
}

impl<'a> Report<'a> {
    /// Of a finished run.
    #[must_use]
    pub fn of(engine: impl Into<RunRef<'a>>, captures: Vec<Capture>) -> Self {
        Self::of_selected(engine, captures, None)
    }

    /// Of what a selection leaves of a finished run. Verdicts and service analysis rest on everything all the same.
    #[must_use]
    pub fn of_selected(engine: impl Into<RunRef<'a>>, captures: Vec<Capture>, selection: Option<Selection>) -> Self {
        Self::with_threads(engine, captures, selection, 1)
    }

    /// The same by so many threads at once: the report does not depend on their number.
    #[must_use]
    pub fn with_threads(
        engine: impl Into<RunRef<'a>>,
        captures: Vec<Capture>,
        selection: Option<Selection>,
        threads: usize,
    ) -> Self {
        let held = engine.into();
        let engine: &Engine = &held;
        let (parties, (names, order)) = threads::both(
            threads,
            || engine.parties(),
            || {
                let names = KeyNames::learn(engine.credential_store());
                let order = engine.in_order(|connection| (connection.transport.started, connection.transport.first()));
                (names, (1..).zip(order).collect())
            },
        );
        let parties = &Arc::new(parties);
        let by_hello = parties.order();
        let neighbours = &engine.address_facts();
        let (connection_store, credential_store) = (engine.connection_store(), engine.credential_store());
        let pieces: Vec<&[ConnectionId]> = by_hello.chunks(Shown::PIECE).collect();
        let show = |piece: usize| {
            let ids = pieces.get(piece).copied().unwrap_or_default();
            Shown::of(connection_store, credential_store, ids)
        };
        let shown = &threads::Pieces::new(pieces.len(), &show);
        let (give, endpoints) = mpsc::sync_channel(1);
        let ((history, tickets, transfers), analyses) = threads::both(
            threads,
            || {
                // What the other side waits for comes first.
                if threads > 1 {
                    shown.help();
                }
                let _ = give.send(Endpoints::of(connection_store, neighbours, parties));
                let history = History::of(connection_store, parties);
                let tickets = tickets::ledgers(connection_store, credential_store, by_hello);
                (history, tickets, FtpTransfers::of(engine, by_hello))
            },
            move || {
                let endpoints = || endpoints.recv().unwrap_or_default();
                ServiceAnalyses::of(
                    connection_store,
                    credential_store,
                    parties,
                    names,
                    shown.results(),
                    endpoints,
                )
            },
        );
        let analyses = Arc::new(analyses);
        let mut report = Self {
            engine: held.clone(),
            captures,
            summary: Summary::default(),
            services: Vec::new(),
            bar_seconds: 1,
            history: Arc::new(history),
            analyses: Arc::clone(&analyses),
            findings: Arc::default(),
            tickets: Arc::new(tickets),
            transfers: Arc::new(transfers),
            answers: Arc::default(),
            selection: None,
            order,
            primaries: Primaries::default(),
            threads,
        };
        report.select(selection);
        report.share_notices();
        let findings =
            report.count_beside(|| Findings::of(&analyses, held.connection_store(), held.credential_store()));
        report.findings = Arc::new(findings);
        report.answers = Arc::new(answers::with_reasons(&report));
        report
    }

    /// Of connections of one service in a run that goes on, by these as if there had been no more; `judged` where a reason is
    /// asked for of any of them. Nothing is counted.
    #[must_use]
    pub fn around(
        engine: &'a Engine,
        captures: Vec<Capture>,
        order: &[ConnectionId],
        (service, judged): (Service, bool),
    ) -> Self {
        let neighbours = engine.neighbours().iter().map(|seen| (seen.at, seen.what));
        // Only reasons ask for what went before.
        let before = if judged { order } else { &[] };
        let parties = Arc::new(Parties::of(engine.connection_store(), before));
        Self {
            engine: RunRef::Borrowed(engine),
            captures,
            summary: Summary::default(),
            services: Vec::new(),
            bar_seconds: 1,
            history: Arc::new(History::of(engine.connection_store(), &parties)),
            analyses: Arc::new(ServiceAnalyses::around(
                engine.connection_store(),
                engine.credential_store(),
                neighbours,
                order,
                &parties,
                (service, judged),
            )),
            findings: Arc::default(),
            tickets: Arc::default(),
            transfers: Arc::default(),
            answers: Arc::default(),
            selection: None,
            order: Vec::new(),
            primaries: Primaries::default(),
            threads: 1,
        }
    }

    /// What a selection leaves of this report. Verdicts and service analysis stay as they are.
    #[must_use]
    pub fn narrowed(&self, selection: Selection) -> Self {
        let mut report = Self {
            engine: self.engine.clone(),
            captures: self.captures.clone(),
            summary: Summary::default(),
            services: Vec::new(),
            bar_seconds: self.bar_seconds,
            history: Arc::clone(&self.history),
            analyses: Arc::clone(&self.analyses),
            findings: Arc::clone(&self.findings),
            tickets: Arc::clone(&self.tickets),
            transfers: Arc::clone(&self.transfers),
            answers: Arc::clone(&self.answers),
            selection: None,
            order: self.order.clone(),
            primaries: Primaries::default(),
            threads: self.threads,
        };
        report.select(Some(selection));
        report.count_beside(|| ());
        report
    }

    /// Connections that were only counted, at the memory limit: nothing is known of them but their service and outcome.
    #[must_use]
    pub fn only_counted(&self) -> u64 {
        self.engine.connection_store().evicted_total()
    }

    /// How many connections are shown.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.order.len()
    }

    /// Threads that work at once, 0 counting as 1.
    pub(crate) const fn threads(&self) -> usize {
        self.threads
    }

    /// Whether none is shown.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The connection at a place in the order of [`Report::connections`], from 0, with its number.
    #[must_use]
    pub fn at(&self, place: usize) -> Option<(usize, ConnectionId, &Connection)> {
        let (number, id) = *self.order.get(place)?;
        Some((number, id, self.engine.connection_store().get(id)?))
    }

    /// The place of a connection that is shown.
    #[must_use]
    pub fn place_of(&self, id: ConnectionId) -> Option<usize> {
        let connection_store = self.engine.connection_store();
        let key = |id: ConnectionId| {
            let transport = &connection_store.get(id)?.transport;
            Some((transport.started, transport.first(), id))
        };
        let wanted = key(id)?;
        self.order
            .binary_search_by(|(_, other)| key(*other).cmp(&Some(wanted)))
            .ok()
    }

    /// The primary reason of the connection at a place.
    #[must_use]
    pub fn primary(&self, place: usize) -> Option<Primary> {
        self.primaries.at(place)
    }

    /// Whether the connection at a place belongs to a selection.
    #[must_use]
    pub fn holds(&self, selection: &Selection, place: usize) -> bool {
        self.at(place).is_some_and(|(number, id, connection)| {
            selection.holds(select::Subject {
                report: self,
                number,
                id,
                connection,
                primary: self.primary(place),
            })
        })
    }

    /// Connections in the order of their first packets, with their numbers from 1.
    pub fn connections(&self) -> impl Iterator<Item = (usize, ConnectionId, &Connection)> + '_ {
        let connection_store = self.engine.connection_store();
        self.order
            .iter()
            .filter_map(move |(number, id)| Some((*number, *id, connection_store.get(*id)?)))
    }

    /// Wireshark display filters that select the packets of a connection, by capture.
    pub fn display_filter<'s>(&self, connection: &'s Connection) -> impl Iterator<Item = (u16, String)> + use<'s> {
        wireshark::display_filter(connection, self.engine.is_redacted())
    }

    /// A display filter that is short enough to be read; it may also select another connection between the same ports.
    #[must_use]
    pub fn short_filter(&self, connection: &Connection) -> String {
        wireshark::short_filter(connection, self.engine.is_redacted())
    }

    /// The selection that was applied, as it was written.
    #[must_use]
    pub fn selection(&self) -> Option<&str> {
        self.selection.as_ref().map(Selection::text)
    }

    /// Credentials that a shown connection issued or offered.
    pub fn credentials(&self) -> impl Iterator<Item = (CredentialId, &Credential)> + '_ {
        let shown: Option<HashSet<CredentialId>> = self.selection.is_some().then(|| {
            let of = |connection: &Connection| {
                let offered = connection.offers.iter().map(|offer| offer.credential);
                connection.issued.iter().copied().chain(offered).collect::<Vec<_>>()
            };
            self.connections().flat_map(|(.., connection)| of(connection)).collect()
        });
        let all = self.engine.credential_store().iter();
        all.filter(move |(id, _)| shown.as_ref().is_none_or(|shown| shown.contains(id)))
    }

    /// Leaves the selected connections.
    fn select(&mut self, selection: Option<Selection>) {
        let Some(selection) = selection else { return };
        let connection_store = self.engine.connection_store();
        let mut order = std::mem::take(&mut self.order);
        order.retain(|(number, id)| {
            let Some(connection) = connection_store.get(*id) else {
                return false;
            };
            let reasons = if selection.needs_reasons() {
                self.reasons(*id, connection)
            } else {
                Vec::new()
            };
            selection.holds(select::Subject {
                report: self,
                number: *number,
                id: *id,
                connection,
                primary: reasons.first().map(Primary::of),
            })
        });
        self.order = order;
        self.selection = Some(selection);
    }

    /// What a rule sees of a connection.
    #[must_use]
    pub fn case<'s>(&'s self, id: ConnectionId, connection: &'s Connection) -> RuleContext<'s> {
        self.engine.case(id, connection, &self.history, &self.analyses)
    }

    /// The reasons of a connection, primary first.
    #[must_use]
    pub fn reasons(&self, id: ConnectionId, connection: &Connection) -> Vec<Judged> {
        judge(&self.case(id, connection))
    }

    /// Earlier TLS 1.3 connections that may have issued a PSK which this connection was the first to offer.
    #[must_use]
    pub fn issuer_candidates(&self, id: ConnectionId) -> Vec<ConnectionId> {
        self.history
            .earlier_at_service(self.engine.connection_store(), id)
            .take(MAX_SEARCHED)
            .filter(|(_, earlier)| {
                earlier.is_tls13()
                    && earlier.completed == reshake_core::session::Completed::Yes
                    && may_have_issued(earlier.tickets_inferred)
            })
            .map(|(id, _)| id)
            .take(MAX_CANDIDATES)
            .collect()
    }

    /// First packet time of the whole input.
    #[must_use]
    pub fn first_time(&self) -> Option<Timestamp> {
        self.captures.iter().filter_map(|capture| capture.first_time).min()
    }

    /// Last packet time of the whole input.
    #[must_use]
    pub fn last_time(&self) -> Option<Timestamp> {
        self.captures.iter().filter_map(|capture| capture.last_time).max()
    }

    /// What the layers above the readers skipped belongs to the capture of its first frame.
    fn share_notices(&mut self) {
        for (notice, count, frame) in self.engine.notices().iter() {
            let index = frame.map_or(0, |frame| usize::from(frame.capture()));
            if let Some(capture) = self.captures.get_mut(index) {
                capture.notices.add_many(notice, count, frame);
                for number in self.engine.notices().numbers(notice) {
                    capture.notices.add_number(notice, number);
                }
            }
        }
        let evicted = self.only_counted();
        if let Some(capture) = self.captures.first_mut().filter(|_| evicted > 0) {
            capture.notices.add_many(Notice::ConnectionsOmitted, evicted, None);
        }
        let elsewhere = self.engine.connection_store().evicted_elsewhere().total();
        if let Some(capture) = self.captures.first_mut().filter(|_| elsewhere > 0) {
            capture.notices.add_many(Notice::ServicesNotKept, elsewhere, None);
        }
    }

    /// The narrowest width with which the timelines of this input have few enough bars.
    fn choose_bar(&self) -> i64 {
        let span = match (self.first_time(), self.last_time()) {
            (Some(first), Some(last)) => last.since(first) / SECOND,
            _ => 0,
        };
        let fits = |seconds: &&i64| span / **seconds < TIMELINE_BARS;
        BAR_SECONDS
            .iter()
            .find(fits)
            .copied()
            .unwrap_or(1 + span / TIMELINE_BARS)
    }

    /// Counts what is shown. `beside` is worked out at the same time where there are threads for it.
    fn count_beside<B>(&mut self, beside: impl FnOnce() -> B) -> B {
        self.bar_seconds = self.choose_bar();
        let (counted, beside) = counting::count(self, beside);
        let (summary, services, primaries) = counted.finish(self);
        self.summary = summary;
        self.services = services;
        self.primaries = primaries;
        beside
    }
}

/// Issuers named at most for a PSK without keys.
const MAX_CANDIDATES: usize = 8;
/// Earlier connections looked at for them: a client whose handshakes all fail has many that issued nothing.
const MAX_SEARCHED: usize = 256;

/// A time as calendar and clock, in UTC.
#[must_use]
pub fn moment(time: Timestamp) -> jiff::Timestamp {
    // Nanoseconds since the epoch in 64 bits lie far inside what jiff can express.
    jiff::Timestamp::from_nanosecond(i128::from(time.nanos())).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

/// The service of a connection.
#[must_use]
pub fn service_of(connection: &Connection) -> Service {
    Service::of(connection)
}

impl ServiceView {
    /// The service that it shows.
    #[must_use]
    pub fn service(&self) -> Service {
        Service {
            server: self.server,
            name: self.server_name.clone(),
            transport: self.transport,
        }
    }

    fn new(service: &Service) -> Self {
        Self {
            transport: service.transport,
            server: service.server,
            server_name: service.name.clone(),
            counts: Counts::default(),
            reasons: Vec::new(),
            timeline: Vec::new(),
            alike: Vec::new(),
            avoidable: cost::AvoidableByReason::default(),
            resumed_bytes: (0, 0),
        }
    }

    /// Adds what was counted of connections that come after these, reasons and times left out.
    fn merge(&mut self, next: &Self) {
        self.counts.merge(&next.counts);
        alike::merge(&mut self.alike, &next.alike);
        self.avoidable.merge(&next.avoidable);
        let ((handshakes, bytes), (more, more_bytes)) = (&mut self.resumed_bytes, next.resumed_bytes);
        *handshakes += more;
        *bytes += more_bytes;
    }

    fn add(&mut self, number: (usize, ConnectionId), connection: &Connection, reasons: &[Judged]) {
        let primary = reasons.first();
        self.counts.add(connection, primary);
        alike::count(&mut self.alike, connection.outcome, primary, number);
        match connection.outcome {
            Outcome::Resumed(_) => {
                let (handshakes, bytes) = &mut self.resumed_bytes;
                if let Some(measured) = cost::handshake_bytes(connection) {
                    *handshakes += 1;
                    *bytes += measured;
                }
            }
            Outcome::Declined | Outcome::NotOffered
                if !alike::is_no_return(connection, None)
                    && !reasons.iter().any(|judged| alike::is_newcomer(judged.reason)) =>
            {
                self.avoidable.add(connection, primary.map(|judged| judged.reason.name));
            }
            _ => {}
        }
    }
}

impl Summary {
    /// Adds what was counted of other connections, reasons left out.
    fn merge(&mut self, others: &Self) {
        self.counts.merge(&others.counts);
        let both = self.resumed_by.iter_mut().zip(others.resumed_by);
        both.for_each(|(sum, more)| *sum += more);
        for (class, count) in &others.closes {
            *self.closes.entry(*class).or_default() += count;
        }
        self.closes_not_visible += others.closes_not_visible;
        for (kind, count) in &others.transports {
            *self.transports.entry(*kind).or_default() += count;
        }
    }

    fn add(&mut self, connection: &Connection, primary: Option<&Judged>) {
        self.counts.add(connection, primary);
        if let Outcome::Resumed(Some(mechanism)) = connection.outcome {
            let [session_id, ticket, psk] = &mut self.resumed_by;
            *match mechanism {
                Mechanism::SessionId => session_id,
                Mechanism::Ticket => ticket,
                Mechanism::Psk => psk,
            } += 1;
        }
        *self.transports.entry(connection.transport.kind()).or_default() += 1;
        match connection.close.class.yes() {
            Some(class) => *self.closes.entry(*class).or_default() += 1,
            None => self.closes_not_visible += 1,
        }
    }
}
