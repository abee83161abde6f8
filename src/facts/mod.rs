//! Facts: what a run found, before it is judged, as JSON lines that other runs' facts can be joined with.
//!
//! A header says what was read; then comes one line for each connection. [`write()`] makes them of a [`Shard`], [`Reader`]
//! makes shards of lines again. The lines of several runs may follow each other in one file, each behind its header.

mod connection;
mod datagram;
mod handshake;
mod header;
mod reader;
mod side;
mod value;

use std::io::{self, Write};

use schemars::JsonSchema;
use serde::Serialize;

use reshake_core::engine::Shard;
use reshake_core::store::PartialConnection;

use connection::ConnectionFact;
use header::HeaderFact;

pub use reader::{Fault, Reader};

/// Name of this document.
pub const SCHEMA: &str = "reshake-facts/1";

/// One line of facts, told apart by `type`. For the schema alone: it is never built.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)]
enum LineFact {
    Header(Box<HeaderFact<'static>>),
    Connection(Box<ConnectionFact>),
}

/// Writes what a run found.
///
/// # Errors
/// Those of `out`.
pub fn write(shard: &Shard, out: &mut dyn Write) -> io::Result<()> {
    line(out, &HeaderFact::of(shard))?;
    for sighting in &shard.connections {
        line(out, &ConnectionFact::of(sighting, true))?;
    }
    for stray in &shard.strays {
        line(
            out,
            &ConnectionFact::of(&PartialConnection::bare(Box::new(stray.clone())), false),
        )?;
    }
    Ok(())
}

fn line(out: &mut dyn Write, fact: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(fact).map_err(io::Error::from)?;
    text.push(b'\n');
    out.write_all(&text)
}

/// The JSON Schema of one line. Open to additions, or closed to anything it does not name.
#[must_use]
pub fn schema(strict: bool) -> serde_json::Value {
    let mut schema = schemars::schema_for!(LineFact).to_value();
    if strict {
        crate::render::json::close_objects(&mut schema);
    }
    schema
}
