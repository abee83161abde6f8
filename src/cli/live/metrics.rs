//! Numbers of a live run for whoever collects them, in the text form of Prometheus. Labels are bounded: reasons and
//! outcomes are the catalogue's, services beyond the first are one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::run::LiveSnapshot;
use crate::wording::printable;
use reshake_core::diagnosis::Judged;
use reshake_core::session::Connection;

/// Services told apart.
const MAX_SERVICES: usize = 64;
/// The others.
const OTHER: &str = "other";
/// Longest name of a service.
const MAX_NAME: usize = 128;
/// Whoever asks has this much time to ask and to listen.
const PATIENCE: Duration = Duration::from_secs(2);
/// A request is not longer.
const MAX_REQUEST: usize = 4096;

/// What is counted.
#[derive(Debug, Default)]
struct MetricCounts {
    /// Handshakes by service and outcome.
    handshakes: BTreeMap<(String, &'static str), u64>,
    /// Primary reasons by service.
    reasons: BTreeMap<(String, &'static str), u64>,
    services: Vec<String>,
    packets: u64,
    dropped: u64,
    open: u64,
    kept_bytes: u64,
    evicted: u64,
    lag: f64,
}

/// The numbers, and the socket on which they are asked for.
#[derive(Debug)]
pub(super) struct Metrics {
    counts: Arc<Mutex<MetricCounts>>,
    listener: Option<TcpListener>,
}

impl Metrics {
    /// Takes the address. Nothing is served yet.
    pub(super) fn listen(address: SocketAddr) -> Result<Self, String> {
        let listener = TcpListener::bind(address);
        let listener = listener.map_err(|error| format!("--metrics {address}: cannot be listened on: {error}"))?;
        Ok(Self {
            counts: Arc::default(),
            listener: Some(listener),
        })
    }

    /// Begins to answer, on a thread of its own.
    pub(super) fn serve(&mut self) -> io::Result<()> {
        let Some(listener) = self.listener.take() else {
            return Ok(());
        };
        let counts = Arc::clone(&self.counts);
        let work = move || {
            for stream in listener.incoming().flatten() {
                // Whoever asks and does not listen harms nobody but himself.
                let _ = answer(stream, &counts);
            }
        };
        thread::Builder::new().name("metrics".to_owned()).spawn(work).map(drop)
    }

    /// Counts a decided handshake.
    pub(super) fn count(&self, connection: &Connection, primary: Option<&Judged>) {
        let mut counts = lock(&self.counts);
        let service = counts.service(connection);
        let outcome = connection.outcome.code();
        *counts.handshakes.entry((service.clone(), outcome)).or_default() += 1;
        if let Some(primary) = primary {
            *counts.reasons.entry((service, primary.reason.name)).or_default() += 1;
        }
    }

    /// Takes over how the run stands.
    pub(super) fn tick(&self, seen: LiveSnapshot<'_>, idle: bool) {
        let mut counts = lock(&self.counts);
        counts.packets = seen.packets;
        counts.dropped = seen.capture.and_then(|capture| capture.dropped).unwrap_or(0);
        counts.open = seen.engine.open_connections() as u64;
        counts.kept_bytes = seen.engine.connection_store().bytes() as u64;
        counts.evicted = seen.engine.connection_store().evicted_total();
        counts.lag = if idle { 0.0 } else { lag(seen) };
    }
}

/// Seconds between the latest packet and now.
pub(super) fn lag(seen: LiveSnapshot<'_>) -> f64 {
    let last = seen.capture.and_then(|capture| capture.last_time);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let Some(last) = last.and_then(|last| u64::try_from(last.nanos()).ok()) else {
        return 0.0;
    };
    now.saturating_sub(Duration::from_nanos(last)).as_secs_f64()
}

fn lock(counts: &Mutex<MetricCounts>) -> MutexGuard<'_, MetricCounts> {
    // Each step leaves them whole.
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MetricCounts {
    fn service(&mut self, connection: &Connection) -> String {
        let name = match connection.server_name() {
            Some(name) => format!("{name}:{}", connection.server.port),
            None => connection.server.to_string(),
        };
        let name = printable(&name, MAX_NAME).replace('\\', "\\\\").replace('"', "\\\"");
        if self.services.contains(&name) {
            return name;
        }
        if self.services.len() >= MAX_SERVICES {
            return OTHER.to_owned();
        }
        self.services.push(name.clone());
        name
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let head = |text: &mut String, name: &str, kind: &str, help: &str| {
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        };
        let labelled = [
            (
                "reshake_handshakes_total",
                "Decided handshakes.",
                "outcome",
                &self.handshakes,
            ),
            ("reshake_reasons_total", "Primary reasons.", "reason", &self.reasons),
        ];
        for (name, help, label, counts) in labelled {
            head(&mut text, name, "counter", help);
            for ((service, value), count) in counts {
                let _ = writeln!(text, "{name}{{service=\"{service}\",{label}=\"{value}\"}} {count}");
            }
        }
        for (name, kind, help, value) in [
            ("reshake_packets_total", "counter", "Packets taken in.", self.packets),
            (
                "reshake_packets_dropped_total",
                "counter",
                "Packets lost before they came here.",
                self.dropped,
            ),
            (
                "reshake_open_connections",
                "gauge",
                "Connections that are open.",
                self.open,
            ),
            (
                "reshake_kept_bytes",
                "gauge",
                "Bytes of what is over and kept.",
                self.kept_bytes,
            ),
            (
                "reshake_omitted_connections_total",
                "counter",
                "Connections that are only counted.",
                self.evicted,
            ),
            ("reshake_resident_bytes", "gauge", "Memory of the process.", resident()),
        ] {
            head(&mut text, name, kind, help);
            let _ = writeln!(text, "{name} {value}");
        }
        head(
            &mut text,
            "reshake_lag_seconds",
            "gauge",
            "Age of the latest packet while others wait.",
        );
        let _ = writeln!(text, "reshake_lag_seconds {:.3}", self.lag);
        text
    }
}

/// Resident memory, where the system tells it.
fn resident() -> u64 {
    const PAGE: u64 = 4096;
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * PAGE
}

fn answer(mut stream: TcpStream, counts: &Mutex<MetricCounts>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut request = Vec::new();
    let mut piece = [0; 512];
    while request.len() < MAX_REQUEST && !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece)? {
            0 => break,
            count => request.extend_from_slice(piece.get(..count).unwrap_or_default()),
        }
    }
    let (status, body) = if request.starts_with(b"GET /metrics") {
        ("200 OK", lock(counts).text())
    } else {
        ("404 Not Found", "the numbers are at /metrics\n".to_owned())
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}
