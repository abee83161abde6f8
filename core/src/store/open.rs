//! The facts of a connection that goes on.

use std::fmt;
use std::ops::{Deref, DerefMut};

use triomphe::UniqueArc;

use super::connections::KeptConnection;
use crate::net::Endpoint;
use crate::session::{Connection, Transport};

/// Facts that still change. They stand from the beginning where they will be kept: nothing is copied when the connection is
/// over, and connections that began one after another lie side by side.
pub struct OpenFacts(UniqueArc<Connection>);

impl OpenFacts {
    /// Nothing is known of it yet but this.
    #[must_use]
    pub fn new(client: Endpoint, server: Endpoint, transport: Transport) -> Self {
        Self(UniqueArc::new(Connection::unseen(client, server, transport)))
    }

    /// It is over: the facts, to keep.
    #[must_use]
    pub fn over(mut self) -> KeptConnection {
        self.0.shrink();
        self.0.shareable()
    }
}

impl Deref for OpenFacts {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl DerefMut for OpenFacts {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0
    }
}

impl Clone for OpenFacts {
    fn clone(&self) -> Self {
        Self(UniqueArc::new((**self).clone()))
    }
}

impl fmt::Debug for OpenFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
