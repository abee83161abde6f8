//! Which datagrams begin an association. Whatever may look like one by chance is kept out: every length must add up.

use super::hello::Opening;
use super::message::Fragment;
use super::record::{DtlsRecord, records};
use crate::tls::ContentType;
use crate::tls::names::HandshakeType;

/// The shortest body of a hello: version, random, and empty session ID, cookie or suite, compression.
const MIN_HELLO: u32 = 38;
/// The longest that is believed: post-quantum key shares and tickets take a few kilobytes.
const MAX_HELLO: u32 = 64 * 1024;
/// The highest message_seq of a hello: the second comes after a HelloVerifyRequest, the third after a HelloRetryRequest.
const LAST_HELLO: u16 = 2;

/// Whose hello begins an association.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opens {
    /// ClientHello: as a rule.
    Client,
    /// A later part of a ClientHello, which the network brought before its beginning.
    ClientPart,
    /// ServerHello: its ClientHello was not captured, or went another way, as ICE has it.
    Server,
}

/// Whether a datagram, of which `cut` bytes were not captured, begins an association.
#[must_use]
pub fn opens(datagram: &[u8], cut: u32) -> Option<Opens> {
    let mut all = records(datagram, cut, None);
    let first = all.next().filter(DtlsRecord::is_clear)?;
    let rest: usize = all.map(|record| record.header.len() + record.body.len()).sum();
    let adds_up = first.header.len() + first.body.len() + rest == datagram.len();
    adds_up.then(|| hello(&first)).flatten()
}

fn hello(record: &DtlsRecord<'_>) -> Option<Opens> {
    if record.content_type != ContentType::HANDSHAKE {
        return None;
    }
    let missing = usize::from(record.length) - record.body.len();
    let first = Fragment::all(record.body, missing).next()?;
    let read: usize = Fragment::all(record.body, missing)
        .map(|fragment| 12 + fragment.bytes.len())
        .sum();
    let plausible =
        read == record.body.len() && first.number <= LAST_HELLO && (MIN_HELLO..=MAX_HELLO).contains(&first.length);
    let begins = first.offset == 0 && Opening::read(first.bytes).is_some();
    match first.kind {
        _ if !plausible => None,
        HandshakeType::CLIENT_HELLO if begins => Some(Opens::Client),
        HandshakeType::CLIENT_HELLO => (first.offset >= MIN_HELLO).then_some(Opens::ClientPart),
        HandshakeType::SERVER_HELLO if begins => Some(Opens::Server),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A datagram with the first `sent` bytes of a hello of `length` bytes.
    fn datagram(kind: u8, length: u8, sent: u8) -> Vec<u8> {
        let mut bytes = vec![22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12 + sent];
        bytes.extend([kind, 0, 0, length, 0, 0, 0, 0, 0, 0, 0, sent]);
        let mut body = vec![0xfe, 0xfd];
        body.extend([7; 32]);
        body.resize(usize::from(sent), 0);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn a_hello_begins_an_association_whole_or_in_parts() {
        assert_eq!(opens(&datagram(1, 60, 60), 0), Some(Opens::Client));
        assert_eq!(opens(&datagram(1, 200, 60), 0), Some(Opens::Client));
        assert_eq!(opens(&datagram(2, 60, 60), 0), Some(Opens::Server));
        let whole = datagram(1, 60, 60);
        assert_eq!(opens(&whole[..whole.len() - 5], 5), Some(Opens::Client));
        // More records stand behind it.
        let alert = [21, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 1, 0];
        assert_eq!(opens(&[&whole[..], &alert, &alert].concat(), 0), Some(Opens::Client));
    }

    #[test]
    fn near_misses_begin_none() {
        for kind in [0, 3, 11, 16, 20] {
            assert_eq!(opens(&datagram(kind, 60, 60), 0), None, "{kind}");
        }
        let whole = datagram(1, 60, 60);
        for length in 0..whole.len() {
            assert_eq!(opens(&whole[..length], 0), None, "{length}");
        }
        // One byte more, another epoch, another message_seq, the versions of TLS, a session ID that is too long.
        assert_eq!(opens(&[&whole[..], &[0]].concat(), 0), None);
        for (at, value) in [(4, 1), (18, 3), (25, 3), (26, 3), (59, 33), (2, 3)] {
            let mut other = whole.clone();
            other[at] = value;
            assert_eq!(opens(&other, 0), None, "{at}");
        }
        assert_eq!(opens(&datagram(1, 37, 37), 0), None);
        // A part that is too close to the beginning to be another, and one that says it is longer than its record.
        let part = datagram(1, 200, 60);
        for (at, value) in [(21, 1), (24, 61)] {
            let mut other = part.clone();
            other[at] = value;
            assert_eq!(opens(&other, 0), None, "{at}");
        }
    }

    #[test]
    fn a_part_may_come_before_the_beginning() {
        let part = |kind| {
            let mut part = datagram(kind, 200, 60);
            part[21] = 140;
            part
        };
        assert_eq!(opens(&part(1), 0), Some(Opens::ClientPart));
        // The server's records begin with its hello, and nothing shows that this is one.
        assert_eq!(opens(&part(2), 0), None);
        // Beyond the end of its message.
        let mut beyond = part(1);
        beyond[21] = 141;
        assert_eq!(opens(&beyond, 0), None);
    }
}
