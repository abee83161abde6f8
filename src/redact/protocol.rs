//! Other names for protocols of ALPN: one of a house's own says whose it is.

use super::prf::Prf;
use reshake_core::net::hex;

/// Protocols that are registered (IANA, "TLS Application-Layer Protocol Negotiation (ALPN) Protocol IDs"): they name
/// nobody.
const REGISTERED: &[&str] = &[
    "http/0.9",
    "http/1.0",
    "http/1.1",
    "spdy/1",
    "spdy/2",
    "spdy/3",
    "stun.turn",
    "stun.nat-discovery",
    "h2",
    "h2c",
    "webrtc",
    "c-webrtc",
    "ftp",
    "imap",
    "pop3",
    "managesieve",
    "coap",
    "co",
    "xmpp-client",
    "xmpp-server",
    "acme-tls/1",
    "mqtt",
    "dot",
    "ntske/1",
    "sunrpc",
    "h3",
    "smb",
    "irc",
    "nntp",
    "nnsp",
    "doq",
    "sip/2",
    "tds/8.0",
    "dicom",
    "postgresql",
    "radius/1.0",
    "radius/1.1",
];
/// Hex digits of a drawn name: 48 bits.
const BYTES: usize = 6;

/// Another name; a registered protocol keeps its own.
pub(super) fn alias(prf: &Prf, protocol: &str) -> Option<String> {
    if REGISTERED.contains(&protocol) {
        return None;
    }
    let drawn = prf.draw("alpn", &[protocol.as_bytes()]);
    let digits = hex(drawn.get(..BYTES).unwrap_or(&drawn));
    Some(format!("protocol-{digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::{KEY_LENGTH, RedactionKey};
    use zeroize::Zeroizing;

    #[test]
    fn a_protocol_of_a_house_gets_another_name_and_a_registered_one_keeps_its_own() {
        let key = RedactionKey::new(Zeroizing::new(vec![7; KEY_LENGTH])).expect("a key");
        let prf = Prf::new(&key);
        assert_eq!(alias(&prf, "h2"), None);
        let own = alias(&prf, "acme-corp-billing/3").expect("another name");
        assert!(own.starts_with("protocol-") && !own.contains("acme"), "{own}");
        assert_eq!(alias(&prf, "acme-corp-billing/3"), Some(own.clone()));
        assert_ne!(alias(&prf, "acme-corp-billing/4"), Some(own));
    }
}
