//! What only connections over UDP have.

use schemars::JsonSchema;
use serde::Serialize;

use super::connection::Causes;
use super::{End, Frame};
use crate::model::quic_version;
use reshake_core::session::{
    Blindness, ClientPath, CloseFrame, Connection, Cookie, DtlsFacts, QuicFacts, ResetCertainty,
};
use reshake_core::tls::AlertDescription;

/// An address of the client, and the first frame from there.
#[derive(Serialize, JsonSchema)]
pub(super) struct PathJson {
    /// The client.
    client: End,
    /// Its first frame.
    first: Frame,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct QuicJson {
    /// Of the handshake that decided.
    version: Option<String>,
    /// Whether the server sent a Version Negotiation.
    version_negotiation: Option<bool>,
    /// Whether the server sent a Retry.
    retry: Option<bool>,
    /// A first Initial bore a token of an earlier connection.
    token: Option<bool>,
    /// 0-RTT packets of the client.
    zero_rtt_packets: u32,
    /// The first is where it began; others only where a connection ID links them.
    paths: Vec<PathJson>,
    /// The stateless reset that ended it.
    stateless_reset: Option<bool>,
    /// The CONNECTION_CLOSE that was seen.
    close_frame: Option<CloseFrameJson>,
}

/// A CONNECTION_CLOSE frame.
#[derive(Serialize, JsonSchema)]
pub(super) struct CloseFrameJson {
    /// Number of the frame in its capture, as Wireshark counts.
    frame: Frame,
    /// initial, handshake or 1-rtt: the packet that carried it.
    space: &'static str,
    /// transport or application.
    layer: &'static str,
    /// Its code.
    code: u64,
    /// The TLS alert that it carries; null for another error.
    alert: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct DtlsJson {
    /// hello-verify, hello-retry or null.
    cookie: Option<&'static str>,
    /// Both hellos agree on one.
    connection_id: Option<bool>,
    /// Handshake messages that were sent again.
    retransmissions: u32,
    /// Addresses of the client; the first is where it began.
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
        if let Some(cause) = end_hidden(connection).filter(|_| facts.close_frame.is_none()) {
            not_visible.insert("quic.close_frame", cause);
        }
        if facts.token_or_retry {
            for path in ["quic.retry", "quic.token"] {
                not_visible.insert(path, "nothing-tells-apart");
            }
        }
        let hidden = unanswered(connection, facts);
        let undecided = hidden.or_else(|| version_hidden(connection, facts));
        let version = undecided.is_none().then(|| quic_version(facts.version));
        let unclear = facts.version_changed_unseen || facts.negotiation_unclear;
        let negotiation = hidden.or_else(|| unclear.then_some("nothing-tells-apart"));
        let version_negotiation =
            (facts.version_negotiation || negotiation.is_none()).then_some(facts.version_negotiation);
        let retry = facts.retry || (hidden.is_none() && !facts.token_or_retry);
        let retry = retry.then_some(facts.retry);
        for (path, missing, cause) in [
            ("quic.version", version.is_none(), undecided),
            ("quic.version_negotiation", version_negotiation.is_none(), negotiation),
            ("quic.retry", retry.is_none(), hidden),
        ] {
            if let Some(cause) = cause.filter(|_| missing) {
                not_visible.insert(path, cause);
            }
        }
        Some(Self {
            version,
            version_negotiation,
            retry,
            token: (!facts.token_or_retry).then_some(facts.token),
            zero_rtt_packets: facts.zero_rtt_packets,
            paths: paths(&facts.paths),
            stateless_reset,
            close_frame: facts.close_frame.as_ref().map(Into::into),
        })
    }
}

/// Why it is not visible in which version the server took the client's beginning, and whether it did at once.
fn unanswered(connection: &Connection, facts: &QuicFacts) -> Option<&'static str> {
    let cause = connection.answer.blind().filter(|_| facts.unsettled);
    cause.map(Blindness::code)
}

/// Why it is not visible in which version the two go on: of the server nothing was read that decides it.
fn version_hidden(connection: &Connection, facts: &QuicFacts) -> Option<&'static str> {
    let cause = connection.answer.blind().filter(|_| facts.version_open);
    cause.map(Blindness::code)
}

/// Why something may have ended the connection although nothing was seen to: without keys nobody can tell, and with them not where
/// packets stayed closed or the capture ends first.
fn end_hidden(connection: &Connection) -> Option<&'static str> {
    if connection.keys.is_none() {
        return Some("encrypted");
    }
    connection.close.class.blind().map(Blindness::code)
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
            if let Some(cause) = end_hidden(connection) {
                not_visible.insert("quic.stateless_reset", cause);
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
        // Both hellos tell; before the answer the server may still ask for a cookie.
        let unseen = connection.hello.blind().or(connection.answer.blind());
        for (path, missing) in [
            ("dtls.cookie", facts.cookie.is_none()),
            ("dtls.connection_id", !facts.connection_id),
        ] {
            if let Some(cause) = unseen.filter(|_| missing) {
                not_visible.insert(path, cause.code());
            }
        }
        Some(Self::from(facts, unseen))
    }

    fn from(facts: &DtlsFacts, unseen: Option<Blindness>) -> Self {
        Self {
            cookie: facts.cookie.map(Cookie::code),
            connection_id: (facts.connection_id || unseen.is_none()).then_some(facts.connection_id),
            retransmissions: facts.retransmissions,
            paths: paths(&facts.paths),
        }
    }
}
