//! The keys of one connection over its life: from the hellos to its last KeyUpdate or renegotiation.
//!
//! In go the plaintext messages of both sides and their protected records, each side in order; out come what a record
//! holds and the handshake messages under protection. What a side sends decides alone which key protects its next
//! record, so the sides need not be in step with each other.

use super::direction::Direction;
use super::opener::Opener;
use super::schedule::{expand_labels, prf};
use super::secret::{Hidden, Secret};
use super::store::{Kind, Secrets, SessionName};
use super::suite;
use crate::tls::cipher::Protection;
use crate::tls::handshake::NewSessionTicket;
use crate::tls::names::HandshakeType;
use crate::tls::record::{Content, Keep, Sealed};
use crate::tls::{AlertDescription, ClientHello, ContentType, Message, ServerHello};

/// Bodies of records up to this length are held once a side is past its handshake: tickets, alerts and key updates are
/// shorter. Of longer records the type alone is looked at.
const SMALL: u16 = 4096;
/// Records up to this length are opened at once: that costs no more than a look at their type.
const NO_LOOK: u16 = 256;
/// Handshake messages under protection above this are given up.
const MAX_MESSAGE: usize = 128 * 1024;
/// Records tried with the application key when that of the handshake is not known.
const BLIND_TRIES: u16 = 64;

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// The client.
    Client,
    /// The server.
    Server,
}

/// Whether records can be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// A hello is missing, or secrets may still come.
    Waiting,
    /// Yes.
    Ready,
    /// Neither now nor later.
    Never,
}

/// Which key of TLS 1.3 a side is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Epoch {
    Handshake,
    Application,
}

/// Which keys there are.
#[derive(Debug)]
enum State {
    Waiting,
    Tls13,
    /// TLS 1.2 and older.
    Tls12 {
        master: Secret,
    },
    Never,
}

/// A side: its records, its unfinished handshake message, and what of TLS 1.3 it is at.
#[derive(Debug)]
struct Side {
    direction: Direction,
    epoch: Epoch,
    /// Whether the key of this epoch was asked for.
    installed: bool,
    /// The traffic secret, for the next KeyUpdate.
    traffic: Option<Secret>,
    /// TLS 1.2 and older: the key that the next ChangeCipherSpec puts to use.
    pending: Option<Opener>,
    /// TLS 1.2 and older: ChangeCipherSpec was seen before there were keys.
    changed: bool,
    messages: Messages,
    blind_tries: u16,
    /// The only record of the client's handshake was taken for its Finished by its size, and not opened.
    skipped_finished: bool,
}

impl Side {
    fn new() -> Self {
        Self {
            direction: Direction::default(),
            epoch: Epoch::Handshake,
            installed: false,
            traffic: None,
            pending: None,
            changed: false,
            messages: Messages::default(),
            blind_tries: 0,
            skipped_finished: false,
        }
    }
}

/// What the client proposed.
#[derive(Debug)]
struct Proposal {
    random: [u8; 32],
    early_data: bool,
    /// Names of sessions it offers, ticket first; made only when the log has no line for its random.
    sessions: [Option<SessionName>; 2],
}

/// What the server chose.
#[derive(Debug)]
struct Choice {
    random: [u8; 32],
    protection: Protection,
    session: Option<SessionId>,
    extended_master_secret: bool,
}

#[derive(Debug)]
struct SessionId {
    bytes: [u8; 32],
    length: usize,
}

impl SessionId {
    fn of(id: &[u8]) -> Option<Self> {
        let mut bytes = [0; 32];
        bytes.get_mut(..id.len())?.copy_from_slice(id);
        (!id.is_empty()).then_some(Self {
            bytes,
            length: id.len(),
        })
    }

    fn name(&self) -> SessionName {
        SessionName::of(self.bytes.get(..self.length).unwrap_or_default())
    }
}

/// The keys of one connection.
#[derive(Debug)]
pub struct Keys {
    proposal: Option<Proposal>,
    choice: Option<Choice>,
    state: State,
    sides: [Side; 2],
    /// The early traffic key, and what is protected by it.
    early: Option<Box<Direction>>,
    /// Content of the record opened last.
    scratch: Hidden,
    unsupported: bool,
    embedded: bool,
    /// The master secret is that of a session which the client offered: the log has no line for this connection.
    guessed: bool,
    /// ClientKeyExchange was seen.
    exchanged: bool,
    /// Secrets that are missing are not waited for.
    impatient: bool,
}

impl Default for Keys {
    fn default() -> Self {
        Self::new()
    }
}

impl Keys {
    /// Of a connection that has said nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            proposal: None,
            choice: None,
            state: State::Waiting,
            sides: [Side::new(), Side::new()],
            early: None,
            scratch: Hidden::default(),
            unsupported: false,
            embedded: false,
            guessed: false,
            exchanged: false,
            impatient: false,
        }
    }

    /// A plaintext handshake message.
    pub fn message(&mut self, speaker: Speaker, message: &Message<'_>, secrets: &mut Secrets) {
        match (speaker, message) {
            (Speaker::Client, Message::ClientHello(hello)) => self.client_hello(hello, secrets),
            (Speaker::Server, Message::ServerHello(hello)) => self.server_hello(hello),
            (Speaker::Client, Message::ClientKeyExchange(body)) => self.client_key_exchange(body, secrets),
            (Speaker::Server, Message::NewSessionTicket(ticket)) => self.remember(*ticket, secrets),
            _ => {}
        }
    }

    /// A plaintext ChangeCipherSpec. In TLS 1.3 it means nothing.
    pub fn change_cipher_spec(&mut self, speaker: Speaker) {
        let side = self.side(speaker);
        side.changed = true;
        if let Some(opener) = side.pending.take() {
            side.direction.install(Some(opener));
        }
    }

    /// Bytes of one side were lost with the boundaries of the records in them.
    pub fn lose(&mut self, speaker: Speaker, bytes: u64) {
        let side = self.side(speaker);
        side.direction.lose(bytes);
        side.messages.lose();
    }

    /// Looks for the secrets as soon as both hellos are known.
    pub fn prepare(&mut self, secrets: &mut Secrets) -> Readiness {
        match self.state {
            State::Waiting => {}
            State::Never => return Readiness::Never,
            State::Tls13 | State::Tls12 { .. } => return Readiness::Ready,
        }
        let (Some(proposal), Some(choice)) = (&self.proposal, &self.choice) else {
            return if self.impatient {
                self.never()
            } else {
                Readiness::Waiting
            };
        };
        let known = secrets.claim(&proposal.random);
        self.embedded = secrets.is_embedded(&proposal.random);
        let ready = if choice.protection.version.is_tls13() {
            self.prepare_tls13(known, secrets)
        } else {
            self.prepare_tls12(secrets)
        };
        match ready {
            // An encrypted premaster secret may still name the keys, as long as nothing is protected.
            Readiness::Waiting if self.awaits_secrets(secrets) || self.awaits_key_exchange(secrets) => {
                Readiness::Waiting
            }
            Readiness::Waiting => self.never(),
            ready => ready,
        }
    }

    /// No more is to be held for secrets that may come: what there is must do.
    pub const fn give_up(&mut self) {
        self.impatient = true;
    }

    fn never(&mut self) -> Readiness {
        self.state = State::Never;
        Readiness::Never
    }

    fn prepare_tls13(&mut self, known: bool, secrets: &mut Secrets) -> Readiness {
        let (Some(proposal), Some(choice)) = (&self.proposal, &self.choice) else {
            return Readiness::Waiting;
        };
        if suite::algorithm(choice.protection.suite).is_none() {
            self.unsupported = known;
            return self.never();
        }
        let all = [
            Kind::ServerHandshake,
            Kind::ClientHandshake,
            Kind::ServerApplication,
            Kind::ClientApplication,
        ];
        let complete = known && all.iter().all(|kind| secrets.find(&proposal.random, *kind).is_some());
        if !complete && (!known || self.awaits_secrets(secrets)) {
            return Readiness::Waiting;
        }
        self.early = proposal
            .early_data
            .then(|| secrets.find(&proposal.random, Kind::ClientEarly))
            .flatten()
            .and_then(|secret| Opener::tls13(choice.protection.suite, secret))
            .map(|opener| {
                let mut direction = Box::new(Direction::default());
                direction.install(Some(opener));
                direction
            });
        self.state = State::Tls13;
        Readiness::Ready
    }

    fn prepare_tls12(&mut self, secrets: &mut Secrets) -> Readiness {
        let (Some(proposal), Some(choice)) = (&self.proposal, &self.choice) else {
            return Readiness::Waiting;
        };
        let random = &proposal.random;
        let own = secrets.find(random, Kind::Master).cloned();
        let made = || {
            let premaster = secrets.find(random, Kind::Premaster)?;
            master_of(premaster, proposal, choice)
        };
        let master = own.or_else(made);
        self.guessed = master.is_none();
        let master = master.or_else(|| {
            let own = choice.session.as_ref().map(SessionId::name);
            let resumed = |name: &SessionName| proposal.sessions.contains(&Some(*name));
            let mut names = proposal
                .sessions
                .first()
                .copied()
                .flatten()
                .into_iter()
                .chain(own.filter(resumed));
            names.find_map(|name| secrets.recall(name).cloned())
        });
        match master {
            Some(master) => self.use_master(master, secrets),
            None => Readiness::Waiting,
        }
    }

    /// Makes the keys of a master secret; ChangeCipherSpec puts them to use.
    fn use_master(&mut self, master: Secret, secrets: &mut Secrets) -> Readiness {
        let (Some(proposal), Some(choice)) = (&self.proposal, &self.choice) else {
            return Readiness::Waiting;
        };
        let Some([client, server]) = Opener::tls12(choice.protection, &master, &proposal.random, &choice.random) else {
            self.unsupported = true;
            return self.never();
        };
        if let Some(session) = &choice.session {
            secrets.remember(session.name(), master.clone());
        }
        for (side, opener) in self.sides.iter_mut().zip([client, server]) {
            side.pending = Some(opener);
            // In a renegotiation the old keys protect the ChangeCipherSpec, too.
            if matches!(self.state, State::Waiting) && side.changed {
                let opener = side.pending.take();
                side.direction.install(opener);
            }
        }
        self.state = State::Tls12 { master };
        Readiness::Ready
    }

    /// What must be kept of this side's records.
    #[must_use]
    pub fn keep(&self, speaker: Speaker) -> Keep {
        let side = self.side_ref(speaker);
        match self.state {
            State::Never => Keep::Nothing,
            State::Waiting => Keep::UpTo(u16::MAX),
            State::Tls13 if side.epoch == Epoch::Handshake => Keep::UpTo(u16::MAX),
            State::Tls13 => Keep::UpTo(SMALL),
            State::Tls12 { .. } if side.direction.is_chained() || side.pending.is_some() => Keep::EndsOfData,
            State::Tls12 { .. } => Keep::AllButData,
        }
    }

    /// What a protected record holds. After [`Content::Handshake`], [`Keys::next_message`] gives the messages.
    pub fn open(&mut self, speaker: Speaker, record: &Sealed<'_>, secrets: &mut Secrets) -> Content {
        let kind = match self.state {
            State::Tls13 => self.open_tls13(speaker, record, secrets),
            State::Tls12 { .. } => self.open_tls12(speaker, record),
            State::Waiting | State::Never => None,
        };
        let Some(kind) = kind else { return Content::Closed };
        let side = match speaker {
            Speaker::Client => &mut self.sides[0],
            Speaker::Server => &mut self.sides[1],
        };
        match (kind, self.scratch.0.as_slice()) {
            (ContentType::APPLICATION_DATA, _) => Content::Data,
            (ContentType::ALERT, &[level, description]) => Content::Alert {
                fatal: level == 2,
                description: AlertDescription(description),
            },
            (ContentType::HANDSHAKE, fragment) => {
                side.messages.push(fragment);
                Content::Handshake
            }
            (ContentType::CHANGE_CIPHER_SPEC, _) => {
                if let Some(opener) = side.pending.take() {
                    side.direction.install(Some(opener));
                }
                Content::Other
            }
            _ => Content::Other,
        }
    }

    fn open_tls12(&mut self, speaker: Speaker, record: &Sealed<'_>) -> Option<ContentType> {
        let Self { sides, scratch, .. } = self;
        let scratch = &mut scratch.0;
        let side = of(sides, speaker);
        if record.content_type == ContentType::APPLICATION_DATA {
            side.direction.pass(record);
            return side.direction.has_key().then_some(ContentType::APPLICATION_DATA);
        }
        side.direction.open(record, scratch)
    }

    fn open_tls13(&mut self, speaker: Speaker, record: &Sealed<'_>, secrets: &mut Secrets) -> Option<ContentType> {
        if record.content_type != ContentType::APPLICATION_DATA {
            return None;
        }
        if self.skip_finished(speaker, record) {
            return None;
        }
        self.install(speaker, secrets);
        let early_data =
            speaker == Speaker::Client && self.proposal.as_ref().is_some_and(|proposal| proposal.early_data);
        let Self {
            sides, early, scratch, ..
        } = self;
        let scratch = &mut scratch.0;
        let side = of(sides, speaker);
        let at_start = side.epoch == Epoch::Handshake && side.direction.counts().0 == 0;
        if at_start && early_data && !side.direction.has_lost() {
            // Early data goes by under its own key, or under one that is not known, until a record of the handshake
            // opens.
            let opened = if record.is_whole() {
                side.direction.attempt(record, scratch)
            } else {
                None
            };
            return opened.or_else(|| early.as_mut()?.open(record, scratch));
        }
        if side.epoch == Epoch::Application && (record.length > NO_LOOK || !record.is_whole()) {
            match side.direction.look(record) {
                // Zero is padding; then the type stands somewhere before.
                Some(ContentType(0)) | None => {}
                Some(ContentType::APPLICATION_DATA) => {
                    side.direction.pass(record);
                    return Some(ContentType::APPLICATION_DATA);
                }
                Some(_) if record.is_whole() => {}
                Some(_) => {
                    side.direction.pass(record);
                    return None;
                }
            }
        }
        let lost = side.direction.has_lost();
        if side.direction.has_key()
            && let Some(kind) = side.direction.open(record, scratch)
        {
            return Some(kind);
        }
        if std::mem::take(&mut side.skipped_finished) && side.direction.counts().0 == 0 {
            return self.unskip_finished(speaker, record, secrets);
        }
        // The Finished that ends the handshake may have been lost, or its key is not known.
        let (waiting, missing) = (side.epoch == Epoch::Handshake, !side.direction.has_key());
        if !waiting || !(lost || missing) || side.blind_tries >= BLIND_TRIES || !record.is_whole() {
            return None;
        }
        side.blind_tries += 1;
        self.try_application(speaker, record, secrets)
    }

    /// The client's handshake is most often its Finished alone, whose size gives it away. A key is not made for it: what
    /// follows opens under the application key, or shows that it was something else.
    fn skip_finished(&mut self, speaker: Speaker, record: &Sealed<'_>) -> bool {
        let (Speaker::Client, Some(proposal), Some(choice)) = (speaker, &self.proposal, &self.choice) else {
            return false;
        };
        let suite = choice.protection.suite;
        let finished = suite.kdf_hash().map(|hash| 4 + hash.length() + 1 + suite.tls13_tag());
        let early_data = proposal.early_data;
        let side = self.side(speaker);
        let at_start = side.epoch == Epoch::Handshake && !side.installed && !side.direction.has_lost();
        if !at_start || early_data || finished != Some(record.length) {
            return false;
        }
        side.epoch = Epoch::Application;
        side.skipped_finished = true;
        true
    }

    /// Perhaps what was skipped was no Finished, and the record after it is under the handshake key, too.
    fn unskip_finished(&mut self, speaker: Speaker, record: &Sealed<'_>, secrets: &mut Secrets) -> Option<ContentType> {
        let side = self.side(speaker);
        side.epoch = Epoch::Handshake;
        side.installed = false;
        side.messages.lose();
        self.install(speaker, secrets);
        let Self { sides, scratch, .. } = self;
        let side = of(sides, speaker);
        side.direction.pass_unseen();
        let opened = side.direction.attempt(record, &mut scratch.0);
        if opened.is_none() {
            side.epoch = Epoch::Application;
            side.installed = false;
            self.install(speaker, secrets);
            self.side(speaker).direction.pass_unseen();
        }
        opened
    }

    /// Whether the record is the first one under the application key.
    fn try_application(&mut self, speaker: Speaker, record: &Sealed<'_>, secrets: &mut Secrets) -> Option<ContentType> {
        let (opener, traffic) = self.application(speaker, secrets)?;
        let Self { sides, scratch, .. } = self;
        let scratch = &mut scratch.0;
        let side = of(sides, speaker);
        let mut direction = Direction::default();
        direction.install(Some(opener));
        direction.lose_as(&side.direction);
        let kind = direction.open(record, scratch)?;
        side.direction = direction;
        side.epoch = Epoch::Application;
        side.installed = true;
        side.traffic = Some(traffic);
        Some(kind)
    }

    fn application(&self, speaker: Speaker, secrets: &mut Secrets) -> Option<(Opener, Secret)> {
        let kind = match speaker {
            Speaker::Client => Kind::ClientApplication,
            Speaker::Server => Kind::ServerApplication,
        };
        let secret = secrets.find(&self.proposal.as_ref()?.random, kind)?;
        let opener = Opener::tls13(self.choice.as_ref()?.protection.suite, secret)?;
        Some((opener, secret.clone()))
    }

    /// Makes the key of the epoch that a side is at, with its first record.
    fn install(&mut self, speaker: Speaker, secrets: &mut Secrets) {
        let epoch = {
            let side = self.side(speaker);
            if std::mem::replace(&mut side.installed, true) {
                return;
            }
            side.epoch
        };
        if epoch == Epoch::Application {
            let made = self.application(speaker, secrets);
            let side = self.side(speaker);
            let (opener, traffic) = made.unzip();
            side.direction.succeed(opener);
            side.traffic = traffic;
            return;
        }
        let (Some(proposal), Some(choice)) = (&self.proposal, &self.choice) else {
            return;
        };
        let kind = match speaker {
            Speaker::Client => Kind::ClientHandshake,
            Speaker::Server => Kind::ServerHandshake,
        };
        let secret = secrets.find(&proposal.random, kind);
        let opener = secret.and_then(|secret| Opener::tls13(choice.protection.suite, secret));
        self.side(speaker).direction.succeed(opener);
    }

    /// The next handshake message under protection, and what it does to the keys.
    pub fn next_message(&mut self, speaker: Speaker, secrets: &mut Secrets) -> Option<Message<'_>> {
        let tls13 = matches!(self.state, State::Tls13);
        let range = self.side(speaker).messages.next()?;
        let kind = HandshakeType(*self.side(speaker).messages.bytes(&range).first()?);
        if tls13 {
            match kind {
                HandshakeType::FINISHED => self.finished(speaker),
                HandshakeType::KEY_UPDATE => self.key_update(speaker),
                _ => {}
            }
        } else {
            self.renegotiate(speaker, kind, &range, secrets);
        }
        let message = self.side_ref(speaker).messages.bytes(&range);
        Some(if tls13 {
            Message::parse_tls13(message)
        } else {
            Message::parse(message)
        })
    }

    /// RFC 8446 §4.4.4: records after the Finished are under the application keys.
    fn finished(&mut self, speaker: Speaker) {
        let side = self.side(speaker);
        if side.epoch == Epoch::Handshake {
            side.epoch = Epoch::Application;
            side.installed = false;
        }
    }

    /// RFC 8446 §7.2: application_traffic_secret_N+1.
    fn key_update(&mut self, speaker: Speaker) {
        let Some(suite) = self.choice.as_ref().map(|choice| choice.protection.suite) else {
            return;
        };
        let side = self.side(speaker);
        let (Some(hash), Some(now)) = (suite.kdf_hash(), side.traffic.take()) else {
            return;
        };
        let next = Secret::filled(usize::from(hash.length()), |out| {
            expand_labels(hash, &now, [("traffic upd", out)]);
        });
        side.direction.install(Opener::tls13(suite, &next));
        side.traffic = Some(next);
    }

    /// A handshake under protection of TLS 1.2 and older (RFC 5246 §7.4.1.1) has randoms and a master secret of its own.
    fn renegotiate(
        &mut self,
        speaker: Speaker,
        kind: HandshakeType,
        range: &std::ops::Range<usize>,
        secrets: &mut Secrets,
    ) {
        if !matches!(
            kind,
            HandshakeType::CLIENT_HELLO | HandshakeType::SERVER_HELLO | HandshakeType::NEW_SESSION_TICKET
        ) {
            return;
        }
        // The message borrows from the buffer, which must not change meanwhile.
        let bytes = self.side_ref(speaker).messages.bytes(range).to_vec();
        match (speaker, Message::parse(&bytes)) {
            (Speaker::Client, Message::ClientHello(hello)) => {
                self.choice = None;
                self.client_hello(&hello, secrets);
            }
            (Speaker::Server, Message::ServerHello(hello)) if self.choice.is_none() => {
                self.server_hello(&hello);
                if let Some(proposal) = &self.proposal {
                    secrets.claim(&proposal.random);
                }
                // Without the new secret everything up to the new ChangeCipherSpec still opens.
                let _ = self.prepare_tls12(secrets);
            }
            (Speaker::Server, Message::NewSessionTicket(ticket)) => self.remember(ticket, secrets),
            _ => {}
        }
    }

    fn client_hello(&mut self, hello: &ClientHello<'_>, secrets: &mut Secrets) {
        // After a HelloRetryRequest the client says the same random again, and no more of early data.
        let early_data = hello.early_data || self.proposal.as_ref().is_some_and(|proposal| proposal.early_data);
        let mut sessions = [None; 2];
        if !secrets.claim(&hello.random) {
            sessions = [
                hello
                    .session_ticket
                    .filter(|ticket| !ticket.is_empty())
                    .map(SessionName::of),
                Some(hello.session_id).filter(|id| !id.is_empty()).map(SessionName::of),
            ];
        }
        self.proposal = Some(Proposal {
            random: hello.random,
            early_data,
            sessions,
        });
    }

    fn server_hello(&mut self, hello: &ServerHello<'_>) {
        if hello.hello_retry_request || self.choice.is_some() {
            return;
        }
        self.choice = Some(Choice {
            random: hello.random,
            protection: Protection {
                version: hello.version,
                suite: hello.cipher_suite,
                encrypt_then_mac: hello.encrypt_then_mac,
            },
            session: SessionId::of(hello.session_id),
            extended_master_secret: hello.extended_master_secret,
        });
    }

    const fn awaits_secrets(&self, secrets: &Secrets) -> bool {
        secrets.is_growing() && !self.impatient
    }

    fn awaits_key_exchange(&self, secrets: &Secrets) -> bool {
        let tls12 = self
            .choice
            .as_ref()
            .is_some_and(|choice| !choice.protection.version.is_tls13());
        tls12 && secrets.has_premasters() && !self.exchanged && !self.impatient
    }

    /// RSA key exchange: the log may name the premaster secret by its encrypted form.
    fn client_key_exchange(&mut self, body: &[u8], secrets: &mut Secrets) {
        self.exchanged = true;
        let (State::Waiting | State::Never, Some(proposal), Some(choice)) = (&self.state, &self.proposal, &self.choice)
        else {
            return;
        };
        let name = body.get(2..).and_then(|encrypted| encrypted.first_chunk::<8>());
        let master = name
            .and_then(|name| secrets.find_premaster(*name))
            .and_then(|premaster| master_of(premaster, proposal, choice));
        if let Some(master) = master {
            self.guessed = false;
            self.state = State::Waiting;
            let _ = self.use_master(master, secrets);
        }
    }

    /// A ticket names the session of this connection.
    fn remember(&mut self, ticket: NewSessionTicket<'_>, secrets: &mut Secrets) {
        if let (State::Tls12 { master }, false) = (&self.state, ticket.ticket.is_empty()) {
            secrets.remember(SessionName::of(ticket.ticket), master.clone());
        }
    }

    /// Records opened, and records that should have opened and did not. Keys that were only guessed at do not count.
    #[must_use]
    pub fn counts(&self) -> (u32, u32) {
        let [client, server] = &self.sides;
        let ((a, b), (c, d)) = (client.direction.counts(), server.direction.counts());
        (a + c, if self.guessed && a + c == 0 { 0 } else { b + d })
    }

    /// The secrets stood in the capture itself.
    #[must_use]
    pub const fn are_embedded(&self) -> bool {
        self.embedded
    }

    /// There are secrets, and the suite is not one that is opened.
    #[must_use]
    pub const fn is_unsupported(&self) -> bool {
        self.unsupported
    }

    fn side(&mut self, speaker: Speaker) -> &mut Side {
        of(&mut self.sides, speaker)
    }

    const fn side_ref(&self, speaker: Speaker) -> &Side {
        let [client, server] = &self.sides;
        match speaker {
            Speaker::Client => client,
            Speaker::Server => server,
        }
    }
}

const fn of(sides: &mut [Side; 2], speaker: Speaker) -> &mut Side {
    let [client, server] = sides;
    match speaker {
        Speaker::Client => client,
        Speaker::Server => server,
    }
}

/// RFC 5246 §8.1. With extended_master_secret the transcript goes in, too (RFC 7627 §4), which is not kept.
fn master_of(premaster: &Secret, proposal: &Proposal, choice: &Choice) -> Option<Secret> {
    if choice.extended_master_secret {
        return None;
    }
    let kind = suite::prf(choice.protection)?;
    Some(Secret::filled(48, |out| {
        prf(
            kind,
            premaster.bytes(),
            "master secret",
            [&proposal.random, &choice.random],
            out,
        );
    }))
}

/// Handshake messages of one side under protection, put together over records.
#[derive(Debug, Default)]
struct Messages {
    buffer: Hidden,
    /// Bytes at the front that were given out.
    taken: usize,
    /// Part of a message was lost: what follows in the buffer is not the beginning of one.
    lost: bool,
}

impl Messages {
    fn lose(&mut self) {
        self.buffer.0.clear();
        self.taken = 0;
        self.lost = true;
    }

    fn push(&mut self, fragment: &[u8]) {
        self.buffer.0.drain(..self.taken);
        self.taken = 0;
        if std::mem::take(&mut self.lost) && !begins_message(fragment) {
            self.lost = true;
            return;
        }
        if self.buffer.0.len() + fragment.len() > MAX_MESSAGE {
            self.lose();
            return;
        }
        self.buffer.0.extend_from_slice(fragment);
    }

    /// Where the next complete message stands.
    fn next(&mut self) -> Option<std::ops::Range<usize>> {
        let rest = self.buffer.0.get(self.taken..)?;
        let [_, a, b, c] = *rest.first_chunk()?;
        let length = 4 + u32::from_be_bytes([0, a, b, c]) as usize;
        if length > MAX_MESSAGE {
            self.lose();
            return None;
        }
        rest.get(..length)?;
        let range = self.taken..self.taken + length;
        self.taken = range.end;
        Some(range)
    }

    fn bytes(&self, range: &std::ops::Range<usize>) -> &[u8] {
        self.buffer.0.get(range.clone()).unwrap_or_default()
    }
}

/// Whether a record's content is exactly whole messages: the only place to go on after a loss.
fn begins_message(fragment: &[u8]) -> bool {
    let mut rest = fragment;
    while let Some([kind, a, b, c]) = rest.first_chunk::<4>() {
        let length = 4 + u32::from_be_bytes([0, *a, *b, *c]) as usize;
        match rest.get(length..) {
            Some(after) if HandshakeType(*kind).name().is_some() => rest = after,
            _ => return false,
        }
    }
    rest.is_empty() && !fragment.is_empty()
}
