//! One answer a service: counts first, cause second, and the one thing to do.
//!
//! "Because" is for what is inferred or observed. Of two guesses that ask for different things both are named, with what would
//! tell which.
//! Where nothing is wrong it says so, and there is nothing to do.

use std::collections::BTreeMap;

use crate::session::{Connection, ConnectionId, Outcomes};

use super::Confidence;
use super::attempts::{Attempts, Decision};
use super::contest::Standing;
use super::explanations::{Family, Kind, Named};
use super::rules::Reason;
use super::service::{Pattern, ServiceAnalyses, ServiceAnalysis};

mod first_visits;
mod nothing_wrong;
mod remaining;
mod silence;
mod tally;
mod unseen;

use first_visits::FirstVisits;
use nothing_wrong::{failed_beside, forgetting, nothing_wrong};
use remaining::Remaining;
use silence::Silence;
use tally::ServiceTally;

/// Characters of an answer, at most.
pub const MAX_ANSWER: usize = 200;

/// What to do about what nothing visible explains.
const LOOK_FURTHER: &str = "look into the server's log for that time, or capture longer";

/// What there is to say about a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// One sentence of at most [`MAX_ANSWER`] characters.
    pub sentence: String,
    /// What to do; `None` where nothing is wrong, or nothing can be done.
    pub action: Option<String>,
    /// The reason of connections whose advice that is; `None` where it is that of the service as a whole.
    pub reason: Option<&'static str>,
    /// Reasons of the connections may say more.
    open: Option<Open>,
    /// Which connections it is about, where it is not about all.
    scope: Option<String>,
}

/// What reasons of the connections decide.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Open {
    /// Why clients that had been given something offered nothing.
    Silence(Silence),
    /// Whether those that seem to be first visits are.
    FirstVisits(FirstVisits),
}

impl Answer {
    fn open(sentence: String, open: Open) -> Self {
        Self {
            open: Some(open),
            ..Self::new(sentence, None)
        }
    }

    fn new(sentence: String, action: Option<String>) -> Self {
        Self {
            sentence,
            action,
            reason: None,
            open: None,
            scope: None,
        }
    }

    /// Of one service.
    #[must_use]
    pub fn of(members: &[(ConnectionId, &Connection)], analysis: &ServiceAnalysis, analyses: &ServiceAnalyses) -> Self {
        let tally = ServiceTally {
            folded: analysis.folded,
            ..ServiceTally::of(members, analyses)
        };
        let mut answer = breaks(&tally, analysis)
            .or_else(|| forced(&tally, analysis, analyses))
            .or_else(|| refusals(&tally, members, analysis, analyses))
            .or_else(|| silence(&tally, members, analysis))
            .unwrap_or_else(|| nothing_wrong(&tally));
        if tally.declined > 0 && tally.failed > 0 {
            let more = format!("; {}.", failed_beside(&tally));
            answer.sentence = answer.sentence.trim_end_matches('.').to_owned() + &more;
        }
        answer.within(tally.scope())
    }

    /// Of a service none of whose connections is kept.
    #[must_use]
    pub fn of_folded(outcomes: &Outcomes) -> Self {
        let all = match outcomes.total() {
            1 => "Only the outcome of its one connection is".to_owned(),
            all => format!("Only the outcomes of its {all} connections are"),
        };
        forgetting(format!("{all} still known."), "them", outcomes)
    }

    /// The same, of these connections alone.
    fn within(mut self, scope: Option<String>) -> Self {
        if let Some(scope) = &scope {
            let mut rest = self.sentence.chars();
            let first: String = rest.next().into_iter().flat_map(char::to_lowercase).collect();
            let within = |scope: &str| format!("{scope}, {first}{}", rest.as_str());
            let named = within(scope);
            // Better without the numbers, which stand beside it, than without the cause.
            self.sentence = if named.chars().count() > MAX_ANSWER {
                within("Among those that were kept")
            } else {
                named
            };
        }
        self.sentence = fitting(&self.sentence);
        self.scope = scope;
        self
    }

    /// Whether reasons of the connections may say more: [`Answer::with_reasons`].
    #[must_use]
    pub const fn asks_for_reasons(&self) -> bool {
        self.open.is_some()
    }

    /// The same, once the primary reasons of the connections are told. Where one of them says why most of the silent clients
    /// had nothing to offer, it is the cause, and what it advises is to be done; where it is merely possible, the cause is a
    /// guess. What they do not bear out is no first visit for certain.
    #[must_use]
    pub fn with_primaries(&self, primaries: impl Iterator<Item = (&'static Reason, Confidence)>) -> Self {
        let mut told: BTreeMap<&str, (&'static Reason, [u64; 3])> = BTreeMap::new();
        for (reason, confidence) in primaries {
            let (_, [observed, inferred, possible]) = told.entry(reason.name).or_insert((reason, [0; 3]));
            *match confidence {
                Confidence::Observed => observed,
                Confidence::Inferred => inferred,
                Confidence::Possible => possible,
            } += 1;
        }
        self.with_reasons(told.into_values())
    }

    /// The same where they were counted: each with how many connections it is told of as observed, inferred and possible.
    #[must_use]
    pub fn with_reasons(&self, told: impl Iterator<Item = (&'static Reason, [u64; 3])>) -> Self {
        let answer = match &self.open {
            None => return self.clone(),
            Some(Open::Silence(silence)) => silence.answer(silence.cause(told).as_ref()),
            Some(Open::FirstVisits(visits)) => visits.answer(Some(FirstVisits::borne_out(told))),
        };
        answer.within(self.scope.clone())
    }
}

/// Cuts a sentence that is too long at a word.
fn fitting(sentence: &str) -> String {
    if sentence.chars().count() <= MAX_ANSWER {
        return sentence.to_owned();
    }
    let mut cut: String = sentence.chars().take(MAX_ANSWER - 1).collect();
    if let Some(end) = cut.rfind(' ') {
        cut.truncate(end);
    }
    cut.push('…');
    cut
}

/// "1 offer", "2 offers"; "1 of 3 offers".
fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn part_of(count: usize, all: usize, one: &str, many: &str) -> String {
    if count == all {
        match all {
            1 => format!("The one {one}"),
            2 => format!("Both {many}"),
            all => format!("All {all} {many}"),
        }
    } else {
        format!("{count} of {}", counted(all, one, many))
    }
}

/// The same of what is visible: "all" is said only where nothing is hidden.
fn known_part_of((count, all): (usize, usize), hidden: usize, one: &str, many: &str) -> String {
    if count == all && hidden > 0 {
        counted(count, one, many)
    } else {
        part_of(count, all, one, many)
    }
}

const fn was(count: usize) -> &'static str {
    if count == 1 { "was" } else { "were" }
}

fn breaks(tally: &ServiceTally, analysis: &ServiceAnalysis) -> Option<Answer> {
    let standing = analysis.standing(Kind::OfferBreaks).filter(|it| it.supported)?;
    let units = standing.claim.units_concerned();
    let sentence = format!(
        "{} with an offer failed, {} of the same clients without one worked{}.",
        tally.of_offers(standing.claim.named.len(), "handshake", "handshakes"),
        units.other_accepted,
        if standing.confidence > Confidence::Possible {
            ": offering a session breaks the handshake"
        } else {
            ""
        }
    );
    Some(Answer::new(sentence, Some(standing.claim.action(false).to_owned())))
}

/// Hello and credential left the server no choice, more often than anything else explains.
fn forced(tally: &ServiceTally, analysis: &ServiceAnalysis, analyses: &ServiceAnalyses) -> Option<Answer> {
    let (defect, count) = tally.forced?;
    let told = analysis.standing.iter().find(|it| it.supported);
    if told.is_some_and(|it| refused_by(it, analyses) > count) {
        return None;
    }
    Some(Answer::new(
        format!(
            "{} could not be accepted because {}.",
            tally.of_offers(count, "offer", "offers"),
            defect.cause()
        ),
        Some(defect.action().to_owned()),
    ))
}

/// "was refused", "failed": what became of the offers that an explanation names.
fn befell(it: &Standing, analyses: &ServiceAnalyses, count: usize) -> String {
    let mut entries = it
        .claim
        .named
        .iter()
        .filter_map(|number| analyses.attempts().entry(*number));
    if entries.all(|entry| entry.decision == Decision::Broken) {
        "failed".to_owned()
    } else {
        format!("{} refused", was(count))
    }
}

fn refusals(
    tally: &ServiceTally,
    members: &[(ConnectionId, &Connection)],
    analysis: &ServiceAnalysis,
    analyses: &ServiceAnalyses,
) -> Option<Answer> {
    let lost = tally.declined + tally.broken;
    if lost == 0 {
        return None;
    }
    let mut told = analysis.standing.iter().filter(|it| it.supported);
    let Some(first) = told.next() else {
        let remaining = || Remaining::of(members, analysis, analyses);
        return Some(unseen::one_direction(tally).unwrap_or_else(|| unexplained(tally, lost, remaining)));
    };
    let count = refused_by(first, analyses).min(lost);
    let of = |it: &Standing| Named::by(&it.claim, analyses.attempts());
    let (cause, verb) = (first.claim.cause_of(of(first)), befell(first, analyses, count));
    let action = first.claim.action_for(of(first));
    let Some(sure) = surely(first, &cause) else {
        // A guess about the lesser part says less than what hides all of it.
        if let Some(answer) = unseen::one_direction(tally).filter(|_| 2 * count < lost) {
            return Some(answer);
        }
        let rival = another_cause(first, told, analyses.attempts());
        let cause = (cause.as_str(), rival.map(|rival| rival.claim.cause_of(of(rival))));
        // An age is settled by waiting, which a cache that is too small does not outlast.
        let settling = rival.filter(|rival| rival.claim.kind == Kind::Evicted).unwrap_or(first);
        return Some(guess(tally, settling, (count, &verb), cause, action));
    };
    let others = match tally.declined.saturating_sub(count) {
        0 => String::new(),
        1 => "; 1 more was refused".to_owned(),
        others => format!("; {others} more were refused"),
    };
    let named = tally.of_offers(count, "offer", "offers");
    Some(Answer::new(
        format!("{named} {verb} because {sure}{others}."),
        Some(action.to_owned()),
    ))
}

/// The best explanation of another family, or of the same where that asks for something else. Which of several servers
/// answered, or at which moment sessions were lost, is one question whatever the answer.
fn another_cause<'a>(
    first: &Standing,
    mut others: impl Iterator<Item = &'a Standing>,
    attempts: &Attempts,
) -> Option<&'a Standing> {
    let family = first.claim.kind.family();
    let is_one_question = matches!(family, Family::Who | Family::When);
    let action = |it: &Standing| it.claim.action_for(Named::by(&it.claim, attempts));
    others.find(|it| it.claim.kind.family() != family || !is_one_question && action(it) != action(first))
}

fn unexplained(tally: &ServiceTally, lost: usize, remaining: impl FnOnce() -> Remaining) -> Answer {
    if tally.declined == 0 && tally.failed > 0 {
        return broken_alike(tally, lost);
    }
    let broke = broken_with(tally);
    if tally.declined == 0 {
        return Answer::new(
            format!("{} {broke}.", tally.of_offers(lost, "offer", "offers")),
            Some(
                match tally.alert {
                    Some(_) => "first fix what the alert names; the server's log for that time tells more",
                    None => LOOK_FURTHER,
                }
                .to_owned(),
            ),
        );
    }
    let more = match tally.broken {
        0 => String::new(),
        broken => format!("; {broken} more {broke}"),
    };
    if lost == tally.declined_external {
        let (one, many) = ("offer of an external PSK", "offers of an external PSK");
        let named = known_part_of((lost, lost + tally.external), tally.unclear, one, many);
        return Answer::new(
            format!("{named} {} refused, and nothing visible says why{more}.", was(lost)),
            Some(LOOK_FURTHER.to_owned()),
        );
    }
    let named = tally.of_offers(tally.declined, "offer", "offers");
    remaining().answer(&named, tally, &more)
}

/// How handshakes with an offer failed: an alert in clear says at least what the one who sent it calls it.
fn broken_with(tally: &ServiceTally) -> String {
    match tally.alert {
        Some((alert, count)) if count == tally.broken => format!("failed with the fatal alert {alert}"),
        Some((alert, count)) => format!("failed, {count} of them with the fatal alert {alert}"),
        None => "failed, and nothing visible says why".to_owned(),
    }
}

/// Handshakes fail with an offer and without one: it is not the offer.
fn broken_alike(tally: &ServiceTally, lost: usize) -> Answer {
    let named = tally.of_offers(lost, "handshake with an offer", "handshakes with an offer");
    let (verb, action) = if tally.left == (lost, tally.failed) {
        ("left by the client", None)
    } else {
        (
            "broken off",
            Some("first find out what breaks handshakes as such: the alert, or who sends the reset"),
        )
    };
    Answer::new(
        format!(
            "{named} {} {verb}, and so {} {} without one.",
            was(lost),
            was(tally.failed),
            tally.failed
        ),
        action.map(str::to_owned),
    )
}

/// What to do about a guess.
fn make_sure_first(settle: &str, action: &str) -> String {
    format!("make sure first ({settle}); if so, {action}")
}

/// What is merely possible: all that was refused is counted first, for the guess may be about a part of it.
fn guess(
    tally: &ServiceTally,
    settling: &Standing,
    (count, verb): (usize, &str),
    (cause, rival): (&str, Option<String>),
    action: &str,
) -> Answer {
    let is_part = count < tally.declined;
    let head = if is_part {
        let all = tally.of_offers(tally.declined, "offer", "offers");
        format!("{all} {} refused", was(tally.declined))
    } else {
        format!("{} {verb}", tally.of_offers(count, "offer", "offers"))
    };
    let sentence = match &rival {
        Some(rival) if is_part => format!("{head}, {count} of them perhaps because {cause}, or because {rival}."),
        Some(rival) => format!("{head}: either {cause}, or {rival}."),
        None if is_part => format!("{head}, {count} of them perhaps because {cause}."),
        None => format!("{head}; it may be that {cause}."),
    };
    let settle = settling.claim.settle();
    let action = match rival {
        Some(_) => format!("find out which ({settle})"),
        None => make_sure_first(settle, action),
    };
    Answer::new(sentence, Some(action))
}

/// What follows "because": the explanation where it is sure, else its family, where that is and has a word of its own, with
/// the explanation as a guess.
fn surely(it: &Standing, cause: &str) -> Option<String> {
    if it.confidence > Confidence::Possible {
        return Some(cause.to_owned());
    }
    if it.family == Confidence::Possible {
        return None;
    }
    let whole = match it.claim.kind.family() {
        Family::Who => "a server or process other than the one that holds them answered",
        Family::When => "everything from before some moment was lost",
        // How long a session lives, what befell it and what asks are different matters within a family.
        _ => return None,
    };
    if it.claim.kind == Kind::OtherStore {
        return Some(cause.to_owned());
    }
    Some(format!("{whole}; it may be that {cause}"))
}

fn refused_by(it: &Standing, analyses: &ServiceAnalyses) -> usize {
    let entries = it
        .claim
        .named
        .iter()
        .filter_map(|number| analyses.attempts().entry(*number));
    let mut rows: Vec<u32> = entries.map(|entry| entry.row).collect();
    rows.dedup();
    rows.len()
}

/// Clients that came back and offered nothing.
fn silence(
    tally: &ServiceTally,
    members: &[(ConnectionId, &Connection)],
    analysis: &ServiceAnalysis,
) -> Option<Answer> {
    let told = |name: &str| analysis.patterns.iter().find(|pattern| pattern.name == name);
    if let Some(pattern) = told("nothing-issued") {
        let unclear = match tally.unclear {
            0 => String::new(),
            unclear => format!(
                "; what became of {} is not visible",
                counted(unclear, "other", "others")
            ),
        };
        let none = format!(
            "None of {} could resume",
            counted(tally.all - tally.unclear, "connection", "connections")
        );
        let cause = "the server issues neither session IDs nor tickets";
        let action = "turn on tickets or a session cache on the server";
        return Some(match pattern.would_settle {
            None => Answer::new(format!("{none} because {cause}{unclear}."), Some(action.to_owned())),
            Some(settle) => Answer::new(
                format!("{none}; it may be that {cause}{unclear}."),
                Some(make_sure_first(settle, action)),
            ),
        });
    }
    if let Some(pattern) = told("no-ticket-on-resumption") {
        return Some(Answer::new(
            format!(
                "{} full: clients offer a ticket after a full handshake and none after a resumption; the server may issue none then.",
                are(pattern, tally.returning())
            ),
            Some("issue tickets on resumption too, or two at a time (OpenSSL: SSL_CTX_set_num_tickets)".to_owned()),
        ));
    }
    (tally.silent > 0).then(|| Silence::of(tally, members).answer(None))
}

fn are(pattern: &Pattern, returning: usize) -> String {
    let count = usize::try_from(pattern.explains).unwrap_or(returning);
    let verb = if count == 1 { "is" } else { "are" };
    format!(
        "{} {verb}",
        part_of(
            count,
            returning.max(count),
            "returning connection",
            "returning connections"
        )
    )
}

#[cfg(test)]
mod tests;
