//! The answer of each service, with what the reasons of its connections add.

use std::borrow::Cow;

use hashbrown::HashMap;

use super::primary::ReasonTally;
use super::{Report, ServiceView};
use reshake_core::diagnosis::answer::Answer;
use reshake_core::diagnosis::service::ServiceAnalysis;
use reshake_core::session::Service;

/// Answers that reasons say more to than the service as a whole. A selection changes none: reasons of what it leaves out are
/// asked for here.
pub(super) fn with_reasons(report: &Report<'_>) -> HashMap<Service, Answer> {
    let shown: HashMap<Service, &ServiceView> = match report.selection {
        None => report.services.iter().map(|view| (view.service(), view)).collect(),
        Some(_) => HashMap::new(),
    };
    let asking = report.analyses.services();
    let asking = asking.filter(|(_, analysis)| analysis.answer.asks_for_reasons());
    asking
        .map(|(service, analysis)| {
            let reasons = shown.get(service).map_or_else(
                || Cow::Owned(counted(report, analysis).sorted()),
                |view| Cow::Borrowed(view.reasons.as_slice()),
            );
            let told = reasons.iter().map(|count| (count.reason, count.told()));
            (service.clone(), analysis.answer.with_reasons(told))
        })
        .collect()
}

fn counted(report: &Report<'_>, analysis: &ServiceAnalysis) -> ReasonTally {
    let mut counted = ReasonTally::default();
    for id in &analysis.members {
        if let Some(connection) = report.engine.connection_store().get(*id) {
            counted.add(report.reasons(*id, connection).first());
        }
    }
    counted
}

impl Report<'_> {
    /// What there is to say of a service, and what to do.
    #[must_use]
    pub fn answer(&self, service: &Service) -> Option<&Answer> {
        let whole = || Some(&self.analyses.service(service)?.answer);
        self.answers.get(service).or_else(whole)
    }
}
