//! One direction of one connection: segments in whatever order go in, and afterwards what stands in each.

use std::collections::BTreeMap;

use reshake_core::net::{Segment, SeqNumber};

use super::Prf;
use super::records::Records;

/// Bytes of one direction that wait for others at most; beyond that what is missing is taken for lost.
const MAX_WAITING: usize = 1 << 20;

/// The bytes of one direction.
#[derive(Debug)]
pub(super) struct Stream {
    /// The number of the first byte.
    begin: SeqNumber,
    /// Bytes that were taken in order.
    next: u64,
    /// What positions are counted from: numbers begin anew after 4 GiB.
    near: u64,
    waiting: BTreeMap<u64, (Vec<u8>, bool)>,
    waiting_bytes: usize,
    records: Records,
}

impl Stream {
    /// Of the first segment.
    pub(super) fn begin(segment: &Segment<'_>) -> Self {
        Self {
            begin: segment.data_seq(),
            next: 0,
            near: 0,
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            records: Records::default(),
        }
    }

    /// Whether this segment begins another connection between the same endpoints.
    pub(super) fn is_over_with(&self, segment: &Segment<'_>) -> bool {
        segment.flags.syn() && segment.data_seq() != self.begin
    }

    /// Takes a segment.
    pub(super) fn learn(&mut self, segment: &Segment<'_>, prf: &Prf) {
        let (Some(offset), false) = (self.offset(segment), segment.payload.is_empty()) else {
            return;
        };
        if offset > self.next {
            self.waiting_bytes += segment.payload.len();
            let piece = (segment.payload.to_vec(), segment.cut > 0);
            if let Some((old, _)) = self.waiting.insert(offset, piece) {
                self.waiting_bytes -= old.len();
            }
            if self.waiting_bytes > MAX_WAITING {
                self.leap(prf);
            }
            return;
        }
        self.take(offset, segment.payload, segment.cut > 0, prf);
        self.take_waiting(prf);
    }

    /// No more segments come: what still waits stands behind gaps.
    pub(super) fn learned(&mut self, prf: &Prf) {
        while !self.waiting.is_empty() {
            self.leap(prf);
        }
        self.records.finish();
        self.near = 0;
    }

    /// Bytes that what is known takes.
    pub(super) const fn weight(&self) -> usize {
        self.records.weight() + self.waiting_bytes
    }

    /// What stands in a segment.
    pub(super) fn content(&mut self, segment: &Segment<'_>) -> Vec<u8> {
        let mut content = vec![0; segment.payload.len()];
        if let Some(offset) = self.offset(segment) {
            self.records.fill(offset, &mut content);
            self.near = self.near.max(offset);
        }
        content
    }

    /// Where a segment stands; what comes before the beginning is no content.
    fn offset(&self, segment: &Segment<'_>) -> Option<u64> {
        let known = self
            .begin
            .plus(u32::try_from(self.near & u64::from(u32::MAX)).unwrap_or(0));
        let distance = segment.data_seq().distance(known);
        self.near.checked_add_signed(i64::from(distance))
    }

    fn take(&mut self, offset: u64, bytes: &[u8], cut: bool, prf: &Prf) {
        let known = usize::try_from(self.next - offset).unwrap_or(usize::MAX);
        let Some(new) = bytes.get(known..).filter(|new| !new.is_empty()) else {
            return;
        };
        self.records.take(self.next, new, prf);
        self.next += new.len() as u64;
        self.near = self.next;
        if cut {
            self.records.lose();
        }
    }

    fn take_waiting(&mut self, prf: &Prf) {
        while let Some(entry) = self.waiting.first_entry().filter(|entry| *entry.key() <= self.next) {
            let (offset, (bytes, cut)) = entry.remove_entry();
            self.waiting_bytes -= bytes.len();
            self.take(offset, &bytes, cut, prf);
        }
    }

    /// Goes on behind a gap.
    fn leap(&mut self, prf: &Prf) {
        if let Some(offset) = self.waiting.keys().next() {
            self.next = *offset;
            self.near = self.next;
            self.records.lose();
            self.take_waiting(prf);
        }
    }
}
