//! Messages become facts about connections and credentials.
//!
//! [`Open`] folds what TLS says on one connection into a [`Connection`]; the [`Ledger`] remembers every credential
//! that was issued or offered. Every observation is a [`Seen`]: nothing that was not visible turns into a "no" here,
//! and nothing is judged.

mod close;
mod connection;
mod credential;
mod drops;
mod fold;
mod guessable;
mod hellos;
mod intern;
mod kept;
mod ledger;
mod outcomes;
pub mod preamble;
mod seen;
mod side;
mod sighting;
#[cfg(test)]
pub(crate) mod tests;
mod transport;

pub use crate::stream::{ResetForm, SynOptions};
pub use crate::tls::ProtocolVersion;
pub use close::{Close, CloseClass, CloseNotify, Record, SideClose, classify as classify_close};
pub use connection::{
    Completed, Connection, ConnectionId, EarlyData, KeyOrigin, Mechanism, Offer, OfferKind, Outcome, Shape,
    TicketsInferred,
};
pub use credential::{Credential, CredentialId, Issue, Name, PskTerms, Seal, imported_identity};
pub use drops::Drops;
pub use fold::{Feedback, MOST_ISSUED, MOST_OFFERED, Open};
pub use guessable::Guessable;
pub use hellos::{Answer, ClientStack, Hello, PskModes, Retry, TicketExtension};
pub use intern::{Interner, MOST_VALUE_BYTES, MOST_VALUES};
pub use kept::{Kept, LONGEST_FOLDED_NAME, MOST_FOLDED_SERVICES, Service};
pub use ledger::Ledger;
pub use outcomes::Outcomes;
pub use seen::{Blindness, Seen};
pub use side::{PlainAlert, Side, SideFacts};
pub use sighting::{Issued, Offered, Sighting, replay};
pub use transport::{Edges, Marks, Transport, Uncommon};
