//! How full the cache was: the sessions that a service made between the issue of one and its next offer.

use crate::net::Timestamp;
use crate::session::{Connection, ConnectionId};

use super::uses::{ClosedBy, ResumptionAttempt};

/// Sessions on each side that a claim needs.
const ENOUGH: usize = 3;

/// The sessions that a service made, in the order of their hellos.
#[derive(Debug, Default)]
pub struct CachePressure {
    made: Vec<Timestamp>,
    /// Most sessions that were made before an accepted offer, and fewest before a refused one, where the former are
    /// fewer throughout and there are enough of both.
    separates: Option<(usize, usize)>,
}

impl CachePressure {
    /// Of the connections of one service.
    pub(super) fn of(members: &[(ConnectionId, &Connection)], uses: &[ResumptionAttempt]) -> Self {
        let made = members
            .iter()
            .filter(|(_, connection)| !connection.issued.is_empty())
            .map(|(_, connection)| connection.hello_time())
            .collect();
        let mut crowding = Self { made, separates: None };
        crowding.separates = crowding.compare(uses);
        crowding
    }

    /// Sessions made between the issue of a credential and this offer of it.
    #[must_use]
    pub fn before(&self, used: &ResumptionAttempt) -> usize {
        let issued = used.time.nanos().saturating_sub(used.age.unwrap_or(0));
        let from = self.made.partition_point(|time| time.nanos() <= issued);
        let to = self.made.partition_point(|time| *time < used.time);
        to.saturating_sub(from)
    }

    /// Sessions resume while at most so many newer ones were made, and are refused from so many on. `None` where the
    /// number of newer sessions does not tell the accepted from the refused.
    #[must_use]
    pub const fn separates(&self) -> Option<(usize, usize)> {
        self.separates
    }

    fn compare(&self, uses: &[ResumptionAttempt]) -> Option<(usize, usize)> {
        let counted = |accepted: bool| {
            let like = uses.iter().filter(move |used| used.accepted == accepted);
            like.filter(|used| used.kept_here() && used.age.is_some())
                .filter(|used| matches!(used.closed, ClosedBy::Cleanly | ClosedBy::Unknown))
                .map(|used| self.before(used))
        };
        let enough = |accepted| counted(accepted).take(ENOUGH).count() == ENOUGH;
        let (most, fewest) = (counted(true).max()?, counted(false).min()?);
        (most < fewest && enough(true) && enough(false)).then_some((most, fewest))
    }
}

#[cfg(test)]
mod tests {
    use crate::session::CredentialId;
    use crate::session::tests::with_hello;

    use super::*;

    const SECOND: i64 = 1_000_000_000;

    /// An offer at this second of a session made so many seconds before.
    fn offer(second: i64, age: Option<i64>, accepted: bool) -> ResumptionAttempt {
        ResumptionAttempt {
            connection: ConnectionId(0),
            time: Timestamp::from_nanos(second * SECOND),
            credential: CredentialId(0),
            stateful: true,
            foreign: false,
            accepted,
            previous: None,
            closed: ClosedBy::Cleanly,
            age: age.map(|age| age * SECOND),
        }
    }

    /// A service that makes a session at each of the first hundred seconds.
    fn crowding(uses: &[ResumptionAttempt]) -> CachePressure {
        let made: Vec<Connection> = (0..100)
            .map(|second| {
                let mut connection = with_hello(second, "a.test", 1);
                if second > 0 {
                    connection.issued = vec![CredentialId(second)];
                }
                connection
            })
            .collect();
        let members: Vec<_> = (0..).map(ConnectionId).zip(&made).collect();
        CachePressure::of(&members, uses)
    }

    #[test]
    fn sessions_made_between_issue_and_offer_are_counted() {
        let none = crowding(&[]);
        assert_eq!(none.before(&offer(20, Some(10), true)), 9);
        assert_eq!(none.before(&offer(20, Some(1), true)), 0);
        assert_eq!(none.before(&offer(20, Some(20), true)), 19);
        assert_eq!(none.before(&offer(20, None, true)), 0);
        assert_eq!(none.separates(), None);
    }

    #[test]
    fn enough_offers_on_each_side_of_a_number_show_how_many_a_cache_holds() {
        let side = |ages: [i64; 3], accepted: bool| ages.map(|age| offer(90, Some(age), accepted)).to_vec();
        let both = |accepted: [i64; 3], refused: [i64; 3]| [side(accepted, true), side(refused, false)].concat();
        assert_eq!(crowding(&both([3, 5, 4], [9, 8, 10])).separates(), Some((4, 7)));
        assert_eq!(crowding(&both([3, 8, 4], [9, 8, 10])).separates(), None);
        let mut few = both([3, 5, 4], [9, 8, 10]);
        few.pop();
        assert_eq!(crowding(&few).separates(), None);
        for change in [
            (|used: &mut ResumptionAttempt| used.foreign = true) as fn(&mut ResumptionAttempt),
            |used| used.stateful = false,
            |used| used.age = None,
            |used| used.closed = ClosedBy::ClientReset,
        ] {
            let mut uses = both([3, 5, 4], [9, 8, 10]);
            change(&mut uses[4]);
            assert_eq!(crowding(&uses).separates(), None);
        }
        let mut unknown = both([3, 5, 4], [9, 8, 10]);
        unknown[4].closed = ClosedBy::Unknown;
        assert_eq!(crowding(&unknown).separates(), Some((4, 7)));
    }
}
