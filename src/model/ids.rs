//! Identifiers made of content, so that they do not move with options, order or the number of inputs.

use std::net::IpAddr;

use sha1::Sha1;
use sha2::{Digest, Sha256};

use reshake_core::net::{Endpoint, hex};
use reshake_core::session::{Connection, Credential, Mechanism, Service, TransportKind};

/// `c` and 10 hex digits of a hash over first-packet time, endpoints and the client's initial sequence number.
#[must_use]
pub fn connection_id(connection: &Connection) -> String {
    let mut hash = Sha256::new();
    hash.update(connection.transport.started.nanos().to_be_bytes());
    write_endpoint(&mut hash, connection.client);
    write_endpoint(&mut hash, connection.server);
    if let Some(isn) = connection.transport.client_isn {
        hash.update(isn.0.to_be_bytes());
    }
    // Several connections may begin on one pair of ports at once, and one datagram may bear the beginning of two.
    if let (TransportKind::Quic | TransportKind::Dtls, Some(hello)) =
        (connection.transport.kind(), connection.hello.yes())
    {
        hash.update(hello.random);
    }
    prefixed('c', &hash.finalize())
}

/// Longest session ID (RFC 5246 §7.4.1.2).
const MAX_SESSION_ID: u32 = 32;

/// `k` and 10 hex digits of the credential's SHA-256. The same bytes may be a session ID or a ticket of TLS 1.2 and,
/// elsewhere, the identity of a PSK: the second and third kind are hashed with what they are used as, so that every
/// credential has an id of its own.
#[must_use]
pub fn credential_id(credential: &Credential) -> String {
    let used_as: &[u8] = match credential.mechanism {
        Mechanism::SessionId => b"",
        Mechanism::Ticket if credential.name.length > MAX_SESSION_ID => b"",
        Mechanism::Ticket => b"ticket",
        Mechanism::Psk => b"psk",
    };
    if used_as.is_empty() {
        return prefixed('k', &credential.name.sha256);
    }
    let mut hash = Sha256::new();
    hash.update(credential.name.sha256);
    hash.update(used_as);
    prefixed('k', &hash.finalize())
}

/// `s` and 10 hex digits of a hash over the server endpoint, name and transport.
#[must_use]
pub fn service_id(service: &Service) -> String {
    let mut hash = Sha256::new();
    write_endpoint(&mut hash, service.server);
    if let Some(name) = &service.name {
        hash.update([1]);
        hash.update(name.as_bytes());
    }
    // The ids of services over TCP stay what they were before there were others. No server name has a zero in it.
    if service.transport != TransportKind::Tcp {
        hash.update([0]);
        hash.update(service.transport.code().as_bytes());
    }
    prefixed('s', &hash.finalize())
}

fn write_endpoint(hash: &mut Sha256, endpoint: Endpoint) {
    match endpoint.ip {
        IpAddr::V4(ip) => hash.update(ip.octets()),
        IpAddr::V6(ip) => hash.update(ip.octets()),
    }
    hash.update(endpoint.port.to_be_bytes());
}

fn prefixed(kind: char, digest: &[u8]) -> String {
    format!("{kind}{}", hex(digest.get(..5).unwrap_or_default()))
}

/// Community ID version 1 with seed 0: the identifier that Zeek, Suricata and Arkime give the same connection.
#[must_use]
pub fn community_id(transport: TransportKind, a: Endpoint, b: Endpoint) -> String {
    // Numbers of IP: TCP and UDP.
    let protocol: u8 = if transport == TransportKind::Tcp { 6 } else { 17 };
    let octets = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let (low, high) = if (octets(a.ip), a.port) <= (octets(b.ip), b.port) {
        (a, b)
    } else {
        (b, a)
    };
    let mut hash = Sha1::new();
    hash.update(0u16.to_be_bytes());
    hash.update(octets(low.ip));
    hash.update(octets(high.ip));
    hash.update([protocol, 0]);
    hash.update(low.port.to_be_bytes());
    hash.update(high.port.to_be_bytes());
    format!("1:{}", base64(&hash.finalize()))
}

/// Standard alphabet with padding (RFC 4648 §4).
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut block = [0; 4];
        block.iter_mut().skip(1).zip(chunk).for_each(|(to, from)| *to = *from);
        let bits = u32::from_be_bytes(block);
        for position in 0..4usize {
            let index = (bits >> (18 - 6 * position)) & 63;
            let digit = ALPHABET.get(index as usize).copied().unwrap_or(b'=');
            text.push(if position <= chunk.len() {
                char::from(digit)
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use reshake_core::session::{CredentialFingerprint, TransportKind};

    use super::*;

    #[test]
    fn community_ids_are_those_of_the_specification() {
        let end = |ip: &str, port| Endpoint {
            ip: ip.parse().expect("address"),
            port,
        };
        let (a, b) = (end("128.232.110.120", 34855), end("66.35.250.204", 80));
        assert_eq!(community_id(TransportKind::Tcp, a, b), "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
        assert_eq!(
            community_id(TransportKind::Tcp, b, a),
            community_id(TransportKind::Tcp, a, b),
            "both directions are one connection"
        );
    }

    #[test]
    fn the_same_bytes_as_ticket_and_psk_are_two_credentials() {
        let end = Endpoint {
            ip: IpAddr::from([10, 0, 0, 1]),
            port: 443,
        };
        let ids = |bytes: &[u8]| {
            let id = |mechanism| {
                credential_id(&Credential::unseen(
                    TransportKind::Tcp,
                    mechanism,
                    CredentialFingerprint::of(bytes),
                    end,
                ))
            };
            [Mechanism::SessionId, Mechanism::Ticket, Mechanism::Psk].map(id)
        };
        let [session, ticket, psk] = ids(&[7; 32]);
        assert!(session != ticket && ticket != psk && psk != session);
        // Nothing of this length is a session ID.
        let [_, ticket, psk] = ids(&[7; 33]);
        assert_eq!(ticket, prefixed('k', &CredentialFingerprint::of(&[7; 33]).sha256));
        assert_ne!(ticket, psk);
    }

    #[test]
    fn base64_pads() {
        assert_eq!(
            [base64(b"f"), base64(b"fo"), base64(b"foo"), base64(b"")],
            ["Zg==", "Zm8=", "Zm9v", ""]
        );
    }
}
