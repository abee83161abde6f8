//! Pseudo-headers: what a capturing system writes before each frame about how it came by it, and of what link it is.

use std::ops::RangeInclusive;

use super::link::{family_into, skip_into, typed};
use super::{Bytes, Layer, NextHeader, Walk, wireless};
use crate::net::{LinkType, Notice};

/// Words of bits, or extension headers, that are followed where each says that there is another.
const MAX_WORDS: usize = 16;

/// Radiotap: version, length, a bit for each field, then the fields, each on a multiple of its own size.
pub(super) fn radiotap<'a>(walk: &mut Walk<'_>, bytes: Bytes<'a>) -> NextHeader<'a> {
    const TIME: u32 = 1;
    const FLAGS: u32 = 1 << 1;
    const MORE_BITS: u32 = 1 << 31;
    const ALIGNED: u8 = 0x20;
    const DAMAGED: u8 = 0x40;
    let (Some(length), Some(present)) = (bytes.u16_le_at(2), bytes.u32_le_at(4)) else {
        return NextHeader::CUT;
    };
    if bytes.data.first() != Some(&0) || length < 8 {
        return NextHeader::MALFORMED;
    }
    let words = (0..MAX_WORDS).take_while(|word| {
        let bits = bytes.u32_le_at(word.saturating_mul(4).saturating_add(4));
        bits.is_some_and(|bits| bits & MORE_BITS != 0)
    });
    let fields = words.count().saturating_mul(4).saturating_add(8);
    let flags_at = match present & TIME {
        0 => fields,
        _ => fields.next_multiple_of(8).saturating_add(8),
    };
    let flags = bytes.data.get(flags_at);
    let flags = flags.filter(|_| present & FLAGS != 0 && flags_at < usize::from(length));
    let has = |flag| flags.is_some_and(|flags| flags & flag != 0);
    match bytes.skip(usize::from(length)) {
        // Its checksum is wrong: any bit of it may be. It was sent again.
        Some(_) if has(DAMAGED) => NextHeader::Skipped(Notice::WirelessFrameNotRead),
        Some(rest) => wireless::frame(walk, rest, has(ALIGNED)),
        None => NextHeader::CUT,
    }
}

/// AVS: two words in network byte order, the second its length. Drivers that write this one also announce it as Prism.
pub(super) fn avs<'a>(walk: &mut Walk<'_>, bytes: Bytes<'a>) -> NextHeader<'a> {
    radio_behind(walk, bytes, bytes.u32_at(4))
}

/// Prism: two words in the byte order of whoever captured, the second its length.
pub(super) fn prism<'a>(walk: &mut Walk<'_>, bytes: Bytes<'a>) -> NextHeader<'a> {
    const AVS_MAGIC: u32 = 0x8021_1000;
    if bytes.u32_at(0).is_some_and(|magic| magic & 0xffff_f000 == AVS_MAGIC) {
        return avs(walk, bytes);
    }
    let length = bytes.u32_le_at(4);
    radio_behind(walk, bytes, length.map(|length| length.min(length.swap_bytes())))
}

/// A frame of the radio behind a header of this length.
fn radio_behind<'a>(walk: &mut Walk<'_>, bytes: Bytes<'a>, length: Option<u32>) -> NextHeader<'a> {
    let length = length.and_then(|length| usize::try_from(length).ok());
    match length.and_then(|length| bytes.skip(length)) {
        _ if length.is_some_and(|length| length < 8) => NextHeader::MALFORMED,
        Some(rest) => wireless::frame(walk, rest, false),
        None => NextHeader::CUT,
    }
}

/// Per-Packet Information of CACE: version, flags, length, the link type of what follows.
pub(super) fn ppi(bytes: Bytes<'_>) -> NextHeader<'_> {
    let (Some(length), Some(link)) = (bytes.u16_le_at(2), bytes.u32_le_at(4)) else {
        return NextHeader::CUT;
    };
    if bytes.data.first() != Some(&0) || length < 8 {
        return NextHeader::MALFORMED;
    }
    of_link(bytes, usize::from(length), link)
}

/// PKTAP of macOS, which writes it for `-i any` and `-i pktap`: length, kind of record, the link type of what follows.
pub(super) fn pktap(bytes: Bytes<'_>) -> NextHeader<'_> {
    const PACKET: u32 = 1;
    let (Some(length), Some(kind), Some(link)) = (bytes.u32_le_at(0), bytes.u32_le_at(4), bytes.u32_le_at(8)) else {
        return NextHeader::CUT;
    };
    match usize::try_from(length) {
        Ok(length) if length >= 12 && kind == PACKET => of_link(bytes, length, link),
        Ok(length) if length >= 12 => NextHeader::Other,
        _ => NextHeader::MALFORMED,
    }
}

/// Whether PKTAP stands here for all that is known: a length in use, a packet, and the name of an interface, filled up with
/// zeros.
pub(super) fn is_pktap(bytes: Bytes<'_>) -> bool {
    const LENGTHS: RangeInclusive<u32> = 108..=256;
    let named = |name: &[u8]| {
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        let (name, rest) = name.split_at(end);
        !name.is_empty() && name.iter().all(u8::is_ascii_graphic) && rest.iter().all(|byte| *byte == 0)
    };
    bytes.u32_le_at(0).is_some_and(|length| LENGTHS.contains(&length))
        && bytes.u32_le_at(4) == Some(1)
        && bytes.data.get(12..36).is_some_and(named)
}

/// A header of `length` bytes before a frame of another link type.
fn of_link(bytes: Bytes<'_>, length: usize, link: u32) -> NextHeader<'_> {
    let link = LinkType(u16::try_from(link).unwrap_or(u16::MAX));
    skip_into(bytes, length, Layer::Frame(link))
}

/// The log of the packet filter of BSD: its length without padding, the address family, what was decided, and by which rule.
pub(super) fn packet_filter_log(bytes: Bytes<'_>) -> NextHeader<'_> {
    let [length, family, ..] = *bytes.data else {
        return NextHeader::CUT;
    };
    let length = usize::from(length).next_multiple_of(4);
    if length < 4 {
        return NextHeader::MALFORMED;
    }
    family_into(bytes, length, u32::from(family))
}

/// What OpenBSD's IPsec passes to `enc` interfaces: address family, SPI, flags.
pub(super) fn ipsec(bytes: Bytes<'_>) -> NextHeader<'_> {
    bytes.u32_at(0).map_or(NextHeader::CUT, |family| {
        let family = if family > 0xffff { family.swap_bytes() } else { family };
        family_into(bytes, 12, family)
    })
}

/// Juniper's routers: "MGC", flags, as a rule more about the interface, and an Ethernet frame or what is left of one.
pub(super) fn juniper_ethernet(bytes: Bytes<'_>) -> NextHeader<'_> {
    const NO_LINK_LAYER: u8 = 0x02;
    const EXTENDED: u8 = 0x80;
    let [b'M', b'G', b'C', flags, ..] = *bytes.data else {
        return if bytes.data.len() < 4 {
            NextHeader::CUT
        } else {
            NextHeader::MALFORMED
        };
    };
    let length = match bytes.u16_at(4) {
        _ if flags & EXTENDED == 0 => 4,
        Some(more) => usize::from(more).saturating_add(6),
        None => return NextHeader::CUT,
    };
    if flags & NO_LINK_LAYER == 0 {
        return skip_into(bytes, length, Layer::Ethernet);
    }
    match bytes.u32_le_at(length) {
        Some(family) => family_into(bytes, length.saturating_add(4), family),
        None => NextHeader::CUT,
    }
}

/// The Extensible Record Format of Endace's cards: time, kind, flags, lengths, perhaps more words, and the frame.
pub(super) fn endace(bytes: Bytes<'_>) -> NextHeader<'_> {
    const LINK_TYPE: u16 = 197;
    const HEADER: usize = 16;
    const WORD: usize = 8;
    const MORE: u8 = 0x80;
    let Some(kind) = bytes.data.get(8) else {
        return NextHeader::CUT;
    };
    let mut length = HEADER;
    let mut more = kind & MORE != 0;
    for _ in 0..MAX_WORDS {
        if !more {
            break;
        }
        let Some(word) = bytes.data.get(length) else {
            return NextHeader::CUT;
        };
        more = word & MORE != 0;
        length = length.saturating_add(WORD);
    }
    match kind & !MORE {
        // Two bytes of offset and padding, then Ethernet: plain, and with a colour or a hash.
        2 | 11 | 16 | 20 => skip_into(bytes, length.saturating_add(2), Layer::Ethernet),
        // The same for PPP and Cisco's HDLC over SONET.
        1 | 10 | 15 | 19 => hdlc(bytes, length),
        22 | 23 => skip_into(bytes, length, Layer::Ip),
        // Counters, what describes the card and its ports, and padding.
        13 | 14 | 27 | 48 => NextHeader::Other,
        // Cells, several channels, and other links.
        _ => NextHeader::Unsupported(Notice::LinkTypeNotSupported, LINK_TYPE),
    }
}

/// PPP, or Cisco's HDLC where its address octet says unicast or broadcast.
fn hdlc(bytes: Bytes<'_>, at: usize) -> NextHeader<'_> {
    match bytes.data.get(at) {
        Some(0x0f | 0x8f) => typed(bytes, at.saturating_add(2), at.saturating_add(4)),
        _ => skip_into(bytes, at, Layer::Ppp),
    }
}
