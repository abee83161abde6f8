//! The services, the one with the most trouble first: how much resumed, why not the rest, what to do, what it costs.

use crate::model::over;
use std::cmp::Reverse;
use std::io::{self, Write};

use anstyle::Style;

use super::{Page, analyses, paint};
use crate::model::cost::{Avoidable, AvoidableByReason};
use crate::model::failures::{self, FailureKind};
use crate::model::view::ranking::ranking;
use crate::model::{OutcomeGroup, ServiceView, TicketLedger, TransferCounts, alike};
use crate::wording::{MAX_WIRE, printable};
use crate::wording::{bytes, counted, duration, number};
use reshake_core::diagnosis::Reason;
use reshake_core::diagnosis::answer::Answer;
use reshake_core::diagnosis::security::SecurityFinding;
use reshake_core::session::{ConnectionId, Outcome};
use reshake_core::tls::CertificateOperation;

/// Services up to which each has a paragraph; more are a table.
const MAX_SERVICES: usize = 10;
/// Services below a table that have one all the same: those with the most trouble.
const MAX_WORST: usize = 3;
/// Services up to which nothing is summed up over all of them.
const MAX_PLAIN: usize = 3;
/// Reasons of a service that come with advice.
const MAX_ADVICE: usize = 3;

/// Kinds of failures shown without `--all`.
const MAX_FAILURES: usize = 5;
/// Reasons whose cost is shown without `--all`.
const MAX_COSTS: usize = 3;

/// A reason that fewer than one in so many connections have is not worth a line of advice.
const RARE: u64 = 50;

/// What did not resume, of one service or of all.
#[derive(Debug, Default)]
struct Trouble {
    alike: Vec<OutcomeGroup>,
    avoidable: AvoidableByReason,
    resumed_bytes: (u64, u64),
    failures: Vec<FailureKind>,
}

impl Page<'_, '_> {
    pub(super) fn services(&mut self) -> io::Result<()> {
        let report = self.report;
        let rows = ranking(report);
        let many = rows.len() > MAX_SERVICES;
        let shown = match many {
            _ if self.all => rows.len(),
            true => MAX_WORST,
            false => rows.len(),
        };
        let mut advised: Vec<&'static str> = Vec::new();
        let outward = !self.all && self.report.looks_outward();
        if rows.len() > MAX_PLAIN {
            self.all_services(&mut advised)?;
        }
        if many {
            writeln!(self.out)?;
            self.service_table(&rows)?;
        }
        for view in rows.iter().take(shown).filter_map(|row| report.services.get(row.index)) {
            self.service(view, rows.len() == 1, outward, &mut advised)?;
        }
        if outward {
            let services: Vec<&ServiceView> = report.services.iter().collect();
            self.findings_elsewhere(&services)?;
        }
        Ok(())
    }

    fn service(
        &mut self,
        view: &ServiceView,
        alone: bool,
        outward: bool,
        advised: &mut Vec<&'static str>,
    ) -> io::Result<()> {
        let name = paint(self.style.name, service_name(view.server_name.as_deref()));
        // A lone service has the counts of the whole report.
        let counts = if alone {
            String::new()
        } else {
            format!("   {}", self.counts(&view.counts))
        };
        let report = self.report;
        let service = view.service();
        let analysis = report.analyses.service(&service);
        let backends = analysis.and_then(|analysis| analyses::backends(&analysis.backends));
        let backends = backends.map_or_else(String::new, |backends| format!("   {backends}"));
        let over = over(view.transport);
        writeln!(self.out, "\n{name}  {}{over}{counts}{backends}", view.server)?;
        let answer = report.answer(&service);
        if let Some(answer) = &answer {
            self.answer(answer)?;
        }
        if let (Some(analysis), Some(answer)) = (analysis, answer) {
            self.analyses(analysis, answer.action.is_some(), advised)?;
            if answer.action.is_some() && !self.all {
                // It is about the most frequent reason, where it does not say which.
                let first = || view.reasons.first().map(|count| count.reason.name);
                advised.extend(answer.reason.or_else(first));
            }
        }
        self.tickets(report.tickets(&service))?;
        if let Some(transfers) = report.transfers(&service) {
            self.transfers(transfers)?;
        }
        let found = report.findings.service(&service).iter();
        let found: Vec<&SecurityFinding> = found
            .filter(|found| !outward || found.kind.is_up_to_clients())
            .collect();
        self.findings(&found, advised)?;
        let trouble = Trouble {
            alike: view.alike.clone(),
            avoidable: view.avoidable.clone(),
            resumed_bytes: view.resumed_bytes,
            failures: self.failures.get(&service).cloned().unwrap_or_default(),
        };
        self.trouble(&trouble, advised)
    }

    /// The one sentence about the service, and the one thing to do.
    fn answer(&mut self, answer: &Answer) -> io::Result<()> {
        if !answer.sentence.is_empty() {
            self.paragraph(
                2,
                "",
                Style::new(),
                &printable(&answer.sentence, analyses::MAX_SENTENCE),
            )?;
        }
        match &answer.action {
            Some(action) => self.paragraph(2, "do: ", self.style.advice, action),
            None => Ok(()),
        }
    }

    /// What the clients did with their TLS 1.3 tickets, all together.
    fn tickets(&mut self, ledgers: &[TicketLedger]) -> io::Result<()> {
        let Some((first, rest)) = ledgers.split_first() else {
            return Ok(());
        };
        let all = rest.iter().fold(*first, TicketLedger::and);
        let reused = match all.reused {
            0 => String::new(),
            reused => format!(" ({} more than once)", number(reused)),
        };
        let exhausted = match all.exhausted {
            0 => String::new(),
            exhausted => format!(
                "; {} came when none was left",
                counted(exhausted, "connection", "connections")
            ),
        };
        let [issued, spent, thrown_away, left] = [all.issued, all.spent, all.thrown_away, all.left].map(number);
        let text = format!("{issued} issued, {spent} spent{reused}, {thrown_away} thrown away, {left} left{exhausted}");
        self.paragraph(2, "tickets    ", self.style.name, &text)
    }

    /// Whether the data connections of FTP resumed the session of their control connection.
    fn transfers(&mut self, counts: &TransferCounts) -> io::Result<()> {
        let each = [
            (counts.control, "resumed the session of their control connection"),
            (counts.other, "resumed another session"),
            (counts.none, "resumed none"),
            (counts.not_visible, "not visible"),
        ];
        let told = each.iter().filter(|(count, _)| *count > 0);
        let told: Vec<String> = told.map(|(count, what)| format!("{} {what}", number(*count))).collect();
        let refused = match counts.other + counts.none {
            0 => "",
            _ => "; the others are refused where that session is required (vsftpd, ProFTPD, FileZilla Server)",
        };
        let total = counted(counts.total(), "transfer", "transfers");
        let text = format!("{total}: {}{refused}", told.join(", "));
        self.paragraph(2, "FTP        ", self.style.name, &text)
    }

    /// What the services have in common, where there are several.
    fn all_services(&mut self, advised: &mut Vec<&'static str>) -> io::Result<()> {
        let mut all = Trouble::default();
        for view in &self.report.services {
            alike::merge(&mut all.alike, &view.alike);
            all.avoidable.merge(&view.avoidable);
            all.resumed_bytes.0 += view.resumed_bytes.0;
            all.resumed_bytes.1 += view.resumed_bytes.1;
        }
        all.failures = failures::together(self.failures.values().flatten());
        let services = counted(self.report.services.len() as u64, "service", "services");
        // Some that were folded away may be counted in the summary only.
        let title = match self.report.engine.connection_store().evicted_elsewhere().total() {
            0 => format!("all {services}"),
            _ => format!("the {services} that were told apart"),
        };
        writeln!(self.out, "\n{}", paint(self.style.name, &title))?;
        self.trouble(&all, advised)
    }

    fn trouble(&mut self, trouble: &Trouble, advised: &mut Vec<&'static str>) -> io::Result<()> {
        let alike = &trouble.alike;
        self.why("why full   ", alike, |outcome| {
            matches!(outcome, Outcome::Declined | Outcome::NotOffered)
        })?;
        self.why("failed     ", alike, |outcome| matches!(outcome, Outcome::Failed))?;
        self.how_failed(&trouble.failures)?;
        self.why("unclear    ", alike, |outcome| matches!(outcome, Outcome::Unclear(_)))?;
        self.advice(alike, advised)?;
        self.cost(&trouble.avoidable, trouble.resumed_bytes)
    }

    /// How handshakes failed, a line a kind.
    fn how_failed(&mut self, kinds: &[FailureKind]) -> io::Result<()> {
        let shown = if self.all {
            kinds.len()
        } else {
            MAX_FAILURES.min(kinds.len())
        };
        let (shown, rest) = kinds.split_at(shown);
        for kind in shown {
            let frame = self.frame(kind.first);
            let first = if kind.connections > 1 {
                "first in frame"
            } else {
                "frame"
            };
            let how = printable(&kind.how, MAX_WIRE);
            let text = format!("{}\u{a0}× {how} ({first}\u{a0}{frame})", number(kind.connections));
            self.paragraph(13, "", self.style.bad, &text)?;
        }
        match rest.iter().map(|kind| kind.connections).sum() {
            0 => Ok(()),
            more => writeln!(self.out, "             … {} more: --all", number(more)),
        }
    }

    /// Primary reasons of some outcomes, counted.
    fn why(&mut self, label: &str, alike: &[OutcomeGroup], which: impl Fn(Outcome) -> bool) -> io::Result<()> {
        let mut kinds: Vec<(&'static str, u64, [u64; 3])> = Vec::new();
        for kind in alike.iter().filter(|kind| which(kind.outcome)) {
            let name = kind.reason.map_or("no\u{a0}reason\u{a0}found", |reason| reason.name);
            match kinds.iter_mut().find(|(known, ..)| *known == name) {
                Some((_, count, sure)) => {
                    *count += kind.connections;
                    sure.iter_mut()
                        .zip(kind.by_confidence)
                        .for_each(|(sum, more)| *sum += more);
                }
                None => kinds.push((name, kind.connections, kind.by_confidence)),
            }
        }
        kinds.sort_by_key(|(name, count, _)| (Reverse(*count), *name));
        let parts: Vec<String> = kinds
            .into_iter()
            .map(|(name, count, sure)| format!("{}\u{a0}{name}{}", number(count), confidence(sure)))
            .collect();
        if parts.is_empty() {
            return Ok(());
        }
        self.paragraph(2, label, self.style.name, &parts.join("   "))
    }

    /// What to do about the most frequent reasons; each is said once in a report.
    fn advice(&mut self, alike: &[OutcomeGroup], advised: &mut Vec<&'static str>) -> io::Result<()> {
        let mut kinds: Vec<&OutcomeGroup> = alike.iter().filter(|kind| kind.matters()).collect();
        kinds.sort_by_key(|kind| Reverse(kind.connections));
        let all: u64 = kinds.iter().map(|kind| kind.connections).sum();
        kinds.retain(|kind| kind.connections >= all / RARE);
        let mut reasons: Vec<(&'static Reason, ConnectionId)> = Vec::new();
        // What a pattern settled is answered by the advice of the pattern.
        let settled = |kind: &&OutcomeGroup| kind.settled_by.is_some_and(|name| advised.contains(&name));
        kinds.retain(|kind| !settled(kind));
        for (reason, example) in kinds
            .into_iter()
            .filter_map(|kind| Some((kind.reason?, kind.example.1)))
        {
            if !reasons.iter().any(|(known, _)| known.name == reason.name) {
                reasons.push((reason, example));
            }
        }
        for (reason, example) in reasons.into_iter().take(MAX_ADVICE) {
            if advised.contains(&reason.name) {
                continue;
            }
            advised.push(reason.name);
            let judged = self.report.engine.connection_store().get(example);
            let judged = judged.map_or_else(Vec::new, |connection| self.report.reasons(example, connection));
            let advice = judged.iter().find(|judged| judged.reason.name == reason.name);
            let advice = advice.map_or(reason.advice, |judged| judged.advice);
            let text = format!("{advice}   (reshake\u{a0}explain\u{a0}{})", reason.name);
            self.paragraph(6, "do: ", self.style.advice, &text)?;
        }
        Ok(())
    }

    /// What full handshakes of returning clients cost, and for which reasons where there are several.
    fn cost(&mut self, cost: &AvoidableByReason, resumed_bytes: (u64, u64)) -> io::Result<()> {
        if cost.all.handshakes == 0 {
            return Ok(());
        }
        let handshakes = counted(
            cost.all.handshakes,
            "full handshake of a returning client",
            "full handshakes of returning clients",
        );
        let resumed = match resumed_bytes {
            (0, _) => String::new(),
            (handshakes, total) => format!(" (a resumed one takes {})", bytes(total / handshakes)),
        };
        let text = format!("{handshakes}: {}{resumed}", price(&cost.all));
        self.paragraph(2, "cost       ", self.style.name, &text)?;
        let reasons = cost.by_reason();
        if reasons.len() < 2 {
            return Ok(());
        }
        let shown = if self.all { reasons.len() } else { MAX_COSTS };
        for (reason, cost) in reasons.into_iter().take(shown) {
            let text = format!("{}\u{a0}{reason}: {}", number(cost.handshakes), price(cost));
            self.paragraph(13, "", self.style.name, &text)?;
        }
        Ok(())
    }
}

/// Round trips, time, bytes and what the servers computed.
fn price(cost: &Avoidable) -> String {
    let least = |unknown| if unknown > 0 { "at least " } else { "" };
    let mut parts = Vec::new();
    if cost.round_trips == 0 {
        parts.push("no extra round trip".to_owned());
    } else {
        parts.push(counted(cost.round_trips, "extra round trip", "extra round trips"));
        if cost.untimed < cost.round_trips {
            parts.push(format!("{}{}", least(cost.untimed), duration(cost.nanos)));
        }
    }
    if cost.unweighed < cost.handshakes {
        parts.push(format!("{}{}", least(cost.unweighed), bytes(cost.bytes)));
    }
    let paid = cost.operations().filter(|(_, count)| *count > 0);
    parts.extend(paid.map(|(operation, count)| {
        let (one, many) = names(operation);
        counted(count, one, many)
    }));
    parts.join(", ")
}

/// An operation for people, one and many.
const fn names(operation: CertificateOperation) -> (&'static str, &'static str) {
    match operation {
        CertificateOperation::RsaSignature => ("RSA signature", "RSA signatures"),
        CertificateOperation::EcSignature => ("EC signature", "EC signatures"),
        CertificateOperation::DsaSignature => ("DSA signature", "DSA signatures"),
        CertificateOperation::RsaDecryption => ("RSA decryption", "RSA decryptions"),
        CertificateOperation::KeyAgreement => ("key agreement", "key agreements"),
        CertificateOperation::Signature => ("signature", "signatures"),
    }
}

/// The server name for people.
pub(super) fn service_name(name: Option<&str>) -> String {
    name.map_or_else(|| "(no server name seen)".to_owned(), |name| printable(name, MAX_WIRE))
}

/// How sure a count is, in words; nothing where the packets say so.
fn confidence([observed, inferred, possible]: [u64; 3]) -> String {
    match (observed, inferred, possible) {
        (_, 0, 0) => String::new(),
        (0, _, 0) => "\u{a0}(inferred)".to_owned(),
        (0, 0, _) => "\u{a0}(possible)".to_owned(),
        (_, inferred, 0) => format!("\u{a0}({}\u{a0}inferred)", number(inferred)),
        (_, 0, possible) => format!("\u{a0}({}\u{a0}possible)", number(possible)),
        (_, inferred, possible) => format!(
            "\u{a0}({}\u{a0}inferred, {}\u{a0}possible)",
            number(inferred),
            number(possible)
        ),
    }
}
