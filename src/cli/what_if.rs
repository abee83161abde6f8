//! `reshake what-if`: what another farm would make of the reconnects of a capture.

use super::analyze::selection;
use super::args::{BalanceArg, SessionFormat, ShareArg, WhatIfArgs};
use super::redact::Redaction;
use super::{Done, Status, keylogs, print, read};
use crate::model::Report;
use crate::run::{Run, RunOptions};
use crate::what_if;
use crate::what_if::render::{self, write_json, write_text};

pub(super) fn run(arguments: &WhatIfArgs) -> Done {
    let selection = selection(arguments.select.as_deref())?;
    let options = RunOptions {
        keylogs: keylogs(&arguments.keys)?,
        ..RunOptions::default()
    };
    let mut redaction = Redaction::of(&arguments.redact)?;
    let mut run = read(&arguments.files, &options, arguments.quiet);
    if run.captures.is_empty() {
        return Ok(Status::Unreadable);
    }
    let status = if run.errors.is_empty() {
        Status::Analysed
    } else {
        Status::Unreadable
    };
    let selection = redaction.apply(&mut run, selection);
    let Run { engine, captures, .. } = run;
    let report = Report::of_selected(&engine, captures, selection);
    let answer = render::WhatIf::of(&report, &plans(arguments));
    print(|out| match arguments.format {
        SessionFormat::Text => write_text(&answer, report.selection(), out),
        SessionFormat::Json => write_json(&answer, report.selection(), out),
    })?;
    Ok(status)
}

/// The plans that are asked about: one, or every way to balance with everything that can be shared.
fn plans(arguments: &WhatIfArgs) -> Vec<what_if::Plan> {
    let plan = |balance, share| what_if::Plan {
        backends: arguments.backends,
        balance,
        share,
        timeout: arguments.timeout,
        key_rotation: arguments.key_rotation,
        seed: arguments.seed,
    };
    match (arguments.balance, arguments.share) {
        (Some(balance), Some(share)) => vec![plan(balance.into(), share.into())],
        // Only with --compare.
        _ => what_if::Balance::ALL
            .into_iter()
            .flat_map(|balance| what_if::Share::ALL.map(|share| plan(balance, share)))
            .collect(),
    }
}

impl From<BalanceArg> for what_if::Balance {
    fn from(balance: BalanceArg) -> Self {
        match balance {
            BalanceArg::RoundRobin => Self::RoundRobin,
            BalanceArg::LeastConnections => Self::LeastConnections,
            BalanceArg::SourceHash => Self::SourceHash,
            BalanceArg::SessionId => Self::SessionId,
        }
    }
}

impl From<ShareArg> for what_if::Share {
    fn from(share: ShareArg) -> Self {
        match share {
            ShareArg::None => Self::Nothing,
            ShareArg::Cache => Self::Cache,
            ShareArg::Tickets => Self::Tickets,
        }
    }
}
