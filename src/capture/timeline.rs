//! Several inputs as one stream: sources come in, packets go out by time. Each source keeps its own order, equal times
//! go by a rank that does not depend on the order of the arguments, and nothing is buffered beyond one packet each.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Pause, Source, SourceError};
use reshake_core::net::capture::CaptureFormat;
use reshake_core::net::{Capture, Packet, Timestamp};

/// One or more sources merged by packet time.
pub struct Timeline {
    sources: Vec<Box<dyn Source>>,
    /// Place of each source among those with the same time.
    ranks: Vec<usize>,
    /// Sources that wait, by the time of their next packet; the current one is not among them.
    waiting: BinaryHeap<Reverse<(Timestamp, usize, usize)>>,
    current: Option<usize>,
    /// Files that took the place of followed ones and are no captures.
    failed: Vec<SourceError>,
    /// Sources were read up to a packet that is not given yet, beside the current one.
    entered: bool,
}

impl Timeline {
    /// Merges `sources`. The first packet of each is read here.
    #[must_use]
    pub fn new(mut sources: Vec<Box<dyn Source>>) -> Self {
        let firsts: Vec<Option<Timestamp>> = match sources.as_slice() {
            // A lone source is never asked for a packet before its time: it may be a device.
            [_] => vec![None],
            _ => sources.iter_mut().map(|source| source.peek()).collect(),
        };
        let mut order: Vec<usize> = (0..sources.len()).collect();
        order.sort_by_key(|&at| {
            let path = sources.get(at).map(|source| source.capture().path.clone());
            (firsts.get(at).copied().flatten(), path)
        });
        let mut ranks = vec![0; sources.len()];
        for (rank, &at) in order.iter().enumerate() {
            if let Some(slot) = ranks.get_mut(at) {
                *slot = rank;
            }
        }
        let mut timeline = Self {
            sources,
            ranks,
            waiting: BinaryHeap::new(),
            current: None,
            failed: Vec::new(),
            entered: true,
        };
        for (at, first) in firsts.into_iter().enumerate() {
            timeline.wait(at, first);
        }
        if timeline.sources.len() == 1 {
            timeline.current = Some(0);
        }
        timeline
    }

    /// The next packet of all sources.
    #[inline]
    #[expect(
        clippy::should_implement_trait,
        reason = "the packet borrows from the timeline, as an iterator's item cannot"
    )]
    pub fn next(&mut self) -> Option<Packet<'_>> {
        if self.sources.len() > 1 {
            self.choose();
        }
        self.sources.get_mut(self.current?)?.next()
    }

    /// Whether [`Timeline::next`] comes back without waiting: only a lone source waits for more.
    pub fn is_ready(&mut self) -> bool {
        match self.sources.as_mut_slice() {
            [source] => source.is_ready(),
            _ => true,
        }
    }

    /// What is known of each input so far, in the order in which they were given.
    pub fn captures(&self) -> impl Iterator<Item = &Capture> {
        self.sources.iter().map(|source| source.capture())
    }

    /// The account of the first input, of a live run the only one.
    #[must_use]
    pub fn first(&self) -> Option<&Capture> {
        self.sources.first().map(|source| source.capture())
    }

    /// The errors that ended inputs.
    pub fn errors(&self) -> impl Iterator<Item = &SourceError> {
        self.sources
            .iter()
            .filter_map(|source| source.error())
            .chain(&self.failed)
    }

    /// After the end: goes on with the files that took the place of those that were followed. `false` when there is none.
    pub fn succeed(&mut self) -> bool {
        let before = self.sources.len();
        for at in 0..before {
            self.succeed_one(at);
        }
        self.sources.len() > before
    }

    /// Why [`Timeline::next`] gave nothing: only a lone source waits for more.
    #[must_use]
    pub fn pause(&self) -> Pause {
        match self.sources.as_slice() {
            [source] => source.pause(),
            _ => Pause::Over,
        }
    }

    /// What happened to the inputs that people should know.
    pub fn news(&mut self) -> Vec<String> {
        self.sources.iter_mut().flat_map(|source| source.news()).collect()
    }

    /// Nothing more is wanted.
    pub fn close(&mut self) {
        self.sources.iter_mut().for_each(|source| source.close());
    }

    /// Bytes of all inputs before decompression, where all are known.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.sources.iter().map(|source| source.size()).sum()
    }

    /// Whether any input is of a format that may bring TLS key logs along.
    #[must_use]
    pub fn may_bring_secrets(&self) -> bool {
        self.captures().any(|capture| capture.format == CaptureFormat::Pcapng)
    }

    /// Whether key logs stand before the next packet, which is read for it.
    #[inline]
    pub fn brings_secrets(&mut self) -> bool {
        // All others stand where they stood at the last call.
        if !std::mem::take(&mut self.entered) {
            let current = self.current.and_then(|at| self.sources.get_mut(at));
            return current.is_some_and(|source| source.brings_secrets());
        }
        self.sources.iter_mut().any(|source| source.brings_secrets())
    }

    /// Takes the TLS key logs found since the last call, each with the path of its input.
    pub fn secrets(&mut self) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        for source in &mut self.sources {
            for text in source.secrets() {
                found.push((source.capture().path.clone(), text));
            }
        }
        found
    }

    /// Makes the source with the earliest packet the current one.
    fn choose(&mut self) {
        if let Some(at) = self.current.take() {
            let next = self.sources.get_mut(at).and_then(|source| source.peek());
            self.wait(at, next);
            if next.is_none() {
                self.succeed_one(at);
            }
        }
        let sources = &mut self.sources;
        let mut in_turn = std::iter::from_fn(|| self.waiting.pop()).map(|Reverse((_, _, at))| at);
        self.current = in_turn.find(|at| sources.get_mut(*at).is_some_and(|source| source.is_still_there()));
    }

    /// Adds the successor of a source that is over, if it has one.
    #[cold]
    fn succeed_one(&mut self, at: usize) {
        let count = u16::try_from(self.sources.len());
        let successor = match (self.sources.get_mut(at), count) {
            (Some(source), Ok(index)) => source.successor(index),
            _ => None,
        };
        match successor {
            Some(Ok(mut source)) => {
                let next = source.peek();
                self.ranks.push(self.sources.len());
                self.sources.push(source);
                self.entered = true;
                self.wait(self.sources.len() - 1, next);
                if self.current == Some(at) {
                    self.current = None;
                }
            }
            // The stop came before the first packet was written.
            Some(Err(SourceError::Empty { .. })) | None => {}
            Some(Err(error)) => self.failed.push(error),
        }
    }

    fn wait(&mut self, at: usize, time: Option<Timestamp>) {
        if let (Some(time), Some(&rank)) = (time, self.ranks.get(at)) {
            self.waiting.push(Reverse((time, rank, at)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::testing::{LITTLE, START, pcap_header, record};

    fn pcap(records: &[(u32, u8)]) -> Vec<u8> {
        let mut bytes = pcap_header(LITTLE, 0xa1b2_c3d4);
        for &(second, mark) in records {
            bytes.extend(record(LITTLE, START + second, 0, &[mark; 4]));
        }
        bytes
    }

    fn merged(files: &[(&str, Vec<u8>)]) -> Vec<(u8, u64)> {
        let sources = files.iter().zip(0..).map(|((name, bytes), index)| {
            let reader = Box::new(std::io::Cursor::new(bytes.clone()));
            crate::capture::from_reader(name, reader, None, index).expect("a capture")
        });
        let mut timeline = Timeline::new(sources.collect());
        let mut out = Vec::new();
        while let Some(packet) = timeline.next() {
            out.push((packet.data[0], packet.frame.frame()));
        }
        assert_eq!(timeline.captures().count(), files.len());
        out
    }

    #[test]
    fn packets_come_by_time_whatever_the_order_of_the_arguments() {
        let a = ("a", pcap(&[(0, b'a'), (2, b'b'), (4, b'c'), (4, b'd')]));
        let b = ("b", pcap(&[(0, b'e'), (3, b'f'), (4, b'g')]));
        let c = ("c", pcap(&[(9, b'h')]));
        let empty = ("d", pcap(&[]));
        let expected = [
            (b'a', 1),
            (b'e', 1),
            (b'b', 2),
            (b'f', 2),
            (b'c', 3),
            (b'd', 4),
            (b'g', 3),
            (b'h', 1),
        ];
        let forward = merged(&[a.clone(), b.clone(), c.clone(), empty.clone()]);
        assert_eq!(forward, expected);
        assert_eq!(merged(&[empty, c, b, a]), expected);
    }

    #[test]
    fn each_source_keeps_its_own_order() {
        let shuffled = ("a", pcap(&[(5, b'a'), (1, b'b'), (6, b'c')]));
        let other = ("b", pcap(&[(2, b'd'), (7, b'e')]));
        let marks: Vec<u8> = merged(&[shuffled, other]).into_iter().map(|(mark, _)| mark).collect();
        assert_eq!(marks, b"dabce");
    }

    #[test]
    fn a_lone_source_passes_through() {
        assert_eq!(merged(&[("a", pcap(&[(5, 1), (1, 2)]))]), [(1, 1), (2, 2)]);
        assert!(merged(&[]).is_empty());
    }
}
