//! What service analysis says of a service: machines, cache domains, ticket keys, and patterns with the contrast behind them.

use std::io::{self, Write};

use anstyle::Style;

use super::{Page, paint};
use crate::model::view::service::is_named;
use crate::wording::printable;
use crate::wording::{counted, number};
use reshake_core::diagnosis::explanations::Kind;
use reshake_core::diagnosis::service::{
    ContingencyTable, Exchange, KeyTimeline, Label, Pattern, PatternKind, ServiceAnalysis,
};
use reshake_core::diagnosis::{Confidence, Evidence};
use reshake_core::net::{FrameRef, Timestamp, hex};

/// Ticket keys and cache domains listed without `--all`.
const MAX_LISTED: usize = 4;
/// Frames named for a pattern.
const MAX_FRAMES: usize = 6;
/// Longest sentence of a pattern.
pub(super) const MAX_SENTENCE: usize = 300;
/// Digits of a key name that tell it from the others of a service.
const KEY_DIGITS: usize = 8;
/// Sharing the keys also answers that state is not shared: it is not said twice.
const KEYS: &str = "ticket-keys-not-shared";
const STATE: &str = "session-state-not-shared";
/// Least width of the names in a contrast.
const NAMES: usize = 16;

impl Page<'_, '_> {
    /// The part of a service between its name and its reasons.
    pub(super) fn analyses(
        &mut self,
        analysis: &ServiceAnalysis,
        answered: bool,
        advised: &mut Vec<&'static str>,
    ) -> io::Result<()> {
        let mut patterns: Vec<&Pattern> = analysis.patterns.iter().collect();
        patterns.sort_by_key(|pattern| std::cmp::Reverse(pattern.confidence));
        let surest = patterns.first().map(|pattern| pattern.confidence);
        for pattern in &patterns {
            let beside = surest > Some(Confidence::Possible) && pattern.confidence == Confidence::Possible;
            if beside && !self.all {
                // What is only possible beside something that is sure is worth a line.
                self.in_short(pattern)?;
                continue;
            }
            self.pattern(pattern, answered, advised)?;
        }
        if !patterns.iter().any(|pattern| pattern.contrast.is_some()) {
            self.too_few(analysis)?;
        }
        self.domains(&analysis.domains)?;
        self.exchanges(&analysis.exchanges)?;
        self.ticket_keys(&analysis.keys)
    }

    fn in_short(&mut self, pattern: &Pattern) -> io::Result<()> {
        let headline = PatternKind::by_name(pattern.name).map_or(pattern.name, |kind| kind.summary);
        let name = paint(self.style.faint, headline);
        writeln!(self.out, "  {name}   possible: --all")
    }

    fn pattern(&mut self, pattern: &Pattern, answered: bool, advised: &mut Vec<&'static str>) -> io::Result<()> {
        let headline = PatternKind::by_name(pattern.name).map_or(pattern.name, |kind| kind.summary);
        let name = paint(self.style.bad, headline);
        let mut sure = pattern.confidence.code().to_owned();
        if let Some(contrast) = pattern.contrast.as_ref().filter(|contrast| contrast.compares()) {
            sure.push_str(", ");
            sure.push_str(&chance(contrast.p_value));
        }
        if let Some(cause) = pattern.follows_from {
            let headline = PatternKind::by_name(cause).map_or(cause, |kind| kind.summary);
            if !self.all {
                // Its proof and advice are those of its cause.
                return writeln!(self.out, "  {name}   follows from: {headline}");
            }
            sure.push_str("; follows from: ");
            sure.push_str(headline);
        }
        writeln!(self.out, "  {name}   {sure}")?;
        let contrast = pattern.contrast.as_ref();
        if let Some(contrast) = contrast.filter(|contrast| contrast.rows.iter().any(|row| is_named(row))) {
            self.contrast(contrast)?;
        } else {
            let summary = printable(&pattern.summary, MAX_SENTENCE);
            self.paragraph(6, "", Style::new(), &summary)?;
        }
        self.frames(&pattern.evidence)?;
        if !pattern.remaining.is_empty() {
            let names = pattern
                .remaining
                .iter()
                .map(|name| PatternKind::by_name(name).map_or(*name, |kind| kind.summary));
            let names: Vec<&str> = names.collect();
            self.paragraph(6, "or: ", self.style.note, &names.join("; or "))?;
        }
        if let Some(settles) = pattern.to_settle() {
            self.paragraph(6, "would settle it: ", self.style.note, settles)?;
        }
        let same_remedy = pattern.name == STATE && advised.contains(&KEYS);
        if advised.contains(&pattern.name) || same_remedy {
            return Ok(());
        }
        advised.push(pattern.name);
        // What to do stands above, in the answer.
        if answered && !self.all {
            let pointer = format!("reshake\u{a0}explain\u{a0}{}", pattern.name);
            return self.paragraph(6, "more: ", self.style.advice, &pointer);
        }
        let advice = PatternKind::by_name(pattern.name).map_or(pattern.advice, |kind| kind.advice);
        let text = format!("{advice}   (reshake\u{a0}explain\u{a0}{})", pattern.name);
        self.paragraph(6, "do: ", self.style.advice, &text)
    }

    /// Frames that show it, those with the same meaning together.
    pub(super) fn frames(&mut self, evidence: &[Evidence]) -> io::Result<()> {
        let mut told: Vec<(&str, Vec<FrameRef>)> = Vec::new();
        for seen in evidence.iter().take(MAX_FRAMES) {
            match told.iter_mut().find(|(text, _)| *text == seen.text) {
                Some((_, frames)) => frames.push(seen.frame),
                None => told.push((&seen.text, vec![seen.frame])),
            }
        }
        for (text, frames) in told {
            let label = if frames.len() == 1 { "frame " } else { "frames " };
            let frames: Vec<String> = frames.into_iter().map(|frame| self.frame(frame)).collect();
            let text = format!("{}: {}", frames.join(", "), printable(text, MAX_SENTENCE));
            self.paragraph(6, label, Style::new(), &text)?;
        }
        Ok(())
    }

    fn contrast(&mut self, contrast: &ContingencyTable) -> io::Result<()> {
        let counts = contrast.counts.as_flattened();
        let digits = counts.iter().map(|count| number(*count).len()).max().unwrap_or(0);
        let names = contrast
            .rows
            .iter()
            .map(|row| row.chars().count())
            .max()
            .unwrap_or(0)
            .max(NAMES);
        let rows = contrast.rows.iter().zip(contrast.counts);
        let [well, ill] = contrast.columns;
        for (row, [so_many, others]) in rows.filter(|(row, _)| is_named(row)) {
            let (so_many, others) = (number(so_many), number(others));
            writeln!(
                self.out,
                "      {row:names$}  {so_many:>digits$} {well}   {others:>digits$} {ill}"
            )?;
        }
        Ok(())
    }

    /// A contrast between backends that points somewhere and proves nothing yet.
    fn too_few(&mut self, analysis: &ServiceAnalysis) -> io::Result<()> {
        let Some(contrast) = analysis.contrast(Kind::OtherMachine) else {
            return Ok(());
        };
        let [[same, _], [_, declined]] = contrast.counts;
        if same == 0 || declined == 0 {
            return Ok(());
        }
        let text = format!(
            "sessions by backend   too few to conclude, {}",
            chance(contrast.p_value)
        );
        writeln!(self.out, "  {text}")?;
        self.contrast(&contrast)
    }

    /// Cache domains, where there are several.
    fn domains(&mut self, domains: &[Label]) -> io::Result<()> {
        if domains.len() < 2 {
            return Ok(());
        }
        let shown = self.most(domains.len());
        let mut parts: Vec<String> = domains
            .iter()
            .take(shown)
            .map(|domain| {
                let because = match domain.because.as_slice() {
                    [] => String::new(),
                    because => format!(" ({})", printable(&because.join(", "), MAX_SENTENCE)),
                };
                let connections = counted(domain.connections, "connection", "connections");
                format!("{}: {connections}{because}", domain.label)
            })
            .collect();
        if let Some(more) = domains.len().checked_sub(shown).filter(|more| *more > 0) {
            parts.push(format!("… {} more: --all", number(more as u64)));
        }
        self.paragraph(2, "caches     ", self.style.name, &parts.join("   "))
    }

    /// Who was offered whose sessions: where there are only two the contrast says it.
    fn exchanges(&mut self, exchanges: &[Exchange]) -> io::Result<()> {
        if !self.all || exchanges.is_empty() {
            return Ok(());
        }
        let heading = paint(self.style.name, "sessions");
        writeln!(self.out, "  {heading}   resumed  declined   issued by, offered to")?;
        for exchange in exchanges {
            let [resumed, declined] = [exchange.resumed, exchange.declined].map(number);
            let (issuer, acceptor) = (&exchange.issuer, &exchange.acceptor);
            writeln!(
                self.out,
                "             {resumed:>7}  {declined:>8}   {issuer}, {acceptor}"
            )?;
        }
        Ok(())
    }

    /// Ticket keys, where there are several.
    fn ticket_keys(&mut self, keys: &[KeyTimeline]) -> io::Result<()> {
        if keys.len() < 2 {
            return Ok(());
        }
        let heading = paint(self.style.name, "ticket key");
        let at_work = self.times.key_heading();
        writeln!(self.out, "  {heading}   issued  accepted  declined   {at_work}")?;
        let shown = self.most(keys.len());
        for key in keys.iter().take(shown) {
            let mut name = hex(key.name.bytes());
            if name.len() > KEY_DIGITS {
                name.truncate(KEY_DIGITS);
                name.push('…');
            }
            let start = self.report.first_time().unwrap_or(Timestamp::from_nanos(0));
            let clock = |time| self.times.of_key(time, start);
            let alive = match key.alive {
                Some((first, last)) => format!("{} to {}", clock(first), clock(last)),
                None => "never seen at work".to_owned(),
            };
            let [issued, accepted, declined] = [key.issues, key.accepted, key.declined].map(number);
            writeln!(
                self.out,
                "  {name:10}   {issued:>6}  {accepted:>8}  {declined:>8}   {alive}"
            )?;
        }
        match keys.len().saturating_sub(shown) {
            0 => Ok(()),
            more => writeln!(self.out, "  … {} more: --all", number(more as u64)),
        }
    }

    fn most(&self, all: usize) -> usize {
        if self.all { all } else { all.min(MAX_LISTED) }
    }
}

/// Machines on one line: "2 backends told apart (TTL 63 / 61, TCP timestamps on / off)".
pub(super) fn backends(machines: &[Label]) -> Option<String> {
    if machines.len() < 2 {
        return None;
    }
    let marks = marks(machines);
    let because = if marks.is_empty() {
        String::new()
    } else {
        format!(" ({})", printable(&marks.join(", "), MAX_SENTENCE))
    };
    Some(format!("{} backends told apart{because}", machines.len()))
}

/// Marks of the same kind side by side: their common beginning once, then what differs.
fn marks(machines: &[Label]) -> Vec<String> {
    const MAX_SHOWN: usize = 4;
    let kinds = machines.iter().map(|machine| machine.because.len()).min().unwrap_or(0);
    let kind = |index: usize| {
        let marks: Vec<&str> = machines
            .iter()
            .filter_map(|machine| machine.because.get(index))
            .map(String::as_str)
            .collect();
        let first = marks.first()?;
        let mut common = 0;
        for (at, _) in first.match_indices(' ') {
            if marks.iter().all(|mark| mark.get(..=at) == first.get(..=at)) {
                common = at + 1;
            }
        }
        let mut tails: Vec<&str> = marks.iter().filter_map(|mark| mark.get(common..)).collect();
        if tails.len() > MAX_SHOWN {
            tails.truncate(MAX_SHOWN);
            tails.push("…");
        }
        let beginning = first.get(..common)?;
        Some(format!("{beginning}{}", tails.join(" / ")))
    };
    (0..kinds).filter_map(kind).collect()
}

/// How likely the table is by chance.
fn chance(p_value: f64) -> String {
    if p_value < 0.001 {
        "p < 0.001".to_owned()
    } else if p_value < 0.1 {
        format!("p = {p_value:.3}")
    } else {
        format!("p = {p_value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(because: &[&str]) -> Label {
        Label {
            label: String::new(),
            connections: 1,
            because: because.iter().map(|mark| (*mark).to_owned()).collect(),
        }
    }

    #[test]
    fn marks_of_backends_stand_side_by_side() {
        let machines = [
            machine(&["server TTL 63", "TCP timestamps on"]),
            machine(&["server TTL 61", "TCP timestamps off"]),
        ];
        assert_eq!(
            backends(&machines).as_deref(),
            Some("2 backends told apart (server TTL 63 / 61, TCP timestamps on / off)")
        );
        let unlike = [machine(&["x"]), machine(&["server TTL 1"]), machine(&[])];
        assert_eq!(backends(&unlike).as_deref(), Some("3 backends told apart"));
        assert_eq!(backends(machines.get(..1).unwrap_or_default()), None);
    }

    #[test]
    fn chances_are_never_shown_as_nought() {
        assert_eq!(
            [chance(1e-9), chance(0.0119), chance(0.333)],
            ["p < 0.001", "p = 0.012", "p = 0.33"]
        );
    }
}
