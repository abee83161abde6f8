//! Who: is it another party than the one that holds the session?

use hashbrown::{HashMap, HashSet};

use super::keys::{self, KeysAtWork};
use super::{Claim, FittedValue, Kind, Look, ServiceContext, Trace, claim, refused};
use crate::diagnosis::attempts::{Decision, OfferedCredential, UNKNOWN};
use crate::net::Timestamp;
use crate::net::span::SECOND;
use crate::session::{CredentialId, Mechanism};

/// Separate times at which one store may have been out of reach: what fails once does so again, as where its machine or
/// network is worked on.
const OUTAGES: usize = 2;
/// Nothing that is out of reach is back within this time.
const BRIEF: i64 = SECOND;

/// Another server, machine, key, context; or another store that nothing tells apart.
pub(super) fn claims(ground: &ServiceContext<'_>, all: &mut Vec<Claim>) {
    all.extend(other_server(ground));
    all.extend(other_machine(ground));
    all.extend(other_key(ground));
    all.extend(other_context(ground));
    all.extend(other_store(ground));
}

fn other_server(ground: &ServiceContext<'_>) -> Option<Claim> {
    let claim = claim(ground, Kind::OtherServer, |entry| {
        Some(Look {
            concluded: entry.foreign_concluded,
            ..Look::read(entry.foreign)
        })
    });
    claim.map(|claim| claim.with_trace(Trace::of("the session belongs to another server")))
}

/// Machines are told by marks that no decision made.
fn other_machine(ground: &ServiceContext<'_>) -> Option<Claim> {
    let claim = claim(ground, Kind::OtherMachine, |entry| {
        let row = ground.table.row_of(entry)?;
        let holder = ground.table.row(entry.previous).filter(|_| !entry.foreign)?;
        let both = row.machine != 0 && holder.machine != 0;
        both.then(|| Look {
            named: row.machine != holder.machine,
            value: u32::from(row.machine) << 16 | u32::from(holder.machine),
            concluded: entry.concluded,
        })
    });
    claim.map(|claim| claim.with_trace(Trace::of("two machines answer, as marks on their packets show")))
}

/// The key is in use elsewhere: it works on after the refusal, or the server that refused was at work with its own key
/// before.
fn other_key(ground: &ServiceContext<'_>) -> Option<Claim> {
    let work = KeysAtWork::of(ground);
    if work.len() < 2 {
        return None;
    }
    let held = keys::held_together(ground);
    let names = |entry: &OfferedCredential| {
        let row = ground.table.row_of(entry).filter(|_| entry.key != 0)?;
        if !refused(entry) {
            return (row.issues != 0 && !row.issues_concluded).then_some(false);
        }
        let life = work.span(entry.key)?;
        let (first, last) = life;
        let own = row.issues;
        let lives_on = last > row.time && first < row.time;
        // Two that were at work at once while the server was reloaded are not side by side.
        let beside = work.span(own).is_some_and(|other| {
            other.0 < last && first < other.1 && !keys::takes_over(life, other) && !keys::takes_over(other, life)
        });
        // The refuser's own key is not visible, and K is not the only one at work.
        let unseen = own == 0 && work.has_company(entry.key);
        let known = held.contains(&(entry.key, own)) || entry.own_key || own == entry.key;
        Some(!known && (lives_on || unseen || beside))
    };
    let mut claim = claim(ground, Kind::OtherKey, |entry| {
        Some(Look {
            named: names(entry)?,
            value: ground.table.row_of(entry).map_or(0, |row| row.issues),
            concluded: entry.mechanism == Mechanism::Psk,
        })
    })?;
    claim.trace = Trace::of("several ticket keys are in use side by side");
    claim.proven = proven_by_turns(ground, &work, &claim);
    Some(claim)
}

/// Keys that issue in turn are live side by side; and where each opens its own tickets, a refused one met the other. One that
/// issued in turn with others before may have been retired since, as a new key reached the last server: so it must be seen at work
/// after the refusal, or another ticket of this key have met that other one when it was, and not be away for longer than before.
fn proven_by_turns(ground: &ServiceContext<'_>, work: &KeysAtWork, claim: &Claim) -> Vec<u32> {
    let turns = keys::in_turn(ground);
    let accepted = ground
        .entries()
        .filter(|(_, entry)| entry.decision == Decision::Accepted);
    let honoured: HashSet<u32> = accepted.map(|(_, entry)| entry.key).collect();
    // Both keys, and how long the ticket's had not been seen: nothing where it is seen again.
    let met = |number: &u32| {
        let entry = ground.table.entry(*number)?;
        let row = ground.table.row_of(entry).filter(|row| !row.issues_concluded)?;
        let together = turns.get(&entry.key)? == turns.get(&row.issues)?;
        let (_, last) = work.span(entry.key)?;
        let away = row.time.since(last).max(0);
        (together && honoured.contains(&entry.key)).then_some((entry.key, row.issues, away))
    };
    let all: Vec<(u32, (u32, u32, i64))> = claim.named.iter().filter_map(|it| Some((*it, met(it)?))).collect();
    let lives_on = all.iter().filter(|(_, (.., away))| *away == 0);
    let known: HashSet<(u32, u32)> = lives_on.map(|(_, (key, own, _))| (*key, *own)).collect();
    if known.is_empty() {
        return Vec::new();
    }
    let longest = keys::longest_away(ground);
    let proven = |(key, own, away): (u32, u32, i64)| {
        let as_before = longest.get(&key).is_some_and(|longest| away <= *longest);
        known.contains(&(key, own)) && (away == 0 || as_before)
    };
    all.into_iter()
        .filter(|(_, met)| proven(*met))
        .map(|(it, _)| it)
        .collect()
}

/// Whether full handshakes of one client stack show certificates in turn: A, B, A.
pub(super) fn certificates_alternate(ground: &ServiceContext<'_>) -> bool {
    let mut latest: HashMap<u32, (u32, HashSet<u32>)> = HashMap::new();
    for row in ground
        .table
        .rows_at(&ground.part.rows)
        .filter(|row| row.certificate != 0)
    {
        let (last, left) = latest.entry(row.stack).or_default();
        if *last != row.certificate {
            if left.contains(&row.certificate) {
                return true;
            }
            left.insert(*last);
            *last = row.certificate;
        }
    }
    false
}

/// Certificates in turn on one key: the context of the session is another's.
fn other_context(ground: &ServiceContext<'_>) -> Option<Claim> {
    if !certificates_alternate(ground) {
        return None;
    }
    // In TLS 1.3 the certificate is encrypted: where the service has one key only, the key is not the cause.
    let one_key = KeysAtWork::of(ground).len() == 1;
    let claim = claim(ground, Kind::OtherContext, |entry| {
        let row = ground
            .table
            .row_of(entry)
            .filter(|_| refused(entry) && !entry.foreign)?;
        let hidden = row.certificate == 0 && entry.key != 0 && one_key;
        Some(Look {
            concluded: hidden,
            ..Look::read(entry.other_certificate || hidden)
        })
    });
    claim.map(|claim| claim.with_trace(Trace::of("servers with another certificate answer in turn")))
}

/// The latest refusal, where several sessions that were refused are honoured, all of them after it: a key or a session that
/// came late to the other server, as with a roll-out.
fn honoured_since(ground: &ServiceContext<'_>) -> Option<Timestamp> {
    let latest = ground.entries().filter(|(_, entry)| entry.failed());
    let latest = latest.filter_map(|(_, entry)| ground.time(entry)).max()?;
    let mut lost = HashSet::new();
    let mut since = HashSet::new();
    for (_, entry) in ground.entries() {
        if entry.failed() {
            lost.insert(entry.credential);
        } else if lost.contains(&entry.credential) {
            if ground.time(entry)? < latest {
                return None;
            }
            since.insert(entry.credential);
        }
    }
    (since.len() > 1 && since.len() == lost.len()).then_some(latest)
}

/// Several stores behind one address that nothing tells apart: chance, as far as rows go. Only sessions that are refused, and
/// accepted later, prove it; and only where acceptances lie between several such refusals. Where all of them lie together,
/// one store may have been out of reach, or without the key, for that time; and where there are two such times, twice.
fn other_store(ground: &ServiceContext<'_>) -> Option<Claim> {
    let mut claim = claim(ground, Kind::OtherStore, |entry| {
        // The refuser issues under the ticket's own key: it is not the key.
        (refused(entry) && !entry.foreign).then_some(Look::read(true))
    })?;
    // Unless it was its store that did not answer in time.
    let returned = |number: &u32| ground.table.entry(*number).filter(|entry| entry.accepted_later);
    let crossed = |number: &u32| returned(number).filter(|entry| entry.slow == Some(false));
    if claim
        .named
        .iter()
        .any(|number| returned(number).is_some_and(|entry| entry.slow == Some(true)))
    {
        claim.value = FittedValue::Slow;
    }
    // What is shown of a credential holds for all of its refusals.
    let credentials: HashSet<CredentialId> = claim
        .named
        .iter()
        .filter_map(|number| Some(crossed(number)?.credential))
        .collect();
    if credentials.is_empty() {
        return Some(claim);
    }
    let turns = refused_by_turns(ground, &credentials);
    let proven = |number: &u32| {
        let entry = ground.table.entry(*number);
        entry.is_some_and(|entry| credentials.contains(&entry.credential) && turns.contains(&entry.key))
    };
    claim.proven = claim.named.iter().copied().filter(proven).collect();
    let otherwise = if claim.proven.is_empty() {
        claim.value
    } else {
        FittedValue::Nothing
    };
    claim.value = honoured_since(ground).map_or(otherwise, FittedValue::Late);
    claim.trace = Trace::of("a session was refused and accepted again later");
    Some(claim)
}

/// The keys (0 is that of session IDs) of sessions that are refused, and accepted later, with acceptances in between of what
/// was there before: a server that was without its store or key for a while accepts nothing of it in that time.
fn refused_by_turns(ground: &ServiceContext<'_>, crossed: &HashSet<CredentialId>) -> HashSet<u32> {
    let mut turns: HashMap<u32, Turns> = HashMap::new();
    for (_, entry) in ground.entries() {
        let is_crossed = crossed.contains(&entry.credential);
        let Some(time) = ground.time(entry) else { continue };
        let turns = turns.entry(entry.key).or_default();
        if entry.failed() {
            // One that is not accepted again may have been lost for good.
            if is_crossed && entry.accepted_later {
                turns.since.get_or_insert(time);
            }
            continue;
        }
        let is_older = |since: Timestamp| {
            let known = entry.age != UNKNOWN && !entry.concluded;
            is_crossed || known && time.nanos().saturating_sub(entry.age) < since.nanos()
        };
        if turns.since.is_some_and(is_older) {
            turns.since = None;
            turns.over += 1;
            turns.brief += usize::from(turns.accepted.is_some_and(|before| time.since(before) < BRIEF));
        }
        turns.accepted = Some(time);
    }
    let found = turns.into_iter().filter(|(_, turns)| turns.are_proof());
    found.map(|(key, _)| key).collect()
}

/// Times at which what is under a key is refused.
#[derive(Default)]
struct Turns {
    /// When the one began that is not over.
    since: Option<Timestamp>,
    /// The latest acceptance.
    accepted: Option<Timestamp>,
    over: usize,
    /// Those of them that lie between acceptances of the same moment.
    brief: usize,
}

impl Turns {
    /// Whether there are more of them than one store has failures. What was refused in the last one is accepted later, if
    /// only under another name.
    fn are_proof(&self) -> bool {
        self.over + usize::from(self.since.is_some()) > OUTAGES || self.brief > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::attempts::tests::Sketch;

    /// Two sessions: each refused, then accepted, in this order of seconds.
    fn store(refused: [u32; 2], accepted: [u32; 2], slow: Option<bool>) -> Claim {
        let mut visits: Vec<(u32, u32, bool)> = Vec::new();
        for session in [0, 1] {
            visits.push((refused[session as usize], session, false));
            visits.push((accepted[session as usize], session, true));
        }
        visits.sort_unstable();
        let mut sketch = Sketch::default();
        for (second, session, accepted) in visits {
            sketch.offer(second, session, (session, 1), accepted, |_, entry| {
                (entry.accepted_later, entry.slow) = (!accepted, slow.map(|slow| slow && !accepted));
            });
        }
        let (table, part) = sketch.done();
        other_store(&ServiceContext::of(&table, &part, &[])).expect("it stands")
    }

    #[test]
    fn what_is_refused_and_then_honoured_for_good_may_have_come_late() {
        let late = store([10, 20], [30, 40], Some(false));
        assert_eq!(late.value, FittedValue::Late(Timestamp::from_nanos(20_000_000_000)));
        assert!(late.proven.is_empty(), "or its store was out of reach");
        let twice = store([10, 30], [20, 40], Some(false));
        assert_eq!(twice.value, FittedValue::Nothing);
        assert!(twice.proven.is_empty(), "or it was so twice");
    }

    /// Offers of sessions in this order, one every so many nanoseconds: what was refused and is accepted later by turns, of these
    /// made at second 0 or, from number 5 on, at the time of the offer before.
    fn by_turns(pause: i64, order: &[(u32, bool)], key: impl Fn(u32) -> u32) -> usize {
        let mut sketch = Sketch::default();
        let mut time = 10 * SECOND;
        for (place, (session, accepted)) in order.iter().enumerate() {
            let later = order.get(place..).unwrap_or_default().contains(&(*session, true));
            sketch.offer(10, *session, (*session, 1), *accepted, |row, entry| {
                row.time = Timestamp::from_nanos(time);
                entry.age = if *session < 5 { time } else { pause };
                (entry.accepted_later, entry.key) = (!accepted && later, key(*session));
            });
            time += pause;
        }
        with(sketch, other_store).map_or(0, |it| it.proven.len())
    }

    #[test]
    fn a_store_that_is_out_of_reach_accepts_nothing_until_it_is_back() {
        let ids = |order: &[(u32, bool)]| by_turns(SECOND, order, |_| 0);
        let [yes, no] = [true, false];
        assert_eq!(ids(&[(1, yes), (2, yes), (1, no), (2, no), (1, yes), (2, yes)]), 0);
        assert_eq!(ids(&[(1, no), (1, yes)]), 0);
        let twice = [(1, no), (1, yes), (1, no), (1, yes)];
        assert_eq!(ids(&[&twice[..], &[(1, no), (1, yes)]].concat()), 3);
        let beside = [(1, no), (2, yes), (1, no), (2, yes), (1, no), (1, yes)];
        assert_eq!(ids(&beside), 3, "another session from before");
        let lost = [&twice[..], &[(1, no), (2, yes)]].concat();
        assert_eq!(ids(&lost), 0, "the last one may be lost");
        let since = [(1, no), (5, yes), (1, no), (1, yes), (1, no), (1, yes)];
        assert_eq!(ids(&since), 0, "made since, where it can be");
        // The key came back after another one had been at work, whose tickets were honoured.
        let order = [&twice[..], &[(1, no), (5, yes), (1, yes)]].concat();
        assert_eq!(by_turns(SECOND, &order, |session| 1 + session / 5), 3);
        assert_eq!(by_turns(SECOND, &beside, |session| session), 0);
    }

    #[test]
    fn a_store_is_out_of_reach_twice_sooner_than_two_refuse_so_seldom() {
        let [yes, no] = [true, false];
        let twice = [(1, yes), (1, no), (1, yes), (1, yes), (1, no), (1, yes)];
        assert_eq!(by_turns(SECOND, &twice, |_| 0), 0);
        // But not for less than a second.
        assert_eq!(by_turns(SECOND / 2, &twice, |_| 0), 0);
        assert_eq!(by_turns(SECOND / 2 - 1, &twice, |_| 0), 2);
        assert_eq!(by_turns(SECOND / 4, &twice[..5], |_| 0), 0, "the last one is not over");
        assert_eq!(
            by_turns(SECOND / 4, &twice[1..], |_| 0),
            0,
            "nor did the first one begin"
        );
    }

    #[test]
    fn a_store_that_did_not_answer_in_time_is_not_two_stores() {
        let slow = store([10, 20], [30, 40], Some(true));
        assert!(slow.proven.is_empty());
        assert_eq!(slow.value, FittedValue::Slow);
        assert!(slow.settle().contains("log of the session store"));
        // Nor are there two where nothing shows how long it took.
        let untimed = store([10, 20], [30, 40], None);
        assert!(untimed.proven.is_empty());
        assert_eq!(untimed.value, FittedValue::Nothing);
    }

    fn with<T>(sketch: Sketch, of: impl FnOnce(&ServiceContext<'_>) -> T) -> T {
        let (table, part) = sketch.done();
        of(&ServiceContext::of(&table, &part, &[]))
    }

    /// Keys 1 and 2 issue in turn, up to second 32; then a ticket under key 1 is refused, by who issues under `own`.
    fn ticket_of_another(second: u32, own: u32, change: fn(&mut OfferedCredential)) -> Option<Claim> {
        let mut sketch = Sketch::default();
        for (second, key) in [(10, 1), (12, 2), (30, 1), (32, 2)] {
            sketch.silent(second, 1, |row| row.issues = key);
        }
        sketch.offer(second, 1, (1, 2), false, |row, entry| {
            (entry.key, entry.stateful, entry.mechanism, row.issues) = (1, false, Mechanism::Ticket, own);
            change(entry);
        });
        with(sketch, other_key)
    }

    #[test]
    fn a_key_that_works_on_or_beside_the_refuser_s_is_another_s() {
        let nothing: fn(&mut OfferedCredential) = |_| ();
        for (second, own) in [(20, 0), (40, 2), (40, 0)] {
            assert_eq!(
                ticket_of_another(second, own, nothing).map(|it| it.named.len()),
                Some(1)
            );
        }
        // It issues under the very key, or is known to have it.
        assert!(ticket_of_another(20, 1, nothing).is_none());
        assert!(ticket_of_another(20, 2, |entry| entry.own_key = true).is_none());
        assert!(ticket_of_another(20, 0, |entry| entry.key = 0).is_none());
        // Its own key came later, when the ticket's had done.
        assert!(ticket_of_another(40, 3, nothing).is_none());
    }

    #[test]
    fn keys_in_turn_prove_another_where_the_ticket_s_own_is_honoured() {
        let proven_at = |second, own, honoured| {
            let mut sketch = Sketch::default();
            for (second, key) in [(10, 1), (12, 2), (30, 1), (32, 2), (34, 1)] {
                sketch.silent(second, 1, |row| row.issues = key);
            }
            let ticket = |entry: &mut OfferedCredential| {
                (entry.key, entry.stateful, entry.mechanism) = (1, false, Mechanism::Ticket);
            };
            if honoured {
                sketch.offer(14, 2, (2, 2), true, |_, entry| ticket(entry));
            }
            sketch.offer(second, 1, (1, 2), false, |row, entry| {
                row.issues = own;
                ticket(entry);
            });
            with(sketch, other_key).map(|it| it.proven.len())
        };
        let proven = |own, honoured| proven_at(20, own, honoured);
        assert_eq!(proven(2, true), Some(1));
        assert_eq!(proven_at(40, 2, true), Some(0), "key 2 may be rolled out by then");
        assert_eq!(proven(2, false), Some(0));
        assert_eq!(proven(0, true), Some(0));
    }

    /// Keys 1 and 2 issue in turn, then 3 and 4. A ticket under key 1 is honoured until second 170, and then refused by who issues
    /// under `own`; and once more honoured after that, or not.
    fn retired(own: u32, again: bool) -> Option<(usize, usize)> {
        let mut sketch = Sketch::default();
        for (start, keys) in [(10, [1, 2]), (100, [3, 4])] {
            for turn in 0..6_u32 {
                let key = keys[turn as usize % 2];
                sketch.silent(start + 10 * turn, 1, |row| row.issues = key);
            }
        }
        let offers = [(14, true), (170, true), (180, false), (190, true)];
        for (second, accepted) in offers.into_iter().take(if again { 4 } else { 3 }) {
            sketch.offer(second, 2, (2, i64::from(second - 10)), accepted, |row, entry| {
                (entry.key, entry.stateful, entry.mechanism) = (1, false, Mechanism::Ticket);
                row.issues = if accepted { 0 } else { own };
            });
        }
        with(sketch, other_key).map(|it| (it.named.len(), it.proven.len()))
    }

    #[test]
    fn keys_that_took_turns_before_may_have_been_retired_since() {
        assert_eq!(retired(3, false), Some((1, 0)));
        assert_eq!(retired(2, false), Some((1, 0)));
        assert_eq!(retired(2, true), Some((1, 1)));
        assert_eq!(
            retired(3, true),
            Some((1, 0)),
            "these two were never seen to take turns"
        );
    }

    #[test]
    fn whose_a_session_is_may_be_concluded_and_says_so() {
        let claim = |concluded| {
            let mut sketch = Sketch::default();
            sketch.offer(10, 1, (1, 2), false, |_, entry| {
                (entry.foreign, entry.foreign_concluded) = (true, concluded);
            });
            with(sketch, other_server).expect("it stands").concluded
        };
        assert!(claim(true) && !claim(false));
    }

    /// Full handshakes of one stack that show these certificates in turn, then a refused offer.
    fn context(
        certificates: &[u32],
        change: fn(&mut crate::diagnosis::attempts::Row, &mut OfferedCredential),
    ) -> Option<Claim> {
        let mut sketch = Sketch::default();
        for (second, certificate) in (10..).zip(certificates) {
            sketch.silent(second, 1, |row| row.certificate = *certificate);
        }
        sketch.silent(40, 1, |row| row.issues = 7);
        sketch.offer(50, 1, (1, 2), false, change);
        with(sketch, other_context)
    }

    #[test]
    fn certificates_in_turn_are_those_of_servers_that_do_not_share_a_context() {
        assert!(context(&[1, 2, 1], |_, entry| entry.other_certificate = true).is_some());
        assert!(context(&[1, 2, 3, 1], |_, entry| entry.other_certificate = true).is_some());
        // One that was renewed does not come back.
        assert!(context(&[1, 1, 2, 2], |_, entry| entry.other_certificate = true).is_none());
        assert!(context(&[1, 2, 1], |_, _| ()).is_none());
        assert!(
            context(&[1, 2, 1], |_, entry| (entry.other_certificate, entry.foreign) =
                (true, true))
            .is_none()
        );
        // Encrypted, with one key in use: what is left is the context.
        let hidden = context(&[1, 2, 1], |_, entry| entry.key = 7).expect("it stands");
        assert!(hidden.concluded);
        assert!(context(&[1, 2, 1], |row, entry| (row.certificate, entry.key) = (1, 7)).is_none());
        assert!(
            context(&[1, 2, 1], |row, entry| (row.issues, entry.key) = (8, 7)).is_none(),
            "two keys"
        );
    }

    #[test]
    fn what_is_honoured_between_refusals_did_not_come_late() {
        let since = |order: &[(u32, bool)]| {
            let mut sketch = Sketch::default();
            for (second, (session, accepted)) in (10..).zip(order) {
                sketch.offer(second, *session, (*session, 2), *accepted, |_, _| ());
            }
            with(sketch, honoured_since).map(|time| time.nanos() / 1_000_000_000)
        };
        assert_eq!(since(&[(1, false), (2, false), (1, true), (2, true)]), Some(11));
        assert_eq!(since(&[(1, false), (1, true), (2, false), (2, true)]), None);
        // One session alone, and one that stays refused.
        assert_eq!(since(&[(1, false), (1, true)]), None);
        assert_eq!(since(&[(1, false), (2, false), (3, false), (1, true), (2, true)]), None);
    }

    #[test]
    fn each_pair_of_machines_is_a_unit_of_its_own() {
        let mut sketch = Sketch::default();
        let issue = sketch.silent(1, 9, |row| row.machine = 2);
        for (second, machine) in (10..).zip([1, 3, 3]) {
            sketch.offer(second, 1, (1, 2), false, |row, entry| {
                (row.machine, entry.previous) = (machine, crate::diagnosis::attempts::tests::place(issue));
            });
        }
        let claim = with(sketch, other_machine).expect("it stands");
        assert_eq!((claim.named.len(), claim.units().named_refused), (3, 2));
        // Of one of the two nothing tells which machine it was.
        for (holder, here) in [(0, 1), (2, 0)] {
            let mut sketch = Sketch::default();
            let issue = sketch.silent(1, 9, |row| row.machine = holder);
            sketch.offer(10, 1, (1, 2), false, |row, entry| {
                (row.machine, entry.previous) = (here, crate::diagnosis::attempts::tests::place(issue));
            });
            assert!(with(sketch, other_machine).is_none());
        }
    }
}
