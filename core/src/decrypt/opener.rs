//! One key of one direction: the body of a record in, its content out.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

use super::aead::Aead;
use super::block::{BLOCK, Header, MacThenBlock, Material};
use super::schedule::{DTLS, TLS, expand_labels_of, prf};
use super::secret::Secret;
use super::suite::{self, AeadKind, Algorithm};
use crate::tls::cipher::Protection;
use crate::tls::record::Sealed;
use crate::tls::{CipherSuite, ContentType, ProtocolVersion};

/// Longest key material of TLS 1.2 and older: two MAC keys, two keys, two initialisation vectors.
const KEY_BLOCK: usize = 2 * (48 + 32 + BLOCK);

/// How the nonce of a record is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nonce {
    /// The sequence number onto the initialisation vector (RFC 8446 §5.3, RFC 7905 §2).
    Sequence,
    /// Four bytes of salt and eight bytes in the record (RFC 5288 §3, RFC 6655 §3).
    Explicit,
}

enum How {
    Aead {
        aead: Aead,
        iv: Zeroizing<[u8; 12]>,
        nonce: Nonce,
        /// TLS 1.3: the content type is inside, and the header is all the associated data.
        tls13: bool,
    },
    Mac(Box<MacThenBlock>),
}

/// Opens records of one direction.
pub(super) struct Opener(How);

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            How::Aead { aead, .. } => write!(f, "Opener({aead:?})"),
            How::Mac(mac) => write!(f, "Opener({mac:?})"),
        }
    }
}

impl Opener {
    /// For a traffic secret of TLS 1.3 (RFC 8446 §7.3). `None` when secret and suite do not belong together.
    pub(super) fn tls13(suite: CipherSuite, secret: &Secret) -> Option<Self> {
        Self::of_traffic(TLS, suite, secret)
    }

    /// The same for DTLS 1.3 (RFC 9147 §5.9).
    pub(super) fn dtls13(suite: CipherSuite, secret: &Secret) -> Option<Self> {
        Self::of_traffic(DTLS, suite, secret)
    }

    fn of_traffic(prefix: [u8; 6], suite: CipherSuite, secret: &Secret) -> Option<Self> {
        let (Some(Algorithm::Aead(kind)), Some(hash)) = (suite::algorithm(suite), suite.kdf_hash()) else {
            return None;
        };
        if secret.bytes().len() != usize::from(hash.length()) {
            return None;
        }
        let mut key = Zeroizing::new([0; 32]);
        let mut iv = Zeroizing::new([0; 12]);
        let key = key.get_mut(..kind.key_length())?;
        expand_labels_of(prefix, hash, secret, [("key", &mut *key), ("iv", iv.as_mut_slice())]);
        Some(Self(How::Aead {
            aead: Aead::new(kind, key),
            iv,
            nonce: Nonce::Sequence,
            tls13: true,
        }))
    }

    /// For a master secret of TLS 1.0 to 1.2: the keys of client and server (RFC 5246 §6.3). `None` when the suite is
    /// not opened.
    pub(super) fn tls12(
        protection: Protection,
        master: &Secret,
        client_random: &[u8; 32],
        server_random: &[u8; 32],
    ) -> Option<[Self; 2]> {
        let algorithm = suite::algorithm(protection.suite)?;
        let explicit_iv = protection.version > ProtocolVersion::TLS_1_0;
        let (mac_length, key_length, iv_length) = match algorithm {
            Algorithm::Aead(AeadKind::ChaCha20Poly1305) => (0, 32, 12),
            Algorithm::Aead(kind) => (0, kind.key_length(), 4),
            Algorithm::Mac(block, mac) => {
                let iv = if explicit_iv {
                    0
                } else {
                    block.map_or(0, suite::BlockKind::block_length)
                };
                (mac.length(), block.map_or(0, suite::BlockKind::key_length), iv)
            }
        };
        let mut block = [0; KEY_BLOCK];
        let length = 2 * (mac_length + key_length + iv_length);
        prf(
            suite::prf(protection)?,
            master.bytes(),
            "key expansion",
            [server_random, client_random],
            block.get_mut(..length)?,
        );
        let mut rest = block.as_slice();
        let mut two = |length: usize| {
            let (client, after) = rest.split_at(length);
            let (server, after) = after.split_at(length);
            rest = after;
            [client, server]
        };
        let (mac_keys, keys, ivs) = (two(mac_length), two(key_length), two(iv_length));
        let side = |at: usize| -> Option<Self> {
            let material = Material {
                mac_key: mac_keys.get(at)?,
                key: keys.get(at)?,
                iv: ivs.get(at)?,
            };
            Self::of(algorithm, &material, protection.encrypt_then_mac, explicit_iv)
        };
        let both = side(0).zip(side(1));
        block.zeroize();
        both.map(|(client, server)| [client, server])
    }

    pub(super) fn of(
        algorithm: Algorithm,
        material: &Material<'_>,
        encrypt_then_mac: bool,
        explicit_iv: bool,
    ) -> Option<Self> {
        Some(Self(match algorithm {
            Algorithm::Aead(kind) => {
                let mut iv = Zeroizing::new([0; 12]);
                iv.iter_mut().zip(material.iv).for_each(|(to, from)| *to = *from);
                How::Aead {
                    aead: Aead::new(kind, material.key),
                    iv,
                    nonce: if kind == AeadKind::ChaCha20Poly1305 {
                        Nonce::Sequence
                    } else {
                        Nonce::Explicit
                    },
                    tls13: false,
                }
            }
            Algorithm::Mac(block, mac) => How::Mac(Box::new(MacThenBlock::new(
                block,
                mac,
                material,
                encrypt_then_mac,
                explicit_iv,
            )?)),
        }))
    }

    /// Whether the end of every record must be seen to open the next.
    pub(super) const fn is_chained(&self) -> bool {
        match &self.0 {
            How::Aead { .. } => false,
            How::Mac(mac) => mac.is_chained(),
        }
    }

    /// Whether the next record cannot be opened because the end of the one before was not seen. With encrypt-then-MAC it would
    /// seem authentic all the same (RFC 7366), and its first block be wrong.
    pub(super) const fn is_unchained(&self) -> bool {
        match &self.0 {
            How::Aead { .. } => false,
            How::Mac(mac) => mac.is_unchained(),
        }
    }

    /// Records went by unseen.
    pub(super) const fn lose_chain(&mut self) {
        if let How::Mac(mac) = &mut self.0 {
            mac.lose_chain();
        }
    }

    /// A record went by, opened or not.
    pub(super) fn passed(&mut self, record: &Sealed<'_>) {
        if let How::Mac(mac) = &mut self.0 {
            mac.passed(record.body);
        }
    }

    /// Opens a record whose whole body is there. `scratch` then holds the content, without padding; gives its type, or
    /// `None` when it is not authentic.
    pub(super) fn open(&self, record: &Sealed<'_>, sequence: u64, scratch: &mut Vec<u8>) -> Option<ContentType> {
        scratch.clear();
        let [a, b] = record.version.0.to_be_bytes();
        match &self.0 {
            How::Aead { aead, iv, nonce, tls13 } => {
                let (nonce, text) = make_nonce(*nonce, iv, sequence, record.body)?;
                let length = text.len().checked_sub(aead.tag_length())?;
                let [c, d] = if *tls13 {
                    record.length.to_be_bytes()
                } else {
                    u16::try_from(length).ok()?.to_be_bytes()
                };
                scratch.extend_from_slice(text);
                if *tls13 {
                    aead.open(&nonce, &[record.content_type.0, a, b, c, d], scratch)?;
                    scratch.truncate(length);
                    return strip_inner_type(scratch);
                }
                // seq_num + type + version + length (RFC 5246 §6.2.3.3).
                let mut data = [0; 13];
                let parts = sequence
                    .to_be_bytes()
                    .into_iter()
                    .chain([record.content_type.0, a, b, c, d]);
                data.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
                aead.open(&nonce, &data, scratch)?;
                scratch.truncate(length);
            }
            How::Mac(mac) => {
                scratch.extend_from_slice(record.body);
                let header = Header {
                    sequence,
                    content_type: record.content_type,
                    version: record.version,
                };
                let content = mac.open(&header, scratch)?;
                scratch.truncate(content.end);
                scratch.drain(..content.start);
            }
        }
        Some(record.content_type)
    }

    /// The same for a record of DTLS 1.3 (RFC 9147 §4): the header with its number in clear is authenticated.
    pub(super) fn open_unified(
        &self,
        header: &[u8],
        body: &[u8],
        sequence: u64,
        scratch: &mut Vec<u8>,
    ) -> Option<ContentType> {
        let How::Aead {
            aead, iv, tls13: true, ..
        } = &self.0
        else {
            return None;
        };
        let (nonce, text) = make_nonce(Nonce::Sequence, iv, sequence, body)?;
        let length = text.len().checked_sub(aead.tag_length())?;
        scratch.clear();
        scratch.extend_from_slice(text);
        aead.open(&nonce, header, scratch)?;
        scratch.truncate(length);
        strip_inner_type(scratch)
    }

    /// The same for a record with a connection ID (RFC 9146 §5): the type is inside, and the ID is authenticated. Only for
    /// authenticated encryption.
    pub(super) fn open_with_id(
        &self,
        record: &Sealed<'_>,
        id: &[u8],
        sequence: u64,
        scratch: &mut Vec<u8>,
    ) -> Option<ContentType> {
        let How::Aead {
            aead,
            iv,
            nonce,
            tls13: false,
        } = &self.0
        else {
            return None;
        };
        let (nonce, text) = make_nonce(*nonce, iv, sequence, record.body)?;
        let length = text.len().checked_sub(aead.tag_length())?;
        let kind = record.content_type.0;
        // seq_num_placeholder + tls12_cid + cid_length + tls12_cid + version + epoch + sequence_number + cid + length.
        let mut data = vec![0xff; 8];
        data.extend([kind, u8::try_from(id.len()).ok()?, kind]);
        data.extend(record.version.0.to_be_bytes());
        data.extend(sequence.to_be_bytes());
        data.extend(id);
        data.extend(u16::try_from(length).ok()?.to_be_bytes());
        scratch.clear();
        scratch.extend_from_slice(text);
        aead.open(&nonce, &data, scratch)?;
        scratch.truncate(length);
        strip_inner_type(scratch)
    }

    /// The last byte of a TLS 1.3 record's content before its tag, without any check: the content type where the
    /// record is not padded.
    pub(super) fn look_at_type(&self, record: &Sealed<'_>, sequence: u64) -> Option<ContentType> {
        let How::Aead {
            aead,
            iv,
            nonce: Nonce::Sequence,
            tls13: true,
        } = &self.0
        else {
            return None;
        };
        let tag = aead.tag_length();
        let offset = usize::from(record.length).checked_sub(tag + 1)?;
        let byte = *record.body.get(record.body.len().checked_sub(tag + 1)?)?;
        let (nonce, _) = make_nonce(Nonce::Sequence, iv, sequence, &[])?;
        aead.look(&nonce, u32::try_from(offset).ok()?, byte).map(ContentType)
    }
}

/// The nonce of a record, and what follows an explicit part of it.
fn make_nonce<'b>(form: Nonce, iv: &[u8; 12], sequence: u64, body: &'b [u8]) -> Option<([u8; 12], &'b [u8])> {
    let mut nonce = *iv;
    match form {
        Nonce::Sequence => {
            let own = nonce.iter_mut().skip(4);
            own.zip(sequence.to_be_bytes()).for_each(|(to, from)| *to ^= from);
            Some((nonce, body))
        }
        Nonce::Explicit => {
            let (explicit, text) = body.split_first_chunk::<8>()?;
            nonce
                .iter_mut()
                .skip(4)
                .zip(explicit)
                .for_each(|(to, from)| *to = *from);
            Some((nonce, text))
        }
    }
}

/// TLSInnerPlaintext (RFC 8446 §5.2): content, type, zeros.
fn strip_inner_type(text: &mut Vec<u8>) -> Option<ContentType> {
    let end = text.iter().rposition(|byte| *byte != 0)?;
    let kind = ContentType(*text.get(end)?);
    text.truncate(end);
    Some(kind)
}
