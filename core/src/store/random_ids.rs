//! Tells session IDs that were offers from random ones.
//!
//! Some clients put a random session ID into every ClientHello, also of TLS 1.2 and older, and never resume by one: Go
//! does, to see by its echo that a ticket was accepted. Nothing in a hello tells such an ID from a session that is older
//! than the capture. What the client does with the IDs that it is given does: one that offers an ID which was issued in
//! the capture, or which a server accepts, or brings the same one twice, or says hello without one, resumes by session IDs;
//! one that ignores the ID just given and brings a new unknown one does not. Until either is seen the offer stays unclear.
//!
//! An unknown ID may be of another server behind the same address, too, which the capture does not show. So only stacks that
//! look like one which is known to make IDs up can be seen to ignore what they are given.

use std::net::IpAddr;

use hashbrown::HashMap;

use crate::net::{At, FrameRef, Timestamp};

use crate::session::{
    Completed, Connection, ConnectionId, CredentialId, Mechanism, Offer, OfferKind, Service, TicketExtension,
};

use super::{ConnectionStore, CredentialStore, TakenBack};

/// A program: its address, and the digest of what stays the same in its hellos.
type Client = (IpAddr, u64);
/// Orders packets by time, and by frame where times are equal.
type Moment = (Timestamp, FrameRef);

/// What a client does with session IDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// It offers IDs that it was given.
    Resumes,
    /// It ignored one, and brought another.
    Ignores,
}

/// Settles the session IDs of which it was not clear whether they were offers, as far as what is kept by now tells. Gives
/// the connections whose offers changed; their outcome is to be decided anew.
pub fn settle(connection_store: &mut ConnectionStore, credential_store: &mut CredentialStore) -> Vec<ConnectionId> {
    let mut clients: HashMap<Client, Vec<(Moment, ConnectionId)>> = HashMap::new();
    for (_, connection) in connection_store.iter() {
        if let Some(client) = client_of(connection).filter(|_| is_unclear(connection)) {
            clients.entry(client).or_default();
        }
    }
    if clients.is_empty() {
        return Vec::new();
    }
    for (id, connection) in connection_store.iter() {
        if let (Some(client), Some(hello)) = (client_of(connection), connection.hello.yes())
            && let Some(hellos) = clients.get_mut(&client)
        {
            hellos.push((moment(hello.at), id));
        }
    }
    let mut changed = Vec::new();
    let mut taken = TakenBack::new();
    for mut hellos in clients.into_values() {
        hellos.sort_unstable();
        let connections = hellos
            .iter()
            .filter_map(|(at, id)| Some((*at, connection_store.get(*id)?)));
        let does = what_it_does(connections, credential_store);
        for (_, id) in hellos {
            if connection_store.get(id).is_some_and(is_unclear)
                && settle_one(id, does, connection_store, credential_store, &mut taken)
            {
                changed.push(id);
            }
        }
    }
    credential_store.take_back(&taken);
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

const fn moment(at: At) -> Moment {
    (at.time, at.frame)
}

/// What a client is seen to do with session IDs, over its connections in the order of their hellos. That it resumes one
/// weighs more: several programs may stand behind an address, and one of them may bring a session from before the capture
/// where another was just given one.
fn what_it_does<'a>(
    connections: impl Iterator<Item = (Moment, &'a Connection)>,
    credential_store: &CredentialStore,
) -> Option<Use> {
    let mut given: HashMap<Service, Moment> = HashMap::new();
    let mut brought: HashMap<CredentialId, [u8; 32]> = HashMap::new();
    let mut does = None;
    for (hello, connection) in connections {
        let offers = resumes(connection, credential_store) || brings_none(connection);
        if offers || brings_again(connection, &mut brought) {
            return Some(Use::Resumes);
        }
        let service = Service::of(connection);
        let unknown = brings_unknown(connection) && may_make_up(connection);
        if unknown && given.get(&service).is_some_and(|given| *given < hello) {
            does = Some(Use::Ignores);
        }
        if let Some(over) = gave_id(connection, credential_store) {
            let first = given.entry(service).or_insert(over);
            *first = over.min(*first);
        }
    }
    does
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

/// Whether it brings an ID of an earlier hello with another random: nobody makes up the same one twice.
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

/// Whether the stack may put a random ID into each of its hellos. Go does, and its hellos have signed_certificate_timestamp
/// and never encrypt_then_mac. OpenSSL, GnuTLS, Mbed TLS and wolfSSL have that one, Java has neither.
fn may_make_up(connection: &Connection) -> bool {
    let hello = connection.hello.yes();
    let extensions = hello.map(|hello| hello.stack.extensions);
    extensions.is_some_and(|has| has.certificate_timestamps && !has.encrypt_then_mac)
}

/// Whether its hello has a session ID that nobody was seen to issue, where it would offer one that it was given.
fn brings_unknown(connection: &Connection) -> bool {
    let known = |offer: &Offer| offer.kind == OfferKind::Resumption(Mechanism::SessionId);
    let hello = connection.hello.yes().filter(|hello| {
        let tls12 = !hello.offers_tls13 && !hello.v2_format;
        tls12 && hello.session_id.is_some() && hello.ticket != TicketExtension::Offered
    });
    hello.is_some() && !connection.offers.iter().any(known)
}

/// When a handshake was over that gave its client a session ID.
fn gave_id(connection: &Connection, credential_store: &CredentialStore) -> Option<Moment> {
    let is_id = |id| {
        credential_store
            .get(id)
            .is_some_and(|credential| credential.mechanism == Mechanism::SessionId)
    };
    if connection.completed != Completed::Yes || !connection.issued.iter().copied().any(is_id) {
        return None;
    }
    let finished = [connection.server_side.finished, connection.client_side.finished];
    finished.into_iter().flatten().map(moment).max()
}

/// Whether something changed.
fn settle_one(
    id: ConnectionId,
    does: Option<Use>,
    connection_store: &mut ConnectionStore,
    credential_store: &CredentialStore,
    taken: &mut TakenBack,
) -> bool {
    let credential = connection_store.get(id).and_then(|connection| {
        let unclear = connection.offers.iter();
        let mut unclear = unclear.filter(|offer| offer.kind == OfferKind::UnclearSessionId);
        unclear.next().map(|offer| offer.credential)
    });
    let Some(credential) = credential else { return false };
    let issued = credential_store
        .get(credential)
        .is_some_and(|known| known.issued.is_some());
    let does = if issued { Some(Use::Resumes) } else { does };
    let (Some(does), Some(connection)) = (does, connection_store.get_mut(id)) else {
        return false;
    };
    match does {
        Use::Resumes => {
            for offer in &mut connection.offers {
                if offer.kind == OfferKind::UnclearSessionId {
                    offer.kind = OfferKind::Resumption(Mechanism::SessionId);
                }
            }
        }
        Use::Ignores => {
            connection
                .offers
                .retain(|offer| offer.kind != OfferKind::UnclearSessionId);
            taken.entry(credential).or_default().insert(id);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::session::tests::{answered, at};
    use crate::session::{Blindness, Seen};
    use crate::session::{ClientStack, StackExtensions};
    use crate::session::{Credential, CredentialFingerprint, CredentialId, Issue};
    use crate::session::{Offer, Outcome};
    use crate::store::CredentialStore;
    use crate::tls::ProtocolVersion;

    use crate::session::TransportKind;

    use super::*;

    fn stack(encrypt_then_mac: bool, certificate_timestamps: bool) -> Arc<ClientStack> {
        Arc::new(ClientStack {
            digest: 1,
            suites: Box::default(),
            extensions: StackExtensions {
                encrypt_then_mac,
                certificate_timestamps,
            },
        })
    }

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
                hello.stack = stack(false, true);
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
    fn a_client_that_ignores_the_id_just_given_offers_nothing() {
        let mut talk = Talk::new();
        let first = talk.full(10, 1, Some(101));
        talk.full(20, 2, Some(102));
        assert_eq!(talk.settled(), (2, vec![None, None]));
        assert!(
            talk.credential_store
                .find_session_id(TransportKind::Tcp, &[1; 32])
                .is_none(),
            "nobody offered it"
        );
        assert!(
            talk.connection_store
                .get(first)
                .is_some_and(|connection| connection.issued.len() == 1)
        );
        assert_eq!(talk.settled().0, 0);
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
    fn an_unknown_id_may_be_of_another_server_where_the_stack_makes_none_up() {
        let of = |encrypt_then_mac, certificate_timestamps| {
            let mut talk = Talk::new();
            for id in [talk.full(10, 1, Some(101)), talk.full(20, 2, Some(102))] {
                let connection = talk.connection_store.get_mut(id).expect("kept");
                let stack = stack(encrypt_then_mac, certificate_timestamps);
                connection.hello.yes_mut().expect("a hello").stack = stack;
            }
            talk.settled()
        };
        assert_eq!(of(true, true), (0, vec![UNCLEAR; 2]));
        assert_eq!(of(false, false), (0, vec![UNCLEAR; 2]));
        assert_eq!(of(false, true), (2, vec![None; 2]));
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
        assert_eq!(talk.settled().1, [None, None]);
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
