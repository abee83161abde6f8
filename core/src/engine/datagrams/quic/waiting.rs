//! What a server said and its client was not seen to have asked for yet: it waits, and is read in its turn.

use super::lookup::{Pair, Reached};
use super::{DatagramEngine, Number, QuicTable};
use crate::decrypt::Speaker;
use crate::net::Datagram;
use crate::quic::{LongKind, QuicPacket, split};

impl QuicTable {
    /// What the server said stood in front of the client's first packet: now it can be read.
    pub(super) fn take_early(
        &mut self,
        reached: Reached,
        datagram: &Datagram<'_>,
        first: &QuicPacket<'_>,
        run: &mut DatagramEngine<'_>,
    ) {
        let QuicPacket::Long(long) = first else { return };
        if long.kind != LongKind::Initial {
            return;
        }
        let sent = Pair::new(datagram.source, datagram.destination);
        let (pair, client_id) = match reached.speaker {
            Speaker::Client => (sent.turned(), long.source),
            Speaker::Server => (sent, long.destination),
        };
        // Clients without a name are all alike: what waits is for the one whose keys open it.
        if client_id.is_empty() && !self.opens_early(pair, reached.number) {
            return;
        }
        let entry = self.slots.get(reached.number as usize).and_then(Option::as_deref);
        if entry.is_some_and(|entry| entry.connection.is_retry_unanswered()) {
            return;
        }
        let early = self.early.take(pair, client_id);
        if !early.is_empty() {
            // What did not open is of this connection.
            self.strangers.remove(&pair);
        }
        for kept in early {
            let (datagram, at) = kept.datagram(pair);
            let back = Reached {
                speaker: Speaker::Server,
                by_id: !client_id.is_empty(),
                ..reached
            };
            self.take(back, &datagram, at, run);
        }
    }

    /// Whether what a server says is under the ID of its Retry, which its client was not seen to take up yet: packets change
    /// places, and what is said first is read first.
    pub(super) fn waits_for_client(
        &mut self,
        reached: Reached,
        datagram: &Datagram<'_>,
        first: &QuicPacket<'_>,
    ) -> bool {
        let QuicPacket::Long(long) = first else { return false };
        let entry = self.slots.get(reached.number as usize).and_then(Option::as_deref);
        let Some(entry) = entry.filter(|_| reached.speaker == Speaker::Server) else {
            return false;
        };
        if !entry.connection.is_retry_unanswered() {
            // Clients without a name are all alike: it may be said to the next one of these endpoints.
            let nameless = long.kind == LongKind::Initial && long.destination.is_empty() && !entry.is_opening();
            return nameless && !entry.connection.is_answer(long, &mut self.scratch);
        }
        match long.kind {
            LongKind::Initial => entry.connection.is_behind_retry(long, &mut self.scratch),
            LongKind::Handshake => {
                let pair = Pair::new(datagram.source, datagram.destination);
                self.early.waits(pair, long.destination)
            }
            LongKind::ZeroRtt | LongKind::Retry => false,
        }
    }

    /// What its client would have had to say first was not seen: it is taken as it is.
    pub(super) fn take_in_vain(&mut self, number: Number, run: &mut DatagramEngine<'_>) {
        let entry = self.slots.get(number as usize).and_then(Option::as_deref);
        let Some(entry) = entry.filter(|entry| entry.connection.is_retry_unanswered()) else {
            return;
        };
        let (pair, client_id) = (Pair::new(entry.server, entry.client), entry.client_id);
        let is_its = |first: &[u8]| match split(first) {
            Some((QuicPacket::Long(long), _)) => entry.connection.is_behind_retry(&long, &mut self.scratch),
            _ => false,
        };
        if !self.early.first(pair).is_some_and(is_its) {
            return;
        }
        for kept in self.early.take(pair, client_id) {
            let (datagram, at) = kept.datagram(pair);
            let reached = Reached {
                number,
                speaker: Speaker::Server,
                by_id: false,
            };
            self.take(reached, &datagram, at, run);
        }
    }

    /// Whether the Initial that a waiting flight begins with is of this connection.
    fn opens_early(&mut self, pair: Pair, number: Number) -> bool {
        let Some(first) = self.early.first(pair) else {
            return false;
        };
        let entry = self.slots.get(number as usize).and_then(Option::as_deref);
        match (split(first), entry) {
            (Some((QuicPacket::Long(long), _)), Some(entry)) => entry.connection.is_answer(&long, &mut self.scratch),
            _ => false,
        }
    }
}
