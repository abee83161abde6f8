//! Opening with a block cipher and a MAC: MAC-then-encrypt (RFC 5246 §6.2.3.2), encrypt-then-MAC (RFC 7366), and the
//! suites that only authenticate (§6.2.3.1). Whoever reads a capture leaks nothing by timing: comparisons are plain.

use std::fmt;
use std::ops::Range;

use aes::{Aes128, Aes256};
use camellia::{Camellia128, Camellia256};
use cbc::Decryptor;
use cbc::cipher::{Block, BlockCipherDecrypt, BlockModeDecrypt, InnerIvInit};
use des::TdesEde3;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Sha256, Sha384};

use super::suite::{BlockKind, MacKind};
use crate::tls::{ContentType, ProtocolVersion};

/// Longest block.
pub(super) const BLOCK: usize = 16;

enum Cipher {
    Null,
    Aes128(Box<Aes128>),
    Aes256(Box<Aes256>),
    TripleDes(Box<TdesEde3>),
    Camellia128(Box<Camellia128>),
    Camellia256(Box<Camellia256>),
}

enum Hash {
    Md5(Hmac<Md5>),
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
}

/// What the MAC covers beside the content (RFC 5246 §6.2.3.1).
pub(super) struct Header {
    pub(super) sequence: u64,
    pub(super) content_type: ContentType,
    /// As it stands in the record.
    pub(super) version: ProtocolVersion,
}

/// Keys of one direction.
pub(super) struct MacThenBlock {
    cipher: Cipher,
    block: usize,
    mac: Hash,
    mac_length: usize,
    encrypt_then_mac: bool,
    /// Each record begins with its own initialisation vector: TLS 1.1 and later.
    explicit_iv: bool,
    /// TLS 1.0: the last block of the record before, or what the key schedule gave; `None` where that was lost.
    chain: Option<[u8; BLOCK]>,
}

impl fmt::Debug for MacThenBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacThenBlock")
    }
}

/// The key material of one direction.
pub(super) struct Material<'a> {
    pub(super) mac_key: &'a [u8],
    pub(super) key: &'a [u8],
    /// Empty but in TLS 1.0.
    pub(super) iv: &'a [u8],
}

impl MacThenBlock {
    pub(super) fn new(
        block: Option<BlockKind>,
        mac: MacKind,
        material: &Material<'_>,
        encrypt_then_mac: bool,
        explicit_iv: bool,
    ) -> Option<Self> {
        let key = material.key;
        let mut chain = [0; BLOCK];
        chain.iter_mut().zip(material.iv).for_each(|(to, from)| *to = *from);
        Some(Self {
            cipher: match block {
                None => Cipher::Null,
                Some(BlockKind::Aes128) => Cipher::Aes128(Box::new(Aes128::new_from_slice(key).ok()?)),
                Some(BlockKind::Aes256) => Cipher::Aes256(Box::new(Aes256::new_from_slice(key).ok()?)),
                Some(BlockKind::TripleDes) => Cipher::TripleDes(Box::new(TdesEde3::new_from_slice(key).ok()?)),
                Some(BlockKind::Camellia128) => Cipher::Camellia128(Box::new(Camellia128::new_from_slice(key).ok()?)),
                Some(BlockKind::Camellia256) => Cipher::Camellia256(Box::new(Camellia256::new_from_slice(key).ok()?)),
            },
            block: block.map_or(0, BlockKind::block_length),
            mac: match mac {
                MacKind::Md5 => Hash::Md5(KeyInit::new_from_slice(material.mac_key).ok()?),
                MacKind::Sha1 => Hash::Sha1(KeyInit::new_from_slice(material.mac_key).ok()?),
                MacKind::Sha256 => Hash::Sha256(KeyInit::new_from_slice(material.mac_key).ok()?),
                MacKind::Sha384 => Hash::Sha384(KeyInit::new_from_slice(material.mac_key).ok()?),
            },
            mac_length: mac.length(),
            // RFC 7366 §3: only for block ciphers.
            encrypt_then_mac: encrypt_then_mac && block.is_some(),
            explicit_iv,
            chain: Some(chain),
        })
    }

    /// Whether the end of every record must be seen to open the next.
    pub(super) const fn is_chained(&self) -> bool {
        self.block > 0 && !self.explicit_iv
    }

    /// Whether the block that the next record is chained to is missing.
    pub(super) const fn is_unchained(&self) -> bool {
        self.is_chained() && self.chain.is_none()
    }

    /// Records went by unseen.
    pub(super) const fn lose_chain(&mut self) {
        self.chain = None;
    }

    /// A record went by: `end` is what is there of its last bytes, as it was sent.
    pub(super) fn passed(&mut self, end: &[u8]) {
        if !self.is_chained() {
            return;
        }
        let outside = if self.encrypt_then_mac { self.mac_length } else { 0 };
        let last = end
            .len()
            .checked_sub(outside)
            .and_then(|end_of_text| end.get(end_of_text.checked_sub(self.block)?..end_of_text));
        self.chain = last.map(|last| {
            let mut chain = [0; BLOCK];
            chain.iter_mut().zip(last).for_each(|(to, from)| *to = *from);
            chain
        });
    }

    /// Opens the body of a record in `buffer`: where the content then stands in it, or nothing if the MAC does not
    /// hold.
    pub(super) fn open(&self, header: &Header, buffer: &mut [u8]) -> Option<Range<usize>> {
        if self.block == 0 {
            let length = buffer.len().checked_sub(self.mac_length)?;
            let (content, mac) = buffer.split_at_checked(length)?;
            return self.holds(header, content, mac).then_some(0..length);
        }
        let start = if self.explicit_iv { self.block } else { 0 };
        if self.encrypt_then_mac {
            let length = buffer.len().checked_sub(self.mac_length)?;
            let (text, mac) = buffer.split_at_mut_checked(length)?;
            if !self.holds(header, text, mac) {
                return None;
            }
            let content = without_padding(self.decrypt(text)?)?;
            return Some(start..start + content.len());
        }
        let plain = without_padding(self.decrypt(buffer)?)?;
        let length = plain.len().checked_sub(self.mac_length)?;
        let (content, mac) = plain.split_at_checked(length)?;
        self.holds(header, content, mac).then_some(start..start + length)
    }

    /// Decrypts in place what follows the initialisation vector.
    fn decrypt<'b>(&self, body: &'b mut [u8]) -> Option<&'b [u8]> {
        let (own, text) = body.split_at_mut_checked(if self.explicit_iv { self.block } else { 0 })?;
        let iv = if self.explicit_iv {
            &*own
        } else {
            self.chain.as_ref()?.get(..self.block)?
        };
        let whole = match &self.cipher {
            Cipher::Null => None,
            Cipher::Aes128(cipher) => decrypt(&**cipher, iv, text),
            Cipher::Aes256(cipher) => decrypt(&**cipher, iv, text),
            Cipher::TripleDes(cipher) => decrypt(&**cipher, iv, text),
            Cipher::Camellia128(cipher) => decrypt(&**cipher, iv, text),
            Cipher::Camellia256(cipher) => decrypt(&**cipher, iv, text),
        };
        whole.map(|()| &*text)
    }

    fn holds(&self, header: &Header, content: &[u8], mac: &[u8]) -> bool {
        let Ok(length) = u16::try_from(content.len()) else {
            return false;
        };
        let parts: [&[u8]; 5] = [
            &header.sequence.to_be_bytes(),
            &[header.content_type.0],
            &header.version.0.to_be_bytes(),
            &length.to_be_bytes(),
            content,
        ];
        match &self.mac {
            Hash::Md5(keyed) => verify(keyed, &parts, mac),
            Hash::Sha1(keyed) => verify(keyed, &parts, mac),
            Hash::Sha256(keyed) => verify(keyed, &parts, mac),
            Hash::Sha384(keyed) => verify(keyed, &parts, mac),
        }
    }
}

fn verify<M: Mac + Clone>(keyed: &M, parts: &[&[u8]], mac: &[u8]) -> bool {
    let mut own = keyed.clone();
    for part in parts {
        own.update(part);
    }
    own.verify_slice(mac).is_ok()
}

/// Decrypts whole blocks in place; `None` when the text is not made of them.
fn decrypt<C: BlockCipherDecrypt>(cipher: &C, iv: &[u8], text: &mut [u8]) -> Option<()> {
    let mut mode = Decryptor::inner_iv_slice_init(cipher, iv).ok()?;
    let (blocks, rest) = Block::<C>::slice_as_chunks_mut(text);
    if blocks.is_empty() || !rest.is_empty() {
        return None;
    }
    mode.decrypt_blocks(blocks);
    Some(())
}

/// Each byte of the padding, and its length at the end, is that length (RFC 5246 §6.2.3.2).
fn without_padding(text: &[u8]) -> Option<&[u8]> {
    let last = *text.last()?;
    let content = text.len().checked_sub(usize::from(last) + 1)?;
    let (content, padding) = text.split_at_checked(content)?;
    padding.iter().all(|byte| *byte == last).then_some(content)
}

#[cfg(test)]
mod tests {
    use cbc::Encryptor;
    use cbc::cipher::{BlockCipherEncrypt, BlockModeEncrypt, KeyIvInit};

    use super::*;

    const HEADER: Header = Header {
        sequence: 5,
        content_type: ContentType::ALERT,
        version: ProtocolVersion::TLS_1_2,
    };
    const MAC_KEY: [u8; 20] = [1; 20];
    const IV: [u8; 16] = [9; 16];

    fn open(opener: &MacThenBlock, header: &Header, sealed: &[u8]) -> Option<Vec<u8>> {
        let mut buffer = sealed.to_vec();
        let content = opener.open(header, &mut buffer)?;
        Some(buffer[content].to_vec())
    }

    fn mac(content: &[u8]) -> Vec<u8> {
        let mut mac: Hmac<Sha1> = KeyInit::new_from_slice(&MAC_KEY).expect("a key");
        mac.update(&[
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            5,
            21,
            3,
            3,
            0,
            u8::try_from(content.len()).expect("short"),
        ]);
        mac.update(content);
        mac.finalize().into_bytes().to_vec()
    }

    fn encrypt<C: BlockCipherEncrypt + cbc::cipher::KeyInit>(key: &[u8], mut text: Vec<u8>) -> Vec<u8> {
        let block = C::block_size();
        let padding = u8::try_from(block - 1 - text.len() % block).expect("short");
        text.extend(std::iter::repeat_n(padding, usize::from(padding) + 1));
        let mut mode = Encryptor::<C>::new_from_slices(key, &IV[..block]).expect("a key");
        let (blocks, rest) = Block::<C>::slice_as_chunks_mut(&mut text);
        assert!(rest.is_empty());
        mode.encrypt_blocks(blocks);
        text
    }

    fn check<C: BlockCipherEncrypt + cbc::cipher::KeyInit>(kind: BlockKind) {
        let key = [2; 32];
        let key = &key[..kind.key_length()];
        let iv = &IV[..kind.block_length()];
        for (encrypt_then_mac, explicit_iv) in [(false, false), (false, true), (true, false), (true, true)] {
            let own_iv = if explicit_iv { iv } else { &[] };
            let sealed = if encrypt_then_mac {
                let text = [own_iv, &encrypt::<C>(key, vec![1, 0])].concat();
                let mut mac_over = text.clone();
                let mac = mac(&text);
                mac_over.extend(mac);
                mac_over
            } else {
                [own_iv, &encrypt::<C>(key, [&[1, 0][..], &mac(&[1, 0])].concat())].concat()
            };
            let material = Material {
                mac_key: &MAC_KEY,
                key,
                iv,
            };
            let opener = MacThenBlock::new(Some(kind), MacKind::Sha1, &material, encrypt_then_mac, explicit_iv)
                .expect("keys of the right length");
            let case = format!("{kind:?} encrypt-then-MAC {encrypt_then_mac} explicit {explicit_iv}");
            assert_eq!(open(&opener, &HEADER, &sealed), Some(vec![1, 0]), "{case}");
            for at in 0..sealed.len() {
                let mut wrong = sealed.clone();
                wrong[at] ^= 0x10;
                assert_eq!(open(&opener, &HEADER, &wrong), None, "{case}: byte {at} changed");
            }
            let later = Header { sequence: 6, ..HEADER };
            assert_eq!(open(&opener, &later, &sealed), None, "{case}: another record");
            for length in 0..sealed.len() {
                assert_eq!(open(&opener, &HEADER, &sealed[..length]), None, "{case}: cut");
            }
        }
    }

    #[test]
    fn every_block_cipher_opens_what_is_authentic_and_nothing_else() {
        check::<Aes128>(BlockKind::Aes128);
        check::<Aes256>(BlockKind::Aes256);
        check::<TdesEde3>(BlockKind::TripleDes);
        check::<Camellia128>(BlockKind::Camellia128);
        check::<Camellia256>(BlockKind::Camellia256);
    }

    #[test]
    fn a_null_suite_is_authenticated_too() {
        let material = Material {
            mac_key: &MAC_KEY,
            key: &[],
            iv: &[],
        };
        let opener = MacThenBlock::new(None, MacKind::Sha1, &material, true, true).expect("a key");
        let mut sealed = [&[1, 0][..], &mac(&[1, 0])].concat();
        assert_eq!(open(&opener, &HEADER, &sealed), Some(vec![1, 0]));
        sealed[1] = 1;
        assert_eq!(open(&opener, &HEADER, &sealed), None);
    }

    #[test]
    fn the_chain_of_tls10_is_the_last_block_of_the_text() {
        let material = Material {
            mac_key: &MAC_KEY,
            key: &[2; 16],
            iv: &[9; 16],
        };
        for (encrypt_then_mac, outside) in [(false, 0), (true, 20)] {
            let mut opener = MacThenBlock::new(
                Some(BlockKind::Aes128),
                MacKind::Sha1,
                &material,
                encrypt_then_mac,
                false,
            )
            .expect("keys");
            let mut end: Vec<u8> = (0..32).collect();
            end.extend(vec![0xff; outside]);
            opener.passed(&end);
            assert_eq!(opener.chain.map(|chain| chain.to_vec()), Some((16..32).collect()));
            opener.passed(&[1, 2]);
            assert_eq!(opener.chain, None, "the end of the record was lost");
        }
    }
}
