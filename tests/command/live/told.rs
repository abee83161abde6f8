//! What a run tells of every fixture while it goes on, against what it finds in the end.

use std::collections::{HashMap, HashSet};

use reshake::capture::Timeline;
use reshake::model::Report;
use reshake_core::engine::{Engine, Limits, TlsEvent};
use reshake_core::net::{Capture, Timestamp};
use reshake_core::session::{CloseClass, Completed, Connection, ConnectionId, Outcome, Seen};
use serde_json::Value;

use crate::common::{Fixture, fixtures, report_of, sources};

/// A run that is watched: what was told at each handshake, and who was told to be over.
fn watched(fixture: &Fixture, each: &mut dyn FnMut(&mut Engine, Timestamp)) -> (Engine, Vec<Capture>, Told) {
    let mut timeline = Timeline::new(sources(&fixture.paths));
    let mut engine = Engine::new(Limits::default());
    engine.watch();
    let mut told = Told::default();
    while let Some(packet) = timeline.next() {
        engine.push(&packet);
        let time = packet.time;
        told.take(&mut engine);
        each(&mut engine, time);
        told.take(&mut engine);
    }
    engine.finish();
    told.take(&mut engine);
    let captures = timeline.captures().cloned().collect();
    (engine, captures, told)
}

#[derive(Default)]
struct Told {
    handshakes: HashMap<ConnectionId, Outcome>,
    closed: HashSet<ConnectionId>,
}

impl Told {
    fn take(&mut self, engine: &mut Engine) {
        while let Some(event) = engine.poll() {
            match event {
                TlsEvent::Handshake(id) => {
                    let connection = engine.connection_store().get(id).expect("it is kept");
                    let before = self.handshakes.insert(id, connection.outcome);
                    assert!(before.is_none(), "a handshake was told twice");
                    assert!(!self.closed.contains(&id), "a handshake was told after the end");
                }
                TlsEvent::Closed(id) => assert!(self.closed.insert(id), "an end was told twice"),
            }
        }
    }
}

/// Other legs are known as such only in the end.
fn both_legs(fixture: &Fixture) -> bool {
    let (engine, _) = fixture.run(Limits::default());
    engine.notices().count(reshake_core::net::Notice::LegJoined) > 0
}

#[test]
fn what_is_told_at_a_handshake_never_changes() {
    let mut compared = 0;
    for fixture in fixtures() {
        let legs = both_legs(&fixture);
        let (engine, _, told) = watched(&fixture, &mut |_, _| ());
        for (id, connection) in engine.connection_store().iter() {
            assert!(told.closed.contains(&id), "{}: an end was not told", fixture.name);
            let Some(outcome) = told.handshakes.get(&id) else {
                let seen = connection.hello.yes().is_some() && connection.answer.yes().is_some();
                let decided = seen && matches!(connection.completed, Completed::Yes);
                assert!(!decided, "{}: a handshake was not told", fixture.name);
                continue;
            };
            // But for what was unclear until later hellos of the client settled it: that is told anew, as `settled`.
            let settled = engine.was_settled(id) && matches!(outcome, Outcome::Unclear(_));
            assert!(
                settled || *outcome == connection.outcome,
                "{}: an outcome changed",
                fixture.name
            );
            compared += 1;
        }
        assert!(
            legs || told.closed.len() == engine.connection_store().len(),
            "{}",
            fixture.name
        );
    }
    assert!(compared > 500, "only {compared} handshakes were compared");
}

#[test]
fn nothing_is_told_of_a_handshake_while_its_records_wait_for_keys() {
    let mut compared = 0;
    for fixture in fixtures()
        .into_iter()
        .filter(|fixture| fixture.folder().starts_with("keys-"))
    {
        // Nobody brings the keys: what waits is closed in the end, and what was told must still hold.
        let (engine, _, told) = watched(&fixture, &mut |engine, _| engine.expect_keys());
        for (id, connection) in engine.connection_store().iter() {
            if let Some(outcome) = told.handshakes.get(&id) {
                assert_eq!(*outcome, connection.outcome, "{}: an outcome changed", fixture.name);
            }
            compared += 1;
        }
    }
    assert!(compared > 50, "only {compared} connections were compared");
}

#[test]
fn a_look_at_records_that_wait_for_keys_finds_them_closed_and_not_missing() {
    for fixture in fixtures()
        .into_iter()
        .filter(|fixture| fixture.folder().starts_with("keys-"))
    {
        let mut timeline = Timeline::new(sources(&fixture.paths));
        let mut engine = Engine::new(Limits::default());
        engine.expect_keys();
        while let Some(packet) = timeline.next() {
            engine.push(&packet);
        }
        let outcomes = |engine: &Engine| -> Vec<Outcome> {
            engine
                .connection_store()
                .iter()
                .map(|(_, connection)| connection.outcome)
                .collect()
        };
        let early = outcomes(&engine.snapshot());
        engine.finish();
        assert_eq!(early, outcomes(&engine), "{}", fixture.name);
    }
}

fn document(engine: &Engine, captures: Vec<Capture>) -> Value {
    let mut text = Vec::new();
    let report = Report::of(engine, captures);
    reshake::render::json::write_document(&report, &mut text).expect("a document");
    serde_json::from_slice(&text).expect("JSON")
}

#[test]
fn watching_and_the_passing_of_time_change_no_report() {
    for fixture in fixtures() {
        let plain = report_of(fixture.run(Limits::default()));
        let (engine, captures, _) = watched(&fixture, &mut |engine, time| engine.advance(time));
        assert_eq!(document(&engine, captures), plain, "{}", fixture.name);
    }
}

/// What a snapshot cannot know: keys that nobody claimed, and fragments that wait.
const ONLY_AT_THE_END: &[&str] = &["keys-unused", "keys-too-late", "keys-dropped", "fragments-incomplete"];

#[test]
fn a_snapshot_after_the_last_packet_is_the_report() {
    for fixture in fixtures() {
        let mut timeline = Timeline::new(sources(&fixture.paths));
        let mut engine = Engine::new(Limits::default());
        while let Some(packet) = timeline.next() {
            engine.push(&packet);
        }
        let snapshot = engine.snapshot();
        engine.finish();
        let captures: Vec<Capture> = timeline.captures().cloned().collect();
        let (mut early, mut late) = (document(&snapshot, captures.clone()), document(&engine, captures));
        for report in [&mut early, &mut late] {
            for capture in report["captures"].as_array_mut().expect("captures") {
                let notices = capture["notices"].as_array_mut().expect("notices");
                notices.retain(|notice| !ONLY_AT_THE_END.iter().any(|code| notice["code"] == *code));
                notices.sort_by_key(|notice| notice["code"].to_string());
            }
        }
        assert_eq!(early, late, "{}", fixture.name);
    }
}

#[test]
fn verdicts_say_that_packets_were_lost_by_then() {
    const CLAUSE: &str = "; 3 packets were lost while capturing by then, and may have shown otherwise";
    let fixture = crate::common::fixture("captures/quickstart");
    let lost_after = |packets: u64| {
        let mut seen = 0;
        let (engine, captures, _) = watched(&fixture, &mut |engine, _| {
            seen += 1;
            engine.packets_dropped(if seen > packets { 3 } else { 0 });
        });
        document(&engine, captures)
    };
    let primary = |report: &Value| -> Vec<(String, String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let connections = report["connections"].as_array().expect("connections").iter();
        connections
            .filter_map(|connection| connection["reasons"].as_array()?.first())
            .map(|reason| {
                (
                    text(&reason["name"]),
                    text(&reason["confidence"]),
                    text(&reason["summary"]),
                )
            })
            .collect()
    };
    let first = |told: &[(String, String, String)]| -> Vec<String> {
        let first = told.iter().filter(|(name, ..)| name == "first-in-capture");
        first.map(|(_, confidence, _)| confidence.clone()).collect()
    };
    let nothing = primary(&lost_after(u64::MAX));
    assert_eq!(first(&nothing), ["observed"; 2]);
    assert!(
        nothing.iter().all(|(.., summary)| !summary.contains("lost")),
        "{nothing:?}"
    );
    // From the beginning on: nothing is surely the first of anything any more, and what is concluded says what it lacks.
    let all = primary(&lost_after(0));
    assert_eq!(first(&all), ["possible"; 2]);
    assert!(all.iter().all(|(.., summary)| summary.ends_with(CLAUSE)), "{all:?}");
    // At the end: only what was not over by then.
    let late = primary(&lost_after(200));
    assert!(late.iter().any(|(.., summary)| !summary.contains("lost")), "{late:?}");
}

#[test]
fn what_is_over_for_long_is_only_counted() {
    let fixture = crate::common::fixture("captures/quickstart");
    let mut timeline = Timeline::new(sources(&fixture.paths));
    let mut engine = Engine::new(Limits {
        kept_for: 3_600_000_000_000,
        ..Limits::default()
    });
    let mut last = None;
    while let Some(packet) = timeline.next() {
        engine.push(&packet);
        last = Some(packet.time);
    }
    let last = last.expect("packets");
    let later = |seconds: i64| Timestamp::from_nanos(last.nanos() + seconds * 1_000_000_000);
    engine.advance(later(60));
    assert_eq!(
        (
            engine.connection_store().len(),
            engine.connection_store().evicted_total()
        ),
        (32, 0)
    );
    engine.advance(later(3_700));
    assert_eq!(
        (
            engine.connection_store().len(),
            engine.connection_store().evicted_total()
        ),
        (0, 32)
    );
}

/// Live, whoever waits for packets sees the silence, though none comes of anything.
#[test]
fn a_connection_that_falls_silent_while_nothing_else_comes_has_timed_out() {
    let fixture = crate::common::fixture("captures/open-at-end");
    let timed_out = |minutes: std::ops::RangeInclusive<i64>| {
        let mut timeline = Timeline::new(sources(&fixture.paths));
        let mut engine = Engine::new(Limits::default());
        let mut last = None;
        while let Some(packet) = timeline.next() {
            engine.push(&packet);
            last = Some(packet.time);
        }
        let last = last.expect("packets");
        // Idle connections are looked for now and then.
        for second in (minutes.start() * 60..=minutes.end() * 60).step_by(10) {
            engine.advance(Timestamp::from_nanos(last.nanos() + second * 1_000_000_000));
        }
        let connections = engine.connection_store().iter();
        let silent = |connection: &Connection| connection.close.class == Seen::Yes(CloseClass::TimeoutSilent);
        connections.filter(|(_, connection)| silent(connection)).count()
    };
    assert!(timed_out(1..=90) > 0);
    // Nobody was there for an hour and a half.
    assert_eq!(timed_out(90..=180), 0);
}
