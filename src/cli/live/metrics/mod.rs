//! Numbers of a live run for whoever collects them, in the text form of Prometheus. Labels are bounded: reasons and
//! outcomes are the catalogue's, services beyond the first are one.

mod serve;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::model::{cost, protocol_text};
use crate::run::LiveSnapshot;
use crate::wording::printable;
use reshake_core::diagnosis::Judged;
use reshake_core::session::{Connection, Outcome};

/// Services told apart.
const MAX_SERVICES: usize = 64;
/// The others.
const OTHER: &str = "other";
/// Longest name of a service.
const MAX_NAME: usize = 128;

/// What is counted.
#[derive(Debug, Default)]
struct MetricCounts {
    /// Handshakes by service, outcome, version and mechanism.
    handshakes: BTreeMap<Handshake, u64>,
    /// Handshake times by whether the handshake resumed.
    times: [Histogram; 2],
    /// Primary reasons by service.
    reasons: BTreeMap<(String, &'static str), u64>,
    services: Vec<String>,
    packets: u64,
    dropped: u64,
    open: u64,
    kept_bytes: u64,
    evicted: u64,
    lag: f64,
    /// Seconds since the epoch.
    started: u64,
}

/// What handshakes are told apart by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Handshake {
    service: String,
    outcome: &'static str,
    version: String,
    /// What resumed it; empty where nothing did.
    mechanism: &'static str,
}

/// Upper ends of the bins of handshake times, in seconds: from one machine to the other side of the world.
const BINS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];

/// Handshake times in bins.
#[derive(Debug, Clone, Copy, Default)]
struct Histogram {
    bins: [u64; BINS.len()],
    count: u64,
    sum: f64,
}

impl Histogram {
    fn add(&mut self, seconds: f64) {
        self.count += 1;
        self.sum += seconds;
        // Each bin holds all that are shorter, too.
        let fits = self.bins.iter_mut().zip(BINS).filter(|(_, end)| seconds <= *end);
        fits.for_each(|(bin, _)| *bin += 1);
    }

    fn write(&self, name: &str, label: &str, text: &mut String) {
        for (count, end) in self.bins.iter().zip(BINS) {
            let _ = writeln!(text, "{name}_bucket{{{label},le=\"{end}\"}} {count}");
        }
        let _ = writeln!(text, "{name}_bucket{{{label},le=\"+Inf\"}} {}", self.count);
        let _ = writeln!(text, "{name}_sum{{{label}}} {:.6}", self.sum);
        let _ = writeln!(text, "{name}_count{{{label}}} {}", self.count);
    }
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
            counts: Arc::new(Mutex::new(MetricCounts {
                started: SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default()
                    .as_secs(),
                ..MetricCounts::default()
            })),
            listener: Some(listener),
        })
    }

    /// Begins to answer, on threads of its own.
    pub(super) fn serve(&mut self) -> io::Result<()> {
        let Some(listener) = self.listener.take() else {
            return Ok(());
        };
        let counts = Arc::clone(&self.counts);
        let numbers: serve::Numbers = Arc::new(move || lock(&counts).text());
        serve::serve(&listener, &numbers)
    }

    /// Counts a decided handshake.
    pub(super) fn count(&self, connection: &Connection, primary: Option<&Judged>) {
        let mut counts = lock(&self.counts);
        let service = counts.service(connection);
        let mechanism = match connection.outcome {
            Outcome::Resumed(Some(mechanism)) => mechanism.code(),
            _ => "",
        };
        let handshake = Handshake {
            service: service.clone(),
            outcome: connection.outcome.code(),
            version: protocol_text(connection).unwrap_or_else(|| "not-visible".to_owned()),
            mechanism,
        };
        *counts.handshakes.entry(handshake).or_default() += 1;
        let kind = match connection.outcome {
            Outcome::Resumed(_) => Some(0),
            Outcome::Declined | Outcome::NotOffered => Some(1),
            Outcome::Failed | Outcome::Unclear(_) | Outcome::ExternalPsk => None,
        };
        if let (Some(kind), Some(nanos)) = (kind, cost::of(connection).handshake)
            && let (Some(times), Ok(nanos)) = (counts.times.get_mut(kind), u64::try_from(nanos))
        {
            times.add(Duration::from_nanos(nanos).as_secs_f64());
        }
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
        let name = "reshake_build_info";
        head(&mut text, name, "gauge", "Version of the program; always 1.");
        let _ = writeln!(text, "{name}{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
        let name = "reshake_handshakes_total";
        head(&mut text, name, "counter", "Decided handshakes.");
        for (of, count) in &self.handshakes {
            let Handshake {
                service,
                outcome,
                version,
                mechanism,
            } = of;
            let _ = writeln!(
                text,
                "{name}{{service=\"{service}\",outcome=\"{outcome}\",version=\"{version}\",mechanism=\"{mechanism}\"}} {count}"
            );
        }
        let name = "reshake_reasons_total";
        head(&mut text, name, "counter", "Primary reasons.");
        for ((service, reason), count) in &self.reasons {
            let _ = writeln!(text, "{name}{{service=\"{service}\",reason=\"{reason}\"}} {count}");
        }
        let name = "reshake_handshake_duration_seconds";
        head(
            &mut text,
            name,
            "histogram",
            "From the ClientHello to the last Finished.",
        );
        for (times, resumed) in self.times.iter().zip(["true", "false"]) {
            times.write(name, &format!("resumed=\"{resumed}\""), &mut text);
        }
        for (name, kind, help, value) in [
            ("reshake_packets_total", "counter", "Packets captured.", self.packets),
            (
                "reshake_packets_dropped_total",
                "counter",
                "Packets lost before reshake received them.",
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
            (
                "process_resident_memory_bytes",
                "gauge",
                "Resident memory size in bytes.",
                resident(),
            ),
            (
                "process_start_time_seconds",
                "gauge",
                "Start time of the process since unix epoch in seconds.",
                self.started,
            ),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_hold_all_that_is_shorter_and_the_last_one_everything() {
        let mut times = Histogram::default();
        for seconds in [0.0004, 0.003, 0.003, 60.0] {
            times.add(seconds);
        }
        let mut text = String::new();
        times.write("t", "resumed=\"true\"", &mut text);
        for line in [
            "t_bucket{resumed=\"true\",le=\"0.0005\"} 1",
            "t_bucket{resumed=\"true\",le=\"0.005\"} 3",
            "t_bucket{resumed=\"true\",le=\"5\"} 3",
            "t_bucket{resumed=\"true\",le=\"+Inf\"} 4",
            "t_sum{resumed=\"true\"} 60.006400",
            "t_count{resumed=\"true\"} 4",
        ] {
            assert!(text.lines().any(|told| told == line), "{line}\n{text}");
        }
    }
}
