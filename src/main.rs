//! The command `reshake`.
use std::io::Write;
fn main() {
    let path = std::env::args().next_back().unwrap_or_default();
    let mut timeline = reshake::source::Timeline::new(vec![reshake::source::open(&path, 0).unwrap()]);
    let mut engine = reshake::engine::Engine::new(reshake::engine::Limits::default());
    while let Some(packet) = timeline.next() {
        engine.push(&packet);
    }
    engine.finish();
    let captures = timeline.captures().cloned().collect();
    let report = reshake::report::Report::of(&engine, captures);
    let mut out = std::io::BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    if std::env::var_os("QUIET").is_none() {
        reshake::report::json::write_document(&report, &mut out).unwrap();
    } else {
        writeln!(out, "{:?} {:?}", report.summary.counts, report.summary.closes).unwrap();
    }
    out.flush().unwrap();
}
