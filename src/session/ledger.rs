//! Every credential ever seen, and who offered it.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use crate::net::Endpoint;

use super::connection::{ConnectionId, Mechanism};
use super::credential::{Credential, CredentialId, Name};

/// Credentials that stand together: a shelf on which nothing is left is given back.
const SHELF: usize = 256;

/// All credentials, found by mechanism and digest. A clone shares them.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    /// By number, `SHELF` to a shelf; shelves in front that are empty are gone.
    shelves: VecDeque<Option<Shelf>>,
    /// Number of the first shelf.
    first: usize,
    /// Number of credentials ever entered.
    entered: usize,
    index: HashMap<(Mechanism, u128), CredentialId>,
    /// First bytes of every session ID entered. Most IDs in hellos are random (RFC 8446 §4.1.2): this tells without a
    /// digest that they were never issued.
    session_ids: HashSet<u64>,
    forgotten: u64,
}

#[derive(Debug, Clone, Default)]
struct Shelf {
    places: Vec<Option<Arc<Credential>>>,
    left: usize,
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
        let next = CredentialId(u32::try_from(self.entered).unwrap_or(u32::MAX));
        let id = *self.index.entry((mechanism, name.key())).or_insert(next);
        if id == next {
            if mechanism == Mechanism::SessionId {
                self.session_ids.insert(prefix(&name.head));
            }
            self.push(new());
        }
        id
    }

    fn push(&mut self, credential: Credential) {
        if self.entered.is_multiple_of(SHELF) {
            self.shelves.push_back(Some(Shelf::default()));
        }
        self.entered += 1;
        if let Some(Some(shelf)) = self.shelves.back_mut() {
            shelf.places.push(Some(Arc::new(credential)));
            shelf.left += 1;
        }
    }

    fn place(&self, id: CredentialId) -> Option<(usize, usize)> {
        let number = id.0 as usize;
        Some(((number / SHELF).checked_sub(self.first)?, number % SHELF))
    }

    /// A credential; `None` once it was forgotten.
    #[must_use]
    pub fn get(&self, id: CredentialId) -> Option<&Credential> {
        let (shelf, place) = self.place(id)?;
        self.shelves.get(shelf)?.as_ref()?.places.get(place)?.as_deref()
    }

    /// A credential, to change.
    pub fn get_mut(&mut self, id: CredentialId) -> Option<&mut Credential> {
        let (shelf, place) = self.place(id)?;
        let credential = self.shelves.get_mut(shelf)?.as_mut()?.places.get_mut(place)?;
        credential.as_mut().map(Arc::make_mut)
    }

    /// All credentials that are still known, in the order in which they were first seen.
    pub fn iter(&self) -> impl Iterator<Item = (CredentialId, &Credential)> {
        let shelves = (self.first..).zip(&self.shelves);
        shelves
            .filter_map(|(number, shelf)| Some((number * SHELF, shelf.as_ref()?)))
            .flat_map(|(base, shelf)| (base..).zip(&shelf.places))
            .filter_map(|(number, credential)| {
                Some((CredentialId(u32::try_from(number).ok()?), credential.as_deref()?))
            })
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
        for (base, shelf) in (self.first..).map(|shelf| shelf * SHELF).zip(&mut self.shelves) {
            let places = shelf.iter_mut().flat_map(|shelf| &mut shelf.places);
            for (number, place) in (base..).zip(places) {
                let Some(credential) = place.as_mut().map(Arc::make_mut) else {
                    continue;
                };
                change(credential);
                let id = CredentialId(u32::try_from(number).unwrap_or(u32::MAX));
                self.index.insert((credential.mechanism, credential.name.key()), id);
                if credential.mechanism == Mechanism::SessionId {
                    self.session_ids.insert(prefix(&credential.name.head));
                }
            }
        }
    }

    /// Forgets a credential when every connection it is known from is older than `oldest`.
    pub fn forget(&mut self, id: CredentialId, oldest: ConnectionId) {
        let Some(credential) = self.get_mut(id) else { return };
        let issued_before = credential.issued.is_none_or(|issue| issue.connection < oldest);
        if !issued_before || credential.offers.iter().any(|offer| *offer >= oldest) {
            // What is offered for weeks must not remember every time. Half at once, so that it costs nothing in the end.
            let gone = credential.offers.iter().filter(|offer| **offer < oldest).count();
            if gone > credential.offers.len() / 2 {
                credential.offers.retain(|offer| *offer >= oldest);
            }
            return;
        }
        let key = (credential.mechanism, credential.name.key());
        self.index.remove(&key);
        self.take_off(id);
        self.forgotten += 1;
        // Two IDs may begin alike, so that of one alone is not taken out.
        if self.session_ids.len() > 2 * self.index.len().max(1024) {
            self.session_ids = self.living_session_ids();
        }
    }

    /// Empties a place, and gives back what stands empty.
    fn take_off(&mut self, id: CredentialId) {
        let Some((number, place)) = self.place(id) else { return };
        let Some(slot) = self.shelves.get_mut(number) else {
            return;
        };
        if let Some(shelf) = slot
            && let Some(credential) = shelf.places.get_mut(place)
        {
            *credential = None;
            shelf.left -= 1;
            if shelf.left == 0 && shelf.places.len() == SHELF {
                *slot = None;
            }
        }
        while let Some(None) = self.shelves.front() {
            self.shelves.pop_front();
            self.first += 1;
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
        self.entered
    }
}

fn prefix(head: &[u8; Name::HEAD]) -> u64 {
    head.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}
