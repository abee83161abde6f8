//! Values that many connections share are kept once.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use crate::net::Wrapping;
use crate::tls::CipherSuite;

/// Distinct values remembered; beyond that the table starts anew (values already handed out stay shared).
const LIMIT: usize = 1 << 16;

/// Server names, suite lists and outer headers.
#[derive(Debug, Default)]
pub struct Interner {
    texts: HashMap<Box<[u8]>, Arc<str>>,
    suites: HashMap<u64, Arc<[CipherSuite]>>,
    outer: HashSet<Arc<[Wrapping]>>,
}

impl Interner {
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
        if self.texts.len() >= LIMIT {
            self.texts.clear();
        }
        self.texts.insert(bytes.into(), Arc::clone(&text));
        text
    }

    /// The outer headers of a connection; `None` where there are none.
    pub fn outer(&mut self, outer: &[Wrapping]) -> Option<Arc<[Wrapping]>> {
        if outer.is_empty() {
            return None;
        }
        if self.outer.len() >= LIMIT {
            self.outer.clear();
        }
        Some(Arc::clone(self.outer.get_or_insert_with(outer, |outer| outer.into())))
    }

    /// The suite list of a client stack.
    pub fn suites(&mut self, stack: u64, suites: &[CipherSuite]) -> Arc<[CipherSuite]> {
        match self.suites.get(&stack) {
            Some(known) if known.as_ref() == suites => Arc::clone(known),
            _ => {
                if self.suites.len() >= LIMIT {
                    self.suites.clear();
                }
                let list: Arc<[CipherSuite]> = suites.into();
                self.suites.insert(stack, Arc::clone(&list));
                list
            }
        }
    }
}
