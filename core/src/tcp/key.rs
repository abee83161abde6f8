//! What connections are told apart by: both ends in a fixed order, and another address that answers for one of them.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr};

use crate::net::Endpoint;

/// Both ends in a fixed order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FlowKey {
    /// Of IPv4, address and port of each end in one number: two comparisons tell connections apart.
    V4 { low: u64, high: u64 },
    /// Of IPv6, the two ports in one number.
    V6 { low: [u64; 2], high: [u64; 2], ports: u32 },
}

/// In as few steps as may be: each connection is looked up half a dozen times. Which kind of key it is makes no difference.
impl Hash for FlowKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        match *self {
            Self::V4 { low, high } => state.write_u128(u128::from(low) << 64 | u128::from(high)),
            Self::V6 { low, high, ports } => {
                low.into_iter().chain(high).for_each(|half| state.write_u64(half));
                state.write_u32(ports);
            }
        }
    }
}

impl FlowKey {
    /// The key of a segment, and whether its sender is the lower end.
    #[inline]
    pub(super) fn of(a: Endpoint, b: Endpoint) -> (Self, bool) {
        let (IpAddr::V4(ip_a), IpAddr::V4(ip_b)) = (a.ip, b.ip) else {
            return Self::of_v6(a, b);
        };
        let end = |ip: Ipv4Addr, port: u16| u64::from(ip.to_bits()) << 16 | u64::from(port);
        let (a, b) = (end(ip_a, a.port), end(ip_b, b.port));
        let from_low = a <= b;
        let (low, high) = if from_low { (a, b) } else { (b, a) };
        (Self::V4 { low, high }, from_low)
    }

    fn of_v6(a: Endpoint, b: Endpoint) -> (Self, bool) {
        let (ip_a, ip_b) = (pack(a.ip), pack(b.ip));
        let from_low = (ip_a, a.port) <= (ip_b, b.port);
        let (low, high, first, second) = if from_low {
            (ip_a, ip_b, a.port, b.port)
        } else {
            (ip_b, ip_a, b.port, a.port)
        };
        let ports = u32::from(first) << 16 | u32::from(second);
        let (low, high) = (halves(low), halves(high));
        (Self::V6 { low, high, ports }, from_low)
    }

    /// A number that is cheap to have. Whoever makes two keys meet in it gains nothing: the keys themselves are compared.
    #[inline]
    pub(super) const fn mix(&self) -> u64 {
        let ends = match *self {
            Self::V4 { low, high } => low ^ high.rotate_left(32),
            Self::V6 { low, high, ports } => {
                let ([low, low_end], [high, high_end]) = (low, high);
                let (low, high) = (low ^ low_end, high ^ high_end);
                low ^ high.rotate_left(32) ^ (ports as u64).rotate_left(13)
            }
        };
        ends.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// Where the answers of a connection come from when that is not where its client sent them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Alias {
    pub(super) id: u32,
    /// Whether the client is the lower end of the alias's key.
    pub(super) client_is_low: bool,
}

/// In two numbers: one of 128 bits would be aligned, and each key by a fifth larger.
#[allow(clippy::cast_possible_truncation)] // upper and lower half
const fn halves(ip: u128) -> [u64; 2] {
    [(ip >> 64) as u64, ip as u64]
}

pub(super) fn pack(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => 0xffff_0000_0000 | u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}
