//! One answer a service: counts first, cause second, and the one thing to do.
//!
//! "Because" is for what is inferred or observed. Of two explanations that stand both are named, with what would tell which.
//! Where nothing is wrong it says so, and there is nothing to do.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use crate::net::Timestamp;
use crate::session::{
    ClientHelloFacts, Completed, Connection, ConnectionId, Offer, OfferKind, Outcome, Side, TicketExtension,
};
use crate::tls::AlertDescription;

use super::Confidence;
use super::attempts::{Decision, Necessity};

use super::contest::Standing;
use super::context::{Gave, gave};
use super::explanations::{Family, Kind, Named};
use super::rules::Reason;
use super::service::{Pattern, ServiceAnalyses, ServiceAnalysis};

mod silence;

use silence::Silence;

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
    /// It is about clients that offered nothing, and reasons of their connections may say more.
    silence: Option<Silence>,
}

/// What a service's connections came to.
#[derive(Default)]
struct ServiceTally {
    all: usize,
    resumed: usize,
    /// An external PSK was accepted: that is no resumption.
    external: usize,
    declined: usize,
    /// Of those, the ones that offered nothing but external PSKs.
    declined_external: usize,
    /// Failed handshakes with an offer.
    broken: usize,
    /// The fatal alert in clear that most of those ended with, and how many did.
    alert: Option<(AlertDescription, usize)>,
    failed: usize,
    /// Failed handshakes of which it is not visible whether they offered a session.
    perhaps_offered: usize,
    /// Of the failed ones, those in which no alert and no server ended it: the client left, with an offer and without one.
    left: (usize, usize),
    /// Offered nothing although the client had been given something.
    silent: usize,
    unclear: usize,
    /// Of those, the ones that offered a session.
    unclear_offers: usize,
    /// That some handshake gave its client nothing was concluded from sizes.
    perhaps_given: bool,
    /// Offered nothing, and their client had been here before and was given nothing.
    empty_handed: usize,
    /// Of those, some would take a ticket.
    takes_tickets: bool,
    /// Offered nothing, and whether their client was given something when it was here before is not visible.
    perhaps_returning: usize,
    /// The most frequent defect that left the server no choice, and how often it did.
    forced: Option<(Necessity, usize)>,
}

impl ServiceTally {
    fn of(members: &[(ConnectionId, &Connection)], analyses: &ServiceAnalyses) -> Self {
        let mut tally = Self::default();
        let mut forced: BTreeMap<Necessity, usize> = BTreeMap::new();
        let mut alerts: BTreeMap<AlertDescription, usize> = BTreeMap::new();
        // When each client first left with nothing.
        let mut served: HashMap<u32, Timestamp> = HashMap::new();
        // When each client first left with what nobody can tell.
        let mut perhaps_served: HashMap<u32, Timestamp> = HashMap::new();
        for (id, connection) in members {
            tally.all += 1;
            let row = analyses.attempts().of_connection(*id);
            let returned = row.is_some_and(|row| row.given && !row.newcomer);
            let was_here = |since: &HashMap<u32, Timestamp>| {
                let known = row.filter(|row| !row.newcomer);
                known.is_some_and(|row| since.get(&row.client).is_some_and(|over| *over < row.time))
            };
            if connection.outcome == Outcome::Failed && row.is_some_and(|row| !row.broken) {
                let offers = connection.offered().next().is_some();
                *(if offers { &mut tally.left.0 } else { &mut tally.left.1 }) += 1;
            }
            match connection.outcome {
                Outcome::Resumed(_) => tally.resumed += 1,
                Outcome::ExternalPsk => tally.external += 1,
                Outcome::Declined => {
                    tally.declined += 1;
                    tally.declined_external += usize::from(offered_external_only(connection));
                }
                Outcome::Failed if connection.offered().next().is_some() => {
                    tally.broken += 1;
                    let mut seen = Side::BOTH
                        .iter()
                        .filter_map(|side| connection.side(*side).fatal_alert());
                    if let Some(alert) = seen.next() {
                        *alerts.entry(alert.description).or_default() += 1;
                    }
                }
                Outcome::Failed => {
                    tally.failed += 1;
                    tally.perhaps_offered += usize::from(may_have_offered(connection));
                }
                Outcome::NotOffered if returned => tally.silent += 1,
                Outcome::NotOffered if was_here(&perhaps_served) => tally.perhaps_returning += 1,
                Outcome::NotOffered if was_here(&served) => {
                    tally.empty_handed += 1;
                    let takes =
                        |hello: &ClientHelloFacts| hello.offers_tls13 || hello.ticket != TicketExtension::Absent;
                    tally.takes_tickets |= connection.hello.yes().is_some_and(takes);
                }
                Outcome::NotOffered => {}
                Outcome::Unclear(_) => {
                    tally.unclear += 1;
                    tally.unclear_offers += usize::from(connection.offered().next().is_some());
                }
            }
            match (row, gave(connection)) {
                (Some(row), Some((given @ (Gave::Nothing | Gave::NothingInferred), over))) => {
                    served.entry(row.client).or_insert(over.time);
                    tally.perhaps_given |= given != Gave::Nothing;
                }
                (Some(row), Some((Gave::Unclear, over))) => {
                    perhaps_served.entry(row.client).or_insert(over.time);
                }
                (Some(row), None) if matches!(connection.completed, Completed::Blind(_)) => {
                    perhaps_served.entry(row.client).or_insert(row.time);
                }
                _ => {}
            }
            let mut defects = analyses.entries(*id).filter(|(_, entry)| entry.failed());
            if let Some(defect) = defects.find_map(|(_, entry)| entry.necessity) {
                *forced.entry(defect).or_default() += 1;
            }
        }
        tally.forced = forced.into_iter().max_by_key(|(_, count)| *count);
        tally.alert = alerts.into_iter().max_by_key(|(_, count)| *count);
        tally
    }

    const fn offers(&self) -> usize {
        self.resumed + self.declined + self.broken + self.unclear_offers
    }

    const fn returning(&self) -> usize {
        self.offers() + self.silent
    }

    /// "All 3 offers", "2 of 3 offers"; "3 offers" where there may have been others that are not visible.
    fn of_offers(&self, count: usize, one: &str, many: &str) -> String {
        known_part_of((count, self.offers()), self.unclear - self.unclear_offers, one, many)
    }

    /// The same of connections whose client had been given something.
    fn of_returning(&self, count: usize) -> String {
        self.part_of_returning(count, self.returning())
    }

    fn part_of_returning(&self, count: usize, all: usize) -> String {
        let hidden = self.unclear - self.unclear_offers + self.perhaps_returning;
        let (one, many) = ("returning connection", "returning connections");
        known_part_of((count, all), hidden, one, many)
    }

    /// What is not visible of these connections, for the end of a sentence; nothing where all is.
    fn not_visible(&self, named: impl Fn(usize) -> String) -> Option<String> {
        let offer = |perhaps| format!("whether {} had anything to offer", named(perhaps));
        let end = |unclear| format!("what became of {}", named(unclear));
        let what = match (self.perhaps_returning, self.unclear) {
            (0, 0) => return None,
            (perhaps, 0) => offer(perhaps),
            (0, unclear) => end(unclear),
            (perhaps, unclear) => format!("{}, and {},", offer(perhaps), end(unclear)),
        };
        Some(format!("; {what} is not visible"))
    }
}

/// Whether all that a handshake offered was external PSKs.
fn offered_external_only(connection: &Connection) -> bool {
    let is_external = |offer: &Offer| offer.kind == OfferKind::ExternalPsk;
    !connection.offers.is_empty() && connection.offers.iter().all(is_external)
}

/// Whether it is not visible if a handshake offered a session: its hello is not, or what it offered may be something else.
fn may_have_offered(connection: &Connection) -> bool {
    let doubtful = |offer: &Offer| offer.kind.doubt().is_some();
    connection.hello.blind().is_some() || connection.offers.iter().any(doubtful)
}

impl Answer {
    /// Of one service.
    #[must_use]
    pub fn of(members: &[(ConnectionId, &Connection)], analysis: &ServiceAnalysis, analyses: &ServiceAnalyses) -> Self {
        let tally = ServiceTally::of(members, analyses);
        let mut answer = breaks(&tally, analysis)
            .or_else(|| forced(&tally, analysis, analyses))
            .or_else(|| refusals(&tally, analysis, analyses))
            .or_else(|| silence(&tally, members, analysis))
            .unwrap_or_else(|| nothing_wrong(&tally));
        if tally.declined > 0 && tally.failed > 0 {
            let more = format!("; {}.", failed_beside(&tally));
            answer.sentence = answer.sentence.trim_end_matches('.').to_owned() + &more;
        }
        answer.sentence = fitting(&answer.sentence);
        answer
    }

    /// Whether reasons of the connections may say more: [`Answer::with_reasons`].
    #[must_use]
    pub const fn asks_for_reasons(&self) -> bool {
        self.silence.is_some()
    }

    /// The same, once reasons are told: each with how many connections of the service it is the primary one of, inferred or
    /// observed. Where one of them says why most of the silent clients had nothing to offer, it is the cause, and what it
    /// advises is to be done.
    #[must_use]
    pub fn with_reasons(&self, told: impl Iterator<Item = (&'static Reason, usize)>) -> Self {
        match &self.silence {
            Some(silence) => silence.answer(silence.cause(told)),
            None => self.clone(),
        }
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
    Some(Answer {
        sentence,
        action: Some(standing.claim.action(false).to_owned()),
        ..Answer::default()
    })
}

/// Hello and credential left the server no choice, more often than anything else explains.
fn forced(tally: &ServiceTally, analysis: &ServiceAnalysis, analyses: &ServiceAnalyses) -> Option<Answer> {
    let (defect, count) = tally.forced?;
    let told = analysis.standing.iter().find(|it| it.supported);
    if told.is_some_and(|it| refused_by(it, analyses) > count) {
        return None;
    }
    Some(Answer {
        sentence: format!(
            "{} could not be accepted because {}.",
            tally.of_offers(count, "offer", "offers"),
            defect.cause()
        ),
        action: Some(defect.action().to_owned()),
        ..Answer::default()
    })
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

fn refusals(tally: &ServiceTally, analysis: &ServiceAnalysis, analyses: &ServiceAnalyses) -> Option<Answer> {
    let lost = tally.declined + tally.broken;
    if lost == 0 {
        return None;
    }
    let mut told = analysis.standing.iter().filter(|it| it.supported);
    let Some(first) = told.next() else {
        return Some(unexplained(tally, lost));
    };
    let count = refused_by(first, analyses).min(lost);
    let of = |it: &Standing| Named::by(&it.claim, analyses.attempts());
    let (cause, verb) = (first.claim.cause_of(of(first)), befell(first, analyses, count));
    let action = first.claim.action_for(of(first));
    let Some(sure) = surely(first, &cause) else {
        let rival = told.find(|it| it.claim.kind.family() != first.claim.kind.family());
        let rival = rival.map(|rival| rival.claim.cause_of(of(rival)));
        return Some(guess(tally, first, (count, &verb), (&cause, rival), action));
    };
    let others = match tally.declined.saturating_sub(count) {
        0 => String::new(),
        1 => "; 1 more was refused".to_owned(),
        others => format!("; {others} more were refused"),
    };
    let named = tally.of_offers(count, "offer", "offers");
    Some(Answer {
        sentence: format!("{named} {verb} because {sure}{others}."),
        action: Some(action.to_owned()),
        ..Answer::default()
    })
}

fn unexplained(tally: &ServiceTally, lost: usize) -> Answer {
    if tally.declined == 0 && tally.failed > 0 {
        return broken_alike(tally, lost);
    }
    let broke = broken_with(tally);
    if tally.declined == 0 {
        return Answer {
            sentence: format!("{} {broke}.", tally.of_offers(lost, "offer", "offers")),
            action: Some(
                match tally.alert {
                    Some(_) => "mend first what the alert names; the server's log for that time tells more",
                    None => LOOK_FURTHER,
                }
                .to_owned(),
            ),
            ..Answer::default()
        };
    }
    let named = if lost == tally.declined_external {
        let (one, many) = ("offer of an external PSK", "offers of an external PSK");
        known_part_of((lost, lost + tally.external), tally.unclear, one, many)
    } else {
        tally.of_offers(tally.declined, "offer", "offers")
    };
    let more = match tally.broken {
        0 => String::new(),
        broken => format!("; {broken} more {broke}"),
    };
    Answer {
        sentence: format!(
            "{named} {} refused, and nothing visible says why{more}.",
            was(tally.declined)
        ),
        action: Some(LOOK_FURTHER.to_owned()),
        ..Answer::default()
    }
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
            Some("look first for what breaks handshakes as such: the alert, or who sends the reset"),
        )
    };
    Answer {
        sentence: format!(
            "{named} {} {verb}, and so {} {} without one.",
            was(lost),
            was(tally.failed),
            tally.failed
        ),
        action: action.map(str::to_owned),
        ..Answer::default()
    }
}

/// What is merely possible: all that was refused is counted first, for the guess may be about a part of it.
fn guess(
    tally: &ServiceTally,
    first: &Standing,
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
    let settle = first.claim.settle();
    let action = match rival {
        Some(_) => format!("find out which ({settle})"),
        None => format!("make sure first ({settle}); if so, {action}"),
    };
    Answer {
        sentence,
        action: Some(action),
        ..Answer::default()
    }
}

/// What follows "because": the explanation where it is sure, else its family, where that is, with the explanation as a guess.
fn surely(it: &Standing, cause: &str) -> Option<String> {
    if it.confidence > Confidence::Possible {
        return Some(cause.to_owned());
    }
    let whole = match it.claim.kind.family() {
        _ if it.family == Confidence::Possible => return None,
        Family::Who => "another server or process answered than the one that holds them",
        Family::When => "everything from before some moment was lost",
        _ => return Some(cause.to_owned()),
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
    if told("nothing-issued").is_some() {
        return Some(Answer {
            sentence: format!(
                "None of {} could resume because the server issues neither session IDs nor tickets{}.",
                counted(tally.all - tally.unclear, "connection", "connections"),
                match tally.unclear {
                    0 => String::new(),
                    unclear => format!(
                        "; what became of {} is not visible",
                        counted(unclear, "other", "others")
                    ),
                }
            ),
            action: Some("turn on tickets or a session cache on the server".to_owned()),
            ..Answer::default()
        });
    }
    if let Some(pattern) = told("no-ticket-on-resumption") {
        return Some(Answer {
            sentence: format!(
                "{} full: clients offer a ticket after a full handshake and none after a resumption; the server may issue none then.",
                are(pattern, tally.returning())
            ),
            action: Some(
                "issue tickets on resumption too, or two at a time (OpenSSL: SSL_CTX_set_num_tickets)".to_owned(),
            ),
            ..Answer::default()
        });
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

fn nothing_wrong(tally: &ServiceTally) -> Answer {
    let sentence = if tally.all == tally.unclear {
        "What became of the handshakes is not visible in this capture.".to_owned()
    } else if tally.resumed > 0 {
        well(tally)
    } else if tally.failed > 0 {
        nothing_but_failures(tally)
    } else if tally.empty_handed > 0 {
        // First visits offer nothing either: it is the others that are counted.
        let back = part_of(tally.empty_handed, tally.all, "connection", "connections");
        let hidden = tally
            .not_visible(|count| counted(count, "other", "others"))
            .unwrap_or_default();
        if tally.perhaps_given {
            format!(
                "{back} came back and offered nothing: the server seems to issue nothing, or the client to keep nothing{hidden}."
            )
        } else {
            format!("{back} had nothing to offer because the server had issued nothing to their clients{hidden}.")
        }
    } else if tally.external > 0 {
        let external = part_of(tally.external, tally.all, "connection", "connections");
        format!("{external} used an external PSK, which is no resumption.")
    } else {
        first_visits(tally)
    };
    let action = match (tally.empty_handed, tally.resumed) {
        (0, _) => None,
        _ if tally.failed > 0 => None,
        _ if tally.takes_tickets => Some("turn on tickets on the server, or have the client keep its sessions"),
        (_, 0) => Some("turn on a session cache on the server, or tickets in the clients, which ask for none"),
        (..) => Some("have these clients take tickets, or give the server a session cache beside its tickets"),
    };
    Answer {
        sentence,
        action: action.map(str::to_owned),
        ..Answer::default()
    }
}

/// Whatever was offered was accepted.
fn well(tally: &ServiceTally) -> String {
    let but = match (tally.failed, tally.empty_handed) {
        // Only of resumption: security findings stand beside it.
        (0, 0) => ": resumption works".to_owned(),
        (0, empty) if tally.perhaps_given => format!("; {empty} came back and offered nothing"),
        (0, empty) => format!("; {empty} had nothing to offer because the server had issued nothing to their clients"),
        (_, _) => format!(", and {}", failed_beside(tally)),
    };
    let external = match tally.external {
        0 => String::new(),
        external => format!("; {external} used an external PSK"),
    };
    let hidden = tally.not_visible(|count| counted(count, "other", "others"));
    let hidden = hidden.unwrap_or_default();
    // Who was here before and left with nothing came back as well.
    let named = tally.part_of_returning(tally.resumed, tally.returning() + tally.empty_handed);
    format!("{named} resumed{but}{external}{hidden}.")
}

/// Handshakes that failed beside offers that did not.
fn failed_beside(tally: &ServiceTally) -> String {
    let failed = counted(tally.failed, "handshake", "handshakes");
    match tally.perhaps_offered {
        0 => format!("{failed} without an offer failed"),
        perhaps if perhaps == tally.failed => format!("{failed} failed, with an offer or without"),
        perhaps => format!("{failed} failed, {perhaps} of them perhaps with an offer"),
    }
}

/// Nothing was offered for certain, and handshakes failed.
fn nothing_but_failures(tally: &ServiceTally) -> String {
    let failed = part_of(tally.failed, tally.all, "handshake", "handshakes");
    match tally.perhaps_offered {
        0 if tally.failed == 1 => format!("{failed} failed, and it offered no session."),
        0 => format!("{failed} failed, and none of them offered a session."),
        perhaps if perhaps == tally.failed => {
            format!("{failed} failed; whether a session was offered is not visible.")
        }
        perhaps => format!("{failed} failed; whether {perhaps} of them offered a session is not visible."),
    }
}

/// Nothing was offered. That there was nothing to offer is not known even where nothing hides: a client may come back from
/// before the capture, and have forgotten its session.
fn first_visits(tally: &ServiceTally) -> String {
    let all = tally.all;
    let Some(hidden) = tally.not_visible(|count| count.to_string()) else {
        return match all {
            1 => "The one connection is a first visit in this capture, which shows nothing to resume.".to_owned(),
            all => format!("All {all} connections are first visits in this capture, which shows nothing to resume."),
        };
    };
    let head = match all.saturating_sub(tally.unclear + tally.perhaps_returning) {
        0 => format!(
            "None of {} is known to be a first visit",
            counted(all, "connection", "connections")
        ),
        1 => format!("1 of {all} connections is a first visit in this capture"),
        first => format!("{first} of {all} connections are first visits in this capture"),
    };
    format!("{head}{hidden}.")
}

#[cfg(test)]
mod tests;
