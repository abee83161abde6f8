//! IEEE 802.11 and the headers that capturing systems write before a frame.

use super::*;
use crate::net::MacAddress;

const BARE: LinkType = LinkType(105);
const PRISM: LinkType = LinkType(119);
const RADIOTAP: LinkType = LinkType(127);
const AVS: LinkType = LinkType(163);
const PPI: LinkType = LinkType(192);
const PKTAP: LinkType = LinkType(258);
const ERF: LinkType = LinkType(197);
const JUNIPER: LinkType = LinkType(178);
const SNAP: [u8; 6] = [0xaa, 0xaa, 3, 0, 0, 0];
const OTHER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];
const POINT: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// A data frame with quality of service; the sender is [`MAC`].
const QOS: u8 = 0x88;
const TO_POINT: u8 = 0x01;
const PROTECTED: u8 = 0x40;

/// Header of a frame of IEEE 802.11, and what stands behind it.
fn radio(kind: u8, flags: u8, fragment: u8, body: &[u8]) -> Vec<u8> {
    let addresses = match flags & 3 {
        0 => [OTHER_MAC, MAC, POINT],
        1 => [POINT, MAC, OTHER_MAC],
        2 => [OTHER_MAC, POINT, MAC],
        _ => [POINT, POINT, OTHER_MAC],
    };
    let fourth = if flags & 3 == 3 { &MAC[..] } else { &[] };
    let quality = if kind & 0x80 == 0 { &[][..] } else { &[0, 0] };
    let high_throughput = if kind & 0x80 != 0 && flags & 0x80 != 0 {
        &[1, 2, 3, 4][..]
    } else {
        &[]
    };
    join(&[
        &[kind, flags, 44, 0],
        &addresses.concat(),
        &[fragment, 1],
        fourth,
        quality,
        high_throughput,
        body,
    ])
}

fn is_other(link: LinkType, data: &[u8]) -> bool {
    matches!(FrameDecoder::new().decode(&packet(link, data, 1)), Decoded::Other)
}

/// A packet behind LLC with SNAP.
fn packet_in_snap(kind: u16, packet: &[u8]) -> Vec<u8> {
    join(&[&SNAP, &kind.to_be_bytes(), packet])
}

fn snap() -> Vec<u8> {
    packet_in_snap(IPV4, &ipv4(6, &tcp(b"hello")))
}

#[test]
fn a_data_frame_of_the_radio_names_its_sender_whichever_way_it_goes() {
    for kind in [0x08, QOS] {
        for flags in [0, 1, 2, 3, 0x80, 0x81, 0x89] {
            let v6 = packet_in_snap(IPV6, &ipv6(6, &tcp(b"hello")));
            for body in [snap(), v6] {
                let frame = radio(kind, flags, 0x20, &body);
                hello(BARE, &frame, &[]);
                // Its checksum may follow.
                hello(BARE, &join(&[&frame, &[1, 2, 3, 4]]), &[]);
                check_segment(BARE, &frame, |segment| {
                    assert_eq!(segment.path.source_mac, Some(MacAddress(MAC)), "{kind:x} {flags:x}");
                });
            }
        }
    }
}

#[test]
fn frames_of_the_radio_that_cannot_be_read_are_told() {
    let hidden = |frame: &[u8]| assert_eq!(skipped(BARE, frame), Notice::WirelessFrameNotRead);
    let ciphertext = [0x5a; 60];
    hidden(&radio(QOS, TO_POINT | PROTECTED, 0, &ciphertext));
    hidden(&radio(QOS, TO_POINT | 0x04, 0, &snap()));
    hidden(&radio(QOS, TO_POINT, 3, &snap()));
    let mut aggregated = radio(QOS, TO_POINT, 0, &snap());
    aggregated[24] = 0x80;
    hidden(&aggregated);
    // Cut behind the header: nothing tells that it was decrypted.
    hidden(&radio(QOS, TO_POINT | PROTECTED, 0, &[]));
}

#[test]
fn a_frame_that_its_card_decrypted_is_read_although_it_is_marked() {
    for left_over in [&[][..], &[7; 4], &[7; 8]] {
        let body = join(&[left_over, &snap()]);
        hello(BARE, &radio(QOS, TO_POINT | PROTECTED, 0, &body), &[]);
    }
    let body = join(&[&[7; 5], &snap()]);
    let frame = radio(QOS, TO_POINT | PROTECTED, 0, &body);
    assert_eq!(skipped(BARE, &frame), Notice::WirelessFrameNotRead);
}

#[test]
fn what_the_points_of_a_mesh_write_before_a_packet_is_passed() {
    for addresses in 0..3 {
        let control = vec![0; 6 * usize::from(addresses)];
        let body = join(&[&[addresses, 31, 1, 0, 0, 0], &control, &snap()]);
        hello(BARE, &radio(QOS, 3, 0, &body), &[]);
        // Only between them.
        assert!(is_other(BARE, &radio(QOS, TO_POINT, 0, &body)));
    }
}

#[test]
fn other_frames_of_the_radio_are_another_protocol() {
    // A beacon, an acknowledgement, data frames without data, a version that is not known.
    for kind in [0x80, 0xd4, 0x48, 0xc8, 0x09] {
        assert!(is_other(BARE, &radio(kind, TO_POINT, 0, &snap())), "{kind:x}");
    }
    assert_eq!(skipped(BARE, &[QOS]), Notice::HeaderCut);
    assert_eq!(skipped(BARE, &radio(QOS, TO_POINT, 0, &[])[..25]), Notice::HeaderCut);
}

#[test]
fn what_describes_the_radio_is_passed() {
    let frame = radio(QOS, TO_POINT, 0, &snap());
    let padded = join(&[&frame[..26], &[0, 0], &frame[26..]]);
    let le = |value: u32| value.to_le_bytes();
    // No fields; flags alone; time and flags; time and flags behind a second word of bits.
    hello(RADIOTAP, &join(&[&[0, 0, 8, 0], &le(0), &frame]), &[]);
    hello(RADIOTAP, &join(&[&[0, 0, 9, 0], &le(2), &[0x10], &frame]), &[]);
    hello(RADIOTAP, &join(&[&[0, 0, 9, 0], &le(2), &[0x20], &padded]), &[]);
    hello(
        RADIOTAP,
        &join(&[&[0, 0, 17, 0], &le(3), &[0x20; 8], &[0x20], &padded]),
        &[],
    );
    let two_words = join(&[&[0, 0, 25, 0], &le(0x8000_0003), &le(0), &[0; 4], &[0; 8], &[0x20]]);
    hello(RADIOTAP, &join(&[&two_words, &padded]), &[]);
    // A field outside of the header is none.
    hello(RADIOTAP, &join(&[&[0, 0, 8, 0], &le(2), &frame]), &[]);
    // Whose checksum is wrong.
    let damaged = join(&[&[0, 0, 9, 0], &le(2), &[0x50], &frame]);
    assert_eq!(skipped(RADIOTAP, &damaged), Notice::WirelessFrameNotRead);
    assert_eq!(skipped(RADIOTAP, &[0, 0, 200, 0, 0, 0, 0, 0]), Notice::HeaderCut);
    assert_eq!(skipped(RADIOTAP, &[0, 0, 7, 0, 0, 0, 0, 0]), Notice::HeaderMalformed);
    assert_eq!(skipped(RADIOTAP, &[1, 0, 8, 0, 0, 0, 0, 0]), Notice::HeaderMalformed);

    let avs = join(&[&0x8021_1001_u32.to_be_bytes(), &64_u32.to_be_bytes(), &[0; 56], &frame]);
    for link in [AVS, PRISM] {
        hello(link, &avs, &[]);
    }
    for order in [u32::to_le_bytes, u32::to_be_bytes] {
        hello(PRISM, &join(&[&order(0x44), &order(144), &[0; 136], &frame]), &[]);
    }
    assert_eq!(skipped(PRISM, &[0; 8]), Notice::HeaderMalformed);
    assert_eq!(skipped(AVS, &avs[..40]), Notice::HeaderCut);
}

#[test]
fn headers_that_name_the_link_of_what_follows() {
    let le = |value: u32| value.to_le_bytes();
    let wired = ethernet(IPV4, &ipv4(6, &tcp(b"hello")));
    let raw = ipv6(6, &tcp(b"hello"));
    let pktap = |kind: u32, link: u32, frame: &[u8]| join(&[&le(108), &le(kind), &le(link), &[0; 96], frame]);
    hello(PKTAP, &pktap(1, 1, &wired), &[]);
    hello(PKTAP, &pktap(1, 12, &raw), &[]);
    hello(PKTAP, &pktap(1, 0, &join(&[&le(30), &raw])), &[]);
    assert!(is_other(PKTAP, &pktap(2, 1, &wired)));
    assert_eq!(skipped(PKTAP, &pktap(1, 1, &wired)[..100]), Notice::HeaderCut);
    assert_eq!(
        skipped(PKTAP, &join(&[&le(4), &le(1), &le(1)])),
        Notice::HeaderMalformed
    );
    assert_eq!(
        unsupported(PKTAP, &pktap(1, 147, &wired)),
        (Notice::LinkTypeNotSupported, 147)
    );
    // Under the number for private use only where all of it fits.
    let mut private = pktap(1, 1, &wired);
    private[12..16].copy_from_slice(b"utun");
    hello(LinkType(149), &private, &[]);
    let other = (Notice::LinkTypeNotSupported, 149);
    for (at, value) in [(0, 12), (4, 2), (12, 0), (13, 7), (20, 1)] {
        let mut changed = private.clone();
        changed[at] = value;
        assert_eq!(unsupported(LinkType(149), &changed), other, "{at}");
    }
    let ppi = |link: u32, frame: &[u8]| join(&[&[0, 0, 12, 0], &le(link), &[0; 4], frame]);
    hello(PPI, &ppi(105, &radio(QOS, TO_POINT, 0, &snap())), &[]);
    hello(PPI, &ppi(1, &wired), &[]);
    assert_eq!(skipped(PPI, &[0, 0, 7, 0, 1, 0, 0, 0]), Notice::HeaderMalformed);
    // However often they name each other.
    let mut nested = wired;
    for _ in 0..40 {
        nested = join(&[&le(12), &le(1), &le(258), &nested]);
    }
    assert_eq!(skipped(PKTAP, &nested), Notice::NestingTooDeep);
}

#[test]
fn headers_with_a_family_of_addresses() {
    let (v4, v6) = (ipv4(6, &tcp(b"hello")), ipv6(6, &tcp(b"hello")));
    for (family, packet) in [(2, &v4), (24, &v6), (30, &v6)] {
        let log = |length: u8, header: usize| join(&[&[length, family], &vec![0; header - 2], packet]);
        hello(LinkType(117), &log(61, 64), &[]);
        hello(LinkType(117), &log(100, 100), &[]);
        for order in [u32::to_le_bytes, u32::to_be_bytes] {
            hello(LinkType(109), &join(&[&order(u32::from(family)), &[0; 8], packet]), &[]);
        }
        // From a router that passes packets without what was before them.
        let bare = join(&[b"MGC\x82\0\x02\x09\0", &u32::from(family).to_le_bytes(), packet]);
        hello(JUNIPER, &bare, &[]);
    }
    assert!(is_other(LinkType(117), &[61; 80]));
    assert_eq!(skipped(LinkType(117), &[0; 80]), Notice::HeaderMalformed);
    assert_eq!(skipped(LinkType(117), &[61, 2, 0]), Notice::HeaderCut);
    assert_eq!(skipped(LinkType(109), &[0, 0, 0, 2, 0]), Notice::HeaderCut);
}

#[test]
fn captures_of_routers_and_of_capture_cards() {
    let wired = ethernet(IPV4, &ipv4(6, &tcp(b"hello")));
    hello(JUNIPER, &join(&[b"MGC\x01", &wired]), &[]);
    hello(JUNIPER, &join(&[b"MGC\x80\0\x03\x02\x01\x35", &wired]), &[]);
    assert_eq!(skipped(JUNIPER, b"MGD\x01 and more"), Notice::HeaderMalformed);
    assert_eq!(skipped(JUNIPER, b"MGC"), Notice::HeaderCut);
    assert_eq!(skipped(JUNIPER, b"MGC\x80\0"), Notice::HeaderCut);

    let record = |kind: u8, words: &[u8], frame: &[u8]| join(&[&[0; 8], &[kind], &[0; 7], words, frame]);
    let word = |more: u8| [more | 3, 0, 0, 0, 0, 0, 0, 1];
    let offset = join(&[&[0, 0], &wired]);
    for kind in [2, 11, 16, 20] {
        hello(ERF, &record(kind, &[], &offset), &[]);
        hello(ERF, &record(0x80 | kind, &word(0), &offset), &[]);
        hello(ERF, &record(0x80 | kind, &[word(0x80), word(0)].concat(), &offset), &[]);
    }
    hello(ERF, &record(22, &[], &ipv4(6, &tcp(b"hello"))), &[]);
    hello(ERF, &record(23, &[], &ipv6(6, &tcp(b"hello"))), &[]);
    let packet = ipv4(6, &tcp(b"hello"));
    hello(ERF, &record(1, &[], &join(&[&[0x0f, 0, 8, 0], &packet])), &[]);
    hello(ERF, &record(1, &[], &join(&[&[0xff, 3, 0, 0x21], &packet])), &[]);
    // Counters, and what describes the card.
    for kind in [13, 14, 27, 48] {
        assert!(is_other(ERF, &record(kind, &[], &offset)), "{kind}");
    }
    assert_eq!(
        unsupported(ERF, &record(3, &[], &offset)),
        (Notice::LinkTypeNotSupported, ERF.0)
    );
    assert_eq!(skipped(ERF, &[0; 8]), Notice::HeaderCut);
    assert_eq!(skipped(ERF, &record(0x82, &[], &[])), Notice::HeaderCut);
}

proptest! {
    /// Whatever stands there, it ends.
    #[test]
    fn bytes_at_random_are_walked_to_an_end(
        link in prop::sample::select(&[105_u16, 109, 117, 119, 127, 163, 178, 192, 197, 219, 258][..]),
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        FrameDecoder::new().decode(&packet(LinkType(link), &bytes, 1));
    }
}
