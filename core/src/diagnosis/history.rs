//! Who did what before: for each connection, the earlier ones of the same client stack to the same service.
//!
//! A client is an address and a client stack, not an address alone: behind one address there may be many programs
//! with caches of their own. A service is a server endpoint and a server name.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use crate::net::{FrameRef, Timestamp};
use crate::session::{Blindness, Completed, Connection, ConnectionId, TransportKind};
use crate::store::{ConnectionStore, PossibleHandshakes};

use super::behaviour::{ClientBehaviour, ClientBehaviours};
use super::numbered::Numbered;
use super::parties::{Parties, Party};

/// A client may turn to so many names of one server in turn and still be recognised as coming back.
const MAX_NAMES: usize = 64;

/// For each connection the one before it of the same client stack at the same endpoint, and the one before it between
/// the same two addresses: eight bytes a connection. And what each client does when it comes back.
#[derive(Debug)]
pub struct History {
    parties: Arc<Parties>,
    by_stack: Links,
    by_service: Links,
    by_hosts: Links,
    behaviours: ClientBehaviours,
    /// Of each client address on the wire at each place, where there is a connection without a visible ClientHello.
    unnamed: HashMap<(u32, u32), Unnamed>,
    /// When the first connection of an address on the wire began at a place whose PROXY header is not visible, if it had one: it
    /// may be of any client behind that address.
    unstated: HashMap<(u32, u32), Moment>,
    /// When the first handshake of an address began of which not all is visible that the server sent.
    unseen_issue: Vec<Option<Moment>>,
    /// When the first handshake of an address began that may have issued a ticket under encryption.
    encrypted_issue: Vec<Option<Moment>>,
    /// Connections whose times put them on the other side of some of their address than their places in the file.
    out_of_turn: HashSet<ConnectionId>,
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
        note_first(first, moment(connection));
    }
}

/// Where a connection stands in the file that shows its hello: its first and last frame there.
fn span_of_hello(connection: &Connection) -> Option<(FrameRef, FrameRef)> {
    let file = connection.hello.yes()?.at.frame.capture();
    let mut spans = connection.transport.spans.iter();
    spans.find(|(first, _)| first.capture() == file)
}

/// Whether connections stand in their files in the order of their times. As a rule they do, and nobody is out of turn.
#[derive(Debug, Default)]
struct FileOrder {
    /// Of each file, the last beginning of a connection so far.
    beginnings: HashMap<u16, FrameRef>,
    /// Some connection stands in front of all of one that is stamped earlier.
    ran_back: bool,
}

impl FileOrder {
    /// Takes the next connection in the order of times.
    fn note(&mut self, connection: &Connection) {
        if let Some((first, last)) = span_of_hello(connection) {
            let beginning = self.beginnings.entry(first.capture()).or_insert(first);
            self.ran_back |= last < *beginning;
            *beginning = first.max(*beginning);
        }
    }
}

impl History {
    /// Of the connections of these parties.
    #[must_use]
    pub fn of(connection_store: &ConnectionStore, parties: &Arc<Parties>) -> Self {
        let mut history = Self {
            parties: Arc::clone(parties),
            by_stack: Links::of(parties, parties.clients_at_places(), |party| {
                party.hello.then_some(party.client_at_place)
            }),
            by_service: Links::of(parties, parties.clients(), |party| party.hello.then_some(party.client)),
            by_hosts: Links::of(parties, parties.hosts(), |party| Some(party.hosts)),
            behaviours: ClientBehaviours::default(),
            unnamed: HashMap::new(),
            unstated: HashMap::new(),
            unseen_issue: vec![None; parties.addresses()],
            encrypted_issue: vec![None; parties.addresses()],
            out_of_turn: HashSet::new(),
        };
        let (mut files, possible) = (FileOrder::default(), connection_store.possible_handshakes());
        for (id, connection) in connection_store.in_turn(parties.order()) {
            history.note_issue(id, connection);
            if !possible.is_empty() {
                history.note_possible_handshake(id, connection, possible);
            }
            files.note(connection);
        }
        if files.ran_back {
            history.note_out_of_turn(connection_store);
        }
        let same = |id| history.by_service.before(id).next();
        history.behaviours = ClientBehaviours::of(connection_store, parties, same, |id| history.akin(id));
        history
    }

    /// Who meets whom.
    #[must_use]
    pub fn parties(&self) -> &Parties {
        &self.parties
    }

    /// What may have been issued although nobody saw it.
    fn note_issue(&mut self, id: ConnectionId, connection: &Connection) {
        let Some(party) = self.parties.get(id).filter(|_| connection.completed != Completed::No) else {
            return;
        };
        // A PROXY header may be lost as well: it is the address on the wire that may have been this client's.
        let at = (party.wire, party.place);
        if !party.hello {
            self.unnamed.entry(at).or_default().note(connection);
        }
        if connection.preamble_hidden().is_some() {
            let moment = moment(connection);
            let first = self.unstated.entry(at).or_insert(moment);
            *first = moment.min(*first);
        }
        // Clients keep sessions by name, by port or by neither: what one server issued, another may be offered.
        if let Some(first) = self.unseen_issue.get_mut(party.wire as usize)
            && may_issue_unseen(connection)
        {
            note_first(first, moment(connection));
        }
        // A handshake that is not visible may have been one of TLS 1.3.
        if let Some(first) = self.encrypted_issue.get_mut(party.wire as usize)
            && (connection.is_tls13() || connection.version().is_none())
        {
            note_first(first, moment(connection));
        }
    }

    /// What a connection of the same address to the same server may have been of which nothing shows that it was TLS: a handshake
    /// without a visible hello, in which whatever was issued is not visible.
    fn note_possible_handshake(&mut self, id: ConnectionId, connection: &Connection, possible: &PossibleHandshakes) {
        if connection.transport.kind() != TransportKind::Tcp {
            return;
        }
        let first = possible.first(connection.client.ip, connection.server);
        let Some((party, moment)) = self.parties.get(id).zip(first) else {
            return;
        };
        let unnamed = self.unnamed.entry((party.wire, party.place)).or_default();
        note_first(&mut unnamed.handshake, moment);
        for firsts in [&mut self.unseen_issue, &mut self.encrypted_issue] {
            if let Some(first) = firsts.get_mut(party.wire as usize) {
                note_first(first, moment);
            }
        }
    }

    /// Two connections of an address of which one stands in a file behind all of the other, and is stamped before its hello:
    /// times run backwards where a clock was set back, or where an earlier capture was put behind a later one.
    fn note_out_of_turn(&mut self, connection_store: &ConnectionStore) {
        let parties = Arc::clone(&self.parties);
        let span = |id: &ConnectionId| {
            let (connection, party) = connection_store.get(*id).zip(parties.get(*id))?;
            let (first, last) = span_of_hello(connection)?;
            Some((*id, (party.wire, first.capture()), first, last))
        };
        // The first end among what is stamped later.
        let mut ends: HashMap<(u32, u16), FrameRef> = HashMap::new();
        for (id, place, first, last) in parties.order().iter().rev().filter_map(span) {
            let end = ends.entry(place).or_insert(last);
            if *end < first {
                self.out_of_turn.insert(id);
            }
            *end = last.min(*end);
        }
        // And the last beginning among what is stamped earlier.
        let mut beginnings: HashMap<(u32, u16), FrameRef> = HashMap::new();
        for (id, place, first, last) in parties.order().iter().filter_map(span) {
            let beginning = beginnings.entry(place).or_insert(first);
            if last < *beginning {
                self.out_of_turn.insert(id);
            }
            *beginning = first.max(*beginning);
        }
    }

    /// Whether nobody can say what came before this connection: by its time it stands on the other side of some of its address
    /// than by its place in the file.
    #[must_use]
    pub fn is_out_of_turn(&self, id: ConnectionId) -> bool {
        self.out_of_turn.contains(&id)
    }

    /// The latest connection before this one of its client stack under another name, and that of another client stack of its
    /// address under this name.
    fn akin(&self, id: ConnectionId) -> [Option<ConnectionId>; 2] {
        let Some(party) = self.parties.get(id) else {
            return [None; 2];
        };
        let latest = |links: &Links, is_akin: fn(Party, Party) -> bool| {
            let mut before = links.before(id).take(MAX_NAMES);
            before.find(|earlier| {
                self.parties
                    .get(*earlier)
                    .is_some_and(|earlier| is_akin(earlier, party))
            })
        };
        [
            latest(&self.by_stack, |earlier, this| earlier.service != this.service),
            latest(&self.by_hosts, |earlier, this| {
                earlier.service == this.service && earlier.client != this.client
            }),
        ]
    }

    /// Whether this client may have made a handshake in the capture before this one that is not known as its own,
    /// because its ClientHello is not visible, or the PROXY header in front of it.
    #[must_use]
    pub fn may_hide_a_handshake(&self, id: ConnectionId, connection: &Connection) -> bool {
        self.unnamed_before(id, connection, |unnamed| unnamed.handshake) || self.unstated_before(id, connection)
    }

    /// Whether a ClientHello of this address, to the same server and at any time in the capture, is not visible: what it offers
    /// may be this client's.
    #[must_use]
    pub fn may_hide_an_offer(&self, id: ConnectionId) -> bool {
        let party = self.parties.get(id);
        let unnamed = party.and_then(|party| self.unnamed.get(&(party.wire, party.place)));
        unnamed.is_some_and(|unnamed| unnamed.handshake.is_some())
    }

    /// Whether a connection came before whose client is not visible, of a client that a PROXY header states.
    fn unstated_before(&self, id: ConnectionId, connection: &Connection) -> bool {
        let behind_a_proxy = |party: &Party| party.address != party.wire;
        let party = self.parties.get(id).filter(behind_a_proxy);
        let first = party.and_then(|party| self.unstated.get(&(party.wire, party.place)));
        first.is_some_and(|first| *first < moment(connection))
    }

    /// Whether this client may have had a connection to this server when the capture began.
    #[must_use]
    pub fn may_have_begun_before(&self, id: ConnectionId, connection: &Connection) -> bool {
        self.unnamed_before(id, connection, |unnamed| unnamed.late)
    }

    /// Whether an earlier handshake of this address, with whatever server, may have issued something that is not visible
    /// although it falls into the capture.
    #[must_use]
    pub fn may_hide_an_issue(&self, id: ConnectionId, connection: &Connection) -> bool {
        self.is_before(&self.unseen_issue, id, connection)
    }

    /// Whether an earlier handshake of this address, with whatever server, may have issued a ticket of TLS 1.3, which is
    /// encrypted.
    #[must_use]
    pub fn may_have_issued_encrypted(&self, id: ConnectionId, connection: &Connection) -> bool {
        self.is_before(&self.encrypted_issue, id, connection)
    }

    fn is_before(&self, firsts: &[Option<Moment>], id: ConnectionId, connection: &Connection) -> bool {
        let party = self.parties.get(id);
        let first = party.and_then(|party| firsts.get(party.wire as usize).copied().flatten());
        first.is_some_and(|first| first < moment(connection))
    }

    fn unnamed_before(&self, id: ConnectionId, connection: &Connection, which: fn(&Unnamed) -> Option<Moment>) -> bool {
        let party = self.parties.get(id);
        let unnamed = party.and_then(|party| self.unnamed.get(&(party.wire, party.place)));
        let first = unnamed.and_then(which);
        first.is_some_and(|first| first < moment(connection))
    }

    /// What the client of a connection does at its service, over the whole capture.
    #[must_use]
    pub fn behaviour(&self, id: ConnectionId) -> ClientBehaviour {
        let party = self.parties.get(id).filter(|party| party.hello);
        party.map_or_else(ClientBehaviour::default, |party| self.behaviours.get(party))
    }

    /// Earlier connections of the same client stack to the same endpoint under any server name, latest first.
    pub fn earlier<'a>(
        &'a self,
        connection_store: &'a ConnectionStore,
        id: ConnectionId,
    ) -> impl Iterator<Item = (ConnectionId, &'a Connection)> + use<'a> {
        self.by_stack.kept_before(connection_store, id)
    }

    /// Earlier connections of the same client stack to the same endpoint under the same server name, latest first. One
    /// without server name belongs with those without one.
    pub fn earlier_at_service<'a>(
        &'a self,
        connection_store: &'a ConnectionStore,
        id: ConnectionId,
    ) -> impl Iterator<Item = (ConnectionId, &'a Connection)> + use<'a> {
        self.by_service.kept_before(connection_store, id)
    }

    /// Earlier connections between the same two addresses, whatever the ports and programs, latest first.
    pub fn earlier_between<'a>(
        &'a self,
        connection_store: &'a ConnectionStore,
        id: ConnectionId,
    ) -> impl Iterator<Item = (ConnectionId, &'a Connection)> + use<'a> {
        self.by_hosts.kept_before(connection_store, id)
    }
}

/// Packets may bear no time or the same: then the frame decides.
type Moment = (Timestamp, FrameRef);

fn moment(connection: &Connection) -> Moment {
    (connection.hello_time(), connection.transport.first())
}

fn note_first(first: &mut Option<Moment>, moment: Moment) {
    *first = Some(first.map_or(moment, |known| known.min(moment)));
}

/// Whether packets are missing in which the server may have issued a session, or it issued one under encryption.
fn may_issue_unseen(connection: &Connection) -> bool {
    let server = &connection.server_side;
    let missing = server.handshake_loss.or(connection.answer.blind());
    let shown = missing.is_some_and(|cause| cause != Blindness::CaptureStartedLate);
    // The ticket stands right in front of the server's Finished.
    let end_lost = connection.answer.yes().is_some() && server.finished.is_none() && server.tail_loss.is_some();
    shown || end_lost || connection.renegotiations > 0 || connection.lost_promised_ticket()
}

/// The predecessor of each connection within its group.
#[derive(Debug)]
struct Links(Numbered<ConnectionId>);

impl Links {
    /// Of groups that are numbered; a connection may belong to none.
    fn of(parties: &Parties, groups: usize, group: impl Fn(Party) -> Option<u32>) -> Self {
        let mut previous = Numbered::over(parties.order().iter().map(|id| id.0));
        let mut latest = vec![None; groups];
        for (id, party) in parties.iter() {
            let latest = group(party).and_then(|group| latest.get_mut(group as usize));
            if let Some(latest) = latest {
                previous.set(id.0, latest.replace(id));
            }
        }
        Self(previous)
    }

    /// The connections before this one, latest first.
    fn before(&self, id: ConnectionId) -> impl Iterator<Item = ConnectionId> {
        std::iter::successors(self.predecessor(id), |id| self.predecessor(*id))
    }

    fn kept_before<'a>(
        &'a self,
        connection_store: &'a ConnectionStore,
        id: ConnectionId,
    ) -> impl Iterator<Item = (ConnectionId, &'a Connection)> + use<'a> {
        self.before(id).filter_map(|id| Some((id, connection_store.get(id)?)))
    }

    fn predecessor(&self, id: ConnectionId) -> Option<ConnectionId> {
        self.0.get(id.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::tests::full;
    use crate::session::Seen;

    #[test]
    fn what_a_server_issued_is_unseen_where_packets_are_missing_that_could_show_it() {
        let unseen = |change: fn(&mut Connection)| {
            let mut connection = full(1);
            change(&mut connection);
            may_issue_unseen(&connection)
        };
        assert!(!unseen(|_| ()));
        assert!(unseen(|it| it.server_side.handshake_loss = Some(Blindness::Gap)));
        assert!(unseen(|it| it.answer = Seen::Blind(Blindness::Gap)));
        assert!(!unseen(|it| it.answer = Seen::Blind(Blindness::CaptureStartedLate)));
        assert!(unseen(|it| it.renegotiations = 1));
        // The end of the handshake is lost, or only what came after it, or it was never answered.
        let end_lost: fn(&mut Connection) = |it| {
            it.server_side.finished = None;
            it.server_side.tail_loss = Some(Blindness::Gap);
        };
        assert!(unseen(end_lost));
        assert!(!unseen(|it| it.server_side.tail_loss = Some(Blindness::Gap)));
        assert!(!unseen(|it| it.server_side.finished = None));
        assert!(!unseen(|it| {
            it.server_side.finished = None;
            it.server_side.tail_loss = Some(Blindness::Gap);
            it.answer = Seen::No;
        }));
    }

    #[test]
    fn the_first_of_several_moments_counts() {
        let at = |time, frame| (Timestamp::from_nanos(time), FrameRef::new(0, frame));
        let mut first = None;
        for moment in [at(5, 2), at(3, 9), at(3, 8), at(7, 1)] {
            note_first(&mut first, moment);
        }
        assert_eq!(first, Some(at(3, 8)));
    }
}
