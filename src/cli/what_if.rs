//! `reshake what-if`: what another farm would make of the reconnects of a capture.

use super::analyze::selection;
use super::args::{BalanceArg, SessionFormat, ShareArg, WhatIfArgs};
use super::redact::Redaction;
use super::{Done, Status, keylogs, print_form, read};
use crate::model::Report;
use crate::run::{Run, RunOptions};
use crate::what_if;
use crate::what_if::render::{self, write_json, write_text};

pub(super) fn run(arguments: &WhatIfArgs) -> Done {
    let selection = selection(arguments.select.as_deref())?;
    let options = RunOptions {
        keylogs: keylogs(&arguments.keys)?,
        ..RunOptions::within(arguments.memory.max_memory)
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
    let answer = render::WhatIf::of(&report, &plans(arguments, backends(arguments, &report)));
    print_form(arguments.format == SessionFormat::Text, |out| match arguments.format {
        SessionFormat::Text => write_text(&answer, report.selection(), out),
        SessionFormat::Json => write_json(&answer, report.selection(), out),
    })?;
    Ok(status)
}

/// Backends of each service: as many as are asked for, else as many as the largest farm of the capture has.
fn backends(arguments: &WhatIfArgs, report: &Report<'_>) -> u16 {
    /// Fewer are no farm.
    const LEAST: u16 = 2;
    arguments.backends.unwrap_or_else(|| {
        let insights = report
            .services
            .iter()
            .filter_map(|view| report.analyses.service(&view.service()));
        let most = insights
            .map(|insight| insight.backends.len().max(insight.domains.len()))
            .max();
        u16::try_from(most.unwrap_or(0)).unwrap_or(u16::MAX).clamp(LEAST, 1000)
    })
}

/// The plans that are asked about: of what is left open, every way.
fn plans(arguments: &WhatIfArgs, backends: u16) -> Vec<what_if::Plan> {
    let plan = |balance, share| what_if::Plan {
        backends,
        balance,
        share,
        timeout: arguments.timeout,
        key_rotation: arguments.key_rotation,
        seed: arguments.seed,
    };
    let balances = arguments
        .balance
        .map_or_else(|| what_if::Balance::ALL.to_vec(), |balance| vec![balance.into()]);
    let shares = arguments
        .share
        .map_or_else(|| what_if::Share::ALL.to_vec(), |share| vec![share.into()]);
    let of_balance = |balance| shares.iter().map(move |share| plan(balance, *share));
    balances.into_iter().flat_map(of_balance).collect()
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
