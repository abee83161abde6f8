//! Packets under other names: a frame goes in, one comes out that has the same ports, numbers, times and sizes, and in which
//! nobody is named.
//!
//! Nothing is taken away from a packet: a new frame is made, and of the old one only what is listed here is put into it.
//! What nobody listed cannot get through, whatever it is. Of the content of TCP that is the structure of TLS records and hellos
//! ([`records`], [`messages`]); everything else is zeros of the same length. A packet that is neither TCP nor UDP leaves
//! an empty frame, so that frames keep their numbers.

mod frame;
mod messages;
mod records;
mod stream;

use std::net::IpAddr;

use hashbrown::HashMap;

use reshake_core::net::{Decoded, Endpoint, FrameDecoder, MacAddress, Packet, Path, Segment};

use super::host;
use super::prf::Prf;
use frame::Ends;
use stream::Stream;

/// One direction between two endpoints.
type Way = (Endpoint, Endpoint);

/// A new frame, and how long it was on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFrame {
    /// Its bytes, from the Ethernet header on.
    pub bytes: Vec<u8>,
    /// Length on the wire.
    pub length: u32,
}

/// Makes new frames of those of one capture, in two passes: what a segment holds may only be known by later ones.
#[derive(Debug)]
pub struct PacketRedactor {
    prf: Prf,
    decoder: FrameDecoder,
    ways: HashMap<Way, Connections>,
    /// Bytes that what was learned takes.
    weight: usize,
}

/// Bytes of what is learned in all; what comes later is zeros. Hostile captures make more of it than they are long.
const MAX_LEARNED: usize = 2 << 30;
/// Of a connection beside what is learned of it.
const CONNECTION: usize = 512;

/// The connections that went one way between two endpoints, one after the other.
#[derive(Debug, Default)]
struct Connections {
    streams: Vec<Stream>,
    /// The one at hand in the second pass.
    at: usize,
}

impl PacketRedactor {
    /// Under the key of these names.
    #[must_use]
    pub fn new(aliases: &super::Aliases) -> Self {
        Self {
            prf: aliases.prf.clone(),
            decoder: FrameDecoder::new(),
            ways: HashMap::new(),
            weight: 0,
        }
    }

    /// Whether there was more to learn than is kept: content from some packet on is then zeros.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.weight > MAX_LEARNED
    }

    /// First pass: takes every packet of the capture in its order.
    pub fn learn(&mut self, packet: &Packet<'_>) {
        if self.is_full() {
            return;
        }
        let Decoded::Segment(segment) = self.decoder.decode(packet) else {
            return;
        };
        let way = self.ways.entry((segment.source, segment.destination)).or_default();
        if way.streams.last().is_none_or(|stream| stream.is_over_with(&segment)) {
            way.streams.push(Stream::begin(&segment));
            self.weight += CONNECTION;
        }
        if let Some(stream) = way.streams.last_mut() {
            let before = stream.weight();
            stream.learn(&segment, &self.prf);
            self.weight = (self.weight + stream.weight()).saturating_sub(before);
        }
    }

    /// The first pass is over.
    pub fn learned(&mut self) {
        for stream in self.ways.values_mut().flat_map(|way| &mut way.streams) {
            stream.learned(&self.prf);
        }
        self.decoder = FrameDecoder::new();
    }

    /// Second pass: the new frame of each packet, again in their order.
    pub fn frame(&mut self, packet: &Packet<'_>) -> NewFrame {
        let Self { prf, decoder, ways, .. } = self;
        match decoder.decode(packet) {
            Decoded::Segment(segment) => {
                let payload = content(ways, &segment);
                frame::tcp(
                    &ends(prf, &segment.path, segment.source, segment.destination),
                    &segment,
                    &payload,
                )
            }
            Decoded::Datagram(datagram) => {
                let ends = ends(prf, &datagram.path, datagram.source, datagram.destination);
                frame::udp(&ends, datagram.payload.len(), datagram.cut)
            }
            Decoded::Neighbour(_) | Decoded::Skipped(_) | Decoded::Unsupported(..) | Decoded::Other => {
                frame::empty(packet.original_len)
            }
        }
    }
}

/// What stands in a segment of the second pass.
fn content(ways: &mut HashMap<Way, Connections>, segment: &Segment<'_>) -> Vec<u8> {
    let zeros = vec![0; segment.payload.len()];
    let Some(way) = ways.get_mut(&(segment.source, segment.destination)) else {
        return zeros;
    };
    if way
        .streams
        .get(way.at)
        .is_some_and(|stream| stream.is_over_with(segment))
    {
        way.at += 1;
    }
    way.streams
        .get_mut(way.at)
        .map_or(zeros, |stream| stream.content(segment))
}

/// Both ends under other names, as a report has them.
fn ends(prf: &Prf, path: &Path<'_>, source: Endpoint, destination: Endpoint) -> Ends {
    let address = |endpoint: Endpoint| match host::address(prf, endpoint.ip) {
        IpAddr::V6(ip) => (ip, endpoint.port),
        // Other addresses are always of IPv6.
        IpAddr::V4(ip) => (ip.to_ipv6_mapped(), endpoint.port),
    };
    Ends {
        source: address(source),
        destination: address(destination),
        mac: path
            .source_mac
            .map_or(MacAddress([0x02, 0, 0, 0, 0, 0]), |mac| host::mac(prf, mac)),
        hops: path.ttl,
    }
}
