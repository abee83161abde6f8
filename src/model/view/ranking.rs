//! Every service in one row: how much resumed, what is wrong, what it costs; those with the most trouble first.

use std::borrow::Cow;
use std::cmp::Reverse;

use crate::model::cost::Avoidable;
use crate::model::{Report, ServiceView, over};
use reshake_core::diagnosis::Confidence;
use reshake_core::diagnosis::service::{Pattern, PatternKind};

use super::{duration, name_of, number, percent};

/// A service among many.
#[derive(Debug, Clone)]
pub struct ServiceRow {
    /// Its index in the report.
    pub index: usize,
    /// Its name, or that none was seen.
    pub name: String,
    /// Its endpoint.
    pub server: String,
    /// Share of decided offers that were accepted, in words; a dash where none was decided.
    pub rate: String,
    /// Decided offers.
    pub offers: u64,
    /// Its connections.
    pub connections: u64,
    /// Name of the surest pattern, else of the most frequent reason to act; `None` where nothing is wrong.
    pub problem: Option<&'static str>,
    /// How sure the problem is.
    pub sure: Option<Confidence>,
    /// Full handshakes of returning clients, and what they cost.
    pub avoidable: Avoidable,
    /// Connections that somebody may want to act on.
    pub worth_a_look: u64,
}

impl ServiceRow {
    fn of(report: &Report<'_>, index: usize, view: &ServiceView) -> Self {
        let offers = &view.counts.offers;
        let (problem, sure) = problem(report, view).unzip();
        Self {
            index,
            name: name_of(view.server_name.as_deref()),
            server: format!("{}{}", view.server, over(view.transport)),
            rate: view.counts.resumption_rate().map_or_else(|| "–".to_owned(), percent),
            offers: offers.accepted + offers.declined + offers.failed,
            connections: view.counts.outcomes.total(),
            problem,
            sure,
            avoidable: view.avoidable.all,
            worth_a_look: worth_a_look(view),
        }
    }

    /// Avoidable handshakes with the time that they took; empty without any.
    #[must_use]
    pub fn cost(&self) -> String {
        let cost = &self.avoidable;
        match (cost.handshakes, cost.nanos) {
            (0, _) => String::new(),
            (handshakes, 0) => format!("{} full", number(handshakes)),
            (handshakes, nanos) => format!("{} full, {}", number(handshakes), duration(nanos)),
        }
    }
}

/// All services, those with the most connections to act on first; then by what they cost, and by size.
#[must_use]
pub fn ranking(report: &Report<'_>) -> Vec<ServiceRow> {
    let mut rows: Vec<ServiceRow> = report
        .services
        .iter()
        .enumerate()
        .map(|(index, view)| ServiceRow::of(report, index, view))
        .collect();
    rows.sort_by_key(|row| {
        let cost = &row.avoidable;
        let trouble = (row.worth_a_look, cost.handshakes, cost.nanos, row.connections);
        (Reverse(trouble), row.index)
    });
    rows
}

/// Connections that somebody may want to act on.
#[must_use]
pub fn worth_a_look(view: &ServiceView) -> u64 {
    let kinds = view.alike.iter().filter(|kind| kind.matters());
    kinds.map(|kind| kind.connections).sum()
}

/// A pattern that says what a balancer cannot go by, and not why anything was refused.
const ASIDE: &str = "session-ids-pin-nobody";

/// What is wrong with a service, by the name that `explain` knows.
fn problem(report: &Report<'_>, view: &ServiceView) -> Option<(&'static str, Confidence)> {
    let insight = report.analyses.service(&view.service());
    // What follows from another is not the problem, and the first of those that are as sure is the one to begin with.
    let causes = insight.iter().flat_map(|insight| &insight.patterns);
    let causes = causes.filter(|pattern| pattern.follows_from.is_none());
    let surest = |pattern: &&Pattern| Reverse(pattern.confidence);
    let (aside, causes): (Vec<&Pattern>, Vec<&Pattern>) = causes.partition(|pattern| pattern.name == ASIDE);
    if let Some(pattern) = causes.into_iter().min_by_key(surest) {
        return Some((pattern.name, pattern.confidence));
    }
    let kinds = view.alike.iter().filter(|kind| kind.matters());
    let Some(kind) = kinds.max_by_key(|kind| kind.connections) else {
        return aside.first().map(|pattern| (pattern.name, pattern.confidence));
    };
    let [observed, inferred, possible] = kind.by_confidence;
    let sure = if observed >= inferred.max(possible) {
        Confidence::Observed
    } else if inferred >= possible {
        Confidence::Inferred
    } else {
        Confidence::Possible
    };
    Some((kind.reason?.name, sure))
}

/// What there is to say of a service at once.
#[derive(Debug, Clone)]
pub struct Told {
    /// In one sentence.
    pub answer: String,
    /// The one thing to do; `None` where nothing is wrong.
    pub action: Option<String>,
    /// Patterns with how sure they are, those that follow from no other.
    pub patterns: Vec<(&'static str, &'static str)>,
}

/// What there is to say of a service.
#[must_use]
pub fn told(report: &Report<'_>, view: &ServiceView) -> Told {
    let service = view.service();
    let answer = report.answer(&service).map(Cow::into_owned).unwrap_or_default();
    let patterns = report.analyses.service(&service).map(|insight| insight.patterns.iter());
    let causes = patterns.into_iter().flatten();
    let causes = causes.filter(|pattern| pattern.follows_from.is_none());
    let headline = |name| PatternKind::by_name(name).map_or(name, |kind| kind.summary);
    Told {
        answer: answer.sentence,
        action: answer.action,
        patterns: causes
            .map(|pattern| (headline(pattern.name), pattern.confidence.code()))
            .collect(),
    }
}
