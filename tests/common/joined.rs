//! Packets that were captured in parts, each of which became facts on its own, and the one report made of them.

use reshake::capture::{Source, Timeline};
use reshake::facts::{self, FactsPlace, FactsReader};
use reshake_core::engine::{Engine, Joining, Limits, Shard};
use serde_json::Value;

use super::packets::{RawPacket, write};
use super::{report_of, source_of_bytes};

/// The facts of one run over these sources.
pub(crate) fn facts_of(sources: Vec<Box<dyn Source>>) -> Vec<u8> {
    let mut timeline = Timeline::new(sources);
    let mut engine = Engine::new(Limits::default());
    engine.keep_joinable();
    while let Some(packet) = timeline.next() {
        engine.push(&packet);
    }
    engine.finish();
    let captures = timeline.captures().cloned().collect();
    let mut out = Vec::new();
    facts::write(&Shard::of(&engine, captures), &mut out).expect("written to memory");
    out
}

/// The report made of facts.
pub(crate) fn judged(files: &[Vec<u8>]) -> Value {
    let (mut reader, mut joining) = (FactsReader::default(), Joining::new(Limits::default()));
    for file in files {
        let mut place = FactsPlace::default();
        for line in file.split(|byte| *byte == b'\n') {
            if let Some(fact) = reader.read(&mut place, line).expect("a fact") {
                fact.enter(0, &mut joining);
            }
        }
    }
    report_of(joining.finish())
}

/// The report on packets that were captured in so many parts, each of which became facts on its own.
pub(crate) fn joined(parts: &[Vec<RawPacket>]) -> Value {
    let facts = |(part, number): (&Vec<RawPacket>, u32)| {
        let source = source_of_bytes(&format!("part-{number}"), write(part), 0);
        facts_of(vec![source.expect("a capture")])
    };
    judged(&parts.iter().zip(0..).map(facts).collect::<Vec<_>>())
}
