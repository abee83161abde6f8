//! One connection over DTLS from its first hello to its end: its association, its keys, and its facts.

use super::pair_of;
use crate::decrypt::{ConnectionKeys, Readiness};
use crate::diagnosis::outcome;
use crate::dtls::{Association, DtlsRecord, Fit, Heard, Number, OUT_OF_ORDER, Opens, records};
use crate::engine::connection::{Context, IDLE_NANOS, SILENT_NANOS, key_origin, side, speaker};
use crate::engine::datagrams::DatagramEngine;
use crate::handshake::{HandshakeTracker, StreamPlace};
use crate::net::{At, Datagram, Endpoint, FrameRef, MacAddress, Notice, Timestamp, Wrapping};
use crate::session::{
    Blindness, ClientPath, Completed, Connection, ConnectionId, Cookie, DatagramFacts, DtlsFacts, HostFingerprint,
    KeyOrigin, MAX_PATHS, MergeHints, RareFacts, Seen, Side, Silence, Transport, answer_time, classify_dtls,
};
use crate::store::KeptConnection;
use crate::tcp::{Direction, PerSide, Spans};
use crate::tls::{Content, ContentType, Message, RecordEvent, Sealed};

/// Why a connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndCause {
    /// The input ends.
    Input,
    /// It was silent for long.
    Silence,
    /// Another association took its place.
    Replaced,
    /// There was no room for it.
    Evicted,
}

/// One connection.
#[derive(Debug)]
pub(super) struct TrackedAssociation {
    pub(super) association: Association,
    pub(super) server: Endpoint,
    /// The server's connection ID is known to the table.
    pub(super) id_is_known: bool,
    client: Endpoint,
    open: Box<HandshakeTracker>,
    keys: Option<Box<ConnectionKeys>>,
    /// Where keys came from, in a copy.
    origin: Option<KeyOrigin>,
    spans: Spans,
    first: At,
    last: Timestamp,
    /// Bytes of the datagrams of each side; `None` before the first.
    bytes: PerSide<Option<u64>>,
    /// Highest record number in clear of each side.
    newest: PerSide<(u16, u64)>,
    /// MAC and TTL of the server's first packet.
    marks: Option<(Option<MacAddress>, u8)>,
    outer: Box<[Wrapping]>,
    paths: Vec<ClientPath>,
    /// The client's first hello, as long as there is one alone.
    first_hello: Option<At>,
    /// From the client's first hello to its second, where nothing was sent again.
    round_trip: Option<i64>,
    cut: bool,
    told: bool,
}

/// What is known so far, to be looked at. Keys stay with the original: a copy reads nothing more.
impl Clone for TrackedAssociation {
    fn clone(&self) -> Self {
        Self {
            association: self.association.clone(),
            server: self.server,
            id_is_known: self.id_is_known,
            client: self.client,
            open: self.open.clone(),
            keys: None,
            origin: self.keys.as_deref().and_then(key_origin).or(self.origin),
            spans: self.spans.clone(),
            first: self.first,
            last: self.last,
            bytes: self.bytes,
            newest: self.newest,
            marks: self.marks,
            outer: self.outer.clone(),
            paths: self.paths.clone(),
            first_hello: self.first_hello,
            round_trip: self.round_trip,
            cut: self.cut,
            told: self.told,
        }
    }
}

impl TrackedAssociation {
    /// A connection that begins with the hello in a datagram.
    pub(super) fn new(by: Opens, datagram: &Datagram<'_>, at: At, run: &mut DatagramEngine<'_>) -> Self {
        let (client, server) = match by {
            Opens::Client | Opens::ClientPart => (datagram.source, datagram.destination),
            Opens::Server => (datagram.destination, datagram.source),
        };
        let context = &mut *run.context;
        let transport = Transport {
            spans: Spans::new(at),
            started: at.time,
            ended: at.time,
            round_trip: None,
            client_isn: None,
            uncommon: Some(Box::new(RareFacts {
                datagram: Some(Box::new(DatagramFacts::Dtls(DtlsFacts::default()))),
                ..RareFacts::default()
            })),
        };
        Self {
            association: Association::default(),
            server,
            id_is_known: false,
            client,
            open: Box::new(HandshakeTracker::new(
                context.connection_store.reserve(),
                client,
                server,
                transport,
            )),
            keys: (!context.secrets.is_idle()).then(Box::default),
            origin: None,
            spans: Spans::new(at),
            first: at,
            last: at.time,
            bytes: PerSide::default(),
            newest: PerSide::default(),
            marks: None,
            outer: datagram.path.outer.into(),
            paths: vec![ClientPath {
                client,
                first: at.frame,
            }],
            first_hello: None,
            round_trip: None,
            cut: false,
            told: false,
        }
    }

    /// Where it stands among all packets.
    pub(super) fn first(&self) -> (Timestamp, FrameRef) {
        (self.first.time, self.first.frame)
    }

    /// Time of its last packet.
    pub(super) const fn last(&self) -> Timestamp {
        self.last
    }

    /// Addresses of its client.
    pub(super) fn paths(&self) -> &[ClientPath] {
        &self.paths
    }

    /// Whether a side has sent an alert.
    pub(super) fn is_alerted(&self) -> bool {
        Direction::BOTH
            .into_iter()
            .any(|from| self.association.is_alerted(from))
    }

    /// Whether nobody has answered it for longer than packets are captured out of order.
    pub(super) fn is_abandoned(&self, now: Timestamp) -> bool {
        !self.association.is_answered() && now.since(self.last) > OUT_OF_ORDER
    }

    /// Whether a datagram is of the client or of the server.
    pub(super) fn direction(&self, datagram: &Datagram<'_>) -> Direction {
        if datagram.source == self.server {
            Direction::ToClient
        } else {
            Direction::ToServer
        }
    }

    /// How well a record of a datagram fits.
    pub(super) fn fit(&self, datagram: &Datagram<'_>, record: &DtlsRecord<'_>, at: At) -> Fit {
        self.association.fit(self.direction(datagram), record, at)
    }

    /// How well a datagram fits: as well as the best of its records, and not at all where the first is of another
    /// association. What stands behind it may be cut, or become readable by a ServerHello in front of it.
    pub(super) fn fit_datagram(&self, datagram: &Datagram<'_>, id_length: Option<usize>, at: At) -> Fit {
        let mut fits = records(datagram.payload, datagram.cut, id_length).map(|record| self.fit(datagram, &record, at));
        match fits.next() {
            None | Some(Fit::No) => Fit::No,
            Some(first) => fits.fold(first, Fit::max),
        }
    }

    /// Bytes of each side so far.
    fn offsets(&self) -> PerSide<u64> {
        PerSide {
            client: self.bytes.client.unwrap_or_default(),
            server: self.bytes.server.unwrap_or_default(),
        }
    }

    /// Counts a datagram that holds records of it. The bytes of a copy were sent once.
    pub(super) fn count(&mut self, datagram: &Datagram<'_>, copy: bool, at: At) {
        let from = self.direction(datagram);
        let length = datagram.payload.len() as u64 + u64::from(datagram.cut);
        *self.bytes[from].get_or_insert(0) += if copy { 0 } else { length };
        self.spans.note(at.frame);
        self.last = self.last.max(at.time);
        self.cut |= datagram.cut > 0;
        if from == Direction::ToClient {
            let path = &datagram.path;
            let (mac, ttl) = self.marks.get_or_insert((path.source_mac, path.ttl));
            if path.is_nearer_than(*ttl) {
                (*mac, *ttl) = (path.source_mac, path.ttl);
            }
        }
    }

    /// Notes an address from which the client had not been heard. Gives the pair that is now of this connection, too.
    pub(super) fn note_path(&mut self, datagram: &Datagram<'_>, at: At) -> Option<super::Pair> {
        let client = datagram.source;
        let known = || self.paths.iter().any(|path| path.client == client);
        if self.direction(datagram) == Direction::ToClient || known() || self.paths.len() >= MAX_PATHS {
            return None;
        }
        self.paths.push(ClientPath {
            client,
            first: at.frame,
        });
        Some(pair_of(client, self.server))
    }

    /// Takes a record; see [`Association::take`].
    pub(super) fn take(
        &mut self,
        record: &DtlsRecord<'_>,
        datagram: &Datagram<'_>,
        at: At,
        run: &mut DatagramEngine<'_>,
    ) -> Option<bool> {
        let from = self.direction(datagram);
        let mut listener = Listener {
            bytes: self.offsets(),
            newest: &mut self.newest,
            open: &mut self.open,
            keys: self.keys.as_deref_mut(),
            context: run.context,
            hello: None,
        };
        // Keys may come after the records that they open.
        let awaits = listener.awaits_keys();
        self.association
            .hold(awaits, &mut |from, heard, at| listener.hear(from, &heard, at));
        let news = self
            .association
            .take(from, record, at, &mut |from, heard, at| listener.hear(from, &heard, at));
        if awaits && !listener.awaits_keys() {
            self.association
                .hold(false, &mut |from, heard, at| listener.hear(from, &heard, at));
        }
        if let Some(hello) = listener.hello {
            self.time_hello(hello);
        }
        news
    }

    /// A cookie takes the client exactly one round trip, unless something was sent again.
    fn time_hello(&mut self, at: At) {
        let first = *self.first_hello.get_or_insert(at);
        if first.time != at.time && self.association.retransmissions() == 0 {
            self.round_trip.get_or_insert(at.time.since(first.time));
        }
    }

    /// Tells the handshake where it is decided and somebody asks.
    pub(super) fn tell(&mut self, run: &mut DatagramEngine<'_>) {
        if self.told || !run.is_watched() || !self.is_decided(run) {
            return;
        }
        self.told = true;
        if let Some((id, connection)) = self.clone().facts(EndCause::Input, run) {
            run.tell(id, connection);
        }
    }

    fn is_decided(&self, run: &DatagramEngine<'_>) -> bool {
        let facts = self.open.facts();
        let hellos = facts.hello.yes().is_some() && facts.answer.yes().is_some() && facts.shape.yes().is_some();
        let done = facts.judge_completed(Some(Blindness::OpenAtCaptureEnd)) == Completed::Yes;
        hellos && (done || self.is_alerted()) && !self.open.will_offer(&run.context.credential_store)
    }

    /// It is over, and is kept where it was one.
    pub(super) fn finish(mut self, ending: EndCause, run: &mut DatagramEngine<'_>) {
        let id = self.open.id;
        let facts = self.facts(ending, run);
        if Direction::BOTH
            .into_iter()
            .any(|from| self.association.is_incomplete(from))
        {
            run.notices.add(Notice::DtlsFragmentsIncomplete, Some(self.first.frame));
        }
        self.note_keys(run);
        match facts {
            Some((id, connection)) => run.keep(id, connection),
            None => run.context.connection_store.void(id),
        }
    }

    fn note_keys(&self, run: &mut DatagramEngine<'_>) {
        let Some(keys) = &self.keys else { return };
        let (opened, failed) = keys.counts();
        for (notice, count) in [
            (Notice::KeysDoNotFit, u32::from(opened == 0 && failed > 0)),
            (Notice::RecordNotOpened, if opened > 0 { failed } else { 0 }),
            (Notice::SuiteNotOpened, u32::from(keys.is_unsupported())),
        ] {
            if count > 0 {
                run.notices.add_many(notice, u64::from(count), Some(self.first.frame));
            }
        }
    }

    /// The facts as they are now. `None` where no hello could be read.
    fn facts(&mut self, ending: EndCause, run: &mut DatagramEngine<'_>) -> Option<(ConnectionId, KeptConnection)> {
        let mut listener = Listener {
            bytes: self.offsets(),
            newest: &mut self.newest,
            open: &mut self.open,
            keys: self.keys.as_deref_mut(),
            context: run.context,
            hello: None,
        };
        self.association
            .finish(&mut |from, heard, at| listener.hear(from, &heard, at));
        let known = self.open.facts();
        if known.hello.yes().is_none() && known.answer.yes().is_none() && known.retry.is_none() {
            return None;
        }
        let (still_open, silence) = self.silence(ending, run.last);
        let mut open = self.open.clone();
        self.describe(&mut open, run);
        let blind = self.blind(still_open);
        let session_id = open.session_id();
        open.finish(&mut run.context.credential_store, blind);
        let ends = *open.ends();
        let connection = open.facts_mut();
        if self.association.has_retry_request() && connection.retry.is_none() {
            connection.retry_hidden.get_or_insert(self.loss());
        }
        connection.keys = self.keys.as_deref().and_then(key_origin).or(self.origin);
        self.complete(connection, still_open);
        let [client, server] = &ends;
        connection.close = classify_dtls(connection, [client, server], silence);
        connection.outcome = outcome::decide(connection);
        connection.edges = run.context.joinable.then(|| {
            Box::new(MergeHints {
                begun: true,
                numbers: [None; 2],
                read: [true; 2],
                ends,
                session_id,
            })
        });
        Some((open.id, open.into_facts()))
    }

    /// Numbers tell what was sent and not captured: a Finished, by whatever follows it.
    fn complete(&self, connection: &mut Connection, still_open: Option<Blindness>) {
        let association = &self.association;
        let numbered = connection.answer.yes().is_some() && !connection.is_tls13();
        let gone_on = numbered && Direction::BOTH.into_iter().all(|from| association.is_finished(from));
        // Nobody but an alert in clear says that the handshake is over: without it, what is missing was lost.
        let alerted = Direction::BOTH
            .into_iter()
            .any(|from| association.is_alerted_in_clear(from));
        let cause = still_open.or((!alerted).then_some(self.loss()));
        let read = Side::BOTH
            .into_iter()
            .any(|side| connection.side(side).fatal_alert().is_some());
        connection.complete(match connection.judge_completed(cause) {
            _ if gone_on => Completed::Yes,
            // A protected alert may be close_notify, behind a Finished that was the last packet of its side and lost.
            Completed::No if !alerted && !read => Completed::Blind(self.loss()),
            judged => judged,
        });
        if association.is_verify_request_unseen() {
            connection.server_side.handshake_bytes = None;
        }
        for from in Direction::BOTH {
            if numbered && !association.has_finished(from) {
                let facts = connection.side_mut(side(from));
                (facts.finished, facts.handshake_bytes) = (None, None);
            }
        }
    }

    /// What UDP and DTLS tell.
    fn describe(&self, open: &mut HandshakeTracker, run: &mut DatagramEngine<'_>) {
        let association = &self.association;
        let facts = open.facts_mut();
        facts.transport = Transport {
            spans: self.spans.clone(),
            started: self.first.time,
            ended: self.last,
            round_trip: self.round_trip,
            client_isn: None,
            uncommon: Some(Box::new(RareFacts {
                outer: run.context.interner.outer(&self.outer),
                datagram: Some(Box::new(DatagramFacts::Dtls(self.dtls_facts()))),
                ..RareFacts::default()
            })),
        };
        let (mac, ttl) = self.marks.map_or((None, None), |(mac, ttl)| (mac, Some(ttl)));
        facts.marks = HostFingerprint {
            mac,
            ttl,
            syn_options: None,
            asked: None,
        };
        for from in Direction::BOTH {
            let captured = self.bytes[from].is_some();
            let facts = open.facts_mut().side_mut(side(from));
            facts.captured = captured;
            let keys = self.keys.as_deref();
            let lost = association.has_lost(from) || keys.is_some_and(|keys| keys.has_lost_dtls13(speaker(from)));
            facts.tail_loss = lost.then(|| self.loss());
            if association.is_incomplete(from) || association.leaves_out_messages(from) {
                open.handshake_lost(side(from), self.loss());
            }
        }
    }

    fn dtls_facts(&self) -> DtlsFacts {
        let association = &self.association;
        let asked = self.open.facts().hello.yes().is_none() || association.has_connection_id(Direction::ToServer);
        DtlsFacts {
            cookie: match (association.has_verify_request(), association.has_retry_cookie()) {
                (true, _) => Some(Cookie::HelloVerify),
                (false, true) => Some(Cookie::HelloRetry),
                (false, false) => None,
            },
            // A server brings one only where its client did (RFC 9146 §3).
            connection_id: asked && association.has_connection_id(Direction::ToClient),
            retransmissions: association.retransmissions(),
            paths: self.paths.clone(),
        }
    }

    const fn loss(&self) -> Blindness {
        if self.cut { Blindness::Snaplen } else { Blindness::Gap }
    }

    /// Why hellos and what follows them may have been there although they were not seen.
    fn blind(&self, still_open: Option<Blindness>) -> [Option<Blindness>; 2] {
        let facts = self.open.facts();
        let captured = |from| self.bytes[from].is_some();
        let incomplete = Direction::BOTH
            .into_iter()
            .any(|from| self.association.is_incomplete(from));
        let lost = (self.cut || incomplete || self.association.is_established()).then(|| self.loss());
        let client = match &facts.hello {
            Seen::Yes(_) => None,
            _ if !captured(Direction::ToServer) => Some(Blindness::OneDirection),
            _ => lost.or(Some(Blindness::ClientHelloMissing)),
        };
        let server = match (&facts.answer, &facts.shape) {
            (Seen::Yes(_), Seen::Yes(_)) => None,
            _ if !captured(Direction::ToClient) => Some(Blindness::OneDirection),
            _ => lost.or(still_open),
        };
        [client, server]
    }

    /// Why it is not known to be over, and what followed its last packet.
    fn silence(&self, ending: EndCause, now: Option<Timestamp>) -> (Option<Blindness>, Silence) {
        let quiet = now.map_or(0, |now| now.since(self.last));
        let both = Direction::BOTH
            .into_iter()
            .all(|from| self.association.is_alerted(from));
        let over = both || (self.is_alerted() && quiet >= answer_time(self.open.facts()));
        match ending {
            EndCause::Replaced if quiet >= SILENT_NANOS && !self.is_alerted() => (None, Silence::Long),
            EndCause::Replaced => (None, Silence::Settled),
            _ if over => (None, Silence::Settled),
            EndCause::Evicted => (Some(Blindness::Evicted), Silence::Short(Blindness::Evicted)),
            EndCause::Silence => (Some(Blindness::IdleAtCaptureEnd), Silence::Long),
            EndCause::Input if quiet >= SILENT_NANOS => (Some(Blindness::IdleAtCaptureEnd), Silence::Long),
            EndCause::Input => {
                let cause = if quiet >= IDLE_NANOS {
                    Blindness::IdleAtCaptureEnd
                } else {
                    Blindness::OpenAtCaptureEnd
                };
                (Some(cause), Silence::Short(cause))
            }
        }
    }
}

/// Takes what an association says into the facts, read where there are keys.
struct Listener<'a> {
    open: &'a mut HandshakeTracker,
    keys: Option<&'a mut ConnectionKeys>,
    bytes: PerSide<u64>,
    newest: &'a mut PerSide<(u16, u64)>,
    context: &'a mut Context,
    /// A ClientHello came.
    hello: Option<At>,
}

impl Listener<'_> {
    fn hear(&mut self, from: Direction, heard: &Heard<'_>, at: At) {
        match heard {
            Heard::Event(event) => {
                if let RecordEvent::Message(message) = event {
                    if let Message::ClientHello(_) = message {
                        self.hello = Some(at);
                    }
                    if let Some(keys) = &mut self.keys {
                        keys.message(speaker(from), message, &mut self.context.secrets);
                        keys.prepare(&mut self.context.secrets);
                    }
                }
                self.event(from, event.clone(), at);
            }
            Heard::Protected(record) => {
                let [client, server] = *self.open.ends();
                let is_late = self.is_late(from, record);
                self.protected(from, record, at);
                if is_late {
                    let known = PerSide { client, server };
                    self.open.keep_end(side(from), &known[from]);
                }
            }
        }
    }

    /// Whether one was seen that was sent after it: in a file without order the last to come is not the last that was sent.
    fn is_late(&mut self, from: Direction, record: &DtlsRecord<'_>) -> bool {
        let Number::Clear { epoch, sequence } = record.number else {
            return false;
        };
        let newest = &mut self.newest[from];
        let is_late = (epoch, sequence) < *newest;
        *newest = (epoch, sequence).max(*newest);
        is_late
    }

    /// Whether secrets may still come.
    fn awaits_keys(&mut self) -> bool {
        let keys = self.keys.as_deref_mut();
        keys.is_some_and(|keys| keys.prepare(&mut self.context.secrets) == Readiness::Waiting)
    }

    fn event(&mut self, from: Direction, event: RecordEvent<'_>, at: At) {
        let offset = self.offset(from);
        let (credential_store, interner) = (&mut self.context.credential_store, &mut self.context.interner);
        // TLS 1.3 over DTLS sends no ChangeCipherSpec (RFC 9147 §5.1), so the answer is of no use here.
        let _ = self.open.event(
            side(from),
            event,
            StreamPlace::new(at, offset),
            credential_store,
            interner,
        );
    }

    fn protected(&mut self, from: Direction, record: &DtlsRecord<'_>, at: At) {
        let offset = self.offset(from);
        let mut sealed = Sealed {
            content_type: record.content_type,
            version: record.version,
            length: record.length,
            body: record.body,
        };
        match record.number {
            Number::Encrypted { epoch_bits } => {
                if self.read_dtls13(from, record, &sealed, epoch_bits, at).is_none() {
                    self.open.dtls13_record(side(from), epoch_bits, &sealed, at, offset);
                }
            }
            Number::Clear { epoch, sequence } => {
                match self.read(from, &sealed, (epoch, sequence), record.connection_id) {
                    Some((kind, content)) => {
                        sealed.content_type = kind;
                        self.open
                            .opened(side(from), &sealed, content, StreamPlace::new(at, offset));
                    }
                    None => self.event(from, RecordEvent::Protected(sealed), at),
                }
            }
        }
    }

    fn read(
        &mut self,
        from: Direction,
        record: &Sealed<'_>,
        number: (u16, u64),
        id: Option<&[u8]>,
    ) -> Option<(ContentType, Content)> {
        let keys = self.keys.as_deref_mut()?;
        if keys.prepare(&mut self.context.secrets) != Readiness::Ready {
            return None;
        }
        keys.open_dtls(speaker(from), record, number, id)
    }

    /// Reads a record of DTLS 1.3 and the messages in it; `None` where there is no key that opens it.
    fn read_dtls13(
        &mut self,
        from: Direction,
        record: &DtlsRecord<'_>,
        sealed: &Sealed<'_>,
        epoch_bits: u8,
        at: At,
    ) -> Option<()> {
        let offset = self.offset(from);
        let keys = self.keys.as_deref_mut()?;
        let id = record.connection_id.map_or(0, <[u8]>::len);
        let header = (record.header, id);
        let content = keys.open_dtls13(speaker(from), header, sealed, epoch_bits, &mut self.context.secrets)?;
        self.open
            .opened(side(from), sealed, content, StreamPlace::new(at, offset));
        if content == Content::Handshake {
            while let Some(message) = keys.next_message(speaker(from), &mut self.context.secrets) {
                let (credential_store, interner) = (&mut self.context.credential_store, &mut self.context.interner);
                self.open
                    .inner(side(from), &message, (at, offset), credential_store, interner);
            }
        }
        Some(())
    }

    fn offset(&self, from: Direction) -> u64 {
        self.bytes[from]
    }
}
