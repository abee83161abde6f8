//! What Wireshark is answered, and the capture itself.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::BufWriter;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hashbrown::HashSet;

use super::super::args::wireshark::ExtcapArgs;
use super::super::live::privileges;
use super::super::{Done, Status, complain, interrupt};
use crate::capture::device::{Device, DeviceOptions, OpenError, interfaces as all};
use crate::capture::{Annotated, Comments, Source, name_of};
use crate::model::live::{Related, Surroundings};
use crate::render::annotations::of_connection;
use crate::run::{self, LiveSnapshot, Onlooker, RunOptions};
use reshake_core::engine::TlsEvent;
use reshake_core::session::ConnectionId;

/// Before the names of interfaces, so that they are told from Wireshark's own.
const PREFIX: &str = "reshake-";
/// Bytes of the kernel's buffer for packets that wait.
const BUFFER: u32 = 64 << 20;

/// The options that Wireshark shows.
pub(super) const OPTIONS: &str = "\
arg {number=0}{call=--keylog}{display=TLS key log}{tooltip=What SSLKEYLOGFILE makes programs write: opens tickets and alerts}{type=fileselect}{mustexist=true}{required=false}
arg {number=1}{call=--delay}{display=Hold packets back (ms)}{tooltip=A verdict can only be put on a packet that is not shown yet}{type=unsigned}{range=0,60000}{default=300}
";

/// The interfaces, as extcap(4) has them.
pub(super) fn interfaces() -> String {
    let mut text = format!(
        "extcap {{version={}}}{{help=https://github.com/reshake/reshake}}{{display=TLS session resumption}}\n",
        env!("CARGO_PKG_VERSION")
    );
    // They are listed without rights, too: what is missing is said when a capture begins.
    for interface in all().unwrap_or_default() {
        let (name, state) = (interface.name.as_str(), &interface.state);
        // Braces would end a value; what no packets come from is left out.
        if state.starts_with("up") && !name.contains(['{', '}', ':']) {
            let display = [name, " with verdicts on TLS sessions"].concat();
            text += &["interface {value=", PREFIX, name, "}{display=", &display, "}\n"].concat();
        }
    }
    text
}

/// The interface behind a name that Wireshark was told.
pub(super) fn own_name(value: &str) -> Option<&str> {
    value.strip_prefix(PREFIX)
}

/// The link type, as far as it can be known: without rights an interface cannot be asked, and most are Ethernet's.
pub(super) fn link_types(interface: &str) -> String {
    let (number, name, display) = match open(interface, None) {
        Ok(device) => device.link_type(),
        Err(_) => (1, "EN10MB".to_owned(), "Ethernet".to_owned()),
    };
    format!("dlt {{number={number}}}{{name={name}}}{{display={display}}}\n")
}

fn open(interface: &str, filter: Option<&str>) -> Result<Device, OpenError> {
    let opening = DeviceOptions {
        interface: interface.to_owned(),
        filter: filter.map(str::to_owned),
        snaplen: 262_144,
        promiscuous: true,
        buffer: BUFFER,
        immediate: true,
        link_type: None,
        reconnect: false,
    };
    Device::open(opening, 0)
}

/// Captures until Wireshark has enough.
pub(super) fn run(arguments: &ExtcapArgs, interface: &str, fifo: &Path) -> Done {
    let (live, comments) = prepare(arguments, interface, fifo).map_err(|line| {
        complain(&line);
        Status::Unreadable
    })?;
    let stop = interrupt::stop().map_err(|error| {
        complain(&format!("signals cannot be caught: {error}"));
        Status::Unreadable
    })?;
    let mut teller = Teller {
        comments: comments.clone(),
        stop,
        related: Related::default(),
        waiting: VecDeque::new(),
        told: HashSet::new(),
    };
    let run = live.run(&RunOptions::default(), &mut teller, &mut complain);
    for line in run.errors.iter().chain(&run.warnings) {
        complain(line);
    }
    if let Some(failure) = comments.failure() {
        complain(&format!("{}: cannot be written: {failure}", name_of(fifo)));
        return Ok(Status::Unreadable);
    }
    Ok(if run.errors.is_empty() {
        Status::Analysed
    } else {
        Status::Unreadable
    })
}

/// Opens everything, and gives rights up.
fn prepare(arguments: &ExtcapArgs, interface: &str, fifo: &Path) -> Result<(run::Live, Comments), String> {
    let filter = arguments.extcap_capture_filter.as_deref();
    let device = open(interface, filter.filter(|filter| !filter.is_empty())).map_err(|error| error.to_string())?;
    let keylogs: Vec<PathBuf> = arguments
        .keylog
        .iter()
        .filter(|path| !path.as_os_str().is_empty())
        .cloned()
        .collect();
    let live = run::Live::new(Box::new(device), &keylogs);
    for error in live.errors() {
        complain(error);
    }
    // Waits until Wireshark reads.
    let unwritable = |error: std::io::Error| format!("{}: cannot be written: {error}", name_of(fifo));
    let out = OpenOptions::new().write(true).open(fifo).map_err(unwritable)?;
    privileges::drop(None, false)?;
    let delay = Duration::from_millis(arguments.delay.into());
    let mut comments = None;
    let live = live.wrap(|source| {
        let (annotated, taken) = Annotated::new(source, Box::new(BufWriter::new(out)), delay).map_err(unwritable)?;
        comments = Some(taken);
        Ok::<_, String>(Box::new(annotated) as Box<dyn Source>)
    })?;
    let comments = comments.ok_or("nothing takes comments")?;
    Ok((live, comments))
}

/// Puts verdicts on packets as soon as they are known.
struct Teller {
    comments: Comments,
    stop: Arc<AtomicBool>,
    related: Related,
    waiting: VecDeque<TlsEvent>,
    /// Connections that were told at their handshake and are not over.
    told: HashSet<ConnectionId>,
}

impl Teller {
    /// Tells what waits, together: what connections are judged by is then looked up once.
    fn tell_all(&mut self, seen: LiveSnapshot<'_>) {
        let connection_store = seen.engine.connection_store();
        let mut told = Vec::new();
        for event in self.waiting.drain(..) {
            let (TlsEvent::Handshake(id) | TlsEvent::Closed(id)) = event;
            let Some(connection) = connection_store.get(id) else {
                continue;
            };
            let first = match event {
                TlsEvent::Handshake(_) => self.told.insert(id),
                TlsEvent::Closed(_) => !self.told.remove(&id),
            };
            if first {
                self.related.note(id, connection, connection_store);
                told.push(id);
            }
        }
        let surroundings = Surroundings::of(seen.engine, seen.capture, &self.related, &told);
        for id in told {
            let Some(connection) = connection_store.get(id) else {
                continue;
            };
            let Some(report) = surroundings.about(connection) else {
                continue;
            };
            for (frame, text) in of_connection(report, id, connection) {
                self.comments.add(frame, text);
            }
        }
    }
}

impl Onlooker for Teller {
    fn happened(&mut self, _: LiveSnapshot<'_>, event: TlsEvent) -> ControlFlow<()> {
        self.waiting.push_back(event);
        ControlFlow::Continue(())
    }

    fn tick(&mut self, seen: LiveSnapshot<'_>, _: bool) -> ControlFlow<()> {
        self.tell_all(seen);
        if self.comments.is_over() || self.stop.load(Ordering::Relaxed) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn ending(&mut self, seen: LiveSnapshot<'_>) {
        self.tell_all(seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_were_told_to_wireshark_are_taken() {
        assert_eq!(own_name("reshake-eth0"), Some("eth0"));
        assert_eq!(own_name("eth0"), None);
    }
}
