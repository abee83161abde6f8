//! How long a key press takes to be answered on a report of a million connections.
//!
//! ```text
//! cargo bench --bench tui -- [CONNECTIONS]
//! ```
//!
//! The connections are those of a fixture over and over, each round with clients, times, randoms and session IDs of its
//! own. Every key is handled and its frame drawn for a terminal of 250 by 70 whose content is compared with what was
//! there, as on a real one; work that another thread does is timed on its own, and its answer counts as an event like a
//! key.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use reshake::model::Report;
use reshake::tui::draw::{Theme, draw};
use reshake::tui::event::{Cutter, Effect, UserEvent};
use reshake::tui::state::ScreenState;
use reshake::tui::update::update;
use reshake::tui::work;
use reshake_core::engine::{Engine, Limits};
use reshake_core::net::{FrameRef, LinkType, Packet, Timestamp};

const FIXTURE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/fixtures/captures/quickstart/capture.pcapng"
);
const SIZE: (u16, u16) = (250, 70);
/// What a key press may take.
const LIMIT: Duration = Duration::from_millis(50);

fn main() -> io::Result<()> {
    let wanted = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let mut out = io::stdout().lock();
    let started = Instant::now();
    let engine = engine(wanted.unwrap_or(1_000_000));
    writeln!(
        out,
        "{} connections analysed in {:.1?}",
        engine.connection_store().len(),
        started.elapsed()
    )?;
    let started = Instant::now();
    let snapshot = engine.snapshot();
    writeln!(out, "snapshot taken in {:.1?}, as of a live run", started.elapsed())?;
    drop(snapshot);
    let started = Instant::now();
    let report = Arc::new(Report::of(Arc::new(engine), Vec::new()));
    writeln!(out, "report made in {:.1?}", started.elapsed())?;
    let started = Instant::now();
    let mut bench = Bench::new(ScreenState::new(report, SIZE));
    writeln!(out, "screens made in {:.1?}", started.elapsed())?;
    bench.session();
    bench.tell(&mut out)
}

/// One thing that was timed.
struct Timed {
    what: String,
    took: Duration,
}

struct Bench {
    state: ScreenState,
    terminal: Terminal<TestBackend>,
    keys: Vec<Timed>,
    work: Vec<Timed>,
}

impl Bench {
    fn new(state: ScreenState) -> Self {
        let backend = TestBackend::new(SIZE.0, SIZE.1);
        let Ok(terminal) = Terminal::new(backend);
        Self {
            state,
            terminal,
            keys: Vec::new(),
            work: Vec::new(),
        }
    }

    /// What somebody may do who looks for something.
    fn session(&mut self) {
        for letter in "?? 2jjjkkG".chars() {
            self.key(KeyCode::Char(letter));
        }
        for code in [
            KeyCode::PageDown,
            KeyCode::PageUp,
            KeyCode::Home,
            KeyCode::End,
            KeyCode::Enter,
        ] {
            self.key(code);
        }
        for letter in "iv]l[c".chars() {
            self.key(KeyCode::Char(letter));
        }
        for _ in 0..6 {
            self.key(KeyCode::Esc);
        }
        self.key(KeyCode::Char('2'));
        for _ in 0..12 {
            self.key(KeyCode::Right);
            self.key(KeyCode::Char('r'));
            self.key(KeyCode::PageDown);
        }
        self.typed("f", "outcome:declined client:10.7.0.0/16 backend:2");
        self.typed("f", "reason:other-backend-cache");
        self.typed("/", "10.9.255.11:55148");
        self.key(KeyCode::Char('n'));
        self.key(KeyCode::Char('N'));
        self.key(KeyCode::Esc);
        self.key(KeyCode::Char('3'));
        for code in [
            KeyCode::End,
            KeyCode::Right,
            KeyCode::Right,
            KeyCode::Enter,
            KeyCode::Esc,
        ] {
            self.key(code);
        }
        self.typed("f", "outcome:resumed");
    }

    fn typed(&mut self, key: &str, text: &str) {
        for letter in key.chars().chain(text.chars()) {
            self.key(KeyCode::Char(letter));
        }
        self.key(KeyCode::Enter);
    }

    fn key(&mut self, code: KeyCode) {
        let event = UserEvent::Key(KeyEvent::new(code, KeyModifiers::NONE));
        self.event(event, &format!("key {code}"));
    }

    /// Handles an event and draws; then the work that it asked for, and the answer.
    fn event(&mut self, event: UserEvent, what: &str) {
        let started = Instant::now();
        let commands = update(&mut self.state, event);
        let state = &self.state;
        let Ok(_) = self.terminal.draw(|frame| draw(state, Theme { coloured: true }, frame));
        self.keys.push(Timed {
            what: what.to_owned(),
            took: started.elapsed(),
        });
        for command in commands {
            let Effect::Ask(ask) = command else { continue };
            let started = Instant::now();
            let answer = work::answer(&ask, (Path::new("."), &Cutter::none("")), &|| true);
            self.work.push(Timed {
                what: format!("{what}: {:?}", std::mem::discriminant(&ask.job)),
                took: started.elapsed(),
            });
            if let Some(answer) = answer {
                self.event(answer, &format!("answer to {what}"));
            }
        }
    }

    fn tell(&mut self, out: &mut dyn Write) -> io::Result<()> {
        for (name, timed) in [
            ("update and draw", &mut self.keys),
            ("work on another thread", &mut self.work),
        ] {
            timed.sort_by_key(|timed| timed.took);
            let middle = timed.get(timed.len() / 2).map_or(Duration::ZERO, |timed| timed.took);
            writeln!(out, "{name}: {} times, median {middle:.1?}; the slowest:", timed.len())?;
            for timed in timed.iter().rev().take(5) {
                writeln!(out, "  {:>9.1?}  {}", timed.took, timed.what)?;
            }
        }
        let slowest = self.keys.last().map_or(Duration::ZERO, |timed| timed.took);
        let verdict = if slowest <= LIMIT { "within" } else { "NOT within" };
        writeln!(out, "{verdict} {LIMIT:?} for every event")
    }
}

/// A packet of the fixture, with the places of session IDs and randoms in it.
struct Template {
    time: i64,
    link: LinkType,
    data: Vec<u8>,
    names: Vec<usize>,
}

/// A run over so many connections.
fn engine(connections: usize) -> Engine {
    let templates = templates();
    let mut engine = unbounded();
    let mut frame = 0;
    for round in 0..u32::try_from(connections / 32).unwrap_or(u32::MAX) {
        for template in &templates {
            frame += 1;
            let data = changed(template, round);
            let time = template.time + i64::from(round) * 90_000_000;
            engine.push(&packet(frame, time, template.link, &data));
        }
    }
    engine.finish();
    engine
}

fn unbounded() -> Engine {
    Engine::new(Limits {
        kept_bytes: usize::MAX,
        ..Limits::default()
    })
}

fn packet(frame: u64, time: i64, link: LinkType, data: &[u8]) -> Packet<'_> {
    Packet {
        frame: FrameRef::new(0, frame),
        time: Timestamp::from_nanos(time),
        link,
        interface: 0,
        data,
        original_len: u32::try_from(data.len()).unwrap_or(u32::MAX),
    }
}

fn templates() -> Vec<Template> {
    let mut templates = Vec::new();
    if let Ok(mut source) = reshake::capture::open(FIXTURE, 0) {
        while let Some(packet) = source.next() {
            templates.push(Template {
                time: packet.time.nanos(),
                link: packet.link,
                data: packet.data.to_vec(),
                names: Vec::new(),
            });
        }
    }
    let mut engine = unbounded();
    for (frame, template) in (1..).zip(&templates) {
        engine.push(&packet(frame, template.time, template.link, &template.data));
    }
    engine.finish();
    let mut names: Vec<&[u8]> = engine
        .credential_store()
        .iter()
        .map(|(_, known)| known.name.head())
        .collect();
    // The same randoms would make the rounds legs of the same connections.
    for (_, connection) in engine.connection_store().iter() {
        names.extend(connection.hello.yes().map(|hello| hello.random.as_slice()));
        names.extend(connection.answer.yes().map(|answer| answer.random.as_slice()));
    }
    for template in &mut templates {
        let place = |name: &&[u8]| template.data.windows(name.len()).position(|window| window == *name);
        template.names = names.iter().filter_map(place).collect();
    }
    templates
}

/// A packet of another round: clients 10.0.0.x become 10.a.b.x, every 256 rounds
/// are of another server, session IDs and randoms get the round in front.
fn changed(template: &Template, round: u32) -> Vec<u8> {
    const ADDRESSES: std::ops::Range<usize> = 26..34;
    let mut data = template.data.clone();
    let [_, high, low, _] = (round << 8).to_be_bytes();
    if let Some(addresses) = data.get_mut(ADDRESSES) {
        for address in addresses.chunks_exact_mut(4) {
            match address {
                [10, a, b, 100] => (*a, *b) = (200, high),
                [10, a, b, _] => (*a, *b) = (high, low),
                _ => {}
            }
        }
    }
    for place in &template.names {
        if let Some(start) = data.get_mut(*place..place + 4) {
            start.copy_from_slice(&round.to_be_bytes());
        }
    }
    data
}
