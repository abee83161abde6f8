//! What only connections over UDP have, as facts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use reshake_core::session::{
    ClientPath, CloseFrame, Cookie, DatagramFacts, DtlsFacts, MAX_PATHS, PacketSpace, QuicFacts, ResetCertainty, Side,
    StatelessReset,
};

use super::value::{AtFact, Base, EndFact, FrameFact, SideFact, TransportFact, Wrong, at_back};

/// QUIC.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct QuicFact {
    version: u32,
    version_negotiation: bool,
    retry: bool,
    token: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    token_or_retry: bool,
    zero_rtt_packets: u32,
    paths: Vec<PathFact>,
    stateless_reset: Option<ResetFact>,
    close_frame: Option<CloseFrameFact>,
    server_application: Option<AtFact>,
}

/// DTLS.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct DtlsFact {
    cookie: Option<CookieFact>,
    connection_id: bool,
    retransmissions: u32,
    paths: Vec<PathFact>,
}

/// An address of the client, and the first frame from there.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
struct PathFact {
    client: EndFact,
    first: FrameFact,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
struct ResetFact {
    at: AtFact,
    certainty: CertaintyFact,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum CertaintyFact {
    Possible,
    Repeated,
    Token,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
struct CloseFrameFact {
    at: AtFact,
    by: SideFact,
    space: SpaceFact,
    application: bool,
    code: u64,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum SpaceFact {
    Initial,
    Handshake,
    OneRtt,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum CookieFact {
    HelloVerify,
    HelloRetry,
}

fn paths_of(paths: &[ClientPath]) -> Vec<PathFact> {
    let fact = |path: &ClientPath| PathFact {
        client: path.client.into(),
        first: path.first.into(),
    };
    paths.iter().map(fact).collect()
}

fn paths_back(facts: &[PathFact], base: Base) -> Result<Vec<ClientPath>, Wrong> {
    let path = |fact: &PathFact| {
        Ok(ClientPath {
            client: fact.client.into(),
            first: fact.first.back(base)?,
        })
    };
    facts.iter().take(MAX_PATHS).map(path).collect()
}

impl From<&QuicFacts> for QuicFact {
    fn from(facts: &QuicFacts) -> Self {
        Self {
            version: facts.version,
            version_negotiation: facts.version_negotiation,
            retry: facts.retry,
            token: facts.token,
            token_or_retry: facts.token_or_retry,
            zero_rtt_packets: facts.zero_rtt_packets,
            paths: paths_of(&facts.paths),
            stateless_reset: facts.stateless_reset.map(|reset| ResetFact {
                at: reset.at.into(),
                certainty: match reset.certainty {
                    ResetCertainty::Possible => CertaintyFact::Possible,
                    ResetCertainty::Repeated => CertaintyFact::Repeated,
                    ResetCertainty::Token => CertaintyFact::Token,
                },
            }),
            close_frame: facts.close_frame.map(Into::into),
            server_application: facts.server_application.map(Into::into),
        }
    }
}

impl QuicFact {
    fn back(&self, base: Base) -> Result<QuicFacts, Wrong> {
        let reset = |fact: ResetFact| {
            Ok(StatelessReset {
                at: fact.at.back(base)?,
                certainty: match fact.certainty {
                    CertaintyFact::Possible => ResetCertainty::Possible,
                    CertaintyFact::Repeated => ResetCertainty::Repeated,
                    CertaintyFact::Token => ResetCertainty::Token,
                },
            })
        };
        Ok(QuicFacts {
            version: self.version,
            version_negotiation: self.version_negotiation,
            retry: self.retry,
            token: self.token,
            token_or_retry: self.token_or_retry,
            zero_rtt_packets: self.zero_rtt_packets,
            paths: paths_back(&self.paths, base)?,
            stateless_reset: self.stateless_reset.map(reset).transpose()?,
            close_frame: self.close_frame.map(|fact| fact.back(base)).transpose()?,
            server_application: at_back(self.server_application, base)?,
        })
    }
}

impl From<CloseFrame> for CloseFrameFact {
    fn from(frame: CloseFrame) -> Self {
        Self {
            at: frame.at.into(),
            by: frame.by.into(),
            space: match frame.space {
                PacketSpace::Initial => SpaceFact::Initial,
                PacketSpace::Handshake => SpaceFact::Handshake,
                PacketSpace::OneRtt => SpaceFact::OneRtt,
            },
            application: frame.application,
            code: frame.code,
        }
    }
}

impl CloseFrameFact {
    fn back(self, base: Base) -> Result<CloseFrame, Wrong> {
        Ok(CloseFrame {
            at: self.at.back(base)?,
            by: Side::from(self.by),
            space: match self.space {
                SpaceFact::Initial => PacketSpace::Initial,
                SpaceFact::Handshake => PacketSpace::Handshake,
                SpaceFact::OneRtt => PacketSpace::OneRtt,
            },
            application: self.application,
            code: self.code,
        })
    }
}

impl From<&DtlsFacts> for DtlsFact {
    fn from(facts: &DtlsFacts) -> Self {
        Self {
            cookie: facts.cookie.map(|cookie| match cookie {
                Cookie::HelloVerify => CookieFact::HelloVerify,
                Cookie::HelloRetry => CookieFact::HelloRetry,
            }),
            connection_id: facts.connection_id,
            retransmissions: facts.retransmissions,
            paths: paths_of(&facts.paths),
        }
    }
}

impl DtlsFact {
    fn back(&self, base: Base) -> Result<DtlsFacts, Wrong> {
        Ok(DtlsFacts {
            cookie: self.cookie.map(|cookie| match cookie {
                CookieFact::HelloVerify => Cookie::HelloVerify,
                CookieFact::HelloRetry => Cookie::HelloRetry,
            }),
            connection_id: self.connection_id,
            retransmissions: self.retransmissions,
            paths: paths_back(&self.paths, base)?,
        })
    }
}

/// What one transport alone has; both members must agree with the name of the transport.
pub(super) fn back(
    transport: TransportFact,
    quic: Option<&QuicFact>,
    dtls: Option<&DtlsFact>,
    base: Base,
) -> Result<Option<Box<DatagramFacts>>, Wrong> {
    let facts = match (transport, quic, dtls) {
        (TransportFact::Tcp, None, None) => return Ok(None),
        (TransportFact::Quic, Some(quic), None) => DatagramFacts::Quic(quic.back(base)?),
        (TransportFact::Dtls, None, Some(dtls)) => DatagramFacts::Dtls(dtls.back(base)?),
        _ => return Err(Wrong("transport")),
    };
    Ok(Some(Box::new(facts)))
}
