//! Lines of facts become shards again. A line that is none is passed over and named; the others are used.

use std::borrow::Cow;

use hashbrown::{HashMap, HashSet};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::SCHEMA;
use reshake_core::engine::Shard;
use reshake_core::net::FrameRef;
use reshake_core::net::document::CaptureNumbers;
use reshake_core::store::{Interner, PartialConnection};

/// Versions whose facts have the name of this document and other members.
const EARLIER: &str = "0.1.";

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineFault {
    /// Its number, from 1.
    pub line: u64,
    /// What is wrong, without a full stop.
    pub problem: String,
}

/// Reads facts line by line, of any number of files.
#[derive(Debug, Default)]
pub struct FactsReader {
    shards: Vec<Shard>,
    /// Headers read so far, by their text: a header that comes again goes on with its shard.
    headers: HashMap<Vec<u8>, (usize, CaptureNumbers)>,
    /// The shard that connections belong to now.
    current: Option<(usize, CaptureNumbers)>,
    /// Captures read by all shards.
    captures: u16,
    /// Frames with which connections begin.
    begun: HashSet<FrameRef>,
    interner: Interner,
    line: u64,
}

impl FactsReader {
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
    pub fn push(&mut self, line: &[u8]) -> Result<(), LineFault> {
        self.line += 1;
        let line = line.trim_ascii();
        if line.is_empty() {
            return Ok(());
        }
        self.take(line).map_err(|problem| LineFault {
            line: self.line,
            problem,
        })
    }

    /// The next line cannot be handed over.
    #[must_use]
    pub fn skip(&mut self, problem: &str) -> LineFault {
        self.line += 1;
        LineFault {
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
        let envelope: Envelope<'_> = parse(line)?;
        if let Some(schema) = envelope.schema.as_ref().filter(|schema| *schema != SCHEMA) {
            return Err(foreign(schema));
        }
        let tls = match envelope.kind.as_deref() {
            Some("header") => return self.header(line, &envelope),
            Some("connection") => true,
            Some("other") => false,
            _ => return Err(format!("is not a fact of {SCHEMA}: its type is unknown")),
        };
        // Before any header no capture is known, but what is no fact at all is worth being told first.
        let numbers = self.current.map_or(
            CaptureNumbers {
                before: 0,
                own: u16::MAX,
            },
            |(_, numbers)| numbers,
        );
        let fact: PartialConnection = numbers.within(|| parse(line))?;
        let Some((number, _)) = self.current else {
            return Err("comes before any header; facts begin with the line that says what was read".to_owned());
        };
        let fact = fact
            .admit(&mut self.interner)
            .map_err(|member| format!("cannot be right: {member}"))?;
        // A frame begins one connection: a line that comes twice counts once.
        let fresh = self.begun.insert(fact.connection.transport.first());
        if let Some(shard) = self.shards.get_mut(number).filter(|_| fresh) {
            if tls {
                shard.connections.push(fact);
            } else {
                shard.strays.push(*fact.connection);
            }
        }
        Ok(())
    }

    fn header(&mut self, line: &[u8], envelope: &Envelope<'_>) -> Result<(), String> {
        // What follows a header that cannot be used belongs to nothing.
        self.current = None;
        if let Some(known) = self.headers.get(line) {
            self.current = Some(*known);
            return Ok(());
        }
        let version = envelope
            .generator
            .as_ref()
            .and_then(|generator| generator.version.as_deref());
        if let Some(version) = version.filter(|version| version.starts_with(EARLIER)) {
            return Err(outdated(version));
        }
        let too_many = || "names more captures than can be told apart (65,535 in all)".to_owned();
        let own = envelope.captures.as_ref().map_or(0, Vec::len);
        let own = u16::try_from(own).map_err(|_| too_many())?;
        let before = self.captures;
        let after = before.checked_add(own).ok_or_else(too_many)?;
        let numbers = CaptureNumbers { before, own };
        let mut shard: Shard = numbers.within(|| parse(line))?;
        let services = shard.evicted.iter_mut().filter_map(|(service, _)| service.as_mut());
        for name in services.filter_map(|service| service.name.as_mut()) {
            *name = self.interner.text(name.as_bytes());
        }
        self.captures = after;
        self.shards.push(shard);
        let place = (self.shards.len() - 1, numbers);
        self.headers.insert(line.to_vec(), place);
        self.current = Some(place);
        Ok(())
    }
}

/// What a line says it is.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    schema: Option<Cow<'a, str>>,
    #[serde(borrow)]
    generator: Option<Generator<'a>>,
    /// Counted before they are read: frames beside them name them by number.
    captures: Option<Vec<IgnoredAny>>,
}

#[derive(Deserialize)]
struct Generator<'a> {
    #[serde(borrow)]
    version: Option<Cow<'a, str>>,
}

/// The place of a mistake within its line is worth having; the number of the line is known better elsewhere.
fn parse<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, String> {
    let told = |error: serde_json::Error| error.to_string().replace(" at line 1 column ", " at column ");
    serde_json::from_slice(line).map_err(|error| format!("is no fact: {}", told(error)))
}

fn foreign(schema: &str) -> String {
    format!("is of {schema}, and only {SCHEMA} can be read; 'reshake analyze --format facts' writes it")
}

fn outdated(version: &str) -> String {
    format!(
        "was written by reshake {version}, whose facts this version does not read; 'reshake analyze --format facts' makes \
         them again"
    )
}
