//! A run that is taken on in steps, by whoever has other things to do in between: a page that wants to hear "stop".

use std::ops::ControlFlow;

use super::inputs::Inputs;
use super::keys::KeyLogs;
use super::{Feed, Run, RunOptions, RunProgress, facts, finish};
use crate::capture::{FactFile, Stream, Timeline};
use reshake_core::engine::{Engine, Limits};

/// A run that is not over.
pub struct Reading {
    timeline: Timeline,
    facts: Vec<FactFile>,
    logs: KeyLogs,
    engine: Engine,
    errors: Vec<String>,
    options: RunOptions,
    /// Packets read.
    packets: u64,
    /// Nothing more comes.
    over: bool,
}

impl Reading {
    /// Of captures and key logs that come from anywhere. The first bytes of each are read here, and of key logs all.
    #[must_use]
    pub fn of(captures: Vec<Stream>, keylogs: Vec<Stream>, limits: Limits) -> Self {
        let Inputs { sources, facts, errors } = Inputs::of(captures);
        let mut logs = KeyLogs::of(keylogs);
        let mut engine = Engine::new(limits);
        if !facts.is_empty() {
            engine.keep_joinable();
        }
        logs.read(&mut engine);
        Self {
            timeline: Timeline::new(sources),
            facts,
            logs,
            engine,
            errors,
            options: RunOptions {
                limits,
                ..RunOptions::default()
            },
            packets: 0,
            over: false,
        }
    }

    /// Reads on until `watch`, which is asked now and then, breaks off; `false` when the inputs are over.
    pub fn read_on(&mut self, watch: &mut dyn FnMut(RunProgress) -> ControlFlow<()>) -> bool {
        let packets = &mut self.packets;
        let feed = Feed {
            timeline: &mut self.timeline,
            engine: &mut self.engine,
            logs: &mut self.logs,
            growing: false,
            packets: *packets,
        };
        let stopped = feed.pump(None, &mut |progress| {
            *packets = progress.packets;
            watch(progress)
        });
        self.over = stopped.is_continue();
        !self.over
    }

    /// What was found, with what was not read yet left out.
    #[must_use]
    pub fn finish(self) -> Run {
        let run = finish(&self.timeline, self.engine, self.logs, self.errors, !self.over);
        if self.facts.is_empty() {
            run
        } else {
            facts::join(self.facts, run, &self.options)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::run::analyze;
    use reshake_core::net::capture::Ended;

    /// A pcap file of so many packets of four bytes, one a second.
    fn capture(packets: u32) -> Vec<u8> {
        let mut words = vec![0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1];
        for second in 0..packets {
            words.extend([second, 0, 4, 4, 0]);
        }
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn stream(name: &str, bytes: Vec<u8>) -> Stream {
        Stream {
            name: name.to_owned(),
            size: Some(bytes.len() as u64),
            reader: Box::new(Cursor::new(bytes)),
        }
    }

    /// Names, packets and ends of the captures of a run.
    fn told(run: &Run) -> Vec<(String, u64, Ended)> {
        let captures = run.captures.iter();
        captures.map(|it| (it.path.clone(), it.packets, it.ended)).collect()
    }

    #[test]
    fn steps_read_what_one_go_reads() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a");
        std::fs::write(&path, capture(20_000)).expect("a temporary file");
        let path = path.to_str().expect("a UTF-8 path");
        let whole = analyze(&[path.to_owned()], &RunOptions::default(), &mut |_| {
            ControlFlow::Continue(())
        });
        let streams = vec![stream(path, capture(20_000)), stream("foreign", b"hello".to_vec())];
        let mut reading = Reading::of(streams, Vec::new(), Limits::default());
        let mut steps = 1;
        while reading.read_on(&mut |_| ControlFlow::Break(())) {
            steps += 1;
        }
        let run = reading.finish();
        assert_eq!(told(&run), told(&whole));
        assert_eq!(steps, 1 + 20_000 / 4_096);
        assert_eq!(run.errors.len(), 1, "{:?}", run.errors);
    }

    #[test]
    fn what_is_left_unread_is_told() {
        let mut reading = Reading::of(vec![stream("a", capture(20_000))], Vec::new(), Limits::default());
        assert!(reading.read_on(&mut |_| ControlFlow::Break(())));
        let run = reading.finish();
        assert_eq!(told(&run), [("a".to_owned(), 4_096, Ended::Stopped)]);
    }
}
