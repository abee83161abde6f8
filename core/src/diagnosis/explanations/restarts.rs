//! Restarts as the rival of closes and of ages: a server that ends takes its connections and its sessions with it, so that
//! whatever was refused after such a close may have been lost to the end of the server, and not to the close; and one that
//! drops everything now and then does so in a long pause sooner than in a short one.
//!
//! *Lost at once* knows a few moments at which much was lost. A server that loses its sessions again and again loses little
//! each time, and each time where the close or the pause is: no count of these can part the two. What does is a session of
//! the same server that was there before the close or the pause and is honoured after the refusal.

use hashbrown::{HashMap, HashSet};

use super::keys::KeysAtWork;
use super::when::span;
use super::{Claim, Kind, ServiceContext};
use crate::diagnosis::attempts::OfferedCredential;
use crate::diagnosis::confidence::{Span, UNITS};
use crate::session::CredentialId;

/// Sessions that restarts explain beside one for each: fewer may have been closed at about the same time by chance.
const AT_ONCE: usize = 2;

/// Whether restarts explain what a kind of close, or an age, is said to explain: nothing that was honoured outlived the times between
/// close and refusal, but for fewer sessions than a law needs.
///
/// Closes by the client come at times of its own. That a restart lies behind each of them is no rival; that some lie behind
/// several is one: a server that hangs before it is restarted makes all clients give up.
pub(super) fn explain_as_much(ground: &ServiceContext<'_>, claim: &Claim) -> bool {
    let Some(left) = not_outlived(ground, claim) else {
        return false;
    };
    let sessions: HashSet<CredentialId> = left.iter().map(|(_, credential)| *credential).collect();
    let by_client = matches!(claim.kind, Kind::ClientReset | Kind::ClientFin);
    !by_client || sessions.len() >= AT_ONCE + restarts(left.into_iter().map(|(gap, _)| gap).collect())
}

/// The times in which restarts would have lost what a claim names, with the sessions; `None` where others outlived enough of
/// them, or none is known.
fn not_outlived(ground: &ServiceContext<'_>, claim: &Claim) -> Option<Vec<(Span, CredentialId)>> {
    let (alive, keys) = (Alive::of(ground), KeysAtWork::of(ground));
    let (mut outlived, mut left) = (HashSet::new(), Vec::new());
    for entry in claim.named.iter().filter_map(|number| ground.table.entry(*number)) {
        let Some((machine, gap)) = gap(ground, entry) else {
            continue;
        };
        // A ticket is as good as its key, which shows by its name.
        let key_lives = || {
            let life = keys.span(entry.key).filter(|_| entry.key != 0);
            entry.own_key || life.is_some_and(|(first, last)| first <= gap.from && gap.until <= last)
        };
        if alive.throughout((machine, entry.stateful), gap) || !entry.stateful && key_lives() {
            outlived.insert(entry.credential);
        } else {
            left.push((gap, entry.credential));
        }
    }
    (!left.is_empty() && (outlived.len() as u64) < UNITS).then_some(left)
}

/// The time in which a restart would have lost a session: from the end of its latest connection to the refusal.
fn gap(ground: &ServiceContext<'_>, entry: &OfferedCredential) -> Option<(u16, Span)> {
    let row = ground.table.row_of(entry)?;
    let from = ground.table.row(entry.previous)?.ended().min(row.time);
    let until = row.time;
    Some((row.machine, Span { from, until }))
}

/// The fewest moments that lie in all of these times.
fn restarts(mut gaps: Vec<Span>) -> usize {
    gaps.sort_unstable_by_key(|gap| gap.until);
    let mut latest = None;
    let mut count = 0;
    for gap in gaps {
        if latest.is_none_or(|latest| latest < gap.from) {
            latest = Some(gap.until);
            count += 1;
        }
    }
    count
}

/// When each machine cannot have been restarted, for something from before was honoured after: disjoint and in order.
///
/// What a server keeps and tickets that hold their session themselves count apart: these outlive a restart under a key that
/// is kept.
struct Alive(HashMap<(u16, bool), Vec<Span>>);

impl Alive {
    fn of(ground: &ServiceContext<'_>) -> Self {
        let mut of_machine: HashMap<(u16, bool), Vec<Span>> = HashMap::new();
        let honoured = ground.entries().map(|(_, entry)| entry);
        for entry in honoured.filter(|entry| !entry.failed() && !entry.concluded) {
            if let Some((row, span)) = ground.table.row_of(entry).zip(span(ground, entry)) {
                of_machine.entry((row.machine, entry.stateful)).or_default().push(span);
            }
        }
        for spans in of_machine.values_mut() {
            spans.sort_unstable_by_key(|span| (span.from, span.until));
            spans.dedup_by(|next, last| {
                let joined = next.from < last.until;
                if joined {
                    last.until = last.until.max(next.until);
                }
                joined
            });
        }
        Self(of_machine)
    }

    fn throughout(&self, holder: (u16, bool), gap: Span) -> bool {
        let Some(spans) = self.0.get(&holder) else {
            return false;
        };
        let place = spans.partition_point(|span| span.from <= gap.from);
        let span = place.checked_sub(1).and_then(|place| spans.get(place));
        span.is_some_and(|span| gap.until <= span.until)
    }
}

#[cfg(test)]
mod tests {
    use super::super::befell;
    use super::*;
    use crate::diagnosis::attempts::ClosedBy;
    use crate::diagnosis::attempts::tests::{Sketch, place};

    /// Six sessions, each refused five seconds after such a close of its connection; `keeper` says whether another session
    /// is honoured to the end; `together` of them are closed and refused at a time.
    fn fits(kind: Kind, closed: ClosedBy, keeper: bool, together: u32) -> bool {
        let mut sketch = Sketch::default();
        for session in 0..6 {
            let second = 20 + session / together * 20;
            let previous = sketch.silent(second, session, |_| ());
            sketch.offer(second + 5, session, (session, 5), false, |_, entry| {
                (entry.closed, entry.previous) = (closed, place(previous));
            });
        }
        if keeper {
            sketch.offer(200, 9, (9, 190), true, |_, _| ());
        }
        let (table, part) = sketch.done();
        let ground = ServiceContext::of(&table, &part, &[]);
        let mut all = Vec::new();
        befell::claims(&ground, &mut all);
        let claim = all.iter().find(|claim| claim.kind == kind).expect("it is claimed");
        claim.shadow == Some(Kind::LostAtOnce)
    }

    #[test]
    fn a_server_that_ends_closes_its_connections_and_loses_its_sessions() {
        assert!(fits(Kind::ServerClose, ClosedBy::Server, false, 1));
        assert!(fits(Kind::ServerClose, ClosedBy::Server, false, 2));
        assert!(
            !fits(Kind::ServerClose, ClosedBy::Server, true, 1),
            "one outlives them all"
        );
    }

    #[test]
    fn clients_that_reset_together_may_have_given_up_on_a_server_that_hung() {
        assert!(fits(Kind::ClientReset, ClosedBy::ClientReset, false, 2));
        assert!(fits(Kind::ClientFin, ClosedBy::ClientFin, false, 3));
        assert!(
            !fits(Kind::ClientReset, ClosedBy::ClientReset, false, 1),
            "a restart behind each"
        );
        assert!(!fits(Kind::ClientReset, ClosedBy::ClientReset, true, 2));
    }

    #[test]
    fn what_is_honoured_in_turn_shows_that_nothing_was_restarted() {
        let span = |from, until| Span {
            from: crate::session::tests::at(from).time,
            until: crate::session::tests::at(until).time,
        };
        let alive = |spans: &[(u32, u32)]| {
            let mut sketch = Sketch::default();
            for (from, until) in spans {
                sketch.offer(*until, 1, (*from, i64::from(until - from)), true, |_, _| ());
            }
            let (table, part) = sketch.done();
            Alive::of(&ServiceContext::of(&table, &part, &[])).throughout((0, true), span(12, 18))
        };
        assert!(alive(&[(10, 20)]) && alive(&[(10, 15), (14, 20)]) && alive(&[(12, 18)]));
        assert!(!alive(&[(10, 15), (15, 20)]), "at that very moment");
        assert!(!alive(&[(13, 20)]) && !alive(&[(10, 17)]) && !alive(&[]));
        assert_eq!(restarts(vec![span(1, 3), span(2, 5), span(4, 6), span(7, 8)]), 3);
    }
}
