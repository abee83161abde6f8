//! Handshake messages out of fragments (RFC 6347 §4.2.2 to §4.2.4): in any order, overlapping, and cut differently when
//! they are sent again, as OpenSSL does. Bounded: what a forger begins and never ends costs 64 KiB a side at most.

use crate::tls::Reader;
use crate::tls::names::HandshakeType;

/// Unfinished messages of one side. Beyond that the one begun first goes: what is never finished is forged or lost.
pub const MAX_PARTIAL: usize = 16;
/// Bytes of unfinished messages of one side.
pub const MAX_PARTIAL_BYTES: usize = 64 * 1024;
/// Pieces of one message with holes between them. A message of 64 KiB in datagrams of 576 bytes has 120; in order it is
/// one piece that grows.
pub const MAX_PIECES: usize = 64;
/// The longest message that is put together.
const MAX_MESSAGE: usize = 64 * 1024;
/// Messages of one side in clear are told apart up to this number; real handshakes have about a dozen.
const MAX_NUMBER: u16 = 64;

/// One fragment of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// Type of the message.
    pub kind: HandshakeType,
    /// Length of the whole message.
    pub length: u32,
    /// message_seq.
    pub number: u16,
    /// Where the bytes belong.
    pub offset: u32,
    /// The bytes, as far as they were captured.
    pub bytes: &'a [u8],
    /// How many there were.
    pub sent: u32,
}

impl<'a> Fragment<'a> {
    /// The fragments of a record in clear, of which `missing` bytes were not captured. Ends at the first that contradicts
    /// itself.
    pub fn all(body: &'a [u8], missing: usize) -> impl Iterator<Item = Self> {
        let mut rest = body;
        std::iter::from_fn(move || {
            let found = Self::read(rest, missing);
            rest = found.map_or(&[], |(_, after)| after);
            found.map(|(fragment, _)| fragment)
        })
    }

    fn read(body: &'a [u8], missing: usize) -> Option<(Self, &'a [u8])> {
        let mut reader = Reader::new(body);
        let (kind, length, number) = (HandshakeType(reader.u8()?), reader.u24()?, reader.u16()?);
        let (offset, sent) = (reader.u24()?, reader.u24()?);
        if offset.checked_add(sent)? > length {
            return None;
        }
        let rest = reader.rest();
        let (bytes, after) = match rest.split_at_checked(sent as usize) {
            Some(parts) => parts,
            None if rest.len() + missing >= sent as usize => (rest, &[][..]),
            None => return None,
        };
        let fragment = Self {
            kind,
            length,
            number,
            offset,
            bytes,
            sent,
        };
        Some((fragment, after))
    }

    /// Whether it is the whole message.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.offset == 0 && self.sent == self.length && self.bytes.len() == self.sent as usize
    }
}

/// What a fragment brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Its message is whole: see [`Messages::take_whole`].
    Whole,
    /// More of it must come.
    Partial,
    /// Every byte of it was there before: it was sent again.
    Again,
    /// It cannot be used.
    Unusable,
}

/// A message of which something is missing. It takes as much memory as came of it: a forger names any length.
#[derive(Debug, Clone)]
struct Partial {
    kind: HandshakeType,
    number: u16,
    length: u32,
    /// In order, with holes between them.
    pieces: Vec<FragmentPiece>,
}

#[derive(Debug, Clone)]
struct FragmentPiece {
    offset: usize,
    bytes: Vec<u8>,
}

impl FragmentPiece {
    const fn end(&self) -> usize {
        self.offset + self.bytes.len()
    }
}

/// The messages of one side in clear.
#[derive(Debug, Clone, Default)]
pub struct Messages {
    partial: Vec<Partial>,
    /// A bit for each message that was whole.
    done: u64,
    /// The whole message, as TLS frames it: type, three bytes of length, body.
    whole: Vec<u8>,
    /// A message was given up, or some that was begun never became whole.
    dropped: bool,
}

impl Messages {
    /// Takes a fragment.
    pub fn push(&mut self, fragment: &Fragment<'_>) -> Progress {
        if fragment.number >= MAX_NUMBER || fragment.length as usize > MAX_MESSAGE {
            self.dropped |= fragment.number < MAX_NUMBER;
            return Progress::Unusable;
        }
        if self.is_done(fragment.number) {
            return Progress::Again;
        }
        let known = self
            .partial
            .iter()
            .position(|partial| partial.number == fragment.number);
        if known.is_none() && fragment.is_whole() {
            self.finish(fragment.kind, fragment.number, fragment.bytes);
            return Progress::Whole;
        }
        if known.is_none() {
            self.partial.push(Partial::of(fragment));
        }
        self.make_room(fragment);
        let at = self
            .partial
            .iter()
            .position(|partial| partial.number == fragment.number);
        let Some((at, partial)) = at.and_then(|at| Some((at, self.partial.get_mut(at)?))) else {
            return Progress::Unusable;
        };
        let before = partial.held();
        if !partial.add(fragment) {
            return Progress::Unusable;
        }
        let again = partial.held() == before;
        if partial.is_whole() {
            let Partial {
                kind, number, pieces, ..
            } = self.partial.remove(at);
            self.finish(kind, number, pieces.first().map_or(&[], |piece| piece.bytes.as_slice()));
            return Progress::Whole;
        }
        if again { Progress::Again } else { Progress::Partial }
    }

    /// The message that became whole last, as TLS frames it. Its memory is used again by [`Messages::give_back`].
    #[must_use]
    pub fn take_whole(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.whole)
    }

    /// Gives back what [`Messages::take_whole`] gave.
    pub fn give_back(&mut self, whole: Vec<u8>) {
        self.whole = whole;
    }

    /// Whether a message was whole once.
    #[must_use]
    pub const fn is_done(&self, number: u16) -> bool {
        number < MAX_NUMBER && self.done & (1 << number) != 0
    }

    /// Messages that were begun and are not whole, or were given up.
    #[must_use]
    pub const fn are_incomplete(&self) -> bool {
        self.dropped || !self.partial.is_empty()
    }

    /// Whether messages in front of others are missing: their numbers begin at zero and leave out none (RFC 6347 §4.2.2).
    #[must_use]
    pub const fn leave_out_some(&self) -> bool {
        let first_missing = self.done.trailing_ones();
        first_missing < u64::BITS && self.done >> first_missing != 0
    }

    /// Bytes that wait for more.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.partial.iter().map(Partial::held).sum()
    }

    /// Gives up the messages begun first, but that of the fragment, until the fragment has room.
    fn make_room(&mut self, fragment: &Fragment<'_>) {
        while self.partial.len() > MAX_PARTIAL || self.buffered() + fragment.bytes.len() > MAX_PARTIAL_BYTES {
            let oldest = self
                .partial
                .iter()
                .position(|partial| partial.number != fragment.number);
            let Some(oldest) = oldest else { return };
            self.partial.remove(oldest);
            self.dropped = true;
        }
    }

    fn finish(&mut self, kind: HandshakeType, number: u16, body: &[u8]) {
        let [_, a, b, c] = u32::try_from(body.len()).unwrap_or(0).to_be_bytes();
        self.done |= 1 << number;
        self.whole.clear();
        self.whole.extend([kind.0, a, b, c]);
        self.whole.extend_from_slice(body);
    }
}

impl Partial {
    const fn of(fragment: &Fragment<'_>) -> Self {
        Self {
            kind: fragment.kind,
            number: fragment.number,
            length: fragment.length,
            pieces: Vec::new(),
        }
    }

    /// `false` for a fragment of another message of the same number, of which the first counts, and for one piece too many.
    fn add(&mut self, fragment: &Fragment<'_>) -> bool {
        if fragment.kind != self.kind || fragment.length != self.length {
            return false;
        }
        let (mut offset, mut bytes) = (fragment.offset as usize, fragment.bytes);
        loop {
            let next = self.pieces.partition_point(|piece| piece.offset <= offset);
            // Bytes that are there stay: a forger who comes later changes nothing.
            let known = next.checked_sub(1).and_then(|before| self.pieces.get(before));
            let known = known
                .map_or(0, |before| before.end().saturating_sub(offset))
                .min(bytes.len());
            (offset, bytes) = (offset + known, bytes.get(known..).unwrap_or_default());
            if bytes.is_empty() {
                return true;
            }
            let hole = self.pieces.get(next).map_or(bytes.len(), |after| after.offset - offset);
            let (now, later) = bytes.split_at(hole.min(bytes.len()));
            if !self.fill(next, offset, now) {
                return false;
            }
            (offset, bytes) = (offset + now.len(), later);
        }
    }

    /// Puts bytes into the hole in front of the piece `next`.
    fn fill(&mut self, next: usize, offset: usize, bytes: &[u8]) -> bool {
        let many = self.pieces.len() >= MAX_PIECES;
        let before = next.checked_sub(1).and_then(|before| self.pieces.get_mut(before));
        let at = match before.filter(|before| before.end() == offset) {
            Some(before) => {
                before.bytes.extend_from_slice(bytes);
                next - 1
            }
            None if many => return false,
            None => {
                let bytes = bytes.to_vec();
                self.pieces.insert(next, FragmentPiece { offset, bytes });
                next
            }
        };
        let joins = |at: usize| {
            let (this, after) = (self.pieces.get(at)?, self.pieces.get(at + 1)?);
            (this.end() == after.offset).then_some(())
        };
        if joins(at).is_some() {
            let after = self.pieces.remove(at + 1);
            if let Some(this) = self.pieces.get_mut(at) {
                this.bytes.extend_from_slice(&after.bytes);
            }
        }
        true
    }

    fn held(&self) -> usize {
        self.pieces.iter().map(|piece| piece.bytes.len()).sum()
    }

    fn is_whole(&self) -> bool {
        matches!(self.pieces.as_slice(), [piece] if piece.offset == 0 && piece.bytes.len() == self.length as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(number: u16, length: u32, offset: u32, bytes: &[u8]) -> Fragment<'_> {
        Fragment {
            kind: HandshakeType::CERTIFICATE,
            length,
            number,
            offset,
            bytes,
            sent: u32::try_from(bytes.len()).expect("short"),
        }
    }

    const BODY: [u8; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

    /// Pushes these ranges of a message of ten bytes, and says which of them made it whole.
    fn whole_by(ranges: &[(u32, usize)]) -> Option<usize> {
        let mut messages = Messages::default();
        let by = ranges.iter().position(|&(from, to)| {
            let bytes = &BODY[from as usize..to];
            messages.push(&fragment(2, 10, from, bytes)) == Progress::Whole
        });
        if by.is_some() {
            assert_eq!(messages.take_whole(), [&[11, 0, 0, 10][..], &BODY].concat());
            assert_eq!((messages.buffered(), messages.are_incomplete()), (0, false));
        }
        by
    }

    #[test]
    fn fragments_come_in_any_order_and_cut_in_any_way() {
        assert_eq!(whole_by(&[(0, 10)]), Some(0));
        assert_eq!(whole_by(&[(0, 4), (4, 10)]), Some(1));
        assert_eq!(whole_by(&[(7, 10), (0, 3), (3, 7)]), Some(2));
        // Sent again, and cut elsewhere.
        assert_eq!(whole_by(&[(0, 4), (8, 10), (0, 6), (5, 10)]), Some(3));
        assert_eq!(whole_by(&[(2, 4), (6, 8), (0, 10)]), Some(2));
        assert_eq!(whole_by(&[(4, 6), (3, 7), (2, 8), (0, 9), (8, 10)]), Some(4));
        assert_eq!(whole_by(&[(0, 4), (0, 4), (5, 10), (5, 9)]), None);
    }

    #[test]
    fn the_first_bytes_count_and_a_message_of_another_length_is_another() {
        let mut messages = Messages::default();
        messages.push(&fragment(0, 10, 0, &BODY[..4]));
        assert_eq!(messages.push(&fragment(0, 9, 4, &BODY[4..9])), Progress::Unusable);
        assert_eq!(messages.push(&fragment(0, 10, 2, &[77; 4])), Progress::Partial);
        assert_eq!(messages.push(&fragment(0, 10, 3, &[78; 2])), Progress::Again);
        assert_eq!(messages.push(&fragment(0, 10, 0, &BODY[..4])), Progress::Again);
        assert_eq!(messages.push(&fragment(0, 10, 6, &BODY[6..])), Progress::Whole);
        assert_eq!(messages.whole[4..], [0, 1, 2, 3, 77, 77, 6, 7, 8, 9]);
        assert_eq!(messages.push(&fragment(0, 10, 0, &BODY)), Progress::Again);
        assert_eq!(messages.push(&fragment(0, 10, 4, &BODY[4..])), Progress::Again);
    }

    #[test]
    fn what_is_begun_and_never_ended_is_bounded() {
        let mut messages = Messages::default();
        for number in 0..u16::MAX {
            messages.push(&fragment(number, 60_000, 100, &[1; 1000]));
        }
        assert!(messages.partial.len() <= MAX_PARTIAL && messages.buffered() <= MAX_PARTIAL_BYTES);
        assert!(messages.are_incomplete());
        let mut messages = Messages::default();
        for offset in (0..60_000).step_by(2) {
            messages.push(&fragment(1, 60_000, offset, &[1]));
        }
        assert_eq!(messages.buffered(), MAX_PIECES);
        // A length alone costs nothing.
        let mut messages = Messages::default();
        messages.push(&fragment(1, 60_000, 59_999, &[1]));
        assert_eq!(messages.buffered(), 1);
        assert_eq!(messages.push(&fragment(1, 1 << 20, 0, &[1])), Progress::Unusable);
    }

    #[test]
    fn numbers_show_that_messages_before_are_missing() {
        let leave_out_some = |numbers: &[u16]| {
            let mut messages = Messages::default();
            for number in numbers {
                messages.push(&fragment(*number, 4, 0, &[1; 4]));
            }
            messages.leave_out_some()
        };
        assert!(!leave_out_some(&[]) && !leave_out_some(&[0]) && !leave_out_some(&[2, 0, 1]));
        assert!(leave_out_some(&[1]) && leave_out_some(&[0, 2]) && leave_out_some(&[MAX_NUMBER - 1]));
        let all: Vec<u16> = (0..MAX_NUMBER).collect();
        assert!(!leave_out_some(&all));
    }

    #[test]
    fn a_record_holds_several_messages_and_none_that_contradicts_itself() {
        let header = |length: u8, offset: u8, sent: u8| [14, 0, 0, length, 0, 4, 0, 0, offset, 0, 0, sent];
        let two = [&header(2, 0, 2)[..], &[1, 2], &header(0, 0, 0)].concat();
        let lengths = |body: &[u8], missing| -> Vec<_> {
            let all = Fragment::all(body, missing);
            all.map(|fragment| fragment.bytes.len()).collect()
        };
        assert_eq!(lengths(&two, 0), [2, 0]);
        assert_eq!(lengths(&two[..two.len() - 1], 0), [2]);
        assert_eq!(lengths(&[&header(9, 3, 7)[..], &[0; 7]].concat(), 0), [0; 0]);
        let cut = [&header(9, 0, 9)[..], &[0; 5]].concat();
        assert_eq!(lengths(&cut, 0), [0; 0]);
        assert_eq!(lengths(&cut, 4), [5]);
        assert!(!Fragment::all(&cut, 4).all(|fragment| fragment.is_whole()));
    }

    #[test]
    fn a_fragment_may_miss_what_was_not_captured_and_no_more() {
        let mut body = vec![14, 0, 0, 10, 0, 4, 0, 0, 0, 0, 0, 10];
        body.extend([1; 4]);
        let found = |missing| {
            Fragment::all(&body, missing)
                .next()
                .map(|fragment| fragment.bytes.len())
        };
        assert_eq!([5, 6, 7].map(found), [None, Some(4), Some(4)]);
    }

    #[test]
    fn a_message_is_sent_again_whatever_its_number() {
        let mut messages = Messages::default();
        for number in [3, MAX_NUMBER - 1] {
            assert_eq!(messages.push(&fragment(number, 10, 0, &BODY)), Progress::Whole);
            assert_eq!(messages.push(&fragment(number, 10, 0, &BODY)), Progress::Again);
            assert!(messages.is_done(number) && !messages.is_done(number - 1));
        }
        assert!(!messages.is_done(MAX_NUMBER));
    }

    #[test]
    fn a_message_that_is_too_long_counts_as_given_up() {
        let longest = u32::try_from(MAX_MESSAGE).expect("short");
        let push = |number, length| {
            let mut messages = Messages::default();
            let progress = messages.push(&fragment(number, length, 0, &BODY));
            (progress, messages.are_incomplete(), messages.buffered())
        };
        assert_eq!(push(1, longest), (Progress::Partial, true, 10));
        assert_eq!(push(1, longest + 1), (Progress::Unusable, true, 0));
        // A number that no handshake reaches is forged.
        assert_eq!(push(MAX_NUMBER, 10), (Progress::Unusable, false, 0));
        assert_eq!(push(MAX_NUMBER + 1, longest + 1), (Progress::Unusable, false, 0));
    }

    #[test]
    fn the_message_begun_first_makes_room() {
        let mut messages = Messages::default();
        for number in 0..16 {
            assert_eq!(messages.push(&fragment(number, 10, 0, &BODY[..4])), Progress::Partial);
        }
        assert_eq!((messages.partial.len(), messages.dropped), (MAX_PARTIAL, false));
        assert_eq!(messages.push(&fragment(16, 10, 0, &BODY[..4])), Progress::Partial);
        assert_eq!((messages.partial.len(), messages.dropped), (MAX_PARTIAL, true));
        // All but the first are there still.
        assert_eq!(messages.push(&fragment(1, 10, 4, &BODY[4..])), Progress::Whole);
        assert_eq!(messages.push(&fragment(16, 10, 4, &BODY[4..])), Progress::Whole);
        assert_eq!(messages.push(&fragment(0, 10, 4, &BODY[4..])), Progress::Partial);

        let much = vec![1; MAX_PARTIAL_BYTES - 30_000];
        let mut messages = Messages::default();
        messages.push(&fragment(0, 60_000, 0, &much[..30_000]));
        assert_eq!(messages.push(&fragment(1, 60_000, 0, &much)), Progress::Partial);
        assert_eq!((messages.buffered(), messages.dropped), (MAX_PARTIAL_BYTES, false));
        assert_eq!(messages.push(&fragment(2, 60_000, 0, &[1])), Progress::Partial);
        assert_eq!((messages.buffered(), messages.dropped), (much.len() + 1, true));
    }
}
