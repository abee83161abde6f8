//! Numbers that look random and are the same for the same seed.

/// What decides where a plan leaves something open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Luck {
    /// Turns go in the order of the capture.
    InOrder,
    /// Turns fall at random, in so-and-so-many ways.
    AtRandom(u64),
}

/// A generator (splitmix64).
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Less than `limit`; 0 when that is 0.
    pub(super) fn below(&mut self, limit: u16) -> u16 {
        let limit = u64::from(limit.max(1));
        u16::try_from((self.roll() >> 16) % limit).unwrap_or(0)
    }
}

/// Spreads a number over all bits.
pub(super) const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
