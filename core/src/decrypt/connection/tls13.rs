//! TLS 1.3 (RFC 8446 §7): traffic secrets from the log, one key after the other on each side.

use super::{BLIND_TRIES, ConnectionKeys, Epoch, KeyState, NO_LOOK, Readiness, Speaker, of};
use crate::decrypt::direction::KeyedDirection;
use crate::decrypt::opener::Opener;
use crate::decrypt::schedule::expand_labels;
use crate::decrypt::secret::Secret;
use crate::decrypt::store::{SecretKind, Secrets};
use crate::decrypt::suite;
use crate::tls::ContentType;
use crate::tls::record::Sealed;

impl ConnectionKeys {
    pub(super) fn prepare_tls13(&mut self, known: bool, secrets: &mut Secrets) -> Readiness {
        let (Some(proposal), Some(choice)) = (&self.proposal, &self.choice) else {
            return Readiness::Waiting;
        };
        if suite::algorithm(choice.protection.suite).is_none() {
            self.unsupported = known;
            return self.never();
        }
        let all = [
            SecretKind::ServerHandshake,
            SecretKind::ClientHandshake,
            SecretKind::ServerApplication,
            SecretKind::ClientApplication,
        ];
        let complete = known && all.iter().all(|kind| secrets.find(&proposal.random, *kind).is_some());
        if !complete && (!known || self.awaits_secrets(secrets)) {
            return Readiness::Waiting;
        }
        self.early = proposal
            .early_data
            .then(|| secrets.find(&proposal.random, SecretKind::ClientEarly))
            .flatten()
            .and_then(|secret| Opener::tls13(choice.protection.suite, secret))
            .map(|opener| {
                let mut direction = Box::new(KeyedDirection::default());
                direction.install(Some(opener));
                direction
            });
        self.state = KeyState::Tls13;
        Readiness::Ready
    }

    pub(super) fn open_tls13(
        &mut self,
        speaker: Speaker,
        record: &Sealed<'_>,
        secrets: &mut Secrets,
    ) -> Option<ContentType> {
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
    pub(super) fn skip_finished(&mut self, speaker: Speaker, record: &Sealed<'_>) -> bool {
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
    pub(super) fn unskip_finished(
        &mut self,
        speaker: Speaker,
        record: &Sealed<'_>,
        secrets: &mut Secrets,
    ) -> Option<ContentType> {
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
    pub(super) fn try_application(
        &mut self,
        speaker: Speaker,
        record: &Sealed<'_>,
        secrets: &mut Secrets,
    ) -> Option<ContentType> {
        let (opener, traffic) = self.application(speaker, secrets)?;
        let Self { sides, scratch, .. } = self;
        let scratch = &mut scratch.0;
        let side = of(sides, speaker);
        let mut direction = KeyedDirection::default();
        direction.install(Some(opener));
        direction.lose_as(&side.direction);
        let kind = direction.open(record, scratch)?;
        side.direction = direction;
        side.epoch = Epoch::Application;
        side.installed = true;
        side.traffic = Some(traffic);
        Some(kind)
    }

    pub(super) fn application(&self, speaker: Speaker, secrets: &mut Secrets) -> Option<(Opener, Secret)> {
        let kind = match speaker {
            Speaker::Client => SecretKind::ClientApplication,
            Speaker::Server => SecretKind::ServerApplication,
        };
        let secret = secrets.find(&self.proposal.as_ref()?.random, kind)?;
        let opener = Opener::tls13(self.choice.as_ref()?.protection.suite, secret)?;
        Some((opener, secret.clone()))
    }

    /// Makes the key of the epoch that a side is at, with its first record.
    pub(super) fn install(&mut self, speaker: Speaker, secrets: &mut Secrets) {
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
            Speaker::Client => SecretKind::ClientHandshake,
            Speaker::Server => SecretKind::ServerHandshake,
        };
        let secret = secrets.find(&proposal.random, kind);
        let opener = secret.and_then(|secret| Opener::tls13(choice.protection.suite, secret));
        self.side(speaker).direction.succeed(opener);
    }

    /// RFC 8446 §7.2: application_traffic_secret_N+1.
    pub(super) fn key_update(&mut self, speaker: Speaker) {
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
}
