//! Statements about many connections of one service, each with its evidence and, where there is one, its contrast.

use std::collections::BTreeSet;

use hashbrown::HashMap;

use crate::net::{FrameRef, Timestamp, hex};
use crate::session::{Completed, Connection, ConnectionId, CredentialId, Kept, Ledger, Mechanism, Outcome};
use crate::verdict::{Confidence, Evidence};

use super::catalog::PatternKind;
use super::contrast::{Contrast, holm};
use super::uses::{ClosedBy, Use};
use super::{Hindsight, Insight, KeyName};

/// A statement about a service.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// Public name in kebab case.
    pub name: &'static str,
    /// How sure.
    pub confidence: Confidence,
    /// What it says of this service.
    pub summary: String,
    /// What to do.
    pub advice: &'static str,
    /// What would raise the confidence.
    pub would_settle: Option<&'static str>,
    /// Frames that show it.
    pub evidence: Vec<Evidence>,
    /// The contrast behind it.
    pub contrast: Option<Contrast>,
}

pub(super) fn advice(name: &'static str) -> &'static str {
    PatternKind::by_name(name).map_or("", |kind| kind.advice)
}

/// What a refused ticket's key name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyVerdict {
    /// The answering server does not have the key, which is in use elsewhere.
    NotShared(Confidence),
    /// The key is no longer in use.
    Changed(Confidence),
    /// The key name explains nothing.
    Nothing,
}

/// Judges a refused ticket by the timelines of its own key and of that of the answering server. Where servers are known
/// to lack each other's keys, a key that was not seen at work again need not be gone: another server answered.
#[must_use]
pub fn judge_key(used: &Use, insight: &Insight, hindsight: &Hindsight, kept: &Kept) -> KeyVerdict {
    match key_by_itself(used, insight, hindsight, kept) {
        KeyVerdict::Changed(Confidence::Possible) if insight.keys_apart => KeyVerdict::NotShared(Confidence::Possible),
        // That a key was not seen again means little where much was not seen.
        KeyVerdict::Changed(_) if insight.lossy => KeyVerdict::Changed(Confidence::Possible),
        verdict => verdict,
    }
}

/// Whether several keys are at work, and a ticket was refused while its own was: before and after, or for certain.
pub(super) fn keys_apart(insight: &Insight, hindsight: &Hindsight, kept: &Kept) -> bool {
    let at_work = insight.keys.iter().filter(|timeline| timeline.alive.is_some());
    if at_work.take(2).count() < 2 {
        return false;
    }
    let in_between = |used: &Use| {
        let key = hindsight.key_name(used.credential).and_then(|name| insight.key(name));
        let alive = key.and_then(|timeline| timeline.alive);
        alive.is_some_and(|(first, last)| first < used.time && used.time < last)
    };
    let mut refused = insight.uses.iter().filter(|used| !used.accepted);
    refused.any(|used| match key_by_itself(used, insight, hindsight, kept) {
        KeyVerdict::NotShared(confidence) => confidence > Confidence::Possible || in_between(used),
        KeyVerdict::Changed(_) | KeyVerdict::Nothing => false,
    })
}

fn key_by_itself(used: &Use, insight: &Insight, hindsight: &Hindsight, kept: &Kept) -> KeyVerdict {
    let Some(name) = hindsight.key_name(used.credential).filter(|_| !used.accepted) else {
        return KeyVerdict::Nothing;
    };
    let Some(alive) = insight.key(name).and_then(|timeline| timeline.alive) else {
        return KeyVerdict::Nothing;
    };
    let answering = kept
        .get(used.connection)
        .and_then(|connection| hindsight.issued_under(connection));
    if answering == Some(name) {
        return KeyVerdict::Nothing;
    }
    let others: Vec<KeyName> = insight
        .keys
        .iter()
        .map(|timeline| timeline.name)
        .filter(|other| *other != name)
        .collect();
    let alive_of = |other: &KeyName| insight.key(*other).and_then(|timeline| timeline.alive);
    let side_by_side = others
        .iter()
        .filter_map(alive_of)
        .any(|(first, last)| first < alive.1 && alive.0 < last);
    let lives_on = alive.1 > used.time;
    match (answering, lives_on || side_by_side) {
        (Some(_), true) => KeyVerdict::NotShared(Confidence::Inferred),
        (None, true) if side_by_side => KeyVerdict::NotShared(Confidence::Inferred),
        (None, true) => KeyVerdict::NotShared(Confidence::Possible),
        (Some(_), false) => changed(used, &others, alive.1, &alive_of),
        // Without the answering server's own key another machine may have answered as well.
        (None, false) => KeyVerdict::Changed(Confidence::Possible),
    }
}

/// The old key was last at work before, and only another one after.
fn changed(
    used: &Use,
    others: &[KeyName],
    last: Timestamp,
    alive_of: &dyn Fn(&KeyName) -> Option<(Timestamp, Timestamp)>,
) -> KeyVerdict {
    let successors = others
        .iter()
        .filter_map(alive_of)
        .filter(|(first, _)| *first > last)
        .count();
    // One sighting of a new key may as well be a second backend: the new key must go on being used.
    let goes_on = others
        .iter()
        .filter_map(alive_of)
        .any(|(first, latest)| first > last && latest > used.time);
    match (successors, goes_on) {
        (1, true) => KeyVerdict::Changed(Confidence::Inferred),
        _ => KeyVerdict::Changed(Confidence::Possible),
    }
}

/// The contrasts of a service, corrected together.
pub(super) fn contrasts(insight: &Insight, hindsight: &Hindsight) -> Vec<(&'static str, Contrast)> {
    let backend = |used: &Use| {
        // Machines are numbered within their address.
        if used.foreign {
            return None;
        }
        let (answering, previous) = (hindsight.backend(used.connection)?, hindsight.backend(used.previous?)?);
        Some(usize::from(answering != previous))
    };
    let close = |kind: ClosedBy| {
        move |used: &Use| match used.closed {
            _ if !used.kept_here() => None,
            ClosedBy::Cleanly => Some(0),
            closed => (closed == kind).then_some(1),
        }
    };
    let mut tried: Vec<(&'static str, Contrast)> = [
        (
            "backend",
            tabulate(insight, ["same backend", "other backend"], &backend),
        ),
        (
            "client-reset",
            tabulate(
                insight,
                ["after a clean close", "after a reset by the client"],
                &close(ClosedBy::ClientReset),
            ),
        ),
        (
            "client-fin",
            tabulate(
                insight,
                ["after a clean close", "after FIN without close_notify"],
                &close(ClosedBy::ClientFin),
            ),
        ),
        (
            "server-close",
            tabulate(
                insight,
                ["after a clean close", "after an unclean close by the server"],
                &close(ClosedBy::Server),
            ),
        ),
    ]
    .into_iter()
    .filter(|(_, contrast)| contrast.counts.iter().flatten().sum::<u64>() > 0)
    .collect();
    // A table with an empty row compares nothing and is no attempt.
    let compares = |contrast: &Contrast| contrast.counts.iter().all(|row| row.iter().sum::<u64>() > 0);
    let mut corrected: Vec<Contrast> = tried
        .iter()
        .map(|(_, contrast)| contrast)
        .filter(|contrast| compares(contrast))
        .cloned()
        .collect();
    holm(&mut corrected);
    for (_, contrast) in &mut tried {
        if let Some(better) = corrected
            .iter()
            .find(|better| better.rows == contrast.rows && better.counts == contrast.counts)
        {
            contrast.p_value = better.p_value;
        }
    }
    tried
}

/// Counts credentials, not offers: a session refused five times is one piece of evidence.
fn tabulate(insight: &Insight, rows: [&'static str; 2], row: &dyn Fn(&Use) -> Option<usize>) -> Contrast {
    let mut seen: BTreeSet<(CredentialId, usize, bool)> = BTreeSet::new();
    let mut counts = [[0; 2]; 2];
    for used in &insight.uses {
        let Some(index) = row(used) else { continue };
        if seen.insert((used.credential, index, used.accepted))
            && let Some(cell) = counts
                .get_mut(index)
                .and_then(|row| row.get_mut(usize::from(!used.accepted)))
        {
            *cell += 1;
        }
    }
    Contrast::new(rows, counts)
}

/// A stateful credential that was refused and accepted later: a cache cannot learn a session again, so another one
/// refused it. Gives for each refused use the place of the first one that is accepted later.
pub(super) fn refused_then_accepted(uses: &[Use], kept: &Kept) -> HashMap<(ConnectionId, CredentialId), usize> {
    let like = |a: &Use, b: &Use| {
        let (Some(a), Some(b)) = (kept.get(a.connection), kept.get(b.connection)) else {
            return false;
        };
        let stack = |connection: &Connection| connection.hello.yes().map(|hello| hello.stack);
        a.version() == b.version() && stack(a) == stack(b)
    };
    // From the last use back, so that the next acceptance of each credential is at hand.
    let mut next: HashMap<CredentialId, (usize, &Use)> = HashMap::new();
    let mut found = HashMap::new();
    for (place, used) in uses.iter().enumerate().rev().filter(|(_, used)| used.stateful) {
        if used.accepted {
            next.insert(used.credential, (place, used));
        } else if let Some((later_place, later)) = next.get(&used.credential)
            && later.time > used.time
            && like(used, later)
        {
            found.insert((used.connection, used.credential), *later_place);
        }
    }
    found
}

/// Everything that can be said of the service.
pub(super) fn find(
    members: &[(ConnectionId, &Connection)],
    insight: &Insight,
    hindsight: &Hindsight,
    kept: &Kept,
    ledger: &Ledger,
) -> Vec<Pattern> {
    let context = Finder {
        members,
        insight,
        hindsight,
        kept,
        ledger,
    };
    let mut found = Vec::new();
    found.extend(context.keys_not_shared());
    found.extend(
        context.state_not_shared(
            found
                .iter()
                .any(|pattern: &Pattern| pattern.confidence > Confidence::Possible),
        ),
    );
    found.extend(context.key_changed());
    found.extend(context.failover());
    found.extend(context.close_invalidates());
    found.extend(context.times_out());
    found.extend(super::persistence::cache_overflows(&context));
    found.extend(context.ids_never_honoured());
    found.extend(context.nothing_issued());
    found.extend(context.client_never_offers());
    let state_apart = found.iter().any(|pattern| APART.contains(&pattern.name));
    found.extend(super::persistence::tickets_never_honoured(&context));
    let one_machine = super::persistence::keys_of_one_machine(&context);
    // Only where servers do not honour each other's sessions does it matter how clients are kept on theirs.
    if state_apart && one_machine.is_none() {
        found.extend(super::persistence::ids_pin_nobody(&context));
    }
    found.extend(one_machine);
    found
}

pub(super) struct Finder<'a> {
    pub(super) members: &'a [(ConnectionId, &'a Connection)],
    pub(super) insight: &'a Insight,
    hindsight: &'a Hindsight,
    kept: &'a Kept,
    pub(super) ledger: &'a Ledger,
}

/// Frames named at most in a pattern.
pub(super) const EVIDENCE: usize = 6;
/// Patterns that say that servers do not honour each other's sessions.
const APART: [&str; 2] = ["session-state-not-shared", "ticket-keys-not-shared"];

impl Finder<'_> {
    fn hello_frame(&self, id: ConnectionId) -> Option<FrameRef> {
        self.kept.get(id)?.hello.yes().map(|hello| hello.at.frame)
    }

    /// Whether a connection issues or accepts a ticket under a key.
    pub(super) fn issues_under(&self, connection: &Connection, name: KeyName) -> bool {
        let accepted = connection.accepted.and_then(|id| self.hindsight.key_name(id));
        accepted == Some(name) || self.hindsight.issued_under(connection) == Some(name)
    }

    pub(super) fn evidence<'u>(&self, uses: impl Iterator<Item = &'u Use>, text: &str) -> Vec<Evidence> {
        uses.filter_map(|used| self.hello_frame(used.connection))
            .take(EVIDENCE)
            .map(|frame| Evidence::new(frame, text))
            .collect()
    }

    pub(super) fn verdicts(&self) -> impl Iterator<Item = (&Use, KeyVerdict)> {
        let declined = self.insight.uses.iter().filter(|used| !used.accepted);
        declined.map(|used| (used, judge_key(used, self.insight, self.hindsight, self.kept)))
    }

    fn keys_not_shared(&self) -> Option<Pattern> {
        let found: Vec<(&Use, Confidence)> = self
            .verdicts()
            .filter_map(|(used, verdict)| match verdict {
                KeyVerdict::NotShared(confidence) => Some((used, confidence)),
                KeyVerdict::Changed(_) | KeyVerdict::Nothing => None,
            })
            .filter(|(_, confidence)| self.insight.keys_apart || *confidence > Confidence::Possible)
            .collect();
        let confidence = found.iter().map(|(_, confidence)| *confidence).max()?;
        let refused: Vec<&Use> = found
            .iter()
            .filter(|(_, each)| *each == confidence)
            .map(|(used, _)| *used)
            .collect();
        let evidence = self.evidence(refused.iter().copied(), "a ticket under a key that is in use, refused");
        let names: Vec<String> = self
            .insight
            .keys
            .iter()
            .map(|timeline| format!("{}…", hex(timeline.name.bytes().get(..4).unwrap_or_default())))
            .collect();
        (!evidence.is_empty()).then(|| Pattern {
            name: "ticket-keys-not-shared",
            confidence,
            summary: format!(
                "{} ticket keys are in use side by side ({}); {} tickets were refused although their key was in use",
                names.len(),
                names.join(", "),
                refused.len()
            ),
            advice: advice("ticket-keys-not-shared"),
            would_settle: (confidence == Confidence::Possible)
                .then_some("tickets issued in clear (TLS 1.2), which show the key of the server that refuses"),
            evidence,
            contrast: None,
        })
    }

    fn state_not_shared(&self, keys_not_shared: bool) -> Option<Pattern> {
        let contrast = self
            .insight
            .contrast("backend")
            .filter(|contrast| contrast.first_resumes_more())
            .cloned();
        let again: Vec<(&Use, &Use)> = self
            .insight
            .uses
            .iter()
            .filter_map(|used| Some((used, self.insight.accepted_later(used)?)))
            .collect();
        let (summary, evidence) = if let Some(contrast) = &contrast {
            let [[same, same_declined], [other, other_declined]] = contrast.counts;
            let other_uses = self.insight.uses.iter().filter(|used| {
                !used.accepted
                    && used.previous.and_then(|previous| self.hindsight.backend(previous))
                        != self.hindsight.backend(used.connection)
            });
            (
                format!(
                    "on the same backend {same} resumed and {same_declined} declined, on the other {other} resumed and {other_declined} declined"
                ),
                self.evidence(
                    other_uses,
                    "offered to another backend than the one that has the session, and declined",
                ),
            )
        } else if let Some((refused, accepted)) = again.first() {
            let mut evidence = self.evidence(std::iter::once(*refused), "the session is refused here");
            evidence.extend(self.evidence(std::iter::once(*accepted), "and resumed here, later: two caches answer"));
            (
                format!(
                    "{} sessions were refused and resumed again later: more than one cache answers",
                    again.len()
                ),
                evidence,
            )
        } else if keys_not_shared {
            let refused: Vec<&Use> = self.insight.uses.iter().filter(|used| !used.accepted).collect();
            (
                "the backends do not have each other's ticket keys".to_owned(),
                self.evidence(refused.into_iter(), "a ticket refused by a server with another key"),
            )
        } else {
            return self.never_came_back_to_its_own();
        };
        (!evidence.is_empty()).then_some(Pattern {
            name: "session-state-not-shared",
            confidence: Confidence::Inferred,
            summary,
            advice: advice("session-state-not-shared"),
            would_settle: None,
            evidence,
            contrast,
        })
    }

    /// Every session went to another backend than its own, and none resumed: as servers that share nothing look to
    /// clients that alternate, and as a server that keeps no sessions looks, too.
    fn never_came_back_to_its_own(&self) -> Option<Pattern> {
        const ENOUGH: u64 = 3;
        let contrast = self.insight.contrast("backend")?;
        let [[same, same_declined], [other, other_declined]] = contrast.counts;
        if same + same_declined + other > 0 || other_declined < ENOUGH {
            return None;
        }
        let refused = self
            .insight
            .uses
            .iter()
            .filter(|used| self.hindsight.other_backend(used));
        Some(Pattern {
            name: "session-state-not-shared",
            confidence: Confidence::Possible,
            summary: format!(
                "all {other_declined} sessions that were offered to another backend than their own were declined; none came back to its own"
            ),
            advice: advice("session-state-not-shared"),
            would_settle: Some("sessions that come back to the backend that has them: they must resume there"),
            evidence: self.evidence(
                refused,
                "offered to another backend than the one that has the session, and declined",
            ),
            contrast: Some(contrast.clone()),
        })
    }

    fn key_changed(&self) -> Option<Pattern> {
        let found: Vec<(&Use, Confidence)> = self
            .verdicts()
            .filter_map(|(used, verdict)| match verdict {
                KeyVerdict::Changed(confidence) => Some((used, confidence)),
                KeyVerdict::NotShared(_) | KeyVerdict::Nothing => None,
            })
            .collect();
        let mut confidence = found.iter().map(|(_, confidence)| *confidence).max()?;
        if self.insight.takeovers.iter().any(|takeover| takeover.other_machine) {
            // Another machine with its own key looks the same.
            confidence = Confidence::Possible;
        }
        let evidence = self.evidence(
            found.iter().map(|(used, _)| *used),
            "a ticket under the old key, refused",
        );
        (!evidence.is_empty()).then(|| Pattern {
            name: "ticket-key-changed",
            confidence,
            summary: format!(
                "{} tickets under a key that was not seen at work again were refused",
                found.len()
            ),
            advice: advice("ticket-key-changed"),
            would_settle: (confidence == Confidence::Possible)
                .then_some("a longer capture: the new key must go on being used and the old one must not come back"),
            evidence,
            contrast: None,
        })
    }

    fn failover(&self) -> Option<Pattern> {
        let takeovers = &self.insight.takeovers;
        let other_machine = takeovers.iter().any(|takeover| takeover.other_machine);
        let evidence: Vec<Evidence> = takeovers
            .iter()
            .take(EVIDENCE)
            .map(|takeover| {
                Evidence::new(
                    takeover.at.frame,
                    if takeover.other_machine {
                        "another machine answers for the address"
                    } else {
                        "a host that does not know the connection resets it"
                    },
                )
            })
            .collect();
        (!evidence.is_empty()).then(|| Pattern {
            name: "failover",
            confidence: if other_machine {
                Confidence::Inferred
            } else {
                Confidence::Possible
            },
            summary: if other_machine {
                "the address moved to another machine".to_owned()
            } else {
                "open connections were reset by a host that does not know them: a takeover, or a restart".to_owned()
            },
            advice: advice("failover"),
            would_settle: (!other_machine)
                .then_some("a capture on the server's own network, which shows the MAC address that answers"),
            evidence,
            contrast: None,
        })
    }

    fn close_invalidates(&self) -> Vec<Pattern> {
        [
            ("unclean-close-invalidates", "client-reset", ClosedBy::ClientReset),
            ("unclean-close-invalidates", "client-fin", ClosedBy::ClientFin),
            ("server-close-invalidates", "server-close", ClosedBy::Server),
        ]
        .into_iter()
        .filter_map(|(name, contrast, kind)| self.one_close_invalidates(name, contrast, kind))
        .fold(Vec::new(), |mut found: Vec<Pattern>, pattern| {
            match found.iter_mut().find(|known| known.name == pattern.name) {
                Some(known) if known.confidence >= pattern.confidence => {}
                Some(known) => *known = pattern,
                None => found.push(pattern),
            }
            found
        })
    }

    fn one_close_invalidates(&self, name: &'static str, contrast: &str, kind: ClosedBy) -> Option<Pattern> {
        let contrast = self.insight.contrast(contrast)?;
        let [[clean, _], [survived, lost]] = contrast.counts;
        let significant = contrast.first_resumes_more() && survived == 0;
        // One session that survived such a close shows that it is not the close.
        if lost < 2 || survived > 0 || (clean == 0 && lost < 3) {
            return None;
        }
        let declined = self
            .insight
            .uses
            .iter()
            .filter(|used| used.kept_here() && !used.accepted && used.closed == kind);
        let [_, after] = contrast.rows;
        Some(Pattern {
            name,
            confidence: if significant {
                Confidence::Inferred
            } else {
                Confidence::Possible
            },
            summary: format!(
                "{lost} sessions offered {after} were refused and none resumed; after a clean close {clean} resumed"
            ),
            advice: advice(name),
            would_settle: (!significant).then_some(
                "more connections of both kinds: sessions offered again after a clean close and after this one",
            ),
            evidence: self.evidence(declined, "a session refused after such a close"),
            contrast: Some(contrast.clone()),
        })
    }

    fn times_out(&self) -> Option<Pattern> {
        const ENOUGH: usize = 3;
        const SECOND: i64 = 1_000_000_000;
        let aged = |accepted: bool| {
            let uses = self.insight.uses.iter().filter(move |used| used.accepted == accepted);
            uses.filter(|used| {
                used.accepted || judge_key(used, self.insight, self.hindsight, self.kept) == KeyVerdict::Nothing
            })
            .filter(|used| matches!(used.closed, ClosedBy::Cleanly | ClosedBy::Unknown))
            .filter_map(|used| Some((used.age?, used)))
        };
        let oldest_accepted = aged(true).map(|(age, _)| age).max()?;
        let youngest_declined = aged(false).map(|(age, _)| age).min()?;
        let distinct = |accepted| {
            aged(accepted)
                .map(|(_, used)| used.credential)
                .collect::<BTreeSet<_>>()
                .len()
        };
        let counts = [[distinct(true), 0], [0, distinct(false)]].map(|row| row.map(|count| count as u64));
        let contrast = Contrast::new(["younger", "older"], counts);
        let enough = distinct(true) >= ENOUGH && distinct(false) >= ENOUGH && contrast.first_resumes_more();
        // No server lets sessions time out within a second.
        if oldest_accepted >= youngest_declined || youngest_declined < SECOND || !enough {
            return None;
        }
        // A full cache drops the oldest sessions too: if the sessions made in between separate the two as well as age
        // does, it may be either.
        let most = aged(true).map(|(_, used)| self.insight.crowding.before(used)).max();
        let fewest = aged(false).map(|(_, used)| self.insight.crowding.before(used)).min();
        let crowding = most < fewest;
        Some(Pattern {
            name: "session-times-out",
            confidence: if crowding {
                Confidence::Possible
            } else {
                Confidence::Inferred
            },
            summary: format!(
                "sessions resumed up to an age of {} s and were refused from {} s on",
                oldest_accepted / SECOND,
                youngest_declined / SECOND
            ),
            advice: advice("session-times-out"),
            would_settle: crowding.then_some("sessions of the same age at a quieter time: a full cache drops them too"),
            evidence: self.evidence(aged(false).map(|(_, used)| used), "a session refused at this age"),
            contrast: Some(contrast),
        })
    }

    fn ids_never_honoured(&self) -> Option<Pattern> {
        const MANY: usize = 5;
        const YOUNG: i64 = 60_000_000_000;
        let ids = || {
            self.insight.uses.iter().filter(|used| {
                self.ledger
                    .get(used.credential)
                    .is_some_and(|credential| credential.mechanism == Mechanism::SessionId)
            })
        };
        if ids().any(|used| used.accepted) {
            return None;
        }
        let refused: Vec<&Use> = ids()
            .filter(|used| used.closed == ClosedBy::Cleanly && used.age.is_some_and(|age| age <= YOUNG))
            .filter(|used| !used.foreign && !self.hindsight.other_backend(used))
            .collect();
        // Tickets under one key that are honoured every time show one domain behind the address.
        let one_key = matches!(self.insight.keys.as_slice(), [only] if only.accepted > 0 && only.declined == 0);
        let confidence = if refused.len() >= MANY && one_key {
            Confidence::Inferred
        } else {
            Confidence::Possible
        };
        (refused.len() >= 2).then(|| Pattern {
            name: "ids-never-honoured",
            confidence,
            summary: format!(
                "the server issues session IDs and refused all {} that were offered again",
                refused.len()
            ),
            advice: advice("ids-never-honoured"),
            would_settle: (confidence == Confidence::Possible)
                .then_some("knowing how many machines answer: several without a shared cache look the same"),
            evidence: self.evidence(refused.into_iter(), "a session ID of this server, refused"),
            contrast: None,
        })
    }

    fn nothing_issued(&self) -> Option<Pattern> {
        let full: Vec<_> = self
            .members
            .iter()
            .filter(|(_, connection)| connection.completed == Completed::Yes)
            .collect();
        let gives_nothing = |connection: &Connection| {
            !connection.is_tls13()
                && connection.issued.is_empty()
                && connection.accepted.is_none()
                && connection.offers.is_empty()
                && connection.renegotiations == 0
        };
        if full.len() < 2 || !full.iter().all(|(_, connection)| gives_nothing(connection)) {
            return None;
        }
        let evidence = full
            .iter()
            .filter_map(|(_, connection)| connection.answer.yes())
            .take(EVIDENCE)
            .map(|answer| {
                Evidence::new(
                    answer.at.frame,
                    "ServerHello with an empty session ID, and no ticket after it",
                )
            })
            .collect();
        Some(Pattern {
            name: "nothing-issued",
            confidence: Confidence::Observed,
            summary: format!(
                "in {} full handshakes the server issued neither a session ID nor a ticket",
                full.len()
            ),
            advice: advice("nothing-issued"),
            would_settle: None,
            evidence,
            contrast: None,
        })
    }

    fn client_never_offers(&self) -> Option<Pattern> {
        const ENOUGH: usize = 3;
        let mut evidence = Vec::new();
        let mut issued = false;
        for (_, connection) in self.members {
            match connection.outcome {
                Outcome::NotOffered => {}
                Outcome::Resumed(_) | Outcome::Declined | Outcome::ExternalPsk => return None,
                Outcome::Failed | Outcome::Unclear(_) => continue,
            }
            if issued && let Some(hello) = connection.hello.yes() {
                evidence.push(Evidence::new(
                    hello.at.frame,
                    "ClientHello offers nothing although something was issued before",
                ));
            }
            issued |= !connection.issued.is_empty()
                || matches!(connection.tickets_inferred, crate::session::TicketsInferred::Like(_));
        }
        if evidence.len() < ENOUGH {
            return None;
        }
        let count = evidence.len();
        evidence.truncate(EVIDENCE);
        Some(Pattern {
            name: "client-never-offers",
            confidence: Confidence::Inferred,
            summary: format!("{count} connections offer nothing although the server issues credentials"),
            advice: advice("client-never-offers"),
            would_settle: None,
            evidence,
            contrast: None,
        })
    }
}
