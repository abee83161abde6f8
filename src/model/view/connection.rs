//! One connection whole: what it is, what was offered, what became of it and why, and where to go from it.

use crate::model::protocol_text;
use crate::model::session::{Life, NameMeaning};
use crate::model::{Report, community_id, connection_id, cost, credential_id, moment};
use crate::wording::wrapping_text;
use crate::wording::{bytes, duration};
use reshake_core::session::{Close, Connection, ConnectionId, CredentialId, EarlyData, OfferKind, Outcome, Seen, Side};
use reshake_core::tls::ProtocolVersion;

use super::{FrameLabel, FrameNames, ReasonView, Rung, ladder, name_of, offset, span, wire};

/// A connection for a screen of its own.
#[derive(Debug, Clone)]
pub struct ConnectionView {
    /// Which.
    pub id: ConnectionId,
    /// Its number in the report.
    pub number: usize,
    /// Its id in reports.
    pub name: String,
    /// Client and server.
    pub title: String,
    /// What happened.
    pub outcome: Outcome,
    /// The same in words.
    pub outcome_text: String,
    /// Everything else that is known of it: what, and how it is.
    pub facts: Vec<(&'static str, String)>,
    /// Its messages.
    pub ladder: Vec<Rung>,
    /// Its reasons, primary first.
    pub reasons: Vec<ReasonView>,
    /// Wireshark filters, with the capture's name where there are several.
    pub filters: Vec<(Option<String>, String)>,
    /// The first frame of it.
    pub first: FrameLabel,
    /// The connection that issued what it offered.
    pub issuer: Option<ConnectionId>,
    /// The credential that it is about: accepted, offered, or issued.
    pub credential: Option<CredentialId>,
    /// The connection of the same session before it, and the one after it.
    pub neighbours: (Option<ConnectionId>, Option<ConnectionId>),
}

/// Connections of a session among which the neighbours are looked for: a key configured on both sides may be used by
/// every connection of a capture.
const MAX_USERS: usize = 10_000;

impl ConnectionView {
    /// Of the connection at a place.
    #[must_use]
    pub fn at(report: &Report<'_>, place: usize) -> Option<Self> {
        let (number, id, connection) = report.at(place)?;
        let frames = FrameNames::of(report);
        let credential = credential_of(connection);
        Some(Self {
            id,
            number,
            name: connection_id(connection),
            title: format!(
                "{} → {} ({})",
                connection.client,
                name_of(connection.server_name().map(AsRef::as_ref)),
                connection.server
            ),
            outcome: connection.outcome,
            outcome_text: outcome_text(connection.outcome),
            facts: facts(report, id, connection, &frames),
            ladder: ladder(report, connection),
            reasons: report
                .reasons(id, connection)
                .iter()
                .map(|judged| ReasonView::of(judged, &frames))
                .collect(),
            filters: report
                .display_filter(connection)
                .map(|(capture, filter)| (frames.capture(capture).map(ToOwned::to_owned), filter))
                .collect(),
            first: frames.label(connection.transport.first()),
            issuer: issuer(report, id, connection),
            credential,
            neighbours: credential.map_or((None, None), |credential| neighbours(report, id, credential)),
        })
    }
}

/// What happened, in words.
#[must_use]
pub fn outcome_text(outcome: Outcome) -> String {
    let name = super::OUTCOMES.get(super::outcome_place(outcome)).copied();
    let name = name.unwrap_or_default();
    match outcome {
        Outcome::Resumed(Some(mechanism)) => format!("{name} by {}", super::credential::kind(mechanism)),
        Outcome::Unclear(cause) => format!("{name} ({})", cause.code()),
        _ => name.to_owned(),
    }
}

/// The version without the protocol's name.
pub(super) fn version_text(version: ProtocolVersion) -> String {
    let text = version.to_string();
    text.strip_prefix("TLS ").map_or(text.clone(), ToOwned::to_owned)
}

/// What was offered, in one word each.
pub(super) fn offered(connection: &Connection) -> String {
    if let Some(cause) = connection.hello.blind() {
        return format!("? {}", cause.code());
    }
    let mut kinds: Vec<&str> = Vec::new();
    for offer in &connection.offers {
        let kind = match offer.kind {
            OfferKind::Resumption(mechanism) => super::credential::kind(mechanism),
            OfferKind::ExternalPsk => "external PSK",
            OfferKind::UnclearPsk => "PSK?",
            OfferKind::UnclearSessionId => "session ID?",
        };
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    if kinds.is_empty() {
        "-".to_owned()
    } else {
        kinds.join(", ")
    }
}

/// The class of a close, or why there is none.
pub(super) fn close_text(close: &Close) -> String {
    match close.class {
        Seen::Yes(class) => class.code().to_owned(),
        Seen::No => "-".to_owned(),
        Seen::Blind(cause) => format!("? {}", cause.code()),
    }
}

fn credential_of(connection: &Connection) -> Option<CredentialId> {
    let offered = connection.offers.first().map(|offer| offer.credential);
    connection.accepted.or(offered).or(connection.issued.first().copied())
}

/// The connection that issued an offered credential: of the accepted one, else of the first that is known.
fn issuer(report: &Report<'_>, id: ConnectionId, connection: &Connection) -> Option<ConnectionId> {
    let credential_store = report.engine.credential_store();
    let offered = connection.offers.iter().map(|offer| offer.credential);
    let issuers = connection.accepted.into_iter().chain(offered).filter_map(|credential| {
        let issue = credential_store.get(credential)?.issued?;
        report.place_of(issue.connection)?;
        (issue.connection != id).then_some(issue.connection)
    });
    issuers.into_iter().next()
}

fn neighbours(
    report: &Report<'_>,
    id: ConnectionId,
    credential: CredentialId,
) -> (Option<ConnectionId>, Option<ConnectionId>) {
    let users = report.engine.credential_store().get(credential);
    if users.is_none_or(|credential| credential.offers.len() > MAX_USERS) {
        return (None, None);
    }
    let life = Life::of(report, NameMeaning::Credential(credential));
    let shown: Vec<ConnectionId> = life
        .connections
        .into_iter()
        .filter(|id| report.place_of(*id).is_some())
        .collect();
    let place = shown.iter().position(|other| *other == id);
    let at = |place: Option<usize>| place.and_then(|place| shown.get(place)).copied();
    (
        at(place.and_then(|place| place.checked_sub(1))),
        at(place.map(|place| place + 1)),
    )
}

fn facts(
    report: &Report<'_>,
    id: ConnectionId,
    connection: &Connection,
    frames: &FrameNames,
) -> Vec<(&'static str, String)> {
    let mut facts = vec![("began", began(report, connection))];
    facts.push(("protocol", protocol(connection)));
    if connection.offers.is_empty() {
        let nothing = match connection.offers_hidden() {
            Some(cause) => format!("not visible ({})", cause.code()),
            None => "nothing".to_owned(),
        };
        facts.push(("offered", nothing));
    }
    for offer in &connection.offers {
        facts.push(("offered", offer_text(report, connection, offer.credential, frames)));
    }
    match connection.early_data {
        EarlyData::NotOffered => {}
        EarlyData::Accepted { inferred: true, .. } => facts.push(("early data", "accepted (inferred)".to_owned())),
        EarlyData::Accepted { inferred: false, .. } => facts.push(("early data", "accepted".to_owned())),
        EarlyData::Rejected { .. } => facts.push(("early data", "refused".to_owned())),
        EarlyData::Unclear(cause) => facts.push(("early data", format!("not visible ({})", cause.code()))),
    }
    facts.push(("answered by", answered_by(report, id)));
    let outer: Vec<String> = connection.transport.outer().iter().map(wrapping_text).collect();
    if !outer.is_empty() {
        facts.push(("inside of", outer.join(", ")));
    }
    facts.push(("close", closing(connection)));
    facts.push(("cost", cost_text(connection)));
    facts.push((
        "known as",
        format!(
            "{}   community {}",
            connection_id(connection),
            community_id(connection.transport.kind(), connection.client, connection.server)
        ),
    ));
    facts
}

fn began(report: &Report<'_>, connection: &Connection) -> String {
    let started = connection.transport.started;
    format!(
        "{} UTC, {} s after the first packet",
        moment(started).strftime("%Y-%m-%d %H:%M:%S%.3f"),
        super::micros(offset(report, started))
    )
}

fn protocol(connection: &Connection) -> String {
    match &connection.answer {
        Seen::Yes(answer) => {
            let alpn = answer.alpn.as_deref();
            let alpn = alpn.map_or_else(String::new, |alpn| format!("   ALPN {}", wire(alpn)));
            let retry = if connection.retry.is_some() {
                "   after HelloRetryRequest"
            } else {
                ""
            };
            let protocol = protocol_text(connection).unwrap_or_default();
            format!("{protocol}   {}{alpn}{retry}", answer.suite)
        }
        Seen::No => "no ServerHello".to_owned(),
        Seen::Blind(cause) => format!("not visible ({})", cause.code()),
    }
}

/// One offered credential, with its issue where that was seen.
fn offer_text(report: &Report<'_>, connection: &Connection, id: CredentialId, frames: &FrameNames) -> String {
    let Some(credential) = report.engine.credential_store().get(id) else {
        return "a credential that is no longer kept".to_owned();
    };
    let issued = match credential.issued {
        Some(issue) => {
            let backend = report.analyses.backend(issue.connection);
            let backend = backend.map_or_else(String::new, |backend| format!(" by backend-{backend}"));
            let age = duration(connection.hello_time().since(issue.at.time));
            let frame = frames.label(issue.at.frame).text;
            format!("issued in frame {frame}{backend}, {age} before")
        }
        None if connection.is_tls13() => "issue not visible (encrypted)".to_owned(),
        None => "issue not seen".to_owned(),
    };
    let taken = if connection.accepted == Some(id) {
        ", accepted"
    } else {
        ""
    };
    let kind = super::credential::kind(credential.mechanism);
    format!("{kind} {}, {issued}{taken}", credential_id(credential))
}

fn answered_by(report: &Report<'_>, id: ConnectionId) -> String {
    match (report.analyses.backend(id), report.analyses.domain(id)) {
        (None, None) => "nothing tells backends apart".to_owned(),
        (Some(backend), None) => format!("backend-{backend}"),
        (None, Some(domain)) => format!("cache domain-{domain}"),
        (Some(backend), Some(domain)) => format!("backend-{backend}, cache domain-{domain}"),
    }
}

fn closing(connection: &Connection) -> String {
    let close = &connection.close;
    let first = match close.first_closer.yes() {
        Some(Side::Client) => ", the client closed first",
        Some(Side::Server) => ", the server closed first",
        None => "",
    };
    match close.class {
        Seen::Blind(cause) => format!("not visible ({}){first}", cause.code()),
        Seen::Yes(_) | Seen::No => format!("{}{first}", close_text(close)),
    }
}

fn cost_text(connection: &Connection) -> String {
    let cost = cost::of(connection);
    let trips = cost.extra_round_trips;
    let trips = trips.map_or_else(|| "not visible".to_owned(), |trips| trips.to_string());
    let size = cost::handshake_bytes(connection).map_or_else(|| "not visible".to_owned(), bytes);
    format!(
        "handshake {}, round trip {}, extra round trips {trips}, bytes {size}",
        span(cost.handshake),
        span(cost.rtt)
    )
}
