//! `reshake live`: packets as they come in, lines or screens as things are decided, and the report at the end.
//!
//! In this order: what needs rights is opened, rights are given up, what is written is opened, threads are started, and
//! only then the first packet is read.

mod finale;
mod metrics;
mod narrator;
#[cfg(all(feature = "live", target_os = "linux"))]
pub(super) mod privileges;
mod screens;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::args::live::LiveArgs;
use super::{Done, Status, complain, interrupt, keylogs};
use crate::capture::{Recorded, Rotation, Source};
use crate::run::{self, RunOptions};
use finale::FullReport;
use metrics::Metrics;
use narrator::Narrator;
use reshake_core::engine::Limits;

/// What a build without libpcap says.
#[cfg(not(all(feature = "live", unix)))]
pub(super) const MISSING: &str = "this build cannot capture itself (it was built without the feature 'live'); pipe a \
                                  capture into it: tcpdump -U -w - tcp | reshake live -";

pub(super) fn run(arguments: &LiveArgs, coloured: bool) -> Done {
    if arguments.list_interfaces {
        return super::interfaces::run();
    }
    if arguments.input.is_none() && arguments.interface.is_none() {
        complain(
            "live: give an interface (-i NAME; 'reshake interfaces' lists them), or '-' for a capture on standard input",
        );
        return Ok(Status::Usage);
    }
    prepare(arguments)?.run(arguments, coloured)
}

/// A run of which everything is open.
struct Prepared {
    live: run::Live,
    options: RunOptions,
    control: Control,
    metrics: Option<Metrics>,
    full_report: Option<FullReport>,
    /// A key log could not be opened.
    incomplete: bool,
}

/// What may end a run, or ask it something.
#[derive(Debug, Clone)]
struct Control {
    /// Ctrl-C or SIGTERM.
    stop: Arc<AtomicBool>,
    /// SIGUSR1: a report is wanted.
    report: Arc<AtomicBool>,
    end: Option<Instant>,
    interval: Duration,
}

fn prepare(arguments: &LiveArgs) -> Result<Prepared, Status> {
    if arguments.tui && !super::view::is_terminal() {
        complain("--tui needs a terminal to show and take keys; without it, live prints what happens");
        return Err(Status::Usage);
    }
    let live = run::Live::new(source(arguments)?, &keylogs(&arguments.keys)?);
    live.errors().iter().for_each(|error| complain(error));
    let incomplete = !live.errors().is_empty();
    let failed = |line: String| {
        complain(&line);
        Status::Unreadable
    };
    let metrics = arguments.metrics.map(Metrics::listen).transpose().map_err(failed)?;
    give_rights_up(arguments).map_err(failed)?;
    let live = live.wrap(|source| record(arguments, source)).map_err(failed)?;
    let full_report = arguments.full_report.as_deref().map(FullReport::open).transpose();
    let full_report = full_report.map_err(failed)?;
    let stop = interrupt::stop().map_err(|error| failed(format!("signals cannot be caught: {error}")))?;
    Ok(Prepared {
        live,
        options: RunOptions {
            limits: limits(arguments),
            packets: arguments.packets,
            ..RunOptions::default()
        },
        control: Control {
            stop,
            report: interrupt::report().map_err(|error| failed(format!("signals cannot be caught: {error}")))?,
            end: arguments
                .duration
                .and_then(|duration| Instant::now().checked_add(duration)),
            interval: arguments.interval,
        },
        metrics,
        full_report,
        incomplete,
    })
}

impl Prepared {
    fn run(mut self, arguments: &LiveArgs, coloured: bool) -> Done {
        if let Some(metrics) = &mut self.metrics
            && let Err(error) = metrics.serve()
        {
            complain(&format!("--metrics: no thread can be started: {error}"));
            return Ok(Status::Unreadable);
        }
        if arguments.tui {
            return Ok(screens::run(self, coloured));
        }
        let Self {
            live,
            options,
            control,
            metrics,
            mut full_report,
            incomplete,
        } = self;
        let mut narrator = Narrator::new(arguments.format, coloured, control, metrics, full_report.as_mut());
        let mut run = live.run(&options, &mut narrator, &mut complain);
        let readable = narrator.end(&mut run);
        let status = finale::end(run, arguments.format, coloured, readable, full_report)?;
        Ok(if incomplete { Status::Unreadable } else { status })
    }
}

#[cfg(all(feature = "live", unix))]
fn source(arguments: &LiveArgs) -> Result<Box<dyn Source>, Status> {
    use crate::capture::device::{Device, DeviceOptions, OpenError};

    let Some(interface) = &arguments.interface else {
        return piped();
    };
    let buffer = arguments.buffer_size.unwrap_or(arguments.max_memory / 8);
    let options = DeviceOptions {
        interface: interface.clone(),
        filter: arguments.filter.clone(),
        snaplen: arguments.snaplen,
        promiscuous: !arguments.no_promiscuous,
        buffer: u32::try_from(buffer).unwrap_or(u32::MAX),
        immediate: arguments.immediate,
        link_type: arguments.link_type.clone(),
        reconnect: arguments.reconnect,
    };
    match Device::open(options, 0) {
        Ok(device) => Ok(Box::new(device)),
        Err(error) => {
            complain(&error.to_string());
            Err(match error {
                OpenError::Usage(_) => Status::Usage,
                OpenError::Device(_) => Status::Unreadable,
            })
        }
    }
}

#[cfg(not(all(feature = "live", unix)))]
fn source(arguments: &LiveArgs) -> Result<Box<dyn Source>, Status> {
    if arguments.interface.is_some() {
        complain(MISSING);
        return Err(Status::Usage);
    }
    piped()
}

fn piped() -> Result<Box<dyn Source>, Status> {
    run::piped().map_err(|error| {
        complain(&format!("standard input: no thread can be started to read it: {error}"));
        Status::Unreadable
    })
}

/// Rights are given up where a device was opened; standard input needs none.
#[cfg(all(feature = "live", target_os = "linux"))]
fn give_rights_up(arguments: &LiveArgs) -> Result<(), String> {
    if arguments.no_drop || arguments.interface.is_none() {
        return Ok(());
    }
    privileges::drop(arguments.user.as_deref(), arguments.reconnect)
}

#[cfg(not(all(feature = "live", target_os = "linux")))]
fn give_rights_up(arguments: &LiveArgs) -> Result<(), String> {
    match arguments.user {
        Some(_) => Err("--user: privileges can be given up on Linux only".to_owned()),
        None => Ok(()),
    }
}

/// Has the packets written on their way, where that is wanted.
fn record(arguments: &LiveArgs, source: Box<dyn Source>) -> Result<Box<dyn Source>, String> {
    let Some(path) = &arguments.write else {
        return Ok(source);
    };
    let rotation = Rotation {
        bytes: arguments.rotate_size.map(|size| size as u64),
        nanos: arguments
            .rotate_time
            .map(|time| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)),
        files: arguments.rotate_files.map(usize::from),
    };
    let recorded = Recorded::new(source, path, rotation);
    recorded
        .map(|recorded| Box::new(recorded) as Box<dyn Source>)
        .map_err(|error| format!("{error}{}", as_whom(arguments)))
}

/// Whoever captures as root wonders why a folder cannot be written to.
fn as_whom(arguments: &LiveArgs) -> &'static str {
    if arguments.interface.is_some() && !arguments.no_drop {
        "; privileges are given up before: name a folder that this user may write to, a user with --user, or --no-drop"
    } else {
        ""
    }
}

/// The parts of the memory; an eighth beside them is the kernel's buffer. Nobody waits live for packets out of order.
fn limits(arguments: &LiveArgs) -> Limits {
    let mut limits = Limits::within(arguments.max_memory);
    limits.flows.disorder = 0;
    limits.kept_for = i64::try_from(arguments.keep.as_nanos()).unwrap_or(i64::MAX);
    limits
}
