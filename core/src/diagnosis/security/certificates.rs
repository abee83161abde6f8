//! Sessions that outlive the certificate that a client showed for them.

use super::ground::SecurityContext;
use super::{RuleFinding, Witnesses, finding};
use crate::diagnosis::Confidence;
use crate::diagnosis::attempts::{Decision, Row};
use crate::session::{ClientCertificate, Shape};

/// Resumptions between a session and the full handshake that it goes back to: a longer chain is not followed.
const MAX_CHAIN: usize = 64;

finding! {
    /// ## What it means
    /// A client was let in by a certificate, and resumption kept letting it in after that certificate had expired. A
    /// resumed handshake shows no certificate, so nothing makes the server look at it again; where each resumption
    /// issues a new ticket, that can go on indefinitely. A service that relies on certificate expiry to keep a client
    /// out from a certain day on does not get that.
    ///
    /// ## How we know
    /// The session goes back to a full handshake in this capture in which the client's certificate can be read (in
    /// clear up to TLS 1.2, with keys in TLS 1.3), and the ClientHello that resumes it was captured after the
    /// certificate's notAfter, by the clock of the capturing machine. Whether the server checks the date elsewhere is
    /// not visible; that it resumed the session is.
    pub(super) static RESUMED_AFTER_CLIENT_CERTIFICATE_EXPIRED = {
        name: "resumed-after-client-certificate-expired", since: "0.2.0", severity: Warning,
        summary: "a session was resumed after the client's certificate had expired",
        spec: [(5246, "F.1.4"), (8446, "4.6.1")],
        advice: "let sessions live no longer than the certificates they rest on: a short session lifetime (nginx: ssl_session_timeout; Apache: SSLSessionCacheTimeout; HAProxy: tune.ssl.lifetime), or no resumption where client certificates are asked for (nginx: ssl_session_tickets off and ssl_session_cache off; Go: SessionTicketsDisabled), or have the application check the certificate's notAfter on every connection",
        rule: resumed_after_client_certificate_expired,
    }
}

fn resumed_after_client_certificate_expired(ground: &SecurityContext<'_>) -> Option<RuleFinding> {
    let attempts = ground.analyses.attempts();
    if !attempts.shows_client_certificates() {
        return None;
    }
    let mut shown = Witnesses::default();
    for (id, connection) in ground.resumed {
        let Some(hello) = connection.hello.yes() else {
            continue;
        };
        let Some(certificate) = attempts
            .of_connection(*id)
            .and_then(|row| certificate_behind(ground, row))
        else {
            continue;
        };
        if certificate.not_after.is_some_and(|end| end < connection.hello_time()) {
            shown.add(Some(certificate.frame), || {
                "the client's certificate, which expired".to_owned()
            });
            shown.show(hello.at.frame, || {
                "ClientHello after that, which resumes the session".to_owned()
            });
        }
    }
    let resumptions = shown.counted("resumption", "resumptions");
    RuleFinding::of(
        Confidence::Observed,
        format!("{resumptions} after the certificate that the client showed for the session had expired"),
        shown.evidence,
    )
}

/// The client's certificate in the full handshake that a resumption goes back to. Where an issue is concluded and not read, it
/// may be of another session.
fn certificate_behind<'a>(ground: &SecurityContext<'a>, row: &'a Row) -> Option<&'a ClientCertificate> {
    let attempts = ground.analyses.attempts();
    let mut row = row;
    for _ in 0..MAX_CHAIN {
        let mut accepted = attempts.of_row(row).map(|(_, entry)| entry);
        let used = accepted.find(|entry| entry.decision == Decision::Accepted && !entry.concluded)?;
        row = attempts.row(used.issue)?;
        let made = ground.connection_store.get(row.connection)?;
        if matches!(made.shape.yes(), Some(Shape::Full(_))) {
            return made.client_certificate.as_deref();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use smallvec::smallvec;

    use super::*;
    use crate::diagnosis::tests::World;
    use crate::session::tests::{answered, at, offer};
    use crate::session::{
        Connection, ConnectionId, Credential, CredentialFingerprint, CredentialId, Issue, Mechanism, OfferKind,
        Outcome, ProtocolVersion, Seen, TransportKind,
    };
    use crate::store::CredentialStore;

    /// A connection of this second that offers a ticket, where it does, and issues the next.
    fn connection(second: u32, offered: Option<u32>) -> Connection {
        let mut connection = answered(second, "a.test", ProtocolVersion::TLS_1_2);
        connection.issued = smallvec![CredentialId(offered.map_or(0, |ticket| ticket + 1))];
        connection.shape = Seen::Yes(Shape::Full(at(second)));
        if let Some(ticket) = offered {
            connection.offers = smallvec![offer(ticket, OfferKind::Resumption(Mechanism::Ticket))];
            connection.accepted = Some(CredentialId(ticket));
            connection.outcome = Outcome::Resumed(Some(Mechanism::Ticket));
            connection.shape = Seen::Yes(Shape::Abbreviated(at(second)));
        }
        connection
    }

    /// A full handshake with a certificate until this second, and two resumptions, each of the ticket before.
    fn told(until: Option<u32>, change: impl FnOnce(&mut Connection)) -> usize {
        let mut first = connection(1, None);
        first.client_certificate = until.map(|until| {
            Box::new(ClientCertificate {
                frame: at(1).frame,
                not_after: Some(at(until).time),
            })
        });
        change(&mut first);
        let connections = vec![first, connection(3, Some(0)), connection(5, Some(1))];
        let mut credential_store = CredentialStore::default();
        for (number, connection) in (0_u8..).zip(&connections) {
            let name = CredentialFingerprint::of(&[number; 80]);
            let mut ticket = Credential::unseen(TransportKind::Tcp, Mechanism::Ticket, name, connection.server);
            ticket.issued = Some(Issue {
                connection: ConnectionId(number.into()),
                at: connection.hello.yes().expect("a hello").at,
            });
            credential_store.enter(TransportKind::Tcp, Mechanism::Ticket, &name, || ticket);
        }
        let world = World::with(credential_store, connections, usize::MAX);
        let found = world.findings("a.test");
        let told = found
            .iter()
            .find(|(name, ..)| *name == "resumed-after-client-certificate-expired");
        told.map_or(0, |(.., summary)| usize::from(summary.as_bytes()[0] - b'0'))
    }

    #[test]
    fn every_resumption_after_the_end_is_told_however_long_the_chain() {
        assert_eq!(told(Some(2), |_| ()), 2);
        assert_eq!(told(Some(4), |_| ()), 1);
    }

    #[test]
    fn a_certificate_that_is_valid_or_not_seen_is_nothing() {
        assert_eq!(told(Some(5), |_| ()), 0, "valid to the end of that second");
        assert_eq!(told(None, |_| ()), 0);
        let unread = |connection: &mut Connection| {
            connection.client_certificate.as_mut().expect("is there").not_after = None;
        };
        assert_eq!(told(Some(2), unread), 0);
        // It resumes a session from before the capture: the certificate is of that one.
        let resumed = |connection: &mut Connection| connection.shape = Seen::Yes(Shape::Abbreviated(at(1)));
        assert_eq!(told(Some(2), resumed), 0);
    }
}
