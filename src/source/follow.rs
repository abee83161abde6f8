//! A file that is still being written, as an endless reader: at the end it waits for more, until it is told to stop.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// How long to wait at the end of the file before looking again.
const PAUSE: Duration = Duration::from_millis(100);

/// Reads a growing file.
pub(super) struct Follow {
    file: File,
    stop: Arc<AtomicBool>,
}

impl Follow {
    pub(super) fn new(file: File, stop: Arc<AtomicBool>) -> Self {
        Self { file, stop }
    }
}

impl Read for Follow {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        loop {
            // Asked before reading, so that what was written before the stop is still seen.
            let stopping = self.stop.load(Ordering::Relaxed);
            match self.file.read(space)? {
                0 if !stopping && !space.is_empty() => thread::sleep(PAUSE),
                count => return Ok(count),
            }
        }
    }
}
