//! Two sightings of one connection over UDP. Nothing numbers its bytes: what shows that they are of one, and what the one
//! knows of what only the other saw, are the facts of QUIC and DTLS.

use super::PartialConnection;
use super::join::{CLOCKS_DIFFER, Relation};
use crate::session::{Blindness, Connection, Seen, TransportKind};
use crate::session::{ClientPath, DatagramFacts, DtlsFacts, MAX_PATHS, QuicFacts};
use crate::session::{Close, CloseClass, CloseNotify};

impl PartialConnection {
    /// Whether another sighting, the next on the same ports, goes on with a handshake that this one shows the beginning of,
    /// as far as two over UDP can tell.
    #[must_use]
    pub fn may_go_on(&self, other: &Self) -> bool {
        let (first, second) = (&self.connection, &other.connection);
        let pause = second.transport.started.since(first.transport.ended);
        let same_ends = (first.client, first.server) == (second.client, second.server);
        same_ends && pause <= CLOCKS_DIFFER && (first.begins_anew(second) || self.is_hello() && other.is_answer())
    }

    /// A hello over UDP whose answer was not seen.
    #[must_use]
    pub fn is_hello(&self) -> bool {
        self.has_over_udp((true, false))
    }

    /// An answer over UDP whose hello was not seen.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        self.has_over_udp((false, true))
    }

    fn has_over_udp(&self, hellos: (bool, bool)) -> bool {
        let it = &self.connection;
        let seen = (it.hello.yes().is_some(), it.answer.yes().is_some());
        it.transport.kind() != TransportKind::Tcp && seen == hellos
    }

    /// Takes what goes on with its handshake.
    pub fn go_on(&mut self, mut other: Self) {
        if self.connection.begins_anew(&other.connection) {
            // What a client says again is what counts.
            other.connection.begun_in(&self.connection);
            *self = other;
        } else {
            self.take_all(other, Relation::Both);
        }
    }
}

impl Connection {
    /// Whether what its client says in another sighting is its next beginning over QUIC: nothing answered this one, and that one is
    /// not the first of its client, or is in another version.
    fn begins_anew(&self, other: &Self) -> bool {
        let (Some(first), Some(second)) = (self.transport.quic(), other.transport.quic()) else {
            return false;
        };
        let answers = second.token_or_retry || second.version != first.version;
        first.unsettled && self.answer.yes().is_none() && other.hello.yes().is_some() && answers
    }

    /// Another sighting shows what the client said before this beginning over QUIC, which a Retry or a Version Negotiation made
    /// it say again.
    fn begun_in(&mut self, other: &Self) {
        self.transport.take(&other.transport);
        let rare = self.transport.uncommon.as_deref_mut();
        let facts = rare.and_then(|rare| rare.datagram.as_deref_mut());
        if let (Some(DatagramFacts::Quic(facts)), Some(before)) = (facts, other.transport.quic()) {
            facts.version_negotiation |= facts.version_changed_unseen;
            facts.retry |= facts.token_or_retry;
            (facts.version_changed_unseen, facts.token_or_retry) = (false, false);
            facts.negotiation_unclear &= !facts.version_negotiation && before.negotiation_unclear;
            let since = std::mem::replace(&mut facts.paths, before.paths.clone());
            take_paths(&mut facts.paths, &since);
        }
        // What was sent before is not among these.
        for side in [&mut self.client_side, &mut self.server_side] {
            side.handshake_bytes = None;
        }
    }
}

/// How a connection over UDP was closed, as two sightings tell. No goodbye is missed by one that the other saw.
pub(super) fn both_closes(ours: Close, theirs: Close) -> Close {
    use CloseClass::{CleanBoth, CleanClient, CleanServer, TimeoutSilent};
    let [client, server] =
        [(ours.client, theirs.client), (ours.server, theirs.server)].map(|(ours, theirs)| better(ours, theirs));
    let known = match (ours.class.yes(), theirs.class.yes()) {
        (None | Some(TimeoutSilent), Some(_)) => theirs,
        _ => ours,
    };
    let clean = known
        .class
        .yes()
        .filter(|it| matches!(it, CleanBoth | CleanClient | CleanServer));
    let said = [client, server].map(|notify| notify.at().is_some());
    if clean.is_none() || clean == Some(&CleanBoth) || said != [true, true] {
        return Close {
            class: known.class,
            first_closer: [known, ours, theirs]
                .into_iter()
                .map(|it| it.first_closer)
                .find(|it| it.yes().is_some())
                .unwrap_or(known.first_closer),
            client,
            server,
        };
    }
    // The clocks of two runs do not tell who was first.
    let first = [ours, theirs].into_iter().find(|it| it.class.yes() == Some(&CleanBoth));
    Close {
        class: Seen::Yes(CleanBoth),
        first_closer: first.map_or(Seen::Blind(Blindness::NothingTellsApart), |it| it.first_closer),
        client,
        server,
    }
}

/// Of two views of a goodbye the one that shows more.
fn better(ours: CloseNotify, theirs: CloseNotify) -> CloseNotify {
    let shows = |notify: &CloseNotify| match notify {
        CloseNotify::Observed(_) => 3,
        CloseNotify::Inferred(_) => 2,
        CloseNotify::Absent | CloseNotify::AnswerToBareFin(_) => 1,
        CloseNotify::Blind(_) => 0,
    };
    if shows(&theirs) > shows(&ours) { theirs } else { ours }
}

impl QuicFacts {
    pub(super) fn take(&mut self, other: &Self, apart: bool) {
        let both = [&*self, other];
        let settled = || both.into_iter().filter(|it| !it.unsettled);
        let decided = settled().min_by_key(|it| it.version_open);
        let version = decided.map_or(self.version, |it| it.version);
        let version_open = decided.map_or(other.version_open, |it| it.version_open);
        let version_negotiation = both.iter().any(|it| it.version_negotiation);
        let changed = settled().all(|it| it.version_changed_unseen) || self.version != other.version;
        let retry = both.iter().any(|it| it.retry);
        // Whoever saw the beginning that the server took knows whether its token stands for a Retry.
        let unclear = both.iter().any(|it| it.token_or_retry) && settled().all(|it| it.token_or_retry);
        let token = both.iter().any(|it| it.token && !it.token_or_retry);
        self.version_changed_unseen = changed && settled().next().is_some() && !version_negotiation;
        self.unsettled &= other.unsettled;
        self.version_open = version_open;
        self.negotiation_unclear &= other.negotiation_unclear && !version_negotiation;
        (self.version, self.version_negotiation) = (version, version_negotiation);
        (self.retry, self.token, self.token_or_retry) = (retry, token, unclear && !retry);
        self.zero_rtt_packets = counted(self.zero_rtt_packets, other.zero_rtt_packets, apart);
        take_paths(&mut self.paths, &other.paths);
        let resets = self.stateless_reset.into_iter().chain(other.stateless_reset);
        // Of two that are as sure, the first.
        self.stateless_reset = resets.reduce(|one, more| if more.certainty > one.certainty { more } else { one });
        let closes = self.close_frame.into_iter().chain(other.close_frame);
        self.close_frame = closes.reduce(|one, more| if one.at.is_after(more.at) { more } else { one });
        let spoke = self.server_application.into_iter().chain(other.server_application);
        self.server_application = spoke.reduce(|one, more| if one.is_after(more) { more } else { one });
    }
}

impl DtlsFacts {
    pub(super) fn take(&mut self, other: &Self, apart: bool) {
        self.cookie = self.cookie.or(other.cookie);
        self.connection_id |= other.connection_id;
        self.retransmissions = counted(self.retransmissions, other.retransmissions, apart);
        take_paths(&mut self.paths, &other.paths);
    }
}

/// Packets that one sighting or both have.
fn counted(ours: u32, theirs: u32, apart: bool) -> u32 {
    if apart {
        ours.saturating_add(theirs)
    } else {
        ours.max(theirs)
    }
}

fn take_paths(ours: &mut Vec<ClientPath>, theirs: &[ClientPath]) {
    for path in theirs {
        if ours.len() < MAX_PATHS && ours.iter().all(|known| known.client != path.client) {
            ours.push(*path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Side;
    use crate::session::tests::at;

    fn closed(class: CloseClass, first: Side, [client, server]: [CloseNotify; 2]) -> Close {
        Close {
            class: Seen::Yes(class),
            first_closer: Seen::Yes(first),
            client,
            server,
        }
    }

    #[test]
    fn no_goodbye_is_missed_that_the_other_sighting_saw() {
        let seen = |second| CloseNotify::Observed(at(second));
        let client = closed(CloseClass::CleanClient, Side::Client, [seen(5), CloseNotify::Absent]);
        let server = closed(CloseClass::CleanServer, Side::Server, [CloseNotify::Absent, seen(6)]);
        for (ours, theirs) in [(client, server), (server, client)] {
            let both = both_closes(ours, theirs);
            assert_eq!(both.class.yes(), Some(&CloseClass::CleanBoth));
            assert_eq!((both.client, both.server), (seen(5), seen(6)));
            // Each saw another first, and by a clock of its own.
            assert_eq!(both.first_closer.blind(), Some(Blindness::NothingTellsApart));
        }
        let whole = closed(CloseClass::CleanBoth, Side::Client, [seen(5), seen(6)]);
        for both in [both_closes(server, whole), both_closes(whole, server)] {
            assert_eq!(both.class.yes(), Some(&CloseClass::CleanBoth));
            assert_eq!(both.first_closer.yes(), Some(&Side::Client));
        }
    }

    #[test]
    fn silence_gives_way_to_what_the_other_sighting_saw_of_the_end() {
        let silent = Close {
            class: Seen::Yes(CloseClass::TimeoutSilent),
            ..Close::open(Blindness::OneDirection)
        };
        let seen = CloseNotify::Observed(at(5));
        let client = closed(CloseClass::CleanClient, Side::Client, [seen, CloseNotify::Absent]);
        for both in [both_closes(silent, client), both_closes(client, silent)] {
            assert_eq!(both.class.yes(), Some(&CloseClass::CleanClient));
            assert_eq!(both.first_closer.yes(), Some(&Side::Client));
            assert_eq!((both.client, both.server), (seen, CloseNotify::Absent));
        }
    }
}
