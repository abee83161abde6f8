//! Never: nobody honours what the server issues. It has no accepted side, so that only numbers speak.

use super::{Claim, FittedValue, Kind, Look, ServiceContext, claim};
use crate::diagnosis::attempts::{ClosedBy, OfferedCredential, UNKNOWN};
use crate::session::Mechanism;

/// Refusals of fresh sessions from which on several servers in turn are excluded as far as eight of them go:
/// (1 - 1/8)^40 < 0.005.
pub const ENOUGH: u64 = 40;
/// So many refusals exclude one server in turn more, with a chance of 1 in 150 that it is there all the same.
pub const FOR_EACH_SERVER: u64 = 5;
/// Nanoseconds: what is offered again so soon did not time out anywhere.
const FRESH: i64 = 60_000_000_000;

/// IDs, and tickets.
pub(super) fn claims(ground: &ServiceContext<'_>, all: &mut Vec<Claim>) {
    let ids = claim(ground, Kind::NeverIds, |entry| {
        (entry.stateful && !entry.foreign).then_some(Look::read(true))
    });
    all.extend(ids.map(|mut ids| {
        let mut entries = ids.named.iter().filter_map(|number| ground.table.entry(*number));
        let in_tickets = entries.all(|entry| entry.mechanism == Mechanism::Psk);
        let fresh = super::fresh_refusals(ground, &ids);
        ids.value = FittedValue::Never { in_tickets, fresh };
        ids
    }));
    all.extend(claim(ground, Kind::NeverTickets, |entry| {
        (!entry.stateful && !entry.foreign).then_some(Look::read(true))
    }));
}

/// Whether a refused session was so young, and ended so well, that nothing else suggests itself.
pub(super) fn is_fresh(entry: &OfferedCredential) -> bool {
    let in_time = entry.age != UNKNOWN && entry.age <= FRESH && !entry.concluded;
    in_time && (entry.closed == ClosedBy::Cleanly || !entry.stateful)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::attempts::tests::Sketch;

    fn fresh(change: fn(&mut OfferedCredential)) -> bool {
        let mut sketch = Sketch::default();
        let number = sketch.offer(100, 1, (1, 2), false, |_, entry| change(entry));
        sketch.done().0.entry(number).is_some_and(is_fresh)
    }

    #[test]
    fn a_session_is_fresh_where_nothing_can_have_cost_it() {
        assert!(fresh(|_| ()));
        assert!(fresh(|entry| entry.age = FRESH));
        assert!(!fresh(|entry| entry.age = FRESH + 1));
        assert!(!fresh(|entry| entry.age = UNKNOWN));
        assert!(!fresh(|entry| entry.concluded = true));
        assert!(!fresh(|entry| (entry.age, entry.concluded) = (FRESH + 1, true)));
        assert!(!fresh(|entry| entry.closed = ClosedBy::ClientReset));
        // No close reaches a self-contained ticket.
        assert!(fresh(
            |entry| (entry.closed, entry.stateful) = (ClosedBy::ClientReset, false)
        ));
    }
}
