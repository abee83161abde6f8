//! The life of one session: a credential found by any of its names becomes a list of events, from its issue to its last
//! offer, with what ended each connection of it. Pure: it reads a [`Report`] and writes nothing.

use std::collections::BTreeSet;

use hashbrown::HashSet;

use reshake_core::diagnosis::OfferOutcome;
use reshake_core::net::{At, FrameRef, hex};
use reshake_core::session::{
    CloseNotify, Connection, ConnectionId, Credential, CredentialId, KeyOrigin, Mechanism, OfferKind, Outcome, Side,
};
use reshake_core::tcp::ResetForm;

use crate::model::{EarlyAnswer, Report, connection_id, credential_id};

/// Hex digits that a session ID or ticket must be given with at least.
pub const MIN_DIGITS: usize = 4;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requested {
    /// A frame, of one capture (from 0) or of any.
    Frame(Option<u16>, u64),
    /// The beginning of an id of a report, or of a session ID or ticket in hex.
    Name(String),
}

/// What a name was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NameMeaning {
    /// A credential.
    Credential(CredentialId),
    /// A connection without any credential that was seen.
    Connection(ConnectionId),
}

/// Something that happened to the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The server issued it.
    Issued(CredentialId),
    /// A full handshake without any offer, of a session whose credentials are not visible.
    FullHandshake,
    /// The client offered it.
    Offered(CredentialId),
    /// The server accepted it.
    Accepted,
    /// The server refused it.
    Refused,
    /// The server took another credential that was offered beside it.
    PassedOver,
    /// A handshake with an external PSK that names no credential.
    ExternalPsk,
    /// It was offered, and the handshake failed.
    Failed,
    /// What became of the early data that came with it.
    EarlyData(EarlyAnswer),
    /// It was offered, and the answer is not visible.
    NotVisible(&'static str),
    /// The server renewed it: another ticket for the same session.
    Renewed(CredentialId),
    /// After the refusal the server began another session.
    Replaced(CredentialId),
    /// close_notify; whether it was concluded from sizes.
    CloseNotify {
        /// From sizes.
        inferred: bool,
    },
    /// CONNECTION_CLOSE of QUIC.
    ConnectionClose,
    /// An alert that may be close_notify or an error: the other side had closed first without one.
    AnswerToBareFin,
    /// An alert in clear.
    Alert {
        /// Whether it ends the connection.
        fatal: bool,
        /// Its code point.
        description: reshake_core::tls::AlertDescription,
    },
    /// FIN.
    Fin,
    /// RST.
    Reset {
        /// Sent by a host that does not have the connection.
        no_socket: bool,
        /// It may have been ignored.
        doubtful: bool,
    },
}

impl What {
    /// Name in reports.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Issued(_) => "issued",
            Self::FullHandshake => "full-handshake",
            Self::Offered(_) => "offered",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::PassedOver => "passed-over",
            Self::ExternalPsk => "external-psk",
            Self::Failed => "failed",
            Self::EarlyData(EarlyAnswer::Accepted { .. }) => "early-data-accepted",
            Self::EarlyData(EarlyAnswer::Refused(_)) => "early-data-refused",
            Self::EarlyData(EarlyAnswer::NotVisible(_)) => "early-data-not-visible",
            Self::NotVisible(_) => "not-visible",
            Self::Renewed(_) => "renewed",
            Self::Replaced(_) => "replaced",
            Self::CloseNotify { .. } => "close-notify",
            Self::ConnectionClose => "connection-close",
            Self::AnswerToBareFin => "alert-after-fin",
            Self::Alert { .. } => "alert",
            Self::Fin => "fin",
            Self::Reset { .. } => "rst",
        }
    }

    /// The credential it is about, where it is about one.
    #[must_use]
    pub const fn credential(self) -> Option<CredentialId> {
        match self {
            Self::Issued(id) | Self::Offered(id) | Self::Renewed(id) | Self::Replaced(id) => Some(id),
            _ => None,
        }
    }
}

/// One line of the life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LifeEvent {
    /// Where and when.
    pub at: At,
    /// On which connection.
    pub connection: ConnectionId,
    /// Who sent it.
    pub side: Side,
    /// What.
    pub what: What,
}

/// The life of one session.
#[derive(Debug, Clone)]
pub struct Life {
    /// Its credentials: more than one where a server gave an ID and a ticket for the same session.
    pub credentials: Vec<CredentialId>,
    /// Its connections, issuer first.
    pub connections: Vec<ConnectionId>,
    /// Everything that happened, by time, then frame.
    pub events: Vec<LifeEvent>,
    /// Credentials that came out of it: renewed tickets, and sessions begun where it was refused.
    pub linked: Vec<CredentialId>,
}

impl Requested {
    /// Reads `frame:123`, `frame:1:123` (captures from 1), `file.pcap:123`, or a name.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub fn parse(text: &str, report: &Report<'_>) -> Result<Self, String> {
        if let Some((place, frame)) = text.rsplit_once(':') {
            let frame = frame.parse().ok().filter(|frame| *frame > 0);
            let frame = frame.ok_or_else(|| format!("'{text}': a frame is a number from 1, as in frame:123"))?;
            return Ok(Self::Frame(capture(place, report)?, frame));
        }
        let name = text.to_ascii_lowercase();
        let digits = name.strip_prefix(['c', 'k']).unwrap_or(&name);
        let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let long_enough = is_id(&name) || name.len() >= MIN_DIGITS;
        if digits.is_empty() || !is_hex(digits) || !long_enough {
            return Err(format!(
                "'{text}' is no id: give c… or k… of a report, a session ID or ticket in hex ({MIN_DIGITS} digits \
                 or more), or frame:123"
            ));
        }
        Ok(Self::Name(name))
    }

    /// Everything that it may mean: one for each session.
    #[must_use]
    pub fn find(&self, report: &Report<'_>) -> Vec<NameMeaning> {
        let found: BTreeSet<NameMeaning> = match self {
            Self::Name(name) => named(report, name),
            Self::Frame(capture, frame) => in_frame(report, *capture, *frame),
        };
        let mut sessions: BTreeSet<CredentialId> = BTreeSet::new();
        found
            .into_iter()
            .filter(|found| match found {
                NameMeaning::Connection(_) => true,
                NameMeaning::Credential(id) => {
                    let is_new = !sessions.contains(id);
                    if is_new {
                        sessions.extend(siblings(report, *id));
                    }
                    is_new
                }
            })
            .collect()
    }
}

fn is_id(name: &str) -> bool {
    name.len() > 1 && name.starts_with(['c', 'k'])
}

/// The capture that stands in front of a frame number.
fn capture(place: &str, report: &Report<'_>) -> Result<Option<u16>, String> {
    if place == "frame" {
        return Ok(None);
    }
    let number = place.strip_prefix("frame:").or_else(|| place.strip_prefix('#'));
    let index = if let Some(number) = number {
        number.parse().ok().and_then(|number: usize| number.checked_sub(1))
    } else {
        let file = |path: &str| path.rsplit('/').next().map(ToOwned::to_owned);
        let is_it = |path: &str| path == place || file(path).as_deref() == Some(place);
        report.captures.iter().position(|capture| is_it(&capture.path))
    };
    let index = index.filter(|index| *index < report.captures.len());
    index
        .and_then(|index| u16::try_from(index).ok())
        .map(Some)
        .ok_or_else(|| format!("no capture is called '{place}'"))
}

fn named(report: &Report<'_>, name: &str) -> BTreeSet<NameMeaning> {
    let mut found = BTreeSet::new();
    if is_id(name) {
        for (_, id, connection) in report.connections() {
            if connection_id(connection).starts_with(name) {
                found.extend(of_connection(report, id, connection));
            }
        }
    }
    for (id, credential) in report.engine.credential_store().iter() {
        let by_id = is_id(name) && credential_id(credential).starts_with(name);
        let head = hex(credential.name.head());
        // Of a long ticket only the first bytes are kept: what is given beyond them cannot be compared.
        let by_hex =
            name.len() >= MIN_DIGITS && (head.starts_with(name) || is_cut(credential) && name.starts_with(&head));
        if by_id || by_hex {
            found.insert(NameMeaning::Credential(id));
        }
    }
    found
}

fn is_cut(credential: &Credential) -> bool {
    credential.name.head().len() < credential.name.length as usize
}

/// Exact frames of events first; else the connections around the frame.
fn in_frame(report: &Report<'_>, capture: Option<u16>, frame: u64) -> BTreeSet<NameMeaning> {
    let is_it = |at: FrameRef| at.frame() == frame && capture.is_none_or(|capture| at.capture() == capture);
    let mut exact = BTreeSet::new();
    let mut around = BTreeSet::new();
    for (_, id, connection) in report.connections() {
        let issued = connection.issued.iter().filter(|id| {
            let credential = report.engine.credential_store().get(**id);
            credential.is_some_and(|credential| credential.issued.is_some_and(|issue| is_it(issue.at.frame)))
        });
        let issued: Vec<NameMeaning> = issued.copied().map(NameMeaning::Credential).collect();
        if !issued.is_empty() {
            exact.extend(issued);
        } else if events_of(report, id, connection, &[])
            .iter()
            .any(|event| is_it(event.at.frame))
            || connection.hello.yes().is_some_and(|hello| is_it(hello.at.frame))
            || is_it(connection.transport.first())
        {
            exact.extend(of_connection(report, id, connection));
        } else if connection.transport.spans.iter().any(|(first, last)| {
            let inside = first.frame() <= frame && frame <= last.frame();
            inside && capture.is_none_or(|capture| first.capture() == capture)
        }) {
            around.extend(of_connection(report, id, connection));
        }
    }
    if exact.is_empty() { around } else { exact }
}

/// The session of a connection: what it offered, else what it was given, else itself.
fn of_connection(report: &Report<'_>, id: ConnectionId, connection: &Connection) -> Vec<NameMeaning> {
    let offered: Vec<CredentialId> = match connection.accepted {
        Some(accepted) => vec![accepted],
        None => connection
            .offers
            .iter()
            .filter(|offer| matches!(offer.kind, OfferKind::Resumption(_)))
            .map(|offer| offer.credential)
            .collect(),
    };
    let credentials = if offered.is_empty() {
        connection.issued.as_slice()
    } else {
        &offered
    };
    let known = |id: &&CredentialId| report.engine.credential_store().get(**id).is_some();
    let found: Vec<NameMeaning> = credentials
        .iter()
        .filter(known)
        .copied()
        .map(NameMeaning::Credential)
        .collect();
    if found.is_empty() {
        vec![NameMeaning::Connection(id)]
    } else {
        found
    }
}

/// A credential with those that were issued for the same session. Tickets of TLS 1.3 are each on their own.
fn siblings(report: &Report<'_>, id: CredentialId) -> Vec<CredentialId> {
    let credential_store = report.engine.credential_store();
    let issuer = credential_store
        .get(id)
        .filter(|credential| credential.mechanism != Mechanism::Psk)
        .and_then(|credential| report.engine.connection_store().get(credential.issued?.connection))
        .filter(|issuer| issuer.accepted.is_none() && issuer.issued.contains(&id));
    issuer.map_or_else(|| vec![id], |issuer| issuer.issued.to_vec())
}

impl Life {
    /// The life of what was found.
    #[must_use]
    pub fn of(report: &Report<'_>, found: NameMeaning) -> Self {
        let (credentials, mut connections) = match found {
            NameMeaning::Connection(id) => (Vec::new(), vec![id]),
            NameMeaning::Credential(id) => (siblings(report, id), Vec::new()),
        };
        for credential in credentials
            .iter()
            .filter_map(|id| report.engine.credential_store().get(*id))
        {
            connections.extend(credential.issued.map(|issue| issue.connection));
            connections.extend(&credential.offers);
        }
        let connection_store = report.engine.connection_store();
        let started = |id: &ConnectionId| connection_store.get(*id).map(|connection| connection.transport.started);
        connections.retain(|id| connection_store.get(*id).is_some());
        connections.sort_by_key(|id| (started(id), *id));
        connections.dedup();
        let mut events: Vec<LifeEvent> = connections
            .iter()
            .filter_map(|id| Some(events_of(report, *id, connection_store.get(*id)?, &credentials)))
            .flatten()
            .collect();
        events.sort_by_key(|event| (event.at.time, event.at.frame));
        let mut linked: Vec<CredentialId> = Vec::new();
        let mut met: HashSet<CredentialId> = HashSet::new();
        for event in &events {
            if let What::Renewed(id) | What::Replaced(id) = event.what
                && met.insert(id)
            {
                linked.push(id);
            }
        }
        Self {
            credentials,
            connections,
            events,
            linked,
        }
    }
}

/// What happened on one connection, as far as it is about these credentials.
fn events_of(report: &Report<'_>, id: ConnectionId, connection: &Connection, about: &[CredentialId]) -> Vec<LifeEvent> {
    let mut events = Vec::new();
    let mut add = |at: Option<At>, side: Side, what: What| {
        events.extend(at.map(|at| LifeEvent {
            at,
            connection: id,
            side,
            what,
        }));
    };
    let hello = connection.hello.yes().map(|hello| hello.at);
    let answer = connection.answer.yes().map(|answer| answer.at);
    let mut accepted = false;
    let offers = connection.offers.iter().map(|offer| offer.credential);
    for credential in offers.filter(|credential| about.contains(credential)) {
        add(hello, Side::Client, What::Offered(credential));
        let what = answered(OfferOutcome::of(connection, credential));
        accepted |= what == What::Accepted;
        add(answer.or(hello), Side::Server, what);
    }
    // Early data goes with the first PSK.
    let first = connection.offers.first().map(|offer| offer.credential);
    if first.is_some_and(|first| about.contains(&first))
        && let Some(early) = EarlyAnswer::of(connection)
    {
        add(answer.or(hello), Side::Server, What::EarlyData(early));
    }
    if about.is_empty() {
        let what = match connection.outcome {
            Outcome::NotOffered => What::FullHandshake,
            Outcome::Resumed(_) => What::Accepted,
            Outcome::Declined => What::Refused,
            Outcome::ExternalPsk => What::ExternalPsk,
            Outcome::Failed => What::Failed,
            Outcome::Unclear(cause) => What::NotVisible(cause.code()),
        };
        add(answer.or(hello), Side::Server, what);
    }
    for issued in connection.issued.iter().copied() {
        let issue = report
            .engine
            .credential_store()
            .get(issued)
            .and_then(|credential| credential.issued);
        let at = issue.filter(|issue| issue.connection == id).map(|issue| issue.at);
        let what = match () {
            () if about.contains(&issued) || about.is_empty() => What::Issued(issued),
            () if accepted => What::Renewed(issued),
            () => What::Replaced(issued),
        };
        add(at, Side::Server, what);
    }
    for side in Side::BOTH {
        ending(connection, side, &mut |at, what| add(at, side, what));
    }
    events
}

/// What the server made of an offer.
const fn answered(outcome: OfferOutcome) -> What {
    match outcome {
        OfferOutcome::Accepted => What::Accepted,
        OfferOutcome::Declined => What::Refused,
        OfferOutcome::Failed => What::Failed,
        OfferOutcome::PassedOver => What::PassedOver,
        OfferOutcome::Unclear(cause) => What::NotVisible(cause.code()),
    }
}

/// How one side ended the connection.
fn ending(connection: &Connection, side: Side, add: &mut dyn FnMut(Option<At>, What)) {
    let facts = connection.side(side);
    let notify = match side {
        Side::Client => connection.close.client,
        Side::Server => connection.close.server,
    };
    match notify {
        CloseNotify::Observed(at) if connection.transport.quic().is_some() => {
            add(Some(at), What::ConnectionClose);
        }
        CloseNotify::Observed(at) => {
            let inferred = connection.keys == Some(KeyOrigin::Embedded);
            add(Some(at), What::CloseNotify { inferred });
        }
        CloseNotify::Inferred(at) => add(Some(at), What::CloseNotify { inferred: true }),
        CloseNotify::AnswerToBareFin(at) => add(Some(at), What::AnswerToBareFin),
        CloseNotify::Absent | CloseNotify::Blind(_) => {}
    }
    if let Some(alert) = facts.alert.as_deref() {
        let (fatal, description) = (alert.fatal, alert.description);
        // A close_notify in clear is told already.
        if notify.at().is_none_or(|at| at.frame != alert.at.frame) {
            add(Some(alert.at), What::Alert { fatal, description });
        }
    }
    add(facts.fin, What::Fin);
    if let Some(reset) = facts.reset {
        let what = What::Reset {
            no_socket: reset.form == ResetForm::NoSocket,
            doubtful: reset.doubtful,
        };
        add(Some(reset.at), what);
    }
}

/// Who sent an event to whom, with the backend that answered.
pub(crate) fn ends_of(report: &Report<'_>, event: &LifeEvent) -> Option<String> {
    let connection = report.engine.connection_store().get(event.connection)?;
    let backend = report.analyses.backend(event.connection);
    let backend = backend.map_or_else(String::new, |backend| format!(" (backend-{backend})"));
    Some(match event.side {
        Side::Client => format!("{} → {}{backend}", connection.client, connection.server),
        Side::Server => format!("{}{backend} → {}", connection.server, connection.client),
    })
}

/// What an event was, in words.
pub(crate) fn words(report: &Report<'_>, what: What) -> String {
    let id = |id: CredentialId| {
        report
            .engine
            .credential_store()
            .get(id)
            .map_or_else(String::new, credential_id)
    };
    match what {
        What::Issued(credential) => format!("issued {}", id(credential)),
        What::FullHandshake => "full handshake".to_owned(),
        What::Offered(credential) => format!("offered {}", id(credential)),
        What::Accepted => "accepted".to_owned(),
        What::Refused => "refused".to_owned(),
        What::PassedOver => "passed over for another".to_owned(),
        What::ExternalPsk => "handshake with an external PSK".to_owned(),
        What::Failed => "handshake failed".to_owned(),
        What::EarlyData(answer) => answer.words(),
        What::NotVisible(cause) => format!("answer not visible ({cause})"),
        What::Renewed(credential) => format!("renewed as {}", id(credential)),
        What::Replaced(credential) => format!("another session begins: {}", id(credential)),
        What::CloseNotify { inferred: false } => "close_notify".to_owned(),
        What::CloseNotify { inferred: true } => "close_notify (inferred)".to_owned(),
        What::ConnectionClose => "CONNECTION_CLOSE".to_owned(),
        What::AnswerToBareFin => "alert after FIN: close_notify or an error".to_owned(),
        What::Alert { fatal, description } => {
            let level = if fatal { "fatal alert" } else { "alert" };
            format!("{level} {description}")
        }
        What::Fin => "FIN".to_owned(),
        What::Reset { no_socket, doubtful } => {
            let form = if no_socket { "no socket: without ACK" } else { "active" };
            let doubt = if doubtful { ", may have been ignored" } else { "" };
            format!("RST ({form}{doubt})")
        }
    }
}
