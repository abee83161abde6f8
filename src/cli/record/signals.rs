//! Signals while COMMAND runs. What the terminal sends (Ctrl-C, its own end) reaches COMMAND as well, and this process waits
//! for what becomes of it; SIGTERM reaches this process alone, and COMMAND is asked to end in its place. A second signal
//! ends this process at once, and what must not outlive it goes all the same.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator;

use super::super::interrupt::INTERRUPTED;

/// Beside the file for the exit status: whoever is inside of the namespace is to end COMMAND.
const ENDING: &str = "ending";

/// What signals have asked for so far.
pub(super) struct Signals {
    stop: Arc<AtomicBool>,
    ending: Arc<AtomicBool>,
    /// Of the run inside of a namespace, where signals do not come.
    told: Option<PathBuf>,
}

impl Signals {
    /// Catches them from now on; `folder` is removed where a second one ends the process. Whoever is outside of a namespace
    /// passes SIGTERM on by a file in it, and the one inside looks for that beside `inside`.
    pub(super) fn catch(folder: &Path, inside: Option<&Path>) -> Result<Self, String> {
        let signals = Self {
            stop: Arc::default(),
            ending: Arc::default(),
            told: inside.and_then(Path::parent).map(|outside| outside.join(ENDING)),
        };
        let (stop, ending, folder) = (
            Arc::clone(&signals.stop),
            Arc::clone(&signals.ending),
            folder.to_owned(),
        );
        let failed = |error: io::Error| format!("signals cannot be caught: {error}");
        let mut caught = iterator::Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(failed)?;
        let wait = move || {
            for signal in caught.forever() {
                if stop.swap(true, Ordering::Relaxed) {
                    let _ = fs::remove_dir_all(&folder);
                    process::exit(INTERRUPTED);
                }
                if signal == SIGTERM {
                    ending.store(true, Ordering::Relaxed);
                    let _ = File::create(folder.join(ENDING));
                }
            }
        };
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(wait)
            .map_err(failed)?;
        Ok(signals)
    }

    /// Whether COMMAND is to be started no more.
    pub(super) fn stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.ending()
    }

    /// Whether COMMAND is to be asked to end. Nobody waits any more where the folder of whoever is outside is gone.
    pub(super) fn ending(&self) -> bool {
        let told = |told: &PathBuf| told.exists() || !told.parent().is_some_and(Path::exists);
        self.ending.load(Ordering::Relaxed) || self.told.as_ref().is_some_and(told)
    }
}
