//! `reshake explain`: one reason, pattern or finding in full, or the list.

use super::args::{Explain, ExplainFormat};
use super::{Done, Status, complain, print};
use crate::render::explain::{self, CatalogueEntry};

pub(super) fn run(arguments: &Explain) -> Done {
    let entry = match arguments
        .name
        .as_deref()
        .map(|name| (name, CatalogueEntry::by_name(name)))
    {
        None => None,
        Some((_, Some(entry))) => Some(entry),
        Some((name, None)) => {
            complain(&explain::unknown(name));
            return Ok(Status::Usage);
        }
    };
    print(|out| match (arguments.format, entry) {
        (ExplainFormat::Text, None) => explain::list(out),
        (ExplainFormat::Text, Some(entry)) => explain::text(entry, out),
        (ExplainFormat::Markdown, None) => explain::book(out),
        (ExplainFormat::Markdown, Some(entry)) => explain::markdown(entry, 1, out),
        (ExplainFormat::Json, None) => explain::json_list(out),
        (ExplainFormat::Json, Some(entry)) => explain::json(entry, out),
    })?;
    Ok(Status::Analysed)
}
