//! Frames of Linux's netfilter log (`LINKTYPE_NFLOG`): a family, then attributes in the byte order of whoever captured,
//! one of which is the packet.

use super::{Bytes, Layer, NextHeader};
use crate::net::{LinkType, Notice};

/// Attributes of a frame that are looked at; the kernel knows some twenty.
const MAX_ATTRIBUTES: usize = 32;

/// Takes the packet out of a log entry.
pub(super) fn log(bytes: Bytes<'_>) -> NextHeader<'_> {
    const IPV4: u8 = 2;
    const IPV6: u8 = 10;
    let [family, version, _, _, attributes @ ..] = bytes.data else {
        return NextHeader::CUT;
    };
    // What a bridge or ARP table logs begins with other headers.
    if *version != 0 || !matches!(*family, IPV4 | IPV6) {
        return NextHeader::Unsupported(Notice::LinkTypeNotSupported, LinkType::NFLOG.0);
    }
    // Nothing says in which order of bytes the lengths are. Read in the wrong one, the first is 256 or more and its kind is
    // unknown.
    let packet = [u16::from_le_bytes, u16::from_be_bytes]
        .into_iter()
        .find_map(|order| payload(attributes, order));
    match packet {
        Some((start, length)) => bytes.skip(start.saturating_add(4)).map_or(NextHeader::CUT, |rest| {
            NextHeader::Into(Layer::Ip, rest.of_length(length))
        }),
        None if attributes.len() < bytes.wire.saturating_sub(4) => NextHeader::CUT,
        None => NextHeader::MALFORMED,
    }
}

/// Where the packet begins among the attributes, and its length.
fn payload(attributes: &[u8], order: fn([u8; 2]) -> u16) -> Option<(usize, usize)> {
    const HEADER: usize = 4;
    const PAYLOAD: u16 = 9;
    const LAST_KNOWN: u16 = 31;
    /// Two bits tell how the attribute is written.
    const KIND: u16 = 0x3fff;
    let mut at = 0_usize;
    for _ in 0..MAX_ATTRIBUTES {
        let [l0, l1, k0, k1] = *attributes.get(at..)?.first_chunk::<HEADER>()?;
        let (length, kind) = (usize::from(order([l0, l1])), order([k0, k1]) & KIND);
        if kind > LAST_KNOWN {
            return None;
        }
        let value = length.checked_sub(HEADER)?;
        if kind == PAYLOAD {
            return Some((at.checked_add(HEADER)?, value));
        }
        at = at.checked_add(length.next_multiple_of(4))?;
    }
    None
}
