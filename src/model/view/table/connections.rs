//! The table of connections.

use std::net::IpAddr;

use hashbrown::HashMap;

use crate::model::view::connection::{close_text, offered, version_text};
use crate::model::view::{OUTCOMES, offset, outcome_place, wire};
use crate::model::{Report, ServiceView, cost, service_of};
use crate::wording::{bytes, duration, seconds};
use reshake_core::diagnosis::CATALOG;
use reshake_core::net::Endpoint;
use reshake_core::session::{Connection, ConnectionId, Service};

use super::{Column, sort_by_key};

const fn column(title: &'static str, width: u16, rank: u8) -> Column {
    Column {
        title,
        width,
        grows: false,
        right: false,
        rank,
    }
}

const fn right(title: &'static str, width: u16, rank: u8) -> Column {
    Column {
        right: true,
        ..column(title, width, rank)
    }
}

const fn growing(title: &'static str, width: u16, rank: u8) -> Column {
    Column {
        grows: true,
        ..column(title, width, rank)
    }
}

/// In the order of [`Sorter`].
pub(super) const COLUMNS: [Column; 12] = [
    right("#", 6, 0),
    right("time s", 9, 2),
    column("client", 21, 0),
    growing("server name", 16, 3),
    column("TLS", 5, 5),
    column("offered", 11, 4),
    column("outcome", 17, 0),
    growing("reason", 24, 0),
    column("backend", 10, 4),
    column("close", 18, 6),
    right("handshake", 9, 7),
    right("bytes", 8, 7),
];

/// What a column shows, by which it is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sorter {
    /// Number in the report.
    Number,
    /// When it began.
    Start,
    /// Address and port of the client.
    Client,
    /// Server name and endpoint.
    Service,
    /// Negotiated version.
    Version,
    /// What was offered.
    Offered,
    /// What happened.
    Outcome,
    /// Primary reason.
    Reason,
    /// Machine that answered.
    Backend,
    /// Close class.
    Close,
    /// Time of the handshake.
    Handshake,
    /// Bytes of the handshake.
    Bytes,
}

impl Sorter {
    const ALL: [Self; COLUMNS.len()] = [
        Self::Number,
        Self::Start,
        Self::Client,
        Self::Service,
        Self::Version,
        Self::Offered,
        Self::Outcome,
        Self::Reason,
        Self::Backend,
        Self::Close,
        Self::Handshake,
        Self::Bytes,
    ];
}

pub(super) fn cell(report: &Report<'_>, place: usize, column: usize) -> Option<String> {
    let (number, id, connection) = report.at(place)?;
    Some(match Sorter::ALL.get(column)? {
        Sorter::Number => number.to_string(),
        Sorter::Start => seconds(offset(report, connection.transport.started)),
        Sorter::Client => connection.client.to_string(),
        Sorter::Service => match connection.server_name() {
            Some(name) => wire(name),
            None => connection.server.to_string(),
        },
        Sorter::Version => {
            let over = if connection.transport.quic().is_some() {
                "QUIC "
            } else {
                ""
            };
            let version = connection.version().map_or_else(|| "?".to_owned(), version_text);
            format!("{over}{version}")
        }
        Sorter::Offered => offered(connection),
        Sorter::Outcome => (*OUTCOMES.get(outcome_place(connection.outcome))?).to_owned(),
        Sorter::Reason => {
            let primary = report.primary(place)?;
            let sure = if primary.confidence == reshake_core::diagnosis::Confidence::Observed {
                String::new()
            } else {
                format!(" ({})", primary.confidence.code())
            };
            format!("{}{sure}", primary.reason.name)
        }
        Sorter::Backend => format!("backend-{}", report.analyses.backend(id)?),
        Sorter::Close => close_text(&connection.close),
        Sorter::Handshake => cost::of(connection).handshake.map_or_else(|| "?".to_owned(), duration),
        Sorter::Bytes => cost::handshake_bytes(connection).map_or_else(|| "?".to_owned(), bytes),
    })
}

pub(super) fn sort(
    report: &Report<'_>,
    rows: &mut [u32],
    column: usize,
    descending: bool,
    go_on: &dyn Fn() -> bool,
) -> Option<()> {
    let by = *Sorter::ALL.get(column)?;
    let services = if by == Sorter::Service {
        ranks(report)
    } else {
        HashMap::new()
    };
    sort_by_key(rows, descending, go_on, |row| {
        let (_, id, connection) = report.at(row as usize)?;
        value(report, by, (row, id), connection, &services)
    })
}

/// Services in the order of their names.
fn ranks(report: &Report<'_>) -> HashMap<Service, u128> {
    let mut services: Vec<Service> = report.services.iter().map(ServiceView::service).collect();
    services.sort_by(|a, b| (&a.name, a.server, a.transport).cmp(&(&b.name, b.server, b.transport)));
    services.into_iter().zip(0..).collect()
}

fn value(
    report: &Report<'_>,
    by: Sorter,
    (row, id): (u32, ConnectionId),
    connection: &Connection,
    services: &HashMap<Service, u128>,
) -> Option<u128> {
    Some(match by {
        Sorter::Number | Sorter::Start => u128::from(row),
        Sorter::Client => address(connection.client),
        Sorter::Service => *services.get(&service_of(connection))?,
        Sorter::Version => u128::from(connection.version()?.0),
        Sorter::Offered => offer_rank(connection),
        Sorter::Outcome => outcome_place(connection.outcome) as u128,
        Sorter::Reason => {
            let primary = report.primary(row as usize)?;
            let place = CATALOG
                .iter()
                .filter(|reason| reason.name < primary.reason.name)
                .count();
            (place as u128) << 8 | u128::from(2 - primary.confidence as u8)
        }
        Sorter::Backend => u128::from(report.analyses.backend(id)?),
        Sorter::Close => *connection.close.class.yes()? as u128,
        Sorter::Handshake => u128::try_from(cost::of(connection).handshake?).ok()?,
        Sorter::Bytes => u128::from(cost::handshake_bytes(connection)?),
    })
}

/// IPv4 before IPv6, by address, then port. Of IPv6 addresses the last bits give way to the port.
fn address(end: Endpoint) -> u128 {
    let port = u128::from(end.port);
    match end.ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()) << 16 | port,
        IpAddr::V6(ip) => 1 << 127 | (ip.to_bits() >> 17) << 16 | port,
    }
}

fn offer_rank(connection: &Connection) -> u128 {
    let first = connection.offers.first();
    first.map_or(0, |offer| match offer.kind {
        reshake_core::session::OfferKind::Resumption(mechanism) => 1 + mechanism as u128,
        reshake_core::session::OfferKind::ExternalPsk => 8,
        reshake_core::session::OfferKind::UnclearPsk => 9,
        reshake_core::session::OfferKind::UnclearSessionId => 10,
    })
}
