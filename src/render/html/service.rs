//! One service: what is wrong with it, how its clients' sessions went from backend to backend, its keys.

use std::io;

use super::{HtmlPage, dash, escape};
use crate::model::document::{ReportDocument, ServiceSummary};
use crate::model::view::service::{FindingView, Group, PatternView};
use crate::model::view::{FrameLabel, counted, number};

impl HtmlPage<'_> {
    pub(super) fn service(
        &mut self,
        index: usize,
        part: &ServiceSummary,
        handout: &ReportDocument<'_>,
    ) -> io::Result<()> {
        let page = &part.page;
        let id = index + 1;
        writeln!(
            self.out,
            "<section class=\"service\" aria-labelledby=\"service-{id}\">\n<h2 id=\"service-{id}\">{}</h2>\n\
             <div class=\"tiles small\">",
            escape(&page.title)
        )?;
        self.tiles(&page.counts.outcomes)?;
        writeln!(self.out, "</div>")?;
        // That of a lone service stands at the top of the page.
        if handout.services.len() > 1 {
            self.answer(part)?;
        }
        for pattern in &page.patterns {
            self.pattern(pattern)?;
        }
        self.failures(&page.failures)?;
        for (place, picture) in part.swimlanes().enumerate() {
            self.swimlane(&format!("{id}-{}", place + 1), picture)?;
        }
        match page.clients.len().saturating_sub(1 + part.further.len()) {
            0 => {}
            more => {
                let more = counted(more as u64, "further client", "further clients");
                self.left_out(&format!("The sessions of {more} are not drawn"), "reshake view FILE")?;
            }
        }
        self.matrix(id, &page.exchanges)?;
        self.keys(&format!("{id}"), &page.keys, handout.span)?;
        self.groups("Backends", &page.backends)?;
        if page.domains.len() > 1 {
            self.groups("Caches: who honours whose sessions", &page.domains)?;
        }
        for finding in &page.findings {
            self.finding(finding)?;
        }
        writeln!(self.out, "</section>")
    }

    /// How handshakes failed, by who ended them.
    fn failures(&mut self, kinds: &[(String, u64, FrameLabel)]) -> io::Result<()> {
        if kinds.is_empty() {
            return Ok(());
        }
        writeln!(
            self.out,
            "<table class=\"counts\">\n<caption>How handshakes failed</caption>\n<thead><tr><th scope=\"col\">times</th>\
             <th scope=\"col\" class=\"text\">how</th><th scope=\"col\">first in frame</th></tr></thead>\n<tbody>"
        )?;
        for (how, count, frame) in kinds {
            writeln!(
                self.out,
                "<tr><th scope=\"row\">{}</th><td class=\"text\">{}</td><td>{}</td></tr>",
                number(*count),
                escape(how),
                escape(&frame.text)
            )?;
        }
        writeln!(self.out, "</tbody>\n</table>")
    }

    /// What follows from another stands closed below it: one cause is one finding.
    fn pattern(&mut self, pattern: &PatternView) -> io::Result<()> {
        let Some(cause) = pattern.follows_from else {
            return self.pattern_card(pattern);
        };
        writeln!(
            self.out,
            "<details class=\"follows\">\n<summary>{} <span class=\"sure\">follows from: {}</span></summary>",
            escape(pattern.headline),
            escape(cause)
        )?;
        self.pattern_card(pattern)?;
        writeln!(self.out, "</details>")
    }

    fn pattern_card(&mut self, pattern: &PatternView) -> io::Result<()> {
        writeln!(
            self.out,
            "<article class=\"card pattern\">\n<h3>{} <span class=\"sure\">{}</span></h3>\n<p>{}</p>",
            escape(pattern.headline),
            escape(&pattern.sure),
            escape(&pattern.summary)
        )?;
        self.contrast(pattern)?;
        self.evidence(&pattern.evidence)?;
        if !pattern.remaining.is_empty() {
            let others = escape(&pattern.remaining.join("; or "));
            writeln!(self.out, "<p><b>Or:</b> {others}.</p>")?;
        }
        if let Some(settles) = pattern.would_settle {
            writeln!(self.out, "<p><b>Would settle it:</b> {}.</p>", escape(settles))?;
        }
        self.advice(pattern.advice, pattern.name)
    }

    fn contrast(&mut self, pattern: &PatternView) -> io::Result<()> {
        if pattern.contrast.is_empty() {
            return Ok(());
        }
        let [well, ill] = pattern.columns;
        writeln!(
            self.out,
            "<table class=\"contrast\">\n<caption>What became of {}</caption>\n<thead><tr><td></td>\
             <th scope=\"col\">{well}</th><th scope=\"col\">{ill}</th><td></td></tr></thead>\n<tbody>",
            pattern.unit
        )?;
        for (row, [so_many, others]) in &pattern.contrast {
            writeln!(
                self.out,
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td class=\"bar\">",
                escape(row),
                dash(*so_many),
                dash(*others)
            )?;
            self.two_bars(*so_many, *others)?;
            writeln!(self.out, "</td></tr>")?;
        }
        writeln!(self.out, "</tbody>\n</table>")
    }

    fn evidence(&mut self, evidence: &[(String, Vec<FrameLabel>)]) -> io::Result<()> {
        if evidence.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "<ul class=\"evidence\">")?;
        for (text, frames) in evidence {
            let word = if frames.len() == 1 { "frame" } else { "frames" };
            let frames: Vec<String> = frames.iter().map(|frame| escape(&frame.text)).collect();
            writeln!(
                self.out,
                "<li><span class=\"frame\">{word} {}</span> {}</li>",
                frames.join(", "),
                escape(text)
            )?;
        }
        writeln!(self.out, "</ul>")
    }

    fn advice(&mut self, advice: &str, name: &str) -> io::Result<()> {
        writeln!(
            self.out,
            "<p class=\"advice\"><b>What to do:</b> {} <span class=\"faint\">(reshake explain {})</span></p>\n</article>",
            escape(advice),
            escape(name)
        )
    }

    fn finding(&mut self, finding: &FindingView) -> io::Result<()> {
        let grave = if finding.grave { " grave" } else { "" };
        writeln!(
            self.out,
            "<article class=\"card finding{grave}\">\n<h3>Security: {} <span class=\"sure\">{}</span></h3>\n<p>{}</p>",
            escape(finding.headline),
            escape(&finding.weight),
            escape(&finding.summary)
        )?;
        self.evidence(&finding.evidence)?;
        self.advice(finding.advice, finding.name)
    }

    fn groups(&mut self, title: &str, groups: &[Group]) -> io::Result<()> {
        if groups.is_empty() {
            return Ok(());
        }
        writeln!(
            self.out,
            "<table class=\"counts\">\n<caption>{}</caption>\n<thead><tr><th scope=\"col\">which</th>\
             <th scope=\"col\" class=\"text\">told by</th><th scope=\"col\">connections</th></tr></thead>\n<tbody>",
            escape(title)
        )?;
        for group in groups {
            writeln!(
                self.out,
                "<tr><th scope=\"row\">{}</th><td class=\"text\">{}</td><td>{}</td></tr>",
                escape(&group.label),
                escape(&group.because),
                number(group.connections)
            )?;
        }
        writeln!(self.out, "</tbody>\n</table>")
    }
}
