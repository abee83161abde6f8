//! The handshake failed, or the server refused.

use super::super::context::RuleContext;
use super::super::explanations::Kind;
use super::super::{Confidence, Evidence, RuleResult};
use super::explained::{candidates, explained};
use super::reason;
use crate::net::FrameRef;
use crate::session::{Connection, Side};

reason! {
    /// ## What it means
    /// The handshake ended before it was decided, or right after the server had accepted the session: an alert, FIN or
    /// RST came before both Finished messages. This is not a refusal to resume.
    ///
    /// ## How we know
    /// The alert or the close is in the capture, and nothing before it is missing.
    pub(super) static HANDSHAKE_FAILED = {
        name: "handshake-failed", since: "0.1.0", stage: NoVerdict, neutral: true,
        summary: "the handshake failed before it was decided",
        spec: [(5246, "7.2.2"), (8446, "6.2")],
        actor: Either,
        advice: "fix the failure first; the alert names its kind",
        rule: handshake_failed,
    }
}

fn handshake_failed(case: &RuleContext<'_>) -> RuleResult {
    RuleResult::holds(
        Confidence::Observed,
        "the handshake ended before both Finished messages",
        failure(case.connection),
        Vec::new(),
    )
}

/// The frame in which a handshake failed, and who ended it how.
#[must_use]
pub fn failure(connection: &Connection) -> Evidence {
    let alert = Side::BOTH.into_iter().find_map(|side| {
        let alert = connection.side(side).fatal_alert()?;
        Some((
            alert.at.frame,
            format!("{} sends a fatal alert: {}", name(side), alert.description),
        ))
    });
    let hidden = || {
        Side::BOTH.into_iter().find_map(|side| {
            let frame = connection.side(side).handshake_alert?;
            Some((
                frame,
                format!("{} sends an encrypted record of the size of an alert", name(side)),
            ))
        })
    };
    let last = || {
        (
            connection.transport.last(),
            "last packet; the handshake is not complete".to_owned(),
        )
    };
    let (frame, text) = alert
        .or_else(hidden)
        .or_else(|| closed(connection))
        .unwrap_or_else(last);
    Evidence::new(frame, text)
}

fn name(side: Side) -> &'static str {
    match side {
        Side::Client => "the client",
        Side::Server => "the server",
    }
}

fn closed(connection: &Connection) -> Option<(FrameRef, String)> {
    let first = Side::BOTH
        .into_iter()
        .filter_map(|side| Some((connection.side(side).ended()?, side)))
        .min_by_key(|(at, _)| (at.time, at.frame))?;
    let (at, side) = first;
    let how = if connection.side(side).fin == Some(at) {
        "FIN"
    } else {
        "RST"
    };
    Some((at.frame, format!("{} ends the connection by {how}", name(side))))
}

reason! {
    /// ## What it means
    /// An earlier connection of this session ended with a fatal alert. Servers that keep sessions in a cache must drop
    /// such a session. A self-contained ticket is not affected.
    ///
    /// ## How we know
    /// The alert was seen in clear. Whether this server drops sessions because of one is not visible: it is `inferred`
    /// by the count only, where sessions resume after clean closes and no rival is left; otherwise `possible`. Ruled
    /// out once a session has survived such an alert.
    pub(super) static FATAL_ALERT_PREVIOUS = {
        name: "fatal-alert-previous", since: "0.1.0", stage: Protocol,
        summary: "an earlier connection of the session ended with a fatal alert",
        spec: [(5246, "7.2.2")],
        actor: Either,
        advice: "find out what the alert was about; it costs the session as well",
        rule: fatal_alert_previous,
    }
}

fn fatal_alert_previous(case: &RuleContext<'_>) -> RuleResult {
    explained(case, "fatal-alert-previous", &[Kind::FatalAlert])
}

reason! {
    /// ## What it means
    /// The server asks for a client certificate now and did not when the session was made. Servers then insist on a
    /// full handshake, so that the client authenticates.
    ///
    /// ## How we know
    /// CertificateRequest is visible up to TLS 1.2: in the refusing flight, and not in the whole flight that made the
    /// session. It is sent in full handshakes only, and so any refusal brings it about: it stays `possible`, after all
    /// other causes.
    pub(super) static CLIENT_CERT_POLICY = {
        name: "client-cert-policy", since: "0.1.0", stage: Protocol,
        summary: "the server now asks for a client certificate",
        spec: [(5246, "7.4.4")],
        actor: Server,
        advice: "serve what needs client certificates under a separate name (nginx: ssl_verify_client in its own server block; Apache: SSLVerifyClient in its own virtual host; HAProxy: verify on its own bind line)",
        rule: client_cert_policy,
    }
}

fn client_cert_policy(case: &RuleContext<'_>) -> RuleResult {
    explained(case, "client-cert-policy", &[Kind::AsksCertificate])
}

reason! {
    /// ## What it means
    /// The ClientHello carries encrypted_client_hello. If it is real, the visible PSK is a decoy and the true offer is
    /// inside; a server that rejects the encrypted hello does a full handshake with the outer one. If it is GREASE, it
    /// has nothing to do with the refusal. From outside both look the same.
    ///
    /// ## How we know
    /// The extension is visible in the ClientHello. Its contents are not: it stays `possible`.
    pub(super) static ECH_REJECTED_OR_GREASE = {
        name: "ech-rejected-or-grease", since: "0.1.0", stage: Inferred,
        summary: "the hello has encrypted_client_hello, which may hide the true offer",
        spec: [(9849, "6.1.2"), (9849, "6.2")],
        actor: Either,
        advice: "publish the ECH configuration that the server has keys for, and keep the retired key until DNS caches have expired; with GREASE look for another cause",
        rule: ech,
    }
}

fn ech(case: &RuleContext<'_>) -> RuleResult {
    let Some(hello) = case.connection.hello.yes() else {
        return RuleResult::CannotTell;
    };
    if !hello.encrypted_client_hello || !hello.pre_shared_key {
        return RuleResult::DoesNotHold;
    }
    RuleResult::holds(
        Confidence::Possible,
        "the hello has encrypted_client_hello: the visible PSK need not be the one that was offered",
        Evidence::new(
            hello.at.frame,
            "ClientHello with encrypted_client_hello and pre_shared_key",
        ),
        Vec::new(),
    )
}

reason! {
    /// ## What it means
    /// The server refused a credential, and nothing visible says why. Its cache may have lost the session, its ticket
    /// key may have changed, another machine may have answered.
    ///
    /// ## How we know
    /// Every reason that the capture could show was looked for; those that no row refutes, but that nothing supports
    /// either, are named as what remains.
    pub(super) static REJECTED_UNEXPLAINED = {
        name: "rejected-unexplained", since: "0.1.0", stage: Unexplained, neutral: true,
        summary: "the server refused the credential and nothing visible says why",
        spec: [(5246, "7.4.1.3")],
        actor: Server,
        advice: "look into the server's log, or capture longer: repeated refusals show a pattern",
        rule: rejected_unexplained,
    }
}

fn rejected_unexplained(case: &RuleContext<'_>) -> RuleResult {
    let Some(hello) = case.connection.hello.yes() else {
        return RuleResult::CannotTell;
    };
    // Without the ServerHello the client's own flight shows a full handshake.
    let answer = case.connection.answer.yes();
    let mut more: Vec<Evidence> = answer
        .map(|answer| Evidence::new(answer.at.frame, "ServerHello begins a full handshake"))
        .into_iter()
        .collect();
    more.extend(
        case.offered()
            .find_map(|offered| offered.credential.issued)
            .map(|issue| Evidence::new(issue.at.frame, "the credential was issued here")),
    );
    let credential = if case.connection.offers_external_psks_only() {
        "external PSK"
    } else {
        "credential"
    };
    RuleResult::holds(
        Confidence::Observed,
        format!("the server refused the offered {credential}"),
        Evidence::new(hello.at.frame, format!("ClientHello offers the {credential}")),
        more,
    )
    .beside(
        candidates(case),
        Some("one more connection after a pause; a key log; the server's log for that time"),
    )
}
