//! Recording as root: a control group (cgroup v2) and a table of netfilter that logs what its sockets send and receive.
//!
//! Rules: a packet that a socket of the group sends has its addresses and ports noted in a set; packets of a noted pair,
//! either way, are logged. Neither marks nor connection tracking are used, as other rules may rest on them.
//!
//! Table and group are taken away by a shell that waits for the end of a pipe: however this process ends, also killed.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Child, ChildStdin, Command, Stdio};

/// Pairs of addresses and ports of a command that are recorded; the table of the kernel takes no more of a family.
pub const MAX_PAIRS: u32 = 1_000_000;
/// Counts the packets of the command whose pair had no room any more.
const UNNOTED: &str = "unnoted";

/// Where nft looks for control groups.
const CGROUPS: &str = "/sys/fs/cgroup";

/// Puts the rules in force, waits for the end of standard input, and takes away what was made, and the folder that it was told
/// of: secrets in it must not outlive a killed process. What the command left running goes back to the root group, else the
/// group could not be removed.
const KEEPER: &str = r#"
trap '' INT TERM HUP QUIT
folder=
mkdir "$3" && nft "$1" && echo ready && while IFS= read -r line; do folder=$line; done
nft delete table inet "$2"
case $folder in */reshake-*) rm -rf -- "$folder" ;; esac
while read -r left; do echo "$left" >"$4/cgroup.procs"; done <"$3/cgroup.procs"
rmdir "$3"
"#;

/// A control group whose packets go to a log group of netfilter.
#[derive(Debug)]
pub struct ControlGroup {
    /// Its folder.
    path: PathBuf,
    /// The folder of the group that this process came from.
    home: PathBuf,
    keeper: Child,
    /// Its end has the keeper clear up.
    signal: Option<ChildStdin>,
}

impl ControlGroup {
    /// Makes a group whose packets are logged to `log`.
    ///
    /// # Errors
    /// One line on what is missing.
    pub fn new(log: u16) -> Result<Self, String> {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let root = hierarchy(&mounts).ok_or("there is no cgroup v2 hierarchy below /sys/fs/cgroup")?;
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let home = home(&root, &own).ok_or("this process is in no group of cgroup v2")?;
        let name = format!("reshake-{}", process::id());
        let path = root.join(&name);
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "reshake-keeper"])
            .arg(rules(&name, &shown(&path)?, log))
            .arg(&name)
            .args([&path, &root])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C is for the command; the keeper ends when all else has.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("sh cannot be started: {error}"))?;
        let signal = keeper.stdin.take();
        let mut line = String::new();
        if let Some(out) = keeper.stdout.take() {
            let _ = BufReader::new(out).read_line(&mut line);
        }
        let group = Self {
            path,
            home,
            keeper,
            signal,
        };
        if line == "ready\n" {
            Ok(group)
        } else {
            Err(group.failure())
        }
    }

    /// What the keeper said before it gave up.
    fn failure(mut self) -> String {
        self.signal = None;
        let mut text = String::new();
        if let Some(mut errors) = self.keeper.stderr.take() {
            let _ = errors.read_to_string(&mut text);
        }
        let first = text.lines().next().unwrap_or("it does not say why");
        format!("netfilter's rules could not be set: {first}")
    }

    /// Has a temporary folder removed at the end, however that comes.
    pub fn remove_at_the_end(&mut self, folder: &Path) {
        let path = folder.as_os_str().as_encoded_bytes();
        if let (Some(pipe), false) = (&mut self.signal, path.contains(&b'\n')) {
            // A keeper that is gone has cleared up already; then the folder goes by itself, as it does without one.
            let _ = pipe.write_all(&[path, b"\n"].concat());
        }
    }

    /// Packets that were sent and not recorded, because there was no room for their pairs; `None` where nobody can say.
    #[must_use]
    pub fn unnoted(&self) -> Option<u64> {
        let name = self.path.file_name()?;
        let listed = Command::new("nft")
            .args(["list", "counter", "inet"])
            .arg(name)
            .arg(UNNOTED)
            .stderr(Stdio::null())
            .output();
        counted(&String::from_utf8_lossy(&listed.ok()?.stdout))
    }

    /// Moves this process into the group, so that what it starts is born there.
    ///
    /// # Errors
    /// One line.
    pub fn enter(&self) -> Result<(), String> {
        join(&self.path)
    }

    /// Moves this process back to where it came from; its children stay.
    ///
    /// # Errors
    /// One line.
    pub fn leave(&self) -> Result<(), String> {
        join(&self.home)
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        let _ = self.leave();
        self.signal = None;
        let _ = self.keeper.wait();
    }
}

/// The number of packets in what nft says of a counter.
fn counted(listed: &str) -> Option<u64> {
    let mut words = listed.split_whitespace();
    words.find(|word| *word == "packets")?;
    words.next()?.parse().ok()
}

fn join(group: &Path) -> Result<(), String> {
    // 0 stands for whoever writes.
    let written = fs::write(group.join("cgroup.procs"), "0");
    written.map_err(|error| format!("{}: cannot be joined: {error}", group.display()))
}

/// The folder of the cgroup v2 hierarchy: /sys/fs/cgroup, or `unified` in it where version 1 is in use as well.
fn hierarchy(mounts: &str) -> Option<PathBuf> {
    let found = mounts.lines().find_map(|line| {
        let mut words = line.split(' ');
        let (_, path, kind) = (words.next()?, words.next()?, words.next()?);
        (kind == "cgroup2" && Path::new(path).starts_with(CGROUPS)).then(|| PathBuf::from(path))
    });
    // nft calls a group by its path below this folder and the kernel counts its level: both are known right below the root.
    found
}

/// The folder of the group that a process is in, by its /proc/PID/cgroup.
fn home(root: &Path, own: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(root.join(path))
}

/// A path as nft wants it.
fn shown(path: &Path) -> Result<String, String> {
    let below = path.strip_prefix(CGROUPS).ok().and_then(Path::to_str);
    let below = below.filter(|text| !text.contains(['"', '\\']));
    below
        .map(str::to_owned)
        .ok_or_else(|| format!("{}: nft does not take such a path", path.display()))
}

/// A family of addresses: the set that notes its pairs, the protocol that has them, and their type.
const FAMILIES: [(&str, &str, &str); 2] = [("noted4", "ip", "ipv4_addr"), ("noted6", "ip6", "ipv6_addr")];

/// The table. Behind `mangle` nothing has been translated yet on the way out, and on the way in everything back again.
fn rules(name: &str, group: &str, log: u16) -> String {
    let log = format!("log group {log} queue-threshold 1");
    let ports = "meta l4proto { tcp, udp }";
    // As a packet of the group has it, and as its answer has it.
    let forth = |ip: &str| format!("meta l4proto . {ip} saddr . th sport . {ip} daddr . th dport");
    let back = |ip: &str| format!("meta l4proto . {ip} daddr . th dport . {ip} saddr . th sport");
    let (mut sets, mut noting, mut sent, mut received) = (String::new(), String::new(), String::new(), String::new());
    for (set, ip, address) in FAMILIES {
        let pair = format!("inet_proto . {address} . inet_service . {address} . inet_service");
        sets += &[
            "set ",
            set,
            " { type ",
            &pair,
            &format!("; flags dynamic; size {MAX_PAIRS}; }}\n"),
        ]
        .concat();
        let (forth, back) = (forth(ip), back(ip));
        let own = format!("{ports} socket cgroupv2 level 1 \"{group}\"");
        noting += &[&own, " add @", set, " { ", &forth, " }\n"].concat();
        // A set that is full takes no more, and says nothing.
        noting += &[&own, " ", &forth, " != @", set, " counter name ", UNNOTED, "\n"].concat();
        // Loopback has both directions on the way out: on the way in they would come twice.
        sent += &[
            ports, " ", &forth, " @", set, " ", &log, "\n", ports, " ", &back, " @", set, " ", &log, "\n",
        ]
        .concat();
        received += &["iifname != \"lo\" ", ports, " ", &back, " @", set, " ", &log, "\n"].concat();
    }
    format!(
        "table inet {name} {{\ncounter {UNNOTED} {{ }}\n{sets}\
         chain sent {{ type filter hook output priority mangle; policy accept;\n{noting}{sent}}}\n\
         chain received {{ type filter hook input priority mangle; policy accept;\n{received}}}\n}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hierarchy_is_found_beside_version_1_and_without_it() {
        let alone = "proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0\n";
        let both = "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        assert_eq!(hierarchy(alone), Some("/sys/fs/cgroup".into()));
        assert_eq!(hierarchy(both), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(hierarchy("cgroup2 /mnt/elsewhere cgroup2 rw 0 0\n"), None);
    }

    #[test]
    fn a_process_is_put_back_into_its_own_group() {
        let root = Path::new("/sys/fs/cgroup");
        let deep = "1:name=systemd:/\n0::/user.slice/session-2.scope\n";
        assert_eq!(home(root, deep), Some(root.join("user.slice/session-2.scope")));
        assert_eq!(home(root, "0::/\n"), Some(root.join("")));
        assert_eq!(home(root, "8:pids:/\n"), None);
    }

    #[test]
    fn packets_are_counted_as_nft_tells() {
        let listed = "table inet reshake-7 {\n\tcounter unnoted {\n\t\tpackets 12 bytes 720\n\t}\n}\n";
        assert_eq!(counted(listed), Some(12));
        assert_eq!(counted("Error: No such file or directory"), None);
    }

    #[test]
    fn a_path_that_could_end_the_quotes_is_refused() {
        assert!(shown(Path::new("/sys/fs/cgroup/a\"b")).is_err());
        assert_eq!(shown(Path::new("/sys/fs/cgroup/unified/x")).as_deref(), Ok("unified/x"));
    }
}
