//! What became of each offer, and what had happened to the session before.

use hashbrown::HashMap;

use crate::net::Timestamp;
use crate::session::{
    CloseClass, CloseNotify, Connection, ConnectionId, Credential, CredentialId, Kept, Ledger, Mechanism, OfferKind,
    Outcome, Side,
};

/// Stateful TLS 1.3 identities have the length of a session ID; a self-contained ticket is longer.
const STATEFUL_IDENTITY: u32 = 32;

/// How the latest connection of a session before an offer was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClosedBy {
    /// With close_notify by whoever closed.
    Cleanly,
    /// The client reset it without close_notify.
    ClientReset,
    /// The client closed it by FIN without close_notify.
    ClientFin,
    /// The server closed or reset it without close_notify.
    Server,
    /// A fatal alert.
    Alert,
    /// Not visible, or still open at the time of the offer.
    Unknown,
}

/// One credential offered on one connection, decided.
#[derive(Debug, Clone, Copy)]
pub struct Use {
    /// The connection.
    pub connection: ConnectionId,
    /// When its hello was sent.
    pub time: Timestamp,
    /// The credential.
    pub credential: CredentialId,
    /// The server keeps the session itself: a session ID, or an identity of that size.
    pub stateful: bool,
    /// It comes from a server of another address: issued there, or accepted there before.
    pub foreign: bool,
    /// Whether the server accepted it.
    pub accepted: bool,
    /// The latest connection of the session before this one.
    pub previous: Option<ConnectionId>,
    /// How that one was closed.
    pub closed: ClosedBy,
    /// Nanoseconds since the credential was issued, where that was seen.
    pub age: Option<i64>,
}

impl Use {
    /// Whether it is a session that this server made and would have to keep.
    #[must_use]
    pub const fn kept_here(&self) -> bool {
        self.stateful && !self.foreign
    }
}

/// Whether a server must keep state to honour a credential.
#[must_use]
pub fn is_stateful(credential: &Credential) -> bool {
    match credential.mechanism {
        Mechanism::SessionId => true,
        Mechanism::Ticket => false,
        Mechanism::Psk => credential.name.length == STATEFUL_IDENTITY,
    }
}

/// The decided uses of one connection.
pub fn of_connection<'a>(
    id: ConnectionId,
    connection: &'a Connection,
    kept: &'a Kept,
    ledger: &'a Ledger,
) -> impl Iterator<Item = Use> + 'a {
    let decided = matches!(connection.outcome, Outcome::Resumed(_) | Outcome::Declined);
    let offers = connection
        .offers
        .iter()
        .filter(move |offer| decided && matches!(offer.kind, OfferKind::Resumption(_)));
    offers.filter_map(move |offer| {
        let credential = ledger.get(offer.credential)?;
        let accepted = connection.accepted == Some(offer.credential);
        // With another credential accepted, this one was never decided.
        if !accepted && connection.accepted.is_some() {
            return None;
        }
        let origin = credential.issued.map(|issue| issue.connection);
        let previous = previous_use(id, connection.hello_time(), offer.credential, credential, kept);
        Some(Use {
            connection: id,
            time: connection.hello_time(),
            credential: offer.credential,
            stateful: is_stateful(credential),
            foreign: origin
                .or(previous)
                .and_then(|origin| kept.get(origin))
                .is_some_and(|origin| is_elsewhere(origin, connection)),
            accepted,
            previous,
            closed: previous
                .and_then(|previous| kept.get(previous))
                .map_or(ClosedBy::Unknown, |previous| {
                    closed_by(previous, connection.hello_time())
                }),
            age: credential
                .issued
                .map(|issue| connection.hello_time().since(issue.at.time)),
        })
    })
}

/// Whether the same client had another server before it. Two legs of one connection have two servers as well, and as a
/// rule two clients.
fn is_elsewhere(origin: &Connection, connection: &Connection) -> bool {
    origin.server.ip != connection.server.ip && origin.client_address() == connection.client_address()
}

/// The latest connection before `time` that issued or resumed the session.
fn previous_use(
    id: ConnectionId,
    time: Timestamp,
    credential_id: CredentialId,
    credential: &Credential,
    kept: &Kept,
) -> Option<ConnectionId> {
    let users = credential
        .offers
        .iter()
        .copied()
        .filter(|user| kept.get(*user).is_some_and(|user| user.accepted == Some(credential_id)));
    credential
        .issued
        .map(|issue| issue.connection)
        .into_iter()
        .chain(users)
        .filter(|user| *user != id)
        .filter_map(|user| Some((kept.get(user)?.hello_time(), user)))
        .filter(|(hello, _)| *hello < time)
        .max()
        .map(|(_, user)| user)
}

/// How a connection was closed, as far as it was over by `time`.
#[must_use]
pub fn closed_by(connection: &Connection, time: Timestamp) -> ClosedBy {
    let ended = Side::BOTH
        .into_iter()
        .filter_map(|side| connection.side(side).ended())
        .map(|at| at.time)
        .min();
    if ended.is_none_or(|ended| ended >= time) {
        return ClosedBy::Unknown;
    }
    match connection.close.class.yes() {
        Some(
            CloseClass::CleanBoth
            | CloseClass::CleanClient
            | CloseClass::CleanServer
            | CloseClass::RstAfterNotify
            | CloseClass::HalfClose,
        ) => ClosedBy::Cleanly,
        Some(CloseClass::FatalAlert) => ClosedBy::Alert,
        Some(CloseClass::FinNoNotify | CloseClass::RstBeforeNotify) => unclean(connection),
        // The answer to a bare FIN is ambiguous, but that the FIN was bare is not.
        None if bare_fin_answered(&connection.close.server) => ClosedBy::ClientFin,
        None if bare_fin_answered(&connection.close.client) => ClosedBy::Server,
        Some(CloseClass::TimeoutSilent | CloseClass::HandshakeIncomplete) | None => ClosedBy::Unknown,
    }
}

fn bare_fin_answered(notify: &CloseNotify) -> bool {
    matches!(notify, CloseNotify::AnswerToBareFin(_))
}

fn unclean(connection: &Connection) -> ClosedBy {
    // The side that sent close_notify did its part; the other one ended it uncleanly.
    match (connection.close.client.at(), connection.close.server.at()) {
        (Some(_), None) => return ClosedBy::Server,
        (None, Some(_)) => return client_close(connection),
        _ => {}
    }
    match connection.close.first_closer {
        Some(Side::Client) => client_close(connection),
        Some(Side::Server) => ClosedBy::Server,
        None => ClosedBy::Unknown,
    }
}

fn client_close(connection: &Connection) -> ClosedBy {
    if connection.client_side.reset.is_some() && connection.client_side.fin.is_none() {
        ClosedBy::ClientReset
    } else {
        ClosedBy::ClientFin
    }
}

/// A stateful credential that was refused and accepted later: a cache cannot learn a session again, so another one
/// refused it. Gives for each refused use the place of the first one that is accepted later.
pub(super) fn refused_then_accepted(uses: &[Use], kept: &Kept) -> HashMap<(ConnectionId, CredentialId), usize> {
    let like = |a: &Use, b: &Use| {
        let (Some(a), Some(b)) = (kept.get(a.connection), kept.get(b.connection)) else {
            return false;
        };
        let stack = |connection: &Connection| connection.hello.yes().map(|hello| hello.stack.digest);
        a.version() == b.version() && stack(a) == stack(b)
    };
    // From the last use back, so that the next acceptance of each credential is at hand.
    let mut next: HashMap<CredentialId, (usize, &Use)> = HashMap::new();
    let mut found = HashMap::new();
    for (place, used) in uses.iter().enumerate().rev().filter(|(_, used)| used.stateful) {
        if used.accepted {
            next.insert(used.credential, (place, used));
        } else if let Some((later_place, later)) = next.get(&used.credential)
            && later.time > used.time
            && like(used, later)
        {
            found.insert((used.connection, used.credential), *later_place);
        }
    }
    found
}
