//! Numbers as people read them.

use reshake_core::net::span::SECOND;
use std::fmt::Write as _;

/// 40000 as "40,000".
#[must_use]
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// "1 packet", "2 packets".
#[must_use]
pub fn counted(value: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(value), if value == 1 { one } else { many })
}

/// "2 older connections were only counted, at the memory limit (--max-memory)".
#[must_use]
pub fn only_counted(connections: u64) -> String {
    let were = counted(connections, "older connection was", "older connections were");
    format!("{were} only counted, at the memory limit (--max-memory)")
}

/// Bytes with three significant digits at most.
#[allow(clippy::cast_precision_loss)] // rounded to three digits anyway
#[must_use]
pub fn bytes(value: u64) -> String {
    const UNITS: [(&str, u64); 4] = [
        ("TB", 1_000_000_000_000),
        ("GB", 1_000_000_000),
        ("MB", 1_000_000),
        ("kB", 1000),
    ];
    match UNITS.iter().find(|(_, unit)| value >= *unit) {
        Some((name, unit)) => format!("{} {name}", short(value as f64 / *unit as f64)),
        None => format!("{value} B"),
    }
}

/// Nanoseconds as milliseconds, seconds, minutes, hours or days.
#[allow(clippy::cast_precision_loss)] // rounded to three digits anyway
#[must_use]
pub fn duration(nanos: i64) -> String {
    let seconds = nanos.max(0) as f64 / 1e9;
    let whole = nanos.max(0) / SECOND;
    let two = |large: i64, large_name, small: i64, small_name| {
        let mut text = format!("{large} {large_name}");
        if small > 0 {
            let _ = write!(text, " {small} {small_name}");
        }
        text
    };
    match whole {
        0 => format!("{} ms", short(seconds * 1e3)),
        1..120 => format!("{} s", short(seconds)),
        120..7200 => two(whole / 60, "min", whole % 60, "s"),
        7200..172_800 => two(whole / 3600, "h", whole % 3600 / 60, "min"),
        _ => two(whole / 86_400, "d", whole % 86_400 / 3600, "h"),
    }
}

/// Nanoseconds as seconds to the millisecond.
#[allow(clippy::cast_precision_loss)] // rounded to milliseconds anyway
#[must_use]
pub fn seconds(nanos: i64) -> String {
    format!("{:.3}", nanos as f64 / 1e9)
}

/// A share in whole per cent; small ones keep a digit, and neither 0 nor 100 is said of what is not.
#[must_use]
pub fn percent(ratio: f64) -> String {
    let value = ratio * 100.0;
    if value > 0.0 && value < 1.0 || value > 99.0 && value < 100.0 {
        format!("{value:.1} %")
    } else {
        format!("{value:.0} %")
    }
}

fn short(value: f64) -> String {
    if value >= 99.95 {
        format!("{value:.0}")
    } else if value >= 9.995 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_groups_of_three() {
        assert_eq!(
            [number(0), number(999), number(1000), number(1_234_567)],
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(counted(1, "packet", "packets"), "1 packet");
    }

    #[test]
    fn quantities_have_the_unit_that_fits() {
        assert_eq!(
            [bytes(999), bytes(9300), bytes(982_564_528)],
            ["999 B", "9.30 kB", "983 MB"]
        );
        assert_eq!([duration(41_000_000), duration(2_900_000_000)], ["41.0 ms", "2.90 s"]);
        assert_eq!(
            [duration(120_000_000_000), duration(200_000_000_000)],
            ["2 min", "3 min 20 s"]
        );
        assert_eq!(
            [duration(7_260_000_000_000), duration(180_000_000_000_000)],
            ["2 h 1 min", "2 d 2 h"]
        );
    }

    #[test]
    fn shares_never_round_to_all_or_nothing() {
        assert_eq!(
            [percent(1.0 / 3.0), percent(0.004), percent(0.996), percent(1.0)],
            ["33 %", "0.4 %", "99.6 %", "100 %"]
        );
    }
}
