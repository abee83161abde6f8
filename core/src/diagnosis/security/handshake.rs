//! Resumptions that should not have been, and those that give up forward secrecy.

use std::cell::LazyCell;

use super::ground::SecurityContext;
use super::{RuleFinding, Severity, Witnesses, finding};
use crate::diagnosis::Confidence;
use crate::diagnosis::attempts::{ClosedBy, Decision, OfferedCredential};
use crate::session::{Connection, ProtocolVersion, Shape, Side};

finding! {
    /// ## What it means
    /// A session that was made under one server name was resumed under another. Up to TLS 1.2 a server must not do
    /// that: what was checked for one name (the certificate by the client, a client certificate by the server) was
    /// never checked for the other. It is more severe where only one of the two names asks for a client certificate.
    ///
    /// ## How we know
    /// The session was issued in clear in this capture, the ClientHello of its connection has a different server name
    /// from the one that resumes it, and the server accepted it. In TLS 1.3 issuing is encrypted, and nothing is
    /// reported.
    pub(super) static RESUMED_ACROSS_SNI = {
        name: "resumed-across-sni", since: "0.1.0", severity: Warning,
        summary: "a session was resumed under another server name than its own",
        spec: [(6066, "3")],
        advice: "separate the sessions of the hosts (nginx: hosts behind one address and port share the cache and the ticket keys of its default server; give those that ask for client certificates a separate address or port, and run 1.26.3 or 1.27.4 or later; OpenSSL: a session ID context for each host, SSL_CTX_set_session_id_context; JSSE: SNI matchers on the server socket)",
        rule: resumed_across_sni,
    }
}

fn resumed_across_sni(ground: &SecurityContext<'_>) -> Option<RuleFinding> {
    let mut shown = Witnesses::default();
    let mut passed_by = false;
    let asks = LazyCell::new(|| asks_for_certificate(ground));
    // Whether the names differ was told when the table was filled.
    for (used, connection) in resumptions(ground).filter(|(used, _)| used.other_name) {
        let Some(credential) = ground.credential_store.get(used.credential) else {
            continue;
        };
        let (Some(issue), Some(made), Some(now)) =
            (credential.issued, &credential.server_name, connection.server_name())
        else {
            continue;
        };
        passed_by |= credential
            .client_certificate
            .is_some_and(|asked| asks.is_some_and(|asks| asks != asked));
        shown.add(Some(issue.at.frame), || format!("a session is issued under {made}"));
        if let Some(hello) = connection.hello.yes() {
            shown.show(hello.at.frame, || format!("and resumed under {now}"));
        }
    }
    let sessions = shown.counted("resumption", "resumptions");
    let but = if passed_by {
        "; only one of the two names asks for a client certificate"
    } else {
        ""
    };
    let told = RuleFinding::of(
        Confidence::Observed,
        format!("{sessions} of sessions that were made under another server name{but}"),
        shown.evidence,
    )?;
    Some(if passed_by { told.raised(Severity::High) } else { told })
}

/// Whether full handshakes of this service ask for a client certificate; `None` where none shows it, or both.
fn asks_for_certificate(ground: &SecurityContext<'_>) -> Option<bool> {
    let full = ground
        .connections()
        .filter(|(_, connection)| !connection.is_tls13() && matches!(connection.shape.yes(), Some(Shape::Full(_))));
    let mut answers = full.map(|(_, connection)| connection.certificate_request.is_some());
    let first = answers.next()?;
    answers.all(|answer| answer == first).then_some(first)
}

finding! {
    /// ## What it means
    /// A server resumed a session that it should have forgotten: after a fatal alert (TLS 1.2 and older), after a close
    /// without close_notify (TLS 1.0 and SSL 3.0), or, by a server that knows the extension, under a ClientHello with
    /// extended_master_secret although the session was made without it. Only the last one enables a known attack (the
    /// triple handshake); the others show that the server does not tie sessions to how connections end.
    ///
    /// ## How we know
    /// The end of the session's latest connection and its resumption are both in the capture. It is `inferred` where it
    /// rests on how a connection was closed, because alerts are encrypted. Tickets are left out there: RFC 5077 §5.1
    /// accepts that a server cannot take them back. RFC 7627 binds only servers that implement it: one of the server's
    /// ServerHellos has the extension.
    pub(super) static RESUMED_DESPITE_MUST_NOT = {
        name: "resumed-despite-must-not", since: "0.1.0", severity: Note,
        summary: "a session was resumed although the specification forbids it",
        spec: [(2246, "7.2.1"), (5246, "7.2.2"), (7627, "5.3")],
        advice: "leave SSL 3.0 and TLS 1.0 behind; for the rest update the server's TLS library (OpenSSL has checked extended_master_secret since 1.1.0, JSSE since 8u161; for GnuTLS take a current release)",
        rule: resumed_despite_must_not,
    }
}

fn resumed_despite_must_not(ground: &SecurityContext<'_>) -> Option<RuleFinding> {
    let (mut by_close, mut by_secret) = (Witnesses::default(), Witnesses::default());
    // A resumption that two rules forbid is one.
    let mut by_both = 0;
    let knows_secret = ground.connections().any(|(_, connection)| {
        connection
            .answer
            .yes()
            .is_some_and(|answer| answer.extended_master_secret)
    });
    for (used, connection) in resumptions(ground) {
        let Some(hello) = connection.hello.yes() else { continue };
        let made_without = ground
            .credential_store
            .get(used.credential)
            .and_then(|credential| credential.extended_master_secret)
            == Some(false);
        let for_secret = knows_secret && made_without && hello.extended_master_secret;
        if for_secret {
            by_secret.add(Some(hello.at.frame), || {
                "ClientHello with extended_master_secret; the session was made without it and is resumed".to_owned()
            });
        }
        if let Some((previous, how)) = forbidden_by_close(ground, used, connection) {
            by_both += u64::from(for_secret);
            let ended = Side::BOTH
                .into_iter()
                .filter_map(|side| previous.side(side).ended())
                .min_by_key(|at| at.time);
            by_close.add(ended.map(|at| at.frame), || {
                format!("the session's latest connection ends {how}")
            });
            by_close.show(hello.at.frame, || {
                "ClientHello offers the session again, and it is resumed".to_owned()
            });
        }
    }
    let confidence = if by_close.count > 0 {
        Confidence::Inferred
    } else {
        Confidence::Observed
    };
    by_close.join(by_secret);
    by_close.count -= by_both;
    let resumptions = by_close.counted("resumption", "resumptions");
    RuleFinding::of(
        confidence,
        format!("{resumptions} that the specification forbids"),
        by_close.evidence,
    )
}

/// The session's latest connection, where the way it ended forbids to resume it.
fn forbidden_by_close<'a>(
    ground: &SecurityContext<'a>,
    used: &OfferedCredential,
    connection: &Connection,
) -> Option<(&'a Connection, &'static str)> {
    let old = connection.version().is_some_and(ProtocolVersion::is_tls10_or_older);
    let how = match used.closed {
        ClosedBy::Alert => "with a fatal alert",
        ClosedBy::ClientReset | ClosedBy::ClientFin | ClosedBy::Server if old => "without close_notify",
        ClosedBy::ClientReset | ClosedBy::ClientFin | ClosedBy::Server | ClosedBy::Cleanly | ClosedBy::Unknown => {
            return None;
        }
    };
    let previous = ground
        .analyses
        .attempts()
        .row(used.previous)
        .filter(|_| used.stateful)?;
    let previous = ground.connection_store.get(previous.connection)?;
    Some((previous, how))
}

finding! {
    /// ## What it means
    /// TLS 1.3 sessions are resumed by the pre-shared key alone (psk_ke). Anyone who later gets the ticket key, or the
    /// key of the session, can read everything that was sent on them.
    ///
    /// ## How we know
    /// The ServerHello accepts a PSK and has no key_share.
    pub(super) static PSK_WITHOUT_DHE = {
        name: "psk-without-dhe", since: "0.1.0", severity: Warning,
        summary: "a PSK was accepted without a key exchange: no forward secrecy",
        spec: [(8446, "2.2"), (8446, "4.2.9")],
        advice: "allow psk_dhe_ke only (OpenSSL: no SSL_OP_ALLOW_NO_DHE_KEX, s_server without -allow_no_dhe_kex; Mbed TLS: mbedtls_ssl_conf_tls13_key_exchange_modes without plain PSK)",
        rule: psk_without_dhe,
    }
}

fn psk_without_dhe(ground: &SecurityContext<'_>) -> Option<RuleFinding> {
    let mut shown = Witnesses::default();
    for (_, connection) in ground.connections() {
        let answer = connection.answer.yes().filter(|answer| answer.version.is_tls13());
        if let Some(answer) = answer.filter(|answer| answer.selected_psk.is_some() && !answer.key_share) {
            shown.add(Some(answer.at.frame), || {
                "ServerHello with pre_shared_key and without key_share".to_owned()
            });
        }
    }
    let connections = shown.counted("connection", "connections");
    RuleFinding::of(
        Confidence::Observed,
        format!("{connections} with a PSK and without a key exchange"),
        shown.evidence,
    )
}

finding! {
    /// ## What it means
    /// Sessions of TLS 1.2 or older without extended master secret are resumed. A man in the middle can synchronise
    /// such sessions between two servers (the triple handshake), and what is bound to the session, such as a client
    /// certificate or a channel binding, is then bound to nothing.
    ///
    /// ## How we know
    /// The ServerHello of the resumption has no extended_master_secret, which it must have where the session does.
    pub(super) static NO_EMS_RESUMPTION = {
        name: "no-ems-resumption", since: "0.1.0", severity: Warning,
        summary: "sessions without extended master secret are resumed",
        spec: [(7627, "5.3")],
        advice: "turn the extension on at both ends, or update the end that does not know it (OpenSSL: no SSL_OP_NO_EXTENDED_MASTER_SECRET; JSSE: jdk.tls.useExtendedMasterSecret=true; GnuTLS: no %NO_SESSION_HASH; Windows: current updates), or use TLS 1.3",
        rule: no_ems_resumption,
    }
}

fn no_ems_resumption(ground: &SecurityContext<'_>) -> Option<RuleFinding> {
    let mut shown = Witnesses::default();
    let mut offered = 0_u64;
    for (_, connection) in ground.resumed.iter().filter(|(_, it)| !it.is_tls13()) {
        let (Some(answer), Some(hello)) = (connection.answer.yes(), connection.hello.yes()) else {
            continue;
        };
        if !answer.extended_master_secret {
            offered += u64::from(hello.extended_master_secret);
            shown.add(Some(answer.at.frame), || {
                "ServerHello resumes without extended_master_secret".to_owned()
            });
        }
    }
    let who = match offered {
        0 => "the clients do not offer it".to_owned(),
        all if all == shown.count => "the clients offer it".to_owned(),
        some => format!("the client offered it in {some}"),
    };
    let resumptions = shown.counted("resumption", "resumptions");
    RuleFinding::of(
        Confidence::Observed,
        format!("{resumptions} of a session without extended master secret; {who}"),
        shown.evidence,
    )
}

/// Sessions of TLS 1.2 and older that were accepted, and the handshake went on.
fn resumptions<'a>(
    ground: &SecurityContext<'a>,
) -> impl Iterator<Item = (&'a OfferedCredential, &'a Connection)> + use<'a> {
    let analyses = ground.analyses;
    let resumed = ground.resumed.iter().copied();
    let resumed = resumed.filter(|(_, connection)| !connection.is_tls13());
    resumed.flat_map(move |(id, connection)| {
        let accepted = analyses
            .entries(id)
            .filter(|(_, entry)| entry.decision == Decision::Accepted);
        accepted.map(move |(_, entry)| (entry, connection))
    })
}
