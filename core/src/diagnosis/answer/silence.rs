//! The answer where clients came back and offered nothing. What a service shows as a whole does not say why; where the reasons
//! of the connections do, they are the cause.

use super::Answer;
use super::tally::ServiceTally;
use crate::diagnosis::rules::Reason;
use crate::session::{Connection, ConnectionId};

/// Reasons that say what became of a session that the client had been given, and can be more than possible.
const CAUSES: [&str; 6] = [
    "credential-expired-client-side",
    "client-dropped-after-fatal-alert",
    "client-dropped-after-unclean-close",
    "client-config-changed",
    "client-non-ems-not-offered",
    "client-tickets-exhausted",
];

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

    /// What is told of most of them.
    pub(super) fn cause(
        &self,
        told: impl Iterator<Item = (&'static Reason, usize)>,
    ) -> Option<(&'static Reason, usize)> {
        let causes = told.filter(|(reason, _)| CAUSES.contains(&reason.name));
        let most = causes.max_by_key(|(_, count)| *count)?;
        (most.1 <= self.count && 2 * most.1 > self.count).then_some(most)
    }

    pub(super) fn answer(&self, cause: Option<(&'static Reason, usize)>) -> Answer {
        let Self { named, count, rest } = self;
        let (sentence, action) = match cause {
            Some((reason, told)) if told == *count => (
                format!("{named} offered no session because {}{rest}.", reason.summary),
                reason.advice,
            ),
            Some((reason, told)) => (
                format!(
                    "{named} offered no session, {told} of them because {}{rest}.",
                    reason.summary
                ),
                reason.advice,
            ),
            None => (
                format!("{named} offered no session although one had been given before{rest}."),
                "keep connections open, or have the client keep its sessions between connections",
            ),
        };
        Answer {
            sentence,
            action: Some(action.to_owned()),
            silence: Some(self.clone()),
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
        let answer = |told: &[(&str, usize)]| {
            let told = told.iter().map(|(name, count)| (reason(name), *count));
            silence.answer(silence.cause(told))
        };
        let unclean = "client-dropped-after-unclean-close";
        let all = answer(&[(unclean, 4), ("first-in-capture", 7)]);
        assert_eq!(
            all.sentence,
            "4 of 9 returning connections offered no session because the client forgot the session when its connection ended uncleanly; 5 resumed."
        );
        assert_eq!(all.action.as_deref(), Some(reason(unclean).advice));
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
