//! Every credential ever seen, and who offered it.

use hashbrown::{HashMap, HashSet};

use crate::net::Endpoint;

use super::connection::{ConnectionId, Mechanism};
use super::credential::{Credential, CredentialId, Name};

/// All credentials, found by mechanism and digest.
#[derive(Debug, Default)]
pub struct Ledger {
    credentials: Vec<Option<Box<Credential>>>,
    index: HashMap<(Mechanism, u128), CredentialId>,
    /// First bytes of every session ID entered. Most IDs in hellos are random (RFC 8446 §4.1.2): this tells without a
    /// digest that they were never issued.
    session_ids: HashSet<u64>,
    forgotten: u64,
}

impl Ledger {
    /// The credential with this name, if it was seen before.
    #[must_use]
    pub fn find(&self, mechanism: Mechanism, name: &Name) -> Option<CredentialId> {
        self.index.get(&(mechanism, name.key())).copied()
    }

    /// The session ID with these bytes, if it was seen before.
    #[must_use]
    pub fn find_session_id(&self, id: &[u8]) -> Option<CredentialId> {
        let mut first = [0; Name::HEAD];
        first.iter_mut().zip(id).for_each(|(to, from)| *to = *from);
        let known = self.session_ids.contains(&prefix(&first));
        known.then(|| self.find(Mechanism::SessionId, &Name::of(id))).flatten()
    }

    /// The credential with this name; `new` makes it when it was not seen before.
    pub fn enter(&mut self, mechanism: Mechanism, name: &Name, new: impl FnOnce() -> Credential) -> CredentialId {
        let next = CredentialId(u32::try_from(self.credentials.len()).unwrap_or(u32::MAX));
        let id = *self.index.entry((mechanism, name.key())).or_insert(next);
        if id == next {
            if mechanism == Mechanism::SessionId {
                self.session_ids.insert(prefix(&name.head));
            }
            self.credentials.push(Some(Box::new(new())));
        }
        id
    }

    /// A credential; `None` once it was forgotten.
    #[must_use]
    pub fn get(&self, id: CredentialId) -> Option<&Credential> {
        self.credentials.get(id.0 as usize)?.as_deref()
    }

    /// A credential, to change.
    pub fn get_mut(&mut self, id: CredentialId) -> Option<&mut Credential> {
        self.credentials.get_mut(id.0 as usize)?.as_deref_mut()
    }

    /// All credentials that are still known, in the order in which they were first seen.
    pub fn iter(&self) -> impl Iterator<Item = (CredentialId, &Credential)> {
        (0u32..)
            .map(CredentialId)
            .zip(&self.credentials)
            .filter_map(|(id, credential)| Some((id, credential.as_deref()?)))
    }

    /// `leg` is another leg of the connection `whole`, each with the server it goes to: what it issued and offered is
    /// what that one did.
    pub fn join(
        &mut self,
        (leg, behind): (ConnectionId, Endpoint),
        (whole, server): (ConnectionId, Endpoint),
        credentials: impl Iterator<Item = CredentialId>,
    ) {
        for id in credentials {
            let Some(credential) = self.get_mut(id) else { continue };
            if let Some(issue) = credential.issued.as_mut().filter(|issue| issue.connection == leg) {
                issue.connection = whole;
            }
            credential.offers.retain(|offer| *offer != leg);
            if credential.server == behind {
                credential.server = server;
            }
        }
    }

    /// Changes the names of every credential; from then on they are found by their new ones.
    pub fn rename(&mut self, mut change: impl FnMut(&mut Credential)) {
        self.index.clear();
        self.session_ids.clear();
        for (id, slot) in (0u32..).map(CredentialId).zip(&mut self.credentials) {
            let Some(credential) = slot.as_deref_mut() else {
                continue;
            };
            change(credential);
            self.index.insert((credential.mechanism, credential.name.key()), id);
            if credential.mechanism == Mechanism::SessionId {
                self.session_ids.insert(prefix(&credential.name.head));
            }
        }
    }

    /// Forgets a credential when every connection it is known from is older than `oldest`.
    pub fn forget(&mut self, id: CredentialId, oldest: ConnectionId) {
        let Some(slot) = self.credentials.get_mut(id.0 as usize) else {
            return;
        };
        if let Some(credential) = slot.as_deref_mut()
            && credential
                .offers
                .get(credential.offers.len() / 2)
                .is_some_and(|offer| *offer < oldest)
        {
            // One that is offered for ever keeps only the offers of connections that are kept.
            credential.offers.retain(|offer| *offer >= oldest);
        }
        let old = slot.as_deref().is_some_and(|credential| {
            credential.issued.is_none_or(|issue| issue.connection < oldest)
                && credential.offers.iter().all(|offer| *offer < oldest)
        });
        if old && let Some(credential) = slot.take() {
            self.index.remove(&(credential.mechanism, credential.name.key()));
            self.forgotten += 1;
            // Two IDs may begin alike, so that of one alone is not taken out.
            if self.session_ids.len() > 2 * self.index.len().max(1024) {
                self.session_ids = self.living_session_ids();
            }
        }
    }

    fn living_session_ids(&self) -> HashSet<u64> {
        let living = self.index.values().filter_map(|id| self.get(*id));
        living
            .filter(|credential| credential.mechanism == Mechanism::SessionId)
            .map(|credential| prefix(&credential.name.head))
            .collect()
    }

    /// How many were forgotten to keep memory bounded.
    #[must_use]
    pub const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Number of credentials ever entered.
    #[must_use]
    pub fn entered(&self) -> usize {
        self.credentials.len()
    }
}

fn prefix(head: &[u8; Name::HEAD]) -> u64 {
    head.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}
