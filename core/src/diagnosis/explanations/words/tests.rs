use super::super::Stratum;
use super::*;
use crate::diagnosis::attempts::tests::Sketch;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_nanos(seconds * SECOND)
}

fn with(kind: Kind, value: FittedValue) -> Claim {
    Claim {
        value,
        ..Claim::by_hand(kind, &[1, 2])
    }
}

fn counting(claim: Claim, [named_refused, named_accepted, other_refused, other_accepted]: [u64; 4]) -> Claim {
    let stratum = Stratum {
        named_refused,
        named_accepted,
        other_refused,
        other_accepted,
    };
    Claim {
        strata: vec![stratum],
        ..claim
    }
}

const PLAIN: Named = Named {
    stateful: false,
    opened: false,
    outdated: false,
};

#[test]
fn times_and_durations_are_told_as_people_read_them() {
    assert_eq!(clock(at(3_661)), "01:01:01");
    assert_eq!(clock(at(86_400 + 23 * 3_600 + 59 * 60 + 59)), "23:59:59");
    assert_eq!(clock(at(-1)), "23:59:59");
    assert_eq!(duration(SECOND - 1), "999 ms");
    assert_eq!(duration(SECOND), "1 s");
    assert_eq!(duration(90 * SECOND), "90 s");
}

#[test]
fn a_bound_is_never_told_narrower_than_what_was_seen() {
    let milliseconds = |count: i64| count * 1_000_000;
    // What was accepted is rounded down, what was refused up.
    for (nanos, accepted, refused) in [
        (milliseconds(500) + 1, "500 ms", "501 ms"),
        (milliseconds(999) + 1, "999 ms", "1 s"),
        (milliseconds(2_200), "2.2 s", "2.2 s"),
        (milliseconds(2_801), "2.8 s", "2.9 s"),
        (milliseconds(3_000), "3 s", "3 s"),
        (milliseconds(9_950), "9.9 s", "10 s"),
        (milliseconds(10_001), "10 s", "11 s"),
        (milliseconds(300_000), "300 s", "300 s"),
    ] {
        assert_eq!((duration(nanos).as_str(), no_less(nanos).as_str()), (accepted, refused));
    }
    let ages = FittedValue::Age(milliseconds(2_213), milliseconds(2_801));
    assert_eq!(
        with(Kind::TooOld, ages).cause(false),
        "sessions live less than 2.9 s here"
    );
    assert_eq!(
        with(Kind::TooIdle, ages).summary(false),
        "sessions resumed up to 2.2 s after their latest use and were refused from 2.9 s on"
    );
}

#[test]
fn what_was_refused_is_older_than_what_was_accepted_in_words_as_well() {
    assert_eq!(beyond(300_400_000_000, 300_100_000_000), "more than 300 s");
    assert_eq!(beyond(301_000_000_000, 300_100_000_000), "301 s");
    assert_eq!(beyond(2_801_000_000, 2_213_000_000), "2.8 s");
}

#[test]
fn what_named_offers_have_in_common_is_said_of_all_or_of_any() {
    let named = |changes: [(bool, bool, bool); 2]| {
        let mut sketch = Sketch::default();
        let numbers = changes.map(|(stateful, own_key, outdated)| {
            sketch.offer(10, 1, (1, 2), false, |_, entry| {
                (entry.stateful, entry.own_key, entry.outdated) = (stateful, own_key, outdated);
            })
        });
        let it = Named::by(&Claim::by_hand(Kind::OtherStore, &numbers), &sketch.done().0);
        (it.stateful, it.opened, it.outdated)
    };
    assert_eq!(named([(true, true, true), (true, true, true)]), (true, true, true));
    assert_eq!(named([(true, true, true), (false, false, false)]), (true, false, false));
    assert_eq!(named([(false, false, false); 2]), (false, false, false));
}

#[test]
fn who_opens_the_tickets_and_refuses_them_has_another_context() {
    let opened = Named { opened: true, ..PLAIN };
    for kind in [Kind::OtherMachine, Kind::OtherStore] {
        let claim = with(kind, FittedValue::Nothing);
        assert!(claim.cause_of(opened).ends_with("differ in certificate or context"));
        assert_eq!(claim.action_for(opened), CONTEXT);
        assert!(!claim.cause_of(PLAIN).contains("context"));
        assert_ne!(claim.action_for(PLAIN), CONTEXT);
        // Sessions are shared by a cache, tickets by their keys.
        assert!(claim.action(true).starts_with("share the session cache"));
        assert!(claim.action(false).starts_with("give all servers"));
    }
    let machine = with(Kind::OtherMachine, FittedValue::Nothing);
    assert!(machine.cause(true).ends_with("do not honour each other's sessions"));
    assert!(machine.cause(false).ends_with("do not open each other's tickets"));
}

#[test]
fn machines_that_share_a_key_and_refuse_are_not_told_to_share_their_keys() {
    let mut claim = with(Kind::OtherMachine, FittedValue::Nothing);
    claim.shares_keys = true;
    let cause = claim.cause_of(PLAIN);
    assert!(cause.ends_with("also those under a key that they share"), "{cause}");
    assert_eq!(claim.action_for(PLAIN), CONTEXT_AND_KEYS);
    // Where all of it is under such a key, nothing is left to share but the context.
    let opened = Named { opened: true, ..PLAIN };
    assert_eq!(claim.action_for(opened), CONTEXT);
    // A cache has no key.
    let kept = Named {
        stateful: true,
        ..PLAIN
    };
    assert!(claim.cause_of(kept).ends_with("do not honour each other's sessions"));
    assert!(claim.action_for(kept).starts_with("share the session cache"));
}

#[test]
fn a_key_that_changed_under_old_tickets_is_a_matter_for_clients() {
    let claim = with(Kind::KeyChanged, FittedValue::Nothing);
    let outdated = Named {
        outdated: true,
        ..PLAIN
    };
    assert_eq!(claim.cause_of(PLAIN), "the ticket key changed");
    assert!(
        claim
            .cause_of(outdated)
            .ends_with("tickets although they had been given newer ones")
    );
    assert!(claim.action_for(outdated).starts_with("have clients replace"));
    assert!(claim.action_for(PLAIN).starts_with("use a key file"));
}

#[test]
fn a_store_that_learnt_late_or_answered_late_is_told_so() {
    let late = with(Kind::OtherStore, FittedValue::Late(at(60)));
    let since = "; since 00:01:00 UTC the same sessions are honoured";
    assert!(late.cause_of(PLAIN).ends_with(since));
    assert!(
        late.cause_of(PLAIN)
            .starts_with("another server answered, or their own was without")
    );
    let proven = Claim {
        proven: vec![2],
        ..late.clone()
    };
    assert!(proven.cause_of(PLAIN).ends_with(since));
    assert!(proven.cause_of(PLAIN).starts_with("a server or process other than"));
    assert!(late.action_for(PLAIN).ends_with("a store came back then"));
    let slow = with(Kind::OtherStore, FittedValue::Slow);
    assert!(slow.cause_of(PLAIN).starts_with("their store did not answer in time"));
    assert!(
        slow.action_for(PLAIN)
            .starts_with("have the session store answer in time")
    );
    assert_eq!(slow.settle(), "the log of the session store at that time");
    assert_ne!(late.settle(), slow.settle());
}

#[test]
fn handshakes_of_other_clients_do_not_count_where_offers_break() {
    let unit = |named_refused, other_accepted| Stratum {
        named_refused,
        named_accepted: 0,
        other_refused: 0,
        other_accepted,
    };
    let claim = Claim {
        strata: vec![unit(6, 2), unit(0, 3)],
        ..with(Kind::OfferBreaks, FittedValue::Nothing)
    };
    assert_eq!(
        claim.summary(false),
        "6 handshakes with an offer broke; 2 of the same clients without one worked"
    );
}

#[test]
fn fitted_values_are_told() {
    let cause = |kind, value| with(kind, value).cause(false);
    assert_eq!(
        cause(Kind::TooOld, FittedValue::Age(SECOND, 5 * SECOND)),
        "sessions live less than 5 s here"
    );
    assert_eq!(
        cause(Kind::TooIdle, FittedValue::Age(SECOND, 5 * SECOND)),
        "sessions live less than 5 s without use here"
    );
    for value in [FittedValue::Newer(3, 9), FittedValue::NewerUnused(3, 9)] {
        assert_eq!(cause(Kind::Evicted, value), "the cache holds fewer than 10 sessions");
    }
    assert_eq!(cause(Kind::LostAtOnce, FittedValue::Nothing), "sessions are lost");
    let never = |in_tickets| cause(Kind::NeverIds, FittedValue::Never { in_tickets, servers: 0 });
    assert_eq!(never(true), "the server keeps no sessions behind its tickets");
    assert_eq!(never(false), "the server keeps no sessions behind its session IDs");
}

#[test]
fn moments_are_told_with_their_machines() {
    let lost = |moments: &[(i64, i64)], scope| {
        let (from, until) = moments[0];
        let claim = Claim {
            moments: moments.iter().map(|(from, until)| (at(*from), at(*until))).collect(),
            scope,
            ..with(Kind::LostAtOnce, FittedValue::Moment(at(from), at(until)))
        };
        let claim = counting(claim, [2, 0, 0, 1]);
        (claim.cause(false), claim.summary(false))
    };
    let (cause, summary) = lost(&[(10, 20)], Scope::Service);
    assert_eq!(cause, "all sessions from before about 00:00:20 UTC were lost");
    assert_eq!(
        summary,
        "between 00:00:10 and 00:00:20 UTC 2 sessions from before became worthless; \
         1 spanning no such moment was honoured"
    );
    let (cause, summary) = lost(&[(10, 20)], Scope::Machine);
    assert_eq!(
        cause,
        "one of the machines lost its sessions from before about 00:00:20 UTC"
    );
    assert!(summary.contains("became worthless on one machine; "));
    let (cause, summary) = lost(&[(30, 40), (10, 20)], Scope::Service);
    assert_eq!(cause, "all sessions were lost 2 times, first at about 00:00:20 UTC");
    assert_eq!(
        summary,
        "2 sessions became worthless at 2 moments (between 00:00:10 and 00:00:20, between 00:00:30 and 00:00:40 UTC); \
         1 spanning no such moment was honoured"
    );
    let (cause, _) = lost(&[(30, 40), (10, 20)], Scope::Machine);
    assert!(cause.starts_with("machines lost their sessions 2 times"));
    let (cause, summary) = lost(&[(10, 20)], Scope::Cache);
    assert_eq!(
        cause,
        "all sessions in the cache from before about 00:00:20 UTC were lost"
    );
    assert!(
        summary.contains("2 sessions from before became worthless in the cache;"),
        "{summary}"
    );
    let (cause, _) = lost(&[(10, 20), (30, 40)], Scope::Cache);
    assert!(
        cause.starts_with("all sessions in the cache were lost 2 times"),
        "{cause}"
    );
}

#[test]
fn summaries_count_what_speaks_for_a_cause() {
    let told = |kind, value, counts| counting(with(kind, value), counts).summary(false);
    let nothing = FittedValue::Nothing;
    assert_eq!(
        told(Kind::OtherMachine, nothing, [3, 1, 0, 5]),
        "on the same backend 5 resumed and 0 declined, on the other 1 resumed and 3 declined"
    );
    assert_eq!(
        told(Kind::OtherMachine, nothing, [3, 1, 2, 5]),
        "where the marks are those of the backend that issued, 5 resumed and 2 declined; \
         where they are others, 1 resumed and 3 declined"
    );
    assert!(told(Kind::OtherStore, nothing, [2, 0, 0, 5]).starts_with("2 offers were refused; servers in turn"));
    assert!(told(Kind::OtherStore, FittedValue::Slow, [2, 0, 0, 5]).contains("does not answer in time"));
    let ages = FittedValue::Age(SECOND, 5 * SECOND);
    assert_eq!(
        told(Kind::TooOld, ages, [2, 0, 0, 5]),
        "sessions resumed up to an age of 1 s and were refused from 5 s on"
    );
    assert_eq!(
        told(Kind::TooIdle, ages, [2, 0, 0, 5]),
        "sessions resumed up to 1 s after their latest use and were refused from 5 s on"
    );
    assert!(told(Kind::Evicted, FittedValue::Newer(3, 9), [2, 0, 0, 5]).ends_with("refused from 9 newer ones on"));
    let unused = told(Kind::Evicted, FittedValue::NewerUnused(3, 9), [2, 0, 0, 5]);
    assert!(unused.contains("up to 3 newer ones since their latest use"));
    assert_eq!(
        told(Kind::NeverTickets, nothing, [4, 0, 0, 0]),
        "the server issues tickets and refused all 4 that were offered again"
    );
    assert_eq!(
        told(Kind::OfferBreaks, nothing, [1, 0, 0, 5]),
        "1 handshake with an offer broke; 5 of the same clients without one worked"
    );
    assert_eq!(
        told(Kind::ClientReset, nothing, [1, 0, 0, 5]),
        "1 session offered after a reset by the client refused, none resumed; after a clean close 5 resumed"
    );
    assert_eq!(
        told(Kind::KeyChanged, nothing, [1, 0, 0, 5]),
        "1 session was refused: the ticket key changed; otherwise 5 resumed"
    );
    // Acceptances without a certificate are none that speak for it.
    let renewed = |kept| told(Kind::ContextRenewed, nothing, [2, 0, 0, kept]);
    assert!(renewed(0).ends_with("made older sessions worthless") && renewed(0).starts_with("2 sessions were refused"));
    assert!(renewed(3).ends_with("; otherwise 3 resumed"));
}

#[test]
fn a_store_that_is_proven_counts_its_proofs() {
    let told = |value| {
        let claim = Claim {
            proven: vec![2],
            ..with(Kind::OtherStore, value)
        };
        counting(claim, [2, 0, 0, 5]).summary(false)
    };
    assert_eq!(
        told(FittedValue::Nothing),
        "1 offer was refused of a session that was accepted again later: more than one store answers"
    );
    assert_eq!(
        told(FittedValue::Late(at(60))),
        "1 offer was refused of 2 sessions that were accepted again later, and none after 00:01:00 UTC: \
         more than one store answered, or one that learnt late"
    );
}

#[test]
fn servers_in_turn_that_are_excluded_are_named() {
    let told = |in_tickets, servers| {
        let value = FittedValue::Never { in_tickets, servers };
        counting(with(Kind::NeverIds, value), [9, 0, 0, 0]).summary(false)
    };
    assert!(told(false, 1).ends_with("that does not rule out several servers in turn"));
    assert!(told(false, 2).ends_with("that rules out up to 2 servers in turn, but no more than that"));
    assert!(told(false, 0).starts_with("the server issues session IDs and refused all 9"));
    assert!(told(true, 0).starts_with("the server issues tickets that stand for sessions in its cache"));
}
