//! The JSON Schema of the report, and what the schemas of all documents have in common.

use schemars::JsonSchema;
use serde::Serialize;

use super::connection::ConnectionJson;
use super::credential::CredentialJson;
use super::service::ServiceJson;
use super::{CaptureJson, Generator, SCHEMA, SummaryJson};

/// The JSON Schema of the document. Open to additions, or closed to anything it does not name.
#[must_use]
pub fn schema(strict: bool) -> serde_json::Value {
    identified(
        closed(schemars::schema_for!(DocumentJson<'static>).to_value(), strict),
        SCHEMA,
    )
}

/// A schema with the name of its document, where it is published, and what may change.
pub(crate) fn identified(mut schema: serde_json::Value, document: &str) -> serde_json::Value {
    let file = document.replacen("reshake-", "", 1).replace('/', "-v");
    if let serde_json::Value::Object(members) = &mut schema {
        let id = format!("{}/raw/main/docs/{file}.schema.json", env!("CARGO_PKG_REPOSITORY"));
        members.insert("$id".to_owned(), id.into());
        members.insert("title".to_owned(), document.into());
        let what = members
            .get("description")
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default();
        members.insert("description".to_owned(), format!("{what} {GROWTH}").trim_start().into());
    }
    schema
}

/// What a reader of any of the documents may rely on.
const GROWTH: &str = "Within this version members and values of enumerations are only added: ignore members that you do \
                      not know, and take an unknown value for unknown. A published name keeps its meaning. null is \
                      something that was looked for and is not there, or, with its path in not_visible, something that \
                      the packets do not show.";

/// A schema as it is, or closed to anything it does not name.
pub(crate) fn closed(mut schema: serde_json::Value, strict: bool) -> serde_json::Value {
    if strict {
        close_objects(&mut schema);
    }
    schema
}

pub(crate) fn close_objects(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(object) => {
            if object.contains_key("properties") && !object.contains_key("additionalProperties") {
                object.insert("additionalProperties".to_owned(), false.into());
            }
            object.values_mut().for_each(close_objects);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(close_objects),
        _ => {}
    }
}

/// What resumed, what did not, and why.
#[derive(Serialize, JsonSchema)]
#[allow(dead_code)] // the document is written member by member; this is its schema
struct DocumentJson<'a> {
    /// Name and version of this document.
    schema: &'a str,
    /// The program that wrote this document.
    generator: Generator<'a>,
    /// The terms that selected what follows; absent when everything is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    selection: Option<&'a str>,
    /// Hosts and credentials bear other names than in the packets; absent when they do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    redacted: Option<bool>,
    /// The inputs, in the order in which frame references count them.
    captures: Vec<CaptureJson<'a>>,
    /// Counts of everything.
    summary: SummaryJson,
    /// One for each server endpoint, server name and transport.
    services: Vec<ServiceJson<'a>>,
    /// Connections in the order of their first packets; absent with --summary.
    #[serde(skip_serializing_if = "Option::is_none")]
    connections: Option<Vec<ConnectionJson<'a>>>,
    /// Session IDs, tickets and PSKs: issued, offered, or both; absent with --summary.
    #[serde(skip_serializing_if = "Option::is_none")]
    credentials: Option<Vec<CredentialJson<'a>>>,
}
