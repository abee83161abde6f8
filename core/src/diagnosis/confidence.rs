//! How sure a law can be: one exact count in closed form, and the moments that a set of spans leaves open.
//!
//! Units go in, a chance comes out. Nothing here knows what was counted; what may be counted is decided in
//! [`super::explanations`].

use crate::net::Timestamp;

/// A law is told as inferred up to this chance.
pub const BAR: f64 = 0.01;
/// And with so many units on each side: fewer are an anecdote, whatever the arithmetic says.
pub const UNITS: u64 = 3;

/// The logarithm of the gamma function (Lanczos, g = 7, nine terms): relative error below 1e-13 for what is asked here.
#[must_use]
pub fn ln_gamma(x: f64) -> f64 {
    const FIRST: f64 = 0.999_999_999_999_809_9;
    const TERMS: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    let x = x - 1.0;
    let mut sum = FIRST;
    let mut place = x;
    for term in TERMS {
        place += 1.0;
        sum += term / place;
    }
    let t = x + 7.5;
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

/// A chance to nine digits. Those behind come from the logarithms of the machine's C library, and what is concluded must
/// not depend on the machine.
#[must_use]
pub fn to_nine_digits(chance: f64) -> f64 {
    format!("{chance:.8e}").parse().unwrap_or(chance)
}

/// The logarithm of n over k; minus infinity where nothing can be chosen.
#[must_use]
pub fn ln_choose(n: u64, k: u64) -> f64 {
    if k > n {
        return f64::NEG_INFINITY;
    }
    if k == 0 || k == n {
        return 0.0;
    }
    #[allow(clippy::cast_precision_loss)] // counts of units: far below 2^52
    let [n, k] = [n, k].map(|count| count as f64);
    ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0)
}

/// Units that are alike in all that an explanation does not look at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stratum {
    /// Refused, and the law names them.
    pub named_refused: u64,
    /// Accepted although the law names them: it is contradicted.
    pub named_accepted: u64,
    /// Refused, and the law leaves them to other causes.
    pub other_refused: u64,
    /// Accepted, as the law has it.
    pub other_accepted: u64,
}

impl Stratum {
    const fn units(&self) -> u64 {
        self.refused() + self.named_accepted + self.other_accepted
    }

    const fn refused(&self) -> u64 {
        self.named_refused + self.other_refused
    }

    const fn named(&self) -> u64 {
        self.named_refused + self.named_accepted
    }
}

/// The chance that all that the law names were refused although it has nothing to do with it: C(r,k) / C(n,k), multiplied
/// over the strata; as a logarithm.
#[must_use]
pub fn ln_chance(strata: &[Stratum]) -> f64 {
    let each = strata.iter();
    each.map(|it| ln_choose(it.refused(), it.named()) - ln_choose(it.units(), it.named()))
        .sum()
}

/// The least chance that these margins could have come to, whatever was refused. Where the law names more than were
/// refused at all, that is all refusals among the named.
#[must_use]
pub fn ln_least(strata: &[Stratum]) -> f64 {
    let least = |it: &Stratum| {
        let (named, refused) = (it.named(), it.refused());
        ln_choose(named.max(refused), named.min(refused)) - ln_choose(it.units(), named.min(refused))
    };
    strata.iter().map(least).sum()
}

/// How many of the explanations tried could have reached the bar at all (Tarone 1990): only these count as trials. Takes
/// the least chance of each, cuts included.
#[must_use]
pub fn trials(least: &[f64]) -> u64 {
    let mut least = least.to_vec();
    least.sort_unstable_by(f64::total_cmp);
    let mut trials = 1_u64;
    for number in 1..=least.len() as u64 {
        #[allow(clippy::cast_precision_loss)] // a few dozen explanations
        let share = BAR.ln() - (number as f64).ln();
        let could = least.partition_point(|least| *least <= share) as u64;
        trials = number;
        if could <= number {
            break;
        }
    }
    trials
}

/// From the issue of a session to an offer of it: what happened in between may have cost the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// When it was issued, or at the earliest.
    pub from: Timestamp,
    /// When it was offered.
    pub until: Timestamp,
}

/// The moment that lies in the most refused spans and in no accepted one: an interval, and how many it explains. One
/// sweep over the ends of all spans; the latest of several equally good ones, as sessions made since are the test.
#[must_use]
pub fn moment(refused: &[Span], accepted: &[Span]) -> Option<(Span, usize)> {
    // What ends goes before what begins: a span holds its beginning and not its end.
    let mut events: Vec<(Timestamp, bool, bool)> = Vec::with_capacity(2 * (refused.len() + accepted.len()));
    for (spans, is_refused) in [(refused, true), (accepted, false)] {
        for span in spans.iter().filter(|span| span.from < span.until) {
            events.push((span.from, true, is_refused));
            events.push((span.until, false, is_refused));
        }
    }
    events.sort_unstable();
    let (mut open_refused, mut open_accepted) = (0_usize, 0_usize);
    let mut best: Option<(Span, usize)> = None;
    for (place, (time, begins, is_refused)) in events.iter().enumerate() {
        let open = if *is_refused {
            &mut open_refused
        } else {
            &mut open_accepted
        };
        *open = if *begins { *open + 1 } else { open.saturating_sub(1) };
        let Some((next, ..)) = events.get(place + 1) else { break };
        let better = best.is_none_or(|(_, explained)| open_refused >= explained);
        if open_accepted == 0 && open_refused > 0 && next > time && better {
            let span = Span {
                from: *time,
                until: *next,
            };
            best = Some((span, open_refused));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(n: u64, k: u64) -> f64 {
        ln_choose(n, k).exp()
    }

    #[test]
    fn binomials_are_exact_where_they_can_be_checked() {
        for (n, k, expected) in [
            (5, 2, 10.0),
            (11, 5, 462.0),
            (18, 6, 18_564.0),
            (9, 9, 1.0),
            (9, 0, 1.0),
        ] {
            assert!((choose(n, k) / expected - 1.0).abs() < 1e-10, "{n} over {k}");
        }
        assert!(choose(2, 3) < f64::MIN_POSITIVE);
        assert!(ln_choose(1_000_000, 500_000).is_finite());
    }

    #[test]
    fn the_last_digits_of_a_chance_are_not_told() {
        for chance in [0.749_999_999_999_998_4, 0.749_999_999_999_998_6, 0.750_000_000_000_001] {
            assert_eq!(to_nine_digits(chance).to_bits(), 0.75_f64.to_bits());
        }
        for chance in [0.0, 1.0, 1.234_567_89e-300] {
            assert_eq!(to_nine_digits(chance).to_bits(), chance.to_bits());
        }
    }

    fn all_explained(refused: u64, accepted: u64) -> f64 {
        let stratum = Stratum {
            named_refused: refused,
            other_accepted: accepted,
            ..Stratum::default()
        };
        ln_chance(&[stratum]).exp()
    }

    #[test]
    fn the_chance_is_that_of_the_table_in_the_design() {
        for (refused, accepted, expected) in [
            (3, 3, 0.05),
            (4, 4, 0.0143),
            (3, 7, 0.0083),
            (4, 5, 0.0079),
            (5, 5, 0.0040),
            (5, 6, 0.0022),
            (4, 8, 0.0020),
        ] {
            assert!(
                (all_explained(refused, accepted) - expected).abs() < 1e-4,
                "{refused}/{accepted}"
            );
        }
        assert!((17.0 * 3.0 * all_explained(6, 12) - 0.00275).abs() < 1e-4);
    }

    #[test]
    fn refusals_that_the_law_leaves_out_make_it_less_sure() {
        let stratum = |other_refused| Stratum {
            named_refused: 4,
            other_refused,
            other_accepted: 8,
            ..Stratum::default()
        };
        // C(8,4) / C(16,4)
        assert!((ln_chance(&[stratum(4)]).exp() - 70.0 / 1820.0).abs() < 1e-9);
        assert!(ln_chance(&[stratum(0)]) < ln_chance(&[stratum(4)]));
    }

    #[test]
    fn what_never_varies_within_a_stratum_earns_nothing() {
        let first = Stratum {
            named_refused: 9,
            ..Stratum::default()
        };
        let second = Stratum {
            other_accepted: 9,
            ..Stratum::default()
        };
        assert!((ln_chance(&[first, second])).abs() < 1e-12);
        assert!(all_explained(9, 9) < 1e-4);
    }

    #[test]
    fn only_explanations_that_could_have_reached_the_bar_are_trials() {
        let hopeless = 0.5_f64.ln();
        let telling = 1e-9_f64.ln();
        assert_eq!(trials(&[hopeless; 20]), 1);
        assert_eq!(trials(&[hopeless, hopeless, telling]), 1);
        assert_eq!(trials(&[telling, telling, telling, hopeless]), 3);
        assert_eq!(trials(&[]), 1);
        // 0.004 would do for two trials and not for three.
        assert_eq!(trials(&[0.004_f64.ln(); 3]), 3);
    }

    fn span(from: i64, until: i64) -> Span {
        Span {
            from: Timestamp::from_nanos(from),
            until: Timestamp::from_nanos(until),
        }
    }

    #[test]
    fn a_moment_lies_in_all_refused_spans_and_in_no_accepted_one() {
        let refused = [span(0, 10), span(2, 12), span(4, 11)];
        assert_eq!(moment(&refused, &[]), Some((span(4, 10), 3)));
        assert_eq!(moment(&refused, &[span(1, 6)]), Some((span(6, 10), 3)));
        // Honoured all the time: nothing was lost.
        assert_eq!(moment(&refused, &[span(0, 12)]), None);
        // A span holds its beginning and not its end.
        assert_eq!(moment(&[span(0, 5)], &[span(0, 5)]), None);
        assert_eq!(moment(&[span(0, 5), span(5, 9)], &[]).map(|(_, count)| count), Some(1));
        assert_eq!(moment(&[], &[span(0, 1)]), None);
    }

    #[test]
    fn of_refusals_that_no_moment_joins_the_most_are_explained() {
        let refused = [span(0, 3), span(10, 14), span(11, 15), span(12, 16)];
        assert_eq!(moment(&refused, &[]), Some((span(12, 14), 3)));
    }

    #[test]
    fn the_best_moment_is_the_latest_of_those_that_explain_the_most() {
        let mut state = 1_u64;
        let mut next = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            i64::try_from((state >> 33) % below).expect("small")
        };
        for _ in 0..3000 {
            let mut spans = |most: u64| -> Vec<Span> {
                let count = next(most);
                (0..count).map(|_| span(next(8), next(8))).collect()
            };
            let (refused, accepted) = (spans(5), spans(3));
            // One by one over all units of time; what ends where it begins, or before, is no span.
            let over = |spans: &[Span], unit: i64| {
                let within = |it: &&Span| it.from.nanos() <= unit && unit < it.until.nanos();
                spans.iter().filter(within).count()
            };
            let explains = |unit: &i64| {
                (over(&accepted, *unit) == 0)
                    .then(|| over(&refused, *unit))
                    .filter(|it| *it > 0)
            };
            let best = (0..8).filter_map(|unit| Some((explains(&unit)?, unit))).max();
            let found = moment(&refused, &accepted);
            assert_eq!(
                found.map(|(_, count)| count),
                best.map(|(count, _)| count),
                "{refused:?} {accepted:?}"
            );
            if let (Some((found, _)), Some((_, unit))) = (found, best) {
                assert!(
                    found.from.nanos() <= unit && unit < found.until.nanos(),
                    "{refused:?} {accepted:?}"
                );
            }
        }
    }
}
