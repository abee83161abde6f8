//! Whether bytes can be records: where one begins, and another behind it.

use super::MAX_RECORD;

/// Whether `header` can be a record header of SSL 3.0 to TLS 1.3.
#[must_use]
pub fn plausible(header: &[u8]) -> bool {
    let [kind, 3, minor, high, low, ..] = *header else {
        return false;
    };
    let length = u16::from_be_bytes([high, low]);
    // Empty fragments are legal for application data alone (RFC 5246 §6.2.1).
    (20..=24).contains(&kind) && minor <= 4 && length <= MAX_RECORD && (length > 0 || kind == 23)
}

/// What follows the record at the start of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chain {
    /// The record ends where the bytes end, or another header follows it.
    Closed,
    /// The record runs past the bytes.
    Open,
}

/// What follows the record at the start of `bytes`; `None` where no record begins there.
pub(super) fn chain(bytes: &[u8]) -> Option<Chain> {
    if !plausible(bytes) {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([*bytes.get(3)?, *bytes.get(4)?]));
    match bytes.get(5 + length..) {
        None => Some(Chain::Open),
        Some([]) => Some(Chain::Closed),
        Some(next) if next.len() >= 5 => plausible(next).then_some(Chain::Closed),
        Some(_) => None,
    }
}
