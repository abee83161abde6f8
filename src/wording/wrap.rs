//! Text in lines.

/// `text` in lines of at most `width` characters, broken at spaces; a longer word stays whole.
pub(crate) fn wrap(text: &str, width: usize) -> impl Iterator<Item = &str> {
    let mut rest = text.trim();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut end = None;
        for (count, (at, letter)) in rest.char_indices().enumerate() {
            if count > width && end.is_some() {
                break;
            }
            if letter == ' ' {
                end = Some(at);
            }
        }
        let fits = rest.chars().count() <= width;
        let (line, next) = rest.split_at(if fits { rest.len() } else { end.unwrap_or(rest.len()) });
        rest = next.trim_start();
        Some(line.trim_end())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_at_spaces_only() {
        let lines: Vec<&str> = wrap("one two three-and-a-very-long-word four", 9).collect();
        assert_eq!(lines, ["one two", "three-and-a-very-long-word", "four"]);
        assert_eq!(wrap("exactly ten", 11).collect::<Vec<_>>(), ["exactly ten"]);
        assert_eq!(wrap("exactly ten", 10).collect::<Vec<_>>(), ["exactly", "ten"]);
        assert_eq!(wrap("", 9).count(), 0);
    }
}
