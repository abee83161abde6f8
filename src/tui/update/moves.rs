//! Moving about.

use crate::model::view::table::Sort;

use super::super::event::Effect;
use super::super::layout::{body, overview, table_lines, table_parts};
use super::super::page::scrolled;
use super::super::state::{Main, Screen, ScreenState};
use super::ask_rows;

/// Moves the cursor by so many lines.
pub(super) fn step(state: &mut ScreenState, lines: isize) {
    let height = state.lines();
    if let Some((page, mut cursor)) = state.page() {
        cursor.step(&page, lines, height);
        if let Some(place) = state.cursor_mut() {
            *place = cursor;
        }
        return;
    }
    if !state.opened.is_empty() {
        return;
    }
    match state.main {
        Main::Table(table) => {
            let table = state.table_mut(table);
            table.select(table.selected.saturating_add_signed(lines), height);
        }
        Main::Overview => {
            let list = state.overview.list;
            let last = state.overview.lines(&state.report, list).saturating_sub(1);
            if let (Some(line), Some(top)) = (state.overview.line.get_mut(list), state.overview.top.get_mut(list)) {
                *line = line.saturating_add_signed(lines).min(last);
                *top = scrolled(*top, *line, height);
            }
        }
    }
}

/// Moves the cursor by a screenful.
pub(super) fn page(state: &mut ScreenState, down: bool) {
    let lines = isize::try_from(state.lines().saturating_sub(1).max(1)).unwrap_or(1);
    step(state, if down { lines } else { -lines });
}

/// To the left or right: a list, a column to sort by, or a part of the swimlane.
pub(super) fn sideways(state: &mut ScreenState, right: bool) -> Vec<Effect> {
    if let Some(Screen::Service(service)) = state.opened.last_mut() {
        let marks = service.page.as_ref().and_then(|page| page.swimlane.as_ref());
        let last = marks.map_or(0, |picture| picture.marks.len().saturating_sub(1));
        let from = if right {
            service.from + 1
        } else {
            service.from.saturating_sub(1)
        };
        service.from = from.min(last);
        return Vec::new();
    }
    match state.main {
        Main::Overview => {
            state.overview.list = usize::from(right);
            Vec::new()
        }
        Main::Table(table) => {
            let columns = table.columns().len();
            let shown = state.table_mut(table);
            let column = match shown.sort {
                None if right => 0,
                None => columns - 1,
                Some(sort) if right => (sort.column + 1) % columns,
                Some(sort) => (sort.column + columns - 1) % columns,
            };
            let descending = shown.sort.is_some_and(|sort| sort.descending);
            shown.sort = Some(Sort { column, descending });
            ask_rows(state, table)
        }
    }
}

/// The other way round.
pub(super) fn reverse(state: &mut ScreenState) -> Vec<Effect> {
    let Some(table) = state.shown_table() else {
        return Vec::new();
    };
    let shown = state.table_mut(table);
    let sort = shown.sort.unwrap_or(Sort {
        column: 0,
        descending: false,
    });
    shown.sort = Some(Sort {
        descending: !sort.descending,
        ..sort
    });
    ask_rows(state, table)
}

/// The order of the report.
pub(super) fn unsorted(state: &mut ScreenState) -> Vec<Effect> {
    let Some(table) = state.shown_table() else {
        return Vec::new();
    };
    state.table_mut(table).sort = None;
    ask_rows(state, table)
}

/// Puts the cursor on a line of what is seen on the screen; says whether it was there already.
pub(super) fn point(state: &mut ScreenState, x: u16, y: u16) -> bool {
    let body = body(state.size);
    if let Some((page, mut cursor)) = state.page() {
        let right = page.split.is_some() && x >= body.width / 2;
        let column = usize::from(right);
        let top = cursor.top.get(column).copied().unwrap_or(0);
        let Some(line) = page.line(column, top + usize::from(y.saturating_sub(body.y))) else {
            return false;
        };
        let was = cursor.line == line;
        cursor.go(&page, line, usize::from(body.height));
        if let Some(place) = state.cursor_mut() {
            *place = cursor;
        }
        return was;
    }
    match state.main {
        Main::Table(table) => {
            if !table_parts(table, state.size).0.contains((x, y).into()) {
                return false;
            }
            let lines = table_lines(table, state.size);
            let shown = state.table_mut(table);
            let row = shown.top + usize::from(y.saturating_sub(body.y + super::super::layout::TABLE_HEAD));
            let was = shown.selected == row;
            shown.select(row, lines);
            was
        }
        Main::Overview => {
            let lists = overview(state.size).lists;
            let Some(list) = lists.iter().position(|list| list.contains((x, y).into())) else {
                return false;
            };
            let top = lists.get(list).map_or(0, |list| list.y + 1);
            let Some(row) = y.checked_sub(top) else { return false };
            let line = state.overview.top.get(list).copied().unwrap_or(0) + usize::from(row);
            let was = state.overview.list == list && state.overview.line.get(list) == Some(&line);
            if line < state.overview.lines(&state.report, list) {
                state.overview.list = list;
                if let Some(place) = state.overview.line.get_mut(list) {
                    *place = line;
                }
            }
            was
        }
    }
}
