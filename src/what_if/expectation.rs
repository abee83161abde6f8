//! What to expect of a plan: replays, counted.

use hashbrown::HashMap;

use super::crowd::{Crowd, Visit};
use super::luck::Luck;
use super::plan::Plan;
use super::replay::{Fate, FullCause, Played, replay};

/// Replays in which chance decides what the plan leaves open, beside the one in the order of the capture.
const CHANCES: u64 = 8;

/// What to expect of a plan. Counts are of the reconnects that were asked about.
#[derive(Debug, Clone)]
pub struct Expectation {
    /// The plan.
    pub plan: Plan,
    /// Reconnects.
    pub reconnects: u64,
    /// How many of them would resume.
    pub resumed: u64,
    /// The others, by what stands in the way, in the order of [`FullCause::ALL`].
    pub full: [u64; FullCause::ALL.len()],
    /// Lowest and highest number that would resume, when turns, hashes and moments fall otherwise, and when refusals
    /// that the capture does not explain come from every backend.
    pub between: (u64, u64),
    /// Reconnects that a session ID led to its backend.
    pub led: u64,
    /// Share of the busiest backend in the connections of its farm, in the farm with the most; `None` without any.
    pub busiest: Option<f64>,
}

impl Expectation {
    /// Of one plan; with it what became of every connection of the crowd, in its order.
    #[must_use]
    pub fn of(crowd: &Crowd, plan: Plan) -> (Self, Vec<Played>) {
        let played = replay(crowd, &plan, Luck::InOrder, false);
        let (mut full, mut led, mut reconnects) = ([0; FullCause::ALL.len()], 0, 0);
        for (_, played) in counted(crowd, &played) {
            reconnects += 1;
            led += u64::from(played.led);
            if let Fate::Full(why) = played.fate
                && let Some(count) = full.get_mut(why as usize)
            {
                *count += 1;
            }
        }
        let resumed = resumed(crowd, &played);
        let expectation = Self {
            plan,
            reconnects,
            resumed,
            full,
            between: range(crowd, &plan, resumed),
            led,
            busiest: busiest(crowd, &played),
        };
        (expectation, played)
    }

    /// Share of the reconnects that would resume.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        share(self.resumed, self.reconnects)
    }

    /// Lowest and highest share.
    #[must_use]
    pub fn rates(&self) -> Option<(f64, f64)> {
        let (low, high) = self.between;
        Some((share(low, self.reconnects)?, share(high, self.reconnects)?))
    }
}

/// Part of a whole; `None` of nothing.
#[allow(clippy::cast_precision_loss)] // counts of connections stay far below 2^53
#[must_use]
pub(super) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The reconnects that were asked about.
fn counted<'a>(crowd: &'a Crowd, played: &'a [Played]) -> impl Iterator<Item = (&'a Visit, &'a Played)> {
    let all = crowd.visits.iter().zip(played);
    all.filter(|(visit, _)| visit.counted && visit.is_reconnect())
}

fn resumed(crowd: &Crowd, played: &[Played]) -> u64 {
    let resumed = counted(crowd, played).filter(|(_, played)| played.fate == Fate::Resumed);
    resumed.count() as u64
}

fn range(crowd: &Crowd, plan: &Plan, in_order: u64) -> (u64, u64) {
    let chances = (1..=CHANCES).map(|way| (Luck::AtRandom(way), false));
    // Refusals that nothing explains may be those of every server.
    let met_again = (crowd.census.unexplained > 0).then_some((Luck::InOrder, true));
    chances
        .chain(met_again)
        .map(|(luck, unexplained)| resumed(crowd, &replay(crowd, plan, luck, unexplained)))
        .fold((in_order, in_order), |(low, high), now| (low.min(now), high.max(now)))
}

fn busiest(crowd: &Crowd, played: &[Played]) -> Option<f64> {
    let mut farms: HashMap<u32, HashMap<u16, u64>> = HashMap::new();
    for (visit, played) in crowd.visits.iter().zip(played) {
        *farms.entry(visit.farm).or_default().entry(played.backend).or_default() += 1;
    }
    let sums = farms.values().map(|backends| {
        (
            backends.values().sum::<u64>(),
            backends.values().max().copied().unwrap_or(0),
        )
    });
    let (all, most) = sums.max()?;
    share(most, all)
}
