//! Lines that fit the terminal: as wide as it is, broken between words only.

use std::io::{self, Write};

/// Spaces that set parts of a line apart: the better place to break it.
const GAP: usize = 2;
/// What continues a line stands so much further in.
const HANG: usize = 4;

/// What lines pass on their way out.
pub(super) struct Lines<'p> {
    out: &'p mut dyn Write,
    width: usize,
    /// Every line keeps to the width, not only running text.
    fold: bool,
    /// A line that has not ended.
    line: Vec<u8>,
}

impl<'p> Lines<'p> {
    /// Lines of at most `width` columns.
    pub(super) const fn new(out: &'p mut dyn Write, width: usize, fold: bool) -> Self {
        Self {
            out,
            width,
            fold,
            line: Vec::new(),
        }
    }

    /// Columns.
    pub(super) const fn width(&self) -> usize {
        self.width
    }

    /// One line that stays whole however long it is: it is there to be copied.
    pub(super) fn whole(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.out, "{line}")
    }

    fn end_line(&mut self) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&bytes);
        if !self.fold || columns(&line) <= self.width {
            return writeln!(self.out, "{line}");
        }
        let indent = line.chars().take_while(|letter| *letter == ' ').count();
        let hang = (indent + HANG).min(self.width / 2);
        let mut rest = line.as_ref();
        let mut room = self.width;
        let mut before = String::new();
        while columns(rest) > room {
            let Some((front, back)) = broken(rest, room) else { break };
            writeln!(self.out, "{before}{front}")?;
            rest = back;
            before = " ".repeat(hang);
            room = self.width.saturating_sub(hang).max(1);
        }
        writeln!(self.out, "{before}{rest}")
    }
}

impl Write for Lines<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            if let Some(line) = part.strip_suffix(b"\n") {
                self.line.extend_from_slice(line);
                self.end_line()?;
            } else {
                self.line.extend_from_slice(part);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Characters with their places, without the sequences that only set a colour (`ESC [ … m`).
fn visible(text: &str) -> impl Iterator<Item = (usize, char)> + '_ {
    let mut in_sequence = false;
    text.char_indices().filter(move |(_, letter)| {
        if in_sequence {
            in_sequence = *letter != 'm';
            return false;
        }
        in_sequence = *letter == '\u{1b}';
        !in_sequence
    })
}

fn columns(text: &str) -> usize {
    visible(text).count()
}

/// What fits into so many columns, and the rest; `None` where there is no space to break at.
fn broken(text: &str, room: usize) -> Option<(&str, &str)> {
    let indent = visible(text).take_while(|(_, letter)| *letter == ' ').count();
    let (mut word, mut part) = (None, None);
    let mut spaces = 0;
    for (column, (at, letter)) in visible(text).enumerate().skip(indent) {
        if letter != ' ' {
            spaces = 0;
            continue;
        }
        spaces += 1;
        // The first space of several ends what stands before them.
        let end = at + 1 - spaces;
        if column + 1 - spaces > room {
            break;
        }
        word = Some(end);
        if spaces >= GAP {
            part = Some((column, end));
        }
    }
    // Parts stay together where that leaves no line half empty.
    let part = part.filter(|(column, _)| *column > room / 2).map(|(_, end)| end);
    let (front, back) = text.split_at_checked(part.or(word)?)?;
    Some((front, back.trim_start_matches(' ')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(text: &str, width: usize) -> Vec<String> {
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out, width, true);
        writeln!(lines, "{text}").expect("written to memory");
        let text = String::from_utf8(out).expect("UTF-8");
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn lines_break_between_words_and_rather_between_parts() {
        assert_eq!(fitted("  one two   three four", 40), ["  one two   three four"]);
        assert_eq!(
            fitted("  one two three   four five", 20),
            ["  one two three", "      four five"]
        );
        assert_eq!(
            fitted("one   two three four five", 16),
            ["one   two three", "    four five"]
        );
        assert_eq!(
            fitted("a-word-that-is-longer-than-the-line x", 10),
            ["a-word-that-is-longer-than-the-line x"]
        );
    }

    #[test]
    fn colours_take_no_columns() {
        let red = "\u{1b}[31mone\u{1b}[0m two";
        assert_eq!(fitted(red, 7), [red]);
        assert_eq!(fitted(red, 6), ["\u{1b}[31mone\u{1b}[0m", "   two"]);
    }
}
