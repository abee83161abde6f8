//! IP fragments (RFC 791 §3.2, RFC 8200 §4.5): fragments in, whole datagrams out. Bounded in number, bytes and age by
//! packet time; what is given up is counted with the frame it began in.

use std::net::IpAddr;

use etherparse::defrag::IpDefragBuf;
use etherparse::{IpFragOffset, IpNumber};

use super::ip::Ip;
use super::{Bytes, FrameOrigin};
use crate::net::{FrameRef, Notice, Notices, Timestamp, Wrapping};

/// One fragment of an IP datagram.
#[derive(Debug)]
pub(super) struct IpFragment<'a> {
    pub(super) ip: Ip,
    pub(super) id: u32,
    pub(super) protocol: u8,
    pub(super) offset: IpFragOffset,
    pub(super) more: bool,
    pub(super) payload: Bytes<'a>,
}

/// Datagrams that are still incomplete, oldest first.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    pending: Vec<Pending>,
    bytes: usize,
    notices: Notices,
    /// Frames of the datagrams that the current frame completed.
    completed: Vec<FrameRef>,
}

#[derive(Debug)]
struct Pending {
    source: IpAddr,
    destination: IpAddr,
    id: u32,
    /// Distinguishes datagrams in IPv4 only (RFC 791 §3.2); in IPv6 only the first fragment's counts.
    protocol: u8,
    outer: Vec<Wrapping>,
    since: FrameOrigin,
    /// Where its fragments stood.
    frames: Vec<FrameRef>,
    buffer: IpDefragBuf,
}

/// Datagrams kept at once.
const MAX_PENDING: usize = 256;
/// Bytes kept at once, of all datagrams.
const MAX_BYTES: usize = 8 << 20;
/// Nanoseconds a datagram may take: the reassembly time-out of Linux, and half of RFC 8200's.
const MAX_AGE: i64 = 30_000_000_000;

impl Fragments {
    /// Adds a fragment. When its datagram is whole, that is put into `whole` and its protocol number returned.
    pub(super) fn add(
        &mut self,
        fragment: &IpFragment<'_>,
        outer: &[Wrapping],
        origin: FrameOrigin,
        whole: &mut Vec<u8>,
    ) -> Result<Option<u8>, Notice> {
        self.give_up_old(origin.time);
        if fragment.payload.data.len() < fragment.payload.wire {
            return Err(Notice::FragmentsIncomplete);
        }
        let at = self.find_or_start(fragment, outer, origin);
        let Some(pending) = self.pending.get_mut(at) else {
            return Err(Notice::FragmentsIncomplete);
        };
        if fragment.offset.value() == 0 {
            pending.protocol = fragment.protocol;
        }
        pending.frames.push(origin.frame);
        let before = pending.buffer.data().len();
        let added = pending
            .buffer
            .add(fragment.offset, fragment.more, fragment.payload.data);
        let after = pending.buffer.data().len();
        let complete = pending.buffer.is_complete();
        self.bytes = self.bytes.saturating_add(after).saturating_sub(before);
        if added.is_err() {
            self.remove(at);
            return Err(Notice::FragmentsIncomplete);
        }
        if complete {
            return Ok(self.remove(at).map(|mut pending| {
                self.completed.append(&mut pending.frames);
                (*whole, _) = pending.buffer.take_bufs();
                pending.protocol
            }));
        }
        while self.bytes > MAX_BYTES {
            self.give_up(0);
        }
        Ok(None)
    }

    /// Takes the frames of the datagrams that were completed since this was called last.
    pub(super) fn completed(&mut self) -> Vec<FrameRef> {
        std::mem::take(&mut self.completed)
    }

    /// Takes the account of what was given up.
    pub(super) fn notices(&mut self) -> Notices {
        std::mem::take(&mut self.notices)
    }

    pub(super) fn give_up_all(&mut self) {
        while !self.pending.is_empty() {
            self.give_up(0);
        }
    }

    fn find_or_start(&mut self, fragment: &IpFragment<'_>, outer: &[Wrapping], origin: FrameOrigin) -> usize {
        if let Some(at) = self.pending.iter().position(|pending| pending.takes(fragment, outer)) {
            return at;
        }
        if self.pending.len() >= MAX_PENDING {
            self.give_up(0);
        }
        self.pending.push(Pending {
            source: fragment.ip.source,
            destination: fragment.ip.destination,
            id: fragment.id,
            protocol: fragment.protocol,
            outer: outer.to_vec(),
            since: origin,
            frames: Vec::new(),
            buffer: IpDefragBuf::new(IpNumber(fragment.protocol), Vec::new(), Vec::new()),
        });
        self.pending.len().saturating_sub(1)
    }

    fn give_up_old(&mut self, now: Timestamp) {
        while self
            .pending
            .first()
            .is_some_and(|oldest| now.since(oldest.since.time) > MAX_AGE)
        {
            self.give_up(0);
        }
    }

    fn give_up(&mut self, at: usize) {
        if let Some(pending) = self.remove(at) {
            let frame: FrameRef = pending.since.frame;
            self.notices.add(Notice::FragmentsIncomplete, Some(frame));
        }
    }

    fn remove(&mut self, at: usize) -> Option<Pending> {
        if at >= self.pending.len() {
            return None;
        }
        let pending = self.pending.remove(at);
        self.bytes = self.bytes.saturating_sub(pending.buffer.data().len());
        Some(pending)
    }
}

impl Pending {
    fn takes(&self, fragment: &IpFragment<'_>, outer: &[Wrapping]) -> bool {
        self.id == fragment.id
            && self.source == fragment.ip.source
            && self.destination == fragment.ip.destination
            && (self.source.is_ipv6() || self.protocol == fragment.protocol)
            && self
                .outer
                .iter()
                .map(|one| one.header)
                .eq(outer.iter().map(|one| one.header))
    }
}
