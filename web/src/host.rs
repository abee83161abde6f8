//! What the worker provides: bytes of the files that were chosen, a clock, and a place for what is written.

use std::io::{self, Read, Write};

use reshake::capture::Stream;
use wasm_bindgen::prelude::*;

/// Bytes that are handed out at once.
const PIECE: usize = 1 << 20;

#[wasm_bindgen]
extern "C" {
    /// Fills `space` from an input, from an offset on; the number of bytes, 0 at the end. Throws what the browser says.
    #[wasm_bindgen(js_name = reshakeRead, catch)]
    fn read_at(input: u32, offset: f64, space: &mut [u8]) -> Result<u32, JsValue>;

    /// Milliseconds from any moment.
    #[wasm_bindgen(js_name = reshakeNow)]
    pub(crate) fn now() -> f64;

    /// Takes a piece of what is written.
    #[wasm_bindgen(js_name = reshakePiece)]
    fn take_piece(piece: &[u8]);

    /// Hears why everything ends here.
    #[wasm_bindgen(js_name = reshakePanicked)]
    pub(crate) fn panicked(message: &str);
}

/// A file of the page, read from its beginning to its end.
struct Input {
    number: u32,
    offset: u64,
}

impl Read for Input {
    #[allow(clippy::cast_precision_loss)] // files end far below 2^53 bytes
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let count = read_at(self.number, self.offset as f64, space).map_err(|error| {
            let said = error
                .as_string()
                .unwrap_or_else(|| "the browser cannot read the file".to_owned());
            io::Error::other(said)
        })?;
        self.offset = self.offset.saturating_add(u64::from(count));
        Ok(count as usize)
    }
}

/// Files by their names and sizes, numbered on from `first`.
pub(crate) fn streams(names: Vec<String>, sizes: &[f64], first: u32) -> Vec<Stream> {
    let numbered = (first..).zip(names).zip(sizes);
    let stream = |((number, name), size): ((u32, String), &f64)| Stream {
        name,
        reader: Box::new(Input { number, offset: 0 }),
        size: Some(whole(*size)),
    };
    numbered.map(stream).collect()
}

/// A number of JavaScript that counts something.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // what is below 0 or no number becomes 0
pub(crate) const fn whole(number: f64) -> u64 {
    number as u64
}

/// Hands what is written to the worker, piece by piece: a report may be larger than what the memory here holds twice.
pub(crate) struct Pieces(Vec<u8>);

impl Pieces {
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(PIECE))
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > PIECE {
            self.flush()?;
        }
        if bytes.len() >= PIECE {
            take_piece(bytes);
        } else {
            self.0.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.0.is_empty() {
            take_piece(&self.0);
            self.0.clear();
        }
        Ok(())
    }
}
