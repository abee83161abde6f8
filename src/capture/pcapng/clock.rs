//! Time stamps of a pcapng interface as nanoseconds: ticks in, [`Timestamp`] out, in integers only and never overflowing.

use reshake_core::net::Timestamp;

/// Resolution and offset of one interface (section 4.2, options if_tsresol and if_tsoffset).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clock {
    scale: Scale,
    /// Nanoseconds to add.
    offset: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    /// Nanoseconds in a tick.
    Multiply(u64),
    /// Ticks in a nanosecond.
    Divide(u128),
    /// Ticks are this power of two of a second.
    Binary(u8),
}

const NANOS: u32 = 9;

impl Clock {
    /// `resolution`: the byte of if_tsresol, a power of ten, or of two when its upper bit is set. `offset`: seconds.
    pub(super) fn new(resolution: u8, offset: i64) -> Self {
        let exponent = resolution & 0x7f;
        let scale = if resolution & 0x80 != 0 {
            Scale::Binary(exponent)
        } else if let Some(missing) = NANOS.checked_sub(u32::from(exponent)) {
            Scale::Multiply(10_u64.pow(missing))
        } else {
            let surplus = u32::from(exponent).saturating_sub(NANOS);
            Scale::Divide(10_u128.checked_pow(surplus).unwrap_or(u128::MAX))
        };
        Self {
            scale,
            offset: offset.saturating_mul(1_000_000_000),
        }
    }

    #[inline]
    pub(super) fn time(self, ticks: u64) -> Timestamp {
        let nanos = match self.scale {
            Scale::Multiply(by) => ticks.saturating_mul(by),
            Scale::Divide(by) => saturate(u128::from(ticks).checked_div(by).unwrap_or(0)),
            Scale::Binary(exponent) => {
                let nanos = u128::from(ticks).saturating_mul(1_000_000_000);
                saturate(nanos.checked_shr(u32::from(exponent)).unwrap_or(0))
            }
        };
        let nanos = i64::try_from(nanos).unwrap_or(i64::MAX);
        Timestamp::from_nanos(nanos.saturating_add(self.offset))
    }
}

fn saturate(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_power_of_ten_and_two_gives_nanoseconds() {
        let second = 1_700_000_000_u64;
        for (resolution, ticks) in [
            (0, second),
            (3, second * 1000),
            (6, second * 1_000_000),
            (9, second * 1_000_000_000),
            (10, second * 10_000_000_000),
            (0x80, second),
            (0x80 | 0x0a, second << 10),
            (0x80 | 0x20, second << 32),
        ] {
            let time = Clock::new(resolution, 0).time(ticks);
            assert_eq!(time.nanos(), 1_700_000_000_000_000_000, "resolution {resolution:#x}");
        }
        assert_eq!(Clock::new(12, 0).time(1_999).nanos(), 1);
        assert_eq!(Clock::new(0x80 | 1, 0).time(3).nanos(), 1_500_000_000);
    }

    #[test]
    fn the_offset_is_added_in_seconds() {
        assert_eq!(Clock::new(6, -1).time(2_000_000).nanos(), 1_000_000_000);
        assert_eq!(Clock::new(6, 3).time(1).nanos(), 3_000_001_000);
    }

    #[test]
    fn absurd_values_saturate() {
        for resolution in 0..=255 {
            for offset in [i64::MIN, 0, i64::MAX] {
                let _ = Clock::new(resolution, offset).time(u64::MAX);
            }
        }
        assert_eq!(Clock::new(0, 0).time(u64::MAX).nanos(), i64::MAX);
        assert_eq!(Clock::new(127, 0).time(u64::MAX).nanos(), 0);
    }
}
