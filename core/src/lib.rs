//! Why did this TLS session not resume? Frames in, facts and diagnosis out.
//!
//! This is the analysis behind the command `reshake`, for programs that have packets of their own: a capture in memory, a
//! socket, a browser. It opens no file, prints nothing, starts no thread and reads no clock. Time is packet time, so the same
//! packets always give the same answer.
//!
//! # Three steps
//!
//! 1. Make an [`Engine`] and give it every frame, in order ([`Engine::push`]). Nothing is refused: what cannot be used is
//!    counted as a [`Notice`](net::Notice).
//! 2. Tell it that the input is over ([`Engine::finish`]).
//! 3. Make a [`Diagnosis`] of it: the connections with their outcomes, the reasons of each, and one sentence and one thing
//!    to do for each service.
//!
//! Here a capture holds a ClientHello and nothing else. Its outcome is not "no session was resumed" but "not visible", and
//! the reason says what is missing:
//!
//! ```
//! use reshake_core::{Diagnosis, Engine, FrameRef, Limits, LinkType, Outcome, Packet, Timestamp};
//!
//! // IPv4, TCP from 192.0.2.1:40000 to 192.0.2.2:443, and a ClientHello of TLS 1.2 without extensions.
//! let mut frame = vec![0x45, 0, 0, 90, 0, 0, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
//! frame.extend([0x9c, 0x40, 0x01, 0xbb, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
//! frame.extend([22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 3]);
//! frame.extend([7; 32]);
//! frame.extend([0, 0, 2, 0xc0, 0x2f, 1, 0]);
//!
//! let mut engine = Engine::new(Limits::default());
//! engine.push(&Packet {
//!     frame: FrameRef::new(0, 1),
//!     time: Timestamp::from_nanos(0),
//!     link: LinkType::IPV4,
//!     interface: 0,
//!     data: &frame,
//!     original_len: 90,
//! });
//! engine.finish();
//!
//! let diagnosis = Diagnosis::of(&engine);
//! let (id, connection) = diagnosis.connections().next().expect("one connection");
//! assert!(matches!(connection.outcome, Outcome::Unclear(_)));
//! assert_eq!(diagnosis.reasons(id)[0].reason.name, "capture-incomplete");
//! ```
//!
//! `examples/in_memory.rs` does the same with a whole capture.
//!
//! # What there is to look at
//!
//! - [`Connection`]: what one connection showed. Its outcome and its facts are never guesses: each is [`Seen`], so that
//!   "absent" and "not visible" are two values.
//! - [`Credential`]: a session ID, ticket or PSK, with where it was issued ([`Engine::credentials`]).
//! - [`Service`]: a server endpoint under one name, by TCP, QUIC or DTLS; [`Diagnosis::services`] says what is wrong with
//!   each.
//! - [`Judged`]: a reason with its [`Confidence`], its sentence and its [`Evidence`], which are frames.
//! - The catalogue: [`CATALOG`] holds every reason, [`PATTERNS`] every pattern of a service, each with its text.
//!
//! ```
//! let reason = reshake_core::Reason::by_name("ems-mismatch").expect("a published name");
//! assert!(reshake_core::CATALOG.iter().any(|entry| entry.name == reason.name));
//! println!("{}: {}\nDo: {}", reason.name, reason.summary, reason.advice);
//! ```
//!
//! With a key log more is seen: give it to [`Engine::read_keys`] before the packets.
//!
//! # How it is built
//!
//! Packets flow one way, and each layer knows only those before it:
//!
//! ```text
//!  net ──────► tcp ────────► tls ───────► handshake ────► session, store ──► diagnosis
//!  Segment     piece │ gap   message      what a message  Connection,        outcome,
//!  (endpoints, (one          (typed, or   changes         CredentialStore    reasons,
//!   sequence,   direction,    opaque)                     (facts, each       evidence
//!   flags)      in order)                                  seen or not)      by frame
//!     └──────► datagram ───► quic, dtls ─────┘
//!  └───────────────────── engine: push(packet) … finish() ─────────────────────────────┘
//! ```
//!
//! The modules that documentation hides are public for the command, its tests, benchmarks and fuzz targets. They change
//! without notice; what stands at the root of the crate and in [`net`], [`session`], [`diagnosis`] and [`engine`] is the
//! interface.
//!
//! The feature `serde`, off by default, makes documents of what a run found: [`engine::Shard`] and all that it holds.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

// The command names what travels by UDP and is not analysed.
#[doc(hidden)]
#[cfg_attr(not(test), warn(clippy::indexing_slicing))]
pub mod datagram;
// The command and fuzz targets read key logs piece by piece; `KeyLog` is what an embedder needs of it.
#[doc(hidden)]
#[cfg_attr(not(test), warn(clippy::indexing_slicing))]
pub mod decrypt;
// Its types stand behind the engine; it is public as the other decoders are.
#[doc(hidden)]
#[cfg_attr(not(test), warn(clippy::indexing_slicing))]
pub mod dtls;
#[cfg_attr(not(test), warn(clippy::indexing_slicing))]
pub mod net;
// Its types stand behind the engine; it is public as the other decoders are.
#[doc(hidden)]
#[cfg_attr(not(test), warn(clippy::indexing_slicing))]
pub mod quic;
// Benchmarks and fuzz targets drive it alone.
#[doc(hidden)]
#[cfg_attr(not(test), warn(clippy::indexing_slicing))]
pub mod tcp;
// Names and numbers of the protocol, which facts bear; benchmarks and fuzz targets drive the decoders alone.
#[cfg_attr(not(test), warn(clippy::indexing_slicing))]
pub mod tls;

pub mod diagnosis;
pub mod engine;
mod facade;
// Tests hold its limits.
#[doc(hidden)]
#[cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]
pub mod handshake;
#[cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]
pub mod session;
// The command writes what it holds as facts, and joins it again.
#[doc(hidden)]
#[cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]
pub mod store;

pub use decrypt::KeyLogReader as KeyLog;
pub use diagnosis::answer::Answer;
pub use diagnosis::rules::Reason;
pub use diagnosis::service::{PATTERNS, Pattern, PatternKind, ServiceAnalysis};
pub use diagnosis::{CATALOG, Confidence, Evidence, Judged};
pub use engine::{Engine, Limits};
pub use facade::Diagnosis;
pub use net::{FrameRef, LinkType, Packet, Timestamp};
pub use session::{Connection, ConnectionId, Credential, CredentialId, Mechanism, Outcome, Seen, Service};
