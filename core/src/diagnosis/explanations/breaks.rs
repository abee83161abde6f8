//! Offers that break handshakes: the same client stack works without one.

use hashbrown::{HashMap, HashSet};

use super::{Claim, FittedValue, Kind, ServiceContext, Trace};
use crate::diagnosis::attempts::{Decision, Row};
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
    let named: Vec<u32> = broken
        .into_iter()
        .filter(|number| since(number) == Some(true))
        .collect();
    let first = table.row_of(table.entry(*named.first()?)?)?;
    let strata = handshakes(ground);
    let units = |it: &Stratum| it.named_refused + it.other_refused + it.other_accepted;
    let working: HashSet<u32> = strata
        .iter()
        .filter(|(_, stratum)| stratum.other_accepted > 0)
        .map(|((stack, _), _)| *stack)
        .collect();
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
        named,
        shadow: None,
        shares_keys: false,
    })
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

/// Handshakes with an offer that broke, and those without one, by client stack and address.
fn handshakes(ground: &ServiceContext<'_>) -> HashMap<(u32, u32), Stratum> {
    let mut strata: HashMap<(u32, u32), Stratum> = HashMap::new();
    for row in ground.table.rows_at(&ground.part.rows).filter(|row| row.hello) {
        let address = if ground.by_address { row.address } else { 0 };
        let mut entries = ground.table.of_row(row);
        let offers = entries.any(|(_, entry)| entry.decision == Decision::Broken);
        let stratum = strata.entry((row.stack, address)).or_default();
        *match (offers, row.silent, row.broken, row.completed) {
            (true, ..) => &mut stratum.named_refused,
            (false, true, true, _) => &mut stratum.other_refused,
            (false, true, false, true) => &mut stratum.other_accepted,
            _ => continue,
        } += 1;
    }
    strata
}

/// Whether handshakes of the same stack without an offer fail as well from the first broken offer on, and none works.
fn fails_without(ground: &ServiceContext<'_>, first: &Row) -> bool {
    let rows = ground.table.rows_at(&ground.part.rows);
    let alike = rows.filter(|row| row.hello && row.silent && row.stack == first.stack);
    let (mut broken, mut works) = (false, false);
    for row in alike.filter(|row| row.time >= first.time) {
        broken |= row.broken;
        works |= row.completed;
    }
    broken && !works
}
