//! How long tickets live and how long their keys are in use, as far as the capture shows it.

use hashbrown::HashMap;

use super::proof::Proofs;
use super::{Ground, Measured, Member, nothing};
use crate::wording::counted;
use reshake_core::diagnosis::Evidence;
use reshake_core::diagnosis::service::KeyName;
use reshake_core::net::span::SECOND;
use reshake_core::net::{At, Timestamp, hex};
use reshake_core::session::{Completed, Connection, ConnectionId, Credential, Mechanism, TicketsInferred};

/// Lifetimes of tickets: those they were issued with, and the ages at which they were still accepted.
#[derive(Debug, Default)]
pub(super) struct Lifetimes {
    seen: u64,
    longest: i64,
    broken: u64,
    /// Connections that may have issued tickets which cannot be read.
    hidden: u64,
}

impl Lifetimes {
    pub(super) fn see(&mut self, member: &Member<'_>, ground: &Ground<'_>, most: i64, proofs: &mut Proofs) {
        let connection = member.connection;
        if may_hide_tickets(connection) {
            self.hidden += 1;
        }
        let mut evidence = Vec::new();
        for credential in connection
            .issued
            .iter()
            .filter_map(|id| ground.credential_store.get(*id))
        {
            evidence.extend(self.issued(credential, member.id, most));
        }
        let accepted = connection.accepted.and_then(|id| ground.credential_store.get(id));
        if let Some((credential, hello)) = accepted.zip(connection.hello.yes()) {
            evidence.extend(self.accepted(credential, hello.at, most));
        }
        if !evidence.is_empty() {
            self.broken += 1;
            proofs.frames(member.id, String::new(), evidence);
        }
    }

    fn issued(&mut self, credential: &Credential, id: ConnectionId, most: i64) -> Option<Evidence> {
        let issue = credential.issued.filter(|issue| issue.connection == id)?;
        if credential.mechanism == Mechanism::SessionId {
            return None;
        }
        self.seen += 1;
        let frame = issue.at.frame;
        let Some(seconds) = credential.lifetime else {
            return Some(Evidence::new(frame, "the ticket states no lifetime"));
        };
        let nanos = i64::from(seconds) * SECOND;
        self.longest = self.longest.max(nanos);
        (nanos > most).then(|| Evidence::new(frame, format!("the ticket is to live {seconds} s")))
    }

    fn accepted(&mut self, credential: &Credential, hello: At, most: i64) -> Option<Evidence> {
        let issue = credential.issued?;
        if credential.mechanism == Mechanism::SessionId {
            return None;
        }
        let age = hello.time.since(issue.at.time);
        self.longest = self.longest.max(age);
        (age > most).then(|| {
            Evidence::new(
                hello.frame,
                format!("a ticket is accepted that is {} s old", age / SECOND),
            )
        })
    }

    pub(super) fn weigh(&self) -> (bool, Measured) {
        match self {
            Self { broken: 1.., .. } => (false, Measured::Longest(self.longest)),
            Self { hidden: 1.., .. } => {
                let connections = counted(self.hidden, "connection", "connections");
                let why =
                    format!("{connections} may have issued tickets that are not visible, or only with keys (--keylog)");
                (false, Measured::Nothing(why))
            }
            Self { seen: 0, .. } => nothing("no ticket was issued"),
            _ => (true, Measured::Longest(self.longest)),
        }
    }
}

/// Whether a connection may have issued tickets of TLS 1.3 that nobody read.
fn may_hide_tickets(connection: &Connection) -> bool {
    let read = matches!(
        connection.tickets_inferred,
        TicketsInferred::None | TicketsInferred::Read { complete: true, .. }
    );
    connection.is_tls13() && connection.completed != Completed::No && !read
}

/// First and last time that something happened, each with its frame and connection.
#[derive(Debug, Clone, Copy)]
struct FirstAndLast {
    first: (At, ConnectionId),
    last: (At, ConnectionId),
}

impl FirstAndLast {
    fn widen(span: &mut Option<Self>, at: At, id: ConnectionId) {
        let one = Self {
            first: (at, id),
            last: (at, id),
        };
        let known = span.get_or_insert(one);
        if at.time < known.first.0.time {
            known.first = (at, id);
        }
        if at.time > known.last.0.time {
            known.last = (at, id);
        }
    }

    fn nanos(&self) -> i64 {
        self.last.0.time.since(self.first.0.time)
    }
}

/// When each ticket key was at work.
#[derive(Debug, Default)]
pub(super) struct KeyAges {
    /// Issuing in clear, and accepting.
    keys: HashMap<KeyName, [Option<FirstAndLast>; 2]>,
    /// First and last connection.
    watched: Option<(Timestamp, Timestamp)>,
}

impl KeyAges {
    pub(super) fn see(&mut self, member: &Member<'_>, ground: &Ground<'_>) {
        let connection = member.connection;
        let time = connection.hello_time();
        let (first, last) = self.watched.unwrap_or((time, time));
        self.watched = Some((first.min(time), last.max(time)));
        for id in &connection.issued {
            let issue = ground
                .credential_store
                .get(*id)
                .and_then(|credential| credential.issued);
            let issue = issue.filter(|issue| issue.connection == member.id);
            if let Some((name, issue)) = ground.analyses.key_name(*id).zip(issue) {
                let [issued, _] = self.keys.entry(name).or_default();
                FirstAndLast::widen(issued, issue.at, member.id);
            }
        }
        let accepted = connection.accepted.and_then(|id| ground.analyses.key_name(id));
        if let Some((name, answer)) = accepted.zip(connection.answer.yes()) {
            let [_, accepting] = self.keys.entry(name).or_default();
            FirstAndLast::widen(accepting, answer.at, member.id);
        }
    }

    /// A key that only opens tickets still is no old key: where issuing is seen, issuing counts.
    pub(super) fn weigh(&self, most: i64, proofs: &mut Proofs) -> (bool, Measured) {
        let mut ages: Vec<(i64, KeyName, FirstAndLast)> = self
            .keys
            .iter()
            .filter_map(|(name, [issued, accepting])| Some((*name, issued.or(*accepting)?)))
            .map(|(name, span)| (span.nanos(), name, span))
            .collect();
        ages.sort_by_key(|(age, name, _)| (std::cmp::Reverse(*age), *name));
        let Some((longest, ..)) = ages.first() else {
            return nothing("no ticket key is visible");
        };
        for (_, name, span) in ages.iter().filter(|(age, ..)| *age > most) {
            let short = hex(name.bytes().get(..4).unwrap_or_default());
            let shown = |(at, _): (At, ConnectionId), which| {
                Evidence::new(at.frame, format!("the key {short}… is at work {which} here"))
            };
            let evidence = vec![shown(span.first, "first"), shown(span.last, "last")];
            proofs.frames(span.last.1, String::new(), evidence);
        }
        let watched = self.watched.map_or(0, |(first, last)| last.since(first));
        if *longest <= most && watched <= most {
            return (
                false,
                Measured::Nothing(format!(
                    "the connections span {} ms only: too short to show a key that is older",
                    watched / 1_000_000
                )),
            );
        }
        (*longest <= most, Measured::Longest(*longest))
    }
}
