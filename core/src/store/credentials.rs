//! Every credential ever seen, and who offered it.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use crate::net::Endpoint;

use crate::session::{ConnectionId, Mechanism, TransportKind, set_back_by};
use crate::session::{Credential, CredentialFingerprint, CredentialId};

/// The number that every credential gets when all others are given away: none is known by it. In a run of months that is
/// better than to take one credential for another.
const NO_ROOM: CredentialId = CredentialId(u32::MAX);

/// What a credential is found by: what is issued as one kind of credential is never offered as another. Bytes and no number:
/// that would be aligned, and the index half as large again.
type Key = (TransportKind, Mechanism, [u8; 16]);

const fn key(transport: TransportKind, mechanism: Mechanism, digest: [u8; 16]) -> Key {
    (transport, mechanism, digest)
}

/// Connections that did not offer a credential after all, for each of several.
pub type TakenBack = HashMap<CredentialId, HashSet<ConnectionId>>;

/// Connections whose offers of a credential are those of another leg, for each of several credentials.
pub type HandedOn = HashMap<CredentialId, HashMap<ConnectionId, ConnectionId>>;

/// Credentials that stand together: a shelf on which nothing is left is given back.
const SHELF: usize = 256;

/// All credentials, found by transport, mechanism and digest: tickets of QUIC hold transport parameters (RFC 9001 §4.5),
/// and no server takes them over TCP. A clone shares them.
#[derive(Debug, Clone, Default)]
pub struct CredentialStore {
    /// By number, `SHELF` to a shelf; shelves in front that are empty are gone.
    shelves: VecDeque<Option<Shelf>>,
    /// Number of the first shelf.
    first: usize,
    /// Number of credentials ever entered.
    entered: usize,
    index: HashMap<Key, CredentialId>,
    /// First bytes of every session ID entered. Most IDs in hellos are random (RFC 8446 §4.1.2): this tells without a
    /// digest that they were never issued.
    session_ids: HashSet<u64>,
    /// Those of before they were last sorted out: of what is forgotten as many are remembered as of what is not.
    former_session_ids: HashSet<u64>,
    forgotten: u64,
}

#[derive(Debug, Clone, Default)]
struct Shelf {
    places: Vec<Option<Arc<Credential>>>,
    left: usize,
}

impl CredentialStore {
    /// The credential with this name, if it was seen before.
    #[must_use]
    pub fn find(
        &self,
        transport: TransportKind,
        mechanism: Mechanism,
        name: &CredentialFingerprint,
    ) -> Option<CredentialId> {
        self.index.get(&key(transport, mechanism, name.key())).copied()
    }

    /// The session ID with these bytes, if it was seen before.
    #[must_use]
    pub fn find_session_id(&self, transport: TransportKind, id: &[u8]) -> Option<CredentialId> {
        let known = self.session_ids.contains(&prefix(id));
        known
            .then(|| self.find(transport, Mechanism::SessionId, &CredentialFingerprint::of(id)))
            .flatten()
    }

    /// Whether a session ID with these bytes was seen before and is forgotten, as far as that is remembered.
    #[must_use]
    pub fn has_forgotten_session_id(&self, transport: TransportKind, id: &[u8]) -> bool {
        if self.forgotten == 0 {
            return false;
        }
        let first = prefix(id);
        let was_seen = self.session_ids.contains(&first) || self.former_session_ids.contains(&first);
        was_seen && self.find_session_id(transport, id).is_none()
    }

    /// Whether a session ID is the SHA-256 of a ticket that was seen. OpenSSL names a session so that it was given a ticket
    /// for: no server issued such an ID.
    #[must_use]
    pub fn is_digest_of_ticket(&self, transport: TransportKind, id: &[u8]) -> bool {
        let Some(first) = id.first_chunk() else { return false };
        let ticket = self.index.get(&key(transport, Mechanism::Ticket, *first));
        ticket
            .and_then(|ticket| self.get(*ticket))
            .is_some_and(|ticket| ticket.name.sha256 == id)
    }

    /// The credential with this name; `new` makes it when it was not seen before.
    pub fn enter(
        &mut self,
        transport: TransportKind,
        mechanism: Mechanism,
        name: &CredentialFingerprint,
        new: impl FnOnce() -> Credential,
    ) -> CredentialId {
        let next = match u32::try_from(self.entered) {
            Ok(number) if number != NO_ROOM.0 => CredentialId(number),
            _ => return self.find(transport, mechanism, name).unwrap_or(NO_ROOM),
        };
        let id = *self.index.entry(key(transport, mechanism, name.key())).or_insert(next);
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

    /// `leg` is another leg of the connection `whole`, each with the server it goes to: what it issued is what that one
    /// did. Its offers are taken back with those of all other legs, by [`CredentialStore::take_back`].
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
            if credential.server == behind {
                credential.server = server;
            }
        }
    }

    /// What those connections offered is told of another one each, at once as in [`CredentialStore::take_back`].
    pub fn hand_on(&mut self, offers: &HandedOn) {
        for (id, legs) in offers {
            let Some(credential) = self.get_mut(*id) else { continue };
            for offer in &mut credential.offers {
                // No leg comes again: it was taken out for the one that it leads to.
                while let Some(whole) = legs.get(offer) {
                    *offer = *whole;
                }
            }
        }
    }

    /// Those connections did not offer these credentials after all. One that nobody else offered or issued is none. All at
    /// once: a session that is offered a million times would be walked through for each of them.
    pub fn take_back(&mut self, offers: &TakenBack) {
        for (id, connections) in offers {
            let Some(credential) = self.get_mut(*id) else { continue };
            credential.offers.retain(|offer| !connections.contains(offer));
            if credential.issued.is_none() && credential.offers.is_empty() {
                let key = key(credential.transport, credential.mechanism, credential.name.key());
                self.index.remove(&key);
                self.take_off(*id);
            }
        }
    }

    /// This connection issued it by a clock that was ahead by so many nanoseconds. Where another showed the same issue, that
    /// one's time stands.
    pub fn set_issue_back(&mut self, credential: CredentialId, connection: ConnectionId, ahead: i64) {
        let issue = self.get_mut(credential).and_then(|known| known.issued.as_mut());
        if let Some(issue) = issue.filter(|issue| issue.connection == connection) {
            set_back_by(&mut issue.at, ahead);
        }
    }

    /// A connection turns out to be none of TLS: it did not issue these credentials, nor offer them.
    pub fn disown(&mut self, connection: ConnectionId, credentials: impl Iterator<Item = CredentialId>) {
        let mut taken = TakenBack::new();
        for id in credentials {
            if let Some(credential) = self.get_mut(id) {
                credential.issued = credential.issued.filter(|issue| issue.connection != connection);
            }
            taken.entry(id).or_default().insert(connection);
        }
        self.take_back(&taken);
    }

    /// Changes the names of every credential; from then on they are found by their new ones.
    pub fn rename(&mut self, mut change: impl FnMut(&mut Credential)) {
        self.index.clear();
        self.session_ids.clear();
        self.former_session_ids.clear();
        for (base, shelf) in (self.first..).map(|shelf| shelf * SHELF).zip(&mut self.shelves) {
            let places = shelf.iter_mut().flat_map(|shelf| &mut shelf.places);
            for (number, place) in (base..).zip(places) {
                let Some(credential) = place.as_mut().map(Arc::make_mut) else {
                    continue;
                };
                change(credential);
                let id = CredentialId(u32::try_from(number).unwrap_or(u32::MAX));
                self.index.insert(
                    key(credential.transport, credential.mechanism, credential.name.key()),
                    id,
                );
                if credential.mechanism == Mechanism::SessionId {
                    self.session_ids.insert(prefix(&credential.name.head));
                }
            }
        }
    }

    /// Puts the offers of each credential in the order of these moments. They came as the connections showed what they were: of
    /// two hellos the earlier one may have been answered later.
    pub fn sort_offers<K: Ord>(&mut self, moment: impl Fn(ConnectionId) -> K) {
        let places = self
            .shelves
            .iter_mut()
            .flatten()
            .flat_map(|shelf| &mut shelf.places)
            .flatten();
        for place in places {
            // Most were offered once, and need no look at their connection.
            if place.offers.len() > 1 && !place.offers.is_sorted_by_key(|id| moment(*id)) {
                Arc::make_mut(place).offers.sort_by_cached_key(|id| moment(*id));
            }
        }
    }

    /// Forgets a credential when every connection it is known from is older than `oldest`.
    pub fn forget(&mut self, id: CredentialId, oldest: ConnectionId) {
        let Some(credential) = self.get_mut(id) else { return };
        let issued_before = credential.issued.is_none_or(|issue| issue.connection < oldest);
        let offers = &mut credential.offers;
        // The latest stand last.
        if !issued_before || offers.iter().rev().any(|offer| *offer >= oldest) {
            // What is offered for weeks must not remember every time. Half at once, so that it costs nothing in the end; the
            // middle one tells, for this is asked for every connection that is folded away.
            if offers.get(offers.len() / 2).is_some_and(|middle| *middle < oldest) {
                offers.retain(|offer| *offer >= oldest);
            }
            return;
        }
        let key = key(credential.transport, credential.mechanism, credential.name.key());
        self.index.remove(&key);
        self.take_off(id);
        self.forgotten += 1;
        // Two IDs may begin alike, so that of one alone is not taken out.
        if self.session_ids.len() > 2 * self.index.len().max(1024) {
            let living = self.living_session_ids();
            self.former_session_ids = std::mem::replace(&mut self.session_ids, living);
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

    /// Numbers that credentials bear which are still known: the first and the last there may be, and how many there are.
    pub(crate) fn numbers(&self) -> (RangeInclusive<u32>, u32) {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let first = number(self.first * SHELF);
        let last = number(self.entered).saturating_sub(1).max(first);
        (first..=last, number(self.index.len()))
    }

    /// Number of credentials ever entered.
    #[must_use]
    pub fn entered(&self) -> usize {
        self.entered
    }
}

/// The first eight bytes, with zeros behind those of a shorter ID, as in [`CredentialFingerprint::head`].
fn prefix(id: &[u8]) -> u64 {
    let mut first = [0; 8];
    first.iter_mut().zip(id).for_each(|(to, from)| *to = *from);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use smallvec::smallvec;

    use crate::session::Issue;
    use crate::session::tests::{at, endpoint};

    use super::*;

    fn bytes(number: u32) -> Vec<u8> {
        [&number.to_be_bytes()[..], &[7; 28]].concat()
    }

    /// A session ID that a connection issued.
    fn enter(credential_store: &mut CredentialStore, number: u32, by: u32) -> CredentialId {
        let name = CredentialFingerprint::of(&bytes(number));
        let id = credential_store.enter(TransportKind::Tcp, Mechanism::SessionId, &name, || {
            Credential::unseen(TransportKind::Tcp, Mechanism::SessionId, name, endpoint(2))
        });
        let issue = Issue {
            connection: ConnectionId(by),
            at: at(by),
        };
        credential_store.get_mut(id).expect("just entered").issued = Some(issue);
        id
    }

    fn offer(credential_store: &mut CredentialStore, id: CredentialId, by: impl IntoIterator<Item = u32>) {
        let offers = by.into_iter().map(ConnectionId);
        credential_store
            .get_mut(id)
            .expect("a known credential")
            .offers
            .extend(offers);
    }

    #[test]
    fn offers_are_put_in_the_order_of_their_moments() {
        let mut credential_store = CredentialStore::default();
        let id = enter(&mut credential_store, 1, 1);
        offer(&mut credential_store, id, [4, 2, 3]);
        // The fourth said hello before the third.
        credential_store.sort_offers(|id| [None, Some(1), Some(7), Some(9), Some(8)][id.0 as usize]);
        let offers = credential_store.get(id).map(|credential| credential.offers.to_vec());
        assert_eq!(offers, Some([2, 4, 3].map(ConnectionId).to_vec()));
    }

    #[test]
    fn a_credential_is_found_by_its_mechanism_and_bytes_alone() {
        let mut credential_store = CredentialStore::default();
        let id = enter(&mut credential_store, 1, 1);
        assert_eq!(enter(&mut credential_store, 1, 1), id);
        assert_ne!(enter(&mut credential_store, 2, 1), id);
        assert_eq!(
            credential_store.find(
                TransportKind::Tcp,
                Mechanism::SessionId,
                &CredentialFingerprint::of(&bytes(1))
            ),
            Some(id)
        );
        assert_eq!(
            credential_store.find(
                TransportKind::Tcp,
                Mechanism::Psk,
                &CredentialFingerprint::of(&bytes(1))
            ),
            None
        );
        assert_eq!(
            credential_store.find_session_id(TransportKind::Tcp, &bytes(1)),
            Some(id)
        );
        assert_eq!(credential_store.find_session_id(TransportKind::Tcp, &bytes(3)), None);
        // What begins alike, as two IDs may, is another one.
        assert_eq!(
            credential_store.find_session_id(TransportKind::Tcp, &bytes(1)[..12]),
            None
        );
        let psk = CredentialFingerprint::of(&bytes(9));
        credential_store.enter(TransportKind::Tcp, Mechanism::Psk, &psk, || {
            Credential::unseen(TransportKind::Tcp, Mechanism::Psk, psk, endpoint(2))
        });
        assert_eq!(credential_store.find_session_id(TransportKind::Tcp, &bytes(9)), None);
    }

    #[test]
    fn openssl_names_a_session_by_the_digest_of_its_ticket() {
        let mut credential_store = CredentialStore::default();
        let ticket = CredentialFingerprint::of(&[5; 192]);
        assert!(!credential_store.is_digest_of_ticket(TransportKind::Tcp, &ticket.sha256));
        credential_store.enter(TransportKind::Tcp, Mechanism::Ticket, &ticket, || {
            Credential::unseen(TransportKind::Tcp, Mechanism::Ticket, ticket, endpoint(2))
        });
        assert!(credential_store.is_digest_of_ticket(TransportKind::Tcp, &ticket.sha256));
        assert!(
            !credential_store.is_digest_of_ticket(TransportKind::Tcp, &ticket.sha256[..16])
                && !credential_store.is_digest_of_ticket(TransportKind::Tcp, &[5; 32])
        );
    }

    #[test]
    fn a_credential_that_nobody_offered_or_issued_is_none() {
        let mut credential_store = CredentialStore::default();
        let (issued, random) = (enter(&mut credential_store, 1, 1), enter(&mut credential_store, 2, 1));
        credential_store.get_mut(random).expect("known").issued = None;
        for id in [issued, random] {
            offer(&mut credential_store, id, [3, 4]);
            credential_store.take_back(&TakenBack::from([(id, HashSet::from([ConnectionId(3)]))]));
            assert!(credential_store.get(id).is_some(), "another connection offers it");
            credential_store.take_back(&TakenBack::from([(id, HashSet::from([ConnectionId(4)]))]));
        }
        assert!(
            credential_store
                .get(issued)
                .is_some_and(|credential| credential.offers.is_empty())
        );
        assert_eq!(
            (
                credential_store.get(random).map(|_| ()),
                credential_store.find_session_id(TransportKind::Tcp, &bytes(2))
            ),
            (None, None)
        );
        assert_eq!(credential_store.forgotten(), 0, "nothing was lost");
    }

    #[test]
    fn what_a_connection_that_is_none_issued_or_offered_is_of_those_alone_that_did_too() {
        let mut credential_store = CredentialStore::default();
        let [alone, elsewhere, offered] = [1, 2, 3].map(|name| enter(&mut credential_store, name, 1));
        offer(&mut credential_store, offered, [1, 4]);
        credential_store.get_mut(elsewhere).expect("known").issued = Some(Issue {
            connection: ConnectionId(2),
            at: at(1),
        });
        credential_store.disown(ConnectionId(1), [alone, elsewhere, offered].into_iter());
        assert!(credential_store.get(alone).is_none());
        let kept = |id| {
            credential_store
                .get(id)
                .map(|kept| (kept.issued.is_some(), kept.offers.to_vec()))
        };
        assert_eq!(kept(elsewhere), Some((true, vec![])));
        assert_eq!(kept(offered), Some((false, vec![ConnectionId(4)])));
    }

    #[test]
    fn every_credential_of_many_keeps_its_place() {
        let mut credential_store = CredentialStore::default();
        let ids: Vec<CredentialId> = (0..1000)
            .map(|number| enter(&mut credential_store, number, number))
            .collect();
        for id in &ids[..600] {
            credential_store.forget(*id, ConnectionId(600));
        }
        let issuer = |id: CredentialId| credential_store.get(id)?.issued.map(|issue| issue.connection.0);
        for (id, number) in ids.iter().zip(0..) {
            assert_eq!(issuer(*id), (number >= 600).then_some(number));
        }
        let left: Vec<CredentialId> = credential_store.iter().map(|(id, _)| id).collect();
        assert_eq!(left, ids[600..]);
        assert_eq!((credential_store.entered(), credential_store.forgotten()), (1000, 600));
        assert_eq!(enter(&mut credential_store, 5000, 5000), CredentialId(1000));
        assert_eq!(credential_store.find_session_id(TransportKind::Tcp, &bytes(3)), None);
    }

    /// Two shelves are empty and gone; of the third some are left.
    #[test]
    fn what_stands_empty_is_given_back() {
        let mut credential_store = CredentialStore::default();
        let ids: Vec<CredentialId> = (0..1000)
            .map(|number| enter(&mut credential_store, number, number))
            .collect();
        for id in &ids[..600] {
            credential_store.forget(*id, ConnectionId(600));
        }
        assert_eq!((credential_store.first, credential_store.shelves.len()), (2, 2));
        // In the middle the place of a shelf stays, without its content.
        for id in &ids[768..] {
            credential_store.forget(*id, ConnectionId(2000));
        }
        assert_eq!(
            credential_store.shelves.iter().filter(|shelf| shelf.is_some()).count(),
            2
        );
        for id in &ids[600..768] {
            credential_store.forget(*id, ConnectionId(2000));
        }
        assert_eq!(credential_store.iter().count(), 0);
        // The last shelf is not full: it waits for the next credential.
        assert_eq!((credential_store.first, credential_store.shelves.len()), (3, 1));
    }

    #[test]
    fn a_credential_is_forgotten_only_when_nobody_kept_knows_it() {
        let mut credential_store = CredentialStore::default();
        let id = enter(&mut credential_store, 1, 3);
        credential_store.forget(id, ConnectionId(3));
        assert!(credential_store.get(id).is_some(), "its issuer is kept");
        offer(&mut credential_store, id, [4]);
        credential_store.forget(id, ConnectionId(4));
        assert!(credential_store.get(id).is_some(), "who offered it is kept");
        credential_store.forget(id, ConnectionId(5));
        assert!(credential_store.get(id).is_none());
        credential_store.forget(id, ConnectionId(5));
        assert_eq!(credential_store.forgotten(), 1);
    }

    #[test]
    fn offers_of_forgotten_connections_go_once_they_are_more_than_half() {
        let mut credential_store = CredentialStore::default();
        let id = enter(&mut credential_store, 1, 0);
        offer(&mut credential_store, id, 1..=10);
        let offers =
            |credential_store: &CredentialStore| credential_store.get(id).map(|credential| credential.offers.len());
        credential_store.forget(id, ConnectionId(6));
        assert_eq!(offers(&credential_store), Some(10));
        credential_store.forget(id, ConnectionId(7));
        assert_eq!(offers(&credential_store), Some(4));
    }

    #[test]
    fn first_bytes_of_session_ids_are_forgotten_when_most_are_of_none() {
        let mut credential_store = CredentialStore::default();
        let ids: Vec<CredentialId> = (0..3000)
            .map(|number| enter(&mut credential_store, number, number))
            .collect();
        for id in &ids[..1500] {
            credential_store.forget(*id, ConnectionId(9000));
        }
        assert_eq!(
            (credential_store.session_ids.len(), credential_store.index.len()),
            (3000, 1500)
        );
        credential_store.forget(ids[1500], ConnectionId(9000));
        assert_eq!(
            (credential_store.session_ids.len(), credential_store.index.len()),
            (1499, 1499)
        );
        assert_eq!(
            credential_store.find_session_id(TransportKind::Tcp, &bytes(2999)),
            Some(ids[2999])
        );
        // As many are remembered for once.
        let forgotten = |number| credential_store.has_forgotten_session_id(TransportKind::Tcp, &bytes(number));
        assert!(forgotten(0) && forgotten(1500) && !forgotten(2999) && !forgotten(3000));
        // A few are not worth the trouble.
        for id in &ids[1501..] {
            credential_store.forget(*id, ConnectionId(9000));
        }
        assert_eq!(
            (credential_store.session_ids.len(), credential_store.index.len()),
            (1499, 0)
        );
    }

    #[test]
    fn another_leg_of_a_connection_is_that_connection() {
        let mut credential_store = CredentialStore::default();
        let (first, second) = (enter(&mut credential_store, 1, 5), enter(&mut credential_store, 2, 6));
        offer(&mut credential_store, second, [5, 8]);
        credential_store.get_mut(first).expect("known").server = endpoint(9);
        let (leg, whole) = ((ConnectionId(5), endpoint(9)), (ConnectionId(4), endpoint(3)));
        credential_store.join(leg, whole, [first, second].into_iter());
        let taken = |id| (id, HashSet::from([ConnectionId(5)]));
        credential_store.take_back(&TakenBack::from([taken(first), taken(second)]));
        let known = |id: CredentialId| {
            let credential = credential_store.get(id).expect("known");
            let issuer = credential.issued.map(|issue| issue.connection.0);
            (issuer, credential.offers.clone(), credential.server)
        };
        assert_eq!(known(first), (Some(4), smallvec![], endpoint(3)));
        assert_eq!(known(second), (Some(6), smallvec![ConnectionId(8)], endpoint(2)));
    }

    #[test]
    fn a_renamed_credential_is_found_by_its_new_name_only() {
        let mut credential_store = CredentialStore::default();
        let ids: Vec<CredentialId> = (0..300)
            .map(|number| enter(&mut credential_store, number, number))
            .collect();
        credential_store.rename(|credential| {
            let number = credential.issued.map_or(0, |issue| issue.connection.0);
            credential.name = CredentialFingerprint::of(&bytes(number + 1000));
        });
        for (id, number) in ids.into_iter().zip(0..) {
            assert_eq!(
                credential_store.find_session_id(TransportKind::Tcp, &bytes(number)),
                None
            );
            assert_eq!(
                credential_store.find_session_id(TransportKind::Tcp, &bytes(number + 1000)),
                Some(id)
            );
        }
    }
}
