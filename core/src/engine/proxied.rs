//! One handshake that stands in the input more than once is counted once.
//!
//! *Legs*: a capture on a balancer, or several captures together, show a connection on both sides of a machine that passes
//! it on. The same ClientHello random and ServerHello random between other ends within seconds is the same TLS connection.
//! It is counted by the leg that the client sees, and the far end of the other leg is the machine that answered.
//!
//! *Copies*: the same packets stand in the input a second time, behind the first lot or by another clock. The same randoms
//! between the same ends are the same connection whenever they come: nobody draws both randoms and both ports twice.

use hashbrown::HashMap;

use crate::diagnosis::outcome;
use crate::net::{Endpoint, FrameRef, SeqNumber, Timestamp};
use crate::session::{Completed, Connection, ConnectionId, Outcome, Seen, TransportKind};
use crate::store::{ConnectionStore, CredentialStore, HandedOn, KeptConnection, TakenBack};

/// Nanoseconds within which a handshake is passed on, what two clocks differ by included. Equal randoms further apart are a
/// replay, or hosts without entropy.
const PASSED_ON: i64 = 10_000_000_000;
/// Connections with the ClientHello of another one, and without an answer of their own, are compared with so many of those
/// that have one: a client without entropy sends the same hello for ever.
const COMPARED: usize = 8;

/// How often one handshake stood in the input again.
#[derive(Debug, Default)]
pub(super) struct Joined {
    /// As another leg.
    pub(super) legs: u64,
    /// As a copy, and the first frame of the first of them.
    pub(super) copies: u64,
    pub(super) first_copy: Option<FrameRef>,
    /// What the connections that were taken out had offered.
    taken: TakenBack,
    /// What the connections that were taken out had offered, where only they show it.
    handed_on: HandedOn,
}

/// How two connections with the same randoms stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LegRelation {
    Legs,
    Copies,
}

/// What a connection is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct LegKey {
    hello: u64,
    /// `None` without a ServerHello.
    answer: Option<u64>,
    time: Timestamp,
    id: ConnectionId,
}

/// Joins what is kept of every handshake more than once.
pub(super) fn join(connection_store: &mut ConnectionStore, credential_store: &mut CredentialStore) -> Joined {
    let mut joined = Joined::default();
    join_moved(connection_store, credential_store, &mut joined);
    let (mut hellos, mut alone, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for (id, connection) in connection_store.iter() {
        match (entry(id, connection), connection.answer.yes()) {
            (Some(entry), _) => hellos.push(entry),
            (None, Some(answer)) => alone.push((u64::from_be_bytes(answer.random), id)),
            (None, None) => bare.extend(beginning(connection).map(|beginning| (beginning, id))),
        }
    }
    hellos.sort_unstable();
    for alike in hellos
        .chunk_by(|a, b| a.hello == b.hello)
        .filter(|group| group.len() > 1)
    {
        let mut firsts = Vec::new();
        let mut unanswered = Vec::new();
        for group in alike.chunk_by(|a, b| a.answer == b.answer) {
            let firsts_here = join_group(group, connection_store, credential_store, &mut joined);
            let all = if group.iter().all(|entry| entry.answer.is_none()) {
                &mut unanswered
            } else {
                &mut firsts
            };
            all.extend(firsts_here);
        }
        for id in unanswered {
            let near = firsts.iter_mut().take(COMPARED);
            join_first(near, id, connection_store, credential_store, &mut joined);
        }
    }
    join_answers(alone, &hellos, connection_store, credential_store, &mut joined);
    join_bare(&bare, connection_store, credential_store, &mut joined);
    credential_store.hand_on(&joined.handed_on);
    credential_store.take_back(&joined.taken);
    joined
}

/// ICE (RFC 8445) may move a handshake over DTLS to another pair of addresses before it is answered: the hello is sent
/// again there, with the same random. What stays behind is a hello without an answer, and no connection.
fn join_moved(connection_store: &mut ConnectionStore, credential_store: &mut CredentialStore, joined: &mut Joined) {
    let hellos = || {
        let dtls = connection_store
            .iter()
            .filter(|(_, it)| it.transport.kind() == TransportKind::Dtls);
        dtls.filter_map(|(id, it)| Some((it.hello.yes()?.random, it.answer.yes().is_some(), id)))
    };
    let answered: HashMap<[u8; 32], ConnectionId> = hellos()
        .filter(|(_, answered, _)| *answered)
        .map(|(random, _, id)| (random, id))
        .collect();
    let moved: Vec<(ConnectionId, ConnectionId)> = hellos()
        .filter(|(_, answered, _)| !answered)
        .filter_map(|(random, _, id)| Some((id, *answered.get(&random)?)))
        .collect();
    for (left, whole) in &moved {
        let Some(server) = connection_store.get(*whole).map(|connection| connection.server) else {
            continue;
        };
        let Some(left_behind) = connection_store.remove(*left) else {
            continue;
        };
        let offers = left_behind.offers.iter().map(|offer| offer.credential);
        credential_store.join((*left, left_behind.server), (*whole, server), offers);
        joined.take_back(*left, &left_behind);
    }
    joined.legs += moved.len() as u64;
}

impl Joined {
    /// Offers of a connection that is another leg of one whose hello was not seen.
    fn hand_on(&mut self, id: ConnectionId, connection: &Connection, whole: ConnectionId) {
        for offer in &connection.offers {
            self.handed_on.entry(offer.credential).or_default().insert(id, whole);
        }
    }

    /// Offers of a connection that is another leg or copy of one that made them.
    fn take_back(&mut self, id: ConnectionId, connection: &Connection) {
        for offer in &connection.offers {
            self.taken.entry(offer.credential).or_default().insert(id);
        }
    }
}

fn entry(id: ConnectionId, connection: &Connection) -> Option<LegKey> {
    Some(LegKey {
        hello: u64::from_be_bytes(*connection.hello.yes()?.random.first_chunk()?),
        answer: connection.answer.yes().map(|answer| u64::from_be_bytes(answer.random)),
        time: connection.hello_time(),
        id,
    })
}

/// Joins connections with the same randoms, in the order of time. Gives those that are left.
fn join_group(
    group: &[LegKey],
    connection_store: &mut ConnectionStore,
    credential_store: &mut CredentialStore,
    joined: &mut Joined,
) -> Vec<ConnectionId> {
    let mut wholes: Vec<ConnectionId> = Vec::new();
    // What stands close together is put together first: the legs of a copy are legs of one another.
    for close in group.chunk_by(|a, b| b.time.since(a.time) <= PASSED_ON) {
        let mut here: Vec<ConnectionId> = Vec::new();
        for entry in close {
            // The latest is the nearest in time; a copy may be of any.
            let near = here.iter_mut().rev().take(COMPARED);
            if !join_first(near, entry.id, connection_store, credential_store, joined) {
                here.push(entry.id);
            }
        }
        for id in here {
            let before = wholes.iter_mut().rev().take(COMPARED);
            if !join_first(before, id, connection_store, credential_store, joined) {
                wholes.push(id);
            }
        }
    }
    wholes
}

/// Joins connections of which only the server's hello was seen with those that they are another leg or copy of.
fn join_answers(
    alone: Vec<(u64, ConnectionId)>,
    hellos: &[LegKey],
    connection_store: &mut ConnectionStore,
    credential_store: &mut CredentialStore,
    joined: &mut Joined,
) {
    if alone.is_empty() {
        return;
    }
    let mut wholes: HashMap<u64, Vec<ConnectionId>> = alone.iter().map(|(answer, _)| (*answer, Vec::new())).collect();
    for entry in hellos {
        if let Some(known) = entry.answer.and_then(|answer| wholes.get_mut(&answer)) {
            known.push(entry.id);
        }
    }
    for (answer, id) in alone {
        let Some(known) = wholes.get_mut(&answer) else { continue };
        if !join_first(
            known.iter_mut().take(COMPARED),
            id,
            connection_store,
            credential_store,
            joined,
        ) {
            known.push(id);
        }
    }
}

/// What a connection began with: its ends, the client's first sequence number and the time of its first packet. Two of which all
/// of that is the same are one.
type Beginning = (Endpoint, Endpoint, SeqNumber, Timestamp);

fn beginning(connection: &Connection) -> Option<Beginning> {
    let transport = &connection.transport;
    let isn = transport.client_isn?;
    Some((connection.client, connection.server, isn, transport.started))
}

/// Joins connections of which no hello was read, for they are cut or lost, with those that begin with the very same packet.
fn join_bare(
    bare: &[(Beginning, ConnectionId)],
    connection_store: &mut ConnectionStore,
    credential_store: &mut CredentialStore,
    joined: &mut Joined,
) {
    if bare.is_empty() {
        return;
    }
    let mut alike: HashMap<Beginning, Vec<ConnectionId>> =
        bare.iter().map(|(beginning, _)| (*beginning, Vec::new())).collect();
    let is_bare = |it: &Connection| it.hello.yes().is_none() && it.answer.yes().is_none();
    for (id, connection) in connection_store.iter().filter(|(_, it)| !is_bare(it)) {
        if let Some(known) = beginning(connection).and_then(|beginning| alike.get_mut(&beginning)) {
            known.push(id);
        }
    }
    for (beginning, id) in bare {
        let Some(known) = alike.get_mut(beginning) else {
            continue;
        };
        let near = known.iter_mut().take(COMPARED);
        if !join_first(near, *id, connection_store, credential_store, joined) {
            known.push(*id);
        }
    }
}

/// Joins a connection with the first of these that it is a leg or copy of. Where it is the better one of the two, it takes
/// the other's place. `false` when there is none.
fn join_first<'a>(
    mut wholes: impl Iterator<Item = &'a mut ConnectionId>,
    id: ConnectionId,
    connection_store: &mut ConnectionStore,
    credential_store: &mut CredentialStore,
    joined: &mut Joined,
) -> bool {
    let found = wholes.find_map(|whole| {
        let relation = relation(connection_store.get(*whole)?, connection_store.get(id)?)?;
        Some((whole, relation))
    });
    let Some((whole, relation)) = found else { return false };
    let swap = match (connection_store.get(*whole), connection_store.get(id)) {
        (Some(a), Some(b)) if relation == LegRelation::Legs => is_outer(b, a),
        (Some(a), Some(b)) => unseen(b) < unseen(a),
        _ => false,
    };
    let (first, second) = if swap { (id, *whole) } else { (*whole, id) };
    *whole = first;
    let has_hello = |store: &ConnectionStore| store.get(first).is_some_and(|it| it.hello.yes().is_some());
    let had_hello = has_hello(connection_store);
    let Some(inner) = join_two(first, second, relation, connection_store, credential_store) else {
        return false;
    };
    if had_hello || !has_hello(connection_store) {
        joined.take_back(second, &inner);
    } else {
        joined.hand_on(second, &inner, first);
    }
    let frame = inner.transport.first();
    match relation {
        LegRelation::Legs => joined.legs += 1,
        LegRelation::Copies => {
            joined.copies += 1;
            joined.first_copy = Some(joined.first_copy.map_or(frame, |first| first.min(frame)));
        }
    }
    true
}

/// How two connections stand to each other: `None` where they are two.
fn relation(a: &Connection, b: &Connection) -> Option<LegRelation> {
    if a.transport.kind() != b.transport.kind() {
        return None;
    }
    let hello = |connection: &Connection| connection.hello.yes().map(|hello| hello.random);
    let answer = |connection: &Connection| connection.answer.yes().map(|answer| answer.random);
    let (hellos, answers) = (same(hello(a), hello(b)), same(answer(a), answer(b)));
    if hellos == Some(false) || answers == Some(false) {
        return None;
    }
    if (hellos, answers) == (None, None) {
        return (same(beginning(a), beginning(b)) == Some(true)).then_some(LegRelation::Copies);
    }
    let near = a.hello_time().since(b.hello_time()).abs() <= PASSED_ON;
    if (a.client, a.server) == (b.client, b.server) {
        let isn = same(a.transport.client_isn, b.transport.client_isn);
        // Between the same ends other sequence numbers are another connection, unless a firewall rewrites them, or the
        // client gave up its first SYN, with the hello in it (RFC 7413), for another one.
        let always = isn == Some(true) || (isn, hellos, answers) == (None, Some(true), Some(true));
        return (near || always).then_some(LegRelation::Copies);
    }
    if hellos == Some(true) && answers == Some(true) {
        return near.then_some(LegRelation::Legs);
    }
    let half = |connection: &Connection| connection.client_side.captured != connection.server_side.captured;
    let legs = half(a) != half(b) || is_passed_on(a, b);
    (near && legs).then_some(LegRelation::Legs)
}

/// Whether the same hello stands in two connections because a machine passes it on, where not both show the same answer. It may
/// be sent to two servers by a client that races them, but then it comes from one host; and a hello that is answered on one
/// leg is so on the other. QUIC has no sequence numbers, but makes a hello anew for each connection of a socket.
fn is_passed_on(a: &Connection, b: &Connection) -> bool {
    let unanswered = |it: &Connection| matches!(it.answer, Seen::No);
    if unanswered(a) != unanswered(b) {
        return false;
    }
    let shape = |it: &Connection| it.hello.yes().map(|hello| (hello.shape, hello.session_id));
    let is_translated = match a.transport.kind() {
        TransportKind::Quic => a.client == b.client,
        _ => same(a.transport.client_isn, b.transport.client_isn) == Some(true),
    };
    let is_proxied = a.client.ip != b.client.ip && a.server.ip != b.server.ip;
    is_translated || (is_proxied && same(shape(a), shape(b)) != Some(false))
}

/// Whether `a` is the leg on the client's side of `b`, where their addresses tell: the machine that passes a connection on is
/// the server of the one and the client of the other.
fn meet(a: &Connection, b: &Connection) -> Option<bool> {
    let leads_to = |a: &Connection, b: &Connection| a.server.ip == b.client.ip;
    let outer = leads_to(a, b);
    (outer != leads_to(b, a)).then_some(outer)
}

/// Whether both are known and the same; `None` where one is not known.
fn same<T: PartialEq>(a: Option<T>, b: Option<T>) -> Option<bool> {
    Some(a? == b?)
}

/// Whether `a` is the leg on the client's side of `b`. Where addresses do not tell, time does: what reaches the balancer
/// reaches it before it leaves it, and what comes back leaves it later. A SYN stands first whatever became of the order of
/// packets. Without one, or where the clocks differ, the longer wait for the answer tells.
fn is_outer(a: &Connection, b: &Connection) -> bool {
    if let Some(outer) = meet(a, b) {
        return outer;
    }
    let span = |it: &Connection| Some((it.hello.yes()?.at.time, it.answer.yes()?.at.time));
    let (Some((asked_a, answered_a)), Some((asked_b, answered_b))) = (span(a), span(b)) else {
        return is_outer_in_part(a, b);
    };
    let (wait_a, wait_b) = (answered_a.since(asked_a), answered_b.since(asked_b));
    match begun(a).zip(begun(b)) {
        Some((a, b)) if !shifted([a.since(b), asked_a.since(asked_b), answered_a.since(answered_b)]) => a < b,
        _ => wait_a > wait_b,
    }
}

/// When the client's SYN was sent.
fn begun(connection: &Connection) -> Option<Timestamp> {
    let transport = &connection.transport;
    transport.client_isn.map(|_| transport.started)
}

/// [`is_outer`] where a hello is missing of one of them.
fn is_outer_in_part(a: &Connection, b: &Connection) -> bool {
    let both_ways = |it: &Connection| it.client_side.captured && it.server_side.captured;
    if !both_ways(a) || !both_ways(b) {
        // A leg of which half is missing shows less.
        return a.hello.yes().is_some() && a.answer.yes().is_some();
    }
    if let Some((a, b)) = begun(a).zip(begun(b)) {
        return a < b;
    }
    match (a.hello.yes().zip(b.hello.yes()), a.answer.yes().zip(b.answer.yes())) {
        (Some((a, b)), _) => a.at.time < b.at.time,
        (None, Some((a, b))) => a.at.time > b.at.time,
        (None, None) => false,
    }
}

/// Whether one leg stands before the other by nearly the same time in all that happens: its clock is slow, for the answer
/// comes to the inner leg first.
fn shifted(differences: [i64; 3]) -> bool {
    let same_sign = differences.iter().all(|it| *it > 0) || differences.iter().all(|it| *it < 0);
    let [least, most] = [
        differences.iter().map(|it| it.unsigned_abs()).min(),
        differences.iter().map(|it| it.unsigned_abs()).max(),
    ]
    .map(Option::unwrap_or_default);
    same_sign && most < 2 * least
}

/// Of two copies the one that shows more is kept: how much this one does not show.
fn unseen(connection: &Connection) -> u8 {
    let is_unclear = matches!(connection.outcome, Outcome::Unclear(_));
    let unseen = [
        connection.hello.yes().is_none(),
        connection.answer.yes().is_none(),
        is_unclear,
        !matches!(connection.close.class, Seen::Yes(_)),
    ];
    unseen.into_iter().map(u8::from).sum()
}

/// Takes out the second of two connections, and gives it.
fn join_two(
    whole: ConnectionId,
    second: ConnectionId,
    relation: LegRelation,
    connection_store: &mut ConnectionStore,
    credential_store: &mut CredentialStore,
) -> Option<KeptConnection> {
    let server = connection_store.get(whole)?.server;
    let inner = connection_store.remove(second)?;
    credential_store.join(
        (second, inner.server),
        (whole, server),
        inner
            .issued
            .iter()
            .copied()
            .chain(inner.offers.iter().map(|offer| offer.credential)),
    );
    if relation == LegRelation::Legs
        && let Some(connection) = connection_store.get_mut(whole)
    {
        let behind = inner.transport.behind().unwrap_or(inner.server);
        let uncommon = connection.transport.uncommon.get_or_insert_default();
        uncommon.behind.get_or_insert(behind);
        learn(connection, &inner);
    }
    Some(inner)
}

/// What the other leg shows of the handshake and this one does not: it is the same.
fn learn(connection: &mut Connection, other: &Connection) {
    if !matches!(connection.outcome, Outcome::Unclear(_)) {
        return;
    }
    if connection.hello.yes().is_none() && other.hello.yes().is_some() {
        (connection.hello, connection.offers) = (other.hello.clone(), other.offers.clone());
        connection.not_kept = other.not_kept;
    }
    connection.answer.take_better(&mut other.answer.clone());
    if connection.shape.yes().is_none() {
        (connection.shape, connection.shape_concluded) = (other.shape, other.shape_concluded);
    }
    if connection.retry.is_none() {
        connection.retry.clone_from(&other.retry);
    }
    // What one of them shows not to have been there was not.
    let hidden = connection.retry_hidden.and(other.retry_hidden);
    connection.retry_hidden = hidden.filter(|_| connection.retry.is_none());
    if let Completed::Blind(_) = connection.completed {
        connection.completed = other.completed;
    }
    connection.accepted = connection.accepted.or(other.accepted);
    connection.outcome = outcome::decide(connection);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::tests::{answered, endpoint};
    use crate::session::{Blindness, ProtocolVersion};

    /// One handshake as it stands in a connection from host to host.
    fn leg(client: u8, server: u8) -> Connection {
        Connection {
            client: endpoint(client),
            server: endpoint(server),
            ..answered(1, "a.test", ProtocolVersion::TLS_1_2)
        }
    }

    #[test]
    fn a_hello_that_is_passed_on_is_told_from_one_that_is_sent_to_two_servers() {
        let unseen = |mut leg: Connection| {
            leg.answer = Seen::Blind(Blindness::Gap);
            leg
        };
        let unanswered = |mut leg: Connection| {
            leg.answer = Seen::No;
            leg
        };
        let isn = |mut leg: Connection, number| {
            leg.transport.client_isn = Some(crate::net::SeqNumber(number));
            leg
        };
        let legs = Some(LegRelation::Legs);
        assert_eq!(relation(&leg(1, 2), &unseen(leg(3, 4))), legs);
        assert_eq!(relation(&unseen(leg(1, 2)), &unseen(leg(2, 4))), legs);
        // A client that races, and two clients of one server without entropy.
        assert_eq!(relation(&leg(1, 2), &unseen(leg(1, 4))), None);
        assert_eq!(relation(&leg(1, 2), &unseen(leg(3, 2))), None);
        // One that is translated keeps its sequence numbers.
        assert_eq!(relation(&isn(leg(1, 2), 7), &isn(unseen(leg(1, 4)), 7)), legs);
        assert_eq!(relation(&isn(leg(1, 2), 7), &isn(unseen(leg(1, 4)), 8)), None);
        // What is answered on one leg is so on the other.
        assert_eq!(relation(&leg(1, 2), &unanswered(leg(3, 4))), None);
        assert_eq!(relation(&unanswered(leg(1, 2)), &unanswered(leg(3, 4))), legs);
        let mut later = unseen(leg(3, 4));
        if let Some(hello) = later.hello.yes_mut() {
            hello.at.time = Timestamp::from_nanos(hello.at.time.nanos() + PASSED_ON + 1);
        }
        assert_eq!(relation(&leg(1, 2), &later), None);
    }

    #[test]
    fn without_any_hello_the_very_same_first_packet_tells_a_copy() {
        let bare = |client, isn, second| {
            let mut bare = leg(client, 2);
            (bare.hello, bare.answer) = (Seen::Blind(Blindness::Snaplen), Seen::Blind(Blindness::Snaplen));
            bare.transport.client_isn = Some(SeqNumber(isn));
            bare.transport.started = crate::session::tests::at(second).time;
            bare
        };
        let known = bare(1, 7, 1);
        let mut whole = leg(1, 2);
        whole.transport = known.transport.clone();
        for (other, copy) in [
            (bare(1, 7, 1), true),
            (whole, true),
            (bare(1, 8, 1), false),
            (bare(1, 7, 2), false),
            (bare(3, 7, 1), false),
        ] {
            let copy = copy.then_some(LegRelation::Copies);
            assert_eq!(relation(&known, &other), copy);
            assert_eq!(relation(&other, &known), copy);
        }
    }

    #[test]
    fn the_machine_in_between_is_the_server_of_the_outer_leg() {
        assert!(is_outer(&leg(1, 2), &leg(2, 4)));
        assert!(!is_outer(&leg(2, 4), &leg(1, 2)));
        assert_eq!(meet(&leg(1, 2), &leg(2, 1)), None, "each leads to the other");
        assert_eq!(meet(&leg(1, 2), &leg(3, 4)), None);
    }
}
