//! QUIC versions 1 and 2 (RFC 9000, RFC 9001, RFC 9369): packets come in, handshake messages and what else the packets
//! show go out.
//!
//! Initial packets are opened with keys that stand in clear, the others where a key log gives theirs. Authentication is
//! the only proof that something is QUIC: whatever does not open is passed over. Connections are not looked up here.

mod cid;
mod connection;
mod crypto;
mod frames;
mod header;
#[cfg(test)]
pub(crate) mod testing;

pub use cid::Cid;
pub use connection::{Happened, QuicConnection, QuicEvent, Space, reset_token};
pub use crypto::CryptoStream;
pub use frames::{Allowed, Frames, QuicFrame};
pub use header::{Long, LongKind, QuicPacket, split, varint};
