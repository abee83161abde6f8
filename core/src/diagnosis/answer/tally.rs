//! What the connections of a service came to, counted.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;

use super::known_part_of;
use super::unseen::Cause;
use crate::diagnosis::attempts::{GivenBefore, Necessity};
use crate::diagnosis::context::{Gave, gave};
use crate::diagnosis::service::{Folded, ServiceAnalyses};
use crate::net::Timestamp;
use crate::session::{
    ClientHelloFacts, Completed, Connection, ConnectionId, Offer, OfferKind, Outcome, Side, TicketExtension,
};
use crate::tls::AlertDescription;

/// What a service's connections came to.
#[derive(Default)]
pub(super) struct ServiceTally {
    pub(super) all: usize,
    pub(super) resumed: usize,
    /// An external PSK was accepted: that is no resumption.
    pub(super) external: usize,
    pub(super) declined: usize,
    /// Of those, the ones that offered nothing but external PSKs.
    pub(super) declined_external: usize,
    /// And those of which one direction is not in the capture.
    pub(super) declined_one_direction: usize,
    /// Failed handshakes with an offer.
    pub(super) broken: usize,
    /// The fatal alert in clear that most of those ended with, and how many did.
    pub(super) alert: Option<(AlertDescription, usize)>,
    pub(super) failed: usize,
    /// Failed handshakes of which it is not visible whether they offered a session.
    pub(super) perhaps_offered: usize,
    /// Of the failed ones, those in which no alert and no server ended it: the client left, with an offer and without one.
    pub(super) left: (usize, usize),
    /// Offered nothing although the client had been given something.
    pub(super) silent: usize,
    pub(super) unclear: usize,
    /// What hides them.
    pub(super) hidden_by: BTreeSet<Cause>,
    /// Of those, the ones that offered a session.
    pub(super) unclear_offers: usize,
    /// That some handshake gave its client nothing was concluded from sizes.
    pub(super) perhaps_given: bool,
    /// Offered nothing, and their client had been here before and was given nothing.
    pub(super) empty_handed: usize,
    /// Of those, some would take a ticket.
    pub(super) takes_tickets: bool,
    /// Offered nothing, and whether their client was given something when it was here before is not visible.
    pub(super) perhaps_returning: usize,
    /// The most frequent defect that left the server no choice, and how often it did.
    pub(super) forced: Option<(Necessity, usize)>,
    /// Other connections, of which only the outcome is known.
    pub(super) folded: Folded,
}

impl ServiceTally {
    pub(super) fn of(members: &[(ConnectionId, &Connection)], analyses: &ServiceAnalyses) -> Self {
        let mut tally = Self::default();
        let mut forced: BTreeMap<Necessity, usize> = BTreeMap::new();
        let mut alerts: BTreeMap<AlertDescription, usize> = BTreeMap::new();
        // When each client first left with nothing.
        let mut served: HashMap<u32, Timestamp> = HashMap::new();
        // When each client first left with what nobody can tell.
        let mut perhaps_served: HashMap<u32, Timestamp> = HashMap::new();
        for (id, connection) in members {
            tally.all += 1;
            let row = analyses.attempts().of_connection(*id);
            let returned = row.is_some_and(|row| row.given != GivenBefore::Nothing && !row.newcomer);
            let was_here = |since: &HashMap<u32, Timestamp>| {
                let known = row.filter(|row| !row.newcomer);
                known.is_some_and(|row| since.get(&row.client).is_some_and(|over| *over < row.time))
            };
            if connection.outcome == Outcome::Failed && row.is_some_and(|row| row.broken.is_none()) {
                let offers = connection.offered().next().is_some();
                *(if offers { &mut tally.left.0 } else { &mut tally.left.1 }) += 1;
            }
            match connection.outcome {
                Outcome::Resumed(_) => tally.resumed += 1,
                Outcome::ExternalPsk => tally.external += 1,
                Outcome::Declined => {
                    tally.declined += 1;
                    tally.declined_external += usize::from(offered_external_only(connection));
                    let both = Side::BOTH.iter().all(|side| connection.side(*side).captured);
                    tally.declined_one_direction += usize::from(!both);
                }
                Outcome::Failed if connection.offered().next().is_some() => {
                    tally.broken += 1;
                    let mut seen = Side::BOTH
                        .iter()
                        .filter_map(|side| connection.side(*side).fatal_alert());
                    if let Some(alert) = seen.next() {
                        *alerts.entry(alert.description).or_default() += 1;
                    }
                }
                Outcome::Failed => {
                    tally.failed += 1;
                    tally.perhaps_offered += usize::from(may_have_offered(connection));
                }
                Outcome::NotOffered if returned => tally.silent += 1,
                Outcome::NotOffered if was_here(&perhaps_served) => tally.perhaps_returning += 1,
                Outcome::NotOffered if was_here(&served) => {
                    tally.empty_handed += 1;
                    let takes =
                        |hello: &ClientHelloFacts| hello.offers_tls13 || hello.ticket != TicketExtension::Absent;
                    tally.takes_tickets |= connection.hello.yes().is_some_and(takes);
                }
                Outcome::NotOffered => {}
                Outcome::Unclear(blindness) => {
                    tally.unclear += 1;
                    tally.hidden_by.insert(Cause::of(blindness, connection));
                    tally.unclear_offers += usize::from(connection.offered().next().is_some());
                }
            }
            match (row, gave(connection)) {
                (Some(row), Some((given @ (Gave::Nothing | Gave::NothingInferred), over))) => {
                    served.entry(row.client).or_insert(over.time);
                    tally.perhaps_given |= given != Gave::Nothing;
                }
                (Some(row), Some((Gave::Unclear, over))) => {
                    perhaps_served.entry(row.client).or_insert(over.time);
                }
                (Some(row), None) if matches!(connection.completed, Completed::Blind(_)) => {
                    perhaps_served.entry(row.client).or_insert(row.time);
                }
                _ => {}
            }
            let mut defects = analyses.entries(*id).filter(|(_, entry)| entry.failed());
            if let Some(defect) = defects.find_map(|(_, entry)| entry.necessity) {
                *forced.entry(defect).or_default() += 1;
            }
        }
        tally.forced = forced.into_iter().max_by_key(|(_, count)| *count);
        tally.alert = alerts.into_iter().max_by_key(|(_, count)| *count);
        tally
    }

    /// Which connections were counted, where others were folded away.
    pub(super) fn scope(&self) -> Option<String> {
        if self.folded.is_none() {
            return None;
        }
        let folded = self.folded.outcomes.total();
        let total = folded.saturating_add(self.all as u64);
        Some(match (self.all, folded) {
            (1, 0) => "In the one connection that was kept".to_owned(),
            (1, _) => format!("In the one of {total} connections that was kept"),
            (all, 0) => format!("Among the {all} connections that were kept"),
            (all, _) => format!("Among the {all} of {total} connections that were kept"),
        })
    }

    pub(super) const fn offers(&self) -> usize {
        self.resumed + self.declined + self.broken + self.unclear_offers
    }

    pub(super) const fn returning(&self) -> usize {
        self.offers() + self.silent
    }

    /// "All 3 offers", "2 of 3 offers"; "3 offers" where there may have been others that are not visible.
    pub(super) fn of_offers(&self, count: usize, one: &str, many: &str) -> String {
        known_part_of((count, self.offers()), self.unclear - self.unclear_offers, one, many)
    }

    /// The same of connections whose client had been given something.
    pub(super) fn of_returning(&self, count: usize) -> String {
        self.part_of_returning(count, self.returning())
    }

    pub(super) fn part_of_returning(&self, count: usize, all: usize) -> String {
        let hidden = self.unclear - self.unclear_offers + self.perhaps_returning;
        let (one, many) = ("returning connection", "returning connections");
        known_part_of((count, all), hidden, one, many)
    }

    /// What is not visible of these connections, for the end of a sentence; nothing where all is.
    pub(super) fn not_visible(&self, named: impl Fn(usize) -> String) -> Option<String> {
        not_visible((self.perhaps_returning, self.unclear), named)
    }
}

/// Of so many connections it is not visible whether they had anything to offer, and of so many what became of them.
pub(super) fn not_visible(counts: (usize, usize), named: impl Fn(usize) -> String) -> Option<String> {
    let offer = |perhaps| format!("whether {} had anything to offer", named(perhaps));
    let end = |unclear| format!("what became of {}", named(unclear));
    let what = match counts {
        (0, 0) => return None,
        (perhaps, 0) => offer(perhaps),
        (0, unclear) => end(unclear),
        (perhaps, unclear) => format!("{}, and {},", offer(perhaps), end(unclear)),
    };
    Some(format!("; {what} is not visible"))
}

/// Whether all that a handshake offered was external PSKs.
fn offered_external_only(connection: &Connection) -> bool {
    let is_external = |offer: &Offer| offer.kind == OfferKind::ExternalPsk;
    !connection.offers.is_empty() && connection.offers.iter().all(is_external)
}

/// Whether it is not visible if a handshake offered a session: its hello is not, or what it offered may be something else.
fn may_have_offered(connection: &Connection) -> bool {
    let doubtful = |offer: &Offer| offer.kind.doubt().is_some();
    connection.hello.blind().is_some() || connection.offers.iter().any(doubtful)
}

#[cfg(test)]
mod tests {
    use smallvec::smallvec;

    use super::*;
    use crate::diagnosis::tests::{World, full};
    use crate::session::tests::at;
    use crate::session::{Blindness, Outcomes, Seen};

    #[test]
    fn the_scope_names_how_many_are_kept_and_of_how_many_where_that_is_known() {
        let scope = |all, not_offered, perhaps_more| {
            let outcomes = Outcomes {
                not_offered,
                ..Outcomes::default()
            };
            let tally = ServiceTally {
                all,
                folded: Folded { outcomes, perhaps_more },
                ..ServiceTally::default()
            };
            tally.scope()
        };
        assert_eq!(scope(5, 0, false), None);
        let told = |all, folded| scope(all, folded, true).expect("a scope");
        assert_eq!(told(1, 0), "In the one connection that was kept");
        assert_eq!(told(1, 3), "In the one of 4 connections that was kept");
        assert_eq!(told(5, 0), "Among the 5 connections that were kept");
        assert_eq!(told(5, 7), "Among the 5 of 12 connections that were kept");
    }

    #[test]
    fn failures_are_counted_by_what_was_offered_and_by_who_left() {
        let failing = |mut connection: Connection, by_server: bool| {
            let side = if by_server {
                &mut connection.server_side
            } else {
                &mut connection.client_side
            };
            side.fin = Some(at(9));
            connection.outcome = Outcome::Failed;
            connection
        };
        let offering = |second| {
            let mut connection = full(second);
            let kind = crate::session::OfferKind::Resumption(crate::session::Mechanism::Ticket);
            connection.offers = smallvec![crate::session::tests::offer(0, kind)];
            connection
        };
        let all = vec![
            failing(full(1), false),
            failing(full(2), false),
            failing(full(3), true),
            failing(offering(4), false),
            failing(offering(5), true),
            failing(offering(6), true),
        ];
        let world = World::of(all, usize::MAX);
        let case = world.case(0);
        let ids = &case.analysis().expect("a service").members;
        let members: Vec<_> = case.connection_store.in_turn(ids).collect();
        let tally = ServiceTally::of(&members, case.analyses);
        assert_eq!((tally.all, tally.failed, tally.broken, tally.left), (6, 3, 3, (1, 2)));
        assert_eq!((tally.offers(), tally.returning(), tally.unclear), (3, 3, 0));
    }

    #[test]
    fn a_hello_that_was_not_read_may_have_offered() {
        let hello_lost = Connection {
            outcome: Outcome::Failed,
            hello: Seen::Blind(Blindness::CaptureStartedLate),
            ..full(1)
        };
        assert!(may_have_offered(&hello_lost) && !may_have_offered(&full(1)));
    }
}
