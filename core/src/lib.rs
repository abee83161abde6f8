//! Why did this TLS session not resume? Frames in, facts and diagnosis out.
//!
//! Packets flow one way, and each layer knows only those before it:
//!
//! ```text
//!  net ──────► tcp ────────► tls ───────► session ────────► diagnosis
//!  Segment     piece │ gap   message      Connection,       outcome,
//!  (endpoints, (one          (typed, or   CredentialStore   reasons,
//!   sequence,   direction,    opaque)     (facts, each      evidence
//!   flags)      in order)                  seen or not)     by frame
//!  └───────────────── engine: push(packet) … finish() ─────────────┘
//! ```
//!
//! Nothing here opens a file, prints, starts a thread or reads a clock: time is packet time, and the same packets give
//! the same facts, whether they come from a file, a socket or a test.
//!
//! The feature `serde`, off by default, makes documents of what a run found: [`engine::Shard`] and all that it holds.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

#[cfg_attr(not(test), warn(clippy::indexing_slicing))]
pub mod datagram;
#[cfg_attr(not(test), warn(clippy::indexing_slicing))]
pub mod decrypt;
#[cfg_attr(not(test), warn(clippy::indexing_slicing))]
pub mod dtls;
#[cfg_attr(not(test), warn(clippy::indexing_slicing))]
pub mod net;
#[cfg_attr(not(test), warn(clippy::indexing_slicing))]
pub mod quic;
#[cfg_attr(not(test), warn(clippy::indexing_slicing))]
pub mod tcp;
#[cfg_attr(not(test), warn(clippy::indexing_slicing))]
pub mod tls;

pub mod diagnosis;
pub mod engine;
#[cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]
pub mod handshake;
#[cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]
pub mod session;
#[cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]
pub mod store;
