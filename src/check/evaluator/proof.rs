//! What proves that a rule is violated: connections and services with frames. The first few are kept, all are counted.

use super::Member;
use reshake_core::diagnosis::{Confidence, Evidence, Judged};
use reshake_core::session::{ConnectionId, Service};

/// Proofs kept of one verdict.
const MAX_SHOWN: usize = 5;
/// Frames kept of one proof.
const FRAMES: usize = 5;

/// A connection or a service that breaks a rule.
#[derive(Debug, Clone)]
pub struct Proof {
    /// The connection.
    pub connection: Option<ConnectionId>,
    /// The service, where it is not one connection.
    pub service: Option<Service>,
    /// The reason of the connection, with how sure it is.
    pub reason: Option<(&'static str, Confidence)>,
    /// What is said of it; may be empty where the frames say all.
    pub says: String,
    /// Frames that show it. May be empty: then the connection itself is the proof.
    pub evidence: Vec<Evidence>,
}

#[derive(Debug, Default)]
pub(super) struct Proofs {
    shown: Vec<Proof>,
    count: u64,
}

impl Proofs {
    fn add(&mut self, proof: impl FnOnce() -> Proof) {
        self.count += 1;
        if self.shown.len() < MAX_SHOWN {
            let mut proof = proof();
            proof.evidence.truncate(FRAMES);
            self.shown.push(proof);
        }
    }

    /// A connection for its primary reason.
    pub(super) fn reason(&mut self, member: &Member<'_>) {
        self.add(|| match member.reasons().first() {
            Some(judged) => of_judged(member.id, judged),
            None => of_connection(member.id, String::new(), Vec::new()),
        });
    }

    /// A connection for one of its reasons.
    pub(super) fn judged(&mut self, id: ConnectionId, judged: &Judged) {
        self.add(|| of_judged(id, judged));
    }

    /// A connection for a frame of it.
    pub(super) fn frame(&mut self, id: ConnectionId, shown: Evidence) {
        self.add(|| of_connection(id, String::new(), vec![shown]));
    }

    /// A connection for several frames.
    pub(super) fn frames(&mut self, id: ConnectionId, says: String, shown: Vec<Evidence>) {
        self.add(|| of_connection(id, says, shown));
    }

    /// A connection for something that is said of it.
    pub(super) fn bare(&mut self, id: ConnectionId, says: String) {
        self.add(|| of_connection(id, says, Vec::new()));
    }

    /// A service. It goes before connections: what it says is what they follow from.
    pub(super) fn service(&mut self, service: &Service, confidence: Confidence, says: &str, evidence: &[Evidence]) {
        self.count += 1;
        let mut evidence = evidence.to_vec();
        evidence.truncate(FRAMES);
        let place = self.shown.iter().filter(|proof| proof.service.is_some()).count();
        let proof = Proof {
            connection: None,
            service: Some(service.clone()),
            reason: None,
            says: format!("{says} ({})", confidence.code()),
            evidence,
        };
        self.shown.insert(place, proof);
        self.shown.truncate(MAX_SHOWN);
    }

    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn take(self) -> (Vec<Proof>, u64) {
        (self.shown, self.count)
    }
}

fn of_judged(id: ConnectionId, judged: &Judged) -> Proof {
    Proof {
        reason: Some((judged.reason.name, judged.confidence)),
        ..of_connection(id, judged.summary.to_string(), judged.evidence.clone())
    }
}

fn of_connection(id: ConnectionId, says: String, evidence: Vec<Evidence>) -> Proof {
    Proof {
        connection: Some(id),
        service: None,
        reason: None,
        says,
        evidence,
    }
}
