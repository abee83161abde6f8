//! reshake: why did this TLS session not resume?

pub mod net;
pub mod session;
pub mod source;
pub mod stream;
pub mod tls;
