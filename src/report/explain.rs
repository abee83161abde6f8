//! A reason of the catalogue as text, Markdown or JSON. `docs/reasons.md` is [`book`], word for word.

use std::io::{self, Write};

use serde::Serialize;

use crate::verdict::reasons::Stage;
use crate::verdict::{CATALOG, Reason};

/// Columns of running text.
const WIDTH: usize = 96;
/// Names that an unknown one is answered with.
const MAX_NEAREST: usize = 3;
/// How alike two names must be to be near (Jaro-Winkler, 0 to 1).
const NEAR: f64 = 0.75;

/// Every reason with its summary, by stage.
///
/// # Errors
/// Those of `out`.
pub fn list(out: &mut dyn Write) -> io::Result<()> {
    let width = CATALOG.iter().map(|reason| reason.name.len()).max().unwrap_or(0);
    for (index, (stage, reasons)) in by_stage().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        writeln!(out, "{}", title(stage))?;
        for reason in reasons {
            writeln!(out, "  {:width$}  {}", reason.name, reason.summary)?;
        }
    }
    writeln!(out, "\nIn full: reshake explain NAME")
}

/// One reason for the terminal.
///
/// # Errors
/// Those of `out`.
pub fn text(reason: &Reason, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}: {}", reason.name, reason.summary)?;
    for paragraph in paragraphs(reason) {
        match paragraph.strip_prefix("## ") {
            Some(heading) => writeln!(out, "\n{heading}")?,
            None => indented(&paragraph, out)?,
        }
    }
    writeln!(out, "\nWhat to do")?;
    indented(&format!("{}.", capitalised(reason.advice)), out)?;
    indented(&format!("Who can act: {}.", reason.actor.code()), out)?;
    if !reason.spec.is_empty() {
        writeln!(out, "\nRests on")?;
        indented(&citations(reason).join(", "), out)?;
    }
    writeln!(out, "\nKnown since version {}.", reason.since)
}

/// One reason as Markdown under a heading of the given level.
///
/// # Errors
/// Those of `out`.
pub fn markdown(reason: &Reason, level: usize, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{} {}\n", "#".repeat(level), reason.name)?;
    writeln!(out, "{}.\n", capitalised(reason.summary))?;
    for paragraph in paragraphs(reason) {
        match paragraph.strip_prefix("## ") {
            Some(heading) => writeln!(out, "**{heading}.**")?,
            None => writeln!(out, "{paragraph}\n")?,
        }
    }
    writeln!(out, "**What to do.**\n{}.\n", capitalised(reason.advice))?;
    write!(out, "Who can act: {}.", reason.actor.code())?;
    if !reason.spec.is_empty() {
        write!(out, " Rests on {}.", citations(reason).join(", "))?;
    }
    writeln!(out, " Since {}.", reason.since)
}

/// The whole catalogue as one page.
///
/// # Errors
/// Those of `out`.
pub fn book(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "# Reasons\n")?;
    writeln!(
        out,
        "<!-- Made by `reshake explain --format markdown`; a test compares. UPDATE=1 cargo test rewrites it. -->\n"
    )?;
    writeln!(
        out,
        "What reshake can say about a connection that did not resume. `observed`: the packets say so. `inferred`: one\n\
         explanation is left. `possible`: others remain, and the report names them.\n"
    )?;
    writeln!(out, "| reason | in short |\n|---|---|")?;
    for (_, reasons) in by_stage() {
        for reason in reasons {
            writeln!(out, "| [{0}](#{0}) | {1} |", reason.name, reason.summary)?;
        }
    }
    for (stage, reasons) in by_stage() {
        writeln!(out, "\n## {}", title(stage))?;
        for reason in reasons {
            writeln!(out)?;
            markdown(reason, 3, out)?;
        }
    }
    Ok(())
}

/// One reason as a JSON object.
///
/// # Errors
/// Those of `out`.
pub fn json(reason: &Reason, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &ReasonJson::of(reason))?;
    out.write_all(b"\n")
}

/// Every reason as a JSON array.
///
/// # Errors
/// Those of `out`.
pub fn json_list(out: &mut dyn Write) -> io::Result<()> {
    let all: Vec<ReasonJson> = CATALOG.iter().map(|reason| ReasonJson::of(reason)).collect();
    serde_json::to_writer_pretty(&mut *out, &all)?;
    out.write_all(b"\n")
}

/// The names most like an unknown one, best first.
#[must_use]
pub fn nearest(name: &str) -> Vec<&'static str> {
    let name = name.to_lowercase();
    let mut near: Vec<(f64, &'static str)> = CATALOG
        .iter()
        .map(|reason| {
            let part = name.len() > 2 && reason.name.contains(name.as_str());
            let alike = strsim::jaro_winkler(&name, reason.name);
            (if part { 1.0 } else { alike }, reason.name)
        })
        .filter(|(alike, _)| *alike >= NEAR)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    near.into_iter().map(|(_, name)| name).take(MAX_NEAREST).collect()
}

#[derive(Serialize)]
struct ReasonJson {
    name: &'static str,
    since: &'static str,
    summary: &'static str,
    advice: &'static str,
    actor: &'static str,
    spec: Vec<String>,
    markdown: String,
}

impl ReasonJson {
    fn of(reason: &Reason) -> Self {
        Self {
            name: reason.name,
            since: reason.since,
            summary: reason.summary,
            advice: reason.advice,
            actor: reason.actor.code(),
            spec: citations(reason),
            markdown: lines(reason).collect::<Vec<_>>().join("\n"),
        }
    }
}

/// Stages in the order in which they are shown, each with its reasons.
fn by_stage() -> impl Iterator<Item = (Stage, Vec<&'static Reason>)> {
    const STAGES: [Stage; 6] = [
        Stage::NothingOffered,
        Stage::Protocol,
        Stage::Inferred,
        Stage::Unexplained,
        Stage::NoVerdict,
        Stage::NotVisible,
    ];
    STAGES.into_iter().filter_map(|stage| {
        let reasons: Vec<&'static Reason> = CATALOG.iter().copied().filter(|reason| reason.stage == stage).collect();
        (!reasons.is_empty()).then_some((stage, reasons))
    })
}

const fn title(stage: Stage) -> &'static str {
    match stage {
        Stage::NothingOffered => "Nothing was offered",
        Stage::Protocol => "Refused, and the protocol shows why",
        Stage::Inferred => "Refused, and the cause is concluded",
        Stage::Unexplained => "Refused, and the capture does not say why",
        Stage::NoVerdict => "The handshake failed",
        Stage::NotVisible => "The capture does not show it",
    }
}

fn citations(reason: &Reason) -> Vec<String> {
    reason.spec.iter().map(ToString::to_string).collect()
}

/// The text as written, without the space that a doc comment puts before each line.
fn lines(reason: &Reason) -> impl Iterator<Item = &'static str> {
    reason.text.lines().map(|line| line.strip_prefix(' ').unwrap_or(line))
}

/// Headings and paragraphs, each on one line.
fn paragraphs(reason: &Reason) -> Vec<String> {
    let mut paragraphs: Vec<String> = vec![String::new()];
    for line in lines(reason) {
        let last = paragraphs.last_mut();
        match last {
            Some(last) if !line.is_empty() && !line.starts_with('#') && !last.is_empty() && !last.starts_with('#') => {
                last.push(' ');
                last.push_str(line);
            }
            _ => paragraphs.push(line.to_owned()),
        }
    }
    paragraphs.retain(|paragraph| !paragraph.is_empty());
    paragraphs
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn indented(paragraph: &str, out: &mut dyn Write) -> io::Result<()> {
    for line in super::text::wrap(paragraph, WIDTH - 4) {
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
    fn every_reason_is_listed_and_explained() {
        let list = made(list);
        for reason in CATALOG {
            assert!(list.contains(reason.name), "{}", reason.name);
            let text = made(|out| super::text(reason, out));
            for part in ["What it means", "How we know", "What to do"] {
                assert!(text.contains(part), "{}: {part}", reason.name);
            }
            assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
            let json: serde_json::Value = serde_json::from_str(&made(|out| super::json(reason, out))).expect("JSON");
            assert_eq!(json["name"], reason.name);
        }
    }

    #[test]
    fn an_unknown_name_gets_those_near_it() {
        assert_eq!(nearest("rejected-unexplaned").first(), Some(&"rejected-unexplained"));
        assert!(nearest("parallel").contains(&"no-credential-yet-parallel"));
        assert!(nearest("zzz").is_empty());
    }
}
