//! What of a capture goes with chosen connections: their packets, and of names and secrets only theirs.

use std::net::IpAddr;

use hashbrown::HashSet;

use reshake_core::net::hex;
use reshake_core::session::Connection;

use super::{Changes, Chosen, FrameSet};
use crate::capture::Source;

/// The packets of chosen connections.
#[derive(Debug)]
pub struct Excerpt {
    frames: FrameSet,
    hosts: HashSet<IpAddr>,
    randoms: HashSet<String>,
    embedded: Vec<u8>,
}

impl Excerpt {
    /// Of connections of a capture, found in one pass over it; `others` are all of its run. A key log that is to be put in
    /// is `embedded`.
    pub fn of<'c>(
        chosen: &[&'c Connection],
        others: impl Iterator<Item = &'c Connection>,
        source: &mut dyn Source,
        embedded: Vec<u8>,
    ) -> Self {
        let mut packets = Chosen::of(chosen.iter().copied(), others);
        while let Some(packet) = source.next() {
            packets.push(&packet);
        }
        let (frames, hosts) = packets.finish();
        Self {
            frames,
            hosts,
            randoms: randoms(chosen.iter().copied()),
            embedded,
        }
    }
}

impl Changes for Excerpt {
    fn keeps(&self, frame: u64) -> bool {
        self.frames.has(frame)
    }

    fn is_excerpt(&self) -> bool {
        true
    }

    fn secrets(&self, log: &[u8]) -> Vec<u8> {
        lines_of(log, &self.randoms)
    }

    fn names(&self, address: IpAddr) -> bool {
        self.hosts.contains(&address)
    }

    fn embedded(&self) -> Option<&[u8]> {
        Some(&self.embedded)
    }
}

/// ClientHello randoms in hex, as key logs name connections.
pub fn randoms<'c>(connections: impl Iterator<Item = &'c Connection>) -> HashSet<String> {
    let hellos = connections.filter_map(|connection| connection.hello.yes());
    hellos.map(|hello| hex(&hello.random)).collect()
}

/// Lines `LABEL RANDOM SECRET` with one of those randoms.
#[must_use]
pub fn lines_of(log: &[u8], randoms: &HashSet<String>) -> Vec<u8> {
    let mut left = Vec::new();
    for line in log.split(|byte| *byte == b'\n') {
        let text = String::from_utf8_lossy(line);
        let random = text.split_ascii_whitespace().nth(1).map(str::to_ascii_lowercase);
        if random.is_some_and(|random| randoms.contains(&random)) {
            left.extend_from_slice(line.trim_ascii_end());
            left.push(b'\n');
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_of_the_connections_are_left_of_a_key_log() {
        let log = b"# comment\nCLIENT_RANDOM 0A0b 11\r\nCLIENT_RANDOM 0c0d 22\nRSA 0a0b0a0b 33\nSERVER_TRAFFIC_SECRET_0 0a0b 44";
        let randoms = HashSet::from(["0a0b".to_owned()]);
        let left = lines_of(log, &randoms);
        assert_eq!(left, b"CLIENT_RANDOM 0A0b 11\nSERVER_TRAFFIC_SECRET_0 0a0b 44\n");
    }
}
