//! The contrasts that are tried on every service.

use std::collections::BTreeSet;

use crate::session::CredentialId;

use super::contrast::{ContingencyTable, holm};
use super::{ClosedBy, ResumptionAttempt, ServiceAnalyses, ServiceAnalysis};

/// The contrasts of a service, corrected together.
pub(super) fn of_service(
    insight: &ServiceAnalysis,
    hindsight: &ServiceAnalyses,
) -> Vec<(&'static str, ContingencyTable)> {
    let backend = |used: &ResumptionAttempt| {
        // Machines are numbered within their address.
        if used.foreign {
            return None;
        }
        let (answering, previous) = (hindsight.backend(used.connection)?, hindsight.backend(used.previous?)?);
        Some(usize::from(answering != previous))
    };
    let close = |kind: ClosedBy| {
        move |used: &ResumptionAttempt| match used.closed {
            _ if !used.kept_here() => None,
            ClosedBy::Cleanly => Some(0),
            closed => (closed == kind).then_some(1),
        }
    };
    let mut tried: Vec<(&'static str, ContingencyTable)> = [
        (
            "backend",
            tabulate(insight, ["same backend", "other backend"], &backend),
        ),
        (
            "client-reset",
            tabulate(
                insight,
                ["after a clean close", "after a reset by the client"],
                &close(ClosedBy::ClientReset),
            ),
        ),
        (
            "client-fin",
            tabulate(
                insight,
                ["after a clean close", "after FIN without close_notify"],
                &close(ClosedBy::ClientFin),
            ),
        ),
        (
            "server-close",
            tabulate(
                insight,
                ["after a clean close", "after an unclean close by the server"],
                &close(ClosedBy::Server),
            ),
        ),
    ]
    .into_iter()
    .filter(|(_, contrast)| contrast.counts.iter().flatten().sum::<u64>() > 0)
    .collect();
    // A table with an empty row is no attempt.
    let mut corrected: Vec<ContingencyTable> = tried
        .iter()
        .map(|(_, contrast)| contrast)
        .filter(|contrast| contrast.compares())
        .cloned()
        .collect();
    holm(&mut corrected);
    for (_, contrast) in &mut tried {
        if let Some(better) = corrected
            .iter()
            .find(|better| better.rows == contrast.rows && better.counts == contrast.counts)
        {
            contrast.p_value = better.p_value;
        }
    }
    tried
}

/// Counts credentials, not offers: a session refused five times is one piece of evidence.
fn tabulate(
    insight: &ServiceAnalysis,
    rows: [&'static str; 2],
    row: &dyn Fn(&ResumptionAttempt) -> Option<usize>,
) -> ContingencyTable {
    let mut seen: BTreeSet<(CredentialId, usize, bool)> = BTreeSet::new();
    let mut counts = [[0; 2]; 2];
    for used in &insight.uses {
        let Some(index) = row(used) else { continue };
        if seen.insert((used.credential, index, used.accepted))
            && let Some(cell) = counts
                .get_mut(index)
                .and_then(|row| row.get_mut(usize::from(!used.accepted)))
        {
            *cell += 1;
        }
    }
    ContingencyTable::new(rows, counts)
}
