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
//! the same report, whether they come from a file, a pipe or a test.

pub mod net;
pub mod stream;
pub mod tls;

pub mod session;
pub mod verdict;

pub mod engine;
pub mod report;

pub mod source;

pub mod run;

pub mod cli;
