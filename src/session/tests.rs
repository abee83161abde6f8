//! What the tests of this layer share: connections of which only little is known.

use std::sync::Arc;

use crate::net::{At, Endpoint, FrameRef, Timestamp};
use crate::stream::Spans;
use crate::tls::{CipherSuite, ProtocolVersion};

use super::{Connection, ConnectionId, Hello, Open, Seen, TicketExtension, Transport};

/// A second of packet time, and the frame of that number.
pub(super) fn at(second: u32) -> At {
    At {
        time: Timestamp::from_nanos(i64::from(second) * 1_000_000_000),
        frame: FrameRef::new(0, second.into()),
    }
}

pub(super) fn endpoint(last: u8) -> Endpoint {
    Endpoint {
        ip: [192, 0, 2, last].into(),
        port: 443,
    }
}

/// A connection that takes this second, of which no byte was seen.
pub(super) fn unseen(second: u32) -> Connection {
    let At { time, frame } = at(second);
    let transport = Transport {
        spans: Spans {
            main: (frame, frame),
            more: None,
        },
        started: time,
        ended: time,
        outer: None,
        preamble: None,
        unreachable: false,
        round_trip: None,
        client_isn: None,
        behind: None,
    };
    Open::new(ConnectionId(second), endpoint(1), endpoint(2), transport)
        .facts()
        .clone()
}

/// The same with a ClientHello for this server name, of so many suites.
pub(super) fn with_hello(second: u32, name: &str, suites: usize) -> Connection {
    Connection {
        hello: Seen::Yes(Hello {
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
            suites: Arc::from(vec![CipherSuite(0xc02f); suites]),
            stack: 1,
            shape: 1,
        }),
        ..unseen(second)
    }
}
