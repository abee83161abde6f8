//! What to do about a violated rule: what the diagnosis advises for the services that break it, else what its reasons
//! advise, else how to capture what was not there.

use super::Check;
use crate::check::{Proof, Requirement, Verdict};
use crate::model::service_of;
use reshake_core::diagnosis::service::{PatternKind, ServiceAnalysis};
use reshake_core::diagnosis::{CATALOG, Confidence};
use reshake_core::session::Service;

/// Pieces of advice of one rule.
const MAX_ADVICE: usize = 3;

/// How to capture what a rule needs.
const CAPTURE: &str = "capture whole packets of both directions from before the first connection, and let every client \
                       come at least twice: tcpdump -i any -s 0 -w test.pcap 'port 443', or reshake live -i any -w \
                       test.pcapng";

/// What to do about a verdict; nothing about a rule that holds.
pub(super) fn of(check: &Check<'_, '_>, verdict: &Verdict) -> Vec<String> {
    if verdict.holds {
        return Vec::new();
    }
    let mut advice: Vec<String> = Vec::new();
    for text in verdict
        .proofs
        .iter()
        .filter_map(|proof| of_proof(check, verdict, proof))
    {
        if !advice.contains(&text) && advice.len() < MAX_ADVICE {
            advice.push(text);
        }
    }
    let needs_packets = matches!(
        verdict.rule.demand,
        Requirement::MinConnections(_) | Requirement::MaxUnclear(_)
    );
    if needs_packets || (advice.is_empty() && verdict.proofs.is_empty() && check.report.is_empty()) {
        advice.push(CAPTURE.to_owned());
    }
    advice
}

fn of_proof(check: &Check<'_, '_>, verdict: &Verdict, proof: &Proof) -> Option<String> {
    let service = of_service(check, proof)?;
    if let Requirement::Finding(..) = verdict.rule.demand {
        let found = check.report.findings.service(&service).iter();
        let advice = found.filter(|found| proof.says.contains(&*found.summary) || proof.says.contains(found.kind.name));
        return advice.map(|found| found.kind.advice.to_owned()).next();
    }
    let insight = check.report.analyses.service(&service);
    if let Requirement::Pattern(_, wanted) = &verdict.rule.demand
        && let Some(kind) = PatternKind::by_name(wanted)
        && insight.is_some_and(|insight| is_sure(insight, kind.name))
    {
        return Some(kind.advice.to_owned());
    }
    let answer = check.report.answer(&service);
    answer.and_then(|answer| answer.action.clone()).or_else(|| {
        let (name, _) = proof.reason?;
        let reason = CATALOG.iter().find(|reason| reason.name == name)?;
        Some(reason.advice.to_owned())
    })
}

/// Whether a pattern is more than possible: only then is its remedy worth the work.
fn is_sure(insight: &ServiceAnalysis, name: &str) -> bool {
    let mut named = insight.patterns.iter().filter(|pattern| pattern.name == name);
    named.any(|pattern| pattern.confidence > Confidence::Possible)
}

fn of_service(check: &Check<'_, '_>, proof: &Proof) -> Option<Service> {
    if let Some(service) = &proof.service {
        return Some(service.clone());
    }
    let (_, connection) = check.connection(proof.connection?)?;
    Some(service_of(connection))
}
