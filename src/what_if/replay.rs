//! Sends the connections of a capture through a modelled farm, in the order of their hellos.

use hashbrown::HashMap;

use super::balancer::Balancers;
use super::crowd::{Brought, Crowd, Had, Visit};
use super::farm::{ModelCredential, Servers};
use super::luck::Luck;
use super::plan::{Balance, Plan};
use super::reading::MAX_STEPS;
use reshake_core::session::Mechanism;

/// Why a handshake is full in the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FullCause {
    /// Nothing was offered in the capture, or nothing whose origin it shows, or the answer is not visible.
    NoReconnect,
    /// Another backend has the session or the key.
    OtherBackend,
    /// The session was too old.
    TooOld,
    /// The ticket's key was gone.
    KeyGone,
    /// Refused for a cause that any farm has.
    Refused,
    /// Parallel connections had used up its tickets.
    NothingLeft,
}

impl FullCause {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::NoReconnect,
        Self::OtherBackend,
        Self::TooOld,
        Self::KeyGone,
        Self::Refused,
        Self::NothingLeft,
    ];
}

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Resumed.
    Resumed,
    /// A full handshake.
    Full(FullCause),
}

/// One connection in the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Played {
    /// The backend that got it, from 0.
    pub backend: u16,
    /// A session ID that the balancer knew led it there.
    pub led: bool,
    /// What became of it.
    pub fate: Fate,
}

/// What every connection of the crowd meets, in its order. `unexplained`: refusals of the capture without a certain
/// cause are met again.
#[must_use]
pub fn replay(crowd: &Crowd, plan: &Plan, luck: Luck, unexplained: bool) -> Vec<Played> {
    let mut balancers = Balancers::new(*plan, luck);
    let servers = Servers::new(*plan, crowd.renewed_on_use, balancers.draw());
    let placed = match plan.balance {
        Balance::SessionId => None,
        _ => Some(balancers.place_all(&crowd.visits)),
    };
    let mut stage = ReplayStage {
        balancers,
        servers,
        sticks: HashMap::new(),
        held: vec![None; crowd.visits.len()],
        unexplained,
    };
    let visits = crowd.visits.iter().enumerate();
    visits
        .map(|(index, visit)| {
            let place = placed.as_ref().and_then(|placed| placed.get(index)).copied();
            stage.play(&crowd.visits, index, visit, place)
        })
        .collect()
}

/// What a visit left its client with.
#[derive(Debug, Clone, Copy)]
struct ClientHolds {
    credential: ModelCredential,
    /// How often it can be offered; tickets of TLS 1.3 are for one use (RFC 8446 §C.4).
    uses: Option<u8>,
}

impl ClientHolds {
    /// What the client offers of it; `None` when it is used up, unless its client uses things again.
    const fn offer(&mut self, again: bool) -> Option<ModelCredential> {
        match &mut self.uses {
            Some(0) if !again => return None,
            Some(uses) if !again => *uses -= 1,
            Some(_) | None => {}
        }
        Some(self.credential)
    }
}

#[derive(Debug)]
struct ReplayStage {
    balancers: Balancers,
    servers: Servers,
    /// What the balancer learned from ServerHellos: farm and ID, and who has it.
    sticks: HashMap<(u32, u32), u16>,
    held: Vec<Option<ClientHolds>>,
    unexplained: bool,
}

impl ReplayStage {
    fn play(&mut self, visits: &[Visit], index: usize, visit: &Visit, place: Option<u16>) -> Played {
        let offered = visit.is_reconnect().then(|| self.take(visits, visit)).flatten();
        let known = offered.filter(|_| place.is_none()).and_then(|offered| {
            let id = id_in_hello(&offered, visit)?;
            self.sticks.get(&(visit.farm, id)).copied()
        });
        let backend = known.or(place).unwrap_or_else(|| self.balancers.in_turn(visit.farm));
        let fate = self.fate(offered.as_ref(), visit, backend);
        let held = match (fate, offered) {
            _ if visit.had == Had::Undecided => None,
            (Fate::Resumed, Some(used)) => Some(self.servers.after_resumption(used, visit, backend)),
            _ => self.servers.give(visit, backend),
        };
        if place.is_none() {
            self.learn(fate, offered.as_ref(), held.as_ref(), visit, backend);
        }
        let [full, resumed] = visit.tickets;
        let tickets = if fate == Fate::Resumed { resumed } else { full };
        if let Some(slot) = self.held.get_mut(index) {
            *slot = held.map(|credential| ClientHolds {
                credential,
                uses: (credential.kind == Mechanism::Psk).then_some(tickets),
            });
        }
        Played {
            backend,
            led: known.is_some(),
            fate,
        }
    }

    fn fate(&self, offered: Option<&ModelCredential>, visit: &Visit, backend: u16) -> Fate {
        if !visit.is_reconnect() {
            return Fate::Full(FullCause::NoReconnect);
        }
        let Some(offered) = offered else {
            return Fate::Full(FullCause::NothingLeft);
        };
        if let Had::Refused(refusal) = visit.had
            && self.servers.refuses_again(refusal, self.unexplained)
        {
            return Fate::Full(FullCause::Refused);
        }
        self.servers
            .refuses(offered, visit, backend)
            .map_or(Fate::Resumed, Fate::Full)
    }

    /// What the client holds: from the visit that gave it in the capture, or, when that has nothing left, from one
    /// before.
    fn take(&mut self, visits: &[Visit], visit: &Visit) -> Option<ModelCredential> {
        let mut from = visit.brought;
        for _ in 0..MAX_STEPS {
            let Brought::From(giver) = from else { return None };
            let held = self.held.get_mut(giver)?.as_mut();
            let offered = held.and_then(|held| held.offer(visit.reuses));
            if offered.is_some() {
                return offered;
            }
            from = visits.get(giver)?.brought;
        }
        None
    }

    /// The balancer notes the ID of a ServerHello up to TLS 1.2: one that is issued, or one that is echoed on acceptance
    /// (RFC 5077 §3.4). In TLS 1.3 the echo is random and never comes again.
    fn learn(
        &mut self,
        fate: Fate,
        offered: Option<&ModelCredential>,
        held: Option<&ModelCredential>,
        visit: &Visit,
        backend: u16,
    ) {
        let shown = match (fate, offered) {
            (Fate::Resumed, Some(offered)) => id_in_hello(offered, visit),
            _ => held
                .filter(|held| held.kind == Mechanism::SessionId)
                .map(|held| held.serial),
        };
        if let Some(id) = shown {
            self.sticks.insert((visit.farm, id), backend);
        }
    }
}

/// The ID in the hello, as far as it can come again: that of the session, or one made of the ticket.
fn id_in_hello(offered: &ModelCredential, visit: &Visit) -> Option<u32> {
    match offered.kind {
        Mechanism::SessionId => Some(offered.serial),
        Mechanism::Ticket => visit.id_follows_ticket.then_some(offered.serial),
        Mechanism::Psk => None,
    }
}
