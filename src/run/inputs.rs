//! Inputs, as far as they can be opened.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::capture::{self, FactFile, OpenedInput, Source, SourceError, Stream};

/// What could be opened, and one line for each input that could not. A capture's index counts the readable inputs, as in
/// the list of captures.
#[derive(Default)]
pub(super) struct Inputs {
    pub(super) sources: Vec<Box<dyn Source>>,
    pub(super) facts: Vec<FactFile>,
    pub(super) errors: Vec<String>,
}

impl Inputs {
    /// Files. `read_ahead` is what all of them may read ahead together, where that is limited.
    pub(super) fn open(
        paths: &[impl AsRef<Path>],
        follow: Option<&Arc<AtomicBool>>,
        read_ahead: Option<usize>,
    ) -> Self {
        let (paths, missing) = capture::expand(paths);
        let mut inputs = Self {
            errors: missing.iter().map(ToString::to_string).collect(),
            ..Self::default()
        };
        for path in &paths {
            inputs.add(&capture::name_of(path), |index| match follow {
                Some(stop) => capture::open_following(path, index, Arc::clone(stop)).map(OpenedInput::Capture),
                None if capture::is_standard_input(path) => capture::recognise(path, index),
                None => match read_ahead {
                    Some(read_ahead) if paths.len() > 1 => {
                        capture::recognise_parked(path, index, read_ahead / paths.len())
                    }
                    None if paths.len() >= capture::MANY => capture::recognise_one_of_many(path, index, None),
                    _ => capture::recognise(path, index),
                },
            });
        }
        inputs
    }

    /// What comes from anywhere.
    pub(super) fn of(streams: Vec<Stream>) -> Self {
        let mut inputs = Self::default();
        for stream in streams {
            let name = stream.name.clone();
            inputs.add(&name, |index| capture::recognise_stream(stream, index));
        }
        inputs
    }

    fn add(&mut self, name: &str, open: impl FnOnce(u16) -> Result<OpenedInput, SourceError>) {
        let opened = match u16::try_from(self.sources.len()) {
            Ok(index) => open(index),
            Err(_) => Err(SourceError::Open {
                path: name.to_owned(),
                cause: io::Error::other("more than 65,536 inputs; merge some first (mergecap)"),
            }),
        };
        match opened {
            Ok(OpenedInput::Capture(source)) => self.sources.push(source),
            Ok(OpenedInput::Facts(file)) => self.facts.push(*file),
            Err(error) => self.errors.push(error.to_string()),
        }
    }
}
