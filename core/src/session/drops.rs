//! What the capturing side lost, and when: whatever was not seen around then may have been among it.

use crate::net::Timestamp;

/// Stretches of time told apart; beyond that neighbours become one.
const MAX_STRETCHES: usize = 256;

/// A stretch of packet time in which packets were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LossPeriod {
    /// Before its first loss; `None` at the beginning of the input.
    from: Option<Timestamp>,
    /// After its last loss.
    to: Option<Timestamp>,
    /// Packets lost.
    packets: u64,
}

/// All losses of a run.
#[derive(Debug, Clone, Default)]
pub struct Drops {
    stretches: Vec<LossPeriod>,
    /// Latest packet when losses were asked for last.
    asked: Option<Timestamp>,
    counted: u64,
}

impl Drops {
    /// So many packets were lost in all by now; `last` is the latest packet.
    pub fn count(&mut self, lost: u64, last: Option<Timestamp>) {
        let from = std::mem::replace(&mut self.asked, last);
        let packets = lost.saturating_sub(std::mem::replace(&mut self.counted, lost));
        if packets == 0 {
            return;
        }
        if self.stretches.len() >= MAX_STRETCHES {
            self.join_neighbours();
        }
        self.stretches.push(LossPeriod {
            from,
            to: last,
            packets,
        });
    }

    /// Packets lost before a time.
    #[must_use]
    pub fn before(&self, time: Timestamp) -> u64 {
        let begun = |stretch: &&LossPeriod| stretch.from.is_none_or(|from| from <= time);
        self.stretches.iter().filter(begun).map(|stretch| stretch.packets).sum()
    }

    /// Whether nothing was lost.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.stretches.is_empty()
    }

    /// Makes one of each two that follow each other.
    fn join_neighbours(&mut self) {
        let joined = self.stretches.chunks(2).filter_map(|pair| {
            let (first, last) = (pair.first()?, pair.last()?);
            Some(LossPeriod {
                from: first.from,
                to: last.to,
                packets: pair.iter().map(|stretch| stretch.packets).sum(),
            })
        });
        self.stretches = joined.collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn losses_count_for_what_came_after_they_may_have_begun() {
        let mut drops = Drops::default();
        drops.count(0, Some(at(10)));
        assert!(drops.is_empty());
        drops.count(3, Some(at(20)));
        assert!(!drops.is_empty());
        drops.count(3, Some(at(25)));
        assert_eq!(
            [drops.before(at(9)), drops.before(at(10)), drops.before(at(30))],
            [0, 3, 3]
        );
    }

    #[test]
    fn losses_without_end_take_no_more_memory() {
        let mut drops = Drops::default();
        for second in 0..100_000_i64 {
            drops.count(2 * (second.cast_unsigned() + 1), Some(at(second)));
        }
        assert!(drops.stretches.len() <= MAX_STRETCHES);
        assert_eq!(drops.before(at(100_000)), 200_000);
    }
}
