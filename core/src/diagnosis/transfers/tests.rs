use smallvec::smallvec;

use super::*;
use crate::net::Endpoint;
use crate::session::tests::{answered, at, endpoint, offer};
use crate::session::{
    Credential, CredentialFingerprint, Issue, Mechanism, OfferKind, ProtocolVersion, RareFacts, preamble,
};

/// A connection to this port over these seconds, with a full handshake.
fn full(port: u16, seconds: (u32, u32), version: ProtocolVersion) -> Connection {
    let mut connection = answered(seconds.0, "a.test", version);
    connection.server = Endpoint { port, ..endpoint(2) };
    connection.transport.ended = at(seconds.1).time;
    connection.outcome = Outcome::NotOffered;
    connection.completed = Completed::Yes;
    connection
}

fn control(seconds: (u32, u32), version: ProtocolVersion) -> Connection {
    let mut connection = full(21, seconds, version);
    let before = preamble::classify(b"AUTH TLS\r\n", b"220 ready\r\n");
    connection.transport.uncommon = Some(Box::new(RareFacts {
        preamble: Some(before),
        ..RareFacts::default()
    }));
    connection
}

/// A transfer in this second that resumes a session.
fn resumed(second: u32, credential: u32, version: ProtocolVersion) -> Connection {
    let kind = if version.is_tls13() {
        Mechanism::Psk
    } else {
        Mechanism::Ticket
    };
    Connection {
        offers: smallvec![offer(credential, OfferKind::Resumption(kind))],
        accepted: Some(CredentialId(credential)),
        outcome: Outcome::Resumed(Some(kind)),
        ..full(50_000, (second, second), version)
    }
}

/// Credentials of which the first were issued by these connections, and the last were not seen.
fn credential_store(issuers: &[Option<u32>]) -> CredentialStore {
    let mut credential_store = CredentialStore::default();
    for (number, issuer) in (0_u8..).zip(issuers) {
        let name = CredentialFingerprint::of(&[number; 40]);
        let issue = issuer.map(|connection| Issue {
            connection: ConnectionId(connection),
            at: at(connection),
        });
        credential_store.enter(TransportKind::Tcp, Mechanism::Ticket, &name, || Credential {
            issued: issue,
            ..Credential::unseen(TransportKind::Tcp, Mechanism::Ticket, name, endpoint(2))
        });
    }
    credential_store
}

fn sessions(connections: Vec<Connection>, issuers: &[Option<u32>]) -> Vec<Option<(u32, Seen<TransferSession>)>> {
    let mut credential_store = credential_store(issuers);
    let mut connection_store = ConnectionStore::new(usize::MAX);
    for connection in connections {
        let id = connection_store.reserve();
        connection_store.keep(id, connection, &mut credential_store);
    }
    let order: Vec<ConnectionId> = connection_store.iter().map(|(id, _)| id).collect();
    let found = Transfers::of(&connection_store, &credential_store, &order);
    let each = order.iter().map(|id| found.get(*id));
    each.map(|transfer| transfer.map(|transfer| (transfer.control.0, transfer.session)))
        .collect()
}

const TLS12: ProtocolVersion = ProtocolVersion::TLS_1_2;
const TLS13: ProtocolVersion = ProtocolVersion::TLS_1_3;
const CONTROL: Seen<TransferSession> = Seen::Yes(TransferSession::Control);
const OTHER: Seen<TransferSession> = Seen::Yes(TransferSession::Other);
const NONE: Seen<TransferSession> = Seen::Yes(TransferSession::None);

#[test]
fn a_transfer_is_told_by_what_it_resumed() {
    let found = sessions(
        vec![
            control((0, 100), TLS12),
            resumed(1, 0, TLS12),
            // By the ticket that the first transfer brought.
            resumed(2, 1, TLS12),
            full(50_001, (3, 3), TLS12),
            // By a ticket of the full handshake before.
            resumed(4, 2, TLS12),
        ],
        &[Some(0), Some(1), Some(3)],
    );
    let expected = [
        None,
        Some((0, CONTROL)),
        Some((0, CONTROL)),
        Some((0, NONE)),
        Some((0, OTHER)),
    ];
    assert_eq!(found, expected);
}

#[test]
fn of_several_control_connections_the_credential_tells() {
    let found = sessions(
        vec![
            control((0, 100), TLS12),
            control((1, 100), TLS12),
            resumed(2, 1, TLS12),
            full(50_001, (3, 3), TLS12),
            resumed(4, 0, TLS12),
        ],
        &[Some(0), Some(1)],
    );
    assert_eq!(found[2..], [Some((1, CONTROL)), None, Some((0, CONTROL))]);
}

#[test]
fn what_is_no_transfer_is_none() {
    let mut elsewhere = full(50_001, (3, 3), TLS12);
    elsewhere.server.ip = [192, 0, 2, 77].into();
    let web = full(443, (4, 4), TLS12);
    let found = sessions(
        vec![
            full(50_001, (0, 0), TLS12),
            control((1, 10), TLS12),
            elsewhere,
            web,
            full(50_001, (11, 11), TLS12),
        ],
        &[],
    );
    assert_eq!(found, [None; 5]);
}

#[test]
fn an_encrypted_issue_is_told_only_where_nobody_else_can_have_issued() {
    let found = sessions(
        vec![
            control((0, 100), TLS13),
            resumed(1, 0, TLS13),
            resumed(2, 1, TLS13),
            full(50_001, (3, 3), TLS13),
            resumed(4, 2, TLS13),
        ],
        &[None, None, None],
    );
    let hidden = Seen::Blind(Blindness::Encrypted);
    assert_eq!(
        found[1..],
        [
            Some((0, CONTROL)),
            Some((0, CONTROL)),
            Some((0, NONE)),
            Some((0, hidden))
        ]
    );
    let before = sessions(
        vec![full(443, (0, 0), TLS13), control((1, 100), TLS13), resumed(2, 0, TLS13)],
        &[None],
    );
    assert_eq!(before[2], Some((1, hidden)));
}
