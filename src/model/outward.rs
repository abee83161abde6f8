//! Whether a capture looks outward: a few clients, and the many servers of other people that they visit.

use std::collections::HashSet;
use std::net::IpAddr;

use super::Report;

/// Clients that one machine or one home has.
const MAX_CLIENTS: usize = 4;
/// Servers at which one who browses has been, and nobody runs all of.
const MIN_SERVERS: usize = 8;

impl Report<'_> {
    /// Whether the capture was taken beside a client that visits servers of others: whoever reads the report cannot change
    /// how those are set up. A proxy in front of its own servers, at private addresses, does not look outward.
    #[must_use]
    pub fn looks_outward(&self) -> bool {
        let (mut clients, mut servers) = (HashSet::new(), HashSet::new());
        for (_, connection) in self.engine.connection_store().iter() {
            clients.insert(connection.client_address());
            if clients.len() > MAX_CLIENTS {
                return false;
            }
            if is_public(connection.server.ip) {
                servers.insert(connection.server.ip);
            }
        }
        servers.len() >= MIN_SERVERS
    }
}

fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(ip) => {
            // 100.64.0.0/10 is shared address space (RFC 6598).
            let [first, second, ..] = ip.octets();
            let shared = first == 100 && second & 0xc0 == 64;
            !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || shared)
        }
        IpAddr::V6(ip) => !(ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_people_give_their_own_machines_are_not_public() {
        let public = |text: &str| is_public(text.parse().expect("an address"));
        for own in [
            "10.1.2.3",
            "172.20.0.1",
            "192.168.1.1",
            "100.64.0.9",
            "127.0.0.1",
            "fd00::1",
            "fe80::1",
            "::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!public(own), "{own}");
        }
        for other in ["93.184.216.34", "100.128.0.1", "2606:2800::1"] {
            assert!(public(other), "{other}");
        }
    }
}
