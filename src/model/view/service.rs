//! One service whole: its backends, its ticket keys over time, what service analysis says of it, and its clients.

use crate::model::over;
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::model::cost::Avoidable;
use crate::model::failures::of_service as failures;
use crate::model::{Counts, ReasonCount, Report, ServiceView, service_of};
use crate::wording::number;
use reshake_core::diagnosis::Evidence;
use reshake_core::diagnosis::security::{SecurityFinding, Severity};
use reshake_core::diagnosis::service::{
    ContingencyTable, Exchange, KeyName, KeyTimeline, Label, Pattern, PatternKind, ServiceAnalysis,
};
use reshake_core::net::hex;
use reshake_core::session::{Outcome, Service};

use super::overview::service_title;
use super::swimlane::Swimlane;
use super::{FrameLabel, FrameNames, offset, sentence};

/// A service for a screen of its own.
#[derive(Debug, Clone)]
pub struct ServicePage {
    /// Its index in the report.
    pub index: usize,
    /// Name and endpoint.
    pub title: String,
    /// Endpoint, as a filter names it.
    pub server: String,
    /// Counts.
    pub counts: Counts,
    /// What full handshakes of returning clients cost.
    pub avoidable: Avoidable,
    /// Primary reasons, most frequent first.
    pub reasons: Vec<ReasonCount>,
    /// Machines, with what tells them apart.
    pub backends: Vec<Group>,
    /// Who honours whose credentials.
    pub domains: Vec<Group>,
    /// Whose sessions were offered to whom.
    pub exchanges: Vec<ExchangeView>,
    /// Ticket keys.
    pub keys: Vec<KeyView>,
    /// Patterns, the surest first.
    pub patterns: Vec<PatternView>,
    /// What there is to say, in one sentence.
    pub answer: String,
    /// The one thing to do; `None` where nothing is wrong.
    pub action: Option<String>,
    /// Security findings, the gravest first.
    pub findings: Vec<FindingView>,
    /// How handshakes failed, most frequent first, each with the first frame that shows it.
    pub failures: Vec<(String, u64, FrameLabel)>,
    /// Clients, those with the most refusals first.
    pub clients: Vec<ClientView>,
    /// The way of one client's credentials.
    pub swimlane: Option<Swimlane>,
}

/// Connections with what tells them from others.
#[derive(Debug, Clone)]
pub struct Group {
    /// `backend-1`.
    pub label: String,
    /// How many connections bear it.
    pub connections: u64,
    /// What tells it apart.
    pub because: String,
}

/// Sessions of one machine or cache, offered to one.
#[derive(Debug, Clone)]
pub struct ExchangeView {
    /// Who issued them.
    pub issuer: String,
    /// Who was offered them.
    pub acceptor: String,
    /// Offers that resumed.
    pub resumed: u64,
    /// Offers that were declined.
    pub declined: u64,
}

impl From<&Exchange> for ExchangeView {
    fn from(exchange: &Exchange) -> Self {
        Self {
            issuer: exchange.issuer.clone(),
            acceptor: exchange.acceptor.clone(),
            resumed: exchange.resumed,
            declined: exchange.declined,
        }
    }
}

/// A ticket key over time; moments in nanoseconds from the first packet.
#[derive(Debug, Clone)]
pub struct KeyView {
    /// First digits of its name.
    pub name: String,
    /// Tickets issued in clear.
    pub issues: u64,
    /// Offers accepted.
    pub accepted: u64,
    /// Offers declined.
    pub declined: u64,
    /// First and last sign of it at work.
    pub alive: Option<(i64, i64)>,
}

/// A pattern with its words and counts.
#[derive(Debug, Clone)]
pub struct PatternView {
    /// Public name.
    pub name: &'static str,
    /// In general.
    pub headline: &'static str,
    /// How sure.
    pub sure: String,
    /// Of this service.
    pub summary: String,
    /// What is compared, and what became of it so many times: see [`PatternView::columns`].
    pub contrast: Vec<(&'static str, [u64; 2])>,
    /// What became of it: well, and ill.
    pub columns: [&'static str; 2],
    /// What is counted.
    pub unit: &'static str,
    /// Frames by what they show.
    pub evidence: Vec<(String, Vec<FrameLabel>)>,
    /// What to do.
    pub advice: &'static str,
    /// What would raise the confidence.
    pub would_settle: Option<&'static str>,
    /// What else would explain the same, in general words.
    pub remaining: Vec<&'static str>,
    /// What it follows from, in general words.
    pub follows_from: Option<&'static str>,
}

/// A security finding with its words.
#[derive(Debug, Clone)]
pub struct FindingView {
    /// Public name.
    pub name: &'static str,
    /// How much it matters, and how sure it is.
    pub weight: String,
    /// Whether it is more than a note.
    pub grave: bool,
    /// In general.
    pub headline: &'static str,
    /// Of this service.
    pub summary: String,
    /// Frames by what they show.
    pub evidence: Vec<(String, Vec<FrameLabel>)>,
    /// What to do.
    pub advice: &'static str,
}

/// A client of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientView {
    /// Its address, as a PROXY header states it where there is one.
    pub address: IpAddr,
    /// Its connections to the service.
    pub connections: u64,
    /// Those that offered and were declined.
    pub declined: u64,
}

/// Clients that are named.
const MAX_CLIENTS: usize = 200;
/// Frames named for a pattern.
const MAX_FRAMES: usize = 12;
/// Digits of a key name that tell it from the others of a service.
const KEY_DIGITS: usize = 8;

impl ServicePage {
    /// Of the service at an index, with the swimlane of the client at `client` in the list of clients. Looks at every
    /// connection of the report; `None` when there is no such service or `go_on` said no.
    #[must_use]
    pub fn of(report: &Report<'_>, index: usize, client: usize, go_on: &dyn Fn() -> bool) -> Option<Self> {
        let view = report.services.get(index)?;
        let service = key_of(view);
        let nothing = ServiceAnalysis::default();
        let analysis = report.analyses.service(&service).unwrap_or(&nothing);
        let clients = clients(report, &service, go_on)?;
        let shown = clients.get(client.min(clients.len().saturating_sub(1)));
        let swimlane = match shown {
            Some(client) => Some(Swimlane::of(report, &service, client.address, go_on)?),
            None => None,
        };
        let frames = FrameNames::of(report);
        let mut patterns: Vec<&Pattern> = analysis.patterns.iter().collect();
        patterns.sort_by_key(|pattern| Reverse(pattern.confidence));
        let answer = report.answer(&service).map(Cow::into_owned).unwrap_or_default();
        Some(Self {
            index,
            title: service_title(view),
            server: format!("{}{}", view.server, over(view.transport)),
            counts: view.counts,
            avoidable: view.avoidable.all,
            reasons: view.reasons.clone(),
            backends: analysis.backends.iter().map(Group::from).collect(),
            domains: analysis.domains.iter().map(Group::from).collect(),
            exchanges: analysis.exchanges.iter().map(ExchangeView::from).collect(),
            keys: analysis.keys.iter().map(|key| KeyView::of(report, key)).collect(),
            patterns: patterns
                .into_iter()
                .map(|pattern| PatternView::of(pattern, &frames))
                .collect(),
            answer: answer.sentence,
            action: answer.action,
            findings: findings(report, &service, &frames),
            failures: failures(report, &service)
                .into_iter()
                .map(|kind| (sentence(&kind.how), kind.connections, frames.label(kind.first)))
                .collect(),
            clients,
            swimlane,
        })
    }
}

fn findings(report: &Report<'_>, service: &Service, frames: &FrameNames) -> Vec<FindingView> {
    let mut found: Vec<&SecurityFinding> = report.findings.service(service).iter().collect();
    found.sort_by_key(|found| Reverse(found.severity));
    let view = |found: &SecurityFinding| FindingView {
        name: found.kind.name,
        weight: format!("{}, {}", found.severity.code(), found.confidence.code()),
        grave: found.severity > Severity::Note,
        headline: found.kind.summary,
        summary: sentence(&found.summary),
        evidence: by_text(&found.evidence, frames),
        advice: found.kind.advice,
    };
    found.into_iter().map(view).collect()
}

/// Frames with the same meaning together.
fn by_text(evidence: &[Evidence], frames: &FrameNames) -> Vec<(String, Vec<FrameLabel>)> {
    let mut told: Vec<(String, Vec<FrameLabel>)> = Vec::new();
    for seen in evidence.iter().take(MAX_FRAMES) {
        let text = sentence(&seen.text);
        let label = frames.label(seen.frame);
        match told.iter_mut().find(|(known, _)| *known == text) {
            Some((_, frames)) => frames.push(label),
            None => told.push((text, vec![label])),
        }
    }
    told
}

/// By what service analysis knows a service.
#[must_use]
pub(super) fn key_of(view: &ServiceView) -> Service {
    view.service()
}

fn clients(report: &Report<'_>, service: &Service, go_on: &dyn Fn() -> bool) -> Option<Vec<ClientView>> {
    let mut clients: BTreeMap<IpAddr, ClientView> = BTreeMap::new();
    for (number, _, connection) in report.connections() {
        if number.is_multiple_of(super::table::STRIDE) && !go_on() {
            return None;
        }
        if connection.server != service.server || service_of(connection) != *service {
            continue;
        }
        let address = connection.client_address();
        let client = clients.entry(address).or_insert(ClientView {
            address,
            connections: 0,
            declined: 0,
        });
        client.connections += 1;
        client.declined += u64::from(connection.outcome == Outcome::Declined);
    }
    let mut clients: Vec<ClientView> = clients.into_values().collect();
    clients.sort_by_key(|client| (Reverse((client.declined, client.connections)), client.address));
    clients.truncate(MAX_CLIENTS);
    Some(clients)
}

impl From<&Label> for Group {
    fn from(label: &Label) -> Self {
        Self {
            label: label.label.clone(),
            connections: label.connections,
            because: sentence(&label.because.join(", ")),
        }
    }
}

impl KeyView {
    fn of(report: &Report<'_>, key: &KeyTimeline) -> Self {
        Self {
            name: key_text(&key.name),
            issues: key.issues,
            accepted: key.accepted,
            declined: key.declined,
            alive: key
                .alive
                .map(|(first, last)| (offset(report, first), offset(report, last))),
        }
    }
}

/// A ticket key in a few digits.
pub(super) fn key_text(key: &KeyName) -> String {
    let mut name = hex(key.bytes());
    if name.len() > KEY_DIGITS {
        name.truncate(KEY_DIGITS);
        name.push('…');
    }
    name
}

impl PatternView {
    fn of(pattern: &Pattern, frames: &FrameNames) -> Self {
        let kind = PatternKind::by_name(pattern.name);
        let mut sure = pattern.confidence.code().to_owned();
        if let Some(contrast) = pattern.contrast.as_ref().filter(|contrast| contrast.compares()) {
            sure.push_str(&chance(contrast));
        }
        Self {
            name: pattern.name,
            headline: kind.map_or(pattern.name, |kind| kind.summary),
            sure,
            summary: sentence(&pattern.summary),
            contrast: pattern
                .contrast
                .iter()
                .flat_map(|contrast| contrast.rows.into_iter().zip(contrast.counts))
                .filter(|(row, _)| is_named(row))
                .collect(),
            columns: pattern
                .contrast
                .as_ref()
                .map(|contrast| contrast.columns)
                .unwrap_or_default(),
            unit: pattern
                .contrast
                .as_ref()
                .map(|contrast| contrast.unit)
                .unwrap_or_default(),
            evidence: by_text(&pattern.evidence, frames),
            advice: kind.map_or(pattern.advice, |kind| kind.advice),
            would_settle: pattern.to_settle(),
            remaining: pattern.remaining.iter().map(|name| words(name)).collect(),
            follows_from: pattern.follows_from.map(words),
        }
    }
}

/// What a pattern says in general.
fn words(name: &'static str) -> &'static str {
    PatternKind::by_name(name).map_or(name, |kind| kind.summary)
}

/// How likely a table is by chance.
fn chance(contrast: &ContingencyTable) -> String {
    if contrast.p_value < 0.001 {
        ", p < 0.001".to_owned()
    } else {
        format!(", p = {:.3}", contrast.p_value)
    }
}

/// Whether a row of a contrast stands for anything: what speaks of one kind of offers alone has a single row.
pub(crate) fn is_named(row: &str) -> bool {
    row != "-"
}

/// A row of a contrast in one line: "same backend: 2 resumed, 0 declined".
#[must_use]
pub fn contrast_line(row: &str, [so_many, others]: [u64; 2], [well, ill]: [&str; 2]) -> String {
    format!("{row:16}  {:>6} {well}  {:>6} {ill}", number(so_many), number(others))
}
