//! Every service as a row of one table, those with the most trouble first. Where a script may run, ours sorts and filters
//! the rows; without it the table stands as it is.

use std::io;

use super::{HtmlPage, dash, escape};
use crate::model::document::ReportDocument;
use crate::model::view::number;
use crate::model::view::ranking::ServiceRow;

/// Services from which on the table can be sorted and filtered.
pub(super) const MANY: usize = 10;

/// Services from which on the table scrolls in a window of its own.
const TALL: usize = 25;

/// What sorts and filters. The page's policy lets exactly this text run, by its hash.
pub(super) const SCRIPT: &str = include_str!("table.js");

/// Whether the page has the script.
pub(super) fn has_script(handout: &ReportDocument<'_>) -> bool {
    handout.ranking.len() > MANY
}

impl HtmlPage<'_> {
    pub(super) fn ranking(&mut self, handout: &ReportDocument<'_>) -> io::Result<()> {
        let rows = &handout.ranking;
        if rows.len() < 2 {
            return Ok(());
        }
        // What follows must not stand behind a thousand rows.
        let scrolls = if rows.len() > TALL {
            "wide tall\" tabindex=\"0\" role=\"region\" aria-labelledby=\"services"
        } else {
            "wide"
        };
        writeln!(
            self.out,
            "<section aria-labelledby=\"services\">\n<h2 id=\"services\">Services</h2>\n<div class=\"{scrolls}\">\
             <table class=\"counts sortable\" id=\"ranking\">\n<thead><tr><th scope=\"col\" class=\"text\">service</th>\
             <th scope=\"col\">accepted</th><th scope=\"col\">offers</th><th scope=\"col\">connections</th>\
             <th scope=\"col\" class=\"text\">problem</th><th scope=\"col\">avoidable</th></tr></thead>\n<tbody>"
        )?;
        for row in rows {
            let place = handout.services.iter().position(|part| part.page.index == row.index);
            self.ranking_row(row, place)?;
        }
        writeln!(self.out, "</tbody>\n</table></div>")?;
        if has_script(handout) {
            write!(self.out, "<script>{SCRIPT}</script>")?;
        }
        writeln!(self.out, "</section>")
    }

    fn ranking_row(&mut self, row: &ServiceRow, place: Option<usize>) -> io::Result<()> {
        let title = format!(
            "{} <span class=\"faint\">{}</span>",
            escape(&row.name),
            escape(&row.server)
        );
        let title = match place {
            Some(place) => format!("<a href=\"#service-{}\">{title}</a>", place + 1),
            None => title,
        };
        let (problem, class) = match row.problem {
            Some(name) => (format!("<code>{}</code>", escape(name)), "declined"),
            None => ("nothing".to_owned(), "silent"),
        };
        let sure = row.sure.map_or_else(String::new, |sure| {
            format!(" <span class=\"sure\">{}</span>", sure.code())
        });
        writeln!(
            self.out,
            "<tr class=\"{class}\"><th scope=\"row\">{title}</th><td>{}</td><td>{}</td><td>{}</td>\
             <td class=\"text\">{problem}{sure}</td><td>{}</td></tr>",
            escape(&row.rate),
            dash(row.offers),
            number(row.connections),
            if row.avoidable.handshakes == 0 {
                dash(0)
            } else {
                escape(&row.cost())
            }
        )
    }
}
