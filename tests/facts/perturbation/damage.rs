//! Systematic damage: every packet of a capture lost, cut, doubled, or moved, clocks that are coarse or wrong, files that
//! begin late or end early. Each fact of each connection is then the same, or said not to be visible.
//!
//! What holds for each member of a connection stands in [`relation`]. Members that are not named there must be the same or
//! be null with their path in `not_visible`, so that a new one is held to it from its first day.
//!
//! `cargo test` runs a choice of fixtures. `DAMAGE=all` runs all of them, `DAMAGE=1/9` a ninth of
//! them, `DAMAGE=NAME` those whose name has NAME in it; each prints every kind of violation with a count and an example: see `docs/testing.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;

mod open;

use open::OPEN;

use crate::common::packets::{self, Parsed, RawPacket};
use crate::common::{self, Fixture, items, report_of_bytes, single_files};

/// Fixtures of `cargo test`: small, and between them both protocol versions, tickets, IDs, resets, alerts, loss of either
/// side, an early end and a preamble.
const CHOICE: [&str; 7] = [
    "captures/imap-starttls",
    "captures/open-at-end",
    "captures/tls10-closes",
    "captures/tls13-hello-retry",
    "captures/tls13-server-closes",
    "reasons/fatal-alert-previous-near-miss",
    "reasons/offer-of-unknown-origin-near-miss",
];

/// Violations that no reading of the packets can avoid, by member and kind of damage. Each says why.
const UNAVOIDABLE: &[(&str, &[&str])] = &[
    // Nothing acknowledges a reset: behind two FINs its absence is not to be told from its loss.
    ("close.client.rst_form", &["lost", "ends early"]),
    ("close.client.rst_frame", &["lost", "ends early"]),
    ("close.server.rst_form", &["lost", "ends early"]),
    ("close.server.rst_frame", &["lost", "ends early"]),
    // A handshake is taken to go on until it is seen to fail.
    ("resumed_by", &["ends early"]),
    ("cost.extra_round_trips", &["ends early"]),
];

/// A capture after one damage.
struct Damaged {
    kind: &'static str,
    /// What was done, to do it again.
    case: String,
    packets: Vec<RawPacket>,
    /// For each packet its place in the capture as it was.
    from: Vec<usize>,
    /// Packets, by their place before, that are gone or have lost bytes.
    harmed: Vec<bool>,
}

impl Damaged {
    /// Whether every byte is there still.
    fn is_complete(&self) -> bool {
        !self.harmed.contains(&true)
    }
}

/// A capture as it was.
struct Original {
    packets: Vec<RawPacket>,
    parsed: Vec<Option<Parsed>>,
}

impl Original {
    /// Whether these two packets are one segment, captured twice: either may be named as its frame.
    fn are_copies(&self, one: usize, other: usize) -> bool {
        let segment = |place: usize| {
            let parsed = self.parsed[place].as_ref()?;
            Some((parsed.source, self.packets[place].data.get(parsed.tcp()?..)?))
        };
        one == other || segment(one).is_some_and(|segment_of_one| Some(segment_of_one) == segment(other))
    }

    fn damaged(&self, kind: &'static str, case: String, from: Vec<usize>) -> Damaged {
        let connection_store: BTreeSet<usize> = from.iter().copied().collect();
        Damaged {
            kind,
            case,
            packets: from.iter().map(|&place| self.packets[place].clone()).collect(),
            harmed: (0..self.packets.len())
                .map(|place| !connection_store.contains(&place))
                .collect(),
            from,
        }
    }

    /// Cut to headers where `cut` says so.
    fn headers(&self, kind: &'static str, case: String, cut: impl Fn(usize, &Parsed) -> bool) -> Damaged {
        let mut damaged = self.damaged(kind, case, (0..self.packets.len()).collect());
        for (place, parsed) in self.parsed.iter().enumerate() {
            let Some(parsed) = parsed.as_ref().filter(|parsed| cut(place, parsed)) else {
                continue;
            };
            if let Some(payload) = parsed.payload.clone().filter(|payload| !payload.is_empty()) {
                damaged.packets[place].data.truncate(payload.start);
                damaged.harmed[place] = true;
            }
        }
        damaged
    }

    /// With other times; in the order of these, as when files are merged.
    fn timed(&self, kind: &'static str, case: String, time: impl Fn(usize) -> i64) -> Damaged {
        let mut from: Vec<usize> = (0..self.packets.len()).collect();
        from.sort_by_key(|&place| time(place));
        let mut damaged = self.damaged(kind, case, from);
        for (packet, &place) in damaged.packets.iter_mut().zip(&damaged.from) {
            packet.time = time(place);
        }
        damaged
    }

    /// Every damage, one after the other.
    fn each(&self, mut check: impl FnMut(&Damaged)) {
        let count = self.packets.len();
        let all = || (0..count).collect::<Vec<usize>>();
        for place in 0..count {
            let number = format!("packet {}", place + 1);
            let mut without = all();
            without.remove(place);
            check(&self.damaged("lost", number.clone(), without));
            let mut twice = all();
            twice.insert(place, place);
            check(&self.damaged("doubled", number.clone(), twice));
            let cut = self.headers("cut to headers", number.clone(), |at, _| at == place);
            if !cut.is_complete() {
                check(&cut);
            }
            check(&self.damaged("begins late", number.clone(), (place..count).collect()));
            check(&self.damaged("ends early", number.clone(), (0..place).collect()));
            if place + 1 < count {
                let mut swapped = all();
                swapped.swap(place, place + 1);
                let mut swapped = self.damaged("swapped with the next", number, swapped);
                // The times stay where they were.
                for (packet, original) in swapped.packets.iter_mut().zip(&self.packets) {
                    packet.time = original.time;
                }
                check(&swapped);
            }
        }
        check(&self.headers("all cut to headers", String::new(), |_, _| true));
        let to_lower = |parsed: &Parsed| parsed.source > parsed.destination;
        check(&self.headers(
            "one side cut to headers",
            "of the higher end".to_owned(),
            |_, parsed| to_lower(parsed),
        ));
        check(
            &self.headers("one side cut to headers", "of the lower end".to_owned(), |_, parsed| {
                !to_lower(parsed)
            }),
        );
        for (kind, unit) in [("times in 1 ms", 1_000_000), ("times in 10 ms", 10_000_000)] {
            check(&self.timed(kind, String::new(), |place| self.packets[place].time / unit * unit));
        }
        let back = packets::sent_back(&self.packets);
        for milliseconds in [-5, -1, 1, 5] {
            let case = format!("{milliseconds} ms");
            let time = |place: usize| self.packets[place].time + i64::from(back[place]) * milliseconds * 1_000_000;
            check(&self.timed("one side's clock", case, time));
        }
    }
}

/// How a member of a connection may change.
enum Relation {
    /// The same, or null with its path in `not_visible`.
    SameOrHidden,
    /// As that, and it may say `unclear`.
    Outcome,
    /// As that, but less of it may be there where packets are missing.
    Fewer,
    /// As the first, or of the same kind without the protocol that only the greeting tells.
    Preamble,
    /// A frame: as the first, counted as before the damage; another one where that packet is harmed.
    Frame,
    /// Measured between what is visible, or named by its place: held to nothing here.
    Free,
    /// Counted from bytes: the same while no byte is missing.
    Counted,
}

fn relation(path: &str) -> Relation {
    match path {
        // Made of the first packet, of the place among others, of times, of frame numbers. `service` is made of the server
        // and its name, which are held to their own relation. Machines are labelled in the order of appearance; another
        // test holds them (`machines and closes`). Reasons are explanations, not facts; which control connection an FTP
        // transfer is of hangs on what else is there.
        "id"
        | "number"
        | "started"
        | "offset_seconds"
        | "first"
        | "last"
        | "wireshark"
        | "service"
        | "backend"
        | "cache_domain"
        | "reasons"
        | "ftp"
        | "server_clock_ahead_ms"
        | "not_visible"
        | "inferred"
        | "ticket_ages"
        | "cost.rtt_ms"
        | "cost.handshake_ms" => Relation::Free,
        "cost.handshake_bytes.client" | "cost.handshake_bytes.server" => Relation::Counted,
        "outcome" => Relation::Outcome,
        "preamble" => Relation::Preamble,
        "credentials_issued" | "credentials_offered" => Relation::Fewer,
        _ if path.ends_with("_frame") => Relation::Frame,
        _ => Relation::SameOrHidden,
    }
}

/// The members of a connection by their path. Ends, preambles and lists are one fact each.
fn members(connection: &Value) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let mut open = vec![(String::new(), connection)];
    while let Some((path, value)) = open.pop() {
        match value.as_object() {
            Some(object)
                if matches!(
                    path.as_str(),
                    "" | "close" | "close.client" | "close.server" | "cost" | "cost.handshake_bytes"
                ) =>
            {
                let dot = if path.is_empty() { "" } else { "." };
                open.extend(object.iter().map(|(name, value)| (format!("{path}{dot}{name}"), value)));
            }
            _ => {
                found.insert(path, value.clone());
            }
        }
    }
    found
}

/// Whether the path, or one that it stands in, is said not to be visible.
fn is_hidden(connection: &Value, path: &str) -> bool {
    let hidden = &connection["not_visible"];
    let mut path = path;
    loop {
        if hidden.get(path).is_some() {
            return true;
        }
        match path.rsplit_once('.') {
            Some((outer, _)) => path = outer,
            None => return false,
        }
    }
}

fn frame_of(value: &Value) -> Option<usize> {
    usize::try_from(value["frame"].as_u64()?).ok()?.checked_sub(1)
}

/// A connection of a report on the whole, with its packets.
struct Before<'a> {
    value: &'a Value,
    ends: [String; 2],
    packets: Vec<usize>,
}

fn ends_of(connection: &Value) -> [String; 2] {
    let mut ends = [
        common::endpoint(&connection["client"]),
        common::endpoint(&connection["server"]),
    ];
    ends.sort();
    ends
}

fn before<'a>(whole: &'a Value, original: &Original) -> Vec<Before<'a>> {
    let of = |value: &'a Value| {
        let ends = ends_of(value);
        let [first, last] = ["first", "last"].map(|name| frame_of(&value[name]).expect("a frame"));
        let is_its = |place: &usize| {
            original.parsed[*place].as_ref().is_some_and(|parsed| {
                let mut both = [parsed.source.to_string(), parsed.destination.to_string()];
                both.sort();
                both == ends
            })
        };
        Before {
            value,
            packets: (first..=last).filter(is_its).collect(),
            ends,
        }
    };
    // What changes a datagram is another matter: packets are told apart here by their TCP headers.
    let connections = items(whole, "connections").iter();
    connections
        .filter(|value| value["transport"] == "tcp")
        .map(of)
        .collect()
}

/// Violations by member and kind of damage: how many, and the first.
type Found = BTreeMap<(String, &'static str), (u64, String)>;

struct Check<'a> {
    fixture: &'a Fixture,
    original: &'a Original,
    before: Vec<Before<'a>>,
    /// One of its connections has two addresses: its halves are one only while both show it.
    in_parts: bool,
    found: Found,
}

impl Check<'_> {
    fn note(&mut self, member: &str, damaged: &Damaged, what: &str) {
        let (count, _) = self
            .found
            .entry((member.to_owned(), damaged.kind))
            .or_insert_with(|| (0, format!("{}, {}: {what}", self.fixture.name, damaged.case)));
        *count += 1;
    }

    fn one(&mut self, damaged: &Damaged) {
        let report = report_of_bytes(vec![packets::write(&damaged.packets)]);
        let lenient = self.in_parts || self.fixture.truth.lenient;
        let mut times = vec![0_u32; self.before.len()];
        for after in items(&report, "connections")
            .iter()
            .filter(|value| value["transport"] == "tcp")
        {
            let first = damaged.from[frame_of(&after["first"]).expect("a frame")];
            let ends = ends_of(after);
            let origin = self
                .before
                .iter()
                .position(|before| before.ends == ends && before.packets.contains(&first));
            match origin {
                Some(origin) => {
                    times[origin] += 1;
                    self.connection(damaged, origin, after);
                }
                None if lenient => {}
                None => self.note("(connection invented)", damaged, &ends.join(" ")),
            }
        }
        for (index, times) in times.into_iter().enumerate() {
            let before = &self.before[index];
            // Of a connection that lost most of what it carried nothing may be left that is TLS.
            let carries = |place: &&usize| {
                let payload = self.original.parsed[**place]
                    .as_ref()
                    .and_then(|parsed| parsed.payload.as_ref());
                payload.is_some_and(|payload| !payload.is_empty())
            };
            let carrying = before.packets.iter().filter(carries);
            let (harmed, whole): (Vec<&usize>, Vec<&usize>) = carrying.partition(|place| damaged.harmed[**place]);
            let ends = before.ends.join(" ");
            if times == 0 && harmed.len() < whole.len() && !lenient {
                self.note("(connection missing)", damaged, &ends);
            } else if times > 1 && !lenient {
                self.note("(connection in parts)", damaged, &ends);
            }
        }
    }

    fn connection(&mut self, damaged: &Damaged, origin: usize, after: &Value) {
        let value = self.before[origin].value;
        let (old, new) = (members(value), members(after));
        // Answers from another address are of a connection only where its SYN stands in front of them.
        if self.in_parts && new["tls_version"].is_null() {
            return;
        }
        // Joined after its hellos, a connection has no proof of who is the client: then nothing is told of either side.
        if old["client"] != new["client"] {
            if is_hidden(after, "offered") && new["tls_version"].is_null() {
                return;
            }
            self.note(
                "client",
                damaged,
                &format!("was {}, is {}", old["client"], new["client"]),
            );
            return;
        }
        let paths: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for path in paths {
            let [was, is] = [&old, &new].map(|members| members.get(path).unwrap_or(&Value::Null));
            if is_hidden(value, path) {
                continue;
            }
            if let Some(what) = violation(path, was, is, is_hidden(after, path), self.original, damaged) {
                let ends = self.before[origin].ends.join(" ");
                let member = match what {
                    Violation::Other => path.clone(),
                    Violation::Lost => format!("{path} (hidden without loss)"),
                };
                self.note(&member, damaged, &format!("{ends} was {was}, is {is}"));
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Violation {
    /// Something else is stated, or its absence.
    Other,
    /// It is said not to be visible although every byte is there.
    Lost,
}

fn violation(
    path: &str,
    was: &Value,
    is: &Value,
    hidden: bool,
    original: &Original,
    damaged: &Damaged,
) -> Option<Violation> {
    let complete = damaged.is_complete();
    let excused = match relation(path) {
        Relation::Free => true,
        Relation::SameOrHidden => is == was || told_less_surely(was, is),
        // What the server decided stands until the handshake is seen to fail, and one that fails is not refused unless the
        // refusing flight is seen.
        Relation::Outcome => {
            let goes_on = was == "failed" && damaged.kind == "ends early" && is != "declined";
            let fails = was == "declined" && is == "failed" && !complete;
            is == was || is == "unclear" && !complete || goes_on || fails
        }
        Relation::Preamble => is == was || !complete && is_general(is, was),
        Relation::Fewer => is == was || !complete && is_part(is, was),
        Relation::Counted => is == was || !complete,
        Relation::Frame => match (frame_of(was), frame_of(is)) {
            // What stands in two packets that change places is whole with the later one still.
            (Some(was), Some(is)) if was == is && damaged.kind == "swapped with the next" => true,
            (Some(was), Some(is)) => damaged.harmed[was] || original.are_copies(was, damaged.from[is]),
            // A later frame of what was not in a frame before would be of another kind.
            (was, is) => was == is,
        },
    };
    let untold = is.is_null() || is.as_array().is_some_and(Vec::is_empty);
    let hidden = hidden && untold;
    if excused || hidden && !complete {
        return None;
    }
    Some(if hidden { Violation::Lost } else { Violation::Other })
}

/// What was read is concluded now.
fn told_less_surely(was: &Value, is: &Value) -> bool {
    was == "observed" && is == "inferred"
}

/// "starttls" of "imap-starttls", and "clear-text" of all that is none of a proxy.
fn is_general(is: &Value, was: &Value) -> bool {
    let [is, was] = [is, was].map(|value| value["kind"].as_str().unwrap_or_default());
    was.ends_with(&format!("-{is}")) || is == "clear-text" && !was.starts_with("proxy")
}

fn is_part(is: &Value, was: &Value) -> bool {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let was = list(was);
    list(is).iter().all(|one| was.contains(one))
}

fn check(fixture: &Fixture) -> Found {
    let packets = packets::read(fixture.path());
    let original = Original {
        parsed: packets::parse(&packets),
        packets,
    };
    let whole = report_of_bytes(vec![packets::write(&original.packets)]);
    let mut check = Check {
        fixture,
        original: &original,
        before: before(&whole, &original),
        in_parts: fixture
            .truth
            .connections
            .iter()
            .any(|truth| truth.answers_from.is_some()),
        found: Found::new(),
    };
    check.original.each(|damaged| check.one(damaged));
    check.found
}

/// The violations of all these fixtures, found on two threads.
fn over(fixtures: &[Fixture]) -> Found {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let work = || {
        let mut all = Found::new();
        while let Some(fixture) = fixtures.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
            add(&mut all, check(fixture));
        }
        all
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(work);
        let mut all = work();
        add(&mut all, other.join().expect("no panic in the other thread"));
        all
    })
}

fn add(all: &mut Found, more: Found) {
    for (group, (count, example)) in more {
        all.entry(group).or_insert((0, example)).0 += count;
    }
}

fn table(found: &Found) -> String {
    let mut text = String::new();
    for ((member, kind), (count, example)) in found {
        writeln!(text, "{count:6}  {member} · {kind}\n        {example}").expect("a string");
    }
    text
}

#[test]
#[allow(clippy::print_stdout, reason = "the table is what such a run is for")]
fn damage_leaves_every_fact_or_hides_it() {
    let wanted = std::env::var("DAMAGE").ok();
    let is_chosen = |fixture: &Fixture| match wanted.as_deref() {
        None | Some("") => CHOICE.contains(&fixture.name.as_str()),
        Some("all") => !fixture.truth.no_times,
        // One of so many.
        Some(part) if part.starts_with("1/") => chance(&fixture.name).is_multiple_of(part[2..].parse().expect("1/N")),
        Some(part) => fixture.name.contains(part),
    };
    let fixtures: Vec<Fixture> = single_files().into_iter().filter(is_chosen).collect();
    assert!(!fixtures.is_empty(), "no fixture is called so");
    let mut found = over(&fixtures);
    if wanted.is_some() {
        println!("{} fixtures\n{}", fixtures.len(), table(&found));
    }
    let stale = |(member, kinds): &(&str, &[&str])| {
        let is_gone = |kind: &&&str| !found.keys().any(|(known, of)| known == member && of == *kind);
        let gone: Vec<_> = kinds.iter().filter(is_gone).copied().collect();
        (!gone.is_empty()).then(|| format!("{member}: {}", gone.join(", ")))
    };
    if wanted.is_some() {
        let gone: Vec<String> = OPEN.iter().filter_map(stale).collect();
        println!("listed as open and not found here:\n{}", gone.join("\n"));
    }
    let lists = || UNAVOIDABLE.iter().chain(OPEN);
    found.retain(|(member, kind), _| !lists().any(|(known, kinds)| known == member && kinds.contains(kind)));
    assert!(
        found.is_empty(),
        "{} kinds of violation:\n{}",
        found.len(),
        table(&found)
    );
}

/// The same in every run.
fn chance(name: &str) -> u64 {
    common::Random::seeded(name, 15).below(1 << 20) as u64
}

/// The comparison itself must be able to fail.
#[test]
fn each_relation_can_be_violated() {
    let original = Original {
        packets: vec![
            RawPacket {
                time: 0,
                link: 1,
                data: vec![0],
                original_len: 1
            };
            3
        ],
        parsed: vec![None; 3],
    };
    let complete = original.damaged("doubled", String::new(), vec![0, 1, 1, 2]);
    let lossy = original.damaged("lost", String::new(), vec![0, 2]);
    let violation = |path: &str, was: &Value, is: &Value, hidden: bool, damaged: &Damaged| {
        violation(path, was, is, hidden, &original, damaged)
    };
    let (a, b, null) = (&Value::from("a"), &Value::from("b"), &Value::Null);
    let other = Some(Violation::Other);
    assert_eq!(violation("alpn", a, a, false, &lossy), None);
    assert_eq!(violation("alpn", a, b, true, &lossy), other);
    assert_eq!(violation("alpn", a, null, false, &lossy), other);
    assert_eq!(violation("alpn", null, a, false, &lossy), other);
    assert_eq!(violation("alpn", a, null, true, &lossy), None);
    assert_eq!(violation("alpn", a, null, true, &complete), Some(Violation::Lost));
    assert_eq!(
        violation(
            "offered",
            &Value::from(vec!["psk"]),
            &Value::Array(Vec::new()),
            true,
            &lossy
        ),
        None
    );
    let unclear = &Value::from("unclear");
    assert_eq!(violation("outcome", a, unclear, true, &lossy), None);
    assert_eq!(violation("outcome", a, unclear, true, &complete), other);
    assert_eq!(violation("outcome", a, b, false, &lossy), other);
    let (one, two) = (&Value::from(vec!["k1"]), &Value::from(vec!["k1", "k2"]));
    assert_eq!(violation("credentials_issued", two, one, false, &lossy), None);
    assert_eq!(violation("credentials_issued", two, one, false, &complete), other);
    assert_eq!(violation("credentials_issued", one, two, false, &lossy), other);
    let kind = |kind: &str| serde_json::json!({"kind": kind, "client": null});
    assert_eq!(
        violation("preamble", &kind("imap-starttls"), &kind("starttls"), false, &lossy),
        None
    );
    assert_eq!(
        violation("preamble", &kind("imap-starttls"), &kind("starttls"), false, &complete),
        other
    );
    assert_eq!(
        violation(
            "preamble",
            &kind("imap-starttls"),
            &kind("smtp-starttls"),
            false,
            &lossy
        ),
        other
    );
    let frame = |number: u32| serde_json::json!({"capture": 0, "frame": number});
    let fin = "close.client.fin_frame";
    assert_eq!(violation(fin, &frame(3), &frame(2), false, &lossy), None);
    assert_eq!(violation(fin, &frame(3), &frame(1), false, &lossy), other);
    assert_eq!(
        violation(fin, &frame(2), &frame(1), false, &lossy),
        None,
        "its packet is gone"
    );
    assert_eq!(violation(fin, &frame(3), &frame(4), false, &complete), None);
    assert_eq!(violation(fin, &frame(3), null, false, &lossy), other);
    assert_eq!(violation(fin, null, &frame(1), false, &lossy), other);
    let inner = serde_json::json!({"not_visible": {"close": "gap"}});
    assert!(is_hidden(&inner, fin) && !is_hidden(&inner, "closed"));
}
