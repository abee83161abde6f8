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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::net::capture::Ended;
    use crate::source::open_following;
    use crate::source::testing::plain_pcap;

    #[test]
    fn packets_written_later_are_read_until_the_stop() {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        let bytes = plain_pcap(3);
        let (front, back) = bytes.split_at(24 + 56 + 10);
        file.write_all(front).expect("writing");
        let stop = Arc::new(AtomicBool::new(false));
        let path = file.path().to_str().expect("a UTF-8 path").to_owned();
        let mut source = open_following(&path, 0, Arc::clone(&stop)).expect("a capture");
        assert!(source.next().is_some());
        let back = back.to_vec();
        let writer = thread::spawn(move || {
            file.write_all(&back).expect("writing");
            file
        });
        assert!(source.next().is_some());
        assert!(source.next().is_some());
        stop.store(true, Ordering::Relaxed);
        assert!(source.next().is_none());
        assert_eq!(source.capture().ended, Ended::Stopped);
        drop(writer.join());
    }
}
