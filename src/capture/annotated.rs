//! Packets on their way past, written to a pipe as pcapng with comments that come while they are held back.
//!
//! A comment can only go on a packet that is not written yet, hence every packet waits a moment. What is said of one that
//! is gone goes on the latest, with the number of the frame that it is about.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::blocks::Blocks;
use super::{Pause, Source, SourceError};
use reshake_core::net::{Capture, FrameRef, LinkType, Packet, Timestamp};

/// Bytes that wait at most; beyond that the oldest are written before their time.
const MAX_WAITING: usize = 64 << 20;

/// A source whose packets are written to `out`, each after `delay`.
pub struct Annotated {
    source: Box<dyn Source>,
    backlog: Arc<Mutex<Backlog>>,
    delay: Duration,
}

/// Takes comments for packets that are on their way.
#[derive(Clone)]
pub struct Comments {
    backlog: Arc<Mutex<Backlog>>,
}

struct Backlog {
    blocks: Blocks<Box<dyn Write + Send>>,
    held: VecDeque<Held>,
    bytes: usize,
    /// Comments on packets that are gone, for the next that is written.
    late: Vec<String>,
    /// Nobody takes packets any more, or they cannot be written.
    over: Option<io::Error>,
}

struct Held {
    since: Instant,
    frame: FrameRef,
    time: Timestamp,
    link: LinkType,
    interface: u32,
    data: Vec<u8>,
    original_len: u32,
    comments: Vec<String>,
}

/// Only one thread is at it; a panic of another leaves nothing half done.
fn lock(backlog: &Mutex<Backlog>) -> MutexGuard<'_, Backlog> {
    backlog.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Annotated {
    /// Begins to write.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(source: Box<dyn Source>, out: Box<dyn Write + Send>, delay: Duration) -> io::Result<(Self, Comments)> {
        let mut blocks = Blocks::begin(out)?;
        blocks.flush()?;
        let backlog = Arc::new(Mutex::new(Backlog {
            blocks,
            held: VecDeque::new(),
            bytes: 0,
            late: Vec::new(),
            over: None,
        }));
        let comments = Comments {
            backlog: Arc::clone(&backlog),
        };
        Ok((Self { source, backlog, delay }, comments))
    }
}

impl Comments {
    /// Puts a comment on a frame.
    pub fn add(&self, frame: FrameRef, comment: String) {
        let mut backlog = lock(&self.backlog);
        let place = backlog.held.partition_point(|held| held.frame.frame() < frame.frame());
        match backlog.held.get_mut(place).filter(|held| held.frame == frame) {
            Some(held) => held.comments.push(comment),
            None => backlog.late.push(format!("{comment} [frame {}]", frame.frame())),
        }
    }

    /// Whether anybody still takes packets.
    #[must_use]
    pub fn is_over(&self) -> bool {
        lock(&self.backlog).over.is_some()
    }

    /// Why packets could not be written; nobody to take them is no failure.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let backlog = lock(&self.backlog);
        let error = backlog.over.as_ref()?;
        (error.kind() != io::ErrorKind::BrokenPipe).then(|| error.to_string())
    }
}

impl Backlog {
    fn hold(&mut self, packet: &Packet<'_>) {
        self.bytes += packet.data.len();
        self.held.push_back(Held {
            since: Instant::now(),
            frame: packet.frame,
            time: packet.time,
            link: packet.link,
            interface: packet.interface,
            data: packet.data.to_vec(),
            original_len: packet.original_len,
            comments: Vec::new(),
        });
    }

    /// Writes what has waited long enough.
    fn write(&mut self, delay: Duration) {
        let mut written = Ok(());
        let before = self.held.len();
        while written.is_ok()
            && let Some(held) = self.held.front()
            && (held.since.elapsed() >= delay || self.bytes > MAX_WAITING)
        {
            written = self.write_first();
        }
        if written.is_ok() && self.held.len() < before {
            written = self.blocks.flush();
        }
        if let Err(error) = written {
            self.over = Some(error);
        }
    }

    fn write_first(&mut self) -> io::Result<()> {
        let Some(mut held) = self.held.pop_front() else {
            return Ok(());
        };
        self.bytes -= held.data.len();
        held.comments.append(&mut self.late);
        let packet = Packet {
            frame: held.frame,
            time: held.time,
            link: held.link,
            interface: held.interface,
            data: &held.data,
            original_len: held.original_len,
        };
        self.blocks.packet(&packet, &held.comments)
    }
}

impl Source for Annotated {
    fn next(&mut self) -> Option<Packet<'_>> {
        let mut backlog = lock(&self.backlog);
        backlog.write(self.delay);
        if backlog.over.is_some() {
            return None;
        }
        let packet = self.source.next();
        if let Some(packet) = &packet {
            backlog.hold(packet);
        }
        packet
    }

    fn peek(&mut self) -> Option<Timestamp> {
        self.source.peek()
    }

    fn capture(&self) -> &Capture {
        self.source.capture()
    }

    fn error(&self) -> Option<&SourceError> {
        self.source.error()
    }

    fn pause(&self) -> Pause {
        if lock(&self.backlog).over.is_some() {
            return Pause::Over;
        }
        self.source.pause()
    }

    fn news(&mut self) -> Vec<String> {
        self.source.news()
    }

    fn close(&mut self) {
        self.source.close();
        let mut backlog = lock(&self.backlog);
        if backlog.over.is_none() {
            backlog.write(Duration::ZERO);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::testing::{drain, plain_pcap, source};

    /// A writer whose bytes the test can look at.
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("one thread").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn has(bytes: &[u8], text: &str) -> bool {
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    }

    #[test]
    fn comments_reach_the_packets_that_wait_and_the_next_where_they_are_gone() {
        let out = Shared::default();
        let delay = Duration::from_hours(1);
        let (mut annotated, comments) =
            Annotated::new(source(&plain_pcap(3)), Box::new(out.clone()), delay).expect("a section");
        let frames: Vec<FrameRef> = (0..3).map(|_| annotated.next().expect("a packet").frame).collect();
        assert!(
            !has(&out.0.lock().expect("one thread"), "first"),
            "nothing is written before its time"
        );
        comments.add(frames[0], "first".to_owned());
        lock(&annotated.backlog).write_first().expect("written");
        assert!(has(&out.0.lock().expect("one thread"), "first"));
        comments.add(frames[0], "too late".to_owned());
        annotated.close();
        assert!(has(&out.0.lock().expect("one thread"), "too late [frame 1]"));
        let copy = out.0.lock().expect("one thread").clone();
        assert_eq!(drain(&mut *source(&copy)).len(), 3, "all packets are there");
    }

    /// A reader that went away.
    struct Gone;

    impl Write for Gone {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // The header of the section is still taken.
            if bytes.len() < 64 {
                Ok(bytes.len())
            } else {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_goes_away_ends_it_without_an_error() {
        let (mut annotated, comments) =
            Annotated::new(source(&plain_pcap(9)), Box::new(Gone), Duration::ZERO).expect("a section");
        while let Some(packet) = annotated.next() {
            let frame = packet.frame;
            comments.add(frame, "x".repeat(100));
        }
        assert!(comments.is_over());
        assert_eq!(comments.failure(), None);
        assert_eq!(annotated.pause(), Pause::Over);
    }
}
