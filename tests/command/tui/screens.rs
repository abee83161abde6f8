//! Every screen at three sizes, with colour and without, from real captures.

use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

use super::look::{Look, report_of, text};
use crate::common::{analyse, fixtures, source_of_bytes};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

/// Every screen: its name, the fixture, and the keys that lead there.
const SCREENS: [(&str, &str, &str); 12] = [
    ("overview", "captures/quickstart", ""),
    ("overview_reasons", "captures/tls13-early-data", "l"),
    ("connections", "captures/quickstart", "2jj"),
    (
        "connections_filtered",
        "captures/quickstart",
        "2foutcome:declined backend:2<Enter><Right><Right><Right>r",
    ),
    ("service", "captures/quickstart", "<Enter>"),
    ("service_keys", "reasons/stek-not-shared", "<Enter>"),
    ("service_possible", "captures/certificate-of-one-machine", "<Enter>"),
    ("connection", "captures/quickstart", "2jj<Enter>"),
    (
        "connection_possible",
        "captures/certificate-of-one-machine",
        "2jj<Enter>",
    ),
    ("connection_tls13", "captures/tls13-early-data", "2G<Enter>"),
    ("credentials", "captures/quickstart", "3j"),
    ("credential", "captures/quickstart", "3j<Enter>"),
];

#[test]
fn every_screen_at_three_sizes() {
    for (name, fixture, keys) in SCREENS {
        let report = report_of(&crate::common::fixture(fixture));
        for size in SIZES {
            let look = Look::at_report(report.clone(), size).press(keys);
            let coloured = look.buffer(true);
            let shown = format!("{}\n{}", text(&coloured), styles(&coloured));
            insta::assert_snapshot!(format!("{name}_{}x{}", size.0, size.1), shown);
        }
    }
}

#[test]
fn without_colour_the_same_is_shown_and_nothing_is_coloured() {
    for (name, fixture, keys) in SCREENS {
        for size in SIZES {
            let look = Look::at(fixture, size).press(keys);
            let (coloured, plain) = (look.buffer(true), look.buffer(false));
            assert_eq!(text(&coloured), text(&plain), "{name}");
            let has_colour = |cell: &Cell| cell.fg != Color::Reset || cell.bg != Color::Reset;
            assert!(coloured.content.iter().any(has_colour), "{name}: colour is used");
            assert!(!plain.content.iter().any(has_colour), "{name}");
        }
    }
}

#[test]
fn only_the_sixteen_colours_of_every_terminal_are_used() {
    let beyond = |cell: &Cell| matches!(cell.fg, Color::Rgb(..) | Color::Indexed(_)) || cell.bg != Color::Reset;
    for (name, fixture, keys) in SCREENS {
        let look = Look::at(fixture, (120, 40)).press(keys);
        assert!(!look.buffer(true).content.iter().any(beyond), "{name}");
    }
}

#[test]
fn every_fixture_can_be_looked_at_in_every_size() {
    let keys = [
        "",
        "l",
        "2",
        "2G<Enter>",
        "2G<Enter>v",
        "2<Enter>GGkkk",
        "3",
        "3G<Enter>",
        "2<Right>r",
        "?G",
    ];
    for fixture in fixtures() {
        let report = report_of(&fixture);
        for keys in keys {
            let mut look = Look::at_report(report.clone(), (80, 24)).press(keys);
            for size in [(1, 1), (40, 10), (80, 24), (150, 12), (250, 70)] {
                look.event(reshake::tui::event::UserEvent::Resize(size.0, size.1));
                let shown = look.text();
                let raw = |letter: char| letter.is_control() && letter != '\n';
                assert!(!shown.chars().any(raw), "{} {keys}: {shown:?}", fixture.name);
            }
        }
    }
}

#[test]
fn names_from_the_wire_reach_the_screen_escaped() {
    // Control characters; and letters that are none, but change the direction of others or are not seen.
    for (hostile, shown) in [
        ("\x1b[31mx\x07\r\n\x7f", "\\x1b[31m"),
        ("\u{202e}\u{feff}abcd", "\\u{202e}\\u{feff}"),
    ] {
        shows_escaped(hostile.as_bytes(), shown);
    }
}

fn shows_escaped(hostile: &[u8], escaped: &str) {
    let mut bytes = crate::common::fixture("captures/quickstart").bytes();
    let places: Vec<usize> = (0..bytes.len() - 10)
        .filter(|at| &bytes[*at..at + 10] == b"www.a.test")
        .collect();
    assert!(!places.is_empty());
    for place in places {
        bytes[place..place + 10].copy_from_slice(hostile);
    }
    let source = source_of_bytes("hostile", bytes, 0).expect("a capture");
    let (engine, captures) = analyse(vec![source], reshake_core::engine::Limits::default());
    let report = std::sync::Arc::new(reshake::model::Report::of(std::sync::Arc::new(engine), captures));
    let mut met = 0;
    for keys in ["", "2", "<Enter>", "2<Enter>", "3", "3<Enter>"] {
        let shown = Look::at_report(report.clone(), (200, 50)).press(keys).text();
        assert!(
            !shown.chars().any(|letter| letter.is_control() && letter != '\n'),
            "{shown:?}"
        );
        met += usize::from(shown.contains(escaped));
    }
    assert!(
        met >= 5,
        "the name is seen on {met} screens: {:?}",
        Look::at_report(report, (200, 50)).press("2").text()
    );
}

/// Runs of cells that are not plain: `12: 3-20 green bold`.
fn styles(buffer: &Buffer) -> String {
    let mut out = String::new();
    for y in 0..buffer.area.height {
        let mut runs: Vec<(u16, u16, String)> = Vec::new();
        for x in 0..buffer.area.width {
            let style = style(&buffer[(x, y)]);
            match runs.last_mut() {
                Some((_, end, known)) if *known == style && *end + 1 == x => *end = x,
                _ => runs.push((x, x, style)),
            }
        }
        runs.retain(|(.., style)| !style.is_empty());
        if !runs.is_empty() {
            let runs: Vec<String> = runs
                .iter()
                .map(|(from, to, style)| format!("{from}-{to} {style}"))
                .collect();
            writeln!(out, "{y}: {}", runs.join(", ")).expect("a string takes everything");
        }
    }
    out
}

fn style(cell: &Cell) -> String {
    let mut words = Vec::new();
    if cell.fg != Color::Reset {
        words.push(cell.fg.to_string().to_lowercase());
    }
    for (modifier, word) in [
        (Modifier::BOLD, "bold"),
        (Modifier::DIM, "dim"),
        (Modifier::REVERSED, "reversed"),
        (Modifier::UNDERLINED, "underlined"),
    ] {
        if cell.modifier.contains(modifier) {
            words.push(word.to_owned());
        }
    }
    words.join(" ")
}
