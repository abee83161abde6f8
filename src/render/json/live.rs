//! JSON lines of a live run: the objects of the report, written as things are decided. A connection comes when its
//! handshake is decided and again when it is over; what service analysis says of it comes at the end, as a line `settled`.

use std::io::{self, Write};

use serde::Serialize;

use super::connection::{ConnectionJson, DocumentContext, ReasonJson};
use super::credential::CredentialJson;
use super::{CaptureJson, NoticeJson, Time, line, services_and_summary};
use crate::model::{Report, connection_id};
use reshake_core::net::Capture;
use reshake_core::session::{Connection, ConnectionId};

/// Name of these documents, in their first line.
pub const SCHEMA: &str = "reshake-events/1";

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Its handshake is decided.
    Handshake,
    /// It is over.
    Closed,
}

impl Stage {
    /// How far this connection has come.
    #[must_use]
    pub fn of(connection: &Connection) -> Self {
        let [client, server] = [&connection.client_side, &connection.server_side];
        let ended = |side: &reshake_core::session::SideFacts| side.is_over();
        if ended(client) || ended(server) || connection.close.class.yes().is_some() {
            Self::Closed
        } else {
            Self::Handshake
        }
    }

    const fn code(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Closed => "closed",
        }
    }
}

#[derive(Serialize)]
struct Provisional<'a> {
    stage: &'static str,
    settled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    other_leg_of: Option<&'a str>,
    #[serde(flatten)]
    connection: ConnectionJson<'a>,
}

#[derive(Serialize)]
struct Afterwards {
    id: String,
    outcome: &'static str,
    settled: bool,
    reasons: Vec<ReasonJson>,
}

/// An input that still goes on: nobody knows how it will end.
#[derive(Serialize)]
struct Going<'a> {
    path: &'a str,
    format: &'a str,
    packets: u64,
    bytes: u64,
    first_time: Option<Time>,
    last_time: Option<Time>,
    dropped: Option<u64>,
    notices: Vec<NoticeJson<'a>>,
}

/// The account of an input that goes on: at the beginning, with the name of the schema, and now and then.
///
/// # Errors
/// Those of `out`.
pub fn going(capture: &Capture, first: bool, out: &mut dyn Write) -> io::Result<()> {
    let CaptureJson {
        path,
        format,
        packets,
        bytes,
        first_time,
        last_time,
        dropped,
        notices,
        compression: _,
        ended: _,
    } = CaptureJson::of(capture);
    let going = Going {
        path,
        format,
        packets,
        bytes,
        first_time,
        last_time,
        dropped,
        notices,
    };
    line(out, "capture", first.then_some(SCHEMA), &going)
}

/// The account of an input that is over.
///
/// # Errors
/// Those of `out`.
pub fn capture(capture: &Capture, out: &mut dyn Write) -> io::Result<()> {
    line(out, "capture", None, &CaptureJson::of(capture))
}

/// A connection as far as it has come, judged by what came before it. `first_leg` is the connection that had the same
/// handshake before, which something in between passed on.
///
/// # Errors
/// Those of `out`.
pub fn connection(
    report: &Report<'_>,
    (id, connection): (ConnectionId, &Connection),
    stage: Stage,
    first_leg: Option<&str>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let context = DocumentContext::new(report);
    let number = id.0 as usize + 1;
    let provisional = Provisional {
        stage: stage.code(),
        settled: false,
        other_leg_of: first_leg,
        connection: ConnectionJson::of(report, &context, number, id, connection),
    };
    line(out, "connection", None, &provisional)
}

/// The end of the lines: what service analysis settles, credentials, services with patterns and findings, and the summary.
///
/// # Errors
/// Those of `out`.
pub fn end(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    for (_, id, connection) in report.connections() {
        let reasons = report.reasons(id, connection);
        if report.engine.was_settled(id) || reasons.iter().any(|judged| judged.settled_by.is_some()) {
            let settled = Afterwards {
                id: connection_id(connection),
                outcome: connection.outcome.code(),
                settled: true,
                reasons: reasons.into_iter().map(Into::into).collect(),
            };
            line(out, "settled", None, &settled)?;
        }
    }
    for (id, credential) in report.credentials() {
        line(out, "credential", None, &CredentialJson::of(report, id, credential))?;
    }
    services_and_summary(report, None, out)
}

/// What a report says of services and in all, without stopping.
///
/// # Errors
/// Those of `out`.
pub fn interim(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    services_and_summary(report, None, out)
}
