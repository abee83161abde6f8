//! A segment wrapped as networks and capturing hosts wrap packets: whatever the fields of the headers say that may say
//! anything, out comes the segment; of the same frame cut short comes the segment, or nothing, and never another.

use reshake_core::net::{Decoded, Encapsulation, FrameDecoder, FrameRef, LinkType, Packet, Timestamp};

/// Wrappings of one frame at most: outer IPv4 lengths have 16 bits, and the decoder gives up behind 24 headers.
const MAX_WRAPPINGS: usize = 5;
/// What the innermost segment carries.
const PAYLOAD: [u8; 6] = [0x16, 3, 1, 0, 1, 0];
/// Its ends: 192.0.2.1:50001 and 198.51.100.7:443.
const ENDS: ([u8; 4], [u8; 4]) = ([192, 0, 2, 1], [198, 51, 100, 7]);

/// What is built so far: an IP packet or an Ethernet frame.
enum Built {
    Ip(Vec<u8>),
    Frame(Vec<u8>),
}

/// One byte for each wrapping, inside out, and eight for the fields of its header; the last two bytes say how much of the
/// frame was captured.
pub fn wrappings(data: &[u8]) {
    let Some((steps, &[high, low])) = data.split_last_chunk::<2>() else {
        return;
    };
    let mut names = Vec::new();
    let mut built = Built::Ip(ip(6, ENDS, &segment()));
    for step in steps.chunks_exact(9).take(MAX_WRAPPINGS) {
        let (&kind, fields) = step.split_first().expect("nine bytes");
        let (next, name) = wrap(
            common(built, kind, &mut names),
            kind,
            fields.try_into().expect("eight bytes"),
        );
        built = next;
        names.push(name);
    }
    names.reverse();
    let (link, frame) = match built {
        Built::Ip(packet) if high & 0x80 != 0 => (LinkType::NFLOG, netfilter_log(&packet, high & 0x40 != 0)),
        Built::Ip(packet) => (LinkType::RAW, packet),
        Built::Frame(frame) => (LinkType::ETHERNET, frame),
    };
    assert_eq!(
        read(link, &frame, frame.len()).expect("a whole frame"),
        names,
        "what it was wrapped in"
    );
    let cut = usize::from(u16::from_be_bytes([high, low])) % (frame.len() + 1);
    read(link, &frame[..cut], frame.len());
}

/// What the segment of a frame was wrapped in, if there is one; then it must be that which was sent.
fn read(link: LinkType, data: &[u8], length: usize) -> Option<Vec<Encapsulation>> {
    let mut decoder = FrameDecoder::new();
    let packet = Packet {
        frame: FrameRef::new(0, 1),
        time: Timestamp::from_nanos(0),
        link,
        interface: 0,
        data,
        original_len: u32::try_from(length).expect("short"),
    };
    match decoder.decode(&packet) {
        Decoded::Segment(segment) => {
            let ends = [segment.source, segment.destination].map(|end| (end.ip, end.port));
            assert_eq!(ends, [(ENDS.0.into(), 50_001), (ENDS.1.into(), 443)], "other ends");
            assert_eq!((segment.seq.0, segment.ack.0), (7, 8), "other numbers");
            assert!(PAYLOAD.starts_with(segment.payload), "other bytes");
            assert_eq!(
                segment.payload.len() + segment.cut as usize,
                PAYLOAD.len(),
                "another length"
            );
            Some(segment.path.outer.iter().map(|wrapping| wrapping.header).collect())
        }
        // What is cut may be taken for what it is inside of, and that is no TCP either.
        other if data.len() == length => panic!("{other:?}"),
        _ => None,
    }
}

fn segment() -> Vec<u8> {
    let mut segment = vec![
        0xc3, 0x51, 0x01, 0xbb, 0, 0, 0, 7, 0, 0, 0, 8, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0,
    ];
    segment.extend(PAYLOAD);
    segment
}

/// An IPv4 packet.
fn ip(protocol: u8, (from, to): ([u8; 4], [u8; 4]), payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend(length(20 + payload.len()));
    packet.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
    packet.extend(from);
    packet.extend(to);
    packet.extend(payload);
    packet
}

fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).expect("a short packet").to_be_bytes()
}

/// A frame between two hosts of the tunnel.
fn ethernet(kind: [u8; 2], payload: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1][..], &kind, payload].concat()
}

fn framed(built: Built) -> Vec<u8> {
    match built {
        Built::Ip(packet) => ethernet([8, 0], &packet),
        Built::Frame(frame) => frame,
    }
}

/// Tunnels in UDP are believed where a frame of a common type stands in them: before any other stands a VLAN tag.
fn common(built: Built, kind: u8, names: &mut Vec<Encapsulation>) -> Built {
    match &built {
        Built::Frame(frame) if matches!(kind % 20, 8..=12) && !matches!(frame[12..14], [8 | 0x81, 0]) => {
            names.push(Encapsulation::Vlan(1));
            tagged(built, [0x81, 0], &[0, 1])
        }
        _ => built,
    }
}

/// The type of a frame, and what stands behind it.
fn typed(built: Built) -> Vec<u8> {
    framed(built).split_off(12)
}

/// A datagram of a tunnel between two hosts.
fn udp(port: u16, payload: &[u8]) -> Built {
    let mut datagram = vec![0xd0, 0x11];
    datagram.extend(port.to_be_bytes());
    datagram.extend(length(8 + payload.len()));
    datagram.extend([0, 0]);
    datagram.extend(payload);
    Built::Ip(ip(17, ([203, 0, 113, 1], [203, 0, 113, 2]), &datagram))
}

/// Below a tag the addresses come first.
fn tagged(built: Built, kind: [u8; 2], tag: &[u8]) -> Built {
    let rest = typed(built);
    Built::Frame(ethernet(kind, &[tag, &rest].concat()))
}

fn wrap(built: Built, kind: u8, f: [u8; 8]) -> (Built, Encapsulation) {
    let number = u32::from_be_bytes([0, f[1], f[2], f[3]]);
    match kind % 20 {
        0 => {
            let id = u16::from_be_bytes([f[0], f[1]]);
            (tagged(built, [0x81, 0], &f[..2]), Encapsulation::Vlan(id & 0xfff))
        }
        1 => {
            // A version, a length in words, an option whose value may be anything.
            let tag = [1, 1, 0, 1, f[0], f[1]];
            (tagged(built, [0x89, 0x09], &tag), Encapsulation::CiscoMetadata)
        }
        2 => {
            let tag = [f[0], f[1], f[2] & 0xcf, f[3]];
            (tagged(built, [0x89, 0x26], &tag), Encapsulation::VnTag)
        }
        3 => (tagged(built, [0x89, 0x2f], &f[..4]), Encapsulation::Hsr),
        4 => {
            let tag = [f[0], f[1], f[2], f[3]];
            let frame = ethernet([0x88, 0xe7], &[&tag[..], &framed(built)].concat());
            (Built::Frame(frame), Encapsulation::ProviderBackbone(number))
        }
        5 => {
            let flags = [f[0] & 0x0f, f[1] & 0x3f];
            let options = usize::from(u16::from_be_bytes(flags) >> 6 & 0x1f) * 4;
            let header = [&flags[..], &f[2..6], &vec![f[6]; options]].concat();
            let frame = ethernet([0x22, 0xf3], &[header, framed(built)].concat());
            (Built::Frame(frame), Encapsulation::Trill)
        }
        6 => {
            let header = [f[0] & 0x1f, 2, 1, 3, f[1], f[2], f[3], f[4]];
            let frame = ethernet([0x89, 0x4f], &[&header[..], &framed(built)].concat());
            (
                Built::Frame(frame),
                Encapsulation::Nsh(u32::from_be_bytes([0, f[1], f[2], f[3]])),
            )
        }
        7 => {
            // Authenticated alone: neither encrypted nor changed; a check value stands behind.
            let rest = typed(built);
            let short = u8::try_from(rest.len()).ok().filter(|length| *length < 48).unwrap_or(0);
            let header = [f[0] & 0x53, short, f[1], f[2], f[3], f[4]];
            let frame = ethernet([0x88, 0xe5], &[&header[..], &rest, &[f[5]; 16]].concat());
            (Built::Frame(frame), Encapsulation::Macsec)
        }
        8 => {
            let header = [8, f[0], f[0], f[0], f[1], f[2], f[3], f[4]];
            let built = udp(
                if f[5] & 1 == 0 { 4789 } else { 8472 },
                &[&header[..], &framed(built)].concat(),
            );
            (built, Encapsulation::Vxlan(number))
        }
        9 => {
            let words = usize::from(f[0] & 0x3f);
            let header = [f[0] & 0x3f, f[5] & 0xc0, 0x65, 0x58, f[1], f[2], f[3], 0];
            let header = [&header[..], &vec![f[6]; words * 4]].concat();
            (
                udp(6081, &[header, framed(built)].concat()),
                Encapsulation::Geneve(number),
            )
        }
        10 => {
            let header = [f[0] & 3 | 0x0c, 0, 0, 3, f[1], f[2], f[3], 0];
            (
                udp(4790, &[&header[..], &framed(built)].concat()),
                Encapsulation::VxlanGpe(number),
            )
        }
        11 => {
            // Padding and one tagged field before the end.
            let mut header = vec![1, f[0] & 1, 0, 1];
            header.extend(vec![0; usize::from(f[1] & 7)]);
            header.extend([f[2].max(2), f[3] & 15]);
            header.extend(vec![f[4]; usize::from(f[3] & 15)]);
            header.push(1);
            (udp(37_008, &[header, framed(built)].concat()), Encapsulation::Tzsp)
        }
        12 => {
            // Two words, of no radio or one of IEEE 802.11.
            let header = [0, 0x10, (f[0] & 1) << 1, 0, 0, 0, 0, 0];
            (
                udp(5247, &[&header[..], &framed(built)].concat()),
                Encapsulation::Capwap,
            )
        }
        other => wrap_packet(built, other, f),
    }
}

/// The wrappings that carry an IP packet, or a frame with one.
fn wrap_packet(built: Built, kind: u8, f: [u8; 8]) -> (Built, Encapsulation) {
    let Built::Ip(packet) = built else {
        // EtherIP takes any frame.
        let frame = [&[0x30, 0][..], &framed(built)].concat();
        let between = ([203, 0, 113, 3], [203, 0, 113, 4]);
        return (Built::Ip(ip(97, between, &frame)), Encapsulation::EthernetInIp);
    };
    match kind {
        13 => {
            let optional = f[0] & 7 != 0;
            let mut rest = if optional {
                vec![f[1], f[2], f[3], 0]
            } else {
                Vec::new()
            };
            if f[0] & 4 != 0 {
                // One extension header of a word, and none behind it.
                rest[3] = 0x85;
                rest.extend([1, f[4], f[5], 0]);
            }
            rest.extend(packet);
            let mut header = vec![0x30 | f[0] & 7, 255];
            header.extend(length(rest.len()));
            header.extend(&f[4..]);
            (udp(2152, &[header, rest].concat()), Encapsulation::GtpU)
        }
        14 => {
            let mut header = vec![f[0] & 0x08, 2, f[1], f[2], f[3], f[4]];
            if f[0] & 8 != 0 {
                header.extend(&f[5..7]);
                header.extend([0, 0]);
            }
            header.extend([0xff, 3, 0, 0x21]);
            (udp(1701, &[header, packet].concat()), Encapsulation::L2tp)
        }
        15 => {
            let header = [f[0] & !7, f[1], f[2], f[3], f[4], f[5], f[6], f[7]];
            let instance = (f[0] & 8 != 0).then_some(u32::from_be_bytes([0, f[4], f[5], f[6]]));
            (
                udp(4341, &[&header[..], &packet].concat()),
                Encapsulation::Lisp(instance),
            )
        }
        16 => {
            let words = usize::from(f[0] & 0x1f);
            let header = [&[f[0] & 0x1f, 4, f[1], f[2]][..], &vec![f[3]; words * 4]].concat();
            (udp(6080, &[header, packet].concat()), Encapsulation::Gue)
        }
        17 => {
            let key = (f[0] & 0x20 != 0).then_some(u32::from_be_bytes([f[1], f[2], f[3], f[4]]));
            let mut header = vec![f[0] & 0xb0, 0, 8, 0];
            for present in [0x80, 0x20, 0x10] {
                if f[0] & present != 0 {
                    header.extend(&f[1..5]);
                }
            }
            let between = ([203, 0, 113, 5], [203, 0, 113, 6]);
            (
                Built::Ip(ip(47, between, &[header, packet].concat())),
                Encapsulation::Gre(key),
            )
        }
        18 => {
            let between = ([203, 0, 113, 7], [203, 0, 113, 8]);
            (Built::Ip(ip(4, between, &packet)), Encapsulation::IpInIp)
        }
        _ => {
            let label = u32::from_be_bytes([0, f[0], f[1], f[2]]) >> 4;
            let entry = [f[0], f[1], f[2] | 1, f[3]];
            let frame = ethernet([0x88, 0x47], &[&entry[..], &packet].concat());
            (Built::Frame(frame), Encapsulation::Mpls(label))
        }
    }
}

/// An entry of Linux's netfilter log, in either order of bytes: a hook, a mark, the packet.
fn netfilter_log(packet: &[u8], big: bool) -> Vec<u8> {
    let mut log = vec![2, 0, 0, 0];
    let mut attribute = |kind: u16, value: &[u8]| {
        let length = u16::try_from(4 + value.len()).expect("short");
        for number in [length, kind] {
            log.extend(if big {
                number.to_be_bytes()
            } else {
                number.to_le_bytes()
            });
        }
        log.extend(value);
        log.resize(log.len().next_multiple_of(4), 0);
    };
    attribute(1, &[8, 0, 3, 0]);
    attribute(2, &[0, 0, 0, 9]);
    attribute(9, packet);
    log
}
