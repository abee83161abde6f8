//! The answer as GitLab's code quality report: an issue for each violated rule, at its place in the rule file where it
//! has one, else at the first capture.

use std::io::{self, Write};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Check;
use super::words::{VerdictText, area, title};
use crate::check::Origin;
use crate::wording::printable;
use reshake_core::net::hex;

/// Bytes of a hash that tell the issues of one project apart.
const FINGERPRINT: usize = 16;

/// Writes the answer.
pub(super) fn write(check: &Check<'_, '_>, out: &mut dyn Write) -> io::Result<()> {
    let told = VerdictText::all(check);
    let unreadable = check.asked.errors.iter().map(|error| Issue::of_input(check, error));
    let violated = told.iter().filter(|told| !told.verdict.holds);
    let issues: Vec<Issue> = unreadable
        .chain(violated.map(|told| Issue::of_rule(check, told)))
        .collect();
    serde_json::to_writer_pretty(&mut *out, &issues)?;
    out.write_all(b"\n")
}

#[derive(Serialize)]
struct Issue {
    description: String,
    check_name: String,
    /// The same rule about the same connections is the same issue in the next run.
    fingerprint: String,
    severity: &'static str,
    location: Place,
}

#[derive(Serialize)]
struct Place {
    path: String,
    lines: Lines,
}

#[derive(Serialize)]
struct Lines {
    begin: usize,
}

impl Issue {
    fn of_rule(check: &Check<'_, '_>, told: &VerdictText<'_>) -> Self {
        let rule = &told.verdict.rule;
        // One line in a merge request: what proves it is in the other forms.
        let mut lines = vec![
            format!("{}, {}: required {}", told.title, told.area, told.required),
            format!("found {}", told.found),
        ];
        lines.extend(told.advice.iter().map(|advice| format!("do: {advice}")));
        lines.extend(told.reproduce.iter().map(|command| format!("reproduce: {command}")));
        let location = match &rule.origin {
            Origin::File { path, line, .. } => Place::at(path, *line),
            Origin::Default | Origin::Flag(_) => Place::of_captures(check),
        };
        Self {
            description: printable(&lines.join("; "), usize::MAX),
            check_name: format!("reshake/{}", rule.demand.name()),
            fingerprint: fingerprint(&format!("{} {}", title(rule), area(&told.verdict.area))),
            severity: "major",
            location,
        }
    }

    fn of_input(check: &Check<'_, '_>, error: &str) -> Self {
        Self {
            description: printable(error, usize::MAX),
            check_name: "reshake/input".to_owned(),
            fingerprint: fingerprint(error),
            severity: "blocker",
            location: Place::of_captures(check),
        }
    }
}

impl Place {
    fn at(path: &str, line: usize) -> Self {
        Self {
            path: printable(path, usize::MAX),
            lines: Lines { begin: line },
        }
    }

    fn of_captures(check: &Check<'_, '_>) -> Self {
        let read = check.report.captures.first().map(|capture| capture.path.as_str());
        let asked = || {
            check
                .asked
                .files
                .first()
                .map(|file| file.to_string_lossy().into_owned())
        };
        let path = read.map(str::to_owned).or_else(asked);
        Self::at(path.as_deref().unwrap_or("-"), 1)
    }
}

fn fingerprint(what: &str) -> String {
    let digest = Sha256::digest(what.as_bytes());
    hex(digest.get(..FINGERPRINT).unwrap_or(&digest))
}
