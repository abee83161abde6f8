//! The page of a service: what is wrong with it as a whole, one client's way between its backends, its keys and clients.

use crate::model::view::FrameLabel;
use crate::model::view::service::{FindingView, Group, KeyView, PatternView, ServicePage, contrast_line};
use crate::model::view::{counted, duration, number, percent};

use super::super::page::{Item, ScreenPage, Target, Tone, paragraph};
use super::{heading, swimlane};

/// Clients that are listed.
const MAX_CLIENTS: usize = 20;
/// Columns of the timeline of a ticket key.
const KEY_LINE: usize = 40;

/// A service in so many columns; `from` is the first mark of the swimlane that is seen.
#[must_use]
pub fn service(page: &ServicePage, from: usize, width: u16) -> ScreenPage {
    let mut items = Vec::new();
    head(&mut items, page);
    answer(&mut items, width, page);
    if let Some(picture) = &page.swimlane {
        heading(&mut items, &format!("One client's sessions: {}", picture.client));
        swimlane::draw(picture, from, width, "← →", &mut items);
    }
    for (how, count, frame) in &page.failures {
        let text = format!("! {} × {how}   first in frame {}", number(*count), frame.text);
        items.push(Item::of(Tone::Bad, text).in_frame(frame.frame));
    }
    for pattern in &page.patterns {
        self::pattern(&mut items, width, pattern);
    }
    if !page.findings.is_empty() {
        heading(&mut items, "Security");
        for finding in &page.findings {
            self::finding(&mut items, width, finding);
        }
    }
    groups(&mut items, width, "Backends", &page.backends);
    groups(&mut items, width, "Caches: who honours whose sessions", &page.domains);
    keys(&mut items, &page.keys);
    if let Some(picture) = &page.swimlane {
        heading(&mut items, "What the swimlane shows (Enter: the connection)");
        swimlane::told(picture, from, width, &mut items);
    }
    reasons(&mut items, page);
    clients(&mut items, page);
    ScreenPage { items, split: None }
}

fn head(items: &mut Vec<Item>, page: &ServicePage) {
    let counts = &page.counts;
    items.push(Item::of(Tone::Name, page.title.as_str()));
    let rate = counts.resumption_rate();
    let rate = rate.map_or_else(
        || "no offer was decided".to_owned(),
        |rate| format!("{} of offers", percent(rate)),
    );
    let outcomes = &counts.outcomes;
    let mut line = Item::of(Tone::Good, format!("✓ resumed {} ({rate})", number(outcomes.resumed)))
        .and(Tone::Bad, format!("   ✗ declined {}", number(outcomes.declined)))
        .and(
            Tone::Plain,
            format!("   ○ nothing offered {}", number(outcomes.not_offered)),
        );
    for (mark, name, count) in [("!", "failed", outcomes.failed), ("?", "unclear", outcomes.unclear)] {
        if count > 0 {
            line = line.and(Tone::Note, format!("   {mark} {name} {}", number(count)));
        }
    }
    items.push(line);
    let waste = &page.avoidable;
    if waste.handshakes > 0 {
        let trips = match waste.round_trips {
            0 => "no extra round trip".to_owned(),
            trips => {
                let trips = counted(trips, "extra round trip", "extra round trips");
                format!("{trips}, {} where timed", duration(waste.nanos))
            }
        };
        let full = counted(waste.handshakes, "full handshake", "full handshakes");
        let text = format!("{full} of returning clients: {trips}");
        items.push(Item::of(Tone::Plain, text));
    }
}

/// The one sentence about the service, and the one thing to do.
fn answer(items: &mut Vec<Item>, width: u16, page: &ServicePage) {
    if !page.answer.is_empty() {
        paragraph(items, width, "", Tone::Plain, (Tone::Plain, &page.answer));
    }
    if let Some(action) = &page.action {
        paragraph(items, width, "do: ", Tone::Advice, (Tone::Plain, action));
    }
}

fn pattern(items: &mut Vec<Item>, width: u16, pattern: &PatternView) {
    items.push(Item::default());
    items.push(Item::of(Tone::Bad, pattern.headline).and(Tone::Plain, format!("   {}", pattern.sure)));
    paragraph(items, width, "  ", Tone::Plain, (Tone::Plain, &pattern.summary));
    for (row, counts) in &pattern.contrast {
        items.push(Item::of(
            Tone::Plain,
            format!("    {}", contrast_line(row, *counts, pattern.columns)),
        ));
    }
    evidence(items, width, &pattern.evidence);
    if let Some(cause) = pattern.follows_from {
        paragraph(items, width, "  follows from: ", Tone::Note, (Tone::Plain, cause));
    }
    if !pattern.remaining.is_empty() {
        let others = pattern.remaining.join("; or ");
        paragraph(items, width, "  or: ", Tone::Note, (Tone::Plain, &others));
    }
    if let Some(settles) = pattern.would_settle {
        paragraph(items, width, "  would settle it: ", Tone::Note, (Tone::Plain, settles));
    }
    paragraph(items, width, "  do: ", Tone::Advice, (Tone::Plain, pattern.advice));
    items.push(
        Item::of(
            Tone::Faint,
            format!("  → connections that it settles (pattern:{})", pattern.name),
        )
        .to(Target::Filter(format!("pattern:{}", pattern.name))),
    );
}

/// Frames with what they show.
fn evidence(items: &mut Vec<Item>, width: u16, evidence: &[(String, Vec<FrameLabel>)]) {
    for (text, frames) in evidence {
        let names: Vec<&str> = frames.iter().map(|frame| frame.text.as_str()).collect();
        let line = format!("{}: {text}", names.join(", "));
        let label = if names.len() == 1 { "  frame " } else { "  frames " };
        let from = items.len();
        paragraph(items, width, label, Tone::Faint, (Tone::Plain, &line));
        let frame = frames.first().map(|frame| frame.frame);
        items.iter_mut().skip(from).for_each(|item| item.frame = frame);
    }
}

fn finding(items: &mut Vec<Item>, width: u16, finding: &FindingView) {
    let tone = if finding.grave { Tone::Note } else { Tone::Plain };
    let label = format!("  {}  ", finding.weight);
    paragraph(items, width, &label, tone, (Tone::Name, finding.headline));
    paragraph(items, width, "    ", Tone::Plain, (Tone::Plain, &finding.summary));
    evidence(items, width, &finding.evidence);
    paragraph(items, width, "    do: ", Tone::Advice, (Tone::Plain, finding.advice));
}

fn groups(items: &mut Vec<Item>, width: u16, title: &str, groups: &[Group]) {
    if groups.is_empty() {
        return;
    }
    heading(items, title);
    for group in groups {
        let label = format!("  {}  ", group.label);
        let text = format!(
            "{}: {}",
            counted(group.connections, "connection", "connections"),
            group.because
        );
        paragraph(items, width, &label, Tone::Name, (Tone::Plain, &text));
    }
}

/// Keys with a line from the first to the last sign of each.
fn keys(items: &mut Vec<Item>, keys: &[KeyView]) {
    if keys.is_empty() {
        return;
    }
    heading(items, "Ticket keys at work");
    let alive = || keys.iter().filter_map(|key| key.alive);
    let first = alive().map(|(first, _)| first).min().unwrap_or(0);
    let last = alive().map(|(_, last)| last).max().unwrap_or(0);
    items.push(Item::of(
        Tone::Faint,
        format!(
            "  {:10} issued accepted declined  from {} to {}",
            "key",
            at(first),
            at(last)
        ),
    ));
    for key in keys {
        let front = format!(
            "  {:10} {:>6} {:>8} {:>8}  ",
            key.name, key.issues, key.accepted, key.declined
        );
        items.push(Item::of(Tone::Plain, front).and(Tone::Advice, key_line(key, first, last)));
    }
}

fn at(nanos: i64) -> String {
    format!("{} s", crate::model::view::seconds(nanos))
}

fn key_line(key: &KeyView, first: i64, last: i64) -> String {
    let Some((from, to)) = key.alive else {
        return "never seen at work".to_owned();
    };
    let span = i128::from((last - first).max(1));
    let place = |nanos: i64| {
        let place = i128::from(nanos - first) * (KEY_LINE as i128 - 1) / span;
        usize::try_from(place).unwrap_or(0)
    };
    let (from, to) = (place(from), place(to));
    let mut line = " ".repeat(from);
    if from == to {
        line.push('●');
    } else {
        line.push('├');
        line.push_str(&"─".repeat(to - from - 1));
        line.push('┤');
    }
    line
}

fn reasons(items: &mut Vec<Item>, page: &ServicePage) {
    if page.reasons.is_empty() {
        return;
    }
    heading(items, "Why not resumed (Enter: those connections)");
    for count in &page.reasons {
        let text = format!("  {:>8}  {}", number(count.connections()), count.reason.name);
        let filter = format!("server:{} reason:{}", page.server, count.reason.name);
        items.push(Item::of(Tone::Plain, text).to(Target::Filter(filter)));
    }
}

fn clients(items: &mut Vec<Item>, page: &ServicePage) {
    heading(items, "Clients (Enter: the swimlane of that one)");
    for (place, client) in page.clients.iter().take(MAX_CLIENTS).enumerate() {
        let shown = page
            .swimlane
            .as_ref()
            .is_some_and(|picture| picture.client == client.address);
        let mark = if shown { "▸" } else { " " };
        let text = format!(
            "{mark} {:39}  {}, {} declined",
            client.address.to_string(),
            counted(client.connections, "connection", "connections"),
            number(client.declined)
        );
        items.push(Item::of(Tone::Plain, text).to(Target::Client(place)));
    }
    if let Some(more) = page.clients.len().checked_sub(MAX_CLIENTS).filter(|more| *more > 0) {
        items.push(Item::of(Tone::Faint, format!("  … {more} more: ] and [ go on")));
    }
}
