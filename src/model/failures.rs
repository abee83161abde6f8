//! Handshakes that failed, by who ended them and how: one alert a hundred times is one thing to look into.

use std::cmp::Reverse;

use hashbrown::HashMap;

use super::{Connection, Outcome, Report, Service, service_of};
use reshake_core::diagnosis::failure;
use reshake_core::net::FrameRef;

/// Failures of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureKind {
    /// "the client sends a fatal alert: 48 (`unknown_ca`)".
    pub how: String,
    /// Connections that failed so.
    pub connections: u64,
    /// The frame of the first of them that shows it.
    pub first: FrameRef,
}

impl FailureKind {
    fn of(connection: &Connection) -> Self {
        let shown = failure(connection);
        Self {
            how: shown.text.into_owned(),
            connections: 1,
            first: shown.frame,
        }
    }
}

/// The failures of every service, most frequent first. One pass, and none where nothing failed.
#[must_use]
pub fn by_service(report: &Report<'_>) -> HashMap<Service, Vec<FailureKind>> {
    let mut found: HashMap<Service, Vec<FailureKind>> = HashMap::new();
    if report.summary.counts.outcomes.failed == 0 {
        return found;
    }
    for (.., connection) in report.connections() {
        if connection.outcome != Outcome::Failed {
            continue;
        }
        let kinds = found.entry(service_of(connection)).or_default();
        add(kinds, &FailureKind::of(connection));
    }
    found.values_mut().for_each(|kinds| sort(kinds));
    found
}

/// Those of one service.
#[must_use]
pub fn of_service(report: &Report<'_>, service: &Service) -> Vec<FailureKind> {
    let mut kinds = Vec::new();
    if report.summary.counts.outcomes.failed == 0 {
        return kinds;
    }
    for (.., connection) in report.connections() {
        let is_one = connection.outcome == Outcome::Failed && connection.server == service.server;
        if is_one && service_of(connection) == *service {
            add(&mut kinds, &FailureKind::of(connection));
        }
    }
    sort(&mut kinds);
    kinds
}

/// Those of several services together.
#[must_use]
pub fn together<'f>(all: impl Iterator<Item = &'f FailureKind>) -> Vec<FailureKind> {
    let mut kinds = Vec::new();
    all.for_each(|kind| add(&mut kinds, kind));
    sort(&mut kinds);
    kinds
}

/// There are as many kinds as alerts, and two sides: they are searched one by one.
fn add(kinds: &mut Vec<FailureKind>, more: &FailureKind) {
    match kinds.iter_mut().find(|kind| kind.how == more.how) {
        Some(kind) => {
            kind.connections += more.connections;
            kind.first = kind.first.min(more.first);
        }
        None => kinds.push(more.clone()),
    }
}

fn sort(kinds: &mut [FailureKind]) {
    kinds.sort_by_key(|kind| (Reverse(kind.connections), kind.first));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_alert_of_the_same_side_is_one_kind() {
        let kind = |how: &str, connections, frame| FailureKind {
            how: how.to_owned(),
            connections,
            first: FrameRef::new(0, frame),
        };
        let all = [kind("a", 1, 9), kind("b", 2, 3), kind("a", 4, 2)];
        assert_eq!(together(all.iter()), [kind("a", 5, 2), kind("b", 2, 3)]);
    }
}
