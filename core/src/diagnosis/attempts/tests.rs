//! Tables made by hand, for the tests of all that reads them; and what the pass over connections makes of a few.

use smallvec::smallvec;

use crate::diagnosis::tests::World;
use crate::net::Timestamp;
use crate::net::span::SECOND;
use crate::session::tests::{answered, at, endpoint, offer};
use crate::session::{
    Completed, Connection, ConnectionId, Credential, CredentialFingerprint, CredentialId, Issue, Mechanism, OfferKind,
    Outcome, ProtocolVersion, TransportKind,
};
use crate::store::CredentialStore;

use super::*;

fn number(length: usize) -> u32 {
    u32::try_from(length).expect("a small table")
}

pub(in crate::diagnosis) type Change = fn(&mut Connection);

/// A table of one service, made row by row.
#[derive(Default)]
pub(in crate::diagnosis) struct Sketch {
    table: Attempts,
    part: ServicePart,
}

impl Sketch {
    fn row(&mut self, second: u32, client: u32) -> Row {
        Row {
            time: at(second).time,
            answered_after: 0,
            ended: at(second).time,
            connection: ConnectionId(number(self.table.rows.len())),
            service: 0,
            address: client,
            stack: 0,
            client,
            turn: 0,
            first_entry: number(self.table.entries.len()),
            issues: 0,
            certificate: 0,
            machine: 0,
            entries: 0,
            closed: ClosedBy::Cleanly,
            held: None,
            version: 0x0303,
            held_read: false,
            spent: false,
            given: GivenBefore::Nothing,
            newcomer: false,
            broken: None,
            completed: true,
            issues_concluded: false,
            hello: true,
            retried: false,
            silent: false,
            behind: false,
        }
    }

    fn push(&mut self, row: Row) {
        self.part.rows.push(number(self.table.rows.len()));
        self.table.rows.push(row);
    }

    /// A full handshake at this second in which this client offers nothing; gives the row's number.
    pub(in crate::diagnosis) fn silent(&mut self, second: u32, client: u32, change: impl FnOnce(&mut Row)) -> u32 {
        let mut row = self.row(second, client);
        row.silent = true;
        change(&mut row);
        self.push(row);
        number(self.table.rows.len() - 1)
    }

    /// A full handshake with another service.
    pub(in crate::diagnosis) fn elsewhere(&mut self, second: u32, change: impl FnOnce(&mut Row)) {
        let mut row = self.row(second, u32::MAX);
        (row.service, row.silent) = (1, true);
        change(&mut row);
        self.table.rows.push(row);
    }

    /// An offer of a session ID made `age` seconds before; gives the entry's number.
    pub(in crate::diagnosis) fn offer(
        &mut self,
        second: u32,
        client: u32,
        (credential, age): (u32, i64),
        accepted: bool,
        change: impl FnOnce(&mut Row, &mut OfferedCredential),
    ) -> u32 {
        let mut row = self.row(second, client);
        let mut entry = OfferedCredential {
            age: age * SECOND,
            idle: age * SECOND,
            row: number(self.table.rows.len()),
            credential: CredentialId(credential),
            issue: RowNumber::NONE,
            previous: RowNumber::NONE,
            newer: 0,
            key: 0,
            lifetime: 0,
            causes: 0,
            decision: if accepted {
                Decision::Accepted
            } else {
                Decision::Refused
            },
            mechanism: Mechanism::SessionId,
            closed: ClosedBy::Cleanly,
            necessity: None,
            stateful: true,
            concluded: false,
            foreign: false,
            foreign_concluded: false,
            accepted_before: 0,
            refused_before: false,
            accepted_later: false,
            slow: Some(false),
            own_key: false,
            other_name: false,
            other_version: false,
            other_hash: false,
            other_certificate: false,
            outdated: false,
            asks_certificate: false,
        };
        row.entries = 1;
        change(&mut row, &mut entry);
        let number = number(self.table.entries.len());
        self.part.entries.push(number);
        self.table.entries.push(entry);
        self.push(row);
        number
    }

    pub(in crate::diagnosis) fn done(mut self) -> (Attempts, ServicePart) {
        self.table.note_keys_at_work();
        (self.table, self.part)
    }
}

/// A session ID that connection 0 issues, and what became of each offer of it: the change may say more.
pub(in crate::diagnosis) fn visits(visits: &[(Outcome, Change)]) -> World {
    visits_after(AS_IT_IS, visits)
}

/// The same, with another connection 0.
pub(super) fn visits_after(issuing: Change, visits: &[(Outcome, Change)]) -> World {
    let mut credential_store = CredentialStore::default();
    let name = CredentialFingerprint::of(&[7; 32]);
    let session = credential_store.enter(TransportKind::Tcp, Mechanism::SessionId, &name, || Credential {
        issued: Some(Issue {
            connection: ConnectionId(0),
            at: at(1),
        }),
        server_name: Some("a.test".into()),
        version: Some(ProtocolVersion::TLS_1_2),
        ..Credential::unseen(TransportKind::Tcp, Mechanism::SessionId, name, endpoint(2))
    });
    let mut first = crate::diagnosis::tests::full(1);
    first.issued.push(session);
    issuing(&mut first);
    let mut all = vec![first];
    for ((outcome, change), second) in visits.iter().zip(2..) {
        let accepted = matches!(outcome, Outcome::Resumed(_));
        let mut connection = Connection {
            outcome: *outcome,
            completed: Completed::Yes,
            offers: smallvec![offer(session.0, OfferKind::Resumption(Mechanism::SessionId))],
            accepted: accepted.then_some(session),
            ..answered(second, "a.test", ProtocolVersion::TLS_1_2)
        };
        change(&mut connection);
        all.push(connection);
        let credential = credential_store.get_mut(session).expect("entered");
        credential.offers.push(ConnectionId(second - 1));
    }
    World::with(credential_store, all, usize::MAX)
}

pub(super) const RESUMED: Outcome = Outcome::Resumed(Some(Mechanism::SessionId));
pub(in crate::diagnosis) const AS_IT_IS: Change = |_| ();

pub(super) fn column<T>(world: &World, of: impl Fn(&Row, &OfferedCredential) -> T) -> Vec<T> {
    let table = world.case(0).analyses.attempts();
    let rows = table.rows().iter();
    rows.flat_map(|row| table.of_row(row).map(|(_, entry)| of(row, entry)).collect::<Vec<_>>())
        .collect()
}

#[test]
fn every_offer_has_an_entry_with_what_had_become_of_its_session() {
    use Decision::{Accepted, Refused};
    let world = visits(&[(RESUMED, AS_IT_IS), (Outcome::Declined, AS_IT_IS), (RESUMED, AS_IT_IS)]);
    assert_eq!(column(&world, |_, entry| entry.decision), [Accepted, Refused, Accepted]);
    let seconds = |nanos: i64| nanos / SECOND;
    assert_eq!(column(&world, |_, entry| seconds(entry.age)), [1, 2, 3]);
    // A refused offer is no use.
    assert_eq!(column(&world, |_, entry| seconds(entry.idle)), [1, 1, 2]);
    assert_eq!(column(&world, |_, entry| entry.accepted_before), [0, 1, 1]);
    assert_eq!(column(&world, |_, entry| entry.accepted_later), [true, true, false]);
    assert_eq!(column(&world, |_, entry| entry.refused_before), [false, false, true]);
    assert_eq!(column(&world, |_, entry| entry.issue.index()), [Some(0); 3]);
}

#[test]
fn what_was_not_decided_is_not_judged() {
    use Decision::{Broken, NotJudged};
    let another: Change = |connection| connection.accepted = Some(CredentialId(99));
    let left: Change = |connection| connection.client_side.fin = Some(at(9));
    let ended: Change = |connection| connection.server_side.fin = Some(at(9));
    let world = visits(&[
        (RESUMED, another),
        (Outcome::Unclear(crate::session::Blindness::Gap), AS_IT_IS),
        (Outcome::Failed, left),
        (Outcome::Failed, ended),
    ]);
    assert_eq!(
        column(&world, |_, entry| entry.decision),
        [NotJudged, NotJudged, NotJudged, Broken]
    );
}

#[test]
fn a_session_of_another_address_or_port_is_foreign_to_the_same_client_alone() {
    let elsewhere: Change = |connection| connection.server = endpoint(9);
    let port: Change = |connection| connection.server.port = 8443;
    let another: Change = |connection| {
        connection.server = endpoint(9);
        connection.client = endpoint(77);
    };
    let world = visits(&[
        (Outcome::Declined, elsewhere),
        (Outcome::Declined, port),
        (Outcome::Declined, another),
        (Outcome::Declined, AS_IT_IS),
    ]);
    assert_eq!(column(&world, |_, entry| entry.foreign), [true, true, false, false]);
}

#[test]
fn a_necessity_that_the_server_passed_over_explains_nothing() {
    // The hello has extended_master_secret in all, the session lacks it, and the refusing answer has it.
    let without = |world: &World| column(world, |_, entry| entry.necessity);
    let made_without = |visits_of: &[(Outcome, Change)]| {
        let world = visits(visits_of);
        without(&world)
    };
    assert_eq!(made_without(&[(Outcome::Declined, AS_IT_IS)]), [None]);
    let lower: Change = |connection| {
        connection.hello.yes_mut().expect("a hello").version = ProtocolVersion::TLS_1_0;
    };
    assert_eq!(made_without(&[(Outcome::Declined, lower)]), [Some(Necessity::Version)]);
    assert_eq!(
        made_without(&[(Outcome::Declined, lower), (RESUMED, lower)]),
        [None, None]
    );
}

#[test]
fn rows_of_a_client_stand_in_the_order_of_their_hellos() {
    let other: Change = |connection| connection.client = endpoint(77);
    let world = visits(&[(RESUMED, other), (RESUMED, AS_IT_IS), (RESUMED, other)]);
    let table = world.case(0).analyses.attempts();
    let turns: Vec<(Vec<u32>, usize)> = table
        .rows()
        .iter()
        .map(|row| {
            let (rows, turn) = table.of_client(row);
            (rows.to_vec(), turn)
        })
        .collect();
    assert_eq!(
        turns,
        [(vec![0, 2], 0), (vec![1, 3], 0), (vec![0, 2], 1), (vec![1, 3], 1)]
    );
}

#[test]
fn times_of_a_sketch_are_seconds() {
    let mut sketch = Sketch::default();
    sketch.silent(3, 1, |_| ());
    sketch.offer(5, 1, (7, 2), true, |_, _| ());
    let (table, part) = sketch.done();
    assert_eq!(table.rows_at(&part.rows).count(), 2);
    let (_, entry) = table.entries(&part.entries).next().expect("an offer");
    assert_eq!(
        table.row_of(entry).map(|row| row.time),
        Some(Timestamp::from_nanos(5 * SECOND))
    );
}

/// The place of a row, for columns that name one.
pub(in crate::diagnosis) const fn place(row: u32) -> RowNumber {
    RowNumber(row)
}

#[test]
fn a_resumption_has_the_certificate_of_its_session() {
    let shown: Change = |connection| connection.certificate = Some(([5; 16], at(1).frame));
    let other: Change = |connection| connection.certificate = Some(([6; 16], at(9).frame));
    let visits = [
        (RESUMED, AS_IT_IS),
        (Outcome::Declined, AS_IT_IS),
        (Outcome::Declined, other),
    ];
    let world = visits_after(shown, &visits);
    assert_eq!(column(&world, |row, _| row.certificate), [1, 0, 2]);
    assert_eq!(column(&world, |_, entry| entry.other_certificate), [false, false, true]);
    let world = visits_after(AS_IT_IS, &visits);
    assert_eq!(column(&world, |row, _| row.certificate), [0, 0, 1]);
    assert_eq!(column(&world, |_, entry| entry.other_certificate), [false; 3]);
}

#[test]
fn a_client_certificate_is_asked_for_now_where_a_whole_full_handshake_did_not() {
    use crate::session::{Blindness, Seen, Shape};
    let asks: Change = |connection| connection.certificate_request = Some(at(9).frame);
    let full: Change = |connection| connection.shape = Seen::Yes(Shape::Full(at(1)));
    let told = |issuing: Change, now: Change| {
        let world = visits_after(issuing, &[(Outcome::Declined, now)]);
        column(&world, |_, entry| entry.asks_certificate)
    };
    assert_eq!(told(full, asks), [true]);
    assert_eq!(told(full, AS_IT_IS), [false]);
    assert_eq!(told(AS_IT_IS, asks), [false], "whether it was full is not known");
    let lossy: Change = |connection| {
        connection.shape = Seen::Yes(Shape::Full(at(1)));
        connection.server_side.handshake_loss = Some(Blindness::Gap);
    };
    assert_eq!(told(lossy, asks), [false]);
    let asked: Change = |connection| {
        connection.shape = Seen::Yes(Shape::Full(at(1)));
        connection.certificate_request = Some(at(1).frame);
    };
    assert_eq!(told(asked, asks), [false]);
    let tls13: Change = |connection| {
        connection.shape = Seen::Yes(Shape::Full(at(1)));
        connection.answer = answered(1, "a.test", ProtocolVersion::TLS_1_3).answer;
    };
    assert_eq!(told(tls13, asks), [false], "it is encrypted");
}

#[test]
fn each_ticket_that_stands_for_a_kept_session_is_one_more_in_the_cache() {
    // Connection 0 issues a session ID; what the second one issues lies between its issue and its offer on the third.
    let newer = |identities: &[usize]| {
        let mut credential_store = CredentialStore::default();
        let mut enter = |mechanism, byte: u8, length: usize, connection| {
            let name = CredentialFingerprint::of(&vec![byte; length]);
            credential_store.enter(TransportKind::Tcp, mechanism, &name, || Credential {
                issued: Some(Issue {
                    connection: ConnectionId(connection),
                    at: at(connection + 1),
                }),
                server_name: Some("a.test".into()),
                version: Some(ProtocolVersion::TLS_1_2),
                ..Credential::unseen(TransportKind::Tcp, mechanism, name, endpoint(2))
            })
        };
        let session = enter(Mechanism::SessionId, 7, 32, 0);
        let mut all: Vec<Connection> = (1..=3).map(crate::diagnosis::tests::full).collect();
        let bytes = (20..).zip(identities);
        all[1].issued = bytes
            .map(|(byte, length)| enter(Mechanism::Psk, byte, *length, 1))
            .collect();
        all[0].issued.push(session);
        all[2].outcome = RESUMED;
        all[2].offers = smallvec![offer(session.0, OfferKind::Resumption(Mechanism::SessionId))];
        all[2].accepted = Some(session);
        column(&World::with(credential_store, all, usize::MAX), |_, entry| entry.newer)
    };
    assert_eq!(newer(&[]), [0]);
    assert_eq!(newer(&[32, 32, 32]), [3]);
    // What holds its session itself is one handshake more.
    assert_eq!(newer(&[180, 180]), [1]);
}

#[test]
fn what_is_accepted_later_is_decided_later() {
    // The hello of the refused one came first, was lost, and was heard behind that of the accepted one.
    let slow: Change = |connection| {
        let answer = connection.answer.yes_mut().expect("an answer");
        answer.at.time = at(60).time;
    };
    let told = |change| {
        let world = visits(&[(RESUMED, AS_IT_IS), (Outcome::Declined, change), (RESUMED, AS_IT_IS)]);
        let later = column(&world, |_, entry| entry.accepted_later);
        (later[1], column(&world, |_, entry| entry.refused_before)[2])
    };
    assert_eq!(told(AS_IT_IS), (true, true));
    assert_eq!(told(slow), (false, false));
}
