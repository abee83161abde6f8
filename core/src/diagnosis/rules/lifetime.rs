//! The credential was too old.

use super::super::RuleResult;
use super::super::context::RuleContext;
use super::super::explanations::Kind;
use super::explained::explained;
use super::reason;

reason! {
    /// ## What it means
    /// The ticket was offered after the lifetime that the server had announced for it. A server may then refuse it.
    ///
    /// ## How we know
    /// The NewSessionTicket and the later ClientHello are both in the capture. The announced lifetime is only a hint:
    /// servers honour tickets for shorter or longer. It is `inferred` by the count, where no rival is left; otherwise
    /// `possible`. Ruled out once a ticket over its lifetime has been accepted.
    pub(super) static CREDENTIAL_OVER_LIFETIME = {
        name: "credential-over-lifetime", since: "0.1.0", stage: Protocol,
        summary: "the ticket was offered after its lifetime had ended",
        spec: [(5077, "3.3"), (8446, "4.6.1")],
        actor: Either,
        advice: "raise the lifetime above the usual pause between connections (nginx: ssl_session_timeout; Apache: SSLSessionCacheTimeout; HAProxy: tune.ssl.lifetime)",
        rule: over_lifetime,
    }
}

fn over_lifetime(case: &RuleContext<'_>) -> RuleResult {
    explained(case, "credential-over-lifetime", &[Kind::OverLifetime])
}
