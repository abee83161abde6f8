//! Connections of one service that ended alike: counted, with one that stands for all. Gathered in the one pass that
//! judges every connection, so that a report never judges them again.

use reshake_core::diagnosis::{Confidence, Judged, Reason};
use reshake_core::session::{Connection, ConnectionId, Outcome};

/// Connections with the same outcome and the same primary reason.
#[derive(Debug, Clone, Copy)]
pub struct OutcomeGroup {
    /// Outcome; of an unclear one, that of the example.
    pub outcome: Outcome,
    /// Primary reason.
    pub reason: Option<&'static Reason>,
    /// With confidence observed, inferred and possible.
    pub by_confidence: [u64; 3],
    /// Connections.
    pub connections: u64,
    /// The first of the surest ones, by its number and id.
    pub example: (usize, ConnectionId),
    /// The pattern that settled the reason of the example with service analysis.
    pub settled_by: Option<&'static str>,
    /// How sure the example is.
    sure: Option<Confidence>,
}

/// Whether a full handshake could not have been a resumption: the client had nothing yet, or offered only keys that no
/// session gave it.
#[must_use]
pub fn is_no_return(connection: &Connection, primary: Option<&Reason>) -> bool {
    let refused = connection.outcome == Outcome::Declined;
    primary.is_some_and(is_newcomer) || (refused && connection.offers_external_psks_only())
}

/// Full handshakes that could not have been resumptions, because the client had nothing yet.
#[must_use]
pub fn is_newcomer(reason: &Reason) -> bool {
    matches!(reason.name, "first-in-capture" | "no-credential-yet-parallel")
}

impl OutcomeGroup {
    /// Whether somebody may want to act on it: all but resumptions and first handshakes.
    #[must_use]
    pub fn matters(&self) -> bool {
        !matches!(self.outcome, Outcome::Resumed(_) | Outcome::ExternalPsk)
            && self.reason.is_none_or(|reason| reason.name != "first-in-capture")
    }

    /// What is shown first.
    pub(crate) const fn gravity(&self) -> u8 {
        match self.outcome {
            Outcome::Declined => 0,
            Outcome::Failed => 1,
            Outcome::NotOffered => 2,
            Outcome::Unclear(_) => 3,
            Outcome::Resumed(_) | Outcome::ExternalPsk => 4,
        }
    }

    fn of(outcome: Outcome, primary: Option<&Judged>, example: (usize, ConnectionId)) -> Self {
        Self {
            outcome,
            reason: primary.map(|judged| judged.reason),
            by_confidence: [0; 3],
            connections: 0,
            example,
            settled_by: primary.and_then(|judged| judged.settled_by),
            sure: primary.map(|judged| judged.confidence),
        }
    }
}

/// Adds a connection to those alike.
pub(super) fn count(
    kinds: &mut Vec<OutcomeGroup>,
    outcome: Outcome,
    primary: Option<&Judged>,
    connection: (usize, ConnectionId),
) {
    let mut one = OutcomeGroup::of(outcome, primary, connection);
    one.connections = 1;
    if let Some(judged) = primary {
        let [observed, inferred, possible] = &mut one.by_confidence;
        *match judged.confidence {
            Confidence::Observed => observed,
            Confidence::Inferred => inferred,
            Confidence::Possible => possible,
        } = 1;
    }
    add(kinds, &one);
}

/// Adds what other services have to those alike.
pub(crate) fn merge(kinds: &mut Vec<OutcomeGroup>, others: &[OutcomeGroup]) {
    for other in others {
        add(kinds, other);
    }
}

/// There are few kinds, so they are searched one by one.
fn add(kinds: &mut Vec<OutcomeGroup>, more: &OutcomeGroup) {
    let same = |kind: &&mut OutcomeGroup| {
        std::mem::discriminant(&kind.outcome) == std::mem::discriminant(&more.outcome)
            && kind.reason.map(|reason| reason.name) == more.reason.map(|reason| reason.name)
    };
    let Some(kind) = kinds.iter_mut().find(same) else {
        kinds.push(*more);
        return;
    };
    kind.connections += more.connections;
    kind.by_confidence
        .iter_mut()
        .zip(more.by_confidence)
        .for_each(|(sum, more)| *sum += more);
    if more.sure > kind.sure {
        (kind.sure, kind.example, kind.outcome) = (more.sure, more.example, more.outcome);
        kind.settled_by = more.settled_by;
    }
}
