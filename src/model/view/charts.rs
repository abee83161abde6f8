//! Figures for pictures: how much resumed over time, how long handshakes took, versions and mechanisms.
//!
//! One pass over the connections. Bars are as fine as the capture needs: a burst of 30 ms has its shape too.

use std::collections::BTreeMap;

use crate::model::{Outcomes, Report, cost, protocol_text};
use reshake_core::net::Timestamp;
use reshake_core::net::span::{DAY, SECOND};
use reshake_core::session::{Connection, Outcome};

/// Bars over the whole time at most.
const MAX_BARS: i64 = 48;
/// Bins of a decade of handshake times.
const BINS_PER_DECADE: i32 = 4;
/// Bins at most: from a microsecond to a thousand seconds.
const MAX_BINS: i32 = 9 * BINS_PER_DECADE;
/// Widths of bars below a second, in each decade.
const STEPS: [i64; 3] = [1, 2, 5];
/// Widths from a second on, as clocks have them.
const CLOCK: [i64; 16] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 10_800, 21_600, 43_200,
];

/// Everything that is drawn of a whole report.
#[derive(Debug, Clone, Default)]
pub struct Charts {
    /// Outcomes over time, by the first ClientHello; every bar of the time between the first and the last, empty ones too.
    pub bars: Vec<(Timestamp, Outcomes)>,
    /// Nanoseconds of one bar.
    pub bar: i64,
    /// Handshake times.
    pub times: HandshakeTimes,
    /// Outcomes by version, the oldest first.
    pub versions: Vec<(String, Outcomes)>,
    /// Resumed connections by what resumed them.
    pub mechanisms: Vec<(&'static str, u64)>,
}

/// How long handshakes took, resumed ones against full ones.
#[derive(Debug, Clone, Default)]
pub struct HandshakeTimes {
    /// Upper end of a bin in nanoseconds, and how many resumed and full handshakes fall into it. Bins grow by the same
    /// factor each.
    pub bins: Vec<(i64, [u64; 2])>,
    /// Median of the resumed and of the full ones.
    pub medians: [Option<i64>; 2],
    /// How many there are of each.
    pub counts: [usize; 2],
}

impl Charts {
    /// Of everything that a report shows.
    #[must_use]
    pub fn of(report: &Report<'_>) -> Self {
        let mut versions: BTreeMap<String, Outcomes> = BTreeMap::new();
        let mut mechanisms: BTreeMap<&'static str, u64> = BTreeMap::new();
        let mut nanos: [Vec<i64>; 2] = Default::default();
        for (.., connection) in report.connections() {
            let version = protocol_text(connection).unwrap_or_else(|| "not seen".to_owned());
            versions.entry(version).or_default().count(connection.outcome);
            if let Outcome::Resumed(Some(mechanism)) = connection.outcome {
                *mechanisms.entry(mechanism.code()).or_default() += 1;
            }
            if let (Some(kind), Some(time)) = (kind(connection), cost::of(connection).handshake)
                && let Some(times) = nanos.get_mut(kind)
            {
                times.push(time);
            }
        }
        let (bars, bar) = bars(report);
        Self {
            bars,
            bar,
            times: HandshakeTimes::of(nanos),
            versions: versions.into_iter().collect(),
            mechanisms: mechanisms.into_iter().collect(),
        }
    }
}

/// 0 for a resumed handshake, 1 for a full one.
const fn kind(connection: &Connection) -> Option<usize> {
    match connection.outcome {
        Outcome::Resumed(_) => Some(0),
        Outcome::Declined | Outcome::NotOffered => Some(1),
        Outcome::Failed | Outcome::Unclear(_) | Outcome::ExternalPsk => None,
    }
}

/// Outcomes by the first `ClientHello`, in bars as fine as the time is short, and the nanoseconds of one bar.
#[must_use]
pub fn bars(report: &Report<'_>) -> (Vec<(Timestamp, Outcomes)>, i64) {
    // Packets without a time stand at the epoch, where nothing happened.
    let begin = report.first_time().map_or(i64::MIN, Timestamp::nanos);
    let times = || {
        let all = report
            .connections()
            .map(|(.., connection)| connection.hello_time().nanos());
        all.filter(|nanos| *nanos >= begin)
    };
    let (Some(first), Some(last)) = (times().min(), times().max()) else {
        return (Vec::new(), 0);
    };
    let bar = width(last.saturating_sub(first));
    let start = first - first.rem_euclid(bar);
    let count = usize::try_from((last - start) / bar + 1).unwrap_or(0);
    let mut bars: Vec<(Timestamp, Outcomes)> = (0..count)
        .zip(0_i64..)
        .map(|(_, index)| (Timestamp::from_nanos(start + index * bar), Outcomes::default()))
        .collect();
    for (.., connection) in report.connections() {
        let nanos = connection.hello_time().nanos();
        let since = (nanos >= begin).then(|| nanos.saturating_sub(start) / bar);
        let place = since.and_then(|bars| usize::try_from(bars).ok());
        if let Some((_, outcomes)) = place.and_then(|place| bars.get_mut(place)) {
            outcomes.count(connection.outcome);
        }
    }
    (bars, bar)
}

/// The narrowest width that cuts a span into few enough bars, in nanoseconds: 1, 2 or 5 in its decade below a second,
/// whole minutes, hours and days above.
fn width(span: i64) -> i64 {
    let decades = (0..9).map(|power| 10_i64.pow(power));
    let below = decades.flat_map(|decade| STEPS.map(|step| decade * step));
    let above = CLOCK.into_iter().map(|seconds| seconds * SECOND);
    // One bar more than fit, since the first begins at a round moment.
    let fits = |width: &i64| span / width + 2 <= MAX_BARS;
    let days = || {
        let most = MAX_BARS - 2;
        span / (most * DAY) * DAY + DAY
    };
    below.chain(above).find(fits).unwrap_or_else(days)
}

impl HandshakeTimes {
    fn of(mut nanos: [Vec<i64>; 2]) -> Self {
        for times in &mut nanos {
            times.sort_unstable();
        }
        let all = || nanos.iter().flatten().copied();
        let (Some(least), Some(most)) = (all().min(), all().max()) else {
            return Self::default();
        };
        let (first, last) = (bin(least), bin(most));
        let mut bins: Vec<(i64, [u64; 2])> = (first..=last).map(|index| (upper_end(index), [0; 2])).collect();
        for (kind, times) in nanos.iter().enumerate() {
            for time in times {
                let place = usize::try_from(bin(*time) - first).ok();
                let counts = place.and_then(|place| bins.get_mut(place)).map(|(_, counts)| counts);
                if let Some(count) = counts.and_then(|counts| counts.get_mut(kind)) {
                    *count += 1;
                }
            }
        }
        Self {
            bins,
            medians: nanos.each_ref().map(|times| times.get(times.len() / 2).copied()),
            counts: nanos.each_ref().map(Vec::len),
        }
    }
}

/// The bin of a time; the first one also holds what is shorter than a microsecond.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // a place in a picture
fn bin(nanos: i64) -> i32 {
    let micros = (nanos.max(1) as f64 / 1e3).max(1.0);
    ((micros.log10() * f64::from(BINS_PER_DECADE)).floor() as i32).clamp(0, MAX_BINS)
}

#[allow(clippy::cast_possible_truncation)] // a place in a picture
fn upper_end(bin: i32) -> i64 {
    (1e3 * 10_f64.powf(f64::from(bin + 1) / f64::from(BINS_PER_DECADE))) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_fine_as_the_time_is_short() {
        assert_eq!(width(0), 1);
        assert_eq!(width(30_000_000), 1_000_000);
        assert_eq!(width(60_000_000_000), 2_000_000_000);
        assert_eq!(width(3_600_000_000_000), 120_000_000_000);
        for span in [1, 999, 47_000_000, 3_600_000_000_000, 734_400_000_000_000, i64::MAX / 2] {
            assert!(span / width(span) + 2 <= MAX_BARS, "{span}");
        }
    }

    #[test]
    fn handshake_times_fall_into_bins_that_grow() {
        let times = HandshakeTimes::of([vec![1_000_000, 1_100_000, 3_000_000], vec![2_000_000, 20_000_000]]);
        assert_eq!(times.counts, [3, 2]);
        assert_eq!(times.medians, [Some(1_100_000), Some(20_000_000)]);
        let sums = times.bins.iter().fold([0, 0], |[a, b], (_, [c, d])| [a + c, b + d]);
        assert_eq!(sums, [3, 2]);
        let ends: Vec<i64> = times.bins.iter().map(|(end, _)| *end).collect();
        assert!(ends.is_sorted() && ends.last() > Some(&20_000_000));
        assert!(HandshakeTimes::of(Default::default()).bins.is_empty());
    }
}
