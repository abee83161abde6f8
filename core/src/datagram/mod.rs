//! UDP datagrams that may be QUIC or DTLS: told apart by their first bytes, and let in only where a handshake may be.
//!
//! In comes a [`crate::net::Datagram`], out goes which of the two reads it, if any. Nothing is decrypted here and no
//! connection is kept; what a datagram really is shows where it is read.

mod gate;
pub mod kind;

pub use gate::{Gate, Protocol};
