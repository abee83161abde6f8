//! The progress bar: on standard error, only on a terminal and only for a long input.

use std::io::{self, IsTerminal};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::run::RunProgress;

/// Inputs up to this size are read faster than a bar is understood.
const LONG_INPUT: u64 = 64 << 20;
/// An input of unknown size counts as long after this time.
const LONG_WAIT: Duration = Duration::from_secs(1);
/// Draws a second.
const RATE: u8 = 5;

/// Decides whether a bar is shown, and shows it.
pub(super) struct Meter {
    wanted: bool,
    started: Instant,
    bar: Option<ProgressBar>,
}

impl Meter {
    pub(super) fn new(wanted: bool) -> Self {
        Self {
            wanted: wanted && io::stderr().is_terminal(),
            started: Instant::now(),
            bar: None,
        }
    }

    /// Takes note of the progress; never stops a run.
    pub(super) fn watch(&mut self, progress: RunProgress) -> ControlFlow<()> {
        if self.wanted && self.is_long(progress) {
            let started = self.started;
            self.bar
                .get_or_insert_with(|| bar(progress.size).with_elapsed(started.elapsed()))
                .set_position(progress.bytes);
        }
        ControlFlow::Continue(())
    }

    /// Takes the bar off the screen.
    pub(super) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn is_long(&self, progress: RunProgress) -> bool {
        match progress.size {
            Some(size) => size > LONG_INPUT,
            None => self.started.elapsed() > LONG_WAIT,
        }
    }
}

fn bar(size: Option<u64>) -> ProgressBar {
    let template = match size {
        Some(_) => "{bar:40} {bytes} of {total_bytes} in {elapsed}",
        None => "{spinner} {bytes} in {elapsed}",
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(size, ProgressDrawTarget::stderr_with_hz(RATE)).with_style(style)
}
