//! Whether what looked like TLS is TLS.

use super::{ConnectionState, StreamState, side};
use crate::tcp::{Direction, PerSide};

impl ConnectionState {
    /// Whether this is a TLS connection after all, and not a hello or a few records that stand in something else: in a
    /// mail, or a file that is passed on. Either its place tells, or both sides speak TLS, or the only side that can be
    /// read says more than a single message, or nothing but a hello. `None` where nothing looked like TLS.
    pub(in crate::engine) fn confirmed(&self) -> Option<bool> {
        let open = self.open.as_deref()?;
        let said = |direction| open.said(side(direction));
        let both = Direction::BOTH.into_iter().all(|direction| said(direction) > 0);
        let alone = |direction: Direction| {
            let other = direction.opposite();
            let unreadable = self.is_silent(other) || self.lost[other].is_some();
            (said(direction) > 1 && unreadable) || (said(direction) == 1 && self.is_hello_alone(direction))
        };
        Some(self.certain || both || Direction::BOTH.into_iter().any(alone))
    }

    /// Whether no byte of a direction was seen.
    fn is_silent(&self, direction: Direction) -> bool {
        let nothing = matches!(&self.each[direction], StreamState::Searching(held, _) if held.is_empty());
        nothing && !self.clear_lost[direction]
    }

    /// Whether a whole hello is all that was seen of a connection: no content begins and ends with one.
    fn is_hello_alone(&self, direction: Direction) -> bool {
        let (StreamState::Tls(decoder), Some(open)) = (&self.each[direction], self.open.as_deref()) else {
            return false;
        };
        let hello = open.facts().hello.yes().is_some() || open.facts().answer.yes().is_some();
        let nothing_else = decoder.in_sync() && !decoder.inside_record() && self.clear.is_none();
        let complete = self.lost.iter().all(Option::is_none) && self.clear_lost == PerSide::default();
        hello && nothing_else && complete && self.is_silent(direction.opposite())
    }
}
