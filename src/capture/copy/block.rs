//! One block of a pcapng file (draft-ietf-opsawg-pcapng §3.1), as bytes: changed where asked, and made anew for packets
//! that were in a pcap file.

use reshake_core::net::{LinkType, Packet};

/// Block types (§11.1).
pub(super) mod kind {
    pub(in crate::capture::copy) const SECTION: u32 = 0x0a0d_0d0a;
    pub(in crate::capture::copy) const INTERFACE: u32 = 1;
    pub(super) const PACKET: u32 = 2;
    pub(super) const SIMPLE_PACKET: u32 = 3;
    pub(in crate::capture::copy) const NAMES: u32 = 4;
    pub(in crate::capture::copy) const STATISTICS: u32 = 5;
    pub(super) const ENHANCED_PACKET: u32 = 6;
    pub(in crate::capture::copy) const SECRETS: u32 = 10;
    /// Not packets, and yet frames: Wireshark numbers journal entries, sysdig events and custom blocks.
    pub(super) const OTHER_FRAMES: [u32; 6] = [9, 0x204, 0x216, 0x221, 0x0bad, 0x4000_0bad];
}

/// Options and secrets types by number.
const OPTION_END: u16 = 0;
const OPTION_COMMENT: u16 = 1;
const OPTION_TIME_RESOLUTION: u16 = 9;
const TLS_KEY_LOG: u32 = 0x544c_534b;
/// Head of a block (type, length) and its length again at the end.
const HEAD: usize = 8;
const TAIL: usize = 4;
/// Where the packet begins in the two kinds of blocks that have options.
const PACKET_DATA: usize = 28;
/// Longest text of an option.
const MAX_OPTION: usize = 65_000;

/// A whole block.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) kind: u32,
    pub(super) big_endian: bool,
    bytes: Vec<u8>,
}

impl Block {
    /// Of its bytes, whose length is a multiple of four and stands at both ends.
    pub(super) const fn of(kind: u32, big_endian: bool, bytes: Vec<u8>) -> Self {
        Self {
            kind,
            big_endian,
            bytes,
        }
    }

    /// A new one with this body.
    fn new(kind: u32, big_endian: bool, body: &[u8]) -> Self {
        let mut block = Self::of(kind, big_endian, Vec::with_capacity(body.len() + HEAD + TAIL + 3));
        block.push_u32(kind);
        block.push_u32(0);
        block.bytes.extend_from_slice(body);
        block.pad();
        block.push_u32(0);
        block.close();
        block
    }

    /// The head of a section in little-endian order, of unknown length.
    pub(super) fn section() -> Self {
        let mut body = Vec::new();
        body.extend(0x1a2b_3c4d_u32.to_le_bytes());
        body.extend([1, 0, 0, 0]);
        body.extend([0xff; 8]);
        Self::new(kind::SECTION, false, &body)
    }

    /// An interface without a snap length.
    pub(super) fn interface(link: LinkType, nanoseconds: bool) -> Self {
        let mut body = Vec::new();
        body.extend(link.0.to_le_bytes());
        body.extend([0; 6]);
        if nanoseconds {
            body.extend(OPTION_TIME_RESOLUTION.to_le_bytes());
            body.extend([1, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
        }
        Self::new(kind::INTERFACE, false, &body)
    }

    /// A packet of interface 0.
    pub(super) fn packet(packet: &Packet<'_>, nanoseconds: bool) -> Self {
        // Times of pcap files are counted from 1970 without sign.
        let nanos = packet.time.nanos().unsigned_abs();
        let ticks = if nanoseconds { nanos } else { nanos / 1000 };
        let mut body = vec![0; 4];
        let [high, low] = [ticks >> 32, ticks & 0xffff_ffff].map(|half| u32::try_from(half).unwrap_or(u32::MAX));
        body.extend(high.to_le_bytes());
        body.extend(low.to_le_bytes());
        body.extend(u32::try_from(packet.data.len()).unwrap_or(u32::MAX).to_le_bytes());
        body.extend(packet.original_len.to_le_bytes());
        body.extend_from_slice(packet.data);
        Self::new(kind::ENHANCED_PACKET, false, &body)
    }

    /// A TLS key log (§4.7).
    pub(super) fn key_log(log: &[u8], big_endian: bool) -> Self {
        let order = |value: u32| {
            if big_endian {
                value.to_be_bytes()
            } else {
                value.to_le_bytes()
            }
        };
        let mut body = order(TLS_KEY_LOG).to_vec();
        body.extend(order(u32::try_from(log.len()).unwrap_or(u32::MAX)));
        body.extend_from_slice(log);
        Self::new(kind::SECRETS, big_endian, &body)
    }

    /// The whole block.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Between head and tail.
    pub(super) fn body(&self) -> &[u8] {
        let end = self.bytes.len().saturating_sub(TAIL);
        self.bytes.get(HEAD..end).unwrap_or_default()
    }

    /// Another body for the same block.
    pub(super) fn set_body(&mut self, body: &[u8]) {
        *self = Self::new(self.kind, self.big_endian, body);
    }

    /// Whether it holds a packet.
    pub(super) const fn is_packet(&self) -> bool {
        matches!(self.kind, kind::PACKET | kind::SIMPLE_PACKET | kind::ENHANCED_PACKET)
    }

    /// Whether it has a frame number.
    pub(super) fn is_frame(&self) -> bool {
        self.is_packet() || kind::OTHER_FRAMES.contains(&self.kind)
    }

    /// Adds a comment behind all other options; `false` where the block has no place for one.
    pub(super) fn comment(&mut self, text: &str) -> bool {
        let Some(end) = self.end_of_options() else { return false };
        let text = text.get(..floor(text, MAX_OPTION)).unwrap_or_default();
        let has_end = end + TAIL < self.bytes.len();
        let tail = self.bytes.split_off(end);
        self.push_u16(OPTION_COMMENT);
        self.push_u16(u16::try_from(text.len()).unwrap_or(u16::MAX));
        self.bytes.extend_from_slice(text.as_bytes());
        self.pad();
        if !has_end {
            self.push_u16(OPTION_END);
            self.push_u16(0);
        }
        self.bytes.extend(tail);
        self.close();
        true
    }

    /// Where the list of options ends: before its end mark, or where it would stand.
    fn end_of_options(&self) -> Option<usize> {
        if !matches!(self.kind, kind::PACKET | kind::ENHANCED_PACKET) {
            return None;
        }
        let end = self.bytes.len().checked_sub(TAIL)?;
        let captured = self.u32_at(20)? as usize;
        let mut at = PACKET_DATA.checked_add(captured)?.checked_next_multiple_of(4)?;
        while at < end {
            let (code, length) = (self.u16_at(at)?, self.u16_at(at + 2)?);
            if code == OPTION_END {
                return Some(at);
            }
            at = (at + 4).checked_add(usize::from(length).next_multiple_of(4))?;
        }
        (at == end).then_some(at)
    }

    /// Leaves what `change` leaves of a TLS key log; `false` when that is nothing, or it is no key log.
    pub(super) fn change_key_log(&mut self, change: impl FnOnce(&[u8]) -> Vec<u8>) -> bool {
        let length = self.u32_at(HEAD + 4).map_or(0, |length| length as usize);
        if self.u32_at(HEAD) != Some(TLS_KEY_LOG) {
            return false;
        }
        let log = self.body().get(8..).unwrap_or_default();
        let log = change(log.get(..length).unwrap_or(log));
        *self = Self::key_log(&log, self.big_endian);
        !log.is_empty()
    }

    /// Says of a section that its length is not given.
    pub(super) fn forget_section_length(&mut self) {
        if let Some(length) = self.bytes.get_mut(HEAD + 8..HEAD + 16) {
            length.fill(0xff);
        }
    }

    /// Writes the length of the block at both of its ends.
    fn close(&mut self) {
        let length = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        let length = if self.big_endian {
            length.to_be_bytes()
        } else {
            length.to_le_bytes()
        };
        let end = self.bytes.len().saturating_sub(TAIL);
        for place in [4..8, end..end + TAIL] {
            if let Some(space) = self.bytes.get_mut(place) {
                space.copy_from_slice(&length);
            }
        }
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn push_u16(&mut self, value: u16) {
        let bytes = if self.big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        };
        self.bytes.extend(bytes);
    }

    fn push_u32(&mut self, value: u32) {
        let bytes = if self.big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        };
        self.bytes.extend(bytes);
    }

    pub(super) fn u16_at(&self, at: usize) -> Option<u16> {
        let bytes = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.big_endian {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        })
    }

    fn u32_at(&self, at: usize) -> Option<u32> {
        let bytes = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    }
}

/// The last place in `text` up to `most` where a character begins.
fn floor(text: &str, most: usize) -> usize {
    (0..=most.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(big_endian: bool, data: &[u8], options: &[u8]) -> Block {
        let order = |value: u32| {
            if big_endian {
                value.to_be_bytes()
            } else {
                value.to_le_bytes()
            }
        };
        let mut body = [0; 12].to_vec();
        body.extend(order(u32::try_from(data.len()).expect("short")));
        body.extend(order(1500));
        body.extend(data);
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend(options);
        Block::new(kind::ENHANCED_PACKET, big_endian, &body)
    }

    #[test]
    fn a_comment_stands_behind_every_other_option() {
        let flags = [0, 2, 0, 4, 0, 0, 0, 1];
        let own = [0, 1, 0, 2, b'h', b'i', 0, 0];
        let end = [0; 4];
        for (options, ended) in [
            (vec![], false),
            ([own, flags].concat(), false),
            ([&own[..], &flags, &end].concat(), true),
        ] {
            let before = packet(true, b"abcde", &options);
            let mut block = before.clone();
            assert!(block.comment("reshake: yes"));
            let kept = before.bytes.len() - TAIL - if ended { 4 } else { 0 };
            assert_eq!(block.bytes[8..kept], before.bytes[8..kept]);
            assert_eq!(block.bytes[kept..kept + 4], [0, 1, 0, 12]);
            assert_eq!(block.bytes[kept + 4..kept + 16], *b"reshake: yes");
            assert_eq!(block.bytes[kept + 16..kept + 20], [0; 4]);
            let length = u32::try_from(block.bytes.len()).expect("short").to_be_bytes();
            assert_eq!(block.bytes[4..8], length);
            assert_eq!(block.bytes[kept + 20..], length);
        }
    }

    #[test]
    fn two_comments_are_two_options() {
        let mut block = packet(false, b"abcd", &[]);
        assert!(block.comment("one") && block.comment("two"));
        let at = |place: usize| block.u16_at(place).expect("there");
        assert_eq!([at(32), at(40), at(48)], [OPTION_COMMENT, OPTION_COMMENT, OPTION_END]);
    }

    #[test]
    fn what_has_no_options_or_broken_ones_is_left_alone() {
        let mut simple = Block::new(kind::SIMPLE_PACKET, false, &[0; 8]);
        let mut broken = packet(false, b"abcd", &[1, 0, 200, 0]);
        for block in [&mut simple, &mut broken] {
            let before = block.bytes.clone();
            assert!(!block.comment("reshake: no"));
            assert_eq!(block.bytes, before);
        }
    }

    #[test]
    fn long_comments_are_cut_between_characters() {
        let mut block = packet(false, b"", &[]);
        assert!(block.comment(&"é".repeat(40_000)));
        assert_eq!(block.u16_at(30), Some(65_000));
        assert_eq!(floor("aé", 2), 1);
    }
}
