//! One direction of a TCP connection put in order: reordering, retransmission, overlap, wrap-around, gaps.
//!
//! Data in order passes through without being copied. What comes early waits, bounded in number and bytes. A gap is
//! given up once the receiver has acknowledged data behind it and the segments that may still be out of order in the
//! file have gone by, or when a limit is hit, or at the end. Where segments overlap the first one wins.

use std::borrow::Cow;
use std::num::NonZeroU64;

use crate::net::{At, FrameRef, SeqNumber};

/// Segments held back at most in one direction.
const MAX_PIECES: usize = 512;
/// Bytes held back at most in one direction.
const MAX_BYTES: u32 = 512 * 1024;
/// Segments of the connection that pass after a gap is acknowledged before it is given up. Capture files hold packets
/// a few places out of order; a receiver that acknowledges data the capture lacks has it from elsewhere.
const PATIENCE: u8 = 40;
/// As long as little waits, which is all that a handshake has, so many: some files are in no order at all.
const LONG_PATIENCE: u8 = u8::MAX;
const LITTLE: u32 = 32 * 1024;
/// Stream offsets start here, so that data before the first segment seen still has a positive offset.
const ORIGIN: u64 = 1 << 32;

/// Further than this ahead of all that a receiver acknowledged nothing is in its window: that of the usual size, scaled, with room
/// to spare.
const REACH: u64 = 1 << 24;

/// The anchor moves on once the stream is this far from it: half the number space would be too far.
const MOVE_ANCHOR: u64 = 1 << 29;

/// Why bytes are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapCause {
    /// Their segments are not in the capture.
    Loss,
    /// The snap length cut them off.
    Snaplen,
    /// More was held back than is buffered.
    Limit,
}

/// The next part of the stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Bytes, and the packet that brought them.
    Data(Cow<'a, [u8]>, At),
    /// This many bytes will never come; the place is that of the segment after them.
    Gap(u64, GapCause, At),
}

#[derive(Debug, Clone)]
struct HeldSegment {
    offset: u64,
    bytes: Box<[u8]>,
    cut: u32,
    at: At,
}

impl HeldSegment {
    fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64 + u64::from(self.cut)
    }

    /// What ends in it is whole with the packet that brought the last of the bytes before it, as Wireshark numbers it.
    fn ends_no_earlier_than(&mut self, frame: FrameRef) {
        if frame.capture() == self.at.frame.capture() {
            self.at.frame = self.at.frame.max(frame);
        }
    }

    /// Bytes held: no segment is longer than an IP packet.
    fn length(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }
}

/// Puts one direction in order. Segments go in by [`Assembler::push`]; [`Assembler::pop`] yields what they released.
#[derive(Debug, Clone, Default)]
pub struct Assembler {
    /// Sequence number at `anchor_offset`; `None` until a segment was seen.
    anchor: Option<SeqNumber>,
    anchor_offset: u64,
    /// Whether the first byte of the stream is known, by SYN or by having waited long enough.
    started: bool,
    /// Offset of the next byte to deliver.
    next: u64,
    /// Offset up to which the receiver has acknowledged.
    acknowledged: u64,
    /// Offset of FIN.
    end: Option<NonZeroU64>,
    /// Sorted by offset, not overlapping.
    waiting: Vec<HeldSegment>,
    waiting_bytes: u32,
    patience: u8,
    /// Bytes after the last delivered ones that the snap length cut, and in which packet.
    cut: u32,
    cut_at: Option<At>,
    conflicts: u32,
    limited: bool,
    flushing: bool,
}

impl Assembler {
    /// SYN was seen: the first byte of the stream has sequence number `first`.
    pub fn start(&mut self, first: SeqNumber) {
        if self.started {
            return;
        }
        let offset = self.offset(first);
        self.started = true;
        self.next = offset;
        // Data before the first byte belongs to no stream.
        self.waiting.retain(|piece| piece.offset >= offset);
        self.waiting_bytes = self.waiting.iter().map(HeldSegment::length).sum();
    }

    /// The stream begins at `first` if nothing of it was seen before that, the segment that comes now included.
    pub fn start_before(&mut self, first: Option<SeqNumber>, comes: Option<SeqNumber>) {
        let Some(first) = first.filter(|_| !self.started && self.anchor.or(comes).is_some()) else {
            return;
        };
        let [begin, comes] = [Some(first), comes].map(|seq| seq.map(|seq| self.offset(seq)));
        let held = self.waiting.first().map(|piece| piece.offset);
        if [held, comes].into_iter().flatten().all(|offset| Some(offset) >= begin) {
            self.start(first);
        }
    }

    /// Takes a segment's payload; `cut` bytes after it were not captured. Data in order comes straight back.
    pub fn push<'a>(&mut self, seq: SeqNumber, payload: &'a [u8], cut: u32, at: At) -> Option<Piece<'a>> {
        if payload.is_empty() && cut == 0 {
            return None;
        }
        if cut == 0 && self.next_in_order() == Some(seq) {
            self.next += payload.len() as u64;
            return Some(Piece::Data(Cow::Borrowed(payload), at));
        }
        let offset = self.offset(seq);
        if self.started && self.waiting.is_empty() && self.cut_at.is_none() {
            let end = offset + payload.len() as u64 + u64::from(cut);
            if end <= self.next {
                return None;
            }
            if offset <= self.next {
                return Some(self.deliver(offset, payload, cut, at));
            }
        }
        self.hold(offset, payload, cut, at);
        None
    }

    /// So many bytes came at [`Assembler::next_in_order`].
    #[inline]
    pub(super) const fn pass(&mut self, bytes: usize) {
        self.next += bytes as u64;
    }

    /// The other side acknowledged everything before `ack`.
    pub fn acknowledge(&mut self, ack: SeqNumber) {
        if self.anchor.is_some() {
            let offset = self.offset(ack);
            // An acknowledgement far ahead of anything is not believed: it would discard the real stream.
            if offset > self.acknowledged && offset < self.next + (1 << 30) {
                self.acknowledged = offset;
            }
        }
        // Before the receiver has it, what is missing may still be on its way.
        if self
            .waiting
            .first()
            .is_some_and(|first| self.acknowledged > first.offset)
        {
            self.patience = self.patience.saturating_add(1);
        }
    }

    /// Whether so much has gone by since bytes were missing that they will not come.
    #[must_use]
    pub const fn is_out_of_patience(&self) -> bool {
        self.patience
            >= if self.waiting_bytes > LITTLE {
                PATIENCE
            } else {
                LONG_PATIENCE
            }
    }

    /// FIN stands after the byte before `seq`.
    pub fn finish(&mut self, seq: SeqNumber) {
        let offset = self.offset(seq);
        self.end = self.end.or(NonZeroU64::new(offset));
    }

    /// No more segments will come: gaps are given up, and what is missing before FIN is a gap too.
    pub fn flush(&mut self) {
        self.flushing = true;
    }

    /// What the last call released.
    #[inline]
    pub fn pop(&mut self) -> Option<Piece<'static>> {
        if self.is_waiting() { self.pop_waiting() } else { None }
    }

    /// Whether there is anything that may be released. Nearly always nothing waits.
    #[inline]
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        self.cut_at.is_some() || !self.waiting.is_empty()
    }

    fn pop_waiting(&mut self) -> Option<Piece<'static>> {
        if let Some(at) = self.cut_at.take() {
            return Some(Piece::Gap(u64::from(self.cut), GapCause::Snaplen, at));
        }
        let (first_offset, first_at) = self.waiting.first().map(|piece| (piece.offset, piece.at))?;
        if !self.started {
            // Even what the receiver has acknowledged may have earlier bytes, and SYN, further on in the file.
            if !self.flushing && !self.is_out_of_patience() && !self.over_limit() {
                return None;
            }
            self.started = true;
            self.next = first_offset;
            if self.drop_keep_alive() {
                return self.pop_waiting();
            }
        }
        if self.flushing && self.is_out_of_reach(first_offset) {
            // What is left stands further ahead still. The stream stands where it stood, and whether it went on is not known.
            self.waiting = Vec::new();
            self.waiting_bytes = 0;
            return Some(Piece::Gap(first_offset - self.next, GapCause::Loss, first_at));
        }
        if first_offset > self.next {
            let cause = self.give_up(first_offset)?;
            let gap = Piece::Gap(first_offset - self.next, cause, first_at);
            self.next = first_offset;
            return Some(gap);
        }
        let piece = self.waiting.remove(0);
        self.waiting_bytes -= piece.length();
        if let Some(next) = self.waiting.first_mut().filter(|next| next.offset == piece.end()) {
            next.ends_no_earlier_than(piece.at.frame);
        }
        self.next = piece.end();
        self.patience = 0;
        if piece.cut > 0 {
            (self.cut, self.cut_at) = (piece.cut, Some(piece.at));
        }
        if self.waiting.is_empty() {
            // An idle connection keeps no buffer.
            self.waiting = Vec::new();
        }
        Some(Piece::Data(Cow::Owned(piece.bytes.into_vec()), piece.at))
    }

    /// A keep-alive may bear one byte of garbage, with the number of the byte before the next (RFC 9293 §3.8.4). The first that
    /// was seen of a side is nothing of its stream: a client that connects early keeps the connection open until it says hello.
    fn drop_keep_alive(&mut self) -> bool {
        let garbage = self
            .waiting
            .first()
            .filter(|piece| piece.cut == 0 && *piece.bytes == [0]);
        let Some(end) = garbage.map(HeldSegment::end) else {
            return false;
        };
        self.waiting.remove(0);
        self.waiting_bytes -= 1;
        self.next = end;
        true
    }

    /// Sequence number of the next byte to deliver.
    #[must_use]
    pub fn expected(&self) -> Option<SeqNumber> {
        let anchor = self.anchor.filter(|_| self.started)?;
        #[allow(clippy::cast_possible_truncation)] // sequence numbers are offsets modulo 2^32
        Some(SeqNumber(
            anchor.0.wrapping_add(self.next.wrapping_sub(self.anchor_offset) as u32),
        ))
    }

    /// The sequence number that goes on where the stream stands, with nothing else to be thought of.
    #[inline]
    #[must_use]
    pub fn next_in_order(&self) -> Option<SeqNumber> {
        let near = self.next <= self.anchor_offset + MOVE_ANCHOR;
        self.expected().filter(|_| near && !self.is_waiting())
    }

    /// Whether bytes are missing at the end of what was seen: before FIN, or acknowledged by the receiver.
    #[must_use]
    pub fn incomplete_at_end(&self) -> bool {
        // FIN and SYN count one each in acknowledgements.
        self.end.is_some_and(|end| end.get() > self.next) || self.acknowledged > self.next + 1
    }

    /// Bytes held back now.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.waiting_bytes as usize
    }

    /// Memory that holding back takes now, in bytes.
    #[must_use]
    pub const fn memory(&self) -> usize {
        self.waiting_bytes as usize + self.waiting.capacity() * size_of::<HeldSegment>()
    }

    /// Retransmissions that carried other bytes than what was held back first.
    #[must_use]
    pub const fn conflicts(&self) -> u32 {
        self.conflicts
    }

    /// Whether a gap was given up for want of buffer.
    #[must_use]
    pub const fn limited(&self) -> bool {
        self.limited
    }

    fn offset(&mut self, seq: SeqNumber) -> u64 {
        let Some(anchor) = self.anchor else {
            self.anchor = Some(seq);
            self.anchor_offset = ORIGIN;
            self.next = ORIGIN;
            return ORIGIN;
        };
        let offset = self
            .anchor_offset
            .saturating_add_signed(i64::from(seq.distance(anchor)));
        if offset > self.anchor_offset + MOVE_ANCHOR && self.next > self.anchor_offset + (1 << 28) {
            // Keep the anchor within half the number space of the stream as it advances.
            if let Some(expected) = self.expected() {
                self.anchor = Some(expected);
                self.anchor_offset = self.next;
            }
        }
        offset
    }

    fn deliver<'a>(&mut self, offset: u64, payload: &'a [u8], cut: u32, at: At) -> Piece<'a> {
        let known = usize::try_from(self.next - offset).unwrap_or(usize::MAX);
        let end = offset + payload.len() as u64 + u64::from(cut);
        let fresh = payload.get(known..).unwrap_or_default();
        if fresh.is_empty() {
            let missing = end - self.next;
            self.next = end;
            return Piece::Gap(missing, GapCause::Snaplen, at);
        }
        self.next = end;
        if cut > 0 {
            (self.cut, self.cut_at) = (cut, Some(at));
        }
        Piece::Data(Cow::Borrowed(fresh), at)
    }

    /// Holds back the parts of a segment that nothing covers yet.
    fn hold(&mut self, mut offset: u64, mut payload: &[u8], mut cut: u32, at: At) {
        if self.started && offset < self.next {
            let known = usize::try_from(self.next - offset).unwrap_or(usize::MAX);
            let Some(fresh) = payload.get(known..) else { return };
            (offset, payload) = (self.next, fresh);
        }
        let mut index = self.waiting.partition_point(|piece| piece.end() <= offset);
        loop {
            let (covered_from, covered_to) = match self.waiting.get(index) {
                Some(piece) if piece.offset < offset + payload.len() as u64 => (piece.offset, piece.end()),
                _ => break,
            };
            let before = usize::try_from(covered_from.saturating_sub(offset))
                .unwrap_or(0)
                .min(payload.len());
            let (fresh, rest) = payload.split_at(before);
            if !fresh.is_empty() {
                self.insert(
                    index,
                    HeldSegment {
                        offset,
                        bytes: fresh.into(),
                        cut: 0,
                        at,
                    },
                );
                index += 1;
            }
            self.note_conflict(index, offset + before as u64, rest);
            let covered = usize::try_from(covered_to - (offset + before as u64))
                .unwrap_or(usize::MAX)
                .min(rest.len());
            offset += (before + covered) as u64;
            payload = rest.get(covered..).unwrap_or_default();
            index += 1;
        }
        // What is held back may reach further than this copy of it did before it was cut.
        let covered_to = index
            .checked_sub(1)
            .and_then(|before| self.waiting.get(before))
            .map_or(offset, HeldSegment::end);
        if payload.is_empty() && covered_to > offset {
            cut = cut.saturating_sub(u32::try_from(covered_to - offset).unwrap_or(u32::MAX));
            offset = covered_to;
        }
        let overlaps_next = self
            .waiting
            .get(index)
            .is_some_and(|piece| piece.offset < offset + payload.len() as u64 + u64::from(cut));
        let cut = if overlaps_next { 0 } else { cut };
        if !payload.is_empty() || cut > 0 {
            self.insert(
                index,
                HeldSegment {
                    offset,
                    bytes: payload.into(),
                    cut,
                    at,
                },
            );
        }
    }

    fn insert(&mut self, index: usize, piece: HeldSegment) {
        self.waiting_bytes += piece.length();
        self.waiting.insert(index, piece);
    }

    fn note_conflict(&mut self, index: usize, offset: u64, bytes: &[u8]) {
        let Some(piece) = self.waiting.get(index) else { return };
        let skip = usize::try_from(offset.saturating_sub(piece.offset)).unwrap_or(usize::MAX);
        let held = piece.bytes.get(skip..).unwrap_or_default();
        if held.iter().zip(bytes).any(|(first, second)| first != second) {
            self.conflicts = self.conflicts.saturating_add(1);
        }
    }

    fn over_limit(&self) -> bool {
        self.waiting.len() > MAX_PIECES || self.waiting_bytes > MAX_BYTES
    }

    /// Whether the receiver, of which acknowledgements were seen, cannot have accepted what stands at this offset: somebody else
    /// sent it, and made the number up.
    fn is_out_of_reach(&self, offset: u64) -> bool {
        self.acknowledged > 0 && offset > self.next.max(self.acknowledged) + REACH
    }

    /// Whether the same is true of FIN.
    #[must_use]
    pub(super) fn is_end_out_of_reach(&self) -> bool {
        self.started && self.end.is_some_and(|end| self.is_out_of_reach(end.get()))
    }

    /// Whether the gap before `first` is given up, and why.
    fn give_up(&mut self, first: u64) -> Option<GapCause> {
        if self.flushing || (self.acknowledged > first && self.is_out_of_patience()) {
            return Some(GapCause::Loss);
        }
        self.over_limit().then(|| {
            self.limited = true;
            GapCause::Limit
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Timestamp;
    use proptest::prelude::*;

    fn at(frame: u64) -> At {
        At {
            frame: FrameRef::new(0, frame),
            time: Timestamp::from_nanos(0),
        }
    }

    #[test]
    fn what_no_receiver_can_have_accepted_is_not_of_the_stream() {
        let told = |acknowledged: Option<u32>, ahead: u32| {
            let mut assembler = Assembler::default();
            assembler.start(SeqNumber(100));
            assembler.push(SeqNumber(100), b"hello", 0, at(1));
            let seq = SeqNumber(105).plus(ahead);
            assembler.push(seq, b"alert", 0, at(2));
            assembler.finish(seq.plus(5));
            if let Some(acknowledged) = acknowledged {
                assembler.acknowledge(SeqNumber(acknowledged));
            }
            let fin = !assembler.is_end_out_of_reach();
            assembler.flush();
            let pieces: Vec<Piece<'_>> = std::iter::from_fn(|| assembler.pop()).collect();
            assert!(
                matches!(pieces.first(), Some(Piece::Gap(..))),
                "what it was is not known"
            );
            let data = pieces.iter().any(|piece| matches!(piece, Piece::Data(..)));
            assert!(data || assembler.incomplete_at_end(), "nor whether more was to come");
            (data, fin)
        };
        assert_eq!(told(Some(105), 50_000_000), (false, false));
        assert_eq!(told(Some(105), 1_000_000), (true, true));
        // Bytes may be lost here that the receiver has, or nothing of the receiver was captured.
        assert_eq!(told(Some(50_000_000), 50_000_000), (true, true));
        assert_eq!(told(None, 50_000_000), (true, true));
    }

    /// Everything the assembler yields for the segments, gaps as `(n)`.
    fn run(start: Option<u32>, segments: &[(u32, &[u8], u32)]) -> String {
        let mut assembler = Assembler::default();
        if let Some(start) = start {
            assembler.start(SeqNumber(start));
        }
        let mut out = String::new();
        let mut note = |piece: Piece<'_>| match piece {
            Piece::Data(bytes, _) => out.push_str(&String::from_utf8_lossy(&bytes)),
            Piece::Gap(length, _, _) => out.extend([format!("({length})")]),
        };
        for (n, &(seq, bytes, cut)) in (1u64..).zip(segments) {
            assembler
                .push(SeqNumber(seq), bytes, cut, at(n))
                .into_iter()
                .for_each(&mut note);
            std::iter::from_fn(|| assembler.pop()).for_each(&mut note);
        }
        assembler.flush();
        std::iter::from_fn(|| assembler.pop()).for_each(&mut note);
        out
    }

    #[test]
    fn data_in_order_passes_through() {
        assert_eq!(run(Some(10), &[(10, b"ab", 0), (12, b"cd", 0)]), "abcd");
    }

    #[test]
    fn early_data_waits_for_the_missing_segment() {
        assert_eq!(
            run(Some(10), &[(12, b"cd", 0), (14, b"ef", 0), (10, b"ab", 0)]),
            "abcdef"
        );
    }

    #[test]
    fn what_waited_is_whole_with_the_packet_that_fills_the_hole() {
        let mut assembler = Assembler::default();
        assembler.start(SeqNumber(10));
        assembler.push(SeqNumber(12), b"cd", 0, at(1));
        assembler.push(SeqNumber(14), b"ef", 0, at(3));
        assembler.push(SeqNumber(10), b"ab", 0, at(2));
        let frames: Vec<FrameRef> = std::iter::from_fn(|| assembler.pop())
            .filter_map(|piece| match piece {
                Piece::Data(_, at) => Some(at.frame),
                Piece::Gap(..) => None,
            })
            .collect();
        assert_eq!(frames, [2, 2, 3].map(|frame| FrameRef::new(0, frame)));
    }

    #[test]
    fn data_before_the_beginning_is_no_longer_held() {
        let mut assembler = Assembler::default();
        assembler.push(SeqNumber(4), b"ab", 0, at(1));
        assembler.push(SeqNumber(12), b"cd", 0, at(2));
        assembler.start(SeqNumber(10));
        assert_eq!(assembler.held(), 2);
    }

    #[test]
    fn a_side_begins_where_the_answer_to_its_syn_says_unless_something_stands_before() {
        for (first, comes, data) in [(10, 12, "(2)cd"), (12, 12, "cd"), (13, 12, "cd")] {
            let mut assembler = Assembler::default();
            assembler.start_before(Some(SeqNumber(first)), Some(SeqNumber(comes)));
            let mut out = String::new();
            let pushed = assembler.push(SeqNumber(comes), b"cd", 0, at(1));
            assembler.flush();
            for piece in pushed.into_iter().chain(std::iter::from_fn(|| assembler.pop())) {
                match piece {
                    Piece::Data(bytes, _) => out.push_str(&String::from_utf8_lossy(&bytes)),
                    Piece::Gap(length, ..) => out.extend([format!("({length})")]),
                }
            }
            assert_eq!(out, data, "{first}");
        }
    }

    #[test]
    fn sequence_numbers_wrap() {
        assert_eq!(run(Some(u32::MAX), &[(1, b"cd", 0), (u32::MAX, b"ab", 0)]), "abcd");
    }

    #[test]
    fn retransmissions_and_keepalives_change_nothing() {
        assert_eq!(
            run(
                Some(10),
                &[(10, b"ab", 0), (10, b"ab", 0), (11, b"x", 0), (11, b"bcd", 0)]
            ),
            "abcd"
        );
    }

    #[test]
    fn the_first_of_two_overlapping_segments_wins() {
        assert_eq!(
            run(
                Some(10),
                &[(12, b"CDE", 0), (11, b"bxxx", 0), (10, b"a", 0), (15, b"f", 0)]
            ),
            "abCDEf"
        );
        let mut assembler = Assembler::default();
        assembler.start(SeqNumber(10));
        assembler.push(SeqNumber(12), b"CDE", 0, at(1));
        assembler.push(SeqNumber(11), b"bxxx", 0, at(2));
        assert_eq!(assembler.conflicts(), 1);
    }

    #[test]
    fn what_never_comes_is_a_gap_at_the_end() {
        assert_eq!(run(Some(10), &[(10, b"ab", 0), (20, b"cd", 0)]), "ab(8)cd");
    }

    #[test]
    fn a_cut_segment_is_a_gap_and_not_data() {
        assert_eq!(run(Some(10), &[(10, b"ab", 3), (15, b"cd", 0)]), "ab(3)cd");
        assert_eq!(
            run(Some(10), &[(15, b"cd", 1), (10, b"ab", 3), (18, b"e", 0)]),
            "ab(3)cd(1)e"
        );
    }

    #[test]
    fn without_syn_the_lowest_sequence_number_starts_the_stream() {
        assert_eq!(run(None, &[(12, b"cd", 0), (10, b"ab", 0)]), "abcd");
    }

    #[test]
    fn the_byte_of_a_keep_alive_begins_no_stream() {
        let begins = |first: &'static [u8]| {
            let mut assembler = Assembler::default();
            assembler.push(SeqNumber(9), first, 0, at(1));
            assembler.push(SeqNumber(9), first, 0, at(2));
            assembler.push(SeqNumber(10), b"hello", 0, at(3));
            assembler.flush();
            std::iter::from_fn(|| assembler.pop()).collect::<Vec<_>>()
        };
        let hello = || Piece::Data(Cow::Owned(b"hello".to_vec()), at(3));
        assert_eq!(begins(&[0]), [hello()]);
        // One that may be the beginning of something.
        assert_eq!(begins(b"\x16").len(), 2);
        // Behind what was seen it is a byte like others.
        let mut assembler = Assembler::default();
        assembler.start(SeqNumber(9));
        assert!(assembler.push(SeqNumber(9), &[0], 0, at(1)).is_some());
    }

    #[test]
    fn a_gap_is_given_up_only_when_acknowledged_and_after_patience() {
        let mut assembler = Assembler::default();
        assembler.start(SeqNumber(10));
        assembler.push(SeqNumber(20), b"x", 0, at(1));
        for _ in 0..=LONG_PATIENCE {
            assembler.acknowledge(SeqNumber(10));
        }
        assert_eq!(assembler.pop(), None, "not acknowledged");
        for _ in 1..LONG_PATIENCE {
            assembler.acknowledge(SeqNumber(21));
            assert_eq!(assembler.pop(), None, "still on its way");
        }
        assembler.acknowledge(SeqNumber(21));
        assert!(matches!(assembler.pop(), Some(Piece::Gap(10, GapCause::Loss, _))));
    }

    #[test]
    fn the_buffer_is_bounded() {
        let mut assembler = Assembler::default();
        assembler.start(SeqNumber(0));
        for n in 1..10_000u32 {
            assembler.push(SeqNumber(n * 2_000), &[1; 1_000], 0, at(1));
            while assembler.pop().is_some() {}
            assert!(assembler.held() <= MAX_BYTES as usize + 1_000);
        }
        assert!(assembler.limited());
    }

    #[test]
    fn streams_longer_than_the_number_space_keep_their_order() {
        let mut assembler = Assembler::default();
        assembler.start(SeqNumber(5));
        let step = 1u32 << 26;
        let mut total = 0u64;
        for n in 0..200u32 {
            let piece = assembler.push(
                SeqNumber(5u32.wrapping_add(n.wrapping_mul(step))),
                b"x",
                step - 1,
                at(1),
            );
            assert!(matches!(piece, Some(Piece::Data(..))), "segment {n}");
            total += 1;
            while assembler.pop().is_some() {}
        }
        assert_eq!(total, 200);
    }

    proptest! {
        #[test]
        fn order_duplicates_and_splits_do_not_matter(
            bytes in prop::collection::vec(any::<u8>(), 1..400),
            cuts in prop::collection::vec(0usize..400, 0..20),
            order in prop::collection::vec(any::<u32>(), 60),
            isn in any::<u32>(),
        ) {
            let mut edges: Vec<usize> = cuts.into_iter().map(|cut| cut % bytes.len()).chain([0, bytes.len()]).collect();
            edges.sort_unstable();
            let mut segments: Vec<(usize, usize)> = edges.windows(2).map(|pair| (pair[0], pair[1])).collect();
            segments.extend(segments.clone());
            let mut keyed: Vec<_> = segments.into_iter().zip(order.iter().cycle()).collect();
            keyed.sort_by_key(|(_, key)| **key);
            let mut assembler = Assembler::default();
            assembler.start(SeqNumber(isn));
            let mut out = Vec::new();
            for ((from, to), _) in keyed {
                let seq = SeqNumber(isn.wrapping_add(u32::try_from(from).expect("short")));
                if let Some(Piece::Data(data, _)) = assembler.push(seq, &bytes[from..to], 0, at(1)) {
                    out.extend_from_slice(&data);
                }
                while let Some(piece) = assembler.pop() {
                    let Piece::Data(data, _) = piece else { panic!("nothing is missing") };
                    out.extend_from_slice(&data);
                }
            }
            prop_assert_eq!(out, bytes);
        }
    }
}
