//! Who made the sessions and who was offered them: issuer by acceptor.

use std::collections::BTreeMap;

use crate::diagnosis::attempts::Decision;
use crate::session::ConnectionId;

use super::{ServiceAnalyses, ServiceAnalysis};

/// What one issuer's sessions met at one acceptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Label of the machine or cache domain that made the sessions.
    pub issuer: String,
    /// Label of the one that they were offered to.
    pub acceptor: String,
    /// Offers that resumed.
    pub resumed: u64,
    /// Offers that were declined.
    pub declined: u64,
}

/// By machine where these are told apart, else by cache domain; empty where neither is.
pub(super) fn table(analysis: &ServiceAnalysis, analyses: &ServiceAnalyses) -> Vec<Exchange> {
    if analysis.backends.len() > 1 {
        count(analysis, analyses, "backend", |id| analyses.backend(id))
    } else if analysis.domains.len() > 1 {
        count(analysis, analyses, "domain", |id| analyses.domain(id))
    } else {
        Vec::new()
    }
}

fn count(
    analysis: &ServiceAnalysis,
    analyses: &ServiceAnalyses,
    kind: &str,
    number: impl Fn(ConnectionId) -> Option<u16>,
) -> Vec<Exchange> {
    let mut cells: BTreeMap<(u16, u16), [u64; 2]> = BTreeMap::new();
    let attempts = analyses.attempts();
    for id in &analysis.members {
        // Numbers count within a service: what another one issued has no label here, nor what was concluded.
        for (_, entry) in analyses
            .entries(*id)
            .filter(|(_, entry)| !entry.foreign && !entry.concluded)
        {
            let issuer = attempts.row(entry.issue).and_then(|row| number(row.connection));
            let (Some(issuer), Some(acceptor)) = (issuer, number(*id)) else {
                continue;
            };
            let [resumed, declined] = cells.entry((issuer, acceptor)).or_default();
            match entry.decision {
                Decision::Accepted => *resumed += 1,
                Decision::Refused => *declined += 1,
                Decision::Broken | Decision::NotJudged => {}
            }
        }
    }
    cells
        .into_iter()
        .map(|((issuer, acceptor), [resumed, declined])| Exchange {
            issuer: format!("{kind}-{issuer}"),
            acceptor: format!("{kind}-{acceptor}"),
            resumed,
            declined,
        })
        .collect()
}
