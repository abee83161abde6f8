//! What a handshake cost, as measured, and what a resumption would have saved.

use crate::session::{Blindness, Connection, EarlyData, Outcome, Shape};

/// Cost of one handshake; times in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// From the client's SYN to its acknowledgement of the SYN-ACK.
    pub rtt: Option<i64>,
    /// From the ClientHello to the last Finished.
    pub handshake: Option<i64>,
    /// Round trips that a resumption would have saved.
    pub extra_round_trips: Option<u8>,
    /// Why a value is missing.
    pub blind: Blindness,
}

/// The cost of a connection's handshake.
///
/// A full handshake up to TLS 1.2 takes one round trip more than an abbreviated one (RFC 5246 §7.3), unless the client
/// used False Start (RFC 7918). In TLS 1.3 both take one (RFC 8446 §2); only refused early data costs another.
#[must_use]
pub fn of(connection: &Connection) -> Cost {
    let transport = &connection.transport;
    let rtt = transport.round_trip.filter(|rtt| *rtt >= 0);
    let finished = [connection.client_side.finished, connection.server_side.finished];
    let handshake = match (connection.hello.yes(), finished) {
        (Some(_), [Some(client), Some(server)]) => Some(client.time.max(server.time).since(connection.hello_time())),
        _ => None,
    };
    Cost {
        rtt,
        handshake: handshake.filter(|nanos| *nanos >= 0),
        extra_round_trips: extra_round_trips(connection),
        blind: connection
            .hello
            .blind()
            .or(connection.answer.blind())
            .unwrap_or(Blindness::CaptureStartedLate),
    }
}

fn extra_round_trips(connection: &Connection) -> Option<u8> {
    let shape = connection.shape.yes()?;
    if matches!(connection.outcome, Outcome::Failed | Outcome::Unclear(_)) {
        return Some(0);
    }
    Some(match shape {
        Shape::Abbreviated(_) => 0,
        // Data that was sent early is sent again.
        Shape::Full(_) if connection.is_tls13() => {
            u8::from(matches!(connection.early_data, EarlyData::Rejected { .. }))
        }
        Shape::Full(_) => u8::from(!false_start(connection)),
    })
}

/// Whether the client sent data before it had the server's Finished.
fn false_start(connection: &Connection) -> bool {
    let (client, server) = (&connection.client_side, &connection.server_side);
    match (client.application_data, server.finished) {
        (Some(data), Some(finished)) => data.time < finished.time,
        _ => false,
    }
}

/// What full handshakes cost that a resumption could have stood for: those of returning clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Avoidable {
    /// Such handshakes.
    pub handshakes: u64,
    /// Round trips that resumptions would have saved.
    pub round_trips: u64,
    /// Nanoseconds of those round trips, as far as their connections show what one takes.
    pub nanos: i64,
    /// Round trips whose time is not visible.
    pub untimed: u64,
    /// Bytes of the handshakes, both directions, as far as visible.
    pub bytes: u64,
    /// Handshakes whose bytes are not visible.
    pub unweighed: u64,
}

impl Avoidable {
    /// Adds those of another service.
    pub(super) fn merge(&mut self, other: &Self) {
        self.handshakes += other.handshakes;
        self.round_trips += other.round_trips;
        self.nanos = self.nanos.saturating_add(other.nanos);
        self.untimed += other.untimed;
        self.bytes += other.bytes;
        self.unweighed += other.unweighed;
    }

    /// Adds a full handshake of a returning client.
    pub(super) fn add(&mut self, connection: &Connection) {
        self.handshakes += 1;
        let cost = of(connection);
        let trips = u64::from(cost.extra_round_trips.unwrap_or(0));
        self.round_trips += trips;
        match cost.rtt {
            Some(rtt) if trips > 0 => self.nanos = self.nanos.saturating_add(rtt),
            Some(_) => {}
            None => self.untimed += trips,
        }
        match handshake_bytes(connection) {
            Some(bytes) => self.bytes += bytes,
            None => self.unweighed += 1,
        }
    }
}

/// Bytes of a handshake in both directions; `None` when one is not visible.
#[must_use]
pub fn handshake_bytes(connection: &Connection) -> Option<u64> {
    let [client, server] = [&connection.client_side, &connection.server_side].map(|side| side.handshake_bytes);
    Some(u64::from(client?.get()) + u64::from(server?.get()))
}
