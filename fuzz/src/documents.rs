//! Texts that come from elsewhere: facts of other runs, rules of `check`, reports to compare with.

use std::hint::black_box;

use reshake::check::{Rules, show};
use reshake::diff::{Diff, DiffSide};
use reshake::facts::{self, Fact, FactsPlace, FactsReader};
use reshake::model::Report;
use reshake::render::json;
use reshake_core::engine::{Joining, Limits, Shard};

/// Facts of one or several runs: whatever lines are taken, written again they are the same facts, and joined they are a
/// report.
pub fn joined(data: &[u8]) {
    let shards = shards_of(data);
    // Behind the first the frames of a run count the captures of those before it.
    let Some(first) = shards.first() else { return };
    let once = written(first);
    let again: Vec<u8> = shards_of(&once).iter().flat_map(written).collect();
    assert_eq!(
        String::from_utf8_lossy(&again),
        String::from_utf8_lossy(&once),
        "facts that are written and read are others"
    );
    let mut joining = Joining::new(Limits::default());
    for shard in shards {
        joining.begin(shard);
    }
    let (engine, captures) = joining.finish();
    let mut out = Vec::new();
    json::write_document(&Report::of(&engine, captures), &mut out).expect("written to memory");
    serde_json::from_slice::<serde_json::Value>(&out).expect("a report is JSON");
}

fn shards_of(lines: &[u8]) -> Vec<Shard> {
    let (mut reader, mut place) = (FactsReader::default(), FactsPlace::default());
    let mut shards: Vec<Shard> = Vec::new();
    for line in lines.split(|byte| *byte == b'\n') {
        match black_box(reader.read(&mut place, line)) {
            Ok(Some(Fact::Run(shard))) => shards.push(shard),
            Ok(Some(Fact::Connection(run, fact))) => shards[run].connections.push(fact),
            Ok(Some(Fact::Other(run, connection))) => shards[run].strays.push(*connection),
            Ok(None) | Err(_) => {}
        }
    }
    shards
}

fn written(shard: &Shard) -> Vec<u8> {
    let mut out = Vec::new();
    facts::write(shard, &mut out).expect("written to memory");
    out
}

/// A file of rules, or where the first byte is odd a report to compare with: rules that are shown are the same rules when
/// they are read; a report does not differ from itself.
pub fn rules(data: &[u8]) {
    let Some((&which, text)) = data.split_first() else {
        return;
    };
    if which & 1 == 1 {
        let Ok(side) = DiffSide::parse("before.json", text) else {
            return;
        };
        black_box(side.baseline());
        black_box(Diff::between(&side, &side));
        return;
    }
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Some(rules) = rules_of(text) else { return };
    let shown = show(&rules);
    let again = rules_of(&shown).unwrap_or_else(|| panic!("what is shown cannot be read:\n{shown}"));
    assert_eq!(without_origins(&show(&again)), without_origins(&shown), "other rules");
}

fn rules_of(text: &str) -> Option<Rules> {
    let mut rules = Rules::default();
    rules.add_file("rules.toml", text, &|_| Ok(())).ok()?;
    rules.finish().ok()
}

fn without_origins(shown: &str) -> Vec<&str> {
    let lines = shown.lines();
    lines
        .map(|line| line.rsplit_once(" # ").map_or(line, |(entry, _)| entry.trim_end()))
        .collect()
}
