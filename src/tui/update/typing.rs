//! What is typed at the foot: a filter, a text to look for, the form of an export.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::model::Selection;
use crate::model::select::completions;
use crate::model::view::table::Table;
use std::sync::Arc;

use super::super::event::{BackgroundJob, Effect, ExportFormat};
use super::super::layout::table_lines;
use super::super::state::{Main, PromptInput, Purpose, ScreenState};
use super::{ask, ask_rows, export, to_main};

/// Letters that can be typed.
const MAX_TYPED: usize = 400;

/// Begins to type a filter; on the overview, for the connections.
pub(super) fn begin_filter(state: &mut ScreenState) {
    let table = state.shown_table().unwrap_or(Table::Connections);
    to_main(state, Main::Table(table));
    let before = state.table(table).filter.clone();
    // A further term follows what is there.
    let mut text = before.clone();
    if !text.is_empty() && !text.ends_with(' ') {
        text.push(' ');
    }
    state.input = Some(PromptInput {
        purpose: Purpose::Filter(before),
        text,
        back: 0,
    });
}

/// Begins to type a text to look for.
pub(super) fn begin_search(state: &mut ScreenState) {
    let line = match state.shown_table() {
        Some(table) => state.table(table).selected,
        None => state.page().map_or(0, |(_, cursor)| cursor.line),
    };
    state.input = Some(PromptInput {
        purpose: Purpose::Search(line),
        text: String::new(),
        back: 0,
    });
}

/// A key while something is typed.
pub(super) fn typed(state: &mut ScreenState, key: KeyEvent) -> Vec<Effect> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let Some(input) = &mut state.input else {
        return Vec::new();
    };
    match key.code {
        KeyCode::Char('c') if control => return vec![Effect::Quit],
        KeyCode::Char('z') if control => return vec![Effect::Suspend],
        KeyCode::Esc => return give_up(state),
        KeyCode::Char(letter) if input.purpose == Purpose::Export => {
            state.input = None;
            return match letter {
                'j' => export(state, ExportFormat::Json),
                'm' => export(state, ExportFormat::Markdown),
                _ => Vec::new(),
            };
        }
        KeyCode::Enter => {
            let typed = state.input.take();
            remember(state, typed);
            return Vec::new();
        }
        KeyCode::Tab if matches!(input.purpose, Purpose::Filter(_)) => return complete(state),
        KeyCode::Up if matches!(input.purpose, Purpose::Filter(_)) => return recall(state, true),
        KeyCode::Down if matches!(input.purpose, Purpose::Filter(_)) => return recall(state, false),
        KeyCode::Backspace if input.text.is_empty() => return give_up(state),
        KeyCode::Backspace => drop(input.text.pop()),
        KeyCode::Char('u') if control => input.text.clear(),
        KeyCode::Char('w') if control => {
            let kept = input.text.trim_end().rfind(' ').map_or(0, |space| space + 1);
            input.text.truncate(kept);
        }
        KeyCode::Char(letter) if !control && input.text.chars().count() < MAX_TYPED => input.text.push(letter),
        _ => return Vec::new(),
    }
    follow(state)
}

/// Keeps a filter for another time.
fn remember(state: &mut ScreenState, typed: Option<PromptInput>) {
    /// Filters that are kept.
    const MAX_KEPT: usize = 100;
    let Some(PromptInput {
        purpose: Purpose::Filter(_),
        text,
        ..
    }) = typed
    else {
        return;
    };
    let text = text.trim().to_owned();
    if text.is_empty() {
        return;
    }
    state.filters.retain(|known| *known != text);
    state.filters.push(text);
    if state.filters.len() > MAX_KEPT {
        state.filters.remove(0);
    }
}

/// A filter that was used before, or the one after it.
fn recall(state: &mut ScreenState, earlier: bool) -> Vec<Effect> {
    let Some(input) = &mut state.input else {
        return Vec::new();
    };
    let back = if earlier {
        (input.back + 1).min(state.filters.len())
    } else {
        input.back.saturating_sub(1)
    };
    if back == input.back {
        return Vec::new();
    }
    input.back = back;
    // What was typed anew is given up for what is recalled, as in a shell without a saved line.
    let known = back
        .checked_sub(1)
        .and_then(|back| state.filters.iter().rev().nth(back));
    input.text = known.cloned().unwrap_or_default();
    follow(state)
}

/// The last word as far as what it can become is one; else what it can become is told.
fn complete(state: &mut ScreenState) -> Vec<Effect> {
    let Some(table) = state.shown_table() else {
        return Vec::new();
    };
    let Some(input) = &mut state.input else {
        return Vec::new();
    };
    let start = input.text.rfind(' ').map_or(0, |space| space + 1);
    let (before, word) = input.text.split_at(start);
    let words = completions(word);
    let common = common_beginning(&words);
    if common.len() > word.len() {
        let end = if words.len() == 1 && !common.ends_with(':') {
            " "
        } else {
            ""
        };
        input.text = format!("{before}{common}{end}");
        return follow(state);
    }
    let tails: Vec<&str> = words
        .iter()
        .map(|word| word.rsplit([':', ',']).next().unwrap_or(word))
        .collect();
    let told = if words.iter().all(|word| word.ends_with(':')) {
        words.join(" ")
    } else {
        tails.join(" ")
    };
    state.table_mut(table).error = Some(told);
    Vec::new()
}

/// What all words begin with.
fn common_beginning(words: &[String]) -> String {
    let Some((first, rest)) = words.split_first() else {
        return String::new();
    };
    let same = |(place, letter): &(usize, char)| {
        rest.iter()
            .all(|word| word.get(*place..).is_some_and(|tail| tail.starts_with(*letter)))
    };
    let end = first.char_indices().take_while(same).last();
    let end = end.map_or(0, |(place, letter)| place + letter.len_utf8());
    first.get(..end).unwrap_or_default().to_owned()
}

/// What has been typed so far takes effect.
fn follow(state: &mut ScreenState) -> Vec<Effect> {
    let Some(input) = state.input.clone() else {
        return Vec::new();
    };
    match input.purpose {
        Purpose::Filter(_) => match state.shown_table() {
            Some(table) => filter(state, table, &input.text),
            None => Vec::new(),
        },
        Purpose::Search(from) => {
            state.needle = input.text;
            search(state, from, true)
        }
        Purpose::Export => Vec::new(),
    }
}

fn give_up(state: &mut ScreenState) -> Vec<Effect> {
    let Some(input) = state.input.take() else {
        return Vec::new();
    };
    match input.purpose {
        Purpose::Filter(before) => match state.shown_table() {
            Some(table) => filter(state, table, &before),
            None => Vec::new(),
        },
        Purpose::Search(from) => {
            go_to(state, from);
            Vec::new()
        }
        Purpose::Export => Vec::new(),
    }
}

/// Filters a table. A text that is not understood leaves the rows as they are and says what is wrong.
pub(super) fn filter(state: &mut ScreenState, table: Table, text: &str) -> Vec<Effect> {
    let shown = state.table_mut(table);
    let selection = if text.trim().is_empty() {
        Ok(None)
    } else {
        Selection::parse_typed(text).map(Some)
    };
    text.trim().clone_into(&mut shown.filter);
    match selection {
        Ok(selection) => {
            shown.error = None;
            if shown.selection == selection && shown.asked.is_none() {
                return Vec::new();
            }
            shown.selection = selection;
            ask_rows(state, table)
        }
        Err(error) => {
            shown.error = Some(error.to_string());
            Vec::new()
        }
    }
}

/// To the next or previous line with the text that was looked for last.
pub(super) fn again(state: &mut ScreenState, forward: bool) -> Vec<Effect> {
    let (line, lines) = match state.shown_table() {
        Some(table) => (state.table(table).selected, state.table(table).rows.len()),
        None => match state.page() {
            Some((page, cursor)) => (cursor.line, page.items.len()),
            None => return Vec::new(),
        },
    };
    if state.needle.is_empty() || lines == 0 {
        return Vec::new();
    }
    let from = if forward {
        (line + 1) % lines
    } else {
        (line + lines - 1) % lines
    };
    search(state, from, forward)
}

fn search(state: &mut ScreenState, from: usize, forward: bool) -> Vec<Effect> {
    let needle = state.needle.clone();
    if needle.is_empty() {
        go_to(state, from);
        return Vec::new();
    }
    if let Some(table) = state.shown_table() {
        let rows = Arc::clone(&state.table(table).rows);
        if rows.is_empty() {
            return Vec::new();
        }
        let job = BackgroundJob::Search {
            table,
            rows,
            from,
            forward,
            needle,
        };
        let report = Arc::clone(&state.table(table).report);
        let (generation, mut commands) = ask(state, job);
        // The rows belong to the report in which they were found.
        for command in &mut commands {
            if let Effect::Ask(ask) = command {
                ask.report = Arc::clone(&report);
            }
        }
        state.table_mut(table).searching = Some(generation);
        return commands;
    }
    let found = state.page().map(|(page, _)| page.search(&needle, from, forward));
    match found {
        Some(Some(line)) => go_to(state, line),
        Some(None) => state.message = Some(format!("no match for '{needle}'")),
        None => {}
    }
    Vec::new()
}

fn go_to(state: &mut ScreenState, line: usize) {
    if let Some(table) = state.shown_table() {
        let lines = table_lines(table, state.size);
        state.table_mut(table).select(line, lines);
        return;
    }
    let height = state.lines();
    if let Some((page, mut cursor)) = state.page() {
        cursor.go(&page, line, height);
        if let Some(place) = state.cursor_mut() {
            *place = cursor;
        }
    }
}
