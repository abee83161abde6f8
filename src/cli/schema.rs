//! `reshake schema`: the JSON Schema of the JSON report.

use std::io;

use super::args::Schema;
use super::{Status, print};
use crate::report::json;

pub(super) fn run(arguments: &Schema) -> io::Result<Status> {
    print(|out| {
        serde_json::to_writer_pretty(&mut *out, &json::schema(arguments.strict))?;
        out.write_all(b"\n")
    })?;
    Ok(Status::Analysed)
}
