//! The credential does not fit the handshake: version, suite, hash, modes, extended master secret, server name.

use std::borrow::Cow;

use super::super::attempts::Necessity;
use super::super::context::RuleContext;
use super::super::explanations::Kind;
use super::super::{Confidence, Evidence, RuleResult};
use super::explained::{explained, necessity};
use super::reason;

reason! {
    /// ## What it means
    /// The handshake negotiated a version other than that of the session. A TLS 1.2 session ID or ticket cannot be
    /// resumed in TLS 1.3, nor a TLS 1.3 ticket in TLS 1.2; no session can be resumed in a version other than its own.
    ///
    /// ## How we know
    /// The version of the session is that of the handshake that issued it, or follows from the kind of credential. It
    /// is `observed` where this ClientHello does not contain that version, or where a ticket of TLS 1.3 met a server that
    /// negotiated an older one. It is `possible` where the server merely chose another one, perhaps because it did not know
    /// the session.
    pub(super) static HELLO_VERSION_MISMATCH = {
        name: "hello-version-mismatch", since: "0.1.0", stage: Protocol,
        summary: "the negotiated version is not the version of the session",
        spec: [(5246, "7.4.1.3"), (8446, "4.1.2")],
        actor: Either,
        advice: "offer the same versions on every backend and in every client configuration (nginx: ssl_protocols; HAProxy: ssl-min-ver and ssl-max-ver; Apache: SSLProtocol; Envoy: tls_minimum_protocol_version; Java: jdk.tls.client.protocols)",
        rule: version_mismatch,
    }
}

fn version_mismatch(case: &RuleContext<'_>) -> RuleResult {
    if necessity(case, Necessity::Version) {
        return defect(case, "the hello does not offer the version of the session");
    }
    if necessity(case, Necessity::AnsweredVersion) {
        let version = case
            .connection
            .version()
            .map_or_else(String::new, |version| version.to_string());
        return defect(
            case,
            format!("the server negotiated {version}, in which no ticket of TLS 1.3 can be used"),
        );
    }
    explained(case, "hello-version-mismatch", &[Kind::OtherVersion])
}

reason! {
    /// ## What it means
    /// The ClientHello offers a session without listing the session's cipher suite. Up to TLS 1.2 a client must include
    /// it; servers refuse the session or end the handshake with illegal_parameter.
    ///
    /// ## How we know
    /// The suite of the session was seen when it was issued; the ClientHello lists its suites. Ruled out where this
    /// server accepted such an offer.
    pub(super) static CIPHER_NOT_OFFERED = {
        name: "cipher-not-offered", since: "0.1.0", stage: Protocol,
        summary: "the hello lacks the cipher suite of the offered session",
        spec: [(5246, "7.4.1.2")],
        actor: Client,
        advice: "keep the client's cipher suite list the same while it holds sessions",
        rule: cipher_not_offered,
    }
}

fn cipher_not_offered(case: &RuleContext<'_>) -> RuleResult {
    if !necessity(case, Necessity::Cipher) {
        return RuleResult::DoesNotHold;
    }
    let suite = case.offered().find_map(|offered| offered.credential.suite);
    let suite = suite.map_or_else(String::new, |suite| format!(" {suite},"));
    defect(case, format!("the hello does not list{suite} the suite of the session"))
}

reason! {
    /// ## What it means
    /// The server chose a suite whose hash is not the one the PSK was made under. A TLS 1.3 ticket can only be resumed
    /// under its own hash.
    ///
    /// ## How we know
    /// The length of the binder is that of the PSK's hash. It is `observed` where the hello has no suite with that
    /// hash, or where HelloRetryRequest chose one with another hash, which makes the client leave the PSK out. Where
    /// only the ServerHello's suite differs it is `possible`: a server that could not open the ticket for another
    /// reason is also free to choose any suite.
    pub(super) static PSK_HASH_MISMATCH = {
        name: "psk-hash-mismatch", since: "0.1.0", stage: Protocol,
        summary: "the hash of the chosen suite is not that of the offered PSK",
        spec: [(8446, "4.2.11"), (8446, "4.6.1")],
        actor: Server,
        advice: "prefer the same suites in the same order on every backend (nginx: ssl_conf_command Ciphersuites; HAProxy: ciphersuites; Apache: SSLCipherSuite TLSv1.3; OpenSSL: SSL_CTX_set_ciphersuites)",
        rule: psk_hash_mismatch,
    }
}

fn psk_hash_mismatch(case: &RuleContext<'_>) -> RuleResult {
    if necessity(case, Necessity::Hash) {
        return defect(case, "no suite that was offered or chosen has the hash of the PSK");
    }
    explained(case, "psk-hash-mismatch", &[Kind::OtherHash])
}

reason! {
    /// ## What it means
    /// The ClientHello offers a PSK without psk_key_exchange_modes, which a server must answer with an alert, or with
    /// psk_ke alone, which most servers do not allow.
    ///
    /// ## How we know
    /// The ClientHello shows its extensions. That offering only psk_ke caused a refusal is never more than `possible`,
    /// and only where no such offer was accepted.
    pub(super) static PSK_MODE_MISSING = {
        name: "psk-mode-missing", since: "0.1.0", stage: Protocol,
        summary: "the hello offers a PSK without a key exchange mode the server takes",
        spec: [(8446, "4.2.9")],
        actor: Client,
        advice: "send psk_key_exchange_modes with psk_dhe_ke",
        rule: psk_mode_missing,
    }
}

fn psk_mode_missing(case: &RuleContext<'_>) -> RuleResult {
    if necessity(case, Necessity::Modes) {
        return defect(case, "the hello offers a PSK without psk_key_exchange_modes");
    }
    let Some(hello) = case.connection.hello.yes() else {
        return RuleResult::CannotTell;
    };
    let older = case
        .connection
        .answer
        .yes()
        .is_some_and(|answer| !answer.version.is_tls13());
    match hello.psk_modes.filter(|_| hello.pre_shared_key && !older) {
        Some(modes) if !modes.dhe_ke => RuleResult::holds(
            Confidence::Possible,
            "the hello allows psk_ke alone",
            Evidence::new(hello.at.frame, "ClientHello with psk_ke as its only mode"),
            Vec::new(),
        ),
        _ => RuleResult::DoesNotHold,
    }
}

reason! {
    /// ## What it means
    /// The session was made without extended master secret and is offered with it, which means a full handshake; or
    /// made with it and offered without, which a server must answer with an alert.
    ///
    /// ## How we know
    /// Both handshakes show the extension in clear (TLS 1.2 and older). A server that does not know the extension
    /// follows no rule about it, so the refusing ServerHello must have it, or, where the handshake was aborted, the
    /// session itself. Ruled out where this server accepted such a pair.
    pub(super) static EMS_MISMATCH = {
        name: "ems-mismatch", since: "0.1.0", stage: Protocol,
        summary: "extended master secret differs between session and hello",
        spec: [(7627, "5.3")],
        actor: Either,
        advice: "turn on extended master secret on every client and every backend",
        rule: ems_mismatch,
    }
}

fn ems_mismatch(case: &RuleContext<'_>) -> RuleResult {
    if !necessity(case, Necessity::ExtendedMasterSecret) {
        return RuleResult::DoesNotHold;
    }
    let with = |yes: bool| if yes { "with" } else { "without" };
    let hello = case
        .connection
        .hello
        .yes()
        .is_some_and(|hello| hello.extended_master_secret);
    defect(
        case,
        format!(
            "the session was made {} extended master secret and is offered {} it",
            with(!hello),
            with(hello)
        ),
    )
}

reason! {
    /// ## What it means
    /// The session was made under another server name. Up to TLS 1.2 a server must not resume it under a new name; many
    /// do so anyway if both names share certificate and configuration.
    ///
    /// ## How we know
    /// Both ClientHellos show the name. It is `inferred` by the count, where sessions resume under their own names and
    /// not under others and no rival is left; otherwise `possible`: if one session is accepted under its own name
    /// before and since, that does not tell whether the name or the machine that answered made the difference. Ruled
    /// out where sessions made under other names resume under this one.
    pub(super) static SNI_MISMATCH = {
        name: "sni-mismatch", since: "0.1.0", stage: Protocol,
        summary: "the session belongs to another server name",
        spec: [(6066, "3")],
        actor: Client,
        advice: "offer a session only under the name it was made for, or serve both names alike",
        rule: sni_mismatch,
    }
}

fn sni_mismatch(case: &RuleContext<'_>) -> RuleResult {
    explained(case, "sni-mismatch", &[Kind::OtherName])
}

/// A defect of hello and credential that left the server no choice.
fn defect(case: &RuleContext<'_>, text: impl Into<Cow<'static, str>>) -> RuleResult {
    let Some(hello) = case.connection.hello.yes() else {
        return RuleResult::CannotTell;
    };
    let what = if hello.v2_format {
        "SSLv2-format ClientHello offers the session"
    } else {
        "ClientHello offers the session"
    };
    let issued = case.offered().find_map(|offered| offered.credential.issued);
    let issued = issued.map(|issue| Evidence::new(issue.at.frame, "the session was issued here"));
    let evidence = Evidence::new(hello.at.frame, what);
    RuleResult::holds(Confidence::Observed, text, evidence, issued.into_iter().collect())
}
