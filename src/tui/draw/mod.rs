//! Draws the state, and nothing else: what is seen follows from the state and the size of the terminal alone.

mod foot;
mod help;
mod overview;
mod page;
mod table;
mod theme;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use unicode_width::UnicodeWidthStr;

use crate::model::view::counted;

use super::layout::SMALLEST;
use super::state::{Main, Screen, ScreenState};

pub use theme::Theme;

/// Draws everything.
pub fn draw(state: &ScreenState, theme: Theme, frame: &mut Frame<'_>) {
    let area = frame.area();
    let buffer = frame.buffer_mut();
    if (area.width, area.height) < SMALLEST || area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let text = format!("at least {}×{}", SMALLEST.0, SMALLEST.1);
        put(buffer, area, 0, 0, &text, Style::new());
        return;
    }
    tabs(state, buffer, area);
    match (state.opened.last(), state.main) {
        (Some(Screen::Service(service)), _) if service.page.is_none() => {
            put(
                buffer,
                area,
                1,
                1,
                "looking at every connection of this service …",
                Theme::faint(),
            );
        }
        (Some(_), _) => page::page(state, theme, buffer),
        (None, Main::Overview) => overview::overview(state, theme, buffer),
        (None, Main::Table(table)) => table::table(state, table, theme, buffer),
    }
    foot::foot(state, theme, buffer, area);
    if let Some(top) = state.help {
        help::help(top, theme, buffer, area);
    }
}

/// Where the tabs begin, after the name of the program.
const TABS: u16 = 9;

/// The main screen whose tab is at a column of the first row.
#[must_use]
pub fn tab_at(x: u16) -> Option<Main> {
    let mut left = TABS;
    Main::ALL.into_iter().find(|main| {
        let width = u16::try_from(tab(*main).width()).unwrap_or(0);
        let inside = left <= x && x < left + width;
        left += width + 1;
        inside
    })
}

fn tab(main: Main) -> String {
    let number = Main::ALL.iter().position(|other| *other == main).unwrap_or(0) + 1;
    format!(" {number} {} ", main.title())
}

fn tabs(state: &ScreenState, buffer: &mut Buffer, area: Rect) {
    put(buffer, area, 0, 0, "reshake", Theme::name());
    let mut x = TABS;
    for main in Main::ALL {
        let text = tab(main);
        let style = if main == state.main {
            Theme::chosen(state.opened.is_empty())
        } else {
            Style::new()
        };
        x += put(buffer, area, x, 0, &text, style) + 1;
    }
    if let Some(opened) = state.opened.last() {
        let text = match opened {
            Screen::Service(_) => "› Service".to_owned(),
            Screen::Connection(view, _) => format!("› Connection {}", view.number),
            Screen::Credential(view, _) => format!("› {}", view.name),
        };
        x += put(buffer, area, x, 0, &text, Theme::name()) + 1;
    }
    let right = right_of_tabs(state);
    let width = u16::try_from(right.width()).unwrap_or(u16::MAX);
    if let Some(start) = area.width.checked_sub(width).filter(|start| *start > x) {
        put(buffer, area, start, 0, &right, Theme::faint());
    }
}

fn right_of_tabs(state: &ScreenState) -> String {
    let connections = counted(
        state.report.summary.counts.outcomes.total(),
        "connection",
        "connections",
    );
    match &state.live {
        Some(live) if live.ended.is_some() => format!("over   {connections}"),
        Some(live) if live.paused => format!("‖ paused   {connections}"),
        Some(_) => format!("● live   {connections}"),
        None => connections,
    }
}

/// Writes a text at a place within an area and returns the columns it took; what does not fit is cut with a mark.
fn put(buffer: &mut Buffer, area: Rect, x: u16, y: u16, text: &str, style: Style) -> u16 {
    if x >= area.width || y >= area.height {
        return 0;
    }
    let room = area.width - x;
    let text = fit(text, usize::from(room));
    let (end, _) = buffer.set_stringn(area.x + x, area.y + y, &text, usize::from(room), style);
    end - area.x - x
}

/// A text in at most so many columns; a cut is marked.
fn fit(text: &str, width: usize) -> std::borrow::Cow<'_, str> {
    if text.width() <= width {
        return text.into();
    }
    let mut cut = String::new();
    let mut used = 0;
    for letter in text.chars() {
        let more = unicode_width::UnicodeWidthChar::width(letter).unwrap_or(0);
        if used + more + 1 > width {
            break;
        }
        used += more;
        cut.push(letter);
    }
    if width > 0 {
        cut.push('…');
    }
    cut.into()
}

/// Marks the line with the cursor. Reversed, so that it shows without colour and on any background.
fn mark_line(buffer: &mut Buffer, area: Rect, y: u16) {
    let row = Rect {
        y: area.y + y,
        height: 1,
        ..area
    };
    buffer.set_style(
        row.intersection(*buffer.area()),
        Style::new().add_modifier(Modifier::REVERSED),
    );
}
