//! Bytes become TLS messages.
//!
//! [`RecordDecoder`] takes the ordered bytes of one direction and yields [`RecordEvent`]s: complete plaintext handshake messages,
//! ChangeCipherSpec, plaintext alerts, and the type and length of every protected record. [`search`] finds where TLS
//! begins. Nothing here knows packets, times, connections or which side is speaking.

pub mod certificate;
pub mod cipher;
mod codec;
pub mod handshake;
pub mod hello;
pub mod names;
pub mod record;
pub mod search;

pub use cipher::CertificateOperation;
pub use codec::Reader;
pub use handshake::Message;
pub use hello::{ClientHello, ServerHello};
pub use names::{AlertDescription, CipherSuite, ContentType, ProtocolVersion};
pub use record::{Content, Keep, RecordDecoder, RecordEvent, Sealed};
