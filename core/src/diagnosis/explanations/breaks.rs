//! Offers that break handshakes: the same client stack works without one.

use hashbrown::{HashMap, HashSet};

use super::{Claim, FittedValue, Kind, ServiceContext, Trace};
use crate::diagnosis::attempts::{BrokenBy, Decision, Row};
use crate::diagnosis::confidence::Stratum;
use crate::net::Timestamp;
use crate::session::Mechanism;

/// What offers of one kind have in common: client stack, mechanism, another name, another server.
type OfferKind = (u32, Mechanism, bool, bool);

/// Units are handshakes: each with an offer against those of the same stack without one. An accepted offer of the same kind
/// refutes it.
pub(super) fn claim(ground: &ServiceContext<'_>) -> Option<Claim> {
    let table = ground.table;
    let broken = ground.entries().filter(|(_, entry)| entry.decision == Decision::Broken);
    let broken: Vec<u32> = broken.map(|(number, _)| number).collect();
    if broken.is_empty() {
        return None;
    }
    let went_through = went_through(ground);
    let since = |number: &u32| {
        let (kind, time) = kind_of(ground, *number)?;
        Some(went_through.get(&kind).is_none_or(|last| *last < time))
    };
    let working = works_without_offer(ground);
    // A server that lacks the versions of a hello lacks them without an offer as well: it is not the one that answers the same
    // client's hellos without one.
    let by_version = |number: &u32| {
        let row = table.entry(*number).and_then(|entry| table.row_of(entry));
        row.is_some_and(|row| row.broken == Some(BrokenBy::Version) && working.contains(&row.stack))
    };
    let named: Vec<u32> = broken
        .into_iter()
        .filter(|number| since(number) == Some(true) && !by_version(number))
        .collect();
    let first = table.row_of(table.entry(*named.first()?)?)?;
    let strata = handshakes(ground, &named);
    let units = |it: &Stratum| it.named_refused + it.other_refused + it.other_accepted;
    let works = named
        .iter()
        .filter_map(|number| table.row_of(table.entry(*number)?))
        .any(|row| working.contains(&row.stack));
    Some(Claim {
        kind: Kind::OfferBreaks,
        proven: Vec::new(),
        stands: true,
        // That something has changed since the last one that went through is a fitted moment.
        cuts: if went_through.is_empty() {
            1
        } else {
            strata.values().map(units).sum()
        },
        concluded: false,
        trace: if works {
            Trace::of("handshakes of the same client without an offer work")
        } else {
            None
        },
        value: FittedValue::Nothing,
        moments: Vec::new(),
        scope: super::Scope::Service,
        plausible: !fails_without(ground, first),
        strata: strata.into_values().collect(),
        shadow: may_be_one_in_turn(ground, &named).then_some(Kind::OtherMachine),
        named,
        shares_keys: false,
    })
}

/// The stacks whose handshakes without an offer work.
fn works_without_offer(ground: &ServiceContext<'_>) -> HashSet<u32> {
    let rows = ground.table.rows_at(&ground.part.rows);
    let works = rows.filter(|row| row.hello && row.silent && row.completed && row.broken.is_none());
    works.map(|row| row.stack).collect()
}

fn kind_of(ground: &ServiceContext<'_>, number: u32) -> Option<(OfferKind, Timestamp)> {
    let entry = ground.table.entry(number)?;
    let row = ground.table.row_of(entry)?;
    Some(((row.stack, entry.mechanism, entry.other_name, entry.foreign), row.time))
}

/// When an offer of each kind went through last: then offers broke no handshakes.
fn went_through(ground: &ServiceContext<'_>) -> HashMap<OfferKind, Timestamp> {
    let mut latest = HashMap::new();
    let accepted = ground.entries().filter(|(_, entry)| !entry.failed());
    for (kind, time) in accepted.filter_map(|(number, _)| kind_of(ground, number)) {
        let last = latest.entry(kind).or_insert(time);
        *last = time.max(*last);
    }
    latest
}

/// Handshakes with one of these offers, which broke, and those without an offer, by client stack and address.
fn handshakes(ground: &ServiceContext<'_>, named: &[u32]) -> HashMap<(u32, u32), Stratum> {
    let mut strata: HashMap<(u32, u32), Stratum> = HashMap::new();
    for row in ground.table.rows_at(&ground.part.rows).filter(|row| row.hello) {
        let address = if ground.by_address { row.address } else { 0 };
        let mut entries = ground.table.of_row(row);
        let offers = entries.any(|(number, _)| named.binary_search(&number).is_ok());
        let stratum = strata.entry((row.stack, address)).or_default();
        *match (offers, row.silent, row.broken.is_some(), row.completed) {
            (true, ..) => &mut stratum.named_refused,
            (false, true, true, _) => &mut stratum.other_refused,
            (false, true, false, true) => &mut stratum.other_accepted,
            _ => continue,
        } += 1;
    }
    strata
}

/// Servers in turn among whom one may break every handshake, at most.
const IN_TURN: usize = 8;

/// Whether servers in strict turn, one of which breaks whatever it gets, would show the same. A client that loses its session
/// with each handshake that breaks comes without one to the next server, and with that one's session to the broken one again.
fn may_be_one_in_turn(ground: &ServiceContext<'_>, named: &[u32]) -> bool {
    let table = ground.table;
    let rows: HashMap<u32, &Row> = named
        .iter()
        .filter_map(|number| table.entry(*number))
        .filter_map(|entry| Some((entry.row, table.row_of(entry)?)))
        .collect();
    let stacks: HashSet<u32> = rows.values().map(|row| row.stack).collect();
    let hellos = || {
        ground
            .part
            .rows
            .iter()
            .filter_map(|number| Some((*number, table.rows().get(*number as usize)?)))
    };
    let hellos = || hellos().filter(|(_, row)| row.hello).enumerate();
    let works = |row: &Row| row.silent && row.completed && stacks.contains(&row.stack);
    let machines: HashSet<u16> = rows.values().map(|row| row.machine).filter(|it| *it != 0).collect();
    if hellos().any(|(_, (_, row))| works(row) && machines.contains(&row.machine)) {
        return false;
    }
    (2..=IN_TURN).any(|servers| {
        let mut turns = hellos()
            .filter(|(_, (number, _))| rows.contains_key(number))
            .map(|(place, _)| place % servers);
        let Some(turn) = turns.next() else { return false };
        turns.all(|it| it == turn) && !hellos().any(|(place, (_, row))| works(row) && place % servers == turn)
    })
}

/// Whether handshakes of the same stack without an offer fail as well from the first broken offer on, and none works.
fn fails_without(ground: &ServiceContext<'_>, first: &Row) -> bool {
    let rows = ground.table.rows_at(&ground.part.rows);
    let alike = rows.filter(|row| row.hello && row.silent && row.stack == first.stack);
    let (mut broken, mut works) = (false, false);
    for row in alike.filter(|row| row.time >= first.time) {
        broken |= row.broken.is_some();
        works |= row.completed;
    }
    broken && !works
}
