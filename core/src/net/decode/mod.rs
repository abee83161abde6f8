//! The way from a frame to its TCP header: a [`Packet`] comes in, a [`Decoded`] goes out. Headers are taken off one by
//! one, tunnels included, until a transport header stands there. It never verifies a checksum (capturing hosts leave
//! them to the network card), never follows more than a fixed number of headers, and never keeps a frame except the
//! fragments of a datagram that is still incomplete.

use std::net::IpAddr;

use super::{
    Decoded, Encapsulation, FrameRef, LinkType, MacAddress, Neighbour, Notice, Notices, Packet, Timestamp, Wrapping,
};

mod fragments;
mod ip;
mod link;
mod neighbour;
mod netfilter;
mod overlay;
mod plain;
mod pseudo_header;
mod tags;
mod transport;
mod tunnel;
mod wireless;

use fragments::{Fragments, IpFragment};
use ip::Ip;

/// Decodes frames; keeps only fragments between calls.
#[derive(Debug, Default)]
pub struct FrameDecoder {
    outer: Vec<Wrapping>,
    fragments: Fragments,
    /// Datagrams put together for the current frame: a tunnel packet, and one inside it.
    whole: [Vec<u8>; 2],
}

/// Headers that are taken off one frame before it is given up.
const MAX_HEADERS: u32 = 24;

impl FrameDecoder {
    /// A decoder without fragments.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What the frame holds. Fragments are kept; the frame that completes a datagram is decoded as the whole of it.
    #[inline]
    pub fn decode<'a>(&'a mut self, packet: &Packet<'a>) -> Decoded<'a> {
        match plain::segment(packet) {
            Some(segment) => Decoded::Segment(segment),
            None => self.walk(packet),
        }
    }

    /// The general way, header by header.
    #[inline(never)]
    fn walk<'a>(&'a mut self, packet: &Packet<'a>) -> Decoded<'a> {
        let Self {
            outer,
            fragments,
            whole,
        } = self;
        outer.clear();
        let mut walk = Walk {
            outer,
            mac: None,
            carrier: None,
            headers: 0,
        };
        let mut step = link::first(&mut walk, packet);
        if matches!(step, NextHeader::Into(..)) {
            step = walk.run(step);
        }
        if let NextHeader::Fragment(fragment) = step {
            // Nobody may have asked for those of the frame before.
            fragments.completed();
            let origin = FrameOrigin {
                frame: packet.frame,
                time: packet.time,
            };
            step = reassemble(&mut walk, &fragment, origin, fragments, whole);
        }
        let mac = walk.mac;
        match step {
            NextHeader::Tcp(ip, bytes) => transport::segment(&ip, bytes, mac, outer),
            NextHeader::Udp(ip, bytes) => transport::datagram(&ip, bytes, mac, outer),
            NextHeader::Neighbour(neighbour) => Decoded::Neighbour(neighbour),
            NextHeader::Skipped(notice) => Decoded::Skipped(notice),
            NextHeader::Unsupported(notice, number) => Decoded::Unsupported(notice, number),
            NextHeader::Other | NextHeader::Into(..) | NextHeader::Fragment(_) => Decoded::Other,
        }
    }

    /// Takes the frames whose fragments the last decoded frame completed, itself among them; nearly always none.
    pub fn completed(&mut self) -> Vec<FrameRef> {
        self.fragments.completed()
    }

    /// Takes the account of what could not be put together, with the first frame: datagrams given up since the last
    /// call. At the end of the capture call [`FrameDecoder::finish`] instead.
    pub fn notices(&mut self) -> Notices {
        self.fragments.notices()
    }

    /// Gives up the datagrams that are still incomplete, and takes the account as [`FrameDecoder::notices`] does.
    pub fn finish(&mut self) -> Notices {
        self.fragments.give_up_all();
        self.fragments.notices()
    }
}

/// Which frame is being decoded.
#[derive(Debug, Clone, Copy)]
struct FrameOrigin {
    frame: FrameRef,
    time: Timestamp,
}

/// Bytes at hand, and how many there were on the wire.
#[derive(Debug, Clone, Copy)]
struct Bytes<'a> {
    data: &'a [u8],
    /// At least `data.len()`.
    wire: usize,
}

impl<'a> Bytes<'a> {
    fn whole(data: &'a [u8]) -> Self {
        Self { data, wire: data.len() }
    }

    #[inline]
    fn skip(self, count: usize) -> Option<Self> {
        let data = self.data.get(count..)?;
        Some(Self {
            data,
            wire: self.wire.saturating_sub(count).max(data.len()),
        })
    }

    /// As a header below says how long this is: what follows is padding, what is missing was not captured.
    #[inline]
    fn of_length(self, length: usize) -> Self {
        Self {
            data: self.data.get(..length).unwrap_or(self.data),
            wire: length,
        }
    }

    fn u16_at(self, at: usize) -> Option<u16> {
        Some(u16::from_be_bytes(*self.data.get(at..)?.first_chunk()?))
    }

    fn u32_at(self, at: usize) -> Option<u32> {
        Some(u32::from_be_bytes(*self.data.get(at..)?.first_chunk()?))
    }

    /// Least significant byte first, as pseudo-headers of the radio and of macOS have it.
    fn u16_le_at(self, at: usize) -> Option<u16> {
        self.u16_at(at).map(u16::swap_bytes)
    }

    /// The same of four bytes.
    fn u32_le_at(self, at: usize) -> Option<u32> {
        self.u32_at(at).map(u32::swap_bytes)
    }
}

/// What the next bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layer {
    /// A frame of this link type.
    Frame(LinkType),
    Ethernet,
    /// What an EtherType announces.
    EtherType(u16),
    /// IEEE 802.2 logical link control.
    Llc,
    /// IPv4 or IPv6, by the version field.
    Ip,
    Ppp,
    Mpls,
}

/// Where a header leads. Small on purpose: it is handed on several times per frame, the result is built once.
#[derive(Debug)]
enum NextHeader<'a> {
    Into(Layer, Bytes<'a>),
    Fragment(IpFragment<'a>),
    Tcp(Ip, Bytes<'a>),
    Udp(Ip, Bytes<'a>),
    Neighbour(Neighbour),
    /// Another protocol.
    Other,
    Skipped(Notice),
    /// A protocol that could carry TCP and is not decoded, by its number.
    Unsupported(Notice, u16),
}

impl NextHeader<'_> {
    /// The frame ends inside a header.
    const CUT: Self = Self::Skipped(Notice::HeaderCut);
    /// A header contradicts itself.
    const MALFORMED: Self = Self::Skipped(Notice::HeaderMalformed);
}

/// One frame on its way through the headers.
struct Walk<'w> {
    outer: &'w mut Vec<Wrapping>,
    mac: Option<MacAddress>,
    /// Sender and receiver of the IP header that was just passed, until the header of its tunnel takes them.
    carrier: Option<[IpAddr; 2]>,
    headers: u32,
}

impl Walk<'_> {
    #[inline]
    fn run<'a>(&mut self, mut step: NextHeader<'a>) -> NextHeader<'a> {
        while let NextHeader::Into(layer, bytes) = step {
            self.headers = self.headers.saturating_add(1);
            if self.headers > MAX_HEADERS {
                return NextHeader::Skipped(Notice::NestingTooDeep);
            }
            step = match layer {
                Layer::Frame(link) => link::frame(self, link, bytes),
                Layer::Ethernet => link::ethernet(self, bytes),
                Layer::EtherType(kind) => link::ether_type(self, kind, bytes),
                Layer::Llc => link::llc(bytes),
                Layer::Ip => ip::any(self, bytes),
                Layer::Ppp => link::ppp(bytes),
                Layer::Mpls => tunnel::mpls(self, bytes),
            };
        }
        step
    }

    fn wrap(&mut self, header: Encapsulation) {
        // `headers` bounds the number of these, since each stands in a header of its own.
        self.outer.push(Wrapping {
            header,
            between: self.carrier.take(),
        });
    }
}

/// Adds a fragment and, when its datagram is whole, walks on into that; a fragment inside it needs the next of
/// `stores`.
#[cold]
fn reassemble<'a>(
    walk: &mut Walk<'_>,
    fragment: &IpFragment<'_>,
    origin: FrameOrigin,
    fragments: &mut Fragments,
    stores: &'a mut [Vec<u8>],
) -> NextHeader<'a> {
    let Some((store, stores)) = stores.split_first_mut() else {
        return NextHeader::Skipped(Notice::NestingTooDeep);
    };
    let protocol = match fragments.add(fragment, walk.outer, origin, store) {
        Ok(Some(protocol)) => protocol,
        Ok(None) => return NextHeader::Other,
        Err(notice) => return NextHeader::Skipped(notice),
    };
    let first = ip::protocol(walk, fragment.ip, protocol, Bytes::whole(store));
    match walk.run(first) {
        NextHeader::Fragment(inner) => reassemble(walk, &inner, origin, fragments, stores),
        step => step,
    }
}

#[cfg(test)]
mod tests;
