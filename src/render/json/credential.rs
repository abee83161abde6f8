//! One credential: what it is, where it was issued, and what became of its offers.

use schemars::JsonSchema;
use serde::Serialize;

use super::Time;
use super::connection::{Causes, ReasonJson};
use crate::model::{Report, connection_id, credential_id, service_id};
use reshake_core::diagnosis::{offer_outcome, state_of};
use reshake_core::net::hex;
use reshake_core::session::{ConnectionId, Credential, CredentialId, Mechanism, Service};

#[derive(Serialize, JsonSchema)]
pub(super) struct TicketJson {
    prefix: String,
    length: u32,
    sha256: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct IssuedJson {
    connection: Option<String>,
    capture: u16,
    frame: u64,
    time: Time,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct OfferJson {
    connection: String,
    outcome: &'static str,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct CredentialJson<'a> {
    id: String,
    transport: &'static str,
    mechanism: &'static str,
    session_id: Option<String>,
    ticket: Option<TicketJson>,
    issued: Option<IssuedJson>,
    issuer_candidates: Vec<String>,
    service: String,
    tls_version: Option<String>,
    server_name: Option<&'a str>,
    lifetime_seconds: Option<u32>,
    /// Bytes of early data that the ticket allows; only where its issue was read with keys and it allows any.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_early_data: Option<u32>,
    key_name: Option<String>,
    offers: Vec<OfferJson>,
    state: &'static str,
    resumable: &'static str,
    reasons: Vec<ReasonJson>,
    not_visible: Causes,
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
        let candidates = match (tls13 && credential.issued.is_none(), first_offer) {
            (true, Some((offer, connection))) => report.issuer_candidates(offer, connection),
            _ => Vec::new(),
        };
        let connection_ids = |ids: Vec<ConnectionId>| {
            ids.into_iter()
                .filter_map(|id| connection_store.get(id))
                .map(connection_id)
                .collect()
        };
        let (state, resumable) = state_of(id, credential, connection_store);
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
                    outcome: offer_outcome(connection, id).code(),
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
