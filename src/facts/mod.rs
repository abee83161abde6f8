//! Facts: what a run found, before it is judged, as JSON lines that other runs' facts can be joined with.
//!
//! A header says what was read; then comes one line for each connection, in the order of time. [`write()`] makes them of a
//! [`Shard`], [`FactsReader`] makes facts of lines again. The lines of several runs may follow each other in one file, each
//! behind its header.
//! Members are those of the core's own types; only what other programs group lines by is added here.

mod reader;

use std::io::{self, Write};

use schemars::JsonSchema;
use serde::Serialize;

use reshake_core::engine::Shard;
use reshake_core::net::hex;
use reshake_core::session::{Connection, Mechanism};
use reshake_core::store::PartialConnection;

use crate::model::{connection_id, service_id, service_of};

pub use reader::{Fact, FactsPlace, FactsReader, LineFault};

/// Name of this document.
pub const SCHEMA: &str = "reshake-facts/1";

/// One line of facts, told apart by `type`.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum FactsLine<'a> {
    Header(HeaderLine<'a>),
    Connection(ConnectionLine<'a>),
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum FactsKind {
    /// The run that the lines below it came from.
    Header,
    /// A connection on which TLS was seen.
    Connection,
    /// No TLS was seen on it, but not all of it either: other facts may show that it is TLS.
    Other,
}

#[derive(Serialize, JsonSchema)]
struct HeaderLine<'a> {
    #[serde(rename = "type")]
    kind: FactsKind,
    /// `reshake-facts/1`.
    schema: &'static str,
    generator: Generator,
    #[serde(flatten)]
    run: &'a Shard,
}

#[derive(Serialize, JsonSchema)]
struct Generator {
    name: &'static str,
    version: &'static str,
}

/// A connection, and what to group lines by. That is made of the facts and not read back.
#[derive(Serialize, JsonSchema)]
struct ConnectionLine<'a> {
    #[serde(rename = "type")]
    kind: FactsKind,
    /// As in reports.
    id: String,
    /// As in reports.
    service: String,
    /// What happened as far as this run alone can tell; decided anew when facts are joined.
    outcome: &'static str,
    /// Connections that share one of these can bear on each other's verdicts, and must be judged together.
    together: Vec<String>,
    #[serde(flatten)]
    facts: &'a PartialConnection,
}

/// Writes what a run found.
///
/// # Errors
/// Those of `out`.
pub fn write(shard: &Shard, out: &mut dyn Write) -> io::Result<()> {
    let generator = Generator {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
    };
    let header = HeaderLine {
        kind: FactsKind::Header,
        schema: SCHEMA,
        generator,
        run: shard,
    };
    write_line(out, &FactsLine::Header(header))?;
    let mut strays = shard.strays.iter().peekable();
    for sighting in &shard.connections {
        let time = sighting.connection.hello_time();
        while let Some(before) = strays.next_if(|stray| stray.hello_time() < time) {
            write_stray(out, before)?;
        }
        write_line(
            out,
            &FactsLine::Connection(ConnectionLine::of(FactsKind::Connection, sighting)),
        )?;
    }
    for stray in strays {
        write_stray(out, stray)?;
    }
    Ok(())
}

fn write_stray(out: &mut dyn Write, stray: &Connection) -> io::Result<()> {
    let bare = PartialConnection::bare(Box::new(stray.clone()));
    write_line(out, &FactsLine::Connection(ConnectionLine::of(FactsKind::Other, &bare)))
}

fn write_line(out: &mut dyn Write, line: &FactsLine<'_>) -> io::Result<()> {
    let mut text = serde_json::to_vec(line).map_err(io::Error::from)?;
    text.push(b'\n');
    out.write_all(&text)
}

/// The JSON Schema of one line. Open to additions, or closed to anything it does not name.
#[must_use]
pub fn schema(strict: bool) -> serde_json::Value {
    let mut schema = schemars::schema_for!(FactsLine<'static>).to_value();
    if strict {
        crate::render::json::close_objects(&mut schema);
    }
    schema
}

impl<'a> ConnectionLine<'a> {
    fn of(kind: FactsKind, facts: &'a PartialConnection) -> Self {
        let connection = &*facts.connection;
        Self {
            kind,
            id: connection_id(connection),
            service: service_id(&service_of(connection)),
            outcome: connection.outcome.code(),
            together: together(facts),
            facts,
        }
    }
}

/// What ties a connection to others: its server's address, its credentials with the names of the keys that seal them, and
/// its handshake, which another leg of it shares.
fn together(sighting: &PartialConnection) -> Vec<String> {
    let connection = &sighting.connection;
    let mut ties = vec![format!("ip:{}", connection.server.ip)];
    match connection.hello.yes() {
        Some(hello) => ties.push(format!("hello:{}", hex(hello.random.get(..8).unwrap_or_default()))),
        // Without a hello it is guessed who is the server.
        None => ties.push(format!("ip:{}", connection.client.ip)),
    }
    let session_id = connection.edges.as_deref().and_then(|edges| edges.session_id.as_ref());
    let offered = sighting
        .offered
        .iter()
        .map(|offered| (offered.mechanism(), &offered.name));
    let issued = sighting.issued.iter().map(|issued| (issued.mechanism, &issued.name));
    let proposed = session_id.map(|name| (Mechanism::SessionId, name));
    for (mechanism, name) in offered.chain(issued).chain(proposed) {
        ties.push(format!("credential:{:032x}", u128::from_be_bytes(name.key())));
        if mechanism != Mechanism::SessionId {
            ties.extend(name.head().first_chunk::<16>().map(|key| format!("key:{}", hex(key))));
        }
    }
    ties.sort_unstable();
    ties.dedup();
    ties
}
