//! The overview: outcomes, resumption over time, services by what they waste, reasons.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::model::view::overview::{notes, service_title, title};
use crate::model::view::{OUTCOMES, clock_of_bar, counted, date, duration, number, percent, resumed_of_offered};
use crate::model::{Outcomes, Report};

use super::super::content::{self, MARKS, tone};
use super::super::layout;
use super::super::page::Tone;
use super::super::state::ScreenState;
use super::{Theme, mark_line, put};

/// Columns from which on a service is told in full words.
const ROOMY: u16 = 80;
/// Eighths of a row, from none to all.
const EIGHTHS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

pub(super) fn overview(state: &ScreenState, theme: Theme, buffer: &mut Buffer) {
    let parts = layout::overview(state.size);
    head(state, theme, buffer, parts.head);
    outcomes(state, theme, buffer, parts.outcomes);
    chart(state, theme, buffer, parts.chart);
    services(state, theme, buffer, parts.lists[0]);
    reasons(state, buffer, parts.lists[1]);
    if let Some(area) = parts.detail {
        super::detail::detail(state, theme, buffer, area);
    }
    if let Some(area) = parts.picture {
        picture(state, theme, buffer, area);
    }
}

/// The way of one client's sessions between the backends of the chosen service, once it is there.
fn picture(state: &ScreenState, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let Some(picture) = state.overview.picture(&state.report) else {
        return;
    };
    let items = content::picture(picture, area.width);
    for (y, item) in (0..area.height).zip(&items) {
        super::page::line(buffer, area, y, item, theme);
    }
}

fn head(state: &ScreenState, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let report = &state.report;
    let mut text = title(report);
    if let (Some(first), Some(last)) = (report.first_time(), report.last_time()) {
        text = format!("{text}   {} from {}", duration(last.since(first)), date(first));
    }
    let notes = notes(report);
    if notes > 0 {
        text = format!(
            "{text}   {}",
            counted(
                notes,
                "note: reshake analyze lists it",
                "notes: reshake analyze lists them"
            )
        );
    }
    put(buffer, area, 0, 0, &text, theme.tone(Tone::Plain));
    if let Some(live) = &state.live {
        live_line(&live.stats, theme, buffer, area);
    }
}

/// Handshakes a second, what was lost, and how far behind the analysis is.
fn live_line(stats: &super::super::event::Stats, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let lost = match stats.dropped {
        Some(dropped) => format!("dropped {}", number(dropped)),
        None => "drops not counted".to_owned(),
    };
    let lag = stats.lag.map_or_else(String::new, |lag| format!("   lag {lag} ms"));
    let now = stats.handshakes.last().copied().unwrap_or(0);
    let text = format!("{} packets   {lost}{lag}   handshakes/s {now} ", number(stats.packets));
    let style = match stats.dropped {
        Some(1..) => theme.tone(Tone::Bad),
        _ => theme.tone(Tone::Plain),
    };
    let x = put(buffer, area, 0, 1, &text, style);
    let room = usize::from(area.width.saturating_sub(x));
    let seen = stats.handshakes.get(stats.handshakes.len().saturating_sub(room)..);
    let most = seen.into_iter().flatten().copied().max().unwrap_or(0).max(1);
    let line: String = seen
        .into_iter()
        .flatten()
        .map(|count| eighth(*count * 8, most))
        .collect();
    put(buffer, area, x, 1, &line, theme.tone(Tone::Advice));
}

/// So many eighths of `whole`; what is there at all is seen.
fn eighth(part: u64, whole: u64) -> &'static str {
    let index = usize::try_from(part.div_ceil(whole.max(1))).unwrap_or(8).min(8);
    EIGHTHS.get(index).copied().unwrap_or(" ")
}

fn outcomes(state: &ScreenState, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let counts_of = &state.report.summary.counts;
    let offers = &counts_of.offers;
    let decided = offers.accepted + offers.declined + offers.failed;
    let rate = match counts_of.resumption_rate() {
        Some(rate) => format!(
            "resumed {} of {} ({})",
            number(offers.accepted),
            counted(decided, "offer", "offers"),
            percent(rate)
        ),
        None => "no offer with a visible answer".to_owned(),
    };
    put(buffer, area, 0, 0, &rate, Theme::name());
    let counts = counts_of.outcomes.in_order();
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let digits = counts.iter().map(|count| number(*count).len()).max().unwrap_or(1);
    for (place, (name, count)) in OUTCOMES.iter().zip(counts).enumerate() {
        let y = u16::try_from(place + 1).unwrap_or(u16::MAX);
        let mark = MARKS.get(place).copied().unwrap_or(" ");
        let text = format!("{mark} {name:16}{:>digits$} ", number(count));
        let style = if count > 0 {
            theme.tone(tone(place))
        } else {
            Theme::faint()
        };
        let x = put(buffer, area, 0, y, &text, style);
        let room = u64::from(area.width.saturating_sub(x + 2));
        put(buffer, area, x, y, &bar(count, most, room), style);
    }
}

/// A bar of at most `room` columns, in eighths of a column.
fn bar(count: u64, most: u64, room: u64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = u128::from(count) * u128::from(room) * 8 / u128::from(most);
    let eighths = if count > 0 { eighths.max(1) } else { 0 };
    let whole = usize::try_from(eighths / 8).unwrap_or(0);
    let rest = usize::try_from(eighths % 8).unwrap_or(0);
    format!("{}{}", "█".repeat(whole), EIGHTHS.get(rest).copied().unwrap_or(""))
}

/// Resumptions among offers over time: a column for each bar of the timeline.
fn chart(state: &ScreenState, theme: Theme, buffer: &mut Buffer, area: Rect) {
    const LEFT: u16 = 6;
    if area.width < LEFT + 10 || area.height < 4 {
        return;
    }
    let bars = &state.overview.timeline;
    let title = format!("offers accepted, each {}", duration(state.overview.bar));
    put(buffer, area, LEFT, 0, &title, Theme::name());
    let height = area.height - 3;
    for (y, label) in [(1, "100 %"), (height, "  0 %")] {
        put(buffer, area, 0, y, label, Theme::faint());
    }
    let room = area.width - LEFT - 1;
    let drawn = bars.len().min(usize::from(room));
    let wide = (usize::from(room) / drawn.max(1)).clamp(1, 6);
    // The latest are of interest where not all fit.
    for (place, (_, outcomes)) in bars.iter().skip(bars.len() - drawn).enumerate() {
        let x = LEFT + u16::try_from(place * wide).unwrap_or(u16::MAX);
        column(outcomes, (x, wide), height, theme, buffer, area);
    }
    let shown = bars.get(bars.len() - drawn..).unwrap_or_default();
    if let (Some((first, _)), Some((last, _))) = (shown.first(), shown.last()) {
        let [first, last] = [first, last].map(|time| clock_of_bar(*time, state.overview.bar));
        let x = put(buffer, area, LEFT, height + 1, &first, Theme::faint());
        let end = LEFT + u16::try_from(drawn * wide).unwrap_or(0);
        let width = u16::try_from(last.len()).unwrap_or(u16::MAX);
        if let Some(start) = end.checked_sub(width).filter(|start| *start > LEFT + x) {
            put(buffer, area, start, height + 1, &last, Theme::faint());
        }
    }
}

/// One bar: full rows and an eighth; nothing decided is a dot, a rate of nought a line at the foot.
fn column(outcomes: &Outcomes, (x, wide): (u16, usize), height: u16, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let gap = usize::from(wide > 2);
    let Some(rate) = resumed_of_offered(outcomes) else {
        put(buffer, area, x, height, "·", Theme::faint());
        return;
    };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and 8 times the rows
    let eighths = (rate * f64::from(height) * 8.0).round() as u16;
    if eighths == 0 {
        put(buffer, area, x, height, &"▁".repeat(wide - gap), theme.tone(Tone::Bad));
        return;
    }
    let style = theme.tone(if rate >= 0.5 { Tone::Good } else { Tone::Note });
    for row in 0..height {
        let filled = eighths.saturating_sub(row * 8).min(8);
        let block = EIGHTHS.get(usize::from(filled)).copied().unwrap_or(" ");
        put(buffer, area, x, height - row, &block.repeat(wide - gap), style);
    }
}

fn services(state: &ScreenState, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let title = format!(
        "Services by waste ({})",
        counted(state.overview.ranked.len() as u64, "service", "services")
    );
    heading(state, 0, &title, buffer, area);
    let report = &state.report;
    for (y, line) in lines(state, 0, area) {
        let view = state
            .overview
            .ranked
            .get(line)
            .and_then(|index| report.services.get(*index));
        let Some(view) = view else { break };
        let waste = &view.avoidable.all;
        let wasted = if waste.handshakes > 0 {
            let narrow = area.width < ROOMY;
            match waste.nanos {
                _ if narrow => format!("{} avoidable", number(waste.handshakes)),
                0 => format!("{} avoidable full handshakes", number(waste.handshakes)),
                nanos => format!(
                    "{} avoidable full handshakes, {}",
                    number(waste.handshakes),
                    duration(nanos)
                ),
            }
        } else {
            "none avoidable".to_owned()
        };
        let rate = view.counts.resumption_rate().map_or_else(|| "–".to_owned(), percent);
        let wasted_style = theme.tone(if waste.handshakes > 0 { Tone::Bad } else { Tone::Good });
        let x = put(buffer, area, 0, y, &format!("{rate:>6}  "), Style::new());
        let tail = u16::try_from(wasted.chars().count()).unwrap_or(u16::MAX);
        let name = Rect {
            width: area.width.saturating_sub(tail + 2),
            ..area
        };
        put(buffer, name, x, y, &service_title(view), Style::new());
        let x = area.width.saturating_sub(tail + 1);
        put(buffer, area, x, y, &wasted, wasted_style);
        cursor(state, 0, line, buffer, area, y);
    }
}

fn reasons(state: &ScreenState, buffer: &mut Buffer, area: Rect) {
    heading(state, 1, "Why not resumed", buffer, area);
    let report: &Report<'_> = &state.report;
    for (y, line) in lines(state, 1, area) {
        let Some(count) = report.summary.reasons.get(line) else {
            break;
        };
        let text = format!("{:>8}  {}", number(count.connections()), count.reason.name);
        put(buffer, area, 0, y, &text, Style::new());
        cursor(state, 1, line, buffer, area, y);
    }
    if report.summary.reasons.is_empty() {
        put(
            buffer,
            area,
            2,
            1,
            "everything resumed, or nothing was seen",
            Theme::faint(),
        );
    }
}

fn heading(state: &ScreenState, list: usize, title: &str, buffer: &mut Buffer, area: Rect) {
    let here = state.overview.list == list;
    let text = format!("{}{title}", if here { "▸ " } else { "  " });
    put(buffer, area, 0, 0, &text, Theme::name());
}

/// Rows of a list with the lines that stand in them.
fn lines(state: &ScreenState, list: usize, area: Rect) -> impl Iterator<Item = (u16, usize)> + use<> {
    let top = state.overview.top.get(list).copied().unwrap_or(0);
    (1..area.height).map(move |y| (y, top + usize::from(y) - 1))
}

fn cursor(state: &ScreenState, list: usize, line: usize, buffer: &mut Buffer, area: Rect, y: u16) {
    if state.overview.list == list && state.overview.line.get(list) == Some(&line) {
        mark_line(buffer, area, y);
    }
}
