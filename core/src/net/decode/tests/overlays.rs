//! Tags of Ethernet, tunnels in UDP, L2TP and the netfilter log: what is decoded, and what only looks like it.

use super::*;

/// Each tunnel in UDP over an IP packet: port, datagram, what is noted.
fn tunnels(inner: &[u8]) -> Vec<(u16, Vec<u8>, Encapsulation)> {
    use Encapsulation::{Capwap, Gue, L2tp, Lisp, Mpls, Tzsp, VxlanGpe};
    // As PPP, VXLAN-GPE, GUE and Ethernet name what follows.
    let (ppp, gpe, number, kind) = match inner.first().map(|first| first >> 4) {
        Some(6) => (0x57, 2, 41, IPV6),
        _ => (0x21, 1, 4, IPV4),
    };
    let frame = ethernet(kind, inner);
    let gtp = |flags: u8, options: &[u8]| {
        let length = be16(options.len() + inner.len());
        join(&[&[flags, 255], &length, &[0, 0, 16, 1], options, inner])
    };
    let l2tp_length = be16(8 + 4 + inner.len());
    vec![
        (2152, gtp(0x30, &[]), Encapsulation::GtpU),
        (2152, gtp(0x32, &[0, 7, 0, 0]), Encapsulation::GtpU),
        // A PDU session container, as 5G has it.
        (2152, gtp(0x34, &[0, 0, 0, 0x85, 1, 0x10, 9, 0]), Encapsulation::GtpU),
        (37_008, join(&[&[1, 0, 0, 1, 1], &frame]), Tzsp),
        (
            37_008,
            join(&[&[1, 0, 0, 1, 10, 1, 0xc0, 0, 41, 2, 0, 70, 1], &frame]),
            Tzsp,
        ),
        (1701, join(&[&[0, 2, 0, 5, 0, 6, 0xff, 3, 0, ppp], inner]), L2tp),
        (
            1701,
            join(&[&[0x40, 2], &l2tp_length, &[0, 5, 0, 6, 0xff, 3, 0, ppp], inner]),
            L2tp,
        ),
        (
            1701,
            join(&[&[0x0a, 2, 0, 5, 0, 6, 0, 1, 0, 0, 0, 2, 9, 9, ppp], inner]),
            L2tp,
        ),
        (1701, join(&[&[0, 3, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0], &frame]), L2tp),
        (4341, join(&[&[0xc0, 1, 2, 3, 0, 0, 0, 1], inner]), Lisp(None)),
        (4341, join(&[&[0x08, 0, 0, 0, 0, 0, 7, 0], inner]), Lisp(Some(7))),
        (4790, join(&[&[0x0c, 0, 0, gpe, 0, 0, 42, 0], inner]), VxlanGpe(42)),
        (4790, join(&[&[0x0c, 0, 0, 3, 0, 0, 42, 0], &frame]), VxlanGpe(42)),
        (6080, join(&[&[0, number, 0, 0], inner]), Gue),
        (6080, join(&[&[1, number, 0, 0, 9, 9, 9, 9], inner]), Gue),
        (6080, inner.to_vec(), Gue),
        (6635, mpls(100, true, inner), Mpls(100)),
        (6635, mpls(100, true, &frame), Mpls(100)),
        (5247, join(&[&[0, 0x10, 0, 0, 0, 0, 0, 0], &frame]), Capwap),
        // The address of a radio, as an option of the header.
        (
            5247,
            join(&[&[0, 0x20, 2, 0x10, 0, 0, 0, 0], &[6, 1, 2, 3, 4, 5, 6, 0], &frame]),
            Capwap,
        ),
    ]
}

fn in_udp(port: u16, datagram: &[u8]) -> Vec<u8> {
    ethernet(IPV4, &ipv4(17, &udp(port, datagram)))
}

/// The tags of Ethernet by themselves: EtherType, and what stands behind it.
fn tags() -> Vec<(u16, Vec<u8>, Encapsulation)> {
    let (inner, frame) = (join(&[&[8, 0], &v4()]), ethernet(IPV4, &v4()));
    let (sci, check) = ([9; 8], [0xee; 16]);
    let packet_number = [0, 0, 0, 1];
    let short = u8::try_from(inner.len()).expect("short");
    vec![
        (
            0x8909,
            join(&[&[1, 1, 0, 1, 0, 16], &inner]),
            Encapsulation::CiscoMetadata,
        ),
        (0x8926, join(&[&[0x80, 1, 0, 2], &inner]), Encapsulation::VnTag),
        (
            0x88e7,
            join(&[&[0x10, 0, 1, 0], &frame]),
            Encapsulation::ProviderBackbone(256),
        ),
        (0x892f, join(&[&[0x10, 70, 0, 1], &inner]), Encapsulation::Hsr),
        (
            0x88e5,
            join(&[&[0x20, 0], &packet_number, &sci, &inner, &check]),
            Encapsulation::Macsec,
        ),
        (
            0x88e5,
            join(&[&[0x43, 0], &packet_number, &inner, &check]),
            Encapsulation::Macsec,
        ),
        (
            0x88e5,
            join(&[&[0, short & 0x3f], &packet_number, &inner, &check]),
            Encapsulation::Macsec,
        ),
        (0x22f3, join(&[&[0, 7, 0, 1, 0, 2], &frame]), Encapsulation::Trill),
        (
            0x22f3,
            join(&[&[0, 0x47, 0, 1, 0, 2, 9, 9, 9, 9], &frame]),
            Encapsulation::Trill,
        ),
        (
            0x894f,
            join(&[&[0x0f, 0xc2, 2, 1, 0, 0, 5, 255], &v4()]),
            Encapsulation::Nsh(5),
        ),
        (
            0x894f,
            join(&[&[0x0f, 0xc6, 1, 3, 0, 0, 5, 255], &[0; 16], &frame]),
            Encapsulation::Nsh(5),
        ),
    ]
}

/// Frames of these wrappings for the test of any frame.
pub(super) fn any_shape(shape: usize, payload: &[u8]) -> Vec<u8> {
    let (tunnels, tags) = (tunnels(payload), tags());
    if let Some((port, datagram, _)) = tunnels.get(shape % 32) {
        return in_udp(*port, datagram);
    }
    let (kind, tag, _) = &tags[shape % tags.len()];
    ethernet(*kind, &join(&[&tag[..tag.len() - v4().len()], payload]))
}

fn is_datagram(frame: &[u8]) -> bool {
    matches!(
        FrameDecoder::new().decode(&packet(LinkType::ETHERNET, frame, 1)),
        Decoded::Datagram(_)
    )
}

#[test]
fn tags_between_ethernet_and_ip() {
    for (kind, tag, noted) in tags() {
        if kind == 0x88e5 && tag[1] != 0 {
            continue;
        }
        hello_in_ethernet(kind, &tag, &[noted]);
        hello_in_ethernet(0x8100, &vlan(5, kind, &tag), &[Encapsulation::Vlan(5), noted]);
        let length = tag.len() - v4().len();
        assert_eq!(
            skipped(LinkType::ETHERNET, &ethernet(kind, &tag[..length - 1])),
            Notice::HeaderCut
        );
    }
    let (ipv6, stack) = (join(&[&[0x0f, 0xc2, 2, 2, 0, 0, 5, 255], &v6()]), mpls(9, true, &v4()));
    let nested = join(&[&[0x0f, 0xc2, 2, 4, 0, 0, 6, 255], &ipv6]);
    hello_in_ethernet(0x894f, &nested, &[Encapsulation::Nsh(6), Encapsulation::Nsh(5)]);
    let labelled = join(&[&[0x0f, 0xc2, 2, 5, 0, 0, 5, 255], &stack]);
    hello_in_ethernet(0x894f, &labelled, &[Encapsulation::Nsh(5), Encapsulation::Mpls(9)]);
}

/// The length of a short frame bounds its data; the check value behind it is not a byte of a packet.
#[test]
fn a_short_frame_of_macsec_ends_where_it_says() {
    let mut inner = ipv4(6, &tcp(b""));
    // As segmentation offload leaves it: then only MACsec says how long it is.
    inner[2..4].fill(0);
    let length = u8::try_from(2 + inner.len()).expect("short");
    for short in [0, length] {
        let frame = join(&[&[0, short, 0, 0, 0, 1, 8, 0], &inner, &[0xee; 16]]);
        check_segment(LinkType::ETHERNET, &ethernet(0x88e5, &frame), |segment| {
            assert_eq!((segment.payload.len(), segment.cut), (0, 0), "{short}");
        });
    }
}

#[test]
fn tags_in_a_form_that_is_not_known_are_named_with_their_number() {
    let named = |kind: u16, start: &[u8]| {
        let frame = ethernet(kind, &join(&[start, &[8, 0], &v4()]));
        assert_eq!(
            unsupported(LinkType::ETHERNET, &frame),
            (Notice::EtherTypeNotDecoded, kind)
        );
    };
    named(0x8909, &[2, 1, 0, 1, 0, 16]);
    named(0x8909, &[1, 2, 0, 1, 0, 16]);
    named(0x8909, &[1, 1, 0, 2, 0, 16]);
    named(0x8926, &[0, 1, 0x10, 2]);
    // Encrypted, changed, another version, a length of more than 47.
    for flags in [0x08, 0x04, 0x2c, 0x80] {
        named(0x88e5, &[flags, 0, 0, 0, 0, 1]);
    }
    named(0x88e5, &[0, 0x70, 0, 0, 0, 1]);
    named(0x22f3, &[0x40, 7, 0, 1, 0, 2]);
    named(0x22f3, &[0x10, 7, 0, 1, 0, 2]);
    named(0x894f, &[0x4f, 0xc2, 2, 1, 0, 0, 5, 255]);
    named(0x894f, &[0x0f, 0xc1, 2, 1, 0, 0, 5, 255]);
    named(0x894f, &[0x0f, 0xc2, 2, 9, 0, 0, 5, 255]);
    // FabricPath and B.A.T.M.A.N. are known to nobody here.
    named(0x8903, &[]);
    named(0x4305, &[]);
}

#[test]
fn what_carries_no_tcp_is_not_worth_a_notice() {
    let other = |frame: &[u8]| {
        let mut decoder = FrameDecoder::new();
        assert!(matches!(
            decoder.decode(&packet(LinkType::ETHERNET, frame, 1)),
            Decoded::Other
        ));
    };
    for kind in [0x88cc, 0x888e, 0x8809, 0x88f7, 0x8863, 0x9000] {
        other(&ethernet(kind, &[1; 46]));
    }
    for protocol in [2, 89, 103, 112, 132] {
        other(&ethernet(IPV4, &ipv4(protocol, &[1; 40])));
    }
    other(&ethernet(0x894f, &join(&[&[0x2f, 0xc2, 2, 1, 0, 0, 5, 255], &v4()])));
    other(&ethernet(IPV4, &ipv4(115, &join(&[&[0; 4], &[0xc8, 3, 0, 20]]))));
}

#[test]
fn ip_and_ppp_protocols_that_may_carry_tcp_are_named_with_their_number() {
    for protocol in [50, 55, 108, 253] {
        let frame = ethernet(IPV4, &ipv4(protocol, &[1; 40]));
        let expected = (Notice::IpProtocolNotDecoded, u16::from(protocol));
        assert_eq!(unsupported(LinkType::ETHERNET, &frame), expected);
    }
    let routed = ethernet(IPV4, &ipv4(47, &gre(0x4000, IPV4, &[0; 8], &v4())));
    assert_eq!(
        unsupported(LinkType::ETHERNET, &routed),
        (Notice::IpProtocolNotDecoded, 47)
    );
    for protocol in [0x002d_u16, 0x00fd] {
        let frame = join(&[&[0xff, 3], &protocol.to_be_bytes(), &[1; 30]]);
        assert_eq!(
            unsupported(LinkType::PPP, &frame),
            (Notice::PppProtocolNotDecoded, protocol)
        );
    }
}

#[test]
fn tunnels_in_udp_are_told_by_all_that_they_say() {
    for (port, datagram, noted) in tunnels(&v4()) {
        hello(LinkType::ETHERNET, &in_udp(port, &datagram), &[noted]);
        // On another port the same bytes are nothing.
        assert!(is_datagram(&in_udp(port + 1, &datagram)), "{noted}");
        // One byte more or less than all lengths say.
        let (longer, shorter) = (join(&[&datagram, &[0]]), &datagram[..datagram.len() - 1]);
        let by_frame = matches!(noted, Encapsulation::Tzsp | Encapsulation::Capwap)
            || matches!(noted, Encapsulation::VxlanGpe(_)) && datagram[3] == 3;
        assert_eq!(is_datagram(&in_udp(port, &longer)), !by_frame, "{noted}");
        assert_eq!(is_datagram(&in_udp(port, shorter)), !by_frame, "{noted}");
    }
    for (port, datagram, noted) in tunnels(&v6()) {
        hello(LinkType::ETHERNET, &in_udp(port, &datagram), &[noted]);
    }
}

/// A packet that the snap length cut is of the tunnel all the same.
#[test]
fn a_cut_packet_in_a_tunnel_is_a_cut_packet() {
    for (port, datagram, noted) in tunnels(&v4()) {
        let frame = in_udp(port, &datagram);
        let cut = &frame[..frame.len() - 3];
        let packet = Packet {
            original_len: u32::try_from(frame.len()).expect("short"),
            ..packet(LinkType::ETHERNET, cut, 1)
        };
        match FrameDecoder::new().decode(&packet) {
            Decoded::Segment(segment) => assert_eq!((segment.payload, segment.cut), (&b"he"[..], 3), "{noted}"),
            other => panic!("{noted}: {other:?}"),
        }
    }
}

#[test]
fn near_misses_of_tunnels_stay_datagrams() {
    let change = |port: u16, which: usize, at: usize, value: u8| {
        let (_, mut datagram, noted) = tunnels(&v4())
            .into_iter()
            .filter(|(of, ..)| *of == port)
            .nth(which)
            .expect("a tunnel");
        datagram[at] = value;
        assert!(is_datagram(&in_udp(port, &datagram)), "{noted} with {value} at {at}");
    };
    // GTP version 2, GTP', the reserved bit, an echo request, the end of a tunnel, an extension without a length.
    for flags in [0x48, 0x20, 0x38] {
        change(2152, 0, 0, flags);
    }
    for message in [1, 254, 26] {
        change(2152, 0, 1, message);
    }
    change(2152, 2, 12, 0);
    // TZSP of another version, a keep-alive, no end of the tags.
    change(37_008, 0, 0, 2);
    change(37_008, 0, 1, 4);
    change(37_008, 0, 4, 0xff);
    // A beacon, which manages the radio; with data it is named.
    let beacon = |kind| join(&[&[1, 0, 0, 18, 1], &[kind, 0, 0, 0], &[7; 40]]);
    assert!(is_datagram(&in_udp(37_008, &beacon(0x80))));
    assert!(!is_datagram(&in_udp(37_008, &beacon(0x88))));
    // A control message of L2TP, a reserved bit, another version, a protocol of PPP itself.
    for flags in [0xc8, 0x10, 0x80] {
        change(1701, 0, 0, flags);
    }
    change(1701, 0, 1, 4);
    change(1701, 0, 8, 0xc0);
    change(1701, 1, 3, 9);
    // Encrypted LISP; VXLAN-GPE of another version and without a next protocol; a control message of GUE.
    change(4341, 0, 0, 0xc1);
    change(4790, 0, 0, 0x1c);
    change(4790, 0, 0, 0x08);
    change(4790, 0, 3, 2);
    change(6080, 0, 0, 0x20);
    change(6080, 0, 1, 6);
    // No bottom of the stack; a preamble of another version; a header of CAPWAP of no length.
    change(6635, 0, 2, 0x40);
    change(5247, 0, 0, 0x10);
    change(5247, 0, 1, 0);
}

#[test]
fn teredo_has_an_address_of_its_own_and_what_a_server_adds() {
    let mut inner = v6();
    inner[8..12].copy_from_slice(&[0x20, 1, 0, 0]);
    let origin = [0, 0, 0x12, 0x34, 1, 2, 3, 4];
    let authentication = [0, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0];
    for start in [&[][..], &origin, &authentication, &join(&[&authentication, &origin])] {
        let datagram = join(&[start, &inner]);
        check_segment(LinkType::ETHERNET, &in_udp(3544, &datagram), |segment| {
            assert_eq!(segment.payload, b"hello");
            assert_eq!(segment.path.outer[0].header, Encapsulation::Teredo);
        });
        // The other way: from the server's port.
        let mut back = udp(40_000, &datagram);
        back[..2].copy_from_slice(&3544_u16.to_be_bytes());
        check_segment(LinkType::ETHERNET, &ethernet(IPV4, &ipv4(17, &back)), |_| {});
        assert!(is_datagram(&in_udp(3544, &join(&[&datagram, &[0]]))));
    }
    assert!(is_datagram(&in_udp(3544, &v6())));
    assert!(is_datagram(&in_udp(3544, &v4())));
}

#[test]
fn tunnels_that_hide_their_content_are_named_with_their_port() {
    let named = |port: u16, datagram: &[u8]| {
        assert_eq!(
            unsupported(LinkType::ETHERNET, &in_udp(port, datagram)),
            (Notice::TunnelNotDecoded, port)
        );
    };
    named(5247, &[1, 0, 0, 0, 23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 1, 0, 8]);
    // IEEE 802.11 in either order of bytes.
    for control in [[0x08, 0x01], [0x01, 0x08], [0x88, 0x01]] {
        named(5247, &join(&[&[0, 0x10, 0x03, 0, 0, 0, 0, 0], &control, &[0; 40]]));
    }
    named(37_008, &join(&[&[1, 0, 0, 18, 1], &[8, 1], &[0; 40]]));
    assert!(is_datagram(&in_udp(5247, &[1, 0, 0, 0, 23, 3, 3, 0, 1])));
    assert!(is_datagram(&in_udp(37_008, &[1, 0, 0, 77, 1, 8, 1])));
}

#[test]
fn l2tp_in_ip_is_read_where_only_one_length_fits() {
    let frame = ethernet(IPV4, &v4());
    for cookie in [&[][..], &[7; 4], &[7; 8], &[7; 12]] {
        let message = join(&[&[0, 0, 0, 9], cookie, &frame]);
        hello_in_ethernet(IPV4, &ipv4(115, &message), &[Encapsulation::L2tp]);
        hello_in_ethernet(IPV6, &ipv6(115, &message), &[Encapsulation::L2tp]);
    }
    // Another length of cookie, or a frame that is none.
    for message in [join(&[&[0, 0, 0, 9], &[7; 5], &frame]), vec![9; 80]] {
        let frame = ethernet(IPV4, &ipv4(115, &message));
        assert_eq!(
            unsupported(LinkType::ETHERNET, &frame),
            (Notice::IpProtocolNotDecoded, 115)
        );
    }
}

#[test]
fn the_netfilter_log_in_either_order_of_bytes() {
    let attribute = |order: fn(u16) -> [u8; 2], kind: u16, value: &[u8]| {
        let padding = vec![0; value.len().next_multiple_of(4) - value.len()];
        let length = u16::try_from(4 + value.len()).expect("short");
        join(&[&order(length), &order(kind), value, &padding])
    };
    for order in [u16::to_le_bytes, u16::to_be_bytes] {
        let before = join(&[&attribute(order, 1, &[8, 0, 3, 0]), &attribute(order, 10, b"tls\0x\0")]);
        for (family, packet) in [(2, v4()), (10, v6())] {
            let frame = join(&[&[family, 0, 0, 5], &before, &attribute(order, 9, &packet), &[0; 3]]);
            hello(LinkType::NFLOG, &frame, &[]);
            // A packet is cut by what its attribute says, not by where the frame ends.
            let cut = &frame[..frame.len() - 20];
            assert_eq!(skipped(LinkType::NFLOG, &cut[..16]), Notice::HeaderMalformed);
        }
    }
    let of_a_bridge = join(&[&[7, 0, 0, 5], &attribute(u16::to_le_bytes, 9, &v4())]);
    assert_eq!(
        unsupported(LinkType::NFLOG, &of_a_bridge),
        (Notice::LinkTypeNotSupported, 239)
    );
    let unknown = join(&[&[2, 0, 0, 5], &attribute(u16::to_le_bytes, 77, &v4())]);
    assert_eq!(skipped(LinkType::NFLOG, &unknown), Notice::HeaderMalformed);
    assert_eq!(skipped(LinkType::NFLOG, &[2, 0]), Notice::HeaderCut);
}

proptest! {
    /// 2^20 datagrams of chance at the least for each that passes for a tunnel: none in the few thousand of a test.
    #[test]
    fn bytes_at_random_are_no_tunnel(
        payload in proptest::collection::vec(any::<u8>(), 0..200),
        port in prop::sample::select(&[1701_u16, 2152, 3544, 4341, 4790, 6080, 6635][..]),
    ) {
        prop_assert!(is_datagram(&in_udp(port, &payload)));
    }
}
