//! What is told of a service, and what of it is worth a finding, over a few connections.

use smallvec::smallvec;

use super::*;
use crate::session::{CredentialId, TicketExtension};

/// A resumption of session 0, with or without extended master secret in hello and answer.
fn resumed(second: u32, offers_secret: bool, takes_secret: bool) -> Connection {
    let mut connection = Connection {
        outcome: Outcome::Resumed(Some(Mechanism::SessionId)),
        accepted: Some(CredentialId(0)),
        offers: smallvec![offer(0, OfferKind::Resumption(Mechanism::SessionId))],
        ..full(second)
    };
    connection.hello.yes_mut().expect("a hello").extended_master_secret = offers_secret;
    connection.answer.yes_mut().expect("an answer").extended_master_secret = takes_secret;
    connection
}

fn session(change: impl FnOnce(&mut Credential)) -> CredentialStore {
    one_credential(Mechanism::SessionId, &[7; 32], |credential| {
        credential.server_name = Some("a.test".into());
        change(credential);
    })
}

fn issuing() -> Connection {
    Connection {
        issued: smallvec![CredentialId(0)],
        ..full(1)
    }
}

fn found(world: &World, name: &str) -> Option<(Confidence, String)> {
    let all = world.findings("a.test");
    let found = all.into_iter().find(|(told, ..)| *told == name);
    found.map(|(_, _, confidence, summary)| (confidence, summary))
}

#[test]
fn who_lacks_extended_master_secret_is_counted() {
    let who = |hellos: &[bool]| {
        let resumptions = (2..)
            .zip(hellos)
            .map(|(second, offers)| resumed(second, *offers, false));
        let all = std::iter::once(issuing()).chain(resumptions).collect();
        let world = World::with(session(|_| ()), all, usize::MAX);
        found(&world, "no-ems-resumption")
            .map(|(_, summary)| summary)
            .unwrap_or_default()
    };
    let begins = |count: &str| format!("{count} of a session without extended master secret; ");
    assert_eq!(
        who(&[false, false]),
        begins("2 resumptions") + "the clients do not offer it"
    );
    assert_eq!(who(&[true, true]), begins("2 resumptions") + "the clients offer it");
    assert_eq!(
        who(&[true, false]),
        begins("2 resumptions") + "the client offered it in 1"
    );
}

#[test]
fn a_secret_that_a_server_knows_forbids_what_was_made_without_it() {
    let told = |made_with: Option<bool>, knows: bool, offers: bool| {
        let mut issuing = issuing();
        issuing.answer.yes_mut().expect("an answer").extended_master_secret = knows;
        let credential_store = session(|credential| credential.extended_master_secret = made_with);
        let world = World::with(credential_store, vec![issuing, resumed(2, offers, false)], usize::MAX);
        found(&world, "resumed-despite-must-not")
    };
    let (confidence, summary) = told(Some(false), true, true).expect("it is forbidden");
    assert_eq!(confidence, Confidence::Observed, "both hellos say so");
    assert_eq!(summary, "1 resumption that the specification forbids");
    for allowed in [
        told(Some(true), true, true),
        told(None, true, true),
        told(Some(false), false, true),
        told(Some(false), true, false),
    ] {
        assert_eq!(allowed, None);
    }
}

#[test]
fn tickets_that_are_offered_again_link_connections_and_addresses() {
    let told = |client: u8| {
        let psk = |second: u32| {
            let mut connection = Connection {
                offers: smallvec![offer(0, OfferKind::Resumption(Mechanism::Psk))],
                outcome: Outcome::Declined,
                ..answered(second, "a.test", ProtocolVersion::TLS_1_3)
            };
            connection.hello.yes_mut().expect("a hello").random = [u8::try_from(second).expect("few"); 32];
            connection
        };
        let mut second = psk(3);
        second.client = endpoint(client);
        let credential_store = one_credential(Mechanism::Psk, &[7; 100], |credential| {
            credential.offers = smallvec![ConnectionId(1), ConnectionId(2)];
        });
        let world = World::with(credential_store, vec![full(1), psk(2), second], usize::MAX);
        let all = world.findings("a.test");
        let found = all.into_iter().find(|(name, ..)| *name == "ticket-reuse-linkable");
        found.map(|(_, severity, _, summary)| (severity == Severity::High, summary))
    };
    let own = full(1).client.ip;
    let same = (1..=9).find(|last| endpoint(*last).ip == own).expect("the client's");
    let one = "1 ticket was offered on more than one connection";
    assert_eq!(told(same), Some((false, one.to_owned())));
    assert_eq!(
        told(77),
        Some((true, format!("{one}, 1 of them from several addresses")))
    );
}

fn patterns(world: &World) -> Vec<&'static str> {
    let analysis = world.case(0).analysis().expect("a service");
    analysis.patterns.iter().map(|pattern| pattern.name).collect()
}

#[test]
fn nothing_is_issued_where_no_full_handshake_issues_anything() {
    let told = |all: Vec<Connection>| patterns(&World::of(all, usize::MAX)).contains(&"nothing-issued");
    assert!(told(vec![empty(1), empty(2)]));
    assert!(!told(vec![empty(1)]), "one may be an accident");
    let giving = Connection {
        issued: smallvec![CredentialId(0)],
        ..empty(3)
    };
    assert!(!told(vec![empty(1), empty(2), giving]));
}

#[test]
fn a_server_that_resumed_what_is_only_counted_now_does_issue() {
    let world = |outcome: Outcome| {
        let first = Connection { outcome, ..empty(1) };
        let world = World::of([first].into_iter().chain((2..=6).map(empty)).collect(), 4 << 10);
        let kept = world.connection_store.len();
        assert!(
            (2..6).contains(&kept) && world.connection_store.evicted_total() > 0,
            "{kept} kept"
        );
        world
    };
    let told = |world: &World| {
        let analysis = world.case(5).analysis().expect("a service");
        analysis.patterns.iter().any(|pattern| pattern.name == "nothing-issued")
    };
    assert!(told(&world(Outcome::NotOffered)));
    assert!(!told(&world(Outcome::Resumed(None))));
    // What a handshake gave that is only counted now may not have been offered.
    let reasons = world(Outcome::NotOffered).told(5);
    let found = reasons.iter().find(|(name, _)| *name == "server-issues-nothing");
    assert_eq!(found, Some(&("server-issues-nothing", Confidence::Possible)));
}

#[test]
fn a_server_that_nobody_asks_for_a_ticket_may_issue_some() {
    let without = |second| {
        let mut connection = empty(second);
        connection.hello.yes_mut().expect("a hello").ticket = TicketExtension::Absent;
        connection
    };
    let world = |all: Vec<Connection>| World::of(all, usize::MAX);
    let none_asks = world((1..=4).map(without).collect());
    assert!(!patterns(&none_asks).contains(&"nothing-issued"));
    assert!(patterns(&world(vec![without(1), empty(2), without(3)])).contains(&"nothing-issued"));
    let answer = &none_asks.case(0).analysis().expect("a service").answer;
    assert_eq!(
        answer.sentence,
        "3 of 4 connections had nothing to offer because the server had issued nothing to their clients."
    );
    let action = answer.action.as_deref();
    assert!(action.is_some_and(|action| action.ends_with("tickets in the clients, which ask for none")));
}

/// A full handshake up to TLS 1.2 that issues nothing, although its client would take a ticket.
fn empty(second: u32) -> Connection {
    let mut connection = Connection {
        shape: Seen::Yes(Shape::Full(at(second))),
        ..full(second)
    };
    connection.hello.yes_mut().expect("a hello").ticket = TicketExtension::Empty;
    connection
}

#[test]
fn a_server_issues_nothing_where_no_handshake_of_the_client_was_given_anything() {
    let told = |before: Vec<Connection>| {
        let number = u32::try_from(before.len()).expect("few");
        let all = before.into_iter().chain([empty(9)]).collect();
        let told = World::of(all, usize::MAX).told(number);
        let found = told.into_iter().find(|(name, _)| *name == "server-issues-nothing");
        found.map(|(_, confidence)| confidence)
    };
    let given = |second| Connection {
        issued: smallvec![CredentialId(0)],
        ..empty(second)
    };
    assert_eq!(told(vec![empty(1)]), Some(Confidence::Observed));
    assert_eq!(told(vec![empty(1), empty(2)]), Some(Confidence::Observed));
    assert_eq!(told(vec![]), None);
    assert_eq!(told(vec![given(1), empty(2)]), None);
    // What it had was refused since, and nothing came in its place.
    let refused = Connection {
        offers: smallvec![offer(0, OfferKind::Resumption(Mechanism::SessionId))],
        outcome: Outcome::Declined,
        ..empty(2)
    };
    assert_eq!(told(vec![given(1), refused]), Some(Confidence::Possible));
    let failed = Connection {
        completed: Completed::No,
        ..empty(1)
    };
    assert_eq!(told(vec![failed]), None);
    // Who asks for no tickets may be another client than the one that does.
    let asks_for_none = |second| Connection {
        shape: Seen::Yes(Shape::Full(at(second))),
        ..full(second)
    };
    assert_eq!(told(vec![asks_for_none(1)]), Some(Confidence::Possible));
    assert_eq!(told(vec![empty(1), asks_for_none(2)]), Some(Confidence::Observed));
}

#[test]
fn clients_are_not_said_to_offer_nothing_where_some_did_before_what_is_kept() {
    let given = |second| Connection {
        issued: smallvec![CredentialId(0)],
        ..empty(second)
    };
    let never = |first: Outcome| {
        let first = Connection {
            outcome: first,
            ..full(1)
        };
        let connections = std::iter::once(first).chain((2..=9).map(given)).collect();
        // The first has no room any more.
        let world = World::of(connections, 8 * 1100);
        assert_eq!(world.case(8).connection_store.evicted_total(), 1);
        let analysis = world.case(8).analysis().expect("a service");
        analysis
            .patterns
            .iter()
            .any(|pattern| pattern.name == "client-never-offers")
    };
    assert!(never(Outcome::NotOffered));
    assert!(!never(Outcome::Declined));
    assert!(!never(Outcome::Resumed(None)));
}

#[test]
fn clients_never_offer_where_three_times_nothing_came_of_what_they_were_given() {
    let never = |connections: u32, change: fn(&mut Connection)| {
        let given = |second| {
            let mut connection = Connection {
                issued: smallvec![CredentialId(0)],
                ..empty(second)
            };
            change(&mut connection);
            connection
        };
        patterns(&World::of((1..=connections).map(given).collect(), usize::MAX)).contains(&"client-never-offers")
    };
    assert!(never(4, |_| ()));
    assert!(!never(3, |_| ()), "the first held nothing");
    assert!(!never(9, |connection| connection.issued.clear()));
    assert!(!never(9, |connection| {
        connection.offers = smallvec![offer(0, OfferKind::UnclearSessionId)];
    }));
    assert!(!never(9, |connection| {
        let number = u8::try_from(connection.hello_time().nanos() / SECOND).expect("few");
        connection.client = endpoint(100 + number);
    }));
}
