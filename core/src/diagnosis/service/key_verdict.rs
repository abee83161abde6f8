//! What the name of its key says of a refused ticket.

use crate::diagnosis::Confidence;
use crate::net::Timestamp;
use crate::store::ConnectionStore;

use super::timelines::KeyTimeline;
use super::{KeyName, ResumptionAttempt, ServiceAnalyses, ServiceAnalysis};

/// Two servers with keys of their own that take turns at random show first only the one key and then only the other, in
/// so many sightings, once in 32 times.
const APART_NOT_BY_CHANCE: u64 = 6;

/// What a refused ticket's key name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyVerdict {
    /// The answering server does not have the key, which is in use elsewhere.
    NotShared(Confidence),
    /// The key is no longer in use.
    Changed(Confidence),
    /// The key name explains nothing.
    Nothing,
}

/// Judges a refused ticket by the timelines of its own key and of that of the answering server. Where servers are known
/// to lack each other's keys, a key that was not seen at work again need not be gone: another server answered.
#[must_use]
pub fn judge_key(
    used: &ResumptionAttempt,
    insight: &ServiceAnalysis,
    hindsight: &ServiceAnalyses,
    kept: &ConnectionStore,
) -> KeyVerdict {
    match key_by_itself(used, insight, hindsight, kept) {
        KeyVerdict::Changed(Confidence::Possible) if insight.keys_apart => KeyVerdict::NotShared(Confidence::Possible),
        KeyVerdict::Changed(_) if insight.keys_apart && !hindsight.same_backend(used) => {
            KeyVerdict::Changed(Confidence::Possible)
        }
        // That a key was not seen again means little where much was not seen.
        KeyVerdict::Changed(_) if insight.lossy => KeyVerdict::Changed(Confidence::Possible),
        verdict => verdict,
    }
}

/// Whether several keys are at work, and a ticket was refused while its own was: before and after, or for certain.
pub(super) fn keys_apart(insight: &ServiceAnalysis, hindsight: &ServiceAnalyses, kept: &ConnectionStore) -> bool {
    let at_work = insight.keys.iter().filter(|timeline| timeline.alive.is_some());
    if at_work.take(2).count() < 2 {
        return false;
    }
    let in_between = |used: &ResumptionAttempt| {
        let key = hindsight.key_name(used.credential).and_then(|name| insight.key(name));
        let alive = key.and_then(|timeline| timeline.alive);
        alive.is_some_and(|(first, last)| first < used.time && used.time < last)
    };
    let mut refused = insight.uses.iter().filter(|used| !used.accepted);
    refused.any(|used| match key_by_itself(used, insight, hindsight, kept) {
        KeyVerdict::NotShared(confidence) => confidence > Confidence::Possible || in_between(used),
        KeyVerdict::Changed(_) | KeyVerdict::Nothing => false,
    })
}

fn key_by_itself(
    used: &ResumptionAttempt,
    insight: &ServiceAnalysis,
    hindsight: &ServiceAnalyses,
    kept: &ConnectionStore,
) -> KeyVerdict {
    let Some(name) = hindsight.key_name(used.credential).filter(|_| !used.accepted) else {
        return KeyVerdict::Nothing;
    };
    let Some(alive) = insight.key(name).and_then(|timeline| timeline.alive) else {
        return KeyVerdict::Nothing;
    };
    let answering = kept
        .get(used.connection)
        .and_then(|connection| hindsight.issued_under(connection));
    if answering == Some(name) {
        return KeyVerdict::Nothing;
    }
    let others: Vec<KeyName> = insight
        .keys
        .iter()
        .map(|timeline| timeline.name)
        .filter(|other| *other != name)
        .collect();
    let alive_of = |other: &KeyName| insight.key(*other).and_then(|timeline| timeline.alive);
    // With a key of the answering server in sight, it is that one that must have been there beside this one: keys of
    // further servers say nothing of a restart of this one.
    let beside = |other: &&KeyName| answering.is_none_or(|own| own == **other);
    let side_by_side = others
        .iter()
        .filter(beside)
        .filter_map(alive_of)
        .any(|(first, last)| first < alive.1 && alive.0 < last);
    let lives_on = alive.1 > used.time;
    match (answering, side_by_side, lives_on) {
        (Some(_), true, _) | (Some(_), false, true) | (None, true, true) => KeyVerdict::NotShared(Confidence::Inferred),
        (None, true, false) if hindsight.other_backend(used) => KeyVerdict::NotShared(Confidence::Inferred),
        (None, true, false) | (None, false, true) => KeyVerdict::NotShared(Confidence::Possible),
        (Some(_), false, false) => changed(used, name, insight, alive.1),
        // Without the answering server's own key another machine may have answered as well.
        (None, false, false) => KeyVerdict::Changed(Confidence::Possible),
    }
}

/// The old key was last at work before, and only another one after.
fn changed(used: &ResumptionAttempt, old: KeyName, insight: &ServiceAnalysis, last: Timestamp) -> KeyVerdict {
    let began_after = |timeline: &&KeyTimeline| timeline.alive.is_some_and(|(first, _)| first > last);
    let others = insight.keys.iter().filter(|timeline| timeline.name != old);
    let mut successors = others.filter(began_after);
    let (Some(new), None) = (successors.next(), successors.next()) else {
        return KeyVerdict::Changed(Confidence::Possible);
    };
    // One sighting of a new key may as well be a second backend: the new key must go on being used.
    let goes_on = new.alive.is_some_and(|(_, latest)| latest > used.time);
    let sightings = |timeline: &KeyTimeline| timeline.issues + timeline.accepted;
    let seen = insight.key(old).map_or(0, sightings) + sightings(new);
    KeyVerdict::Changed(if goes_on && seen >= APART_NOT_BY_CHANCE {
        Confidence::Inferred
    } else {
        Confidence::Possible
    })
}
