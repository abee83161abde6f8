//! The way of one client's credentials between the backends of a service: issued here, offered there, refused.

use std::net::IpAddr;

use hashbrown::HashMap;

use crate::model::{Report, credential_id, service_of};
use reshake_core::diagnosis::OfferOutcome;
use reshake_core::diagnosis::service::KeyName;
use reshake_core::session::{Connection, ConnectionId, CredentialId, Outcome, Service};

use super::service::key_text;
use super::{FrameLabel, FrameNames, offset};

/// The picture as data: lanes, and marks from left to right in the order of time.
#[derive(Debug, Clone)]
pub struct Swimlane {
    /// Whose.
    pub client: IpAddr,
    /// What the lanes are, from top to bottom.
    pub lanes: Vec<String>,
    /// What tells the lanes apart.
    pub told_by: LaneKind,
    /// What happened.
    pub marks: Vec<Mark>,
    /// Ids of the credentials, in the order of their letters.
    pub credentials: Vec<String>,
    /// Connections that are not shown because there are too many.
    pub more: usize,
}

/// What tells lanes apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaneKind {
    /// Marks on packets.
    Machine,
    /// Who honours whose sessions.
    Domain,
    /// The ticket key that was at work; several machines may have it, and one machine several after one another.
    TicketKey,
    /// Nothing: there is one lane.
    Nothing,
}

impl LaneKind {
    /// What the picture is of, behind "Sessions of a client".
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Machine => " between backends",
            Self::Domain => " between caches, as who honours whose sessions tells them apart",
            Self::TicketKey => " between ticket keys; nothing tells backends apart",
            Self::Nothing => "; nothing tells backends apart",
        }
    }
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
    /// It was offered, and the answer is not visible or was for another of the same hello.
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
    /// How many connections in a row did the same; the mark stands for all of them.
    pub times: usize,
}

/// Connections that are shown.
const MAX_CONNECTIONS: usize = 400;
/// Connections in a row that are worth folding.
const MIN_RUN: usize = 4;
/// Ticket keys that have lanes of their own: where keys change by the hour, their table says more than a picture.
const MAX_KEYS: usize = 8;

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
            told_by: lanes.told_by,
            marks: Vec::new(),
            credentials: Vec::new(),
            more,
        };
        let mut letters = Letters::default();
        let frames = FrameNames::of(report);
        for (id, connection) in connections {
            let lane = lanes.of_connection(id);
            add(report, &frames, (id, connection), lane, &mut letters, &mut picture);
        }
        picture.credentials = letters.ids;
        Some(picture)
    }

    /// The same with runs folded: of connections in a row that did the same on the same lane, the first stands for all but
    /// the last.
    #[must_use]
    pub fn folded(mut self) -> Self {
        let marks = std::mem::take(&mut self.marks);
        let connections: Vec<&[Mark]> = marks.chunk_by(|a, b| a.connection == b.connection).collect();
        for run in connections.chunk_by(|a, b| alike(a, b)) {
            let (Some((first, middle)), Some(last)) = (run.split_first(), run.last()) else {
                continue;
            };
            if run.len() < MIN_RUN {
                self.marks.extend(run.iter().copied().flatten().cloned());
                continue;
            }
            self.marks.extend(first.iter().cloned().map(|mark| Mark {
                times: middle.len(),
                ..mark
            }));
            self.marks.extend_from_slice(last);
        }
        self
    }
}

/// Whether two connections did the same on the same lanes, with whatever credentials.
fn alike(a: &[Mark], b: &[Mark]) -> bool {
    let what = |mark: &Mark| (mark.lane, mark.from, mark.kind);
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| what(a) == what(b))
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
        times: 1,
    };
    let mut anything = false;
    for offer in &connection.offers {
        let kind = match OfferOutcome::of(connection, offer.credential) {
            OfferOutcome::Accepted => MarkKind::Accepted,
            OfferOutcome::Declined => MarkKind::Declined,
            OfferOutcome::Failed => MarkKind::Failed,
            OfferOutcome::PassedOver | OfferOutcome::Unclear(_) => MarkKind::Unclear,
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

/// What stands at the left: machines where they are told apart, else cache domains, else ticket keys, else the one address.
struct Lanes {
    names: Vec<String>,
    of: HashMap<ConnectionId, usize>,
    told_by: LaneKind,
}

impl Lanes {
    fn of(report: &Report<'_>, connections: &[(ConnectionId, &Connection)]) -> Self {
        let analyses = &report.analyses;
        let machine = |(id, _): &Member<'_>| analyses.backend(*id);
        let domain = |(id, _): &Member<'_>| analyses.domain(*id);
        let numbered = |told_by, name, number: &dyn Fn(&Member<'_>) -> Option<u16>| {
            let lanes = Self::by(connections, told_by, number, |number| format!("{name}-{number}"));
            (!lanes.of.is_empty()).then_some(lanes)
        };
        let by_key = || {
            // In the order in which they came into use.
            let keys: Vec<Option<KeyName>> = connections.iter().map(|member| key(report, member)).collect();
            let mut known: Vec<KeyName> = Vec::new();
            for key in keys.iter().flatten() {
                if !known.contains(key) {
                    known.push(*key);
                }
            }
            let place = |member: &Member<'_>| known.iter().position(|known| key(report, member) == Some(*known));
            let name = |place| known.get(place).map_or_else(String::new, key_text);
            let is_few = (2..=MAX_KEYS).contains(&known.len());
            is_few.then(|| Self::by(connections, LaneKind::TicketKey, &place, name))
        };
        numbered(LaneKind::Machine, "backend", &machine)
            .or_else(|| numbered(LaneKind::Domain, "domain", &domain))
            .or_else(by_key)
            .unwrap_or_else(|| Self {
                names: vec!["server".to_owned()],
                of: HashMap::new(),
                told_by: LaneKind::Nothing,
            })
    }

    /// Lanes by what each connection is put down to; those that are put down to nothing have the last one.
    fn by<T: Copy + Ord>(
        connections: &[Member<'_>],
        told_by: LaneKind,
        what: &dyn Fn(&Member<'_>) -> Option<T>,
        name: impl Fn(T) -> String,
    ) -> Self {
        let mut there: Vec<T> = connections.iter().filter_map(what).collect();
        there.sort_unstable();
        there.dedup();
        let place = |member: &Member<'_>| Some((member.0, there.binary_search(&what(member)?).ok()?));
        let of: HashMap<ConnectionId, usize> = connections.iter().filter_map(place).collect();
        let mut names: Vec<String> = there.iter().map(|it| name(*it)).collect();
        if of.len() < connections.len() {
            names.push("not told".to_owned());
        }
        Self { names, of, told_by }
    }

    fn of_connection(&self, id: ConnectionId) -> usize {
        let last = self.names.len().saturating_sub(1);
        self.of.get(&id).copied().unwrap_or(last)
    }
}

type Member<'a> = (ConnectionId, &'a Connection);

/// The key that was at work on a connection: a ticket was issued under it, or one of it was accepted.
fn key(report: &Report<'_>, (_, connection): &Member<'_>) -> Option<KeyName> {
    let accepted = || {
        let mut offers = connection.offers.iter().map(|offer| offer.credential);
        let accepted = |id: &CredentialId| OfferOutcome::of(connection, *id) == OfferOutcome::Accepted;
        report.analyses.key_name(offers.find(accepted)?)
    };
    report.analyses.issued_under(connection).or_else(accepted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(connection: u32, kind: MarkKind, lane: usize) -> Mark {
        Mark {
            lane,
            from: None,
            kind,
            credential: None,
            frame: FrameLabel {
                text: connection.to_string(),
                frame: u64::from(connection),
            },
            offset: 0,
            connection: ConnectionId(connection),
            times: 1,
        }
    }

    #[test]
    fn a_run_is_told_by_its_first_and_its_last() {
        let mut marks = vec![mark(0, MarkKind::Full, 0)];
        for connection in 1..=6 {
            marks.push(mark(connection, MarkKind::Accepted, 0));
            marks.push(mark(connection, MarkKind::Issued, 0));
        }
        marks.extend([7, 8, 9].map(|connection| mark(connection, MarkKind::Declined, 1)));
        let picture = Swimlane {
            client: IpAddr::from([192, 0, 2, 1]),
            lanes: vec![String::new(); 2],
            told_by: LaneKind::Machine,
            marks,
            credentials: Vec::new(),
            more: 0,
        };
        let told: Vec<(u64, MarkKind, usize)> = picture
            .folded()
            .marks
            .iter()
            .map(|mark| (mark.frame.frame, mark.kind, mark.times))
            .collect();
        assert_eq!(
            told,
            [
                (0, MarkKind::Full, 1),
                (1, MarkKind::Accepted, 5),
                (1, MarkKind::Issued, 5),
                (6, MarkKind::Accepted, 1),
                (6, MarkKind::Issued, 1),
                (7, MarkKind::Declined, 1),
                (8, MarkKind::Declined, 1),
                (9, MarkKind::Declined, 1),
            ]
        );
    }
}
