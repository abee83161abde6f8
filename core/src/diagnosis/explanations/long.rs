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
    Some(claim)
}

/// A full cache drops the oldest: refused beside more newer sessions than any accepted one.
fn evicted(ground: &ServiceContext<'_>) -> Option<Claim> {
    let counted = |entry: &OfferedCredential| {
        (entry.stateful && !entry.foreign && !entry.concluded && entry.age != UNKNOWN).then_some(entry.newer)
    };
    let accepted = ground.entries().filter(|(_, entry)| !entry.failed());
    let most = accepted.filter_map(|(_, entry)| counted(entry)).max()?;
    let mut claim = claim(ground, Kind::Evicted, |entry| Some(Look::read(counted(entry)? > most)))?;
    let refused = claim.named.iter().filter_map(|number| ground.table.entry(*number));
    let fewest = refused.map(|entry| entry.newer).min()?;
    claim.value = FittedValue::Newer(most, fewest);
    claim.cuts = cuts(&claim);
    // No cache holds a single session.
    claim.plausible = super::when::mostly(&claim) && fewest > 1;
    Some(claim)
}

/// A threshold could have stood between any two of the units.
pub(super) fn cuts(claim: &Claim) -> u64 {
    let units = claim.units();
    (units.named_refused + units.named_accepted + units.other_refused + units.other_accepted).saturating_sub(1)
}
