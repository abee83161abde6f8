//! Files that wait for their turn with nothing but the time of their first packet, so that very many of them take little
//! memory. A source comes in and is let go again; when its time has come the file is opened once more.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::reopen::{Identity, identity};
use super::{OpenedInput, Source, SourceError, recognise_one_of_many};
use reshake_core::net::capture::Ended;
use reshake_core::net::{Capture, Packet, Timestamp};

/// A file whose reader is not there yet.
struct Parked {
    path: PathBuf,
    index: u16,
    piece: usize,
    identity: Identity,
    first: Timestamp,
    /// What was known of it when it was let go.
    capture: Capture,
    size: Option<u64>,
    error: Option<SourceError>,
    source: Option<Box<dyn Source>>,
}

/// Reads a source of the file at `path` up to its first packet, and lets it go until that packet is asked for. One that has
/// none, brings key logs before it, or cannot be opened again stays as it is.
pub(super) fn park(mut source: Box<dyn Source>, path: &Path, index: u16, piece: usize) -> Box<dyn Source> {
    let Some(first) = source.peek().filter(|_| source.error().is_none()) else {
        return source;
    };
    match identity_of(path) {
        Some(identity) if !source.brings_secrets() => Box::new(Parked {
            path: path.into(),
            index,
            piece,
            identity,
            first,
            capture: source.capture().clone(),
            size: source.size(),
            error: None,
            source: None,
        }),
        _ => source,
    }
}

fn identity_of(path: &Path) -> Option<Identity> {
    identity(&File::open(path).and_then(|file| file.metadata()).ok()?)
}

impl Parked {
    /// The source, which is opened the first time.
    fn wake(&mut self) -> Option<&mut Box<dyn Source>> {
        if self.source.is_none() && self.error.is_none() {
            match self.open() {
                Ok(source) => self.source = Some(source),
                Err(error) => {
                    self.capture.ended = Ended::Corrupt;
                    self.error = Some(error);
                }
            }
        }
        self.source.as_mut()
    }

    fn open(&self) -> Result<Box<dyn Source>, SourceError> {
        let failed = |cause| SourceError::Open {
            path: self.capture.path.clone(),
            cause,
        };
        if identity_of(&self.path).is_some_and(|identity| identity != self.identity) {
            return Err(failed(io::Error::other("another file has taken its name")));
        }
        match recognise_one_of_many(&self.path, self.index, Some(self.piece))? {
            OpenedInput::Capture(source) => Ok(source),
            OpenedInput::Facts(_) => Err(failed(io::Error::other("it is not the capture any more that it was"))),
        }
    }
}

impl Source for Parked {
    fn next(&mut self) -> Option<Packet<'_>> {
        self.wake()?.next()
    }

    fn is_still_there(&mut self) -> bool {
        // Whoever is awake was asked for the time of this packet.
        self.source.is_some() || self.wake().is_some_and(|source| source.peek().is_some())
    }

    fn peek(&mut self) -> Option<Timestamp> {
        match &mut self.source {
            Some(source) => source.peek(),
            None => Some(self.first).filter(|_| self.error.is_none()),
        }
    }

    fn capture(&self) -> &Capture {
        self.source.as_ref().map_or(&self.capture, |source| source.capture())
    }

    fn error(&self) -> Option<&SourceError> {
        self.error.as_ref().or_else(|| self.source.as_ref()?.error())
    }

    fn take_error(&mut self) -> Option<SourceError> {
        self.error.take().or_else(|| self.source.as_mut()?.take_error())
    }

    fn size(&self) -> Option<u64> {
        self.size
    }

    fn brings_secrets(&mut self) -> bool {
        self.source.as_mut().is_some_and(|source| source.brings_secrets())
    }

    fn secrets(&mut self) -> Vec<Vec<u8>> {
        self.source.as_mut().map(|source| source.secrets()).unwrap_or_default()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::capture::testing::{LITTLE, START, pcap_header, record};
    use crate::capture::{Timeline, recognise_parked};
    use reshake_core::net::span::SECOND;

    fn write(path: &Path, seconds: &[u32]) {
        let records = seconds.iter().map(|second| record(LITTLE, START + second, 0, &[7; 4]));
        let bytes = [pcap_header(LITTLE, 0xa1b2_c3d4), records.collect::<Vec<_>>().concat()].concat();
        std::fs::write(path, bytes).expect("a temporary file");
    }

    fn parked(path: &Path) -> Box<dyn Source> {
        match recognise_one_of_many(path, 3, Some(4096)).expect("a capture") {
            OpenedInput::Capture(source) => park(source, path, 3, 4096),
            OpenedInput::Facts(_) => panic!("facts"),
        }
    }

    #[test]
    fn a_file_that_waited_is_read_from_its_first_packet_on() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.pcap");
        write(&path, &[1, 2, 5]);
        let mut source = parked(&path);
        let first = source.peek().expect("a packet");
        assert_eq!((source.peek(), source.capture().packets), (Some(first), 0));
        let mut frames = Vec::new();
        while let Some(packet) = source.next() {
            frames.push((packet.frame.capture(), packet.frame.frame()));
        }
        assert_eq!(frames, [(3, 1), (3, 2), (3, 3)]);
        assert_eq!(
            (source.capture().packets, source.capture().ended, source.peek()),
            (3, Ended::EndOfFile, None)
        );
        assert!(source.error().is_none());
    }

    #[test]
    fn a_file_that_is_gone_or_another_when_its_time_comes_is_told() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.pcap");
        for replaced in [true, false] {
            write(&path, &[1, 2]);
            let mut source = parked(&path);
            if replaced {
                let other = folder.path().join("b.pcap");
                write(&other, &[1, 2]);
                std::fs::rename(&other, &path).expect("renamed");
            } else {
                std::fs::remove_file(&path).expect("removed");
            }
            assert!(source.next().is_none() && source.peek().is_none());
            assert_eq!(source.capture().ended, Ended::Corrupt);
            let told = source.take_error().expect("an error").to_string();
            assert_eq!(told.contains("another file has taken its name"), replaced, "{told}");
        }
    }

    #[test]
    fn the_others_are_read_though_one_that_waited_is_gone() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let paths = ["a", "b", "c", "d"].map(|name| folder.path().join(name));
        for (path, second) in paths.iter().zip([1, 2, 3, 4]) {
            write(path, &[second]);
        }
        let mut timeline = Timeline::new(paths.iter().map(|path| parked(path)).collect());
        std::fs::remove_file(&paths[1]).expect("removed");
        write(&paths[2], &[]);
        let mut times = Vec::new();
        while let Some(packet) = timeline.next() {
            times.push(packet.time.nanos() / SECOND - i64::from(START));
        }
        assert_eq!(times, [1, 4]);
        assert_eq!(timeline.errors().count(), 1);
    }

    #[test]
    fn what_a_pipe_says_is_not_let_go() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.pcap");
        write(&path, &[1, 2]);
        let bytes = std::fs::read(&path).expect("the file");
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        io::Write::write_all(&mut writer, &bytes).expect("written");
        drop(writer);
        let path = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader));
        let opened = recognise_parked(Path::new(&path), 0, 4096).expect("a capture");
        let OpenedInput::Capture(mut source) = opened else {
            panic!("facts")
        };
        assert!(source.peek().is_some());
        assert_eq!((source.next().is_some(), source.next().is_some()), (true, true));
        assert!(source.error().is_none());
    }

    #[test]
    fn a_file_without_packets_does_not_wait() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.pcap");
        write(&path, &[]);
        let mut source = parked(&path);
        assert!(source.peek().is_none() && source.next().is_none());
        assert_eq!(source.capture().ended, Ended::EndOfFile);
    }
}
