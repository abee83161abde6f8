//! What became of each offer, and what had happened to the session before.

use hashbrown::HashMap;

use crate::net::Timestamp;
use crate::session::{
    CloseClass, CloseNotify, Connection, ConnectionId, Credential, CredentialId, Mechanism, OfferKind, Outcome, Side,
};
use crate::store::{ConnectionStore, CredentialStore};

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
pub struct ResumptionAttempt {
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

impl ResumptionAttempt {
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
    kept: &'a ConnectionStore,
    ledger: &'a CredentialStore,
) -> impl Iterator<Item = ResumptionAttempt> + 'a {
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
        Some(ResumptionAttempt {
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
    kept: &ConnectionStore,
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
        Some(CloseClass::TimeoutSilent | CloseClass::HandshakeIncomplete | CloseClass::StatelessReset) | None => {
            ClosedBy::Unknown
        }
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
    match connection.close.first_closer.yes() {
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
pub(super) fn refused_then_accepted(
    uses: &[ResumptionAttempt],
    kept: &ConnectionStore,
) -> HashMap<(ConnectionId, CredentialId), usize> {
    let like = |a: &ResumptionAttempt, b: &ResumptionAttempt| {
        let (Some(a), Some(b)) = (kept.get(a.connection), kept.get(b.connection)) else {
            return false;
        };
        let stack = |connection: &Connection| connection.hello.yes().map(|hello| hello.stack.digest);
        a.version() == b.version() && stack(a) == stack(b)
    };
    // From the last use back, so that the next acceptance of each credential is at hand.
    let mut next: HashMap<CredentialId, (usize, &ResumptionAttempt)> = HashMap::new();
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

#[cfg(test)]
mod tests {
    use crate::session::tests::{answered, at, endpoint, offer, stack, with_hello};
    use crate::session::{Close, CredentialFingerprint, Issue, ProtocolVersion, ResetForm, Seen, TransportKind};
    use crate::tcp::Reset;

    use super::*;

    /// A connection that ended at second 5: its class, the close_notify of each side, and who closed first.
    fn closed(class: Option<CloseClass>, [client, server]: [CloseNotify; 2], first: Option<Side>) -> Connection {
        let mut connection = with_hello(1, "a.test", 1);
        connection.client_side.fin = Some(at(5));
        connection.close = Close {
            class: class.map_or(Seen::No, Seen::Yes),
            first_closer: first.map_or(Seen::No, Seen::Yes),
            client,
            server,
        };
        connection
    }

    #[test]
    fn a_close_is_blamed_on_the_side_that_owed_close_notify() {
        use CloseNotify::{Absent, AnswerToBareFin};
        let notify = CloseNotify::Inferred(at(5));
        let (client, server) = (Some(Side::Client), Some(Side::Server));
        let bare = Some(CloseClass::FinNoNotify);
        let by = |class, notifies, first| closed_by(&closed(class, notifies, first), at(6).time);
        assert_eq!(by(bare, [Absent; 2], client), ClosedBy::ClientFin);
        assert_eq!(by(bare, [Absent; 2], server), ClosedBy::Server);
        assert_eq!(by(bare, [Absent; 2], None), ClosedBy::Unknown);
        // Who sent it did its part, whoever closed first.
        assert_eq!(by(bare, [notify, Absent], client), ClosedBy::Server);
        assert_eq!(by(bare, [Absent, notify], server), ClosedBy::ClientFin);
        let answer = AnswerToBareFin(at(5));
        assert_eq!(by(None, [Absent, answer], client), ClosedBy::ClientFin);
        assert_eq!(by(None, [answer, Absent], server), ClosedBy::Server);
        assert_eq!(by(None, [Absent; 2], client), ClosedBy::Unknown);
        for (class, expected) in CloseClass::ALL.into_iter().zip([
            ClosedBy::Cleanly,
            ClosedBy::Cleanly,
            ClosedBy::Cleanly,
            ClosedBy::Cleanly,
            ClosedBy::ClientFin,
            ClosedBy::ClientFin,
            ClosedBy::Cleanly,
            ClosedBy::Alert,
            ClosedBy::Unknown,
            ClosedBy::Unknown,
        ]) {
            assert_eq!(by(Some(class), [Absent; 2], client), expected, "{class:?}");
        }
    }

    #[test]
    fn a_reset_by_the_client_is_told_from_its_fin() {
        let mut connection = closed(
            Some(CloseClass::RstBeforeNotify),
            [CloseNotify::Absent; 2],
            Some(Side::Client),
        );
        connection.client_side.reset = Some(Reset {
            at: at(5),
            form: ResetForm::Active,
            doubtful: false,
        });
        // Behind a FIN it harms nothing.
        assert_eq!(closed_by(&connection, at(6).time), ClosedBy::ClientFin);
        connection.client_side.fin = None;
        assert_eq!(closed_by(&connection, at(6).time), ClosedBy::ClientReset);
    }

    #[test]
    fn what_ends_later_had_not_ended() {
        let connection = closed(
            Some(CloseClass::CleanBoth),
            [CloseNotify::Inferred(at(5)); 2],
            Some(Side::Client),
        );
        assert_eq!(closed_by(&connection, at(5).time), ClosedBy::Unknown);
        assert_eq!(closed_by(&connection, at(6).time), ClosedBy::Cleanly);
    }

    type Change = fn(&mut Connection);

    /// Connections of one client, a second apart: which credential each offers, and whether it is accepted.
    struct Visits {
        kept: ConnectionStore,
        ledger: CredentialStore,
    }

    impl Visits {
        /// The first one issues a session ID; the others change as told.
        fn of(visits: &[(bool, Change)]) -> Self {
            let (mut kept, mut ledger) = (ConnectionStore::new(usize::MAX), CredentialStore::default());
            let name = CredentialFingerprint::of(&[7; 32]);
            let session = ledger.enter(TransportKind::Tcp, Mechanism::SessionId, &name, || {
                Credential::unseen(TransportKind::Tcp, Mechanism::SessionId, name, endpoint(2))
            });
            let issuer = kept.reserve();
            kept.keep(issuer, answered(1, "a.test", ProtocolVersion::TLS_1_2), &mut ledger);
            for ((accepted, change), second) in visits.iter().zip(2..) {
                let id = kept.reserve();
                let mut connection = Connection {
                    outcome: Outcome::Declined,
                    offers: vec![offer(session.0, OfferKind::Resumption(Mechanism::SessionId))],
                    ..answered(second, "a.test", ProtocolVersion::TLS_1_2)
                };
                if *accepted {
                    connection.accepted = Some(session);
                    connection.outcome = Outcome::Resumed(Some(Mechanism::SessionId));
                }
                change(&mut connection);
                kept.keep(id, connection, &mut ledger);
                ledger.get_mut(session).expect("entered").offers.push(id);
            }
            ledger.get_mut(session).expect("entered").issued = Some(Issue {
                connection: issuer,
                at: at(1),
            });
            Self { kept, ledger }
        }

        fn uses(&self) -> Vec<ResumptionAttempt> {
            let each = self.kept.iter();
            each.flat_map(|(id, connection)| of_connection(id, connection, &self.kept, &self.ledger))
                .collect()
        }

        /// Of each refusal that a later acceptance explains: its connection, and that of the acceptance.
        fn explained(&self) -> Vec<(u32, u32)> {
            let uses = self.uses();
            let found = refused_then_accepted(&uses, &self.kept);
            let mut pairs: Vec<(u32, u32)> = found
                .iter()
                .map(|((refused, _), place)| (refused.0, uses[*place].connection.0))
                .collect();
            pairs.sort_unstable();
            pairs
        }
    }

    const AS_IT_IS: Change = |_| ();

    #[test]
    fn a_use_knows_where_its_session_was_before() {
        let visits = Visits::of(&[(true, AS_IT_IS), (false, AS_IT_IS), (true, AS_IT_IS)]);
        let uses = visits.uses();
        let previous: Vec<_> = uses.iter().map(|used| used.previous.map(|id| id.0)).collect();
        // A refusal is no use of the session.
        assert_eq!(previous, [Some(0), Some(1), Some(1)]);
        let ages: Vec<_> = uses.iter().map(|used| used.age).collect();
        assert_eq!(ages, [Some(1_000_000_000), Some(2_000_000_000), Some(3_000_000_000)]);
        assert!(uses.iter().all(ResumptionAttempt::kept_here));
        assert_eq!(
            uses.iter().map(|used| used.accepted).collect::<Vec<_>>(),
            [true, false, true]
        );
    }

    #[test]
    fn a_session_of_another_address_is_foreign_to_the_same_client_alone() {
        let elsewhere: Change = |connection| connection.server = endpoint(9);
        let another: Change = |connection| {
            connection.server = endpoint(9);
            connection.client = endpoint(77);
        };
        let visits = Visits::of(&[(false, elsewhere), (false, another), (false, AS_IT_IS)]);
        let foreign: Vec<bool> = visits.uses().iter().map(|used| used.foreign).collect();
        assert_eq!(foreign, [true, false, false]);
        assert_eq!(
            visits
                .uses()
                .iter()
                .map(ResumptionAttempt::kept_here)
                .collect::<Vec<_>>(),
            [false, true, true]
        );
    }

    #[test]
    fn only_what_was_decided_is_a_use() {
        let failed: Change = |connection| connection.outcome = Outcome::Failed;
        let other: Change = |connection| connection.accepted = Some(CredentialId(99));
        let external: Change = |connection| connection.offers[0].kind = OfferKind::ExternalPsk;
        let visits = Visits::of(&[(false, failed), (false, other), (false, external), (false, AS_IT_IS)]);
        assert_eq!(
            visits.uses().iter().map(|used| used.connection.0).collect::<Vec<_>>(),
            [4]
        );
    }

    #[test]
    fn a_session_refused_and_accepted_later_was_in_another_cache() {
        let visits = Visits::of(&[(false, AS_IT_IS), (true, AS_IT_IS), (false, AS_IT_IS), (true, AS_IT_IS)]);
        assert_eq!(visits.explained(), [(1, 2), (3, 4)]);
        assert_eq!(Visits::of(&[(true, AS_IT_IS), (false, AS_IT_IS)]).explained(), []);
        // Another client, another version, or the same moment explains nothing.
        let program: Change = |connection| connection.hello.yes_mut().expect("a hello").stack = stack(2, Vec::new());
        assert_eq!(Visits::of(&[(false, program), (true, AS_IT_IS)]).explained(), []);
        let version: Change =
            |connection| connection.answer.yes_mut().expect("an answer").version = ProtocolVersion::TLS_1_0;
        assert_eq!(Visits::of(&[(false, version), (true, AS_IT_IS)]).explained(), []);
        let late: Change = |connection| connection.hello.yes_mut().expect("a hello").at = at(3);
        assert_eq!(Visits::of(&[(false, late), (true, AS_IT_IS)]).explained(), []);
    }

    #[test]
    fn identities_as_long_as_a_session_id_are_of_servers_that_keep_state() {
        let stateful = |mechanism, length: usize| {
            let name = CredentialFingerprint::of(&vec![1; length]);
            is_stateful(&Credential::unseen(TransportKind::Tcp, mechanism, name, endpoint(2)))
        };
        assert!(stateful(Mechanism::SessionId, 16));
        assert!(!stateful(Mechanism::Ticket, 32));
        assert!(stateful(Mechanism::Psk, 32));
        assert!(!stateful(Mechanism::Psk, 33) && !stateful(Mechanism::Psk, 31));
    }
}
