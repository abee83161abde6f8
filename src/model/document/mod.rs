//! A report to hand on, as data: what Markdown and HTML say, in which order, and how much of it.
//!
//! Bounded, so that a page of a million connections still opens: what is left out is counted, and said with the way to
//! get it. Everything in it is fit to be shown; markup is the business of whoever writes it.

mod notes;

use crate::model::connections_text;
use std::cmp::Reverse;

use crate::model::alike::{self, OutcomeGroup};
use crate::model::view::charts::Charts;
use crate::model::view::connection::ConnectionView;
use crate::model::view::overview::{by_waste, timeline};
use crate::model::view::ranking::{ServiceRow, ranking};
use crate::model::view::service::ServicePage;
use crate::model::view::swimlane::Swimlane;
use crate::model::view::{Moment, counted, duration, number, percent};
use crate::model::{Counts, Outcomes, ReasonCount, Report, moment};
use crate::wording::{MAX_PATH, printable};
use reshake_core::net::Capture;
use reshake_core::session::Outcome;

/// How much is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Services, those that waste most first.
    pub services: usize,
    /// Clients of a service whose sessions are followed.
    pub clients: usize,
    /// Kinds of connections with one that stands for each.
    pub kinds: usize,
    /// Connections one by one.
    pub connections: usize,
}

impl Bounds {
    /// What a reader can take in.
    pub const USUAL: Self = Self {
        services: 20,
        clients: 2,
        kinds: 12,
        connections: 200,
    };
    /// Every connection, whatever size that is. A service takes a look at all of them, so of services there is an end.
    pub const WIDE: Self = Self {
        services: 1_000,
        clients: 2,
        kinds: 10_000,
        connections: usize::MAX,
    };
}

/// A report to hand on.
#[derive(Debug)]
pub struct ReportDocument<'r> {
    /// What was read.
    pub captures: Vec<CaptureLine>,
    /// Captures that are not listed.
    pub more_captures: usize,
    /// What was read, when, and how much, in one line.
    pub scope: String,
    /// The selection that was applied.
    pub selection: Option<String>,
    /// Whether hosts and credentials bear other names.
    pub redacted: bool,
    /// Counts of everything.
    pub counts: Counts,
    /// The option that shows what is left out.
    pub more: &'static str,
    /// TCP connections without TLS.
    pub other_connections: u64,
    /// Primary reasons, most frequent first.
    pub reasons: &'r [ReasonCount],
    /// What was not analysed, or not as it stood.
    pub notes: Vec<String>,
    /// Outcomes over time.
    pub timeline: Vec<(Moment, Outcomes)>,
    /// Seconds of one bar of the timeline.
    pub bar_seconds: i64,
    /// Length of the input in nanoseconds.
    pub span: i64,
    /// Figures for charts.
    pub charts: Charts,
    /// Every service in a row, those with the most trouble first; as many as a page can hold.
    pub ranking: Vec<ServiceRow>,
    /// Services.
    pub services: Vec<ServiceSummary>,
    /// Services that are left out, and their connections.
    pub more_services: (usize, u64),
    /// One connection of each kind that matters.
    pub kinds: Vec<AlikeGroup>,
    /// Kinds that are left out, and their connections.
    pub more_kinds: (usize, u64),
    /// Places of the connections that are shown one by one, those to act on first.
    pub connections: Vec<usize>,
    /// Connections that are left out.
    pub more_connections: usize,
}

/// One input.
#[derive(Debug)]
pub struct CaptureLine {
    /// Its name.
    pub name: String,
    /// How many packets it has.
    pub packets: String,
}

/// One service.
#[derive(Debug)]
pub struct ServiceSummary {
    /// Its page, with the way of its first client.
    pub page: ServicePage,
    /// The way of further clients.
    pub further: Vec<Swimlane>,
    /// What full handshakes of returning clients cost; empty where there was none.
    pub cost: String,
}

/// Connections that ended alike.
#[derive(Debug)]
pub struct AlikeGroup {
    /// One that stands for all.
    pub example: ConnectionView,
    /// Others like it.
    pub more: u64,
}

/// Captures that are listed.
const MAX_CAPTURES: usize = 20;

impl<'r> ReportDocument<'r> {
    /// Of a report, within bounds.
    #[must_use]
    pub fn of(report: &'r Report<'_>, bounds: Bounds) -> Self {
        let ranked = by_waste(report);
        let (shown, rest) = ranked.split_at(bounds.services.min(ranked.len()));
        let left = rest.iter().filter_map(|index| report.services.get(*index));
        let (kinds, more_kinds) = kinds(report, bounds.kinds);
        let connections = listed(report, bounds.connections);
        Self {
            captures: report.captures.iter().take(MAX_CAPTURES).map(CaptureLine::of).collect(),
            more_captures: report.captures.len().saturating_sub(MAX_CAPTURES),
            scope: scope(report),
            selection: report.selection().map(|text| printable(text, MAX_PATH)),
            redacted: report.engine.is_redacted(),
            counts: report.summary.counts,
            more: if bounds == Bounds::USUAL {
                "--all"
            } else {
                "--format json"
            },
            other_connections: report.engine.other_connections(),
            reasons: &report.summary.reasons,
            notes: notes::of(report),
            timeline: timeline(report),
            bar_seconds: report.bar_seconds,
            span: match (report.first_time(), report.last_time()) {
                (Some(first), Some(last)) => last.since(first),
                _ => 0,
            },
            charts: Charts::of(report),
            ranking: {
                let mut rows = ranking(report);
                rows.truncate(Bounds::WIDE.services);
                rows
            },
            services: shown
                .iter()
                .filter_map(|index| ServiceSummary::of(report, *index, bounds.clients))
                .collect(),
            more_services: (rest.len(), left.map(|view| view.counts.outcomes.total()).sum()),
            kinds,
            more_kinds,
            more_connections: report.len() - connections.len(),
            connections,
        }
    }

    /// The share of offers that were accepted, or why there is none.
    #[must_use]
    pub fn rate(&self) -> (String, String) {
        let offers = &self.counts.offers;
        let decided = offers.accepted + offers.declined + offers.failed;
        match self.counts.resumption_rate() {
            Some(rate) => {
                let decided = counted(decided, "decided offer", "decided offers");
                (
                    percent(rate),
                    format!("{} of {decided} accepted", number(offers.accepted)),
                )
            }
            None if self.counts.outcomes.total() == 0 => ("–".to_owned(), self.nothing_found()),
            None => ("–".to_owned(), "no offer was decided".to_owned()),
        }
    }

    /// Why there is no connection to report.
    fn nothing_found(&self) -> String {
        if self.selection.is_some() {
            return "no connection is selected".to_owned();
        }
        let other = counted(self.other_connections, "TCP connection", "TCP connections");
        format!("no TLS connection was found ({other} without TLS)")
    }
}

impl CaptureLine {
    fn of(capture: &Capture) -> Self {
        let name = match capture.path.as_str() {
            "-" => "standard input".to_owned(),
            // The folders of whoever made the report are nobody else's business.
            path => printable(path.rsplit('/').next().unwrap_or_default(), MAX_PATH),
        };
        Self {
            name,
            packets: counted(capture.packets, "packet", "packets"),
        }
    }
}

impl ServiceSummary {
    fn of(report: &Report<'_>, index: usize, clients: usize) -> Option<Self> {
        let go_on = || true;
        let mut page = ServicePage::of(report, index, 0, &go_on)?;
        page.swimlane = page.swimlane.map(Swimlane::folded);
        let view = report.services.get(index)?;
        let service = view.service();
        let others = page.clients.iter().take(clients).skip(1);
        let further =
            others.filter_map(|client| Swimlane::of(report, &service, client.address, &go_on).map(Swimlane::folded));
        Some(Self {
            further: further.collect(),
            cost: cost(&page),
            page,
        })
    }

    /// The ways of its clients.
    pub fn swimlanes(&self) -> impl Iterator<Item = &Swimlane> {
        self.page.swimlane.iter().chain(&self.further)
    }
}

fn cost(page: &ServicePage) -> String {
    let waste = &page.avoidable;
    if waste.handshakes == 0 {
        return String::new();
    }
    let untimed = match waste.untimed {
        0 => String::new(),
        untimed => format!(", {} of them untimed", number(untimed)),
    };
    let trips = match waste.round_trips {
        0 => "no extra round trip".to_owned(),
        trips => {
            let trips = counted(trips, "extra round trip", "extra round trips");
            format!("{trips} ({}{untimed})", duration(waste.nanos))
        }
    };
    format!(
        "{} of returning clients cost {trips} and {}",
        counted(waste.handshakes, "full handshake", "full handshakes"),
        crate::model::view::bytes(waste.bytes),
    )
}

fn scope(report: &Report<'_>) -> String {
    let packets = report.captures.iter().map(|capture| capture.packets).sum();
    let mut parts = vec![counted(packets, "packet", "packets")];
    if let (Some(first), Some(last)) = (report.first_time(), report.last_time()) {
        let start = moment(first).strftime("%Y-%m-%d %H:%M:%S UTC");
        parts.push(format!("{} from {start}", duration(last.since(first))));
    }
    parts.push(connections_text(&report.summary));
    parts.join(", ")
}

/// Places of the connections that are listed: those to act on first, in each group by time. Those that offered nothing
/// and are nothing to act on are plenty and say little: where not all are asked for, a few stand for them.
fn listed(report: &Report<'_>, most: usize) -> Vec<usize> {
    const SILENT: usize = 20;
    let gravity = |place: usize| {
        let outcome = report.at(place).map(|(.., connection)| connection.outcome);
        outcome.map_or(u8::MAX, |outcome| match outcome {
            Outcome::Declined => 0,
            Outcome::Failed => 1,
            Outcome::Unclear(_) => 2,
            Outcome::Resumed(_) | Outcome::ExternalPsk => 3,
            Outcome::NotOffered => 4,
        })
    };
    let mut places: Vec<usize> = (0..report.len()).collect();
    places.sort_by_cached_key(|place| gravity(*place));
    if places.len() > most {
        let silent = places.partition_point(|place| gravity(*place) < 4);
        places.truncate(most.min(silent + SILENT));
    }
    places
}

fn kinds(report: &Report<'_>, most: usize) -> (Vec<AlikeGroup>, (usize, u64)) {
    let all = report.services.iter().flat_map(|view| &view.alike);
    let by_service: Vec<OutcomeGroup> = all.filter(|kind| kind.matters()).copied().collect();
    let mut kinds = by_service;
    if kinds.len() > most {
        let mut together = Vec::new();
        alike::merge(&mut together, &kinds);
        kinds = together;
    }
    kinds.sort_by_key(|kind| (kind.gravity(), Reverse(kind.connections), kind.example.0));
    let rest = kinds.split_off(most.min(kinds.len()));
    let view = |kind: OutcomeGroup| {
        Some(AlikeGroup {
            example: ConnectionView::at(report, report.place_of(kind.example.1)?)?,
            more: kind.connections.saturating_sub(1),
        })
    };
    let left = (rest.len(), rest.iter().map(|kind| kind.connections).sum());
    (kinds.into_iter().filter_map(view).collect(), left)
}
