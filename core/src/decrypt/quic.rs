//! The keys of one QUIC connection that a key log gives: of Handshake and 1-RTT packets, with their updates.
//!
//! In go the random of the ClientHello, suite and version of the answer, and packets in any order; out come the frames
//! in them. Early data is counted elsewhere and never opened: nothing that resumption needs is in it.

use super::connection::{Readiness, Speaker};
use super::packet::{PacketKey, ProtectedPacket, Scratch};
use super::schedule::expand_labels;
use super::secret::Secret;
use super::store::{SecretKind, Secrets};
use crate::datagram::kind::QUIC_V2;
use crate::tls::CipherSuite;

/// Number space of packets that traffic secrets protect (RFC 9000 §12.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrafficSpace {
    /// Handshake packets.
    Handshake,
    /// 1-RTT packets.
    Application,
}

/// Packets that fail at the start of a direction before its key is taken for a wrong one.
const WRONG_AFTER: u32 = 16;

/// One direction in one space.
#[derive(Debug, Clone, Default)]
struct PacketKeys {
    key: Option<PacketKey>,
    /// Of the phase before, for packets that were overtaken by a key update.
    previous: Option<PacketKey>,
    /// Of the next phase, with its secret, made when a packet of that phase comes.
    next: Option<(PacketKey, Secret)>,
    secret: Option<Secret>,
    /// Whether the key was asked for.
    asked: bool,
    /// Key phase bit of the current key.
    phase: bool,
    largest: Option<u64>,
    opened: u32,
    failed: u32,
}

/// The keys of one connection.
#[derive(Debug, Clone, Default)]
pub struct QuicKeys {
    random: Option<[u8; 32]>,
    choice: Option<(u32, CipherSuite)>,
    /// Client and server, Handshake and 1-RTT.
    directions: [[PacketKeys; 2]; 2],
    embedded: bool,
    unsupported: bool,
}

impl QuicKeys {
    /// A ClientHello: the keys are found by its random. Another one begins anew.
    pub fn client_hello(&mut self, random: [u8; 32], secrets: &mut Secrets) {
        if self.random != Some(random) {
            *self = Self {
                random: Some(random),
                ..Self::default()
            };
        }
        secrets.claim(&random);
        self.embedded = secrets.is_embedded(&random);
    }

    /// The ServerHello in a packet of this version.
    pub fn server_hello(&mut self, version: u32, suite: CipherSuite) {
        self.choice.get_or_insert((version, suite));
    }

    /// Whether packets can be opened.
    pub fn prepare(&mut self, speaker: Speaker, space: TrafficSpace, secrets: &mut Secrets) -> Readiness {
        let (Some(random), Some((version, suite))) = (self.random, self.choice) else {
            return if secrets.is_idle() {
                Readiness::Never
            } else {
                Readiness::Waiting
            };
        };
        let kind = match (speaker, space) {
            (Speaker::Client, TrafficSpace::Handshake) => SecretKind::ClientHandshake,
            (Speaker::Server, TrafficSpace::Handshake) => SecretKind::ServerHandshake,
            (Speaker::Client, TrafficSpace::Application) => SecretKind::ClientApplication,
            (Speaker::Server, TrafficSpace::Application) => SecretKind::ServerApplication,
        };
        if self.direction(speaker, space).key.is_some() {
            return Readiness::Ready;
        }
        if self.direction(speaker, space).asked && !secrets.is_growing() {
            return Readiness::Never;
        }
        let secret = secrets.find(&random, kind).cloned();
        self.embedded = secrets.is_embedded(&random);
        let direction = self.direction(speaker, space);
        direction.asked = true;
        let Some(secret) = secret else {
            return if secrets.is_growing() {
                Readiness::Waiting
            } else {
                Readiness::Never
            };
        };
        direction.key = PacketKey::of_secret(version, suite, &secret);
        direction.secret = Some(secret);
        if direction.key.is_none() {
            self.unsupported = true;
            return Readiness::Never;
        }
        Readiness::Ready
    }

    /// Opens a packet into `scratch`; gives its number.
    pub fn open(
        &mut self,
        speaker: Speaker,
        space: TrafficSpace,
        (bytes, number_at): (&[u8], usize),
        scratch: &mut Scratch,
    ) -> Option<u64> {
        let (version, suite) = self.choice?;
        let direction = self.direction(speaker, space);
        if direction.opened == 0 && direction.failed >= WRONG_AFTER {
            return None;
        }
        let packet = ProtectedPacket {
            bytes,
            number_at,
            largest: direction.largest,
        };
        let number = direction.open(&packet, (version, suite, space), scratch);
        match number {
            Some(number) => {
                direction.opened = direction.opened.saturating_add(1);
                direction.largest = direction.largest.max(Some(number));
            }
            None => direction.failed = direction.failed.saturating_add(1),
        }
        number
    }

    /// Whether every packet number of a direction up to the largest was opened.
    #[must_use]
    pub fn is_complete(&self, speaker: Speaker, space: TrafficSpace) -> bool {
        let [client, server] = &self.directions;
        let of = |[handshake, application]: &[PacketKeys; 2]| match space {
            TrafficSpace::Handshake => handshake.is_complete(),
            TrafficSpace::Application => application.is_complete(),
        };
        match speaker {
            Speaker::Client => of(client),
            Speaker::Server => of(server),
        }
    }

    /// Whether any packet of a direction was opened.
    #[must_use]
    pub fn has_opened(&self, speaker: Speaker, space: TrafficSpace) -> bool {
        let [client, server] = &self.directions;
        let [handshake, application] = match speaker {
            Speaker::Client => client,
            Speaker::Server => server,
        };
        let keys = match space {
            TrafficSpace::Handshake => handshake,
            TrafficSpace::Application => application,
        };
        keys.opened > 0
    }

    /// Packets opened, and packets that should have opened and did not.
    #[must_use]
    pub fn counts(&self) -> (u32, u32) {
        let all = self.directions.iter().flatten();
        all.fold((0, 0), |(opened, failed): (u32, u32), one| {
            (opened.saturating_add(one.opened), failed.saturating_add(one.failed))
        })
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

    const fn direction(&mut self, speaker: Speaker, space: TrafficSpace) -> &mut PacketKeys {
        let [client, server] = &mut self.directions;
        let [handshake, application] = match speaker {
            Speaker::Client => client,
            Speaker::Server => server,
        };
        match space {
            TrafficSpace::Handshake => handshake,
            TrafficSpace::Application => application,
        }
    }
}

impl PacketKeys {
    fn is_complete(&self) -> bool {
        self.largest.is_none_or(|largest| largest < u64::from(self.opened))
    }

    fn open(
        &mut self,
        packet: &ProtectedPacket<'_>,
        (version, suite, space): (u32, CipherSuite, TrafficSpace),
        scratch: &mut Scratch,
    ) -> Option<u64> {
        let key = self.key.as_ref()?;
        // RFC 9001 §5.4.1: the key phase is the third bit of a short header.
        let phase = key.first_byte(packet)? & 0x04 != 0;
        if space == TrafficSpace::Handshake || phase == self.phase {
            return key.open(packet, scratch);
        }
        if self.next.is_none() {
            let next = updated_secret(version, suite, self.secret.as_ref()?)?;
            self.next = Some((key.updated(version, suite, &next)?, next));
        }
        if let Some(number) = self.next.as_ref().and_then(|(next, _)| next.open(packet, scratch)) {
            let (next, secret) = self.next.take()?;
            self.previous = self.key.replace(next);
            self.secret = Some(secret);
            self.phase = phase;
            return Some(number);
        }
        self.previous.as_ref()?.open(packet, scratch)
    }
}

/// RFC 9001 §6.1, RFC 9369 §3.3.2.
fn updated_secret(version: u32, suite: CipherSuite, secret: &Secret) -> Option<Secret> {
    let hash = suite.kdf_hash()?;
    let label = if version == QUIC_V2 { "quicv2 ku" } else { "quic ku" };
    Some(Secret::filled(usize::from(hash.length()), |next| {
        expand_labels(hash, secret, [(label, next)]);
    }))
}
