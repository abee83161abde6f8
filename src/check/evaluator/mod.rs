//! One rule on trial: connections and services go by, and at the end there is a verdict with what proves it.

mod proof;
mod tickets;

use std::cell::OnceCell;
use std::net::IpAddr;
use std::sync::Arc;

use hashbrown::HashMap;

use super::interval::Ratio;
use super::requirement::{EarlyDataRule, Fraction, Polarity, Requirement};
use super::rules::{Each, Rule};
use crate::wording::counted;
use reshake_core::diagnosis::security::SecurityFinding as FindingFound;
use reshake_core::diagnosis::service::Pattern;
use reshake_core::diagnosis::{Confidence, Evidence, Judged, ServiceAnalyses};
use reshake_core::session::{Connection, ConnectionId, EarlyData, KeyOrigin, Mechanism, Outcome, Service};
use reshake_core::store::CredentialStore;

pub use proof::Proof;
use proof::Proofs;
use tickets::{KeyAges, Lifetimes};

/// A difference of shares that is nothing but rounding.
const ROUNDING: f64 = 1e-9;

/// The connections that one verdict is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Area {
    /// All.
    All,
    /// Those of a service.
    Service(Service),
    /// Those with a server name, or without one.
    ServerName(Option<Arc<str>>),
    /// Those that offered such a credential.
    Mechanism(Mechanism),
    /// Those for which terms hold.
    Part(String),
    /// Each part was asked for and there is none.
    NoneOf(Each),
}

/// What rules see of a connection.
pub struct Member<'m> {
    /// Its number.
    pub id: ConnectionId,
    /// Its facts.
    pub connection: &'m Connection,
    /// Its service.
    pub service: &'m Service,
    /// It could not have been a resumption: the client had nothing yet.
    pub newcomer: bool,
    judge: &'m dyn Fn() -> Vec<Judged>,
    judged: OnceCell<Vec<Judged>>,
}

impl<'m> Member<'m> {
    /// Of a connection; its reasons are asked for only when a rule wants them.
    pub fn new(
        (id, connection): (ConnectionId, &'m Connection),
        service: &'m Service,
        newcomer: bool,
        judge: &'m dyn Fn() -> Vec<Judged>,
    ) -> Self {
        Self {
            id,
            connection,
            service,
            newcomer,
            judge,
            judged: OnceCell::new(),
        }
    }

    /// Its reasons, primary first.
    pub fn reasons(&self) -> &[Judged] {
        self.judged.get_or_init(self.judge)
    }
}

/// What rules compare with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Baseline {
    /// Accepted of the decided offers.
    pub resumption: Ratio,
    /// Primary reasons that connections had.
    pub reasons: Vec<String>,
    /// Connections that were only counted: they had reasons that nobody knows.
    pub only_counted: u64,
}

/// What holds for the whole run.
#[derive(Clone, Copy)]
pub struct Ground<'g> {
    /// Every credential.
    pub credential_store: &'g CredentialStore,
    /// What service analysis shows.
    pub analyses: &'g ServiceAnalyses,
    /// Connections that were only counted, at the memory limit.
    pub evicted: u64,
    /// How sure something must be to count.
    pub min_confidence: Option<Confidence>,
    /// The earlier report.
    pub baseline: Option<&'g Baseline>,
}

impl Ground<'_> {
    /// Whether something this sure counts. Doubt never makes a rule hold: unless it is said otherwise, what is only
    /// possible counts against a rule and never for it.
    fn counts(&self, stance: Polarity, confidence: Confidence) -> bool {
        let least = match stance {
            Polarity::Forbid => Confidence::Possible,
            Polarity::Require => Confidence::Inferred,
        };
        confidence >= self.min_confidence.unwrap_or(least)
    }
}

/// What was counted in the connections of an area.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quantities {
    /// Connections.
    pub connections: u64,
    /// Those with an outcome that is not visible.
    pub unclear: u64,
    /// Accepted of the decided offers.
    pub resumption: Ratio,
    /// Resumed of the handshakes of returning clients.
    pub returning: Ratio,
}

/// What was found where a rule looked.
#[derive(Debug, Clone, PartialEq)]
pub enum Measured {
    /// The quantity does not exist, and why.
    Nothing(String),
    /// A number of connections.
    Count(u64),
    /// A number of services.
    Services(u64),
    /// A part of a whole.
    Ratio(Ratio),
    /// Connections that break the rule, of all that it is about.
    Cases(Ratio),
    /// The longest time, in nanoseconds.
    Longest(i64),
    /// The rate of the baseline and that of now.
    Rates(Ratio, Ratio),
    /// Names that are new.
    Names(Vec<&'static str>),
}

/// What a trial comes to.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// The rule.
    pub rule: Rule,
    /// The connections it is about.
    pub area: Area,
    /// Whether it holds. A rule whose quantity does not exist does not.
    pub holds: bool,
    /// What was found.
    pub found: Measured,
    /// What proves a violation: the first of it.
    pub proofs: Vec<Proof>,
    /// Connections and services that prove it, those above included.
    pub proof_count: u64,
}

/// One rule on trial over one area.
pub struct RuleEvaluator {
    rule: Rule,
    area: Area,
    proofs: Proofs,
    /// Connections on which what the rule is about could be seen.
    visible: u64,
    /// What a required thing was found in.
    met: u64,
    names: Vec<&'static str>,
    clients: HashMap<(IpAddr, Service), (u64, ConnectionId)>,
    lifetimes: Lifetimes,
    keys: KeyAges,
}

impl RuleEvaluator {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(rule: &Rule, area: Area) -> Self {
        Self {
            rule: rule.clone(),
            area,
            proofs: Proofs::default(),
            visible: 0,
            met: 0,
            names: Vec::new(),
            clients: HashMap::new(),
            lifetimes: Lifetimes::default(),
            keys: KeyAges::default(),
        }
    }

    /// Another connection of the area, in the order of their first packets.
    pub fn see(&mut self, member: &Member<'_>, ground: &Ground<'_>) {
        let connection = member.connection;
        match self.rule.demand.clone() {
            Requirement::MaxUnclear(_) if matches!(connection.outcome, Outcome::Unclear(_)) => {
                self.proofs.reason(member);
            }
            Requirement::MinResumptionRate(_) | Requirement::MaxRateDrop(_) if is_refused(connection) => {
                self.proofs.reason(member);
            }
            Requirement::MinReturningShare(_) if is_avoidable(member) => self.proofs.reason(member),
            Requirement::MinConnections(_)
            | Requirement::MaxUnclear(_)
            | Requirement::MinResumptionRate(_)
            | Requirement::MaxRateDrop(_)
            | Requirement::MinReturningShare(_)
            | Requirement::Finding(..) => {}
            Requirement::MustResume { nth, later } => self.see_turn(member, nth, later),
            Requirement::Reason(stance, name) => self.see_reason(member, ground, stance, name),
            Requirement::Pattern(_, name) => {
                if member.reasons().iter().any(|judged| judged.settled_by == Some(name)) {
                    self.proofs.reason(member);
                }
            }
            Requirement::MaxTicketLifetime(most) => self.lifetimes.see(member, ground, most, &mut self.proofs),
            Requirement::MaxKeyAge(_) => self.keys.see(member, ground),
            Requirement::EarlyData(rule) => self.see_early_data(member, ground, rule),
            Requirement::AllowVersion(allowed) => {
                if let Some(answer) = connection.answer.yes() {
                    self.visible += 1;
                    if !allowed.contains(&answer.version) {
                        let shown = format!("the server chooses {}", answer.version);
                        self.proofs.frame(member.id, Evidence::new(answer.at.frame, shown));
                    }
                }
            }
            Requirement::NoNewReason(allowed) => self.see_new_reason(member, ground, &allowed),
        }
    }

    fn see_turn(&mut self, member: &Member<'_>, nth: u64, later: bool) {
        let key = (member.connection.client_address(), member.service.clone());
        let (count, last) = self.clients.entry(key).or_insert((0, member.id));
        *count += 1;
        *last = member.id;
        if *count == nth || later && *count > nth {
            self.visible += 1;
            if !matches!(member.connection.outcome, Outcome::Resumed(_)) {
                self.proofs.reason(member);
            }
        }
    }

    fn see_reason(&mut self, member: &Member<'_>, ground: &Ground<'_>, stance: Polarity, name: &str) {
        let mut reasons = member.reasons().iter();
        let Some(judged) = reasons.find(|judged| judged.reason.name == name) else {
            return;
        };
        if ground.counts(stance, judged.confidence) {
            self.met += 1;
            self.proofs.judged(member.id, judged);
        }
    }

    fn see_new_reason(&mut self, member: &Member<'_>, ground: &Ground<'_>, allowed: &[&'static str]) {
        let Some(primary) = member.reasons().first() else {
            return;
        };
        let name = primary.reason.name;
        let known = ground
            .baseline
            .is_some_and(|baseline| baseline.reasons.iter().any(|known| known == name));
        let counts = ground.counts(Polarity::Forbid, primary.confidence);
        // That a client begins somewhere is no news.
        if known || member.newcomer || allowed.contains(&name) || !counts {
            return;
        }
        if !self.names.contains(&name) {
            self.names.push(name);
        }
        // It may have been a reason of what the baseline only counted.
        if ground.baseline.is_none_or(|baseline| baseline.only_counted == 0) {
            self.proofs.judged(member.id, primary);
        }
    }

    fn see_early_data(&mut self, member: &Member<'_>, ground: &Ground<'_>, rule: EarlyDataRule) {
        let connection = member.connection;
        let Some(hello) = connection.hello.yes() else { return };
        self.visible += 1;
        let offered = Evidence::new(hello.at.frame, "ClientHello offers early data");
        let stance = match rule {
            EarlyDataRule::Require => Polarity::Require,
            EarlyDataRule::Allow | EarlyDataRule::Forbid => Polarity::Forbid,
            EarlyDataRule::ForbidOffer => {
                if connection.early_data != EarlyData::NotOffered {
                    self.proofs.frame(member.id, offered);
                }
                return;
            }
        };
        let (confidence, shown) = match connection.early_data {
            EarlyData::NotOffered | EarlyData::Rejected { .. } => return,
            EarlyData::Accepted { at, inferred } => {
                // Secrets that a capture brings vouch for nothing but themselves.
                let inferred = inferred || connection.keys == Some(KeyOrigin::Embedded);
                let confidence = if inferred {
                    Confidence::Inferred
                } else {
                    Confidence::Observed
                };
                (confidence, Evidence::new(at.frame, "the server accepts early data"))
            }
            EarlyData::Unclear(_) => (Confidence::Possible, offered),
        };
        if ground.counts(stance, confidence) {
            self.met += 1;
            self.proofs.frame(member.id, shown);
        }
    }

    /// A service of the area, with its patterns and findings.
    pub fn see_service(
        &mut self,
        service: &Service,
        patterns: &[Pattern],
        findings: &[FindingFound],
        ground: &Ground<'_>,
    ) {
        let (stance, summary, confidence, evidence) = match &self.rule.demand {
            Requirement::Pattern(stance, name) => match patterns.iter().find(|pattern| pattern.name == *name) {
                Some(pattern) => (*stance, &pattern.summary, pattern.confidence, &pattern.evidence),
                None => return,
            },
            Requirement::Finding(stance, name) => match findings.iter().find(|found| found.kind.name == *name) {
                Some(found) => (*stance, &found.summary, found.confidence, &found.evidence),
                None => return,
            },
            _ => return,
        };
        if ground.counts(stance, confidence) {
            self.met += 1;
            self.proofs.service(service, confidence, summary, evidence);
        }
    }

    /// The verdict, once all of the area was seen.
    #[must_use]
    pub fn finish(mut self, quantities: &Quantities, ground: &Ground<'_>) -> Verdict {
        let (holds, found) = self.weigh(quantities, ground);
        let only_counted = ground.evicted > 0 && !matches!(self.rule.demand, Requirement::MinConnections(_));
        let (holds, found) = if holds && only_counted {
            let were = counted(ground.evicted, "connection was", "connections were");
            let why = format!("{were} only counted, at the memory limit (--max-memory): nothing is proven");
            (false, Measured::Nothing(why))
        } else {
            (holds, found)
        };
        let (proofs, proof_count) = if holds { (Vec::new(), 0) } else { self.proofs.take() };
        Verdict {
            rule: self.rule,
            area: self.area,
            holds,
            found,
            proofs,
            proof_count,
        }
    }

    fn weigh(&mut self, quantities: &Quantities, ground: &Ground<'_>) -> (bool, Measured) {
        let demand = self.rule.demand.clone();
        if quantities.connections == 0 && !matches!(demand, Requirement::MinConnections(_)) {
            return nothing("no TLS connection");
        }
        let of_all = |part| Ratio {
            part,
            whole: quantities.connections,
        };
        match demand {
            Requirement::MinConnections(least) => {
                let count = quantities.connections;
                (count >= least, Measured::Count(count))
            }
            Requirement::MaxUnclear(Fraction(most)) => {
                let ratio = of_all(quantities.unclear);
                (ratio.value().is_some_and(|share| share <= most), Measured::Ratio(ratio))
            }
            Requirement::MinResumptionRate(least) => at_least(
                quantities.resumption,
                least,
                "no session was offered, or no answer to an offer is visible",
            ),
            Requirement::MinReturningShare(least) => at_least(quantities.returning, least, "no client came back"),
            Requirement::MaxRateDrop(Fraction(most)) => {
                let before = ground.baseline.map(|baseline| baseline.resumption).unwrap_or_default();
                let now = quantities.resumption;
                match (before.value(), now.value()) {
                    (Some(was), Some(is)) => (was - is <= most + ROUNDING, Measured::Rates(before, now)),
                    (None, _) => nothing("the baseline has no resumption rate"),
                    (_, None) => nothing("no session was offered, or no answer to an offer is visible"),
                }
            }
            Requirement::MustResume { nth, .. } => self.weigh_turns(nth),
            Requirement::Reason(stance, _) => weigh_names(stance, of_all(self.met)),
            Requirement::Pattern(stance, _) | Requirement::Finding(stance, _) => match stance {
                Polarity::Forbid => self.forbidden(),
                Polarity::Require => (self.met > 0, Measured::Services(self.met)),
            },
            Requirement::MaxTicketLifetime(_) => self.lifetimes.weigh(),
            Requirement::MaxKeyAge(most) => self.keys.weigh(most, &mut self.proofs),
            Requirement::EarlyData(EarlyDataRule::Require) => weigh_names(Polarity::Require, of_all(self.met)),
            Requirement::EarlyData(_) => self.weigh_visible("no ClientHello is visible"),
            Requirement::AllowVersion(_) => self.weigh_visible("no negotiated version is visible"),
            Requirement::NoNewReason(_) => match ground.baseline.map_or(0, |baseline| baseline.only_counted) {
                count if count > 0 && !self.names.is_empty() => {
                    let were = counted(count, "connection was", "connections were");
                    let why = format!("of the baseline {were} only counted: nothing is known to be new");
                    (false, Measured::Nothing(why))
                }
                _ => (self.names.is_empty(), Measured::Names(std::mem::take(&mut self.names))),
            },
        }
    }

    /// What a connection alone proves without the pattern being there does not count.
    fn forbidden(&mut self) -> (bool, Measured) {
        if self.met == 0 {
            self.proofs = Proofs::default();
        }
        (self.met == 0, Measured::Services(self.met))
    }

    fn weigh_visible(&self, why: &str) -> (bool, Measured) {
        if self.visible == 0 {
            return nothing(why);
        }
        let ratio = Ratio {
            part: self.proofs.count(),
            whole: self.visible,
        };
        (ratio.part == 0, Measured::Cases(ratio))
    }

    /// A client that did not come often enough proves nothing.
    fn weigh_turns(&mut self, nth: u64) -> (bool, Measured) {
        let mut short: Vec<(ConnectionId, u64)> = self
            .clients
            .values()
            .filter(|(count, _)| *count < nth)
            .map(|(count, last)| (*last, *count))
            .collect();
        short.sort_unstable();
        for (last, count) in &short {
            let comes = if *count == 1 { "connection" } else { "connections" };
            self.proofs.bare(
                *last,
                format!("the last of only {count} {comes} of this client to this service"),
            );
        }
        let ratio = Ratio {
            part: self.proofs.count(),
            whole: self.visible + short.len() as u64,
        };
        (ratio.part == 0, Measured::Cases(ratio))
    }
}

fn nothing(why: &str) -> (bool, Measured) {
    (false, Measured::Nothing(why.to_owned()))
}

fn weigh_names(stance: Polarity, ratio: Ratio) -> (bool, Measured) {
    let met = ratio.part > 0;
    let holds = match stance {
        Polarity::Forbid => !met,
        Polarity::Require => met,
    };
    (holds, Measured::Cases(ratio))
}

fn at_least(ratio: Ratio, Fraction(least): Fraction, why: &str) -> (bool, Measured) {
    match ratio.value() {
        Some(share) => (share >= least, Measured::Ratio(ratio)),
        None => nothing(why),
    }
}

/// Offered and not accepted, for sure.
fn is_refused(connection: &Connection) -> bool {
    let decided = matches!(
        connection.outcome,
        Outcome::Declined | Outcome::Failed | Outcome::ExternalPsk
    );
    decided && connection.offered().next().is_some()
}

/// A full handshake of a client that could have resumed.
fn is_avoidable(member: &Member<'_>) -> bool {
    matches!(member.connection.outcome, Outcome::Declined | Outcome::NotOffered) && !member.newcomer
}
