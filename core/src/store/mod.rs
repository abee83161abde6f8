//! What a run keeps: finished connections, every credential, and the values that many of them share.

mod connections;
mod credentials;
mod intern;
mod merge;
mod open;
mod possible_handshakes;
mod random_ids;

pub use connections::{ConnectionStore, KeptConnection, MAX_EVICTED_NAME, MAX_EVICTED_SERVICES};
pub use credentials::{CredentialStore, HandedOn, TakenBack};
pub use intern::{Interner, MAX_VALUE_BYTES, MAX_VALUES};
pub use merge::{Issued, Offered, PartialConnection, replay};
pub use open::OpenFacts;
pub use possible_handshakes::PossibleHandshakes;
pub use random_ids::settle as settle_session_ids;
