//! The comparison as one JSON document.

use std::io::{self, Write};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{Change, Count, Diff, DiffSide, ServiceKey, Shift, Stated};
use crate::check::interval::{Difference, Ratio};
use crate::render::json::{End, Generator, closed, identified};

/// Name of the document.
pub const SCHEMA: &str = "reshake-diff/1";

/// Writes the comparison as one JSON document.
///
/// # Errors
/// Those of `out`.
pub fn write(diff: &Diff<'_>, out: &mut dyn Write) -> io::Result<()> {
    let document = DocumentJson {
        schema: SCHEMA,
        generator: &Generator::THIS,
        before: SideJson::of(diff.before),
        after: SideJson::of(diff.after),
        all: ChangeJson::of(&diff.all),
        services: diff.services.iter().map(ServiceJson::of).collect(),
    };
    serde_json::to_writer(&mut *out, &document)?;
    out.write_all(b"\n")
}

/// JSON Schema of the document: open to additions, or closed to anything that it does not name.
#[must_use]
pub fn schema(strict: bool) -> Value {
    identified(
        closed(schemars::schema_for!(DocumentJson<'static>).to_value(), strict),
        SCHEMA,
    )
}

/// Two runs compared.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "reshake-diff")]
struct DocumentJson<'a> {
    /// "reshake-diff/1".
    schema: &'static str,
    /// The program that wrote this document.
    generator: &'static Generator<'static>,
    /// Before.
    before: SideJson<'a>,
    /// After.
    after: SideJson<'a>,
    /// All connections.
    all: ChangeJson<'a>,
    /// One for each server endpoint, server name and transport.
    services: Vec<ServiceJson<'a>>,
}

#[derive(Serialize, JsonSchema)]
struct SideJson<'a> {
    /// Path as it was given; - is standard input.
    path: &'a str,
    /// "capture" or "report".
    kind: &'a str,
    /// The selection of a report that shows a part only.
    #[serde(skip_serializing_if = "Option::is_none")]
    selection: Option<&'a str>,
    /// Connections.
    connections: u64,
    /// Of these, connections that were only counted, at the memory limit.
    connections_omitted: u64,
}

/// A service; null on the side where it is not.
#[derive(Serialize, JsonSchema)]
struct ServiceJson<'a> {
    /// Before.
    before: Option<ServiceRef<'a>>,
    /// After.
    after: Option<ServiceRef<'a>>,
    #[serde(flatten)]
    /// What changed; null where one side has no such service.
    change: ChangeJson<'a>,
}

#[derive(Serialize, JsonSchema)]
struct ServiceRef<'a> {
    /// The server.
    server: End,
    /// Server name that the client asked for (SNI).
    server_name: Option<&'a str>,
}

#[derive(Serialize, JsonSchema)]
struct ChangeJson<'a> {
    /// Connections.
    connections: CountsJson,
    /// Accepted of the decided offers.
    resumption_rate: ShiftJson,
    /// Resumed of the handshakes of returning clients.
    returning_share: ShiftJson,
    /// Primary reasons; null where some connections were only counted, at the memory limit.
    reasons: Option<Vec<ReasonJson<'a>>>,
    /// What the handshakes of the service show together; null as for reasons.
    patterns: Option<Vec<StatedJson<'a>>>,
    /// Security findings; null as for reasons.
    findings: Option<Vec<StatedJson<'a>>>,
}

#[derive(Serialize, JsonSchema)]
struct CountsJson {
    /// Before.
    before: u64,
    /// After.
    after: u64,
}

/// A share; null where there is nothing that it could be of.
#[derive(Serialize, JsonSchema)]
struct ShiftJson {
    /// Before.
    before: Option<ShareJson>,
    /// After.
    after: Option<ShareJson>,
    /// The difference.
    difference: Option<DifferenceJson>,
}

#[derive(Serialize, JsonSchema)]
struct ShareJson {
    /// The value.
    value: f64,
    /// So many.
    part: u64,
    /// Of so many.
    whole: u64,
    /// Wilson's score interval, 95 %.
    low: f64,
    /// Upper end of the 95 % interval.
    high: f64,
}

#[derive(Serialize, JsonSchema)]
struct DifferenceJson {
    /// After less before.
    value: f64,
    /// Newcombe's hybrid score interval, 95 %.
    low: f64,
    /// Upper end of the 95 % interval.
    high: f64,
    /// The interval leaves out 0.
    shown: bool,
}

#[derive(Serialize, JsonSchema)]
struct ReasonJson<'a> {
    /// Name, as explain knows it.
    name: &'a str,
    /// Connections.
    before: u64,
    /// After.
    after: u64,
    /// "gained", "lost" or "kept".
    change: &'static str,
}

#[derive(Serialize, JsonSchema)]
struct StatedJson<'a> {
    /// Name, as explain knows it.
    name: &'a str,
    /// Confidence; null where it does not hold.
    before: Option<&'a str>,
    /// After.
    after: Option<&'a str>,
    /// "gained", "lost" or "kept".
    change: &'static str,
}

impl<'a> SideJson<'a> {
    fn of(side: &'a DiffSide) -> Self {
        Self {
            path: &side.path,
            kind: side.kind,
            selection: side.selection.as_deref(),
            connections: side.all.connections,
            connections_omitted: side.all.only_counted,
        }
    }
}

impl<'a> ServiceJson<'a> {
    fn of(change: &'a Change<'_>) -> Self {
        let [before, after] = change.service.map(|key| key.map(ServiceRef::of));
        Self {
            before,
            after,
            change: ChangeJson::of(change),
        }
    }
}

impl<'a> ServiceRef<'a> {
    fn of(key: &'a ServiceKey) -> Self {
        Self {
            server: End {
                ip: key.ip.clone(),
                port: key.port,
            },
            server_name: key.name.as_deref(),
        }
    }
}

impl<'a> ChangeJson<'a> {
    fn of(change: &'a Change<'_>) -> Self {
        let [before, after] = change.connections;
        let told = change.told.as_ref();
        Self {
            connections: CountsJson { before, after },
            resumption_rate: ShiftJson::of(&change.resumption),
            returning_share: ShiftJson::of(&change.returning),
            reasons: told.map(|told| told.reasons.iter().map(ReasonJson::of).collect()),
            patterns: told.map(|told| told.patterns.iter().map(StatedJson::of).collect()),
            findings: told.map(|told| told.findings.iter().map(StatedJson::of).collect()),
        }
    }
}

impl ShiftJson {
    fn of(shift: &Shift) -> Self {
        let difference = |difference: &Difference| DifferenceJson {
            value: rounded(difference.value),
            low: rounded(difference.low),
            high: rounded(difference.high),
            shown: difference.is_shown(),
        };
        Self {
            before: ShareJson::of(shift.before),
            after: ShareJson::of(shift.after),
            difference: shift.difference.as_ref().map(difference),
        }
    }
}

impl ShareJson {
    fn of(ratio: Ratio) -> Option<Self> {
        let (low, high) = ratio.interval()?;
        Some(Self {
            value: rounded(ratio.value()?),
            part: ratio.part,
            whole: ratio.whole,
            low: rounded(low),
            high: rounded(high),
        })
    }
}

impl<'a> ReasonJson<'a> {
    const fn of(count: &'a Count<'_>) -> Self {
        Self {
            name: count.name,
            before: count.before,
            after: count.after,
            change: count.change(),
        }
    }
}

impl<'a> StatedJson<'a> {
    const fn of(stated: &'a Stated<'_>) -> Self {
        Self {
            name: stated.name,
            before: stated.before,
            after: stated.after,
            change: stated.change(),
        }
    }
}

/// To four digits behind the point.
fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}
