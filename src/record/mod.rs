//! A command is run, and the packets of its own connections are kept: of it and of what it starts, of nobody else.
//!
//! There are two ways to tell them from the rest. With root's rights the command runs in a control group, and the kernel
//! hands over what the sockets of that group send and receive ([`ControlGroup`]): the real packets, from IP upwards.
//! Without any rights it runs in a network namespace of its own, where there is nothing else (`namespace`); behind it a
//! user-space stack makes every TCP connection anew, so that times, TTL and options are that program's.
//!
//! Nothing is parsed here: packets go into a file as they come, and are read when rights have been given up.

mod folder;
mod group;
mod namespace;

use std::io;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::capture::{Pause, Recorded, Rotation, Source};

pub use folder::Folder;
pub use group::{ControlGroup, MAX_PAIRS};
pub use namespace::{PROGRAM, namespace};

/// Packets between two looks whether the command has ended.
const PACKETS_PER_LOOK: u32 = 256;
/// How long packets are waited for once the command has ended: its last FIN and what answers it are still on their way.
const GRACE: Duration = Duration::from_millis(300);
/// Time between two looks where no packets come any more.
const LOOK: Duration = Duration::from_millis(50);

/// Packets on their way into a file while commands run.
pub struct Recording {
    source: Recorded,
}

impl Recording {
    /// Keeps what `source` gives in the file at `path`.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn new(source: Box<dyn Source>, path: &Path) -> Result<Self, String> {
        let source = Recorded::new(source, path, Rotation::default()).map_err(|error| error.to_string())?;
        Ok(Self { source })
    }

    /// Takes in packets until a command ends. It is asked to end (SIGTERM) once `ending` says so.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn watch(&mut self, child: &mut Child, ending: &dyn Fn() -> bool) -> io::Result<ExitStatus> {
        let mut asked = false;
        loop {
            self.take(PACKETS_PER_LOOK);
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if !asked && ending() {
                asked = true;
                ask_to_end(child);
            }
            if self.is_over() {
                // Nothing more can be captured; the command is not to suffer from it.
                thread::sleep(LOOK);
            }
        }
    }

    /// Takes in what is still on its way, and closes the file.
    #[must_use]
    pub fn finish(mut self) -> Recorded {
        let end = Instant::now() + GRACE;
        while Instant::now() < end && !self.is_over() {
            self.take(PACKETS_PER_LOOK);
        }
        self.source.close();
        self.source
    }

    /// Takes at most so many packets, or waits a moment where there is none.
    fn take(&mut self, most: u32) {
        for _ in 0..most {
            if self.source.next().is_none() {
                return;
            }
        }
    }

    fn is_over(&self) -> bool {
        self.source.pause() == Pause::Over
    }
}

/// It has not been waited for: its number is still its own.
fn ask_to_end(child: &Child) {
    if let Ok(number) = i32::try_from(child.id()) {
        let _ = kill(Pid::from_raw(number), Signal::SIGTERM);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::SourceError;
    use reshake_core::net::capture::CaptureFormat;
    use reshake_core::net::{Capture, Packet, Timestamp};
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    /// A source that never has a packet, or has come to its end.
    struct Silent {
        capture: Capture,
        over: bool,
    }

    impl Source for Silent {
        fn next(&mut self) -> Option<Packet<'_>> {
            None
        }
        fn peek(&mut self) -> Option<Timestamp> {
            None
        }
        fn capture(&self) -> &Capture {
            &self.capture
        }
        fn error(&self) -> Option<&SourceError> {
            None
        }
        fn pause(&self) -> Pause {
            if self.over { Pause::Over } else { Pause::Idle(None) }
        }
    }

    /// A recording into a folder of what never says anything, or is over.
    fn silent(folder: &Folder, over: bool) -> Recording {
        let capture = Capture::new("silent", CaptureFormat::Live);
        Recording::new(Box::new(Silent { capture, over }), &folder.file("packets.pcapng")).expect("a file")
    }

    #[test]
    fn a_command_runs_to_its_end_whatever_becomes_of_the_capture() {
        for over in [false, true] {
            let folder = Folder::new().expect("a temporary folder");
            let mut recording = silent(&folder, over);
            let mut child = Command::new("sh").args(["-c", "exit 7"]).spawn().expect("a shell");
            let status = recording.watch(&mut child, &|| false).expect("its end");
            assert_eq!(status.code(), Some(7));
            let _ = recording.finish();
        }
    }

    #[test]
    fn a_command_is_asked_to_end_whatever_becomes_of_the_capture() {
        for over in [false, true] {
            let folder = Folder::new().expect("a temporary folder");
            let mut recording = silent(&folder, over);
            let mut child = Command::new("sleep").arg("600").spawn().expect("it runs");
            let status = recording.watch(&mut child, &|| true).expect("its end");
            assert_eq!(status.signal(), Some(15));
        }
    }
}
