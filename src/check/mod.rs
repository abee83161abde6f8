//! A gate: rules come in from flags and files, facts of a run come in one connection at a time, and verdicts go out:
//! which rule holds, which is violated, and by which connections and frames.
//!
//! Doubt never makes a rule hold: one whose quantity does not exist is violated. Nothing here opens a file or prints;
//! words for people are the report's.

mod catalog;
mod evaluator;
mod file;
pub mod interval;
pub mod render;
mod requirement;
mod rules;
mod show;

pub use catalog::{Given, RULES, RuleKind};
pub use evaluator::{Area, Baseline, Ground, Measured, Member, Proof, Quantities, RuleEvaluator, Verdict};
pub use requirement::{EarlyDataRule, Fraction, Polarity, Requirement};
pub use rules::{Each, Origin, Rule, RuleFault, Rules, Scope, Terms};
pub use show::show;
