//! Where a segment belongs.

use super::direction::Direction;

/// Index of an open connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FlowId(pub(super) u32);

/// Where a segment belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Routed {
    /// Its connection.
    pub flow: FlowId,
    /// Its direction, as TCP tells it.
    pub direction: Direction,
    /// All of it was captured, and it goes on where its side stands: nothing of that side waits.
    pub in_order: bool,
}
