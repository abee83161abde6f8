//! The one read buffer of a file: bytes come in by `read()` in large pieces and go out as borrowed slices. It never
//! maps the file, which is slower here and dies of a file that shrinks, and never grows past [`Buffer::MAX`].

use std::io::{self, Read};

/// Window on a byte stream that moves forward only.
pub(super) struct Buffer {
    reader: Box<dyn Read + Send>,
    data: Vec<u8>,
    start: usize,
    end: usize,
    /// Offset of the first byte of `data` in the stream.
    base: u64,
    done: bool,
    error: Option<io::Error>,
    /// What is asked of the reader at once, the first time and later.
    first: usize,
    capacity: usize,
    /// Bytes that reading may take together with unpacking, where that is limited.
    bound: Option<usize>,
}

impl Buffer {
    /// The most bytes that can be asked for at once; a block that claims more is damage.
    pub(super) const MAX: usize = 64 << 20;
    /// Small enough for the L2 cache, large enough that the call costs nothing.
    const CAPACITY: usize = 256 << 10;
    /// The first read: many files may wait for their turn, each with its first packet only.
    const FIRST: usize = 16 << 10;
    /// What each of very many files reads at once.
    const SMALL: usize = 32 << 10;

    pub(super) fn new(reader: Box<dyn Read + Send>) -> Self {
        Self {
            reader,
            data: Vec::new(),
            start: 0,
            end: 0,
            base: 0,
            done: false,
            error: None,
            first: Self::FIRST,
            capacity: Self::CAPACITY,
            bound: None,
        }
    }

    /// Reads in smaller pieces: this is one of very many.
    pub(super) const fn stay_small(&mut self) {
        self.capacity = Self::SMALL;
    }

    /// Reads no more than so many bytes at once.
    pub(super) fn stay_within(&mut self, piece: usize) {
        self.capacity = piece.min(Self::CAPACITY);
        self.first = piece.min(Self::FIRST);
        self.bound = Some(piece);
    }

    /// What was said of that.
    pub(super) const fn bound(&self) -> Option<usize> {
        self.bound
    }

    /// The unread bytes at hand.
    #[inline]
    pub(super) fn data(&self) -> &[u8] {
        self.data.get(self.start..self.end).unwrap_or_default()
    }

    /// Offset of the first unread byte in the stream.
    pub(super) fn offset(&self) -> u64 {
        self.base.saturating_add(self.start as u64)
    }

    /// Whether `want` bytes are at hand without reading.
    #[inline]
    pub(super) fn has(&self, want: usize) -> bool {
        self.end.saturating_sub(self.start) >= want
    }

    /// Reads until `want` bytes are at hand; `false` when the stream ends before, or `want` exceeds [`Self::MAX`].
    pub(super) fn fill(&mut self, want: usize) -> bool {
        while !self.has(want) {
            if self.done || want > Self::MAX {
                return false;
            }
            self.make_room(want);
            self.read_once();
        }
        true
    }

    /// Steps over `skip` bytes, then takes `length` bytes; fewer when they are not at hand.
    #[inline]
    pub(super) fn take(&mut self, skip: usize, length: usize) -> &[u8] {
        let from = self.start.saturating_add(skip).min(self.end);
        let to = from.saturating_add(length).min(self.end);
        self.start = to;
        self.data.get(from..to).unwrap_or_default()
    }

    /// Steps over `count` bytes at hand.
    #[inline]
    pub(super) fn consume(&mut self, count: usize) {
        let count = count.min(self.end.saturating_sub(self.start));
        self.start = self.start.saturating_add(count);
    }

    /// Whether a read error ended the stream.
    pub(super) fn failed(&self) -> bool {
        self.error.is_some()
    }

    /// The read error that ended the stream, once.
    pub(super) fn take_error(&mut self) -> Option<io::Error> {
        self.error.take()
    }

    /// The stream from the first unread byte on, for a reader that wraps it.
    pub(super) fn into_reader(self) -> Box<dyn Read + Send> {
        let read = io::Cursor::new(self.data().to_vec());
        match self.error {
            Some(error) => Box::new(read.chain(Failing(Some(error)))),
            None => Box::new(read.chain(self.reader)),
        }
    }

    fn make_room(&mut self, want: usize) {
        self.data.copy_within(self.start..self.end, 0);
        self.end = self.end.saturating_sub(self.start);
        self.base = self.offset();
        self.start = 0;
        let usual = if self.data.is_empty() {
            self.first
        } else {
            self.capacity
        };
        // Doubling keeps the number of copies small for a block larger than the buffer, whatever length it claims. Who wants but
        // one byte more than there is wants the next one soon.
        let size = if want <= usual {
            usual
        } else {
            let ahead = want.saturating_add(usual).min(Self::MAX);
            ahead.min(self.data.len().max(usual).saturating_mul(2))
        };
        if self.data.len() < size {
            self.data.resize(size, 0);
        }
    }

    fn read_once(&mut self) {
        let Some(space) = self.data.get_mut(self.end..).filter(|space| !space.is_empty()) else {
            self.done = true;
            return;
        };
        match self.reader.read(space) {
            Ok(0) => {
                self.done = true;
                if self.start == self.end {
                    // Files that are over wait for the report in thousands, and so would what unpacks them.
                    self.base = self.offset();
                    (self.data, self.start, self.end) = (Vec::new(), 0, 0);
                    self.reader = Box::new(io::empty());
                }
            }
            Ok(count) => self.end = self.end.saturating_add(count).min(self.data.len()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                self.done = true;
                self.error = Some(error);
            }
        }
    }
}

/// A reader that fails once, then is at its end.
struct Failing(Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte per call, as a slow pipe may.
    struct Drip(Vec<u8>, usize);

    impl Read for Drip {
        fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
            let (Some(byte), Some(slot)) = (self.0.get(self.1), space.first_mut()) else {
                return Ok(0);
            };
            *slot = *byte;
            self.1 += 1;
            Ok(1)
        }
    }

    #[test]
    fn bytes_come_out_in_order_however_they_come_in() {
        let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
        let mut buffer = Buffer::new(Box::new(Drip(bytes.clone(), 0)));
        let mut out = Vec::new();
        while buffer.fill(7) {
            out.extend_from_slice(buffer.take(3, 4));
        }
        let expected: Vec<u8> = bytes
            .chunks(7)
            .filter(|c| c.len() == 7)
            .flat_map(|c| c[3..].to_vec())
            .collect();
        assert_eq!(out, expected);
        assert_eq!(buffer.offset(), 994);
        assert_eq!(buffer.data().len(), 6);
    }

    #[test]
    fn a_block_larger_than_the_buffer_is_held_whole() {
        let mut buffer = Buffer::new(Box::new(io::repeat(7).take(3 << 20)));
        assert!(buffer.fill(3 << 20));
        assert_eq!(buffer.take(1, 3 << 20).len(), (3 << 20) - 1);
        assert!(!buffer.fill(1));
    }

    #[test]
    fn what_is_asked_for_byte_by_byte_is_read_in_pieces() {
        struct Counted(u64, std::sync::Arc<std::sync::atomic::AtomicU64>);
        impl Read for Counted {
            fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
                self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let count = (space.len() as u64).min(self.0);
                self.0 -= count;
                Ok(usize::try_from(count).unwrap_or_default())
            }
        }
        let reads = std::sync::Arc::default();
        let mut buffer = Buffer::new(Box::new(Counted(3 << 20, std::sync::Arc::clone(&reads))));
        buffer.stay_within(2048);
        let mut want = 1;
        while buffer.fill(want) {
            want = buffer.data().len() + 1;
        }
        assert_eq!(buffer.data().len(), 3 << 20);
        let reads = reads.load(std::sync::atomic::Ordering::Relaxed);
        assert!(reads < 2 * (3 << 20) / 2048, "{reads} reads");
    }

    #[test]
    fn more_than_the_limit_is_refused_without_reading() {
        let mut buffer = Buffer::new(Box::new(io::repeat(7)));
        assert!(!buffer.fill(Buffer::MAX + 1));
    }

    #[test]
    fn what_was_read_before_an_error_is_kept() {
        let reader = io::Cursor::new(vec![1, 2, 3]).chain(Failing(Some(io::Error::other("gone"))));
        let mut buffer = Buffer::new(Box::new(reader));
        assert!(!buffer.fill(4));
        assert_eq!(buffer.data(), [1, 2, 3]);
        assert!(buffer.take_error().is_some());
    }
}
