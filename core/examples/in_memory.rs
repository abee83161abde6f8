//! Analyses a classic pcap file held in memory: the outcome of each connection and its first reason.
#![allow(clippy::print_stdout, reason = "an example shows what it found")]

use reshake_core::{Diagnosis, Engine, FrameRef, Limits, LinkType, Packet, Timestamp};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: in_memory CAPTURE.pcap")?;
    let file = std::fs::read(path)?;
    let word = |at: usize| Some(u32::from_le_bytes(*file.get(at..)?.first_chunk()?));
    if word(0) != Some(0xa1b2_c3d4) {
        return Err("not a little-endian pcap file with microseconds".into());
    }
    let link = LinkType(u16::try_from(word(20).ok_or("no header")?)?);
    let mut engine = Engine::new(Limits::default());
    let (mut at, mut frame) = (24, 1);
    while let [Some(seconds), Some(micros), Some(length), Some(original_len)] = [0, 4, 8, 12].map(|n| word(at + n)) {
        let data = file[at + 16..].get(..length as usize).ok_or("cut inside a packet")?;
        engine.push(&Packet {
            frame: FrameRef::new(0, frame),
            time: Timestamp::from_nanos((i64::from(seconds) * 1_000_000 + i64::from(micros)) * 1_000),
            link,
            interface: 0,
            data,
            original_len,
        });
        (at, frame) = (at + 16 + data.len(), frame + 1);
    }
    engine.finish();
    let diagnosis = Diagnosis::of(&engine);
    for (id, connection) in diagnosis.connections() {
        let reasons = diagnosis.reasons(id);
        let why = reasons.first().map_or("", |judged| judged.reason.name);
        let outcome = connection.outcome.code();
        println!("{} → {}  {outcome}  {why}", connection.client, connection.server);
    }
    Ok(())
}
