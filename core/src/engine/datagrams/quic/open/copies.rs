//! Datagrams that were captured twice: what is sent again bears a new packet number and other ciphertext (RFC 9000 §13.3).

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;

/// Datagrams that are known again: a copy that the capture made comes soon.
const REMEMBERED: usize = 16;

/// The latest datagrams of a connection, of both sides.
#[derive(Debug, Clone, Default)]
pub(super) struct LatestDatagrams {
    digests: [u64; REMEMBERED],
    hasher: DefaultHashBuilder,
}

impl LatestDatagrams {
    /// Whether a datagram is one of the latest, byte for byte. It is one of them from now on.
    pub(super) fn is_copy(&mut self, payload: &[u8]) -> bool {
        let digest = self.hasher.hash_one(payload);
        if self.digests.contains(&digest) {
            return true;
        }
        self.digests.rotate_right(1);
        let [newest, ..] = &mut self.digests;
        *newest = digest;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_bytes_are_a_copy() {
        let mut latest = LatestDatagrams::default();
        let datagrams: [&[u8]; 5] = [&[1; 20], &[1; 21], &[1; 24], &[2; 24], &[]];
        for datagram in datagrams {
            assert!(!latest.is_copy(datagram));
            assert!(latest.is_copy(datagram));
        }
        let padded = |first: u8| [&[first; 9][..], &[0; 100]].concat();
        assert!(!latest.is_copy(&padded(1)));
        assert!(!latest.is_copy(&padded(2)));
        assert!(latest.is_copy(&padded(1)));
    }
}
