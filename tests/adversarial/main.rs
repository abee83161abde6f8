//! Traffic made to harm whoever reads it. Each attack has a bound on what it may cost, in bytes held, in things counted
//! or in bytes written; none is measured in time. `docs/limits.md` states the limits that these tests run into.

mod beginnings;
#[path = "../common/mod.rs"]
mod common;
mod files;
mod flows;
mod limits;
mod messages;
mod names;
mod segments;

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::common::forge::Wire;
use peak_alloc::PeakAlloc;
use reshake_core::engine::{Engine, Limits};
use reshake_core::net::Notice;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const MB: usize = 1 << 20;

/// Memory is counted for the whole process, so one attack runs at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What `attack` gives, and the bytes that were held at its peak beyond those before it.
fn peak<T>(attack: impl FnOnce() -> T) -> (T, usize) {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let result = attack();
    (result, MEMORY.peak_usage().saturating_sub(before))
}

fn wire() -> Wire {
    Wire::new(Engine::new(Limits::default()))
}

fn count(engine: &Engine, notice: Notice) -> u64 {
    engine.notices().count(notice)
}

/// The allocator must count, or no bound below means anything.
#[test]
fn memory_is_counted() {
    let _alone = alone();
    let (held, peak) = peak(|| vec![1_u8; 5 * MB]);
    assert_eq!(held.len(), 5 * MB);
    // The thread of the test before may give its last bytes back meanwhile.
    assert!((4 * MB..6 * MB).contains(&peak), "{peak}");
}
