//! gzip and zstd around a capture: compressed bytes in, capture bytes out, decoded in a second thread because decoding
//! takes longer than everything that follows. It never gives up bytes decoded before the damage.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::buffer::Buffer;
use super::input::Input;
use reshake_core::net::capture::Compression;

/// Recognises compression by the first bytes and puts the decoder in between.
pub(super) fn unwrap(mut input: Input) -> Input {
    let Some(compression) = recognise(input.buffer.data()) else {
        return input;
    };
    let packed = std::mem::replace(&mut input.buffer, Buffer::new(Box::new(io::empty())));
    // Decoding ahead takes all these chunks, and one on each side.
    let bound = packed.bound().filter(|bound| *bound < (CHUNKS + 2) * CHUNK);
    let packed = BufReader::with_capacity(bound.map_or(CHUNK, |bound| bound.min(CHUNK)), packed.into_reader());
    let decoder: Box<dyn Read + Send> = match compression {
        Compression::Gzip => Box::new(MultiGzDecoder::new(packed)),
        Compression::Zstd => Box::new(ZstdDecoder::new(packed)),
    };
    input.capture.compression = Some(compression);
    // In a browser there is no thread to decode ahead in.
    input.buffer = Buffer::new(if cfg!(target_family = "wasm") {
        decoder
    } else {
        Box::new(Ahead::Waiting(decoder))
    });
    if let Some(bound) = bound {
        // Of less than a chunk at once nothing is decoded ahead.
        input.buffer.stay_within(bound.min(CHUNK / 2));
    }
    input
}

/// Bytes handed over at once between the two threads.
const CHUNK: usize = 128 << 10;
/// Chunks that may wait: enough that neither thread waits for the other's every step.
const CHUNKS: usize = 4;

/// Magic numbers of RFC 1952 §2.3.1 and RFC 8878 §3.1.
fn recognise(start: &[u8]) -> Option<Compression> {
    match start {
        [0x1f, 0x8b, ..] => Some(Compression::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Compression::Zstd),
        _ => None,
    }
}

/// A reader that is read ahead in a thread of its own, once its first piece was not enough: of many files that wait for
/// their turn, none has a thread.
enum Ahead {
    Waiting(Box<dyn Read + Send>),
    Running(Running),
    Over,
}

struct Running {
    full: Receiver<io::Result<Vec<u8>>>,
    empty: SyncSender<Vec<u8>>,
    chunk: Vec<u8>,
    taken: usize,
}

impl Read for Ahead {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        loop {
            match self {
                Self::Waiting(decoder) if space.len() < CHUNK => return decoder.read(space),
                Self::Waiting(_) => {
                    let Self::Waiting(decoder) = std::mem::replace(self, Self::Over) else {
                        continue;
                    };
                    *self = Self::Running(Running::start(decoder)?);
                }
                Self::Running(running) => return running.read(space),
                Self::Over => return Ok(0),
            }
        }
    }
}

impl Running {
    fn start(decoder: Box<dyn Read + Send>) -> io::Result<Self> {
        let (give, full) = sync_channel(CHUNKS);
        let (empty, recycled) = sync_channel(CHUNKS);
        thread::Builder::new()
            .name("decompress".to_owned())
            .spawn(move || decode_ahead(decoder, &give, &recycled))?;
        Ok(Self {
            full,
            empty,
            chunk: Vec::new(),
            taken: 0,
        })
    }

    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let mut rest = self.chunk.get(self.taken..).unwrap_or_default();
        if rest.is_empty() {
            // A thread that is gone has sent its error, or came to the end.
            let Ok(next) = self.full.recv() else {
                return Ok(0);
            };
            let used = std::mem::replace(&mut self.chunk, next?);
            let _ = self.empty.try_send(used);
            self.taken = 0;
            rest = &self.chunk;
        }
        let count = rest.read(space)?;
        self.taken = self.taken.saturating_add(count);
        Ok(count)
    }
}

fn decode_ahead(
    mut decoder: Box<dyn Read + Send>,
    give: &SyncSender<io::Result<Vec<u8>>>,
    recycled: &Receiver<Vec<u8>>,
) {
    loop {
        let mut chunk = recycled.try_recv().unwrap_or_default();
        chunk.resize(CHUNK, 0);
        let piece = match decoder.read(&mut chunk) {
            Ok(0) => return,
            Ok(count) => {
                chunk.truncate(count);
                Ok(chunk)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let failed = piece.is_err();
        if give.send(piece).is_err() || failed {
            return;
        }
    }
}

/// All frames of a zstd stream, one after the other, skippable frames left out (RFC 8878 §3.1); ruzstd's own reader
/// stops after the first.
struct ZstdDecoder<R> {
    packed: R,
    decoder: FrameDecoder,
    in_frame: bool,
    failed: Option<io::Error>,
}

impl<R: BufRead> ZstdDecoder<R> {
    fn new(packed: R) -> Self {
        Self {
            packed,
            decoder: FrameDecoder::new(),
            in_frame: false,
            failed: None,
        }
    }

    /// Enters the next frame; `false` at the end of the stream.
    fn enter_frame(&mut self) -> io::Result<bool> {
        if self.packed.fill_buf()?.is_empty() {
            return Ok(false);
        }
        match self.decoder.reset(&mut self.packed) {
            Ok(()) => self.in_frame = true,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                io::copy(&mut (&mut self.packed).take(u64::from(length)), &mut io::sink())?;
            }
            Err(error) => return Err(self.explain(error)),
        }
        Ok(true)
    }

    fn decode_block(&mut self) {
        let one = BlockDecodingStrategy::UptoBlocks(1);
        if let Err(error) = self.decoder.decode_blocks(&mut self.packed, one) {
            self.failed = Some(self.explain(error));
            // The decoder keeps back a window of decoded bytes until the frame ends: an empty last block, with room
            // for a checksum, makes it hand them over.
            let mut last_block: &[u8] = &[1, 0, 0, 0, 0, 0, 0];
            let _ = self.decoder.decode_blocks(&mut last_block, BlockDecodingStrategy::All);
        }
    }

    /// Tells an input that was cut from one that is damaged.
    fn explain(&mut self, error: FrameDecoderError) -> io::Error {
        match self.packed.fill_buf() {
            Ok([]) => io::Error::new(io::ErrorKind::UnexpectedEof, error),
            Ok(_) => io::Error::new(io::ErrorKind::InvalidData, error),
            Err(cause) => cause,
        }
    }

    fn leave_frame(&mut self) -> io::Result<()> {
        self.in_frame = false;
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let stated = self.decoder.get_checksum_from_data();
        match (stated, self.decoder.get_calculated_checksum()) {
            (Some(stated), Some(found)) if stated != found => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "zstd checksum does not match",
            )),
            _ => Ok(()),
        }
    }
}

impl<R: BufRead> Read for ZstdDecoder<R> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.in_frame {
                if !self.enter_frame()? {
                    return Ok(0);
                }
            } else if self.decoder.can_collect() > 0 {
                return self.decoder.read(space);
            } else if self.failed.is_some() || self.decoder.is_finished() {
                self.leave_frame()?;
            } else {
                self.decode_block();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;
    use crate::capture::testing::{assert_ended, plain_pcap, read_all, record};
    use reshake_core::net::capture::Ended;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("writing to memory");
        encoder.finish().expect("writing to memory")
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        compress_to_vec(bytes, CompressionLevel::Fastest)
    }

    /// Larger than every buffer on the way, and not compressible to nothing.
    fn large_pcap() -> Vec<u8> {
        let mut bytes = plain_pcap(3);
        let mut state = 1_u32;
        for number in 0..2000 {
            let data: Vec<u8> = std::iter::repeat_with(|| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes()[0] & 0x0f
            })
            .take(700)
            .collect();
            bytes.extend(record(crate::capture::testing::LITTLE, 1_700_000_100, number, &data));
        }
        bytes
    }

    #[test]
    fn compressed_files_read_like_plain_ones() {
        let plain = large_pcap();
        let (expected, _) = read_all(&plain);
        for (packed, compression) in [(gzip(&plain), Compression::Gzip), (zstd(&plain), Compression::Zstd)] {
            let (packets, capture) = read_all(&packed);
            assert!(packets == expected);
            assert_eq!(capture.compression, Some(compression));
            assert_eq!(capture.bytes, packed.len() as u64);
            assert_ended(&capture, Ended::EndOfFile, 0);
        }
    }

    #[test]
    fn concatenated_members_and_frames_are_one_file() {
        let plain = large_pcap();
        let (expected, _) = read_all(&plain);
        let (front, back) = plain.split_at(10_000);
        let members = [gzip(front), gzip(back)].concat();
        let skippable = b"\x51\x2a\x4d\x18\x05\0\0\0hello".to_vec();
        let frames = [skippable.clone(), zstd(front), skippable, zstd(back)].concat();
        for packed in [members, frames] {
            let (packets, capture) = read_all(&packed);
            assert!(packets == expected);
            assert_ended(&capture, Ended::EndOfFile, 0);
        }
    }

    #[test]
    fn a_compressed_file_that_was_cut_gives_what_was_decoded() {
        let plain = large_pcap();
        let (expected, _) = read_all(&plain);
        for packed in [gzip(&plain), zstd(&plain)] {
            let (packets, capture) = read_all(&packed[..packed.len() / 2]);
            assert!(packets.len() > expected.len() / 3, "{} packets", packets.len());
            assert!(packets == expected[..packets.len()]);
            assert_ended(&capture, Ended::Truncated, 0);
        }
    }

    #[test]
    fn damage_inside_compressed_data_ends_reading_with_an_error() {
        let plain = large_pcap();
        let mut packed = gzip(&plain);
        let middle = packed.len() / 2;
        packed[middle..middle + 64].fill(0xff);
        let mut source = crate::capture::testing::source(&packed);
        let packets = crate::capture::testing::drain(source.as_mut());
        assert!(!packets.is_empty());
        assert_eq!(source.capture().ended, Ended::Corrupt);
        assert!(source.error().is_some());
    }

    proptest! {
        #[test]
        fn flipped_compressed_bytes_never_panic(at in 4_usize..2000, value in any::<u8>()) {
            let plain = plain_pcap(40);
            for mut packed in [gzip(&plain), zstd(&plain)] {
                let at = at % packed.len();
                packed[at] = value;
                let reader = Box::new(io::Cursor::new(packed));
                if let Ok(mut source) = crate::capture::from_reader("x", reader, None, 0) {
                    while source.next().is_some() {}
                }
            }
        }
    }
}
