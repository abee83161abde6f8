//! Charts of the whole report. Each has a name, says in words what it shows, and has its figures as a table beside it
//! where these are not few.

use std::fmt::Write as _;
use std::io;

use super::pictures::{WIDTH, scaled};
use super::{HtmlPage, dash, escape, outcomes};
use crate::model::Outcomes;
use crate::model::view::charts::{Charts, HandshakeTimes};
use crate::model::view::service::ExchangeView;
use crate::model::view::{Moment, clock_of_bar, counted, duration, number, percent, resumed_of_offered};

/// Height of what is drawn in them.
const HEIGHT: f64 = 120.0;
/// Issuers and acceptors of a matrix at most.
const MAX_SIDE: usize = 12;

#[allow(clippy::cast_precision_loss)] // places in a picture
fn step(count: usize) -> f64 {
    WIDTH / count.max(1) as f64
}

impl HtmlPage<'_> {
    /// Everything that is drawn of the whole report.
    pub(super) fn charts(&mut self, charts: &Charts) -> io::Result<()> {
        self.over_time(charts)?;
        writeln!(self.out, "<div class=\"beside\">")?;
        self.handshake_times(&charts.times)?;
        self.versions(charts)?;
        writeln!(self.out, "</div>")
    }

    /// Outcomes in bars, and the share of offers that were accepted as a line above them.
    fn over_time(&mut self, charts: &Charts) -> io::Result<()> {
        let bars = &charts.bars;
        let highest = bars.iter().map(|(_, counts)| counts.total()).max().unwrap_or(0);
        let (Some((first, _)), Some((last, _)), 2..) = (bars.first(), bars.last(), bars.len()) else {
            return Ok(());
        };
        let each = duration(charts.bar);
        write!(
            self.out,
            "<figure>\n<figcaption id=\"over-time\">Connections over time, {each} a bar, the highest {}; the line is the \
             share of offers that were accepted</figcaption>\n\
             <svg class=\"timeline\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-labelledby=\"over-time\" \
             aria-description=\"{}\">",
            number(highest),
            HEIGHT + 1.0,
            escape(&in_words(bars, charts.bar))
        )?;
        let width = step(bars.len());
        let (mut x, mut end, mut line) = (0.0, 0.0, String::new());
        for (start, counts) in bars {
            self.bar(x, width, highest, &clock_of_bar(*start, charts.bar), counts)?;
            // A stretch without offers neither breaks the line nor bends it: until the next offer nothing is known to change.
            if let Some(rate) = resumed_of_offered(counts) {
                // All of the stroke stays within the picture.
                let y = (HEIGHT * (1.0 - rate)).clamp(1.0, HEIGHT - 1.0);
                let _ = if line.is_empty() {
                    write!(line, "M{x:.1} {y:.1}")
                } else {
                    write!(line, "H{x:.1}V{y:.1}")
                };
                end = x + width;
            }
            x += width;
        }
        if !line.is_empty() {
            write!(self.out, "<path class=\"rate-line\" d=\"{line}H{end:.1}\"/>")?;
        }
        writeln!(
            self.out,
            "<line class=\"axis\" x1=\"0\" y1=\"{HEIGHT}\" x2=\"{WIDTH}\" y2=\"{HEIGHT}\"/>\
             </svg>\n<p class=\"from-to\"><span>{}</span><span>{}</span></p>\n</figure>",
            clock_of_bar(*first, charts.bar),
            clock_of_bar(*last, charts.bar)
        )
    }

    fn bar(&mut self, x: f64, width: f64, highest: u64, when: &str, counts: &Outcomes) -> io::Result<()> {
        let mut y = HEIGHT;
        for (class, name, count) in outcomes(counts).filter(|(.., count)| *count > 0) {
            let height = scaled(count, highest, HEIGHT);
            y -= height;
            write!(
                self.out,
                "<rect class=\"{class}\" x=\"{x:.2}\" y=\"{y:.2}\" width=\"{:.2}\" height=\"{height:.2}\">\
                 <title>{when} UTC: {} {name}</title></rect>",
                (width - 1.0).max(width * 0.6),
                number(count)
            )?;
        }
        Ok(())
    }

    /// How long handshakes took, resumed ones upwards and full ones downwards.
    fn handshake_times(&mut self, times: &HandshakeTimes) -> io::Result<()> {
        const HALF: f64 = 60.0;
        const WIDTH: f64 = 460.0;
        if times.bins.is_empty() {
            return Ok(());
        }
        let highest = times
            .bins
            .iter()
            .flat_map(|(_, counts)| counts)
            .copied()
            .max()
            .unwrap_or(0);
        let median = |kind: usize, name: &str| {
            let count = times.counts.get(kind).copied().unwrap_or(0);
            match times.medians.get(kind).copied().flatten() {
                Some(median) => format!(
                    "{} {name}, half of them within {}",
                    number(count as u64),
                    duration(median)
                ),
                None => format!("no {name} one was measured"),
            }
        };
        let words = format!(
            "{} (above the line); {} (below)",
            median(0, "resumed"),
            median(1, "full")
        );
        write!(
            self.out,
            "<figure>\n<figcaption id=\"times\">Handshake times: {}</figcaption>\n<svg viewBox=\"0 0 {WIDTH} {}\" \
             role=\"img\" aria-labelledby=\"times\">",
            escape(&words),
            HALF * 2.0 + 18.0
        )?;
        #[allow(clippy::cast_precision_loss)] // places in a picture
        let width = (WIDTH / times.bins.len() as f64).min(60.0);
        let mut x = 0.0;
        for (end, [resumed, full]) in &times.bins {
            for (class, name, count, up) in [("resumed", "resumed", resumed, true), ("full", "full", full, false)] {
                let height = scaled(*count, highest, HALF - 2.0);
                let y = if up { HALF - height } else { HALF };
                if *count > 0 {
                    write!(
                        self.out,
                        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\">\
                         <title>up to {}: {} {name}</title></rect>",
                        width - 1.0,
                        duration(*end),
                        number(*count)
                    )?;
                }
            }
            x += width;
        }
        let ends = [times.bins.first(), times.bins.last()].map(|bin| bin.map_or(0, |(end, _)| *end));
        writeln!(
            self.out,
            "<line class=\"axis\" x1=\"0\" y1=\"{HALF}\" x2=\"{x:.0}\" y2=\"{HALF}\"/><text class=\"small\" x=\"0\" \
             y=\"{y}\">up to {}</text><text x=\"{:.0}\" y=\"{y}\" class=\"end small\">{}</text></svg>\n</figure>",
            duration(ends[0]),
            x.max(160.0),
            duration(ends[1]),
            y = HALF * 2.0 + 14.0
        )
    }

    /// Versions with what became of their connections, and what resumed those that did.
    fn versions(&mut self, charts: &Charts) -> io::Result<()> {
        if charts.versions.is_empty() {
            return Ok(());
        }
        writeln!(
            self.out,
            "<div>\n<table class=\"counts\">\n<caption>Versions, and what became of their connections</caption>\n<thead><tr>\
             <th scope=\"col\">version</th><th scope=\"col\">connections</th><th scope=\"col\">resumed</th>\
             <th scope=\"col\" class=\"text\">outcomes</th></tr></thead>\n<tbody>"
        )?;
        for (version, counts) in &charts.versions {
            write!(
                self.out,
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td class=\"bar\">",
                escape(version).replace(' ', "&nbsp;"),
                number(counts.total()),
                dash(counts.resumed)
            )?;
            self.share_bar(counts)?;
            writeln!(self.out, "</td></tr>")?;
        }
        writeln!(self.out, "</tbody>\n</table>")?;
        let resumed: Vec<String> = charts
            .mechanisms
            .iter()
            .map(|(name, count)| format!("{} by {name}", number(*count)))
            .collect();
        if !resumed.is_empty() {
            writeln!(self.out, "<p class=\"faint\">Resumed: {}.</p>", resumed.join(", "))?;
        }
        writeln!(self.out, "</div>")
    }

    /// Whose sessions resumed where: a row for each issuer, a column for each that they were offered to.
    pub(super) fn matrix(&mut self, id: usize, exchanges: &[ExchangeView]) -> io::Result<()> {
        let mut names: Vec<&str> = Vec::new();
        for exchange in exchanges {
            for name in [&exchange.issuer, &exchange.acceptor] {
                if !names.contains(&name.as_str()) {
                    names.push(name);
                }
            }
        }
        if names.len() < 2 {
            return Ok(());
        }
        names.sort_by_key(|name| (name.len(), *name));
        let shown = names.get(..MAX_SIDE).unwrap_or(&names);
        let heading = |name: &&str| format!("<th scope=\"col\">{}</th>", escape(name));
        let headings = shown.iter().map(heading).collect::<Vec<_>>().concat();
        writeln!(
            self.out,
            "<figure>\n<figcaption id=\"matrix-{id}\">Offers by who issued the session (rows) and who was offered it \
             (columns): resumed of offered</figcaption>\n<div class=\"wide\"><table class=\"matrix\" \
             aria-labelledby=\"matrix-{id}\">\n<thead><tr><td></td>{headings}</tr></thead>\n<tbody>"
        )?;
        for issuer in shown {
            let cells: String = shown.iter().map(|acceptor| cell(exchanges, issuer, acceptor)).collect();
            writeln!(self.out, "<tr><th scope=\"row\">{}</th>{cells}</tr>", escape(issuer))?;
        }
        writeln!(self.out, "</tbody>\n</table></div>\n</figure>")?;
        match names.len() - shown.len() {
            0 => Ok(()),
            more => {
                let more = counted(more as u64, "further row is", "further rows are");
                self.left_out(&format!("{more} left out"), "reshake --all FILE")
            }
        }
    }
}

fn cell(exchanges: &[ExchangeView], issuer: &str, acceptor: &str) -> String {
    let found = exchanges
        .iter()
        .find(|exchange| exchange.issuer == issuer && exchange.acceptor == acceptor);
    let Some(exchange) = found else {
        return "<td class=\"faint\">–</td>".to_owned();
    };
    let offered = exchange.resumed + exchange.declined;
    let class = match exchange.resumed {
        0 => "declined",
        all if all == offered => "resumed",
        _ => "unclear",
    };
    format!(
        "<td class=\"{class}\">{} of {}</td>",
        number(exchange.resumed),
        number(offered)
    )
}

/// The rate at the beginning, at its lowest and at the end: what somebody would say who looked at the picture.
fn in_words(bars: &[(Moment, Outcomes)], bar: i64) -> String {
    let rates: Vec<(Moment, f64)> = bars
        .iter()
        .filter_map(|(start, counts)| Some((*start, resumed_of_offered(counts)?)))
        .collect();
    let lowest = rates.iter().min_by(|a, b| a.1.total_cmp(&b.1));
    let (Some(first), Some(last), Some(lowest)) = (rates.first(), rates.last(), lowest) else {
        return "No offer was decided.".to_owned();
    };
    format!(
        "{} of the offers were accepted at first, {} at the least ({} UTC), {} at the end.",
        percent(first.1),
        percent(lowest.1),
        clock_of_bar(lowest.0, bar),
        percent(last.1)
    )
}
