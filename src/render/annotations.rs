//! What a report says of single frames, in words short enough for a packet comment.
//!
//! What stands where is found once and kept in a few bytes a frame; the words are made when a frame is asked for, so
//! that a million connections cost no more than a million numbers.

use crate::model::view::{name_of, sentence};
use crate::model::{Report, connection_id};
use reshake_core::diagnosis::Judged;
use reshake_core::diagnosis::security::SecurityFinding;
use reshake_core::diagnosis::service::Pattern;
use reshake_core::net::FrameRef;
use reshake_core::session::{Connection, ConnectionId};

/// Comments on one frame at most: the frame that issues a session may be evidence for every connection that offers it.
const MAX_PER_FRAME: usize = 12;

/// What is said, by its place in the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Say {
    /// The verdict on a connection.
    Verdict(u32),
    /// Evidence for a connection's reason: the connection's place, the reason's, the evidence's.
    Evidence(u32, u16, u16),
    /// Evidence for a pattern: the service's place, the pattern's, the evidence's.
    Pattern(u32, u16, u16),
    /// Evidence for a security finding.
    Finding(u32, u16, u16),
}

/// Everything that a report says of frames of one capture.
#[derive(Debug)]
pub struct Annotations<'r> {
    report: &'r Report<'r>,
    /// By frame.
    said: Vec<(u64, Say)>,
}

impl<'r> Annotations<'r> {
    /// Of the frames of a capture, by its index.
    #[must_use]
    pub fn of(report: &'r Report<'r>, capture: u16) -> Self {
        let mut said = Vec::new();
        let mut say = |frame: FrameRef, what: Say| {
            if frame.capture() == capture {
                said.push((frame.frame(), what));
            }
        };
        for (place, (_, id, connection)) in (0_u32..).zip(report.connections()) {
            say(decisive(connection), Say::Verdict(place));
            for (number, judged) in (0..).zip(report.reasons(id, connection)) {
                for (index, evidence) in (0..).zip(&judged.evidence) {
                    say(evidence.frame, Say::Evidence(place, number, index));
                }
            }
        }
        for service in 0..u32::try_from(report.services.len()).unwrap_or(u32::MAX) {
            for (number, pattern) in (0..).zip(patterns(report, service)) {
                for (index, evidence) in (0..).zip(&pattern.evidence) {
                    say(evidence.frame, Say::Pattern(service, number, index));
                }
            }
            for (number, finding) in (0..).zip(findings(report, service)) {
                for (index, evidence) in (0..).zip(&finding.evidence) {
                    say(evidence.frame, Say::Finding(service, number, index));
                }
            }
        }
        said.sort_unstable();
        Self { report, said }
    }

    /// How many frames something is said of.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.said.chunk_by(|a, b| a.0 == b.0).count()
    }

    /// What is said of a frame, in lines that begin with "reshake: ".
    #[must_use]
    pub fn at(&self, frame: u64) -> Vec<String> {
        let from = self.said.partition_point(|(other, _)| *other < frame);
        let said = self.said.get(from..).unwrap_or_default();
        let said = said
            .get(..said.partition_point(|(other, _)| *other == frame))
            .unwrap_or_default();
        let mut lines: Vec<String> = Vec::new();
        for (_, what) in said.iter().take(MAX_PER_FRAME) {
            let line = self.words(*what).map(|words| format!("reshake: {words}"));
            lines.extend(line.filter(|line| !lines.contains(line)));
        }
        match said.len().saturating_sub(MAX_PER_FRAME) {
            0 => {}
            more => lines.push(format!(
                "reshake: {more} more say something of this frame: reshake analyze --format json"
            )),
        }
        lines
    }

    fn words(&self, what: Say) -> Option<String> {
        let report = self.report;
        match what {
            Say::Verdict(place) => self.verdict(place),
            Say::Evidence(place, reason, index) => {
                let (number, id, connection) = report.at(place as usize)?;
                let reasons = report.reasons(id, connection);
                let judged = reasons.get(usize::from(reason))?;
                let evidence = judged.evidence.get(usize::from(index))?;
                Some(format!(
                    "{} ({}) on connection {number}: {}",
                    judged.reason.name,
                    judged.confidence.code(),
                    sentence(&evidence.text)
                ))
            }
            Say::Pattern(service, pattern, index) => {
                let pattern = patterns(report, service).nth(usize::from(pattern))?;
                let evidence = pattern.evidence.get(usize::from(index))?;
                let text = sentence(&evidence.text);
                Some(format!("{} ({}): {text}", pattern.name, pattern.confidence.code()))
            }
            Say::Finding(service, finding, index) => {
                let finding = findings(report, service).nth(usize::from(finding))?;
                let evidence = finding.evidence.get(usize::from(index))?;
                let text = sentence(&evidence.text);
                Some(format!(
                    "security: {} ({}): {text}",
                    finding.kind.name,
                    finding.confidence.code()
                ))
            }
        }
    }

    fn verdict(&self, place: u32) -> Option<String> {
        let (number, id, connection) = self.report.at(place as usize)?;
        let primary = self.report.reasons(id, connection).into_iter().next();
        Some(verdict(connection, &format!(" {number}"), primary.as_ref()))
    }
}

/// The verdict on a connection. Outcome and reason come first: a column shows no more.
fn verdict(connection: &Connection, number: &str, primary: Option<&Judged>) -> String {
    let name = name_of(connection.server_name().map(AsRef::as_ref));
    let outcome = connection.outcome.code();
    let about = format!("connection{number} ({}) to {name}", connection_id(connection));
    let Some(primary) = primary else {
        return format!("{outcome}: {about}");
    };
    format!(
        "{outcome}, {} ({}): {about}: {}. What to do: {}",
        primary.reason.name,
        primary.confidence.code(),
        sentence(&primary.summary),
        primary.advice
    )
}

/// What is said of the frames of one connection while a capture goes on: its verdict, and what shows its reasons.
#[must_use]
pub fn of_connection(report: &Report<'_>, id: ConnectionId, connection: &Connection) -> Vec<(FrameRef, String)> {
    let reasons = report.reasons(id, connection);
    let mut said = vec![(
        decisive(connection),
        format!("reshake: {}", verdict(connection, "", reasons.first())),
    )];
    for judged in &reasons {
        for evidence in &judged.evidence {
            let text = format!(
                "reshake: {} ({}) on connection {}: {}",
                judged.reason.name,
                judged.confidence.code(),
                connection_id(connection),
                sentence(&evidence.text)
            );
            said.push((evidence.frame, text));
        }
    }
    said
}

/// The frame beside which a reader looks for the verdict: the server's answer, else the client's question.
fn decisive(connection: &Connection) -> FrameRef {
    let answer = connection.answer.yes().map(|answer| answer.at.frame);
    let hello = connection.hello.yes().map(|hello| hello.at.frame);
    answer.or(hello).unwrap_or_else(|| connection.transport.first())
}

fn patterns<'r>(report: &'r Report<'_>, service: u32) -> impl Iterator<Item = &'r Pattern> {
    let service = service_at(report, service);
    let analysis = service.and_then(|service| report.analyses.service(&service));
    analysis.into_iter().flat_map(|analysis| &analysis.patterns)
}

fn findings<'r>(report: &'r Report<'_>, service: u32) -> impl Iterator<Item = &'r SecurityFinding> {
    let service = service_at(report, service);
    service
        .into_iter()
        .flat_map(|service| report.findings.service(&service))
}

fn service_at(report: &Report<'_>, service: u32) -> Option<reshake_core::session::Service> {
    let view = report.services.get(service as usize)?;
    Some(view.service())
}

/// Connections whose id begins so.
#[must_use]
pub fn connections_called(report: &Report<'_>, prefix: &str) -> Vec<ConnectionId> {
    let prefix = prefix.to_ascii_lowercase();
    let called = report
        .connections()
        .filter(|(.., connection)| connection_id(connection).starts_with(&prefix));
    called.map(|(_, id, _)| id).collect()
}
