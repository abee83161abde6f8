//! Several inputs as one stream: sources come in, packets go out by time. Each source keeps its own order, equal times
//! go by a rank that does not depend on the order of the arguments, and nothing is buffered beyond one packet each.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Source, SourceError};
use crate::net::{Capture, Packet, Timestamp};

/// One or more sources merged by packet time.
pub struct Timeline {
    sources: Vec<Box<dyn Source>>,
    /// Place of each source among those with the same time.
    ranks: Vec<usize>,
    /// Sources that wait, by the time of their next packet; the current one is not among them.
    waiting: BinaryHeap<Reverse<(Timestamp, usize, usize)>>,
    current: Option<usize>,
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
    #[allow(clippy::should_implement_trait)] // the packet borrows from the timeline, as an iterator's item cannot
    pub fn next(&mut self) -> Option<Packet<'_>> {
        if self.sources.len() > 1 {
            self.choose();
        }
        self.sources.get_mut(self.current?)?.next()
    }

    /// What is known of each input so far, in the order in which they were given.
    pub fn captures(&self) -> impl Iterator<Item = &Capture> {
        self.sources.iter().map(|source| source.capture())
    }

    /// The errors that ended inputs.
    pub fn errors(&self) -> impl Iterator<Item = &SourceError> {
        self.sources.iter().filter_map(|source| source.error())
    }

    /// Bytes of all inputs before decompression, where all are known.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.sources.iter().map(|source| source.size()).sum()
    }

    /// Takes the TLS key logs found since the last call.
    pub fn secrets(&mut self) -> Vec<Vec<u8>> {
        self.sources.iter_mut().flat_map(|source| source.secrets()).collect()
    }

    /// Makes the source with the earliest packet the current one.
    fn choose(&mut self) {
        if let Some(at) = self.current.take() {
            let next = self.sources.get_mut(at).and_then(|source| source.peek());
            self.wait(at, next);
        }
        self.current = self.waiting.pop().map(|Reverse((_, _, at))| at);
    }

    fn wait(&mut self, at: usize, time: Option<Timestamp>) {
        if let (Some(time), Some(&rank)) = (time, self.ranks.get(at)) {
            self.waiting.push(Reverse((time, rank, at)));
        }
    }
}
