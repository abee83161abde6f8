//! Frames in the payload of a packet (RFC 9000 §19): those that matter here, the others passed over.

use super::cid::Cid;
use super::header::varint;
use crate::tls::Reader;

/// A frame that tells something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuicFrame<'a> {
    /// Bytes of TLS, at an offset of their stream.
    Crypto {
        /// Offset.
        offset: u64,
        /// Bytes.
        data: &'a [u8],
    },
    /// CONNECTION_CLOSE.
    Close {
        /// By the application, else by QUIC.
        application: bool,
        /// Error code.
        code: u64,
    },
    /// NEW_CONNECTION_ID: its sender may be called so.
    NewConnectionId {
        /// The ID.
        id: Cid,
        /// What a stateless reset of packets with this ID ends in.
        token: [u8; 16],
    },
    /// HANDSHAKE_DONE: the server has the client's Finished.
    HandshakeDone,
}

/// One frame, read.
enum Read<'a> {
    /// It tells something.
    Telling(QuicFrame<'a>),
    /// It was passed over.
    Other,
}

/// Which frames a packet may hold (RFC 9000 §12.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// Those of Initial and Handshake packets.
    Handshake,
    /// All.
    All,
}

/// The frames of a payload that tell something. Ends at the first one that cannot be read or must not stand there.
#[derive(Debug, Clone)]
pub struct Frames<'a> {
    reader: Reader<'a>,
    allowed: Allowed,
}

impl<'a> Frames<'a> {
    /// Of a payload.
    #[must_use]
    pub const fn new(payload: &'a [u8], allowed: Allowed) -> Self {
        Self {
            reader: Reader::new(payload),
            allowed,
        }
    }

    /// The next frame; `None` at the end.
    fn read(&mut self) -> Option<Read<'a>> {
        let reader = &mut self.reader;
        let kind = varint(reader)?;
        if self.allowed == Allowed::Handshake && !matches!(kind, 0..=3 | 6 | 0x1c) {
            return None;
        }
        match kind {
            // PADDING, PING, IMMEDIATE_ACK.
            0 | 1 | 0x1f => {}
            0x1e => return Some(Read::Telling(QuicFrame::HandshakeDone)),
            2 | 3 => acknowledged(reader, kind == 3)?,
            6 => {
                let offset = varint(reader)?;
                let data = bytes(reader)?;
                // No stream is longer (RFC 9000 §19.6).
                offset.checked_add(data.len() as u64).filter(|end| *end < 1 << 62)?;
                return Some(Read::Telling(QuicFrame::Crypto { offset, data }));
            }
            // NEW_TOKEN, and DATAGRAM with a length (RFC 9221).
            7 | 0x31 => drop(bytes(reader)?),
            // RESET_STREAM, STOP_SENDING and the limits: so many integers.
            4 => integers(reader, 3)?,
            5 | 0x11 | 0x15 => integers(reader, 2)?,
            0x10 | 0x12..=0x14 | 0x16 | 0x17 | 0x19 => integers(reader, 1)?,
            8..=0x0f => stream(reader, kind)?,
            0x18 => return Some(Read::Telling(new_connection_id(reader)?)),
            0x1a | 0x1b => drop(reader.take(8)?),
            0x1c | 0x1d => {
                let application = kind == 0x1d;
                let code = varint(reader)?;
                if !application {
                    varint(reader)?;
                }
                bytes(reader)?;
                return Some(Read::Telling(QuicFrame::Close { application, code }));
            }
            // DATAGRAM without one.
            0x30 => drop(reader.take(reader.rest().len())?),
            // ACK_FREQUENCY, of a draft that is in use.
            0xaf => integers(reader, 4)?,
            _ => return None,
        }
        Some(Read::Other)
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = QuicFrame<'a>;

    fn next(&mut self) -> Option<QuicFrame<'a>> {
        loop {
            if let Read::Telling(frame) = self.read()? {
                return Some(frame);
            }
        }
    }
}

fn integers(reader: &mut Reader<'_>, count: u64) -> Option<()> {
    (0..count).try_for_each(|_| varint(reader).map(drop))
}

/// Bytes behind their length.
fn bytes<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let length = varint(reader)?;
    reader.take(usize::try_from(length).ok()?)
}

/// RFC 9000 §19.3.
fn acknowledged(reader: &mut Reader<'_>, with_ecn: bool) -> Option<()> {
    integers(reader, 2)?;
    let ranges = varint(reader)?;
    integers(reader, 1)?;
    // Each range has two integers of a byte at least, which bounds the loop.
    integers(reader, ranges.checked_mul(2)?)?;
    if with_ecn { integers(reader, 3) } else { Some(()) }
}

/// RFC 9000 §19.8.
fn stream(reader: &mut Reader<'_>, kind: u64) -> Option<()> {
    integers(reader, if kind & 4 == 0 { 1 } else { 2 })?;
    let length = if kind & 2 == 0 {
        reader.rest().len()
    } else {
        usize::try_from(varint(reader)?).ok()?
    };
    reader.take(length).map(drop)
}

/// RFC 9000 §19.15.
fn new_connection_id<'a>(reader: &mut Reader<'_>) -> Option<QuicFrame<'a>> {
    integers(reader, 2)?;
    let id = Cid::new(reader.vec8()?)?;
    let token = *reader.array()?;
    Some(QuicFrame::NewConnectionId { id, token })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(payload: &[u8], allowed: Allowed) -> Vec<QuicFrame<'_>> {
        Frames::new(payload, allowed).collect()
    }

    const CRYPTO: QuicFrame<'static> = QuicFrame::Crypto {
        offset: 5,
        data: &[9, 8],
    };

    #[test]
    fn frames_between_are_passed_over() {
        let payload = [
            &[0, 0, 1][..],            // PADDING, PING
            &[2, 9, 1, 1, 3, 0, 2],    // ACK with one more range
            &[6, 5, 2, 9, 8],          // CRYPTO
            &[3, 9, 1, 0, 3, 1, 1, 1], // ACK with ECN
            &[0x1c, 0x41, 0x78, 6, 2, b'n', b'o'],
        ]
        .concat();
        let close = QuicFrame::Close {
            application: false,
            code: 0x178,
        };
        assert_eq!(all(&payload, Allowed::Handshake), [CRYPTO, close]);
    }

    #[test]
    fn a_frame_that_must_not_stand_there_ends_the_packet() {
        // STREAM, then CRYPTO.
        let payload = [0x0a, 4, 1, 0xff, 6, 5, 2, 9, 8];
        assert_eq!(all(&payload, Allowed::Handshake), []);
        assert_eq!(all(&payload, Allowed::All), [CRYPTO]);
        // The application cannot close in a handshake (RFC 9000 §12.4).
        assert_eq!(all(&[0x1d, 0, 0], Allowed::Handshake), []);
    }

    #[test]
    fn every_frame_of_rfc_9000_is_as_long_as_it_says() {
        let others: [&[u8]; 19] = [
            &[4, 1, 2, 3],
            &[5, 1, 2],
            &[7, 2, 1, 1],
            &[0x0e, 1, 2, 1, 7],
            &[0x0b, 1, 2, 7, 7],
            &[0x10, 1],
            &[0x11, 1, 2],
            &[0x12, 1],
            &[0x13, 1],
            &[0x14, 1],
            &[0x15, 1, 2],
            &[0x16, 1],
            &[0x17, 1],
            &[0x19, 1],
            &[0x1a, 1, 2, 3, 4, 5, 6, 7, 8],
            &[0x1b, 1, 2, 3, 4, 5, 6, 7, 8],
            &[0x31, 1, 9],
            &[0x40, 0xaf, 1, 2, 3, 4],
            &[1],
        ];
        for other in others {
            let payload = [other, &[6, 5, 2, 9, 8]].concat();
            assert_eq!(all(&payload, Allowed::All), [CRYPTO], "{other:?}");
        }
        // The one that is told.
        let done = [0x1e, 6, 5, 2, 9, 8];
        assert_eq!(all(&done, Allowed::All), [QuicFrame::HandshakeDone, CRYPTO]);
    }

    #[test]
    fn a_stream_or_a_datagram_without_a_length_takes_the_rest() {
        // STREAM without offset and length, with an offset, and DATAGRAM: what looks like a frame is content.
        let frames: [&[u8]; 3] = [
            &[8, 4, 0, 6, 5, 2, 9, 8],
            &[0x0c, 4, 1, 0, 6, 5, 2, 9, 8],
            &[0x30, 6, 5, 2, 9, 8],
        ];
        for frame in frames {
            let payload = [&[6, 5, 2, 9, 8], frame].concat();
            assert_eq!(all(&payload, Allowed::All), [CRYPTO], "{frame:?}");
        }
        // With a length and no offset.
        assert_eq!(all(&[0x0a, 4, 0, 6, 5, 2, 9, 8], Allowed::All), [CRYPTO]);
    }

    #[test]
    fn a_new_connection_id_comes_with_its_token() {
        let mut payload = vec![0x18, 1, 0, 3, 1, 2, 3];
        payload.extend([7; 16]);
        let expected = QuicFrame::NewConnectionId {
            id: Cid::new(&[1, 2, 3]).expect("short"),
            token: [7; 16],
        };
        assert_eq!(all(&payload, Allowed::All), [expected]);
        assert_eq!(all(&payload[..20], Allowed::All), []);
    }

    #[test]
    fn a_length_beyond_the_packet_ends_it() {
        assert_eq!(all(&[6, 0, 5, 1, 2], Allowed::Handshake), []);
        assert_eq!(
            all(
                &[2, 9, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 3],
                Allowed::Handshake
            ),
            []
        );
        // Beyond the longest stream.
        assert_eq!(
            all(
                &[6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1],
                Allowed::Handshake
            ),
            []
        );
    }
}
