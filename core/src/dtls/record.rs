//! The records of one datagram (RFC 6347 §4.1, RFC 9146 §4, RFC 9147 §4). A record never spans two datagrams, and several
//! stand back to back in one; where one does not add up, the rest of its datagram is not read.

use crate::tls::{ContentType, ProtocolVersion, Reader};

/// The first three bits of a header of DTLS 1.3 (RFC 9147 §4).
const UNIFIED: u8 = 0b0010_0000;
const UNIFIED_MASK: u8 = 0b1110_0000;
const WITH_CONNECTION_ID: u8 = 0b0001_0000;
const LONG_NUMBER: u8 = 0b0000_1000;
const WITH_LENGTH: u8 = 0b0000_0100;
const EPOCH: u8 = 0b0000_0011;

/// What the header says of the number of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// Epoch and sequence number in clear.
    Clear {
        /// Epoch: 0 is not protected.
        epoch: u16,
        /// 48 bits.
        sequence: u64,
    },
    /// DTLS 1.3: the last two bits of the epoch; the sequence number is encrypted.
    Encrypted {
        /// 1 early data, 2 handshake, 3 or 0 application data (RFC 9147 §6.1).
        epoch_bits: u8,
    },
}

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DtlsRecord<'a> {
    /// Content type; in DTLS 1.3 under protection that of what is inside is not visible, and this is application data.
    pub content_type: ContentType,
    /// Version as the header states it; DTLS 1.2 for the headers that state none.
    pub version: ProtocolVersion,
    /// Its number.
    pub number: Number,
    /// Connection ID of the receiver.
    pub connection_id: Option<&'a [u8]>,
    /// The header as it stands in the datagram.
    pub header: &'a [u8],
    /// Length of the body as the header states it.
    pub length: u16,
    /// The body, as far as it was captured.
    pub body: &'a [u8],
}

impl DtlsRecord<'_> {
    /// Whether it is not protected.
    #[must_use]
    pub const fn is_clear(&self) -> bool {
        matches!(self.number, Number::Clear { epoch: 0, .. })
    }

    /// Whether the whole body was captured.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.body.len() == self.length as usize
    }
}

/// Walks the records of a datagram. `cut` says how many bytes of it were not captured, `connection_id` how long the IDs
/// are in this direction: no record says so (RFC 9146 §4, RFC 9147 §4).
pub fn records(datagram: &[u8], cut: u32, connection_id: Option<usize>) -> impl Iterator<Item = DtlsRecord<'_>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let found = record(rest, cut, connection_id);
        // What does not add up ends the datagram.
        rest = found.map_or(&[], |(_, after)| after);
        found.map(|(record, _)| record)
    })
}

fn record(bytes: &[u8], cut: u32, connection_id: Option<usize>) -> Option<(DtlsRecord<'_>, &[u8])> {
    let first = *bytes.first()?;
    if first & UNIFIED_MASK == UNIFIED {
        unified(bytes, cut, connection_id)
    } else {
        plain(bytes, cut, connection_id)
    }
}

/// Thirteen bytes, with the connection ID between sequence number and length in records of type 25.
fn plain(bytes: &[u8], cut: u32, connection_id: Option<usize>) -> Option<(DtlsRecord<'_>, &[u8])> {
    let mut reader = Reader::new(bytes);
    let content_type = ContentType(reader.u8()?);
    let version = ProtocolVersion(reader.u16()?);
    let supported = matches!(version, ProtocolVersion::DTLS_1_0 | ProtocolVersion::DTLS_1_2);
    if !is_known(content_type) || !supported {
        return None;
    }
    let epoch = reader.u16()?;
    let (high, low) = (reader.u16()?, reader.u32()?);
    let connection_id = match content_type {
        ContentType::TLS12_CID => Some(reader.take(connection_id?)?),
        _ => None,
    };
    let length = reader.u16()?;
    let number = Number::Clear {
        epoch,
        sequence: u64::from(high) << 32 | u64::from(low),
    };
    let header = bytes.get(..bytes.len() - reader.rest().len())?;
    let (body, after) = body(reader.rest(), length, cut)?;
    let record = DtlsRecord {
        content_type,
        version,
        number,
        connection_id,
        header,
        length,
        body,
    };
    Some((record, after))
}

const fn is_known(content_type: ContentType) -> bool {
    matches!(
        content_type,
        ContentType::CHANGE_CIPHER_SPEC
            | ContentType::ALERT
            | ContentType::HANDSHAKE
            | ContentType::APPLICATION_DATA
            | ContentType::HEARTBEAT
            | ContentType::TLS12_CID
            | ContentType::ACK
    )
}

/// RFC 9147 §4: `001CSLEE`, then the connection ID, one or two bytes of number, and perhaps a length.
fn unified(bytes: &[u8], cut: u32, connection_id: Option<usize>) -> Option<(DtlsRecord<'_>, &[u8])> {
    let mut reader = Reader::new(bytes);
    let first = reader.u8()?;
    let connection_id = match first & WITH_CONNECTION_ID {
        0 => None,
        _ => Some(reader.take(connection_id?)?),
    };
    reader.take(if first & LONG_NUMBER == 0 { 1 } else { 2 })?;
    let length = match first & WITH_LENGTH {
        // Without a length the record takes the rest of the datagram.
        0 => u16::try_from(reader.rest().len() + usize::try_from(cut).ok()?).ok()?,
        _ => reader.u16()?,
    };
    // RFC 9147 §4.2.3: less than 16 bytes cannot be unmasked, and a receiver drops them.
    if length < 16 {
        return None;
    }
    let header = bytes.get(..bytes.len() - reader.rest().len())?;
    let (body, after) = body(reader.rest(), length, cut)?;
    let record = DtlsRecord {
        content_type: ContentType::APPLICATION_DATA,
        version: ProtocolVersion::DTLS_1_2,
        number: Number::Encrypted {
            epoch_bits: first & EPOCH,
        },
        connection_id,
        header,
        length,
        body,
    };
    Some((record, after))
}

/// Splits a body off; what the snap length took off the end of the datagram may be missing of the last one.
fn body(rest: &[u8], length: u16, cut: u32) -> Option<(&[u8], &[u8])> {
    let length = usize::from(length);
    match rest.split_at_checked(length) {
        Some(parts) => Some(parts),
        None if rest.len() + usize::try_from(cut).ok()? >= length => Some((rest, &[])),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record with a header of 13 bytes.
    fn bytes(content_type: u8, epoch: u8, sequence: u8, body: &[u8]) -> Vec<u8> {
        let length = u8::try_from(body.len()).expect("short");
        let mut bytes = vec![content_type, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, sequence, 0, length];
        bytes.extend(body);
        bytes
    }

    fn lengths(datagram: &[u8], cut: u32, connection_id: Option<usize>) -> Vec<u16> {
        records(datagram, cut, connection_id)
            .map(|record| record.length)
            .collect()
    }

    #[test]
    fn records_stand_back_to_back() {
        let mut datagram = bytes(22, 0, 3, &[1; 5]);
        datagram.extend(bytes(20, 0, 4, &[1]));
        datagram.extend(bytes(22, 1, 0, &[2; 40]));
        let found: Vec<_> = records(&datagram, 0, None).collect();
        let numbers: Vec<_> = found.iter().map(|record| record.number).collect();
        let clear = |epoch, sequence| Number::Clear { epoch, sequence };
        assert_eq!(numbers, [clear(0, 3), clear(0, 4), clear(1, 0)]);
        assert_eq!([true, true, false], [0, 1, 2].map(|at: usize| found[at].is_clear()));
        assert_eq!(found[2].body, [2; 40]);
    }

    #[test]
    fn what_does_not_add_up_ends_the_datagram() {
        let mut datagram = bytes(22, 0, 3, &[1; 5]);
        datagram.extend(bytes(23, 1, 4, &[1; 9]));
        datagram.pop();
        assert_eq!(lengths(&datagram, 0, None), [5]);
        assert_eq!(
            lengths(&datagram, 1, None),
            [5, 9],
            "the snap length took the last byte"
        );
        for (at, value) in [(0, 24), (0, 27), (1, 3), (2, 0xfc)] {
            let mut other = bytes(22, 0, 0, &[1; 5]);
            other[at] = value;
            assert_eq!(
                lengths(&other, 0, None).is_empty(),
                (at, value) != (0, 24),
                "{at} {value}"
            );
        }
    }

    #[test]
    fn the_connection_id_stands_between_number_and_length() {
        let mut datagram = vec![25, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 7, 0xaa, 0xbb, 0, 3, 1, 2, 3];
        let found: Vec<_> = records(&datagram, 0, Some(2)).collect();
        assert_eq!(found[0].connection_id, Some(&[0xaa, 0xbb][..]));
        assert_eq!((found[0].body, found[0].header.len()), (&[1, 2, 3][..], 15));
        assert!(lengths(&datagram, 0, None).is_empty(), "its length is not known");
        datagram.push(0);
        assert_eq!(lengths(&datagram, 0, Some(2)), [3]);
    }

    #[test]
    fn a_unified_header_may_leave_out_what_is_known() {
        // Two bytes of number and a length, then one byte of number and no length.
        let mut datagram = vec![0b0010_1110, 1, 2, 0, 16];
        datagram.extend([0; 16]);
        datagram.extend([0b0010_0011, 9]);
        datagram.extend([0; 20]);
        assert_eq!(lengths(&datagram, 0, None), [16, 20]);
        let epochs: Vec<_> = records(&datagram, 0, None).map(|record| record.number).collect();
        let hidden = |epoch_bits| Number::Encrypted { epoch_bits };
        assert_eq!(epochs, [hidden(2), hidden(3)]);
        // With a connection ID of which the length is not known nothing can be read.
        let mut with_id = vec![0b0011_0010, 0xaa, 9];
        with_id.extend([0; 20]);
        assert_eq!(lengths(&with_id, 0, Some(1)), [20]);
        assert!(lengths(&with_id, 0, None).is_empty());
        assert!(
            lengths(&[0b0010_0011, 9, 1, 2], 0, None).is_empty(),
            "too short to be one"
        );
    }

    #[test]
    fn a_number_has_48_bits() {
        let mut record = bytes(23, 1, 5, &[1; 3]);
        record[5] = 2;
        let number = records(&record, 0, None).map(|record| record.number).next();
        let sequence = (2 << 40) | 5;
        assert_eq!(number, Some(Number::Clear { epoch: 1, sequence }));
    }

    #[test]
    fn without_a_length_what_the_snap_length_took_is_of_the_record() {
        let mut datagram = vec![0b0010_0011, 9];
        datagram.extend([0; 20]);
        let found: Vec<_> = records(&datagram, 7, None).collect();
        assert_eq!(
            (found[0].length, found[0].body.len(), found[0].header),
            (27, 20, &[0b0010_0011, 9][..])
        );
        assert!(!found[0].is_whole() && records(&datagram, 0, None).all(|record| record.is_whole()));
    }
}
