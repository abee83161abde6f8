//! Where packets and key logs come from: files and standard input. The only file I/O on the input side.
//!
//! In goes a path or any byte stream (pcap or pcapng, plain or compressed); out come [`Packet`]s with the frame numbers
//! Wireshark gives them, in file order, or merged by time over several files ([`Timeline`]). This layer never looks
//! inside a packet, never loses what it has read because of what comes later, and never holds more than one
//! bounded buffer per file.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use thiserror::Error;

use reshake_core::net::{Capture, Packet, Timestamp};

#[cfg(all(feature = "live", unix))]
mod annotated;
mod blocks;
mod buffer;
mod compress;
pub mod copy;
#[cfg(all(feature = "live", unix))]
pub mod device;
mod facts;
mod folder;
mod follow;
mod input;
mod keylog;
mod name;
mod parked;
mod pcap;
mod pcapng;
mod pipe;
mod record;
mod reopen;
#[cfg(test)]
mod testing;
mod timeline;

#[cfg(all(feature = "live", unix))]
pub use annotated::{Annotated, Comments};
pub use facts::{FactFile, Line};
pub use folder::expand;
pub use keylog::KeyLogFile;
pub use name::{is_standard_input, name_of};
pub use pipe::Pipe;
pub use record::{Recorded, Rotation};
pub use timeline::Timeline;

use input::Input;
use reopen::Reopened;

/// From so many files on each is open only while it is read: systems allow a process 256 to 1,024 descriptors.
pub const MANY: usize = 128;

/// The least that a file reads at once: a packet of the usual length with its headers.
const LEAST_PIECE: usize = 2 << 10;

/// Why a source has no packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// There will be none any more.
    Over,
    /// None came yet. Every packet up to this time was given, where that is known.
    Idle(Option<Timestamp>),
}

/// A stream of packets in file order.
pub trait Source: Send {
    /// The next packet, borrowed from the reader's buffer; `None` at the end (see [`Capture::ended`] for how it ended).
    fn next(&mut self) -> Option<Packet<'_>>;

    /// Whether `next` comes back without waiting for somebody to send something. Files never wait.
    fn is_ready(&mut self) -> bool {
        true
    }

    /// Time of the packet that `next` will return.
    fn peek(&mut self) -> Option<Timestamp>;

    /// Whether `next` will return the packet that `peek` announced: one that was let go may be gone.
    fn is_still_there(&mut self) -> bool {
        true
    }

    /// What is known of the input so far.
    fn capture(&self) -> &Capture;

    /// The error that ended reading, if one did; the packets before it were all delivered.
    fn error(&self) -> Option<&SourceError> {
        None
    }

    /// Takes the error that ended reading.
    fn take_error(&mut self) -> Option<SourceError> {
        None
    }

    /// Size of the input in bytes, before decompression, where it is known: what [`Capture::bytes`] will reach.
    fn size(&self) -> Option<u64> {
        None
    }

    /// Reads up to the next packet; whether key logs stand before it that [`Source::secrets`] will give.
    fn brings_secrets(&mut self) -> bool {
        false
    }

    /// The file that took the place of this one while it was followed: once, after the end. `_capture` is the index that
    /// its packets' frame references carry.
    fn successor(&mut self, _capture: u16) -> Option<Result<Box<dyn Source>, SourceError>> {
        None
    }

    /// Why [`Source::next`] gave nothing just now.
    fn pause(&self) -> Pause {
        Pause::Over
    }

    /// What happened to a live input that people should know, one line each, once.
    fn news(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// Nothing more is wanted: what is written beside is brought to its end.
    fn close(&mut self) {}

    /// Takes the TLS key logs found since the last call (pcapng Decryption Secrets Blocks), each the text of a whole
    /// key log file.
    fn secrets(&mut self) -> Vec<Vec<u8>> {
        Vec::new()
    }
}

/// Why an input could not be read, or not further.
#[derive(Debug, Error)]
pub enum SourceError {
    /// The file cannot be opened.
    #[error("{path}: cannot be opened: {cause}")]
    Open {
        /// Path as given.
        path: String,
        /// What the system said.
        cause: io::Error,
    },
    /// There is not a single byte.
    #[error("{path}: is empty; check that the capture was written (tcpdump -U writes each packet at once)")]
    Empty {
        /// Path as given.
        path: String,
    },
    /// The first bytes are those of no known format.
    #[error(
        "{path}: is not a capture file ({looks_like}); pcap and pcapng are read, also compressed with gzip or zstd"
    )]
    Foreign {
        /// Path as given.
        path: String,
        /// What the first bytes look like.
        looks_like: String,
    },
    /// The input ends before its file header does.
    #[error(
        "{path}: ends before its file header does, after {length} readable bytes; capture again or copy the file again"
    )]
    HeaderCut {
        /// Path as given.
        path: String,
        /// Bytes there are.
        length: u64,
    },
    /// Reading facts failed.
    #[error("{path}: reading failed at byte {offset}: {cause}; the facts before it are used")]
    Facts {
        /// Path as given.
        path: String,
        /// Offset in the decompressed input.
        offset: u64,
        /// What the system or the decompressor said.
        cause: io::Error,
    },
    /// Reading a key log failed.
    #[error("{path}: reading the key log failed: {cause}; what came before is used")]
    KeyLog {
        /// Path as given.
        path: String,
        /// What the system said.
        cause: io::Error,
    },
    /// A device cannot be read any more.
    #[error("{device}: {cause}; what came before was analysed")]
    Device {
        /// Its name.
        device: String,
        /// What libpcap said.
        cause: String,
    },
    /// What was captured cannot be written.
    #[error("{path}: cannot be written: {cause}")]
    Write {
        /// Path of the file.
        path: String,
        /// What the system said.
        cause: io::Error,
    },
    /// Reading failed.
    #[error("{path}: reading failed at byte {offset}, after frame {frame}: {cause}; what came before was analysed")]
    Read {
        /// Path as given.
        path: String,
        /// Offset in the decompressed input.
        offset: u64,
        /// Last frame that was read whole.
        frame: u64,
        /// What the system or the decompressor said.
        cause: io::Error,
    },
}

/// Bytes that an input is read from: a file, or what stands for one where there are none.
pub struct Stream {
    /// What it is called.
    pub name: String,
    /// The bytes.
    pub reader: Box<dyn Read + Send>,
    /// How many there are, where that is known.
    pub size: Option<u64>,
}

impl Stream {
    /// The bytes of a file.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, or is a directory.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SourceError> {
        let path = path.as_ref();
        let (file, size) = open_file(path)?;
        Ok(Self {
            name: name_of(path),
            reader: Box::new(file),
            size,
        })
    }
}

/// An input, as its first bytes show it.
pub enum OpenedInput {
    /// Packets.
    Capture(Box<dyn Source>),
    /// Facts of runs that are over.
    Facts(Box<FactFile>),
}

/// Opens a capture file or a file of facts; `-` is standard input. `capture` is the index that the frame references of
/// packets carry.
///
/// # Errors
///
/// As [`open`].
pub fn recognise(path: &Path, capture: u16) -> Result<OpenedInput, SourceError> {
    let stream = if is_standard_input(path) {
        Stream {
            name: name_of(path),
            reader: Box::new(io::stdin()),
            size: None,
        }
    } else {
        Stream::open(path)?
    };
    recognise_stream(stream, capture)
}

/// The same for one of very many files ([`MANY`]): it takes no descriptor while it waits for its turn, and less memory; less
/// yet where no more than `piece` bytes are to be read at once.
///
/// # Errors
///
/// As [`open`].
pub fn recognise_one_of_many(path: &Path, capture: u16, piece: Option<usize>) -> Result<OpenedInput, SourceError> {
    let (file, size) = open_file(path)?;
    // A pipe cannot be opened again where it was left.
    let Some(reader) = size.and_then(|_| Reopened::of(path, &file)) else {
        let stream = Stream {
            name: name_of(path),
            reader: Box::new(file),
            size,
        };
        return recognise_stream(stream, capture);
    };
    drop(file);
    let mut input = Input::new(&name_of(path), Box::new(reader), size, capture);
    match piece {
        Some(piece) => input.buffer.stay_within(piece.max(LEAST_PIECE)),
        None => input.buffer.stay_small(),
    }
    recognise_input(input)
}

/// The same for one of so many files that even their first packets are too much to hold: until its time comes, nothing but
/// that time is kept of it. What a pipe said once is held all the same.
///
/// # Errors
///
/// As [`open`].
pub fn recognise_parked(path: &Path, capture: u16, piece: usize) -> Result<OpenedInput, SourceError> {
    let is_file = path.is_file();
    Ok(match recognise_one_of_many(path, capture, Some(piece))? {
        OpenedInput::Capture(source) if is_file => OpenedInput::Capture(parked::park(source, path, capture, piece)),
        other => other,
    })
}

/// As [`recognise`], of bytes that come from anywhere.
///
/// # Errors
///
/// As [`open`].
pub fn recognise_stream(stream: Stream, capture: u16) -> Result<OpenedInput, SourceError> {
    recognise_input(Input::new(&stream.name, stream.reader, stream.size, capture))
}

fn recognise_input(input: Input) -> Result<OpenedInput, SourceError> {
    let input = unwrap(input);
    if FactFile::recognises(input.buffer.data()) {
        return Ok(OpenedInput::Facts(Box::new(FactFile::new(input))));
    }
    detect(input).map(OpenedInput::Capture)
}

/// Opens a capture file; `-` is standard input. `capture` is the index that the packets' frame references carry.
///
/// # Errors
///
/// When the file cannot be opened, is empty, or is not a capture.
pub fn open(path: impl AsRef<Path>, capture: u16) -> Result<Box<dyn Source>, SourceError> {
    let path = path.as_ref();
    if is_standard_input(path) {
        return from_reader("-", Box::new(io::stdin()), None, capture);
    }
    let (file, size) = open_file(path)?;
    from_reader(&name_of(path), Box::new(file), size, capture)
}

/// A capture for whoever copies it.
pub enum Content {
    /// Of a pcapng file its bytes, decompressed: it is copied block by block.
    Blocks(Box<dyn Read + Send>),
    /// Of a pcap file its packets.
    Records(Box<dyn Source>),
}

/// The content of a capture that is to be copied.
///
/// # Errors
///
/// As [`open`].
pub fn content(stream: Stream) -> Result<Content, SourceError> {
    let input = unwrap(Input::new(&stream.name, stream.reader, stream.size, 0));
    if pcapng::recognises(input.buffer.data()) {
        return Ok(Content::Blocks(input.buffer.into_reader()));
    }
    detect(input).map(Content::Records)
}

/// Opens a capture file that is still being written: at its end, waits for more until `stop` is set. When another file
/// takes its name or it is cut back, it ends and has a [`Source::successor`]. Standard input waits by itself.
///
/// # Errors
///
/// As [`open`]; an empty file is waited for.
pub fn open_following(path: &Path, capture: u16, stop: Arc<AtomicBool>) -> Result<Box<dyn Source>, SourceError> {
    if is_standard_input(path) {
        return open(path, capture);
    }
    follow::open(path, capture, stop)
}

/// Reads a capture from any byte stream. `name` stands for the path; `size` is its length in bytes where known.
///
/// # Errors
///
/// When the stream is empty, fails at once, or is not a capture.
pub fn from_reader(
    name: &str,
    reader: Box<dyn Read + Send>,
    size: Option<u64>,
    capture: u16,
) -> Result<Box<dyn Source>, SourceError> {
    detect(unwrap(Input::new(name, reader, size, capture)))
}

fn open_file(path: &Path) -> Result<(File, Option<u64>), SourceError> {
    let failed = |cause| SourceError::Open {
        path: name_of(path),
        cause,
    };
    let file = File::open(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    // Opening a directory succeeds on Unix; only reading it would fail, with a less helpful message.
    if meta.is_dir() {
        return Err(failed(io::Error::from(io::ErrorKind::IsADirectory)));
    }
    Ok((file, meta.is_file().then_some(meta.len())))
}

/// Takes compression off, and has the first bytes at hand.
fn unwrap(mut input: Input) -> Input {
    input.fill(4);
    input = compress::unwrap(input);
    input.fill(4);
    input
}

fn detect(input: Input) -> Result<Box<dyn Source>, SourceError> {
    let start = input.buffer.data();
    if pcapng::recognises(start) {
        return Ok(Box::new(pcapng::PcapngFile::new(input)?));
    }
    if pcap::recognises(start) {
        return Ok(Box::new(pcap::PcapFile::new(input)?));
    }
    Err(input.unrecognised())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn error(bytes: &[u8]) -> String {
        error_of("x.pcap", bytes)
    }

    fn error_of(name: &str, bytes: &[u8]) -> String {
        let reader = Box::new(Cursor::new(bytes.to_vec()));
        from_reader(name, reader, None, 0).err().expect("an error").to_string()
    }

    #[test]
    fn an_empty_or_foreign_file_gets_one_clear_line() {
        assert!(error(b"").starts_with("x.pcap: is empty"));
        assert!(error(b"hello").contains("is not a capture file (its first bytes are 68 65 6c 6c)"));
        assert!(error(b"PK\x03\x04rest").contains("a ZIP archive; unpack it first"));
        assert!(error(b"{\"a\": 1}").contains("it looks like JSON"));
        let signature = b"\x01\x28\0Netscaler V35 Performance Data\0";
        assert!(error(signature).contains("a NetScaler trace; convert it with editcap"));
        assert!(error(b"iptrace 2.0").contains("an AIX iptrace file; convert it with editcap"));
        assert!(error_of("NetTrace.ETL", &[0, 0, 1, 0]).contains("etl2pcapng where netsh wrote it"));
        assert!(error_of("etl", &[0, 0, 1, 0]).contains("its first bytes are 00 00 01 00"));
        assert!(error(&[0xd4, 0xc3, 0xb2, 0xa1, 2]).contains("after 5 readable bytes"));
        assert!(error(&[0x0a, 0x0d, 0x0d, 0x0a, 28, 0]).contains("after 6 readable bytes"));
        for text in [error(b""), error(b"hello"), error(&[0xd4, 0xc3, 0xb2, 0xa1])] {
            assert!(!text.contains('\n'));
        }
    }

    #[test]
    fn a_path_that_cannot_be_read_is_named() {
        let missing = open("/nonexistent/x.pcap", 0).err().expect("an error").to_string();
        assert!(
            missing.starts_with("/nonexistent/x.pcap: cannot be opened: "),
            "{missing}"
        );
        let folder = std::env::temp_dir();
        let folder = folder.to_str().expect("a UTF-8 path");
        assert!(matches!(open(folder, 0), Err(SourceError::Open { .. })));
    }

    #[test]
    fn a_read_error_keeps_what_came_before_and_is_told() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("cable pulled"))
            }
        }
        let reader = Cursor::new(testing::plain_pcap(3)).chain(Broken);
        let mut source = from_reader("x", Box::new(reader), None, 0).expect("a capture");
        assert_eq!(testing::drain(source.as_mut()).len(), 3);
        let text = source.error().expect("an error").to_string();
        assert!(text.contains("after frame 3: cable pulled"), "{text}");
        assert_eq!(source.capture().ended, reshake_core::net::capture::Ended::Corrupt);
    }

    #[test]
    fn frames_carry_the_index_of_their_capture() {
        let mut source = testing::source(&testing::plain_pcap(1));
        assert_eq!(source.next().map(|packet| packet.frame.capture()), Some(3));
    }
}
