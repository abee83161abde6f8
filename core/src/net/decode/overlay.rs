//! Tunnels in UDP besides VXLAN and GENEVE, and L2TP. Their ports are used by other programs too, and most of these
//! headers are a few bits: so each is taken for what it says only where all of it agrees, down to an inner packet whose
//! length is just what there is. What fails the test stays the datagram that it is.

use super::ip::protocol_not_decoded;
use super::link::{ether_type, skip_into};
use super::tunnel::looks_like_ethernet;
use super::{Bytes, Layer, NextHeader, Walk, wireless};
use crate::net::{Encapsulation, Notice};

mod port {
    pub(super) const L2TP: u16 = 1701;
    pub(super) const GTP_U: u16 = 2152;
    pub(super) const TEREDO: u16 = 3544;
    pub(super) const LISP: u16 = 4341;
    pub(super) const VXLAN_GPE: u16 = 4790;
    pub(super) const CAPWAP_DATA: u16 = 5247;
    pub(super) const GUE: u16 = 6080;
    pub(super) const MPLS: u16 = 6635;
    pub(super) const TZSP: u16 = 37_008;
}

/// What a datagram between these ports carries, if it is a tunnel's.
pub(super) fn in_udp<'a>(
    walk: &mut Walk<'_>,
    source: u16,
    destination: u16,
    bytes: Bytes<'a>,
) -> Option<NextHeader<'a>> {
    match destination {
        port::GTP_U => gtp_u(walk, bytes),
        port::TZSP => tzsp(walk, bytes),
        port::LISP => lisp(walk, bytes),
        port::VXLAN_GPE => vxlan_gpe(walk, bytes),
        port::GUE => gue(walk, bytes),
        port::MPLS => mpls(bytes),
        // The far end of these may sit behind a translator, on a port of its choice.
        _ if source == port::L2TP || destination == port::L2TP => l2tp(walk, bytes),
        _ if source == port::TEREDO || destination == port::TEREDO => teredo(walk, bytes),
        _ if source == port::CAPWAP_DATA || destination == port::CAPWAP_DATA => capwap(walk, bytes),
        _ => None,
    }
}

/// Whether an IP packet stands here that ends just where these bytes do. 16 bits of length and four of version must
/// agree by chance in anything else.
fn is_ip_packet(bytes: Bytes<'_>) -> bool {
    let length = |extra: usize, at| bytes.u16_at(at).map(|length| usize::from(length).saturating_add(extra));
    match bytes.data.first() {
        Some(0x45..=0x4f) => bytes.data.len() >= 20 && length(0, 2) == Some(bytes.wire),
        Some(0x60..=0x6f) => bytes.data.len() >= 40 && length(40, 4) == Some(bytes.wire),
        _ => false,
    }
}

/// The version field of an IP header.
fn version(bytes: Bytes<'_>) -> Option<u8> {
    bytes.data.first().map(|first| first >> 4)
}

/// Whether an Ethernet frame with an IP packet stands here; a short packet may be padded to the shortest frame.
fn is_ip_in_ethernet(bytes: Bytes<'_>) -> bool {
    const SHORTEST: usize = 46;
    let Some(inner) = bytes.skip(14) else {
        return false;
    };
    let (expected, length) = match bytes.u16_at(12) {
        Some(ether_type::IPV4) => (4, inner.u16_at(2).map(usize::from)),
        Some(ether_type::IPV6) => (6, inner.u16_at(4).map(|length| usize::from(length).saturating_add(40))),
        _ => return false,
    };
    let padded = |length: usize| length <= inner.wire && inner.wire == length.max(SHORTEST.min(inner.wire));
    version(inner) == Some(expected)
        && length.is_some_and(|length| padded(length) && is_ip_packet(inner.of_length(length)))
}

/// A packet of a user in GTP version 1 (3GPP TS 29.281 §5.1): the T-PDU, the only message that is no signalling. Extension
/// headers may stand before it; 5G puts one there always.
fn gtp_u<'a>(walk: &mut Walk<'_>, bytes: Bytes<'a>) -> Option<NextHeader<'a>> {
    const T_PDU: u8 = 255;
    const ANY_OPTION: u8 = 0x07;
    const EXTENDED: u8 = 0x04;
    const MAX_EXTENSIONS: usize = 8;
    let [flags, T_PDU, ..] = *bytes.data else {
        return None;
    };
    // Version 1, the protocol GTP (not GTP'), the reserved bit.
    if flags & 0xf8 != 0x30 {
        return None;
    }
    let mut rest = bytes.skip(8)?;
    if usize::from(bytes.u16_at(2)?) != rest.wire {
        return None;
    }
    if flags & ANY_OPTION != 0 {
        let mut next = *rest.data.get(3)?;
        rest = rest.skip(4)?;
        for _ in 0..MAX_EXTENSIONS {
            if flags & EXTENDED == 0 || next == 0 {
                break;
            }
            let length = usize::from(*rest.data.first()?)
                .checked_mul(4)
                .filter(|length| *length > 0)?;
            next = *rest.data.get(length.checked_sub(1)?)?;
            rest = rest.skip(length)?;
        }
    }
    if !is_ip_packet(rest) {
        return None;
    }
    walk.wrap(Encapsulation::GtpU);
    Some(NextHeader::Into(Layer::Ip, rest))
}

/// `TaZmen` Sniffer Protocol: version 1, a packet received or sent, what link it is of, tagged fields up to an end.
fn tzsp<'a>(walk: &mut Walk<'_>, bytes: Bytes<'a>) -> Option<NextHeader<'a>> {
    const ETHERNET: u16 = 1;
    const IEEE_802_11: u16 = 18;
    const PADDING: u8 = 0;
    const END: u8 = 1;
    let [1, 0 | 1, ..] = bytes.data else {
        return None;
    };
    let link = bytes.u16_at(2)?;
    let mut rest = bytes.skip(4)?;
    // Each turn takes a byte or more.
    loop {
        rest = match *rest.data {
            [END, ..] => break,
            [PADDING, ..] => rest.skip(1)?,
            [_, length, ..] => rest.skip(usize::from(length).saturating_add(2))?,
            _ => return None,
        };
    }
    let inner = rest.skip(1)?;
    match link {
        ETHERNET if looks_like_ethernet(inner) => {
            walk.wrap(Encapsulation::Tzsp);
            Some(NextHeader::Into(Layer::Ethernet, inner))
        }
        IEEE_802_11 if let Some(packet) = wireless::in_tunnel(inner) => {
            walk.wrap(Encapsulation::Tzsp);
            Some(NextHeader::Into(Layer::Llc, packet))
        }
        // A frame that manages the radio hides no packet.
        IEEE_802_11 if !wireless::may_be_data(inner) => None,
        // IEEE 802.11 that cannot be read, or behind what describes its radio.
        IEEE_802_11 | 119 | 127 if !inner.data.is_empty() => {
            Some(NextHeader::Unsupported(Notice::TunnelNotDecoded, port::TZSP))
        }
        _ => None,
    }
}

/// L2TP, version 2 (RFC 2661 §3.1) with IP in PPP, or version 3 in UDP (RFC 3931 §4.1.2).
fn l2tp<'a>(walk: &mut Walk<'_>, bytes: Bytes<'a>) -> Option<NextHeader<'a>> {
    const CONTROL: u16 = 0x8000;
    const LENGTH: u16 = 0x4000;
    const SEQUENCE: u16 = 0x0800;
    const OFFSET: u16 = 0x0200;
    const PRIORITY: u16 = 0x0100;
    const VERSION: u16 = 0x000f;
    let flags = bytes.u16_at(0)?;
    if flags == 3 && bytes.u16_at(2)? == 0 {
        return l2tp_3(walk, bytes.skip(4)?);
    }
    if flags & !(LENGTH | SEQUENCE | OFFSET | PRIORITY | VERSION) != 0 || flags & (CONTROL | VERSION) != 2 {
        return None;
    }
    let mut rest = bytes.skip(2)?;
    if flags & LENGTH != 0 {
        if usize::from(rest.u16_at(0)?) != bytes.wire {
            return None;
        }
        rest = rest.skip(2)?;
    }
    // The numbers of the tunnel and of the session.
    rest = rest.skip(4)?;
    if flags & SEQUENCE != 0 {
        rest = rest.skip(4)?;
    }
    if flags & OFFSET != 0 {
        rest = rest.skip(usize::from(rest.u16_at(0)?).saturating_add(2))?;
    }
    // What else PPP carries are its own protocols.
    let header = match rest.data {
        [0xff, 0x03, 0x00, 0x21 | 0x57, ..] => 4,
        [0xff, 0x03, 0x21 | 0x57, ..] => 3,
        [0x00, 0x21 | 0x57, ..] => 2,
        [0x21 | 0x57, ..] => 1,
        _ => return None,
    };
    if !is_ip_packet(rest.skip(header)?) {
        return None;
    }
    walk.wrap(Encapsulation::L2tp);
    Some(NextHeader::Into(Layer::Ppp, rest))
}

/// A data message of L2TP version 3: a session, then a cookie and a sublayer whose lengths only its ends know (RFC 3931
/// §4.1). Read where just one of the lengths that there are leads to a frame with an IP packet.
fn l2tp_3<'a>(walk: &mut Walk<'_>, bytes: Bytes<'a>) -> Option<NextHeader<'a>> {
    bytes.u32_at(0).filter(|session| *session != 0)?;
    let rest = bytes.skip(4)?;
    // A cookie of 0, 4 or 8 bytes; a sublayer of 0 or 4.
    let mut frames = [0, 4, 8, 12]
        .into_iter()
        .filter_map(|length| rest.skip(length))
        .filter(|inner| is_ip_in_ethernet(*inner));
    let frame = frames.next().filter(|_| frames.next().is_none())?;
    walk.wrap(Encapsulation::L2tp);
    Some(NextHeader::Into(Layer::Ethernet, frame))
}

/// L2TP version 3 directly in IP; a session of 0 is its control channel.
pub(super) fn l2tp_in_ip<'a>(walk: &mut Walk<'_>, number: u8, bytes: Bytes<'a>) -> NextHeader<'a> {
    match bytes.u32_at(0) {
        Some(0) => NextHeader::Other,
        Some(_) => l2tp_3(walk, bytes).unwrap_or(protocol_not_decoded(number)),
        None => NextHeader::CUT,
    }
}

/// Teredo (RFC 4380 §5.1.1): IPv6 behind what a server may put before it, one end of it a Teredo address.
fn teredo<'a>(walk: &mut Walk<'_>, bytes: Bytes<'a>) -> Option<NextHeader<'a>> {
    const PREFIX: u32 = 0x2001_0000;
    let mut rest = bytes;
    if let [0, 1, id, authenticator, ..] = *rest.data {
        // Two lengths, a nonce of eight bytes and one of confirmation.
        let length = usize::from(id).saturating_add(usize::from(authenticator));
        rest = rest.skip(length.saturating_add(13))?;
    }
    if let [0, 0, ..] = rest.data {
        rest = rest.skip(8)?;
    }
    let ours = [8, 24].into_iter().any(|at| rest.u32_at(at) == Some(PREFIX));
    if rest.data.first()? >> 4 != 6 || !is_ip_packet(rest) || !ours {
        return None;
    }
    walk.wrap(Encapsulation::Teredo);
    Some(NextHeader::Into(Layer::Ip, rest))
}

/// LISP (RFC 9300 §5.3).
fn lisp<'a>(walk: &mut Walk<'_>, bytes: Bytes<'a>) -> Option<NextHeader<'a>> {
    const INSTANCE: u8 = 0x08;
    /// One bit that is reserved, and two of a key with which the packet is encrypted.
    const NOT_PLAIN: u8 = 0x07;
    let flags = *bytes.data.first()?;
    let inner = bytes.skip(8)?;
    if flags & NOT_PLAIN != 0 || !is_ip_packet(inner) {
        return None;
    }
    let instance = bytes.u32_at(4)?;
    walk.wrap(Encapsulation::Lisp((flags & INSTANCE != 0).then_some(instance >> 8)));
    Some(NextHeader::Into(Layer::Ip, inner))
}

/// VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe §3): VXLAN that names what it carries.
fn vxlan_gpe<'a>(walk: &mut Walk<'_>, bytes: Bytes<'a>) -> Option<NextHeader<'a>> {
    /// An identifier is there; the next protocol is.
    const FLAGS: u8 = 0x0c;
    /// BUM traffic and O&M.
    const MAY_BE: u8 = 0x03;
    let [flags, 0, 0, next, _, _, _, 0, ..] = *bytes.data else {
        return None;
    };
    let inner = bytes.skip(8)?;
    let layer = match next {
        1 if is_ip_packet(inner) && version(inner) == Some(4) => Layer::Ip,
        2 if is_ip_packet(inner) && version(inner) == Some(6) => Layer::Ip,
        3 if looks_like_ethernet(inner) => Layer::Ethernet,
        4 if inner.data.first()? >> 6 == 0 => Layer::EtherType(ether_type::NSH),
        _ => return None,
    };
    if flags & !MAY_BE != FLAGS {
        return None;
    }
    walk.wrap(Encapsulation::VxlanGpe(bytes.u32_at(4)? >> 8));
    Some(NextHeader::Into(layer, inner))
}

/// Generic UDP Encapsulation (draft-ietf-intarea-gue §3): variant 0 names a protocol, variant 1 is the IP packet itself.
fn gue<'a>(walk: &mut Walk<'_>, bytes: Bytes<'a>) -> Option<NextHeader<'a>> {
    const CONTROL: u8 = 0x20;
    let first = *bytes.data.first()?;
    let inner = match first >> 6 {
        0 if first & CONTROL == 0 => {
            let inner = bytes.skip(usize::from(first & 0x1f).saturating_mul(4).saturating_add(4))?;
            match (bytes.data.get(1)?, version(inner)?) {
                (4, 4) | (41, 6) => inner,
                _ => return None,
            }
        }
        1 => bytes,
        _ => return None,
    };
    if !is_ip_packet(inner) {
        return None;
    }
    walk.wrap(Encapsulation::Gue);
    Some(NextHeader::Into(Layer::Ip, inner))
}

/// A label stack in UDP (RFC 7510 §3) over an IP packet, or over a frame with one.
fn mpls(bytes: Bytes<'_>) -> Option<NextHeader<'_>> {
    const BOTTOM: u32 = 0x100;
    const MAX_LABELS: usize = 8;
    let mut rest = bytes;
    for _ in 0..MAX_LABELS {
        let entry = rest.u32_at(0)?;
        rest = rest.skip(4)?;
        if entry & BOTTOM != 0 {
            let control_word = rest
                .skip(4)
                .filter(|_| rest.u32_at(0).is_some_and(|word| word >> 28 == 0));
            let frame = is_ip_in_ethernet(rest) || control_word.is_some_and(is_ip_in_ethernet);
            return (frame || is_ip_packet(rest)).then_some(NextHeader::Into(Layer::Mpls, bytes));
        }
    }
    None
}

/// What an access point tunnels to its controller (RFC 5415 §4.3): Ethernet frames where it bridges, else the data frames of
/// its radio. What DTLS hides is named instead.
fn capwap<'a>(walk: &mut Walk<'_>, bytes: Bytes<'a>) -> Option<NextHeader<'a>> {
    const NATIVE: u32 = 0x100;
    const FRAGMENT: u32 = 0x80;
    const RESERVED: u32 = 0x07;
    const NOT_DECODED: NextHeader<'static> = NextHeader::Unsupported(Notice::TunnelNotDecoded, port::CAPWAP_DATA);
    // The preamble of DTLS, three zeros, and a record (RFC 5415 §4.2).
    if let [1, 0, 0, 0, 20..=25, 0xfe, 0xff | 0xfd, ..] = bytes.data {
        return Some(NOT_DECODED);
    }
    let header = bytes.u32_at(0)?;
    let (length, binding) = (header >> 19 & 0x1f, header >> 9 & 0x1f);
    let whole = header & FRAGMENT != 0 || bytes.u32_at(4)? == 0;
    // A wireless binding of 0 is none, 1 is IEEE 802.11, 3 is EPC global (RFC 5415 §4.3).
    if header >> 24 != 0 || header & RESERVED != 0 || length < 2 || !whole || !matches!(binding, 0 | 1 | 3) {
        return None;
    }
    let inner = bytes.skip(usize::try_from(length).ok()?.saturating_mul(4))?;
    if header & NATIVE == 0 && header & FRAGMENT == 0 {
        return looks_like_ethernet(inner).then(|| {
            walk.wrap(Encapsulation::Capwap);
            skip_into(inner, 0, Layer::Ethernet)
        });
    }
    if binding == 1
        && header & FRAGMENT == 0
        && let Some(packet) = wireless::in_tunnel(inner)
    {
        walk.wrap(Encapsulation::Capwap);
        return Some(NextHeader::Into(Layer::Llc, packet));
    }
    // A data frame of IEEE 802.11 in either order of bytes, or a fragment of what may be one.
    (binding == 1 && wireless::may_be_data(inner)).then_some(NOT_DECODED)
}
