//! Datagrams that come again, byte for byte: a network or a mirror port made a copy, as a message that is sent again bears
//! a new record number (RFC 6347 §4.2.4). A copy is of the association that had the original, also where the next one on
//! the same pair of endpoints has begun meanwhile.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;

use crate::dtls::{DtlsRecord, Fragment};
use crate::net::{At, Datagram, FrameRef, Timestamp};
use crate::tls::ContentType;
use crate::tls::names::HandshakeType;

/// Datagrams of a pair that are known when they come again. Copies come soon, and what they can do harm to is short.
const REMEMBERED: usize = 24;
/// Nanoseconds in which a network or a mirror port brings its copy. What is found again later, and could be said by any
/// handshake, was said again: handshakes that offer the same ticket have the latter part of their hello in common.
const COPY_TIME: i64 = 1_000_000_000;
/// Bytes of a random, a signature or a ciphertext that no two associations have in common.
const TELLING: usize = 16;
/// So much of a datagram of data is looked at: record number, and where the nonce or the ciphertext begins.
const OF_DATA: usize = 64;

/// The latest datagrams of a pair of endpoints.
#[derive(Debug, Clone, Default)]
pub(super) struct Copies {
    seen: VecDeque<(u64, FrameRef, Timestamp)>,
    hasher: DefaultHashBuilder,
}

impl Copies {
    /// What the datagram is known by: its bytes, and who sent them. What comes back from the other side is no copy.
    pub(super) fn hash(&self, datagram: &Datagram<'_>) -> u64 {
        let payload = datagram.payload;
        let read = match payload {
            [20..=22, ..] => payload,
            _ => payload.get(..OF_DATA).unwrap_or(payload),
        };
        self.hasher.hash_one((datagram.source, payload.len(), read))
    }

    /// The association that had the original, by its first frame: the latest of several, where handshakes have a datagram in
    /// common. `unique` says that they cannot.
    pub(super) fn original(&self, hash: u64, unique: bool, now: Timestamp) -> Option<FrameRef> {
        let mut latest = self.seen.iter().rev();
        let (.., of, time) = latest.find(|(seen, ..)| *seen == hash)?;
        (unique || now.since(*time) <= COPY_TIME).then_some(*of)
    }

    /// A datagram is of this association.
    pub(super) fn note(&mut self, hash: u64, of: FrameRef, at: At) {
        if self.seen.len() == REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back((hash, of, at.time));
    }
}

/// Whether no other association sends the same record: it is protected, or has a random. ChangeCipherSpec, a Certificate,
/// ServerHelloDone and the key exchanges of PSK suites are the same in one handshake after another.
pub(super) fn is_unique(record: &DtlsRecord<'_>) -> bool {
    if !record.is_clear() {
        return record.body.len() >= TELLING;
    }
    let missing = usize::from(record.length) - record.body.len();
    record.content_type == ContentType::HANDSHAKE
        && Fragment::all(record.body, missing).any(|fragment| {
            let random = matches!(fragment.kind, HandshakeType::CLIENT_HELLO | HandshakeType::SERVER_HELLO);
            let begins = fragment.offset == 0 && fragment.bytes.len() >= 2 + TELLING;
            let ticket = fragment.kind == HandshakeType::NEW_SESSION_TICKET && fragment.bytes.len() >= 2 * TELLING;
            (random && begins) || ticket
        })
}
