//! The answer as SARIF 2.1.0 (OASIS standard, 27 March 2020): a result for each violated rule. Structs of the part of
//! the format that is written here.
//!
//! A result stands at the rule's place in the rule file where it has one, the only text a reader can open, else at the
//! first capture; frames are related locations. Frames are logical locations: a capture has no lines.

use std::fmt::Write as _;
use std::io::{self, Write};

use hashbrown::HashSet;
use serde::Serialize;

use super::Check;
use super::words::{VerdictText, area, title};
use crate::check::{Origin, RULES, Verdict};
use crate::render::json::Generator;
use crate::wording::printable;
use reshake_core::diagnosis::Evidence;

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// Writes the answer.
pub(super) fn write(check: &Check<'_, '_>, out: &mut dyn Write) -> io::Result<()> {
    let told = VerdictText::all(check);
    let violated = told.iter().filter(|told| !told.verdict.holds);
    let run = SarifRun {
        tool: Tool { driver: Driver::this() },
        invocations: vec![Invocation::of(check)],
        artifacts: artifacts(check),
        results: violated.map(|told| SarifResult::of(check, told)).collect(),
        column_kind: "unicodeCodePoints",
    };
    let log = SarifLog {
        schema: SCHEMA,
        version: "2.1.0",
        runs: vec![run],
    };
    serde_json::to_writer_pretty(&mut *out, &log)?;
    out.write_all(b"\n")
}

#[derive(Serialize)]
struct SarifLog<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: Vec<SarifRun<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifRun<'a> {
    tool: Tool<'a>,
    invocations: Vec<Invocation>,
    artifacts: Vec<Artifact>,
    results: Vec<SarifResult>,
    column_kind: &'static str,
}

#[derive(Serialize)]
struct Tool<'a> {
    driver: Driver<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver<'a> {
    name: &'a str,
    semantic_version: &'a str,
    information_uri: &'static str,
    rules: Vec<Descriptor>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    id: &'static str,
    short_description: SarifMessage,
    default_configuration: Configuration,
}

#[derive(Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(PartialEq, Serialize)]
struct SarifMessage {
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    exit_code: u8,
    tool_execution_notifications: Vec<Notification>,
}

#[derive(Serialize)]
struct Notification {
    level: &'static str,
    message: SarifMessage,
}

#[derive(Serialize)]
struct Artifact {
    location: ArtifactLocation,
}

#[derive(PartialEq, Serialize)]
struct ArtifactLocation {
    uri: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifResult {
    rule_id: &'static str,
    rule_index: usize,
    kind: &'static str,
    level: &'static str,
    message: SarifMessage,
    locations: Vec<Location>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related_locations: Vec<Location>,
    partial_fingerprints: PartialFingerprint,
}

/// The same rule about the same connections is the same result in the next run.
#[derive(Serialize)]
struct PartialFingerprint {
    #[serde(rename = "reshakeRule/v1")]
    rule: String,
}

#[derive(PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::struct_field_names)] // the names of the format
struct Location {
    #[serde(skip_serializing_if = "Option::is_none")]
    physical_location: Option<PhysicalLocation>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logical_locations: Vec<LogicalLocation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<SarifMessage>,
}

#[derive(PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: ArtifactLocation,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
}

#[derive(PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: usize,
    start_column: usize,
}

#[derive(PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct LogicalLocation {
    name: String,
    fully_qualified_name: String,
    kind: &'static str,
}

impl Driver<'static> {
    fn this() -> Self {
        Self {
            name: Generator::THIS.name(),
            semantic_version: Generator::THIS.version(),
            information_uri: env!("CARGO_PKG_REPOSITORY"),
            rules: RULES
                .iter()
                .map(|kind| Descriptor {
                    id: kind.name,
                    short_description: text(kind.summary),
                    default_configuration: Configuration { level: "error" },
                })
                .collect(),
        }
    }
}

impl Invocation {
    fn of(check: &Check<'_, '_>) -> Self {
        let errors = &check.asked.errors;
        Self {
            execution_successful: errors.is_empty(),
            exit_code: if errors.is_empty() { u8::from(!check.holds()) } else { 3 },
            tool_execution_notifications: errors
                .iter()
                .map(|error| Notification {
                    level: "error",
                    message: text(error),
                })
                .collect(),
        }
    }
}

impl ArtifactLocation {
    fn of(path: &str) -> Self {
        Self { uri: uri(path) }
    }
}

impl SarifResult {
    fn of(check: &Check<'_, '_>, told: &VerdictText<'_>) -> Self {
        let Verdict { rule, area: of, .. } = told.verdict;
        let name = rule.demand.name();
        let mut lines = vec![format!("{}, {}", told.title, told.area)];
        lines.extend(told.lines());
        let lines: Vec<String> = lines.iter().map(|line| printable(line, usize::MAX)).collect();
        let captures = check.report.captures.iter();
        let captures = captures.map(|capture| Location::file(&capture.path, None));
        let related: Vec<Location> = told
            .proofs
            .iter()
            .flat_map(|told| frames(check, &told.proof.evidence))
            .collect();
        let place = match &rule.origin {
            Origin::File { path, line, column } => {
                vec![Location::file(
                    path,
                    Some(Region {
                        start_line: *line,
                        start_column: *column,
                    }),
                )]
            }
            Origin::Default | Origin::Flag(_) => captures.take(1).collect(),
        };
        Self {
            rule_id: name,
            rule_index: RULES.iter().position(|kind| kind.name == name).unwrap_or_default(),
            kind: "fail",
            level: "error",
            message: SarifMessage { text: lines.join("\n") },
            locations: place,
            related_locations: unique(related.into_iter()),
            partial_fingerprints: PartialFingerprint {
                rule: printable(&format!("{} {}", title(rule), area(of)), usize::MAX),
            },
        }
    }
}

impl Location {
    fn file(path: &str, region: Option<Region>) -> Self {
        Self {
            physical_location: Some(PhysicalLocation {
                artifact_location: ArtifactLocation::of(path),
                region,
            }),
            logical_locations: Vec::new(),
            message: None,
        }
    }
}

/// Every input once: an array of artifacts has no two that are alike (§3.14.15).
fn artifacts(check: &Check<'_, '_>) -> Vec<Artifact> {
    let mut met = HashSet::new();
    let captures = check.report.captures.iter();
    captures
        .filter(|capture| met.insert(capture.path.as_str()))
        .map(|capture| Artifact {
            location: ArtifactLocation::of(&capture.path),
        })
        .collect()
}

/// Each of a few once: no two related locations are alike (§3.27.22).
fn unique<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut met = Vec::new();
    for one in all {
        if !met.contains(&one) {
            met.push(one);
        }
    }
    met
}

/// The frames of a proof, each in its capture.
fn frames(check: &Check<'_, '_>, evidence: &[Evidence]) -> Vec<Location> {
    let captures = &check.report.captures;
    evidence
        .iter()
        .filter_map(|evidence| {
            let path = &captures.get(usize::from(evidence.frame.capture()))?.path;
            let name = format!("frame {}", evidence.frame.frame());
            let mut location = Location::file(path, None);
            location.logical_locations.push(LogicalLocation {
                fully_qualified_name: format!("{}: {name}", printable(path, usize::MAX)),
                name,
                kind: "frame",
            });
            location.message = Some(text(&evidence.text));
            Some(location)
        })
        .collect()
}

fn text(text: &str) -> SarifMessage {
    SarifMessage {
        text: printable(text, usize::MAX),
    }
}

/// A path as a URI reference (RFC 3986): absolute with a scheme, relative as it is.
fn uri(path: &str) -> String {
    let mut uri = String::new();
    if path.starts_with('/') {
        uri.push_str("file://");
    }
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_uris() {
        assert_eq!(uri("a b/c:d.pcap"), "a%20b/c%3Ad.pcap");
        assert_eq!(uri("/x/ü"), "file:///x/%C3%BC");
        assert_eq!(uri("-"), "-");
    }
}
