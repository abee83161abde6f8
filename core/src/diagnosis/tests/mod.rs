//! What the tests of this layer share: a few connections with all that rules may look at; and rules that only what a
//! capture lacks decides.

mod findings;
mod silence;
mod tickets;

use std::borrow::Cow;

use smallvec::smallvec;

use std::sync::Arc;

use crate::net::span::SECOND;
use crate::net::{At, FrameRef, Timestamp};
use crate::session::tests::{answered, at, endpoint, offer, with_hello};
use crate::session::{
    Blindness, Completed, Connection, ConnectionId, Credential, CredentialFingerprint, CredentialId, Drops, Issue,
    Mechanism, OfferKind, Outcome, ProtocolVersion, Seen, Shape, Transport,
};
use crate::store::{ConnectionStore, CredentialStore};

use crate::session::{Service, TransportKind};

use super::security::{Findings, Severity};
use super::{
    Asked, Confidence, Endpoints, History, Judged, KeyNames, Parties, RuleContext, ServiceAnalyses, Shown, judge,
};

mod loss;

/// Connections, and what follows from them.
pub(crate) struct World {
    connection_store: ConnectionStore,
    credential_store: CredentialStore,
    pub(crate) drops: Drops,
    history: History,
    analyses: ServiceAnalyses,
}

impl World {
    /// Of these connections in the order of their hellos; beyond `limit` bytes the oldest are folded away.
    pub(crate) fn of(connections: Vec<Connection>, limit: usize) -> Self {
        Self::with(CredentialStore::default(), connections, limit)
    }

    /// The same, with these credentials.
    pub(crate) fn with(mut credential_store: CredentialStore, connections: Vec<Connection>, limit: usize) -> Self {
        let mut connection_store = ConnectionStore::new(limit);
        for connection in connections {
            let id = connection_store.reserve();
            connection_store.keep(id, connection, &mut credential_store);
        }
        let mut order: Vec<ConnectionId> = connection_store.iter().map(|(id, _)| id).collect();
        order.sort_by_key(|id| connection_store.get(*id).map(Connection::hello_time));
        let parties = Arc::new(Parties::of(&connection_store, &order));
        let history = History::of(&connection_store, &parties);
        let names = KeyNames::learn(&credential_store);
        let endpoints = || Endpoints::of(&connection_store, &[], &parties);
        let shown = Shown::in_pieces(&connection_store, &credential_store, parties.order());
        let analyses = ServiceAnalyses::of(&connection_store, &credential_store, &parties, names, shown, endpoints);
        Self {
            connection_store,
            credential_store,
            drops: Drops::default(),
            history,
            analyses,
        }
    }

    pub(crate) fn case(&self, number: u32) -> RuleContext<'_> {
        let id = ConnectionId(number);
        RuleContext {
            id,
            connection: self.connection_store.get(id).expect("a connection"),
            connection_store: &self.connection_store,
            credential_store: &self.credential_store,
            history: &self.history,
            analyses: &self.analyses,
            drops: &self.drops,
            asked: Asked::default(),
        }
    }

    /// The findings at the service of this name: severity, confidence, summary.
    pub(crate) fn findings(&self, name: &str) -> Vec<(&'static str, Severity, Confidence, String)> {
        let findings = Findings::of(&self.analyses, &self.connection_store, &self.credential_store);
        let found = findings.service(&Service {
            server: endpoint(2),
            name: Some(name.into()),
            transport: TransportKind::Tcp,
        });
        let each = found.iter();
        each.map(|found| (found.kind.name, found.severity, found.confidence, found.summary.clone()))
            .collect()
    }

    fn told(&self, number: u32) -> Vec<(&'static str, Confidence)> {
        let judged: Vec<Judged> = judge(&self.case(number));
        judged
            .iter()
            .map(|judged| (judged.reason.name, judged.confidence))
            .collect()
    }
}

/// A complete full handshake in which nothing was offered.
pub(crate) fn full(second: u32) -> Connection {
    let mut connection = Connection {
        outcome: Outcome::NotOffered,
        completed: Completed::Yes,
        ..answered(second, "a.test", ProtocolVersion::TLS_1_2)
    };
    connection.client_side.finished = Some(at(second));
    connection.server_side.finished = Some(at(second));
    connection
}

/// The same, in which a ticket was offered.
fn offering(second: u32) -> Connection {
    Connection {
        outcome: Outcome::Declined,
        offers: smallvec![offer(0, OfferKind::Resumption(Mechanism::Ticket))],
        ..full(second)
    }
}

#[test]
fn a_connection_is_the_first_only_while_nothing_before_it_is_unknown() {
    let first = [("first-in-capture", Confidence::Observed)];
    let open = [
        ("first-in-capture", Confidence::Possible),
        ("client-did-not-offer", Confidence::Possible),
    ];
    let mut world = World::of(vec![full(5)], usize::MAX);
    assert_eq!(world.told(0), first);
    world.drops.count(0, Some(at(6).time));
    world.drops.count(1, Some(at(8).time));
    assert_eq!(world.told(0), first);
    world.drops = Drops::default();
    world.drops.count(1, Some(at(8).time));
    assert_eq!(world.told(0), open);
    // One before it was folded away.
    let folded = World::of(vec![with_hello(1, "b.test", 1), full(5)], 1);
    assert_eq!(folded.told(1), open);
}

#[test]
fn where_times_and_frames_disagree_nothing_is_surely_the_first() {
    let of = |second: u32, frame: u64| {
        let mut connection = full(second);
        connection.transport = Transport::at(At {
            frame: FrameRef::new(0, frame),
            ..at(second)
        });
        connection
    };
    let told = |frames: [u64; 2]| {
        let world = World::of(vec![of(5, frames[0]), of(7, frames[1])], usize::MAX);
        world.told(0).first().copied()
    };
    assert_eq!(told([5, 7]), Some(("first-in-capture", Confidence::Observed)));
    assert_eq!(told([7, 5]), Some(("first-in-capture", Confidence::Possible)));
}

#[test]
fn what_is_concluded_says_that_packets_were_lost() {
    let mut world = World::of(vec![full(5), full(7)], usize::MAX);
    let summaries = |world: &World| -> Vec<(Confidence, Cow<'static, str>)> {
        let judged = judge(&world.case(1));
        judged
            .into_iter()
            .map(|judged| (judged.confidence, judged.summary))
            .collect()
    };
    let before = summaries(&world);
    assert!(!before.is_empty());
    for (lost, said) in [(1, "1 packet was lost"), (2, "2 packets were lost")] {
        world.drops = Drops::default();
        world.drops.count(lost, Some(at(6).time));
        for (confidence, summary) in summaries(&world) {
            let says = summary.contains(&format!("; {said} while capturing by then"));
            assert_eq!(says, confidence < Confidence::Observed, "{confidence:?}: {summary}");
        }
    }
    // Those lost later are of no account.
    world.drops = Drops::default();
    world.drops.count(0, Some(at(8).time));
    world.drops.count(3, Some(at(9).time));
    assert_eq!(summaries(&world), before);
}

#[test]
fn clients_are_known_by_what_they_do_when_they_come_back() {
    let closing = |mut connection: Connection| {
        connection.client_side.fin = Some(at(
            u32::try_from(connection.transport.started.nanos() / SECOND).expect("a second")
        ));
        connection.close.class = crate::session::Seen::Yes(crate::session::CloseClass::CleanBoth);
        connection
    };
    let unknown = Connection {
        outcome: Outcome::Unclear(crate::session::Blindness::Gap),
        ..full(9)
    };
    let all = vec![
        offering(1),
        closing(full(2)),
        closing(offering(3)),
        full(4),
        full(6),
        unknown,
    ];
    let world = World::of(all, usize::MAX);
    let behaviour = world.case(3).behaviour();
    let counts = |returns: super::Returns| (returns.offered, returns.silent);
    // The first came from nowhere; those after a clean close; and those after one whose close was not seen.
    assert_eq!(counts(behaviour.clean.all()), (1, 1));
    assert_eq!(counts(behaviour.other), (1, 2));
    assert_eq!(
        [behaviour.client, behaviour.server, behaviour.alert].map(|it| counts(it.all())),
        [(0, 0); 3]
    );
    assert!(behaviour.offers());
    // A first visit in silence comes from nowhere as well.
    let world = World::of(vec![full(1), full(2)], usize::MAX);
    assert_eq!(counts(world.case(1).behaviour().other), (0, 1));
    // Nobody is known to have done anything in a connection that is not kept.
    assert_eq!(
        world.history.behaviour(ConnectionId(99)),
        super::ClientBehaviour::default()
    );
}

#[test]
fn a_habit_of_offering_shows_after_any_close() {
    let once = super::Returns { offered: 1, silent: 0 };
    let offered = super::ReturnsByKind {
        used: once,
        ..super::ReturnsByKind::default()
    };
    let nothing = super::ClientBehaviour::default();
    assert!(!nothing.offers());
    for behaviour in [
        super::ClientBehaviour {
            clean: offered,
            ..nothing
        },
        super::ClientBehaviour {
            client: offered,
            ..nothing
        },
        super::ClientBehaviour {
            server: offered,
            ..nothing
        },
        super::ClientBehaviour {
            alert: offered,
            ..nothing
        },
        super::ClientBehaviour { other: once, ..nothing },
        // After several kinds of them.
        super::ClientBehaviour {
            clean: offered,
            client: offered,
            ..nothing
        },
        super::ClientBehaviour {
            server: offered,
            alert: offered,
            ..nothing
        },
        super::ClientBehaviour {
            server: offered,
            other: once,
            ..nothing
        },
    ] {
        assert!(behaviour.offers(), "{behaviour:?}");
    }
}

#[test]
fn a_client_that_offers_at_other_times_is_not_told_to_turn_its_cache_on() {
    let advice = |connections: Vec<Connection>| {
        let mut world = World::of(connections, usize::MAX);
        // What came before the second hello may be lost: whether the client held anything is not visible.
        world.drops.count(1, Some(at(8).time));
        let judged = judge(&world.case(1));
        let silent = judged.iter().find(|it| it.reason.name == "client-did-not-offer");
        silent.map(|it| it.advice.to_owned()).unwrap_or_default()
    };
    let never = advice(vec![full(5), full(9), full(13)]);
    assert!(never.starts_with("turn on the client's session cache"), "{never}");
    let often = advice(vec![full(5), full(9), offering(13)]);
    assert!(
        often.starts_with("this client offers sessions at other times"),
        "{often}"
    );
    // What it offers at other times is not visible: it may be something.
    let mut hidden = full(13);
    hidden.hello = Seen::Blind(Blindness::Snaplen);
    let hidden = advice(vec![full(5), full(9), hidden]);
    assert!(hidden.starts_with("see first whether"), "{hidden}");
}

#[test]
fn connections_in_parallel_to_one_that_offers_may_have_found_nothing_left() {
    let parallel = |mut first: Connection| {
        (first.client_side.finished, first.server_side.finished) = (Some(at(20)), Some(at(20)));
        World::of(vec![first, full(9)], usize::MAX).told(1)
    };
    let is = |confidence| ("no-credential-yet-parallel", confidence);
    assert!(parallel(full(5)).contains(&is(Confidence::Inferred)));
    // What it offers was given to it before the capture: so may be others that it used up.
    assert!(parallel(offering(5)).contains(&is(Confidence::Possible)));
}

#[test]
fn packets_of_one_moment_have_the_order_of_their_frames() {
    let world = World::of(vec![full(5)], usize::MAX);
    let case = world.case(0);
    let of = |nanos: i64, frame: u64| crate::net::At {
        time: Timestamp::from_nanos(nanos),
        frame: crate::net::FrameRef::new(0, frame),
    };
    assert!(case.before_hello(of(5 * SECOND, 4)));
    assert!(!case.before_hello(of(5 * SECOND, 5)));
    assert!(case.before_hello(of(5 * SECOND - 1, 9)));
    assert!(!case.before_hello(of(5 * SECOND + 1, 1)));
}

#[test]
fn a_service_is_lossy_when_one_connection_in_ten_lacks_packets() {
    let lossy = |others: u32, change: fn(&mut Connection)| {
        let mut one = full(1);
        change(&mut one);
        let all = std::iter::once(one).chain((2..2 + others).map(full)).collect();
        let world = World::of(all, usize::MAX);
        let case = world.case(1);
        case.analysis().expect("a service").lossy
    };
    assert!(!lossy(9, |_| ()));
    let lost: [fn(&mut Connection); 4] = [
        |connection| connection.client_side.handshake_loss = Some(Blindness::Gap),
        |connection| connection.server_side.handshake_loss = Some(Blindness::Snaplen),
        |connection| connection.hello = Seen::Blind(Blindness::OneDirection),
        |connection| connection.answer = Seen::Blind(Blindness::OneDirection),
    ];
    for change in lost {
        assert!(lossy(9, change));
        assert!(!lossy(10, change));
    }
    // A server that never answered has lost nothing.
    assert!(!lossy(9, |connection| connection.answer = Seen::No));
}

/// A credential store with one credential, issued on the first connection.
pub(crate) fn one_credential(
    mechanism: Mechanism,
    bytes: &[u8],
    change: impl FnOnce(&mut Credential),
) -> CredentialStore {
    let mut credential_store = CredentialStore::default();
    let name = CredentialFingerprint::of(bytes);
    let mut credential = Credential::unseen(TransportKind::Tcp, mechanism, name, endpoint(2));
    credential.issued = Some(Issue {
        connection: ConnectionId(0),
        at: at(1),
    });
    change(&mut credential);
    credential_store.enter(TransportKind::Tcp, mechanism, &name, || credential);
    credential_store
}

/// A session of one name that resumes under another is graver where only one of the two asks for a certificate.
#[test]
fn a_session_that_passes_by_a_client_certificate_is_grave() {
    use crate::session::Seen;
    let found = |made_asked: Option<bool>, asks: bool| {
        let credential_store = one_credential(Mechanism::SessionId, &[7; 32], |credential| {
            credential.server_name = Some("a.test".into());
            credential.client_certificate = made_asked;
        });
        let mut made = full(1);
        made.issued = smallvec![CredentialId(0)];
        let named = |second, shape| {
            let mut connection = Connection {
                shape: Seen::Yes(shape),
                ..full(second)
            };
            connection.hello.yes_mut().expect("a hello").server_name = Some("b.test".into());
            connection
        };
        let mut own = named(2, Shape::Full(at(2)));
        own.certificate_request = asks.then(|| at(2).frame);
        let mut resumed = named(3, Shape::Abbreviated(at(3)));
        resumed.outcome = Outcome::Resumed(Some(Mechanism::SessionId));
        resumed.accepted = Some(CredentialId(0));
        resumed.offers = smallvec![offer(0, OfferKind::Resumption(Mechanism::SessionId))];
        let world = World::with(credential_store, vec![made, own, resumed], usize::MAX);
        let all = world.findings("b.test");
        let across = all.into_iter().find(|(name, ..)| *name == "resumed-across-sni");
        let (_, severity, _, summary) = across.expect("a session of another name");
        (
            severity,
            summary.ends_with("; only one of the two names asks for a client certificate"),
        )
    };
    assert_eq!(found(Some(false), true), (Severity::High, true));
    assert_eq!(found(Some(true), false), (Severity::High, true));
    let usual = super::security::FindingKind::by_name("resumed-across-sni")
        .expect("known")
        .severity;
    assert_ne!(usual, Severity::High);
    assert_eq!(found(Some(true), true), (usual, false));
    assert_eq!(found(Some(false), false), (usual, false));
    assert_eq!(found(None, true), (usual, false));
}

#[test]
fn a_key_name_of_zeros_is_only_possible_where_no_mac_can_be_checked() {
    let found = |length: usize| {
        let mut ticket = vec![0; 16];
        ticket.resize(length, 9);
        let credential_store = one_credential(Mechanism::Ticket, &ticket, |_| ());
        let mut made = full(1);
        made.issued = smallvec![CredentialId(0)];
        let world = World::with(credential_store, vec![made], usize::MAX);
        let all = world.findings("a.test");
        let zero = all.into_iter().find(|(name, ..)| *name == "stek-all-zero");
        zero.map(|(_, _, confidence, summary)| (confidence, summary.starts_with("1 ticket begins")))
    };
    assert_eq!(found(65), Some((Confidence::Possible, true)));
    // Too short for any state, and one whose MAC is that of another key.
    assert_eq!(found(64), None);
    assert_eq!(found(80), None);
}

const MODES: crate::session::PskModes = crate::session::PskModes {
    ke: false,
    dhe_ke: true,
};

/// A complete handshake of TLS 1.3 after which records of the look of tickets were seen.
fn giving_tickets(second: u32) -> Connection {
    let mut connection = full(second);
    connection.answer = answered(second, "a.test", ProtocolVersion::TLS_1_3).answer;
    connection.tickets_inferred = crate::session::TicketsInferred::Like(2);
    let hello = connection.hello.yes_mut().expect("a hello");
    (hello.offers_tls13, hello.psk_modes) = (true, Some(MODES));
    connection
}

#[test]
fn a_ticket_of_tls13_runs_out_after_seven_days() {
    let expired = |days: u32, seconds: u32| {
        let world = World::of(
            vec![giving_tickets(1), giving_tickets(1 + 86_400 * days + seconds)],
            usize::MAX,
        );
        let told = world.told(1);
        told.iter().any(|(name, _)| *name == "credential-expired-client-side")
    };
    assert!(!expired(7, 0) && expired(7, 1) && !expired(1, 0));
}

#[test]
fn a_hello_without_psk_modes_can_resume_nothing() {
    use crate::session::TicketExtension::{Absent, Empty};
    let told = |modes: Option<crate::session::PskModes>, ticket: crate::session::TicketExtension| {
        let mut silent = giving_tickets(9);
        let hello = silent.hello.yes_mut().expect("a hello");
        (hello.psk_modes, hello.ticket) = (modes, ticket);
        let world = World::of(vec![giving_tickets(1), silent], usize::MAX);
        let judged = judge(&world.case(1));
        let silent = judged.into_iter().find(|it| it.reason.name == "client-did-not-offer");
        silent.map(|it| (it.confidence, it.summary)).expect("a reason")
    };
    let (confidence, summary) = told(None, Absent);
    assert_eq!(confidence, Confidence::Observed);
    assert!(
        summary.contains("neither psk_key_exchange_modes nor session_ticket"),
        "{summary}"
    );
    let (confidence, summary) = told(None, Empty);
    assert_eq!(confidence, Confidence::Observed);
    assert!(
        summary.starts_with("the hello has no psk_key_exchange_modes"),
        "{summary}"
    );
    assert_eq!(told(Some(MODES), Absent).0, Confidence::Possible);
}

#[test]
fn the_issuer_of_a_credential_is_the_connection_that_is_known_to_have_issued_it() {
    let world = World::with(
        one_credential(Mechanism::Ticket, &[7; 100], |_| ()),
        vec![full(1), full(2)],
        usize::MAX,
    );
    let case = world.case(1);
    let mut credential = world
        .credential_store
        .get(crate::session::CredentialId(0))
        .expect("entered")
        .clone();
    let issuer = case.issuer(&credential).expect("it is kept");
    assert!(std::ptr::eq(
        issuer,
        world.connection_store.get(ConnectionId(0)).expect("it is kept")
    ));
    credential.issued = None;
    assert!(case.issuer(&credential).is_none());
}
