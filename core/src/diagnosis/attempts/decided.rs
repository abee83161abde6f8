//! What became of an offer, and which rules of an RFC this server passes over.

use hashbrown::HashSet;

use super::necessity::Necessity;
use super::{Attempts, BrokenBy, Decision, OfferedCredential};
use crate::session::{Connection, Credential, CredentialId, Mechanism, Offer, Outcome, Side};
use crate::tls::AlertDescription;
use crate::tls::cipher::KdfHash;

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

/// By what a handshake broke visibly, if it did: a fatal alert, or an end by the server. A client that leaves without a word went
/// away.
pub(super) fn broke(connection: &Connection) -> Option<BrokenBy> {
    let sides = || Side::BOTH.iter().map(|side| connection.side(*side));
    let alert = sides().any(|side| side.fatal_alert().is_some() || side.handshake_alert.is_some());
    let by_version = sides()
        .filter_map(|side| side.fatal_alert())
        .any(|alert| alert.description == AlertDescription::PROTOCOL_VERSION);
    let by_server = match (connection.client_side.ended(), connection.server_side.ended()) {
        (Some(client), Some(server)) => server.time < client.time,
        (None, server) => server.is_some(),
        (Some(_), None) => false,
    };
    let by = if by_version { BrokenBy::Version } else { BrokenBy::Other };
    (connection.outcome == Outcome::Failed && (alert || by_server)).then_some(by)
}

pub(super) fn decision(connection: &Connection, id: CredentialId, mechanism: Mechanism) -> Decision {
    let decoy = mechanism == Mechanism::Psk && connection.hello.yes().is_some_and(|hello| hello.encrypted_client_hello);
    match connection.outcome {
        Outcome::Resumed(_) if connection.accepted == Some(id) => Decision::Accepted,
        Outcome::Declined if connection.accepted.is_none() && !decoy => Decision::Refused,
        Outcome::Failed if broke(connection).is_some() => Decision::Broken,
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

/// Whether the server chose a suite of TLS 1.3 that is not the session's. With one of the same hash it may accept a PSK (RFC 8446
/// §4.2.11); some servers choose the suite first and refuse it for that, so that a refusal shows nothing else.
pub(super) fn other_suite(connection: &Connection, credential: &Credential, mechanism: Mechanism) -> bool {
    let psk = mechanism == Mechanism::Psk;
    let answer = connection
        .answer
        .yes()
        .filter(|answer| psk && answer.version.is_tls13());
    let suites = answer.map(|answer| answer.suite).zip(credential.suite);
    suites.is_some_and(|(chosen, own)| chosen != own && chosen.kdf_hash() == own.kdf_hash())
}

/// Whether the server chose a suite of TLS 1.3 whose hash is not that of the PSK. Servers choose the suite first.
pub(super) fn other_hash(connection: &Connection, offer: &Offer) -> bool {
    let answer = connection.answer.yes().filter(|answer| answer.version.is_tls13());
    let chosen = answer.and_then(|answer| answer.suite.kdf_hash());
    let own = KdfHash::of_binder(offer.binder);
    chosen.zip(own).is_some_and(|(chosen, own)| chosen != own)
}

#[cfg(test)]
mod tests {
    use smallvec::smallvec;

    use super::*;
    use crate::diagnosis::tests::full;
    use crate::session::tests::{at, offer};
    use crate::session::{CredentialFingerprint, Issue, OfferKind, ProtocolVersion, TransportKind};

    fn failed(client: Option<u32>, server: Option<u32>) -> Connection {
        let mut connection = Connection {
            outcome: Outcome::Failed,
            ..full(1)
        };
        connection.client_side.fin = client.map(at);
        connection.server_side.fin = server.map(at);
        connection
    }

    #[test]
    fn a_handshake_breaks_where_the_server_ends_it_first() {
        let broke = |connection: &Connection| super::broke(connection).is_some();
        assert!(broke(&failed(None, Some(5))));
        assert!(broke(&failed(Some(6), Some(5))));
        assert!(!broke(&failed(Some(5), Some(5))) && !broke(&failed(Some(4), Some(5))));
        assert!(!broke(&failed(Some(5), None)) && !broke(&failed(None, None)));
        let resumed = Connection {
            outcome: Outcome::Resumed(None),
            ..failed(None, Some(5))
        };
        assert!(!broke(&resumed));
    }

    #[test]
    fn what_a_server_did_is_a_decision_only_where_it_had_the_choice() {
        let with = |outcome, accepted: Option<u32>, mechanism, ech| {
            let mut connection = Connection {
                outcome,
                accepted: accepted.map(CredentialId),
                offers: smallvec![offer(1, OfferKind::Resumption(mechanism))],
                ..failed(None, Some(5))
            };
            connection.hello.yes_mut().expect("a hello").encrypted_client_hello = ech;
            decision(&connection, CredentialId(1), mechanism)
        };
        let (id, psk) = (Mechanism::SessionId, Mechanism::Psk);
        assert_eq!(with(Outcome::Resumed(Some(id)), Some(1), id, false), Decision::Accepted);
        assert_eq!(
            with(Outcome::Resumed(Some(id)), Some(2), id, false),
            Decision::NotJudged
        );
        assert_eq!(with(Outcome::Declined, None, id, false), Decision::Refused);
        assert_eq!(with(Outcome::Declined, Some(2), id, false), Decision::NotJudged);
        assert_eq!(with(Outcome::Failed, None, id, false), Decision::Broken);
        // The true offer may be inside: of a ticket of TLS 1.3 nothing can be said.
        assert_eq!(with(Outcome::Declined, None, psk, true), Decision::NotJudged);
        assert_eq!(with(Outcome::Declined, None, id, true), Decision::Refused);
        assert_eq!(with(Outcome::Declined, None, psk, false), Decision::Refused);
    }

    fn session(mechanism: Mechanism, name: Option<&str>) -> Credential {
        Credential {
            server_name: name.map(Into::into),
            version: Some(ProtocolVersion::TLS_1_2),
            ..Credential::unseen(
                TransportKind::Tcp,
                mechanism,
                CredentialFingerprint::of(&[1]),
                crate::session::tests::endpoint(2),
            )
        }
    }

    #[test]
    fn a_name_is_another_whatever_its_case_and_only_where_the_session_s_is_known() {
        let connection = full(1);
        let other = |mechanism, name| other_name(&connection, &session(mechanism, name), mechanism);
        let id = Mechanism::SessionId;
        assert!(other(id, Some("b.test")) && !other(id, Some("A.TEST")) && !other(id, None));
        assert!(!other(Mechanism::Psk, Some("b.test")), "its issue was not seen");
        let mut seen = session(Mechanism::Psk, Some("b.test"));
        seen.issued = Some(Issue {
            connection: crate::session::ConnectionId(0),
            at: at(1),
        });
        assert!(other_name(&connection, &seen, Mechanism::Psk));
        let mut nameless = full(1);
        nameless.hello.yes_mut().expect("a hello").server_name = None;
        assert!(other_name(&nameless, &session(id, Some("b.test")), id));
    }

    #[test]
    fn a_version_is_another_than_the_session_s_or_none_that_could_take_it() {
        let connection = full(1);
        let other = |mechanism, version| {
            let credential = Credential {
                version,
                ..session(mechanism, None)
            };
            other_version(&connection, &credential, mechanism)
        };
        assert!(!other(Mechanism::Ticket, Some(ProtocolVersion::TLS_1_2)) && !other(Mechanism::Ticket, None));
        assert!(other(Mechanism::Ticket, Some(ProtocolVersion::TLS_1_0)));
        assert!(other(Mechanism::Psk, None), "an identity of TLS 1.3");
    }

    #[test]
    fn another_suite_of_the_same_hash_is_the_affair_of_the_server() {
        let answered = |version, own: u16, chosen: u16, mechanism| {
            let mut connection = crate::session::tests::answered(1, "a.test", version);
            connection.answer.yes_mut().expect("an answer").suite = crate::tls::CipherSuite(chosen);
            let mut credential = session(mechanism, None);
            credential.suite = Some(crate::tls::CipherSuite(own));
            other_suite(&connection, &credential, mechanism)
        };
        let other = |own, chosen, mechanism| answered(ProtocolVersion::TLS_1_3, own, chosen, mechanism);
        assert!(other(0x1301, 0x1303, Mechanism::Psk));
        // A server of an older version has no PSK to take.
        assert!(!answered(ProtocolVersion::TLS_1_2, 0x1301, 0xc02f, Mechanism::Psk));
        assert!(!other(0x1301, 0x1301, Mechanism::Psk) && !other(0x1302, 0x1301, Mechanism::Psk));
        assert!(!other(0x1301, 0x1303, Mechanism::Ticket));
    }

    #[test]
    fn a_suite_has_another_hash_than_the_psk_where_the_binder_is_of_another_length() {
        let other = |version, suite, binder| {
            let mut connection = crate::session::tests::answered(1, "a.test", version);
            connection.answer.yes_mut().expect("an answer").suite = crate::tls::CipherSuite(suite);
            let offer = Offer {
                binder,
                ..offer(0, OfferKind::Resumption(Mechanism::Psk))
            };
            other_hash(&connection, &offer)
        };
        let tls13 = ProtocolVersion::TLS_1_3;
        assert!(other(tls13, 0x1302, 32) && other(tls13, 0x1301, 48));
        assert!(!other(tls13, 0x1301, 32) && !other(tls13, 0x1302, 48));
        assert!(!other(ProtocolVersion::TLS_1_2, 0xc030, 32), "it has no binders");
    }

    #[test]
    fn missing_modes_break_a_handshake_and_refuse_nothing() {
        let kept = |necessity, broken| {
            let mut sketch = super::super::tests::Sketch::default();
            let number = sketch.offer(10, 1, (1, 2), false, |_, entry| {
                entry.necessity = Some(necessity);
                if broken {
                    entry.decision = Decision::Broken;
                }
            });
            let (mut table, _) = sketch.done();
            void_contradicted(&mut table);
            table.entry(number).and_then(|entry| entry.necessity)
        };
        assert_eq!(kept(Necessity::Modes, true), Some(Necessity::Modes));
        assert_eq!(kept(Necessity::Modes, false), None);
        assert_eq!(kept(Necessity::Cipher, false), Some(Necessity::Cipher));
    }
}
