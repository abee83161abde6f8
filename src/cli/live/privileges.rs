//! Rights are given up once the device is open, before the first byte of a packet is parsed: what reads the packets of
//! strangers must not be able to do more than read them.

use caps::{CapSet, Capability, CapsHashSet};
use nix::errno::Errno;
use nix::sys::prctl;
use nix::unistd::{Gid, Uid, User, geteuid, setgroups, setresgid, setresuid, setuid};

/// Who is who when nobody is.
const NOBODY: u32 = 65_534;

/// Becomes `user`, or who called sudo, or nobody, and gives every capability up; CAP_NET_RAW stays where a lost device is
/// to be taken up again. Must come before any other thread is started: capabilities are of the thread.
///
/// # Errors
/// One line; then nothing must be parsed.
pub(in crate::cli) fn drop(user: Option<&str>, keep_capture: bool) -> Result<(), String> {
    let kept = if keep_capture {
        vec![Capability::CAP_NET_RAW]
    } else {
        Vec::new()
    };
    let mut changed = false;
    if geteuid().is_root() {
        let (uid, gid) = target(user)?;
        // Only the privileged can change this set; without it no_new_privs below does the same.
        let _ = caps::clear(None, CapSet::Bounding);
        changed = match become_user(uid, gid, keep_capture) {
            Ok(()) => true,
            // Root of a user namespace is who started it, and nobody else is known there. Without capabilities nothing
            // of root is left.
            Err(Errno::EPERM | Errno::EINVAL) if user.is_none() && is_namespaced() => false,
            Err(error) => return Err(format!("privileges cannot be given up: {error}")),
        };
    } else if user.is_some() {
        return Err("--user: only root can become somebody else".to_owned());
    }
    give_up(&kept).map_err(|error| format!("capabilities cannot be given up: {error}"))?;
    // What is executed from here on gains nothing either.
    prctl::set_no_new_privs().map_err(|error| format!("privileges cannot be given up for good: {error}"))?;
    let regained = if changed || !geteuid().is_root() {
        setuid(Uid::from_raw(0)).is_ok()
    } else {
        // The number 0 stays; what counts are the capabilities that come with it.
        !caps::read(None, CapSet::Permitted).is_ok_and(|left| left.is_subset(&kept.iter().copied().collect()))
    };
    if regained {
        return Err("privileges were not given up: root can be regained (--no-drop keeps them knowingly)".to_owned());
    }
    Ok(())
}

/// Whether this is a user namespace: one in which not every user is the one of the same number.
fn is_namespaced() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_whitespace().ne(["0", "0", "4294967295"])
}

/// Who to become.
pub(in crate::cli) fn target(user: Option<&str>) -> Result<(Uid, Gid), String> {
    if let Some(name) = user {
        let found = User::from_name(name).ok().flatten();
        let found = found.ok_or_else(|| format!("--user: there is no user '{name}'"))?;
        return if found.uid.is_root() {
            Err("--user: root is the user to leave; --no-drop stays root".to_owned())
        } else {
            Ok((found.uid, found.gid))
        };
    }
    let number = |name| {
        std::env::var(name)
            .ok()?
            .parse::<u32>()
            .ok()
            .filter(|number| *number != 0)
    };
    if let (Some(uid), Some(gid)) = (number("SUDO_UID"), number("SUDO_GID")) {
        return Ok((Uid::from_raw(uid), Gid::from_raw(gid)));
    }
    let nobody = User::from_name("nobody").ok().flatten();
    Ok(nobody.map_or((Uid::from_raw(NOBODY), Gid::from_raw(NOBODY)), |nobody| {
        (nobody.uid, nobody.gid)
    }))
}

fn become_user(uid: Uid, gid: Gid, keep: bool) -> nix::Result<()> {
    // Without this the change of user takes every capability along.
    prctl::set_keepcaps(keep)?;
    setgroups(&[])?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)
}

fn give_up(kept: &[Capability]) -> Result<(), caps::errors::CapsError> {
    let kept: CapsHashSet = kept.iter().copied().collect();
    caps::clear(None, CapSet::Ambient)?;
    caps::clear(None, CapSet::Inheritable)?;
    let has = caps::read(None, CapSet::Permitted)?;
    let kept: CapsHashSet = has.intersection(&kept).copied().collect();
    caps::set(None, CapSet::Effective, &kept)?;
    caps::set(None, CapSet::Permitted, &kept)
}
