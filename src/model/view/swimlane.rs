//! The way of one client's credentials between the backends of a service: issued here, offered there, refused.

use std::net::IpAddr;

use hashbrown::HashMap;

use crate::model::{Report, credential_id, service_of};
use reshake_core::diagnosis::offer_outcome;
use reshake_core::session::{Connection, ConnectionId, CredentialId, Outcome, Service};

use super::{FrameLabel, FrameNames, offset};

/// The picture as data: lanes, and marks from left to right in the order of time.
#[derive(Debug, Clone)]
pub struct Swimlane {
    /// Whose.
    pub client: IpAddr,
    /// What the lanes are, from top to bottom.
    pub lanes: Vec<String>,
    /// Whether the lanes are told apart by anything.
    pub told_apart: bool,
    /// What happened.
    pub marks: Vec<Mark>,
    /// Ids of the credentials, in the order of their letters.
    pub credentials: Vec<String>,
    /// Connections that are not shown because there are too many.
    pub more: usize,
}

/// What a mark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkKind {
    /// A full handshake that issued nothing that can be seen.
    Full,
    /// The server issued the credential.
    Issued,
    /// It was offered and accepted.
    Accepted,
    /// It was offered and declined.
    Declined,
    /// It was offered and the handshake failed.
    Failed,
    /// It was offered and the answer is not visible.
    Unclear,
}

impl MarkKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Full,
        Self::Issued,
        Self::Accepted,
        Self::Declined,
        Self::Failed,
        Self::Unclear,
    ];

    /// What it says, in words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Full => "full handshake",
            Self::Issued => "issued",
            Self::Accepted => "accepted",
            Self::Declined => "declined",
            Self::Failed => "failed",
            Self::Unclear => "unclear",
        }
    }
}

/// One mark.
#[derive(Debug, Clone)]
pub struct Mark {
    /// Index of its lane.
    pub lane: usize,
    /// The lane where the credential was before; only for an offer.
    pub from: Option<usize>,
    /// What happened.
    pub kind: MarkKind,
    /// Index of the credential.
    pub credential: Option<usize>,
    /// The frame that shows it.
    pub frame: FrameLabel,
    /// Nanoseconds from the first packet.
    pub offset: i64,
    /// On which connection.
    pub connection: ConnectionId,
}

/// Connections that are shown.
const MAX_CONNECTIONS: usize = 400;

impl Swimlane {
    /// Of one client at one service; `None` when `go_on` said no.
    #[must_use]
    pub fn of(report: &Report<'_>, service: &Service, client: IpAddr, go_on: &dyn Fn() -> bool) -> Option<Self> {
        let mut connections: Vec<(ConnectionId, &Connection)> = Vec::new();
        for (number, id, connection) in report.connections() {
            if number.is_multiple_of(super::table::STRIDE) && !go_on() {
                return None;
            }
            let is_his = connection.server == service.server && connection.client_address() == client;
            if is_his && service_of(connection) == *service {
                connections.push((id, connection));
            }
        }
        connections.sort_by_key(|(id, connection)| (connection.hello_time(), *id));
        let more = connections.len().saturating_sub(MAX_CONNECTIONS);
        connections.truncate(MAX_CONNECTIONS);
        let lanes = Lanes::of(report, &connections);
        let mut picture = Self {
            client,
            lanes: lanes.names.clone(),
            told_apart: lanes.told_apart,
            marks: Vec::new(),
            credentials: Vec::new(),
            more,
        };
        let mut letters = Letters::default();
        let frames = FrameNames::of(report);
        for (id, connection) in connections {
            let lane = lanes.of_connection(report, id);
            add(report, &frames, (id, connection), lane, &mut letters, &mut picture);
        }
        picture.credentials = letters.ids;
        Some(picture)
    }
}

/// The letter of a credential by its index: A to Z, then numbers.
#[must_use]
pub fn letter(credential: usize) -> String {
    u8::try_from(credential)
        .ok()
        .filter(|index| *index < 26)
        .map_or_else(|| credential.to_string(), |index| char::from(b'A' + index).to_string())
}

/// Credentials get their letters in the order in which they are met, and are followed from lane to lane.
#[derive(Default)]
struct Letters {
    index: HashMap<CredentialId, usize>,
    ids: Vec<String>,
    lanes: HashMap<CredentialId, usize>,
}

impl Letters {
    fn of(&mut self, report: &Report<'_>, id: CredentialId) -> usize {
        *self.index.entry(id).or_insert_with(|| {
            let name = report
                .engine
                .credential_store()
                .get(id)
                .map_or_else(String::new, credential_id);
            self.ids.push(name);
            self.ids.len() - 1
        })
    }
}

fn add(
    report: &Report<'_>,
    frames: &FrameNames,
    (id, connection): (ConnectionId, &Connection),
    lane: usize,
    letters: &mut Letters,
    picture: &mut Swimlane,
) {
    let hello = connection.hello.yes().map(|hello| hello.at.frame);
    let shown = hello.unwrap_or_else(|| connection.transport.first());
    let mark = |kind, from, credential, frame, time| Mark {
        lane,
        from,
        kind,
        credential,
        frame: frames.label(frame),
        offset: offset(report, time),
        connection: id,
    };
    let mut anything = false;
    for offer in &connection.offers {
        let kind = match offer_outcome(connection, offer.credential) {
            Outcome::Resumed(_) => MarkKind::Accepted,
            Outcome::Declined | Outcome::NotOffered | Outcome::ExternalPsk => MarkKind::Declined,
            Outcome::Failed => MarkKind::Failed,
            Outcome::Unclear(_) => MarkKind::Unclear,
        };
        let letter = letters.of(report, offer.credential);
        let from = letters.lanes.get(&offer.credential).copied();
        picture
            .marks
            .push(mark(kind, from, Some(letter), shown, connection.hello_time()));
        if kind == MarkKind::Accepted {
            letters.lanes.insert(offer.credential, lane);
        }
        anything = true;
    }
    for issued in &connection.issued {
        let issue = report
            .engine
            .credential_store()
            .get(*issued)
            .and_then(|credential| credential.issued);
        let Some(issue) = issue.filter(|issue| issue.connection == id) else {
            continue;
        };
        let letter = letters.of(report, *issued);
        letters.lanes.insert(*issued, lane);
        let at = issue.at;
        picture
            .marks
            .push(mark(MarkKind::Issued, None, Some(letter), at.frame, at.time));
        anything = true;
    }
    if !anything {
        let kind = match connection.outcome {
            Outcome::Failed => MarkKind::Failed,
            Outcome::Unclear(_) | Outcome::Resumed(_) => MarkKind::Unclear,
            Outcome::Declined | Outcome::NotOffered | Outcome::ExternalPsk => MarkKind::Full,
        };
        picture
            .marks
            .push(mark(kind, None, None, shown, connection.hello_time()));
    }
}

/// What stands at the left: machines where they are told apart, else cache domains, else the one address.
struct Lanes {
    names: Vec<String>,
    numbers: Vec<Option<u16>>,
    by_machine: bool,
    told_apart: bool,
}

impl Lanes {
    fn of(report: &Report<'_>, connections: &[(ConnectionId, &Connection)]) -> Self {
        let numbers = |number: &dyn Fn(ConnectionId) -> Option<u16>| {
            let mut numbers: Vec<Option<u16>> = connections.iter().map(|(id, _)| number(*id)).collect();
            numbers.sort_by_key(|number| number.unwrap_or(u16::MAX));
            numbers.dedup();
            numbers
        };
        let machines = numbers(&|id| report.analyses.backend(id));
        let domains = numbers(&|id| report.analyses.domain(id));
        let by_machine = machines.iter().any(Option::is_some) || domains.iter().all(Option::is_none);
        let numbers = if by_machine { machines } else { domains };
        let told_apart = numbers.iter().any(Option::is_some);
        let names = numbers
            .iter()
            .map(|number| match number {
                Some(number) if by_machine => format!("backend-{number}"),
                Some(number) => format!("domain-{number}"),
                None if told_apart => "not told".to_owned(),
                None => "server".to_owned(),
            })
            .collect();
        Self {
            names,
            numbers,
            by_machine,
            told_apart,
        }
    }

    fn of_connection(&self, report: &Report<'_>, id: ConnectionId) -> usize {
        let number = if self.by_machine {
            report.analyses.backend(id)
        } else {
            report.analyses.domain(id)
        };
        self.numbers.iter().position(|known| *known == number).unwrap_or(0)
    }
}
