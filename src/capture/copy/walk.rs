//! Blocks of a pcapng file, one after the other.

use std::io::{self, Read};

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
        if !self.fill(&mut bytes, 0)? {
            return Ok(None);
        }
        let damaged = |it: &Self| CopyError::Damaged {
            path: it.path.clone(),
            offset: it.offset,
            frame: frames,
        };
        let word = |bytes: &[u8], at: usize| bytes.get(at..).and_then(|rest| rest.first_chunk().copied());
        let Some((first, length, third)) = (|| Some((word(&bytes, 0)?, word(&bytes, 4)?, word(&bytes, 8)?)))() else {
            return Err(damaged(self));
        };
        if u32::from_le_bytes(first) == kind::SECTION {
            self.big_endian = match third {
                [0x1a, 0x2b, 0x3c, 0x4d] => true,
                [0x4d, 0x3c, 0x2b, 0x1a] => false,
                _ => return Err(damaged(self)),
            };
        }
        let big_endian = self.big_endian;
        let number = move |bytes: [u8; 4]| {
            if big_endian {
                u32::from_be_bytes(bytes)
            } else {
                u32::from_le_bytes(bytes)
            }
        };
        let (kind, stated) = (number(first), number(length));
        // Some writers leave the padding out of the length.
        let size = (stated as usize).next_multiple_of(4);
        if !(SMALLEST_BLOCK..=MAX_BLOCK).contains(&size) {
            return Err(damaged(self));
        }
        bytes.resize(size, 0);
        if !self.fill(&mut bytes, SMALLEST_BLOCK)? {
            return Ok(None);
        }
        if word(&bytes, size - 4).map(number) != Some(stated) {
            return Err(damaged(self));
        }
        self.offset += size as u64;
        Ok(Some(Block::of(kind, self.big_endian, bytes)))
    }

    /// Fills `space` from `at` on; `false` when the input ends before.
    fn fill(&mut self, space: &mut [u8], mut at: usize) -> Result<bool, CopyError> {
        while let Some(rest) = space.get_mut(at..).filter(|rest| !rest.is_empty()) {
            match self.bytes.read(rest) {
                Ok(0) => return Ok(false),
                Ok(count) => at += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What a compressed file that was cut still gave was read; the last block is cut with it.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
                Err(cause) => {
                    return Err(CopyError::Read {
                        path: self.path.clone(),
                        offset: self.offset,
                        cause,
                    });
                }
            }
        }
        Ok(true)
    }
}
