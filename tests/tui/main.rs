//! The screens: what they show, what keys do, and the whole program on a terminal.

#[path = "../common/mod.rs"]
mod common;
mod docs;
mod keys;
mod look;
mod screens;
mod terminal;
