//! The life of a session as a table for people, or as one JSON document.

use std::io::{self, Write};

use serde::Serialize;

use crate::model::session::{Life, LifeEvent, NameMeaning, What, ends_of, words};
use crate::model::{EarlyAnswer, Report, connection_id, credential_id, moment};
use crate::wording::{MAX_WIRE, only_counted, printable};
use reshake_core::diagnosis::state_of;
use reshake_core::net::{FrameRef, hex};
use reshake_core::session::{Connection, ConnectionId, Credential, CredentialId, Side, TicketsInferred};

/// Name of the JSON document.
pub const SCHEMA: &str = "reshake-session/1";
/// Hex digits of a credential that are shown.
const DIGITS: usize = 32;
/// Longest file name in front of a frame number.
const MAX_FILE: usize = 32;

/// One line for each meaning that a name may have.
#[must_use]
pub fn candidate(report: &Report<'_>, found: NameMeaning) -> String {
    match found {
        NameMeaning::Credential(id) => {
            let credential = report.engine.credential_store().get(id);
            credential.map_or_else(String::new, |credential| told(report, credential))
        }
        NameMeaning::Connection(id) => {
            let connection = report.engine.connection_store().get(id);
            connection.map_or_else(String::new, |connection| {
                let frame = frame(report, connection.transport.first());
                let (id, ends) = (connection_id(connection), ends(connection));
                format!("{id}  connection {ends} from frame {frame}, no credential seen")
            })
        }
    }
}

/// That a name means nothing. What was only counted has no name any more.
#[must_use]
pub fn unknown(report: &Report<'_>, name: &str) -> String {
    let name = printable(name, MAX_WIRE);
    match report.only_counted() {
        0 => format!("nothing in this capture is called '{name}'"),
        count => format!("nothing that was kept is called '{name}'; {}", only_counted(count)),
    }
}

/// Writes the life as a table.
///
/// # Errors
/// Those of `out`.
pub fn text(report: &Report<'_>, life: &Life, out: &mut dyn Write) -> io::Result<()> {
    let credential_store = report.engine.credential_store();
    for credential in life
        .credentials
        .iter()
        .filter_map(|id| Some((*id, credential_store.get(*id)?)))
    {
        let (state, resumable) = state_of(
            credential.0,
            credential.1,
            report.engine.connection_store(),
            report.last_time(),
        );
        let (state, resumable) = (state.code(), resumable.code());
        writeln!(out, "{}", told(report, credential.1))?;
        writeln!(out, "    state {state}, resumable {resumable}")?;
    }
    if let ([], [only]) = (life.credentials.as_slice(), life.connections.as_slice()) {
        writeln!(out, "{}", candidate(report, NameMeaning::Connection(*only)))?;
        let hidden = |connection: &Connection| {
            connection.is_tls13()
                && !matches!(
                    connection.tickets_inferred,
                    TicketsInferred::Read { complete: true, .. }
                )
        };
        if report.engine.connection_store().get(*only).is_some_and(hidden) {
            writeln!(
                out,
                "    tickets of TLS 1.3 are encrypted: what it issued shows only when it is offered"
            )?;
        }
    }
    writeln!(out)?;
    let rows: Vec<[String; 5]> = life.events.iter().filter_map(|event| row(report, event)).collect();
    let headings = ["frame", "seconds", "clock (UTC)", "from → to", "event"].map(ToOwned::to_owned);
    let mut widths = headings.each_ref().map(|heading| heading.chars().count());
    for row in &rows {
        widths
            .iter_mut()
            .zip(row)
            .for_each(|(width, cell)| *width = (*width).max(cell.chars().count()));
    }
    let [frame, seconds, clock, ends, _] = widths;
    for [a, b, c, d, e] in std::iter::once(&headings).chain(&rows) {
        writeln!(out, "{a:>frame$}  {b:>seconds$}  {c:clock$}  {d:ends$}  {e}")?;
    }
    for (index, id) in life
        .linked
        .iter()
        .filter_map(|id| credential_store.get(*id))
        .enumerate()
    {
        let start = if index == 0 { "\n" } else { "" };
        writeln!(out, "{start}goes on as {}", told(report, id))?;
    }
    match report.only_counted() {
        0 => Ok(()),
        count => writeln!(out, "\nnote: {}; some may have been part of this", only_counted(count)),
    }
}

/// A credential in one line.
fn told(report: &Report<'_>, credential: &Credential) -> String {
    let what = match credential.mechanism.code() {
        "session-id" => "session ID",
        "psk" => "PSK identity",
        other => other,
    };
    let mut digits = hex(credential.name.head());
    if digits.len() > 2 * DIGITS || credential.name.length as usize > credential.name.head().len() {
        digits.truncate(DIGITS);
        digits.push('…');
    }
    let name = credential.server_name.as_deref();
    let name = name.map_or_else(String::new, |name| format!("{} ", printable(name, MAX_WIRE)));
    let issued = credential.issued.map_or_else(
        || "issue not seen".to_owned(),
        |issue| {
            let backend = report.analyses.backend(issue.connection);
            let backend = backend.map_or_else(String::new, |backend| format!(" by backend-{backend}"));
            format!("issued in frame {}{backend}", frame(report, issue.at.frame))
        },
    );
    let id = credential_id(credential);
    format!("{id}  {what} {digits} of {name}{}, {issued}", credential.server)
}

fn row(report: &Report<'_>, event: &LifeEvent) -> Option<[String; 5]> {
    let offset = report.first_time().map_or(0, |first| event.at.time.since(first));
    Some([
        frame(report, event.at.frame),
        offset_text(offset),
        moment(event.at.time).strftime("%H:%M:%S%.6f").to_string(),
        ends_of(report, event)?,
        words(report, event.what),
    ])
}

fn ends(connection: &Connection) -> String {
    format!("{} → {}", connection.client, connection.server)
}

/// A frame as in the report: with its file, where there are several.
fn frame(report: &Report<'_>, frame: FrameRef) -> String {
    let index = usize::from(frame.capture());
    match report.captures.get(index).filter(|_| report.captures.len() > 1) {
        Some(capture) => {
            let file = capture.path.rsplit('/').next().unwrap_or_default();
            let twice = report
                .captures
                .iter()
                .filter(|other| other.path.rsplit('/').next() == Some(file))
                .count()
                > 1;
            if twice || file.chars().count() > MAX_FILE {
                format!("#{}:{}", index + 1, frame.frame())
            } else {
                format!("{}:{}", printable(file, MAX_FILE), frame.frame())
            }
        }
        None => frame.frame().to_string(),
    }
}

/// Nanoseconds as seconds, to the microsecond.
fn offset_text(nanos: i64) -> String {
    let micros = nanos / 1000;
    let sign = if micros < 0 { "-" } else { "" };
    format!("{sign}{}.{:06}", (micros / 1_000_000).abs(), (micros % 1_000_000).abs())
}

#[derive(Serialize)]
struct LifeJson {
    schema: &'static str,
    credentials: Vec<CredentialJson>,
    connections: Vec<ConnectionJson>,
    events: Vec<EventJson>,
    linked: Vec<String>,
    /// Connections that were only counted, at the memory limit: some may have been part of this.
    connections_omitted: u64,
}

#[derive(Serialize)]
struct CredentialJson {
    id: String,
    mechanism: &'static str,
    head: String,
    length: u32,
    state: &'static str,
    resumable: &'static str,
}

#[derive(Serialize)]
struct ConnectionJson {
    id: String,
    client: String,
    server: String,
    backend: Option<String>,
    outcome: &'static str,
}

#[derive(Serialize)]
struct EventJson {
    capture: u16,
    frame: u64,
    time: String,
    offset_seconds: f64,
    connection: String,
    from: &'static str,
    event: &'static str,
    credential: Option<String>,
    text: String,
    inferred: bool,
}

/// Writes the life as one JSON document.
///
/// # Errors
/// Those of `out`.
pub fn json(report: &Report<'_>, life: &Life, out: &mut dyn Write) -> io::Result<()> {
    let credential_store = report.engine.credential_store();
    let document = LifeJson {
        schema: SCHEMA,
        credentials: life
            .credentials
            .iter()
            .filter_map(|id| credential_json(report, *id))
            .collect(),
        connections: life
            .connections
            .iter()
            .filter_map(|id| connection_json(report, *id))
            .collect(),
        events: life
            .events
            .iter()
            .filter_map(|event| event_json(report, event))
            .collect(),
        linked: life
            .linked
            .iter()
            .filter_map(|id| credential_store.get(*id))
            .map(credential_id)
            .collect(),
        connections_omitted: report.only_counted(),
    };
    serde_json::to_writer(&mut *out, &document)?;
    out.write_all(b"\n")
}

fn credential_json(report: &Report<'_>, id: CredentialId) -> Option<CredentialJson> {
    let credential = report.engine.credential_store().get(id)?;
    let (state, resumable) = state_of(id, credential, report.engine.connection_store(), report.last_time());
    Some(CredentialJson {
        id: credential_id(credential),
        mechanism: credential.mechanism.code(),
        head: hex(credential.name.head()),
        length: credential.name.length,
        state: state.code(),
        resumable: resumable.code(),
    })
}

fn connection_json(report: &Report<'_>, id: ConnectionId) -> Option<ConnectionJson> {
    let connection = report.engine.connection_store().get(id)?;
    let backend = report.analyses.backend(id);
    Some(ConnectionJson {
        id: connection_id(connection),
        client: connection.client.to_string(),
        server: connection.server.to_string(),
        backend: backend.map(|backend| format!("backend-{backend}")),
        outcome: connection.outcome.code(),
    })
}

#[allow(clippy::cast_precision_loss)] // spans of a capture fit a double to the nanosecond for a hundred days
fn event_json(report: &Report<'_>, event: &LifeEvent) -> Option<EventJson> {
    let connection = report.engine.connection_store().get(event.connection)?;
    let credential = event
        .what
        .credential()
        .and_then(|id| report.engine.credential_store().get(id));
    Some(EventJson {
        capture: event.at.frame.capture(),
        frame: event.at.frame.frame(),
        time: format!("{:.9}", moment(event.at.time)),
        offset_seconds: report.first_time().map_or(0, |first| event.at.time.since(first)) as f64 / 1e9,
        connection: connection_id(connection),
        from: match event.side {
            Side::Client => "client",
            Side::Server => "server",
        },
        event: event.what.code(),
        credential: credential.map(credential_id),
        text: words(report, event.what),
        inferred: matches!(
            event.what,
            What::CloseNotify { inferred: true } | What::EarlyData(EarlyAnswer::Accepted { inferred: true })
        ),
    })
}
