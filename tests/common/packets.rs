//! A capture as a list of packets that can be cut, mixed and written back.

use std::ops::Range;
use std::path::Path;

use reshake_core::net::{Decoded, Encapsulation, Endpoint, FrameDecoder, FrameRef, LinkType, Packet, Timestamp};

/// One captured packet, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawPacket {
    /// Nanoseconds since the epoch.
    pub(crate) time: i64,
    pub(crate) link: u16,
    pub(crate) data: Vec<u8>,
    pub(crate) original_len: u32,
}

impl RawPacket {
    /// As it comes out of the first capture, with this frame number.
    pub(crate) fn packet(&self, frame: u64) -> Packet<'_> {
        Packet {
            frame: FrameRef::new(0, frame),
            time: Timestamp::from_nanos(self.time),
            link: LinkType(self.link),
            interface: 0,
            data: &self.data,
            original_len: self.original_len,
        }
    }
}

/// All packets of a capture file.
pub(crate) fn read(path: &Path) -> Vec<RawPacket> {
    let mut source = reshake::capture::open(path.to_str().expect("a UTF-8 path"), 0).expect("a capture");
    let mut packets = Vec::new();
    while let Some(packet) = source.next() {
        packets.push(RawPacket {
            time: packet.time.nanos(),
            link: packet.link.0,
            data: packet.data.to_vec(),
            original_len: packet.original_len,
        });
    }
    packets
}

/// Which packets go from the higher end to the lower: one of the two directions of every connection.
pub(crate) fn sent_back(all: &[RawPacket]) -> Vec<bool> {
    let from_higher = |parsed: &Parsed| parsed.source >= parsed.destination;
    let parsed = parse(all);
    parsed
        .iter()
        .map(|parsed| parsed.as_ref().is_some_and(from_higher))
        .collect()
}

/// A pcapng file with these packets: one interface for each link type, times in nanoseconds.
pub(crate) fn write(packets: &[RawPacket]) -> Vec<u8> {
    write_with_boundaries(packets).0
}

/// The file, and the offset at which each of its packets begins.
pub(crate) fn write_with_boundaries(packets: &[RawPacket]) -> (Vec<u8>, Vec<usize>) {
    write_interfaces(packets, &vec![false; packets.len()])
}

/// As [`write`], with the packets of which `second` says so on interfaces of their own.
pub(crate) fn write_two_interfaces(packets: &[RawPacket], second: &[bool]) -> Vec<u8> {
    write_interfaces(packets, second).0
}

fn write_interfaces(packets: &[RawPacket], second: &[bool]) -> (Vec<u8>, Vec<usize>) {
    let mut links: Vec<u16> = packets.iter().map(|packet| packet.link).collect();
    links.sort_unstable();
    links.dedup();
    let mut out = Vec::new();
    let mut section = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
    section.extend([1, 0, 0, 0]);
    section.extend([0xff; 8]);
    block(&mut out, 0x0a0d_0d0a, &section);
    let halves = if second.contains(&true) { 2 } else { 1 };
    for link in links.iter().cycle().take(halves * links.len()) {
        let mut interface = link.to_le_bytes().to_vec();
        interface.extend([0, 0, 0, 0, 0, 0]);
        // if_tsresol: 10^-9; then the end of the options.
        interface.extend([9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
        block(&mut out, 1, &interface);
    }
    let mut boundaries = Vec::new();
    for (packet, second) in packets.iter().zip(second) {
        boundaries.push(out.len());
        let place = links.binary_search(&packet.link).expect("its link type is listed");
        let interface = place + usize::from(*second) * links.len();
        let time = packet.time.cast_unsigned();
        let mut body = u32::try_from(interface).expect("few interfaces").to_le_bytes().to_vec();
        body.extend(&time.to_le_bytes()[4..]);
        body.extend(&time.to_le_bytes()[..4]);
        body.extend(u32::try_from(packet.data.len()).expect("a small packet").to_le_bytes());
        body.extend(packet.original_len.to_le_bytes());
        body.extend(&packet.data);
        block(&mut out, 6, &body);
    }
    (out, boundaries)
}

fn block(out: &mut Vec<u8>, kind: u32, body: &[u8]) {
    let padding = body.len().next_multiple_of(4) - body.len();
    let length = u32::try_from(body.len() + padding + 12)
        .expect("a small block")
        .to_le_bytes();
    out.extend(kind.to_le_bytes());
    out.extend(length);
    out.extend(body);
    out.extend(std::iter::repeat_n(0, padding));
    out.extend(length);
}

/// What a TCP packet is, as far as a change to it must know.
#[derive(Debug, Clone)]
pub(crate) struct Parsed {
    pub(crate) source: Endpoint,
    pub(crate) destination: Endpoint,
    pub(crate) flags: u8,
    /// Where the payload stands in the packet; `None` when it was put together from fragments.
    pub(crate) payload: Option<Range<usize>>,
    /// Bytes of TCP options.
    options: usize,
    /// Nothing but VLAN tags around it: only then can its length be changed without touching outer headers.
    plain: bool,
}

/// Every packet as TCP segment, or `None`.
pub(crate) fn parse(packets: &[RawPacket]) -> Vec<Option<Parsed>> {
    let mut decoder = FrameDecoder::new();
    packets
        .iter()
        .zip(1..)
        .map(|(packet, frame)| {
            let content = decoder.decode(&packet.packet(frame));
            let Decoded::Segment(segment) = content else {
                return None;
            };
            let offset = (segment.payload.as_ptr() as usize).wrapping_sub(packet.data.as_ptr() as usize);
            let range = offset..offset.wrapping_add(segment.payload.len());
            Some(Parsed {
                source: segment.source,
                destination: segment.destination,
                flags: segment.flags.0,
                payload: packet.data.get(range.clone()).is_some().then_some(range),
                options: segment.options.0.len(),
                plain: segment.cut == 0
                    && segment
                        .path
                        .outer
                        .iter()
                        .all(|o| matches!(o.header, Encapsulation::Vlan(_))),
            })
        })
        .collect()
}

impl Parsed {
    /// Where the TCP header begins.
    pub(crate) fn tcp(&self) -> Option<usize> {
        self.payload.as_ref()?.start.checked_sub(20 + self.options)
    }

    /// The end with the higher port, which tells connections apart even where answers come from another address than
    /// requests go to.
    pub(crate) fn client(&self) -> Endpoint {
        if self.source.port > self.destination.port {
            self.source
        } else {
            self.destination
        }
    }
}

/// The packet as two segments, the first with `at` bytes of its payload; `None` where that cannot be done.
pub(crate) fn split(packet: &RawPacket, parsed: &Parsed, at: usize) -> Option<[RawPacket; 2]> {
    const SYN: u8 = 2;
    const FIN_PSH: u8 = 1 | 8;
    let payload = parsed.payload.clone()?;
    if !parsed.plain || parsed.flags & SYN != 0 || at == 0 || at >= payload.len() {
        return None;
    }
    let tcp = payload.start.checked_sub(20 + parsed.options)?;
    let header = packet.data.get(..payload.start)?;
    let mut first = header.to_vec();
    first.extend(packet.data.get(payload.start..payload.start + at)?);
    let mut second = header.to_vec();
    second.extend(packet.data.get(payload.start + at..payload.end)?);
    // FIN belongs to the last byte.
    first[tcp + 13] &= !FIN_PSH;
    let seq = u32::from_be_bytes(header.get(tcp + 4..tcp + 8)?.try_into().ok()?);
    let next = seq.wrapping_add(u32::try_from(at).ok()?);
    second[tcp + 4..tcp + 8].copy_from_slice(&next.to_be_bytes());
    for data in [&mut first, &mut second] {
        set_ip_length(data, tcp, payload.end - tcp)?;
    }
    Some([first, second].map(|data| RawPacket {
        original_len: u32::try_from(data.len()).expect("a small packet"),
        data,
        ..packet.clone()
    }))
}

/// Writes the length of the IP packet whose TCP header begins at `tcp`; `None` where its header cannot be found or
/// does not say the length that it had (`old`, from the TCP header on).
fn set_ip_length(data: &mut [u8], tcp: usize, old: usize) -> Option<()> {
    let length = data.len();
    if let Some(ip) = tcp.checked_sub(40)
        && data[ip] >> 4 == 6
        && data[ip + 6] == 6
        && usize::from(u16::from_be_bytes([data[ip + 4], data[ip + 5]])) == old
    {
        let new = u16::try_from(length - tcp).ok()?;
        data[ip + 4..ip + 6].copy_from_slice(&new.to_be_bytes());
        return Some(());
    }
    let ip = tcp.checked_sub(20)?;
    let said = usize::from(u16::from_be_bytes([data[ip + 2], data[ip + 3]]));
    if data[ip] != 0x45 || data[ip + 9] != 6 || said != old + 20 {
        return None;
    }
    let new = u16::try_from(length - ip).ok()?;
    data[ip + 2..ip + 4].copy_from_slice(&new.to_be_bytes());
    Some(())
}
