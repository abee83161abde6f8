//! Asks the catalogue about one connection and puts the answers in order.

use crate::session::{Connection, Outcome};

use super::context::RuleContext;
use super::rules::{CATALOG, CLIENT_DID_NOT_OFFER, Reason, Stage};
use super::{Confidence, Evidence, RuleResult};

/// A reason that holds for a connection.
#[derive(Debug, Clone)]
pub struct Judged {
    /// Which reason.
    pub reason: &'static Reason,
    /// How sure.
    pub confidence: Confidence,
    /// One sentence about this connection.
    pub summary: String,
    /// The pattern that settled it with hindsight.
    pub settled_by: Option<&'static str>,
    /// Never empty: first and further evidence.
    pub evidence: Vec<Evidence>,
    /// What else is possible, by name; only for a reason that is itself only possible.
    pub remaining: Vec<&'static str>,
}

/// The reasons of a connection, the primary one first. Empty for a plain resumption.
///
/// Precedence: the surer reason first, then the order of the catalogue, except that of several causes that a contrast
/// settled the one least likely by chance goes first. A neutral reason ("unexplained") stands only where no other holds.
#[must_use]
pub fn judge(case: &RuleContext<'_>) -> Vec<Judged> {
    let stages: &[Stage] = match case.connection.outcome {
        Outcome::Resumed(_) | Outcome::ExternalPsk => &[],
        Outcome::NotOffered => &[Stage::NothingOffered],
        Outcome::Declined => &[Stage::Protocol, Stage::Inferred, Stage::Unexplained],
        Outcome::Failed => &[Stage::Protocol, Stage::NoVerdict],
        Outcome::Unclear(_) => &[Stage::NotVisible],
    };
    let mut judged: Vec<Judged> = CATALOG
        .iter()
        .filter(|reason| stages.contains(&reason.stage))
        .filter_map(|reason| match (reason.rule)(case) {
            RuleResult::Holds {
                confidence,
                evidence: (first, more),
                summary,
                settled_by,
            } => {
                let evidence = std::iter::once(first).chain(more).collect();
                Some(Judged {
                    reason,
                    confidence,
                    summary,
                    // What is only possible is not settled.
                    settled_by: settled_by.filter(|_| confidence > Confidence::Possible),
                    evidence,
                    remaining: Vec::new(),
                })
            }
            RuleResult::DoesNotHold | RuleResult::CannotTell => None,
        })
        .collect();
    if judged.iter().any(|reason| !reason.reason.neutral) {
        judged.retain(|reason| !reason.reason.neutral);
    }
    drop_bare_fact(&mut judged);
    judged.sort_by_key(|reason| (std::cmp::Reverse(reason.confidence), position(reason.reason)));
    least_likely_by_chance_first(case, &mut judged);
    name_what_remains(&mut judged);
    say_what_was_lost(case, &mut judged);
    show_failure(case, &mut judged);
    judged
}

/// That nothing was offered is a fact without its cause: a cause that is sure enough takes its place.
fn drop_bare_fact(judged: &mut Vec<Judged>) {
    let is_bare = |reason: &Judged| reason.reason.name == CLIENT_DID_NOT_OFFER.name;
    let sure = |reason: &Judged| reason.confidence > Confidence::Possible && !is_bare(reason);
    if judged.iter().any(sure) {
        judged.retain(|reason| !is_bare(reason));
    }
}

/// Among the inferred reasons, those that a contrast settled take their places in the order of its significance.
fn least_likely_by_chance_first(case: &RuleContext<'_>, judged: &mut [Judged]) {
    let chance = |reason: &Judged| {
        let pattern = case.insight()?.pattern(reason.settled_by?)?;
        let contrast = pattern.contrast.as_ref()?;
        (reason.confidence == Confidence::Inferred).then_some(contrast.p_value)
    };
    let mut ranked: Vec<(usize, f64)> = judged
        .iter()
        .enumerate()
        .filter_map(|(place, reason)| Some((place, chance(reason)?)))
        .collect();
    let places: Vec<usize> = ranked.iter().map(|(place, _)| *place).collect();
    ranked.sort_by(|a, b| a.1.total_cmp(&b.1));
    let before: Vec<Judged> = ranked
        .iter()
        .filter_map(|(from, _)| judged.get(*from).cloned())
        .collect();
    for (place, reason) in places.into_iter().zip(before) {
        if let Some(slot) = judged.get_mut(place) {
            *slot = reason;
        }
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
        reason.summary.push_str(&said);
    }
}

fn name_what_remains(judged: &mut [Judged]) {
    let possible: Vec<&'static str> = judged
        .iter()
        .filter(|reason| reason.confidence == Confidence::Possible)
        .map(|reason| reason.reason.name)
        .collect();
    for reason in judged
        .iter_mut()
        .filter(|reason| reason.confidence == Confidence::Possible)
    {
        reason.remaining = possible
            .iter()
            .copied()
            .filter(|name| *name != reason.reason.name)
            .collect();
    }
}

/// Whether a connection is one that reasons are asked about.
#[must_use]
pub const fn needs_reason(connection: &Connection) -> bool {
    !matches!(connection.outcome, Outcome::Resumed(_) | Outcome::ExternalPsk)
}
