//! A copy whose packets are made anew: each as whoever calls gives it, with the times of the original and comments.
//!
//! Of the original nothing else gets into it, neither blocks nor options.

use std::io::Write;

use super::{Changes, Copied, CopyError};
use crate::capture::Source;
use crate::capture::blocks::Blocks;
use reshake_core::net::{FrameRef, LinkType, Packet};

/// A packet instead of another: its bytes, from the Ethernet header on, and its length on the wire.
pub type Instead = (Vec<u8>, u32);

/// A frame in which nothing is: two addresses of zeros, and the EtherType for local experiments (IEEE 802).
const EMPTY: [u8; 14] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x88, 0xb5];

/// Writes a packet for each of those that `changes` keeps; `make` is asked for every one, in their order.
///
/// # Errors
/// When the capture cannot be read to its end, or the copy not be written.
pub fn anew(
    source: &mut dyn Source,
    changes: &dyn Changes,
    make: &mut dyn FnMut(&Packet<'_>) -> Instead,
    out: &mut dyn Write,
) -> Result<Copied, CopyError> {
    let mut copied = Copied::default();
    let mut blocks = Blocks::begin(out).map_err(CopyError::Write)?;
    let mut next = 1;
    while let Some(packet) = source.next() {
        let (data, original_len) = make(&packet);
        let frame = packet.frame.frame();
        if !changes.keeps(frame) {
            continue;
        }
        let comments = changes.comments(frame);
        let packet = Packet {
            data: &data,
            original_len,
            link: LinkType::ETHERNET,
            ..packet
        };
        // Blocks that are no packets have numbers, too; of a whole copy frames keep theirs.
        while !changes.is_excerpt() && next < frame {
            let empty = Packet {
                frame: FrameRef::new(packet.frame.capture(), next),
                data: &EMPTY,
                original_len: u32::try_from(EMPTY.len()).unwrap_or(u32::MAX),
                ..packet
            };
            blocks.packet(&empty, &[]).map_err(CopyError::Write)?;
            next += 1;
        }
        next = frame + 1;
        blocks.packet(&packet, &comments).map_err(CopyError::Write)?;
        copied.kept += 1;
        copied.comments += comments.len() as u64;
    }
    copied.frames = source.capture().packets;
    if let Some(error) = source.take_error() {
        return Err(error.into());
    }
    blocks.flush().map_err(CopyError::Write)?;
    Ok(copied)
}
