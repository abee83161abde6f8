//! Who answers for an address, and who cannot be reached: ARP (RFC 826), IPv6 neighbour advertisements (RFC 4861) and
//! ICMP destination unreachable (RFC 792, RFC 4443) in, a [`Neighbour`] out where TCP or a takeover is concerned.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{ArpHardwareId, ArpOperation, ArpPacketSlice, EtherType};
use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice};

use super::{Bytes, NextHeader, Walk};
use crate::net::{Endpoint, MacAddress, Neighbour};

const TCP: u8 = 6;

/// An ARP packet: its sender claims an address, whether it asks or answers.
pub(super) fn arp(bytes: Bytes<'_>) -> NextHeader<'_> {
    let Ok(packet) = ArpPacketSlice::from_slice(bytes.data) else {
        return NextHeader::CUT;
    };
    let ethernet = packet.hw_addr_type() == ArpHardwareId::ETHERNET;
    if !ethernet || packet.proto_addr_type() != EtherType::IPV4 {
        return NextHeader::Other;
    }
    let (Ok(mac), Ok(sender)) = (
        <[u8; 6]>::try_from(packet.sender_hw_addr()),
        <[u8; 4]>::try_from(packet.sender_protocol_addr()),
    ) else {
        return NextHeader::Other;
    };
    // A probe asks whether an address is free; it claims nothing (RFC 5227 §2.1.1).
    if sender == [0; 4] {
        return NextHeader::Other;
    }
    let to_itself = packet.target_protocol_addr() == sender;
    let to_all = packet.operation() == ArpOperation::REPLY && packet.target_hw_addr() == [0xff; 6];
    NextHeader::Neighbour(Neighbour::Claims {
        ip: IpAddr::V4(Ipv4Addr::from(sender)),
        mac: MacAddress(mac),
        unsolicited: to_itself || to_all,
    })
}

/// ICMP for IPv4.
pub(super) fn icmp(bytes: Bytes<'_>) -> NextHeader<'_> {
    match bytes.data {
        [3, code, ..] => bytes
            .skip(8)
            .and_then(embedded_v4)
            .map_or(NextHeader::Other, |flow| unreachable(flow, *code)),
        _ => NextHeader::Other,
    }
}

/// ICMP for IPv6.
pub(super) fn icmpv6<'a>(walk: &Walk<'_>, bytes: Bytes<'a>) -> NextHeader<'a> {
    match bytes.data {
        [1, code, ..] => bytes
            .skip(8)
            .and_then(embedded_v6)
            .map_or(NextHeader::Other, |flow| unreachable(flow, *code)),
        [136, 0, ..] => advertisement(walk, bytes).unwrap_or(NextHeader::Other),
        _ => NextHeader::Other,
    }
}

fn unreachable((source, destination): (Endpoint, Endpoint), code: u8) -> NextHeader<'static> {
    NextHeader::Neighbour(Neighbour::Unreachable {
        source,
        destination,
        code,
    })
}

/// Endpoints of the TCP segment that a message quotes.
fn embedded_v4(bytes: Bytes<'_>) -> Option<(Endpoint, Endpoint)> {
    let header = Ipv4HeaderSlice::from_slice(bytes.data).ok()?;
    let first = header.fragments_offset().value() == 0;
    if header.protocol().0 != TCP || !first {
        return None;
    }
    let ports = bytes.skip(header.slice().len())?;
    endpoints(
        IpAddr::V4(header.source_addr()),
        IpAddr::V4(header.destination_addr()),
        ports,
    )
}

fn embedded_v6(bytes: Bytes<'_>) -> Option<(Endpoint, Endpoint)> {
    let header = Ipv6HeaderSlice::from_slice(bytes.data).ok()?;
    if header.next_header().0 != TCP {
        return None;
    }
    let ports = bytes.skip(40)?;
    endpoints(
        IpAddr::V6(header.source_addr()),
        IpAddr::V6(header.destination_addr()),
        ports,
    )
}

fn endpoints(source: IpAddr, destination: IpAddr, ports: Bytes<'_>) -> Option<(Endpoint, Endpoint)> {
    Some((
        Endpoint {
            ip: source,
            port: ports.u16_at(0)?,
        },
        Endpoint {
            ip: destination,
            port: ports.u16_at(2)?,
        },
    ))
}

/// A neighbour advertisement (RFC 4861 §4.4) with the link-layer address it states, or that of its frame.
fn advertisement<'a>(walk: &Walk<'_>, bytes: Bytes<'a>) -> Option<NextHeader<'a>> {
    const SOLICITED: u8 = 0x40;
    let flags = *bytes.data.get(4)?;
    let target: [u8; 16] = *bytes.data.get(8..)?.first_chunk()?;
    let mac = target_address(bytes.data.get(24..)?).or(walk.mac)?;
    Some(NextHeader::Neighbour(Neighbour::Claims {
        ip: IpAddr::V6(Ipv6Addr::from(target)),
        mac,
        unsolicited: flags & SOLICITED == 0,
    }))
}

/// The target link-layer address option (RFC 4861 §4.6.1).
fn target_address(mut options: &[u8]) -> Option<MacAddress> {
    while let [kind, length, body @ ..] = options {
        if *length == 0 {
            return None;
        }
        if (*kind, *length) == (2, 1) {
            return body.first_chunk().copied().map(MacAddress);
        }
        options = options.get(usize::from(*length).saturating_mul(8)..)?;
    }
    None
}
