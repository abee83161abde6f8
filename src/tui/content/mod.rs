//! Views of the report as pages of lines.

mod connection;
mod credential;
mod service;
mod swimlane;

pub use connection::{connection, connection_in_columns};
pub use credential::credential;
pub use service::service;

use crate::model::view::swimlane::Swimlane;
use crate::model::view::{OUTCOMES, Outcome, outcome_place};

use super::page::{Item, Tone, paragraph};

/// Marks of the outcomes in their order, so that colour is never all that tells them apart.
pub const MARKS: [&str; OUTCOMES.len()] = ["✓", "✗", "○", "!", "?", "◇"];

/// Mark of an outcome.
#[must_use]
pub fn mark(outcome: Outcome) -> &'static str {
    MARKS.get(outcome_place(outcome)).copied().unwrap_or(" ")
}

/// Tone of an outcome, by its place in the list of outcomes.
#[must_use]
pub const fn tone(place: usize) -> Tone {
    match place {
        0 => Tone::Good,
        1 | 3 => Tone::Bad,
        4 => Tone::Note,
        _ => Tone::Plain,
    }
}

/// The way of one client's sessions, with what the signs mean.
#[must_use]
pub fn picture(picture: &Swimlane, width: u16) -> Vec<Item> {
    let mut items = vec![Item::of(
        Tone::Name,
        format!("One client's sessions: {}", picture.client),
    )];
    swimlane::draw(picture, 0, width, "Enter shows the rest", &mut items);
    items
}

/// Columns of the labels in front of facts.
const LABEL: usize = 13;

fn facts(items: &mut Vec<Item>, width: u16, facts: &[(&'static str, String)]) {
    for (name, text) in facts {
        let label = format!("  {name:LABEL$}");
        paragraph(items, width, &label, Tone::Faint, (Tone::Plain, text));
    }
}

fn heading(items: &mut Vec<Item>, text: &str) {
    items.push(Item::default());
    items.push(Item::of(Tone::Name, text));
}
