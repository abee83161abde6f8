//! Which of the associations of a pair of endpoints a record is of: what it names, and what would come next.

use super::Association;
use crate::dtls::hello::Opening;
use crate::dtls::message::Fragment;
use crate::dtls::record::{DtlsRecord, Number};
use crate::net::At;
use crate::tcp::Direction;
use crate::tls::ContentType;
use crate::tls::names::HandshakeType;

/// Nanoseconds by which packets may be captured out of order.
pub const OUT_OF_ORDER: i64 = 1_000_000_000;

/// How well a record fits an association.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// It is of another one.
    No,
    /// Nothing speaks against it.
    Perhaps,
    /// It is what comes next.
    Likely,
    /// It bears the random.
    Sure,
}

impl Association {
    /// How well a record of this direction fits.
    #[must_use]
    pub fn fit(&self, from: Direction, record: &DtlsRecord<'_>, at: At) -> Fit {
        match record.number {
            Number::Clear { epoch: 0, sequence } => self.fit_clear(from, record, sequence, at),
            Number::Clear { epoch, sequence } => {
                let half = self.half(from);
                let again = half.epoch == epoch && half.sealed.has(sequence);
                // The flight with which a side begins to protect may not have been captured: the other answers it.
                let begun = self
                    .halves
                    .iter()
                    .any(|half| half.epoch > 0 || !half.changes.is_empty());
                let over = self.halves.iter().any(|half| half.alerted) && self.was_silent_before(at);
                if begun && !again && !over {
                    Fit::Likely
                } else {
                    Fit::Perhaps
                }
            }
            Number::Encrypted { .. } if self.is_tls13() => Fit::Likely,
            Number::Encrypted { .. } => Fit::No,
        }
    }

    fn fit_clear(&self, from: Direction, record: &DtlsRecord<'_>, sequence: u64, at: At) -> Fit {
        let current = if self.is_established() {
            Fit::Perhaps
        } else {
            Fit::Likely
        };
        if record.content_type == ContentType::CHANGE_CIPHER_SPEC {
            // Before an answer there is nothing to change: it is a flight of the elder one that is sent again.
            let over = self.halves.iter().any(|half| half.alerted);
            let likely = self.is_answered() && !over;
            return if likely { Fit::Likely } else { Fit::Perhaps };
        }
        if record.content_type != ContentType::HANDSHAKE {
            return current;
        }
        let Some(first) = Fragment::all(record.body, usize::from(record.length)).next() else {
            return Fit::No;
        };
        // What stands in front of its answer was said: packets of one handshake change places, but not by that much.
        let too_late = self.is_established() && self.is_behind(at);
        let known = match (first.kind, from) {
            (HandshakeType::CLIENT_HELLO, Direction::ToServer) => &self.random,
            (HandshakeType::SERVER_HELLO, Direction::ToClient) => &self.server_random,
            (HandshakeType::HELLO_VERIFY_REQUEST, Direction::ToClient) if too_late => return Fit::No,
            _ => return current,
        };
        let next = self.half(from).clear.next;
        match (known, Opening::read(first.bytes).filter(|_| first.offset == 0)) {
            (Some(known), Some(other)) if *known == other.random => Fit::Sure,
            // Of its HelloRetryRequest, which was told before the ServerHello.
            (Some(_), Some(other)) if other.is_retry() => Fit::Perhaps,
            (Some(_), Some(_)) => Fit::No,
            (Some(_), None) => Fit::Perhaps,
            // Its own was not captured.
            (None, _) if too_late => Fit::No,
            // A client's first record has no number before it, and is not what was answered long ago.
            (None, _)
                if from == Direction::ToServer && sequence == 0 && self.is_answered() && self.was_silent_before(at) =>
            {
                Fit::No
            }
            // Another handshake on this pair may be the one that a server answers again: it goes on counting.
            (None, _) if from == Direction::ToClient && sequence != next => Fit::Perhaps,
            (None, _) => Fit::Likely,
        }
    }

    /// Whether it had been silent by that time for longer than packets can be out of order.
    fn was_silent_before(&self, at: At) -> bool {
        self.newest.is_some_and(|newest| at.time.since(newest) > OUT_OF_ORDER)
    }

    /// Whether it is over at that time, or has been silent for longer than packets can be out of order. What bears an earlier
    /// time than another of its records merely stands behind that in a file without order.
    fn is_behind(&self, at: At) -> bool {
        let alerted = self.halves.iter().any(|half| half.alerted);
        let since = self.newest.map(|newest| at.time.since(newest));
        since.is_some_and(|since| since > OUT_OF_ORDER || (alerted && since >= 0))
    }
}
