//! What became of a credential, at the end of the capture.

use crate::net::Timestamp;
use crate::net::span::SECOND;
use crate::session::{
    Blindness, CloseClass, Completed, Connection, Credential, CredentialId, Mechanism, Outcome, ProtocolVersion,
};
use crate::store::ConnectionStore;

/// State of a credential; names as in the report contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CredentialState {
    /// Issued, and not offered by the end of the capture.
    NeverOffered,
    /// Accepted at the latest offer of it that the server decided on.
    Resumed,
    /// Offered, and a full handshake followed every time.
    Rejected,
    /// Accepted before, refused later.
    AcceptedThenRejected,
    /// By RFC 2246 §7.2.1 the session must not be resumed after an unclean close; servers differ.
    MustNotBeResumed,
    /// The handshake that issued it did not complete, or it was issued with lifetime 0 (TLS 1.3).
    NotResumable,
    /// Not visible.
    Unknown,
}

impl CredentialState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::NeverOffered,
        Self::Resumed,
        Self::Rejected,
        Self::AcceptedThenRejected,
        Self::MustNotBeResumed,
        Self::NotResumable,
        Self::Unknown,
    ];

    /// Name in reports.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NeverOffered => "never-offered",
            Self::Resumed => "resumed",
            Self::Rejected => "rejected",
            Self::AcceptedThenRejected => "accepted-then-rejected",
            Self::MustNotBeResumed => "must-not-be-resumed",
            Self::NotResumable => "not-resumable",
            Self::Unknown => "unknown",
        }
    }
}

/// Whether a credential could be used again after the capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resumable {
    /// Its latest offer was accepted.
    Yes,
    /// Nothing usable was issued.
    No,
    /// All else.
    Unknown,
}

impl Resumable {
    /// Name in reports.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Unknown => "unknown",
        }
    }
}

/// No ticket of TLS 1.3 may be used for longer, in seconds (RFC 8446 §4.6.1).
pub(super) const MAX_AGE: i64 = 604_800;

/// What became of one of the credentials that a hello offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfferOutcome {
    /// The server took it: a session, or an external PSK.
    Accepted,
    /// The server chose a full handshake.
    Declined,
    /// The handshake failed.
    Failed,
    /// The server took another that the same hello offered, or that was configured. It need not have looked at this one
    /// (RFC 8446 §4.2.11).
    PassedOver,
    /// Not visible.
    Unclear(Blindness),
}

impl OfferOutcome {
    /// What a connection did with a credential that it offered.
    #[must_use]
    pub fn of(connection: &Connection, credential: CredentialId) -> Self {
        match (connection.outcome, connection.accepted) {
            (Outcome::Resumed(_) | Outcome::ExternalPsk, Some(accepted)) if accepted != credential => Self::PassedOver,
            (Outcome::ExternalPsk, None) => Self::PassedOver,
            (Outcome::Resumed(_) | Outcome::ExternalPsk, _) => Self::Accepted,
            (Outcome::Declined | Outcome::NotOffered, _) => Self::Declined,
            (Outcome::Failed, _) => Self::Failed,
            (Outcome::Unclear(cause), _) => Self::Unclear(cause),
        }
    }
}

/// State of a credential and whether it is resumable at the `end` of the capture.
#[must_use]
pub fn state_of(
    id: CredentialId,
    credential: &Credential,
    connection_store: &ConnectionStore,
    end: Option<Timestamp>,
) -> (CredentialState, Resumable) {
    let (state, resumable) = became(id, credential, connection_store);
    let age = credential.issued.zip(end);
    let age = age.map_or(0, |(issue, end)| end.since(issue.at.time) / SECOND);
    // RFC 8446 §4.6.1. The lifetime of an older ticket is a hint (RFC 5077 §3.3).
    let resumable = match credential.lifetime {
        _ if credential.mechanism != Mechanism::Psk => resumable,
        _ if age > MAX_AGE => Resumable::No,
        Some(lifetime) if age > i64::from(lifetime) && resumable == Resumable::Yes => Resumable::Unknown,
        Some(_) | None => resumable,
    };
    (state, resumable)
}

/// What became of a credential, as far as offers and its issue tell.
fn became(
    id: CredentialId,
    credential: &Credential,
    connection_store: &ConnectionStore,
) -> (CredentialState, Resumable) {
    let offers = credential
        .offers
        .iter()
        .filter_map(|offer| connection_store.get(*offer))
        .map(|connection| (connection.outcome, OfferOutcome::of(connection, id)));
    let (mut accepted, mut declined, mut latest, mut any) = (false, false, None, false);
    let mut undecided = false;
    for (outcome, became) in offers {
        any = true;
        undecided = !matches!(became, OfferOutcome::Accepted | OfferOutcome::Declined);
        match became {
            // An external PSK names no session.
            OfferOutcome::Accepted if outcome == Outcome::ExternalPsk => {}
            OfferOutcome::Accepted => (accepted, latest) = (true, Some(true)),
            OfferOutcome::Declined => (declined, latest) = (true, Some(false)),
            OfferOutcome::Failed | OfferOutcome::PassedOver | OfferOutcome::Unclear(_) => {}
        }
    }
    match (latest, accepted) {
        // Why it was not taken the last time is not known, or whether it was.
        (Some(true), _) if undecided => return (CredentialState::Resumed, Resumable::Unknown),
        (Some(true), _) => return (CredentialState::Resumed, Resumable::Yes),
        (Some(false), true) => return (CredentialState::AcceptedThenRejected, Resumable::Unknown),
        (Some(false), false) | (None, _) => {}
    }
    // RFC 8446 §4.6.1: such a ticket is to be discarded at once.
    if credential.mechanism == Mechanism::Psk && credential.lifetime == Some(0) {
        return (CredentialState::NotResumable, Resumable::No);
    }
    let issuer = credential
        .issued
        .and_then(|issue| connection_store.get(issue.connection));
    if issuer.is_some_and(|issuer| issuer.completed == Completed::No) {
        return (CredentialState::NotResumable, Resumable::No);
    }
    if declined {
        return (CredentialState::Rejected, Resumable::Unknown);
    }
    if issuer.is_some_and(|issuer| must_not_resume(credential, issuer)) {
        return (CredentialState::MustNotBeResumed, Resumable::Unknown);
    }
    let state = if any || credential.issued.is_none() {
        CredentialState::Unknown
    } else {
        CredentialState::NeverOffered
    };
    (state, Resumable::Unknown)
}

fn must_not_resume(credential: &Credential, issuer: &Connection) -> bool {
    credential.mechanism == Mechanism::SessionId
        && credential.version.is_some_and(ProtocolVersion::is_tls10_or_older)
        && issuer
            .close
            .class
            .yes()
            .is_some_and(|class| class.is_unclean() || *class == CloseClass::FatalAlert)
}

#[cfg(test)]
mod tests {
    use smallvec::smallvec;

    use crate::session::tests::{answered, at, endpoint, offer};
    use crate::session::{Blindness, CredentialFingerprint, Issue, OfferKind, Seen, TransportKind};
    use crate::store::CredentialStore;

    use super::*;

    const ID: CredentialId = CredentialId(0);

    /// A credential that the first connection issued, and what became of each offer of it.
    fn told(
        outcomes: &[Outcome],
        issuer: impl FnOnce(&mut Connection),
        change: impl FnOnce(&mut Credential),
    ) -> (CredentialState, Resumable) {
        let (mut connection_store, mut credential_store) =
            (ConnectionStore::new(usize::MAX), CredentialStore::default());
        let mut first = answered(1, "a.test", ProtocolVersion::TLS_1_0);
        first.completed = Completed::Yes;
        issuer(&mut first);
        let by = connection_store.reserve();
        connection_store.keep(by, first, &mut credential_store);
        let name = CredentialFingerprint::of(&[7; 32]);
        let mut credential = Credential::unseen(TransportKind::Tcp, Mechanism::SessionId, name, endpoint(2));
        credential.version = Some(ProtocolVersion::TLS_1_0);
        credential.issued = Some(Issue {
            connection: by,
            at: at(1),
        });
        for (outcome, second) in outcomes.iter().zip(2..) {
            let id = connection_store.reserve();
            let connection = Connection {
                outcome: *outcome,
                offers: smallvec![offer(0, OfferKind::Resumption(Mechanism::SessionId))],
                accepted: matches!(outcome, Outcome::Resumed(_)).then_some(ID),
                ..answered(second, "a.test", ProtocolVersion::TLS_1_0)
            };
            connection_store.keep(id, connection, &mut credential_store);
            credential.offers.push(id);
        }
        change(&mut credential);
        state_of(ID, &credential, &connection_store, Some(at(20).time))
    }

    fn after(outcomes: &[Outcome]) -> (CredentialState, Resumable) {
        told(outcomes, |_| (), |_| ())
    }

    const RESUMED: Outcome = Outcome::Resumed(Some(Mechanism::SessionId));

    #[test]
    fn the_latest_decision_is_the_state() {
        use Resumable::{Unknown, Yes};
        assert_eq!(after(&[]), (CredentialState::NeverOffered, Unknown));
        assert_eq!(after(&[RESUMED]), (CredentialState::Resumed, Yes));
        assert_eq!(after(&[Outcome::Declined, RESUMED]), (CredentialState::Resumed, Yes));
        assert_eq!(
            after(&[RESUMED, Outcome::Declined]),
            (CredentialState::AcceptedThenRejected, Unknown)
        );
        assert_eq!(after(&[Outcome::Declined]), (CredentialState::Rejected, Unknown));
        // A handshake that failed decided nothing; it may be the credential that broke it.
        assert_eq!(after(&[RESUMED, Outcome::Failed]), (CredentialState::Resumed, Unknown));
        assert_eq!(after(&[Outcome::Failed]), (CredentialState::Unknown, Unknown));
        assert_eq!(
            told(&[], |_| (), |credential| credential.issued = None),
            (CredentialState::Unknown, Unknown)
        );
    }

    #[test]
    fn another_of_the_offered_credentials_was_taken() {
        let mut connection = answered(1, "a.test", ProtocolVersion::TLS_1_2);
        connection.outcome = RESUMED;
        let became = |connection: &Connection, id| OfferOutcome::of(connection, CredentialId(id));
        assert_eq!(became(&connection, 0), OfferOutcome::Accepted);
        connection.accepted = Some(ID);
        assert_eq!(became(&connection, 0), OfferOutcome::Accepted);
        assert_eq!(became(&connection, 1), OfferOutcome::PassedOver);
        connection.outcome = Outcome::ExternalPsk;
        assert_eq!(became(&connection, 0), OfferOutcome::Accepted);
        assert_eq!(became(&connection, 1), OfferOutcome::PassedOver);
        // The suite alone says it, in TLS 1.2.
        connection.accepted = None;
        assert_eq!(became(&connection, 0), OfferOutcome::PassedOver);
        connection.outcome = Outcome::Failed;
        assert_eq!(became(&connection, 1), OfferOutcome::Failed);
    }

    #[test]
    fn what_was_passed_over_was_not_refused() {
        let state = |outcomes: &[Outcome]| told(outcomes, |_| (), |_| ());
        assert_eq!(
            state(&[RESUMED, Outcome::ExternalPsk]),
            (CredentialState::Resumed, Resumable::Unknown)
        );
        assert_eq!(
            state(&[RESUMED, Outcome::ExternalPsk, RESUMED]),
            (CredentialState::Resumed, Resumable::Yes)
        );
        assert_eq!(
            state(&[Outcome::ExternalPsk]),
            (CredentialState::Unknown, Resumable::Unknown)
        );
    }

    #[test]
    fn what_was_offered_last_and_not_seen_answered_may_have_been_refused() {
        let unclear = Outcome::Unclear(Blindness::Gap);
        assert_eq!(
            after(&[RESUMED, unclear]),
            (CredentialState::Resumed, Resumable::Unknown)
        );
        assert_eq!(
            after(&[RESUMED, unclear, RESUMED]),
            (CredentialState::Resumed, Resumable::Yes)
        );
    }

    #[test]
    fn what_was_never_fit_for_use_is_not_resumable() {
        let none = (CredentialState::NotResumable, Resumable::No);
        assert_eq!(told(&[], |issuer| issuer.completed = Completed::No, |_| ()), none);
        let psk = |lifetime| {
            told(
                &[],
                |_| (),
                |credential| {
                    credential.mechanism = Mechanism::Psk;
                    credential.lifetime = Some(lifetime);
                },
            )
        };
        assert_eq!(psk(0), none);
        assert_eq!(psk(1), (CredentialState::NeverOffered, Resumable::Unknown));
        // Before TLS 1.3 it means that no lifetime was given (RFC 5077 §3.3).
        let hint = told(&[], |_| (), |credential| credential.lifetime = Some(0));
        assert_eq!(hint, (CredentialState::NeverOffered, Resumable::Unknown));
    }

    /// RFC 8446 §4.6.1. Issued at second 1, looked at in second 20.
    #[test]
    fn a_ticket_of_tls13_outlives_neither_its_lifetime_nor_seven_days() {
        let resumed = |mechanism, lifetime, issued: i64| {
            let change = |credential: &mut Credential| {
                credential.mechanism = mechanism;
                credential.lifetime = lifetime;
                let issue = credential.issued.as_mut().expect("an issue");
                issue.at.time = Timestamp::from_nanos(issue.at.time.nanos() - (issued * SECOND));
            };
            told(&[RESUMED], |_| (), change).1
        };
        for (mechanism, lifetime, earlier, expected) in [
            (Mechanism::Psk, Some(19), 0, Resumable::Yes),
            (Mechanism::Psk, Some(18), 0, Resumable::Unknown),
            (Mechanism::Ticket, Some(18), 0, Resumable::Yes),
            (Mechanism::Psk, None, MAX_AGE - 19, Resumable::Yes),
            (Mechanism::Psk, None, MAX_AGE - 18, Resumable::No),
            (Mechanism::Ticket, None, MAX_AGE, Resumable::Yes),
        ] {
            let resumable = resumed(mechanism, lifetime, earlier);
            assert_eq!(resumable, expected, "{mechanism:?} {lifetime:?} {earlier}");
        }
    }

    /// RFC 2246 §7.2.1, which RFC 4346 took back.
    #[test]
    fn an_unclean_close_forbids_resumption_in_tls10_alone() {
        let closed = |class, version| {
            told(
                &[],
                |issuer| issuer.close.class = Seen::Yes(class),
                |credential| credential.version = Some(version),
            )
            .0
        };
        let (old, new) = (ProtocolVersion::TLS_1_0, ProtocolVersion::TLS_1_1);
        for class in CloseClass::ALL {
            let forbidden = class.is_unclean() || class == CloseClass::FatalAlert;
            let expected = if forbidden {
                CredentialState::MustNotBeResumed
            } else {
                CredentialState::NeverOffered
            };
            assert_eq!(closed(class, old), expected, "{class:?}");
            assert_eq!(closed(class, new), CredentialState::NeverOffered, "{class:?}");
        }
        let ticket = told(
            &[],
            |issuer| issuer.close.class = Seen::Yes(CloseClass::FinNoNotify),
            |credential| credential.mechanism = Mechanism::Ticket,
        );
        assert_eq!(ticket.0, CredentialState::NeverOffered);
    }
}
