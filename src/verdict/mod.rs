//! Facts become an outcome, and an outcome gets its reasons. Pure functions over what `session` kept.

pub mod outcome;
