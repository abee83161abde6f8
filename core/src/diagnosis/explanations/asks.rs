//! What asks: which property of the hello makes the difference.

use super::{Claim, Kind, Look, ServiceContext, Trace, claim};
use crate::diagnosis::attempts::RowNumber;
use crate::session::Mechanism;

/// The negotiated version.
pub(super) fn version(ground: &ServiceContext<'_>, all: &mut Vec<Claim>) {
    let mut entries = ground.table.entries(&ground.part.entries);
    if !entries.any(|(_, entry)| entry.other_version && entry.failed()) {
        return;
    }
    let version = claim(&ground.with_other_eras(), Kind::OtherVersion, |entry| {
        Some(Look::read(entry.other_version))
    });
    all.extend(version.map(|it| it.with_trace(Trace::of("the negotiated version is not that of the session"))));
}

/// HelloRetryRequest, server name, and the request for a client certificate.
pub(super) fn claims(ground: &ServiceContext<'_>, all: &mut Vec<Claim>) {
    all.extend(claim(ground, Kind::HelloRetry, |entry| {
        let row = ground.table.row_of(entry)?;
        (entry.mechanism == Mechanism::Psk).then(|| Look::read(row.retried))
    }));
    // Up to TLS 1.2 the name binds the server (RFC 6066 §3), in TLS 1.3 the client: servers differ between the two.
    for tls13 in [false, true] {
        let name = claim(ground, Kind::OtherName, |entry| {
            ((entry.mechanism == Mechanism::Psk) == tls13 && (!tls13 || entry.issue != RowNumber::NONE)).then_some(
                Look {
                    concluded: entry.concluded,
                    ..Look::read(entry.other_name)
                },
            )
        });
        // That it is accepted under its own name later proves nothing: another machine may have answered in between.
        all.extend(name.map(|name| name.with_trace(Trace::of("the name of the session is another"))));
    }
    // A server that could not open the ticket for another reason chooses a suite freely, too; no acceptance could show it.
    let hash = claim(ground, Kind::OtherHash, |entry| {
        (entry.other_hash && super::refused(entry)).then_some(Look::read(true))
    });
    let text = "the suite that was chosen has another hash than the session";
    all.extend(hash.map(|it| it.with_trace(Trace::of(text))));
    // A CertificateRequest is sent in full handshakes only: it follows from any refusal, and no acceptance could show it.
    let asks = claim(ground, Kind::AsksCertificate, |entry| {
        (entry.asks_certificate && super::refused(entry)).then_some(Look::read(true))
    });
    let text = "the server asks for a client certificate and did not when it made the session";
    all.extend(asks.map(|asks| asks.with_trace(Trace::of(text))));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::attempts::OfferedCredential;
    use crate::diagnosis::attempts::tests::{Sketch, place};

    fn told(kind: Kind, change: fn(&mut OfferedCredential)) -> bool {
        let mut sketch = Sketch::default();
        sketch.offer(10, 1, (1, 2), false, |_, entry| change(entry));
        let (table, part) = sketch.done();
        let mut all = Vec::new();
        let ground = ServiceContext::of(&table, &part, &[]);
        version(&ground, &mut all);
        claims(&ground, &mut all);
        all.iter().any(|claim| claim.kind == kind)
    }

    #[test]
    fn in_tls13_a_name_is_another_only_where_the_issue_is_known() {
        assert!(told(Kind::OtherName, |entry| entry.other_name = true));
        assert!(!told(Kind::OtherName, |_| ()));
        // Each kind of session is counted among its own.
        let mut sketch = Sketch::default();
        for second in 10..13 {
            sketch.offer(second, 1, (second, 2), false, |_, entry| entry.other_name = true);
            sketch.offer(20 + second, 1, (20 + second, 2), false, |_, entry| {
                (entry.other_name, entry.mechanism, entry.issue) = (true, Mechanism::Psk, place(0));
            });
        }
        let (table, part) = sketch.done();
        let mut all = Vec::new();
        claims(&ServiceContext::of(&table, &part, &[]), &mut all);
        let named: Vec<_> = all.iter().map(|claim| (claim.kind, claim.named.len())).collect();
        assert_eq!(named, [(Kind::OtherName, 3), (Kind::OtherName, 3)]);
        assert!(!told(Kind::OtherName, |entry| {
            (entry.other_name, entry.mechanism) = (true, Mechanism::Psk);
        }));
        assert!(told(Kind::OtherName, |entry| {
            (entry.other_name, entry.mechanism, entry.issue) = (true, Mechanism::Psk, place(0));
        }));
    }

    #[test]
    fn a_certificate_is_asked_for_in_full_handshakes_alone() {
        assert!(told(Kind::AsksCertificate, |entry| entry.asks_certificate = true));
        assert!(!told(Kind::AsksCertificate, |entry| {
            (entry.asks_certificate, entry.decision) = (true, crate::diagnosis::attempts::Decision::Broken);
        }));
        assert!(told(Kind::OtherHash, |entry| entry.other_hash = true) && !told(Kind::OtherHash, |_| ()));
        assert!(told(Kind::OtherVersion, |entry| entry.other_version = true) && !told(Kind::OtherVersion, |_| ()));
    }
}
