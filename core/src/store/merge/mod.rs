//! A connection as one run saw it, with its credentials by name: what can be carried to another run.
//!
//! [`PartialConnection::of`] takes a finished connection out of its run; `replay` enters many of them into one credential store in the
//! order of time, which decides anew what depends on what others did before. Sightings of one connection become one by
//! [`PartialConnection::join`].

#[cfg(feature = "serde")]
mod admit;
mod datagrams;
mod join;
mod replay;

use std::sync::Arc;

use smallvec::SmallVec;

use crate::net::At;
use crate::tls::{CipherSuite, ProtocolVersion};

use crate::session::{Connection, ConnectionId, Mechanism, Offer, OfferKind};
use crate::session::{Credential, CredentialFingerprint, CredentialId, PskTerms};
use crate::store::connections::cost;
use crate::store::credentials::CredentialStore;

pub use replay::replay;

#[cfg(feature = "serde")]
use {
    schemars::JsonSchema,
    serde::{Deserialize, Serialize},
};

/// A connection that stands for itself.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct PartialConnection {
    /// Its facts. Credentials are not named in it but beside it.
    pub connection: Box<Connection>,
    /// Credentials in the ClientHello.
    pub offered: Vec<Offered>,
    /// Which of them was accepted.
    pub accepted: Option<usize>,
    /// Credentials that the server issued.
    pub issued: Vec<Issued>,
}

/// One credential in a ClientHello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct Offered {
    /// Which one.
    pub name: CredentialFingerprint,
    /// What it was taken for.
    pub kind: OfferKind,
    /// As in [`Offer`].
    pub obfuscated_age: u32,
    /// As in [`Offer`].
    pub binder: u8,
}

impl Offered {
    /// What kind of credential.
    #[must_use]
    pub const fn mechanism(&self) -> Mechanism {
        self.kind.mechanism()
    }
}

/// One credential that a server issued, and the session that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct Issued {
    /// What kind of credential.
    pub mechanism: Mechanism,
    /// Which one.
    pub name: CredentialFingerprint,
    /// The ServerHello or NewSessionTicket; `None` where an earlier connection had issued the same.
    pub at: Option<At>,
    /// As in [`Credential`].
    pub lifetime: Option<u32>,
    /// As in [`Credential`].
    pub psk: Option<PskTerms>,
    /// As in [`Credential`].
    pub server_name: Option<Arc<str>>,
    /// As in [`Credential`].
    pub version: Option<ProtocolVersion>,
    /// As in [`Credential`].
    pub suite: Option<CipherSuite>,
    /// As in [`Credential`].
    pub extended_master_secret: Option<bool>,
    /// As in [`Credential`].
    pub client_certificate: Option<bool>,
}

impl Issued {
    fn of(credential: &Credential, by: ConnectionId) -> Self {
        let issue = credential.issued.filter(|issue| issue.connection == by);
        Self {
            mechanism: credential.mechanism,
            name: credential.name,
            at: issue.map(|issue| issue.at),
            lifetime: credential.lifetime,
            psk: credential.psk,
            server_name: credential.server_name.clone(),
            version: credential.version,
            suite: credential.suite,
            extended_master_secret: credential.extended_master_secret,
            client_certificate: credential.client_certificate,
        }
    }
}

impl PartialConnection {
    /// Of a finished connection and the credentials of its run.
    #[must_use]
    pub fn of(id: ConnectionId, connection: &Connection, credential_store: &CredentialStore) -> Self {
        let offered: Vec<(CredentialId, Offered)> = connection
            .offers
            .iter()
            .filter_map(|offer| Some((offer.credential, offered(offer, credential_store)?)))
            .collect();
        let accepted = connection.accepted;
        let issued = connection.issued.iter().filter_map(|id| credential_store.get(*id));
        Self {
            accepted: accepted.and_then(|id| offered.iter().position(|(offer, _)| *offer == id)),
            offered: offered.into_iter().map(|(_, offer)| offer).collect(),
            issued: issued.map(|credential| Issued::of(credential, id)).collect(),
            connection: Box::new(Connection {
                offers: SmallVec::new(),
                accepted: None,
                issued: SmallVec::new(),
                ..connection.clone()
            }),
        }
    }

    /// A connection without credentials.
    #[must_use]
    pub const fn bare(connection: Box<Connection>) -> Self {
        Self {
            connection,
            offered: Vec::new(),
            accepted: None,
            issued: Vec::new(),
        }
    }
}

impl PartialConnection {
    /// Bytes that it takes.
    pub(crate) fn memory(&self) -> usize {
        let connection = &self.connection;
        let edges = connection.edges.as_deref().map_or(0, size_of_val);
        let credentials = size_of_val(self.offered.as_slice()) + size_of_val(self.issued.as_slice());
        size_of::<Self>() + cost(connection) + edges + credentials
    }
}

fn offered(offer: &Offer, credential_store: &CredentialStore) -> Option<Offered> {
    Some(Offered {
        name: credential_store.get(offer.credential)?.name,
        kind: offer.kind,
        obfuscated_age: offer.obfuscated_age,
        binder: offer.binder,
    })
}
