//! When a connection is over: closed and lingered, idle, or one too many.

use crate::net::{At, Timestamp};

use super::super::flow::Flow;
use super::super::half_open::Held;
use super::super::index::Index;
use super::super::key::{Alias, FlowKey};
use super::super::lingering::{NEVER, PACKETS_A_TICK};
use super::super::recently_closed::RecentlyClosed;
use super::{Finished, FlowTable, Why};

impl<T: Default> FlowTable<T> {
    /// The next connection whose time has come; call until `None` after each packet.
    #[inline]
    pub fn expire(&mut self) -> Option<Finished<T>> {
        let now = self.now;
        if self.lingering.is_due(now) || self.open > self.limits.open_flows {
            return self.expire_one(now);
        }
        self.since_sweep = self.since_sweep.wrapping_add(1);
        if self.since_sweep.is_multiple_of(PACKETS_A_TICK) {
            self.lingering.tick();
            self.sweep(now)
        } else {
            None
        }
    }

    /// After nearly every packet there is none.
    #[cold]
    fn expire_one(&mut self, now: Timestamp) -> Option<Finished<T>> {
        while let Some((due, id, patient)) = self.lingering.pop(now) {
            let slot = self.slots.get_mut(id as usize).and_then(Option::as_mut);
            let Some(slot) = slot.filter(|slot| slot.due == due) else {
                self.lingering.pass_over();
                continue;
            };
            let current = slot.current;
            let Held::Grown(flow) = &mut slot.held else {
                continue;
            };
            if current && !flow.closed() {
                // Its reset was none: the connection went on.
                flow.closing = false;
                slot.due = NEVER;
                continue;
            }
            if !flow.is_complete() && self.lingering.wait(due, id, patient) {
                continue;
            }
            if let Some(flow) = self.bury(id, due) {
                return Some(Finished { flow, why: Why::Closed });
            }
        }
        if self.open > self.limits.open_flows {
            return self.evict();
        }
        None
    }

    /// Takes off every connection, in the order of their first packets.
    pub fn drain(&mut self) -> impl Iterator<Item = Finished<T>> + use<T> {
        self.aliases.clear();
        self.unanswered.clear();
        self.lingering.clear();
        // The room they took is for what comes after.
        (self.index, self.late, self.free) = (Index::new(), RecentlyClosed::new(), Vec::new());
        self.open = 0;
        let slots = std::mem::take(&mut self.slots);
        let mut all: Vec<Held<T>> = slots.into_iter().flatten().map(|slot| slot.held).collect();
        all.sort_by_key(|held| (held.first().time, held.first().frame));
        all.into_iter().map(Held::into_flow).map(|flow| Finished {
            why: if flow.closed() { Why::Closed } else { Why::InputEnded },
            flow,
        })
    }

    /// A connection whose ports are in use again ends soon, however it stood.
    pub(super) fn retire(&mut self, id: u32, at: At) {
        let Some(slot) = self.slots.get_mut(id as usize).and_then(Option::as_mut) else {
            return;
        };
        slot.previous = None;
        slot.current = false;
        if let Held::Grown(flow) = &mut slot.held
            && !flow.closing
        {
            flow.closing = true;
            slot.due = self.lingering.push(at.time, self.limits.linger, id, flow.two_way());
        }
    }

    /// Takes off a connection that lingered long enough; its packets stay known for a while.
    /// Both times count from the close, so that it does not matter when somebody asks.
    fn bury(&mut self, id: u32, due: Timestamp) -> Option<Box<Flow<T>>> {
        let slot = self.slots.get(id as usize)?.as_ref()?;
        let flow = slot.flow()?;
        let until = Timestamp::from_nanos(due.nanos().saturating_add(self.limits.late));
        self.late.forget(due);
        self.late.remember(slot.key, flow.client_is_low, flow, until);
        if let Some((key, alias)) = self.alias_of(id, flow) {
            self.late.remember(key, alias.client_is_low, flow, until);
        }
        self.remove(id)
    }

    /// Under which other addresses this connection is answered.
    fn alias_of(&self, id: u32, flow: &Flow<T>) -> Option<(FlowKey, Alias)> {
        let from = *flow.answered_from.as_deref()?;
        // Which end is the client may have turned out otherwise since.
        flow.ends.into_iter().find_map(|end| {
            let key = FlowKey::of(end, from).0;
            let alias = *self.aliases.get(&key)?;
            (alias.id == id).then_some((key, alias))
        })
    }

    fn remove(&mut self, id: u32) -> Option<Box<Flow<T>>> {
        let slot = self.slots.get_mut(id as usize)?.take()?;
        match self.lookup(&slot.key) {
            // It was the predecessor of the connection that has the ports now.
            Some(current) => {
                if let Some(newer) = self.slots.get_mut(current as usize).and_then(Option::as_mut) {
                    newer.previous = None;
                }
            }
            None => self.index.remove(&slot.key, id),
        }
        if let Some((key, _)) = slot.flow().and_then(|flow| self.alias_of(id, flow)) {
            self.aliases.remove(&key);
        }
        self.free.push(id);
        self.open -= 1;
        Some(slot.held.into_flow())
    }

    /// Ends one connection that was not used since the hand last passed it.
    fn evict(&mut self) -> Option<Finished<T>> {
        self.evict_held(|held| !held.take_touched())
    }

    /// Ends the next connection of which `may_go` says so, to make room; one that is closed already where there is none,
    /// or where most are.
    pub fn evict_where(&mut self, mut may_go: impl FnMut(&mut Flow<T>) -> bool) -> Option<Finished<T>> {
        self.evict_held(|held| match held {
            Held::Grown(flow) => may_go(flow),
            Held::HalfOpen(..) => false,
        })
    }

    fn evict_held(&mut self, mut may_go: impl FnMut(&mut Held<T>) -> bool) -> Option<Finished<T>> {
        // Among connections that are all closed the hand would go round in vain, packet after packet.
        if self.lingering.len() <= self.open / 2 {
            for _ in 0..=2 * self.slots.len() {
                self.hand = (self.hand + 1) % self.slots.len().max(1);
                let Some(Some(slot)) = self.slots.get_mut(self.hand) else {
                    continue;
                };
                // Those that are closing wait in the queue already; taking them here would leave a stale entry.
                if slot.held.is_closing() || !may_go(&mut slot.held) {
                    continue;
                }
                let id = u32::try_from(self.hand).ok()?;
                return self.remove(id).map(|flow| Finished {
                    flow,
                    why: Why::Evicted,
                });
            }
        }
        loop {
            let (due, id) = self.lingering.take_first()?;
            let slot = self.slots.get(id as usize).and_then(Option::as_ref);
            if slot.is_some_and(|slot| slot.due == due) {
                return self.remove(id).map(|flow| Finished { flow, why: Why::Closed });
            }
            self.lingering.pass_over();
        }
    }

    /// Looks at one connection and ends it if it has been idle too long.
    fn sweep(&mut self, now: Timestamp) -> Option<Finished<T>> {
        self.hand = (self.hand + 1) % self.slots.len().max(1);
        let slot = self.slots.get_mut(self.hand)?.as_mut()?;
        if slot.held.is_closing() || now.since(slot.held.last()) < self.limits.idle {
            return None;
        }
        // Where files stand one behind the other time goes back: what has packets is not idle, whatever they bear.
        if slot.held.take_touched() {
            return None;
        }
        let id = u32::try_from(self.hand).ok()?;
        self.remove(id).map(|flow| Finished { flow, why: Why::Idle })
    }
}
