//! Connections counted by outcome and by offer, and the shares that follow.

use super::alike;
use reshake_core::diagnosis::Judged;
use reshake_core::session::{Connection, Outcome, Outcomes};

/// Connections that offered a credential, by what became of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offers {
    /// Connections with an offer.
    pub made: u64,
    /// Accepted.
    pub accepted: u64,
    /// Declined.
    pub declined: u64,
    /// Of those: an external PSK that stood beside it was taken instead.
    pub passed_over: u64,
    /// The handshake failed.
    pub failed: u64,
    /// Not visible.
    pub unclear: u64,
}

/// What every part of the report counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// By outcome.
    pub outcomes: Outcomes,
    /// By offer.
    pub offers: Offers,
    /// Full handshakes that could not have been resumptions: first ones, those opened in parallel with one, and those that
    /// offered external PSKs only.
    pub newcomers: u64,
}

impl Counts {
    pub(super) fn add(&mut self, connection: &Connection, primary: Option<&Judged>) {
        let newcomer = alike::is_no_return(connection, primary.map(|judged| judged.reason));
        self.add_kind(connection, newcomer);
    }

    /// Adds a connection of which it is known whether it could have been a resumption.
    pub(crate) fn add_kind(&mut self, connection: &Connection, newcomer: bool) {
        self.outcomes.count(connection.outcome);
        self.newcomers += u64::from(newcomer);
        let resumed_blind = matches!(connection.outcome, Outcome::Resumed(None));
        if connection.offered().next().is_none() && !resumed_blind {
            return;
        }
        self.offers.made += 1;
        match connection.outcome {
            Outcome::Resumed(_) => self.offers.accepted += 1,
            Outcome::Declined => self.offers.declined += 1,
            Outcome::ExternalPsk => {
                self.offers.declined += 1;
                self.offers.passed_over += 1;
            }
            Outcome::Failed => self.offers.failed += 1,
            Outcome::NotOffered | Outcome::Unclear(_) => self.offers.unclear += 1,
        }
    }

    pub(super) const fn merge(&mut self, others: &Self) {
        self.outcomes.merge(&others.outcomes);
        self.offers.made += others.offers.made;
        self.offers.accepted += others.offers.accepted;
        self.offers.declined += others.offers.declined;
        self.offers.passed_over += others.offers.passed_over;
        self.offers.failed += others.offers.failed;
        self.offers.unclear += others.offers.unclear;
        self.newcomers += others.newcomers;
    }

    /// Adds what was folded away at the memory limit. Whether its clients were returning is no longer known, so its
    /// handshakes without an offer stay out of that share.
    pub(super) fn add_evicted(&mut self, evicted: &Outcomes) {
        self.outcomes.merge(evicted);
        self.newcomers += evicted.not_offered;
        self.offers.made += evicted.resumed + evicted.declined;
        self.offers.accepted += evicted.resumed;
        self.offers.declined += evicted.declined;
    }

    /// Accepted offers among those that were decided; `None` when there is none.
    #[must_use]
    pub fn resumption_rate(&self) -> Option<f64> {
        ratio(
            self.offers.accepted,
            self.offers.accepted + self.offers.declined + self.offers.failed,
        )
    }

    /// Resumed handshakes among those that were decided.
    #[must_use]
    pub fn resumed_share(&self) -> Option<f64> {
        ratio(self.outcomes.resumed, self.decided())
    }

    /// Resumed handshakes among those of returning clients.
    #[must_use]
    pub fn returning_share(&self) -> Option<f64> {
        ratio(self.outcomes.resumed, self.decided().saturating_sub(self.newcomers))
    }

    pub(crate) const fn decided(&self) -> u64 {
        self.outcomes.resumed + self.outcomes.declined + self.outcomes.not_offered
    }
}

#[allow(clippy::cast_precision_loss)] // counts of connections stay far below 2^53
fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| (part as f64 / whole as f64 * 1000.0).round() / 1000.0)
}
