//! Several sightings of one connection become one: two sensors saw it, each saw one direction, or one run ended while
//! it was open and the next began.
//!
//! What one of them saw is known; what none saw stays unseen. Whether the handshake came to its end, and how the
//! connection was closed, is concluded anew from what is known together; where that takes what lies between the
//! sightings, it is not visible.

use crate::net::{At, SeqNumber};
use crate::session::DatagramFacts;
use crate::session::{Blindness, Seen};
use crate::session::{Close, CloseNotify, SideClose, classify_close};
use crate::session::{Completed, Connection, EarlyData, Mechanism, OfferKind, Shape, TicketsInferred};
use crate::session::{HostFingerprint, MergeHints, RareFacts, Transport, TransportKind};
use crate::session::{Side, SideFacts};
use crate::tcp::{FinCovers, turn};

use super::datagrams::both_closes;
use super::{Issued, PartialConnection};

/// Nanoseconds by which the clocks of two sensors may differ.
pub(super) const CLOCKS_DIFFER: i64 = 60_000_000_000;
/// Nanoseconds of silence after which the same ports are taken for another connection.
const SILENT: i64 = 3_600_000_000_000;
/// How far a sequence number may lie behind what was seen before and still belong to the connection.
const SAME_CONNECTION: i32 = 1 << 24;

/// How two sightings of one connection lie to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    /// Both saw the beginning.
    Both,
    /// Each saw one direction.
    Halves,
    /// The second goes on where the first ended.
    Continued,
}

impl PartialConnection {
    /// Takes over what another sighting, of another run, shows of the same connection. Gives it back where it is another
    /// connection, or may be. Of the two, this one began first.
    ///
    /// # Errors
    /// The other sighting, as it was.
    pub fn join(&mut self, mut other: Self) -> Result<(), Self> {
        let Some(relation) = relation(&self.connection, &other.connection) else {
            return Err(other);
        };
        if other.connection.client == self.connection.server && other.connection.server == self.connection.client {
            // Without SYN and hello it was guessed who is the client.
            if other.connection.hello.yes().is_some() && !begun(&self.connection) {
                self.connection.flip();
            } else {
                other.connection.flip();
            }
        }
        self.take_all(other, relation);
        Ok(())
    }

    pub(super) fn take_all(&mut self, mut other: Self, relation: Relation) {
        let torn = relation == Relation::Continued && self.connection.is_torn(&other.connection);
        let mixed = !both_hellos(&self.connection) && !both_hellos(&other.connection);
        let retry_hidden = self.connection.retry_hidden_with(&other.connection, torn);
        self.take_hello(&mut other);
        self.take_issued(other.issued);
        self.connection.take(other.connection, relation, torn);
        if mixed {
            self.settle();
        }
        self.connection.retry_hidden = retry_hidden.filter(|_| self.connection.retry.is_none());
        self.connection.no_second_hello(relation, torn);
    }

    /// The hello is taken as a whole, with its offers, from whoever saw it.
    fn take_hello(&mut self, other: &mut Self) {
        let (ours, theirs) = (&mut self.connection, &mut other.connection);
        if ours.hello.yes().is_none() && theirs.hello.yes().is_some() {
            ours.early_data = theirs.early_data;
            self.offered = std::mem::take(&mut other.offered);
            self.accepted = other.accepted;
            if let (Some(ours), Some(theirs)) = (ours.edges.as_deref_mut(), theirs.edges.as_deref()) {
                ours.session_id = theirs.session_id;
            }
        } else if self.accepted.is_none() && self.offered == other.offered {
            self.accepted = other.accepted;
        }
        ours.hello.take_better(&mut theirs.hello);
        if let (Seen::Yes(ours), Seen::Yes(theirs)) = (&mut ours.answer, &mut theirs.answer) {
            // In TLS 1.3 it stands behind the answer.
            ours.alpn = ours.alpn.take().or_else(|| theirs.alpn.take());
        }
        ours.answer.take_better(&mut theirs.answer);
        // What was concluded where one of them ends gives way to what the other saw.
        if ours.shape_concluded && theirs.shape.yes().is_some() {
            ours.shape_concluded = theirs.shape_concluded;
            std::mem::swap(&mut ours.shape, &mut theirs.shape);
        }
        ours.shape.take_better(&mut theirs.shape);
    }

    fn take_issued(&mut self, others: Vec<Issued>) {
        for issued in others {
            let known = self
                .issued
                .iter_mut()
                .find(|known| (known.mechanism, known.name.key()) == (issued.mechanism, issued.name.key()));
            match known {
                Some(known) => known.at = known.at.or(issued.at),
                None => self.issued.push(issued),
            }
        }
    }

    /// Settles what both hellos decide together.
    fn settle(&mut self) {
        let connection = &mut self.connection;
        let session_id = connection.edges.as_deref().and_then(|edges| edges.session_id);
        let (Seen::Yes(hello), Seen::Yes(answer)) = (&connection.hello, &mut connection.answer) else {
            return;
        };
        if answer.version.is_tls13() {
            let mut psks = (0..)
                .zip(&self.offered)
                .filter(|(_, offer)| offer.mechanism() == Mechanism::Psk);
            let selected = answer.selected_psk.map(usize::from);
            self.accepted = selected.and_then(|index| Some(psks.nth(index)?.0));
            if hello.early_data {
                connection.early_data = match (&connection.retry, answer.selected_psk) {
                    (Some(retry), _) => rejected(retry.request),
                    (None, Some(0)) => EarlyData::Unclear(Blindness::Encrypted),
                    (None, _) => rejected(answer.at),
                };
            }
            return;
        }
        // The server's ID was taken for a new one while the client's was not known.
        if let Some(id) = session_id {
            let before = self.issued.len();
            self.issued
                .retain(|issued| (issued.mechanism, issued.name.key()) != (Mechanism::SessionId, id.key()));
            answer.session_id_echoed |= self.issued.len() < before;
        }
        if matches!(connection.shape, Seen::Yes(Shape::Abbreviated(_))) {
            // RFC 5077 §3.4: with a ticket in the hello the session ID is not what the server resumes.
            let of = |mechanism| {
                let kind = OfferKind::Resumption(mechanism);
                self.offered.iter().position(|offer| offer.kind == kind)
            };
            self.accepted = of(Mechanism::Ticket).or_else(|| of(Mechanism::SessionId));
        }
    }
}

fn both_hellos(connection: &Connection) -> bool {
    connection.hello.yes().is_some() && connection.answer.yes().is_some()
}

const fn rejected(at: At) -> EarlyData {
    EarlyData::Rejected { at, inferred: false }
}

/// How two sightings lie to each other; `None` where they are, or may be, two connections.
fn relation(first: &Connection, second: &Connection) -> Option<Relation> {
    let turned = second.client == first.server && second.server == first.client;
    if !turned && (second.client, second.server) != (first.client, first.server) {
        return None;
    }
    if first.transport.kind() != second.transport.kind() {
        return None;
    }
    if first.transport.kind() != TransportKind::Tcp {
        // Without sequence numbers nothing but the handshake tells that two sightings are of one connection.
        return (same_beginning(first, second) == Some(true)).then_some(Relation::Both);
    }
    let pause = second.transport.started.since(first.transport.ended);
    if pause <= CLOCKS_DIFFER && !turned {
        match same_beginning(first, second) {
            Some(true) => return Some(Relation::Both),
            Some(false) => return None,
            None => {}
        }
    } else if begun(second) {
        return None;
    }
    let sides = |connection: &Connection| Side::BOTH.map(|side| connection.side(side).captured);
    if pause <= CLOCKS_DIFFER && !turned && [[true, false], [false, true]].contains(&sides(first)) {
        let [client, server] = sides(first);
        if sides(second) == [!client, !server] {
            return Some(Relation::Halves);
        }
    }
    if pause.abs() <= CLOCKS_DIFFER && !turned && answers(second, first) {
        return Some(Relation::Both);
    }
    let continued = !begun(second) && (-CLOCKS_DIFFER..=SILENT).contains(&pause) && follows(first, second, turned);
    continued.then_some(Relation::Continued)
}

/// Whether one run begins with the answer to the SYN that another one ended behind: it saw the beginning as well.
fn answers(second: &Connection, first: &Connection) -> bool {
    let numbers = |connection: &Connection, side| connection.edges.as_deref().and_then(|edges| edges.of(side));
    let next = match (numbers(first, Side::Client), numbers(first, Side::Server)) {
        (Some((from, next)), None) if first.transport.client_isn == Some(from) => Some(next),
        _ => None,
    };
    let goes_on = numbers(second, Side::Client).map(|(from, _)| from);
    next.is_some() && next == goes_on && second.transport.client_isn.is_none()
}

/// Whether two connections between the same ends begin with the same bytes; `None` where that cannot be told.
fn same_beginning(first: &Connection, second: &Connection) -> Option<bool> {
    let both = |isn: (Option<SeqNumber>, Option<SeqNumber>)| Some(isn.0? == isn.1?);
    let hello = |connection: &Connection| connection.hello.yes().map(|hello| hello.random);
    let answer = |connection: &Connection| connection.answer.yes().map(|answer| answer.random);
    let from = |side| {
        let numbers = |connection: &Connection| Some(connection.edges.as_deref()?.of(side)?.0);
        both((numbers(first), numbers(second))).filter(|same| *same)
    };
    both((first.transport.client_isn, second.transport.client_isn))
        .or_else(|| Some(hello(first)? == hello(second)?))
        .or_else(|| Some(answer(first)? == answer(second)?))
        .or_else(|| from(Side::Client))
        .or_else(|| from(Side::Server))
}

fn begun(connection: &Connection) -> bool {
    connection.edges.as_deref().is_some_and(|edges| edges.begun)
}

/// Whether the second sighting's bytes stand behind the beginning of the first and not far behind its end, in every
/// direction that both saw.
fn follows(first: &Connection, second: &Connection, turned: bool) -> bool {
    // Nothing else speaks for an end alone: it must stand right behind.
    let bare = second.is_bare_end();
    let (Some(first), Some(second)) = (&first.edges, &second.edges) else {
        return false;
    };
    let mut theirs = second.numbers;
    if turned {
        theirs.swap(0, 1);
    }
    let far = if bare { 2 } else { SAME_CONNECTION };
    let near = if bare { 0 } else { i32::MIN };
    let mut known = first
        .numbers
        .iter()
        .zip(theirs)
        .filter_map(|(a, b)| Some(((*a)?, b?)))
        .peekable();
    let fits = |((begin, next), (from, _)): ((SeqNumber, SeqNumber), (SeqNumber, SeqNumber))| {
        from.distance(begin) >= 0 && (near..far).contains(&from.distance(next))
    };
    known.peek().is_some() && known.all(fits)
}

impl Connection {
    /// Client and server the other way round.
    fn flip(&mut self) {
        std::mem::swap(&mut self.client, &mut self.server);
        std::mem::swap(&mut self.client_side, &mut self.server_side);
        std::mem::swap(&mut self.close.client, &mut self.close.server);
        if let Seen::Yes(side) = &mut self.close.first_closer {
            *side = side.other();
        }
        if let Some(outer) = self.transport.uncommon.as_deref_mut().and_then(|it| it.outer.as_mut()) {
            let mut turned = outer.to_vec();
            turn(&mut turned);
            *outer = turned.into();
        }
        if let Some(edges) = &mut self.edges {
            edges.numbers.swap(0, 1);
            edges.read.swap(0, 1);
            edges.ends.swap(0, 1);
        }
    }

    /// Takes over everything but the hellos. `torn` says that bytes are missing in between.
    fn take(&mut self, other: Box<Self>, relation: Relation, torn: bool) {
        let news = Side::BOTH.map(|side| self.brings_bytes(&other, side));
        // Over UDP nothing says where in the handshake a sighting begins.
        let cut = self.transport.kind() != TransportKind::Tcp && self.transport.is_apart(&other.transport);
        let uncounted = Side::BOTH.map(|side| cut && self.side(side).finished.is_none());
        self.transport.take(&other.transport);
        self.retry = self.retry.take().or(other.retry);
        self.false_start = self.false_start.or(other.false_start);
        self.certificate = self.certificate.or(other.certificate);
        self.certificate_request = self.certificate_request.or(other.certificate_request);
        self.client_certificate = self.client_certificate.take().or(other.client_certificate);
        self.ticket_withdrawn = self.ticket_withdrawn.or(other.ticket_withdrawn);
        self.keys = self.keys.or(other.keys);
        self.extensions_read |= other.extensions_read;
        self.not_kept = self.not_kept.max(other.not_kept);
        self.renegotiations = self.renegotiations.max(other.renegotiations);
        if self.tickets_inferred == TicketsInferred::Unclear {
            self.tickets_inferred = other.tickets_inferred;
        }
        if matches!(self.early_data, EarlyData::Unclear(_)) && other.early_data != EarlyData::NotOffered {
            self.early_data = other.early_data;
        }
        self.marks.take(&other.marks);
        let [client_news, server_news] = news;
        // What a FIN acknowledged is no longer all that the other side sent.
        if server_news && self.client_side.fin.is_some() {
            self.client_side.fin_covers = FinCovers::Part;
        }
        if client_news && self.server_side.fin.is_some() {
            self.server_side.fin_covers = FinCovers::Part;
        }
        self.client_side.take(other.client_side, relation, (client_news, torn));
        self.server_side.take(other.server_side, relation, (server_news, torn));
        for (side, uncounted) in Side::BOTH.into_iter().zip(uncounted) {
            if uncounted {
                self.side_mut(side).handshake_bytes = None;
            }
        }
        let completed = match (self.completed, other.completed) {
            (Completed::Yes, _) | (_, Completed::Yes) => Completed::Yes,
            (Completed::No, _) | (_, Completed::No) if relation == Relation::Both => Completed::No,
            (known, _) => self.completed_together(known, relation),
        };
        self.complete(completed);
        self.take_edges(other.edges, relation, news);
        self.conclude(other.close, relation);
    }

    /// Whether another sighting shows bytes of a side behind what this one shows. A FIN takes a number and is no byte.
    fn brings_bytes(&self, other: &Self, side: Side) -> bool {
        let numbers = |connection: &Self| connection.edges.as_deref().and_then(|edges| edges.of(side));
        let fin = other.side(side).fin.is_some() && self.side(side).fin.is_none();
        match (numbers(self), numbers(other)) {
            (Some((_, next)), Some((_, last))) => last.distance(next) > i32::from(fin),
            (None, Some(_)) => true,
            _ => false,
        }
    }

    /// Why there may have been a HelloRetryRequest although neither of two sightings shows one. Only one that read a hello
    /// can say that there was none; in front of it there is none where the other one shows all from SYN on.
    fn retry_hidden_with(&self, other: &Self, torn: bool) -> Option<Blindness> {
        let reads = |it: &Self| it.hello.yes().is_some() || it.answer.yes().is_some();
        match (reads(self), reads(other)) {
            (true, false) => self.retry_hidden,
            (false, true) => other.retry_hidden.filter(|_| torn || !begun(self)),
            _ => self.retry_hidden.and(other.retry_hidden),
        }
    }

    /// A hello right behind SYN is the first one: there was none before it with early data.
    fn no_second_hello(&mut self, relation: Relation, torn: bool) {
        let first = self.hello.yes().is_some_and(|hello| !hello.early_data) && self.retry.is_none();
        if relation == Relation::Continued && !torn && first && begun(self) {
            self.early_data = EarlyData::NotOffered;
        }
    }

    /// Whether bytes are missing between this sighting and the one that goes on.
    fn is_torn(&self, other: &Self) -> bool {
        let (Some(first), Some(second)) = (&self.edges, &other.edges) else {
            return true;
        };
        let pairs = first.numbers.iter().zip(&second.numbers);
        let mut both = pairs.filter_map(|(first, second)| Some(((*first)?, (*second)?)));
        both.any(|((_, next), (from, _))| from.distance(next) > 0)
    }

    /// Whether the handshake came to its end, when each sighting has a part of it.
    fn completed_together(&self, known: Completed, relation: Relation) -> Completed {
        let fatal = [&self.client_side, &self.server_side]
            .iter()
            .any(|side| side.fatal_alert().is_some());
        let judged = self.judge_completed(None);
        if judged != Completed::No || fatal {
            return judged;
        }
        if let (Completed::Blind(_), false) = (known, self.is_ended()) {
            return known;
        }
        // What one of them did not see, the other may not have seen either.
        Completed::Blind(if relation == Relation::Halves {
            Blindness::OneDirection
        } else {
            Blindness::Gap
        })
    }

    fn is_ended(&self) -> bool {
        Side::BOTH.iter().any(|side| self.side(*side).is_over())
    }

    fn take_edges(&mut self, other: Option<Box<MergeHints>>, relation: Relation, news: [bool; 2]) {
        let (Some(ours), Some(theirs)) = (self.edges.as_deref_mut(), other) else {
            return;
        };
        ours.begun |= theirs.begun;
        ours.session_id = ours.session_id.or(theirs.session_id);
        let of_ours = ours.numbers.iter_mut().zip(&mut ours.read).zip(&mut ours.ends);
        let of_theirs = theirs.numbers.into_iter().zip(theirs.read).zip(theirs.ends);
        let facts = [&mut self.client_side, &mut self.server_side];
        for (((ours, theirs), facts), news) in of_ours.zip(of_theirs).zip(facts).zip(news) {
            let ((numbers, read), end) = ours;
            let ((their_numbers, their_read), their_end) = theirs;
            *numbers = widest(*numbers, their_numbers);
            if !news {
                continue;
            }
            if !their_read {
                // Bytes that begin inside a record tell nothing.
                facts.tail_loss.get_or_insert(Blindness::Gap);
            }
            *end = if relation == Relation::Continued {
                continued(*end, their_end)
            } else {
                their_end
            };
            *read = their_read;
        }
        // What a side had when it said its last is no longer all that the other one said.
        let [client_news, server_news] = news;
        for (end, outdated) in ours
            .ends
            .iter_mut()
            .zip([server_news && !client_news, client_news && !server_news])
        {
            if outdated && relation != Relation::Halves && end.after_peer_data == Some(true) {
                end.after_peer_data = Some(false);
            }
        }
    }

    /// How it was closed, as far as both together tell.
    fn conclude(&mut self, other: Close, relation: Relation) {
        if self.transport.kind() != TransportKind::Tcp {
            // What TCP and its records tell of a close is nothing here.
            self.close = both_closes(self.close, other);
            return;
        }
        let told = self.close.class.yes().is_some() || other.class.yes().is_some();
        if relation == Relation::Both && told {
            if self.close.class.yes().is_none() {
                self.close = other;
            }
        } else if let Some(edges) = &self.edges {
            let [client, server] = edges.ends;
            let open = Seen::Blind(Blindness::OpenAtCaptureEnd);
            self.close = classify_close(self, [&client, &server], open);
        }
        if relation != Relation::Both
            && let Completed::Blind(cause) = self.completed
        {
            // What the Finished messages look like tells what an alert looks like.
            self.close.class = Seen::Blind(cause);
            for notify in [&mut self.close.client, &mut self.close.server] {
                if *notify == CloseNotify::Absent {
                    *notify = CloseNotify::Blind(cause);
                }
            }
        }
        if self.is_ended() {
            self.no_longer_open();
        }
    }

    /// What was not seen because the run ended first was not seen because the sightings do not meet.
    fn no_longer_open(&mut self) {
        let hidden = |cause: Blindness| {
            if cause.is_end_of_capture() {
                Blindness::Gap
            } else {
                cause
            }
        };
        self.map_blindness(hidden);
    }

    /// Renames why things were not seen.
    pub fn map_blindness(&mut self, rename: impl Fn(Blindness) -> Blindness) {
        fn each<T>(seen: &mut Seen<T>, rename: impl Fn(Blindness) -> Blindness) {
            if let Seen::Blind(cause) = seen {
                *cause = rename(*cause);
            }
        }
        each(&mut self.hello, &rename);
        each(&mut self.answer, &rename);
        each(&mut self.shape, &rename);
        each(&mut self.close.class, &rename);
        each(&mut self.close.first_closer, &rename);
        for notify in [&mut self.close.client, &mut self.close.server] {
            if let CloseNotify::Blind(cause) = notify {
                *cause = rename(*cause);
            }
        }
        if let EarlyData::Unclear(cause) = &mut self.early_data {
            *cause = rename(*cause);
        }
        if let Completed::Blind(cause) = &mut self.completed {
            *cause = rename(*cause);
        }
    }
}

fn widest(
    ours: Option<(SeqNumber, SeqNumber)>,
    theirs: Option<(SeqNumber, SeqNumber)>,
) -> Option<(SeqNumber, SeqNumber)> {
    let (Some((from, to)), Some((their_from, their_to))) = (ours, theirs) else {
        return ours.or(theirs);
    };
    let first = if their_from.distance(from) < 0 {
        their_from
    } else {
        from
    };
    let last = if their_to.distance(to) > 0 { their_to } else { to };
    Some((first, last))
}

/// The end of a side whose last bytes the second sighting shows.
fn continued(ours: SideClose, theirs: SideClose) -> SideClose {
    SideClose {
        last: theirs.last.or(ours.last),
        before_last: if theirs.last.is_none() {
            ours.before_last
        } else {
            theirs.before_last.or(ours.last)
        },
        unfinished: theirs.unfinished,
        short_records: ours.short_records.saturating_add(theirs.short_records),
        padding: ours.padding.or(theirs.padding),
        plain: ours.plain.or(theirs.plain),
        asked_again: ours.asked_again || theirs.asked_again,
        answered: theirs.answered || (theirs.last.is_none() && ours.answered),
        after_peer_fin: theirs.after_peer_fin,
        after_peer_data: theirs.after_peer_data,
    }
}

impl Transport {
    /// Whether no packet is in both sightings.
    fn is_apart(&self, other: &Self) -> bool {
        self.ended < other.started || other.ended < self.started
    }

    pub(super) fn take(&mut self, other: &Self) {
        let apart = self.is_apart(other);
        self.spans.join(&other.spans);
        self.started = self.started.min(other.started);
        self.ended = self.ended.max(other.ended);
        self.round_trip = self.round_trip.or(other.round_trip);
        self.client_isn = self.client_isn.or(other.client_isn);
        match (&mut self.uncommon, &other.uncommon) {
            (Some(ours), Some(theirs)) => ours.take(theirs, apart),
            (ours @ None, theirs) => ours.clone_from(theirs),
            (Some(_), None) => {}
        }
    }
}

impl RareFacts {
    /// `apart` says that no packet is in both sightings.
    fn take(&mut self, other: &Self, apart: bool) {
        self.outer = self.outer.take().or_else(|| other.outer.clone());
        self.preamble = self.preamble.or(other.preamble);
        self.unreachable |= other.unreachable;
        self.behind = self.behind.or(other.behind);
        self.server_clock_ahead = self.server_clock_ahead.or(other.server_clock_ahead);
        match (self.datagram.as_deref_mut(), other.datagram.as_deref()) {
            (Some(DatagramFacts::Quic(ours)), Some(DatagramFacts::Quic(theirs))) => ours.take(theirs, apart),
            (Some(DatagramFacts::Dtls(ours)), Some(DatagramFacts::Dtls(theirs))) => ours.take(theirs, apart),
            (None, _) => self.datagram.clone_from(&other.datagram),
            (Some(_), _) => {}
        }
    }
}

impl HostFingerprint {
    fn take(&mut self, other: &Self) {
        self.mac = self.mac.or(other.mac);
        self.ttl = self.ttl.or(other.ttl);
        self.syn_options = self.syn_options.or(other.syn_options);
        self.asked = self.asked.or(other.asked);
    }
}

impl SideFacts {
    /// `news` says that the other sighting shows bytes behind the end of this one, `torn` that some in between are
    /// missing.
    fn take(&mut self, other: Self, relation: Relation, (news, torn): (bool, bool)) {
        match relation {
            Relation::Both if self.captured && other.captured => {
                // What one of them has, is there.
                self.handshake_loss = self.handshake_loss.and(other.handshake_loss);
                self.tail_loss = self.tail_loss.and(other.tail_loss);
            }
            Relation::Both | Relation::Halves if !self.captured => {
                self.handshake_loss = other.handshake_loss;
                self.tail_loss = other.tail_loss;
            }
            Relation::Both | Relation::Halves => {}
            Relation::Continued => {
                if news {
                    self.tail_loss = other.tail_loss;
                }
                if self.finished.is_none() {
                    let torn = torn.then_some(Blindness::Gap);
                    self.handshake_loss = self.handshake_loss.or(other.handshake_loss).or(torn);
                }
            }
        }
        self.captured |= other.captured;
        if self.finished.is_none() {
            self.finished = other.finished;
            self.handshake_bytes = other.handshake_bytes;
        }
        self.application_data = self.application_data.or(other.application_data);
        self.handshake_alert = self.handshake_alert.or(other.handshake_alert);
        if self.alert.as_ref().is_none_or(|known| !known.fatal) && other.alert.is_some() {
            self.alert = other.alert;
        }
        if self.fin.is_none() && (other.fin.is_some() || other.fin_covers == FinCovers::Lost) {
            self.fin = other.fin;
            self.fin_covers = other.fin_covers;
        }
        self.reset = self.reset.or(other.reset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::tests::{unseen, with_hello};

    /// Between these numbers a side was seen.
    const fn numbers(from: u32, next: u32) -> (SeqNumber, SeqNumber) {
        (SeqNumber(from), SeqNumber(next))
    }

    fn hints(begun: bool, numbers: [(SeqNumber, SeqNumber); 2]) -> MergeHints {
        MergeHints {
            begun,
            numbers: numbers.map(Some),
            read: [true; 2],
            ends: <[SideClose; 2]>::default(),
            session_id: None,
        }
    }

    #[test]
    fn only_a_sighting_with_a_hello_says_that_there_was_no_retry_request() {
        let open = Some(Blindness::OpenAtCaptureEnd);
        let late = Some(Blindness::CaptureStartedLate);
        let hello = |retry_hidden| Connection {
            retry_hidden,
            ..with_hello(1, "a.test", 1)
        };
        let nothing = |begun| Connection {
            edges: Some(Box::new(hints(begun, [numbers(1, 2), numbers(1, 90)]))),
            ..unseen(1)
        };
        let middle = nothing(false);
        assert_eq!(hello(open).retry_hidden_with(&middle, false), open);
        assert_eq!(middle.retry_hidden_with(&hello(late), false), late);
        assert_eq!(hello(open).retry_hidden_with(&hello(late), false), late);
        assert_eq!(hello(open).retry_hidden_with(&hello(None), false), None);
        // From SYN on there was no hello in front of this one, unless it was lost.
        let beginning = nothing(true);
        assert_eq!(beginning.retry_hidden_with(&hello(late), false), None);
        assert_eq!(beginning.retry_hidden_with(&hello(late), true), late);
    }

    #[test]
    fn what_a_side_had_of_the_other_is_not_all_when_more_comes() {
        let had_all = |relation, news| {
            let mut first = with_hello(1, "a.test", 1);
            let mut edges = hints(true, [numbers(1, 9); 2]);
            edges.ends[0].after_peer_data = Some(true);
            first.edges = Some(Box::new(edges));
            first.take_edges(Some(Box::new(hints(false, [numbers(9, 20); 2]))), relation, news);
            first.edges.expect("as before").ends[0].after_peer_data
        };
        assert_eq!(had_all(Relation::Continued, [false, true]), Some(false));
        assert_eq!(had_all(Relation::Both, [false, true]), Some(false));
        assert_eq!(had_all(Relation::Continued, [false, false]), Some(true));
        assert_eq!(had_all(Relation::Halves, [false, true]), Some(true));
        // It said more itself.
        assert_eq!(had_all(Relation::Continued, [true, true]), None);
    }

    #[test]
    fn what_one_sighting_knows_of_a_host_out_of_reach_both_know() {
        for (ours, theirs) in [(false, false), (true, false), (false, true), (true, true)] {
            let seen = |unreachable| RareFacts {
                unreachable,
                ..RareFacts::default()
            };
            let mut joined = seen(ours);
            joined.take(&seen(theirs), false);
            assert_eq!(joined.unreachable, ours || theirs);
        }
    }
}
