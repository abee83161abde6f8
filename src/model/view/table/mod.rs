//! Connections and credentials as tables of any length: which rows there are and in which order is found at once for all
//! of them (a matter for a thread of its own), what stands in a row is made for the rows that are shown.

mod connections;
mod credentials;

use hashbrown::HashSet;

use crate::model::{Report, Selection};
use reshake_core::session::{ConnectionId, CredentialId};

pub use connections::Sorter;

/// Rows between two questions whether somebody still wants the answer.
pub(super) const STRIDE: usize = 4096;

/// Which table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// One row a connection.
    Connections,
    /// One row a credential.
    Credentials,
}

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its heading.
    pub title: &'static str,
    /// Cells of a terminal that it takes at least.
    pub width: u16,
    /// Whether its text grows with the room there is.
    pub grows: bool,
    /// Numbers stand at the right.
    pub right: bool,
    /// The columns with the lowest rank are shown where there is little room.
    pub rank: u8,
}

/// The order of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// Index of the column.
    pub column: usize,
    /// The largest first.
    pub descending: bool,
}

/// Which rows of which table, in which order.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The table.
    pub table: Table,
    /// Connections to which the rows belong; all without.
    pub selection: Option<Selection>,
    /// By column; in the order of the report without.
    pub sort: Option<Sort>,
}

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RowKey {
    /// A connection.
    Connection(ConnectionId),
    /// A credential.
    Credential(CredentialId),
}

/// Rows in their order: places in the report of connections, numbers in the credential store of credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    /// Every one of so many, in the order of the report.
    All(usize),
    /// These.
    Some(Vec<u32>),
}

impl Rows {
    /// How many.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::All(count) => *count,
            Self::Some(rows) => rows.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What stands in a row.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<u32> {
        match self {
            Self::All(count) => u32::try_from(row).ok().filter(|_| row < *count),
            Self::Some(rows) => rows.get(row).copied(),
        }
    }

    /// The row in which something stands.
    #[must_use]
    pub fn find(&self, wanted: u32) -> Option<usize> {
        match self {
            Self::All(count) => usize::try_from(wanted).ok().filter(|row| row < count),
            Self::Some(rows) => rows.iter().position(|row| *row == wanted),
        }
    }
}

impl Table {
    /// The columns.
    #[must_use]
    pub const fn columns(self) -> &'static [Column] {
        match self {
            Self::Connections => &connections::COLUMNS,
            Self::Credentials => &credentials::COLUMNS,
        }
    }

    /// The text of a cell.
    #[must_use]
    pub fn cell(self, report: &Report<'_>, item: u32, column: usize) -> String {
        match self {
            Self::Connections => connections::cell(report, item as usize, column),
            Self::Credentials => credentials::cell(report, CredentialId(item), column),
        }
        .unwrap_or_default()
    }

    /// What a row is about, by which it is found again in a later report.
    #[must_use]
    pub fn key(self, report: &Report<'_>, item: u32) -> Option<RowKey> {
        match self {
            Self::Connections => report.at(item as usize).map(|(_, id, _)| RowKey::Connection(id)),
            Self::Credentials => Some(RowKey::Credential(CredentialId(item))),
        }
    }

    /// What stands for it in the rows of a report.
    #[must_use]
    pub fn item(self, report: &Report<'_>, key: RowKey) -> Option<u32> {
        match key {
            RowKey::Connection(id) => u32::try_from(report.place_of(id)?).ok(),
            RowKey::Credential(id) => report.engine.credential_store().get(id).map(|_| id.0),
        }
    }

    /// All rows in the order of the report, where they need not be looked for.
    #[must_use]
    pub fn all(self, report: &Report<'_>) -> Option<Rows> {
        match self {
            Self::Connections => Some(Rows::All(report.len())),
            Self::Credentials => {
                let credential_store = report.engine.credential_store();
                (credential_store.forgotten() == 0).then(|| Rows::All(credential_store.entered()))
            }
        }
    }
}

/// The rows of a query; `None` when `go_on` said no.
#[must_use]
pub fn find(report: &Report<'_>, query: &Query, go_on: &dyn Fn() -> bool) -> Option<Rows> {
    let selection = query.selection.as_ref();
    if query.sort.is_none()
        && selection.is_none()
        && let Some(all) = query.table.all(report)
    {
        return Some(all);
    }
    let mut rows: Vec<u32> = match (query.table, selection) {
        (Table::Connections, Some(selection)) => selected(report, selection, go_on)?,
        (Table::Connections, None) => (0..u32::try_from(report.len()).unwrap_or(u32::MAX)).collect(),
        (Table::Credentials, selection) => {
            let shown = match selection {
                Some(selection) => Some(credentials_of(report, &selected(report, selection, go_on)?)),
                None => None,
            };
            let all = report.engine.credential_store().iter().map(|(id, _)| id.0);
            all.filter(|id| shown.as_ref().is_none_or(|shown| shown.contains(id)))
                .collect()
        }
    };
    if let Some(sort) = query.sort {
        let column = Column::known(query.table, sort.column)?;
        match query.table {
            Table::Connections => connections::sort(report, &mut rows, column, sort.descending, go_on)?,
            Table::Credentials => credentials::sort(report, &mut rows, column, sort.descending, go_on)?,
        }
    }
    go_on().then_some(Rows::Some(rows))
}

impl Column {
    fn known(table: Table, column: usize) -> Option<usize> {
        (column < table.columns().len()).then_some(column)
    }
}

fn selected(report: &Report<'_>, selection: &Selection, go_on: &dyn Fn() -> bool) -> Option<Vec<u32>> {
    let mut rows = Vec::new();
    for place in 0..report.len() {
        if place % STRIDE == 0 && !go_on() {
            return None;
        }
        if report.holds(selection, place) {
            rows.push(u32::try_from(place).ok()?);
        }
    }
    Some(rows)
}

fn credentials_of(report: &Report<'_>, connections: &[u32]) -> HashSet<u32> {
    let mut shown = HashSet::new();
    for place in connections {
        let Some((_, _, connection)) = report.at(*place as usize) else {
            continue;
        };
        shown.extend(connection.issued.iter().map(|id| id.0));
        shown.extend(connection.offers.iter().map(|offer| offer.credential.0));
    }
    shown
}

/// The next row that has `needle` in any of its cells, from `from` on, around the end; backwards if so wanted. `None`
/// when there is none or `go_on` said no. Letters are compared without their case.
#[must_use]
pub fn search(
    report: &Report<'_>,
    table: Table,
    rows: &Rows,
    (from, forward): (usize, bool),
    needle: &str,
    go_on: &dyn Fn() -> bool,
) -> Option<usize> {
    let needle = needle.to_lowercase();
    let count = rows.len();
    let columns = table.columns().len();
    (0..count).find_map(|step| {
        if step % STRIDE == STRIDE - 1 && !go_on() {
            return Some(None);
        }
        let row = if forward {
            (from + step) % count
        } else {
            (from + count - step % count) % count
        };
        let item = rows.get(row)?;
        let has = |column| table.cell(report, item, column).to_lowercase().contains(&needle);
        (0..columns).any(has).then_some(Some(row))
    })?
}

/// A place in an order: what has no value stands last either way.
pub(super) fn rank(value: Option<u128>, descending: bool) -> (bool, u128) {
    match value {
        Some(value) if descending => (false, !value),
        Some(value) => (false, value),
        None => (true, 0),
    }
}

/// Sorts rows by a key that is made once for each.
pub(super) fn sort_by_key(
    rows: &mut [u32],
    descending: bool,
    go_on: &dyn Fn() -> bool,
    key: impl Fn(u32) -> Option<u128>,
) -> Option<()> {
    let mut keyed = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate() {
        if index % STRIDE == 0 && !go_on() {
            return None;
        }
        keyed.push((rank(key(*row), descending), *row));
    }
    keyed.sort_unstable();
    rows.iter_mut().zip(keyed).for_each(|(row, (_, sorted))| *row = sorted);
    Some(())
}
