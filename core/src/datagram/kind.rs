//! What the first bytes of a datagram can be (RFC 7983 §7 as updated by RFC 9443 §2).

/// Protocols that share a UDP port, by the first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstByte {
    /// STUN, ZRTP or nothing that is assigned.
    Other,
    /// DTLS: a content type, or the unified header of DTLS 1.3 (RFC 9147 §4).
    Dtls,
    /// TURN channels, or a short header of QUIC.
    ChannelOrQuic,
    /// A short header of QUIC.
    QuicShort,
    /// RTP or RTCP; a long header of QUIC whose fixed bit is greased (RFC 9287) looks the same.
    RtpOrQuic,
    /// A long header of QUIC.
    QuicLong,
}

impl FirstByte {
    /// By the table of RFC 9443 §2.
    #[must_use]
    pub const fn of(byte: u8) -> Self {
        match byte {
            20..=63 => Self::Dtls,
            64..=79 => Self::ChannelOrQuic,
            80..=127 => Self::QuicShort,
            128..=191 => Self::RtpOrQuic,
            192..=255 => Self::QuicLong,
            0..=19 => Self::Other,
        }
    }
}

/// QUIC version 1 (RFC 9000 §15).
pub const QUIC_V1: u32 = 1;
/// QUIC version 2 (RFC 9369 §3).
pub const QUIC_V2: u32 = 0x6b33_43cf;
/// Clients fill the datagram of their first Initial to this size (RFC 9000 §14.1), which keeps look-alikes out.
pub const SMALLEST_FIRST_DATAGRAM: usize = 1200;
/// Longest connection ID of QUIC version 1 and 2 (RFC 9000 §17.2).
const MAX_ID: usize = 20;

/// The version of a long header of QUIC (RFC 8999 §5.1), where both connection IDs stand behind it and are of a length
/// that versions 1 and 2 know.
#[must_use]
pub fn long_header_version(payload: &[u8]) -> Option<u32> {
    let (&[first, a, b, c, d, length], rest) = payload.split_first_chunk()?;
    if first & 0x80 == 0 || usize::from(length) > MAX_ID {
        return None;
    }
    let source = rest.get(usize::from(length)..)?;
    let (&length, source) = source.split_first()?;
    (usize::from(length) <= MAX_ID.min(source.len())).then_some(u32::from_be_bytes([a, b, c, d]))
}

/// Whether the datagram may be a Version Negotiation packet (RFC 9000 §17.2.1): version 0, and whole versions behind the
/// connection IDs.
#[must_use]
pub fn is_version_negotiation(payload: &[u8]) -> bool {
    let lengths = || {
        let destination = usize::from(*payload.get(5)?);
        let source = usize::from(*payload.get(6 + destination)?);
        payload.len().checked_sub(7 + destination + source)
    };
    long_header_version(payload) == Some(0)
        && lengths().is_some_and(|versions| versions >= 4 && versions.is_multiple_of(4))
}

/// A whole record header of DTLS 1.0 to 1.3 in the form of 13 bytes (RFC 6347 §4.1, RFC 9147 §4.1, RFC 9146 §4). Gives
/// content type and epoch.
#[must_use]
pub const fn dtls_record(payload: &[u8]) -> Option<(u8, u16)> {
    match *payload {
        [kind @ 20..=26, 0xfe, 0xff | 0xfd, high, low, _, _, _, _, _, _, _, _, ..] => {
            Some((kind, u16::from_be_bytes([high, low])))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_tells_what_rfc_9443_says_it_does() {
        let cases = [
            (0, FirstByte::Other),
            (19, FirstByte::Other),
            (20, FirstByte::Dtls),
            (63, FirstByte::Dtls),
            (64, FirstByte::ChannelOrQuic),
            (79, FirstByte::ChannelOrQuic),
            (80, FirstByte::QuicShort),
            (127, FirstByte::QuicShort),
            (128, FirstByte::RtpOrQuic),
            (191, FirstByte::RtpOrQuic),
            (192, FirstByte::QuicLong),
            (255, FirstByte::QuicLong),
        ];
        for (byte, expected) in cases {
            assert_eq!(FirstByte::of(byte), expected, "{byte}");
        }
    }

    #[test]
    fn a_long_header_has_both_connection_ids() {
        assert_eq!(long_header_version(&[0xc0, 0, 0, 0, 1, 1, 7, 2, 8, 9]), Some(1));
        // Greased fixed bit.
        assert_eq!(long_header_version(&[0x80, 0, 0, 0, 1, 0, 0]), Some(1));
        assert_eq!(long_header_version(&[0x40, 0, 0, 0, 1, 0, 0]), None);
        assert_eq!(long_header_version(&[0xc0, 0, 0, 0, 1, 1, 7, 2, 8]), None);
        let mut longest = vec![0xc0, 0, 0, 0, 1, 20];
        longest.resize(6 + 20 + 1, 0);
        assert_eq!(long_header_version(&longest), Some(1));
        let mut long = vec![0xc0, 0, 0, 0, 1, 21];
        long.resize(80, 0);
        assert_eq!(long_header_version(&long), None);
    }

    #[test]
    fn version_negotiation_names_whole_versions() {
        assert!(is_version_negotiation(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]));
        // Both connection IDs stand in front of them.
        assert!(is_version_negotiation(&[
            0x80, 0, 0, 0, 0, 1, 7, 3, 8, 8, 8, 0, 0, 0, 1
        ]));
        assert!(!is_version_negotiation(&[0x80, 0, 0, 0, 0, 1, 7, 3, 8, 8, 8, 0, 0, 1]));
        assert!(!is_version_negotiation(&[0x80, 0, 0, 0, 0, 0, 0]));
        assert!(!is_version_negotiation(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 1]));
        assert!(!is_version_negotiation(&[0x80, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1]));
    }

    #[test]
    fn a_dtls_record_is_known_by_type_and_version() {
        let record = |kind, minor| dtls_record(&[kind, 0xfe, minor, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(record(22, 0xfd), Some((22, 1)));
        assert_eq!(record(25, 0xff), Some((25, 1)));
        assert_eq!(record(19, 0xfd), None);
        assert_eq!(record(22, 0xfc), None);
        assert_eq!(dtls_record(&[22, 0xfe, 0xfd, 0, 0]), None);
    }
}
