//! Attacks by number: connections that are opened and left, that hold back as much as they can, or that all end at once.

use super::{MB, alone, count, peak, wire};
use crate::common::forge::{
    ACK, RST, SYN, Segment, Wire, client_hello, client_side, extensions, full_answer, server_name,
};
use crate::common::{items, report_of, text as member};
use reshake::model::Report;
use reshake::render::text::{self, TextOptions};
use reshake_core::engine::{Engine, FlowLimits, Limits};
use reshake_core::net::capture::CaptureFormat;
use reshake_core::net::{Capture, Notice};

fn limited(limits: Limits) -> Wire {
    Wire::new(Engine::new(limits))
}

fn syn(number: u32) -> Segment<'static> {
    Segment {
        number,
        to_server: true,
        flags: SYN,
        seq: 999,
        ack: 0,
        payload: &[],
    }
}

fn honest(random: u32, name: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let hello = client_hello(
        random,
        &[],
        &[0xc02f],
        &extensions(&[(0, &server_name(name)), (35, &[])]),
    );
    (client_side(&hello, true), full_answer(random, &[]))
}

/// The connections of a report by server name, with their outcomes.
fn told(engine: Engine) -> Vec<(String, String)> {
    let report = report_of((engine, Vec::new()));
    let word = |value: &serde_json::Value, name| member(value, name).unwrap_or_default().to_owned();
    items(&report, "connections")
        .iter()
        .map(|connection| (word(connection, "server_name"), word(connection, "outcome")))
        .collect()
}

/// A million SYNs against a limit of twenty thousand: so many connections are held and no more, each eviction is counted,
/// and an honest connection in the middle of it is told.
#[test]
fn a_million_syns_hold_no_more_than_the_limit() {
    let _alone = alone();
    let open_flows = 20_000;
    let ((engine, others), peak) = peak(|| {
        let mut wire = limited(Limits {
            flows: FlowLimits {
                open_flows,
                ..FlowLimits::default()
            },
            ..Limits::default()
        });
        for number in 0..1_000_000 {
            wire.send(&syn(number));
            if number == 500_000 {
                let (client, server) = honest(1, b"honest.example");
                wire.exchange(2_000_000, &client, &server);
            }
        }
        let engine = wire.finish();
        let others = engine.other_connections();
        (engine, others)
    });
    assert_eq!(others, 1_000_000, "each SYN is a connection without TLS");
    assert!(count(&engine, Notice::FlowEvicted) >= 1_000_000 - 20_001);
    // A quarter of a kilobyte for a connection, and what is remembered of those that are gone.
    assert!(peak < open_flows * 256 + 32 * MB, "{peak} bytes at the peak");
    assert_eq!(told(engine), [("honest.example".to_owned(), "not-offered".to_owned())]);
}

/// A million SYNs that nobody answers, all open at once: each takes a quarter of what a connection takes.
#[test]
fn a_million_connections_of_one_syn_fit_into_half_a_gigabyte() {
    let _alone = alone();
    let (engine, peak) = peak(|| {
        let mut wire = wire();
        (0..1_000_000).for_each(|number| wire.send(&syn(number)));
        wire.finish()
    });
    assert_eq!(engine.other_connections(), 1_000_000);
    assert_eq!(count(&engine, Notice::FlowEvicted), 0);
    assert!(peak < 512 * MB, "{peak} bytes at the peak");
}

/// The same SYN a million times is one connection.
#[test]
fn one_syn_a_million_times_is_one_connection() {
    let _alone = alone();
    let (engine, peak) = peak(|| {
        let mut wire = wire();
        (0..1_000_000).for_each(|_| wire.send(&syn(1)));
        wire.finish()
    });
    assert_eq!(engine.other_connections(), 1);
    assert!(peak < MB, "{peak} bytes at the peak");
}

/// Connections that are all reset in one moment linger together; the limit holds among them too.
#[test]
fn connections_that_all_end_at_once_are_bounded() {
    let _alone = alone();
    let open_flows = 5_000;
    let (engine, peak) = peak(|| {
        let mut wire = limited(Limits {
            flows: FlowLimits {
                open_flows,
                ..FlowLimits::default()
            },
            ..Limits::default()
        });
        let moment = wire.now;
        for number in 0..200_000 {
            wire.connect(number);
            wire.send(&Segment {
                flags: RST | ACK,
                seq: 1000,
                ack: 2000,
                ..syn(number)
            });
            wire.now = moment;
        }
        wire.finish()
    });
    assert_eq!(engine.other_connections(), 200_000);
    assert!(peak < open_flows * 1024 + 32 * MB, "{peak} bytes at the peak");
}

/// Connections that hold back as much as one may, out of order behind a hole that is never filled: together they stay
/// within their budget, and the report says that some were ended for it.
#[test]
fn what_all_connections_hold_back_together_is_bounded() {
    let _alone = alone();
    let budget = 8 * MB;
    let ((engine, most), peak) = peak(|| {
        let mut wire = limited(Limits {
            buffered_bytes: budget,
            ..Limits::default()
        });
        let mut most = 0;
        for number in 0..500 {
            wire.connect(number);
            wire.stream(number, true, 1001, &vec![0; 200_000], 1400);
            most = most.max(wire.engine.buffered());
        }
        let (client, server) = honest(1, b"honest.example");
        wire.exchange(1_000, &client, &server);
        (wire.finish(), most)
    });
    assert!(most <= budget, "{most} bytes were held back");
    assert!(peak < budget + 8 * MB, "{peak} bytes at the peak");
    assert!(count(&engine, Notice::FlowEvicted) > 400, "those that hoard go");
    assert_eq!(told(engine), [("honest.example".to_owned(), "not-offered".to_owned())]);
}

/// The same with handshake messages that never end, each of nearly the greatest length.
#[test]
fn unfinished_messages_of_all_connections_are_bounded() {
    let _alone = alone();
    let budget = 4 * MB;
    let (engine, peak) = peak(|| {
        let mut wire = limited(Limits {
            buffered_bytes: budget,
            ..Limits::default()
        });
        let endless = [&[1, 1, 0xf0, 0, 3, 3][..], &vec![0; 100_000]].concat();
        for number in 0..200 {
            wire.connect(number);
            wire.stream(number, true, 1000, &crate::common::forge::records(22, &endless), 1400);
        }
        wire.finish()
    });
    assert!(peak < budget + 4 * MB, "{peak} bytes at the peak");
    assert!(count(&engine, Notice::FlowEvicted) > 100);
}

/// Millions of services, each with one connection that is folded away: no more of them are told apart than the limit,
/// and the summary counts the rest.
#[test]
fn folded_services_are_bounded_and_counted() {
    use reshake_core::store::MAX_EVICTED_NAME;
    let _alone = alone();
    let ((engine, expected), peak) = peak(|| {
        let mut wire = limited(Limits {
            kept_bytes: 2 * MB,
            ..Limits::default()
        });
        let connections = 400;
        for number in 0..connections {
            let mut name = vec![b'a'; 30_000];
            name.extend(number.to_string().into_bytes());
            let (client, server) = honest(number, &name);
            wire.exchange(number, &client, &server);
            // Past the time that a closed connection lingers.
            wire.now += 2_000_000_000;
        }
        (wire.finish(), u64::from(connections))
    });
    let connection_store = engine.connection_store();
    let elsewhere = connection_store.evicted_elsewhere().total();
    assert!(
        elsewhere > 300,
        "names beyond {MAX_EVICTED_NAME} bytes make no service: {elsewhere}"
    );
    assert_eq!(connection_store.evicted().count(), 0);
    assert_eq!(
        connection_store.evicted_total() + connection_store.len() as u64,
        expected
    );
    assert!(connection_store.bytes() <= 2 * MB);
    // The names that are shared may take 16 MB, and those in the report that is not written yet none.
    assert!(peak < 24 * MB, "{peak} bytes at the peak");
    let report = report_of((engine, vec![Capture::new("nothing", CaptureFormat::Pcap)]));
    let counted = report["summary"]["outcomes"]["not-offered"].as_u64();
    assert_eq!(counted, Some(expected));
    let notices = items(&report["captures"][0], "notices");
    assert!(
        notices.iter().any(|notice| notice["code"] == "services-not-kept"),
        "{notices:?}"
    );
}

/// Tens of thousands of services, each of one connection: what is kept of them, told apart of what was folded, and said in
/// the report stays within the memory that was given, and whatever is not told apart is counted.
#[test]
fn a_limit_of_memory_holds_for_services_and_for_what_the_report_says_of_them() {
    let _alone = alone();
    let memory = 16 * MB;
    let connections = 30_000;
    let ((counted, told, elsewhere), peak) = peak(|| {
        let mut wire = limited(Limits::within(memory));
        for number in 0..connections {
            let (client, server) = honest(number, format!("s{number}.example").as_bytes());
            wire.exchange(number, &client, &server);
            // Past the time that a closed connection lingers.
            wire.now += 2_000_000_000;
        }
        let engine = wire.finish();
        let report = Report::of(&engine, vec![Capture::new("nothing", CaptureFormat::Pcap)]);
        let services = report.services.iter();
        let told: u64 = services.map(|service| service.counts.outcomes.total()).sum();
        let elsewhere = engine.connection_store().evicted_elsewhere().total();
        let notices = &report.captures[0].notices;
        assert_eq!(notices.count(Notice::ServicesNotKept), elsewhere);
        let mut page = Vec::new();
        text::write(&report, TextOptions::default(), &mut page).expect("written to memory");
        let page = String::from_utf8(page).expect("UTF-8");
        assert!(page.contains(" services that were told apart\n"), "{page}");
        assert!(!page.contains("\nall "), "{page}");
        (report.summary.counts.outcomes.total(), told, elsewhere)
    });
    assert_eq!((counted, told + elsewhere), (connections.into(), connections.into()));
    assert!(told > 2_000 && elsewhere > 20_000, "{told} told apart, {elsewhere} not");
    assert!(peak < memory, "{peak} bytes at the peak");
}
