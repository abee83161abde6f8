//! What the absence of something in a capture does not show: a cause that rests on it asks whether it could be seen.

use super::*;
use crate::session::TransportKind;

/// A complete full handshake of which the ClientHello is not visible.
fn hidden(second: u32, cause: Blindness) -> Connection {
    Connection {
        hello: Seen::Blind(cause),
        outcome: Outcome::Unclear(cause),
        ..full(second)
    }
}

/// The same, of which nothing of the handshake is visible.
fn joined_late(second: u32) -> Connection {
    let cause = Blindness::CaptureStartedLate;
    let mut connection = Connection {
        answer: Seen::Blind(cause),
        completed: Completed::Blind(cause),
        ..hidden(second, cause)
    };
    connection.transport.started = at(second).time;
    connection
}

#[test]
fn a_connection_whose_proxy_header_is_lost_may_be_of_any_client_behind_the_proxy() {
    use crate::net::SeqNumber;
    use crate::session::{RareFacts, preamble};
    let told = |change: fn(&mut Connection)| {
        let mut before = full(1);
        change(&mut before);
        let mut behind = full(5);
        let header = b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 443\r\n";
        let stated = RareFacts {
            preamble: Some(preamble::classify(header, b"")),
            ..RareFacts::default()
        };
        behind.transport.uncommon = stated.boxed();
        World::of(vec![before, behind], usize::MAX).told(1)
    };
    let first = [("first-in-capture", Confidence::Observed)];
    assert_eq!(told(|_| ()), [("client-did-not-offer", Confidence::Possible)]);
    // Its beginning was seen: there was no header.
    assert_eq!(told(|before| before.transport.client_isn = Some(SeqNumber(1))), first);
    assert_eq!(told(|before| before.client = endpoint(77)), first);
    assert_eq!(told(|before| *before = full(9)), first);
}

#[test]
fn a_handshake_whose_hello_is_lost_may_be_of_any_client_of_its_address() {
    let told = |change: fn(&mut Connection)| {
        let mut before = hidden(1, Blindness::Gap);
        change(&mut before);
        World::of(vec![before, full(5)], usize::MAX).told(1)
    };
    let first = [("first-in-capture", Confidence::Observed)];
    assert_eq!(told(|_| ()), [("client-did-not-offer", Confidence::Possible)]);
    assert_eq!(told(|before| before.completed = Completed::No), first);
    assert_eq!(told(|before| before.client = endpoint(77)), first);
    assert_eq!(told(|before| before.server = endpoint(77)), first);
    assert_eq!(told(|before| *before = hidden(9, Blindness::Gap)), first);
    // A handshake before the capture is none in it.
    assert_eq!(told(|before| *before = joined_late(1)), first);
}

#[test]
fn connections_in_parallel_had_nothing_to_offer_only_if_none_came_before() {
    let told = |before: Option<Connection>| {
        let mut under_way = full(4);
        under_way.client_side.finished = Some(at(7));
        let number = u32::from(before.is_some()) + 1;
        let all = before.into_iter().chain([under_way, full(5)]).collect();
        let told = World::of(all, usize::MAX).told(number);
        let parallel = told.into_iter().find(|(name, _)| *name == "no-credential-yet-parallel");
        parallel.map(|(_, confidence)| confidence)
    };
    assert_eq!(told(None), Some(Confidence::Inferred));
    assert_eq!(told(Some(hidden(1, Blindness::Gap))), Some(Confidence::Possible));
    assert_eq!(told(Some(joined_late(1))), Some(Confidence::Possible));
}

#[test]
fn by_two_clocks_no_handshake_is_told_to_have_been_under_way() {
    let told = |answered: u32| {
        let mut under_way = full(4);
        under_way.answer.yes_mut().expect("an answer").at = at(answered);
        under_way.client_side.finished = Some(at(7));
        let told = World::of(vec![under_way, full(5)], usize::MAX).told(1);
        told.iter().any(|(name, _)| *name == "no-credential-yet-parallel")
    };
    assert!(told(6));
    // What the client sent in answer stands in front of it.
    assert!(!told(8));
}

#[test]
fn a_credential_is_of_unknown_origin_only_where_no_issue_may_be_missing() {
    let told = |change: fn(&mut Connection)| {
        let mut before = full(1);
        change(&mut before);
        let credential_store = one_credential(Mechanism::Ticket, &[7; 100], |credential| credential.issued = None);
        let world = World::with(credential_store, vec![before, offering(5)], usize::MAX);
        world.told(1).first().copied()
    };
    let unknown = Some(("offer-of-unknown-origin", Confidence::Observed));
    // What is stamped as issued after the offer is of known origin all the same.
    let later = one_credential(Mechanism::Ticket, &[7; 100], |credential| {
        credential.issued = Some(Issue {
            connection: ConnectionId(1),
            at: at(9),
        });
    });
    let mut issuing = full(9);
    issuing.issued.push(CredentialId(0));
    let unexplained = Some(("rejected-unexplained", Confidence::Observed));
    let set_back = World::with(later, vec![offering(5), issuing], usize::MAX);
    assert_eq!(set_back.told(0).first().copied(), unexplained);
    let incomplete = Some(("capture-incomplete", Confidence::Observed));
    assert_eq!(told(|_| ()), unknown);
    let missing: [fn(&mut Connection); 4] = [
        |before| before.answer = Seen::Blind(Blindness::Gap),
        |before| before.server_side.handshake_loss = Some(Blindness::Snaplen),
        |before| before.renegotiations = 1,
        |before| {
            before.server_side.finished = None;
            before.server_side.tail_loss = Some(Blindness::Gap);
        },
    ];
    for change in missing {
        assert_eq!(told(change), incomplete);
    }
    assert_eq!(told(|before| *before = joined_late(1)), unknown);
    // That it was declined shows on the client's side, too.
    let (credential_store, mut declined) = (CredentialStore::default(), offering(5));
    declined.answer = Seen::Blind(Blindness::OneDirection);
    let mut before = full(1);
    before.answer = Seen::Blind(Blindness::OneDirection);
    let alone = World::with(credential_store, vec![before, declined], usize::MAX);
    assert_eq!(alone.told(1).first().copied(), unexplained);
    let elsewhere = |before: &mut Connection| {
        before.answer = Seen::Blind(Blindness::Gap);
        before.server = endpoint(77);
    };
    // Clients offer to one server what another gave them; but what another client was given is not theirs.
    assert_eq!(told(elsewhere), incomplete);
    let another = |before: &mut Connection| {
        before.answer = Seen::Blind(Blindness::Gap);
        before.client = endpoint(78);
    };
    assert_eq!(told(another), unknown);
}

#[test]
fn what_was_folded_away_may_have_issued_what_is_refused() {
    let credential_store = one_credential(Mechanism::Ticket, &[7; 100], |credential| credential.issued = None);
    let world = World::with(credential_store, vec![full(1), offering(5)], 1);
    let judged = judge(&world.case(1));
    let first = judged.first().expect("a reason");
    assert_eq!(first.reason.name, "capture-incomplete");
    assert!(first.summary.contains("folded away"), "{}", first.summary);
}

#[test]
fn clients_never_offer_only_what_they_themselves_were_given() {
    let pattern = |change: fn(&mut [Connection])| {
        let mut all: Vec<Connection> = (1..6).map(full).collect();
        for connection in &mut all {
            connection.issued.push(CredentialId(0));
        }
        change(&mut all);
        let world = World::of(all, usize::MAX);
        let patterns = &world.case(0).analysis().expect("a service").patterns;
        let mut never = patterns.iter().filter(|pattern| pattern.name == "client-never-offers");
        never.next().map(|pattern| pattern.confidence)
    };
    // Behind one address there may be several clients.
    assert_eq!(pattern(|_| ()), Some(Confidence::Possible));
    // Every client comes once.
    let apart = |all: &mut [Connection]| {
        for (connection, port) in all.iter_mut().zip(71..) {
            connection.client = endpoint(port);
        }
    };
    assert_eq!(pattern(apart), None);
    // All begin before the first is over.
    let parallel = |all: &mut [Connection]| {
        for connection in all {
            connection.server_side.finished = Some(at(9));
        }
    };
    assert_eq!(pattern(parallel), None);
    let offered_once = |all: &mut [Connection]| {
        let offer = offer(0, OfferKind::Resumption(Mechanism::Ticket));
        all[4].offers.push(offer);
        all[4].outcome = Outcome::Unclear(Blindness::Gap);
    };
    assert_eq!(pattern(offered_once), None);
    let resumed_once = |all: &mut [Connection]| {
        all[4].hello = Seen::Blind(Blindness::Gap);
        all[4].outcome = Outcome::Resumed(None);
    };
    assert_eq!(pattern(resumed_once), None);
    let lossy = |all: &mut [Connection]| all[4].server_side.handshake_loss = Some(Blindness::Gap);
    assert_eq!(pattern(lossy), Some(Confidence::Possible));
}

#[test]
fn a_ticket_renewed_for_one_that_nobody_saw_may_be_of_any_domain() {
    let domains = |last: Option<Outcome>| {
        let mut credential_store = CredentialStore::default();
        let mut all: Vec<Connection> = (1..6).map(full).collect();
        for (connection, number) in all.iter_mut().zip(1_u8..) {
            let bytes = [[number % 2 + 1; 16].as_slice(), [number; 112].as_slice()].concat();
            let name = CredentialFingerprint::of(&bytes);
            let ticket = credential_store.enter(TransportKind::Tcp, Mechanism::Ticket, &name, || {
                let mut credential = Credential::unseen(TransportKind::Tcp, Mechanism::Ticket, name, endpoint(2));
                credential.issued = Some(Issue {
                    connection: ConnectionId(u32::from(number) - 1),
                    at: at(u32::from(number)),
                });
                credential
            });
            connection.issued.push(ticket);
        }
        if let Some(outcome) = last {
            all[4].hello = Seen::Blind(Blindness::OneDirection);
            all[4].outcome = outcome;
        }
        let world = World::with(credential_store, all, usize::MAX);
        world.case(0).analysis().expect("a service").domains.len()
    };
    assert_eq!(domains(None), 2);
    assert_eq!(domains(Some(Outcome::Unclear(Blindness::OneDirection))), 2);
    assert_eq!(domains(Some(Outcome::Resumed(None))), 0);
}

#[test]
fn a_session_id_that_may_be_made_up_is_not_laid_to_packets_that_are_missing() {
    let summary = |cause| {
        let world = World::of(
            vec![Connection {
                outcome: Outcome::Unclear(cause),
                ..full(1)
            }],
            usize::MAX,
        );
        let judged = super::judge(&world.case(0));
        let told = judged.first().expect("a reason");
        (told.reason.name, told.summary.clone())
    };
    let (name, made_up) = summary(Blindness::NothingTellsApart);
    assert_eq!(name, "capture-incomplete");
    assert!(made_up.contains("is an offer or made up"), "{made_up}");
    assert!(summary(Blindness::Gap).1.contains("was decided (gap)"));
}
