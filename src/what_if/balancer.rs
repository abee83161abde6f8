//! Which backend a connection is sent to.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::IpAddr;

use hashbrown::HashMap;

use super::crowd::Visit;
use super::luck::{Dice, Luck, mix};
use super::plan::{Balance, Plan};
use reshake_core::net::Timestamp;

/// The balancers of all farms of a replay.
#[derive(Debug)]
pub(super) struct Balancers {
    plan: Plan,
    luck: Luck,
    dice: Dice,
    farms: HashMap<u32, Balancer>,
}

#[derive(Debug, Default)]
struct Balancer {
    /// Whose turn it is.
    turn: u16,
    /// Open connections of each backend.
    open: Vec<u32>,
    /// When they end.
    ends: BinaryHeap<Reverse<(Timestamp, u16)>>,
}

impl Balancers {
    pub(super) fn new(plan: Plan, luck: Luck) -> Self {
        let way = match luck {
            Luck::InOrder => 0,
            Luck::AtRandom(way) => way,
        };
        Self {
            plan,
            luck,
            dice: Dice::new(mix(plan.seed ^ mix(way))),
            farms: HashMap::new(),
        }
    }

    /// A number that is the same for all of one replay.
    pub(super) const fn draw(&mut self) -> u64 {
        self.dice.roll()
    }

    /// The backend of each visit, where its address, the turn or the load decide; visits in the order of the crowd.
    pub(super) fn place_all(&mut self, visits: &[Visit]) -> Vec<u16> {
        let mut order: Vec<usize> = (0..visits.len()).collect();
        let opened = |index: &usize| visits.get(*index).map(|visit| visit.opened);
        order.sort_by_key(|index| (opened(index), *index));
        let salt = self.draw();
        let mut places = vec![0; visits.len()];
        for index in order {
            let (Some(visit), Some(place)) = (visits.get(index), places.get_mut(index)) else {
                continue;
            };
            *place = match self.plan.balance {
                Balance::RoundRobin | Balance::SessionId => self.in_turn(visit.farm),
                Balance::LeastConnections => self.least_loaded(visit),
                Balance::SourceHash => by_address(visit.source, salt, self.plan.backends),
            };
        }
        places
    }

    /// The next one in turn.
    pub(super) fn in_turn(&mut self, farm: u32) -> u16 {
        let backends = self.plan.backends.max(1);
        match self.luck {
            Luck::AtRandom(_) => self.dice.below(backends),
            Luck::InOrder => {
                let balancer = self.farms.entry(farm).or_default();
                let place = balancer.turn;
                balancer.turn = (place + 1) % backends;
                place
            }
        }
    }

    /// The one with the fewest connections open when this one opens; in turn among equals.
    fn least_loaded(&mut self, visit: &Visit) -> u16 {
        let first = self.in_turn(visit.farm);
        let backends = self.plan.backends.max(1);
        let balancer = self.farms.entry(visit.farm).or_default();
        balancer.open.resize(usize::from(backends), 0);
        while let Some(Reverse((end, place))) = balancer.ends.peek().copied() {
            if end > visit.opened {
                break;
            }
            balancer.ends.pop();
            if let Some(open) = balancer.open.get_mut(usize::from(place)) {
                *open = open.saturating_sub(1);
            }
        }
        let load = |place: &u16| balancer.open.get(usize::from(*place)).copied();
        let from_first = (first..backends).chain(0..first);
        let place = from_first.min_by_key(load).unwrap_or(first);
        if let Some(open) = balancer.open.get_mut(usize::from(place)) {
            *open += 1;
        }
        balancer.ends.push(Reverse((visit.closed, place)));
        place
    }
}

fn by_address(source: IpAddr, salt: u64, backends: u16) -> u16 {
    let (high, low) = match source {
        IpAddr::V4(ip) => (0, u64::from(ip.to_bits())),
        IpAddr::V6(ip) => {
            let [high, low] = [ip.to_bits() >> 64, ip.to_bits()].map(|half| half & u128::from(u64::MAX));
            (u64::try_from(high).unwrap_or(0), u64::try_from(low).unwrap_or(0))
        }
    };
    let hash = mix(mix(high ^ salt) ^ low);
    u16::try_from(hash % u64::from(backends.max(1))).unwrap_or(0)
}
