//! Running text in one or two columns, with a cursor.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::super::layout::body;
use super::super::page::Item;
use super::super::state::ScreenState;
use super::{Theme, mark_line, put};

pub(super) fn page(state: &ScreenState, theme: Theme, buffer: &mut Buffer) {
    let Some((page, cursor)) = state.page() else { return };
    let body = body(state.size);
    let half = body.width / 2;
    let columns = if page.split.is_none() {
        vec![body]
    } else {
        let left = Rect {
            width: half - 1,
            ..body
        };
        let right = Rect {
            x: half,
            width: body.width - half,
            ..body
        };
        vec![left, right]
    };
    for (index, area) in columns.into_iter().enumerate() {
        let top = cursor.top.get(index).copied().unwrap_or(0);
        for row in 0..area.height {
            let Some(number) = page.line(index, top + usize::from(row)) else {
                break;
            };
            if let Some(item) = page.items.get(number) {
                line(buffer, area, row, item, theme);
            }
            if number == cursor.line {
                mark_line(buffer, area, row);
            }
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
