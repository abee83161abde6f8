//! The classic pcap format (libpcap's savefile): a file header, then records of a header and a frame. Bytes come in
//! from the buffer, packets go out with their number and time. It never trusts a length that the format forbids: it
//! looks for the next place where records follow one another, and says that it did.

use pcap_parser::pcap::{PcapHeader, parse_pcap_header};

use super::input::Input;
use super::{Source, SourceError};
use reshake_core::net::capture::CaptureFormat;
use reshake_core::net::{Capture, LinkType, Notice, Packet, Timestamp};

/// Whether a file that starts like this is a pcap file.
pub(super) fn recognises(start: &[u8]) -> bool {
    start.first_chunk().is_some_and(|magic| Layout::of(*magic).is_some())
}

/// A pcap file being read.
pub(super) struct PcapFile {
    input: Input,
    layout: Layout,
    link: LinkType,
    /// Longest frame that is believed.
    limit: u32,
    last_seconds: Option<u32>,
}

/// One record whose bytes are all in the buffer.
#[derive(Debug, Clone, Copy)]
struct PcapRecord {
    seconds: u32,
    fraction: u32,
    captured: u32,
    original: u32,
}

const FILE_HEADER: usize = 24;
/// What every record header begins with: four numbers.
const SHORTEST_HEADER: usize = 16;
/// The longest frame libpcap and Wireshark write, whatever the file header says.
const USUAL_LIMIT: u32 = 262_144;
/// A snap length in the file header is believed up to here.
const MAX_PACKET: u32 = 16 << 20;
/// After damage, records are believed that are at most this far in time from the last good one.
const RESYNC_SECONDS: u32 = 30 * 86_400;

impl PcapFile {
    pub(super) fn new(mut input: Input) -> Result<Self, SourceError> {
        if !input.fill(FILE_HEADER) {
            return Err(input.header_cut());
        }
        let start = input.buffer.data();
        let parsed = start.first_chunk::<FILE_HEADER>().copied().and_then(parse_file_header);
        let Some((mut layout, header)) = parsed else {
            return Err(input.unrecognised());
        };
        layout.lengths = Lengths::of(&header);
        input
            .buffer
            .consume(FILE_HEADER.saturating_add(layout.extra_file_header));
        input.capture.format = if layout.nanoseconds {
            CaptureFormat::PcapNanoseconds
        } else {
            CaptureFormat::Pcap
        };
        // The upper bits carry the length of the frame check sequence, not the type.
        let [link_low, link_high, ..] = header.network.0.to_le_bytes();
        Ok(Self {
            input,
            layout,
            link: LinkType(u16::from_le_bytes([link_low, link_high])),
            limit: header.snaplen.clamp(USUAL_LIMIT, MAX_PACKET),
            last_seconds: None,
        })
    }

    /// Makes the next whole record stand at the start of the buffer, where it stays until it is taken.
    #[inline]
    fn locate(&mut self) -> Option<PcapRecord> {
        while !self.input.over {
            if let Some(record) = self.layout.parse(self.input.buffer.data())
                && record.captured <= self.limit
            {
                self.last_seconds = Some(record.seconds);
                return Some(record);
            }
            self.locate_slowly();
        }
        None
    }

    /// Reads more, or finds out why there is no record here.
    #[cold]
    fn locate_slowly(&mut self) {
        let header = self.layout.record_header;
        if !self.input.fill(header) {
            self.input.end_at_header();
            return;
        }
        let Some(record) = self.layout.header(self.input.buffer.data()) else {
            self.input.end_corrupt();
            return;
        };
        let damaged = record.captured > self.limit;
        if !damaged && self.input.fill(header.saturating_add(record.captured as usize)) {
            return;
        }
        self.resync(damaged);
    }

    /// Steps over damage. A record that reaches over the end of the file is damage too if whole records follow inside
    /// it; else the file was cut there.
    fn resync(&mut self, damaged: bool) {
        let mut skipped = 1;
        loop {
            // Three records of the largest size, or what is left.
            let window = (self.limit as usize).saturating_add(self.layout.record_header);
            self.input.fill(window.saturating_mul(3));
            let data = self.input.buffer.data();
            let candidates = 0..data.len().min(skipped.max(window));
            let found = candidates
                .skip(skipped)
                .find(|&at| self.chained(data.get(at..).unwrap_or_default()));
            if let Some(at) = found {
                self.input.note(Notice::CorruptBlockSkipped);
                self.input.buffer.consume(at);
                return;
            }
            if data.len() <= window || !damaged {
                break;
            }
            self.input.buffer.consume(window);
            skipped = 0;
        }
        if damaged {
            self.input.note(Notice::CorruptBlockSkipped);
            self.input.end_corrupt();
        } else {
            self.input.end_inside();
        }
    }

    /// Whether records stand here that follow one another: three, or fewer that end exactly where the file does.
    fn chained(&self, mut data: &[u8]) -> bool {
        for _ in 0..3 {
            let Some(record) = self.layout.header(data).filter(|record| self.plausible(*record)) else {
                return false;
            };
            let length = self.layout.record_header.saturating_add(record.captured as usize);
            let Some(rest) = data.get(length..) else {
                return false;
            };
            if rest.is_empty() {
                return true;
            }
            data = rest;
        }
        true
    }

    fn plausible(&self, record: PcapRecord) -> bool {
        let near = self
            .last_seconds
            .is_none_or(|last| last.abs_diff(record.seconds) <= RESYNC_SECONDS);
        near && record.fraction < self.layout.per_second()
            && (1..=self.limit).contains(&record.captured)
            && (record.captured..=MAX_PACKET).contains(&record.original)
    }
}

impl Source for PcapFile {
    #[inline]
    fn next(&mut self) -> Option<Packet<'_>> {
        let record = self.locate()?;
        let time = self.layout.time(record);
        let captured = record.captured as usize;
        let frame = self.input.count(time, captured, record.original);
        Some(Packet {
            frame,
            time,
            link: self.link,
            interface: 0,
            data: self.input.buffer.take(self.layout.record_header, captured),
            original_len: record.original,
        })
    }

    fn peek(&mut self) -> Option<Timestamp> {
        let record = self.locate()?;
        Some(self.layout.time(record))
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
}

/// How the numbers of a file are written.
#[derive(Debug, Clone, Copy)]
struct Layout {
    big_endian: bool,
    nanoseconds: bool,
    /// Bytes of a record header: 16, or 24 in the "modified" format.
    record_header: usize,
    /// Bytes after the usual file header.
    extra_file_header: usize,
    lengths: Lengths,
}

/// Order of the two lengths in a record header: they changed places with version 2.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lengths {
    CapturedFirst,
    OriginalFirst,
    SmallerIsCaptured,
}

impl Lengths {
    fn of(header: &PcapHeader) -> Self {
        match (header.version_major, header.version_minor) {
            (2, 0..=2) | (543, 0) => Self::OriginalFirst,
            (2, 3) => Self::SmallerIsCaptured,
            _ => Self::CapturedFirst,
        }
    }
}

impl Layout {
    const USUAL: Self = Self {
        big_endian: false,
        nanoseconds: false,
        record_header: 16,
        extra_file_header: 0,
        lengths: Lengths::CapturedFirst,
    };

    /// By the magic number as it stands in the file.
    fn of(magic: [u8; 4]) -> Option<Self> {
        let mut layout = Self::USUAL;
        let mut magic = u32::from_le_bytes(magic);
        if matches!(
            magic,
            0xd4c3_b2a1 | 0x4d3c_b2a1 | 0x34cd_b2a1 | 0x4d3c_2ba1 | 0xac01_001c | 0xab01_001c
        ) {
            layout.big_endian = true;
            magic = magic.swap_bytes();
        }
        match magic {
            0xa1b2_c3d4 => {}
            // libpcap and Navtel write the same file with another number for nanoseconds.
            0xa1b2_3c4d | 0xa12b_3c4d => layout.nanoseconds = true,
            0xa1b2_cd34 => layout.record_header = 24,
            // IXIA's hardware and software captures: the size of all records follows the file header.
            0x1c00_01ac | 0x1c00_01ab => layout.extra_file_header = 4,
            _ => return None,
        }
        Some(layout)
    }

    fn per_second(self) -> u32 {
        if self.nanoseconds { 1_000_000_000 } else { 1_000_000 }
    }

    fn time(self, record: PcapRecord) -> Timestamp {
        let unit = if self.nanoseconds { 1 } else { 1000 };
        let nanos = i64::from(record.fraction).wrapping_mul(unit);
        Timestamp::from_nanos(
            i64::from(record.seconds)
                .wrapping_mul(1_000_000_000)
                .wrapping_add(nanos),
        )
    }

    /// The record at the start of `data`, if it is there as a whole.
    #[inline]
    fn parse(self, data: &[u8]) -> Option<PcapRecord> {
        let record = self.header(data)?;
        let end = self.record_header.checked_add(record.captured as usize)?;
        (end <= data.len()).then_some(record)
    }

    /// The record header at the start of `data`, whether its frame is there or not. Of our own: pcap-parser knows neither
    /// the big-endian form of the "modified" format nor the old order of the lengths, and where a frame is cut it says no
    /// more than that bytes are missing.
    #[inline]
    fn header(self, data: &[u8]) -> Option<PcapRecord> {
        data.get(..self.record_header)?;
        let ([seconds, fraction, captured, original], _) = data.first_chunk::<SHORTEST_HEADER>()?.as_chunks() else {
            return None;
        };
        let record = PcapRecord {
            seconds: u32::from_le_bytes(*seconds),
            fraction: u32::from_le_bytes(*fraction),
            captured: u32::from_le_bytes(*captured),
            original: u32::from_le_bytes(*original),
        };
        let is_usual = !self.big_endian && self.lengths == Lengths::CapturedFirst;
        Some(if is_usual { record } else { self.as_written(record) })
    }

    /// The numbers of a header that were read as nearly every file has them.
    #[cold]
    fn as_written(self, mut record: PcapRecord) -> PcapRecord {
        if self.big_endian {
            record = PcapRecord {
                seconds: record.seconds.swap_bytes(),
                fraction: record.fraction.swap_bytes(),
                captured: record.captured.swap_bytes(),
                original: record.original.swap_bytes(),
            };
        }
        let swap = match self.lengths {
            Lengths::CapturedFirst => false,
            Lengths::OriginalFirst => true,
            Lengths::SmallerIsCaptured => record.captured > record.original,
        };
        if swap {
            return PcapRecord {
                captured: record.original,
                original: record.captured,
                ..record
            };
        }
        record
    }
}

fn parse_file_header(mut bytes: [u8; FILE_HEADER]) -> Option<(Layout, PcapHeader)> {
    let magic = bytes.first_chunk_mut::<4>()?;
    let layout = Layout::of(*magic)?;
    // pcap-parser knows not all magic numbers; the fields after them are the same.
    let known: u32 = 0xa1b2_c3d4;
    *magic = if layout.big_endian {
        known.to_be_bytes()
    } else {
        known.to_le_bytes()
    };
    let (_, header) = parse_pcap_header(&bytes).ok()?;
    Some((layout, header))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::capture::testing::{
        BIG, LITTLE, Order, START, assert_ended, frames, pcap_header, plain_pcap, read_all, record,
    };
    use reshake_core::net::capture::Ended;

    fn nanos_of_one(order: Order, magic: u32) -> (i64, CaptureFormat) {
        let mut bytes = pcap_header(order, magic);
        bytes.extend(record(order, START, 123_456, b"frame"));
        let (packets, capture) = read_all(&bytes);
        assert_eq!(packets.len(), 1);
        assert_eq!(packets[0].data, b"frame");
        assert_eq!(capture.bytes, bytes.len() as u64);
        assert_ended(&capture, Ended::EndOfFile, 0);
        (packets[0].nanos, capture.format)
    }

    #[test]
    fn microseconds_and_nanoseconds_in_either_byte_order() {
        let second = i64::from(START) * 1_000_000_000;
        for order in [LITTLE, BIG] {
            let micro = (second + 123_456_000, CaptureFormat::Pcap);
            let nano = (second + 123_456, CaptureFormat::PcapNanoseconds);
            assert_eq!(nanos_of_one(order, 0xa1b2_c3d4), micro);
            assert_eq!(nanos_of_one(order, 0xa1b2_3c4d), nano);
            assert_eq!(nanos_of_one(order, 0xa12b_3c4d), nano);
        }
    }

    #[test]
    fn the_modified_format_has_eight_more_bytes_in_each_record() {
        for order in [LITTLE, BIG] {
            let mut bytes = pcap_header(order, 0xa1b2_cd34);
            for number in 0..3 {
                bytes.extend(order.words(&[START + number, 7, 5, 9, 0xffff_ffff, 0xffff_ffff]));
                bytes.extend(b"frame");
            }
            let (packets, capture) = read_all(&bytes);
            assert_eq!(frames(&packets), [1, 2, 3]);
            assert!(packets.iter().all(|p| p.data == b"frame" && p.original == 9));
            assert_eq!(capture.notices.count(Notice::PacketCutBySnaplen), 3);
        }
    }

    #[test]
    fn ixia_writes_four_bytes_after_the_file_header() {
        let mut bytes = pcap_header(BIG, 0x1c00_01ac);
        bytes.extend([0; 4]);
        bytes.extend(record(BIG, START, 1, b"frame"));
        assert_eq!(read_all(&bytes).0[0].data, b"frame");
    }

    #[test]
    fn before_version_2_3_the_original_length_came_first() {
        for version in [0x0002_0002, 0x0003_0002] {
            let mut bytes = LITTLE.words(&[0xa1b2_c3d4, version, 0, 0, 65_535, 1]);
            bytes.extend(LITTLE.words(&[START, 0, 1500, 5]));
            bytes.extend(b"frame");
            let (packets, _) = read_all(&bytes);
            assert_eq!(packets[0].data, b"frame");
            assert_eq!(packets[0].original, 1500);
        }
    }

    #[test]
    fn the_length_of_the_frame_check_sequence_is_not_part_of_the_link_type() {
        let mut bytes = LITTLE.words(&[0xa1b2_c3d4, 0x0004_0002, 0, 0, 0, 0x2400_0071]);
        bytes.extend(record(LITTLE, START, 0, b"frame"));
        assert_eq!(read_all(&bytes).0[0].link, 113);
    }

    #[test]
    fn a_file_cut_anywhere_gives_its_whole_packets() {
        let whole = plain_pcap(6);
        let (all, _) = read_all(&whole);
        for length in 24..whole.len() {
            let (packets, capture) = read_all(&whole[..length]);
            assert_eq!(packets, all[..packets.len()], "cut at {length}");
            let between = 24 + packets.iter().map(|p| 16 + p.data.len()).sum::<usize>() == length;
            let ended = if between { Ended::EndOfFile } else { Ended::Truncated };
            assert_ended(&capture, ended, 0);
        }
    }

    #[test]
    fn after_a_corrupt_record_reading_goes_on_at_the_next_whole_one() {
        let mut bytes = plain_pcap(12);
        // The captured length of the third record.
        let at = 24 + (16 + 40) + (16 + 41) + 8;
        bytes[at..at + 4].copy_from_slice(&[0xff; 4]);
        let (packets, capture) = read_all(&bytes);
        assert_eq!(packets.len(), 11);
        assert_eq!(packets[2].data, vec![3; 43]);
        assert_ended(&capture, Ended::EndOfFile, 1);
    }

    #[test]
    fn a_length_that_swallows_the_rest_of_the_file_is_damage_not_the_end() {
        let mut bytes = plain_pcap(12);
        let at = 24 + 8;
        bytes[at..at + 4].copy_from_slice(&200_000_u32.to_le_bytes());
        let (packets, capture) = read_all(&bytes);
        assert_eq!(packets.len(), 11);
        assert_ended(&capture, Ended::EndOfFile, 1);
    }

    #[test]
    fn damage_without_an_end_is_told() {
        let mut bytes = plain_pcap(2);
        bytes.extend(vec![0xff; 3 << 20]);
        let (packets, capture) = read_all(&bytes);
        assert_eq!(packets.len(), 2);
        assert_ended(&capture, Ended::Corrupt, 1);
    }

    #[test]
    fn damage_over_megabytes_is_stepped_over() {
        let good = plain_pcap(5);
        let mut bytes = good.clone();
        bytes.extend(vec![0xff; 2_000_001]);
        bytes.extend_from_slice(&good[24..]);
        let (packets, capture) = read_all(&bytes);
        assert_eq!(packets.len(), 10);
        assert_ended(&capture, Ended::EndOfFile, 1);
    }

    proptest! {
        #[test]
        fn any_bytes_after_the_header_end_without_panic(
            mut rest in proptest::collection::vec(any::<u8>(), 0..600),
            magic in prop::sample::select(vec![0xa1b2_c3d4_u32, 0xa1b2_3c4d, 0xa1b2_cd34, 0x1c00_01ab]),
            big in any::<bool>(),
        ) {
            let mut bytes = pcap_header(Order { big }, magic);
            bytes.append(&mut rest);
            let (packets, _) = read_all(&bytes);
            prop_assert!(packets.len() <= bytes.len() / 16);
        }

        #[test]
        fn flipping_bytes_never_loses_what_came_before(at in 24_usize..400, value in any::<u8>()) {
            let mut bytes = plain_pcap(12);
            let before = read_all(&bytes[..at]).0.len();
            let (whole, _) = read_all(&bytes);
            bytes[at] = value;
            let (packets, _) = read_all(&bytes);
            prop_assert_eq!(&packets[..before], &whole[..before]);
        }
    }
}
