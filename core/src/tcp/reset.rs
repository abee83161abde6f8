//! Resets, and what their form tells of the host that sent them.

use crate::net::{At, Segment};

#[cfg(feature = "serde")]
use {
    schemars::JsonSchema,
    serde::{Deserialize, Serialize},
};

/// The make of a reset: it tells a live application from a host that does not know the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum ResetForm {
    /// With ACK: sent by the host that has the connection (`tcp_send_active_reset` in Linux).
    Active,
    /// Sent by a host that has no such connection: without ACK where it takes its number from what the segment that it
    /// answers acknowledges, else with the number 0 (RFC 9293 §3.10.7.1).
    NoSocket,
}

/// An accepted reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct Reset {
    /// Where and when.
    pub at: At,
    /// Its make.
    pub form: ResetForm,
    /// Not exactly the next expected byte: it only counts while the receiver stays silent (RFC 5961 §3.2).
    pub doubtful: bool,
}

impl Reset {
    /// Of this segment, which nothing speaks against.
    #[must_use]
    pub fn of(segment: &Segment<'_>, at: At) -> Self {
        Self {
            at,
            form: ResetForm::of(segment),
            doubtful: false,
        }
    }
}

impl ResetForm {
    pub(super) fn of(segment: &Segment<'_>) -> Self {
        if segment.flags.ack() && segment.seq.0 != 0 {
            Self::Active
        } else {
            Self::NoSocket
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Endpoint, Path, SeqNumber, TcpFlags, TcpOptions};

    #[test]
    fn the_form_of_a_reset_tells_whether_its_host_had_the_connection() {
        let form = |seq, flags| {
            let end = Endpoint {
                ip: [10, 0, 0, 1].into(),
                port: 443,
            };
            ResetForm::of(&Segment {
                path: Path {
                    source_mac: None,
                    ttl: 64,
                    ip_id: None,
                    outer: &[],
                },
                source: end,
                destination: end,
                seq: SeqNumber(seq),
                ack: SeqNumber(7),
                flags: TcpFlags(flags),
                window: 0,
                options: TcpOptions(&[]),
                payload: &[],
                cut: 0,
            })
        };
        assert_eq!(form(7, 0x14), ResetForm::Active);
        assert_eq!(form(7, 0x04), ResetForm::NoSocket);
        // The answer to a segment that acknowledges nothing.
        assert_eq!(form(0, 0x14), ResetForm::NoSocket);
    }
}
