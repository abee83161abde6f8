//! Other bytes for a session ID, ticket or PSK identity.
//!
//! Verdicts compare the first bytes of tickets: equal ones are the name of a key or an IV. So the first bytes are
//! replaced piece by piece, each by a permutation that the bytes before it and the key choose: tickets that begin alike
//! still do, to the same byte, and tickets that differ still differ. What is no name stays what it was: a name of zero
//! bytes, which a finding tells of in words, and a length field, which follows from the length.

use super::prf::Prf;
use reshake_core::session::{CredentialFingerprint, Mechanism};

/// Where a piece ends that verdicts compare: names of 4 and 16 bytes, 2 and 12 bytes behind either, an IV behind 16.
const PIECES: [usize; 7] = [4, 6, 16, 18, 28, 32, CredentialFingerprint::HEAD];
/// Bytes of a whole key name.
const NAME: usize = 16;

/// The other name of a credential.
pub(super) fn alias(prf: &Prf, mechanism: Mechanism, name: &CredentialFingerprint) -> CredentialFingerprint {
    let sha256 = prf.draw("credential", &[&name.sha256]);
    let head = match mechanism {
        // All of its bytes stand in the head, and nothing compares their beginnings.
        Mechanism::SessionId => whole(prf, &name.sha256),
        Mechanism::Ticket | Mechanism::Psk => pieces(prf, name),
    };
    CredentialFingerprint { sha256, head, ..*name }
}

fn whole(prf: &Prf, digest: &[u8]) -> [u8; CredentialFingerprint::HEAD] {
    let mut head = [0; CredentialFingerprint::HEAD];
    let drawn = [0, 1].map(|half| prf.draw("session-id", &[digest, &[half]]));
    head.iter_mut()
        .zip(drawn.as_flattened())
        .for_each(|(to, from)| *to = *from);
    head
}

fn pieces(prf: &Prf, name: &CredentialFingerprint) -> [u8; CredentialFingerprint::HEAD] {
    let mut head = name.head;
    let mut start = 0;
    for end in PIECES {
        let (before, rest) = name.head.split_at(start);
        let Some(piece) = rest.get(..end - start) else { break };
        if let Some(space) = head.get_mut(start..end) {
            permute(prf, before, piece, space);
        }
        start = end;
    }
    if name.head.iter().take(NAME).all(|byte| *byte == 0) {
        head.iter_mut().take(NAME).for_each(|byte| *byte = 0);
    }
    if name.has_length_field() {
        head.iter_mut()
            .zip(&name.head)
            .skip(32)
            .take(2)
            .for_each(|(to, from)| *to = *from);
    } else if (CredentialFingerprint { head, ..*name }).has_length_field() {
        // Once in 32,768 tickets: what is none must not look like one.
        head.iter_mut().skip(32).take(1).for_each(|byte| *byte ^= 0x80);
    }
    head
}

/// Rounds of the Feistel network; four make a permutation that cannot be told from a random one (Luby and Rackoff).
const ROUNDS: u8 = 4;

/// A permutation of pieces of this length, chosen by what stands before. Pieces have an even length.
fn permute(prf: &Prf, before: &[u8], piece: &[u8], space: &mut [u8]) {
    space.copy_from_slice(piece);
    let (mut left, mut right) = space.split_at_mut(piece.len() / 2);
    for round in 0..ROUNDS {
        let drawn = prf.draw("ticket", &[before, right, &[round]]);
        left.iter_mut().zip(drawn).for_each(|(byte, drawn)| *byte ^= drawn);
        std::mem::swap(&mut left, &mut right);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(bytes: &[u8]) -> CredentialFingerprint {
        alias(&Prf::testing(1), Mechanism::Ticket, &CredentialFingerprint::of(bytes))
    }

    fn numbered(change: &[(usize, u8)]) -> Vec<u8> {
        let mut bytes: Vec<u8> = (1..=200).collect();
        for (at, value) in change {
            bytes[*at] = *value;
        }
        bytes
    }

    #[test]
    fn tickets_that_begin_alike_still_do_to_the_same_piece() {
        let first = ticket(&numbered(&[]));
        for (index, start) in [0].iter().chain(&PIECES[..PIECES.len() - 1]).enumerate() {
            let other = ticket(&numbered(&[(*start, 0xee)]));
            assert_eq!(first.head[..*start], other.head[..*start]);
            for end in &PIECES[index..] {
                assert_ne!(first.head[..*end], other.head[..*end], "{start} {end}");
            }
        }
    }

    #[test]
    fn no_two_short_pieces_become_one() {
        let mut met = std::collections::HashSet::new();
        for value in 0..=u16::MAX {
            let mut space = [0; 2];
            permute(&Prf::testing(1), b"before", &value.to_be_bytes(), &mut space);
            assert!(met.insert(space));
        }
    }

    #[test]
    fn nothing_of_the_original_is_left() {
        let bytes = numbered(&[]);
        for mechanism in [Mechanism::SessionId, Mechanism::Ticket, Mechanism::Psk] {
            let name = CredentialFingerprint::of(&bytes);
            let other = alias(&Prf::testing(1), mechanism, &name);
            assert_ne!(other.sha256, name.sha256);
            assert_eq!((other.length, other.seal), (name.length, name.seal));
            for window in bytes.windows(4) {
                assert!(!other.head.windows(4).any(|shown| shown == window));
            }
        }
    }

    #[test]
    fn what_findings_read_off_a_ticket_stays() {
        let mut zero = numbered(&[]);
        zero[..16].fill(0);
        assert_eq!(ticket(&zero).head[..16], [0; 16]);
        let mut sized = numbered(&[]);
        sized[32..34].copy_from_slice(&(200_u16 - 54).to_be_bytes());
        assert!(CredentialFingerprint::of(&sized).has_length_field() && ticket(&sized).has_length_field());
        assert!(!ticket(&numbered(&[])).has_length_field());
    }
}
