//! Names that act on a terminal, read otherwise than they are, or have no end.

use super::{alone, wire};
use crate::common::forge::{client_hello, client_side, extensions, full_answer, prefixed, server_name};
use crate::common::forms;
use reshake::model::Report;
use reshake_core::engine::Engine;
use reshake_core::net::Capture;
use reshake_core::net::capture::CaptureFormat;

/// Server names from the wire. What must never stand in anything that people read is in all of them.
const NAMES: [&[u8]; 9] = [
    b"\x1b[2J\x1b]0;owned\x07.example",
    b"\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    b"line\r\nnew: line\n",
    "moc.\u{202e}elpmaxe".as_bytes(),
    "\u{2066}a\u{2069}\u{200b}b\u{feff}c\u{ad}".as_bytes(),
    "\u{9b}31m\u{85}\u{90}\u{e0041}".as_bytes(),
    b"\xff\xfe\x00\x08\x7f",
    b"| table | *cell* <img src=x> [a](b) `c`",
    b"=HYPERLINK(\"http://evil.example\")",
];

/// An engine that has seen a connection to each of these names, each of which offers ALPN of the same bytes.
fn seen(names: &[Vec<u8>]) -> Engine {
    let mut wire = wire();
    for (name, number) in names.iter().zip(0..) {
        let alpn = prefixed(
            &[
                &[u8::try_from(name.len().min(255)).expect("a byte")][..],
                &name[..name.len().min(255)],
            ]
            .concat(),
        );
        let block = extensions(&[(0, &server_name(name)), (16, &alpn), (35, &[])]);
        for turn in 0..2 {
            let number = 2 * number + turn;
            let hello = client_hello(number, &[], &[0xc02f], &block);
            wire.exchange(
                number,
                &client_side(&hello, true),
                &full_answer(number, &[vec![9; 200]]),
            );
            wire.now += 2_000_000_000;
        }
    }
    wire.finish()
}

/// What a terminal would act on, or an eye not see.
fn is_dangerous(letter: char) -> bool {
    (letter.is_control() && letter != '\n')
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{ad}' | '\u{e0000}'..='\u{e0fff}')
}

/// The text without the colours that the report itself gives.
fn without_colours(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        out.push_str(before);
        let end = after
            .find(|letter: char| !letter.is_ascii_digit() && letter != ';')
            .unwrap_or(after.len());
        assert!(
            after[end..].starts_with('m'),
            "an escape sequence that is no colour: {after:.20}"
        );
        rest = &after[end + 1..];
    }
    out + rest
}

#[test]
fn no_name_reaches_a_terminal_as_it_is() {
    let _alone = alone();
    let engine = seen(&NAMES.map(<[u8]>::to_vec));
    let captures = NAMES.map(|name| Capture::new(&String::from_utf8_lossy(name), CaptureFormat::Pcap));
    let report = Report::of(&engine, captures.to_vec());
    assert_eq!(report.services.len(), NAMES.len());
    let forms = forms::for_people(&report);
    assert!(forms.len() > 20, "only {} forms", forms.len());
    let mut shown = 0;
    for (form, bytes) in forms {
        let text = String::from_utf8(bytes).unwrap_or_else(|_| panic!("{form} is UTF-8"));
        let plain = without_colours(&text);
        let found = plain.chars().find(|letter| is_dangerous(*letter));
        assert_eq!(found, None, "{form}: {plain}");
        assert!(!plain.contains("\nnew: line"), "{form}: a name began a line");
        shown += usize::from(plain.contains("owned"));
    }
    assert!(shown > 5, "the names stand in only {shown} forms: nothing was tested");
}

#[test]
fn what_machines_read_keeps_every_name_apart() {
    let _alone = alone();
    let engine = seen(&NAMES.map(<[u8]>::to_vec));
    let report = Report::of(&engine, vec![Capture::new("x", CaptureFormat::Pcap)]);
    for (form, bytes) in forms::for_machines(&report) {
        let text = String::from_utf8(bytes).expect("UTF-8");
        for line in text.lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{form}: {e}"));
            if form == "document" {
                let services = value["services"].as_array().expect("a list");
                let names: std::collections::HashSet<&str> = services
                    .iter()
                    .filter_map(|service| service["server_name"].as_str())
                    .collect();
                assert_eq!(names.len(), NAMES.len());
            }
        }
    }
}

/// Names of 60 KB in everything that people read: each is cut, and the cut is shown.
#[test]
fn long_names_make_no_long_report() {
    let _alone = alone();
    let long: Vec<Vec<u8>> = (0..6_u8)
        .map(|number| [vec![b'a' + number; 59_000], vec![0x1b; 1_000]].concat())
        .collect();
    let engine = seen(&long);
    let report = Report::of(&engine, vec![Capture::new(&"p".repeat(100_000), CaptureFormat::Pcap)]);
    for (form, bytes) in forms::for_people(&report) {
        // A page has its style and pictures, and says most things more than once.
        let most = if form == "html" { 128_000 } else { 64_000 };
        assert!(bytes.len() < most, "{form} has {} bytes", bytes.len());
    }
}
