//! How many connections may be open, and for how long.

use crate::net::span::SECOND;

/// Limits on open connections. All times are packet time.
#[derive(Debug, Clone, Copy)]
pub struct FlowLimits {
    /// Connections open at once; the least recently used one is ended beyond that.
    pub open_flows: usize,
    /// Nanoseconds a closed connection is kept for what still arrives and tells something: the reset that answers a FIN.
    /// That takes a round trip; what lingers costs memory.
    pub linger: i64,
    /// The same of one of which both sides sent FIN, and acknowledged that of the other: there is nothing left to answer,
    /// and what still arrives stands out of order in the file.
    pub linger_settled: i64,
    /// Packets of any connection that a closed one waits longer for where bytes of it are missing: files hold packets out of
    /// order, and their times then jump. 0 in live use, where nobody wants to wait.
    pub disorder: u32,
    /// Nanoseconds after that in which its packets are still known and opened nothing: above the first retransmission
    /// timeouts (RFC 6298 §2.4).
    pub late: i64,
    /// Nanoseconds without a packet after which an open connection is ended.
    pub idle: i64,
}

impl Default for FlowLimits {
    fn default() -> Self {
        Self {
            open_flows: 1 << 20,
            linger: SECOND,
            linger_settled: 50_000_000,
            disorder: 1 << 16,
            late: 3_000_000_000,
            idle: 3_600_000_000_000,
        }
    }
}
