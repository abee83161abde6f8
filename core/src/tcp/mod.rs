//! Segments become ordered bytes.
//!
//! [`FlowTable`] says which connection and direction a segment belongs to, tells a reused port from a retransmitted
//! SYN, and ends connections that are closed, idle or too many. A [`Flow`] keeps what TCP tells of one connection:
//! handshake, FIN, RST with its form, and one [`Assembler`] a direction; as long as a SYN is all that was seen, the SYN is
//! all that is kept. What the bytes mean is not known here.

mod assembler;
mod dedup;
mod direction;
mod flow;
mod half;
mod half_open;
mod index;
mod key;
mod limits;
mod lingering;
mod per_side;
mod recently_closed;
mod reset;
mod routed;
mod spans;
mod syn;
mod table;

pub use assembler::{Assembler, GapCause, Piece};
pub use direction::Direction;
pub use flow::{FinCovers, Flow, turn};
pub use half::Half;
pub use limits::FlowLimits;
pub use per_side::PerSide;
pub use reset::{Reset, ResetForm};
pub use routed::{FlowId, Routed};
pub use spans::Spans;
pub use syn::SynOptions;
pub use table::{Finished, FlowTable, Opening, Why};
