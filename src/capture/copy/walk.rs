//! Blocks of a pcapng file, one after the other.

use std::io::{self, Read};

use super::super::pcapng::{byte_order, is_block, u32_at};
use super::CopyError;
use super::block::{Block, kind};

/// A longer block is damage; the analysis believes none either.
const MAX_BLOCK: usize = 64 << 20;
const SMALLEST_BLOCK: usize = 12;

/// A stream of blocks.
pub(super) struct Blocks {
    path: String,
    bytes: Box<dyn Read + Send>,
    big_endian: bool,
    offset: u64,
}

impl Blocks {
    pub(super) fn new(path: &str, bytes: Box<dyn Read + Send>) -> Self {
        Self {
            path: path.to_owned(),
            bytes,
            big_endian: false,
            offset: 0,
        }
    }

    /// The next whole block; `None` at the end, also where the last block is cut off. `frames` were before it.
    pub(super) fn next(&mut self, frames: u64) -> Result<Option<Block>, CopyError> {
        let mut bytes = vec![0; SMALLEST_BLOCK];
        if self.fill(&mut bytes, 0)? < SMALLEST_BLOCK {
            return Ok(None);
        }
        let damaged = |it: &Self| CopyError::Damaged {
            path: it.path.clone(),
            offset: it.offset,
            frame: frames,
        };
        if bytes.starts_with(&kind::SECTION.to_le_bytes()) {
            self.big_endian = byte_order(&bytes).ok_or_else(|| damaged(self))?;
        }
        let big_endian = self.big_endian;
        let (Some(kind), Some(stated)) = (u32_at(&bytes, 0, big_endian), u32_at(&bytes, 4, big_endian)) else {
            return Err(damaged(self));
        };
        // Some writers leave the padding out of the length.
        let size = (stated as usize).next_multiple_of(4);
        if !(SMALLEST_BLOCK..=MAX_BLOCK).contains(&size) {
            return Err(damaged(self));
        }
        bytes.resize(size, 0);
        let filled = self.fill(&mut bytes, SMALLEST_BLOCK)?;
        if filled < size {
            let rest = bytes.get(..filled).unwrap_or_default();
            return if holds_block(rest, big_endian) {
                Err(damaged(self))
            } else {
                Ok(None)
            };
        }
        if u32_at(&bytes, size - 4, big_endian) != Some(stated) {
            return Err(damaged(self));
        }
        self.offset += size as u64;
        Ok(Some(Block::of(kind, big_endian, bytes)))
    }

    /// Fills `space` from `at` on, as far as the input goes; how much of it is full then.
    fn fill(&mut self, space: &mut [u8], mut at: usize) -> Result<usize, CopyError> {
        while let Some(rest) = space.get_mut(at..).filter(|rest| !rest.is_empty()) {
            match self.bytes.read(rest) {
                Ok(0) => return Ok(at),
                Ok(count) => at += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What a compressed file that was cut still gave was read; the last block is cut with it.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(at),
                Err(cause) => {
                    return Err(CopyError::Read {
                        path: self.path.clone(),
                        offset: self.offset,
                        cause,
                    });
                }
            }
        }
        Ok(at)
    }
}

/// Whether whole blocks stand in what looks like the beginning of the last one: its length is wrong, and the analysis reads
/// them.
fn holds_block(rest: &[u8], big_endian: bool) -> bool {
    let mut places = (4..rest.len()).step_by(4);
    places.any(|at| is_block(rest.get(at..).unwrap_or_default(), big_endian))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(kind: u32, stated: u32) -> Vec<u8> {
        [kind, stated, 0, 0, stated].map(u32::to_le_bytes).concat()
    }

    fn section() -> Vec<u8> {
        [kind::SECTION, 28, 0x1a2b_3c4d, 1, u32::MAX, u32::MAX, 28]
            .map(u32::to_le_bytes)
            .concat()
    }

    /// How many blocks there are, and whether they end in damage.
    fn walked(file: Vec<u8>) -> (usize, bool) {
        let mut blocks = Blocks::new("file", Box::new(io::Cursor::new(file)));
        let mut count = 0;
        loop {
            match blocks.next(0) {
                Ok(Some(_)) => count += 1,
                Ok(None) => return (count, false),
                Err(_) => return (count, true),
            }
        }
    }

    #[test]
    fn a_last_block_that_is_cut_is_left_out_and_one_with_a_wrong_length_is_damage() {
        let whole = [section(), block(5, 20), block(6, 20)].concat();
        assert_eq!(walked(whole.clone()), (3, false));
        for cut in 1..20 {
            assert_eq!(walked(whole[..whole.len() - cut].to_vec()), (2, false), "{cut}");
        }
        // The length reaches beyond the end of the file, and another block stands behind it.
        let wrong = [section(), block(5, 2000), block(6, 20)].concat();
        assert_eq!(walked(wrong), (1, true));
    }
}
