//! What another farm would do to the reconnects of a capture, beside what the captured one did: rates, and what full
//! handshakes cost.

mod bill;
mod json;
mod text;

use hashbrown::HashSet;

use crate::model::Report;
use crate::what_if::{Crowd, Expectation, Fate, Had, Observed, Persistence, Plan, Played};
use reshake_core::session::{Connection, ConnectionId, Outcome};

pub use bill::Bill;
pub use json::{SCHEMA, schema, write as write_json};
pub use text::write as write_text;

/// One plan: what to expect, and what its full handshakes cost.
#[derive(Debug)]
pub struct Expected {
    /// What to expect.
    pub expectation: Expectation,
    /// What the reconnects that do not resume cost.
    pub bill: Bill,
}

/// The answer to a question about farms.
#[derive(Debug)]
pub struct WhatIf {
    /// Who came back.
    pub crowd: Crowd,
    /// What session IDs could do for a balancer.
    pub persistence: Persistence,
    /// What the reconnects that did not resume in the capture cost.
    pub captured: Bill,
    /// The plans, in the order asked.
    pub expected: Vec<Expected>,
    /// Connections that were only counted, at the memory limit: they are not replayed.
    pub only_counted: u64,
}

impl WhatIf {
    /// Asks about some plans. Every connection is replayed; those of the report's selection are counted.
    #[must_use]
    pub fn of(report: &Report<'_>, plans: &[Plan]) -> Self {
        let (connection_store, credential_store) = (report.engine.connection_store(), report.engine.credential_store());
        let shown: HashSet<ConnectionId> = report.connections().map(|(_, id, _)| id).collect();
        let observed = connection_store.iter().map(|(id, connection)| Observed {
            id,
            connection,
            primary: is_judged(connection)
                .then(|| report.reasons(id, connection).into_iter().next())
                .flatten(),
            counted: shown.contains(&id),
        });
        let crowd = Crowd::of(observed.collect(), credential_store);
        let connections = || {
            crowd
                .visits
                .iter()
                .filter_map(|visit| connection_store.get(visit.connection))
        };
        let prices = bill::Prices::of(connections());
        let persistence = Persistence::of(&crowd, connections(), credential_store);
        let bill = |resumed: &dyn Fn(usize, Had) -> bool| {
            let visits = crowd.visits.iter().enumerate();
            let full = visits
                .filter(|(index, visit)| visit.counted && visit.is_reconnect() && !resumed(*index, visit.had))
                .filter_map(|(_, visit)| connection_store.get(visit.connection));
            prices.bill(full)
        };
        let expected = plans.iter().map(|plan| {
            let (expectation, played) = Expectation::of(&crowd, *plan);
            let resumes = |index: usize| played.get(index).map(|played: &Played| played.fate) == Some(Fate::Resumed);
            Expected {
                expectation,
                bill: bill(&|index, _| resumes(index)),
            }
        });
        let expected: Vec<Expected> = expected.collect();
        let captured = bill(&|_, had| had == Had::Resumed);
        Self {
            crowd,
            persistence,
            captured,
            expected,
            only_counted: report.only_counted(),
        }
    }
}

/// Whether the reason of a connection matters to the model.
const fn is_judged(connection: &Connection) -> bool {
    matches!(connection.outcome, Outcome::Declined | Outcome::NotOffered)
}
