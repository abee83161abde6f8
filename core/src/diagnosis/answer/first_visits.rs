//! The answer where nothing was offered and nothing seems to have been there to offer. What a service shows as a whole does not
//! say whether a client was here before in packets that are missing; the reasons of the connections do.

use super::tally::{ServiceTally, not_visible};
use super::{Answer, Open, counted, part_of};
use crate::diagnosis::rules::Reason;

/// Connections that seem to be the first of their clients, among others that are not visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FirstVisits {
    all: usize,
    unclear: usize,
    /// Whether their client was given something before is not visible.
    perhaps_returning: usize,
}

impl FirstVisits {
    pub(super) const fn of(tally: &ServiceTally) -> Self {
        Self {
            all: tally.all,
            unclear: tally.unclear,
            perhaps_returning: tally.perhaps_returning,
        }
    }

    /// How many of them reasons bear out: nothing visible or missing came before them, or nothing that was over.
    pub(super) fn borne_out(told: impl Iterator<Item = (&'static Reason, [u64; 3])>) -> usize {
        let counted = told.map(|(reason, [observed, inferred, possible])| match reason.name {
            // Possible where connections before it may be missing.
            "first-in-capture" => observed + inferred,
            "no-credential-yet-parallel" | "client-cannot-offer-v2-hello" => observed + inferred + possible,
            _ => 0,
        });
        usize::try_from(counted.sum::<u64>()).unwrap_or(usize::MAX)
    }

    /// That there was nothing to offer is not known even where nothing hides: a client may come back from before the capture,
    /// and have forgotten its session.
    pub(super) fn answer(&self, borne_out: Option<usize>) -> Answer {
        let Self {
            all,
            unclear,
            perhaps_returning,
        } = *self;
        let seem = all.saturating_sub(unclear + perhaps_returning);
        let first = borne_out.map_or(seem, |borne_out| borne_out.min(seem));
        let perhaps = perhaps_returning + seem - first;
        let sentence = match not_visible((perhaps, unclear), |count| count.to_string()) {
            None => {
                let verb = if all == 1 {
                    "is a first visit"
                } else {
                    "are first visits"
                };
                let all = part_of(all, all, "connection", "connections");
                format!("{all} {verb} in this capture, which shows nothing to resume.")
            }
            Some(hidden) => {
                let head = match first {
                    0 => format!(
                        "None of {} is known to be a first visit",
                        counted(all, "connection", "connections")
                    ),
                    1 => format!("1 of {all} connections is a first visit in this capture"),
                    first => format!("{first} of {all} connections are first visits in this capture"),
                };
                format!("{head}{hidden}.")
            }
        };
        Answer::open(sentence, Open::FirstVisits(*self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_visit_is_one_that_reasons_bear_out() {
        let visits = FirstVisits {
            all: 3,
            unclear: 1,
            perhaps_returning: 0,
        };
        let sentence = |borne_out| visits.answer(borne_out).sentence;
        let both = "2 of 3 connections are first visits in this capture; what became of 1 is not visible.";
        assert_eq!([sentence(None), sentence(Some(2)), sentence(Some(3))], [both; 3]);
        assert_eq!(
            sentence(Some(1)),
            "1 of 3 connections is a first visit in this capture; whether 1 had anything to offer, and what became of 1, is not visible."
        );
        let one = FirstVisits {
            all: 1,
            unclear: 0,
            ..visits
        };
        assert_eq!(
            one.answer(Some(0)).sentence,
            "None of 1 connection is known to be a first visit; whether 1 had anything to offer is not visible."
        );
    }

    #[test]
    fn a_first_visit_that_is_merely_possible_bears_nothing_out() {
        let told = |name, counts| {
            let reason = Reason::by_name(name).expect("is in the catalogue");
            FirstVisits::borne_out(std::iter::once((reason, counts)))
        };
        assert_eq!(told("first-in-capture", [1, 2, 4]), 3);
        assert_eq!(told("no-credential-yet-parallel", [0, 2, 4]), 6);
        assert_eq!(told("client-did-not-offer", [1, 2, 4]), 0);
    }
}
