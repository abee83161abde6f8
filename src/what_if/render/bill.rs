//! What full handshakes cost, also those of connections that resumed in the capture: these cost what full ones of the
//! same service and version did.

use hashbrown::HashMap;

use crate::model::{Service, cost, service_of};
use reshake_core::session::{Connection, Shape};

/// What some full handshakes cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bill {
    /// Full handshakes; the server signs, or decrypts, once for each.
    pub handshakes: u64,
    /// Round trips that resumptions would have saved.
    pub round_trips: f64,
    /// Nanoseconds of those round trips, as far as their connections show what one takes.
    pub nanos: f64,
    /// Round trips whose time is not visible.
    pub untimed: f64,
    /// Bytes of the handshakes, both directions.
    pub bytes: f64,
    /// Handshakes whose bytes are not visible and not known from others either.
    pub unweighed: u64,
}

/// What a full handshake costs as a rule.
#[derive(Debug, Clone, Copy, Default)]
struct Price {
    handshakes: f64,
    round_trips: f64,
    weighed: f64,
    bytes: f64,
}

/// Prices of services, by version; `true` is TLS 1.3.
#[derive(Debug, Default)]
pub(super) struct Prices {
    of_service: HashMap<(Service, bool), Price>,
    of_version: HashMap<bool, Price>,
}

impl Prices {
    pub(super) fn of<'a>(connections: impl Iterator<Item = &'a Connection>) -> Self {
        let mut prices = Self::default();
        for connection in connections.filter(|connection| is_full(connection)) {
            let version = connection.is_tls13();
            let service = (service_of(connection), version);
            prices.of_service.entry(service).or_default().add(connection);
            prices.of_version.entry(version).or_default().add(connection);
        }
        prices
    }

    /// What these connections cost, or would, with full handshakes.
    pub(super) fn bill<'a>(&self, connections: impl Iterator<Item = &'a Connection>) -> Bill {
        let mut bill = Bill::default();
        for connection in connections {
            bill.handshakes += 1;
            let (trips, bytes) = if is_full(connection) {
                let cost = cost::of(connection);
                let trips = cost.extra_round_trips.unwrap_or(0);
                (f64::from(trips), cost::handshake_bytes(connection).map(float))
            } else {
                self.usual(connection)
            };
            bill.round_trips += trips;
            match cost::of(connection).rtt {
                Some(rtt) => bill.nanos += trips * float(rtt.unsigned_abs()),
                None => bill.untimed += trips,
            }
            match bytes {
                Some(bytes) => bill.bytes += bytes,
                None => bill.unweighed += 1,
            }
        }
        bill
    }

    /// Round trips and bytes of a full handshake like this one would have been. Where none was captured, the protocol
    /// says how many round trips: one up to TLS 1.2 (RFC 5246 §7.3), none in TLS 1.3 (RFC 8446 §2).
    fn usual(&self, connection: &Connection) -> (f64, Option<f64>) {
        let version = connection.is_tls13();
        let price = self
            .of_service
            .get(&(service_of(connection), version))
            .or_else(|| self.of_version.get(&version))
            .copied()
            .unwrap_or_default();
        let by_protocol = if version { 0.0 } else { 1.0 };
        let trips = average(price.round_trips, price.handshakes).unwrap_or(by_protocol);
        (trips, average(price.bytes, price.weighed))
    }
}

impl Price {
    fn add(&mut self, connection: &Connection) {
        self.handshakes += 1.0;
        self.round_trips += f64::from(cost::of(connection).extra_round_trips.unwrap_or(0));
        if let Some(bytes) = cost::handshake_bytes(connection) {
            self.weighed += 1.0;
            self.bytes += float(bytes);
        }
    }
}

fn average(sum: f64, count: f64) -> Option<f64> {
    (count > 0.0).then(|| sum / count)
}

fn is_full(connection: &Connection) -> bool {
    matches!(connection.shape.yes(), Some(Shape::Full(_)))
}

#[allow(clippy::cast_precision_loss)] // an estimate from sums far below 2^53
fn float(value: u64) -> f64 {
    value as f64
}
