//! `reshake annotate` and `reshake extract`: a capture in, a capture out.

use std::collections::BTreeSet;
use std::path::Path;

use hashbrown::HashSet;

use super::args::{Annotate, Copying, Extract};
use super::output::OutputFile;
use super::redact::Redaction;
use super::session::find;
use super::{Done, Status, complain, keylogs, read};
use crate::capture::copy::{Changes, Copied, CopyError, Excerpt, anew, copy, lines_of, randoms};
use crate::capture::{self, KeyLogFile, Stream, is_standard_input, name_of};
use crate::model::session::{Life, NameMeaning};
use crate::model::{Report, connection_id};
use crate::redact::PacketRedactor;
use crate::render::annotations::{Annotations, connections_called};
use crate::run::{Run, RunOptions};
use crate::wording::{counted, only_counted};
use reshake_core::net::Packet;
use reshake_core::session::{Connection, ConnectionId, TransportKind};

/// Connections listed of a beginning that several ids have.
const MAX_CANDIDATES: usize = 20;
/// Longest key log that is put into a capture, in bytes.
const MAX_EMBEDDED: usize = 64 << 20;

/// A run and where its copy goes.
struct CopyJob {
    run: Run,
    output: OutputFile,
    /// Lines of the given key logs that belong to connections of the capture.
    embedded: Vec<u8>,
}

pub(super) fn annotate(arguments: &Annotate) -> Done {
    let selection = super::analyze::selection(arguments.select.as_deref())?;
    let mut redaction = Redaction::of(&arguments.copying.redact)?;
    let mut job = begin(&arguments.copying)?;
    let selection = redaction.apply(&mut job.run, selection);
    let report = Report::of_selected(&job.run.engine, job.run.captures.clone(), selection);
    let annotated = Annotated {
        annotations: Annotations::of(&report, 0),
        embedded: &job.embedded,
    };
    let frames = annotated.annotations.frames() as u64;
    if redaction.is_asked() {
        say_what_is_zeros(report.connections().map(|(.., connection)| connection));
    }
    let told = |copied: &Copied| {
        let frames = counted(frames, "frame", "frames");
        let comments = counted(copied.comments, "comment", "comments");
        format!("{comments} on {frames}{}", left_out(&report, "have none"))
    };
    Ok(write(
        &arguments.copying,
        &redaction,
        job.output,
        &job.run,
        &annotated,
        told,
    ))
}

pub(super) fn extract(arguments: &Extract) -> Done {
    let redaction = Redaction::of(&arguments.copying.redact)?;
    let job = begin(&arguments.copying)?;
    let report = Report::of(&job.run.engine, job.run.captures.clone());
    let Some(ids) = wanted(arguments, &report) else {
        return Ok(Status::Usage);
    };
    let connection_store = report.engine.connection_store();
    let chosen: Vec<&Connection> = ids.iter().filter_map(|id| connection_store.get(*id)).collect();
    let mut source = match capture::open(&arguments.copying.file, 0) {
        Ok(source) => source,
        Err(error) => {
            complain(&error.to_string());
            return Ok(Status::Unreadable);
        }
    };
    let others = connection_store.iter().map(|(_, connection)| connection);
    let excerpt = Excerpt::of(0, &chosen, others, source.as_mut(), job.embedded);
    if redaction.is_asked() {
        say_what_is_zeros(chosen.iter().copied());
    }
    let told = |copied: &Copied| {
        let packets = counted(copied.kept, "packet", "packets");
        let connections = counted(chosen.len() as u64, "connection", "connections");
        // One connection that was found is whole.
        let missing = if arguments.session {
            left_out(&report, "are missing if they belong here")
        } else {
            String::new()
        };
        format!("{packets} of {connections}{missing}")
    };
    Ok(write(
        &arguments.copying,
        &redaction,
        job.output,
        &job.run,
        &excerpt,
        told,
    ))
}

/// Opens the output, then analyses the input: what cannot be written is said before the work.
fn begin(arguments: &Copying) -> Result<CopyJob, Status> {
    let usage = |line: String| {
        complain(&line);
        Status::Usage
    };
    let is_redacted = arguments.redact.redact || arguments.redact.key.is_some();
    if arguments.embed_keys && is_redacted {
        return Err(usage(
            "--embed-keys: what keys would open is not in a copy that is redacted".to_owned(),
        ));
    }
    if is_standard_input(&arguments.file) {
        return Err(usage(
            "standard input ('-') cannot be read twice; give a file".to_owned(),
        ));
    }
    let keylogs = keylogs(&arguments.keys)?;
    if arguments.embed_keys && keylogs.is_empty() {
        return Err(usage(
            "--embed-keys: there is no key log; give one as --keylog FILE".to_owned(),
        ));
    }
    let output = OutputFile::begin(&arguments.output, Some(&arguments.file)).map_err(|(line, status)| {
        complain(&line);
        status
    })?;
    let options = RunOptions {
        keylogs: keylogs.clone(),
        ..RunOptions::within(arguments.memory.max_memory)
    };
    let run = read(std::slice::from_ref(&arguments.file), &options, arguments.quiet);
    if run.captures.is_empty() || !run.errors.is_empty() {
        return Err(Status::Unreadable);
    }
    let mut embedded = Vec::new();
    if arguments.embed_keys {
        let randoms = randoms(run.engine.connection_store().iter().map(|(_, connection)| connection));
        for path in &keylogs {
            embedded.extend(read_keys(path, &randoms).map_err(|line| {
                complain(&line);
                Status::Unreadable
            })?);
        }
    }
    Ok(CopyJob { run, output, embedded })
}

/// The lines of a key log that belong to these connections: whoever gets the copy gets no other secret.
fn read_keys(path: &Path, randoms: &HashSet<String>) -> Result<Vec<u8>, String> {
    let mut file = KeyLogFile::open(path).map_err(|error| error.to_string())?;
    let mut log = Vec::new();
    loop {
        let bytes = file.more().map_err(|error| error.to_string())?;
        if bytes.is_empty() {
            return Ok(lines_of(&log, randoms));
        }
        log.extend_from_slice(bytes);
        if log.len() > MAX_EMBEDDED {
            return Err(format!(
                "{}: is too long a key log to be put into a capture",
                name_of(path)
            ));
        }
    }
}

/// The connections that are asked for; what is wrong is said.
fn wanted(arguments: &Extract, report: &Report<'_>) -> Option<BTreeSet<ConnectionId>> {
    let name = arguments.connection.as_str();
    let called = if name.starts_with(['c', 'C']) {
        connections_called(report, name)
    } else {
        Vec::new()
    };
    let lives = |found: Vec<NameMeaning>| {
        found
            .into_iter()
            .flat_map(|one| Life::of(report, one).connections)
            .collect()
    };
    match called.as_slice() {
        [one] if arguments.session => Some(lives(sessions(report, *one))),
        [one] => Some(BTreeSet::from([*one])),
        [] if arguments.session => find(name, report).map(|found| lives(vec![found])),
        [] => {
            let (which, folded) = match report.only_counted() {
                0 => ("of this capture", String::new()),
                count => ("that was kept", format!("{}; ", only_counted(count))),
            };
            complain(&format!(
                "no connection {which} has an id that begins with '{name}'; {folded}'reshake analyze --all' shows the ids, and \
                 --session takes what 'reshake session' takes"
            ));
            None
        }
        several => {
            complain(&format!("'{name}' may mean {} connections:", several.len()));
            for id in several.iter().take(MAX_CANDIDATES) {
                if let Some(connection) = report.engine.connection_store().get(*id) {
                    complain(&format!("  {}  {}", connection_id(connection), connection.client));
                }
            }
            if several.len() > MAX_CANDIDATES {
                complain("  …");
            }
            None
        }
    }
}

/// Every session that a connection had to do with: what it offered, and what it was given.
fn sessions(report: &Report<'_>, id: ConnectionId) -> Vec<NameMeaning> {
    let Some(connection) = report.engine.connection_store().get(id) else {
        return Vec::new();
    };
    let offered = connection.offers.iter().map(|offer| offer.credential);
    let credentials = offered.chain(connection.issued.iter().copied());
    let found = credentials
        .filter(|id| report.engine.credential_store().get(*id).is_some())
        .map(NameMeaning::Credential);
    found.chain([NameMeaning::Connection(id)]).collect()
}

fn write(
    arguments: &Copying,
    redaction: &Redaction,
    mut output: OutputFile,
    run: &Run,
    changes: &dyn Changes,
    told: impl FnOnce(&Copied) -> String,
) -> Status {
    let copied = match redaction.packets() {
        Some(packets) => copy_redacted(&arguments.file, packets, changes, &mut output),
        None => Stream::open(&arguments.file)
            .map_err(CopyError::from)
            .and_then(|original| copy(original, changes, &mut output)),
    };
    let copied = match copied {
        Ok(copied) => copied,
        Err(CopyError::Write(error)) => {
            complain(&format!(
                "-o: {}: cannot be written: {error}",
                name_of(&arguments.output)
            ));
            return Status::Unreadable;
        }
        Err(error) => {
            complain(&error.to_string());
            return Status::Unreadable;
        }
    };
    let read = run.captures.first().map_or(0, |capture| capture.packets);
    if copied.frames != read {
        complain(&format!(
            "{}: has {} frames now and had {read} when it was analysed: it was changed, or is damaged; nothing was written",
            name_of(&arguments.file),
            copied.frames
        ));
        return Status::Unreadable;
    }
    if let Err(error) = output.finish() {
        complain(&format!(
            "-o: {}: cannot be written: {error}",
            name_of(&arguments.output)
        ));
        return Status::Unreadable;
    }
    say_what_is_missing(&copied);
    if !arguments.quiet {
        complain(&format!("{}: {}", name_of(&arguments.output), told(&copied)));
    }
    Status::Analysed
}

/// What the copy lacks because no more was kept of some connections than counts.
fn left_out(report: &Report<'_>, consequence: &str) -> String {
    match report.only_counted() {
        0 => String::new(),
        count => format!("; {}, and {consequence}", only_counted(count)),
    }
}

/// What a redacted copy holds nothing of.
fn say_what_is_zeros<'c>(mut connections: impl Iterator<Item = &'c Connection>) {
    if connections.any(|connection| connection.transport.kind() != TransportKind::Tcp) {
        complain(
            "of QUIC and DTLS a redacted copy has only addresses, ports and lengths: they cannot be analysed again",
        );
    }
}

/// What of the original is not in the copy.
fn say_what_is_missing(copied: &Copied) {
    if copied.homeless > 0 {
        let comments = counted(copied.homeless, "comment has", "comments have");
        complain(&format!(
            "{comments} no place: simple packet blocks carry none (editcap converts them)"
        ));
    }
    if copied.left_out > 0 {
        let blocks = counted(copied.left_out, "block was", "blocks were");
        complain(&format!(
            "{blocks} left out: names, secrets and records that are not of these connections"
        ));
    }
}

/// A copy in which nobody is named: one pass to know what stands in the packets, another to write them.
fn copy_redacted(
    file: &Path,
    mut packets: PacketRedactor,
    changes: &dyn Changes,
    out: &mut OutputFile,
) -> Result<Copied, CopyError> {
    let mut source = capture::open(file, 0)?;
    while let Some(packet) = source.next() {
        packets.learn(&packet);
    }
    packets.learned();
    if packets.is_full() {
        complain(&format!(
            "{}: holds more than can be remembered of it: from some packet on, what the copy has of TLS is zeros",
            name_of(file)
        ));
    }
    let mut make = |packet: &Packet<'_>| {
        let frame = packets.frame(packet);
        (frame.bytes, frame.length)
    };
    anew(capture::open(file, 0)?.as_mut(), changes, &mut make, out)
}

/// The whole capture with comments.
struct Annotated<'r> {
    annotations: Annotations<'r>,
    embedded: &'r [u8],
}

impl Changes for Annotated<'_> {
    fn comments(&self, frame: u64) -> Vec<String> {
        self.annotations.at(frame)
    }

    fn embedded(&self) -> Option<&[u8]> {
        Some(self.embedded)
    }
}
