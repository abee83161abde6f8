//! The records of one direction: of each its header stays, of those that stand in clear what [`messages`] leaves, and
//! nothing else.

use std::collections::{BTreeMap, VecDeque};

use super::Prf;
use super::messages;

const HEADER: usize = 5;
/// Content types (RFC 8446 §5.1).
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const TYPES: std::ops::RangeInclusive<u8> = CHANGE_CIPHER_SPEC..=24;
/// Content of a record at most: 2^14 bytes, and 2^11 of protection (RFC 5246 §6.2.3; versions from 1.3 on allow less).
const MAX_RECORD: usize = (1 << 14) + (1 << 11);
/// A handshake message at most.
const MAX_MESSAGE: usize = 1 << 17;
/// Messages that may stand in clear behind a change of cipher: those after a HelloRetryRequest (RFC 8446 §D.4).
const HELLOS: [u8; 2] = [1, 2];

/// What is read of one direction, and what may stand in its place.
#[derive(Debug, Default)]
pub(super) struct Records {
    state: State,
    /// A change of cipher came: what follows is protected.
    is_protected: bool,
    /// Handshake bytes that make no whole message yet.
    message: Vec<u8>,
    /// The records that they and what went before came in, as far as those are not whole.
    parts: VecDeque<Part>,
    /// Headers in their order, each with where it stands.
    headers: Vec<(u64, [u8; HEADER])>,
    /// What else stands where; between are zeros.
    left: BTreeMap<u64, Box<[u8]>>,
    /// Bytes that all of this takes.
    weight: usize,
}

/// The content of a record of handshake messages that stand in clear.
#[derive(Debug)]
struct Part {
    begin: u64,
    /// What may stand there.
    left: Vec<u8>,
    /// So much of it is known.
    known: usize,
}

#[derive(Debug)]
enum State {
    /// No record was found yet, or the place of the next one is not known: one may begin with a segment.
    Lost,
    /// In a header that began there.
    Header(u64, Vec<u8>),
    /// In the content of a record.
    Content(Content),
}

#[derive(Debug)]
struct Content {
    kind: u8,
    /// Where it begins.
    begin: u64,
    missing: usize,
    /// Its bytes, where they may be looked at.
    bytes: Option<Vec<u8>>,
}

impl Default for State {
    fn default() -> Self {
        Self::Lost
    }
}

impl Records {
    /// Takes the next bytes, which are the content of one segment or its end.
    pub(super) fn take(&mut self, mut offset: u64, mut bytes: &[u8], prf: &Prf) {
        if matches!(self.state, State::Lost) {
            let begins = bytes.split_first_chunk().is_some_and(|(header, _)| is_header(header));
            if !begins {
                return;
            }
            self.state = State::Header(offset, Vec::new());
        }
        while !bytes.is_empty() {
            let taken = match std::mem::take(&mut self.state) {
                State::Lost => return,
                State::Header(begin, header) => self.header(begin, header, bytes),
                State::Content(content) => self.content(content, bytes, prf),
            };
            let (_, rest) = bytes.split_at_checked(taken).unwrap_or((bytes, &[]));
            bytes = rest;
            offset += taken as u64;
            if let State::Header(begin, header) = &mut self.state
                && header.is_empty()
            {
                *begin = offset;
            }
        }
    }

    /// Bytes are missing.
    pub(super) fn lose(&mut self) {
        self.state = State::Lost;
        self.give_up();
    }

    /// No more bytes come.
    pub(super) fn finish(&mut self) {
        self.lose();
        self.message = Vec::new();
        self.parts = VecDeque::new();
    }

    /// Bytes that what is known takes.
    pub(super) const fn weight(&self) -> usize {
        self.weight
    }

    /// What is known of records of which not everything is stays.
    fn give_up(&mut self) {
        self.message.clear();
        while let Some(part) = self.parts.pop_front() {
            self.keep(part.begin, part.left);
        }
    }

    fn keep(&mut self, begin: u64, bytes: Vec<u8>) {
        /// Of an entry beside its bytes.
        const ENTRY: usize = 64;
        self.weight += ENTRY + bytes.len();
        self.left.insert(begin, bytes.into());
    }

    /// Puts what stands from `offset` on into zeros.
    pub(super) fn fill(&self, offset: u64, zeros: &mut [u8]) {
        let end = offset + zeros.len() as u64;
        for (begin, left) in self.left.range(..end).rev() {
            if begin + left.len() as u64 <= offset {
                break;
            }
            lay(offset, zeros, *begin, left);
        }
        let first = self
            .headers
            .partition_point(|(begin, _)| begin + HEADER as u64 <= offset);
        let headers = self.headers.get(first..).unwrap_or_default().iter();
        for (begin, header) in headers.take_while(|(begin, _)| *begin < end) {
            lay(offset, zeros, *begin, header);
        }
    }

    /// More of a header; says how many bytes were of it.
    fn header(&mut self, begin: u64, mut header: Vec<u8>, bytes: &[u8]) -> usize {
        let taken = (HEADER - header.len()).min(bytes.len());
        header.extend(bytes.iter().take(taken));
        let Some(whole) = header.first_chunk::<HEADER>().copied() else {
            self.state = State::Header(begin, header);
            return taken;
        };
        if !is_header(&whole) {
            self.lose();
            return bytes.len();
        }
        let [kind, .., high, low] = whole;
        let length = usize::from(u16::from_be_bytes([high, low]));
        self.headers.push((begin, whole));
        self.weight += size_of::<(u64, [u8; HEADER])>();
        let may_be_clear = matches!(kind, CHANGE_CIPHER_SPEC | HANDSHAKE) || kind == ALERT && !self.is_protected;
        let content = Content {
            kind,
            begin: begin + HEADER as u64,
            missing: length,
            bytes: may_be_clear.then(Vec::new),
        };
        self.state = if length == 0 {
            State::Header(0, Vec::new())
        } else {
            State::Content(content)
        };
        taken
    }

    /// More of a content; says how many bytes were of it.
    fn content(&mut self, mut content: Content, bytes: &[u8], prf: &Prf) -> usize {
        let taken = content.missing.min(bytes.len());
        content.missing -= taken;
        if let Some(known) = &mut content.bytes {
            known.extend(bytes.iter().take(taken));
        }
        if content.missing > 0 {
            self.state = State::Content(content);
            return taken;
        }
        self.state = State::Header(0, Vec::new());
        if let Some(bytes) = content.bytes {
            self.whole(content.kind, content.begin, bytes, prf);
        }
        taken
    }

    /// A whole record that may stand in clear.
    fn whole(&mut self, kind: u8, begin: u64, bytes: Vec<u8>, prf: &Prf) {
        match (kind, bytes.as_slice()) {
            (CHANGE_CIPHER_SPEC, [1]) => {
                self.keep(begin, bytes);
                self.is_protected = true;
            }
            // Level and description.
            (ALERT, [1 | 2, _]) => self.keep(begin, bytes),
            (HANDSHAKE, _) if !self.is_protected || is_one_hello(&bytes) => self.handshake(begin, &bytes, prf),
            _ => {}
        }
    }

    fn handshake(&mut self, begin: u64, bytes: &[u8], prf: &Prf) {
        self.parts.push_back(Part {
            begin,
            left: vec![0; bytes.len()],
            known: 0,
        });
        self.message.extend_from_slice(bytes);
        let mut done = 0;
        while let Some(length) = self.message.get(done..).and_then(messages::length) {
            if length > MAX_MESSAGE {
                self.lose();
                return;
            }
            let message = self.message.get(done..done + length);
            let Some(other) = message.map(|message| messages::other(message, prf)) else {
                break;
            };
            self.put(&other);
            done += length;
        }
        // Once for all messages of a record, and not at all where it ends none: either would cost the square of its length.
        if done > 0 {
            self.message.drain(..done);
        }
    }

    /// Puts a message where the first of the bytes stood that were gathered.
    fn put(&mut self, mut message: &[u8]) {
        while let Some(part) = self.parts.front_mut() {
            let room = part.left.get_mut(part.known..).unwrap_or_default();
            let taken = room.len().min(message.len());
            room.iter_mut().zip(message).for_each(|(to, from)| *to = *from);
            part.known += taken;
            message = message.get(taken..).unwrap_or_default();
            if part.known < part.left.len() {
                return;
            }
            if let Some(part) = self.parts.pop_front() {
                self.keep(part.begin, part.left);
            }
        }
    }
}

/// Lays what stands from `begin` on over zeros that stand from `offset` on.
fn lay(offset: u64, zeros: &mut [u8], begin: u64, bytes: &[u8]) {
    let skipped = usize::try_from(offset.saturating_sub(begin)).unwrap_or(usize::MAX);
    let at = usize::try_from(begin.saturating_sub(offset)).unwrap_or(usize::MAX);
    if let (Some(from), Some(to)) = (bytes.get(skipped..), zeros.get_mut(at..)) {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    }
}

/// Whether a record may begin so.
fn is_header(&[kind, major, minor, high, low]: &[u8; HEADER]) -> bool {
    let length = usize::from(u16::from_be_bytes([high, low]));
    TYPES.contains(&kind) && major == 3 && minor <= 4 && length <= MAX_RECORD
}

/// Whether a record is exactly one hello, as what is protected is not.
fn is_one_hello(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|kind| HELLOS.contains(kind)) && messages::length(bytes) == Some(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(pieces: &[&[u8]], length: usize) -> Vec<u8> {
        let mut records = Records::default();
        let mut offset = 0;
        for piece in pieces {
            records.take(offset, piece, &Prf::testing(1));
            offset += piece.len() as u64;
        }
        records.finish();
        let mut zeros = vec![0; length];
        records.fill(0, &mut zeros);
        zeros
    }

    #[test]
    fn headers_stay_and_what_is_protected_does_not_however_it_is_cut() {
        let stream = [
            &[20, 3, 3, 0, 1, 1][..],
            &[22, 3, 3, 0, 4, 9, 9, 9, 9],
            &[23, 3, 3, 0, 3, 7, 7, 7],
            &[21, 3, 3, 0, 2, 5, 5],
        ]
        .concat();
        let expected = [
            &[20, 3, 3, 0, 1, 1][..],
            &[22, 3, 3, 0, 4, 0, 0, 0, 0],
            &[23, 3, 3, 0, 3, 0, 0, 0],
            &[21, 3, 3, 0, 2, 0, 0],
        ]
        .concat();
        assert_eq!(filled(&[&stream], stream.len()), expected);
        for cut in 5..stream.len() {
            let (front, back) = stream.split_at(cut);
            assert_eq!(filled(&[front, back], stream.len()), expected, "{cut}");
        }
        let bytes: Vec<&[u8]> = std::iter::once(&stream[..5]).chain(stream[5..].chunks(1)).collect();
        assert_eq!(filled(&bytes, stream.len()), expected);
    }

    #[test]
    fn clear_text_is_zeros_and_an_alert_in_clear_stays() {
        assert_eq!(filled(&[b"EHLO mail.example\r\n"], 19), [0; 19]);
        assert_eq!(filled(&[&[21, 3, 1, 0, 2, 2, 40]], 7), [21, 3, 1, 0, 2, 2, 40]);
        // After a command of another protocol.
        let shown = filled(&[b"STARTTLS\r\n", &[21, 3, 1, 0, 2, 2, 40]], 17);
        assert_eq!(shown[..10], [0; 10]);
        assert_eq!(shown[10..], [21, 3, 1, 0, 2, 2, 40]);
    }

    #[test]
    fn what_comes_behind_a_gap_is_read_again_from_a_segment_that_begins_a_record() {
        let mut records = Records::default();
        records.take(0, &[22, 3, 3, 0, 9, 14, 0], &Prf::testing(1));
        records.lose();
        records.take(100, &[1, 2, 3], &Prf::testing(1));
        records.take(103, &[20, 3, 3, 0, 1, 1], &Prf::testing(1));
        let mut zeros = [0; 9];
        records.fill(100, &mut zeros);
        assert_eq!(zeros, [0, 0, 0, 20, 3, 3, 0, 1, 1]);
    }

    #[test]
    fn a_message_over_several_records_is_put_back_in_its_pieces() {
        let done = [14, 0, 0, 0];
        let mut stream = vec![22, 3, 3, 0, 1, done[0], 22, 3, 3, 0, 3];
        stream.extend(&done[1..]);
        assert_eq!(filled(&[&stream], stream.len()), stream);
    }

    #[test]
    fn many_messages_in_a_record_and_many_records_of_a_message_are_put_back() {
        let done = [14, 0, 0, 0].repeat(1000);
        let length = u16::try_from(done.len()).expect("short").to_be_bytes();
        let stream = [&[22, 3, 3, length[0], length[1]][..], &done].concat();
        assert_eq!(filled(&[&stream], stream.len()), stream);

        let mut message = vec![16, 0, 4, 0];
        message.resize(4 + 1024, 0xaa);
        let stream: Vec<u8> = message.iter().flat_map(|byte| [22, 3, 3, 0, 1, *byte]).collect();
        let expected: Vec<u8> = (0..message.len())
            .flat_map(|at| [22, 3, 3, 0, 1, if at < 4 { message[at] } else { 0 }])
            .collect();
        assert_eq!(filled(&[&stream], stream.len()), expected);
    }
}
