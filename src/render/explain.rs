//! A reason, pattern or finding of the catalogues as text, Markdown or JSON. `docs/reasons.md` is [`book`], word for word.

use std::io::{self, Write};

use serde::Serialize;

use reshake_core::diagnosis::rules::RuleStage;
use reshake_core::diagnosis::security::{FINDINGS, FindingKind};
use reshake_core::diagnosis::service::{PATTERNS, PatternKind};
use reshake_core::diagnosis::{CATALOG, Reason};

/// Columns of running text.
const WIDTH: usize = 96;

/// What can be explained: a reason of one connection, a pattern of a whole service, or a security finding of one.
#[derive(Debug, Clone, Copy)]
pub enum CatalogueEntry {
    /// A reason.
    Reason(&'static Reason),
    /// A pattern.
    Pattern(&'static PatternKind),
    /// A security finding.
    Finding(&'static FindingKind),
}

impl CatalogueEntry {
    /// Everything: reasons, patterns, findings.
    pub fn all() -> impl Iterator<Item = Self> {
        let reasons = CATALOG.iter().copied().map(Self::Reason);
        reasons
            .chain(PATTERNS.iter().map(Self::Pattern))
            .chain(FINDINGS.iter().copied().map(Self::Finding))
    }

    /// The reason, pattern or finding with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::all().find(|entry| entry.name() == name)
    }

    /// "reason", "pattern" or "finding".
    const fn kind(self) -> &'static str {
        match self {
            Self::Reason(_) => "reason",
            Self::Pattern(_) => "pattern",
            Self::Finding(_) => "finding",
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reason(reason) => reason.name,
            Self::Pattern(kind) => kind.name,
            Self::Finding(kind) => kind.name,
        }
    }

    /// What it says in general.
    #[must_use]
    pub const fn summary(self) -> &'static str {
        match self {
            Self::Reason(reason) => reason.summary,
            Self::Pattern(kind) => kind.summary,
            Self::Finding(kind) => kind.summary,
        }
    }

    const fn advice(self) -> &'static str {
        match self {
            Self::Reason(reason) => reason.advice,
            Self::Pattern(kind) => kind.advice,
            Self::Finding(kind) => kind.advice,
        }
    }

    const fn since(self) -> &'static str {
        match self {
            Self::Reason(reason) => reason.since,
            Self::Pattern(kind) => kind.since,
            Self::Finding(kind) => kind.since,
        }
    }

    const fn body(self) -> &'static str {
        match self {
            Self::Reason(reason) => reason.text,
            Self::Pattern(kind) => kind.text,
            Self::Finding(kind) => kind.text,
        }
    }

    const fn actor(self) -> Option<&'static str> {
        match self {
            Self::Reason(reason) => Some(reason.actor.code()),
            Self::Pattern(_) | Self::Finding(_) => None,
        }
    }

    const fn severity(self) -> Option<&'static str> {
        match self {
            Self::Reason(_) | Self::Pattern(_) => None,
            Self::Finding(kind) => Some(kind.severity.code()),
        }
    }

    fn citations(self) -> Vec<String> {
        match self {
            Self::Reason(reason) => reason.spec.iter().map(ToString::to_string).collect(),
            Self::Pattern(_) => Vec::new(),
            Self::Finding(kind) => kind.spec.iter().map(ToString::to_string).collect(),
        }
    }

    /// The text as written, without the space that a doc comment puts before each line.
    fn lines(self) -> impl Iterator<Item = &'static str> {
        self.body().lines().map(|line| line.strip_prefix(' ').unwrap_or(line))
    }

    /// Headings and paragraphs, each on one line.
    fn paragraphs(self) -> Vec<String> {
        let mut paragraphs: Vec<String> = vec![String::new()];
        for line in self.lines() {
            let last = paragraphs.last_mut();
            match last {
                Some(last)
                    if !line.is_empty() && !line.starts_with('#') && !last.is_empty() && !last.starts_with('#') =>
                {
                    last.push(' ');
                    last.push_str(line);
                }
                _ => paragraphs.push(line.to_owned()),
            }
        }
        paragraphs.retain(|paragraph| !paragraph.is_empty());
        paragraphs
    }
}

/// Heading of the patterns.
const PATTERNS_TITLE: &str = "Patterns: what a service as a whole shows";
/// Heading of the findings.
const FINDINGS_TITLE: &str = "Security findings: what a review of a service would want to know";

/// Everything with its summary: reasons by stage, patterns, findings.
///
/// # Errors
/// Those of `out`.
pub fn list(out: &mut dyn Write) -> io::Result<()> {
    let width = CatalogueEntry::all().map(|entry| entry.name().len()).max().unwrap_or(0);
    for (title, entries) in parts() {
        writeln!(out, "{title}")?;
        for entry in entries {
            writeln!(out, "  {:width$}  {}", entry.name(), entry.summary())?;
        }
        writeln!(out)?;
    }
    writeln!(out, "In full: reshake explain NAME")
}

/// One entry for the terminal.
///
/// # Errors
/// Those of `out`.
pub fn text(entry: CatalogueEntry, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}: {}", entry.name(), entry.summary())?;
    for paragraph in entry.paragraphs() {
        match paragraph.strip_prefix("## ") {
            Some(heading) => writeln!(out, "\n{heading}")?,
            None => indented(&paragraph, out)?,
        }
    }
    writeln!(out, "\nWhat to do")?;
    indented(&format!("{}.", capitalised(entry.advice())), out)?;
    if let Some(actor) = entry.actor() {
        indented(&format!("Who can act: {actor}."), out)?;
    }
    if let Some(severity) = entry.severity() {
        indented(&format!("Severity: {severity}."), out)?;
    }
    let citations = entry.citations();
    if !citations.is_empty() {
        writeln!(out, "\nRests on")?;
        indented(&citations.join(", "), out)?;
    }
    writeln!(out, "\nKnown since version {}.", entry.since())
}

/// One entry as Markdown under a heading of the given level.
///
/// # Errors
/// Those of `out`.
pub fn markdown(entry: CatalogueEntry, level: usize, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{} {}\n", "#".repeat(level), entry.name())?;
    writeln!(out, "{}.\n", capitalised(entry.summary()))?;
    for paragraph in entry.paragraphs() {
        match paragraph.strip_prefix("## ") {
            Some(heading) => writeln!(out, "**{heading}.**")?,
            None => writeln!(out, "{paragraph}\n")?,
        }
    }
    writeln!(out, "**What to do.**\n{}.\n", capitalised(entry.advice()))?;
    if let Some(actor) = entry.actor() {
        write!(out, "Who can act: {actor}. ")?;
    }
    if let Some(severity) = entry.severity() {
        write!(out, "Severity: {severity}. ")?;
    }
    let citations = entry.citations();
    if !citations.is_empty() {
        write!(out, "Rests on {}. ", citations.join(", "))?;
    }
    writeln!(out, "Since {}.", entry.since())
}

/// The whole catalogue as one page.
///
/// # Errors
/// Those of `out`.
pub fn book(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "# Reasons, patterns and findings\n")?;
    writeln!(
        out,
        "<!-- Made by `reshake explain --format markdown`; a test compares. UPDATE=1 cargo test rewrites it. -->\n"
    )?;
    writeln!(
        out,
        "What reshake can say about a connection that did not resume, about a service as a whole, and about its security.\n\
         `observed`: the packets say so. `inferred`: one explanation is left. `possible`: others remain, and the report\n\
         names them.\n"
    )?;
    for kind in ["reason", "pattern", "finding"] {
        writeln!(out, "| {kind} | in short |\n|---|---|")?;
        for entry in parts()
            .flat_map(|(_, entries)| entries)
            .filter(|entry| entry.kind() == kind)
        {
            writeln!(out, "| [{0}](#{0}) | {1} |", entry.name(), entry.summary())?;
        }
        writeln!(out)?;
    }
    for (index, (title, entries)) in parts().enumerate() {
        writeln!(out, "{}## {title}", if index > 0 { "\n" } else { "" })?;
        for entry in entries {
            writeln!(out)?;
            markdown(entry, 3, out)?;
        }
    }
    Ok(())
}

/// One entry as a JSON object.
///
/// # Errors
/// Those of `out`.
pub fn json(entry: CatalogueEntry, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &EntryJson::of(entry))?;
    out.write_all(b"\n")
}

/// Everything as a JSON array.
///
/// # Errors
/// Those of `out`.
pub fn json_list(out: &mut dyn Write) -> io::Result<()> {
    let all: Vec<EntryJson> = CatalogueEntry::all().map(EntryJson::of).collect();
    serde_json::to_writer_pretty(&mut *out, &all)?;
    out.write_all(b"\n")
}

/// What is said of a name that none of them has.
#[must_use]
pub fn unknown(name: &str) -> String {
    let hint = match crate::wording::did_you_mean(name, CatalogueEntry::all().map(CatalogueEntry::name)) {
        Some(hint) => format!("{hint} ('reshake explain' lists them all)"),
        None => "'reshake explain' lists them all".to_owned(),
    };
    format!("no reason, pattern or finding is called '{name}'; {hint}")
}

#[derive(Serialize)]
struct EntryJson {
    kind: &'static str,
    name: &'static str,
    since: &'static str,
    summary: &'static str,
    advice: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<&'static str>,
    spec: Vec<String>,
    markdown: String,
}

impl EntryJson {
    fn of(entry: CatalogueEntry) -> Self {
        Self {
            kind: entry.kind(),
            name: entry.name(),
            since: entry.since(),
            summary: entry.summary(),
            advice: entry.advice(),
            actor: entry.actor(),
            severity: entry.severity(),
            spec: entry.citations(),
            markdown: entry.lines().collect::<Vec<_>>().join("\n"),
        }
    }
}

/// Titles with what stands below them: reasons by stage, patterns, findings.
fn parts() -> impl Iterator<Item = (&'static str, Vec<CatalogueEntry>)> {
    by_stage()
        .map(|(stage, reasons)| (title(stage), reasons.into_iter().map(CatalogueEntry::Reason).collect()))
        .chain([
            (PATTERNS_TITLE, PATTERNS.iter().map(CatalogueEntry::Pattern).collect()),
            (
                FINDINGS_TITLE,
                FINDINGS.iter().copied().map(CatalogueEntry::Finding).collect(),
            ),
        ])
}

/// Stages in the order in which they are shown, each with its reasons.
fn by_stage() -> impl Iterator<Item = (RuleStage, Vec<&'static Reason>)> {
    const STAGES: [RuleStage; 6] = [
        RuleStage::NothingOffered,
        RuleStage::Protocol,
        RuleStage::Inferred,
        RuleStage::Unexplained,
        RuleStage::NoVerdict,
        RuleStage::NotVisible,
    ];
    STAGES.into_iter().filter_map(|stage| {
        let reasons: Vec<&'static Reason> = CATALOG.iter().copied().filter(|reason| reason.stage == stage).collect();
        (!reasons.is_empty()).then_some((stage, reasons))
    })
}

const fn title(stage: RuleStage) -> &'static str {
    match stage {
        RuleStage::NothingOffered => "Nothing was offered",
        RuleStage::Protocol => "Refused, and the protocol shows why",
        RuleStage::Inferred => "Refused, and the cause is concluded",
        RuleStage::Unexplained => "Refused, and the capture does not say why",
        RuleStage::NoVerdict => "The handshake failed",
        RuleStage::NotVisible => "The capture does not show it",
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn indented(paragraph: &str, out: &mut dyn Write) -> io::Result<()> {
    for line in crate::wording::wrap(paragraph, WIDTH - 4) {
        writeln!(out, "    {line}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out).expect("a vector takes everything");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn the_page_of_reasons_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reasons.md");
        let page = made(book);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &page).expect("docs can be written");
        }
        let there = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            there == page,
            "docs/reasons.md is not what the catalogue says; UPDATE=1 cargo test rewrites it"
        );
    }

    #[test]
    fn every_reason_pattern_and_finding_is_listed_and_explained() {
        let list = made(list);
        for entry in CatalogueEntry::all() {
            assert!(list.contains(entry.name()), "{}", entry.name());
            let text = made(|out| super::text(entry, out));
            for part in ["What it means", "How we know", "What to do"] {
                assert!(text.contains(part), "{}: {part}", entry.name());
            }
            assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
            let json: serde_json::Value = serde_json::from_str(&made(|out| super::json(entry, out))).expect("JSON");
            assert_eq!(json["name"], entry.name());
        }
    }

    #[test]
    fn an_unknown_name_gets_those_near_it() {
        assert!(unknown("rejected-unexplaned").contains("did you mean 'rejected-unexplained'"));
        assert!(unknown("parallel").contains("'no-credential-yet-parallel'"));
        assert!(unknown("fail-over").contains("'failover'"));
        assert!(!unknown("zzz").contains("did you mean"));
    }
}
