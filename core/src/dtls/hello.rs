//! What only the hellos of DTLS have: the cookie of a ClientHello, which stands in the middle of it (RFC 6347 §4.2.1), the
//! HelloVerifyRequest, and the connection IDs that both sides want to be called by (RFC 9146 §3).

use crate::tls::Reader;
use crate::tls::hello::HELLO_RETRY_REQUEST;
use crate::tls::names::{ExtensionType, HandshakeType};

/// What the first bytes of a hello say, whatever follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Opening {
    /// The random: what tells one handshake from another (RFC 6347 §4.2.8).
    pub(super) random: [u8; 32],
}

impl Opening {
    /// Reads the beginning of the body of a ClientHello or ServerHello; `None` where it cannot be one. Both begin with
    /// `fe xx`, also in DTLS 1.3 (RFC 9147 §5.3 and §5.4).
    #[must_use]
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        let version = reader.u16()?;
        let random = *reader.array::<32>()?;
        let session_id = reader.u8()?;
        (matches!(version, 0xfeff | 0xfefd) && session_id <= 32).then_some(Self { random })
    }

    /// Whether it is a HelloRetryRequest.
    #[must_use]
    pub(super) fn is_retry(&self) -> bool {
        self.random == HELLO_RETRY_REQUEST
    }
}

/// A hello as TLS has it, and what DTLS adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hello {
    /// The message with a header of four bytes, without the cookie.
    pub(super) message: Vec<u8>,
    /// Random.
    pub(super) random: [u8; 32],
    /// A cookie stands in it.
    pub(super) cookie: bool,
    /// The extension of HelloRetryRequest that carries one (RFC 8446 §4.2.2).
    pub(super) retry_cookie: bool,
    /// It is a HelloRetryRequest.
    pub(super) retry: bool,
    /// The connection ID by which its sender wants to be called; `None` without the extension.
    pub(super) connection_id: Option<Vec<u8>>,
}

impl Hello {
    /// Reads a whole ClientHello or ServerHello.
    #[must_use]
    pub(super) fn read(message: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(message);
        let kind = HandshakeType(reader.u8()?);
        let body = reader.vec24()?;
        let random = Opening::read(body)?.random;
        let mut reader = Reader::new(body.get(34..)?);
        reader.vec8()?; // session_id
        let before = body.len() - reader.rest().len();
        let mut cookie = false;
        let mut without = message.to_vec();
        if kind == HandshakeType::CLIENT_HELLO {
            cookie = !reader.vec8()?.is_empty();
            let after = body.len() - reader.rest().len();
            without.drain(4 + before..4 + after);
            let [_, a, b, c] = u32::try_from(without.len() - 4).ok()?.to_be_bytes();
            without.get_mut(1..4)?.copy_from_slice(&[a, b, c]);
            reader.vec16()?; // suites
            reader.vec8()?; // compression methods
        } else {
            reader.take(3)?; // suite and compression method
        }
        let block = reader.vec16().unwrap_or_default();
        Some(Self {
            message: without,
            random,
            cookie,
            retry_cookie: extension(block, ExtensionType::COOKIE).is_some(),
            retry: random == HELLO_RETRY_REQUEST,
            connection_id: extension(block, ExtensionType::CONNECTION_ID)
                .and_then(|body| Some(Reader::new(body).vec8()?.to_vec())),
        })
    }
}

/// Whether this is the body of a HelloVerifyRequest (RFC 6347 §4.2.1).
#[must_use]
pub(super) fn is_verify_request(body: &[u8]) -> bool {
    let mut reader = Reader::new(body);
    let version = reader.u16();
    let cookie = reader.vec8();
    matches!(version, Some(0xfeff | 0xfefd)) && cookie.is_some() && reader.is_empty()
}

fn extension(block: &[u8], wanted: ExtensionType) -> Option<&[u8]> {
    let mut reader = Reader::new(block);
    loop {
        let kind = ExtensionType(reader.u16()?);
        let body = reader.vec16()?;
        if kind == wanted {
            return Some(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::{ClientHello, ProtocolVersion};

    /// A ClientHello with a cookie and an extension that asks for a connection ID of two bytes.
    fn client_hello(cookie: &[u8]) -> Vec<u8> {
        let mut body = vec![0xfe, 0xfd];
        body.extend([7; 32]);
        body.extend([2, 0xaa, 0xbb, u8::try_from(cookie.len()).expect("short")]);
        body.extend(cookie);
        body.extend([0, 2, 0xc0, 0x2f, 1, 0, 0, 7, 0, 54, 0, 3, 2, 1, 2]);
        let length = u8::try_from(body.len()).expect("short");
        [&[1, 0, 0, length][..], &body].concat()
    }

    #[test]
    fn without_its_cookie_it_is_a_hello_of_tls() {
        for cookie in [&[][..], &[1, 2, 3]] {
            let hello = Hello::read(&client_hello(cookie)).expect("readable");
            assert_eq!(hello.cookie, !cookie.is_empty());
            assert_eq!((hello.random, hello.connection_id), ([7; 32], Some(vec![1, 2])));
            let parsed = ClientHello::parse(&hello.message).expect("readable");
            assert_eq!(parsed.version, ProtocolVersion::DTLS_1_2);
            assert_eq!((parsed.session_id, parsed.cipher_suites.len()), (&[0xaa, 0xbb][..], 1));
            let length = usize::from(hello.message[3]);
            assert_eq!(length + 4, hello.message.len());
        }
    }

    #[test]
    fn a_hello_that_ends_early_is_none() {
        let message = client_hello(&[1, 2, 3]);
        for length in 0..message.len() {
            let _ = Hello::read(&message[..length]);
        }
        assert_eq!(Hello::read(&message[..40]), None);
        let mut of_tls = message;
        of_tls[4..6].copy_from_slice(&[3, 3]);
        assert_eq!(Hello::read(&of_tls), None);
    }

    #[test]
    fn a_verify_request_is_a_version_and_a_cookie() {
        assert!(is_verify_request(&[0xfe, 0xff, 2, 1, 2]));
        assert!(!is_verify_request(&[0xfe, 0xff, 2, 1, 2, 3]));
        assert!(!is_verify_request(&[0xfe, 0xff, 2, 1]));
        assert!(!is_verify_request(&[3, 3, 2, 1, 2]));
    }
}
