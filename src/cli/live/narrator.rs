//! Tells on standard output what happens while it happens, and asks now and then whether to go on.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use hashbrown::HashSet;

use super::super::args::live::LiveFormat;
use super::super::{complain, terminal};
use super::Control;
use super::finale::FullReport;
use super::metrics::Metrics;
use crate::model::Report;
use crate::model::live::{FirstLeg, Legs, Related, Surroundings, Tally};
use crate::render::json::live::Stage;
use crate::render::{json, text};
use crate::run::{LiveSnapshot, Onlooker, Run};
use reshake_core::engine::TlsEvent;
use reshake_core::session::{Connection, ConnectionId};

/// After the wish to stop, packets that the kernel still holds are taken for this long at most.
const LAST_PACKETS: Duration = Duration::from_millis(500);
/// While no packet waits, lines are written for this long before packets are looked for again.
const IDLE_SLICE: Duration = Duration::from_millis(20);
/// While packets wait, lines take at most this part of the time: packets can be lost, lines cannot.
const BUSY_SHARE: u32 = 8;
/// Lines that are told together at most. What each is judged by is looked up once for all of a service, so the more there are
/// together the less each costs: with a thousand it is half as much again. Packets wait while so many are told, which takes
/// some fifth of a second; where fewer lines wait it is less.
const LINES: usize = 1 << 14;
/// While lines are many, those of this time are told together.
const TOGETHER_FOR: Duration = Duration::from_millis(20);
/// Lines that wait at most; beyond that packets do.
const MAX_WAITING: usize = 1 << 17;

/// Bytes of lines that are printed together at most.
const BYTES: usize = 1 << 16;

/// Tells what happens.
pub(super) struct Narrator<'a> {
    format: LiveFormat,
    coloured: bool,
    control: Control,
    metrics: Option<Metrics>,
    full_report: Option<&'a mut FullReport>,
    related: Related,
    /// Handshakes that were counted.
    legs: Legs,
    /// What happened and is not told yet.
    waiting: VecDeque<TlsEvent>,
    /// When lines were written last.
    told: Instant,
    /// How long that took.
    took: Duration,
    /// Connections whose handshake was told and that go on.
    open: HashSet<ConnectionId>,
    tally: Tally,
    /// Lines that are printed together.
    lines: Vec<u8>,
    /// Nobody reads standard output any more.
    closed: bool,
    begun: bool,
    /// No more packets come.
    ending: bool,
    /// When it was asked to stop, and how often no packet waited since.
    stopping: Option<(Instant, u32)>,
    next_summary: Instant,
    summed_up: Tally,
    /// A report that another thread makes meanwhile.
    asked: Option<Receiver<ReportOnDemand>>,
}

/// A report that was asked for, ready to be printed.
struct ReportOnDemand {
    text: Vec<u8>,
    problem: Option<String>,
}

impl<'a> Narrator<'a> {
    pub(super) fn new(
        format: LiveFormat,
        coloured: bool,
        control: Control,
        metrics: Option<Metrics>,
        full_report: Option<&'a mut FullReport>,
    ) -> Self {
        let next_summary = Instant::now() + control.interval;
        Self {
            format,
            coloured,
            control,
            metrics,
            full_report,
            related: Related::default(),
            legs: Legs::default(),
            waiting: VecDeque::new(),
            told: Instant::now(),
            took: Duration::ZERO,
            open: HashSet::new(),
            tally: Tally::default(),
            lines: Vec::new(),
            closed: false,
            begun: false,
            ending: false,
            stopping: None,
            next_summary,
            summed_up: Tally::default(),
            asked: None,
        }
    }

    /// The run is over: tells what is not told yet. Gives whether somebody still reads.
    pub(super) fn end(mut self, run: &mut Run) -> bool {
        if let Some(asked) = self.asked.take()
            && let Ok(asked) = asked.recv()
        {
            let _ = self.print_asked(&asked);
        }
        self.ending = true;
        self.waiting.extend(std::iter::from_fn(|| run.engine.poll()));
        let seen = LiveSnapshot {
            engine: &run.engine,
            capture: run.captures.first(),
            packets: run.captures.iter().map(|capture| capture.packets).sum(),
        };
        self.tell_all(seen);
        !self.closed
    }

    /// Tells everything that waits, however long it takes.
    fn tell_all(&mut self, seen: LiveSnapshot<'_>) {
        if self.closed || self.begin(seen).is_break() {
            return;
        }
        while !self.waiting.is_empty() {
            if self.tell_some(seen).is_break() {
                return;
            }
        }
        let _ = self.flush();
    }

    /// Prints whole lines, at once. Nobody to read them is a reason to stop, and no failure.
    fn print(&mut self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> ControlFlow<()> {
        self.add(write)?;
        self.flush()
    }

    /// Adds whole lines to those that are printed together: a call of the system for each would take longer than the line.
    fn add(&mut self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> ControlFlow<()> {
        let written = write(&mut self.lines);
        self.go_on_after(written)?;
        if self.lines.len() < BYTES {
            ControlFlow::Continue(())
        } else {
            self.flush()
        }
    }

    /// Prints the lines that were added.
    fn flush(&mut self) -> ControlFlow<()> {
        if self.lines.is_empty() {
            return ControlFlow::Continue(());
        }
        let mut out = io::stdout().lock();
        let written = out.write_all(&self.lines).and_then(|()| out.flush());
        self.lines.clear();
        self.go_on_after(written)
    }

    fn go_on_after(&mut self, written: io::Result<()>) -> ControlFlow<()> {
        let Err(error) = written else {
            return ControlFlow::Continue(());
        };
        if error.kind() != io::ErrorKind::BrokenPipe {
            complain(&format!("standard output: cannot be written: {error}"));
        }
        self.closed = true;
        ControlFlow::Break(())
    }

    /// The first line says what this is.
    fn begin(&mut self, seen: LiveSnapshot<'_>) -> ControlFlow<()> {
        if std::mem::replace(&mut self.begun, true) {
            return ControlFlow::Continue(());
        }
        let Some(capture) = seen.capture else {
            return ControlFlow::Continue(());
        };
        match self.format {
            LiveFormat::Jsonl => self.print(|out| json::live::going(capture, true, out)),
            LiveFormat::Text => self.print(|out| text::live::begin(capture, out)),
        }
    }

    fn sum_up(&mut self, seen: LiveSnapshot<'_>) -> ControlFlow<()> {
        let now = Instant::now();
        if now < self.next_summary {
            return ControlFlow::Continue(());
        }
        self.next_summary = now + self.control.interval;
        let Some(capture) = seen.capture else {
            return ControlFlow::Continue(());
        };
        self.tally.packets = seen.packets;
        self.tally.dropped = capture.dropped.unwrap_or(0);
        let since = self.tally.since(&self.summed_up);
        self.summed_up = self.tally;
        match self.format {
            LiveFormat::Jsonl => self.print(|out| json::live::going(capture, false, out)),
            LiveFormat::Text if since.is_nothing() => ControlFlow::Continue(()),
            LiveFormat::Text => {
                let (coloured, interval) = (self.coloured, self.control.interval);
                self.print(|out| text::live::summary(&since, interval, coloured, out))
            }
        }
    }

    /// Whether a report was asked for; another thread makes it, so that no packet waits for it.
    fn answer(&mut self, seen: LiveSnapshot<'_>) -> ControlFlow<()> {
        if let Some(asked) = &self.asked {
            match asked.try_recv() {
                Ok(asked) => {
                    self.asked = None;
                    self.print_asked(&asked)?;
                }
                Err(TryRecvError::Empty) => return ControlFlow::Continue(()),
                Err(TryRecvError::Disconnected) => self.asked = None,
            }
        }
        if !self.control.report.swap(false, Ordering::Relaxed) {
            return ControlFlow::Continue(());
        }
        let captures = seen.capture.cloned().into_iter().collect();
        let snapshot = Arc::new(seen.engine.snapshot());
        let (format, coloured) = (self.format, self.coloured);
        let mut file = self.full_report.as_ref().and_then(|file| file.again().ok());
        let (send, asked) = mpsc::channel();
        let work = move || {
            let report = Report::of(snapshot, captures);
            let mut text = Vec::new();
            let written = match format {
                LiveFormat::Text => text::write(&report, terminal::options(coloured, false), &mut text),
                LiveFormat::Jsonl => json::live::interim(&report, &mut text),
            };
            let written = written.map_err(|error| error.to_string());
            let filed = file.as_mut().map_or(Ok(()), |file| file.write(&report));
            // Whoever is gone by now has no use for it.
            let _ = send.send(ReportOnDemand {
                text,
                problem: written.and(filed).err(),
            });
        };
        match thread::Builder::new().name("report".to_owned()).spawn(work) {
            Ok(_) => self.asked = Some(asked),
            Err(error) => complain(&format!("the report cannot be made: {error}")),
        }
        ControlFlow::Continue(())
    }

    fn print_asked(&mut self, asked: &ReportOnDemand) -> ControlFlow<()> {
        if let Some(problem) = &asked.problem {
            complain(problem);
        }
        self.print(|out| out.write_all(&asked.text))
    }

    /// Whether it is to go on. After the wish to stop, what the kernel still holds is taken first.
    fn go_on(&mut self, idle: bool) -> ControlFlow<()> {
        let now = Instant::now();
        if self.control.end.is_some_and(|end| now >= end) || self.control.stop.load(Ordering::Relaxed) {
            let (since, idles) = self.stopping.get_or_insert((now, 0));
            *idles += u32::from(idle);
            // Twice, with a wait in between: the kernel hands packets over together.
            if *idles > 2 || since.elapsed() > LAST_PACKETS {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }
}

/// A connection of which something is to be told.
struct Line {
    id: ConnectionId,
    stage: Stage,
    /// Nothing was told of it yet.
    first: bool,
    /// The leg on which its handshake was told.
    first_leg: Option<FirstLeg>,
}

impl Narrator<'_> {
    /// Tells what waits, for as long as there is time.
    fn catch_up(&mut self, seen: LiveSnapshot<'_>, idle: bool) -> ControlFlow<()> {
        let begun = Instant::now();
        let since = begun.saturating_duration_since(self.told);
        let is_due = idle || since >= TOGETHER_FOR && since >= self.took * (BUSY_SHARE - 1);
        if self.waiting.is_empty() || !is_due && self.waiting.len() <= MAX_WAITING {
            return ControlFlow::Continue(());
        }
        loop {
            self.tell_some(seen)?;
            let has_time = idle && begun.elapsed() < IDLE_SLICE;
            if self.waiting.is_empty() || self.waiting.len() <= MAX_WAITING && !has_time {
                break;
            }
        }
        self.rest(begun);
        self.flush()
    }

    fn rest(&mut self, begun: Instant) {
        self.told = Instant::now();
        self.took = self.told.saturating_duration_since(begun);
    }

    /// Tells some of what waits, the earliest first.
    fn tell_some(&mut self, seen: LiveSnapshot<'_>) -> ControlFlow<()> {
        let count = self.waiting.len().min(LINES);
        let events: Vec<TlsEvent> = self.waiting.drain(..count).collect();
        let lines: Vec<Line> = events.into_iter().filter_map(|event| self.line(seen, event)).collect();
        let ids: Vec<ConnectionId> = lines.iter().map(|line| line.id).collect();
        let surroundings = Surroundings::of(seen.engine, seen.capture, &self.related, &ids);
        for line in lines {
            let Some(connection) = seen.engine.connection_store().get(line.id) else {
                continue;
            };
            let Some(report) = surroundings.about(connection) else {
                continue;
            };
            if line.first && line.first_leg.is_none() {
                self.tally.outcomes.count(connection.outcome);
                if let Some(metrics) = &self.metrics {
                    metrics.count(connection, report.reasons(line.id, connection).first());
                }
            }
            self.tell(report, connection, line)?;
        }
        ControlFlow::Continue(())
    }

    /// What is to be told of an event, if anything.
    fn line(&mut self, seen: LiveSnapshot<'_>, event: TlsEvent) -> Option<Line> {
        let (id, stage) = match event {
            TlsEvent::Handshake(id) => (id, Stage::Handshake),
            TlsEvent::Closed(id) => (id, Stage::Closed),
        };
        let connection = seen.engine.connection_store().get(id)?;
        let first = match event {
            TlsEvent::Handshake(_) => self.open.insert(id),
            TlsEvent::Closed(_) => !self.open.remove(&id),
        };
        if first {
            self.related.note(id, connection, seen.engine.connection_store());
        } else if self.format == LiveFormat::Text {
            // People were told of it at its handshake.
            return None;
        }
        let first_leg = self.legs.first_of(id, connection).cloned();
        if first_leg.is_some() && self.format == LiveFormat::Text {
            // The report counts both legs of a handshake once, and so does whoever counts lines.
            return None;
        }
        // The end of the run ends everything, but not every connection was over.
        let stage = match event {
            TlsEvent::Closed(_) if self.ending => Stage::of(connection),
            _ => stage,
        };
        Some(Line {
            id,
            stage,
            first,
            first_leg,
        })
    }

    /// Tells of a connection.
    fn tell(&mut self, report: &Report<'_>, connection: &Connection, line: Line) -> ControlFlow<()> {
        let Line {
            id,
            stage,
            first,
            first_leg,
        } = line;
        match self.format {
            LiveFormat::Jsonl => {
                // At the end both legs became one connection: what is told of its end is of neither alone.
                let kept = |leg: &FirstLeg| report.engine.connection_store().get(leg.connection).is_some();
                let told = |leg: &FirstLeg| !self.ending || stage == Stage::Handshake || kept(leg);
                let first_leg = first_leg.filter(told).map(|leg| leg.name);
                self.add(|out| json::live::connection(report, (id, connection), stage, first_leg.as_deref(), out))
            }
            LiveFormat::Text if first && (!self.ending || stage == Stage::Closed) => {
                let coloured = self.coloured;
                self.add(|out| text::live::connection(report, (id, connection), coloured, out))
            }
            LiveFormat::Text => ControlFlow::Continue(()),
        }
    }
}

impl Onlooker for Narrator<'_> {
    fn ending(&mut self, seen: LiveSnapshot<'_>) {
        self.tell_all(seen);
    }

    fn happened(&mut self, _: LiveSnapshot<'_>, event: TlsEvent) -> ControlFlow<()> {
        self.waiting.push_back(event);
        ControlFlow::Continue(())
    }

    fn spare(&mut self, seen: LiveSnapshot<'_>) -> ControlFlow<(), bool> {
        // What comes soon after other lines waits for more.
        let is_due = self.told.elapsed() >= TOGETHER_FOR || self.waiting.len() >= LINES;
        if self.waiting.is_empty() || !is_due {
            return ControlFlow::Continue(false);
        }
        let begun = Instant::now();
        self.begin(seen)?;
        self.tell_some(seen)?;
        if self.waiting.is_empty() {
            self.rest(begun);
            self.flush()?;
        }
        ControlFlow::Continue(!self.waiting.is_empty())
    }

    fn tick(&mut self, seen: LiveSnapshot<'_>, idle: bool) -> ControlFlow<()> {
        self.begin(seen)?;
        self.catch_up(seen, idle)?;
        if let Some(metrics) = &self.metrics {
            metrics.tick(seen, idle);
        }
        self.answer(seen)?;
        self.sum_up(seen)?;
        self.go_on(idle)
    }
}
