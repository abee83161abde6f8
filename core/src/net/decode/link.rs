//! Link layers: the first bytes of a frame in, what follows them out. Own code stands where etherparse has none (BSD
//! loopback, SLL2, LLC, PPP, more than three VLAN tags) or refuses hardware types it does not know (SLL).

use etherparse::{Ethernet2HeaderSlice, SingleVlanHeaderSlice};

use super::{Bytes, Layer, NextHeader, Walk, ip, neighbour, netfilter, pseudo_header, tags, tunnel, wireless};
use crate::net::{Encapsulation, LinkType, MacAddress, Notice, Packet};

/// EtherTypes (IEEE 802 numbers at IANA).
pub(super) mod ether_type {
    pub(crate) const IPV4: u16 = 0x0800;
    pub(crate) const ARP: u16 = 0x0806;
    pub(crate) const TRANSPARENT_ETHERNET: u16 = 0x6558;
    pub(crate) const VLAN: u16 = 0x8100;
    pub(crate) const IPV6: u16 = 0x86dd;
    pub(crate) const MPLS: u16 = 0x8847;
    pub(crate) const MPLS_MULTICAST: u16 = 0x8848;
    pub(crate) const PPPOE_SESSION: u16 = 0x8864;
    pub(crate) const PPP: u16 = 0x880b;
    pub(crate) const PROVIDER_VLAN: u16 = 0x88a8;
    pub(crate) const ERSPAN: u16 = 0x88be;
    pub(crate) const ERSPAN_3: u16 = 0x22eb;
    pub(crate) const CISCO_METADATA: u16 = 0x8909;
    pub(crate) const VN_TAG: u16 = 0x8926;
    pub(crate) const PROVIDER_BACKBONE: u16 = 0x88e7;
    pub(crate) const HSR: u16 = 0x892f;
    pub(crate) const MACSEC: u16 = 0x88e5;
    pub(crate) const TRILL: u16 = 0x22f3;
    pub(crate) const NSH: u16 = 0x894f;
    pub(crate) const OLD_QINQ: u16 = 0x9100;
    pub(crate) const OLDER_QINQ: u16 = 0x9200;
}

/// Values of the type field up to here are lengths (IEEE 802.3 §3.2.6).
const MAX_802_3: u16 = 1500;

/// Takes the header of the frame's link layer off.
#[inline]
pub(super) fn first<'a>(walk: &mut Walk<'_>, packet: &Packet<'a>) -> NextHeader<'a> {
    let data = packet.data;
    let bytes = Bytes {
        data,
        wire: (packet.original_len as usize).max(data.len()),
    };
    match packet.link {
        LinkType::ETHERNET => ethernet(walk, bytes),
        other => frame(walk, other, bytes),
    }
}

/// A frame of this link type.
pub(super) fn frame<'a>(walk: &mut Walk<'_>, link: LinkType, bytes: Bytes<'a>) -> NextHeader<'a> {
    match link {
        LinkType::ETHERNET => ethernet(walk, bytes),
        LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 | LinkType(12 | 14) => ip::any(walk, bytes),
        LinkType::LINUX_SLL => linux_sll(walk, bytes),
        LinkType::LINUX_SLL2 => linux_sll2(walk, bytes),
        LinkType::NULL | LinkType::LOOP => loopback(bytes),
        // Plain, with HDLC framing, with a byte for the direction; Cisco's HDLC.
        LinkType::PPP | LinkType(50) => NextHeader::Into(Layer::Ppp, bytes),
        LinkType(204) => skip_into(bytes, 1, Layer::Ppp),
        LinkType(104) => typed(bytes, 2, 4),
        LinkType::PPP_ETHER => NextHeader::Into(Layer::EtherType(ether_type::PPPOE_SESSION), bytes),
        LinkType::NFLOG => netfilter::log(bytes),
        // IEEE 802.11, bare or behind what describes its radio.
        LinkType(105) => wireless::frame(walk, bytes, false),
        LinkType(119) => pseudo_header::prism(walk, bytes),
        LinkType(127) => pseudo_header::radiotap(walk, bytes),
        LinkType(163) => pseudo_header::avs(walk, bytes),
        LinkType(192) => pseudo_header::ppi(bytes),
        LinkType(258) => pseudo_header::pktap(bytes),
        // For private use; the own tools of macOS write PKTAP under this number.
        LinkType(149) if pseudo_header::is_pktap(bytes) => pseudo_header::pktap(bytes),
        LinkType(109) => pseudo_header::ipsec(bytes),
        LinkType(117) => pseudo_header::packet_filter_log(bytes),
        LinkType(178) => pseudo_header::juniper_ethernet(bytes),
        LinkType(197) => pseudo_header::endace(bytes),
        LinkType(219) => NextHeader::Into(Layer::Mpls, bytes),
        LinkType(other) => NextHeader::Unsupported(Notice::LinkTypeNotSupported, other),
    }
}

/// Ethernet II or IEEE 802.3.
#[inline]
pub(super) fn ethernet<'a>(walk: &mut Walk<'_>, bytes: Bytes<'a>) -> NextHeader<'a> {
    let Ok(header) = Ethernet2HeaderSlice::from_slice(bytes.data) else {
        return NextHeader::CUT;
    };
    walk.mac = Some(MacAddress(header.source()));
    let Some(rest) = bytes.skip(14) else {
        return NextHeader::CUT;
    };
    ether_type(walk, header.ether_type().0, rest)
}

/// What an EtherType announces; a value too small for one is the length of an LLC frame.
#[inline]
pub(super) fn ether_type<'a>(walk: &mut Walk<'_>, kind: u16, bytes: Bytes<'a>) -> NextHeader<'a> {
    match kind {
        ether_type::IPV4 => ip::v4(walk, bytes),
        ether_type::IPV6 => ip::v6(walk, bytes),
        _ => unusual_ether_type(walk, kind, bytes),
    }
}

#[inline(never)]
fn unusual_ether_type<'a>(walk: &mut Walk<'_>, kind: u16, bytes: Bytes<'a>) -> NextHeader<'a> {
    match kind {
        ether_type::VLAN | ether_type::PROVIDER_VLAN | ether_type::OLD_QINQ | ether_type::OLDER_QINQ => {
            vlan(walk, bytes)
        }
        ether_type::ARP => neighbour::arp(bytes),
        ether_type::MPLS | ether_type::MPLS_MULTICAST => NextHeader::Into(Layer::Mpls, bytes),
        ether_type::PPPOE_SESSION => tunnel::pppoe(walk, bytes),
        ether_type::TRANSPARENT_ETHERNET => NextHeader::Into(Layer::Ethernet, bytes),
        ether_type::PPP => NextHeader::Into(Layer::Ppp, bytes),
        0..=MAX_802_3 => NextHeader::Into(Layer::Llc, bytes.of_length(usize::from(kind))),
        _ => tags::any(walk, kind, bytes),
    }
}

fn vlan<'a>(walk: &mut Walk<'_>, bytes: Bytes<'a>) -> NextHeader<'a> {
    let (Ok(tag), Some(rest)) = (SingleVlanHeaderSlice::from_slice(bytes.data), bytes.skip(4)) else {
        return NextHeader::CUT;
    };
    walk.wrap(Encapsulation::Vlan(tag.vlan_identifier().value()));
    NextHeader::Into(Layer::EtherType(tag.ether_type().0), rest)
}

/// IEEE 802.2: IP in SNAP (RFC 1042), or IP directly.
pub(super) fn llc(bytes: Bytes<'_>) -> NextHeader<'_> {
    match bytes.data {
        [0xaa, 0xaa, 0x03, 0, 0, 0 | 0xf8, ..] => typed(bytes, 6, 8),
        [0x06, 0x06, 0x03, ..] => skip_into(bytes, 3, Layer::Ip),
        [] | [_] | [_, _] if bytes.wire > 2 => NextHeader::CUT,
        _ => NextHeader::Other,
    }
}

/// PPP with or without HDLC framing (RFC 1662 §3.1) and with or without a compressed protocol field (RFC 1661 §6.5).
pub(super) fn ppp(bytes: Bytes<'_>) -> NextHeader<'_> {
    let bytes = match bytes.data {
        [0xff, 0x03, ..] => bytes.skip(2).unwrap_or(bytes),
        _ => bytes,
    };
    let (protocol, length) = match bytes.data {
        // The last octet of a protocol number is odd, all before it are even (RFC 1661 §2).
        [short, ..] if short & 1 == 1 => (u16::from(*short), 1),
        [high, low, ..] => (u16::from_be_bytes([*high, *low]), 2),
        _ => return NextHeader::CUT,
    };
    match protocol {
        0x0021 | 0x0057 => skip_into(bytes, length, Layer::Ip),
        0x0281 | 0x0283 => skip_into(bytes, length, Layer::Mpls),
        // Headers compressed (RFC 1144), compressed or encrypted data (RFC 1962, 3078), parts of several links (RFC 1990).
        0x002d | 0x002f | 0x003d | 0x00fb | 0x00fd | 0x0053 | 0x0055 => {
            NextHeader::Unsupported(Notice::PppProtocolNotDecoded, protocol)
        }
        _ => NextHeader::Other,
    }
}

/// Linux "cooked" capture: packet type, hardware type, address length, address, protocol.
#[inline]
fn linux_sll<'a>(walk: &mut Walk<'_>, bytes: Bytes<'a>) -> NextHeader<'a> {
    let (Some(header), Some(rest)) = (bytes.data.first_chunk::<16>(), bytes.skip(16)) else {
        return NextHeader::CUT;
    };
    let [_, _, _, _, _, length, address @ .., _, _, high, low] = *header;
    walk.mac = (length == 6).then_some(MacAddress(address));
    cooked_protocol(walk, u16::from_be_bytes([high, low]), rest)
}

/// Linux "cooked" capture, version 2: protocol first, then interface, hardware type, packet type, address.
#[inline]
fn linux_sll2<'a>(walk: &mut Walk<'_>, bytes: Bytes<'a>) -> NextHeader<'a> {
    let (Some(header), Some(rest)) = (bytes.data.first_chunk::<20>(), bytes.skip(20)) else {
        return NextHeader::CUT;
    };
    let [high, low, _, _, _, _, _, _, _, _, _, length, address @ .., _, _] = *header;
    walk.mac = (length == 6).then_some(MacAddress(address));
    cooked_protocol(walk, u16::from_be_bytes([high, low]), rest)
}

/// An EtherType, or one of Linux's own small numbers (ETH_P_802_2).
#[inline]
fn cooked_protocol<'a>(walk: &mut Walk<'_>, protocol: u16, rest: Bytes<'a>) -> NextHeader<'a> {
    match protocol {
        4 => NextHeader::Into(Layer::Llc, rest),
        0..=MAX_802_3 => NextHeader::Other,
        _ => ether_type(walk, protocol, rest),
    }
}

/// The address family in the byte order of whoever captured.
fn loopback(bytes: Bytes<'_>) -> NextHeader<'_> {
    let Some(family) = bytes.u32_at(0) else {
        return NextHeader::CUT;
    };
    let family = if family > 0xffff { family.swap_bytes() } else { family };
    family_into(bytes, 4, family)
}

/// A header of `length` bytes before a packet of this address family; IPv6 has another number on each system.
pub(super) fn family_into(bytes: Bytes<'_>, length: usize, family: u32) -> NextHeader<'_> {
    match family {
        2 | 10 | 23 | 24 | 28 | 30 => skip_into(bytes, length, Layer::Ip),
        _ => NextHeader::Other,
    }
}

/// A header of `length` bytes with an EtherType at `at`.
pub(super) fn typed(bytes: Bytes<'_>, at: usize, length: usize) -> NextHeader<'_> {
    match (bytes.u16_at(at), bytes.skip(length)) {
        (Some(kind), Some(rest)) => NextHeader::Into(Layer::EtherType(kind), rest),
        _ => NextHeader::CUT,
    }
}

/// A header of `length` bytes before `layer`.
pub(super) fn skip_into(bytes: Bytes<'_>, length: usize, layer: Layer) -> NextHeader<'_> {
    bytes
        .skip(length)
        .map_or(NextHeader::CUT, |rest| NextHeader::Into(layer, rest))
}
