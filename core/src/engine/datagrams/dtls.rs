//! Connections over DTLS: which association a datagram is of, and what becomes of it.
//!
//! One pair of endpoints may hold several associations, one after another (RFC 6347 §4.2.8). The elder goes on until the
//! younger is established: anybody can forge a ClientHello, and it must not end a connection.

mod copies;
#[cfg(test)]
mod tests;
mod track;

use std::collections::VecDeque;

use hashbrown::{HashMap, HashSet};

use super::{DatagramEngine, DatagramLimits};
use crate::dtls::{Fit, Number, Opens, opens, records};
use crate::net::{At, Datagram, Endpoint, FrameRef, Notice, Timestamp};
use crate::tcp::Direction;
use copies::{Copies, is_unique};
use track::{EndCause, TrackedAssociation};

/// Pairs of endpoints with an association at once: what a forger can make of datagrams alone.
pub(super) const MAX_PAIRS: usize = 1 << 16;
/// Associations of one pair that are not over.
const MAX_OF_A_PAIR: usize = 4;
/// Associations beside an elder one, on all pairs.
const MAX_SHADOWS: usize = 64;
/// Nanoseconds of silence that end a connection: as long as over TCP. Sensors sleep for many minutes, and servers say
/// goodbye to those that were silent for long: after less than this a side may still be heard.
const IDLE: i64 = 3_600_000_000_000;
/// Nanoseconds of silence that end a connection on which a side sent an alert: more than an answer takes, and enough for a
/// side that only warned to go on.
const IDLE_AFTER_ALERT: i64 = 60_000_000_000;
/// Nanoseconds of silence that end an association that no server has answered: beyond the retransmissions of a client
/// that doubles its timer from one second (RFC 6347 §4.2.4.1).
const IDLE_UNANSWERED: i64 = 120_000_000_000;
/// Pairs remembered as those of connections without a beginning; beyond that one may be taken for the move of another.
const MAX_OTHERS: usize = 1 << 12;
/// Connection IDs that are kept to find connections by.
const MAX_IDS: usize = 1 << 16;

/// Both endpoints, the lesser one first.
type Pair = (Endpoint, Endpoint);

fn pair_of(a: Endpoint, b: Endpoint) -> Pair {
    (a.min(b), a.max(b))
}

/// The open connections over DTLS.
#[derive(Debug, Clone)]
pub(super) struct DtlsTable {
    limits: DatagramLimits,
    pairs: HashMap<Pair, Associations>,
    /// Pairs to be looked at, in the order of the times from which their silence counts.
    queues: [VecDeque<(Timestamp, Pair)>; AssociationStage::ALL.len()],
    ids: Ids,
    shadows: usize,
    /// Bytes that are held back.
    buffered: usize,
}

impl Default for DtlsTable {
    fn default() -> Self {
        Self::new(DatagramLimits::default())
    }
}

/// The associations of a pair, the youngest last.
#[derive(Debug, Clone)]
struct Associations {
    all: Vec<TrackedAssociation>,
    copies: Copies,
    /// Bytes that they hold back.
    buffered: usize,
    /// Where it waits to be looked at; entries of the queues that say otherwise are out of date.
    queued: (AssociationStage, Timestamp),
}

/// How far an association has come, and with it how long it may be silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AssociationStage {
    /// No server has answered.
    Unanswered,
    Answered,
    /// A side has sent an alert.
    Ending,
}

impl AssociationStage {
    const ALL: [Self; 3] = [Self::Unanswered, Self::Answered, Self::Ending];

    fn of(track: &TrackedAssociation) -> Self {
        if track.is_alerted() {
            Self::Ending
        } else if track.association.is_answered() {
            Self::Answered
        } else {
            Self::Unanswered
        }
    }

    const fn idle(self) -> i64 {
        match self {
            Self::Unanswered => IDLE_UNANSWERED,
            Self::Answered => IDLE,
            Self::Ending => IDLE_AFTER_ALERT,
        }
    }
}

impl Associations {
    fn new(queued: (AssociationStage, Timestamp)) -> Self {
        Self {
            all: Vec::new(),
            copies: Copies::default(),
            buffered: 0,
            queued,
        }
    }

    /// That of the association whose silence is over first.
    fn stage(&self) -> AssociationStage {
        let stages = self.all.iter().map(AssociationStage::of);
        stages
            .min_by_key(|stage| stage.idle())
            .unwrap_or(AssociationStage::Unanswered)
    }

    /// Whether no server answered any of them.
    fn are_unanswered(&self) -> bool {
        self.all.iter().all(|track| !track.association.is_answered())
    }

    /// Whether a datagram whose bytes came before is all the same what the youngest association says next: nothing in it
    /// is its own, and it bears the next number.
    fn goes_on(&self, datagram: &Datagram<'_>, id_length: Option<usize>) -> bool {
        let Some(track) = self.all.last() else { return false };
        let all = || records(datagram.payload, datagram.cut, id_length);
        let next = track.association.next_in_clear(track.direction(datagram));
        let first = all().next().map(|record| record.number);
        let continues = first.is_some_and(|number| {
            number
                == Number::Clear {
                    epoch: 0,
                    sequence: next,
                }
        });
        continues && !all().any(|record| is_unique(&record))
    }
}

/// Connection IDs that servers are called by (RFC 9146), and the pairs on which they were agreed.
#[derive(Debug, Clone, Default)]
struct Ids {
    pairs: HashMap<(Endpoint, Box<[u8]>), Pair>,
    /// Lengths of the IDs of a server, and how many there are of each: records do not say.
    lengths: HashMap<Endpoint, Vec<(usize, usize)>>,
    /// Pairs to which a connection has moved.
    moved: HashMap<Pair, Pair>,
    /// Pairs with connections of their own, the beginning of which is not in the capture.
    others: HashSet<Pair>,
}

impl DtlsTable {
    /// No association yet.
    pub(super) fn new(limits: DatagramLimits) -> Self {
        Self {
            limits,
            pairs: HashMap::new(),
            queues: Default::default(),
            ids: Ids::default(),
            shadows: 0,
            buffered: 0,
        }
    }

    /// Takes one datagram.
    pub(super) fn push(&mut self, datagram: &Datagram<'_>, at: At, run: &mut DatagramEngine<'_>) {
        self.expire(at.time, run);
        let own = pair_of(datagram.source, datagram.destination);
        let pair = self.ids.moved.get(&own).copied().unwrap_or(own);
        if self.pairs.contains_key(&pair) {
            self.deliver(pair, datagram, at, run);
        } else if opens(datagram.payload, datagram.cut).is_some() {
            self.make_room(at, run);
            let queued = (AssociationStage::Unanswered, at.time);
            self.pairs.insert(own, Associations::new(queued));
            self.enter(own, queued);
            self.deliver(own, datagram, at, run);
        } else if let Some(pair) = self.ids.find(datagram) {
            if self.has_moved(pair, datagram) {
                self.deliver(pair, datagram, at, run);
            } else if self.ids.others.len() < MAX_OTHERS {
                self.ids.others.insert(own);
            }
        }
    }

    /// Whether a datagram from endpoints that are not known is of the connection of `pair`, which is called by the ID that it
    /// bears. Some servers call every connection by the same ID, and the beginning of another one may not be in the
    /// capture: it is told apart by record numbers that begin anew, and then by its endpoints.
    fn has_moved(&self, pair: Pair, datagram: &Datagram<'_>) -> bool {
        let own = pair_of(datagram.source, datagram.destination);
        let track = self.pairs.get(&pair).and_then(|state| state.all.last());
        let length = self.id_length(pair, datagram);
        let first = records(datagram.payload, datagram.cut, length).next();
        let (Some(track), Some(record)) = (track, first) else {
            return false;
        };
        !self.ids.others.contains(&own) && track.association.may_be_next(Direction::ToServer, record.number)
    }

    /// Time passes: ends connections that have been silent for long.
    pub(super) fn advance(&mut self, now: Timestamp, run: &mut DatagramEngine<'_>) {
        self.expire(now, run);
    }

    /// The input is over: ends every connection.
    pub(super) fn finish(&mut self, run: &mut DatagramEngine<'_>) {
        let pairs = std::mem::take(self).pairs;
        let mut tracks: Vec<TrackedAssociation> = pairs.into_values().flat_map(|tracks| tracks.all).collect();
        // In the order of the packets: a map has none.
        tracks.sort_unstable_by_key(TrackedAssociation::first);
        for track in tracks {
            track.finish(EndCause::Input, run);
        }
    }

    /// Connections that go on.
    pub(super) fn len(&self) -> usize {
        self.pairs.len() + self.shadows
    }

    /// Hands the records of a datagram to the association that they fit. All are of one: each datagram is made by one side of
    /// one association, and what names none of itself (a Certificate, ChangeCipherSpec) is of that which its neighbours name.
    fn deliver(&mut self, pair: Pair, datagram: &Datagram<'_>, at: At, run: &mut DatagramEngine<'_>) {
        let length = self.id_length(pair, datagram);
        let Some(state) = self.pairs.get(&pair) else { return };
        let hash = state.copies.hash(datagram);
        let unique = records(datagram.payload, datagram.cut, length).any(|record| is_unique(&record));
        let only = state.copies.original(hash, unique, at.time);
        let only = only.filter(|_| !state.goes_on(datagram, length));
        let mut place = self.best(pair, datagram, length, only, at);
        let beginning = opens(datagram.payload, datagram.cut).filter(|_| only.is_none());
        let part =
            beginning == Some(Opens::ClientPart) && place.is_some_and(|it| self.is_of_the_next(pair, it, datagram));
        if let Some(by) = beginning.filter(|_| part || place.is_none()) {
            self.begin(pair, by, datagram, at, run);
            place = self.best(pair, datagram, length, only, at);
        }
        let Some(track) = place.and_then(|place| self.track(pair, place)) else {
            return;
        };
        track.count(datagram, only.is_some(), at);
        if only.is_some() {
            // It was heard before, as much of it as could be: once more it must change nothing, not even where what came
            // since would let it.
            return;
        }
        let mut news = None;
        for record in records(datagram.payload, datagram.cut, length) {
            if track.fit(datagram, &record, at) == Fit::No {
                continue;
            }
            if let Some(new) = track.take(&record, datagram, at, run) {
                news = Some(news.unwrap_or(false) || new);
            }
        }
        if news == Some(false) {
            track.association.count_retransmission();
        }
        track.tell(run);
        let (first, moved) = (track.first().1, track.note_path(datagram, at));
        if let Some(moved) = moved {
            self.ids.moved.insert(moved, pair);
        }
        if let Some(state) = self.pairs.get_mut(&pair) {
            state.copies.note(hash, first, at);
        }
        self.settle(pair, at, run);
    }

    /// Whether a part of a ClientHello, which says of itself no more than its number, is of the next association: no
    /// handshake goes on, and that which it would fit has used this number for something else.
    fn is_of_the_next(&self, pair: Pair, place: usize, datagram: &Datagram<'_>) -> bool {
        let Some(state) = self.pairs.get(&pair) else {
            return false;
        };
        let first = records(datagram.payload, datagram.cut, None).next();
        let over = |track: &TrackedAssociation| track.association.is_established() || track.association.is_failed();
        let used = |track: &TrackedAssociation| match first.as_ref().map(|record| record.number) {
            Some(Number::Clear { epoch: 0, sequence }) => {
                track.association.has_in_clear(Direction::ToServer, sequence) && track.server == datagram.destination
            }
            _ => false,
        };
        state.all.iter().all(over) && state.all.get(place).is_some_and(used)
    }

    /// The association that a datagram fits best, among all or that alone which begins with the frame `only`.
    fn best(
        &self,
        pair: Pair,
        datagram: &Datagram<'_>,
        id_length: Option<usize>,
        only: Option<FrameRef>,
        at: At,
    ) -> Option<usize> {
        let tracks = self.pairs.get(&pair)?.all.iter().enumerate();
        let tracks = tracks.filter(|(_, track)| only.is_none_or(|only| track.first().1 == only));
        let fits = tracks.map(|(place, track)| (track.fit_datagram(datagram, id_length, at), place));
        fits.max().filter(|(fit, _)| *fit > Fit::No).map(|(_, place)| place)
    }

    fn track(&mut self, pair: Pair, place: usize) -> Option<&mut TrackedAssociation> {
        self.pairs.get_mut(&pair)?.all.get_mut(place)
    }

    /// After a datagram: the elder associations of a pair are over once the youngest is established, and what may be over
    /// sooner is looked at sooner.
    fn settle(&mut self, pair: Pair, at: At, run: &mut DatagramEngine<'_>) {
        let Some(tracks) = self.pairs.get_mut(&pair) else {
            return;
        };
        for track in &mut tracks.all {
            self.ids.learn(pair, track);
        }
        let established = tracks.all.iter().rposition(|track| track.association.is_established());
        let elder: Vec<TrackedAssociation> = tracks.all.drain(..established.unwrap_or(0)).collect();
        let stage = tracks.stage();
        if stage.idle() < tracks.queued.0.idle() {
            self.enter(pair, (stage, at.time));
        }
        self.shadows = self.shadows.saturating_sub(elder.len());
        for track in elder {
            self.ids.forget(pair, &track);
            track.finish(EndCause::Replaced, run);
        }
        self.account(pair, at, run);
    }

    /// Brings the pair's share of what is held back up to date; where that is too much in all, the pair ends.
    fn account(&mut self, pair: Pair, at: At, run: &mut DatagramEngine<'_>) {
        let Some(tracks) = self.pairs.get_mut(&pair) else {
            return;
        };
        let now = tracks.all.iter().map(|track| track.association.buffered()).sum();
        let before = std::mem::replace(&mut tracks.buffered, now);
        self.buffered = self.buffered.saturating_sub(before).saturating_add(now);
        if self.buffered > self.limits.held && now > 0 {
            run.notices.add(Notice::FlowEvicted, Some(at.frame));
            self.end(pair, EndCause::Evicted, run);
        }
    }

    /// A hello begins an association beside those that are there.
    fn begin(&mut self, pair: Pair, by: Opens, datagram: &Datagram<'_>, at: At, run: &mut DatagramEngine<'_>) {
        let Some(tracks) = self.pairs.get_mut(&pair) else {
            return;
        };
        if !tracks.all.is_empty() {
            // A forger could have any number of them.
            let full = self.shadows >= MAX_SHADOWS || tracks.all.len() >= MAX_OF_A_PAIR;
            if full && !self.end_elder(pair, at, run) {
                return;
            }
        }
        if let Some(tracks) = self.pairs.get_mut(&pair) {
            self.shadows += usize::from(!tracks.all.is_empty());
            tracks.all.push(TrackedAssociation::new(by, datagram, at, run));
        }
    }

    /// Ends the eldest association of a pair that can be told to be over, to make room for the next: an alert says so, or a
    /// client begins anew that got no answer. Those that go on stay, as a hello may be forged.
    fn end_elder(&mut self, pair: Pair, at: At, run: &mut DatagramEngine<'_>) -> bool {
        let Some(tracks) = self.pairs.get_mut(&pair) else {
            return false;
        };
        let over = tracks.all.iter().position(|track| track.association.is_failed());
        let Some(place) = over.or_else(|| tracks.all.iter().position(|track| track.is_abandoned(at.time))) else {
            return false;
        };
        let track = tracks.all.remove(place);
        self.shadows -= usize::from(!tracks.all.is_empty());
        self.ids.forget(pair, &track);
        track.finish(EndCause::Replaced, run);
        true
    }

    fn id_length(&self, pair: Pair, datagram: &Datagram<'_>) -> Option<usize> {
        let mut tracks = self.pairs.get(&pair)?.all.iter().rev();
        tracks.find_map(|track| Some(track.association.connection_id(track.direction(datagram))?.len()))
    }

    fn expire(&mut self, now: Timestamp, run: &mut DatagramEngine<'_>) {
        for stage in AssociationStage::ALL {
            while let Some((from, pair)) = self.next_due(stage, now) {
                if self
                    .pairs
                    .get(&pair)
                    .is_some_and(|tracks| tracks.queued == (stage, from))
                {
                    self.end_silent(pair, now, run);
                }
            }
        }
    }

    /// Ends the associations of a pair that have been silent for long enough, each by itself: a hello that nobody answered
    /// must not stay for as long as a connection beside it.
    fn end_silent(&mut self, pair: Pair, now: Timestamp, run: &mut DatagramEngine<'_>) {
        let due = |track: &TrackedAssociation| now.since(track.last()) >= AssociationStage::of(track).idle();
        let Some(tracks) = self.pairs.get_mut(&pair) else {
            return;
        };
        if tracks.all.iter().all(due) {
            self.end(pair, EndCause::Silence, run);
            return;
        }
        let silent: Vec<TrackedAssociation> = tracks.all.extract_if(.., |track| due(track)).collect();
        let stage = tracks.stage();
        let of_stage = tracks.all.iter().filter(|track| AssociationStage::of(track) == stage);
        let last = of_stage.map(TrackedAssociation::last).min();
        self.shadows = self.shadows.saturating_sub(silent.len());
        self.enter(pair, (stage, last.unwrap_or(now)));
        for track in silent {
            self.ids.forget(pair, &track);
            track.finish(EndCause::Silence, run);
        }
    }

    /// The next pair that may have been silent for long enough.
    fn next_due(&mut self, stage: AssociationStage, now: Timestamp) -> Option<(Timestamp, Pair)> {
        let queue = self.queues.get_mut(stage as usize)?;
        queue.pop_front_if(|(from, _)| now.since(*from) >= stage.idle())
    }

    fn enter(&mut self, pair: Pair, queued: (AssociationStage, Timestamp)) {
        if let (Some(tracks), Some(queue)) = (self.pairs.get_mut(&pair), self.queues.get_mut(queued.0 as usize)) {
            tracks.queued = queued;
            queue.push_back((queued.1, pair));
        }
    }

    fn end(&mut self, pair: Pair, ending: EndCause, run: &mut DatagramEngine<'_>) {
        let Some(tracks) = self.pairs.remove(&pair) else { return };
        self.buffered = self.buffered.saturating_sub(tracks.buffered);
        self.shadows = self.shadows.saturating_sub(tracks.all.len().saturating_sub(1));
        for track in tracks.all {
            self.ids.forget(pair, &track);
            track.finish(ending, run);
        }
    }

    /// Ends a pair where there are too many: of those that nobody answered the one begun first, as a forger gets no answer.
    fn make_room(&mut self, at: At, run: &mut DatagramEngine<'_>) {
        while self.pairs.len() >= MAX_PAIRS.min(self.limits.open) {
            let Some((stage, from, pair)) = AssociationStage::ALL.into_iter().find_map(|stage| {
                let (from, pair) = self.queues.get_mut(stage as usize)?.pop_front()?;
                Some((stage, from, pair))
            }) else {
                return;
            };
            let Some(tracks) = self.pairs.get(&pair).filter(|tracks| tracks.queued == (stage, from)) else {
                continue;
            };
            if stage == AssociationStage::Unanswered && !tracks.are_unanswered() {
                self.enter(pair, (AssociationStage::Answered, from));
                continue;
            }
            run.notices.add(Notice::FlowEvicted, Some(at.frame));
            self.end(pair, EndCause::Evicted, run);
        }
    }
}

impl Ids {
    /// The pair of the connection that a datagram of unknown endpoints names by its connection ID.
    fn find(&self, datagram: &Datagram<'_>) -> Option<Pair> {
        let lengths = self.lengths.get(&datagram.destination)?;
        lengths.iter().find_map(|(length, _)| {
            let record = records(datagram.payload, datagram.cut, Some(*length)).next()?;
            let id = record.connection_id?;
            self.pairs.get(&(datagram.destination, id.into())).copied()
        })
    }

    /// Remembers the ID by which the server of a connection is called.
    fn learn(&mut self, pair: Pair, track: &mut TrackedAssociation) {
        if track.id_is_known || self.pairs.len() >= MAX_IDS {
            return;
        }
        let id = track.association.connection_id(Direction::ToServer);
        let Some(id) = id.filter(|id| !id.is_empty()) else {
            return;
        };
        track.id_is_known = true;
        // Some servers call every connection by the same ID: what bears it is of the latest.
        if self.pairs.insert((track.server, id.into()), pair).is_some() {
            return;
        }
        let lengths = self.lengths.entry(track.server).or_default();
        match lengths.iter_mut().find(|(length, _)| *length == id.len()) {
            Some((_, count)) => *count += 1,
            None => lengths.push((id.len(), 1)),
        }
    }

    fn forget(&mut self, pair: Pair, track: &TrackedAssociation) {
        for path in track.paths() {
            self.moved.remove(&pair_of(path.client, track.server));
        }
        let id = track.association.connection_id(Direction::ToServer);
        let Some(id) = id.filter(|_| track.id_is_known) else {
            return;
        };
        let key = (track.server, id.into());
        if self.pairs.get(&key) != Some(&pair) {
            return;
        }
        self.pairs.remove(&key);
        let Some(lengths) = self.lengths.get_mut(&track.server) else {
            return;
        };
        if let Some((_, count)) = lengths.iter_mut().find(|(length, _)| *length == id.len()) {
            *count -= 1;
        }
        lengths.retain(|(_, count)| *count > 0);
        if lengths.is_empty() {
            self.lengths.remove(&track.server);
        }
    }
}
