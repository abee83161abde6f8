//! The credential was too old.

use super::super::context::RuleContext;
use super::super::{Confidence, Evidence, RuleResult};
use super::reason;
use crate::session::{Connection, Mechanism};

reason! {
    /// ## What it means
    /// The ticket was offered after the lifetime that the server had announced for it. A server may refuse it then.
    ///
    /// ## How we know
    /// The NewSessionTicket and the later ClientHello are both in the capture. The announced lifetime is only a hint:
    /// the reason is `inferred` if this server accepted a younger credential in the capture, else `possible`.
    pub(super) static CREDENTIAL_OVER_LIFETIME = {
        name: "credential-over-lifetime", since: "0.1.0", stage: Protocol,
        summary: "the ticket was offered after its lifetime had ended",
        spec: [(5077, "3.3"), (8446, "4.6.1")],
        actor: Either,
        advice: "raise the lifetime above the usual pause between connections (nginx: ssl_session_timeout; Apache: SSLSessionCacheTimeout; HAProxy: tune.ssl.lifetime)",
        rule: over_lifetime,
    }
}

const NANOS: i64 = 1_000_000_000;

fn over_lifetime(case: &RuleContext<'_>) -> RuleResult {
    let Some(hello) = case.connection.hello.yes() else {
        return RuleResult::CannotTell;
    };
    let mut oldest = None;
    for offered in case.offered() {
        let Some(issue) = offered.credential.issued else {
            return RuleResult::CannotTell;
        };
        let Some(lifetime) = offered.credential.lifetime else {
            return RuleResult::DoesNotHold;
        };
        let age = hello.at.time.since(issue.at.time) / NANOS;
        if age <= i64::from(lifetime) {
            return RuleResult::DoesNotHold;
        }
        oldest = Some((age, lifetime, issue));
    }
    let Some((age, lifetime, issue)) = oldest else {
        return RuleResult::DoesNotHold;
    };
    let confidence = if accepts_younger(case, i64::from(lifetime)) {
        Confidence::Inferred
    } else {
        Confidence::Possible
    };
    RuleResult::holds(
        confidence,
        format!("the ticket was {age} s old; the server had given it {lifetime} s"),
        Evidence::new(
            hello.at.frame,
            format!("ClientHello offers the ticket at the age of {age} s"),
        ),
        vec![Evidence::new(
            issue.at.frame,
            format!("NewSessionTicket with a lifetime of {lifetime} s"),
        )],
    )
}

/// Whether this client had a ticket of this service accepted within its lifetime before.
fn accepts_younger(case: &RuleContext<'_>, lifetime: i64) -> bool {
    let young = |connection: &Connection| {
        let credential = connection.accepted.and_then(|id| case.ledger.get(id))?;
        let issue = credential
            .issued
            .filter(|_| credential.mechanism == Mechanism::Ticket)?;
        Some(connection.hello_time().since(issue.at.time) / NANOS <= lifetime)
    };
    case.earlier().take(64).any(|earlier| young(earlier) == Some(true))
}
