//! One TCP connection: what its headers tell, side by side.

mod beginning;

use std::borrow::Cow;

use crate::net::{At, Endpoint, Segment, SeqNumber, Wrapping};

use super::assembler::Piece;
use super::direction::Direction;
use super::half::Half;
use super::reset::{Reset, ResetForm};
use super::routed::Routed;
use super::spans::Spans;

#[cfg(feature = "serde")]
use {
    schemars::JsonSchema,
    serde::{Deserialize, Serialize},
};

/// How far a sequence number may lie from what a half has seen and still belong to this connection: a scaled window
/// of the usual size with room to spare (RFC 7323 allows 1 GB, which would join anything to anything).
pub(super) const SAME_CONNECTION: i32 = 1 << 24;
/// What opens a connection is not of this one where it stands this far beyond all that its side sent: no clear text before
/// TLS is that long, nor the early data that may stand before a second hello.
pub(super) const LEAP: i32 = 24 << 10;

/// How far ahead of the acknowledged byte a reset may lie and still be inside a usual window.
const RESET_WINDOW: i32 = 1 << 20;

/// What the FIN of one side acknowledges of the other: it tells who closed first where two captures have two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum FinCovers {
    /// Not known: that FIN is not in the capture, only that the other side acknowledged it.
    Lost,
    /// Less than the other side sent in all, or nothing that is known.
    Part,
    /// All data of the other side.
    Data,
    /// The other side's FIN, too.
    End,
}

/// One TCP connection, with what the layers above attach to it.
#[derive(Debug, Clone)]
pub struct Flow<T> {
    /// Client and server, as far as TCP tells: see [`Flow::swap`].
    pub ends: [Endpoint; 2],
    /// Client's and server's half.
    pub halves: [Half; 2],
    /// First packet: lowest frame number of the capture that holds it, earliest time.
    pub first: At,
    /// Last packet.
    pub last: At,
    /// Which frames of which captures hold it.
    pub spans: Spans,
    /// Outer headers of the first packet that has any, the client's end of every tunnel first, as the client's packets have it
    /// where there are some.
    pub outer: Box<[Wrapping]>,
    /// When the client acknowledged a SYN-ACK, which need not have been seen.
    pub established: Option<At>,
    /// It did so before it said anything: what it acknowledged is where the server begins.
    established_at_once: bool,
    /// The segment that did so is the one that answers it: where it has data, that may stand behind one without.
    established_bare: bool,
    /// A SYN or SYN-ACK was sent again before that.
    syn_again: bool,
    /// The IP identification of the SYN; 0 where it has none.
    syn_ip_id: u16,
    /// Where the answers come from, when that is not where the client sent its segments.
    pub answered_from: Option<Box<Endpoint>>,
    /// An ICMP unreachable was seen for it.
    pub unreachable: bool,
    /// Packets captured more than once.
    pub copies: u32,
    /// Resets that the receiver ignores.
    pub resets_ignored: u16,
    /// For the layers above.
    pub data: T,
    /// Which of the two ends of the table's key the client is.
    pub(super) client_is_low: bool,
    pub(super) closing: bool,
    pub(super) touched: bool,
}

impl<T> Flow<T> {
    /// Whether it ended and only lingers.
    #[must_use]
    pub const fn is_closing(&self) -> bool {
        self.closing
    }

    /// A connection of which no segment was taken yet.
    pub fn new(client: Endpoint, server: Endpoint, at: At, data: T) -> Self {
        Self {
            ends: [client, server],
            halves: [Half::default(), Half::default()],
            first: at,
            last: at,
            spans: Spans::new(at),
            outer: Box::default(),
            established: None,
            established_at_once: false,
            established_bare: false,
            syn_again: false,
            syn_ip_id: 0,
            answered_from: None,
            unreachable: false,
            copies: 0,
            resets_ignored: 0,
            data,
            client_is_low: true,
            closing: false,
            touched: true,
        }
    }

    /// The same connection with something else attached.
    #[must_use]
    pub fn with<U>(self, data: U) -> Flow<U> {
        Flow {
            ends: self.ends,
            halves: self.halves,
            first: self.first,
            last: self.last,
            spans: self.spans,
            outer: self.outer,
            established: self.established,
            established_at_once: self.established_at_once,
            established_bare: self.established_bare,
            syn_again: self.syn_again,
            syn_ip_id: self.syn_ip_id,
            answered_from: self.answered_from,
            unreachable: self.unreachable,
            copies: self.copies,
            resets_ignored: self.resets_ignored,
            data,
            client_is_low: self.client_is_low,
            closing: self.closing,
            touched: self.touched,
        }
    }

    /// The half of one direction.
    #[must_use]
    pub fn half(&self, direction: Direction) -> &Half {
        let [client, server] = &self.halves;
        match direction {
            Direction::ToServer => client,
            Direction::ToClient => server,
        }
    }

    /// The half of one direction, to change.
    pub fn half_mut(&mut self, direction: Direction) -> &mut Half {
        let [client, server] = &mut self.halves;
        match direction {
            Direction::ToServer => client,
            Direction::ToClient => server,
        }
    }

    /// What the FIN of one side acknowledges of what the other side sent.
    #[must_use]
    pub fn fin_covers(&self, direction: Direction) -> FinCovers {
        if self.fin_is_lost(direction) {
            return FinCovers::Lost;
        }
        let other = self.half(direction.opposite());
        let (Some(acknowledged), Some(end)) = (self.half(direction).fin_acknowledges, other.highest) else {
            return FinCovers::Part;
        };
        match (acknowledged.distance(end), other.fin.is_some()) {
            // One number more is that of a FIN: see `fin_is_lost`.
            (0.., true) | (1, false) => FinCovers::End,
            (0.., false) | (-1, true) => FinCovers::Data,
            _ => FinCovers::Part,
        }
    }

    /// By how many bytes a segment acknowledges more of the other side than was delivered of it, or less: whoever sent it had
    /// so much (RFC 9293 §3.4). `None` where it does not say, or it is not known where the other side's stream begins.
    #[inline]
    #[must_use]
    pub fn acknowledges(&self, direction: Direction, segment: &Segment<'_>) -> Option<i32> {
        let (half, other) = (self.half(direction), self.half(direction.opposite()));
        // Whoever opened the connection acknowledged a SYN first, though that may stand further on in the file, or be lost.
        let opened = half.syn.is_some() && !half.answers && self.established_at_once;
        let begins = || half.first_acknowledged.filter(|_| opened);
        let expected = other.assembler.expected().or_else(begins)?;
        segment.flags.ack().then(|| segment.ack.distance(expected))
    }

    /// Whether one side sent a FIN that is not in the capture: the other side acknowledges, or its own later segments stand
    /// behind, one number more than it has bytes, and FIN takes one (RFC 9293 §3.4). True of a lost segment of one byte, too.
    #[must_use]
    pub fn fin_is_lost(&self, direction: Direction) -> bool {
        let half = self.half(direction);
        let Some(end) = half.assembler.expected().filter(|_| half.fin.is_none()) else {
            return false;
        };
        // That of a reset counts by itself, where bytes before it were still missing when it came.
        let other = self.half(direction.opposite());
        let told = [other.acknowledged, other.fin_acknowledges, half.stands()];
        told.into_iter().flatten().any(|told| told.distance(end) == 1)
    }

    /// Whether one side sent its last bytes with the FIN of the other side before it; `None` where no acknowledgement tells,
    /// or that side sent none. Acknowledgements tell it whatever the order of the packets in the file.
    #[must_use]
    pub fn spoke_after_end(&self, direction: Direction) -> Option<bool> {
        let (half, other) = (self.half(direction), self.half(direction.opposite()));
        let end = match other.fin {
            Some(_) => other.highest?,
            None => other
                .assembler
                .expected()
                .filter(|_| self.fin_is_lost(direction.opposite()))?
                .plus(1),
        };
        let knew = half.acknowledged?.distance(end) >= 0;
        let stands = half.assembler.expected();
        Some(knew && stands.is_none_or(|stands| half.sent_before.distance(stands) < 0))
    }

    /// Whether one side sent its last bytes with all data of the other side before it, FIN or not; `None` where no
    /// acknowledgement tells.
    #[must_use]
    pub fn spoke_after_data(&self, direction: Direction) -> Option<bool> {
        let (half, other) = (self.half(direction), self.half(direction.opposite()));
        let end = other.assembler.expected()?;
        let stands = half.assembler.expected()?;
        let sent_before = match half.acknowledged?.distance(end) {
            ..0 => return Some(false),
            0 => half.sent_before,
            1.. => half.sent_before.minus(half.sent_without_fin.into()),
        };
        Some(sent_before.distance(stands) < 0)
    }

    /// Whether the other side answered by its reset a segment of this side that was not seen: a host that does not know
    /// a connection takes the number of its reset from the segment it answers (RFC 9293 §3.10.7.1).
    #[must_use]
    pub fn provoked_reset_unseen(&self, direction: Direction) -> bool {
        let other = self.half(direction.opposite());
        let answers = other.reset.is_some_and(|reset| reset.form == ResetForm::NoSocket);
        let own = self.half(direction);
        // A direction that was not captured at all is another matter.
        let (Some(number), true, Some(_)) = (other.reset_seq, answers, own.first) else {
            return false;
        };
        // Nor does an acknowledgement alone provoke one: a host that has sent FIN knows the connection until it is over. A FIN
        // that is lost acknowledged no less than what stood before it.
        let lost = || other.acknowledged.filter(|_| self.fin_is_lost(direction.opposite()));
        let nothing_said = other.fin_acknowledges.or_else(lost).zip(own.highest);
        let silent = own.fin.is_none() && nothing_said.is_some_and(|(told, end)| end.distance(told) <= 0);
        silent || own.acknowledged.is_none_or(|told| number.distance(told) > 0)
    }

    /// When one side sent FIN, where the other side can have accepted it.
    #[must_use]
    pub fn accepted_fin(&self, direction: Direction) -> Option<At> {
        let half = self.half(direction);
        half.fin.filter(|_| !half.assembler.is_end_out_of_reach())
    }

    /// The guess about who is the client was wrong.
    pub fn swap(&mut self) {
        self.client_is_low = !self.client_is_low;
        self.ends.swap(0, 1);
        self.halves.swap(0, 1);
        turn(&mut self.outer);
    }

    /// Direction of a segment whose sender is, or is not, the lower end of the table's key.
    pub(super) const fn direction(&self, from_low: bool) -> Direction {
        if from_low == self.client_is_low {
            Direction::ToServer
        } else {
            Direction::ToClient
        }
    }

    /// Whether SYN told who is the client.
    #[must_use]
    pub fn roles_known(&self) -> bool {
        self.halves.iter().any(|half| half.syn.is_some())
    }

    /// A SYN was seen by whoever sees the segments of this connection.
    pub fn know_roles(&mut self) {
        let [client, _] = &mut self.halves;
        client.syn.get_or_insert(self.first);
    }

    /// Whether both sides were captured.
    #[must_use]
    pub fn two_way(&self) -> bool {
        self.halves.iter().all(|half| half.first.is_some())
    }

    /// Whether the connection is over: a reset, or FIN both ways.
    #[must_use]
    pub fn closed(&self) -> bool {
        self.halves.iter().any(|half| half.reset.is_some()) || self.halves.iter().all(|half| half.fin.is_some())
    }

    /// Whether both sides sent FIN and acknowledged that of the other, nothing is missing, and no reset was among it.
    pub(super) fn is_settled(&self) -> bool {
        let [client, server] = &self.halves;
        let is_answered = |half: &Half, other: &Half| {
            let told = half.highest.zip(other.acknowledged);
            half.fin.is_some() && half.reset.is_none() && told.is_some_and(|(end, told)| told.distance(end) >= 0)
        };
        is_answered(client, server) && is_answered(server, client) && self.is_complete()
    }

    /// Whether nothing is missing of a connection that is over: both sides were seen from SYN to end, and every byte of them.
    pub(super) fn is_complete(&self) -> bool {
        self.halves
            .iter()
            .all(|half| half.isn.is_some() && !half.assembler.is_waiting() && !half.incomplete_at_end())
    }

    /// What nearly every segment does: it brings the next bytes of a connection that goes on, or acknowledges. The same as
    /// [`Flow::observe`], which has to think of more; `None` where that must be asked, and nothing was done.
    #[inline]
    pub(super) fn follow(&mut self, direction: Direction, segment: &Segment<'_>, at: At) -> Option<bool> {
        let goes_on = self.established.is_some() && !self.closing;
        if !goes_on || !segment.flags.only_acknowledges() || segment.cut > 0 || !segment.path.outer.is_empty() {
            return None;
        }
        let answered = self.established_bare;
        let (half, other) = self.pair_mut(direction);
        let next = half.assembler.next_in_order()?;
        if segment.seq != next || half.highest != Some(next) || half.first.is_none() {
            return None;
        }
        // It may still be what answers the SYN-ACK.
        if !answered && half.isn.is_some_and(|isn| isn.plus(1) == next) {
            return None;
        }
        // After two gigabytes the numbers come round.
        if half.lowest.is_none_or(|lowest| next.distance(lowest) < 0) {
            return None;
        }
        half.note_marks(segment);
        let copied = half.is_copy(segment, at);
        if !copied {
            let after = next.plus(u32::try_from(segment.payload.len()).unwrap_or(u32::MAX));
            half.note_acknowledgement(segment.ack, (next, after));
            half.highest = Some(after);
            other.assembler.acknowledge(segment.ack);
        }
        self.copies = self.copies.saturating_add(u32::from(copied));
        self.touched = true;
        self.note_span(at);
        Some(!copied)
    }

    /// Puts the payload of a segment in order whose headers were taken. Data in order comes straight back.
    #[inline]
    pub fn put_in_order<'a>(&mut self, routed: Routed, segment: &Segment<'a>, at: At) -> Option<Piece<'a>> {
        let assembler = &mut self.half_mut(routed.direction).assembler;
        if routed.in_order {
            assembler.pass(segment.payload.len());
            return (!segment.payload.is_empty()).then_some(Piece::Data(Cow::Borrowed(segment.payload), at));
        }
        assembler.push(segment.data_seq(), segment.payload, segment.cut, at)
    }

    /// Takes the headers of a segment. `false` when it is a copy of one that was taken before.
    pub(super) fn observe(&mut self, direction: Direction, segment: &Segment<'_>, at: At) -> bool {
        let half = self.half(direction);
        // What a side acknowledges tells of its first segment whether it is of this connection; of a later one its number.
        let of_before =
            half.precedes(segment.seq) || (half.first.is_none() && self.acknowledges_before(direction, segment));
        if !segment.flags.rst() && of_before {
            return false;
        }
        self.touched = true;
        self.note_span(at);
        self.note_outer(direction, segment.path.outer);
        self.half_mut(direction).note_marks(segment);
        if self.half_mut(direction).is_copy(segment, at) {
            self.copies = self.copies.saturating_add(1);
            return false;
        }
        let half = self.half_mut(direction);
        if half.first.is_none() {
            half.first = Some(at);
            half.mac = segment.path.source_mac;
            half.ttl = Some(segment.path.ttl);
        }
        if segment.flags.syn() {
            let again = half.syn.is_some();
            half.observe_syn(segment, at);
            if !again && !segment.flags.ack() {
                self.syn_ip_id = segment.path.ip_id.unwrap_or(0);
            }
            self.syn_again |= again && self.established.is_none();
        }
        if segment.flags.rst() {
            self.observe_reset(direction, segment, at);
        } else {
            self.observe_data(direction, segment, at);
        }
        true
    }

    #[inline]
    fn note_span(&mut self, at: At) {
        // In the capture that held the packets before, and later than all of them.
        if self.last.time <= at.time && self.spans.goes_on_to(at.frame) {
            self.last = At {
                frame: self.last.frame.max(at.frame),
                time: at.time,
            };
            return;
        }
        self.spans.note(at.frame);
        self.first = At {
            frame: self.spans.main.0,
            time: self.first.time.min(at.time),
        };
        self.last = At {
            frame: self.last.frame.max(at.frame),
            time: self.last.time.max(at.time),
        };
    }

    /// Takes the outer headers of the first packet that has any. Those of the client's packets count: what copies packets for
    /// whoever captures them sends both directions the same way.
    fn note_outer(&mut self, direction: Direction, outer: &[Wrapping]) {
        if outer.is_empty() {
            return;
        }
        if self.outer.is_empty() {
            self.outer = outer.into();
            if direction == Direction::ToClient {
                turn(&mut self.outer);
            }
        } else if direction == Direction::ToServer && *self.outer != *outer {
            let mut other_way = self.outer.clone();
            turn(&mut other_way);
            if *other_way == *outer {
                self.outer = other_way;
            }
        }
    }

    fn observe_data(&mut self, direction: Direction, segment: &Segment<'_>, at: At) {
        let at_once = self.established_at_once;
        let (half, other) = self.pair_mut(direction);
        let length = u32::try_from(segment.payload.len())
            .unwrap_or(u32::MAX)
            .saturating_add(segment.cut);
        let after = segment
            .seq
            .plus(length)
            .plus(u32::from(segment.flags.syn()))
            .plus(u32::from(segment.flags.fin()));
        if segment.flags.ack() {
            half.note_acknowledgement(segment.ack, (segment.seq, after));
        }
        if half.highest.is_none_or(|highest| after.distance(highest) > 0) {
            half.highest = Some(after);
        }
        if half.lowest.is_none_or(|lowest| segment.seq.distance(lowest) < 0) {
            half.lowest = Some(segment.seq);
        }
        // Without the SYN of this side the SYN-ACK that answers it tells where it begins; or, where that SYN-ACK is this side's,
        // what the other side acknowledged when it had said nothing.
        let answered = || at_once && other.first_acknowledged == Some(segment.seq);
        if length > 0 && (other.answers || answered() || half.assembler.is_out_of_patience()) {
            half.assembler.start_before(other.first_acknowledged, Some(segment.seq));
        }
        if segment.flags.ack() {
            other.assembler.acknowledge(segment.ack);
        }
        if segment.flags.fin() {
            half.assembler.finish(segment.data_seq().plus(length));
            if half.fin.is_none() && segment.flags.ack() {
                half.fin_acknowledges = Some(segment.ack);
            }
            half.fin.get_or_insert(at);
        }
        if length > 0 {
            // The receiver of a doubtful reset goes on talking: it did not accept it.
            if other.reset.is_some_and(|reset| reset.doubtful && at.is_after(reset.at)) {
                other.reset = None;
                self.resets_ignored = self.resets_ignored.saturating_add(1);
            }
        }
        // A SYN-ACK that was not seen yet may come, from another clock.
        let acknowledges = !segment.flags.syn() && segment.flags.ack();
        if acknowledges && !self.established_bare && self.may_be_established(direction) {
            self.establish(direction, segment, at);
        }
    }

    fn observe_reset(&mut self, direction: Direction, segment: &Segment<'_>, at: At) {
        let (half, other) = self.pair_mut(direction);
        let form = ResetForm::of(segment);
        let references = [half.highest, other.acknowledged, half.assembler.expected()];
        let exact = references.iter().flatten().any(|reference| segment.seq == *reference);
        let blind = references.iter().all(Option::is_none);
        let inside = references
            .iter()
            .flatten()
            .any(|reference| (0..RESET_WINDOW).contains(&segment.seq.distance(*reference)));
        if exact || blind || inside {
            if half.reset.is_none() {
                half.reset_seq = Some(segment.seq);
            }
            half.reset.get_or_insert(Reset {
                at,
                form,
                doubtful: !exact && !blind,
            });
            // One that is sent in place of a FIN tells as much of the other side.
            if half.fin.is_none() && form == ResetForm::Active {
                half.fin_acknowledges.get_or_insert(segment.ack);
            }
            if segment.flags.ack() {
                let stands = other.assembler.expected();
                if stands.is_some_and(|stands| (0..=1).contains(&segment.ack.distance(stands))) {
                    half.note_acknowledgement(segment.ack, (segment.seq, segment.seq));
                }
                other.assembler.acknowledge(segment.ack);
            }
        } else {
            self.resets_ignored = self.resets_ignored.saturating_add(1);
        }
    }

    fn pair_mut(&mut self, direction: Direction) -> (&mut Half, &mut Half) {
        let [client, server] = &mut self.halves;
        match direction {
            Direction::ToServer => (client, server),
            Direction::ToClient => (server, client),
        }
    }

    /// Whether a SYN can be the one that opened this connection, whose own was not seen: it stands before everything
    /// that its side sent or that the other side acknowledged.
    pub(super) fn may_open(&self, direction: Direction, syn: &Segment<'_>) -> bool {
        if !self.may_answer(direction, syn) {
            return false;
        }
        let first = syn.seq.plus(1);
        let (half, other) = (self.half(direction), self.half(direction.opposite()));
        // By another clock what answers it stands before it, and all that the other side sent may.
        let answers = other.first_acknowledged;
        let with_data = first.plus(u32::try_from(syn.payload.len()).unwrap_or(u32::MAX));
        if answers.is_some_and(|answers| answers == first || answers == with_data) {
            return true;
        }
        // It acknowledges the very SYN of the other side.
        if syn.flags.ack() && !other.answers && other.isn.is_some_and(|isn| syn.ack == isn.plus(1)) {
            return true;
        }
        match half.lowest.or(self.half(direction.opposite()).acknowledged) {
            Some(known) if first == known => true,
            Some(known) => first.distance(known) < 0 && !self.closed() && self.fits(direction, syn),
            None => !self.closed() || self.fits(direction, syn),
        }
    }

    /// Whether a SYN can be of this connection for all that it acknowledges: the SYN of the other side, and no more than
    /// that side sent (RFC 9293 §3.10.7.3, with data on the SYN RFC 7413 §4.2.2).
    fn may_answer(&self, direction: Direction, syn: &Segment<'_>) -> bool {
        let other = self.half(direction.opposite());
        let (true, false, Some(isn)) = (syn.flags.ack(), other.answers, other.isn) else {
            return true;
        };
        let end = other.highest.unwrap_or(isn.plus(1));
        syn.ack.distance(isn) > 0 && syn.ack.distance(end) <= 0
    }

    /// Whether a segment begins among the numbers that its side has used already.
    pub(super) fn said(&self, direction: Direction, segment: &Segment<'_>) -> bool {
        let numbers = self.half(direction).numbers();
        numbers.is_some_and(|(lowest, end)| segment.seq.distance(lowest) >= 0 && segment.seq.distance(end) < 0)
    }

    /// Whether so much was lost before a segment that what opens a connection opens another one.
    pub(super) fn leaps(&self, direction: Direction, segment: &Segment<'_>) -> bool {
        // Not the highest number: an acknowledgement without data may bear it.
        let leaps = |direction, number: SeqNumber| {
            let half: &Half = self.half(direction);
            let stands = half.assembler.expected().or(half.lowest);
            stands.is_some_and(|stands| number.distance(stands) >= LEAP)
        };
        // An answer acknowledges what it answers.
        leaps(direction, segment.seq) || (segment.flags.ack() && leaps(direction.opposite(), segment.ack))
    }

    /// Whether a segment acknowledges what stands before the SYN of the other side: it is of a connection that had the
    /// ports before.
    fn acknowledges_before(&self, direction: Direction, segment: &Segment<'_>) -> bool {
        segment.flags.ack() && self.half(direction.opposite()).precedes(segment.ack)
    }

    /// Whether a segment's sequence number can belong to this connection.
    pub(super) fn fits(&self, direction: Direction, segment: &Segment<'_>) -> bool {
        let half = self.half(direction);
        if half.precedes(segment.seq) || self.acknowledges_before(direction, segment) {
            return false;
        }
        if let Some(reference) = half.highest.or(half.isn) {
            return segment.seq.distance(reference).unsigned_abs() < SAME_CONNECTION.unsigned_abs();
        }
        // Nothing of this side yet: what it acknowledges tells, and that is not far before all that was sent.
        match self.half(direction.opposite()).numbers() {
            Some((lowest, end)) if segment.flags.ack() => {
                segment.ack.distance(end) < SAME_CONNECTION && segment.ack.distance(lowest) > -LEAP
            }
            _ => true,
        }
    }
}

/// The ends of every tunnel the other way round.
pub fn turn(outer: &mut [Wrapping]) {
    outer
        .iter_mut()
        .filter_map(|wrapping| wrapping.between.as_mut())
        .for_each(|ends| ends.swap(0, 1));
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;
    use crate::net::span::MILLISECOND;
    use crate::net::{Encapsulation, FrameRef, MacAddress, Path, TcpFlags, TcpOptions, Timestamp};

    fn end(host: u8, port: u16) -> Endpoint {
        Endpoint {
            ip: [10, 0, 0, host].into(),
            port,
        }
    }

    fn segment(seq: u32, ack: u32, flags: u8, payload: &'static [u8]) -> Segment<'static> {
        Segment {
            path: Path {
                source_mac: None,
                ttl: 64,
                ip_id: None,
                outer: &[],
            },
            source: end(1, 50_000),
            destination: end(2, 443),
            seq: SeqNumber(seq),
            ack: SeqNumber(ack),
            flags: TcpFlags(flags),
            window: 1000,
            options: TcpOptions(&[]),
            payload,
            cut: 0,
        }
    }

    fn at(frame: u64) -> At {
        At {
            frame: FrameRef::new(0, frame),
            time: Timestamp::from_nanos(i64::try_from(frame).expect("small") * 1_000_000_000),
        }
    }

    /// A connection whose two SYNs were seen, with the initial sequence numbers 1000 and 9000.
    fn open() -> Flow<()> {
        let mut flow = Flow::new(end(1, 50_000), end(2, 443), at(1), ());
        assert!(flow.observe(Direction::ToServer, &segment(1000, 0, 2, b""), at(1)));
        assert!(flow.observe(Direction::ToClient, &segment(9000, 1001, 0x12, b""), at(2)));
        flow
    }

    #[test]
    fn the_ends_of_a_tunnel_stand_client_first_whoever_sent_the_first_packet() {
        let [near, far] = [IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2])];
        let outer = [Wrapping {
            header: Encapsulation::IpInIp,
            between: Some([far, near]),
        }];
        let mut answer = segment(9000, 1001, 0x12, b"");
        answer.path.outer = &outer;
        let mut flow = Flow::new(end(1, 50_000), end(2, 443), at(1), ());
        flow.observe(Direction::ToServer, &segment(1000, 0, 2, b""), at(1));
        assert!(flow.outer.is_empty());
        flow.observe(Direction::ToClient, &answer, at(2));
        assert_eq!(flow.outer[0].between, Some([near, far]));
        flow.swap();
        assert_eq!(flow.outer[0].between, Some([far, near]));
    }

    #[test]
    fn a_mirror_that_sends_both_directions_one_way_is_told_as_its_packets_go() {
        let [mirror, sniffer] = [IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2])];
        let outer = [Wrapping {
            header: Encapsulation::Gre(None),
            between: Some([mirror, sniffer]),
        }];
        for first in Direction::BOTH {
            let mut flow = Flow::new(end(1, 50_000), end(2, 443), at(1), ());
            for (number, direction) in (1_u32..).zip([first, first.opposite()]) {
                let mut said = segment(1000 * number, 0, 0x10, b"x");
                said.path.outer = &outer;
                flow.observe(direction, &said, at(number.into()));
            }
            assert_eq!(flow.outer[0].between, Some([mirror, sniffer]));
        }
    }

    #[test]
    fn a_segment_tells_how_much_of_the_other_side_its_sender_had() {
        let mut flow = Flow::new(end(1, 50_000), end(2, 443), at(1), ());
        let data = segment(1001, 9001, 0x18, b"x");
        assert_eq!(
            flow.acknowledges(Direction::ToServer, &data),
            None,
            "nothing was seen of it"
        );
        flow.observe(Direction::ToServer, &segment(1000, 0, 2, b""), at(1));
        flow.observe(Direction::ToServer, &segment(1001, 9001, 0x10, b""), at(2));
        let data = segment(1001, 9301, 0x18, b"x");
        assert_eq!(
            flow.acknowledges(Direction::ToServer, &data),
            Some(300),
            "the SYN-ACK stands further on"
        );
        let mut late = Flow::new(end(1, 50_000), end(2, 443), at(1), ());
        late.observe(Direction::ToServer, &segment(1000, 0, 2, b""), at(1));
        late.observe(Direction::ToServer, &segment(1401, 9301, 0x10, b""), at(2));
        let data = segment(1401, 9301, 0x18, b"x");
        assert_eq!(
            late.acknowledges(Direction::ToServer, &data),
            None,
            "its first acknowledgement is lost"
        );
        flow = open();
        let told =
            |flow: &Flow<()>, ack, flags| flow.acknowledges(Direction::ToServer, &segment(1001, ack, flags, b"x"));
        assert_eq!(told(&flow, 9001, 0x18), Some(0));
        assert_eq!(
            told(&flow, 9501, 0x18),
            Some(500),
            "its segments stand further on in the file"
        );
        assert_eq!(told(&flow, 9501, 0x08), None, "it acknowledges nothing");
        let server = &mut flow.half_mut(Direction::ToClient).assembler;
        assert!(server.push(SeqNumber(9001), b"0123456789", 0, at(3)).is_some());
        assert_eq!(told(&flow, 9001, 0x18), Some(-10), "sent before it had them");
    }

    /// A step of a conversation: from the client or not, how far off what would come next, flags, bytes, and how much
    /// later than the step before.
    type Step = (bool, i32, i32, u8, usize, u64);

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let offset = prop_oneof![6 => Just(0), 1 => -3..4_i32];
        let flags = prop_oneof![8 => Just(0x10_u8), 4 => Just(0x18), 1 => 0..=31_u8];
        let later = prop_oneof![2 => Just(0_u64), 3 => 1..40_000_000_u64];
        prop::collection::vec((any::<bool>(), offset.clone(), offset, flags, 0..4_usize, later), 0..40)
    }

    /// The connection after these steps, by the short way where it can be taken or always by the long one.
    fn after(steps: &[Step], short: bool) -> (String, usize) {
        let mut flow = open();
        let (mut next, mut time, mut taken) = ([1001_u32, 9001], at(2).time.nanos(), 0);
        for (number, &(from_client, off, behind, flags, length, later)) in (3..).zip(steps) {
            time += i64::try_from(later).expect("short");
            let (direction, mine, theirs) = if from_client {
                (Direction::ToServer, 0, 1)
            } else {
                (Direction::ToClient, 1, 0)
            };
            let (seq, ack) = (
                next[mine].wrapping_add_signed(off),
                next[theirs].wrapping_add_signed(behind),
            );
            let segment = segment(seq, ack, flags, &b"abcd"[..length]);
            let at = At {
                frame: FrameRef::new(0, number),
                time: Timestamp::from_nanos(time),
            };
            let followed = if short {
                flow.follow(direction, &segment, at)
            } else {
                None
            };
            taken += usize::from(followed.is_some());
            if followed.unwrap_or_else(|| flow.observe(direction, &segment, at)) {
                let assembler = &mut flow.half_mut(direction).assembler;
                assembler.push(segment.seq, segment.payload, 0, at);
                while assembler.pop().is_some() {}
                next[mine] = seq.wrapping_add(u32::try_from(length).expect("short"));
            }
            flow.closing |= flow.closed();
        }
        (format!("{flow:?}"), taken)
    }

    proptest! {
        #[test]
        fn the_short_way_of_a_segment_ends_where_the_long_one_does(steps in steps()) {
            prop_assert_eq!(after(&steps, true).0, after(&steps, false).0);
        }
    }

    #[test]
    fn the_next_bytes_of_a_connection_that_goes_on_take_the_short_way() {
        let steps = [
            (true, 0, 0, 0x10, 0, 1),
            (true, 0, 0, 0x18, 3, 1),
            (false, 0, 0, 0x10, 0, 1),
        ];
        assert_eq!(after(&steps, true).1, 2, "all but the one that completes the handshake");
        assert_eq!(after(&steps, false).1, 0);
    }

    #[test]
    fn what_stands_before_the_syn_is_of_the_connection_before() {
        let mut flow = open();
        let late = segment(900, 8000, 0x10, b"late");
        assert!(!flow.fits(Direction::ToServer, &late));
        assert!(!flow.observe(Direction::ToServer, &late, at(3)));
        assert_eq!(flow.half(Direction::ToServer).lowest, Some(SeqNumber(1000)));
        // An acknowledgement of what this server never sent.
        assert!(!flow.fits(Direction::ToServer, &segment(1001, 8000, 0x10, b"")));
        assert!(flow.fits(Direction::ToServer, &segment(1001, 9001, 0x10, b"")));
    }

    #[test]
    fn after_a_gigabyte_a_number_before_the_syn_is_of_this_connection() {
        let mut flow = open();
        for step in 1..=3_u32 {
            let seq = 1001_u32.wrapping_add(step << 29);
            assert!(flow.observe(Direction::ToServer, &segment(seq, 9001, 0x10, b"x"), at(3)));
        }
        assert!(flow.observe(Direction::ToServer, &segment(900, 9001, 0x10, b"x"), at(5)));
    }

    #[test]
    fn a_fin_that_is_not_in_the_capture_is_told_by_its_number() {
        let sent = |end: Segment<'static>, from| {
            let mut flow = open();
            let data = segment(1001, 9001, 0x18, b"bye");
            flow.observe(Direction::ToServer, &data, at(3));
            flow.half_mut(Direction::ToServer)
                .assembler
                .push(data.seq, data.payload, 0, at(3));
            flow.observe(from, &end, at(4));
            let half = flow.half(Direction::ToServer);
            (flow.fin_is_lost(Direction::ToServer), half.incomplete_at_end())
        };
        let acknowledged = |ack| sent(segment(9001, ack, 0x10, b""), Direction::ToClient);
        assert_eq!(acknowledged(1004), (false, false), "the data alone");
        assert_eq!(acknowledged(1005), (true, false));
        assert_eq!(acknowledged(1006), (false, true), "bytes are missing");
        // Its own later segments tell it, too.
        let later = |seq, flags| sent(segment(seq, 9001, flags, b""), Direction::ToServer);
        assert_eq!(later(1005, 0x10), (true, false));
        assert_eq!(later(1005, 0x14), (true, false));
        assert_eq!(later(1036, 0x10), (false, true));
    }

    #[test]
    fn a_fin_that_only_a_reset_acknowledges_is_told_although_bytes_before_it_are_missing() {
        let told = |ack, flags| {
            let mut flow = open();
            flow.observe(Direction::ToServer, &segment(1001, 9001, 0x18, b"hello"), at(3));
            let later = segment(9011, 1006, 0x18, b"bye");
            flow.observe(Direction::ToClient, &later, at(4));
            let held = flow.half_mut(Direction::ToClient);
            held.assembler.push(later.seq, later.payload, 0, at(4));
            // Its first ten bytes are not given up yet when the reset comes.
            flow.observe(Direction::ToServer, &segment(1006, ack, flags, b""), at(5));
            let held = &mut flow.half_mut(Direction::ToClient).assembler;
            held.flush();
            while held.pop().is_some() {}
            flow.fin_is_lost(Direction::ToClient)
        };
        assert!(told(9015, 0x14));
        assert!(!told(9014, 0x14), "the data alone");
        assert!(!told(9015, 4), "without ACK the number says nothing");
    }

    #[test]
    fn marks_are_those_of_the_place_nearest_to_the_sender() {
        let seen_at = |ttl: u8, host: u8, mut segment: Segment<'static>| {
            segment.path.ttl = ttl;
            segment.path.source_mac = Some(MacAddress([2, 0, 0, 0, 0, host]));
            (Direction::ToClient, segment)
        };
        let marks = |segments: &[(Direction, Segment<'static>)]| {
            let mut flow = Flow::new(end(1, 50_000), end(2, 443), at(1), ());
            flow.observe(Direction::ToServer, &segment(1000, 0, 2, b""), at(1));
            for (number, (direction, segment)) in (2..).zip(segments) {
                flow.observe(*direction, segment, at(number));
            }
            let half = flow.half(Direction::ToClient);
            (half.ttl, half.mac.map(|MacAddress(bytes)| bytes[5]))
        };
        let (answer, data) = (segment(9000, 1001, 0x12, b""), segment(9001, 1001, 0x18, b"hello"));
        let both = [
            seen_at(64, 1, answer),
            seen_at(63, 2, answer),
            seen_at(64, 1, data),
            seen_at(63, 2, data),
        ];
        assert_eq!(marks(&both), (Some(64), Some(1)));
        // The nearer copy of the first is lost, or comes second.
        assert_eq!(marks(&both[1..]), (Some(64), Some(1)));
        assert_eq!(marks(&[both[1], both[0], both[3]]), (Some(64), Some(1)));
        assert_eq!(marks(&[both[1], both[3]]), (Some(63), Some(2)));
        // A machine in between that answers or resets on its own is no other place.
        assert_eq!(marks(&[both[1], seen_at(255, 9, data)]), (Some(63), Some(2)));
        let reset = seen_at(64, 9, segment(9001, 0, 4, b""));
        assert_eq!(marks(&[both[1], reset]), (Some(63), Some(2)));
    }

    #[test]
    fn the_round_trip_ends_with_the_segment_that_answers_the_syn_ack() {
        let (from_client, from_server) = (Direction::ToServer, Direction::ToClient);
        let syn = (from_client, segment(1000, 0, 2, b""));
        let answer = (from_server, segment(9000, 1001, 0x12, b""));
        let acknowledgement = (from_client, segment(1001, 9001, 0x10, b""));
        let hello = (from_client, segment(1001, 9001, 0x18, b"hello"));
        let told_every = |nanos: i64, segments: &[(Direction, Segment<'static>)]| {
            let mut flow = Flow::new(end(1, 50_000), end(2, 443), at(1), ());
            for (number, (direction, segment)) in (1_i64..).zip(segments) {
                let time = Timestamp::from_nanos(number * nanos);
                let frame = FrameRef::new(0, number.unsigned_abs());
                flow.observe(*direction, segment, At { frame, time });
            }
            flow.round_trip().map(|nanos| nanos / MILLISECOND)
        };
        let told = |segments: &[_]| told_every(100 * MILLISECOND, segments);
        assert_eq!(told(&[syn, answer, acknowledgement, hello]), Some(200));
        // Once there is an answer, an old SYN changes nothing.
        assert_eq!(told(&[syn, answer, acknowledgement, syn, hello]), Some(200));
        // The client may have thought for a while before it said hello.
        assert_eq!(told(&[syn, answer, hello]), None);
        let numbered = |(direction, mut segment): (Direction, Segment<'static>), id| {
            segment.path.ip_id = Some(id);
            (direction, segment)
        };
        assert_eq!(told(&[numbered(syn, 65535), answer, numbered(hello, 0)]), Some(200));
        assert_eq!(told(&[numbered(syn, 65535), answer, numbered(hello, 1)]), None);
        assert_eq!(
            told(&[syn, answer, (from_client, segment(1006, 9001, 0x10, b""))]),
            None
        );
        assert_eq!(
            told(&[syn, answer, (from_client, segment(1001, 9900, 0x10, b""))]),
            None
        );
        // Which one was answered?
        assert_eq!(told(&[syn, syn, answer, acknowledgement]), None);
        assert_eq!(told(&[syn, answer, answer, acknowledgement]), None);
        assert_eq!(told(&[syn, acknowledgement, hello]), None);
        // In a file without order.
        assert_eq!(told(&[syn, acknowledgement, answer]), Some(100));
        assert_eq!(told(&[syn, answer, hello, acknowledgement]), Some(300));
        let greeted = (from_client, segment(1001, 9030, 0x10, b""));
        assert_eq!(told(&[syn, greeted, answer]), None);
        // The second SYN, without which the answer would not come so late, is not in the capture.
        let every = |nanos| told_every(nanos, &[syn, answer, acknowledgement]);
        assert_eq!((every(400 * MILLISECOND), every(500 * MILLISECOND)), (Some(800), None));
    }

    #[test]
    fn a_server_whose_syn_was_lost_begins_where_its_client_first_acknowledged() {
        let begins = |first: &[Segment<'static>], comes: u32| {
            let mut flow = Flow::new(end(1, 50_000), end(2, 443), at(1), ());
            for (number, segment) in (1..).zip(first) {
                flow.observe(Direction::ToServer, segment, at(number));
            }
            flow.observe(Direction::ToClient, &segment(comes, 1006, 0x18, b"hello"), at(9));
            flow.half(Direction::ToClient).assembler.expected()
        };
        let syn = segment(1000, 0, 2, b"");
        let acknowledges = segment(1001, 9001, 0x10, b"");
        assert_eq!(begins(&[syn, acknowledges], 9001), Some(SeqNumber(9001)));
        // Something else may stand in front of what came.
        assert_eq!(begins(&[syn, acknowledges], 9006), None);
        assert_eq!(begins(&[syn], 9001), None);
        assert_eq!(begins(&[acknowledges], 9001), None);
        // In a file without order what was acknowledged before may stand behind.
        assert_eq!(begins(&[syn, segment(1401, 9001, 0x10, b"")], 9001), None);
    }

    #[test]
    fn what_was_sent_with_all_data_acknowledged_was_sent_after_it_in_any_order() {
        let (from_client, from_server) = (Direction::ToServer, Direction::ToClient);
        let told = |segments: &[(Direction, Segment<'static>)]| {
            let mut flow = open();
            for (number, (direction, segment)) in (3..).zip(segments) {
                flow.observe(*direction, segment, at(number));
                let assembler = &mut flow.half_mut(*direction).assembler;
                assembler.push(segment.seq, segment.payload, 0, at(number));
            }
            flow.spoke_after_data(from_server)
        };
        let bye = (from_client, segment(1001, 9001, 0x18, b"alert"));
        let fin = (from_client, segment(1006, 9001, 0x11, b""));
        let answer = (from_server, segment(9001, 1006, 0x18, b"alert"));
        let crossing = (from_server, segment(9001, 1001, 0x18, b"alert"));
        let acknowledgement = (from_server, segment(9006, 1007, 0x10, b""));
        for answered in [
            [bye, fin, answer, acknowledgement],
            [bye, answer, fin, acknowledgement],
            [answer, bye, fin, acknowledgement],
            [bye, fin, acknowledgement, answer],
        ] {
            assert_eq!(told(&answered), Some(true));
        }
        for crossed in [
            [bye, fin, crossing, acknowledgement],
            [crossing, bye, fin, acknowledgement],
            [bye, acknowledgement, crossing, fin],
        ] {
            assert_eq!(told(&crossed), Some(false));
        }
    }

    #[test]
    fn what_was_sent_with_the_fin_acknowledged_was_sent_after_it_in_any_order() {
        let (from_client, from_server) = (Direction::ToServer, Direction::ToClient);
        let told = |segments: &[(Direction, Segment<'static>)]| {
            let mut flow = open();
            for (number, (direction, segment)) in (3..).zip(segments) {
                flow.observe(*direction, segment, at(number));
                let assembler = &mut flow.half_mut(*direction).assembler;
                assembler.push(segment.seq, segment.payload, 0, at(number));
            }
            flow.spoke_after_end(from_server)
        };
        let fin = (from_client, segment(1001, 9001, 0x11, b""));
        let answer = (from_server, segment(9001, 1002, 0x18, b"alert"));
        let crossing = (from_server, segment(9001, 1001, 0x18, b"alert"));
        let acknowledgement = (from_server, segment(9006, 1002, 0x10, b""));
        assert_eq!(told(&[fin, answer]), Some(true));
        assert_eq!(told(&[answer, fin]), Some(true));
        assert_eq!(told(&[fin, crossing]), Some(false));
        assert_eq!(told(&[fin, crossing, acknowledgement]), Some(false));
        assert_eq!(told(&[acknowledgement, crossing, fin]), Some(false));
        assert_eq!(told(&[acknowledgement, answer, fin]), Some(true));
        assert_eq!(told(&[crossing]), None);
    }

    #[test]
    fn a_reset_behind_a_fin_answers_more_than_an_acknowledgement_whether_the_fin_was_seen_or_not() {
        let unseen = |fin: bool, goodbye: &'static [u8]| {
            let mut flow = open();
            let mut give = |direction: Direction, segment: Segment<'static>, number: u64| {
                flow.observe(direction, &segment, at(number));
                let assembler = &mut flow.half_mut(direction).assembler;
                assembler.push(segment.seq, segment.payload, 0, at(number));
            };
            give(Direction::ToServer, segment(1001, 9001, 0x18, b"ask"), 3);
            give(Direction::ToClient, segment(9001, 1004, 0x18, b"answer"), 4);
            if fin {
                give(Direction::ToClient, segment(9007, 1004, 0x11, b""), 5);
            }
            give(Direction::ToServer, segment(1004, 9008, 0x10, b""), 6);
            if !goodbye.is_empty() {
                give(Direction::ToServer, segment(1004, 9008, 0x18, goodbye), 7);
            }
            give(Direction::ToClient, segment(9008, 0, 0x04, b""), 8);
            flow.provoked_reset_unseen(Direction::ToServer)
        };
        for fin in [true, false] {
            assert!(unseen(fin, b"") && !unseen(fin, b"bye"), "{fin}");
        }
    }

    #[test]
    fn a_side_of_which_only_acknowledgements_are_left_lacks_the_bytes_between_them() {
        let lacks = |second: u32| {
            let mut flow = Flow::new(end(1, 50_000), end(2, 443), at(1), ());
            flow.observe(Direction::ToServer, &segment(1000, 0, 2, b""), at(1));
            for (seq, second) in [(9001, 2), (second, 3)] {
                flow.observe(Direction::ToClient, &segment(seq, 1001, 0x10, b""), at(second));
            }
            flow.half(Direction::ToClient).incomplete_at_end()
        };
        assert!(lacks(9501));
        // One number is that of a FIN.
        assert!(!lacks(9001) && !lacks(9002));
    }

    #[test]
    fn a_fin_tells_by_what_it_acknowledges_whether_the_other_side_was_done() {
        let mut flow = open();
        flow.observe(Direction::ToServer, &segment(1001, 9001, 0x11, b"bye"), at(3));
        flow.observe(Direction::ToClient, &segment(9001, 1004, 0x11, b""), at(4));
        assert_eq!(flow.fin_covers(Direction::ToServer), FinCovers::Data);
        assert_eq!(flow.fin_covers(Direction::ToClient), FinCovers::Data);
        let mut flow = open();
        flow.observe(Direction::ToServer, &segment(1001, 9001, 0x11, b"bye"), at(4));
        flow.observe(Direction::ToClient, &segment(9001, 1005, 0x11, b""), at(3));
        assert_eq!(flow.fin_covers(Direction::ToClient), FinCovers::End);
        let mut flow = open();
        flow.observe(Direction::ToServer, &segment(1001, 9001, 0x11, b""), at(3));
        flow.observe(Direction::ToClient, &segment(9001, 1001, 0x11, b"late"), at(4));
        assert_eq!(flow.fin_covers(Direction::ToServer), FinCovers::Part);
    }
}
