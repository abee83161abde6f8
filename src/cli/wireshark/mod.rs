//! `reshake wireshark --install`: live verdicts, a profile and fields for Wireshark, in the folders of one user.
//!
//! What is there is replaced only if it is ours, and only that is removed again: the first lines say whose it is. The profile
//! is a folder of ours, and Wireshark rewrites the files in it: it goes as a whole.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::args::wireshark::WiresharkArgs;
use super::{Done, Status, complain, print};

/// What stands in every file that is ours.
const MARK: &str = "made by 'reshake wireshark --install'";

/// The script that makes fields of comments.
const FIELDS: &str = include_str!("reshake.lua");
/// The files of the profile.
const PROFILE: [(&str, &str); 3] = [
    ("preferences", include_str!("preferences")),
    ("colorfilters", include_str!("colorfilters")),
    ("dfilter_buttons", include_str!("dfilter_buttons")),
];

pub(super) fn run(arguments: &WiresharkArgs) -> Done {
    let Some(home) = arguments.user.clone().or_else(std::env::home_dir) else {
        complain("wireshark: there is no home folder; name one with --user");
        return Ok(Status::Usage);
    };
    if !home.is_dir() {
        complain(&format!("{}: is not a folder", home.display()));
        return Ok(Status::Usage);
    }
    let folders = Folders::of(&home);
    let done = if arguments.install {
        install(&folders)
    } else {
        remove(&folders)
    };
    match done {
        Ok(lines) => {
            print(|out| lines.iter().try_for_each(|line| writeln!(out, "{line}")))?;
            Ok(Status::Analysed)
        }
        Err(line) => {
            complain(&line);
            Ok(Status::Unreadable)
        }
    }
}

/// Where Wireshark looks for what is a user's own.
struct Folders {
    profile: PathBuf,
    plugin: PathBuf,
    /// Up to version 4.0, and from 4.2 on.
    extcap: [PathBuf; 2],
}

impl Folders {
    fn of(home: &Path) -> Self {
        let config = home.join(".config/wireshark");
        let library = home.join(".local/lib/wireshark");
        Self {
            profile: config.join("profiles/reshake"),
            plugin: library.join("plugins/reshake.lua"),
            extcap: [config.join("extcap/reshake"), library.join("extcap/reshake")],
        }
    }
}

fn install(folders: &Folders) -> Result<Vec<String>, String> {
    let program = std::env::current_exe().map_err(|error| format!("this program does not know its path: {error}"))?;
    let program = program.to_str().filter(|path| !path.contains('\''));
    let program = program.ok_or("the path of this program cannot be quoted; move it first")?;
    let shim = format!("#!/bin/sh\n# {MARK}\nexec '{program}' extcap \"$@\"\n");
    let mut lines = Vec::new();
    for path in &folders.extcap {
        write_own(path, &shim, true)?;
        lines.push(format!("{}: interfaces that capture with verdicts", path.display()));
    }
    write_own(&folders.plugin, FIELDS, false)?;
    lines.push(format!(
        "{}: fields reshake.outcome, .reason, .confidence",
        folders.plugin.display()
    ));
    for (name, text) in PROFILE {
        put(&folders.profile.join(name), text)?;
    }
    lines.push(format!("{}: the profile 'reshake'", folders.profile.display()));
    Ok(lines)
}

fn remove(folders: &Folders) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    for path in folders.extcap.iter().chain([&folders.plugin]) {
        if is_own(path) {
            fs::remove_file(path).map_err(|error| format!("{}: cannot be removed: {error}", path.display()))?;
            lines.push(format!("{}: removed", path.display()));
        }
    }
    if folders.profile.is_dir() {
        let removed = fs::remove_dir_all(&folders.profile);
        removed.map_err(|error| format!("{}: cannot be removed: {error}", folders.profile.display()))?;
        lines.push(format!("{}: removed", folders.profile.display()));
    }
    if lines.is_empty() {
        lines.push("nothing of reshake's is there".to_owned());
    }
    Ok(lines)
}

/// Whether a file is one that was installed here.
fn is_own(path: &Path) -> bool {
    fs::read_to_string(path).is_ok_and(|text| text.contains(MARK))
}

/// Writes a file, but over none of somebody else's.
fn write_own(path: &Path, text: &str, program: bool) -> Result<(), String> {
    if path.exists() && !is_own(path) {
        return Err(format!(
            "{}: already exists and is not reshake's; move it away first",
            path.display()
        ));
    }
    put(path, text)?;
    #[cfg(unix)]
    if program {
        use std::os::unix::fs::PermissionsExt;
        let set = fs::set_permissions(path, fs::Permissions::from_mode(0o755));
        set.map_err(|error| format!("{}: cannot be made executable: {error}", path.display()))?;
    }
    Ok(())
}

fn put(path: &Path, text: &str) -> Result<(), String> {
    let written = path
        .parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(path, text));
    written.map_err(|error: io::Error| format!("{}: cannot be written: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_installed_is_removed_again_and_nothing_else() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let folders = Folders::of(home.path());
        install(&folders).expect("installed");
        install(&folders).expect("installed over itself");
        let other = folders.profile.with_file_name("mine/preferences");
        put(&other, "somebody's").expect("written");
        let [old, _] = &folders.extcap;
        fs::write(old, "somebody else's").expect("written");
        remove(&folders).expect("removed");
        assert!(other.exists() && old.exists());
        assert!(!folders.profile.exists() && !folders.plugin.exists());
        assert!(install(&folders).is_err(), "somebody else's file is not replaced");
        assert_eq!(fs::read_to_string(old).expect("still there"), "somebody else's");
    }

    #[test]
    fn every_file_says_whose_it_is() {
        assert!(FIELDS.contains(MARK));
        assert!(PROFILE.iter().all(|(_, text)| text.contains(MARK)));
    }
}
