//! What comes to the screens and what they ask for.

use std::path::Path;
use std::sync::Arc;

use ratatui::crossterm::event::{KeyEvent, MouseEvent};

use crate::model::Report;
use crate::model::view::ConnectionId;
use crate::model::view::connection::ConnectionView;
use crate::model::view::credential::CredentialView;
use crate::model::view::service::ServicePage;
use crate::model::view::table::{Query, Rows, Table};

/// A report that the screens hold on to.
pub type Shared = Arc<Report<'static>>;

/// Writes the packets of a connection of a report to a new file in a folder, and says its name. Where packets come from
/// is nothing that screens know.
#[derive(Clone)]
pub struct Cutter(pub Arc<Cut>);

/// What a [`Cutter`] does: report, connection and its name, folder.
type Cut = dyn Fn(&Report<'_>, ConnectionId, &str, &Path) -> Result<String, String> + Send + Sync;

impl std::fmt::Debug for Cutter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cutter")
    }
}

impl Cutter {
    /// Where there is no file to take packets from: `why` is said.
    #[must_use]
    pub fn none(why: &'static str) -> Self {
        Self(Arc::new(
            move |_: &Report<'_>, _, _: &str, _: &Path| Err(why.to_owned()),
        ))
    }
}

/// Something that happened.
#[derive(Debug, Clone)]
pub enum UserEvent {
    /// A key.
    Key(KeyEvent),
    /// The mouse.
    Mouse(MouseEvent),
    /// The terminal has this many columns and rows.
    Resize(u16, u16),
    /// The answer to [`BackgroundJob::Find`].
    Found {
        /// Of the question.
        generation: u64,
        /// The table.
        table: Table,
        /// The report in which the rows stand.
        report: Shared,
        /// The rows.
        rows: Arc<Rows>,
    },
    /// The answer to [`BackgroundJob::Search`].
    Hit {
        /// Of the question.
        generation: u64,
        /// The row, if any.
        row: Option<usize>,
    },
    /// The answer to [`BackgroundJob::Service`].
    Service {
        /// Of the question.
        generation: u64,
        /// The page.
        page: Option<Arc<ServicePage>>,
    },
    /// The answer to [`BackgroundJob::Picture`].
    Picture {
        /// Of the question.
        generation: u64,
        /// The page.
        page: Option<Arc<ServicePage>>,
    },
    /// The answer to [`BackgroundJob::Export`]: the name of the file, or what went wrong.
    Exported(Result<String, String>),
    /// A later report of the same run.
    Report(Shared),
    /// How a live capture goes.
    Stats(Stats),
    /// A live capture is over, and why.
    Ended(String),
    /// Control-Z by way of a signal.
    Suspend,
    /// The process is to end.
    Quit,
}

/// How a live capture goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Handshakes that began in each of the last seconds, latest last.
    pub handshakes: Vec<u64>,
    /// Packets that were taken in.
    pub packets: u64,
    /// Packets that were lost; `None` where nobody counts them.
    pub dropped: Option<u64>,
    /// Milliseconds between a packet and its analysis.
    pub lag: Option<u64>,
}

/// Something to be done outside.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Work that may take long, for another thread.
    Ask(Ask),
    /// Put a text where the terminal keeps what is copied.
    Copy(String),
    /// Back to the shell for a while.
    Suspend,
    /// Draw everything anew.
    Redraw,
    /// Leave.
    Quit,
}

/// A question for another thread. A later one of the same kind makes it void.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Which question of its kind.
    pub generation: u64,
    /// About which report.
    pub report: Shared,
    /// What.
    pub job: BackgroundJob,
}

/// Work that looks at every connection.
#[derive(Debug, Clone)]
pub enum BackgroundJob {
    /// The rows of a table.
    Find(Query),
    /// The next row with a text.
    Search {
        /// The table.
        table: Table,
        /// Its rows.
        rows: Arc<Rows>,
        /// The first row to look at.
        from: usize,
        /// Downwards.
        forward: bool,
        /// The text.
        needle: String,
    },
    /// A service whole.
    Service {
        /// Its index in the report.
        index: usize,
        /// The client whose swimlane is wanted, by its place in the list.
        client: usize,
    },
    /// A service whole, for the overview.
    Picture {
        /// Its index in the report.
        index: usize,
    },
    /// The packets of a connection, into a file.
    Packets {
        /// Which.
        id: ConnectionId,
        /// Its name in reports.
        name: String,
    },
    /// What is shown, into a file.
    Export {
        /// What.
        shown: View,
        /// How.
        form: ExportFormat,
    },
}

/// Form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// A document of the published forms.
    Json,
    /// Text to be pasted into a ticket.
    Markdown,
}

/// What is on the screen.
#[derive(Debug, Clone)]
pub enum View {
    /// The overview.
    Overview,
    /// A table.
    Table(Query, Arc<Rows>),
    /// A service.
    Service(Arc<ServicePage>),
    /// A connection.
    Connection(Arc<ConnectionView>),
    /// A credential.
    Credential(Arc<CredentialView>),
}

impl BackgroundJob {
    /// Kinds of jobs: of each kind only the latest counts.
    pub const KINDS: usize = 7;

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> usize {
        match self {
            Self::Find(query) => match query.table {
                Table::Connections => 0,
                Table::Credentials => 1,
            },
            Self::Search { .. } => 2,
            Self::Service { .. } => 3,
            Self::Export { .. } => 4,
            Self::Packets { .. } => 5,
            Self::Picture { .. } => 6,
        }
    }
}
