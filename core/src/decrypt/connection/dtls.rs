//! Records of DTLS 1.0 and 1.2 (RFC 6347 §4.1): each bears epoch and number, so that none depends on another.

use super::{ConnectionKeys, KeyState, Speaker, of};
use crate::tls::record::{Content, Sealed};
use crate::tls::{AlertDescription, ContentType};

/// Opened is what the first handshake protects; another one has keys of its own, and randoms that are not visible.
const FIRST_EPOCH: u16 = 1;

impl ConnectionKeys {
    /// What a protected record holds, and its content type, which a connection ID hides. `id` is that of the record.
    pub fn open_dtls(
        &mut self,
        speaker: Speaker,
        record: &Sealed<'_>,
        (epoch, sequence): (u16, u64),
        id: Option<&[u8]>,
    ) -> Option<(ContentType, Content)> {
        if !matches!(self.state, KeyState::Tls12 { .. }) || epoch != FIRST_EPOCH {
            return None;
        }
        let Self { sides, scratch, .. } = self;
        let side = of(sides, speaker);
        // The epoch says that ChangeCipherSpec was sent, whether or not it was captured.
        if let Some(opener) = side.pending.take() {
            side.direction.install(Some(opener));
        }
        // Of data the type in clear is enough.
        if record.content_type == ContentType::APPLICATION_DATA {
            return Some((record.content_type, Content::Data)).filter(|_| side.direction.counts().0 > 0);
        }
        let number = u64::from(epoch) << 48 | sequence;
        let kind = side.direction.open_numbered(record, number, id, &mut scratch.0)?;
        let content = match (kind, scratch.0.as_slice()) {
            (ContentType::APPLICATION_DATA, _) => Content::Data,
            (ContentType::ALERT, &[level, description]) => Content::Alert {
                fatal: level == 2,
                description: AlertDescription(description),
            },
            (ContentType::HANDSHAKE, _) => Content::Handshake,
            _ => Content::Other,
        };
        Some((kind, content))
    }
}
