//! Connections over UDP: what [`crate::datagram::Gate`] lets in goes to QUIC or to DTLS, and what these find of a
//! connection ends in the same facts, credentials and events as over TCP.
//!
//! Each of the two keeps its own connections, with the same few functions: `push` takes a datagram, `advance` ends what
//! has been silent for long, `finish` ends everything. Datagrams come in the order of the packets, from
//! [`super::Engine::push`] and from [`super::TlsStage`] alike.

mod dtls;
mod quic;

use std::collections::VecDeque;

use super::TlsEvent;
use super::connection::Context;
use crate::datagram::Protocol;
use crate::net::{At, Datagram, MacAddress, Notice, Notices, Path, Timestamp, Wrapping};
use crate::session::ConnectionId;
use crate::store::KeptConnection;

use dtls::DtlsTable;
use quic::QuicTable;

/// The parts of the engine that a connection over UDP needs, and what it tells the engine.
pub(super) struct DatagramEngine<'a> {
    /// Credentials, finished connections, secrets.
    pub(super) context: &'a mut Context,
    /// What is skipped.
    pub(super) notices: &'a mut Notices,
    /// What happens, where anybody asks.
    pub(super) events: Option<&'a mut VecDeque<TlsEvent>>,
    /// Latest time of any packet.
    pub(super) last: Option<Timestamp>,
}

impl DatagramEngine<'_> {
    /// Keeps a connection that is over.
    pub(super) fn keep(&mut self, id: ConnectionId, connection: KeptConnection) {
        if connection.not_kept > 0 {
            let first = Some(connection.transport.first());
            let count = u64::from(connection.not_kept);
            self.notices.add_many(Notice::CredentialsNotKept, count, first);
        }
        self.context
            .connection_store
            .keep(id, connection, &mut self.context.credential_store);
        if let Some(events) = &mut self.events {
            events.push_back(TlsEvent::Closed(id));
        }
    }

    /// The handshake of a connection that goes on is decided: it is kept as far as it has come, and told.
    pub(super) fn tell(&mut self, id: ConnectionId, connection: KeptConnection) {
        self.context.connection_store.keep_open(id, connection);
        if let Some(events) = &mut self.events {
            events.push_back(TlsEvent::Handshake(id));
        }
    }

    /// Whether anybody asks what happens: else there is no need to tell early.
    pub(super) const fn is_watched(&self) -> bool {
        self.events.is_some()
    }
}

/// Bounds of what is open over UDP: of QUIC connections and of DTLS associations so many each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatagramLimits {
    /// Open at once; those that nobody answered go first.
    pub open: usize,
    /// Bytes that they hold back.
    pub held: usize,
}

impl Default for DatagramLimits {
    fn default() -> Self {
        Self {
            open: 1 << 18,
            held: 64 << 20,
        }
    }
}

/// Every open connection over UDP.
#[derive(Debug, Clone, Default)]
pub(super) struct Datagrams {
    quic: QuicTable,
    dtls: DtlsTable,
}

impl Datagrams {
    /// None yet.
    pub(super) fn new(limits: DatagramLimits) -> Self {
        Self {
            quic: QuicTable::new(limits),
            dtls: DtlsTable::new(limits),
        }
    }

    /// Takes one datagram. A function of its own: inlined, it would weigh on the path of TCP.
    #[inline(never)]
    pub(super) fn push(&mut self, protocol: Protocol, datagram: &Datagram<'_>, at: At, run: &mut DatagramEngine<'_>) {
        if datagram.cut > 0 {
            run.notices.add(Notice::PacketCutBySnaplen, Some(at.frame));
        }
        match protocol {
            Protocol::Quic => self.quic.push(datagram, at, run),
            Protocol::Dtls => self.dtls.push(datagram, at, run),
        }
    }

    /// Time passes: ends connections that have been silent for long.
    pub(super) fn advance(&mut self, now: Timestamp, run: &mut DatagramEngine<'_>) {
        self.quic.advance(now, run);
        self.dtls.advance(now, run);
    }

    /// The input is over: ends every connection.
    pub(super) fn finish(&mut self, run: &mut DatagramEngine<'_>) {
        self.quic.finish(run);
        self.dtls.finish(run);
    }

    /// Connections that go on.
    pub(super) fn len(&self) -> usize {
        self.quic.len() + self.dtls.len()
    }
}

/// A datagram on its way from the front to the back; its bytes travel apart.
pub(super) struct Arrival {
    protocol: Protocol,
    source: crate::net::Endpoint,
    destination: crate::net::Endpoint,
    cut: u32,
    source_mac: Option<MacAddress>,
    ttl: u8,
    ip_id: Option<u16>,
    outer: Box<[Wrapping]>,
    /// Bytes of its payload.
    pub(super) length: usize,
    at: At,
}

impl Arrival {
    pub(super) fn of(protocol: Protocol, datagram: &Datagram<'_>, at: At) -> Self {
        Self {
            protocol,
            source: datagram.source,
            destination: datagram.destination,
            cut: datagram.cut,
            source_mac: datagram.path.source_mac,
            ttl: datagram.path.ttl,
            ip_id: datagram.path.ip_id,
            outer: datagram.path.outer.into(),
            length: datagram.payload.len(),
            at,
        }
    }

    /// The datagram with its bytes.
    pub(super) fn with<'a>(&'a self, payload: &'a [u8]) -> (Protocol, Datagram<'a>, At) {
        let datagram = Datagram {
            path: Path {
                source_mac: self.source_mac,
                ttl: self.ttl,
                ip_id: self.ip_id,
                outer: &self.outer,
            },
            source: self.source,
            destination: self.destination,
            payload,
            cut: self.cut,
        };
        (self.protocol, datagram, self.at)
    }
}

#[cfg(test)]
impl Datagrams {
    /// Pairs of endpoints that are remembered without a connection.
    pub(super) fn strangers(&self) -> usize {
        self.quic.strangers()
    }

    /// What waits for the clients of servers that spoke first: places and bytes.
    pub(super) fn early(&self) -> (usize, usize) {
        self.quic.early()
    }

    /// Smaller bounds for QUIC.
    pub(super) const fn shrink_quic(&mut self, most_opening: usize, most_strangers: usize) {
        self.quic.shrink(most_opening, most_strangers);
    }
}
