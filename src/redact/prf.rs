//! The key of a redaction, and what is drawn from it.

use std::fmt;

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Bytes of a key that is drawn at random, and the fewest that a given one must have.
pub const KEY_LENGTH: usize = 32;

/// A key. `Debug` does not show it, and it is wiped when it is dropped.
pub struct RedactionKey(Zeroizing<Vec<u8>>);

impl RedactionKey {
    /// Of these bytes; `None` when they are fewer than [`KEY_LENGTH`]: what is replaced under a short key can be found
    /// again by trying all keys.
    #[must_use]
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> Option<Self> {
        (bytes.len() >= KEY_LENGTH).then_some(Self(bytes))
    }
}

impl fmt::Debug for RedactionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// HMAC-SHA-256 (RFC 2104) under a key, each use in a domain of its own.
#[derive(Clone)]
pub(super) struct Prf(Hmac<Sha256>);

impl Prf {
    pub(super) fn new(key: &RedactionKey) -> Self {
        // HMAC takes a key of any length.
        Self(<Hmac<Sha256> as KeyInit>::new_from_slice(&key.0).unwrap_or_else(|_| unreachable!()))
    }

    /// 32 bytes that `parts` decide. The length of each part is hashed with it, so that no two lists are the same.
    pub(super) fn draw(&self, domain: &str, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for part in [domain.as_bytes()].iter().chain(parts) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Prf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prf(…)")
    }
}

#[cfg(test)]
impl Prf {
    pub(super) fn testing(byte: u8) -> Self {
        Self::new(&RedactionKey::new(Zeroizing::new(vec![byte; KEY_LENGTH])).expect("long enough"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_keys_are_refused_and_none_is_shown() {
        assert!(RedactionKey::new(Zeroizing::new(vec![7; KEY_LENGTH - 1])).is_none());
        let key = RedactionKey::new(Zeroizing::new(vec![7; KEY_LENGTH])).expect("long enough");
        assert_eq!(format!("{key:?} {:?}", Prf::new(&key)), "Key(…) Prf(…)");
    }

    #[test]
    fn what_is_drawn_depends_on_key_domain_and_parts() {
        let prf = Prf::testing(1);
        let drawn = prf.draw("a", &[b"bc"]);
        assert_eq!(drawn, prf.draw("a", &[b"bc"]));
        for other in [
            prf.draw("b", &[b"bc"]),
            prf.draw("a", &[b"b", b"c"]),
            prf.draw("ab", &[b"c"]),
            Prf::testing(2).draw("a", &[b"bc"]),
        ] {
            assert_ne!(drawn, other);
        }
    }
}
