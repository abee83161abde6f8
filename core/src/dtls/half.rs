//! What is known of one direction of an association: which records came, and which messages.

use super::message::{Fragment, Messages};
use crate::net::At;
use crate::tls::ContentType;
use crate::tls::names::HandshakeType;

/// Records that may be missing between two: more than a capture can lose before its connection is over.
const MAX_JUMP: u64 = 1 << 24;

/// Record numbers kept that may prove that nothing stands between two records.
const MAX_NUMBERS: usize = 16;

/// One direction.
#[derive(Debug, Clone, Default)]
pub(super) struct DtlsHalf {
    pub(super) messages: Messages,
    /// message_seq of the hello that was told, one more; of the ServerHello, a HelloRetryRequest apart.
    pub(super) hello: Option<u16>,
    /// The epoch that was reached.
    pub(super) epoch: u16,
    /// A protected record came.
    pub(super) protected: bool,
    /// Records in clear, and those of the latest epoch.
    pub(super) clear: Window,
    pub(super) sealed: Window,
    /// Records of the latest epoch that were captured.
    pub(super) received: u64,
    /// Records that end with the end of a hello or of a NewSessionTicket, and its message_seq.
    pub(super) ends: Vec<(u64, HandshakeType, u16)>,
    /// Records with ChangeCipherSpec.
    pub(super) changes: Vec<(u64, At)>,
    /// It was told that the handshake is full, by a message of which only a part was there.
    pub(super) hinted: bool,
    /// Its Finished was sent, and was captured.
    pub(super) finished: bool,
    pub(super) finished_captured: bool,
    pub(super) alerted: bool,
    pub(super) alerted_in_clear: bool,
    /// The connection ID by which it wants to be called.
    pub(super) connection_id: Option<Box<[u8]>>,
}

/// The numbers of the last 64 records (RFC 6347 §4.1.2.6).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Window {
    pub(super) next: u64,
    seen: u64,
}

impl Window {
    /// Whether the number is new. What is too old to tell counts as new.
    pub(super) fn insert(&mut self, number: u64) -> bool {
        if number >= self.next {
            let shift = number - self.next + 1;
            self.seen = if shift < 64 { self.seen << shift } else { 0 } | 1;
            self.next = number + 1;
            return true;
        }
        let age = self.next - 1 - number;
        let bit = if age < 64 { 1 << age } else { 0 };
        let new = self.seen & bit == 0;
        self.seen |= bit;
        new
    }

    pub(super) fn has(&self, number: u64) -> bool {
        number < self.next && {
            let age = self.next - 1 - number;
            age < 64 && self.seen & (1 << age) != 0
        }
    }
}

impl DtlsHalf {
    /// Whether this is the latest protected record so far: those that come late change nothing, as the last one tells how
    /// a side ended. What is far off is forged, and would make all that follow late.
    pub(super) fn goes_on(&mut self, content_type: ContentType, epoch: u16, sequence: u64) -> bool {
        if epoch == self.epoch.saturating_add(1) {
            (self.epoch, self.sealed, self.received) = (epoch, Window::default(), 0);
        }
        let next = epoch == self.epoch && (self.sealed.next..self.sealed.next + MAX_JUMP).contains(&sequence);
        let late = epoch == self.epoch && sequence < self.sealed.next;
        if next || late {
            self.received += u64::from(self.sealed.insert(sequence));
            // The first record of the first epoch is Finished, or an alert in its place.
            let first = (epoch, sequence) == (1, 0) && content_type != ContentType::ALERT;
            self.finished |= first || epoch > 1 || sequence > 0;
            self.finished_captured |= first;
        }
        next
    }

    /// A record ends with this fragment.
    pub(super) fn note_end(&mut self, last: &Fragment<'_>, sequence: u64) {
        let ends = last.offset + last.sent == last.length;
        let tells = matches!(
            last.kind,
            HandshakeType::CLIENT_HELLO | HandshakeType::SERVER_HELLO | HandshakeType::NEW_SESSION_TICKET
        );
        let end = (sequence, last.kind, last.number);
        if ends && tells && self.ends.len() < MAX_NUMBERS && !self.ends.contains(&end) {
            self.ends.push(end);
        }
    }

    /// A record is a ChangeCipherSpec.
    pub(super) fn note_change(&mut self, sequence: u64, at: At) {
        let known = self.changes.iter().any(|(known, _)| *known == sequence);
        if self.changes.len() < MAX_NUMBERS && !known {
            self.changes.push((sequence, at));
        }
    }
}
