//! Datagrams of a server whose client was not seen yet: of two taps, or of a reordering network, the answer may stand in
//! front of what it answers. Nothing in it can be opened, as its keys come from the client's first packet. What a server says
//! behind a Retry of its own waits as well for the client to take that up.

use std::collections::VecDeque;

use hashbrown::HashMap;

use super::lookup::Pair;
use crate::net::{At, Datagram, MacAddress, Path, Wrapping};
use crate::quic::{Cid, LongKind, QuicPacket};

/// Pairs of endpoints of which something is kept.
const MAX_PAIRS: usize = 1 << 10;
/// Datagrams of a pair, and the bytes of all: a first flight, and no more of whatever a forger sends.
const MAX_DATAGRAMS: usize = 6;
const MAX_BYTES: usize = 4 << 20;

/// A datagram that waits.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    at: At,
    payload: Box<[u8]>,
    cut: u32,
    source_mac: Option<MacAddress>,
    ttl: u8,
    ip_id: Option<u16>,
    outer: Box<[Wrapping]>,
}

impl Kept {
    fn of(datagram: &Datagram<'_>, at: At) -> Self {
        Self {
            at,
            payload: datagram.payload.into(),
            cut: datagram.cut,
            source_mac: datagram.path.source_mac,
            ttl: datagram.path.ttl,
            ip_id: datagram.path.ip_id,
            outer: datagram.path.outer.into(),
        }
    }

    /// The datagram, and when it came.
    pub(super) fn datagram(&self, pair: Pair) -> (Datagram<'_>, At) {
        let datagram = Datagram {
            path: Path {
                source_mac: self.source_mac,
                ttl: self.ttl,
                ip_id: self.ip_id,
                outer: &self.outer,
            },
            source: pair.from,
            destination: pair.to,
            payload: &self.payload,
            cut: self.cut,
        };
        (datagram, self.at)
    }
}

/// What a server said to a client.
#[derive(Debug, Clone)]
struct Flight {
    /// What the client calls itself.
    client_id: Cid,
    datagrams: Vec<Kept>,
    /// Tells it from others of the same pair.
    serial: u64,
}

/// All that waits.
#[derive(Debug, Clone, Default)]
pub(super) struct EarlyFlights {
    flights: HashMap<Pair, Flight>,
    /// Oldest first; some of them wait no longer.
    order: VecDeque<(Pair, u64)>,
    begun: u64,
    bytes: usize,
}

impl EarlyFlights {
    /// Keeps a datagram of no connection: an Initial that did not open as a client's, or what follows one.
    pub(super) fn keep(&mut self, pair: Pair, datagram: &Datagram<'_>, first: &QuicPacket<'_>, at: At) {
        let QuicPacket::Long(long) = first else { return };
        let known = self.flights.get(&pair).map(|flight| flight.client_id);
        match long.kind {
            LongKind::Initial if known != Some(long.destination) => self.begin(pair, long.destination),
            LongKind::Initial => {}
            LongKind::Handshake if known == Some(long.destination) => {}
            LongKind::Handshake | LongKind::ZeroRtt | LongKind::Retry => return,
        }
        if let Some(flight) = self.flights.get_mut(&pair)
            && flight.datagrams.len() < MAX_DATAGRAMS
        {
            self.bytes += datagram.payload.len();
            flight.datagrams.push(Kept::of(datagram, at));
        }
        self.bound();
    }

    fn begin(&mut self, pair: Pair, client_id: Cid) {
        self.forget(pair);
        self.begun += 1;
        self.order.push_back((pair, self.begun));
        let flight = Flight {
            client_id,
            datagrams: Vec::new(),
            serial: self.begun,
        };
        self.flights.insert(pair, flight);
    }

    fn bound(&mut self) {
        while self.flights.len() > MAX_PAIRS || self.bytes > MAX_BYTES {
            let Some((pair, serial)) = self.order.pop_front() else {
                return;
            };
            if self.flights.get(&pair).is_some_and(|flight| flight.serial == serial) {
                self.forget(pair);
            }
        }
        if self.order.len() > 2 * self.flights.len() + MAX_PAIRS {
            let flights = &self.flights;
            let waits = |(pair, serial): &(Pair, u64)| flights.get(pair).is_some_and(|flight| flight.serial == *serial);
            self.order.retain(waits);
        }
    }

    /// The first of what waits for a client of these endpoints: an Initial.
    pub(super) fn first(&self, pair: Pair) -> Option<&[u8]> {
        let first = self.flights.get(&pair)?.datagrams.first()?;
        Some(&first.payload)
    }

    /// Whether something waits for a client that calls itself so.
    pub(super) fn waits(&self, pair: Pair, client_id: Cid) -> bool {
        self.flights
            .get(&pair)
            .is_some_and(|flight| flight.client_id == client_id)
    }

    /// What waited for a client that calls itself so.
    pub(super) fn take(&mut self, pair: Pair, client_id: Cid) -> Vec<Kept> {
        if self.waits(pair, client_id) {
            self.forget(pair)
        } else {
            Vec::new()
        }
    }

    fn forget(&mut self, pair: Pair) -> Vec<Kept> {
        let datagrams = self
            .flights
            .remove(&pair)
            .map_or_else(Vec::new, |flight| flight.datagrams);
        let bytes: usize = datagrams.iter().map(|kept| kept.payload.len()).sum();
        self.bytes = self.bytes.saturating_sub(bytes);
        datagrams
    }
}

#[cfg(test)]
impl EarlyFlights {
    /// Places in the queue, and bytes.
    pub(super) fn held(&self) -> (usize, usize) {
        (self.order.len(), self.bytes)
    }
}
