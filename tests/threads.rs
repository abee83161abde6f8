//! The report does not depend on the number of threads.

mod common;
#[path = "../benches/support/capture.rs"]
mod generated;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use common::fixtures;
use generated::Plan;
use reshake::report::{Report, json, text};
use reshake::run::{self, Options};

/// The report as JSON and as text, made by so many threads.
fn report(inputs: &[String], keylogs: &[String], threads: usize) -> (String, String) {
    let options = Options {
        keylogs: keylogs.to_vec(),
        threads,
        ..Options::default()
    };
    let run = run::analyze(inputs, &options, &mut |_| ControlFlow::Continue(()));
    let report = Report::with_threads(&run.engine, run.captures, None, threads);
    let (mut document, mut told) = (run.warnings.join("\n").into_bytes(), Vec::new());
    json::write_document(&report, &mut document).expect("written to memory");
    let options = text::Options {
        coloured: false,
        all: true,
    };
    text::write(&report, options, &mut told).expect("written to memory");
    let utf8 = |bytes| String::from_utf8(bytes).expect("a report is UTF-8");
    (utf8(document), utf8(told))
}

fn check(name: &str, inputs: &[PathBuf], keylogs: &[PathBuf]) {
    let strings = |paths: &[PathBuf]| -> Vec<String> {
        let string = |path: &PathBuf| path.to_str().expect("a UTF-8 path").to_owned();
        paths.iter().map(string).collect()
    };
    let (inputs, keylogs) = (strings(inputs), strings(keylogs));
    let alone = report(&inputs, &keylogs, 1);
    for threads in [2, 3] {
        let shared = report(&inputs, &keylogs, threads);
        assert!(alone == shared, "{name}: {threads} threads report something else");
    }
}

#[test]
fn every_fixture_gives_the_same_report_whatever_the_number_of_threads() {
    let fixtures = fixtures();
    assert!(fixtures.len() > 100, "{} fixtures", fixtures.len());
    for fixture in &fixtures {
        let keylog = fixture.paths[0].with_file_name("keylog.txt");
        let keylogs = if keylog.exists() { vec![keylog] } else { Vec::new() };
        check(&fixture.name, &fixture.paths, &keylogs);
    }
}

#[test]
fn all_fixtures_in_one_run_give_the_same_report_whatever_the_number_of_threads() {
    let inputs: Vec<PathBuf> = fixtures().iter().flat_map(|fixture| fixture.paths.clone()).collect();
    check("all fixtures", &inputs, &[]);
}

fn generate(folder: &Path, plan: &Plan) -> (PathBuf, generated::Truth) {
    let path = folder.join("generated.pcap");
    let mut file = std::fs::File::create(&path).expect("a temporary file");
    let mut bytes = Vec::new();
    let truth = generated::write(plan, &mut bytes).expect("written to memory");
    std::io::Write::write_all(&mut file, &bytes).expect("written");
    (path, truth)
}

#[test]
fn thousands_of_connections_give_the_same_report_whatever_the_number_of_threads() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = Plan {
        connections: 9_000,
        open: 200,
        bytes: 3_000,
        clients: 900,
        servers: 5,
        pace: 20_000,
        seed: 5,
    };
    let (path, _) = generate(folder.path(), &plan);
    check("generated", &[path], &[]);
}

#[test]
fn generated_captures_are_what_their_truth_says() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = Plan {
        connections: 2_000,
        open: 50,
        bytes: 20_000,
        clients: 200,
        servers: 5,
        pace: 20_000,
        seed: 9,
    };
    let (path, truth) = generate(folder.path(), &plan);
    let inputs = [path.to_str().expect("a UTF-8 path").to_owned()];
    let run = run::analyze(&inputs, &Options::default(), &mut |_| ControlFlow::Continue(()));
    assert_eq!(run.captures[0].packets, truth.packets);
    let outcomes = Report::of(&run.engine, run.captures).summary.counts.outcomes;
    assert_eq!(
        (outcomes.resumed, outcomes.declined, outcomes.not_offered),
        (truth.resumed, truth.declined, truth.not_offered)
    );
    assert!(
        truth.resumed > 100 && truth.declined > 100 && truth.not_offered > 100,
        "{truth:?}"
    );
    assert_eq!(outcomes.total(), truth.connections);
}
