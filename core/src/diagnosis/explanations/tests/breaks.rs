//! Offers that break handshakes, and what else breaks them.

use super::*;
use crate::diagnosis::attempts::BrokenBy;

#[test]
fn offers_break_where_the_same_stack_works_without_one() {
    let offers = |without: u32, through: bool| {
        let mut sketch = Sketch::default();
        for client in 0..5_u32 {
            sketch.offer(10 + client, 1, (client, 2), false, |row, entry| {
                entry.decision = Decision::Broken;
                row.broken = Some(BrokenBy::Other);
            });
        }
        for second in 0..without {
            sketch.silent(20 + second, 1, |_| ());
        }
        if through {
            sketch.offer(90, 1, (9, 2), true, NOTHING);
        }
        held(sketch)
    };
    assert_eq!(level(&offers(5, false), Kind::OfferBreaks), Some(Confidence::Inferred));
    // Without handshakes that work it may be anything.
    assert_eq!(level(&offers(0, false), Kind::OfferBreaks), Some(Confidence::Possible));
    assert!(!supported(&offers(0, false)).contains(&Kind::OfferBreaks));
    // Without an offer it fails as well.
    let mut anyway = Sketch::default();
    anyway.silent(1, 1, |_| ());
    for second in 0..4 {
        anyway.offer(10 + second, 1, (second, 2), false, |row, entry| {
            entry.decision = Decision::Broken;
            row.broken = Some(BrokenBy::Other);
        });
        anyway.silent(20 + second, 1, |row| {
            (row.broken, row.completed) = (Some(BrokenBy::Other), false);
        });
    }
    assert!(!supported(&held(anyway)).contains(&Kind::OfferBreaks));
    // One that went through afterwards shows that offers do not break.
    assert_eq!(level(&offers(5, true), Kind::OfferBreaks), None);
}

/// Offers that break and handshakes without one that work, told apart by letters: `b` and `w`; `a` is an offer that is
/// accepted.
fn visits_in_order(order: &str, by: BrokenBy) -> Vec<Standing> {
    let mut sketch = Sketch::default();
    for (second, visit) in (10..).zip(order.chars()) {
        match visit {
            'b' => drop(sketch.offer(second, 1, (second, 2), false, |row, entry| {
                entry.decision = Decision::Broken;
                (row.broken, row.completed) = (Some(by), false);
            })),
            'w' => drop(sketch.silent(second, 1, |_| ())),
            _ => drop(sketch.offer(second, 1, (second, 2), true, NOTHING)),
        }
    }
    held(sketch)
}

#[test]
fn servers_in_turn_of_which_one_breaks_everything_look_like_offers_that_break() {
    let level = |order| level(&visits_in_order(order, BrokenBy::Other), Kind::OfferBreaks);
    assert_eq!(level("bwbwbwbwbwbwbwbw"), Some(Confidence::Possible));
    // A third server that honours offers is refuted by no turn, but offers do not break then.
    assert_eq!(level("abwabwabwabwabwabw"), Some(Confidence::Possible));
    // Two in a row are not of servers in turn.
    assert_eq!(level("bwbbwwbwbwbwbwbw"), Some(Confidence::Inferred));
}

#[test]
fn a_version_that_the_server_lacks_is_not_the_fault_of_an_offer() {
    let order = "bwbbwwbwbwbwbwbw";
    assert_eq!(
        level(&visits_in_order(order, BrokenBy::Version), Kind::OfferBreaks),
        None
    );
    // Without one that works, offers may be what makes the client ask for that version.
    let alone = visits_in_order("bbbb", BrokenBy::Version);
    assert_eq!(level(&alone, Kind::OfferBreaks), Some(Confidence::Possible));
}

#[test]
fn offers_that_broke_before_one_went_through_do_not_count() {
    let standing = visits_in_order("bbbbwwwwwwab", BrokenBy::Other);
    let breaks = standing.iter().find(|it| it.claim.kind == Kind::OfferBreaks);
    let units = breaks.expect("a claim").claim.units();
    assert_eq!((units.named_refused, units.other_accepted), (1, 6));
}
