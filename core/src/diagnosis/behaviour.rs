//! What clients do when they come back: do they offer, and does that depend on how their last connection ended?
//!
//! A client is an address and a client stack; each of its services counts apart. One contrast tells whether an unclean
//! close makes it drop its session, another whether it ever offers anything at all.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::net::Timestamp;
use crate::session::{Connection, ConnectionId, Outcome, Side};
use crate::store::ConnectionStore;

use super::attempts::{ClosedBy, closed_by};
use super::confidence::{BAR, Stratum, UNITS, ln_chance};
use super::context::{Gave, gave};
use super::parties::{Parties, Party};

/// Who ended a connection without close_notify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unclean {
    /// The client.
    Client,
    /// The server.
    Server,
}

impl Unclean {
    /// The unclean closes among all.
    #[must_use]
    pub const fn of(closed: ClosedBy) -> Option<Self> {
        match closed {
            ClosedBy::ClientReset | ClosedBy::ClientFin => Some(Self::Client),
            ClosedBy::Server => Some(Self::Server),
            ClosedBy::Cleanly | ClosedBy::Alert | ClosedBy::Unknown => None,
        }
    }
}

/// How often something was offered after a kind of close, and how often nothing was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Returns {
    /// Something was offered, so many times at least: counting ends at 65,535.
    pub offered: u16,
    /// Nothing was offered.
    pub silent: u16,
}

impl Returns {
    const fn add(&mut self, offered: bool) {
        let count = if offered { &mut self.offered } else { &mut self.silent };
        *count = count.saturating_add(1);
    }
}

/// The same, apart after handshakes that gave something new, and after resumptions that gave nothing: these leave nothing to a
/// client whose sessions are good for one use, however they end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReturnsByKind {
    /// After a handshake that gave something.
    pub given: Returns,
    /// After a resumption that gave nothing new.
    pub used: Returns,
}

impl ReturnsByKind {
    /// After handshakes of either kind.
    #[must_use]
    pub const fn all(&self) -> Returns {
        Returns {
            offered: self.given.offered.saturating_add(self.used.offered),
            silent: self.given.silent.saturating_add(self.used.silent),
        }
    }

    const fn of(&mut self, used: bool) -> &mut Returns {
        if used { &mut self.used } else { &mut self.given }
    }
}

/// What one client stack does at one service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClientBehaviour {
    /// After clean closes.
    pub clean: ReturnsByKind,
    /// After connections that the client ended without close_notify.
    pub client: ReturnsByKind,
    /// After connections that the server ended without close_notify.
    pub server: ReturnsByKind,
    /// After a fatal alert.
    pub alert: ReturnsByKind,
    /// After all else, first connections among them.
    pub other: Returns,
    /// Silences after connections that the client ended without close_notify, which its program outlived.
    pub client_alive: u16,
    /// The same after connections that the server ended so.
    pub server_alive: u16,
}

impl ClientBehaviour {
    /// Whether this client ever offered this service anything: only then is its silence worth a cause.
    #[must_use]
    pub const fn offers(&self) -> bool {
        let [clean, client, server, alert] = [self.clean.all(), self.client.all(), self.server.all(), self.alert.all()];
        (clean.offered | client.offered | server.offered | alert.offered | self.other.offered) > 0
    }

    /// Returns after an unclean close.
    #[must_use]
    pub const fn after(&self, unclean: Unclean) -> ReturnsByKind {
        match unclean {
            Unclean::Client => self.client,
            Unclean::Server => self.server,
        }
    }

    /// Silences after such an end that the client's program outlived: another connection of it was open before the end and
    /// after the silent hello. A program that ends leaves connections without close_notify, and comes back with an empty
    /// store; it has dropped nothing for the close.
    #[must_use]
    pub const fn alive_after(&self, unclean: Unclean) -> u16 {
        match unclean {
            Unclean::Client => self.client_alive,
            Unclean::Server => self.server_alive,
        }
    }

    /// The chance that this client's silences fell on such ends alone although they have nothing to do with it.
    #[must_use]
    pub fn chance_after(&self, after: ReturnsByKind) -> f64 {
        let stratum = |after: Returns, clean: Returns| Stratum {
            named_refused: after.silent.into(),
            named_accepted: after.offered.into(),
            other_refused: clean.silent.into(),
            other_accepted: clean.offered.into(),
        };
        let strata: &[Stratum] = if self.uses_again() {
            &[stratum(after.all(), self.clean.all())]
        } else {
            &[
                stratum(after.given, self.clean.given),
                stratum(after.used, self.clean.used),
            ]
        };
        ln_chance(strata).exp().min(1.0)
    }

    /// Whether a session that was used is offered again, whenever its connection ended cleanly: then nothing is used up.
    const fn uses_again(&self) -> bool {
        self.clean.used.offered > 0 && self.clean.used.silent == 0
    }

    /// Whether it offers after clean closes of handshakes of this kind, and not after such ends, too often for chance.
    #[must_use]
    pub fn differs_after(&self, after: ReturnsByKind, used: bool) -> bool {
        let clean = match used {
            _ if self.uses_again() => self.clean.all(),
            true => self.clean.used,
            false => self.clean.given,
        };
        let enough = u64::from(clean.offered) >= UNITS && u64::from(after.all().silent) >= UNITS;
        enough && after.all().offered == 0 && self.chance_after(after) <= BAR
    }

    const fn note(&mut self, closed: ClosedBy, used: bool, offered: bool) {
        match closed {
            ClosedBy::Cleanly => self.clean.of(used).add(offered),
            ClosedBy::ClientReset | ClosedBy::ClientFin => self.client.of(used).add(offered),
            ClosedBy::Server => self.server.of(used).add(offered),
            ClosedBy::Alert => self.alert.of(used).add(offered),
            ClosedBy::Unknown => self.other.add(offered),
        }
    }
}

/// The habits of the clients that came back and offered nothing, by their number: of others nobody asks.
#[derive(Debug, Default)]
pub(super) struct ClientBehaviours(HashMap<u32, ClientBehaviour>);

impl ClientBehaviours {
    /// Of all kept connections; `same` is the latest one of the same client at the same service, `akin` are the latest ones of
    /// that client under another name, and of another client stack of that address.
    pub(super) fn of(
        connection_store: &ConnectionStore,
        parties: &Parties,
        same: impl Fn(ConnectionId) -> Option<ConnectionId>,
        akin: impl Fn(ConnectionId) -> [Option<ConnectionId>; 2],
    ) -> Self {
        let mut behaviours = Self::default();
        let all = || connection_store.in_turn(parties.order());
        for (id, _) in all().filter(|(_, connection)| connection.outcome == Outcome::NotOffered) {
            let [one, other] = akin(id);
            let asked = [same(id).map(|_| id), one, other].into_iter().flatten();
            for party in asked.filter_map(|id| parties.get(id)).filter(|party| party.hello) {
                behaviours.0.entry(party.client).or_default();
            }
        }
        if behaviours.0.is_empty() {
            return behaviours;
        }
        let mut programs = OpenConnections::default();
        for (id, connection) in all() {
            if let Some(party) = parties.get(id).filter(|party| party.hello) {
                behaviours.note(party, connection, &mut programs, || connection_store.get(same(id)?));
                programs.add(party, connection);
            }
        }
        behaviours
    }

    fn note<'a>(
        &mut self,
        party: Party,
        connection: &Connection,
        programs: &mut OpenConnections,
        previous: impl FnOnce() -> Option<&'a Connection>,
    ) {
        let offered = connection.offered().next().is_some();
        // What is not visible is neither an offer nor silence.
        if !offered && connection.outcome != Outcome::NotOffered {
            return;
        }
        let Some(behaviour) = self.0.get_mut(&party.client) else {
            return;
        };
        match previous() {
            Some(previous) => {
                let closed = closed_by(previous, connection.hello_time());
                behaviour.note(closed, gave_nothing_new(previous), offered);
                let alive = match Unclean::of(closed).filter(|_| !offered) {
                    Some(Unclean::Client) => &mut behaviour.client_alive,
                    Some(Unclean::Server) => &mut behaviour.server_alive,
                    None => return,
                };
                *alive = alive.saturating_add(u16::from(programs.span(party, previous, connection)));
            }
            None if offered => behaviour.note(ClosedBy::Unknown, false, offered),
            None => {}
        }
    }

    /// The habit of a client at its service.
    #[must_use]
    pub(super) fn get(&self, party: Party) -> ClientBehaviour {
        self.0.get(&party.client).copied().unwrap_or_default()
    }
}

/// Whether it used a session and left nothing new in its place, for [`ReturnsByKind`].
pub(super) fn gave_nothing_new(connection: &Connection) -> bool {
    let anew = if connection.is_tls13() {
        matches!(gave(connection), Some((Gave::Seen | Gave::Inferred, _)))
    } else {
        !connection.issued.is_empty()
    };
    matches!(connection.outcome, Outcome::Resumed(_)) && !anew
}

/// When a program's connection began, and when the program ended it.
type Life = (Timestamp, Timestamp);

/// The connections of each program, which is an address and a client stack, that it has not ended yet. One that is open to the
/// end of the capture is none of them: its end may have been lost.
///
/// Each began after the one before it and ends after it: one that ends first says no more than the other. So the first one
/// that is still open began before all others, and nothing is looked at twice.
#[derive(Default)]
struct OpenConnections(HashMap<(u32, u32), VecDeque<Life>>);

impl OpenConnections {
    fn add(&mut self, party: Party, connection: &Connection) {
        if let Some(ended) = connection.client_side.ended() {
            let open = self.0.entry((party.address, party.stack)).or_default();
            add(open, (connection.hello_time(), ended.time));
        }
    }

    /// Whether one of them was there before a connection ended, and still is when the next one begins.
    fn span(&mut self, party: Party, previous: &Connection, next: &Connection) -> bool {
        let Some(open) = self.0.get_mut(&(party.address, party.stack)) else {
            return false;
        };
        let began = first_open(open, next.hello_time());
        let ends = Side::BOTH.into_iter().filter_map(|side| previous.side(side).ended());
        let end = ends.map(|at| at.time).min();
        end.zip(began).is_some_and(|(end, began)| began < end)
    }
}

/// They come in the order of their beginnings.
fn add(open: &mut VecDeque<Life>, life: Life) {
    let (began, ended) = life;
    while open.front().is_some_and(|(_, ended)| *ended <= began) {
        open.pop_front();
    }
    if open.back().is_none_or(|(_, latest)| *latest < ended) {
        open.push_back(life);
    }
}

/// When the first one began that is still open. Asked in the order of time.
fn first_open(open: &mut VecDeque<Life>, now: Timestamp) -> Option<Timestamp> {
    while open.front().is_some_and(|(_, ended)| *ended <= now) {
        open.pop_front();
    }
    open.front().map(|(began, _)| *began)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After handshakes that gave something.
    fn behaviour(clean: [u16; 2], server: [u16; 2]) -> ClientBehaviour {
        let returns = |[offered, silent]: [u16; 2]| ReturnsByKind {
            given: Returns { offered, silent },
            ..ReturnsByKind::default()
        };
        ClientBehaviour {
            clean: returns(clean),
            server: returns(server),
            ..ClientBehaviour::default()
        }
    }

    fn differs(behaviour: ClientBehaviour, unclean: Unclean) -> bool {
        behaviour.differs_after(behaviour.after(unclean), false)
    }

    #[test]
    fn a_client_that_offers_only_after_clean_closes_differs() {
        assert!(differs(behaviour([7, 0], [0, 3]), Unclean::Server));
        assert!(!differs(behaviour([7, 0], [0, 3]), Unclean::Client));
    }

    #[test]
    fn a_client_that_uses_its_sessions_once_has_nothing_left_after_a_resumption() {
        let mut once = behaviour([22, 0], [0, 0]);
        once.clean.used.silent = 15;
        once.server.used.silent = 20;
        let differs = |it: ClientBehaviour, used| it.differs_after(it.server, used);
        assert!(!differs(once, true), "it offers after none of them");
        // What it does after others tells of those alone.
        once.server.given.silent = 8;
        assert!(differs(once, false) && !differs(once, true));
        once.clean.used.offered = 12;
        assert!(differs(once, true));
        // Where what was used is offered again, whatever it was, all ends count together.
        let mut again = behaviour([4, 0], [0, 0]);
        again.server.used.silent = 3;
        assert!(!differs(again, true));
        again.clean.used.offered = 3;
        assert!(differs(again, true), "{}", again.chance_after(again.server));
    }

    #[test]
    fn one_offer_after_such_a_close_is_enough_to_clear_it() {
        assert!(!differs(behaviour([50, 0], [1, 50]), Unclean::Server));
    }

    #[test]
    fn silence_alone_proves_nothing() {
        assert!(!differs(behaviour([0, 9], [0, 9]), Unclean::Server));
        assert!(!differs(behaviour([2, 0], [0, 1]), Unclean::Server));
        assert!(!differs(behaviour([30, 0], [0, 2]), Unclean::Server));
        assert!(!differs(behaviour([4, 1], [0, 4]), Unclean::Server));
        assert!(!behaviour([0, 9], [0, 9]).offers());
    }

    #[test]
    fn the_first_connection_that_is_still_open_is_known_whatever_ended_meanwhile() {
        let at = |second: i64| Timestamp::from_nanos(second);
        for lives in [
            &[(0, 50), (1, 3), (2, 20), (4, 90), (30, 60), (31, 32), (95, 99)][..],
            &[(0, 1), (2, 4), (3, 9), (5, 8)],
            &[],
        ] {
            let mut open = VecDeque::new();
            let mut all: Vec<(i64, i64)> = Vec::new();
            for now in 0..100 {
                let told = first_open(&mut open, at(now));
                let naive = all
                    .iter()
                    .filter(|(_, ended)| *ended > now)
                    .map(|(began, _)| at(*began))
                    .min();
                assert_eq!(told, naive, "at {now} of {lives:?}");
                for (began, ended) in lives.iter().filter(|(began, _)| *began == now) {
                    add(&mut open, (at(*began), at(*ended)));
                    all.push((*began, *ended));
                }
            }
        }
    }
}
