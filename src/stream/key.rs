//! What connections are told apart by: both ends in a fixed order, and another address that answers for one of them.

use std::net::IpAddr;

use crate::net::Endpoint;

/// Both ends in a fixed order. IPv4 addresses are kept as mapped IPv6 ones: one comparison for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) low: u128,
    pub(super) high: u128,
    pub(super) ports: u32,
}

impl Key {
    /// The key of a segment, and whether its sender is the lower end.
    pub(super) fn of(a: Endpoint, b: Endpoint) -> (Self, bool) {
        let (ip_a, ip_b) = (pack(a.ip), pack(b.ip));
        let ports = |low: u16, high: u16| u32::from(low) << 16 | u32::from(high);
        if (ip_a, a.port) <= (ip_b, b.port) {
            (
                Self {
                    low: ip_a,
                    high: ip_b,
                    ports: ports(a.port, b.port),
                },
                true,
            )
        } else {
            (
                Self {
                    low: ip_b,
                    high: ip_a,
                    ports: ports(b.port, a.port),
                },
                false,
            )
        }
    }

    /// A number that is cheap to have. Whoever makes two keys meet in it gains nothing: the keys themselves are compared.
    #[allow(clippy::cast_possible_truncation)] // upper and lower half
    pub(super) fn mix(&self) -> u64 {
        let half = |ip: u128| (ip >> 64) as u64 ^ ip as u64;
        let ends = half(self.low) ^ half(self.high).rotate_left(32) ^ u64::from(self.ports).rotate_left(13);
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

pub(super) fn pack(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => 0xffff_0000_0000 | u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}
