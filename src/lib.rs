//! reshake: why did this TLS session not resume?
//!
//! Packets flow one way, and each layer knows only those before it:
//!
//! ```text
//!  source ──► net ──────► stream ───────► tls ───────► session ────────► verdict ─────► report ──► text │ JSON
//!  Packet     Segment     piece │ gap     message      Connection,       outcome,       counts,
//!  (frame,    (endpoints, (one            (typed, or   Ledger            reasons,       services,
//!   time,      sequence,   direction,      opaque)     (facts, each      evidence       examples
//!   bytes)     flags)      in order)                    seen or not)     by frame
//!             └─────────────── engine: push(packet) … finish() ─────────┘
//!  └──────────────────────────────────── run: the one loop ────────────────────────────────────┘
//! ```
//!
//! Everything between `source` and `report` opens nothing, prints nothing and reads no clock: the same packets give
//! the same report, whether they come from a file, a pipe or a test. The lints on the modules below keep it so.

#[cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::disallowed_methods))]
pub mod keys;
#[cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::disallowed_methods))]
pub mod net;
#[cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::disallowed_methods))]
pub mod stream;
#[cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::disallowed_methods))]
pub mod tls;

#[cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm, clippy::disallowed_methods))]
pub mod session;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
pub mod verdict;

#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
pub mod whatif;

#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
pub mod check;

#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
pub mod engine;
#[cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::disallowed_methods))]
pub mod redact;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
pub mod report;

pub mod source;

#[cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::disallowed_methods))]
pub mod copy;

#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
pub mod run;

pub mod tui;

pub mod cli;
