//! What would the clients of a capture meet before another farm: how many of their reconnects would resume?
//!
//! In comes what the capture shows, out comes an expectation. [`Crowd`] holds who came back when, with what and to which
//! service; [`replay()`] sends those connections once more through a [`Plan`]: a number of backends, a way to choose one,
//! and what they share. What a client offers there is what the modelled farm gave it, not what the captured one did.
//! Opens nothing, prints nothing, and the same seed gives the same answer.

mod balancer;
mod crowd;
mod expectation;
mod farm;
mod luck;
mod persistence;
mod plan;
mod reading;
pub mod render;
mod replay;

#[cfg(test)]
mod tests;

pub use crowd::{Brought, Census, Crowd, Had, Refusal, Visit};
pub use expectation::Expectation;
pub use luck::Luck;
pub use persistence::Persistence;
pub use plan::{Balance, Plan, Share};
pub use reading::Observed;
pub use replay::{Fate, FullCause, Played, replay};
