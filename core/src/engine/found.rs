//! What a run found, to be looked at.

use super::{Engine, Facts, NeighbourSeen};
use crate::net::Notices;
use crate::store::{ConnectionStore, CredentialStore};

impl Engine {
    /// Finished TLS connections.
    #[must_use]
    pub const fn connection_store(&self) -> &ConnectionStore {
        &self.context.connection_store
    }

    /// Every credential.
    #[must_use]
    pub const fn credential_store(&self) -> &CredentialStore {
        &self.context.credential_store
    }

    /// What was found, to be told under other names once the run is over.
    pub const fn facts_mut(&mut self) -> Facts<'_> {
        Facts {
            connection_store: &mut self.context.connection_store,
            credential_store: &mut self.context.credential_store,
            neighbours: self.neighbours.as_mut_slice(),
        }
    }

    /// From now on the addresses in it are not those of the packets.
    pub const fn mark_redacted(&mut self) {
        self.redacted = true;
    }

    /// Whether hosts and credentials bear other names than in the packets.
    #[must_use]
    pub const fn is_redacted(&self) -> bool {
        self.redacted
    }

    /// What was skipped.
    #[must_use]
    pub const fn notices(&self) -> &Notices {
        &self.notices
    }

    /// Bytes that open connections hold back: segments out of order, unfinished messages, the search for TLS.
    #[must_use]
    pub const fn buffered(&self) -> usize {
        self.context.buffered
    }

    /// Address facts.
    #[must_use]
    pub fn neighbours(&self) -> &[NeighbourSeen] {
        &self.neighbours
    }

    /// TCP connections that go on, with and without TLS, and connections over UDP.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.table.len() + self.datagrams.len()
    }

    /// TCP connections that carried no TLS.
    #[must_use]
    pub const fn other_connections(&self) -> u64 {
        self.other_connections
    }
}
