//! Records of DTLS 1.3 (RFC 9147 §4): the header names the epoch, and hides the number behind a cipher of its own.

use std::fmt;

use zeroize::Zeroizing;

use super::{ConnectionKeys, KeyState, Speaker, of};
use crate::decrypt::opener::Opener;
use crate::decrypt::packet::HeaderCipher;
use crate::decrypt::schedule::{DTLS, expand_labels_of};
use crate::decrypt::secret::Secret;
use crate::decrypt::store::{SecretKind, Secrets};
use crate::decrypt::suite::{self, Algorithm};
use crate::tls::record::{Content, Sealed};
use crate::tls::{AlertDescription, CipherSuite, ContentType, Reader};

/// A handshake message in front of its body (RFC 9147 §5.2): type, length, message_seq, fragment_offset, fragment_length.
const MESSAGE_HEADER: usize = 12;
/// RFC 9147 §4: the number has two bytes.
const LONG_NUMBER: u8 = 0b0000_1000;

/// The keys of a side, by epoch.
#[derive(Debug, Default)]
pub(super) struct Epochs {
    /// Of epoch 1, 2 and 3; those after a KeyUpdate are not opened.
    keys: [EpochState; 3],
}

/// A key is made with the first record of its epoch.
#[derive(Debug, Default)]
enum EpochState {
    #[default]
    NotAsked,
    Missing,
    Key(Box<EpochKey>),
}

/// The keys of one epoch.
struct EpochKey {
    opener: Opener,
    number: HeaderCipher,
    /// The number behind the highest that was opened.
    next: u64,
    /// Numbers below that one of which no record was opened.
    missing: u64,
    /// Which of the 64 numbers below it were opened, the highest first.
    window: u64,
}

impl fmt::Debug for EpochKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EpochKey({:?})", self.opener)
    }
}

impl EpochKey {
    fn of(suite: CipherSuite, secret: &Secret) -> Option<Self> {
        let (Some(Algorithm::Aead(kind)), Some(hash)) = (suite::algorithm(suite), suite.kdf_hash()) else {
            return None;
        };
        let mut key = Zeroizing::new([0; 32]);
        let key = key.get_mut(..kind.key_length())?;
        expand_labels_of(DTLS, hash, secret, [("sn", &mut *key)]);
        Some(Self {
            opener: Opener::dtls13(suite, secret)?,
            number: HeaderCipher::new(kind, key)?,
            next: 0,
            missing: 0,
            window: 0,
        })
    }

    /// Opens a record whose number stands at this place of its header.
    fn open(&mut self, header: &[u8], number_at: usize, body: &[u8], scratch: &mut Vec<u8>) -> Option<ContentType> {
        // RFC 9147 §4.2.3: the mask is made of the first bytes of what is encrypted.
        let mask = self.number.mask(body.first_chunk()?)?;
        let mut clear = header.to_vec();
        let bytes = if header.first()? & LONG_NUMBER == 0 { 1 } else { 2 };
        let mut low = 0;
        for (byte, mask) in clear.get_mut(number_at..number_at + bytes)?.iter_mut().zip(mask) {
            *byte ^= mask;
            low = low << 8 | u64::from(*byte);
        }
        let sequence = closest(self.next, low, 1 << (8 * bytes));
        let kind = self.opener.open_unified(&clear, body, sequence, scratch)?;
        self.count(sequence);
        Some(kind)
    }

    /// A record with this number was opened; the same one may come again.
    fn count(&mut self, sequence: u64) {
        let shift = |window: u64, by: u64| window.checked_shl(u32::try_from(by).unwrap_or(u32::MAX)).unwrap_or(0);
        if let Some(skipped) = sequence.checked_sub(self.next) {
            self.missing += skipped;
            self.window = shift(self.window, skipped + 1) | 1;
            self.next = sequence + 1;
            return;
        }
        let bit = shift(1, self.next - 1 - sequence);
        if bit != 0 && self.window & bit == 0 {
            self.window |= bit;
            self.missing -= 1;
        }
    }
}

/// The number that ends in these bits and is closest to the one that comes next (RFC 9147 §4.2.2).
const fn closest(next: u64, low: u64, span: u64) -> u64 {
    let same = next / span * span + low;
    if same > next + span / 2 && same >= span {
        same - span
    } else if same + span / 2 < next {
        same + span
    } else {
        same
    }
}

impl ConnectionKeys {
    /// Whether the numbers of the records of DTLS 1.3 that were opened show that some were not captured.
    #[must_use]
    pub fn has_lost_dtls13(&self, speaker: Speaker) -> bool {
        let [client, server] = &self.sides;
        let side = match speaker {
            Speaker::Client => client,
            Speaker::Server => server,
        };
        let lost = |epoch: &EpochState| matches!(epoch, EpochState::Key(key) if key.missing > 0);
        side.epochs.keys.iter().any(lost)
    }

    /// What a record of DTLS 1.3 holds. After [`Content::Handshake`], [`Keys::next_message`] gives the messages. `header`
    /// is as it was captured; `id` says how long the connection ID in it is.
    pub fn open_dtls13(
        &mut self,
        speaker: Speaker,
        (header, id): (&[u8], usize),
        record: &Sealed<'_>,
        epoch_bits: u8,
        secrets: &mut Secrets,
    ) -> Option<Content> {
        if !matches!(self.state, KeyState::Tls13) || !record.is_whole() {
            return None;
        }
        let kind = secret_of(speaker, epoch_bits)?;
        let (random, suite) = (self.proposal.as_ref()?.random, self.choice.as_ref()?.protection.suite);
        let Self { sides, scratch, .. } = self;
        let side = of(sides, speaker);
        let slot = side.epochs.keys.get_mut(usize::from(epoch_bits) - 1)?;
        if let EpochState::NotAsked = slot {
            let key = secrets
                .find(&random, kind)
                .and_then(|secret| EpochKey::of(suite, secret));
            *slot = key.map_or(EpochState::Missing, |key| EpochState::Key(Box::new(key)));
        }
        let EpochState::Key(key) = slot else { return None };
        let scratch = &mut scratch.0;
        let kind = key.open(header, 1 + id, record.body, scratch);
        side.direction.count(kind.is_some());
        Some(match (kind?, scratch.as_slice()) {
            (ContentType::APPLICATION_DATA, _) => Content::Data,
            (ContentType::ALERT, &[level, description]) => Content::Alert {
                fatal: level == 2,
                description: AlertDescription(description),
            },
            (ContentType::HANDSHAKE, fragments) => {
                push_fragments(side, fragments);
                Content::Handshake
            }
            _ => Content::Other,
        })
    }
}

/// Which secret protects an epoch (RFC 9147 §6.1).
const fn secret_of(speaker: Speaker, epoch_bits: u8) -> Option<SecretKind> {
    Some(match (speaker, epoch_bits) {
        (Speaker::Client, 1) => SecretKind::ClientEarly,
        (Speaker::Client, 2) => SecretKind::ClientHandshake,
        (Speaker::Server, 2) => SecretKind::ServerHandshake,
        (Speaker::Client, 3) => SecretKind::ClientApplication,
        (Speaker::Server, 3) => SecretKind::ServerApplication,
        _ => return None,
    })
}

/// Hands fragments on as TLS frames messages, where they come in order: what is lost of a message is lost with it.
fn push_fragments(side: &mut super::SideKeys, fragments: &[u8]) {
    let mut rest = fragments;
    while let Some((header, after)) = rest.split_first_chunk::<MESSAGE_HEADER>() {
        let mut places = Reader::new(header.get(6..).unwrap_or_default());
        let (Some(offset), Some(length)) = (places.u24(), places.u24()) else {
            return;
        };
        let (offset, length) = (offset as usize, length as usize);
        let Some((bytes, after)) = after.split_at_checked(length) else {
            return;
        };
        rest = after;
        if offset == 0 {
            side.messages.begin(header.get(..4).unwrap_or_default());
            side.received = 0;
        }
        // Sent again, or behind a hole.
        if offset != side.received {
            continue;
        }
        side.received += length;
        side.messages.push(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decrypt::secret::Secret;

    #[test]
    fn records_are_missing_whose_numbers_never_came() {
        let missing = |numbers: &[u64]| {
            let secret = Secret::new(&[7; 32]).expect("a secret");
            let mut key = EpochKey::of(CipherSuite(0x1301), &secret).expect("a key");
            for number in numbers {
                key.count(*number);
            }
            key.missing
        };
        assert_eq!(missing(&[0, 1, 2]), 0);
        assert_eq!(missing(&[0, 2, 3]), 1);
        assert_eq!(missing(&[2]), 2);
        // Late, and again.
        assert_eq!(missing(&[0, 2, 1, 1, 2]), 0);
        assert_eq!(missing(&[0, 0, 3, 1, 1, 3]), 1);
        // What comes later than that counts as missing.
        assert_eq!(missing(&[0, 2, 70, 1]), 1 + 67);
    }

    #[test]
    fn a_number_is_the_closest_that_ends_alike() {
        for (next, low, expected) in [
            (0, 0, 0),
            (0, 200, 200),
            (250, 1, 257),
            (257, 250, 250),
            (300, 44, 300),
            (1000, 232, 1000),
            (1000, 231, 999),
        ] {
            assert_eq!(closest(next, low, 256), expected, "{next} {low}");
        }
    }
}
