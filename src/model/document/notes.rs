//! What was not analysed, or not as it stood, in words.

use crate::model::Report;
use crate::model::view::{FrameNames, counted, number};
use reshake_core::net::capture::Ended;

/// A line for each thing that limits what the report can say.
pub(super) fn of(report: &Report<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    let dropped: u64 = report.captures.iter().filter_map(|capture| capture.dropped).sum();
    if dropped > 0 {
        let packets = counted(dropped, "packet was", "packets were");
        notes.push(format!(
            "{packets} dropped while capturing; a larger buffer (tcpdump -B) keeps more"
        ));
    }
    if report.captures.iter().any(|capture| capture.ended == Ended::Corrupt) {
        notes.push("an input is damaged or could not be read further; what came before was analysed".to_owned());
    }
    if report.captures.iter().any(|capture| capture.ended == Ended::Stopped) {
        notes.push("reading was stopped before the end of the input".to_owned());
    }
    let frames = FrameNames::of(report);
    for capture in &report.captures {
        for (notice, count, first) in capture.notices.iter() {
            let place = match first {
                Some(frame) if count == 1 => format!(" (frame {})", frames.label(frame).text),
                Some(frame) => format!(" ({}, first in frame {})", number(count), frames.label(frame).text),
                None => format!(" ({})", number(count)),
            };
            let named = match notice.named(capture.notices.numbers(notice)) {
                named if named.is_empty() => named,
                named => format!(": {named}"),
            };
            notes.push(format!("{}{named}{place}", notice.text()));
        }
    }
    notes
}
