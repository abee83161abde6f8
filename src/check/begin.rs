//! The rule file to begin with: every rule with what it means, the useful ones in force.

use std::fmt::Write as _;

use super::catalog::{Given, RULES};

/// Rules that are in force in it, with their values.
const IN_FORCE: [(&str, &str); 4] = [
    ("min-connections", "4"),
    ("max-unclear", "0.1"),
    ("min-returning-share", "0.9"),
    (
        "forbid-pattern",
        "[\"session-state-not-shared\", \"ticket-keys-not-shared\", \"ticket-key-per-process\"]",
    ),
];

/// What the value of another rule may look like.
fn example(name: &str) -> &'static str {
    match name {
        "min-resumption-rate" => "0.9",
        "must-resume" => "\"2+\"",
        "forbid-reason" => "\"stek-*\"",
        "require-reason" | "allow-new-reason" => "\"first-in-capture\"",
        "require-pattern" => "\"session-state-not-shared\"",
        "forbid-finding" => "\"*\"",
        "require-finding" => "\"early-data-accepted-twice\"",
        "max-ticket-lifetime" | "max-key-age" => "\"24h\"",
        "early-data" => "\"forbid\"",
        "allow-version" => "[\"TLS 1.2\", \"TLS 1.3\"]",
        "max-rate-drop" => "0.05",
        "baseline" => "\"baseline.json\"",
        "min-confidence" => "\"inferred\"",
        _ => "\"\"",
    }
}

/// The file as text.
#[must_use]
pub fn begin() -> String {
    let mut text = String::from(
        "# Rules for 'reshake check --rules FILE CAPTURE…'. What is commented out does not apply.\n\
         # A rule whose quantity does not exist is violated: an empty capture proves nothing.\n",
    );
    for kind in RULES.iter().filter(|kind| kind.given != Given::Never) {
        let value = IN_FORCE.iter().find(|(name, _)| *name == kind.name);
        let (sign, value) = value.map_or(("# ", example(kind.name)), |(_, value)| ("", *value));
        let _ = write!(text, "\n# {}.\n{sign}{} = {value}\n", capital(kind.summary), kind.name);
    }
    text.push_str(
        "\n# The same for every service by itself; also [each.server-name] and [each.mechanism].\n\
         # [each.service]\n# min-resumption-rate = 0.9\n\
         \n# The same for a part of the connections, by the terms of 'analyze --where'.\n\
         # [[part]]\n# where = \"name:www.example.test\"\n# must-resume = \"2+\"\n",
    );
    text
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Rules;

    #[test]
    fn the_file_holds_and_so_does_every_example_in_it() {
        let read = |text: &str| {
            let mut rules = Rules::default();
            rules.add_file("rules.toml", text, &|_| Ok(())).map(|()| rules)
        };
        let text = begin();
        assert!(read(&text).is_ok_and(|rules| !rules.is_bare()));
        for kind in RULES.iter().filter(|kind| kind.given != Given::Never) {
            let line = text.lines().find(|line| {
                let bare = line.trim_start_matches("# ");
                bare.split_once(" = ").is_some_and(|(name, _)| name == kind.name)
            });
            let line = line.unwrap_or_else(|| panic!("{} is not told", kind.name));
            let alone = read(line.trim_start_matches("# "));
            assert!(
                alone.is_ok(),
                "{line}: {:?}",
                alone.err().map(|fault| fault.to_string())
            );
        }
    }
}
