//! DTLS 1.0 to 1.3 (RFC 4347, RFC 6347, RFC 9146, RFC 9147): datagrams of one pair of endpoints in, TLS events out. What
//! the messages say is no different from TLS, and is read there.

pub mod message;
pub mod record;
