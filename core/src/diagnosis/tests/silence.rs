//! Clients that come back and offer nothing, after ends of every kind.

use smallvec::smallvec;

use super::{World, full, giving_tickets};
use crate::diagnosis::Confidence;
use crate::session::tests::{answered, at, endpoint, offer};
use crate::session::{
    Blindness, CloseClass, Completed, Connection, ConnectionId, Credential, CredentialFingerprint, CredentialId, Issue,
    Mechanism, OfferKind, Outcome, PlainAlert, ProtocolVersion, Seen, Side, TicketsInferred, TransportKind,
};
use crate::store::CredentialStore;
use crate::tls::AlertDescription;

/// How a visit ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Clean,
    ServerFin,
    Alert,
}

/// Visits of one client: each offers the session that the numbered one issued, or nothing and is given one; and how it ends.
/// `lives_on` says whether its program has another connection open all the time, which then is the first.
fn visits(visits: &[(Option<u32>, End)], lives_on: bool) -> World {
    let (credential_store, connections) = made(visits, lives_on);
    World::with(credential_store, connections, usize::MAX)
}

fn made(visits: &[(Option<u32>, End)], lives_on: bool) -> (CredentialStore, Vec<Connection>) {
    let mut credential_store = CredentialStore::default();
    let mut connections = Vec::new();
    let first = u32::from(lives_on);
    if lives_on {
        let mut open = answered(0, "b.test", ProtocolVersion::TLS_1_2);
        open.client_side.fin = Some(at(1_000));
        connections.push(open);
    }
    for (number, (offered, end)) in (0_u32..).zip(visits) {
        let session = |of: u32| {
            let name = CredentialFingerprint::of(&of.to_be_bytes());
            (name, Mechanism::SessionId)
        };
        let mut connection = ended(full(2 * number + 1), 2 * number + 2, *end);
        let (name, mechanism) = session(offered.unwrap_or(number));
        let credential = credential_store.enter(TransportKind::Tcp, mechanism, &name, || Credential {
            issued: Some(Issue {
                connection: ConnectionId(first + number),
                at: at(2 * number + 1),
            }),
            server_name: Some("a.test".into()),
            version: Some(ProtocolVersion::TLS_1_2),
            ..Credential::unseen(TransportKind::Tcp, mechanism, name, endpoint(2))
        });
        if offered.is_some() {
            resume(&mut connection, credential);
            let entered = credential_store.get_mut(credential).expect("entered");
            entered.offers.push(ConnectionId(first + number));
        } else {
            connection.issued.push(credential);
        }
        connections.push(connection);
    }
    (credential_store, connections)
}

fn resume(connection: &mut Connection, credential: CredentialId) {
    connection.outcome = Outcome::Resumed(Some(Mechanism::SessionId));
    connection.completed = Completed::Yes;
    connection.offers = smallvec![offer(credential.0, OfferKind::Resumption(Mechanism::SessionId))];
    connection.accepted = Some(credential);
}

fn ended(mut connection: Connection, second: u32, end: End) -> Connection {
    connection.server_side.fin = Some(at(second));
    connection.close.first_closer = Seen::Yes(Side::Server);
    connection.close.class = Seen::Yes(match end {
        End::Clean => CloseClass::CleanBoth,
        End::ServerFin => CloseClass::FinNoNotify,
        End::Alert => CloseClass::FatalAlert,
    });
    if end == End::Alert {
        connection.server_side.alert = Some(Box::new(PlainAlert {
            at: at(second),
            fatal: true,
            description: AlertDescription(40),
        }));
    }
    connection
}

/// What is said of the last visit under this name.
fn told(visits_made: &[(Option<u32>, End)], visit: u32, name: &str) -> Option<Confidence> {
    told_of(&visits(visits_made, true), 1 + visit, name)
}

fn told_of(world: &World, visit: u32, name: &str) -> Option<Confidence> {
    let told = world.told(visit);
    told.into_iter()
        .find(|(told, _)| *told == name)
        .map(|(_, confidence)| confidence)
}

/// Sessions that are each offered three times after a clean close, and dropped after the end of the third use.
fn drops_after(end: End) -> Vec<(Option<u32>, End)> {
    let life = |first: u32| {
        let offered = move |end| (Some(first), end);
        [
            (None, End::Clean),
            offered(End::Clean),
            offered(End::Clean),
            offered(end),
        ]
    };
    (0..4).flat_map(|round| life(4 * round)).collect()
}

#[test]
fn a_client_that_offers_after_clean_ends_only_drops_its_session_after_others() {
    let unclean = "client-dropped-after-unclean-close";
    let alert = "client-dropped-after-fatal-alert";
    assert_eq!(
        told(&drops_after(End::ServerFin), 12, unclean),
        Some(Confidence::Inferred)
    );
    assert_eq!(told(&drops_after(End::Alert), 12, alert), Some(Confidence::Inferred));
    // A program that ends closes uncleanly, too, and the next one has nothing to offer.
    let ends = visits(&drops_after(End::ServerFin), false);
    assert_eq!(told_of(&ends, 12, unclean), Some(Confidence::Possible));
    // What an alert costs does not depend on that.
    let ends = visits(&drops_after(End::Alert), false);
    assert_eq!(told_of(&ends, 12, alert), Some(Confidence::Inferred));
}

#[test]
fn behind_one_address_with_several_stores_what_one_drops_is_only_possible() {
    for (end, name) in [
        (End::ServerFin, "client-dropped-after-unclean-close"),
        (End::Alert, "client-dropped-after-fatal-alert"),
    ] {
        let mut all = drops_after(end);
        // The first session of all is offered again in the end: whoever was silent did not hold it, or did not drop it.
        all.extend([(None, End::Clean), (Some(0), End::Clean)]);
        assert_eq!(told(&all, 12, name), Some(Confidence::Possible), "{name}");
        // What is offered again after the silence was not dropped by it.
        assert_eq!(told(&all, 4, name), None, "{name}");
        // A session that was made since says nothing.
        let mut newest = drops_after(end);
        newest.extend([(None, End::Clean), (Some(16), End::Clean)]);
        assert_eq!(told(&newest, 12, name), Some(Confidence::Inferred), "{name}");
    }
}

#[test]
fn hellos_in_parallel_behind_one_address_with_several_stores_may_be_of_different_clients() {
    let parallel = |last| {
        let silent = (None, End::Clean);
        let (credential_store, mut connections) = made(&[silent, silent, silent, (last, End::Clean)], false);
        // The second hello is sent before the first handshake is over.
        if let Some(first) = connections.first_mut() {
            (first.client_side.finished, first.server_side.finished) = (Some(at(4)), Some(at(4)));
        }
        let world = World::with(credential_store, connections, usize::MAX);
        told_of(&world, 1, "no-credential-yet-parallel")
    };
    assert_eq!(parallel(None), Some(Confidence::Inferred));
    // Whoever was silent last does not hold the first session.
    assert_eq!(parallel(Some(0)), Some(Confidence::Possible));
}

#[test]
fn hellos_in_parallel_may_be_of_clients_whose_sessions_go_on_side_by_side() {
    let parallel = |used: &[u32]| {
        let silent = (None, End::Clean);
        let used = used.iter().map(|session| (Some(*session), End::Clean));
        let visits: Vec<_> = [silent, silent].into_iter().chain(used).collect();
        let (credential_store, mut connections) = made(&visits, false);
        if let Some(first) = connections.first_mut() {
            (first.client_side.finished, first.server_side.finished) = (Some(at(4)), Some(at(4)));
        }
        let world = World::with(credential_store, connections, usize::MAX);
        told_of(&world, 1, "no-credential-yet-parallel")
    };
    assert_eq!(parallel(&[1, 1, 1]), Some(Confidence::Inferred));
    assert_eq!(parallel(&[0, 1, 0]), Some(Confidence::Possible));
}

#[test]
fn hellos_in_parallel_meet_by_chance_where_many_come() {
    let parallel = |at_once: &[u32], others: &[u32]| {
        let mut connections: Vec<_> = at_once.iter().chain(others).map(|second| full(*second)).collect();
        if let Some(first) = connections.first_mut() {
            (first.client_side.finished, first.server_side.finished) = (Some(at(20)), Some(at(20)));
        }
        let told = World::of(connections, usize::MAX).told(1);
        let found = told.into_iter().find(|(name, _)| *name == "no-credential-yet-parallel");
        found.map(|(_, confidence)| confidence)
    };
    let [sure, unsure] = [Some(Confidence::Inferred), Some(Confidence::Possible)];
    assert_eq!(parallel(&[10, 11], &[]), sure);
    // One in five minutes, and the handshake takes ten seconds.
    assert_eq!(parallel(&[10, 11], &[310, 610, 910]), unsure);
    assert_eq!(parallel(&[10, 11], &[10_000]), sure);
    // Which of several it is, nobody knows.
    assert_eq!(parallel(&[10, 11, 12, 13, 14], &[310, 610, 910]), sure);
}

#[test]
fn a_client_that_was_never_seen_to_offer_drops_nothing() {
    let silent = |end| (None, end);
    for (end, name) in [
        (End::Alert, "client-dropped-after-fatal-alert"),
        (End::ServerFin, "client-dropped-after-unclean-close"),
    ] {
        let never = [silent(End::Clean), silent(end), silent(End::Clean)];
        assert_eq!(told(&never, 2, name), None, "{name}");
        // Once after a clean end, and not after such a one.
        let once = [
            silent(End::Clean),
            (Some(0), End::Clean),
            (Some(0), end),
            silent(End::Clean),
        ];
        assert_eq!(told(&once, 3, name), Some(Confidence::Possible), "{name}");
    }
}

/// What is said of the issuing of a server whose earlier handshake ended so, with no ticket after it.
fn issues_nothing(outcomes: &[Outcome]) -> Option<Confidence> {
    let number = u32::try_from(outcomes.len()).expect("a few");
    let earlier = (0..).zip(outcomes).map(|(second, outcome)| Connection {
        outcome: *outcome,
        tickets_inferred: TicketsInferred::Read {
            usable: false,
            complete: true,
        },
        ..full(second + 1)
    });
    let world = World::of(earlier.chain([full(number + 1)]).collect(), usize::MAX);
    let told = world.told(number);
    let told = told.into_iter().find(|(name, _)| *name == "server-issues-nothing");
    told.map(|(_, confidence)| confidence)
}

#[test]
fn a_server_that_resumed_a_session_issues_some() {
    let resumed = Outcome::Resumed(Some(Mechanism::Psk));
    assert_eq!(issues_nothing(&[Outcome::NotOffered]), Some(Confidence::Observed));
    assert_eq!(
        issues_nothing(&[Outcome::ExternalPsk]),
        Some(Confidence::Observed),
        "none of the server's"
    );
    assert_eq!(issues_nothing(&[resumed]), None);
    assert_eq!(issues_nothing(&[resumed, Outcome::NotOffered]), None);
    // Unless it was refused since.
    assert_eq!(
        issues_nothing(&[resumed, Outcome::Declined]),
        Some(Confidence::Possible)
    );
}

/// Under one name the client is given a session and comes back with it, then it comes under another; what it brings along when
/// it comes first is a session that nobody was seen to issue.
fn under_another_name(brings: bool) -> Vec<(&'static str, Confidence)> {
    let mut credential_store = CredentialStore::default();
    let mut enter = |of: u32, issued: Option<Issue>| {
        let (mechanism, name) = (Mechanism::SessionId, CredentialFingerprint::of(&of.to_be_bytes()));
        credential_store.enter(TransportKind::Tcp, mechanism, &name, || Credential {
            issued,
            ..Credential::unseen(TransportKind::Tcp, mechanism, name, endpoint(2))
        })
    };
    let issue = Issue {
        connection: ConnectionId(0),
        at: at(1),
    };
    let (own, old) = (enter(1, Some(issue)), enter(2, None));
    let mut first = ended(full(1), 2, End::Clean);
    if brings {
        first.outcome = Outcome::Declined;
        first.offers = smallvec![offer(old.0, OfferKind::Resumption(Mechanism::SessionId))];
    }
    first.issued.push(own);
    let mut second = ended(full(3), 4, End::Clean);
    resume(&mut second, own);
    let mut third = full(5);
    third.hello.yes_mut().expect("a hello").server_name = Some("b.test".into());
    World::with(credential_store, vec![first, second, third], usize::MAX).told(2)
}

#[test]
fn whoever_comes_under_another_name_may_be_another_client() {
    let told = |brings| {
        let mut told = under_another_name(brings).into_iter();
        told.find(|(name, _)| *name == "client-sni-changed")
            .map(|(_, confidence)| confidence)
    };
    assert_eq!(told(false), Some(Confidence::Possible));
    assert_eq!(told(true), Some(Confidence::Possible));
}

/// Handshakes of one client in turn, all read with keys. One that offers nothing is given a ticket, numbered in turn from 0 on; the
/// others offer the ticket of that number and are given none. From 100 on nobody was seen to give them.
fn tickets_used(visits: &[Option<u32>], change: impl Fn(u32, &mut Connection)) -> World {
    let mut credential_store = CredentialStore::default();
    let ticket = |number: u32| CredentialFingerprint::of(&[number.to_be_bytes(); 25].concat());
    let givers = (0_u32..).zip(visits).filter(|(_, offered)| offered.is_none());
    let mut known: Vec<(u32, Option<u32>)> = (0..).zip(givers.map(|(giver, _)| Some(giver))).collect();
    known.extend(
        visits
            .iter()
            .flatten()
            .filter(|number| **number >= 100)
            .map(|number| (*number, None)),
    );
    let mut number_of = Vec::new();
    for (number, giver) in known {
        let name = ticket(number);
        let mut credential = Credential::unseen(TransportKind::Tcp, Mechanism::Psk, name, endpoint(2));
        credential.issued = giver.map(|giver| Issue {
            connection: ConnectionId(giver),
            at: at(1 + giver * 20),
        });
        let id = credential_store.enter(TransportKind::Tcp, Mechanism::Psk, &name, || credential);
        number_of.push((number, id));
    }
    let id_of = |number: u32| number_of.iter().find(|(of, _)| *of == number).expect("a ticket").1;
    let mut given = 0;
    let connections = (0_u32..).zip(visits).map(|(number, offered)| {
        let mut connection = giving_tickets(1 + number * 20);
        connection.tickets_inferred = TicketsInferred::Read {
            usable: offered.is_none(),
            complete: true,
        };
        if let Some(offered) = *offered {
            let id = id_of(offered);
            connection.offers = smallvec![offer(id.0, OfferKind::Resumption(Mechanism::Psk))];
            (connection.accepted, connection.outcome) = (Some(id), Outcome::Resumed(Some(Mechanism::Psk)));
        } else {
            connection.issued = smallvec![id_of(given)];
            given += 1;
        }
        change(number, &mut connection);
        connection
    });
    let connections = connections.collect();
    World::with(credential_store, connections, usize::MAX)
}

/// So many visits: one that is given a ticket, one that offers it, and so on.
fn in_turn(count: u32) -> Vec<Option<u32>> {
    (0..count)
        .map(|visit| (!visit.is_multiple_of(2)).then_some(visit / 2))
        .collect()
}

/// How surely it is told of this visit that the client had no ticket left.
fn exhausted(world: &World, visit: u32) -> Option<Confidence> {
    let told = world.told(visit);
    let told = told.into_iter().find(|(name, _)| *name == "client-tickets-exhausted");
    told.map(|(_, confidence)| confidence)
}

#[test]
fn that_tickets_are_used_up_shows_where_a_client_offers_whenever_it_holds_one() {
    let told = |visits: &[Option<u32>], visit| exhausted(&tickets_used(visits, |_, _| ()), visit);
    let turns = in_turn(10);
    assert_eq!(told(&turns, 4), Some(Confidence::Inferred));
    // Five and four are enough, four and three are not; hindsight counts.
    assert_eq!(told(&turns[..8], 4), Some(Confidence::Possible));
    // Another program of that address may have begun, or it uses what it has again.
    assert_eq!(told(&turns[..3], 2), Some(Confidence::Possible));
    // It was silent although it held one.
    let mut silent = in_turn(12);
    silent[..4].copy_from_slice(&[None, None, Some(0), Some(1)]);
    assert_eq!(told(&silent, 4), Some(Confidence::Possible));
    assert_eq!(told(&turns, 3), None);
}

#[test]
fn that_tickets_are_used_up_does_not_show_where_the_end_explains_the_silence() {
    let turns = in_turn(10);
    let ended = |class: CloseClass, of: fn(u32) -> bool| {
        let change = |number: u32, connection: &mut Connection| {
            let end = at(2 + number * 20);
            connection.close.class = Seen::Yes(if of(number) { class } else { CloseClass::CleanClient });
            connection.client_side.fin = Some(end);
            connection.close.first_closer = Seen::Yes(Side::Client);
        };
        exhausted(&tickets_used(&turns, change), 4)
    };
    // Each connection that used a ticket ended so, and none that gave one did.
    assert_eq!(
        ended(CloseClass::FinNoNotify, |number| number % 2 == 1),
        Some(Confidence::Possible)
    );
    assert_eq!(ended(CloseClass::FinNoNotify, |_| true), Some(Confidence::Inferred));
    assert_eq!(ended(CloseClass::CleanClient, |_| true), Some(Confidence::Inferred));
}

#[test]
fn a_ticket_that_nobody_was_seen_to_give_is_none_of_those_that_were_counted() {
    let told = |visits: &[Option<u32>], visit| exhausted(&tickets_used(visits, |_, _| ()), visit);
    let turns = in_turn(11);
    assert_eq!(told(&turns, 10), Some(Confidence::Inferred));
    // It was given tickets that nobody saw: who knows how many.
    let mut unseen = turns.clone();
    unseen[9] = Some(100);
    assert_eq!(told(&unseen, 10), Some(Confidence::Possible));
    // One from before the first that was seen takes none of those away.
    let before = [vec![Some(100)], turns].concat();
    assert_eq!(told(&before, 11), Some(Confidence::Inferred));
}

#[test]
fn tickets_are_known_to_be_used_up_only_where_all_that_were_given_were_read() {
    let visits = [in_turn(11), vec![None]].concat();
    // The last but one gives nothing, unless it is changed so.
    let told = |between: &dyn Fn(&mut Connection)| {
        let change = |number: u32, connection: &mut Connection| {
            if number >= 10 {
                connection.issued.clear();
                connection.tickets_inferred = TicketsInferred::Read {
                    usable: false,
                    complete: true,
                };
            }
            if number == 10 {
                between(connection);
            }
        };
        exhausted(&tickets_used(&visits, change), 11)
    };
    assert_eq!(told(&|_| ()), Some(Confidence::Inferred));
    assert_eq!(told(&|it| it.completed = Completed::No), Some(Confidence::Inferred));
    let giving = |second| {
        told(&|it: &mut Connection| {
            it.issued = smallvec![CredentialId(5)];
            it.tickets_inferred = TicketsInferred::Read {
                usable: true,
                complete: true,
            };
            it.client_side.application_data = Some(at(second));
        })
    };
    let last = 1 + 11 * 20;
    assert_eq!(giving(last - 1), Some(Confidence::Possible), "one is left");
    assert_eq!(
        giving(last),
        Some(Confidence::Possible),
        "it came with the hello, or before"
    );
    assert_eq!(giving(last + 1), Some(Confidence::Inferred), "it came too late");
    // A handshake that is not known as this client's, or was not seen to its end, may have given it some.
    assert_eq!(
        told(&|it| it.hello = Seen::Blind(Blindness::Gap)),
        Some(Confidence::Possible)
    );
    assert_eq!(
        told(&|it| it.answer = Seen::Blind(Blindness::Gap)),
        Some(Confidence::Possible)
    );
    let unended = told(&|it| it.completed = Completed::Blind(Blindness::Gap));
    assert_eq!(unended, Some(Confidence::Possible));
    // Of one that lost its first packets nobody knows whether it is from before the capture.
    let late = told(&|it| {
        let late = Blindness::CaptureStartedLate;
        (it.hello, it.answer) = (Seen::Blind(late), Seen::Blind(late));
        it.completed = Completed::Blind(late);
    });
    assert_eq!(late, Some(Confidence::Possible));
}
