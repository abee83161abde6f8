//! The way of one client's sessions between the backends, as a picture: a lane for each backend, time from left to
//! right, a letter for each session. Long ways go on in a further row, as music does, so that they can be printed.

use std::fmt::Write as _;
use std::io;

use super::{HtmlPage, escape};
use crate::model::view::counted;
use crate::model::view::seconds;
use crate::model::view::swimlane::{Mark, MarkKind, Swimlane, letter};

/// Marks of one row.
const MARKS_PER_ROW: usize = 28;
/// Marks that are drawn.
const MAX_MARKS: usize = 6 * MARKS_PER_ROW;
/// From mark to mark.
const STEP: f64 = 30.0;
/// Room for the names of the lanes.
const LEFT: f64 = 110.0;
/// From lane to lane.
const LANE: f64 = 52.0;
/// Above the first lane.
const TOP: f64 = 26.0;
/// Below the last lane, for the times.
const BOTTOM: f64 = 40.0;
/// Radius of a mark.
const RADIUS: f64 = 10.0;

const fn class(kind: MarkKind) -> &'static str {
    match kind {
        MarkKind::Full => "full",
        MarkKind::Issued => "issued",
        MarkKind::Accepted => "resumed",
        MarkKind::Declined => "declined",
        MarkKind::Failed => "failed",
        MarkKind::Unclear => "unclear",
    }
}

#[allow(clippy::cast_precision_loss)] // places in a picture
fn times(count: usize, step: f64) -> f64 {
    count as f64 * step
}

/// Middle of a mark.
fn place(in_row: usize, lane: usize) -> (f64, f64) {
    (
        LEFT + times(in_row, STEP) + STEP / 2.0,
        TOP + times(lane, LANE) + LANE / 2.0,
    )
}

impl HtmlPage<'_> {
    pub(super) fn swimlane(&mut self, id: &str, picture: &Swimlane) -> io::Result<()> {
        let shown = picture.marks.get(..MAX_MARKS).unwrap_or(&picture.marks);
        writeln!(
            self.out,
            "<figure class=\"swimlane\">\n<figcaption id=\"lane-{id}\">Sessions of client {}{}</figcaption>",
            escape(&picture.client.to_string()),
            picture.told_by.words()
        )?;
        self.legend(shown)?;
        for (row, marks) in shown.chunks(MARKS_PER_ROW).enumerate() {
            self.row(id, picture, row, marks)?;
        }
        let more = picture.marks.len() - shown.len();
        if more > 0 || picture.more > 0 {
            let marks = counted(more as u64, "further mark", "further marks");
            let connections = counted(picture.more as u64, "further connection", "further connections");
            self.left_out(&format!("{marks} and {connections} are not drawn"), "reshake view FILE")?;
        }
        self.marks_in_words(picture, shown)?;
        writeln!(self.out, "</figure>")
    }

    /// What the marks mean, of those that are there.
    fn legend(&mut self, marks: &[Mark]) -> io::Result<()> {
        write!(self.out, "<ul class=\"legend\">")?;
        for kind in MarkKind::ALL
            .into_iter()
            .filter(|kind| marks.iter().any(|mark| mark.kind == *kind))
        {
            let mut shape = String::new();
            draw(
                &mut shape,
                kind,
                (11.0, 11.0),
                if kind == MarkKind::Full { "" } else { "A" },
            );
            write!(
                self.out,
                "<li><svg viewBox=\"0 0 22 22\" aria-hidden=\"true\">{shape}</svg>{}</li>",
                kind.words()
            )?;
        }
        writeln!(self.out, "</ul>")
    }

    fn row(&mut self, id: &str, picture: &Swimlane, row: usize, marks: &[Mark]) -> io::Result<()> {
        let height = TOP + times(picture.lanes.len(), LANE) + BOTTOM;
        let width = LEFT + times(MARKS_PER_ROW, STEP);
        let mut drawn = String::new();
        for (lane, name) in picture.lanes.iter().enumerate() {
            let (_, y) = place(0, lane);
            let _ = write!(
                drawn,
                "<text x=\"0\" y=\"{:.0}\">{}</text><line class=\"lane\" x1=\"{LEFT}\" y1=\"{y:.0}\" x2=\"{width}\" \
                 y2=\"{y:.0}\"/>",
                y + 4.0,
                escape(name)
            );
        }
        let start = row * MARKS_PER_ROW;
        // Marks stand on the ways, so that their letters can be read.
        for index in start..start + marks.len() {
            way(&mut drawn, &picture.marks, start, index);
        }
        for (in_row, mark) in marks.iter().enumerate() {
            let at = place(in_row, mark.lane);
            let frame = escape(&mark.frame.text);
            let _ = write!(
                drawn,
                "<g><title>frame {frame}, {} s: {}{}{}</title>",
                seconds(mark.offset),
                mark.credential
                    .map_or_else(String::new, |index| format!("{} ", letter(index))),
                mark.kind.words(),
                times_text(mark)
            );
            let name = mark.credential.map(letter).unwrap_or_default();
            draw(&mut drawn, mark.kind, at, &name);
            if mark.times > 1 {
                let (x, y) = at;
                let _ = write!(
                    drawn,
                    "<text class=\"tick\" x=\"{x:.0}\" y=\"{:.0}\">×{}</text>",
                    // Ways on one lane bend above the marks.
                    y + RADIUS + 12.0,
                    mark.times
                );
            }
            drawn.push_str("</g>");
            frame_number(&mut drawn, in_row, &frame, height);
        }
        let label = if row == 0 { "" } else { ", continued" };
        writeln!(
            self.out,
            "<svg viewBox=\"0 0 {width} {height:.0}\" role=\"img\" aria-labelledby=\"lane-{id}\" \
             aria-description=\"The list below says the same in words{label}\">{drawn}</svg>"
        )
    }

    /// The picture for those who do not see it, and for those who want the ids.
    fn marks_in_words(&mut self, picture: &Swimlane, marks: &[Mark]) -> io::Result<()> {
        writeln!(
            self.out,
            "<details>\n<summary>The same in words</summary>\n<ol class=\"marks\">"
        )?;
        for mark in marks {
            let session = mark.credential.map_or_else(String::new, |index| {
                let id = picture.credentials.get(index).map_or("", String::as_str);
                format!("session {} (<code>{}</code>) ", letter(index), escape(id))
            });
            let lane = picture.lanes.get(mark.lane).map_or("", String::as_str);
            let from = match mark.from {
                Some(from) if from == mark.lane => "; it has the session".to_owned(),
                Some(from) => {
                    let from = picture.lanes.get(from).map_or("", String::as_str);
                    format!("; {} has the session", escape(from))
                }
                None => String::new(),
            };
            writeln!(
                self.out,
                "<li><span class=\"frame\">frame {}</span> at {} s: {session}{}{} at {}{from}</li>",
                escape(&mark.frame.text),
                seconds(mark.offset),
                mark.kind.words(),
                times_text(mark),
                escape(lane)
            )?;
        }
        writeln!(self.out, "</ol>\n</details>")
    }
}

/// " 126 times", where a mark stands for several connections.
fn times_text(mark: &Mark) -> String {
    match mark.times {
        1 => String::new(),
        times => format!(" {times} times in a row"),
    }
}

/// Frame numbers stand on two lines in turn: neighbours would run into one another.
fn frame_number(drawn: &mut String, in_row: usize, frame: &str, height: f64) {
    let (x, _) = place(in_row, 0);
    let y = height - BOTTOM + if in_row.is_multiple_of(2) { 14.0 } else { 28.0 };
    let short = frame.rsplit(':').next().unwrap_or(frame);
    let _ = write!(drawn, "<text class=\"tick\" x=\"{x:.0}\" y=\"{y:.0}\">{short}</text>");
}

/// The way of a session from where it was last to the mark at `index`; from the edge where that is in another row.
fn way(drawn: &mut String, marks: &[Mark], start: usize, index: usize) {
    let Some(mark) = marks.get(index) else { return };
    let (Some(from), Some(credential)) = (mark.from, mark.credential) else {
        return;
    };
    let before = marks.get(..index).unwrap_or_default().iter().rposition(|earlier| {
        earlier.credential == Some(credential)
            && earlier.lane == from
            && matches!(earlier.kind, MarkKind::Issued | MarkKind::Accepted)
    });
    let (x2, y2) = place(index - start, mark.lane);
    let (x1, y1) = match before {
        Some(before) if before >= start => place(before - start, from),
        Some(_) => (LEFT, place(0, from).1),
        None => return,
    };
    // A flat curve that leaves and arrives level shows which way it goes; on the same lane it bends above the marks.
    let middle = f64::midpoint(x1, x2);
    let lift = if from == mark.lane { LANE * 0.55 } else { 0.0 };
    let _ = write!(
        drawn,
        "<path class=\"way {}\" d=\"M{x1:.0} {y1:.0}C{middle:.0} {:.0} {middle:.0} {:.0} {x2:.0} {y2:.0}\"/>",
        class(mark.kind),
        y1 - lift,
        y2 - lift
    );
}

/// A mark: its form alone tells what it is, colour only helps.
fn draw(drawn: &mut String, kind: MarkKind, (x, y): (f64, f64), name: &str) {
    let class = class(kind);
    let _ = match kind {
        MarkKind::Full => write!(
            drawn,
            "<circle class=\"mark {class}\" cx=\"{x:.0}\" cy=\"{y:.0}\" r=\"4\"/>"
        ),
        MarkKind::Issued | MarkKind::Accepted | MarkKind::Unclear => write!(
            drawn,
            "<circle class=\"mark {class}\" cx=\"{x:.0}\" cy=\"{y:.0}\" r=\"{RADIUS}\"/>"
        ),
        MarkKind::Declined => write!(
            drawn,
            "<path class=\"mark {class}\" d=\"M{x:.0} {:.0}l11 11l-11 11l-11 -11z\"/>",
            y - 11.0
        ),
        MarkKind::Failed => write!(
            drawn,
            "<rect class=\"mark {class}\" x=\"{:.0}\" y=\"{:.0}\" width=\"18\" height=\"18\"/>",
            x - 9.0,
            y - 9.0
        ),
    };
    if !name.is_empty() {
        let _ = write!(
            drawn,
            "<text class=\"letter {class}\" x=\"{x:.0}\" y=\"{:.1}\">{}</text>",
            y + 3.8,
            escape(name)
        );
    }
}
