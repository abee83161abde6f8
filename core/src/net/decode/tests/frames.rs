//! Frames made header by header, inside out: each function puts a header before its payload.

use std::net::{Ipv4Addr, Ipv6Addr};

pub(super) const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub(super) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
pub(super) const CLIENT6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
pub(super) const SERVER6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);
pub(super) const MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];
/// NOP NOP TS with the values 1 and 2.
pub(super) const OPTIONS: [u8; 12] = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];

pub(super) fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

pub(super) fn be16(value: usize) -> [u8; 2] {
    u16::try_from(value).expect("16 bits").to_be_bytes()
}

/// From port 40000 to 443, PSH and ACK, with time stamps.
pub(super) fn tcp(payload: &[u8]) -> Vec<u8> {
    let ports = [40_000_u16.to_be_bytes(), 443_u16.to_be_bytes()].concat();
    let numbers = [1000_u32.to_be_bytes(), 2000_u32.to_be_bytes()].concat();
    join(&[&ports, &numbers, &[0x80, 0x18, 1, 2, 0, 0, 0, 0], &OPTIONS, payload])
}

pub(super) fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let length = be16(8 + payload.len());
    join(&[&5000_u16.to_be_bytes(), &port.to_be_bytes(), &length, &[0, 0], payload])
}

pub(super) fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_part(protocol, 77, 0, payload)
}

/// `part`: the flag "more fragments" and the offset in units of eight bytes.
pub(super) fn ipv4_part(protocol: u8, id: u16, part: u16, payload: &[u8]) -> Vec<u8> {
    let total = be16(20 + payload.len());
    let start = join(&[&[0x45, 0], &total, &id.to_be_bytes(), &part.to_be_bytes()]);
    join(&[
        &start,
        &[61, protocol, 0, 0],
        &CLIENT.octets(),
        &SERVER.octets(),
        payload,
    ])
}

pub(super) fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let length = be16(payload.len());
    let start = join(&[&[0x60, 0, 0, 0], &length, &[next, 59]]);
    join(&[&start, &CLIENT6.octets(), &SERVER6.octets(), payload])
}

pub(super) fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    join(&[&[2, 0, 0, 0, 0, 9], &MAC, &kind.to_be_bytes(), payload])
}

pub(super) fn vlan(id: u16, kind: u16, payload: &[u8]) -> Vec<u8> {
    join(&[&id.to_be_bytes(), &kind.to_be_bytes(), payload])
}

pub(super) fn mpls(label: u32, last: bool, payload: &[u8]) -> Vec<u8> {
    let entry = (label << 12) | (u32::from(last) << 8) | 64;
    join(&[&entry.to_be_bytes(), payload])
}

pub(super) fn pppoe(payload: &[u8]) -> Vec<u8> {
    join(&[&[0x11, 0, 0x12, 0x34], &be16(payload.len()), payload])
}

/// `fields`: what the flags announce.
pub(super) fn gre(flags: u16, kind: u16, fields: &[u8], payload: &[u8]) -> Vec<u8> {
    join(&[&flags.to_be_bytes(), &kind.to_be_bytes(), fields, payload])
}

pub(super) fn vxlan(payload: &[u8]) -> Vec<u8> {
    join(&[&[8, 0, 0, 0, 0, 0, 42, 0], payload])
}

pub(super) fn arp(operation: u8, sender: [u8; 4], target_mac: [u8; 6], target: [u8; 4]) -> Vec<u8> {
    let start = [0, 1, 8, 0, 6, 4, 0, operation];
    join(&[&start, &MAC, &sender, &target_mac, &target])
}

/// Fragments of an IPv4 payload, cut every `size` bytes.
pub(super) fn fragments4(protocol: u8, id: u16, size: usize, payload: &[u8]) -> Vec<Vec<u8>> {
    let count = payload.len().div_ceil(size);
    let parts = payload.chunks(size).zip(1..).zip((0_u16..).step_by(size / 8));
    parts
        .map(|((part, number), offset)| {
            let more = if number < count { 0x2000 } else { 0 };
            ipv4_part(protocol, id, more | offset, part)
        })
        .collect()
}

/// Fragments of a TCP segment over IPv6, cut every `size` bytes.
pub(super) fn fragments6(size: usize, payload: &[u8]) -> Vec<Vec<u8>> {
    let count = payload.len().div_ceil(size);
    let parts = payload.chunks(size).zip(1..).zip((0_u16..).step_by(size));
    parts
        .map(|((part, number), offset)| {
            let place = (offset | u16::from(number < count)).to_be_bytes();
            ipv6(44, &join(&[&[6, 0], &place, &[0, 0, 0, 99], part]))
        })
        .collect()
}
