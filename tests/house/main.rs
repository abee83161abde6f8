//! The rules of the house: layers, dependencies, instructions a packet, replay of what the fuzzers found.

#[path = "../common/mod.rs"]
mod common;

mod dependencies;
mod fuzz_corpus;
mod instructions;
mod layers;
