//! The terminal report: what a tired operator reads in half a minute. What was seen, how much resumed, what could not be
//! seen; then each service with its reasons and what to do; then one connection of each kind that matters, with frames.
//!
//! Nothing from the wire reaches the terminal but through [`printable`], and nothing has colour but through `Styles`.
//! Lines are as wide as whoever prints says; what is to be copied stays on one line.

mod analyses;
mod connections;
mod findings;
mod lines;
pub mod live;
mod notices;
mod services;
mod table;
mod times;

use crate::model::connections_text;
use std::fmt::Display;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use hashbrown::HashMap;

use reshake_core::net::FrameRef;
use reshake_core::net::capture::Ended;

use crate::model::failures::{self, FailureKind};
use crate::model::{Counts, Report, Service};
use crate::wording::{MAX_PATH, counted, duration, number, percent, prefixes, printable, shown_path, wrap};
use lines::Lines;
pub use times::Times;

/// How the report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextOptions {
    /// With colour.
    pub coloured: bool,
    /// Every service and every connection, not only one of each kind that matters.
    pub all: bool,
    /// No connection, only captures, services and counts.
    pub summary: bool,
    /// Columns of running text.
    pub width: usize,
    /// Titles and tables keep to them too: on a terminal, where a line that goes on is hard to read. Whoever searches in
    /// a file wants each whole.
    pub fold: bool,
    /// Which clock tells the time.
    pub times: Times,
}

impl Default for TextOptions {
    fn default() -> Self {
        Self {
            coloured: false,
            all: false,
            summary: false,
            width: WIDTH,
            fold: false,
            times: Times::default(),
        }
    }
}

/// Columns of running text where there is no terminal to measure.
pub const WIDTH: usize = 100;
/// Captures listed one by one.
const MAX_CAPTURES: usize = 20;

/// Writes the report as text.
///
/// # Errors
/// Those of `out`.
pub fn write(report: &Report<'_>, options: TextOptions, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Page {
        report,
        style: if options.coloured {
            Styles::COLOURED
        } else {
            Styles::PLAIN
        },
        all: options.all,
        prefixes: prefixes(&report.captures),
        failures: failures::by_service(report),
        times: options.times,
        out: Lines::new(out, options.width, options.fold),
    };
    page.head()?;
    page.notices()?;
    page.services()?;
    if options.summary {
        return Ok(());
    }
    page.connections()
}

/// Writes one display filter a line, each of one connection in one capture. Of several captures their names stand in
/// front: a filter counts the frames of one file.
///
/// # Errors
/// Those of `out`.
pub fn filters(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let several = report.captures.len() > 1;
    for (_, _, connection) in report.connections() {
        for (capture, filter) in report.display_filter(connection) {
            match report.captures.get(usize::from(capture)).filter(|_| several) {
                Some(capture) => writeln!(out, "{}\t{filter}", shown_path(capture))?,
                None => writeln!(out, "{filter}")?,
            }
        }
    }
    Ok(())
}

/// Every colour there is.
#[derive(Debug, Clone, Copy)]
struct Styles {
    /// Names of things the report is about.
    name: Style,
    /// Resumed.
    good: Style,
    /// Declined, failed.
    bad: Style,
    /// What could not be seen.
    note: Style,
    /// What to do.
    advice: Style,
    /// What is needed less often.
    faint: Style,
}

impl Styles {
    const PLAIN: Self = Self {
        name: Style::new(),
        good: Style::new(),
        bad: Style::new(),
        note: Style::new(),
        advice: Style::new(),
        faint: Style::new(),
    };
    const COLOURED: Self = Self {
        name: Style::new().bold(),
        good: AnsiColor::Green.on_default(),
        bad: AnsiColor::Red.on_default(),
        note: AnsiColor::Yellow.on_default(),
        advice: AnsiColor::Cyan.on_default(),
        faint: Style::new().dimmed(),
    };
}

/// `text` in `style`.
pub(crate) fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// A report on its way out.
struct Page<'p, 'a> {
    report: &'p Report<'a>,
    style: Styles,
    all: bool,
    /// What stands before a frame number, by capture; nothing when there is one capture.
    prefixes: Vec<String>,
    /// How handshakes failed, by service.
    failures: HashMap<Service, Vec<FailureKind>>,
    /// Which clock tells the time.
    times: Times,
    out: Lines<'p>,
}

impl Page<'_, '_> {
    /// What was read, and how much resumed.
    fn head(&mut self) -> io::Result<()> {
        let report = self.report;
        let name = match report.captures.as_slice() {
            [capture] => shown_path(capture),
            captures => counted(captures.len() as u64, "capture", "captures"),
        };
        let packets = report.captures.iter().map(|capture| capture.packets).sum();
        let connections = report.summary.counts.outcomes.total();
        let mut parts = vec![counted(packets, "packet", "packets")];
        if let (Some(first), Some(last)) = (report.first_time(), report.last_time()) {
            let start = self.times.start(first);
            parts.push(format!("{} from {start}", duration(last.since(first))));
        }
        parts.push(connections_text(&report.summary));
        if report.captures.iter().any(|capture| capture.ended == Ended::Stopped) {
            parts.push("stopped there".to_owned());
        }
        let name = paint(self.style.name, name);
        writeln!(self.out, "{name}   {}", parts.join(", "))?;
        if report.captures.len() > 1 {
            self.captures()?;
        }
        if let Some(selection) = report.selection() {
            let text = format!(
                "{}   (counts are of these connections, patterns of all)",
                printable(selection, MAX_PATH)
            );
            self.paragraph(0, "selected: ", self.style.note, &text)?;
        }
        if connections > 0 {
            let counts = self.counts(&report.summary.counts);
            return writeln!(self.out, "{counts}");
        }
        self.nothing_found()
    }

    /// Why there is no connection to report.
    fn nothing_found(&mut self) -> io::Result<()> {
        if self.report.selection().is_some() {
            return writeln!(self.out, "no connection is selected");
        }
        match self.report.engine.other_connections() {
            0 => writeln!(self.out, "no TLS connection was found, and no TCP connection either"),
            other => writeln!(
                self.out,
                "no TLS connection was found; {} without TLS",
                counted(other, "TCP connection", "TCP connections")
            ),
        }
    }

    fn captures(&mut self) -> io::Result<()> {
        let captures = &self.report.captures;
        for (capture, prefix) in captures.iter().zip(&self.prefixes).take(MAX_CAPTURES) {
            let path = shown_path(capture);
            let packets = counted(capture.packets, "packet", "packets");
            let number = if path.ends_with(prefix.as_str()) {
                String::new()
            } else {
                format!("{prefix}  ")
            };
            writeln!(self.out, "  {number}{path}   {packets}")?;
        }
        match captures.len().saturating_sub(MAX_CAPTURES) {
            0 => Ok(()),
            more => writeln!(self.out, "  … {}", counted(more as u64, "more file", "more files")),
        }
    }

    /// Offers and outcomes on one line. The first three are always there, the others only when they are not 0.
    fn counts(&self, counts: &Counts) -> String {
        let Counts { outcomes, offers, .. } = counts;
        let Styles { good, bad, note, .. } = self.style;
        let decided = offers.accepted + offers.declined + offers.failed;
        let mut line = if offers.made == 0 && outcomes.unclear == 0 {
            "no session was offered".to_owned()
        } else if decided == 0 {
            "no offer with a visible answer".to_owned()
        } else {
            let offers_word = if decided == 1 { "offer" } else { "offers" };
            // Of the others the answer is not visible.
            let only = if offers.made > decided { "decided " } else { "" };
            let resumed = format!(
                "resumed {} of {} {only}{offers_word}",
                number(offers.accepted),
                number(decided)
            );
            let style = if offers.accepted > 0 { good } else { bad };
            format!(
                "{} ({})",
                paint(style, resumed),
                percent(share(offers.accepted, decided))
            )
        };
        let style = |count, style| if count > 0 { style } else { Style::new() };
        let mut part = |count, name, style| {
            line += "   ";
            line += &paint(style, format_args!("{name} {}", number(count)));
        };
        part(outcomes.declined, "declined", style(outcomes.declined, bad));
        part(outcomes.not_offered, "nothing offered", Style::new());
        for (count, name, style) in [
            (outcomes.failed, "failed", bad),
            (outcomes.unclear, "unclear", note),
            (outcomes.external_psk, "external PSK", Style::new()),
            (offers.passed_over, "passed over for one", Style::new()),
        ] {
            if count > 0 {
                part(count, name, style);
            }
        }
        line
    }

    /// A frame as "17", or "name:17" when there are several captures.
    fn frame(&self, frame: FrameRef) -> String {
        match self.prefixes.get(usize::from(frame.capture())) {
            Some(prefix) => format!("{prefix}:{}", frame.frame()),
            None => frame.frame().to_string(),
        }
    }

    /// Running text with a first line that begins with `label` and further lines below its text. What belongs together
    /// is tied with no-break spaces, which become common ones here.
    fn paragraph(&mut self, indent: usize, label: &str, style: Style, text: &str) -> io::Result<()> {
        let hang = indent + label.chars().count();
        for (index, line) in wrap(text, self.out.width().saturating_sub(hang)).enumerate() {
            let line = line.replace('\u{a0}', " ");
            if index == 0 {
                writeln!(self.out, "{:indent$}{}{line}", "", paint(style, label))?;
            } else {
                writeln!(self.out, "{:hang$}{line}", "")?;
            }
        }
        Ok(())
    }
}

#[allow(clippy::cast_precision_loss)] // shown in whole per cent
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}
