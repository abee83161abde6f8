//! Connections: one of each kind, open; then one by one, each to be opened.

use std::io;

use super::{CLASSES, HtmlPage, escape};
use crate::model::Report;
use crate::model::document::{AlikeGroup, ReportDocument};
use crate::model::view::connection::ConnectionView;
use crate::model::view::{ReasonView, Side, counted, micros, number, outcome_place};

impl HtmlPage<'_> {
    pub(super) fn kinds(&mut self, handout: &ReportDocument<'_>) -> io::Result<()> {
        if handout.kinds.is_empty() {
            return Ok(());
        }
        writeln!(
            self.out,
            "<section aria-labelledby=\"kinds\">\n<h2 id=\"kinds\">One connection of each kind</h2>"
        )?;
        for kind in &handout.kinds {
            self.kind(kind)?;
        }
        match handout.more_kinds {
            (0, _) => {}
            (more, connections) => {
                let kinds = counted(more as u64, "further kind", "further kinds");
                let connections = counted(connections, "connection", "connections");
                self.left_out(&format!("{kinds} ({connections}) are left out"), handout.more)?;
            }
        }
        writeln!(self.out, "</section>")
    }

    fn kind(&mut self, kind: &AlikeGroup) -> io::Result<()> {
        let view = &kind.example;
        writeln!(
            self.out,
            "<article class=\"card {}\">\n<h3>{} <span class=\"sure\">connection {}</span></h3>\n<p class=\"ends\">{}</p>",
            class(view),
            escape(&view.outcome_text),
            number(view.number as u64),
            escape(&view.title)
        )?;
        self.body(view)?;
        match kind.more {
            0 => {}
            more => writeln!(self.out, "<p class=\"more\">{} more ended alike.</p>", number(more))?,
        }
        writeln!(self.out, "</article>")
    }

    /// Connections one by one.
    pub(super) fn connections(&mut self, report: &Report<'_>, handout: &ReportDocument<'_>) -> io::Result<()> {
        if handout.connections.is_empty() {
            return Ok(());
        }
        let title = match handout.more_connections {
            0 => "Every connection".to_owned(),
            _ => format!("The first {} connections", number(handout.connections.len() as u64)),
        };
        writeln!(
            self.out,
            "<section aria-labelledby=\"connections\">\n<h2 id=\"connections\">{title}</h2>\n<div class=\"list\">"
        )?;
        // One at a time in memory.
        for view in handout
            .connections
            .clone()
            .filter_map(|place| ConnectionView::at(report, place))
        {
            self.line(&view)?;
        }
        writeln!(self.out, "</div>")?;
        if handout.more_connections > 0 {
            let more = counted(handout.more_connections as u64, "connection is", "connections are");
            writeln!(
                self.out,
                "<p class=\"more\">{more} left out: <code>--format csv</code> lists all, <code>--where TERMS</code> chooses \
                 others, <code>--all</code> shows every one here.</p>"
            )?;
        }
        writeln!(self.out, "</section>")
    }

    fn line(&mut self, view: &ConnectionView) -> io::Result<()> {
        let reason = view.reasons.first().map_or("", |reason| reason.name);
        writeln!(
            self.out,
            "<details class=\"{}\" id=\"{}\">\n<summary><span class=\"number\">{}</span> <span class=\"outcome\">{}</span> \
             <span class=\"reason\">{reason}</span> <span class=\"ends\">{}</span></summary>",
            class(view),
            escape(&view.name),
            view.number,
            escape(&view.outcome_text),
            escape(&view.title)
        )?;
        self.body(view)?;
        writeln!(self.out, "</details>")
    }

    fn body(&mut self, view: &ConnectionView) -> io::Result<()> {
        for reason in &view.reasons {
            self.reason(reason)?;
        }
        writeln!(self.out, "<dl>")?;
        for (name, fact) in &view.facts {
            writeln!(self.out, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(fact))?;
        }
        for (capture, filter) in &view.filters {
            let place = capture
                .as_ref()
                .map_or_else(String::new, |name| format!(" in {}", escape(name)));
            writeln!(
                self.out,
                "<dt>Wireshark{place}</dt><dd><code class=\"filter\">{}</code></dd>",
                escape(filter)
            )?;
        }
        writeln!(self.out, "</dl>")?;
        self.ladder(view)
    }

    fn reason(&mut self, reason: &ReasonView) -> io::Result<()> {
        writeln!(
            self.out,
            "<div class=\"why\">\n<p><b>{}</b> <span class=\"sure\">{}</span> {}</p>\n<ul class=\"evidence\">",
            escape(reason.name),
            escape(&reason.sure),
            escape(&reason.summary)
        )?;
        for (frame, text) in &reason.evidence {
            let frame = escape(&frame.text);
            writeln!(
                self.out,
                "<li><span class=\"frame\">frame {frame}</span> {}</li>",
                escape(text)
            )?;
        }
        writeln!(self.out, "</ul>")?;
        writeln!(
            self.out,
            "<p class=\"advice\"><b>What to do:</b> {} <span class=\"faint\">{}</span></p>",
            escape(reason.advice),
            escape(&reason.spec)
        )?;
        if !reason.remaining.is_empty() {
            writeln!(self.out, "<p>Also possible: {}.</p>", escape(&reason.remaining))?;
        }
        writeln!(self.out, "</div>")
    }

    fn ladder(&mut self, view: &ConnectionView) -> io::Result<()> {
        writeln!(
            self.out,
            "<div class=\"wide\"><table class=\"ladder\">\n<caption>Messages</caption>\n<thead><tr><th scope=\"col\">frame\
             </th><th scope=\"col\">seconds</th><th scope=\"col\" class=\"text\">from</th><th scope=\"col\" class=\"text\">message</th></tr></thead>\n<tbody>"
        )?;
        for rung in &view.ladder {
            let (from, arrow) = match rung.from {
                Side::Client => ("client", "→"),
                Side::Server => ("server", "←"),
            };
            writeln!(
                self.out,
                "<tr class=\"{from}\"><td>{}</td><td>{}</td><td class=\"text\">{from} <span aria-hidden=\"true\">{arrow}</span></td>\
                 <td class=\"text\">{}</td></tr>",
                escape(&rung.frame.text),
                rung.offset.map_or_else(String::new, micros),
                escape(&rung.text)
            )?;
        }
        writeln!(self.out, "</tbody>\n</table></div>")
    }
}

fn class(view: &ConnectionView) -> &'static str {
    CLASSES.get(outcome_place(view.outcome)).copied().unwrap_or_default()
}
