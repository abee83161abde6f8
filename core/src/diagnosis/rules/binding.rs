//! The credential does not fit the handshake: version, suite, hash, modes, extended master secret, server name.

use super::super::context::{Offered, RuleContext};
use super::super::{Confidence, Evidence, RuleResult};
use super::reason;
use crate::net::FrameRef;
use crate::session::{ClientHelloFacts, Mechanism};
use crate::tls::ProtocolVersion;
use crate::tls::cipher::KdfHash;

reason! {
    /// ## What it means
    /// The handshake negotiated another version than the session has. A TLS 1.2 session ID or ticket cannot be resumed
    /// in TLS 1.3, a TLS 1.3 ticket not in TLS 1.2, and no session in another version than its own.
    ///
    /// ## How we know
    /// The ServerHello names the version; the version of the session is that of the handshake that issued it, or
    /// follows from the kind of credential.
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
    let (Some(hello), Some(answer)) = (case.connection.hello.yes(), case.connection.answer.yes()) else {
        return RuleResult::CannotTell;
    };
    let mut issued_in = None;
    let mut any = false;
    for Offered {
        mechanism, credential, ..
    } in case.offered()
    {
        let wrong_kind = (mechanism == Mechanism::Psk) != answer.version.is_tls13();
        let wrong_version = credential.version.is_some_and(|version| version != answer.version);
        if !wrong_kind && !wrong_version {
            return RuleResult::DoesNotHold;
        }
        issued_in = credential.issued.map(|issue| issue.at.frame).or(issued_in);
        any = true;
    }
    if !any {
        return RuleResult::DoesNotHold;
    }
    let mut more = vec![Evidence::new(hello.at.frame, "ClientHello offers the session")];
    more.extend(issued_in.map(|frame| Evidence::new(frame, "the session was issued here")));
    RuleResult::holds(
        Confidence::Observed,
        format!(
            "the server negotiated {}, which is not the version of the offered session",
            answer.version
        ),
        Evidence::new(answer.at.frame, format!("ServerHello negotiates {}", answer.version)),
        more,
    )
}

reason! {
    /// ## What it means
    /// The ClientHello offers a session without the cipher suite that the session has. Up to TLS 1.2 a client must
    /// include it; servers refuse the session or end the handshake with illegal_parameter.
    ///
    /// ## How we know
    /// The suite of the session was seen when it was issued; the ClientHello lists its suites.
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
    let Some(hello) = case.connection.hello.yes() else {
        return RuleResult::CannotTell;
    };
    all_tls12(case, |offered| {
        let suite = offered.credential.suite?;
        (!hello.stack.suites.contains(&suite))
            .then(|| format!("the hello does not list {suite}, the suite of the session"))
    })
}

reason! {
    /// ## What it means
    /// The server chose a suite with another hash than the PSK was made under. A TLS 1.3 ticket can only be resumed
    /// under its own hash.
    ///
    /// ## How we know
    /// The length of the binder is that of the PSK's hash. As a cause it is only `possible`: a server that could not
    /// open the ticket for another reason chooses a suite freely, too.
    pub(super) static PSK_HASH_MISMATCH = {
        name: "psk-hash-mismatch", since: "0.1.0", stage: Protocol,
        summary: "the chosen suite has another hash than the offered PSK",
        spec: [(8446, "4.2.11"), (8446, "4.6.1")],
        actor: Server,
        advice: "prefer the same suites in the same order on every backend (nginx: ssl_conf_command Ciphersuites; HAProxy: ciphersuites; Apache: SSLCipherSuite TLSv1.3; OpenSSL: SSL_CTX_set_ciphersuites)",
        rule: psk_hash_mismatch,
    }
}

fn psk_hash_mismatch(case: &RuleContext<'_>) -> RuleResult {
    let (Some(hello), Some(answer)) = (case.connection.hello.yes(), case.connection.answer.yes()) else {
        return RuleResult::CannotTell;
    };
    let Some(chosen) = answer.suite.kdf_hash().filter(|_| answer.version.is_tls13()) else {
        return RuleResult::DoesNotHold;
    };
    let mut hashes = case
        .offered()
        .filter(|offered| offered.mechanism == Mechanism::Psk)
        .map(|offered| KdfHash::of_binder(offered.offer.binder))
        .peekable();
    if hashes.peek().is_none() || hashes.any(|hash| hash.is_none_or(|hash| hash == chosen)) {
        return RuleResult::DoesNotHold;
    }
    RuleResult::holds(
        Confidence::Possible,
        format!(
            "the server chose {}, whose hash is not that of the offered PSK",
            answer.suite
        ),
        Evidence::new(answer.at.frame, format!("ServerHello chooses {}", answer.suite)),
        vec![Evidence::new(
            hello.at.frame,
            "ClientHello offers PSKs with binders of the other hash only",
        )],
    )
}

reason! {
    /// ## What it means
    /// The ClientHello offers a PSK without psk_key_exchange_modes, which a server must answer with an alert, or with
    /// psk_ke alone, which most servers do not allow.
    ///
    /// ## How we know
    /// The extensions are read off the ClientHello. That psk_ke alone was the cause of a refusal is only `possible`.
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
    let Some(hello) = case.connection.hello.yes() else {
        return RuleResult::CannotTell;
    };
    if !hello.pre_shared_key
        || case
            .connection
            .answer
            .yes()
            .is_some_and(|answer| !answer.version.is_tls13())
    {
        return RuleResult::DoesNotHold;
    }
    match hello.psk_modes {
        None => RuleResult::holds(
            Confidence::Observed,
            "the hello offers a PSK without psk_key_exchange_modes",
            Evidence::new(
                hello.at.frame,
                "ClientHello with pre_shared_key and without psk_key_exchange_modes",
            ),
            Vec::new(),
        ),
        Some(modes) if !modes.dhe_ke => RuleResult::holds(
            Confidence::Possible,
            "the hello allows psk_ke alone",
            Evidence::new(hello.at.frame, "ClientHello with psk_ke as its only mode"),
            Vec::new(),
        ),
        Some(_) => RuleResult::DoesNotHold,
    }
}

reason! {
    /// ## What it means
    /// The session was made without extended master secret and is offered with it, which means a full handshake; or
    /// made with it and offered without, which a server must answer with an alert.
    ///
    /// ## How we know
    /// Both handshakes show the extension in clear (TLS 1.2 and older).
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
    let Some(hello) = case.connection.hello.yes() else {
        return RuleResult::CannotTell;
    };
    all_tls12(case, |offered| {
        let session = offered.credential.extended_master_secret?;
        (session != hello.extended_master_secret).then(|| {
            let with = |yes: bool| if yes { "with" } else { "without" };
            format!(
                "the session was made {} extended master secret and is offered {} it",
                with(session),
                with(hello.extended_master_secret)
            )
        })
    })
}

reason! {
    /// ## What it means
    /// The session was made under another server name. Up to TLS 1.2 a server must not resume it under a new name;
    /// many do all the same, if both names share certificate and configuration.
    ///
    /// ## How we know
    /// Both ClientHellos show the name. It is `inferred` only if the server has the key of this ticket, or resumes this
    /// very session under its own name later, else `possible`; not named at all where sessions made under other names
    /// resume under this one.
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
    let Some(hello) = case.connection.hello.yes() else {
        return RuleResult::CannotTell;
    };
    // A server that resumes sessions of other names under this one does not look at the name.
    if case.insight().is_some_and(|insight| insight.honours_other_names) {
        return RuleResult::DoesNotHold;
    }
    let mut honoured = false;
    let finding = all_tls12(case, |offered| {
        let session = offered.credential.server_name.as_ref()?;
        let differs = hello
            .server_name
            .as_ref()
            .is_none_or(|name| !name.eq_ignore_ascii_case(session));
        honoured |= had_it(case, offered, session);
        differs.then(|| match &hello.server_name {
            Some(name) => format!("the session of {session} is offered under the name {name}"),
            None => format!("the session of {session} is offered without a name"),
        })
    });
    match finding {
        RuleResult::Holds {
            evidence,
            summary,
            settled_by,
            ..
        } => {
            let confidence = if honoured {
                Confidence::Inferred
            } else {
                Confidence::Possible
            };
            RuleResult::Holds {
                confidence,
                evidence,
                summary,
                settled_by,
            }
        }
        other => other,
    }
}

/// Whether the server that refused the session had it, so that the name made the difference: it seals its tickets with the
/// key of this one, or the session was resumed under its own name later. That it was resumed before is not enough: the
/// server may have lost it since, or another one may have answered.
fn had_it(case: &RuleContext<'_>, offered: &Offered<'_>, session: &str) -> bool {
    let key = case.hindsight.key_name(offered.offer.credential);
    if key.is_some() && key == case.hindsight.issued_under(case.connection) {
        return true;
    }
    let users = offered.credential.offers.iter();
    users.filter_map(|user| case.kept.get(*user)).any(|other| {
        other.accepted == Some(offered.offer.credential)
            && other.hello_time() > case.hello_time()
            && other
                .server_name()
                .is_some_and(|name| name.eq_ignore_ascii_case(session))
    })
}

/// Holds, as observed, when every session ID and ticket offered in a handshake up to TLS 1.2 has the defect. The first
/// evidence is the ClientHello, the second the issue.
fn all_tls12(case: &RuleContext<'_>, mut defect: impl FnMut(&Offered<'_>) -> Option<String>) -> RuleResult {
    let Some(hello) = case.connection.hello.yes() else {
        return RuleResult::CannotTell;
    };
    if case.connection.version().is_some_and(ProtocolVersion::is_tls13) {
        return RuleResult::DoesNotHold;
    }
    let mut found: Option<(String, Option<FrameRef>)> = None;
    for offered in case.offered().filter(|offered| offered.mechanism != Mechanism::Psk) {
        match defect(&offered) {
            Some(text) => found = Some((text, offered.credential.issued.map(|issue| issue.at.frame))),
            None => return RuleResult::DoesNotHold,
        }
    }
    let Some((text, issued)) = found else {
        return RuleResult::DoesNotHold;
    };
    RuleResult::holds(
        Confidence::Observed,
        text,
        Evidence::new(hello.at.frame, describe(hello)),
        issued
            .map(|frame| Evidence::new(frame, "the session was issued here"))
            .into_iter()
            .collect(),
    )
}

fn describe(hello: &ClientHelloFacts) -> &'static str {
    if hello.v2_format {
        "SSLv2-format ClientHello offers the session"
    } else {
        "ClientHello offers the session"
    }
}
