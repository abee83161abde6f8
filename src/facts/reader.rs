//! Lines become facts again. A line that is none is passed over and named; the others are used.

use std::borrow::Cow;

use hashbrown::HashMap;
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};

use super::SCHEMA;
use reshake_core::engine::{Joining, Shard};
use reshake_core::net::document::CaptureNumbers;
use reshake_core::session::Connection;
use reshake_core::store::{Interner, PartialConnection};

/// Runs whose facts can be read together, at most.
const MAX_RUNS: usize = 1 << 16;

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

/// What a line of facts says.
#[derive(Debug)]
pub enum Fact {
    /// What a run says of itself; the facts below are of it. Its number is how many came before it.
    Run(Shard),
    /// A connection on which the run of this number saw TLS.
    Connection(usize, PartialConnection),
    /// One of which it does not know whether it is TLS.
    Other(usize, Box<Connection>),
}

impl Fact {
    /// Goes where facts are joined; `before` runs there are not among those that it counts.
    pub fn enter(self, before: usize, joining: &mut Joining) {
        match self {
            Self::Run(shard) => drop(joining.begin(shard)),
            Self::Connection(run, sighting) => joining.add(before + run, sighting),
            Self::Other(run, connection) => joining.add_stray(before + run, connection),
        }
    }
}

/// Where a file of facts has come to.
#[derive(Debug, Default)]
pub struct FactsPlace {
    /// The run that its facts belong to now, and the numbers of its captures.
    run: Option<(usize, CaptureNumbers)>,
    line: u64,
}

impl FactsPlace {
    /// The next line cannot be handed over.
    #[must_use]
    pub fn skip(&mut self, problem: &str) -> LineFault {
        self.line += 1;
        LineFault {
            line: self.line,
            problem: problem.to_owned(),
        }
    }
}

/// Reads facts line by line, of any number of files.
#[derive(Debug, Default)]
pub struct FactsReader {
    /// Headers read so far, by their SHA-256: one that comes again goes on with its run.
    headers: HashMap<[u8; 32], (usize, CaptureNumbers)>,
    /// Captures read by all runs.
    captures: u16,
    interner: Interner,
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

    /// What a line says, with or without its end; `None` where it is empty.
    ///
    /// # Errors
    /// What is wrong with it; nothing of it is used then.
    pub fn read(&mut self, place: &mut FactsPlace, line: &[u8]) -> Result<Option<Fact>, LineFault> {
        place.line += 1;
        let line = line.trim_ascii();
        if line.is_empty() {
            return Ok(None);
        }
        self.take(place, line).map_err(|problem| LineFault {
            line: place.line,
            problem,
        })
    }

    fn take(&mut self, place: &mut FactsPlace, line: &[u8]) -> Result<Option<Fact>, String> {
        let envelope: Envelope<'_> = parse(line)?;
        if let Some(schema) = envelope.schema.as_ref().filter(|schema| *schema != SCHEMA) {
            return Err(foreign(schema));
        }
        let tls = match envelope.kind.as_deref() {
            Some("header") => return self.header(place, line, &envelope),
            Some("connection") => true,
            Some("other") => false,
            _ => return Err(format!("is not a fact of {SCHEMA}: its type is unknown")),
        };
        // Before any header no capture is known, but what is no fact at all is worth being told first.
        let numbers = place.run.map_or(
            CaptureNumbers {
                before: 0,
                own: u16::MAX,
            },
            |(_, numbers)| numbers,
        );
        let fact: PartialConnection = numbers.within(|| parse(line))?;
        let Some((run, _)) = place.run else {
            return Err("comes before any header; facts begin with the line that says what was read".to_owned());
        };
        let fact = fact
            .admit(&mut self.interner)
            .map_err(|member| format!("cannot be right: {member}"))?;
        Ok(Some(if tls {
            Fact::Connection(run, fact)
        } else {
            Fact::Other(run, fact.connection)
        }))
    }

    fn header(&mut self, place: &mut FactsPlace, line: &[u8], envelope: &Envelope<'_>) -> Result<Option<Fact>, String> {
        // What follows a header that cannot be used belongs to nothing.
        place.run = None;
        let text = Sha256::digest(line).into();
        if let Some(known) = self.headers.get(&text) {
            place.run = Some(*known);
            return Ok(None);
        }
        if self.headers.len() >= MAX_RUNS {
            return Err(format!(
                "begins one more than the {MAX_RUNS} runs that can be told apart"
            ));
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
        let run = (self.headers.len(), numbers);
        self.headers.insert(text, run);
        place.run = Some(run);
        Ok(Some(Fact::Run(shard)))
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
