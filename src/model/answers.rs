//! The answer of each service, with what the reasons of its connections add.

use std::borrow::Cow;

use hashbrown::HashMap;

use super::{Report, ServiceView};
use reshake_core::diagnosis::answer::Answer;
use reshake_core::diagnosis::service::ServiceAnalysis;
use reshake_core::session::{ConnectionId, Service};

/// Answers that reasons say more to than the service as a whole. A selection changes none: reasons of what it leaves out are
/// asked for here.
pub(super) fn with_reasons(report: &Report<'_>) -> HashMap<Service, Answer> {
    let shown: HashMap<Service, &ServiceView> = match report.selection {
        None => report.services.iter().map(|view| (view.service(), view)).collect(),
        Some(_) => HashMap::new(),
    };
    let asking = report.analyses.services();
    let asking = asking.filter(|(_, analysis)| analysis.answer.asks_for_reasons());
    let answer = |(service, analysis): (&Service, &ServiceAnalysis)| {
        let answer = if let Some(view) = shown.get(service) {
            let told = view.reasons.iter().map(|count| (count.reason, count.by_confidence));
            analysis.answer.with_reasons(told)
        } else {
            let primary = |id: &ConnectionId| {
                let connection = report.engine.connection_store().get(*id)?;
                report.reasons(*id, connection).into_iter().next()
            };
            let primaries = analysis.members.iter().filter_map(primary);
            let told = primaries.map(|judged| (judged.reason, judged.confidence));
            analysis.answer.with_primaries(told)
        };
        (service.clone(), answer)
    };
    asking.map(answer).collect()
}

impl Report<'_> {
    /// What there is to say of a service, and what to do. Of one that was folded away as a whole nothing stands in memory: there
    /// may be very many.
    #[must_use]
    pub fn answer(&self, service: &Service) -> Option<Cow<'_, Answer>> {
        let whole = || Some(&self.analyses.service(service)?.answer);
        let folded = || {
            self.engine
                .connection_store()
                .evicted_of(service)
                .map(Answer::of_folded)
        };
        let kept = self.answers.get(service).or_else(whole);
        kept.map(Cow::Borrowed).or_else(|| folded().map(Cow::Owned))
    }
}
