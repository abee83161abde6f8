//! Offers that break handshakes, and PSKs that do not survive a HelloRetryRequest.

use super::super::attempts::Necessity;
use super::super::context::RuleContext;
use super::super::explanations::Kind;
use super::super::{Confidence, RuleResult};
use super::explained::{explained, necessity};
use super::reason;

reason! {
    /// ## What it means
    /// Handshakes that offer a session fail, and handshakes of the same client without one work. A server that cannot
    /// resume a session should do a full handshake; this one ends the connection. Known causes: OpenSSL servers that
    /// verify clients without a session ID context, a client certificate in the session that is no longer valid, names
    /// with their own rules for client certificates.
    ///
    /// ## How we know
    /// Handshakes of the same client stack with an offer and without one are counted against each other. It is
    /// `inferred` where three of each and a chance of at most 1 in 100 show it, and no offer of the kind went through;
    /// otherwise `possible`.
    pub(super) static OFFER_BREAKS_HANDSHAKE = {
        name: "offer-breaks-handshake", since: "0.2.0", stage: NoVerdict,
        summary: "handshakes with an offer fail, those without one work",
        spec: [(5246, "7.4.1.3"), (8446, "4.2.11")],
        actor: Server,
        advice: "switch resumption off until the server takes sessions again, at the client or at the server (OpenSSL servers that verify clients: SSL_CTX_set_session_id_context; with client certificates: drop sessions when the certificate is renewed)",
        rule: breaks,
    }
}

fn breaks(case: &RuleContext<'_>) -> RuleResult {
    explained(case, "offer-breaks-handshake", &[Kind::OfferBreaks])
}

reason! {
    /// ## What it means
    /// The server answered with HelloRetryRequest, and the session was lost on the way: the client left its PSK out of
    /// the second ClientHello although it need not have, or the server accepts no PSK from a second hello.
    ///
    /// ## How we know
    /// Both hellos are in the capture. Where the PSK is in the first hello only, and its hash fits the suite of the
    /// HelloRetryRequest, this is `observed`. Where it is in both and is refused while PSKs of this service are
    /// accepted without HelloRetryRequest, it is `possible`, because the server that asks for another group may not be
    /// the one that holds the session; ruled out once a PSK has been accepted after HelloRetryRequest.
    pub(super) static DECLINED_AFTER_HELLO_RETRY = {
        name: "declined-after-hello-retry", since: "0.2.0", stage: Protocol,
        summary: "the PSK did not survive a HelloRetryRequest",
        spec: [(8446, "4.1.4"), (8446, "4.1.2")],
        actor: Either,
        advice: "let the client send a key share of a group that the server takes in its first hello (OpenSSL: the server's first group in the client's Groups; curl: --curves), so that no HelloRetryRequest is needed",
        rule: after_retry,
    }
}

fn after_retry(case: &RuleContext<'_>) -> RuleResult {
    let Some(retry) = &case.connection.retry else {
        return RuleResult::DoesNotHold;
    };
    let finding = explained(case, "declined-after-hello-retry", &[Kind::HelloRetry]);
    if !matches!(finding, RuleResult::DoesNotHold) || !necessity(case, Necessity::LeftOut) {
        return finding;
    }
    let evidence = super::super::Evidence::new(retry.first_hello.frame, "ClientHello offers the PSK");
    let request = super::super::Evidence::new(retry.request.frame, "HelloRetryRequest");
    RuleResult::holds(
        Confidence::Observed,
        "the second ClientHello leaves out the PSK of the first",
        evidence,
        vec![request],
    )
}
