//! Closed connections that are kept for a while for what still arrives.
//!
//! One of which every byte is there goes when its time has come. One with bytes missing may have them further on in the
//! file, at whatever time: it waits for packets and not for the clock.

use std::collections::VecDeque;

use crate::net::Timestamp;

/// Packets are counted by so many: nothing is to be done for most of them.
pub(super) const PACKETS_A_TICK: u8 = 64;

/// Nanoseconds that a connection lingers which one side reset before the other side was seen at all.
const ONE_SIDED: i64 = 10_000_000_000;

#[derive(Debug, Clone)]
pub(super) struct Lingering {
    /// In the order in which they closed, with the time from which they may go; at the front those that waited in vain.
    due: VecDeque<(Timestamp, u32, bool)>,
    /// The same of those whose other side was not seen at all when they closed: by another clock it may come so much later.
    one_sided: VecDeque<(Timestamp, u32, bool)>,
    /// The same of those that have nothing more to come.
    hastened: VecDeque<(Timestamp, u32, bool)>,
    /// Entries in the other queues of connections that were hastened: nothing is due then.
    void: usize,
    /// With bytes missing: from which tick they may go.
    incomplete: VecDeque<(u64, Timestamp, u32)>,
    /// When the next one is due: asked after every packet.
    next: Timestamp,
    ticks: u64,
    patience: u64,
}

/// Nothing is due.
pub(super) const NEVER: Timestamp = Timestamp::from_nanos(i64::MAX);

impl Lingering {
    /// Incomplete connections wait for this many packets.
    pub(super) fn new(disorder: u32) -> Self {
        Self {
            due: VecDeque::new(),
            one_sided: VecDeque::new(),
            hastened: VecDeque::new(),
            void: 0,
            incomplete: VecDeque::new(),
            next: NEVER,
            ticks: 0,
            patience: u64::from(disorder).div_ceil(PACKETS_A_TICK.into()),
        }
    }

    /// A connection closed at this time, and both sides were seen, or one alone. Says when it may go.
    pub(super) fn push(&mut self, closed: Timestamp, linger: i64, id: u32, two_way: bool) -> Timestamp {
        // A queue for each wait, so that each is in the order of its times.
        let (queue, linger) = if two_way {
            (&mut self.due, linger)
        } else {
            (&mut self.one_sided, linger.max(ONE_SIDED))
        };
        let due = Timestamp::from_nanos(closed.nanos().saturating_add(linger));
        queue.push_back((due, id, false));
        self.next = self.next.min(due);
        due
    }

    /// Lets a connection that lingers go at an earlier time: the entry that it has is void.
    pub(super) fn hasten(&mut self, due: Timestamp, id: u32) {
        self.hastened.push_back((due, id, false));
        self.void += 1;
        self.next = self.next.min(due);
    }

    /// What came off a queue was void.
    pub(super) const fn pass_over(&mut self) {
        self.void = self.void.saturating_sub(1);
    }

    /// Whether there is one whose time has come.
    #[inline]
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.next <= now
    }

    /// The next one whose time has come, with that time and whether it has waited for missing bytes already.
    pub(super) fn pop(&mut self, now: Timestamp) -> Option<(Timestamp, u32, bool)> {
        let is_due = |(due, ..): &mut (Timestamp, u32, bool)| *due <= now;
        let next = self.hastened.pop_front_if(is_due);
        let next = next.or_else(|| self.due.pop_front_if(is_due));
        let next = next.or_else(|| self.one_sided.pop_front_if(is_due));
        self.look_for_next();
        next
    }

    fn look_for_next(&mut self) {
        let due = |queue: &VecDeque<(Timestamp, u32, bool)>| queue.front().map_or(NEVER, |(due, ..)| *due);
        self.next = due(&self.hastened).min(due(&self.due)).min(due(&self.one_sided));
    }

    /// Lets an incomplete one wait for packets. `false` where it has done so, or nothing waits.
    pub(super) fn wait(&mut self, due: Timestamp, id: u32, has_waited: bool) -> bool {
        let waits = !has_waited && self.patience > 0;
        if waits {
            self.incomplete.push_back((self.ticks + self.patience, due, id));
        }
        waits
    }

    /// So many packets more have gone by.
    pub(super) fn tick(&mut self) {
        self.ticks += 1;
        while let Some(&(until, due, id)) = self.incomplete.front()
            && until <= self.ticks
        {
            self.incomplete.pop_front();
            self.due.push_front((due, id, true));
            self.next = self.next.min(due);
        }
    }

    pub(super) fn len(&self) -> usize {
        let entries = self.hastened.len() + self.due.len() + self.one_sided.len() + self.incomplete.len();
        entries.saturating_sub(self.void)
    }

    /// The one that may go first, to make room, with the time from which it may go.
    pub(super) fn take_first(&mut self) -> Option<(Timestamp, u32)> {
        let incomplete = |queue: &mut VecDeque<(u64, Timestamp, u32)>| queue.pop_front().map(|(_, due, id)| (due, id));
        let first = |queue: &mut VecDeque<(Timestamp, u32, bool)>| queue.pop_front().map(|(due, id, _)| (due, id));
        let next = first(&mut self.hastened)
            .or_else(|| incomplete(&mut self.incomplete))
            .or_else(|| first(&mut self.due))
            .or_else(|| first(&mut self.one_sided));
        self.look_for_next();
        next
    }

    pub(super) fn clear(&mut self) {
        self.next = NEVER;
        self.void = 0;
        self.hastened.clear();
        self.due.clear();
        self.one_sided.clear();
        self.incomplete.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(seconds: i64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn one_with_bytes_missing_waits_once_for_packets_and_not_for_the_clock() {
        let mut lingering = Lingering::new(128);
        lingering.push(time(1), 1_000_000_000, 7, true);
        assert_eq!(lingering.pop(time(1)), None);
        assert_eq!(lingering.pop(time(2)), Some((time(2), 7, false)));
        assert!(lingering.wait(time(2), 7, false));
        assert_eq!(lingering.pop(time(9_999)), None);
        lingering.tick();
        assert_eq!(lingering.pop(time(9_999)), None);
        lingering.tick();
        assert_eq!(lingering.pop(time(9_999)), Some((time(2), 7, true)));
        assert!(!lingering.wait(time(2), 7, true));
    }

    #[test]
    fn one_that_only_one_side_showed_waits_for_the_other_side_s_clock() {
        let mut lingering = Lingering::new(0);
        lingering.push(time(1), 1_000_000_000, 7, false);
        assert_eq!(lingering.pop(time(10)), None);
        assert_eq!(lingering.pop(time(11)), Some((time(11), 7, false)));
    }

    #[test]
    fn one_that_is_hastened_is_due_first_and_counted_once() {
        let mut lingering = Lingering::new(0);
        let due = lingering.push(time(1), 1_000_000_000, 7, true);
        assert_eq!(due, time(2));
        lingering.hasten(Timestamp::from_nanos(1_500_000_000), 7);
        assert_eq!(lingering.len(), 1);
        let soon = Timestamp::from_nanos(1_500_000_000);
        assert!(lingering.is_due(soon));
        assert_eq!(lingering.pop(time(9)), Some((soon, 7, false)));
        assert_eq!(lingering.pop(time(9)), Some((time(2), 7, false)));
        lingering.pass_over();
        assert_eq!((lingering.len(), lingering.pop(time(9))), (0, None));
    }

    #[test]
    fn without_patience_nothing_waits() {
        let mut lingering = Lingering::new(0);
        assert!(!lingering.wait(time(2), 7, false));
    }
}
