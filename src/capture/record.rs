//! Packets on their way past, written to pcapng files as they were captured: proof that can be read again. Files are
//! rotated by size or time, and the oldest go where a number is given.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use super::blocks::Blocks;
use super::{Pause, Source, SourceError, name_of};
use reshake_core::net::{Capture, Packet, Timestamp};

/// When a file is full and how many are kept.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rotation {
    /// Bytes of a file.
    pub bytes: Option<u64>,
    /// Nanoseconds of packet time in a file.
    pub nanos: Option<i64>,
    /// Files kept; the oldest are removed beyond that.
    pub files: Option<usize>,
}

/// A source whose packets are written to files while they are read.
pub struct Recorded {
    source: Box<dyn Source>,
    recorder: Option<Recorder>,
    error: Option<SourceError>,
    news: Vec<String>,
}

impl Recorded {
    /// Writes what `source` gives. The first file is made here.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(source: Box<dyn Source>, path: &Path, rotation: Rotation) -> Result<Self, SourceError> {
        let recorder = Recorder::new(path, rotation).map_err(|cause| SourceError::Write {
            path: name_of(path),
            cause,
        })?;
        Ok(Self {
            source,
            recorder: Some(recorder),
            error: None,
            news: Vec::new(),
        })
    }
}

impl Source for Recorded {
    fn next(&mut self) -> Option<Packet<'_>> {
        let packet = self.source.next();
        if let (Some(recorder), Some(packet)) = (&mut self.recorder, &packet)
            && let Err(cause) = recorder.write(packet)
        {
            let path = name_of(&recorder.path);
            let error = SourceError::Write { path, cause };
            self.news.push(format!("{error}; the analysis goes on without it"));
            self.error = Some(error);
            self.recorder = None;
        }
        packet
    }

    fn is_ready(&mut self) -> bool {
        self.source.is_ready()
    }

    fn peek(&mut self) -> Option<Timestamp> {
        self.source.peek()
    }

    fn capture(&self) -> &Capture {
        self.source.capture()
    }

    fn error(&self) -> Option<&SourceError> {
        self.source.error().or(self.error.as_ref())
    }

    fn pause(&self) -> Pause {
        self.source.pause()
    }

    fn news(&mut self) -> Vec<String> {
        let mut news = self.source.news();
        news.append(&mut self.news);
        news
    }

    fn close(&mut self) {
        self.source.close();
        let dropped = self.source.capture().dropped;
        if let Some(recorder) = self.recorder.take() {
            let path = name_of(&recorder.path);
            if let Err(cause) = recorder.close(dropped) {
                self.error = Some(SourceError::Write { path, cause });
            }
        }
    }

    fn brings_secrets(&mut self) -> bool {
        self.source.brings_secrets()
    }

    fn secrets(&mut self) -> Vec<Vec<u8>> {
        self.source.secrets()
    }
}

/// Writes files of one section each.
struct Recorder {
    /// Of the first file.
    base: PathBuf,
    /// Of the current one.
    path: PathBuf,
    blocks: Blocks<BufWriter<File>>,
    rotation: Rotation,
    number: u64,
    files: VecDeque<PathBuf>,
    started: Option<Timestamp>,
    latest: Option<Timestamp>,
}

/// Room for a large frame: small packets are written together.
const BUFFER: usize = 1 << 18;

impl Recorder {
    fn new(path: &Path, rotation: Rotation) -> io::Result<Self> {
        let mut recorder = Self {
            base: path.to_owned(),
            path: path.to_owned(),
            blocks: begin(path)?,
            rotation,
            number: 1,
            files: VecDeque::from([path.to_owned()]),
            started: None,
            latest: None,
        };
        // Whoever looks finds a capture, if an empty one.
        recorder.blocks.flush()?;
        Ok(recorder)
    }

    fn write(&mut self, packet: &Packet<'_>) -> io::Result<()> {
        if self.is_full(packet) {
            self.rotate()?;
        }
        self.started.get_or_insert(packet.time);
        self.latest = self.latest.max(Some(packet.time));
        self.blocks.packet(packet, &[])
    }

    /// Whether a packet belongs into the next file.
    fn is_full(&self, packet: &Packet<'_>) -> bool {
        let Some(started) = self.started else { return false };
        let large = self
            .rotation
            .bytes
            .is_some_and(|most| self.blocks.written() + packet.data.len() as u64 > most);
        let long = self
            .rotation
            .nanos
            .is_some_and(|most| packet.time.since(started) >= most);
        large || long
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.blocks.flush()?;
        self.number += 1;
        self.path = numbered(&self.base, self.number);
        self.blocks = begin(&self.path)?;
        self.files.push_back(self.path.clone());
        while self.rotation.files.is_some_and(|most| self.files.len() > most) {
            if let Some(oldest) = self.files.pop_front() {
                fs::remove_file(oldest)?;
            }
        }
        (self.started, self.latest) = (None, None);
        Ok(())
    }

    /// Brings the file to its end with what the capturing side lost.
    fn close(mut self, dropped: Option<u64>) -> io::Result<()> {
        if let Some(dropped) = dropped {
            self.blocks.losses(dropped, self.latest)?;
        }
        self.blocks.flush()
    }
}

fn begin(path: &Path) -> io::Result<Blocks<BufWriter<File>>> {
    Blocks::begin(BufWriter::with_capacity(BUFFER, File::create(path)?))
}

/// `capture.pcapng` becomes `capture-2.pcapng`.
fn numbered(base: &Path, number: u64) -> PathBuf {
    let stem = base.file_stem().unwrap_or_default().to_string_lossy();
    let name = match base.extension() {
        Some(extension) => format!("{stem}-{number}.{}", extension.to_string_lossy()),
        None => format!("{stem}-{number}"),
    };
    base.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::testing::{drain, plain_pcap, source};

    fn packets(path: &Path) -> Vec<(i64, Vec<u8>)> {
        let path = path.to_str().expect("a UTF-8 path");
        let mut source = crate::capture::open(path, 0).expect("a capture");
        let mut all = Vec::new();
        while let Some(packet) = source.next() {
            all.push((packet.time.nanos(), packet.data.to_vec()));
        }
        assert!(source.error().is_none());
        assert_eq!(source.capture().ended, reshake_core::net::capture::Ended::EndOfFile);
        all
    }

    fn record(rotation: Rotation) -> (tempfile::TempDir, Vec<String>) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("all.pcapng");
        let mut recorded = Recorded::new(source(&plain_pcap(9)), &path, rotation).expect("a file");
        assert_eq!(drain(&mut recorded).len(), 9);
        recorded.close();
        assert!(recorded.error().is_none());
        let mut names: Vec<String> = fs::read_dir(folder.path())
            .expect("the folder")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
            .collect();
        names.sort();
        (folder, names)
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        let (folder, names) = record(Rotation::default());
        assert_eq!(names, ["all.pcapng"]);
        let mut original = source(&plain_pcap(9));
        let mut expected = Vec::new();
        while let Some(packet) = original.next() {
            expected.push((packet.time.nanos(), packet.data.to_vec()));
        }
        assert_eq!(packets(&folder.path().join("all.pcapng")), expected);
    }

    #[test]
    fn files_are_rotated_by_time_and_by_size_without_losing_a_packet() {
        for rotation in [
            Rotation {
                nanos: Some(3_000_000_000),
                ..Rotation::default()
            },
            Rotation {
                bytes: Some(320),
                ..Rotation::default()
            },
        ] {
            let (folder, names) = record(rotation);
            assert!(names.len() > 2, "{names:?}");
            let all: usize = names.iter().map(|name| packets(&folder.path().join(name)).len()).sum();
            assert_eq!(all, 9);
        }
    }

    #[test]
    fn the_oldest_files_go() {
        let (_folder, names) = record(Rotation {
            nanos: Some(3_000_000_000),
            files: Some(2),
            ..Rotation::default()
        });
        assert_eq!(names, ["all-2.pcapng", "all-3.pcapng"]);
    }

    #[test]
    fn losses_stand_in_the_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("lossy.pcapng");
        let mut recorder = Recorder::new(&path, Rotation::default()).expect("a file");
        let mut original = source(&plain_pcap(1));
        recorder.write(&original.next().expect("a packet")).expect("written");
        recorder.close(Some(7)).expect("written");
        let mut source = crate::capture::open(path.to_str().expect("UTF-8"), 0).expect("a capture");
        while source.next().is_some() {}
        assert_eq!(source.capture().dropped, Some(7));
    }
}
