//! Writes a capture with known truth, for measuring:
//!
//! ```text
//! cargo bench --bench captures -- OUT.pcap CONNECTIONS OPEN BYTES
//! ```
//!
//! So many connections, of which so many are open at once, with so many bytes from the server on each. The truth is
//! printed as JSON. The same numbers always give the same bytes.

#[path = "support/capture.rs"]
mod capture;

use std::fs::File;
use std::io::{self, BufWriter, Write};

use capture::Plan;

fn main() -> io::Result<()> {
    // Cargo adds --bench.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let mut out = io::stdout().lock();
    let number = |place: usize| arguments.get(place).and_then(|word| word.parse::<u32>().ok());
    let (Some(path), Some(connections), Some(open), Some(bytes)) = (arguments.first(), number(1), number(2), number(3))
    else {
        return writeln!(
            out,
            "usage: cargo bench --bench captures -- OUT.pcap CONNECTIONS OPEN BYTES"
        );
    };
    let plan = Plan {
        connections,
        open,
        bytes,
        clients: connections / 8 + 1,
        servers: connections / 400 + 1,
        pace: 20_000,
        seed: 1,
    };
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let truth = capture::write(&plan, &mut file)?;
    file.flush()?;
    writeln!(
        out,
        "{{\"connections\":{},\"packets\":{},\"resumed\":{},\"declined\":{},\"not_offered\":{}}}",
        truth.connections, truth.packets, truth.resumed, truth.declined, truth.not_offered
    )
}
