//! What a client presents to resume, and what is remembered of it.

use std::sync::Arc;

use smallvec::SmallVec;

use sha2::{Digest, Sha256};

use crate::net::{At, Endpoint};
use crate::tls::{CipherSuite, ProtocolVersion, Reader};

use super::connection::ConnectionId;
use super::guessable::{self, Guessable};
use super::offer::Mechanism;
use super::transport::TransportKind;

#[cfg(feature = "serde")]
use {
    schemars::JsonSchema,
    serde::{Deserialize, Serialize},
};

/// Index of a credential in the credential store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialId(pub u32);

/// Which credential: its bytes as far as they are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct CredentialFingerprint {
    /// SHA-256 of the session ID, ticket or PSK identity.
    #[cfg_attr(
        feature = "serde",
        serde(with = "crate::net::document::hex_bytes"),
        schemars(with = "String")
    )]
    pub sha256: [u8; 32],
    /// Length in bytes.
    pub length: u32,
    /// The first bytes: all of a session ID; of a ticket the key name, the IV and the length field behind them.
    #[cfg_attr(
        feature = "serde",
        serde(with = "crate::net::document::hex_bytes"),
        schemars(with = "String")
    )]
    pub head: [u8; Self::HEAD],
    /// What its MAC says of the key that seals it.
    pub seal: TicketMac,
}

/// What the MAC of a ticket says of the key that seals it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum TicketMac {
    /// Under a key that anyone can guess.
    Guessable(Guessable),
    /// Not under one that was tried.
    Other,
    /// It is of no layout whose MAC could be checked.
    NotChecked,
}

impl TicketMac {
    fn of(bytes: &[u8]) -> Self {
        match Guessable::of(bytes) {
            Some(key) => Self::Guessable(key),
            None if guessable::can_be_checked(bytes) => Self::Other,
            None => Self::NotChecked,
        }
    }
}

impl CredentialFingerprint {
    /// Bytes kept of a ticket. The longest known layout with a length field in front has it at 32..34.
    pub const HEAD: usize = 36;

    /// Of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut head = [0; Self::HEAD];
        head.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Self {
            sha256: Sha256::digest(bytes).into(),
            length: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            head,
            seal: TicketMac::of(bytes),
        }
    }

    /// The kept first bytes, no longer than the credential.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        let length = usize::try_from(self.length).unwrap_or(usize::MAX).min(Self::HEAD);
        self.head.get(..length).unwrap_or_default()
    }

    /// Whether a length stands where GnuTLS and NSS have one, behind name and IV, and adds up (once in 2^16 by chance).
    #[must_use]
    pub fn has_length_field(&self) -> bool {
        let field = self.head().get(32..34);
        let field = field.map(|bytes| bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)));
        let fits = |field| {
            [54, 66]
                .iter()
                .any(|overhead| self.length.checked_sub(*overhead) == Some(field))
        };
        field.is_some_and(fits)
    }

    /// The first 128 bits of the digest: the key of the credential store.
    #[must_use]
    pub fn key(&self) -> [u8; 16] {
        self.sha256.first_chunk().copied().unwrap_or_default()
    }
}

/// Where a credential was issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Issue {
    /// The connection.
    pub connection: ConnectionId,
    /// The ServerHello or NewSessionTicket.
    pub at: At,
}

/// What a NewSessionTicket of TLS 1.3 says beside the ticket (RFC 8446 §4.6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct PskTerms {
    /// What masks the age in an offer.
    pub age_add: u32,
    /// Bytes of early data that may be sent with it; `None` when none may.
    pub max_early_data: Option<u32>,
}

/// One session ID, ticket or PSK.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Where it can be offered.
    pub transport: TransportKind,
    /// What kind of credential.
    pub mechanism: Mechanism,
    /// Which one.
    pub name: CredentialFingerprint,
    /// Where it was issued; `None` when that was not visible (before the capture, or encrypted).
    pub issued: Option<Issue>,
    /// Service endpoint that issued it or that it was offered to first.
    pub server: Endpoint,
    /// Server name of the session it stands for, as far as seen.
    pub server_name: Option<Arc<str>>,
    /// Version of that session.
    pub version: Option<ProtocolVersion>,
    /// Suite of that session.
    pub suite: Option<CipherSuite>,
    /// Whether the session has an extended master secret.
    pub extended_master_secret: Option<bool>,
    /// Lifetime hint in seconds; `None` when none was given or seen. A ticket of TLS 1.3 with lifetime 0 is to be
    /// discarded at once.
    pub lifetime: Option<u32>,
    /// Of a ticket of TLS 1.3 whose issue was read with keys.
    pub psk: Option<PskTerms>,
    /// Whether the server asked for a client certificate when the session was made; `None` when that was not visible.
    pub client_certificate: Option<bool>,
    /// Connections that offered it, in the order of their hellos.
    pub offers: SmallVec<[ConnectionId; 4]>,
    /// It was offered as a PSK with obfuscated age 0, as external PSKs are (RFC 8446 §4.2.11).
    pub offered_with_age_zero: bool,
}

impl Credential {
    /// One of which nothing was seen yet but its name.
    #[must_use]
    pub fn unseen(
        transport: TransportKind,
        mechanism: Mechanism,
        name: CredentialFingerprint,
        server: Endpoint,
    ) -> Self {
        Self {
            transport,
            mechanism,
            name,
            issued: None,
            server,
            server_name: None,
            version: None,
            suite: None,
            extended_master_secret: None,
            lifetime: None,
            psk: None,
            client_certificate: None,
            offers: SmallVec::new(),
            offered_with_age_zero: false,
        }
    }

    /// Whether a hello on this connection brings it as what it is: another connection issued it, or brought it, too. No random
    /// session ID comes twice: where its issue is stamped after the hello, it is the clocks that differ.
    #[must_use]
    pub fn is_known_beside(&self, connection: ConnectionId) -> bool {
        match self.issued {
            Some(issue) => issue.connection != connection,
            None => self.offers.iter().any(|other| *other != connection),
        }
    }

    /// Its issue was seen behind its offers: two captures, packets out of order, or clocks that differ.
    pub(crate) fn issue_late(&mut self, issued: Self) {
        let offers = std::mem::take(&mut self.offers);
        *self = Self {
            offers,
            offered_with_age_zero: self.offered_with_age_zero,
            ..issued
        };
    }
}

/// Whether `identity` has exactly the layout of an imported external PSK (RFC 9258 §5.1).
#[must_use]
pub fn imported_identity(identity: &[u8]) -> bool {
    let mut reader = Reader::new(identity);
    let parsed = (|| Some((reader.vec16()?, reader.vec16()?, reader.u16()?, reader.u16()?)))();
    matches!(parsed, Some((external, _, 0x0304 | 0xfefc, 1 | 2)) if !external.is_empty()) && reader.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_is_no_longer_than_the_credential() {
        assert_eq!(CredentialFingerprint::of(&[1, 2, 3]).head(), [1, 2, 3]);
        assert_eq!(
            CredentialFingerprint::of(&[9; 200]).head().len(),
            CredentialFingerprint::HEAD
        );
    }

    #[test]
    fn imported_identities_are_known_by_their_layout() {
        assert!(imported_identity(&[0, 2, b'i', b'd', 0, 0, 3, 4, 0, 1]));
        assert!(!imported_identity(&[0, 2, b'i', b'd', 0, 0, 3, 4, 0, 1, 0]));
        assert!(!imported_identity(&[0, 0, 0, 0, 3, 4, 0, 1]));
    }

    #[test]
    fn a_length_that_adds_up_is_known_by_its_place_and_by_what_stands_around_it() {
        let ticket = |length: usize, field: u16| {
            let mut bytes = vec![9; length];
            bytes[32..34].copy_from_slice(&field.to_be_bytes());
            CredentialFingerprint::of(&bytes).has_length_field()
        };
        // GnuTLS has 54 bytes beside the state, NSS 66.
        assert!(ticket(54 + 0x1234, 0x1234) && ticket(66 + 0x1234, 0x1234));
        assert!(!ticket(54 + 0x1234, 0x1235) && !ticket(55 + 0x1234, 0x1234));
        assert!(!ticket(34, 34) && ticket(54, 0));
        assert!(!CredentialFingerprint::of(&[0; 33]).has_length_field());
    }

    #[test]
    fn a_credential_is_found_by_the_beginning_of_its_digest() {
        // SHA-256 of "abc" (FIPS 180-4).
        assert_eq!(
            CredentialFingerprint::of(b"abc").key(),
            0xba78_16bf_8f01_cfea_4141_40de_5dae_2223_u128.to_be_bytes()
        );
        assert_eq!(CredentialFingerprint::of(b"abc").length, 3);
    }

    #[test]
    fn the_mac_of_a_ticket_is_told_as_right_wrong_or_not_there() {
        assert_eq!(TicketMac::of(&[0; 16]), TicketMac::NotChecked);
        assert_eq!(TicketMac::of(&[9; 80]), TicketMac::Other);
        assert_eq!(TicketMac::of(&[9; 81]), TicketMac::NotChecked);
    }

    #[test]
    fn an_imported_identity_names_its_protocol_and_its_hash() {
        let identity = |protocol: [u8; 2], kdf: u8| {
            let mut bytes = vec![0, 2, b'i', b'd', 0, 1, b'c'];
            bytes.extend([protocol[0], protocol[1], 0, kdf]);
            imported_identity(&bytes)
        };
        assert!(identity([3, 4], 1) && identity([3, 4], 2) && identity([0xfe, 0xfc], 1));
        assert!(!identity([3, 3], 1) && !identity([3, 4], 3) && !identity([3, 4], 0));
    }
}
