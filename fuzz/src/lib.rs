//! The crate of the fuzzer: what its targets do stands in `targets`, which the test suite includes as well.

#[path = "../../tests/common/mod.rs"]
mod common;
mod targets;

pub use targets::*;
