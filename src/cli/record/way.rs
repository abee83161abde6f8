//! How COMMAND's packets are told from others', as far as this machine and these rights go.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;

use nix::unistd::geteuid;

use super::super::args::record::{RecordArgs, Way};
use super::super::{Status, complain};
use super::signals::Signals;
use crate::capture::device::{Device, DeviceOptions};
use crate::record::{ControlGroup, Folder, PROGRAM, namespace};

/// Tries to find a log group of netfilter that nobody holds.
const TRIES: u16 = 16;
/// What packets of a network namespace go through.
const TUNNEL: &str = "/dev/net/tun";
/// Bytes of the buffer for packets that wait.
const BUFFER: u32 = 64 << 20;

/// How it is done, with what that takes.
pub(super) enum Chosen {
    Group(ControlGroup, Device),
    /// This process has to start itself inside of a namespace.
    Namespace,
    /// Whatever the interfaces see: this process is the one inside of a namespace, or nothing is to be told apart.
    Everything(Device),
}

/// The first way that is possible, or one line on what to do.
pub(super) fn choose(arguments: &RecordArgs) -> Result<Chosen, String> {
    if arguments.inside.is_some() {
        return open("any".to_owned()).map(Chosen::Everything);
    }
    if arguments.way == Way::Any {
        complain("record: --way any: what other programs send and receive in the meantime is in the report too");
        return open("any".to_owned()).map(Chosen::Everything);
    }
    let root = geteuid().is_root();
    if arguments.user.is_some() && !root {
        return Err("--user: only root can run a command as somebody else".to_owned());
    }
    let grouped = if arguments.way == Way::Namespace {
        Err("a network namespace is made only for users other than root".to_owned())
    } else {
        group()
    };
    match grouped {
        Ok((group, device)) => Ok(Chosen::Group(group, device)),
        // pasta becomes nobody where root starts it, and then cannot look into root's folders.
        Err(line) if root || arguments.way == Way::Group => Err(format!(
            "record: {line} (root needs nft, cgroup v2, and the capabilities NET_ADMIN and NET_RAW; any other user pasta, from the package passt; where nothing else runs, --way any takes NET_RAW alone)"
        )),
        Err(_) if found(PROGRAM) => tunnel().map(|()| Chosen::Namespace),
        Err(_) => Err(
            "record: capturing needs privileges: run it with sudo, or install pasta (package passt), with which it needs none"
                .to_owned(),
        ),
    }
}

/// Whether pasta can open what it needs. Old ones end where they cannot, and leave a process behind that waits for ever.
fn tunnel() -> Result<(), String> {
    let opened = File::options().read(true).write(true).open(TUNNEL);
    opened.map(drop).map_err(|error| {
        format!(
            "record: {TUNNEL} cannot be opened ({error}), which recording without privileges needs; run it with sudo, or let \
             everyone open it, as most machines do (chmod 666 {TUNNEL})"
        )
    })
}

/// Whether PATH has such a program.
fn found(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn group() -> Result<(ControlGroup, Device), String> {
    if !geteuid().is_root() {
        return Err("a control group needs root".to_owned());
    }
    let mut last = String::new();
    for number in 0..TRIES {
        // Others take small numbers. Which one it is does not matter as long as nobody else has it.
        let random = getrandom::u32().map_err(|error| error.to_string())?;
        let log = u16::try_from(random >> 16).unwrap_or(number) | 0x8000;
        match open(format!("nflog:{log}")) {
            Ok(device) => return ControlGroup::new(log).map(|group| (group, device)),
            Err(line) => last = line,
        }
    }
    Err(last)
}

fn open(interface: String) -> Result<Device, String> {
    let opening = DeviceOptions {
        interface,
        filter: None,
        snaplen: 262_144,
        promiscuous: false,
        buffer: BUFFER,
        immediate: true,
        link_type: None,
        reconnect: false,
    };
    Device::open(opening, 0).map_err(|error| error.to_string())
}

/// Runs this program once more, inside of a namespace.
pub(super) fn outside() -> Status {
    let failed = |line: String| {
        complain(&line);
        Status::Unreadable
    };
    let folder = match Folder::new() {
        Ok(folder) => folder,
        Err(error) => return failed(format!("a temporary folder cannot be made: {error}")),
    };
    // pasta says in its own status only whether pasta was well.
    let told = folder.file("status");
    let mut given: Vec<OsString> = std::env::args_os().skip(1).collect();
    let place = given.iter().position(|argument| argument == "record");
    let place = place.map_or(0, |place| place + 1);
    given.splice(place..place, ["--inside".into(), told.clone().into_os_string()]);
    complain(
        "record: without privileges, so in a network namespace of its own: TTL, TCP options and round-trip times are those of \
         pasta, so backends cannot be told apart; COMMAND sees itself as root",
    );
    // Ctrl-C is for COMMAND; what it did until then is still reported.
    let signals = Signals::catch(folder.path(), None);
    let ended = signals.map_err(io::Error::other).and_then(|_| namespace(given));
    let status = fs::read_to_string(&told).ok().and_then(|text| text.parse().ok());
    match (status, ended) {
        (Some(status), _) => Status::Command(status),
        (None, Err(error)) => failed(format!("record: pasta cannot be started: {error}")),
        // Whoever is inside says what is wrong, and makes the file first.
        (None, Ok(_)) if told.exists() => Status::Unreadable,
        (None, Ok(status)) => failed(format!(
            "record: pasta could not make a network namespace ({status}); it needs user namespaces, /dev/net/tun and a route to \
             elsewhere; run it with sudo instead"
        )),
    }
}
