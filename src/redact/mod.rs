//! Reports that may leave the house: the facts of a finished run are told under other names before anything is judged.
//!
//! In goes a finished [`Engine`] with the list of its captures; addresses, server names and credentials in it are
//! replaced by [`Aliases`]. Whatever is made of it afterwards (verdicts, texts, JSON, tables, pictures) can only show
//! the replacements, because nothing else is left: no format needs to know. Two things that were equal stay equal, so
//! that verdicts do not change. Nothing here looks at a packet, and a key is never shown.

mod credential;
mod host;
mod packets;
mod prf;
mod protocol;

use std::sync::Arc;

use hashbrown::HashMap;

use reshake_core::engine::{Engine, NeighbourSeen};
use reshake_core::net::{Capture, Endpoint, Neighbour, Wrapping};
use reshake_core::session::{Connection, Credential, DatagramFacts, RareFacts, Service};

use prf::Prf;

pub use packets::{NewFrame, PacketRedactor};
pub use prf::{KEY_LENGTH, RedactionKey};

/// Other names, made from a key: the same key gives the same names.
#[derive(Debug)]
pub struct Aliases {
    prf: Prf,
    /// Names are shared by every connection that bears them, and stay so.
    names: HashMap<Arc<str>, Arc<str>>,
    /// The same for outer headers.
    wrappings: HashMap<Arc<[Wrapping]>, Arc<[Wrapping]>>,
}

impl Aliases {
    /// Under this key.
    #[must_use]
    pub fn new(key: &RedactionKey) -> Self {
        Self {
            prf: Prf::new(key),
            names: HashMap::new(),
            wrappings: HashMap::new(),
        }
    }

    /// Replaces every address, name and credential of a finished run, and the paths of its captures.
    pub fn apply(&mut self, engine: &mut Engine, captures: &mut [Capture]) {
        let facts = engine.facts_mut();
        facts.connection_store.rename(|connection| self.connection(connection));
        facts.connection_store.rename_evicted(|service| self.service(&service));
        let possible = facts.connection_store.possible_handshakes_mut();
        possible.rename(|ip| host::address(&self.prf, ip));
        facts.credential_store.rename(|credential| self.credential(credential));
        for seen in facts.neighbours {
            self.neighbour(seen);
        }
        engine.mark_redacted();
        for (number, capture) in (1..).zip(captures) {
            // A path may hold the name of a host, of a customer or of whoever captured.
            capture.path = format!("capture-{number}");
        }
    }

    /// Replaces what names hosts in one connection. Its credentials stand in the credential store.
    pub fn connection(&mut self, connection: &mut Connection) {
        connection.client = self.endpoint(connection.client);
        connection.server = self.endpoint(connection.server);
        if let Some(mac) = &mut connection.marks.mac {
            *mac = host::mac(&self.prf, *mac);
        }
        if let Some(uncommon) = connection.transport.uncommon.as_deref_mut() {
            self.uncommon(uncommon);
        }
        if let Some(name) = connection.hello.yes_mut().and_then(|hello| hello.server_name.as_mut()) {
            *name = self.name(name);
        }
        if let Some(alpn) = connection.answer.yes_mut().and_then(|answer| answer.alpn.as_mut())
            && let Some(alias) = protocol::alias(&self.prf, alpn)
        {
            *alpn = alias.into();
        }
    }

    fn uncommon(&mut self, uncommon: &mut RareFacts) {
        if let Some(behind) = &mut uncommon.behind {
            *behind = self.endpoint(*behind);
        }
        if let Some(client) = uncommon.preamble.as_mut().and_then(|it| it.client.as_mut()) {
            *client = self.endpoint(*client);
        }
        if let Some(outer) = &mut uncommon.outer {
            *outer = self.outer(outer);
        }
        let paths = match uncommon.datagram.as_deref_mut() {
            Some(DatagramFacts::Quic(facts)) => facts.paths.as_mut_slice(),
            Some(DatagramFacts::Dtls(facts)) => facts.paths.as_mut_slice(),
            None => &mut [],
        };
        for path in paths {
            path.client = self.endpoint(path.client);
        }
    }

    /// Replaces a credential and what it says of its server.
    pub fn credential(&mut self, credential: &mut Credential) {
        credential.server = self.endpoint(credential.server);
        if let Some(name) = &mut credential.server_name {
            *name = self.name(name);
        }
        credential.name = credential::alias(&self.prf, credential.mechanism, &credential.name);
    }

    fn neighbour(&self, seen: &mut NeighbourSeen) {
        match &mut seen.what {
            Neighbour::Claims { ip, mac, .. } => {
                *ip = host::address(&self.prf, *ip);
                *mac = host::mac(&self.prf, *mac);
            }
            Neighbour::Unreachable {
                source, destination, ..
            } => {
                *source = self.endpoint(*source);
                *destination = self.endpoint(*destination);
            }
        }
    }

    /// Ports stay: they name services, not hosts.
    fn endpoint(&self, endpoint: Endpoint) -> Endpoint {
        Endpoint {
            ip: host::address(&self.prf, endpoint.ip),
            port: endpoint.port,
        }
    }

    fn service(&mut self, service: &Service) -> Service {
        Service {
            server: self.endpoint(service.server),
            name: service.name.as_ref().map(|name| self.name(name)),
            transport: service.transport,
        }
    }

    fn name(&mut self, name: &Arc<str>) -> Arc<str> {
        let prf = &self.prf;
        let alias = self.names.entry(Arc::clone(name));
        Arc::clone(alias.or_insert_with(|| host::name(prf, name).into()))
    }

    fn outer(&mut self, outer: &Arc<[Wrapping]>) -> Arc<[Wrapping]> {
        let prf = &self.prf;
        let other = |wrapping: &Wrapping| Wrapping {
            header: wrapping.header,
            between: wrapping.between.map(|ends| ends.map(|ip| host::address(prf, ip))),
        };
        let alias = self.wrappings.entry(Arc::clone(outer));
        Arc::clone(alias.or_insert_with(|| outer.iter().map(other).collect()))
    }
}
