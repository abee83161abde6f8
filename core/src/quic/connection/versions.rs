//! In which version the two go on, and whether another was refused before: what of that was seen, and what may have been missed.

use super::{QuicConnection, index, transport_parameter};
use crate::decrypt::Speaker;
use crate::tls::Reader;

/// What a hello says of the versions of its client (RFC 9368 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OfferedVersions {
    /// The server may go on in another one than that in which the hello is said.
    others: bool,
}

impl OfferedVersions {
    pub(super) fn of(hello: &[u8], said_in: u32) -> Self {
        const VERSION_INFORMATION: u64 = 0x11;
        let value = extensions(hello).and_then(|extensions| transport_parameter(extensions, VERSION_INFORMATION));
        let mut versions = Reader::new(value.unwrap_or_default());
        let _chosen = versions.u32();
        let mut available = std::iter::from_fn(|| versions.u32());
        Self {
            others: available.any(|version| version != said_in && !is_reserved(version)),
        }
    }
}

/// Versions that nobody speaks, and that keep others from growing used to a list (RFC 9000 §15).
const fn is_reserved(version: u32) -> bool {
    version & 0x0f0f_0f0f == 0x0a0a_0a0a
}

/// The extensions of a ClientHello, its header included.
fn extensions(hello: &[u8]) -> Option<&[u8]> {
    /// Header, version and random.
    const FIXED: usize = 4 + 2 + 32;
    let mut rest = Reader::new(hello.get(FIXED..)?);
    let (_session, _suites, _compression) = (rest.vec8()?, rest.vec16()?, rest.vec8()?);
    rest.vec16()
}

impl QuicConnection {
    /// The first version was not accepted.
    #[must_use]
    pub const fn has_negotiated_version(&self) -> bool {
        self.version_negotiation
    }

    /// A Version Negotiation was seen to refuse this version: its client does not come back in it.
    #[must_use]
    pub fn has_refused(&self, version: u32) -> bool {
        self.refused_version == Some(version)
    }

    /// A Retry or a Version Negotiation is only known by the client's next beginning: its bytes are not among the server's.
    #[must_use]
    pub const fn is_refusal_unseen(&self) -> bool {
        self.refusal_unseen
    }

    /// Whether the server may still go on in another version than was seen: it did not say its hello as far as was seen, and the
    /// client speaks another one. That it acknowledges, or asks for another hello, it may say in that of the client's.
    #[must_use]
    pub fn is_version_open(&self) -> bool {
        let changed = self.headed.is_some_and(|version| version != self.said_in());
        !self.answer_read && !changed && self.versions.is_none_or(|versions| versions.others)
    }

    /// Whether a Version Negotiation may have gone before all that was seen: the client's first packet was not seen. Its numbers go on
    /// where it begins anew, and begin with 0 (RFC 9000 §12.3), but with 1 in Chromium.
    #[must_use]
    pub fn may_have_been_refused(&self) -> bool {
        !self.version_negotiation && self.numbers(Speaker::Client).trailing_zeros() > 1
    }

    /// Whether every Initial of a side up to the last that was seen was: their numbers begin with 0 and leave nothing out. Of a side
    /// that begins with 1 it is not known.
    #[must_use]
    pub fn is_whole(&self, speaker: Speaker) -> bool {
        let numbers = self.numbers(speaker);
        numbers != 0 && numbers & numbers.wrapping_add(1) == 0
    }

    /// A bit for each number below 64 of its Initials. They go on where the client begins anew, and where the version changes.
    fn numbers(&self, speaker: Speaker) -> u64 {
        let seen = |set: &super::KeySet| set.numbers.get(index(speaker)).copied().unwrap_or(0);
        self.sets.iter().map(seen).fold(0, |all, numbers| all | numbers)
    }
}
