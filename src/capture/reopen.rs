//! Files that are open only while they are read, so that more of them are read at once than a process may have open.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// A file that is opened for each piece, which is some kilobytes: opening costs less than reading them.
pub(super) struct Reopened {
    path: PathBuf,
    offset: u64,
    identity: Identity,
}

/// By what a file is known again, whatever has taken its name since.
pub(super) type Identity = (u64, u64);

impl Reopened {
    /// Reads the file at `path` from its start; `None` where the system cannot tell whether it is still the same one.
    pub(super) fn of(path: &Path, file: &File) -> Option<Self> {
        Some(Self {
            path: path.into(),
            offset: 0,
            identity: identity(&file.metadata().ok()?)?,
        })
    }
}

impl Read for Reopened {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let mut file = File::open(&self.path)?;
        if identity(&file.metadata()?) != Some(self.identity) {
            // Its bytes from here on are those of another capture.
            return Err(io::Error::other("another file has taken its name"));
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let count = file.read(space)?;
        self.offset += count as u64;
        Ok(count)
    }
}

#[cfg(unix)]
#[allow(clippy::unnecessary_wraps)]
pub(super) fn identity(meta: &Metadata) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    Some((meta.dev(), meta.ino()))
}

#[cfg(not(unix))]
pub(super) fn identity(_: &Metadata) -> Option<Identity> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_on_where_it_was_left() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.pcap");
        let bytes: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        std::fs::write(&path, &bytes).expect("a temporary file");
        let mut file = Reopened::of(&path, &File::open(&path).expect("the file")).expect("an identity");
        let mut read = Vec::new();
        file.read_to_end(&mut read).expect("read");
        assert_eq!(read, bytes);
    }

    #[test]
    fn a_file_that_takes_the_name_is_not_read_as_the_rest() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.pcap");
        std::fs::write(&path, [1; 100]).expect("a temporary file");
        let mut file = Reopened::of(&path, &File::open(&path).expect("the file")).expect("an identity");
        file.read_exact(&mut [0; 10]).expect("read");
        let other = folder.path().join("b.pcap");
        std::fs::write(&other, [2; 100]).expect("a temporary file");
        std::fs::rename(&other, &path).expect("renamed");
        let error = file.read(&mut [0; 10]).expect_err("another file");
        assert_eq!(error.to_string(), "another file has taken its name");
    }
}
