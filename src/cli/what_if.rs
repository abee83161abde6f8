//! `reshake what-if`: what another farm would make of the reconnects of a capture.

use super::analyze::selection;
use super::args::{Balance, SessionFormat, Share, WhatIf};
use super::redact::Redaction;
use super::{Done, Status, keylogs, print, read};
use crate::report::{Report, what_if};
use crate::run::{Options, Run};
use crate::whatif;

pub(super) fn run(arguments: &WhatIf) -> Done {
    let selection = selection(arguments.select.as_deref())?;
    let options = Options {
        keylogs: keylogs(&arguments.keys)?,
        ..Options::default()
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
    let answer = what_if::WhatIf::of(&report, &plans(arguments));
    print(|out| match arguments.format {
        SessionFormat::Text => what_if::write_text(&answer, report.selection(), out),
        SessionFormat::Json => what_if::write_json(&answer, report.selection(), out),
    })?;
    Ok(status)
}

/// The plans that are asked about: one, or every way to balance with everything that can be shared.
fn plans(arguments: &WhatIf) -> Vec<whatif::Plan> {
    let plan = |balance, share| whatif::Plan {
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
        _ => whatif::Balance::ALL
            .into_iter()
            .flat_map(|balance| whatif::Share::ALL.map(|share| plan(balance, share)))
            .collect(),
    }
}

impl From<Balance> for whatif::Balance {
    fn from(balance: Balance) -> Self {
        match balance {
            Balance::RoundRobin => Self::RoundRobin,
            Balance::LeastConnections => Self::LeastConnections,
            Balance::SourceHash => Self::SourceHash,
            Balance::SessionId => Self::SessionId,
        }
    }
}

impl From<Share> for whatif::Share {
    fn from(share: Share) -> Self {
        match share {
            Share::None => Self::Nothing,
            Share::Cache => Self::Cache,
            Share::Tickets => Self::Tickets,
        }
    }
}
