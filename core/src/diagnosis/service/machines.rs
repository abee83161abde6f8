//! Machines behind one address, told by marks on their packets.
//!
//! A mark counts only if it cannot come from anything but the machine: hop count, the make of its SYN-ACK under equal
//! SYNs, and the MAC address where the machine is on the same link. Where groups never alternate in time, a route or a
//! machine may have changed, and a single mark is not believed. Nothing here looks at TLS: who honours whose sessions
//! is another question.

use std::collections::{BTreeMap, BTreeSet};

use crate::net::{Endpoint, MacAddress, Timestamp};
use crate::session::SynOptions;
use crate::session::{Connection, ConnectionId, HostFingerprint};

/// Hop counts that operating systems start with: a packet that still has one has not been routed.
pub(super) const INITIAL_TTL: [u8; 3] = [64, 128, 255];
/// Connections that a group must have to be believed.
const SMALLEST_GROUP: usize = 2;
/// Groups beyond this are not machines but noise.
const MAX_GROUPS: usize = 64;

/// A machine, with what tells it from the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Machine {
    /// Its connections.
    pub(super) connections: Vec<ConnectionId>,
    /// What tells it apart.
    pub(super) because: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Marks {
    ttl: Option<u8>,
    on_link: Option<MacAddress>,
    syn: Option<Syn>,
}

impl Marks {
    /// Whether they are those of `other`, as far as these were seen.
    fn fits(&self, other: &Self) -> bool {
        self.ttl == other.ttl && self.on_link == other.on_link
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Syn {
    mss: Option<u16>,
    window_scale: Option<u8>,
    timestamps: bool,
    order: u32,
}

impl From<SynOptions> for Syn {
    fn from(options: SynOptions) -> Self {
        Self {
            mss: options.mss,
            window_scale: options.window_scale,
            timestamps: options.timestamps,
            order: options.order,
        }
    }
}

/// The machines that answered these connections of one endpoint, in the order of their first appearance. Empty when
/// nothing tells them apart. `holders` are the MAC addresses that claimed its address.
#[must_use]
pub(super) fn tell_apart(connections: &[(ConnectionId, &Connection)], holders: &BTreeSet<MacAddress>) -> Vec<Machine> {
    let behind = by_address(connections);
    if !behind.is_empty() {
        return behind;
    }
    if all_equal(connections.iter().map(|(_, connection)| told(connection))) {
        return Vec::new();
    }
    let Some(groups) = groups(connections, holders) else {
        return Vec::new();
    };
    let names: Vec<Marks> = groups.keys().copied().collect();
    let mut machines: Vec<(Option<Timestamp>, Machine)> = groups
        .into_iter()
        .map(|(marks, members)| {
            let first = members.iter().map(|(_, time)| *time).min();
            let connections = members.into_iter().map(|(id, _)| id).collect();
            (
                first,
                Machine {
                    connections,
                    because: because(&marks, &names),
                },
            )
        })
        .collect();
    machines.sort_by_key(|(first, _)| *first);
    machines.into_iter().map(|(_, machine)| machine).collect()
}

type Groups = BTreeMap<Marks, Vec<(ConnectionId, Timestamp)>>;

/// The connections by their marks, where these tell machines apart.
fn groups(connections: &[(ConnectionId, &Connection)], holders: &BTreeSet<MacAddress>) -> Option<Groups> {
    let same_syns = all_equal(connections.iter().filter_map(|(_, connection)| connection.marks.asked));
    let marked = || {
        let each = connections.iter();
        each.filter_map(|(id, connection)| Some((*id, connection.transport.started, marks_of(connection, same_syns)?)))
    };
    // A SYN-ACK that was not captured is no mark: such connections join the machines that the others tell apart.
    let answers_seen = marked().any(|(.., marks)| marks.syn.is_some());
    let is_partial = |marks: &Marks| answers_seen && marks.syn.is_none();
    let mut groups = Groups::new();
    for (id, started, marks) in marked().filter(|(.., marks)| !is_partial(marks)) {
        groups.entry(marks).or_default().push((id, started));
    }
    groups.retain(|_, members| members.len() >= SMALLEST_GROUP);
    if groups.len() < 2 || groups.len() > MAX_GROUPS || !believable(&groups, holders) {
        return None;
    }
    for (id, started, marks) in marked().filter(|(.., marks)| is_partial(marks)) {
        let mut fitting = groups.iter_mut().filter(|(group, _)| group.fits(&marks));
        if let (Some((_, members)), None) = (fitting.next(), fitting.next()) {
            members.push((id, started));
        }
    }
    Some(groups)
}

/// What could tell a machine from another: where it is the same everywhere there is nothing to sort.
fn told(connection: &Connection) -> (Option<u8>, Option<MacAddress>, Option<SynOptions>) {
    (connection.marks.ttl, connection.marks.mac, connection.marks.syn_options)
}

/// Where the capture shows the server behind the address, that is certain. One machine alone tells nothing apart.
fn by_address(connections: &[(ConnectionId, &Connection)]) -> Vec<Machine> {
    let mut machines: Vec<(Endpoint, Machine)> = Vec::new();
    for (id, connection) in connections {
        let Some(behind) = connection.transport.behind() else {
            continue;
        };
        if let Some((_, machine)) = machines.iter_mut().find(|(address, _)| *address == behind) {
            machine.connections.push(*id);
        } else if machines.len() < MAX_GROUPS {
            let because = vec![format!("the other leg goes to {behind}")];
            machines.push((
                behind,
                Machine {
                    connections: vec![*id],
                    because,
                },
            ));
        }
    }
    if machines.len() < 2 {
        Vec::new()
    } else {
        machines.into_iter().map(|(_, machine)| machine).collect()
    }
}

/// The MAC address of a machine on the capture's own link: of one behind a router it is the router's.
pub(super) fn on_link(marks: &HostFingerprint) -> Option<MacAddress> {
    marks
        .mac
        .filter(|_| marks.ttl.is_some_and(|ttl| INITIAL_TTL.contains(&ttl)))
}

/// The options of a SYN-ACK answer those of the SYN: they are compared only where all clients are seen to ask alike.
fn marks_of(connection: &Connection, same_syns: bool) -> Option<Marks> {
    let marks = &connection.marks;
    let ttl = marks.ttl?;
    Some(Marks {
        ttl: Some(ttl),
        on_link: on_link(marks),
        syn: marks
            .syn_options
            .filter(|_| same_syns && marks.asked.is_some())
            .map(Into::into),
    })
}

fn all_equal<T: PartialEq>(mut values: impl Iterator<Item = T>) -> bool {
    let Some(first) = values.next() else { return true };
    values.all(|value| value == first)
}

/// Groups that take turns are machines behind a balancer. Groups that follow one another may be one machine whose
/// route changed, unless two independent marks changed with it, or ARP shows that each held the address: then one took it
/// over from the other.
fn believable(groups: &Groups, holders: &BTreeSet<MacAddress>) -> bool {
    let spans: Vec<(&Marks, Timestamp, Timestamp)> = groups
        .iter()
        .filter_map(|(marks, members)| {
            let times = || members.iter().map(|(_, time)| *time);
            Some((marks, times().min()?, times().max()?))
        })
        .collect();
    spans.iter().enumerate().all(|(index, (marks, first, last))| {
        spans.iter().skip(index + 1).all(|(other, other_first, other_last)| {
            let alternate = first < other_last && other_first < last;
            let differing = usize::from(marks.ttl != other.ttl)
                + usize::from(marks.syn != other.syn)
                + usize::from(marks.on_link != other.on_link);
            let held = |marks: &Marks| marks.on_link.is_some_and(|mac| holders.contains(&mac));
            let took_over = marks.on_link != other.on_link && held(marks) && held(other);
            alternate || differing >= 2 || took_over
        })
    })
}

/// The marks of one group that differ between groups, in words.
fn because(marks: &Marks, all: &[Marks]) -> Vec<String> {
    let mut words = Vec::new();
    if let (Some(ttl), false) = (marks.ttl, all_equal(all.iter().map(|marks| marks.ttl))) {
        words.push(format!("server TTL {ttl}"));
    }
    if let (Some(mac), false) = (marks.on_link, all_equal(all.iter().map(|marks| marks.on_link))) {
        words.push(format!("server MAC {mac}"));
    }
    let Some(syn) = marks.syn else { return words };
    let differs = |field: &dyn Fn(&Syn) -> u32| !all_equal(all.iter().map(|marks| marks.syn.as_ref().map(field)));
    if differs(&|syn| u32::from(syn.timestamps)) {
        words.push(format!("TCP timestamps {}", if syn.timestamps { "on" } else { "off" }));
    }
    if differs(&|syn| syn.mss.map_or(0, u32::from)) {
        words.push(syn.mss.map_or("no MSS".to_owned(), |mss| format!("SYN-ACK MSS {mss}")));
    }
    if differs(&|syn| syn.window_scale.map_or(255, u32::from)) {
        words.push(
            syn.window_scale
                .map_or("no window scaling".to_owned(), |scale| format!("window scale {scale}")),
        );
    }
    if words.is_empty() {
        words.push("order of TCP options".to_owned());
    }
    words
}

#[cfg(test)]
mod tests {
    use crate::session::RareFacts;
    use crate::session::tests::{endpoint, unseen};

    use super::*;

    const SYN: SynOptions = SynOptions {
        mss: Some(1460),
        window_scale: Some(7),
        timestamps: true,
        window: 65_535,
        order: 1,
    };

    /// A connection for each of these, a second apart.
    fn connections<T: Copy>(values: &[T], change: impl Fn(&mut Connection, T)) -> Vec<Connection> {
        let each = values.iter().zip(0..).map(|(value, second)| {
            let mut connection = unseen(second);
            connection.marks.ttl = Some(60);
            change(&mut connection, *value);
            connection
        });
        each.collect()
    }

    fn machines(connections: &[Connection]) -> Vec<(Vec<u32>, String)> {
        machines_of(connections, &[])
    }

    fn machines_of(connections: &[Connection], holders: &[MacAddress]) -> Vec<(Vec<u32>, String)> {
        let members: Vec<_> = (0..).map(ConnectionId).zip(connections).collect();
        let ids = |machine: &Machine| machine.connections.iter().map(|id| id.0).collect();
        let told = tell_apart(&members, &holders.iter().copied().collect());
        told.iter()
            .map(|machine| (ids(machine), machine.because.join(", ")))
            .collect()
    }

    fn told(ids: [u32; 2], because: &str) -> (Vec<u32>, String) {
        (ids.to_vec(), because.to_owned())
    }

    fn by_hops(hops: &[u8]) -> Vec<(Vec<u32>, String)> {
        machines(&connections(hops, |connection, ttl| connection.marks.ttl = Some(ttl)))
    }

    fn by_syn(change: impl Fn(&mut SynOptions)) -> Vec<(Vec<u32>, String)> {
        machines(&connections(&[false, true, false, true], |connection, other| {
            let mut syn = SYN;
            if other {
                change(&mut syn);
            }
            connection.marks.syn_options = Some(syn);
            connection.marks.asked = Some(5);
        }))
    }

    #[test]
    fn machines_that_take_turns_are_told_by_one_mark() {
        assert_eq!(
            by_hops(&[61, 60, 61, 60]),
            [told([0, 2], "server TTL 61"), told([1, 3], "server TTL 60")]
        );
        assert_eq!(by_hops(&[60; 4]), []);
        // Those that follow one another may be one behind a new route, and one connection is no group.
        assert_eq!(by_hops(&[60, 60, 61, 61]), []);
        assert_eq!(by_hops(&[60, 61, 60, 60]), []);
    }

    #[test]
    fn machines_that_follow_one_another_are_told_by_two_marks() {
        let mut all = connections(&[60, 60, 61, 61], |connection, ttl| {
            connection.marks.ttl = Some(ttl);
            let mss = Some(1400 + u16::from(ttl));
            connection.marks.syn_options = Some(SynOptions { mss, ..SYN });
            connection.marks.asked = Some(5);
        });
        let expected = [
            told([0, 1], "server TTL 60, SYN-ACK MSS 1460"),
            told([2, 3], "server TTL 61, SYN-ACK MSS 1461"),
        ];
        assert_eq!(machines(&all), expected);
        // What a SYN-ACK says is compared only where the SYNs were alike.
        for (connection, asked) in all.iter_mut().zip(0..) {
            connection.marks.asked = Some(asked);
        }
        assert_eq!(machines(&all), []);
    }

    #[test]
    fn a_syn_or_its_answer_that_was_not_captured_makes_no_machine() {
        let seen = |lost: fn(&mut Connection)| {
            connections(&[false, true, false, true], |connection, missing| {
                connection.marks.syn_options = Some(SYN);
                connection.marks.asked = Some(5);
                if missing {
                    lost(connection);
                }
            })
        };
        assert_eq!(machines(&seen(|connection| connection.marks.syn_options = None)), []);
        assert_eq!(machines(&seen(|connection| connection.marks.asked = None)), []);
    }

    #[test]
    fn a_connection_whose_syn_was_not_captured_joins_the_only_machine_that_fits() {
        let mut all = connections(&[60, 61, 60, 61, 60, 59], |connection, ttl| {
            connection.marks.ttl = Some(ttl);
            connection.marks.syn_options = Some(SYN);
            connection.marks.asked = Some(5);
        });
        for lost in all.iter_mut().skip(4) {
            lost.marks.syn_options = None;
        }
        let first = (vec![0, 2, 4], "server TTL 60".to_owned());
        assert_eq!(machines(&all), [first, told([1, 3], "server TTL 61")]);
    }

    #[test]
    fn every_option_of_the_answer_tells_and_is_named() {
        assert_eq!(
            by_syn(|syn| syn.timestamps = false),
            [told([0, 2], "TCP timestamps on"), told([1, 3], "TCP timestamps off")]
        );
        assert_eq!(
            by_syn(|syn| syn.mss = None),
            [told([0, 2], "SYN-ACK MSS 1460"), told([1, 3], "no MSS")]
        );
        assert_eq!(
            by_syn(|syn| syn.window_scale = None),
            [told([0, 2], "window scale 7"), told([1, 3], "no window scaling")]
        );
        let order = "order of TCP options";
        assert_eq!(by_syn(|syn| syn.order = 2), [told([0, 2], order), told([1, 3], order)]);
        assert_eq!(by_syn(|_| ()), []);
    }

    #[test]
    fn a_hardware_address_tells_only_on_the_same_link() {
        let by_mac = |ttl: u8| {
            machines(&connections(&[1, 2, 1, 2], |connection, last| {
                connection.marks.ttl = Some(ttl);
                connection.marks.mac = Some(MacAddress([2, 0, 0, 0, 0, last]));
            }))
        };
        let expected = [
            told([0, 2], "server MAC 02:00:00:00:00:01"),
            told([1, 3], "server MAC 02:00:00:00:00:02"),
        ];
        for ttl in INITIAL_TTL {
            assert_eq!(by_mac(ttl), expected);
        }
        // Routed: these are the routers.
        assert_eq!(by_mac(63), []);
    }

    #[test]
    fn a_machine_that_took_the_address_over_is_told_by_its_hardware_address() {
        let mac = |last: u8| MacAddress([2, 0, 0, 0, 0, last]);
        let by_mac = |ttl: u8, holders: &[MacAddress]| {
            let all = connections(&[1, 1, 2, 2], |connection, last| {
                connection.marks.ttl = Some(ttl);
                connection.marks.mac = Some(mac(last));
            });
            machines_of(&all, holders)
        };
        let expected = [
            told([0, 1], "server MAC 02:00:00:00:00:01"),
            told([2, 3], "server MAC 02:00:00:00:00:02"),
        ];
        assert_eq!(by_mac(64, &[mac(1), mac(2)]), expected);
        // Where ARP does not show that both held the address, the MAC may be that of another way to one machine.
        assert_eq!(by_mac(64, &[]), []);
        assert_eq!(by_mac(64, &[mac(2)]), []);
        // Routed: these are the routers.
        assert_eq!(by_mac(63, &[mac(1), mac(2)]), []);
    }

    #[test]
    fn the_server_on_the_other_leg_is_certain_and_one_tells_nothing_apart() {
        let by_leg = |servers: &[Option<u8>]| {
            machines(&connections(servers, |connection, server| {
                let uncommon = RareFacts {
                    behind: server.map(endpoint),
                    ..RareFacts::default()
                };
                connection.transport.uncommon = uncommon.boxed();
            }))
        };
        assert_eq!(
            by_leg(&[Some(7), None, Some(8), Some(7)]),
            [
                (vec![0, 3], "the other leg goes to 192.0.2.7:443".to_owned()),
                (vec![2], "the other leg goes to 192.0.2.8:443".to_owned())
            ]
        );
        assert_eq!(by_leg(&[Some(7), None, Some(7)]), []);
        let many: Vec<Option<u8>> = (0..=u8::MAX).map(Some).collect();
        assert_eq!(by_leg(&many).len(), MAX_GROUPS);
    }

    #[test]
    fn more_groups_than_a_balancer_has_servers_are_noise() {
        let hops = |groups: u8| [1, 2].into_iter().flat_map(|_| 1..=groups).collect::<Vec<u8>>();
        assert_eq!(by_hops(&hops(64)).len(), MAX_GROUPS);
        assert_eq!(by_hops(&hops(65)), []);
    }
}
