//! What each layer adds on the way from the file to the report, over one generated capture:
//!
//! ```text
//! cargo bench --bench layers
//! ```
//!
//! Each step does everything the step before it does. Wall-clock time, so only as quiet as the machine: compare steps of
//! one run with one another, and leave the judgement of small changes to the counted instructions (tests/instructions.rs).

#[path = "support/capture.rs"]
mod capture;

use std::hint::black_box;
use std::io::{self, Cursor};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use capture::Plan;
use reshake::capture::{Source, from_reader};
use reshake::model::Report;
use reshake::render::{json, text};
use reshake_core::engine::{Engine, Limits};
use reshake_core::net::{Capture, Decoded, FrameDecoder};
use reshake_core::tcp::{FlowLimits, FlowTable};

const PLAN: Plan = Plan {
    connections: 4_000,
    open: 130,
    bytes: 5_000,
    clients: 500,
    servers: 10,
    pace: 20_000,
    seed: 7,
};

fn open(bytes: &'static [u8]) -> Box<dyn Source> {
    let size = u64::try_from(bytes.len()).ok();
    from_reader("generated", Box::new(Cursor::new(bytes)), size, 0).expect("a capture")
}

/// Reads the packets and gives each to `each`.
fn packets(bytes: &'static [u8], mut each: impl FnMut(&reshake_core::net::Packet<'_>)) -> Capture {
    let mut source = open(bytes);
    while let Some(packet) = &source.next() {
        each(packet);
    }
    source.capture().clone()
}

fn analysed(bytes: &'static [u8]) -> (Engine, Vec<Capture>) {
    let mut engine = Engine::new(Limits::default());
    let capture = packets(bytes, |packet| engine.push(packet));
    engine.finish();
    (engine, vec![capture])
}

fn layers(criterion: &mut Criterion) {
    let mut bytes = Vec::new();
    let truth = capture::write(&PLAN, &mut bytes).expect("written to memory");
    let bytes: &'static [u8] = Box::leak(bytes.into_boxed_slice());
    let mut group = criterion.benchmark_group("packets");
    group.sample_size(10).throughput(Throughput::Elements(truth.packets));
    group.bench_function("source", |bencher| {
        bencher.iter(|| packets(bytes, |packet| _ = black_box(packet.data.len())));
    });
    group.bench_function("source, net", |bencher| {
        bencher.iter(|| {
            let mut decoder = FrameDecoder::new();
            packets(bytes, |packet| _ = black_box(decoder.decode(packet)));
        });
    });
    group.bench_function("source, net, stream", |bencher| {
        bencher.iter(|| {
            let (mut decoder, mut table) = (
                FrameDecoder::new(),
                FlowTable::<()>::new(FlowLimits::default(), |_| false),
            );
            packets(bytes, |packet| {
                if let Decoded::Segment(segment) = &decoder.decode(packet) {
                    black_box(table.route(segment, packet.at()));
                }
                while let Some(finished) = table.expire() {
                    table.recycle(finished);
                }
            });
        });
    });
    group.bench_function("source, net, stream, tls, session", |bencher| {
        bencher.iter(|| analysed(bytes));
    });
    group.finish();

    let (engine, captures) = analysed(bytes);
    let mut group = criterion.benchmark_group("connections");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(truth.connections));
    group.bench_function("verdict and counts", |bencher| {
        bencher.iter(|| Report::of(&engine, captures.clone()));
    });
    let report = Report::of(&engine, captures.clone());
    let options = text::TextOptions {
        coloured: false,
        all: false,
    };
    group.bench_function("text", |bencher| {
        bencher.iter(|| text::write(&report, options, &mut io::sink()).expect("written to nowhere"));
    });
    group.bench_function("json", |bencher| {
        bencher.iter(|| json::write_document(&report, &mut io::sink()).expect("written to nowhere"));
    });
    group.finish();
}

criterion_group!(benches, layers);
criterion_main!(benches);
