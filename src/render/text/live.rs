//! A live run on the terminal: a line for each decided handshake, and a summary now and then.

use crate::model::protocol_text;
use std::io::{self, Write};
use std::time::Duration;

use super::connections::outcome_text;
use super::{Styles, paint};
use crate::model::live::Tally;
use crate::model::{Report, moment};
use crate::wording::target;
use crate::wording::{MAX_WIRE, printable};
use crate::wording::{counted, duration, percent};
use reshake_core::net::Capture;
use reshake_core::session::{Connection, ConnectionId};

/// Longest sentence of a reason.
const MAX_SENTENCE: usize = 200;

/// The first line.
///
/// # Errors
/// Those of `out`.
pub fn begin(capture: &Capture, out: &mut dyn Write) -> io::Result<()> {
    let path = match capture.path.as_str() {
        "-" => "standard input".to_owned(),
        path => printable(path, MAX_WIRE),
    };
    writeln!(out, "watching {path}; Ctrl-C ends with the report")
}

/// One decided handshake, with what came before it as its reason.
///
/// # Errors
/// Those of `out`.
pub fn connection(
    report: &Report<'_>,
    (id, connection): (ConnectionId, &Connection),
    coloured: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let style = styles(coloured);
    let time = moment(connection.hello_time()).strftime("%H:%M:%S%.3f");
    let name = target(connection.server, connection.server_name().map(AsRef::as_ref));
    let outcome = paint(style.of(connection.outcome), outcome_text(connection.outcome));
    let version = protocol_text(connection).map_or_else(String::new, |version| format!("   {version}"));
    write!(out, "{time}  {} → {name}{version}   {outcome}", connection.client)?;
    if let Some(primary) = report.reasons(id, connection).first() {
        let summary = printable(&primary.summary, MAX_SENTENCE);
        let code = primary.confidence.code();
        write!(out, "   {} ({code}): {summary}", primary.reason.name)?;
    }
    writeln!(out)
}

/// What came in a while.
///
/// # Errors
/// Those of `out`.
pub fn summary(tally: &Tally, interval: Duration, coloured: bool, out: &mut dyn Write) -> io::Result<()> {
    let style = styles(coloured);
    let outcomes = &tally.outcomes;
    let mut parts = vec![counted(outcomes.total(), "handshake", "handshakes")];
    let decided = outcomes.resumed + outcomes.declined + outcomes.not_offered;
    if decided > 0 {
        #[allow(clippy::cast_precision_loss)] // counts of an interval stay far below 2^53
        let share = outcomes.resumed as f64 / decided as f64;
        parts.push(format!("{} resumed", percent(share)));
    }
    for (count, what) in [
        (outcomes.declined, "declined"),
        (outcomes.not_offered, "nothing offered"),
        (outcomes.failed, "failed"),
        (outcomes.external_psk, "external PSK"),
        (outcomes.unclear, "unclear"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    parts.push(counted(tally.packets, "packet", "packets"));
    if tally.dropped > 0 {
        let dropped = counted(tally.dropped, "packet", "packets");
        parts.push(paint(style.note, format_args!("{dropped} lost (--buffer-size)")));
    }
    let nanos = i64::try_from(interval.as_nanos()).unwrap_or(i64::MAX);
    let line = format!("-- last {}: {}", duration(nanos), parts.join(", "));
    writeln!(out, "{}", paint(style.faint, line))
}

const fn styles(coloured: bool) -> Styles {
    if coloured { Styles::COLOURED } else { Styles::PLAIN }
}
