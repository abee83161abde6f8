//! A folder as an input: the captures in it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{SourceError, is_standard_input, name_of, pcap, pcapng};

/// Captures of one folder at most: one more than can be told apart by their index fails when it is opened.
const MAX_FILES: usize = 1 << 16;

/// First bytes of what captures are compressed with: gzip and zstd.
const COMPRESSED: [&[u8]; 2] = [&[0x1f, 0x8b], &[0x28, 0xb5, 0x2f, 0xfd]];

/// The inputs with every folder replaced by the captures in it, in the order of their names: that is the order in which
/// rotated files were written. Folders in folders, hidden files and whatever is no capture are passed over.
#[must_use]
pub fn expand(inputs: &[impl AsRef<Path>]) -> (Vec<PathBuf>, Vec<SourceError>) {
    let (mut files, mut errors) = (Vec::new(), Vec::new());
    for path in inputs {
        let path = path.as_ref();
        if is_standard_input(path) || !path.is_dir() {
            files.push(path.to_owned());
            continue;
        }
        match captures_in(path) {
            Ok(found) => files.extend(found),
            Err(cause) => errors.push(SourceError::Open {
                path: name_of(path),
                cause,
            }),
        }
    }
    (files, errors)
}

fn captures_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)?
        .filter_map(Result::ok)
        .filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."))
        .map(|entry| entry.path())
        .filter(|path| is_capture(path))
        .take(MAX_FILES)
        .collect();
    paths.sort_unstable();
    if paths.is_empty() {
        return Err(io::Error::other("the folder holds no capture"));
    }
    Ok(paths)
}

/// Whether a file begins as captures do. A pipe or device is not looked at: that would take its first bytes away.
fn is_capture(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = |file: File| file.take(4).read_to_end(&mut start);
    path.is_file()
        && File::open(path).and_then(read).is_ok()
        && (pcap::recognises(&start)
            || pcapng::recognises(&start)
            || COMPRESSED.iter().any(|magic| start.starts_with(magic)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::testing::plain_pcap;

    #[test]
    fn a_folder_stands_for_the_captures_in_it_by_name() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).expect("a file");
        write("b.pcap", &plain_pcap(1));
        write("a.pcap2", &plain_pcap(1));
        write(".c.pcap.part", &plain_pcap(1));
        write("notes.txt", b"no capture");
        fs::create_dir(folder.path().join("more")).expect("a folder");
        let path = folder.path().to_str().expect("UTF-8").to_owned();
        let (files, errors) = expand(&["-".to_owned(), path.clone(), "x.pcap".to_owned()]);
        let names: Vec<&str> = files.iter().filter_map(|file| file.file_name()?.to_str()).collect();
        assert_eq!(names, ["-", "a.pcap2", "b.pcap", "x.pcap"]);
        assert!(errors.is_empty());

        let empty = folder.path().join("more").to_str().expect("UTF-8").to_owned();
        let (files, errors) = expand(&[empty]);
        assert!(files.is_empty());
        let text = errors.first().expect("an error").to_string();
        assert!(text.ends_with("the folder holds no capture"), "{text}");
    }
}
