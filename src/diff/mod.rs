//! Two runs side by side, captures or reports: what `reshake diff` says of the before and after of a change.

mod json;
mod read;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::{HashMap, HashSet};

use crate::check::Baseline;
use crate::check::interval::{Difference, Ratio};
use crate::check::render::quantities;
use crate::model::{Report, ServiceView};
use crate::render::json::End;
use reshake_core::session::Outcomes;

pub use json::{SCHEMA, schema, write as write_json};
pub use read::ReadError;
pub use text::write as write_text;

/// One run, as far as it is compared.
#[derive(Debug)]
pub struct DiffSide {
    /// What was read.
    pub path: String,
    /// "capture" or "report".
    pub kind: &'static str,
    /// The selection of a report that shows a part only.
    pub selection: Option<String>,
    all: DiffPart,
    services: Vec<(ServiceKey, DiffPart)>,
}

/// A server endpoint and a server name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct ServiceKey {
    ip: String,
    port: u16,
    name: Option<String>,
    /// What carries TLS.
    transport: String,
}

/// What is compared of some connections.
#[derive(Debug, Default)]
struct DiffPart {
    connections: u64,
    /// Connections that were only counted, at the memory limit: their reasons are not known. Of a service, as many as there may be.
    only_counted: u64,
    resumption: Ratio,
    returning: Ratio,
    /// Primary reasons, those that connections have.
    reasons: BTreeMap<String, u64>,
    /// Patterns with their confidence.
    patterns: BTreeMap<String, String>,
    /// Security findings with their confidence.
    findings: BTreeMap<String, String>,
}

impl DiffSide {
    /// Of a finished run over captures.
    #[must_use]
    pub fn of(report: &Report<'_>, path: &str) -> Self {
        let mut all = DiffPart::of_counts(&report.summary.counts);
        all.only_counted = report.only_counted();
        all.reasons = report
            .summary
            .reasons
            .iter()
            .map(|count| (count.reason.name.to_owned(), count.connections()))
            .collect();
        let mut services: Vec<(ServiceKey, DiffPart)> =
            report.services.iter().map(|view| of_service(report, view)).collect();
        add_untold(&all, &mut services);
        Self {
            path: path.to_owned(),
            kind: "capture",
            selection: None,
            all: all.with_patterns(&services),
            services,
        }
    }

    /// Of a JSON report.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(path: &str, json: &[u8]) -> Result<Self, ReadError> {
        read::side(path, json)
    }

    /// What `check` compares with.
    #[must_use]
    pub fn baseline(&self) -> Baseline {
        Baseline {
            resumption: self.all.resumption,
            reasons: self.all.reasons.keys().cloned().collect(),
            only_counted: self.all.only_counted,
        }
    }
}

impl DiffPart {
    fn of_counts(counts: &crate::model::Counts) -> Self {
        let quantities = quantities(counts);
        Self {
            connections: quantities.connections,
            resumption: quantities.resumption,
            returning: quantities.returning,
            ..Self::default()
        }
    }

    /// The same with what any service shows.
    fn with_patterns(mut self, services: &[(ServiceKey, Self)]) -> Self {
        for (_, part) in services {
            self.patterns.extend(part.patterns.clone());
            self.findings.extend(part.findings.clone());
        }
        self
    }
}

/// Connections of services that were not told apart may be of any.
fn add_untold(all: &DiffPart, services: &mut [(ServiceKey, DiffPart)]) {
    let told = services
        .iter()
        .fold(0u64, |sum, (_, part)| sum.saturating_add(part.only_counted));
    let untold = all.only_counted.saturating_sub(told);
    for (_, part) in services {
        part.only_counted = part.only_counted.saturating_add(untold);
    }
}

fn of_service(report: &Report<'_>, view: &ServiceView) -> (ServiceKey, DiffPart) {
    let service = view.service();
    let End { ip, port } = view.server.into();
    let key = ServiceKey {
        ip,
        port,
        name: view.server_name.as_deref().map(str::to_owned),
        transport: view.transport.code().to_owned(),
    };
    let mut part = DiffPart::of_counts(&view.counts);
    let evicted = report.engine.connection_store().evicted_of(&service);
    part.only_counted = evicted.map_or(0, Outcomes::total);
    part.reasons = view
        .reasons
        .iter()
        .map(|count| (count.reason.name.to_owned(), count.connections()))
        .collect();
    let analysis = report.analyses.service(&service);
    part.patterns = analysis
        .into_iter()
        .flat_map(|analysis| &analysis.patterns)
        .map(|pattern| (pattern.name.to_owned(), pattern.confidence.code().to_owned()))
        .collect();
    part.findings = report
        .findings
        .service(&service)
        .iter()
        .map(|found| (found.kind.name.to_owned(), found.confidence.code().to_owned()))
        .collect();
    (key, part)
}

/// Two sides, compared.
#[derive(Debug)]
pub struct Diff<'d> {
    before: &'d DiffSide,
    after: &'d DiffSide,
    all: Change<'d>,
    services: Vec<Change<'d>>,
}

/// One part before and after; a part that is not there has no connections.
#[derive(Debug)]
struct Change<'d> {
    /// Before and after; `None` for all connections, or where the service is not there.
    service: [Option<&'d ServiceKey>; 2],
    connections: [u64; 2],
    resumption: Shift,
    returning: Shift,
    /// `None` where some connections were only counted.
    told: Option<Told<'d>>,
}

/// What only connections that were kept can tell.
#[derive(Debug)]
struct Told<'d> {
    reasons: Vec<Count<'d>>,
    patterns: Vec<Stated<'d>>,
    findings: Vec<Stated<'d>>,
}

/// A share before and after.
#[derive(Debug, Clone, Copy)]
struct Shift {
    before: Ratio,
    after: Ratio,
    difference: Option<Difference>,
}

/// Connections with a reason, before and after.
#[derive(Debug)]
struct Count<'d> {
    name: &'d str,
    before: u64,
    after: u64,
}

/// How sure a pattern or finding was before and is after.
#[derive(Debug)]
struct Stated<'d> {
    name: &'d str,
    before: Option<&'d str>,
    after: Option<&'d str>,
}

impl<'d> Diff<'d> {
    /// Compares. Services are the same where endpoint and name are; of the others, those that alone bear their name on
    /// both sides: a farm may have moved.
    #[must_use]
    pub fn between(before: &'d DiffSide, after: &'d DiffSide) -> Self {
        let all = Change::of(None, Some(&before.all), None, Some(&after.all));
        let known = MatchedServices::of(before, after);
        let mut met: HashSet<&ServiceKey> = HashSet::new();
        let mut services = Vec::new();
        for one in &before.services {
            let partner = known.partner(&one.0);
            met.extend(partner.map(|(key, _)| key));
            let (key, part) = partner.map(|partner| (&partner.0, &partner.1)).unzip();
            services.push(Change::of(Some(&one.0), Some(&one.1), key, part));
        }
        let rest = after.services.iter().filter(|(key, _)| !met.contains(key));
        let gained = rest.map(|(key, part)| Change::of(None, None, Some(key), Some(part)));
        services.extend(gained);
        Self {
            before,
            after,
            all,
            services,
        }
    }
}

/// What a service is found by where its endpoint is another: name and transport.
type Bearer<'d> = (&'d Option<String>, &'d str);

/// How many bear a name before, how many after, and the last of these.
type Bearers<'d> = (u32, u32, Option<&'d (ServiceKey, DiffPart)>);

/// The services of both sides, by what they are found by.
struct MatchedServices<'d> {
    after: HashMap<&'d ServiceKey, &'d (ServiceKey, DiffPart)>,
    bearers: HashMap<Bearer<'d>, Bearers<'d>>,
}

impl<'d> MatchedServices<'d> {
    fn of(before: &'d DiffSide, after: &'d DiffSide) -> Self {
        let mut known = Self {
            after: HashMap::new(),
            bearers: HashMap::new(),
        };
        for (key, _) in &before.services {
            known.bearers.entry(bearer(key)).or_default().0 += 1;
        }
        for service in &after.services {
            known.after.entry(&service.0).or_insert(service);
            let (_, count, last) = known.bearers.entry(bearer(&service.0)).or_default();
            *count += 1;
            *last = Some(service);
        }
        known
    }

    /// What a service is after the change.
    fn partner(&self, key: &'d ServiceKey) -> Option<&'d (ServiceKey, DiffPart)> {
        if let Some(same) = self.after.get(key) {
            return Some(same);
        }
        match self.bearers.get(&bearer(key)).filter(|_| key.name.is_some())? {
            (1, 1, moved) => *moved,
            _ => None,
        }
    }
}

fn bearer(key: &ServiceKey) -> Bearer<'_> {
    (&key.name, &key.transport)
}

impl<'d> Change<'d> {
    fn of(
        was: Option<&'d ServiceKey>,
        before: Option<&'d DiffPart>,
        is: Option<&'d ServiceKey>,
        after: Option<&'d DiffPart>,
    ) -> Self {
        let ratio = |part: Option<&DiffPart>, of: fn(&DiffPart) -> Ratio| part.map(of).unwrap_or_default();
        let shift = |of: fn(&DiffPart) -> Ratio| Shift::between(ratio(before, of), ratio(after, of));
        // What is not among the connections that were kept may have been among the others.
        let whole = [before, after].into_iter().flatten().all(|part| part.only_counted == 0);
        Self {
            service: [was, is],
            connections: [before, after].map(|part| part.map_or(0, |part| part.connections)),
            resumption: shift(|part| part.resumption),
            returning: shift(|part| part.returning),
            told: whole.then(|| Told {
                reasons: counts(before, after),
                patterns: stated(before, after, |part| &part.patterns),
                findings: stated(before, after, |part| &part.findings),
            }),
        }
    }
}

impl Shift {
    fn between(before: Ratio, after: Ratio) -> Self {
        Self {
            before,
            after,
            difference: Difference::between(before, after),
        }
    }
}

fn names<V>(maps: [Option<&BTreeMap<String, V>>; 2]) -> BTreeSet<&str> {
    let keys = maps.into_iter().flatten().flat_map(BTreeMap::keys);
    keys.map(String::as_str).collect()
}

fn counts<'d>(before: Option<&'d DiffPart>, after: Option<&'d DiffPart>) -> Vec<Count<'d>> {
    let maps = [before, after].map(|part| part.map(|part| &part.reasons));
    let count = |map: Option<&BTreeMap<String, u64>>, name| map.and_then(|map| map.get(name)).copied().unwrap_or(0);
    let [was, is] = maps;
    let one = |name| Count {
        name,
        before: count(was, name),
        after: count(is, name),
    };
    names(maps).into_iter().map(one).collect()
}

fn stated<'d>(
    before: Option<&'d DiffPart>,
    after: Option<&'d DiffPart>,
    of: fn(&DiffPart) -> &BTreeMap<String, String>,
) -> Vec<Stated<'d>> {
    let maps = [before, after].map(|part| part.map(of));
    let sure = |map: Option<&'d BTreeMap<String, String>>, name| map.and_then(|map| map.get(name)).map(String::as_str);
    let [was, is] = maps;
    let one = |name| Stated {
        name,
        before: sure(was, name),
        after: sure(is, name),
    };
    names(maps).into_iter().map(one).collect()
}

/// "gained", "lost" or "kept".
const fn change(before: bool, after: bool) -> &'static str {
    match (before, after) {
        (false, true) => "gained",
        (true, false) => "lost",
        _ => "kept",
    }
}

impl Count<'_> {
    const fn change(&self) -> &'static str {
        change(self.before > 0, self.after > 0)
    }
}

impl Stated<'_> {
    const fn change(&self) -> &'static str {
        change(self.before.is_some(), self.after.is_some())
    }
}
