//! Strings from the wire on their way to a terminal. Server names, file names and texts made of them are under the
//! control of whoever sent the packets; a terminal must not be.

/// Longest string from the wire that is shown in full.
pub const MAX_WIRE: usize = 80;

/// `text` with everything escaped that a terminal would act on or that would not be seen: control characters, escape
/// sequences, line separators, bidirectional controls, zero-width and other invisible characters, private use. What is
/// longer than `max` characters is cut, and the cut is shown.
#[must_use]
pub fn printable(text: &str, max: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(max));
    for (count, letter) in text.chars().enumerate() {
        if count >= max {
            shown.push('…');
            break;
        }
        if is_safe(letter) {
            shown.push(letter);
        } else {
            shown.extend(letter.escape_unicode());
        }
    }
    shown
}

/// Whether a character shows as itself and nothing else.
fn is_safe(letter: char) -> bool {
    if letter.is_ascii() {
        return !letter.is_ascii_control();
    }
    !letter.is_control() && !is_invisible(letter)
}

/// Characters that take no place, change the direction of others, or mean different things on different machines
/// (Unicode categories Cf, Zl, Zp, Co and the fillers).
const fn is_invisible(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{600}'..='\u{605}' | '\u{6dd}' | '\u{70f}' | '\u{890}' | '\u{891}' | '\u{8e2}'
        | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_stay_as_they_are() {
        for name in [
            "www.example.test",
            "a b_c-d*",
            "bücher.example",
            "例え.テスト",
            "/srv/x.pcapng",
            "",
        ] {
            assert_eq!(printable(name, MAX_WIRE), name);
        }
    }

    #[test]
    fn escape_sequences_lose_their_power() {
        let name = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31mx\r\n\u{8}\u{7f}\0";
        let shown = printable(name, MAX_WIRE);
        assert_eq!(
            shown,
            "\\u{1b}[2J\\u{1b}]0;owned\\u{7}\\u{9b}31mx\\u{d}\\u{a}\\u{8}\\u{7f}\\u{0}"
        );
        assert!(!shown.chars().any(char::is_control));
    }

    #[test]
    fn text_that_reads_otherwise_than_it_is_shows_its_tricks() {
        assert_eq!(printable("moc.\u{202e}elpmaxe", 99), "moc.\\u{202e}elpmaxe");
        assert_eq!(
            printable("exa\u{200b}mple\u{2066}\u{feff}", 99),
            "exa\\u{200b}mple\\u{2066}\\u{feff}"
        );
        assert_eq!(
            printable("a\u{2028}b\u{e000}\u{e0041}", 99),
            "a\\u{2028}b\\u{e000}\\u{e0041}"
        );
    }

    #[test]
    fn long_strings_are_cut() {
        let name = "a".repeat(300);
        let shown = printable(&name, MAX_WIRE);
        assert_eq!(shown.chars().count(), MAX_WIRE + 1);
        assert!(shown.ends_with('…'));
        assert_eq!(printable(&"b".repeat(MAX_WIRE), MAX_WIRE).len(), MAX_WIRE);
    }
}
