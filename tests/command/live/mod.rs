//! Live capture: what it tells while things happen, and that it comes to the same as an analysis afterwards.
//!
//! Interfaces are captured from where the tests may do that; elsewhere those tests say on standard error that they were
//! left out. Pipes and what a run tells are tested everywhere.

pub(crate) mod interface;
mod netfilter;
mod pipe;
mod process;
mod told;
