//! What became of the tickets under each key of a service, over time.

use hashbrown::HashMap;

use crate::net::Timestamp;
use crate::session::{Connection, ConnectionId};
use crate::store::CredentialStore;

use super::{KeyName, KeyNames};
use crate::diagnosis::attempts::{Attempts, Decision, OfferedCredential, UNKNOWN};

/// What became of the tickets under one key at one service.
#[derive(Debug, Clone)]
pub struct KeyTimeline {
    /// The key's name.
    pub name: KeyName,
    /// Tickets issued in clear: first and last.
    pub issued: Option<(Timestamp, Timestamp)>,
    /// When the key was seen at work, issuing or accepting: first and last.
    pub alive: Option<(Timestamp, Timestamp)>,
    /// Tickets issued in clear.
    pub issues: u64,
    /// Offers accepted.
    pub accepted: u64,
    /// Offers declined.
    pub declined: u64,
    /// The longest lifetime that a ticket was issued with, in seconds (RFC 5077 §3.3, RFC 8446 §4.6.1).
    pub advertised: Option<u32>,
    /// Age in nanoseconds of the oldest ticket that was accepted.
    pub oldest_accepted: Option<i64>,
    /// Age in nanoseconds of the youngest ticket that was declined.
    pub youngest_declined: Option<i64>,
}

impl KeyTimeline {
    /// Of a key of which nothing was seen yet.
    #[must_use]
    pub const fn of(name: KeyName) -> Self {
        Self {
            name,
            issued: None,
            alive: None,
            issues: 0,
            accepted: 0,
            declined: 0,
            advertised: None,
            oldest_accepted: None,
            youngest_declined: None,
        }
    }

    fn note_issue(&mut self, time: Timestamp, lifetime: Option<u32>) {
        self.issues += 1;
        widen(&mut self.issued, time);
        widen(&mut self.alive, time);
        self.advertised = self.advertised.max(lifetime);
    }

    fn note_use(&mut self, time: Timestamp, entry: &OfferedCredential) {
        let age = (entry.age != UNKNOWN && !entry.concluded).then_some(entry.age);
        match entry.decision {
            Decision::Accepted => {
                self.accepted += 1;
                widen(&mut self.alive, time);
                self.oldest_accepted = self.oldest_accepted.max(age);
            }
            Decision::Refused => {
                self.declined += 1;
                self.youngest_declined = [self.youngest_declined, age].into_iter().flatten().min();
            }
            Decision::Broken | Decision::NotJudged => {}
        }
    }
}

/// The timelines of all keys of a service, by when they were first at work.
pub(super) fn of_service(
    members: &[(ConnectionId, &Connection)],
    attempts: &Attempts,
    names: &KeyNames,
    credential_store: &CredentialStore,
) -> Vec<KeyTimeline> {
    let mut timelines: HashMap<KeyName, KeyTimeline> = HashMap::new();
    for (_, connection) in members {
        let time = connection.hello_time();
        for id in &connection.issued {
            let Some(name) = names.of(*id) else { continue };
            let lifetime = credential_store.get(*id).and_then(|credential| credential.lifetime);
            let timeline = timelines.entry(name).or_insert_with(|| KeyTimeline::of(name));
            timeline.note_issue(time, lifetime);
        }
    }
    for (id, _) in members {
        let Some(row) = attempts.of_connection(*id) else {
            continue;
        };
        for (_, entry) in attempts.of_row(row) {
            if let Some(name) = names.of(entry.credential) {
                let timeline = timelines.entry(name).or_insert_with(|| KeyTimeline::of(name));
                timeline.note_use(row.time, entry);
            }
        }
    }
    let mut timelines: Vec<KeyTimeline> = timelines.into_values().collect();
    timelines.sort_by_key(|timeline| (timeline.alive.map(|(first, _)| first), timeline.name));
    timelines
}

fn widen(span: &mut Option<(Timestamp, Timestamp)>, time: Timestamp) {
    *span = Some(span.map_or((time, time), |(first, last)| (first.min(time), last.max(time))));
}
