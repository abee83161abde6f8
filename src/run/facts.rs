//! Facts of other runs on their way to this one's.

use super::{Run, RunOptions};
use crate::capture::{FactFile, Line};
use crate::facts::{FactsReader, LineFault};
use reshake_core::engine::{Shard, join as join_shards};

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
    let mut reader = FactsReader::behind(u16::try_from(run.captures.len()).unwrap_or(u16::MAX));
    for mut file in files {
        read(&mut file, &mut reader, &mut run.errors);
    }
    let mut shards = reader.finish();
    if !run.captures.is_empty() {
        shards.insert(0, Shard::of(&run.engine, run.captures));
    }
    let (engine, captures) = join_shards(shards, options.limits);
    Run {
        engine,
        captures,
        ..run
    }
}

/// Reads a file to its end: a line that is no fact costs only itself.
fn read(file: &mut FactFile, reader: &mut FactsReader, errors: &mut Vec<String>) {
    reader.begin_file();
    let mut first = None;
    let mut more = 0_u64;
    while let Some(line) = file.next_line() {
        let taken = match line {
            Line::Whole(line) => reader.push(line),
            Line::TooLong => Err(reader.skip("is longer than 16 MiB, which no fact is")),
        };
        if let Err(fault) = taken {
            more += u64::from(first.is_some());
            first.get_or_insert(fault);
        }
    }
    if let Some(LineFault { line, problem }) = first {
        let passed = match more {
            0 => "it was".to_owned(),
            1 => "it and one more line were".to_owned(),
            more => format!("it and {more} more lines were"),
        };
        errors.push(format!(
            "{}: line {line} {problem}; {passed} skipped, all others are used",
            file.path()
        ));
    }
    errors.extend(file.error().map(|error| error.to_string()));
}
