//! One side of a connection: what it sent, and what it acknowledged.

use crate::net::{At, MacAddress, Segment, SeqNumber};

use super::assembler::Assembler;
use super::dedup::Recent;
use super::reset::Reset;
use super::syn::SynOptions;

/// A number that stands so far back belongs to nothing that was sent.
const NOTHING: u32 = 1 << 30;

/// What one side sent.
#[derive(Debug, Clone, Default)]
pub struct Half {
    /// Its bytes.
    pub assembler: Assembler,
    /// First segment of this side.
    pub first: Option<At>,
    /// SYN or SYN-ACK.
    pub syn: Option<At>,
    /// Initial sequence number.
    pub isn: Option<SeqNumber>,
    /// That was a SYN-ACK.
    pub(super) answers: bool,
    /// Options of its SYN.
    pub syn_options: Option<SynOptions>,
    /// Source MAC address of its first segment, of that copy which was captured nearest to it.
    pub mac: Option<MacAddress>,
    /// TTL of the same.
    pub ttl: Option<u8>,
    /// First FIN.
    pub fin: Option<At>,
    /// What that FIN acknowledges, or a reset in place of one.
    pub(super) fin_acknowledges: Option<SeqNumber>,
    /// First reset that the other side accepts.
    pub reset: Option<Reset>,
    /// Its sequence number: all before it was sent.
    pub(super) reset_seq: Option<SeqNumber>,
    /// Highest sequence number seen, after the segment's data.
    pub(super) highest: Option<SeqNumber>,
    /// Lowest sequence number seen.
    pub(super) lowest: Option<SeqNumber>,
    /// Highest acknowledgement this side sent.
    pub(super) acknowledged: Option<SeqNumber>,
    /// Behind all that it sent with a lower one: what stands behind that was sent with that knowledge.
    pub(super) sent_before: SeqNumber,
    /// How many bytes in front of that it sent with an acknowledgement lower by one: where the highest is that of a FIN,
    /// they were sent with all data before it. Counted up to what its type holds.
    pub(super) sent_without_fin: u16,
    /// Lowest acknowledgement this side sent.
    pub(super) first_acknowledged: Option<SeqNumber>,
    /// Recent segments, to recognise a packet that was captured twice.
    recent: Recent,
}

impl Half {
    /// Whether a sequence number stands before the SYN of this side: it is of a connection that had the ports before. Of
    /// no use once so much was sent that the numbers may have come round.
    pub(super) fn precedes(&self, seq: SeqNumber) -> bool {
        let young = |isn: SeqNumber| {
            self.highest
                .is_none_or(|highest| (0..1 << 30).contains(&highest.distance(isn)))
        };
        self.isn.is_some_and(|isn| seq.distance(isn) < 0 && young(isn))
    }

    pub(super) fn is_news(&self, segment: &Segment<'_>) -> bool {
        !segment.payload.is_empty() && self.highest.is_some_and(|highest| segment.seq.distance(highest) >= 0)
    }

    /// Whether `segment` is a second copy of a packet that was captured a moment ago (mirror ports, "any", both
    /// sides of a router).
    pub(super) fn is_copy(&mut self, segment: &Segment<'_>, at: At) -> bool {
        let (digest, time) = (Recent::digest(segment), Recent::time(at));
        // What brings new data has not been seen before, and needs no comparison.
        if !self.is_news(segment) && self.recent.has(digest, time) {
            return true;
        }
        self.recent.note(digest, time);
        false
    }

    /// Keeps the marks of the segment that was captured nearest to its sender: on both sides of a router each is there twice, and
    /// of some only the farther one.
    #[inline]
    pub(super) fn note_marks(&mut self, segment: &Segment<'_>) {
        let path = &segment.path;
        if self.ttl.is_some_and(|known| path.is_nearer_than(known)) && !segment.flags.rst() {
            self.ttl = Some(path.ttl);
            self.mac = path.source_mac;
        }
    }

    /// The sequence numbers of its data and flags: the lowest, and the one behind the highest; `None` when it sent
    /// nothing but resets.
    #[must_use]
    pub fn numbers(&self) -> Option<(SeqNumber, SeqNumber)> {
        self.lowest.zip(self.highest)
    }

    /// Highest sequence number seen, after the segment's data.
    pub(super) const fn highest(&self) -> Option<SeqNumber> {
        self.highest
    }

    /// Whether bytes are missing at the end of what this side sent: FIN, a reset or the other side's acknowledgement
    /// stands beyond them.
    #[must_use]
    pub fn incomplete_at_end(&self) -> bool {
        // Where neither SYN nor bytes came, its own segments without data show from where on it stood.
        let expected = self.assembler.expected().or_else(|| Some(self.numbers()?.0));
        let stands = self.stands().zip(expected);
        // One number more is that of a FIN: see `fin_is_lost`.
        let before = stands.is_some_and(|(stands, expected)| stands.distance(expected) > 1);
        before || self.assembler.incomplete_at_end()
    }

    /// Behind all that it sent, as its own segments say, those without data and its reset too.
    pub(super) fn stands(&self) -> Option<SeqNumber> {
        let reset = self.reset.and(self.reset_seq);
        match (self.highest, reset) {
            (Some(highest), Some(reset)) if reset.distance(highest) > 0 => Some(reset),
            (None, reset) => reset,
            (highest, _) => highest,
        }
    }

    /// Takes an acknowledgement of this side, in a segment from here to there, before that counts as sent.
    #[inline]
    pub(super) fn note_acknowledgement(&mut self, ack: SeqNumber, (from, to): (SeqNumber, SeqNumber)) {
        match self.acknowledged.map(|known| ack.distance(known)) {
            Some(0) => {}
            // Packets out of order.
            Some(distance @ ..0) => {
                let without_fin = self.sent_before.minus(self.sent_without_fin.into());
                let more = to.distance(self.sent_before).max(0);
                self.sent_before = self.sent_before.plus(more.unsigned_abs());
                // What was sent with an acknowledgement lower still is not of those bytes.
                let lower = if distance < -1 {
                    to.distance(without_fin).max(0)
                } else {
                    0
                };
                let all = self.sent_before.distance(without_fin);
                self.sent_without_fin = counted(all.saturating_sub(lower));
            }
            known @ (None | Some(1..)) => {
                let sent = self.highest.unwrap_or(from.minus(NOTHING));
                let with_one_less = sent.distance(self.sent_before);
                self.sent_without_fin = if known == Some(1) { counted(with_one_less) } else { 0 };
                self.sent_before = sent;
                self.acknowledged = Some(ack);
            }
        }
        if self.first_acknowledged.is_none_or(|first| ack.distance(first) < 0) {
            self.first_acknowledged = Some(ack);
        }
    }

    pub(super) fn observe_syn(&mut self, segment: &Segment<'_>, at: At) {
        if self.syn.is_some() {
            return;
        }
        self.syn = Some(at);
        self.answers = segment.flags.ack();
        self.isn = Some(segment.seq);
        self.syn_options = Some(SynOptions::of(segment));
        self.ttl = Some(segment.path.ttl);
        self.assembler.start(segment.seq.plus(1));
    }
}

fn counted(bytes: i32) -> u16 {
    u16::try_from(bytes.max(0)).unwrap_or(u16::MAX)
}
