//! Each explanation with what it explains and with a near miss that refutes it, over tables made by hand.

use super::*;
use crate::diagnosis::attempts::tests::{Sketch, place};
use crate::diagnosis::attempts::{ClosedBy, Row};
use crate::diagnosis::contest::hold;
use crate::diagnosis::{Confidence, contest::Standing};
use crate::session::Mechanism;

mod breaks;

impl Claim {
    /// One that stands and names these offers, with nothing else to it.
    pub(in crate::diagnosis) fn by_hand(kind: Kind, named: &[u32]) -> Self {
        Self {
            kind,
            named: named.to_vec(),
            proven: Vec::new(),
            stands: true,
            strata: Vec::new(),
            cuts: 1,
            concluded: false,
            trace: None,
            value: FittedValue::Nothing,
            moments: Vec::new(),
            scope: Scope::Service,
            plausible: true,
            shadow: None,
            shares_keys: false,
        }
    }
}

/// The claims that stand over a sketch, best first.
fn held(sketch: Sketch) -> Vec<Standing> {
    let (table, part) = sketch.done();
    hold(&ServiceContext::of(&table, &part, &[]))
}

fn level(standing: &[Standing], kind: Kind) -> Option<Confidence> {
    standing.iter().find(|it| it.claim.kind == kind).map(|it| it.confidence)
}

fn supported(standing: &[Standing]) -> Vec<Kind> {
    let told = standing.iter().filter(|it| it.supported);
    told.map(|it| it.claim.kind).collect()
}

type Change = fn(&mut Row, &mut OfferedCredential);

/// Twelve clients with a session each: the first six are accepted at two seconds, changed by `kept`, the others refused
/// at the same age, changed by `lost`.
fn six_and_six(kept: Change, lost: Change) -> Sketch {
    let mut sketch = Sketch::default();
    for client in 0..12 {
        let accepted = client % 2 == 0;
        sketch.offer(
            10 + client,
            client,
            (client, 2),
            accepted,
            if accepted { kept } else { lost },
        );
    }
    sketch
}

const NOTHING: Change = |_, _| ();

#[test]
fn other_machines_are_told_by_marks_and_refuted_by_one_session_that_crossed() {
    fn machines(sketch: &mut Sketch, accepted_elsewhere: bool) {
        let here = [1, 2].map(|machine| sketch.silent(1, 50 + u32::from(machine), |row| row.machine = machine));
        for client in 0..12_u32 {
            let accepted = client % 2 == 0;
            let crossed = accepted_elsewhere && client == 0;
            sketch.offer(10 + client, client, (client, 2), accepted, |row, entry| {
                row.machine = if accepted && !crossed { 1 } else { 2 };
                entry.previous = crate::diagnosis::attempts::tests::place(here[0]);
            });
        }
    }
    let mut apart = Sketch::default();
    machines(&mut apart, false);
    assert_eq!(level(&held(apart), Kind::OtherMachine), Some(Confidence::Inferred));
    let mut shared = Sketch::default();
    machines(&mut shared, true);
    assert_eq!(level(&held(shared), Kind::OtherMachine), None);
}

#[test]
fn a_close_explains_what_no_survivor_refutes() {
    for (closed, kind) in [
        (ClosedBy::ClientReset, Kind::ClientReset),
        (ClosedBy::ClientFin, Kind::ClientFin),
        (ClosedBy::Server, Kind::ServerClose),
        (ClosedBy::Alert, Kind::FatalAlert),
    ] {
        let all = |survivor: bool, stateful: bool| {
            let mut sketch = Sketch::default();
            for client in 0..12_u32 {
                let accepted = client % 2 == 0;
                let unclean = !accepted || (survivor && client == 0);
                sketch.offer(10 + client, client, (client, 2), accepted, |_, entry| {
                    entry.stateful = stateful;
                    entry.closed = if unclean { closed } else { ClosedBy::Cleanly };
                });
            }
            held(sketch)
        };
        assert_eq!(level(&all(false, true), kind), Some(Confidence::Inferred), "{kind:?}");
        assert_eq!(level(&all(true, true), kind), None, "{kind:?}");
        // No close reaches a self-contained ticket.
        assert_eq!(level(&all(false, false), kind), None, "{kind:?}");
    }
}

#[test]
fn a_hello_retry_and_a_name_are_told_by_the_hello() {
    let psk: Change = |_, entry| entry.mechanism = Mechanism::Psk;
    let retried: Change = |row, entry| {
        entry.mechanism = Mechanism::Psk;
        row.retried = true;
    };
    // Servers with other groups may answer in turn.
    assert_eq!(
        level(&held(six_and_six(psk, retried)), Kind::HelloRetry),
        Some(Confidence::Possible)
    );
    assert_eq!(level(&held(six_and_six(retried, retried)), Kind::HelloRetry), None);
    let named: Change = |_, entry| entry.other_name = true;
    assert_eq!(
        level(&held(six_and_six(NOTHING, named)), Kind::OtherName),
        Some(Confidence::Inferred)
    );
    assert_eq!(level(&held(six_and_six(named, named)), Kind::OtherName), None);
}

#[test]
fn a_session_that_is_accepted_under_its_own_name_proves_nothing_of_the_other() {
    let mut sketch = Sketch::default();
    sketch.offer(10, 1, (1, 2), false, |_, entry| {
        entry.other_name = true;
    });
    sketch.offer(11, 1, (1, 3), true, NOTHING);
    assert_eq!(level(&held(sketch), Kind::OtherName), Some(Confidence::Possible));
}

/// One reload at second 100; sessions are refused after it. `staggered` clients made theirs at other times.
fn reload(staggered: bool) -> Sketch {
    let mut sketch = Sketch::default();
    for client in 0..8_u32 {
        let made = if staggered { 10 * i64::from(client) } else { 60 };
        let offered = 80 + client;
        sketch.offer(offered, client, (client, i64::from(offered) - made), true, NOTHING);
    }
    for client in 0..8_u32 {
        let made = if staggered { 10 * i64::from(client) } else { 60 };
        let offered = 110 + client;
        sketch.offer(offered, client, (client, i64::from(offered) - made), false, NOTHING);
        // What is made since is honoured.
        sketch.offer(130 + client, client, (100 + client, 20), true, NOTHING);
    }
    sketch
}

#[test]
fn a_moment_beats_age_where_older_sessions_were_honoured() {
    let staggered = held(reload(true));
    assert_eq!(level(&staggered, Kind::LostAtOnce), Some(Confidence::Inferred));
    // All made together: age fits as well.
    let together = held(reload(false));
    assert_eq!(level(&together, Kind::LostAtOnce), Some(Confidence::Possible));
    assert_eq!(level(&together, Kind::TooOld), Some(Confidence::Possible));
    let first = &together[0];
    assert_eq!(first.claim.kind, Kind::LostAtOnce);
    assert!(first.rivals.contains(&Kind::TooOld));
}

#[test]
fn age_beats_a_moment_where_sessions_are_honoured_across_all_moments() {
    let mut sketch = Sketch::default();
    for client in 0..8_u32 {
        let second = 100 * client + 500;
        sketch.offer(second, client, (2 * client, 250), true, NOTHING);
        sketch.offer(second + 1, client, (2 * client + 1, 350), false, NOTHING);
        sketch.offer(second + 50, client, (2 * client, 290), true, NOTHING);
    }
    let standing = held(sketch);
    assert_eq!(level(&standing, Kind::TooOld), Some(Confidence::Inferred));
    let told = standing
        .iter()
        .find(|it| it.claim.kind == Kind::TooOld)
        .expect("it stands");
    assert!(told.claim.trace.is_some(), "300 s lies between");
    assert_eq!(told.claim.value, FittedValue::Age(290_000_000_000, 350_000_000_000));
}

#[test]
fn a_session_of_a_second_is_never_too_old() {
    let mut sketch = Sketch::default();
    for client in 0..6_u32 {
        sketch.offer(client, client, (client, 0), true, NOTHING);
        sketch.offer(client, client, (client + 10, 0), false, |_, entry| {
            entry.age = 900_000_000;
        });
    }
    assert_eq!(level(&held(sketch), Kind::TooOld), None);
}

#[test]
fn what_newer_sessions_pushed_out_is_never_more_than_possible() {
    let mut sketch = Sketch::default();
    for client in 0..12_u32 {
        let accepted = client % 2 == 0;
        sketch.offer(10 + client, client, (client, 2), accepted, |_, entry| {
            entry.newer = if accepted { 10 } else { 30 };
        });
    }
    let standing = held(sketch);
    assert_eq!(level(&standing, Kind::Evicted), Some(Confidence::Possible));
    assert_eq!(supported(&standing), [Kind::Evicted]);
}

#[test]
fn lifetimes_explain_until_one_is_outlived() {
    let over: Change = |_, entry| (entry.lifetime, entry.age) = (1, 5_000_000_000);
    let within: Change = |_, entry| (entry.lifetime, entry.age) = (60, 5_000_000_000);
    assert!(level(&held(six_and_six(within, over)), Kind::OverLifetime).is_some());
    assert_eq!(level(&held(six_and_six(over, over)), Kind::OverLifetime), None);
}

#[test]
fn single_use_falls_by_a_second_use() {
    let used: Change = |_, entry| {
        entry.accepted_before = 1;
        entry.mechanism = Mechanism::Psk;
    };
    let fresh: Change = |_, entry| entry.mechanism = Mechanism::Psk;
    assert!(level(&held(six_and_six(fresh, used)), Kind::SingleUse).is_some());
    assert_eq!(level(&held(six_and_six(used, used)), Kind::SingleUse), None);
}

#[test]
fn a_server_that_seals_under_the_key_of_the_ticket_it_refuses_has_the_key() {
    let mut sketch = Sketch::default();
    let refused = sketch.offer(10, 1, (1, 2), false, |_, entry| {
        (entry.stateful, entry.own_key) = (false, true);
    });
    let (table, _) = sketch.done();
    let entry = table.entry(refused).expect("an offer");
    assert_eq!(Kind::OtherStore.reason(entry), Some("session-context-mismatch"));
}

#[test]
fn refused_and_accepted_again_is_another_store() {
    let mut sketch = Sketch::default();
    for second in [10, 12, 14] {
        sketch.offer(second, 1, (1, 2), false, |_, entry| entry.accepted_later = true);
        sketch.offer(second + 1, 1, (1, 3), true, NOTHING);
    }
    let standing = held(sketch);
    let store = standing
        .iter()
        .find(|it| it.claim.kind == Kind::OtherStore)
        .expect("it stands");
    assert_eq!(
        (store.confidence, store.family),
        (Confidence::Possible, Confidence::Inferred)
    );
}

#[test]
fn nobody_honours_ids_until_one_is_honoured_and_numbers_say_how_sure() {
    let never_after = |count: u32, accepted: bool, folded: Folded| {
        let mut sketch = Sketch::default();
        let issue = place(sketch.silent(0, 0, |_| ()));
        for client in 0..count {
            sketch.offer(1 + client, client, (client, 2), accepted && client == 0, |_, entry| {
                entry.issue = issue;
            });
        }
        let (table, part) = sketch.done();
        let mut ground = ServiceContext::of(&table, &part, &[]);
        ground.folded = folded;
        level(&hold(&ground), Kind::NeverIds)
    };
    let never = |count, accepted| never_after(count, accepted, Folded::default());
    assert_eq!(never(39, false), Some(Confidence::Possible));
    assert_eq!(never(40, false), Some(Confidence::Inferred));
    assert_eq!(never(60, true), None);
    // Something may have resumed before, of which nothing else is known any more; or it did.
    let perhaps = Folded {
        perhaps_more: true,
        ..Folded::default()
    };
    assert_eq!(never_after(40, false, perhaps), Some(Confidence::Possible));
    let mut resumed = Folded::default();
    resumed.outcomes.resumed = 1;
    assert_eq!(never_after(40, false, resumed), None);
    // Where tickets resume, it may have been by tickets.
    let mut sketch = Sketch::default();
    for client in 0..4 {
        sketch.offer(client, client, (client, 2), client == 0, |_, entry| {
            entry.stateful = client > 0;
        });
    }
    let (table, part) = sketch.done();
    let mut ground = ServiceContext::of(&table, &part, &[]);
    ground.folded = resumed;
    assert_eq!(level(&hold(&ground), Kind::NeverIds), Some(Confidence::Possible));
}

#[test]
fn nobody_honours_ids_is_the_better_word_where_clean_ends_cost_sessions_too() {
    let first = |clean: u32| {
        let mut sketch = Sketch::default();
        for client in 0..8 {
            sketch.offer(client, client, (client, 2), false, |_, entry| {
                entry.closed = if client < clean {
                    ClosedBy::Cleanly
                } else {
                    ClosedBy::ClientReset
                };
            });
        }
        supported(&held(sketch)).first().copied()
    };
    assert_eq!(first(0), Some(Kind::ClientReset));
    assert_eq!(first(1), Some(Kind::ClientReset), "one may have had a cause of its own");
    assert_eq!(first(3), Some(Kind::NeverIds));
}

#[test]
fn one_refusal_without_a_trace_may_be_anything() {
    let mut sketch = Sketch::default();
    sketch.offer(10, 1, (1, 2), true, NOTHING);
    sketch.offer(20, 1, (1, 12), false, |_, entry| entry.accepted_before = 1);
    assert_eq!(supported(&held(sketch)), []);
}

#[test]
fn a_session_that_was_honoured_and_then_is_not_while_newer_ones_are_may_be_from_before_a_restart() {
    let then = |newer: bool, again: bool| {
        let mut sketch = Sketch::default();
        sketch.offer(10, 1, (1, 2), true, NOTHING);
        sketch.offer(20, 1, (1, 12), false, |_, entry| entry.accepted_before = 1);
        if newer {
            sketch.offer(30, 1, (2, 9), true, NOTHING);
        }
        if again {
            sketch.offer(40, 1, (1, 32), false, |_, entry| {
                (entry.accepted_before, entry.refused_before) = (1, true);
            });
        }
        supported(&held(sketch))
    };
    assert!(then(true, false).contains(&Kind::LostAtOnce));
    assert!(then(false, true).contains(&Kind::LostAtOnce));
    assert_eq!(then(false, false), []);
}

/// Clients that keep to one of two machines; the second one is restarted at second 100.
fn one_of_two_restarts(crosses: bool) -> Vec<Standing> {
    let mut sketch = Sketch::default();
    for client in 0..8_u32 {
        let machine = 1 + (client % 2) as u16;
        let issue = sketch.silent(50 + client, client, |row| row.machine = machine);
        for second in [80, 120, 140] {
            let lost = machine == 2 && second == 120;
            let (credential, made) = match (machine, second) {
                (2, 140) => (100 + client, 120),
                _ => (client, 50),
            };
            sketch.offer(
                second + client,
                client,
                (credential, i64::from(second) - made),
                !lost,
                |row, entry| {
                    row.machine = if crosses && second == 80 { 3 - machine } else { machine };
                    entry.previous = crate::diagnosis::attempts::tests::place(issue);
                },
            );
        }
    }
    held(sketch)
}

#[test]
fn one_machine_of_several_may_have_lost_its_sessions() {
    let standing = one_of_two_restarts(false);
    let lost = standing
        .iter()
        .find(|it| it.claim.kind == Kind::LostAtOnce && it.supported)
        .expect("it stands");
    assert_eq!(lost.claim.scope, Scope::Machine);
    assert_eq!(lost.claim.named.len(), 4);
    assert!(
        lost.claim.summary(true).contains("on one machine"),
        "{}",
        lost.claim.summary(true)
    );
}

/// Four clients that a server refuses after each of three restarts, and honours later; whether each of their connections comes
/// from another address.
fn three_restarts(moving: bool) -> Sketch {
    let mut sketch = Sketch::default();
    for restart in [100, 200, 300_u32] {
        for client in 0..4_u32 {
            let (old, new) = (restart + client, restart + 50 + client);
            let home = sketch.silent(restart + client - 30, client, |_| ());
            let moves = |row: &mut Row, entry: &mut OfferedCredential| {
                entry.previous = crate::diagnosis::attempts::tests::place(home);
                row.address += if moving { restart } else { 0 };
            };
            sketch.offer(restart + client, client, (old, 30), false, moves);
            sketch.offer(restart + 40 + client, client, (new, 20), true, NOTHING);
        }
    }
    sketch
}

#[test]
fn addresses_of_a_client_that_moves_are_not_so_many_clients() {
    let moments = |moving| {
        let standing = held(three_restarts(moving));
        let lost = standing.iter().find(|it| it.claim.kind == Kind::LostAtOnce);
        lost.map_or(0, |lost| lost.claim.moments.len())
    };
    assert_eq!((moments(false), moments(true)), (3, 1));
}

#[test]
fn each_of_several_restarts_is_told_with_the_sessions_that_it_cost() {
    let standing = held(three_restarts(false));
    let lost = standing
        .iter()
        .find(|it| it.claim.kind == Kind::LostAtOnce)
        .expect("it stands");
    assert_eq!(lost.claim.moments.len(), 3);
    assert_eq!(lost.claim.named.len(), 12);
    assert!(
        lost.claim
            .summary(true)
            .starts_with("12 sessions became worthless at 3 moments"),
        "{}",
        lost.claim.summary(true)
    );
    assert!(lost.claim.cause(true).starts_with("all sessions were lost 3 times"));
}

#[test]
fn a_session_with_two_holders_was_not_lost() {
    let mut sketch = Sketch::default();
    sketch.offer(10, 1, (1, 2), true, NOTHING);
    sketch.offer(20, 1, (1, 12), false, |_, entry| {
        (entry.accepted_before, entry.accepted_later) = (1, true);
    });
    sketch.offer(30, 1, (1, 22), true, NOTHING);
    for second in [40, 50] {
        sketch.offer(second, 1, (1, i64::from(second) - 8), false, |_, entry| {
            (entry.accepted_before, entry.refused_before) = (2, true);
        });
    }
    assert_eq!(supported(&held(sketch)), [Kind::OtherStore]);
}

#[test]
fn sessions_that_all_stop_together_may_have_been_lost_together() {
    let stopped = |one_goes_on: bool| {
        let mut sketch = Sketch::default();
        for client in 0..3_u32 {
            sketch.offer(10 + client, client, (client, 5), true, NOTHING);
            sketch.offer(20 + client, client, (client, 15), false, |_, entry| {
                entry.accepted_before = 1;
            });
        }
        if one_goes_on {
            sketch.offer(30, 9, (9, 29), true, NOTHING);
        }
        supported(&held(sketch)).contains(&Kind::LostAtOnce)
    };
    assert!(stopped(false));
    assert!(!stopped(true), "one from before is honoured after");
}

/// Twice, three tickets under one key are refused by a server that issues under the next one.
#[test]
fn a_key_that_changed_twice_is_told_rather_than_two_moments() {
    let mut sketch = Sketch::default();
    for restart in 0..2_u32 {
        let (begin, key) = (100 * restart, restart + 1);
        for client in 0..3_u32 {
            let ticket = 10 * restart + client;
            sketch.silent(begin + client, client, |row| row.issues = key);
            sketch.offer(begin + 20 + client, client, (ticket, 20), true, |_, entry| {
                (entry.key, entry.stateful, entry.mechanism) = (key, false, Mechanism::Ticket);
            });
            sketch.offer(begin + 30 + client, client, (ticket, 30), false, |row, entry| {
                (entry.key, entry.stateful, entry.mechanism) = (key, false, Mechanism::Ticket);
                entry.accepted_before = 1;
                row.issues = key + 1;
            });
        }
    }
    for client in 0..3_u32 {
        sketch.offer(200 + client, client, (20 + client, 40), true, |_, entry| {
            (entry.key, entry.stateful, entry.mechanism) = (3, false, Mechanism::Ticket);
        });
    }
    assert_eq!(level(&held(sketch), Kind::KeyChanged), Some(Confidence::Inferred));
}

#[test]
fn a_session_of_another_era_speaks_for_nothing_but_the_version() {
    let told = |version| {
        let mut sketch = Sketch::default();
        for client in 0..5_u32 {
            sketch.offer(10 + client, client, (client, 2), false, |row, entry| {
                (row.version, entry.other_version) = (version, true);
                entry.closed = ClosedBy::ClientReset;
            });
            sketch.offer(20 + client, client, (10 + client, 2), true, NOTHING);
        }
        held(sketch)
    };
    let kinds = |standing: &[Standing]| standing.iter().map(|it| it.claim.kind).collect::<Vec<_>>();
    assert_eq!(kinds(&told(0x0304)), [Kind::OtherVersion]);
    assert!(kinds(&told(0x0303)).contains(&Kind::ClientReset));
}

#[test]
fn concluded_values_support_and_neither_prove_nor_refute() {
    let fin: Change = |_, entry| {
        entry.closed = ClosedBy::ClientFin;
        entry.concluded = true;
    };
    let clean: Change = |_, entry| entry.concluded = true;
    assert_eq!(
        level(&held(six_and_six(clean, fin)), Kind::ClientFin),
        Some(Confidence::Possible)
    );
    assert_eq!(
        level(&held(six_and_six(fin, fin)), Kind::ClientFin),
        Some(Confidence::Possible)
    );
}

#[test]
fn one_credential_that_is_refused_again_and_again_is_one_unit() {
    let mut sketch = Sketch::default();
    for second in 0..5 {
        sketch.offer(10 + second, 1, (1, 2), false, |_, entry| {
            entry.closed = ClosedBy::ClientReset;
        });
        sketch.offer(20 + second, 2, (10 + second, 2), true, NOTHING);
    }
    let standing = held(sketch);
    let close = standing
        .iter()
        .find(|it| it.claim.kind == Kind::ClientReset)
        .expect("it stands");
    assert_eq!(close.claim.units().named_refused, 1);
    assert_eq!(close.confidence, Confidence::Possible);
}

#[test]
fn what_hello_and_credential_force_is_left_to_the_necessity() {
    let forced: Change = |_, entry| {
        entry.closed = ClosedBy::ClientReset;
        entry.necessity = Some(crate::diagnosis::attempts::Necessity::Cipher);
    };
    assert_eq!(level(&held(six_and_six(NOTHING, forced)), Kind::ClientReset), None);
}

/// Numbers that look random (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }
}

/// A service whose refusals have nothing to do with anything that stands in the table.
fn by_chance(random: &mut Random) -> Sketch {
    let mut sketch = Sketch::default();
    let holder = [1, 2].map(|machine| sketch.silent(0, 90 + u32::from(machine), |row| row.machine = machine));
    let (clients, offers) = (1 + random.next(8), 6 + random.next(40));
    let refusals = 1 + random.next(9);
    for number in 0..offers {
        let number = u32::try_from(number).expect("few");
        let client = u32::try_from(random.next(clients)).expect("few");
        let accepted = random.next(10) >= refusals;
        let age = i64::try_from(random.next(400)).expect("few");
        let [machine, holding, closed, retried, name, newer] = [0; 6].map(|_| random.next(5));
        sketch.offer(500 + 10 * number, client, (number, age), accepted, |row, entry| {
            row.machine = if machine < 2 { 1 } else { 2 };
            row.retried = retried == 0;
            entry.previous = crate::diagnosis::attempts::tests::place(holder[usize::from(holding < 2)]);
            entry.closed = match closed {
                0 => ClosedBy::ClientReset,
                1 => ClosedBy::ClientFin,
                2 => ClosedBy::Server,
                _ => ClosedBy::Cleanly,
            };
            entry.other_name = name == 0;
            entry.newer = u32::try_from(newer * 7 + random.next(7)).expect("few");
            if retried < 2 {
                entry.mechanism = Mechanism::Psk;
            }
        });
    }
    sketch
}

#[test]
fn of_ten_thousand_services_that_refuse_by_chance_at_most_one_in_a_hundred_is_told_a_law() {
    let mut random = Random(1);
    let services = 10_000;
    let told = (0..services).filter(|_| {
        let standing = held(by_chance(&mut random));
        // That nobody honours IDs is told by numbers, and such a service may come out by chance as well.
        standing.iter().any(|it| it.confidence > Confidence::Possible)
    });
    let told = told.count();
    assert!(told <= services / 100, "{told} of {services}");
}
