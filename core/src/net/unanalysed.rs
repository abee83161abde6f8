//! Datagrams of secure transports in versions that are not analysed: a UDP payload in, the notice that names it out. It
//! knows the forms that a handshake begins with, one datagram at a time, and keeps nothing.

use super::Notice;

/// The notice for a datagram that belongs to a handshake of QUIC or DTLS of a version that is not analysed; `None` for
/// everything else. Asked only for what [`crate::datagram::Gate`] lets nobody read, by the engine and by its front alike.
#[must_use]
pub fn datagram(payload: &[u8]) -> Option<Notice> {
    if is_draft_of_quic(payload) || is_google_quic(payload) {
        return Some(Notice::QuicVersionUnsupported);
    }
    is_old_dtls(payload).then_some(Notice::DtlsVersionUnsupported)
}

/// Clients fill their first datagram to 1200 bytes (RFC 9000 §14.1), which keeps look-alikes out.
const SHORTEST_INITIAL: usize = 1200;

/// An Initial of a draft of the IETF before 22: those give the lengths of both connection IDs in one byte, where versions
/// 1 and 2 and later drafts have the first of two, so that most are taken for nothing there.
fn is_draft_of_quic(payload: &[u8]) -> bool {
    let [first, 0xff, 0, 0, draft, ..] = *payload else {
        return false;
    };
    let initial = match draft {
        // Drafts before 17 had no fixed bit, and other types: 0x7f was Initial (draft-ietf-quic-transport-16 §17.2).
        1..=16 => first == 0xff,
        // Long header and fixed bit, then the type: Initial is 0.
        17..=21 => first & 0xf0 == 0xc0,
        _ => false,
    };
    initial && payload.len() >= SHORTEST_INITIAL
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
/// ServerHello or a HelloVerifyRequest whose lengths agree. Of version 0x0100, which OpenSSL 0.9.8 and Cisco's AnyConnect
/// speak: its transcript and its ChangeCipherSpec are others than those of DTLS 1.0.
fn is_old_dtls(payload: &[u8]) -> bool {
    // Version, then epoch 0.
    let [22, 1, 0, 0, 0, rest @ ..] = payload else {
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
    fn initials_of_old_versions_are_quic() {
        for start in [
            &[0xc0, 0xff, 0, 0, 19, 0x50][..],
            &[0xff, 0xff, 0, 0, 14, 0x55],
            b"\xc3Q046\x50",
            b"\xc3T051\x08",
        ] {
            let expected = Some(Notice::QuicVersionUnsupported);
            assert_eq!(datagram(&filled(start)), expected, "{start:02x?}");
            assert_eq!(datagram(start), None, "too short");
        }
        let public_header = b"\x0d12345678Q043\x01hash of 12 b\xa0\x01\x04CHLO";
        assert_eq!(datagram(public_header), Some(Notice::QuicVersionUnsupported));
    }

    #[test]
    fn what_only_begins_as_quic_is_nothing() {
        for start in [
            // A handshake packet, no fixed bit, versions of nobody.
            &[0xe3, 0xff, 0, 0, 19, 0x50][..],
            &[0x83, 0xff, 0, 0, 19, 0x50],
            &[0xc3, 0, 0, 0, 7, 8],
            &[0xc3, 0xff, 0, 0, 35, 8],
            &[0xc3, 0xff, 0, 1, 19, 8],
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
        let told = Some(Notice::DtlsVersionUnsupported);
        for kind in 1..=3 {
            assert_eq!(hello([1, 0], kind, 62, 50), told);
            assert_eq!(hello([1, 0], kind, 42, 30), told, "a fragment");
            assert_eq!(hello([1, 0], kind, 61, 50), None, "a record shorter than its message");
            assert_eq!(hello([1, 0], kind, 80, 51), None, "a fragment longer than its message");
        }
        assert_eq!(hello([1, 0], 11, 62, 50), None);
        assert_eq!(hello([3, 3], 1, 62, 50), None);
        assert_eq!(datagram(&[22, 1, 0]), None);
    }
}
