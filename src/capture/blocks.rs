//! pcapng on its way out (draft-ietf-opsawg-pcapng): one section, in the byte order of the machine, times in nanoseconds.

use std::io::{self, Write};

use reshake_core::net::{LinkType, Packet, Timestamp};

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;
const OPT_COMMENT: u16 = 1;
const IF_TSRESOL: u16 = 9;
const ISB_OSDROP: u16 = 7;
const NANOSECONDS: u8 = 9;

/// A section that is being written.
pub(super) struct Blocks<W> {
    out: W,
    /// Interfaces that the section describes.
    interfaces: Vec<(u32, LinkType)>,
    written: u64,
}

impl<W: Write> Blocks<W> {
    /// Begins a section.
    pub(super) fn begin(out: W) -> io::Result<Self> {
        let mut blocks = Self {
            out,
            interfaces: Vec::new(),
            written: 0,
        };
        let version = [1_u16, 0].map(u16::to_ne_bytes).concat();
        let mut body = words(&[0x1a2b_3c4d]);
        body.extend(version);
        body.extend(u64::MAX.to_ne_bytes());
        blocks.block(SECTION_HEADER, &[&body])?;
        Ok(blocks)
    }

    /// Bytes so far.
    pub(super) const fn written(&self) -> u64 {
        self.written
    }

    /// Writes a packet, with comments on it.
    pub(super) fn packet(&mut self, packet: &Packet<'_>, comments: &[String]) -> io::Result<()> {
        let interface = self.interface(packet.interface, packet.link)?;
        let [high, low] = ticks(packet.time);
        let length = u32::try_from(packet.data.len()).unwrap_or(u32::MAX);
        let head = words(&[interface, high, low, length, packet.original_len]);
        let padding = packet.data.len().next_multiple_of(4) - packet.data.len();
        let padding = [0; 3].get(..padding).unwrap_or_default();
        let mut options: Vec<u8> = comments
            .iter()
            .flat_map(|comment| option(OPT_COMMENT, comment.as_bytes()))
            .collect();
        if !options.is_empty() {
            options.extend(option(0, &[]));
        }
        self.block(ENHANCED_PACKET, &[&head, packet.data, padding, &options])
    }

    /// Says how many packets the capturing side lost; nothing where there was no packet at all.
    pub(super) fn losses(&mut self, dropped: u64, latest: Option<Timestamp>) -> io::Result<()> {
        if self.interfaces.is_empty() {
            return Ok(());
        }
        let [high, low] = ticks(latest.unwrap_or(Timestamp::from_nanos(0)));
        let mut options = option(ISB_OSDROP, &dropped.to_ne_bytes());
        options.extend(option(0, &[]));
        self.block(INTERFACE_STATISTICS, &[&words(&[0, high, low]), &options])
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// The number of an interface in this section, which is told about it first.
    fn interface(&mut self, interface: u32, link: LinkType) -> io::Result<u32> {
        let known = self.interfaces.iter().position(|known| *known == (interface, link));
        let number = if let Some(number) = known {
            number
        } else {
            let mut body = [link.0, 0].map(u16::to_ne_bytes).concat();
            body.extend(0_u32.to_ne_bytes());
            body.extend(option(IF_TSRESOL, &[NANOSECONDS]));
            body.extend(option(0, &[]));
            self.block(INTERFACE_DESCRIPTION, &[&body])?;
            self.interfaces.push((interface, link));
            self.interfaces.len() - 1
        };
        Ok(u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// One block: its kind, its length before and after, and a body in parts that are whole words together.
    fn block(&mut self, kind: u32, parts: &[&[u8]]) -> io::Result<()> {
        let body: usize = parts.iter().map(|part| part.len()).sum();
        let length = u32::try_from(12 + body).unwrap_or(u32::MAX);
        self.out.write_all(&words(&[kind, length]))?;
        parts.iter().try_for_each(|part| self.out.write_all(part))?;
        self.out.write_all(&length.to_ne_bytes())?;
        self.written += u64::from(length);
        Ok(())
    }
}

fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_ne_bytes()).collect()
}

/// An option, cut where it would be longer than its length can say.
fn option(code: u16, value: &[u8]) -> Vec<u8> {
    let value = value.get(..usize::from(u16::MAX)).unwrap_or(value);
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    let mut bytes = [code, length].map(u16::to_ne_bytes).concat();
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// Nanoseconds in the two halves of a block.
fn ticks(time: Timestamp) -> [u32; 2] {
    let nanos = time.nanos().cast_unsigned();
    [nanos >> 32, nanos & u64::from(u32::MAX)].map(|half| u32::try_from(half).unwrap_or(u32::MAX))
}
