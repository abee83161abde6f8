//! What befell the session: how its latest connection ended, and whether it was used.

use super::{Claim, Kind, Look, ServiceContext, Trace, claim, restarts};
use crate::diagnosis::attempts::{ClosedBy, OfferedCredential};
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
        all.extend(close.map(|mut close| {
            // An alert is about its connection, and no sign of an end.
            let restarted = kind != Kind::FatalAlert && close.stands && restarts::explain_as_much(ground, &close);
            close.shadow = restarted.then_some(Kind::LostAtOnce);
            close.with_trace(Trace::of(text))
        }));
    }
    // Servers honour identities of TLS 1.3 once (RFC 8446 §8.1), where they keep a record of them; nobody does so with IDs.
    all.extend(claim(ground, Kind::SingleUse, |entry| {
        (entry.stateful && !entry.foreign && entry.mechanism == Mechanism::Psk).then(|| Look {
            value: u32::from(entry.accepted_before),
            ..Look::read(entry.accepted_before > 0)
        })
    }));
}

/// No close reaches a self-contained ticket, and none a session that this server never had.
fn ended(entry: &OfferedCredential, closed: ClosedBy) -> Option<Look> {
    let visible = entry.stateful && !entry.foreign && entry.closed != ClosedBy::Unknown;
    visible.then(|| Look {
        concluded: entry.concluded,
        ..Look::read(entry.closed == closed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::attempts::tests::Sketch;

    #[test]
    fn each_further_use_of_an_identity_is_a_unit_of_its_own() {
        let units = |mechanism, foreign| {
            let mut sketch = Sketch::default();
            for (second, uses) in (10..).zip([1, 1, 2]) {
                sketch.offer(second, 1, (1, 2), false, |_, entry| {
                    (entry.accepted_before, entry.mechanism, entry.foreign) = (uses, mechanism, foreign);
                });
            }
            let (table, part) = sketch.done();
            let mut all = Vec::new();
            claims(&ServiceContext::of(&table, &part, &[]), &mut all);
            let used = all.into_iter().find(|claim| claim.kind == Kind::SingleUse);
            used.map(|claim| claim.units().named_refused)
        };
        assert_eq!(units(Mechanism::Psk, false), Some(2));
        assert_eq!(units(Mechanism::Psk, true), None);
        assert_eq!(units(Mechanism::SessionId, false), None);
    }
}
