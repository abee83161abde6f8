//! A file of facts, line by line. What stands in a line is not known here.

use memchr::memchr;

use super::SourceError;
use super::input::Input;

/// Longest line that is taken: a header with every address fact that is kept is far below it.
const MAX_LINE: usize = 16 << 20;

/// Lines of text, plain or compressed.
pub struct FactFile {
    input: Input,
    /// Bytes at hand that belong to the line given last.
    given: usize,
}

/// A line, or what stood in its place.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// The line without its end.
    Whole(&'a [u8]),
    /// It is too long to be taken, and was passed over.
    TooLong,
}

impl FactFile {
    pub(super) const fn new(input: Input) -> Self {
        Self { input, given: 0 }
    }

    /// Whether these can be the first bytes of one.
    pub(super) fn recognises(start: &[u8]) -> bool {
        start.starts_with(b"{")
    }

    /// Path as given.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.input.capture.path
    }

    /// The next line; `None` at the end.
    pub fn next_line(&mut self) -> Option<Line<'_>> {
        let buffer = &mut self.input.buffer;
        buffer.consume(std::mem::take(&mut self.given));
        let mut searched = 0;
        loop {
            let fresh = buffer.data().get(searched..).unwrap_or_default();
            if let Some(at) = memchr(b'\n', fresh) {
                let length = searched + at;
                self.given = length + 1;
                return self.line(length);
            }
            searched = buffer.data().len();
            if searched > MAX_LINE {
                self.pass_over();
                return Some(Line::TooLong);
            }
            if !buffer.fill(searched + 1) {
                self.given = searched;
                return if searched == 0 { None } else { self.line(searched) };
            }
        }
    }

    fn line(&self, length: usize) -> Option<Line<'_>> {
        if length > MAX_LINE {
            return Some(Line::TooLong);
        }
        self.input.buffer.data().get(..length).map(Line::Whole)
    }

    /// Drops what is left of a line.
    fn pass_over(&mut self) {
        let buffer = &mut self.input.buffer;
        loop {
            if let Some(at) = memchr(b'\n', buffer.data()) {
                buffer.consume(at + 1);
                return;
            }
            buffer.consume(buffer.data().len());
            if !buffer.fill(1) {
                return;
            }
        }
    }

    /// The error that ended reading, if one did.
    pub fn error(&mut self) -> Option<SourceError> {
        let cause = self.input.buffer.take_error()?;
        Some(SourceError::Facts {
            path: self.path().to_owned(),
            offset: self.input.buffer.offset(),
            cause,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read};

    use super::super::{OpenedInput, Stream, recognise_stream};
    use super::*;

    fn file(reader: impl Read + Send + 'static) -> FactFile {
        let stream = Stream {
            name: "x".to_owned(),
            reader: Box::new(reader),
            size: None,
        };
        match recognise_stream(stream, 0) {
            Ok(OpenedInput::Facts(file)) => *file,
            Ok(OpenedInput::Capture(_)) => panic!("a capture"),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn lines_come_whole_whatever_their_length() {
        let long = vec![b'x'; 700_000];
        let text = [b"{}\n".as_slice(), &long, b"\n\nlast"].concat();
        let mut file = file(Cursor::new(text));
        assert_eq!(file.next_line(), Some(Line::Whole(b"{}")));
        assert_eq!(file.next_line(), Some(Line::Whole(&long)));
        assert_eq!(file.next_line(), Some(Line::Whole(b"")));
        assert_eq!(file.next_line(), Some(Line::Whole(b"last")));
        assert_eq!(file.next_line(), None);
        assert!(file.error().is_none());
    }

    #[test]
    fn a_line_without_end_is_passed_over_in_bounded_memory() {
        let endless = std::io::repeat(b'x').take(3 * MAX_LINE as u64);
        let mut file = file(
            Cursor::new(b"{".to_vec())
                .chain(endless)
                .chain(Cursor::new(b"\nnext\n".to_vec())),
        );
        assert_eq!(file.next_line(), Some(Line::TooLong));
        assert_eq!(file.next_line(), Some(Line::Whole(b"next")));
        assert_eq!(file.next_line(), None);
    }
}
