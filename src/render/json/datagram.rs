//! What only connections over UDP have.

use schemars::JsonSchema;
use serde::Serialize;

use super::connection::Causes;
use super::{End, Frame};
use crate::model::quic_version;
use reshake_core::session::{ClientPath, CloseFrame, Connection, Cookie, QuicFacts, ResetCertainty};
use reshake_core::tls::AlertDescription;

/// An address of the client, and the first frame from there.
#[derive(Serialize, JsonSchema)]
pub(super) struct PathJson {
    client: End,
    first: Frame,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct QuicJson {
    /// Of the handshake that decided.
    version: String,
    version_negotiation: bool,
    retry: bool,
    /// A first Initial bore a token of an earlier connection.
    token: bool,
    zero_rtt_packets: u32,
    /// The first is where it began; others only where a connection ID links them.
    paths: Vec<PathJson>,
    stateless_reset: Option<bool>,
    close_frame: Option<CloseFrameJson>,
}

/// A CONNECTION_CLOSE frame.
#[derive(Serialize, JsonSchema)]
pub(super) struct CloseFrameJson {
    frame: Frame,
    space: &'static str,
    layer: &'static str,
    code: u64,
    alert: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct DtlsJson {
    cookie: Option<&'static str>,
    connection_id: Option<bool>,
    retransmissions: u32,
    paths: Vec<PathJson>,
}

fn paths(paths: &[ClientPath]) -> Vec<PathJson> {
    let path = |path: &ClientPath| PathJson {
        client: path.client.into(),
        first: path.first.into(),
    };
    paths.iter().map(path).collect()
}

impl QuicJson {
    pub(super) fn of(connection: &Connection, not_visible: &mut Causes, inferred: &mut Causes) -> Option<Self> {
        let facts = connection.transport.quic()?;
        let stateless_reset = stateless_reset(connection, facts, not_visible, inferred);
        if facts.close_frame.is_none() && connection.keys.is_none() {
            not_visible.insert("quic.close_frame", "encrypted");
        }
        Some(Self {
            version: quic_version(facts.version),
            version_negotiation: facts.version_negotiation,
            retry: facts.retry,
            token: facts.token,
            zero_rtt_packets: facts.zero_rtt_packets,
            paths: paths(&facts.paths),
            stateless_reset,
            close_frame: facts.close_frame.as_ref().map(Into::into),
        })
    }
}

/// Without its token a stateless reset looks like any small packet; what is only possible is not told as one.
fn stateless_reset(
    connection: &Connection,
    facts: &QuicFacts,
    not_visible: &mut Causes,
    inferred: &mut Causes,
) -> Option<bool> {
    match facts.stateless_reset.map(|reset| reset.certainty) {
        Some(ResetCertainty::Token) => Some(true),
        Some(ResetCertainty::Repeated) => {
            inferred.insert(
                "quic.stateless_reset",
                "several small datagrams end in the same 16 bytes",
            );
            Some(true)
        }
        Some(ResetCertainty::Possible) => {
            not_visible.insert("quic.stateless_reset", "encrypted");
            None
        }
        None => {
            if connection.keys.is_none() {
                not_visible.insert("quic.stateless_reset", "encrypted");
            }
            None
        }
    }
}

impl From<&CloseFrame> for CloseFrameJson {
    fn from(frame: &CloseFrame) -> Self {
        Self {
            frame: frame.at.into(),
            space: frame.space.code(),
            layer: if frame.application { "application" } else { "transport" },
            code: frame.code,
            alert: frame.alert().map(|alert| AlertDescription(alert).to_string()),
        }
    }
}

impl DtlsJson {
    pub(super) fn of(connection: &Connection, not_visible: &mut Causes) -> Option<Self> {
        let facts = connection.transport.dtls()?;
        if let (None, Some(cause)) = (facts.cookie, connection.hello.blind()) {
            not_visible.insert("dtls.cookie", cause.code());
        }
        // Both hellos say it.
        let unseen = connection.hello.blind().or(connection.answer.blind());
        let connection_id = match unseen {
            Some(cause) if !facts.connection_id => {
                not_visible.insert("dtls.connection_id", cause.code());
                None
            }
            _ => Some(facts.connection_id),
        };
        Some(Self {
            cookie: facts.cookie.map(Cookie::code),
            connection_id,
            retransmissions: facts.retransmissions,
            paths: paths(&facts.paths),
        })
    }
}
