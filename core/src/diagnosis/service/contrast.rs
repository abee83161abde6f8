//! Two groups of units and what became of them, counted and compared: what a claim shows of its count.

use crate::diagnosis::contest::Standing;
use crate::diagnosis::explanations::Kind;

/// A two-by-two table with its chance.
#[derive(Debug, Clone, PartialEq)]
pub struct ContingencyTable {
    /// What the two rows are: where the claim says accept, and where it says refuse.
    pub rows: [&'static str; 2],
    /// What became of them, well and ill.
    pub columns: [&'static str; 2],
    /// By row and column.
    pub counts: [[u64; 2]; 2],
    /// The one-sided exact chance, after all corrections.
    pub p_value: f64,
    /// What is counted.
    pub unit: &'static str,
    /// What the chance was multiplied by.
    pub tried: u64,
}

impl ContingencyTable {
    /// Of a claim that was counted; a proof needs none.
    #[must_use]
    pub fn of(standing: &Standing) -> Option<Self> {
        let claim = &standing.claim;
        let units = claim.units();
        let (unit, columns) = match claim.kind {
            // Half of these offered nothing that could have been resumed.
            Kind::OfferBreaks => ("connections", ["succeeded", "failed"]),
            Kind::OtherMachine => ("sessions at a machine", ["resumed", "declined"]),
            _ => ("sessions", ["resumed", "declined"]),
        };
        (claim.proven.is_empty() || claim.kind == Kind::OtherMachine).then(|| Self {
            rows: claim.kind.rows(),
            columns,
            counts: [
                [units.other_accepted, units.other_refused],
                [units.named_accepted, units.named_refused],
            ],
            p_value: standing.p_value,
            unit,
            tried: standing.tried,
        })
    }

    /// Whether both rows have members: an empty one compares nothing, and its chance says nothing.
    #[must_use]
    pub fn compares(&self) -> bool {
        self.counts.iter().all(|row| row.iter().sum::<u64>() > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_without_members_compares_nothing() {
        let compares = |counts| {
            let table = ContingencyTable {
                rows: ["a", "b"],
                columns: ["resumed", "declined"],
                counts,
                p_value: 1.0,
                unit: "sessions",
                tried: 1,
            };
            table.compares()
        };
        assert!(compares([[1, 0], [0, 2]]) && compares([[0, 3], [4, 0]]));
        assert!(!compares([[0, 0], [1, 2]]) && !compares([[1, 2], [0, 0]]) && !compares([[0, 0], [0, 0]]));
    }

    #[test]
    fn what_is_proven_is_counted_for_machines_alone() {
        use crate::diagnosis::explanations::Claim;
        let counted = |kind, proven: bool| {
            let mut claim = Claim::by_hand(kind, &[1]);
            if proven {
                claim.proven = vec![1];
            }
            ContingencyTable::of(&Standing::by_hand(claim)).map(|table| (table.unit, table.columns))
        };
        let resumed = ["resumed", "declined"];
        assert_eq!(
            counted(Kind::OtherMachine, true),
            Some(("sessions at a machine", resumed))
        );
        // What offers nothing does not resume.
        assert_eq!(
            counted(Kind::OfferBreaks, false),
            Some(("connections", ["succeeded", "failed"]))
        );
        assert_eq!(counted(Kind::TooOld, false), Some(("sessions", resumed)));
        assert_eq!(counted(Kind::OtherKey, true), None);
    }
}
