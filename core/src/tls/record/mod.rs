//! Record framing and handshake defragmentation of one direction (RFC 8446 §5.1, RFC 5246 §6.2.1).
//!
//! Bodies of protected records are stepped over without being copied or looked at: that is where the speed comes
//! from. Plaintext handshake messages are put together over any number of records. After a gap the decoder goes on
//! where the record lengths allow it, searches for the next chain of records where they do not, and says which.

mod chain;
mod event;

use super::handshake::Message;
use super::hello::ClientHello;
use super::names::{AlertDescription, ContentType, HandshakeType, ProtocolVersion};
pub use chain::plausible;
use chain::{Chain, chain};

pub use event::{Content, Keep, Loss, RecordEvent, Sealed, Start};

/// Largest record body that is taken for one: 2^14 bytes, 2048 bytes of expansion (RFC 5246 §6.2.3) and some grace
/// for old stacks.
const MAX_RECORD: u16 = 16_384 + 2_048 + 256;

/// Handshake messages above this are stepped over: certificate chains stay far below.
const MAX_MESSAGE: usize = 128 * 1024;

/// An alert takes less than this under every suite, with the padding that stacks give to all they send.
const LONGEST_ALERT: u16 = 128;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RecordProtection {
    Off,
    On,
    /// ChangeCipherSpec may have been in a gap.
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    /// Plaintext handshake messages.
    Handshake,
    /// Plaintext alert or ChangeCipherSpec: at most two bytes are kept.
    Small,
    /// Stepped over, then reported.
    Protected,
    /// Kept from this offset on, then reported.
    Held(u16),
    /// Stepped over in silence: part of it is lost, or its header is not confirmed.
    Ignored,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    content_type: ContentType,
    version: ProtocolVersion,
    length: u16,
    left: u16,
    body: Body,
}

impl Record {
    const fn sealed<'a>(&self, body: &'a [u8]) -> Sealed<'a> {
        Sealed {
            content_type: self.content_type,
            version: self.version,
            length: self.length,
            body,
        }
    }
}

#[derive(Debug, Clone)]
enum DecoderState {
    /// Collecting a header; nine bytes are needed where the start of the body decides (see [`RecordDecoder::header_needed`]).
    Header,
    Body(Record),
    /// Collecting an SSLv2-format hello of this total length.
    V2(usize),
    Lost,
}

/// What a step found; borrows only the input, so that the loop can go on.
enum Step<'i> {
    NeedMore,
    Again,
    MessageInInput(&'i [u8]),
    MessageInBuffer,
    SealedInInput(Record, &'i [u8]),
    SealedInBuffer(Record),
    V2InBuffer,
    Oversized(HandshakeType),
    Plain(RecordEvent<'static>),
}

/// Decodes one direction. Bytes go in by [`RecordDecoder::next`], lost bytes by [`RecordDecoder::gap`].
#[derive(Debug, Clone)]
pub struct RecordDecoder {
    state: DecoderState,
    protection: RecordProtection,
    header: [u8; 9],
    header_have: u8,
    small: [u8; 2],
    /// One unfinished handshake message, or a finished one that has just been emitted.
    message: Vec<u8>,
    message_emitted: bool,
    /// Bytes of an oversized message still to be stepped over.
    oversized_left: u32,
    keep: Keep,
    /// What is kept of the body of the current protected record.
    held: Vec<u8>,
    /// Part of a handshake message was lost; the next one must begin with a record.
    handshake_lost: bool,
    /// The header was found by searching and the one after it has not been seen.
    unconfirmed: bool,
    /// A protected record that ended inside a gap and has not been reported.
    ended_in_gap: Option<Record>,
    resynchronised: bool,
    /// Where a header was due there stands text: this side has left TLS.
    left: bool,
}

impl RecordDecoder {
    /// A decoder for a stream that begins as `start` says.
    #[must_use]
    pub fn new(start: Start) -> Self {
        Self {
            state: match start {
                Start::Record => DecoderState::Header,
                Start::V2Hello => DecoderState::V2(0),
                Start::Middle => DecoderState::Lost,
            },
            protection: if start == Start::Middle {
                RecordProtection::Unknown
            } else {
                RecordProtection::Off
            },
            header: [0; 9],
            header_have: 0,
            small: [0; 2],
            message: Vec::new(),
            message_emitted: false,
            oversized_left: 0,
            keep: Keep::Nothing,
            held: Vec::new(),
            handshake_lost: false,
            unconfirmed: false,
            ended_in_gap: None,
            resynchronised: false,
            left: false,
        }
    }

    /// The next event in `input`, which is shortened by what was read; `None` once it is used up.
    pub fn next<'s, 'i: 's>(&'s mut self, input: &mut &'i [u8]) -> Option<RecordEvent<'s>> {
        let step = loop {
            match self.step(input) {
                Step::NeedMore => return None,
                Step::Again => {}
                found => break found,
            }
        };
        Some(match step {
            Step::MessageInInput(message) => RecordEvent::Message(Message::parse(message)),
            Step::MessageInBuffer => RecordEvent::Message(Message::parse(&self.message)),
            Step::SealedInInput(record, body) => RecordEvent::Protected(record.sealed(body)),
            Step::SealedInBuffer(record) => RecordEvent::Protected(record.sealed(&self.held)),
            Step::V2InBuffer => {
                RecordEvent::Message(match ClientHello::parse_v2(self.message.get(2..).unwrap_or_default()) {
                    Some(hello) => Message::ClientHello(Box::new(hello)),
                    None => Message::Malformed(HandshakeType::CLIENT_HELLO),
                })
            }
            Step::Oversized(kind) => RecordEvent::Message(Message::Malformed(kind)),
            Step::Plain(event) => event,
            Step::NeedMore | Step::Again => return None,
        })
    }

    /// Steps over bytes that lie inside the body of a protected record, as most bytes of most connections do. `false`
    /// when there is more to them and [`RecordDecoder::next`] must read them.
    #[inline]
    pub fn skip(&mut self, bytes: usize) -> bool {
        if self.resynchronised || self.message_emitted || self.ended_in_gap.is_some() {
            // What next() still has to report comes first.
            return false;
        }
        match &mut self.state {
            DecoderState::Body(Record {
                left,
                body: Body::Protected | Body::Ignored,
                ..
            }) if bytes < usize::from(*left) => {
                *left -= u16::try_from(bytes).unwrap_or(0);
                true
            }
            DecoderState::Body(Record {
                left,
                length,
                body: Body::Held(from),
                ..
            }) if bytes <= usize::from(from.saturating_sub(*length - *left)) && bytes < usize::from(*left) => {
                *left -= u16::try_from(bytes).unwrap_or(0);
                true
            }
            _ => false,
        }
    }

    /// What is to be kept of the bodies of protected records that begin from here on.
    pub fn keep(&mut self, keep: Keep) {
        self.keep = keep;
        if keep == Keep::Nothing {
            self.held = Vec::new();
        }
    }

    /// ChangeCipherSpec protects nothing on this connection: TLS 1.3 sends it for middleboxes only (RFC 8446 D.4).
    pub fn ignore_change_cipher_spec(&mut self) {
        self.protection = RecordProtection::Off;
    }

    /// Whether record boundaries are known at this point of the stream.
    #[must_use]
    pub const fn in_sync(&self) -> bool {
        !matches!(self.state, DecoderState::Lost) && !self.unconfirmed
    }

    /// Whether no record of the stream so far is unread: boundaries are known, or clear text stands behind the last one.
    #[must_use]
    pub const fn has_read_all(&self) -> bool {
        self.in_sync() || self.left
    }

    /// Whether the stream so far ends inside a record or a header.
    #[must_use]
    pub const fn inside_record(&self) -> bool {
        matches!(self.state, DecoderState::Body(_) | DecoderState::V2(_)) || self.header_have > 0
    }

    /// Whether the record that the stream so far ends inside of may be an alert: one that is longer than any carries data or a
    /// message of the handshake.
    #[must_use]
    pub const fn inside_alert(&self) -> bool {
        match &self.state {
            DecoderState::Body(record) => record.length <= LONGEST_ALERT,
            DecoderState::V2(_) => false,
            DecoderState::Header | DecoderState::Lost => self.header_have > 0,
        }
    }

    /// Bytes buffered for unfinished messages.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.message.capacity() + self.held.capacity()
    }

    /// `missing` bytes of the stream will never come.
    pub fn gap(&mut self, missing: u64) -> Loss {
        match &mut self.state {
            DecoderState::Body(record) if missing <= u64::from(record.left) => {
                record.left -= u16::try_from(missing).unwrap_or(record.left);
                if let Body::Held(from) = record.body
                    && record.length - record.left > from
                {
                    record.body = Body::Protected;
                }
                let lost = if matches!(record.body, Body::Handshake | Body::Small) {
                    record.body = Body::Ignored;
                    Loss::Handshake
                } else {
                    Loss::Nothing
                };
                if record.left == 0 {
                    self.ended_in_gap = Some(*record);
                    self.state = DecoderState::Header;
                }
                if lost == Loss::Handshake {
                    self.lose_message();
                }
                lost
            }
            _ => {
                self.lose_framing();
                Loss::Framing
            }
        }
    }

    fn lose_message(&mut self) {
        self.message.clear();
        self.message_emitted = false;
        self.oversized_left = 0;
        self.handshake_lost = true;
    }

    fn lose_framing(&mut self) {
        self.lose_message();
        self.state = DecoderState::Lost;
        self.header_have = 0;
        self.unconfirmed = false;
        self.left = false;
        if self.protection == RecordProtection::Off {
            self.protection = RecordProtection::Unknown;
        }
    }

    fn step<'i>(&mut self, input: &mut &'i [u8]) -> Step<'i> {
        if self.message_emitted {
            self.message_emitted = false;
            self.message.clear();
            self.message.shrink_to(4096);
        }
        if let Some(record) = self.ended_in_gap.take() {
            return report(record);
        }
        if self.resynchronised {
            self.resynchronised = false;
            return Step::Plain(RecordEvent::Resynchronised);
        }
        match self.state {
            DecoderState::Header => self.step_header(input),
            DecoderState::Body(record) => self.step_body(record, input),
            DecoderState::V2(total) => self.step_v2(total, input),
            DecoderState::Lost => self.step_lost(input),
        }
    }

    /// Five bytes; nine for a handshake record whose first message header tells whether it is protected.
    fn header_needed(&self, header: [u8; 5]) -> usize {
        let [kind, _, _, high, low] = header;
        let ambiguous = ContentType(kind) == ContentType::HANDSHAKE
            && (self.protection != RecordProtection::Off || self.handshake_lost);
        if ambiguous && u16::from_be_bytes([high, low]) >= 4 {
            9
        } else {
            5
        }
    }

    fn step_header<'i>(&mut self, input: &mut &'i [u8]) -> Step<'i> {
        // The usual case: a header that is there whole, and read from where it stands.
        if self.header_have == 0
            && let Some((header, rest)) = input.split_first_chunk::<5>()
            && plausible(header)
            && self.header_needed(*header) == 5
        {
            *input = rest;
            return self.take_header(*header, None);
        }
        loop {
            let have = usize::from(self.header_have);
            let [kind, major, minor, high, low, first @ ..] = self.header;
            let header = [kind, major, minor, high, low];
            if have >= 5 && have >= self.header_needed(header) {
                self.header_have = 0;
                return self.take_header(header, (have == 9).then_some(first));
            }
            let Some((&byte, rest)) = input.split_first() else {
                return Step::NeedMore;
            };
            *input = rest;
            if let Some(slot) = self.header.get_mut(have) {
                *slot = byte;
            }
            self.header_have += 1;
            if self.header_have == 5 && !plausible(&self.header) {
                // FTP goes back to clear text by CCC (RFC 4217 §12.3), and Exim says in clear that its client is gone.
                let text = self.header.iter().take(5).all(|byte| is_text(*byte));
                let left = text && !self.unconfirmed;
                self.lose_framing();
                self.left = left;
                return Step::Plain(RecordEvent::Desynchronised);
            }
        }
    }

    /// A header is whole; `first` are the bytes behind it where they were needed.
    fn take_header<'i>(&mut self, header: [u8; 5], first: Option<[u8; 4]>) -> Step<'i> {
        let [kind, major, minor, high, low] = header;
        let (content_type, length) = (ContentType(kind), u16::from_be_bytes([high, low]));
        let confirmed = !std::mem::take(&mut self.unconfirmed);
        if !confirmed {
            self.resynchronised = true;
        }
        let mut body = self.classify(content_type, length, first);
        if body == Body::Handshake
            && let Some(first) = first
        {
            self.handshake_lost = false;
            // A message begins here: an unfinished one before it never becomes whole.
            self.message.clear();
            self.message.extend_from_slice(&first);
        }
        if body == Body::Protected && self.message.is_empty() {
            // The handshake is over, or will begin anew: of many open connections most are here.
            self.message = Vec::new();
        }
        if body == Body::Protected
            && let Some(from) = self.keep.from(content_type, length)
        {
            body = Body::Held(from);
            self.held.clear();
            self.held.shrink_to(4096);
            if let Some(first) = first {
                self.held.extend(first.iter().skip(usize::from(from)));
            }
        }
        self.begin(Record {
            content_type,
            version: ProtocolVersion(u16::from_be_bytes([major, minor])),
            length,
            left: length - if first.is_some() { 4 } else { 0 },
            body,
        })
    }

    fn begin<'i>(&mut self, record: Record) -> Step<'i> {
        self.small = [0; 2];
        if record.left == 0 && record.body != Body::Handshake {
            self.state = DecoderState::Header;
            return match record.body {
                Body::Held(_) => Step::SealedInBuffer(record),
                _ => report(record),
            };
        }
        self.state = DecoderState::Body(record);
        Step::Again
    }

    fn classify(&self, content_type: ContentType, length: u16, first: Option<[u8; 4]>) -> Body {
        match content_type {
            ContentType::HANDSHAKE => match first {
                None if self.protection == RecordProtection::Off && !self.handshake_lost => Body::Handshake,
                Some(first) if self.looks_plain(first, length) => Body::Handshake,
                _ if self.protection == RecordProtection::Off => Body::Ignored,
                _ => Body::Protected,
            },
            // Plaintext ChangeCipherSpec is one byte, a plaintext alert two; protected ones are longer.
            ContentType::CHANGE_CIPHER_SPEC if length == 1 => Body::Small,
            ContentType::ALERT if length == 2 => Body::Small,
            _ => Body::Protected,
        }
    }

    /// Whether a handshake record is plaintext although protection may be on. After ChangeCipherSpec only hellos can
    /// be (TLS 1.3 with HelloRetryRequest), and their length must fill the record: ciphertext passes once in 2^31.
    fn looks_plain(&self, first: [u8; 4], record: u16) -> bool {
        let [kind, a, b, c] = first;
        let whole = u32::from_be_bytes([0, a, b, c]) + 4;
        let kind = HandshakeType(kind);
        let hello = matches!(kind, HandshakeType::CLIENT_HELLO | HandshakeType::SERVER_HELLO);
        match self.protection {
            RecordProtection::On => hello && whole == u32::from(record),
            RecordProtection::Unknown => kind.name().is_some() && whole == u32::from(record),
            RecordProtection::Off => {
                kind.name().is_some() && usize::try_from(whole).is_ok_and(|whole| whole <= MAX_MESSAGE)
            }
        }
    }

    fn step_body<'i>(&mut self, record: Record, input: &mut &'i [u8]) -> Step<'i> {
        if record.body == Body::Handshake {
            return self.step_handshake(record, input);
        }
        let taken = usize::from(record.left).min(input.len());
        let (body, rest) = input.split_at(taken);
        *input = rest;
        if let Body::Held(from) = record.body {
            let position = record.length - record.left;
            let (_, connection_store) = body.split_at(usize::from(from.saturating_sub(position)).min(taken));
            if position <= from && taken == usize::from(record.left) {
                self.state = DecoderState::Header;
                return Step::SealedInInput(record, connection_store);
            }
            self.held.extend_from_slice(connection_store);
        }
        if record.body == Body::Small {
            let offset = usize::from(record.length - record.left);
            for (slot, byte) in self.small.iter_mut().skip(offset).zip(body) {
                *slot = *byte;
            }
        }
        let left = record.left - u16::try_from(taken).unwrap_or(record.left);
        if left > 0 {
            self.state = DecoderState::Body(Record { left, ..record });
            return Step::NeedMore;
        }
        self.state = DecoderState::Header;
        match record.body {
            Body::Small => self.finish_small(record),
            Body::Held(_) => Step::SealedInBuffer(record),
            Body::Handshake | Body::Protected | Body::Ignored => report(record),
        }
    }

    fn finish_small<'i>(&mut self, record: Record) -> Step<'i> {
        let [first, second] = self.small;
        Step::Plain(match record.content_type {
            ContentType::CHANGE_CIPHER_SPEC if first == 1 => {
                self.protection = RecordProtection::On;
                RecordEvent::ChangeCipherSpec
            }
            ContentType::ALERT if matches!(first, 1 | 2) => RecordEvent::Alert {
                fatal: first == 2,
                description: AlertDescription(second),
            },
            // RC4 and NULL suites never protect into one or two bytes, so this is neither: report it as it stands.
            _ => RecordEvent::Protected(record.sealed(&[])),
        })
    }

    fn step_handshake<'i>(&mut self, record: Record, input: &mut &'i [u8]) -> Step<'i> {
        let (body, _) = input.split_at(usize::from(record.left).min(input.len()));
        let (taken, step) = self.take_message(body);
        *input = input.get(taken..).unwrap_or_default();
        let left = record.left - u16::try_from(taken).unwrap_or(record.left);
        self.state = if left == 0 {
            DecoderState::Header
        } else {
            DecoderState::Body(Record { left, ..record })
        };
        match step {
            Step::Again if left > 0 && input.is_empty() => Step::NeedMore,
            other => other,
        }
    }

    /// Takes bytes of handshake messages from `body`: how many, and what they completed.
    fn take_message<'i>(&mut self, body: &'i [u8]) -> (usize, Step<'i>) {
        if self.oversized_left > 0 {
            let taken = (self.oversized_left as usize).min(body.len());
            self.oversized_left -= u32::try_from(taken).unwrap_or(self.oversized_left);
            return (taken, Step::Again);
        }
        if self.message.is_empty()
            && let Some(whole) = message_length(body)
            && let Some(message) = body.get(..whole)
        {
            return (whole, Step::MessageInInput(message));
        }
        let header_missing = 4usize.saturating_sub(self.message.len());
        let missing = if header_missing > 0 {
            header_missing
        } else {
            message_length(&self.message)
                .unwrap_or(4)
                .saturating_sub(self.message.len())
        };
        let taken = missing.min(body.len());
        self.message.extend_from_slice(body.get(..taken).unwrap_or_default());
        match message_length(&self.message) {
            Some(whole) if whole > MAX_MESSAGE => {
                let kind = HandshakeType(self.message.first().copied().unwrap_or_default());
                // A message is shorter than 2^24 bytes (RFC 8446 §4).
                self.oversized_left = u32::try_from(whole - self.message.len()).unwrap_or(u32::MAX);
                self.message.clear();
                (taken, Step::Oversized(kind))
            }
            // Never more than the whole; but no input may keep this from ending.
            Some(whole) if whole <= self.message.len() => {
                self.message_emitted = true;
                (taken, Step::MessageInBuffer)
            }
            _ => (taken, Step::Again),
        }
    }

    fn step_v2<'i>(&mut self, total: usize, input: &mut &'i [u8]) -> Step<'i> {
        let needed = if total == 0 { 2 } else { total };
        let taken = needed.saturating_sub(self.message.len()).min(input.len());
        let (bytes, rest) = input.split_at(taken);
        *input = rest;
        self.message.extend_from_slice(bytes);
        match *self.message.as_slice() {
            [high, low] if total == 0 => {
                self.state = DecoderState::V2(2 + usize::from(u16::from_be_bytes([high & 0x7f, low])));
                Step::Again
            }
            _ if total > 0 && self.message.len() >= total => {
                self.state = DecoderState::Header;
                self.message_emitted = true;
                Step::V2InBuffer
            }
            _ => Step::NeedMore,
        }
    }

    /// Searches the chunk for a record header that a second one, or the end of the chunk, confirms.
    fn step_lost<'i>(&mut self, input: &mut &'i [u8]) -> Step<'i> {
        let chunk = *input;
        for start in 0..chunk.len().saturating_sub(4) {
            let candidate = chunk.get(start..).unwrap_or_default();
            let Some(certainty) = chain(candidate) else { continue };
            if certainty == Chain::Open && start > 0 {
                continue;
            }
            *input = candidate;
            self.state = DecoderState::Header;
            self.left = false;
            if certainty == Chain::Open {
                return self.begin_unconfirmed(input);
            }
            return Step::Plain(RecordEvent::Resynchronised);
        }
        *input = &[];
        Step::NeedMore
    }

    /// The chunk begins like a record that runs past it: step over its body and let the next header decide.
    fn begin_unconfirmed<'i>(&mut self, input: &mut &'i [u8]) -> Step<'i> {
        let Some((header, rest)) = input.split_first_chunk::<5>() else {
            return Step::NeedMore;
        };
        *input = rest;
        let length = u16::from_be_bytes([header[3], header[4]]);
        self.unconfirmed = true;
        self.begin(Record {
            content_type: ContentType(header[0]),
            version: ProtocolVersion(u16::from_be_bytes([header[1], header[2]])),
            length,
            left: length,
            body: Body::Ignored,
        })
    }
}

const fn is_text(byte: u8) -> bool {
    byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn report<'i>(record: Record) -> Step<'i> {
    match record.body {
        // What was to be kept of a body, and was partly lost, is not given in parts.
        Body::Protected | Body::Held(_) => Step::Plain(RecordEvent::Protected(record.sealed(&[]))),
        Body::Handshake | Body::Small | Body::Ignored => Step::Again,
    }
}

/// Length of the message at the start of `bytes`, header included, once its header is there.
fn message_length(bytes: &[u8]) -> Option<usize> {
    let [_, a, b, c] = *bytes.first_chunk()?;
    Some(4 + u32::from_be_bytes([0, a, b, c]) as usize)
}

#[cfg(test)]
mod tests {
    use super::super::hello::tests::{client_hello, server_hello};
    use super::*;
    use proptest::prelude::*;

    fn record(kind: u8, body: &[u8]) -> Vec<u8> {
        [
            &[kind, 3, 3][..],
            &u16::try_from(body.len()).expect("short").to_be_bytes(),
            body,
        ]
        .concat()
    }

    /// Events of a stream fed in chunks of `size`, written down short.
    fn events(decoder: &mut RecordDecoder, stream: &[u8], size: usize) -> Vec<String> {
        let mut seen = Vec::new();
        for mut chunk in stream.chunks(size) {
            while let Some(event) = decoder.next(&mut chunk) {
                seen.push(match event {
                    RecordEvent::Message(Message::ClientHello(hello)) => format!("client_hello v2={}", hello.v2_format),
                    RecordEvent::Message(Message::ServerHello(_)) => "server_hello".to_owned(),
                    RecordEvent::Message(Message::Other(kind)) => kind.to_string(),
                    RecordEvent::Message(Message::ClientKeyExchange(_)) => "client_key_exchange".to_owned(),
                    RecordEvent::Protected(record) => format!("{}:{}", record.content_type, record.length),
                    other => format!("{other:?}"),
                });
            }
        }
        seen
    }

    #[test]
    fn a_hello_behind_an_unfinished_message_is_read_and_reading_ends() {
        let hello = server_hello(0x0303, &[], 0xc02f, &[]);
        let unfinished = [&[2, 0, 0, 60][..], &[7; 58]].concat();
        let stream = [record(22, &unfinished), record(20, &[1]), record(22, &hello)].concat();
        for size in [1, 7, stream.len()] {
            let seen = events(&mut RecordDecoder::new(Start::Record), &stream, size);
            assert_eq!(seen, ["ChangeCipherSpec", "server_hello"], "in chunks of {size}");
        }
    }

    fn handshake_stream() -> Vec<u8> {
        let hello = client_hello(&[1; 32], &[(35, vec![])]);
        let (front, back) = hello.split_at(20);
        [
            record(22, front),
            record(22, &[back, &[16, 0, 0, 2, 9, 9]].concat()),
            record(20, &[1]),
            record(22, &[0; 40]),
            record(23, &[5; 300]),
            record(21, &[0; 26]),
        ]
        .concat()
    }

    #[test]
    fn messages_are_found_over_records_and_within_them_whatever_the_chunks() {
        let stream = handshake_stream();
        let whole = events(&mut RecordDecoder::new(Start::Record), &stream, stream.len());
        assert_eq!(
            whole,
            [
                "client_hello v2=false",
                "client_key_exchange",
                "ChangeCipherSpec",
                "handshake:40",
                "application_data:300",
                "alert:26"
            ]
        );
        for size in 1..60 {
            assert_eq!(
                events(&mut RecordDecoder::new(Start::Record), &stream, size),
                whole,
                "chunks of {size}"
            );
        }
    }

    #[test]
    fn a_second_client_hello_after_a_dummy_change_cipher_spec_is_read() {
        let hello = record(22, &client_hello(&[1; 32], &[]));
        let stream = [&hello[..], &record(20, &[1]), &hello].concat();
        assert_eq!(
            events(&mut RecordDecoder::new(Start::Record), &stream, 7),
            ["client_hello v2=false", "ChangeCipherSpec", "client_hello v2=false"]
        );
    }

    #[test]
    fn bodies_are_kept_as_asked_whatever_the_chunks() {
        let body: Vec<u8> = (0..200).collect();
        let stream = [
            record(22, &client_hello(&[1; 32], &[])),
            record(20, &[1]),
            record(22, &body),
            record(23, &body),
            record(21, &body[..30]),
        ]
        .concat();
        let all = &body[..];
        for (keep, expected) in [
            (Keep::Nothing, [&[][..], &[], &[]]),
            (Keep::AllButData, [all, &[], &body[..30]]),
            (Keep::EndsOfData, [all, &body[136..], &body[..30]]),
            (Keep::UpTo(100), [&body[136..], &body[136..], &body[..30]]),
            (Keep::UpTo(200), [all, all, &body[..30]]),
        ] {
            for size in [1, 3, 64, 137, 1000] {
                let mut decoder = RecordDecoder::new(Start::Record);
                decoder.keep(keep);
                let mut kept = Vec::new();
                for mut chunk in stream.chunks(size) {
                    if decoder.skip(chunk.len()) {
                        continue;
                    }
                    while let Some(event) = decoder.next(&mut chunk) {
                        if let RecordEvent::Protected(record) = event {
                            kept.push(record.body.to_vec());
                        }
                    }
                }
                assert_eq!(kept, expected, "{keep:?} in chunks of {size}");
            }
        }
    }

    #[test]
    fn a_gap_in_a_kept_body_gives_none_of_it() {
        let mut decoder = RecordDecoder::new(Start::Record);
        decoder.keep(Keep::UpTo(u16::MAX));
        let stream = record(23, &[5; 300]);
        events(&mut decoder, &stream[..100], 100);
        assert_eq!(decoder.gap(100), Loss::Nothing);
        let mut rest = &stream[200..];
        let Some(RecordEvent::Protected(record)) = decoder.next(&mut rest) else {
            panic!("a record");
        };
        assert_eq!((record.length, record.body.len()), (300, 0));
    }

    #[test]
    fn a_gap_inside_a_skipped_body_costs_nothing() {
        let mut decoder = RecordDecoder::new(Start::Record);
        let stream = record(23, &[5; 300]);
        assert!(events(&mut decoder, &stream[..100], 100).is_empty());
        assert_eq!(decoder.gap(100), Loss::Nothing);
        assert_eq!(events(&mut decoder, &stream[200..], 200), ["application_data:300"]);
    }

    #[test]
    fn a_gap_to_the_end_of_a_body_still_reports_the_record() {
        let mut decoder = RecordDecoder::new(Start::Record);
        events(&mut decoder, &record(23, &[5; 300])[..105], 105);
        assert_eq!(decoder.gap(200), Loss::Nothing);
        assert_eq!(
            events(&mut decoder, &record(21, &[0; 26]), 99),
            ["application_data:300", "alert:26"]
        );
    }

    #[test]
    fn a_gap_in_a_handshake_message_loses_that_message_only() {
        let hello = record(22, &server_hello(0x0303, &[], 0xc02f, &[]));
        let mut decoder = RecordDecoder::new(Start::Record);
        events(&mut decoder, &hello[..20], 20);
        assert_eq!(
            decoder.gap(u64::try_from(hello.len() - 20).expect("short")),
            Loss::Handshake
        );
        assert_eq!(
            events(&mut decoder, &record(22, &[14, 0, 0, 0]), 99),
            ["server_hello_done"]
        );
    }

    #[test]
    fn after_lost_framing_the_next_chain_of_records_is_found() {
        let mut decoder = RecordDecoder::new(Start::Record);
        events(&mut decoder, &record(23, &[5; 300])[..100], 100);
        assert_eq!(decoder.gap(5_000), Loss::Framing);
        let tail = [&[7; 50][..], &record(23, &[5; 40]), &record(21, &[0; 26])].concat();
        assert_eq!(
            events(&mut decoder, &tail, tail.len()),
            ["Resynchronised", "application_data:40", "alert:26"]
        );
    }

    #[test]
    fn nonsense_after_records_is_said() {
        let stream = [record(23, &[5; 30]), b"GET / HTTP/1.1\r\n".to_vec()].concat();
        assert_eq!(
            events(&mut RecordDecoder::new(Start::Record), &stream, 99),
            ["application_data:30", "Desynchronised"]
        );
    }

    #[test]
    fn clear_text_behind_the_last_record_leaves_none_unread() {
        let alert = record(21, &[7; 26]);
        for (text, read) in [
            (&b"421 lost input connection\r\n"[..], true),
            (&[0, 1, 2, 3, 4, 5], false),
        ] {
            let mut decoder = RecordDecoder::new(Start::Record);
            let stream = [&alert, text].concat();
            assert_eq!(events(&mut decoder, &stream, 7), ["alert:26", "Desynchronised"]);
            assert_eq!((decoder.has_read_all(), decoder.inside_record()), (read, false));
            // Among lost bytes there may have been records.
            decoder.gap(100);
            assert!(!decoder.has_read_all());
        }
    }

    #[test]
    fn the_beginning_of_a_long_record_is_none_of_an_alert() {
        let inside = |bytes: &[u8]| {
            let mut decoder = RecordDecoder::new(Start::Record);
            events(&mut decoder, &[&record(23, &[5; 30]), bytes].concat(), 99);
            (decoder.inside_record(), decoder.inside_alert())
        };
        assert_eq!(inside(&[]), (false, false));
        assert_eq!(inside(&record(21, &[7; 26])[..30]), (true, true));
        assert_eq!(inside(&record(23, &[7; 19])[..6]), (true, true));
        // Of a header alone nothing is known.
        assert_eq!(inside(&record(23, &[7; 900])[..4]), (true, true));
        assert_eq!(inside(&record(23, &[7; 900])[..800]), (true, false));
    }

    #[test]
    fn an_sslv2_hello_is_followed_by_records() {
        let mut body = vec![1, 3, 1, 0, 3, 0, 0, 0, 16, 0, 0, 0x2f];
        body.extend([6; 16]);
        let stream = [
            &[0x80, u8::try_from(body.len()).expect("short")][..],
            &body,
            &record(20, &[1]),
        ]
        .concat();
        for size in [1, 5, 100] {
            assert_eq!(
                events(&mut RecordDecoder::new(Start::V2Hello), &stream, size),
                ["client_hello v2=true", "ChangeCipherSpec"]
            );
        }
    }

    #[test]
    fn a_plaintext_alert_shows_its_description_and_a_protected_one_does_not() {
        let stream = [record(21, &[1, 112]), record(20, &[1]), record(21, &[0; 26])].concat();
        let seen = events(&mut RecordDecoder::new(Start::Record), &stream, 99);
        assert!(seen[0].contains("112"), "{seen:?}");
        assert_eq!(seen[2], "alert:26");
    }

    proptest! {
        #[test]
        fn any_bytes_and_gaps_end_and_keep_the_buffer_bounded(
            pieces in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..600), 0u64..40_000), 0..12),
            middle in any::<bool>(),
        ) {
            let mut decoder = RecordDecoder::new(if middle { Start::Middle } else { Start::Record });
            for (bytes, gap) in pieces {
                let mut input = &bytes[..];
                let mut count = 0;
                while decoder.next(&mut input).is_some() {
                    count += 1;
                    prop_assert!(count <= 2 * bytes.len() + 4, "no event without progress");
                }
                prop_assert!(input.is_empty());
                if gap % 3 == 0 {
                    decoder.gap(gap);
                }
            }
            prop_assert!(decoder.buffered() <= 2 * MAX_MESSAGE);
        }
    }
}
