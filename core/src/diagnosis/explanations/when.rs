//! When: everything from before a moment was lost, and what is known of the moment.

use hashbrown::HashSet;

use hashbrown::HashMap;

use super::keys::{self, KeysAtWork};
use super::long::cuts;
use super::{Claim, FittedValue, Kind, Look, Scope, ServiceContext, Trace, claim, refused};
use crate::diagnosis::attempts::{Decision, OfferedCredential, UNKNOWN};
use crate::diagnosis::confidence::{BAR, Span, UNITS, moment};
use crate::net::Timestamp;
use crate::session::Mechanism;

/// One moment is one cause; more of them need refusals that a single one cannot explain, of several clients each.
const MAX_MOMENTS: usize = 4;
/// Refusals for each moment, at least: with fewer there is a moment for everything.
const FOR_EACH_MOMENT: usize = 3;

/// The moment, and its kinds: a takeover, a new key, a new certificate.
pub(super) fn claims(ground: &ServiceContext<'_>, all: &mut Vec<Claim>) {
    all.extend(takeover(ground));
    all.extend(key_changed(ground));
    all.extend(renewed(ground));
    all.extend(lost_at_once(ground));
}

/// When its session was there for certain: from its issue on, or, where that was not seen, from its latest use.
pub(super) fn span(ground: &ServiceContext<'_>, entry: &OfferedCredential) -> Option<Span> {
    let until = ground.time(entry).filter(|_| !entry.foreign)?;
    let known = [entry.age, entry.idle].into_iter().find(|since| *since != UNKNOWN)?;
    let from = Timestamp::from_nanos(until.nanos().saturating_sub(known));
    Some(Span { from, until })
}

fn holds(span: Span, moment: Span) -> bool {
    span.from <= moment.from && moment.until <= span.until
}

/// A moment of the whole service; where rows refute that, of its cache alone, for tickets outlive a restart under a key that is
/// kept; or of one machine after the other, as marks tell them apart.
fn lost_at_once(ground: &ServiceContext<'_>) -> Option<Claim> {
    // Whoever opens or issues tickets under the same key afterwards has not lost what this one holds. But a server that issues under
    // it even as it refuses lacks something else, and may do so from some moment on: with another certificate, another context.
    let lives_on = |entry: &OfferedCredential| {
        let last = ground.table.last_at_work(entry.key);
        let at_work = last.zip(ground.time(entry));
        !entry.own_key && at_work.is_some_and(|(last, time)| last.since(time) > keys::RELOAD)
    };
    let whole = lost(ground, Scope::Service, |entry| {
        let may_be_lost = !entry.failed() || !lives_on(entry);
        may_be_lost.then_some(0)
    });
    whole.or_else(|| {
        let machine = lost(ground, Scope::Machine, |entry| own_machine(ground, entry));
        let cache = lost(ground, Scope::Cache, |entry| entry.stateful.then_some(0)).map(|mut claim| {
            // The whole was tried as well.
            claim.cuts = claim.cuts.saturating_mul(2);
            claim
        });
        // The last of equals is taken.
        [cache, machine]
            .into_iter()
            .flatten()
            .max_by_key(|claim| claim.named.len())
    })
}

/// The machine that answers an offer of a session of its own; `None` where no marks tell, or another one made the session.
fn own_machine(ground: &ServiceContext<'_>, entry: &OfferedCredential) -> Option<u16> {
    let row = ground.table.row_of(entry)?;
    let holder = ground.table.row(entry.previous).filter(|_| !entry.foreign)?;
    (row.machine != 0 && row.machine == holder.machine).then_some(row.machine)
}

fn lost(
    ground: &ServiceContext<'_>,
    scope: Scope,
    machine: impl Fn(&OfferedCredential) -> Option<u16>,
) -> Option<Claim> {
    let spans = |failed: bool| {
        let entries = ground.entries().filter(move |(_, entry)| entry.failed() == failed);
        entries.filter_map(|(number, entry)| Some((number, entry, machine(entry)?, span(ground, entry)?)))
    };
    // What was concluded abstains where it would refute.
    let accepted: Vec<(u16, Span)> = spans(false)
        .filter(|(_, entry, ..)| !entry.concluded)
        .map(|(.., machine, span)| (machine, span))
        .collect();
    let refused = spans(true)
        .map(|(number, _, machine, span)| (number, machine, span))
        .collect();
    let moments = moments_of(ground, refused, &accepted);
    let (_, first) = *moments.first()?;
    let mut claim = claim(ground, Kind::LostAtOnce, |entry| {
        let (span, machine) = (span(ground, entry)?, machine(entry)?);
        let place = moments
            .iter()
            .position(|(on, moment)| *on == machine && holds(span, *moment));
        Some(Look {
            named: place.is_some(),
            value: place.and_then(|place| u32::try_from(place).ok()).unwrap_or(u32::MAX),
            concluded: entry.concluded,
        })
    })?;
    let moments: Vec<Span> = moments.into_iter().map(|(_, moment)| moment).collect();
    claim.cuts = cuts(&claim).saturating_pow(u32::try_from(moments.len()).unwrap_or(1));
    claim.value = FittedValue::Moment(first.from, first.until);
    claim.moments = moments.iter().map(|moment| (moment.from, moment.until)).collect();
    claim.trace = trace(ground, &moments);
    claim.scope = scope;
    let counts = |entry: &OfferedCredential| scope != Scope::Cache || entry.stateful;
    claim.plausible = since_is_honoured(ground, &moments, counts) && mostly(&claim);
    claim.shadow = follows(ground, &claim);
    Some(claim)
}

/// How far a session had come by an offer.
type Measure<'a> = &'a dyn Fn(&OfferedCredential) -> Option<i64>;

/// What the moments follow so closely that it explains as much without any: where sessions live up to an age, a pause or a
/// number of newer ones, only not to the second, old ones are refused now and then, and a few moments lie in their lives. What
/// parts them are sessions that were lost before they had come as far as others that were honoured.
///
/// A single moment has ages themselves for rivals, but for one that no ticket shows: a renewed one goes on with the age of its
/// session; and, where all are sessions that a server keeps, a full cache: which place one has there is never known exactly, for
/// used ones may go to its end, or be gone.
fn follows(ground: &ServiceContext<'_>, claim: &Claim) -> Option<Kind> {
    let several = claim.moments.len() > 1;
    // No cache pushes out a ticket that holds its session itself.
    let mut named = claim.named.iter().filter_map(|number| ground.table.entry(*number));
    let kept = named.all(|entry| entry.stateful);
    let began = began(ground);
    let renewed = ground.entries().any(|(_, entry)| is_renewed(&began, entry));
    let known = |since: i64| (since != UNKNOWN).then_some(since);
    let measures: [(bool, Kind, Measure<'_>); 4] = [
        (several, Kind::TooOld, &|entry| known(entry.age)),
        (several, Kind::TooIdle, &|entry| known(entry.idle)),
        (several || kept, Kind::Evicted, &|entry| {
            entry.stateful.then(|| entry.newer.into())
        }),
        (renewed, Kind::TooOld, &|entry| {
            Some(ground.time(entry)?.since(beginning(ground, &began, entry)?))
        }),
    ];
    let too_far = |measure: Measure<'_>| {
        let of = |entry: &OfferedCredential| measure(entry).filter(|_| !entry.foreign && !entry.concluded);
        let accepted = ground.entries().filter(|(_, entry)| !entry.failed());
        let farthest = accepted.filter_map(|(_, entry)| of(entry)).max();
        let named = claim.named.iter().filter_map(|number| ground.table.entry(*number));
        let measured = || named.clone().filter(|entry| of(entry).is_some());
        let before = measured().filter(|entry| of(entry) <= farthest);
        let lost_before: HashSet<_> = before.map(|entry| entry.credential).collect();
        measured().next().is_some() && (lost_before.len() as u64) < UNITS
    };
    let mut asked = measures.into_iter().filter(|(asked, ..)| *asked);
    asked.find(|(.., measure)| too_far(measure)).map(|(_, kind, _)| kind)
}

/// When the session of each handshake began that resumed one by a ticket. Up to TLS 1.2 a ticket that comes with a resumption is
/// another one for the same session.
fn began(ground: &ServiceContext<'_>) -> HashMap<usize, Timestamp> {
    let mut began = HashMap::new();
    let resumed = ground.entries().map(|(_, entry)| entry);
    for entry in resumed.filter(|entry| entry.decision == Decision::Accepted && entry.mechanism == Mechanism::Ticket) {
        if let Some(time) = beginning(ground, &began, entry) {
            began.insert(entry.row as usize, time);
        }
    }
    began
}

fn is_renewed(began: &HashMap<usize, Timestamp>, entry: &OfferedCredential) -> bool {
    entry.issue.index().is_some_and(|row| began.contains_key(&row))
}

fn beginning(
    ground: &ServiceContext<'_>,
    began: &HashMap<usize, Timestamp>,
    entry: &OfferedCredential,
) -> Option<Timestamp> {
    let renewed = entry.issue.index().and_then(|row| began.get(&row)).copied();
    renewed.or_else(|| {
        let time = ground.time(entry).filter(|_| entry.age != UNKNOWN && !entry.foreign)?;
        Some(Timestamp::from_nanos(time.nanos().saturating_sub(entry.age)))
    })
}

/// The fewest moments that explain the refusals, best first, each with its machine.
fn moments_of(
    ground: &ServiceContext<'_>,
    mut left: Vec<(u32, u16, Span)>,
    accepted: &[(u16, Span)],
) -> Vec<(u16, Span)> {
    let total = left.len();
    let mut moments: Vec<(u16, Span)> = Vec::new();
    while moments.len() < MAX_MOMENTS {
        let Some((on, found)) = best_moment(&left, accepted) else {
            break;
        };
        let within = |(_, machine, span): &(u32, u16, Span)| *machine == on && holds(*span, found);
        let (here, rest): (Vec<_>, Vec<_>) = left.iter().copied().partition(within);
        if !moments.is_empty() && (clients(ground, &here) < 2 || total < FOR_EACH_MOMENT * (moments.len() + 1)) {
            break;
        }
        moments.push((on, found));
        left = rest;
    }
    moments
}

/// The best moment of any machine, and the machine.
fn best_moment(refused: &[(u32, u16, Span)], accepted: &[(u16, Span)]) -> Option<(u16, Span)> {
    let mut of_machine: HashMap<u16, (Vec<Span>, Vec<Span>)> = HashMap::new();
    for (_, machine, span) in refused {
        of_machine.entry(*machine).or_default().0.push(*span);
    }
    for (machine, span) in accepted {
        of_machine.entry(*machine).or_default().1.push(*span);
    }
    let found = of_machine.into_iter().filter_map(|(machine, (refused, accepted))| {
        let (found, count) = moment(&refused, &accepted)?;
        Some((count, machine, found))
    });
    let best = found.max_by_key(|(count, machine, _)| (*count, std::cmp::Reverse(*machine)))?;
    Some((best.1, best.2))
}

/// A restart loses what was, not what comes: most of what was made since is honoured, where it is offered at all.
fn since_is_honoured(
    ground: &ServiceContext<'_>,
    moments: &[Span],
    counts: impl Fn(&OfferedCredential) -> bool,
) -> bool {
    let last = moments.iter().map(|moment| moment.until).max();
    let since = ground
        .entries()
        .filter(|(_, entry)| counts(entry))
        .filter_map(|(_, entry)| Some((entry, span(ground, entry)?)));
    let since = since.filter(|(_, span)| Some(span.from) >= last);
    let (mut honoured, mut refused) = (HashSet::new(), HashSet::new());
    for (entry, _) in since {
        let units = if entry.failed() { &mut refused } else { &mut honoured };
        units.insert(entry.credential);
    }
    honoured.len() >= refused.len()
}

/// Whether it explains at least half of the refusals that it could.
pub(super) fn mostly(claim: &Claim) -> bool {
    let units = claim.units();
    units.named_refused >= units.other_refused
}

/// How many clients these offers are of at least. Addresses that offer what another one was given are those of clients that
/// move, or share what they hold: all of them may be one.
fn clients(ground: &ServiceContext<'_>, here: &[(u32, u16, Span)]) -> usize {
    let entries = here.iter().filter_map(|(number, ..)| ground.table.entry(*number));
    let stays = |entry: &OfferedCredential| {
        let address = ground.table.row_of(entry)?.address;
        let holder = ground.table.row(entry.previous);
        Some(holder.is_none_or(|holder| holder.address == address).then_some(address))
    };
    entries.filter_map(stays).collect::<HashSet<_>>().len()
}

/// Connections that were cut within the moment by a host that did not know them.
fn trace(ground: &ServiceContext<'_>, moments: &[Span]) -> Option<Trace> {
    let within = |time: Timestamp| moments.iter().any(|moment| moment.from <= time && time <= moment.until);
    let cut = ground.takeovers.iter().find(|takeover| within(takeover.time))?;
    Some(Trace {
        text: "open connections were cut, or the address changed hands, at that time",
        frame: Some(cut.at.frame),
    })
}

/// The address changed hands between the latest use of the session and its refusal. Whoever refuses a ticket and issues under
/// its very key has what the other machine had: it refuses for its age, or for another context.
fn takeover(ground: &ServiceContext<'_>) -> Option<Claim> {
    let first = ground.takeovers.first()?;
    let between = |entry: &OfferedCredential| {
        let until = ground.time(entry)?;
        let since = ground.table.row(entry.previous).map(|row| row.time);
        let since = since.or_else(|| Some(span(ground, entry)?.from));
        Some(since.map_or_else(
            // Before the capture: it was there before any takeover that shows.
            || {
                ground
                    .takeovers
                    .iter()
                    .any(|it| it.time < until && entry.refused_before)
            },
            |since| ground.takeovers.iter().any(|it| since < it.time && it.time < until),
        ))
    };
    let other_machine = ground.takeovers.iter().any(|it| it.other_machine);
    let mut claim = claim(ground, Kind::Takeover, |entry| {
        (!entry.own_key).then_some(Look {
            concluded: entry.concluded,
            ..Look::read(between(entry)?)
        })
    })?;
    // Where the same machine answers as before, as far as marks tell, it was a restart sooner than a takeover.
    if ground.takeovers.iter().any(|it| !it.same_marks) {
        claim.trace = Some(Trace {
            text: "the takeover shows here",
            frame: Some(first.at.frame),
        });
    }
    // Two MAC addresses, or other hop counts from then on: no count is needed for what the network shows. Where as much is refused
    // without a takeover, whatever refuses that may have refused these, by a machine that has all that the first one had.
    let by_itself = claim.units_concerned().other_refused == 0 || claim.ln_chance() <= BAR.ln();
    if other_machine && claim.stands && by_itself {
        let limits = [false, true].map(|stateful| refused_for_its_age(ground, &claim, stateful));
        let too_old = |entry: &OfferedCredential| {
            let limit = limits.get(usize::from(entry.stateful)).copied().flatten();
            limit.is_some_and(|limit| entry.age >= limit)
        };
        let named = claim.named.iter().copied();
        let proven = named.filter(|number| !ground.table.entry(*number).is_some_and(too_old));
        claim.proven = proven.collect();
    }
    Some(claim)
}

/// The age from which on sessions are refused where the address did not change hands, with none that was honoured at that age:
/// what is as old would have been refused by the first machine as well.
fn refused_for_its_age(ground: &ServiceContext<'_>, takeover: &Claim, stateful: bool) -> Option<i64> {
    let ages = |failed: bool| {
        let entries = ground.entries().filter(move |(_, entry)| entry.failed() == failed);
        entries.filter(move |(_, entry)| entry.age != UNKNOWN && !entry.foreign && entry.stateful == stateful)
    };
    let oldest = ages(false).map(|(_, entry)| entry.age).max();
    let others = ages(true).filter(|(number, entry)| {
        !entry.concluded && entry.decision == Decision::Refused && takeover.named.binary_search(number).is_err()
    });
    let beyond = |age: &i64| oldest.is_none_or(|oldest| *age > oldest);
    others.map(|(_, entry)| entry.age).filter(beyond).min()
}

/// The ticket's key was never seen at work again, and another one took its place. Where one that issued beside it lives on,
/// whoever refuses may be another server than the one that issued.
fn key_changed(ground: &ServiceContext<'_>) -> Option<Claim> {
    let work = KeysAtWork::of(ground);
    let company = keys::company(ground, &work);
    let changed = |entry: &OfferedCredential| {
        let row = ground.table.row_of(entry).filter(|_| entry.key != 0)?;
        let life = work.span(entry.key)?;
        let (_, last) = life;
        if company.get(&entry.key).is_some_and(|until| *until >= row.time) {
            return Some(false);
        }
        let successor = row.issues != 0 && row.issues != entry.key && keys::takes_over(life, work.span(row.issues)?);
        // Or another key is at work at once after this one's last sign of life.
        let follows = row.issues == 0 && work.begins_within(last, row.time);
        Some(refused(entry) && last < row.time && (successor || follows))
    };
    let mut claim = claim(ground, Kind::KeyChanged, |entry| {
        if !entry.failed() {
            return (entry.key != 0).then_some(Look::read(false));
        }
        Some(Look::read(changed(entry)?))
    })?;
    let named = claim.named.iter().filter_map(|number| ground.table.entry(*number));
    let changes = named.map(|entry| entry.key).collect::<HashSet<_>>().len() as u64;
    // With few refusals for each there is a change for any of them: as many as that are moments that it fits.
    let shown = (claim.units().named_refused / FOR_EACH_MOMENT as u64).max(1);
    let fitted = u32::try_from(changes.saturating_sub(shown)).unwrap_or(u32::MAX);
    claim.cuts = cuts(&claim).saturating_pow(fitted);
    Some(claim.with_trace(Trace::of("another ticket key took its place")))
}

/// The certificate changed once, between issue and refusal, and not back.
fn renewed(ground: &ServiceContext<'_>) -> Option<Claim> {
    if super::who::certificates_alternate(ground) {
        return None;
    }
    let claim = claim(ground, Kind::ContextRenewed, |entry| {
        (refused(entry) && entry.other_certificate).then_some(Look::read(true))
    });
    claim.map(|claim| claim.with_trace(Trace::of("the certificate is another since")))
}

#[cfg(test)]
mod tests;
