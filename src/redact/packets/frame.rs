//! New frames: Ethernet, IPv6, and TCP or UDP, each with what it needs and no more.

use std::net::Ipv6Addr;

use reshake_core::net::{MacAddress, Segment};

use super::NewFrame;

const ETHERNET: usize = 14;
const IPV6: usize = 40;
const UDP: usize = 8;
/// EtherTypes: IPv6, and the one for local experiments (IEEE 802, 0x88B5), which says nothing.
const TYPE_IPV6: [u8; 2] = [0x86, 0xdd];
const TYPE_NOTHING: [u8; 2] = [0x88, 0xb5];
/// Where the checksum stands in either header.
const TCP_CHECKSUM: usize = 16;
const UDP_CHECKSUM: usize = 6;
/// Longest content of a packet (RFC 8200 §3).
const MAX_PACKET: usize = 65_535;

/// TCP options that say nothing of who is there (IANA, "TCP Option Kind Numbers"): sizes, acknowledgements, timestamps. Others, as
/// cookies, signatures and the addresses that balancers put there, are left out.
const PLAIN_OPTIONS: [u8; 5] = [2, 3, 4, 5, 8];
/// An option that fills one byte.
const NO_OPERATION: u8 = 1;

/// Who sends to whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) source: (Ipv6Addr, u16),
    pub(super) destination: (Ipv6Addr, u16),
    pub(super) mac: MacAddress,
    pub(super) hops: u8,
}

/// A segment with this content.
pub(super) fn tcp(ends: &Ends, segment: &Segment<'_>, payload: &[u8]) -> NewFrame {
    let options = options(segment);
    let mut packet = Vec::with_capacity(20 + options.len() + payload.len());
    packet.extend(ports(ends));
    packet.extend(segment.seq.0.to_be_bytes());
    packet.extend(segment.ack.0.to_be_bytes());
    let words = u8::try_from((20 + options.len()) / 4).unwrap_or(15);
    packet.extend([words << 4, segment.flags.0]);
    packet.extend(segment.window.to_be_bytes());
    // Checksum, and no urgent data.
    packet.extend([0; 4]);
    packet.extend(options);
    packet.extend_from_slice(payload);
    ip(ends, 6, packet, TCP_CHECKSUM, segment.cut)
}

/// A datagram of so many zeros.
pub(super) fn udp(ends: &Ends, length: usize, cut: u32) -> NewFrame {
    let mut packet = Vec::from(ports(ends));
    let whole = (length + cut as usize + UDP).min(MAX_PACKET);
    packet.extend(u16::try_from(whole).unwrap_or(u16::MAX).to_be_bytes());
    packet.resize(UDP + length, 0);
    ip(ends, 17, packet, UDP_CHECKSUM, cut)
}

/// A frame in which nothing is, for a packet that was so long.
pub(super) fn empty(length: u32) -> NewFrame {
    let mut bytes = vec![0; ETHERNET - 2];
    bytes.extend(TYPE_NOTHING);
    NewFrame {
        bytes,
        length: length.max(14),
    }
}

/// Ethernet and IPv6 around it; `cut` bytes were on the wire behind what was captured.
fn ip(ends: &Ends, protocol: u8, mut packet: Vec<u8>, checksum_at: usize, cut: u32) -> NewFrame {
    packet.truncate(MAX_PACKET);
    let whole = (packet.len() + cut as usize).min(MAX_PACKET);
    if cut == 0 {
        let sum = checksum(ends, protocol, &packet);
        if let Some(place) = packet.get_mut(checksum_at..checksum_at + 2) {
            place.copy_from_slice(&sum.to_be_bytes());
        }
    }
    let mut bytes = Vec::with_capacity(ETHERNET + IPV6 + packet.len());
    bytes.extend([0x02, 0, 0, 0, 0, 0]);
    bytes.extend(ends.mac.0);
    bytes.extend(TYPE_IPV6);
    bytes.extend([0x60, 0, 0, 0]);
    bytes.extend(u16::try_from(whole).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend([protocol, ends.hops]);
    bytes.extend(ends.source.0.octets());
    bytes.extend(ends.destination.0.octets());
    let length = u32::try_from(bytes.len() + whole).unwrap_or(u32::MAX);
    bytes.extend(packet);
    NewFrame { bytes, length }
}

fn ports(ends: &Ends) -> [u8; 4] {
    let ([a, b], [c, d]) = (ends.source.1.to_be_bytes(), ends.destination.1.to_be_bytes());
    [a, b, c, d]
}

/// The options that may stay, in their places.
fn options(segment: &Segment<'_>) -> Vec<u8> {
    let mut options = Vec::new();
    for (kind, body) in segment.options.iter().filter(|(kind, _)| PLAIN_OPTIONS.contains(kind)) {
        options.push(kind);
        options.push(u8::try_from(body.len() + 2).unwrap_or(2));
        options.extend_from_slice(body);
    }
    options.resize(options.len().next_multiple_of(4).min(40), NO_OPERATION);
    options
}

/// The checksum of RFC 9293 §3.1 and RFC 768 with the pseudo header of RFC 8200 §8.1.
fn checksum(ends: &Ends, protocol: u8, packet: &[u8]) -> u16 {
    let length = u32::try_from(packet.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut sum = 0_u32;
    let parts: [&[u8]; 5] = [
        &ends.source.0.octets(),
        &ends.destination.0.octets(),
        &length,
        &[0, 0, 0, protocol],
        packet,
    ];
    for part in parts {
        for pair in part.chunks(2) {
            let word = [pair.first().copied().unwrap_or(0), pair.get(1).copied().unwrap_or(0)];
            sum += u32::from(u16::from_be_bytes(word));
        }
        // At most 32,768 words of 16 bits a part: no overflow.
        sum = (sum & 0xffff) + (sum >> 16);
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let sum = !u16::try_from(sum).unwrap_or(u16::MAX);
    // Zero would say that there is none.
    if sum == 0 { u16::MAX } else { sum }
}
