//! What may stand between an Ethernet header and the packet besides VLAN tags: Cisco `MetaData`, VN-Tag, 802.1ah, HSR,
//! MACsec that only authenticates, TRILL and NSH. A tag in, what it carries out. A form that is not known here is told
//! as an EtherType that is not decoded, never guessed at.

use super::link::{self, ether_type, skip_into, typed};
use super::{Bytes, Layer, NextHeader, Walk};
use crate::net::{Encapsulation, Notice};

/// A tag of one of these EtherTypes; any other is either no way to TCP, or told as not decoded.
pub(super) fn any<'a>(walk: &mut Walk<'_>, kind: u16, bytes: Bytes<'a>) -> NextHeader<'a> {
    match kind {
        ether_type::CISCO_METADATA => cisco_metadata(walk, bytes),
        ether_type::VN_TAG => vn_tag(walk, bytes),
        ether_type::PROVIDER_BACKBONE => provider_backbone(walk, bytes),
        ether_type::HSR => hsr(walk, bytes),
        ether_type::MACSEC => macsec(walk, bytes),
        ether_type::TRILL => trill(walk, bytes),
        ether_type::NSH => nsh(walk, bytes),
        _ if carries_no_tcp(kind) => NextHeader::Other,
        _ => not_decoded(kind),
    }
}

fn not_decoded(kind: u16) -> NextHeader<'static> {
    NextHeader::Unsupported(Notice::EtherTypeNotDecoded, kind)
}

/// Protocols of the link itself and of other networks: nothing in them is lost to an analysis of TCP.
fn carries_no_tcp(kind: u16) -> bool {
    matches!(
        kind,
        // Cisco Discovery Protocol (in SNAP), DEC, Wake-on-LAN, stream reservation and AVTP, IS-IS.
        0x2000 | 0x6000..=0x6007 | 0x0842 | 0x22ea | 0x22f0 | 0x22f4
        // RARP, AppleTalk and its ARP, IPX, QNX, discovery of PPPoE, flow control and slow protocols.
        | 0x8035 | 0x809b | 0x80f3 | 0x8137 | 0x8138 | 0x8204 | 0x8863 | 0x8808 | 0x8809
        // EAPOL and its pre-authentication, LLDP, LLTD, fault management, registration protocols, time, redundancy.
        | 0x888e | 0x88c7 | 0x88cc | 0x88d9 | 0x8902 | 0x88f5 | 0x88f6 | 0x88f7 | 0x88fb | 0x88e3 | 0x893a | 0x9000
        // Fieldbuses and substations, power lines, storage, RDMA.
        | 0x8892 | 0x88a4 | 0x88b8..=0x88ba | 0x88cd | 0x88e1 | 0x887b | 0x8912 | 0x88a2 | 0x8906 | 0x8914 | 0x8915
        // Loop detection of switches (Realtek, 3Com), WLAN mesh routing.
        | 0x8899 | 0x9003 | 0x88dc
    )
}

/// Cisco `MetaData`: version and length, both 1 where one option stands; the option of a security group tag; that tag.
fn cisco_metadata<'a>(walk: &mut Walk<'_>, bytes: Bytes<'a>) -> NextHeader<'a> {
    match bytes.data {
        [1, 1, 0, 1, _, _, ..] => {
            walk.wrap(Encapsulation::CiscoMetadata);
            typed(bytes, 6, 8)
        }
        data if data.len() < 6 => NextHeader::CUT,
        _ => not_decoded(ether_type::CISCO_METADATA),
    }
}

/// VN-Tag (what became IEEE 802.1BR): interface numbers of a switch, version 0.
fn vn_tag<'a>(walk: &mut Walk<'_>, bytes: Bytes<'a>) -> NextHeader<'a> {
    const VERSION: u32 = 0x3000;
    match bytes.u32_at(0) {
        Some(tag) if tag & VERSION == 0 => {
            walk.wrap(Encapsulation::VnTag);
            typed(bytes, 4, 6)
        }
        Some(_) => not_decoded(ether_type::VN_TAG),
        None => NextHeader::CUT,
    }
}

/// The service tag of a provider backbone (IEEE 802.1Q §9.7): behind it a whole customer frame.
fn provider_backbone<'a>(walk: &mut Walk<'_>, bytes: Bytes<'a>) -> NextHeader<'a> {
    let Some(tag) = bytes.u32_at(0) else {
        return NextHeader::CUT;
    };
    walk.wrap(Encapsulation::ProviderBackbone(tag & 0xff_ffff));
    skip_into(bytes, 4, Layer::Ethernet)
}

/// High-availability Seamless Redundancy (IEC 62439-3 §5): path and size, sequence number, then what was tagged. The
/// trailer of PRP needs nothing: IP says how long it is.
fn hsr<'a>(walk: &mut Walk<'_>, bytes: Bytes<'a>) -> NextHeader<'a> {
    walk.wrap(Encapsulation::Hsr);
    typed(bytes, 4, 6)
}

/// MACsec (IEEE 802.1AE §9). In clear only where neither E nor C is set: authenticated, not encrypted, and not changed.
fn macsec<'a>(walk: &mut Walk<'_>, bytes: Bytes<'a>) -> NextHeader<'a> {
    const VERSION: u8 = 0x80;
    const SCI: u8 = 0x20;
    const ENCRYPTED: u8 = 0x08;
    const CHANGED: u8 = 0x04;
    /// Of the default cipher suite, behind the data.
    const CHECK_VALUE: usize = 16;
    let (Some(flags), Some(short)) = (bytes.data.first(), bytes.data.get(1)) else {
        return NextHeader::CUT;
    };
    if flags & (VERSION | ENCRYPTED | CHANGED) != 0 || short & 0xc0 != 0 {
        return not_decoded(ether_type::MACSEC);
    }
    let header = if flags & SCI == 0 { 6 } else { 14 };
    let Some(rest) = bytes.skip(header) else {
        return NextHeader::CUT;
    };
    // A length of zero is one of 48 or more: then all of it but the check value is data.
    let data = match usize::from(*short) {
        0 => rest.wire.saturating_sub(CHECK_VALUE),
        length => length,
    };
    walk.wrap(Encapsulation::Macsec);
    typed(rest.of_length(data), 0, 2)
}

/// TRILL (RFC 6325 §3): behind the nicknames, and options, an Ethernet frame.
fn trill<'a>(walk: &mut Walk<'_>, bytes: Bytes<'a>) -> NextHeader<'a> {
    let Some(flags) = bytes.u16_at(0) else {
        return NextHeader::CUT;
    };
    // Two bits of version, two reserved ones.
    if flags & 0xf000 != 0 {
        return not_decoded(ether_type::TRILL);
    }
    let options = usize::from(flags >> 6 & 0x1f).saturating_mul(4);
    walk.wrap(Encapsulation::Trill);
    skip_into(bytes, options.saturating_add(6), Layer::Ethernet)
}

/// A Network Service Header (RFC 8300 §2).
pub(super) fn nsh<'a>(walk: &mut Walk<'_>, bytes: Bytes<'a>) -> NextHeader<'a> {
    /// O&M: what follows is of the service chain itself.
    const OAM: u16 = 0x2000;
    let (Some(base), Some(next), Some(path)) = (bytes.u16_at(0), bytes.data.get(3), bytes.u32_at(4)) else {
        return NextHeader::CUT;
    };
    let length = usize::from(base & 0x3f).saturating_mul(4);
    if base >> 14 != 0 || length < 8 {
        return not_decoded(ether_type::NSH);
    }
    if base & OAM != 0 {
        return NextHeader::Other;
    }
    let layer = match next {
        1 | 2 => Layer::Ip,
        3 => Layer::Ethernet,
        4 => Layer::EtherType(ether_type::NSH),
        5 => Layer::Mpls,
        _ => return not_decoded(ether_type::NSH),
    };
    walk.wrap(Encapsulation::Nsh(path >> 8));
    link::skip_into(bytes, length, layer)
}
