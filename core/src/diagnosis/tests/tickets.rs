//! Refused tickets of several keys and names, and what the rest of the capture says of them.

use smallvec::smallvec;

use super::*;
use crate::session::{CredentialFingerprint, CredentialId, TransportKind};
use crate::store::CredentialStore;
use crate::tls::CipherSuite;

/// One handshake: the key of the ticket that it issues, the ticket that it offers, and whether that was accepted.
#[derive(Clone, Copy)]
struct Step {
    name: &'static str,
    issues: Option<u8>,
    offers: Option<u32>,
    resumed: bool,
}

const fn issues(key: u8) -> Step {
    Step {
        name: "a.test",
        issues: Some(key),
        offers: None,
        resumed: false,
    }
}

const fn resumes(ticket: u32) -> Step {
    Step {
        name: "a.test",
        issues: None,
        offers: Some(ticket),
        resumed: true,
    }
}

const fn refuses(ticket: u32, key: u8) -> Step {
    Step {
        name: "a.test",
        issues: Some(key),
        offers: Some(ticket),
        resumed: false,
    }
}

impl Step {
    const fn under(self, name: &'static str) -> Self {
        Self { name, ..self }
    }
}

/// These handshakes, a second apart. Tickets are numbered in the order of their issue.
fn world(steps: &[Step]) -> World {
    changed(steps, |_, _| ())
}

/// The same, each changed by its number.
fn changed(steps: &[Step], change: impl Fn(u32, &mut Connection)) -> World {
    let mut credential_store = CredentialStore::default();
    let mut connections = Vec::new();
    for (second, step) in (1..).zip(steps) {
        let id = ConnectionId(second - 1);
        let mut connection = full(second);
        connection.hello = with_hello(second, step.name, 1).hello;
        if let Some(answer) = connection.answer.yes_mut() {
            answer.at.time = Timestamp::from_nanos(at(second).time.nanos() + SECOND / 1000);
        }
        if let Some(ticket) = step.offers {
            connection.offers = smallvec![offer(ticket, OfferKind::Resumption(Mechanism::Ticket))];
            connection.outcome = Outcome::Declined;
            credential_store
                .get_mut(CredentialId(ticket))
                .expect("issued before")
                .offers
                .push(id);
        }
        if step.resumed {
            connection.accepted = step.offers.map(CredentialId);
            connection.outcome = Outcome::Resumed(Some(Mechanism::Ticket));
        }
        if let Some(key) = step.issues {
            let number = u8::try_from(second).expect("few steps");
            let bytes: Vec<u8> = [[key; 16].as_slice(), &[number; 80]].concat();
            let name = CredentialFingerprint::of(&bytes);
            let issued = credential_store.enter(TransportKind::Tcp, Mechanism::Ticket, &name, || Credential {
                issued: Some(Issue {
                    connection: id,
                    at: at(second),
                }),
                server_name: Some(step.name.into()),
                version: Some(ProtocolVersion::TLS_1_2),
                ..Credential::unseen(TransportKind::Tcp, Mechanism::Ticket, name, endpoint(2))
            });
            connection.issued = smallvec![issued];
        }
        change(second - 1, &mut connection);
        connections.push(connection);
    }
    World::with(credential_store, connections, usize::MAX)
}

const CHANGED: &str = "stek-changed";
const NOT_SHARED: &str = "stek-not-shared";

#[test]
fn keys_of_further_servers_do_not_make_a_restart_a_matter_of_sharing() {
    let (one, two, restarted) = (0xa1, 0xb2, 0xc3);
    let all = [
        issues(one),
        issues(two),
        resumes(0),
        resumes(1),
        refuses(0, restarted),
        issues(restarted),
        resumes(2),
        issues(two),
    ];
    // The second server's key is beside that of the first. But the first was restarted: one refusal does not prove it.
    assert_eq!(world(&all).told(4).first(), Some(&(CHANGED, Confidence::Possible)));
    let more = [&all[..], &[resumes(2), resumes(2)]].concat();
    let told = world(&more).told(4);
    assert_eq!(told.first(), Some(&(CHANGED, Confidence::Possible)));
    assert!(told.iter().all(|(name, _)| *name != NOT_SHARED), "{told:?}");
}

#[test]
fn a_server_whose_own_key_is_beside_the_one_it_refuses_does_not_share_it() {
    let (one, two) = (0xa1, 0xb2);
    let all = [issues(one), issues(two), refuses(0, two), issues(one)];
    // Where nothing is ever accepted, nobody may be able to open any ticket.
    assert_eq!(world(&all).told(2), [(NOT_SHARED, Confidence::Possible)]);
    // One that was rolled out for a while and taken back would have issued so.
    let honoured = [&all[..], &[resumes(3)]].concat();
    assert_eq!(world(&honoured).told(2), [(NOT_SHARED, Confidence::Possible)]);
    let in_turn = [&honoured[..], &[issues(two), issues(one)]].concat();
    assert_eq!(world(&in_turn).told(2), [(NOT_SHARED, Confidence::Inferred)]);
    // The server seals under the key of the ticket that it refuses: it is not the key.
    let own = [issues(one), issues(two), refuses(0, one), issues(two), resumes(1)];
    assert!(world(&own).told(2).iter().all(|(name, _)| *name != NOT_SHARED));
}

#[test]
fn what_is_opened_in_parallel_takes_the_ticket_that_is_at_hand() {
    let renews = Step {
        issues: Some(0xa1),
        ..resumes(0)
    };
    let keeps_old = |began: Option<u32>| {
        let world = changed(&[issues(0xa1), renews, refuses(0, 0xb2)], |number, connection| {
            if let Some(second) = began.filter(|_| number == 2) {
                connection.transport.started = at(second).time;
            }
        });
        let mut told = world.told(2).into_iter();
        told.any(|(name, _)| name == "client-keeps-old-ticket")
    };
    assert!(keeps_old(None));
    // It connects while the newer one is on its way, and says hello when that has come.
    assert!(!keeps_old(Some(2)));
}

/// HelloRetryRequest answers an offer, and the second hello has no pre_shared_key.
#[test]
fn only_a_psk_can_be_left_out_of_a_second_hello() {
    let told = |mechanism: Mechanism| {
        let store = one_credential(mechanism, &[7; 32], |_| ());
        let mut connection = full(3);
        let session = offer(0, OfferKind::Resumption(mechanism));
        connection.offers = smallvec![crate::session::Offer { binder: 32, ..session }];
        connection.outcome = Outcome::Declined;
        let answer = connection.answer.yes_mut().expect("an answer");
        (answer.version, answer.suite) = (ProtocolVersion::TLS_1_3, CipherSuite(0x1301));
        connection.retry = Some(Box::new(crate::session::HelloRetry {
            first_hello: at(2),
            request: at(2),
        }));
        let hello = connection.hello.yes_mut().expect("a hello");
        (hello.offers_tls13, hello.pre_shared_key) = (true, false);
        hello.stack = crate::session::tests::stack(1, vec![CipherSuite(0x1301)]);
        let told = World::with(store, vec![full(1), connection], usize::MAX).told(1);
        told.into_iter().find(|(name, _)| *name == "declined-after-hello-retry")
    };
    assert_eq!(
        told(Mechanism::Psk),
        Some(("declined-after-hello-retry", Confidence::Observed))
    );
    // The ID of an older session stands in both of them.
    assert_eq!(told(Mechanism::SessionId), None);
}

/// What is told first of visits in TLS 1.3, each with a new identity under this key, or with none; and whether it was honoured.
fn told_of_identities(visits: &[(Option<u8>, bool)], number: u32) -> Option<(&'static str, Confidence)> {
    let mut credential_store = CredentialStore::default();
    let mut connections = Vec::new();
    for (second, (key, honoured)) in (1..).zip(visits) {
        let mut connection = giving_tickets(second);
        if let Some(key) = *key {
            let number = u8::try_from(second).expect("few visits");
            let name = CredentialFingerprint::of(&[[key; 16].as_slice(), &[number; 160]].concat());
            let unseen = || Credential::unseen(TransportKind::Tcp, Mechanism::Psk, name, endpoint(2));
            let credential = credential_store.enter(TransportKind::Tcp, Mechanism::Psk, &name, unseen);
            let entered = credential_store.get_mut(credential).expect("entered");
            entered.offers.push(ConnectionId(second - 1));
            connection.offers = smallvec![offer(credential.0, OfferKind::Resumption(Mechanism::Psk))];
            connection.accepted = honoured.then_some(credential);
            connection.outcome = if *honoured {
                Outcome::Resumed(Some(Mechanism::Psk))
            } else {
                Outcome::Declined
            };
        }
        connections.push(connection);
    }
    let world = World::with(credential_store, connections, usize::MAX);
    world.told(number).first().copied()
}

#[test]
fn who_issues_under_the_key_of_what_it_refuses_shares_it_in_tls13_too() {
    let (one, two) = (Some(0xa1), Some(0xb2));
    let first = (None, false);
    let same = [first, (one, true), (one, false), (one, true), (one, false), (one, true)];
    assert_eq!(
        told_of_identities(&same, 2),
        Some(("session-context-mismatch", Confidence::Possible))
    );
    // Of two keys the next identity may be another client's; and where nobody comes back nothing tells.
    let others = [first, (one, true), (one, false), (one, true), (two, false), (one, true)];
    assert_eq!(told_of_identities(&others, 2), Some((NOT_SHARED, Confidence::Possible)));
    let last = [first, (one, true), (one, false), (one, true), (one, false)];
    assert_eq!(told_of_identities(&last, 4), Some((NOT_SHARED, Confidence::Possible)));
}

#[test]
fn one_key_after_the_other_may_be_two_servers_that_take_turns() {
    let (one, two) = (0xa1, 0xb2);
    let few = [issues(one), issues(one), refuses(0, two), issues(two)];
    assert_eq!(world(&few).told(2), [(CHANGED, Confidence::Possible)]);
    let many = [&few[..], &[resumes(2), resumes(2)]].concat();
    assert_eq!(world(&many).told(2), [(CHANGED, Confidence::Possible)]);
}

#[test]
fn a_name_is_blamed_only_where_the_server_has_the_session() {
    let key = 0xa1;
    let refused = |key: u8| refuses(0, key).under("b.test");
    let names = |steps: &[Step], number: u32| -> Vec<(&'static str, Confidence)> {
        let told = world(steps).told(number);
        told.into_iter().filter(|(name, _)| *name == "sni-mismatch").collect()
    };
    // The server seals under the key of the ticket it refuses: that leaves more than the name.
    let same_key = [issues(key), issues(key), refused(key)];
    assert_eq!(names(&same_key, 2), [("sni-mismatch", Confidence::Possible)]);
    // It was resumed before, and may have been lost since.
    let restarted = [issues(key), issues(key), resumes(0), refused(0xb2)];
    assert_eq!(names(&restarted, 3), [("sni-mismatch", Confidence::Possible)]);
    // It is resumed later: another server may have answered in between.
    let later = [issues(key), issues(key), refused(0xb2), resumes(0)];
    assert_eq!(names(&later, 2), [("sni-mismatch", Confidence::Possible)]);
    // Sessions of other names are resumed under this one.
    let across = [issues(key), issues(key), resumes(1).under("b.test"), refused(key)];
    assert_eq!(names(&across, 3), []);
}

/// A ticket that is refused by a server that shows no key of its own.
const fn declines(ticket: u32) -> Step {
    Step {
        name: "a.test",
        issues: None,
        offers: Some(ticket),
        resumed: false,
    }
}

#[test]
fn a_refusal_is_shown_with_what_is_said_of_it() {
    let texts = |steps: &[Step]| -> Vec<String> {
        let world = world(steps);
        let analysis = world.case(0).analysis().expect("a service");
        let evidence = analysis.patterns.iter().flat_map(|pattern| &pattern.evidence);
        evidence.map(|evidence| evidence.text.to_string()).collect()
    };
    let (one, two) = (0xa1, 0xb2);
    // Another store answers, and nothing tells it apart.
    let store = texts(&[issues(one), declines(0), resumes(0)]);
    assert!(
        store.iter().any(|text| text == "a session is offered, and refused"),
        "{store:?}"
    );
    assert!(store.iter().all(|text| !text.ends_with('-')), "{store:?}");
    let keys = texts(&[issues(one), issues(two), refuses(0, two), issues(one), resumes(3)]);
    let other = "a session is offered and refused: under another key";
    assert!(keys.iter().any(|text| text == other), "{keys:?}");
    let world = world(&[
        issues(one),
        issues(two),
        refuses(0, two),
        issues(one),
        refuses(0, two),
        resumes(3),
    ]);
    let patterns = &world.case(0).analysis().expect("a service").patterns;
    let keys = patterns.iter().find(|pattern| pattern.name == "ticket-keys-not-shared");
    assert_eq!(keys.map(|pattern| pattern.explains), Some(2));
}

#[test]
fn an_offer_that_is_repeated_is_answered_by_what_became_of_it() {
    let (one, two) = (0xa1, 0xb2);
    let answer = |steps: &[Step]| {
        let world = world(steps);
        world.case(0).analysis().expect("a service").answer.sentence.clone()
    };
    let store = answer(&[issues(one), declines(0), resumes(0)]);
    assert!(store.starts_with("1 of 2 offers was refused"), "{store}");
    let apart = [issues(one), issues(two), refuses(0, two), issues(one), resumes(3)];
    let honoured = answer(&[&apart[..], &[issues(two), issues(one)]].concat());
    assert!(
        honoured.contains("because servers with ticket keys of their own answer"),
        "{honoured}"
    );
}

#[test]
fn ids_pin_nobody_where_most_of_three_and_more_name_no_session() {
    let (one, two) = (0xa1, 0xb2);
    let apart = [issues(one), issues(two), refuses(0, two), issues(one), resumes(3)];
    let pins_nobody = |random: u32, true_ids: u32| {
        let more = vec![issues(one); (random + true_ids) as usize];
        let world = changed(&[&apart[..], &more].concat(), |number, connection| {
            if number >= 5 {
                connection.hello.yes_mut().expect("a hello").session_id = Some([1; 4]);
            }
            if number >= 5 + random {
                connection.offers = smallvec![offer(0, OfferKind::Resumption(Mechanism::SessionId))];
                connection.outcome = Outcome::Unclear(Blindness::Gap);
            }
        });
        let analysis = world.case(0).analysis().expect("a service");
        analysis
            .patterns
            .iter()
            .any(|pattern| pattern.name == "session-ids-pin-nobody")
    };
    assert!(pins_nobody(3, 0) && pins_nobody(4, 3));
    assert!(!pins_nobody(2, 0) && !pins_nobody(2, 1));
    // Not more than half of them.
    assert!(!pins_nobody(3, 3) && !pins_nobody(4, 5) && !pins_nobody(5, 6));
}

#[test]
fn a_pattern_that_is_merely_possible_settles_nothing() {
    let (one, two) = (0xa1, 0xb2);
    let settles = |steps: &[Step], name: &str| {
        let world = world(steps);
        let analysis = world.case(0).analysis().expect("a service");
        let told = analysis.patterns.iter().find(|pattern| pattern.name == name);
        let sure = told.map(|pattern| pattern.confidence);
        (sure, analysis.pattern(name).map(|pattern| pattern.name))
    };
    let name = "ticket-keys-not-shared";
    let few = [issues(one), issues(two), refuses(0, two), issues(one)];
    assert_eq!(settles(&few, name), (Some(Confidence::Possible), None));
    let honoured = [&few[..], &[resumes(3), issues(two), issues(one)]].concat();
    assert_eq!(settles(&honoured, name), (Some(Confidence::Inferred), Some(name)));
    assert_eq!(settles(&honoured, "no-such-pattern"), (None, None));
}
