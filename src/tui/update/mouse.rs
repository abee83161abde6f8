//! The mouse: the wheel scrolls, a click chooses, a click on what is chosen opens it, one on a heading sorts.

use ratatui::crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

use crate::model::view::table::{Sort, Table};

use super::super::draw::tab_at;
use super::super::event::Effect;
use super::super::layout::{HEAD, TABLE_HEAD, columns};
use super::super::state::ScreenState;
use super::{ask_rows, moves, open, to_main};

/// Lines that the wheel moves by.
const WHEEL: isize = 3;

pub(super) fn mouse(state: &mut ScreenState, event: MouseEvent) -> Vec<Effect> {
    if state.input.is_some() || state.help.is_some() {
        return Vec::new();
    }
    match event.kind {
        MouseEventKind::ScrollUp => moves::step(state, -WHEEL),
        MouseEventKind::ScrollDown => moves::step(state, WHEEL),
        MouseEventKind::Down(MouseButton::Left) => return clicked(state, event.column, event.row),
        _ => {}
    }
    Vec::new()
}

fn clicked(state: &mut ScreenState, x: u16, y: u16) -> Vec<Effect> {
    if y < HEAD {
        if let Some(main) = tab_at(x) {
            to_main(state, main);
        }
        return Vec::new();
    }
    // The foot.
    if y + 1 >= state.size.1 {
        return Vec::new();
    }
    if let Some(table) = state.shown_table()
        && y < HEAD + TABLE_HEAD
    {
        return headed(state, table, x, y);
    }
    if moves::point(state, x, y) {
        return open::line(state);
    }
    Vec::new()
}

fn headed(state: &mut ScreenState, table: Table, x: u16, y: u16) -> Vec<Effect> {
    if y + 1 < HEAD + TABLE_HEAD {
        return Vec::new();
    }
    let shown = state.table(table);
    let column = columns(table, state.size.0, shown.sort)
        .into_iter()
        .find(|column| column.x <= x && x < column.x + column.width);
    let Some(column) = column else { return Vec::new() };
    let again = shown.sort.filter(|sort| sort.column == column.column);
    state.table_mut(table).sort = Some(Sort {
        column: column.column,
        descending: again.is_some_and(|sort| !sort.descending),
    });
    ask_rows(state, table)
}
