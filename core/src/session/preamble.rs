//! What stood on a connection before TLS began.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::net::Endpoint;

#[cfg(feature = "serde")]
use {
    schemars::JsonSchema,
    serde::{Deserialize, Serialize},
};

/// Name of a protocol before TLS. An alias, because serde takes a plain reference for one into the document.
pub type Kind = &'static str;

/// The protocol before TLS, and the client that a PROXY header names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct Preamble {
    /// Name in reports.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "read_kind"))]
    pub kind: Kind,
    /// The client behind the proxy.
    pub client: Option<Endpoint>,
}

impl Preamble {
    /// Whether it is known which protocol it was.
    #[must_use]
    pub fn is_named(&self) -> bool {
        self.kind != CLEAR
    }
}

#[cfg(feature = "serde")]
fn read_kind<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Kind, D::Error> {
    let kind: std::borrow::Cow<'de, str> = serde::Deserialize::deserialize(deserializer)?;
    Ok(known(&kind))
}

/// Every kind, as [`classify`] names them.
const KINDS: [&str; 18] = [
    "ftp-auth-tls",
    "http-connect",
    "imap-starttls",
    "ldap-starttls",
    "lmtp-starttls",
    "mysql",
    "nntp-starttls",
    "pop3-stls",
    "postgresql",
    "proxy-v1",
    "proxy-v2",
    "rdp",
    "sieve-starttls",
    "smtp-starttls",
    "socks",
    "starttls",
    "xmpp-starttls",
    CLEAR,
];
/// What is not known further.
const CLEAR: &str = "clear-text";

/// The kind of this name; clear text where it is none.
#[must_use]
pub fn known(kind: &str) -> &'static str {
    KINDS.into_iter().find(|known| *known == kind).unwrap_or(CLEAR)
}

/// Whether the client's clear text ends with what asks for TLS, so that a hello is what must follow.
#[must_use]
pub fn announces_tls(client: &[u8]) -> bool {
    let text = after_proxy_header(client);
    match *text {
        [] => !client.is_empty(),
        // SSLRequest of PostgreSQL, also after a refused request for GSSAPI.
        _ if text.ends_with(&[0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f]) => true,
        // SSLRequest of MySQL: a packet of 32 bytes, the second of its connection.
        [32, 0, 0, 1, ..] => text.len() == 36,
        // Connection request of RDP (X.224 in TPKT).
        [3, 0, high, low, _, 0xe0, ..] => text.len() == usize::from(u16::from_be_bytes([high, low])),
        // The last thing said to a SOCKS proxy is a request (RFC 1928 §4, SOCKS 4).
        [5, ..] | [4, 1, ..] => !text.is_ascii() || text.contains(&0),
        // StartTLS of LDAP has no value behind its name (RFC 4511 §4.14.1).
        [0x30, ..] => ends_with(text, LDAP_STARTTLS),
        [b'<', ..] => ends_with_xmpp_starttls(text),
        _ => asks_for_tls(text),
    }
}

/// Whether a text of any length, of which the beginning and the end are enough, ends with a request for TLS. Those that
/// stand at the beginning of a connection alone are not among them.
#[must_use]
pub fn asks_for_tls(text: &[u8]) -> bool {
    if text.starts_with(b"CONNECT ") {
        return ends_with(text, b"\r\n\r\n");
    }
    let ends = [
        &b"STARTTLS\r\n"[..],
        b"STLS\r\n",
        b"AUTH TLS\r\n",
        b"AUTH SSL\r\n",
        LDAP_STARTTLS,
    ];
    ends.into_iter().any(|end| ends_with(text, end)) || ends_with_xmpp_starttls(text)
}

const LDAP_STARTTLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

/// In upper or lower case.
fn ends_with(text: &[u8], end: &[u8]) -> bool {
    let last = text.len().checked_sub(end.len()).and_then(|at| text.get(at..));
    last.is_some_and(|last| last.eq_ignore_ascii_case(end))
}

fn ends_with_xmpp_starttls(text: &[u8]) -> bool {
    text.ends_with(b">") && last_tags(text).windows(8).any(|word| word == b"xmpp-tls")
}

/// The end of an XML stream, long enough for an empty element with its name space.
fn last_tags(text: &[u8]) -> &[u8] {
    text.get(text.len().saturating_sub(80)..).unwrap_or(text)
}

/// What follows a PROXY header; all of it where there is none.
fn after_proxy_header(client: &[u8]) -> &[u8] {
    let length = if client.starts_with(PROXY_V2) {
        let length = client.get(14..).and_then(|rest| rest.first_chunk::<2>());
        length.map(|length| 16 + usize::from(u16::from_be_bytes(*length)))
    } else if client.starts_with(b"PROXY ") {
        client.windows(2).position(|end| end == b"\r\n").map(|end| end + 2)
    } else {
        Some(0)
    };
    length.and_then(|length| client.get(length..)).unwrap_or(client)
}

const PROXY_V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Names the clear text of both sides.
#[must_use]
pub fn classify(client: &[u8], server: &[u8]) -> Preamble {
    if client.starts_with(PROXY_V2) {
        return Preamble {
            kind: "proxy-v2",
            client: proxy_v2(client),
        };
    }
    if client.starts_with(b"PROXY ") {
        return Preamble {
            kind: "proxy-v1",
            client: proxy_v1(client),
        };
    }
    Preamble {
        kind: kind(client, server),
        client: None,
    }
}

fn kind(client: &[u8], server: &[u8]) -> &'static str {
    let has = |text: &[u8], word: &str| {
        text.to_ascii_uppercase()
            .windows(word.len())
            .any(|window| window == word.as_bytes())
    };
    let (starttls, greeting) = (has(client, "STARTTLS"), server.first_chunk::<4>());
    // A command, and no part of a name in one.
    let stls = client
        .split(|byte| *byte == b'\n')
        .any(|line| line.trim_ascii_end().eq_ignore_ascii_case(b"STLS"));
    match (client, greeting) {
        // SSLRequest, or a request for GSSAPI before it.
        ([0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f | 0x30, ..], _) => "postgresql",
        ([3, 0, _, _, _, 0xe0, ..], _) => "rdp",
        ([5, ..] | [4, 1, ..], _) if !client.is_ascii() || client.contains(&0) || client.len() < 8 => "socks",
        (_, Some([_, _, 0, 0])) if server.get(4) == Some(&10) => "mysql",
        ([0x30, ..], _) if has(client, "1.3.6.1.4.1.1466.20037") => "ldap-starttls",
        _ if client.starts_with(b"CONNECT ") => "http-connect",
        _ if has(client, "AUTH TLS") || has(client, "AUTH SSL") => "ftp-auth-tls",
        _ if has(client, "URN:IETF:PARAMS:XML:NS:XMPP-TLS") => "xmpp-starttls",
        _ if stls => "pop3-stls",
        _ if starttls && has(client, "LHLO") => "lmtp-starttls",
        _ if starttls && (has(client, "EHLO") || has(client, "HELO")) => "smtp-starttls",
        _ if starttls && has(server, "* OK") => "imap-starttls",
        _ if starttls && has(server, "IMPLEMENTATION") => "sieve-starttls",
        _ if starttls && matches!(greeting, Some([b'2', b'0', _, _])) => "nntp-starttls",
        _ if starttls => "starttls",
        _ => CLEAR,
    }
}

/// `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n`: source address is the third word, source port the fifth.
fn proxy_v1(text: &[u8]) -> Option<Endpoint> {
    let line = text.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let ip = words.nth(2)?.parse().ok()?;
    let port = words.nth(1)?.parse().ok()?;
    Some(Endpoint { ip, port })
}

/// Sixteen bytes of header, then source and destination addresses and ports.
fn proxy_v2(header: &[u8]) -> Option<Endpoint> {
    let family = header.get(13)?;
    let addresses = header.get(16..)?;
    let (ip, ports): (IpAddr, &[u8]) = match family >> 4 {
        1 => (
            Ipv4Addr::from(*addresses.first_chunk::<4>()?).into(),
            addresses.get(8..)?,
        ),
        2 => (
            Ipv6Addr::from(*addresses.first_chunk::<16>()?).into(),
            addresses.get(32..)?,
        ),
        _ => return None,
    };
    Some(Endpoint {
        ip,
        port: u16::from_be_bytes(*ports.first_chunk()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::SeqNumber;
    use crate::session::tests::answered;
    use crate::session::{Blindness, Connection, ProtocolVersion, RareFacts};

    #[test]
    fn what_stood_before_tls_is_hidden_where_the_beginning_is() {
        let hidden = |change: fn(&mut Connection)| {
            let mut connection = answered(1, "a.test", ProtocolVersion::TLS_1_2);
            connection.transport.client_isn = Some(SeqNumber(1));
            change(&mut connection);
            connection.preamble_hidden()
        };
        assert_eq!(
            hidden(|_| ()),
            None,
            "all bytes are there, and TLS is the first of them"
        );
        let no_syn = |connection: &mut Connection| connection.transport.client_isn = None;
        assert_eq!(hidden(no_syn), Some(Blindness::CaptureStartedLate));
        let lost = |connection: &mut Connection| {
            let rare = RareFacts {
                beginning_lost: true,
                ..RareFacts::default()
            };
            connection.transport.uncommon = rare.boxed();
        };
        assert_eq!(hidden(lost), Some(Blindness::Gap));
    }

    #[test]
    fn proxy_headers_name_the_client() {
        let v1 = classify(b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", b"");
        assert_eq!(
            (v1.kind, v1.client.map(|end| end.to_string())),
            ("proxy-v1", Some("192.0.2.1:56324".to_owned()))
        );
        let mut header = PROXY_V2.to_vec();
        header.extend([0x21, 0x11, 0, 12, 192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 0x04, 1, 0xbb]);
        let v2 = classify(&header, b"");
        assert_eq!(
            (v2.kind, v2.client.map(|end| end.to_string())),
            ("proxy-v2", Some("192.0.2.1:56324".to_owned()))
        );
    }

    #[test]
    fn a_request_for_tls_announces_it_and_anything_behind_the_request_does_not() {
        let proxy_v2 = [PROXY_V2, &[0x21, 0x11, 0, 2, 9, 9][..]].concat();
        let mysql = [&[32, 0, 0, 1][..], &[0; 32]].concat();
        let ldap = [&[0x30, 0x1d][..], b"\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"].concat();
        let starttls_behind_proxy = b"PROXY UNKNOWN\r\nEHLO x\r\nstarttls\r\n";
        for asked in [
            &b"EHLO x\r\nSTARTTLS\r\n"[..],
            b"a1 STARTTLS\r\n",
            b"STLS\r\n",
            b"AUTH TLS\r\n",
            b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n",
            starttls_behind_proxy,
            &proxy_v2,
            &mysql,
            &ldap,
            b"\0\0\0\x08\x04\xd2\x16\x2f",
            b"\x03\0\0\x0b\x06\xe0\0\0\0\0\0",
            b"\x05\x01\0\x05\x01\0\x01\x7f\0\0\x01\x01\xbb",
            b"<stream:stream><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
        ] {
            assert!(announces_tls(asked), "{}", asked.escape_ascii());
            let behind = [asked, b"DATA\r\nSubject: hello\r\n\r\n"].concat();
            let goes_on = matches!(asked.first(), Some(5)) || asked.starts_with(b"CONNECT");
            assert!(goes_on || !announces_tls(&behind), "{}", behind.escape_ascii());
        }
        assert!(!announces_tls(b"PUT /hello HTTP/1.1\r\n\r\n"));
        assert!(!announces_tls(b""));
    }

    #[test]
    fn an_unknown_proxy_source_is_not_invented() {
        assert_eq!(classify(b"PROXY UNKNOWN\r\n", b"").client, None);
    }

    #[test]
    fn protocols_before_tls_are_told_apart() {
        let mysql = [74, 0, 0, 0, 10, b'8'];
        for (expected, client, server) in [
            ("smtp-starttls", &b"EHLO x\r\nSTARTTLS\r\n"[..], &b"220 mail\r\n"[..]),
            ("smtp-starttls", b"HELO x\r\nstarttls\r\n", b"220 mail\r\n"),
            ("smtp-starttls", b"EHLO testls.a.test\r\nSTARTTLS\r\n", b"220 mail\r\n"),
            ("smtp-starttls", b"EHLO stls\r\nSTARTTLS\r\n", b"220 mail\r\n"),
            ("lmtp-starttls", b"LHLO x\r\nSTARTTLS\r\n", b"220 mail\r\n"),
            ("imap-starttls", b"a STARTTLS\r\n", b"* OK ready\r\n"),
            ("sieve-starttls", b"STARTTLS\r\n", b"\"IMPLEMENTATION\" \"x\"\r\n"),
            ("nntp-starttls", b"STARTTLS\r\n", b"200 news\r\n"),
            ("nntp-starttls", b"STARTTLS\r\n", b"201 news\r\n"),
            ("starttls", b"STARTTLS\r\n", b"220 other\r\n"),
            ("starttls", b"STARTTLS\r\n", b""),
            ("pop3-stls", b"STLS\r\n", b"+OK\r\n"),
            ("pop3-stls", b"CAPA\r\nstls\r\n", b"+OK\r\n"),
            ("ftp-auth-tls", b"AUTH TLS\r\n", b"220 ftp\r\n"),
            ("ftp-auth-tls", b"auth ssl\r\n", b"220 ftp\r\n"),
            (
                "xmpp-starttls",
                b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
                b"<stream>",
            ),
            (
                "http-connect",
                b"CONNECT a:443 HTTP/1.1\r\n\r\n",
                b"HTTP/1.1 200 OK\r\n\r\n",
            ),
            ("ldap-starttls", b"\x30\x1d\x161.3.6.1.4.1.1466.20037", b"\x30\x0c"),
            ("mysql", b"\x20\0\0\x01", &mysql),
            ("postgresql", b"\0\0\0\x08\x04\xd2\x16\x2f", b"S"),
            (
                "postgresql",
                b"\0\0\0\x08\x04\xd2\x16\x30\0\0\0\x08\x04\xd2\x16\x2f",
                b"NS",
            ),
            ("rdp", b"\x03\0\0\x0b\x06\xe0\0\0\0\0\0", b"\x03\0"),
            ("socks", b"\x05\x01\0", b"\x05\0"),
            ("socks", b"\x05\x01\x02", b"\x05\x02"),
            ("socks", b"\x04\x01\x01\xbb\x7f\0\0\x01\0", b"\0"),
            // Close to one of these, and none of them.
            ("clear-text", b"\x05\x06\x07\x08\x09\x0a\x0b\x0c", b""),
            ("clear-text", b"\x20\0\0\x01", &[74, 0, 0, 0, 9]),
            ("clear-text", b"\x31\x1d\x161.3.6.1.4.1.1466.20037", b""),
            ("clear-text", b"\x30\x1d\x161.3.6.1.4.1.1466.20038", b""),
            ("clear-text", b"LHLO x\r\n", b"200 news\r\n"),
            ("clear-text", b"EHLO x\r\n", b"* OK IMPLEMENTATION"),
            ("clear-text", b"GET / CONNECT \r\n", b""),
        ] {
            assert_eq!(classify(client, server).kind, expected, "{}", client.escape_ascii());
            assert_eq!(known(expected), expected);
        }
        assert_eq!(known("something else"), "clear-text");
    }

    #[test]
    fn what_falls_short_of_a_request_for_tls_announces_nothing() {
        let xmpp = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
        let long_ago = [&xmpp[..], &[b' '; 80], b"<presence/>"].concat();
        for text in [
            &b"\x03\0\0\x0c\x06\xe0\0\0\0\0\0"[..],
            b"\x03\0\0\x0b\x06\xd0\0\0\0\0\0",
            b"\x05abc",
            b"\x04\x02\0",
            b"CONNECT a:443 HTTP/1.1\r\n",
            b"\x20\0\0\x01\0",
            b"\x30\x1d\x161.3.6.1.4.1.1466.20038",
            b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'",
            b"<presence/>",
            &long_ago,
            b"STARTTLS",
            b"PROXY TCP4 192.0.2.1",
        ] {
            assert!(!announces_tls(text), "{}", text.escape_ascii());
        }
        assert!(announces_tls(b"\x04\x01\x01\xbb\x7f\0\0\x01\0"));
        assert!(announces_tls(b"\x05\x01\x80"));
    }

    #[test]
    fn a_proxy_header_of_ipv6_names_the_client() {
        let v1 = classify(b"PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n", b"");
        assert_eq!(
            v1.client.map(|end| end.to_string()).as_deref(),
            Some("[2001:db8::1]:56324")
        );
        let source = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).octets();
        let header = |family: u8, length: usize| {
            let addresses = [&source[..], &source, &[0xdc, 0x04, 1, 0xbb]].concat();
            let header = [PROXY_V2, &[0x21, family, 0, 36], &addresses].concat();
            classify(&header[..length], b"").client.map(|end| end.to_string())
        };
        assert_eq!(header(0x21, 52).as_deref(), Some("[2001:db8::1]:56324"));
        // A UNIX socket, or a header that was cut.
        assert_eq!(header(0x31, 52), None);
        for length in [13, 16, 31, 48, 49] {
            assert_eq!(header(0x21, length), None);
        }
    }
}
