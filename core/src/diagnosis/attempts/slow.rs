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

/// Times of which all are multiples of so many nanoseconds do not show a wait.
const COARSE: i64 = WAITED;

/// Says of refusals of sessions that are accepted later whether they took far longer than acceptances and first visits did as
/// a rule. First visits count, for a refusal costs the full handshake as well; a lost packet may delay any of them.
pub(super) fn settle(table: &mut Attempts, connection_store: &ConnectionStore) {
    if !table.entries.iter().any(|entry| entry.accepted_later) {
        return;
    }
    let timed = !is_coarse(table, connection_store);
    let took: Vec<Option<i64>> = table
        .rows
        .iter()
        .map(|row| took(connection_store.get(row.connection)?).filter(|_| timed))
        .collect();
    let mut swift: HashMap<u32, Vec<i64>> = HashMap::new();
    for (row, took) in table.rows.iter().zip(&took) {
        let mut entries = table.of_row(row).map(|(_, entry)| entry);
        let counts = row.silent || entries.any(|entry| entry.decision == Decision::Accepted);
        if let Some(took) = took.filter(|_| counts) {
            swift.entry(row.service).or_default().push(took);
        }
    }
    for all in swift.values_mut() {
        all.sort_unstable();
    }
    for entry in table.entries.iter_mut().filter(|entry| entry.accepted_later) {
        let row = table.rows.get(entry.row as usize);
        let usual = row.and_then(|row| usual(swift.get(&row.service)?));
        let took = took.get(entry.row as usize).copied().flatten();
        let longer = |usual: i64| took.map(|took| entry.failed() && took - usual >= WAITED && took / TIMES >= usual);
        entry.slow = usual.and_then(|(low, high)| longer(low).filter(|slow| longer(high) == Some(*slow)));
    }
}

/// The middle of sorted times, as far as it can be told.
fn usual(sorted: &[i64]) -> Option<(i64, i64)> {
    let last = sorted.len().checked_sub(1)?;
    Some((*sorted.get(last / 2)?, *sorted.get(last.div_ceil(2))?))
}

/// Whether the clock of the capture is too coarse to show how long anything took, as where a file has no times.
fn is_coarse(table: &Attempts, connection_store: &ConnectionStore) -> bool {
    let connections = table.rows.iter().filter_map(|row| connection_store.get(row.connection));
    let mut times = connections.flat_map(|connection| {
        let answered = connection.answer.yes().map(|answer| answer.at.time);
        [Some(connection.hello_time()), answered].into_iter().flatten()
    });
    times.all(|time| time.nanos() % COARSE == 0)
}

/// From the ClientHello to the ServerHello; where one side's packets were not captured, from the beginning or up to the
/// client's Finished. A HelloRetryRequest is answered without a look at the session: there the second hello counts.
fn took(connection: &Connection) -> Option<i64> {
    let hello = connection.hello.yes().map(|hello| hello.at);
    let asked = match (&connection.retry, hello) {
        (Some(retry), hello) => hello.filter(|hello| hello.is_after(retry.request))?.time,
        (None, Some(hello)) => hello.time,
        (None, None) => connection.transport.started,
    };
    let answered = connection.answer.yes().map(|answer| answer.at);
    Some(answered.or(connection.client_side.finished)?.time.since(asked))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{AS_IT_IS, Change, RESUMED, column, visits, visits_after};
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
            let world = visits_after(accepted, &[(Outcome::Declined, refused), (RESUMED, accepted)]);
            column(&world, |_, entry| entry.slow)
        };
        assert_eq!(slow(late, swift), [Some(true), Some(false)]);
        assert_eq!(slow(signed, swift), [Some(false); 2], "a signature takes its time");
        assert_eq!(slow(late, late), [Some(false); 2], "all is far away");
        // Four times as long, where everything takes a tenth of a second.
        let far: Change = |connection| answered_after(connection, 101);
        let four_times: Change = |connection| answered_after(connection, 404);
        assert_eq!(slow(late, far), [Some(false); 2]);
        assert_eq!(slow(four_times, far), [Some(true), Some(false)]);
    }

    #[test]
    fn one_acceptance_that_a_lost_packet_delayed_hides_no_slow_refusal() {
        let swift: Change = |connection| answered_after(connection, 2);
        let late: Change = |connection| answered_after(connection, 252);
        let delayed: Change = |connection| answered_after(connection, 302);
        let world = visits(&[(RESUMED, delayed), (Outcome::Declined, late), (RESUMED, swift)]);
        let slow = column(&world, |_, entry| entry.slow);
        assert_eq!(slow, [Some(false), Some(true), Some(false)]);
    }

    #[test]
    fn what_is_usual_does_not_show_where_half_is_slow() {
        let late: Change = |connection| answered_after(connection, 252);
        let swift: Change = |connection| answered_after(connection, 2);
        let slow = |refused: Change| {
            let world = visits_after(swift, &[(Outcome::Declined, refused), (RESUMED, late)]);
            column(&world, |_, entry| entry.slow)
        };
        assert_eq!(slow(late), [None, Some(false)]);
        assert_eq!(slow(swift), [Some(false); 2]);
    }

    #[test]
    fn what_took_how_long_does_not_show_without_times() {
        let slow = |refused: Change| {
            let world = visits(&[(Outcome::Declined, refused), (RESUMED, AS_IT_IS)]);
            column(&world, |_, entry| entry.slow)
        };
        assert_eq!(slow(AS_IT_IS), [None, Some(false)], "times in whole seconds");
        assert_eq!(slow(|connection| answered_after(connection, 1)), [Some(false); 2]);
    }

    #[test]
    fn a_refusal_for_good_is_not_timed() {
        let late: Change = |connection| answered_after(connection, 252);
        let world = visits(&[(RESUMED, AS_IT_IS), (Outcome::Declined, late)]);
        assert_eq!(column(&world, |_, entry| entry.slow), [Some(false); 2]);
    }
}
