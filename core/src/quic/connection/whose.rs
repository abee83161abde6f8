//! Whose a packet is that no connection ID of a known connection tells: what it says, and with which keys it opens.

use super::{KeySet, QuicConnection};
use crate::decrypt::{Scratch, Speaker};
use crate::quic::cid::Cid;
use crate::quic::header::Long;

impl QuicConnection {
    /// Whether the client called the server so before it had an answer.
    #[must_use]
    pub fn began_with(&self, id: Cid) -> bool {
        self.sets.iter().any(|set| set.destination == id)
    }

    /// Whether a client that calls the server by an unknown ID may be this one, beginning anew: its last beginning has no
    /// answer, and something made it begin again.
    #[must_use]
    pub fn may_begin_anew(&self, long: &Long<'_>) -> bool {
        let version = self.version();
        !self.answered && (self.version_negotiation || long.version != version || !long.token.is_empty())
    }

    /// Whether an Initial of a client that no name tells is this one's, beginning anew: it goes on counting its packets, as it
    /// must behind a Retry (RFC 9000 §17.2.5.3), and as a client need not that has nothing behind it.
    #[must_use]
    pub fn goes_on_counting(&self, long: &Long<'_>, scratch: &mut Scratch) -> bool {
        let other = long.version != self.version() || !long.token.is_empty();
        let mut number = || {
            let set = KeySet::opened_by(long, Speaker::Client, long.destination, 0, scratch)?;
            let [number, _] = set.largest;
            number
        };
        other && number().is_some_and(|number| number > 0)
    }

    /// Whether a server's Initial answers what the client was seen to begin with.
    #[must_use]
    pub fn is_answer(&self, long: &Long<'_>, scratch: &mut Scratch) -> bool {
        self.sets
            .iter()
            .any(|set| KeySet::opened_by(long, Speaker::Server, set.destination, set.beginning, scratch).is_some())
    }

    /// A Retry answers its beginning, and neither side was seen to go on from there.
    #[must_use]
    pub const fn is_retry_unanswered(&self) -> bool {
        !self.answered && !self.retried && !self.retries.is_empty()
    }

    /// Whether a server's Initial answers what the client is to say behind a Retry that was seen.
    #[must_use]
    pub fn is_behind_retry(&self, long: &Long<'_>, scratch: &mut Scratch) -> bool {
        let opens = |server: &Cid| KeySet::opened_by(long, Speaker::Server, *server, 0, scratch).is_some();
        self.retries.iter().any(opens)
    }

    /// Whether an Initial without a token is what a Retry answered, of a client that was first seen to answer one.
    pub fn was_refused(&mut self, long: &Long<'_>, scratch: &mut Scratch) -> bool {
        let mut begins = || KeySet::opened_by(long, Speaker::Client, long.destination, 0, scratch).is_some();
        let refused = self.is_token_unclear() && begins();
        if refused {
            (self.retried, self.refusal_unseen, self.token) = (true, true, false);
        }
        refused
    }

    /// Whether an Initial of the client to an unknown ID opens with the keys that its answer was sent under.
    #[must_use]
    pub fn goes_on(&self, long: &Long<'_>, scratch: &mut Scratch) -> bool {
        let mut sets = self.sets.iter().cloned();
        let known = sets.any(|mut set| set.open(Speaker::Client, long, scratch).is_some());
        let Some(newest) = self.sets.last() else { return false };
        // RFC 9368 §2.3: in another version too the keys come from the ID that it began with.
        let mut derived = || KeySet::opened_by(long, Speaker::Client, newest.destination, newest.beginning, scratch);
        known || derived().is_some()
    }

    /// Whether what a client says to an unknown ID may be what the server's Retry answered: it comes late, and is void.
    #[must_use]
    pub const fn is_known_by_answer(&self) -> bool {
        self.answer_first
    }
}
