//! A client's way between backends as a picture: a lane for each backend, time from left to right. An offer that comes
//! from another lane hangs on a line from there.
//!
//! ```text
//! backend-1  ─●A───────✗B──●C──────
//!              ┆       ┆   ┆
//! backend-2  ──┴✗A─●B──┴───┴✗C─●D──
//! ```

use crate::model::view::swimlane::{LaneKind, Mark, MarkKind, Swimlane, letter};
use crate::model::view::{micros, number};

use super::super::page::{Item, Target, Tone, paragraph};

/// Columns of one mark, at least and at most: as many as the numbers of frames need.
const STEP: (usize, usize) = (5, 9);
/// Columns of the names of lanes.
const NAMES: usize = 11;

/// Mark of what happened; as those of outcomes, where they mean the same.
pub(super) const fn sign(kind: MarkKind) -> &'static str {
    match kind {
        MarkKind::Full => "○",
        MarkKind::Issued => "●",
        MarkKind::Accepted => "✓",
        MarkKind::Declined => "✗",
        MarkKind::Failed => "!",
        MarkKind::Unclear => "?",
    }
}

const fn tone(mark: &Mark) -> Tone {
    match (mark.kind, mark.credential) {
        (MarkKind::Issued, Some(credential)) => Tone::Credential(credential),
        (MarkKind::Accepted, _) => Tone::Good,
        (MarkKind::Declined | MarkKind::Failed, _) => Tone::Bad,
        (MarkKind::Unclear, _) => Tone::Note,
        (MarkKind::Full | MarkKind::Issued, _) => Tone::Plain,
    }
}

/// The picture from the mark `from` on, with its legend; `rest` says how to see the rest.
pub(super) fn draw(picture: &Swimlane, from: usize, width: u16, rest: &str, items: &mut Vec<Item>) {
    let from = first(picture, from);
    let step = step(picture);
    let marks: Vec<&Mark> = picture.marks.iter().skip(from).take(fits(width, step)).collect();
    for (lane, name) in picture.lanes.iter().enumerate() {
        items.push(self::lane(name, lane, &marks, step));
        if lane + 1 < picture.lanes.len() {
            items.push(between(lane, &marks, step));
        }
    }
    items.push(frames(&marks, step));
    let span = match (marks.first(), marks.last()) {
        (Some(first), Some(last)) => format!("{} s to {} s", micros(first.offset), micros(last.offset)),
        _ => String::new(),
    };
    let hidden = picture.marks.len() - marks.len();
    let hidden = if hidden > 0 {
        format!(
            "   marks {} to {} of {}: {rest}",
            from + 1,
            from + marks.len(),
            picture.marks.len()
        )
    } else {
        String::new()
    };
    items.push(Item::of(Tone::Faint, format!("{:NAMES$}{span}{hidden}", "seconds")));
    legend(width, items);
    let note = match picture.told_by {
        LaneKind::Machine | LaneKind::Domain => None,
        LaneKind::TicketKey => Some("nothing tells backends apart: lanes are ticket keys"),
        LaneKind::Nothing => Some("nothing tells backends apart: one lane may be several machines"),
    };
    items.extend(note.map(|text| Item::of(Tone::Note, text)));
    if picture.more > 0 {
        let text = format!(
            "{} further connections of this client are not drawn",
            number(picture.more as u64)
        );
        items.push(Item::of(Tone::Note, text));
    }
}

/// The marks that are drawn, in words.
pub(super) fn told(picture: &Swimlane, from: usize, width: u16, items: &mut Vec<Item>) {
    let marks = picture
        .marks
        .iter()
        .skip(first(picture, from))
        .take(fits(width, step(picture)));
    items.extend(marks.map(|mark| in_words(picture, mark)));
}

/// Marks for which there is room.
fn fits(width: u16, step: usize) -> usize {
    (usize::from(width).saturating_sub(NAMES + 2) / step).max(1)
}

/// Columns of one mark.
fn step(picture: &Swimlane) -> usize {
    let widest = picture.marks.iter().map(|mark| short(mark).len()).max().unwrap_or(0);
    (widest + 1).clamp(STEP.0, STEP.1)
}

/// The number of its frame. Names of captures have no room here; the lines below tell them.
fn short(mark: &Mark) -> &str {
    mark.frame.text.rsplit(':').next().unwrap_or_default()
}

/// The first mark that is drawn.
fn first(picture: &Swimlane, from: usize) -> usize {
    from.min(picture.marks.len().saturating_sub(1))
}

fn lane(name: &str, lane: usize, marks: &[&Mark], step: usize) -> Item {
    let mut item = Item::of(Tone::Name, format!("{name:NAMES$}"));
    for mark in marks {
        if mark.lane == lane {
            let letter = mark.credential.map_or_else(String::new, letter);
            let text = format!("{}{letter}", sign(mark.kind));
            let rest = step.saturating_sub(1 + text.chars().count());
            item = item
                .and(Tone::Faint, "─")
                .and(tone(mark), text)
                .and(Tone::Faint, "─".repeat(rest));
        } else {
            let hangs = if crosses(mark, lane) { "─┼" } else { "──" };
            let starts = mark.from == Some(lane);
            let line = match (starts, hangs) {
                (true, _) if mark.lane > lane => "─┬",
                (true, _) => "─┴",
                (false, hangs) => hangs,
            };
            item = item.and(Tone::Faint, format!("{line}{}", "─".repeat(step - 2)));
        }
    }
    item
}

/// Whether the line of an offer passes through a lane that is neither its beginning nor its end.
fn crosses(mark: &Mark, lane: usize) -> bool {
    mark.from
        .is_some_and(|from| lane > from.min(mark.lane) && lane < from.max(mark.lane))
}

/// What hangs between a lane and the one below it.
fn between(above: usize, marks: &[&Mark], step: usize) -> Item {
    let mut item = Item::of(Tone::Plain, " ".repeat(NAMES));
    for mark in marks {
        let passes = mark
            .from
            .is_some_and(|from| above >= from.min(mark.lane) && above < from.max(mark.lane));
        let line = if passes { " ┆" } else { "" };
        item = item.and(tone(mark), format!("{line:step$}"));
    }
    item
}

/// The frames below their marks.
fn frames(marks: &[&Mark], step: usize) -> Item {
    let mut line = format!("{:NAMES$}", "frame");
    let room = step - 1;
    for mark in marks {
        let text = short(mark);
        let text = if text.len() > room { "…" } else { text };
        line.push_str(&format!(" {text:room$}"));
    }
    Item::of(Tone::Faint, line)
}

fn legend(width: u16, items: &mut Vec<Item>) {
    let words: Vec<String> = MarkKind::ALL
        .iter()
        .map(|kind| format!("{}\u{a0}{}", sign(*kind), kind.words().replace(' ', "\u{a0}")))
        .collect();
    let label = " ".repeat(NAMES);
    let start = items.len();
    paragraph(items, width, &label, Tone::Faint, (Tone::Faint, &words.join("  ")));
    for (_, text) in items.iter_mut().skip(start).flat_map(|item| &mut item.spans) {
        *text = text.replace('\u{a0}', " ");
    }
}

/// One mark in words.
fn in_words(picture: &Swimlane, mark: &Mark) -> Item {
    let credential = mark.credential.and_then(|index| {
        let id = picture.credentials.get(index)?;
        Some(format!(" {} ({id})", letter(index)))
    });
    let lane = |lane: usize| picture.lanes.get(lane).map_or("", String::as_str);
    let from = match mark.from {
        Some(from) if from != mark.lane => format!(", last known to {}", lane(from)),
        _ => String::new(),
    };
    let front = format!("  {:>12} s  frame {:>6}  ", micros(mark.offset), mark.frame.text);
    let text = format!(
        "{} {}{} at {}{from}",
        sign(mark.kind),
        mark.kind.words(),
        credential.unwrap_or_default(),
        lane(mark.lane)
    );
    Item::of(Tone::Faint, front)
        .and(tone(mark), text)
        .in_frame(mark.frame.frame)
        .to(Target::Connection(mark.connection))
}
