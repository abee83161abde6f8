//! What is found and concluded from packets, held against what happened.

#[path = "../common/mod.rs"]
mod common;

mod answers;
mod around;
mod catalog;
mod clocks;
mod cost;
mod differential;
mod embedded;
mod farms;
mod findings;
mod fixtures;
mod ftp;
mod json;
mod keys;
mod lost;
mod memory;
mod order;
mod outward;
mod perturbation;
mod rivals;
mod sentences;
mod shards;
mod threads;
mod waiting;
mod what_if;
