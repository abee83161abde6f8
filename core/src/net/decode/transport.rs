//! TCP (RFC 9293) and UDP (RFC 768): the payload of an IP packet in, a segment or datagram out, or what a UDP tunnel
//! carries.

use etherparse::err::tcp::HeaderSliceError as TcpError;
use etherparse::{TcpSlice, UdpHeaderSlice};

use super::ip::Ip;
use super::{Bytes, NextHeader, Walk, overlay, tunnel};
use crate::net::{
    Datagram, Decoded, Endpoint, MacAddress, Notice, Path, Segment, SeqNumber, TcpFlags, TcpOptions, Wrapping,
};

/// A TCP segment.
#[inline]
pub(super) fn segment<'a>(ip: &Ip, bytes: Bytes<'a>, mac: Option<MacAddress>, outer: &'a [Wrapping]) -> Decoded<'a> {
    let length = match TcpSlice::from_slice(bytes.data) {
        Ok(header) => header.header_slice().len(),
        Err(TcpError::Content(_)) => return Decoded::Skipped(Notice::HeaderMalformed),
        // etherparse refuses a header whose options were cut; ports, numbers and flags are there all the same.
        Err(TcpError::Len(_)) => match bytes.data.get(12) {
            Some(offset) if bytes.data.len() >= 20 => usize::from(offset >> 4).saturating_mul(4),
            _ => return Decoded::Skipped(Notice::HeaderCut),
        },
    };
    if bytes.wire < length {
        return Decoded::Skipped(Notice::HeaderMalformed);
    }
    let Some((header, options)) = bytes.data.split_first_chunk::<20>() else {
        return Decoded::Skipped(Notice::HeaderCut);
    };
    let [s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, _, flags, w0, w1, ..] = *header;
    let (options, payload) = options
        .split_at_checked(length.saturating_sub(20))
        .unwrap_or((options, &[]));
    let cut = bytes.wire.saturating_sub(length).saturating_sub(payload.len());
    Decoded::Segment(Segment {
        path: Path {
            source_mac: mac,
            ttl: ip.ttl,
            ip_id: ip.id,
            outer,
        },
        source: Endpoint {
            ip: ip.source,
            port: u16::from_be_bytes([s0, s1]),
        },
        destination: Endpoint {
            ip: ip.destination,
            port: u16::from_be_bytes([d0, d1]),
        },
        seq: SeqNumber(u32::from_be_bytes([q0, q1, q2, q3])),
        ack: SeqNumber(u32::from_be_bytes([a0, a1, a2, a3])),
        flags: TcpFlags(flags),
        window: u16::from_be_bytes([w0, w1]),
        options: TcpOptions(options),
        payload,
        cut: u32::try_from(cut).unwrap_or(u32::MAX),
    })
}

/// A UDP datagram.
pub(super) fn datagram<'a>(ip: &Ip, bytes: Bytes<'a>, mac: Option<MacAddress>, outer: &'a [Wrapping]) -> Decoded<'a> {
    let Some((header, payload)) = split_udp(bytes) else {
        return Decoded::Skipped(Notice::HeaderCut);
    };
    Decoded::Datagram(Datagram {
        path: Path {
            source_mac: mac,
            ttl: ip.ttl,
            ip_id: ip.id,
            outer,
        },
        source: Endpoint {
            ip: ip.source,
            port: header.source_port(),
        },
        destination: Endpoint {
            ip: ip.destination,
            port: header.destination_port(),
        },
        payload: payload.data,
        cut: u32::try_from(payload.wire.saturating_sub(payload.data.len())).unwrap_or(u32::MAX),
    })
}

/// What a UDP datagram carries if it is a tunnel's, else the datagram itself.
pub(super) fn udp<'a>(walk: &mut Walk<'_>, ip: Ip, bytes: Bytes<'a>) -> NextHeader<'a> {
    let Some((header, payload)) = split_udp(bytes) else {
        return NextHeader::CUT;
    };
    let (source, destination) = (header.source_port(), header.destination_port());
    tunnel::in_udp(walk, destination, payload)
        .or_else(|| overlay::in_udp(walk, source, destination, payload))
        .unwrap_or(NextHeader::Udp(ip, bytes))
}

fn split_udp(bytes: Bytes<'_>) -> Option<(UdpHeaderSlice<'_>, Bytes<'_>)> {
    let header = UdpHeaderSlice::from_slice(bytes.data).ok()?;
    let payload = bytes.skip(8)?;
    // Zero: segmentation offload, or a jumbogram (RFC 2675 §4).
    let payload = match usize::from(header.length()).checked_sub(8) {
        Some(length) => payload.of_length(length),
        None => payload,
    };
    Some((header, payload))
}
