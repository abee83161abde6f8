//! What the protected records of DTLS 1.3 tell without keys. Their headers name the epoch (RFC 9147 §6.1), so that nothing
//! need be concluded from order; their content type, and with it every alert, is inside.

use super::{HandshakeTracker, StreamPlace};
use crate::net::At;
use crate::session::ProtectedRecord;
use crate::session::Side;
use crate::tls::{Content, Sealed};

/// A message in front of its body (RFC 9147 §5.2), and the content type behind it.
const HEADER_AND_TYPE: u16 = 12 + 1;

/// What the keys of a record are for (RFC 9147 §6.1), by the two bits of its epoch that are visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dtls13Epoch {
    /// 1.
    EarlyData,
    /// 2.
    Handshake,
    /// 3, and those after a KeyUpdate.
    ApplicationData,
}

impl Dtls13Epoch {
    /// After a KeyUpdate the bits count on from 3: 0 is epoch 4, and so on. `handshake_over` tells those from the first.
    #[must_use]
    const fn of(bits: u8, handshake_over: bool) -> Self {
        match bits {
            1 if !handshake_over => Self::EarlyData,
            2 if !handshake_over => Self::Handshake,
            _ => Self::ApplicationData,
        }
    }
}

impl HandshakeTracker {
    /// Takes a protected record of DTLS 1.3. `offset` counts the bytes of that side up to its end.
    pub fn dtls13_record(&mut self, side: Side, epoch_bits: u8, record: &Sealed<'_>, at: At, offset: u64) {
        if self.facts.answer.yes().is_none() {
            return;
        }
        self.opened.server_closed |= side == Side::Server;
        let over = self.facts.client_side.application_data.is_some();
        let epoch = Dtls13Epoch::of(epoch_bits, over);
        match (side, epoch) {
            (Side::Client | Side::Server, Dtls13Epoch::EarlyData) => {}
            (Side::Server, Dtls13Epoch::Handshake) => {
                self.server_flight = true;
                self.facts.server_side.finished.get_or_insert(at);
                self.facts.server_side.handshake_bytes = StreamPlace::counted(offset);
            }
            (Side::Client, Dtls13Epoch::Handshake) => {
                // ACK records (RFC 9147 §7) and alerts are under the same keys; only the size tells the Finished.
                if self.is_finished(record.length) && self.facts.client_side.finished.is_none() {
                    self.client_finished(at, offset);
                }
            }
            (Side::Client, Dtls13Epoch::ApplicationData) => {
                if self.facts.client_side.finished.is_none() {
                    self.client_finished(at, offset);
                }
                self.facts.client_side.application_data.get_or_insert(at);
            }
            (Side::Server, Dtls13Epoch::ApplicationData) => {
                // Before the client's Finished a server may send data that says nothing of it (RFC 8446 §2).
                if self.facts.client_side.finished.is_some() {
                    self.facts.server_side.application_data.get_or_insert(at);
                }
            }
        }
        self.end(side).last = Some(ProtectedRecord::of(record, Content::Closed, at));
    }

    fn client_finished(&mut self, at: At, offset: u64) {
        self.facts.client_side.finished = Some(at);
        self.facts.client_side.handshake_bytes = StreamPlace::counted(offset);
    }

    fn is_finished(&self, length: u16) -> bool {
        let suite = self.facts.answer.yes().map(|answer| answer.suite);
        let finished = suite.and_then(|suite| Some(HEADER_AND_TYPE + suite.kdf_hash()?.length() + suite.tls13_tag()));
        finished == Some(length)
    }
}
