//! reshake inside a page: what the page's worker calls.
//!
//! Bytes of captures come in by `host`, as the core asks for them; a finished run is an [`Answers`], which is asked for
//! reports, rows and details. Everything between is the same code as in the command, so the JSON is the same to the
//! byte. Nothing here knows a screen, and nothing can reach a network: a worker hands in files and takes out texts.

mod answers;
mod bindings;
mod details;
mod facets;
mod host;

pub use answers::{Answers, Form};
pub use bindings::{Analysis, Comparison, catalogue, compare_report, explain};
