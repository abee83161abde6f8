//! How a connection begins: which segment answers the SYN-ACK, and what the SYN exchange tells of times.

use super::Flow;
use crate::net::span::SECOND;
use crate::net::{At, Segment};
use crate::tcp::Direction;

/// Nanoseconds by which the two sides of a SYN exchange must contradict each other before two clocks are the reason: below
/// that, packets of one clock are stamped out of order by queues of a network card.
const CLOCKS_DIFFER: i64 = 100_000;
/// A SYN that is not answered is sent again after so many nanoseconds (RFC 6298 §2).
const SYN_AGAIN: i64 = SECOND;

impl<T> Flow<T> {
    /// Takes an acknowledgement of a SYN-ACK. In a file without order the one that answers it may stand behind others.
    pub(super) fn establish(&mut self, direction: Direction, segment: &Segment<'_>, at: At) {
        let begins = |direction| self.half(direction).isn.map(|isn| isn.plus(1));
        let at_once = begins(direction) == Some(segment.seq);
        let answers = begins(direction.opposite()).is_none_or(|begins| begins == segment.ack);
        // Its SYN may have had data (RFC 7413).
        let first = at_once || self.half(direction).assembler.expected() == Some(segment.seq);
        // One with data is the next that was sent where the numbers of IP say so.
        let bare = segment.payload.is_empty() && segment.cut == 0 && !segment.flags.fin();
        let next = self.syn_ip_id != 0 && segment.path.ip_id == Some(self.syn_ip_id.wrapping_add(1));
        let is_answer = (at_once || self.established.is_none()) && first && answers && (bare || next);
        if self.established.is_none() {
            self.established_at_once = at_once;
        }
        if self.established.is_none() || is_answer {
            self.established = Some(at);
            self.established_bare = is_answer;
        }
    }

    pub(super) fn may_be_established(&self, direction: Direction) -> bool {
        let (half, other) = (self.half(direction), self.half(direction.opposite()));
        // By a clock that is behind, the segments of the server stand in front of the SYN that they answer.
        other.answers || (half.syn.is_some() && !half.answers && other.first.is_none())
    }

    /// Nanoseconds by which the server's clock was ahead of the client's; `None` where the SYN exchange does not show two
    /// clocks. The SYN-ACK was sent between the SYN and the segment that acknowledges it; in the middle is the best guess.
    #[must_use]
    pub fn clock_difference(&self) -> Option<i64> {
        let [client, server] = &self.halves;
        let (syn, answer) = (client.syn?.time, server.syn.filter(|_| server.answers)?.time);
        let acknowledged = self.established?.time;
        let (least, most) = (answer.since(acknowledged), answer.since(syn));
        (least > CLOCKS_DIFFER || most < -CLOCKS_DIFFER).then_some(least.midpoint(most))
    }

    /// Nanoseconds from the client's SYN to its acknowledgement of the SYN-ACK. `None` where that was not captured, or where one
    /// of the two was sent again: which one was answered is not known.
    #[must_use]
    pub fn round_trip(&self) -> Option<i64> {
        let [client, server] = &self.halves;
        let (syn, _) = (client.syn?, server.syn?);
        let done = self.established.filter(|_| self.established_bare && !self.syn_again)?;
        // The SYN-ACK may have come behind what answers it.
        client
            .first_acknowledged
            .filter(|first| server.isn.is_some_and(|isn| *first == isn.plus(1)))?;
        // Nobody waits longer before the SYN is sent again, seen or not.
        Some(done.time.since(syn.time)).filter(|nanos| *nanos < SYN_AGAIN)
    }

    /// No more packets will come: where a side begins whose SYN was not seen is told by the lowest acknowledgement of the
    /// other side.
    pub fn settle_beginnings(&mut self) {
        for direction in Direction::BOTH {
            let (half, other) = self.pair_mut(direction);
            half.assembler.start_before(other.first_acknowledged, None);
        }
    }
}
