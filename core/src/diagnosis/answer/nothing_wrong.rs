//! The answer where no session was refused, and none kept back: what was offered was accepted, or nothing was there to offer.

use super::first_visits::FirstVisits;
use super::tally::ServiceTally;
use super::{Answer, counted, part_of, unseen};
use crate::session::Outcomes;

/// Nothing is wrong with the sessions of the service, as far as is visible.
pub(super) fn nothing_wrong(tally: &ServiceTally) -> Answer {
    if tally.all == tally.unclear {
        let answer = unseen::all_unclear(&tally.hidden_by);
        return match tally.folded.outcomes.declined {
            0 => answer,
            _ => forgetting(answer.sentence, "the others", &tally.folded.outcomes),
        };
    }
    let sentence = if tally.resumed > 0 {
        well(tally)
    } else if tally.failed > 0 {
        nothing_but_failures(tally)
    } else if tally.empty_handed > 0 {
        // First visits offer nothing either: it is the others that are counted.
        let back = part_of(tally.empty_handed, tally.all, "connection", "connections");
        let hidden = tally
            .not_visible(|count| counted(count, "other", "others"))
            .unwrap_or_default();
        if perhaps_given(tally) {
            format!(
                "{back} came back and offered nothing: the server seems to issue nothing, or the client to keep nothing{hidden}."
            )
        } else {
            format!("{back} {}{hidden}.", had_nothing(tally.empty_handed))
        }
    } else if tally.external > 0 {
        let external = part_of(tally.external, tally.all, "connection", "connections");
        format!("{external} used an external PSK, which is no resumption.")
    } else if tally.folded.is_none() {
        return FirstVisits::of(tally).answer(None);
    } else {
        // Whoever comes for the first time may have come before, in what was folded away.
        "No session is known to have been offered; whether there was one to offer is not known.".to_owned()
    };
    if tally.folded.outcomes.declined > 0 {
        return forgetting(sentence, "the others", &tally.folded.outcomes);
    }
    let action = match (tally.empty_handed, tally.resumed) {
        (0, _) => None,
        _ if tally.failed > 0 => None,
        _ if tally.takes_tickets => Some("turn on tickets on the server, or have the client keep its sessions"),
        (_, 0) => Some("turn on a session cache on the server, or tickets in the clients, which ask for none"),
        (..) => Some("have these clients take tickets, or give the server a session cache in addition to its tickets"),
    };
    Answer::new(sentence, action.map(str::to_owned))
}

/// What to do where refusals are no longer known but by their number.
const LOOK_AT_FEWER: &str = "analyse fewer connections at a time, or keep more of them";

/// Nothing is wrong with what is kept; with what was folded away there may have been.
pub(super) fn forgetting(sentence: String, whom: &str, folded: &Outcomes) -> Answer {
    match folded.declined {
        0 => Answer::new(sentence, None),
        refused => {
            let kept = sentence.trim_end_matches('.');
            let told = format!("{kept}; {refused} of {whom} offered a session that was refused.");
            Answer::new(told, Some(LOOK_AT_FEWER.to_owned()))
        }
    }
}

/// Whether clients that came back empty-handed may have been given something before all the same.
fn perhaps_given(tally: &ServiceTally) -> bool {
    tally.perhaps_given || !tally.folded.is_none()
}

/// Why connections that came back empty-handed did.
fn had_nothing(connections: usize) -> String {
    let whom = if connections == 1 {
        "its client"
    } else {
        "their clients"
    };
    format!("had nothing to offer because the server had issued nothing to {whom}")
}

/// Whatever was offered was accepted.
fn well(tally: &ServiceTally) -> String {
    let but = match (tally.failed, tally.empty_handed) {
        // Only of resumption: security findings stand beside it.
        (0, 0) if tally.folded.outcomes.declined > 0 => String::new(),
        (0, 0) => ": resumption works".to_owned(),
        (0, empty) if perhaps_given(tally) => format!("; {empty} came back and offered nothing"),
        (0, empty) => format!("; {empty} {}", had_nothing(empty)),
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
pub(super) fn failed_beside(tally: &ServiceTally) -> String {
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
        0 if tally.failed == 2 => format!("{failed} failed, and neither of them offered a session."),
        0 => format!("{failed} failed, and none of them offered a session."),
        perhaps if perhaps == tally.failed => {
            format!("{failed} failed; whether a session was offered is not visible.")
        }
        perhaps => format!("{failed} failed; whether {perhaps} of them offered a session is not visible."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_others_fail_not_everything_is_well() {
        let sentence = |perhaps_offered| {
            let tally = ServiceTally {
                all: 5,
                resumed: 3,
                failed: 2,
                perhaps_offered,
                ..ServiceTally::default()
            };
            nothing_wrong(&tally).sentence
        };
        assert_eq!(
            sentence(0),
            "All 3 returning connections resumed, and 2 handshakes without an offer failed."
        );
        assert_eq!(
            sentence(1),
            "All 3 returning connections resumed, and 2 handshakes failed, 1 of them perhaps with an offer."
        );
        assert_eq!(
            sentence(2),
            "All 3 returning connections resumed, and 2 handshakes failed, with an offer or without."
        );
    }

    fn sentence(tally: &ServiceTally) -> (String, bool) {
        let answer = nothing_wrong(tally);
        (answer.sentence, answer.action.is_some())
    }

    #[test]
    fn what_is_wrong_with_nothing_to_resume_is_told_in_its_own_words() {
        let all = |count| ServiceTally {
            all: count,
            ..ServiceTally::default()
        };
        assert_eq!(
            sentence(&ServiceTally { unclear: 2, ..all(2) }),
            (
                "What became of the handshakes is not visible in this capture.".to_owned(),
                true
            )
        );
        assert_eq!(
            sentence(&ServiceTally { failed: 3, ..all(3) }),
            (
                "All 3 handshakes failed, and none of them offered a session.".to_owned(),
                false
            )
        );
        assert_eq!(
            sentence(&ServiceTally {
                failed: 1,
                empty_handed: 2,
                ..all(3)
            }),
            ("1 of 3 handshakes failed, and it offered no session.".to_owned(), false)
        );
        let empty = |perhaps_given| ServiceTally {
            empty_handed: 2,
            perhaps_given,
            ..all(3)
        };
        let (told, action) = sentence(&empty(false));
        assert!(told.starts_with("2 of 3 connections had nothing to offer because") && action);
        let (told, action) = sentence(&empty(true));
        assert!(told.ends_with("the server seems to issue nothing, or the client to keep nothing.") && action);
        assert_eq!(
            sentence(&all(2)),
            (
                "Both connections are first visits in this capture, which shows nothing to resume.".to_owned(),
                false
            )
        );
        let works = ServiceTally {
            resumed: 2,
            silent: 1,
            ..all(4)
        };
        assert_eq!(
            sentence(&works),
            (
                "2 of 3 returning connections resumed: resumption works.".to_owned(),
                false
            )
        );
    }

    #[test]
    fn what_a_failed_handshake_offered_is_told_only_where_it_is_known() {
        let failed = |perhaps_offered| {
            nothing_wrong(&ServiceTally {
                all: 2,
                failed: 2,
                perhaps_offered,
                ..ServiceTally::default()
            })
            .sentence
        };
        assert_eq!(
            failed(0),
            "Both handshakes failed, and neither of them offered a session."
        );
        assert_eq!(
            failed(1),
            "Both handshakes failed; whether 1 of them offered a session is not visible."
        );
        assert_eq!(
            failed(2),
            "Both handshakes failed; whether a session was offered is not visible."
        );
    }

    #[test]
    fn what_hides_is_said_beside_the_first_visits() {
        let sentence = |all, perhaps_returning, unclear| {
            nothing_wrong(&ServiceTally {
                all,
                unclear,
                perhaps_returning,
                ..ServiceTally::default()
            })
            .sentence
        };
        assert_eq!(
            sentence(4, 0, 2),
            "2 of 4 connections are first visits in this capture; what became of 2 is not visible."
        );
        assert_eq!(
            sentence(2, 1, 1),
            "None of 2 connections is known to be a first visit; whether 1 had anything to offer, and what became of 1, is not visible."
        );
        assert_eq!(
            sentence(1, 0, 1),
            "What became of the handshakes is not visible in this capture."
        );
    }
}
