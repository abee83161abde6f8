//! The help over the screen.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::{Block, Clear, Widget};

use super::super::help::lines;
use super::Theme;
use super::page::line;

/// Columns of the help.
const WIDTH: u16 = 100;

pub(super) fn help(top: usize, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let lines = lines();
    let width = WIDTH.min(area.width);
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).min(area.height - 1);
    let place = Rect {
        x: (area.width - width) / 2,
        y: (area.height - height) / 2,
        width,
        height,
    };
    Clear.render(place, buffer);
    let title = " Keys: any key closes, arrows scroll ";
    let block = Block::bordered().title(title);
    let inside = block.inner(place);
    block.render(place, buffer);
    for (row, item) in lines.iter().skip(top).take(usize::from(inside.height)).enumerate() {
        line(buffer, inside, u16::try_from(row).unwrap_or(u16::MAX), item, theme);
    }
}
