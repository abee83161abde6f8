//! What became of an offer, and which rules of an RFC this server passes over.

use hashbrown::HashSet;

use super::necessity::Necessity;
use super::{Attempts, Decision, OfferedCredential};
use crate::session::{Connection, Credential, CredentialId, Mechanism, Outcome, Side};

/// A rule of an RFC that this server was seen to pass over explains none of its refusals.
pub(super) fn void_contradicted(table: &mut Attempts) {
    let server = |entry: &OfferedCredential| {
        let row = table.rows.get(entry.row as usize)?;
        Some(table.services.get(row.service as usize)?.server)
    };
    let passed_over: HashSet<_> = table
        .entries
        .iter()
        .filter(|entry| entry.decision == Decision::Accepted)
        .filter_map(|entry| Some((entry.necessity?, server(entry)?)))
        .collect();
    let void: Vec<bool> = table
        .entries
        .iter()
        .map(|entry| {
            let key = entry.necessity.zip(server(entry));
            key.is_some_and(|key| passed_over.contains(&key)) || !of_its_kind(entry)
        })
        .collect();
    for (entry, void) in table.entries.iter_mut().zip(void) {
        if void {
            entry.necessity = None;
        }
    }
}

/// Which answer a defect can have: a missing extended master secret in the hello and missing modes abort the handshake
/// (RFC 7627 §5.3, RFC 8446 §4.2.9), one in the session alone never does.
fn of_its_kind(entry: &OfferedCredential) -> bool {
    match entry.necessity {
        Some(Necessity::Modes) => entry.decision == Decision::Broken,
        _ => true,
    }
}

/// Whether a handshake broke visibly: a fatal alert, or an end by the server. A client that leaves without a word went
/// away.
pub(super) fn broke(connection: &Connection) -> bool {
    let alert = Side::BOTH.iter().any(|side| {
        let side = connection.side(*side);
        side.fatal_alert().is_some() || side.handshake_alert.is_some()
    });
    let by_server = match (connection.client_side.ended(), connection.server_side.ended()) {
        (Some(client), Some(server)) => server.time < client.time,
        (None, server) => server.is_some(),
        (Some(_), None) => false,
    };
    connection.outcome == Outcome::Failed && (alert || by_server)
}

pub(super) fn decision(connection: &Connection, id: CredentialId, mechanism: Mechanism) -> Decision {
    let decoy = mechanism == Mechanism::Psk && connection.hello.yes().is_some_and(|hello| hello.encrypted_client_hello);
    match connection.outcome {
        Outcome::Resumed(_) if connection.accepted == Some(id) => Decision::Accepted,
        Outcome::Declined if connection.accepted.is_none() && !decoy => Decision::Refused,
        Outcome::Failed if broke(connection) => Decision::Broken,
        _ => Decision::NotJudged,
    }
}

/// Whether a session of TLS 1.2 or older is offered under another name than its own. In TLS 1.3 the name is the client's
/// affair, as far as that is visible.
pub(super) fn other_name(connection: &Connection, credential: &Credential, mechanism: Mechanism) -> bool {
    let Some(own) = credential
        .server_name
        .as_deref()
        .filter(|_| mechanism != Mechanism::Psk || credential.issued.is_some())
    else {
        return false;
    };
    connection
        .server_name()
        .is_none_or(|name| !name.eq_ignore_ascii_case(own))
}

/// Whether the server negotiated another version than that of the session.
pub(super) fn other_version(connection: &Connection, credential: &Credential, mechanism: Mechanism) -> bool {
    connection.version().is_some_and(|version| {
        let wrong_kind = (mechanism == Mechanism::Psk) != version.is_tls13();
        wrong_kind || credential.version.is_some_and(|own| own != version)
    })
}
