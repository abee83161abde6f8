//! What a security review would want to know of a service: keys that anyone can guess, tickets that link a client,
//! sessions that should not have been resumed. Apart from the reasons: nothing here explains a refusal.
//!
//! One catalogue, [`FINDINGS`]; `explain`, `docs/reasons.md`, completions and the tests are functions over it. A rule
//! is a pure function over one [`SecurityContext`], asked once per service when a report is made.

mod certificates;
mod early;
mod ground;
mod handshake;
mod iv;
mod keys;
mod sharing;
mod tickets;

use hashbrown::HashMap;

use super::numbered::Numbered;
use super::rules::Citation;
use super::service::{ServiceAnalyses, ServiceAnalysis};
use super::{Confidence, Evidence};
use crate::net::FrameRef;
use crate::session::{Connection, Outcome, Service};
use crate::store::{ConnectionStore, CredentialStore};

pub use ground::SecurityContext;
use sharing::KeyUsage;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Worth changing.
    Warning,
    /// Traffic can be read, or a check can be passed by.
    High,
}

impl Severity {
    /// Name in reports.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::High => "high",
        }
    }
}

/// One entry of the catalogue.
#[derive(Debug)]
pub struct FindingKind {
    /// Public name in kebab case. A published name keeps its meaning.
    pub name: &'static str,
    /// Version that introduced it.
    pub since: &'static str,
    /// How much it matters at least; circumstances may raise it.
    pub severity: Severity,
    /// What it says in general, at most 80 characters, no full stop.
    pub summary: &'static str,
    /// What the specifications say.
    pub spec: &'static [Citation],
    /// What to do, with the setting's name.
    pub advice: &'static str,
    /// "What it means" and "How we know", in Markdown.
    pub text: &'static str,
    /// Looks for it.
    pub rule: fn(&SecurityContext<'_>) -> Option<RuleFinding>,
}

impl FindingKind {
    /// The finding with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        FINDINGS.iter().copied().find(|kind| kind.name == name)
    }

    /// Whether it is for the client's side to act; else it is for whoever runs the server.
    #[must_use]
    pub fn is_up_to_clients(&self) -> bool {
        std::ptr::eq(self, &raw const tickets::TICKET_REUSE_LINKABLE)
    }
}

/// Declares one finding: its documentation is its text.
macro_rules! finding {
    (
        $(#[doc = $line:literal])+
        $vis:vis static $ident:ident = {
            name: $name:literal, since: $since:literal, severity: $severity:ident,
            summary: $summary:literal,
            spec: [$(($rfc:literal, $section:literal)),* $(,)?],
            advice: $advice:literal,
            rule: $rule:path $(,)?
        }
    ) => {
        $(#[doc = $line])+
        $vis static $ident: $crate::diagnosis::security::FindingKind = $crate::diagnosis::security::FindingKind {
            name: $name,
            since: $since,
            severity: $crate::diagnosis::security::Severity::$severity,
            summary: $summary,
            spec: &[$($crate::diagnosis::rules::Citation { rfc: $rfc, section: $section }),*],
            advice: $advice,
            text: concat!($($line, "\n"),+),
            rule: $rule,
        };
    };
}
use finding;

/// Every finding, the gravest first.
pub static FINDINGS: &[&FindingKind] = &[
    &keys::STEK_ALL_ZERO,
    &keys::STEK_WEAK_KNOWN_KEY,
    &iv::TICKET_IV_REUSE,
    &keys::TICKET_KEY_OLDER_THAN_A_DAY,
    &sharing::STEK_SHARED_ACROSS_HOSTS,
    &handshake::RESUMED_ACROSS_SNI,
    &certificates::RESUMED_AFTER_CLIENT_CERTIFICATE_EXPIRED,
    &early::EARLY_DATA_ACCEPTED_TWICE,
    &handshake::RESUMED_DESPITE_MUST_NOT,
    &handshake::PSK_WITHOUT_DHE,
    &handshake::NO_EMS_RESUMPTION,
    &tickets::TICKET_LIFETIME_OVER_7D,
    &sharing::STEK_SHARED_ACROSS_SNI,
    &tickets::TICKET_REUSE_LINKABLE,
];

/// Frames named at most for a finding.
const EVIDENCE: usize = 6;

/// What a rule found at one service.
#[derive(Debug, Clone)]
pub struct RuleFinding {
    confidence: Confidence,
    severity: Option<Severity>,
    summary: String,
    evidence: Vec<Evidence>,
}

impl RuleFinding {
    /// Nothing where no frame shows it.
    fn of(confidence: Confidence, summary: impl Into<String>, evidence: Vec<Evidence>) -> Option<Self> {
        (!evidence.is_empty()).then(|| Self {
            confidence,
            severity: None,
            summary: summary.into(),
            evidence,
        })
    }

    /// The same, graver than the catalogue says.
    fn raised(mut self, severity: Severity) -> Self {
        self.severity = Some(severity);
        self
    }
}

/// Counts what shows a finding and keeps the first frames of it.
#[derive(Debug, Default)]
struct Witnesses {
    count: u64,
    evidence: Vec<Evidence>,
}

impl Witnesses {
    /// One more case of it, with the frame that shows it where there is one.
    fn add(&mut self, frame: Option<FrameRef>, text: impl FnOnce() -> String) {
        self.count += 1;
        if let Some(frame) = frame {
            self.show(frame, text);
        }
    }

    /// Another frame of the same case.
    fn show(&mut self, frame: FrameRef, text: impl FnOnce() -> String) {
        if self.evidence.len() < EVIDENCE {
            self.evidence.push(Evidence::new(frame, text()));
        }
    }

    /// Takes in the cases of another kind.
    fn join(&mut self, other: Self) {
        self.count += other.count;
        self.evidence.extend(other.evidence);
        self.evidence.truncate(EVIDENCE);
    }

    /// "3 tickets" or "1 ticket".
    fn counted(&self, one: &str, many: &str) -> String {
        format!("{} {}", self.count, if self.count == 1 { one } else { many })
    }
}

/// A finding at one service.
#[derive(Debug, Clone)]
pub struct SecurityFinding {
    /// Which.
    pub kind: &'static FindingKind,
    /// How much it matters here.
    pub severity: Severity,
    /// How sure.
    pub confidence: Confidence,
    /// What it says of this service, without a full stop.
    pub summary: String,
    /// Frames that show it; never empty.
    pub evidence: Vec<Evidence>,
}

/// The findings of every service that has any.
#[derive(Debug, Default)]
pub struct Findings(HashMap<Service, Vec<SecurityFinding>>);

impl Findings {
    /// Over everything that was kept.
    #[must_use]
    pub fn of(
        analyses: &ServiceAnalyses,
        connection_store: &ConnectionStore,
        credential_store: &CredentialStore,
    ) -> Self {
        let key_usage = KeyUsage::of(analyses, connection_store);
        let (credentials, count) = credential_store.numbers();
        let mut met = Numbered::within(credentials, count);
        let find = |(here, (service, analysis)): (u32, (&Service, &ServiceAnalysis))| {
            let mut ground = SecurityContext {
                service,
                analysis,
                analyses,
                connection_store,
                credential_store,
                key_usage: &key_usage,
                tickets: &[],
                resumed: &[],
            };
            // Room at once: lists that grow are copied, and memory that was never used before is dear.
            let mut tickets = Vec::with_capacity(analysis.members.len());
            tickets.extend(ground.find_tickets(&mut met, here));
            let is_resumed = |connection: &Connection| matches!(connection.outcome, Outcome::Resumed(_));
            let mut resumed = Vec::with_capacity(analysis.members.len());
            resumed.extend(ground.connections().filter(|(_, it)| is_resumed(it)));
            (ground.tickets, ground.resumed) = (&tickets, &resumed);
            let found: Vec<SecurityFinding> = FINDINGS.iter().filter_map(|kind| ask(kind, &ground)).collect();
            (!found.is_empty()).then(|| (service.clone(), found))
        };
        Self((0..).zip(analyses.services()).filter_map(find).collect())
    }

    /// Those of one service, the gravest first.
    #[must_use]
    pub fn service(&self, service: &Service) -> &[SecurityFinding] {
        self.0.get(service).map(Vec::as_slice).unwrap_or_default()
    }
}

fn ask(kind: &'static FindingKind, ground: &SecurityContext<'_>) -> Option<SecurityFinding> {
    let told = (kind.rule)(ground)?;
    Some(SecurityFinding {
        kind,
        severity: told.severity.unwrap_or(kind.severity),
        confidence: told.confidence,
        summary: told.summary,
        evidence: told.evidence,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(shown: &Witnesses) -> Vec<u64> {
        shown.evidence.iter().map(|evidence| evidence.frame.frame()).collect()
    }

    fn shown(frames: impl IntoIterator<Item = u64>) -> Witnesses {
        let mut shown = Witnesses::default();
        for frame in frames {
            shown.add(Some(FrameRef::new(0, frame)), || "a ticket".to_owned());
        }
        shown
    }

    #[test]
    fn every_case_is_counted_and_the_first_frames_are_named() {
        let mut all = shown(1..=4);
        all.add(None, || "a ticket".to_owned());
        assert_eq!((all.count, frames(&all)), (5, vec![1, 2, 3, 4]));
        assert_eq!(frames(&shown(1..=9)), [1, 2, 3, 4, 5, 6]);
        all.join(shown(7..=9));
        assert_eq!((all.count, frames(&all)), (8, vec![1, 2, 3, 4, 7, 8]));
        // A case that began before it was counted.
        let mut none = Witnesses::default();
        none.join(shown([]));
        assert_eq!(
            (none.count, none.counted("ticket", "tickets")),
            (0, "0 tickets".to_owned())
        );
        assert_eq!(shown([1]).counted("ticket", "tickets"), "1 ticket");
    }

    #[test]
    fn a_finding_is_found_by_its_name_alone() {
        for kind in FINDINGS {
            assert!(FindingKind::by_name(kind.name).is_some_and(|found| std::ptr::eq(found, *kind)));
        }
        assert!(FindingKind::by_name("stek").is_none());
    }

    #[test]
    fn nothing_is_told_without_a_frame() {
        assert!(RuleFinding::of(Confidence::Observed, "found", Vec::new()).is_none());
        let told = RuleFinding::of(Confidence::Observed, "found", shown([1]).evidence).expect("a frame");
        assert_eq!(told.severity, None);
        assert_eq!(told.raised(Severity::High).severity, Some(Severity::High));
    }

    #[test]
    fn one_finding_is_for_clients_to_act_on() {
        let theirs = FINDINGS.iter().filter(|kind| kind.is_up_to_clients());
        assert_eq!(
            theirs.map(|kind| kind.name).collect::<Vec<_>>(),
            ["ticket-reuse-linkable"]
        );
    }
}
