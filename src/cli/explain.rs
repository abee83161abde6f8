//! `reshake explain`: one reason in full, or the list.

use std::io;

use super::args::{Explain, ExplainFormat};
use super::{Status, complain, print};
use crate::report::explain;
use crate::verdict::Reason;

pub(super) fn run(arguments: &Explain) -> io::Result<Status> {
    let reason = match arguments.name.as_deref().map(|name| (name, Reason::by_name(name))) {
        None => None,
        Some((_, Some(reason))) => Some(reason),
        Some((name, None)) => {
            complain(&unknown(name));
            return Ok(Status::Usage);
        }
    };
    print(|out| match (arguments.format, reason) {
        (ExplainFormat::Text, None) => explain::list(out),
        (ExplainFormat::Text, Some(reason)) => explain::text(reason, out),
        (ExplainFormat::Markdown, None) => explain::book(out),
        (ExplainFormat::Markdown, Some(reason)) => explain::markdown(reason, 1, out),
        (ExplainFormat::Json, None) => explain::json_list(out),
        (ExplainFormat::Json, Some(reason)) => explain::json(reason, out),
    })?;
    Ok(Status::Analysed)
}

fn unknown(name: &str) -> String {
    let nearest = explain::nearest(name);
    if nearest.is_empty() {
        format!("no reason is called '{name}'; 'reshake explain' lists them all")
    } else {
        format!(
            "no reason is called '{name}'; near it: {} ('reshake explain' lists them all)",
            nearest.join(", ")
        )
    }
}
