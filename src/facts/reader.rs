//! Lines of facts become shards again. A line that is none is passed over and named; the others are used.

use std::borrow::Cow;

use hashbrown::{HashMap, HashSet};
use serde::Deserialize;

use super::value::{Base, Wrong};
use super::{ConnectionFact, HeaderFact, SCHEMA};
use reshake_core::engine::Shard;
use reshake_core::net::FrameRef;
use reshake_core::store::Interner;

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Its number, from 1.
    pub line: u64,
    /// What is wrong, without a full stop.
    pub problem: String,
}

/// Reads facts line by line, of any number of files.
#[derive(Debug, Default)]
pub struct Reader {
    shards: Vec<Shard>,
    /// Headers read so far, by their text: a header that comes again goes on with its shard.
    headers: HashMap<Vec<u8>, (usize, Base)>,
    /// The shard that connections belong to now.
    current: Option<(usize, Base)>,
    /// Captures read by all shards.
    captures: u16,
    /// Frames with which connections begin.
    begun: HashSet<FrameRef>,
    interner: Interner,
    line: u64,
}

impl Reader {
    /// Captures of packets that are read beside facts stand before theirs.
    #[must_use]
    pub fn behind(captures: u16) -> Self {
        Self {
            captures,
            ..Self::default()
        }
    }

    /// A new file begins.
    pub const fn begin_file(&mut self) {
        self.current = None;
        self.line = 0;
    }

    /// Takes one line, with or without its end.
    ///
    /// # Errors
    /// What is wrong with it; nothing of it is used then.
    pub fn push(&mut self, line: &[u8]) -> Result<(), Fault> {
        self.line += 1;
        let line = line.trim_ascii();
        if line.is_empty() {
            return Ok(());
        }
        self.take(line).map_err(|problem| Fault {
            line: self.line,
            problem,
        })
    }

    /// The next line cannot be handed over.
    #[must_use]
    pub fn skip(&mut self, problem: &str) -> Fault {
        self.line += 1;
        Fault {
            line: self.line,
            problem: problem.to_owned(),
        }
    }

    /// All that was read.
    #[must_use]
    pub fn finish(self) -> Vec<Shard> {
        self.shards
    }

    fn take(&mut self, line: &[u8]) -> Result<(), String> {
        let wrong = |Wrong(member): Wrong| format!("cannot be right: {member}");
        let kind: Kind<'_> = parse(line)?;
        if let Some(schema) = kind.schema.as_ref().filter(|schema| *schema != SCHEMA) {
            return Err(foreign(schema));
        }
        match kind.kind.as_deref() {
            Some("header") => return self.header(line, parse(line)?),
            Some("connection" | "other") => {}
            _ => return Err(format!("is no fact of {SCHEMA}: its type is none that is known")),
        }
        let fact: ConnectionFact = parse(line)?;
        let Some((number, base)) = self.current else {
            return Err("stands before any header; facts begin with the line that says what was read".to_owned());
        };
        let sighting = fact.back(base, &mut self.interner).map_err(wrong)?;
        // A frame begins one connection: a line that comes twice counts once.
        let fresh = self.begun.insert(sighting.connection.transport.first());
        if let Some(shard) = self.shards.get_mut(number).filter(|_| fresh) {
            if fact.is_tls() {
                shard.connections.push(sighting);
            } else {
                shard.strays.push(*sighting.connection);
            }
        }
        Ok(())
    }

    fn header(&mut self, line: &[u8], header: HeaderFact<'_>) -> Result<(), String> {
        // What follows a header that cannot be used belongs to nothing.
        self.current = None;
        if let Some(known) = self.headers.get(line) {
            self.current = Some(*known);
            return Ok(());
        }
        let too_many = || "names more captures than can be told apart (65,535 in all)".to_owned();
        let own = header.captures().ok_or_else(too_many)?;
        let base = Base {
            captures: self.captures,
            own,
        };
        let after = self.captures.checked_add(own).ok_or_else(too_many)?;
        let shard = header
            .back(base, &mut self.interner)
            .map_err(|Wrong(member)| format!("cannot be right: {member}"))?;
        self.captures = after;
        self.shards.push(shard);
        let place = (self.shards.len() - 1, base);
        self.headers.insert(line.to_vec(), place);
        self.current = Some(place);
        Ok(())
    }
}

/// What a line says it is.
#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    schema: Option<Cow<'a, str>>,
}

/// The place of a mistake within its line is worth having; the number of the line is known better elsewhere.
fn parse<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, String> {
    let told = |error: serde_json::Error| error.to_string().replace(" at line 1 column ", " at column ");
    serde_json::from_slice(line).map_err(|error| format!("is no fact: {}", told(error)))
}

fn foreign(schema: &str) -> String {
    format!("is of {schema}, and only {SCHEMA} can be read; 'reshake analyze --format facts' writes it")
}
