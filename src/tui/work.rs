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
use crate::render::item::{Scope, json, markdown};

use super::event::{Ask, Cutter, Event, Form, Job, Shown};

/// The latest question of each kind: earlier ones are given up.
type Latest = Arc<[AtomicU64; Job::KINDS]>;

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
    pub fn start(folder: PathBuf, cutter: Cutter, answers: Sender<Event>) -> io::Result<Self> {
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

fn serve(questions: &Receiver<Ask>, latest: &Latest, places: (&Path, &Cutter), answers: &Sender<Event>) {
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
pub fn answer(ask: &Ask, (folder, cutter): (&Path, &Cutter), go_on: &dyn Fn() -> bool) -> Option<Event> {
    let generation = ask.generation;
    let report = &ask.report;
    Some(match &ask.job {
        Job::Find(query) => Event::Found {
            generation,
            table: query.table,
            report: Arc::clone(report),
            rows: Arc::new(find(report, query, go_on)?),
        },
        Job::Search {
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
            Event::Hit { generation, row }
        }
        Job::Service { index, client } => {
            let page = ServicePage::of(report, *index, *client, go_on).map(Arc::new);
            if !go_on() {
                return None;
            }
            Event::Service { generation, page }
        }
        Job::Packets { id, name } => Event::Exported((cutter.0)(report, *id, name, folder)),
        Job::Export { shown, form } => {
            Event::Exported(export(report, shown, *form, folder).map_err(|error| error.to_string()))
        }
    })
}

/// Files of one name that are tried.
const MAX_NAMES: u32 = 10_000;

/// Writes what is shown to a new file; an existing one is never touched. Returns its name.
fn export(report: &Report<'_>, shown: &Shown, form: Form, folder: &Path) -> io::Result<String> {
    let (name, file) = create(folder, &name(shown), form)?;
    let mut out = BufWriter::new(file);
    match form {
        Form::Json => json(report, &scope(shown), &mut out)?,
        Form::Markdown => match shown {
            Shown::Overview => markdown::overview(report, &mut out)?,
            Shown::Table(query, rows) => markdown::table(report, query.table, rows, &mut out)?,
            Shown::Service(page) => markdown::service(page, &mut out)?,
            Shown::Connection(view) => markdown::connection(view, &mut out)?,
            Shown::Credential(view) => markdown::credential(view, &mut out)?,
        },
    }
    out.flush()?;
    Ok(name)
}

fn scope(shown: &Shown) -> Scope {
    match shown {
        Shown::Overview => Scope::Everything,
        Shown::Table(query, _) => match &query.selection {
            Some(selection) => Scope::Selected(selection.clone()),
            None => Scope::Everything,
        },
        Shown::Service(page) => Scope::Service(page.index),
        Shown::Connection(view) => Scope::Connection(view.id),
        Shown::Credential(view) => Scope::Credential(view.id),
    }
}

fn name(shown: &Shown) -> String {
    match shown {
        Shown::Overview => "overview".to_owned(),
        Shown::Table(query, _) => match query.table {
            crate::model::view::table::Table::Connections => "connections".to_owned(),
            crate::model::view::table::Table::Credentials => "credentials".to_owned(),
        },
        Shown::Service(_) => "service".to_owned(),
        Shown::Connection(view) => view.name.clone(),
        Shown::Credential(view) => view.name.clone(),
    }
}

fn create(folder: &Path, name: &str, form: Form) -> io::Result<(String, File)> {
    let ending = match form {
        Form::Json => "json",
        Form::Markdown => "md",
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
