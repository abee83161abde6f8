//! All secrets that were given, found by what a handshake shows of them. Bounded: beyond the limit the oldest go, and
//! are counted.

use std::collections::VecDeque;

use hashbrown::HashMap;
use sha2::{Digest, Sha256};

use super::secret::Secret;

/// Sessions of TLS 1.2 and older whose master secret is remembered for the connections that resume them.
const SESSIONS: usize = 1 << 16;
/// Encrypted premaster secrets.
const PREMASTERS: usize = 1 << 16;

/// What a secret is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretKind {
    /// Master secret of TLS 1.2 and older.
    Master,
    /// Premaster secret of TLS 1.2 and older.
    Premaster,
    /// client_early_traffic_secret (RFC 8446 §7.1).
    ClientEarly,
    /// client_handshake_traffic_secret.
    ClientHandshake,
    /// server_handshake_traffic_secret.
    ServerHandshake,
    /// client_application_traffic_secret_0.
    ClientApplication,
    /// server_application_traffic_secret_0.
    ServerApplication,
}

impl SecretKind {
    const COUNT: usize = 7;
}

/// What a secret is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// The random of the ClientHello.
    Random([u8; 32]),
    /// The first bytes of the encrypted premaster secret of a ClientKeyExchange.
    EncryptedPremaster([u8; 8]),
}

/// The secrets of one client random.
#[derive(Debug)]
struct ClientRandomSecrets {
    random: [u8; 32],
    secrets: [Option<Secret>; SecretKind::COUNT],
    claimed: bool,
    /// Only secrets blocks of captures brought it.
    embedded: bool,
}

/// A name for a session: digest of its ID or ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SessionName(u128);

impl SessionName {
    pub(super) fn of(credential: &[u8]) -> Self {
        let digest = Sha256::digest(credential);
        Self(digest.first_chunk().map_or(0, |bytes| u128::from_be_bytes(*bytes)))
    }
}

/// Every secret of a run.
#[derive(Debug)]
pub struct Secrets {
    entries: VecDeque<Box<ClientRandomSecrets>>,
    /// Number of the first entry.
    base: u64,
    index: HashMap<[u8; 32], u64>,
    latest: Option<([u8; 32], u64)>,
    premasters: Bounded<[u8; 8]>,
    sessions: Bounded<SessionName>,
    limit: usize,
    dropped: u64,
    growing: bool,
}

impl Default for Secrets {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
            base: 0,
            index: HashMap::new(),
            latest: None,
            premasters: Bounded::new(PREMASTERS),
            sessions: Bounded::new(SESSIONS),
            limit: Self::DEFAULT_LIMIT,
            dropped: 0,
            growing: false,
        }
    }
}

impl Secrets {
    /// Client randoms whose secrets are kept without a limit of one's own: about 200 MB.
    pub const DEFAULT_LIMIT: usize = 1 << 19;

    /// None yet, and at most those of so many client randoms.
    #[must_use]
    pub fn of(randoms: usize) -> Self {
        Self {
            limit: randoms,
            ..Self::default()
        }
    }

    /// Keeps the secrets of so many client randoms at most.
    pub const fn limit(&mut self, randoms: usize) {
        self.limit = randoms;
    }

    /// Whether no secret was ever given and none is awaited: then nothing of a connection need be held for them.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.index.is_empty() && self.premasters.is_empty() && !self.growing
    }

    /// More secrets may come while packets do: in live use, or in a capture that brings its own.
    pub const fn grow(&mut self) {
        self.growing = true;
    }

    /// Whether premaster secrets were given by their encrypted form.
    pub(super) fn has_premasters(&self) -> bool {
        !self.premasters.is_empty()
    }

    /// Whether secrets that are missing may still come.
    #[must_use]
    pub const fn is_growing(&self) -> bool {
        self.growing
    }

    /// Takes one secret. What is said twice is taken as it was said first.
    /// `embedded` says that it stood in a capture.
    pub fn insert(&mut self, kind: SecretKind, name: Name, secret: Secret, embedded: bool) {
        let random = match name {
            Name::Random(random) => random,
            Name::EncryptedPremaster(name) => return self.premasters.insert(name, secret),
        };
        // The lines of one connection stand together.
        let number = match self.latest {
            Some((latest, number)) if latest == random => number,
            _ => self.number(random),
        };
        self.latest = Some((random, number));
        let Some(entry) = self.entry_mut(number) else { return };
        entry.embedded &= embedded;
        if let Some(slot) = entry.secrets.get_mut(kind as usize) {
            slot.get_or_insert(secret);
        }
    }

    fn number(&mut self, random: [u8; 32]) -> u64 {
        let next = self.base + self.entries.len() as u64;
        let number = *self.index.entry(random).or_insert(next);
        if number == next {
            self.entries.push_back(Box::new(ClientRandomSecrets {
                random,
                secrets: [const { None }; SecretKind::COUNT],
                claimed: false,
                embedded: true,
            }));
            if self.entries.len() > self.limit
                && let Some(oldest) = self.entries.pop_front()
            {
                self.base += 1;
                self.index.remove(&oldest.random);
                self.dropped += u64::from(!oldest.claimed);
            }
        }
        number
    }

    fn entry_mut(&mut self, number: u64) -> Option<&mut ClientRandomSecrets> {
        let index = usize::try_from(number.checked_sub(self.base)?).ok()?;
        self.entries.get_mut(index).map(AsMut::as_mut)
    }

    /// Whether any secret was given for this client random; it then counts as used.
    pub(super) fn claim(&mut self, random: &[u8; 32]) -> bool {
        let Some(&number) = self.index.get(random) else {
            return false;
        };
        if let Some(entry) = self.entry_mut(number) {
            entry.claimed = true;
        }
        true
    }

    /// Whether the secrets of a client random stood in a capture and in no key log that was given.
    pub(super) fn is_embedded(&self, random: &[u8; 32]) -> bool {
        self.entry(random).is_some_and(|entry| entry.embedded)
    }

    fn entry(&self, random: &[u8; 32]) -> Option<&ClientRandomSecrets> {
        let number = self.index.get(random)?;
        let index = usize::try_from(number.checked_sub(self.base)?).ok()?;
        self.entries.get(index).map(AsRef::as_ref)
    }

    /// One secret of a client random.
    pub(super) fn find(&mut self, random: &[u8; 32], kind: SecretKind) -> Option<&Secret> {
        let number = *self.index.get(random)?;
        let entry = self.entry_mut(number)?;
        entry.claimed = true;
        entry.secrets.get(kind as usize)?.as_ref()
    }

    /// The premaster secret behind the first bytes of its encrypted form.
    pub(super) fn find_premaster(&self, name: [u8; 8]) -> Option<&Secret> {
        self.premasters.get(&name)
    }

    /// A session was given this name; its master secret opens the connections that resume it.
    pub(super) fn remember(&mut self, session: SessionName, master: Secret) {
        self.sessions.insert(session, master);
    }

    /// The master secret of a session.
    pub(super) fn recall(&self, session: SessionName) -> Option<&Secret> {
        self.sessions.get(&session)
    }

    /// Client randoms that no connection had, and client randoms dropped at the limit before one had them.
    #[must_use]
    pub fn unclaimed(&self) -> (u64, u64) {
        let unclaimed = self.entries.iter().filter(|entry| !entry.claimed).count();
        (unclaimed as u64, self.dropped)
    }

    /// Whether secrets are kept for this client random that no connection has claimed.
    #[must_use]
    pub fn came_too_late(&self, random: &[u8; 32]) -> bool {
        let entry = self.entry(random);
        entry.is_some_and(|entry| !entry.claimed)
    }
}

/// A map that forgets the oldest.
#[derive(Debug)]
struct Bounded<K> {
    map: HashMap<K, Secret>,
    order: VecDeque<K>,
    limit: usize,
}

impl<K: Copy + Eq + std::hash::Hash> Bounded<K> {
    fn new(limit: usize) -> Self {
        Self {
            map: HashMap::new(),
            order: VecDeque::new(),
            limit,
        }
    }

    fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    fn get(&self, key: &K) -> Option<&Secret> {
        self.map.get(key)
    }

    fn insert(&mut self, key: K, secret: Secret) {
        if self.map.insert(key, secret).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.map.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(byte: u8) -> Secret {
        Secret::new(&[byte; 48]).expect("short enough")
    }

    #[test]
    fn beyond_the_limit_the_oldest_go_and_are_counted() {
        let mut secrets = Secrets::default();
        secrets.limit(3);
        for byte in 0..10 {
            secrets.insert(SecretKind::Master, Name::Random([byte; 32]), secret(byte), false);
            secrets.insert(SecretKind::ClientEarly, Name::Random([byte; 32]), secret(byte), false);
        }
        assert_eq!(secrets.unclaimed(), (3, 7));
        assert!(secrets.find(&[6; 32], SecretKind::Master).is_none());
        assert_eq!(secrets.find(&[7; 32], SecretKind::Master), Some(&secret(7)));
        assert_eq!(secrets.unclaimed(), (2, 7), "what was found is not unclaimed");
    }

    #[test]
    fn sessions_are_found_by_id_or_ticket_and_bounded() {
        let mut bounded = Bounded::new(2);
        for key in 0..5_u8 {
            bounded.insert(key, secret(key));
            bounded.insert(key, secret(key));
        }
        assert_eq!([2, 3, 4].map(|key| bounded.get(&key).is_some()), [false, true, true]);
        let mut secrets = Secrets::default();
        secrets.remember(SessionName::of(b"ticket"), secret(1));
        assert_eq!(secrets.recall(SessionName::of(b"ticket")), Some(&secret(1)));
        assert_eq!(secrets.recall(SessionName::of(b"other")), None);
    }

    #[test]
    fn debug_shows_no_secret() {
        let mut secrets = Secrets::default();
        secrets.insert(SecretKind::Master, Name::Random([1; 32]), secret(0xee), false);
        let shown = format!("{secrets:?}");
        assert!(!shown.contains("238"), "{shown}");
        assert!(shown.contains("Secret(48 bytes)"), "{shown}");
    }
}
