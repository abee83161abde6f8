//! How much a run may hold.

use super::DatagramLimits;
use crate::decrypt::Secrets;
use crate::store::MAX_VALUE_BYTES;
use crate::tcp::FlowLimits;

/// Bounds of one run.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Open connections.
    pub flows: FlowLimits,
    /// Bytes kept for finished connections and credentials; beyond that the oldest are folded into counts.
    pub kept_bytes: usize,
    /// Whether these bytes are also for the services of finished connections, kept and folded.
    pub services_count: bool,
    /// Bytes of names, suite lists, certificates and outer headers that are remembered to be shared.
    pub shared_bytes: usize,
    /// Nanoseconds of packet time after which a finished connection is folded into the counts when time passes
    /// ([`Engine::advance`](super::Engine::advance)).
    pub kept_for: i64,
    /// Bytes held back for secrets that may come, all connections together.
    pub held_for_keys: usize,
    /// Client randoms whose secrets are kept.
    pub key_randoms: usize,
    /// Bytes that open connections hold back in all: segments out of order, unfinished messages, the search for TLS.
    /// Beyond that those that hold more than their share are ended.
    pub buffered_bytes: usize,
    /// Open QUIC connections and DTLS associations, of each so many.
    pub datagrams: DatagramLimits,
}

impl Limits {
    /// What an open connection takes at most beside what it holds back, with its place in the tables.
    const OPEN_BYTES: usize = 4096;
    /// What the secrets of a client random take.
    const RANDOM_BYTES: usize = 512;
    /// Less than this for all that is not finished connections would end ordinary ones.
    const FLOOR: usize = 8 << 20;

    /// What a process takes before it keeps anything: code, buffers of the reader, names that connections share.
    const OWN: usize = 16 << 20;

    /// So many bytes shared out: half of what the process itself leaves for finished connections, an eighth for open ones over
    /// TCP and as much for those over UDP, a sixteenth each for what these hold back, for keys and for what waits for keys.
    /// The rest is for the report.
    #[must_use]
    pub fn within(memory: usize) -> Self {
        let rest = memory.max(Self::FLOOR);
        let own = (memory / 4).min(Self::OWN);
        Self {
            flows: FlowLimits {
                open_flows: rest / 8 / Self::OPEN_BYTES,
                ..FlowLimits::default()
            },
            kept_bytes: (memory - own) / 2,
            services_count: true,
            shared_bytes: (memory / 16).min(MAX_VALUE_BYTES),
            kept_for: i64::MAX,
            held_for_keys: rest / 16,
            key_randoms: rest / 16 / Self::RANDOM_BYTES,
            buffered_bytes: rest / 16,
            datagrams: DatagramLimits {
                open: rest / 16 / Self::OPEN_BYTES,
                held: rest / 16,
            },
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            flows: FlowLimits::default(),
            kept_bytes: 2 << 30,
            services_count: false,
            shared_bytes: MAX_VALUE_BYTES,
            kept_for: i64::MAX,
            held_for_keys: 64 << 20,
            key_randoms: Secrets::DEFAULT_LIMIT,
            buffered_bytes: 256 << 20,
            datagrams: DatagramLimits::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_memory_are_not_more_than_the_whole_and_leave_room_for_the_report() {
        for memory in [16 << 20, 64 << 20, 512 << 20, 4 << 30] {
            let limits = Limits::within(memory);
            let open = (limits.flows.open_flows + 2 * limits.datagrams.open) * Limits::OPEN_BYTES;
            let held = limits.buffered_bytes + limits.datagrams.held + limits.held_for_keys;
            let keys = limits.key_randoms * Limits::RANDOM_BYTES;
            let parts = limits.kept_bytes + open + held + keys;
            assert!(parts <= memory && parts > memory / 2, "{parts} of {memory}");
            assert!(limits.kept_bytes > memory / 3, "{limits:?}");
            assert!(limits.services_count && limits.shared_bytes <= Limits::OWN.min(memory / 16));
        }
    }

    #[test]
    fn a_memory_of_nothing_still_lets_ordinary_connections_be_open() {
        let limits = Limits::within(0);
        assert_eq!(limits.kept_bytes, 0);
        assert!(
            limits.flows.open_flows >= 256 && limits.datagrams.open >= 64,
            "{limits:?}"
        );
        assert!(limits.buffered_bytes >= 256 << 10, "{limits:?}");
    }
}
