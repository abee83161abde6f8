//! A verdict in words: what was required, what was found, where, by whom it is proven, and how to see it again.
//!
//! These are plain strings; whoever writes them out escapes them as the form of the output wants it.

use std::fmt::Write as _;
use std::path::Path;

use super::{Asked, Check, advice};
use crate::check::interval::Ratio;
use crate::check::{Area, EarlyDataRule, Fraction, Measured, Polarity, Proof, Requirement, Rule, Verdict};
use crate::model::connection_id;
use crate::wording::{counted, duration, number};
use crate::wording::{prefixes, target};
use reshake_core::diagnosis::Evidence;
use reshake_core::session::Service;

/// A verdict in words.
pub(super) struct VerdictText<'c> {
    pub(super) verdict: &'c Verdict,
    /// "min-resumption-rate", "forbid-reason stek-not-shared".
    pub(super) title: String,
    pub(super) area: String,
    pub(super) required: String,
    pub(super) found: String,
    pub(super) origin: String,
    pub(super) proofs: Vec<ToldProof<'c>>,
    /// Proofs beyond those shown.
    pub(super) more: u64,
    /// What to do; only of a violated rule.
    pub(super) advice: Vec<String>,
    /// A command that shows it; only of a violated rule.
    pub(super) reproduce: Option<String>,
}

/// A proof in words.
pub(super) struct ToldProof<'c> {
    pub(super) proof: &'c Proof,
    /// "10.0.0.1:5000 → a.test (10.0.0.2:443)", or a service.
    pub(super) title: String,
    /// "reason (confidence): summary", or what else is said.
    pub(super) says: String,
    /// Frames, "17" or "name:17", with what they show.
    pub(super) frames: Vec<(String, String)>,
}

impl<'c> VerdictText<'c> {
    /// All verdicts, in the order of the rules.
    pub(super) fn all(check: &'c Check<'_, '_>) -> Vec<Self> {
        let prefixes = prefixes(&check.report.captures);
        let told = |verdict| Self::of(check, verdict, &prefixes);
        check.verdicts.iter().map(told).collect()
    }

    fn of(check: &'c Check<'_, '_>, verdict: &'c Verdict, prefixes: &[String]) -> Self {
        let proofs = verdict.proofs.iter();
        Self {
            verdict,
            title: title(&verdict.rule),
            area: area(&verdict.area),
            required: required(&verdict.rule.demand),
            found: found(&verdict.rule.demand, &verdict.found),
            origin: verdict.rule.origin.to_string(),
            proofs: proofs.map(|proof| ToldProof::of(check, proof, prefixes)).collect(),
            advice: advice::of(check, verdict),
            more: verdict.proof_count.saturating_sub(verdict.proofs.len() as u64),
            // Under other names the inputs do not know these connections.
            reproduce: (!verdict.holds && !check.report.engine.is_redacted()).then(|| reproduce(check, verdict)),
        }
    }

    /// Everything that is to be read about a violated rule, a line each.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("required {}; found {}", self.required, self.found)];
        lines.extend(self.advice.iter().map(|advice| format!("do: {advice}")));
        for proof in &self.proofs {
            lines.push(format!("{}  {}", proof.title, proof.says).trim_end().to_owned());
            for (frame, text) in &proof.frames {
                lines.push(format!("  frame {frame}  {text}"));
            }
        }
        if self.more > 0 {
            lines.push(format!("… {} more", number(self.more)));
        }
        if let Some(command) = &self.reproduce {
            lines.push(format!("reproduce: {command}"));
        }
        lines
    }
}

impl<'c> ToldProof<'c> {
    fn of(check: &Check<'_, '_>, proof: &'c Proof, prefixes: &[String]) -> Self {
        let connection = proof.connection.and_then(|id| check.connection(id));
        let title = match (connection, &proof.service) {
            (Some((_, connection)), _) => {
                let name = target(connection.server, connection.server_name().map(AsRef::as_ref));
                format!("{} → {name}", connection.client)
            }
            (None, Some(service)) => service_text(service),
            (None, None) => "a connection".to_owned(),
        };
        let says = match proof.reason {
            Some((reason, confidence)) => format!("{reason} ({}): {}", confidence.code(), proof.says),
            None => proof.says.clone(),
        };
        let frame = |evidence: &Evidence| {
            let frame = evidence.frame;
            let name = match prefixes.get(usize::from(frame.capture())) {
                Some(prefix) => format!("{prefix}:{}", frame.frame()),
                None => frame.frame().to_string(),
            };
            (name, evidence.text.to_string())
        };
        let mut frames: Vec<(String, String)> = proof.evidence.iter().map(frame).collect();
        if let Some((_, connection)) = connection.filter(|_| frames.is_empty()) {
            let begins = Evidence::new(connection.transport.first(), "the connection begins");
            frames.push(frame(&begins));
        }
        Self {
            proof,
            title,
            says,
            frames,
        }
    }
}

pub(super) fn title(rule: &Rule) -> String {
    match rule.demand.of() {
        Some(of) => format!("{} {of}", rule.demand.name()),
        None => rule.demand.name().to_owned(),
    }
}

fn service_text(service: &Service) -> String {
    target(service.server, service.name.as_deref())
}

/// The connections that a verdict is about.
pub(super) fn area(area: &Area) -> String {
    match area {
        Area::All => "all connections".to_owned(),
        Area::Service(service) => format!("service {}", service_text(service)),
        Area::ServerName(Some(name)) => format!("server name {name}"),
        Area::ServerName(None) => "no server name".to_owned(),
        Area::Mechanism(mechanism) => format!("offers of a {}", mechanism.code()),
        Area::Part(terms) => format!("where {terms}"),
        Area::NoneOf(each) => format!("each {}", each.code()),
    }
}

fn share(Fraction(share): Fraction) -> String {
    per_cent(share)
}

/// To two digits behind the point: a share that is not reached must not be rounded to one that is.
fn per_cent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text} %")
}

fn required(demand: &Requirement) -> String {
    match demand {
        Requirement::MinConnections(least) => {
            format!("at least {}", counted(*least, "connection", "connections"))
        }
        Requirement::MaxUnclear(most) => format!("at most {} of the outcomes unclear", share(*most)),
        Requirement::MinResumptionRate(least) => format!("at least {} of the offers accepted", share(*least)),
        Requirement::MinReturningShare(least) => {
            format!(
                "at least {} of the handshakes of returning clients resumed",
                share(*least)
            )
        }
        Requirement::MustResume { nth, later } => {
            let later = if *later { " and every later one" } else { "" };
            format!("connection {} of each client to a service{later} resumes", number(*nth))
        }
        Requirement::Reason(Polarity::Forbid, name) => format!("no connection with {name}"),
        Requirement::Reason(Polarity::Require, name) => format!("a connection with {name}"),
        Requirement::Pattern(Polarity::Forbid, name) | Requirement::Finding(Polarity::Forbid, name) => {
            format!("no service with {name}")
        }
        Requirement::Pattern(Polarity::Require, name) | Requirement::Finding(Polarity::Require, name) => {
            format!("a service with {name}")
        }
        Requirement::MaxTicketLifetime(most) => format!("no ticket that lives longer than {}", duration(*most)),
        Requirement::MaxKeyAge(most) => format!("no ticket key in use for longer than {}", duration(*most)),
        Requirement::EarlyData(rule) => match rule {
            EarlyDataRule::Allow => "early data or none".to_owned(),
            EarlyDataRule::Forbid => "no early data accepted".to_owned(),
            EarlyDataRule::ForbidOffer => "no early data offered".to_owned(),
            EarlyDataRule::Require => "early data accepted".to_owned(),
        },
        Requirement::AllowVersion(versions) => {
            let names: Vec<String> = versions.iter().map(ToString::to_string).collect();
            format!("no version but {}", names.join(", "))
        }
        Requirement::MaxRateDrop(most) => {
            format!("a resumption rate at most {} points below the baseline", points(most.0))
        }
        Requirement::NoNewReason(allowed) if allowed.is_empty() => {
            "no reason that the baseline does not have".to_owned()
        }
        Requirement::NoNewReason(allowed) => {
            format!("no reason that the baseline does not have, but {}", allowed.join(", "))
        }
    }
}

/// Percentage points.
fn points(share: f64) -> String {
    per_cent(share).trim_end_matches(" %").to_owned()
}

fn found(demand: &Requirement, found: &Measured) -> String {
    let of = |ratio: &Ratio| {
        let share = ratio.value().map_or_else(|| "nothing".to_owned(), per_cent);
        format!("{share} ({} of {})", number(ratio.part), number(ratio.whole))
    };
    match found {
        Measured::Nothing(why) => why.clone(),
        Measured::Count(count) => counted(*count, "connection", "connections"),
        Measured::Services(count) => counted(*count, "service", "services"),
        Measured::Ratio(ratio) => of(ratio),
        Measured::Cases(ratio) => {
            let does = match demand {
                Requirement::MustResume { .. } => " without resumption",
                Requirement::AllowVersion(_) => " with another version",
                _ => "",
            };
            let whole = counted(ratio.whole, "connection", "connections");
            format!("{} of {whole}{does}", number(ratio.part))
        }
        Measured::Longest(nanos) => duration(*nanos),
        Measured::Rates(before, now) => format!("{}, before {}", of(now), of(before)),
        Measured::Names(names) if names.is_empty() => "none".to_owned(),
        Measured::Names(names) => names.join(", "),
    }
}

/// A command that shows what proves a violation.
fn reproduce(check: &Check<'_, '_>, verdict: &Verdict) -> String {
    let Asked { files, keylogs, .. } = check.asked;
    let mut command = String::from("reshake analyze --all");
    for log in keylogs {
        let _ = write!(command, " --keylog {}", quoted_path(log));
    }
    if let Some(terms) = terms(check, verdict) {
        let _ = write!(command, " --where {}", quoted(&terms));
    }
    for file in files {
        let _ = write!(command, " {}", quoted_path(file));
    }
    command
}

/// Terms that select what proves a violation; where no connection does, the area.
fn terms(check: &Check<'_, '_>, verdict: &Verdict) -> Option<String> {
    let ids: Vec<String> = verdict
        .proofs
        .iter()
        .filter_map(|proof| check.connection(proof.connection?))
        .map(|(_, connection)| connection_id(connection))
        .collect();
    if !ids.is_empty() {
        return Some(format!("id:{}", ids.join(",")));
    }
    let of_service = |service: &Service| format!("server:{}", service.server);
    match (
        &verdict.area,
        verdict.proofs.first().and_then(|proof| proof.service.as_ref()),
    ) {
        (_, Some(service)) | (Area::Service(service), None) => Some(of_service(service)),
        (Area::Part(terms), None) => Some(terms.clone()),
        (Area::Mechanism(mechanism), None) => Some(format!("offered:{}", mechanism.code())),
        (Area::All | Area::ServerName(_) | Area::NoneOf(_), None) => None,
    }
}

/// A file as a word of a POSIX shell.
fn quoted_path(path: &Path) -> String {
    if let Some(path) = path.to_str() {
        return quoted(path);
    }
    // $'…' is how shells take bytes that are no text.
    let mut word = String::from("$'");
    for &byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'\'' | b'\\' => word.extend(['\\', char::from(byte)]),
            b' '..=b'~' => word.push(char::from(byte)),
            _ => {
                let _ = write!(word, "\\x{byte:02x}");
            }
        }
    }
    word.push('\'');
    word
}

/// A word of a POSIX shell.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:,+@%".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_that_is_not_reached_is_not_rounded_to_one_that_is() {
        assert_eq!(per_cent(0.9), "90 %");
        assert_eq!(per_cent(0.8996), "89.96 %");
        assert_eq!(per_cent(1.0 / 3.0), "33.33 %");
        assert_eq!(per_cent(0.0), "0 %");
    }

    #[test]
    fn words_of_a_command_are_quoted_where_they_must_be() {
        assert_eq!(quoted("a-b/c.pcap"), "a-b/c.pcap");
        assert_eq!(quoted("a b'c"), "'a b'\\''c'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("$(x)"), "'$(x)'");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_whose_name_is_no_utf8_can_be_pasted_into_a_shell() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt as _;

        let path = |name: &'static [u8]| quoted_path(Path::new(OsStr::from_bytes(name)));
        assert_eq!(path(b"a b"), "'a b'");
        assert_eq!(path(b"caf\xe9's\\ a.pcap"), r"$'caf\xe9\'s\\ a.pcap'");
    }
}
