//! A causal claim is tested on the capture itself: two groups, resumed or declined, counted and compared.

/// A two-by-two table with its significance.
#[derive(Debug, Clone, PartialEq)]
pub struct ContingencyTable {
    /// What the two rows are.
    pub rows: [&'static str; 2],
    /// Resumed and declined, row by row.
    pub counts: [[u64; 2]; 2],
    /// Fisher's exact test, two-sided, corrected by Holm for the number of contrasts tried on the service.
    pub p_value: f64,
}

/// Significance that a contrast must reach to carry a claim.
pub const SIGNIFICANT: f64 = 0.05;

impl ContingencyTable {
    /// Counts of two rows, not corrected yet.
    #[must_use]
    pub fn new(rows: [&'static str; 2], counts: [[u64; 2]; 2]) -> Self {
        Self {
            rows,
            counts,
            p_value: fisher(counts),
        }
    }

    /// Whether both rows have members: an empty one compares nothing, and its significance says nothing.
    #[must_use]
    pub fn compares(&self) -> bool {
        self.counts.iter().all(|row| row.iter().sum::<u64>() > 0)
    }

    /// Whether the first row resumes significantly more often than the second.
    #[must_use]
    pub fn first_resumes_more(&self) -> bool {
        let [[a, b], [c, d]] = self.counts;
        self.p_value < SIGNIFICANT && a * d > b * c
    }
}

/// Corrects the significance of contrasts that were tried together (Holm 1979).
pub fn holm(contrasts: &mut [ContingencyTable]) {
    contrasts.sort_by(|a, b| a.p_value.total_cmp(&b.p_value));
    let count = contrasts.len();
    let mut floor = 0.0_f64;
    for (index, contrast) in contrasts.iter_mut().enumerate() {
        #[allow(clippy::cast_precision_loss)] // a handful of contrasts
        let factor = (count - index) as f64;
        floor = floor.max((contrast.p_value * factor).min(1.0));
        contrast.p_value = floor;
    }
}

/// Counts beyond this are scaled down: the test is then far beyond any threshold, and factorials stay exact enough.
const LARGEST: u64 = 2_000;

/// Fisher's exact test, two-sided: the chance of a table at least as unlikely with the same margins.
#[must_use]
pub fn fisher(counts: [[u64; 2]; 2]) -> f64 {
    let largest = counts.iter().flatten().copied().max().unwrap_or(0).max(1);
    let scale = |count: u64| {
        if largest > LARGEST {
            count * LARGEST / largest
        } else {
            count
        }
    };
    let [[a, b], [c, d]] = counts.map(|row| row.map(scale));
    let (row, column, total) = (a + b, a + c, a + b + c + d);
    if total == 0 {
        return 1.0;
    }
    let logs = log_factorials(total);
    let log = |n: u64| {
        usize::try_from(n)
            .ok()
            .and_then(|n| logs.get(n))
            .copied()
            .unwrap_or(0.0)
    };
    let choose = |n: u64, k: u64| log(n) - log(k) - log(n - k);
    let chance = |a: u64| (choose(column, a) + choose(total - column, row - a) - choose(total, row)).exp();
    let observed = chance(a);
    let lowest = (row + column).saturating_sub(total);
    // A hair of slack keeps rounding from dropping the table itself.
    (lowest..=row.min(column))
        .map(chance)
        .filter(|p| *p <= observed * (1.0 + 1e-7))
        .sum::<f64>()
        .min(1.0)
}

fn log_factorials(up_to: u64) -> Vec<f64> {
    let mut sum = 0.0;
    std::iter::once(0.0)
        .chain((1..=up_to).map(|n| {
            #[allow(clippy::cast_precision_loss)] // at most a few thousand
            {
                sum += (n as f64).ln();
            }
            sum
        }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-4
    }

    #[test]
    fn the_lady_tasting_tea_is_not_significant() {
        assert!(close(fisher([[3, 1], [1, 3]]), 0.4857));
    }

    #[test]
    fn a_clean_split_of_twelve_is_significant() {
        assert!(close(fisher([[4, 0], [0, 8]]), 0.00202));
        assert!(ContingencyTable::new(["same", "other"], [[4, 0], [0, 8]]).first_resumes_more());
    }

    #[test]
    fn the_direction_matters() {
        assert!(!ContingencyTable::new(["same", "other"], [[0, 8], [4, 0]]).first_resumes_more());
    }

    #[test]
    fn holm_makes_the_smallest_pay_most_and_keeps_the_order() {
        let mut contrasts = vec![
            ContingencyTable {
                rows: ["a", "b"],
                counts: [[0, 0], [0, 0]],
                p_value: 0.04,
            },
            ContingencyTable {
                rows: ["a", "b"],
                counts: [[0, 0], [0, 0]],
                p_value: 0.01,
            },
        ];
        holm(&mut contrasts);
        assert!(close(contrasts[0].p_value, 0.02));
        assert!(close(contrasts[1].p_value, 0.04));
    }

    #[test]
    fn huge_and_empty_tables_are_answered() {
        assert!(fisher([[1_000_000, 0], [0, 1_000_000]]) < 1e-9);
        assert!(close(fisher([[0, 0], [0, 0]]), 1.0));
    }

    #[test]
    fn three_contrasts_pay_three_two_and_one_fold_and_never_less_than_the_one_before() {
        let corrected = |values: &[f64]| -> Vec<f64> {
            let make = |p_value: &f64| ContingencyTable {
                rows: ["a", "b"],
                counts: [[0, 0], [0, 0]],
                p_value: *p_value,
            };
            let mut contrasts: Vec<ContingencyTable> = values.iter().map(make).collect();
            holm(&mut contrasts);
            contrasts.iter().map(|contrast| contrast.p_value).collect()
        };
        let expect = |values: &[f64], expected: &[f64]| {
            let found = corrected(values);
            let fits = found.iter().zip(expected).all(|(a, b)| close(*a, *b));
            assert!(fits && found.len() == expected.len(), "{found:?}");
        };
        expect(&[0.01, 0.02, 0.03], &[0.03, 0.04, 0.04]);
        expect(&[0.4, 0.3, 0.9], &[0.9, 0.9, 0.9]);
        expect(&[0.6, 0.7], &[1.0, 1.0]);
        expect(&[0.02], &[0.02]);
    }

    /// Two-sided, as R's `fisher.test` gives them.
    #[test]
    fn tables_of_every_form_have_their_chance() {
        for (counts, chance) in [
            ([[8, 2], [1, 5]], 0.034_97),
            ([[1, 9], [11, 3]], 0.002_76),
            ([[10, 0], [0, 1]], 0.090_91),
            ([[2, 0], [0, 1]], 0.333_33),
            ([[5, 0], [0, 0]], 1.0),
            ([[5, 5], [5, 5]], 1.0),
        ] {
            assert!(close(fisher(counts), chance), "{counts:?}: {}", fisher(counts));
        }
    }

    #[test]
    fn only_two_rows_with_members_compare_anything() {
        let compares = |counts| ContingencyTable::new(["same", "other"], counts).compares();
        assert!(compares([[1, 0], [0, 1]]));
        assert!(!compares([[1, 1], [0, 0]]) && !compares([[0, 0], [1, 1]]));
    }

    #[test]
    fn more_often_means_a_higher_share_and_not_a_higher_count() {
        let more = |counts| ContingencyTable::new(["same", "other"], counts).first_resumes_more();
        assert!(more([[10, 0], [20, 40]]));
        assert!(!more([[20, 40], [10, 0]]));
        // As often as that it happens by chance.
        assert!(!more([[2, 0], [0, 1]]));
    }
}
