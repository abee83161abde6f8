//! Who did what before: for each connection, the earlier ones of the same client stack to the same service.
//!
//! A client is an address and a client stack, not an address alone: behind one address there may be many programs
//! with caches of their own. A service is a server endpoint and a server name.

use std::hash::BuildHasher;
use std::net::IpAddr;

use hashbrown::{DefaultHashBuilder, HashMap};

use crate::net::{Endpoint, FrameRef, Timestamp};
use crate::session::{Blindness, Completed, Connection, ConnectionId, TransportKind};
use crate::store::ConnectionStore;

use super::behaviour::{Before, ClientBehaviour, ClientBehaviours};
use super::numbered::Numbered;

/// A client may turn to so many names of one server in turn and still be recognised as coming back.
const MAX_NAMES: usize = 64;

/// For each connection the one before it of the same client stack at the same endpoint, and the one before it between
/// the same two addresses: eight bytes a connection. And what each client does when it comes back.
#[derive(Debug)]
pub struct History {
    by_stack: Links,
    by_service: Links,
    by_address: Links,
    behaviours: ClientBehaviours,
    unnamed: HashMap<(IpAddr, Place), Unnamed>,
    /// When the first handshake of an address began of which not all is visible that the server sent.
    unseen_issue: HashMap<(IpAddr, TransportKind), Moment>,
    /// When the first handshake of an address began that may have issued a ticket under encryption.
    encrypted_issue: HashMap<(IpAddr, TransportKind), Moment>,
}

/// When the first connections of a client address at a server began whose ClientHello is not visible: any client of that
/// address may have made them, under any name.
#[derive(Debug, Clone, Copy, Default)]
struct Unnamed {
    /// Their handshake falls into the capture.
    handshake: Option<Moment>,
    /// They were there when the capture began.
    late: Option<Moment>,
}

impl Unnamed {
    fn note(&mut self, connection: &Connection) {
        let shown = connection.answer.yes().is_some() || connection.completed == Completed::Yes;
        let late = connection.hello.blind() == Some(Blindness::CaptureStartedLate) && !shown;
        let first = if late { &mut self.late } else { &mut self.handshake };
        let began = moment(connection);
        *first = Some(first.map_or(began, |known| known.min(began)));
    }
}

impl History {
    /// Of these connections; `order` is that of their hellos.
    #[must_use]
    pub fn of(connection_store: &ConnectionStore, order: &[ConnectionId]) -> Self {
        let hasher = DefaultHashBuilder::default();
        let stack = |connection: &Connection| {
            let stack = connection.hello.yes()?.stack.digest;
            Some(hasher.hash_one((connection.client_address(), stack, place(connection))))
        };
        let address = |connection: &Connection| {
            let kind = connection.transport.kind();
            Some(hasher.hash_one((connection.client_address(), connection.server.ip, kind)))
        };
        let service = |connection: &Connection| {
            let stack = connection.hello.yes()?.stack.digest;
            let name = connection.server_name();
            Some(hasher.hash_one((connection.client_address(), stack, place(connection), name)))
        };
        let [by_stack, by_service, by_address] = Links::of(connection_store, order, |connection| {
            [stack(connection), service(connection), address(connection)]
        });
        let behaviours = ClientBehaviours::of(connection_store, order, |id, connection| {
            let at_endpoint = |earlier: &&Connection| place(earlier) == place(connection);
            let same_name = |earlier: &&Connection| earlier.server_name() == connection.server_name();
            let of_stack = || {
                by_stack
                    .before(connection_store, id)
                    .map(|(_, earlier)| earlier)
                    .take(MAX_NAMES)
            };
            let of_address = || {
                by_address
                    .before(connection_store, id)
                    .map(|(_, earlier)| earlier)
                    .take(MAX_NAMES)
            };
            Before {
                same: by_service
                    .before(connection_store, id)
                    .map(|(_, earlier)| earlier)
                    .filter(same_name)
                    .take(1)
                    .find(|earlier| same_client(earlier, connection)),
                akin: [
                    of_stack().find(|earlier| !same_name(earlier)),
                    of_address()
                        .filter(|earlier| at_endpoint(earlier) && same_name(earlier))
                        .find(|earlier| !same_client(earlier, connection)),
                ],
            }
        });
        let mut unnamed: HashMap<_, Unnamed> = HashMap::new();
        let mut unseen_issue = HashMap::new();
        let mut encrypted_issue = HashMap::new();
        for (_, connection) in connection_store
            .in_turn(order)
            .filter(|(_, earlier)| earlier.completed != Completed::No)
        {
            // A PROXY header may be lost as well: it is the address on the wire that may have been this client's.
            let client = connection.client.ip;
            if connection.hello.yes().is_none() {
                unnamed.entry((client, place(connection))).or_default().note(connection);
            }
            let began = moment(connection);
            let at = (client, connection.transport.kind());
            let note = |first: &mut HashMap<(IpAddr, TransportKind), Moment>| {
                let first = first.entry(at).or_insert(began);
                *first = began.min(*first);
            };
            // Clients keep sessions by name, by port or by neither: what one server issued, another may be offered.
            if may_issue_unseen(connection) {
                note(&mut unseen_issue);
            }
            // A handshake that is not visible may have been one of TLS 1.3.
            if connection.is_tls13() || connection.version().is_none() {
                note(&mut encrypted_issue);
            }
        }
        Self {
            by_stack,
            by_service,
            by_address,
            behaviours,
            unnamed,
            unseen_issue,
            encrypted_issue,
        }
    }

    /// Whether this client may have made a handshake in the capture before this one that is not known as its own,
    /// because its ClientHello is not visible.
    #[must_use]
    pub fn may_hide_a_handshake(&self, connection: &Connection) -> bool {
        self.unnamed_before(connection, |unnamed| unnamed.handshake)
    }

    /// Whether this client may have had a connection to this server when the capture began.
    #[must_use]
    pub fn may_have_begun_before(&self, connection: &Connection) -> bool {
        self.unnamed_before(connection, |unnamed| unnamed.late)
    }

    /// Whether an earlier handshake of this address, with whatever server, may have issued something that is not visible
    /// although it falls into the capture.
    #[must_use]
    pub fn may_hide_an_issue(&self, connection: &Connection) -> bool {
        let first = self
            .unseen_issue
            .get(&(connection.client.ip, connection.transport.kind()));
        first.is_some_and(|first| *first < moment(connection))
    }

    /// Whether an earlier handshake of this address, with whatever server, may have issued a ticket of TLS 1.3, which is
    /// encrypted.
    #[must_use]
    pub fn may_have_issued_encrypted(&self, connection: &Connection) -> bool {
        let first = self
            .encrypted_issue
            .get(&(connection.client.ip, connection.transport.kind()));
        first.is_some_and(|first| *first < moment(connection))
    }

    fn unnamed_before(&self, connection: &Connection, which: fn(&Unnamed) -> Option<Moment>) -> bool {
        let unnamed = self.unnamed.get(&(connection.client.ip, place(connection)));
        let first = unnamed.and_then(which);
        first.is_some_and(|first| first < moment(connection))
    }

    /// What the client of a connection does at its service, over the whole capture.
    #[must_use]
    pub fn behaviour(&self, connection: &Connection) -> ClientBehaviour {
        self.behaviours.get(connection)
    }

    /// Earlier connections of the same client stack to the same endpoint under any server name, latest first.
    pub fn earlier<'a>(
        &'a self,
        connection_store: &'a ConnectionStore,
        connection: &'a Connection,
        id: ConnectionId,
    ) -> impl Iterator<Item = (ConnectionId, &'a Connection)> + 'a {
        self.by_stack
            .before(connection_store, id)
            // The group is a hash: make sure.
            .filter(move |(_, earlier)| same_client(earlier, connection) && place(earlier) == place(connection))
    }

    /// Earlier connections of the same client stack to the same endpoint under the same server name, latest first. One
    /// without server name belongs with those without one.
    pub fn earlier_at_service<'a>(
        &'a self,
        connection_store: &'a ConnectionStore,
        connection: &'a Connection,
        id: ConnectionId,
    ) -> impl Iterator<Item = (ConnectionId, &'a Connection)> + use<'a> {
        self.by_service
            .before(connection_store, id)
            .filter(move |(_, earlier)| {
                let same_service =
                    place(earlier) == place(connection) && earlier.server_name() == connection.server_name();
                same_service && same_client(earlier, connection)
            })
    }

    /// Earlier connections between the same two addresses, whatever the ports and programs, latest first.
    pub fn earlier_between<'a>(
        &'a self,
        connection_store: &'a ConnectionStore,
        connection: &'a Connection,
        id: ConnectionId,
    ) -> impl Iterator<Item = (ConnectionId, &'a Connection)> + 'a {
        self.by_address.before(connection_store, id).filter(|(_, earlier)| {
            let ends = |connection: &Connection| {
                let kind = connection.transport.kind();
                (connection.client_address(), connection.server.ip, kind)
            };
            ends(earlier) == ends(connection)
        })
    }
}

/// An endpoint under one transport: no session crosses from one to another.
type Place = (Endpoint, TransportKind);

fn place(connection: &Connection) -> Place {
    (connection.server, connection.transport.kind())
}

/// Packets may bear no time or the same: then the frame decides.
type Moment = (Timestamp, FrameRef);

fn moment(connection: &Connection) -> Moment {
    (connection.hello_time(), connection.transport.first())
}

/// Whether packets are missing in which the server may have issued a session, or it issued one under encryption.
fn may_issue_unseen(connection: &Connection) -> bool {
    let server = &connection.server_side;
    let missing = server.handshake_loss.or(connection.answer.blind());
    let shown = missing.is_some_and(|cause| cause != Blindness::CaptureStartedLate);
    // The ticket stands right in front of the server's Finished.
    let end_lost = connection.answer.yes().is_some() && server.finished.is_none() && server.tail_loss.is_some();
    shown || end_lost || connection.renegotiations > 0
}

/// The predecessor of each connection within its group.
#[derive(Debug)]
struct Links(Numbered<ConnectionId>);

impl Links {
    /// Several at once, each by a group of its own: one look at every connection.
    fn of<const N: usize>(
        connection_store: &ConnectionStore,
        order: &[ConnectionId],
        groups: impl Fn(&Connection) -> [Option<u64>; N],
    ) -> [Self; N] {
        let mut previous = [(); N].map(|()| Numbered::over(order.iter().map(|id| id.0)));
        let mut latest = [(); N].map(|()| HashMap::<u64, ConnectionId>::new());
        for (id, connection) in connection_store.in_turn(order) {
            let each = groups(connection).into_iter().zip(&mut latest).zip(&mut previous);
            for ((group, latest), previous) in each {
                if let Some(group) = group {
                    previous.set(id.0, latest.insert(group, id));
                }
            }
        }
        previous.map(Self)
    }

    /// The connections before this one, latest first.
    fn before<'a>(
        &'a self,
        connection_store: &'a ConnectionStore,
        id: ConnectionId,
    ) -> impl Iterator<Item = (ConnectionId, &'a Connection)> + 'a {
        std::iter::successors(self.predecessor(id), |id| self.predecessor(*id))
            .filter_map(|id| Some((id, connection_store.get(id)?)))
    }

    fn predecessor(&self, id: ConnectionId) -> Option<ConnectionId> {
        self.0.get(id.0)
    }
}

fn same_client(a: &Connection, b: &Connection) -> bool {
    let stack = |connection: &Connection| connection.hello.yes().map(|hello| hello.stack.digest);
    a.client_address() == b.client_address() && stack(a) == stack(b)
}
