//! Text for terminals that show no Unicode.

/// The same in letters that every terminal shows; what has no like is escaped.
pub(crate) fn in_ascii(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '…' => plain.push_str("..."),
            '→' => plain.push_str("->"),
            '←' => plain.push_str("<-"),
            '–' | '—' | '−' | '‑' => plain.push('-'),
            '×' => plain.push('x'),
            '·' | '•' => plain.push('*'),
            '≤' => plain.push_str("<="),
            '≥' => plain.push_str(">="),
            '§' => plain.push_str("section "),
            '\u{a0}' => plain.push(' '),
            letter if letter.is_ascii() => plain.push(letter),
            letter => plain.extend(letter.escape_unicode()),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_like_in_ascii_is_escaped() {
        assert_eq!(in_ascii("… a → b, bücher"), "... a -> b, b\\u{fc}cher");
        assert_eq!(in_ascii("\u{1b}[1mplain\u{1b}[0m"), "\u{1b}[1mplain\u{1b}[0m");
    }
}
