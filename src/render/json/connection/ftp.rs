//! A data connection of FTP as JSON: its control connection, and the session that it resumed.

use schemars::JsonSchema;
use serde::Serialize;

use super::Causes;
use crate::model::{ConnectionId, Report, connection_id};

#[derive(Serialize, JsonSchema)]
pub(super) struct TransferJson {
    /// Its control connection.
    control: String,
    /// What it resumed: `control` (the session of its control connection), `other` or `none`; null where that is not visible.
    session: Option<&'static str>,
}

pub(super) fn told(
    report: &Report<'_>,
    id: ConnectionId,
    not_visible: &mut Causes,
    inferred: &mut Causes,
) -> Option<TransferJson> {
    let transfer = report.transfer(id)?;
    let control = report.engine.connection_store().get(transfer.control)?;
    let how = if transfer.by_credential {
        "it offers a credential of that control connection's session, which is open"
    } else {
        "the one control connection between these hosts that is open"
    };
    inferred.insert("ftp.control", how);
    if let Some(cause) = transfer.session.blind() {
        not_visible.insert("ftp.session", cause.code());
    }
    if transfer.concluded {
        inferred.insert(
            "ftp.session",
            "no other connection between these hosts can have issued the ticket",
        );
    }
    Some(TransferJson {
        control: connection_id(control),
        session: transfer.session.yes().map(|session| session.code()),
    })
}
