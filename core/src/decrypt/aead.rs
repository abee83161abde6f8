//! Opening with authenticated encryption, and a look at a single byte without.
//!
//! All of these encrypt by a key stream, so that one byte can be read without the rest of the record. Nothing is
//! concluded from such a byte but that the record need not be opened.

use std::fmt;
use std::sync::OnceLock;

use aes::{Aes128Enc, Aes256Enc};
use aes_gcm::AesGcm;
use aes_gcm::aead::consts::{U8, U12, U16};
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::aes::cipher::BlockCipherEncrypt;
use ccm::Ccm;
use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use chacha20poly1305::ChaCha20Poly1305;
use zeroize::Zeroizing;

use super::suite::AeadKind;

/// Longest key.
const KEY: usize = 32;

/// One key of one suite.
pub(super) struct Aead {
    kind: AeadKind,
    key: Zeroizing<[u8; KEY]>,
    /// Made when the first record is opened: many keys never open one.
    cipher: OnceLock<Box<dyn Open>>,
    /// Made when the first byte is looked at.
    stream: OnceLock<Option<BlockCipher>>,
}

/// The block cipher behind a key stream.
enum BlockCipher {
    Aes128(Box<Aes128Enc>),
    Aes256(Box<Aes256Enc>),
}

impl Clone for Aead {
    fn clone(&self) -> Self {
        Self::new(self.kind, self.key.as_slice())
    }
}

impl fmt::Debug for Aead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Aead({:?})", self.kind)
    }
}

/// An authenticated cipher with its key.
trait Open: Send + Sync {
    fn open(&self, nonce: &[u8; 12], data: &[u8], buffer: &mut [u8], tag: &[u8]) -> bool;
}

impl<A: AeadInOut + Send + Sync> Open for A {
    fn open(&self, nonce: &[u8; 12], data: &[u8], buffer: &mut [u8], tag: &[u8]) -> bool {
        let (Ok(nonce), Ok(tag)) = (nonce.as_slice().try_into(), tag.try_into()) else {
            return false;
        };
        self.decrypt_inout_detached(nonce, data, buffer.into(), tag).is_ok()
    }
}

impl Aead {
    /// With a key of [`AeadKind::key_length`] bytes.
    pub(super) fn new(kind: AeadKind, key: &[u8]) -> Self {
        let mut padded = Zeroizing::new([0; KEY]);
        padded.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
        Self {
            kind,
            key: padded,
            cipher: OnceLock::new(),
            stream: OnceLock::new(),
        }
    }

    #[cfg(test)]
    pub(super) fn key(&self) -> &[u8] {
        &self.key[..self.kind.key_length()]
    }

    pub(super) const fn tag_length(&self) -> usize {
        self.kind.tag_length()
    }

    /// Opens `buffer`, a ciphertext with its tag: what was protected, or nothing if the tag does not hold.
    pub(super) fn open<'b>(&self, nonce: &[u8; 12], data: &[u8], buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let length = buffer.len().checked_sub(self.tag_length())?;
        let (text, tag) = buffer.split_at_mut_checked(length)?;
        let cipher = if let Some(made) = self.cipher.get() {
            made
        } else {
            let made = self.make()?;
            self.cipher.get_or_init(|| made)
        };
        cipher.open(nonce, data, text, tag).then_some(&*text)
    }

    fn make(&self) -> Option<Box<dyn Open>> {
        let key = self.key.get(..self.kind.key_length())?;
        Some(match self.kind {
            AeadKind::Aes128Gcm => Box::new(AesGcm::<Aes128Enc, U12>::new_from_slice(key).ok()?),
            AeadKind::Aes256Gcm => Box::new(AesGcm::<Aes256Enc, U12>::new_from_slice(key).ok()?),
            AeadKind::Aes128Ccm => Box::new(Ccm::<Aes128Enc, U16, U12>::new_from_slice(key).ok()?),
            AeadKind::Aes256Ccm => Box::new(Ccm::<Aes256Enc, U16, U12>::new_from_slice(key).ok()?),
            AeadKind::Aes128Ccm8 => Box::new(Ccm::<Aes128Enc, U8, U12>::new_from_slice(key).ok()?),
            AeadKind::Aes256Ccm8 => Box::new(Ccm::<Aes256Enc, U8, U12>::new_from_slice(key).ok()?),
            AeadKind::ChaCha20Poly1305 => Box::new(ChaCha20Poly1305::new_from_slice(key).ok()?),
        })
    }

    /// Decrypts the one byte that stands at `offset` of the text, without any check.
    pub(super) fn look(&self, nonce: &[u8; 12], offset: u32, byte: u8) -> Option<u8> {
        let key = self.key.get(..self.kind.key_length())?;
        if self.kind == AeadKind::ChaCha20Poly1305 {
            let mut stream = ChaCha20::new_from_slices(key, nonce).ok()?;
            // The first block makes the key of the tag (RFC 8439 §2.8).
            stream.try_seek(64 + u64::from(offset)).ok()?;
            let mut text = [byte];
            stream.try_apply_keystream(&mut text).ok()?;
            return Some(text[0]);
        }
        let stream = self.stream.get_or_init(|| self.block()).as_ref()?;
        let mut block = counter_block(self.kind, nonce, offset / 16);
        match stream {
            BlockCipher::Aes128(cipher) => cipher.encrypt_block((&mut block).into()),
            BlockCipher::Aes256(cipher) => cipher.encrypt_block((&mut block).into()),
        }
        let at = usize::try_from(offset % 16).ok()?;
        Some(byte ^ block.get(at)?)
    }

    fn block(&self) -> Option<BlockCipher> {
        let key = self.key.get(..self.kind.key_length())?;
        match self.kind.key_length() {
            16 => Aes128Enc::new_from_slice(key)
                .ok()
                .map(|cipher| BlockCipher::Aes128(Box::new(cipher))),
            _ => Aes256Enc::new_from_slice(key)
                .ok()
                .map(|cipher| BlockCipher::Aes256(Box::new(cipher))),
        }
    }
}

/// The block whose encryption is the key stream of text block `number`: NIST SP 800-38D §7.2 (GCM, which uses counter 1
/// for the tag) and RFC 3610 §2.3 (CCM with a 3-byte length, which uses counter 0).
fn counter_block(kind: AeadKind, nonce: &[u8; 12], number: u32) -> [u8; 16] {
    let ccm = !matches!(kind, AeadKind::Aes128Gcm | AeadKind::Aes256Gcm);
    let (flags, counter): (&[u8], u32) = if ccm { (&[2], 1) } else { (&[], 2) };
    let counter = number.wrapping_add(counter).to_be_bytes();
    let mut block = [0; 16];
    let front = flags.iter().chain(nonce);
    block.iter_mut().zip(front).for_each(|(to, from)| *to = *from);
    // The counter fills what the nonce leaves.
    block
        .iter_mut()
        .skip(flags.len() + nonce.len())
        .rev()
        .zip(counter.iter().rev())
        .for_each(|(to, from)| *to = *from);
    block
}

#[cfg(test)]
mod tests {
    use super::super::testing::seal;
    use super::*;

    const KINDS: [AeadKind; 7] = [
        AeadKind::Aes128Gcm,
        AeadKind::Aes256Gcm,
        AeadKind::Aes128Ccm,
        AeadKind::Aes256Ccm,
        AeadKind::Aes128Ccm8,
        AeadKind::Aes256Ccm8,
        AeadKind::ChaCha20Poly1305,
    ];

    #[test]
    fn a_byte_looked_at_is_the_byte_of_the_opened_text() {
        let text: Vec<u8> = (0..=255).cycle().take(700).collect();
        for kind in KINDS {
            let key = [7; 32];
            let aead = Aead::new(kind, &key);
            let sealed = seal(kind, &key, &[3; 12], b"header", &text);
            for offset in [0_u16, 1, 15, 16, 63, 64, 65, 500, 699] {
                let byte = aead.look(&[3; 12], u32::from(offset), sealed[usize::from(offset)]);
                assert_eq!(byte, Some(text[usize::from(offset)]), "{kind:?} at {offset}");
            }
            let mut buffer = sealed.clone();
            assert_eq!(aead.open(&[3; 12], b"header", &mut buffer), Some(&text[..]), "{kind:?}");
        }
    }

    #[test]
    fn nothing_opens_but_what_is_authentic() {
        for kind in KINDS {
            let aead = Aead::new(kind, &[7; 32]);
            let sealed = seal(kind, &[7; 32], &[3; 12], b"header", b"text");
            for (nonce, data, flip) in [
                ([4; 12], &b"header"[..], None),
                ([3; 12], b"Header", None),
                ([3; 12], b"header", Some(0)),
                ([3; 12], b"header", Some(sealed.len() - 1)),
            ] {
                let mut buffer = sealed.clone();
                if let Some(flip) = flip {
                    buffer[flip] ^= 1;
                }
                assert_eq!(aead.open(&nonce, data, &mut buffer), None, "{kind:?}");
            }
            assert_eq!(
                aead.open(&[3; 12], b"header", &mut [0; 3]),
                None,
                "{kind:?}: shorter than a tag"
            );
        }
    }
}
