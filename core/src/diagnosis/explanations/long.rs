//! How long: too old, or too many newer.

use super::{Claim, FittedValue, Kind, Look, ServiceContext, Trace, claim};
use crate::diagnosis::attempts::{OfferedCredential, UNKNOWN};
use crate::net::span::SECOND;

/// Timeouts in common use: OpenSSL and its users, Apache, HAProxy, F5, SChannel, Java.
const ROUND: [i64; 6] = [300, 600, 3_600, 7_200, 36_000, 86_400];

/// Lifetime, age, pause, and newer sessions.
pub(super) fn claims(ground: &ServiceContext<'_>, all: &mut Vec<Claim>) {
    let lifetime = claim(ground, Kind::OverLifetime, |entry| {
        let known = entry.lifetime > 0 && entry.age != UNKNOWN && !entry.foreign;
        known.then(|| Look::read(entry.age / SECOND > i64::from(entry.lifetime)))
    });
    all.extend(lifetime.map(|it| it.with_trace(Trace::of("the announced lifetime had passed"))));
    all.extend(threshold(ground, Kind::TooOld, |entry| {
        (!entry.foreign && entry.age != UNKNOWN).then_some(entry.age)
    }));
    all.extend(threshold(ground, Kind::TooIdle, |entry| {
        (!entry.foreign && entry.idle != UNKNOWN).then_some(entry.idle)
    }));
    all.extend(evicted(ground));
}

/// Refused beyond every accepted value: the limit lies between the two.
fn threshold(ground: &ServiceContext<'_>, kind: Kind, of: impl Fn(&OfferedCredential) -> Option<i64>) -> Option<Claim> {
    let accepted = ground.entries().filter(|(_, entry)| !entry.failed());
    let oldest = accepted.filter_map(|(_, entry)| of(entry)).max()?;
    // No server lets sessions time out within a second.
    let named = |entry: &OfferedCredential| of(entry).map(|age| age > oldest && age >= SECOND);
    let mut claim = claim(ground, kind, |entry| {
        Some(Look {
            concluded: entry.concluded,
            ..Look::read(named(entry)?)
        })
    })?;
    let refused = claim.named.iter().filter_map(|number| ground.table.entry(*number));
    let youngest = refused.clone().filter_map(of).min()?;
    let advertised = refused
        .map(|entry| i64::from(entry.lifetime))
        .find(|lifetime| *lifetime > 0);
    let between = |seconds: i64| oldest <= seconds * SECOND && seconds * SECOND <= youngest;
    if ROUND.into_iter().chain(advertised).any(between) {
        claim.trace = Trace::of("a timeout in common use, or the announced lifetime, lies between the two ages");
    }
    claim.value = FittedValue::Age(oldest, youngest);
    claim.cuts = cuts(&claim);
    claim.plausible = super::when::mostly(&claim);
    let restarted = claim.stands && super::restarts::explain_as_much(ground, &claim);
    let shadow = restarted.then_some(Kind::LostAtOnce);
    claim.shadow = shadow.or_else(|| used_up_as_well(ground, &claim).then_some(Kind::SingleUse));
    Some(claim)
}

/// Whether sessions that are good for one use explain as much: each was refused once it had been honoured, and none was honoured
/// twice, nor after as long a pause. Where clients come back in step, a session is as many pauses old as it was offered.
/// A timeout between the two ages that others have as well is the better word.
fn used_up_as_well(ground: &ServiceContext<'_>, claim: &Claim) -> bool {
    let named = || claim.named.iter().filter_map(|number| ground.table.entry(*number));
    let mut accepted = ground.entries().map(|(_, entry)| entry).filter(|entry| !entry.failed());
    let longest = accepted.clone().map(|entry| entry.idle).max();
    claim.trace.is_none()
        && named().all(|entry| entry.stateful && entry.accepted_before > 0)
        && named().any(|entry| Some(entry.idle) <= longest)
        && accepted.all(|entry| entry.accepted_before == 0)
}

/// A full cache drops the oldest, or what was not used for longest (Java): refused beside more newer sessions than any
/// accepted one.
fn evicted(ground: &ServiceContext<'_>) -> Option<Claim> {
    let oldest = beyond(ground, newer, FittedValue::Newer);
    if oldest.as_ref().is_some_and(|claim| claim.plausible) {
        return oldest;
    }
    let mut unused = beyond(
        ground,
        |ground, entry| newer(ground, entry).map(|_| ground.table.newer_unused(entry)),
        FittedValue::NewerUnused,
    )
    .filter(|claim| claim.plausible)?;
    // Two rules were tried.
    unused.cuts = unused.cuts.saturating_mul(2);
    Some(unused)
}

/// Sessions that the service made since it made this one.
fn newer(_: &ServiceContext<'_>, entry: &OfferedCredential) -> Option<u32> {
    (entry.stateful && !entry.foreign && !entry.concluded && entry.age != UNKNOWN).then_some(entry.newer)
}

fn beyond(
    ground: &ServiceContext<'_>,
    counted: impl Fn(&ServiceContext<'_>, &OfferedCredential) -> Option<u32>,
    value: fn(u32, u32) -> FittedValue,
) -> Option<Claim> {
    let accepted = ground.entries().filter(|(_, entry)| !entry.failed());
    let most = accepted.filter_map(|(_, entry)| counted(ground, entry)).max()?;
    let mut claim = claim(ground, Kind::Evicted, |entry| {
        Some(Look::read(counted(ground, entry)? > most))
    })?;
    let refused = claim.named.iter().filter_map(|number| ground.table.entry(*number));
    // No cache holds a single session.
    let fewest = refused
        .filter_map(|entry| counted(ground, entry))
        .min()
        .filter(|fewest| *fewest > 1)?;
    claim.value = value(most, fewest);
    claim.cuts = cuts(&claim);
    claim.plausible = super::when::mostly(&claim);
    Some(claim)
}

/// A threshold could have stood between any two of the units.
pub(super) fn cuts(claim: &Claim) -> u64 {
    let units = claim.units();
    (units.named_refused + units.named_accepted + units.other_refused + units.other_accepted).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::attempts::tests::{Sketch, place};

    /// One session that is used again and again from the first second on, and four that are used once and come back when
    /// `newer` others have been made.
    fn beside_a_keeper(newer: u32) -> Option<FittedValue> {
        let mut sketch = Sketch::default();
        let mut kept = sketch.offer(1, 0, (0, 1), true, NOTHING);
        for client in 1..=4 {
            let second = 10 * client;
            let used = sketch.offer(second, client, (client, 1), true, NOTHING);
            sketch.offer(second + 1, client, (client, 2), false, |_, entry| {
                (entry.previous, entry.newer) = (place(used), newer);
            });
            // Rows and entries have the same numbers here.
            kept = sketch.offer(second + 2, 0, (0, i64::from(second)), true, |_, entry| {
                (entry.previous, entry.newer) = (place(kept), client * newer);
            });
        }
        let (table, part) = sketch.done();
        evicted(&ServiceContext::of(&table, &part, &[])).map(|claim| claim.value)
    }

    const NOTHING: fn(&mut crate::diagnosis::attempts::Row, &mut OfferedCredential) = |_, _| ();

    #[test]
    fn as_many_newer_ones_beside_an_accepted_session_refute_it() {
        assert_eq!(beside_a_keeper(3), None);
    }

    #[test]
    fn a_session_in_use_outlives_younger_ones_in_such_a_cache() {
        let mut sketch = Sketch::default();
        let mut kept = sketch.offer(1, 0, (0, 1), true, NOTHING);
        for client in 1..=4 {
            let used = sketch.offer(client * 10, client, (client, 1), true, NOTHING);
            kept = sketch.offer(client * 10 + 1, 0, (0, 9), true, |_, entry| {
                (entry.previous, entry.newer) = (place(kept), client);
            });
            sketch.offer(100 + client, client, (client, 60), false, |_, entry| {
                (entry.previous, entry.newer) = (place(used), 3);
            });
        }
        let (table, part) = sketch.done();
        let claim = evicted(&ServiceContext::of(&table, &part, &[])).expect("it stands");
        assert_eq!(claim.value, FittedValue::NewerUnused(1, 3));
        assert_eq!(claim.named.len(), 4);
    }

    #[test]
    fn no_cache_holds_a_single_session() {
        let mut sketch = Sketch::default();
        for client in 0..6 {
            sketch.offer(client, client, (client, 1), true, NOTHING);
            sketch.offer(20 + client, client, (client, 21), false, |_, entry| entry.newer = 1);
        }
        let (table, part) = sketch.done();
        assert!(evicted(&ServiceContext::of(&table, &part, &[])).is_none());
    }

    fn refused_beyond(kind: Kind, change: fn(&mut OfferedCredential)) -> Option<Claim> {
        let mut sketch = Sketch::default();
        for client in 0..4 {
            sketch.offer(client, client, (client, 2), true, NOTHING);
            sketch.offer(10 + client, client, (10 + client, 9), false, NOTHING);
        }
        sketch.offer(20, 9, (20, 9), false, |_, entry| change(entry));
        let (table, part) = sketch.done();
        let mut all = Vec::new();
        claims(&ServiceContext::of(&table, &part, &[]), &mut all);
        all.into_iter().find(|claim| claim.kind == kind)
    }

    #[test]
    fn whoever_comes_back_in_step_does_not_tell_an_age_from_a_second_use() {
        let shadow = |of: i64, uses: [u8; 2], change: fn(&mut OfferedCredential)| {
            let mut sketch = Sketch::default();
            for client in 0..4 {
                for (turn, used) in (1..).zip(uses) {
                    let age = i64::from(turn) * of;
                    sketch.offer(turn, client, (client, age), turn == 1, |_, entry| {
                        (entry.accepted_before, entry.idle) = (used, of * SECOND);
                        change(entry);
                    });
                }
            }
            let (table, part) = sketch.done();
            let mut all = Vec::new();
            claims(&ServiceContext::of(&table, &part, &[]), &mut all);
            let too_old = all.into_iter().find(|claim| claim.kind == Kind::TooOld);
            too_old.expect("it stands").shadow
        };
        let in_step: fn(&mut OfferedCredential) = |_| ();
        assert_eq!(shadow(5, [0, 1], in_step), Some(Kind::SingleUse));
        assert_eq!(shadow(5, [1, 2], in_step), None, "one was honoured twice");
        assert_eq!(shadow(5, [0, 0], in_step), None, "refused at its first use");
        assert_eq!(shadow(5, [0, 1], |entry| entry.stateful = false), None, "no record");
        assert_eq!(shadow(5, [0, 1], |entry| entry.idle = entry.age), None, "longer pauses");
        assert_eq!(shadow(200, [0, 1], in_step), None, "300 s lie between");
    }

    #[test]
    fn sessions_of_others_and_unknown_pauses_are_no_units() {
        let refused = |kind, change| {
            let units = refused_beyond(kind, change).expect("it stands").units();
            (units.named_refused, units.other_refused)
        };
        for kind in [Kind::TooIdle, Kind::TooOld] {
            assert_eq!(refused(kind, |_| ()), (5, 0));
            assert_eq!(
                refused(kind, |entry| (entry.idle, entry.age) = (SECOND, SECOND)),
                (4, 1)
            );
            assert_eq!(
                refused(kind, |entry| (entry.idle, entry.age) = (UNKNOWN, UNKNOWN)),
                (4, 0)
            );
            assert_eq!(refused(kind, |entry| entry.foreign = true), (4, 0));
        }
    }

    #[test]
    fn a_lifetime_is_over_after_its_last_second() {
        let over = |change: fn(&mut OfferedCredential)| {
            let mut sketch = Sketch::default();
            sketch.offer(100, 1, (1, 60), false, |_, entry| {
                entry.lifetime = 59;
                change(entry);
            });
            let (table, part) = sketch.done();
            let mut all = Vec::new();
            claims(&ServiceContext::of(&table, &part, &[]), &mut all);
            all.iter().any(|claim| claim.kind == Kind::OverLifetime)
        };
        assert!(over(|_| ()));
        assert!(!over(|entry| entry.lifetime = 60) && !over(|entry| entry.lifetime = 0));
        assert!(!over(|entry| entry.age = UNKNOWN) && !over(|entry| entry.foreign = true));
    }

    #[test]
    fn a_threshold_lies_between_any_two_units() {
        let cuts = |[named_refused, named_accepted, other_refused, other_accepted]: [u64; 4]| {
            let mut claim = Claim::by_hand(Kind::TooOld, &[1]);
            claim.strata = vec![super::super::Stratum {
                named_refused,
                named_accepted,
                other_refused,
                other_accepted,
            }];
            cuts(&claim)
        };
        assert_eq!(cuts([3, 2, 1, 4]), 9);
        assert_eq!(cuts([1, 0, 0, 0]), 0);
        assert_eq!(cuts([0, 0, 0, 0]), 0);
    }

    #[test]
    fn what_is_as_old_as_an_accepted_session_is_not_too_old() {
        let too_old = |refused: i64| {
            let mut sketch = Sketch::default();
            for client in 0..3 {
                sketch.offer(10 + client, client, (client, 5), true, NOTHING);
                sketch.offer(20 + client, client, (10 + client, refused), false, NOTHING);
            }
            let (table, part) = sketch.done();
            let mut all = Vec::new();
            claims(&ServiceContext::of(&table, &part, &[]), &mut all);
            all.iter().any(|claim| claim.kind == Kind::TooOld)
        };
        assert!(!too_old(4) && !too_old(5) && too_old(6));
    }
}
