//! What a screen shows of a report: rows by their place, one connection or service whole, the way of a client's
//! credentials between backends. Strings are made for what is shown and for nothing else, so that a million connections
//! cost no more than a screenful, and every one of them is safe for a terminal.

pub mod charts;
pub mod connection;
pub mod credential;
mod ladder;
pub mod overview;
pub mod ranking;
pub mod service;
pub mod swimlane;
pub mod table;

use reshake_core::diagnosis::Judged;
use reshake_core::net::{FrameRef, Timestamp};

use crate::model::{Report, moment};
use crate::wording::{self as units, MAX_WIRE, prefixes, printable};

pub use crate::wording::{bytes, counted, duration, number, percent, seconds};
pub use ladder::{Rung, ladder};
pub use reshake_core::diagnosis::Confidence;
pub use reshake_core::net::Timestamp as Moment;
pub use reshake_core::session::{ConnectionId, CredentialId, Outcome, Service, Side};

/// Longest sentence that is shown.
pub(super) const MAX_SENTENCE: usize = 400;

/// Every outcome in the order in which people ask for it, with its name; of those with a cause, any.
pub const OUTCOMES: [&str; 6] = [
    "resumed",
    "declined",
    "nothing offered",
    "failed",
    "unclear",
    "external PSK",
];

/// Place of an outcome in [`OUTCOMES`].
#[must_use]
pub const fn outcome_place(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Resumed(_) => 0,
        Outcome::Declined => 1,
        Outcome::NotOffered => 2,
        Outcome::Failed => 3,
        Outcome::Unclear(_) => 4,
        Outcome::ExternalPsk => 5,
    }
}

/// A reason with its words and frames.
#[derive(Debug, Clone)]
pub struct ReasonView {
    /// Public name.
    pub name: &'static str,
    /// How sure, and which pattern settled it.
    pub sure: String,
    /// One sentence about this connection.
    pub summary: String,
    /// Frames with what they show; the number is what Wireshark calls it.
    pub evidence: Vec<(FrameLabel, String)>,
    /// What to do.
    pub advice: &'static str,
    /// Sections that it rests on.
    pub spec: String,
    /// What else is possible.
    pub remaining: String,
}

impl ReasonView {
    fn of(judged: &Judged, frames: &FrameNames) -> Self {
        let settled = judged.settled_by;
        let settled = settled.map_or_else(String::new, |name| format!(", settled by {name}"));
        let spec: Vec<String> = judged.reason.spec.iter().map(ToString::to_string).collect();
        Self {
            name: judged.reason.name,
            sure: format!("{}{settled}", judged.confidence.code()),
            summary: sentence(&judged.summary),
            evidence: judged
                .evidence
                .iter()
                .map(|evidence| (frames.label(evidence.frame), sentence(&evidence.text)))
                .collect(),
            advice: judged.advice,
            spec: spec.join(", "),
            remaining: judged.remaining.join(", "),
        }
    }
}

/// A frame as people name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameLabel {
    /// "17", or "name:17" when there are several captures.
    pub text: String,
    /// Its number in its file.
    pub frame: u64,
}

/// Names frames, with their capture where there are several.
#[derive(Debug, Clone)]
pub struct FrameNames {
    prefixes: Vec<String>,
}

impl FrameNames {
    /// For the captures of a report.
    #[must_use]
    pub fn of(report: &Report<'_>) -> Self {
        Self {
            prefixes: prefixes(&report.captures),
        }
    }

    /// A frame.
    #[must_use]
    pub fn label(&self, frame: FrameRef) -> FrameLabel {
        let text = match self.prefixes.get(usize::from(frame.capture())) {
            Some(prefix) => format!("{prefix}:{}", frame.frame()),
            None => frame.frame().to_string(),
        };
        FrameLabel {
            text,
            frame: frame.frame(),
        }
    }

    /// What stands in front of the frames of a capture; nothing when there is one capture.
    #[must_use]
    pub fn capture(&self, capture: u16) -> Option<&str> {
        self.prefixes.get(usize::from(capture)).map(String::as_str)
    }
}

/// Nanoseconds from the first packet of the report.
#[must_use]
pub fn offset(report: &Report<'_>, time: Timestamp) -> i64 {
    report.first_time().map_or(0, |first| time.since(first))
}

/// Nanoseconds as seconds to the microsecond, as in Wireshark's time column.
#[must_use]
pub fn micros(nanos: i64) -> String {
    let micros = nanos / 1000;
    let sign = if micros < 0 { "-" } else { "" };
    format!("{sign}{}.{:06}", (micros / 1_000_000).abs(), (micros % 1_000_000).abs())
}

/// The time of day in UTC.
#[must_use]
pub fn clock(time: Timestamp) -> String {
    moment(time).strftime("%H:%M:%S").to_string()
}

/// The same at one end of a bar that is so many nanoseconds wide, as finely as that needs it.
#[must_use]
pub fn clock_of_bar(time: Timestamp, bar: i64) -> String {
    let format = match bar {
        1_000_000_000.. => "%H:%M:%S",
        1_000_000.. => "%H:%M:%S%.3f",
        _ => "%H:%M:%S%.6f",
    };
    moment(time).strftime(format).to_string()
}

/// The day and the time of day in UTC.
#[must_use]
pub fn date(time: Timestamp) -> String {
    moment(time).strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A server name for people.
pub(crate) fn name_of(name: Option<&str>) -> String {
    name.map_or_else(|| "(no server name seen)".to_owned(), wire)
}

/// A name from the wire.
fn wire(text: &str) -> String {
    printable(text, MAX_WIRE)
}

/// A sentence that may hold names from the wire.
pub(crate) fn sentence(text: &str) -> String {
    printable(text, MAX_SENTENCE)
}

/// A time span or what is said without one.
fn span(nanos: Option<i64>) -> String {
    nanos.map_or_else(|| "not visible".to_owned(), units::duration)
}

/// The share of resumptions among what was decided, for a bar of a timeline; `None` without any.
#[must_use]
#[allow(clippy::cast_precision_loss)] // shown in whole per cent
pub fn resumed_of_offered(outcomes: &crate::model::Outcomes) -> Option<f64> {
    let offered = outcomes.resumed + outcomes.declined;
    (offered > 0).then(|| outcomes.resumed as f64 / offered as f64)
}
