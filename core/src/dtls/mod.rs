//! DTLS 1.0 to 1.3 (RFC 4347, RFC 6347, RFC 9146, RFC 9147): records of one pair of endpoints in, TLS events out. What the
//! messages say is no different from TLS, and is read there.

mod connection;
mod half;
mod hello;
pub mod message;
mod open;
pub mod record;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use connection::{Association, Fit, Heard, Listener, OUT_OF_ORDER};
pub use message::Fragment;
pub use open::{Opens, opens};
pub use record::{DtlsRecord, Number, records};
