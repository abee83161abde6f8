//! Quantities with their units, and versions, as people write them: in flags, in rule files, in selections.

use reshake_core::net::span::{DAY, HOUR, MILLISECOND, MINUTE, SECOND};
use reshake_core::tls::ProtocolVersion;

/// What a duration looks like, for whoever wrote another.
pub(crate) const DURATION: &str = "expected a duration, for example 90s, 30m, 24h or 7d";

/// Number and unit.
fn parts(text: &str) -> (&str, &str) {
    let number = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    (number, text.get(number.len()..).unwrap_or_default().trim())
}

/// A duration in nanoseconds, longer than none: seconds, or a number with ms, s, m, h or d.
pub(crate) fn span(text: &str) -> Option<i64> {
    let (number, unit) = parts(text.trim());
    let unit = match unit {
        "ms" => MILLISECOND,
        "" | "s" => SECOND,
        "m" | "min" => MINUTE,
        "h" => HOUR,
        "d" => DAY,
        _ => return None,
    };
    let nanos = number.parse::<i64>().ok()?.checked_mul(unit);
    nanos.filter(|nanos| *nanos > 0)
}

/// A number of bytes, with K, M or G for powers of 1024. Only flags have such.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn size(text: &str) -> Result<usize, String> {
    let expected = || "expected a size with K, M or G, for example 512M".to_owned();
    let (number, unit) = parts(text);
    let unit: usize = match unit.to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" | "KB" | "KIB" => 1 << 10,
        "M" | "MB" | "MIB" => 1 << 20,
        "G" | "GB" | "GIB" => 1 << 30,
        _ => return Err(expected()),
    };
    let number: usize = number.parse().map_err(|_| expected())?;
    number.checked_mul(unit).ok_or_else(|| "too large".to_owned())
}

/// "TLS 1.2", "tls1.2", "tls-1.2", "1.2", "ssl3".
pub(crate) fn version(text: &str) -> Option<ProtocolVersion> {
    let plain: String = text
        .to_ascii_lowercase()
        .chars()
        .filter(|letter| !" -_v".contains(*letter))
        .collect();
    match plain.strip_prefix("tls").unwrap_or(&plain) {
        "ssl3" | "ssl3.0" => Some(ProtocolVersion::SSL_3_0),
        "1.0" => Some(ProtocolVersion::TLS_1_0),
        "1.1" => Some(ProtocolVersion::TLS_1_1),
        "1.2" => Some(ProtocolVersion::TLS_1_2),
        "1.3" => Some(ProtocolVersion::TLS_1_3),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_or_are_seconds() {
        for (text, nanos) in [
            ("90s", 90 * SECOND),
            ("90", 90 * SECOND),
            ("250ms", SECOND / 4),
            ("2 min", 120 * SECOND),
            ("7d", 7 * 24 * HOUR),
        ] {
            assert_eq!(span(text), Some(nanos), "{text}");
        }
        for wrong in [
            "",
            "s",
            "0s",
            "1w",
            "-1s",
            "1.5h",
            "99999999999999999999s",
            "999999999999999999d",
        ] {
            assert_eq!(span(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn versions_are_known_by_every_way_to_write_them() {
        for text in ["1.2", "TLS 1.2", "tls1.2", "tls-1.2", "TLSv1.2", "tls_1.2"] {
            assert_eq!(version(text), Some(ProtocolVersion::TLS_1_2), "{text}");
        }
        assert_eq!(version("SSLv3"), Some(ProtocolVersion::SSL_3_0));
        assert_eq!([version("1.4"), version("ssl2"), version("")], [None; 3]);
    }
}
