//! What the tests of this layer share: connections of which only little is known.

use std::sync::Arc;

use crate::handshake::HandshakeTracker;
use crate::net::{At, Endpoint, FrameRef, Timestamp};
use crate::tcp::Spans;
use crate::tls::{CipherSuite, ProtocolVersion};

use super::{
    ClientHelloFacts, ClientStack, Connection, ConnectionId, CredentialId, Offer, OfferKind, Seen, ServerHelloFacts,
    StackExtensions, TicketExtension, Transport,
};

/// A second of packet time, and the frame of that number.
pub(crate) fn at(second: u32) -> At {
    At {
        time: Timestamp::from_nanos(i64::from(second) * 1_000_000_000),
        frame: FrameRef::new(0, second.into()),
    }
}

pub(crate) fn endpoint(last: u8) -> Endpoint {
    Endpoint {
        ip: [192, 0, 2, last].into(),
        port: 443,
    }
}

/// A connection that takes this second, of which no byte was seen.
pub(crate) fn unseen(second: u32) -> Connection {
    let At { time, frame } = at(second);
    let transport = Transport {
        spans: Spans {
            main: (frame, frame),
            more: None,
        },
        started: time,
        ended: time,
        round_trip: None,
        client_isn: None,
        uncommon: None,
    };
    HandshakeTracker::new(ConnectionId(second), endpoint(1), endpoint(2), transport)
        .facts()
        .clone()
}

/// The same with a ClientHello for this server name, of so many suites.
pub(crate) fn with_hello(second: u32, name: &str, suites: usize) -> Connection {
    Connection {
        hello: Seen::Yes(ClientHelloFacts {
            at: at(second),
            random: [0; 32],
            version: ProtocolVersion::TLS_1_2,
            offers_tls13: false,
            v2_format: false,
            session_id: None,
            ticket: TicketExtension::Absent,
            pre_shared_key: false,
            psk_modes: None,
            early_data: false,
            extended_master_secret: true,
            encrypted_client_hello: false,
            server_name: Some(name.into()),
            stack: stack(1, vec![CipherSuite(0xc02f); suites]),
            shape: 1,
        }),
        ..unseen(second)
    }
}

/// A program of this digest, with the suites that it offers.
pub(crate) fn stack(digest: u64, suites: Vec<CipherSuite>) -> Arc<ClientStack> {
    Arc::new(ClientStack {
        digest,
        suites: suites.into(),
        extensions: StackExtensions::default(),
    })
}

/// The same, answered in this version.
pub(crate) fn answered(second: u32, name: &str, version: ProtocolVersion) -> Connection {
    let answer = ServerHelloFacts {
        at: at(second),
        random: [0; 8],
        version,
        suite: CipherSuite(if version.is_tls13() { 0x1301 } else { 0xc02f }),
        session_id_length: 0,
        session_id_echoed: false,
        ticket_promised: false,
        extended_master_secret: true,
        encrypt_then_mac: false,
        selected_psk: None,
        key_share: false,
        alpn: None,
        shape: 1,
    };
    Connection {
        answer: Seen::Yes(answer),
        ..with_hello(second, name, 1)
    }
}

/// An offer of this kind, of the credential of this number.
pub(crate) fn offer(credential: u32, kind: OfferKind) -> Offer {
    Offer {
        credential: CredentialId(credential),
        kind,
        obfuscated_age: 0,
        binder: 0,
    }
}
