//! Other names for hosts: IP addresses, link-layer addresses, server names.

use std::net::{IpAddr, Ipv6Addr};

use super::prf::Prf;
use reshake_core::net::MacAddress;

/// Another address: one of 2001:db8::/64, inside the range for documentation (RFC 3849), which no host has.
///
/// IPv4 becomes IPv6 on purpose. The IPv4 ranges for documentation hold 768 addresses, and all of 240.0.0.0/4 so few
/// that two of a thousand clients may fall on one, which would change verdicts; here two of a million clients share an
/// address once in 30 million runs. Whether an address was private, and of which family, does not show either.
pub(super) fn address(prf: &Prf, ip: IpAddr) -> IpAddr {
    let drawn = match ip {
        IpAddr::V4(ip) => prf.draw("address", &[&ip.octets()]),
        IpAddr::V6(ip) => prf.draw("address", &[&ip.octets()]),
    };
    let host = drawn.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    let network = u128::from(0x2001_0db8_u32) << 96;
    IpAddr::V6(Ipv6Addr::from_bits(network | u128::from(host)))
}

/// Another link-layer address: unicast and locally administered (IEEE 802), so that no maker shows.
pub(super) fn mac(prf: &Prf, mac: MacAddress) -> MacAddress {
    let mut other = [0x02; 6];
    let drawn = prf.draw("mac", &[&mac.0]);
    other.iter_mut().skip(1).zip(drawn).for_each(|(to, from)| *to = from);
    MacAddress(other)
}

/// Characters of a drawn name: 60 bits.
const LETTERS: usize = 12;

/// Another server name, `host-7k2m….invalid` (RFC 6761 §6.4: such a name never exists). Names that differ in case alone
/// still do: they are the same host and not the same service.
pub(super) fn name(prf: &Prf, name: &str) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let lower = name.to_ascii_lowercase();
    let drawn = prf.draw("name", &[lower.as_bytes()]);
    let letters = drawn
        .iter()
        .take(LETTERS)
        .filter_map(|byte| ALPHABET.get(usize::from(byte & 31)));
    let letters: String = letters.map(|letter| char::from(*letter)).collect();
    let alias = format!("host-{letters}.invalid");
    if lower == name {
        return alias;
    }
    let case = prf.draw("case", &[name.as_bytes()]);
    let bits = case.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1));
    let letters = alias.chars().zip(bits).enumerate();
    letters
        .map(|(place, (letter, upper))| {
            if upper || place == 0 {
                letter.to_ascii_uppercase()
            } else {
                letter
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_addresses_for_documentation_and_tell_neither_family_nor_range() {
        let prf = Prf::testing(1);
        let other = |ip: &str| address(&prf, ip.parse().expect("an address"));
        for ip in ["10.0.0.1", "203.0.113.9", "::1", "fe80::1", "2a00::1"] {
            let shown = other(ip).to_string();
            assert!(
                shown.starts_with("2001:db8::") || shown.starts_with("2001:db8:0:"),
                "{shown}"
            );
            assert_eq!(other(ip), other(ip));
        }
        assert_ne!(other("10.0.0.1"), other("10.0.0.2"));
        assert_ne!(
            other("10.0.0.1"),
            address(&Prf::testing(2), "10.0.0.1".parse().expect("an address"))
        );
    }

    #[test]
    fn link_layer_addresses_are_local_unicast() {
        let MacAddress([first, ..]) = mac(&Prf::testing(1), MacAddress([0x01, 0, 0x5e, 0, 0, 1]));
        assert_eq!(first, 2);
    }

    #[test]
    fn names_that_differ_in_case_alone_still_do() {
        let prf = Prf::testing(1);
        let [small, large, mixed, other] = [
            "www.example.test",
            "WWW.EXAMPLE.TEST",
            "www.Example.test",
            "mail.example.test",
        ]
        .map(|it| name(&prf, it));
        assert!(
            small.starts_with("host-") && small.ends_with(".invalid") && small.len() == 25,
            "{small}"
        );
        assert!(
            small != large && large != mixed && mixed != small,
            "{small} {large} {mixed}"
        );
        assert!(small.eq_ignore_ascii_case(&large) && small.eq_ignore_ascii_case(&mixed));
        assert!(!small.eq_ignore_ascii_case(&other));
    }
}
