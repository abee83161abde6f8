//! The keys of one connection over its life: from the hellos to its last KeyUpdate or renegotiation.
//!
//! In go the plaintext messages of both sides and their protected records, each side in order; out come what a record
//! holds and the handshake messages under protection. What a side sends decides alone which key protects its next
//! record, so the sides need not be in step with each other.

mod dtls;
mod dtls13;
mod messages;
mod tls12;
mod tls13;

use super::direction::KeyedDirection;
use super::opener::Opener;
use super::secret::{Hidden, Secret};
use super::store::{Secrets, SessionName};
use crate::tls::cipher::Protection;
use crate::tls::handshake::NewSessionTicket;
use crate::tls::names::HandshakeType;
use crate::tls::record::{Content, Keep, Sealed};
use crate::tls::{AlertDescription, ClientHello, ContentType, Message, ServerHello};
use messages::HandshakeMessages;

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
enum KeyState {
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
struct SideKeys {
    direction: KeyedDirection,
    epoch: Epoch,
    /// Whether the key of this epoch was asked for.
    installed: bool,
    /// The traffic secret, for the next KeyUpdate.
    traffic: Option<Secret>,
    /// TLS 1.2 and older: the key that the next ChangeCipherSpec puts to use.
    pending: Option<Opener>,
    /// TLS 1.2 and older: ChangeCipherSpec was seen before there were keys.
    changed: bool,
    messages: HandshakeMessages,
    blind_tries: u16,
    /// The only record of the client's handshake was taken for its Finished by its size, and not opened.
    skipped_finished: bool,
    /// DTLS 1.3: keys by epoch, and how much of the message at hand has come.
    epochs: dtls13::Epochs,
    received: usize,
}

impl SideKeys {
    fn new() -> Self {
        Self {
            direction: KeyedDirection::default(),
            epoch: Epoch::Handshake,
            installed: false,
            traffic: None,
            pending: None,
            changed: false,
            messages: HandshakeMessages::default(),
            blind_tries: 0,
            skipped_finished: false,
            epochs: dtls13::Epochs::default(),
            received: 0,
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
pub struct ConnectionKeys {
    proposal: Option<Proposal>,
    choice: Option<Choice>,
    state: KeyState,
    sides: [SideKeys; 2],
    /// The early traffic key, and what is protected by it.
    early: Option<Box<KeyedDirection>>,
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

impl Default for ConnectionKeys {
    fn default() -> Self {
        Self::new()
    }
}

impl ConnectionKeys {
    /// Of a connection that has said nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            proposal: None,
            choice: None,
            state: KeyState::Waiting,
            sides: [SideKeys::new(), SideKeys::new()],
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
            KeyState::Waiting => {}
            KeyState::Never => return Readiness::Never,
            KeyState::Tls13 | KeyState::Tls12 { .. } => return Readiness::Ready,
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
        self.state = KeyState::Never;
        Readiness::Never
    }

    /// What must be kept of this side's records.
    #[must_use]
    pub fn keep(&self, speaker: Speaker) -> Keep {
        let side = self.side_ref(speaker);
        match self.state {
            KeyState::Never => Keep::Nothing,
            KeyState::Waiting => Keep::UpTo(u16::MAX),
            KeyState::Tls13 if side.epoch == Epoch::Handshake => Keep::UpTo(u16::MAX),
            KeyState::Tls13 => Keep::UpTo(SMALL),
            KeyState::Tls12 { .. } if side.direction.is_chained() || side.pending.is_some() => Keep::EndsOfData,
            KeyState::Tls12 { .. } => Keep::AllButData,
        }
    }

    /// What a protected record holds. After [`Content::Handshake`], [`Keys::next_message`] gives the messages.
    pub fn open(&mut self, speaker: Speaker, record: &Sealed<'_>, secrets: &mut Secrets) -> Content {
        let kind = match self.state {
            KeyState::Tls13 => self.open_tls13(speaker, record, secrets),
            KeyState::Tls12 { .. } => self.open_tls12(speaker, record),
            KeyState::Waiting | KeyState::Never => None,
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

    /// The next handshake message under protection, and what it does to the keys.
    pub fn next_message(&mut self, speaker: Speaker, secrets: &mut Secrets) -> Option<Message<'_>> {
        let tls13 = matches!(self.state, KeyState::Tls13);
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

    /// A ticket names the session of this connection.
    fn remember(&mut self, ticket: NewSessionTicket<'_>, secrets: &mut Secrets) {
        if let (KeyState::Tls12 { master }, false) = (&self.state, ticket.ticket.is_empty()) {
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

    fn side(&mut self, speaker: Speaker) -> &mut SideKeys {
        of(&mut self.sides, speaker)
    }

    const fn side_ref(&self, speaker: Speaker) -> &SideKeys {
        let [client, server] = &self.sides;
        match speaker {
            Speaker::Client => client,
            Speaker::Server => server,
        }
    }
}

const fn of(sides: &mut [SideKeys; 2], speaker: Speaker) -> &mut SideKeys {
    let [client, server] = sides;
    match speaker {
        Speaker::Client => client,
        Speaker::Server => server,
    }
}
