//! What befell the session: how its latest connection ended, and whether it was used.

use super::{Claim, Kind, Look, ServiceContext, Trace, claim};
use crate::diagnosis::attempts::{ClosedBy, Entry};
use crate::session::Mechanism;

/// The closes that may cost a session, the fatal alert, and single use.
pub(super) fn claims(ground: &ServiceContext<'_>, all: &mut Vec<Claim>) {
    for (kind, closed, text) in [
        (
            Kind::ClientReset,
            ClosedBy::ClientReset,
            "the client reset the connection before close_notify",
        ),
        (
            Kind::ClientFin,
            ClosedBy::ClientFin,
            "the client closed the connection without close_notify",
        ),
        (
            Kind::ServerClose,
            ClosedBy::Server,
            "the server closed the connection without close_notify",
        ),
        (Kind::FatalAlert, ClosedBy::Alert, "a fatal alert ended the connection"),
    ] {
        let close = claim(ground, kind, |entry| ended(entry, closed));
        all.extend(close.map(|close| close.with_trace(Trace::of(text))));
    }
    let spent = claim(ground, Kind::SingleUse, |entry| {
        // A self-contained ticket can be spent only where the server keeps a record of it.
        (entry.stateful && !entry.foreign).then(|| Look {
            value: u32::from(entry.accepted_before),
            ..Look::read(entry.accepted_before > 0)
        })
    });
    // Servers honour identities of TLS 1.3 once (RFC 8446 §8.1); of session IDs it is a rival on paper.
    all.extend(spent.map(|mut spent| {
        let tls13 = |number: &u32| {
            ground
                .table
                .entry(*number)
                .is_some_and(|entry| entry.mechanism == Mechanism::Psk)
        };
        spent.plausible = spent.named.iter().any(tls13);
        spent
    }));
}

/// No close reaches a self-contained ticket, and none a session that this server never had.
fn ended(entry: &Entry, closed: ClosedBy) -> Option<Look> {
    let visible = entry.stateful && !entry.foreign && entry.closed != ClosedBy::Unknown;
    visible.then(|| Look {
        concluded: entry.concluded,
        ..Look::read(entry.closed == closed)
    })
}
