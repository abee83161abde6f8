//! Early data of one ticket, accepted more than once.

use hashbrown::{HashMap, HashSet};

use super::ground::SecurityContext;
use super::{RuleFinding, Witnesses, finding};
use crate::diagnosis::Confidence;
use crate::net::FrameRef;
use crate::session::{CredentialId, EarlyData};

finding! {
    /// ## What it means
    /// The server accepted early data (0-RTT) twice under one ticket. Anyone who can replay a client's packets can have
    /// its first request carried out again, unless the server remembers every ClientHello for the few seconds during
    /// which it considers one fresh. TLS 1.3 asks servers to make sure that early data is accepted only once; the
    /// simplest way, letting each ticket be used once, is not in use here.
    ///
    /// ## How we know
    /// Two ClientHellos with different randoms offer the same ticket first, and the server accepts the early data of
    /// both. Acceptance is read with keys, or `inferred` where records show it. Whether the server would accept the
    /// very same ClientHello twice is not tested.
    pub(super) static EARLY_DATA_ACCEPTED_TWICE = {
        name: "early-data-accepted-twice", since: "0.2.0", severity: Warning,
        summary: "early data was accepted more than once under one ticket",
        spec: [(8446, "8"), (8446, "8.1"), (8470, "3")],
        advice: "let each ticket be used once, or refuse early data (OpenSSL: leave SSL_OP_NO_ANTI_REPLAY off; nginx: ssl_early_data off, or have the application answer 425 where Early-Data is 1; HAProxy: no allow-0rtt, or http-request wait-for-handshake; Go, BoringSSL and quic-go: take early data only for requests that may be repeated)",
        rule: early_data_accepted_twice,
    }
}

fn early_data_accepted_twice(ground: &SecurityContext<'_>) -> Option<RuleFinding> {
    let mut first: HashMap<CredentialId, (FrameRef, bool)> = HashMap::new();
    // A connection that was captured on two legs has one random.
    let mut randoms: HashSet<[u8; 32]> = HashSet::new();
    let mut told: HashSet<CredentialId> = HashSet::new();
    let (mut shown, mut read) = (Witnesses::default(), false);
    for (_, connection) in ground.connections() {
        let EarlyData::Accepted { inferred, .. } = connection.early_data else {
            continue;
        };
        let Some(hello) = connection.hello.yes().filter(|hello| randoms.insert(hello.random)) else {
            continue;
        };
        // Early data goes with the first PSK (RFC 8446 §4.2.10).
        let Some(ticket) = connection.offers.first().map(|offer| offer.credential) else {
            continue;
        };
        let Some(&(before, concluded)) = first.get(&ticket) else {
            first.insert(ticket, (hello.at.frame, inferred));
            continue;
        };
        read |= !inferred && !concluded;
        if told.insert(ticket) {
            shown.add(Some(before), || "early data under a ticket, accepted".to_owned());
            shown.show(hello.at.frame, || {
                "early data under the same ticket, accepted again".to_owned()
            });
        }
    }
    let confidence = if read {
        Confidence::Observed
    } else {
        Confidence::Inferred
    };
    let tickets = shown.counted("ticket", "tickets");
    RuleFinding::of(
        confidence,
        format!("early data was accepted more than once under {tickets}"),
        shown.evidence,
    )
}

#[cfg(test)]
mod tests {
    use smallvec::smallvec;

    use crate::diagnosis::Confidence;
    use crate::diagnosis::security::Severity;
    use crate::diagnosis::tests::World;
    use crate::session::tests::{answered, at, offer};
    use crate::session::{Connection, EarlyData, Mechanism, OfferKind, Outcome, ProtocolVersion};

    fn early(second: u32, credential: u32, random: u8, inferred: bool) -> Connection {
        let mut connection = Connection {
            outcome: Outcome::Resumed(Some(Mechanism::Psk)),
            offers: smallvec![offer(credential, OfferKind::Resumption(Mechanism::Psk))],
            early_data: EarlyData::Accepted {
                at: at(second),
                inferred,
            },
            ..answered(second, "a.test", ProtocolVersion::TLS_1_3)
        };
        connection.hello.yes_mut().expect("a hello").random = [random; 32];
        connection
    }

    fn told(connections: Vec<Connection>) -> Vec<(Severity, Confidence)> {
        let world = World::of(connections, usize::MAX);
        let found = world.findings("a.test").into_iter();
        let found = found.filter(|(name, ..)| *name == "early-data-accepted-twice");
        found
            .map(|(_, severity, confidence, _)| (severity, confidence))
            .collect()
    }

    #[test]
    fn early_data_under_one_ticket_is_told_when_it_is_accepted_twice() {
        let twice = |inferred| told(vec![early(1, 0, 1, false), early(2, 0, 2, inferred)]);
        assert_eq!(twice(false), [(Severity::Warning, Confidence::Observed)]);
        assert_eq!(twice(true), [(Severity::Warning, Confidence::Inferred)]);
    }

    #[test]
    fn once_for_each_ticket_or_one_connection_on_two_legs_is_nothing() {
        assert_eq!(told(vec![early(1, 0, 1, false), early(2, 1, 2, false)]), []);
        assert_eq!(told(vec![early(1, 0, 1, false), early(1, 0, 1, false)]), []);
        let refused = Connection {
            early_data: EarlyData::Rejected {
                at: at(2),
                inferred: false,
            },
            ..early(2, 0, 2, false)
        };
        assert_eq!(told(vec![early(1, 0, 1, false), refused]), []);
    }
}
