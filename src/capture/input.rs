//! What every file reader shares: the buffer, the frame numbering and the account of the file as a whole. Bytes come
//! in from the buffer, a [`Capture`] that is always up to date goes out; it knows no file format.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::SourceError;
use super::buffer::Buffer;
use reshake_core::net::capture::{CaptureFormat, Ended};
use reshake_core::net::{Capture, FrameRef, Notice, Timestamp};

/// One input on its way from bytes to packets.
pub(super) struct Input {
    pub(super) buffer: Buffer,
    pub(super) capture: Capture,
    pub(super) size: Option<u64>,
    pub(super) error: Option<SourceError>,
    /// Nothing more comes; `capture.ended` says why.
    pub(super) over: bool,
    index: u16,
    meter: Arc<AtomicU64>,
    stop: Option<Arc<AtomicBool>>,
}

impl Input {
    pub(super) fn new(name: &str, reader: Box<dyn Read + Send>, size: Option<u64>, index: u16) -> Self {
        let meter = Arc::new(AtomicU64::new(0));
        let reader = ByteMeter {
            reader,
            count: Arc::clone(&meter),
        };
        Self {
            buffer: Buffer::new(Box::new(reader)),
            capture: Capture::new(name, CaptureFormat::Pcap),
            size,
            error: None,
            over: false,
            index,
            meter,
            stop: None,
        }
    }

    /// An end of input while `stop` is set is the user's doing.
    pub(super) fn stopped_by(mut self, stop: Arc<AtomicBool>) -> Self {
        self.stop = Some(stop);
        self
    }

    /// Reads until `want` bytes are at hand; `false` when there will never be so many.
    #[inline]
    pub(super) fn fill(&mut self, want: usize) -> bool {
        self.buffer.has(want) || self.fill_slowly(want)
    }

    /// Numbers one more frame and accounts for it.
    #[inline]
    pub(super) fn count(&mut self, time: Timestamp, captured: usize, original: u32) -> FrameRef {
        if self.capture.last_time.is_some_and(|last| last <= time) {
            self.capture.last_time = Some(time);
        } else {
            self.note_time(time);
        }
        self.count_untimed(captured, original)
    }

    /// The first time, or one before others.
    #[cold]
    fn note_time(&mut self, time: Timestamp) {
        let capture = &mut self.capture;
        capture.last_time = capture.last_time.max(Some(time));
        if capture.first_time.is_none_or(|first| time < first) {
            capture.first_time = Some(time);
        }
    }

    /// As `count`, for a frame without a time of its own.
    #[inline]
    pub(super) fn count_untimed(&mut self, captured: usize, original: u32) -> FrameRef {
        self.capture.packets = self.capture.packets.saturating_add(1);
        let frame = FrameRef::new(self.index, self.capture.packets);
        if captured < original as usize {
            self.capture.notices.add(Notice::PacketCutBySnaplen, Some(frame));
        }
        frame
    }

    /// Counts something that is named at the frame to come.
    pub(super) fn note(&mut self, notice: Notice) {
        let frame = FrameRef::new(self.index, self.capture.packets.saturating_add(1));
        self.capture.notices.add(notice, Some(frame));
    }

    /// The input ends before the next header is whole: where a record or block would begin, or inside it.
    pub(super) fn end_at_header(&mut self) {
        let inside = !self.buffer.data().is_empty();
        self.finish(if inside { Ended::Truncated } else { Ended::EndOfFile });
    }

    /// The input ends inside a record or block.
    pub(super) fn end_inside(&mut self) {
        self.finish(Ended::Truncated);
    }

    /// No way to go on was found after damage.
    pub(super) fn end_corrupt(&mut self) {
        self.finish(Ended::Corrupt);
    }

    /// The error for an input whose first bytes no reader takes.
    pub(super) fn unrecognised(mut self) -> SourceError {
        if self.buffer.failed() {
            return self.header_cut();
        }
        let path = std::mem::take(&mut self.capture.path);
        let start = self.buffer.data();
        if start.is_empty() {
            return SourceError::Empty { path };
        }
        let looks_like = describe(start, &path);
        SourceError::Foreign { path, looks_like }
    }

    /// The error for an input that ends inside its file header.
    pub(super) fn header_cut(mut self) -> SourceError {
        let path = std::mem::take(&mut self.capture.path);
        let length = self.buffer.data().len() as u64;
        match self.buffer.take_error() {
            Some(cause) if cause.kind() != io::ErrorKind::UnexpectedEof => SourceError::Read {
                path,
                offset: length,
                frame: 0,
                cause,
            },
            _ => SourceError::HeaderCut { path, length },
        }
    }

    #[cold]
    fn fill_slowly(&mut self, want: usize) -> bool {
        let filled = self.buffer.fill(want);
        self.capture.bytes = self.meter.load(Ordering::Relaxed);
        filled
    }

    fn finish(&mut self, ended: Ended) {
        if self.over {
            return;
        }
        self.over = true;
        self.capture.ended = match self.buffer.take_error() {
            // A compressed file that was cut is cut, not damaged.
            Some(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => Ended::Truncated,
            Some(cause) => {
                self.error = Some(SourceError::Read {
                    path: self.capture.path.clone(),
                    offset: self.buffer.offset(),
                    frame: self.capture.packets,
                    cause,
                });
                Ended::Corrupt
            }
            None if self.is_stopped() => Ended::Stopped,
            None => ended,
        };
        if self.capture.ended == Ended::Truncated {
            self.note(Notice::FileTruncated);
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed))
    }
}

/// Counts the bytes read through it, before decompression and possibly in another thread.
struct ByteMeter {
    reader: Box<dyn Read + Send>,
    count: Arc<AtomicU64>,
}

impl Read for ByteMeter {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(space)?;
        self.count.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// What a file is that is no capture, by what it begins with or by its name, and what makes a capture of it.
fn describe(start: &[u8], path: &str) -> String {
    const KNOWN: &[(&[u8], &str)] = &[
        (b"PK\x03\x04", "a ZIP archive; unpack it first"),
        (b"\xfd7zXZ", "XZ compression; unpack it first"),
        (b"BZh", "bzip2 compression; unpack it first"),
        (b"\x04\x22\x4d\x18", "LZ4 compression; unpack it first"),
        (b"snoop\0", "a snoop file; convert it with editcap"),
        (b"RTSS", "a Network Monitor file; convert it with editcap"),
        (b"GMBU", "a Network Monitor file; convert it with editcap"),
        (b"iptrace ", "an AIX iptrace file; convert it with editcap"),
        (b"\x7fELF", "a program"),
        (b"CLIENT_", "a TLS key log"),
        (b"{", "JSON"),
        (b"<", "XML or HTML"),
    ];
    let known = KNOWN.iter().find(|(magic, _)| start.starts_with(magic));
    // Behind the header of a record, and written in two ways.
    let early = start.get(..64).unwrap_or(start).to_ascii_lowercase();
    let netscaler = early.windows(9).any(|window| window == b"netscaler");
    // An event trace has nothing of its own in front.
    let is_event_trace = Path::new(path)
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("etl"));
    if let Some((_, name)) = known {
        format!("it looks like {name}")
    } else if netscaler {
        "it looks like a NetScaler trace; convert it with editcap".to_owned()
    } else if is_event_trace {
        "by its name it is a Windows event trace; convert it with pktmon etl2pcap, or with etl2pcapng where netsh wrote it".to_owned()
    } else {
        let bytes: Vec<String> = start.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        format!("its first bytes are {}", bytes.join(" "))
    }
}
