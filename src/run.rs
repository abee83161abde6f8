//! The one loop: inputs are opened as one timeline, packets go into the engine, and what is left is everything that a
//! report needs. It prints nothing and reads no clock; whoever calls it watches the progress and may stop it.

mod facts;
mod keys;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::engine::{Engine, Limits};
use crate::net::Capture;
use crate::net::capture::Ended;
use crate::source::{self, FactFile, Opened, Source, SourceError, Timeline};
use keys::KeyLogs;

/// Packets between two looks at the progress: often enough to stop at once, too rare to cost anything.
const PACKETS_PER_TICK: u64 = 4096;
/// Packets between two looks at key logs that still grow: fewer than what is held back of one connection.
const PACKETS_PER_LOOK: u64 = 16;

/// What bounds a run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Memory of the engine.
    pub limits: Limits,
    /// Stop after so many packets of all inputs together.
    pub packets: Option<u64>,
    /// Wait at the end of each file for more, until this is set.
    pub follow: Option<Arc<AtomicBool>>,
    /// Key logs in NSS format.
    pub keylogs: Vec<String>,
    /// What is found is to be written as facts: nothing is joined yet.
    pub joinable: bool,
}

/// How far a run has come.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Packets read.
    pub packets: u64,
    /// Bytes read, before decompression.
    pub bytes: u64,
    /// Bytes there are; `None` when an input does not say, as a pipe.
    pub size: Option<u64>,
}

/// A run that is over.
#[derive(Debug)]
pub struct Run {
    /// What was found.
    pub engine: Engine,
    /// The inputs that could be opened, in the order in which they were given.
    pub captures: Vec<Capture>,
    /// One line for each input that could not be opened, or not read to its end.
    pub errors: Vec<String>,
    /// One line for each thing that is wrong with a key log and costs only itself.
    pub warnings: Vec<String>,
}

impl Run {
    /// Whether any input was damaged or ended too early.
    #[must_use]
    pub fn damaged(&self) -> bool {
        use crate::net::Notice::{CorruptBlockSkipped, FileTruncated};
        self.captures.iter().any(|capture| {
            matches!(capture.ended, Ended::Truncated | Ended::Corrupt)
                || capture.notices.count(CorruptBlockSkipped) + capture.notices.count(FileTruncated) > 0
        })
    }
}

/// Reads every input to its end, as one timeline. `watch` is asked now and then whether to go on.
///
/// Inputs that cannot be opened are left out and named in [`Run::errors`]; the others are still analysed.
pub fn analyze(inputs: &[String], options: &Options, watch: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Run {
    let (sources, facts, mut errors) = open(inputs, options.follow.as_ref());
    let mut logs = KeyLogs::open(&options.keylogs, &mut errors);
    let mut timeline = Timeline::new(sources);
    let mut engine = Engine::new(options.limits);
    if options.joinable || !facts.is_empty() {
        engine.keep_joinable();
    }
    // Of files all keys are read first: nothing need be held back for them.
    logs.read(&mut engine);
    let growing = options.follow.is_some() && logs.has_files();
    if growing {
        engine.expect_keys();
    }
    let feed = Feed {
        timeline: &mut timeline,
        engine: &mut engine,
        logs: &mut logs,
        growing,
    };
    let stopped = feed.pump(options.packets, watch).is_break();
    let warnings = logs.finish(&mut engine);
    engine.finish();
    let mut captures: Vec<Capture> = timeline.captures().cloned().collect();
    if stopped {
        let open = captures.iter_mut().filter(|capture| capture.ended == Ended::EndOfFile);
        open.for_each(|capture| capture.ended = Ended::Stopped);
    }
    errors.extend(timeline.errors().map(ToString::to_string));
    if !facts.is_empty() {
        (engine, captures) = facts::join(facts, (engine, captures), options, &mut errors);
    }
    Run {
        engine,
        captures,
        errors,
        warnings,
    }
}

/// Opens what can be opened. A capture's index counts the readable inputs, as in the list of captures.
fn open(
    inputs: &[String],
    follow: Option<&Arc<AtomicBool>>,
) -> (Vec<Box<dyn Source>>, Vec<FactFile>, Vec<String>) {
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    let mut facts = Vec::new();
    let mut errors = Vec::new();
    for path in inputs {
        let opened = match u16::try_from(sources.len()) {
            Ok(index) => match follow {
                Some(stop) => source::open_following(path, index, Arc::clone(stop)).map(Opened::Capture),
                None => source::recognise(path, index),
            },
            Err(_) => Err(SourceError::Open {
                path: path.clone(),
                cause: std::io::Error::other("more than 65,536 inputs; merge some first (mergecap)"),
            }),
        };
        match opened {
            Ok(Opened::Capture(source)) => sources.push(source),
            Ok(Opened::Facts(file)) => facts.push(file),
            Err(error) => errors.push(error.to_string()),
        }
    }
    (sources, facts, errors)
}

/// Packets and keys on their way into the engine.
struct Feed<'a> {
    timeline: &'a mut Timeline,
    engine: &'a mut Engine,
    logs: &'a mut KeyLogs,
    /// Key log files are still written to.
    growing: bool,
}

impl Feed<'_> {
    /// Moves packets until the timeline ends, or breaks off.
    fn pump(self, limit: Option<u64>, watch: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> ControlFlow<()> {
        let size = self.timeline.size();
        let limit = limit.unwrap_or(u64::MAX);
        let blocks = self.timeline.may_bring_secrets();
        let mut packets = 0;
        while packets < limit {
            if blocks && self.timeline.brings_secrets() {
                self.logs.take_blocks(self.timeline, self.engine);
                // Where one secrets block stands among packets, more may follow.
                if packets > 0 {
                    self.engine.expect_keys();
                }
            }
            let Some(packet) = self.timeline.next() else {
                if self.timeline.succeed() {
                    continue;
                }
                return ControlFlow::Continue(());
            };
            self.engine.push(&packet);
            packets += 1;
            if self.growing && packets.is_multiple_of(PACKETS_PER_LOOK) {
                self.logs.read(self.engine);
            }
            if packets.is_multiple_of(PACKETS_PER_TICK) {
                let bytes = self.timeline.captures().map(|capture| capture.bytes).sum();
                watch(Progress { packets, bytes, size })?;
            }
        }
        ControlFlow::Break(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pcap file of so many packets of four bytes, one a second.
    fn file(folder: &std::path::Path, name: &str, packets: u32) -> String {
        let mut bytes = Vec::new();
        for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
            bytes.extend(word.to_le_bytes());
        }
        for second in 0..packets {
            for word in [second, 0, 4, 4, 0] {
                bytes.extend(word.to_le_bytes());
            }
        }
        let path = folder.join(name);
        std::fs::write(&path, bytes).expect("a temporary file");
        path.to_str().expect("a UTF-8 path").to_owned()
    }

    fn whole(inputs: &[String], options: &Options) -> Run {
        analyze(inputs, options, &mut |_| ControlFlow::Continue(()))
    }

    #[test]
    fn a_run_ends_with_its_inputs() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let inputs = [
            file(folder.path(), "a", 3),
            "nowhere".to_owned(),
            file(folder.path(), "b", 2),
        ];
        let run = whole(&inputs, &Options::default());
        let read: Vec<u64> = run.captures.iter().map(|capture| capture.packets).collect();
        assert_eq!(read, [3, 2]);
        assert!(run.captures.iter().all(|capture| capture.ended == Ended::EndOfFile));
        assert_eq!(run.errors.len(), 1, "{:?}", run.errors);
        assert!(!run.damaged());
    }

    #[test]
    fn a_run_stops_when_its_watcher_says_so() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let inputs = [file(folder.path(), "a", 20_000)];
        let mut seen = Vec::new();
        let run = analyze(&inputs, &Options::default(), &mut |progress| {
            assert_eq!(progress.size, Some(24 + 20_000 * 20));
            seen.push(progress.packets);
            if seen.len() == 2 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        assert_eq!(seen, [PACKETS_PER_TICK, 2 * PACKETS_PER_TICK]);
        assert_eq!(run.captures.first().map(|capture| capture.ended), Some(Ended::Stopped));
    }

    #[test]
    fn a_followed_file_is_read_on_as_it_grows_until_the_stop() {
        use std::io::Write;
        use std::sync::atomic::Ordering;

        let folder = tempfile::tempdir().expect("a temporary folder");
        let whole_file = std::fs::read(file(folder.path(), "whole", 10_000)).expect("a file");
        // The first part ends inside a packet.
        let (front, back) = whole_file.split_at(24 + 20 * 5_000 + 7);
        let path = folder.path().join("growing");
        std::fs::write(&path, front).expect("a temporary file");
        let inputs = [path.to_str().expect("a UTF-8 path").to_owned()];
        let stop = Arc::new(AtomicBool::new(false));
        let options = Options {
            follow: Some(Arc::clone(&stop)),
            ..Options::default()
        };
        let (came, comes) = std::sync::mpsc::channel();
        let back = back.to_vec();
        let writer = std::thread::spawn(move || {
            comes.recv().expect("the first packets are read");
            let mut growing = std::fs::OpenOptions::new().append(true).open(&path).expect("the file");
            growing.write_all(&back).expect("it grows");
            drop(growing);
            // What was written before the stop is still read.
            stop.store(true, Ordering::Relaxed);
        });
        let run = analyze(&inputs, &options, &mut |progress| {
            if progress.packets == PACKETS_PER_TICK {
                came.send(()).expect("the writer waits");
            }
            ControlFlow::Continue(())
        });
        writer.join().expect("the writer ends");
        assert_eq!(run.errors, [""; 0]);
        let ends: Vec<_> = run
            .captures
            .iter()
            .map(|capture| (capture.packets, capture.ended))
            .collect();
        assert_eq!(ends, [(10_000, Ended::Stopped)]);
    }

    #[test]
    fn packets_of_all_inputs_count_towards_the_limit() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let inputs = [file(folder.path(), "a", 5), file(folder.path(), "b", 5)];
        let options = Options {
            packets: Some(4),
            ..Options::default()
        };
        let run = whole(&inputs, &options);
        assert!(run.captures.iter().all(|capture| capture.ended == Ended::Stopped));
    }
}
