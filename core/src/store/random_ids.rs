//! Tells session IDs that were offers from those of which nothing is known.
//!
//! A client of TLS 1.2 or older may put a random session ID into its ClientHello and never resume by one. Go does, and is known
//! by its hellos. Of others nothing in a hello tells such an ID from a session that is older than the capture, or that another
//! server behind the same address made. What the client does with session IDs does: one that offers an ID which was issued in
//! the capture, or which a server accepts, or brings the same one twice, or says hello without one, offers sessions. Until that
//! is seen the offer stays unclear: one that never brings what it is given may be given more elsewhere.

use std::net::IpAddr;

use hashbrown::HashMap;

use crate::session::{Connection, ConnectionId, CredentialId, Mechanism, Offer, OfferKind};

use super::{ConnectionStore, CredentialStore};

/// A program: its address, and the digest of what stays the same in its hellos.
type Client = (IpAddr, u64);

/// Settles the session IDs of which it was not clear whether they were offers, as far as what is kept by now tells. Gives
/// the connections whose offers changed; their outcome is to be decided anew.
pub fn settle(connection_store: &mut ConnectionStore, credential_store: &mut CredentialStore) -> Vec<ConnectionId> {
    let mut clients: HashMap<Client, Vec<ConnectionId>> = HashMap::new();
    for (_, connection) in connection_store.iter() {
        if let Some(client) = is_unclear(connection).then(|| client_of(connection)).flatten() {
            clients.entry(client).or_default();
        }
    }
    if clients.is_empty() {
        return Vec::new();
    }
    for (id, connection) in connection_store.iter() {
        if let Some(own) = client_of(connection).and_then(|client| clients.get_mut(&client)) {
            own.push(id);
        }
    }
    let mut changed = Vec::new();
    for own in clients.into_values() {
        let connections = own.iter().filter_map(|id| connection_store.get(*id));
        let offers = offers_ids(connections, credential_store);
        for id in own {
            if settle_one(id, offers, connection_store, credential_store) {
                changed.push(id);
            }
        }
    }
    changed.sort_unstable();
    changed
}

fn client_of(connection: &Connection) -> Option<Client> {
    let hello = connection.hello.yes()?;
    Some((connection.client_address(), hello.stack.digest))
}

fn is_unclear(connection: &Connection) -> bool {
    let unclear = |offer: &Offer| offer.kind == OfferKind::UnclearSessionId;
    connection.offers.iter().any(unclear)
}

/// Whether these connections of a client show that it offers sessions by their IDs.
fn offers_ids<'a>(mut connections: impl Iterator<Item = &'a Connection>, credential_store: &CredentialStore) -> bool {
    let mut brought: HashMap<CredentialId, [u8; 32]> = HashMap::new();
    connections.any(|connection| {
        resumes(connection, credential_store) || brings_none(connection) || brings_again(connection, &mut brought)
    })
}

/// Whether it offers a session ID that is known to name a session.
fn resumes(connection: &Connection, credential_store: &CredentialStore) -> bool {
    connection.offers.iter().any(|offer| {
        let issued = |id| {
            credential_store
                .get(id)
                .is_some_and(|credential| credential.issued.is_some())
        };
        offer.kind.mechanism() == Mechanism::SessionId
            && (connection.accepted == Some(offer.credential) || issued(offer.credential))
    })
}

/// Whether it brings an ID of another hello with another random: nobody makes up the same one twice.
fn brings_again(connection: &Connection, brought: &mut HashMap<CredentialId, [u8; 32]>) -> bool {
    let Some(hello) = connection.hello.yes() else {
        return false;
    };
    let unclear = connection.offers.iter();
    let mut unclear = unclear.filter(|offer| offer.kind == OfferKind::UnclearSessionId);
    unclear.any(|offer| *brought.entry(offer.credential).or_insert(hello.random) != hello.random)
}

/// Whether its hello has no session ID although it could: stacks that make them up fill the field in every hello.
fn brings_none(connection: &Connection) -> bool {
    let hello = connection.hello.yes();
    hello.is_some_and(|hello| hello.session_id.is_none() && !hello.offers_tls13 && !hello.v2_format)
}

/// Whether something changed.
fn settle_one(
    id: ConnectionId,
    offers: bool,
    connection_store: &mut ConnectionStore,
    credential_store: &CredentialStore,
) -> bool {
    let unclear = |offer: &&Offer| offer.kind == OfferKind::UnclearSessionId;
    let Some(connection) = connection_store.get(id) else {
        return false;
    };
    let Some(offer) = connection.offers.iter().find(unclear) else {
        return false;
    };
    let issued = credential_store
        .get(offer.credential)
        .is_some_and(|known| known.issued.is_some());
    let Some(connection) = connection_store.get_mut(id).filter(|_| offers || issued) else {
        return false;
    };
    for offer in &mut connection.offers {
        if offer.kind == OfferKind::UnclearSessionId {
            offer.kind = OfferKind::Resumption(Mechanism::SessionId);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use crate::session::tests::{answered, at};
    use crate::session::{Blindness, Completed, Seen};
    use crate::session::{Credential, CredentialFingerprint, CredentialId, Issue};
    use crate::session::{Offer, Outcome};
    use crate::store::CredentialStore;
    use crate::tls::ProtocolVersion;

    use crate::session::TransportKind;

    use super::*;

    /// A client that says hello again and again with session IDs, and what it is given.
    struct Talk {
        connection_store: ConnectionStore,
        credential_store: CredentialStore,
    }

    impl Talk {
        fn new() -> Self {
            Self {
                connection_store: ConnectionStore::new(1 << 20),
                credential_store: CredentialStore::default(),
            }
        }

        fn enter(&mut self, id: u8) -> CredentialId {
            let name = CredentialFingerprint::of(&[id; 32]);
            self.credential_store
                .enter(TransportKind::Tcp, Mechanism::SessionId, &name, || {
                    Credential::unseen(
                        TransportKind::Tcp,
                        Mechanism::SessionId,
                        name,
                        crate::session::tests::endpoint(2),
                    )
                })
        }

        /// A full handshake, from second `start` on, whose hello has one session ID and which issues another.
        fn full(&mut self, start: u32, brings: u8, gets: Option<u8>) -> ConnectionId {
            let id = self.connection_store.reserve();
            let mut connection = answered(start, "a.test", ProtocolVersion::TLS_1_2);
            connection.completed = Completed::Yes;
            connection.outcome = Outcome::Unclear(Blindness::NothingTellsApart);
            connection.client_side.finished = Some(at(start + 2));
            connection.server_side.finished = Some(at(start + 3));
            if let Seen::Yes(hello) = &mut connection.hello {
                hello.session_id = Some([brings; 4]);
            }
            let credential = self.enter(brings);
            self.credential_store
                .get_mut(credential)
                .expect("entered")
                .offers
                .push(id);
            let issued = self
                .credential_store
                .get(credential)
                .is_some_and(|known| known.issued.is_some());
            connection.offers.push(Offer {
                credential,
                kind: if issued {
                    OfferKind::Resumption(Mechanism::SessionId)
                } else {
                    OfferKind::UnclearSessionId
                },
                obfuscated_age: 0,
                binder: 0,
            });
            if let Some(gets) = gets {
                let given = self.enter(gets);
                self.credential_store.get_mut(given).expect("entered").issued = Some(Issue {
                    connection: id,
                    at: at(start + 1),
                });
                connection.issued.push(given);
            }
            self.connection_store.keep(id, connection, &mut self.credential_store);
            id
        }

        /// How many connections changed, and what is offered afterwards.
        fn settled(&mut self) -> (usize, Vec<Option<OfferKind>>) {
            let changed = settle(&mut self.connection_store, &mut self.credential_store);
            let kinds = self.connection_store.iter();
            let kinds = kinds.map(|(_, connection)| connection.offers.first().map(|offer| offer.kind));
            (changed.len(), kinds.collect())
        }
    }

    const OFFERED: Option<OfferKind> = Some(OfferKind::Resumption(Mechanism::SessionId));
    const UNCLEAR: Option<OfferKind> = Some(OfferKind::UnclearSessionId);

    #[test]
    fn an_unknown_id_may_be_of_another_server_however_often_one_comes() {
        let mut talk = Talk::new();
        talk.full(10, 1, Some(101));
        talk.full(20, 2, Some(102));
        talk.full(30, 3, Some(103));
        assert_eq!(talk.settled(), (0, vec![UNCLEAR; 3]));
    }

    #[test]
    fn a_client_that_offers_what_it_was_given_offered_what_it_brought() {
        let mut talk = Talk::new();
        talk.full(10, 1, Some(101));
        talk.full(20, 101, Some(102));
        assert_eq!(talk.settled(), (1, vec![OFFERED, OFFERED]));
        // Another program behind the address has a session from before, too.
        let mut talk = Talk::new();
        talk.full(10, 1, Some(101));
        talk.full(20, 2, Some(102));
        talk.full(30, 102, Some(103));
        assert_eq!(talk.settled().1, [OFFERED; 3]);
    }

    #[test]
    fn a_stack_that_says_hello_without_an_id_makes_none_up() {
        let mut talk = Talk::new();
        let first = talk.full(10, 1, Some(101));
        talk.full(20, 2, Some(102));
        talk.full(30, 3, Some(103));
        let connection = talk.connection_store.get_mut(first).expect("kept");
        connection.hello.yes_mut().expect("a hello").session_id = None;
        connection.offers.clear();
        assert_eq!(talk.settled().1, [None, OFFERED, OFFERED]);
    }

    #[test]
    fn an_id_that_is_brought_twice_is_not_made_up() {
        let mut talk = Talk::new();
        talk.full(10, 1, Some(101));
        talk.full(20, 1, Some(102));
        // The same hello once more, as the copy of a connection has it.
        assert_eq!(talk.settled().1, [UNCLEAR; 2]);
        let mut talk = Talk::new();
        talk.full(10, 1, Some(101));
        let again = talk.full(20, 1, Some(102));
        let again = talk.connection_store.get_mut(again).expect("kept");
        again.hello.yes_mut().expect("a hello").random = [2; 32];
        assert_eq!(talk.settled(), (2, vec![OFFERED, OFFERED]));
    }

    #[test]
    fn one_hello_alone_tells_nothing() {
        let mut talk = Talk::new();
        talk.full(10, 1, Some(101));
        assert_eq!(talk.settled(), (0, vec![UNCLEAR]));
        // Nor does a second one that comes before the first handshake is over, or that was given nothing.
        talk.full(12, 2, None);
        talk.full(13, 3, None);
        assert_eq!(talk.settled(), (0, vec![UNCLEAR; 3]));
    }
}
