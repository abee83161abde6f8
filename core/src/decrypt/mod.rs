//! Secrets of a key log, and the protected records that they open.
//!
//! In go key logs ([`KeyLogReader`]), hellos and protected records; out come what a record holds and the handshake messages in
//! it ([`ConnectionKeys`]). Every record is authenticated before anything is concluded from it; one that fails stays closed. No
//! secret and no content leaves this module but the messages that it was asked for, and nothing here is printed: see
//! [`Secret`].

mod aead;
mod block;
mod connection;
mod direction;
mod log;
mod opener;
mod packet;
mod quic;
#[cfg(test)]
mod rfc8448;
mod schedule;
mod secret;
mod store;
mod suite;
#[cfg(test)]
mod testing;

pub use connection::{ConnectionKeys, Readiness, Speaker};
pub use log::{KeyLogReader, Problem, SkippedLine};
#[cfg(test)]
pub(crate) use packet::retry_tag;
pub use packet::{PacketKey, ProtectedPacket, Scratch, is_retry_authentic};
pub use quic::{QuicKeys, TrafficSpace};
pub use secret::Secret;
pub use store::{Name, SecretKind, Secrets};
