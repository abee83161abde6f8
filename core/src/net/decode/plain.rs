//! The frame that most captures are made of, in one step: Ethernet, an IPv4 packet that is whole, TCP. Whatever differs
//! goes the general way, and that gives the same for these frames too: a test holds the two together.

use std::net::{IpAddr, Ipv4Addr};

use crate::net::{Endpoint, LinkType, MacAddress, Packet, Path, Segment, SeqNumber, TcpFlags, TcpOptions};

/// An Ethernet header, and the shortest IPv4 and TCP headers (RFC 791 §3.1, RFC 9293 §3.1).
const ETHERNET: usize = 14;
const SHORTEST: usize = 20;

/// The segment of a plain frame; `None` for any other frame, and for what contradicts itself.
#[inline]
pub(super) fn segment<'a>(packet: &Packet<'a>) -> Option<Segment<'a>> {
    if packet.link != LinkType::ETHERNET {
        return None;
    }
    let (ethernet, rest) = packet.data.split_first_chunk::<ETHERNET>()?;
    let [_, _, _, _, _, _, m0, m1, m2, m3, m4, m5, 8, 0] = *ethernet else {
        return None;
    };
    let (header, _) = rest.split_first_chunk::<SHORTEST>()?;
    // Version 4, no more fragments and no offset, TCP.
    let [
        first @ 0x45..=0x4f,
        _,
        t0,
        t1,
        i0,
        i1,
        f0,
        0,
        ttl,
        6,
        _,
        _,
        ref ends @ ..,
    ] = *header
    else {
        return None;
    };
    if f0 & 0x3f != 0 {
        return None;
    }
    let packet = rest.get(..usize::from(u16::from_be_bytes([t0, t1])))?;
    let tcp = packet.get(usize::from(first & 15) * 4..)?;
    let [s0, s1, s2, s3, d0, d1, d2, d3] = *ends;
    let (source, destination) = (Ipv4Addr::new(s0, s1, s2, s3), Ipv4Addr::new(d0, d1, d2, d3));
    let (header, _) = tcp.split_first_chunk::<SHORTEST>()?;
    let [
        s0,
        s1,
        d0,
        d1,
        q0,
        q1,
        q2,
        q3,
        a0,
        a1,
        a2,
        a3,
        offset,
        flags,
        w0,
        w1,
        ..,
    ] = *header;
    let (header, payload) = tcp.split_at_checked(usize::from(offset >> 4) * 4)?;
    Some(Segment {
        path: Path {
            source_mac: Some(MacAddress([m0, m1, m2, m3, m4, m5])),
            ttl,
            ip_id: Some(u16::from_be_bytes([i0, i1])),
            outer: &[],
        },
        source: Endpoint {
            ip: IpAddr::V4(source),
            port: u16::from_be_bytes([s0, s1]),
        },
        destination: Endpoint {
            ip: IpAddr::V4(destination),
            port: u16::from_be_bytes([d0, d1]),
        },
        seq: SeqNumber(u32::from_be_bytes([q0, q1, q2, q3])),
        ack: SeqNumber(u32::from_be_bytes([a0, a1, a2, a3])),
        flags: TcpFlags(flags),
        window: u16::from_be_bytes([w0, w1]),
        options: TcpOptions(header.get(SHORTEST..)?),
        payload,
        cut: 0,
    })
}
