//! Which tickets are of another server, where their issue was not read: told by the key that opens them.
//!
//! A ticket of TLS 1.3 names its key, and whoever accepts one of that key has it. What acceptance tells is a label and no
//! test: it is marked as concluded, and proves nothing by itself.

use hashbrown::{HashMap, HashSet};

use super::{Attempts, Decision, OfferedCredential, RowNumber};
use crate::net::Endpoint;

/// Marks the entries that are of another server address or port.
pub(super) fn settle(table: &mut Attempts) {
    let mut homes: HashMap<u32, HashSet<Endpoint>> = HashMap::new();
    for entry in &table.entries {
        if entry.key != 0
            && entry.decision == Decision::Accepted
            && let Some(server) = server_of(table, entry.row)
        {
            homes.entry(entry.key).or_default().insert(server);
        }
    }
    let elsewhere: Vec<Option<bool>> = table
        .entries
        .iter()
        .map(|entry| {
            let here = server_of(table, entry.row)?;
            // What was read needs no conclusion.
            if !entry.concluded && entry.issue != RowNumber::NONE || entry.decision == Decision::Accepted {
                return None;
            }
            let homes = homes.get(&entry.key).filter(|_| entry.key != 0)?;
            Some(!homes.contains(&here))
        })
        .collect();
    for (entry, elsewhere) in table.entries.iter_mut().zip(elsewhere) {
        if let Some(elsewhere) = elsewhere {
            conclude(entry, elsewhere);
        }
    }
}

fn conclude(entry: &mut OfferedCredential, elsewhere: bool) {
    entry.foreign = elsewhere;
    entry.foreign_concluded = elsewhere;
}

fn server_of(table: &Attempts, row: u32) -> Option<Endpoint> {
    let row = table.rows.get(row as usize)?;
    Some(table.services.get(row.service as usize)?.server)
}
