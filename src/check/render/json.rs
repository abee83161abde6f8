//! The answer as one JSON document.

use std::io::{self, Write};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::Check;
use super::words::{ToldProof, VerdictText};
use crate::check::interval::Ratio;
use crate::check::{Area, Each, Measured, Origin, Proof, Verdict};
use crate::model::{connection_id, service_id};
use crate::render::json::{CaptureJson, End, EvidenceJson, FilterJson, Generator, SummaryJson, closed};
use reshake_core::session::Service;

/// Name of the document.
pub const SCHEMA: &str = "reshake-check/1";

/// Writes the answer as one JSON document.
pub(super) fn write(check: &Check<'_, '_>, out: &mut dyn Write) -> io::Result<()> {
    let told = VerdictText::all(check);
    let document = DocumentJson {
        schema: SCHEMA,
        generator: &Generator::THIS,
        passed: check.passed(),
        violated: check.violated(),
        errors: &check.asked.errors,
        captures: check.report.captures.iter().map(CaptureJson::of).collect(),
        summary: SummaryJson::of(check.report),
        rules: told.iter().map(|told| RuleJson::of(check, told)).collect(),
    };
    serde_json::to_writer(&mut *out, &document)?;
    out.write_all(b"\n")
}

/// JSON Schema of the document: open to additions, or closed to anything that it does not name.
#[must_use]
pub fn schema(strict: bool) -> Value {
    closed(schemars::schema_for!(DocumentJson<'static>).to_value(), strict)
}

/// Rules held against captures.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "reshake-check")]
struct DocumentJson<'a> {
    /// "reshake-check/1".
    schema: &'static str,
    generator: &'static Generator<'static>,
    /// Every rule holds and every input could be read.
    passed: bool,
    /// Violated rules.
    violated: usize,
    /// Inputs that could not be read, or with --strict are damaged, a line each.
    errors: &'a [String],
    captures: Vec<CaptureJson<'a>>,
    summary: SummaryJson,
    /// In the order of the rules; one for each part where a rule is about each part.
    rules: Vec<RuleJson<'a>>,
}

#[derive(Serialize, JsonSchema)]
struct RuleJson<'a> {
    /// Name in flags and files.
    rule: &'static str,
    /// The reason, pattern or finding that it is about.
    about: Option<&'static str>,
    area: AreaJson<'a>,
    origin: OriginJson<'a>,
    holds: bool,
    required: &'a str,
    found: &'a str,
    /// null where the quantity does not exist: then the rule is violated.
    measured: Option<MeasuredJson>,
    /// The first connections and services that prove a violation.
    proofs: Vec<ProofJson<'a>>,
    /// How many there are.
    proof_count: u64,
    /// A command that shows them; only of a violated rule.
    reproduce: Option<&'a str>,
}

/// The connections that a rule is about.
#[derive(Serialize, JsonSchema)]
struct AreaJson<'a> {
    /// "all", "service", "server-name", "mechanism" or "where".
    kind: &'static str,
    /// In words.
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<ServiceRef<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mechanism: Option<&'static str>,
    /// Terms as for `analyze --where`.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    terms: Option<&'a str>,
}

#[derive(Serialize, JsonSchema)]
struct ServiceRef<'a> {
    id: String,
    server: End,
    server_name: Option<&'a str>,
}

/// Where a rule comes from.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum OriginJson<'a> {
    /// It holds unless something else is said.
    Default,
    /// A flag.
    Flag { flag: &'a str },
    /// A file; line and column count from 1.
    File { path: &'a str, line: usize, column: usize },
}

/// The quantity that a rule judges.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum MeasuredJson {
    /// A number of connections.
    Connections { value: u64 },
    /// A number of services.
    Services { value: u64 },
    /// A share.
    Share { value: f64, part: u64, whole: u64 },
    /// Connections that break the rule, or that have what it requires, of those it could look at.
    Cases { part: u64, whole: u64 },
    /// The longest time.
    Seconds { value: f64 },
    /// The rate of the baseline and that of now.
    Rates { before: f64, now: f64 },
    /// Names that are new.
    Names { names: Vec<&'static str> },
}

#[derive(Serialize, JsonSchema)]
struct ProofJson<'a> {
    connection: Option<ConnectionRef<'a>>,
    service: Option<ServiceRef<'a>>,
    /// The reason of the connection.
    reason: Option<ReasonRef>,
    /// What is said of it; null where the frames say all.
    summary: Option<&'a str>,
    evidence: Vec<EvidenceJson>,
}

#[derive(Serialize, JsonSchema)]
struct ReasonRef {
    name: &'static str,
    confidence: &'static str,
}

#[derive(Serialize, JsonSchema)]
struct ConnectionRef<'a> {
    id: String,
    number: usize,
    client: End,
    server: End,
    server_name: Option<&'a str>,
    outcome: &'static str,
    wireshark: Vec<FilterJson>,
}

impl<'a> RuleJson<'a> {
    fn of(check: &'a Check<'_, '_>, told: &'a VerdictText<'_>) -> Self {
        let Verdict {
            rule,
            area,
            holds,
            found,
            proof_count,
            ..
        } = told.verdict;
        Self {
            rule: rule.demand.name(),
            about: rule.demand.of(),
            area: AreaJson::of(area, &told.area),
            origin: OriginJson::of(&rule.origin),
            holds: *holds,
            required: &told.required,
            found: &told.found,
            measured: MeasuredJson::of(found),
            proofs: told.proofs.iter().map(|told| ProofJson::of(check, told)).collect(),
            proof_count: *proof_count,
            reproduce: told.reproduce.as_deref(),
        }
    }
}

impl<'a> AreaJson<'a> {
    fn of(area: &'a Area, text: &'a str) -> Self {
        let kind = match area {
            Area::All => "all",
            Area::Service(_) => Each::Service.code(),
            Area::ServerName(_) => Each::ServerName.code(),
            Area::Mechanism(_) => Each::Mechanism.code(),
            Area::Part(_) => "where",
            Area::NoneOf(each) => each.code(),
        };
        let mut json = Self {
            kind,
            text,
            service: None,
            server_name: None,
            mechanism: None,
            terms: None,
        };
        match area {
            Area::Service(service) => json.service = Some(ServiceRef::of(service)),
            Area::ServerName(name) => json.server_name = name.as_deref(),
            Area::Mechanism(mechanism) => json.mechanism = Some(mechanism.code()),
            Area::Part(terms) => json.terms = Some(terms),
            Area::All | Area::NoneOf(_) => {}
        }
        json
    }
}

impl<'a> ServiceRef<'a> {
    fn of(service: &'a Service) -> Self {
        Self {
            id: service_id(service),
            server: service.server.into(),
            server_name: service.name.as_deref(),
        }
    }
}

impl<'a> OriginJson<'a> {
    fn of(origin: &'a Origin) -> Self {
        match origin {
            Origin::Default => Self::Default,
            Origin::Flag(flag) => Self::Flag { flag },
            Origin::File { path, line, column } => Self::File {
                path,
                line: *line,
                column: *column,
            },
        }
    }
}

impl MeasuredJson {
    fn of(found: &Measured) -> Option<Self> {
        let value = |ratio: &Ratio| ratio.value().unwrap_or_default();
        Some(match found {
            Measured::Nothing(_) => return None,
            Measured::Count(count) => Self::Connections { value: *count },
            Measured::Services(count) => Self::Services { value: *count },
            Measured::Ratio(ratio) => Self::Share {
                value: value(ratio),
                part: ratio.part,
                whole: ratio.whole,
            },
            Measured::Cases(ratio) => Self::Cases {
                part: ratio.part,
                whole: ratio.whole,
            },
            #[allow(clippy::cast_precision_loss)] // days fit a double to the nanosecond
            Measured::Longest(nanos) => Self::Seconds {
                value: *nanos as f64 / 1e9,
            },
            Measured::Rates(before, now) => Self::Rates {
                before: value(before),
                now: value(now),
            },
            Measured::Names(names) => Self::Names { names: names.clone() },
        })
    }
}

impl<'a> ProofJson<'a> {
    fn of(check: &'a Check<'_, '_>, told: &'a ToldProof<'_>) -> Self {
        let Proof {
            connection,
            service,
            reason,
            says,
            evidence,
        } = told.proof;
        Self {
            connection: connection
                .and_then(|id| check.connection(id))
                .map(|(number, connection)| ConnectionRef {
                    id: connection_id(connection),
                    number,
                    client: connection.client.into(),
                    server: connection.server.into(),
                    server_name: connection.server_name().map(AsRef::as_ref),
                    outcome: connection.outcome.code(),
                    wireshark: FilterJson::all(check.report, connection),
                }),
            service: service.as_ref().map(ServiceRef::of),
            reason: reason.map(|(name, confidence)| ReasonRef {
                name,
                confidence: confidence.code(),
            }),
            summary: Some(says.as_str()).filter(|says| !says.is_empty()),
            evidence: evidence.iter().cloned().map(Into::into).collect(),
        }
    }
}
