//! Refusals that nothing speaks for: what may be behind them all the same. Nothing of it is more than possible, and it is not
//! all that could be.

use super::tally::ServiceTally;
use super::{Answer, LOOK_FURTHER, MAX_ANSWER, was};
use crate::diagnosis::attempts::OfferedCredential;
use crate::diagnosis::explanations::Family;
use crate::diagnosis::service::{ServiceAnalyses, ServiceAnalysis};
use crate::session::{Connection, ConnectionId, Outcome};

/// What would tell which of them it was.
const TELL_APART: &str = "find out which (a session offered again at once, and again after a pause; the server's log for that time), or capture longer";

/// What may be behind every one of the refusals of a service. Another server can always have answered.
#[derive(Debug, Default)]
pub(super) struct Remaining {
    /// Nobody takes what the server issues, in words.
    never: Option<String>,
    /// Refused offers.
    refused: usize,
    /// Those of what was taken later: it was neither forgotten nor too old.
    outlived: usize,
}

impl Remaining {
    pub(super) fn of(
        members: &[(ConnectionId, &Connection)],
        analysis: &ServiceAnalysis,
        analyses: &ServiceAnalyses,
    ) -> Self {
        let declined = members
            .iter()
            .filter(|(_, connection)| connection.outcome == Outcome::Declined);
        let refused: Vec<(u32, &OfferedCredential)> = declined
            .flat_map(|(id, _)| analyses.entries(*id))
            .filter(|(_, entry)| entry.failed())
            .collect();
        let never = analysis
            .standing
            .iter()
            // Once is not always.
            .filter(|it| it.claim.kind.family() == Family::Never && refused.len() > 1)
            .find(|it| {
                refused
                    .iter()
                    .all(|(number, _)| it.claim.named.binary_search(number).is_ok())
            });
        Self {
            never: never.map(|it| it.claim.cause(true)),
            refused: refused.len(),
            outlived: refused.iter().filter(|(_, entry)| entry.accepted_later).count(),
        }
    }

    /// The sentence in which `named` were refused, and what to do; `more` ends it.
    pub(super) fn answer(&self, named: &str, tally: &ServiceTally, more: &str) -> Answer {
        let head = format!("{named} {} refused, and nothing visible says why", was(tally.declined));
        let told = self
            .words(tally.declined)
            .map(|words| format!("{head}: perhaps {words}{more}."));
        match told.filter(|told| told.chars().count() <= MAX_ANSWER) {
            Some(told) if self.outlived == 0 => Answer::new(told, Some(TELL_APART.to_owned())),
            told => {
                let sentence = told.unwrap_or_else(|| format!("{head}{more}."));
                Answer::new(sentence, Some(LOOK_FURTHER.to_owned()))
            }
        }
    }

    /// `None` where no single cause fits all of them.
    fn words(&self, declined: usize) -> Option<String> {
        let (sessions, they_were) = match declined {
            1 => ("the session", "it was"),
            _ => ("the sessions", "they were"),
        };
        match &self.never {
            _ if self.outlived > 0 => {
                (self.outlived == self.refused).then(|| format!("another server answered, for {they_were} taken later"))
            }
            Some(never) => Some(format!(
                "{never}, {they_were} forgotten or too old, or another server answered"
            )),
            None => Some(format!(
                "the server had forgotten {sessions}, {they_were} too old, or another server answered"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(remaining: &Remaining, declined: usize, more: &str) -> (String, String) {
        let tally = ServiceTally {
            declined,
            ..ServiceTally::default()
        };
        let answer = remaining.answer("So many offers", &tally, more);
        (answer.sentence, answer.action.expect("something to do"))
    }

    #[test]
    fn what_nothing_speaks_for_is_named_as_what_it_may_be() {
        let (one, action) = told(&Remaining::default(), 1, "");
        assert_eq!(
            one,
            "So many offers was refused, and nothing visible says why: perhaps the server had forgotten the session, it was too old, or another server answered."
        );
        assert_eq!(action, TELL_APART);
        assert!(
            told(&Remaining::default(), 2, "")
                .0
                .contains("forgotten the sessions, they were too old")
        );
    }

    #[test]
    fn that_nobody_takes_what_the_server_issues_comes_first() {
        let never = Remaining {
            never: Some("the server keeps no sessions behind its session IDs".to_owned()),
            ..Remaining::default()
        };
        let (sentence, _) = told(&never, 2, "");
        assert!(
            sentence.ends_with("perhaps the server keeps no sessions behind its session IDs, they were forgotten or too old, or another server answered."),
            "{sentence}"
        );
    }

    #[test]
    fn what_was_taken_later_was_neither_forgotten_nor_too_old() {
        let of = |outlived| Remaining {
            refused: 2,
            outlived,
            ..Remaining::default()
        };
        let (sentence, action) = told(&of(2), 2, "");
        assert!(
            sentence.ends_with("perhaps another server answered, for they were taken later."),
            "{sentence}"
        );
        assert_eq!(action, LOOK_FURTHER);
        // Nothing need be behind both where only one was.
        let (sentence, action) = told(&of(1), 2, "");
        assert!(sentence.ends_with("nothing visible says why."), "{sentence}");
        assert_eq!(action, LOOK_FURTHER);
    }

    #[test]
    fn where_the_sentence_would_be_too_long_what_is_certain_stays() {
        let (sentence, _) = told(&Remaining::default(), 1, &format!("; {}", "more ".repeat(20)));
        assert!(sentence.starts_with("So many offers was refused, and nothing visible says why; more"));
    }
}
