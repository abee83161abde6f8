//! Where TLS begins: at the first byte, after clear text (STARTTLS, a PROXY header, an HTTP CONNECT …), or nowhere.
//!
//! Works on the first bytes of one direction and gives up after [`LIMIT`]. Text that merely looks like a record is not
//! taken for TLS: after clear text only a well-formed hello counts.

use super::codec::Reader;
use super::record::{Start, plausible};

/// Bytes of one direction that are searched before it is given up.
pub const LIMIT: usize = 8 * 1024;

/// Which hello is looked for after clear text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A ClientHello.
    ClientHello,
    /// A ServerHello, or the alert that takes its place.
    ServerAnswer,
    /// Either: nobody knows yet who is the client.
    Either,
}

/// What the first bytes of a direction are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamStart {
    /// TLS begins at this offset.
    At(usize, Start),
    /// Too early to tell.
    NeedMore,
    /// Not TLS within the limit.
    Nothing,
}

/// Looks for the beginning of TLS in `bytes`, everything this direction has sent so far. No hello stands before
/// `searched`, which is moved on: a stream in tiny segments is not searched anew with each of them.
#[must_use]
pub fn search(bytes: &[u8], wanted: Wanted, searched: &mut usize) -> StreamStart {
    match at_start(bytes) {
        Some(found) => found,
        None => after_clear_text(bytes, wanted, searched),
    }
}

/// Whether `bytes` begin with a whole-looking hello: the first thing that a side says in TLS.
#[must_use]
pub fn opens(bytes: &[u8]) -> bool {
    matches!(bytes, [22, 3, ..]) && hello_at(bytes, Wanted::Either) == Some(true)
}

/// Decides on the first byte where that is possible; `None` sends the search into the text.
fn at_start(bytes: &[u8]) -> Option<StreamStart> {
    match *bytes {
        [] | [21 | 22] => Some(StreamStart::NeedMore),
        [high, _, 1, 3, minor, ..] if high & 0x80 != 0 && minor <= 3 => v2_hello(bytes),
        [high, _, 1, 3] | [high, _, 1] if high & 0x80 != 0 => Some(StreamStart::NeedMore),
        [high] | [high, _] if high & 0x80 != 0 => Some(StreamStart::NeedMore),
        // A hello, or the alert that refuses one.
        [21 | 22, 3, ..] if bytes.len() < 6 => Some(StreamStart::NeedMore),
        [22, 3, _, _, _, 1 | 2, ..] if plausible(bytes) => Some(StreamStart::At(0, Start::Record)),
        [21, 3, _, 0, 2, 1 | 2, ..] => Some(StreamStart::At(0, Start::Record)),
        _ => None,
    }
}

/// An SSLv2-format hello must add up (RFC 5246 E.2): type, version, and three lengths that fill the record.
fn v2_hello(bytes: &[u8]) -> Option<StreamStart> {
    let mut reader = Reader::new(bytes.get(..11).unwrap_or_default());
    if bytes.len() < 11 {
        return Some(StreamStart::NeedMore);
    }
    let total = usize::from(reader.u16()? & 0x7fff);
    reader.take(3)?;
    let (specs, session, challenge) = (reader.u16()?, reader.u16()?, reader.u16()?);
    let sum = 9 + usize::from(specs) + usize::from(session) + usize::from(challenge);
    (sum == total && specs > 0 && specs % 3 == 0 && (16..=32).contains(&challenge))
        .then_some(StreamStart::At(0, Start::V2Hello))
}

fn after_clear_text(bytes: &[u8], wanted: Wanted, searched: &mut usize) -> StreamStart {
    let mut undecided = bytes.len() < LIMIT;
    let mut open = None;
    let from = *searched;
    for start in memchr::memchr2_iter(21, 22, bytes.get(from..).unwrap_or_default()).map(|place| from + place) {
        if start == 0 {
            continue;
        }
        match hello_at(bytes.get(start..).unwrap_or_default(), wanted) {
            Some(true) => return StreamStart::At(start, Start::Record),
            Some(false) => {}
            None => {
                open.get_or_insert(start);
                undecided |= bytes.len() < LIMIT + 64;
            }
        }
    }
    *searched = open.unwrap_or(bytes.len());
    if undecided {
        StreamStart::NeedMore
    } else {
        StreamStart::Nothing
    }
}

/// Whether a hello stands at the start of `bytes`; `None` when too few are there to tell.
fn hello_at(bytes: &[u8], wanted: Wanted) -> Option<bool> {
    let mut reader = Reader::new(bytes);
    let kind = reader.u8()?;
    if reader.u8()? != 3 || reader.u8()? > 4 {
        return Some(false);
    }
    let record = reader.u16()?;
    if kind == 21 {
        let (level, description) = (reader.u8()?, reader.u8()?);
        return Some(
            wanted != Wanted::ClientHello
                && record == 2
                && matches!(level, 1 | 2)
                && description <= 121
                && bytes.len() == 7,
        );
    }
    let message = reader.u8()?;
    let expected = match wanted {
        Wanted::ClientHello => message == 1,
        Wanted::ServerAnswer => message == 2,
        Wanted::Either => matches!(message, 1 | 2),
    };
    if !expected || !plausible(bytes) {
        return Some(false);
    }
    let length = reader.u24()?;
    let version = reader.u16()?;
    // 38 bytes is a hello without session ID and extensions; a record may hold less than the whole message.
    Some(
        (0x0300..=0x0304).contains(&version)
            && (38..=65_536).contains(&length)
            && (message == 1 || u32::from(record) <= 16_384),
    )
}

#[cfg(test)]
mod tests {
    use super::super::hello::tests::client_hello;
    use super::*;

    fn find(bytes: &[u8], wanted: Wanted) -> StreamStart {
        search(bytes, wanted, &mut 0)
    }

    fn hello() -> Vec<u8> {
        let message = client_hello(&[], &[]);
        [
            &[22, 3, 1][..],
            &u16::try_from(message.len()).expect("short").to_be_bytes(),
            &message,
        ]
        .concat()
    }

    #[test]
    fn a_record_at_the_start_is_found_at_once() {
        assert_eq!(find(&hello(), Wanted::ClientHello), StreamStart::At(0, Start::Record));
        assert_eq!(find(&[22, 3, 1], Wanted::ClientHello), StreamStart::NeedMore);
    }

    #[test]
    fn a_hello_after_starttls_is_found_wherever_the_segments_end() {
        let stream = [b"EHLO x\r\nSTARTTLS\r\n", &hello()[..]].concat();
        let mut searched = 0;
        let found = (1..=stream.len())
            .map(|end| search(&stream[..end], Wanted::ClientHello, &mut searched))
            .find(|f| *f != StreamStart::NeedMore);
        assert_eq!(found, Some(StreamStart::At(18, Start::Record)));
    }

    #[test]
    fn text_with_a_record_type_in_it_is_not_tls() {
        let mut text = b"GET / HTTP/1.1\r\n".to_vec();
        text.extend([22, 3, 3, 0, 5, 9, 9, 9, 9, 9]);
        text.resize(LIMIT + 100, b'x');
        assert_eq!(find(&text, Wanted::Either), StreamStart::Nothing);
    }

    #[test]
    fn bytes_that_only_begin_like_sslv2_are_not() {
        let mut bytes = vec![0x80, 0x2e, 1, 3, 1, 0, 5, 0, 0, 0, 16];
        bytes.resize(LIMIT + 100, 0);
        assert_eq!(find(&bytes, Wanted::ClientHello), StreamStart::Nothing);
    }

    #[test]
    fn no_place_is_looked_at_twice() {
        let mut text = vec![b'x'];
        let mut searched = 0;
        for _ in 0..100 {
            text.extend([22, 3, 1, 0, 200, 9]);
            assert_eq!(search(&text, Wanted::ClientHello, &mut searched), StreamStart::NeedMore);
            assert_eq!(searched, text.len());
        }
        text.extend([22, 3, 1]);
        assert_eq!(search(&text, Wanted::ClientHello, &mut searched), StreamStart::NeedMore);
        assert_eq!(searched, text.len() - 3, "what may become a hello is looked at again");
    }
}
