//! What a screen shows as a JSON document of the published forms.

pub mod markdown;

use std::io::{self, Write};

use crate::model::session::{Life, NameMeaning};
use crate::model::{Report, Selection};
use crate::render::{json as report_json, session};
use reshake_core::session::{ConnectionId, CredentialId};

/// Which part of a report.
#[derive(Debug, Clone, PartialEq)]
pub enum ReportPart {
    /// All of it.
    Everything,
    /// The connections of a selection, with their services and credentials.
    Selected(Selection),
    /// One service, by its index.
    Service(usize),
    /// One connection.
    Connection(ConnectionId),
    /// The life of one credential.
    Credential(CredentialId),
}

/// Writes that part: a report, or for one credential a `reshake-session` document.
///
/// # Errors
/// Those of `out`.
pub fn json(report: &Report<'_>, scope: &ReportPart, out: &mut dyn Write) -> io::Result<()> {
    let selection = match scope {
        ReportPart::Everything => return report_json::write_document(report, out),
        ReportPart::Credential(id) => {
            let life = Life::of(report, NameMeaning::Credential(*id));
            return session::json(report, &life, out);
        }
        ReportPart::Selected(selection) => Ok(selection.clone()),
        ReportPart::Service(index) => Selection::parse(&service_terms(report, *index)),
        ReportPart::Connection(id) => Selection::parse(&connection_terms(report, *id)),
    };
    let selection = selection.map_err(|error| io::Error::other(error.to_string()))?;
    report_json::write_document(&report.narrowed(selection), out)
}

fn connection_terms(report: &Report<'_>, id: ConnectionId) -> String {
    let number = report.place_of(id).and_then(|place| report.at(place));
    number.map_or_else(String::new, |(number, ..)| format!("number:{number}"))
}

/// A service in terms of a selection. A name that is no host name cannot be said there: then all names of the server.
fn service_terms(report: &Report<'_>, index: usize) -> String {
    let Some(view) = report.services.get(index) else {
        return String::new();
    };
    let is_plain = |name: &&str| {
        let letters = |letter: u8| letter.is_ascii_alphanumeric() || b".-_".contains(&letter);
        !name.is_empty() && name.bytes().all(letters)
    };
    let name = view.server_name.as_deref().filter(is_plain);
    let name = name.map_or_else(String::new, |name| format!(" name:{name}"));
    format!("server:{}{name} transport:{}", view.server, view.transport.code())
}
