//! What asks: which property of the hello makes the difference.

use super::{Claim, Kind, Look, ServiceContext, Trace, claim};
use crate::session::Mechanism;

/// HelloRetryRequest, server name, and the request for a client certificate.
pub(super) fn claims(ground: &ServiceContext<'_>, all: &mut Vec<Claim>) {
    all.extend(claim(ground, Kind::HelloRetry, |entry| {
        let row = ground.table.row_of(entry)?;
        (entry.mechanism == Mechanism::Psk).then(|| Look::read(row.retried))
    }));
    let name = claim(ground, Kind::OtherName, |entry| {
        let known = entry.mechanism != Mechanism::Psk || entry.other_name;
        known.then_some(Look {
            concluded: entry.concluded,
            ..Look::read(entry.other_name)
        })
    });
    all.extend(name.map(|name| name.with_trace(Trace::of("the name of the session is another"))));
    // A CertificateRequest is sent in full handshakes only: it follows from any refusal, and no acceptance could show it.
    all.extend(claim(ground, Kind::AsksCertificate, |entry| {
        (entry.asks_certificate && super::refused(entry)).then_some(Look::read(true))
    }));
}
