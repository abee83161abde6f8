//! TLS 1.2 and older (RFC 5246 §6.3, RFC 2246 §6.3): one master secret, from the log or from the session it resumes.

use super::{Choice, ConnectionKeys, KeyState, Proposal, Readiness, SessionId, Speaker, of};
use crate::decrypt::opener::Opener;
use crate::decrypt::schedule::prf;
use crate::decrypt::secret::Secret;
use crate::decrypt::store::{SecretKind, Secrets, SessionName};
use crate::decrypt::suite;
use crate::tls::names::HandshakeType;
use crate::tls::record::Sealed;
use crate::tls::{ContentType, Message};

impl ConnectionKeys {
    pub(super) fn prepare_tls12(&mut self, secrets: &mut Secrets) -> Readiness {
        let (Some(proposal), Some(choice)) = (&self.proposal, &self.choice) else {
            return Readiness::Waiting;
        };
        let random = &proposal.random;
        let own = secrets.find(random, SecretKind::Master).cloned();
        let made = || {
            let premaster = secrets.find(random, SecretKind::Premaster)?;
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
    pub(super) fn use_master(&mut self, master: Secret, secrets: &mut Secrets) -> Readiness {
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
            if matches!(self.state, KeyState::Waiting) && side.changed {
                let opener = side.pending.take();
                side.direction.install(opener);
            }
        }
        self.state = KeyState::Tls12 { master };
        Readiness::Ready
    }

    pub(super) fn open_tls12(&mut self, speaker: Speaker, record: &Sealed<'_>) -> Option<ContentType> {
        let Self { sides, scratch, .. } = self;
        let scratch = &mut scratch.0;
        let side = of(sides, speaker);
        if record.content_type == ContentType::APPLICATION_DATA {
            side.direction.pass(record);
            return side.direction.has_key().then_some(ContentType::APPLICATION_DATA);
        }
        side.direction.open(record, scratch)
    }

    pub(super) fn awaits_key_exchange(&self, secrets: &Secrets) -> bool {
        let tls12 = self
            .choice
            .as_ref()
            .is_some_and(|choice| !choice.protection.version.is_tls13());
        tls12 && secrets.has_premasters() && !self.exchanged && !self.impatient
    }

    /// RSA key exchange: the log may name the premaster secret by its encrypted form.
    pub(super) fn client_key_exchange(&mut self, body: &[u8], secrets: &mut Secrets) {
        self.exchanged = true;
        let (KeyState::Waiting | KeyState::Never, Some(proposal), Some(choice)) =
            (&self.state, &self.proposal, &self.choice)
        else {
            return;
        };
        let name = body.get(2..).and_then(|encrypted| encrypted.first_chunk::<8>());
        let master = name
            .and_then(|name| secrets.find_premaster(*name))
            .and_then(|premaster| master_of(premaster, proposal, choice));
        if let Some(master) = master {
            self.guessed = false;
            self.state = KeyState::Waiting;
            let _ = self.use_master(master, secrets);
        }
    }

    /// A handshake under protection of TLS 1.2 and older (RFC 5246 §7.4.1.1) has randoms and a master secret of its own.
    pub(super) fn renegotiate(
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
