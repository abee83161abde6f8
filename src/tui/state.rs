//! Everything the screens remember between two events.

use std::sync::Arc;

use crate::model::view::Service;
use crate::model::view::charts::bars;
use crate::model::view::connection::ConnectionView;
use crate::model::view::credential::CredentialView;
use crate::model::view::overview::by_waste;
use crate::model::view::service::ServicePage;
use crate::model::view::swimlane::Swimlane;
use crate::model::view::table::{Query, RowKey, Rows, Sort, Table};
use crate::model::{Outcomes, Report, Selection};

use super::content;
use super::event::{Shared, Stats};
use super::keys::KeyContext;
use super::layout::{body, overview as overview_layout, table_lines};
use super::page::{Cursor, ScreenPage, scrolled};

/// The state of all screens.
#[derive(Debug)]
pub struct ScreenState {
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// The report that is shown.
    pub report: Shared,
    /// The overview.
    pub overview: OverviewState,
    /// The table of connections.
    pub connections: TableState,
    /// The table of credentials.
    pub credentials: TableState,
    /// The main screen, and what was opened from there.
    pub main: Main,
    /// Screens that were opened, the one that is seen last.
    pub opened: Vec<Screen>,
    /// What is being typed.
    pub input: Option<PromptInput>,
    /// The first line of the help, while it is shown.
    pub help: Option<usize>,
    /// Said at the foot until the next key.
    pub message: Option<String>,
    /// The text that was looked for last.
    pub needle: String,
    /// Filters that were used, the latest last.
    pub filters: Vec<String>,
    /// A live capture.
    pub live: Option<LiveScreen>,
    /// Number of the latest question.
    pub generation: u64,
}

/// The main screens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Main {
    /// The overview.
    Overview,
    /// A table.
    Table(Table),
}

impl Main {
    /// In the order of their tabs.
    pub const ALL: [Self; 3] = [
        Self::Overview,
        Self::Table(Table::Connections),
        Self::Table(Table::Credentials),
    ];

    /// Its name.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Table(Table::Connections) => "Connections",
            Self::Table(Table::Credentials) => "Credentials",
        }
    }
}

/// A screen that was opened from another one.
#[derive(Debug, Clone)]
pub enum Screen {
    /// A service.
    Service(ServiceState),
    /// A connection.
    Connection(Arc<ConnectionView>, Cursor),
    /// A credential.
    Credential(Arc<CredentialView>, Cursor),
}

/// The screen of a service.
#[derive(Debug, Clone)]
pub struct ServiceState {
    /// Its index in the report.
    pub index: usize,
    /// The client of the swimlane.
    pub client: usize,
    /// The first mark of the swimlane.
    pub from: usize,
    /// What is shown, once it is there.
    pub page: Option<Arc<ServicePage>>,
    /// The question that is open.
    pub asked: Option<u64>,
    /// Where the cursor is.
    pub cursor: Cursor,
}

/// The lists of the overview.
#[derive(Debug, Clone, Default)]
pub struct OverviewState {
    /// Outcomes over time.
    pub timeline: Vec<(crate::model::view::Moment, Outcomes)>,
    /// Nanoseconds of one of its bars.
    pub bar: i64,
    /// Services by what they waste.
    pub ranked: Vec<usize>,
    /// The list with the cursor: services, or reasons.
    pub list: usize,
    /// The chosen line of each.
    pub line: [usize; 2],
    /// Lines that are scrolled off each.
    pub top: [usize; 2],
    /// The page of a service, for its picture.
    pub pictured: Option<(Service, Arc<ServicePage>)>,
    /// The question for that of a service that is open or answered, and the service's index.
    pub asked: Option<(u64, usize)>,
}

impl OverviewState {
    fn of(report: &Report<'_>) -> Self {
        let (timeline, bar) = bars(report);
        Self {
            timeline,
            bar,
            ranked: by_waste(report),
            ..Self::default()
        }
    }

    /// Index of the chosen service.
    #[must_use]
    pub fn chosen(&self) -> Option<usize> {
        self.ranked.get(self.line[0]).copied()
    }

    /// The picture of the chosen service, if it is there.
    #[must_use]
    pub fn picture(&self, report: &Report<'_>) -> Option<&Swimlane> {
        let chosen = report.services.get(self.chosen()?)?.service();
        let (service, page) = self.pictured.as_ref()?;
        page.swimlane.as_ref().filter(|_| *service == chosen)
    }

    /// Lines of a list.
    #[must_use]
    pub fn lines(&self, report: &Report<'_>, list: usize) -> usize {
        match list {
            0 => self.ranked.len(),
            _ => report.summary.reasons.len(),
        }
    }
}

/// A table with its rows, order and cursor.
#[derive(Debug, Clone)]
pub struct TableState {
    /// Which.
    pub table: Table,
    /// The report in which its rows stand: that of the screens, or an earlier one while rows are being found.
    pub report: Shared,
    /// Its rows.
    pub rows: Arc<Rows>,
    /// The chosen row.
    pub selected: usize,
    /// The first row that is seen.
    pub top: usize,
    /// The filter as it was typed.
    pub filter: String,
    /// The same, understood.
    pub selection: Option<Selection>,
    /// What is wrong with what is typed.
    pub error: Option<String>,
    /// Its order.
    pub sort: Option<Sort>,
    /// The question for rows that is open.
    pub asked: Option<u64>,
    /// The question for a text that is open.
    pub searching: Option<u64>,
}

impl TableState {
    fn of(report: &Shared, table: Table) -> Self {
        Self {
            table,
            report: Arc::clone(report),
            rows: Arc::new(table.all(report).unwrap_or(Rows::All(0))),
            selected: 0,
            top: 0,
            filter: String::new(),
            selection: None,
            error: None,
            sort: None,
            asked: None,
            searching: None,
        }
    }

    /// What is asked for.
    #[must_use]
    pub fn query(&self) -> Query {
        Query {
            table: self.table,
            selection: self.selection.clone(),
            sort: self.sort,
        }
    }

    /// What the chosen row is about.
    #[must_use]
    pub fn key(&self) -> Option<RowKey> {
        self.table.key(&self.report, self.rows.get(self.selected)?)
    }

    /// Chooses a row and scrolls no more than needed.
    pub fn select(&mut self, row: usize, lines: usize) {
        self.selected = row.min(self.rows.len().saturating_sub(1));
        self.top = scrolled(self.top, self.selected, lines);
    }

    /// Takes new rows. What was chosen stays chosen, and where it stood on the screen, as long as it is there.
    pub fn take(&mut self, report: &Shared, rows: Arc<Rows>, lines: usize) {
        let key = self.key();
        let height = self.selected - self.top.min(self.selected);
        self.report = Arc::clone(report);
        self.rows = rows;
        let item = key.and_then(|key| self.table.item(report, key));
        match item.and_then(|item| self.rows.find(item)) {
            Some(row) => {
                self.selected = row;
                // As few empty lines as there can be.
                self.top = (row - height.min(row)).min(self.rows.len().saturating_sub(lines));
            }
            None => self.top = self.top.min(self.rows.len().saturating_sub(lines)),
        }
        self.select(self.selected, lines);
    }
}

/// What is being typed at the foot of the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptInput {
    /// For what.
    pub purpose: Purpose,
    /// So far.
    pub text: String,
    /// How far back in the filters that were used it was taken from; 0 for what is typed anew.
    pub back: usize,
}

/// For what something is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// A filter; with the one that was there before.
    Filter(String),
    /// A text to look for; with the line where the search began.
    Search(usize),
    /// The form of an export.
    Export,
}

/// A live capture.
#[derive(Debug, Clone, Default)]
pub struct LiveScreen {
    /// How it goes.
    pub stats: Stats,
    /// The picture stands still.
    pub paused: bool,
    /// The report that came meanwhile.
    pub pending: Option<Shared>,
    /// Why it is over.
    pub ended: Option<String>,
}

impl ScreenState {
    /// The first screen of a report.
    #[must_use]
    pub fn new(report: Shared, size: (u16, u16)) -> Self {
        Self {
            size,
            overview: OverviewState::of(&report),
            connections: TableState::of(&report, Table::Connections),
            credentials: TableState::of(&report, Table::Credentials),
            main: Main::Overview,
            opened: Vec::new(),
            input: None,
            help: None,
            message: None,
            needle: String::new(),
            filters: Vec::new(),
            live: None,
            generation: 0,
            report,
        }
    }

    /// The same for a capture that goes on.
    #[must_use]
    pub fn live(mut self) -> Self {
        self.live = Some(LiveScreen::default());
        self
    }

    /// Where keys are pressed.
    #[must_use]
    pub fn place(&self) -> KeyContext {
        match (self.opened.last(), self.main) {
            (Some(Screen::Service(_)), _) => KeyContext::Service,
            (Some(Screen::Connection(..)), _) => KeyContext::Connection,
            (Some(Screen::Credential(..)), _) => KeyContext::Credential,
            (None, Main::Overview) => KeyContext::Overview,
            (None, Main::Table(_)) => KeyContext::Tables,
        }
    }

    /// A table.
    #[must_use]
    pub const fn table(&self, table: Table) -> &TableState {
        match table {
            Table::Connections => &self.connections,
            Table::Credentials => &self.credentials,
        }
    }

    /// A table, to change.
    pub const fn table_mut(&mut self, table: Table) -> &mut TableState {
        match table {
            Table::Connections => &mut self.connections,
            Table::Credentials => &mut self.credentials,
        }
    }

    /// The table that is seen.
    #[must_use]
    pub fn shown_table(&self) -> Option<Table> {
        match (self.opened.last(), self.main) {
            (None, Main::Table(table)) => Some(table),
            _ => None,
        }
    }

    /// The running text that is seen, with its cursor.
    #[must_use]
    pub fn page(&self) -> Option<(ScreenPage, Cursor)> {
        let width = self.size.0;
        Some(match self.opened.last()? {
            Screen::Service(service) => {
                let page = service.page.as_ref()?;
                (content::service(page, service.from, width), service.cursor)
            }
            Screen::Connection(view, cursor) => (content::connection(view, width), *cursor),
            Screen::Credential(view, cursor) => (content::credential(view, width), *cursor),
        })
    }

    /// The cursor of the running text that is seen.
    pub fn cursor_mut(&mut self) -> Option<&mut Cursor> {
        Some(match self.opened.last_mut()? {
            Screen::Service(service) => &mut service.cursor,
            Screen::Connection(_, cursor) | Screen::Credential(_, cursor) => cursor,
        })
    }

    /// Lines that are seen at once of whatever is shown.
    #[must_use]
    pub fn lines(&self) -> usize {
        match (self.opened.last(), self.main) {
            (Some(_), _) => usize::from(body(self.size).height),
            (None, Main::Overview) => overview_layout(self.size).list_lines(),
            (None, Main::Table(table)) => table_lines(table, self.size),
        }
    }

    /// Takes the overview of a new report; the cursor stays on its service and reason.
    pub fn take_overview(&mut self, report: &Shared) {
        let old = std::mem::take(&mut self.overview);
        let service = old
            .ranked
            .get(old.line[0])
            .and_then(|index| self.report.services.get(*index));
        let reason = self.report.summary.reasons.get(old.line[1]);
        let mut new = OverviewState::of(report);
        let same = |index: &usize| {
            let view = report.services.get(*index);
            view.zip(service)
                .is_some_and(|(view, old)| view.service() == old.service())
        };
        let service = new.ranked.iter().position(same).unwrap_or(0);
        let named = |name: &str| {
            report
                .summary
                .reasons
                .iter()
                .position(|count| count.reason.name == name)
        };
        let reason = reason.and_then(|count| named(count.reason.name)).unwrap_or(0);
        let lines = overview_layout(self.size).list_lines();
        new.list = old.list;
        new.line = [service, reason];
        new.top = [
            scrolled(old.top[0], service, lines),
            scrolled(old.top[1], reason, lines),
        ];
        // Until the picture of the new report is there, the old one tells more than none.
        new.pictured = old.pictured;
        self.overview = new;
    }

    /// Number of the next question.
    pub const fn ask(&mut self) -> u64 {
        self.generation += 1;
        self.generation
    }
}
