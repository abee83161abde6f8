//! What standard output can show: how wide it is, and which letters.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};

use ratatui::crossterm::terminal;

use super::print;
use crate::render::text;
use crate::wording::in_ascii;

/// Columns in which text is laid out: narrower, hardly a word fits; wider, the eye loses the line.
const COLUMNS: std::ops::RangeInclusive<usize> = 40..=160;

/// A report as text, for the terminal that is there.
pub(super) fn options(coloured: bool, all: bool) -> text::TextOptions {
    text::TextOptions {
        coloured,
        all,
        width: width(),
        fold: io::stdout().is_terminal(),
        ..text::TextOptions::default()
    }
}

/// The width of the terminal; without one, that of a page.
fn width() -> usize {
    if !io::stdout().is_terminal() {
        return text::WIDTH;
    }
    match terminal::size() {
        // Some terminals say nothing by saying 0.
        Ok((0, _)) | Err(_) => text::WIDTH,
        Ok((columns, _)) => usize::from(columns).clamp(*COLUMNS.start(), *COLUMNS.end()),
    }
}

/// Hands a buffered standard output to `write`. What is text for people takes the letters that the locale has; what is
/// for programs is UTF-8 everywhere.
pub(super) fn print_form(for_people: bool, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    if !for_people || is_unicode(|name| std::env::var_os(name)) {
        return print(write);
    }
    print(|out| {
        let mut plain = Ascii { out, line: Vec::new() };
        write(&mut plain)?;
        plain.flush()
    })
}

/// Whether the locale is one of UTF-8. Where none is set, as in containers and on Windows, the terminal most likely is.
fn is_unicode(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    // POSIX: the first that is set and not empty decides.
    let set = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .filter_map(variable)
        .find(|value| !value.is_empty());
    set.is_none_or(|value| {
        let value = value.to_string_lossy().to_ascii_lowercase();
        value.contains("utf-8") || value.contains("utf8")
    })
}

/// Text on its way to a terminal without Unicode, a line at a time: a character may come in parts.
struct Ascii<'o> {
    out: &'o mut dyn Write,
    line: Vec<u8>,
}

impl Write for Ascii<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.flush()?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        self.out.write_all(in_ascii(&String::from_utf8_lossy(&line)).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_variable_that_says_something_decides() {
        let locale = |set: &[(&str, &str)]| {
            is_unicode(|name| {
                let found = set.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| OsString::from(value))
            })
        };
        assert!(locale(&[]));
        assert!(locale(&[("LANG", "en_US.UTF-8")]));
        assert!(locale(&[("LC_ALL", ""), ("LANG", "C.utf8")]));
        assert!(!locale(&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")]));
        assert!(!locale(&[("LANG", "de_DE.ISO-8859-1")]));
    }
}
