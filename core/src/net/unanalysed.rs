//! Datagrams of secure transports that are not analysed: a UDP payload in, the notice that names it out. It knows the
//! forms that a handshake begins with, one datagram at a time, and keeps nothing.

use super::Notice;

/// The notice for a datagram that belongs to a handshake of QUIC or DTLS in a form that is not analysed; `None` for
/// everything else. Whoever analyses a form asks here only for what is not of it.
#[must_use]
pub fn datagram(payload: &[u8]) -> Option<Notice> {
    if is_quic(payload) || is_google_quic(payload) {
        return Some(Notice::QuicNotAnalysed);
    }
    is_dtls_handshake(payload).then_some(Notice::DtlsNotAnalysed)
}

/// Clients fill their first datagram to 1200 bytes (RFC 9000 §14.1), which keeps look-alikes out.
const SHORTEST_INITIAL: usize = 1200;
/// Bytes that a connection ID may have (RFC 9000 §17.2); drafts before 22 had no more than 18.
const ID_BYTES: u8 = 20;

/// An Initial of version 1 or 2 or of a draft of the IETF.
fn is_quic(payload: &[u8]) -> bool {
    let [first, v0, v1, v2, v3, ref rest @ ..] = *payload else {
        return false;
    };
    // Long header and fixed bit, then the type: Initial is 0, and 1 in version 2 (RFC 9369 §3.2).
    let expected = match [v0, v1, v2, v3] {
        [0, 0, 0, 1] | [0xff, 0, 0, 17..=34] => 0xc0,
        // Drafts before 17 had no fixed bit, and other types: 0x7f was Initial (draft-ietf-quic-transport-16 §17.2).
        [0xff, 0, 0, 1..=16] => 0xff,
        [0x6b, 0x33, 0x43, 0xcf] => 0xd0,
        _ => return false,
    };
    let kind = if expected == 0xff { first } else { first & 0xf0 };
    kind == expected && payload.len() >= SHORTEST_INITIAL && ids_fit(v0 == 0xff && v3 < 22, rest)
}

/// Whether two connection IDs stand here, each behind its length, or behind both lengths in one byte as in older drafts.
fn ids_fit(in_one_byte: bool, rest: &[u8]) -> bool {
    if in_one_byte {
        return true;
    }
    let Some((&destination, rest)) = rest.split_first() else {
        return false;
    };
    let source = rest.get(usize::from(destination)).copied();
    destination <= ID_BYTES && source.is_some_and(|source| source <= ID_BYTES)
}

/// The ClientHello of Google's QUIC: "CHLO" in a stream that is not encrypted, behind a version that is a letter and three
/// digits: in the public header of Q043 and older, or in the long header of Q046 and later.
fn is_google_quic(payload: &[u8]) -> bool {
    let version = |bytes: &[u8]| matches!(bytes, [b'Q' | b'T', b'0', b'0'..=b'9', b'0'..=b'9', ..]);
    match payload {
        // Long header, version, the lengths of the IDs.
        [first, rest @ ..] if first & 0x80 != 0 => version(rest) && payload.len() >= SHORTEST_INITIAL,
        // Version flag and an ID of eight bytes.
        [first, _, _, _, _, _, _, _, _, rest @ ..] if first & 0x09 == 0x09 => {
            version(rest) && payload.windows(4).take(64).any(|tag| tag == b"CHLO")
        }
        _ => false,
    }
}

/// A record of epoch 0 that begins with the first fragment of a hello of either side (RFC 6347 §4.2.2): a ClientHello, a
/// ServerHello or a HelloVerifyRequest whose lengths agree.
fn is_dtls_handshake(payload: &[u8]) -> bool {
    // Versions 1.0 to 1.3, and 0x0100, which OpenSSL 0.9.8 and Cisco's AnyConnect speak. Then epoch 0.
    let ([22, 0xfe, 0xff | 0xfd | 0xfc, 0, 0, rest @ ..] | [22, 1, 0, 0, 0, rest @ ..]) = payload else {
        return false;
    };
    // Record: number, length. Handshake: type, length, number, offset 0, length of the fragment.
    let [
        _,
        _,
        _,
        _,
        _,
        _,
        r0,
        r1,
        1..=3,
        l0,
        l1,
        l2,
        _,
        _,
        0,
        0,
        0,
        f0,
        f1,
        f2,
        ..,
    ] = *rest
    else {
        return false;
    };
    let record = u32::from_be_bytes([0, 0, r0, r1]);
    let length = u32::from_be_bytes([0, l0, l1, l2]);
    let fragment = u32::from_be_bytes([0, f0, f1, f2]);
    // A record may hold more messages than this one.
    fragment <= length && fragment.saturating_add(12) <= record && length > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(start: &[u8]) -> Vec<u8> {
        let mut bytes = start.to_vec();
        bytes.resize(SHORTEST_INITIAL, 0);
        bytes
    }

    #[test]
    fn initials_of_every_version_are_quic() {
        for start in [
            &[0xc3, 0, 0, 0, 1, 8][..],
            &[0xd3, 0x6b, 0x33, 0x43, 0xcf, 8],
            &[0xc0, 0xff, 0, 0, 29, 20],
            &[0xcd, 0xff, 0, 0, 0x1d, 0],
            &[0xff, 0xff, 0, 0, 14, 0x55],
            b"\xc3Q046\x50",
            b"\xc3T051\x08",
        ] {
            assert_eq!(datagram(&filled(start)), Some(Notice::QuicNotAnalysed), "{start:02x?}");
            assert_eq!(datagram(start), None, "too short");
        }
        let public_header = b"\x0d12345678Q043\x01hash of 12 b\xa0\x01\x04CHLO";
        assert_eq!(datagram(public_header), Some(Notice::QuicNotAnalysed));
    }

    #[test]
    fn what_only_begins_as_quic_is_nothing() {
        for start in [
            // A handshake packet, no fixed bit, versions of nobody, an ID of 21 bytes.
            &[0xe3, 0, 0, 0, 1, 8][..],
            &[0x83, 0, 0, 0, 1, 8],
            &[0xc3, 0, 0, 0, 7, 8],
            &[0xc3, 0xff, 0, 0, 35, 8],
            &[0xc3, 0xff, 0, 1, 29, 8],
            &[0xc3, 0, 0, 0, 1, 21],
            b"\xc3Q0x6\x50",
        ] {
            assert_eq!(datagram(&filled(start)), None, "{start:02x?}");
        }
        assert_eq!(datagram(b"\x0d12345678Q043\x01"), None);
    }

    #[test]
    fn hellos_of_either_side_are_dtls() {
        let hello = |version: [u8; 2], kind: u8, record: u8, fragment: u8| {
            let start = [22, version[0], version[1], 0, 0, 0, 0, 0, 0, 0, 0, 0, record];
            let message = [kind, 0, 0, 50, 0, 0, 0, 0, 0, 0, 0, fragment];
            datagram(&[&start[..], &message, &[0; 50]].concat())
        };
        for version in [[0xfe, 0xff], [0xfe, 0xfd], [0xfe, 0xfc], [1, 0]] {
            for kind in 1..=3 {
                assert_eq!(hello(version, kind, 62, 50), Some(Notice::DtlsNotAnalysed));
                assert_eq!(
                    hello(version, kind, 42, 30),
                    Some(Notice::DtlsNotAnalysed),
                    "a fragment"
                );
                assert_eq!(hello(version, kind, 61, 50), None, "a record shorter than its message");
                assert_eq!(hello(version, kind, 80, 51), None, "a fragment longer than its message");
            }
            assert_eq!(hello(version, 11, 62, 50), None);
        }
        assert_eq!(hello([3, 3], 1, 62, 50), None);
        assert_eq!(datagram(&[22, 0xfe, 0xfd]), None);
    }
}
