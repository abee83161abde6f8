//! Connections counted by outcome.

use super::connection::Outcome;

#[cfg(feature = "serde")]
use {
    schemars::JsonSchema,
    serde::{Deserialize, Serialize},
};

/// Connections by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct Outcomes {
    /// Resumed.
    pub resumed: u64,
    /// Offered and declined.
    pub declined: u64,
    /// Nothing offered.
    pub not_offered: u64,
    /// Failed.
    pub failed: u64,
    /// Not visible.
    pub unclear: u64,
    /// External PSK accepted.
    pub external_psk: u64,
}

impl Outcomes {
    /// Counts one more.
    pub fn count(&mut self, outcome: Outcome) {
        *match outcome {
            Outcome::Resumed(_) => &mut self.resumed,
            Outcome::Declined => &mut self.declined,
            Outcome::NotOffered => &mut self.not_offered,
            Outcome::Failed => &mut self.failed,
            Outcome::Unclear(_) => &mut self.unclear,
            Outcome::ExternalPsk => &mut self.external_psk,
        } += 1;
    }

    /// Adds others.
    pub const fn merge(&mut self, others: &Self) {
        self.resumed = self.resumed.saturating_add(others.resumed);
        self.declined = self.declined.saturating_add(others.declined);
        self.not_offered = self.not_offered.saturating_add(others.not_offered);
        self.failed = self.failed.saturating_add(others.failed);
        self.unclear = self.unclear.saturating_add(others.unclear);
        self.external_psk = self.external_psk.saturating_add(others.external_psk);
    }

    /// All of them, in the order of the fields.
    #[must_use]
    pub const fn in_order(&self) -> [u64; 6] {
        [
            self.resumed,
            self.declined,
            self.not_offered,
            self.failed,
            self.unclear,
            self.external_psk,
        ]
    }

    /// All connections.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.in_order().into_iter().sum()
    }
}
