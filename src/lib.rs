//! reshake: why did this TLS session not resume?

pub mod net;
pub mod source;
