//! The last row: what is typed, what was said, else the keys that matter here.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::super::help::hints;
use super::super::page::Tone;
use super::super::state::{PromptInput, Purpose, ScreenState};
use super::{Theme, put};

pub(super) fn foot(state: &ScreenState, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let y = area.height - 1;
    if let Some(input) = &state.input {
        typed(state, input, theme, buffer, area);
        return;
    }
    if let Some(message) = &state.message {
        // Names of files and texts that were typed: nobody else wrote them, and they are escaped all the same.
        let text = crate::wording::printable(message, usize::from(area.width));
        put(buffer, area, 0, y, &text, theme.tone(Tone::Note));
        return;
    }
    let mut x = 0;
    for (key, word) in hints(state.place(), state.live.is_some()) {
        let needed = u16::try_from(key.chars().count() + word.chars().count() + 3).unwrap_or(u16::MAX);
        if x + needed > area.width {
            break;
        }
        x += put(buffer, area, x, y, &key, Theme::name()) + 1;
        x += put(buffer, area, x, y, word, Theme::faint()) + 2;
    }
}

fn typed(state: &ScreenState, input: &PromptInput, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let y = area.height - 1;
    let label = match input.purpose {
        Purpose::Filter(_) => "filter: ",
        Purpose::Search(_) => "search: ",
        Purpose::Export => "export what is shown as   j JSON   m Markdown   Esc nothing",
    };
    let mut x = put(buffer, area, 0, y, label, Theme::name());
    if input.purpose == Purpose::Export {
        return;
    }
    // The end of a long text is what is being typed.
    let room = usize::from(area.width.saturating_sub(x + 2));
    let skipped = input.text.chars().count().saturating_sub(room);
    let text: String = input.text.chars().skip(skipped).collect();
    let text = crate::wording::printable(&text, room);
    x += put(buffer, area, x, y, &text, Style::new());
    x += put(buffer, area, x, y, " ", Style::new().add_modifier(Modifier::REVERSED)) + 1;
    let error = state.shown_table().and_then(|table| state.table(table).error.as_ref());
    if let (Purpose::Filter(_), Some(error)) = (&input.purpose, error) {
        let error = crate::wording::printable(error, usize::from(area.width));
        put(buffer, area, x + 1, y, &error, theme.tone(Tone::Note));
    }
}
