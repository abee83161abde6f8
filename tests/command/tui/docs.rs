//! The screens and keys as a page of the documentation, and one of the screens in the README.

use std::fmt::Write as _;

use reshake::tui::keys::{KEYS, KeyContext};

use super::look::Look;
use crate::common::root;

const SIZE: (u16, u16) = (110, 34);

fn screen(fixture: &str, keys: &str) -> String {
    let text = Look::at(fixture, SIZE).press(keys).text();
    // Rows without anything say nothing on a page.
    let mut shown = String::new();
    let mut empty = 0;
    for line in text.lines() {
        empty = if line.is_empty() { empty + 1 } else { 0 };
        if empty < 2 {
            shown.push_str(line);
            shown.push('\n');
        }
    }
    shown
}

fn page() -> String {
    let mut page = String::from(
        "# The screens of `reshake view`\n\n\
         <!-- Made from the screens and the table of keys; a test compares. UPDATE=1 cargo test rewrites it. -->\n\n\
         ```sh\nreshake view farm.pcapng\nssh host tcpdump -U -s 0 -c 100000 -w - port 443 | reshake view -\n```\n\n\
         All of these show captures of the repository, at 110 columns and without colour. They work from 80×24 on, with\n\
         sixteen colours or with none (`NO_COLOR`).\n\n\
         A capture of a million connections is looked at like a small one: filters and orders over all of them are worked out beside\n\
         the keys, which go on working. `cargo bench --bench tui` says how long a key and each of those take on a machine.\n",
    );
    for (title, words, fixture, keys) in [
        (
            "Overview",
            "How much resumed, over time too; services in the order of what they waste; reasons. Enter goes into a service,\n\
             or to the connections of a reason.",
            "captures/quickstart",
            "",
        ),
        (
            "Service",
            "One client's sessions on their way between backends: where each was issued (●), offered, accepted (✓) or\n\
             declined (✗). A letter is a session; a dashed line leads from the backend that has it to the one that was\n\
             asked. Below, what the service as a whole shows.",
            "captures/quickstart",
            "<Enter>",
        ),
        (
            "Connections",
            "Filtered as it is typed, sorted by any column.",
            "captures/quickstart",
            "2foutcome:declined client:10.0.0.12<Enter>",
        ),
        (
            "Connection",
            "Why, with the frames that show it; then every message. `i` goes to the connection that issued what was\n\
             offered here.",
            "captures/quickstart",
            "2jj<Enter>",
        ),
        (
            "Credentials",
            "What was issued, what became of it, and why it ended.",
            "captures/quickstart",
            "3",
        ),
        (
            "Credential",
            "The life of one session.",
            "captures/quickstart",
            "3<Enter>",
        ),
    ] {
        write!(
            page,
            "\n## {title}\n\n{words}\n\n```text\n{}```\n",
            screen(fixture, keys)
        )
        .expect("a string");
    }
    page.push_str("\n## Keys\n\nThe filter takes the terms of `--where`: [where.md](where.md).\n");
    for place in KeyContext::ALL {
        write!(page, "\n**{}**\n\n| key | does |\n|---|---|\n", place.title()).expect("a string");
        for binding in KEYS.iter().filter(|binding| binding.places.contains(&place)) {
            let keys: Vec<String> = binding.label().split(' ').map(|key| format!("`{key}`")).collect();
            writeln!(page, "| {} | {} |", keys.join(" "), binding.words.replace('*', "\\*")).expect("a string");
        }
    }
    page.push_str(
        "\nThe mouse works too: the wheel scrolls, a click chooses, a second click opens, a click on a heading sorts.\n",
    );
    page
}

#[test]
fn the_page_of_screens_is_up_to_date() {
    compare("docs/screens.md", |_| page());
}

#[test]
fn the_readme_shows_a_screen_as_it_is() {
    const BEGIN: &str = "<!-- screen -->\n```text\n";
    compare("README.md", |readme| {
        let (before, rest) = readme.split_once(BEGIN).expect("a place for the screen");
        let (_, after) = rest.split_once("```").expect("its end");
        let shown: String = screen("captures/quickstart", "<Enter>")
            .lines()
            .take(15)
            .map(|line| line.to_owned() + "\n")
            .collect();
        format!("{before}{BEGIN}{shown}```{after}")
    });
}

fn compare(path: &str, made: impl FnOnce(&str) -> String) {
    let file = root().join(path);
    let there = std::fs::read_to_string(&file).unwrap_or_default();
    let made = made(&there);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &made).expect("documentation can be written");
    } else {
        assert!(
            made == there,
            "{path} is not what the program shows; UPDATE=1 cargo test rewrites it"
        );
    }
}
