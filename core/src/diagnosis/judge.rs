//! Asks the catalogue about one connection and puts the answers in order.

use std::borrow::Cow;

use crate::session::{Connection, Outcome};

use super::context::RuleContext;
use super::rules::{
    CAPTURE_INCOMPLETE, CATALOG, CLIENT_DID_NOT_OFFER, FIRST_IN_CAPTURE, Reason, RuleStage, candidates,
    issue_may_be_lost,
};
use super::service::patterns::MAX_RIVALS;
use super::{Confidence, Evidence, RuleResult};

/// What to do where a client offers sessions, and not always.
const OFFERS_AT_OTHER_TIMES: &str = "this client offers sessions at other times: have all its connections use one store (one process, one context), have it keep as many sessions as it opens connections at once, and have the server issue tickets with every handshake, resumed ones too";

/// What to do where other hellos of its address are not visible: they may offer.
const MAY_OFFER_AT_OTHER_TIMES: &str = "see first whether this client offers sessions at other times: hellos of its address are missing here, or cut. Capture whole packets, from before it connects";

/// What is said of a cause that rests on what came before, where that is not known.
const OUT_OF_TURN: &str = "; timestamps and frame numbers put the connections of this client's address in different orders: a clock was set back, or an earlier capture was appended to a later one";

/// A reason that holds for a connection.
#[derive(Debug, Clone)]
pub struct Judged {
    /// Which reason.
    pub reason: &'static Reason,
    /// How sure.
    pub confidence: Confidence,
    /// One sentence about this connection.
    pub summary: Cow<'static, str>,
    /// What to do: that of the reason, or another where the capture shows that to be done already.
    pub advice: &'static str,
    /// The pattern that settled it with service analysis.
    pub settled_by: Option<&'static str>,
    /// Never empty: first and further evidence.
    pub evidence: Vec<Evidence>,
    /// What else is possible, by name; only for a reason that is itself below observed, and where nothing explains.
    pub remaining: Vec<&'static str>,
    /// The cheapest step that would tell more; wherever the confidence is below observed.
    pub would_settle: Option<&'static str>,
    /// Its place among the explanations of its service.
    place: usize,
}

/// The reasons of a connection, the primary one first. Empty for a plain resumption.
///
/// Precedence: the surer reason first, then the order of the contest, then that of the catalogue. A neutral reason
/// ("unexplained") stands only where no other holds; what a client does beside the cause stands last.
#[must_use]
pub fn judge(case: &RuleContext<'_>) -> Vec<Judged> {
    let stages: &[RuleStage] = match case.connection.outcome {
        Outcome::Resumed(_) | Outcome::ExternalPsk => &[],
        Outcome::NotOffered => &[RuleStage::NothingOffered],
        Outcome::Declined => &[RuleStage::Protocol, RuleStage::Inferred, RuleStage::Unexplained],
        Outcome::Failed => &[RuleStage::Protocol, RuleStage::Inferred, RuleStage::NoVerdict],
        Outcome::Unclear(_) => &[RuleStage::NotVisible],
    };
    let asked = CATALOG.iter().filter(|reason| stages.contains(&reason.stage));
    let mut judged: Vec<Judged> = asked.filter_map(|reason| judged(reason, (reason.rule)(case))).collect();
    if judged
        .iter()
        .any(|reason| !reason.reason.neutral && !reason.reason.is_behaviour())
    {
        judged.retain(|reason| !reason.reason.neutral);
    }
    doubt_what_came_before(case, &mut judged);
    drop_bare_fact(&mut judged);
    say_what_may_be_lost(case, &mut judged);
    judged.sort_by_key(|reason| {
        (
            reason.reason.is_behaviour(),
            std::cmp::Reverse(reason.confidence),
            reason.place,
            position(reason.reason),
        )
    });
    name_what_remains(case, &mut judged);
    say_what_was_lost(case, &mut judged);
    show_failure(case, &mut judged);
    advise_otherwise(case, &mut judged);
    judged
}

/// A client that offers at other times has its cache turned on, and one of which hellos are missing may have.
fn advise_otherwise(case: &RuleContext<'_>, judged: &mut [Judged]) {
    let mut bare = judged
        .iter_mut()
        .filter(|reason| std::ptr::eq(reason.reason, &raw const CLIENT_DID_NOT_OFFER));
    if let Some(bare) = bare.next() {
        if case.behaviour().offers() {
            bare.advice = OFFERS_AT_OTHER_TIMES;
        } else if case.history.may_hide_an_offer(case.id) {
            bare.advice = MAY_OFFER_AT_OTHER_TIMES;
        }
    }
}

fn judged(reason: &'static Reason, finding: RuleResult) -> Option<Judged> {
    let RuleResult::Holds {
        confidence,
        evidence: (first, more),
        summary,
        settled_by,
        place,
        beside,
        would_settle,
    } = finding
    else {
        return None;
    };
    Some(Judged {
        reason,
        confidence,
        summary,
        advice: reason.advice,
        settled_by,
        evidence: std::iter::once(first).chain(more).collect(),
        remaining: beside,
        would_settle,
        place: place.unwrap_or(usize::MAX),
    })
}

/// Where times and frames disagree on what came before, whatever rests on it is possible at best.
fn doubt_what_came_before(case: &RuleContext<'_>, judged: &mut [Judged]) {
    if !case.history.is_out_of_turn(case.id) {
        return;
    }
    for reason in judged.iter_mut().filter(|reason| !reason.reason.neutral) {
        let rests_on_it = match reason.reason.stage {
            RuleStage::NothingOffered | RuleStage::Unexplained => reason.confidence > Confidence::Possible,
            // What is concluded of a service counts rows, whichever came first.
            RuleStage::Inferred => reason.confidence == Confidence::Observed,
            RuleStage::Protocol | RuleStage::NoVerdict | RuleStage::NotVisible => false,
        };
        if rests_on_it {
            reason.confidence = Confidence::Possible;
            reason.summary.to_mut().push_str(OUT_OF_TURN);
        }
    }
}

/// That nothing was offered is a fact without its cause: a cause that is sure enough takes its place.
fn drop_bare_fact(judged: &mut Vec<Judged>) {
    let is_bare = |reason: &Judged| reason.reason.name == CLIENT_DID_NOT_OFFER.name;
    let sure = |reason: &Judged| reason.confidence > Confidence::Possible && !is_bare(reason);
    if judged.iter().any(sure) {
        judged.retain(|reason| !is_bare(reason));
    }
}

/// That nothing visible explains a refusal is no wonder where the session behind it is among what is missing.
fn say_what_may_be_lost(case: &RuleContext<'_>, judged: &mut Vec<Judged>) {
    let unexplained = |reason: &Judged| reason.reason.neutral || reason.reason.is_behaviour();
    if case.connection.outcome != Outcome::Declined || !judged.iter().all(unexplained) {
        return;
    }
    if let Some(lost) = self::judged(&CAPTURE_INCOMPLETE, issue_may_be_lost(case)) {
        judged.retain(|reason| !reason.reason.neutral);
        judged.push(lost);
    }
}

fn position(reason: &'static Reason) -> usize {
    CATALOG
        .iter()
        .position(|entry| std::ptr::eq(*entry, reason))
        .unwrap_or(usize::MAX)
}

/// Whatever explains a failed handshake, the frame in which it failed belongs to the evidence.
fn show_failure(case: &RuleContext<'_>, judged: &mut [Judged]) {
    let Some(primary) = judged
        .first_mut()
        .filter(|_| case.connection.outcome == Outcome::Failed)
    else {
        return;
    };
    let shown = super::rules::failure(case.connection);
    if !primary.evidence.iter().any(|known| known.frame == shown.frame) {
        primary.evidence.push(shown);
    }
}

/// What is concluded rests on what was not seen, too: packets lost by then may have shown otherwise.
fn say_what_was_lost(case: &RuleContext<'_>, judged: &mut [Judged]) {
    let lost = case.drops.before(case.connection.transport.ended);
    if lost == 0 {
        return;
    }
    let packets = if lost == 1 { "packet was" } else { "packets were" };
    for reason in judged
        .iter_mut()
        .filter(|reason| reason.confidence < Confidence::Observed)
    {
        let said = format!("; {lost} {packets} lost while capturing by then, and may have shown otherwise");
        reason.summary.to_mut().push_str(&said);
    }
}

/// What is possible stands beside all else that is possible of this connection, and what stands in the service.
fn name_what_remains(case: &RuleContext<'_>, judged: &mut [Judged]) {
    let told: Vec<&'static str> = judged.iter().map(|reason| reason.reason.name).collect();
    let possible: Vec<&'static str> = judged
        .iter()
        .filter(|reason| reason.confidence == Confidence::Possible)
        .map(|reason| reason.reason.name)
        .collect();
    for reason in judged
        .iter_mut()
        .filter(|reason| reason.confidence < Confidence::Observed)
    {
        let own = reason.reason.name;
        if reason.confidence == Confidence::Possible {
            let others = possible.iter().copied().chain(std::mem::take(&mut reason.remaining));
            let mut names: Vec<&'static str> = Vec::new();
            for name in others {
                if name != own && !names.contains(&name) && names.len() < MAX_RIVALS {
                    names.push(name);
                }
            }
            // What is merely possible never stands alone.
            if names.is_empty() {
                names = anything_else(case);
                names.retain(|name| !told.contains(name));
            }
            reason.remaining = names;
        }
        reason.would_settle = reason.would_settle.or(Some(reason.reason.stage.settle()));
    }
}

/// What may always be behind a connection of this outcome.
fn anything_else(case: &RuleContext<'_>) -> Vec<&'static str> {
    match case.connection.outcome {
        Outcome::Declined | Outcome::Failed => candidates(case),
        Outcome::NotOffered => vec![FIRST_IN_CAPTURE.name, CLIENT_DID_NOT_OFFER.name],
        Outcome::Resumed(_) | Outcome::ExternalPsk | Outcome::Unclear(_) => Vec::new(),
    }
}

/// Whether a connection is one that reasons are asked about.
#[must_use]
pub const fn needs_reason(connection: &Connection) -> bool {
    !matches!(connection.outcome, Outcome::Resumed(_) | Outcome::ExternalPsk)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::tests::full;

    #[test]
    fn reasons_have_the_order_of_the_catalogue() {
        let places: Vec<usize> = CATALOG.iter().copied().map(position).collect();
        assert_eq!(places, (0..CATALOG.len()).collect::<Vec<_>>());
    }

    #[test]
    fn nobody_asks_why_a_session_was_resumed() {
        let asked = |outcome| needs_reason(&Connection { outcome, ..full(1) });
        assert!(!asked(Outcome::Resumed(None)) && !asked(Outcome::ExternalPsk));
        let unclear = Outcome::Unclear(crate::session::Blindness::Gap);
        assert!(
            [Outcome::Declined, Outcome::NotOffered, Outcome::Failed, unclear]
                .into_iter()
                .all(asked)
        );
    }
}
