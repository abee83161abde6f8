//! Where things stand on the screen: shared by what draws them and what takes clicks and scrolls.

use ratatui::layout::Rect;

use crate::model::view::table::{Sort, Table};

/// Rows above the body: the names of the screens.
pub const HEAD: u16 = 1;
/// Rows below the body: hints, messages, what is typed.
pub const FOOT: u16 = 1;
/// Rows of a table above its first line: filter and headings.
pub const TABLE_HEAD: u16 = 2;
/// Columns between two columns of a table.
const GAP: u16 = 2;
/// Columns of a terminal from which on a table is not squeezed.
const ROOMY: u16 = 100;
/// Columns that a growing column takes at most.
const MAX_GROWN: u16 = 48;
/// The smallest terminal that is drawn on.
pub const SMALLEST: (u16, u16) = (40, 10);

/// The body of a screen.
#[must_use]
pub const fn body((width, height): (u16, u16)) -> Rect {
    Rect {
        x: 0,
        y: HEAD,
        width,
        height: height.saturating_sub(HEAD + FOOT),
    }
}

/// Columns and rows of the body from which on the chosen connection is told below the table.
const ROOM_UNDER_TABLE: (u16, u16) = (100, 30);
/// Rows of what is told below the table, at least and at most.
const UNDER_TABLE: (u16, u16) = (14, 28);

/// A table, and where its chosen line is told, if there is room for it.
#[must_use]
pub fn table_parts(table: Table, size: (u16, u16)) -> (Rect, Option<Rect>) {
    let body = body(size);
    if table != Table::Connections || body.width < ROOM_UNDER_TABLE.0 || body.height < ROOM_UNDER_TABLE.1 {
        return (body, None);
    }
    let told = (body.height * 2 / 5).clamp(UNDER_TABLE.0, UNDER_TABLE.1);
    let height = body.height - told;
    let under = Rect {
        y: body.y + height,
        height: told,
        ..body
    };
    (Rect { height, ..body }, Some(under))
}

/// Lines of a table that are seen at once.
#[must_use]
pub fn table_lines(table: Table, size: (u16, u16)) -> usize {
    usize::from(table_parts(table, size).0.height.saturating_sub(TABLE_HEAD))
}

/// Parts of the overview.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overview {
    /// What was read.
    pub head: Rect,
    /// Outcomes.
    pub outcomes: Rect,
    /// The chart.
    pub chart: Rect,
    /// Services and reasons, each with a row of headings.
    pub lists: [Rect; 2],
    /// What there is to say of the chosen service, where there is room for it.
    pub detail: Option<Rect>,
    /// The way of its sessions between backends, where there is still more.
    pub picture: Option<Rect>,
}

/// Columns from which on three panels stand side by side.
const WIDE: u16 = 150;
/// Columns and rows of the lists from which on the chosen service is told below them.
const ROOM_BELOW: (u16, u16) = (90, 14);
/// Rows of what is told below the lists at most.
const MAX_BELOW: u16 = 12;

/// Rows of the lists from which on a picture stands below them, and rows of it at least and at most.
const ROOM_FOR_PICTURE: u16 = 26;
const PICTURE: (u16, u16) = (11, 18);

/// Rows of outcomes and chart.
const UPPER: (u16, u16) = (9, 20);
/// Columns of the outcomes.
const OUTCOMES: u16 = 40;

/// The overview on a terminal of this size.
#[must_use]
pub fn overview(size: (u16, u16)) -> Overview {
    let body = body(size);
    let head = Rect {
        height: 2.min(body.height),
        ..body
    };
    let rest = body.height - head.height;
    let upper = (rest / 3).clamp(UPPER.0, UPPER.1).min(rest);
    let row = |x, y, width, height| Rect { x, y, width, height };
    let outcomes = OUTCOMES.min(body.width);
    let y = head.y + head.height;
    let reasons = (body.width * 2 / 5).clamp(34.min(body.width), if body.width >= WIDE { 48 } else { 60 });
    let left = body.width.saturating_sub(reasons + 1);
    let below = y + upper;
    let rows = rest - upper;
    let pictured = if body.width >= WIDE && rows >= ROOM_FOR_PICTURE {
        (rows * 2 / 5).clamp(PICTURE.0, PICTURE.1)
    } else {
        0
    };
    // A row between them stays empty.
    let picture = (pictured > 0).then(|| row(0, below + rows - pictured + 1, body.width, pictured - 1));
    let rows = rows - pictured;
    let (services, lines, detail) = if body.width >= WIDE {
        let services = left / 2;
        (
            services,
            rows,
            Some(row(services + 1, below, left - services - 1, rows)),
        )
    } else if body.width >= ROOM_BELOW.0 && rows >= ROOM_BELOW.1 {
        let told = (rows / 2).min(MAX_BELOW);
        (left, rows - told, Some(row(0, below + rows - told, body.width, told)))
    } else {
        (left, rows, None)
    };
    Overview {
        head,
        outcomes: row(0, y, outcomes, upper),
        chart: row(outcomes, y, body.width - outcomes, upper),
        lists: [
            row(0, below, services, lines),
            row(body.width - reasons, below, reasons, lines),
        ],
        detail,
        picture,
    }
}

impl Overview {
    /// Lines of a list that are seen at once.
    #[must_use]
    pub const fn list_lines(&self) -> usize {
        self.lists[0].height.saturating_sub(1) as usize
    }
}

/// A column of a table on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShownColumn {
    /// Its index.
    pub column: usize,
    /// Where it begins.
    pub x: u16,
    /// How wide it is.
    pub width: u16,
}

/// The columns for which there is room: the most important ones, and the one that the table is sorted by.
#[must_use]
pub fn columns(table: Table, width: u16, sort: Option<Sort>) -> Vec<ShownColumn> {
    let all = table.columns();
    let mut by_rank: Vec<usize> = (0..all.len()).collect();
    let sorted_by = |index: usize| sort.is_some_and(|sort| sort.column == index);
    by_rank.sort_by_key(|index| (!sorted_by(*index), all.get(*index).map(|column| column.rank), *index));
    // Narrow terminals get every column that says what a connection is, each as narrow as can be read.
    let tight = width < ROOMY;
    let gap = if tight { 1 } else { GAP };
    let mut room = width;
    let mut chosen: Vec<(usize, u16)> = Vec::new();
    for index in by_rank {
        let Some(column) = all.get(index) else { continue };
        // The heading that is sorted by has an arrow behind it.
        let arrowed = u16::try_from(column.title.len() + 1).unwrap_or(u16::MAX);
        let plain = if tight { column.tight } else { column.width };
        let least = plain.max(if sorted_by(index) { arrowed } else { 0 });
        let needed = least + if chosen.is_empty() { 0 } else { gap };
        if needed > room {
            break;
        }
        room -= needed;
        chosen.push((index, least));
    }
    chosen.sort_unstable();
    let growing = |index: usize| all.get(index).is_some_and(|column| column.grows);
    while room > 0 {
        let narrowest = chosen
            .iter_mut()
            .filter(|(index, width)| growing(*index) && *width < MAX_GROWN)
            .min_by_key(|(_, width)| *width);
        let Some((_, width)) = narrowest else { break };
        *width += 1;
        room -= 1;
    }
    let mut x = 0;
    chosen
        .into_iter()
        .map(|(column, width)| {
            let shown = ShownColumn { column, x, width };
            x += width + gap;
            shown
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_never_overlap_or_leave_the_screen() {
        for table in [Table::Connections, Table::Credentials] {
            for width in 0..300 {
                for sort in 0..table.columns().len() {
                    let sort = Some(Sort {
                        column: sort,
                        descending: false,
                    });
                    let shown = columns(table, width, sort);
                    let mut end = 0;
                    for column in &shown {
                        assert!(column.x >= end, "{width}: {shown:?}");
                        end = column.x + column.width;
                    }
                    assert!(end <= width, "{width}: {shown:?}");
                }
            }
        }
    }

    #[test]
    fn the_column_that_is_sorted_by_is_always_shown() {
        let sort = Some(Sort {
            column: 11,
            descending: true,
        });
        assert!(
            columns(Table::Connections, 80, sort)
                .iter()
                .any(|shown| shown.column == 11)
        );
        assert!(
            !columns(Table::Connections, 80, None)
                .iter()
                .any(|shown| shown.column == 11)
        );
        assert_eq!(columns(Table::Connections, 250, None).len(), 12);
    }

    #[test]
    fn the_overview_fills_any_terminal() {
        for width in SMALLEST.0..260 {
            for height in SMALLEST.1..80 {
                let parts = overview((width, height));
                let whole = Rect {
                    x: 0,
                    y: 0,
                    width,
                    height,
                };
                let detail = parts.detail.unwrap_or_default();
                let picture = parts.picture.unwrap_or_default();
                for part in [
                    parts.head,
                    parts.outcomes,
                    parts.chart,
                    parts.lists[0],
                    parts.lists[1],
                    detail,
                    picture,
                ] {
                    assert_eq!(part.intersection(whole), part, "{width}×{height}: {part:?}");
                }
            }
        }
    }
}
