use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use super::*;
use reshake_core::net::Timestamp;
use reshake_core::net::span::SECOND;
use reshake_core::session::{ConnectionId, Mechanism};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_nanos(seconds * SECOND)
}

/// A visit of client `client` that begins at `second` and is over before the next one.
fn visit(client: u8, second: i64, brought: Brought) -> Visit {
    Visit {
        connection: ConnectionId(0),
        farm: 0,
        source: IpAddr::V4(Ipv4Addr::new(10, 0, 0, client)),
        opened: at(second),
        hello: at(second),
        closed: Timestamp::from_nanos(second * SECOND + SECOND / 2),
        brought,
        left_with: Some(Mechanism::SessionId),
        tls13: false,
        takes_tickets: true,
        reuses: false,
        id_follows_ticket: false,
        lifetime: None,
        tickets: [2, 1],
        had: if brought == Brought::Nothing {
            Had::Full
        } else {
            Had::Resumed
        },
        counted: true,
    }
}

/// One letter, one visit, one second; each client brings what its last visit left it with.
fn crowd(order: &str) -> Crowd {
    let mut visits: Vec<Visit> = Vec::new();
    for (second, client) in (0..).zip(order.bytes()) {
        let last = order.as_bytes()[..visits.len()]
            .iter()
            .rposition(|other| *other == client);
        visits.push(visit(client, second, last.map_or(Brought::Nothing, Brought::From)));
    }
    Crowd {
        visits,
        ..Crowd::default()
    }
}

impl Crowd {
    fn with(mut self, change: impl Fn(&mut Visit)) -> Self {
        self.visits.iter_mut().for_each(change);
        self
    }

    fn by_ticket(self) -> Self {
        self.with(|visit| visit.left_with = Some(Mechanism::Ticket))
    }

    fn in_tls13(self) -> Self {
        self.with(|visit| (visit.tls13, visit.left_with) = (true, Some(Mechanism::Psk)))
    }
}

fn plan(balance: Balance, share: Share) -> Plan {
    Plan {
        backends: 2,
        balance,
        share,
        timeout: None,
        key_rotation: None,
        seed: 1,
    }
}

/// What becomes of each visit: `R`esumed, `o`ther backend, too `a`ged, `k`ey gone, `r`efused, `n`othing left, `.` no
/// reconnect.
fn played(crowd: &Crowd, plan: Plan) -> String {
    replay(crowd, &plan, Luck::InOrder, false)
        .iter()
        .map(|played| match played.fate {
            Fate::Resumed => 'R',
            Fate::Full(FullCause::NoReconnect) => '.',
            Fate::Full(FullCause::OtherBackend) => 'o',
            Fate::Full(FullCause::TooOld) => 'a',
            Fate::Full(FullCause::KeyGone) => 'k',
            Fate::Full(FullCause::Refused) => 'r',
            Fate::Full(FullCause::NothingLeft) => 'n',
        })
        .collect()
}

fn round_robin(crowd: &Crowd, share: Share) -> String {
    played(crowd, plan(Balance::RoundRobin, share))
}

#[test]
fn in_turn_a_client_resumes_only_when_its_turn_comes_to_the_same_backend() {
    assert_eq!(round_robin(&crowd("aaaa"), Share::Nothing), ".ooo");
    assert_eq!(round_robin(&crowd("ababab"), Share::Nothing), "..RRRR");
    assert_eq!(round_robin(&crowd("aababba"), Share::Nothing), ".o.RRoo");
}

#[test]
fn a_refused_client_comes_back_with_what_the_refusing_backend_gave_it() {
    // The second visit of a meets backend 1 and leaves with its session, which the fourth turn honours.
    assert_eq!(round_robin(&crowd("aaba"), Share::Nothing), ".o.R");
}

#[test]
fn by_address_a_client_stays_with_its_backend() {
    let crowd = crowd("abcdabcdaabbccdd");
    for seed in 0..20 {
        let plan = Plan {
            seed,
            ..plan(Balance::SourceHash, Share::Nothing)
        };
        assert_eq!(played(&crowd, plan), "....RRRRRRRRRRRR");
    }
}

#[test]
fn by_address_a_client_that_moves_may_lose_its_session() {
    let mut crowd = crowd("aa");
    crowd.visits[1].source = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let lost = (0..100).filter(|seed| {
        let plan = Plan {
            seed: *seed,
            ..plan(Balance::SourceHash, Share::Nothing)
        };
        played(&crowd, plan) == ".o"
    });
    assert!((30..70).contains(&lost.count()));
}

#[test]
fn by_load_a_second_connection_goes_to_the_idle_backend() {
    // The first one stays open: whoever comes then meets the other machine.
    let mut open = crowd("aba");
    open.visits[0].closed = at(60);
    let by_load = plan(Balance::LeastConnections, Share::Nothing);
    let places: Vec<u16> = replay(&open, &by_load, Luck::InOrder, false)
        .iter()
        .map(|played| played.backend)
        .collect();
    assert_eq!(places, [0, 1, 1]);
    assert_eq!(played(&open, by_load), "..o");
}

#[test]
fn by_load_connections_that_are_over_do_not_count() {
    assert_eq!(
        played(&crowd("abab"), plan(Balance::LeastConnections, Share::Nothing)),
        "..RR"
    );
}

#[test]
fn a_session_id_leads_back_to_the_backend_that_issued_it() {
    assert_eq!(
        played(&crowd("aaabab"), plan(Balance::SessionId, Share::Nothing)),
        ".RR.RR"
    );
}

#[test]
fn no_session_id_leads_a_client_of_tls13() {
    let crowd = crowd("aaaa").in_tls13();
    let plan = plan(Balance::SessionId, Share::Nothing);
    assert_eq!(played(&crowd, plan), ".ooo");
    assert!(
        replay(&crowd, &plan, Luck::InOrder, false)
            .iter()
            .all(|played| !played.led)
    );
}

#[test]
fn an_id_made_up_beside_a_ticket_leads_nowhere_unless_it_is_made_of_the_ticket() {
    let by_id = plan(Balance::SessionId, Share::Nothing);
    assert_eq!(played(&crowd("aabaaa").by_ticket(), by_id), ".o.Roo");
    let made_of_it = crowd("aabaaa").by_ticket().with(|visit| visit.id_follows_ticket = true);
    // Known from the first acceptance on.
    assert_eq!(played(&made_of_it, by_id), ".o.RRR");
}

#[test]
fn with_a_shared_cache_every_backend_knows_every_session() {
    for balance in Balance::ALL {
        for crowd in [
            crowd("aabbaab"),
            crowd("aabbaab").by_ticket(),
            crowd("aabbaab").in_tls13(),
        ] {
            assert_eq!(played(&crowd, plan(balance, Share::Cache)), ".R.RRRR", "{balance:?}");
        }
    }
}

#[test]
fn with_shared_keys_tickets_are_known_everywhere_and_ids_are_not() {
    let mut crowd = crowd("aaaabbb");
    crowd.visits[4..]
        .iter_mut()
        .for_each(|visit| visit.takes_tickets = false);
    assert_eq!(round_robin(&crowd, Share::Tickets), ".RRR.oo");
}

#[test]
fn one_backend_knows_everything_it_gave() {
    for balance in Balance::ALL {
        let one = Plan {
            backends: 1,
            ..plan(balance, Share::Nothing)
        };
        assert_eq!(played(&crowd("abcabc"), one), "...RRR");
    }
}

#[test]
fn services_have_farms_of_their_own() {
    let mut crowd = crowd("ababab");
    // What stands behind one address takes no turns at another.
    for visit in crowd
        .visits
        .iter_mut()
        .filter(|visit| visit.source == IpAddr::V4(Ipv4Addr::new(10, 0, 0, b'b')))
    {
        visit.farm = 1;
    }
    assert_eq!(round_robin(&crowd, Share::Nothing), "..oooo");
}

#[test]
fn a_session_ends_at_its_timeout_and_a_full_handshake_begins_a_new_one() {
    let timeout = |crowd: &Crowd| {
        let plan = Plan {
            timeout: Some(2),
            ..plan(Balance::RoundRobin, Share::Cache)
        };
        played(crowd, plan)
    };
    assert_eq!(timeout(&crowd("aaaaaaa")), ".RRaRRa");
    // In TLS 1.3 each resumption gives a ticket of its own age.
    assert_eq!(timeout(&crowd("aaaaaaa").in_tls13()), ".RRRRRR");
}

#[test]
fn a_ticket_lives_as_long_as_promised_unless_a_timeout_is_asked_about() {
    let promised = crowd("aaaa").by_ticket().with(|visit| visit.lifetime = Some(1));
    assert_eq!(round_robin(&promised, Share::Tickets), ".RaR");
    let asked = Plan {
        timeout: Some(10),
        ..plan(Balance::RoundRobin, Share::Tickets)
    };
    assert_eq!(played(&promised, asked), ".RRR");
    assert_eq!(round_robin(&promised, Share::Cache), ".RRR");
}

#[test]
fn a_ticket_survives_one_change_of_keys_and_is_renewed_by_use() {
    let rotating = |crowd: &Crowd, share| {
        let plan = Plan {
            key_rotation: Some(10),
            ..plan(Balance::RoundRobin, share)
        };
        played(crowd, plan)
    };
    let mut visits = crowd("aaa").by_ticket();
    for (visit, second) in visits.visits.iter_mut().zip([0, 10, 20]) {
        visit.hello = at(second);
    }
    assert_eq!(rotating(&visits, Share::Tickets), ".RR");
    visits.visits[1].hello = at(1);
    visits.visits[2].hello = at(22);
    assert_eq!(rotating(&visits, Share::Tickets), ".Rk");
    assert_eq!(rotating(&visits, Share::Cache), ".RR");
}

#[test]
fn parallel_connections_use_up_the_tickets_that_a_resumption_gave() {
    let mut crowd = crowd("aaaaa").in_tls13();
    // The last three are opened at once and bring what the second left, which gave one ticket; the first gave two.
    for visit in &mut crowd.visits[2..] {
        visit.brought = Brought::From(1);
    }
    assert_eq!(round_robin(&crowd, Share::Tickets), ".RRRn");
    let reusing = crowd.with(|visit| visit.reuses = true);
    assert_eq!(round_robin(&reusing, Share::Tickets), ".RRRR");
}

#[test]
fn what_any_farm_refuses_stays_refused_and_what_the_farm_refused_is_decided_anew() {
    let refused = |refusal| {
        let mut crowd = crowd("aa");
        crowd.visits[1].had = Had::Refused(refusal);
        crowd
    };
    let one = Plan {
        backends: 1,
        ..plan(Balance::RoundRobin, Share::Nothing)
    };
    assert_eq!(played(&refused(Refusal::ByFarm), one), ".R");
    assert_eq!(played(&refused(Refusal::ByNature), one), ".r");
    assert_eq!(played(&refused(Refusal::BySettings), one), ".r");
    assert_eq!(round_robin(&refused(Refusal::BySettings), Share::Cache), ".R");
    assert_eq!(played(&refused(Refusal::ByAge), one), ".r");
    let timeout = Plan {
        timeout: Some(60),
        ..one
    };
    assert_eq!(played(&refused(Refusal::ByAge), timeout), ".R");
}

#[test]
fn refusals_without_a_cause_open_the_range_downwards() {
    let mut crowd = crowd("aaa");
    crowd.visits[2].had = Had::Refused(Refusal::Unexplained);
    crowd.census.unexplained = 1;
    let (expectation, _) = Expectation::of(&crowd, plan(Balance::RoundRobin, Share::Cache));
    assert_eq!((expectation.resumed, expectation.between), (2, (1, 2)));
}

#[test]
fn only_reconnects_that_are_asked_about_count() {
    let mut crowd = crowd("aabaab");
    crowd.visits[3].counted = false;
    crowd.visits[4].brought = Brought::Unknown;
    crowd.visits[5].had = Had::Undecided;
    let (expectation, played) = Expectation::of(&crowd, plan(Balance::RoundRobin, Share::Cache));
    assert_eq!((expectation.reconnects, expectation.resumed), (1, 1));
    assert_eq!(played.len(), 6);
}

#[test]
fn a_chance_that_the_order_of_the_capture_hides_shows_in_the_range() {
    // Strict alternation resumes every time, by luck.
    let order = "ab".repeat(40);
    let (expectation, _) = Expectation::of(&crowd(&order), plan(Balance::RoundRobin, Share::Nothing));
    assert_eq!(expectation.rate(), Some(1.0));
    assert!(
        expectation.rates().expect("a range").0 < 0.7,
        "{:?}",
        expectation.rates()
    );
}

#[test]
fn nobody_expects_anything_of_nobody() {
    for balance in Balance::ALL {
        let (expectation, _) = Expectation::of(&Crowd::default(), plan(balance, Share::Nothing));
        assert_eq!((expectation.rate(), expectation.busiest), (None, None));
    }
}

/// Crowds of up to TLS 1.2 and of TLS 1.3 whose clients may use a ticket again, in any tangle of who brings what.
fn any_crowd() -> impl Strategy<Value = Crowd> {
    let one = (0_u8..6, 0_i64..20, 0_usize..8, any::<[bool; 4]>(), 0_i64..30);
    prop::collection::vec(one, 1..60).prop_map(|drawn| {
        let mut visits: Vec<Visit> = Vec::new();
        let mut second = 0;
        for (client, pause, back, [ticket, takes, tls13, follows], open) in drawn {
            second += pause;
            let giver = visits.len().checked_sub(back).filter(|giver| *giver < visits.len());
            let mut one = visit(client, second, giver.map_or(Brought::Nothing, Brought::From));
            one.closed = at(second + open);
            one.takes_tickets = takes || ticket;
            one.left_with = Some(match (tls13, ticket) {
                (true, _) => Mechanism::Psk,
                (false, true) => Mechanism::Ticket,
                (false, false) => Mechanism::SessionId,
            });
            (one.tls13, one.reuses, one.id_follows_ticket) = (tls13, true, follows);
            visits.push(one);
        }
        Crowd {
            visits,
            ..Crowd::default()
        }
    })
}

fn any_plan() -> impl Strategy<Value = Plan> {
    let limits = (prop::option::of(1_u32..60), prop::option::of(1_u32..60));
    (1_u16..6, 0_usize..4, 0_usize..3, limits, any::<u64>()).prop_map(
        |(backends, balance, share, (timeout, key_rotation), seed)| Plan {
            backends,
            balance: Balance::ALL[balance],
            share: Share::ALL[share],
            timeout,
            key_rotation,
            seed,
        },
    )
}

proptest! {
    #[test]
    fn sharing_never_lowers_the_rate(crowd in any_crowd(), plan in any_plan()) {
        let plan = Plan { timeout: None, key_rotation: None, ..plan };
        let resumed = |share| Expectation::of(&crowd, Plan { share, ..plan }).0.resumed;
        let alone = resumed(Share::Nothing);
        prop_assert!(alone <= resumed(Share::Cache));
        prop_assert!(alone <= resumed(Share::Tickets));
    }

    #[test]
    fn one_backend_resumes_what_resumed_in_the_capture(crowd in any_crowd(), plan in any_plan()) {
        let plan = Plan { backends: 1, timeout: None, key_rotation: None, ..plan };
        let (expectation, _) = Expectation::of(&crowd, plan);
        prop_assert_eq!(expectation.resumed, expectation.reconnects);
    }

    #[test]
    fn the_same_seed_gives_the_same_answer(crowd in any_crowd(), plan in any_plan()) {
        let answer = || {
            let (expectation, played) = Expectation::of(&crowd, plan);
            (format!("{expectation:?}"), played)
        };
        prop_assert_eq!(answer(), answer());
    }

    #[test]
    fn the_answer_lies_within_its_range_and_nothing_is_lost(crowd in any_crowd(), plan in any_plan()) {
        let (expectation, played) = Expectation::of(&crowd, plan);
        let (low, high) = expectation.between;
        prop_assert!(low <= expectation.resumed && expectation.resumed <= high && high <= expectation.reconnects);
        prop_assert_eq!(expectation.resumed + expectation.full.iter().sum::<u64>(), expectation.reconnects);
        prop_assert!(played.iter().all(|played| played.backend < plan.backends));
    }
}
