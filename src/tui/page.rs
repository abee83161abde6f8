//! Running text with a cursor: what the screens of a service, a connection and a credential are made of.

use crate::model::view::{ConnectionId, CredentialId};

/// What a piece of text is, from which its colour follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Plain text.
    Plain,
    /// A name or heading.
    Name,
    /// Went well.
    Good,
    /// Went wrong.
    Bad,
    /// Not visible, or to be noted.
    Note,
    /// What to do.
    Advice,
    /// Needed less often.
    Faint,
    /// One of several credentials: told apart by colour beside their letters.
    Credential(usize),
}

/// Where a line leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// To a connection.
    Connection(ConnectionId),
    /// To a credential.
    Credential(CredentialId),
    /// To the swimlane of a client, by its place in the list.
    Client(usize),
    /// To the connections of a filter.
    Filter(String),
}

/// One line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Item {
    /// Its text in pieces.
    pub spans: Vec<(Tone, String)>,
    /// The frame it is about.
    pub frame: Option<u64>,
    /// Where it leads.
    pub target: Option<Target>,
}

impl Item {
    /// A line of one piece.
    #[must_use]
    pub fn of(tone: Tone, text: impl Into<String>) -> Self {
        Self {
            spans: vec![(tone, text.into())],
            ..Self::default()
        }
    }

    /// The same with another piece.
    #[must_use]
    pub fn and(mut self, tone: Tone, text: impl Into<String>) -> Self {
        self.spans.push((tone, text.into()));
        self
    }

    /// The same, about a frame.
    #[must_use]
    pub const fn in_frame(mut self, frame: u64) -> Self {
        self.frame = Some(frame);
        self
    }

    /// The same, leading somewhere.
    #[must_use]
    pub fn to(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> String {
        self.spans.iter().map(|(_, text)| text.as_str()).collect()
    }
}

/// A page of lines in one or two columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScreenPage {
    /// Its lines; those of the right column after those of the left.
    pub items: Vec<Item>,
    /// The first line of the right column; without, there is one column.
    pub split: Option<usize>,
}

/// Width from which on a page stands in two columns.
pub const TWO_COLUMNS: u16 = 150;

/// A cursor in a page, and what of the page is seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The line.
    pub line: usize,
    /// Lines that are scrolled off, in the left or only column and in the right one.
    pub top: [usize; 2],
}

impl Cursor {
    /// To a line, with as little scrolling as needed in a window of `height` lines.
    pub fn go(&mut self, page: &ScreenPage, line: usize, height: usize) {
        self.line = line.min(page.items.len().saturating_sub(1));
        let (column, within) = page.place(self.line);
        if let Some(top) = self.top.get_mut(column) {
            *top = scrolled(*top, within, height);
        }
    }

    /// By so many lines.
    pub fn step(&mut self, page: &ScreenPage, lines: isize, height: usize) {
        self.go(page, self.line.saturating_add_signed(lines), height);
    }
}

/// The first line to be seen so that line `at` is within a window of `height`.
#[must_use]
pub const fn scrolled(top: usize, at: usize, height: usize) -> usize {
    if at < top {
        at
    } else if height > 0 && at >= top + height {
        at + 1 - height
    } else {
        top
    }
}

impl ScreenPage {
    /// Column and line within it.
    #[must_use]
    pub fn place(&self, line: usize) -> (usize, usize) {
        match self.split {
            Some(split) if line >= split => (1, line - split),
            _ => (0, line),
        }
    }

    /// A line of a column.
    #[must_use]
    pub fn line(&self, column: usize, within: usize) -> Option<usize> {
        let line = match (column, self.split) {
            (0, split) => Some(within).filter(|line| split.is_none_or(|split| *line < split)),
            (_, Some(split)) => Some(split + within),
            (_, None) => None,
        };
        line.filter(|line| *line < self.items.len())
    }

    /// The next line from `from` on that holds a text, around the end; backwards if so wanted.
    #[must_use]
    pub fn search(&self, needle: &str, from: usize, forward: bool) -> Option<usize> {
        let needle = needle.to_lowercase();
        let count = self.items.len();
        (0..count)
            .map(|step| {
                if forward {
                    (from + step) % count
                } else {
                    (from + count - step) % count
                }
            })
            .find(|line| {
                let item = self.items.get(*line);
                item.is_some_and(|item| item.text().to_lowercase().contains(&needle))
            })
    }
}

/// Running text with its label in front of the first line and below it further ones, in lines of at most `width`.
pub fn paragraph(items: &mut Vec<Item>, width: u16, label: &str, label_tone: Tone, (tone, text): (Tone, &str)) {
    let hang = label.chars().count();
    let room = usize::from(width).saturating_sub(hang).max(16);
    let mut first = true;
    for line in wrap(text, room) {
        let front = if first { label.to_owned() } else { " ".repeat(hang) };
        items.push(Item::of(label_tone, front).and(tone, line));
        first = false;
    }
    if first {
        items.push(Item::of(label_tone, label));
    }
}

/// `text` in lines of at most `width` characters, broken at spaces where there are any.
#[must_use]
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let mut letters: Vec<char> = word.chars().collect();
        if used > 0 && used + 1 + letters.len() > width {
            lines.push(String::new());
            used = 0;
        }
        while letters.len() > width {
            // Nothing to break at: a filter, an address.
            let rest = letters.split_off(width);
            lines
                .last_mut()
                .into_iter()
                .for_each(|line| line.extend(letters.iter()));
            lines.push(String::new());
            letters = rest;
        }
        if let Some(line) = lines.last_mut() {
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            used += letters.len();
            line.extend(letters);
        }
    }
    lines.retain(|line| !line.trim().is_empty());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_at_spaces_and_long_words_anywhere() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("a bcdefgh i", 4), ["a", "bcde", "fgh", "i"]);
        assert!(wrap("", 9).is_empty());
    }

    #[test]
    fn a_cursor_scrolls_no_more_than_it_must() {
        assert_eq!(scrolled(0, 5, 10), 0);
        assert_eq!(scrolled(0, 10, 10), 1);
        assert_eq!(scrolled(7, 3, 10), 3);
        let page = ScreenPage {
            items: (0..30).map(|line| Item::of(Tone::Plain, line.to_string())).collect(),
            split: Some(10),
        };
        let mut cursor = Cursor::default();
        cursor.go(&page, 29, 5);
        assert_eq!((cursor.line, cursor.top), (29, [0, 15]));
        cursor.step(&page, isize::MAX, 5);
        assert_eq!(cursor.line, 29);
        cursor.step(&page, isize::MIN, 5);
        assert_eq!((cursor.line, cursor.top), (0, [0, 15]));
    }

    #[test]
    fn a_text_is_found_around_the_end() {
        let page = ScreenPage {
            items: ["Alpha", "beta", "alphabet"]
                .map(|text| Item::of(Tone::Plain, text))
                .into(),
            split: None,
        };
        assert_eq!(page.search("ALPHA", 1, true), Some(2));
        assert_eq!(page.search("alpha", 2, true), Some(2));
        assert_eq!(page.search("beta", 2, true), Some(1));
        assert_eq!(page.search("alphabet", 1, false), Some(2));
        assert_eq!(page.search("gamma", 0, true), None);
        assert_eq!(ScreenPage::default().search("x", 0, true), None);
    }
}
