//! Offers that break handshakes: the same client stack works without one.

use hashbrown::HashMap;

use super::{Claim, Kind, ServiceContext, Trace, Value};
use crate::diagnosis::attempts::Decision;
use crate::diagnosis::confidence::Stratum;

/// Units are handshakes: each with an offer against those of the same stack without one. An accepted offer of the same kind
/// refutes it.
pub(super) fn claim(ground: &ServiceContext<'_>) -> Option<Claim> {
    let table = ground.table;
    let broken: Vec<u32> = ground
        .entries()
        .filter(|(_, entry)| entry.decision == Decision::Broken)
        .map(|(number, _)| number)
        .collect();
    if broken.is_empty() {
        return None;
    }
    let mut strata: HashMap<(u32, u32), Stratum> = HashMap::new();
    for row in table.rows_at(&ground.part.rows).filter(|row| row.hello) {
        let address = if ground.by_address { row.address } else { 0 };
        let stratum = strata.entry((row.stack, address)).or_default();
        let offers = table.of_row(row).any(|(_, entry)| entry.decision == Decision::Broken);
        *match (offers, row.silent, row.broken, row.completed) {
            (true, ..) => &mut stratum.named_refused,
            (false, true, true, _) => &mut stratum.other_refused,
            (false, true, false, true) => &mut stratum.other_accepted,
            _ => continue,
        } += 1;
    }
    // An offer of the same mechanism and kind that went through shows that it is not the offer; one that went through before
    // the first that broke, that something has changed since.
    let kind_of = |number: &u32| {
        let entry = table.entry(*number)?;
        let row = table.row_of(entry)?;
        Some(((row.stack, entry.mechanism, entry.other_name, entry.foreign), row.time))
    };
    let accepted = ground
        .judged
        .iter()
        .filter(|number| table.entry(**number).is_some_and(|entry| !entry.failed()));
    let mut went_through = HashMap::new();
    for (kind, time) in accepted.filter_map(kind_of) {
        let last = went_through.entry(kind).or_insert(time);
        *last = time.max(*last);
    }
    let fitted = !went_through.is_empty();
    let named: Vec<u32> = broken
        .into_iter()
        .filter(|number| {
            let kind = kind_of(number);
            kind.is_some_and(|(kind, time)| went_through.get(&kind).is_none_or(|last| *last < time))
        })
        .collect();
    let works = |number: &u32| {
        let row = table.entry(*number).and_then(|entry| table.row_of(entry));
        row.is_some_and(|row| {
            strata
                .iter()
                .any(|((stack, _), stratum)| *stack == row.stack && stratum.other_accepted > 0)
        })
    };
    let shown = named.iter().any(works);
    let cuts = strata
        .values()
        .map(|it| it.named_refused + it.other_refused + it.other_accepted)
        .sum();
    (!named.is_empty()).then(|| Claim {
        kind: Kind::OfferBreaks,
        named,
        proven: Vec::new(),
        stands: true,
        strata: strata.into_values().collect(),
        cuts: if fitted { cuts } else { 1 },
        concluded: false,
        trace: shown
            .then(|| Trace::of("handshakes of the same client without an offer work"))
            .flatten(),
        value: Value::Nothing,
        moments: Vec::new(),
        one_machine: false,
        plausible: true,
    })
}
