//! Values that many connections share are kept once.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use sha2::{Digest, Sha256};

use crate::net::Wrapping;
use crate::tls::CipherSuite;

use crate::session::{ClientStack, StackExtensions};

/// Distinct values remembered; beyond that the table starts anew (values already handed out stay shared).
pub const MAX_VALUES: usize = 1 << 16;
/// Bytes of all of them: names and lists have room for 64 KB each, and hostile ones use it.
pub const MAX_VALUE_BYTES: usize = 16 << 20;

/// Server names, client stacks, outer headers, and the digests of certificates.
#[derive(Debug)]
pub struct Interner {
    texts: HashMap<Box<[u8]>, Arc<str>>,
    stacks: HashMap<u64, Arc<ClientStack>>,
    outer: HashSet<Arc<[Wrapping]>>,
    certificates: HashMap<Box<[u8]>, [u8; 16]>,
    bytes: usize,
    /// The most of them.
    limit: usize,
}

impl Default for Interner {
    fn default() -> Self {
        Self::within(MAX_VALUE_BYTES)
    }
}

impl Interner {
    /// With room for so many bytes, and for no more values than take as much with their places in the tables.
    #[must_use]
    pub fn within(limit: usize) -> Self {
        Self {
            texts: HashMap::new(),
            stacks: HashMap::new(),
            outer: HashSet::new(),
            certificates: HashMap::new(),
            bytes: 0,
            limit,
        }
    }

    /// Makes room for a value of so many bytes that is remembered next.
    fn make_room(&mut self, bytes: usize) {
        let tables = [
            self.texts.len(),
            self.stacks.len(),
            self.outer.len(),
            self.certificates.len(),
        ];
        let most = tables.into_iter().max().unwrap_or(0);
        // One of the usual length takes no more than its part of the bytes.
        let values = MAX_VALUES.min(self.limit / (MAX_VALUE_BYTES / MAX_VALUES));
        if most >= values || self.bytes.saturating_add(bytes) > self.limit {
            *self = Self::within(self.limit);
        }
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// The text of bytes from the wire. What is not printable ASCII or UTF-8 is escaped, so that two different names
    /// never become one.
    pub fn text(&mut self, bytes: &[u8]) -> Arc<str> {
        if let Some(known) = self.texts.get(bytes) {
            return Arc::clone(known);
        }
        let text: Arc<str> = match std::str::from_utf8(bytes) {
            Ok(text) if !text.chars().any(char::is_control) => text.into(),
            _ => bytes.escape_ascii().to_string().into(),
        };
        self.make_room(bytes.len() + text.len());
        self.texts.insert(bytes.into(), Arc::clone(&text));
        text
    }

    /// The outer headers of a connection; `None` where there are none.
    pub fn outer(&mut self, outer: &[Wrapping]) -> Option<Arc<[Wrapping]>> {
        if outer.is_empty() {
            return None;
        }
        if let Some(known) = self.outer.get(outer) {
            return Some(Arc::clone(known));
        }
        self.make_room(size_of_val(outer));
        let shared: Arc<[Wrapping]> = outer.into();
        self.outer.insert(Arc::clone(&shared));
        Some(shared)
    }

    /// First bytes of the SHA-256 of a certificate. A server shows the same few in every full handshake, and to hash one is
    /// most of the work of such a handshake.
    pub fn certificate(&mut self, certificate: &[u8]) -> [u8; 16] {
        if let Some(known) = self.certificates.get(certificate) {
            return *known;
        }
        let digest: [u8; 32] = Sha256::digest(certificate).into();
        let first = *digest.first_chunk().unwrap_or(&[0; 16]);
        self.make_room(certificate.len());
        self.certificates.insert(certificate.into(), first);
        first
    }

    /// A client stack. Two of one digest may list other suites: GREASE values change from hello to hello (RFC 8701).
    pub fn stack(&mut self, digest: u64, suites: &[CipherSuite], extensions: StackExtensions) -> Arc<ClientStack> {
        match self.stacks.get(&digest) {
            Some(known) if *known.suites == *suites && known.extensions == extensions => Arc::clone(known),
            _ => {
                self.make_room(size_of_val(suites));
                let stack = Arc::new(ClientStack {
                    digest,
                    suites: suites.into(),
                    extensions,
                });
                self.stacks.insert(digest, Arc::clone(&stack));
                stack
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::net::Encapsulation;

    use super::*;

    #[test]
    fn equal_values_are_one() {
        let mut interner = Interner::default();
        let name = interner.text(b"a.test");
        assert!(Arc::ptr_eq(&name, &interner.text(b"a.test")));
        assert!(!Arc::ptr_eq(&name, &interner.text(b"b.test")));
        let none = StackExtensions::default();
        let stack = interner.stack(1, &[CipherSuite(1)], none);
        assert_eq!((stack.digest, &*stack.suites), (1, &[CipherSuite(1)][..]));
        assert!(Arc::ptr_eq(&stack, &interner.stack(1, &[CipherSuite(1)], none)));
        // Two of one digest keep lists of their own.
        assert_eq!(&*interner.stack(1, &[CipherSuite(2)], none).suites, [CipherSuite(2)]);
    }

    #[test]
    fn outer_headers_are_shared_and_none_are_nothing() {
        let mut interner = Interner::default();
        let tag = [Wrapping {
            header: Encapsulation::Vlan(7),
            between: None,
        }];
        let shared = interner.outer(&tag).expect("a tag");
        assert_eq!(&*shared, tag);
        assert!(Arc::ptr_eq(&shared, &interner.outer(&tag).expect("a tag")));
        assert_eq!(interner.outer(&[]), None);
    }

    #[test]
    fn names_that_are_no_text_are_escaped_and_stay_apart() {
        let mut interner = Interner::default();
        assert_eq!(&*interner.text("münchen.test".as_bytes()), "münchen.test");
        assert_eq!(&*interner.text(b"a\x1b[2J"), r"a\x1b[2J");
        assert_eq!(&*interner.text(b"a\xff"), r"a\xff");
    }

    #[test]
    fn a_certificate_has_the_same_digest_when_it_comes_again() {
        let mut interner = Interner::default();
        // SHA-256 of "abc" (FIPS 180-4).
        let abc = 0xba78_16bf_8f01_cfea_4141_40de_5dae_2223_u128.to_be_bytes();
        assert_eq!([interner.certificate(b"abc"), interner.certificate(b"abc")], [abc; 2]);
        assert_ne!(interner.certificate(b"abd"), abc);
        assert_eq!((interner.certificates.len(), interner.bytes), (2, 6));
    }

    #[test]
    fn the_table_starts_anew_when_it_holds_too_many_values() {
        let mut interner = Interner::default();
        for number in 0..MAX_VALUES {
            interner.text(&number.to_be_bytes());
        }
        assert_eq!(interner.texts.len(), MAX_VALUES);
        interner.text(b"one more");
        assert_eq!(interner.texts.len(), 1);
        assert_eq!(interner.bytes, 2 * b"one more".len());
    }

    #[test]
    fn a_table_of_fewer_bytes_holds_fewer_values() {
        let mut interner = Interner::within(MAX_VALUE_BYTES / 4);
        for number in 0..MAX_VALUES / 4 {
            interner.text(&number.to_be_bytes());
        }
        assert_eq!(interner.texts.len(), MAX_VALUES / 4);
        interner.text(b"one more");
        assert_eq!(interner.texts.len(), 1);
        interner.text(&vec![b'a'; MAX_VALUE_BYTES / 8]);
        assert_eq!(interner.texts.len(), 1, "it is held twice");
        // Where there is room for none, the latest is shared all the same.
        let mut none = Interner::within(0);
        assert!(Arc::ptr_eq(&none.text(b"a"), &none.text(b"a")));
    }

    #[test]
    fn the_table_starts_anew_when_its_values_are_too_long() {
        let mut interner = Interner::default();
        let long = vec![b'a'; MAX_VALUE_BYTES / 4];
        interner.text(&long);
        interner.text(&long[1..]);
        // Each is held twice, as bytes and as text; two bytes are left of the limit.
        assert_eq!((interner.texts.len(), interner.bytes), (2, MAX_VALUE_BYTES - 2));
        interner.text(b"b");
        assert_eq!(interner.texts.len(), 3);
        interner.text(b"c");
        assert_eq!(interner.texts.len(), 1);
    }
}
