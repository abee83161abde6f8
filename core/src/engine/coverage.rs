//! Which stretches of time the input covers: a silence is only seen while packets of anything at all come.

use crate::net::Timestamp;

use super::connection::SILENT_NANOS;

/// Stretches that are told apart. A connection that is silent for an hour is over, so that older ones decide nothing.
const MAX_STRETCHES: usize = 32;

/// The stretches of time that the input covers. Where nothing of anything was captured for long, that the capture went on is not
/// known: an earlier one may end there, and a later one be put behind it.
#[derive(Debug, Clone, Default)]
pub(super) struct Coverage {
    /// First and last packet of each, in the order in which they came.
    stretches: Vec<[Timestamp; 2]>,
    /// That is the order of their times, and no two overlap.
    in_order: bool,
}

impl Coverage {
    /// What several runs cover together.
    pub(super) fn joined(mut stretches: Vec<[Timestamp; 2]>) -> Self {
        stretches.sort_unstable();
        let mut joined: Vec<[Timestamp; 2]> = Vec::new();
        for [from, to] in stretches {
            match joined.last_mut() {
                Some([_, end]) if from.since(*end) < SILENT_NANOS => *end = to.max(*end),
                _ => joined.push([from, to]),
            }
        }
        Self {
            stretches: joined,
            in_order: true,
        }
    }

    /// The stretches, put together: no more of them, and the latest.
    pub(super) fn merged(stretches: Vec<[Timestamp; 2]>, most: usize) -> Vec<[Timestamp; 2]> {
        let mut joined = Self::joined(stretches).stretches;
        joined.drain(..joined.len().saturating_sub(most));
        joined
    }

    /// There is a packet of that time.
    #[inline]
    pub(super) fn note(&mut self, time: Timestamp) {
        match self.stretches.last_mut() {
            // A clock that was set back, or packets out of order, tell of no pause; an earlier capture behind a later one has
            // connections of its own.
            Some([from, to]) if time >= *from && time.since(*to) < SILENT_NANOS => *to = time.max(*to),
            _ => self.begin(time),
        }
    }

    #[cold]
    fn begin(&mut self, time: Timestamp) {
        self.in_order = false;
        if self.stretches.len() >= MAX_STRETCHES {
            self.stretches.remove(0);
        }
        self.stretches.push([time, time]);
    }

    /// For how long after that time the input goes on without a pause.
    pub(super) fn after(&self, time: Timestamp) -> i64 {
        // Of many runs there may be many.
        let candidates = if self.in_order {
            let behind = self.stretches.partition_point(|[from, _]| *from <= time);
            self.stretches.get(behind.saturating_sub(1)..behind).unwrap_or_default()
        } else {
            &self.stretches
        };
        let covering = candidates.iter().filter(|[from, to]| (*from..=*to).contains(&time));
        covering.map(|[_, to]| to.since(time)).max().unwrap_or(0)
    }

    /// The silence after a packet of that time, where `last` is when the last packet of anything came.
    pub(super) fn silence(&self, time: Timestamp, last: Option<Timestamp>) -> Silence {
        Silence {
            quiet: last.map_or(0, |last| last.since(time)),
            covered: self.after(time),
        }
    }

    /// For other runs.
    pub(super) fn stretches(&self) -> &[[Timestamp; 2]] {
        &self.stretches
    }
}

/// How long a connection that goes on had been silent when the input ended, or it was given up.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Silence {
    /// Until the last packet of anything.
    pub(super) quiet: i64,
    /// As long as it was seen to be.
    pub(super) covered: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::span::MINUTE;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_nanos(minute * MINUTE)
    }

    fn covered(minutes: &[i64]) -> Coverage {
        let mut coverage = Coverage::default();
        for minute in minutes {
            coverage.note(at(*minute));
        }
        coverage
    }

    #[test]
    fn a_silence_is_seen_as_far_as_packets_of_anything_follow_each_other() {
        let coverage = covered(&[0, 4, 8, 9, 70, 74]);
        let after = |minute| coverage.after(at(minute)) / MINUTE;
        assert_eq!([after(0), after(4), after(9), after(70)], [9, 5, 0, 4]);
        assert_eq!(after(30), 0);
    }

    #[test]
    fn a_clock_that_is_set_back_begins_another_stretch() {
        let coverage = covered(&[60, 64, 0, 4, 8]);
        assert_eq!(coverage.after(at(64)), 0);
        assert_eq!(coverage.after(at(0)), 8 * MINUTE);
    }

    #[test]
    fn only_the_latest_stretches_are_kept() {
        let many: Vec<i64> = (0..100).map(|number| number * 10).collect();
        assert_eq!(covered(&many).stretches.len(), MAX_STRETCHES);
    }

    #[test]
    fn what_one_run_covers_another_may_go_on_with() {
        let join = |later| {
            let joined = Coverage::joined([later, [at(0), at(10)]].into());
            assert_eq!([joined.after(at(-1)), joined.after(at(95))], [0, 0]);
            joined.after(at(2)) / MINUTE
        };
        assert_eq!(join([at(12), at(20)]), 18);
        assert_eq!(join([at(5), at(6)]), 8);
        assert_eq!(join([at(70), at(90)]), 8);
    }
}
