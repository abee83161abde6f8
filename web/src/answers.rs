//! A finished run and what a page asks of it: reports in every form, narrowed, redacted, compared, cut out of a capture.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::Arc;

use reshake::capture::copy::{Excerpt, copy};
use reshake::capture::{self, Stream};
use reshake::diff::DiffSide;
use reshake::model::document::Bounds;
use reshake::model::session::{Life, NameMeaning, Requested};
use reshake::model::view::table::{self, Query, Rows, Sort, Table};
use reshake::model::{Report, SelectError, Selection};
use reshake::redact::{Aliases, RedactionKey};
use reshake::render::{html, json, markdown, session};
use reshake::run::Run;
use reshake_core::net::Capture;
use reshake_core::session::{Connection, ConnectionId};

/// How much of a report stands on the page: its connections have a table of their own there.
const LIVE: Bounds = Bounds {
    connections: 0,
    ..Bounds::USUAL
};
/// Meanings listed of a name that has several.
const MAX_CANDIDATES: usize = 20;

/// A form that a report is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `reshake-report/1`.
    Json,
    /// One row a connection.
    Csv,
    /// For tickets and wikis.
    Markdown,
    /// A page that stands alone.
    Html,
    /// The same as far as the live page shows it.
    Live,
}

impl Form {
    /// By its name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "json" => Self::Json,
            "csv" => Self::Csv,
            "markdown" => Self::Markdown,
            "html" => Self::Html,
            "live" => Self::Live,
            _ => return None,
        })
    }

    fn write(self, report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Json => json::write_document(report, out),
            Self::Csv => json::write_csv(report, out),
            Self::Markdown => markdown::write(report, Bounds::USUAL, out),
            Self::Html => html::write(report, Bounds::USUAL, out),
            Self::Live => html::write(report, LIVE, out),
        }?;
        out.flush()
    }
}

/// A run that is over.
pub struct Answers {
    /// As the readers left them: a report adds what was skipped in them.
    captures: Vec<Capture>,
    whole: Report<'static>,
    /// What a selection leaves.
    shown: Option<Report<'static>>,
    /// Rows of the table, and by what they are sorted.
    rows: (Option<Sort>, Rows),
}

impl Answers {
    /// Of a run. What could not be read was taken out of it before.
    #[must_use]
    pub fn of(run: Run) -> Self {
        let whole = Report::of(Arc::new(run.engine), run.captures.clone());
        let rows = Rows::All(whole.len());
        Self {
            captures: run.captures,
            whole,
            shown: None,
            rows: (None, rows),
        }
    }

    /// What is shown.
    #[must_use]
    pub fn report(&self) -> &Report<'static> {
        self.shown.as_ref().unwrap_or(&self.whole)
    }

    /// Shows what a selection leaves; everything for an empty one.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn select(&mut self, terms: &str) -> Result<(), SelectError> {
        self.shown = if terms.trim().is_empty() {
            None
        } else {
            Some(self.whole.narrowed(Selection::parse(terms)?))
        };
        self.rows = (None, Rows::All(self.report().len()));
        Ok(())
    }

    /// The rows of the table of connections, in some order.
    pub fn rows(&mut self, sort: Option<Sort>) -> &Rows {
        if self.rows.0 != sort {
            let query = Query {
                table: Table::Connections,
                selection: None,
                sort,
            };
            if let Some(rows) = table::find(self.report(), &query, &|| true) {
                self.rows = (sort, rows);
            }
        }
        &self.rows.1
    }

    /// Writes what is shown.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, form: Form, out: &mut dyn Write) -> io::Result<()> {
        form.write(self.report(), out)
    }

    /// Writes what is shown, under other names: made from this key, or `None` where it is too short.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_redacted(&self, form: Form, key: Vec<u8>, out: &mut dyn Write) -> io::Result<Option<()>> {
        let Some(key) = RedactionKey::new(key.into()) else {
            return Ok(None);
        };
        // What is selected was written for the names before.
        let selection = match self.report().selection().map(Selection::parse) {
            Some(Ok(selection)) => Some(selection.settled(&self.whole)),
            Some(Err(error)) => return Err(io::Error::other(error.message)),
            None => None,
        };
        let mut engine = self.whole.engine.snapshot();
        let mut captures = self.captures.clone();
        Aliases::new(&key).apply(&mut engine, &mut captures);
        form.write(&Report::of_selected(&engine, captures, selection), out)?;
        Ok(Some(()))
    }

    /// Writes the life of the session that a name means.
    ///
    /// # Errors
    /// Those of `out`; what is wrong with the name is the inner one.
    pub fn session(&self, name: &str, out: &mut dyn Write) -> io::Result<Result<(), String>> {
        let found = match self.find(name) {
            Ok(found) => found,
            Err(line) => return Ok(Err(line)),
        };
        session::text(&self.whole, &Life::of(&self.whole, found), out)?;
        Ok(Ok(()))
    }

    fn find(&self, name: &str) -> Result<NameMeaning, String> {
        let found = Requested::parse(name.trim(), &self.whole)?.find(&self.whole);
        match found.as_slice() {
            [] => Err(session::unknown(&self.whole, name)),
            [one] => Ok(*one),
            several => {
                let first = several.iter().take(MAX_CANDIDATES);
                let lines: Vec<String> = first.map(|one| session::candidate(&self.whole, *one)).collect();
                let more = if several.len() > MAX_CANDIDATES { "\n…" } else { "" };
                Err(format!(
                    "'{name}' may mean {} sessions:\n{}{more}",
                    several.len(),
                    lines.join("\n")
                ))
            }
        }
    }

    /// Connections of the sessions that a connection had to do with, itself among them.
    fn of_its_sessions(&self, id: ConnectionId) -> BTreeSet<ConnectionId> {
        let Some(connection) = self.whole.engine.connection_store().get(id) else {
            return BTreeSet::new();
        };
        let offered = connection.offers.iter().map(|offer| offer.credential);
        let credentials = offered.chain(connection.issued.iter().copied());
        let known = credentials.filter(|id| self.whole.engine.credential_store().get(*id).is_some());
        let lives = known
            .map(NameMeaning::Credential)
            .chain([NameMeaning::Connection(id)])
            .map(|found| Life::of(&self.whole, found));
        lives.flat_map(|life| life.connections).collect()
    }

    /// Copies the packets of a connection, or of all sessions it had to do with, out of the capture, which is read twice.
    ///
    /// # Errors
    /// One line that says why there is no copy.
    pub fn extract(
        &self,
        place: usize,
        sessions: bool,
        mut capture: impl FnMut() -> Option<Stream>,
        out: &mut dyn Write,
    ) -> Result<u64, String> {
        if self.captures.len() != 1 {
            return Err("packets can be saved from one capture at a time: open it alone".to_owned());
        }
        let gone = || "the capture is not there any more".to_owned();
        let (_, id, _) = self.report().at(place).ok_or_else(gone)?;
        let ids = if sessions {
            self.of_its_sessions(id)
        } else {
            BTreeSet::from([id])
        };
        let kept = self.whole.engine.connection_store();
        let chosen: Vec<&Connection> = ids.iter().filter_map(|id| kept.get(*id)).collect();
        let Stream { name, reader, size } = capture().ok_or_else(gone)?;
        let mut source = capture::from_reader(&name, reader, size, 0).map_err(|error| error.to_string())?;
        let others = kept.iter().map(|(_, connection)| connection);
        let excerpt = Excerpt::of(0, &chosen, others, source.as_mut(), Vec::new());
        let copied = copy(capture().ok_or_else(gone)?, &excerpt, out).map_err(|error| error.to_string())?;
        let read = self.captures.first().map_or(0, |capture| capture.packets);
        if copied.frames != read {
            return Err(format!(
                "{name}: has {} frames now and had {read} when it was analysed: it was changed, is damaged, or reading was \
                 stopped",
                copied.frames
            ));
        }
        Ok(copied.kept)
    }

    /// What is compared with another capture.
    #[must_use]
    pub fn side(&self) -> DiffSide {
        let path = self.captures.first().map_or("", |capture| capture.path.as_str());
        DiffSide::of(&self.whole, path)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Cursor;
    use std::ops::ControlFlow;

    use reshake::run::Reading;
    use reshake_core::engine::Limits;
    use serde_json::Value;

    use super::*;

    const QUICKSTART: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../fixtures/captures/quickstart/capture.pcapng"
    );

    fn stream(name: &str) -> Stream {
        let bytes = fs::read(QUICKSTART).expect("the fixture");
        Stream {
            name: name.to_owned(),
            size: None,
            reader: Box::new(Cursor::new(bytes)),
        }
    }

    fn answers(names: &[&str]) -> Answers {
        let streams = names.iter().map(|name| stream(name)).collect();
        let mut reading = Reading::of(streams, Vec::new(), Limits::default());
        while reading.read_on(&mut |_| ControlFlow::Continue(())) {}
        Answers::of(reading.finish())
    }

    #[test]
    fn what_is_selected_by_a_name_is_saved_without_it() {
        let mut answers = answers(&["www.a.test.pcapng"]);
        answers.select("name:www.a.test outcome:declined").expect("a selection");
        let mut out = Vec::new();
        let done = answers.write_redacted(Form::Json, vec![7; 32], &mut out);
        assert!(matches!(done, Ok(Some(()))));
        let text = String::from_utf8(out).expect("UTF-8");
        assert!(!text.contains("a.test") && !text.contains("10.0.0."));
        let report: Value = serde_json::from_str(&text).expect("one document");
        let count = report["connections"].as_array().map(Vec::len);
        assert_eq!(count, Some(18));
        let short = answers.write_redacted(Form::Json, vec![7; 3], &mut Vec::new());
        assert!(matches!(short, Ok(None)));
        // What is shown has its names still.
        let mut out = Vec::new();
        answers.write(Form::Json, &mut out).expect("writing to memory");
        assert!(String::from_utf8_lossy(&out).contains("www.a.test"));
    }

    #[test]
    fn packets_come_from_one_capture_only_and_only_as_it_was() {
        let extract = |answers: &Answers, bytes: fn(Stream) -> Stream| {
            let again = || Some(bytes(stream("a")));
            answers.extract(0, true, again, &mut Vec::new())
        };
        assert!(extract(&answers(&["a"]), |whole| whole).is_ok_and(|kept| kept > 0));
        let several = extract(&answers(&["a", "b"]), |whole| whole);
        assert!(several.is_err_and(|line| line.contains("one capture at a time")));
        let changed = extract(&answers(&["a"]), |whole| Stream {
            reader: Box::new(io::Read::take(whole.reader, 20_000)),
            ..whole
        });
        assert!(changed.is_err_and(|line| line.contains("it was changed, is damaged")));
    }

    #[test]
    fn a_session_is_found_by_a_frame_or_said_to_be_unknown() {
        let answers = answers(&["a"]);
        let told = answers.session("frame:34", &mut Vec::new()).expect("writing to memory");
        assert_eq!(told, Ok(()));
        let nothing = answers
            .session("cffffffffff", &mut Vec::new())
            .expect("writing to memory");
        assert!(nothing.is_err_and(|line| line.contains("nothing in this capture")));
    }
}
