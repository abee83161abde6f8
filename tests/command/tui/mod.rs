//! The screens: what they show, what keys do, and the whole program on a terminal.

mod docs;
mod keys;
mod look;
mod screens;
mod terminal;
