//! Stateless resets (RFC 9000 §10.3): small packets of a server that has forgotten the connection.
//!
//! They are made to look like any other packet. With keys their token is known; without, two that end alike are as good.
//! One alone is told from an ordinary packet only where the client has a connection ID, which a reset does not bear. That
//! may be one that it gave under encryption, as quinn does at once: then it stands in several packets.

use super::super::lookup::Reached;
use crate::decrypt::Speaker;
use crate::net::{At, Datagram};
use crate::session::{ResetCertainty, StatelessReset};

/// Sizes of resets: 5 bytes beside the token at least, and never so large that an answer to them would be worth while.
const SMALLEST: usize = 21;
const LARGEST: usize = 42;
/// Tokens remembered: as many as a server has connection IDs in use.
const MAX_TOKENS: usize = 16;
const TOKEN: usize = 16;
/// Bytes of a connection ID that stand in two packets by chance never.
const ID: usize = 4;
/// Unknown connection IDs remembered.
const MAX_UNKNOWN: usize = 4;

/// A datagram that may be a reset.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    bytes: [u8; LARGEST],
    length: usize,
    at: At,
}

impl Candidate {
    fn of(payload: &[u8], at: At) -> Option<Self> {
        let mut bytes = [0; LARGEST];
        bytes.get_mut(..payload.len())?.copy_from_slice(payload);
        Some(Self {
            bytes,
            length: payload.len(),
            at,
        })
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// Watches the packets of one connection.
#[derive(Debug, Clone, Default)]
pub(super) struct ResetWatch {
    tokens: Vec<[u8; TOKEN]>,
    /// Size of the client's last datagram: a reset is smaller than what it answers.
    asked: usize,
    candidate: Option<Candidate>,
    /// Where the client's ID would stand: bytes that are none of those known, newest last.
    unknown: Vec<[u8; ID]>,
    /// The server sent 1-RTT packets to an ID of the client.
    spoke: bool,
    found: Option<StatelessReset>,
}

impl ResetWatch {
    /// The server promised a token.
    pub(super) fn promise(&mut self, token: [u8; TOKEN]) {
        if self.tokens.len() < MAX_TOKENS {
            self.tokens.push(token);
        }
    }

    /// Whether a packet ends in a promised token.
    pub(super) fn is_reset(&self, packet: &[u8]) -> bool {
        let token = packet.last_chunk::<TOKEN>();
        token.is_some_and(|token| self.tokens.contains(token))
    }

    /// Whether a datagram bears an ID that others bore: then the server knows the connection.
    fn bears_an_id(&mut self, by_id: bool, payload: &[u8]) -> bool {
        let id = payload.get(1..).and_then(<[u8]>::first_chunk::<ID>);
        let Some(id) = id.filter(|_| !by_id) else { return by_id };
        if self.unknown.contains(id) {
            return true;
        }
        if self.unknown.len() == MAX_UNKNOWN {
            self.unknown.remove(0);
        }
        self.unknown.push(*id);
        false
    }

    /// Takes any datagram of the connection. `named` says that the client has a connection ID that can be known again.
    pub(super) fn see(&mut self, reached: Reached, datagram: &Datagram<'_>, at: At, named: bool) {
        let payload = datagram.payload;
        if reached.speaker == Speaker::Client {
            self.asked = payload.len();
            return;
        }
        let Some(token) = payload.last_chunk::<TOKEN>().filter(|_| is_short(payload)) else {
            return;
        };
        if self.is_reset(payload) {
            self.find(at, ResetCertainty::Token);
        }
        // The same datagram twice is a copy of it: what stands in front of the token is random.
        if self.candidate.is_some_and(|before| before.bytes() == payload) {
            return;
        }
        let known = if named {
            self.bears_an_id(reached.by_id, payload)
        } else {
            reached.by_id
        };
        if known || payload.len() > LARGEST {
            self.spoke |= known;
            self.candidate = None;
            return;
        }
        if payload.len() < SMALLEST || payload.len() >= self.asked {
            return;
        }
        let Some(candidate) = Candidate::of(payload, at) else {
            return;
        };
        let ends_alike = |before: &Candidate| before.bytes().last_chunk::<TOKEN>() == Some(token);
        let repeated = self.candidate.as_ref().is_some_and(ends_alike);
        if repeated {
            let first = self.candidate.map_or(at, |candidate| candidate.at);
            self.find(first, ResetCertainty::Repeated);
        } else if named || self.candidate.is_none() {
            self.candidate = Some(candidate);
        }
        if named && self.spoke && self.found.is_none() {
            self.find(at, ResetCertainty::Possible);
        }
    }

    fn find(&mut self, at: At, certainty: ResetCertainty) {
        if self.found.is_none_or(|found| found.certainty < certainty) {
            self.found = Some(StatelessReset { at, certainty });
        }
    }

    /// The reset that was found, and how sure it is.
    pub(super) fn found(&self) -> Option<StatelessReset> {
        // Without a token or a second one, packets that bear the client's ID speak against it.
        let alive = self.candidate.is_none();
        self.found
            .filter(|found| found.certainty > ResetCertainty::Possible || !alive)
    }
}

fn is_short(payload: &[u8]) -> bool {
    payload.first().is_some_and(|first| first & 0x80 == 0)
}
