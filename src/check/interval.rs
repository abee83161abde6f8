//! How far a share in a sample may be from the true one: Wilson's interval for one share, Newcombe's for the difference
//! of two, both at 95 %. Connections are taken as independent, which those of one client are not quite: the intervals
//! are the least doubt there is.

/// The 97.5 % quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// A part of a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ratio {
    /// Counted.
    pub part: u64,
    /// Of so many.
    pub whole: u64,
}

impl Ratio {
    /// Its value; `None` of nothing.
    #[allow(clippy::cast_precision_loss)] // counts of connections stay far below 2^53
    #[must_use]
    pub fn value(self) -> Option<f64> {
        (self.whole > 0).then(|| self.part as f64 / self.whole as f64)
    }

    /// Lowest and highest share that go with it (Wilson's score interval, 95 %); `None` of nothing.
    #[allow(clippy::cast_precision_loss)] // counts of connections stay far below 2^53
    #[must_use]
    pub fn interval(self) -> Option<(f64, f64)> {
        let share = self.value()?;
        let n = self.whole as f64;
        let z2 = Z * Z;
        let middle = (share + z2 / (2.0 * n)) / (1.0 + z2 / n);
        let half = Z / (1.0 + z2 / n) * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
        // Rounding must not leave an end short of none or all.
        let low = if self.part == 0 { 0.0 } else { (middle - half).max(0.0) };
        let high = if self.part == self.whole {
            1.0
        } else {
            (middle + half).min(1.0)
        };
        Some((low, high))
    }
}

/// The difference between two shares, and the lowest and highest that go with them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// After less before.
    pub value: f64,
    /// Lowest.
    pub low: f64,
    /// Highest.
    pub high: f64,
}

impl Difference {
    /// Between two ratios (Newcombe's hybrid score interval, 95 %); `None` where one is of nothing.
    #[must_use]
    pub fn between(before: Ratio, after: Ratio) -> Option<Self> {
        let (p1, p2) = (after.value()?, before.value()?);
        let ((l1, u1), (l2, u2)) = (after.interval()?, before.interval()?);
        let value = p1 - p2;
        let low = value - ((p1 - l1).powi(2) + (u2 - p2).powi(2)).sqrt();
        let high = value + ((u1 - p1).powi(2) + (p2 - l2).powi(2)).sqrt();
        Some(Self {
            value,
            low: low.max(-1.0),
            high: high.min(1.0),
        })
    }

    /// Whether the interval leaves out that nothing changed.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, expected: f64) -> bool {
        (found - expected).abs() < 5e-5
    }

    #[test]
    fn intervals_are_those_of_the_literature() {
        // R. G. Newcombe, Statistics in Medicine 17 (1998) 857-872, table I: 81 of 263, and 0 of 20.
        let (low, high) = Ratio { part: 81, whole: 263 }.interval().expect("an interval");
        assert!(near(low, 0.2553) && near(high, 0.3662), "{low} {high}");
        let (low, high) = Ratio { part: 0, whole: 20 }.interval().expect("an interval");
        assert!(near(low, 0.0) && near(high, 0.1611), "{low} {high}");
        // The same, 873-890, table II, example (a): 56/70 - 48/80, method 10.
        let difference = Difference::between(Ratio { part: 48, whole: 80 }, Ratio { part: 56, whole: 70 });
        let Difference { value, low, high } = difference.expect("a difference");
        assert!(
            near(value, 0.2) && near(low, 0.0524) && near(high, 0.3339),
            "{low} {high}"
        );
    }

    #[test]
    fn all_and_nothing_stay_what_they_are() {
        assert_eq!(Ratio { part: 0, whole: 0 }.interval(), None);
        let (_, high) = Ratio { part: 7, whole: 7 }.interval().expect("an interval");
        assert!((high - 1.0).abs() < f64::EPSILON);
        let nothing = Ratio::default();
        assert_eq!(Difference::between(nothing, Ratio { part: 1, whole: 2 }), None);
        let one = Ratio { part: 1, whole: 2 };
        assert!(!Difference::between(one, one).expect("a difference").is_shown());
    }
}
