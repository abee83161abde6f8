//! The end of a connection over QUIC: what was seen becomes its facts.

use super::super::super::DatagramEngine;
use super::{OpenConnection, SideSeen, index, speaker};
use crate::decrypt::{QuicKeys, Speaker, TrafficSpace};
use crate::diagnosis::outcome;
use crate::engine::connection::{Context, IDLE_NANOS};
use crate::net::{Notice, Timestamp};
use crate::session::{
    Blindness, Close, CloseClass, CloseFrame, CloseNotify, Completed, Connection, ConnectionId, HostFingerprint,
    KeyOrigin, MergeHints, PacketSpace, ResetCertainty, Seen, Side, SideClose, first_to_say_goodbye,
};
use crate::store::KeptConnection;

/// Nanoseconds in which a side answers a CONNECTION_CLOSE.
const ANSWER_TO_CLOSE: i64 = 500_000_000;

impl OpenConnection {
    /// It is over, and kept.
    pub(in super::super) fn end(mut self: Box<Self>, run: &mut DatagramEngine<'_>) {
        self.connection.finish();
        self.note(run);
        let last = run.last;
        if let Some((id, connection)) = self.facts(last, run.context) {
            run.keep(id, connection);
        }
    }

    /// Whether its handshake is decided by what just came: then it is kept as far as it has come, and told.
    pub(super) fn tell(&mut self, run: &mut DatagramEngine<'_>) {
        let Some(open) = self.open.as_deref() else { return };
        let facts = open.facts();
        let answered = facts.hello.yes().is_some() && facts.answer.yes().is_some();
        let decided = answered
            && facts.judge_completed(None) == Completed::Yes
            && !open.will_offer(&run.context.credential_store);
        if self.told || !decided {
            return;
        }
        self.told = true;
        let last = run.last;
        if let Some((id, connection)) = self.clone().facts(last, run.context) {
            run.tell(id, connection);
        }
    }

    /// What was skipped of it.
    fn note(&self, run: &mut DatagramEngine<'_>) {
        let first = Some(self.first());
        let mut note = |notice, count: u32| {
            if count > 0 {
                run.notices.add_many(notice, u64::from(count), first);
            }
        };
        let two_way = self.sides.iter().all(|side| side.captured);
        note(Notice::OneDirection, u32::from(self.open.is_some() && !two_way));
        if let Some(keys) = self.connection.keys() {
            let (opened, failed) = keys.counts();
            note(Notice::KeysDoNotFit, u32::from(opened == 0 && failed > 0));
            note(Notice::RecordNotOpened, if opened > 0 { failed } else { 0 });
            note(Notice::SuiteNotOpened, u32::from(keys.is_unsupported()));
        }
    }

    /// The facts; `None` where no hello was read.
    fn facts(mut self, last: Option<Timestamp>, context: &mut Context) -> Option<(ConnectionId, KeptConnection)> {
        let mut open = self.open.take()?;
        let quiet = last.map_or(0, |last| last.since(self.last.time));
        let still_open = if quiet >= IDLE_NANOS {
            Blindness::IdleAtCaptureEnd
        } else {
            Blindness::OpenAtCaptureEnd
        };
        open.facts_mut().transport = self.transport();
        open.facts_mut().marks = self.marks();
        for side in Side::BOTH {
            let facts = open.facts_mut().side_mut(side);
            facts.captured = self.side(side).captured;
            if facts.finished.is_none() && self.connection.hello_stream(speaker(side)).has_gap() {
                facts.handshake_loss.get_or_insert(Blindness::Gap);
            }
        }
        let blind = Side::BOTH.map(|side| self.missing_hello(side, still_open));
        // Everything that the server sent last was read, and it had come to where tickets are sent: none was missed.
        if !self.connection.is_done() || !self.connection.is_read(Speaker::Server) {
            open.server_stays_closed();
        }
        let id = open.id;
        open.finish(&mut context.credential_store, blind);
        let connection = open.facts_mut();
        connection.keys = self.connection.keys().and_then(key_origin);
        connection.complete(self.completed(connection, still_open));
        self.hide_uncounted(connection);
        connection.close = self.close(connection, quiet);
        connection.outcome = outcome::decide(connection);
        connection.edges = context.joinable.then(|| {
            Box::new(MergeHints {
                begun: true,
                numbers: [None; 2],
                read: [true; 2],
                ends: <[SideClose; 2]>::default(),
                session_id: None,
            })
        });
        Some((id, open.into_facts()))
    }

    /// What stood in front of the connection, or was not captured, is not among the bytes of its handshake.
    fn hide_uncounted(&self, connection: &mut Connection) {
        let begun_before = self.facts.version_negotiation;
        if begun_before || self.connection.is_refusal_unseen() {
            connection.server_side.handshake_bytes = None;
        }
        if begun_before {
            connection.client_side.handshake_bytes = None;
        }
    }

    pub(super) fn side(&self, side: Side) -> SideSeen {
        self.sides.get(index(speaker(side))).copied().unwrap_or_default()
    }

    fn marks(&self) -> HostFingerprint {
        let server = self.side(Side::Server);
        HostFingerprint {
            mac: server.mac,
            ttl: server.ttl,
            syn_options: None,
            asked: None,
        }
    }

    /// Why a hello of this side may exist although it was not seen.
    fn missing_hello(&self, side: Side, still_open: Blindness) -> Option<Blindness> {
        let seen = self.side(side);
        let stream = self.connection.hello_stream(speaker(side));
        if !seen.captured {
            Some(Blindness::OneDirection)
        } else if seen.cut {
            Some(Blindness::Snaplen)
        } else if stream.is_broken() {
            Some(Blindness::Unsupported)
        } else if stream.has_gap() || stream.is_inside_message() || seen.unread {
            Some(Blindness::Gap)
        } else {
            // Who closes in an Initial says nothing more; the other side may have answered by then, and so may this one in what
            // is missing before it.
            let closed = self
                .facts
                .close_frame
                .is_some_and(|frame| frame.space == PacketSpace::Initial && frame.by == side);
            match (closed, self.connection.is_whole(speaker(side))) {
                (true, true) => None,
                (true, false) => Some(Blindness::Gap),
                (false, _) => Some(still_open),
            }
        }
    }

    /// Whether the handshake came to its end. A server or client that gives up says so in an Initial packet, which anyone
    /// can read, or in one that only keys open.
    fn completed(&self, connection: &Connection, still_open: Blindness) -> Completed {
        let completed = connection.judge_completed(Some(still_open));
        // A server says in a 1-RTT packet that all is well only once it has the client's Finished; a client has thrown the keys
        // of its Initials away when it sends that (RFC 9001 §4.9.1).
        let refused = self.facts.close_frame.is_some_and(|frame| {
            let early = match frame.by {
                Side::Server => frame.space != PacketSpace::OneRtt,
                Side::Client => frame.space == PacketSpace::Initial,
            };
            early || !frame.is_clean()
        });
        if completed != Completed::Yes && refused {
            return Completed::No;
        }
        completed
    }

    /// How it was closed. CONNECTION_CLOSE is the only close, and what is lost of it harms no session: nothing here is
    /// ever unclean.
    fn close(&self, connection: &Connection, quiet: i64) -> Close {
        let frames = Side::BOTH.map(|side| self.side(side).closed);
        let [client, server] = Side::BOTH.map(|side| match self.notify(side) {
            // Where the capture ends first, it may still come.
            CloseNotify::Absent if quiet < self.answer_time() => CloseNotify::Blind(Blindness::OpenAtCaptureEnd),
            // What the other side said may answer a close that was lost.
            CloseNotify::Absent if self.is_lone_answer(side.other()) => {
                CloseNotify::Blind(Blindness::NothingTellsApart)
            }
            told => told,
        });
        let first = || first_to_say_goodbye(connection, [client, server], Blindness::OpenAtCaptureEnd);
        Close {
            class: self.class(connection, frames, quiet),
            first_closer: answered(frames).map_or_else(first, Seen::Yes),
            client,
            server,
        }
    }

    /// Whether a side alone was seen to close, and with what answers the close of the other.
    fn is_lone_answer(&self, side: Side) -> bool {
        let closed = |side| self.side(side).closed;
        closed(side.other()).is_none() && closed(side).is_some_and(|frame| frame.may_answer())
    }

    /// Nanoseconds of silence after which a side is taken to say no CONNECTION_CLOSE any more. Who is told of one answers at once,
    /// if at all (RFC 9000 §10.2.2).
    fn answer_time(&self) -> i64 {
        if Side::BOTH.into_iter().any(|side| self.side(side).closed.is_some()) {
            ANSWER_TO_CLOSE
        } else {
            IDLE_NANOS
        }
    }

    fn notify(&self, side: Side) -> CloseNotify {
        let seen = self.side(side);
        match seen.closed {
            Some(frame) => CloseNotify::Observed(frame.at),
            None if !seen.captured => CloseNotify::Blind(Blindness::OneDirection),
            None if self.connection.is_read(speaker(side)) => CloseNotify::Absent,
            None => CloseNotify::Blind(Blindness::Encrypted),
        }
    }

    /// Why nothing was read of what a side said once the handshake was over.
    fn unread(&self, side: Side) -> Option<Blindness> {
        let space = TrafficSpace::Application;
        let keys = self.connection.keys();
        let read = keys.is_some_and(|keys| keys.has_opened(speaker(side), space));
        self.notify(side).blind().filter(|_| !read)
    }

    fn class(&self, connection: &Connection, frames: [Option<CloseFrame>; 2], quiet: i64) -> Seen<CloseClass> {
        let reset = self.resets.found().map(|reset| reset.certainty);
        if reset.is_some_and(|certainty| certainty > ResetCertainty::Possible) {
            return Seen::Yes(CloseClass::StatelessReset);
        }
        let alert = frames.iter().flatten().any(|frame| frame.alert().is_some());
        let error = frames.iter().flatten().any(|frame| !frame.is_clean());
        let class = match (frames, connection.completed) {
            _ if alert => CloseClass::FatalAlert,
            ([Some(_), _] | [_, Some(_)], Completed::No) => CloseClass::HandshakeIncomplete,
            ([Some(_), _] | [_, Some(_)], _) if error => CloseClass::FatalAlert,
            ([None, None], _) => return self.unclosed(quiet),
            _ => {
                let unread = |side: Side| {
                    let lost = self
                        .is_lone_answer(side.other())
                        .then_some(Blindness::NothingTellsApart);
                    self.unread(side).or(lost)
                };
                return clean_class(frames.map(|frame| frame.is_some()), Side::BOTH.map(unread));
            }
        };
        Seen::Yes(class)
    }

    /// No CONNECTION_CLOSE was read. Only where every packet was is it known that there was none.
    fn unclosed(&self, quiet: i64) -> Seen<CloseClass> {
        let read = [Speaker::Client, Speaker::Server].map(|speaker| self.connection.is_read(speaker));
        let captured = self.sides.iter().all(|side| side.captured);
        if read != [true; 2] || !captured {
            return Seen::Blind(Blindness::Encrypted);
        }
        if quiet >= IDLE_NANOS {
            return Seen::Yes(CloseClass::TimeoutSilent);
        }
        Seen::Blind(Blindness::OpenAtCaptureEnd)
    }
}

/// Whose close the other side answered, whatever the order in which they were captured: packets change places. What was sent
/// longer apart than an answer takes is none.
fn answered([client, server]: [Option<CloseFrame>; 2]) -> Option<Side> {
    let (client, server) = client.zip(server)?;
    let apart = client.at.time.since(server.at.time).abs();
    let answers = (client.may_answer(), server.may_answer());
    match answers {
        (false, true) if apart <= ANSWER_TO_CLOSE => Some(Side::Client),
        (true, false) if apart <= ANSWER_TO_CLOSE => Some(Side::Server),
        _ => None,
    }
}

/// The class of a close without an error. A side of which nothing was read may have said goodbye too.
fn clean_class(said: [bool; 2], unread: [Option<Blindness>; 2]) -> Seen<CloseClass> {
    match (said, unread) {
        ([true, false], [_, Some(cause)]) | ([false, true], [Some(cause), _]) => Seen::Blind(cause),
        ([true, false], _) => Seen::Yes(CloseClass::CleanClient),
        ([false, true], _) => Seen::Yes(CloseClass::CleanServer),
        _ => Seen::Yes(CloseClass::CleanBoth),
    }
}

fn key_origin(keys: &QuicKeys) -> Option<KeyOrigin> {
    let (opened, _) = keys.counts();
    let origin = if keys.are_embedded() {
        KeyOrigin::Embedded
    } else {
        KeyOrigin::Given
    };
    (opened > 0).then_some(origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_error_answers_the_close_of_an_application_wherever_it_stands() {
        let frame = |by, millis: i64, application| CloseFrame {
            at: crate::net::At {
                time: Timestamp::from_nanos(millis * 1_000_000),
                frame: crate::net::FrameRef::new(0, 1),
            },
            by,
            space: PacketSpace::OneRtt,
            application,
            code: 0,
        };
        let first = |(client, of_client): (i64, bool), (server, of_server): (i64, bool)| {
            answered([
                Some(frame(Side::Client, client, of_client)),
                Some(frame(Side::Server, server, of_server)),
            ])
        };
        assert_eq!(first((10, true), (11, false)), Some(Side::Client));
        assert_eq!(first((11, true), (10, false)), Some(Side::Client));
        assert_eq!(first((10, false), (11, true)), Some(Side::Server));
        // Both may be either, and so may one that came long before.
        assert_eq!(first((10, true), (11, true)), None);
        assert_eq!(first((10, false), (11, false)), None);
        assert_eq!(first((900, true), (10, false)), None);
        assert_eq!(answered([Some(frame(Side::Client, 10, true)), None]), None);
    }

    #[test]
    fn what_stands_for_the_close_of_an_application_is_no_error() {
        let frame = |space, code| CloseFrame {
            at: crate::net::At {
                time: Timestamp::from_nanos(0),
                frame: crate::net::FrameRef::new(0, 1),
            },
            by: Side::Client,
            space,
            application: false,
            code,
        };
        assert!(frame(PacketSpace::Handshake, 0xc).is_clean() && frame(PacketSpace::Initial, 0xc).is_clean());
        // With the keys of the application nobody says so, and other errors are errors.
        assert!(!frame(PacketSpace::OneRtt, 0xc).is_clean() && !frame(PacketSpace::Handshake, 0xa).is_clean());
    }

    #[test]
    fn only_a_side_that_was_read_is_known_to_have_said_nothing() {
        let sealed = Some(Blindness::Encrypted);
        let blind = Seen::Blind(Blindness::Encrypted);
        assert_eq!(clean_class([false, true], [sealed, None]), blind);
        assert_eq!(clean_class([true, false], [None, sealed]), blind);
        let read = [None; 2];
        assert_eq!(clean_class([false, true], read), Seen::Yes(CloseClass::CleanServer));
        assert_eq!(clean_class([true, false], read), Seen::Yes(CloseClass::CleanClient));
        assert_eq!(clean_class([true, true], read), Seen::Yes(CloseClass::CleanBoth));
    }
}
