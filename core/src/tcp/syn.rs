//! What a SYN tells of the TCP stack that sent it.

use crate::net::Segment;

#[cfg(feature = "serde")]
use {
    schemars::JsonSchema,
    serde::{Deserialize, Serialize},
};

/// Options of a SYN or SYN-ACK that tell one TCP stack from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct SynOptions {
    /// Maximum segment size.
    pub mss: Option<u16>,
    /// Window scale.
    pub window_scale: Option<u8>,
    /// Timestamps offered.
    pub timestamps: bool,
    /// Window.
    pub window: u16,
    /// Kinds in order, hashed.
    pub order: u32,
}

impl SynOptions {
    pub(super) fn of(segment: &Segment<'_>) -> Self {
        let mut options = Self {
            mss: None,
            window_scale: None,
            timestamps: false,
            window: segment.window,
            order: 0x811c_9dc5,
        };
        for (kind, body) in segment.options.iter() {
            options.order = (options.order ^ u32::from(kind)).wrapping_mul(0x0100_0193);
            match (kind, body) {
                (2, &[high, low]) => options.mss = Some(u16::from_be_bytes([high, low])),
                (3, &[shift]) => options.window_scale = Some(shift),
                (8, _) => options.timestamps = true,
                _ => {}
            }
        }
        options
    }
}
