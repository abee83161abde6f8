//! Small pictures: shares, outcomes over time, ticket keys over time. Each says in words what it shows.

use std::fmt::Write as _;
use std::io;

use super::{HtmlPage, dash, escape, outcomes};
use crate::model::Outcomes;
use crate::model::view::service::KeyView;
use crate::model::view::{counted, number, seconds};

/// Width of pictures that are as wide as the text.
pub(super) const WIDTH: f64 = 960.0;
/// Ticket keys that are drawn.
const MAX_KEYS: usize = 40;

#[allow(clippy::cast_precision_loss)] // places in a picture
pub(super) fn scaled(part: u64, whole: u64, width: f64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64 * width
    }
}

#[allow(clippy::cast_precision_loss)] // places in a picture
fn at(nanos: i64, span: i64, width: f64) -> f64 {
    (nanos as f64 / span.max(1) as f64).clamp(0.0, 1.0) * width
}

impl HtmlPage<'_> {
    /// All outcomes as parts of one bar.
    pub(super) fn share_bar(&mut self, counts: &Outcomes) -> io::Result<()> {
        let total = counts.total();
        if total == 0 {
            return Ok(());
        }
        let told: Vec<String> = outcomes(counts)
            .filter(|(.., count)| *count > 0)
            .map(|(_, name, count)| format!("{} {name}", number(count)))
            .collect();
        write!(
            self.out,
            "<svg class=\"share\" viewBox=\"0 0 {WIDTH} 14\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">",
            escape(&told.join(", "))
        )?;
        let mut x = 0.0;
        for (class, _, count) in outcomes(counts) {
            let width = scaled(count, total, WIDTH);
            if count > 0 {
                write!(
                    self.out,
                    "<rect class=\"{class}\" x=\"{x:.2}\" y=\"0\" width=\"{width:.2}\" height=\"14\"/>"
                )?;
            }
            x += width;
        }
        writeln!(self.out, "</svg>")
    }

    /// Resumed and declined of one row, side by side.
    pub(super) fn two_bars(&mut self, resumed: u64, declined: u64) -> io::Result<()> {
        let left = scaled(resumed, resumed + declined, 160.0);
        write!(
            self.out,
            "<svg viewBox=\"0 0 160 10\" aria-hidden=\"true\"><rect class=\"resumed\" width=\"{left:.1}\" height=\"10\"/>\
             <rect class=\"declined\" x=\"{left:.1}\" width=\"{:.1}\" height=\"10\"/></svg>",
            if declined == 0 { 0.0 } else { 160.0 - left }
        )
    }

    /// When each ticket key was at work.
    pub(super) fn keys(&mut self, id: &str, keys: &[KeyView], span: i64) -> io::Result<()> {
        const LEFT: f64 = 110.0;
        const ROW: f64 = 24.0;
        if keys.is_empty() {
            return Ok(());
        }
        let shown = keys.get(..MAX_KEYS).unwrap_or(keys);
        let mut picture = String::new();
        let mut y = 4.0;
        for key in shown {
            let _ = write!(
                picture,
                "<text x=\"0\" y=\"{:.0}\" class=\"mono\">{}</text>",
                y + 13.0,
                escape(&key.name)
            );
            let _ = write!(
                picture,
                "<line class=\"lane\" x1=\"{LEFT}\" y1=\"{0:.0}\" x2=\"{WIDTH}\" y2=\"{0:.0}\"/>",
                y + 9.0
            );
            if let Some((first, last)) = key.alive {
                let [from, to] = [first, last].map(|moment| LEFT + at(moment, span, WIDTH - LEFT));
                let _ = write!(
                    picture,
                    "<rect class=\"key\" x=\"{from:.1}\" y=\"{y:.0}\" width=\"{:.1}\" height=\"18\" rx=\"3\">\
                     <title>{} at work from {} s to {} s</title></rect>",
                    (to - from).max(4.0),
                    escape(&key.name),
                    seconds(first),
                    seconds(last)
                );
            }
            y += ROW;
        }
        writeln!(
            self.out,
            "<figure>\n<figcaption id=\"keys-{id}\">Ticket keys at work, from the first packet to the last ({} s)\
             </figcaption>\n<svg class=\"keys\" viewBox=\"0 0 {WIDTH} {y:.0}\" role=\"img\" \
             aria-labelledby=\"keys-{id}\">{picture}</svg>",
            seconds(span)
        )?;
        self.key_table(shown)?;
        if keys.len() > shown.len() {
            let more = counted((keys.len() - shown.len()) as u64, "further key is", "further keys are");
            self.left_out(&format!("{more} left out"), "--format json")?;
        }
        writeln!(self.out, "</figure>")
    }

    fn key_table(&mut self, keys: &[KeyView]) -> io::Result<()> {
        writeln!(
            self.out,
            "<table class=\"counts\">\n<thead><tr><th scope=\"col\">ticket key</th><th scope=\"col\">from</th>\
             <th scope=\"col\">to</th><th scope=\"col\">issued</th><th scope=\"col\">accepted</th>\
             <th scope=\"col\">declined</th></tr></thead>\n<tbody>"
        )?;
        for key in keys {
            let moment = |nanos: Option<i64>| nanos.map_or_else(String::new, |nanos| format!("{} s", seconds(nanos)));
            writeln!(
                self.out,
                "<tr><th scope=\"row\"><code>{}</code></th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                escape(&key.name),
                moment(key.alive.map(|(first, _)| first)),
                moment(key.alive.map(|(_, last)| last)),
                dash(key.issues),
                dash(key.accepted),
                dash(key.declined)
            )?;
        }
        writeln!(self.out, "</tbody>\n</table>")
    }
}
