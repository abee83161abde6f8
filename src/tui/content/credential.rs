//! The page of a credential: what it is, why it ended, and its life.

use crate::model::view::credential::CredentialView;
use crate::model::view::{Side, number};

use super::super::page::{Item, ScreenPage, Target, Tone};
use super::{facts, heading};

/// A credential in so many columns.
#[must_use]
pub fn credential(view: &CredentialView, width: u16) -> ScreenPage {
    let mut items = vec![Item::of(Tone::Name, format!("Credential {}", view.name))];
    facts(&mut items, width, &view.facts);
    heading(&mut items, "Life (Enter: the connection)");
    let frames = view.events.iter().map(|event| event.frame.text.chars().count());
    let frames = frames.max().unwrap_or(0).max(5);
    let times = view
        .events
        .iter()
        .map(|event| event.time.len())
        .max()
        .unwrap_or(0)
        .max(7);
    let ends = view
        .events
        .iter()
        .map(|event| event.ends.chars().count())
        .max()
        .unwrap_or(0);
    // Where there is no room for addresses, the side is told.
    let narrow = usize::from(width) < frames + times + ends + 40;
    let (ends, title) = if narrow {
        (6, "from")
    } else {
        (ends.max(9), "from → to")
    };
    items.push(Item::of(
        Tone::Faint,
        format!("  {:>frames$}  {:>times$}  {title:ends$}  event", "frame", "seconds"),
    ));
    for event in &view.events {
        let who = match event.from {
            _ if !narrow => event.ends.as_str(),
            Side::Client => "client",
            Side::Server => "server",
        };
        let front = format!("  {:>frames$}  {:>times$}  {who:ends$}  ", event.frame.text, event.time);
        let item = Item::of(Tone::Faint, front).and(event_tone(&event.text), event.text.clone());
        items.push(
            item.in_frame(event.frame.frame)
                .to(Target::Connection(event.connection)),
        );
    }
    if view.more > 0 {
        items.push(Item::of(Tone::Note, format!("  … {} more", number(view.more as u64))));
    }
    ScreenPage { items, split: None }
}

fn event_tone(text: &str) -> Tone {
    match text {
        "accepted" => Tone::Good,
        "refused" | "handshake failed" => Tone::Bad,
        text if text.starts_with("answer not visible") => Tone::Note,
        text if text.starts_with("issued") || text.starts_with("renewed") => Tone::Name,
        text if text.contains("alert") || text.starts_with("RST") => Tone::Bad,
        _ => Tone::Plain,
    }
}
