//! `reshake schema`: the JSON Schema of the JSON report, or of another document.

use super::args::{Document, SchemaArgs};
use super::{Done, Status, print};
use crate::check::render as check;
use crate::render::json;
use crate::what_if::render as what_if;
use crate::{diff, facts};

pub(super) fn run(arguments: &SchemaArgs) -> Done {
    let schema = match arguments.of {
        Document::Report => json::schema(arguments.strict),
        Document::Check => check::schema(arguments.strict),
        Document::Diff => diff::schema(arguments.strict),
        Document::WhatIf => what_if::schema(arguments.strict),
        Document::Facts => facts::schema(arguments.strict),
    };
    print(|out| {
        serde_json::to_writer_pretty(&mut *out, &schema)?;
        out.write_all(b"\n")
    })?;
    Ok(Status::Analysed)
}
