//! The rules of the house: layers, dependencies, instructions a packet, replay of what the fuzzers found, and the way of a
//! ClientHello that the documentation describes.

#[path = "../common/mod.rs"]
mod common;

mod dependencies;
mod fuzz_corpus;
mod instructions;
mod layers;
mod walk;
