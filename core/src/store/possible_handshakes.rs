//! TCP connections that may have been handshakes, which nothing in the capture shows.

use std::net::IpAddr;

use hashbrown::HashMap;

use crate::net::{Endpoint, FrameRef, Timestamp};

/// Pairs of a client and a server of which the first such connection is known.
const MAX_PAIRS: usize = 1 << 12;

/// When a connection began, and where in the capture.
type Beginning = (Timestamp, FrameRef);

/// When the first connection of each client to each server began that lacks bytes, and of which nothing
/// shows whether it was TLS: its handshake may be what is missing.
#[derive(Debug, Clone, Default)]
pub struct PossibleHandshakes {
    firsts: HashMap<(IpAddr, Endpoint), Beginning>,
    /// That of pairs beyond the limit: whoever they are.
    beyond: Option<Beginning>,
}

impl PossibleHandshakes {
    /// There was one.
    pub fn note(&mut self, client: IpAddr, server: Endpoint, began: Beginning) {
        let pair = (client, server);
        let first = if self.firsts.len() < MAX_PAIRS || self.firsts.contains_key(&pair) {
            self.firsts.entry(pair).or_insert(began)
        } else {
            self.beyond.get_or_insert(began)
        };
        *first = began.min(*first);
    }

    /// Whether there was none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.firsts.is_empty()
    }

    /// When the first one may have begun between these two.
    #[must_use]
    pub fn first(&self, client: IpAddr, server: Endpoint) -> Option<Beginning> {
        let known = self.firsts.get(&(client, server)).copied();
        known.into_iter().chain(self.beyond).min()
    }

    /// Changes what names hosts.
    pub fn rename(&mut self, mut change: impl FnMut(IpAddr) -> IpAddr) {
        for ((client, server), began) in std::mem::take(&mut self.firsts) {
            let ip = change(server.ip);
            self.note(change(client), Endpoint { ip, ..server }, began);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: Endpoint = Endpoint {
        ip: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
        port: 443,
    };

    fn client(number: usize) -> IpAddr {
        let [.., high, low] = number.to_be_bytes();
        [10, 0, high, low].into()
    }

    fn at(frame: u64) -> Beginning {
        (Timestamp::from_nanos(0), FrameRef::new(0, frame))
    }

    #[test]
    fn of_each_client_at_each_server_the_first_is_known() {
        let mut possible = PossibleHandshakes::default();
        assert!(possible.is_empty());
        for frame in [7, 5, 9] {
            possible.note(client(1), SERVER, at(frame));
        }
        assert!(!possible.is_empty());
        assert_eq!(possible.first(client(1), SERVER), Some(at(5)));
        assert_eq!(possible.first(client(2), SERVER), None);
        assert_eq!(possible.first(client(1), Endpoint { port: 993, ..SERVER }), None);
        possible.rename(|ip| if ip == client(1) { client(2) } else { ip });
        assert_eq!(possible.first(client(2), SERVER), Some(at(5)));
        assert_eq!(possible.first(client(1), SERVER), None);
    }

    #[test]
    fn beyond_the_limit_it_may_have_been_anybody() {
        let mut possible = PossibleHandshakes::default();
        for number in 0..MAX_PAIRS {
            possible.note(client(number), SERVER, at(9));
        }
        let stranger = client(MAX_PAIRS + 1);
        assert_eq!(possible.first(stranger, SERVER), None);
        possible.note(client(MAX_PAIRS), SERVER, at(7));
        possible.note(client(0), SERVER, at(8));
        assert_eq!(possible.first(stranger, SERVER), Some(at(7)));
        assert_eq!(possible.first(client(1), SERVER), Some(at(7)));
        assert_eq!(possible.firsts.len(), MAX_PAIRS);
    }
}
