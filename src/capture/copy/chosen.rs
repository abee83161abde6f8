//! Which frames of a capture belong to chosen connections: packets go in, a set of frame numbers comes out.

use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use reshake_core::net::{Decoded, Endpoint, FrameDecoder, Neighbour, Packet, Segment, SeqNumber};
use reshake_core::session::{Connection, TransportKind};

/// A set of frame numbers, a bit each.
#[derive(Debug, Default)]
pub struct FrameSet(Vec<u64>);

impl FrameSet {
    /// Puts one in.
    pub fn add(&mut self, frame: u64) {
        let word = usize::try_from(frame / 64).unwrap_or(usize::MAX);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        if let Some(bits) = self.0.get_mut(word) {
            *bits |= 1 << (frame % 64);
        }
    }

    /// Whether one is in it.
    #[must_use]
    pub fn has(&self, frame: u64) -> bool {
        let word = usize::try_from(frame / 64).ok().and_then(|word| self.0.get(word));
        word.is_some_and(|bits| bits >> (frame % 64) & 1 == 1)
    }
}

/// A stretch of the file in which packets between two endpoints are those of a chosen connection.
#[derive(Debug)]
struct Stretch {
    first: u64,
    last: u64,
    /// The first frame of the next connection between the same endpoints.
    next: u64,
    isn: Option<SeqNumber>,
    /// Another connection began between the same endpoints that is no TLS connection.
    over: bool,
}

/// Finds the packets of chosen connections, in one pass over the file that they are in.
#[derive(Debug)]
pub struct Chosen {
    decoder: FrameDecoder,
    stretches: HashMap<AddressPair, Vec<Stretch>>,
    hosts: HashSet<IpAddr>,
    frames: FrameSet,
}

impl Chosen {
    /// Connections of the first capture; `others` are all of the run, which tell where the next one between the same
    /// endpoints begins.
    pub fn of<'c>(chosen: impl Iterator<Item = &'c Connection>, others: impl Iterator<Item = &'c Connection>) -> Self {
        let mut stretches: HashMap<AddressPair, Vec<Stretch>> = HashMap::new();
        let mut hosts = HashSet::new();
        for connection in chosen {
            for flow in flows(connection) {
                hosts.extend(flow.ends.map(|end| end.ip));
                stretches
                    .entry(flow)
                    .or_default()
                    .extend(spans(connection).map(|(first, last)| Stretch {
                        first,
                        last,
                        next: u64::MAX,
                        isn: connection.transport.client_isn,
                        over: false,
                    }));
            }
        }
        for other in others {
            for flow in flows(other) {
                for stretch in stretches.get_mut(&flow).into_iter().flatten() {
                    let begun = spans(other).map(|(first, _)| first);
                    let begun = begun.filter(|first| *first > stretch.last).min();
                    stretch.next = stretch.next.min(begun.unwrap_or(u64::MAX));
                }
            }
        }
        Self {
            decoder: FrameDecoder::new(),
            stretches,
            hosts,
            frames: FrameSet::default(),
        }
    }

    /// Takes the next packet of the file.
    pub fn push(&mut self, packet: &Packet<'_>) {
        let frame = packet.frame.frame();
        let belongs = match self.decoder.decode(packet) {
            Decoded::Segment(segment) => {
                let stretches = self
                    .stretches
                    .get_mut(&AddressPair::new(false, segment.source, segment.destination));
                stretches.is_some_and(|stretches| stretches.iter_mut().any(|stretch| stretch.takes(&segment, frame)))
            }
            Decoded::Neighbour(Neighbour::Unreachable {
                source, destination, ..
            }) => {
                let stretches = self.stretches.get(&AddressPair::new(false, source, destination));
                stretches.is_some_and(|stretches| stretches.iter().any(|stretch| stretch.holds(frame)))
            }
            // Datagrams bear no numbers that would tell a late copy from the next connection.
            Decoded::Datagram(datagram) => {
                let stretches = self
                    .stretches
                    .get(&AddressPair::new(true, datagram.source, datagram.destination));
                stretches.is_some_and(|stretches| {
                    let within = |stretch: &Stretch| stretch.first <= frame && frame <= stretch.last;
                    stretches.iter().any(within)
                })
            }
            Decoded::Neighbour(_) | Decoded::Skipped(_) | Decoded::Unsupported(..) | Decoded::Other => false,
        };
        let fragments = self.decoder.completed();
        if belongs {
            self.frames.add(frame);
            let here = fragments.iter().map(|fragment| fragment.frame());
            here.for_each(|frame| self.frames.add(frame));
        }
    }

    /// The frames, and the addresses of the hosts that talked in them.
    #[must_use]
    pub fn finish(self) -> (FrameSet, HashSet<IpAddr>) {
        (self.frames, self.hosts)
    }
}

impl Stretch {
    /// Within the frames that the analysis counted, or behind them: retransmissions and late copies come after the end.
    const fn holds(&self, frame: u64) -> bool {
        self.first <= frame && (frame <= self.last || frame < self.next && !self.over)
    }

    fn takes(&mut self, segment: &Segment<'_>, frame: u64) -> bool {
        let begins = segment.flags.syn() && !segment.flags.ack() && Some(segment.seq) != self.isn;
        self.over |= frame > self.last && begins;
        self.holds(frame)
    }
}

/// Two endpoints in the order of their addresses, and the protocol between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct AddressPair {
    udp: bool,
    ends: [Endpoint; 2],
}

impl AddressPair {
    fn new(udp: bool, a: Endpoint, b: Endpoint) -> Self {
        let ends = [a.min(b), a.max(b)];
        Self { udp, ends }
    }
}

/// The endpoints between which its packets go.
fn flows(connection: &Connection) -> Vec<AddressPair> {
    let udp = connection.transport.kind() != TransportKind::Tcp;
    let of_client = |client| {
        connection
            .servers()
            .map(move |server| AddressPair::new(udp, client, server))
    };
    connection.clients().into_iter().flat_map(of_client).collect()
}

/// First and last frames in the first capture.
fn spans(connection: &Connection) -> impl Iterator<Item = (u64, u64)> + '_ {
    let here = connection
        .transport
        .spans
        .iter()
        .filter(|(first, _)| first.capture() == 0);
    here.map(|(first, last)| (first.frame(), last.frame()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_frames_has_what_was_put_in() {
        let mut frames = FrameSet::default();
        for frame in [1, 63, 64, 1000] {
            frames.add(frame);
        }
        let has: Vec<u64> = (0..2000).filter(|frame| frames.has(*frame)).collect();
        assert_eq!(has, [1, 63, 64, 1000]);
    }
}
