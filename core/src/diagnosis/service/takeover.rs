//! Another machine took over an address: what the packets show of it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use hashbrown::HashMap;

use crate::diagnosis::confidence::{BAR, ln_choose};
use crate::net::{At, MacAddress, Neighbour, Timestamp};
use crate::session::ResetForm;
use crate::session::{Completed, Connection, ConnectionId};

/// A moment at which another machine, or the same one after a restart, answers for the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Takeover {
    /// When it showed first.
    pub time: Timestamp,
    /// What showed it.
    pub at: At,
    /// Another machine for certain: its MAC address claims the address, or the hop count of its packets differs.
    pub other_machine: bool,
    /// The same machine as far as its marks tell: hop count and MAC address on one link are what they were.
    pub same_marks: bool,
}

/// Resets within this time of each other belong to one event: clients notice when they next send.
const SAME_EVENT: i64 = 60_000_000_000;
/// Events of one address, at most: each is held against all of its connections.
const MAX_EVENTS: usize = 64;

/// Finds takeovers of one service: connections that were working and are answered by a host that does not know them,
/// and announcements of the address by another MAC address.
#[must_use]
pub(super) fn find(members: &[(ConnectionId, &Connection)], neighbours: &[(At, Neighbour)]) -> Vec<Takeover> {
    let mut found: Vec<Takeover> = members
        .iter()
        .filter_map(|(_, connection)| unknown_to_the_host(connection))
        .collect();
    let announced = announced(members, neighbours).into_iter();
    found.extend(announced.filter(|takeover| !outlived(members, takeover.time)));
    found.sort_by_key(|takeover| takeover.time);
    let mut starts: Vec<Timestamp> = members
        .iter()
        .map(|(_, connection)| connection.transport.started)
        .collect();
    starts.sort_unstable();
    let mut events: Vec<Takeover> = Vec::new();
    for takeover in found {
        let full = events.len() == MAX_EVENTS;
        match events.last_mut() {
            Some(last) if takeover.time.since(last.time) <= SAME_EVENT && same_direction(&starts, last, &takeover) => {
                last.other_machine |= takeover.other_machine;
            }
            _ if full => {}
            _ => events.push(takeover),
        }
    }
    let times: Vec<Timestamp> = events.iter().map(|event| event.time).collect();
    for (place, event) in events.iter_mut().enumerate() {
        let since = place.checked_sub(1).and_then(|before| times.get(before));
        let span = (since.copied(), times.get(place + 1).copied());
        event.other_machine |= hops_changed(members, event.time, span);
        event.same_marks = !event.other_machine && marks_stayed(members, event.time, span);
    }
    events
}

/// Whether a connection from before goes on after that time: then the same machine holds the address, with whatever
/// interface. One that does not know the connection would have reset it.
fn outlived(members: &[(ConnectionId, &Connection)], time: Timestamp) -> bool {
    members.iter().any(|(_, connection)| {
        let server = &connection.server_side;
        let ends = [connection.close.server.at(), server.fin, server.finished];
        let goes_on = ends.into_iter().flatten().any(|at| at.time > time);
        connection.transport.started < time && goes_on
    })
}

/// Two resets with successful connections between them are two events (there and back).
fn same_direction(starts: &[Timestamp], last: &Takeover, next: &Takeover) -> bool {
    let after = starts.partition_point(|started| *started <= last.time);
    starts.get(after).is_none_or(|started| *started >= next.time)
}

/// An established connection reset without ACK, as a host does that does not have it (RFC 9293 §3.5.2), or by a stateless
/// reset of QUIC, which says the same (RFC 9000 §10.3), although the server had not closed it.
fn unknown_to_the_host(connection: &Connection) -> Option<Takeover> {
    let server = &connection.server_side;
    let reset = server
        .reset
        .filter(|reset| reset.form == ResetForm::NoSocket)
        .map(|reset| reset.at);
    let stateless = || Some(connection.transport.quic()?.stateless_reset?.at);
    let at = reset.or_else(stateless)?;
    let was_working =
        connection.completed == Completed::Yes && server.fin.is_none() && connection.close.server.at().is_none();
    // A client that had closed may be answered so by the host it was talking to.
    let client_open =
        connection.client_side.fin.is_none_or(|fin| fin.time >= at.time) && connection.close.client.at().is_none();
    (was_working && client_open).then_some(Takeover {
        time: at.time,
        at,
        other_machine: false,
        same_marks: false,
    })
}

/// Claims of the server's address by a MAC address that did not have it before. Where the capture shows who sends on the
/// server's own link, the packets must come from there since, and not before: a machine answers ARP with each of its
/// interfaces, and a proxy in its place, while one interface goes on to send.
fn announced(members: &[(ConnectionId, &Connection)], neighbours: &[(At, Neighbour)]) -> Vec<Takeover> {
    let address = members.first().map(|(_, connection)| connection.server.ip);
    let mut claims: Vec<(At, MacAddress)> = neighbours
        .iter()
        .filter_map(|(at, neighbour)| match *neighbour {
            Neighbour::Claims { ip, mac, .. } if Some(ip) == address => Some((*at, mac)),
            _ => None,
        })
        .collect();
    claims.dedup_by_key(|(_, mac)| *mac);
    let mut senders = Senders::of(members);
    let mut found = Vec::new();
    for (place, (at, mac)) in claims.iter().enumerate().skip(1) {
        let until = claims.get(place + 1).map(|(at, _)| at.time);
        if found.len() < MAX_EVENTS && senders.change_to(*mac, at.time, until) {
            found.push(Takeover {
                time: at.time,
                at: *at,
                other_machine: true,
                same_marks: false,
            });
        }
    }
    found
}

/// Who sent the packets of these connections on the server's own link, in the order of their beginnings.
struct Senders {
    seen: Vec<(Timestamp, MacAddress)>,
    /// For each of them, the next one that is another.
    next_other: Vec<usize>,
    /// How many have been passed, where each was seen last, and where the latest change was.
    passed: usize,
    latest: HashMap<MacAddress, usize>,
    changed: usize,
}

impl Senders {
    fn of(members: &[(ConnectionId, &Connection)]) -> Self {
        let on_link = |connection: &Connection| super::machines::on_link(&connection.marks);
        let each = members.iter().map(|(_, connection)| *connection);
        let mut seen: Vec<(Timestamp, MacAddress)> = each
            .filter_map(|connection| Some((connection.transport.started, on_link(connection)?)))
            .collect();
        seen.sort_unstable_by_key(|(started, _)| *started);
        let mut next_other = vec![seen.len(); seen.len()];
        for (place, pair) in seen.windows(2).enumerate().rev() {
            let next = next_other.get(place + 1).copied().unwrap_or(seen.len());
            if let ([(_, one), (_, other)], Some(at)) = (pair, next_other.get_mut(place)) {
                *at = if one == other { next } else { place + 1 };
            }
        }
        Self {
            seen,
            next_other,
            passed: 0,
            latest: HashMap::new(),
            changed: 0,
        }
    }

    /// Whether a machine that claims the address at this time, and goes on alone until another claim, is the one that sends
    /// since, and was none that sent since the latest change. Asked in the order of time.
    fn change_to(&mut self, mac: MacAddress, time: Timestamp, until: Option<Timestamp>) -> bool {
        if self.seen.is_empty() {
            return true;
        }
        while let Some((_, sender)) = self.seen.get(self.passed).filter(|(started, _)| *started <= time) {
            self.latest.insert(*sender, self.passed);
            self.passed += 1;
        }
        let before = self.passed > self.changed && self.latest.get(&mac).is_none_or(|place| *place < self.changed);
        let last = until.map_or(self.seen.len(), |until| {
            self.seen.partition_point(|(started, _)| *started <= until)
        });
        let since = self.seen.get(self.passed).is_some_and(|(_, sender)| *sender == mac)
            && self.passed < last
            && self.next_other.get(self.passed).is_some_and(|next| *next >= last);
        if before && since {
            self.changed = self.passed;
        }
        before && since
    }
}

/// The MAC addresses that claimed the address of these connections, as far as they are those of several machines: none where
/// a connection outlives the change from one to another.
pub(super) fn holders(members: &[(ConnectionId, &Connection)], neighbours: &[(At, Neighbour)]) -> BTreeSet<MacAddress> {
    let mut changes = announced(members, neighbours).into_iter();
    if changes.any(|takeover| outlived(members, takeover.time)) {
        return BTreeSet::new();
    }
    let claimed = neighbours.iter().filter_map(|(_, neighbour)| match neighbour {
        Neighbour::Claims { mac, .. } => Some(*mac),
        Neighbour::Unreachable { .. } => None,
    });
    claimed.collect()
}

/// Whether every hop count between the event before and this one differs from every one between this and the next, too often
/// for chance: behind a balancer they take turns, whatever happens, and each client may have a machine of its own.
fn hops_changed(members: &[(ConnectionId, &Connection)], time: Timestamp, span: Span) -> bool {
    let hops = |connection: &Connection| connection.marks.ttl;
    let [before, after] = around(members, time, span, hops);
    if before.is_empty() || after.is_empty() || !before.is_disjoint(&after) {
        return false;
    }
    let of_client = |connection: &Connection| hops(connection).map(|_| connection.client_address());
    let mut counts: HashMap<IpAddr, [u64; 2]> = HashMap::new();
    for (is_after, client) in near(members, time, span, of_client) {
        let [before, after] = counts.entry(client).or_default();
        *(if is_after { after } else { before }) += 1;
    }
    let by_chance = counts
        .values()
        .map(|[before, after]| -ln_choose(before + after, *after));
    by_chance.sum::<f64>() <= BAR.ln()
}

/// Whether one machine on the capture's own link answers between the event before and this one and between this and the next.
/// Behind a router the MAC address is the router's, and one that a standby shares tells nothing.
fn marks_stayed(members: &[(ConnectionId, &Connection)], time: Timestamp, span: Span) -> bool {
    let [before, after] = around(members, time, span, |connection| {
        let mac = super::machines::on_link(&connection.marks).filter(|mac| !is_shared(*mac));
        Some((mac, connection.marks.ttl))
    });
    before == after && before.len() == 1 && before.iter().all(|(mac, _)| mac.is_some())
}

/// Addresses that a standby takes over as they are: those of VRRP and CARP (RFC 9568 §7.3), and of HSRP.
const fn is_shared(mac: MacAddress) -> bool {
    matches!(mac.0, [0, 0, 0x5e, ..] | [0, 0, 0x0c, 0x07, ..])
}

/// What these connections show, between the event before and this one, and between this and the next.
fn around<T: Ord>(
    members: &[(ConnectionId, &Connection)],
    time: Timestamp,
    span: Span,
    mark: impl Fn(&Connection) -> Option<T>,
) -> [BTreeSet<T>; 2] {
    let [mut before, mut after] = [BTreeSet::new(), BTreeSet::new()];
    for (is_after, mark) in near(members, time, span, mark) {
        let side = if is_after { &mut after } else { &mut before };
        side.insert(mark);
    }
    [before, after]
}

/// What each of these connections shows, and whether it began after this event.
fn near<'a, T>(
    members: &'a [(ConnectionId, &Connection)],
    time: Timestamp,
    (since, until): Span,
    mark: impl Fn(&Connection) -> Option<T> + 'a,
) -> impl Iterator<Item = (bool, T)> + 'a {
    members.iter().filter_map(move |(_, connection)| {
        let started = connection.transport.started;
        let near = since.is_none_or(|since| started > since) && until.is_none_or(|until| started < until);
        let mark = mark(connection).filter(|_| near)?;
        Some((started > time, mark))
    })
}

/// From the event before to the next one, where there are any.
type Span = (Option<Timestamp>, Option<Timestamp>);

#[cfg(test)]
mod tests {
    use crate::net::FrameRef;
    use crate::net::span::SECOND;
    use crate::session::tests::{at, unseen};
    use crate::session::{
        Close, CloseNotify, DatagramFacts, QuicFacts, RareFacts, ResetCertainty, Seen, StatelessReset,
    };
    use crate::tcp::Reset;

    use super::*;

    /// A working connection of this second that the server's address resets at that one, with the hop count of its packets.
    fn reset(started: u32, second: u32, ttl: u8) -> Connection {
        let mut connection = unseen(started);
        connection.completed = Completed::Yes;
        connection.close = Close {
            class: Seen::No,
            first_closer: Seen::No,
            client: CloseNotify::Absent,
            server: CloseNotify::Absent,
        };
        connection.marks.ttl = Some(ttl);
        connection.server_side.reset = Some(Reset {
            at: at(second),
            form: ResetForm::NoSocket,
            doubtful: false,
        });
        connection
    }

    fn working(started: u32, ttl: u8) -> Connection {
        let mut connection = unseen(started);
        connection.marks.ttl = Some(ttl);
        connection
    }

    /// Second and whether it is another machine.
    fn found(connections: &[Connection], neighbours: &[(At, Neighbour)]) -> Vec<(i64, bool)> {
        let members: Vec<_> = (0..).map(ConnectionId).zip(connections).collect();
        let told = find(&members, neighbours);
        let second = |time: Timestamp| time.nanos() / SECOND;
        told.iter()
            .map(|takeover| (second(takeover.time), takeover.other_machine))
            .collect()
    }

    fn one(change: impl FnOnce(&mut Connection)) -> usize {
        let mut connection = reset(1, 10, 60);
        change(&mut connection);
        found(&[connection], &[]).len()
    }

    #[test]
    fn only_a_working_connection_that_nobody_closed_shows_a_takeover() {
        assert_eq!(one(|_| ()), 1);
        assert_eq!(one(|connection| connection.completed = Completed::No), 0);
        assert_eq!(one(|connection| connection.server_side.fin = Some(at(9))), 0);
        assert_eq!(
            one(|connection| connection.close.server = CloseNotify::Inferred(at(9))),
            0
        );
        assert_eq!(
            one(|connection| connection.close.client = CloseNotify::Inferred(at(9))),
            0
        );
        assert_eq!(one(|connection| connection.client_side.fin = Some(at(9))), 0);
        // The client closed at that moment or later.
        assert_eq!(one(|connection| connection.client_side.fin = Some(at(10))), 1);
        let active = |connection: &mut Connection| {
            connection.server_side.reset.as_mut().expect("a reset").form = ResetForm::Active;
        };
        assert_eq!(one(active), 0);
    }

    #[test]
    fn a_stateless_reset_of_quic_shows_a_takeover() {
        let mut connection = reset(1, 10, 60);
        connection.server_side.reset = None;
        assert_eq!(found(std::slice::from_ref(&connection), &[]), []);
        let facts = QuicFacts {
            stateless_reset: Some(StatelessReset {
                at: at(12),
                certainty: ResetCertainty::Possible,
            }),
            ..QuicFacts::default()
        };
        connection.transport.uncommon = Some(Box::new(RareFacts {
            datagram: Some(Box::new(DatagramFacts::Quic(facts))),
            ..RareFacts::default()
        }));
        assert_eq!(found(std::slice::from_ref(&connection), &[]), [(12, false)]);
        connection.close.client = CloseNotify::Observed(at(11));
        assert_eq!(found(&[connection], &[]), []);
    }

    #[test]
    fn resets_of_one_minute_are_one_event_unless_connections_came_between() {
        assert_eq!(found(&[reset(1, 10, 60), reset(2, 70, 60)], &[]), [(10, false)]);
        assert_eq!(
            found(&[reset(1, 10, 60), reset(2, 71, 60)], &[]),
            [(10, false), (71, false)]
        );
        let there_and_back = [reset(1, 10, 60), reset(20, 30, 60)];
        assert_eq!(found(&there_and_back, &[]), [(10, false), (30, false)]);
        // In the order of time, whichever began first.
        assert_eq!(found(&[reset(1, 30, 60), reset(2, 10, 60)], &[]), [(10, false)]);
    }

    #[test]
    fn packets_from_another_distance_show_another_machine() {
        let since = |ttl: u8| {
            let before = (1..5).map(|second| working(second, 60));
            let after = (20..25).map(|second| working(second, ttl));
            let all: Vec<Connection> = before.chain([reset(5, 10, 60)]).chain(after).collect();
            found(&all, &[])
        };
        assert_eq!(since(60), [(10, false)]);
        assert_eq!(since(61), [(10, true)]);
        // Of two or three it may be chance which machine they meet.
        assert_eq!(found(&[reset(1, 10, 60), working(20, 61)], &[]), [(10, false)]);
        // Behind a balancer hop counts take turns all the time.
        let all = [working(1, 61), reset(2, 10, 60), working(20, 61), working(21, 60)];
        assert_eq!(found(&all, &[]), [(10, false)]);
        let all = [working(1, 61), reset(2, 10, 60), working(20, 60), working(21, 61)];
        assert_eq!(found(&all, &[]), [(10, false)]);
    }

    #[test]
    fn an_address_that_is_claimed_by_another_machine_changed_hands() {
        let claim = |second: u32, host: u8, last: u8| {
            let claim = Neighbour::Claims {
                ip: [192, 0, 2, host].into(),
                mac: MacAddress([2, 0, 0, 0, 0, last]),
                unsolicited: true,
            };
            (at(second), claim)
        };
        let members = [working(1, 60)];
        assert_eq!(found(&members, &[claim(5, 2, 1), claim(9, 2, 1)]), []);
        assert_eq!(found(&members, &[claim(5, 2, 1), claim(9, 2, 7)]), [(9, true)]);
        assert_eq!(found(&members, &[claim(5, 3, 1), claim(9, 3, 7)]), []);
        assert_eq!(found(&members, &[claim(5, 2, 1), claim(6, 3, 7), claim(9, 2, 1)]), []);
        assert_eq!(found(&[], &[claim(5, 2, 1), claim(9, 2, 7)]), []);
        // With a reset right behind it, it is one event, of another machine.
        let reset = [reset(1, 10, 60)];
        assert_eq!(found(&reset, &[claim(5, 2, 1), claim(9, 2, 7)]), [(9, true)]);
        let unreachable = Neighbour::Unreachable {
            source: crate::session::tests::endpoint(1),
            destination: crate::session::tests::endpoint(2),
            code: 1,
        };
        let frame = FrameRef::new(0, 3);
        assert_eq!(found(&members, &[(At { frame, ..at(3) }, unreachable)]), []);
    }

    /// Claims of the address by these machines at these seconds, and connections whose packets come from those.
    fn moved(claims: &[(u32, u8)], sent: &[(u32, u8)]) -> Vec<i64> {
        let mac = |last| MacAddress([2, 0, 0, 0, 0, last]);
        let claims: Vec<(At, Neighbour)> = claims
            .iter()
            .map(|(second, last)| {
                let claim = Neighbour::Claims {
                    ip: [192, 0, 2, 2].into(),
                    mac: mac(*last),
                    unsolicited: true,
                };
                (at(*second), claim)
            })
            .collect();
        let with = |(second, last): &(u32, u8)| {
            let mut connection = working(*second, 64);
            connection.marks.mac = Some(mac(*last));
            connection
        };
        let sent: Vec<Connection> = sent.iter().map(with).collect();
        let told = found(&sent, &claims);
        told.into_iter().map(|(second, _)| second).collect()
    }

    #[test]
    fn an_address_moves_where_its_packets_come_from_the_one_that_claims_it() {
        assert_eq!(moved(&[(5, 1), (9, 7)], &[(6, 1), (7, 1), (10, 7), (11, 7)]), [9]);
        // There and back.
        assert_eq!(moved(&[(5, 1), (9, 7), (90, 1)], &[(6, 1), (10, 7), (91, 1)]), [9, 90]);
        // A machine that answers with each of its interfaces, and sends with one.
        assert!(moved(&[(5, 1), (9, 7)], &[(6, 1), (10, 1)]).is_empty());
        assert!(moved(&[(4, 7), (5, 1), (9, 7), (10, 1)], &[(6, 1), (8, 1), (11, 1)]).is_empty());
        // Two that answer at the same time, and send in turn.
        assert!(moved(&[(5, 1), (9, 7)], &[(6, 1), (7, 7), (10, 7)]).is_empty());
        assert!(moved(&[(5, 1), (9, 7)], &[(6, 1), (10, 7), (11, 1)]).is_empty());
        // Nothing was sent before, or since.
        assert!(moved(&[(5, 1), (9, 7)], &[(10, 7)]).is_empty());
        assert!(moved(&[(5, 1), (9, 7)], &[(6, 1)]).is_empty());
    }

    #[test]
    fn a_connection_that_lives_on_is_with_the_same_machine() {
        let mac = |last| MacAddress([2, 0, 0, 0, 0, last]);
        let claim = |second: u32, last: u8| {
            let claim = Neighbour::Claims {
                ip: [192, 0, 2, 2].into(),
                mac: mac(last),
                unsolicited: true,
            };
            (at(second), claim)
        };
        let of = |end: u32| {
            let mut open = working(6, 64);
            open.server_side.fin = Some(at(end));
            let claims = [claim(5, 1), claim(9, 7)];
            let members = [(ConnectionId(0), &open)];
            (find(&members, &claims).len(), holders(&members, &claims).len())
        };
        assert_eq!(of(8), (1, 2));
        assert_eq!(of(10), (0, 0), "its other interface took the address");
    }

    #[test]
    fn no_more_events_are_kept_than_can_be_held_against_all_connections() {
        let resets: Vec<Connection> = (0..100)
            .map(|number| reset(200 * number, 200 * number + 100, 64))
            .collect();
        let members: Vec<_> = resets.iter().map(|connection| (ConnectionId(0), connection)).collect();
        assert_eq!(find(&members[..10], &[]).len(), 10);
        assert_eq!(find(&members, &[]).len(), MAX_EVENTS);
    }

    #[test]
    fn hop_counts_are_compared_up_to_the_next_event() {
        // One that has the other hop count only from the second reset on.
        let of = |later: u32| {
            let all: Vec<Connection> = [reset(1, 100, 64), reset(151, 300, 64)]
                .into_iter()
                .chain((140..150).map(|second| working(second, 64)))
                .chain((0..5).map(|more| working(later + more, 60)))
                .collect();
            let members: Vec<_> = all.iter().map(|connection| (ConnectionId(0), connection)).collect();
            find(&members, &[])
                .iter()
                .map(|event| event.other_machine)
                .collect::<Vec<_>>()
        };
        assert_eq!(of(350), [false, true]);
        assert_eq!(of(296), [false, false], "some of them were there before");
    }

    #[test]
    fn hop_counts_differ_only_between_one_event_and_the_next() {
        let time = |second| at(second).time;
        let changed = |all: &[Connection], event, since: Option<u32>, until: Option<u32>| {
            let members: Vec<_> = all.iter().map(|connection| (ConnectionId(0), connection)).collect();
            hops_changed(&members, time(event), (since.map(time), until.map(time)))
        };
        let with = |ttl: u8, seconds: std::ops::Range<u32>| seconds.map(move |second| working(second, ttl));
        let moved: Vec<Connection> = with(64, 100..105).chain(with(60, 200..205)).collect();
        for (event, since, until) in [(150, None, None), (150, Some(99), Some(205)), (104, None, None)] {
            assert!(changed(&moved, event, since, until), "{event} {since:?} {until:?}");
        }
        assert!(!changed(&moved, 150, Some(104), None) && !changed(&moved, 150, None, Some(200)));
        assert!(!changed(&moved, 204, None, None) && !changed(&moved, 50, None, None));
        // Hop counts in turn are those of a balancer.
        let turns: Vec<Connection> = moved.iter().cloned().chain(with(60, 120..121)).collect();
        assert!(!changed(&turns, 150, None, None));
        // And where each client has a machine of its own, they change with the clients.
        let apart: Vec<Connection> = (0..)
            .zip(moved)
            .map(|(number, mut connection)| {
                connection.client.ip = [192, 0, 2, 100 + number / 5].into();
                connection
            })
            .collect();
        assert!(!changed(&apart, 150, None, None));
    }

    #[test]
    fn one_machine_on_the_link_is_the_same_after_a_restart() {
        let same = |before: [u8; 6], after: [u8; 6], ttl| {
            let with = |mut connection: Connection, mac| {
                connection.marks.mac = Some(MacAddress(mac));
                connection
            };
            let all = [
                with(reset(1, 10, ttl), before),
                with(working(2, ttl), before),
                with(working(12, ttl), after),
            ];
            let members: Vec<_> = (0..).map(ConnectionId).zip(&all).collect();
            find(&members, &[]).iter().all(|takeover| takeover.same_marks)
        };
        assert!(same([2; 6], [2; 6], 64));
        assert!(!same([2; 6], [4; 6], 64));
        // Behind a router, and at an address that a standby takes over as it is.
        assert!(!same([2; 6], [2; 6], 63));
        assert!(!same([0, 0, 0x5e, 0, 1, 7], [0, 0, 0x5e, 0, 1, 7], 64));
        assert!(!same([0, 0, 0x0c, 0x07, 0xac, 1], [0, 0, 0x0c, 0x07, 0xac, 1], 64));
    }
}
