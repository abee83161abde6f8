//! Key logs on their way into the engine: files beside the captures, and secrets blocks inside them.

use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::capture::{KeyLogFile, Stream, Timeline};
use reshake_core::decrypt::{KeyLogReader, SkippedLine};
use reshake_core::engine::Engine;

/// The key logs of a run.
#[derive(Default)]
pub(super) struct KeyLogs {
    files: Vec<(KeyLogFile, KeyLogReader)>,
    /// Secrets blocks read so far.
    blocks: u64,
    warnings: Warnings,
}

/// One line for each thing that is wrong with a log, up to a bound: a file may have half a million secrets blocks of which
/// none can be read.
#[derive(Default)]
struct Warnings {
    lines: Vec<String>,
    more: u64,
}

impl Warnings {
    /// Lines that are told.
    const MAX: usize = 10;

    fn finish(mut self) -> Vec<String> {
        if self.more > 0 {
            let line = format!("and {} more like these in key logs and secrets blocks", self.more);
            self.lines.push(line);
        }
        self.lines
    }
}

impl Extend<String> for Warnings {
    fn extend<I: IntoIterator<Item = String>>(&mut self, lines: I) {
        for line in lines {
            if self.lines.len() < Self::MAX {
                self.lines.push(line);
            } else {
                self.more += 1;
            }
        }
    }
}

impl KeyLogs {
    /// Opens key log files; those that cannot be opened are named in `errors`.
    pub(super) fn open(paths: &[PathBuf], errors: &mut Vec<String>) -> Self {
        let mut logs = Self::default();
        for path in paths {
            match KeyLogFile::open(path) {
                Ok(file) => logs.files.push((file, KeyLogReader::default())),
                Err(error) => errors.push(error.to_string()),
            }
        }
        logs
    }

    /// Of key logs that come from anywhere.
    pub(super) fn of(streams: Vec<Stream>) -> Self {
        let files = streams
            .into_iter()
            .map(|stream| (KeyLogFile::of(stream), KeyLogReader::default()));
        Self {
            files: files.collect(),
            ..Self::default()
        }
    }

    /// Whether there is any file.
    pub(super) fn has_files(&self) -> bool {
        !self.files.is_empty()
    }

    /// Reads what the files have beyond what was read before.
    pub(super) fn read(&mut self, engine: &mut Engine) {
        for (file, log) in &mut self.files {
            loop {
                match file.more() {
                    Ok([]) => break,
                    Ok(bytes) => engine.read_keys(log, bytes),
                    Err(error) => {
                        self.warnings.extend([error.to_string()]);
                        break;
                    }
                }
            }
            name(&mut self.warnings, file.path(), log);
        }
    }

    /// Takes the secrets blocks that were found in the captures.
    pub(super) fn take_blocks(&mut self, timeline: &mut Timeline, engine: &mut Engine) {
        for block in self.find_blocks(timeline) {
            self.warnings.extend(block.read(engine));
        }
    }

    /// The secrets blocks that were found in the captures since the last call.
    pub(super) fn find_blocks(&mut self, timeline: &mut Timeline) -> Vec<SecretsBlock> {
        let found = timeline.secrets().into_iter().map(|(path, text)| {
            self.blocks += 1;
            SecretsBlock {
                place: format!("{path}: secrets block {}", self.blocks),
                text: Zeroizing::new(text),
            }
        });
        found.collect()
    }

    /// Adds what was wrong with blocks that were read elsewhere.
    pub(super) fn warn(&mut self, warnings: impl IntoIterator<Item = String>) {
        self.warnings.extend(warnings);
    }

    /// Nothing more comes: what is wrong with the logs.
    pub(super) fn finish(mut self, engine: &mut Engine) -> Vec<String> {
        self.read(engine);
        for (file, log) in &mut self.files {
            engine.end_keys(log);
            name(&mut self.warnings, file.path(), log);
        }
        self.warnings.finish()
    }
}

/// A secrets block of a capture.
pub(super) struct SecretsBlock {
    place: String,
    text: Zeroizing<Vec<u8>>,
}

impl SecretsBlock {
    /// Gives it to the engine; what is wrong with it comes back.
    pub(super) fn read(&self, engine: &mut Engine) -> Vec<String> {
        let mut log = KeyLogReader::embedded();
        engine.read_keys(&mut log, &self.text);
        engine.end_keys(&mut log);
        let mut warnings = Vec::new();
        name(&mut warnings, &self.place, &mut log);
        warnings
    }
}

/// Names malformed lines by their number. What stands in them is not repeated: it may be a secret.
fn name(warnings: &mut impl Extend<String>, place: &str, log: &mut KeyLogReader) {
    let line = |SkippedLine { line, problem }| format!("{place}: line {line} {problem}; the line is skipped");
    warnings.extend(log.faults().into_iter().map(line));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_half_a_million_times_is_summed_up() {
        let mut warnings = Warnings::default();
        warnings.extend((0..3).map(|line| line.to_string()));
        assert_eq!(warnings.finish(), ["0", "1", "2"]);
        let mut warnings = Warnings::default();
        warnings.extend((0..500_000).map(|line| line.to_string()));
        let told = warnings.finish();
        assert_eq!(told.len(), Warnings::MAX + 1);
        let last = told.last().map(String::as_str);
        assert_eq!(last, Some("and 499990 more like these in key logs and secrets blocks"));
    }
}
