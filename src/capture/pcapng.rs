//! pcapng (draft-ietf-opsawg-pcapng): sections of blocks, each with its own byte order and interfaces. Bytes come in
//! from the buffer; packets, drop counts and TLS key logs go out. Frames are numbered as Wireshark numbers them, so
//! custom and journal blocks count. It never stops at a damaged block: it goes on at the next whole one.

use pcap_parser::pcapng::{Block, SecretsType, parse_block_be, parse_block_le};

use super::buffer::Buffer;
use super::input::Input;
use super::{Source, SourceError};
use reshake_core::net::capture::CaptureFormat;
use reshake_core::net::{Capture, LinkType, Notice, Packet, Timestamp};

mod clock;
mod interface;

use clock::Clock;
use interface::SectionInterface;

/// Whether a file that starts like this is a pcapng file.
pub(super) fn recognises(start: &[u8]) -> bool {
    start.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a])
}

/// A pcapng file being read.
pub(super) struct PcapngFile {
    input: Input,
    big_endian: bool,
    /// Of the section being read.
    interfaces: Vec<SectionInterface>,
    /// Interfaces of the sections before, so that numbers are unique in the file.
    earlier_interfaces: u32,
    earlier_drops: Option<u64>,
    secrets: Vec<Vec<u8>>,
    secrets_size: usize,
    ready: Option<PacketBlock>,
}

/// One packet whose block is whole in the buffer.
#[derive(Debug, Clone, Copy)]
struct PacketBlock {
    /// `None` in a Simple Packet Block, which has no time.
    time: Option<Timestamp>,
    link: LinkType,
    interface: u32,
    skip: usize,
    captured: usize,
    original: u32,
    block: usize,
}

/// What stands at the start of the buffer.
enum NextBlock {
    Packet(PacketBlock),
    /// A whole block without a packet, to be stepped over.
    Other(usize),
    /// Nothing whole.
    Nothing,
}

/// Block types (section 11.1 of the draft).
mod block_type {
    pub(super) const SECTION: u32 = 0x0a0d_0d0a;
    pub(super) const INTERFACE: u32 = 1;
    pub(super) const PACKET: u32 = 2;
    pub(super) const SIMPLE_PACKET: u32 = 3;
    pub(super) const STATISTICS: u32 = 5;
    pub(super) const ENHANCED_PACKET: u32 = 6;
    pub(super) const JOURNAL: u32 = 9;
    pub(super) const SECRETS: u32 = 10;
    /// An event of the system call recorder sysdig, in three forms.
    pub(super) const SYSDIG_EVENT: u32 = 0x204;
    pub(super) const SYSDIG_EVENT_FLAGS: u32 = 0x216;
    pub(super) const SYSDIG_EVENT_LARGE: u32 = 0x221;
    pub(super) const CUSTOM: u32 = 0x0bad;
    pub(super) const CUSTOM_NO_COPY: u32 = 0x4000_0bad;
}

const SMALLEST_BLOCK: usize = 12;
/// After damage only blocks up to this length are believed: larger than any packet.
const RESYNC_LIMIT: usize = 1 << 20;
/// Interfaces of one section; more are damage.
const INTERFACES_LIMIT: usize = 1 << 16;
/// Key logs that nobody has taken yet, in bytes.
const SECRETS_LIMIT: usize = 64 << 20;

impl PcapngFile {
    pub(super) fn new(mut input: Input) -> Result<Self, SourceError> {
        if !input.fill(28) {
            return Err(input.header_cut());
        }
        let Some(big_endian) = byte_order(input.buffer.data()) else {
            return Err(input.unrecognised());
        };
        input.capture.format = CaptureFormat::Pcapng;
        Ok(Self {
            input,
            big_endian,
            interfaces: Vec::new(),
            earlier_interfaces: 0,
            earlier_drops: None,
            secrets: Vec::new(),
            secrets_size: 0,
            ready: None,
        })
    }

    /// Makes the next block with a packet stand at the start of the buffer.
    fn locate(&mut self) -> Option<PacketBlock> {
        while !self.input.over {
            match self.look() {
                NextBlock::Packet(record) => return Some(record),
                NextBlock::Other(length) => self.input.buffer.consume(length),
                NextBlock::Nothing => {}
            }
        }
        None
    }

    fn look(&mut self) -> NextBlock {
        if !self.input.fill(SMALLEST_BLOCK) {
            self.input.end_at_header();
            return NextBlock::Nothing;
        }
        let Some((kind, length)) = self.block_head() else {
            return self.resync(true);
        };
        if !self.input.fill(length) {
            return self.resync(false);
        }
        let Some((length, body_end)) = self.checked_end(length) else {
            return self.resync(true);
        };
        match kind {
            block_type::ENHANCED_PACKET => self.packet(length, body_end, Self::enhanced_packet),
            block_type::PACKET => self.packet(length, body_end, Self::old_packet),
            block_type::SIMPLE_PACKET => self.packet(length, body_end, Self::simple_packet),
            _ => self.other_block(kind, length),
        }
    }

    /// Type and length, rounded up to whole words, of the block at hand; sets the byte order at a section header.
    #[inline]
    fn block_head(&mut self) -> Option<(u32, usize)> {
        let data = self.input.buffer.data();
        let kind = self.u32_at(data, 0)?;
        if kind == block_type::SECTION {
            self.big_endian = byte_order(data)?;
        }
        let length = self.u32_at(self.input.buffer.data(), 4)? as usize;
        // Some writers leave the padding out of the length.
        let length = length.checked_next_multiple_of(4)?;
        (SMALLEST_BLOCK..=Buffer::MAX)
            .contains(&length)
            .then_some((kind, length))
    }

    /// Length of the block and where its body ends, if its length stands at its end too.
    #[inline]
    fn checked_end(&self, length: usize) -> Option<(usize, usize)> {
        let data = self.input.buffer.data();
        let stated = self.u32_at(data, 4)?;
        // The padding may be missing altogether, not only in the length.
        [length, stated as usize].into_iter().find_map(|length| {
            let end = length.checked_sub(4)?;
            (self.u32_at(data, end)? == stated).then_some((length, end))
        })
    }

    #[inline]
    fn packet(&mut self, length: usize, body_end: usize, read: fn(&Self, &[u8]) -> Option<PacketBlock>) -> NextBlock {
        let data = self.input.buffer.data();
        let record = read(self, data.get(..body_end).unwrap_or_default());
        match record {
            Some(record) => NextBlock::Packet(PacketBlock {
                block: length,
                ..record
            }),
            None => self.packet_without_meaning(length),
        }
    }

    /// The block is whole, but names an interface that is not described, or lengths that do not fit into it. It keeps
    /// its frame number.
    #[cold]
    fn packet_without_meaning(&mut self, length: usize) -> NextBlock {
        let data = self.input.buffer.data();
        let interface = match self.u32_at(data, 0) {
            Some(block_type::SIMPLE_PACKET) => Some(0),
            Some(block_type::PACKET) => self.u16_at(data, 8).map(u32::from),
            _ => self.u32_at(data, 8),
        };
        let known = interface.is_some_and(|number| self.interface(number).is_some());
        self.input.note(if known {
            Notice::CorruptBlockSkipped
        } else {
            Notice::UnknownInterface
        });
        self.input.count_untimed(0, 0);
        NextBlock::Other(length)
    }

    /// Enhanced Packet Block (section 4.3), walked by hand: pcap-parser allocates for its options.
    #[inline]
    fn enhanced_packet(&self, data: &[u8]) -> Option<PacketBlock> {
        let header = data.first_chunk::<28>()?;
        let number = self.u32_at(header, 8)?;
        let (high, low) = (self.u32_at(header, 12)?, self.u32_at(header, 16)?);
        let captured = self.u32_at(header, 20)? as usize;
        let original = self.u32_at(header, 24)?;
        self.record(data, 28, number, Some((high, low)), captured, original)
    }

    /// Packet Block (appendix A), obsolete; pcap-parser does not know it.
    fn old_packet(&self, data: &[u8]) -> Option<PacketBlock> {
        let number = u32::from(self.u16_at(data, 8)?);
        let time = (self.u32_at(data, 12)?, self.u32_at(data, 16)?);
        let captured = self.u32_at(data, 20)? as usize;
        self.record(data, 28, number, Some(time), captured, self.u32_at(data, 24)?)
    }

    /// Simple Packet Block (section 4.4). The captured length is not written down: pcap-parser leaves the padding on a
    /// packet that the snap length cut.
    fn simple_packet(&self, data: &[u8]) -> Option<PacketBlock> {
        let original = self.u32_at(data, 8)?;
        let snaplen = match self.interface(0)?.snaplen {
            0 => u32::MAX,
            snaplen => snaplen,
        };
        let there = data.len().checked_sub(12)?;
        let captured = there.min(original.min(snaplen) as usize);
        self.record(data, 12, 0, None, captured, original)
    }

    #[inline]
    fn record(
        &self,
        data: &[u8],
        skip: usize,
        number: u32,
        time: Option<(u32, u32)>,
        captured: usize,
        original: u32,
    ) -> Option<PacketBlock> {
        let interface = self.interface(number)?;
        if skip.checked_add(captured)? > data.len() {
            return None;
        }
        let ticks = |(high, low): (u32, u32)| (u64::from(high) << 32) | u64::from(low);
        Some(PacketBlock {
            time: time.map(|time| interface.clock.time(ticks(time))),
            link: interface.link,
            interface: self.earlier_interfaces.saturating_add(number),
            skip,
            captured,
            original,
            block: 0,
        })
    }

    #[inline]
    fn interface(&self, number: u32) -> Option<&SectionInterface> {
        self.interfaces.get(number as usize)
    }

    fn other_block(&mut self, kind: u32, length: usize) -> NextBlock {
        match kind {
            block_type::SECTION => self.start_section(),
            block_type::INTERFACE | block_type::STATISTICS | block_type::SECRETS => {
                self.parse_block(length);
            }
            // Wireshark shows these as frames.
            block_type::JOURNAL
            | block_type::CUSTOM
            | block_type::CUSTOM_NO_COPY
            | block_type::SYSDIG_EVENT
            | block_type::SYSDIG_EVENT_FLAGS
            | block_type::SYSDIG_EVENT_LARGE => {
                self.input.count_untimed(0, 0);
            }
            _ => {}
        }
        NextBlock::Other(length)
    }

    fn start_section(&mut self) {
        self.earlier_drops = self.drops();
        let count = u32::try_from(self.interfaces.len()).unwrap_or(u32::MAX);
        self.earlier_interfaces = self.earlier_interfaces.saturating_add(count);
        self.interfaces.clear();
    }

    fn parse_block(&mut self, length: usize) {
        if self.interfaces.len() >= INTERFACES_LIMIT {
            self.input.note(Notice::CorruptBlockSkipped);
            return;
        }
        let data = self.input.buffer.data().get(..length).unwrap_or_default();
        let parse = if self.big_endian {
            parse_block_be
        } else {
            parse_block_le
        };
        match parse(data) {
            Ok((_, Block::InterfaceDescription(block))) => {
                self.interfaces.push(SectionInterface::new(&block, self.big_endian));
            }
            Ok((_, Block::InterfaceStatistics(block))) => {
                let dropped = interface::dropped(&block, self.big_endian);
                if let Some(interface) = self.interfaces.get_mut(block.if_id as usize) {
                    // The counts run from the start of the capture: the last one holds.
                    interface.dropped = dropped.or(interface.dropped);
                }
                self.input.capture.dropped = self.drops();
            }
            Ok((_, Block::DecryptionSecrets(block))) => {
                let text = block.data.get(..block.secrets_len as usize).unwrap_or(block.data);
                let size = self.secrets_size.saturating_add(text.len());
                if block.secrets_type == SecretsType::TlsKeyLog && size <= SECRETS_LIMIT {
                    self.secrets_size = size;
                    self.secrets.push(text.to_vec());
                }
            }
            Ok(_) => {}
            Err(_) => {
                // Interfaces are known by their number, so each takes its place.
                if self.u32_at(data, 0) == Some(block_type::INTERFACE) {
                    self.interfaces.push(SectionInterface::unreadable());
                }
                self.input.note(Notice::CorruptBlockSkipped);
            }
        }
    }

    fn drops(&self) -> Option<u64> {
        let counts = self.interfaces.iter().filter_map(|interface| interface.dropped);
        counts.chain(self.earlier_drops).reduce(u64::saturating_add)
    }

    /// Steps over damage to the next place where a block of a known type has its length at both ends. A block that
    /// reaches over the end of the file is damage too if whole blocks follow inside it; else the file was cut there.
    #[cold]
    fn resync(&mut self, damaged: bool) -> NextBlock {
        let mut at = 4;
        loop {
            // Twice the longest block: so each place is looked at once, with all that may belong to it at hand.
            let whole = self.input.fill(RESYNC_LIMIT.saturating_mul(2));
            let there = self.input.buffer.data().len();
            let until = if whole { RESYNC_LIMIT } else { there };
            if let Some(skip) = self.find_block(at, until) {
                self.input.note(Notice::CorruptBlockSkipped);
                return NextBlock::Other(skip);
            }
            if !whole {
                break;
            }
            self.input.buffer.consume(RESYNC_LIMIT);
            at = 0;
        }
        if damaged {
            self.input.note(Notice::CorruptBlockSkipped);
            self.input.end_corrupt();
        } else {
            self.input.end_inside();
        }
        NextBlock::Nothing
    }

    fn find_block(&self, from: usize, until: usize) -> Option<usize> {
        let data = self.input.buffer.data();
        (from..until)
            .step_by(4)
            .find(|&at| is_block(data.get(at..).unwrap_or_default(), self.big_endian))
    }

    #[inline]
    fn u32_at(&self, data: &[u8], at: usize) -> Option<u32> {
        u32_at(data, at, self.big_endian)
    }

    fn u16_at(&self, data: &[u8], at: usize) -> Option<u16> {
        let bytes = *data.get(at..)?.first_chunk()?;
        Some(if self.big_endian {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        })
    }

    /// A packet without a time of its own stands at the latest time so far.
    fn time(&self, record: PacketBlock) -> Timestamp {
        let last = self.input.capture.last_time;
        record.time.or(last).unwrap_or(Timestamp::from_nanos(0))
    }
}

impl Source for PcapngFile {
    #[inline]
    fn next(&mut self) -> Option<Packet<'_>> {
        let record = match self.ready.take() {
            Some(record) => record,
            None => self.locate()?,
        };
        let time = self.time(record);
        let frame = if let Some(time) = record.time {
            self.input.count(time, record.captured, record.original)
        } else {
            self.input.note(Notice::PacketWithoutTime);
            self.input.count_untimed(record.captured, record.original)
        };
        let block = self.input.buffer.take(0, record.block);
        let end = record.skip.saturating_add(record.captured);
        Some(Packet {
            frame,
            time,
            link: record.link,
            interface: record.interface,
            data: block.get(record.skip..end).unwrap_or_default(),
            original_len: record.original,
        })
    }

    fn peek(&mut self) -> Option<Timestamp> {
        if self.ready.is_none() {
            self.ready = self.locate();
        }
        self.ready.map(|record| self.time(record))
    }

    fn capture(&self) -> &Capture {
        &self.input.capture
    }

    fn error(&self) -> Option<&SourceError> {
        self.input.error.as_ref()
    }

    fn take_error(&mut self) -> Option<SourceError> {
        self.input.error.take()
    }

    fn size(&self) -> Option<u64> {
        self.input.size
    }

    #[inline]
    fn brings_secrets(&mut self) -> bool {
        if self.ready.is_none() {
            self.ready = self.locate();
        }
        !self.secrets.is_empty()
    }

    fn secrets(&mut self) -> Vec<Vec<u8>> {
        self.secrets_size = 0;
        std::mem::take(&mut self.secrets)
    }
}

/// Whether a whole block stands here, as one is looked for behind damage in a section of this byte order.
pub(super) fn is_block(data: &[u8], big_endian: bool) -> bool {
    let Some(kind) = u32_at(data, 0, big_endian) else {
        return false;
    };
    let big_endian = match kind {
        block_type::SECTION => match byte_order(data) {
            Some(order) => order,
            None => return false,
        },
        block_type::INTERFACE..=block_type::ENHANCED_PACKET
        | block_type::JOURNAL
        | block_type::SECRETS
        | block_type::CUSTOM
        | block_type::CUSTOM_NO_COPY => big_endian,
        _ => return false,
    };
    let Some(length) = u32_at(data, 4, big_endian) else {
        return false;
    };
    let size = length as usize;
    let end = size.checked_sub(4).and_then(|end| u32_at(data, end, big_endian));
    (SMALLEST_BLOCK..=RESYNC_LIMIT).contains(&size) && size.is_multiple_of(4) && end == Some(length)
}

/// Byte order of a Section Header Block (section 4.1): whether it is big-endian.
pub(super) fn byte_order(data: &[u8]) -> Option<bool> {
    match data.get(8..12)? {
        [0x1a, 0x2b, 0x3c, 0x4d] => Some(true),
        [0x4d, 0x3c, 0x2b, 0x1a] => Some(false),
        _ => None,
    }
}

/// The number at a place, in a section of this byte order.
#[inline]
pub(super) fn u32_at(data: &[u8], at: usize, big_endian: bool) -> Option<u32> {
    let bytes = *data.get(at..)?.first_chunk()?;
    Some(if big_endian {
        u32::from_be_bytes(bytes)
    } else {
        u32::from_le_bytes(bytes)
    })
}

#[cfg(test)]
mod tests;
