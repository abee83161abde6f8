//! How much processor time the analysis of a file takes beside a bare read of it.
//!
//! ```text
//! cargo bench --bench ratio -- FILE [ROUNDS]
//! ```
//!
//! Each round reads the file in pieces of 256 KB and throws them away, then analyses it whole, report included. User
//! and system time of both are summed over the rounds; the ratio of the sums is printed. Rounds alternate, so that a
//! slow spell of the machine meets both alike, and a first round of each goes uncounted, so that the file is in the
//! page cache.
//!
//! Times come from `/proc/self/stat`: all threads of the process, ended ones included, and no `unsafe` as a call of
//! `getrusage` would need. Its unit is a hundredth of a second, so rounds go on until the reads have taken a second.

use std::fs::{self, File};
use std::io::{self, Read, Write};

use reshake::capture::Timeline;
use reshake::model::Report;
use reshake::render::json;
use reshake_core::engine::{Engine, Limits};

const PIECE: usize = 256 << 10;
/// Ticks of the processor clock in a second: what Linux shows to programs, whatever its own clock.
const TICKS: f64 = 100.0;
/// The reads must have taken so long for the ratio to mean something.
const ENOUGH: u64 = 100;
const MAX_ROUNDS: u32 = 400;

fn main() -> io::Result<()> {
    // Cargo adds --bench.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let mut out = io::stdout().lock();
    let Some(path) = arguments.first() else {
        return writeln!(out, "usage: cargo bench --bench ratio -- FILE [ROUNDS]");
    };
    let rounds: Option<u32> = arguments.get(1).and_then(|rounds| rounds.parse().ok());
    read(path)?;
    let connections = analyse(path)?;
    let (mut reading, mut analysing, mut done) = (0, 0, 0);
    while rounds.map_or(reading < ENOUGH && done < MAX_ROUNDS, |rounds| done < rounds) {
        let start = ticks()?;
        read(path)?;
        let between = ticks()?;
        analyse(path)?;
        analysing += ticks()? - between;
        reading += between - start;
        done += 1;
    }
    if reading < ENOUGH / 4 {
        writeln!(
            out,
            "{path} is too small: its reads took {reading} ticks; the ratio below says little"
        )?;
    }
    let seconds = |ticks: u64| f64::from(u32::try_from(ticks).unwrap_or(u32::MAX)) / TICKS;
    writeln!(
        out,
        "{path}: {connections} connections, {done} rounds, read {:.2} s, analysed {:.2} s, ratio {:.2}",
        seconds(reading),
        seconds(analysing),
        seconds(analysing) / seconds(reading.max(1)),
    )
}

/// A bare read, as `cat FILE >/dev/null` does it.
fn read(path: &str) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut piece = vec![0; PIECE];
    while std::hint::black_box(file.read(&mut piece)?) > 0 {}
    Ok(())
}

/// The whole path: from the file to the JSON report, which goes nowhere.
fn analyse(path: &str) -> io::Result<u64> {
    let source = reshake::capture::open(path, 0).map_err(io::Error::other)?;
    let mut timeline = Timeline::new(vec![source]);
    let mut engine = Engine::new(Limits::default());
    while let Some(packet) = timeline.next() {
        engine.push(&packet);
    }
    engine.finish();
    let captures = timeline.captures().cloned().collect();
    let report = Report::of(&engine, captures);
    json::write_document(&report, &mut io::BufWriter::new(io::sink()))?;
    Ok(report.summary.counts.outcomes.total())
}

/// User and system time of this process so far: fields 14 and 15, counted behind the name in brackets.
fn ticks() -> io::Result<u64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    Ok(fields
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum())
}
