//! One credential: what it is, where it was issued, and what became of its offers.

use schemars::JsonSchema;
use serde::Serialize;

use super::Time;
use super::connection::{Causes, ReasonJson};
use crate::model::{Report, connection_id, credential_id, service_id};
use reshake_core::diagnosis::{OfferOutcome, state_of};
use reshake_core::net::hex;
use reshake_core::session::{Connection, ConnectionId, Credential, CredentialId, Mechanism, Outcome, Service};

#[derive(Serialize, JsonSchema)]
pub(super) struct TicketJson {
    /// Its first 16 bytes, in hex.
    prefix: String,
    /// Length in bytes.
    length: u32,
    /// SHA-256 of all of it.
    sha256: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct IssuedJson {
    /// Id of the connection.
    connection: Option<String>,
    /// Index of the capture in captures.
    capture: u16,
    /// Number of the frame in its capture, as Wireshark counts.
    frame: u64,
    /// When.
    time: Time,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct OfferJson {
    /// Id of the connection.
    connection: String,
    /// resumed, declined, failed, unclear or external-psk; passed-over: the server took another of the same hello.
    outcome: &'static str,
}

/// What became of an offer, in the words that connections have, and one more.
fn offer_code(connection: &Connection, offered: CredentialId) -> &'static str {
    match OfferOutcome::of(connection, offered) {
        OfferOutcome::PassedOver => "passed-over",
        OfferOutcome::Declined => Outcome::Declined.code(),
        OfferOutcome::Accepted | OfferOutcome::Failed | OfferOutcome::Unclear(_) => connection.outcome.code(),
    }
}

#[derive(Serialize, JsonSchema)]
pub(super) struct CredentialJson<'a> {
    /// Id, made of content: it does not move with options or order.
    id: String,
    /// tcp, quic or dtls.
    transport: &'static str,
    /// session-id, ticket or psk.
    mechanism: &'static str,
    /// The session ID in hex.
    session_id: Option<String>,
    /// The ticket: beginning, length and hash.
    ticket: Option<TicketJson>,
    /// Where it was issued; null when that is not in the capture or not visible.
    issued: Option<IssuedJson>,
    /// Connections that may have issued it, where the packets do not say.
    issuer_candidates: Vec<String>,
    /// Id of its service.
    service: String,
    /// Version as negotiated.
    tls_version: Option<String>,
    /// Server name that the client asked for (SNI).
    server_name: Option<&'a str>,
    /// Lifetime that the server promised.
    lifetime_seconds: Option<u32>,
    /// Bytes of early data that the ticket allows; only where its issue was read with keys and it allows any.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_early_data: Option<u32>,
    /// Name of the ticket key, in hex.
    key_name: Option<String>,
    /// Where it was offered, and what became of that.
    offers: Vec<OfferJson>,
    /// What became of it.
    state: &'static str,
    /// yes, no or unknown: whether it could still resume at the end of the capture.
    resumable: &'static str,
    /// Why it did not resume, the primary reason first; empty for a plain resumption.
    reasons: Vec<ReasonJson>,
    /// Paths of values that the packets do not show, each with why.
    not_visible: Causes,
    /// Paths of values that are concluded, not read, each with why.
    inferred: Causes,
}

/// Bytes of a ticket that reports show.
const TICKET_PREFIX: usize = 16;

impl<'a> CredentialJson<'a> {
    pub(super) fn of(report: &'a Report<'_>, id: CredentialId, credential: &'a Credential) -> Self {
        let connection_store = report.engine.connection_store();
        let mut not_visible = Causes::new();
        let tls13 = credential.mechanism == Mechanism::Psk;
        let first_offer = credential
            .offers
            .first()
            .and_then(|offer| Some((*offer, connection_store.get(*offer)?)));
        if credential.issued.is_none() {
            not_visible.insert("issued", if tls13 { "encrypted" } else { "capture-started-late" });
            for field in ["tls_version", "server_name", "lifetime_seconds"] {
                not_visible.insert(field, if tls13 { "encrypted" } else { "capture-started-late" });
            }
        }
        // What the connection that issued it did not show of itself.
        let issuer = credential
            .issued
            .and_then(|issue| connection_store.get(issue.connection));
        let version_hidden = issuer.and_then(|issuer| issuer.answer.blind());
        let name_hidden = issuer.and_then(|issuer| issuer.hello.blind());
        for (field, cause, missing) in [
            ("tls_version", version_hidden, credential.version.is_none()),
            ("server_name", name_hidden, credential.server_name.is_none()),
        ] {
            if let Some(cause) = cause.filter(|_| missing) {
                not_visible.insert(field, cause.code());
            }
        }
        let candidates = match (tls13 && credential.issued.is_none(), first_offer) {
            (true, Some((offer, _))) => report.issuer_candidates(offer),
            _ => Vec::new(),
        };
        let connection_ids = |ids: Vec<ConnectionId>| {
            ids.into_iter()
                .filter_map(|id| connection_store.get(id))
                .map(connection_id)
                .collect()
        };
        let (state, resumable) = state_of(id, credential, connection_store, report.last_time());
        if state == reshake_core::diagnosis::CredentialState::Unknown {
            not_visible.insert("state", if tls13 { "encrypted" } else { "capture-started-late" });
        }
        let service_name = credential
            .server_name
            .clone()
            .or_else(|| first_offer.and_then(|(_, offer)| offer.server_name().cloned()));
        let is_session_id = credential.mechanism == Mechanism::SessionId;
        Self {
            id: credential_id(credential),
            transport: credential.transport.code(),
            mechanism: credential.mechanism.code(),
            session_id: is_session_id.then(|| hex(credential.name.head())),
            ticket: (!is_session_id).then(|| TicketJson {
                prefix: hex(credential
                    .name
                    .head()
                    .get(..TICKET_PREFIX)
                    .unwrap_or(credential.name.head())),
                length: credential.name.length,
                sha256: hex(&credential.name.sha256),
            }),
            issued: credential.issued.map(|issue| IssuedJson {
                connection: connection_store.get(issue.connection).map(connection_id),
                capture: issue.at.frame.capture(),
                frame: issue.at.frame.frame(),
                time: Time(issue.at.time),
            }),
            issuer_candidates: connection_ids(candidates),
            service: service_id(&Service {
                server: credential.server,
                name: service_name,
                transport: credential.transport,
            }),
            tls_version: credential.version.map(|version| version.to_string()),
            server_name: credential.server_name.as_deref(),
            lifetime_seconds: credential.lifetime,
            max_early_data: credential.psk.and_then(|terms| terms.max_early_data),
            key_name: report.analyses.key_name(id).map(|name| hex(name.bytes())),
            offers: credential
                .offers
                .iter()
                .filter_map(|offer| connection_store.get(*offer))
                .map(|connection| OfferJson {
                    connection: connection_id(connection),
                    outcome: offer_code(connection, id),
                })
                .collect(),
            state: state.code(),
            resumable: resumable.code(),
            reasons: Vec::new(),
            not_visible,
            inferred: Causes::new(),
        }
    }
}
