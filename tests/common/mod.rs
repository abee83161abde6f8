//! What the test suites share: the fixtures with their truth, packets as a list, and a run of the whole path in memory.
#![allow(dead_code, reason = "every suite uses its own part")]

use std::fmt::Write as _;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use reshake::capture::{Source, Timeline};
use reshake::model::Report;
use reshake::render::json;
use reshake_core::engine::{Engine, Limits};
use reshake_core::net::Capture;
use serde::Deserialize;
use serde_json::Value;

pub(crate) mod changes;
pub(crate) mod facts;
pub(crate) mod forge;
pub(crate) mod forms;
pub(crate) mod joined;
pub(crate) mod packets;

/// What really happened in a fixture, from the logs of the clients and servers that made it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Truth {
    file: Option<String>,
    /// Several files that are one timeline.
    #[serde(default)]
    files: Vec<String>,
    pub(crate) connections: Vec<TrueConnection>,
    /// The capture itself hides answers: an unclear one is right.
    #[serde(default)]
    pub(crate) blind: bool,
    /// The list of connections is not complete.
    #[serde(default)]
    pub(crate) lenient: bool,
    #[serde(default)]
    pub(crate) patterns: Vec<String>,
    /// VLAN tags around every packet, outermost first.
    #[serde(default)]
    pub(crate) vlans: Vec<u16>,
    /// Addresses of the tunnels around every packet, outermost first, each on the client's side and on the server's.
    #[serde(default)]
    pub(crate) outer: Vec<String>,
    /// Its packets carry no times.
    #[serde(default)]
    pub(crate) no_times: bool,
    /// TCP connections without TLS, where they are counted.
    pub(crate) other_connections: Option<u64>,
}

/// What really happened on one connection.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TrueConnection {
    pub(crate) n: u32,
    pub(crate) client: String,
    pub(crate) server: String,
    pub(crate) outcome: String,
    pub(crate) offered: String,
    #[serde(default)]
    pub(crate) offered_also: Vec<String>,
    pub(crate) tls_version: Option<String>,
    pub(crate) early_data: Option<String>,
    /// "keys" where only keys show it.
    #[serde(default)]
    pub(crate) early_visible: Option<String>,
    /// Close classes that are all right.
    #[serde(default)]
    pub(crate) close: Vec<String>,
    /// The same, where only keys show it.
    #[serde(default)]
    pub(crate) close_keys: Vec<String>,
    #[serde(default)]
    pub(crate) why: String,
    #[serde(default)]
    pub(crate) reason: Vec<String>,
    #[serde(default)]
    pub(crate) reason_also: Vec<String>,
    /// Number of the connection that issued what was offered.
    pub(crate) issuer: Option<u32>,
    /// The same, where only keys show it.
    pub(crate) issuer_keys: Option<u32>,
    /// The address that the server's packets carry, where it is another.
    pub(crate) answers_from: Option<String>,
    /// What stood before TLS.
    pub(crate) preamble: Option<String>,
    /// The client that a PROXY header names.
    pub(crate) proxied_client: Option<String>,
    /// As `blind`, for this connection alone; says why.
    pub(crate) hidden: Option<Value>,
}

/// One folder of `fixtures/reasons`, `fixtures/captures` or `fixtures/findings`.
#[derive(Debug, Clone)]
pub(crate) struct Fixture {
    /// `reasons/NAME`, `captures/NAME` or `findings/NAME`.
    pub(crate) name: String,
    /// Its capture files, in the order of the truth.
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) truth: Truth,
}

impl Fixture {
    /// The last part of its name.
    pub(crate) fn folder(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or_default()
    }

    /// Its only file.
    pub(crate) fn path(&self) -> &Path {
        match self.paths.as_slice() {
            [path] => path,
            paths => panic!("{} has {} files", self.name, paths.len()),
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).expect("a readable fixture")
    }

    /// Its files as one timeline.
    pub(crate) fn run(&self, limits: Limits) -> (Engine, Vec<Capture>) {
        analyse(sources(&self.paths), limits)
    }

    pub(crate) fn report(&self) -> Value {
        report_of(self.run(Limits::default()))
    }
}

/// The folder of the package.
pub(crate) fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    // The fuzzer is a package of its own inside this one.
    package
        .parent()
        .filter(|_| package.ends_with("fuzz"))
        .unwrap_or(package)
}

/// Every fixture, sorted by name. A folder without a readable truth is a mistake, not something to pass over.
pub(crate) fn fixtures() -> Vec<Fixture> {
    let mut all: Vec<Fixture> = ["reasons", "captures", "findings"]
        .into_iter()
        .flat_map(|kind| {
            folders(&root().join("fixtures").join(kind))
                .into_iter()
                .map(move |name| (kind, name))
        })
        .map(|(kind, name)| fixture(&format!("{kind}/{name}")))
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(all.len() >= 100, "only {} fixtures found", all.len());
    all
}

/// The fixtures of one file: those whose packets can be taken apart and put together again.
pub(crate) fn single_files() -> Vec<Fixture> {
    fixtures()
        .into_iter()
        .filter(|fixture| fixture.paths.len() == 1)
        .collect()
}

/// One fixture by name, `reasons/NAME`, say.
pub(crate) fn fixture(name: &str) -> Fixture {
    let folder = root().join("fixtures").join(name);
    let text = fs::read_to_string(folder.join("truth.json")).unwrap_or_else(|e| panic!("{name}/truth.json: {e}"));
    let truth: Truth = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}/truth.json: {e}"));
    let files = truth.file.iter().chain(&truth.files);
    let paths: Vec<PathBuf> = files.map(|file| folder.join(file)).collect();
    assert!(!paths.is_empty(), "{name}: no capture");
    Fixture {
        name: name.to_owned(),
        paths,
        truth,
    }
}

/// Names of the folders in a folder.
pub(crate) fn folders(path: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(path)
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        .map(|entry| entry.expect("a readable folder"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().expect("a UTF-8 name"))
        .collect();
    names.sort();
    names
}

/// Everything pushed through an engine.
pub(crate) fn analyse(sources: Vec<Box<dyn Source>>, limits: Limits) -> (Engine, Vec<Capture>) {
    let mut timeline = Timeline::new(sources);
    let mut engine = Engine::new(limits);
    while let Some(packet) = timeline.next() {
        engine.push(&packet);
    }
    engine.finish();
    (engine, timeline.captures().cloned().collect())
}

/// A source over bytes in memory; `None` where they are no capture.
pub(crate) fn source_of_bytes(name: &str, bytes: Vec<u8>, capture: u16) -> Option<Box<dyn Source>> {
    reshake::capture::from_reader(name, Box::new(Cursor::new(bytes)), None, capture).ok()
}

/// The report on files in memory, read back as JSON.
pub(crate) fn report_of_bytes(files: Vec<Vec<u8>>) -> Value {
    let sources = files
        .into_iter()
        .zip(0..)
        .map(|(bytes, index)| source_of_bytes(&format!("part-{index}"), bytes, index).expect("a capture"));
    report_of(analyse(sources.collect(), Limits::default()))
}

/// Files opened as the captures of one run, in this order.
pub(crate) fn sources(paths: &[PathBuf]) -> Vec<Box<dyn Source>> {
    let open = |(path, index): (&PathBuf, u16)| {
        reshake::capture::open(path.to_str().expect("a UTF-8 path"), index).expect("a capture")
    };
    paths.iter().zip(0..).map(open).collect()
}

/// The report of a finished run, read back as JSON.
pub(crate) fn report_of((engine, captures): (Engine, Vec<Capture>)) -> Value {
    let report = Report::of(&engine, captures);
    let mut out = Vec::new();
    json::write_document(&report, &mut out).expect("written to memory");
    serde_json::from_slice(&out).expect("a report is JSON")
}

/// The elements of an array member.
pub(crate) fn items<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value
        .get(member)
        .and_then(Value::as_array)
        .unwrap_or_else(|| panic!("{member} is no array"))
}

/// A string member, where it is one.
pub(crate) fn text<'a>(value: &'a Value, member: &str) -> Option<&'a str> {
    value.get(member).and_then(Value::as_str)
}

/// The strings of an array member.
pub(crate) fn texts<'a>(value: &'a Value, member: &str) -> Vec<&'a str> {
    items(value, member)
        .iter()
        .map(|item| item.as_str().expect("a string"))
        .collect()
}

/// What a connection offers, nothing where that is not visible.
pub(crate) fn offered(connection: &Value) -> Vec<&str> {
    if connection["offered"].is_null() {
        assert!(
            connection["not_visible"].get("offered").is_some(),
            "null without a cause"
        );
        return Vec::new();
    }
    texts(connection, "offered")
}

/// "10.0.0.1:443" or "[::1]:443".
pub(crate) fn endpoint(value: &Value) -> String {
    let ip = text(value, "ip").expect("an address");
    let port = value.get("port").and_then(Value::as_u64).expect("a port");
    if ip.contains(':') {
        format!("[{ip}]:{port}")
    } else {
        format!("{ip}:{port}")
    }
}

/// Fails with the list when it is not empty.
pub(crate) fn assert_none(what: &str, problems: &[String]) {
    let mut list = String::new();
    for problem in problems.iter().take(if std::env::var_os("ALL").is_some() {
        usize::MAX
    } else {
        60
    }) {
        let _ = write!(list, "\n  {problem}");
    }
    assert!(problems.is_empty(), "{what}: {}{list}", problems.len());
}

/// Compares with a committed file; `UPDATE=1` writes it anew.
pub(crate) fn assert_committed(path: &str, now: &str) {
    let file = root().join(path);
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder to write to");
        fs::write(&file, now).expect("written");
        return;
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    if committed == now {
        return;
    }
    let (old, new): (Vec<&str>, Vec<&str>) = (committed.lines().collect(), now.lines().collect());
    let line = |lines: &[&str], at: usize| (*lines.get(at).unwrap_or(&"<nothing>")).to_owned();
    let differing = (0..old.len().max(new.len()))
        .find(|at| line(&old, *at) != line(&new, *at))
        .map(|at| {
            format!(
                "line {}:\n  committed {}\n  now       {}",
                at + 1,
                line(&old, at),
                line(&new, at)
            )
        });
    panic!(
        "{path} is not what the code makes now; if that is intended, UPDATE=1 cargo test writes it anew\n{}",
        differing.unwrap_or_default()
    );
}

/// A small seeded generator (xorshift64*): the same run every time.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// Seeded by a text, so that every fixture gets its own sequence whatever the others are.
    pub(crate) fn seeded(text: &str, number: u64) -> Self {
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self((hash ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1)
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Less than `limit`, or 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit.max(1)).expect("a small number");
        usize::try_from((self.number() >> 11) % limit).expect("a small number")
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last + 1);
            items.swap(last, other);
        }
    }
}
