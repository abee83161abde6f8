//! Capture files made byte by byte for the tests of the readers, and a way to read one to its end.

use std::io::Cursor;

use super::{Source, from_reader};
use reshake_core::net::capture::Ended;
use reshake_core::net::{Capture, Notice};

/// A packet that outlives the reader's buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owned {
    pub(super) frame: u64,
    pub(super) nanos: i64,
    pub(super) link: u16,
    pub(super) interface: u32,
    pub(super) data: Vec<u8>,
    pub(super) original: u32,
}

/// Opens bytes as capture number 3.
pub(super) fn source(bytes: &[u8]) -> Box<dyn Source> {
    from_reader("test", Box::new(Cursor::new(bytes.to_vec())), None, 3).expect("a capture file")
}

/// Reads bytes to the end.
pub(super) fn read_all(bytes: &[u8]) -> (Vec<Owned>, Capture) {
    let mut source = source(bytes);
    let packets = drain(source.as_mut());
    (packets, source.capture().clone())
}

pub(super) fn drain(source: &mut dyn Source) -> Vec<Owned> {
    let mut packets = Vec::new();
    loop {
        let peeked = source.peek();
        let Some(packet) = source.next() else {
            assert_eq!(peeked, None);
            return packets;
        };
        assert_eq!(peeked, Some(packet.time));
        packets.push(Owned {
            frame: packet.frame.frame(),
            nanos: packet.time.nanos(),
            link: packet.link.0,
            interface: packet.interface,
            data: packet.data.to_vec(),
            original: packet.original_len,
        });
    }
}

pub(super) fn frames(packets: &[Owned]) -> Vec<u64> {
    packets.iter().map(|packet| packet.frame).collect()
}

/// Asserts how reading ended and how often damage was skipped.
pub(super) fn assert_ended(capture: &Capture, ended: Ended, damages: u64) {
    assert_eq!(capture.ended, ended);
    assert_eq!(capture.notices.count(Notice::CorruptBlockSkipped), damages);
    let truncated = u64::from(ended == Ended::Truncated);
    assert_eq!(capture.notices.count(Notice::FileTruncated), truncated);
}

/// Numbers in either byte order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order {
    pub(super) big: bool,
}

pub(super) const LITTLE: Order = Order { big: false };
pub(super) const BIG: Order = Order { big: true };

impl Order {
    pub(super) fn u16(self, value: u16) -> [u8; 2] {
        if self.big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    pub(super) fn u32(self, value: u32) -> [u8; 4] {
        if self.big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    pub(super) fn u64(self, value: u64) -> [u8; 8] {
        if self.big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    pub(super) fn words(self, values: &[u32]) -> Vec<u8> {
        values.iter().flat_map(|&value| self.u32(value)).collect()
    }
}

/// Second of the first record; each further one is a second later.
pub(super) const START: u32 = 1_700_000_000;

/// A pcap file header with version 2.4.
pub(super) fn pcap_header(order: Order, magic: u32) -> Vec<u8> {
    let version = if order.big { 0x0002_0004 } else { 0x0004_0002 };
    order.words(&[magic, version, 0, 0, 262_144, 1])
}

/// A pcap record.
pub(super) fn record(order: Order, seconds: u32, fraction: u32, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).expect("short data");
    let mut bytes = order.words(&[seconds, fraction, length, length]);
    bytes.extend_from_slice(data);
    bytes
}

/// A plain pcap file of `count` records with differing data.
pub(super) fn plain_pcap(count: u8) -> Vec<u8> {
    let mut bytes = pcap_header(LITTLE, 0xa1b2_c3d4);
    for number in 0..count {
        let data = vec![number; 40 + usize::from(number)];
        bytes.extend(record(LITTLE, START + u32::from(number), 5, &data));
    }
    bytes
}

/// Writes pcapng blocks.
#[derive(Debug, Clone)]
pub(super) struct BlockWriter {
    pub(super) order: Order,
    pub(super) bytes: Vec<u8>,
}

impl BlockWriter {
    pub(super) fn new(order: Order) -> Self {
        Self {
            order,
            bytes: Vec::new(),
        }
        .section(order)
    }

    pub(super) fn section(mut self, order: Order) -> Self {
        self.order = order;
        let version = if order.big { 0x0001_0000 } else { 0x0000_0001 };
        let body = order.words(&[0x1a2b_3c4d, version, u32::MAX, u32::MAX]);
        self.block(0x0a0d_0d0a, &body)
    }

    pub(super) fn block(mut self, kind: u32, body: &[u8]) -> Self {
        let padding = body.len().next_multiple_of(4) - body.len();
        let length = u32::try_from(12 + body.len() + padding).expect("short block");
        self.bytes.extend(self.order.words(&[kind, length]));
        self.bytes.extend_from_slice(body);
        self.bytes.extend(vec![0; padding]);
        self.bytes.extend(self.order.u32(length));
        self
    }

    pub(super) fn interface(self, link: u16, snaplen: u32, options: &[(u16, &[u8])]) -> Self {
        let mut body = self.order.u16(link).to_vec();
        body.extend([0, 0]);
        body.extend(self.order.u32(snaplen));
        body.extend(self.options(options));
        self.block(1, &body)
    }

    pub(super) fn packet(self, interface: u32, ticks: u64, data: &[u8]) -> Self {
        let length = u32::try_from(data.len()).expect("short data");
        let [high, low] = halves(ticks);
        let mut body = self.order.words(&[interface, high, low, length, length]);
        body.extend_from_slice(data);
        self.block(6, &body)
    }

    pub(super) fn options(&self, options: &[(u16, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (code, value) in options {
            bytes.extend(self.order.u16(*code));
            bytes.extend(self.order.u16(u16::try_from(value.len()).expect("short option")));
            bytes.extend_from_slice(value);
            bytes.extend(vec![0; value.len().next_multiple_of(4) - value.len()]);
        }
        if !options.is_empty() {
            bytes.extend([0; 4]);
        }
        bytes
    }
}

pub(super) fn halves(ticks: u64) -> [u32; 2] {
    [
        u32::try_from(ticks >> 32).expect("32 bits"),
        u32::try_from(ticks & 0xffff_ffff).expect("32 bits"),
    ]
}
