//! Bytes that must never be shown.

use std::fmt;

use zeroize::Zeroize;

/// A secret of at most [`Secret::MAX_LEN`] bytes. `Debug` tells its length and nothing else, there is no `Display`, and
/// the bytes are wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    bytes: [u8; Self::MAX_LEN],
    length: u8,
}

impl Secret {
    /// Longest secret of TLS: a master secret, or a traffic secret of a suite with SHA-384.
    pub const MAX_LEN: usize = 48;

    /// A copy of `bytes`; `None` when they are too many.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut secret = Self {
            bytes: [0; Self::MAX_LEN],
            length: u8::try_from(bytes.len()).ok()?,
        };
        secret.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(secret)
    }

    /// A secret of `length` bytes that `fill` writes.
    pub(super) fn filled(length: usize, fill: impl FnOnce(&mut [u8])) -> Self {
        let length = length.min(Self::MAX_LEN);
        let mut secret = Self {
            bytes: [0; Self::MAX_LEN],
            length: u8::try_from(length).unwrap_or(0),
        };
        fill(secret.bytes.get_mut(..length).unwrap_or_default());
        secret
    }

    /// The bytes, for key schedules alone.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.length)
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

/// Bytes that must not be shown: what a record held, or a line of a key log. `Debug` tells how many.
#[derive(Default)]
pub(super) struct Hidden(pub(super) Vec<u8>);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hidden({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn debug_shows_the_length_alone() {
        let secret = Secret::new(&[0xab; 32]).expect("short enough");
        let shown = format!("{secret:?} {secret:#?}");
        assert_eq!(shown, "Secret(32 bytes) Secret(32 bytes)");
    }

    #[test]
    fn what_is_longer_than_any_secret_of_tls_is_none() {
        assert!(Secret::new(&[0; 49]).is_none());
        assert_eq!(Secret::new(&[1, 2]).expect("short enough").bytes(), [1, 2]);
    }
}
