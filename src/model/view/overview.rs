//! The whole run at a glance: outcomes over time, and services in the order of what they waste.

use crate::model::over;
use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::model::{Outcomes, Report, ServiceView};
use reshake_core::net::Timestamp;
use reshake_core::net::span::SECOND;

use super::{counted, name_of, wire};

/// Bars at most: the span of a capture with wrong clocks is no reason to draw for ever.
const MAX_BARS: i64 = 600;

/// Outcomes over time: every bar of the span, those without a connection too.
#[must_use]
pub fn timeline(report: &Report<'_>) -> Vec<(Timestamp, Outcomes)> {
    let mut sums: BTreeMap<i64, Outcomes> = BTreeMap::new();
    for (start, outcomes) in report.services.iter().flat_map(|view| &view.timeline) {
        sums.entry(start.nanos()).or_default().merge(outcomes);
    }
    let width = report.bar_seconds * SECOND;
    let (Some(first), Some(last)) = (report.first_time(), report.last_time()) else {
        return Vec::new();
    };
    let count = (last.since(first) / width.max(1) + 1).clamp(1, MAX_BARS);
    (0..count)
        .map(|bar| first.nanos().saturating_add(bar * width))
        .map(|start| {
            let outcomes = sums.get(&start).copied().unwrap_or_default();
            (Timestamp::from_nanos(start), outcomes)
        })
        .collect()
}

/// Services, the one with the most full handshakes of returning clients first; then by the time those cost, and size.
#[must_use]
pub fn by_waste(report: &Report<'_>) -> Vec<usize> {
    let mut ranked: Vec<usize> = (0..report.services.len()).collect();
    ranked.sort_by_key(|index| {
        report.services.get(*index).map(|view| {
            let avoidable = &view.avoidable.all;
            let total = view.counts.outcomes.total();
            Reverse((avoidable.handshakes, avoidable.nanos, total, Reverse(*index)))
        })
    });
    ranked
}

/// Name and endpoint of a service.
#[must_use]
pub fn service_title(view: &ServiceView) -> String {
    format!(
        "{}  {}{}",
        name_of(view.server_name.as_deref()),
        view.server,
        over(view.transport)
    )
}

/// What was read: the name of the capture, or how many there are, and their packets.
#[must_use]
pub fn title(report: &Report<'_>) -> String {
    let name = match report.captures.as_slice() {
        [capture] if capture.path == "-" => "standard input".to_owned(),
        [capture] => wire(capture.path.rsplit('/').next().unwrap_or_default()),
        captures => counted(captures.len() as u64, "capture", "captures"),
    };
    let packets = report.captures.iter().map(|capture| capture.packets).sum();
    format!("{name}   {}", counted(packets, "packet", "packets"))
}

/// Kinds of things that were skipped or limit what can be said.
#[must_use]
pub fn notes(report: &Report<'_>) -> u64 {
    let mut notices: Vec<&'static str> = report
        .captures
        .iter()
        .flat_map(|capture| capture.notices.iter())
        .map(|(notice, ..)| notice.code())
        .collect();
    notices.sort_unstable();
    notices.dedup();
    notices.len() as u64
}
