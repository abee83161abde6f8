//! How much of QUIC is held before anybody has proved anything.

/// Connections being opened: no ServerHello yet. Beyond that the oldest is given up.
pub(super) const MAX_OPENING: usize = 1 << 16;
/// Packets read in a datagram; nobody coalesces more than one of each kind.
pub(super) const MAX_PACKETS: usize = 8;
/// Initials of a pair of endpoints that did not open, after which no more are tried.
pub(super) const MAX_FAILURES: u8 = 16;
/// Retries remembered of a server whose client was not seen: each datagram of a first flight may draw one.
pub(super) const MAX_RETRIES: usize = 4;
/// Pairs of endpoints of which something is remembered before there is a connection.
pub(super) const MAX_STRANGERS: usize = 1 << 12;
/// Nanoseconds of silence after which a connection is over: above the idle timeouts that servers announce, and the time
/// in which a machine that took over still resets what it does not know.
pub(super) const IDLE: i64 = 300_000_000_000;
/// Nanoseconds in which a client reacts to what it is told: a round trip of the slowest networks.
pub(super) const REACTION: i64 = 1_000_000_000;
