//! pcapng files made block by block, and what comes out of them.

use proptest::prelude::*;

use super::*;
use crate::capture::testing::{BIG, BlockWriter, LITTLE, Order, assert_ended, drain, frames, halves, read_all, source};
use reshake_core::net::capture::Ended;

const SECOND: u64 = 1_700_000_000;
const NANOS: i64 = 1_700_000_000_000_000_000;

fn plain(count: u64) -> BlockWriter {
    let mut blocks = BlockWriter::new(LITTLE).interface(1, 0, &[]);
    for number in 0..count {
        let ticks = (SECOND + number) * 1_000_000;
        let data = vec![7; 40 + usize::try_from(number).expect("small")];
        blocks = blocks.packet(0, ticks, &data);
    }
    blocks
}

#[test]
fn every_interface_has_its_own_clock_in_either_byte_order() {
    for order in [LITTLE, BIG] {
        let three = order.u64(3);
        let back = order.u64((-5_i64).cast_unsigned());
        let bytes = BlockWriter::new(order)
            .interface(1, 0, &[(9, &[9]), (14, &three)])
            .interface(113, 0, &[(9, &[0x80 | 0x14]), (14, &back)])
            .interface(101, 0, &[])
            .packet(0, SECOND * 1_000_000_000 + 7, b"nano")
            .packet(1, (SECOND << 20) + (1 << 19), b"binary")
            .packet(2, SECOND * 1_000_000, b"micro")
            .bytes;
        let (packets, capture) = read_all(&bytes);
        let times: Vec<i64> = packets.iter().map(|p| p.nanos - NANOS).collect();
        assert_eq!(times, [3_000_000_007, -4_500_000_000, 0]);
        let links: Vec<u16> = packets.iter().map(|p| p.link).collect();
        assert_eq!(links, [1, 113, 101]);
        assert_eq!(capture.format, CaptureFormat::Pcapng);
        assert_eq!(capture.first_time, Some(Timestamp::from_nanos(NANOS - 4_500_000_000)));
        assert_eq!(capture.last_time, Some(Timestamp::from_nanos(NANOS + 3_000_000_007)));
        assert_ended(&capture, Ended::EndOfFile, 0);
    }
}

#[test]
fn sections_change_the_byte_order_and_start_interfaces_anew() {
    let bytes = plain(1)
        .section(BIG)
        .interface(101, 0, &[])
        .interface(113, 0, &[])
        .packet(1, SECOND * 1_000_000, b"second")
        .bytes;
    let (packets, _) = read_all(&bytes);
    assert_eq!(frames(&packets), [1, 2]);
    assert_eq!((packets[1].link, packets[1].interface), (113, 2));
}

#[test]
fn options_do_not_belong_to_the_packet() {
    let mut body = LITTLE.words(&[0, 0, 0, 5, 9]);
    body.extend(b"frame\0\0\0");
    body.extend(plain(0).options(&[(1, b"a comment")]));
    let (packets, _) = read_all(&plain(0).block(6, &body).bytes);
    assert_eq!((packets[0].data.as_slice(), packets[0].original), (&b"frame"[..], 9));
}

#[test]
fn simple_packets_have_neither_time_nor_interface() {
    let mut simple = LITTLE.u32(9).to_vec();
    simple.extend(b"frame-cut");
    let bytes = BlockWriter::new(LITTLE)
        .interface(1, 6, &[])
        .packet(0, SECOND * 1_000_000, b"timed")
        .block(3, &simple)
        .bytes;
    let (packets, capture) = read_all(&bytes);
    assert_eq!(packets[1].data, b"frame-");
    assert_eq!((packets[1].original, packets[1].nanos), (9, NANOS));
    assert_eq!(capture.notices.count(Notice::PacketCutBySnaplen), 1);
}

#[test]
fn the_obsolete_packet_block_is_read() {
    for order in [LITTLE, BIG] {
        let mut body = order.u16(0).to_vec();
        body.extend(order.u16(0xffff));
        let [high, low] = halves(SECOND * 1_000_000);
        body.extend(order.words(&[high, low, 5, 7]));
        body.extend(b"frame");
        let bytes = BlockWriter::new(order).interface(1, 0, &[]).block(2, &body).bytes;
        let (packets, _) = read_all(&bytes);
        assert_eq!((packets[0].data.as_slice(), packets[0].nanos), (&b"frame"[..], NANOS));
    }
}

#[test]
fn blocks_that_wireshark_shows_as_frames_are_numbered() {
    let journal = b"__CURSOR=a\nMESSAGE=something happened\n";
    let bytes = plain(1)
        .block(block_type::JOURNAL, journal)
        .block(block_type::CUSTOM, &[0; 8])
        .block(block_type::CUSTOM_NO_COPY, &[0; 8])
        .block(block_type::SYSDIG_EVENT, &[0; 60])
        .block(0x8000_0001, b"local")
        .block(77, b"unknown")
        .block(4, &[0; 4])
        .packet(0, SECOND, b"after")
        .bytes;
    let (packets, capture) = read_all(&bytes);
    assert_eq!(frames(&packets), [1, 6]);
    assert_eq!(capture.packets, 6);
}

#[test]
fn the_last_drop_count_of_each_interface_is_summed_over_sections() {
    for order in [LITTLE, BIG] {
        let count = |blocks: &BlockWriter, interface: u32, code: u16, drops: u64| {
            let mut body = blocks.order.words(&[interface, 0, 0]);
            body.extend(blocks.options(&[(4, &order.u64(100)), (code, &order.u64(drops))]));
            body
        };
        let blocks = BlockWriter::new(order).interface(1, 0, &[]).interface(1, 0, &[]);
        assert_eq!(read_all(&blocks.bytes).1.dropped, None);
        let (first, second) = (count(&blocks, 0, 5, 3), count(&blocks, 0, 5, 7));
        let (third, again) = (count(&blocks, 1, 7, 20), count(&blocks, 0, 5, 100));
        let blocks = blocks.block(5, &first).block(5, &second).block(5, &third);
        let bytes = blocks.section(order).interface(1, 0, &[]).block(5, &again).bytes;
        assert_eq!(read_all(&bytes).1.dropped, Some(127));
    }
}

#[test]
fn tls_key_logs_are_handed_over_once() {
    let mut body = LITTLE.words(&[0x544c_534b, 9]);
    body.extend(b"CLIENT_x\n");
    let mut other = LITTLE.words(&[0x5747_4b4c, 4]);
    other.extend(b"wire");
    let mut source = source(&plain(1).block(10, &body).block(10, &other).bytes);
    drain(source.as_mut());
    assert_eq!(source.secrets(), [b"CLIENT_x\n".to_vec()]);
    assert!(source.secrets().is_empty());
}

#[test]
fn a_packet_of_an_unknown_interface_keeps_its_number() {
    let bytes = plain(1).packet(9, 0, b"lost").packet(0, SECOND, b"found").bytes;
    let (packets, capture) = read_all(&bytes);
    assert_eq!(frames(&packets), [1, 3]);
    assert_eq!(capture.notices.count(Notice::UnknownInterface), 1);
}

#[test]
fn a_damaged_interface_keeps_its_number() {
    let mut options = LITTLE.words(&[113, 0]);
    options.extend([9, 0, 200, 0, 9, 0, 0, 0]);
    for (damaged, link, damages) in [(options, 113, 0), (vec![113, 0, 0, 0], u16::MAX, 1)] {
        let bytes = BlockWriter::new(LITTLE)
            .block(1, &damaged)
            .interface(101, 0, &[])
            .packet(0, SECOND * 1_000_000, b"first")
            .packet(1, SECOND * 1_000_000, b"second")
            .bytes;
        let (packets, capture) = read_all(&bytes);
        let links: Vec<u16> = packets.iter().map(|p| p.link).collect();
        assert_eq!(links, [link, 101]);
        assert_ended(&capture, Ended::EndOfFile, damages);
    }
}

#[test]
fn a_captured_length_that_leaves_its_block_is_damage() {
    let body = LITTLE.words(&[0, 0, 0, 500, 500, 0, 0]);
    let (packets, capture) = read_all(&plain(1).block(6, &body).packet(0, SECOND, b"found").bytes);
    assert_eq!(frames(&packets), [1, 3]);
    assert_ended(&capture, Ended::EndOfFile, 1);
}

#[test]
fn lengths_without_padding_are_rounded_up() {
    for padding in [3, 0] {
        let mut blocks = plain(1);
        blocks.bytes.extend(LITTLE.words(&[77, 17]));
        blocks.bytes.extend(b"abcde");
        blocks.bytes.extend(vec![0; padding]);
        blocks.bytes.extend(LITTLE.u32(17));
        let (packets, capture) = read_all(&blocks.packet(0, SECOND, b"after").bytes);
        assert_eq!(packets.len(), 2);
        assert_ended(&capture, Ended::EndOfFile, 0);
    }
}

#[test]
fn a_file_cut_anywhere_gives_its_whole_packets() {
    let whole = plain(5).bytes;
    let (all, _) = read_all(&whole);
    for length in 28..whole.len() {
        let (packets, capture) = read_all(&whole[..length]);
        assert_eq!(packets, all[..packets.len()], "cut at {length}");
        assert_ne!(capture.ended, Ended::Corrupt, "cut at {length}");
    }
}

#[test]
fn after_a_damaged_block_reading_goes_on_at_the_next_whole_one() {
    let whole = plain(6).bytes;
    let second = 28 + 20 + 32 + 40;
    // The length at the start, so that the block ends nowhere, or at the end of the file or beyond it.
    for length in [0_u32, 13, 70, 200, 100_000, u32::MAX] {
        let mut bytes = whole.clone();
        bytes[second + 4..second + 8].copy_from_slice(&length.to_le_bytes());
        let (packets, capture) = read_all(&bytes);
        assert_eq!(packets.len(), 5, "length {length}");
        assert_ended(&capture, Ended::EndOfFile, 1);
    }
}

#[test]
fn damage_over_megabytes_is_stepped_over() {
    let mut blocks = plain(2);
    blocks.bytes.extend(vec![0xee; 3 << 20]);
    let (packets, capture) = read_all(&blocks.packet(0, SECOND, b"after").bytes);
    assert_eq!(packets.len(), 3);
    assert_ended(&capture, Ended::EndOfFile, 1);
}

#[test]
fn damage_without_an_end_is_told() {
    let mut blocks = plain(2);
    blocks.bytes.extend(vec![0xee; 100_000]);
    let (packets, capture) = read_all(&blocks.bytes);
    assert_eq!(packets.len(), 2);
    assert_ended(&capture, Ended::Corrupt, 1);
}

proptest! {
    #[test]
    fn any_blocks_end_without_panic(
        blocks in proptest::collection::vec(
            (
                prop::sample::select(vec![1_u32, 2, 3, 4, 5, 6, 9, 10, 0xbad, 0x0a0d_0d0a, 77]),
                proptest::collection::vec(any::<u8>(), 0..64),
            ),
            0..12,
        ),
        big in any::<bool>(),
    ) {
        let mut file = BlockWriter::new(Order { big }).interface(1, 0, &[]);
        for (kind, body) in &blocks {
            file = file.block(*kind, body);
        }
        let (packets, _) = read_all(&file.bytes);
        prop_assert!(packets.len() <= file.bytes.len() / 12);
    }

    #[test]
    fn any_bytes_end_without_panic(mut rest in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut bytes = plain(1).bytes;
        bytes.append(&mut rest);
        let (packets, _) = read_all(&bytes);
        prop_assert!(!packets.is_empty());
    }

    #[test]
    fn flipping_bytes_never_loses_what_came_before(at in 48_usize..500, value in any::<u8>()) {
        let mut bytes = plain(8).bytes;
        let before = read_all(&bytes[..at]).0.len();
        let (whole, _) = read_all(&bytes);
        bytes[at] = value;
        let (packets, _) = read_all(&bytes);
        prop_assert_eq!(&packets[..before], &whole[..before]);
    }
}
