//! Facts about connections and credentials.
//!
//! A [`Connection`] holds what one TLS connection showed, a [`Credential`] what is known of one session ID, ticket or
//! PSK. Every observation is a [`Seen`]: nothing that was not visible turns into a "no" here, and nothing is judged.

mod clocks;
mod close;
mod close_dtls;
mod connection;
mod credential;
mod datagram;
mod drops;
mod guessable;
mod hellos;
mod offer;
mod outcomes;
pub mod preamble;
mod seen;
mod side;
#[cfg(test)]
pub(crate) mod tests;
mod transport;

pub use crate::tcp::{ResetForm, SynOptions};
pub use crate::tls::ProtocolVersion;
pub use clocks::{clocks_differ, set_back_by, set_server_back, was_set_back};
pub(crate) use close::is_alert_length;
pub use close::{
    Close, CloseClass, CloseNotify, ProtectedRecord, SideClose, classify as classify_close, may_be_goodbye,
};
pub(crate) use close_dtls::first_to_say_goodbye;
pub use close_dtls::{Silence, answer_time, classify_dtls};
pub(crate) use connection::JSSE_PADDING;
pub use connection::{
    ClientCertificate, Completed, Connection, ConnectionId, EarlyData, KeyOrigin, Outcome, Service, Shape,
    TicketsInferred,
};
pub use credential::{Credential, CredentialFingerprint, CredentialId, Issue, PskTerms, TicketMac, imported_identity};
pub use datagram::{
    ClientPath, CloseFrame, Cookie, DatagramFacts, DtlsFacts, MAX_PATHS, PacketSpace, QuicFacts, ResetCertainty,
    StatelessReset,
};
pub use drops::Drops;
pub use guessable::Guessable;
pub use hellos::{
    ClientHelloFacts, ClientStack, HelloRetry, PskModes, ServerHelloFacts, StackExtensions, TicketExtension,
};
pub use offer::{Mechanism, Offer, OfferKind};
pub use outcomes::Outcomes;
pub use seen::{Blindness, Seen};
pub use side::{PlainAlert, Side, SideFacts};
pub use transport::{HostFingerprint, MergeHints, RareFacts, Transport, TransportKind};
