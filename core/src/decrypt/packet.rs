//! The keys of QUIC packets (RFC 9001 §5): header protection, and the payload behind it.
//!
//! Those of Initial packets come from a connection ID that stands in clear; the others from the traffic secrets of TLS.

use std::fmt;

use aes::{Aes128Enc, Aes256Enc};
use aes_gcm::aes::cipher::BlockCipherEncrypt;
use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::aead::Aead;
use super::connection::Speaker;
use super::schedule::expand_labels;
use super::secret::Secret;
use super::suite::{self, AeadKind, Algorithm};
use crate::datagram::kind::QUIC_V2;
use crate::tls::CipherSuite;
use crate::tls::cipher::KdfHash;

/// Bytes that header protection is made of, and how far behind the beginning of the packet number they stand
/// (RFC 9001 §5.4.2).
const SAMPLE: usize = 16;
const SAMPLE_AT: usize = 4;

/// Salt of Initial secrets (RFC 9001 §5.2).
const SALT_V1: [u8; 20] = [
    0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f,
    0x0a,
];
/// The same of version 2 (RFC 9369 §3.3.1).
const SALT_V2: [u8; 20] = [
    0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e,
    0xd9,
];
/// Keys and nonces of Retry packets (RFC 9001 §5.8, RFC 9369 §3.3.3).
const RETRY_V1: ([u8; 16], [u8; 12]) = (
    [
        0xbe, 0x0c, 0x69, 0x0b, 0x9f, 0x66, 0x57, 0x5a, 0x1d, 0x76, 0x6b, 0x54, 0xe3, 0x68, 0xc8, 0x4e,
    ],
    [0x46, 0x15, 0x99, 0xd3, 0x5d, 0x63, 0x2b, 0xf2, 0x23, 0x98, 0x25, 0xbb],
);
const RETRY_V2: ([u8; 16], [u8; 12]) = (
    [
        0x8f, 0xb4, 0xb0, 0x1b, 0x56, 0xac, 0x48, 0xe2, 0x60, 0xfb, 0xcb, 0xce, 0xad, 0x7c, 0xcc, 0x92,
    ],
    [0xd8, 0x69, 0x69, 0xbc, 0x2d, 0x7c, 0x6d, 0x99, 0x90, 0xef, 0xb0, 0x4a],
);

/// Buffers that are used again for every packet.
#[derive(Default)]
pub struct Scratch {
    header: Vec<u8>,
    text: Vec<u8>,
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scratch({} bytes)", self.text.len())
    }
}

impl Scratch {
    /// The frames of the packet that was opened last.
    #[must_use]
    pub fn frames(&self) -> &[u8] {
        &self.text
    }
}

/// A protected packet, and what is known of its number.
#[derive(Debug, Clone, Copy)]
pub struct ProtectedPacket<'a> {
    /// From the first byte of its header to its last.
    pub bytes: &'a [u8],
    /// Where the packet number stands.
    pub number_at: usize,
    /// The largest packet number that opened in this direction under this key.
    pub largest: Option<u64>,
}

/// The cipher of header protection (RFC 9001 §5.4.3, §5.4.4).
#[derive(Clone)]
pub(super) enum HeaderCipher {
    Aes128(Box<Aes128Enc>),
    Aes256(Box<Aes256Enc>),
    ChaCha20(Zeroizing<[u8; 32]>),
}

impl HeaderCipher {
    pub(super) fn new(kind: AeadKind, key: &[u8]) -> Option<Self> {
        Some(match (kind, kind.key_length()) {
            (AeadKind::ChaCha20Poly1305, _) => Self::ChaCha20(Zeroizing::new(*key.first_chunk()?)),
            (_, 16) => Self::Aes128(Box::new(Aes128Enc::new_from_slice(key).ok()?)),
            _ => Self::Aes256(Box::new(Aes256Enc::new_from_slice(key).ok()?)),
        })
    }

    pub(super) fn mask(&self, sample: &[u8; SAMPLE]) -> Option<[u8; 5]> {
        let mut block = *sample;
        match self {
            Self::Aes128(cipher) => cipher.encrypt_block((&mut block).into()),
            Self::Aes256(cipher) => cipher.encrypt_block((&mut block).into()),
            Self::ChaCha20(key) => {
                let (counter, nonce) = sample.split_first_chunk::<4>()?;
                let mut stream = ChaCha20::new_from_slices(key.as_slice(), nonce).ok()?;
                stream.try_seek(64 * u64::from(u32::from_le_bytes(*counter))).ok()?;
                let mut mask = [0; 5];
                stream.try_apply_keystream(&mut mask).ok()?;
                return Some(mask);
            }
        }
        block.first_chunk().copied()
    }
}

/// Opens the packets of one direction in one number space.
#[derive(Clone)]
pub struct PacketKey {
    header: HeaderCipher,
    aead: Aead,
    iv: Zeroizing<[u8; 12]>,
}

impl fmt::Debug for PacketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PacketKey({:?})", self.aead)
    }
}

impl PacketKey {
    /// For Initial packets of a client that chose this connection ID for its first one, or that a Retry gave it.
    #[must_use]
    pub fn initial(version: u32, destination: &[u8], speaker: Speaker) -> Option<Self> {
        let salt = if version == QUIC_V2 { SALT_V2 } else { SALT_V1 };
        let extract = Hmac::<Sha256>::new_from_slice(&salt).ok()?.chain_update(destination);
        let initial = Secret::new(&extract.finalize().into_bytes())?;
        let label = match speaker {
            Speaker::Client => "client in",
            Speaker::Server => "server in",
        };
        let secret = Secret::filled(32, |secret| {
            expand_labels(KdfHash::Sha256, &initial, [(label, secret)]);
        });
        Self::of(version, AeadKind::Aes128Gcm, KdfHash::Sha256, &secret)
    }

    /// For a traffic secret of TLS. `None` when secret and suite do not belong together, or the suite is not opened.
    pub(super) fn of_secret(version: u32, suite: CipherSuite, secret: &Secret) -> Option<Self> {
        let (Some(Algorithm::Aead(kind)), Some(hash)) = (suite::algorithm(suite), suite.kdf_hash()) else {
            return None;
        };
        if secret.bytes().len() != usize::from(hash.length()) {
            return None;
        }
        Self::of(version, kind, hash, secret)
    }

    fn of(version: u32, kind: AeadKind, hash: KdfHash, secret: &Secret) -> Option<Self> {
        // RFC 9369 §3.3.2: version 2 has labels of its own.
        let [key_label, iv_label, header_label] = if version == QUIC_V2 {
            ["quicv2 key", "quicv2 iv", "quicv2 hp"]
        } else {
            ["quic key", "quic iv", "quic hp"]
        };
        let [mut key, mut header] = [(); 2].map(|()| Zeroizing::new([0; 32]));
        let mut iv = Zeroizing::new([0; 12]);
        let (key, header) = (key.get_mut(..kind.key_length())?, header.get_mut(..kind.key_length())?);
        expand_labels(
            hash,
            secret,
            [
                (key_label, &mut *key),
                (iv_label, iv.as_mut_slice()),
                (header_label, &mut *header),
            ],
        );
        Some(Self {
            header: HeaderCipher::new(kind, header)?,
            aead: Aead::new(kind, key),
            iv,
        })
    }

    /// The key after a key update (RFC 9001 §6.1); header protection stays as it is.
    pub(super) fn updated(&self, version: u32, suite: CipherSuite, secret: &Secret) -> Option<Self> {
        Some(Self {
            header: self.header.clone(),
            ..Self::of_secret(version, suite, secret)?
        })
    }

    /// First byte without protection.
    pub(super) fn first_byte(&self, packet: &ProtectedPacket<'_>) -> Option<u8> {
        self.unmask(packet).map(|(first, _)| first)
    }

    /// First byte and mask of the packet number.
    fn unmask(&self, packet: &ProtectedPacket<'_>) -> Option<(u8, [u8; 4])> {
        let sample = packet.bytes.get(packet.number_at + SAMPLE_AT..)?.first_chunk()?;
        let [mask, number @ ..] = self.header.mask(sample)?;
        let first = *packet.bytes.first()?;
        // Of a long header four bits are protected, of a short one five (RFC 9001 §5.4.1).
        let bits = if first & 0x80 == 0 { 0x1f } else { 0x0f };
        Some((first ^ (mask & bits), number))
    }

    /// Opens a packet into `scratch`. Gives its number, or `None` when it is not authentic.
    pub fn open(&self, packet: &ProtectedPacket<'_>, scratch: &mut Scratch) -> Option<u64> {
        let (first, mask) = self.unmask(packet)?;
        let length = usize::from(first & 3) + 1;
        let (header, text) = packet.bytes.split_at_checked(packet.number_at + length)?;
        scratch.header.clear();
        scratch.header.extend_from_slice(header);
        *scratch.header.first_mut()? = first;
        let mut truncated = 0;
        for (byte, mask) in scratch.header.iter_mut().skip(packet.number_at).zip(mask) {
            *byte ^= mask;
            truncated = truncated << 8 | u64::from(*byte);
        }
        let numbers = candidates(truncated, length, packet.largest);
        numbers.into_iter().flatten().find(|number| {
            scratch.text.clear();
            scratch.text.extend_from_slice(text);
            let mut nonce = *self.iv;
            let own = nonce.iter_mut().skip(4);
            own.zip(number.to_be_bytes()).for_each(|(to, from)| *to ^= from);
            let opened = self.aead.open(&nonce, &scratch.header, &mut scratch.text);
            let opened = opened.map(<[u8]>::len);
            scratch.text.truncate(opened.unwrap_or(0));
            opened.is_some()
        })
    }
}

/// The tag of a Retry.
#[cfg(test)]
pub(crate) fn retry_tag(version: u32, original: &[u8], retry: &[u8]) -> Vec<u8> {
    use aes_gcm::aead::AeadInOut;
    let (key, nonce) = if version == QUIC_V2 { RETRY_V2 } else { RETRY_V1 };
    let length = u8::try_from(original.len()).expect("short");
    let pseudo = [&[length], original, retry].concat();
    let cipher = aes_gcm::Aes128Gcm::new_from_slice(&key).expect("AES-128");
    let tag = cipher.encrypt_inout_detached((&nonce).into(), &pseudo, (&mut [][..]).into());
    tag.expect("sealed").to_vec()
}

#[cfg(test)]
impl PacketKey {
    /// Protects a packet whose header ends with a packet number of four bytes.
    pub(crate) fn seal(&self, header: &[u8], number: u64, frames: &[u8]) -> Vec<u8> {
        use aes_gcm::aead::AeadInOut;
        let mut nonce = *self.iv;
        let own = nonce.iter_mut().skip(4);
        own.zip(number.to_be_bytes()).for_each(|(to, from)| *to ^= from);
        let mut text = frames.to_vec();
        let cipher = aes_gcm::Aes128Gcm::new_from_slice(self.aead.key()).expect("AES-128");
        let tag = cipher
            .encrypt_inout_detached((&nonce).into(), header, text.as_mut_slice().into())
            .expect("sealed");
        let mut packet = [header, &text, &tag].concat();
        let number_at = header.len() - 4;
        let sample = packet[number_at + SAMPLE_AT..].first_chunk().expect("a sample");
        let mask = self.header.mask(sample).expect("a mask");
        packet[0] ^= mask[0] & if packet[0] & 0x80 == 0 { 0x1f } else { 0x0f };
        for (byte, mask) in packet[number_at..].iter_mut().zip(&mask[1..]) {
            *byte ^= mask;
        }
        packet
    }
}

/// The packet numbers that a truncated one may stand for (RFC 9000 A.3): the one nearest to what comes next, and, where
/// packets were lost or reordered, those a window before and after it.
fn candidates(truncated: u64, length: usize, largest: Option<u64>) -> [Option<u64>; 3] {
    let Some(largest) = largest else {
        // Numbers begin at 0 in every space.
        return [Some(truncated), None, None];
    };
    let window = 1_u64 << (8 * length);
    let expected = largest + 1;
    let candidate = (expected & !(window - 1)) | truncated;
    let half = window / 2;
    let nearest = if candidate + half <= expected {
        candidate + window
    } else if candidate > expected + half && candidate >= window {
        candidate - window
    } else {
        candidate
    };
    [Some(nearest), nearest.checked_sub(window), nearest.checked_add(window)]
        // 2^62 - 1 is the last (RFC 9000 §12.3).
        .map(|number| number.filter(|number| *number < 1 << 62))
}

/// Whether a Retry answers an Initial that bore this connection ID: its last 16 bytes are a tag over that ID and the rest
/// (RFC 9001 §5.8).
#[must_use]
pub fn is_retry_authentic(version: u32, original: &[u8], retry: &[u8]) -> bool {
    let (key, nonce) = if version == QUIC_V2 { RETRY_V2 } else { RETRY_V1 };
    let (Some(length), Ok(id_length)) = (retry.len().checked_sub(16), u8::try_from(original.len())) else {
        return false;
    };
    let (body, tag) = retry.split_at(length);
    let mut pseudo = Vec::with_capacity(1 + original.len() + body.len());
    pseudo.push(id_length);
    pseudo.extend_from_slice(original);
    pseudo.extend_from_slice(body);
    let mut tag = tag.to_vec();
    Aead::new(AeadKind::Aes128Gcm, &key)
        .open(&nonce, &pseudo, &mut tag)
        .is_some()
}

#[cfg(test)]
mod tests;
