//! The report as one HTML file: nothing is fetched, and it opens without a network.
//!
//! Style, pictures (SVG) and data stand in the page; a policy in its head forbids everything else, so that not even a
//! mistake here could load or run something. The style, and the script that sorts a long table of services, are let in by
//! their hashes; no element has a style or a handler of its own. Light and dark follow the reader's system, and print has a form of its own.
//! Every text passes through `escape` on its way in; markup comes from this module alone.

mod charts;
mod connections;
mod pictures;
mod ranking;
mod service;
mod swimlane;

use std::io::{self, Write};

use sha2::{Digest, Sha256};

use crate::model::base64;
use crate::model::document::{Bounds, CaptureLine, ReportDocument, ServiceSummary};
use crate::model::view::{OUTCOMES, counted, number};
use crate::model::{Outcomes, Report};

/// Looks of the page.
const STYLE: &str = include_str!("style.css");
/// Answers at the top: those of the services that waste most.
const MAX_ANSWERS: usize = 3;
/// Reasons listed.
const MAX_REASONS: usize = 20;

/// Classes of the outcomes in the order of [`OUTCOMES`].
const CLASSES: [&str; 6] = ["resumed", "declined", "silent", "failed", "unclear", "external"];

/// Writes the report within bounds.
///
/// # Errors
/// Those of `out`.
pub fn write(report: &Report<'_>, bounds: Bounds, out: &mut dyn Write) -> io::Result<()> {
    let handout = ReportDocument::of(report, bounds);
    let mut page = HtmlPage { out };
    page.open(&handout)?;
    page.overview(&handout)?;
    page.ranking(&handout)?;
    for (index, service) in handout.services.iter().enumerate() {
        page.service(index, service, &handout)?;
    }
    page.more_services(&handout)?;
    page.kinds(&handout)?;
    page.connections(report, &handout)?;
    page.close(&handout)
}

/// Text in markup: in an element or between the double quotes of an attribute.
fn escape(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '"' => shown.push_str("&quot;"),
            '\'' => shown.push_str("&#39;"),
            letter => shown.push(letter),
        }
    }
    shown
}

/// Every outcome with its class, name and count.
fn outcomes(counts: &Outcomes) -> impl Iterator<Item = (&'static str, &'static str, u64)> + use<> {
    let named = CLASSES.into_iter().zip(OUTCOMES);
    named
        .zip(counts.in_order())
        .map(|((class, name), count)| (class, name, count))
}

/// What the page may do: be styled by its style, sorted by its script, and nothing else.
fn policy(script: bool) -> String {
    let hash = |text: &str| format!("'sha256-{}'", base64(&Sha256::digest(text.as_bytes())));
    let mut policy = format!("default-src 'none'; style-src {}", hash(STYLE));
    if script {
        policy.push_str("; script-src ");
        policy.push_str(&hash(ranking::SCRIPT));
    }
    policy
}

/// A page on its way out.
struct HtmlPage<'p> {
    out: &'p mut dyn Write,
}

impl HtmlPage<'_> {
    fn open(&mut self, handout: &ReportDocument<'_>) -> io::Result<()> {
        let names: Vec<&str> = handout.captures.iter().map(|capture| capture.name.as_str()).collect();
        let names = escape(&names.join(", "));
        let more = match handout.more_captures {
            0 => String::new(),
            more => format!(" and {} more", number(more as u64)),
        };
        write!(
            self.out,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n\
             <meta name=\"generator\" content=\"reshake {}\">\n\
             <title>TLS resumption: {names}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
             <header>\n<h1>TLS resumption</h1>\n<p class=\"where\">{names}{more}</p>\n<p class=\"scope\">{}</p>\n",
            policy(ranking::has_script(handout)),
            env!("CARGO_PKG_VERSION"),
            escape(&handout.scope)
        )?;
        if let Some(selection) = &handout.selection {
            let selection = escape(selection);
            writeln!(
                self.out,
                "<p class=\"note\">Selected: <code>{selection}</code>. Counts are of these connections, patterns of all.</p>"
            )?;
        }
        if handout.redacted {
            let text = "Addresses, server names and credentials are replaced, the same one always by the same.";
            writeln!(self.out, "<p class=\"note\">{text}</p>")?;
        }
        self.answers(handout)?;
        writeln!(self.out, "</header>\n<main>")
    }

    /// The answer first: of each of the worst services what is so, what to do, and what it costs.
    fn answers(&mut self, handout: &ReportDocument<'_>) -> io::Result<()> {
        let told = |part: &&ServiceSummary| !part.page.answer.is_empty();
        let parts: Vec<&ServiceSummary> = handout.services.iter().filter(told).take(MAX_ANSWERS).collect();
        for part in &parts {
            let wrong = if part.page.action.is_some() {
                "declined"
            } else {
                "resumed"
            };
            writeln!(self.out, "<div class=\"card answer {wrong}\">")?;
            if handout.services.len() > 1 {
                writeln!(self.out, "<p class=\"where\">{}</p>", escape(&part.page.title))?;
            }
            self.answer(part)?;
            writeln!(self.out, "</div>")?;
        }
        Ok(())
    }

    /// What is so, what to do, and what it costs.
    fn answer(&mut self, part: &ServiceSummary) -> io::Result<()> {
        let page = &part.page;
        if !page.answer.is_empty() {
            writeln!(self.out, "<p><b>{}</b></p>", escape(&page.answer))?;
        }
        if let Some(action) = &page.action {
            writeln!(self.out, "<p><b>Do:</b> {}.</p>", escape(action.trim_end_matches('.')))?;
        }
        if !part.cost.is_empty() {
            writeln!(self.out, "<p><b>Cost:</b> {}.</p>", escape(&part.cost))?;
        }
        Ok(())
    }

    fn overview(&mut self, handout: &ReportDocument<'_>) -> io::Result<()> {
        let (rate, of) = handout.rate();
        writeln!(
            self.out,
            "<section aria-labelledby=\"overview\">\n<h2 id=\"overview\">Overview</h2>\n<div class=\"tiles\">\n\
             <div class=\"tile rate\"><b>{}</b><span>{}</span></div>",
            escape(&rate),
            escape(&of)
        )?;
        self.tiles(&handout.counts.outcomes)?;
        writeln!(self.out, "</div>")?;
        self.share_bar(&handout.counts.outcomes)?;
        for note in &handout.notes {
            writeln!(self.out, "<p class=\"note\">{}</p>", escape(note))?;
        }
        self.charts(&handout.charts)?;
        self.reasons(handout)?;
        writeln!(self.out, "</section>")
    }

    fn tiles(&mut self, counts: &Outcomes) -> io::Result<()> {
        for (place, (class, name, count)) in outcomes(counts).enumerate() {
            // The first three are always there, the others only when they are not 0.
            if place < 3 || count > 0 {
                let count = number(count);
                writeln!(
                    self.out,
                    "<div class=\"tile {class}\"><b>{count}</b><span>{name}</span></div>"
                )?;
            }
        }
        Ok(())
    }

    fn reasons(&mut self, handout: &ReportDocument<'_>) -> io::Result<()> {
        if handout.reasons.is_empty() {
            return Ok(());
        }
        writeln!(
            self.out,
            "<table class=\"counts reasons\">\n<caption>Why connections did not resume</caption>\n<thead><tr>\
             <th scope=\"col\">reason</th><th scope=\"col\" class=\"text\">what it means</th><th scope=\"col\">observed</th>\
             <th scope=\"col\">inferred</th><th scope=\"col\">possible</th></tr></thead>\n<tbody>"
        )?;
        for count in handout.reasons.iter().take(MAX_REASONS) {
            let cells = count
                .by_confidence
                .map(|count| format!("<td>{}</td>", dash(count)))
                .concat();
            writeln!(
                self.out,
                "<tr><th scope=\"row\"><code>{}</code></th><td class=\"text\">{}</td>{cells}</tr>",
                escape(count.reason.name),
                escape(count.reason.summary)
            )?;
        }
        writeln!(self.out, "</tbody>\n</table>")?;
        match handout.reasons.len().saturating_sub(MAX_REASONS) {
            0 => Ok(()),
            more => {
                let more = counted(more as u64, "further reason is", "further reasons are");
                self.left_out(&format!("{more} left out"), "--format json")
            }
        }
    }

    fn more_services(&mut self, handout: &ReportDocument<'_>) -> io::Result<()> {
        match handout.more_services {
            (0, _) => Ok(()),
            (more, connections) => {
                let services = counted(more as u64, "further service", "further services");
                let connections = counted(connections, "connection is", "connections are");
                self.left_out(&format!("{services} with {connections} left out"), handout.more)
            }
        }
    }

    /// What is not on the page, and how to get it.
    fn left_out(&mut self, what: &str, option: &str) -> io::Result<()> {
        writeln!(
            self.out,
            "<p class=\"more\">{}: <code>{}</code> shows them.</p>",
            escape(what),
            escape(option)
        )
    }

    fn close(&mut self, handout: &ReportDocument<'_>) -> io::Result<()> {
        let line = |capture: &CaptureLine| {
            let [name, packets] = [&capture.name, &capture.packets].map(|text| escape(text));
            format!("<li>{name}, {packets}</li>")
        };
        let lines = handout.captures.iter().map(line).collect::<Vec<_>>().concat();
        writeln!(
            self.out,
            "</main>\n<footer>\n<ul>{lines}</ul>\n<p>Made by reshake {}. <em>Observed</em> is read off the packets, \
             <em>inferred</em> is concluded from them, <em>possible</em> is not excluded. \
             <code>reshake explain NAME</code> says what a reason, pattern or finding means.</p>\n</footer>\n</body>\n</html>",
            env!("CARGO_PKG_VERSION")
        )
    }
}

/// A count, where 0 is not worth the ink.
fn dash(count: u64) -> String {
    if count == 0 {
        "<span class=\"faint\">0</span>".to_owned()
    } else {
        number(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_markup() {
        let name = "</title><script>alert(1)</script>\" onload='x' &amp;";
        let shown = escape(name);
        assert!(!shown.contains(['<', '>', '"', '\'']), "{shown}");
        assert!(shown.ends_with("&amp;amp;"));
    }
}
