//! Who made the sessions and who was offered them: issuer by acceptor.

use std::collections::BTreeMap;

use crate::session::ConnectionId;
use crate::store::CredentialStore;

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
pub(super) fn table(insight: &ServiceAnalysis, hindsight: &ServiceAnalyses, ledger: &CredentialStore) -> Vec<Exchange> {
    if insight.backends.len() > 1 {
        count(insight, ledger, "backend", |id| hindsight.backend(id))
    } else if insight.domains.len() > 1 {
        count(insight, ledger, "domain", |id| hindsight.domain(id))
    } else {
        Vec::new()
    }
}

fn count(
    insight: &ServiceAnalysis,
    ledger: &CredentialStore,
    kind: &str,
    number: impl Fn(ConnectionId) -> Option<u16>,
) -> Vec<Exchange> {
    let mut cells: BTreeMap<(u16, u16), [u64; 2]> = BTreeMap::new();
    // Numbers count within a service: what another one issued has no label here.
    for used in insight.uses.iter().filter(|used| !used.foreign) {
        let issue = ledger.get(used.credential).and_then(|credential| credential.issued);
        let issuer = issue.and_then(|issue| number(issue.connection));
        let (Some(issuer), Some(acceptor)) = (issuer, number(used.connection)) else {
            continue;
        };
        let [resumed, declined] = cells.entry((issuer, acceptor)).or_default();
        *(if used.accepted { resumed } else { declined }) += 1;
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
