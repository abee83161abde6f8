//! Somebody who looks at a report: presses keys, waits for answers, sees the screen. There is no terminal and no other
//! thread.

use std::path::PathBuf;
use std::sync::Arc;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use reshake::model::Report;
use reshake::tui::draw::{Theme, draw};
use reshake::tui::event::{Cutter, Effect, Shared, UserEvent};
use reshake::tui::state::ScreenState;
use reshake::tui::update::update;
use reshake::tui::work;
use reshake_core::engine::Limits;

use crate::common::{Fixture, fixture};

pub(crate) struct Look {
    pub(crate) state: ScreenState,
    /// What was to be copied.
    pub(crate) copied: Vec<String>,
    /// Whether the program was to end.
    pub(crate) left: bool,
    /// Where files are written.
    pub(crate) folder: PathBuf,
    /// What writes packets.
    pub(crate) cutter: Cutter,
}

pub(crate) fn report_of(fixture: &Fixture) -> Shared {
    let (engine, captures) = fixture.run(Limits::default());
    Arc::new(Report::of(Arc::new(engine), captures))
}

impl Look {
    pub(crate) fn at_report(report: Shared, size: (u16, u16)) -> Self {
        let mut look = Self {
            state: ScreenState::new(report, size),
            copied: Vec::new(),
            left: false,
            folder: std::env::temp_dir().join("no-such-folder-of-reshake"),
            cutter: Cutter::none("nothing to cut"),
        };
        look.event(UserEvent::Resize(size.0, size.1));
        look
    }

    pub(crate) fn at(name: &str, size: (u16, u16)) -> Self {
        Self::at_report(report_of(&fixture(name)), size)
    }

    /// Presses keys: letters as they are, others by name, as in `<Enter>`; `<C-z>` is Control-Z.
    pub(crate) fn press(mut self, keys: &str) -> Self {
        for (code, modifiers) in parse(keys) {
            self.event(UserEvent::Key(KeyEvent::new(code, modifiers)));
        }
        self
    }

    pub(crate) fn click(mut self, x: u16, y: u16) -> Self {
        self.event(UserEvent::Mouse(MouseEvent {
            kind: MouseEventKind::Down(MouseButton::Left),
            column: x,
            row: y,
            modifiers: KeyModifiers::NONE,
        }));
        self
    }

    /// Takes an event, does what it asks for, and takes the answers.
    pub(crate) fn event(&mut self, event: UserEvent) {
        for command in update(&mut self.state, event) {
            match command {
                Effect::Ask(ask) => {
                    let answer = work::answer(&ask, (&self.folder, &self.cutter), &|| true).expect("an answer");
                    self.event(answer);
                }
                Effect::Copy(text) => self.copied.push(text),
                Effect::Quit => self.left = true,
                Effect::Suspend | Effect::Redraw => {}
            }
        }
    }

    pub(crate) fn buffer(&self, coloured: bool) -> Buffer {
        let (width, height) = self.state.size;
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal in memory");
        terminal
            .draw(|frame| draw(&self.state, Theme { coloured }, frame))
            .expect("a frame");
        terminal.backend().buffer().clone()
    }

    /// What is seen, without spaces at the ends of lines.
    pub(crate) fn text(&self) -> String {
        text(&self.buffer(false))
    }

    /// The line that holds a text.
    pub(crate) fn line(&self, part: &str) -> String {
        let text = self.text();
        let line = text.lines().find(|line| line.contains(part));
        line.unwrap_or_else(|| panic!("'{part}' is not in\n{text}")).to_owned()
    }

    pub(crate) fn shows(&self, part: &str) -> bool {
        self.text().contains(part)
    }

    /// The line with the cursor.
    pub(crate) fn chosen(&self) -> String {
        let buffer = self.buffer(false);
        let reversed = ratatui::style::Modifier::REVERSED;
        let rows = (1..buffer.area.height.saturating_sub(1)).filter(|y| {
            let cells = (0..buffer.area.width).filter(|x| buffer[(*x, *y)].modifier.contains(reversed));
            cells.count() > 10
        });
        let lines: Vec<String> = rows
            .map(|y| text(&buffer).lines().nth(usize::from(y)).unwrap_or_default().to_owned())
            .collect();
        assert_eq!(lines.len(), 1, "one line has the cursor:\n{}", text(&buffer));
        lines.concat()
    }
}

pub(crate) fn text(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width);
    let lines = buffer.content.chunks(width).map(|row| {
        let line: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        line.trim_end().to_owned() + "\n"
    });
    lines.collect()
}

fn parse(keys: &str) -> Vec<(KeyCode, KeyModifiers)> {
    let mut parsed = Vec::new();
    let mut rest = keys;
    while let Some(letter) = rest.chars().next() {
        if let Some((name, after)) = rest.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
            parsed.push(named(name));
            rest = after;
        } else {
            parsed.push((KeyCode::Char(letter), KeyModifiers::NONE));
            rest = &rest[letter.len_utf8()..];
        }
    }
    parsed
}

fn named(name: &str) -> (KeyCode, KeyModifiers) {
    if let Some(letter) = name.strip_prefix("C-").and_then(|name| name.chars().next()) {
        return (KeyCode::Char(letter), KeyModifiers::CONTROL);
    }
    let code = match name {
        "Enter" => KeyCode::Enter,
        "Esc" => KeyCode::Esc,
        "Tab" => KeyCode::Tab,
        "BackTab" => KeyCode::BackTab,
        "Up" => KeyCode::Up,
        "Down" => KeyCode::Down,
        "Left" => KeyCode::Left,
        "Right" => KeyCode::Right,
        "PageUp" => KeyCode::PageUp,
        "PageDown" => KeyCode::PageDown,
        "Home" => KeyCode::Home,
        "End" => KeyCode::End,
        "Backspace" => KeyCode::Backspace,
        other => panic!("no key is called {other}"),
    };
    (code, KeyModifiers::NONE)
}
