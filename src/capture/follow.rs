//! A file that is still being written, as an endless reader: at the end it waits for more, until it is told to stop, or
//! until the file is replaced by another of its name or cut back, as rotation does. Then the file that is read ends, and
//! its successor is a source of its own: frames are numbered anew.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::input::Input;
use super::{Source, SourceError, detect, name_of, open_file, unwrap};
use reshake_core::net::{Capture, Packet, Timestamp};

/// How long to wait at the end of the file before looking again.
const PAUSE: Duration = Duration::from_millis(100);

/// What is done at the end of a file before it is looked at again.
type Wait = Arc<dyn Fn() + Send + Sync>;

/// Opens a file to follow it.
pub(super) fn open(path: &Path, capture: u16, stop: Arc<AtomicBool>) -> Result<Box<dyn Source>, SourceError> {
    open_waiting(path, capture, stop, Arc::new(|| thread::sleep(PAUSE)))
}

fn open_waiting(path: &Path, capture: u16, stop: Arc<AtomicBool>, wait: Wait) -> Result<Box<dyn Source>, SourceError> {
    let (file, _) = open_file(path)?;
    let replaced = Arc::new(AtomicBool::new(false));
    let reader = Follow {
        file,
        position: 0,
        path: path.to_owned(),
        stop: Arc::clone(&stop),
        replaced: Arc::clone(&replaced),
        wait: Arc::clone(&wait),
    };
    let input = Input::new(&name_of(path), Box::new(reader), None, capture);
    Ok(Box::new(Followed {
        source: detect(unwrap(input.stopped_by(Arc::clone(&stop))))?,
        path: path.to_owned(),
        successor: Some((replaced, stop, wait)),
    }))
}

/// Reads a growing file.
struct Follow {
    file: File,
    /// Bytes read so far.
    position: u64,
    path: PathBuf,
    stop: Arc<AtomicBool>,
    /// Set once the file ends because another took its place.
    replaced: Arc<AtomicBool>,
    wait: Wait,
}

impl Follow {
    /// Whether the file was cut back, or its name is that of another file by now. A name that is gone may come back: the
    /// file is read on until then.
    fn is_replaced(&self) -> io::Result<bool> {
        let held = self.file.metadata()?;
        let named = fs::metadata(&self.path);
        Ok(held.len() < self.position || named.is_ok_and(|named| !same_file(&held, &named)))
    }
}

#[cfg(unix)]
fn same_file(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// Elsewhere only a file that was cut back is noticed.
#[cfg(not(unix))]
fn same_file(_: &Metadata, _: &Metadata) -> bool {
    true
}

impl Read for Follow {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let mut replaced = false;
        loop {
            // Asked before reading, so that what was written before the stop is still seen; the same holds of the file
            // that was replaced.
            let stopping = self.stop.load(Ordering::Relaxed);
            let count = self.file.read(space)?;
            if count > 0 || space.is_empty() {
                self.position = self.position.saturating_add(count as u64);
                return Ok(count);
            }
            if replaced {
                self.replaced.store(true, Ordering::Relaxed);
                return Ok(0);
            }
            replaced = self.is_replaced()?;
            if !replaced {
                if stopping {
                    return Ok(0);
                }
                (self.wait)();
            }
        }
    }
}

/// A followed file, and what is needed to go on with the one that takes its place.
struct Followed {
    source: Box<dyn Source>,
    path: PathBuf,
    successor: Option<(Arc<AtomicBool>, Arc<AtomicBool>, Wait)>,
}

impl Source for Followed {
    fn next(&mut self) -> Option<Packet<'_>> {
        self.source.next()
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

    fn secrets(&mut self) -> Vec<Vec<u8>> {
        self.source.secrets()
    }

    fn successor(&mut self, capture: u16) -> Option<Result<Box<dyn Source>, SourceError>> {
        self.successor
            .take_if(|(replaced, ..)| replaced.load(Ordering::Relaxed))
            .map(|(_, stop, wait)| open_waiting(&self.path, capture, stop, wait))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;
    use std::sync::Mutex;

    use super::*;
    use crate::capture::testing::plain_pcap;
    use crate::capture::{Timeline, open_following};
    use reshake_core::net::capture::Ended;

    #[test]
    fn packets_written_later_are_read_until_the_stop() {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        let bytes = plain_pcap(3);
        let (front, back) = bytes.split_at(24 + 56 + 10);
        file.write_all(front).expect("writing");
        let stop = Arc::new(AtomicBool::new(false));
        let mut source = open_following(file.path(), 0, Arc::clone(&stop)).expect("a capture");
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

    type Act = Box<dyn FnOnce(&Path) + Send>;

    /// Follows a file of two packets on which one act is done each time its reader waits; after the last one the stop is
    /// set. Gives the frame numbers of all packets, and how each capture ended.
    fn followed(acts: Vec<Act>) -> (Vec<(u16, u64)>, Vec<Ended>, Vec<String>) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("followed.pcap");
        fs::write(&path, plain_pcap(2)).expect("written");
        let name = path.clone();
        let stop = Arc::new(AtomicBool::new(false));
        let acts = Mutex::new(acts.into_iter());
        let wait: Wait = Arc::new({
            let stop = Arc::clone(&stop);
            move || match acts.lock().expect("one thread").next() {
                Some(act) => act(&path),
                None => stop.store(true, Ordering::Relaxed),
            }
        });
        let source = open_waiting(&name, 0, stop, wait).expect("a capture");
        let mut timeline = Timeline::new(vec![source]);
        let mut frames = Vec::new();
        loop {
            while let Some(packet) = timeline.next() {
                frames.push((packet.frame.capture(), packet.frame.frame()));
            }
            if !timeline.succeed() {
                break;
            }
        }
        let ends = timeline.captures().map(|capture| capture.ended).collect();
        let errors = timeline.errors().map(ToString::to_string).collect();
        (frames, ends, errors)
    }

    fn append(path: &Path, bytes: &[u8]) {
        let mut file = fs::OpenOptions::new().append(true).open(path).expect("there");
        file.write_all(bytes).expect("written");
    }

    #[test]
    #[cfg(unix)]
    fn a_file_renamed_away_is_read_to_its_end_and_then_the_new_one() {
        let rename: Act = Box::new(|path| fs::rename(path, path.with_extension("1")).expect("renamed"));
        let write_to_old: Act = Box::new(|path| append(&path.with_extension("1"), &plain_pcap(3)[24 + 2 * 56..]));
        let create: Act = Box::new(|path| fs::write(path, plain_pcap(1)).expect("written"));
        let grow: Act = Box::new(|path| append(path, &plain_pcap(2)[24 + 56..]));
        let (frames, ends, errors) = followed(vec![rename, write_to_old, create, grow]);
        assert_eq!(frames, [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2)]);
        assert_eq!(ends, [Ended::EndOfFile, Ended::Stopped]);
        assert_eq!(errors, [""; 0]);
    }

    #[test]
    fn a_file_cut_back_is_read_from_its_start_again() {
        let cut: Act = Box::new(|path| fs::write(path, plain_pcap(1)).expect("written"));
        let (frames, ends, _) = followed(vec![cut]);
        assert_eq!(frames, [(0, 1), (0, 2), (1, 1)]);
        assert_eq!(ends, [Ended::EndOfFile, Ended::Stopped]);
    }

    #[test]
    fn a_file_that_was_removed_is_waited_for_and_the_stop_ends_the_wait() {
        let remove: Act = Box::new(|path| fs::remove_file(path).expect("removed"));
        let (frames, ends, errors) = followed(vec![remove, Box::new(|_| ())]);
        assert_eq!(frames, [(0, 1), (0, 2)]);
        assert_eq!(ends, [Ended::Stopped]);
        assert_eq!(errors, [""; 0]);
    }

    #[test]
    #[cfg(unix)]
    fn a_successor_that_is_no_capture_is_named_and_an_empty_one_is_none() {
        let replace = |bytes: &'static [u8]| -> Act {
            Box::new(move |path| {
                fs::rename(path, path.with_extension("1")).expect("renamed");
                fs::write(path, bytes).expect("written");
            })
        };
        let (frames, _, errors) = followed(vec![replace(b"notes")]);
        assert_eq!(frames, [(0, 1), (0, 2)]);
        assert!(errors[0].contains("is not a capture file"), "{errors:?}");
        let (_, ends, errors) = followed(vec![replace(b"")]);
        assert_eq!(ends, [Ended::EndOfFile]);
        assert_eq!(errors, [""; 0]);
    }
}
