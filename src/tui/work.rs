//! Work that looks at every connection, on a thread of its own, so that keys are answered meanwhile.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use crate::model::Report;
use crate::model::view::service::ServicePage;
use crate::model::view::table::{find, search};
use crate::render::item::{ReportPart, json, markdown};

use super::event::{Ask, BackgroundJob, Cutter, ExportFormat, UserEvent, View};

/// The latest question of each kind: earlier ones are given up.
type Latest = Arc<[AtomicU64; BackgroundJob::KINDS]>;

/// Hands questions to the thread that answers them.
#[derive(Debug)]
pub struct Worker {
    asks: Sender<Ask>,
    latest: Latest,
}

impl Worker {
    /// Starts the thread. Answers go to `answers`; files are written to `folder`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(folder: PathBuf, cutter: Cutter, answers: Sender<UserEvent>) -> io::Result<Self> {
        let (asks, questions) = mpsc::channel();
        let latest: Latest = Arc::default();
        let known = Arc::clone(&latest);
        let work = move || serve(&questions, &known, (&folder, &cutter), &answers);
        thread::Builder::new().name("work".to_owned()).spawn(work)?;
        Ok(Self { asks, latest })
    }

    /// Asks; an earlier question of the same kind is given up.
    pub fn ask(&self, ask: Ask) {
        if let Some(latest) = self.latest.get(ask.job.kind()) {
            latest.store(ask.generation, Ordering::Relaxed);
        }
        // The thread ends only with the program.
        let _ = self.asks.send(ask);
    }
}

fn serve(questions: &Receiver<Ask>, latest: &Latest, places: (&Path, &Cutter), answers: &Sender<UserEvent>) {
    while let Ok(ask) = questions.recv() {
        let kind = ask.job.kind();
        let go_on = || {
            let latest = latest.get(kind).map(|latest| latest.load(Ordering::Relaxed));
            latest == Some(ask.generation)
        };
        if let Some(answer) = go_on().then(|| self::answer(&ask, places, &go_on)).flatten()
            && answers.send(answer).is_err()
        {
            return;
        }
    }
}

/// The answer to a question, with the folder for files and what writes packets; `None` when nobody wants it any more.
pub fn answer(ask: &Ask, (folder, cutter): (&Path, &Cutter), go_on: &dyn Fn() -> bool) -> Option<UserEvent> {
    let generation = ask.generation;
    let report = &ask.report;
    Some(match &ask.job {
        BackgroundJob::Find(query) => UserEvent::Found {
            generation,
            table: query.table,
            report: Arc::clone(report),
            rows: Arc::new(find(report, query, go_on)?),
        },
        BackgroundJob::Search {
            table,
            rows,
            from,
            forward,
            needle,
        } => {
            let row = search(report, *table, rows, (*from, *forward), needle, go_on);
            if !go_on() {
                return None;
            }
            UserEvent::Hit { generation, row }
        }
        BackgroundJob::Service { index, client } => {
            let page = ServicePage::of(report, *index, *client, go_on).map(Arc::new);
            if !go_on() {
                return None;
            }
            UserEvent::Service { generation, page }
        }
        BackgroundJob::Picture { index } => {
            let page = ServicePage::of(report, *index, 0, go_on).map(Arc::new);
            if !go_on() {
                return None;
            }
            UserEvent::Picture { generation, page }
        }
        BackgroundJob::Packets { id, name } => UserEvent::Exported((cutter.0)(report, *id, name, folder)),
        BackgroundJob::Export { shown, form } => {
            UserEvent::Exported(export(report, shown, *form, folder).map_err(|error| error.to_string()))
        }
    })
}

/// Files of one name that are tried.
const MAX_NAMES: u32 = 10_000;

/// Writes what is shown to a new file; an existing one is never touched. Returns its name.
fn export(report: &Report<'_>, shown: &View, form: ExportFormat, folder: &Path) -> io::Result<String> {
    let (name, file) = create(folder, &name(shown), form)?;
    let mut out = BufWriter::new(file);
    match form {
        ExportFormat::Json => json(report, &scope(shown), &mut out)?,
        ExportFormat::Markdown => match shown {
            View::Overview => markdown::overview(report, &mut out)?,
            View::Table(query, rows) => markdown::table(report, query.table, rows, &mut out)?,
            View::Service(page) => markdown::service(page, &mut out)?,
            View::Connection(view) => markdown::connection(view, &mut out)?,
            View::Credential(view) => markdown::credential(view, &mut out)?,
        },
    }
    out.flush()?;
    Ok(name)
}

fn scope(shown: &View) -> ReportPart {
    match shown {
        View::Overview => ReportPart::Everything,
        View::Table(query, _) => match &query.selection {
            Some(selection) => ReportPart::Selected(selection.clone()),
            None => ReportPart::Everything,
        },
        View::Service(page) => ReportPart::Service(page.index),
        View::Connection(view) => ReportPart::Connection(view.id),
        View::Credential(view) => ReportPart::Credential(view.id),
    }
}

fn name(shown: &View) -> String {
    match shown {
        View::Overview => "overview".to_owned(),
        View::Table(query, _) => match query.table {
            crate::model::view::table::Table::Connections => "connections".to_owned(),
            crate::model::view::table::Table::Credentials => "credentials".to_owned(),
        },
        View::Service(_) => "service".to_owned(),
        View::Connection(view) => view.name.clone(),
        View::Credential(view) => view.name.clone(),
    }
}

fn create(folder: &Path, name: &str, form: ExportFormat) -> io::Result<(String, File)> {
    let ending = match form {
        ExportFormat::Json => "json",
        ExportFormat::Markdown => "md",
    };
    for number in 1..=MAX_NAMES {
        let count = if number == 1 {
            String::new()
        } else {
            format!("-{number}")
        };
        let name = format!("reshake-{name}{count}.{ending}");
        match File::create_new(folder.join(&name)) {
            Ok(file) => return Ok((name, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io::Error::new(error.kind(), format!("{name}: {error}"))),
        }
    }
    Err(io::Error::other("there are too many files of that name"))
}
