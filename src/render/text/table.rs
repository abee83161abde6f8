//! Many services as a table: one line each, those with the most trouble first.

use std::io::{self, Write};

use super::{Page, paint};
use crate::model::view::ranking::ServiceRow;
use crate::wording::{counted, number};

/// Rows without `--all`.
const MAX_ROWS: usize = 20;
/// Least columns of a service's name.
const MIN_NAME: usize = 16;

impl Page<'_, '_> {
    /// Services in rows; the rest counted.
    pub(super) fn service_table(&mut self, rows: &[ServiceRow]) -> io::Result<()> {
        let shown = if self.all { rows.len() } else { MAX_ROWS.min(rows.len()) };
        let (shown, rest) = rows.split_at(shown);
        let cells: Vec<[String; 4]> = shown
            .iter()
            .map(|row| {
                let problem = row.problem.unwrap_or("–").to_owned();
                [row.rate.clone(), number(row.offers), problem, row.cost()]
            })
            .collect();
        let headings = ["rate", "offers", "problem", "cost"];
        let mut widths = headings.map(|heading| heading.chars().count());
        for row in &cells {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let [rate, offers, problem, cost] = widths;
        let taken = rate + offers + problem + cost + 4 * 2 + 2;
        let name = self.out.width().saturating_sub(taken).max(MIN_NAME);
        let heading = format!(
            "  {:>rate$}  {:>offers$}  {:problem$}  {:cost$}  service",
            "rate", "offers", "problem", "cost"
        );
        writeln!(self.out, "{}", paint(self.style.faint, heading))?;
        for (row, [rate_text, offers_text, problem_text, cost_text]) in shown.iter().zip(&cells) {
            let title = shortened(&row.name, &row.server, name);
            let style = if row.problem.is_some() {
                self.style.bad
            } else {
                self.style.faint
            };
            let told = paint(style, format_args!("{problem_text:problem$}"));
            let line = format!(
                "  {rate_text:>rate$}  {offers_text:>offers$}  {told}  {cost_text:cost$}  {}",
                paint(self.style.name, title)
            );
            writeln!(self.out, "{line}")?;
        }
        if rest.is_empty() {
            return Ok(());
        }
        let connections = rest.iter().map(|row| row.connections).sum();
        let worth = match rest.iter().map(|row| row.worth_a_look).sum() {
            0 => "nothing to act on".to_owned(),
            troubled => format!("{} worth a look", number(troubled)),
        };
        writeln!(
            self.out,
            "  … {} ({}, {worth}): --all",
            counted(rest.len() as u64, "more service", "more services"),
            counted(connections, "connection", "connections")
        )
    }
}

/// A name with its endpoint where both have room; what is cut shows it.
fn shortened(name: &str, server: &str, room: usize) -> String {
    let whole = format!("{name} {server}");
    if whole.chars().count() <= room {
        return whole;
    }
    if name.chars().count() <= room {
        return name.to_owned();
    }
    // The end of a name says which domain it is of, its beginning which host: the beginning tells more apart.
    let front: String = name.chars().take(room.saturating_sub(1)).collect();
    format!("{front}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_told_as_fully_as_there_is_room() {
        let short = |room| shortened("www.example.test", "192.0.2.1:443", room);
        assert_eq!(short(30), "www.example.test 192.0.2.1:443");
        assert_eq!(short(29), "www.example.test");
        assert_eq!(short(8), "www.exa…");
    }
}
