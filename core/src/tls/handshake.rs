//! One complete handshake message, typed as far as resumption needs it.

use super::codec::Reader;
use super::hello::{ClientHello, ServerHello, extensions};
use super::names::{ExtensionType, HandshakeType};

/// NewSessionTicket of TLS 1.2 and older (RFC 5077 §3.3). tls-parser leaves the length prefix in the ticket, which
/// would then never equal the ticket that a ClientHello carries, so it is decoded here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewSessionTicket<'a> {
    /// Lifetime hint in seconds; 0 means unspecified.
    pub lifetime_hint: u32,
    /// The ticket; empty when the server withdraws its promise of one.
    pub ticket: &'a [u8],
}

impl<'a> NewSessionTicket<'a> {
    fn parse(body: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        Some(Self {
            lifetime_hint: reader.u32()?,
            ticket: reader.vec16()?,
        })
    }
}

/// NewSessionTicket of TLS 1.3 (RFC 8446 §4.6.1), which tls-parser does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PskTicket<'a> {
    /// Lifetime in seconds from issue; 0 asks the client to discard the ticket at once.
    pub lifetime: u32,
    /// What masks the age in an offer.
    pub age_add: u32,
    /// The ticket: the identity of a PSK.
    pub ticket: &'a [u8],
    /// Bytes of early data that may be sent with it; `None` without the extension, which forbids any.
    pub max_early_data: Option<u32>,
}

impl<'a> PskTicket<'a> {
    fn parse(body: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        let (lifetime, age_add) = (reader.u32()?, reader.u32()?);
        reader.vec8()?; // ticket_nonce
        let ticket = reader.vec16()?;
        let early_data = extensions(reader.vec16()?).find(|(kind, ..)| *kind == ExtensionType::EARLY_DATA);
        Some(Self {
            lifetime,
            age_add,
            ticket,
            max_early_data: early_data.and_then(|(_, body)| Reader::new(body).u32()),
        })
    }
}

/// EncryptedExtensions (RFC 8446 §4.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncryptedExtensions<'a> {
    /// early_data is there: it was accepted (RFC 8446 §4.2.10).
    pub early_data: bool,
    /// The protocol that ALPN chose.
    pub alpn: Option<&'a [u8]>,
}

impl<'a> EncryptedExtensions<'a> {
    fn parse(body: &'a [u8]) -> Option<Self> {
        let mut found = Self {
            early_data: false,
            alpn: None,
        };
        for (kind, body) in extensions(Reader::new(body).vec16()?) {
            match kind {
                ExtensionType::EARLY_DATA => found.early_data = true,
                ExtensionType::ALPN => found.alpn = Reader::new(Reader::new(body).vec16()?).vec8(),
                _ => {}
            }
        }
        Some(found)
    }
}

/// A handshake message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<'a> {
    /// ClientHello.
    ClientHello(Box<ClientHello<'a>>),
    /// ServerHello or HelloRetryRequest.
    ServerHello(Box<ServerHello<'a>>),
    /// NewSessionTicket of TLS 1.2 and older.
    NewSessionTicket(NewSessionTicket<'a>),
    /// NewSessionTicket of TLS 1.3.
    PskTicket(PskTicket<'a>),
    /// EncryptedExtensions.
    EncryptedExtensions(EncryptedExtensions<'a>),
    /// Certificate: the first (end-entity) certificate in DER, empty for an empty list.
    Certificate(&'a [u8]),
    /// ClientKeyExchange of TLS 1.2 and older: its body.
    ClientKeyExchange(&'a [u8]),
    /// A message of which only the type matters.
    Other(HandshakeType),
    /// A message of this type that could not be read.
    Malformed(HandshakeType),
}

impl<'a> Message<'a> {
    /// Types a complete message, header included.
    #[must_use]
    pub fn parse(message: &'a [u8]) -> Self {
        let kind = HandshakeType(message.first().copied().unwrap_or_default());
        let body = message.get(4..).unwrap_or_default();
        let typed = match kind {
            HandshakeType::CLIENT_HELLO => ClientHello::parse(message).map(|hello| Self::ClientHello(Box::new(hello))),
            HandshakeType::SERVER_HELLO => ServerHello::parse(message).map(|hello| Self::ServerHello(Box::new(hello))),
            HandshakeType::HELLO_RETRY_REQUEST => {
                ServerHello::parse_early_retry(message).map(|hello| Self::ServerHello(Box::new(hello)))
            }
            HandshakeType::NEW_SESSION_TICKET => NewSessionTicket::parse(body).map(Self::NewSessionTicket),
            HandshakeType::CERTIFICATE => first_certificate(body).map(Self::Certificate),
            HandshakeType::CLIENT_KEY_EXCHANGE => Some(Self::ClientKeyExchange(body)),
            _ => Some(Self::Other(kind)),
        };
        typed.unwrap_or(Self::Malformed(kind))
    }

    /// Types a complete message of TLS 1.3, header included, that came under protection.
    #[must_use]
    pub fn parse_tls13(message: &'a [u8]) -> Self {
        let kind = HandshakeType(message.first().copied().unwrap_or_default());
        let body = message.get(4..).unwrap_or_default();
        let typed = match kind {
            HandshakeType::NEW_SESSION_TICKET => PskTicket::parse(body).map(Self::PskTicket),
            HandshakeType::ENCRYPTED_EXTENSIONS => EncryptedExtensions::parse(body).map(Self::EncryptedExtensions),
            // certificate_request_context comes first (RFC 8446 §4.4.2).
            HandshakeType::CERTIFICATE => {
                let mut reader = Reader::new(body);
                reader
                    .vec8()
                    .and_then(|_| first_certificate(reader.rest()))
                    .map(Self::Certificate)
            }
            _ => Some(Self::Other(kind)),
        };
        typed.unwrap_or(Self::Malformed(kind))
    }
}

fn first_certificate(body: &[u8]) -> Option<&[u8]> {
    let mut list = Reader::new(Reader::new(body).vec24()?);
    if list.is_empty() { Some(&[]) } else { list.vec24() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ticket_comes_without_its_length() {
        let message = [4, 0, 0, 9, 0, 0, 1, 44, 0, 3, 0xaa, 0xbb, 0xcc];
        let Message::NewSessionTicket(ticket) = Message::parse(&message) else {
            panic!("typed")
        };
        assert_eq!(
            ticket,
            NewSessionTicket {
                lifetime_hint: 300,
                ticket: &[0xaa, 0xbb, 0xcc]
            }
        );
    }

    #[test]
    fn a_zero_length_ticket_is_a_ticket_withdrawn() {
        let Message::NewSessionTicket(ticket) = Message::parse(&[4, 0, 0, 6, 0, 0, 0, 0, 0, 0]) else {
            panic!("typed")
        };
        assert!(ticket.ticket.is_empty());
    }

    #[test]
    fn a_truncated_hello_is_malformed_and_not_something_else() {
        assert_eq!(
            Message::parse(&[1, 0, 0, 2, 3, 3]),
            Message::Malformed(HandshakeType::CLIENT_HELLO)
        );
        assert_eq!(
            Message::parse(&[14, 0, 0, 0]),
            Message::Other(HandshakeType::SERVER_HELLO_DONE)
        );
    }
}
