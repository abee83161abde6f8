//! One answer a service: counts first, cause second, and the one thing to do.
//!
//! "Because" is for what is inferred or observed. Of two explanations that stand both are named, with what would tell which.
//! Where nothing is wrong it says so, and there is nothing to do.

use crate::session::{Connection, ConnectionId, Outcome};

use super::Confidence;
use super::contest::Standing;
use super::explanations::Kind;
use super::service::{Pattern, ServiceAnalyses, ServiceAnalysis};

/// Characters of an answer, at most.
pub const MAX_ANSWER: usize = 200;

/// What there is to say about a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// One sentence of at most [`MAX_ANSWER`] characters.
    pub sentence: String,
    /// What to do; `None` where nothing is wrong, or nothing can be done.
    pub action: Option<String>,
}

/// What a service's connections came to.
#[derive(Default)]
struct Tally {
    all: usize,
    resumed: usize,
    declined: usize,
    /// Broken handshakes with an offer.
    broken: usize,
    failed: usize,
    /// Offered nothing although the client had been here before.
    returned_silent: usize,
    /// First visits.
    first: usize,
    unclear: usize,
}

impl Tally {
    fn of(members: &[(ConnectionId, &Connection)], hindsight: &ServiceAnalyses) -> Self {
        let mut tally = Self::default();
        for (id, connection) in members {
            tally.all += 1;
            let returned = hindsight.attempts().of_connection(*id).is_some_and(|row| row.turn > 0);
            match connection.outcome {
                Outcome::Resumed(_) | Outcome::ExternalPsk => tally.resumed += 1,
                Outcome::Declined => tally.declined += 1,
                Outcome::Failed if connection.offered().next().is_some() => tally.broken += 1,
                Outcome::Failed => tally.failed += 1,
                Outcome::NotOffered if returned => tally.returned_silent += 1,
                Outcome::NotOffered => tally.first += 1,
                Outcome::Unclear(_) => tally.unclear += 1,
            }
        }
        tally
    }

    const fn offers(&self) -> usize {
        self.resumed + self.declined + self.broken
    }

    const fn returning(&self) -> usize {
        self.offers() + self.returned_silent
    }
}

impl Answer {
    /// Of one service.
    #[must_use]
    pub fn of(members: &[(ConnectionId, &Connection)], insight: &ServiceAnalysis, hindsight: &ServiceAnalyses) -> Self {
        let tally = Tally::of(members, hindsight);
        let mut answer = breaks(&tally, insight)
            .or_else(|| refusals(&tally, insight, hindsight))
            .or_else(|| silence(&tally, members, insight))
            .unwrap_or_else(|| nothing_wrong(&tally));
        answer.sentence = fitting(&answer.sentence);
        answer
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

const fn was(count: usize) -> &'static str {
    if count == 1 { "was" } else { "were" }
}

fn breaks(tally: &Tally, insight: &ServiceAnalysis) -> Option<Answer> {
    let standing = insight.standing(Kind::OfferBreaks).filter(|it| it.supported)?;
    let units = standing.claim.units();
    let sentence = format!(
        "{} with an offer failed, {} of the same clients without one worked{}.",
        part_of(standing.claim.named.len(), tally.offers(), "handshake", "handshakes"),
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
    })
}

fn refusals(tally: &Tally, insight: &ServiceAnalysis, hindsight: &ServiceAnalyses) -> Option<Answer> {
    if tally.declined == 0 {
        return None;
    }
    let of_all = |count: usize| part_of(count, tally.offers(), "offer", "offers");
    let mut told = insight.standing.iter().filter(|it| it.supported);
    let Some(first) = told.next() else {
        return Some(Answer {
            sentence: format!(
                "{} {} refused, and nothing visible says why.",
                of_all(tally.declined),
                was(tally.declined)
            ),
            action: Some("look into the server's log for that time, or capture longer".to_owned()),
        });
    };
    let count = refused_by(first, hindsight).min(tally.declined);
    let stateful = is_stateful(first, hindsight);
    let cause = first.claim.cause(stateful);
    if first.confidence.max(first.family) > Confidence::Possible {
        return Some(Answer {
            sentence: format!("{} {} refused because {cause}.", of_all(count), was(count)),
            action: Some(first.claim.action(stateful).to_owned()),
        });
    }
    let rival = told.find(|it| it.claim.kind.family() != first.claim.kind.family());
    let sentence = match rival {
        Some(rival) => format!(
            "{} {} refused: either {cause}, or {}.",
            of_all(count),
            was(count),
            rival.claim.cause(is_stateful(rival, hindsight))
        ),
        None => format!("{} {} refused; it may be that {cause}.", of_all(count), was(count)),
    };
    Some(Answer {
        sentence,
        action: Some(format!("find out which: {}", first.claim.kind.settle())),
    })
}

fn refused_by(it: &Standing, hindsight: &ServiceAnalyses) -> usize {
    let entries = it
        .claim
        .named
        .iter()
        .filter_map(|number| hindsight.attempts().entry(*number));
    let mut rows: Vec<u32> = entries.map(|entry| entry.row).collect();
    rows.dedup();
    rows.len()
}

fn is_stateful(it: &Standing, hindsight: &ServiceAnalyses) -> bool {
    let mut entries = it
        .claim
        .named
        .iter()
        .filter_map(|number| hindsight.attempts().entry(*number));
    entries.any(|entry| entry.stateful)
}

/// Clients that came back and offered nothing.
fn silence(tally: &Tally, members: &[(ConnectionId, &Connection)], insight: &ServiceAnalysis) -> Option<Answer> {
    let told = |name: &str| insight.patterns.iter().find(|pattern| pattern.name == name);
    if told("nothing-issued").is_some() {
        return Some(Answer {
            sentence: format!(
                "None of {} could resume because the server issues neither session IDs nor tickets.",
                counted(tally.all, "connection", "connections")
            ),
            action: Some("turn on tickets or a session cache on the server".to_owned()),
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
        });
    }
    if tally.returned_silent == 0 || told("client-never-offers").is_none() && tally.offers() > tally.returned_silent {
        return None;
    }
    let mut clients = members.iter().map(|(_, connection)| connection.client_address());
    let first = clients.next();
    let who = match first.filter(|first| clients.all(|other| other == *first)) {
        Some(client) => format!(" from {client}"),
        None => String::new(),
    };
    Some(Answer {
        sentence: format!(
            "{} that came back{who} offered no session.",
            part_of(tally.returned_silent, tally.returning(), "connection", "connections")
        ),
        action: Some("keep connections open, or have the client keep its sessions between connections".to_owned()),
    })
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

fn nothing_wrong(tally: &Tally) -> Answer {
    let sentence = if tally.all == tally.unclear {
        "What became of the handshakes is not visible in this capture.".to_owned()
    } else if tally.returning() == 0 && tally.failed == 0 {
        format!(
            "{} a first visit: nothing could be resumed, and nothing is wrong.",
            match tally.first {
                1 => "The one connection is".to_owned(),
                first => format!("Each of {first} connections is"),
            }
        )
    } else if tally.failed > 0 && tally.offers() == 0 {
        format!(
            "{} failed; no session was offered.",
            part_of(tally.failed, tally.all, "handshake", "handshakes")
        )
    } else {
        format!(
            "{} resumed, and nothing is wrong.",
            part_of(
                tally.resumed,
                tally.returning(),
                "returning connection",
                "returning connections"
            )
        )
    };
    Answer { sentence, action: None }
}
