//! Running text in one or two columns, with a cursor.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::super::layout::body;
use super::super::page::{Item, ScreenPage};
use super::super::state::ScreenState;
use super::{Theme, mark_line, put};

pub(super) fn page(state: &ScreenState, theme: Theme, buffer: &mut Buffer) {
    let Some((page, cursor)) = state.page() else { return };
    let body = body(state.size);
    columns(&page, cursor.top, theme, buffer, body);
    let (column, within) = page.place(cursor.line);
    let top = cursor.top.get(column).copied().unwrap_or(0);
    let row = within.checked_sub(top).and_then(|row| u16::try_from(row).ok());
    if let (Some(row), Some(area)) = (row, areas(&page, body).get(column))
        && row < area.height
    {
        mark_line(buffer, *area, row);
    }
}

/// Where the columns of a page stand.
fn areas(page: &ScreenPage, area: Rect) -> Vec<Rect> {
    if page.split.is_none() {
        return vec![area];
    }
    let half = area.width / 2;
    let left = Rect {
        width: half - 1,
        ..area
    };
    let right = Rect {
        x: area.x + half,
        width: area.width - half,
        ..area
    };
    vec![left, right]
}

/// The columns of a page from these lines on.
pub(super) fn columns(page: &ScreenPage, tops: [usize; 2], theme: Theme, buffer: &mut Buffer, area: Rect) {
    for (index, area) in areas(page, area).into_iter().enumerate() {
        let top = tops.get(index).copied().unwrap_or(0);
        for row in 0..area.height {
            let number = page.line(index, top + usize::from(row));
            let Some(item) = number.and_then(|number| page.items.get(number)) else {
                break;
            };
            line(buffer, area, row, item, theme);
        }
    }
}

/// One line.
pub(super) fn line(buffer: &mut Buffer, area: Rect, y: u16, item: &Item, theme: Theme) {
    let mut x = 0;
    for (tone, text) in &item.spans {
        x += put(buffer, area, x, y, text, theme.tone(*tone));
    }
}
