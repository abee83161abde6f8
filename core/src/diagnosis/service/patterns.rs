//! Statements about many connections of one service, each with its evidence and, where there is one, its contrast.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use hashbrown::HashMap;

use crate::diagnosis::context::{Gave, gave, order};
use crate::diagnosis::{Confidence, Evidence};
use crate::net::{At, FrameRef, Timestamp, hex};
use crate::session::{Completed, Connection, ConnectionId, Mechanism, Outcome};
use crate::store::{ConnectionStore, CredentialStore};

use super::catalog::PatternKind;
use super::contrast::ContingencyTable;
use super::key_verdict::{KeyVerdict, judge_key};
use super::uses::{ClosedBy, ResumptionAttempt};
use super::{KeyName, ServiceAnalyses, ServiceAnalysis};

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
    pub contrast: Option<ContingencyTable>,
}

pub(super) fn advice(name: &'static str) -> &'static str {
    PatternKind::by_name(name).map_or("", |kind| kind.advice)
}

/// Everything that can be said of the service.
pub(super) fn find(
    members: &[(ConnectionId, &Connection)],
    insight: &ServiceAnalysis,
    hindsight: &ServiceAnalyses,
    kept: &ConnectionStore,
    ledger: &CredentialStore,
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
    pub(super) insight: &'a ServiceAnalysis,
    hindsight: &'a ServiceAnalyses,
    kept: &'a ConnectionStore,
    pub(super) ledger: &'a CredentialStore,
}

/// Nanoseconds.
const SECOND: i64 = 1_000_000_000;

/// Time of day in UTC.
fn clock(time: Timestamp) -> String {
    let seconds = time.nanos().div_euclid(SECOND).rem_euclid(86_400);
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}", seconds % 60)
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

    pub(super) fn evidence<'u>(&self, uses: impl Iterator<Item = &'u ResumptionAttempt>, text: &str) -> Vec<Evidence> {
        uses.filter_map(|used| self.hello_frame(used.connection))
            .take(EVIDENCE)
            .map(|frame| Evidence::new(frame, text))
            .collect()
    }

    pub(super) fn verdicts(&self) -> impl Iterator<Item = (&ResumptionAttempt, KeyVerdict)> {
        let declined = self.insight.uses.iter().filter(|used| !used.accepted);
        declined.map(|used| (used, judge_key(used, self.insight, self.hindsight, self.kept)))
    }

    fn keys_not_shared(&self) -> Option<Pattern> {
        let found: Vec<(&ResumptionAttempt, Confidence)> = self
            .verdicts()
            .filter_map(|(used, verdict)| match verdict {
                KeyVerdict::NotShared(confidence) => Some((used, confidence)),
                KeyVerdict::Changed(_) | KeyVerdict::Nothing => None,
            })
            .filter(|(_, confidence)| self.insight.keys_apart || *confidence > Confidence::Possible)
            .collect();
        let confidence = found.iter().map(|(_, confidence)| *confidence).max()?;
        let refused: Vec<&ResumptionAttempt> = found
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
        let again: Vec<(&ResumptionAttempt, &ResumptionAttempt)> = self
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
                    "on the same backend {same} resumed and {same_declined} declined, on the other {other} resumed and {other_declined} declined; {} backends in turn would resume 1 in {0}",
                    self.insight.backends.len()
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
            let refused: Vec<&ResumptionAttempt> = self.insight.uses.iter().filter(|used| !used.accepted).collect();
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
        let found: Vec<(&ResumptionAttempt, Confidence)> = self
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
            summary: self.retired_key(&found),
            advice: advice("ticket-key-changed"),
            would_settle: (confidence == Confidence::Possible)
                .then_some("a longer capture: the new key must go on being used and the old one must not come back"),
            evidence,
            contrast: None,
        })
    }

    /// When the old key was last at work, and how long its tickets lived against how long they were promised to.
    fn retired_key(&self, refused: &[(&ResumptionAttempt, Confidence)]) -> String {
        let timelines = || {
            let names = refused
                .iter()
                .filter_map(|(used, _)| self.hindsight.key_name(used.credential));
            names.filter_map(|name| self.insight.key(name))
        };
        let count = refused.len();
        let refused_tickets = if count == 1 {
            "1 ticket was refused".to_owned()
        } else {
            format!("{count} tickets were refused")
        };
        let mut summary = match timelines()
            .filter_map(|timeline| timeline.alive)
            .map(|(_, last)| last)
            .max()
        {
            Some(last) => format!(
                "{refused_tickets} whose key was last seen at work at {} UTC",
                clock(last)
            ),
            None => format!("{refused_tickets} under a key that was not seen at work again"),
        };
        let advertised = timelines().filter_map(|timeline| timeline.advertised).max();
        let refused_at = timelines().filter_map(|timeline| timeline.youngest_declined).min();
        if let (Some(advertised), Some(age)) = (advertised, refused_at) {
            let age = age / SECOND;
            let lived = if age < 1 {
                "within a second".to_owned()
            } else {
                format!("at an age of {age} s")
            };
            if i64::from(advertised) > age {
                let _ = write!(summary, "; given for {advertised} s, refused {lived}");
            }
        }
        summary
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
        let contrast = ContingencyTable::new(["younger", "older"], counts);
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
        let refused: Vec<&ResumptionAttempt> = ids()
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
        // In TLS 1.3 that is told by sizes alone.
        let gives_nothing = |connection: &Connection| {
            let nothing = matches!(gave(connection), Some((Gave::Nothing, _)));
            nothing && !connection.is_tls13() && connection.offers.is_empty()
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
        let offers = |connection: &Connection| {
            let decided = matches!(
                connection.outcome,
                Outcome::Resumed(_) | Outcome::Declined | Outcome::ExternalPsk
            );
            decided || !connection.offers.is_empty()
        };
        if self.insight.resumes_unnamed || self.members.iter().any(|(_, connection)| offers(connection)) {
            return None;
        }
        let mut evidence = Vec::new();
        // From when on each client held something: another one, or a connection opened before, had nothing to offer.
        let mut holds: HashMap<_, At> = HashMap::new();
        for (_, connection) in self.members {
            let Some(hello) = connection.hello.yes() else { continue };
            let client = (connection.client_address(), hello.stack.digest);
            let held = holds.get(&client).is_some_and(|at| order(at) < order(&hello.at));
            if held && connection.outcome == Outcome::NotOffered {
                evidence.push(Evidence::new(
                    hello.at.frame,
                    "ClientHello offers nothing although this client was given something before",
                ));
            }
            if let Some((Gave::Seen | Gave::Inferred, over)) = gave(connection) {
                let first = holds.entry(client).or_insert(over);
                if order(&over) < order(first) {
                    *first = over;
                }
            }
        }
        if evidence.len() < ENOUGH {
            return None;
        }
        let count = evidence.len();
        evidence.truncate(EVIDENCE);
        // What was not seen may have been offers.
        let lossy = self.insight.lossy;
        Some(Pattern {
            name: "client-never-offers",
            confidence: if lossy {
                Confidence::Possible
            } else {
                Confidence::Inferred
            },
            summary: format!("{count} connections offer nothing although their clients were given something before"),
            advice: advice("client-never-offers"),
            would_settle: lossy.then_some("a capture without loss, which shows every ClientHello"),
            evidence,
            contrast: None,
        })
    }
}
