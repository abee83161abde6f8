//! The packets of one connection on their way from the screens into a file of their own.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::capture::copy::{Excerpt, copy};
use crate::capture::{self, Stream, is_standard_input, name_of};
use crate::model::Report;
use crate::tui::event::Cutter;
use reshake_core::net::Capture;
use reshake_core::session::ConnectionId;

/// Files of one name that are tried.
const MAX_NAMES: u32 = 10_000;

/// Takes packets from these captures, in the order of the report.
pub(super) fn cutter(inputs: &[PathBuf], captures: &[Capture]) -> Cutter {
    let (files, _) = capture::expand(inputs);
    // A report has names as texts; the file is opened by the name that was given.
    let file = |capture: &Capture| files.iter().find(|file| name_of(file) == capture.path).cloned();
    let paths: Vec<PathBuf> = captures
        .iter()
        .map(|capture| file(capture).unwrap_or_else(|| PathBuf::from(&capture.path)))
        .collect();
    Cutter(Arc::new(
        move |report: &Report<'_>, id: ConnectionId, name: &str, folder: &Path| cut(&paths, report, id, name, folder),
    ))
}

fn cut(paths: &[PathBuf], report: &Report<'_>, id: ConnectionId, name: &str, folder: &Path) -> Result<String, String> {
    let kept = report.engine.connection_store();
    let connection = kept.get(id).ok_or("its packets were only counted")?;
    let index = connection.transport.first().capture();
    let path = paths.get(usize::from(index)).ok_or("its capture is not known")?;
    if is_standard_input(path) {
        return Err("standard input cannot be read twice; give a file".to_owned());
    }
    let mut source = capture::open(path, index).map_err(|error| error.to_string())?;
    let others = kept.iter().map(|(_, connection)| connection);
    let excerpt = Excerpt::of(index, &[connection], others, source.as_mut(), Vec::new());
    let (written, file) = create(folder, name).map_err(|error| error.to_string())?;
    let mut out = BufWriter::new(file);
    let copied = Stream::open(path)
        .map_err(|error| error.to_string())
        .and_then(|original| copy(original, &excerpt, &mut out).map_err(|error| error.to_string()))
        .and_then(|copied| out.flush().map(|()| copied).map_err(|error| error.to_string()));
    match copied {
        Ok(copied) => Ok(format!("{written} ({} packets)", copied.kept)),
        Err(error) => {
            // What is not whole is not left behind.
            let _ = std::fs::remove_file(folder.join(&written));
            Err(error)
        }
    }
}

/// A new file; an existing one is never touched.
fn create(folder: &Path, name: &str) -> io::Result<(String, File)> {
    for number in 1..=MAX_NAMES {
        let count = if number == 1 {
            String::new()
        } else {
            format!("-{number}")
        };
        let file = format!("reshake-{name}{count}.pcapng");
        match File::create_new(folder.join(&file)) {
            Ok(created) => return Ok((file, created)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io::Error::new(error.kind(), format!("{file}: {error}"))),
        }
    }
    Err(io::Error::other("there are too many files of that name"))
}
