//! A folder for what must not outlive a run: packets and secrets.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};

/// A temporary folder that nobody else may look into, removed with everything in it.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes one.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn new() -> io::Result<Self> {
        // Its name cannot be guessed, and `create` fails where somebody put something in its place all the same.
        let random = getrandom::u64().map_err(|error| io::Error::other(error.to_string()))?;
        let path = std::env::temp_dir().join(format!("reshake-{random:016x}"));
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self { path })
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
}
