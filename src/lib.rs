//! reshake: why did this TLS session not resume?

pub mod engine;
pub mod net;
pub mod report;
pub mod session;
pub mod source;
pub mod stream;
pub mod tls;
pub mod verdict;
