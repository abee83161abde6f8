//! What happens to packets on their way into a capture, and may change no fact.

use std::collections::{BTreeMap, BTreeSet};

use super::Random;
use super::packets::{self, RawPacket};

/// How far a packet may be moved, in packets of its direction.
const MOVED: usize = 8;

/// How long after the packet a copy of it may come, in nanoseconds.
const LATEST_COPY: i64 = 2_000_000_000;

const SYN_RST: u8 = 2 | 4;

/// Segments of one direction that may change places, as in a network: what was sent before the other side had spoken
/// again, at most [`MOVED`] packets.
pub(crate) fn runs(all: &[RawPacket]) -> Vec<Vec<usize>> {
    let parsed = packets::parse(all);
    // By flow.
    let mut runs: Vec<Vec<usize>> = Vec::new();
    let mut open: BTreeMap<_, usize> = BTreeMap::new();
    let mut begun = BTreeSet::new();
    for (index, segment) in parsed.iter().enumerate() {
        let Some(segment) = segment else { continue };
        // What opens a connection and what breaks it off stays where it is: a SYN is waited for, the place of a reset
        // decides what the receiver took, and the first packet gives the connection its identity: where no SYN was
        // captured, the first one with data.
        let begins = segment.flags & SYN_RST == 2 || segment.payload.as_ref().is_some_and(|data| !data.is_empty());
        let first = begins && begun.insert(segment.client());
        if segment.flags & SYN_RST != 0 || first || !open.contains_key(&segment.client()) {
            open.insert(segment.client(), runs.len());
            runs.push(vec![index]);
            continue;
        }
        let run = open.get(&segment.client()).copied().filter(|run| {
            let first = parsed[runs[*run][0]].as_ref().expect("a segment");
            first.source == segment.source && first.flags & SYN_RST == 0 && runs[*run].len() < MOVED
        });
        if let Some(run) = run {
            runs[run].push(index);
        } else {
            open.insert(segment.client(), runs.len());
            runs.push(vec![index]);
        }
    }
    runs
}

/// Moves segments of one direction among themselves: see [`runs`]. The times stay where they were.
pub(crate) fn reorder(all: &[RawPacket], random: &mut Random) -> Vec<RawPacket> {
    let mut changed = all.to_vec();
    for run in runs(all) {
        let mut order = run.clone();
        random.shuffle(&mut order);
        for (slot, from) in run.into_iter().zip(order) {
            changed[slot] = RawPacket {
                time: all[slot].time,
                ..all[from].clone()
            };
        }
    }
    changed
}

/// Every fifth packet comes again: at once, as a mirror port shows it, or up to [`MOVED`] packets later, as a
/// retransmission, but not days later where the capture has a pause.
pub(crate) fn duplicate(all: &[RawPacket], random: &mut Random) -> Vec<RawPacket> {
    let mut placed: Vec<(usize, RawPacket)> = all.iter().cloned().enumerate().collect();
    for (index, packet) in all.iter().enumerate() {
        if random.below(5) == 0 {
            let mut later = (index + random.below(MOVED)).min(all.len() - 1);
            while all[later].time - packet.time > LATEST_COPY {
                later -= 1;
            }
            let time = all[later].time.max(packet.time);
            placed.push((later, RawPacket { time, ..packet.clone() }));
        }
    }
    // Stable: a copy comes after the packet it stands behind.
    placed.sort_by_key(|(index, _)| *index);
    placed.into_iter().map(|(_, packet)| packet).collect()
}

/// Every other segment becomes two.
pub(crate) fn split_segments(all: &[RawPacket], random: &mut Random) -> Vec<RawPacket> {
    let parsed = packets::parse(all);
    let mut changed = Vec::new();
    for (packet, parsed) in all.iter().zip(&parsed) {
        let two = parsed.as_ref().and_then(|parsed| {
            let length = parsed.payload.as_ref()?.len();
            (random.below(2) == 0).then(|| packets::split(packet, parsed, 1 + random.below(length)))?
        });
        match two {
            Some(two) => changed.extend(two),
            None => changed.push(packet.clone()),
        }
    }
    changed
}
