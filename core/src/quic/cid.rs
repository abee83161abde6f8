//! Connection IDs.

use std::fmt;

/// A connection ID of QUIC version 1 or 2: at most 20 bytes (RFC 9000 §17.2). It is never shown: it names who talks.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cid {
    bytes: [u8; Self::LONGEST],
    length: u8,
}

impl Cid {
    /// Bytes of the longest.
    pub const LONGEST: usize = 20;

    /// Of these bytes; `None` where they are too many.
    #[must_use]
    pub fn new(id: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::LONGEST];
        bytes.get_mut(..id.len())?.copy_from_slice(id);
        Some(Self {
            bytes,
            length: u8::try_from(id.len()).ok()?,
        })
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// How many.
    #[must_use]
    pub const fn len(&self) -> u8 {
        self.length
    }

    /// Whether it has none: then the pair of endpoints names the connection (RFC 9000 §5.2).
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl fmt::Debug for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cid({} bytes)", self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_up_to_twenty_bytes_and_shows_none_of_them() {
        let id = Cid::new(&[7; 20]).expect("the longest");
        assert_eq!((id.bytes(), id.len(), id.is_empty()), (&[7; 20][..], 20, false));
        assert_eq!(Cid::new(&[7; 21]), None);
        let none = Cid::new(&[]).expect("the shortest");
        assert_eq!((none.bytes(), none.len(), none.is_empty()), (&[][..], 0, true));
        assert_eq!(format!("{id:?}"), "Cid(20 bytes)");
        // Bytes behind the last are none: a longer one of zeros is another.
        assert_ne!(Cid::new(&[7]), Cid::new(&[7, 0]));
    }
}
