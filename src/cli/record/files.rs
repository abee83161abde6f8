//! What a recording writes: into a folder of its own what must not outlive it, elsewhere what is to be kept.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use super::super::args::record::RecordArgs;
use super::super::live::privileges;
use crate::capture::name_of;
use crate::record::Folder;

/// The files of a recording. Whatever has to be written is opened before COMMAND runs: not after a test suite of an hour.
pub(super) struct Files {
    folder: Folder,
    packets: PathBuf,
    keys: PathBuf,
    /// That of -o.
    pub(super) report: Option<(String, File)>,
    told: Option<File>,
}

impl Files {
    pub(super) fn open(arguments: &RecordArgs) -> Result<Self, String> {
        let folder = Folder::new().map_err(|error| format!("a temporary folder cannot be made: {error}"))?;
        let named = std::env::var_os("SSLKEYLOGFILE").filter(|name| !name.is_empty());
        let report = match &arguments.output {
            Some(path) => Some((name_of(path), create(path, 0o666)?)),
            None => None,
        };
        if let Some(path) = &arguments.write {
            create(path, 0o666)?;
        }
        if let Some(path) = &arguments.keep_keys {
            create(path, 0o600)?;
        }
        Ok(Self {
            packets: folder.file("packets.pcapng"),
            keys: named.map_or_else(|| folder.file("keys.txt"), PathBuf::from),
            folder,
            report,
            told: arguments.inside.as_ref().and_then(|path| File::create(path).ok()),
        })
    }

    /// What must not outlive the run.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The packets, until the end.
    pub(super) fn packets(&self) -> &Path {
        &self.packets
    }

    /// The key log that COMMAND writes.
    pub(super) fn keys(&self) -> &Path {
        &self.keys
    }

    /// The file for the exit status, where somebody outside waits for it.
    pub(super) fn told(&mut self) -> Option<File> {
        self.told.take()
    }

    /// Hands the folder over to another user.
    pub(super) fn give_to(&self, user: u32, group: u32) -> io::Result<()> {
        self.folder.give_to(user, group)
    }

    /// Puts what is to be kept where it was asked for.
    pub(super) fn keep(&mut self, arguments: &RecordArgs) -> Result<(), String> {
        if let Some(path) = &arguments.write {
            copy(&self.packets, path)?;
        }
        if !self.keys.exists() {
            return Ok(());
        }
        if let Some(path) = &arguments.keep_keys {
            copy(&self.keys, path)?;
        }
        // One that SSLKEYLOGFILE named before may not be readable any more without rights.
        let own = self.folder.file("keys.txt");
        if self.keys != own && fs::copy(&self.keys, &own).is_ok() {
            self.keys = own;
        }
        Ok(())
    }

    /// What parses packets of strangers is not to be root. The files go to who reads them then.
    pub(super) fn give_rights_up(&self) -> Result<(), String> {
        if geteuid().is_root() {
            let (user, group) = privileges::target(None)?;
            // In a user namespace there is nobody to give them to, and they can be read as they are.
            let _ = self.give_to(user.as_raw(), group.as_raw());
        }
        privileges::drop(None, false)
    }
}

/// Makes a file; what sudo makes belongs to who called it.
fn create(path: &Path, mode: u32) -> Result<File, String> {
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path);
    let file = file.map_err(|error| format!("{}: cannot be written: {error}", name_of(path)))?;
    let number = |name| std::env::var(name).ok()?.parse::<u32>().ok();
    if let (Some(user), Some(group)) = (number("SUDO_UID"), number("SUDO_GID")) {
        let _ = chown(path, Some(user), Some(group));
    }
    Ok(file)
}

/// Copies into a file that is there: it keeps its owner and mode.
fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let copied = File::open(from).and_then(|mut from| {
        let mut to = File::options().write(true).open(to)?;
        io::copy(&mut from, &mut to)
    });
    copied
        .map(drop)
        .map_err(|error| format!("{}: cannot be written: {error}", name_of(to)))
}
