//! `reshake live --tui`: the run goes on behind the screens, which get a new report now and then.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use super::super::{Status, complain, print_form, terminal};
use super::{Control, Prepared};
use crate::model::Report;
use crate::model::live::Legs;
use crate::render::text;
use crate::run::{LiveSnapshot, Onlooker, Run};
use crate::tui::event::{Cutter, Stats};
use crate::tui::{self, LiveFeed};
use reshake_core::engine::{Engine, Limits, TlsEvent};
use reshake_core::net::Capture;

/// Seconds whose handshakes are counted one by one.
const SECONDS: usize = 60;
/// Time between two looks at the numbers.
const STATS: Duration = Duration::from_secs(1);
/// A report is made when something happened, but takes at most this part of the time.
const SHARE: u32 = 4;
/// Least time between two reports.
const LEAST: Duration = Duration::from_millis(500);

pub(super) fn run(prepared: Prepared, coloured: bool) -> Status {
    let Prepared {
        live,
        options,
        control,
        mut full_report,
        incomplete,
        ..
    } = prepared;
    let nothing = Arc::new(Report::of(Arc::new(Engine::new(Limits::default())), Vec::new()));
    let stop = Arc::clone(&control.stop);
    let mut running = None;
    let cutter = Cutter::none("a live capture is not kept; 'live -w FILE' records one");
    let shown = tui::run(nothing, tui::TuiOptions { coloured, live: true }, cutter, |feed| {
        let work = move || {
            let mut watcher = Watcher::new(feed.clone(), control);
            let mut lines = Vec::new();
            let run = live.run(&options, &mut watcher, &mut |line| lines.push(line.to_owned()));
            watcher.end(run, lines)
        };
        running = thread::Builder::new().name("capture".to_owned()).spawn(work).ok();
    });
    stop.store(true, Ordering::Relaxed);
    let mut status = if incomplete {
        Status::Unreadable
    } else {
        Status::Analysed
    };
    let ended = running.and_then(|running| running.join().ok());
    if let Err(error) = shown {
        complain(&format!("the terminal cannot be used: {error}"));
        status = Status::Unreadable;
    }
    let Some((report, lines, failed)) = ended else {
        return Status::Unreadable;
    };
    for line in &lines {
        complain(line);
    }
    if let Some(file) = &mut full_report
        && let Err(line) = file.write(&report)
    {
        complain(&line);
        status = Status::Unreadable;
    }
    // The screens are gone; what was seen stays to be read.
    let written = print_form(true, |out| {
        text::write(&report, terminal::options(coloured, false), out)
    });
    if let Err(error) = written {
        complain(&format!("standard output: cannot be written: {error}"));
        status = Status::Unreadable;
    }
    // The process ends here: giving back the memory of every connection one by one would only cost time.
    std::mem::forget(report);
    if failed { Status::Unreadable } else { status }
}

/// Feeds the screens.
struct Watcher {
    feed: LiveFeed,
    control: Control,
    /// Handshakes of each of the last seconds.
    handshakes: VecDeque<u64>,
    next_stats: Instant,
    next_report: Instant,
    /// Handshakes that were counted.
    legs: Legs,
    changed: bool,
    /// The thread that makes a report, and since when.
    making: Option<(thread::JoinHandle<bool>, Instant)>,
    gone: bool,
}

impl Watcher {
    fn new(feed: LiveFeed, control: Control) -> Self {
        let now = Instant::now();
        Self {
            feed,
            control,
            handshakes: VecDeque::from([0]),
            next_stats: now,
            next_report: now,
            legs: Legs::default(),
            changed: true,
            making: None,
            gone: false,
        }
    }

    /// The last report, and what is to be said when the terminal is back.
    fn end(mut self, run: Run, mut lines: Vec<String>) -> (Arc<Report<'static>>, Vec<String>, bool) {
        if let Some((making, _)) = self.making.take() {
            self.gone |= making.join().is_ok_and(|there| !there);
        }
        let why = run
            .errors
            .first()
            .cloned()
            .unwrap_or_else(|| "it was stopped".to_owned());
        let failed = !run.errors.is_empty();
        lines.extend(run.errors.iter().chain(&run.warnings).cloned());
        let report = Arc::new(Report::of(Arc::new(run.engine), run.captures));
        if !self.gone && self.feed.report(Arc::clone(&report)) {
            self.feed.ended(&why);
        }
        (report, lines, failed)
    }

    fn tell_stats(&mut self, seen: LiveSnapshot<'_>, idle: bool) {
        let now = Instant::now();
        if now < self.next_stats {
            return;
        }
        self.next_stats = now + STATS;
        let millis = super::metrics::lag(seen) * 1_000.0;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // an age in milliseconds, never negative
        let lag = if idle { 0 } else { millis as u64 };
        let stats = Stats {
            handshakes: self.handshakes.iter().copied().collect(),
            packets: seen.packets,
            dropped: seen.capture.and_then(|capture| capture.dropped),
            lag: Some(lag),
        };
        self.gone |= !self.feed.stats(stats);
        self.handshakes.push_back(0);
        if self.handshakes.len() > SECONDS {
            self.handshakes.pop_front();
        }
    }

    /// Makes a report of what changed, on a thread of its own, so that no packet waits for it.
    fn tell_report(&mut self, seen: LiveSnapshot<'_>) {
        if let Some((making, since)) = self.making.take() {
            if !making.is_finished() {
                self.making = Some((making, since));
                return;
            }
            self.gone |= making.join().is_ok_and(|there| !there);
            self.next_report = Instant::now() + (SHARE * since.elapsed()).max(LEAST).min(self.control.interval);
        }
        if !self.changed || Instant::now() < self.next_report {
            return;
        }
        self.changed = false;
        let since = Instant::now();
        let snapshot = Arc::new(seen.engine.snapshot());
        let captures: Vec<Capture> = seen.capture.cloned().into_iter().collect();
        let feed = self.feed.clone();
        let work = move || feed.report(Arc::new(Report::of(snapshot, captures)));
        let making = thread::Builder::new().name("report".to_owned()).spawn(work);
        self.making = making.ok().map(|making| (making, since));
    }
}

impl Onlooker for Watcher {
    fn happened(&mut self, seen: LiveSnapshot<'_>, event: TlsEvent) -> ControlFlow<()> {
        self.changed = true;
        let TlsEvent::Handshake(id) = event else {
            return ControlFlow::Continue(());
        };
        let connection = seen.engine.connection_store().get(id);
        let another = connection.is_some_and(|connection| self.legs.first_of(id, connection).is_some());
        if let Some(second) = self.handshakes.back_mut().filter(|_| !another) {
            *second += 1;
        }
        ControlFlow::Continue(())
    }

    fn tick(&mut self, seen: LiveSnapshot<'_>, idle: bool) -> ControlFlow<()> {
        self.tell_stats(seen, idle);
        self.tell_report(seen);
        let over = self.control.end.is_some_and(|end| Instant::now() >= end);
        if self.gone || over || self.control.stop.load(Ordering::Relaxed) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}
