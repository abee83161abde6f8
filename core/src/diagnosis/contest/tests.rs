//! How explanations are held against each other, over claims made by hand.

use super::super::attempts::tests::{Sketch, place};
use super::super::explanations::Trace;
use super::*;
use crate::net::Timestamp;

use Confidence::{Inferred, Possible};

impl Standing {
    /// Of a claim that nothing raises above what is possible.
    pub(in crate::diagnosis) const fn by_hand(claim: Claim) -> Self {
        Self {
            claim,
            confidence: Confidence::Possible,
            family: Confidence::Possible,
            reaches: false,
            counted: false,
            supported: true,
            p_value: 1.0,
            tried: 1,
            rivals: Vec::new(),
        }
    }
}

fn standing(kind: Kind, named: &[u32]) -> Standing {
    Standing::by_hand(Claim::by_hand(kind, named))
}

/// What is never more than possible, however it was counted.
fn counted(kind: Kind, named: &[u32]) -> Standing {
    Standing {
        counted: true,
        ..standing(kind, named)
    }
}

fn reaching(kind: Kind, named: &[u32]) -> Standing {
    Standing {
        reaches: true,
        ..counted(kind, named)
    }
}

fn proven(kind: Kind, named: &[u32]) -> Standing {
    let mut it = standing(kind, named);
    it.claim.proven = named.to_vec();
    it
}

fn at_moments(mut it: Standing, count: usize) -> Standing {
    it.claim.moments = vec![(Timestamp::from_nanos(0), Timestamp::from_nanos(1)); count];
    it
}

#[test]
fn claims_overlap_in_the_offers_that_both_name() {
    let overlap = |a: &[u32], b: &[u32]| overlap(&standing(Kind::TooOld, a).claim, &standing(Kind::Evicted, b).claim);
    assert_eq!(overlap(&[1, 3, 5, 7], &[2, 3, 4, 7, 9]), 2);
    assert_eq!(overlap(&[2, 3, 4, 7, 9], &[1, 3, 5, 7]), 2);
    assert_eq!(overlap(&[1, 2], &[3, 4]), 0);
    assert_eq!(overlap(&[1, 2], &[1, 2]), 2);
}

#[test]
fn a_key_that_changed_is_outdone_by_twice_as_many_proofs_that_another_is_in_use() {
    let outdone = |it: Standing, other: Standing| is_outdone(&it, &[other]);
    let changed = || standing(Kind::KeyChanged, &[1, 2]);
    assert!(outdone(changed(), proven(Kind::OtherKey, &[3, 4, 5, 6, 7])));
    assert!(!outdone(changed(), proven(Kind::OtherKey, &[3, 4, 5, 6])));
    assert!(!outdone(changed(), standing(Kind::OtherKey, &[3, 4, 5, 6, 7])));
    assert!(!outdone(changed(), proven(Kind::OtherMachine, &[3, 4, 5, 6, 7])));
    assert!(!outdone(
        reaching(Kind::KeyChanged, &[1, 2]),
        proven(Kind::OtherKey, &[3, 4, 5, 6, 7])
    ));
    assert!(!outdone(
        standing(Kind::TooOld, &[1, 2]),
        proven(Kind::OtherKey, &[3, 4, 5, 6, 7])
    ));
}

#[test]
fn what_is_proven_needs_no_count() {
    let other = || reaching(Kind::TooOld, &[1, 2, 3]);
    assert_eq!(
        level(&[proven(Kind::OtherKey, &[1, 2, 3]), other()], 0),
        (Inferred, Inferred)
    );
    // Which store it was is not proven, only that it was another.
    assert_eq!(
        level(&[proven(Kind::OtherStore, &[1, 2, 3]), other()], 0),
        (Possible, Inferred)
    );
    assert_eq!(level(&[other()], 1), (Possible, Possible));
}

#[test]
fn what_reaches_the_bar_is_as_sure_as_its_rivals_leave_it() {
    let with = |it: Standing, rival: Standing| level(&[it, rival], 0);
    let all = [1, 2, 3];
    let too_old = || reaching(Kind::TooOld, &all);
    assert_eq!(level(&[too_old()], 0), (Inferred, Inferred));
    assert_eq!(level(&[standing(Kind::TooOld, &all)], 0), (Possible, Possible));
    // Of another family: one that covers as many, or reaches the bar itself for some.
    assert_eq!(with(too_old(), standing(Kind::ClientReset, &all)), (Possible, Possible));
    assert_eq!(
        with(too_old(), standing(Kind::ClientReset, &[1, 2])),
        (Inferred, Inferred)
    );
    assert_eq!(
        with(too_old(), reaching(Kind::ClientReset, &[1, 9])),
        (Possible, Possible)
    );
    assert_eq!(
        with(too_old(), reaching(Kind::ClientReset, &[8, 9])),
        (Inferred, Inferred)
    );
    // What no row could refute has been counted all the same.
    let lost = || at_moments(reaching(Kind::LostAtOnce, &all), 4);
    assert_eq!(with(lost(), counted(Kind::Evicted, &[1, 2])), (Possible, Possible));
    assert_eq!(with(lost(), standing(Kind::Evicted, &[1, 2])), (Inferred, Inferred));
    // Of the same family, and told by the same words.
    assert_eq!(with(too_old(), standing(Kind::Evicted, &all)), (Possible, Inferred));
    assert_eq!(with(too_old(), standing(Kind::TooIdle, &all)), (Inferred, Inferred));
    // Chance covers everything, and is beaten by the count.
    assert_eq!(with(too_old(), standing(Kind::OtherStore, &all)), (Inferred, Inferred));
}

#[test]
fn a_statement_about_the_whole_family_is_not_weakened_by_its_members() {
    let with = |it: Standing, rival: Standing| level(&[it, rival], 0);
    let all = [1, 2, 3];
    assert_eq!(
        with(reaching(Kind::LostAtOnce, &all), standing(Kind::KeyChanged, &all)),
        (Inferred, Inferred)
    );
    assert_eq!(
        with(reaching(Kind::OtherMachine, &all), standing(Kind::OtherKey, &all)),
        (Inferred, Inferred)
    );
    // One moment fits as well as a change of key does; several are fitted each.
    let lost = |moments| at_moments(standing(Kind::LostAtOnce, &all), moments);
    let changed = || reaching(Kind::KeyChanged, &all);
    assert_eq!(with(changed(), lost(1)), (Possible, Inferred));
    assert_eq!(with(changed(), lost(2)), (Inferred, Inferred));
    let sure = Standing {
        reaches: true,
        ..lost(2)
    };
    assert_eq!(with(changed(), sure), (Possible, Inferred));
}

#[test]
fn people_act_on_the_first() {
    let traced = |mut it: Standing| {
        it.claim.trace = Trace::of("it shows");
        it
    };
    let two = [1, 2];
    let sure = Standing {
        confidence: Inferred,
        ..standing(Kind::TooOld, &[1])
    };
    let of_a_sure_family = Standing {
        family: Inferred,
        ..standing(Kind::TooOld, &[1])
    };
    let unsupported = Standing {
        supported: false,
        ..standing(Kind::OtherServer, &[1, 2, 3])
    };
    for (first, second) in [
        (sure, standing(Kind::OtherMachine, &two)),
        (of_a_sure_family, standing(Kind::OtherMachine, &two)),
        (standing(Kind::TooOld, &[1]), unsupported),
        (standing(Kind::TooOld, &[1]), standing(Kind::OtherStore, &two)),
        (standing(Kind::TooOld, &[1]), standing(Kind::AsksCertificate, &two)),
        (standing(Kind::TooOld, &two), standing(Kind::OtherServer, &[1])),
        (traced(standing(Kind::TooOld, &two)), standing(Kind::OtherServer, &two)),
        (standing(Kind::HelloRetry, &two), standing(Kind::TooOld, &two)),
        (standing(Kind::OtherServer, &two), standing(Kind::OtherMachine, &two)),
        // Proven chance is as good as anything.
        (proven(Kind::OtherStore, &two), standing(Kind::TooOld, &[1])),
    ] {
        assert!(order(&first) < order(&second), "{first:?} before {second:?}");
    }
}

#[test]
fn beside_what_is_not_sure_stands_what_else_may_explain_some_of_it() {
    let implausible = {
        let mut it = standing(Kind::TooIdle, &[1, 2]);
        it.claim.plausible = false;
        it
    };
    let mut all = [
        standing(Kind::TooOld, &[1, 2]),
        standing(Kind::Evicted, &[2, 3]),
        standing(Kind::ClientReset, &[3]),
        implausible,
    ];
    assert_eq!(rivals(&all, 0), [Kind::Evicted]);
    assert_eq!(rivals(&all, 1), [Kind::TooOld, Kind::ClientReset]);
    assert!(rivals(&all, 9).is_empty());
    all[0].confidence = Inferred;
    assert!(rivals(&all, 0).is_empty());
}

#[test]
fn an_offer_bears_the_mark_of_everything_that_stands_for_it() {
    let mut sketch = Sketch::default();
    let [first, second] = [10, 11].map(|time| sketch.offer(time, 1, (1, 2), false, |_, _| ()));
    let (mut table, _) = sketch.done();
    mark(
        &mut table,
        &[
            standing(Kind::TooOld, &[first, second]),
            standing(Kind::Evicted, &[second]),
        ],
    );
    let causes = |number| table.entry(number).map(|entry| entry.causes);
    assert_eq!(causes(first), Some(Kind::TooOld.bit()));
    assert_eq!(causes(second), Some(Kind::TooOld.bit() | Kind::Evicted.bit()));
}

#[test]
fn what_no_row_could_refute_is_never_inferred() {
    for kind in Kind::ALL {
        let never = [
            Kind::Evicted,
            Kind::AsksCertificate,
            Kind::OtherHash,
            Kind::HelloRetry,
            Kind::EncryptedHello,
            Kind::OtherStore,
            Kind::NeverTickets,
        ];
        assert_eq!(may_be_inferred(*kind), !never.contains(kind), "{kind:?}");
    }
}

#[test]
fn the_bar_wants_three_units_on_either_side_and_a_small_chance() {
    let (table, part) = Sketch::default().done();
    let ground = ServiceContext::of(&table, &part, &[]);
    let reaches = |named_refused, other_accepted, change: fn(&mut Claim)| {
        let mut claim = standing(Kind::TooOld, &[1]).claim;
        claim.strata = vec![super::super::confidence::Stratum {
            named_refused,
            other_accepted,
            ..Default::default()
        }];
        change(&mut claim);
        entered(&ground, claim, 1).reaches
    };
    assert!(reaches(3, 20, |_| ()) && reaches(20, 3, |_| ()));
    assert!(!reaches(2, 20, |_| ()) && !reaches(20, 2, |_| ()) && !reaches(3, 3, |_| ()));
    assert!(!reaches(3, 20, |claim| claim.concluded = true));
    assert!(!reaches(3, 20, |claim| claim.plausible = false));
    assert!(!reaches(3, 20, |claim| claim.cuts = 100), "each cut was a trial");
    // A full cache is never told for certain, and stands against others by its count.
    let overflows = |named_refused| {
        let mut claim = standing(Kind::Evicted, &[1]).claim;
        claim.strata = vec![super::super::confidence::Stratum {
            named_refused,
            other_accepted: 20,
            ..Default::default()
        }];
        let it = entered(&ground, claim, 1);
        (it.reaches, it.counted)
    };
    assert_eq!((overflows(3), overflows(2)), ((false, true), (false, false)));
}

fn confidence_of(sketch: Sketch, kinds: &[Kind]) -> Vec<Option<Confidence>> {
    let (table, part) = sketch.done();
    let held = hold(&ServiceContext::of(&table, &part, &[]));
    let of = |kind: &Kind| held.iter().find(|it| it.claim.kind == *kind).map(|it| it.confidence);
    kinds.iter().map(of).collect()
}

/// Sessions are honoured at four seconds all the time, and refused at 34; and so are so many younger ones.
fn too_old_beside(younger: u32, change: fn(&mut OfferedCredential)) -> Option<Confidence> {
    let mut sketch = Sketch::default();
    for client in 0..16_u32 {
        sketch.offer(10 + 3 * client, client, (client, 4), true, |_, _| ());
        if client < 8 {
            sketch.offer(40 + 2 * client, client, (20 + client, 34), false, |_, _| ());
        }
    }
    for client in 0..younger {
        sketch.offer(60 + client, client, (40 + client, 1), false, |_, entry| change(entry));
    }
    confidence_of(sketch, &[Kind::TooOld])[0]
}

#[test]
fn two_refusals_of_younger_sessions_leave_an_age_only_possible() {
    assert_eq!(too_old_beside(0, |_| ()), Some(Inferred));
    assert_eq!(too_old_beside(1, |_| ()), Some(Inferred));
    assert_eq!(too_old_beside(2, |_| ()), Some(Possible));
    // A proof that another store answers makes it no better.
    let proven: fn(&mut OfferedCredential) = |entry| entry.accepted_later = true;
    assert_eq!(too_old_beside(2, proven), Some(Possible));
    // Another server's, or of unknown age, are none of them; nor is what broke.
    let others: [fn(&mut OfferedCredential); 3] = [
        |entry| entry.foreign = true,
        |entry| entry.age = UNKNOWN,
        |entry| entry.decision = Decision::Broken,
    ];
    for other in others {
        assert_eq!(too_old_beside(2, other), Some(Inferred));
    }
}

#[test]
fn younger_sessions_that_another_machine_refused_leave_an_age_as_sure_as_it_was() {
    let mut sketch = Sketch::default();
    let here = sketch.silent(1, 50, |row| row.machine = 1);
    for client in 0..40_u32 {
        // Of those that are too old the latest use is known: others outlive the pause since.
        let used = sketch.silent(10 + 2 * client, client, |row| row.machine = 1);
        let mut offer = |second, (session, age), accepted, (machine, previous)| {
            sketch.offer(second, client, (session, age), accepted, |row, entry| {
                row.machine = machine;
                entry.previous = place(previous);
            });
        };
        offer(10 + 3 * client, (100 + client, 4), true, (1, here));
        if client < 8 {
            offer(40 + 2 * client, (20 + client, 34), false, (1, used));
            offer(70 + client, (40 + client, 1), false, (2, here));
        }
    }
    let both = confidence_of(sketch, &[Kind::OtherMachine, Kind::TooOld]);
    assert_eq!(both, [Some(Inferred); 2]);
}

#[test]
fn an_age_is_sure_where_other_sessions_outlived_the_pauses() {
    // Eight clients come back a minute after their last visit and are refused; others come and go all the time, or not.
    let age = |busy: bool| {
        let mut sketch = Sketch::default();
        for client in 0..8_u32 {
            let second = 100 * client;
            sketch.offer(second + 10, client, (client, 4), true, |_, _| ());
            let used = sketch.silent(second + 12, client, |_| ());
            for other in (0..22).filter(|_| busy) {
                sketch.offer(
                    second + 14 + 3 * other,
                    20,
                    (1_000 + 30 * client + other, 5),
                    true,
                    |_, _| (),
                );
            }
            sketch.offer(second + 72, client, (100 + client, 60), false, |_, entry| {
                entry.previous = place(used);
            });
        }
        confidence_of(sketch, &[Kind::TooOld])[0]
    };
    assert_eq!(age(true), Some(Inferred));
    assert_eq!(age(false), Some(Possible), "all may have been lost in each pause");
}
