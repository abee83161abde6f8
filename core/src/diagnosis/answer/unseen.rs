//! What a capture does not show of a service, and how to capture so that it does.

use std::collections::BTreeSet;

use super::tally::ServiceTally;
use super::{Answer, was};
use crate::session::{Blindness, Connection, TransportKind};

/// What to do where one direction is missing.
const BOTH_DIRECTIONS: &str = "capture where both directions pass, or on the server itself";

/// What to do where this and that is missing.
const ALL_OF_IT: &str = "start capturing before the first connection, in both directions, with whole packets (tcpdump -s 0) and a large buffer (-B)";

/// What hides an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    /// Nothing that the server sent is there. Over TCP it had answered at least the SYN.
    Server {
        over_tcp: bool,
    },
    /// Nothing that the client sent is there.
    Client,
    Other(Blindness),
}

impl Cause {
    pub(super) fn of(blindness: Blindness, connection: &Connection) -> Self {
        let over_tcp = connection.transport.kind() == TransportKind::Tcp;
        match (connection.client_side.captured, connection.server_side.captured) {
            _ if blindness != Blindness::OneDirection => Self::Other(blindness),
            (true, false) => Self::Server { over_tcp },
            (false, true) => Self::Client,
            _ => Self::Other(blindness),
        }
    }

    /// In words, where one sentence is enough. It is about these handshakes alone: of others with the same server more may be
    /// in the capture.
    const fn words(self) -> Option<&'static str> {
        Some(match self {
            Self::Server { .. } => "the capture holds none of the packets that the server sent in them",
            Self::Client => "the capture holds none of the packets that the clients sent in them",
            Self::Other(Blindness::CaptureStartedLate) => "they had begun before the capture did",
            Self::Other(Blindness::OpenAtCaptureEnd) => "the capture ended before they were decided",
            Self::Other(Blindness::Gap) => "packets are missing from the capture, or damaged in it",
            Self::Other(Blindness::Snaplen) => "packets were cut when they were captured",
            Self::Other(_) => return None,
        })
    }

    /// What would show what became of the handshakes.
    const fn remedy(self) -> Option<&'static str> {
        Some(match self {
            Self::Server { over_tcp: true } | Self::Client | Self::Other(Blindness::OneDirection) => BOTH_DIRECTIONS,
            Self::Server { over_tcp: false } => {
                "capture on the server itself; if nothing arrives there, UDP is dropped on the way; if it arrives and is not answered, look at the server"
            }
            Self::Other(Blindness::CaptureStartedLate) => "start capturing before the first connection",
            Self::Other(Blindness::OpenAtCaptureEnd) => "capture until the handshakes have ended",
            Self::Other(Blindness::Gap) => "capture with a larger buffer (tcpdump -B), or closer to the server",
            Self::Other(Blindness::Snaplen) => "capture whole packets (tcpdump -s 0)",
            Self::Other(
                Blindness::ClientHelloMissing | Blindness::ServerHelloMissing | Blindness::IdleAtCaptureEnd,
            ) => ALL_OF_IT,
            Self::Other(
                Blindness::Encrypted
                | Blindness::Ech
                | Blindness::Evicted
                | Blindness::Unsupported
                | Blindness::NothingTellsApart,
            ) => return None,
        })
    }
}

/// It is not visible what became of any connection.
pub(super) fn all_unclear(causes: &BTreeSet<Cause>) -> Answer {
    let mut each = causes.iter();
    let only = each.next().filter(|_| each.next().is_none());
    let sentence = match only.and_then(|cause| cause.words()) {
        Some(why) => format!("What became of the handshakes is not visible: {why}."),
        None => "What became of the handshakes is not visible in this capture.".to_owned(),
    };
    let action = only.map_or(Some(ALL_OF_IT), |cause| cause.remedy());
    Answer::new(sentence, action.map(str::to_owned))
}

/// Offers were refused, and of every one of these handshakes one direction is missing: what the server issued, or what it
/// answered with. `None` where more is to be seen, or what was refused were no sessions.
pub(super) fn one_direction(tally: &ServiceTally) -> Option<Answer> {
    let declined = tally.declined;
    let sessions = declined > tally.declined_external && tally.broken == 0;
    (sessions && tally.declined_one_direction == declined).then(|| {
        Answer::new(
            format!(
                "{} {} refused; only one direction of these handshakes is in the capture, which does not show why.",
                tally.of_offers(declined, "offer", "offers"),
                was(declined)
            ),
            Some(BOTH_DIRECTIONS.to_owned()),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::tests::unseen;

    fn told(causes: &[Cause]) -> (String, Option<String>) {
        let answer = all_unclear(&causes.iter().copied().collect());
        (answer.sentence, answer.action)
    }

    #[test]
    fn one_cause_of_all_that_is_hidden_is_named_with_its_remedy() {
        let (sentence, action) = told(&[Cause::Client]);
        assert_eq!(
            sentence,
            "What became of the handshakes is not visible: the capture holds none of the packets that the clients sent in them."
        );
        assert_eq!(action.as_deref(), Some(BOTH_DIRECTIONS));
        for blindness in Blindness::ALL {
            let (sentence, action) = told(&[Cause::Other(blindness)]);
            assert!(sentence.starts_with("What became of the handshakes is not visible"));
            // Who is told what hides it is told what to do.
            assert!(sentence.ends_with("in this capture.") || action.is_some());
        }
        assert_eq!(told(&[Cause::Other(Blindness::Encrypted)]).1, None);
    }

    #[test]
    fn of_several_causes_none_is_named() {
        let (sentence, action) = told(&[Cause::Client, Cause::Other(Blindness::Gap)]);
        assert_eq!(
            sentence,
            "What became of the handshakes is not visible in this capture."
        );
        assert_eq!(action.as_deref(), Some(ALL_OF_IT));
    }

    #[test]
    fn a_server_that_may_not_have_answered_is_not_said_to_have() {
        let mut connection = unseen(1);
        connection.client_side.captured = true;
        let of = |connection: &Connection| Cause::of(Blindness::OneDirection, connection);
        assert_eq!(of(&connection), Cause::Server { over_tcp: true });
        let (over_tcp, over_udp) = (
            told(&[Cause::Server { over_tcp: true }]),
            told(&[Cause::Server { over_tcp: false }]),
        );
        assert_eq!(over_tcp.0, over_udp.0);
        assert!(!over_tcp.1.expect("a remedy").contains("answer"));
        assert!(over_udp.1.expect("a remedy").contains("not answered"));
        connection.client_side.captured = false;
        connection.server_side.captured = true;
        assert_eq!(of(&connection), Cause::Client);
        assert_eq!(Cause::of(Blindness::Gap, &connection), Cause::Other(Blindness::Gap));
        // Two captures may have shown half of it each.
        connection.client_side.captured = true;
        let (sentence, action) = told(&[of(&connection)]);
        assert!(sentence.ends_with("in this capture."), "{sentence}");
        assert_eq!(action.as_deref(), Some(BOTH_DIRECTIONS));
    }

    #[test]
    fn one_direction_is_the_answer_only_where_every_refusal_lacks_the_other() {
        let tally = |declined_one_direction, broken| ServiceTally {
            all: 3,
            declined: 2,
            resumed: 1,
            declined_one_direction,
            broken,
            ..ServiceTally::default()
        };
        let answer = one_direction(&tally(2, 0)).expect("an answer");
        assert_eq!(
            answer.sentence,
            "2 of 3 offers were refused; only one direction of these handshakes is in the capture, which does not show why."
        );
        assert!(one_direction(&tally(1, 0)).is_none());
        assert!(one_direction(&tally(2, 1)).is_none());
        let external = ServiceTally {
            declined_external: 2,
            ..tally(2, 0)
        };
        assert!(one_direction(&external).is_none());
    }
}
