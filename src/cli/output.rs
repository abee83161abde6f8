//! A file that a command writes: whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::Status;
use crate::capture::{is_standard_input, name_of};

/// A file on its way: written under another name beside its own, which it gets when it is whole.
pub(super) struct OutputFile {
    path: PathBuf,
    temporary: PathBuf,
    out: BufWriter<File>,
    done: bool,
}

impl OutputFile {
    /// Begins the file at `path`, which must not be one of the inputs.
    ///
    /// # Errors
    /// One line that says what is wrong, and its status.
    pub(super) fn begin(path: &Path, input: Option<&Path>) -> Result<Self, (String, Status)> {
        let usage = |line: String| Err((line, Status::Usage));
        if is_standard_input(path) {
            return usage("-o: a file is needed; standard output is not supported".to_owned());
        }
        let shown = name_of(path);
        if input.is_some_and(|input| same_file(path, input)) {
            return usage(format!("-o: {shown}: is the input; give another name"));
        }
        if path.is_dir() {
            return usage(format!("-o: {shown}: is a folder; give the name of a file"));
        }
        let Some(name) = path.file_name() else {
            return usage(format!("-o: {shown}: is not a file name"));
        };
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.part", std::process::id()));
        let temporary = path.with_file_name(hidden);
        let file = OpenOptions::new().write(true).create_new(true).open(&temporary);
        let file = file.map_err(|error| {
            let line = format!("-o: {shown}: cannot be written: {error}");
            (line, Status::Unreadable)
        })?;
        Ok(Self {
            path: path.to_owned(),
            temporary,
            out: BufWriter::with_capacity(1 << 18, file),
            done: false,
        })
    }

    /// Gives the file its name, replacing what has it.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.out.flush()?;
        self.out.get_ref().sync_all()?;
        fs::rename(&self.temporary, &self.path)?;
        self.done = true;
        Ok(())
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if !self.done {
            // What is not whole is not left behind; if that fails too, there is nothing more to do.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Whether two paths lead to one file, by whatever names.
fn same_file(a: &Path, b: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if let (Ok(a), Ok(b)) = (fs::metadata(a), fs::metadata(b)) {
            return (a.dev(), a.ino()) == (b.dev(), b.ino());
        }
    }
    matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}
