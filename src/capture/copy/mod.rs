//! A capture, copied: blocks go in one at a time and out as they were, but for what [`Changes`] asks for.
//!
//! A pcapng file keeps every block and option, also those that nothing here understands; a pcap file becomes one with
//! the same packets, times and link type. Compressed input comes out plain. Frames are numbered as the analysis
//! numbers them, so that what it says of a frame reaches that frame. Nothing here looks inside a packet, except to
//! find those of chosen connections ([`Chosen`]).

mod anew;
mod block;
mod chosen;
mod excerpt;
mod names;
mod walk;

use std::io::{self, Write};
use std::net::IpAddr;

use thiserror::Error;

use crate::capture::{self, Content, Source, SourceError, Stream};
use reshake_core::net::capture::CaptureFormat;

use block::{Block, kind};
use walk::Blocks;

pub use anew::{Instead, anew};
pub use chosen::{Chosen, FrameSet};
pub use excerpt::{Excerpt, lines_of, randoms};

/// What a copy has otherwise than the original. Without any of it the copy is the same.
pub trait Changes {
    /// Whether a frame is in the copy, by its number from 1.
    fn keeps(&self, _frame: u64) -> bool {
        true
    }

    /// Comments that a frame gets beside its own.
    fn comments(&self, _frame: u64) -> Vec<String> {
        Vec::new()
    }

    /// Only what belongs to the frames that are kept may be in the copy.
    fn is_excerpt(&self) -> bool {
        false
    }

    /// Of an excerpt: what is left of a TLS key log.
    fn secrets(&self, log: &[u8]) -> Vec<u8> {
        log.to_vec()
    }

    /// Of an excerpt: whether the name of this address may be in it.
    fn names(&self, _address: IpAddr) -> bool {
        true
    }

    /// A TLS key log to put in, behind the first interfaces.
    fn embedded(&self) -> Option<&[u8]> {
        None
    }
}

/// What was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    /// Frames of the original.
    pub frames: u64,
    /// Those in the copy.
    pub kept: u64,
    /// Comments written.
    pub comments: u64,
    /// Comments for which a block has no place: Simple Packet Blocks have no options.
    pub homeless: u64,
    /// Blocks of an excerpt that were left out because nobody knows whose they are.
    pub left_out: u64,
}

/// Why a capture could not be copied.
#[derive(Debug, Error)]
pub enum CopyError {
    /// The original cannot be opened or read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Reading failed.
    #[error("{path}: reading failed at byte {offset}: {cause}")]
    Read {
        /// Path as given.
        path: String,
        /// Offset in the decompressed input.
        offset: u64,
        /// What the system or the decompressor said.
        cause: io::Error,
    },
    /// A block whose two lengths differ, or that cannot be one.
    #[error("{path}: is damaged at byte {offset}, after frame {frame}; copy the intact part first (editcap FILE NEW)")]
    Damaged {
        /// Path as given.
        path: String,
        /// Offset in the decompressed input.
        offset: u64,
        /// Frames before it.
        frame: u64,
    },
    /// The copy cannot be written.
    #[error("cannot be written: {0}")]
    Write(io::Error),
}

/// Copies a capture; a last block that was cut off is left out.
///
/// # Errors
/// When the capture cannot be read or is damaged, or the copy cannot be written.
pub fn copy(capture: Stream, changes: &dyn Changes, out: &mut dyn Write) -> Result<Copied, CopyError> {
    let mut copier = Copier {
        changes,
        out,
        copied: Copied::default(),
        embedded: false,
    };
    let name = capture.name.clone();
    match capture::content(capture)? {
        Content::Blocks(bytes) => copier.blocks(Blocks::new(&name, bytes))?,
        Content::Records(source) => copier.records(source)?,
    }
    copier.out.flush().map_err(CopyError::Write)?;
    Ok(copier.copied)
}

struct Copier<'c> {
    changes: &'c dyn Changes,
    out: &'c mut dyn Write,
    copied: Copied,
    /// The key log is in the copy.
    embedded: bool,
}

impl Copier<'_> {
    fn blocks(&mut self, mut blocks: Blocks) -> Result<(), CopyError> {
        let mut order = false;
        let mut described = false;
        while let Some(mut block) = blocks.next(self.copied.frames)? {
            order = block.big_endian;
            if described && !matches!(block.kind, kind::SECTION | kind::INTERFACE) {
                self.embed(order)?;
            }
            described |= block.kind == kind::INTERFACE;
            if block.is_frame() {
                self.copied.frames += 1;
                if self.keeps(&block) {
                    self.frame(block)?;
                }
                continue;
            }
            if block.kind == kind::SECTION {
                // The copy may be longer or shorter; -1 says that the length is not given.
                block.forget_section_length();
            }
            if let Some(block) = self.other(block) {
                self.write(&block)?;
            }
        }
        if described { self.embed(order) } else { Ok(()) }
    }

    fn keeps(&mut self, block: &Block) -> bool {
        let keeps = self.changes.keeps(self.copied.frames);
        if !block.is_packet() && self.changes.is_excerpt() {
            self.copied.left_out += 1;
            return false;
        }
        keeps
    }

    /// A block that is no frame, as far as it may be in the copy.
    fn other(&mut self, mut block: Block) -> Option<Block> {
        if !self.changes.is_excerpt() {
            return Some(block);
        }
        let stays = match block.kind {
            kind::SECTION | kind::INTERFACE | kind::STATISTICS => true,
            kind::SECRETS => block.change_key_log(|log| self.changes.secrets(log)),
            kind::NAMES => names::leave(&mut block, |address| self.changes.names(address)),
            _ => false,
        };
        if !stays {
            self.copied.left_out += 1;
        }
        stays.then_some(block)
    }

    /// A pcap file as a section with one interface.
    fn records(&mut self, mut source: Box<dyn Source>) -> Result<(), CopyError> {
        let nanoseconds = source.capture().format == CaptureFormat::PcapNanoseconds;
        self.write(&Block::section())?;
        let mut described = false;
        while let Some(packet) = source.next() {
            if !described {
                self.write(&Block::interface(packet.link, nanoseconds))?;
                self.embed(false)?;
                described = true;
            }
            self.copied.frames += 1;
            if self.changes.keeps(self.copied.frames) {
                let block = Block::packet(&packet, nanoseconds);
                self.frame(block)?;
            }
        }
        if let Some(error) = source.error() {
            return Err(CopyError::Read {
                path: source.capture().path.clone(),
                offset: source.capture().bytes,
                cause: io::Error::other(error.to_string()),
            });
        }
        Ok(())
    }

    fn frame(&mut self, mut block: Block) -> Result<(), CopyError> {
        self.copied.kept += 1;
        for comment in self.changes.comments(self.copied.frames) {
            if block.comment(&comment) {
                self.copied.comments += 1;
            } else {
                self.copied.homeless += 1;
            }
        }
        self.write(&block)
    }

    /// Puts the key log in, once.
    fn embed(&mut self, big_endian: bool) -> Result<(), CopyError> {
        let log = self.changes.embedded().filter(|log| !log.is_empty() && !self.embedded);
        let Some(log) = log else { return Ok(()) };
        self.embedded = true;
        let block = Block::key_log(log, big_endian);
        self.write(&block)
    }

    fn write(&mut self, block: &Block) -> Result<(), CopyError> {
        self.out.write_all(block.bytes()).map_err(CopyError::Write)
    }
}
