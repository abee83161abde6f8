//! Refusals that took their time. A store of sessions that is asked over a network and does not answer is waited for, and
//! then the server goes on with a full handshake: that one session is refused and accepted again does not prove two stores.

use hashbrown::HashMap;

use super::{Attempts, Decision};
use crate::session::Connection;
use crate::store::ConnectionStore;

/// Nanoseconds that a refusal takes longer than anything else at its service, at least: more than a signature costs.
const WAITED: i64 = 50_000_000;
/// And so many times as long, for networks on which everything takes long.
const TIMES: i64 = 4;

/// Marks refusals of sessions that are accepted later, where they took far longer than acceptances and first visits did.
/// First visits count, for a refusal costs the full handshake as well.
pub(super) fn settle(table: &mut Attempts, connection_store: &ConnectionStore) {
    if !table.entries.iter().any(|entry| entry.accepted_later) {
        return;
    }
    let took: Vec<Option<i64>> = table
        .rows
        .iter()
        .map(|row| took(connection_store.get(row.connection)?))
        .collect();
    let mut longest: HashMap<u32, i64> = HashMap::new();
    for (row, took) in table.rows.iter().zip(&took) {
        let mut entries = table.of_row(row).map(|(_, entry)| entry);
        let swift = row.silent || entries.any(|entry| entry.decision == Decision::Accepted);
        if let Some(took) = took.filter(|_| swift) {
            let longest = longest.entry(row.service).or_insert(took);
            *longest = took.max(*longest);
        }
    }
    for entry in table.entries.iter_mut().filter(|entry| entry.accepted_later) {
        let row = table.rows.get(entry.row as usize);
        let longest = row.and_then(|row| longest.get(&row.service));
        let took = took.get(entry.row as usize).copied().flatten();
        entry.slow = took
            .zip(longest)
            .is_some_and(|(took, longest)| entry.failed() && took - longest >= WAITED && took / TIMES >= *longest);
    }
}

/// From the ClientHello to the ServerHello; where one side's packets were not captured, from the beginning or up to the
/// client's Finished. A HelloRetryRequest is answered without a look at the session.
fn took(connection: &Connection) -> Option<i64> {
    if connection.retry.is_some() {
        return None;
    }
    let asked = connection
        .hello
        .yes()
        .map_or(connection.transport.started, |hello| hello.at.time);
    let answered = connection.answer.yes().map(|answer| answer.at);
    Some(answered.or(connection.client_side.finished)?.time.since(asked))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{AS_IT_IS, Change, RESUMED, column, visits};
    use crate::net::Timestamp;
    use crate::session::{Connection, Outcome};

    fn answered_after(connection: &mut Connection, millis: i64) {
        let asked = connection.hello_time().nanos();
        let answer = connection.answer.yes_mut().expect("an answer");
        answer.at.time = Timestamp::from_nanos(asked + millis * 1_000_000);
    }

    #[test]
    fn a_refusal_that_takes_far_longer_than_acceptances_is_slow() {
        let swift: Change = |connection| answered_after(connection, 2);
        let late: Change = |connection| answered_after(connection, 252);
        let signed: Change = |connection| answered_after(connection, 40);
        let slow = |refused: Change, accepted: Change| {
            let world = visits(&[(Outcome::Declined, refused), (RESUMED, accepted)]);
            column(&world, |_, entry| entry.slow)
        };
        assert_eq!(slow(late, swift), [true, false]);
        assert_eq!(slow(signed, swift), [false, false], "a signature takes its time");
        assert_eq!(slow(late, late), [false, false], "all is far away");
        // Four times as long, where everything takes a tenth of a second.
        let far: Change = |connection| answered_after(connection, 100);
        let four_times: Change = |connection| answered_after(connection, 400);
        assert_eq!(slow(late, far), [false, false]);
        assert_eq!(slow(four_times, far), [true, false]);
    }

    #[test]
    fn a_refusal_for_good_is_not_timed() {
        let late: Change = |connection| answered_after(connection, 252);
        let world = visits(&[(RESUMED, AS_IT_IS), (Outcome::Declined, late)]);
        assert_eq!(column(&world, |_, entry| entry.slow), [false, false]);
    }
}
