//! The answer as JUnit XML, the form of test reports that pipelines read: a test case for each rule, a failure for each
//! violated one, an error for each input that could not be read.

use std::io::{self, Write};

use super::Check;
use super::words::VerdictText;
use crate::wording::printable;

/// Writes the answer.
pub(super) fn write(check: &Check<'_, '_>, out: &mut dyn Write) -> io::Result<()> {
    let told = VerdictText::all(check);
    let errors = &check.asked.errors;
    let counts = format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\"",
        told.len() + errors.len(),
        check.violated(),
        errors.len()
    );
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(out, "<testsuites name=\"reshake check\" {counts}>")?;
    writeln!(out, "  <testsuite name=\"reshake check\" {counts} skipped=\"0\">")?;
    for error in errors {
        writeln!(out, "    <testcase classname=\"reshake.input\" name=\"input\">")?;
        writeln!(out, "      <error type=\"unreadable\" message=\"{}\"/>", escaped(error))?;
        writeln!(out, "    </testcase>")?;
    }
    for told in &told {
        case(told, out)?;
    }
    writeln!(out, "  </testsuite>\n</testsuites>")
}

fn case(told: &VerdictText<'_>, out: &mut dyn Write) -> io::Result<()> {
    let class = escaped(&told.area);
    let name = escaped(&told.title);
    write!(out, "    <testcase classname=\"reshake.{class}\" name=\"{name}\"")?;
    if told.verdict.holds {
        return writeln!(out, "/>");
    }
    writeln!(out, ">")?;
    let message = format!("required {}; found {}", told.required, told.found);
    writeln!(
        out,
        "      <failure type=\"violated\" message=\"{}\">from {}",
        escaped(&message),
        escaped(&told.origin)
    )?;
    for line in told.lines() {
        writeln!(out, "{}", escaped(&line))?;
    }
    writeln!(out, "</failure>\n    </testcase>")
}

/// One line of text for XML. What XML 1.0 cannot hold at all is escaped before, as for a terminal.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in printable(text, usize::MAX).chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // Neither is a character of XML 1.0.
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_ends_what_it_stands_in() {
        assert_eq!(
            escaped("a<b>&\"c\"\u{1b}]\n\u{ffff}"),
            "a&lt;b&gt;&amp;&quot;c&quot;\\u{1b}]\\u{a}\u{fffd}"
        );
    }
}
