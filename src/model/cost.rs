//! What a handshake cost, as measured, and what a resumption would have saved.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use reshake_core::session::{
    Blindness, Completed, Connection, EarlyData, Outcome, Shape, Side, SideFacts, TransportKind, clocks_differ,
};
use reshake_core::tls::CertificateOperation;

/// Cost of one handshake; times in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// From the client's SYN to its acknowledgement of the SYN-ACK.
    pub rtt: Option<i64>,
    /// From the ClientHello to the last Finished.
    pub handshake: Option<i64>,
    /// Round trips that a resumption would have saved.
    pub extra_round_trips: Option<u8>,
    /// What the server computed with the key of its certificate; `None` where that was nothing or is not visible.
    pub operation: Option<CertificateOperation>,
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
        (Some(_), [Some(client), Some(_)]) if client_ends_it(connection) => Some(client.time),
        (Some(_), [Some(client), Some(server)]) => Some(client.time.max(server.time)),
        _ => None,
    };
    let handshake = handshake.map(|end| end.since(connection.hello_time()));
    Cost {
        rtt,
        handshake: handshake.filter(|nanos| *nanos >= 0 && is_timed(connection)),
        extra_round_trips: extra_round_trips(connection),
        operation: operation(connection),
        blind: hidden(connection).unwrap_or(match transport.kind() {
            // Whether the segment that answers the SYN-ACK was captured, or which SYN it answers.
            TransportKind::Tcp if transport.client_isn.is_some() => Blindness::NothingTellsApart,
            TransportKind::Tcp => Blindness::CaptureStartedLate,
            // Acknowledgements that would show a round trip are protected.
            TransportKind::Quic => Blindness::Encrypted,
            // Without a cookie, or where it was sent again, no packet answers another at once.
            TransportKind::Dtls => Blindness::NothingTellsApart,
        }),
    }
}

/// Why a part of the handshake may not have been seen.
fn hidden(connection: &Connection) -> Option<Blindness> {
    let hellos = connection.hello.blind().or(connection.answer.blind());
    let lost = hellos.or(unclear(connection)).or(handshake_loss(connection));
    lost.or(connection.first_hello_hidden()).or(unfinished(connection))
}

fn extra_round_trips(connection: &Connection) -> Option<u8> {
    let shape = connection.shape.yes()?;
    match connection.outcome {
        Outcome::Failed => return Some(0),
        Outcome::Unclear(_) => return None,
        _ => {}
    }
    Some(match shape {
        Shape::Abbreviated(_) => 0,
        // Data that was sent early is sent again.
        Shape::Full(_) if connection.is_tls13() => {
            u8::from(matches!(connection.early_data, EarlyData::Rejected { .. }))
        }
        // What is taken for the server's Finished may be what follows it.
        Shape::Full(_) if handshake_loss(connection).is_some() => return None,
        Shape::Full(_) => u8::from(!false_start(connection)?),
    })
}

/// In TLS 1.3 the client finishes last (RFC 8446 §2), whatever is missing of the server.
fn client_ends_it(connection: &Connection) -> bool {
    connection.is_tls13() && connection.transport.kind() == TransportKind::Tcp
}

/// Whether the first ClientHello and the last Finished are known for what they are.
fn is_timed(connection: &Connection) -> bool {
    let lost = if client_ends_it(connection) {
        connection.client_side.handshake_loss
    } else {
        handshake_loss(connection)
    };
    // What one clock stamped is not measured by another.
    let by_one_clock = client_ends_it(connection) || !clocks_differ(connection);
    by_one_clock && lost.or(connection.first_hello_hidden()).is_none()
}

fn handshake_loss(connection: &Connection) -> Option<Blindness> {
    let sides = [&connection.client_side, &connection.server_side];
    sides.into_iter().find_map(|side| side.handshake_loss)
}

/// Whether a handshake is known to have come to no end: what is measured up to its end was not, and is not hidden.
#[must_use]
pub fn has_no_end(connection: &Connection) -> bool {
    connection.completed == Completed::No && hidden(connection).is_none()
}

/// Why the end of a side may hold its Finished.
fn unfinished(connection: &Connection) -> Option<Blindness> {
    let sides = [&connection.client_side, &connection.server_side];
    let unfinished = |side: &&SideFacts| side.finished.is_none();
    sides.into_iter().filter(unfinished).find_map(|side| side.tail_loss)
}

const fn unclear(connection: &Connection) -> Option<Blindness> {
    match connection.outcome {
        Outcome::Unclear(cause) => Some(cause),
        _ => None,
    }
}

/// Only a full handshake uses the certificate.
fn operation(connection: &Connection) -> Option<CertificateOperation> {
    match (connection.shape.yes()?, connection.answer.yes()) {
        (Shape::Full(_), Some(answer)) => answer.suite.certificate_operation(),
        _ => None,
    }
}

/// Whether the client sent data before it had the server's Finished; `None` where that is not known.
fn false_start(connection: &Connection) -> Option<bool> {
    // Nobody does over DTLS, where the order of packets tells nothing.
    if connection.transport.dtls().is_some() {
        return Some(false);
    }
    if connection.false_start.is_some() {
        return connection.false_start;
    }
    // No acknowledgement tells; the order of the packets does, unless that is not the order in which they were sent.
    let (client, server) = (&connection.client_side, &connection.server_side);
    match (client.application_data, server.finished) {
        (Some(_), Some(_)) if clocks_differ(connection) => None,
        (Some(data), Some(finished)) => Some(data.time < finished.time),
        _ => Some(false),
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
    /// Nanoseconds from ClientHello to the last Finished, as far as visible.
    pub handshake_nanos: i64,
    /// Handshakes of which they are not.
    pub unmeasured: u64,
    /// Bytes of the handshakes, both directions, as far as visible.
    pub bytes: u64,
    /// Handshakes whose bytes are not visible.
    pub unweighed: u64,
    /// What the servers computed with the keys of their certificates, by kind.
    operations: [u64; CertificateOperation::ALL.len()],
}

impl Avoidable {
    /// Adds those of another service.
    pub(super) fn merge(&mut self, other: &Self) {
        self.handshakes += other.handshakes;
        self.round_trips += other.round_trips;
        self.nanos = self.nanos.saturating_add(other.nanos);
        self.untimed += other.untimed;
        self.handshake_nanos = self.handshake_nanos.saturating_add(other.handshake_nanos);
        self.unmeasured += other.unmeasured;
        self.bytes += other.bytes;
        self.unweighed += other.unweighed;
        let both = self.operations.iter_mut().zip(other.operations);
        both.for_each(|(sum, more)| *sum += more);
    }

    /// Adds a full handshake of a returning client.
    fn add(&mut self, connection: &Connection) {
        self.handshakes += 1;
        let cost = of(connection);
        let trips = u64::from(cost.extra_round_trips.unwrap_or(0));
        self.round_trips += trips;
        match cost.rtt {
            Some(rtt) if trips > 0 => self.nanos = self.nanos.saturating_add(rtt),
            Some(_) => {}
            None => self.untimed += trips,
        }
        match cost.handshake {
            Some(nanos) => self.handshake_nanos = self.handshake_nanos.saturating_add(nanos),
            None => self.unmeasured += 1,
        }
        match handshake_bytes(connection) {
            Some(bytes) => self.bytes += bytes,
            None => self.unweighed += 1,
        }
        let counted = CertificateOperation::ALL.into_iter().zip(&mut self.operations);
        counted
            .filter(|(operation, _)| cost.operation == Some(*operation))
            .for_each(|(_, count)| *count += 1);
    }

    /// How often each operation was paid, zeros included.
    pub fn operations(&self) -> impl Iterator<Item = (CertificateOperation, u64)> + use<> {
        CertificateOperation::ALL.into_iter().zip(self.operations)
    }
}

/// The same, in all and by the primary reason for which they were no resumptions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AvoidableByReason {
    /// All of them.
    pub all: Avoidable,
    /// By the name of the primary reason.
    by_reason: BTreeMap<&'static str, Avoidable>,
}

impl AvoidableByReason {
    /// Adds a full handshake of a returning client.
    pub(super) fn add(&mut self, connection: &Connection, reason: Option<&'static str>) {
        let mut one = Avoidable::default();
        one.add(connection);
        self.all.merge(&one);
        if let Some(reason) = reason {
            self.by_reason.entry(reason).or_default().merge(&one);
        }
    }

    /// Adds those of another service.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.all.merge(&other.all);
        for (reason, more) in &other.by_reason {
            self.by_reason.entry(reason).or_default().merge(more);
        }
    }

    /// Reasons with what they cost, the most frequent first.
    #[must_use]
    pub fn by_reason(&self) -> Vec<(&'static str, &Avoidable)> {
        let mut reasons: Vec<_> = self.by_reason.iter().map(|(reason, cost)| (*reason, cost)).collect();
        reasons.sort_by_key(|(reason, cost)| (std::cmp::Reverse(cost.handshakes), *reason));
        reasons
    }
}

/// Bytes of a handshake in both directions; `None` when one is not visible.
#[must_use]
pub fn handshake_bytes(connection: &Connection) -> Option<u64> {
    let [client, server] = Side::BOTH.map(|side| side_bytes(connection, side));
    Some(u64::from(client?.get()) + u64::from(server?.get()))
}

/// Bytes of one side's handshake. Behind lost bytes what is taken for its end may be what follows it. So it is of datagrams
/// that do not stand in the order in which they were sent: where a handshake ends is told by what the other side answers.
#[must_use]
pub fn side_bytes(connection: &Connection, side: Side) -> Option<NonZeroU32> {
    let facts = connection.side(side);
    let in_order = connection.transport.kind() == TransportKind::Tcp || !clocks_differ(connection);
    facts
        .handshake_bytes
        .filter(|_| in_order && facts.handshake_loss.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(bytes: u64) -> Avoidable {
        Avoidable {
            handshakes: 1,
            round_trips: 1,
            nanos: 5,
            bytes,
            operations: [1, 0, 0, 0, 0, 0],
            ..Avoidable::default()
        }
    }

    #[test]
    fn what_two_services_cost_is_the_sum() {
        let mut sum = one(100);
        sum.merge(&one(50));
        assert_eq!((sum.handshakes, sum.round_trips, sum.nanos, sum.bytes), (2, 2, 10, 150));
        let paid: Vec<_> = sum.operations().filter(|(_, count)| *count > 0).collect();
        assert_eq!(paid, [(CertificateOperation::RsaSignature, 2)]);
    }

    #[test]
    fn the_most_frequent_reason_comes_first() {
        let mut costs = AvoidableByReason::default();
        for (reason, bytes) in [("a", 1), ("b", 2), ("b", 3)] {
            let mut more = AvoidableByReason::default();
            more.by_reason.insert(reason, one(bytes));
            costs.merge(&more);
        }
        let told: Vec<(&str, u64, u64)> = costs
            .by_reason()
            .into_iter()
            .map(|(reason, cost)| (reason, cost.handshakes, cost.bytes))
            .collect();
        assert_eq!(told, [("b", 2, 5), ("a", 1, 1)]);
    }
}
