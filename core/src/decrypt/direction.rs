//! The reading state of one direction: which key protects its records, and how many went by under it.

use super::opener::Opener;
use crate::tls::ContentType;
use crate::tls::record::Sealed;

/// Sequence numbers tried after lost bytes: enough for 64 MB of full records.
const SEARCH: u64 = 4096;
/// Sequence numbers tried on one direction in all, so that a capture full of holes costs no more than a large one.
const SEARCHES: u64 = 4 * SEARCH;
/// Longest record that is used to find the sequence number again: each try costs as much as opening it.
const MAX_SEARCHED_BYTES: u16 = 1024;
/// Records that fail at the start of a direction before its key is taken for a wrong one.
const WRONG_AFTER: u32 = 3;

/// One direction under one key.
#[derive(Debug, Default)]
pub(super) struct KeyedDirection {
    opener: Option<Opener>,
    /// Sequence number of the next record; the least that it can be after bytes were lost.
    sequence: u64,
    /// How many more records may have gone by.
    slack: u64,
    searched: u64,
    /// A record opened under this key, and none was lost since: key and sequence number are right.
    in_step: bool,
    /// Records opened, and records that should have and did not.
    opened: u32,
    failed: u32,
    /// Of those, the ones in a row since the last that opened.
    failed_in_row: u32,
}

impl KeyedDirection {
    /// From here on this key protects the records; `None` where it is not known.
    pub(super) fn install(&mut self, opener: Option<Opener>) {
        self.opener = opener;
        self.sequence = 0;
        self.slack = 0;
        self.in_step = false;
    }

    /// The same, where bytes were lost since the last record: some of them may be under the new key.
    pub(super) fn succeed(&mut self, opener: Option<Opener>) {
        let slack = self.slack;
        self.install(opener);
        self.slack = slack;
    }

    pub(super) const fn has_key(&self) -> bool {
        self.opener.is_some()
    }

    /// Whether the end of every record must be seen to open the next.
    pub(super) fn is_chained(&self) -> bool {
        self.opener.as_ref().is_some_and(Opener::is_chained)
    }

    /// So many bytes were lost with the boundaries of the records in them.
    pub(super) fn lose(&mut self, bytes: u64) {
        // No record is shorter than header, type and tag.
        self.slack = self.slack.saturating_add(bytes / 22 + 1).min(SEARCH);
        self.in_step = false;
        if let Some(opener) = &mut self.opener {
            opener.lose_chain();
        }
    }

    /// As many records may have gone by as under another key.
    pub(super) const fn lose_as(&mut self, other: &Self) {
        self.slack = other.slack;
    }

    /// Whether records may have gone by unseen.
    pub(super) const fn has_lost(&self) -> bool {
        self.slack > 0
    }

    /// Opened, and failed, so far.
    pub(super) const fn counts(&self) -> (u32, u32) {
        (self.opened, self.failed)
    }

    /// The type of a TLS 1.3 record that is as good as certainly data, without opening it. Only where the last record
    /// opened: then a wrong key or number is out of the question.
    pub(super) fn look(&self, record: &Sealed<'_>) -> Option<ContentType> {
        let opener = self.opener.as_ref().filter(|_| self.in_step)?;
        opener.look_at_type(record, self.sequence)
    }

    /// A record went by that is not opened.
    pub(super) fn pass(&mut self, record: &Sealed<'_>) {
        self.sequence += 1;
        if let Some(opener) = &mut self.opener {
            opener.passed(record);
        }
    }

    /// A record went by before this key was made.
    pub(super) const fn pass_unseen(&mut self) {
        self.sequence += 1;
    }

    /// A record that may be protected otherwise, as early data is: it counts only when it opens.
    pub(super) fn attempt(&mut self, record: &Sealed<'_>, scratch: &mut Vec<u8>) -> Option<ContentType> {
        let opener = self.opener.as_ref()?;
        let kind = opener.open(record, self.sequence, scratch)?;
        self.opened(0, record);
        Some(kind)
    }

    /// Counts a record that was opened elsewhere, or was not.
    pub(super) const fn count(&mut self, opened: bool) {
        if opened {
            self.opened += 1;
        } else {
            self.failed += 1;
        }
    }

    /// Opens a record that bears its number (DTLS), and perhaps a connection ID: there is nothing to search for.
    pub(super) fn open_numbered(
        &mut self,
        record: &Sealed<'_>,
        number: u64,
        id: Option<&[u8]>,
        scratch: &mut Vec<u8>,
    ) -> Option<ContentType> {
        let opener = self.opener.as_ref()?;
        let given_up = self.opened == 0 && self.failed_in_row >= WRONG_AFTER;
        if !record.is_whole() || given_up {
            return None;
        }
        let kind = match id {
            Some(id) => opener.open_with_id(record, id, number, scratch),
            None => opener.open(record, number, scratch),
        };
        if kind.is_some() {
            self.opened += 1;
            self.failed_in_row = 0;
        } else {
            self.failed += 1;
            self.failed_in_row += 1;
        }
        kind
    }

    /// Opens a record, searching for its number after a loss.
    pub(super) fn open(&mut self, record: &Sealed<'_>, scratch: &mut Vec<u8>) -> Option<ContentType> {
        let opener = self.opener.as_ref()?;
        let given_up = self.opened == 0 && self.failed_in_row >= WRONG_AFTER;
        if !record.is_whole() || given_up || opener.is_unchained() {
            self.pass(record);
            return None;
        }
        let search = if record.length <= MAX_SEARCHED_BYTES {
            self.slack.min(SEARCHES.saturating_sub(self.searched))
        } else {
            0
        };
        let found = (0..=search).find_map(|skipped| {
            let kind = opener.open(record, self.sequence + skipped, scratch)?;
            Some((skipped, kind))
        });
        self.searched += found.map_or(search, |(skipped, _)| skipped);
        if let Some((skipped, kind)) = found {
            self.opened(skipped, record);
            return Some(kind);
        }
        self.failed += 1;
        self.failed_in_row += 1;
        self.in_step = false;
        self.pass(record);
        None
    }

    fn opened(&mut self, skipped: u64, record: &Sealed<'_>) {
        self.sequence += skipped;
        self.slack = 0;
        self.in_step = true;
        self.opened += 1;
        self.failed_in_row = 0;
        self.pass(record);
    }
}

#[cfg(test)]
mod tests {
    use aes::Aes128;
    use cbc::Encryptor;
    use cbc::cipher::{Block, BlockModeEncrypt, KeyIvInit};
    use hmac::{Hmac, KeyInit, Mac};
    use sha1::Sha1;

    use crate::decrypt::block::Material;
    use crate::decrypt::suite::{Algorithm, BlockKind, MacKind};
    use crate::tls::ProtocolVersion;

    use super::*;

    const MAC_KEY: [u8; 20] = [1; 20];
    const KEY: [u8; 16] = [2; 16];

    /// Records of two blocks each, chained, with encrypt-then-MAC.
    fn chained_records(count: u64) -> Vec<Vec<u8>> {
        let mut chain = [9; 16];
        let seal = |sequence: u64| {
            // Twenty bytes and their padding.
            let mut text = [5; 20].to_vec();
            text.extend([11; 12]);
            let mut mode = Encryptor::<Aes128>::new(&KEY.into(), &chain.into());
            let (blocks, _) = Block::<Aes128>::slice_as_chunks_mut(&mut text);
            mode.encrypt_blocks(blocks);
            chain.copy_from_slice(&text[16..]);
            let mut mac: Hmac<Sha1> = KeyInit::new_from_slice(&MAC_KEY).expect("a key");
            mac.update(&sequence.to_be_bytes());
            mac.update(&[23, 3, 1, 0, 32]);
            mac.update(&text);
            text.extend(mac.finalize().into_bytes());
            text
        };
        (0..count).map(seal).collect()
    }

    #[test]
    fn what_is_chained_to_lost_bytes_stays_closed() {
        let material = Material {
            mac_key: &MAC_KEY,
            key: &KEY,
            iv: &[9; 16],
        };
        let algorithm = Algorithm::Mac(Some(BlockKind::Aes128), MacKind::Sha1);
        let mut direction = KeyedDirection::default();
        direction.install(Opener::of(algorithm, &material, true, false));
        let records = chained_records(4);
        let open = |direction: &mut KeyedDirection, place: usize| {
            let mut scratch = Vec::new();
            let record = Sealed {
                content_type: ContentType::APPLICATION_DATA,
                version: ProtocolVersion::TLS_1_0,
                length: 52,
                body: &records[place],
            };
            let kind = direction.open(&record, &mut scratch);
            kind.map(|_| scratch)
        };
        assert_eq!(open(&mut direction, 0), Some(vec![5; 20]));
        direction.lose(57);
        // Its MAC holds, but its first block would be wrong.
        assert_eq!(open(&mut direction, 2), None);
        assert_eq!(open(&mut direction, 3), Some(vec![5; 20]));
        assert_eq!(direction.counts(), (2, 0), "no key is wrong");
    }
}
