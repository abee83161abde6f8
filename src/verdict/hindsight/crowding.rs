//! How full the cache was: the sessions that a service made between the issue of one and its next offer.

use crate::net::Timestamp;
use crate::session::{Connection, ConnectionId};

use super::uses::{ClosedBy, Use};

/// Sessions on each side that a claim needs.
const ENOUGH: usize = 3;

/// The sessions that a service made, in the order of their hellos.
#[derive(Debug, Default)]
pub struct Crowding {
    made: Vec<Timestamp>,
    /// Most sessions that were made before an accepted offer, and fewest before a refused one, where the former are
    /// fewer throughout and there are enough of both.
    separates: Option<(usize, usize)>,
}

impl Crowding {
    /// Of the connections of one service.
    pub(super) fn of(members: &[(ConnectionId, &Connection)], uses: &[Use]) -> Self {
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
    pub fn before(&self, used: &Use) -> usize {
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

    fn compare(&self, uses: &[Use]) -> Option<(usize, usize)> {
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
