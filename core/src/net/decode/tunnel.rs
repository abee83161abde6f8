//! Wrappings between the link and the connection: MPLS, PPPoE, GRE, VXLAN, GENEVE. A tunnel header in, the inner packet
//! out, its identifier noted. etherparse has none of them. What merely uses a tunnel's port is left alone.

use super::ip::protocol_not_decoded;
use super::link::{ether_type, skip_into};
use super::{Bytes, Layer, NextHeader, Walk};
use crate::net::Encapsulation;

/// One entry of an MPLS label stack (RFC 3032 §2.1); below the last one stands IP, or Ethernet (RFC 4448).
pub(super) fn mpls<'a>(walk: &mut Walk<'_>, bytes: Bytes<'a>) -> NextHeader<'a> {
    let (Some(entry), Some(rest)) = (bytes.u32_at(0), bytes.skip(4)) else {
        return NextHeader::CUT;
    };
    walk.wrap(Encapsulation::Mpls(entry >> 12));
    if entry & 0x100 == 0 {
        return NextHeader::Into(Layer::Mpls, rest);
    }
    // The stack does not say what it carries (RFC 4928 §2).
    match rest.data.first().map(|first| first >> 4) {
        Some(4 | 6) => NextHeader::Into(Layer::Ip, rest),
        // The control word of a pseudowire.
        Some(0) if rest.skip(4).is_some_and(looks_like_ethernet) => skip_into(rest, 4, Layer::Ethernet),
        Some(_) if looks_like_ethernet(rest) => NextHeader::Into(Layer::Ethernet, rest),
        Some(_) => NextHeader::Other,
        None => NextHeader::CUT,
    }
}

/// A PPPoE session packet (RFC 2516 §4).
pub(super) fn pppoe<'a>(walk: &mut Walk<'_>, bytes: Bytes<'a>) -> NextHeader<'a> {
    let (Some(session), Some(length), Some(rest)) = (bytes.u16_at(2), bytes.u16_at(4), bytes.skip(6)) else {
        return NextHeader::CUT;
    };
    if !matches!(bytes.data, [0x11, 0, ..]) {
        return NextHeader::Other;
    }
    walk.wrap(Encapsulation::Pppoe(session));
    let rest = match usize::from(length) {
        0 => rest,
        length => rest.of_length(length),
    };
    NextHeader::Into(Layer::Ppp, rest)
}

/// GRE (RFC 2784, 2890), also the form PPTP uses (RFC 2637 §4.1).
pub(super) fn gre<'a>(walk: &mut Walk<'_>, bytes: Bytes<'a>) -> NextHeader<'a> {
    const CHECKSUM: u16 = 0x8000;
    const ROUTING: u16 = 0x4000;
    const KEY: u16 = 0x2000;
    const SEQUENCE: u16 = 0x1000;
    const ACKNOWLEDGEMENT: u16 = 0x0080;
    let (Some(flags), Some(kind)) = (bytes.u16_at(0), bytes.u16_at(2)) else {
        return NextHeader::CUT;
    };
    let present = |flag: u16| flags & flag != 0;
    let version = flags & 7;
    // Source routes (RFC 1701) were never used.
    if version > 1 || present(ROUTING) {
        return protocol_not_decoded(47);
    }
    let mut length: usize = 4;
    if present(CHECKSUM) {
        length = length.saturating_add(4);
    }
    let mut key = None;
    if present(KEY) {
        key = bytes.u32_at(length);
        length = length.saturating_add(4);
    }
    if present(SEQUENCE) {
        length = length.saturating_add(4);
    }
    if version == 1 && present(ACKNOWLEDGEMENT) {
        length = length.saturating_add(4);
    }
    let Some(rest) = bytes.skip(length) else {
        return NextHeader::CUT;
    };
    walk.wrap(Encapsulation::Gre(key));
    match kind {
        // Type II has a header and a sequence number, type I has neither.
        ether_type::ERSPAN => {
            let header = if present(SEQUENCE) { 8 } else { 0 };
            skip_into(rest, header, Layer::Ethernet)
        }
        ether_type::ERSPAN_3 => erspan_3(rest),
        _ => NextHeader::Into(Layer::EtherType(kind), rest),
    }
}

/// ERSPAN type III: twelve bytes, and eight more if the last bit says so.
fn erspan_3(bytes: Bytes<'_>) -> NextHeader<'_> {
    match bytes.data.get(11) {
        Some(last) => {
            let header = if last & 1 == 0 { 12 } else { 20 };
            skip_into(bytes, header, Layer::Ethernet)
        }
        None => NextHeader::CUT,
    }
}

/// What a UDP datagram to this port carries, if it is a tunnel's and looks the part.
pub(super) fn in_udp<'a>(walk: &mut Walk<'_>, port: u16, bytes: Bytes<'a>) -> Option<NextHeader<'a>> {
    match port {
        // The registered port, and the one Linux had before (RFC 7348 §5).
        4789 | 8472 => vxlan(walk, bytes),
        6081 => geneve(walk, bytes),
        _ => None,
    }
}

fn vxlan<'a>(walk: &mut Walk<'_>, bytes: Bytes<'a>) -> Option<NextHeader<'a>> {
    let inner = bytes.skip(8)?;
    // Only the I flag; the flags of later extensions (group policy) do no harm.
    if bytes.data.first()? & 0x08 == 0 || !looks_like_ethernet(inner) {
        return None;
    }
    walk.wrap(Encapsulation::Vxlan(bytes.u32_at(4)? >> 8));
    Some(NextHeader::Into(Layer::Ethernet, inner))
}

fn geneve<'a>(walk: &mut Walk<'_>, bytes: Bytes<'a>) -> Option<NextHeader<'a>> {
    let first = *bytes.data.first()?;
    // Version 0 (RFC 8926 §3.4).
    if first >> 6 != 0 {
        return None;
    }
    let options = usize::from(first & 0x3f).saturating_mul(4);
    let inner = bytes.skip(options.saturating_add(8))?;
    let kind = bytes.u16_at(2)?;
    let plausible = match kind {
        ether_type::TRANSPARENT_ETHERNET => looks_like_ethernet(inner),
        ether_type::IPV4 | ether_type::IPV6 => true,
        _ => false,
    };
    if !plausible {
        return None;
    }
    walk.wrap(Encapsulation::Geneve(bytes.u32_at(4)? >> 8));
    Some(NextHeader::Into(Layer::EtherType(kind), inner))
}

/// Whether an Ethernet header stands here with a type that occurs inside tunnels.
pub(super) fn looks_like_ethernet(bytes: Bytes<'_>) -> bool {
    matches!(
        bytes.u16_at(12),
        Some(
            ether_type::IPV4
                | ether_type::IPV6
                | ether_type::ARP
                | ether_type::VLAN
                | ether_type::PROVIDER_VLAN
                | ether_type::OLD_QINQ
                | ether_type::MPLS
                | ether_type::PPPOE_SESSION
                | ether_type::CISCO_METADATA
                | ether_type::VN_TAG
                | 0x8863
                | 0x88cc
        )
    )
}
