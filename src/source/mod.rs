//! Where packets come from: capture files and standard input. The only file I/O on the input side.

use crate::net::{Capture, Packet, Timestamp};

/// A stream of packets in file order.
pub trait Source {
    /// The next packet, borrowed from the reader's buffer; `None` at the end (see [`Capture::ended`] for how it ended).
    fn next(&mut self) -> Option<Packet<'_>>;

    /// Time of the packet that `next` will return.
    fn peek(&mut self) -> Option<Timestamp>;

    /// What is known of the input so far.
    fn capture(&self) -> &Capture;
}
