//! The answer where clients came back and offered nothing. What a service shows as a whole does not say why; where the reasons
//! of the connections do, they are the cause.

use super::tally::ServiceTally;
use super::{Answer, Open, make_sure_first};
use crate::diagnosis::rules::Reason;
use crate::session::{Connection, ConnectionId};

/// Reasons that say what became of a session that the client had been given.
const CAUSES: [&str; 8] = [
    "credential-expired-client-side",
    "client-dropped-after-fatal-alert",
    "client-dropped-after-unclean-close",
    "client-sni-changed",
    "client-offers-lower-version-only",
    "client-config-changed",
    "client-non-ems-not-offered",
    "client-tickets-exhausted",
];

/// Why most of the silent clients offered nothing.
#[derive(Debug)]
pub(super) struct Cause {
    reason: &'static Reason,
    /// Connections of which it is told.
    count: usize,
    /// Of most of them it is merely possible.
    is_guess: bool,
}

/// Connections whose client had been given something, and offered nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Silence {
    /// How many of how many returning connections, and of whom.
    named: String,
    count: usize,
    /// What others did.
    rest: String,
}

impl Silence {
    pub(super) fn of(tally: &ServiceTally, members: &[(ConnectionId, &Connection)]) -> Self {
        let mut clients = members.iter().map(|(_, connection)| connection.client_address());
        let first = clients.next();
        let who = match first.filter(|first| clients.all(|other| other == *first)) {
            Some(client) => format!(" from {client}"),
            None => String::new(),
        };
        Self {
            named: tally.of_returning(tally.silent) + &who,
            count: tally.silent,
            rest: match tally.resumed {
                0 => String::new(),
                resumed => format!("; {resumed} resumed"),
            },
        }
    }

    /// What is told of most of them: for certain, or else as a guess.
    pub(super) fn cause(&self, told: impl Iterator<Item = (&'static Reason, [u64; 3])>) -> Option<Cause> {
        let causes: Vec<_> = told.filter(|(reason, _)| CAUSES.contains(&reason.name)).collect();
        let of_most = |is_guess: bool| {
            let counted = causes.iter().map(|(reason, [observed, inferred, possible])| {
                let count = observed + inferred + if is_guess { *possible } else { 0 };
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                Cause {
                    reason,
                    count,
                    is_guess,
                }
            });
            let most = counted.max_by_key(|cause| cause.count)?;
            (most.count <= self.count && 2 * most.count > self.count).then_some(most)
        };
        of_most(false).or_else(|| of_most(true))
    }

    pub(super) fn answer(&self, cause: Option<&Cause>) -> Answer {
        let Self { named, count, rest } = self;
        let (sentence, action) = match cause {
            Some(cause) => {
                let because = if cause.is_guess { "perhaps because" } else { "because" };
                let of_them = if cause.count == *count {
                    String::new()
                } else {
                    format!("{} of them ", cause.count)
                };
                let Reason { summary, advice, .. } = cause.reason;
                let action = if cause.is_guess {
                    make_sure_first(cause.reason.stage.settle(), advice)
                } else {
                    (*advice).to_owned()
                };
                let comma = if cause.is_guess || !of_them.is_empty() {
                    ", "
                } else {
                    " "
                };
                (
                    format!("{named} offered no session{comma}{of_them}{because} {summary}{rest}."),
                    action,
                )
            }
            None => (
                format!("{named} offered no session although one had been given before{rest}."),
                "keep connections open, or have the client keep its sessions between connections".to_owned(),
            ),
        };
        Answer {
            action: Some(action),
            reason: cause.map(|cause| cause.reason.name),
            ..Answer::open(sentence, Open::Silence(self.clone()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(name: &str) -> &'static Reason {
        Reason::by_name(name).expect("is in the catalogue")
    }

    #[test]
    fn what_is_told_of_most_is_the_cause() {
        let silence = Silence {
            named: "4 of 9 returning connections".to_owned(),
            count: 4,
            rest: "; 5 resumed".to_owned(),
        };
        let guessed = |told: &[(&str, [u64; 3])]| {
            let told = told.iter().map(|(name, counts)| (reason(name), *counts));
            silence.answer(silence.cause(told).as_ref())
        };
        let answer = |told: &[(&str, u64)]| {
            let told: Vec<_> = told.iter().map(|(name, count)| (*name, [0, *count, 0])).collect();
            guessed(&told)
        };
        let unclean = "client-dropped-after-unclean-close";
        let all = answer(&[(unclean, 4), ("first-in-capture", 7)]);
        assert_eq!(
            all.sentence,
            "4 of 9 returning connections offered no session because the client forgot the session when its connection ended uncleanly; 5 resumed."
        );
        assert_eq!(all.action.as_deref(), Some(reason(unclean).advice));
        assert_eq!(all.reason, Some(unclean));
        let most = answer(&[(unclean, 3), ("client-tickets-exhausted", 1)]);
        assert!(
            most.sentence
                .contains("offered no session, 3 of them because the client forgot"),
            "{}",
            most.sentence
        );
        for few in [&[(unclean, 2)][..], &[("first-in-capture", 4)], &[(unclean, 5)], &[]] {
            let answer = answer(few);
            assert!(answer.sentence.contains("although one had been given"), "{few:?}");
        }
        // What is possible is a guess, and what is sure of most is not made one by the rest.
        let perhaps = guessed(&[(unclean, [0, 1, 3])]);
        assert_eq!(
            perhaps.sentence,
            "4 of 9 returning connections offered no session, perhaps because the client forgot the session when its connection ended uncleanly; 5 resumed."
        );
        let action = perhaps.action.unwrap_or_default();
        assert!(
            action.starts_with("make sure first (a capture on the client") && action.ends_with(reason(unclean).advice),
            "{action}"
        );
        let some = guessed(&[(unclean, [0, 0, 3]), ("client-did-not-offer", [0, 0, 1])]);
        assert!(
            some.sentence
                .contains("offered no session, 3 of them perhaps because the client forgot"),
            "{}",
            some.sentence
        );
        assert_eq!(guessed(&[(unclean, [0, 3, 1])]), most);
        assert_eq!(guessed(&[("client-did-not-offer", [0, 0, 4])]), answer(&[]));
        // What can never be more than possible is a guess as well.
        let other_name = guessed(&[("client-sni-changed", [0, 0, 4])]);
        assert_eq!(other_name.reason, Some("client-sni-changed"));
        assert!(
            other_name
                .sentence
                .contains("perhaps because the client holds sessions")
        );
        // What was told once can be told anew.
        assert_eq!(all.with_reasons([].into_iter()), answer(&[]));
    }

    #[test]
    fn causes_are_in_the_catalogue() {
        for name in CAUSES {
            assert_eq!(reason(name).name, name);
        }
    }
}
