//! Handshake messages under protection, out of the records of one side.

use super::MAX_MESSAGE;
use crate::decrypt::secret::Hidden;
use crate::tls::names::HandshakeType;

/// Handshake messages of one side under protection, put together over records.
#[derive(Debug, Default)]
pub(super) struct HandshakeMessages {
    buffer: Hidden,
    /// Bytes at the front that were given out.
    taken: usize,
    /// Part of a message was lost: what follows in the buffer is not the beginning of one.
    lost: bool,
}

impl HandshakeMessages {
    pub(super) fn lose(&mut self) {
        self.buffer.0.clear();
        self.taken = 0;
        self.lost = true;
    }

    /// A message begins with this header, whatever became of the one before.
    pub(super) fn begin(&mut self, header: &[u8]) {
        self.buffer.0.drain(..self.taken);
        self.taken = 0;
        // Whole messages that were not given out yet stay.
        if self.lost || !ends_with_message(&self.buffer.0) {
            self.buffer.0.clear();
        }
        self.lost = false;
        self.buffer.0.extend_from_slice(header);
    }

    pub(super) fn push(&mut self, fragment: &[u8]) {
        self.buffer.0.drain(..self.taken);
        self.taken = 0;
        if std::mem::take(&mut self.lost) && !begins_message(fragment) {
            self.lost = true;
            return;
        }
        if self.buffer.0.len() + fragment.len() > MAX_MESSAGE {
            self.lose();
            return;
        }
        self.buffer.0.extend_from_slice(fragment);
    }

    /// Where the next complete message stands.
    pub(super) fn next(&mut self) -> Option<std::ops::Range<usize>> {
        let rest = self.buffer.0.get(self.taken..)?;
        let [_, a, b, c] = *rest.first_chunk()?;
        let length = 4 + u32::from_be_bytes([0, a, b, c]) as usize;
        if length > MAX_MESSAGE {
            self.lose();
            return None;
        }
        rest.get(..length)?;
        let range = self.taken..self.taken + length;
        self.taken = range.end;
        Some(range)
    }

    pub(super) fn bytes(&self, range: &std::ops::Range<usize>) -> &[u8] {
        self.buffer.0.get(range.clone()).unwrap_or_default()
    }
}

/// Whether a record's content is exactly whole messages: the only place to go on after a loss.
fn begins_message(fragment: &[u8]) -> bool {
    let mut rest = fragment;
    while let Some([kind, a, b, c]) = rest.first_chunk::<4>() {
        let length = 4 + u32::from_be_bytes([0, *a, *b, *c]) as usize;
        match rest.get(length..) {
            Some(after) if HandshakeType(*kind).name().is_some() => rest = after,
            _ => return false,
        }
    }
    rest.is_empty() && !fragment.is_empty()
}

/// Whether the bytes are whole messages.
fn ends_with_message(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some([_, a, b, c]) = rest.first_chunk::<4>() {
        let length = 4 + u32::from_be_bytes([0, *a, *b, *c]) as usize;
        match rest.get(length..) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    rest.is_empty()
}
