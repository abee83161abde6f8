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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{FrameRef, Timestamp};

    #[test]
    fn a_window_knows_which_of_the_last_64_numbers_came() {
        let mut window = Window::default();
        assert!(window.insert(100));
        assert!(!window.insert(100));
        // Captured late, and again.
        assert!(window.insert(98));
        assert!(!window.insert(98));
        assert_eq!(
            [97, 98, 99, 100, 101].map(|number| window.has(number)),
            [false, true, false, true, false]
        );
        assert!(window.insert(37) && !window.insert(37) && window.has(37));
        // Too old to tell.
        assert!(window.insert(36) && window.insert(36) && !window.has(36));
        // So far ahead that all before are too old.
        assert!(window.insert(164));
        assert!(window.has(164) && !window.has(100) && window.insert(101));
        assert_eq!(window.next, 165);
    }

    /// Takes records by epoch and number, and says what is known then: Finished sent, Finished captured, how many came and
    /// how many there must be.
    fn after(records: &[(ContentType, u16, u64)]) -> (bool, bool, u64, u64) {
        let mut half = DtlsHalf::default();
        for &(content_type, epoch, sequence) in records {
            half.goes_on(content_type, epoch, sequence);
        }
        (half.finished, half.finished_captured, half.received, half.sealed.next)
    }

    #[test]
    fn finished_is_the_first_protected_record_unless_that_is_an_alert() {
        let (finished, data, alert) = (
            ContentType::HANDSHAKE,
            ContentType::APPLICATION_DATA,
            ContentType::ALERT,
        );
        assert_eq!(after(&[(finished, 1, 0)]), (true, true, 1, 1));
        assert_eq!(after(&[(finished, 1, 0), (data, 1, 1)]), (true, true, 2, 2));
        assert_eq!(after(&[(alert, 1, 0)]), (false, false, 1, 1));
        // What follows it bears a number, or an epoch, that says so.
        assert_eq!(after(&[(data, 1, 3)]), (true, false, 1, 4));
        assert_eq!(after(&[(alert, 1, 3)]), (true, false, 1, 4));
        assert_eq!(after(&[(finished, 1, 0), (finished, 2, 0)]), (true, true, 1, 1));
        assert_eq!(after(&[(alert, 1, 0), (alert, 2, 0)]), (true, false, 1, 1));
    }

    #[test]
    fn what_is_captured_late_is_not_lost() {
        let data = ContentType::APPLICATION_DATA;
        let records = |numbers: &[u64]| after(&numbers.iter().map(|number| (data, 1, *number)).collect::<Vec<_>>());
        assert_eq!(records(&[0, 2, 1]), (true, true, 3, 3));
        assert_eq!(records(&[0, 2, 2]), (true, true, 2, 3));
        let mut half = DtlsHalf::default();
        assert!(half.goes_on(data, 1, 5));
        assert!(!half.goes_on(data, 1, 4) && !half.goes_on(data, 1, 5) && half.goes_on(data, 1, 6));
        // So far ahead that it is forged.
        assert!(!half.goes_on(data, 1, 7 + MAX_JUMP) && half.goes_on(data, 1, 6 + MAX_JUMP));
    }

    #[test]
    fn only_the_end_of_a_hello_or_a_ticket_proves_anything_and_no_more_of_them_are_kept_than_a_handshake_has() {
        let end = |kind, number, sent| Fragment {
            kind,
            length: 4,
            number,
            offset: 0,
            bytes: &[0; 4],
            sent,
        };
        let at = At {
            frame: FrameRef::new(0, 1),
            time: Timestamp::from_nanos(0),
        };
        let mut half = DtlsHalf::default();
        half.note_end(&end(HandshakeType::CERTIFICATE, 1, 4), 1);
        half.note_end(&end(HandshakeType::SERVER_HELLO, 1, 3), 1);
        assert!(half.ends.is_empty());
        half.note_end(&end(HandshakeType::SERVER_HELLO, 0, 4), 1);
        half.note_end(&end(HandshakeType::SERVER_HELLO, 0, 4), 1);
        assert_eq!(half.ends, [(1, HandshakeType::SERVER_HELLO, 0)]);
        for number in 0..100 {
            half.note_end(&end(HandshakeType::NEW_SESSION_TICKET, 1, 4), number);
            half.note_change(number, at);
            half.note_change(number, at);
        }
        assert_eq!((half.ends.len(), half.changes.len()), (MAX_NUMBERS, MAX_NUMBERS));
        let changes: Vec<u64> = half.changes.iter().map(|(number, _)| *number).collect();
        assert_eq!(changes, (0..MAX_NUMBERS as u64).collect::<Vec<_>>());
    }
}
