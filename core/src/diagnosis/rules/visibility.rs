//! What the capture cannot show.

use super::super::attempts::RowNumber;
use super::super::context::RuleContext;
use super::super::{Confidence, Evidence, RuleResult};
use super::reason;
use crate::session::{Blindness, Mechanism, Outcome};

reason! {
    /// ## What it means
    /// The packets that decide how this handshake went are not in the capture: one hello is missing, packets were lost
    /// or cut, only one direction is there, or the capture ended first; or nothing before it tells whether a
    /// session ID is being offered or was made up by the client. This says nothing about the server. The same reason is
    /// given where a credential was refused whose issue is among what is missing: without it nothing explains the
    /// refusal.
    ///
    /// ## How we know
    /// Sequence numbers show what is missing; the report names the cause under `not_visible`.
    pub(in crate::diagnosis) static CAPTURE_INCOMPLETE = {
        name: "capture-incomplete", since: "0.1.0", stage: NotVisible, neutral: true,
        summary: "the packets that decide are not in the capture",
        spec: [],
        actor: Observer,
        advice: "start capturing before the first connection, in both directions, with whole packets (tcpdump -s 0) and a large buffer (-B)",
        rule: capture_incomplete,
    }
}

fn capture_incomplete(case: &RuleContext<'_>) -> RuleResult {
    let Outcome::Unclear(blindness) = case.connection.outcome else {
        return RuleResult::DoesNotHold;
    };
    let connection = case.connection;
    // Every packet may be there, and still not say whether the session ID is one.
    if let (Blindness::NothingTellsApart, Some(hello)) = (blindness, connection.hello.yes()) {
        return RuleResult::holds(
            Confidence::Observed,
            "nothing in the capture tells whether the session ID in the hello is an offer or made up",
            Evidence::new(
                hello.at.frame,
                "ClientHello with a session ID that nobody was seen to issue",
            ),
            Vec::new(),
        );
    }
    let (frame, text) = match (connection.hello.yes(), connection.answer.yes()) {
        (_, Some(answer)) => (answer.at.frame, "ServerHello; what decides after it is not visible"),
        (Some(hello), None) => (hello.at.frame, "ClientHello; no answer to it is visible"),
        (None, None) => (
            connection.transport.first(),
            "first packet of the connection; no hello is visible",
        ),
    };
    RuleResult::holds(
        Confidence::Observed,
        format!(
            "the capture does not show how this handshake was decided ({})",
            blindness.code()
        ),
        Evidence::new(frame, text),
        Vec::new(),
    )
}

/// Whether another connection that is still known is seen to issue what this one offers: then its origin is known, even where the
/// issue is stamped after the offer. Nobody offers what is not issued yet; a clock was set back.
fn is_issued_here(case: &RuleContext<'_>) -> bool {
    case.offered().any(|offered| {
        let by = offered.credential.issued.map(|issue| issue.connection);
        by.is_some_and(|by| by != case.id) && case.issuer(offered.credential).is_some()
    })
}

/// A refused credential that nobody was seen to issue, while an earlier handshake of that client, in which it may have been,
/// is not in the capture in whole.
pub(in crate::diagnosis) fn issue_may_be_lost(case: &RuleContext<'_>) -> RuleResult {
    let why = if case.history.may_hide_an_issue(case.id, case.connection) {
        "an earlier handshake of this client was not seen in full"
    } else if case.lacks_connections() {
        "connections before it were folded away, or lost while capturing"
    } else {
        return RuleResult::DoesNotHold;
    };
    let Some(hello) = case.connection.hello.yes() else {
        return RuleResult::DoesNotHold;
    };
    if is_issued_here(case) {
        return RuleResult::DoesNotHold;
    }
    let mut entries = case.analyses.entries(case.id).peekable();
    if entries.peek().is_none() || entries.any(|(_, entry)| entry.issue != RowNumber::NONE || entry.accepted_before > 0)
    {
        return RuleResult::DoesNotHold;
    }
    RuleResult::holds(
        Confidence::Observed,
        format!("the server refused a credential whose issue is not visible: {why}"),
        Evidence::new(
            hello.at.frame,
            "ClientHello offers a credential that nothing visible issued",
        ),
        Vec::new(),
    )
}

reason! {
    /// ## What it means
    /// The client offered a credential that no connection in the capture issued or used before. It comes from before
    /// the capture, from another address, or from a store that outlived the process. Its refusal cannot be explained,
    /// because nothing is known about the session behind it.
    ///
    /// ## How we know
    /// Session IDs and tickets up to TLS 1.2 are issued in clear, and this one was not, at no address and no port; no
    /// packets are missing in which an earlier handshake of this client may have issued it. Tickets of TLS 1.3 are
    /// issued encrypted; there the reason holds only if the capture has no earlier TLS 1.3 connection of this client,
    /// to any server, that could have issued it.
    pub(super) static OFFER_OF_UNKNOWN_ORIGIN = {
        name: "offer-of-unknown-origin", since: "0.1.0", stage: Unexplained,
        summary: "the offered credential was issued before the capture began",
        spec: [(5246, "7.4.1.2"), (5077, "3.4"), (8446, "4.2.11")],
        actor: Observer,
        advice: "start the capture before the client makes its first connection",
        rule: offer_of_unknown_origin,
    }
}

fn offer_of_unknown_origin(case: &RuleContext<'_>) -> RuleResult {
    let Some(hello) = case.connection.hello.yes() else {
        return RuleResult::CannotTell;
    };
    // What was folded away at the memory limit, or lost while capturing, may have issued it. Beside
    // encrypted_client_hello the visible PSK may be a decoy that nobody ever issued (RFC 9849 §6.1.2).
    let hidden = case.lacks_connections() || case.history.may_hide_an_issue(case.id, case.connection);
    if hidden || hello.encrypted_client_hello && hello.pre_shared_key {
        return RuleResult::CannotTell;
    }
    if is_issued_here(case) {
        return RuleResult::DoesNotHold;
    }
    let mut entries = case.analyses.entries(case.id).peekable();
    if entries.peek().is_none() || entries.any(|(_, entry)| entry.issue != RowNumber::NONE || entry.accepted_before > 0)
    {
        return RuleResult::DoesNotHold;
    }
    let psk = case.offered().any(|offered| offered.mechanism == Mechanism::Psk);
    if psk && case.history.may_have_issued_encrypted(case.id, case.connection) {
        return RuleResult::CannotTell;
    }
    RuleResult::holds(
        Confidence::Observed,
        "the client offers a credential whose issue is not in the capture",
        Evidence::new(
            hello.at.frame,
            "ClientHello offers a credential that nothing earlier in the capture issued",
        ),
        Vec::new(),
    )
}
