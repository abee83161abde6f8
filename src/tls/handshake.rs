//! One complete handshake message, typed as far as resumption needs it.

use super::codec::Reader;
use super::hello::{ClientHello, ServerHello};
use super::names::HandshakeType;

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

/// A plaintext handshake message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<'a> {
    /// ClientHello.
    ClientHello(Box<ClientHello<'a>>),
    /// ServerHello or HelloRetryRequest.
    ServerHello(Box<ServerHello<'a>>),
    /// NewSessionTicket of TLS 1.2 and older.
    NewSessionTicket(NewSessionTicket<'a>),
    /// Certificate of TLS 1.2 and older: the first (end-entity) certificate in DER, empty for an empty list.
    Certificate(&'a [u8]),
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
            HandshakeType::NEW_SESSION_TICKET => NewSessionTicket::parse(body).map(Self::NewSessionTicket),
            HandshakeType::CERTIFICATE => first_certificate(body).map(Self::Certificate),
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
