//! Values as words: quantities with their units, names and paths that are fit for a terminal, lines of a width.
//!
//! The lowest layer above the analysis. Whatever came off the wire passes through [`printable()`] on its way to a person.

#[cfg(not(target_family = "wasm"))]
mod ascii;
mod names;
mod nearest;
mod parse;
mod printable;
mod units;
mod wrap;

#[cfg(not(target_family = "wasm"))]
pub(crate) use ascii::in_ascii;
pub(crate) use names::{MAX_PATH, prefixes, shown_path, target, wrapping_text};
pub(crate) use nearest::{did_you_mean, unknown};
#[cfg(not(target_family = "wasm"))]
pub(crate) use parse::size;
pub(crate) use parse::{DURATION, span, version};
pub use printable::{MAX_WIRE, printable};
pub use units::{bytes, counted, duration, number, only_counted, percent, seconds};
pub(crate) use wrap::wrap;
