//! What carries TLS, in words.

use super::Summary;
use crate::wording::{counted, number};
use reshake_core::datagram::kind::{QUIC_V1, QUIC_V2};
use reshake_core::session::{Connection, TransportKind};

/// What a connection speaks, as people say it: "TLS 1.3", "QUIC v1, TLS 1.3", "DTLS 1.2". `None` where nothing of it was
/// seen.
#[must_use]
pub(crate) fn protocol_text(connection: &Connection) -> Option<String> {
    let quic = connection.transport.quic();
    let quic = quic.map(|facts| {
        if (facts.unsettled || facts.version_open) && connection.answer.blind().is_some() {
            "QUIC".to_owned()
        } else {
            format!("QUIC {}", quic_version(facts.version))
        }
    });
    let parts: Vec<String> = quic
        .into_iter()
        .chain(connection.version().map(|version| version.to_string()))
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// How a transport other than TCP is named behind what it carries: " (QUIC)".
#[must_use]
pub(crate) const fn over(transport: TransportKind) -> &'static str {
    match transport {
        TransportKind::Tcp => "",
        TransportKind::Quic => " (QUIC)",
        TransportKind::Dtls => " (DTLS)",
    }
}

/// "5 TLS connections", and how many of them are not over TCP.
#[must_use]
pub(crate) fn connections_text(summary: &Summary) -> String {
    let all = counted(summary.counts.outcomes.total(), "TLS connection", "TLS connections");
    let part = |kind: &TransportKind| {
        let count = summary.transports.get(kind).copied().filter(|count| *count > 0)?;
        Some(format!("{} over {}", number(count), kind.code().to_ascii_uppercase()))
    };
    let parts: Vec<String> = [TransportKind::Quic, TransportKind::Dtls]
        .iter()
        .filter_map(part)
        .collect();
    if parts.is_empty() {
        all
    } else {
        format!("{all} ({})", parts.join(", "))
    }
}

/// The name of a QUIC version: "v1", "v2", or the number.
#[must_use]
pub(crate) fn quic_version(version: u32) -> String {
    match version {
        QUIC_V1 => "v1".to_owned(),
        QUIC_V2 => "v2".to_owned(),
        other => format!("0x{other:08x}"),
    }
}
