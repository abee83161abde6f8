//! Packets of early data, counted: nothing in them is read.

/// Packets that are known again: a copy that the capture made comes soon.
const REMEMBERED: usize = 8;

/// How many there were.
#[derive(Debug, Clone, Copy, Default)]
pub(in super::super) struct EarlyPackets {
    count: u32,
    /// Ends of the latest ones, where the tag stands (RFC 9001 §5.3): no two packets have the same.
    tags: [u64; REMEMBERED],
}

impl EarlyPackets {
    /// Counts one, unless it is a copy.
    pub(in super::super) fn count(&mut self, packet: &[u8]) {
        let tag = packet.last_chunk().map_or(0, |tag| u64::from_be_bytes(*tag));
        if self.tags.contains(&tag) && self.count > 0 {
            return;
        }
        self.tags.rotate_right(1);
        let [newest, ..] = &mut self.tags;
        *newest = tag;
        self.count = self.count.saturating_add(1);
    }

    /// So many.
    pub(in super::super) const fn get(self) -> u32 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_counted_once() {
        let mut packets = EarlyPackets::default();
        for packet in [[1; 9], [2; 9], [1; 9], [2; 9], [3; 9]] {
            packets.count(&packet);
        }
        assert_eq!(packets.get(), 3);
    }
}
