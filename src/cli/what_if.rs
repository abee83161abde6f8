//! `reshake what-if`: what another farm would make of the reconnects of a capture.

use std::io;

use super::analyze::selection;
use super::args::{Balance, SessionFormat, Share, WhatIf};
use super::progress::Meter;
use super::redact::Redaction;
use super::{Status, complain, keylogs, print};
use crate::report::{Report, what_if};
use crate::run::{self, Options, Run};
use crate::whatif;

pub(super) fn run(arguments: &WhatIf) -> io::Result<Status> {
    let selection = match selection(arguments.select.as_deref()) {
        Ok(selection) => selection,
        Err(status) => return Ok(status),
    };
    let options = match keylogs(&arguments.keys) {
        Ok(keylogs) => Options {
            keylogs,
            ..Options::default()
        },
        Err(status) => return Ok(status),
    };
    let mut redaction = match Redaction::of(&arguments.redact) {
        Ok(redaction) => redaction,
        Err(status) => return Ok(status),
    };
    let mut meter = Meter::new(!arguments.quiet);
    let mut run = run::analyze(&arguments.files, &options, &mut |progress| meter.watch(progress));
    meter.clear();
    run.errors.iter().chain(&run.warnings).for_each(|line| complain(line));
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
