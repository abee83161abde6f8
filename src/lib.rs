//! reshake: why did this TLS session not resume?
//!
//! The analysis itself is the crate [`reshake_core`]: packets in, facts and diagnosis out, without any I/O. This crate is
//! the command around it:
//!
//! ```text
//!  capture ──► run ──► reshake_core ──► model ──────► render ──► text │ HTML │ Markdown │ JSON │ CSV
//!  Packet      the     Engine           what there    how it
//!              loop                     is to say     looks
//! ```
//!
//! Between `capture` and `render` nothing is opened or printed, and no clock is read: the same packets give the same
//! report, whether they come from a file, a pipe or a test. The lints on the modules below keep it so.

pub mod capture;
// Where there is neither a process nor a terminal: see web/.
#[cfg(not(target_family = "wasm"))]
pub mod cli;
#[cfg(all(feature = "live", target_os = "linux"))]
pub mod record;
#[cfg(not(target_family = "wasm"))]
pub mod tui;

#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
pub mod check;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
pub mod diff;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
pub mod facts;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
pub mod model;
#[cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::disallowed_methods))]
pub mod redact;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
pub mod render;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
pub mod run;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
pub mod what_if;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
pub mod wording;
