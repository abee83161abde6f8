//! Facts of several runs that take more memory than they may: they are joined in parts, and no connection is invented.

use std::ops::ControlFlow;

use crate::common::joined::facts_of;
use crate::common::packets::{RawPacket, read, sent_back, write};
use crate::common::{root, source_of_bytes};
use reshake::run::{self, Run, RunOptions};
use reshake_core::engine::Limits;
use reshake_core::net::Notice;

const CONNECTIONS: u64 = 400;
/// Less than half of this waits: some ninety sightings.
const LITTLE: usize = 256 << 10;

/// What two sensors saw of a farm, each the packets of one direction.
fn halves() -> [Vec<u8>; 2] {
    let all = read(&root().join("fixtures/farms/three-backends-by-ttl/capture.pcapng.zst"));
    let back = sent_back(&all);
    [false, true].map(|direction| {
        let mine = all.iter().zip(&back).filter(|(_, back)| **back == direction);
        let mine: Vec<RawPacket> = mine.map(|(packet, _)| packet.clone()).collect();
        facts_of(vec![source_of_bytes("half", write(&mine), 0).expect("a capture")])
    })
}

/// A run over these files, of which so many bytes of finished connections are kept.
fn over(files: &[Vec<u8>], kept_bytes: usize) -> Run {
    let folder = tempfile::tempdir().expect("a folder");
    let paths: Vec<_> = (0..files.len())
        .map(|number| folder.path().join(number.to_string()))
        .collect();
    for (path, lines) in paths.iter().zip(files) {
        std::fs::write(path, lines).expect("written");
    }
    let options = RunOptions {
        limits: Limits {
            kept_bytes,
            ..Limits::default()
        },
        ..RunOptions::default()
    };
    let run = run::analyze(&paths, &options, &mut |_| ControlFlow::Continue(()));
    assert!(run.errors.is_empty(), "{:?}", run.errors);
    run
}

/// Connections that are kept or counted, and those that could not wait.
fn counted(run: &Run) -> (u64, u64) {
    let connections = run.engine.connection_store();
    let kept = connections.iter().count() as u64;
    (
        kept + connections.evicted_total(),
        run.engine.notices().count(Notice::FactsJoinedInParts),
    )
}

#[test]
fn what_comes_at_the_same_time_is_put_together_though_little_may_wait() {
    let halves = halves();
    let whole = over(&halves, usize::MAX);
    assert_eq!(counted(&whole), (CONNECTIONS, 0));
    let little = over(&halves, LITTLE);
    let (all, in_parts) = counted(&little);
    assert_eq!(all, CONNECTIONS);
    assert!(in_parts > CONNECTIONS / 2, "{in_parts} could not wait");
    // What is kept is what it would be with more, and the latest.
    let outcome = |run: &Run, client| {
        let connections = run.engine.connection_store();
        connections
            .iter()
            .find_map(|(_, connection)| (connection.client == client).then_some(connection.outcome.code()))
    };
    let kept: Vec<_> = little
        .engine
        .connection_store()
        .iter()
        .map(|(_, it)| it.client)
        .collect();
    assert!(kept.len() > 50 && kept.len() < 350, "{} are kept", kept.len());
    for client in kept {
        assert_eq!(outcome(&little, client), outcome(&whole, client));
    }
}

#[test]
fn one_run_alone_is_taken_in_parts_without_a_word() {
    let all = read(&root().join("fixtures/farms/three-backends-by-ttl/capture.pcapng.zst"));
    let facts = [facts_of(vec![
        source_of_bytes("all", write(&all), 0).expect("a capture"),
    ])];
    assert_eq!(counted(&over(&facts, usize::MAX)), (CONNECTIONS, 0));
    assert_eq!(counted(&over(&facts, LITTLE)), (CONNECTIONS, 0));
    // Lines that come twice count once, wherever their first is by then.
    let (header, lines) = facts[0].split_at(facts[0].iter().position(|byte| *byte == b'\n').expect("a header") + 1);
    let each_twice: Vec<u8> = lines
        .split_inclusive(|byte| *byte == b'\n')
        .flat_map(|line| [line, line])
        .flatten()
        .copied()
        .collect();
    assert_eq!(
        counted(&over(&[[header, &each_twice].concat()], LITTLE)),
        (CONNECTIONS, 0)
    );
}

#[test]
fn what_comes_when_later_ones_were_joined_is_counted_and_said_to_be() {
    // One file behind the other in one: nothing of the second comes in time.
    let [mut both, second] = halves();
    both.extend(second);
    let whole = over(&[both.clone()], usize::MAX);
    assert_eq!(counted(&whole), (CONNECTIONS, 0));
    let (all, in_parts) = counted(&over(&[both], LITTLE));
    assert!(all > CONNECTIONS && all <= 2 * CONNECTIONS, "{all}");
    assert!(in_parts > CONNECTIONS / 2, "{in_parts} were said to be");
}

#[test]
fn of_no_memory_at_all_nothing_but_counts_come() {
    let halves = halves();
    let none = over(&halves, 0);
    assert!(none.engine.connection_store().iter().count() <= 1);
    let (all, in_parts) = counted(&none);
    assert!(
        (CONNECTIONS..=2 * CONNECTIONS).contains(&all) && in_parts > 0,
        "{all}, {in_parts}"
    );
}
