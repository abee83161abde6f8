//! Never: nobody honours what the server issues. It has no accepted side, so that only numbers speak.

use hashbrown::HashMap;

use super::{Claim, FittedValue, Kind, Look, ServiceContext, claim};
use crate::diagnosis::attempts::{ClosedBy, OfferedCredential, UNKNOWN};
use crate::session::Mechanism;

/// Refusals of fresh sessions from which on several servers in turn are excluded as far as eight of them go:
/// (1 - 1/8)^40 < 0.005.
const ENOUGH: u64 = 40;
/// So many refusals exclude one server in turn more, with a chance of 1 in 150 that it is there all the same.
const FOR_EACH_SERVER: u64 = 5;
/// Servers in turn that have to be excluded.
pub const SERVERS: u64 = ENOUGH / FOR_EACH_SERVER;
/// Sessions that are refused where strict turns have come round: one may have met another order of connections than shows.
const CAME_ROUND: usize = 2;
/// Nanoseconds: what is offered again so soon did not time out anywhere.
const FRESH: i64 = 60_000_000_000;

/// IDs, and tickets.
pub(super) fn claims(ground: &ServiceContext<'_>, all: &mut Vec<Claim>) {
    // Whatever resumed before it was only counted did so by something: where nothing resumes any more, by these, as far as anyone
    // knows.
    if ground.folded.outcomes.resumed > 0 && ground.entries().all(|(_, entry)| entry.failed()) {
        return;
    }
    let ids = claim(ground, Kind::NeverIds, |entry| {
        (entry.stateful && !entry.foreign).then_some(Look::read(true))
    });
    all.extend(ids.map(|mut ids| {
        let mut entries = ids.named.iter().filter_map(|number| ground.table.entry(*number));
        let in_tickets = entries.all(|entry| entry.mechanism == Mechanism::Psk);
        let servers = if ids.stands { servers_excluded(ground, &ids) } else { 0 };
        ids.value = FittedValue::Never { in_tickets, servers };
        ids
    }));
    all.extend(claim(ground, Kind::NeverTickets, |entry| {
        (!entry.stateful && !entry.foreign).then_some(Look::read(true))
    }));
}

/// How many servers in turn the refusals exclude. Where each new connection goes to any of them, numbers do; where they take strict
/// turns, a client that always offers what it was given last meets the next one for ever, and only sessions that come when it is
/// their own server's turn again tell.
fn servers_excluded(ground: &ServiceContext<'_>, claim: &Claim) -> u64 {
    let rows = &ground.part.rows;
    let turn = |number: usize| rows.partition_point(|row| (*row as usize) < number);
    let entries = claim.named.iter().filter_map(|number| ground.table.entry(*number));
    // Of each session, the turns since its issue at which it was offered.
    let mut fresh: HashMap<_, Vec<usize>> = HashMap::new();
    for entry in entries.filter(|entry| is_fresh(entry)) {
        let issued = entry.issue.index().map(turn);
        let turns = issued.map(|issued| turn(entry.row as usize).saturating_sub(issued));
        fresh.entry(entry.credential).or_default().extend(turns);
    }
    let by_number = fresh.len() as u64 / FOR_EACH_SERVER;
    let comes_round = |servers: u64| {
        let back = |turns: &&Vec<usize>| turns.iter().any(|turns| (*turns as u64).is_multiple_of(servers));
        fresh.values().filter(back).take(CAME_ROUND).count() == CAME_ROUND
    };
    let in_strict_turns = (2..=by_number.min(SERVERS)).find(|servers| !comes_round(*servers));
    in_strict_turns.map_or(by_number, |servers| servers - 1)
}

/// Whether a refused session was so young, and ended so well, that nothing else suggests itself.
fn is_fresh(entry: &OfferedCredential) -> bool {
    let in_time = entry.age != UNKNOWN && entry.age <= FRESH && !entry.concluded;
    in_time && (entry.closed == ClosedBy::Cleanly || !entry.stateful)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::attempts::tests::{Sketch, place};

    #[test]
    fn strict_turns_are_excluded_where_a_session_comes_when_it_is_its_servers_turn() {
        let excluded = |count: u32, turns: fn(u32) -> u32| {
            let mut sketch = Sketch::default();
            for second in 0..count {
                sketch.silent(second, 1, |_| ());
            }
            for number in 0..count {
                let row = count + number;
                sketch.offer(row, 1, (number, 2), false, |_, entry| {
                    entry.issue = place(row - turns(number));
                });
            }
            let (table, part) = sketch.done();
            let mut all = Vec::new();
            claims(&ServiceContext::of(&table, &part, &[]), &mut all);
            all.iter().find_map(|claim| match claim.value {
                FittedValue::Never { servers, .. } => Some(servers),
                _ => None,
            })
        };
        assert_eq!(excluded(40, |number| 1 + number), Some(8));
        assert_eq!(excluded(60, |number| 1 + number), Some(12));
        assert_eq!(excluded(39, |number| 1 + number), Some(7));
        // The latest one every time; every second time an odd number; once only when the turn has come round.
        assert_eq!(excluded(40, |_| 1), Some(1));
        assert_eq!(excluded(40, |number| 2 * (number / 2) + 1), Some(1));
        assert_eq!(excluded(40, |number| if number == 7 { 2 } else { 1 }), Some(1));
        assert_eq!(excluded(40, |_| 2), Some(2));
        assert_eq!(excluded(40, |_| 12), Some(4));
    }

    #[test]
    fn a_session_that_is_offered_again_and_again_has_met_each_server_in_turn() {
        let excluded = |offers: u32| {
            let mut sketch = Sketch::default();
            let mut number = 0;
            for session in 0..40 {
                let issued = sketch.silent(number, 1, |_| ());
                let offers = if session < 2 { offers } else { 1 };
                for _ in 0..offers {
                    number += 1;
                    sketch.offer(number, 1, (session, 2), false, |_, entry| entry.issue = place(issued));
                }
                number += 1;
            }
            let (table, part) = sketch.done();
            let ground = ServiceContext::of(&table, &part, &[]);
            let ids = claim(&ground, Kind::NeverIds, |_| Some(Look::read(true))).expect("it is claimed");
            servers_excluded(&ground, &ids)
        };
        assert_eq!([1, 2, 3, 7, 8].map(excluded), [1, 2, 3, 7, 8]);
    }

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
