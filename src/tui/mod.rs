//! The report as something to look at: screens, keys, and the terminal they live on.
//!
//! Events change a [`state::ScreenState`] in [`update::update`], and [`draw::draw`] shows it; both are pure, and neither decides
//! anything about TLS: they read [`crate::model::view`] only. What may take long is asked of another thread
//! ([`work`]), and the terminal itself is the matter of `terminal.rs` and of the loop in this file.

pub mod content;
pub mod draw;
pub mod event;
pub mod help;
pub mod keys;
pub mod layout;
pub mod page;
pub mod state;
mod terminal;
pub mod update;
pub mod work;

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use ratatui::crossterm::event as crossterm;
use ratatui::crossterm::terminal::size;

use draw::Theme;
use event::{Cutter, Effect, Shared, Stats, UserEvent};
use state::ScreenState;
use terminal::Screen;
use work::Worker;

/// Least time between two frames: thirty a second.
const FRAME: Duration = Duration::from_nanos(1_000_000_000 / 30);

/// How the screens are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TuiOptions {
    /// With colour.
    pub coloured: bool,
    /// Of a capture that goes on.
    pub live: bool,
}

/// Where a live capture puts what it has to say.
#[derive(Debug, Clone)]
pub struct LiveFeed(Sender<UserEvent>);

impl LiveFeed {
    /// A later report. `false` when nobody looks any more.
    #[must_use]
    pub fn report(&self, report: Shared) -> bool {
        self.0.send(UserEvent::Report(report)).is_ok()
    }

    /// How the capture goes. `false` when nobody looks any more.
    #[must_use]
    pub fn stats(&self, stats: Stats) -> bool {
        self.0.send(UserEvent::Stats(stats)).is_ok()
    }

    /// The capture is over, and why.
    pub fn ended(&self, why: &str) {
        // Whoever left does not need to know.
        let _ = self.0.send(UserEvent::Ended(why.to_owned()));
    }
}

/// Shows a report until its reader leaves. `cutter` writes packets; `start` is given
/// where a live capture puts its later reports.
///
/// # Errors
/// When the terminal cannot be used, or went away.
pub fn run(report: Shared, options: TuiOptions, cutter: Cutter, start: impl FnOnce(LiveFeed)) -> io::Result<()> {
    let (events, incoming) = mpsc::channel();
    // A folder that is gone is told when something is to be written there.
    let folder = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    let worker = Worker::start(folder, cutter, events.clone())?;
    let mut screen = Screen::enter()?;
    signals(events.clone())?;
    keys(events.clone())?;
    let (width, height) = size()?;
    // What depends on the size, and takes long, is asked for once the first screen is seen.
    let _ = events.send(UserEvent::Resize(width, height));
    start(LiveFeed(events));
    let mut state = ScreenState::new(report, (width, height));
    if options.live {
        state = state.live();
    }
    let theme = Theme {
        coloured: options.coloured,
    };
    show(&mut state, theme, &mut screen, &worker, &incoming)
}

/// Draws, waits for something to happen, and takes in what happens until the next frame is due. While nothing happens,
/// nothing runs.
fn show(
    state: &mut ScreenState,
    theme: Theme,
    screen: &mut Screen,
    worker: &Worker,
    incoming: &Receiver<UserEvent>,
) -> io::Result<()> {
    loop {
        screen.draw(state, theme)?;
        let drawn = Instant::now();
        let Ok(first) = incoming.recv() else { return Ok(()) };
        let mut next = Some(first);
        while let Some(event) = next {
            for command in update::update(state, event) {
                match command {
                    Effect::Quit => return Ok(()),
                    Effect::Ask(ask) => worker.ask(ask),
                    Effect::Copy(text) => screen.copy(&text)?,
                    Effect::Redraw => screen.clear()?,
                    Effect::Suspend => {
                        let (width, height) = screen.suspend()?;
                        for effect in update::update(state, UserEvent::Resize(width, height)) {
                            if let Effect::Ask(ask) = effect {
                                worker.ask(ask);
                            }
                        }
                    }
                }
            }
            next = match incoming.recv_timeout(FRAME.saturating_sub(drawn.elapsed())) {
                Ok(event) => Some(event),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
        }
    }
}

/// Keys, mouse and size, from the terminal device where standard input is something else.
fn keys(events: Sender<UserEvent>) -> io::Result<()> {
    let read = move || {
        loop {
            let event = match crossterm::read() {
                Ok(crossterm::Event::Key(key)) => UserEvent::Key(key),
                Ok(crossterm::Event::Mouse(mouse)) => UserEvent::Mouse(mouse),
                Ok(crossterm::Event::Resize(width, height)) => UserEvent::Resize(width, height),
                Ok(_) => continue,
                Err(_) => UserEvent::Quit,
            };
            let last = matches!(event, UserEvent::Quit);
            if events.send(event).is_err() || last {
                return;
            }
        }
    };
    thread::Builder::new().name("keys".to_owned()).spawn(read).map(drop)
}

/// Signals that end or stop a process do so by way of the loop, which gives the terminal back.
#[cfg(unix)]
fn signals(events: Sender<UserEvent>) -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP};
    let mut signals = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM, SIGTSTP])?;
    let wait = move || {
        for signal in signals.forever() {
            let event = if signal == SIGTSTP {
                UserEvent::Suspend
            } else {
                UserEvent::Quit
            };
            if events.send(event).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
}

#[cfg(not(unix))]
fn signals(_: Sender<UserEvent>) -> io::Result<()> {
    Ok(())
}
