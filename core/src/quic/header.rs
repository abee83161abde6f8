//! Headers of packets (RFC 9000 §17), as far as they are not protected.

use super::cid::Cid;
use crate::datagram::kind::{QUIC_V1, QUIC_V2};
use crate::tls::Reader;

/// A variable-length integer (RFC 9000 §16).
pub fn varint(reader: &mut Reader<'_>) -> Option<u64> {
    let first = reader.u8()?;
    let more = (1_usize << (first >> 6)) - 1;
    let start = u64::from(first & 0x3f);
    let rest = reader.take(more)?;
    Some(rest.iter().fold(start, |value, byte| value << 8 | u64::from(*byte)))
}

/// What a long header is of. The bits mean other types in version 2 (RFC 9369 §3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LongKind {
    /// Initial.
    Initial,
    /// 0-RTT: early data.
    ZeroRtt,
    /// Handshake.
    Handshake,
    /// Retry, which ends the datagram.
    Retry,
}

impl LongKind {
    const fn of(version: u32, first: u8) -> Self {
        let bits = (first >> 4) & 3;
        let bits = if version == QUIC_V2 { (bits + 3) & 3 } else { bits };
        match bits {
            0 => Self::Initial,
            1 => Self::ZeroRtt,
            2 => Self::Handshake,
            _ => Self::Retry,
        }
    }
}

/// A packet with a long header of version 1 or 2.
#[derive(Debug, Clone, Copy)]
pub struct Long<'a> {
    /// Type.
    pub kind: LongKind,
    /// Version.
    pub version: u32,
    /// Destination connection ID.
    pub destination: Cid,
    /// Source connection ID.
    pub source: Cid,
    /// Token of an Initial.
    pub token: &'a [u8],
    /// The whole packet.
    pub bytes: &'a [u8],
    /// Where the packet number stands, but for Retry.
    pub number_at: usize,
}

/// The first packet of (what is left of) a datagram.
#[derive(Debug, Clone, Copy)]
pub enum QuicPacket<'a> {
    /// Of version 1 or 2.
    Long(Long<'a>),
    /// Version Negotiation: both connection IDs as the server mirrors them (RFC 8999 §6).
    VersionNegotiation {
        /// What the client called itself.
        destination: Cid,
        /// What the client called the server.
        source: Cid,
    },
    /// A long header of a version that is not read, up to the end of the datagram.
    Unknown {
        /// The version.
        version: u32,
        /// Destination connection ID.
        destination: Cid,
        /// Source connection ID.
        source: Cid,
    },
    /// A short header, up to the end of the datagram.
    Short(&'a [u8]),
}

/// Takes the first packet off a datagram; gives it and what is left. `None` where no packet stands.
#[must_use]
pub fn split(datagram: &[u8]) -> Option<(QuicPacket<'_>, &[u8])> {
    let mut reader = Reader::new(datagram);
    let first = reader.u8()?;
    if first & 0x80 == 0 {
        return Some((QuicPacket::Short(datagram), &[]));
    }
    let version = reader.u32()?;
    let (destination, source) = (Cid::new(reader.vec8()?)?, Cid::new(reader.vec8()?)?);
    let packet = match version {
        0 => QuicPacket::VersionNegotiation { destination, source },
        QUIC_V1 | QUIC_V2 => return long(datagram, reader, (first, version), (destination, source)),
        _ => QuicPacket::Unknown {
            version,
            destination,
            source,
        },
    };
    Some((packet, &[]))
}

fn long<'a>(
    datagram: &'a [u8],
    mut reader: Reader<'a>,
    (first, version): (u8, u32),
    (destination, source): (Cid, Cid),
) -> Option<(QuicPacket<'a>, &'a [u8])> {
    let kind = LongKind::of(version, first);
    let mut packet = Long {
        kind,
        version,
        destination,
        source,
        token: &[],
        bytes: datagram,
        number_at: datagram.len(),
    };
    if kind == LongKind::Retry {
        // The token reaches up to the tag.
        packet.token = reader.take(reader.rest().len().checked_sub(16)?)?;
        return Some((QuicPacket::Long(packet), &[]));
    }
    if kind == LongKind::Initial {
        let length = usize::try_from(varint(&mut reader)?).ok()?;
        packet.token = reader.take(length)?;
    }
    let length = usize::try_from(varint(&mut reader)?).ok()?;
    packet.number_at = datagram.len() - reader.rest().len();
    reader.take(length)?;
    let (bytes, rest) = datagram.split_at_checked(datagram.len() - reader.rest().len())?;
    packet.bytes = bytes;
    Some((QuicPacket::Long(packet), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long_of(datagram: &[u8]) -> Long<'_> {
        match split(datagram) {
            Some((QuicPacket::Long(long), _)) => long,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn integers_are_those_of_rfc_9000_a_1() {
        let cases: [(&[u8], u64); 5] = [
            (
                &[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c],
                151_288_809_941_952_652,
            ),
            (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
            (&[0x7b, 0xbd], 15_293),
            (&[0x25], 37),
            (&[0x40, 0x25], 37),
        ];
        for (bytes, value) in cases {
            assert_eq!(varint(&mut Reader::new(bytes)), Some(value));
            assert_eq!(varint(&mut Reader::new(&bytes[..bytes.len() - 1])), None);
        }
    }

    #[test]
    fn version_2_numbers_its_types_otherwise() {
        let kinds = |version| [0xc0, 0xd0, 0xe0, 0xf0].map(|first| LongKind::of(version, first));
        assert_eq!(
            kinds(QUIC_V1),
            [
                LongKind::Initial,
                LongKind::ZeroRtt,
                LongKind::Handshake,
                LongKind::Retry
            ]
        );
        assert_eq!(
            kinds(QUIC_V2),
            [
                LongKind::Retry,
                LongKind::Initial,
                LongKind::ZeroRtt,
                LongKind::Handshake
            ]
        );
    }

    #[test]
    fn coalesced_packets_are_cut_at_their_length() {
        // Initial with a token of one byte and five bytes behind it, then a Handshake packet, then a short header.
        let datagram = [
            &[0xc0, 0, 0, 0, 1, 1, 7, 0, 1, 0xee, 5, 1, 2, 3, 4, 5][..],
            &[0xe0, 0, 0, 0, 1, 1, 7, 0, 2, 8, 9],
            &[0x41, 7, 1],
        ]
        .concat();
        let initial = long_of(&datagram);
        assert_eq!(
            (initial.kind, initial.token, initial.number_at),
            (LongKind::Initial, &[0xee][..], 11)
        );
        let (_, rest) = split(&datagram).expect("a packet");
        let handshake = long_of(rest);
        assert_eq!(
            (handshake.kind, handshake.bytes.len(), handshake.number_at),
            (LongKind::Handshake, 11, 9)
        );
        let (_, rest) = split(rest).expect("a packet");
        assert!(matches!(split(rest), Some((QuicPacket::Short([0x41, 7, 1]), []))));
        assert!(split(&[]).is_none());
    }

    #[test]
    fn a_length_beyond_the_datagram_is_no_packet() {
        assert!(split(&[0xc0, 0, 0, 0, 1, 0, 0, 0, 5, 1, 2]).is_none());
        assert!(split(&[0xc0, 0, 0, 0, 1, 0, 0, 9, 5]).is_none());
        // A Retry shorter than its tag.
        assert!(split(&[0xf0, 0, 0, 0, 1, 0, 0, 9, 5]).is_none());
        assert!(split(&[0xc0, 0, 0, 0, 1, 21]).is_none());
    }
}
