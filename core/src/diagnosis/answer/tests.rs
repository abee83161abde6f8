use smallvec::smallvec;

use super::*;
use crate::diagnosis::attempts::tests::Sketch;
use crate::diagnosis::contest::hold;
use crate::diagnosis::explanations::ServiceContext;
use crate::diagnosis::service::Folded;
use crate::diagnosis::tests::{World, full};
use crate::session::tests::{answered, at};
use crate::session::{
    Blindness, Completed, Mechanism, Offer, OfferKind, Outcome, ProtocolVersion, Seen, Shape, TicketExtension,
    TicketsInferred,
};
use crate::tls::AlertDescription;

fn told(connections: Vec<Connection>) -> Answer {
    let world = World::of(connections, usize::MAX);
    world.case(0).analysis().expect("a service").answer.clone()
}

#[test]
fn first_visits_are_nothing_wrong() {
    let one = told(vec![full(1)]);
    assert_eq!(
        one.sentence,
        "The one connection is a first visit in this capture, which shows nothing to resume."
    );
    assert_eq!(one.action, None);
}

/// What is said where no more than the last of these connections is kept.
fn told_of_the_last(connections: Vec<Connection>) -> Answer {
    let last = u32::try_from(connections.len() - 1).expect("a few");
    let world = World::of(connections, 1);
    world.case(last).analysis().expect("a service").answer.clone()
}

#[test]
fn an_answer_names_its_scope_where_connections_were_folded_away() {
    let first = told_of_the_last(vec![full(1), full(2)]);
    assert_eq!(
        first.sentence,
        "In the one of 2 connections that was kept, no session is known to have been offered; whether there was one to offer is not known."
    );
    let resumed = || Connection {
        outcome: Outcome::Resumed(Some(Mechanism::SessionId)),
        ..full(3)
    };
    let works = told_of_the_last(vec![full(1), resumed()]);
    assert_eq!(
        (works.sentence.as_str(), works.action),
        (
            "In the one of 2 connections that was kept, the one returning connection resumed: resumption works.",
            None
        )
    );
    let declined = Connection {
        outcome: Outcome::Declined,
        ..full(2)
    };
    let refused_before = told_of_the_last(vec![declined, resumed()]);
    assert_eq!(
        refused_before.sentence,
        "In the one of 2 connections that was kept, the one returning connection resumed; 1 of the others offered a session that was refused."
    );
    assert!(refused_before.action.is_some());
}

#[test]
fn of_a_service_that_was_folded_away_as_a_whole_the_outcomes_are_told() {
    let told = |resumed, declined| {
        let answer = Answer::of_folded(&Outcomes {
            resumed,
            declined,
            ..Outcomes::default()
        });
        (answer.sentence, answer.action.is_some())
    };
    assert_eq!(
        told(1, 0),
        (
            "Only the outcome of its one connection is still known.".to_owned(),
            false
        )
    );
    let refused =
        "Only the outcomes of its 5 connections are still known; 2 of them offered a session that was refused.";
    assert_eq!(told(3, 2), (refused.to_owned(), true));
}

#[test]
fn a_reason_that_says_more_speaks_of_the_same_connections() {
    let scope = Some("Among the 9 of 20 connections that were kept".to_owned());
    let silence = Silence::of(
        &ServiceTally {
            all: 9,
            silent: 4,
            resumed: 2,
            ..ServiceTally::default()
        },
        &[],
    );
    let answer = silence.answer(None).within(scope);
    let reason = Reason::by_name("client-dropped-after-unclean-close").expect("is in the catalogue");
    let told = answer.with_reasons(std::iter::once((reason, [0, 4, 0])));
    assert_ne!(told.sentence, answer.sentence);
    let head = "Among the 9 of 20 connections that were kept, 4 of 6 returning connections offered no session";
    assert!(told.sentence.starts_with(head), "{}", told.sentence);
}

#[test]
fn a_long_sentence_loses_the_numbers_of_its_scope_and_not_its_end() {
    let told = |length: usize| {
        let sentence = format!("All {} end.", "x".repeat(length));
        let scope = Some("Among the 9 of 20 connections that were kept".to_owned());
        Answer::new(sentence, None).within(scope).sentence
    };
    let fits = told(145);
    assert!(
        fits.starts_with("Among the 9 of 20") && fits.chars().count() == MAX_ANSWER,
        "{fits}"
    );
    let long = told(146);
    assert!(
        long.starts_with("Among those that were kept, all x") && long.ends_with("end."),
        "{long}"
    );
}

#[test]
fn nothing_is_said_of_what_the_server_gave_before_what_is_kept() {
    let sentence = |folded| {
        let tally = ServiceTally {
            all: 3,
            empty_handed: 2,
            folded,
            ..ServiceTally::default()
        };
        nothing_wrong(&tally).sentence
    };
    let had_nothing = "2 of 3 connections had nothing to offer because the server had issued nothing to their clients.";
    assert_eq!(sentence(Folded::default()), had_nothing);
    let folded = Folded {
        perhaps_more: true,
        ..Folded::default()
    };
    assert_eq!(
        sentence(folded),
        "2 of 3 connections came back and offered nothing: the server seems to issue nothing, or the client to keep nothing."
    );
}

#[test]
fn a_server_that_gives_nothing_is_told_so() {
    let empty = |second: u32| {
        let mut connection = Connection {
            shape: Seen::Yes(Shape::Full(at(second))),
            ..full(second)
        };
        connection.hello.yes_mut().expect("a hello").ticket = TicketExtension::Empty;
        connection
    };
    let answer = told((1..=3).map(empty).collect());
    assert_eq!(
        answer.sentence,
        "None of 3 connections could resume because the server issues neither session IDs nor tickets."
    );
    assert!(answer.action.is_some());
    let hidden = Connection {
        outcome: Outcome::Unclear(Blindness::Gap),
        completed: Completed::Blind(Blindness::Gap),
        ..full(4)
    };
    let answer = told((1..=3).map(empty).chain([hidden]).collect());
    assert_eq!(
        answer.sentence,
        "None of 3 connections could resume because the server issues neither session IDs nor tickets; what became of 1 other is not visible."
    );
}

#[test]
fn clients_that_offer_nothing_are_counted_before_anything_is_said_of_them() {
    let given = |second: u32| {
        let mut connection = full(second);
        connection.issued.push(crate::session::CredentialId(0));
        connection
    };
    let answer = told((1..=4).map(given).collect());
    assert_eq!(
        answer.sentence,
        "All 3 returning connections from 192.0.2.1 offered no session although one had been given before."
    );
}

#[test]
fn a_sentence_says_because_of_what_is_sure_only() {
    let standing = |kind: Kind, confidence: Confidence, family: Confidence| {
        let (mut sketch, number) = (Sketch::default(), 1);
        sketch.offer(10, 1, (number, 2), false, |_, entry| entry.accepted_later = true);
        let (table, part) = sketch.done();
        let mut standing = hold(&ServiceContext::of(&table, &part, &[]));
        let mut it = standing.remove(0);
        (it.claim.kind, it.confidence, it.family) = (kind, confidence, family);
        surely(&it, "the cause")
    };
    let (possible, inferred) = (Confidence::Possible, Confidence::Inferred);
    assert_eq!(standing(Kind::KeyChanged, possible, possible), None);
    assert_eq!(
        standing(Kind::KeyChanged, inferred, inferred).as_deref(),
        Some("the cause")
    );
    assert_eq!(standing(Kind::TooOld, inferred, inferred).as_deref(), Some("the cause"));
    assert_eq!(
        standing(Kind::TooOld, possible, inferred),
        None,
        "or the cache is too small"
    );
    assert_eq!(
        standing(Kind::KeyChanged, possible, inferred).as_deref(),
        Some("everything from before some moment was lost; it may be that the cause")
    );
}

#[test]
fn clients_that_come_back_with_nothing_are_no_first_visits() {
    let sealed = |second: u32| {
        let mut connection = full(second);
        connection.answer = answered(second, "a.test", ProtocolVersion::TLS_1_3).answer;
        connection.tickets_inferred = TicketsInferred::Read {
            usable: false,
            complete: true,
        };
        connection
    };
    let answer = told((1..=4).map(sealed).collect());
    assert!(answer.sentence.contains("3 of 4 connections"), "{}", answer.sentence);
    assert!(!answer.sentence.contains("resumption works"), "{}", answer.sentence);
    assert!(answer.action.is_some());
}

#[test]
fn what_fails_with_an_offer_and_without_one_is_not_put_down_to_the_offer() {
    let answer = |left: (usize, usize)| {
        let tally = ServiceTally {
            resumed: 4,
            broken: 2,
            failed: 3,
            left,
            ..ServiceTally::default()
        };
        unexplained(&tally, 2, Remaining::default)
    };
    let cut = answer((0, 0));
    assert_eq!(
        cut.sentence,
        "2 of 6 handshakes with an offer were broken off, and so were 3 without one."
    );
    assert!(cut.action.is_some());
    let left = answer((2, 3));
    assert!(left.sentence.contains("were left by the client"), "{}", left.sentence);
    assert_eq!(left.action, None);
}

#[test]
fn a_long_sentence_is_cut_at_a_word() {
    let long = "word ".repeat(60);
    let cut = fitting(&long);
    assert!(cut.chars().count() <= MAX_ANSWER && cut.ends_with("word…"), "{cut}");
    assert_eq!(fitting("short."), "short.");
}

#[test]
fn parts_and_wholes_are_counted_in_words() {
    assert_eq!(part_of(1, 1, "offer", "offers"), "The one offer");
    assert_eq!(part_of(3, 3, "offer", "offers"), "All 3 offers");
    assert_eq!(part_of(1, 3, "offer", "offers"), "1 of 3 offers");
}

#[test]
fn failures_without_an_offer_are_told_beside_refusals() {
    let refused = |second| {
        let kind = crate::session::OfferKind::Resumption(crate::session::Mechanism::Ticket);
        Connection {
            outcome: Outcome::Declined,
            offers: smallvec![crate::session::tests::offer(0, kind)],
            ..full(second)
        }
    };
    let failed = |second| {
        let mut connection = full(second);
        connection.outcome = Outcome::Failed;
        connection.server_side.fin = Some(at(second + 1));
        connection
    };
    let ends = "; 1 handshake without an offer failed.";
    let beside = told(vec![refused(1), refused(2), failed(3)]).sentence;
    assert!(
        beside.starts_with("Both offers were refused") && beside.ends_with(ends),
        "{beside}"
    );
    for others in [vec![refused(1), refused(2)], vec![full(1), failed(3)]] {
        let sentence = told(others).sentence;
        assert!(
            !sentence.contains("without an offer failed.") || !sentence.contains("; "),
            "{sentence}"
        );
    }
}

#[test]
fn first_visits_are_those_that_nothing_can_have_come_before() {
    use crate::session::{Blindness, Completed, TicketsInferred};
    let visits = |before: fn(&mut Connection)| {
        let mut first = full(1);
        before(&mut first);
        told(vec![first, full(3)]).sentence
    };
    let read = |it: &mut Connection| {
        it.tickets_inferred = TicketsInferred::Read {
            usable: false,
            complete: true,
        };
    };
    assert!(visits(read).starts_with("1 of 2 connections had nothing to offer because"));
    // A session may have been made by renegotiation, or lost with the packets that are missing.
    let hidden = "1 of 2 connections is a first visit in this capture; whether 1 had anything to offer is not visible.";
    assert_eq!(visits(|it| it.renegotiations = 1), hidden);
    assert_eq!(visits(|it| it.completed = Completed::Blind(Blindness::Gap)), hidden);
    // What failed gave nothing.
    assert_eq!(
        visits(|it| it.completed = Completed::No),
        "Both connections are first visits in this capture, which shows nothing to resume."
    );
}

#[test]
fn external_psks_are_no_resumptions() {
    let external = |second: u32| Connection {
        outcome: Outcome::ExternalPsk,
        ..full(second)
    };
    assert_eq!(
        told((1..=3).map(external).collect()).sentence,
        "All 3 connections used an external PSK, which is no resumption."
    );
    let beside = |resumed, all| {
        nothing_wrong(&ServiceTally {
            all,
            resumed,
            external: 2,
            ..ServiceTally::default()
        })
        .sentence
    };
    assert_eq!(
        beside(1, 3),
        "The one returning connection resumed: resumption works; 2 used an external PSK."
    );
    assert_eq!(
        beside(0, 3),
        "2 of 3 connections used an external PSK, which is no resumption."
    );
}

#[test]
fn a_refused_external_psk_is_no_refused_session() {
    let refused = |kinds: &[OfferKind]| {
        let offer = |kind: &OfferKind| Offer {
            credential: crate::session::CredentialId(0),
            kind: *kind,
            obfuscated_age: 0,
            binder: 32,
        };
        told(vec![Connection {
            outcome: Outcome::Declined,
            offers: kinds.iter().map(offer).collect(),
            ..full(1)
        }])
        .sentence
    };
    assert_eq!(
        refused(&[OfferKind::ExternalPsk]),
        "The one offer of an external PSK was refused, and nothing visible says why."
    );
    for session in [OfferKind::Resumption(Mechanism::Psk), OfferKind::UnclearPsk] {
        let sentence = refused(&[OfferKind::ExternalPsk, session]);
        assert!(sentence.starts_with("The one offer was refused"), "{sentence}");
    }
}

#[test]
fn all_is_said_only_where_nothing_is_hidden() {
    let tally = |unclear, perhaps_returning| ServiceTally {
        all: 6,
        resumed: 2,
        unclear,
        perhaps_returning,
        ..ServiceTally::default()
    };
    let sentence = |unclear, perhaps_returning| nothing_wrong(&tally(unclear, perhaps_returning)).sentence;
    assert_eq!(sentence(0, 0), "Both returning connections resumed: resumption works.");
    assert_eq!(
        sentence(1, 0),
        "2 returning connections resumed: resumption works; what became of 1 other is not visible."
    );
    assert_eq!(
        sentence(2, 2),
        "2 returning connections resumed: resumption works; whether 2 others had anything to offer, and what became of 2 others, is not visible."
    );
    // One that is known to have offered a session came back, whatever became of it.
    let with_offer = ServiceTally {
        unclear_offers: 1,
        ..tally(2, 0)
    };
    assert_eq!(
        nothing_wrong(&with_offer).sentence,
        "2 of 3 returning connections resumed: resumption works; what became of 2 others is not visible."
    );
    // What came with nothing is not among the offers.
    let offers = |tally: &ServiceTally| unexplained(tally, 2, Remaining::default).sentence;
    let refused = |unclear, perhaps_returning| ServiceTally {
        resumed: 0,
        declined: 2,
        ..tally(unclear, perhaps_returning)
    };
    let (all, some) = ("Both offers were refused", "2 offers were refused");
    assert!(offers(&refused(0, 1)).starts_with(all) && offers(&refused(1, 0)).starts_with(some));
    let with_offer = ServiceTally {
        unclear_offers: 1,
        ..refused(1, 0)
    };
    assert!(offers(&with_offer).starts_with("2 of 3 offers were refused"));
}

#[test]
fn an_alert_in_clear_says_why_an_offer_failed() {
    let sentence = |broken, declined, alert: Option<usize>| {
        let tally = ServiceTally {
            all: 4,
            resumed: 1,
            broken,
            declined,
            alert: alert.map(|count| (AlertDescription::NO_APPLICATION_PROTOCOL, count)),
            ..ServiceTally::default()
        };
        unexplained(&tally, broken + declined, Remaining::default).sentence
    };
    assert_eq!(
        sentence(1, 0, Some(1)),
        "1 of 2 offers failed with the fatal alert no_application_protocol."
    );
    assert_eq!(
        sentence(3, 0, Some(2)),
        "3 of 4 offers failed, 2 of them with the fatal alert no_application_protocol."
    );
    assert_eq!(
        sentence(1, 0, None),
        "1 of 2 offers failed, and nothing visible says why."
    );
    // What failed was not refused.
    assert_eq!(
        sentence(1, 1, Some(1)),
        "1 of 3 offers was refused, and nothing visible says why; 1 more failed with the fatal alert no_application_protocol."
    );

    let broken = |description| {
        let mut connection = Connection {
            outcome: Outcome::Failed,
            offers: smallvec![Offer {
                credential: crate::session::CredentialId(0),
                kind: OfferKind::Resumption(Mechanism::Psk),
                obfuscated_age: 0,
                binder: 32,
            }],
            ..full(1)
        };
        connection.server_side.alert = Some(Box::new(crate::session::PlainAlert {
            at: at(1),
            fatal: true,
            description,
        }));
        connection
    };
    let answer = told(vec![broken(AlertDescription::NO_APPLICATION_PROTOCOL)]);
    assert_eq!(
        answer.sentence,
        "The one offer failed with the fatal alert no_application_protocol."
    );
    assert!(answer.action.is_some_and(|action| action.contains("the alert")));
}

#[test]
fn clients_that_left_with_nothing_came_back_as_well() {
    let tally = |perhaps_given, perhaps_returning| ServiceTally {
        all: 11,
        resumed: 6,
        empty_handed: 3,
        perhaps_given,
        perhaps_returning,
        ..ServiceTally::default()
    };
    let answer = nothing_wrong(&tally(false, 0));
    assert_eq!(
        answer.sentence,
        "6 of 9 returning connections resumed; 3 had nothing to offer because the server had issued nothing to their clients."
    );
    assert!(answer.action.is_some());
    assert_eq!(
        nothing_wrong(&tally(true, 0)).sentence,
        "6 of 9 returning connections resumed; 3 came back and offered nothing."
    );
    // All eleven offered nothing: three of them had surely been here before.
    let silent = ServiceTally {
        resumed: 0,
        ..tally(true, 5)
    };
    assert_eq!(
        nothing_wrong(&silent).sentence,
        "3 of 11 connections came back and offered nothing: the server seems to issue nothing, or the client to keep nothing; whether 5 others had anything to offer is not visible."
    );
}

#[test]
fn a_resumption_without_its_hello_is_told_beside_services_with_names() {
    let unnamed = Connection {
        outcome: Outcome::Resumed(None),
        hello: Seen::Blind(Blindness::CaptureStartedLate),
        ..full(1)
    };
    assert_eq!(
        told(vec![unnamed, full(2)]).sentence,
        "The one returning connection resumed: resumption works."
    );
}

/// What stands of a kind that names these offers.
fn possible(kind: Kind, named: &[u32]) -> Standing {
    Standing::by_hand(crate::diagnosis::explanations::Claim::by_hand(kind, named))
}

#[test]
fn a_guess_counts_all_that_was_refused_and_names_what_else_it_may_be() {
    let sentence = |declined, count, rival: Option<&str>| {
        let tally = ServiceTally {
            resumed: 2,
            declined,
            ..ServiceTally::default()
        };
        let first = possible(Kind::TooOld, &[1]);
        let rival = rival.map(str::to_owned);
        let answer = guess(&tally, &first, (count, "were refused"), ("it is old", rival), "wait");
        (answer.sentence, answer.action.unwrap_or_default())
    };
    let (told, action) = sentence(4, 3, Some("it is new"));
    assert_eq!(
        told,
        "4 of 6 offers were refused, 3 of them perhaps because it is old, or because it is new."
    );
    assert!(action.starts_with("find out which ("));
    let (told, _) = sentence(3, 3, Some("it is new"));
    assert_eq!(told, "3 of 5 offers were refused: either it is old, or it is new.");
    let (told, action) = sentence(4, 3, None);
    assert_eq!(told, "4 of 6 offers were refused, 3 of them perhaps because it is old.");
    assert!(action.starts_with("make sure first (") && action.ends_with("; if so, wait"));
    let (told, _) = sentence(3, 3, None);
    assert_eq!(told, "3 of 5 offers were refused; it may be that it is old.");
}

#[test]
fn the_other_cause_of_a_guess_is_one_that_asks_for_something_else() {
    let attempts = Attempts::default();
    let named = |first, others: &[Kind]| {
        let others: Vec<_> = others.iter().map(|kind| possible(*kind, &[1])).collect();
        another_cause(&possible(first, &[1]), others.iter(), &attempts).map(|it| it.claim.kind)
    };
    // Room in the cache is not time in it; one timeout is like another.
    assert_eq!(
        named(Kind::TooOld, &[Kind::TooIdle, Kind::Evicted]),
        Some(Kind::Evicted)
    );
    assert_eq!(named(Kind::TooOld, &[Kind::OverLifetime]), None);
    assert_eq!(
        named(Kind::HelloRetry, &[Kind::OtherName, Kind::TooOld]),
        Some(Kind::OtherName)
    );
    // Which server it was is one question.
    assert_eq!(
        named(Kind::OtherMachine, &[Kind::OtherKey, Kind::TooOld]),
        Some(Kind::TooOld)
    );
    assert_eq!(named(Kind::LostAtOnce, &[Kind::KeyChanged]), None);
}

#[test]
fn what_befell_offers_is_that_they_failed_only_where_all_of_them_did() {
    use crate::diagnosis::attempts::tests::{AS_IT_IS, Change, visits};
    let ended: Change = |connection| connection.server_side.fin = Some(at(9));
    let world = visits(&[
        (Outcome::Failed, ended),
        (Outcome::Failed, ended),
        (Outcome::Declined, AS_IT_IS),
    ]);
    let analyses = world.case(0).analyses;
    let told = |named: &[u32], count| befell(&possible(Kind::OtherName, named), analyses, count);
    assert_eq!(told(&[0, 1], 2), "failed");
    assert_eq!(told(&[0, 2], 2), "were refused");
    assert_eq!(told(&[2], 1), "was refused");
    assert_eq!(refused_by(&possible(Kind::OtherName, &[0, 2]), analyses), 2);
}
