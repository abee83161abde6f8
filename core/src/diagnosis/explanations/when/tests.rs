use super::*;
use crate::diagnosis::attempts::tests::{Sketch, place};
use crate::net::span::SECOND;
use crate::session::tests::at;

fn taken_over(second: u32, other_machine: bool) -> crate::diagnosis::service::Takeover {
    crate::diagnosis::service::Takeover {
        time: at(second).time,
        at: at(second),
        other_machine,
        same_marks: false,
    }
}

#[test]
fn where_the_machine_stays_what_it_was_nothing_shows_of_a_takeover() {
    let traced = |same: [bool; 2]| {
        let mut sketch = Sketch::default();
        let issue = sketch.silent(10, 1, |_| ());
        sketch.offer(50, 1, (1, 45), false, |_, entry| entry.previous = place(issue));
        let (table, part) = sketch.done();
        let takeovers: Vec<_> = (30..)
            .zip(same)
            .map(|(second, same_marks)| crate::diagnosis::service::Takeover {
                same_marks,
                ..taken_over(second, false)
            })
            .collect();
        takeover(&ServiceContext::of(&table, &part, &takeovers)).map(|claim| claim.trace.is_some())
    };
    assert_eq!(traced([true, true]), Some(false));
    assert_eq!(traced([false, true]), Some(true));
    assert_eq!(traced([false, false]), Some(true));
}

/// What is said of a session issued at second 10 and refused at second 50, by these takeovers.
fn takeover_of(takeovers: &[(u32, bool)], change: fn(&mut OfferedCredential)) -> Option<Claim> {
    let mut sketch = Sketch::default();
    let issue = sketch.silent(10, 1, |_| ());
    sketch.offer(50, 1, (1, 45), false, |_, entry| {
        entry.previous = place(issue);
        change(entry);
    });
    let (table, part) = sketch.done();
    let takeovers: Vec<_> = takeovers
        .iter()
        .map(|(second, other)| taken_over(*second, *other))
        .collect();
    takeover(&ServiceContext::of(&table, &part, &takeovers))
}

#[test]
fn what_the_first_machine_would_have_refused_for_its_age_does_not_show_the_second() {
    // One session is offered at second 25, and another one, 45 seconds old, after the takeover.
    let proven = |age: i64, accepted: bool, change: fn(&mut OfferedCredential)| {
        let mut sketch = Sketch::default();
        let issue = [10, 11].map(|second| sketch.silent(second, 1, |_| ()));
        sketch.offer(25, 2, (2, age), accepted, |_, entry| {
            entry.previous = place(issue[1]);
            change(entry);
        });
        sketch.offer(50, 1, (1, 45), false, |_, entry| entry.previous = place(issue[0]));
        let (table, part) = sketch.done();
        let claim = takeover(&ServiceContext::of(&table, &part, &[taken_over(30, true)])).expect("it stands");
        (claim.named.len(), claim.proven.len())
    };
    let nothing: fn(&mut OfferedCredential) = |_| ();
    assert_eq!(proven(45, false, nothing), (1, 0));
    assert_eq!(proven(46, false, nothing), (1, 1), "older than the one in question");
    assert_eq!(proven(20, true, nothing), (1, 1));
    assert_eq!(proven(20, false, |entry| entry.stateful = false), (1, 1), "a ticket");
    assert_eq!(proven(20, false, |entry| entry.foreign = true), (1, 1));
    assert_eq!(proven(20, false, |entry| entry.concluded = true), (1, 1));
}

#[test]
fn an_age_that_is_honoured_is_no_limit() {
    let mut sketch = Sketch::default();
    let issue = sketch.silent(10, 1, |_| ());
    for (second, age, accepted) in [(24, 30, true), (25, 30, false), (50, 45, false)] {
        sketch.offer(second, second, (second, age), accepted, |_, entry| {
            entry.previous = place(issue);
        });
    }
    let (table, part) = sketch.done();
    let claim = takeover(&ServiceContext::of(&table, &part, &[taken_over(30, true)])).expect("it stands");
    assert_eq!((claim.named.len(), claim.proven.len()), (1, 1));
}

#[test]
fn an_address_changes_hands_between_the_latest_use_and_the_refusal() {
    let nothing: fn(&mut OfferedCredential) = |_| ();
    assert!(takeover_of(&[(30, false)], nothing).is_some());
    assert!(takeover_of(&[(5, false), (30, false)], nothing).is_some());
    for second in [5, 10, 50, 60] {
        assert!(takeover_of(&[(second, false)], nothing).is_none(), "{second}");
    }
    assert!(takeover_of(&[], nothing).is_none());
}

#[test]
fn where_no_use_was_seen_its_age_tells_and_else_that_it_was_refused_before() {
    // Its age reaches back to second 5.
    let unseen: fn(&mut OfferedCredential) = |entry| entry.previous = place(u32::MAX);
    assert!(takeover_of(&[(7, false)], unseen).is_some());
    assert!(takeover_of(&[(5, false)], unseen).is_none() && takeover_of(&[(50, false)], unseen).is_none());
    let older: fn(&mut OfferedCredential) = |entry| {
        (entry.previous, entry.foreign) = (place(u32::MAX), true);
    };
    assert!(
        takeover_of(&[(7, false)], older).is_none(),
        "another server's says nothing here"
    );
}

#[test]
fn another_machine_needs_no_count_and_a_restart_of_the_same_one_does() {
    let proven = |other| takeover_of(&[(30, other)], |_| ()).map(|it| it.proven.len());
    assert_eq!((proven(true), proven(false)), (Some(1), Some(0)));
}

#[test]
fn who_took_over_with_the_key_of_the_ticket_refuses_it_for_something_else() {
    assert_eq!(takeover_of(&[(30, true)], |_| ()).map(|it| it.proven.len()), Some(1));
    assert!(takeover_of(&[(30, true)], |entry| entry.own_key = true).is_none());
}

/// Key 1 issues up to second 20, key 2 from `begins` on; then a ticket under key 1 is refused at second 40.
fn changed(begins: u32, last: u32, issues: u32, accepted: bool) -> Option<Claim> {
    let mut sketch = Sketch::default();
    let mut rows = vec![(10, 1), (last, 1), (begins, 2)];
    rows.sort_unstable();
    for (second, key) in rows {
        sketch.silent(second, 1, |row| row.issues = key);
    }
    sketch.offer(40, 1, (1, 30), accepted, |row, entry| {
        (entry.key, entry.stateful, entry.mechanism) = (1, false, Mechanism::Ticket);
        row.issues = issues;
    });
    let (table, part) = sketch.done();
    key_changed(&ServiceContext::of(&table, &part, &[]))
}

#[test]
fn a_key_changed_where_another_took_its_place_and_it_was_not_seen_again() {
    // The refuser issues under the new one, or hides what it issues under and a new one begins.
    assert!(changed(30, 20, 2, false).is_some());
    assert!(changed(30, 20, 0, false).is_some());
    // The other was there before, or the old one works on.
    assert!(changed(15, 20, 2, false).is_none());
    assert!(changed(15, 20, 0, false).is_none());
    assert!(changed(30, 45, 2, false).is_none());
    assert!(changed(45, 20, 0, false).is_none(), "it began after the refusal");
    // The refuser has the key, or honours it.
    assert!(changed(30, 20, 1, false).is_none());
    assert!(changed(30, 20, 2, true).is_none());
}

#[test]
fn a_key_whose_company_lives_on_was_not_replaced() {
    // Key 1 issues at 10 and 20, key 2 from 30 on; a third one at these seconds.
    let changed = |beside: &[u32], issues, opens: bool| {
        let mut sketch = Sketch::default();
        let others = beside.iter().map(|second| (*second, 3));
        let mut rows: Vec<(u32, u32)> = [(10, 1), (20, 1), (30, 2)].into_iter().chain(others).collect();
        rows.sort_unstable();
        for (second, key) in rows {
            sketch.silent(second, 1, |row| row.issues = key);
        }
        sketch.offer(40, 1, (1, 30), false, |row, entry| {
            (entry.key, row.issues) = (1, issues);
        });
        // That it opens its own tickets is a sign of life as well.
        if opens {
            sketch.offer(50, 2, (2, 30), true, |_, entry| entry.key = 3);
        }
        let (table, part) = sketch.done();
        key_changed(&ServiceContext::of(&table, &part, &[])).is_some()
    };
    assert!(!changed(&[15, 45], 2, false) && !changed(&[15, 45], 0, false));
    assert!(!changed(&[15, 25], 2, true));
    // It went as well; or it issued before, or only after.
    assert!(changed(&[15, 25], 2, false));
    assert!(changed(&[5, 8], 2, true) && changed(&[21, 45], 2, false));
}

#[test]
fn a_key_that_another_opens_beside_its_own_is_retired_all_the_same() {
    let mut sketch = Sketch::default();
    for (second, key) in [(10, 1), (20, 1), (25, 2), (30, 2)] {
        sketch.silent(second, 1, |row| row.issues = key);
    }
    sketch.offer(35, 1, (1, 20), true, |row, entry| (entry.key, row.issues) = (1, 2));
    sketch.offer(50, 1, (1, 35), false, |row, entry| (entry.key, row.issues) = (1, 3));
    let (table, part) = sketch.done();
    assert!(key_changed(&ServiceContext::of(&table, &part, &[])).is_some());
}

#[test]
fn changes_with_few_refusals_each_are_fitted_and_those_with_three_are_shown() {
    let cuts = |changes: u32, each: u32| {
        let mut sketch = Sketch::default();
        for change in 0..changes {
            let (begin, key) = (100 * change, change + 1);
            sketch.silent(begin + 10, 1, |row| row.issues = key);
            for client in 0..each {
                sketch.offer(
                    begin + 50 + client,
                    client,
                    (begin + client, 40),
                    false,
                    |row, entry| {
                        (entry.key, row.issues) = (key, key + 1);
                    },
                );
            }
        }
        let (table, part) = sketch.done();
        key_changed(&ServiceContext::of(&table, &part, &[])).map(|claim| claim.cuts)
    };
    assert_eq!([cuts(1, 1), cuts(1, 6), cuts(2, 3)], [Some(1); 3]);
    // One of two is shown, with four units: three cuts; and one of four, with four again.
    assert_eq!([cuts(2, 2), cuts(4, 1)], [Some(3), Some(27)]);
}

#[test]
fn a_certificate_is_renewed_once_and_not_back() {
    let told = |certificates: &[u32], other, accepted| {
        let mut sketch = Sketch::default();
        for (second, certificate) in (10..).zip(certificates) {
            sketch.silent(second, 1, |row| row.certificate = *certificate);
        }
        sketch.offer(40, 1, (1, 30), accepted, |_, entry| entry.other_certificate = other);
        let (table, part) = sketch.done();
        renewed(&ServiceContext::of(&table, &part, &[])).is_some()
    };
    assert!(told(&[1, 2], true, false));
    assert!(!told(&[1, 2, 1], true, false) && !told(&[1, 2], false, false) && !told(&[1, 2], true, true));
}

/// So many restarts, each of which costs so many clients a session, with sessions between that are honoured.
fn restarts(count: u32, clients: u32) -> Claim {
    let mut sketch = Sketch::default();
    for restart in 1..=count {
        for client in 0..clients {
            let (old, new) = (100 * restart + client, 100 * restart + 50 + client);
            sketch.offer(100 * restart + client, client, (old, 30), false, |_, _| ());
            sketch.offer(100 * restart + 40 + client, client, (new, 20), true, |_, _| ());
        }
    }
    let (table, part) = sketch.done();
    lost_at_once(&ServiceContext::of(&table, &part, &[])).expect("a moment")
}

#[test]
fn moments_are_few_and_each_explains_several_clients() {
    assert_eq!(restarts(1, 4).moments.len(), 1);
    assert_eq!(restarts(4, 4).moments.len(), MAX_MOMENTS);
    assert_eq!(restarts(5, 4).moments.len(), MAX_MOMENTS);
    assert_eq!(restarts(3, 1).moments.len(), 1, "a moment for every refusal is none");
    // Three refusals for each moment, on average.
    assert_eq!(restarts(2, 3).moments.len(), 2);
    assert_eq!(restarts(2, 2).moments.len(), 1);
}

#[test]
fn several_moments_are_found_wherever_sessions_live_up_to_some_age() {
    // Clients come back in groups: to sessions that are young, and to ones that are old.
    let shadow = |refused: &[u32]| {
        let mut sketch = Sketch::default();
        for group in 1..=3 {
            for client in 0..4 {
                let at = 200 * group + client;
                let age = refused.get((at % 7) as usize).copied().unwrap_or(90);
                sketch.offer(at, client, (at - age, i64::from(age)), false, |_, entry| {
                    entry.idle = entry.age;
                });
                sketch.offer(at + 60, client, (at + 10, 50), true, |_, entry| entry.idle = entry.age);
            }
        }
        let (table, part) = sketch.done();
        let claim = lost_at_once(&ServiceContext::of(&table, &part, &[])).expect("moments");
        (claim.moments.len(), claim.shadow)
    };
    assert_eq!(shadow(&[]), (3, Some(Kind::TooOld)));
    // Two that are lost young may be lost for something else; three are not.
    assert_eq!(shadow(&[20]), (3, Some(Kind::TooOld)));
    assert_eq!(shadow(&[20, 30, 20, 40]), (3, None));
}

#[test]
fn a_renewed_ticket_goes_on_with_the_age_of_its_session() {
    // Each client renews its ticket after ten seconds and offers the new one after twenty; or after forty, which is too late.
    let shadow = |mechanism: Mechanism| {
        let mut sketch = Sketch::default();
        for client in 0..8 {
            let (begin, late) = (10 * client, client >= 4);
            let issue = sketch.silent(begin, client, |_| ());
            let mut renewed = 0;
            sketch.offer(begin + 10, client, (2 * client, 10), true, |_, entry| {
                (entry.issue, entry.mechanism) = (place(issue), mechanism);
                renewed = entry.row;
            });
            let age = if late { 30 } else { 10 };
            sketch.offer(
                begin + 10 + age,
                client,
                (2 * client + 1, age.into()),
                !late,
                |_, entry| {
                    (entry.issue, entry.mechanism) = (place(renewed), mechanism);
                },
            );
        }
        let (table, part) = sketch.done();
        lost_at_once(&ServiceContext::of(&table, &part, &[])).map(|claim| claim.shadow)
    };
    assert_eq!(shadow(Mechanism::Ticket), Some(Some(Kind::TooOld)));
    // In TLS 1.3 the new one is a session of its own, and its age the rival itself.
    assert_eq!(shadow(Mechanism::Psk), Some(None));
}

#[test]
fn what_is_refused_without_a_takeover_as_well_proves_none() {
    let proven = |others: u32, accepted: u32| {
        let mut sketch = Sketch::default();
        let issue = sketch.silent(10, 1, |_| ());
        let before = [others, accepted].into_iter().zip([false, true]);
        let offers = before.flat_map(|(count, accepted)| (0..count).map(move |_| accepted));
        for (session, accepted) in (2..).zip(offers) {
            sketch.offer(25, 1, (session, 5), accepted, |_, entry| entry.previous = place(issue));
        }
        sketch.offer(50, 1, (1, 45), false, |_, entry| entry.previous = place(issue));
        let (table, part) = sketch.done();
        let claim = takeover(&ServiceContext::of(&table, &part, &[taken_over(30, true)])).expect("it stands");
        claim.proven.len()
    };
    assert_eq!(proven(0, 6), 1);
    assert_eq!(proven(2, 6), 0);
    // Too seldom to be what befell this one.
    assert_eq!(proven(1, 250), 1);
}

#[test]
fn a_span_reaches_back_to_the_issue_or_else_to_the_latest_use() {
    let span = |change: fn(&mut OfferedCredential)| {
        let mut sketch = Sketch::default();
        let number = sketch.offer(50, 1, (1, 30), false, |_, entry| {
            entry.idle = 10 * SECOND;
            change(entry);
        });
        let (table, part) = sketch.done();
        let ground = ServiceContext::of(&table, &part, &[]);
        let span = span(&ground, table.entry(number)?)?;
        Some((span.from.nanos() / SECOND, span.until.nanos() / SECOND))
    };
    assert_eq!(span(|_| ()), Some((20, 50)));
    assert_eq!(span(|entry| entry.age = UNKNOWN), Some((40, 50)));
    assert_eq!(span(|entry| (entry.age, entry.idle) = (UNKNOWN, UNKNOWN)), None);
    assert_eq!(span(|entry| entry.foreign = true), None);
}

#[test]
fn what_was_made_before_the_capture_was_there_before_any_takeover() {
    let told = |second, refused_before| {
        let unknown: fn(&mut OfferedCredential) = if refused_before {
            |entry| {
                (entry.age, entry.idle, entry.previous) = (UNKNOWN, UNKNOWN, place(u32::MAX));
                entry.refused_before = true;
            }
        } else {
            |entry| (entry.age, entry.idle, entry.previous) = (UNKNOWN, UNKNOWN, place(u32::MAX))
        };
        takeover_of(&[(second, false)], unknown).is_some()
    };
    assert!(told(30, true) && told(1, true));
    assert!(!told(50, true) && !told(60, true) && !told(30, false));
}

#[test]
fn a_takeover_that_rests_on_a_concluded_use_says_so() {
    let concluded = |change| takeover_of(&[(30, false)], change).map(|claim| claim.concluded);
    assert_eq!(concluded(|entry| entry.concluded = true), Some(true));
    assert_eq!(concluded(|_| ()), Some(false));
}

/// Four clients lose a session of the cache at second 30, four whose tickets are `stateful` or not do not.
fn restart_beside(stateful: bool) -> Option<Claim> {
    let mut sketch = Sketch::default();
    for client in 0..4 {
        sketch.offer(10 + client, client, (client, 5), true, |_, _| ());
        sketch.offer(40 + client, client, (client, 35), false, |_, _| ());
        sketch.offer(50 + client, client, (20 + client, 9), true, |_, _| ());
        sketch.offer(60 + client, 10 + client, (10 + client, 55), true, |_, entry| {
            (entry.stateful, entry.mechanism) = (stateful, Mechanism::Ticket);
        });
    }
    let (table, part) = sketch.done();
    lost_at_once(&ServiceContext::of(&table, &part, &[]))
}

#[test]
fn tickets_that_outlive_a_restart_refute_no_loss_of_the_cache() {
    let claim = restart_beside(false).expect("a moment");
    assert_eq!((claim.scope, claim.named.len()), (Scope::Cache, 4));
    assert!(claim.stands && claim.plausible);
    let units = claim.units();
    assert_eq!(
        (units.named_refused, units.other_accepted),
        (4, 8),
        "tickets are no units of it"
    );
    assert_eq!(claim.cuts, 2 * 11, "two scopes were tried");
    // Tickets that stand for sessions in the cache do refute it.
    assert!(restart_beside(true).is_none());
}

#[test]
fn a_cache_whose_newer_sessions_are_refused_too_lost_nothing_at_once() {
    let mut sketch = Sketch::default();
    for client in 0..4 {
        sketch.offer(40 + client, client, (client, 35), false, |_, _| ());
        sketch.offer(60 + 2 * client, client, (20 + client, 1), false, |_, _| ());
        for (ticket, age) in [(0, 65), (1, 1)] {
            let second = 70 + 2 * client;
            sketch.offer(
                second,
                10 + client,
                (40 + 10 * ticket + client, age),
                true,
                |_, entry| {
                    (entry.stateful, entry.mechanism) = (false, Mechanism::Ticket);
                },
            );
        }
    }
    let (table, part) = sketch.done();
    let claim = lost_at_once(&ServiceContext::of(&table, &part, &[])).expect("a moment");
    assert_eq!((claim.scope, claim.named.len()), (Scope::Cache, 4));
    // That newer tickets are honoured says nothing of the cache.
    assert!(!claim.plausible);
}

#[test]
fn tickets_under_a_key_that_is_at_work_afterwards_were_not_lost() {
    // Three tickets from before second 20 are refused after it; then one under their key is accepted, or under another one.
    let lost = |key: u32, second: u32, own_key: bool| {
        let mut sketch = Sketch::default();
        for client in 0..3_u32 {
            sketch.offer(30 + client, client, (client, 15), false, |_, entry| {
                (entry.key, entry.stateful, entry.mechanism) = (1, false, Mechanism::Ticket);
                entry.own_key = own_key;
            });
        }
        sketch.offer(second, 9, (9, 1), true, |_, entry| {
            (entry.key, entry.stateful, entry.mechanism) = (key, false, Mechanism::Ticket);
        });
        let (table, part) = sketch.done();
        lost_at_once(&ServiceContext::of(&table, &part, &[])).map(|claim| claim.named.len())
    };
    assert_eq!(lost(2, 60, false), Some(3));
    assert_eq!(lost(1, 60, false), None);
    // The old process of a reload goes on for a moment.
    assert_eq!(lost(1, 33, false), Some(2));
    // The one that refuses them has the key itself: its context may be another one since.
    assert_eq!(lost(1, 60, true), Some(3));
}

#[test]
fn a_key_at_work_for_another_name_of_the_server_is_at_work() {
    let lost = |key: u32| {
        let mut sketch = Sketch::default();
        for client in 0..3_u32 {
            sketch.offer(30 + client, client, (client, 15), false, |_, entry| {
                (entry.key, entry.stateful, entry.mechanism) = (1, false, Mechanism::Ticket);
            });
        }
        sketch.offer(60, 9, (9, 1), true, |_, _| ());
        sketch.elsewhere(61, |row| row.issues = key);
        let (table, part) = sketch.done();
        lost_at_once(&ServiceContext::of(&table, &part, &[])).is_some()
    };
    assert!(lost(2) && !lost(1));
}
