//! The table of credentials.

use crate::model::view::credential::{Uses, kind, why_ended};
use crate::model::view::{offset, wire};
use crate::model::{Report, credential_id};
use crate::wording::seconds;
use reshake_core::diagnosis::state_of;
use reshake_core::session::{Credential, CredentialId};

use super::{Column, sort_by_key};

const fn column(title: &'static str, width: u16, rank: u8, right: bool) -> Column {
    Column {
        title,
        width,
        tight: width,
        grows: false,
        right,
        rank,
    }
}

pub(super) const COLUMNS: [Column; 10] = [
    column("id", 11, 0, false),
    column("kind", 10, 1, false),
    Column {
        grows: true,
        ..column("server name", 16, 3, false)
    },
    column("issued s", 10, 2, true),
    column("by", 10, 4, false),
    column("offers", 6, 0, true),
    column("accepted", 8, 1, true),
    column("declined", 8, 0, true),
    column("state", 22, 0, false),
    Column {
        grows: true,
        ..column("why it ended", 24, 6, false)
    },
];

pub(super) fn cell(report: &Report<'_>, id: CredentialId, column: usize) -> Option<String> {
    let credential = report.engine.credential_store().get(id)?;
    let uses = || Uses::of(report, id, credential);
    let state = || state_of(id, credential, report.engine.connection_store(), report.last_time()).0;
    Some(match column {
        0 => credential_id(credential),
        1 => kind(credential.mechanism).to_owned(),
        2 => match credential.server_name.as_deref() {
            Some(name) => wire(name),
            None => credential.server.to_string(),
        },
        3 => match credential.issued {
            Some(issue) => seconds(offset(report, issue.at.time)),
            None => "not seen".to_owned(),
        },
        4 => format!("backend-{}", report.analyses.backend(credential.issued?.connection)?),
        5 => credential.offers.len().to_string(),
        6 => uses().accepted.to_string(),
        7 => uses().declined.to_string(),
        8 => state().code().to_owned(),
        9 => why_ended(state()).to_owned(),
        _ => return None,
    })
}

pub(super) fn sort(
    report: &Report<'_>,
    rows: &mut [u32],
    column: usize,
    descending: bool,
    go_on: &dyn Fn() -> bool,
) -> Option<()> {
    sort_by_key(rows, descending, go_on, |row| {
        let id = CredentialId(row);
        value(report, id, report.engine.credential_store().get(id)?, column)
    })
}

fn value(report: &Report<'_>, id: CredentialId, credential: &Credential, column: usize) -> Option<u128> {
    Some(match column {
        0 => u128::from_be_bytes(credential.name.key()),
        1 => credential.mechanism as u128,
        2 => first_bytes(credential.server_name.as_deref()?),
        3 => u128::try_from(credential.issued?.at.time.nanos()).ok()?,
        4 => u128::from(report.analyses.backend(credential.issued?.connection)?),
        5 => credential.offers.len() as u128,
        6 => u128::from(Uses::of(report, id, credential).accepted),
        7 => u128::from(Uses::of(report, id, credential).declined),
        _ => state_of(id, credential, report.engine.connection_store(), report.last_time()).0 as u128,
    })
}

/// A name as a number that sorts like its first 16 bytes.
fn first_bytes(name: &str) -> u128 {
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
    u128::from_be_bytes(bytes)
}
