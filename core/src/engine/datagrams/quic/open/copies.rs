//! Datagrams that were captured twice: what is sent again bears a new packet number and other ciphertext (RFC 9000 §13.3).

/// Datagrams that are known again: a copy that the capture made comes soon.
const REMEMBERED: usize = 8;

/// The latest datagrams of one side.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LatestDatagrams([u64; REMEMBERED]);

impl LatestDatagrams {
    /// Whether a datagram is one of the latest, byte for byte. It is one of them from now on.
    pub(super) fn is_copy(&mut self, payload: &[u8]) -> bool {
        let digest = digest(payload);
        let Self(latest) = self;
        if latest.contains(&digest) {
            return true;
        }
        latest.rotate_right(1);
        let [newest, ..] = latest;
        *newest = digest;
        false
    }
}

/// Multiplicative mixing: what differs in one byte meets in 64 bits only by design, and then one datagram is not counted.
fn digest(payload: &[u8]) -> u64 {
    let (words, rest) = payload.as_chunks::<8>();
    let mut last = [0; 8];
    last.iter_mut().zip(rest).for_each(|(last, byte)| *last = *byte);
    let words = words
        .iter()
        .chain(std::iter::once(&last))
        .map(|word| u64::from_le_bytes(*word));
    words.fold(payload.len() as u64 ^ 0x9e37_79b9_7f4a_7c15, |hash, word| {
        (hash ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(31)
    })
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
