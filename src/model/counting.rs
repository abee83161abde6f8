//! Every connection judged and counted, by service and in all. Connections go in in their order, in as many pieces as
//! there are threads; the counts do not depend on how they were cut.

use std::collections::BTreeMap;
use std::ops::Range;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use super::primary::{Primaries, ReasonTally};
use super::{Outcomes, Report, ServiceView, Summary, service_of, threads};
use reshake_core::net::Timestamp;
use reshake_core::net::span::SECOND;
use reshake_core::session::Service;
use reshake_core::store::ConnectionStore;

/// Pieces for each thread: enough that none waits long for another, few enough that putting them together costs nothing.
const PIECES: usize = 4;

/// What was counted of one service.
struct OfService {
    view: ServiceView,
    reasons: ReasonTally,
    bars: BTreeMap<i64, Outcomes>,
}

impl OfService {
    fn new(service: &Service) -> Self {
        Self {
            view: ServiceView::new(service),
            reasons: ReasonTally::default(),
            bars: BTreeMap::new(),
        }
    }

    fn merge(&mut self, more: &Self) {
        self.view.merge(&more.view);
        self.reasons.merge(&more.reasons);
        for (bar, outcomes) in &more.bars {
            self.bars.entry(*bar).or_default().merge(outcomes);
        }
    }
}

/// What was counted of connections that stand side by side.
#[derive(Default)]
pub(super) struct Counting {
    summary: Summary,
    reasons: ReasonTally,
    /// By the service's number.
    services: HashMap<u32, OfService>,
    primaries: Primaries,
}

/// Counts everything that a report shows; `beside` is worked out at the same time.
pub(super) fn count<B>(report: &Report<'_>, beside: impl FnOnce() -> B) -> (Counting, B) {
    let pieces = if report.threads < 2 { 1 } else { PIECES * report.threads };
    let pieces = threads::cut(report.len(), report.len().div_ceil(pieces));
    let (counted, beside) = threads::each_beside(report.threads, &pieces, |piece| Counting::of(report, piece), beside);
    let all = counted.into_iter().reduce(|mut all, next| {
        all.append(next);
        all
    });
    (all.unwrap_or_default(), beside)
}

impl Counting {
    fn of(report: &Report<'_>, places: &Range<usize>) -> Self {
        let mut counting = Self::default();
        let first = report.first_time();
        let parties = report.history.parties();
        for (number, id, connection) in places.clone().filter_map(|place| report.at(place)) {
            let reasons = report.reasons(id, connection);
            let primary = reasons.first();
            counting.primaries.push(primary);
            counting.summary.add(connection, primary);
            counting.reasons.add(primary);
            let Some(service) = parties.get(id).map(|party| party.service) else {
                continue;
            };
            let known = counting.services.entry(service);
            let of_service = known.or_insert_with(|| OfService::new(&service_of(connection)));
            of_service.view.add((number, id), connection, &reasons);
            of_service.reasons.add(primary);
            let since = first.map_or(0, |first| connection.hello_time().since(first));
            let bar = since / SECOND / report.bar_seconds;
            of_service.bars.entry(bar).or_default().count(connection.outcome);
        }
        counting
    }

    fn append(&mut self, next: Self) {
        self.summary.merge(&next.summary);
        self.reasons.merge(&next.reasons);
        self.primaries.append(&next.primaries);
        for (service, more) in next.services {
            match self.services.entry(service) {
                Entry::Vacant(place) => drop(place.insert(more)),
                Entry::Occupied(known) => known.into_mut().merge(&more),
            }
        }
    }

    /// Adds what was folded away, and puts everything in the order in which it is shown.
    pub(super) fn finish(mut self, report: &Report<'_>) -> (Summary, Vec<ServiceView>, Primaries) {
        self.summary.reasons = std::mem::take(&mut self.reasons).sorted();
        let first = report.first_time().map_or(0, Timestamp::nanos);
        let start = |bar: i64| Timestamp::from_nanos(first + bar * report.bar_seconds * SECOND);
        let finished = std::mem::take(&mut self.services).into_values().map(
            |OfService {
                 mut view,
                 reasons,
                 bars,
             }| {
                view.reasons = reasons.sorted();
                view.timeline = bars.into_iter().map(|(bar, outcomes)| (start(bar), outcomes)).collect();
                view
            },
        );
        let mut services: Vec<ServiceView> = finished.collect();
        // What was folded away can no longer be asked whether it belongs to a selection.
        let connection_store = report.engine.connection_store();
        if report.selection.is_none() && report.only_counted() > 0 {
            self.add_evicted(connection_store, &mut services);
        }
        services.sort_unstable_by(|a, b| {
            let key = |view: &ServiceView| std::cmp::Reverse(view.counts.outcomes.total());
            (key(a), a.server, &a.server_name, a.transport).cmp(&(key(b), b.server, &b.server_name, b.transport))
        });
        (self.summary, services, self.primaries)
    }

    /// Adds what was folded away. There may be many services of which nothing is kept: each stands here once.
    fn add_evicted(&mut self, connection_store: &ConnectionStore, services: &mut Vec<ServiceView>) {
        self.summary.counts.add_evicted(connection_store.evicted_elsewhere());
        let kept = services.iter().zip(0..).map(|(view, place)| (view.service(), place));
        let kept: HashMap<Service, usize> = kept.collect();
        services.reserve_exact(
            connection_store
                .evicted()
                .filter(|(service, _)| !kept.contains_key(*service))
                .count(),
        );
        for (service, evicted) in connection_store.evicted() {
            self.summary.counts.add_evicted(evicted);
            if let Some(view) = kept.get(service).and_then(|place| services.get_mut(*place)) {
                view.counts.add_evicted(evicted);
            } else {
                let mut view = ServiceView::new(service);
                view.counts.add_evicted(evicted);
                services.push(view);
            }
        }
    }
}
