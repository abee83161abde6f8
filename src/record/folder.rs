//! A folder for what must not outlive a run: packets and secrets.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

/// A file that is locked as long as whoever made the folder lives.
const LOCK: &str = "lock";

/// A temporary folder that nobody else may look into, removed with everything in it.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Locked until the end, however that comes.
    _lock: File,
}

impl Folder {
    /// Makes one, and removes those of runs that were killed before they could.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn new() -> io::Result<Self> {
        let parent = std::env::temp_dir();
        sweep(&parent);
        // Its name cannot be guessed, and `create` fails where somebody put something in its place all the same.
        let random = getrandom::u64().map_err(|error| io::Error::other(error.to_string()))?;
        let path = parent.join(format!("reshake-{random:016x}"));
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        // It gets its name when it is locked: who finds it free may be sure.
        let unnamed = path.join("lock.new");
        let lock = File::create(&unnamed)?;
        lock.lock()?;
        fs::rename(unnamed, path.join(LOCK))?;
        Ok(Self { path, _lock: lock })
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Hands the folder and its files over to another user.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn give_to(&self, user: u32, group: u32) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            give(&entry?.path(), user, group)?;
        }
        give(&self.path, user, group)
    }
}

/// Removes what runs left behind that were killed: folders of this user's, of such a name, whose lock nobody holds.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        if is_named(&entry.file_name().to_string_lossy()) && is_left(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether `Folder::new` gives such names.
fn is_named(name: &str) -> bool {
    let digits = name.strip_prefix("reshake-");
    digits.is_some_and(|digits| digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_left(folder: &Path) -> bool {
    let own = fs::symlink_metadata(folder).is_ok_and(|found| found.is_dir() && found.uid() == geteuid().as_raw());
    own && File::open(folder.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok())
}

fn give(path: &Path, user: u32, group: u32) -> io::Result<()> {
    chown(path, Some(user), Some(group))
}

impl Drop for Folder {
    fn drop(&mut self) {
        // The names are removed even where the folder itself has to stay, because its parent belongs to somebody else.
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn nobody_else_may_look_and_nothing_is_left() {
        let folder = Folder::new().expect("a temporary folder");
        let keys = folder.file("keys");
        fs::write(&keys, "secret").expect("a file");
        let mode = fs::metadata(keys.parent().expect("the folder"))
            .expect("its mode")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700);
        drop(folder);
        assert!(!keys.parent().expect("the folder").exists());
    }

    #[test]
    fn what_a_killed_run_left_is_removed_and_nothing_else_is() {
        let parent = Folder::new().expect("a temporary folder");
        let make = |name: &str, lock: bool| {
            let folder = parent.file(name);
            fs::create_dir(&folder).expect("a folder");
            lock.then(|| File::create(folder.join(LOCK)).expect("a lock"))
        };
        // In use, of a killed run, one that is being made, of another name.
        let held = make("reshake-0000000000000001", true).expect("its lock");
        held.lock().expect("locked");
        make("reshake-0000000000000002", true);
        make("reshake-0000000000000003", false);
        make("reshake-notes", true);
        sweep(parent.path());
        let mut left: Vec<String> = fs::read_dir(parent.path())
            .expect("the folder")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .filter(|name| name.starts_with("reshake-"))
            .collect();
        left.sort();
        assert_eq!(
            left,
            ["reshake-0000000000000001", "reshake-0000000000000003", "reshake-notes"]
        );
    }
}
