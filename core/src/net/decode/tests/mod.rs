//! Every link type and wrapping, byte by byte.

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::net::{Datagram, Endpoint, LinkType, Segment, SeqNumber};

mod frames;
mod overlays;
mod pseudo_headers;

use frames::*;

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

fn packet(link: LinkType, data: &[u8], number: u64) -> Packet<'_> {
    Packet {
        frame: FrameRef::new(0, number),
        time: Timestamp::from_nanos(i64::try_from(number).expect("small") * 1_000_000),
        link,
        interface: 0,
        data,
        original_len: u32::try_from(data.len()).expect("short"),
    }
}

fn check_segment(link: LinkType, data: &[u8], check: impl FnOnce(&Segment<'_>)) {
    let mut decoder = FrameDecoder::new();
    match decoder.decode(&packet(link, data, 1)) {
        Decoded::Segment(segment) => check(&segment),
        other => panic!("no segment in {data:02x?}: {other:?}"),
    }
}

/// The frame holds the segment that `tcp(b"hello")` makes, behind these headers.
fn hello(link: LinkType, data: &[u8], outer: &[Encapsulation]) {
    check_segment(link, data, |segment| {
        assert_eq!(segment.payload, b"hello");
        assert_eq!((segment.cut, segment.window), (0, 0x0102));
        assert_eq!((segment.seq, segment.ack), (SeqNumber(1000), SeqNumber(2000)));
        assert!(segment.flags.ack() && !segment.flags.syn());
        assert_eq!(segment.options.timestamps(), Some((1, 2)));
        let version4 = segment.source.ip.is_ipv4();
        let (source, destination): (IpAddr, IpAddr) = if version4 {
            (CLIENT.into(), SERVER.into())
        } else {
            (CLIENT6.into(), SERVER6.into())
        };
        assert_eq!(
            segment.source,
            Endpoint {
                ip: source,
                port: 40_000
            }
        );
        assert_eq!(
            segment.destination,
            Endpoint {
                ip: destination,
                port: 443
            }
        );
        assert_eq!(segment.path.ttl, if version4 { 61 } else { 59 });
        assert_eq!(segment.path.ip_id, version4.then_some(77));
        let headers: Vec<Encapsulation> = segment.path.outer.iter().map(|one| one.header).collect();
        assert_eq!(headers, outer);
    });
}

fn hello_in_ethernet(kind: u16, payload: &[u8], outer: &[Encapsulation]) {
    hello(LinkType::ETHERNET, &ethernet(kind, payload), outer);
}

fn skipped(link: LinkType, data: &[u8]) -> Notice {
    match FrameDecoder::new().decode(&packet(link, data, 1)) {
        Decoded::Skipped(notice) => notice,
        other => panic!("not skipped: {other:?}"),
    }
}

fn unsupported(link: LinkType, data: &[u8]) -> (Notice, u16) {
    match FrameDecoder::new().decode(&packet(link, data, 1)) {
        Decoded::Unsupported(notice, number) => (notice, number),
        other => panic!("not unsupported: {other:?}"),
    }
}

fn v4() -> Vec<u8> {
    ipv4(6, &tcp(b"hello"))
}

fn v6() -> Vec<u8> {
    ipv6(6, &tcp(b"hello"))
}

#[test]
fn ethernet_carries_both_versions_and_its_padding_is_left_out() {
    hello_in_ethernet(IPV4, &v4(), &[]);
    hello_in_ethernet(IPV6, &v6(), &[]);
    hello_in_ethernet(IPV4, &join(&[&v4(), &[0xee; 10]]), &[]);
    hello_in_ethernet(IPV6, &join(&[&v6(), &[0xee; 10]]), &[]);
    check_segment(LinkType::ETHERNET, &ethernet(IPV4, &v4()), |segment| {
        assert_eq!(segment.path.source_mac, Some(MacAddress(MAC)));
    });
}

#[test]
fn raw_and_loopback_links_in_every_spelling() {
    for link in [LinkType::RAW, LinkType(12), LinkType(14), LinkType::IPV4] {
        hello(link, &v4(), &[]);
    }
    hello(LinkType::RAW, &v6(), &[]);
    hello(LinkType::IPV6, &v6(), &[]);
    for link in [LinkType::NULL, LinkType::LOOP] {
        for order in [u32::to_be_bytes, u32::to_le_bytes] {
            hello(link, &join(&[&order(2), &v4()]), &[]);
            for family in [10, 24, 28, 30] {
                hello(link, &join(&[&order(family), &v6()]), &[]);
            }
        }
    }
}

#[test]
fn linux_cooked_captures_of_both_versions() {
    let cooked = |protocol: u16, payload: &[u8]| {
        let address = [&MAC[..], &[0, 0]].concat();
        join(&[&[0, 0, 0, 1, 0, 6], &address, &protocol.to_be_bytes(), payload])
    };
    let cooked2 = |protocol: u16, payload: &[u8]| {
        let address = [&MAC[..], &[0, 0]].concat();
        let start = [0, 0, 0, 0, 0, 3, 0, 1, 0, 6];
        join(&[&protocol.to_be_bytes(), &start, &address, payload])
    };
    for (link, frame) in [
        (LinkType::LINUX_SLL, cooked(IPV4, &v4())),
        (LinkType::LINUX_SLL2, cooked2(IPV4, &v4())),
    ] {
        hello(link, &frame, &[]);
        check_segment(link, &frame, |segment| {
            assert_eq!(segment.path.source_mac, Some(MacAddress(MAC)));
        });
    }
    hello(LinkType::LINUX_SLL, &cooked(IPV6, &v6()), &[]);
    hello(LinkType::LINUX_SLL2, &cooked2(IPV6, &v6()), &[]);
    let tagged = vlan(5, IPV4, &v4());
    hello(
        LinkType::LINUX_SLL2,
        &cooked2(0x8100, &tagged),
        &[Encapsulation::Vlan(5)],
    );
    let llc = join(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &v4()]);
    hello(LinkType::LINUX_SLL, &cooked(4, &llc), &[]);
}

#[test]
fn vlan_tags_may_be_stacked_with_any_type() {
    use Encapsulation::Vlan;
    for kind in [0x8100, 0x88a8, 0x9100, 0x9200] {
        hello_in_ethernet(kind, &vlan(5, IPV4, &v4()), &[Vlan(5)]);
    }
    let mut inner = vlan(4, IPV6, &v6());
    for id in [3, 2, 1] {
        inner = vlan(id, 0x8100, &inner);
    }
    hello_in_ethernet(0x88a8, &inner, &[Vlan(1), Vlan(2), Vlan(3), Vlan(4)]);
    // Priority bits are not part of the identifier.
    hello_in_ethernet(0x8100, &vlan(0xe005, IPV4, &v4()), &[Vlan(5)]);
}

#[test]
fn ieee_802_3_frames_carry_ip_in_snap_or_llc() {
    let snap = join(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &v4()]);
    let length = u16::try_from(snap.len()).expect("short");
    hello_in_ethernet(length, &join(&[&snap, &[0; 9]]), &[]);
    let llc = join(&[&[6, 6, 3], &v4()]);
    hello_in_ethernet(u16::try_from(llc.len()).expect("short"), &llc, &[]);
}

#[test]
fn ppp_in_every_framing() {
    for link in [LinkType::PPP, LinkType(50)] {
        hello(link, &join(&[&[0xff, 3, 0, 0x21], &v4()]), &[]);
        hello(link, &join(&[&[0xff, 3, 0, 0x57], &v6()]), &[]);
        hello(link, &join(&[&[0x21], &v4()]), &[]);
    }
    hello(LinkType(204), &join(&[&[1, 0xff, 3, 0, 0x21], &v4()]), &[]);
    hello(LinkType(104), &join(&[&[0x0f, 0, 8, 0], &v4()]), &[]);
    let session = pppoe(&join(&[&[0, 0x21], &v4()]));
    hello(LinkType::PPP_ETHER, &session, &[Encapsulation::Pppoe(0x1234)]);
    hello_in_ethernet(0x8864, &join(&[&session, &[0; 7]]), &[Encapsulation::Pppoe(0x1234)]);
}

#[test]
fn mpls_carries_ip_or_ethernet() {
    use Encapsulation::Mpls;
    hello_in_ethernet(0x8847, &mpls(100, true, &v4()), &[Mpls(100)]);
    let stack = mpls(100, false, &mpls(200, true, &v6()));
    hello_in_ethernet(0x8847, &stack, &[Mpls(100), Mpls(200)]);
    let inner = ethernet(IPV4, &v4());
    hello_in_ethernet(0x8848, &mpls(16, true, &inner), &[Mpls(16)]);
    hello_in_ethernet(0x8847, &mpls(16, true, &join(&[&[0; 4], &inner])), &[Mpls(16)]);
}

#[test]
fn gre_with_every_optional_field_and_payload() {
    use Encapsulation::Gre;
    let inner = ethernet(IPV4, &v4());
    let in_ipv4 = |gre: &[u8], key| hello_in_ethernet(IPV4, &ipv4(47, gre), &[Gre(key)]);
    in_ipv4(&gre(0, IPV4, &[], &v4()), None);
    in_ipv4(&gre(0, IPV6, &[], &v6()), None);
    in_ipv4(&gre(0x2000, IPV4, &[0, 0, 0, 7], &v4()), Some(7));
    in_ipv4(&gre(0x1000, IPV4, &[0; 4], &v4()), None);
    in_ipv4(
        &gre(0xb000, IPV4, &[0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1], &v4()),
        Some(7),
    );
    in_ipv4(&gre(0, 0x6558, &[], &inner), None);
    let ppp = join(&[&[0, 0x21], &v4()]);
    in_ipv4(
        &gre(0x3081, 0x880b, &[0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 1], &ppp),
        Some(7),
    );
    in_ipv4(&gre(0x1000, 0x88be, &[0; 4], &join(&[&[0x10; 8], &inner])), None);
    in_ipv4(&gre(0, 0x88be, &[], &inner), None);
    in_ipv4(&gre(0x1000, 0x22eb, &[0; 4], &join(&[&[0x20; 12], &inner])), None);
    hello_in_ethernet(IPV6, &ipv6(47, &gre(0, IPV4, &[], &v4())), &[Gre(None)]);
}

#[test]
fn ip_in_ip_in_all_combinations() {
    let outer = [Encapsulation::IpInIp];
    hello_in_ethernet(IPV4, &ipv4(4, &v4()), &outer);
    hello_in_ethernet(IPV4, &ipv4(41, &v6()), &outer);
    hello_in_ethernet(IPV6, &ipv6(4, &v4()), &outer);
    hello_in_ethernet(IPV6, &ipv6(41, &v6()), &outer);
}

#[test]
fn ethernet_directly_in_ip() {
    let inner = ethernet(IPV4, &v4());
    let outer = [Encapsulation::EthernetInIp];
    hello_in_ethernet(IPV4, &ipv4(97, &join(&[&[0x30, 0], &inner])), &outer);
    hello_in_ethernet(IPV6, &ipv6(143, &inner), &outer);
}

#[test]
fn tunnels_in_udp_are_told_by_port_and_content() {
    let inner = ethernet(IPV4, &v4());
    for port in [4789, 8472] {
        let frame = ipv4(17, &udp(port, &vxlan(&inner)));
        hello_in_ethernet(IPV4, &frame, &[Encapsulation::Vxlan(42)]);
        let other = ethernet(IPV4, &ipv4(17, &udp(port, b"nothing like a tunnel at all")));
        let mut decoder = FrameDecoder::new();
        let found = decoder.decode(&packet(LinkType::ETHERNET, &other, 1));
        assert!(matches!(found, Decoded::Datagram(_)), "{found:?}");
    }
    for (options, kind, payload) in [
        (&[][..], 0x6558_u16, inner.as_slice()),
        (&[1, 2, 3, 1, 0, 0, 0, 0], 0x6558, &inner),
        (&[], IPV4, &v4()),
    ] {
        let words = u8::try_from(options.len() / 4).expect("short");
        let header = join(&[&[words, 0], &kind.to_be_bytes(), &[0, 0, 42, 0], options, payload]);
        let frame = ipv4(17, &udp(6081, &header));
        hello_in_ethernet(IPV4, &frame, &[Encapsulation::Geneve(42)]);
    }
}

#[test]
fn the_inner_addresses_and_the_inner_mac_are_the_connection_s() {
    let mut outer = ipv4(17, &udp(4789, &vxlan(&ethernet(IPV6, &v6()))));
    outer[8] = 200;
    let mut frame = ethernet(IPV4, &outer);
    frame[6..12].fill(0xcc);
    check_segment(LinkType::ETHERNET, &frame, |segment| {
        assert_eq!(segment.source.ip, IpAddr::from(CLIENT6));
        assert_eq!(segment.path.ttl, 59);
        assert_eq!(segment.path.source_mac, Some(MacAddress(MAC)));
    });
}

#[test]
fn every_tunnel_keeps_the_addresses_around_it() {
    let ends4: [IpAddr; 2] = [CLIENT.into(), SERVER.into()];
    let ends6: [IpAddr; 2] = [CLIENT6.into(), SERVER6.into()];
    let inner = ipv6(47, &gre(0, IPV4, &[], &v4()));
    let frame = ethernet(
        IPV4,
        &ipv4(
            17,
            &udp(4789, &vxlan(&ethernet(0x8100, &join(&[&[0, 7, 0x86, 0xdd], &inner])))),
        ),
    );
    check_segment(LinkType::ETHERNET, &frame, |segment| {
        let told: Vec<_> = segment.path.outer.iter().map(|one| (one.header, one.between)).collect();
        let expected = [
            (Encapsulation::Vxlan(42), Some(ends4)),
            (Encapsulation::Vlan(7), None),
            (Encapsulation::Gre(None), Some(ends6)),
        ];
        assert_eq!(told, expected);
    });
}

#[test]
fn options_and_extension_headers_are_stepped_over() {
    let mut with_options = v4();
    with_options[0] = 0x47;
    with_options[3] += 8;
    with_options.splice(20..20, [1; 8]);
    hello_in_ethernet(IPV4, &with_options, &[]);
    let extension = |next: u8, payload: &[u8]| join(&[&[next, 0, 0, 0, 0, 0, 0, 0], payload]);
    let segment = tcp(b"hello");
    let all = extension(60, &extension(43, &extension(44, &extension(6, &segment))));
    hello_in_ethernet(IPV6, &ipv6(0, &all), &[]);
    let authenticated = join(&[&[6, 4, 0, 0], &[0; 20], &segment]);
    hello_in_ethernet(IPV6, &ipv6(51, &authenticated), &[]);
    hello_in_ethernet(IPV4, &ipv4(51, &authenticated), &[]);
}

#[test]
fn a_length_of_zero_is_segmentation_offload() {
    let mut giant = ipv4(6, &tcp(&[7; 3000]));
    giant[2..4].fill(0);
    let mut jumbo = ipv6(6, &tcp(&[7; 3000]));
    jumbo[4..6].fill(0);
    for frame in [ethernet(IPV4, &giant), ethernet(IPV6, &jumbo)] {
        check_segment(LinkType::ETHERNET, &frame, |segment| {
            assert_eq!((segment.payload.len(), segment.cut), (3000, 0));
        });
    }
}

#[test]
fn what_the_snap_length_cut_is_counted_never_invented() {
    for payload in [
        ethernet(IPV4, &ipv4(6, &tcp(&[7; 500]))),
        ethernet(IPV6, &ipv6(6, &tcp(&[7; 500]))),
    ] {
        let headers = payload.len() - 500;
        for captured in headers - 12..payload.len() {
            check_segment(LinkType::ETHERNET, &payload[..captured], |segment| {
                let there = captured.saturating_sub(headers);
                assert_eq!(segment.payload.len(), there);
                assert_eq!(segment.cut as usize, 500 - there);
            });
        }
        for captured in 0..headers - 12 {
            assert_eq!(skipped(LinkType::ETHERNET, &payload[..captured]), Notice::HeaderCut);
        }
    }
    // Without an IP length only the length of the frame tells.
    let mut giant = ipv4(6, &tcp(&[7; 500]));
    giant[2..4].fill(0);
    let frame = Packet {
        original_len: 552,
        ..packet(LinkType::RAW, &giant[..100], 1)
    };
    let mut decoder = FrameDecoder::new();
    let Decoded::Segment(segment) = decoder.decode(&frame) else {
        panic!("no segment")
    };
    assert_eq!((segment.payload.len(), segment.cut), (48, 452));
}

#[test]
fn headers_that_contradict_themselves_are_named() {
    let change = |at: usize, value: u8| {
        let mut frame = ethernet(IPV4, &v4());
        frame[at] = value;
        skipped(LinkType::ETHERNET, &frame)
    };
    assert_eq!(change(14, 0x44), Notice::HeaderMalformed);
    assert_eq!(change(14, 0x65), Notice::HeaderMalformed);
    assert_eq!(change(17, 19), Notice::HeaderMalformed);
    assert_eq!(change(17, 41), Notice::HeaderMalformed);
    assert_eq!(change(46, 0x40), Notice::HeaderMalformed);
    assert_eq!(unsupported(LinkType(147), &v4()), (Notice::LinkTypeNotSupported, 147));
}

#[test]
fn nesting_is_followed_to_a_limit() {
    let nested = |count: usize| {
        let mut inner = v4();
        for _ in 0..count {
            inner = ipv4(4, &inner);
        }
        inner
    };
    hello(LinkType::RAW, &nested(20), &[Encapsulation::IpInIp; 20]);
    assert_eq!(skipped(LinkType::RAW, &nested(40)), Notice::NestingTooDeep);
}

/// Decodes all frames with one decoder and returns the payload lengths of the segments.
fn payloads(decoder: &mut FrameDecoder, frames: &[Vec<u8>]) -> Vec<usize> {
    let mut lengths = Vec::new();
    for (data, number) in frames.iter().zip(1..) {
        match decoder.decode(&packet(LinkType::RAW, data, number)) {
            Decoded::Segment(segment) => {
                assert!(segment.payload.iter().all(|&byte| byte == 7));
                lengths.push(segment.payload.len());
            }
            Decoded::Other => {}
            other => panic!("{other:?}"),
        }
    }
    lengths
}

#[test]
fn fragments_are_put_together_in_any_order() {
    let segment = tcp(&[7; 1000]);
    for mut frames in [fragments4(6, 5, 400, &segment), fragments6(400, &segment)] {
        assert_eq!(payloads(&mut FrameDecoder::new(), &frames), [1000]);
        frames.reverse();
        assert_eq!(payloads(&mut FrameDecoder::new(), &frames), [1000]);
        frames.insert(1, frames[0].clone());
        let mut decoder = FrameDecoder::new();
        assert_eq!(payloads(&mut decoder, &frames), [1000]);
        assert_eq!(decoder.finish().count(Notice::FragmentsIncomplete), 0);
    }
}

#[test]
fn fragments_of_a_tunnel_and_inside_it_are_put_together() {
    let inner = ipv4(6, &tcp(&[7; 1000]));
    let tunnel = gre(0x2000, IPV4, &[0, 0, 0, 7], &inner);
    let frames = fragments4(47, 5, 496, &tunnel);
    assert_eq!(payloads(&mut FrameDecoder::new(), &frames), [1000]);
    let both: Vec<Vec<u8>> = fragments4(6, 5, 600, &tcp(&[7; 1000]))
        .into_iter()
        .zip(1..)
        .flat_map(|(part, id)| fragments4(4, id, 320, &part))
        .collect();
    assert_eq!(payloads(&mut FrameDecoder::new(), &both), [1000]);
}

#[test]
fn datagrams_that_stay_incomplete_are_counted_with_their_first_frame() {
    let segment = tcp(&[7; 1000]);
    let frames = fragments4(6, 5, 400, &segment);
    let mut decoder = FrameDecoder::new();
    assert!(payloads(&mut decoder, &frames[..2]).is_empty());
    // Long after, the last fragment belongs to another datagram with the same number.
    let mut late = packet(LinkType::RAW, &frames[2], 9);
    late.time = Timestamp::from_nanos(60_000_000_000);
    assert!(matches!(decoder.decode(&late), Decoded::Other));
    let early = decoder.notices();
    assert_eq!(
        early.iter().collect::<Vec<_>>(),
        [(Notice::FragmentsIncomplete, 1, Some(FrameRef::new(0, 1)))]
    );
    assert_eq!(decoder.finish().count(Notice::FragmentsIncomplete), 1);
}

#[test]
fn a_flood_of_fragments_is_bounded() {
    let mut decoder = FrameDecoder::new();
    for id in 0..2000_u16 {
        let frame = ipv4_part(6, id, 0x2000 | 0x1000, &[7; 800]);
        let _ = decoder.decode(&packet(LinkType::RAW, &frame, u64::from(id) + 1));
    }
    assert_eq!(decoder.finish().count(Notice::FragmentsIncomplete), 2000);
}

#[test]
fn a_fragment_cut_by_the_snap_length_is_named() {
    let frames = fragments4(6, 5, 400, &tcp(&[7; 1000]));
    assert_eq!(skipped(LinkType::RAW, &frames[0][..100]), Notice::FragmentsIncomplete);
}

fn neighbour(kind: u16, payload: &[u8]) -> Option<Neighbour> {
    match FrameDecoder::new().decode(&packet(LinkType::ETHERNET, &ethernet(kind, payload), 1)) {
        Decoded::Neighbour(neighbour) => Some(neighbour),
        Decoded::Other => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn arp_tells_who_claims_an_address() {
    let claim = |unsolicited| {
        Some(Neighbour::Claims {
            ip: CLIENT.into(),
            mac: MacAddress(MAC),
            unsolicited,
        })
    };
    let (client, server) = (CLIENT.octets(), SERVER.octets());
    assert_eq!(neighbour(0x0806, &arp(1, client, [0; 6], server)), claim(false));
    assert_eq!(neighbour(0x0806, &arp(2, client, [2; 6], server)), claim(false));
    assert_eq!(neighbour(0x0806, &arp(1, client, [0; 6], client)), claim(true));
    assert_eq!(neighbour(0x0806, &arp(2, client, [0xff; 6], client)), claim(true));
    assert_eq!(neighbour(0x0806, &arp(2, client, [0xff; 6], server)), claim(true));
    assert_eq!(neighbour(0x0806, &arp(1, [0; 4], [0; 6], client)), None);
}

#[test]
fn neighbour_advertisements_tell_who_claims_an_address() {
    let stated = [3, 3, 3, 3, 3, 3];
    for (flags, unsolicited) in [(0x20, true), (0x60, false)] {
        let start = join(&[&[136, 0, 0, 0, flags, 0, 0, 0], &SERVER6.octets()]);
        let with_option = join(&[&start, &[14, 1, 0, 0, 0, 0, 0, 0], &[2, 1], &stated]);
        for (message, mac) in [(with_option, stated), (start, MAC)] {
            let expected = Neighbour::Claims {
                ip: SERVER6.into(),
                mac: MacAddress(mac),
                unsolicited,
            };
            assert_eq!(neighbour(IPV6, &ipv6(58, &message)), Some(expected));
        }
    }
}

#[test]
fn unreachable_messages_name_the_flow_they_quote() {
    let quoted = |source: IpAddr, destination: IpAddr, code| {
        Some(Neighbour::Unreachable {
            source: Endpoint {
                ip: source,
                port: 40_000,
            },
            destination: Endpoint {
                ip: destination,
                port: 443,
            },
            code,
        })
    };
    let message = join(&[&[3, 13, 0, 0, 0, 0, 0, 0], &v4()[..28]]);
    let expected = quoted(CLIENT.into(), SERVER.into(), 13);
    assert_eq!(neighbour(IPV4, &ipv4(1, &message)), expected);
    let message = join(&[&[1, 4, 0, 0, 0, 0, 0, 0], &v6()]);
    let expected = quoted(CLIENT6.into(), SERVER6.into(), 4);
    assert_eq!(neighbour(IPV6, &ipv6(58, &message)), expected);
    let about_udp = join(&[&[3, 3, 0, 0, 0, 0, 0, 0], &ipv4(17, &udp(53, b""))]);
    assert_eq!(neighbour(IPV4, &ipv4(1, &about_udp)), None);
}

#[test]
fn datagrams_are_handed_out_without_padding() {
    let frame = ethernet(IPV4, &join(&[&ipv4(17, &udp(443, b"quic?")), &[0; 20]]));
    let mut decoder = FrameDecoder::new();
    let found = decoder.decode(&packet(LinkType::ETHERNET, &frame, 1));
    let Decoded::Datagram(Datagram {
        source,
        destination,
        payload,
        cut,
        ..
    }) = found
    else {
        panic!("{found:?}");
    };
    assert_eq!((source.port, destination.port, payload), (5000, 443, &b"quic?"[..]));
    assert_eq!(cut, 0);
}

const LINKS: [u16; 18] = [
    0, 1, 9, 12, 14, 50, 51, 101, 104, 108, 113, 147, 204, 228, 229, 239, 276, 7,
];

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let wrapped =
        (proptest::collection::vec(any::<u8>(), 0..120), 0_usize..35).prop_map(|(bytes, shape)| match shape {
            0 => ethernet(IPV4, &ipv4(6, &bytes)),
            1 => ethernet(IPV6, &ipv6(44, &bytes)),
            2 => ethernet(IPV4, &ipv4(47, &bytes)),
            3 => ethernet(IPV4, &ipv4(17, &udp(4789, &vxlan(&bytes)))),
            4 => ethernet(IPV4, &ipv4(17, &udp(6081, &bytes))),
            5 => ethernet(0x8847, &bytes),
            6 => ethernet(0x8864, &pppoe(&bytes)),
            7 => ethernet(IPV6, &ipv6(58, &bytes)),
            8 => ethernet(IPV4, &ipv4(115, &bytes)),
            9..34 => overlays::any_shape(shape, &bytes),
            _ => bytes,
        });
    (wrapped, any::<(prop::sample::Index, u8)>()).prop_map(|(mut frame, (at, value))| {
        if !frame.is_empty() {
            let at = at.index(frame.len());
            frame[at] = value;
        }
        frame
    })
}

proptest! {
    #[test]
    fn any_frame_is_decoded_without_panic(
        frames in proptest::collection::vec((any_frame(), prop::sample::select(&LINKS[..])), 1..8),
        longer in 0_u32..2000,
    ) {
        let mut decoder = FrameDecoder::new();
        for ((data, link), number) in frames.iter().zip(1..) {
            let mut packet = packet(LinkType(*link), data, number);
            packet.original_len += longer;
            if let Decoded::Segment(segment) = decoder.decode(&packet) {
                prop_assert!(segment.payload.len() <= data.len().max(65_535));
                prop_assert!(segment.path.outer.len() <= MAX_HEADERS as usize);
            }
        }
        let _ = decoder.finish();
    }

    #[test]
    fn the_short_way_and_the_general_one_give_the_same(
        payload in proptest::collection::vec(any::<u8>(), 0..40),
        changes in proptest::collection::vec((0_usize..54, any::<u8>()), 0..3),
        length in 0_usize..120,
    ) {
        let mut frame = ethernet(IPV4, &ipv4(6, &tcp(&payload)));
        for (at, value) in changes {
            frame[at] = value;
        }
        frame.truncate(length.max(14));
        let packet = packet(LinkType::ETHERNET, &frame, 1);
        if let Some(short) = plain::segment(&packet) {
            let general = format!("{:?}", FrameDecoder::new().walk(&packet));
            prop_assert_eq!(format!("{:?}", Decoded::Segment(short)), general);
        }
    }

    #[test]
    fn fragments_of_any_size_make_the_same_segment(
        size in (1_usize..80).prop_map(|words| words * 8),
        length in 0_usize..1500,
        rotate in 0_usize..200,
    ) {
        let mut frames = fragments4(6, 9, size, &tcp(&vec![7; length]));
        let count = frames.len();
        frames.rotate_left(rotate % count);
        prop_assert_eq!(payloads(&mut FrameDecoder::new(), &frames), [length]);
    }
}
