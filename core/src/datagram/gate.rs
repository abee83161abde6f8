//! Lets datagrams in that QUIC or DTLS may have sent. Everything else (DNS, RTP, STUN, tunnels) is passed by after a few
//! bytes were compared and, only where QUIC or DTLS was seen before, one address was looked up.

use hashbrown::HashSet;

use super::kind::{
    FirstByte, QUIC_V1, QUIC_V2, SMALLEST_FIRST_DATAGRAM, dtls_record, is_version_negotiation, long_header_version,
};
use crate::net::{Datagram, Endpoint};

/// Who reads a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// QUIC.
    Quic,
    /// DTLS.
    Dtls,
}

/// Tells datagrams of QUIC and DTLS from the others, by their bytes and by endpoints that spoke one of the two before.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    quic: RecentEndpoints,
    dtls: RecentEndpoints,
}

impl Gate {
    /// Who reads this datagram, if anybody does.
    #[inline]
    pub fn admit(&mut self, datagram: &Datagram<'_>) -> Option<Protocol> {
        let first = FirstByte::of(*datagram.payload.first()?);
        match first {
            FirstByte::QuicLong | FirstByte::RtpOrQuic if self.long_header(datagram, first) => Some(Protocol::Quic),
            FirstByte::Dtls if self.dtls_header(datagram) => Some(Protocol::Dtls),
            _ => self.known(datagram, first),
        }
    }

    fn long_header(&mut self, datagram: &Datagram<'_>, first: FirstByte) -> bool {
        let payload = datagram.payload;
        let fills = payload.len() + datagram.cut as usize >= SMALLEST_FIRST_DATAGRAM;
        match long_header_version(payload) {
            Some(QUIC_V1 | QUIC_V2) if fills => {
                self.quic.insert(datagram.destination);
                true
            }
            Some(QUIC_V1 | QUIC_V2) => true,
            Some(0) => is_version_negotiation(payload),
            // Of an unknown version: told only once a Version Negotiation packet answers it. RTP may look the same but
            // for the fixed bit.
            Some(_) => fills && first == FirstByte::QuicLong,
            None => false,
        }
    }

    fn dtls_header(&mut self, datagram: &Datagram<'_>) -> bool {
        let Some((content_type, epoch)) = dtls_record(datagram.payload) else {
            return false;
        };
        if (content_type, epoch) == (22, 0) {
            let server = match datagram.payload.get(13) {
                Some(1) => datagram.destination,
                _ => datagram.source,
            };
            self.dtls.insert(server);
        }
        true
    }

    /// Headers without a version: only between endpoints one of which has shown one.
    fn known(&mut self, datagram: &Datagram<'_>, first: FirstByte) -> Option<Protocol> {
        let ends = [datagram.destination, datagram.source];
        if first == FirstByte::Dtls && self.dtls.contain_any(ends) {
            return Some(Protocol::Dtls);
        }
        self.quic.contain_any(ends).then_some(Protocol::Quic)
    }
}

/// Endpoints seen lately. Two generations: when the younger one is full the elder is forgotten, so that nobody can fill
/// it for good and those in use stay.
#[derive(Debug, Clone, Default)]
struct RecentEndpoints {
    young: HashSet<Endpoint>,
    old: HashSet<Endpoint>,
}

impl RecentEndpoints {
    /// Endpoints of a generation: more servers than a capture of a busy edge has.
    const GENERATION: usize = 1 << 15;

    fn insert(&mut self, endpoint: Endpoint) {
        if self.young.len() >= Self::GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(endpoint);
    }

    fn contain_any(&mut self, ends: [Endpoint; 2]) -> bool {
        if self.young.is_empty() && self.old.is_empty() {
            return false;
        }
        if ends.iter().any(|end| self.young.contains(end)) {
            return true;
        }
        let Some(end) = ends.into_iter().find(|end| self.old.contains(end)) else {
            return false;
        };
        self.insert(end);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Path;

    fn endpoint(port: u16) -> Endpoint {
        Endpoint {
            ip: [192, 0, 2, 1].into(),
            port,
        }
    }

    fn datagram(from: u16, to: u16, payload: &[u8]) -> Datagram<'_> {
        Datagram {
            path: Path {
                source_mac: None,
                ttl: 64,
                ip_id: None,
                outer: &[],
            },
            source: endpoint(from),
            destination: endpoint(to),
            payload,
            cut: 0,
        }
    }

    fn initial(version: u32, length: usize) -> Vec<u8> {
        let mut payload = vec![0xc0];
        payload.extend(version.to_be_bytes());
        payload.resize(length, 0);
        payload
    }

    #[test]
    fn short_headers_pass_only_where_an_initial_went_before() {
        let mut gate = Gate::default();
        let short = [0x41; 40];
        assert_eq!(gate.admit(&datagram(9, 443, &short)), None);
        assert_eq!(gate.admit(&datagram(9, 443, &initial(1, 1200))), Some(Protocol::Quic));
        assert_eq!(gate.admit(&datagram(9, 443, &short)), Some(Protocol::Quic));
        assert_eq!(gate.admit(&datagram(443, 10, &short)), Some(Protocol::Quic));
        assert_eq!(gate.admit(&datagram(9, 444, &short)), None);
    }

    #[test]
    fn long_headers_of_unknown_versions_pass_only_in_full_datagrams() {
        let mut gate = Gate::default();
        let unknown = 0x1a2a_3a4a;
        assert_eq!(gate.admit(&datagram(9, 443, &initial(unknown, 1199))), None);
        assert_eq!(
            gate.admit(&datagram(9, 443, &initial(unknown, 1200))),
            Some(Protocol::Quic)
        );
        // Nothing else of that endpoint does.
        assert_eq!(gate.admit(&datagram(9, 443, &[0x41; 40])), None);
        let mut rtp = initial(unknown, 1200);
        rtp[0] = 0x80;
        assert_eq!(gate.admit(&datagram(9, 443, &rtp)), None);
    }

    #[test]
    fn unified_headers_of_dtls_pass_only_where_a_handshake_was() {
        let mut gate = Gate::default();
        let unified = [0x2f; 40];
        assert_eq!(gate.admit(&datagram(9, 4433, &unified)), None);
        let hello = [22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1];
        assert_eq!(gate.admit(&datagram(9, 4433, &hello)), Some(Protocol::Dtls));
        assert_eq!(gate.admit(&datagram(4433, 9, &unified)), Some(Protocol::Dtls));
        // SRTP and STUN share the ports of DTLS and are not it.
        assert_eq!(gate.admit(&datagram(4433, 9, &[0x80; 40])), None);
        assert_eq!(gate.admit(&datagram(4433, 9, &[0, 1, 0, 0])), None);
    }

    #[test]
    fn endpoints_in_use_outlive_a_flood_of_others() {
        let mut endpoints = RecentEndpoints::default();
        let mine = endpoint(443);
        endpoints.insert(mine);
        for number in 0..3 * RecentEndpoints::GENERATION {
            let [_, _, a, b] = u32::try_from(number).unwrap_or_default().to_be_bytes();
            let [c, _] = u16::try_from(number >> 16).unwrap_or_default().to_le_bytes();
            endpoints.insert(Endpoint {
                ip: [10, c, a, b].into(),
                port: 1,
            });
            assert!(endpoints.young.len() <= RecentEndpoints::GENERATION);
            if number % 1000 == 0 {
                assert!(endpoints.contain_any([mine, mine]));
            }
        }
    }

    #[test]
    fn what_the_snap_length_took_counts_as_sent() {
        let mut gate = Gate::default();
        let unknown = initial(0x1a2a_3a4a, 200);
        let cut = |cut| Datagram {
            cut,
            ..datagram(9, 443, &unknown)
        };
        assert_eq!(gate.admit(&cut(999)), None);
        assert_eq!(gate.admit(&cut(1000)), Some(Protocol::Quic));
    }

    #[test]
    fn an_initial_that_does_not_fill_its_datagram_makes_no_endpoint_known() {
        let mut gate = Gate::default();
        assert_eq!(gate.admit(&datagram(9, 443, &initial(1, 100))), Some(Protocol::Quic));
        assert_eq!(gate.admit(&datagram(9, 443, &[0x41; 40])), None);
    }

    #[test]
    fn of_a_hello_of_dtls_the_server_is_remembered_and_not_its_client() {
        let hello = |kind| [22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, kind];
        let unified = [0x2f; 40];
        for (kind, from, to) in [(1, 9, 4433), (2, 4433, 9)] {
            let mut gate = Gate::default();
            assert_eq!(gate.admit(&datagram(from, to, &hello(kind))), Some(Protocol::Dtls));
            assert_eq!(gate.admit(&datagram(10, 4433, &unified)), Some(Protocol::Dtls));
            assert_eq!(gate.admit(&datagram(9, 4434, &unified)), None, "{kind}");
        }
    }
}
