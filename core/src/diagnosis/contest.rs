//! The contest: which explanations of a service stand, how sure each is, and in which order they are told.
//!
//! Inferred is what no read row contradicts, what reaches the bar or has a proof, and what has beaten every rival: each that
//! covers as many refusals, or reaches the bar itself, is refuted or of the same family. All else that stands is possible,
//! and says what stands beside it. Chance (another store without marks) fits every row: the count beats it, no row does.

use std::cmp::Reverse;

use hashbrown::HashSet;

use super::Confidence;
use super::attempts::{Attempts, Decision, OfferedCredential, UNKNOWN};
use super::confidence::{BAR, UNITS, to_nine_digits, trials};
use super::explanations::{Claim, Family, FittedValue, Kind, ServiceContext, claims};

/// Sessions that are refused although they are no older than accepted ones: one may be anything, two are of another cause,
/// such as a second store, which may have refused the youngest of those that are too old as well.
const OF_ANOTHER_CAUSE: usize = 2;

/// A fit that chance comes to as often as not is not worth naming.
const WORTH_NAMING: f64 = 0.5;

/// What stands of one explanation.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The claim.
    pub claim: Claim,
    /// How sure it is as a statement about the service.
    pub confidence: Confidence,
    /// Its family is as sure as this, though its members cannot be parted.
    pub family: Confidence,
    /// The count reaches the bar; without it only proven entries are sure.
    pub reaches: bool,
    /// So it does if only what no row could refute is no more than possible: enough to stand against others.
    pub counted: bool,
    /// Something speaks for it beside that it is not refuted.
    pub supported: bool,
    /// Its chance, all corrections included.
    pub p_value: f64,
    /// What the chance was multiplied by: cuts, and explanations that could have reached the bar.
    pub tried: u64,
    /// What stands beside it, best first.
    pub rivals: Vec<Kind>,
}

/// Holds the explanations of a service against each other; best first.
#[must_use]
pub fn hold(ground: &ServiceContext<'_>) -> Vec<Standing> {
    let all = claims(ground);
    let least: Vec<f64> = all.iter().map(Claim::ln_least).collect();
    let tried = trials(&least);
    let mut standing: Vec<Standing> = all
        .into_iter()
        .filter(|claim| claim.stands)
        .map(|claim| entered(ground, claim, tried))
        .collect();
    let supported = |kind: &Standing| kind.supported && !is_chance(kind.claim.kind) && !is_never(kind.claim.kind);
    // Chance and never fit whatever is refused: they are candidates where nothing better is. But that nobody honours a session
    // is the better word where some refusals have no other.
    if standing.iter().any(supported) {
        let never = standing.iter().any(|it| is_never(it.claim.kind));
        // Gathered only where nothing was accepted, for else `never` has fallen.
        let better: HashSet<u32> = standing
            .iter()
            .filter(|it| never && supported(it))
            .flat_map(|it| it.claim.named.iter().copied())
            .collect();
        for it in standing
            .iter_mut()
            .filter(|it| is_chance(it.claim.kind) || is_never(it.claim.kind))
        {
            let more = is_never(it.claim.kind) && sessions_beyond(ground, &it.claim.named, &better) > 1;
            it.supported &= more || !it.claim.proven.is_empty();
        }
    }
    if let Some(told) = standing.iter().position(|it| is_outdone(it, &standing))
        && let Some(it) = standing.get_mut(told)
    {
        it.supported = false;
    }
    let unsure: Vec<bool> = standing
        .iter()
        .map(|it| hides_another_cause(ground, it, &standing))
        .collect();
    for (it, unsure) in standing.iter_mut().zip(unsure) {
        it.reaches &= !unsure;
    }
    for place in 0..standing.len() {
        let (confidence, family) = level(&standing, place);
        if let Some(it) = standing.get_mut(place) {
            (it.confidence, it.family) = (confidence, family);
        }
    }
    standing.sort_by_key(order);
    let rivals: Vec<Vec<Kind>> = (0..standing.len()).map(|place| rivals(&standing, place)).collect();
    for (it, rivals) in standing.iter_mut().zip(rivals) {
        it.rivals = rivals;
    }
    standing
}

/// How many sessions were refused that nothing better explains.
fn sessions_beyond(ground: &ServiceContext<'_>, named: &[u32], better: &HashSet<u32>) -> usize {
    let beyond = named.iter().filter(|number| !better.contains(*number));
    let sessions: HashSet<_> = beyond
        .filter_map(|number| Some(ground.table.entry(*number)?.credential))
        .collect();
    sessions.len()
}

/// Whether sessions below the age that is said to be too much were refused as well, with no sure word for it: then nobody can
/// tell where the other cause ends and the age begins.
fn hides_another_cause(ground: &ServiceContext<'_>, it: &Standing, all: &[Standing]) -> bool {
    if !matches!(it.claim.kind, Kind::TooOld | Kind::TooIdle) || !it.reaches {
        return false;
    }
    let others = || {
        let others = all.iter().filter(|other| !is_chance(other.claim.kind));
        others.filter(|other| other.claim.kind.family() != it.claim.kind.family())
    };
    let mut explained: HashSet<u32> = it.claim.named.iter().copied().collect();
    explained.extend(
        others()
            .filter(|other| other.reaches)
            .flat_map(|other| &other.claim.named),
    );
    explained.extend(others().flat_map(|other| &other.claim.proven));
    let looked_at = |entry: &OfferedCredential| {
        let value = if it.claim.kind == Kind::TooOld {
            entry.age
        } else {
            entry.idle
        };
        value != UNKNOWN && !entry.foreign
    };
    let left = ground.entries().filter(|(number, entry)| {
        entry.decision == Decision::Refused && looked_at(entry) && !explained.contains(number)
    });
    let sessions: HashSet<_> = left.map(|(_, entry)| entry.credential).collect();
    sessions.len() >= OF_ANOTHER_CAUSE
}

const fn is_chance(kind: Kind) -> bool {
    matches!(kind, Kind::OtherStore)
}

const fn is_never(kind: Kind) -> bool {
    matches!(kind, Kind::NeverIds | Kind::NeverTickets)
}

/// Random eviction, a policy, a decoy: what no row could ever refute is never more than possible. Where equal hellos are
/// answered by HelloRetryRequest and without one, they met servers with other groups: other machines, as a rule.
const fn may_be_inferred(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::Evicted
            | Kind::AsksCertificate
            | Kind::OtherHash
            | Kind::HelloRetry
            | Kind::EncryptedHello
            | Kind::OtherStore
            | Kind::NeverTickets
    )
}

fn entered(ground: &ServiceContext<'_>, claim: Claim, tried: u64) -> Standing {
    let units = claim.units();
    #[allow(clippy::cast_precision_loss)] // a few dozen explanations
    let p_value = to_nine_digits((claim.ln_chance() + (tried as f64).ln()).exp()).min(1.0);
    let enough = units.named_refused >= UNITS && units.other_accepted >= UNITS;
    let counted = enough && p_value <= BAR && !claim.concluded && claim.shadow.is_none();
    let counted = claim.plausible && (counted || never_in_numbers(ground, &claim));
    let reaches = may_be_inferred(claim.kind) && counted;
    let supported = reaches || is_supported(ground, &claim, p_value);
    Standing {
        confidence: Confidence::Possible,
        family: Confidence::Possible,
        reaches,
        counted,
        supported,
        p_value,
        tried: tried.saturating_mul(claim.cuts.max(1)),
        rivals: Vec::new(),
        claim,
    }
}

/// Enough servers in turn are excluded, and no session is known to have been honoured before what the table knows.
fn never_in_numbers(ground: &ServiceContext<'_>, claim: &Claim) -> bool {
    if ground.folded.may_have(|outcomes| outcomes.resumed) {
        return false;
    }
    let excluded = |servers| claim.kind == Kind::NeverIds && servers >= super::explanations::SERVERS;
    matches!(claim.value, FittedValue::Never { servers, .. } if excluded(servers))
}

/// One refusal without anything that shows may be anything. Two of a kind beside acceptances, or a trace, make a candidate;
/// so does a session that was honoured, then refused, while newer ones are honoured, or refused from then on.
fn is_supported(ground: &ServiceContext<'_>, claim: &Claim, p_value: f64) -> bool {
    let units = claim.units();
    if !claim.plausible {
        return false;
    }
    if claim.trace.is_some() || !claim.proven.is_empty() {
        return true;
    }
    if is_chance(claim.kind) || is_never(claim.kind) {
        return units.named_refused >= 2;
    }
    if units.named_refused >= 2 && units.other_accepted > 0 && p_value < WORTH_NAMING {
        return true;
    }
    // Of several moments one is found for any refusals: they must be better than chance.
    let worth_it = claim.moments.len() < 2 || p_value < WORTH_NAMING;
    match claim.kind.family() {
        Family::When if worth_it && stopped_together(ground, claim) => true,
        Family::When | Family::HowLong => worth_it && honoured_until_then(ground, &claim.named),
        _ => false,
    }
}

/// Several sessions, each honoured before, and none of anybody's once the first of them is refused.
fn stopped_together(ground: &ServiceContext<'_>, claim: &Claim) -> bool {
    let entries = || claim.named.iter().filter_map(|number| ground.table.entry(*number));
    let Some(first) = entries().filter_map(|entry| ground.time(entry)).min() else {
        return false;
    };
    let sessions: HashSet<_> = entries().map(|entry| entry.credential).collect();
    let is_over = |entry: &OfferedCredential| entry.failed() || ground.time(entry) < Some(first);
    sessions.len() > 1
        && entries().all(|entry| entry.accepted_before > 0)
        && ground.entries().all(|(_, entry)| is_over(entry))
}

/// Whether one of these was honoured before and is no longer, while newer sessions are, or it is refused again and again.
fn honoured_until_then(ground: &ServiceContext<'_>, named: &[u32]) -> bool {
    let accepted = || ground.entries().filter(|(_, entry)| !entry.failed());
    // The latest acceptance of all, and the latest of any other session: one of them is of another session than a given one.
    let latest = accepted().max_by_key(|(_, entry)| ground.time(entry));
    let Some((_, latest)) = latest else { return false };
    let others = accepted().filter(|(_, entry)| entry.credential != latest.credential);
    let second = others.filter_map(|(_, entry)| ground.time(entry)).max();
    // What was refused and accepted again has two holders.
    let crossed: HashSet<_> = ground
        .entries()
        .filter(|(_, entry)| entry.failed() && entry.accepted_later)
        .map(|(_, entry)| entry.credential)
        .collect();
    named
        .iter()
        .filter_map(|number| ground.table.entry(*number))
        .any(|lost| {
            let newer = if lost.credential == latest.credential {
                second
            } else {
                ground.time(latest)
            };
            let is_over = lost.accepted_before > 0 && !crossed.contains(&lost.credential);
            is_over && (lost.refused_before || newer > ground.time(lost))
        })
}

/// A key that is not seen again may be one of several in use that had no other turn: where most refusals are proven to be
/// of that kind, a change of key needs a count of its own.
fn is_outdone(it: &Standing, all: &[Standing]) -> bool {
    let proven =
        |other: &Standing| other.claim.kind == Kind::OtherKey && other.claim.proven.len() > 2 * it.claim.named.len();
    it.claim.kind == Kind::KeyChanged && !it.reaches && all.iter().any(proven)
}

/// How many of one claim's entries another covers too: both are in the order of their hellos.
fn overlap(a: &Claim, b: &Claim) -> usize {
    let mut others = b.named.iter().peekable();
    let both = |number: &&u32| {
        while others.next_if(|other| *other < *number).is_some() {}
        others.peek() == Some(number)
    };
    a.named.iter().filter(both).count()
}

/// How sure a standing claim is, and how sure its family.
fn level(all: &[Standing], place: usize) -> (Confidence, Confidence) {
    let Some(it) = all.get(place) else {
        return (Confidence::Possible, Confidence::Possible);
    };
    if !it.claim.proven.is_empty() {
        // Where the store cannot be told from a machine, a key or a context, the family is what is proven.
        let member = if is_chance(it.claim.kind) {
            Confidence::Possible
        } else {
            Confidence::Inferred
        };
        return (member, Confidence::Inferred);
    }
    if !it.reaches {
        return (Confidence::Possible, Confidence::Possible);
    }
    let told_alike = |other: &Standing| other.claim.kind.reasons().eq(it.claim.kind.reasons());
    let rivals = || {
        let others = all.iter().enumerate().filter(|(other, _)| *other != place);
        let others = others
            .map(|(_, other)| other)
            .filter(|other| !is_chance(other.claim.kind));
        others.filter(|other| !told_alike(other)).filter(|other| {
            let shared = overlap(&it.claim, &other.claim);
            shared == it.claim.named.len() || (other.counted && shared > 0)
        })
    };
    // Several moments fit a value each; what has reached the bar without any is the better word for them.
    let is_loose = |rival: &&Standing| rival.claim.moments.len() > 1 && !rival.reaches;
    if rivals().any(|rival| rival.claim.kind.family() != it.claim.kind.family()) {
        return (Confidence::Possible, Confidence::Possible);
    }
    // That all was lost at once, and that another machine answers, are statements about the family already.
    let whole = matches!(it.claim.kind, Kind::LostAtOnce | Kind::OtherMachine);
    if whole || rivals().all(|rival| is_loose(&rival)) {
        (Confidence::Inferred, Confidence::Inferred)
    } else {
        (Confidence::Possible, Confidence::Inferred)
    }
}

/// People act on the first: surer, more refusals covered, a trace of its own, fewer fitted values, catalogue.
fn order(it: &Standing) -> (Reverse<Confidence>, bool, bool, Reverse<usize>, bool, u8, Kind) {
    let unproven_chance = is_chance(it.claim.kind) && it.claim.proven.is_empty();
    (
        Reverse(it.confidence.max(it.family)),
        !it.supported,
        unproven_chance || it.claim.kind == Kind::AsksCertificate,
        Reverse(it.claim.named.len()),
        it.claim.trace.is_none(),
        it.claim.fitted(),
        it.claim.kind,
    )
}

/// What else may explain the same refusals.
fn rivals(all: &[Standing], place: usize) -> Vec<Kind> {
    let Some(it) = all.get(place).filter(|it| it.confidence < Confidence::Inferred) else {
        return Vec::new();
    };
    let others = all.iter().enumerate().filter(|(other, _)| *other != place);
    let others = others.filter(|(_, other)| other.claim.plausible && overlap(&it.claim, &other.claim) > 0);
    let mut kinds: Vec<Kind> = others.map(|(_, other)| other.claim.kind).collect();
    kinds.extend(it.claim.shadow.filter(|shadow| !kinds.contains(shadow)));
    kinds
}

/// Marks every entry with the explanations that stand for it.
pub fn mark(table: &mut Attempts, standing: &[Standing]) {
    for it in standing {
        for number in &it.claim.named {
            if let Some(entry) = table.entry_mut(*number) {
                entry.causes |= it.claim.kind.bit();
            }
        }
    }
}

#[cfg(test)]
mod tests;
