//! The program as people and scripts meet it: arguments, screens, documents, live captures.

#[path = "../common/mod.rs"]
mod common;

mod ci;
mod cli;
mod copy;
mod facts_cli;
mod gate;
mod habits;
mod live;
#[cfg(unix)]
mod names;
mod operations;
mod record;
mod redact;
mod redacted_copies;
mod reports;
mod spark;
mod tui;
mod tutorial;
mod wireshark;
