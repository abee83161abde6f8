//! Facts of other runs on their way to this one's.
//!
//! All files are read at once, each as far as the others have come in time: what several runs saw of one connection comes in
//! together, and need not wait for long.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Run, RunOptions};
use crate::capture::{FactFile, Line};
use crate::facts::{Fact, FactsPlace, FactsReader, LineFault};
use reshake_core::engine::{Joining, Shard};
use reshake_core::net::Timestamp;

/// Joins what files of facts hold with what was found in captures, which come first. What is wrong is named, in one line
/// for each file.
pub(super) fn join(files: Vec<FactFile>, mut run: Run, options: &RunOptions) -> Run {
    if options.joinable {
        let done = |file: FactFile| {
            format!(
                "{}: is a file of facts already; facts are made of captures, and files of them are joined by giving them \
                 to a command together",
                file.path()
            )
        };
        run.errors.extend(files.into_iter().map(done));
        return run;
    }
    let mut joining = Joining::new(options.limits);
    let mut reader = FactsReader::behind(u16::try_from(run.captures.len()).unwrap_or(u16::MAX));
    let mut sources: Vec<Box<dyn FactSource + '_>> = Vec::new();
    let mut runs_here = 0;
    if !run.captures.is_empty() {
        let here = joining.begin(Shard::head(&run.engine, run.captures));
        let connections = run.engine.sightings();
        let connections = connections.map(move |sighting| Fact::Connection(here, sighting));
        let strays = run.engine.strays();
        let strays = strays.map(move |connection| Fact::Other(here, Box::new(connection.clone())));
        sources.push(Box::new(OwnFacts::of(connections)));
        sources.push(Box::new(OwnFacts::of(strays)));
        runs_here = 1;
    }
    sources.extend(
        files
            .into_iter()
            .map(|file| -> Box<dyn FactSource> { Box::new(FileOfFacts::new(file, runs_here)) }),
    );
    let mut queue = BinaryHeap::new();
    for (number, source) in sources.iter_mut().enumerate() {
        queue.extend(
            source
                .advance(&mut reader, &mut joining)
                .map(|time| Reverse((time, number))),
        );
    }
    while let Some(Reverse((_, number))) = queue.pop() {
        let next = sources
            .get_mut(number)
            .and_then(|source| source.advance(&mut reader, &mut joining));
        queue.extend(next.map(|time| Reverse((time, number))));
    }
    for source in sources {
        run.errors.extend(source.errors());
    }
    let (engine, captures) = joining.finish();
    Run {
        engine,
        captures,
        ..run
    }
}

/// Where facts come from, connection by connection.
trait FactSource {
    /// Hands over the connection that is next, if it has come to one, and goes on to the one behind it. Gives the time of that;
    /// `None` at the end.
    fn advance(&mut self, reader: &mut FactsReader, joining: &mut Joining) -> Option<Timestamp>;

    /// What went wrong, a line each.
    fn errors(self: Box<Self>) -> Vec<String>;
}

/// When a connection said hello; `None` of what is none.
fn time_of(fact: &Fact) -> Option<Timestamp> {
    match fact {
        Fact::Run(_) => None,
        Fact::Connection(_, sighting) => Some(sighting.connection.hello_time()),
        Fact::Other(_, connection) => Some(connection.hello_time()),
    }
}

/// Facts that are made as they are taken.
struct OwnFacts<I> {
    next: Option<Fact>,
    rest: I,
}

impl<I> OwnFacts<I> {
    const fn of(rest: I) -> Self {
        Self { next: None, rest }
    }
}

impl<I: Iterator<Item = Fact>> FactSource for OwnFacts<I> {
    fn advance(&mut self, _: &mut FactsReader, joining: &mut Joining) -> Option<Timestamp> {
        if let Some(fact) = self.next.take() {
            fact.enter(0, joining);
        }
        self.next = self.rest.next();
        self.next.as_ref().and_then(time_of)
    }

    fn errors(self: Box<Self>) -> Vec<String> {
        Vec::new()
    }
}

/// A file, read as far as to the connection that is next.
struct FileOfFacts {
    file: FactFile,
    place: FactsPlace,
    next: Option<Fact>,
    /// Runs whose facts are not read from files.
    runs_here: usize,
    /// The first line that is no fact, and how many more there are.
    fault: Option<LineFault>,
    more: u64,
}

impl FileOfFacts {
    fn new(file: FactFile, runs_here: usize) -> Self {
        Self {
            file,
            place: FactsPlace::default(),
            next: None,
            runs_here,
            fault: None,
            more: 0,
        }
    }
}

impl FactSource for FileOfFacts {
    /// A line that is no fact costs only itself.
    fn advance(&mut self, reader: &mut FactsReader, joining: &mut Joining) -> Option<Timestamp> {
        if let Some(fact) = self.next.take() {
            fact.enter(self.runs_here, joining);
        }
        while let Some(line) = self.file.next_line() {
            let fact = match line {
                Line::Whole(line) => reader.read(&mut self.place, line),
                Line::TooLong => Err(self.place.skip("is longer than 16 MiB, which no fact is")),
            };
            match fact {
                Ok(Some(fact)) => match time_of(&fact) {
                    None => fact.enter(self.runs_here, joining),
                    time => {
                        self.next = Some(fact);
                        return time;
                    }
                },
                Ok(None) => {}
                Err(fault) => {
                    self.more += u64::from(self.fault.is_some());
                    self.fault.get_or_insert(fault);
                }
            }
        }
        None
    }

    fn errors(mut self: Box<Self>) -> Vec<String> {
        let fault = self.fault.take().map(|LineFault { line, problem }| {
            let passed = match self.more {
                0 => "it was".to_owned(),
                1 => "it and one more line were".to_owned(),
                more => format!("it and {more} more lines were"),
            };
            format!(
                "{}: line {line} {problem}; {passed} skipped, all others are used",
                self.file.path()
            )
        });
        let broken = self.file.error().map(|error| error.to_string());
        fault.into_iter().chain(broken).collect()
    }
}
