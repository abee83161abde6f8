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

#[cfg(test)]
mod tests {
    use super::super::tests::{Sketch, place};
    use super::*;
    use crate::session::tests::endpoint;
    use crate::session::{Service, TransportKind};

    /// A ticket of key 5 is accepted at one server; what of another offer, at this server, is concluded.
    fn concluded(service: u32, change: fn(&mut OfferedCredential)) -> (bool, bool) {
        let mut sketch = Sketch::default();
        sketch.offer(10, 1, (1, 2), true, |_, entry| entry.key = 5);
        let number = sketch.offer(20, 1, (2, 2), false, |row, entry| {
            (entry.key, row.service) = (5, service);
            change(entry);
        });
        let (mut table, _) = sketch.done();
        let service = |server| Service {
            server: endpoint(server),
            name: None,
            transport: TransportKind::Tcp,
        };
        table.services = vec![service(2), service(9)];
        settle(&mut table);
        table
            .entry(number)
            .map(|it| (it.foreign, it.foreign_concluded))
            .unwrap_or_default()
    }

    #[test]
    fn a_ticket_is_of_the_servers_that_open_others_of_its_key() {
        assert_eq!(concluded(1, |_| ()), (true, true));
        assert_eq!(concluded(0, |_| ()), (false, false));
        assert_eq!(concluded(0, |entry| entry.foreign = true), (false, false));
        // Where nobody opens any, nothing is concluded.
        assert_eq!(concluded(1, |entry| entry.key = 6), (false, false));
        assert_eq!(concluded(1, |entry| entry.key = 0), (false, false));
        assert_eq!(
            concluded(1, |entry| entry.decision = Decision::Accepted),
            (false, false)
        );
    }

    #[test]
    fn what_was_read_of_its_issue_stays() {
        assert_eq!(concluded(1, |entry| entry.issue = place(0)), (false, false));
        assert_eq!(
            concluded(1, |entry| (entry.issue, entry.concluded) = (place(0), true)),
            (true, true)
        );
        assert_eq!(
            concluded(0, |entry| (entry.issue, entry.foreign) = (place(0), true)),
            (true, false)
        );
    }
}
