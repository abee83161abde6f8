//! What an event does to the state. Nothing here waits, reads or writes: what must be done outside is returned.

mod live;
mod mouse;
mod moves;
mod open;
mod typing;

use std::sync::Arc;

use ratatui::crossterm::event::KeyEvent;

use crate::model::view::table::{RowKey, Table};
use crate::model::view::{ConnectionId, connection::ConnectionView};

use super::event::{Ask, BackgroundJob, Effect, ExportFormat, UserEvent, View};
use super::keys::{Action, action};
use super::layout::table_lines;
use super::page::Cursor;
use super::state::{Main, PromptInput, Purpose, Screen, ScreenState};

/// Takes an event; returns what is to be done outside.
pub fn update(state: &mut ScreenState, event: UserEvent) -> Vec<Effect> {
    let mut effects = take(state, event);
    effects.extend(open::picture(state));
    effects
}

fn take(state: &mut ScreenState, event: UserEvent) -> Vec<Effect> {
    match event {
        UserEvent::Key(key) => return pressed(state, key),
        UserEvent::Mouse(event) => return mouse::mouse(state, event),
        UserEvent::Resize(width, height) => resized(state, (width, height)),
        UserEvent::Found {
            generation,
            table,
            report,
            rows,
        } => {
            let lines = table_lines(table, state.size);
            let found = state.table_mut(table);
            if found.asked == Some(generation) {
                found.asked = None;
                found.take(&report, rows, lines);
            }
        }
        UserEvent::Hit { generation, row } => return hit(state, generation, row),
        UserEvent::Service { generation, page } => open::service_came(state, generation, page),
        UserEvent::Picture { generation, page } => open::picture_came(state, generation, page),
        UserEvent::Exported(Ok(name)) => state.message = Some(format!("written to {name}")),
        UserEvent::Exported(Err(error)) => state.message = Some(format!("not written: {error}")),
        UserEvent::Report(report) => return live::report(state, report),
        UserEvent::Stats(stats) => live::stats(state, stats),
        UserEvent::Ended(why) => live::ended(state, why),
        UserEvent::Suspend => return vec![Effect::Suspend],
        UserEvent::Quit => return vec![Effect::Quit],
    }
    Vec::new()
}

fn pressed(state: &mut ScreenState, key: KeyEvent) -> Vec<Effect> {
    if key.is_release() {
        return Vec::new();
    }
    if state.input.is_some() {
        return typing::typed(state, key);
    }
    state.message = None;
    let Some(action) = action(key, state.place(), state.live.is_some()) else {
        return Vec::new();
    };
    if state.help.is_some() {
        return helped(state, action);
    }
    act(state, action)
}

/// Keys while the help is shown.
fn helped(state: &mut ScreenState, action: Action) -> Vec<Effect> {
    let page = usize::from(state.size.1).saturating_sub(4);
    let Some(top) = &mut state.help else { return Vec::new() };
    match action {
        Action::Quit | Action::Suspend | Action::Redraw => return act(state, action),
        Action::Up => *top = top.saturating_sub(1),
        Action::Down => *top += 1,
        Action::PageUp => *top = top.saturating_sub(page),
        Action::PageDown => *top += page,
        Action::First => *top = 0,
        Action::Last => *top = usize::MAX,
        _ => state.help = None,
    }
    if let Some(top) = &mut state.help {
        *top = (*top).min(super::help::lines().len().saturating_sub(page));
    }
    Vec::new()
}

fn act(state: &mut ScreenState, action: Action) -> Vec<Effect> {
    match action {
        Action::Quit => return vec![Effect::Quit],
        Action::Suspend => return vec![Effect::Suspend],
        Action::Redraw => return vec![Effect::Redraw],
        Action::Help => state.help = Some(0),
        Action::Back => return back(state),
        Action::NextScreen => turn(state, 1),
        Action::PreviousScreen => turn(state, Main::ALL.len() - 1),
        Action::Overview => to_main(state, Main::Overview),
        Action::Connections => to_main(state, Main::Table(Table::Connections)),
        Action::Credentials => to_main(state, Main::Table(Table::Credentials)),
        Action::Up => moves::step(state, -1),
        Action::Down => moves::step(state, 1),
        Action::PageUp => moves::page(state, false),
        Action::PageDown => moves::page(state, true),
        Action::First => moves::step(state, isize::MIN),
        Action::Last => moves::step(state, isize::MAX),
        Action::Left => return moves::sideways(state, false),
        Action::Right => return moves::sideways(state, true),
        Action::Reverse => return moves::reverse(state),
        Action::Unsorted => return moves::unsorted(state),
        Action::Open => return open::line(state),
        Action::Filter => typing::begin_filter(state),
        Action::Search => typing::begin_search(state),
        Action::NextHit => return typing::again(state, true),
        Action::PreviousHit => return typing::again(state, false),
        Action::Service => return open::service_of_line(state),
        Action::Issuer => open::issuer(state),
        Action::Credential => open::credential_of_line(state),
        Action::Next => return open::neighbour(state, true),
        Action::Previous => return open::neighbour(state, false),
        Action::CopyFilter => return copy_filter(state),
        Action::CopyFrame => return copy_frame(state),
        Action::Packets => return packets(state),
        Action::Export => {
            state.input = Some(PromptInput {
                purpose: Purpose::Export,
                text: String::new(),
                back: 0,
            });
        }
        Action::Pause => return live::pause(state),
    }
    Vec::new()
}

fn resized(state: &mut ScreenState, size: (u16, u16)) {
    state.size = size;
    for table in [Table::Connections, Table::Credentials] {
        let lines = table_lines(table, size);
        let table = state.table_mut(table);
        table.select(table.selected, lines);
    }
    moves::step(state, 0);
}

fn back(state: &mut ScreenState) -> Vec<Effect> {
    if state.opened.pop().is_some() {
        return open::service_again(state);
    }
    match state.main {
        Main::Table(table) if !state.table(table).filter.is_empty() => typing::filter(state, table, ""),
        Main::Table(_) => {
            state.main = Main::Overview;
            Vec::new()
        }
        Main::Overview => Vec::new(),
    }
}

fn turn(state: &mut ScreenState, steps: usize) {
    let place = Main::ALL.iter().position(|main| *main == state.main).unwrap_or(0);
    if let Some(main) = Main::ALL.get((place + steps) % Main::ALL.len()) {
        to_main(state, *main);
    }
}

fn to_main(state: &mut ScreenState, main: Main) {
    state.opened.clear();
    state.main = main;
}

/// Asks for work by another thread.
fn ask(state: &mut ScreenState, job: BackgroundJob) -> (u64, Vec<Effect>) {
    let generation = state.ask();
    let ask = Ask {
        generation,
        report: Arc::clone(&state.report),
        job,
    };
    (generation, vec![Effect::Ask(ask)])
}

/// Asks for the rows of a table; what needs no search is there at once.
fn ask_rows(state: &mut ScreenState, table: Table) -> Vec<Effect> {
    let lines = table_lines(table, state.size);
    let report = Arc::clone(&state.report);
    let query = state.table(table).query();
    if query.selection.is_none()
        && query.sort.is_none()
        && let Some(all) = table.all(&report)
    {
        let shown = state.table_mut(table);
        shown.asked = None;
        shown.take(&report, Arc::new(all), lines);
        return Vec::new();
    }
    let (generation, commands) = ask(state, BackgroundJob::Find(query));
    state.table_mut(table).asked = Some(generation);
    commands
}

fn hit(state: &mut ScreenState, generation: u64, row: Option<usize>) -> Vec<Effect> {
    for table in [Table::Connections, Table::Credentials] {
        let lines = table_lines(table, state.size);
        let table = state.table_mut(table);
        if table.searching != Some(generation) {
            continue;
        }
        table.searching = None;
        match row {
            Some(row) => table.select(row, lines),
            None => state.message = Some(format!("no match for '{}'", state.needle)),
        }
        break;
    }
    Vec::new()
}

/// The connection that a line or screen is about.
fn connection_of_line(state: &ScreenState) -> Option<ConnectionId> {
    match state.opened.last() {
        Some(Screen::Connection(view, _)) => return Some(view.id),
        Some(_) => return None,
        None => {}
    }
    match state.table(state.shown_table()?).key()? {
        RowKey::Connection(id) => Some(id),
        RowKey::Credential(_) => None,
    }
}

fn view_of_line(state: &ScreenState) -> Option<ConnectionView> {
    let place = state.report.place_of(connection_of_line(state)?)?;
    ConnectionView::at(&state.report, place)
}

fn copy_filter(state: &mut ScreenState) -> Vec<Effect> {
    let Some(view) = view_of_line(state) else {
        state.message = Some("no connection is chosen".to_owned());
        return Vec::new();
    };
    let Some((_, filter)) = view.filters.first() else {
        return Vec::new();
    };
    state.message = Some(format!("copied the Wireshark filter of connection {}", view.number));
    vec![Effect::Copy(filter.clone())]
}

fn copy_frame(state: &mut ScreenState) -> Vec<Effect> {
    let of_line = state
        .page()
        .and_then(|(page, cursor)| page.items.get(cursor.line)?.frame);
    let frame = of_line.or_else(|| Some(view_of_line(state)?.first.frame));
    let Some(frame) = frame else {
        state.message = Some("no frame belongs to this line".to_owned());
        return Vec::new();
    };
    state.message = Some(format!("copied frame number {frame}"));
    vec![Effect::Copy(frame.to_string())]
}

/// Writes the packets of the chosen connection.
fn packets(state: &mut ScreenState) -> Vec<Effect> {
    let Some(view) = view_of_line(state) else {
        state.message = Some("no connection is chosen".to_owned());
        return Vec::new();
    };
    state.message = Some("writing …".to_owned());
    let job = BackgroundJob::Packets {
        id: view.id,
        name: view.name,
    };
    ask(state, job).1
}

/// Writes what is shown.
fn export(state: &mut ScreenState, form: ExportFormat) -> Vec<Effect> {
    let shown = match (state.opened.last(), state.main) {
        (Some(Screen::Service(service)), _) => match &service.page {
            Some(page) => View::Service(Arc::clone(page)),
            None => return Vec::new(),
        },
        (Some(Screen::Connection(view, _)), _) => View::Connection(Arc::clone(view)),
        (Some(Screen::Credential(view, _)), _) => View::Credential(Arc::clone(view)),
        (None, Main::Overview) => View::Overview,
        (None, Main::Table(table)) => {
            let table = state.table(table);
            // Rows of an earlier report must not be read in a later one.
            if !Arc::ptr_eq(&table.report, &state.report) {
                state.message = Some("the rows are still being found: try again".to_owned());
                return Vec::new();
            }
            View::Table(table.query(), Arc::clone(&table.rows))
        }
    };
    state.message = Some("writing …".to_owned());
    ask(state, BackgroundJob::Export { shown, form }).1
}

/// Opens a screen on top of what is seen.
fn push(state: &mut ScreenState, opened: Screen) {
    /// Screens that Esc leads back to.
    const DEEPEST: usize = 64;
    if state.opened.len() >= DEEPEST {
        state.opened.remove(0);
    }
    state.opened.push(opened);
}

/// A cursor at the beginning.
const START: Cursor = Cursor { line: 0, top: [0, 0] };
