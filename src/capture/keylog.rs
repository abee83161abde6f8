//! A key log file: read to its end, and on from there when it has grown. What its lines mean is not known here.

use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

use super::{SourceError, Stream};

/// Bytes read at once.
const PIECE: usize = 1 << 18;
/// Bytes of a key log at most: those of some ten million connections. A device as `/dev/zero` has no end.
const MAX_BYTES: u64 = 4 << 30;

/// A key log that may still be written to.
pub struct KeyLogFile {
    path: String,
    file: Box<dyn Read + Send>,
    /// Read secrets pass through here, so it is wiped in the end.
    buffer: Zeroizing<Vec<u8>>,
    /// Bytes read so far, and how many may be.
    read: u64,
    most: u64,
}

impl KeyLogFile {
    /// Opens a key log.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, or is a directory.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SourceError> {
        Stream::open(path).map(Self::of)
    }

    /// A key log that comes from anywhere.
    #[must_use]
    pub fn of(stream: Stream) -> Self {
        Self {
            path: stream.name,
            file: stream.reader,
            buffer: Zeroizing::new(vec![0; PIECE]),
            read: 0,
            most: MAX_BYTES,
        }
    }

    /// Path as given.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The next bytes; empty at the end, as far as the file has been written.
    ///
    /// # Errors
    ///
    /// Those of the system, and once that the log is too long.
    pub fn more(&mut self) -> Result<&[u8], SourceError> {
        if self.read > self.most {
            return Ok(&[]);
        }
        loop {
            match self.file.read(&mut self.buffer) {
                Ok(count) => {
                    self.read += count as u64;
                    if self.read > self.most {
                        return Err(SourceError::KeyLog {
                            path: self.path.clone(),
                            cause: io::Error::other(format!("it is longer than {} MiB", self.most >> 20)),
                        });
                    }
                    return Ok(self.buffer.get(..count).unwrap_or_default());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => {
                    return Err(SourceError::KeyLog {
                        path: self.path.clone(),
                        cause,
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_is_appended_is_read_on() {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        let path = file.path().to_str().expect("a UTF-8 path").to_owned();
        let mut log = KeyLogFile::open(&path).expect("a file");
        assert_eq!(log.more().expect("readable"), b"");
        file.write_all(b"one\ntw").expect("writing");
        assert_eq!(log.more().expect("readable"), b"one\ntw");
        assert_eq!(log.more().expect("readable"), b"");
        file.write_all(b"o\n").expect("writing");
        assert_eq!(log.more().expect("readable"), b"o\n");
    }

    #[test]
    fn a_log_without_an_end_ends_and_that_is_said_once() {
        let mut log = KeyLogFile::of(Stream {
            name: "zeros".to_owned(),
            reader: Box::new(io::repeat(0)),
            size: None,
        });
        log.most = 2 * PIECE as u64;
        assert_eq!(log.more().expect("readable").len(), PIECE);
        assert_eq!(log.more().expect("readable").len(), PIECE);
        let error = log.more().expect_err("too long").to_string();
        assert!(
            error.starts_with("zeros: reading the key log failed: it is longer than"),
            "{error}"
        );
        assert_eq!(log.more().expect("nothing more"), b"");
    }

    #[test]
    fn a_log_that_is_not_there_is_named() {
        let error = KeyLogFile::open("/nonexistent/keys").err().expect("an error");
        assert!(
            error.to_string().starts_with("/nonexistent/keys: cannot be opened: "),
            "{error}"
        );
    }
}
