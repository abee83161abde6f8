//! The one loop: inputs are opened as one timeline, packets go into the engine, and what is left is everything that a
//! report needs. It prints nothing and reads no clock; whoever calls it watches the progress and may stop it.

mod facts;
mod inputs;
mod keys;
mod reading;
mod stages;

use std::io;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::capture::{Pause, Pipe, Source, Timeline};
use inputs::Inputs;
use keys::KeyLogs;
use reshake_core::engine::{Engine, Limits, TlsEvent};
use reshake_core::net::capture::Ended;
use reshake_core::net::{Capture, Notice};

pub use reading::Reading;

/// Packets between two looks at the progress: often enough to stop at once, too rare to cost anything.
const PACKETS_PER_TICK: u64 = 4096;
/// The same of a live run, where packets may be slow and somebody looks on.
const PACKETS_PER_LIVE_TICK: u64 = 256;
/// Packets between two looks at key logs that still grow: fewer than what is held back of one connection.
const PACKETS_PER_LOOK: u64 = 16;

/// What bounds a run.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Memory of the engine.
    pub limits: Limits,
    /// Bytes that all files together may read ahead, as far as each can still read a packet. Without it each reads as much as
    /// is fastest.
    pub read_ahead: Option<usize>,
    /// Stop after so many packets of all inputs together.
    pub packets: Option<u64>,
    /// Wait at the end of each file for more, until this is set.
    pub follow: Option<Arc<AtomicBool>>,
    /// Key logs in NSS format.
    pub keylogs: Vec<PathBuf>,
    /// What is found is to be written as facts: nothing is joined yet.
    pub joinable: bool,
    /// Threads that work at once. The result is the same whatever their number; inputs that are followed take one.
    pub threads: Threads,
}

impl RunOptions {
    /// A run that keeps no more than so many bytes, where that is limited.
    #[must_use]
    pub fn within(memory: Option<usize>) -> Self {
        Self {
            limits: memory.map_or_else(Limits::default, Limits::within),
            read_ahead: memory.map(|memory| memory / 16),
            ..Self::default()
        }
    }
}

/// Most threads that can be asked for.
const MAX_THREADS: usize = 64;

/// How many threads work at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// As many as there are processors, but one alone reads where most of the bytes are content, which nobody reads.
    Auto,
    /// So many.
    Exactly(NonZeroUsize),
}

impl Threads {
    /// More gain nothing: after the last packet it is memory that is waited for.
    const MAX_AUTO: usize = 8;

    /// Their number on this machine.
    #[must_use]
    pub fn count(self) -> usize {
        match self {
            Self::Exactly(count) => count.get(),
            Self::Auto => std::thread::available_parallelism().map_or(1, |count| count.get().min(Self::MAX_AUTO)),
        }
    }
}

impl FromStr for Threads {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let count = text.parse().ok().filter(|count| *count <= MAX_THREADS);
        let count = count.and_then(NonZeroUsize::new).map(Self::Exactly);
        count.ok_or_else(|| format!("expected a number from 1 to {MAX_THREADS}, or 'auto'"))
    }
}

impl Default for Threads {
    fn default() -> Self {
        Self::Exactly(NonZeroUsize::MIN)
    }
}

/// How far a run has come.
#[derive(Debug, Clone, Copy)]
pub struct RunProgress {
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
    /// One line for each input that is damaged or ended too early.
    #[must_use]
    pub fn damage(&self) -> Vec<String> {
        let lines = self.captures.iter().filter_map(|capture| {
            let (path, last) = (&capture.path, capture.packets);
            let has = |notice| capture.notices.count(notice) > 0;
            Some(match capture.ended {
                Ended::Corrupt => format!("{path}: is damaged after frame {last}, where reading ended"),
                Ended::Truncated => format!("{path}: ends inside a packet, after frame {last}"),
                _ if has(Notice::CorruptBlockSkipped) => format!("{path}: has damaged blocks, which were skipped"),
                _ if has(Notice::FileTruncated) => format!("{path}: ends inside a packet, after frame {last}"),
                _ => return None,
            })
        });
        lines.collect()
    }
}

/// Whoever looks on while a live run goes.
pub trait Onlooker {
    /// Something happened to a connection.
    fn happened(&mut self, seen: LiveSnapshot<'_>, event: TlsEvent) -> ControlFlow<()>;

    /// Time passed: now and then, and whenever no packet waits (`idle`). Says whether to go on.
    fn tick(&mut self, seen: LiveSnapshot<'_>, idle: bool) -> ControlFlow<()>;

    /// The next packet is still to come: a little is done of what can wait for such a moment. Gives whether there is more.
    fn spare(&mut self, _seen: LiveSnapshot<'_>) -> ControlFlow<(), bool> {
        ControlFlow::Continue(false)
    }

    /// No more packets come; what is open is ended next.
    fn ending(&mut self, _seen: LiveSnapshot<'_>) {}
}

/// A live run as it stands.
#[derive(Clone, Copy)]
pub struct LiveSnapshot<'a> {
    /// What was found.
    pub engine: &'a Engine,
    /// Where the packets come from.
    pub capture: Option<&'a Capture>,
    /// Packets of this run.
    pub packets: u64,
}

/// A live run that has not begun: what needs rights is open, and nothing was read.
pub struct Live {
    source: Box<dyn Source>,
    logs: KeyLogs,
    errors: Vec<String>,
}

impl Live {
    /// Of a live source, with key logs that may grow.
    #[must_use]
    pub fn new(source: Box<dyn Source>, keylogs: &[PathBuf]) -> Self {
        let mut errors = Vec::new();
        let logs = KeyLogs::open(keylogs, &mut errors);
        Self { source, logs, errors }
    }

    /// Puts something between the source and the run.
    ///
    /// # Errors
    /// Those of `wrap`.
    pub fn wrap<E>(self, wrap: impl FnOnce(Box<dyn Source>) -> Result<Box<dyn Source>, E>) -> Result<Self, E> {
        Ok(Self {
            source: wrap(self.source)?,
            ..self
        })
    }

    /// Key logs that could not be opened.
    #[must_use]
    pub fn errors(&self) -> &[String] {
        &self.errors
    }

    /// Runs until the source ends or the onlooker has seen enough. News of the source go to `news`.
    pub fn run(mut self, options: &RunOptions, onlooker: &mut dyn Onlooker, news: &mut dyn FnMut(&str)) -> Run {
        let mut timeline = Timeline::new(vec![self.source]);
        let mut engine = Engine::new(options.limits);
        engine.watch();
        self.logs.read(&mut engine);
        let growing = self.logs.has_files();
        if growing {
            engine.expect_keys();
        }
        let feed = Feed {
            timeline: &mut timeline,
            engine: &mut engine,
            logs: &mut self.logs,
            growing,
            packets: 0,
        };
        let stopped = feed.pump_live(options.packets, onlooker, news).is_break();
        timeline.close();
        timeline.news().iter().for_each(|line| news(line));
        finish(&timeline, engine, self.logs, self.errors, stopped)
    }
}

/// A capture that is piped in through standard input while it is being made.
///
/// # Errors
/// When no thread can be started.
pub fn piped() -> io::Result<Box<dyn Source>> {
    Ok(Box::new(Pipe::open("-", Box::new(io::stdin()), 0)?))
}

/// Reads every input to its end, as one timeline. `watch` is asked now and then whether to go on.
///
/// Inputs that cannot be opened are left out and named in [`Run::errors`]; the others are still analysed.
pub fn analyze(
    inputs: &[impl AsRef<Path>],
    options: &RunOptions,
    watch: &mut dyn FnMut(RunProgress) -> ControlFlow<()>,
) -> Run {
    let Inputs {
        sources,
        facts,
        mut errors,
    } = Inputs::open(inputs, options.follow.as_ref(), options.read_ahead);
    let mut logs = KeyLogs::open(&options.keylogs, &mut errors);
    let mut timeline = Timeline::new(sources);
    let mut engine = Engine::new(options.limits);
    let joinable = options.joinable || !facts.is_empty();
    if joinable {
        engine.keep_joinable();
    }
    // Of files all keys are read first: nothing need be held back for them.
    logs.read(&mut engine);
    let growing = options.follow.is_some() && logs.has_files();
    if growing {
        engine.expect_keys();
    }
    let mut done = 0;
    let mut ended = None;
    // What is kept to be joined is kept where packets are taken one by one.
    if !joinable && stages::fit(options) {
        let both;
        (engine, both) = stages::pump(&mut timeline, engine, &mut logs, options, watch);
        match both {
            stages::StagesEnded::Run(how) => ended = Some(how),
            stages::StagesEnded::Alone(packets) => done = packets,
        }
    }
    let stopped = ended.unwrap_or_else(|| {
        let feed = Feed {
            timeline: &mut timeline,
            engine: &mut engine,
            logs: &mut logs,
            growing,
            packets: done,
        };
        feed.pump(options.packets, watch)
    });
    let run = finish(&timeline, engine, logs, errors, stopped.is_break());
    if facts.is_empty() {
        run
    } else {
        facts::join(facts, run, options)
    }
}

fn finish(timeline: &Timeline, mut engine: Engine, logs: KeyLogs, mut errors: Vec<String>, stopped: bool) -> Run {
    let warnings = logs.finish(&mut engine);
    engine.finish();
    let mut captures: Vec<Capture> = timeline.captures().cloned().collect();
    if stopped {
        let open = captures.iter_mut().filter(|capture| capture.ended == Ended::EndOfFile);
        open.for_each(|capture| capture.ended = Ended::Stopped);
    }
    errors.extend(timeline.errors().map(ToString::to_string));
    Run {
        engine,
        captures,
        errors,
        warnings,
    }
}

/// Packets and keys on their way into the engine.
struct Feed<'a> {
    timeline: &'a mut Timeline,
    engine: &'a mut Engine,
    logs: &'a mut KeyLogs,
    /// Key log files are still written to.
    growing: bool,
    /// Packets that were moved before.
    packets: u64,
}

impl Feed<'_> {
    /// Moves packets of a live source until it ends or somebody breaks it off.
    fn pump_live(
        mut self,
        limit: Option<u64>,
        onlooker: &mut dyn Onlooker,
        news: &mut dyn FnMut(&str),
    ) -> ControlFlow<()> {
        let stopped = self.move_live(limit.unwrap_or(u64::MAX), onlooker, news);
        onlooker.ending(self.seen());
        stopped
    }

    fn move_live(&mut self, limit: u64, onlooker: &mut dyn Onlooker, news: &mut dyn FnMut(&str)) -> ControlFlow<()> {
        while self.packets < limit {
            self.take_secrets();
            self.use_the_wait(onlooker)?;
            let idle = if let Some(packet) = self.timeline.next() {
                self.engine.push(&packet);
                self.packets += 1;
                false
            } else {
                match self.timeline.pause() {
                    Pause::Over => return ControlFlow::Continue(()),
                    Pause::Idle(None) => {}
                    Pause::Idle(Some(now)) => self.engine.advance(now),
                }
                true
            };
            self.tell(onlooker)?;
            if self.growing && (idle || self.packets.is_multiple_of(PACKETS_PER_LOOK)) {
                self.logs.read(self.engine);
            }
            if idle || self.packets.is_multiple_of(PACKETS_PER_LIVE_TICK) {
                self.timeline.news().iter().for_each(|line| news(line));
                self.count_drops();
                onlooker.tick(self.seen(), idle)?;
            }
        }
        ControlFlow::Break(())
    }

    /// Lets the onlooker go on until the next packet is there: packets that come quickly leave no longer pause, and yet most of
    /// the time.
    fn use_the_wait(&mut self, onlooker: &mut dyn Onlooker) -> ControlFlow<()> {
        let mut steps = 0_u64;
        while !self.timeline.is_ready() && onlooker.spare(self.seen())? {
            steps += 1;
            if steps.is_multiple_of(PACKETS_PER_LIVE_TICK) {
                onlooker.tick(self.seen(), false)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Takes key logs that stand before the next packet of a piped capture.
    fn take_secrets(&mut self) {
        if self.timeline.brings_secrets() {
            self.logs.take_blocks(self.timeline, self.engine);
            self.engine.expect_keys();
        }
    }

    fn tell(&mut self, onlooker: &mut dyn Onlooker) -> ControlFlow<()> {
        while let Some(event) = self.engine.poll() {
            onlooker.happened(self.seen(), event)?;
        }
        ControlFlow::Continue(())
    }

    fn count_drops(&mut self) {
        let dropped: u64 = self.timeline.captures().filter_map(|capture| capture.dropped).sum();
        self.engine.packets_dropped(dropped);
    }

    fn seen(&self) -> LiveSnapshot<'_> {
        LiveSnapshot {
            engine: self.engine,
            capture: self.timeline.first(),
            packets: self.packets,
        }
    }

    /// Moves packets until the timeline ends, or breaks off.
    fn pump(self, limit: Option<u64>, watch: &mut dyn FnMut(RunProgress) -> ControlFlow<()>) -> ControlFlow<()> {
        let size = self.timeline.size();
        let limit = limit.unwrap_or(u64::MAX);
        let blocks = self.timeline.may_bring_secrets();
        let mut packets = self.packets;
        while packets < limit {
            if blocks && self.timeline.brings_secrets() {
                self.logs.take_blocks(self.timeline, self.engine);
                // Where one secrets block stands among packets, more may follow.
                if packets > 0 {
                    self.engine.expect_keys();
                }
            }
            // By reference: a packet that is moved is a packet that is copied.
            if let Some(packet) = &self.timeline.next() {
                self.engine.push(packet);
            } else if self.timeline.succeed() {
                continue;
            } else {
                return ControlFlow::Continue(());
            }
            packets += 1;
            if self.growing && packets.is_multiple_of(PACKETS_PER_LOOK) {
                self.logs.read(self.engine);
            }
            if packets.is_multiple_of(PACKETS_PER_TICK) {
                let bytes = self.timeline.captures().map(|capture| capture.bytes).sum();
                watch(RunProgress { packets, bytes, size })?;
            }
        }
        ControlFlow::Break(())
    }
}

#[cfg(test)]
mod waits;

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

    fn whole(inputs: &[String], options: &RunOptions) -> Run {
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
        let run = whole(&inputs, &RunOptions::default());
        let read: Vec<u64> = run.captures.iter().map(|capture| capture.packets).collect();
        assert_eq!(read, [3, 2]);
        assert!(run.captures.iter().all(|capture| capture.ended == Ended::EndOfFile));
        assert_eq!(run.errors.len(), 1, "{:?}", run.errors);
        assert_eq!(run.damage(), [""; 0]);
    }

    #[test]
    fn a_run_stops_when_its_watcher_says_so() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let inputs = [file(folder.path(), "a", 20_000)];
        let mut seen = Vec::new();
        let run = analyze(&inputs, &RunOptions::default(), &mut |progress| {
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
        let options = RunOptions {
            follow: Some(Arc::clone(&stop)),
            ..RunOptions::default()
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
        let options = RunOptions {
            packets: Some(4),
            ..RunOptions::default()
        };
        let run = whole(&inputs, &options);
        assert!(run.captures.iter().all(|capture| capture.ended == Ended::Stopped));
    }
}
