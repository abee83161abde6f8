//! Stateless resets (RFC 9000 §10.3): small packets of a server that has forgotten the connection.
//!
//! They are made to look like any other packet. With keys their token is known; without, two that end alike are as good.
//! One alone is told from an ordinary packet only where the client has a connection ID, which a reset does not bear.

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

    /// Takes any datagram of the connection. `named` says that the client has a connection ID.
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
        if reached.by_id {
            // It bears the client's ID: the server knows the connection.
            self.candidate = None;
            return;
        }
        if payload.len() < SMALLEST || payload.len() >= self.asked {
            return;
        }
        let Some(candidate) = Candidate::of(payload, at) else {
            return;
        };
        // The same datagram twice is a copy of it: what stands in front of the token is random.
        let repeated = self.candidate.is_some_and(|before| {
            let ends = before.bytes().last_chunk::<TOKEN>() == Some(token);
            ends && before.bytes() != payload
        });
        if repeated {
            let first = self.candidate.map_or(at, |candidate| candidate.at);
            self.find(first, ResetCertainty::Repeated);
        } else if named || self.candidate.is_none() {
            self.candidate = Some(candidate);
        }
        if named && self.found.is_none() {
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
