//! Clients that come back and offer nothing, after ends of every kind.

use smallvec::smallvec;

use super::{World, full};
use crate::diagnosis::Confidence;
use crate::session::tests::{at, endpoint, offer};
use crate::session::{
    CloseClass, Completed, Connection, ConnectionId, Credential, CredentialFingerprint, CredentialId, Issue, Mechanism,
    OfferKind, Outcome, PlainAlert, ProtocolVersion, Seen, Side, TicketsInferred, TransportKind,
};
use crate::store::CredentialStore;
use crate::tls::AlertDescription;

/// How a visit ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Clean,
    ServerFin,
    Alert,
}

/// Visits of one client: each offers the session that the numbered one issued, or nothing and is given one; and how it ends.
fn visits(visits: &[(Option<u32>, End)]) -> World {
    let mut credential_store = CredentialStore::default();
    let mut connections = Vec::new();
    for (number, (offered, end)) in (0_u32..).zip(visits) {
        let session = |of: u32| {
            let name = CredentialFingerprint::of(&of.to_be_bytes());
            (name, Mechanism::SessionId)
        };
        let mut connection = ended(full(2 * number + 1), 2 * number + 2, *end);
        let (name, mechanism) = session(offered.unwrap_or(number));
        let credential = credential_store.enter(TransportKind::Tcp, mechanism, &name, || Credential {
            issued: Some(Issue {
                connection: ConnectionId(number),
                at: at(2 * number + 1),
            }),
            server_name: Some("a.test".into()),
            version: Some(ProtocolVersion::TLS_1_2),
            ..Credential::unseen(TransportKind::Tcp, mechanism, name, endpoint(2))
        });
        if offered.is_some() {
            resume(&mut connection, credential);
            let entered = credential_store.get_mut(credential).expect("entered");
            entered.offers.push(ConnectionId(number));
        } else {
            connection.issued.push(credential);
        }
        connections.push(connection);
    }
    World::with(credential_store, connections, usize::MAX)
}

fn resume(connection: &mut Connection, credential: CredentialId) {
    connection.outcome = Outcome::Resumed(Some(Mechanism::SessionId));
    connection.completed = Completed::Yes;
    connection.offers = smallvec![offer(credential.0, OfferKind::Resumption(Mechanism::SessionId))];
    connection.accepted = Some(credential);
}

fn ended(mut connection: Connection, second: u32, end: End) -> Connection {
    connection.server_side.fin = Some(at(second));
    connection.close.first_closer = Seen::Yes(Side::Server);
    connection.close.class = Seen::Yes(match end {
        End::Clean => CloseClass::CleanBoth,
        End::ServerFin => CloseClass::FinNoNotify,
        End::Alert => CloseClass::FatalAlert,
    });
    if end == End::Alert {
        connection.server_side.alert = Some(Box::new(PlainAlert {
            at: at(second),
            fatal: true,
            description: AlertDescription(40),
        }));
    }
    connection
}

/// What is said of the last visit under this name.
fn told(visits_made: &[(Option<u32>, End)], visit: u32, name: &str) -> Option<Confidence> {
    let told = visits(visits_made).told(visit);
    told.into_iter()
        .find(|(told, _)| *told == name)
        .map(|(_, confidence)| confidence)
}

/// Sessions that are each offered three times after a clean close, and dropped after the end of the third use.
fn drops_after(end: End) -> Vec<(Option<u32>, End)> {
    let life = |first: u32| {
        let offered = move |end| (Some(first), end);
        [
            (None, End::Clean),
            offered(End::Clean),
            offered(End::Clean),
            offered(end),
        ]
    };
    (0..4).flat_map(|round| life(4 * round)).collect()
}

#[test]
fn a_client_that_offers_after_clean_ends_only_drops_its_session_after_others() {
    let unclean = "client-dropped-after-unclean-close";
    let alert = "client-dropped-after-fatal-alert";
    assert_eq!(
        told(&drops_after(End::ServerFin), 12, unclean),
        Some(Confidence::Inferred)
    );
    assert_eq!(told(&drops_after(End::Alert), 12, alert), Some(Confidence::Inferred));
}

#[test]
fn behind_one_address_with_several_stores_what_one_drops_is_only_possible() {
    for (end, name) in [
        (End::ServerFin, "client-dropped-after-unclean-close"),
        (End::Alert, "client-dropped-after-fatal-alert"),
    ] {
        let mut all = drops_after(end);
        // The first session of all is offered again in the end: whoever was silent did not hold it, or did not drop it.
        all.extend([(None, End::Clean), (Some(0), End::Clean)]);
        assert_eq!(told(&all, 12, name), Some(Confidence::Possible), "{name}");
        // What is offered again after the silence was not dropped by it.
        assert_eq!(told(&all, 4, name), None, "{name}");
        // A session that was made since says nothing.
        let mut newest = drops_after(end);
        newest.extend([(None, End::Clean), (Some(16), End::Clean)]);
        assert_eq!(told(&newest, 12, name), Some(Confidence::Inferred), "{name}");
    }
}

#[test]
fn a_client_that_was_never_seen_to_offer_drops_nothing() {
    let silent = |end| (None, end);
    for (end, name) in [
        (End::Alert, "client-dropped-after-fatal-alert"),
        (End::ServerFin, "client-dropped-after-unclean-close"),
    ] {
        let never = [silent(End::Clean), silent(end), silent(End::Clean)];
        assert_eq!(told(&never, 2, name), None, "{name}");
        // Once after a clean end, and not after such a one.
        let once = [
            silent(End::Clean),
            (Some(0), End::Clean),
            (Some(0), end),
            silent(End::Clean),
        ];
        assert_eq!(told(&once, 3, name), Some(Confidence::Possible), "{name}");
    }
}

/// What is said of the issuing of a server whose earlier handshake ended so, with no ticket after it.
fn issues_nothing(outcomes: &[Outcome]) -> Option<Confidence> {
    let number = u32::try_from(outcomes.len()).expect("a few");
    let earlier = (0..).zip(outcomes).map(|(second, outcome)| Connection {
        outcome: *outcome,
        tickets_inferred: TicketsInferred::Read {
            usable: false,
            complete: true,
        },
        ..full(second + 1)
    });
    let world = World::of(earlier.chain([full(number + 1)]).collect(), usize::MAX);
    let told = world.told(number);
    let told = told.into_iter().find(|(name, _)| *name == "server-issues-nothing");
    told.map(|(_, confidence)| confidence)
}

#[test]
fn a_server_that_resumed_a_session_issues_some() {
    let resumed = Outcome::Resumed(Some(Mechanism::Psk));
    assert_eq!(issues_nothing(&[Outcome::NotOffered]), Some(Confidence::Observed));
    assert_eq!(
        issues_nothing(&[Outcome::ExternalPsk]),
        Some(Confidence::Observed),
        "none of the server's"
    );
    assert_eq!(issues_nothing(&[resumed]), None);
    assert_eq!(issues_nothing(&[resumed, Outcome::NotOffered]), None);
    // Unless it was refused since.
    assert_eq!(
        issues_nothing(&[resumed, Outcome::Declined]),
        Some(Confidence::Possible)
    );
}

/// Under one name the client is given a session and comes back with it, then it comes under another; what it brings along when
/// it comes first is a session that nobody was seen to issue.
fn under_another_name(brings: bool) -> Vec<(&'static str, Confidence)> {
    let mut credential_store = CredentialStore::default();
    let mut enter = |of: u32, issued: Option<Issue>| {
        let (mechanism, name) = (Mechanism::SessionId, CredentialFingerprint::of(&of.to_be_bytes()));
        credential_store.enter(TransportKind::Tcp, mechanism, &name, || Credential {
            issued,
            ..Credential::unseen(TransportKind::Tcp, mechanism, name, endpoint(2))
        })
    };
    let issue = Issue {
        connection: ConnectionId(0),
        at: at(1),
    };
    let (own, old) = (enter(1, Some(issue)), enter(2, None));
    let mut first = ended(full(1), 2, End::Clean);
    if brings {
        first.outcome = Outcome::Declined;
        first.offers = smallvec![offer(old.0, OfferKind::Resumption(Mechanism::SessionId))];
    }
    first.issued.push(own);
    let mut second = ended(full(3), 4, End::Clean);
    resume(&mut second, own);
    let mut third = full(5);
    third.hello.yes_mut().expect("a hello").server_name = Some("b.test".into());
    World::with(credential_store, vec![first, second, third], usize::MAX).told(2)
}

#[test]
fn a_client_from_before_the_capture_may_have_had_a_session_of_the_other_name() {
    let told = |brings| {
        let mut told = under_another_name(brings).into_iter();
        told.find(|(name, _)| *name == "client-sni-changed")
            .map(|(_, confidence)| confidence)
    };
    assert_eq!(told(false), Some(Confidence::Inferred));
    assert_eq!(told(true), Some(Confidence::Possible));
}
