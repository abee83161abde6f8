//! The page of a connection: outcome, reasons, messages, facts.

use crate::model::view::connection::ConnectionView;
use crate::model::view::{ReasonView, Rung, Side, micros, outcome_place};

use super::super::page::{Item, ScreenPage, TWO_COLUMNS, Target, Tone, paragraph};
use super::{facts, heading, mark, tone};

/// Least width of the lane between client and server.
const LANE: usize = 24;

/// A connection in so many columns.
#[must_use]
pub fn connection(view: &ConnectionView, width: u16) -> ScreenPage {
    if width >= TWO_COLUMNS {
        return connection_in_columns(view, width);
    }
    let mut items = beginning(view, width);
    items.push(Item::default());
    ladder(view, &mut items, width);
    after_ladder(view, &mut items, width);
    ScreenPage { items, split: None }
}

/// The same with the messages beside the rest.
#[must_use]
pub fn connection_in_columns(view: &ConnectionView, width: u16) -> ScreenPage {
    let room = width / 2 - 1;
    let mut items = beginning(view, room);
    after_ladder(view, &mut items, room);
    let split = items.len();
    ladder(view, &mut items, room);
    ScreenPage {
        items,
        split: Some(split),
    }
}

/// What happened, and why.
fn beginning(view: &ConnectionView, width: u16) -> Vec<Item> {
    let mut items = vec![headline(view)];
    items.push(Item::of(
        Tone::Plain,
        format!("connection {}  {}", view.number, view.title),
    ));
    for reason in &view.reasons {
        self::reason(&mut items, width, reason);
    }
    items
}

fn headline(view: &ConnectionView) -> Item {
    let tone = tone(outcome_place(view.outcome));
    let sure = view.reasons.first();
    let sure = sure.map_or_else(String::new, |reason| format!("   {}  {}", reason.name, reason.sure));
    Item::of(tone, format!("{} {}", mark(view.outcome), view.outcome_text)).and(Tone::Name, sure)
}

fn reason(items: &mut Vec<Item>, width: u16, reason: &ReasonView) {
    heading(items, &format!("{}  ({})", reason.name, reason.sure));
    paragraph(items, width, "  ", Tone::Plain, (Tone::Plain, &reason.summary));
    for (frame, text) in &reason.evidence {
        let from = items.len();
        let label = format!("  frame {}  ", frame.text);
        paragraph(items, width, &label, Tone::Faint, (Tone::Plain, text));
        for item in items.iter_mut().skip(from) {
            item.frame = Some(frame.frame);
        }
    }
    paragraph(items, width, "  do: ", Tone::Advice, (Tone::Plain, reason.advice));
    if !reason.remaining.is_empty() {
        paragraph(
            items,
            width,
            "  also possible: ",
            Tone::Note,
            (Tone::Plain, &reason.remaining),
        );
    }
    if !reason.spec.is_empty() {
        paragraph(items, width, "  rests on: ", Tone::Faint, (Tone::Faint, &reason.spec));
    }
}

fn after_ladder(view: &ConnectionView, items: &mut Vec<Item>, width: u16) {
    heading(items, "Facts");
    facts(items, width, &view.facts);
    if let Some(issuer) = view.issuer {
        items.push(Item::of(Tone::Faint, "  → the connection that issued it (i)").to(Target::Connection(issuer)));
    }
    if let Some(credential) = view.credential {
        items.push(Item::of(Tone::Faint, "  → its credential (c)").to(Target::Credential(credential)));
    }
    if let (_, Some(next)) = view.neighbours {
        items.push(Item::of(Tone::Faint, "  → next of the same session (])").to(Target::Connection(next)));
    }
    if let (Some(before), _) = view.neighbours {
        items.push(Item::of(Tone::Faint, "  → the one before ([)").to(Target::Connection(before)));
    }
    heading(items, "Wireshark (y copies)");
    for (capture, filter) in &view.filters {
        let place = capture
            .as_ref()
            .map_or_else(|| "  ".to_owned(), |name| format!("  {name}: "));
        paragraph(items, width, &place, Tone::Faint, (Tone::Faint, filter));
    }
}

/// Messages between two lines, with their frames and times at the left.
fn ladder(view: &ConnectionView, items: &mut Vec<Item>, width: u16) {
    let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
    let frames = widest(&mut view.ladder.iter().map(|rung| rung.frame.text.chars().count())).max(5);
    let times = widest(&mut view.ladder.iter().filter_map(|rung| Some(micros(rung.offset?).len()))).max(7);
    let front = frames + times + 4;
    let lane = usize::from(width).saturating_sub(front + 4).clamp(LANE, 72);
    // "server" ends where its line stands.
    let room = lane + 4 - "client".len();
    let head = format!("{:>frames$}  {:>times$}  client{:>room$}", "frame", "seconds", "server");
    items.push(Item::of(Tone::Name, head));
    for rung in &view.ladder {
        let time = rung.offset.map_or_else(String::new, micros);
        let item = Item::of(Tone::Faint, format!("{:>frames$}  {time:>times$}  ", rung.frame.text))
            .and(Tone::Faint, "│ ")
            .and(message_tone(rung), arrow(rung, lane))
            .and(Tone::Faint, " │");
        items.push(item.in_frame(rung.frame.frame));
    }
}

fn message_tone(rung: &Rung) -> Tone {
    let text = rung.text.as_str();
    if text.contains("alert") || text.starts_with("RST") {
        Tone::Bad
    } else if text.contains("accepts") || text.starts_with("issues") {
        Tone::Good
    } else {
        Tone::Plain
    }
}

/// A message as an arrow: `── ClientHello ───▶` or `◀── ServerHello ───`.
fn arrow(rung: &Rung, lane: usize) -> String {
    let room = lane.saturating_sub(6);
    let mut text: String = rung.text.chars().take(room).collect();
    if rung.text.chars().count() > room {
        text.pop();
        text.push('…');
    }
    let rest = "─".repeat(lane.saturating_sub(text.chars().count() + 5));
    match rung.from {
        Side::Client => format!("── {text} {rest}▶"),
        Side::Server => format!("◀─ {text} {rest}─"),
    }
}
