//! Spans of time in nanoseconds, the unit of [`Timestamp::since`](super::Timestamp::since).

/// A thousandth of a second.
pub const MILLISECOND: i64 = 1_000_000;
/// A second.
pub const SECOND: i64 = 1_000 * MILLISECOND;
/// A minute.
pub const MINUTE: i64 = 60 * SECOND;
/// An hour.
pub const HOUR: i64 = 60 * MINUTE;
/// A day.
pub const DAY: i64 = 24 * HOUR;
