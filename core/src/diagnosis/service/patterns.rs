//! Statements about many connections of one service, each with its evidence and, where it was counted, its contrast.
//!
//! Causes come from the contest: all that are inferred, and of the merely possible ones the few that people should look at
//! first. What is no cause of refusals, but a fact about the service, is in `facts.rs`.

use std::fmt::Write as _;

use hashbrown::HashSet;

use crate::diagnosis::attempts::{OfferedCredential, RowNumber, ServicePart};
use crate::diagnosis::contest::Standing;
use crate::diagnosis::explanations::words::{clock, duration};
use crate::diagnosis::explanations::{Family, Kind};
use crate::diagnosis::{Confidence, Evidence};
use crate::net::span::SECOND;
use crate::net::{FrameRef, hex};
use crate::session::{Connection, ConnectionId};
use crate::store::ConnectionStore;

use super::catalog::PatternKind;
use super::contrast::ContingencyTable;
use super::{KeyName, ServiceAnalyses, ServiceAnalysis, facts};

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
    /// The pattern that it follows from.
    pub follows_from: Option<&'static str>,
    /// Connections that it explains.
    pub explains: u64,
    /// Other patterns that would explain the same.
    pub remaining: Vec<&'static str>,
}

impl Pattern {
    /// What is still to be settled, for people: of what is inferred and has nothing beside it that is nothing, although more could
    /// be known. Documents have [`Pattern::would_settle`] all the same.
    #[must_use]
    pub fn to_settle(&self) -> Option<&'static str> {
        let is_open = self.confidence == Confidence::Possible || !self.remaining.is_empty();
        self.would_settle.filter(|_| is_open)
    }

    /// A statement of fact, or one whose cause no contest decides.
    pub(super) fn plain(name: &'static str, confidence: Confidence, summary: String, evidence: Vec<Evidence>) -> Self {
        Self {
            name,
            confidence,
            summary,
            advice: advice(name),
            would_settle: None,
            evidence,
            contrast: None,
            follows_from: None,
            explains: 0,
            remaining: Vec::new(),
        }
    }
}

pub(super) fn advice(name: &'static str) -> &'static str {
    PatternKind::by_name(name).map_or("", |kind| kind.advice)
}

/// The first bytes of a key's name.
fn start(name: &KeyName) -> String {
    hex(name.bytes().get(..4).unwrap_or_default())
}

/// Frames named at most in a pattern.
pub(super) const EVIDENCE: usize = 6;
/// Causes that are merely possible, told of one service: more of them help nobody, they are named in `remaining`.
const MAX_POSSIBLE: usize = 3;
/// Rivals named of one statement.
pub(in crate::diagnosis) const MAX_RIVALS: usize = 5;

/// Everything that can be said of the service.
pub(super) fn find(
    members: &[(ConnectionId, &Connection)],
    part: &ServicePart,
    analysis: &ServiceAnalysis,
    analyses: &ServiceAnalyses,
    connection_store: &ConnectionStore,
) -> Vec<Pattern> {
    let finder = Finder {
        members,
        part,
        analysis,
        analyses,
        connection_store,
    };
    let mut found = finder.causes();
    finder.families(&mut found);
    finder.arrange(&mut found);
    facts::add(&finder, &mut found);
    found
}

pub(super) struct Finder<'a> {
    pub(super) members: &'a [(ConnectionId, &'a Connection)],
    pub(super) part: &'a ServicePart,
    pub(super) analysis: &'a ServiceAnalysis,
    pub(super) analyses: &'a ServiceAnalyses,
    connection_store: &'a ConnectionStore,
}

impl Finder<'_> {
    /// The hello of an entry's row.
    fn hello_frame(&self, row: u32) -> Option<FrameRef> {
        let row = self.analyses.attempts().rows().get(row as usize)?;
        self.connection_store
            .get(row.connection)?
            .hello
            .yes()
            .map(|hello| hello.at.frame)
    }

    fn entry(&self, number: u32) -> Option<&OfferedCredential> {
        self.analyses.attempts().entry(number)
    }

    fn causes(&self) -> Vec<Pattern> {
        let mut found: Vec<Pattern> = Vec::new();
        let mut possible = 0;
        for it in self.analysis.standing.iter().filter(|it| it.supported) {
            let Some(name) = it.claim.kind.pattern() else { continue };
            let confidence = if it.claim.kind == Kind::OtherStore {
                it.family
            } else {
                it.confidence
            };
            let told = found.iter_mut().find(|known| known.name == name);
            if let Some(told) = told {
                told.explains = told.explains.max(self.explained(it));
                continue;
            }
            if it.claim.kind == Kind::Takeover && confidence == Confidence::Possible && self.address_moved() {
                // That it moved is sure, whatever refused: it is told as such.
                continue;
            }
            if confidence == Confidence::Possible {
                possible += 1;
                if possible > MAX_POSSIBLE {
                    continue;
                }
            }
            found.extend(self.pattern(name, confidence, it));
        }
        found
    }

    fn pattern(&self, name: &'static str, confidence: Confidence, it: &Standing) -> Option<Pattern> {
        let stateful = it
            .claim
            .named
            .iter()
            .filter_map(|number| self.entry(*number))
            .any(|entry| entry.stateful);
        let evidence = self.evidence(it);
        let is_possible = confidence < Confidence::Observed;
        (!evidence.is_empty()).then(|| Pattern {
            name,
            confidence,
            summary: self.key_words(it).unwrap_or_else(|| it.claim.summary(stateful)),
            advice: advice(name),
            would_settle: is_possible.then(|| it.claim.settle()),
            evidence,
            contrast: ContingencyTable::of(it),
            follows_from: None,
            explains: self.explained(it),
            remaining: remaining(it, name),
        })
    }

    /// What is said of keys names them, and how long their tickets lived against how long they were promised to.
    fn key_words(&self, it: &Standing) -> Option<String> {
        let count = it.claim.units().named_refused;
        let refused = if count == 1 {
            "1 ticket was refused".to_owned()
        } else {
            format!("{count} tickets were refused")
        };
        match it.claim.kind {
            Kind::OtherKey => {
                let at_work = self
                    .analysis
                    .keys
                    .iter()
                    .map(|timeline| format!("{}…", start(&timeline.name)));
                let names: Vec<String> = at_work.take(EVIDENCE).collect();
                let names = names.join(", ");
                Some(format!(
                    "{} ticket keys are in use side by side ({names}); {refused} although their key was in use",
                    self.analysis.keys.len()
                ))
            }
            Kind::KeyChanged => Some(self.retired_key(it, refused)),
            _ => None,
        }
    }

    fn retired_key(&self, it: &Standing, mut summary: String) -> String {
        let entries = it.claim.named.iter().filter_map(|number| self.entry(*number));
        let names: HashSet<KeyName> = entries
            .filter_map(|entry| self.analyses.attempts().key(entry.key))
            .collect();
        let each = self.analysis.keys.iter();
        let timelines: Vec<_> = each.filter(|timeline| names.contains(&timeline.name)).collect();
        let last = timelines
            .iter()
            .filter_map(|timeline| timeline.alive)
            .map(|(_, last)| last)
            .max();
        match last {
            Some(last) => {
                let _ = write!(summary, " whose key was last seen at work at {} UTC", clock(last));
            }
            None => summary.push_str(" under a key that was not seen at work again"),
        }
        let advertised = timelines.iter().filter_map(|timeline| timeline.advertised).max();
        let refused_at = timelines.iter().filter_map(|timeline| timeline.youngest_declined).min();
        if let (Some(advertised), Some(age)) = (advertised, refused_at)
            && i64::from(advertised) > age / SECOND
        {
            let _ = write!(summary, "; given for {advertised} s, refused after {}", duration(age));
        }
        summary
    }

    /// Connections that a claim explains.
    fn explained(&self, it: &Standing) -> u64 {
        let mut rows: Vec<u32> = it
            .claim
            .named
            .iter()
            .filter_map(|number| Some(self.entry(*number)?.row))
            .collect();
        rows.dedup();
        rows.len() as u64
    }

    fn evidence(&self, it: &Standing) -> Vec<Evidence> {
        let trace = it
            .claim
            .trace
            .as_ref()
            .and_then(|trace| Some(Evidence::new(trace.frame?, trace.text)));
        let what = it.claim.kind.rows()[1];
        let text = match it.claim.kind {
            Kind::OfferBreaks => "an offer, and the handshake breaks".to_owned(),
            _ if what == "-" => "a session is offered, and refused".to_owned(),
            _ => format!("a session is offered and refused: {what}"),
        };
        // Proven ones first: they show what the others only suggest.
        let proven = it.claim.proven.iter();
        let shown = proven.chain(it.claim.named.iter().filter(|number| !it.claim.proven.contains(number)));
        let entries: Vec<&OfferedCredential> = shown.take(EVIDENCE).filter_map(|number| self.entry(*number)).collect();
        let issue = entries.first().and_then(|entry| self.issue_frame(entry.issue));
        let mut evidence: Vec<Evidence> = entries
            .iter()
            .filter_map(|entry| self.hello_frame(entry.row))
            .map(|frame| Evidence::new(frame, text.clone()))
            .collect();
        evidence.extend(trace);
        evidence.extend(
            issue.map(|frame| Evidence::new(frame, "the first of them was issued here, as far as can be told")),
        );
        evidence
    }

    fn issue_frame(&self, place: RowNumber) -> Option<FrameRef> {
        let row = self.analyses.attempts().row(place)?;
        self.connection_store
            .get(row.connection)?
            .answer
            .yes()
            .map(|answer| answer.at.frame)
    }

    /// What follows from every member of a family that stands is as sure as all of them together.
    fn families(&self, found: &mut Vec<Pattern>) {
        for (family, name) in [
            (Family::Who, "session-state-not-shared"),
            (Family::When, "sessions-lost-at-once"),
        ] {
            let of_family = |it: &&Standing| it.claim.kind.family() == family && it.family > Confidence::Possible;
            let Some(sure) = self.analysis.standing.iter().find(of_family) else {
                continue;
            };
            if sure.claim.kind == Kind::OtherServer {
                continue;
            }
            let member = sure.claim.kind.pattern().filter(|member| *member != name);
            match found.iter_mut().find(|known| known.name == name) {
                Some(told) => told.confidence = told.confidence.max(sure.family),
                None => found.extend(self.pattern(name, sure.family, sure)),
            }
            if let Some(told) = found.iter_mut().find(|known| known.name == name) {
                told.follows_from = member;
            }
        }
    }

    /// A failover that the network shows is told even where nothing was refused; and what follows from another stands
    /// behind it.
    fn arrange(&self, found: &mut Vec<Pattern>) {
        if !found.iter().any(|known| known.name == "failover") {
            found.extend(self.failover());
        }
        let names: Vec<&'static str> = found.iter().map(|pattern| pattern.name).collect();
        for pattern in found.iter_mut() {
            let causes: &[&'static str] = match pattern.name {
                "sessions-lost-at-once" => &["failover", "ticket-key-changed", "session-context-mismatch"],
                "session-state-not-shared" => &["ticket-keys-not-shared", "session-context-mismatch"],
                _ => &[],
            };
            let cause = causes.iter().copied().find(|cause| names.contains(cause));
            pattern.follows_from = pattern.follows_from.filter(|name| names.contains(name)).or(cause);
            // What it follows from does not stand against it.
            pattern.remaining.retain(|name| Some(*name) != pattern.follows_from);
        }
        found.sort_by_key(|pattern| (std::cmp::Reverse(pattern.confidence), pattern.follows_from.is_some()));
    }

    fn address_moved(&self) -> bool {
        self.analysis.takeovers.iter().any(|takeover| takeover.other_machine)
    }

    fn failover(&self) -> Option<Pattern> {
        let takeovers = &self.analysis.takeovers;
        let other_machine = self.address_moved();
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
            would_settle: (!other_machine)
                .then_some("a capture on the server's own network, which shows the MAC address that answers"),
            ..Pattern::plain(
                "failover",
                if other_machine {
                    Confidence::Inferred
                } else {
                    Confidence::Possible
                },
                if other_machine {
                    "the address moved to another machine".to_owned()
                } else {
                    "open connections were reset by a host that does not know them: a takeover, or a restart".to_owned()
                },
                evidence,
            )
        })
    }
}

/// What else would explain the same, by pattern names.
fn remaining(it: &Standing, own: &str) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = Vec::new();
    for name in it.rivals.iter().filter_map(|kind| kind.pattern()) {
        if name != own && !names.contains(&name) && names.len() < MAX_RIVALS {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_inferred_with_nothing_beside_it_has_nothing_to_settle() {
        let settle = |confidence, remaining: &[&'static str]| {
            let pattern = Pattern {
                would_settle: Some("the server's log"),
                remaining: remaining.to_vec(),
                ..Pattern::plain("failover", confidence, String::new(), Vec::new())
            };
            pattern.to_settle()
        };
        let log = Some("the server's log");
        assert_eq!(settle(Confidence::Possible, &[]), log);
        assert_eq!(settle(Confidence::Inferred, &["ticket-key-changed"]), log);
        assert_eq!(settle(Confidence::Inferred, &[]), None);
    }
}
