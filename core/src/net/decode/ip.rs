//! IPv4 (RFC 791) and IPv6 (RFC 8200): a header in, its payload without link-layer padding out. A length of zero is
//! taken as "as much as there is": segmentation offload leaves it so.

use std::net::IpAddr;

use etherparse::err::ipv4::HeaderSliceError as Ipv4Error;
use etherparse::err::ipv6::HeaderSliceError as Ipv6Error;
use etherparse::{IpAuthHeaderSlice, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice, Ipv6RawExtHeaderSlice};

use super::fragments::IpFragment;
use super::{Bytes, Layer, NextHeader, Walk, link, neighbour, overlay, transport, tunnel};
use crate::net::{Encapsulation, Notice};

/// What the headers above need of an IP header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ip {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) ttl: u8,
    /// Identification; IPv4 only.
    pub(super) id: Option<u16>,
}

/// Protocol numbers (IANA).
mod number {
    pub(super) const HOP_BY_HOP: u8 = 0;
    pub(super) const ICMP: u8 = 1;
    pub(super) const IPV4: u8 = 4;
    pub(super) const TCP: u8 = 6;
    pub(super) const UDP: u8 = 17;
    pub(super) const IPV6: u8 = 41;
    pub(super) const ROUTING: u8 = 43;
    pub(super) const FRAGMENT: u8 = 44;
    pub(super) const GRE: u8 = 47;
    pub(super) const AUTHENTICATION: u8 = 51;
    pub(super) const ICMPV6: u8 = 58;
    pub(super) const L2TP: u8 = 115;
    pub(super) const DESTINATION_OPTIONS: u8 = 60;
    pub(super) const ETHERIP: u8 = 97;
    pub(super) const MOBILITY: u8 = 135;
    pub(super) const MPLS: u8 = 137;
    pub(super) const ETHERNET: u8 = 143;
}

/// Extension headers that are followed in one packet; more than one of each kind does not occur.
const MAX_EXTENSIONS: usize = 16;

/// IPv4 or IPv6, by the version field.
#[inline]
pub(super) fn any<'a>(walk: &mut Walk<'_>, bytes: Bytes<'a>) -> NextHeader<'a> {
    match bytes.data.first().map(|first| first >> 4) {
        Some(4) => v4(walk, bytes),
        Some(6) => v6(walk, bytes),
        Some(_) => NextHeader::MALFORMED,
        None => NextHeader::CUT,
    }
}

/// IPv4.
#[inline]
pub(super) fn v4<'a>(walk: &mut Walk<'_>, bytes: Bytes<'a>) -> NextHeader<'a> {
    let header = match Ipv4HeaderSlice::from_slice(bytes.data) {
        Ok(header) => header,
        Err(Ipv4Error::Len(_)) => return NextHeader::CUT,
        Err(Ipv4Error::Content(_)) => return NextHeader::MALFORMED,
    };
    let length = header.slice().len();
    let bytes = match usize::from(header.total_len()) {
        0 => bytes,
        total if total < length => return NextHeader::MALFORMED,
        total => bytes.of_length(total),
    };
    let Some(payload) = bytes.skip(length) else {
        return NextHeader::CUT;
    };
    let ip = Ip {
        source: IpAddr::V4(header.source_addr()),
        destination: IpAddr::V4(header.destination_addr()),
        ttl: header.ttl(),
        id: Some(header.identification()),
    };
    if header.is_fragmenting_payload() {
        return NextHeader::Fragment(IpFragment {
            ip,
            id: u32::from(header.identification()),
            protocol: header.protocol().0,
            offset: header.fragments_offset(),
            more: header.more_fragments(),
            payload,
        });
    }
    protocol(walk, ip, header.protocol().0, payload)
}

/// IPv6.
#[inline]
pub(super) fn v6<'a>(walk: &mut Walk<'_>, bytes: Bytes<'a>) -> NextHeader<'a> {
    let header = match Ipv6HeaderSlice::from_slice(bytes.data) {
        Ok(header) => header,
        Err(Ipv6Error::Len(_)) => return NextHeader::CUT,
        Err(Ipv6Error::Content(_)) => return NextHeader::MALFORMED,
    };
    let Some(payload) = bytes.skip(40) else {
        return NextHeader::CUT;
    };
    let payload = match usize::from(header.payload_length()) {
        // Segmentation offload, or a jumbogram (RFC 2675 §3), whose length option says nothing more.
        0 => payload,
        length => payload.of_length(length),
    };
    let ip = Ip {
        source: IpAddr::V6(header.source_addr()),
        destination: IpAddr::V6(header.destination_addr()),
        ttl: header.hop_limit(),
        id: None,
    };
    protocol(walk, ip, header.next_header().0, payload)
}

/// What a protocol number announces.
#[inline]
pub(super) fn protocol<'a>(walk: &mut Walk<'_>, ip: Ip, kind: u8, bytes: Bytes<'a>) -> NextHeader<'a> {
    if kind == number::TCP {
        return NextHeader::Tcp(ip, bytes);
    }
    other_protocol(walk, ip, kind, bytes)
}

#[inline(never)]
fn other_protocol<'a>(walk: &mut Walk<'_>, ip: Ip, kind: u8, bytes: Bytes<'a>) -> NextHeader<'a> {
    let (kind, bytes) = match skip_extensions(&ip, kind, bytes) {
        Ok(upper) => upper,
        Err(step) => return step,
    };
    walk.carrier = Some([ip.source, ip.destination]);
    match kind {
        number::TCP => NextHeader::Tcp(ip, bytes),
        number::UDP => transport::udp(walk, ip, bytes),
        number::IPV4 | number::IPV6 => {
            walk.wrap(Encapsulation::IpInIp);
            NextHeader::Into(Layer::Ip, bytes)
        }
        number::GRE => tunnel::gre(walk, bytes),
        number::MPLS => NextHeader::Into(Layer::Mpls, bytes),
        // Two bytes: a version and nothing (RFC 3378 §3).
        number::ETHERIP => {
            walk.wrap(Encapsulation::EthernetInIp);
            link::skip_into(bytes, 2, Layer::Ethernet)
        }
        number::ETHERNET => {
            walk.wrap(Encapsulation::EthernetInIp);
            NextHeader::Into(Layer::Ethernet, bytes)
        }
        number::ICMP if ip.source.is_ipv4() => neighbour::icmp(bytes),
        number::ICMPV6 if ip.source.is_ipv6() => neighbour::icmpv6(walk, bytes),
        number::L2TP => overlay::l2tp_in_ip(walk, kind, bytes),
        _ if carries_no_tcp(kind) => NextHeader::Other,
        _ => protocol_not_decoded(kind),
    }
}

/// Named instead of passed over: what it carries may be TCP.
pub(super) fn protocol_not_decoded(kind: u8) -> NextHeader<'static> {
    NextHeader::Unsupported(Notice::IpProtocolNotDecoded, u16::from(kind))
}

/// Transports beside TCP, and what routers say to each other.
fn carries_no_tcp(kind: u8) -> bool {
    matches!(
        kind,
        // ICMP in the other version too, IGMP, EGP, IGP, DCCP, RSVP, no next header.
        number::ICMP | number::ICMPV6 | 2 | 8 | 9 | 33 | 46 | 59
        // EIGRP, OSPF, PIM, VRRP and CARP, IS-IS, SCTP, Fibre Channel, UDP-Lite, MANET, HIP, Shim6.
        | 88 | 89 | 103 | 112 | 124 | 132 | 133 | 136 | 138 | 139 | 140
    )
}

/// The number and the bytes after the extension headers (RFC 8200 §4, RFC 4302), or where a fragment header leads.
fn skip_extensions<'a>(ip: &Ip, mut kind: u8, mut bytes: Bytes<'a>) -> Result<(u8, Bytes<'a>), NextHeader<'a>> {
    for _ in 0..MAX_EXTENSIONS {
        let (next, length) = match kind {
            number::HOP_BY_HOP | number::ROUTING | number::DESTINATION_OPTIONS | number::MOBILITY => {
                let header = Ipv6RawExtHeaderSlice::from_slice(bytes.data).map_err(|_| NextHeader::CUT)?;
                (header.next_header().0, header.slice().len())
            }
            number::AUTHENTICATION => {
                let header = IpAuthHeaderSlice::from_slice(bytes.data).map_err(|_| NextHeader::CUT)?;
                (header.next_header().0, header.slice().len())
            }
            number::FRAGMENT => {
                let header = Ipv6FragmentHeaderSlice::from_slice(bytes.data).map_err(|_| NextHeader::CUT)?;
                if header.is_fragmenting_payload() {
                    return Err(fragment(ip, &header, bytes));
                }
                (header.next_header().0, 8)
            }
            _ => return Ok((kind, bytes)),
        };
        bytes = bytes.skip(length).ok_or(NextHeader::CUT)?;
        kind = next;
    }
    Err(NextHeader::Skipped(Notice::NestingTooDeep))
}

fn fragment<'a>(ip: &Ip, header: &Ipv6FragmentHeaderSlice<'_>, bytes: Bytes<'a>) -> NextHeader<'a> {
    let Some(payload) = bytes.skip(8) else {
        return NextHeader::CUT;
    };
    NextHeader::Fragment(IpFragment {
        ip: *ip,
        id: header.identification(),
        protocol: header.next_header().0,
        offset: header.fragment_offset(),
        more: header.more_fragments(),
        payload,
    })
}
