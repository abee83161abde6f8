//! Ctrl-C and SIGTERM as a wish to stop reading. The second one ends the process at once.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a shell reports of a process that Ctrl-C ended: 128 and the number of SIGINT.
pub(super) const INTERRUPTED: i32 = 130;

/// A flag that SIGUSR1 sets: the wish to see a report.
///
/// # Errors
/// When the signal cannot be caught.
#[cfg(unix)]
pub(super) fn report() -> std::io::Result<Arc<AtomicBool>> {
    let wanted = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGUSR1, Arc::clone(&wanted))?;
    Ok(wanted)
}

/// There is no such signal here.
#[cfg(not(unix))]
pub(super) fn report() -> std::io::Result<Arc<AtomicBool>> {
    Ok(Arc::default())
}

/// A flag that the first signal sets.
///
/// # Errors
/// When signals cannot be caught.
pub(super) fn stop() -> Result<Arc<AtomicBool>, ctrlc::Error> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            process::exit(INTERRUPTED);
        }
    })?;
    Ok(stop)
}
