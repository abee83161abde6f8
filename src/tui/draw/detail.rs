//! What there is to say of the service with the cursor, beside or below the lists of the overview.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::model::view::overview::service_title;
use crate::model::view::ranking::told;
use crate::model::view::{number, resumed_of_offered};
use crate::wording::{printable, wrap};

use super::super::page::Tone;
use super::super::state::ScreenState;
use super::{Theme, put};

/// Longest sentence.
const MAX_SENTENCE: usize = 600;

pub(super) fn detail(state: &ScreenState, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let report = &state.report;
    let chosen = state
        .overview
        .ranked
        .get(state.overview.line.first().copied().unwrap_or(0));
    let Some(view) = chosen.and_then(|index| report.services.get(*index)) else {
        return;
    };
    put(buffer, area, 0, 0, &service_title(view), Theme::name());
    let told = told(report, view);
    let mut y = 1;
    for (label, text, style) in [
        ("", told.answer.as_str(), Style::new()),
        (
            "do: ",
            told.action.as_deref().unwrap_or_default(),
            theme.tone(Tone::Advice),
        ),
    ] {
        y = paragraph(label, text, style, (buffer, area, y));
    }
    for (headline, sure) in &told.patterns {
        if y >= area.height {
            return;
        }
        put(
            buffer,
            area,
            0,
            y,
            &format!("{headline}   {sure}"),
            theme.tone(Tone::Bad),
        );
        y += 1;
    }
    y += 1;
    rates(view, theme, (buffer, area, y));
    for count in &view.reasons {
        y += 1;
        if y >= area.height {
            return;
        }
        let line = format!("{:>8}  {}", number(count.connections()), count.reason.name);
        put(buffer, area, 0, y, &line, Theme::faint());
    }
}

/// Running text below what is there; says the row after it.
fn paragraph(label: &str, text: &str, style: Style, (buffer, area, mut y): (&mut Buffer, Rect, u16)) -> u16 {
    let text = printable(text, MAX_SENTENCE);
    let hang = u16::try_from(label.len()).unwrap_or(0);
    let room = usize::from(area.width.saturating_sub(hang + 1));
    for (index, line) in wrap(&text, room).enumerate() {
        if index == 0 {
            put(buffer, area, 0, y, label, style);
        }
        put(buffer, area, hang, y, line, Style::new());
        y += 1;
    }
    y
}

/// Its rate over time, a column for each bar that has an offer.
fn rates(view: &crate::model::ServiceView, theme: Theme, (buffer, area, y): (&mut Buffer, Rect, u16)) {
    const LEVELS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
    let rates: Vec<f64> = view
        .timeline
        .iter()
        .filter_map(|(_, counts)| resumed_of_offered(counts))
        .collect();
    if rates.len() < 2 {
        return;
    }
    let x = put(buffer, area, 0, y, "resumed over time  ", Theme::faint());
    let room = usize::from(area.width.saturating_sub(x));
    let shown = rates.get(rates.len().saturating_sub(room)..).unwrap_or_default();
    let line: String = shown
        .iter()
        .map(|rate| {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and 7
            let level = (rate * 7.0).round() as usize;
            LEVELS.get(level).copied().unwrap_or(" ")
        })
        .collect();
    put(buffer, area, x, y, &line, theme.tone(Tone::Advice));
}
